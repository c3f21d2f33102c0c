/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/writer_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "base/thread.h"

#define WRITER_BUCKETS 4096		/* of active transfers; thousands at most */
#define WRITER_ROUND_BYTES ((uint64_t)4 * 1024 * 1024)	/* of the log, between two commits */
#define WRITER_PENDING_MS 300		/* a small transfer waits so long in the log for its fin */
#define WRITER_IDLE_MS 10000		/* then a transfer is forgotten here; the catalog knows it */
#define WRITER_ACTIVE_MAX 1000		/* if there are more, after a tenth of that */
#define WRITER_SYNC_BYTES ((uint64_t)64 * 1024 * 1024)	/* a checkpoint after so much, */
#define WRITER_SYNC_MS 5000		/* or so long */
#define WRITER_SYNC_ALL_MS 1000		/* at the end */
#define WRITER_SPACE_MS 1000
#define WRITER_RETRY_MS 200
#define WRITER_TIDY_MS 5000
#define WRITER_TIDY_COMMITS 1000
#define WRITER_SLEEP_MS 1000
#define WRITER_DURABLE_MS 200		/* how long the log keeps what must be on the disk first, */
#define WRITER_DURABLE_PART 8		/* or until so much of it is full */

/* Who may follow whom: see the table in the header. */
static const bool writer_moves[WRITER_STATES][WRITER_STATES] = {
	[WRITER_PENDING] = { [WRITER_STORED] = true, [WRITER_FINISHING] = true },
	[WRITER_STORED] = { [WRITER_FINISHING] = true },
	[WRITER_FINISHING] = { [WRITER_STORED] = true, [WRITER_PENDING] = true },
};

void writer_move(struct writer_transfer *t, enum writer_state to)
{
	assert(writer_moves[t->state][to]);
	t->state = to;
}

bool writer_is_draining(const struct ft_writer *w)
{
	return atomic_load(&w->core->stopping);
}

/* --- the table --- */

static struct writer_transfer **writer_slot(struct ft_writer *w, uint64_t number)
{
	struct writer_transfer **slot = &w->transfers[number % WRITER_BUCKETS];

	while (*slot && (*slot)->number != number)
		slot = &(*slot)->next;
	return slot;
}

struct writer_transfer *writer_find(struct ft_writer *w, uint64_t number)
{
	return *writer_slot(w, number);
}

void writer_set_user_data(struct writer_transfer *t, const struct ft_json_text *user_data)
{
	char *copy = ft_core_alloc(user_data->len + 1);

	if (user_data->len > 0)
		memcpy(copy, user_data->at, user_data->len);
	free(t->user_data);
	t->user_data = copy;
	t->facts.terms.user_data = (struct ft_json_text){ copy, user_data->len };
}

struct writer_transfer *writer_add(struct ft_writer *w, const struct ft_facts *facts,
				   enum writer_state state)
{
	struct writer_transfer *t = ft_core_alloc(sizeof *t);
	struct writer_transfer **slot = writer_slot(w, facts->number);

	assert(!*slot);
	t->number = facts->number;
	t->state = state;
	t->facts = *facts;
	t->ids = ft_core_alloc(ft_key_room(&facts->key) + 1);
	t->facts.key = ft_key_copy(&facts->key, t->ids);
	writer_set_user_data(t, &facts->terms.user_data);
	ft_ranges_init(&t->held);
	ft_ranges_init(&t->durable);
	ft_link_init(&t->pinned);
	ft_link_init(&t->open);
	ft_link_init(&t->dirty);
	ft_link_init(&t->later);
	t->pin = WRITER_PIN_NONE;
	t->used_ms = w->now_ms;
	*slot = t;
	w->count++;
	return t;
}

void writer_remove(struct ft_writer *w, struct writer_transfer **transfer)
{
	struct writer_transfer *t = *transfer;

	assert(!t->finish && !t->checkpointing);
	if (w->gathering == t)
		w->gathering = NULL;
	*writer_slot(w, t->number) = t->next;
	w->count--;
	writer_close_upload(w, t);
	ft_link_remove(&t->dirty);
	ft_link_remove(&t->pinned);
	assert(!ft_link_listed(&t->later));
	ft_hasher_free(t->hasher);
	ft_ranges_release(&t->held);
	ft_ranges_release(&t->durable);
	ft_ticket_free(&t->ticket);
	free(t->pieces);
	free(t->user_data);
	free(t->ids);
	free(t);
	*transfer = NULL;
}

static void writer_tell_space(struct ft_writer *w)
{
	struct ft_space_news *news;

	if (w->now_ms < w->space_ms)
		return;
	w->space_ms = w->now_ms + WRITER_SPACE_MS;
	news = ft_core_alloc(sizeof *news);
	news->job.kind = FT_JOB_SPACE;
	news->job.status = ft_store_space(w->core->store, &news->space);
	ft_link_init(&news->job.link);
	ft_core_tell_broker(w->core, &news->job);
}

bool writer_wait(struct ft_writer *w)
{
	if (w->replaying || atomic_load(&w->stop))
		return false;
	ft_sleep_ms(WRITER_RETRY_MS);
	w->now_ms = ft_clock_ms();
	writer_tell_space(w);
	return true;
}

/* Takes what the catalog knows into memory. */
static struct writer_transfer *writer_adopt(struct ft_writer *w, struct ft_unfinished *found)
{
	enum writer_state state = found->state == FT_CATALOG_CONFLICT ? WRITER_CONFLICT
								      : WRITER_STORED;
	struct writer_transfer *t = writer_add(w, &found->facts, state);

	t->refused = found->refused;
	t->answer_kept = found->state == FT_CATALOG_FINISHING;
	t->held = found->held;
	t->durable = found->durable;
	ft_ranges_init(&found->held);
	ft_ranges_init(&found->durable);
	t->fin = found->fin;
	return t;
}

struct writer_transfer *writer_lookup(struct ft_writer *w, uint64_t number)
{
	struct writer_transfer *t = writer_find(w, number);
	struct ft_unfinished found;

	/* What the log says of a transfer is known only when the catalog can be read. */
	while (!t && !w->failed) {
		enum ft_status st = ft_catalog_find_transfer(w->core->catalog, number, &found);

		if (st == FT_NO_SUCH_TRANSFER)
			return NULL;
		if (st == FT_OK)
			t = writer_adopt(w, &found);
		else
			w->failed = !writer_wait(w);
	}
	if (t)
		t->used_ms = w->now_ms;
	return t;
}

/* --- what is noted for the next commit --- */

void writer_note(struct ft_writer *w, struct writer_transfer *t, unsigned news)
{
	t->news |= news;
	if (!ft_link_listed(&t->dirty))
		ft_list_push(&w->dirty, &t->dirty);
}

void writer_note_held(struct ft_writer *w, struct writer_transfer *t, uint64_t start, uint64_t end)
{
	if (!(t->news & WRITER_NEWS_HELD)) {
		t->held_start = start;
		t->held_end = end;
	}
	if (start < t->held_start)
		t->held_start = start;
	if (end > t->held_end)
		t->held_end = end;
	writer_note(w, t, WRITER_NEWS_HELD | WRITER_NEWS_TIME);
}

static void writer_add_number(struct writer_numbers *numbers, uint64_t number)
{
	if (numbers->count == numbers->room) {
		size_t room = numbers->room ? 2 * numbers->room : 64;
		uint64_t *at = ft_core_alloc(room * sizeof *at);

		if (numbers->count > 0)
			memcpy(at, numbers->at, numbers->count * sizeof *at);
		free(numbers->at);
		numbers->at = at;
		numbers->room = room;
	}
	numbers->at[numbers->count++] = number;
}

void writer_note_told(struct ft_writer *w, uint64_t number)
{
	writer_add_number(&w->told, number);
}

void writer_note_event_told(struct ft_writer *w, uint64_t number)
{
	writer_add_number(&w->events_told, number);
}

void writer_pin(struct ft_writer *w, struct writer_transfer *t, uint64_t position)
{
	struct ft_link *before = w->pinned.head.prev;

	if (t->pin != WRITER_PIN_NONE)
		return;
	t->pin = position;
	t->pinned_ms = w->now_ms;
	while (before != &w->pinned.head
	       && FT_CONTAINER(before, struct writer_transfer, pinned)->pin > position)
		before = before->prev;
	ft_link_insert(before, &t->pinned);
}

void writer_unpin(struct writer_transfer *t)
{
	ft_link_remove(&t->pinned);
	t->pin = WRITER_PIN_NONE;
}

/* --- messages --- */

void writer_tell(struct ft_writer *w, struct ft_job *job)
{
	ft_link_init(&job->link);
	if (w->replaying)
		ft_job_free(&job);
	else
		ft_list_push(&w->after_commit, &job->link);
}

void writer_tell_lost(struct ft_writer *w, const struct writer_transfer *t, uint64_t start,
		      uint64_t end, const struct ft_ranges *kept, enum ft_status why)
{
	struct ft_lost *lost;

	if (w->replaying)
		return;
	lost = ft_core_alloc(sizeof *lost);
	lost->job.kind = FT_JOB_LOST;
	lost->job.number = t->number;
	lost->job.status = why;
	lost->start = start;
	lost->end = end;
	ft_ranges_init(&lost->kept);
	while (kept && ft_ranges_copy(&lost->kept, kept) != FT_OK)
		ft_core_wait_for_memory();
	writer_tell(w, &lost->job);
}

void writer_tell_result(struct ft_writer *w, enum ft_job_kind kind, uint64_t number,
			enum ft_status status)
{
	struct ft_job *job = ft_core_alloc(sizeof *job);

	job->kind = kind;
	job->number = number;
	job->status = status;
	writer_tell(w, job);
}

/* --- commit --- */

static int64_t writer_run_ms(const struct ft_writer *w)
{
	return w->start_run_ms + (w->now_ms - w->start_ms);
}

static enum ft_status writer_put_begun(struct ft_writer *w, struct writer_transfer *t)
{
	bool finished = t->state == WRITER_CONFLICT || t->state == WRITER_COMPLETE;
	enum ft_catalog_state state = finished ? FT_CATALOG_CONFLICT : FT_CATALOG_RECEIVING;

	return ft_catalog_put_transfer(w->core->catalog, &t->facts, state, writer_run_ms(w));
}

static enum ft_status writer_put_terms(struct ft_writer *w, struct writer_transfer *t)
{
	return ft_catalog_put_terms(w->core->catalog, t->number, &t->facts.terms);
}

static enum ft_status writer_put_refused(struct ft_writer *w, struct writer_transfer *t)
{
	return ft_catalog_put_refused(w->core->catalog, t->number);
}

static enum ft_status writer_put_time(struct ft_writer *w, struct writer_transfer *t)
{
	return ft_catalog_put_news(w->core->catalog, t->number, writer_run_ms(w));
}

static enum ft_status writer_put_held(struct ft_writer *w, struct writer_transfer *t)
{
	return ft_catalog_put_held(w->core->catalog, t->number, &t->held, t->held_start,
				   t->held_end);
}

static enum ft_status writer_put_durable(struct ft_writer *w, struct writer_transfer *t)
{
	return ft_catalog_put_durable(w->core->catalog, t->number, &t->durable, 0, FT_NUMBER_MAX);
}

static enum ft_status writer_put_fin(struct ft_writer *w, struct writer_transfer *t)
{
	return ft_catalog_put_fin(w->core->catalog, t->number, &t->fin,
				  t->ticket ? &t->ticket->request : NULL);
}

static enum ft_status writer_put_fin_failed(struct ft_writer *w, struct writer_transfer *t)
{
	return ft_catalog_drop_fin(w->core->catalog, t->number, t->result);
}

static enum ft_status writer_put_over(struct ft_writer *w, struct writer_transfer *t)
{
	return ft_catalog_drop_transfer(w->core->catalog, t->number);
}

static enum ft_status writer_put_answer(struct ft_writer *w, struct writer_transfer *t)
{
	const struct ft_answer answer = {
		.number = t->number, .ticket = t->ticket->request, .known = true,
		.result = t->result,
	};

	return ft_catalog_put_answer(w->core->catalog, &answer);
}

/* In this order. */
static const struct {
	enum writer_news news;
	enum ft_status (*put)(struct ft_writer *w, struct writer_transfer *t);
} writer_puts[] = {
	{ WRITER_NEWS_BEGUN, writer_put_begun },
	{ WRITER_NEWS_TERMS, writer_put_terms },
	{ WRITER_NEWS_REFUSED, writer_put_refused },
	{ WRITER_NEWS_HELD, writer_put_held },
	{ WRITER_NEWS_DURABLE, writer_put_durable },
	{ WRITER_NEWS_TIME, writer_put_time },
	{ WRITER_NEWS_FIN, writer_put_fin },
	{ WRITER_NEWS_FIN_FAILED, writer_put_fin_failed },
	{ WRITER_NEWS_OVER, writer_put_over },
	{ WRITER_NEWS_ANSWER, writer_put_answer },
};

static enum ft_status writer_put_all(struct ft_writer *w, struct writer_transfer *t)
{
	enum ft_status st = FT_OK;

	for (size_t i = 0; st == FT_OK && i < sizeof writer_puts / sizeof writer_puts[0]; i++)
		if (t->news & writer_puts[i].news)
			st = writer_puts[i].put(w, t);
	return st;
}

static enum ft_status writer_put_dirty(struct ft_writer *w)
{
	enum ft_status st = FT_OK;

	/* First: the same transfer may wait for the answer to its next fin already. */
	for (size_t i = 0; st == FT_OK && i < w->told.count; i++)
		st = ft_catalog_drop_answer(w->core->catalog, w->told.at[i]);
	for (size_t i = 0; st == FT_OK && i < w->events_told.count; i++)
		st = ft_catalog_drop_event(w->core->catalog, w->events_told.at[i]);
	for (struct ft_link *link = w->dirty.head.next; st == FT_OK && link != &w->dirty.head;
	     link = link->next)
		st = writer_put_all(w, FT_CONTAINER(link, struct writer_transfer, dirty));
	w->progress.run_ms = writer_run_ms(w);
	if (st == FT_OK)
		st = ft_catalog_put_progress(w->core->catalog, &w->progress);
	return st;
}

static enum ft_status writer_try_commit(struct ft_writer *w)
{
	enum ft_status st = ft_catalog_begin(w->core->catalog);

	if (st == FT_OK)
		st = writer_put_dirty(w);
	return ft_catalog_end(w->core->catalog, st);
}

/* What the catalog has now; transfers that are over are forgotten here, too. */
static void writer_committed(struct ft_writer *w)
{
	struct ft_link *link;

	w->told.count = w->events_told.count = 0;
	w->progress_made = false;
	while ((link = ft_list_pop(&w->dirty)) != NULL) {
		struct writer_transfer *t = FT_CONTAINER(link, struct writer_transfer, dirty);

		t->news = 0;
		if (t->gone && !t->checkpointing && !t->finish)
			writer_remove(w, &t);
	}
	w->commits++;
}

static void writer_send(struct ft_writer *w)
{
	struct ft_list told, quick, large;
	struct ft_link *link;

	ft_list_init(&told);
	ft_list_init(&quick);
	ft_list_init(&large);
	while ((link = ft_list_pop(&w->after_commit)) != NULL) {
		struct ft_job *job = FT_CONTAINER(link, struct ft_job, link);
		const struct ft_finish *finish = FT_CONTAINER(job, struct ft_finish, job);

		/* a finish that came back from a finisher has failed: only the client is left to tell */
		if (job->kind != FT_JOB_FINISH || job->status != FT_OK)
			ft_list_push(&told, link);
		else if (ft_core_finish_lane(w->core, finish->fin.size) == FT_LANE_LARGE)
			ft_list_push(&large, link);
		else
			ft_list_push(&quick, link);
	}
	/* First: what was found of an id is known before a file under it is finished. */
	ft_core_tell_broker_all(w->core, &told);
	ft_core_submit_all(w->core, FT_LANE_QUICK, &quick);
	ft_core_submit_all(w->core, FT_LANE_LARGE, &large);
}

/*
 * One that failed is tried again a moment later. Until then the writer goes on, since what comes
 * next may be what makes room; the log is not released.
 */
enum ft_status writer_commit(struct ft_writer *w)
{
	enum ft_status st = FT_OK;

	if (ft_list_first(&w->dirty) || w->told.count > 0 || w->events_told.count > 0
	    || w->progress_made) {
		if (w->commit_failed != FT_OK && ft_clock_ms() < w->commit_ms
		    && !writer_is_draining(w))
			return w->commit_failed;
		st = w->commit_failed = writer_try_commit(w);
		w->commit_ms = ft_clock_ms() + WRITER_RETRY_MS;
		if (st == FT_DISK_FULL)
			atomic_store(&w->core->disk_full, true);
		if (st != FT_OK)
			return st;
		writer_committed(w);
	}
	writer_send(w);
	return FT_OK;
}

/* --- timers --- */

static bool writer_is_tight(const struct ft_writer *w)
{
	return ft_log_fill(w->core->log) > ft_log_size(w->core->log) / 2;
}

static void writer_settle_old(struct ft_writer *w)
{
	bool tight = writer_is_tight(w);
	bool all = w->replaying || writer_is_draining(w);
	struct ft_link *link = w->pinned.head.next;

	while (link != &w->pinned.head) {
		struct writer_transfer *t = FT_CONTAINER(link, struct writer_transfer, pinned);

		link = link->next;
		if (t->state == WRITER_PENDING
		    && (all || tight || w->now_ms - t->pinned_ms >= WRITER_PENDING_MS))
			writer_settle(w, t);
	}
}

/* What was held back is tried again. */
static void writer_retry(struct ft_writer *w)
{
	struct ft_link *link = w->pinned.head.next;
	bool waiting = w->commit_failed != FT_OK;

	if (!atomic_load(&w->core->disk_full) || w->now_ms < w->retry_ms)
		return;
	w->retry_ms = w->now_ms + WRITER_RETRY_MS;
	while (link != &w->pinned.head) {
		struct writer_transfer *t = FT_CONTAINER(link, struct writer_transfer, pinned);

		link = link->next;
		if (t->state != WRITER_STORED)
			continue;
		writer_settle(w, t);
		if (t->pin == WRITER_PIN_NONE && t->fin_waits)
			writer_finish(w, t);
		waiting = waiting || t->pin != WRITER_PIN_NONE;
	}
	if (waiting)
		return;
	atomic_store(&w->core->disk_full, false);
	ft_logger_printf(w->core->logger, FT_LOG_NOTICE, "what waited in the log could be stored");
}

static void writer_begin_checkpoint(struct ft_writer *w, struct writer_transfer *t)
{
	struct ft_checkpoint *checkpoint = ft_core_alloc(sizeof *checkpoint);

	checkpoint->job.kind = FT_JOB_CHECKPOINT;
	checkpoint->job.number = t->number;
	checkpoint->key = &t->facts.key;
	ft_link_init(&checkpoint->job.link);
	ft_ranges_init(&checkpoint->held);
	if (ft_ranges_copy(&checkpoint->held, &t->held) != FT_OK) {
		free(checkpoint);
		return;
	}
	t->checkpointing = true;
	t->overwritten = false;
	t->unsynced = 0;
	ft_core_submit(w->core, FT_LANE_BACKGROUND, &checkpoint->job);
}

static bool writer_wants_checkpoint(const struct ft_writer *w, const struct writer_transfer *t)
{
	return w->core->options->durability == FT_DURABILITY_FILE
	       && (t->state == WRITER_STORED || ft_link_listed(&t->later))
	       && t->pin == WRITER_PIN_NONE && !t->checkpointing && t->unsynced > 0
	       && (t->unsynced >= WRITER_SYNC_BYTES || w->now_ms - t->unsynced_ms >= WRITER_SYNC_MS);
}

static bool writer_is_idle(const struct ft_writer *w, const struct writer_transfer *t)
{
	return (t->state == WRITER_STORED || t->state == WRITER_CONFLICT || t->state == WRITER_COMPLETE)
	       && t->pin == WRITER_PIN_NONE && !t->checkpointing && t->news == 0
	       && (t->unsynced == 0 || w->core->options->durability == FT_DURABILITY_NONE)
	       && w->now_ms - t->used_ms >= (w->count > WRITER_ACTIVE_MAX ? WRITER_IDLE_MS / 10
									  : WRITER_IDLE_MS);
}

/* Once a second at most: there are thousands of active transfers at most. */
static void writer_look_after_transfers(struct ft_writer *w)
{
	if (w->now_ms < w->seen_ms)
		return;
	w->seen_ms = w->now_ms + 1000;
	for (size_t i = 0; i < WRITER_BUCKETS; i++) {
		for (struct writer_transfer *t = w->transfers[i], *next; t; t = next) {
			next = t->next;
			if (writer_wants_checkpoint(w, t))
				writer_begin_checkpoint(w, t);
			else if (writer_is_idle(w, t))
				writer_remove(w, &t);
		}
	}
}

static void writer_tidy(struct ft_writer *w)
{
	struct ft_job *job;

	if (w->tidying || w->commits == 0
	    || (w->commits < WRITER_TIDY_COMMITS && w->now_ms < w->tidied_ms))
		return;
	w->tidied_ms = w->now_ms + WRITER_TIDY_MS;
	w->commits = 0;
	w->tidying = true;
	job = ft_core_alloc(sizeof *job);
	job->kind = FT_JOB_TIDY;
	ft_link_init(&job->link);
	ft_core_submit(w->core, FT_LANE_BACKGROUND, job);
}

static void writer_run_timers(struct ft_writer *w)
{
	writer_settle_old(w);
	writer_retry(w);
	if (w->replaying)
		return;
	writer_try_store_again(w);
	writer_look_after_transfers(w);
	writer_tell_space(w);
	writer_tidy(w);
}

/* --- rounds --- */

enum ft_status writer_sync(struct ft_writer *w, struct writer_transfer *t)
{
	enum ft_status st = writer_open_upload(w, t, FT_UPLOAD_EXISTING);

	if (st == FT_OK)
		st = ft_core_sync_upload(w->core, t->upload);
	if (st == FT_IO_ERROR)
		writer_lose_unsynced(w, t);
	if (st == FT_IO_ERROR || st == FT_NO_SUCH_TRANSFER)
		return FT_OK;
	if (st != FT_OK)
		return st;
	ft_ranges_release(&t->durable);
	if ((st = ft_ranges_copy(&t->durable, &t->held)) != FT_OK)
		return st;
	t->unsynced = 0;
	writer_note(w, t, WRITER_NEWS_DURABLE);
	return FT_OK;
}

bool writer_owes_disk(const struct ft_writer *w)
{
	int durability = w->core->options->durability;

	return durability == FT_DURABILITY_SEGMENT
	       || (w->replaying && durability != FT_DURABILITY_NONE);
}

static enum ft_status writer_make_durable(struct ft_writer *w)
{
	enum ft_status st;

	for (size_t i = 0; i < WRITER_BUCKETS; i++) {
		for (struct writer_transfer *t = w->transfers[i]; t; t = t->next) {
			if (t->state == WRITER_STORED && t->unsynced > 0
			    && (st = writer_sync(w, t)) != FT_OK)
				return st;
			if (t->state == WRITER_FINISHING && t->unsynced > 0 && !t->gone)
				return FT_BUSY;	/* it could not be synced before */
		}
	}
	if ((st = writer_commit(w)) != FT_OK)
		return st;
	return ft_core_sync_catalog(w->core, w->core->catalog);
}

/* Not after each round: many share the waits for the disk. */
static bool writer_may_release(struct ft_writer *w)
{
	if (!writer_owes_disk(w))
		return true;
	if (!w->replaying && w->now_ms < w->durable_ms
	    && ft_log_fill(w->core->log) < ft_log_size(w->core->log) / WRITER_DURABLE_PART)
		return false;
	if (ft_log_fill(w->core->log) == 0)
		return true;
	if (writer_make_durable(w) != FT_OK || w->failed)
		return false;
	w->durable_ms = ft_clock_ms() + WRITER_DURABLE_MS;
	return true;
}

static void writer_release_log(struct ft_writer *w)
{
	struct ft_link *first = ft_list_first(&w->pinned);
	uint64_t position = ft_log_taken(w->core->log);

	if (!writer_may_release(w))
		return;
	if (first && FT_CONTAINER(first, struct writer_transfer, pinned)->pin < position)
		position = FT_CONTAINER(first, struct writer_transfer, pinned)->pin;
	ft_log_release(w->core->log, position);
}

/* Returns whether there was anything to do. */
static bool writer_round(struct ft_writer *w)
{
	/* Where room is short it is given back sooner. */
	uint64_t most = writer_is_tight(w) ? WRITER_ROUND_BYTES / 4 : WRITER_ROUND_BYTES;
	struct ft_log_record record;
	uint64_t bytes = 0;
	bool any = false;

	w->now_ms = ft_clock_ms();
	w->round_start = ft_log_taken(w->core->log);
	writer_take_jobs(w);
	while (bytes < most && ft_log_take(w->core->log, &record)) {
		writer_apply(w, &record);
		bytes += record.end - record.position;
		any = true;
	}
	writer_flush(w);
	writer_run_timers(w);
	/* Where pages of the log are gone, what was read from it may be something else. */
	w->failed = w->failed || ft_log_is_broken(w->core->log);
	if (!w->failed && writer_commit(w) == FT_OK)
		writer_release_log(w);
	return any;
}

static int writer_sleep_ms(const struct ft_writer *w)
{
	if (atomic_load(&w->core->disk_full) || w->commit_failed != FT_OK)
		return WRITER_RETRY_MS;
	if (writer_owes_disk(w) && ft_log_fill(w->core->log) > 0)
		return WRITER_DURABLE_MS;
	return ft_list_first(&w->pinned) ? WRITER_PENDING_MS / 2 : WRITER_SLEEP_MS;
}

/* At the end: what only the kernel has is given to the disk, as far as there is time. */
static void writer_sync_all(struct ft_writer *w)
{
	int64_t deadline_ms = ft_clock_ms() + WRITER_SYNC_ALL_MS;

	if (w->core->options->durability == FT_DURABILITY_NONE)
		return;
	for (size_t i = 0; i < WRITER_BUCKETS; i++) {
		for (struct writer_transfer *t = w->transfers[i]; t; t = t->next) {
			if (t->state == WRITER_STORED && !t->checkpointing && t->unsynced > 0
			    && ft_clock_ms() < deadline_ms && writer_sync(w, t) != FT_OK)
				return;
		}
	}
	if (writer_commit(w) == FT_OK && ft_core_sync_catalog(w->core, w->core->catalog) != FT_OK)
		ft_logger_printf(w->core->logger, FT_LOG_ERROR, "the catalog could not be synced");
}

static void *writer_main(void *argument)
{
	struct ft_writer *w = argument;

	while (!atomic_load(&w->stop)) {
		if (!writer_round(w) && ft_queue_count(&w->core->to_writer) == 0)
			ft_log_sleep(w->core->log, writer_sleep_ms(w));
	}
	while (writer_round(w))
		;
	w->progress_made = true;	/* for how long this broker has run */
	writer_sync_all(w);
	atomic_store(&w->done, true);
	w->core->notify(w->core->context);
	return NULL;
}

/* --- life --- */

enum ft_status ft_writer_new(struct ft_core *core, struct ft_writer **out)
{
	struct ft_writer *w = calloc(1, sizeof *w);
	enum ft_status st;

	if (!w)
		return FT_NO_MEMORY;
	w->core = core;
	ft_list_init(&w->dirty);
	ft_list_init(&w->pinned);
	ft_list_init(&w->open);
	ft_list_init(&w->later);
	ft_list_init(&w->after_commit);
	w->transfers = calloc(WRITER_BUCKETS, sizeof *w->transfers);
	w->gather = malloc(WRITER_GATHER_MAX);
	w->compare = malloc(WRITER_GATHER_MAX);
	st = w->transfers && w->gather && w->compare ? FT_OK : FT_NO_MEMORY;
	if (st == FT_OK)
		st = ft_catalog_get_progress(core->catalog, &w->progress);
	w->start_ms = w->now_ms = ft_clock_ms();
	w->start_run_ms = w->progress.run_ms;
	*out = w;
	if (st != FT_OK) {
		atomic_store(&w->done, true);
		ft_writer_free(out);
	}
	return st;
}

enum ft_status ft_writer_replay(struct ft_writer *w)
{
	enum ft_status st;
	bool more = true;

	w->replaying = true;
	while (more) {
		struct ft_log_record record;
		uint64_t bytes = 0;

		w->round_start = ft_log_taken(w->core->log);
		while (bytes < WRITER_ROUND_BYTES && (more = ft_log_take(w->core->log, &record))) {
			writer_apply(w, &record);
			bytes += record.end - record.position;
		}
		writer_flush(w);
		writer_run_timers(w);
		st = w->failed ? FT_IO_ERROR : writer_try_commit(w);
		if (st != FT_OK)
			return st;
		writer_committed(w);
		writer_release_log(w);
	}
	w->replaying = false;
	return FT_OK;
}

enum ft_status ft_writer_each_held_back(struct ft_writer *w, ft_writer_visit *visit,
					void *context)
{
	enum ft_status st = FT_OK;

	for (struct ft_link *link = w->pinned.head.next; st == FT_OK && link != &w->pinned.head;
	     link = link->next) {
		const struct writer_transfer *t = FT_CONTAINER(link, struct writer_transfer, pinned);
		const struct ft_held_back held_back = {
			.number = t->number, .pieces = t->pieces, .piece_count = t->piece_count,
			.fin = t->fin_waits ? &t->fin : NULL,
			.ticket = t->ticket ? &t->ticket->request : NULL,
		};

		st = visit(context, &held_back);
	}
	return st;
}

/* The walk makes no calls on the catalog, and no jobs yet. */
static enum ft_status writer_resume(void *context, struct ft_unfinished *found)
{
	struct ft_writer *w = context;

	struct writer_transfer *t = writer_find(w, found->facts.number);

	if (found->state != FT_CATALOG_FINISHING)
		return FT_OK;
	if (!t)
		t = writer_adopt(w, found);
	/* It may be here by a record behind the fin, such as that of a refused init. */
	if (t->state == WRITER_STORED)
		writer_move(t, WRITER_FINISHING);
	return FT_OK;
}

static enum ft_status writer_resume_fins(struct ft_writer *w)
{
	enum ft_status st = ft_catalog_each_transfer(w->core->catalog, writer_resume, w);

	for (size_t i = 0; st == FT_OK && i < WRITER_BUCKETS; i++)
		for (struct writer_transfer *t = w->transfers[i]; t; t = t->next)
			if (t->state == WRITER_FINISHING)
				writer_submit_finish(w, t);
	return st;
}

enum ft_status ft_writer_start(struct ft_writer *w)
{
	enum ft_status st;

	if ((st = writer_resume_fins(w)) != FT_OK)
		return st;
	writer_send(w);
	w->started = ft_thread_start(&w->thread, writer_main, w) == 0;
	return w->started ? FT_OK : FT_NO_MEMORY;
}

struct ft_progress ft_writer_progress(const struct ft_writer *w)
{
	return w->progress;
}

void ft_writer_stop(struct ft_writer *w)
{
	atomic_store(&w->stop, true);
	ft_log_wake(w->core->log);
}

bool ft_writer_is_done(const struct ft_writer *w)
{
	return !w->started || atomic_load(&w->done);
}

void ft_writer_free(struct ft_writer **writer)
{
	struct ft_writer *w = *writer;

	if (!w)
		return;
	if (w->started)
		pthread_join(w->thread, NULL);
	for (size_t i = 0; w->transfers && i < WRITER_BUCKETS; i++)
		while (w->transfers[i]) {
			struct writer_transfer *t = w->transfers[i];

			if (ft_link_listed(&t->later) && t->finish) {
				struct ft_job *job = &t->finish->job;	/* nobody else has it */

				ft_job_free(&job);
			}
			ft_link_remove(&t->later);
			t->finish = NULL;
			t->checkpointing = false;
			writer_remove(w, &t);
		}
	free(w->transfers);
	free(w->told.at);
	free(w->events_told.at);
	free(w->gather);
	free(w->compare);
	free(w);
	*writer = NULL;
}
