/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * After the power cut: a new engine on what is left, the judgement, and then the client
 * comes back and goes on until its file is there.
 */
#ifndef FT_TESTS_CRASH_RISE_H
#define FT_TESTS_CRASH_RISE_H

#include "judge.h"

/* What a client has in mind when the power fails. */
struct rise_plan {
	int life;		/* 0: none */
	bool ends;		/* it wants the transfer to be forgotten */
	bool begun;
	size_t size;
	int flying[PROMISE_FLYING];
	int flyings;
	uint8_t bytes[PROMISE_SPAN];
};

static void rise_make_plan(struct rise_plan *plan, int key)
{
	const struct promise_life *life = promise_latest(&play.live, key);

	*plan = (struct rise_plan){ .life = play.live.latest[key], .ends = life->ends,
				    .begun = life->begun, .size = (size_t)life->size,
				    .flyings = life->flyings };
	memcpy(plan->flying, life->flying, sizeof plan->flying);
	for (size_t i = 0; i < PROMISE_SPAN; i++)
		plan->bytes[i] = life->held[i] & PROMISE_ACKED ? life->bytes[i] : play_byte(99, i);
	for (int i = 0; i < life->flyings; i++) {
		const struct promise_command *c = &play.command[life->flying[i]];

		memcpy(plan->bytes + c->number, c->bytes, c->len);
	}
}

static void rise_expect(int command, enum ft_status wanted, const char *what)
{
	enum ft_status st = play_ask(command);

	play_check(st == wanted, "%s after the power cut is answered by %s", what,
		   ft_status_word(st));
}

static void rise_send(int key, const struct rise_plan *plan, size_t from, size_t to)
{
	int segment = play_segment(key, from, to - from, 0);

	memcpy(play.command[segment].bytes, plan->bytes + from, to - from);
	rise_expect(segment, FT_OK, "a segment");
}

/* What was not answered is sent again, then what is not held. */
static void rise_send_missing(int key, const struct rise_plan *plan,
			      const struct promise_found *found)
{
	bool missing[PROMISE_SPAN] = { false };
	size_t from, at = 0;

	for (size_t i = 0; i < plan->size; i++)
		missing[i] = found->state != FT_STATE_RECEIVING || !found->held[i];
	for (int i = 0; i < plan->flyings; i++) {
		const struct promise_command *c = &play.command[plan->flying[i]];
		size_t offset = (size_t)c->number, len = c->len;

		rise_send(key, plan, offset, offset + len);
		memset(missing + offset, 0, len);
	}
	while (at < plan->size) {
		from = at;
		while (at < plan->size && missing[at] && at - from < 2000)
			at++;
		if (at > from)
			rise_send(key, plan, from, at);
		else
			at++;
	}
}

static void rise_finish(int key, const struct rise_plan *plan, const struct promise_found *found)
{
	bool former = found->state == FT_STATE_RECEIVING && found->life != plan->life;

	/* Its abort was not answered, nor was the next init: both are sent again. */
	if (former && !plan->begun) {
		rise_expect(play_plain(FT_VERB_ABORT, key), FT_OK, "abort");
		rise_expect(play_init(key, plan->life, plan->size), FT_OK, "init after abort");
		rise_send(key, plan, 0, plan->size);
	} else {
		rise_expect(play_init(key, plan->life, plan->size), FT_OK, "init");
		rise_send_missing(key, plan, found);
	}
	rise_expect(play_fin(key, plan->size, false), FT_OK, "fin");
	rise_expect(play_fin(key, plan->size, false), FT_OK, "fin, again,");
	play_check(judge_is_there("files", key, PLAY_NAME), "key %d: there is no file after fin",
		   key);
}

static void rise_key(int key, const struct rise_plan *plan, const struct promise_found *found)
{
	if (plan->life == 0)
		return;
	if (found->state == FT_STATE_COMPLETE) {
		size_t size = (size_t)promise_latest(&play.live, key)->fin_size;

		rise_expect(play_fin(key, size, false), FT_OK, "fin of what is finished");
	} else if (plan->ends) {
		rise_expect(play_plain(FT_VERB_ABORT, key), FT_OK, "abort");
		play_check(!judge_is_there("incoming", key, "data"),
			   "key %d: it is there after its abort", key);
	} else {
		rise_finish(key, plan, found);
	}
}

/* The power is back: play.dir is what is left, play.live what was promised. */
static void rise(void)
{
	bool had_data[PROMISE_KEYS], had_file[PROMISE_KEYS];
	size_t damaged = judge_damaged();
	static struct rise_plan plan;

	play.boots++;
	judge_visible();
	for (int key = 0; key < PROMISE_KEYS; key++) {
		had_data[key] = judge_is_there("incoming", key, "data");
		had_file[key] = judge_is_there("files", key, PLAY_NAME);
	}
	play_start();
	for (int key = 0; key < PROMISE_KEYS; key++) {
		const struct promise_found *found;
		struct promise_event event = { .what = PROMISE_FOUND, .key = key };

		rise_make_plan(&plan, key);
		found = judge_key(key, had_data[key], damaged);
		event.found = crash_need(malloc(sizeof *found));
		*event.found = *found;
		play_event(event);
		rise_key(key, &plan, event.found);
		play_check(!had_file[key] || judge_is_there("files", key, PLAY_NAME),
			   "key %d: the file is gone", key);
	}
	judge_visible();
	play_stop();
}

#endif
