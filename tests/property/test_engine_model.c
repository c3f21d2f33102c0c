/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Random commands, restarts, kills and power cuts: the engine against a model of the
 * contract. FT_TEST_SEED=<number> repeats a sequence; FT_TEST_ROUNDS=<number> plays that
 * many per test, FT_TEST_SECONDS=<number> so long per test. A sequence that fails is
 * shortened while it still fails, then printed as it may be added to the sequences that
 * failed once.
 */
#include <check.h>
#include <limits.h>

#include "../suite.h"
#include "../tree.h"
#include "model_regressions.h"

#define SECONDS_DEFAULT 4	/* per test */
#define REGRESSION_ROUNDS 20	/* for some it takes threads that meet */
#define SHRINK_SECONDS 60
#define SHRINK_TRIES 3		/* a failure may depend on threads */

static struct game game;

static void make_directories(const char *base)
{
	ck_assert(tree_make(game.setup.dir, sizeof game.setup.dir, "ft-model"));
	snprintf(game.setup.images, sizeof game.setup.images, "%s.images", game.setup.dir);
	if (strcmp(base, "fs") == 0)
		ck_assert_int_eq(mkdir(game.setup.images, 0700), 0);
	else
		game.setup.images[0] = '\0';
}

static void begin_game(const struct script *s, bool quiet)
{
	memset(&game, 0, sizeof game);
	make_directories(s->backend);
	game.on_disk = strcmp(s->backend, "fs") == 0;
	game.limits = s->limits;
	game.now_ms = 1000000;
	game.aborting = -1;
	game.child.fd = -1;
	game.setup.backend = s->backend;
	game.setup.durability = s->durability;
	game.setup.max_file_size = s->limits.max_file_size;
	game.setup.max_segment_size = s->limits.max_segment_size;
	game.setup.max_open = s->max_open;
	game.setup.quiet = quiet;
	snprintf(game.setup.boot_id, sizeof game.setup.boot_id,
		 "00000001-1111-4111-8111-111111111111");
	for (int key = 0; key < GAME_KEYS; key++) {
		struct model_transfer *t = &game.t[key];

		t->span = s->span;
		t->held = calloc(3, s->span);
		t->bytes = t->held + s->span;
		t->old = t->bytes + s->span;
		model_reset(t);
	}
}

static void end_game(void)
{
	child_kill(&game.child);
	child_end(&game.child);
	for (int key = 0; key < GAME_KEYS; key++)
		free(game.t[key].held);
	tree_remove(game.setup.dir);
	if (game.setup.images[0])
		tree_remove(game.setup.images);
}

/* After each operation, what it concerned; rarely enough where that is megabytes. */
static void check_after(const struct script *s, size_t i)
{
	const struct op *op = &s->ops[i];

	if (op->kind >= OP_RUN || (s->span == BIG_SPAN && i % 4))
		return;
	if (move_status(&game, op->key))
		disk_check(&game, op->key);
}

static void play_to_the_end(const struct script *s)
{
	start_engine(&game);
	for (size_t i = 0; i < s->count; i++) {
		play_op(&game, s, &s->ops[i]);
		check_after(s, i);
	}
	while (!game_settle(&game) || !check_all(&game))
		continue;
	if (game.on_disk && move_stop(&game)) {
		next_engine(&game, false);
		check_all(&game);
	}
	move_stop(&game);
}

/* Whether engine and model agree to the end; else game.why says what went wrong. */
static bool agrees(const struct script *s, bool quiet)
{
	bool lost;

	begin_game(s, quiet);
	lost = setjmp(game.lost) != 0;
	if (!lost)
		play_to_the_end(s);
	end_game();
	return !lost;
}

/* --- what failed, shorter --- */

static bool still_fails(const struct script *s)
{
	for (int i = 0; i < SHRINK_TRIES; i++)
		if (!agrees(s, true))
			return true;
	return false;
}

static void leave_out(struct script *to, const struct script *from, size_t at, size_t count)
{
	*to = *from;
	memmove(&to->ops[at], &to->ops[at + count], (from->count - at - count) * sizeof to->ops[0]);
	to->count -= count;
}

static void shrink(struct script *s)
{
	static struct script shorter;
	int64_t until = ft_clock_ms() + SHRINK_SECONDS * 1000;
	size_t chunk = s->count / 2 + 1;
	bool found = true;

	while (chunk > 0 && ft_clock_ms() < until) {
		found = false;
		for (size_t at = 0; at + chunk <= s->count && ft_clock_ms() < until;) {
			leave_out(&shorter, s, at, chunk);
			if (still_fails(&shorter)) {
				*s = shorter;
				found = true;
			} else {
				at += chunk;
			}
		}
		if (!found || chunk > s->count)
			chunk /= 2;
	}
}

static void print_script(const struct script *s)
{
	static const char *const durabilities[] = { "NONE", "FILE", "SEGMENT" };
	static const char *const kinds[] = {
		"INIT", "SEGMENT", "SCATTER", "UPLOAD", "FIN", "ABORT", "CHECK_ALL", "RUN", "SETTLE",
		"PASS", "RESTART", "REBOOT", "POWER_CUT", "KILL", "DIE_AT",
	};

	fprintf(stderr, "\t{\n\t\t.backend = \"%s\", .durability = FT_DURABILITY_%s, .span = %zu, "
		".max_open = %zu,\n\t\t.sizes = { %llu, %llu, %llu }, .limits = { %llu, %llu },\n"
		"\t\t.count = %zu, .ops = {\n",
		s->backend, durabilities[s->durability], s->span, s->max_open,
		(unsigned long long)s->sizes[0], (unsigned long long)s->sizes[1],
		(unsigned long long)s->sizes[2], (unsigned long long)s->limits.max_file_size,
		(unsigned long long)s->limits.max_segment_size, s->count);
	for (size_t i = 0; i < s->count; i++)
		fprintf(stderr, "\t\t\t{ OP_%s, %d, %llu, %u, %u, %u },\n", kinds[s->ops[i].kind],
			s->ops[i].key, (unsigned long long)s->ops[i].at, s->ops[i].len,
			s->ops[i].how, s->ops[i].sum);
	fprintf(stderr, "\t\t},\n\t},\n");
}

/* Says the shortest sequence that fails, and fails. */
static void report(struct script *s)
{
	char why[sizeof game.why];
	uint64_t seed = s->seed;

	memcpy(why, game.why, sizeof why);
	fprintf(stderr, "FT_TEST_SEED=%llu: %s\n", (unsigned long long)seed, why);
	shrink(s);
	if (!agrees(s, false) || still_fails(s))
		memcpy(why, game.why, sizeof why);
	print_script(s);
	ck_abort_msg("FT_TEST_SEED=%llu: %s", (unsigned long long)seed, why);
}

/* --- the tests --- */

static uint64_t first_seed;
static bool seed_given;
static long rounds = LONG_MAX;
static int64_t seconds = SECONDS_DEFAULT;

static void play_rounds(const char *backend, int durability, bool crashes)
{
	static struct script s;
	int64_t until = ft_clock_ms() + seconds * 1000;
	/* A seed makes the same sequence in every test: each begins at another. */
	uint64_t seed = first_seed + (seed_given ? 0 : (uint64_t)(durability + 1 + 4 * crashes) << 32);
	long round;

	for (round = 0; round < rounds && ft_clock_ms() < until; round++) {
		write_script(&s, seed + (uint64_t)round, backend, durability, crashes);
		if (!agrees(&s, false))
			report(&s);
	}
	printf("%ld sequences on %s%s\n", round, backend, crashes ? " with crashes" : "");
	fflush(stdout);
}

START_TEST(test_engine__plays_what_once_went_wrong)
{
	for (size_t i = 0; i < sizeof regressions / sizeof regressions[0]; i++)
		for (int round = 0; round < REGRESSION_ROUNDS; round++)
			ck_assert_msg(agrees(&regressions[i], false), "regression %zu: %s", i,
				      game.why);
}
END_TEST

START_TEST(test_engine__agrees_with_the_model_in_memory)
{
	play_rounds("memory", FT_DURABILITY_NONE, false);
}
END_TEST

START_TEST(test_engine__agrees_with_the_model_on_disk)
{
	play_rounds("fs", -1, false);
}
END_TEST

START_TEST(test_engine__keeps_what_was_acknowledged_when_it_is_killed)
{
	play_rounds("fs", FT_DURABILITY_NONE, true);
}
END_TEST

START_TEST(test_engine__trusts_after_a_power_cut_only_what_was_durable)
{
	play_rounds("fs", FT_DURABILITY_FILE, true);
}
END_TEST

START_TEST(test_engine__keeps_every_segment_over_a_power_cut_where_that_is_promised)
{
	play_rounds("fs", FT_DURABILITY_SEGMENT, true);
}
END_TEST

static uint64_t seed_from_environment(void)
{
	const char *given = getenv("FT_TEST_SEED");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return given ? strtoull(given, NULL, 10)
		: ((uint64_t)now.tv_sec << 20) ^ ((uint64_t)now.tv_nsec << 3);
}

/* How many sequences, or how long. */
static void limit_rounds(void)
{
	const char *count = getenv("FT_TEST_ROUNDS"), *time = getenv("FT_TEST_SECONDS");

	if (count || time)
		seconds = time ? strtol(time, NULL, 10) : 365 * 24 * 3600;
	if (count || seed_given)
		rounds = count ? strtol(count, NULL, 10) : 1;
}

int main(void)
{
	/* One case each, so that CK_RUN_CASE plays one of them. */
	const struct {
		const char *name;
		const TTest *test;
	} cases[] = {
		{ "regressions", test_engine__plays_what_once_went_wrong },
		{ "memory", test_engine__agrees_with_the_model_in_memory },
		{ "disk", test_engine__agrees_with_the_model_on_disk },
		{ "kill", test_engine__keeps_what_was_acknowledged_when_it_is_killed },
		{ "power", test_engine__trusts_after_a_power_cut_only_what_was_durable },
		{ "segment", test_engine__keeps_every_segment_over_a_power_cut_where_that_is_promised },
	};
	Suite *suite = suite_create("engine against a model");

	first_seed = seed_from_environment();
	seed_given = getenv("FT_TEST_SEED") != NULL;
	limit_rounds();
	printf("FT_TEST_SEED=%llu\n", (unsigned long long)first_seed);
	fflush(stdout);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		TCase *one = tcase_create(cases[i].name);

		tcase_set_timeout(one, seconds > SECONDS_DEFAULT ? 0 : 280);
		tcase_add_test(one, cases[i].test);
		suite_add_tcase(suite, one);
	}
	return ft_suite_finish(suite);
}
