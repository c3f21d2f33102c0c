/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Sequences of operations, made by chance and played to engine and model. What an
 * operation does follows from its fields and from what is there when it is played, so a
 * sequence stays playable whatever is left out of it.
 */
#ifndef FT_TESTS_MODEL_SCRIPT_H
#define FT_TESTS_MODEL_SCRIPT_H

#include "model_restart.h"

#define OPS_MAX 160
#define BIG_SPAN MODEL_SPAN_MAX

enum op_kind {
	OP_INIT, OP_SEGMENT, OP_SCATTER, OP_UPLOAD, OP_FIN, OP_ABORT, OP_CHECK_ALL, OP_RUN,
	OP_SETTLE, OP_PASS, OP_RESTART, OP_REBOOT, OP_POWER_CUT, OP_KILL, OP_DIE_AT, OP_KINDS,
};

struct op {
	enum op_kind kind;
	int key;
	uint64_t at;		/* offset, milliseconds, which size or call */
	uint32_t len;
	uint32_t how;		/* which name, pattern, ttl, way to die */
	uint32_t sum;		/* 0: none, 1: right, 2: wrong */
};

/* One sequence: where it is played, and what is played. */
struct script {
	uint64_t seed;
	const char *backend;
	enum ft_durability durability;
	bool crashes;
	size_t span;
	size_t max_open;
	uint64_t sizes[3];	/* of whole files */
	struct model_limits limits;
	size_t count;
	struct op ops[OPS_MAX];
};

/* --- chance --- */

static uint64_t random_state;

static uint64_t random_below(uint64_t limit)
{
	uint64_t x = random_state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return ((x ^ (x >> 31)) >> 8) % limit;
}

static const struct {
	const char *name;
	unsigned weight;	/* of all, and then those with crashes only */
	bool crash;
	bool disk;
} op_kinds[OP_KINDS] = {
	[OP_INIT] = { "init", 16, false, false },
	[OP_SEGMENT] = { "segment", 34, false, false },
	[OP_SCATTER] = { "scatter", 3, false, false },
	[OP_UPLOAD] = { "upload", 6, false, false },
	[OP_FIN] = { "fin", 14, false, false },
	[OP_ABORT] = { "abort", 4, false, false },
	[OP_CHECK_ALL] = { "check all", 3, false, false },
	[OP_RUN] = { "run", 5, false, false },
	[OP_SETTLE] = { "settle", 5, false, false },
	[OP_PASS] = { "pass", 5, false, false },
	[OP_RESTART] = { "restart", 2, false, true },
	[OP_REBOOT] = { "reboot", 2, false, true },
	[OP_POWER_CUT] = { "power cut", 2, true, true },
	[OP_KILL] = { "kill", 2, true, true },
	[OP_DIE_AT] = { "die at", 12, true, true },
};

static enum op_kind pick_kind(const struct script *s)
{
	for (;;) {
		enum op_kind kind = (enum op_kind)random_below(OP_KINDS);

		if (random_below(34) < op_kinds[kind].weight && (s->crashes || !op_kinds[kind].crash)
		    && (!op_kinds[kind].disk || strcmp(s->backend, "fs") == 0))
			return kind;
	}
}

static void pick_segment(const struct script *s, struct op *op)
{
	size_t unit = s->span / 8 > 0 ? s->span / 8 : 1;
	size_t longest = s->span < (1 << 20) ? s->span : 1 << 20;

	op->at = random_below(2) ? unit * random_below(8) : random_below(s->span);
	op->len = (uint32_t)(random_below(3) == 0 ? random_below(longest + 1) : unit);
	if (random_below(12) == 0)
		op->len = (uint32_t)random_below(3);
	if (op->at + op->len > s->span)
		op->len = (uint32_t)(s->span - op->at);
	if (random_below(40) == 0)
		op->at = (uint64_t)INT64_MAX - op->len + 1;	/* one byte too far */
	op->how = random_below(4) ? 0 : (uint32_t)random_below(3);
	op->sum = random_below(3) ? 0 : random_below(4) ? 1 : 2;
}

static struct op pick_op(const struct script *s, int keys)
{
	static const uint32_t passes[] = { 50, 1500, 6000, 6000, 60000, 299000, 301000, 1100000 };
	struct op op = { .kind = pick_kind(s) };

	op.key = (int)random_below((uint64_t)keys);
	op.at = random_below(3);
	op.how = (uint32_t)random_below(12);
	op.sum = (uint32_t)random_below(3);
	if (op.kind == OP_SEGMENT)
		pick_segment(s, &op);
	if (op.kind == OP_SCATTER) {
		op.at = random_below(s->span);
		op.len = 1 + (uint32_t)random_below(150);
	}
	if (op.kind == OP_PASS)
		op.at = passes[random_below(sizeof passes / sizeof passes[0])];
	if (op.kind == OP_DIE_AT)
		op.at = 1 + random_below(random_below(3) ? 6 : 40);
	return op;
}

/* What chance alone brings together too rarely. Returns how many operations it is. */
static size_t pick_idiom(const struct script *s, int keys, struct op *ops)
{
	static const struct op idioms[][6] = {
		{	/* bytes change while a checkpoint is made of them */
			{ OP_UPLOAD, 0, 0, 0, 2, 0 }, { OP_RUN, 0, 2, 0, 0, 0 },
			{ OP_PASS, 0, 6000, 0, 0, 0 }, { OP_SEGMENT, 0, 0, 5, 1, 0 },
			{ OP_RUN, 0, 2, 0, 0, 0 }, { OP_POWER_CUT, 0, 0, 0, 0, 0 },
		},
		{	/* bytes change behind the hash */
			{ OP_UPLOAD, 0, 0, 0, 6, 0 }, { OP_RUN, 0, 2, 0, 0, 0 },
			{ OP_RUN, 0, 2, 0, 0, 0 }, { OP_SEGMENT, 0, 0, 5, 1, 0 },
			{ OP_FIN, 0, 0, 0, 6, 1 }, { OP_SETTLE, 0, 0, 0, 0, 0 },
		},
		{	/* the journal's 171st record lies on both sides of a page's end */
			{ OP_ABORT, 0, 0, 0, 0, 0 }, { OP_INIT, 0, 0, 0, 0, 0 },
			{ OP_SCATTER, 0, 0, 150, 0, 0 }, { OP_SCATTER, 0, 301, 20, 0, 0 },
			{ OP_DIE_AT, 0, 2, 0, DIE_HALFWAY, 0 }, { OP_SEGMENT, 0, 340, 1, 0, 0 },
		},
		{	/* an abort races with the end of the assembly */
			{ OP_UPLOAD, 0, 0, 0, 0, 0 }, { OP_FIN, 0, 0, 0, 6, 1 },
			{ OP_FIN, 0, 0, 0, 7, 1 }, { OP_RUN, 0, 0, 0, 0, 0 },
			{ OP_ABORT, 0, 0, 0, 0, 0 }, { OP_SETTLE, 0, 0, 0, 0, 0 },
		},
	};
	const struct op *idiom = idioms[random_below(sizeof idioms / sizeof idioms[0])];
	int key = (int)random_below((uint64_t)keys);
	size_t count = 0;

	for (size_t i = 0; i < 6; i++) {
		bool possible = (s->crashes || !op_kinds[idiom[i].kind].crash)
				&& idiom[i].at + idiom[i].len <= (idiom[i].kind == OP_SEGMENT
								  ? s->span : UINT64_MAX);

		if (!possible)
			continue;
		ops[count] = idiom[i];
		ops[count++].key = key;
	}
	return count;
}

static void write_script(struct script *s, uint64_t seed, const char *backend, int durability,
			 bool crashes)
{
	static const size_t spans[] = { 8, 40, 300, 300, 3000, 20000, 70000, BIG_SPAN };
	int keys;

	memset(s, 0, sizeof *s);
	random_state = s->seed = seed;
	s->backend = backend;
	s->durability = (enum ft_durability)(durability >= 0 ? (uint64_t)durability : random_below(3));
	s->crashes = crashes;
	s->span = spans[random_below(8)];
	if (s->span == BIG_SPAN && (s->durability == FT_DURABILITY_SEGMENT || random_below(2)))
		s->span = 300;
	s->max_open = random_below(2) ? 8 : 16;
	s->sizes[0] = random_below(4) ? s->span : 0;
	s->sizes[1] = 1 + random_below(s->span);
	s->sizes[2] = random_below(s->span + 10);
	if (random_below(4) == 0)
		s->limits.max_file_size = s->span / 2 + 1;
	if (random_below(4) == 0)
		s->limits.max_segment_size = s->span / 4 + 1;
	keys = 1 + (int)random_below(s->span == BIG_SPAN ? 2 : random_below(3) ? 4 : GAME_KEYS);
	s->count = s->span == BIG_SPAN ? 40 : 20 + random_below(OPS_MAX - 20);
	for (size_t i = 0; i < s->count;) {
		if (random_below(30) == 0 && i + 6 <= s->count)
			i += pick_idiom(s, keys, &s->ops[i]);
		else
			s->ops[i++] = pick_op(s, keys);
	}
}

/* --- playing --- */

static struct ft_sha256 sum_of_pattern(uint64_t size)
{
	static uint8_t bytes[BIG_SPAN + 16];
	struct ft_sha256 sum;

	model_fill(bytes, 0, 0, size);
	if (!ft_sha256_of(bytes, size, &sum))
		abort();
	return sum;
}

static void play_init(struct game *game, const struct script *s, const struct op *op)
{
	static const uint64_t ttls[] = { 0, 0, 1, 500, 5000 };
	struct model_command c = { .verb = FT_VERB_INIT, .key = op->key, .async = op->how % 2 };

	c.bad = op->how == 11;
	c.ttl = ttls[op->how % 5];
	c.about = op->how + (unsigned)op->at;
	c.meta.name = op->how == 7;
	c.meta.has_size = op->at > 0 && op->sum != 0;
	c.meta.size = c.meta.has_size ? s->sizes[op->at] : 0;
	c.meta.has_sum = op->sum == 2 && c.meta.has_size;
	if (c.meta.has_sum)
		c.meta.sum = sum_of_pattern(c.meta.size);
	move_command(game, &c);
}

static bool play_piece(struct game *game, const struct op *op, uint64_t at, size_t len)
{
	struct model_command c = {
		.verb = FT_VERB_SEGMENT, .key = op->key, .number = at, .len = len,
		.pattern = op->how % 3, .has_sum = op->sum > 0, .wrong_sum = op->sum == 2,
	};

	return move_command(game, &c);
}

static void play_scatter(struct game *game, const struct script *s, const struct op *op)
{
	unsigned epoch = game->epoch;
	uint64_t at = op->at;

	for (uint32_t i = 0; i < op->len && game->epoch == epoch && at < s->span; i++) {
		struct op piece = *op;

		piece.sum = 0;
		play_piece(game, &piece, at, 1);
		at += 2 + i % (1 + op->how);
	}
}

/* All of a file, in pieces that start somewhere in the middle. */
static void play_upload(struct game *game, const struct script *s, const struct op *op)
{
	struct op piece = *op;
	uint64_t size = s->sizes[op->at] < s->span ? s->sizes[op->at] : s->span;
	uint64_t pieces = 1 + op->how, len = size / pieces + 1;

	piece.how = op->how == 1 ? 1 : 0;
	piece.sum = op->sum == 1;
	if (len > 1 << 20) {
		len = 1 << 20;
		pieces = size / len + 1;
	}
	for (uint64_t i = 0; i < pieces; i++) {
		uint64_t at = (i + op->how / 2) % pieces * len;

		if (at < size && !play_piece(game, &piece, at, size - at < len ? size - at : len))
			return;
	}
}

static void play_fin(struct game *game, const struct script *s, const struct op *op)
{
	struct model_transfer *t = &game->t[op->key];
	struct model_command c = {
		.verb = FT_VERB_FIN, .key = op->key, .async = op->how % 2,
		.number = s->sizes[op->at], .has_sum = op->sum > 0,
	};

	if (op->how < 4 && (t->state == FT_STATE_ASSEMBLING || t->state == FT_STATE_COMPLETE))
		c.number = t->fin_size;
	c.sum = model_sum(t, c.number);
	c.sum.bytes[0] ^= op->sum == 2;
	move_command(game, &c);
}

static void play_abort(struct game *game, const struct op *op)
{
	struct model_command c = { .verb = FT_VERB_ABORT, .key = op->key };

	move_command(game, &c);
}

static bool check_all(struct game *game)
{
	for (int key = 0; key < GAME_KEYS; key++) {
		if (!move_status(game, key))
			return false;
		disk_check(game, key);
	}
	return true;
}

/* Short passes until the transfer is in the state it must come to. */
static bool wait_until_gone(struct game *game, int key, bool must)
{
	int64_t until = ft_clock_ms() + GAME_DEADLINE_S * 1000;
	struct model_transfer *t = &game->t[key];

	for (;;) {
		cJSON *json = ask_status(game, key);
		const char *state = game_string(json, "state");
		bool none = strcmp(state, "none") == 0;

		if (!json)
			return false;
		game_check(game, none || strcmp(state, "receiving") == 0,
			   "key %d: instead of expiring it is %s", key, state);
		cJSON_Delete(json);
		if (none)
			model_reset(t);
		if (none || !must)
			return true;
		game_check(game, ft_clock_ms() < until, "key %d does not expire", key);
		game->now_ms += 101;
		if (!game_run(game, 1))
			return false;
	}
}

/* Transfers without news for too long are gone; those whose news are newer are not. */
static void expire(struct game *game)
{
	unsigned epoch = game->epoch;
	bool again = true;

	while (again) {
		again = false;
		for (int key = 0; key < GAME_KEYS; key++) {
			struct model_transfer *t = &game->t[key];
			bool must = model_must_expire(t, game->now_ms);

			if (!model_may_expire(t, game->now_ms))
				continue;
			if (!wait_until_gone(game, key, must) || game->epoch != epoch)
				return;
			again = again || must;
		}
	}
}

/* An assembly that timed out past stopping ends by itself, and nobody is told. */
static void watch_unwatched(struct game *game, int key)
{
	int64_t until = ft_clock_ms() + GAME_DEADLINE_S * 1000;
	struct model_transfer *t = &game->t[key];
	enum ft_state state = FT_STATE_ASSEMBLING;

	while (state == FT_STATE_ASSEMBLING && t->state == FT_STATE_ASSEMBLING) {
		cJSON *json = ask_status(game, key);

		if (!json)
			return;
		if (strcmp(game_string(json, "state"), "assembling") != 0)
			state = strcmp(game_string(json, "state"), "complete") == 0
				? FT_STATE_COMPLETE : FT_STATE_RECEIVING;
		cJSON_Delete(json);
		game_check(game, ft_clock_ms() < until, "key %d assembles for ever", key);
		if (state == FT_STATE_ASSEMBLING && !game_run(game, 1))
			return;
	}
	if (t->state != FT_STATE_ASSEMBLING)
		return;
	game_check(game, model_result(t) == FT_OK || state != FT_STATE_COMPLETE,
		   "key %d is complete in spite of its checksum", key);
	t->state = state;
	t->result = model_result(t);
}

static void play_pass(struct game *game, const struct op *op)
{
	game->now_ms += (int64_t)op->at;
	if (!game_run(game, op->how > 8 ? 3 : 0))
		return;
	for (int key = 0; key < GAME_KEYS; key++)
		if (game->t[key].state == FT_STATE_ASSEMBLING && game->t[key].waiters == 0)
			watch_unwatched(game, key);
	expire(game);
}

static void play_power_cut(struct game *game)
{
	/* Without promises there is nothing to compare with: as if all had reached the disk. */
	bool loses = game->setup.durability != FT_DURABILITY_NONE;

	move_kill(game);
	game->lossy = game->lossy || loses;
	if (loses)
		disk_cut_power(game);
	next_engine(game, true);
}

static void play_kill(struct game *game, const struct op *op)
{
	move_kill(game);
	if (op->how < 6)
		start_and_die(game, 1 + op->how * 3 + (uint32_t)op->at, op->sum % DIE_HOWS);
	next_engine(game, false);
}

/* Long, but a table of calls: one per kind. */
static void play_op(struct game *game, const struct script *s, const struct op *op)
{
	switch (op->kind) {
	case OP_INIT:
		play_init(game, s, op);
		return;
	case OP_SEGMENT:
		play_piece(game, op, op->at, op->len);
		return;
	case OP_SCATTER:
		play_scatter(game, s, op);
		return;
	case OP_UPLOAD:
		play_upload(game, s, op);
		return;
	case OP_FIN:
		play_fin(game, s, op);
		return;
	case OP_ABORT:
		play_abort(game, op);
		return;
	case OP_CHECK_ALL:
		check_all(game);
		return;
	case OP_RUN:
		game_run(game, (unsigned)op->at);
		return;
	case OP_SETTLE:
		game_settle(game);
		return;
	case OP_PASS:
		play_pass(game, op);
		return;
	case OP_RESTART:
	case OP_REBOOT:
		if (move_stop(game))
			next_engine(game, op->kind == OP_REBOOT);
		return;
	case OP_POWER_CUT:
		play_power_cut(game);
		return;
	case OP_KILL:
		play_kill(game, op);
		return;
	case OP_DIE_AT:
		game->die_at = (uint32_t)op->at;
		game->die_how = op->how % DIE_HOWS;
		return;
	case OP_KINDS:
		break;
	}
}

#endif
