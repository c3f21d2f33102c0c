/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Operators' commands about downloads, as far as they need the disk: offers are links to finished
 * files, never copies; and what devices have done about their jobs.
 */
#include "engine/admin/admin_worker.h"

#include <string.h>

#include "base/beneath.h"
#include "base/sys.h"
#include "base/system.h"
#include "base/wildcard.h"
#include "catalog/executions.h"
#include "engine/downloads/scan_walk.h"

#define OFFER_DIR_MODE 0750
#define OFFER_ASIDE ".offer.part"	/* never offered: a name that is about to be one */
#define OFFER_LOG_MAX 200		/* bytes of a path in a log line */
#define JOBS_PAGE_MS 25			/* then a page ends, however little was found */
#define JOBS_AFTER_ROOM(thing) (8 + FT_AWS_JOB_ID_MAX + strlen(thing))

/* --- offers --- */

/* Where an offer is, or is to be. */
struct offer_place {
	struct ft_core *core;
	struct ft_admin_job *job;
	int root;			/* offers/ */
	int dir;			/* the folder that it is in */
	char path[FT_SCAN_PLACE_ROOM];	/* below offers/ */
	const char *leaf;		/* in `path` */
};

static void offer_say(struct ft_admin_job *job, const char *word, const char *text)
{
	job->word = word;
	snprintf(job->detail, sizeof job->detail, "%s", text);
}

/* What went wrong below offers/, for the operator. */
static enum ft_status offer_failed(struct offer_place *place, int error)
{
	char room[FT_ERROR_ROOM];

	if (error == ENOENT)
		return FT_NO_SUCH_FILE;
	snprintf(place->job->detail, sizeof place->job->detail, "offers/: %s",
		 ft_error_text(error, room));
	return error == ENOTDIR || error == ELOOP || error == EXDEV ? FT_INVALID_PATH : FT_IO_ERROR;
}

static void offer_release(struct offer_place *place)
{
	ft_sys_close(place->root);
	ft_sys_close(place->dir);
}

enum offer_folders { OFFER_EXISTING, OFFER_CREATE };

/* One more folder of the way; `end` is the slash behind it. */
static bool offer_step(struct offer_place *place, char *end, enum offer_folders mode)
{
	static const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	bool durable = place->core->options->durability != FT_DURABILITY_NONE;
	const char *level;
	int dir;

	*end = '\0';
	dir = ft_open_beneath(place->root, place->path, flags);
	if (dir < 0 && errno == ENOENT && mode == OFFER_CREATE) {
		level = strrchr(place->path, '/') ? strrchr(place->path, '/') + 1 : place->path;
		if ((ft_sys_mkdirat(place->dir, level, OFFER_DIR_MODE) == 0 || errno == EEXIST)
		    && (!durable || ft_sys_fsync(place->dir) == 0))
			dir = ft_open_beneath(place->root, place->path, flags);
	}
	*end = '/';
	ft_sys_close(place->dir);
	place->dir = dir;
	return dir >= 0;
}

/* Opens the folder that the path is in. FT_NO_SUCH_FILE: it is not there. */
static enum ft_status offer_open(struct offer_place *place, struct ft_core *core,
				 struct ft_admin_job *job, const char *path, enum offer_folders mode)
{
	const struct ft_control_offer *offer = &job->command->offer;

	*place = (struct offer_place){ .core = core, .job = job, .dir = -1 };
	snprintf(place->path, sizeof place->path, "%s/%s%s%s", ft_offer_scope_word(offer->scope),
		 offer->whose, *offer->whose ? "/" : "", path);
	place->leaf = strrchr(place->path, '/') + 1;
	if ((place->root = ft_scan_open_root(core, "offers")) < 0
	    || (place->dir = ft_open_beneath(place->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return offer_failed(place, errno);
	for (char *end = place->path; (end = strchr(end, '/')) != NULL; end++)
		if (!offer_step(place, end, mode))
			return offer_failed(place, errno);
	return FT_OK;
}

/* Whether two names in the folder are of one file. */
static bool offer_is_same(const struct offer_place *place, const char *one, const char *other)
{
	struct stat a, b;

	return ft_sys_fstatat(place->dir, one, &a, AT_SYMLINK_NOFOLLOW) == 0
	       && ft_sys_fstatat(place->dir, other, &b, AT_SYMLINK_NOFOLLOW) == 0
	       && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

/* Something has the name already: this very file, or another one, which may be to go. */
static enum ft_status offer_replace(struct offer_place *place, const struct ft_finished *file)
{
	enum ft_status st;

	(void)ft_sys_unlinkat(place->dir, OFFER_ASIDE, 0);	/* of a process that was killed */
	st = ft_store_link_finished(place->core->store, &file->key, file->name, place->dir, OFFER_ASIDE);
	if (st != FT_OK || offer_is_same(place, OFFER_ASIDE, place->leaf))
		;
	else if (!place->job->command->offer.replace) {
		offer_say(place->job, "already_offered", "another file is offered under this name: withdraw "
			  "it, or say \"replace\": true");
		st = FT_ALREADY_COMPLETE;
	} else if (ft_sys_renameat(place->dir, OFFER_ASIDE, place->dir, place->leaf) != 0)
		st = offer_failed(place, errno);
	(void)ft_sys_unlinkat(place->dir, OFFER_ASIDE, 0);
	return st;
}

static enum ft_status offer_link(struct offer_place *place, const struct ft_finished *file)
{
	const struct ft_core *core = place->core;
	enum ft_status st = ft_store_link_finished(core->store, &file->key, file->name, place->dir,
						   place->leaf);

	if (st == FT_ALREADY_COMPLETE)
		st = offer_replace(place, file);
	if (st == FT_NAME_REFUSED)
		offer_say(place->job, "no_link", "a finished file cannot be linked to offers/ here: the store "
			  "keeps it elsewhere, or the file system has no links. Put a copy there");
	if (st == FT_NO_SUCH_TRANSFER)
		offer_say(place->job, NULL, "the file was taken away");
	if (st == FT_OK && core->options->durability != FT_DURABILITY_NONE
	    && ft_sys_fsync(place->dir) != 0)
		st = offer_failed(place, errno);
	return st;
}

/* What was done, as a log line and for the answer. */
static void offer_tell(struct offer_place *place, const char *what)
{
	char room[4 * OFFER_LOG_MAX + 8];
	struct ft_buf shown = ft_buf_on(room, sizeof room);

	ft_buf_printable(&shown, place->path, strlen(place->path), OFFER_LOG_MAX);
	ft_logger_printf(place->core->logger, FT_LOG_NOTICE, "offers/%s is %s by %s", room, what,
			 place->job->who);
	ft_control_put_word(place->job->data, "to", place->job->command->offer.to);
}

enum ft_status ft_admin_offer_file(struct ft_core *core, struct ft_catalog *catalog,
				   struct ft_admin_job *job)
{
	char checksum[FT_SHA256_HEX_LEN + 1];
	struct ft_buf hex = ft_buf_on(checksum, sizeof checksum);
	struct offer_place place;
	struct ft_finished file;
	const char *path = job->command->offer.path;
	enum ft_status st = ft_catalog_find_finished(catalog, &job->command->key, &file);

	if (st != FT_OK)
		return st;
	if (!path && !ft_offer_path_can_be(file.name)) {
		offer_say(job, NULL, "the file's name cannot be that of an offer: say another name");
		return FT_INVALID_PATH;
	}
	path = path ? path : file.name;
	st = offer_open(&place, core, job, path, OFFER_CREATE);
	if (st == FT_OK)
		st = offer_link(&place, &file);
	if (st == FT_OK) {
		offer_tell(&place, "offered");
		ft_buf_hex(&hex, file.checksum.bytes, FT_SHA256_LEN);
		ft_control_put_word(job->data, "name", path);
		ft_control_put_number(job->data, "size", file.size);
		ft_control_put_word(job->data, "sha256", checksum);
	}
	offer_release(&place);
	return st;
}

/* Folders that nothing is in any more, up to the scope's. One that somebody fills stays. */
static void offer_prune(struct offer_place *place)
{
	for (char *slash; (slash = strrchr(place->path, '/')) != NULL;) {
		const char *level;
		int parent;

		*slash = '\0';
		if (!(level = strrchr(place->path, '/')))
			return;
		place->path[level - place->path] = '\0';
		parent = ft_open_beneath(place->root, place->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		place->path[level - place->path] = '/';
		if (parent < 0 || ft_sys_unlinkat(parent, level + 1, AT_REMOVEDIR) != 0) {
			ft_sys_close(parent);
			return;
		}
		ft_sys_close(parent);
	}
}

/* What describes the file would describe the next one of this name. */
static void offer_remove_meta(const struct offer_place *place)
{
	char name[FT_NAME_ROOM + 8];

	snprintf(name, sizeof name, ".%.250s.json", place->leaf);
	(void)ft_sys_unlinkat(place->dir, name, 0);
}

static enum ft_status offer_remove(struct offer_place *place)
{
	struct stat info;

	if (ft_sys_fstatat(place->dir, place->leaf, &info, AT_SYMLINK_NOFOLLOW) != 0)
		return offer_failed(place, errno);
	if (!S_ISREG(info.st_mode) && !S_ISLNK(info.st_mode))
		return FT_NO_SUCH_FILE;
	if (ft_sys_unlinkat(place->dir, place->leaf, 0) != 0)
		return offer_failed(place, errno);
	offer_remove_meta(place);
	offer_tell(place, "withdrawn");
	ft_control_put_word(place->job->data, "name", place->job->command->offer.path);
	ft_control_put_number(place->job->data, "size", (uint64_t)info.st_size);
	ft_control_put_truth(place->job->data, "last", S_ISREG(info.st_mode) && info.st_nlink == 1);
	if (place->core->options->durability != FT_DURABILITY_NONE && ft_sys_fsync(place->dir) != 0)
		return offer_failed(place, errno);
	offer_prune(place);
	return FT_OK;
}

enum ft_status ft_admin_withdraw_offer(struct ft_core *core, struct ft_catalog *catalog,
				       struct ft_admin_job *job)
{
	struct offer_place place;
	enum ft_status st;

	(void)catalog;
	st = offer_open(&place, core, job, job->command->offer.path, OFFER_EXISTING);
	if (st == FT_OK)
		st = offer_remove(&place);
	if (st == FT_NO_SUCH_FILE)
		offer_say(job, NULL, "nothing is offered to them under this name");
	offer_release(&place);
	return st;
}

/* --- jobs --- */

struct jobs_page {
	const struct ft_control_command *command;
	struct ft_buf *to;
	const struct ft_thing *only;	/* NULL: all */
	size_t count;
	int64_t until_ms;
	char *last;			/* owned; the place of the last one that was looked at; NULL: none */
	bool more;
};

static const char *const jobs_status[] = {
	[FT_EXECUTION_IN_PROGRESS] = "IN_PROGRESS", [FT_EXECUTION_SUCCEEDED] = "SUCCEEDED",
	[FT_EXECUTION_FAILED] = "FAILED", [FT_EXECUTION_REJECTED] = "REJECTED",
};

static bool jobs_fit(const struct ft_control_command *command, const struct ft_execution *execution)
{
	const char *status = command->offer.status;

	return (!status || strcmp(status, jobs_status[execution->status]) == 0)
	       && execution->updated_s >= command->since && execution->updated_s <= command->until
	       && (!command->pattern || ft_wildcard_match(command->pattern, execution->job));
}

static void jobs_put(struct ft_buf *to, const struct ft_thing *thing, const struct ft_execution *execution)
{
	ft_control_put_word(to, "job", execution->job);
	ft_control_put_word(to, thing->kind == FT_THING_CLIENT ? "client_id" : "user", thing->name);
	ft_control_put_word(to, "status", jobs_status[execution->status]);
	ft_control_put_number(to, "version", execution->version);
	ft_control_put_time(to, "queued_at", execution->queued_s * 1000);
	if (execution->started_s > 0)
		ft_control_put_time(to, "started_at", execution->started_s * 1000);
	ft_control_put_time(to, "updated_at", execution->updated_s * 1000);
	if (execution->details.len > 0) {
		ft_control_open(to, "details", '{');
		ft_buf_bytes(to, execution->details.at + 1, execution->details.len - 1);
	}
}

/* The place of a row: the kind's number, job, thing. */
static void jobs_note(struct jobs_page *page, const struct ft_thing *thing,
		      const struct ft_execution *execution)
{
	size_t room = JOBS_AFTER_ROOM(thing->name);

	free(page->last);
	page->last = ft_core_alloc(room);
	snprintf(page->last, room, "%d/%s/%s", (int)thing->kind, execution->job, thing->name);
}

static enum ft_status jobs_visit(void *context, const struct ft_thing *thing,
				 const struct ft_execution *execution)
{
	struct jobs_page *page = context;
	struct ft_buf before = *page->to;

	if (page->only && (thing->kind != page->only->kind || strcmp(thing->name, page->only->name) != 0))
		return FT_CANCELLED;
	page->more = true;
	if (page->count == page->command->limit || (page->last && ft_clock_ms() >= page->until_ms))
		return FT_CANCELLED;
	if (jobs_fit(page->command, execution)) {
		ft_control_open_entry(page->to);
		jobs_put(page->to, thing, execution);
		if (!ft_control_close_entry(page->to, &before, 6 * JOBS_AFTER_ROOM(thing->name)))
			return FT_CANCELLED;
		page->count++;
	}
	jobs_note(page, thing, execution);
	page->more = false;
	return FT_OK;
}

/* False: this is no cursor. */
static bool jobs_parse_after(char *text, struct ft_thing *thing, const char **job)
{
	char *end;

	if ((text[0] != '0' + FT_THING_CLIENT && text[0] != '0' + FT_THING_USER) || text[1] != '/'
	    || !(end = strchr(text + 2, '/')))
		return false;
	*end = '\0';
	thing->kind = (enum ft_thing_kind)(text[0] - '0');
	thing->name = end + 1;
	*job = text + 2;
	return true;
}

/* Whose jobs alone are asked for. False: all things'. */
static bool jobs_parse_thing(const struct ft_control_command *command, char *room, struct ft_thing *thing)
{
	if (command->key.owner) {
		memcpy(room, command->key.owner, command->key.owner_len);
		room[command->key.owner_len] = '\0';
		*thing = (struct ft_thing){ .kind = FT_THING_CLIENT, .name = room };
	} else if (command->user)
		*thing = (struct ft_thing){ .kind = FT_THING_USER, .name = command->user };
	return command->key.owner || command->user;
}

static bool jobs_is_status(const char *text)
{
	for (size_t i = FT_EXECUTION_IN_PROGRESS; i <= FT_EXECUTION_REJECTED; i++)
		if (strcmp(text, jobs_status[i]) == 0)
			return true;
	return false;
}

static enum ft_status jobs_list(struct ft_catalog *catalog, struct jobs_page *page, char *room, char *cursor)
{
	const struct ft_control_command *command = page->command;
	struct ft_thing only, after = { .kind = FT_THING_CLIENT, .name = "" };
	const char *job = "";
	enum ft_status st;

	if (jobs_parse_thing(command, room, &only)) {
		page->only = &only;
		after = only;
	}
	if (cursor && !jobs_parse_after(cursor, &after, &job))
		return FT_INVALID_FILE_COMMAND;
	page->until_ms = ft_clock_ms() + JOBS_PAGE_MS;
	ft_control_open(page->to, "jobs", '[');
	st = ft_catalog_page_executions(catalog, &after, job, jobs_visit, page);
	ft_buf_char(page->to, ']');
	if (page->more && page->last)
		ft_control_put_after(page->to, page->last);
	return st;
}

enum ft_status ft_admin_list_jobs(struct ft_core *core, struct ft_catalog *catalog,
				  struct ft_admin_job *job)
{
	const struct ft_control_offer *offer = &job->command->offer;
	struct jobs_page page = { .command = job->command, .to = job->data };
	char *room, *cursor;
	enum ft_status st;

	(void)core;
	if (offer->status && !jobs_is_status(offer->status)) {
		offer_say(job, NULL, "status is IN_PROGRESS, SUCCEEDED, FAILED or REJECTED");
		return FT_INVALID_FILE_COMMAND;
	}
	room = ft_core_alloc(job->command->key.owner_len + 1);
	cursor = offer->after ? ft_core_alloc(strlen(offer->after) + 1) : NULL;
	if (cursor)
		memcpy(cursor, offer->after, strlen(offer->after) + 1);
	st = jobs_list(catalog, &page, room, cursor);
	if (st == FT_INVALID_FILE_COMMAND)
		offer_say(job, NULL, "cursor is what an earlier page had as its cursor");
	free(room);
	free(cursor);
	free(page.last);
	return st;
}
