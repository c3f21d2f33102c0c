/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* EIP-21 reason codes, in PUBACK and response alike. */
#define CODE_SUCCESS 0x00
#define CODE_BEGIN_AGAIN 0x10
#define CODE_ERROR 0x80
#define CODE_NOT_AUTHORIZED 0x87
#define CODE_TOO_LARGE 0x95
#define CODE_PAUSE 0x97

#define NOT_SERVED_MS 10000	/* acknowledged, but no response: nobody is there to give one */
#define STATUS_EVERY_MS 10000	/* while the broker assembles */
#define PAUSE_MAX_MS 60000
#define VAIN_FINS_MAX 3
#define FAST_RETRIES 3
#define BEGIN_AGAIN_MAX 3
#define ANSWER_GRACE_MS 2000	/* a response follows its PUBACK, if one comes at all */

bool upload_init(struct upload *upload, const struct upload_job *job, int64_t now)
{
	*upload = (struct upload){
		.job = *job,
		.headway_ms = now,
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
	return upload->phase == PHASE_FIN ? upload->job.size : 0;
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

static void enter(struct upload *upload, enum upload_phase phase)
{
	upload->phase = phase;
	upload->asked = false;
	upload->asked_status = false;
	upload->asked_reason = -1;
}

static void forget_segments(struct upload *upload)
{
	spans_clear(&upload->todo);
	upload->flight_count = 0;
	upload->flight_bytes = 0;
}

static void finish(struct upload *upload, enum upload_verdict verdict)
{
	if (upload->verdict == UPLOAD_RUNNING)
		upload->verdict = verdict;
}

static void headway(struct upload *upload, int64_t now)
{
	upload->headway_ms = now;
	upload->errors = 0;
}

void upload_link_up(struct upload *upload, int64_t now)
{
	upload->asked_ms = now;
	enter(upload, upload->job.from_scratch ? PHASE_ABORT : PHASE_INIT);
}

void upload_link_down(struct upload *upload)
{
	forget_segments(upload);
	upload->have_known = false;
	enter(upload, PHASE_OFFLINE);
}

/* A broker that forgets the transfer again and again would do so for ever. */
static void begin_again(struct upload *upload, enum upload_phase phase)
{
	if (upload->begun_again++ == BEGIN_AGAIN_MAX) {
		finish(upload, UPLOAD_GAVE_UP);
		return;
	}
	upload->least_missing = UINT64_MAX;
	forget_segments(upload);
	enter(upload, phase);
}

static void pause_until(struct upload *upload, int64_t until)
{
	if (until > upload->not_before_ms)
		upload->not_before_ms = until;
}

/* One pause for all segments that fail together. */
static void back_off(struct upload *upload, int64_t now)
{
	if (now < upload->not_before_ms)
		return;
	int64_t pause = upload->errors < 6 ? (int64_t)1000 << upload->errors : PAUSE_MAX_MS;

	upload->errors++;
	pause_until(upload, now + pause);
}

/* --- what to send --- */

void upload_grow(struct upload *upload, uint64_t size, bool ended)
{
	struct span more = { upload->job.size, size - upload->job.size };

	upload->job.size = size;
	upload->job.ended = ended;
	if (upload->phase == PHASE_SEND && !spans_append(&upload->todo, &more))
		finish(upload, UPLOAD_NO_MEMORY);
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
				upload->phase == PHASE_ABORT ? COMMAND_ABORT : COMMAND_FIN;
		return upload->phase != PHASE_FIN || upload->may_finish;
	}
	if (upload->phase != PHASE_FIN || upload->asked_status ||
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
		enter(upload, PHASE_FIN);
	return upload->phase == PHASE_SEND ? next_segment(upload, segment_max, command)
					   : next_question(upload, now, command);
}

static void give_back(struct upload *upload, const struct span *piece)
{
	if (!spans_give_back(&upload->todo, piece))
		finish(upload, UPLOAD_NO_MEMORY);
}

void upload_take_back(struct upload *upload, const struct upload_command *command)
{
	if (command->kind == COMMAND_SEGMENT)
		give_back(upload, &command->piece);
}

void upload_sent(struct upload *upload, const struct upload_command *command, int mid, int64_t now)
{
	if (command->kind == COMMAND_SEGMENT) {
		upload->flights[upload->flight_count++] =
			(struct flight){ .piece = command->piece, .mid = mid, .sent_ms = now };
		upload->flight_bytes += command->piece.len;
		return;
	}
	upload->asked_ms = now;
	if (command->kind == COMMAND_STATUS) {
		upload->asked_status = true;
		return;
	}
	upload->asked = true;
	upload->asked_mid = mid;
	upload->asked_reason = -1;
}

/* --- what the broker says --- */

static void remember(struct upload *upload, const struct answer *answer)
{
	const char *colon = answer->detail[0] ? ": " : "";

	upload->code = answer->code;
	snprintf(upload->why, sizeof(upload->why), "%s (0x%02x)%s%s", answer->word,
		 (unsigned)answer->code, colon, answer->detail);
}

static void drop_flight(struct upload *upload, unsigned i)
{
	upload->flight_bytes -= upload->flights[i].piece.len;
	upload->flights[i] = upload->flights[--upload->flight_count];
}

/*
 * Errors that are the same for every command. The caller has already made sure that
 * the same command will be sent again where that is what helps.
 */
static void trouble(struct upload *upload, const struct answer *answer, int64_t now)
{
	remember(upload, answer);
	if (answer->code == CODE_BEGIN_AGAIN)
		begin_again(upload, PHASE_INIT);
	else if (answer->code == CODE_PAUSE && answer->retry_after)
		pause_until(upload, now + (int64_t)answer->retry_after * 1000);
	else if (strcmp(answer->word, "checksum_mismatch") == 0 && upload->errors < FAST_RETRIES)
		upload->errors++;	/* damaged on its way: no reason to wait */
	else if (answer->code == CODE_PAUSE || answer->code == CODE_ERROR)
		back_off(upload, now);
	else if (strcmp(answer->word, "already_complete") == 0 ||
		 strcmp(answer->word, "filemeta_conflict") == 0)
		finish(upload, UPLOAD_OTHER_CONTENT);
	else
		finish(upload, UPLOAD_REFUSED);
}

/* How far `have` tells the truth. What is missing beyond a cut list, `fin` will say. */
static uint64_t listed_end(const struct upload *upload, const struct answer *answer)
{
	uint64_t end = upload->job.size;

	if (answer->truncated && answer->have_count) {
		const struct span *last = &answer->have[answer->have_count - 1];
		uint64_t last_end = last->offset + last->len;
		/* A stream cannot look back: it takes the cut for a gap. */
		if (last_end < end && upload->job.ended)
			end = last_end;
	}
	return end;
}

static void answered_init(struct upload *upload, const struct answer *answer, int64_t now)
{
	upload->asked = false;
	if (answer->code != CODE_SUCCESS) {
		trouble(upload, answer, now);
		return;
	}
	/* No headway: a link that breaks after every init gets nowhere. */
	forget_segments(upload);
	upload->have_known = true;
	if (answer->state == STATE_COMPLETE || answer->state == STATE_ASSEMBLING) {
		enter(upload, PHASE_FIN);
		return;
	}
	enter(upload, PHASE_SEND);
	if (!spans_set_missing(&upload->todo, answer->have, answer->have_count,
			       listed_end(upload, answer)))
		finish(upload, UPLOAD_NO_MEMORY);
}

static void answered_abort(struct upload *upload, const struct answer *answer, int64_t now)
{
	upload->asked = false;
	/* A finished file cannot be aborted; init will say that it is there. */
	if (answer->code != CODE_SUCCESS && strcmp(answer->word, "already_complete") != 0) {
		trouble(upload, answer, now);
		return;
	}
	upload->job.from_scratch = false;
	enter(upload, PHASE_INIT);
}

/* Where sizes are ours to choose, a segment that is too large is no reason to give up. */
static bool makes_smaller(struct upload *upload, const struct span *piece, bool too_large)
{
	if (!too_large || !upload->job.segment_floor || piece->len <= upload->job.segment_floor)
		return false;
	upload->too_large = piece->len;
	return true;
}

static void answered_segment(struct upload *upload, const char *offset_text,
			     const struct answer *answer, int64_t now)
{
	uint64_t offset = strtoull(offset_text, NULL, 10);
	unsigned i = 0;

	while (i < upload->flight_count && upload->flights[i].piece.offset != offset)
		i++;
	/* A PUBACK may have settled it before. */
	if (i == upload->flight_count) {
		if (answer->code == CODE_PAUSE)
			trouble(upload, answer, now);
		return;
	}
	struct span piece = upload->flights[i].piece;
	int64_t after = now - upload->flights[i].sent_ms;
	drop_flight(upload, i);
	if (answer->code == CODE_SUCCESS) {
		upload->settled = piece;
		upload->settled_after_ms = after;
		headway(upload, now);
		return;
	}
	give_back(upload, &piece);
	if (!makes_smaller(upload, &piece, strcmp(answer->word, "segment_too_large") == 0))
		trouble(upload, answer, now);
}

/* The broker lists what it lacks, perhaps not all of it; `fin` will ask again. */
static void send_missing(struct upload *upload, const struct answer *answer, int64_t now)
{
	remember(upload, answer);
	if (!spans_set(&upload->todo, answer->missing, answer->missing_count)) {
		finish(upload, UPLOAD_NO_MEMORY);
		return;
	}
	if (upload->todo.bytes < upload->least_missing) {
		upload->least_missing = upload->todo.bytes;
		upload->vain_fins = 0;
		headway(upload, now);
	} else if (++upload->vain_fins >= VAIN_FINS_MAX) {
		finish(upload, UPLOAD_GAVE_UP);
	}
	enter(upload, PHASE_SEND);
}

/* A span beyond the file cannot be read: the broker and we do not mean the same file. */
static bool makes_sense(const struct upload *upload, const struct answer *answer)
{
	for (size_t i = 0; i < answer->missing_count; i++) {
		const struct span *span = &answer->missing[i];
		if (span->len > upload->job.size || span->offset > upload->job.size - span->len)
			return false;
	}
	return answer->missing_count > 0;
}

static void answered_fin(struct upload *upload, const struct answer *answer, int64_t now)
{
	upload->asked = false;
	upload->asked_status = false;
	if (answer->code == CODE_SUCCESS) {
		remember(upload, answer);
		finish(upload, UPLOAD_DONE);
	} else if (strcmp(answer->word, "incomplete") == 0 && makes_sense(upload, answer)) {
		send_missing(upload, answer, now);
	} else if (strcmp(answer->word, "file_checksum_mismatch") == 0) {
		/* What is held is not the file; without abort, init would say it is all there. */
		remember(upload, answer);
		begin_again(upload, PHASE_ABORT);
	} else {
		trouble(upload, answer, now);
	}
}

/* Asked while `fin` is out: is its answer still to come? */
static void answered_status(struct upload *upload, const struct answer *answer, int64_t now)
{
	upload->asked_status = false;
	upload->asked_ms = now;
	if (answer->code != CODE_SUCCESS)
		return;
	if (answer->state == STATE_ASSEMBLING)
		headway(upload, now);
	else
		upload->asked = false;	/* the answer was lost; fin tells it again */
}

/* The part of a topic of ours after the file id, or NULL. */
static const char *command_of(const struct upload *upload, const char *topic)
{
	static const char prefix[] = "$file/";
	size_t id_len = strlen(upload->job.file_id);

	if (strncmp(topic, prefix, sizeof(prefix) - 1) != 0)
		return NULL;
	topic += sizeof(prefix) - 1;
	if (strncmp(topic, upload->job.file_id, id_len) != 0 || topic[id_len] != '/')
		return NULL;
	return topic + id_len + 1;
}

static void dispatch(struct upload *upload, const char *command, const struct answer *answer,
		     int64_t now)
{
	if (strcmp(command, "init") == 0) {
		if (upload->phase == PHASE_INIT && upload->asked)
			answered_init(upload, answer, now);
	} else if (strcmp(command, "abort") == 0) {
		if (upload->phase == PHASE_ABORT && upload->asked)
			answered_abort(upload, answer, now);
	} else if (strcmp(command, "status") == 0) {
		if (upload->phase == PHASE_FIN && upload->asked_status)
			answered_status(upload, answer, now);
	} else if (strncmp(command, "fin/", 4) == 0) {
		if (upload->phase == PHASE_FIN && upload->asked)
			answered_fin(upload, answer, now);
	} else if (upload->phase == PHASE_SEND) {
		answered_segment(upload, command, answer, now);
	}
}

bool upload_answered(struct upload *upload, const struct answer *answer, int64_t now)
{
	const char *command = command_of(upload, answer->topic);

	upload->settled.len = 0;
	if (!command)
		return false;
	upload->ever_answered = true;
	dispatch(upload, command, answer, now);
	return true;
}

static bool segment_acked(struct upload *upload, unsigned i, int reason, int64_t now)
{
	if (!upload->job.pubacks_tell)
		return true;
	if (reason != CODE_SUCCESS) {
		upload->flights[i].reason = reason;
		upload->flights[i].sent_ms = now;
		return true;
	}
	upload->settled = upload->flights[i].piece;
	upload->settled_after_ms = now - upload->flights[i].sent_ms;
	drop_flight(upload, i);
	headway(upload, now);
	return true;
}

/*
 * Only 0x00 settles a segment. Other codes wait for the response, which is exact;
 * with 0x10 a broker that cannot send 0x00 may even mean success.
 */
bool upload_acked(struct upload *upload, int mid, int reason, int64_t now)
{
	upload->settled.len = 0;
	if (upload->asked && upload->asked_mid == mid) {
		upload->asked_reason = reason;
		upload->asked_ms = now;
		return true;
	}
	for (unsigned i = 0; i < upload->flight_count; i++) {
		if (upload->flights[i].mid == mid)
			return segment_acked(upload, i, reason, now);
	}
	return false;
}

/* --- time --- */

static bool not_served(const struct upload *upload, int64_t now)
{
	return !upload->ever_answered && upload->phase == PHASE_INIT && upload->asked &&
	       upload->asked_reason >= 0 && now - upload->asked_ms > NOT_SERVED_MS;
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
	finish(upload, UPLOAD_NOT_SERVED);
}

/* The PUBACK is all there is: its code stands for the response. */
static void settle_by_puback(struct upload *upload, unsigned i, int64_t now)
{
	char word[] = "the broker's PUBACK", detail[] = "no response followed";
	struct answer answer = { .code = upload->flights[i].reason, .word = word,
				 .detail = detail };
	struct span piece = upload->flights[i].piece;

	drop_flight(upload, i);
	give_back(upload, &piece);
	if (!makes_smaller(upload, &piece, answer.code == CODE_TOO_LARGE))
		trouble(upload, &answer, now);
}

void upload_tick(struct upload *upload, int64_t now)
{
	if (not_served(upload, now))
		tell_not_served(upload);
	for (unsigned i = 0; i < upload->flight_count; i++) {
		const struct flight *flight = &upload->flights[i];
		bool surely = flight->reason == CODE_TOO_LARGE;
		if (flight->reason && (surely || now - flight->sent_ms > ANSWER_GRACE_MS)) {
			settle_by_puback(upload, i, now);
			return;
		}
	}
}

bool upload_is_overdue(const struct upload *upload, int64_t now)
{
	int64_t limit = upload->job.ack_timeout_ms;

	if (upload->verdict != UPLOAD_RUNNING)
		return false;
	if ((upload->asked_status || (upload->asked && upload->phase != PHASE_FIN)) &&
	    now - upload->asked_ms > limit)
		return true;
	for (unsigned i = 0; i < upload->flight_count; i++) {
		if (now - upload->flights[i].sent_ms > limit)
			return true;
	}
	return false;
}
