/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/finisher.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "base/thread.h"
#include "engine/downloads/downloads.h"
#include "engine/admin/admin_worker.h"
#include "engine/downloads/announcer.h"
#include "engine/events.h"
#include "engine/limits/limits.h"
#include "engine/expiry.h"
#include "engine/judge.h"
#include "engine/things/things.h"
#include "engine/admin/verify.h"
#include "protocol/manifest.h"

#define FINISHER_TOGETHER 64		/* files published in one go, at most */
#define FINISHER_BLOCK ((size_t)256 * 1024)
#define FINISHER_RETRY_MS 200

struct finisher {
	struct ft_finishers *all;
	pthread_t thread;
	enum ft_lane lane;
	struct ft_catalog *catalog;	/* owned; this thread's connection */
	uint8_t *block;			/* owned; FINISHER_BLOCK bytes */
};

struct ft_finishers {
	struct ft_core *core;
	atomic_size_t running;
	size_t count, started;
	struct finisher finisher[];
};

/* --- verify --- */

/* Files of that time that were not published are the next start's. */
static bool finisher_gives_up(const struct finisher *f, const struct ft_finish *job,
			      int64_t deadline_ms, enum ft_status *why)
{
	*why = FT_CANCELLED;
	if (atomic_load(&job->cancelled))
		return true;
	if (atomic_load(&f->all->core->stopping) && !job->from_log)
		return true;
	*why = FT_TIMEOUT;
	return ft_clock_ms() >= deadline_ms;
}

/* Puts the pieces together, in the order of arrival: the last one wins. */
static const uint8_t *finisher_gather(struct ft_finish *job)
{
	if (job->piece_count == 1 && job->pieces[0].offset == 0
	    && job->pieces[0].len >= job->fin.size)
		return job->pieces[0].bytes;
	job->gathered = ft_core_alloc((size_t)job->fin.size + 1);
	for (size_t i = 0; i < job->piece_count; i++) {
		const struct ft_piece *piece = &job->pieces[i];
		uint64_t end = piece->offset + piece->len;

		if (end > job->fin.size)
			end = job->fin.size;
		if (piece->offset < end)
			memcpy(job->gathered + piece->offset, piece->bytes,
			       (size_t)(end - piece->offset));
	}
	return job->gathered;
}

/* What the log has lost pages of is void. */
static enum ft_status finisher_hash_gathered(struct finisher *f, struct ft_finish *job,
					     const uint8_t *bytes)
{
	if (job->verified)
		job->digest = job->fin.checksum;
	else if (!ft_sha256_of(bytes, (size_t)job->fin.size, &job->digest))
		return FT_INTERNAL_ERROR;
	return ft_log_is_broken(f->all->core->log) ? FT_IO_ERROR : FT_OK;
}

static enum ft_status finisher_hash_upload(struct finisher *f, struct ft_finish *job,
					   struct ft_upload *upload)
{
	const struct ft_core *core = f->all->core;
	int64_t deadline_ms = ft_clock_ms() + (int64_t)core->options->assemble_timeout * 1000;
	enum ft_status st;

	if (job->hasher && ft_hasher_position(job->hasher) > job->fin.size) {
		ft_hasher_free(job->hasher);
		job->hasher = NULL;
	}
	if (!job->hasher && !(job->hasher = ft_hasher_new()))
		return FT_NO_MEMORY;
	for (uint64_t at; (at = ft_hasher_position(job->hasher)) < job->fin.size;) {
		uint64_t left = job->fin.size - at;
		size_t len = left < FINISHER_BLOCK ? (size_t)left : FINISHER_BLOCK;

		if (finisher_gives_up(f, job, deadline_ms, &st))
			return st;
		st = core->ops->read(upload, at, f->block, len);
		if (st == FT_IO_ERROR || st == FT_NO_SUCH_TRANSFER) {
			job->lost_start = at;
			job->lost_end = at + len;
		}
		if (st != FT_OK)
			return st;
		if (!ft_hasher_update(job->hasher, f->block, len))
			return FT_INTERNAL_ERROR;
	}
	return ft_hasher_digest(job->hasher, &job->digest) ? FT_OK : FT_INTERNAL_ERROR;
}

/*
 * The bytes are gone from where they were: published by a process that was killed before the
 * catalog knew. publish() will see whether the file there is this transfer's.
 */
static enum ft_status finisher_hash_published(struct finisher *f, struct ft_finish *job)
{
	const struct ft_core *core = f->all->core;
	const struct ft_facts *facts = job->facts;
	struct ft_hasher *hasher = ft_hasher_new();
	enum ft_status st = hasher ? FT_OK : FT_NO_MEMORY;

	for (uint64_t at = 0; st == FT_OK && at < job->fin.size; at = ft_hasher_position(hasher)) {
		uint64_t left = job->fin.size - at;
		size_t len = left < FINISHER_BLOCK ? (size_t)left : FINISHER_BLOCK;

		st = core->ops->read_finished(core->store, &facts->key, facts->meta.name, at,
					      f->block, len);
		if (st == FT_OK && !ft_hasher_update(hasher, f->block, len))
			st = FT_INTERNAL_ERROR;
	}
	if (st == FT_OK && !ft_hasher_digest(hasher, &job->digest))
		st = FT_INTERNAL_ERROR;
	ft_hasher_free(hasher);
	if (st == FT_NO_SUCH_TRANSFER)
		job->lost_end = FT_NUMBER_MAX;
	return st;
}

/*
 * By a link to a finished file of the same owner. The catalog says what its bytes were; what they
 * are, after all that consumers may have done, is read.
 */
static enum ft_status finisher_verify_same(struct finisher *f, struct ft_finish *job,
					   struct ft_publication *p)
{
	const struct ft_core *core = f->all->core;
	const struct ft_key *key = &job->facts->key;
	struct ft_finished same;
	enum ft_status st = ft_catalog_find_same(f->catalog, key, &job->fin.checksum, job->fin.size,
						 &same);

	if (st == FT_OK)
		st = core->ops->upload_link(core->store, &same.key, same.name, key, &p->upload);
	if (st == FT_OK)
		st = finisher_hash_upload(f, job, p->upload);
	job->lost_start = job->lost_end = 0;
	return st == FT_OK && !ft_sha256_equal(&job->digest, &job->fin.checksum)
		? FT_FILE_CHECKSUM_MISMATCH : st;
}

static enum ft_status finisher_verify(struct finisher *f, struct ft_finish *job,
				      struct ft_publication *p)
{
	const struct ft_core *core = f->all->core;
	const struct ft_key *key = &job->facts->key;
	enum ft_status st;

	if (atomic_load(&job->cancelled)
	    && !ft_core_is_published(core, f->catalog, job->facts, job->fin.size))
		return FT_CANCELLED;
	if (job->same)
		return finisher_verify_same(f, job, p);
	if (job->from_log) {
		p->bytes = finisher_gather(job);
		st = finisher_hash_gathered(f, job, p->bytes);
	} else {
		/* An empty file may never have had a segment. */
		st = core->ops->upload_open(core->store, key, job->fin.size == 0
					    ? FT_UPLOAD_CREATE : FT_UPLOAD_EXISTING, &p->upload);
		if (st == FT_OK)
			st = finisher_hash_upload(f, job, p->upload);
		else if (st == FT_NO_SUCH_TRANSFER && (st = ft_judge_recall(f->catalog, job)) == FT_OK)
			st = finisher_hash_published(f, job);
	}
	if (st == FT_OK && job->fin.has_checksum
	    && !ft_sha256_equal(&job->digest, &job->fin.checksum))
		st = FT_FILE_CHECKSUM_MISMATCH;
	return st;
}

static enum ft_status finisher_prepare(struct finisher *f, struct ft_finish *job,
				       struct ft_publication *p)
{
	const struct ft_facts *facts;
	enum ft_status st;

	memset(p, 0, sizeof *p);
	if ((st = finisher_verify(f, job, p)) != FT_OK)
		return st;
	if (p->upload && f->all->core->options->on_complete && !job->judged_good) {
		if ((st = ft_judge(f->all->core, f->catalog, job, p->upload)) != FT_OK)
			return st;
		job->judged_good = true;
	}
	facts = job->facts;
	job->completed_ms = ft_clock_unix_ms();
	st = ft_manifest_write(facts, job->fin.size, &job->digest, job->completed_ms,
			       &job->manifest, &job->manifest_len);
	p->key = facts->key;
	p->mode = f->all->core->options->finished_ids == FT_FINISHED_IDS_REPLACE ? FT_PUBLISH_REPLACE
									     : FT_PUBLISH_KEEP;
	p->first = p->mode == FT_PUBLISH_KEEP;	/* else its init would have been answered so */
	p->name = facts->meta.name;
	p->size = job->fin.size;
	p->manifest = job->manifest;
	p->manifest_len = job->manifest_len;
	p->transfer_id = facts->transfer_id;
	return st;
}

/* --- enter into the catalog --- */

/* One file, with what is to be told of it. */
static enum ft_status finisher_enter_one(struct finisher *f, struct ft_finish *job)
{
	const struct ft_finished finished = ft_finish_result(job);
	enum ft_status st = ft_catalog_put_finished(f->catalog, &finished, &job->replaced);

	if (st == FT_OK && f->all->core->options->events == FT_EVENTS_ON)
		st = ft_events_put(f->catalog, &finished, &job->facts->terms.user_data);
	if (st == FT_OK && f->all->core->options->done == FT_DONE_ON)
		st = ft_catalog_put_notice(f->catalog, job->manifest, job->manifest_len);
	return st;
}

static enum ft_status finisher_try_enter(struct finisher *f, struct ft_finish *const *jobs,
					 size_t count)
{
	enum ft_status st = ft_catalog_begin(f->catalog);

	for (size_t i = 0; st == FT_OK && i < count; i++)
		if (jobs[i]->job.status == FT_OK)
			st = finisher_enter_one(f, jobs[i]);
	return ft_catalog_end(f->catalog, st);
}

/* The files are there; so the catalog must come to know it, or the next start will see to it. */
static enum ft_status finisher_enter(struct finisher *f, struct ft_finish *const *jobs, size_t count)
{
	enum ft_status st;

	while ((st = finisher_try_enter(f, jobs, count)) != FT_OK
	       && !atomic_load(&f->all->core->stopping))
		ft_sleep_ms(FINISHER_RETRY_MS);
	if (st != FT_OK)
		return FT_CANCELLED;
	if (f->all->core->options->durability == FT_DURABILITY_NONE)
		return FT_OK;
	return ft_core_sync_catalog(f->all->core, f->catalog);
}

/* --- finish --- */

/* `done`: those that the broker's thread is to be told of. */
static void finisher_give_back(struct finisher *f, struct ft_finish *job, struct ft_list *done)
{
	free(job->manifest);
	free(job->gathered);
	job->manifest = NULL;
	job->gathered = NULL;
	job->later = job->later && job->job.status == FT_BUSY;
	/* Whatever it was: the client has to send them. */
	if (job->same && job->job.status != FT_OK && job->job.status != FT_CANCELLED) {
		job->job.status = FT_INCOMPLETE;
		job->unsynced_lost = false;
	}
	if (job->job.status == FT_OK)
		ft_list_push(done, &job->job.link);
	else
		ft_core_tell_writer(f->all->core, &job->job);
}

static void finisher_publish(struct finisher *f, struct ft_finish *const *jobs, size_t count)
{
	const struct ft_core *core = f->all->core;
	struct ft_publication publications[FINISHER_TOGETHER];
	struct ft_finish *published[FINISHER_TOGETHER];
	struct ft_list done;
	size_t ready = 0;
	enum ft_status st;

	ft_list_init(&done);
	for (size_t i = 0; i < count; i++) {
		struct ft_publication *p = &publications[ready];

		jobs[i]->later = false;
		jobs[i]->job.status = finisher_prepare(f, jobs[i], p);
		if (jobs[i]->job.status == FT_OK)
			published[ready++] = jobs[i];
		else
			core->ops->upload_close(&p->upload);
	}
	if (ready > 0)
		core->ops->publish(core->store, publications, ready);
	for (size_t i = 0; i < ready; i++) {
		published[i]->job.status = publications[i].status;
		published[i]->unsynced_lost = publications[i].bytes_lost;
		published[i]->later = publications[i].later;
	}
	if (ready > 0 && (st = finisher_enter(f, published, ready)) != FT_OK)
		for (size_t i = 0; i < ready; i++)
			if (published[i]->job.status == FT_OK)
				published[i]->job.status = st;
	for (size_t i = 0; i < count; i++)
		finisher_give_back(f, jobs[i], &done);
	ft_core_tell_broker_all(f->all->core, &done);
	if (ready > 0)
		ft_announce_soon(f->all->core);
}

/* --- the other jobs --- */

static void finisher_discard(struct finisher *f, struct ft_discard *job)
{
	f->all->core->ops->upload_close(&job->upload);
	ft_core_tell_broker(f->all->core, &job->job);
}

static void finisher_checkpoint(struct finisher *f, struct ft_checkpoint *job)
{
	struct ft_core *core = f->all->core;
	struct ft_upload *upload = NULL;

	job->job.status = core->ops->upload_open(core->store, job->key, FT_UPLOAD_EXISTING, &upload);
	if (job->job.status == FT_OK)
		job->job.status = ft_core_sync_upload(core, upload);
	core->ops->upload_close(&upload);
	ft_core_tell_writer(f->all->core, &job->job);
}

static void finisher_tidy(struct finisher *f, struct ft_job *job)
{
	job->status = ft_catalog_checkpoint(f->catalog);
	ft_core_tell_writer(f->all->core, job);
}

/* Whether the finished file has just these bytes; what a consumer took away cannot be told any more. */
static enum ft_status finisher_compare(struct finisher *f, const struct ft_lookup *job,
				       const struct ft_finished *finished)
{
	const struct ft_core *core = f->all->core;
	enum ft_status st;

	if (job->len == 0)
		return FT_OK;
	if (job->offset > finished->size || job->len > finished->size - job->offset)
		return FT_ALREADY_COMPLETE;
	for (size_t done = 0, piece; done < job->len; done += piece) {
		piece = job->len - done < FINISHER_BLOCK ? job->len - done : FINISHER_BLOCK;
		st = core->ops->read_finished(core->store, &job->key, finished->name,
					      job->offset + done, f->block, piece);
		if (st == FT_NO_SUCH_TRANSFER)
			return FT_OK;
		if (st != FT_OK)
			return st;
		if (memcmp(f->block, job->bytes + done, piece) != 0)
			return FT_ALREADY_COMPLETE;
	}
	return FT_OK;
}

/* The finished file, if it is still there; consumers may have taken it with its manifest. */
static enum ft_status finisher_find(struct finisher *f, const struct ft_key *key,
				    struct ft_finished *finished, uint64_t *freed)
{
	const struct ft_core *core = f->all->core;
	enum ft_status st = ft_catalog_find_finished(f->catalog, key, finished);

	if (st != FT_OK || core->ops->find(core->store, key, finished->name) != FT_NO_SUCH_TRANSFER)
		return st;
	if (ft_taken_forget(f->catalog, finished) == FT_OK)
		*freed = finished->size;
	return FT_NO_SUCH_TRANSFER;
}

/* A quota has no room for another file, but what is finished already needs none. */
static enum ft_status finisher_answer_no_room(struct finisher *f, const struct ft_lookup *job,
					      const struct ft_finished *finished)
{
	if (ft_meta_fits(&job->meta, finished))
		return finisher_compare(f, job, finished);
	return f->all->core->options->finished_ids == FT_FINISHED_IDS_REPLACE
	       ? FT_QUOTA_EXCEEDED : FT_FILEMETA_CONFLICT;
}

/* The answer to a command for an id that nobody has begun, and that may be finished. */
static enum ft_status finisher_answer(struct finisher *f, struct ft_lookup *job,
				      const struct ft_finished *finished)
{
	switch (job->verb) {
	case FT_VERB_SEGMENT:
		return finisher_compare(f, job, finished);
	case FT_VERB_FIN:
		return ft_fin_fits(&job->fin, finished) ? FT_OK : FT_ALREADY_COMPLETE;
	case FT_VERB_ABORT:
		return FT_ALREADY_COMPLETE;
	case FT_VERB_INIT:
	case FT_VERB_PUT:
		return finisher_answer_no_room(f, job, finished);
	case FT_VERB_STATUS:
		break;
	}
	return FT_OK;
}

static enum ft_status finisher_answer_unknown(const struct ft_lookup *job)
{
	switch (job->verb) {
	case FT_VERB_ABORT:
	case FT_VERB_STATUS:
		return FT_OK;
	case FT_VERB_INIT:
	case FT_VERB_PUT:
		return FT_QUOTA_EXCEEDED;
	case FT_VERB_SEGMENT:
	case FT_VERB_FIN:
		break;
	}
	return FT_NO_SUCH_TRANSFER;
}

static void finisher_lookup(struct finisher *f, struct ft_lookup *job)
{
	struct ft_finished finished;
	enum ft_status st = finisher_find(f, &job->key, &finished, &job->freed);

	job->found = st == FT_OK;
	job->size = job->found ? finished.size : 0;
	if (job->found)
		st = finisher_answer(f, job, &finished);
	else if ((job->is_unknown = st == FT_NO_SUCH_TRANSFER))
		st = finisher_answer_unknown(job);
	job->job.status = st;
	ft_core_tell_broker(f->all->core, &job->job);
}

static void finisher_run(struct finisher *f, struct ft_job *job)
{
	switch (job->kind) {
	case FT_JOB_DISCARD:
		finisher_discard(f, FT_CONTAINER(job, struct ft_discard, job));
		break;
	case FT_JOB_CHECKPOINT:
		finisher_checkpoint(f, FT_CONTAINER(job, struct ft_checkpoint, job));
		break;
	case FT_JOB_TIDY:
		finisher_tidy(f, job);
		break;
	case FT_JOB_ANNOUNCE:
		ft_announce(f->all->core, f->catalog);
		ft_job_free(&job);
		break;
	case FT_JOB_LIMITS:
		ft_limits_file_run(f->all->core, FT_CONTAINER(job, struct ft_limits_file, job));
		ft_core_tell_broker(f->all->core, job);
		break;
	case FT_JOB_TAKEN:
		ft_taken_run(f->all->core, f->catalog, FT_CONTAINER(job, struct ft_taken, job));
		ft_core_tell_broker(f->all->core, job);
		break;
	case FT_JOB_EXPIRED:
		ft_expiry_find(f->all->core, f->catalog, FT_CONTAINER(job, struct ft_files, job));
		break;
	case FT_JOB_REMOVE:
		ft_expiry_remove(f->all->core, f->catalog, FT_CONTAINER(job, struct ft_files, job));
		break;
	case FT_JOB_LOOKUP:
		finisher_lookup(f, FT_CONTAINER(job, struct ft_lookup, job));
		break;
	case FT_JOB_ADMIN:
		ft_admin_work(f->all->core, f->catalog, job);
		break;
	case FT_JOB_VERIFY:
		ft_verify_run(f->all->core, f->catalog, FT_CONTAINER(job, struct ft_verify_job, job));
		break;
	case FT_JOB_SCAN:
		ft_scan_run(f->all->core, f->catalog, FT_CONTAINER(job, struct ft_scan, job));
		break;
	case FT_JOB_FETCH:
		ft_fetch_run(f->all->core, FT_CONTAINER(job, struct ft_fetch, job));
		break;
	case FT_JOB_CLOSE:
		ft_job_free(&job);
		break;
	default:
		assert(false);	/* not a job for a finisher */
	}
}

/* --- threads --- */

/* Takes what waits now. */
static size_t finisher_serve_things(struct finisher *f, struct ft_link *link)
{
	struct ft_queue *lane = &f->all->core->lanes[f->lane];
	struct ft_job *jobs[FINISHER_TOGETHER];
	size_t count = 0;

	do {
		jobs[count++] = FT_CONTAINER(link, struct ft_job, link);
	} while (count < FINISHER_TOGETHER && (link = ft_queue_pop(lane)) != NULL);
	ft_things_serve(f->all->core, f->catalog, jobs, count);
	return count;
}

/* Takes the files that wait now; a job of another kind ends the row and is run behind them. */
static void finisher_serve(struct finisher *f, struct ft_link *link)
{
	struct ft_queue *lane = &f->all->core->lanes[f->lane];
	size_t most = f->lane == FT_LANE_QUICK ? FINISHER_TOGETHER : 1, count = 0;
	struct ft_finish *files[FINISHER_TOGETHER];
	struct ft_job *job = FT_CONTAINER(link, struct ft_job, link);

	while (job && job->kind == FT_JOB_FINISH) {
		files[count++] = FT_CONTAINER(job, struct ft_finish, job);
		link = count < most ? ft_queue_pop(lane) : NULL;
		job = link ? FT_CONTAINER(link, struct ft_job, link) : NULL;
	}
	if (count > 0)
		finisher_publish(f, files, count);
	if (job) {
		finisher_run(f, job);
		count++;
	}
	atomic_fetch_sub(&f->all->core->outstanding, count);
}

/* Waits for a job; NULL: there will be none. See quick_is_idle. */
static struct ft_link *finisher_next(struct finisher *f)
{
	struct ft_core *core = f->all->core;
	struct ft_queue *lane = &core->lanes[f->lane];
	struct ft_link *link;

	if (f->lane != FT_LANE_QUICK)
		return ft_queue_wait(lane);
	if ((link = ft_queue_pop(lane)) != NULL)
		return link;
	atomic_store(&core->quick_is_idle, true);
	if (ft_log_pending(core->log) > 0)
		ft_log_wake(core->log);
	link = ft_queue_wait(lane);
	atomic_store(&core->quick_is_idle, false);
	return link;
}

static void *finisher_main(void *argument)
{
	struct finisher *f = argument;
	struct ft_core *core = f->all->core;
	struct ft_link *link;

	while ((link = finisher_next(f)) != NULL) {
		if (f->lane == FT_LANE_JOBS)
			atomic_fetch_sub(&core->outstanding, finisher_serve_things(f, link));
		else
			finisher_serve(f, link);
	}
	atomic_fetch_sub(&f->all->running, 1);
	core->notify(core->context);
	return NULL;
}

static enum ft_status finisher_start(struct ft_finishers *all, enum ft_lane lane)
{
	struct finisher *f = &all->finisher[all->count++];
	enum ft_status st;

	f->all = all;
	f->lane = lane;
	if (!(f->block = malloc(FINISHER_BLOCK)))
		return FT_NO_MEMORY;
	if ((st = ft_catalog_join(all->core->catalog, &f->catalog)) != FT_OK)
		return st;
	if (ft_thread_start(&f->thread, finisher_main, f) != 0)
		return FT_NO_MEMORY;
	all->started++;
	atomic_fetch_add(&all->running, 1);
	return FT_OK;
}

enum ft_status ft_finishers_new(struct ft_core *core, struct ft_finishers **out)
{
	const struct ft_options *o = core->options;
	const size_t threads[FT_LANES] = {
		[FT_LANE_QUICK] = 1, [FT_LANE_BACKGROUND] = 1,
		[FT_LANE_LARGE] = (size_t)o->workers,
		/* Commands are answered while files are verified. */
		[FT_LANE_ADMIN] = o->control != FT_CONTROL_OFF ? 2 : 0,
		[FT_LANE_OFFERS] = o->downloads != 0,
		[FT_LANE_JOBS] = (o->downloads & FT_DOWNLOADS_JOBS) != 0,
		[FT_LANE_DOWNLOAD] = o->downloads != 0 ? (size_t)o->download_workers : 0,
	};
	struct ft_finishers *all;
	enum ft_status st = FT_OK;
	size_t most = 0;

	for (size_t lane = 0; lane < FT_LANES; lane++)
		most += threads[lane];
	if (!(all = calloc(1, sizeof *all + most * sizeof all->finisher[0])))
		return FT_NO_MEMORY;
	all->core = core;
	*out = all;
	for (size_t lane = 0; lane < FT_LANES; lane++)
		for (size_t i = 0; st == FT_OK && i < threads[lane]; i++)
			st = finisher_start(all, (enum ft_lane)lane);
	if (st != FT_OK) {
		ft_finishers_stop(all);
		ft_finishers_free(out);
	}
	return st;
}

void ft_finishers_stop(struct ft_finishers *finishers)
{
	for (size_t i = 0; i < FT_LANES; i++)
		ft_queue_close(&finishers->core->lanes[i]);
}

bool ft_finishers_are_done(const struct ft_finishers *finishers)
{
	return atomic_load(&finishers->running) == 0;
}

void ft_finishers_free(struct ft_finishers **finishers)
{
	struct ft_finishers *all = *finishers;

	if (!all)
		return;
	for (size_t i = 0; i < all->count; i++) {
		struct finisher *f = &all->finisher[i];

		if (i < all->started)
			pthread_join(f->thread, NULL);
		ft_catalog_close(&f->catalog);
		free(f->block);
	}
	free(all);
	*finishers = NULL;
}
