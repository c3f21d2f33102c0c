/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Counts of how long things took. */
#include <check.h>
#include <string.h>

#include "engine/latency.h"

#include "../suite.h"

static struct ft_latency latency;
static struct ft_latency_window window;

static void forget(void)
{
	memset(&latency, 0, sizeof latency);
	memset(&window, 0, sizeof window);
}

START_TEST(test_latency__is_0_where_nothing_was_counted)
{
	forget();
	ck_assert_uint_eq(ft_latency_percentile(&window, &latency, 50), 0);
	ck_assert_uint_eq(ft_latency_percentile(&window, &latency, 100), 0);
}
END_TEST

START_TEST(test_latency__is_a_fourth_too_much_at_most)
{
	for (uint64_t us = 0; us < INT32_MAX; us += us / 7 + 1) {
		uint64_t said;

		forget();
		ft_latency_add(&latency, (int64_t)us);
		said = ft_latency_percentile(&window, &latency, 50);
		ck_assert_msg(said >= us && said <= us + us / 4, "%llu for %llu",
			      (unsigned long long)said, (unsigned long long)us);
	}
}
END_TEST

START_TEST(test_latency__counts_what_is_beyond_its_ends)
{
	forget();
	ft_latency_add(&latency, -1);
	ck_assert_uint_eq(ft_latency_percentile(&window, &latency, 100), 0);
	ft_latency_add(&latency, INT64_MAX);
	ck_assert_uint_eq(ft_latency_percentile(&window, &latency, 100), INT32_MAX);
}
END_TEST

START_TEST(test_latency__tells_the_half_from_the_slowest)
{
	forget();
	for (int i = 0; i < 99; i++)
		ft_latency_add(&latency, 2);
	ft_latency_add(&latency, 1000000);
	ck_assert_uint_eq(ft_latency_percentile(&window, &latency, 50), 2);
	ck_assert_uint_eq(ft_latency_percentile(&window, &latency, 99), 2);
	ck_assert_uint_ge(ft_latency_percentile(&window, &latency, 100), 1000000);
}
END_TEST

START_TEST(test_latency__forgets_what_was_before_the_window)
{
	forget();
	ft_latency_add(&latency, 3);
	ft_latency_turn(&window, &latency);
	ck_assert_uint_eq(ft_latency_percentile(&window, &latency, 50), 3);
	ft_latency_add(&latency, 1);
	ft_latency_turn(&window, &latency);
	ck_assert_uint_eq(ft_latency_percentile(&window, &latency, 100), 1);
	ft_latency_turn(&window, &latency);
	ck_assert_uint_eq(ft_latency_percentile(&window, &latency, 100), 0);
}
END_TEST

FT_SUITE("latency",
	test_latency__is_0_where_nothing_was_counted,
	test_latency__is_a_fourth_too_much_at_most,
	test_latency__counts_what_is_beyond_its_ends,
	test_latency__tells_the_half_from_the_slowest,
	test_latency__forgets_what_was_before_the_window);
