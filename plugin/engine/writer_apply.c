/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What each kind of record does. Applying a record again changes nothing: numbers are never used
 * twice, only BEGIN introduces one, and a record whose number is not known is of a transfer that
 * is over.
 */
#include "engine/writer_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "log/record.h"
#include "protocol/topic.h"

#define APPLY_PENDING_PIECES 256	/* of a small transfer, at most */
#define APPLY_NUMBERS_AHEAD 65536	/* the catalog is told of numbers in lots */
#define APPLY_LATER_MS 1000		/* a file that the store could not take: first wait, */
#define APPLY_LATER_DOUBLINGS 6		/* and how often it doubles */
#define APPLY_QUICK_MAX 2048		/* small files that wait for a finisher in the log */

static void apply_damaged(const struct ft_writer *w, const struct ft_log_record *record)
{
	ft_logger_printf(w->core->logger, FT_LOG_ERROR, "the log's record at %llu (kind %d) cannot be "
			 "read and is left out: please report this",
			 (unsigned long long)record->position, (int)record->kind);
}

/* --- begin --- */

/* Where its owner has finished a file with these bytes, nothing of it needs to be sent. */
static bool apply_has_same(struct ft_writer *w, const struct writer_transfer *t)
{
	const struct ft_meta *meta = &t->facts.meta;
	struct ft_finished same;

	return w->core->options->deduplicate == FT_DEDUPLICATE_ON && w->core->ops->upload_link
	       && t->state == WRITER_PENDING && meta->has_size && meta->has_checksum && meta->size > 0
	       && ft_catalog_find_same(w->core->catalog, &t->facts.key, &meta->checksum, meta->size,
				       &same) == FT_OK;
}

static void apply_tell_verdict(struct ft_writer *w, const struct writer_transfer *t)
{
	struct ft_verdict *verdict = ft_core_alloc(sizeof *verdict);

	verdict->job.kind = FT_JOB_VERDICT;
	verdict->job.number = t->number;
	verdict->job.status = t->state == WRITER_CONFLICT ? FT_FILEMETA_CONFLICT : FT_OK;
	verdict->complete = t->state == WRITER_COMPLETE;
	verdict->same = apply_has_same(w, t);
	verdict->size = t->finished_size;
	writer_tell(w, &verdict->job);
}

/* What the catalog says of a key; consumers may have taken the file away since. */
static enum ft_status apply_find_finished(struct ft_writer *w, const struct ft_key *key,
					  struct ft_finished *finished)
{
	enum ft_status st;

	do
		st = ft_catalog_find_finished(w->core->catalog, key, finished);
	while (st != FT_OK && st != FT_NO_SUCH_TRANSFER && writer_wait(w));
	w->failed = w->failed || (st != FT_OK && st != FT_NO_SUCH_TRANSFER);
	return st;
}

static struct writer_transfer *apply_begin_pending(struct ft_writer *w, const struct ft_facts *facts,
						   uint64_t position)
{
	struct writer_transfer *t = writer_add(w, facts, WRITER_PENDING);

	writer_pin(w, t, position);
	return t;
}

static struct writer_transfer *apply_begin_complete(struct ft_writer *w, const struct ft_facts *facts,
						    const struct ft_finished *finished)
{
	struct writer_transfer *t = writer_add(w, facts, WRITER_COMPLETE);

	memcpy(t->facts.meta.name, finished->name, sizeof t->facts.meta.name);
	t->finished_size = finished->size;
	t->finished_checksum = finished->checksum;
	return t;
}

/*
 * The id may be finished. While replaying perhaps by this very transfer, whose answer may be
 * still to be told, or by a later one: then NULL, since this one is over.
 */
static struct writer_transfer *apply_begin_checked(struct ft_writer *w, const struct ft_facts *facts,
						   uint64_t position)
{
	struct ft_finished finished;
	struct writer_transfer *t;

	if (apply_find_finished(w, &facts->key, &finished) != FT_OK)
		return apply_begin_pending(w, facts, position);
	if (finished.number > facts->number)
		return NULL;
	if (finished.number == facts->number) {
		t = apply_begin_complete(w, facts, &finished);
		t->is_same = true;
		return t;
	}
	if (w->core->ops->find(w->core->store, &facts->key, finished.name) == FT_NO_SUCH_TRANSFER)
		return apply_begin_pending(w, facts, position);
	if (ft_meta_fits(&facts->meta, &finished))
		return apply_begin_complete(w, facts, &finished);
	if (w->core->options->finished_ids == FT_FINISHED_IDS_REPLACE)
		return apply_begin_pending(w, facts, position);
	t = writer_add(w, facts, WRITER_CONFLICT);
	t->finished_size = finished.size;
	writer_note(w, t, WRITER_NEWS_BEGUN);
	return t;
}

/* While replaying: whether the catalog knows better already. */
static bool apply_is_known(struct ft_writer *w, const struct ft_facts *facts)
{
	uint64_t number = 0;
	enum ft_status st = ft_catalog_find_number(w->core->catalog, &facts->key, &number);

	w->failed = w->failed || st != FT_OK;
	return st == FT_OK && number >= facts->number;
}

static void apply_begin(struct ft_writer *w, const struct ft_log_record *record)
{
	struct writer_transfer *t;
	struct ft_facts facts;

	if (ft_record_read_facts(&facts, record) != FT_OK) {
		apply_damaged(w, record);
		return;
	}
	/* Else the number of a file that never got a row of its own here would be used again. */
	if (facts.number > w->progress.last_number) {
		w->progress.last_number = facts.number + APPLY_NUMBERS_AHEAD;
		w->progress_made = true;
	}
	if (writer_find(w, facts.number) || (w->replaying && apply_is_known(w, &facts)))
		return;
	if (w->replaying || (record->flags & FT_RECORD_CHECK))
		t = apply_begin_checked(w, &facts, record->position);
	else
		t = apply_begin_pending(w, &facts, record->position);
	if (t && (record->flags & FT_RECORD_CHECK))
		apply_tell_verdict(w, t);
}

/*
 * Takes back a fin. While replaying, when a record comes behind it that is only appended once
 * that has failed: who waited for it was told then.
 */
static void apply_drop_fin(struct ft_writer *w, struct writer_transfer *t)
{
	writer_move(t, WRITER_STORED);
	if (t->news & WRITER_NEWS_FIN)
		t->news &= ~(unsigned)WRITER_NEWS_FIN;
	else {
		/* Which result it was is not known any more; whoever has not heard it asks again. */
		t->result = FT_INTERNAL_ERROR;
		writer_note(w, t, WRITER_NEWS_FIN_FAILED);
	}
	t->answer_kept = false;
	writer_note_told(w, t->number);
}

/*
 * While replaying: whether a fin that the catalog has was carried out up to the renames, and
 * the process was killed before it could say so. Then the bytes are not where they were, and
 * the records of before that fin, which may be there still, have nothing to act on: a finisher
 * looks at the file. Of an empty file there were no bytes.
 */
static bool apply_is_published(struct ft_writer *w, struct writer_transfer *t)
{
	return w->replaying && t->answer_kept && t->fin.size > 0
	       && (t->state == WRITER_STORED || t->state == WRITER_FINISHING)
	       && writer_open_upload(w, t, FT_UPLOAD_EXISTING) == FT_NO_SUCH_TRANSFER;
}

/*
 * The transfer of a record that is only appended while no fin is on its way. NULL: it is over,
 * or about to be.
 */
static struct writer_transfer *apply_find_open(struct ft_writer *w, uint64_t number)
{
	struct writer_transfer *t = writer_lookup(w, number);

	if (t && apply_is_published(w, t))
		return NULL;
	if (t && t->state == WRITER_FINISHING && w->replaying)
		apply_drop_fin(w, t);
	assert(!t || t->state != WRITER_FINISHING);
	return t;
}

/* --- what changes no bytes --- */

static void apply_describe(struct ft_writer *w, const struct ft_log_record *record)
{
	struct writer_transfer *t = apply_find_open(w, record->number);
	struct ft_terms terms;

	if (ft_record_read_terms(&terms, record) != FT_OK) {
		apply_damaged(w, record);
		return;
	}
	if (!t)
		return;
	if (t->state == WRITER_COMPLETE && t->refused) {
		t->news &= ~(unsigned)WRITER_NEWS_BEGUN;
		writer_note(w, t, WRITER_NEWS_OVER);
	}
	t->refused = false;
	t->facts.terms = terms;
	writer_set_user_data(t, &terms.user_data);
	t->news &= ~(unsigned)WRITER_NEWS_REFUSED;	/* of before */
	if (t->state == WRITER_STORED)
		writer_note(w, t, WRITER_NEWS_TERMS | WRITER_NEWS_TIME);
}

static void apply_refuse(struct ft_writer *w, const struct ft_log_record *record)
{
	struct writer_transfer *t = writer_lookup(w, record->number);

	if (!t || t->state == WRITER_FINISHING)
		return;
	t->refused = true;
	if (t->state == WRITER_PENDING)
		writer_settle(w, t);
	if (t->state == WRITER_STORED)
		writer_note(w, t, WRITER_NEWS_REFUSED);
	if (t->state == WRITER_COMPLETE) {	/* a place holder, so that it is so after a restart, too */
		t->news &= ~(unsigned)WRITER_NEWS_OVER;
		writer_note(w, t, WRITER_NEWS_BEGUN);
	}
}

static void apply_news(struct ft_writer *w, const struct ft_log_record *record)
{
	struct writer_transfer *t;

	if (record->number == 0) {	/* of no transfer: only the time goes on */
		w->progress_made = true;
		return;
	}
	t = writer_lookup(w, record->number);
	if (t && (t->state == WRITER_STORED || t->state == WRITER_CONFLICT))
		writer_note(w, t, WRITER_NEWS_TIME);
}

/* --- bytes --- */

static bool apply_may_stay_in_log(const struct writer_transfer *t, size_t len)
{
	return t->state == WRITER_PENDING && t->piece_count < APPLY_PENDING_PIECES
	       && t->piece_bytes + len <= FT_SMALL_FILE;
}

static void apply_keep_pending(struct ft_writer *w, struct writer_transfer *t,
			       const struct ft_log_record *record)
{
	uint64_t offset = record->offset;

	if (ft_ranges_restore(&t->held, offset, offset + record->bytes_len) != FT_OK)
		writer_settle(w, t);	/* for want of memory: it is stored as it is written */
	if (t->state == WRITER_PENDING)
		writer_keep(t, offset, record->bytes, record->bytes_len);
	else
		writer_store(w, t, offset, record->bytes, record->bytes_len);
}

static enum ft_status apply_bytes_to(struct ft_writer *w, struct writer_transfer *t,
				     const struct ft_log_record *record)
{
	enum ft_status st;

	switch (t->state) {
	case WRITER_PENDING:
	case WRITER_STORED:
		if (apply_may_stay_in_log(t, record->bytes_len)) {
			apply_keep_pending(w, t, record);
			return FT_OK;
		}
		if (t->state == WRITER_PENDING)
			writer_settle(w, t);
		writer_store(w, t, record->offset, record->bytes, record->bytes_len);
		return FT_OK;
	case WRITER_COMPLETE:
		if (t->is_same)
			return FT_OK;
		st = writer_compare_finished(w, t, record->offset, record->bytes,
					     record->bytes_len);
		t->differs = t->differs || st != FT_OK;
		return st;
	case WRITER_CONFLICT:
		return FT_FILEMETA_CONFLICT;
	case WRITER_FINISHING:	/* see apply_find_open() */
	case WRITER_STATES:
		break;
	}
	return FT_BUSY;
}

static void apply_bytes(struct ft_writer *w, const struct ft_log_record *record)
{
	struct writer_transfer *t = apply_find_open(w, record->number);
	enum ft_status st = FT_NO_SUCH_TRANSFER;

	if (t)
		st = apply_bytes_to(w, t, record);
	if (record->flags & FT_RECORD_ANSWER)
		writer_tell_result(w, FT_JOB_SEGMENT, record->number, st);
}

/* --- fin --- */

void writer_submit_finish(struct ft_writer *w, struct writer_transfer *t)
{
	struct ft_finish *finish = ft_core_alloc(sizeof *finish);

	assert(t->state == WRITER_FINISHING && !t->finish);
	finish->job.kind = FT_JOB_FINISH;
	finish->job.number = t->number;
	finish->job.status = FT_OK;
	finish->facts = &t->facts;
	finish->fin = t->fin;
	finish->pieces = t->pieces;
	finish->piece_count = t->piece_count;
	finish->from_log = t->pin != WRITER_PIN_NONE;
	finish->verified = t->verified;
	finish->same = t->same;
	finish->hasher = t->hasher;
	t->hasher = NULL;
	t->finish = finish;
	ft_link_init(&finish->job.link);
	ft_list_push(&w->after_commit, &finish->job.link);
}

/* A small file whose begin, bytes and fin are all in the log is published straight from there; not
   so if a program is to see it before. */
static bool apply_can_finish_from_log(const struct ft_writer *w, const struct writer_transfer *t)
{
	return t->state == WRITER_PENDING && !w->core->options->on_complete && !w->replaying && !writer_is_draining(w)
	       && ft_queue_count(&w->core->lanes[FT_LANE_QUICK]) < APPLY_QUICK_MAX
	       && ft_log_fill(w->core->log) < ft_log_size(w->core->log) / 2;
}

/* The result is known at once. It is kept until it was told, perhaps after a restart. */
static void apply_fin_result(struct ft_writer *w, struct writer_transfer *t, enum ft_status st)
{
	struct ft_result *result = ft_core_alloc(sizeof *result);

	t->result = st;
	writer_note(w, t, WRITER_NEWS_ANSWER);
	result->job.kind = FT_JOB_RESULT;
	result->job.number = t->number;
	result->job.status = st;
	writer_tell(w, &result->job);
}

/* It is a finisher's then, and the log may let go of its bytes while that is at work. */
static void apply_sync_before_fin(struct ft_writer *w, struct writer_transfer *t)
{
	enum ft_status st = FT_OK;

	if (writer_owes_disk(w) && t->unsynced > 0)
		st = writer_sync(w, t);
	(void)st;	/* what is not synced keeps the log: see writer_make_durable() */
}

void writer_finish(struct ft_writer *w, struct writer_transfer *t)
{
	t->fin_waits = false;
	if (!apply_can_finish_from_log(w, t)) {
		if (t->state == WRITER_PENDING)
			writer_settle(w, t);
		t->fin_waits = t->pin != WRITER_PIN_NONE;
		if (t->fin_waits)
			return;
		apply_sync_before_fin(w, t);
		if (!ft_ranges_cover(&t->held, 0, t->fin.size)) {	/* some could not be stored */
			apply_fin_result(w, t, FT_INCOMPLETE);
			return;
		}
		writer_note(w, t, WRITER_NEWS_FIN);
		t->answer_kept = true;
		writer_close_upload(w, t);
	}
	writer_move(t, WRITER_FINISHING);
	if (!w->replaying && !writer_is_draining(w) && !t->checkpointing && !ft_link_listed(&t->later))
		writer_submit_finish(w, t);
}

/* --- a store that cannot take a file now --- */

/* A FINISHING transfer waits, until the store may take it. */
static void apply_wait_for_store(struct ft_writer *w, struct writer_transfer *t)
{
	int64_t wait_ms = (int64_t)APPLY_LATER_MS << (t->tries < APPLY_LATER_DOUBLINGS
						      ? t->tries : APPLY_LATER_DOUBLINGS);

	t->tries++;
	/* No two brokers, and no two files, come back at the same moment for ever. */
	t->later_ms = w->now_ms + wait_ms / 2 + (int64_t)(t->number * 2654435761u % (uint64_t)wait_ms);
	assert(!ft_link_listed(&t->later));
	ft_list_push(&w->later, &t->later);
	atomic_fetch_add(&w->core->later, 1);
	atomic_fetch_add(&w->core->later_total, 1);
	if (t->tries == 1)
		writer_tell_result(w, FT_JOB_LATER, t->number, FT_OK);
}

static void apply_end_waiting(struct ft_writer *w, struct writer_transfer *t)
{
	ft_link_remove(&t->later);
	atomic_fetch_sub(&w->core->later, 1);
}

/* A file that waits for the store does so no more, and its job is not needed. */
static void apply_drop_waiting(struct ft_writer *w, struct writer_transfer *t)
{
	struct ft_job *job = t->finish ? &t->finish->job : NULL;

	if (!ft_link_listed(&t->later))
		return;
	apply_end_waiting(w, t);
	t->finish = NULL;
	ft_job_free(&job);
}

static void apply_try_store(struct ft_writer *w, struct writer_transfer *t)
{
	apply_end_waiting(w, t);
	w->later_tried = true;
	if (t->finish)
		ft_list_push(&w->after_commit, &t->finish->job.link);
	else
		writer_submit_finish(w, t);
	t->finish->tried_again = true;
}

void writer_try_store_again(struct ft_writer *w)
{
	struct ft_link *link = w->later.head.next;

	while (link != &w->later.head && !writer_is_draining(w)
	       && !(w->store_is_away && w->later_tried)) {
		struct writer_transfer *t = FT_CONTAINER(link, struct writer_transfer, later);

		link = link->next;
		if (w->now_ms >= t->later_ms && !t->checkpointing)
			apply_try_store(w, t);
	}
}

/*
 * Its bytes go to the store's unfinished part, and its fin to the catalog, if they are not there:
 * then it survives whatever comes, for as long as it takes. Returns whether the job is kept.
 */
static bool apply_take_later(struct ft_writer *w, struct writer_transfer *t, struct ft_finish *finish)
{
	bool from_log = finish->from_log;

	finish->job.status = FT_OK;
	w->store_is_away = true;
	if (from_log)
		t->finish = NULL;
	apply_wait_for_store(w, t);
	if (!from_log)
		return true;
	writer_move(t, WRITER_PENDING);
	writer_settle(w, t);
	writer_finish(w, t);
	if (t->state != WRITER_FINISHING)	/* the disk is full, too */
		apply_end_waiting(w, t);
	return false;
}

static enum ft_status apply_fin_of_finished(const struct writer_transfer *t, const struct ft_fin *fin)
{
	const struct ft_finished finished = {
		.size = t->finished_size, .checksum = t->finished_checksum,
	};

	return !t->differs && ft_fin_fits(fin, &finished) ? FT_OK : FT_ALREADY_COMPLETE;
}

static enum ft_status apply_check_fin(const struct writer_transfer *t, const struct ft_fin *fin)
{
	if (t->state == WRITER_COMPLETE)
		return apply_fin_of_finished(t, fin);
	if (t->state == WRITER_CONFLICT || t->refused)
		return FT_FILEMETA_CONFLICT;
	return ft_ranges_cover(&t->held, 0, fin->size) ? FT_OK : FT_INCOMPLETE;
}

/*
 * The fin of an init whose bytes its owner has finished already: nothing is held, and nothing is
 * noted, so that after a crash it is an ordinary transfer, whose client asks again.
 */
static void apply_same(struct ft_writer *w, struct writer_transfer *t)
{
	assert(t->held.count == 0 && !t->checkpointing);
	t->same = true;
	writer_move(t, WRITER_FINISHING);
	if (!writer_is_draining(w))
		writer_submit_finish(w, t);
}

static void apply_fin(struct ft_writer *w, const struct ft_log_record *record)
{
	struct writer_transfer *t;
	struct ft_request request;
	struct ft_fin fin;
	enum ft_status st;

	/*
	 * That the answer to the fin before was told has come before this record: taken later, it
	 * would drop who waits for this one.
	 */
	writer_take_jobs(w);
	if (w->replaying && (record->flags & FT_RECORD_SAME))
		return;
	t = apply_find_open(w, record->number);
	if (!t)
		return;
	if (ft_record_read_fin(&fin, record) != FT_OK
	    || ft_record_read_ticket(&request, record) != FT_OK) {
		apply_damaged(w, record);
		return;
	}
	writer_flush(w);
	ft_ticket_free(&t->ticket);
	while (!(t->ticket = ft_ticket_new(&request)))
		ft_core_wait_for_memory();
	t->fin = fin;
	t->verified = fin.has_checksum && (record->flags & FT_RECORD_VERIFIED);
	if (record->flags & FT_RECORD_SAME)
		apply_same(w, t);
	else if (t->state == WRITER_STORED && t->pin != WRITER_PIN_NONE)
		t->fin_waits = true;	/* until a full disk takes what was acknowledged */
	else if ((st = apply_check_fin(t, &fin)) != FT_OK || t->state == WRITER_COMPLETE)
		apply_fin_result(w, t, st);
	else
		writer_finish(w, t);
}

/* --- abort, expire --- */

static void apply_tell_discarded(struct ft_writer *w, struct writer_transfer *t, uint64_t number,
				 uint16_t flags)
{
	struct ft_discard *discard = ft_core_alloc(sizeof *discard);

	discard->job.kind = FT_JOB_DISCARD;
	discard->job.number = number;
	/* Nothing was stored for it, and what is finished stays. */
	discard->job.status = t && (t->state == WRITER_COMPLETE || t->state == WRITER_CONFLICT)
			      ? FT_ALREADY_COMPLETE : FT_OK;
	discard->answer = (flags & FT_RECORD_ANSWER) != 0;
	if (t) {	/* the handle goes along: to close it frees the space, which takes time */
		discard->upload = t->upload;
		if (t->upload) {
			t->upload = NULL;
			ft_link_remove(&t->open);
			w->open_count--;
		}
	}
	/*
	 * At once: on a full disk the catalog cannot be told before there is room. Until it is,
	 * the record stays in the log. Of a finished id nothing changes, and others wait for what
	 * was found of it, which is to be told first.
	 */
	ft_link_init(&discard->job.link);
	if (discard->job.status == FT_ALREADY_COMPLETE) {
		assert(!discard->upload);
		writer_tell(w, &discard->job);
		return;
	}
	if (!w->replaying) {
		ft_core_submit(w->core, discard->upload ? FT_LANE_BACKGROUND : FT_LANE_QUICK,
			       &discard->job);
		return;
	}
	w->core->ops->upload_close(&discard->upload);
	free(discard);
}

/* Takes the bytes out of the store, then the facts out of the catalog. */
static void apply_discard(struct ft_writer *w, struct writer_transfer *t, uint16_t flags)
{
	enum ft_status st;

	if (w->gathering == t)
		w->gathering = NULL;
	if (t->state == WRITER_STORED) {
		st = writer_open_upload(w, t, FT_UPLOAD_EXISTING);
		if (st == FT_OK)
			st = w->core->ops->discard(t->upload);
		/* What stays lies there unknown: the next sweep finds it. */
		if (st != FT_OK && st != FT_NO_SUCH_TRANSFER)
			ft_core_log(w->core, FT_LOG_ERROR, &t->facts.key,
				    "its bytes could not be removed: %s", ft_status_text(st));
	}
	apply_tell_discarded(w, t, t->number, flags);
	writer_unpin(t);
	t->piece_count = 0;
	t->gone = true;
	if (t->state != WRITER_PENDING)
		writer_note(w, t, WRITER_NEWS_OVER);
	t->news &= WRITER_NEWS_OVER;
	if (!(t->news & WRITER_NEWS_OVER) && !t->checkpointing)
		writer_remove(w, &t);
}

static void apply_abort(struct ft_writer *w, const struct ft_log_record *record)
{
	struct writer_transfer *t = writer_lookup(w, record->number);

	if (t && t->state == WRITER_FINISHING)
		writer_take_jobs(w);
	t = writer_lookup(w, record->number);
	if (!t) {
		if (record->flags & FT_RECORD_ANSWER)
			apply_tell_discarded(w, NULL, record->number, record->flags);
		return;
	}
	/* The fin will find that an earlier process has published it: it cannot be taken back. */
	if (w->replaying && (t->answer_kept || t->state == WRITER_FINISHING)
	    && ft_core_is_published(w->core, w->core->catalog, &t->facts, t->fin.size))
		return;
	if (ft_link_listed(&t->later))	/* a finisher is to say whether it is published after all */
		apply_try_store(w, t);
	if (t->state == WRITER_FINISHING && t->finish) {
		t->abort_wanted = true;
		atomic_store(&t->finish->cancelled, true);
		return;
	}
	if (t->state == WRITER_FINISHING) {	/* no finisher has it yet */
		writer_move(t, WRITER_STORED);
		t->news &= ~(unsigned)WRITER_NEWS_FIN;
		t->answer_kept = false;
		if (!w->replaying)	/* with the answer to the abort */
			writer_note_told(w, t->number);
	}
	apply_discard(w, t, record->flags);
}

/* --- all --- */

void writer_apply(struct ft_writer *w, const struct ft_log_record *record)
{
	static void (*const apply[FT_RECORD_KINDS])(struct ft_writer *w,
						    const struct ft_log_record *record) = {
		[FT_RECORD_BEGIN] = apply_begin, [FT_RECORD_DESCRIBE] = apply_describe,
		[FT_RECORD_REFUSE] = apply_refuse, [FT_RECORD_BYTES] = apply_bytes,
		[FT_RECORD_FIN] = apply_fin, [FT_RECORD_ABORT] = apply_abort,
		[FT_RECORD_EXPIRE] = apply_abort, [FT_RECORD_NEWS] = apply_news,
	};

	assert(record->kind < FT_RECORD_KINDS);
	if (apply[record->kind])
		apply[record->kind](w, record);
}

/* --- jobs that come back --- */

void writer_lose_unsynced(struct ft_writer *w, struct writer_transfer *t)
{
	ft_ranges_release(&t->held);
	while (ft_ranges_copy(&t->held, &t->durable) != FT_OK)
		ft_core_wait_for_memory();
	ft_hasher_free(t->hasher);
	t->hasher = NULL;
	t->unsynced = 0;
	writer_note_held(w, t, 0, FT_NUMBER_MAX);
	writer_tell_lost(w, t, 0, FT_NUMBER_MAX, &t->held, FT_IO_ERROR);
}

/* The client is asked for them again, which may mend what the disk has lost. */
static void apply_lose_unreadable(struct ft_writer *w, struct writer_transfer *t,
				  struct ft_finish *finish)
{
	writer_lose(w, t, finish->lost_start, finish->lost_end, finish->job.status);
	writer_tell_lost(w, t, finish->lost_start, finish->lost_end, NULL, finish->job.status);
	finish->job.status = FT_INCOMPLETE;
	t->result = FT_INCOMPLETE;
}

/*
 * The writer's again, with all its bytes; then the broker's thread hears why. Returns whether
 * the job goes on to it.
 */
static bool apply_take_failed(struct ft_writer *w, struct writer_transfer *t,
			      struct ft_finish *finish)
{
	bool abort_wanted = t->abort_wanted;

	t->finish = NULL;
	if (finish->job.status == FT_CANCELLED && !abort_wanted) {
		/* The broker ends: the fin stays accepted, and the next start carries it out. */
		return false;
	}
	t->abort_wanted = false;
	t->result = finish->job.status;
	writer_move(t, finish->from_log ? WRITER_PENDING : WRITER_STORED);
	if (finish->from_log)
		writer_settle(w, t);
	else if (finish->unsynced_lost)
		writer_lose_unsynced(w, t);
	else if (finish->lost_end > finish->lost_start)
		apply_lose_unreadable(w, t, finish);
	if (t->answer_kept)
		writer_note(w, t, WRITER_NEWS_FIN_FAILED);
	else if (!t->same)
		writer_note(w, t, WRITER_NEWS_ANSWER);
	t->answer_kept = !t->same;
	t->same = false;
	ft_link_init(&finish->job.link);
	ft_list_push(&w->after_commit, &finish->job.link);
	if (abort_wanted)
		apply_discard(w, t, FT_RECORD_ANSWER);
	return true;
}

/* The file is finished, and the broker's thread has told it, or could not. */
static void apply_take_finished(struct ft_writer *w, struct writer_transfer *t,
				const struct ft_finish *finish)
{
	t->finish = NULL;
	t->gone = true;
	t->result = FT_OK;
	writer_unpin(t);
	if (!finish->told && !t->answer_kept)
		writer_note(w, t, WRITER_NEWS_ANSWER);
	else if (!t->checkpointing)
		writer_remove(w, &t);
}

/* Returns whether the job goes on. */
static bool apply_take_finish(struct ft_writer *w, struct writer_transfer *t,
			      struct ft_finish *finish)
{
	if (finish->tried_again)
		w->later_tried = false;
	finish->tried_again = false;
	if (finish->job.status == FT_OK)
		w->store_is_away = false;
	if (!finish->returning) {
		assert(t && t->finish == finish && finish->job.status != FT_OK);
		if (finish->later && !t->abort_wanted && !t->same)
			return apply_take_later(w, t, finish);
		if (finish->later && t->abort_wanted)	/* it would have waited; so the abort is the answer */
			finish->job.status = FT_CANCELLED;
		return apply_take_failed(w, t, finish);
	}
	if (finish->told && (!t || t->answer_kept || finish->job.status != FT_OK))
		writer_note_told(w, finish->job.number);
	if (finish->event_told)
		writer_note_event_told(w, finish->job.number);
	if (t && t->finish == finish)
		apply_take_finished(w, t, finish);
	return false;
}

/*
 * A fin that came during a checkpoint has waited for it: the kernel tells of bytes that it has
 * lost once, and a finisher's own sync would hear nothing of them.
 */
static void apply_go_on_with_fin(struct ft_writer *w, struct writer_transfer *t,
				 enum ft_status checkpoint)
{
	if (checkpoint != FT_IO_ERROR) {
		if (!writer_is_draining(w))
			writer_submit_finish(w, t);
		return;
	}
	writer_move(t, WRITER_STORED);
	writer_lose_unsynced(w, t);
	if (t->news & WRITER_NEWS_FIN)
		t->news &= ~(unsigned)WRITER_NEWS_FIN;
	else
		writer_note(w, t, WRITER_NEWS_FIN_FAILED);
	apply_fin_result(w, t, FT_INCOMPLETE);
}

static void apply_take_checkpoint(struct ft_writer *w, struct writer_transfer *t,
				  struct ft_checkpoint *checkpoint)
{
	t->checkpointing = false;
	if (t->gone) {
		if (t->news == 0 && !t->finish)
			writer_remove(w, &t);
	} else if (t->state == WRITER_FINISHING
		   && (!ft_link_listed(&t->later) || checkpoint->job.status == FT_IO_ERROR)) {
		apply_drop_waiting(w, t);
		apply_go_on_with_fin(w, t, checkpoint->job.status);
	} else if (checkpoint->job.status == FT_IO_ERROR) {
		writer_lose_unsynced(w, t);
	} else if (checkpoint->job.status == FT_OK && !t->overwritten) {
		ft_ranges_release(&t->durable);
		t->durable = checkpoint->held;
		ft_ranges_init(&checkpoint->held);
		writer_note(w, t, WRITER_NEWS_DURABLE);
	} else {	/* again, later */
		t->unsynced += checkpoint->held.bytes;
		t->unsynced_ms = w->now_ms;
	}
}

static void apply_take_job(struct ft_writer *w, struct ft_job *job)
{
	struct writer_transfer *t = job->number ? writer_find(w, job->number) : NULL;

	switch (job->kind) {
	case FT_JOB_FINISH:
		if (apply_take_finish(w, t, FT_CONTAINER(job, struct ft_finish, job)))
			return;
		break;
	case FT_JOB_RESULT:
		if (FT_CONTAINER(job, struct ft_result, job)->told)
			writer_note_told(w, job->number);
		break;
	case FT_JOB_RETOLD:
		if (FT_CONTAINER(job, struct ft_retold, job)->told)
			writer_note_told(w, job->number);
		break;
	case FT_JOB_UNTOLD:
		if (FT_CONTAINER(job, struct ft_untold, job)->told)
			writer_note_event_told(w, job->number);
		break;
	case FT_JOB_CHECKPOINT:
		assert(t && t->checkpointing);
		apply_take_checkpoint(w, t, FT_CONTAINER(job, struct ft_checkpoint, job));
		break;
	case FT_JOB_TIDY:
		w->tidying = false;
		break;
	default:
		assert(false);	/* not a job for the writer */
	}
	ft_job_free(&job);
}

void writer_take_jobs(struct ft_writer *w)
{
	struct ft_link *link;

	while ((link = ft_queue_pop(&w->core->to_writer)) != NULL)
		apply_take_job(w, FT_CONTAINER(link, struct ft_job, link));
}
