/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "client_parts.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CHANGES_MAX 3
#define HASH_SLICE ((size_t)1024 * 1024)

/* --- the end of a file --- */

static void file_free(struct file *file)
{
	if (file->has_upload)
		upload_release(&file->upload);
	if (file->has_source)
		source_close(&file->source);
	free((char *)(uintptr_t)file->options.name);
	free((char *)(uintptr_t)file->options.file_id);
	free((char *)(uintptr_t)file->options.user_data);
	free(file->path);
	free(file->name);
	free(file->place);
	sealing_abandon(&file->sealing);
	free(file->sealed_path);
	free(file);
}

static void free_list(struct file *file)
{
	while (file) {
		struct file *next = file->next;
		file_free(file);
		file = next;
	}
}

void files_free(struct ft_client *client)
{
	free_list(client->active);
	free_list(client->queue);
}

static int64_t wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Tells the caller; the file is in no list any more. */
static void report(struct ft_client *client, struct file *file, enum ft_client_result result,
		   int code, const char *text)
{
	bool over = result == FT_CLIENT_DONE || result == FT_CLIENT_REFUSED;

	/* What failed for other reasons can be resumed. */
	if (file->place && over)
		saved_remove(&client->saved, file->place);
	if (result == FT_CLIENT_DONE)
		saved_delivered(&client->saved, wall_ms());
	if (file->seal && over)
		seal_forget(file);
	if (result != FT_CLIENT_DONE && client->result == FT_CLIENT_DONE)
		client->result = result;
	client->unfinished--;
	if (client->events.finished)
		client->events.finished(client->events.context, &file->info, result, code, text);
	file_free(file);
}

static void take_out(struct ft_client *client, struct file *file)
{
	struct file **link = &client->active;

	while (*link != file)
		link = &(*link)->next;
	*link = file->next;
	client->active_count--;
}

void file_finish(struct ft_client *client, struct file *file, enum ft_client_result result,
		 int code, const char *text)
{
	take_out(client, file);
	report(client, file, result, code, text);
}

void files_fail(struct ft_client *client, enum ft_client_result result, const char *why)
{
	struct file *queue = client->queue;

	files_remember(client);
	/* What the caller adds while he is told is not meant, and has the whole time before it. */
	client->queue = NULL;
	client->queue_end = &client->queue;
	client->headway_ms = process_now_ms();
	while (client->active)
		file_finish(client, client->active, result, -1, why);
	while (queue) {
		struct file *file = queue;
		queue = file->next;
		report(client, file, result, -1, why);
	}
}

/* --- its beginning --- */

static bool open_source(struct ft_client *client, struct file *file, const char **why)
{
	size_t ring = client->buffer_bytes * (client->options.link.window + 1);

	file->has_source = file->fd >= 0 ? source_open_fd(&file->source, file->fd, ring, why)
					 : source_open(&file->source, file->path, why);
	if (!file->has_source)
		return false;
	file->info.size = file->source.size;
	file->info.size_known = file->source.ended;
	return true;
}

/* Where two names mean the same file they should meet the same transfer. */
static char *find_place(const struct file *file)
{
	char *place = NULL;

	if (file->fd < 0)
		return realpath(file->path, NULL);
	if (file->source.stream)
		return NULL;
	if (asprintf(&place, "inode %llu:%llu", (unsigned long long)file->source.stat.st_dev,
		     (unsigned long long)file->source.stat.st_ino) < 0)
		return NULL;
	return place;
}

static bool is_same(const struct file *file, const struct saved_item *item)
{
	const struct stat *stat = &file->source.stat;

	return item->size == file->source.size && item->mtime_s == stat->st_mtim.tv_sec &&
	       item->mtime_ns == stat->st_mtim.tv_nsec && strcmp(item->name, file->name) == 0;
}

static bool make_id(struct file *file)
{
	char id[FILE_ID_ROOM];
	const char *place = file->place ? file->place : "";

	if (!source_file_id(id, &file->source, place, file->name, file->changes))
		return false;
	snprintf(file->file_id, sizeof(file->file_id), "%s", id);
	return true;
}

/* Whether another one of those that are being sent has this id: the same file named
 * twice, or by a link. */
static bool is_in_use(const struct ft_client *client, const struct file *file, const char *file_id)
{
	for (const struct file *other = client->active; other; other = other->next) {
		if (other != file && (other->has_upload || other->seal) && strcmp(other->file_id, file_id) == 0)
			return true;
	}
	return false;
}

static bool wants_other_id(const struct file *file, const struct saved_item *item)
{
	return file->options.file_id && strcmp(file->options.file_id, item->file_id) != 0;
}

/* The id by which the broker knows this file, if an earlier run has begun it. */
static bool choose_id(struct ft_client *client, struct file *file)
{
	const struct saved_item *item = file->place ? saved_find(&client->saved, file->place)
						    : NULL;

	file->info.file_id = file->file_id;
	bool fits = item && is_same(file, item) && !wants_other_id(file, item);
	/* It belongs to the other name of the file (a link), and is not to be aborted. */
	if (item && !fits && is_in_use(client, file, item->file_id))
		item = NULL;
	if (fits && !file->changes) {
		snprintf(file->file_id, sizeof(file->file_id), "%s", item->file_id);
		source_expect(&file->source, item->hashed, item->sha256);
		file->begun_before = true;
		return true;
	}
	if (item && !file->changes) {
		client_note(client, file, FT_CLIENT_CHANGED, is_same(file, item)
			    ? "%s was begun under another id; sending it anew"
			    : "%s has changed since it was begun; sending it anew", file->name);
		send_abort(client, item->file_id);
	}
	if (file->options.file_id && !file->changes) {
		snprintf(file->file_id, sizeof(file->file_id), "%s", file->options.file_id);
		return true;
	}
	return make_id(file);
}

static bool begin_upload(struct ft_client *client, struct file *file, int64_t now)
{
	if (file->seal != SEAL_ASKING && !put_hash(file))
		return false;
	struct upload_job job = {
		.file_id = file->file_id,
		.size = file->source.size,
		.ended = file->source.ended,
		.window = client->options.link.window,
		.pubacks_tell = client->options.link.mqtt5,
		.from_scratch = file->options.from_scratch ||
				(file->seal == SEAL_READY && file->seal_fresh),
		.ask_first = file->seal == SEAL_ASKING,
		.in_one = file->seal != SEAL_ASKING && put_is_possible(client, file),
		.segment_floor = client->pace.fixed ? 0 : 1024,
		.ack_timeout_ms = (int64_t)client->options.ack_timeout_s * 1000,
		.patience_ms = (int64_t)client->options.patience_s * 1000,
	};

	file->has_upload = upload_init(&file->upload, &job, now);
	if (file->has_upload && ft_client_is_connected(client))
		upload_link_up(&file->upload, now);
	return file->has_upload;
}

bool file_begin_upload(struct ft_client *client, struct file *file, int64_t now)
{
	if (begin_upload(client, file, now))
		return true;
	file_finish(client, file, FT_CLIENT_INTERNAL, -1, "out of memory");
	return false;
}

/* Encryption comes first, or a question. False: it has been reported and freed. */
static bool begin_sealed(struct ft_client *client, struct file *file, int64_t now)
{
	const char *why = seal_name_file(client, file);

	/* The same file named twice: the second one begins when the first is over. */
	if (!why && is_in_use(client, file, file->file_id))
		return true;
	if (!why)
		why = seal_begin_file(file);
	if (why) {
		file_finish(client, file, FT_CLIENT_FILE, -1, why);
		return false;
	}
	return file->seal == SEAL_WORKING || file_begin_upload(client, file, now);
}

/* False: it has been reported and freed. */
static bool begin(struct ft_client *client, struct file *file, int64_t now)
{
	const char *why;

	if (!open_source(client, file, &why)) {
		file_finish(client, file, FT_CLIENT_FILE, -1, why);
		return false;
	}
	if (client->seal)
		return begin_sealed(client, file, now);
	if (!file->place)
		file->place = find_place(file);
	if (!choose_id(client, file)) {
		file_finish(client, file, FT_CLIENT_INTERNAL, -1, "out of memory");
		return false;
	}
	/* Answers could not tell two apart; the second finds the file complete. */
	return is_in_use(client, file, file->file_id) || file_begin_upload(client, file, now);
}

/* What there is to send, as far as is known; a stream may have any length. */
static uint64_t work_of(const struct file *file)
{
	const struct upload *upload = &file->upload;

	if (upload->phase == PHASE_FIN)
		return 0;
	if (upload->phase == PHASE_PUT && upload->asked)
		return upload->flight_bytes;
	if (!file->source.ended)
		return UINT32_MAX;
	return upload->phase == PHASE_SEND ? upload->todo.bytes : file->source.size;
}

static bool is_busy(const struct ft_client *client)
{
	uint64_t enough = pace_segment(&client->pace) * client->options.link.window;
	uint64_t work = 0;

	if (client->active_count >= client->options.files_at_once)
		return true;
	for (const struct file *file = client->active; file && work < enough; file = file->next)
		work += work_of(file);
	return work >= enough;
}

void files_admit(struct ft_client *client, int64_t now)
{
	while (client->queue && !is_busy(client)) {
		struct file *file = client->queue;
		struct file **end = &client->active;
		client->queue = file->next;
		if (!client->queue)
			client->queue_end = &client->queue;
		while (*end)
			end = &(*end)->next;
		file->next = NULL;
		*end = file;
		client->active_count++;
		begin(client, file, now);
	}
}

/* --- its life --- */

bool file_begin_anew(struct ft_client *client, struct file *file, int64_t now)
{
	if (file->source.stream || ++file->changes > CHANGES_MAX) {
		file_finish(client, file, FT_CLIENT_FILE, -1, file->source.stream
			    ? "the broker has lost what cannot be read again"
			    : "it changes while it is being sent");
		return false;
	}
	client_note(client, file, FT_CLIENT_CHANGED, "%s is not what the broker has under this id; "
		    "sending it under a new one", file->name);
	if (file->has_upload)
		upload_release(&file->upload);
	file->has_upload = false;
	if (client->seal)
		seal_forget(file);
	source_close(&file->source);
	file->has_source = false;
	file->file_failed = false;
	file->told_held = false;
	file->info.sha256[0] = '\0';
	file->is_small = file->begun_before = false;
	file->info.held = 0;
	return begin(client, file, now);
}

static bool changed(struct ft_client *client, struct file *file, int64_t now)
{
	send_abort(client, file->file_id);
	return file_begin_anew(client, file, now);
}

/* All is hashed: is it still the file that was begun? What was added to it is left for
 * another time; a log would never be sent else. */
static void prepare_fin(struct ft_client *client, struct file *file, int64_t now)
{
	client->headway_ms = now;
	switch (source_check(&file->source, HASH_SLICE)) {
	case CHECK_GOES_ON:
		break;
	case CHECK_DIFFERS:
		changed(client, file, now);
		break;
	case CHECK_SAME:
		if (source_digest(&file->source, file->info.sha256))
			file->upload.may_finish = true;
		else
			file->upload.verdict = UPLOAD_NO_MEMORY;
		break;
	}
}

static void give_up(struct ft_client *client, struct file *file)
{
	const struct upload *upload = &file->upload;

	file_finish(client, file, FT_CLIENT_GAVE_UP, upload->code, upload->why);
}

static void judge(struct ft_client *client, struct file *file, int64_t now)
{
	struct upload *upload = &file->upload;

	switch (upload->verdict) {
	case UPLOAD_RUNNING:
		if (file->source.ended && file->source.hashed == file->source.size &&
		    !upload->may_finish && upload->phase == PHASE_FIN)
			prepare_fin(client, file, now);
		break;
	case UPLOAD_DONE:
		file->info.held = file->info.size;
		file_finish(client, file, FT_CLIENT_DONE, upload->code, upload->why);
		break;
	case UPLOAD_ABSENT:
		upload_release(&file->upload);
		file->has_upload = false;
		file->seal = SEAL_WORKING;
		client->sealing = true;
		break;
	case UPLOAD_OTHER_CONTENT:
		if (!file->options.file_id)
			file_begin_anew(client, file, now);
		else
			file_finish(client, file, FT_CLIENT_REFUSED, upload->code, upload->why);
		break;
	case UPLOAD_REFUSED:
		file_finish(client, file, FT_CLIENT_REFUSED, upload->code, upload->why);
		break;
	case UPLOAD_NOT_SERVED:
		file_finish(client, file, FT_CLIENT_DENIED, upload->code, upload->why);
		break;
	case UPLOAD_GAVE_UP:
		give_up(client, file);
		break;
	case UPLOAD_NO_MEMORY:
		file_finish(client, file, FT_CLIENT_INTERNAL, -1, "out of memory");
		break;
	}
}

static void failed_to_read(struct ft_client *client, struct file *file, int64_t now)
{
	if (!source_unchanged(&file->source))
		changed(client, file, now);
	else
		file_finish(client, file, FT_CLIENT_FILE, -1, file->source.stream
			    ? "it cannot be read, or the broker has lost what cannot be read again"
			    : "it cannot be read any more");
}

static void drop_cancelled(struct ft_client *client)
{
	struct file **link = &client->queue;

	client->any_cancelled = false;
	while (*link) {
		struct file *file = *link;
		if (!file->cancelled) {
			link = &file->next;
			continue;
		}
		*link = file->next;
		/* The caller may add one now. */
		if (!file->next)
			client->queue_end = link;
		report(client, file, FT_CLIENT_GAVE_UP, -1, "cancelled");
	}
	client->queue_end = link;
}

/* It has waited for another one with the same id. */
static void begin_twin(struct ft_client *client, struct file *file, int64_t now)
{
	if (is_in_use(client, file, file->file_id))
		return;
	if (client->seal)
		begin_sealed(client, file, now);
	else
		file_begin_upload(client, file, now);
}

void files_settle(struct ft_client *client, int64_t now)
{
	struct file *next;

	client->sealing = false;
	if (client->any_cancelled)
		drop_cancelled(client);
	for (struct file *file = client->active; file; file = next) {
		next = file->next;
		if (client->taken_ms < file->upload.headway_ms)
			client->taken_ms = file->upload.headway_ms;
		upload_tick(&file->upload, now);
		if (file->upload.too_large)
			pace_limit(&client->pace, file->upload.too_large / 2);
		file->upload.too_large = 0;
		if (file->cancelled) {
			if (file->has_upload)
				send_abort(client, file->file_id);
			file_finish(client, file, FT_CLIENT_GAVE_UP, -1, "cancelled");
		} else if (file->seal == SEAL_WORKING) {
			seal_go_on(client, file, now);
		} else if (!file->has_upload) {
			begin_twin(client, file, now);
		} else if (file->source.differs) {
			changed(client, file, now);
		} else if (file->file_failed) {
			failed_to_read(client, file, now);
		} else {
			judge(client, file, now);
		}
	}
}

/* Whether the hash will not come along with the bytes that are sent. */
static bool needs_hash(const struct file *file)
{
	const struct upload *upload = &file->upload;

	if (file->source.stream || file->source.hashed == file->source.size)
		return false;
	return upload->phase == PHASE_FIN ||
	       (upload->phase == PHASE_SEND && upload_floor(upload) > file->source.hashed);
}

bool files_hash(struct ft_client *client)
{
	const char *why;

	for (struct file *file = client->active; file; file = file->next) {
		if (!needs_hash(file))
			continue;
		source_hash_on(&file->source, HASH_SLICE, &why);
		file->file_failed = why != NULL;
		return true;
	}
	return false;
}

void files_remember(struct ft_client *client)
{
	for (struct file *file = client->active; file; file = file->next) {
		struct saved_item item = {
			.path = file->place, .file_id = file->file_id, .name = file->name,
			.size = file->source.size,
			.mtime_s = file->source.stat.st_mtim.tv_sec,
			.mtime_ns = file->source.stat.st_mtim.tv_nsec,
			.hashed = file->source.hashed,
		};
		/* An earlier run's checksum is worth more than a shorter one of ours. */
		bool worth = file->source.hashed >= file->source.check_at;
		if (file->place && file->has_upload && worth &&
		    source_digest(&file->source, item.sha256))
			(void)saved_put(&client->saved, &item);
	}
}
