/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What the writer and the finishers answer, on the broker's thread. */
#include "engine/engine_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/downloads/downloads.h"
#include "engine/things/things.h"
#include "engine/admin/verify.h"
#include "log/record.h"
#include "protocol/get.h"

#define RESULTS_PASSES 2	/* of the broker's loop, then what was published is on its way */
#define RESULTS_LEAVE_MS 500	/* the same where the loop tells of no passes */

static void results_note_refusal(struct ft_engine *e, const struct ft_request *request,
				 const struct ft_reply *reply)
{
	struct ft_refusal refusal = {
		.status = reply->status, .client = request->client_id,
		.client_len = strlen(request->client_id), .detail = reply->detail,
	};
	struct ft_command command;

	if (ft_get_is_ours(request->topic)) {
		refusal.file = strchr(request->topic, '/') + 1;
		refusal.file_len = strlen(refusal.file);
	} else if (ft_topic_parse(&command, request->topic) != FT_INVALID_FILEID) {
		refusal.file = command.file;
		refusal.file_len = command.file_len;
	}
	ft_refusals_note(e->refusals, &refusal, e->now_ms);
}

bool engine_respond(struct ft_engine *e, const struct ft_request *request,
		    const struct ft_reply *reply)
{
	if (e->closing)
		return false;
	if (reply->status != FT_OK) {
		e->metrics.refused[reply->status]++;
		results_note_refusal(e, request, reply);
	}
	return e->hooks.respond(e->hooks.context, request, reply);
}

static const enum ft_state results_state_words[FT_TRANSFER_STATES] = {
	[FT_TRANSFER_CHECKING] = FT_STATE_RECEIVING,
	[FT_TRANSFER_RECEIVING] = FT_STATE_RECEIVING,
	[FT_TRANSFER_ASSEMBLING] = FT_STATE_ASSEMBLING,
	[FT_TRANSFER_ABORTING] = FT_STATE_ASSEMBLING,
	[FT_TRANSFER_CONFLICT] = FT_STATE_COMPLETE,
};

void engine_say_transfer(struct ft_reply *reply, const struct ft_transfer *t)
{
	reply->state = results_state_words[t->state];
	reply->tell_held = true;
	reply->held = &t->held;
	if (t->state == FT_TRANSFER_ASSEMBLING && t->waits_for_store)
		reply->detail = "it is complete, and waits until the broker's store can take it";
}

/* Answers a ticket, and drops it. */
static bool results_answer(struct ft_engine *e, struct ft_ticket **ticket, struct ft_reply *reply)
{
	bool told;

	reply->topic = (*ticket)->request.topic;
	told = engine_respond(e, &(*ticket)->request, reply);
	engine_drop_ticket(e, ticket);
	return told;
}

bool engine_answer_all(struct ft_engine *e, struct ft_transfer *t, struct ft_list *list,
		       struct ft_reply *reply)
{
	struct ft_link *link;
	bool told = true;

	while ((link = ft_list_pop(list)) != NULL) {
		struct ft_ticket *ticket = FT_CONTAINER(link, struct ft_ticket, link);

		t->waiting--;
		told = results_answer(e, &ticket, reply) && told;
	}
	return told;
}

void engine_answer_everybody(struct ft_engine *e, struct ft_transfer *t, enum ft_status st)
{
	struct ft_reply reply = { .status = st };

	(void)engine_answer_all(e, t, &t->inits, &reply);
	(void)engine_answer_all(e, t, &t->segments, &reply);
	(void)engine_answer_all(e, t, &t->fins, &reply);
}

/*
 * Nothing is unfinished under the id any more. Where an init was refused meanwhile, that was the
 * client's last word: what follows is not about the file that is finished.
 */
static void results_end(struct ft_engine *e, struct ft_transfer **transfer)
{
	struct ft_transfer *t = *transfer;

	if (!t->refused || t->state == FT_TRANSFER_ABORTING) {
		engine_remove_transfer(e, transfer);
		return;
	}
	t->verdict = FT_VERDICT_CONFLICT;
	ft_transfer_move(t, FT_TRANSFER_CONFLICT);
	ft_ranges_release(&t->held);
	engine_charge_ranges(e, t);
	t->news_ms = e->now_ms;
}

/* --- jobs that go back to the writer --- */

static void results_set_untold(struct ft_job *job)
{
	switch (job->kind) {
	case FT_JOB_FINISH:
		FT_CONTAINER(job, struct ft_finish, job)->told = false;
		FT_CONTAINER(job, struct ft_finish, job)->event_told = false;
		break;
	case FT_JOB_UNTOLD:
		FT_CONTAINER(job, struct ft_untold, job)->told = false;
		break;
	case FT_JOB_RESULT:
		FT_CONTAINER(job, struct ft_result, job)->told = false;
		break;
	default:
		FT_CONTAINER(job, struct ft_retold, job)->told = false;
	}
}

void engine_return(struct ft_engine *e, struct ft_job *job)
{
	struct engine_told *told = e->closing ? NULL : malloc(sizeof *told);

	/* Without memory for it the response counts as told now. */
	if (!told) {
		ft_core_tell_writer(&e->core, job);
		return;
	}
	told->job = job;
	told->pass = e->passes;
	told->told_ms = e->now_ms;
	ft_link_init(&told->link);
	ft_list_push(&e->told, &told->link);
}

static bool results_has_left(const struct ft_engine *e, const struct engine_told *told)
{
	return e->closing || e->passes - told->pass >= RESULTS_PASSES
	       || e->now_ms - told->told_ms >= RESULTS_LEAVE_MS;
}

void engine_return_told(struct ft_engine *e)
{
	struct ft_list returning;
	struct ft_link *link;

	ft_list_init(&returning);

	while ((link = ft_list_first(&e->told)) != NULL) {
		struct engine_told *told = FT_CONTAINER(link, struct engine_told, link);

		if (!results_has_left(e, told))
			break;
		if (e->closing && e->passes - told->pass < RESULTS_PASSES)
			results_set_untold(told->job);
		ft_list_pop(&e->told);
		ft_list_push(&returning, &told->job->link);
		free(told);
	}
	if (!ft_list_first(&returning))
		return;
	ft_queue_push_all(&e->core.to_writer, &returning);
	ft_log_nudge(e->core.log);
}

/* --- fin --- */

/* What the end of an assembly says to those who wait for it. */
static bool results_tell_fin(struct ft_engine *e, struct ft_transfer *t, enum ft_status st,
			     const char *detail)
{
	struct ft_reply reply = { .status = st, .detail = detail };

	if (st == FT_OK) {
		reply.state = FT_STATE_COMPLETE;
	} else {
		reply.state = results_state_words[t->state];
		if (st == FT_INCOMPLETE) {
			reply.tell_missing = true;
			reply.held = &t->held;
			reply.missing_size = t->fin.size;
		}
	}
	return engine_answer_all(e, t, &t->fins, &reply);
}

static void results_answer_abort(struct ft_engine *e, struct ft_transfer *t, enum ft_status st)
{
	struct ft_reply reply = {
		.status = st, .state = st == FT_OK ? FT_STATE_NONE : FT_STATE_COMPLETE,
	};

	if (t->abort)
		(void)results_answer(e, &t->abort, &reply);
}

static void results_note_finished(struct ft_engine *e, struct ft_transfer *t)
{
	const struct ft_key key = ft_transfer_key(t);

	/* Without memory for it the id would count as never used, until the next start. */
	if (ft_finished_set_add(&e->finished, ft_registry_hash(&e->registry, &key)) != FT_OK)
		ft_core_log(&e->core, FT_LOG_ERROR, &key, "out of memory: this finished id is "
			    "forgotten until the broker starts again");
}

/* A fin that an earlier process accepted has no time. */
static void results_note_fin_time(struct ft_engine *e, const struct ft_transfer *t)
{
	if (t->fin_us > 0)
		ft_latency_add(&e->metrics.fin, ft_latency_clock_us() - t->fin_us);
}

/* The file is there. */
static bool results_finish(struct ft_engine *e, struct ft_transfer **transfer, uint64_t size)
{
	struct ft_transfer *t = *transfer;
	const struct ft_key key = ft_transfer_key(t);
	bool told = results_tell_fin(e, t, FT_OK, NULL);

	results_note_fin_time(e, t);
	ft_core_log(&e->core, FT_LOG_INFO, &key, "'%s' is complete, %llu bytes", t->meta->name,
		    (unsigned long long)size);
	results_answer_abort(e, t, FT_ALREADY_COMPLETE);
	engine_answer_everybody(e, t, FT_BUSY);
	results_note_finished(e, t);
	results_end(e, transfer);
	return told;
}

/* `detail` "": what the table says. */
static bool results_fail(struct ft_engine *e, struct ft_transfer *t, enum ft_status st,
			 const char *detail)
{
	const struct ft_key key = ft_transfer_key(t);
	bool told;

	/* By an abort: to who waits it is as if it had come first. */
	if (st == FT_CANCELLED)
		return results_tell_fin(e, t, FT_NO_SUCH_TRANSFER, NULL);
	ft_link_remove(&t->assembling);
	t->waits_for_store = false;
	if (t->state == FT_TRANSFER_ASSEMBLING)
		ft_transfer_move(t, t->verdict == FT_VERDICT_CONFLICT ? FT_TRANSFER_CONFLICT
								      : FT_TRANSFER_RECEIVING);
	results_note_fin_time(e, t);
	e->metrics.failed[st]++;
	engine_tell_transfer(e, t, FT_EVENT_FAILED, st);
	told = results_tell_fin(e, t, st, detail);
	ft_core_log(&e->core, FT_LOG_WARNING, &key, "'%s' was not finished: %s", t->meta->name,
		    detail[0] ? detail : ft_status_text(st));
	t->news_ms = e->now_ms;
	return told;
}

/* How that ended: those who have asked by init hear it. */
static bool results_tell_inits(struct ft_engine *e, struct ft_transfer *t, enum ft_status st)
{
	struct ft_reply reply = { .status = FT_OK };

	engine_say_transfer(&reply, t);
	if (st == FT_OK) {
		reply.state = FT_STATE_COMPLETE;
		reply.held = NULL;
		reply.complete_size = t->fin.size;
		e->metrics.skipped++;
	}
	return engine_answer_all(e, t, &t->inits, &reply);
}

/*
 * An init was to be finished by the bytes that its owner has. Where that came to nothing, it is an
 * ordinary transfer, of which nothing is held.
 */
static bool results_take_same(struct ft_engine *e, struct ft_transfer **transfer,
			      const struct ft_finish *finish)
{
	struct ft_transfer *t = *transfer;
	enum ft_status st = finish->job.status;
	bool told;

	if (st == FT_CANCELLED || t->state != FT_TRANSFER_ASSEMBLING)
		return st == FT_OK ? results_finish(e, transfer, finish->fin.size)
				   : results_fail(e, t, st, "");
	if (st == FT_OK) {
		told = results_tell_inits(e, t, st);
		return results_finish(e, transfer, finish->fin.size) && told;
	}
	ft_link_remove(&t->assembling);
	ft_transfer_move(t, FT_TRANSFER_RECEIVING);
	t->news_ms = e->now_ms;
	(void)results_tell_fin(e, t, FT_INCOMPLETE, NULL);
	return results_tell_inits(e, t, st);
}

static void results_take_finish(struct ft_engine *e, struct ft_finish *finish)
{
	struct ft_transfer *t = ft_registry_find_number(&e->registry, finish->job.number);

	if (finish->job.status == FT_OK) {
		e->metrics.completed++;
		e->metrics.bytes_stored += finish->fin.size;
		engine_remove_finished_bytes(e, &finish->facts->key, finish->replaced);
		engine_add_finished_bytes(e, &finish->facts->key, finish->fin.size);
		if (engine_tells_events(e))
			finish->event_told = engine_tell_completed(e, finish, t);
	}
	if (!t)
		finish->told = true;	/* nobody asks any more */
	else if (finish->same)
		finish->told = results_take_same(e, &t, finish);
	else if (finish->job.status == FT_OK)
		finish->told = results_finish(e, &t, finish->fin.size);
	else
		finish->told = results_fail(e, t, finish->job.status, finish->detail);
	finish->returning = true;
	engine_return(e, &finish->job);
}

/* A fin for which no file was made: the id is finished already, or it cannot be. */
static void results_take_result(struct ft_engine *e, struct ft_result *result)
{
	struct ft_transfer *t = ft_registry_find_number(&e->registry, result->job.number);
	enum ft_status st = result->job.status;

	result->told = true;
	if (t && (st == FT_OK || st == FT_ALREADY_COMPLETE)) {
		struct ft_reply reply = { .status = st, .state = FT_STATE_COMPLETE };

		result->told = engine_answer_all(e, t, &t->fins, &reply);
		results_answer_abort(e, t, FT_ALREADY_COMPLETE);
		engine_answer_everybody(e, t, FT_BUSY);
		results_end(e, &t);
	} else if (t) {
		result->told = results_fail(e, t, st, "");
	}
	engine_return(e, &result->job);
}

static void results_take_retold(struct ft_engine *e, struct ft_retold *retold)
{
	struct ft_reply reply = {
		.status = retold->job.status, .topic = retold->ticket->request.topic,
		.state = retold->job.status == FT_OK ? FT_STATE_COMPLETE : FT_STATE_UNSAID,
	};

	retold->told = engine_respond(e, &retold->ticket->request, &reply);
	engine_return(e, &retold->job);
}

static void results_take_later(struct ft_engine *e, struct ft_job *job)
{
	struct ft_transfer *t = ft_registry_find_number(&e->registry, job->number);

	if (t)
		t->waits_for_store = true;
	ft_job_free(&job);
}

/* --- verdicts --- */

/* Of an init without segments behind it: it is finished by itself, by the bytes that its owner has. */
static bool results_takes_same(struct ft_engine *e, struct ft_transfer *t)
{
	struct ft_link *first = ft_list_first(&t->inits);
	const struct ft_fin fin = {
		.size = t->meta->size, .has_checksum = true, .checksum = t->meta->checksum,
	};

	if (!first || t->state != FT_TRANSFER_RECEIVING || t->refused || t->held.count > 0
	    || ft_list_first(&t->fins) || ft_list_first(&t->segments)
	    || engine_append_fin(e, &FT_CONTAINER(first, struct ft_ticket, link)->request, t->number,
				 &fin, FT_RECORD_SAME) != FT_OK)
		return false;
	t->fin = fin;
	t->fin_us = ft_latency_clock_us();
	ft_transfer_move(t, FT_TRANSFER_ASSEMBLING);
	engine_note_assembling(e, t);
	ft_log_wake(e->core.log);
	return true;
}

static void results_verdict_begun(struct ft_engine *e, struct ft_transfer *t, bool same)
{
	const struct ft_key key = ft_transfer_key(t);
	struct ft_reply reply = { .status = FT_OK };

	/* The file that was finished under this id is gone, or is to be replaced. */
	if (e->options->finished_ids != FT_FINISHED_IDS_REPLACE)
		ft_finished_set_remove(&e->finished, ft_registry_hash(&e->registry, &key));
	t->verdict = FT_VERDICT_BEGUN;
	engine_tell_transfer(e, t, FT_EVENT_STARTED, FT_OK);
	if (t->state == FT_TRANSFER_CHECKING)
		ft_transfer_move(t, FT_TRANSFER_RECEIVING);
	if (same && results_takes_same(e, t))
		return;
	engine_say_transfer(&reply, t);
	(void)engine_answer_all(e, t, &t->inits, &reply);
}

static void results_verdict_complete(struct ft_engine *e, struct ft_transfer **transfer,
				     uint64_t size)
{
	struct ft_transfer *t = *transfer;
	struct ft_reply reply = {
		.status = FT_OK, .state = FT_STATE_COMPLETE, .tell_held = true,
		.complete_size = size,
	};

	e->metrics.skipped++;
	t->verdict = FT_VERDICT_COMPLETE;
	t->complete_size = size;
	(void)engine_answer_all(e, t, &t->inits, &reply);
	/* Segments and fins that were sent in the meantime get answers of their own. */
	if (t->state == FT_TRANSFER_CHECKING && t->waiting == 0)
		results_end(e, transfer);
}

static bool results_asks_status(const struct ft_ticket *ticket)
{
	struct ft_command command;

	return ft_topic_parse(&command, ticket->request.topic) == FT_OK
	       && command.verb == FT_VERB_STATUS;
}

/* An init is refused; who only asked is told what is finished. */
static void results_verdict_conflict(struct ft_engine *e, struct ft_transfer *t, uint64_t size)
{
	struct ft_link *link;

	t->verdict = FT_VERDICT_CONFLICT;
	while ((link = ft_list_pop(&t->inits)) != NULL) {
		struct ft_ticket *ticket = FT_CONTAINER(link, struct ft_ticket, link);
		struct ft_reply reply = {
			.status = FT_FILEMETA_CONFLICT, .state = FT_STATE_COMPLETE,
		};

		if (results_asks_status(ticket)) {
			reply.status = FT_OK;
			reply.tell_held = true;
			reply.complete_size = size;
		}
		t->waiting--;
		(void)results_answer(e, &ticket, &reply);
	}
	if (t->state == FT_TRANSFER_CHECKING)
		ft_transfer_move(t, FT_TRANSFER_CONFLICT);
	ft_ranges_release(&t->held);
	engine_charge_ranges(e, t);
}

static void results_take_verdict(struct ft_engine *e, struct ft_verdict *verdict)
{
	struct ft_transfer *t = ft_registry_find_number(&e->registry, verdict->job.number);
	struct ft_job *job = &verdict->job;

	if (t && verdict->job.status != FT_OK)
		results_verdict_conflict(e, t, verdict->size);
	else if (t && verdict->complete)
		results_verdict_complete(e, &t, verdict->size);
	else if (t)
		results_verdict_begun(e, t, verdict->same);
	ft_job_free(&job);
}

bool engine_wants_response(const struct ft_engine *e, const struct ft_transfer *t)
{
	if (t->responses == FT_RESPONSES_DEFAULT)
		return e->options->segment_responses == FT_RESPONSES_ALL;
	return t->responses == FT_RESPONSES_ALL;
}

/* In the order of the segments, while the verdict was not known. */
static void results_take_segment(struct ft_engine *e, struct ft_job *job)
{
	struct ft_transfer *t = ft_registry_find_number(&e->registry, job->number);
	struct ft_link *link = t ? ft_list_pop(&t->segments) : NULL;

	if (link) {
		struct ft_ticket *ticket = FT_CONTAINER(link, struct ft_ticket, link);
		struct ft_reply reply = { .status = job->status };

		if (t->verdict == FT_VERDICT_COMPLETE)
			reply.state = FT_STATE_COMPLETE;
		t->waiting--;
		if (job->status == FT_OK && !engine_wants_response(e, t))
			engine_drop_ticket(e, &ticket);
		else
			(void)results_answer(e, &ticket, &reply);
		/* Of an id that is finished as its init says, nothing is left to be told. */
		if (t->verdict == FT_VERDICT_COMPLETE && t->state == FT_TRANSFER_CHECKING
		    && t->waiting == 0)
			results_end(e, &t);
	}
	ft_job_free(&job);
}

/* --- the rest --- */

static struct engine_abort *results_find_abort(struct ft_engine *e, uint64_t number)
{
	for (struct ft_link *link = e->aborts.head.next; link != &e->aborts.head; link = link->next) {
		struct engine_abort *abort = FT_CONTAINER(link, struct engine_abort, link);

		if (abort->number == number)
			return abort;
	}
	return NULL;
}

static void results_take_discard(struct ft_engine *e, struct ft_discard *discard)
{
	struct ft_transfer *t = ft_registry_find_number(&e->registry, discard->job.number);
	struct engine_abort *abort = discard->answer ? results_find_abort(e, discard->job.number)
						     : NULL;
	struct ft_reply reply = {
		.status = discard->job.status,
		.state = discard->job.status == FT_OK ? FT_STATE_NONE : FT_STATE_COMPLETE,
	};
	struct ft_job *job = &discard->job;

	if (t && t->state == FT_TRANSFER_ABORTING) {
		struct ft_reply nothing = {
			.status = FT_OK, .state = FT_STATE_NONE, .tell_held = true,
		};

		/* Where the verdict is still to come, nothing was finished under the id. */
		(void)engine_answer_all(e, t, &t->inits, &nothing);
		if (discard->job.status == FT_OK) {
			e->metrics.aborted++;
			engine_tell_transfer(e, t, FT_EVENT_ABORTED, FT_OK);
		}
		results_answer_abort(e, t, discard->job.status);
		engine_answer_everybody(e, t, FT_NO_SUCH_TRANSFER);
		engine_remove_transfer(e, &t);
	}
	if (abort) {
		ft_link_remove(&abort->link);
		(void)results_answer(e, &abort->ticket, &reply);
		free(abort);
	}
	ft_job_free(&job);
}

static void results_take_lookup(struct ft_engine *e, struct ft_lookup *lookup)
{
	struct ft_job *job = &lookup->job;
	struct ft_reply reply = {
		.status = job->status,
		.state = lookup->found ? FT_STATE_COMPLETE : FT_STATE_NONE,
	};
	bool tells_held = lookup->verb == FT_VERB_STATUS || lookup->verb == FT_VERB_INIT;

	if (tells_held && job->status == FT_OK) {
		reply.tell_held = true;
		reply.complete_size = lookup->size;
	}
	if (lookup->is_unknown)
		ft_finished_set_remove(&e->finished, ft_registry_hash(&e->registry, &lookup->key));
	engine_remove_finished_bytes(e, &lookup->key, lookup->freed);
	(void)results_answer(e, &lookup->ticket, &reply);
	e->charged -= lookup->charged;
	e->lookups--;
	ft_job_free(&job);
}

static void results_take_lost(struct ft_engine *e, struct ft_lost *lost)
{
	struct ft_transfer *t = ft_registry_find_number(&e->registry, lost->job.number);
	struct ft_job *job = &lost->job;
	struct ft_range range = { 0, 0 };

	if (t) {
		/* Without memory to cut a range in two, all counts as lost: it is sent again. */
		if (ft_ranges_remove(&t->held, lost->start, lost->end) != FT_OK)
			ft_ranges_release(&t->held);
		while (ft_ranges_next(&lost->kept, range.end, &range))
			if (ft_ranges_restore(&t->held, range.start, range.end) != FT_OK)
				break;
		engine_charge_ranges(e, t);
	}
	ft_job_free(&job);
}

/* What was refused for lack of space would not be now: the smallest of it. */
static void results_tell_of_room(struct ft_engine *e)
{
	uint64_t available = engine_available(e);

	if (available == 0 || available < e->refused_space || engine_lacks_inodes(e))
		return;
	e->refused_space = 0;
	ft_refusals_over(e->refusals, FT_DISK_FULL, e->now_ms);
}

static void results_take_space(struct ft_engine *e, struct ft_space_news *news)
{
	struct ft_job *job = &news->job;
	uint64_t waiting = ft_log_fill(e->core.log);

	e->space_known = job->status == FT_OK;
	e->space = news->space;
	/* What is still in the log will take its share. */
	e->space.bytes -= waiting < e->space.bytes ? waiting : e->space.bytes;
	e->appended = 0;
	ft_job_free(&job);
	results_tell_of_room(e);
}

void engine_take_job(struct ft_engine *e, struct ft_job *job)
{
	ft_link_init(&job->link);
	switch (job->kind) {
	case FT_JOB_FINISH:
		results_take_finish(e, FT_CONTAINER(job, struct ft_finish, job));
		break;
	case FT_JOB_RESULT:
		results_take_result(e, FT_CONTAINER(job, struct ft_result, job));
		break;
	case FT_JOB_RETOLD:
		results_take_retold(e, FT_CONTAINER(job, struct ft_retold, job));
		break;
	case FT_JOB_VERDICT:
		results_take_verdict(e, FT_CONTAINER(job, struct ft_verdict, job));
		break;
	case FT_JOB_SEGMENT:
		results_take_segment(e, job);
		break;
	case FT_JOB_LATER:
		results_take_later(e, job);
		break;
	case FT_JOB_DISCARD:
		results_take_discard(e, FT_CONTAINER(job, struct ft_discard, job));
		break;
	case FT_JOB_LOOKUP:
		results_take_lookup(e, FT_CONTAINER(job, struct ft_lookup, job));
		break;
	case FT_JOB_LOST:
		results_take_lost(e, FT_CONTAINER(job, struct ft_lost, job));
		break;
	case FT_JOB_SPACE:
		results_take_space(e, FT_CONTAINER(job, struct ft_space_news, job));
		break;
	case FT_JOB_ADMIN:
		engine_take_admin(e, FT_CONTAINER(job, struct ft_admin_job, job));
		break;
	case FT_JOB_LIMITS:
		engine_take_limits(e, FT_CONTAINER(job, struct ft_limits_file, job));
		break;
	case FT_JOB_ADOPTED:
		engine_take_adopted(e, FT_CONTAINER(job, struct ft_taken, job));
		break;
	case FT_JOB_TAKEN:
		engine_take_taken(e, FT_CONTAINER(job, struct ft_taken, job));
		break;
	case FT_JOB_EXPIRED:
		engine_take_expired(e, FT_CONTAINER(job, struct ft_files, job));
		break;
	case FT_JOB_REMOVE:
		engine_take_removed(e, FT_CONTAINER(job, struct ft_files, job));
		break;
	case FT_JOB_SCAN:
		engine_take_scan(e, FT_CONTAINER(job, struct ft_scan, job));
		break;
	case FT_JOB_FETCH:
		engine_take_fetch(e, FT_CONTAINER(job, struct ft_fetch, job));
		break;
	case FT_JOB_THING:
		engine_take_thing_call(e, FT_CONTAINER(job, struct ft_thing_call, job));
		break;
	case FT_JOB_INDEX:
		engine_take_index_job(e, FT_CONTAINER(job, struct ft_index_job, job));
		break;
	case FT_JOB_VERIFY:
	case FT_JOB_CLOSE:
	case FT_JOB_CHECKPOINT:
	case FT_JOB_TIDY:
	case FT_JOB_ANNOUNCE:
	case FT_JOB_UNTOLD:
		assert(false);	/* not a job for the broker's thread */
	}
}
