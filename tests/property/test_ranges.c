/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Random changes of a set of ranges, each compared with a byte map of the same
 * bytes. The chunks are tiny, so that few ranges make many chunks; the memory
 * they are made of can be made to run out. FT_TEST_SEED=<number> repeats a run.
 */
#include <check.h>
#include <inttypes.h>
#include <stdbool.h>
#include <time.h>

#ifndef FT_RANGES_CHUNK
#define FT_RANGES_CHUNK 4
#endif

/* --- memory that runs out --- */

static unsigned fail_per_mille;
static uint64_t requested_bytes;
static uint64_t random_below(uint64_t limit);

static bool memory_is_out(void)
{
	return fail_per_mille > 0 && random_below(1000) < fail_per_mille;
}

static void *test_malloc(size_t size)
{
	requested_bytes += size;
	return memory_is_out() ? NULL : malloc(size);
}

static void *test_realloc(void *old, size_t size)
{
	requested_bytes += size;
	return memory_is_out() ? NULL : realloc(old, size);
}

#define malloc test_malloc
#define realloc test_realloc
#include "base/ranges.c"
#include "../suite.h"
#undef malloc
#undef realloc

/* Check notes every assertion in a file, which is too slow for millions of them. */
#define hold(condition) \
	do { \
		if (!(condition)) \
			ck_abort_msg("does not hold: %s", #condition); \
	} while (0)

/* --- chance --- */

static uint64_t random_state;

/* xorshift64*: the same numbers everywhere. */
static uint64_t random_next(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t random_below(uint64_t limit)
{
	return (random_next() >> 11) % limit;
}

static void seed_random(void)
{
	const char *given = getenv("FT_TEST_SEED");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	random_state = (uint64_t)now.tv_nsec * 1000003 ^ (uint64_t)now.tv_sec;
	if (given)
		random_state = strtoull(given, NULL, 10);
	if (random_state == 0)
		random_state = 1;
	printf("FT_TEST_SEED=%" PRIu64 "\n", random_state);
	fflush(stdout);
}

/* --- the model: one byte of map for each byte from `base` on --- */

#define MAP_MAX 8192

struct model {
	struct ft_ranges ranges;
	uint64_t base;
	size_t size;
	uint8_t map[MAP_MAX];
};

static void model_init(struct model *model, uint64_t base, size_t size)
{
	ft_ranges_init(&model->ranges);
	model->base = base;
	model->size = size;
	memset(model->map, 0, sizeof model->map);
}

static size_t run_length(const struct model *model, size_t from)
{
	size_t at_byte = from;

	while (at_byte < model->size && model->map[at_byte] == model->map[from])
		at_byte++;
	return at_byte - from;
}

/* What must hold of the chunks whatever the ranges are. */
static void check_structure(const struct ft_ranges *ranges, bool memory_was_short)
{
	uint64_t bytes = 0;
	uint64_t last_end = 0;
	size_t count = 0;

	hold(ranges->chunk_count <= ranges->chunk_room);
	for (size_t i = 0; i < ranges->chunk_count; i++) {
		const struct ft_ranges_chunk *chunk = ranges->chunks[i];

		hold(chunk->count > 0 || (ranges->count == 0 && ranges->chunk_count == 1));
		hold(chunk->count <= chunk->room);
		hold(chunk->room <= FT_RANGES_CHUNK);
		if (i > 0 && !memory_was_short)
			hold(ranges->chunks[i - 1]->count + chunk->count > FT_RANGES_CHUNK / 2);
		for (uint32_t j = 0; j < chunk->count; j++) {
			hold(chunk->items[j].start < chunk->items[j].end);
			hold(count == 0 || chunk->items[j].start > last_end);
			last_end = chunk->items[j].end;
			bytes += last_end - chunk->items[j].start;
			count++;
		}
	}
	hold(count == ranges->count);
	hold(bytes == ranges->bytes);
}

/* Walks ranges and gaps side by side with the map. */
static void check_content(const struct model *model)
{
	struct ft_range found;
	size_t seen = 0;

	for (size_t i = 0; i < model->size; i += run_length(model, i)) {
		uint64_t start = model->base + i;
		uint64_t end = start + run_length(model, i);

		if (model->map[i]) {
			hold(ft_ranges_next(&model->ranges, start, &found));
			seen++;
		} else {
			hold(ft_ranges_next_gap(&model->ranges, start,
						     model->base + model->size, &found));
		}
		hold(found.start == start);
		hold(found.end == end);
	}
	hold(seen == model->ranges.count);
}

static bool all_in_map(const struct model *model, size_t from, size_t to, uint8_t value)
{
	return from == to || (model->map[from] == value && run_length(model, from) >= to - from);
}

static void check_questions(const struct model *model)
{
	size_t from = random_below(model->size + 1);
	size_t to = from + random_below(model->size - from + 1);
	uint64_t start = model->base + from;
	uint64_t end = model->base + to;
	struct ft_range found;
	size_t at_byte = from;

	if (random_below(2) == 0 && to > from + 8) {
		to = from + 8;
		end = start + 8;
	}
	hold(ft_ranges_cover(&model->ranges, start, end) == all_in_map(model, from, to, 1));
	hold(ft_ranges_overlap(&model->ranges, start, end) == !all_in_map(model, from, to, 0));

	while (at_byte < model->size && !model->map[at_byte])
		at_byte++;
	hold(ft_ranges_next(&model->ranges, start, &found) == (at_byte < model->size));
	if (at_byte < model->size)
		hold(found.end == model->base + at_byte + run_length(model, at_byte) &&
			  found.start <= model->base + at_byte);

	at_byte = from;
	while (at_byte < to && model->map[at_byte])
		at_byte++;
	hold(ft_ranges_next_gap(&model->ranges, start, end, &found) == (at_byte < to));
	if (at_byte < to)
		hold(found.start == model->base + at_byte && found.end <= end);
}

/* --- one step --- */

struct mood {
	unsigned removes_percent;
	size_t longest;
	unsigned fail_per_mille;
};

static enum ft_status change(struct model *model, bool removes, uint64_t start, uint64_t end)
{
	return removes ? ft_ranges_remove(&model->ranges, start, end)
		       : ft_ranges_add(&model->ranges, start, end);
}

static void step(struct model *model, const struct mood *mood)
{
	bool removes = random_below(100) < mood->removes_percent;
	bool prepares = random_below(3) == 0;
	size_t from = random_below(model->size + 1);
	size_t most = model->size - from < mood->longest ? model->size - from : mood->longest;
	size_t len = random_below(most + 1);
	uint64_t start = model->base + from;
	enum ft_status prepared = FT_NO_MEMORY;
	enum ft_status changed;

	fail_per_mille = mood->fail_per_mille;
	if (prepares)
		prepared = ft_ranges_prepare(&model->ranges, start, start + len);
	if (prepared == FT_OK && fail_per_mille > 0)
		fail_per_mille = 1000;
	changed = change(model, removes, start, start + len);
	fail_per_mille = 0;

	hold(changed == FT_OK || (changed == FT_NO_MEMORY && mood->fail_per_mille > 0));
	hold(prepared != FT_OK || changed == FT_OK);
	if (changed == FT_OK)
		memset(model->map + from, !removes, len);
}

static void check_copy(const struct model *model, bool memory_was_short)
{
	struct model copy;
	size_t half = model->size / 2;

	model_init(&copy, model->base, model->size);
	hold(ft_ranges_add(&copy.ranges, 3, 5) == FT_OK);
	memcpy(copy.map, model->map, sizeof copy.map);
	hold(ft_ranges_copy(&copy.ranges, &model->ranges) == FT_OK);
	check_structure(&copy.ranges, memory_was_short);
	check_content(&copy);

	hold(ft_ranges_remove(&copy.ranges, copy.base, copy.base + half) == FT_OK);
	memset(copy.map, 0, half);
	check_structure(&copy.ranges, memory_was_short);
	check_content(&copy);
	check_content(model);
	ft_ranges_release(&copy.ranges);
}

static const struct mood moods[] = {
	{ 10, 2, 0 },		/* scatters */
	{ 50, 3, 0 },
	{ 90, 40, 0 },		/* thins out */
	{ 30, 400, 0 },
	{ 50, MAP_MAX, 0 },	/* sweeps */
};

static void play(uint64_t base, size_t size, unsigned rounds, unsigned fails)
{
	static struct model model;

	model_init(&model, base, size);
	for (unsigned round = 0; round < rounds; round++) {
		struct mood mood = moods[random_below(sizeof moods / sizeof moods[0])];
		uint64_t steps = 1 + random_below(size);

		mood.fail_per_mille = fails;
		while (steps-- > 0) {
			step(&model, &mood);
			check_questions(&model);
			if (steps % 16 == 0 || size < 200)
				check_structure(&model.ranges, fails > 0);
		}
		check_structure(&model.ranges, fails > 0);
		check_content(&model);
		check_copy(&model, fails > 0);
	}
	ft_ranges_release(&model.ranges);
}

START_TEST(test_ranges__are_the_bytes_that_were_added_and_not_removed)
{
	for (int i = 0; i < 30; i++)
		play(0, 64, 10, 0);
	play(0, 1000, 60, 0);
	play(0, MAP_MAX, 30, 0);
}
END_TEST

START_TEST(test_ranges__hold_at_the_end_of_the_largest_files)
{
	play((UINT64_C(1) << 63) - 500, 500, 60, 0);
	play((UINT64_C(1) << 63) - 500, 1000, 60, 0);
	play(UINT64_MAX - 700, 700, 60, 0);
}
END_TEST

START_TEST(test_ranges__are_unchanged_where_memory_runs_out)
{
	for (int i = 0; i < 20; i++)
		play(0, 64, 10, 300);
	play(0, 1000, 40, 500);
	play(0, 3000, 20, 50);
	play(0, 1000, 20, 1000);
}
END_TEST

START_TEST(test_ranges__copy_is_empty_where_memory_runs_out)
{
	static struct model model;
	struct ft_ranges copy;
	enum ft_status st = FT_NO_MEMORY;
	int refused = 0;

	model_init(&model, 0, 2000);
	for (int i = 0; i < 3000; i++)
		step(&model, &moods[0]);
	ft_ranges_init(&copy);
	for (fail_per_mille = 900; fail_per_mille > 0; fail_per_mille -= 100) {
		st = ft_ranges_copy(&copy, &model.ranges);
		if (st == FT_OK)
			continue;
		refused++;
		ck_assert_int_eq(st, FT_NO_MEMORY);
		ck_assert_uint_eq(copy.count, 0);
		ck_assert_uint_eq(copy.bytes, 0);
		check_structure(&copy, true);
	}
	ck_assert_int_gt(refused, 0);
	ft_ranges_release(&copy);
	ft_ranges_release(&model.ranges);
}
END_TEST

START_TEST(test_ranges__need_little_memory_for_a_transfer_in_order)
{
	struct ft_ranges ranges;

	ft_ranges_init(&ranges);
	requested_bytes = 0;
	for (uint64_t offset = 0; offset < 100000; offset += 10)
		ck_assert_int_eq(ft_ranges_add(&ranges, offset, offset + 10), FT_OK);
	ck_assert_uint_lt(requested_bytes, 100);
	ft_ranges_release(&ranges);
}
END_TEST

START_TEST(test_ranges__give_back_the_chunks_they_no_longer_need)
{
	struct ft_ranges ranges;
	uint64_t room = 0;

	ft_ranges_init(&ranges);
	for (uint64_t i = 0; i < 40 * FT_RANGES_CHUNK; i++)
		ck_assert_int_eq(ft_ranges_add(&ranges, 2 * i, 2 * i + 1), FT_OK);
	ck_assert_uint_ge(ranges.chunk_count, 40);
	for (uint64_t i = 1; i < 40 * FT_RANGES_CHUNK; i++)
		ck_assert_int_eq(ft_ranges_remove(&ranges, 2 * i, 2 * i + 1), FT_OK);
	for (size_t i = 0; i < ranges.chunk_count; i++)
		room += ranges.chunks[i]->room;
	ck_assert_uint_eq(ranges.count, 1);
	ck_assert_uint_le(ranges.chunk_room, 4);
	ck_assert_uint_le(room, 4);
	ft_ranges_release(&ranges);
}
END_TEST

int main(void)
{
	seed_random();
	return ft_suite_run(&(struct ft_suite){ .name = "ranges against a byte map", FT_TESTS(
			test_ranges__are_the_bytes_that_were_added_and_not_removed,
			test_ranges__hold_at_the_end_of_the_largest_files,
			test_ranges__are_unchanged_where_memory_runs_out,
			test_ranges__copy_is_empty_where_memory_runs_out,
			test_ranges__need_little_memory_for_a_transfer_in_order,
			test_ranges__give_back_the_chunks_they_no_longer_need) });
}
