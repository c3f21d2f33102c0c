/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/admin/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "engine/admin/adopt.h"
#include "engine/downloads/announcer.h"
#include "engine/engine_private.h"
#include "protocol/manifest.h"
#include "protocol/offer.h"

#define VERIFY_PAGE_MS 25		/* of looking for the next file */
#define VERIFY_SLICE ((uint64_t)4 * 1024 * 1024)	/* bytes that are read at a time */
#define VERIFY_BLOCK ((size_t)64 * 1024)
#define VERIFY_LINES 100		/* files of one kind that are named in the log */
#define VERIFY_TOLD 64			/* adopted files that the broker is told of together */
#define VERIFY_PLACE_SHOWN 200		/* bytes of a path in a line */

enum ft_status ft_verify_begin(struct ft_core *core, enum ft_verify_kind kind, size_t total)
{
	struct ft_verify *verify = &core->verify;
	struct ft_verify_job *job;

	if (atomic_load(&verify->running))
		return FT_BUSY;
	if (!(job = calloc(1, sizeof *job)))
		return FT_NO_MEMORY;
	job->job.kind = FT_JOB_VERIFY;
	job->kind = kind;
	ft_link_init(&job->job.link);
	atomic_store(&verify->running, true);
	atomic_store(&verify->cancelled, false);
	atomic_store(&verify->began_ms, ft_clock_unix_ms());
	atomic_store(&verify->ended_ms, 0);
	atomic_store(&verify->total, kind == FT_VERIFY_ALL ? total : 0);
	atomic_store(&verify->files, 0);
	atomic_store(&verify->bytes, 0);
	atomic_store(&verify->missing, 0);
	atomic_store(&verify->damaged, 0);
	atomic_store(&verify->unknown, 0);
	atomic_store(&verify->adopted, 0);
	ft_core_submit(core, FT_LANE_ADMIN, &job->job);
	return FT_OK;
}

bool ft_verify_cancel(struct ft_core *core)
{
	if (!atomic_load(&core->verify.running))
		return false;
	atomic_store(&core->verify.cancelled, true);
	return true;
}

void ft_verify_say(struct ft_core *core, struct ft_buf *to)
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
	ft_control_put_number(to, "unknown", atomic_load(&verify->unknown));
	ft_control_put_number(to, "adopted", atomic_load(&verify->adopted));
	ft_buf_char(to, '}');
}

/* --- files of the catalog --- */

/* Takes the first file of a page, and no other one. */
static bool verify_take_file(void *context, const struct ft_finished *file)
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
static bool verify_next_file(struct ft_core *core, struct ft_catalog *catalog,
			     struct ft_verify_job *job)
{
	const struct ft_file_filter all = { .until_ms = INT64_MAX, .max_size = INT64_MAX };

	while (!job->ids) {
		if (ft_catalog_page_files(catalog, &all, &job->cursor,
					  ft_clock_ms() + VERIFY_PAGE_MS, verify_take_file,
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
static bool verify_is_current(struct ft_catalog *catalog, const struct ft_verify_job *job)
{
	struct ft_finished now;

	return ft_catalog_find_finished(catalog, &job->file.key, &now) == FT_OK
	       && now.number == job->file.number
	       && memcmp(now.transfer_id, job->file.transfer_id, sizeof now.transfer_id) == 0;
}

/* Of each kind the first are named in the log; of those that follow only the number is told. */
static bool verify_count(struct ft_core *core, atomic_ullong *counter)
{
	unsigned long long before = atomic_fetch_add(counter, 1);

	if (before == VERIFY_LINES)
		ft_logger_printf(core->logger, FT_LOG_NOTICE, "verification: of such files no more are "
				 "named, their number comes at the end");
	return before < VERIFY_LINES;
}

static void verify_end_file(struct ft_core *core, struct ft_catalog *catalog,
			    struct ft_verify_job *job, enum ft_status st)
{
	struct ft_sha256 digest;

	if (st == FT_OK && !ft_hasher_digest(job->hasher, &digest))
		st = FT_INTERNAL_ERROR;
	if (st == FT_OK && !ft_sha256_equal(&digest, &job->file.checksum))
		st = FT_FILE_CHECKSUM_MISMATCH;
	atomic_fetch_add(&core->verify.files, 1);
	if (st != FT_OK && verify_is_current(catalog, job)) {
		if (st == FT_NO_SUCH_TRANSFER && verify_count(core, &core->verify.missing))
			ft_core_log(core, FT_LOG_NOTICE, &job->file.key, "'%s' is not there any more",
				    job->file.name);
		else if (st != FT_NO_SUCH_TRANSFER && verify_count(core, &core->verify.damaged))
			ft_core_log(core, FT_LOG_ERROR, &job->file.key, "'%s' does not have the "
				    "bytes any more that were finished (%s)", job->file.name,
				    ft_status_word(st));
	}
	ft_hasher_free(job->hasher);
	free(job->ids);
	job->hasher = NULL;
	job->ids = NULL;
}

/* Reads on; a file that was read to its end, or cannot be, is done. */
static void verify_read_on(struct ft_core *core, struct ft_catalog *catalog,
			   struct ft_verify_job *job)
{
	uint8_t *block = ft_core_alloc(VERIFY_BLOCK);
	uint64_t at = 0, left = VERIFY_SLICE;
	enum ft_status st = FT_OK;

	if (!job->hasher && !(job->hasher = ft_hasher_new()))
		st = FT_NO_MEMORY;
	else if (job->file.size == 0)	/* nothing will be read */
		st = core->ops->find(core->store, &job->file.key, job->file.name);
	while (st == FT_OK && left > 0 && (at = ft_hasher_position(job->hasher)) < job->file.size) {
		uint64_t rest = job->file.size - at;
		size_t len = rest < VERIFY_BLOCK ? (size_t)rest : VERIFY_BLOCK;

		st = core->ops->read_finished(core->store, &job->file.key, job->file.name, at,
					      block, len);
		if (st == FT_OK && !ft_hasher_update(job->hasher, block, len))
			st = FT_INTERNAL_ERROR;
		atomic_fetch_add(&core->verify.bytes, st == FT_OK ? len : 0);
		left -= len < left ? len : left;
	}
	free(block);
	if (st != FT_OK || left > 0)
		verify_end_file(core, catalog, job, st);
}

/* --- files that the catalog does not know --- */

struct verify_walk {
	struct ft_core *core;
	struct ft_catalog *catalog;
	enum ft_verify_kind kind;
	struct ft_taken *adopted;	/* those that the broker is not told of yet; NULL: none */
	size_t count;			/* of them */
};

/* A file that was found: what its manifest says, or without one the key that its place says. */
struct verify_found {
	const struct ft_store_found *found;
	struct ft_finished finished;
	char *ids;			/* owned */
	const char *why;		/* it cannot be adopted; NULL: it may be. Static storage */
};

static bool verify_must_end(const struct ft_core *core)
{
	return atomic_load(&core->verify.cancelled) || atomic_load(&core->stopping);
}

/* Without a manifest. False: the names are too long to say of which ids they are. */
static bool verify_key_of_place(struct verify_found *v)
{
	char *owner = ft_core_alloc(2 * (size_t)FT_NAME_ROOM), *file = owner + FT_NAME_ROOM;
	struct ft_key *key = &v->finished.key;

	v->ids = owner;
	key->owner = owner;
	key->file = file;
	snprintf(v->finished.name, sizeof v->finished.name, "%s", v->found->name);
	v->why = "it has no manifest";
	return ft_offer_whose_id(owner, &key->owner_len, v->found->owner_name)
	       && ft_offer_whose_id(file, &key->file_len, v->found->file_name) && key->file_len > 0;
}

static bool verify_read(struct verify_found *v)
{
	const struct ft_store_found *found = v->found;

	if (!found->manifest)
		return verify_key_of_place(v);
	if (ft_manifest_read(&v->finished, &v->ids, found->manifest, found->manifest_len) != FT_OK)
		v->why = "its manifest cannot be read";
	else if (!ft_adopt_fits_place(&v->finished, found))
		v->why = "its manifest is that of another file, or of another size";
	else if (found->size == FT_STORE_TAKEN)
		v->why = "there is only its manifest";
	return true;
}

/*
 * Whether the catalog has a file of this name, or is about to have it. What lies beside a file that
 * it has is a consumer's.
 */
static bool verify_is_known(struct verify_walk *walk, struct verify_found *v)
{
	struct ft_finished known;
	uint64_t number = 0;

	if (!v->finished.key.file)
		return false;
	if (ft_catalog_find_finished(walk->catalog, &v->finished.key, &known) == FT_OK) {
		if (strcmp(known.name, v->finished.name) == 0 || !v->found->manifest)
			return true;
		if (!v->why)
			v->why = "another file is finished under its id";
	}
	if (ft_adopt_number(walk->catalog, &v->finished, &number) == FT_OK && number > 0)
		return true;	/* it is being published just now */
	if (ft_catalog_find_number(walk->catalog, &v->finished.key, &number) == FT_OK && number > 0) {
		if (!v->found->manifest)
			return true;
		if (!v->why)
			v->why = "a transfer of its id is unfinished";
	}
	return false;
}

/* Between two questions to the catalog something may be finished: they are asked at one time. */
static bool verify_is_unknown(struct verify_walk *walk, struct verify_found *v)
{
	bool known = true;
	enum ft_status st = ft_catalog_begin(walk->catalog);

	if (st == FT_OK)
		known = verify_is_known(walk, v);
	return ft_catalog_end(walk->catalog, st) == FT_OK && !known;
}

static enum ft_status verify_checksum(struct ft_core *core, struct verify_found *v)
{
	const struct ft_finished *file = &v->finished;
	struct ft_hasher *hasher = ft_hasher_new();
	uint8_t *block = ft_core_alloc(VERIFY_BLOCK);
	enum ft_status st = hasher ? FT_OK : FT_NO_MEMORY;
	struct ft_sha256 digest;

	for (uint64_t at = 0; st == FT_OK && at < file->size; at += VERIFY_BLOCK) {
		size_t len = file->size - at < VERIFY_BLOCK ? (size_t)(file->size - at) : VERIFY_BLOCK;

		st = core->ops->read_finished(core->store, &file->key, file->name, at, block, len);
		if (st == FT_OK && !ft_hasher_update(hasher, block, len))
			st = FT_INTERNAL_ERROR;
		if (st == FT_OK && verify_must_end(core))
			st = FT_CANCELLED;
		atomic_fetch_add(&core->verify.bytes, st == FT_OK ? len : 0);
	}
	if (st == FT_OK && (!ft_hasher_digest(hasher, &digest)
			    || !ft_sha256_equal(&digest, &file->checksum)))
		st = FT_FILE_CHECKSUM_MISMATCH;
	free(block);
	ft_hasher_free(hasher);
	return st;
}

/* Into the catalog, if nobody has come first, and the file is still there. */
static enum ft_status verify_enter(struct verify_walk *walk, struct verify_found *v)
{
	struct ft_core *core = walk->core;
	enum ft_status st = ft_catalog_begin(walk->catalog);

	if (st == FT_OK && (verify_is_known(walk, v) || v->why))
		st = FT_BUSY;
	if (st == FT_OK)
		st = core->ops->find(core->store, &v->finished.key, v->finished.name);
	if (st == FT_OK)
		st = ft_adopt(core, walk->catalog, &v->finished, v->found);
	st = ft_catalog_end(walk->catalog, st);
	if (st == FT_OK && core->options->durability != FT_DURABILITY_NONE)
		st = ft_catalog_sync(walk->catalog);
	return st;
}

static void verify_tell_adopted(struct verify_walk *walk)
{
	if (!walk->adopted)
		return;
	ft_core_tell_broker(walk->core, &walk->adopted->job);
	walk->adopted = NULL;
	walk->count = 0;
}

static void verify_note_adopted(struct verify_walk *walk, const struct ft_finished *file)
{
	if (!walk->adopted) {
		walk->adopted = ft_core_alloc(sizeof *walk->adopted);
		walk->adopted->job.kind = FT_JOB_ADOPTED;
		ft_link_init(&walk->adopted->job.link);
		ft_list_init(&walk->adopted->files);
	}
	ft_list_push(&walk->adopted->files, &ft_taken_file_new(file)->link);
	if (++walk->count == VERIFY_TOLD)
		verify_tell_adopted(walk);
}

/* False: it stays what it is, and v->why says why. */
static bool verify_adopt(struct verify_walk *walk, struct verify_found *v)
{
	enum ft_status st;

	if (v->why)
		return false;
	if ((st = verify_checksum(walk->core, v)) == FT_OK)
		st = verify_enter(walk, v);
	if (st == FT_OK) {
		verify_note_adopted(walk, &v->finished);
		if (verify_count(walk->core, &walk->core->verify.adopted))
			ft_core_log(walk->core, FT_LOG_NOTICE, &v->finished.key, "'%s' is adopted, %llu "
				    "bytes", v->finished.name, (unsigned long long)v->finished.size);
		return true;
	}
	if (!v->why)
		v->why = st == FT_FILE_CHECKSUM_MISMATCH
			 ? "it does not have the bytes that its manifest says" : ft_status_text(st);
	return false;
}

static void verify_say_unknown(struct verify_walk *walk, const struct verify_found *v)
{
	char room[4 * VERIFY_PLACE_SHOWN + 8];
	struct ft_buf place = ft_buf_on(room, sizeof room);

	if (!verify_count(walk->core, &walk->core->verify.unknown))
		return;
	ft_buf_printable(&place, v->found->place, strlen(v->found->place), VERIFY_PLACE_SHOWN);
	ft_logger_printf(walk->core->logger, FT_LOG_NOTICE, "%s is not known to the catalog: %s", room,
			 v->why ? v->why : "it can be adopted");
}

static bool verify_visit(void *context, const struct ft_store_found *found)
{
	struct verify_walk *walk = context;
	struct verify_found v = { .found = found };

	if (verify_must_end(walk->core))
		return false;
	if (verify_read(&v) && !verify_is_known(walk, &v) && verify_is_unknown(walk, &v)
	    && (walk->kind != FT_VERIFY_ADOPT || !verify_adopt(walk, &v))
	    && !verify_must_end(walk->core))
		verify_say_unknown(walk, &v);
	free(v.ids);
	return true;
}

static void verify_look_around(struct ft_core *core, struct ft_catalog *catalog,
			       enum ft_verify_kind kind)
{
	struct verify_walk walk = { .core = core, .catalog = catalog, .kind = kind };

	if (core->ops->list_finished(core->store, verify_visit, &walk) != FT_OK
	    || verify_must_end(core))
		atomic_store(&core->verify.cancelled, true);
	if (atomic_load(&core->verify.adopted) > 0)
		ft_announce_soon(core);
	verify_tell_adopted(&walk);
}

void engine_take_adopted(struct ft_engine *e, struct ft_taken *adopted)
{
	struct ft_job *job = &adopted->job;

	for (struct ft_link *link = adopted->files.head.next; link != &adopted->files.head;
	     link = link->next) {
		const struct ft_taken_file *file = FT_CONTAINER(link, struct ft_taken_file, link);

		engine_add_finished_bytes(e, &file->key, file->size);
		if (ft_finished_set_add(&e->finished, ft_registry_hash(&e->registry, &file->key)) != FT_OK)
			ft_core_log(&e->core, FT_LOG_ERROR, &file->key, "out of memory: this finished "
				    "file is not known to the broker until its next start");
	}
	ft_job_free(&job);
}

/* --- all --- */

static void verify_say_end(struct ft_core *core, enum ft_verify_kind kind)
{
	struct ft_verify *verify = &core->verify;
	const char *rest = atomic_load(&verify->cancelled) ? "; it was ended before all were" : "";

	if (kind == FT_VERIFY_ADOPT)
		ft_logger_printf(core->logger, FT_LOG_NOTICE, "adopted %llu files that the catalog did "
				 "not know; %llu others could not be%s",
				 (unsigned long long)atomic_load(&verify->adopted),
				 (unsigned long long)atomic_load(&verify->unknown), rest);
	else
		ft_logger_printf(core->logger, FT_LOG_NOTICE, "verified %llu finished files, %llu of "
				 "them damaged, %llu not there any more; %llu others are not known to the "
				 "catalog%s", (unsigned long long)atomic_load(&verify->files),
				 (unsigned long long)atomic_load(&verify->damaged),
				 (unsigned long long)atomic_load(&verify->missing),
				 (unsigned long long)atomic_load(&verify->unknown), rest);
}

void ft_verify_run(struct ft_core *core, struct ft_catalog *catalog, struct ft_verify_job *job)
{
	struct ft_job *done = &job->job;
	struct ft_verify *verify = &core->verify;

	if (atomic_load(&core->stopping))
		atomic_store(&verify->cancelled, true);
	if (job->kind == FT_VERIFY_ALL && !atomic_load(&verify->cancelled)
	    && (job->ids || (!job->last && verify_next_file(core, catalog, job)))) {
		verify_read_on(core, catalog, job);
		ft_core_submit(core, FT_LANE_ADMIN, done);
		return;
	}
	if (!atomic_load(&verify->cancelled))
		verify_look_around(core, catalog, job->kind);
	atomic_store(&verify->ended_ms, ft_clock_unix_ms());
	verify_say_end(core, job->kind);
	atomic_store(&verify->running, false);
	ft_job_free(&done);
}
