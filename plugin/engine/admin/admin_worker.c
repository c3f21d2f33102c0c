/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/admin/admin_worker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"
#include "base/json.h"
#include "base/system.h"
#include "base/utf8.h"
#include "base/wildcard.h"
#include "engine/limits/limits.h"
#include "engine/admin/sorted_page.h"

#define WORKER_PAGE_MS 25		/* then a page ends, however little was found */

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
	page->count++;
	return ft_control_close_entry(page->to, &before, 0);
}

static int64_t worker_ms(int64_t s)
{
	return s < INT64_MAX / 1000 ? s * 1000 : INT64_MAX;
}

static struct ft_file_filter worker_filter(const struct ft_control_command *command)
{
	return (struct ft_file_filter){
		.owner = command->key.owner, .owner_len = command->key.owner_len,
		.pattern = command->pattern, .since_ms = worker_ms(command->since),
		.until_ms = worker_ms(command->until) + 999,
		.min_size = command->min_size, .max_size = command->max_size,
	};
}

/* --- finished files, sorted --- */

struct worker_order {
	enum ft_control_sort sort;
	struct ft_sorted_page *page;
};

/* The largest first: what is left above it, the highest byte first. */
static void worker_write_size(char text[8], uint64_t size)
{
	for (int i = 0; i < 8; i++)
		text[i] = (char)((UINT64_MAX - size) >> (56 - 8 * i) & 0xff);
}

static bool worker_sort_file(void *context, const struct ft_finished *file)
{
	struct worker_order *order = context;
	char size[8];
	struct ft_control_place place = {
		.value = file->name, .value_len = strlen(file->name),
		.id = file->transfer_id, .id_len = strlen(file->transfer_id),
	};
	struct ft_sorted_entry *entry;
	struct ft_key key;

	if (order->sort == FT_SORT_SIZE) {
		worker_write_size(size, file->size);
		place.value = size;
		place.value_len = sizeof size;
	}
	if ((entry = ft_sorted_page_take(order->page, &place, &file->key)) != NULL) {
		key = entry->file.key;
		entry->file = *file;
		entry->file.key = key;
	}
	return true;
}

static void worker_write_sorted(struct ft_buf *to, const struct ft_sorted_page *page)
{
	const struct ft_control_place *last = NULL;
	bool more = page->more;

	ft_control_open(to, "files", '[');
	for (size_t i = 0; i < page->count; i++) {
		const struct ft_sorted_entry *entry = page->entries[i];
		struct ft_buf before = *to;

		ft_control_open_entry(to);
		worker_put_file(to, &entry->file);
		if (!ft_control_close_entry(to, &before, ft_control_place_room(&entry->place))) {
			more = true;
			break;
		}
		last = &entry->place;
	}
	ft_buf_char(to, ']');
	if (more && last)
		ft_control_put_place(to, last);
}

/*
 * All that the filter leaves is looked at for each page: an index for every order would cost each
 * upload more. Meanwhile nothing is kept open between two slices.
 */
static enum ft_status worker_list_sorted(struct ft_core *core, struct ft_catalog *catalog,
					 struct ft_admin_job *job)
{
	const struct ft_control_command *command = job->command;
	const struct ft_file_filter filter = worker_filter(command);
	struct worker_order order = {
		.sort = command->sort,
		.page = ft_sorted_page_new(command->limit, &command->place),
	};
	uint64_t cursor = 0;
	enum ft_status st;

	do {
		st = ft_catalog_page_files(catalog, &filter, &cursor, ft_clock_ms() + WORKER_PAGE_MS,
					   worker_sort_file, &order);
		if (st == FT_OK && atomic_load(&core->stopping))
			st = FT_CANCELLED;
	} while (st == FT_OK && cursor != 0);
	if (st == FT_OK)
		worker_write_sorted(job->data, order.page);
	ft_sorted_page_free(&order.page);
	return st;
}

static enum ft_status worker_list_files(struct ft_core *core, struct ft_catalog *catalog,
					struct ft_admin_job *job)
{
	const struct ft_control_command *command = job->command;
	const struct ft_file_filter filter = worker_filter(command);
	struct worker_page page = { .to = job->data, .limit = command->limit };
	uint64_t cursor = command->cursor;
	enum ft_status st;

	if (command->sort != FT_SORT_TIME)
		return worker_list_sorted(core, catalog, job);
	ft_control_open(job->data, "files", '[');
	st = ft_catalog_page_files(catalog, &filter, &cursor, ft_clock_ms() + WORKER_PAGE_MS,
				   worker_put_entry, &page);
	ft_buf_char(job->data, ']');
	if (cursor != 0)
		ft_control_put_cursor(job->data, cursor);
	return st;
}

/* --- clients --- */

struct worker_clients {
	const struct ft_control_command *command;
	struct ft_sorted_page *page;
};

static bool worker_fits_client(const struct ft_control_command *command,
			       const struct ft_owned *owned)
{
	if (command->key.owner && (command->key.owner_len != owned->owner_len
				   || memcmp(command->key.owner, owned->owner, owned->owner_len) != 0))
		return false;
	return !command->pattern || (!memchr(owned->owner, '\0', owned->owner_len)
				     && ft_wildcard_match(command->pattern, owned->owner));
}

static void worker_count_client(void *context, const struct ft_owned *owned)
{
	struct worker_clients *clients = context;
	const struct ft_key key = { .owner = owned->owner, .owner_len = owned->owner_len };
	struct ft_sorted_entry *entry;
	struct ft_control_place place;
	char id[FT_SORTED_ID_ROOM];

	if (!worker_fits_client(clients->command, owned))
		return;
	place = ft_sorted_place_of_owner(owned->owner, owned->owner_len, id);
	entry = ft_sorted_page_take(clients->page, &place, &key);
	if (!entry || !owned->finished)
		return;
	entry->client.files++;
	entry->client.file_bytes += owned->size;
	if (owned->completed_ms > entry->client.latest_ms)
		entry->client.latest_ms = owned->completed_ms;
}

/* Who they are, and what they have finished. The rest is known to the broker's thread. */
static enum ft_status worker_list_clients(struct ft_core *core, struct ft_catalog *catalog,
					  struct ft_admin_job *job)
{
	const struct ft_control_command *command = job->command;
	struct worker_clients clients = {
		.command = command, .page = ft_sorted_page_new(command->limit, &command->place),
	};
	struct ft_owned_walk walk = { .place = 0 };
	enum ft_status st = FT_OK;

	job->clients = clients.page;
	while (st == FT_OK && !walk.ended) {
		st = ft_catalog_walk_owned(catalog, &walk, worker_count_client, &clients);
		if (st == FT_OK && atomic_load(&core->stopping))
			st = FT_CANCELLED;
	}
	return st;
}

/*
 * What its client has said of it, from the manifest, where consumers have left it; anything may lie
 * there. Too long for an answer: it is left out.
 */
static void worker_put_user_data(struct ft_core *core, struct ft_buf *to, const struct ft_finished *file)
{
	struct ft_json_member member = { .key = "user_data" };
	char *text;
	size_t len;

	if (ft_store_read_manifest(core->store, &file->key, file->name, &text, &len) != FT_OK)
		return;
	if (ft_utf8_valid(text, len) && !memchr(text, '\0', len)
	    && ft_json_find(text, len, &member, 1) == FT_JSON_OBJECT && member.value.len > 0
	    && member.value.len + FT_CONTROL_TAIL_ROOM < to->room - to->len)
		ft_control_put_json(to, "user_data", &member.value);
	free(text);
}

/* Where the store has URLs: one, and until when it lasts; null where none can be made now. */
static enum ft_status worker_put_url(struct ft_core *core, struct ft_admin_job *job, const char *name)
{
	int64_t now_s = ft_clock_unix_ms() / 1000, end_s = now_s + job->command->url_ttl_s;
	char *url;

	if (!core->ops->url)
		return FT_OK;
	if (!(url = malloc(FT_STORE_URL_ROOM)))
		return FT_NO_MEMORY;
	if (core->ops->url(core->store, &job->command->key, name, now_s, job->command->url_ttl_s, url)
	    == FT_OK) {
		ft_control_put_word(job->data, "url", url);
		ft_control_put_time(job->data, "url_expires_at", end_s * 1000);
	} else {
		ft_control_put_null(job->data, "url");
	}
	free(url);
	return FT_OK;
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
	if (!core->ops->url || core->options->s3.keep_local)	/* else it lies elsewhere */
		ft_control_put_word(job->data, "path", room);
	st = core->ops->find(core->store, key, file.name);
	if (st == FT_BUSY)
		ft_control_put_null(job->data, "present");
	else
		ft_control_put_truth(job->data, "present", st == FT_OK);
	st = st == FT_OK || st == FT_BUSY ? worker_put_url(core, job, file.name) : FT_OK;
	if (st == FT_OK)	/* last, since it takes what room is left */
		worker_put_user_data(core, job->data, &file);
	return st;
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

/* Into the catalog, or out of it. */
static enum ft_status worker_change_pause(struct ft_core *core, struct ft_catalog *catalog,
					  struct ft_admin_job *job)
{
	static enum ft_status (*const acts[FT_CONTROL_VERBS])(struct ft_catalog *c,
							      const struct ft_pause *pause) = {
		[FT_CONTROL_PAUSE_TRANSFER] = ft_catalog_put_pause,
		[FT_CONTROL_PAUSE_CLIENT] = ft_catalog_put_pause,
		[FT_CONTROL_PAUSE_ALL] = ft_catalog_put_pause,
		[FT_CONTROL_RESUME_TRANSFER] = ft_catalog_drop_pause,
		[FT_CONTROL_RESUME_CLIENT] = ft_catalog_drop_pause,
		[FT_CONTROL_RESUME_ALL] = ft_catalog_drop_pause,
	};
	const struct ft_pause pause = worker_pause_of(job);
	enum ft_status st = ft_catalog_begin(catalog);

	assert(acts[job->command->verb]);
	if (st != FT_OK)
		return st;
	return worker_commit(core, catalog, acts[job->command->verb](catalog, &pause));
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
	return ft_control_close_entry(to, &before, 0) ? FT_OK : FT_CANCELLED;
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

/* --- all --- */

static enum ft_status worker_set_limits(struct ft_core *core, struct ft_catalog *catalog,
					struct ft_admin_job *job)
{
	(void)catalog;
	ft_limits_file_change(core, job);
	return job->job.status;
}

void ft_admin_work(struct ft_core *core, struct ft_catalog *catalog, struct ft_job *job)
{
	static enum ft_status (*const works[FT_CONTROL_VERBS])(struct ft_core *core,
							       struct ft_catalog *catalog,
							       struct ft_admin_job *job) = {
		[FT_CONTROL_PAUSE_TRANSFER] = worker_change_pause,
		[FT_CONTROL_PAUSE_CLIENT] = worker_change_pause,
		[FT_CONTROL_PAUSE_ALL] = worker_change_pause,
		[FT_CONTROL_RESUME_TRANSFER] = worker_change_pause,
		[FT_CONTROL_RESUME_CLIENT] = worker_change_pause,
		[FT_CONTROL_RESUME_ALL] = worker_change_pause,
		[FT_CONTROL_LIST_PAUSES] = worker_list_pauses,
		[FT_CONTROL_LIST_FILES] = worker_list_files,
		[FT_CONTROL_GET_FILE] = worker_get_file,
		[FT_CONTROL_DELETE_FILE] = worker_delete_file,
		[FT_CONTROL_SET_LIMITS] = worker_set_limits,
		[FT_CONTROL_LIST_CLIENTS] = worker_list_clients,
		[FT_CONTROL_OFFER_FILE] = ft_admin_offer_file,
		[FT_CONTROL_WITHDRAW_OFFER] = ft_admin_withdraw_offer,
		[FT_CONTROL_LIST_JOBS] = ft_admin_list_jobs,
	};
	struct ft_admin_job *admin = FT_CONTAINER(job, struct ft_admin_job, job);

	assert(works[admin->command->verb]);
	job->status = works[admin->command->verb](core, catalog, admin);
	ft_core_tell_broker(core, job);
}
