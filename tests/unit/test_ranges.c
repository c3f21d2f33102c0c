/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <check.h>
#include <time.h>

#include "base/buf.h"
#include "file_transfer/ranges.h"
#include "../suite.h"

#define TOP (UINT64_C(1) << 63)

static struct ft_ranges held;

static void setup(void)
{
	ft_ranges_init(&held);
}

static void teardown(void)
{
	ft_ranges_release(&held);
}

static void add(uint64_t start, uint64_t end)
{
	ck_assert_int_eq(ft_ranges_add(&held, start, end), FT_OK);
}

static void drop(uint64_t start, uint64_t end)
{
	ck_assert_int_eq(ft_ranges_remove(&held, start, end), FT_OK);
}

/* "0-5 7-9", and the sums agree. */
static void is(const struct ft_ranges *ranges, const char *expected)
{
	char room[256];
	struct ft_buf text = ft_buf_on(room, sizeof room);
	struct ft_range range = { 0, 0 };
	uint64_t bytes = 0;
	size_t count = 0;

	while (ft_ranges_next(ranges, range.end, &range)) {
		ft_buf_printf(&text, "%s%ju-%ju", count > 0 ? " " : "", (uintmax_t)range.start,
			      (uintmax_t)range.end);
		bytes += range.end - range.start;
		count++;
	}
	ck_assert_str_eq(text.text, expected);
	ck_assert_uint_eq(ranges->count, count);
	ck_assert_uint_eq(ranges->bytes, bytes);
}

START_TEST(test_ranges__begin_empty)
{
	struct ft_range range;

	is(&held, "");
	ck_assert(!ft_ranges_next(&held, 0, &range));
	ck_assert(!ft_ranges_cover(&held, 0, 1));
	ck_assert(ft_ranges_cover(&held, 3, 3));
	ck_assert(!ft_ranges_overlap(&held, 0, UINT64_MAX));
}
END_TEST

START_TEST(test_ranges__keeps_apart_what_does_not_touch)
{
	add(10, 20);
	add(30, 40);
	add(0, 5);
	is(&held, "0-5 10-20 30-40");
}
END_TEST

START_TEST(test_ranges__merges_touching_segments)
{
	add(10, 20);
	add(20, 30);
	is(&held, "10-30");
	add(0, 10);
	is(&held, "0-30");
	add(40, 50);
	add(30, 40);
	is(&held, "0-50");
}
END_TEST

START_TEST(test_ranges__merges_overlapping_segments)
{
	add(10, 20);
	add(15, 25);
	is(&held, "10-25");
	add(5, 12);
	is(&held, "5-25");
	add(0, 100);
	is(&held, "0-100");
}
END_TEST

START_TEST(test_ranges__adding_what_is_held_changes_nothing)
{
	add(10, 20);
	add(10, 20);
	add(12, 15);
	add(10, 11);
	add(19, 20);
	is(&held, "10-20");
}
END_TEST

START_TEST(test_ranges__adding_nothing_changes_nothing)
{
	add(7, 7);
	is(&held, "");
	add(10, 20);
	add(5, 5);
	add(15, 15);
	add(20, 20);
	is(&held, "10-20");
}
END_TEST

START_TEST(test_ranges__one_segment_may_bridge_thousands)
{
	for (uint64_t i = 0; i < 5000; i++)
		add(10 * i, 10 * i + 3);
	ck_assert_uint_eq(held.count, 5000);
	add(21, 49980);
	is(&held, "0-3 10-13 20-49983 49990-49993");
}
END_TEST

START_TEST(test_ranges__removes_from_either_end_and_the_middle)
{
	add(0, 100);
	drop(0, 10);
	is(&held, "10-100");
	drop(90, 120);
	is(&held, "10-90");
	drop(40, 50);
	is(&held, "10-40 50-90");
	drop(40, 50);
	drop(7, 7);
	drop(20, 20);
	is(&held, "10-40 50-90");
	drop(10, 40);
	is(&held, "50-90");
	drop(0, 1000);
	is(&held, "");
}
END_TEST

START_TEST(test_ranges__one_removal_may_span_thousands)
{
	for (uint64_t i = 0; i < 5000; i++)
		add(10 * i, 10 * i + 3);
	drop(11, 49992);
	is(&held, "0-3 10-11 49992-49993");
}
END_TEST

START_TEST(test_ranges__hold_the_largest_offsets)
{
	add(TOP - 10, TOP);
	add(0, 1);
	is(&held, "0-1 9223372036854775798-9223372036854775808");
	add(1, TOP - 10);
	is(&held, "0-9223372036854775808");
	drop(TOP - 1, TOP);
	ck_assert(ft_ranges_cover(&held, 0, TOP - 1));
	ck_assert(!ft_ranges_cover(&held, 0, TOP));
	add(TOP + 5, UINT64_MAX);
	add(0, UINT64_MAX);
	is(&held, "0-18446744073709551615");
}
END_TEST

START_TEST(test_ranges__covers_only_what_one_range_holds)
{
	add(10, 20);
	add(21, 30);
	ck_assert(ft_ranges_cover(&held, 10, 20));
	ck_assert(ft_ranges_cover(&held, 12, 13));
	ck_assert(ft_ranges_cover(&held, 25, 25));
	ck_assert(ft_ranges_cover(&held, 5, 5));
	ck_assert(!ft_ranges_cover(&held, 9, 20));
	ck_assert(!ft_ranges_cover(&held, 10, 21));
	ck_assert(!ft_ranges_cover(&held, 10, 30));
	ck_assert(!ft_ranges_cover(&held, 20, 21));
	ck_assert(!ft_ranges_cover(&held, 30, 31));
}
END_TEST

START_TEST(test_ranges__overlaps_where_one_byte_is_held)
{
	add(10, 20);
	ck_assert(ft_ranges_overlap(&held, 0, 11));
	ck_assert(ft_ranges_overlap(&held, 19, 30));
	ck_assert(ft_ranges_overlap(&held, 0, 30));
	ck_assert(ft_ranges_overlap(&held, 12, 13));
	ck_assert(!ft_ranges_overlap(&held, 0, 10));
	ck_assert(!ft_ranges_overlap(&held, 20, 30));
	ck_assert(!ft_ranges_overlap(&held, 15, 15));
}
END_TEST

START_TEST(test_ranges__next_is_whole_though_it_began_before)
{
	struct ft_range range;

	add(10, 20);
	add(30, 40);
	ck_assert(ft_ranges_next(&held, 15, &range));
	ck_assert(range.start == 10 && range.end == 20);
	ck_assert(ft_ranges_next(&held, 20, &range));
	ck_assert(range.start == 30 && range.end == 40);
	ck_assert(!ft_ranges_next(&held, 40, &range));
	ck_assert(!ft_ranges_next(&held, UINT64_MAX, &range));
}
END_TEST

START_TEST(test_ranges__gaps_end_at_the_limit)
{
	struct ft_range gap = { 0, 0 };

	ck_assert(!ft_ranges_next_gap(&held, 0, 0, &gap));
	ck_assert(ft_ranges_next_gap(&held, 0, 7, &gap));
	ck_assert(gap.start == 0 && gap.end == 7);
	add(0, 10);
	add(20, 30);
	ck_assert(ft_ranges_next_gap(&held, 0, 100, &gap));
	ck_assert(gap.start == 10 && gap.end == 20);
	ck_assert(ft_ranges_next_gap(&held, gap.end, 100, &gap));
	ck_assert(gap.start == 30 && gap.end == 100);
	ck_assert(!ft_ranges_next_gap(&held, gap.end, 100, &gap));
	ck_assert(ft_ranges_next_gap(&held, 15, 18, &gap));
	ck_assert(gap.start == 15 && gap.end == 18);
	ck_assert(!ft_ranges_next_gap(&held, 0, 10, &gap));
	ck_assert(!ft_ranges_next_gap(&held, 22, 30, &gap));
	ck_assert(!ft_ranges_next_gap(&held, 50, 40, &gap));
}
END_TEST

START_TEST(test_ranges__copy_is_independent)
{
	struct ft_ranges copy;

	ft_ranges_init(&copy);
	ck_assert_int_eq(ft_ranges_add(&copy, 1, 2), FT_OK);
	ck_assert_int_eq(ft_ranges_copy(&copy, &held), FT_OK);
	is(&copy, "");
	add(10, 20);
	add(30, 40);
	ck_assert_int_eq(ft_ranges_copy(&copy, &held), FT_OK);
	add(20, 30);
	ck_assert_int_eq(ft_ranges_add(&copy, 0, 5), FT_OK);
	is(&held, "10-40");
	is(&copy, "0-5 10-20 30-40");
	ft_ranges_release(&copy);
}
END_TEST

START_TEST(test_ranges__are_usable_after_release)
{
	add(10, 20);
	ft_ranges_release(&held);
	is(&held, "");
	ft_ranges_release(&held);
	add(1, 2);
	is(&held, "1-2");
}
END_TEST

START_TEST(test_ranges__prepare_changes_nothing)
{
	ck_assert_int_eq(ft_ranges_prepare(&held, 5, 6), FT_OK);
	is(&held, "");
	drop(0, 100);
	add(10, 20);
	ck_assert_int_eq(ft_ranges_prepare(&held, 12, 15), FT_OK);
	ck_assert_int_eq(ft_ranges_prepare(&held, 30, 40), FT_OK);
	ck_assert_int_eq(ft_ranges_prepare(&held, 7, 7), FT_OK);
	is(&held, "10-20");
}
END_TEST

static void fill(void)
{
	for (uint64_t i = 0; i < FT_RANGES_MAX; i++)
		if (ft_ranges_add(&held, 4 * i, 4 * i + 3) != FT_OK)
			ck_abort_msg("%ju", (uintmax_t)i);
	ck_assert_uint_eq(held.count, FT_RANGES_MAX);
}

START_TEST(test_ranges__refuses_more_than_the_maximum)
{
	uint64_t beyond = 4 * FT_RANGES_MAX;

	fill();
	ck_assert_int_eq(ft_ranges_prepare(&held, beyond, beyond + 1), FT_QUOTA_EXCEEDED);
	ck_assert_int_eq(ft_ranges_add(&held, beyond, beyond + 1), FT_QUOTA_EXCEEDED);
	ck_assert_uint_eq(held.count, FT_RANGES_MAX);
	ck_assert_uint_eq(held.bytes, 3 * FT_RANGES_MAX);
}
END_TEST

START_TEST(test_ranges__at_the_maximum_still_takes_what_needs_no_new_range)
{
	fill();
	ck_assert_int_eq(ft_ranges_prepare(&held, 0, 2), FT_OK);
	add(0, 2);
	add(3, 4);
	ck_assert_uint_eq(held.count, FT_RANGES_MAX - 1);
	add(4 * FT_RANGES_MAX, 4 * FT_RANGES_MAX + 1);
	ck_assert_uint_eq(held.count, FT_RANGES_MAX);
}
END_TEST

START_TEST(test_ranges__restores_more_than_the_maximum)
{
	uint64_t beyond = 4 * FT_RANGES_MAX;

	fill();
	ck_assert_int_eq(ft_ranges_restore(&held, beyond, beyond + 1), FT_OK);
	ck_assert_int_eq(ft_ranges_restore(&held, beyond, beyond), FT_OK);
	ck_assert_uint_eq(held.count, FT_RANGES_MAX + 1);
	ck_assert_int_eq(ft_ranges_add(&held, beyond + 4, beyond + 5), FT_QUOTA_EXCEEDED);
	ck_assert_int_eq(ft_ranges_add(&held, beyond + 1, beyond + 5), FT_OK);
	ck_assert_uint_eq(held.bytes, 3 * FT_RANGES_MAX + 5);
}
END_TEST

START_TEST(test_ranges__at_the_maximum_still_forgets_what_is_lost)
{
	fill();
	ck_assert_int_eq(ft_ranges_prepare(&held, 1, 2), FT_OK);
	drop(1, 2);
	ck_assert(!ft_ranges_overlap(&held, 1, 2));
	ck_assert_uint_eq(held.bytes, 3 * FT_RANGES_MAX - 1);
}
END_TEST

/* A list or a flat array would need minutes, or seconds, for this. */
START_TEST(test_ranges__a_hostile_order_is_not_slow)
{
	enum { COUNT = 100000 };
	static uint32_t order[COUNT];
	uint32_t random = 1;
	clock_t began = clock();

	for (uint32_t i = 0; i < COUNT; i++) {
		uint32_t j = (random = random * 1664525 + 1013904223) % (i + 1);

		order[i] = order[j];
		order[j] = i;
	}
	for (size_t i = 0; i < COUNT; i++)
		if (ft_ranges_add(&held, 4u * order[i], 4u * order[i] + 2) != FT_OK)
			ck_abort();
	ck_assert_uint_eq(held.count, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		if (ft_ranges_add(&held, 4u * order[i] + 2, 4u * order[i] + 4) != FT_OK)
			ck_abort();
	is(&held, "0-400000");
	/* 60 ms; the rest is for sanitizers and slow machines. */
	ck_assert_int_lt((clock() - began) / CLOCKS_PER_SEC, 5);
}
END_TEST

FT_SUITE_WITH("ranges", setup, teardown,
	 test_ranges__begin_empty,
	 test_ranges__keeps_apart_what_does_not_touch,
	 test_ranges__merges_touching_segments,
	 test_ranges__merges_overlapping_segments,
	 test_ranges__adding_what_is_held_changes_nothing,
	 test_ranges__adding_nothing_changes_nothing,
	 test_ranges__one_segment_may_bridge_thousands,
	 test_ranges__removes_from_either_end_and_the_middle,
	 test_ranges__one_removal_may_span_thousands,
	 test_ranges__hold_the_largest_offsets,
	 test_ranges__covers_only_what_one_range_holds,
	 test_ranges__overlaps_where_one_byte_is_held,
	 test_ranges__next_is_whole_though_it_began_before,
	 test_ranges__gaps_end_at_the_limit,
	 test_ranges__copy_is_independent,
	 test_ranges__are_usable_after_release,
	 test_ranges__prepare_changes_nothing,
	 test_ranges__refuses_more_than_the_maximum,
	 test_ranges__at_the_maximum_still_takes_what_needs_no_new_range,
	 test_ranges__restores_more_than_the_maximum,
	 test_ranges__at_the_maximum_still_forgets_what_is_lost,
	 test_ranges__a_hostile_order_is_not_slow);
