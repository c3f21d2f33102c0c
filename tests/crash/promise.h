/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What clients were told, and what has to be true after a power cut because of that.
 *
 * A key may have several lives: each begins with an init and ends with an abort or by
 * being forgotten. The init says in `user_data` which one it is, so that what is found on
 * the disk says whose it is.
 */
#ifndef FT_TESTS_CRASH_PROMISE_H
#define FT_TESTS_CRASH_PROMISE_H

#include "base/sha256.h"
#include "protocol/topic.h"
#include "disk.h"
#include "file_transfer/store.h"

#define PROMISE_KEYS 5
#define PROMISE_LIVES 4
#define PROMISE_SPAN 9216	/* bytes, of the longest file */
#define PROMISE_FLYING 8	/* segments sent and not answered yet */

enum promise_byte {
	PROMISE_ACKED = 1,	/* if it is held, it is as `bytes` says */
	PROMISE_MUST = 2,	/* it is held */
	PROMISE_CUT = 4,	/* a fin may have cut it off */
};

struct promise_command {
	enum ft_verb verb;
	int key;
	int life;
	uint64_t number;	/* INIT: size, SEGMENT: offset, FIN: size */
	size_t len;
	uint8_t *bytes;		/* owned */
	bool mismatches;	/* FIN: with a checksum that is not the file's */
	bool answered;
	enum ft_status puback;
	enum ft_status response;
};

enum promise_what {
	PROMISE_SENT,
	PROMISE_PUBACK,
	PROMISE_RESPONSE,
	PROMISE_CHECKPOINT,	/* all workers have come to rest after a checkpoint was due */
	PROMISE_EXPIRES,	/* from now on it may be gone */
	PROMISE_STRICTER,	/* from now on durability is `segment` */
	PROMISE_FOUND,		/* the engine was asked after a power cut, and this was found */
};

/* What a transfer was found to be. */
struct promise_found {
	enum ft_state state;
	int life;
	uint8_t held[PROMISE_SPAN];
	uint8_t bytes[PROMISE_SPAN];
};

struct promise_event {
	enum promise_what what;
	int key;
	int command;
	enum ft_status status;
	struct promise_found *found;	/* owned */
};

struct promise_life {
	bool begun;		/* an init was answered with success */
	bool must_be;		/* it is there after a cut: bytes of it count then, or would */
	bool fin_sent;
	bool finished;		/* success was answered */
	bool ends;		/* an abort was sent, or its time has come */
	bool gone;		/* the abort was answered with success */
	int also;		/* the life whose manifest it may still show; 0: none */
	uint64_t size;		/* as said by the init */
	uint64_t fin_size;
	int flying[PROMISE_FLYING];
	int flyings;
	uint8_t held[PROMISE_SPAN];	/* enum promise_byte */
	uint8_t bytes[PROMISE_SPAN];
};

struct promise {
	enum ft_durability durability;
	int latest[PROMISE_KEYS];	/* life; 0: never begun */
	struct promise_life life[PROMISE_KEYS][PROMISE_LIVES + 1];
};

static struct promise_life *promise_latest(struct promise *promise, int key)
{
	return &promise->life[key][promise->latest[key]];
}

/* --- segments --- */

/* Overwriting one held byte takes the checkpoint's promise from all: it is made anew. */
static void promise_doubt(struct promise *promise, struct promise_life *life,
			  const struct promise_command *c)
{
	bool changes = false;

	if (promise->durability == FT_DURABILITY_SEGMENT)
		return;
	for (size_t i = 0; i < c->len; i++)
		changes = changes || ((life->held[c->number + i] & PROMISE_ACKED)
				      && life->bytes[c->number + i] != c->bytes[i]);
	for (size_t i = 0; changes && i < PROMISE_SPAN; i++)
		life->held[i] &= (uint8_t)~PROMISE_MUST;
	life->must_be = life->must_be && !changes;
}

static void promise_land(struct promise_life *life, int command)
{
	for (int i = 0; i < life->flyings; i++)
		if (life->flying[i] == command) {
			memmove(&life->flying[i], &life->flying[i + 1],
				(size_t)(--life->flyings - i) * sizeof life->flying[0]);
			return;
		}
}

static void promise_segment(struct promise *promise, struct promise_life *life, int command,
			    const struct promise_command *c)
{
	promise_land(life, command);
	if (c->puback != FT_OK)
		return;
	for (size_t i = 0; i < c->len; i++) {
		life->bytes[c->number + i] = c->bytes[i];
		life->held[c->number + i] &= PROMISE_MUST;
		life->held[c->number + i] |= PROMISE_ACKED;
		if (promise->durability == FT_DURABILITY_SEGMENT)
			life->held[c->number + i] |= PROMISE_MUST;
	}
	life->must_be = life->must_be || promise->durability == FT_DURABILITY_SEGMENT;
}

/* --- events --- */

static void promise_sent(struct promise *promise, int command, const struct promise_command *c)
{
	struct promise_life *life = &promise->life[c->key][c->life];

	if (c->life > promise->latest[c->key])
		promise->latest[c->key] = c->life;
	switch (c->verb) {
	case FT_VERB_SEGMENT:
		promise_doubt(promise, life, c);
		if (life->flyings == PROMISE_FLYING)
			abort();
		life->flying[life->flyings++] = command;
		break;
	case FT_VERB_FIN:
		/* What lies beyond may be cut off at once, whatever comes of it. */
		for (size_t i = c->number; i < PROMISE_SPAN; i++)
			life->held[i] = life->held[i] ? PROMISE_ACKED | PROMISE_CUT : 0;
		life->fin_sent = life->fin_sent || !c->mismatches;
		if (!c->mismatches)
			life->fin_size = c->number;
		break;
	case FT_VERB_ABORT:
		life->ends = true;
		break;
	case FT_VERB_INIT:
		if (life->gone)
			*life = (struct promise_life){ .begun = false };
		life->size = c->number;
		break;
	case FT_VERB_STATUS:
		break;
	}
}

/* Durability segment: what is told to be held has got to the disk, whoever wrote it. */
static void promise_segments_last(const struct promise *promise, struct promise_life *life)
{
	if (promise->durability != FT_DURABILITY_SEGMENT)
		return;
	life->must_be = true;
	for (size_t i = 0; i < PROMISE_SPAN; i++)
		if (life->held[i] == PROMISE_ACKED)
			life->held[i] |= PROMISE_MUST;
}

static void promise_puback(struct promise *promise, int command, const struct promise_command *c)
{
	struct promise_life *life = &promise->life[c->key][c->life];

	if (c->verb == FT_VERB_SEGMENT)
		promise_segment(promise, life, command, c);
	if (c->verb == FT_VERB_INIT && c->puback == FT_OK) {
		life->begun = true;
		promise_segments_last(promise, life);
	}
	if (c->verb == FT_VERB_FIN && c->puback != FT_OK && !c->mismatches)
		life->fin_sent = false;
}

static void promise_response(struct promise *promise, const struct promise_command *c,
			     enum ft_status status)
{
	struct promise_life *life = &promise->life[c->key][c->life];

	if (c->verb == FT_VERB_FIN && status == FT_OK)
		life->finished = true;
	else if (c->verb == FT_VERB_FIN && !c->mismatches && !life->finished)
		life->fin_sent = false;
	if (c->verb == FT_VERB_ABORT && status == FT_OK)
		life->gone = promise->life[c->key][life->also].gone = true;
	else if (c->verb == FT_VERB_ABORT)
		life->ends = false;
}

static void promise_checkpoint(struct promise *promise, int key)
{
	struct promise_life *life = promise_latest(promise, key);

	if (promise->durability == FT_DURABILITY_NONE || !life->begun)
		return;
	for (size_t i = 0; i < PROMISE_SPAN; i++)
		if (life->held[i] == PROMISE_ACKED) {
			life->held[i] |= PROMISE_MUST;
			life->must_be = true;
		}
}

/* What was found is on the disk, since it has survived: it has to survive again. */
static void promise_found(struct promise *promise, int key, const struct promise_found *found)
{
	struct promise_life *life = promise_latest(promise, key);
	bool ends = life->ends;

	if (found->state == FT_STATE_COMPLETE) {
		life->finished = true;
		return;
	}
	*life = (struct promise_life){ .size = life->size };
	if (found->state == FT_STATE_NONE) {
		life->gone = ends;
		return;
	}
	life->ends = ends;
	life->begun = true;
	life->must_be = promise->durability == FT_DURABILITY_SEGMENT;
	life->also = found->life;
	for (size_t i = 0; i < PROMISE_SPAN; i++)
		if (found->held[i]) {
			life->bytes[i] = found->bytes[i];
			life->held[i] = PROMISE_ACKED | PROMISE_MUST;
			life->must_be = true;
		}
}

static void promise_apply(struct promise *promise, const struct promise_event *event,
			  const struct promise_command *commands)
{
	const struct promise_command *c = &commands[event->command];

	switch (event->what) {
	case PROMISE_SENT:
		promise_sent(promise, event->command, c);
		break;
	case PROMISE_PUBACK:
		promise_puback(promise, event->command, c);
		break;
	case PROMISE_RESPONSE:
		promise_response(promise, c, event->status);
		break;
	case PROMISE_CHECKPOINT:
		promise_checkpoint(promise, event->key);
		break;
	case PROMISE_EXPIRES:
		promise_latest(promise, event->key)->ends = true;
		break;
	case PROMISE_STRICTER:
		promise->durability = FT_DURABILITY_SEGMENT;
		break;
	case PROMISE_FOUND:
		promise_found(promise, event->key, event->found);
		break;
	}
}

#endif
