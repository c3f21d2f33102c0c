/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "upload_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOT_SERVED_MS 10000	/* acknowledged, but no response: nobody is there to give one */
#define STATUS_EVERY_MS 10000	/* while the broker assembles */
#define PAUSE_MAX_MS 60000
#define BEGIN_AGAIN_MAX 3
#define ANSWER_GRACE_MS 2000	/* a response follows its PUBACK, if one comes at all */

bool upload_init(struct upload *upload, const struct upload_job *job, int64_t now)
{
	*upload = (struct upload){
		.job = *job,
		.asked_ms = now,
		.least_missing = UINT64_MAX,
	};
	upload->flights = calloc(job->window, sizeof(*upload->flights));
	return upload->flights != NULL;
}

void upload_release(struct upload *upload)
{
	spans_release(&upload->todo);
	free(upload->flights);
	upload->flights = NULL;
}

uint64_t upload_held_bytes(const struct upload *upload)
{
	if (upload->phase == PHASE_SEND)
		return upload->job.size - upload->todo.bytes - upload->flight_bytes;
	bool taken = upload->phase == PHASE_PUT && upload->asked && upload->job.pubacks_tell &&
		     upload->asked_reason == CODE_SUCCESS;
	return upload->phase == PHASE_FIN || taken ? upload->job.size : 0;
}

uint64_t upload_floor(const struct upload *upload)
{
	uint64_t floor = upload->job.size;

	for (unsigned i = 0; i < upload->flight_count; i++) {
		if (upload->flights[i].piece.offset < floor)
			floor = upload->flights[i].piece.offset;
	}
	for (size_t i = 0; i < upload->todo.count; i++) {
		if (upload->todo.items[i].offset < floor)
			floor = upload->todo.items[i].offset;
	}
	return floor;
}

/* --- phases --- */

void upload_enter(struct upload *upload, enum upload_phase phase)
{
	upload->phase = phase;
	upload->asked = false;
	upload->asked_status = false;
	upload->asked_reason = -1;
	upload->put_settled = false;
}

void upload_forget_segments(struct upload *upload)
{
	spans_clear(&upload->todo);
	upload->flight_count = 0;
	upload->flight_bytes = 0;
}

void upload_finish(struct upload *upload, enum upload_verdict verdict)
{
	if (upload->verdict == UPLOAD_RUNNING)
		upload->verdict = verdict;
}

void upload_headway(struct upload *upload, int64_t now)
{
	upload->headway_ms = now;
	upload->errors = 0;
}

enum upload_phase upload_first_phase(const struct upload *upload)
{
	return upload->job.in_one ? PHASE_PUT : PHASE_INIT;
}

void upload_link_up(struct upload *upload, int64_t now)
{
	upload->asked_ms = now;
	upload_enter(upload, upload->job.ask_first ? PHASE_ASK
		     : upload->job.from_scratch ? PHASE_ABORT : upload_first_phase(upload));
}

void upload_leave_put(struct upload *upload)
{
	upload->job.in_one = false;
	upload_forget_segments(upload);
	upload_enter(upload, PHASE_INIT);
}

void upload_in_parts(struct upload *upload)
{
	if (upload->phase == PHASE_PUT && !upload->asked)
		upload_leave_put(upload);
	upload->job.in_one = false;
}

void upload_link_down(struct upload *upload)
{
	/* It may have arrived: a question is cheaper than the file. */
	if (upload->phase == PHASE_PUT && upload->asked)
		upload->job.in_one = false;
	upload_forget_segments(upload);
	upload->have_known = false;
	upload_enter(upload, PHASE_OFFLINE);
}

unsigned upload_lane_flights(const struct upload *upload, unsigned lane)
{
	unsigned count = 0;

	for (unsigned i = 0; i < upload->flight_count; i++)
		count += UPLOAD_LANE(upload->flights[i].key) == lane;
	return count;
}

void upload_lane_down(struct upload *upload, unsigned lane)
{
	for (unsigned i = upload->flight_count; i-- > 0;) {
		struct span piece = upload->flights[i].piece;
		if (UPLOAD_LANE(upload->flights[i].key) != lane)
			continue;
		upload_drop_flight(upload, i);
		upload_give_back(upload, &piece);
	}
}

/* A broker that forgets the transfer again and again would do so for ever. */
void upload_begin_again(struct upload *upload, enum upload_phase phase)
{
	if (upload->begun_again++ == BEGIN_AGAIN_MAX) {
		upload_finish(upload, UPLOAD_GAVE_UP);
		return;
	}
	upload->least_missing = UINT64_MAX;
	upload_forget_segments(upload);
	upload_enter(upload, phase);
}

void upload_pause_until(struct upload *upload, int64_t until)
{
	if (until > upload->not_before_ms)
		upload->not_before_ms = until;
}

/* One pause for all segments that fail together. */
void upload_back_off(struct upload *upload, int64_t now)
{
	if (now < upload->not_before_ms)
		return;
	int64_t pause = upload->errors < 6 ? (int64_t)1000 << upload->errors : PAUSE_MAX_MS;

	upload->errors++;
	upload_pause_until(upload, now + pause);
}

/* --- what to send --- */

void upload_grow(struct upload *upload, uint64_t size, bool ended)
{
	struct span more = { upload->job.size, size - upload->job.size };

	upload->job.size = size;
	upload->job.ended = ended;
	if (upload->phase == PHASE_SEND && !spans_append(&upload->todo, &more))
		upload_finish(upload, UPLOAD_NO_MEMORY);
}

static bool next_segment(struct upload *upload, uint64_t max, struct upload_command *command)
{
	if (!max || upload->flight_count == upload->job.window ||
	    !spans_take(&upload->todo, max, &command->piece))
		return false;
	command->kind = COMMAND_SEGMENT;
	return true;
}

static bool next_question(const struct upload *upload, int64_t now, struct upload_command *command)
{
	if (!upload->asked) {
		command->kind = upload->phase == PHASE_INIT ? COMMAND_INIT :
				upload->phase == PHASE_PUT ? COMMAND_PUT :
				upload->phase == PHASE_ASK ? COMMAND_STATUS :
				upload->phase == PHASE_ABORT ? COMMAND_ABORT : COMMAND_FIN;
		return upload->phase != PHASE_FIN || upload->may_finish;
	}
	if ((upload->phase != PHASE_FIN && upload->phase != PHASE_PUT) || upload->asked_status ||
	    now - upload->asked_ms < STATUS_EVERY_MS)
		return false;
	command->kind = COMMAND_STATUS;
	return true;
}

bool upload_next(struct upload *upload, int64_t now, uint64_t segment_max,
		 struct upload_command *command)
{
	if (upload->verdict != UPLOAD_RUNNING || upload->phase == PHASE_OFFLINE ||
	    now < upload->not_before_ms)
		return false;
	*command = (struct upload_command){0};
	if (upload->phase == PHASE_SEND && upload->job.ended && !upload->flight_count &&
	    !upload->todo.count)
		upload_enter(upload, PHASE_FIN);
	if (upload->phase == PHASE_PUT && !upload->asked) {
		command->piece.len = upload->job.size;
		if (!segment_max)
			return false;
		/* Links that are slow, and brokers that take little, get it in parts. */
		if (upload->job.size > segment_max) {
			upload_leave_put(upload);
			command->piece.len = 0;
		}
	}
	return upload->phase == PHASE_SEND ? next_segment(upload, segment_max, command)
					   : next_question(upload, now, command);
}

void upload_give_back(struct upload *upload, const struct span *piece)
{
	if (!spans_give_back(&upload->todo, piece))
		upload_finish(upload, UPLOAD_NO_MEMORY);
}

void upload_take_back(struct upload *upload, const struct upload_command *command)
{
	if (command->kind == COMMAND_SEGMENT)
		upload_give_back(upload, &command->piece);
}

void upload_sent(struct upload *upload, const struct upload_command *command,
		 unsigned key, int64_t now)
{
	if (command->kind == COMMAND_SEGMENT || command->kind == COMMAND_PUT) {
		upload->flights[upload->flight_count++] =
			(struct flight){ .piece = command->piece, .key = key, .sent_ms = now };
		upload->flight_bytes += command->piece.len;
	}
	if (command->kind == COMMAND_SEGMENT)
		return;
	if (command->kind == COMMAND_PUT)
		upload->put_ms = now;
	upload->asked_ms = now;
	if (command->kind == COMMAND_STATUS && upload->phase != PHASE_ASK) {
		upload->asked_status = true;
		return;
	}
	upload->asked = true;
	upload->asked_key = key;
	upload->asked_reason = -1;
}

/* --- time --- */

/* Shorter than the patience of the caller, who would be told nothing but "no headway". */
static int64_t not_served_ms(const struct upload *upload)
{
	int64_t wait = upload->asked_reason == CODE_NOT_AUTHORIZED ? ANSWER_GRACE_MS : NOT_SERVED_MS;
	int64_t half = upload->job.patience_ms / 2;

	return half && half < wait ? half : wait;
}

static bool not_served(const struct upload *upload, int64_t now)
{
	return !upload->ever_answered && upload->asked &&
	       (upload->phase == PHASE_INIT || upload->phase == PHASE_ASK) &&
	       upload->asked_reason >= 0 && now - upload->asked_ms > not_served_ms(upload);
}

static void tell_not_served(struct upload *upload)
{
	upload->code = upload->asked_reason;
	if (upload->asked_reason == CODE_NOT_AUTHORIZED)
		snprintf(upload->why, sizeof(upload->why),
			 "the broker refuses the command (0x87) and sends no response; "
			 "may this client publish to $file/#?");
	else
		snprintf(upload->why, sizeof(upload->why),
			 "no response came; is the file transfer plugin loaded, "
			 "and may this client read and write its topics?");
	upload_finish(upload, UPLOAD_NOT_SERVED);
}

/* The PUBACK is all there is: its code stands for the response. */
static void settle_by_puback(struct upload *upload, unsigned i, int64_t now)
{
	char word[] = "the broker's PUBACK", detail[] = "no response followed";
	struct answer answer = { .code = upload->flights[i].reason, .word = word,
				 .detail = detail };
	struct span piece = upload->flights[i].piece;

	upload_drop_flight(upload, i);
	upload_give_back(upload, &piece);
	if (!upload_makes_smaller(upload, &piece, answer.code == CODE_TOO_LARGE))
		upload_trouble(upload, &answer, now);
}

/*
 * It is acknowledged, and no response comes: an older plugin and EMQX may be silent about a
 * command that they do not know, and a slow disk takes its time. `init` tells them apart.
 */
static void watch_put(struct upload *upload, int64_t now)
{
	char word[] = "the broker's PUBACK", detail[] = "no response followed";
	struct answer answer = { .code = upload->asked_reason, .word = word, .detail = detail };
	bool surely = upload->asked_reason == CODE_TOO_LARGE;

	if (upload->phase != PHASE_PUT || !upload->asked || upload->asked_reason < 0 ||
	    (!surely && now - upload->asked_ms <= not_served_ms(upload) / 2))
		return;
	if (answer.code == CODE_PAUSE) {
		upload->asked = false;
		upload_trouble(upload, &answer, now);
		return;
	}
	upload->put_unanswered = !surely;
	if (surely)
		upload->too_large = upload->job.size;
	upload_leave_put(upload);
}

void upload_tick(struct upload *upload, int64_t now)
{
	if (not_served(upload, now))
		tell_not_served(upload);
	watch_put(upload, now);
	for (unsigned i = 0; i < upload->flight_count; i++) {
		const struct flight *flight = &upload->flights[i];
		bool surely = flight->reason == CODE_TOO_LARGE;
		if (flight->reason && (surely || now - flight->sent_ms > ANSWER_GRACE_MS)) {
			settle_by_puback(upload, i, now);
			return;
		}
	}
}

bool upload_is_overdue(const struct upload *upload, int64_t now, unsigned *lane)
{
	int64_t limit = upload->job.ack_timeout_ms;

	if (upload->verdict != UPLOAD_RUNNING)
		return false;
	*lane = UPLOAD_LANE(upload->asked_key);
	if ((upload->asked_status ||
	     (upload->asked && upload->phase != PHASE_FIN && upload->phase != PHASE_PUT)) &&
	    now - upload->asked_ms > limit)
		return true;
	for (unsigned i = 0; i < upload->flight_count; i++) {
		*lane = UPLOAD_LANE(upload->flights[i].key);
		if (now - upload->flights[i].sent_ms > limit)
			return true;
	}
	return false;
}
