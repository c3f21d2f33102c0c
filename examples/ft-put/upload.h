/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The upload of one file as a state machine. It decides what to send next and when it
 * is over; it knows no socket, no file and no clock, so it can be tested by itself.
 * Times are milliseconds of any clock that only goes forward.
 *
 *	upload_init(&upload, &job, now);
 *	upload_link_up(&upload, now);			connected, subscribed
 *	while (upload.verdict == UPLOAD_RUNNING) {
 *		while (upload_next(&upload, now, max, &command))
 *			publish it, then upload_sent(&upload, &command, key, now);
 *		on PUBACK    upload_acked(&upload, key, reason, now);
 *		on response  upload_answered(&upload, &answer, now);
 *		now and then upload_tick(&upload, now);
 *		if (upload_is_overdue(&upload, now, &lane)) upload_link_down(), connect again
 *	}
 *
 *	OFFLINE --link--> INIT --have--> SEND --all answered--> FIN --success--> done
 *	   |               ^  ^            |                     |  |
 *	   |               |  +-- 0x10 ----+    <-- incomplete --+  |
 *	   |               +-- ABORT <-------- file_checksum_mismatch
 *	   |               |
 *	   +--in_one--> PUT (all in one message) --success--> done
 *	                   not known, not answered, link lost, too large for one: INIT
 *
 * Nothing is remembered over a lost link: `init` says what the broker holds.
 */
#ifndef FT_PUT_UPLOAD_H
#define FT_PUT_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "answer.h"
#include "../lib/spans.h"

struct upload_job {
	const char *file_id;
	uint64_t size;			/* known so far; upload_grow() */
	bool ended;			/* there is no more */
	unsigned window;		/* segments on their way at most, at least 1 */
	bool pubacks_tell;		/* MQTT 5: a PUBACK says whether it worked */
	bool from_scratch;		/* abort first */
	bool in_one;			/* try PUT; false once that has turned out not to work */
	bool ask_first;			/* only ask whether it is there: DONE or ABSENT */
	uint64_t segment_floor;		/* below it a segment cannot be made smaller; 0: at all */
	int64_t ack_timeout_ms;
	int64_t patience_ms;		/* of the caller; 0: endless */
};

enum upload_verdict {
	UPLOAD_RUNNING,
	UPLOAD_DONE,			/* the broker has the file, and said so */
	UPLOAD_REFUSED,			/* the broker will not take it: asking again is useless */
	UPLOAD_NOT_SERVED,		/* nobody answers on the response topic */
	UPLOAD_OTHER_CONTENT,		/* the id is taken, by another file */
	UPLOAD_ABSENT,			/* the answer to ask_first */
	UPLOAD_GAVE_UP,			/* what should help did not */
	UPLOAD_NO_MEMORY,
};

enum upload_phase {
	PHASE_OFFLINE,
	PHASE_INIT,
	PHASE_SEND,
	PHASE_FIN,
	PHASE_ABORT,
	PHASE_ASK,
	PHASE_PUT,
};

enum upload_kind {
	COMMAND_INIT,
	COMMAND_SEGMENT,
	COMMAND_FIN,
	COMMAND_ABORT,
	COMMAND_STATUS,
	COMMAND_PUT,
};

/* What this upload has found out about the broker. */
enum upload_put_support {
	UPLOAD_PUT_UNTOLD,
	UPLOAD_PUT_KNOWN,
	UPLOAD_PUT_NOT_KNOWN,		/* an older plugin, or EMQX */
};

struct upload_command {
	enum upload_kind kind;
	struct span piece;		/* COMMAND_SEGMENT, COMMAND_PUT */
};

/* Message ids belong to their connection: in a key, both are told. */
#define UPLOAD_KEY(lane, mid) ((unsigned)(lane) << 16 | (unsigned)(mid))
#define UPLOAD_LANE(key) ((key) >> 16)

/* A segment that was sent and of which nothing is known yet. */
struct flight {
	struct span piece;
	unsigned key;
	int reason;			/* a PUBACK other than 0; the response will say more */
	int64_t sent_ms;		/* or when that PUBACK came */
};

struct upload {
	struct upload_job job;
	enum upload_verdict verdict;
	int code;			/* what the broker said last */
	char why[320];			/* the same, for people */
	enum upload_phase phase;
	struct spans todo;
	struct flight *flights;
	unsigned flight_count;
	uint64_t flight_bytes;
	uint64_t too_large;		/* a segment of this length was refused for it; 0: none */
	bool may_finish;		/* the checksum for `fin` is known */
	bool asked;			/* the command of INIT, FIN or ABORT is out */
	bool asked_status;
	unsigned asked_key;
	int asked_reason;		/* of its PUBACK; -1: not acknowledged yet */
	bool ever_answered;
	bool have_known;		/* what the broker held was told, this link */
	enum upload_put_support put;
	bool put_unanswered;		/* INIT will tell whether it arrived */
	bool put_settled;		/* as a segment, see `settled` */
	int64_t put_ms;			/* when it was sent */
	bool asked_for_all;		/* responses, by a second INIT */
	unsigned begun_again;
	unsigned errors;		/* in a row, for the back-off */
	unsigned vain_fins;
	uint64_t least_missing;
	int64_t not_before_ms;		/* the broker, or the back-off, asked for a pause */
	int64_t asked_ms;
	int64_t headway_ms;		/* the broker took a segment, or finished the file */
	int64_t settled_after_ms;	/* of sending it */
	struct span settled;		/* the segment that the last call has settled, or len 0 */
};

/* Borrows `job->file_id` for the upload's life. False when out of memory. */
bool upload_init(struct upload *upload, const struct upload_job *job, int64_t now);
void upload_release(struct upload *upload);

void upload_link_up(struct upload *upload, int64_t now);
void upload_link_down(struct upload *upload);

/* One of several connections is gone: what was on its way there goes again. */
void upload_lane_down(struct upload *upload, unsigned lane);

/* Segments on their way over this connection. */
unsigned upload_lane_flights(const struct upload *upload, unsigned lane);

/* More of a stream has been read. */
void upload_grow(struct upload *upload, uint64_t size, bool ended);

/*
 * The next command, or false where there is nothing to send now. Segments are at most
 * `segment_max` long; with 0 there are none.
 */
bool upload_next(struct upload *upload, int64_t now, uint64_t segment_max,
		 struct upload_command *command);

/* What upload_next() gave was not sent after all. */
void upload_take_back(struct upload *upload, const struct upload_command *command);

/* What upload_next() gave was handed to the broker under this key. */
void upload_sent(struct upload *upload, const struct upload_command *command,
		 unsigned key, int64_t now);

/* The broker does not know PUT: what has not been sent by it goes by INIT. */
void upload_in_parts(struct upload *upload);

/* False: the message was none of this upload's. */
bool upload_acked(struct upload *upload, unsigned key, int reason, int64_t now);
bool upload_answered(struct upload *upload, const struct answer *answer, int64_t now);

void upload_tick(struct upload *upload, int64_t now);

/* Whether an answer is so long overdue that the connection `*lane` is taken for dead. */
bool upload_is_overdue(const struct upload *upload, int64_t now, unsigned *lane);

/* Bytes that the broker holds, as far as is known. */
uint64_t upload_held_bytes(const struct upload *upload);

/* The first byte that may have to be sent again. */
uint64_t upload_floor(const struct upload *upload);

#endif
