/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/engine_private.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/system.h"
#include "engine/admin/adopt.h"
#include "engine/downloads/announcer.h"
#include "engine/downloads/downloads.h"
#include "engine/events.h"
#include "engine/judge.h"
#include "protocol/manifest.h"

#define ENGINE_TIMER_MS 100		/* how often timers are looked at */
#define ENGINE_JOBS_MAX 64		/* results taken per call: clients wait meanwhile */
#define ENGINE_KEYS_TOGETHER 32		/* that are fetched from memory at a time */
#define ENGINE_STOP_MS 5000
#define ENGINE_STOP_STEP_MS 5

/* --- memory --- */

static enum ft_status engine_check_kept(const struct ft_engine *e, size_t more, size_t most)
{
	size_t kept = e->registry.bytes + e->charged;

	return more > most || kept > most - more ? FT_BUSY : FT_OK;
}

enum ft_status engine_check_memory(const struct ft_engine *e, size_t more)
{
	size_t most = (size_t)e->options->max_memory;

	return engine_check_kept(e, more, most - most / ENGINE_MEMORY_ENDING);
}

void engine_charge_ranges(struct ft_engine *e, struct ft_transfer *t)
{
	size_t cost = t->held.count * ENGINE_RANGE_COST;

	e->charged += cost;
	e->charged -= t->charged;
	t->charged = cost;
	ft_registry_count_held(&e->registry, t);
}

enum ft_status engine_add_transfer(struct ft_engine *e, const struct ft_facts *facts,
				   enum ft_transfer_state state, struct ft_transfer **out)
{
	struct ft_transfer *t = ft_registry_add(&e->registry, &facts->key, facts->number, state);

	if (!t)
		return FT_NO_MEMORY;
	*t->meta = facts->meta;
	t->responses = facts->terms.responses;
	t->segments_ttl = facts->terms.segments_ttl;
	t->begun_ms = facts->received_ms;
	memcpy(t->transfer_id, facts->transfer_id, sizeof t->transfer_id);
	t->news_ms = t->logged_news_ms = e->now_ms;
	*out = t;
	return FT_OK;
}

void engine_remove_transfer(struct ft_engine *e, struct ft_transfer **transfer)
{
	e->charged -= (*transfer)->charged;
	ft_registry_remove(&e->registry, transfer);
}

static enum ft_status engine_copy_request(struct ft_engine *e, const struct ft_request *request,
					  struct ft_ticket **out)
{
	if (!(*out = ft_ticket_new(request)))
		return FT_NO_MEMORY;
	e->charged += ft_ticket_size(request);
	return FT_OK;
}

enum ft_status engine_make_ticket(struct ft_engine *e, const struct ft_request *request,
				  struct ft_ticket **out)
{
	enum ft_status st = engine_check_kept(e, ft_ticket_size(request),
					      (size_t)e->options->max_memory);

	return st == FT_OK ? engine_copy_request(e, request, out) : st;
}

void engine_drop_ticket(struct ft_engine *e, struct ft_ticket **ticket)
{
	e->charged -= ft_ticket_size(&(*ticket)->request);
	ft_ticket_free(ticket);
}

static enum ft_status engine_enlist(struct ft_engine *e, struct ft_transfer *t, struct ft_list *list,
				    const struct ft_request *request)
{
	struct ft_ticket *ticket;
	enum ft_status st = engine_copy_request(e, request, &ticket);

	if (st != FT_OK)
		return st;
	ft_list_push(list, &ticket->link);
	t->waiting++;
	return FT_OK;
}

enum ft_status engine_wait(struct ft_engine *e, struct ft_transfer *t, struct ft_list *list,
			   const struct ft_request *request)
{
	enum ft_status st = engine_check_memory(e, ft_ticket_size(request));

	return st == FT_OK ? engine_enlist(e, t, list, request) : st;
}

/* --- the log --- */

bool engine_wait_room(struct ft_engine *e, enum ft_record_kind kind, size_t records, size_t bytes)
{
	int64_t start_us = ft_latency_clock_us();
	bool room = ft_log_wait_room(e->core.log, kind, records, bytes, ENGINE_ROOM_MS);

	ft_latency_add(&e->metrics.room, ft_latency_clock_us() - start_us);
	return room;
}

enum ft_status engine_append(struct ft_engine *e, const struct ft_log_entry *entry)
{
	enum ft_status st = ft_log_append(e->core.log, entry);

	if (st == FT_BUSY
	    && engine_wait_room(e, entry->kind, 1, entry->head_len + entry->bytes_len))
		st = ft_log_append(e->core.log, entry);
	if (st == FT_BUSY && atomic_load(&e->core.disk_full))
		st = FT_DISK_FULL;
	if (st == FT_OK)
		e->appended += entry->bytes_len;
	return st;
}

enum ft_status engine_append_plain(struct ft_engine *e, enum ft_record_kind kind, uint64_t number,
				   uint16_t flags)
{
	const struct ft_log_entry entry = { .kind = kind, .number = number, .flags = flags };

	return engine_append(e, &entry);
}

/* --- start --- */

static enum ft_status engine_open_catalog(struct ft_engine *e, const struct ft_engine_config *config,
					  const struct ft_log_place *place, const uint8_t *log_id,
					  enum ft_catalog_past *past)
{
	char path[FT_LOG_PATH_ROOM], aside[FT_LOG_PATH_ROOM + 40];
	struct ft_catalog_config catalog = {
		.path = path, .url = ft_options_catalog_url(config->options),
		.identity = config->identity, .log_id = log_id,
		.log_medium = place->medium, .logger = config->logger,
	};
	enum ft_status st;

	snprintf(path, sizeof path, "%s/catalog.db", config->options->storage_dir);
	st = ft_catalog_open(&catalog, &e->core.catalog, past);
	if (st != FT_DAMAGED || catalog.url)
		return st;
	snprintf(aside, sizeof aside, "%s.damaged-%lld", path, (long long)ft_clock_unix_ms());
	if ((st = ft_catalog_move(path, aside)) != FT_OK)
		return st;
	ft_logger_printf(config->logger, FT_LOG_ERROR, "%s was damaged and is now %s: the catalog is made "
			 "anew from the manifests under files/, unfinished transfers are lost", path,
			 aside);
	return ft_catalog_open(&catalog, &e->core.catalog, past);
}

/* A store that forgets needs a catalog and a log that do. */
static void engine_forget(const struct ft_engine_config *config)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };
	char path[4096];

	if (strcmp(config->ops->name, "memory") != 0)
		return;
	for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
		snprintf(path, sizeof path, "%s/catalog.db%s", config->options->storage_dir,
			 suffixes[i]);
		(void)(unlink(path) != 0);
	}
	for (size_t i = 0; i < config->log_place_count; i++)
		(void)(unlink(config->log_places[i].path) != 0);
}

static struct ft_log_config engine_log_config(const struct ft_engine_config *config,
					      const struct ft_log_place *place)
{
	const struct ft_options *options = config->options;
	struct ft_log_config log = {
		.path = place->path, .medium = place->medium, .size = options->log_size,
		.identity = config->identity, .whose = config->whose, .logger = config->logger,
		.sync = options->durability == FT_DURABILITY_SEGMENT ? FT_LOG_SYNCED : FT_LOG_MAPPED,
	};

	return log;
}

static enum ft_status engine_replay(struct ft_engine *e)
{
	enum ft_status st = ft_writer_new(&e->core, &e->writer);

	return st == FT_OK ? ft_writer_replay(e->writer) : st;
}

static enum ft_status engine_put_log(struct ft_engine *e, const char *identity,
				     const uint8_t *log_id)
{
	enum ft_status st = ft_catalog_begin(e->core.catalog);

	if (st == FT_OK)
		st = ft_catalog_put_log(e->core.catalog, identity, log_id);
	return ft_catalog_end(e->core.catalog, st);
}

/*
 * A log that lies elsewhere, since log_dir was changed: what is in it goes to store and catalog,
 * and then the catalog takes the new one for its own.
 */
static enum ft_status engine_drain_former(struct ft_engine *e, const struct ft_engine_config *config,
					  const struct ft_log_place *place,
					  enum ft_catalog_past *past)
{
	const struct ft_log_config former = engine_log_config(config, place);
	char why[FT_ERROR_ROOM];
	uint8_t log_id[FT_LOG_ID_LEN];
	enum ft_status st;

	st = ft_log_open_former(&former, &e->core.log, log_id);
	if (st != FT_OK || !e->core.log)
		return st;
	st = engine_open_catalog(e, config, place, log_id, past);
	if (st == FT_OK && (st = engine_replay(e)) == FT_OK)
		ft_logger_printf(config->logger, FT_LOG_NOTICE, "what was in the former log %s was taken "
				 "over", place->path);
	ft_writer_free(&e->writer);
	/* A kill behind the removal must not look like a log that was lost. */
	if (st == FT_OK)
		st = engine_put_log(e, config->identity, NULL);
	if (st == FT_OK && !ft_log_note_place(config->options->storage_dir, &config->log_places[0])) {
		ft_logger_printf(config->logger, FT_LOG_ERROR, "it cannot be noted in storage_dir where the "
				 "log is from now on: %s", ft_error_text(errno, why));
		st = FT_IO_ERROR;
	}
	return st == FT_OK ? ft_log_remove(&e->core.log) : st;
}

static enum ft_status engine_open(struct ft_engine *e, const struct ft_engine_config *config,
				  enum ft_catalog_past *past)
{
	const struct ft_store_config store = {
		.dir = config->options->storage_dir, .logger = config->logger,
		.durability = (enum ft_durability)config->options->durability,
		.s3 = &config->options->s3,
	};
	const struct ft_log_place *place = &config->log_places[0];
	const struct ft_log_config log = engine_log_config(config, place);
	enum ft_log_past log_past = FT_LOG_NEW;
	uint8_t log_id[FT_LOG_ID_LEN];
	char why[FT_ERROR_ROOM];
	enum ft_status st;

	engine_forget(config);
	if ((st = config->ops->open(&store, &e->core.store)) != FT_OK)
		return st;
	for (size_t i = 1; i < config->log_place_count && !e->core.catalog; i++)
		if ((st = engine_drain_former(e, config, &config->log_places[i], past)) != FT_OK)
			return st;
	if ((st = ft_log_open(&log, &e->core.log, &log_past, log_id)) != FT_OK)
		return st;
	st = e->core.catalog ? engine_put_log(e, config->identity, log_id)
			     : engine_open_catalog(e, config, place, log_id, past);
	if (st == FT_OK && (log_past == FT_LOG_DROPPED || *past == FT_CATALOG_CUT))
		ft_logger_printf(config->logger, FT_LOG_WARNING, "after a power cut (or where that cannot "
				 "be told) only what was synced counts as held: clients are asked for "
				 "the rest again");
	if (st == FT_OK && !ft_log_note_place(config->options->storage_dir, place))
		ft_logger_printf(config->logger, FT_LOG_WARNING, "it cannot be noted in storage_dir that the "
				 "log is %s (%s): do not change log_dir before that works", place->path,
				 ft_error_text(errno, why));
	if (st == FT_OK)
		ft_log_remove_leftovers(place->path, config->logger);
	return st;
}

/*
 * A power cut may have left the file, and taken what the catalog had said of it: then its
 * transfer may still be unfinished there, or the file that it replaced the finished one.
 */
static enum ft_status engine_take_in(struct ft_engine *e, struct ft_finished *finished,
				     const struct ft_store_found *found)
{
	const struct ft_json_text no_data = { NULL, 0 };
	struct ft_finished known;
	enum ft_status st = ft_adopt_number(e->core.catalog, finished, &finished->number);

	if (st == FT_OK)
		st = ft_catalog_find_finished(e->core.catalog, &finished->key, &known);
	if (st == FT_OK && finished->completed_ms <= known.completed_ms)
		return FT_OK;
	if (st != FT_OK && st != FT_NO_SUCH_TRANSFER)
		return st;
	st = ft_adopt(&e->core, e->core.catalog, finished, found);
	e->taken_in++;
	/* Of the files of a catalog that is lost it was told long ago. */
	if (st == FT_OK && e->past == FT_CATALOG_CUT && e->options->events == FT_EVENTS_ON)
		st = ft_events_put(e->core.catalog, finished, &no_data);
	return st;
}

/* One finished file that the store has, for a catalog that is made anew. */
static bool engine_list_visit(void *context, const struct ft_store_found *found)
{
	struct ft_engine *e = context;
	struct ft_finished finished;
	char *ids = NULL;
	enum ft_status st;

	if (!found->manifest)
		return true;
	st = ft_manifest_read(&finished, &ids, found->manifest, found->manifest_len);
	if (st == FT_OK && !ft_adopt_fits_place(&finished, found))
		st = FT_DAMAGED;
	if (st == FT_DAMAGED)
		ft_logger_printf(e->core.logger, FT_LOG_WARNING, "%s: its manifest does not fit, so it "
				 "does not count as a finished file", found->place);
	else if (st == FT_OK && engine_take_in(e, &finished, found) != FT_OK)
		e->closing = true;	/* stops the walk with an error */
	free(ids);
	return !e->closing;
}

static enum ft_status engine_list_finished(struct ft_engine *e)
{
	enum ft_status st = ft_catalog_begin(e->core.catalog);

	if (st == FT_OK)
		st = e->core.ops->list_finished(e->core.store, engine_list_visit, e);
	if (st == FT_OK && e->closing)
		st = FT_IO_ERROR;
	e->closing = false;
	if (st == FT_OK)
		st = ft_catalog_put_filled(e->core.catalog);
	st = ft_catalog_end(e->core.catalog, st);
	if (st == FT_BUSY) {
		ft_logger_printf(e->core.logger, FT_LOG_WARNING, "the store cannot be asked now which "
				 "files are finished: the catalog may not know all of them");
		return FT_OK;
	}
	if (st == FT_OK && e->taken_in > 0)
		ft_logger_printf(e->core.logger, FT_LOG_NOTICE, "%zu finished files were in storage_dir "
				 "and not in its catalog: now they are", e->taken_in);
	return st;
}

/* Hashes on their way into the set of finished ids. */
struct engine_keys {
	struct ft_engine *engine;
	uint64_t hash[ENGINE_KEYS_TOGETHER];
	size_t count;
};

static enum ft_status engine_add_keys(struct engine_keys *keys)
{
	enum ft_status st = FT_OK;

	for (size_t i = 0; st == FT_OK && i < keys->count; i++)
		st = ft_finished_set_add(&keys->engine->finished, keys->hash[i]);
	keys->count = 0;
	return st;
}

static enum ft_status engine_load_key(void *context, const struct ft_key *key, uint64_t size)
{
	struct engine_keys *keys = context;
	struct ft_engine *e = keys->engine;
	uint64_t hash = ft_registry_hash(&e->registry, key);

	engine_add_finished_bytes(e, key, size);
	ft_finished_set_expect(&e->finished, hash);
	keys->hash[keys->count++] = hash;
	return keys->count < ENGINE_KEYS_TOGETHER ? FT_OK : engine_add_keys(keys);
}

static enum ft_status engine_load_finished(struct ft_engine *e)
{
	struct engine_keys keys = { .engine = e };
	size_t count;
	enum ft_status st = ft_catalog_count_finished(e->core.catalog, &count);

	if (st == FT_OK)
		st = ft_finished_set_reserve(&e->finished, count);
	if (st == FT_OK)
		st = ft_catalog_each_finished_key(e->core.catalog, engine_load_key, &keys);
	return st == FT_OK ? engine_add_keys(&keys) : st;
}

static const enum ft_transfer_state engine_states[] = {
	[FT_CATALOG_RECEIVING] = FT_TRANSFER_RECEIVING,
	[FT_CATALOG_FINISHING] = FT_TRANSFER_ASSEMBLING,
	[FT_CATALOG_CONFLICT] = FT_TRANSFER_CONFLICT,
};

/*
 * Expiry counts the time in which a broker ran: so many ms have passed since the last news,
 * but there is always segments_ttl_min to go after a start.
 */
static int64_t engine_news_ms(const struct ft_engine *e, const struct ft_unfinished *found)
{
	int64_t age_ms = ft_writer_progress(e->writer).run_ms - found->news_run_ms;
	int64_t ttl_ms = (int64_t)engine_ttl_s(e, found->facts.terms.segments_ttl) * 1000;
	int64_t most_ms = ttl_ms - (int64_t)e->options->segments_ttl_min * 1000;

	if (age_ms > most_ms)
		age_ms = most_ms;
	return e->now_ms - (age_ms > 0 ? age_ms : 0);
}

static enum ft_status engine_load_transfer(void *context, struct ft_unfinished *found)
{
	struct ft_engine *e = context;
	struct ft_transfer *t;
	enum ft_status st;

	st = engine_add_transfer(e, &found->facts, engine_states[found->state], &t);
	if (st != FT_OK)
		return st;
	t->refused = found->refused;
	t->fin = found->fin;
	t->held = found->held;
	ft_ranges_init(&found->held);
	engine_charge_ranges(e, t);
	t->news_ms = t->logged_news_ms = engine_news_ms(e, found);
	if (t->state == FT_TRANSFER_ASSEMBLING)
		engine_note_assembling(e, t);
	return FT_OK;
}

/* What waits in the log for room in the store is held, and its fin accepted, as it was before. */
static enum ft_status engine_load_held_back(void *context, const struct ft_held_back *held_back)
{
	struct ft_engine *e = context;
	struct ft_transfer *t = ft_registry_find_number(&e->registry, held_back->number);
	enum ft_status st = FT_OK;

	for (size_t i = 0; t && st == FT_OK && i < held_back->piece_count; i++) {
		const struct ft_piece *piece = &held_back->pieces[i];

		st = ft_ranges_restore(&t->held, piece->offset, piece->offset + piece->len);
	}
	if (!t || st != FT_OK)
		return st;
	engine_charge_ranges(e, t);
	if (!held_back->fin)
		return FT_OK;
	t->fin = *held_back->fin;
	ft_transfer_move(t, FT_TRANSFER_ASSEMBLING);
	return held_back->ticket ? engine_enlist(e, t, &t->fins, held_back->ticket) : FT_OK;
}

/* A result that an earlier process could not tell, or that is still to come. */
static enum ft_status engine_load_answer(void *context, const struct ft_answer *answer)
{
	struct ft_engine *e = context;
	struct ft_transfer *t = ft_registry_find_number(&e->registry, answer->number);
	struct ft_retold *retold;

	/* Accepted is accepted, though less memory may be allowed now. */
	if (!answer->known)
		return t ? engine_enlist(e, t, &t->fins, &answer->ticket) : FT_OK;
	if (!(retold = calloc(1, sizeof *retold)))
		return FT_NO_MEMORY;
	if (!(retold->ticket = ft_ticket_new(&answer->ticket))) {
		free(retold);
		return FT_NO_MEMORY;
	}
	retold->job.kind = FT_JOB_RETOLD;
	retold->job.number = answer->number;
	retold->job.status = answer->result;
	ft_link_init(&retold->job.link);
	ft_queue_push(&e->core.to_broker, &retold->job.link);
	return FT_OK;
}

/* Names on disk, for the sweep: a set of hashes is enough, and errs on the side of keeping. */
static uint64_t engine_hash_names(const struct ft_engine *e, const char *owner_name,
				  const char *file_name)
{
	const struct ft_key names = {
		.owner = owner_name, .owner_len = strlen(owner_name),
		.file = file_name, .file_len = strlen(file_name),
	};

	return ft_registry_hash(&e->registry, &names);
}

struct engine_sweep {
	struct ft_engine *engine;
	struct ft_finished_set names;
	enum ft_status status;
};

static void engine_sweep_note(void *context, struct ft_transfer *t)
{
	struct engine_sweep *sweep = context;
	char owner_name[FT_NAME_ROOM], file_name[FT_NAME_ROOM];

	ft_escape(owner_name, t->owner->id, t->owner->id_len);
	ft_escape(file_name, t->file, t->file_len);
	if (sweep->status == FT_OK)
		sweep->status = ft_finished_set_add(&sweep->names,
						    engine_hash_names(sweep->engine, owner_name,
								      file_name));
}

static bool engine_sweep_knows(void *context, const char *owner_name, const char *file_name)
{
	const struct engine_sweep *sweep = context;

	return ft_finished_set_has(&sweep->names,
				   engine_hash_names(sweep->engine, owner_name, file_name));
}

/* Before anybody can begin a transfer: what nobody knows now is nobody's. */
static enum ft_status engine_sweep_store(struct ft_engine *e)
{
	struct engine_sweep sweep = { .engine = e, .status = FT_OK };
	size_t cursor = 0;

	ft_finished_set_init(&sweep.names);
	ft_registry_sweep(&e->registry, &cursor, e->registry.buckets, engine_sweep_note, &sweep);
	if (sweep.status == FT_OK)
		sweep.status = ft_store_sweep(e->core.store, engine_sweep_knows, &sweep);
	ft_finished_set_release(&sweep.names);
	return sweep.status;
}

static enum ft_status engine_load(struct ft_engine *e)
{
	struct ft_catalog *c = e->core.catalog;
	enum ft_status st;

	if ((st = engine_load_finished(e)) != FT_OK
	    || (st = ft_catalog_each_transfer(c, engine_load_transfer, e)) != FT_OK
	    || (st = ft_writer_each_held_back(e->writer, engine_load_held_back, e)) != FT_OK)
		return st;
	if ((st = engine_load_pauses(e)) != FT_OK)
		return st;
	e->last_number = ft_writer_progress(e->writer).last_number;
	st = ft_catalog_each_answer(c, engine_load_answer, e);
	return st == FT_OK ? engine_load_events(e) : st;
}

static enum ft_status engine_start(struct ft_engine *e, const struct ft_engine_config *config)
{
	uint64_t seed = 0;
	enum ft_status st;

	/* Without randomness the tables are only easier to aim at. */
	(void)(getrandom(&seed, sizeof seed, GRND_NONBLOCK) < 0);
	if ((st = ft_registry_init(&e->registry, seed)) != FT_OK)
		return st;
	if (!(e->refusals = ft_refusals_new(config->logger, seed)))
		return FT_NO_MEMORY;
	if ((st = ft_queue_init(&e->core.to_broker)) != FT_OK
	    || (st = ft_queue_init(&e->core.to_writer)) != FT_OK)
		return st;
	for (size_t i = 0; i < FT_LANES; i++)
		if ((st = ft_queue_init(&e->core.lanes[i])) != FT_OK)
			return st;
	if ((st = engine_start_limits(e)) != FT_OK
	    || (st = engine_open(e, config, &e->past)) != FT_OK)
		return st;
	if ((st = ft_announce_check(&e->core)) != FT_OK || (st = ft_judge_check(&e->core)) != FT_OK)
		return st;
	st = ft_catalog_index_checksums(e->core.catalog, (enum ft_deduplicate)e->options->deduplicate);
	if (st != FT_OK)
		return st;
	if (e->past != FT_CATALOG_CONTINUED && (st = engine_list_finished(e)) != FT_OK)
		return st;
	if ((st = engine_replay(e)) != FT_OK
	    || (st = engine_load(e)) != FT_OK
	    || (st = engine_sweep_store(e)) != FT_OK
	    || (st = ft_finishers_new(&e->core, &e->finishers)) != FT_OK
	    || (st = engine_start_downloads(e)) != FT_OK)
		return st;
	st = ft_writer_start(e->writer);
	e->started = st == FT_OK;
	return st;
}

enum ft_status ft_engine_new(const struct ft_engine_config *config, struct ft_engine **out)
{
	struct ft_engine *e = calloc(1, sizeof *e);
	enum ft_status st;

	if (!e)
		return FT_NO_MEMORY;
	e->options = config->options;
	e->hooks = config->hooks;
	e->core.options = config->options;
	e->core.logger = config->logger;
	e->core.ops = config->ops;
	e->core.notify = config->hooks.notify;
	e->core.block_free = config->hooks.block_free;
	e->core.context = config->hooks.context;
	e->log_medium = config->log_places[0].medium;
	snprintf(e->identity, sizeof e->identity, "%s", config->identity);
	e->now_ms = e->begun_ms = e->swept_ms = e->retain_ms = ft_clock_ms();
	ft_metrics_init(&e->metrics);
	ft_list_init(&e->admin.messages);
	ft_list_init(&e->aborts);
	ft_list_init(&e->told);
	ft_list_init(&e->untold);
	ft_list_init(&e->assembling);
	ft_finished_set_init(&e->finished);
	ft_finished_set_init(&e->removing);
	*out = e;
	if ((st = engine_start(e, config)) != FT_OK)
		ft_engine_free(out);
	return st;
}

/* --- run --- */

static void engine_take_jobs(struct ft_engine *e, int limit)
{
	struct ft_link *link;

	while (limit-- > 0 && (link = ft_queue_pop(&e->core.to_broker)) != NULL)
		engine_take_job(e, FT_CONTAINER(link, struct ft_job, link));
}

bool ft_engine_run(struct ft_engine *e, int64_t now_ms)
{
	e->now_ms = now_ms;
	engine_return_told(e);
	engine_take_jobs(e, ENGINE_JOBS_MAX);
	if (now_ms >= e->due_ms) {
		e->due_ms = now_ms + ENGINE_TIMER_MS;
		engine_run_timers(e);
	}
	if (engine_run_admin(e)) {
		e->hooks.notify(e->hooks.context);
		return true;
	}
	return engine_run_downloads(e) || ft_queue_count(&e->core.to_broker) > 0;
}

void ft_engine_disconnected(struct ft_engine *e, const char *client_id)
{
	engine_drop_downloader(e, client_id);
}

void ft_engine_pass(struct ft_engine *e)
{
	e->passes++;
}

static int64_t engine_transfers_due_ms(const struct ft_engine *e)
{
	if (ft_list_first(&e->told))
		return e->now_ms + ENGINE_TIMER_MS;
	if (e->sweep_left > 0 || e->retain_again)
		return e->now_ms + ENGINE_TIMER_MS;
	return e->now_ms + (int64_t)e->options->gc_interval * 1000;
}

int64_t ft_engine_due_ms(const struct ft_engine *e)
{
	const int64_t due_ms[] = {
		engine_transfers_due_ms(e), engine_metrics_due_ms(e), engine_untold_due_ms(e),
		engine_limits_due_ms(e),
		engine_downloads_due_ms(e),
	};
	int64_t first_ms = INT64_MAX;

	for (size_t i = 0; i < sizeof due_ms / sizeof due_ms[0]; i++)
		if (due_ms[i] < first_ms)
			first_ms = due_ms[i];
	return first_ms;
}

/* --- stop --- */

static bool engine_is_idle(struct ft_engine *e)
{
	if (ft_log_fill(e->core.log) > 0 || ft_queue_count(&e->core.to_writer) > 0
	    || ft_queue_count(&e->core.to_broker) > 0)
		return false;
	return atomic_load(&e->core.outstanding) == 0;
}

static bool engine_stop_until(struct ft_engine *e, int64_t deadline_ms,
			      bool (*is_done)(struct ft_engine *e))
{
	while (!is_done(e)) {
		engine_take_jobs(e, INT32_MAX);
		engine_return_told(e);
		if (ft_clock_ms() >= deadline_ms)
			return false;
		ft_log_wake(e->core.log);
		ft_sleep_ms(ENGINE_STOP_STEP_MS);
	}
	return true;
}

static bool engine_writer_is_done(struct ft_engine *e)
{
	return ft_writer_is_done(e->writer);
}

static bool engine_finishers_are_done(struct ft_engine *e)
{
	return ft_finishers_are_done(e->finishers);
}

/* False: a thread hangs, and what it uses must stay. */
static bool engine_stop_threads(struct ft_engine *e)
{
	int64_t deadline_ms = ft_clock_ms() + ENGINE_STOP_MS;
	bool done = true;

	e->closing = true;
	engine_return_told(e);
	atomic_store(&e->core.stopping, true);
	/* What waits for the network ends then, and the writer is still there to keep it. */
	if (e->writer && e->finishers
	    && !engine_stop_until(e, deadline_ms - ENGINE_STOP_MS / 2, engine_is_idle)
	    && e->core.ops->interrupt) {
		ft_store_interrupt(e->core.store);
		(void)engine_stop_until(e, deadline_ms - ENGINE_STOP_MS / 5, engine_is_idle);
	}
	if (e->core.store)
		ft_store_interrupt(e->core.store);
	if (e->core.catalog)
		ft_catalog_interrupt(e->core.catalog);
	if (e->writer) {
		ft_writer_stop(e->writer);
		done = engine_stop_until(e, deadline_ms, engine_writer_is_done);
	}
	if (e->finishers) {
		ft_finishers_stop(e->finishers);
		done = engine_stop_until(e, deadline_ms, engine_finishers_are_done) && done;
	}
	return done;
}

/*
 * After an orderly stop a log in memory has nothing more to tell, and gives its memory back; but
 * where the boot id cannot be read: there it is what tells the next start that it is the same boot.
 */
static void engine_drop_log(struct ft_engine *e)
{
	if (e->log_medium != FT_LOG_IN_MEMORY || !e->core.catalog || !e->core.log
	    || ft_identity_compare(e->identity, e->identity) != FT_IDENTITY_SAME
	    || ft_log_fill(e->core.log) > 0 || !e->started
	    || engine_put_log(e, e->identity, NULL) != FT_OK)
		return;
	if (ft_log_remove(&e->core.log) != FT_OK)
		ft_logger_printf(e->core.logger, FT_LOG_WARNING, "the log could not be removed");
}

static void engine_free_queue(struct ft_queue *queue)
{
	struct ft_link *link;

	while ((link = ft_queue_pop(queue)) != NULL) {
		struct ft_job *job = FT_CONTAINER(link, struct ft_job, link);

		ft_job_free(&job);
	}
	ft_queue_release(queue);
}

enum ft_status ft_engine_free(struct ft_engine **engine)
{
	struct ft_engine *e = *engine;
	struct ft_link *link;

	if (!e)
		return FT_OK;
	*engine = NULL;
	if (!engine_stop_threads(e)) {
		ft_logger_printf(e->core.logger, FT_LOG_ERROR, "the disk does not answer: the broker stops "
				 "without it; what was accepted is in the log and in the catalog");
		return FT_TIMEOUT;
	}
	ft_finishers_free(&e->finishers);
	ft_writer_free(&e->writer);
	engine_free_queue(&e->core.to_broker);
	engine_free_queue(&e->core.to_writer);
	for (size_t i = 0; i < FT_LANES; i++)
		engine_free_queue(&e->core.lanes[i]);
	while ((link = ft_list_pop(&e->aborts)) != NULL) {
		struct engine_abort *abort = FT_CONTAINER(link, struct engine_abort, link);

		ft_ticket_free(&abort->ticket);
		free(abort);
	}
	engine_release_admin(e);
	while ((link = ft_list_pop(&e->untold)) != NULL) {	/* the outbox has them */
		struct ft_job *job = FT_CONTAINER(link, struct ft_job, link);

		ft_job_free(&job);
	}
	engine_drop_log(e);
	ft_catalog_close(&e->core.catalog);
	ft_log_close(&e->core.log);
	if (e->core.store)
		e->core.ops->close(&e->core.store);
	engine_release_downloads(e);
	ft_registry_release(&e->registry);
	ft_finished_set_release(&e->finished);
	engine_release_limits(e);
	ft_finished_set_release(&e->removing);
	ft_refusals_free(&e->refusals);
	free(e);
	return FT_OK;
}
