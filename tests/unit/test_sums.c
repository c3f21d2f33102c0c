/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/limits/sums.h"

#include <check.h>

#include "../suite.h"

START_TEST(test_sums__add_and_subtract)
{
	struct ft_sums sums = { 0 };

	ck_assert_uint_eq(ft_sums_get(&sums, 7), 0);
	ft_sums_subtract(&sums, 7, 1);
	ck_assert_int_eq(ft_sums_add(&sums, 7, 10), FT_OK);
	ck_assert_int_eq(ft_sums_add(&sums, 0, 5), FT_OK);
	ck_assert_int_eq(ft_sums_add(&sums, 7, 1), FT_OK);
	ck_assert_uint_eq(ft_sums_get(&sums, 7), 11);
	ck_assert_uint_eq(ft_sums_get(&sums, 0), 5);
	ft_sums_subtract(&sums, 7, 4);
	ck_assert_uint_eq(ft_sums_get(&sums, 7), 7);
	ft_sums_subtract(&sums, 7, 8);
	ck_assert_uint_eq(ft_sums_get(&sums, 7), 0);
	ft_sums_release(&sums);
}
END_TEST

/* Hashes that all want the same place, with holes between them. */
START_TEST(test_sums__keep_those_that_meet)
{
	struct ft_sums sums = { 0 };

	for (uint64_t i = 1; i <= 1000; i++)
		ck_assert_int_eq(ft_sums_add(&sums, i << 32, i), FT_OK);
	for (uint64_t i = 1; i <= 1000; i += 2)
		ft_sums_subtract(&sums, i << 32, i);
	for (uint64_t i = 1001; i <= 3000; i++)
		ck_assert_int_eq(ft_sums_add(&sums, i << 32, i), FT_OK);
	for (uint64_t i = 1; i <= 3000; i++)
		ck_assert_uint_eq(ft_sums_get(&sums, i << 32), i <= 1000 && i % 2 ? 0 : i);
	ft_sums_release(&sums);
}
END_TEST

/* Owners that come and go: only those with a sum need room. */
START_TEST(test_sums__need_no_room_for_what_is_gone)
{
	struct ft_sums sums = { 0 };

	for (uint64_t i = 1; i <= 100000; i++) {
		ck_assert_int_eq(ft_sums_add(&sums, i * 0x9e3779b97f4a7c15u, 1), FT_OK);
		ft_sums_subtract(&sums, i * 0x9e3779b97f4a7c15u, 1);
	}
	ck_assert_uint_le(sums.room, 256);
	for (uint64_t i = 1; i <= 100000; i++)
		ck_assert_int_eq(ft_sums_add(&sums, i * 0x9e3779b97f4a7c15u, 1), FT_OK);
	ck_assert_uint_le(sums.room * sizeof *sums.places, 64 * (size_t)100000);
	ft_sums_release(&sums);
}
END_TEST

FT_SUITE("sums",
	 test_sums__add_and_subtract,
	 test_sums__keep_those_that_meet,
	 test_sums__need_no_room_for_what_is_gone);
