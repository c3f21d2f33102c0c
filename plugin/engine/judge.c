/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/judge.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/program.h"
#include "base/system.h"
#include "base/utf8.h"
#include "protocol/manifest.h"

#define JUDGE_PATH_ROOM 4096
#define JUDGE_NUMBER_ROOM 24

struct judge {
	struct ft_core *core;
	struct ft_catalog *catalog;
	struct ft_finish *job;
	int64_t deadline_ms;
	struct ft_program program;
	char path[JUDGE_PATH_ROOM], size[JUDGE_NUMBER_ROOM], sha256[FT_SHA256_HEX_LEN + 1];
	struct stat before;
};

enum ft_status ft_judge_check(struct ft_core *core)
{
	const char *program = core->options->on_complete;
	struct sigaction child;

	if (!program)
		return FT_OK;
	if (!core->ops->local_path) {
		ft_logger_printf(core->logger, FT_LOG_ERROR, "plugin_opt_on_complete: the store %s has no "
				 "files that a program could look at", core->ops->name);
		return FT_NAME_REFUSED;
	}
	if (access(program, X_OK) != 0) {
		ft_logger_printf(core->logger, FT_LOG_ERROR, "plugin_opt_on_complete %.300s: the broker's "
				 "user cannot run it: %s", program, strerror(errno));
		return FT_NAME_REFUSED;
	}
	/* Who started the broker may ignore it: then nobody could tell how a program ended. */
	if (sigaction(SIGCHLD, NULL, &child) == 0
	    && (child.sa_handler == SIG_IGN || (child.sa_flags & SA_NOCLDWAIT) != 0))
		(void)signal(SIGCHLD, SIG_DFL);
	return FT_OK;
}

/* --- facts of its own --- */

/* What the client said, or what the program wants instead, in memory of the job's. */
static void judge_take_facts(struct ft_finish *job, const struct ft_init *wanted)
{
	struct ft_json_text data = wanted->terms.user_data.len > 0 ? wanted->terms.user_data
								   : job->facts->terms.user_data;
	struct ft_facts *facts = ft_core_alloc(sizeof *facts + data.len + 1);
	char *text = (char *)(facts + 1);

	*facts = *job->facts;
	if (data.len > 0)
		memcpy(text, data.at, data.len);
	facts->terms.user_data = (struct ft_json_text){ text, data.len };
	if (wanted->terms.has_expire_at) {
		facts->terms.has_expire_at = true;
		facts->terms.expire_at = wanted->terms.expire_at;
	}
	if (wanted->meta.name[0] && strcmp(wanted->meta.name, facts->meta.name) != 0) {
		memcpy(facts->init_name, facts->meta.name, sizeof facts->init_name);
		memcpy(facts->meta.name, wanted->meta.name, sizeof facts->meta.name);
	}
	free(job->judged);
	job->judged = facts;
	job->facts = facts;
}

static enum ft_status judge_note(struct judge *j)
{
	const struct ft_facts *facts = j->job->facts;
	enum ft_status st = ft_catalog_begin(j->catalog);

	if (st == FT_OK)
		st = ft_catalog_put_terms(j->catalog, facts->number, &facts->terms);
	if (st == FT_OK && facts->init_name[0])
		st = ft_catalog_put_rename(j->catalog, facts->transfer_id, facts->init_name,
					   facts->meta.name);
	st = ft_catalog_end(j->catalog, st);
	if (st == FT_OK && j->core->options->durability != FT_DURABILITY_NONE)
		st = ft_catalog_sync(j->catalog);
	return st;
}

enum ft_status ft_judge_recall(struct ft_catalog *catalog, struct ft_finish *job)
{
	struct ft_init wanted = { .meta.name = "" };
	enum ft_status st = ft_catalog_find_rename(catalog, job->facts->transfer_id, wanted.meta.name);

	if (st == FT_OK)
		judge_take_facts(job, &wanted);
	return st == FT_NO_SUCH_TRANSFER ? FT_OK : st;
}

/* --- what the program said --- */

/* The last line with anything in it, as clients and the log may see it. */
static void judge_write_last_line(const struct ft_program_output *from, struct ft_buf *to)
{
	size_t end = from->len, start;

	while (end > 0 && strchr(" \t\r\n", from->text[end - 1]))
		end--;
	for (start = end; start > 0 && from->text[start - 1] != '\n'; start--)
		;
	if (end - start > 200)
		end = start + 200;
	if (ft_utf8_valid(from->text + start, end - start)
	    && !ft_utf8_has_control(from->text + start, end - start))
		ft_buf_bytes(to, from->text + start, end - start);
	else
		ft_buf_printable(to, from->text + start, end - start, 100);
}

static enum ft_status judge_fault(const struct judge *j, const char *what, const char *why)
{
	ft_core_log(j->core, FT_LOG_ERROR, &j->job->facts->key, "on_complete %s: %s",
		    what, why);
	return FT_INTERNAL_ERROR;
}

static enum ft_status judge_reject(struct judge *j)
{
	struct ft_buf detail = ft_buf_on(j->job->detail, sizeof j->job->detail);

	judge_write_last_line(j->program.out.len > 0 ? &j->program.out : &j->program.err, &detail);
	return FT_REJECTED;
}

/* Chatter is no object, and means nothing. */
static bool judge_has_object(const struct ft_program_output *out)
{
	size_t start = 0;

	while (start < out->len && strchr(" \t\r\n", out->text[start]))
		start++;
	return !out->cut && start < out->len && out->text[start] == '{';
}

static enum ft_status judge_accept(struct judge *j)
{
	char room[256];
	struct ft_buf why = ft_buf_on(room, sizeof room);
	struct ft_init wanted;
	struct stat after;

	if (stat(j->path, &after) != 0 || after.st_size != j->before.st_size
	    || after.st_ino != j->before.st_ino
	    || after.st_mtim.tv_sec != j->before.st_mtim.tv_sec
	    || after.st_mtim.tv_nsec != j->before.st_mtim.tv_nsec)
		return judge_fault(j, "changed the file", "it was verified already: a program must leave it alone");
	if (!judge_has_object(&j->program.out))
		return FT_OK;
	if (ft_judgement_parse(&wanted, j->program.out.text, j->program.out.len, &why) != FT_OK)
		return judge_fault(j, "wrote an object that breaks a rule of init", room);
	if (wanted.meta.name[0]
	    && ft_store_check_name(j->core->store, wanted.meta.name) != FT_OK)
		return judge_fault(j, "gave a name that the file system cannot hold", wanted.meta.name);
	judge_take_facts(j->job, &wanted);
	return judge_note(j);
}

/* --- run --- */

static bool judge_must_end(void *context)
{
	const struct judge *j = context;

	return atomic_load(&j->job->cancelled) || atomic_load(&j->core->stopping)
	       || ft_clock_ms() >= j->deadline_ms;
}

static enum ft_status judge_read_end(struct judge *j, enum ft_program_end end)
{
	char why[FT_ERROR_ROOM];

	switch (end) {
	case FT_PROGRAM_EXITED:
		return j->program.code == 0 ? judge_accept(j) : judge_reject(j);
	case FT_PROGRAM_NOT_STARTED:
		return judge_fault(j, "could not be run", ft_error_text(j->program.code, why));
	case FT_PROGRAM_CRASHED:
		return judge_fault(j, "ended by a signal", strsignal(j->program.code));
	case FT_PROGRAM_KILLED:
		break;
	}
	if (atomic_load(&j->job->cancelled) || atomic_load(&j->core->stopping))
		return FT_CANCELLED;
	(void)judge_fault(j, "was killed", "it took longer than assemble_timeout");
	return FT_TIMEOUT;
}

static enum ft_status judge_run(struct judge *j)
{
	const struct ft_facts *facts = j->job->facts;
	char *ids = ft_core_alloc(facts->key.owner_len + facts->key.file_len + 2);
	char *file = ids + facts->key.owner_len + 1;
	char *argv[] = { j->core->options->on_complete, j->path, ids, file,
			 (char *)(uintptr_t)facts->meta.name, j->size, j->sha256, NULL };
	enum ft_status st;
	char *manifest;

	if (facts->key.owner_len > 0)
		memcpy(ids, facts->key.owner, facts->key.owner_len);
	memcpy(file, facts->key.file, facts->key.file_len);
	st = ft_manifest_write(facts, j->job->fin.size, &j->job->digest, ft_clock_unix_ms(), &manifest,
			       &j->program.input_len);
	if (st == FT_OK) {
		j->program.argv = argv;
		j->program.input = manifest;
		j->program.must_end = judge_must_end;
		j->program.context = j;
		j->deadline_ms = ft_clock_ms() + (int64_t)j->core->options->assemble_timeout * 1000;
		st = judge_read_end(j, ft_program_run(&j->program));
		free(manifest);
	}
	free(ids);
	return st;
}

enum ft_status ft_judge(struct ft_core *core, struct ft_catalog *catalog, struct ft_finish *job,
			struct ft_upload *upload)
{
	struct judge *j = ft_core_alloc(sizeof *j);
	struct ft_buf size = ft_buf_on(j->size, sizeof j->size);
	struct ft_buf sha256 = ft_buf_on(j->sha256, sizeof j->sha256);
	enum ft_status st;
	int dir;

	j->core = core;
	j->catalog = catalog;
	j->job = job;
	ft_buf_u64(&size, job->fin.size);
	ft_buf_hex(&sha256, job->digest.bytes, FT_SHA256_LEN);
	dir = snprintf(j->path, sizeof j->path, "%s/", core->options->storage_dir);
	st = dir > 0 && (size_t)dir < sizeof j->path
		? core->ops->local_path(upload, job->fin.size, j->path + dir, sizeof j->path - (size_t)dir)
		: FT_IO_ERROR;
	if (st == FT_OK && stat(j->path, &j->before) != 0)
		st = FT_IO_ERROR;
	if (st == FT_OK)
		st = judge_run(j);
	free(j);
	return st;
}
