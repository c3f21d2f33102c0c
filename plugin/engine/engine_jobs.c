/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/engine_private.h"

#define MIB ((uint64_t)1024 * 1024)

/* How far the hash may stay behind what is held: what is left to do when fin comes. */
#define HASH_BEHIND (2 * MIB)
/* How much one job hashes at most, so that long files take turns. */
#define HASH_SLICE (64 * MIB)
/* A checkpoint is made so long after the first new byte, or sooner after so many of them. */
#define CHECKPOINT_MS 5000
#define CHECKPOINT_BYTES (64 * MIB)
#define CHECKPOINT_BYTES_MS 1000
/* Transfers looked at per timer, of those that may be due. */
#define DEADLINE_STEPS 32

static uint64_t hashed(const struct ft_transfer *t)
{
	return t->hasher ? ft_hasher_position(t->hasher) : 0;
}

static void forget_hash(struct ft_transfer *t)
{
	ft_hasher_free(t->hasher);
	t->hasher = NULL;
}

/* Hands a job over. */
static void submit(struct ft_engine *e, struct ft_transfer *t, struct ft_assembly *a, bool urgent)
{
	a->owner = t;
	e->jobs++;
	t->job = a;
	t->hash_stale = false;
	atomic_store(&a->job.urgent, urgent);
	ft_pool_submit(e->assemblers, &a->job);
}

/* Hashes on to `target`, and publishes then if that is the task. */
static enum ft_status start_hashing(struct ft_engine *e, struct ft_transfer *t, enum ft_task task,
				    uint64_t target)
{
	struct ft_assembly *a = ft_assembly_new(task, e->ops);
	enum ft_status st = FT_NO_MEMORY;

	if (a && (t->hasher || (t->hasher = ft_hasher_new())))
		st = e->ops->work(t->upload, &a->work);
	if (st != FT_OK) {
		ft_assembly_free(&a);
		return st;
	}
	a->hasher = t->hasher;
	t->hasher = NULL;
	a->target = target;
	a->job.brief = task == FT_TASK_PUBLISH && target <= FT_SMALL_FILE;
	a->has_expected = t->fin_has_checksum;
	a->expected = t->fin_checksum;
	if (task == FT_TASK_PUBLISH && e->ops->settle)
		e->ops->settle(t->upload);
	submit(e, t, a, t->state == FT_STATE_ASSEMBLING);
	return FT_OK;
}

static void start_assembling(struct ft_engine *e, struct ft_transfer *t)
{
	enum ft_task task = FT_TASK_PUBLISH;
	uint64_t target = t->fin_size;
	enum ft_status st;

	if (hashed(t) > target)
		forget_hash(t);
	if (target - hashed(t) > HASH_SLICE) {
		task = FT_TASK_HASH;
		target = hashed(t) + HASH_SLICE;
	}
	/* Lost since fin looked, by a job that it had to wait for: no later fsync would tell. */
	st = ft_ranges_cover(&t->upload->held, 0, t->fin_size) ? FT_OK : FT_IO_ERROR;
	if (st == FT_OK && (st = start_hashing(e, t, task, target)) == FT_OK)
		return;
	ft_engine_end_assembly(e, t, st);
	if (st == FT_NO_SUCH_TRANSFER)
		ft_engine_let_go(e, &t);
}

static bool checkpoint_due(const struct ft_engine *e, const struct ft_transfer *t)
{
	if (!e->ops->checkpoint_begin)
		return false;
	/* One that fails, or that new bytes in old places spoil, is wanted as before. */
	if (e->ops->wants_checkpoint && e->now_ms - t->checkpoint_ms >= CHECKPOINT_BYTES_MS
	    && e->ops->wants_checkpoint(t->upload))
		return true;
	if (!ft_link_listed(&t->dirty))
		return false;
	return e->now_ms - t->dirty_ms
	       >= (t->dirty_bytes >= CHECKPOINT_BYTES ? CHECKPOINT_BYTES_MS : CHECKPOINT_MS);
}

/* Bytes that no checkpoint covers: only the default durability makes checkpoints for them. */
static void mark_dirty(struct ft_engine *e, struct ft_transfer *t, uint64_t bytes)
{
	if (e->options->durability != FT_DURABILITY_FILE)
		return;
	t->dirty_bytes += bytes;
	if (ft_link_listed(&t->dirty))
		return;
	t->dirty_ms = e->now_ms;
	ft_list_push(&e->dirty, &t->dirty);
}

/* Failing to begin one is not an error of anybody's command: it is tried again later. */
static void start_checkpoint(struct ft_engine *e, struct ft_transfer *t)
{
	struct ft_assembly *a = ft_assembly_new(FT_TASK_CHECKPOINT, e->ops);
	enum ft_status st = FT_NO_MEMORY;
	uint64_t bytes = t->dirty_bytes;

	ft_link_remove(&t->dirty);
	t->dirty_bytes = 0;
	t->checkpoint_ms = e->now_ms;
	if (a && (st = e->ops->checkpoint_begin(t->upload, &a->checkpoint)) == FT_OK) {
		submit(e, t, a, false);
		return;
	}
	ft_assembly_free(&a);
	if (st == FT_NO_SUCH_TRANSFER)
		ft_engine_let_go(e, &t);
	else
		mark_dirty(e, t, bytes);
}

/* Transfers that are assembling may each have a job; beside them there is room for so many. */
static bool has_background_room(const struct ft_engine *e)
{
	return e->jobs < e->assembling_count + FT_BACKGROUND_MAX;
}

void ft_engine_schedule(struct ft_engine *e, struct ft_transfer *t)
{
	uint64_t prefix;

	if (t->job || e->stopping)
		return;
	if (t->state == FT_STATE_ASSEMBLING) {
		start_assembling(e, t);
		return;
	}
	/* What is due stays so; what is not hashed now is hashed at fin. */
	if (!has_background_room(e))
		return;
	if (checkpoint_due(e, t)) {
		start_checkpoint(e, t);
		return;
	}
	prefix = ft_ranges_prefix(&t->upload->held);
	if (prefix < hashed(t) + HASH_BEHIND)
		return;
	if (prefix > hashed(t) + HASH_SLICE)
		prefix = hashed(t) + HASH_SLICE;
	/* Not hashed now is hashed at fin: a failure here needs no answer. */
	(void)(start_hashing(e, t, FT_TASK_HASH, prefix) == FT_OK);
}

void ft_engine_note_put(struct ft_engine *e, struct ft_transfer *t, uint64_t start,
			const struct ft_put *put)
{
	if (put->overwrote && start < hashed(t))
		forget_hash(t);
	if (put->overwrote && t->job && start < t->job->target)
		t->hash_stale = true;
	if (put->added > 0 || put->overwrote)
		mark_dirty(e, t, put->added > 0 ? put->added : 1);
	ft_engine_schedule(e, t);
}

/* What was hashed may not be held any more. */
static void note_lost(struct ft_transfer *t)
{
	uint64_t prefix = ft_ranges_prefix(&t->upload->held);

	if (prefix < hashed(t))
		forget_hash(t);
	if (t->job && prefix < t->job->target)
		t->hash_stale = true;
}

void ft_engine_note_failed_put(struct ft_engine *e, struct ft_transfer *t, uint64_t start)
{
	note_lost(t);
	/* Old bytes that were put back: a job may have hashed those that were there in between. */
	if (t->job && start < t->job->target)
		t->hash_stale = true;
	/* Before held bytes are written over, what checkpoints have said of them is taken back. */
	mark_dirty(e, t, 1);
}

void ft_engine_assemble(struct ft_engine *e, struct ft_transfer *t)
{
	t->state = FT_STATE_ASSEMBLING;
	t->assembling_ms = e->now_ms;
	ft_list_push(&e->assembling, &t->assembling);
	e->assembling_count++;
	if (t->job)
		ft_job_hurry(&t->job->job);
	else
		ft_engine_schedule(e, t);
}

bool ft_engine_stop_job(struct ft_transfer *t)
{
	if (!t->job)
		return true;
	t->job->given_up = ft_job_cancel(&t->job->job);
	return t->job->given_up;
}

void ft_engine_answer(struct ft_engine *e, struct ft_transfer *t, enum ft_status status,
		      enum ft_state state)
{
	struct ft_link *link;

	while ((link = ft_list_pop(&t->fins)) != NULL) {
		struct ft_ticket *ticket = FT_CONTAINER(link, struct ft_ticket, link);
		struct ft_reply reply = {
			.status = status,
			.topic = ticket->request.topic,
			.state = state,
		};

		e->hooks.respond(e->hooks.context, &ticket->request, &reply);
		ft_ticket_free(ticket);
	}
	t->fin_count = 0;
}

/* No longer assembling, whatever it is now. */
static void leave_assembling(struct ft_engine *e, struct ft_transfer *t)
{
	if (t->state != FT_STATE_ASSEMBLING)
		return;
	t->state = FT_STATE_RECEIVING;
	ft_link_remove(&t->assembling);
	e->assembling_count--;
}

void ft_engine_end_assembly(struct ft_engine *e, struct ft_transfer *t, enum ft_status status)
{
	struct ft_key key = ft_transfer_key(t);

	leave_assembling(e, t);
	t->news_ms = e->now_ms;
	if (status != FT_CANCELLED && status != FT_NO_SUCH_TRANSFER)
		ft_engine_log(e, FT_LOG_WARNING, &key, "'%s' could not be assembled: %s",
			      t->meta->name, ft_status_word(status));
	ft_engine_answer(e, t, status, FT_STATE_RECEIVING);
}

static void respond_to(struct ft_engine *e, struct ft_ticket *ticket, enum ft_status status,
		       enum ft_state state)
{
	struct ft_reply reply = { .status = status, .state = state };

	if (!ticket)
		return;
	reply.topic = ticket->request.topic;
	e->hooks.respond(e->hooks.context, &ticket->request, &reply);
}

/* The file is there: the transfer is the store's to remember now. */
static void complete(struct ft_engine *e, struct ft_transfer *t, const struct ft_assembly *a)
{
	struct ft_key key = ft_transfer_key(t);
	char hex[FT_SHA256_HEX_LEN + 1];
	struct ft_buf digest = ft_buf_on(hex, sizeof hex);

	ft_buf_hex(&digest, a->digest.bytes, FT_SHA256_LEN);
	ft_engine_log(e, FT_LOG_INFO, &key, "complete: '%s', %llu bytes, SHA-256 %s",
		      t->meta->name, (unsigned long long)t->fin_size, hex);
	ft_engine_answer(e, t, FT_OK, FT_STATE_COMPLETE);
	respond_to(e, t->abort, FT_ALREADY_COMPLETE, FT_STATE_COMPLETE);
	ft_ticket_free(t->abort);
	t->abort = NULL;
	leave_assembling(e, t);
	e->ops->release(&t->upload);
	ft_engine_forget(e, &t);
}

/* An abort came too late to stop the assembly, but it failed by itself. */
static void abort_after_failure(struct ft_engine *e, struct ft_transfer *t)
{
	struct ft_ticket *ticket = t->abort;
	enum ft_status st;

	if (e->stopping)
		return;
	t->abort = NULL;
	if ((st = ft_engine_discard(e, &t, ticket)) == FT_OK)
		return;
	if (t)
		respond_to(e, ticket, st, t->state);
	else
		respond_to(e, ticket, FT_OK, FT_STATE_NONE);
	ft_ticket_free(ticket);
}

static void take_back_hasher(struct ft_transfer *t, struct ft_assembly *a)
{
	if (a->hasher && !t->hash_stale && !t->hasher) {
		t->hasher = a->hasher;
		a->hasher = NULL;
	}
	t->hash_stale = false;
}

/* Whether what is held must be looked at again. */
static void reassess(struct ft_engine *e, struct ft_transfer *t, const struct ft_assembly *a)
{
	if (!a->sync_failed && !a->publish_failed)
		return;
	forget_hash(t);
	(void)(e->ops->reassess(t->upload, a->sync_failed) == FT_OK);	/* logged by the store */
}

static void finish_publish(struct ft_engine *e, struct ft_transfer *t, struct ft_assembly *a)
{
	if (a->status == FT_OK) {
		complete(e, t, a);
		return;
	}
	reassess(e, t, a);
	ft_engine_end_assembly(e, t, a->status);
	if (t->abort)
		abort_after_failure(e, t);
	else if (a->status == FT_NO_SUCH_TRANSFER && !e->stopping)
		ft_engine_let_go(e, &t);
}

static void finish_checkpoint(struct ft_engine *e, struct ft_transfer *t, struct ft_assembly *a)
{
	enum ft_status st = e->ops->checkpoint_end(t->upload, &a->checkpoint, a->status);

	if (st != FT_OK)
		mark_dirty(e, t, 1);
	/* Bytes that did not get through an fsync are not held any more. */
	note_lost(t);
}

/*
 * Out of time, or an abort that failed: but what it has hashed need not be hashed again.
 * Else a file that takes longer would never be finished, however often its client asks.
 */
static void finish_given_up(struct ft_engine *e, struct ft_transfer *t,
			    const struct ft_assembly *a)
{
	reassess(e, t, a);
	if (a->status != FT_OK && a->status != FT_CANCELLED)
		forget_hash(t);
	if (t->state == FT_STATE_ASSEMBLING)
		ft_engine_schedule(e, t);
}

static void finish(struct ft_engine *e, struct ft_transfer *t, struct ft_assembly *a)
{
	if (a->given_up && a->task != FT_TASK_CHECKPOINT) {
		finish_given_up(e, t, a);
		return;
	}
	switch (a->task) {
	case FT_TASK_HASH:
		if (a->status != FT_OK && a->status != FT_CANCELLED) {
			forget_hash(t);
			if (t->state == FT_STATE_ASSEMBLING)
				ft_engine_end_assembly(e, t, a->status);
			return;
		}
		break;
	case FT_TASK_CHECKPOINT:
		finish_checkpoint(e, t, a);
		break;
	case FT_TASK_PUBLISH:
		finish_publish(e, t, a);
		return;
	}
	ft_engine_schedule(e, t);
}

static void check_dirty(struct ft_engine *e)
{
	for (int i = 0; i < DEADLINE_STEPS && has_background_room(e) && ft_list_first(&e->dirty);
	     i++) {
		struct ft_transfer *t = FT_CONTAINER(ft_list_first(&e->dirty),
						     struct ft_transfer, dirty);

		if (e->now_ms - t->dirty_ms < CHECKPOINT_MS)
			return;
		/* To the end: one whose job is in flight is scheduled when that is back. */
		ft_link_remove(&t->dirty);
		ft_list_push(&e->dirty, &t->dirty);
		ft_engine_schedule(e, t);
	}
}

void ft_engine_take_assembly(struct ft_engine *e, struct ft_assembly *a)
{
	struct ft_transfer *t = a->owner;

	e->jobs--;
	if (t) {
		t->job = NULL;
		take_back_hasher(t, a);
		/* The work's descriptors go before what may rename or remove their files. */
		if (a->work)
			e->ops->work_close(&a->work);
		finish(e, t, a);
	} else if (a->checkpoint) {
		(void)(e->ops->checkpoint_end(NULL, &a->checkpoint, FT_CANCELLED) == FT_OK);
	}
	ft_assembly_free(&a);
	/* There is room for another that is due. */
	if (!e->stopping)
		check_dirty(e);
}

static void take_purge(struct ft_engine *e, struct ft_purge *purge)
{
	e->purges--;
	/* What could not be freed is found again at the next start. */
	if (!e->stopping)
		respond_to(e, purge->ticket, purge->sweep.status, FT_STATE_NONE);
}

void ft_engine_take_sweep(struct ft_engine *e, struct ft_sweep *sweep)
{
	switch (sweep->kind) {
	case FT_SWEEP_SCAN:
		ft_engine_end_scan(e);
		if (sweep->status != FT_OK && sweep->status != FT_CANCELLED)
			ft_logger_printf(e->log, FT_LOG_WARNING, "looking for unfinished transfers "
				      "ended early (%s): those not found expire only once their "
				      "clients return", ft_status_word(sweep->status));
		break;
	case FT_SWEEP_PART:
		ft_engine_note_found(e, FT_CONTAINER(sweep, struct ft_scan_part, sweep));
		break;
	case FT_SWEEP_PURGE:
		take_purge(e, FT_CONTAINER(sweep, struct ft_purge, sweep));
		break;
	}
	ft_sweep_free(sweep);
}

static void time_out(struct ft_engine *e, struct ft_transfer *t)
{
	/* A checkpoint in flight is left alone: it has done nothing wrong. */
	if ((t->job && t->job->task == FT_TASK_CHECKPOINT) || ft_engine_stop_job(t)) {
		ft_engine_end_assembly(e, t, FT_TIMEOUT);
		return;
	}
	/* It is being published, which has no way back: the client may ask again for the result. */
	ft_engine_answer(e, t, FT_TIMEOUT, FT_STATE_ASSEMBLING);
	ft_link_remove(&t->assembling);
	t->assembling_ms = e->now_ms;
	ft_list_push(&e->assembling, &t->assembling);
}

static void check_assembling(struct ft_engine *e)
{
	int64_t timeout_ms = (int64_t)e->options->assemble_timeout * 1000;

	for (int i = 0; i < DEADLINE_STEPS && ft_list_first(&e->assembling); i++) {
		struct ft_transfer *t = FT_CONTAINER(ft_list_first(&e->assembling),
						     struct ft_transfer, assembling);

		if (e->now_ms - t->assembling_ms < timeout_ms)
			return;
		time_out(e, t);
	}
}

void ft_engine_check_deadlines(struct ft_engine *e)
{
	check_assembling(e);
	check_dirty(e);
}
