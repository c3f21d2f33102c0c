/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The end of an engine, and the next one on what the old one left: what was open is
 * asked for, and has to be one of the things it may be.
 */
#ifndef FT_TESTS_MODEL_RESTART_H
#define FT_TESTS_MODEL_RESTART_H

#include "model_moves.h"

static void start_engine(struct game *game)
{
	game->setup.now_ms = game->now_ms;
	game->epoch++;
	game->armed = game->setup.die_at > 0;
	game_check(game, child_start(&game->child, &game->setup), "no child: %s", strerror(errno));
}

/* One that dies while it starts, or soon after. */
static void start_and_die(struct game *game, uint32_t die_at, uint32_t die_how)
{
	struct wire wire = { .kind = WIRE_RUN, .wait_ms = 2 };

	game->setup.die_at = die_at;
	game->setup.die_how = die_how;
	start_engine(game);
	game->setup.die_at = 0;
	(void)game_send(game, &wire, NULL, NULL);
	(void)game_await(game, game->seq, NULL, NULL);
	child_kill(&game->child);
	child_end(&game->child);
}

/* Marks the bytes in `have`; returns where the list ends, SIZE_MAX where there are bytes never sent. */
static size_t read_have(const struct model_transfer *t, const cJSON *json, uint8_t *has)
{
	size_t end = 0;
	const cJSON *range;

	cJSON_ArrayForEach(range, cJSON_GetObjectItem(json, "have")) {
		double from = cJSON_GetNumberValue(cJSON_GetArrayItem(range, 0));
		double len = cJSON_GetNumberValue(cJSON_GetArrayItem(range, 1));

		if (from + len > (double)t->span)
			return SIZE_MAX;
		memset(has + (size_t)from, 1, (size_t)len);
		end = (size_t)(from + len);
	}
	return end;
}

static bool must_be_held(uint8_t held)
{
	return held == BYTE_HELD || held == BYTE_CHANGED;
}

/*
 * Where the list was cut, `received` tells of the rest: what must be there, or that and
 * all that may be. False: something between.
 */
static bool guess_the_rest(const struct model_transfer *t, uint8_t *has, size_t from,
			   uint64_t received)
{
	uint64_t listed = 0, must = 0, may = 0;
	bool all;

	for (size_t i = 0; i < t->span; i++) {
		listed += i < from && has[i];
		must += i >= from && must_be_held(t->held[i]);
		may += i >= from && t->held[i] != BYTE_MISSING;
	}
	if (received != listed + must && received != listed + may)
		return false;
	all = received == listed + may;
	for (size_t i = from; i < t->span; i++)
		has[i] = all ? t->held[i] != BYTE_MISSING : must_be_held(t->held[i]);
	return true;
}

/* What is held must be among what may be, and after a mere crash all that was acknowledged. */
static void compare_bytes(struct game *game, int key, const uint8_t *has)
{
	struct model_transfer *t = &game->t[key];
	bool fewer = game->rebooted && game->setup.durability != FT_DURABILITY_SEGMENT;

	for (size_t i = 0; i < t->span; i++) {
		bool must = must_be_held(t->held[i]) && !fewer;

		game_check(game, has[i] ? t->held[i] != BYTE_MISSING : !must,
			   "key %d: after %s byte %zu is %s, against what was acknowledged", key,
			   game->rebooted ? "a reboot" : "a crash", i, has[i] ? "held" : "not held");
		if (!has[i])
			t->held[i] = BYTE_MISSING;
	}
	disk_check_held(game, key);
	for (size_t i = 0; i < t->span; i++)
		if (t->held[i] != BYTE_MISSING)
			t->held[i] = BYTE_HELD;
	t->unsure = false;
}

/* How many bytes must be held by all means. */
static uint64_t least_held(const struct game *game, const struct model_transfer *t)
{
	bool fewer = game->rebooted && game->setup.durability != FT_DURABILITY_SEGMENT;
	uint64_t count = 0;

	for (size_t i = 0; i < t->span && !fewer; i++)
		count += must_be_held(t->held[i]);
	return count;
}

/* False: the response does not tell which bytes are held. */
static bool settle_bytes(struct game *game, int key, const cJSON *json)
{
	static uint8_t has[MODEL_SPAN_MAX];
	struct model_transfer *t = &game->t[key];
	bool truncated = cJSON_IsTrue(cJSON_GetObjectItem(json, "truncated"));
	double received = cJSON_GetNumberValue(cJSON_GetObjectItem(json, "received"));
	size_t end;

	memset(has, 0, t->span);
	end = read_have(t, json, has);
	game_check(game, end != SIZE_MAX, "key %d: bytes are held that were never sent", key);
	game_check(game, (uint64_t)received >= least_held(game, t), "key %d: after a restart only "
		   "%.0f bytes are held, fewer than acknowledged", key, received);
	if (truncated && !guess_the_rest(t, has, end, (uint64_t)received))
		return false;
	compare_bytes(game, key, has);
	return true;
}

/* The state that the engine found on the disk, if it is one of those it may have found. */
static void settle_state(struct game *game, int key, const char *word)
{
	struct model_transfer *t = &game->t[key];
	bool forgets = game->rebooted && game->setup.durability != FT_DURABILITY_SEGMENT;
	enum ft_state state = strcmp(word, "none") == 0 ? FT_STATE_NONE
		: strcmp(word, "receiving") == 0 ? FT_STATE_RECEIVING
		: strcmp(word, "complete") == 0 ? FT_STATE_COMPLETE : FT_STATE_UNSAID;
	unsigned bit = state == FT_STATE_NONE ? MAY_BE_NONE
		: state == FT_STATE_RECEIVING ? MAY_BE_RECEIVING : MAY_BE_COMPLETE;
	unsigned may_be = t->may_be ? t->may_be : t->state == FT_STATE_NONE ? MAY_BE_NONE
		: t->state == FT_STATE_RECEIVING ? MAY_BE_RECEIVING : MAY_BE_COMPLETE;

	/* A transfer of which nothing has to be held may be lost as a whole. */
	if (game->lossy && (may_be & MAY_BE_RECEIVING)
	    && (forgets || !memchr(t->held, BYTE_HELD, t->span)))
		may_be |= MAY_BE_NONE;
	game_check(game, state != FT_STATE_UNSAID && (may_be & bit), "key %d: after a restart it "
		   "is %s", key, word);
	t->state = state;
	t->may_be = 0;
	if (state == FT_STATE_NONE)
		model_reset(t);
}

static void settle(struct game *game, int key)
{
	struct model_transfer *t = &game->t[key];
	struct model_command again = { .verb = FT_VERB_INIT, .key = key };
	cJSON *json;
	bool told = true;

	if (!t->may_be && !t->unsure && !t->described
	    && (!game->rebooted || t->state != FT_STATE_RECEIVING))
		return;
	json = ask_status(game, key);
	settle_state(game, key, game_string(json, "state"));
	if (t->state == FT_STATE_RECEIVING)
		told = settle_bytes(game, key, json);
	cJSON_Delete(json);
	if (!told) {
		again.verb = FT_VERB_ABORT;	/* more than it can tell: this one is given up */
		move_command(game, &again);
	} else if (t->described && t->state == FT_STATE_RECEIVING) {
		again.meta = t->meta;		/* as the client does, who got no answer */
		again.about = t->about;
		again.ttl = t->ttl;
		move_command(game, &again);
	}
	t->described = false;
	t->unsure = false;
}

/* A new engine on what the last one left, and the model brought to what that must be. */
static void next_engine(struct game *game, bool rebooted)
{
	game->pendings = 0;
	game->die_at = 0;
	game->rebooted = rebooted;
	for (int key = 0; key < GAME_KEYS; key++) {
		model_crashed(&game->t[key], game->now_ms);
		game->t[key].news_ms = game->now_ms;
		game->t[key].news_slack_ms = GAME_RESTART_SLACK_MS;
		game->t[key].news_unsure = true;
	}
	game->boots += rebooted;
	snprintf(game->setup.boot_id, sizeof game->setup.boot_id,
		 "%08x-1111-4111-8111-111111111111", game->boots + 1);
	start_engine(game);
	for (int key = 0; key < GAME_KEYS; key++)
		settle(game, key);
	game->rebooted = false;
	if (game->again) {
		game->again = false;
		move_command(game, &game->in_flight);
	}
}

static void game_after_crash(struct game *game)
{
	int status;

	game_check(game, game->armed, "the engine died");
	status = child_end(&game->child);
	game_check(game, WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		   "the engine died by itself (wait status %d)", status);
	next_engine(game, false);
}

static void move_kill(struct game *game)
{
	struct game_message message;

	child_kill(&game->child);
	/* What it had said by then holds. */
	while (game_receive(game, &message))
		if (message.wire.kind == WIRE_RESPONSE)
			game_deferred(game, &message);
	child_end(&game->child);
}

/* False: it died of its own arms first. */
static bool move_stop(struct game *game)
{
	struct wire wire = { .kind = WIRE_STOP };
	int status;

	game->stopping = true;
	game->die_at = 0;
	(void)game_send(game, &wire, NULL, NULL);
	if (!game_await(game, game->seq, NULL, NULL)) {
		game->stopping = false;
		game_after_crash(game);
		return false;
	}
	game->stopping = false;
	status = child_end(&game->child);
	game_check(game, status == 0, "the engine stopped with wait status %d", status);
	return true;
}

#endif
