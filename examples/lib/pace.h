/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * How large the next segment is, and when it may go.
 *
 *	pace_init(&pace, 0, 256 * 1024, now);
 *	if (pace_wait_ms(&pace, now) == 0) send at most pace_segment(&pace) bytes, pace_sent();
 *	on an acknowledgement pace_acked(), on a lost link pace_trouble()
 *
 * Adaptive sizes aim at segments that take a twentieth of a second: other messages of the
 * same connection wait for no more than that, and little is sent twice after a cut.
 */
#ifndef EXAMPLES_PACE_H
#define EXAMPLES_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
	uint64_t fixed;			/* 0: adaptive */
	uint64_t max;
	uint64_t size;
	int64_t epoch_ms;
	uint64_t epoch_bytes;		/* acknowledged since */
	double speed;			/* bytes a second, of the last time that was judged */
	double answer_ms;		/* how soon an acknowledgement comes when no queue is long */
	bool several;			/* connections */
	bool idle;			/* not always busy since: the bytes tell no speed */
	uint64_t rate;			/* bytes a second, 0: as fast as it goes */
	double credit;			/* bytes that may go now; negative after a segment */
	int64_t credit_ms;
};

void pace_init(struct pace *pace, uint64_t fixed, uint64_t max, int64_t now);

/* The broker takes no larger segments. */
void pace_limit(struct pace *pace, uint64_t bytes);

/* Takes effect at once, in the middle of an upload as well. 0 lifts the limit. */
void pace_set_rate(struct pace *pace, uint64_t rate, int64_t now);

uint64_t pace_segment(const struct pace *pace);

/* 0: now. */
int64_t pace_wait_ms(struct pace *pace, int64_t now);

void pace_sent(struct pace *pace, uint64_t bytes);

/* `answer_ms` after it was sent. */
void pace_acked(struct pace *pace, uint64_t bytes, int64_t answer_ms, int64_t now);

/*
 * Bytes that should be on their way at most: more would only make queues longer, which
 * other messages have to wait in, and losses dearer.
 */
uint64_t pace_flight_bytes(const struct pace *pace);

/*
 * Whether several connections share the segments. Answers then come at times that have little
 * to do with each other, and the quickest one says nothing about a queue: no limit is made from
 * it. A window of segments that take a twentieth of a second each is limit enough.
 */
void pace_set_several(struct pace *pace, bool several);

/* There was nothing to send for a while. */
void pace_idle(struct pace *pace);

/* The link broke, or was silent for too long. */
void pace_trouble(struct pace *pace, int64_t now);

#endif
