/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/limits/rates.h"

#include <check.h>
#include <stdlib.h>

#include "../suite.h"

#define START_MS 1000000000

static struct ft_rates *rates;
static struct ft_limits limits;
static int64_t now_ms;

static void set_up(void)
{
	rates = ft_rates_new();
	ck_assert_ptr_nonnull(rates);
	limits = (struct ft_limits){ 0 };
	now_ms = START_MS;
}

static void tear_down(void)
{
	ft_rates_free(&rates);
}

static unsigned take(uint64_t owner, uint64_t bytes)
{
	return ft_rates_take(rates, owner, &limits, bytes, now_ms);
}

START_TEST(test_rates__do_not_limit_who_has_none)
{
	for (int i = 0; i < 1000; i++)
		ck_assert_uint_eq(take(1, 1 << 20), 0);
}
END_TEST

START_TEST(test_rates__let_a_second_through_at_once)
{
	limits.client_rate = 7;
	for (int i = 0; i < 7; i++)
		ck_assert_uint_eq(take(1, 0), 0);
	ck_assert_uint_eq(take(1, 0), 1);
	now_ms += 1000;
	for (int i = 0; i < 7; i++)
		ck_assert_uint_eq(take(1, 0), 0);
	ck_assert_uint_eq(take(1, 0), 1);
	/* Who was away for long has no more to use up than that. */
	now_ms += 3600000;
	for (int i = 0; i < 7; i++)
		ck_assert_uint_eq(take(1, 0), 0);
	ck_assert_uint_eq(take(1, 0), 1);
}
END_TEST

START_TEST(test_rates__are_each_owners_own)
{
	limits.client_rate = 1;
	ck_assert_uint_eq(take(1, 0), 0);
	ck_assert_uint_eq(take(2, 0), 0);
	ck_assert_uint_eq(take(1, 0), 1);
	ck_assert_uint_eq(take(2, 0), 1);
}
END_TEST

/* What is too large for a second passes, and is made up for. */
START_TEST(test_rates__take_large_segments_and_wait_longer)
{
	limits.client_bandwidth = 1000;
	ck_assert_uint_eq(take(1, 5500), 0);
	ck_assert_uint_eq(take(1, 1), 5);
	now_ms += 4499;
	ck_assert_uint_eq(take(1, 1), 1);
	now_ms += 2;
	ck_assert_uint_eq(take(1, 1), 0);
}
END_TEST

/* The time that is told is enough: nobody is told to come back and is refused then. */
START_TEST(test_rates__tell_when_there_is_enough)
{
	srand(1);
	limits.client_bandwidth = 1000;
	limits.client_rate = 3;
	for (int i = 0; i < 20000; i++) {
		unsigned wait_s = take(1, (uint64_t)rand() % 3000);

		if (wait_s == 0) {
			now_ms += rand() % 400;
			continue;
		}
		now_ms += (int64_t)wait_s * 1000;
		ck_assert_uint_eq(take(1, 100), 0);
	}
}
END_TEST

/* Also of segments that do not divide a second, and of a client that waits as long as it is told. */
START_TEST(test_rates__give_all_that_is_allowed)
{
	static const uint64_t sizes[] = { 1, 333, 600, 999, 1000, 1001, 1700, 4096 };

	limits.client_bandwidth = 1000;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		int64_t start_ms = now_ms, end_ms = now_ms + 1000000;
		uint64_t bytes = 0;

		while (now_ms < end_ms) {
			unsigned wait_s = take(i, sizes[i]);

			if (wait_s == 0)
				bytes += sizes[i];
			now_ms += (int64_t)wait_s * 1000;
		}
		ck_assert_uint_ge(bytes, (uint64_t)(now_ms - start_ms) * 99 / 100);
		ck_assert_uint_le(bytes, (uint64_t)(now_ms - start_ms) + 1000 + sizes[i]);
	}
}
END_TEST

START_TEST(test_rates__take_nothing_of_one_bucket_where_the_other_is_empty)
{
	limits.client_rate = 2;
	limits.client_bandwidth = 1000;
	ck_assert_uint_eq(take(1, 3000), 0);
	for (int i = 0; i < 10; i++)
		ck_assert_uint_eq(take(1, 1000), 3);
	now_ms += 2001;
	ck_assert_uint_eq(take(1, 1), 0);
	ck_assert_uint_eq(take(1, 1), 1);
}
END_TEST

/* Who is idle needs no row; where all rows are needed that is said, and nobody is forgotten. */
START_TEST(test_rates__say_when_there_is_no_row)
{
	uint64_t owner = 1;

	limits.client_rate = 1;
	while (take(owner, 0) == 0)
		owner += FT_RATES_ROWS;	/* in the same place */
	ck_assert_uint_eq(take(owner, 0), FT_RATES_NO_ROW);
	ck_assert_uint_eq(take(1, 0), 1);
	now_ms += 1001;
	ck_assert_uint_eq(take(owner, 0), 0);
}
END_TEST

START_TEST(test_rates__bear_any_value)
{
	limits.client_bandwidth = 1;
	ck_assert_uint_eq(take(1, (uint64_t)1 << 40), 0);
	ck_assert_uint_eq(take(1, 1), 86400);
	limits.client_bandwidth = (uint64_t)1 << 40;
	limits.client_rate = 1000000;
	for (int i = 0; i < 1000000; i++)
		ck_assert_uint_eq(take(2, 100000), 0);
}
END_TEST

FT_SUITE_WITH("rates", set_up, tear_down,
	      test_rates__do_not_limit_who_has_none,
	      test_rates__let_a_second_through_at_once,
	      test_rates__are_each_owners_own,
	      test_rates__take_large_segments_and_wait_longer,
	      test_rates__tell_when_there_is_enough,
	      test_rates__give_all_that_is_allowed,
	      test_rates__take_nothing_of_one_bucket_where_the_other_is_empty,
	      test_rates__say_when_there_is_no_row,
	      test_rates__bear_any_value);
