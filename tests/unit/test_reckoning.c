/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Which clocks are believed. */
#include "protocol/reckoning.h"

#include "../suite.h"

#define HOUR ((int64_t)3600 * 1000)
#define DAY (24 * HOUR)
#define NOW ((int64_t)1790000000 * 1000)	/* 2026 */
#define YEAR_2100 ((int64_t)4102444800 * 1000)

START_TEST(test_reckoning__believes_the_first_clock_it_sees)
{
	struct ft_reckoning r = { 0, 0 };

	ck_assert_int_eq(ft_reckon(&r, NOW, 0), FT_BELIEVED);
	ck_assert(r.time_ms == NOW && r.doubt_ms == 0);
}
END_TEST

START_TEST(test_reckoning__believes_a_clock_that_goes_on)
{
	struct ft_reckoning r = { NOW, 0 };

	ck_assert_int_eq(ft_reckon(&r, NOW + HOUR, HOUR), FT_BELIEVED);
	ck_assert_int_eq(ft_reckon(&r, NOW + 20 * HOUR, 0), FT_BELIEVED);	/* it was off */
	ck_assert_int_eq(ft_reckon(&r, NOW + HOUR, HOUR), FT_BELIEVED);	/* it was set */
	ck_assert_int_eq(ft_reckon(&r, NOW + 41 * DAY, 40 * DAY), FT_BELIEVED);
	ck_assert(r.time_ms == NOW + 41 * DAY);
}
END_TEST

START_TEST(test_reckoning__doubts_1970_until_the_clock_is_set)
{
	struct ft_reckoning r = { NOW, 0 };

	ck_assert_int_eq(ft_reckon(&r, 5000, 0), FT_DOUBTED);
	ck_assert_int_eq(ft_reckon(&r, 5000 + HOUR, HOUR), FT_DOUBTED);
	ck_assert_int_eq(ft_reckon(&r, NOW + 2 * HOUR, HOUR), FT_BELIEVED);
	ck_assert(r.time_ms == NOW + 2 * HOUR && r.doubt_ms == 0);
}
END_TEST

START_TEST(test_reckoning__doubts_2100_for_a_day_of_running)
{
	struct ft_reckoning r = { NOW, 0 };

	ck_assert_int_eq(ft_reckon(&r, YEAR_2100, 0), FT_DOUBTED);
	for (int start = 0; start < 3; start++) {	/* over restarts, in which it is off for long */
		ck_assert_int_eq(ft_reckon(&r, YEAR_2100 + start * 30 * DAY, 0), FT_DOUBTED);
		ck_assert_int_eq(ft_reckon(&r, YEAR_2100 + start * 30 * DAY + 7 * HOUR, 7 * HOUR),
				 FT_DOUBTED);
	}
	ck_assert_int_eq(ft_reckon(&r, YEAR_2100 + 90 * DAY, 4 * HOUR), FT_BELIEVED);
	ck_assert(r.time_ms == YEAR_2100 + 90 * DAY && r.doubt_ms == 0);
	ck_assert_int_eq(ft_reckon(&r, NOW, HOUR), FT_DOUBTED);	/* set right: doubted for a day, too */
}
END_TEST

FT_SUITE("reckoning",
	 test_reckoning__believes_the_first_clock_it_sees,
	 test_reckoning__believes_a_clock_that_goes_on,
	 test_reckoning__doubts_1970_until_the_clock_is_set,
	 test_reckoning__doubts_2100_for_a_day_of_running);
