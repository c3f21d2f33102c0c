/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * One upload as a state machine. It decides what to send next and when it is over;
 * it knows no socket, no file and no clock, so it can be tested by itself and put
 * into other programs. Times are milliseconds of any clock that only goes forward.
 *
 *	upload_init(&upload, &job, now);
 *	upload_link_up(&upload, now);			connected, subscribed
 *	while (upload.verdict == UPLOAD_RUNNING) {
 *		while (upload_next(&upload, now, &command))
 *			publish it, then upload_sent(&upload, &command, mid, now);
 *		on PUBACK    upload_acked(&upload, mid, reason, now);
 *		on response  upload_answered(&upload, payload, len, now);
 *		if (upload_wants_new_link(&upload, now)) upload_link_down(), connect again
 *	}
 *
 *	OFFLINE --link--> INIT --have--> SEND --all answered--> FIN --success--> done
 *	                   ^  ^            |                     |  |
 *	                   |  +-- 0x10 ----+    <-- incomplete --+  |
 *	                   +-- ABORT <-------- file_checksum_mismatch
 *
 * Nothing is remembered over a lost link: `init` says what the broker holds.
 */
#ifndef FT_PUT_UPLOAD_H
#define FT_PUT_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "answer.h"
#include "spans.h"

struct upload_job {
	const char *file_id;
	uint64_t size;
	uint64_t segment_bytes;
	unsigned window;		/* segments on their way at most, at least 1 */
	bool pubacks_tell;		/* MQTT 5: a PUBACK says whether it worked */
	int64_t patience_ms;		/* give up after so long without headway; 0: never */
};

enum upload_verdict {
	UPLOAD_RUNNING,
	UPLOAD_DONE,			/* the broker has the file, and said so */
	UPLOAD_REFUSED,			/* the broker will not take it: asking again is useless */
	UPLOAD_NOT_SERVED,		/* nobody answers on the response topic */
	UPLOAD_GAVE_UP,			/* patience ran out, or what should help did not */
	UPLOAD_NO_MEMORY,
};

enum upload_phase {
	PHASE_OFFLINE,
	PHASE_INIT,
	PHASE_SEND,
	PHASE_FIN,
	PHASE_ABORT,
};

enum upload_kind {
	COMMAND_INIT,
	COMMAND_SEGMENT,
	COMMAND_FIN,
	COMMAND_ABORT,
	COMMAND_STATUS,
};

struct upload_command {
	enum upload_kind kind;
	struct span piece;		/* COMMAND_SEGMENT */
};

/* A segment that was sent and of which nothing is known yet. */
struct flight {
	struct span piece;
	int mid;
};

struct upload {
	struct upload_job job;
	enum upload_verdict verdict;
	char why[320];			/* what the broker said last, for people */
	enum upload_phase phase;
	struct spans todo;
	struct flight *flights;
	unsigned flight_count;
	uint64_t flight_bytes;
	bool asked;			/* the command of INIT, FIN or ABORT is out */
	bool asked_status;
	int asked_mid;
	int asked_reason;		/* of its PUBACK; -1: not acknowledged yet */
	bool ever_answered;
	bool begun_again;
	unsigned errors;		/* in a row, for the back-off */
	unsigned vain_fins;
	uint64_t least_missing;
	int64_t not_before_ms;		/* the broker, or the back-off, asked for a pause */
	int64_t asked_ms;
	int64_t heard_ms;		/* last sign of the broker, or last question after silence */
	int64_t headway_ms;
};

/* Borrows `job->file_id` for the upload's life. False when out of memory. */
bool upload_init(struct upload *upload, const struct upload_job *job, int64_t now);
void upload_release(struct upload *upload);

void upload_link_up(struct upload *upload, int64_t now);
void upload_link_down(struct upload *upload);

/* The broker takes no larger segments than this. */
void upload_limit_segment(struct upload *upload, uint64_t bytes);

/* The next command, or false where there is nothing to send now. */
bool upload_next(struct upload *upload, int64_t now, struct upload_command *command);

/* What upload_next() gave was handed to the broker under message id `mid`. */
void upload_sent(struct upload *upload, const struct upload_command *command, int mid, int64_t now);

void upload_acked(struct upload *upload, int mid, int reason, int64_t now);
void upload_answered(struct upload *upload, const void *payload, size_t len, int64_t now);

/* Call now and then: patience may run out. */
void upload_tick(struct upload *upload, int64_t now);

/* Whether answers are so long overdue that the link is taken for dead. */
bool upload_wants_new_link(const struct upload *upload, int64_t now);

/* Bytes that the broker holds, as far as is known. */
uint64_t upload_done_bytes(const struct upload *upload);

#endif
