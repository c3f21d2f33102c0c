/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/admin_worker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"
#include "base/system.h"

#define WORKER_PAGE_MS 25		/* then a page ends, however little was found */
#define WORKER_SLICE ((uint64_t)4 * 1024 * 1024)	/* bytes that are verified at a time */
#define WORKER_BLOCK ((size_t)64 * 1024)

/* --- finished files --- */

/* Writes what is known of a finished file, as members of an object. */
static void worker_put_file(struct ft_buf *to, const struct ft_finished *file)
{
	char checksum[FT_SHA256_HEX_LEN + 1];
	struct ft_buf hex = ft_buf_on(checksum, sizeof checksum);

	ft_buf_hex(&hex, file->checksum.bytes, FT_SHA256_LEN);
	ft_control_put_key(to, &file->key);
	ft_control_put_word(to, "name", file->name);
	ft_control_put_number(to, "size", file->size);
	ft_control_put_word(to, "sha256", checksum);
	ft_control_put_time(to, "completed_at", file->completed_ms);
	if (file->has_expire_at)
		ft_control_put_number(to, "expire_at", (uint64_t)file->expire_at);
	ft_control_put_word(to, "transfer_id", file->transfer_id);
}

struct worker_page {
	struct ft_buf *to;
	size_t count, limit;
};

/* A file that does not fit any more begins the next page. */
static bool worker_put_entry(void *context, const struct ft_finished *file)
{
	struct worker_page *page = context;
	struct ft_buf before = *page->to;

	if (page->count == page->limit)
		return false;
	ft_control_open_entry(page->to);
	worker_put_file(page->to, file);
	ft_buf_char(page->to, '}');
	page->count++;
	if (page->to->len + FT_CONTROL_TAIL_ROOM <= page->to->room && ft_buf_ok(page->to))
		return true;
	*page->to = before;
	page->to->text[before.len] = '\0';
	return false;
}

static int64_t worker_ms(int64_t s)
{
	return s < INT64_MAX / 1000 ? s * 1000 : INT64_MAX;
}

static enum ft_status worker_list_files(struct ft_core *core, struct ft_catalog *catalog,
					struct ft_admin_job *job)
{
	const struct ft_control_command *command = job->command;
	const struct ft_file_filter filter = {
		.owner = command->key.owner, .owner_len = command->key.owner_len,
		.pattern = command->pattern, .since_ms = worker_ms(command->since),
		.until_ms = worker_ms(command->until) + 999,
		.min_size = command->min_size, .max_size = command->max_size,
	};
	struct worker_page page = { .to = job->data, .limit = command->limit };
	uint64_t cursor = command->cursor;
	enum ft_status st;

	(void)core;
	ft_control_open(job->data, "files", '[');
	st = ft_catalog_page_files(catalog, &filter, &cursor, ft_clock_ms() + WORKER_PAGE_MS,
				   worker_put_entry, &page);
	ft_buf_char(job->data, ']');
	if (cursor != 0)
		ft_control_put_cursor(job->data, cursor);
	return st;
}

static enum ft_status worker_get_file(struct ft_core *core, struct ft_catalog *catalog,
				      struct ft_admin_job *job)
{
	const struct ft_key *key = &job->command->key;
	char owner_name[FT_NAME_ROOM], file_name[FT_NAME_ROOM];
	char room[2 * FT_NAME_ROOM + FT_FILE_NAME_MAX + 16];
	struct ft_buf path = ft_buf_on(room, sizeof room);
	struct ft_finished file;
	enum ft_status st = ft_catalog_find_finished(catalog, key, &file);

	if (st != FT_OK)
		return st;
	ft_escape(owner_name, key->owner, key->owner_len);
	ft_escape(file_name, key->file, key->file_len);
	ft_buf_printf(&path, "files/%s/%s/%s", owner_name, file_name, file.name);
	worker_put_file(job->data, &file);
	ft_control_put_word(job->data, "path", room);
	ft_control_put_truth(job->data, "present",
			     core->ops->find(core->store, key, file.name) == FT_OK);
	return FT_OK;
}

/* Commits, or rolls back where `st` or the commit is an error. */
static enum ft_status worker_commit(struct ft_core *core, struct ft_catalog *catalog,
				    enum ft_status st)
{
	st = ft_catalog_end(catalog, st);
	if (st == FT_OK && core->options->durability != FT_DURABILITY_NONE)
		st = ft_catalog_sync(catalog);
	return st;
}

/* The file first: a row without a file is what consumers leave behind, too. */
static enum ft_status worker_delete_file(struct ft_core *core, struct ft_catalog *catalog,
					 struct ft_admin_job *job)
{
	const struct ft_key *key = &job->command->key;
	struct ft_removal removal = { .key = *key };
	struct ft_finished *file = &job->deleted;
	enum ft_status st;

	if ((st = ft_catalog_find_finished(catalog, key, file)) != FT_OK)
		return st;
	removal.name = file->name;
	core->ops->remove_finished(core->store, &removal, 1);
	if ((st = removal.status) != FT_OK || (st = ft_catalog_begin(catalog)) != FT_OK)
		return st;
	st = worker_commit(core, catalog, ft_catalog_drop_finished(catalog, key, file->number));
	if (st == FT_OK)
		ft_control_put_number(job->data, "size", file->size);
	return st;
}

/* --- pauses --- */

static struct ft_pause worker_pause_of(const struct ft_admin_job *job)
{
	struct ft_pause pause = {
		.number = job->job.number, .key = job->command->key,
		.since_ms = ft_clock_unix_ms(),
	};
	enum ft_control_verb verb = job->command->verb;

	if (verb == FT_CONTROL_PAUSE_ALL || verb == FT_CONTROL_RESUME_ALL)
		pause.key.owner = NULL;
	if (pause.number == 0)
		pause.key.file = NULL;
	return pause;
}

static enum ft_status worker_pause(struct ft_core *core, struct ft_catalog *catalog,
				   struct ft_admin_job *job)
{
	const struct ft_pause pause = worker_pause_of(job);
	enum ft_status st = ft_catalog_begin(catalog);

	if (st != FT_OK)
		return st;
	return worker_commit(core, catalog, ft_catalog_put_pause(catalog, &pause));
}

static enum ft_status worker_resume(struct ft_core *core, struct ft_catalog *catalog,
				    struct ft_admin_job *job)
{
	const struct ft_pause pause = worker_pause_of(job);
	enum ft_status st = ft_catalog_begin(catalog);

	if (st != FT_OK)
		return st;
	return worker_commit(core, catalog, ft_catalog_drop_pause(catalog, &pause));
}

/* As many as there is room for; who has paused more than that sees them with the transfers. */
static enum ft_status worker_put_pause(void *context, const struct ft_pause *pause)
{
	struct ft_buf *to = context, before = *to;

	ft_control_open_entry(to);
	ft_control_put_word(to, "scope", pause->number > 0 ? "transfer"
					 : pause->key.owner ? "client" : "all");
	if (pause->key.owner)
		ft_control_put_text(to, "client_id", pause->key.owner, pause->key.owner_len);
	if (pause->number > 0)
		ft_control_put_text(to, "file_id", pause->key.file, pause->key.file_len);
	ft_control_put_time(to, "since", pause->since_ms);
	ft_buf_char(to, '}');
	if (to->len + FT_CONTROL_TAIL_ROOM <= to->room && ft_buf_ok(to))
		return FT_OK;
	*to = before;
	to->text[before.len] = '\0';
	return FT_CANCELLED;
}

static enum ft_status worker_list_pauses(struct ft_core *core, struct ft_catalog *catalog,
					 struct ft_admin_job *job)
{
	enum ft_status st;

	(void)core;
	ft_control_open(job->data, "pauses", '[');
	st = ft_catalog_each_pause(catalog, worker_put_pause, job->data);
	ft_buf_char(job->data, ']');
	if (st == FT_CANCELLED)
		ft_control_put_truth(job->data, "truncated", true);
	return st == FT_CANCELLED ? FT_OK : st;
}

/* --- verify --- */

enum ft_status ft_admin_begin_verify(struct ft_core *core, size_t total)
{
	struct ft_verify *verify = &core->verify;
	struct ft_verify_job *job;

	if (atomic_load(&verify->running))
		return FT_BUSY;
	if (!(job = calloc(1, sizeof *job)))
		return FT_NO_MEMORY;
	job->job.kind = FT_JOB_VERIFY;
	ft_link_init(&job->job.link);
	atomic_store(&verify->running, true);
	atomic_store(&verify->cancelled, false);
	atomic_store(&verify->began_ms, ft_clock_unix_ms());
	atomic_store(&verify->ended_ms, 0);
	atomic_store(&verify->total, total);
	atomic_store(&verify->files, 0);
	atomic_store(&verify->bytes, 0);
	atomic_store(&verify->missing, 0);
	atomic_store(&verify->damaged, 0);
	ft_core_submit(core, FT_LANE_ADMIN, &job->job);
	return FT_OK;
}

void ft_admin_cancel_verify(struct ft_core *core)
{
	atomic_store(&core->verify.cancelled, true);
}

void ft_admin_say_verify(struct ft_core *core, struct ft_buf *to)
{
	const struct ft_verify *verify = &core->verify;
	int64_t began_ms = atomic_load(&verify->began_ms), ended_ms = atomic_load(&verify->ended_ms);

	if (began_ms == 0)
		return;
	ft_control_open(to, "verify", '{');
	ft_control_put_word(to, "state", atomic_load(&verify->running) ? "running"
			    : atomic_load(&verify->cancelled) ? "cancelled" : "done");
	ft_control_put_time(to, "began_at", began_ms);
	if (ended_ms != 0)
		ft_control_put_time(to, "ended_at", ended_ms);
	ft_control_put_number(to, "total", atomic_load(&verify->total));
	ft_control_put_number(to, "files", atomic_load(&verify->files));
	ft_control_put_number(to, "bytes", atomic_load(&verify->bytes));
	ft_control_put_number(to, "missing", atomic_load(&verify->missing));
	ft_control_put_number(to, "damaged", atomic_load(&verify->damaged));
	ft_buf_char(to, '}');
}

/* Takes the first file of a page, and no other one. */
static bool worker_take_file(void *context, const struct ft_finished *file)
{
	struct ft_verify_job *job = context;

	if (job->ids)
		return false;
	job->ids = ft_core_alloc(ft_key_room(&file->key) + 1);
	job->file = *file;
	job->file.key = ft_key_copy(&file->key, job->ids);
	return true;
}

/* Whether there is another one. */
static bool worker_next_file(struct ft_core *core, struct ft_catalog *catalog,
			     struct ft_verify_job *job)
{
	const struct ft_file_filter all = { .until_ms = INT64_MAX, .max_size = INT64_MAX };

	while (!job->ids) {
		if (ft_catalog_page_files(catalog, &all, &job->cursor,
					  ft_clock_ms() + WORKER_PAGE_MS, worker_take_file,
					  job) != FT_OK) {
			atomic_store(&core->verify.cancelled, true);
			return false;
		}
		job->last = job->cursor == 0;
		if (job->last)
			break;
	}
	return job->ids != NULL;
}

/* Whether the catalog still says of this file what it said before it was read. */
static bool worker_is_current(struct ft_catalog *catalog, const struct ft_verify_job *job)
{
	struct ft_finished now;

	return ft_catalog_find_finished(catalog, &job->file.key, &now) == FT_OK
	       && now.number == job->file.number
	       && memcmp(now.transfer_id, job->file.transfer_id, sizeof now.transfer_id) == 0;
}

static void worker_end_file(struct ft_core *core, struct ft_catalog *catalog,
			    struct ft_verify_job *job, enum ft_status st)
{
	struct ft_sha256 digest;

	if (st == FT_OK && !ft_hasher_digest(job->hasher, &digest))
		st = FT_INTERNAL_ERROR;
	if (st == FT_OK && !ft_sha256_equal(&digest, &job->file.checksum))
		st = FT_FILE_CHECKSUM_MISMATCH;
	atomic_fetch_add(&core->verify.files, 1);
	if (st == FT_NO_SUCH_TRANSFER) {
		atomic_fetch_add(&core->verify.missing, 1);
	} else if (st != FT_OK && worker_is_current(catalog, job)) {
		atomic_fetch_add(&core->verify.damaged, 1);
		ft_core_log(core, FT_LOG_ERROR, &job->file.key, "'%s' does not have the bytes any "
			    "more that were finished (%s)", job->file.name, ft_status_word(st));
	}
	ft_hasher_free(job->hasher);
	free(job->ids);
	job->hasher = NULL;
	job->ids = NULL;
}

/* Reads on; a file that was read to its end, or cannot be, is done. */
static void worker_read_on(struct ft_core *core, struct ft_catalog *catalog,
			   struct ft_verify_job *job)
{
	uint8_t *block = ft_core_alloc(WORKER_BLOCK);
	uint64_t at = 0, left = WORKER_SLICE;
	enum ft_status st = FT_OK;

	if (!job->hasher && !(job->hasher = ft_hasher_new()))
		st = FT_NO_MEMORY;
	else if (job->file.size == 0)	/* nothing will be read */
		st = core->ops->find(core->store, &job->file.key, job->file.name);
	while (st == FT_OK && left > 0 && (at = ft_hasher_position(job->hasher)) < job->file.size) {
		uint64_t rest = job->file.size - at;
		size_t len = rest < WORKER_BLOCK ? (size_t)rest : WORKER_BLOCK;

		st = core->ops->read_finished(core->store, &job->file.key, job->file.name, at,
					      block, len);
		if (st == FT_OK && !ft_hasher_update(job->hasher, block, len))
			st = FT_INTERNAL_ERROR;
		atomic_fetch_add(&core->verify.bytes, st == FT_OK ? len : 0);
		left -= len < left ? len : left;
	}
	free(block);
	if (st != FT_OK || left > 0)
		worker_end_file(core, catalog, job, st);
}

static void worker_verify(struct ft_core *core, struct ft_catalog *catalog,
			  struct ft_verify_job *job)
{
	struct ft_job *done = &job->job;
	struct ft_verify *verify = &core->verify;

	if (atomic_load(&core->stopping))
		atomic_store(&verify->cancelled, true);
	if (!atomic_load(&verify->cancelled)
	    && (job->ids || (!job->last && worker_next_file(core, catalog, job)))) {
		worker_read_on(core, catalog, job);
		ft_core_submit(core, FT_LANE_ADMIN, done);
		return;
	}
	atomic_store(&verify->ended_ms, ft_clock_unix_ms());
	ft_logger_printf(core->logger, FT_LOG_NOTICE, "verified %llu finished files, %llu of them "
			 "damaged, %llu not there any more%s",
			 (unsigned long long)atomic_load(&verify->files),
			 (unsigned long long)atomic_load(&verify->damaged),
			 (unsigned long long)atomic_load(&verify->missing),
			 atomic_load(&verify->cancelled) ? "; it was ended before all were" : "");
	atomic_store(&verify->running, false);
	ft_job_free(&done);
}

/* --- all --- */

void ft_admin_work(struct ft_core *core, struct ft_catalog *catalog, struct ft_job *job)
{
	static enum ft_status (*const works[FT_CONTROL_VERBS])(struct ft_core *core,
							       struct ft_catalog *catalog,
							       struct ft_admin_job *job) = {
		[FT_CONTROL_PAUSE_TRANSFER] = worker_pause,
		[FT_CONTROL_PAUSE_CLIENT] = worker_pause,
		[FT_CONTROL_PAUSE_ALL] = worker_pause,
		[FT_CONTROL_RESUME_TRANSFER] = worker_resume,
		[FT_CONTROL_RESUME_CLIENT] = worker_resume,
		[FT_CONTROL_RESUME_ALL] = worker_resume,
		[FT_CONTROL_LIST_PAUSES] = worker_list_pauses,
		[FT_CONTROL_LIST_FILES] = worker_list_files,
		[FT_CONTROL_GET_FILE] = worker_get_file,
		[FT_CONTROL_DELETE_FILE] = worker_delete_file,
	};
	struct ft_admin_job *admin;

	if (job->kind == FT_JOB_VERIFY) {
		worker_verify(core, catalog, FT_CONTAINER(job, struct ft_verify_job, job));
		return;
	}
	admin = FT_CONTAINER(job, struct ft_admin_job, job);
	assert(works[admin->command->verb]);
	job->status = works[admin->command->verb](core, catalog, admin);
	ft_core_tell_broker(core, job);
}
