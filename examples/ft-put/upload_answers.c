/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What the broker says, and what follows from it. */
#include "upload_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VAIN_FINS_MAX 3
#define FAST_RETRIES 3
#define ASK_AGAIN_MS 1000

static void remember(struct upload *upload, const struct answer *answer)
{
	const char *colon = answer->detail[0] ? ": " : "";

	upload->code = answer->code;
	snprintf(upload->why, sizeof(upload->why), "%s (0x%02x)%s%s", answer->word,
		 (unsigned)answer->code, colon, answer->detail);
}

void upload_drop_flight(struct upload *upload, unsigned i)
{
	upload->flight_bytes -= upload->flights[i].piece.len;
	upload->flights[i] = upload->flights[--upload->flight_count];
}

/*
 * Errors that are the same for every command. The caller has already made sure that
 * the same command will be sent again where that is what helps.
 */
void upload_trouble(struct upload *upload, const struct answer *answer, int64_t now)
{
	remember(upload, answer);
	if (answer->code == CODE_BEGIN_AGAIN)
		upload_begin_again(upload, PHASE_INIT);
	else if (answer->code == CODE_PAUSE && answer->retry_after)
		upload_pause_until(upload, now + (int64_t)answer->retry_after * 1000);
	else if (strcmp(answer->word, "checksum_mismatch") == 0 && upload->errors < FAST_RETRIES)
		upload->errors++;	/* damaged on its way: no reason to wait */
	else if (answer->code == CODE_PAUSE || answer->code == CODE_ERROR)
		upload_back_off(upload, now);
	else if (strcmp(answer->word, "already_complete") == 0 ||
		 strcmp(answer->word, "filemeta_conflict") == 0)
		upload_finish(upload, UPLOAD_OTHER_CONTENT);
	else
		upload_finish(upload, UPLOAD_REFUSED);
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
		upload_trouble(upload, answer, now);
		return;
	}
	/* A broker that cannot say 0x00: by now the caller knows that he needs all responses. */
	if (upload->job.pubacks_tell && upload->asked_reason == CODE_BEGIN_AGAIN &&
	    !upload->asked_for_all) {
		upload->asked_for_all = true;
		upload_enter(upload, PHASE_INIT);
		return;
	}
	bool arrived = answer->state == STATE_COMPLETE || answer->state == STATE_ASSEMBLING;
	if (upload->put_unanswered)
		upload->put = arrived ? UPLOAD_PUT_KNOWN : UPLOAD_PUT_NOT_KNOWN;
	upload->put_unanswered = false;
	/* No headway: a link that breaks after every init gets nowhere. */
	upload_forget_segments(upload);
	upload->have_known = true;
	if (arrived) {
		upload_enter(upload, PHASE_FIN);
		return;
	}
	upload_enter(upload, PHASE_SEND);
	if (!spans_set_missing(&upload->todo, answer->have, answer->have_count,
			       listed_end(upload, answer)))
		upload_finish(upload, UPLOAD_NO_MEMORY);
}

static void answered_abort(struct upload *upload, const struct answer *answer, int64_t now)
{
	bool is_there = strcmp(answer->word, "already_complete") == 0;

	upload->asked = false;
	if (answer->code != CODE_SUCCESS && !is_there) {
		upload_trouble(upload, answer, now);
		return;
	}
	/* A finished file cannot be aborted; init will say that it is there. */
	if (is_there)
		upload->job.in_one = false;
	upload->job.from_scratch = false;
	upload_enter(upload, upload_first_phase(upload));
}

/* Where sizes are ours to choose, a segment that is too large is no reason to give up. */
bool upload_makes_smaller(struct upload *upload, const struct span *piece, bool too_large)
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
			upload_trouble(upload, answer, now);
		return;
	}
	struct span piece = upload->flights[i].piece;
	int64_t after = now - upload->flights[i].sent_ms;
	upload_drop_flight(upload, i);
	if (answer->code == CODE_SUCCESS) {
		upload->settled = piece;
		upload->settled_after_ms = after;
		upload_headway(upload, now);
		return;
	}
	upload_give_back(upload, &piece);
	if (!upload_makes_smaller(upload, &piece, strcmp(answer->word, "segment_too_large") == 0))
		upload_trouble(upload, answer, now);
}

/* The broker lists what it lacks, perhaps not all of it; `fin` will ask again. */
static void send_missing(struct upload *upload, const struct answer *answer, int64_t now)
{
	remember(upload, answer);
	if (!spans_set(&upload->todo, answer->missing, answer->missing_count)) {
		upload_finish(upload, UPLOAD_NO_MEMORY);
		return;
	}
	if (upload->todo.bytes < upload->least_missing) {
		upload->least_missing = upload->todo.bytes;
		upload->vain_fins = 0;
		upload_headway(upload, now);
	} else if (++upload->vain_fins >= VAIN_FINS_MAX) {
		upload_finish(upload, UPLOAD_GAVE_UP);
	}
	upload_enter(upload, PHASE_SEND);
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
		upload_headway(upload, now);
		upload_finish(upload, UPLOAD_DONE);
	} else if (strcmp(answer->word, "incomplete") == 0 && makes_sense(upload, answer)) {
		send_missing(upload, answer, now);
	} else if (strcmp(answer->word, "file_checksum_mismatch") == 0) {
		/* What is held is not the file; without abort, init would say it is all there. */
		remember(upload, answer);
		upload_begin_again(upload, PHASE_ABORT);
	} else {
		upload_trouble(upload, answer, now);
	}
}

/*
 * Whether this can be the answer of a plugin that knows `put`. Others have words of their own
 * for a command that they do not know, and 0x80 or 0x83 with them.
 */
static bool knows_put(const struct answer *answer)
{
	static const char *const words[] = {
		"already_complete", "checksum_mismatch", "file_too_large", "filemeta_conflict",
		"internal_error", "invalid_fileid", "invalid_filemeta", "io_error", "name_refused",
		"rejected", "segment_too_large", "timeout",
	};

	if (answer->code != CODE_ERROR && answer->code != CODE_GIVE_UP)
		return true;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(answer->word, words[i]) == 0)
			return true;
	}
	return false;
}

/* Once: by its PUBACK, or where that told nothing or comes later, by the response. */
static void settle_put(struct upload *upload, int64_t now)
{
	if (!upload->put_settled)
		upload->settled = (struct span){ 0, upload->job.size };
	upload->settled_after_ms = now - upload->put_ms;
	upload->put_settled = true;
}

static void answered_put(struct upload *upload, const struct answer *answer, int64_t now)
{
	upload->put = knows_put(answer) ? UPLOAD_PUT_KNOWN : UPLOAD_PUT_NOT_KNOWN;
	upload->asked = false;
	upload->asked_status = false;
	upload_forget_segments(upload);
	if (answer->code == CODE_SUCCESS) {
		remember(upload, answer);
		upload_headway(upload, now);
		settle_put(upload, now);
		upload_finish(upload, UPLOAD_DONE);
	} else if (upload->put == UPLOAD_PUT_NOT_KNOWN) {
		upload_leave_put(upload);
	} else if (strcmp(answer->word, "segment_too_large") == 0) {
		upload->too_large = upload->job.size;
		upload_leave_put(upload);
	} else if (answer->code == CODE_BEGIN_AGAIN) {
		/* Its checksum: damaged on its way, nothing of it was stored. */
		remember(upload, answer);
		upload_begin_again(upload, PHASE_PUT);
	} else {
		upload_trouble(upload, answer, now);
	}
}

/* Asked while `fin` or `put` is out: is its answer still to come? */
static void answered_status(struct upload *upload, const struct answer *answer, int64_t now)
{
	upload->asked_status = false;
	upload->asked_ms = now;
	if (answer->code != CODE_SUCCESS)
		return;
	if (answer->state == STATE_ASSEMBLING)
		upload_headway(upload, now);
	else
		upload->asked = false;	/* the answer was lost; fin tells it again */
}

/* A broker that cannot tell does not have it, as far as we know. */
static void answered_question(struct upload *upload, const struct answer *answer, int64_t now)
{
	upload->asked = false;
	if (answer->code == CODE_PAUSE) {
		upload_trouble(upload, answer, now);
	} else if (answer->state == STATE_ASSEMBLING) {
		upload_pause_until(upload, now + ASK_AGAIN_MS);
	} else {
		remember(upload, answer);
		upload_finish(upload, answer->state == STATE_COMPLETE ? UPLOAD_DONE : UPLOAD_ABSENT);
	}
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
		if (upload->asked_status)
			answered_status(upload, answer, now);
		else if (upload->phase == PHASE_ASK && upload->asked)
			answered_question(upload, answer, now);
	} else if (strncmp(command, "fin/", 4) == 0) {
		if (upload->phase == PHASE_FIN && upload->asked)
			answered_fin(upload, answer, now);
	} else if (strncmp(command, "put/", 4) == 0) {
		if (upload->phase == PHASE_PUT && upload->asked)
			answered_put(upload, answer, now);
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
	upload_drop_flight(upload, i);
	upload_headway(upload, now);
	return true;
}

/* Accepted and safe; what has become of it, the response says. */
static void put_acked(struct upload *upload, int64_t now)
{
	if (upload->job.pubacks_tell && upload->asked_reason == CODE_SUCCESS) {
		settle_put(upload, now);
		upload_headway(upload, now);
	}
	upload_drop_flight(upload, 0);
}

/*
 * Only 0x00 settles a segment. Other codes wait for the response, which is exact;
 * with 0x10 a broker that cannot send 0x00 may even mean success.
 */
bool upload_acked(struct upload *upload, unsigned key, int reason, int64_t now)
{
	upload->settled.len = 0;
	if (upload->asked && upload->asked_key == key) {
		upload->asked_reason = reason;
		upload->asked_ms = now;
		if (upload->phase == PHASE_PUT && upload->flight_count)
			put_acked(upload, now);
		return true;
	}
	for (unsigned i = 0; i < upload->flight_count; i++) {
		if (upload->flights[i].key == key)
			return segment_acked(upload, i, reason, now);
	}
	return false;
}
