/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/finished_set.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"

static struct ft_finished_set set;

static void set_up(void)
{
	ft_finished_set_init(&set);
}

static void tear_down(void)
{
	ft_finished_set_release(&set);
}

START_TEST(test_finished_set__has_what_was_added)
{
	ck_assert(!ft_finished_set_has(&set, 5));
	ft_finished_set_remove(&set, 5);
	ck_assert_int_eq(ft_finished_set_add(&set, 5), FT_OK);
	ck_assert_int_eq(ft_finished_set_add(&set, 5), FT_OK);
	ck_assert_uint_eq(set.count, 1);
	ck_assert(ft_finished_set_has(&set, 5));
	ck_assert(!ft_finished_set_has(&set, 5 + 1024));
	ft_finished_set_remove(&set, 5);
	ck_assert(!ft_finished_set_has(&set, 5));
	ck_assert_uint_eq(set.count, 0);
}
END_TEST

/* 0 marks a free slot inside. */
START_TEST(test_finished_set__has_zero)
{
	ck_assert(!ft_finished_set_has(&set, 0));
	ck_assert_int_eq(ft_finished_set_add(&set, 0), FT_OK);
	ck_assert(ft_finished_set_has(&set, 0));
	ft_finished_set_remove(&set, 0);
	ck_assert(!ft_finished_set_has(&set, 0));
}
END_TEST

#define VALUES 512

/* Few home slots, at the table's end, so that rows of them wrap around. */
static uint64_t value_of(unsigned i)
{
	return (uint64_t)(i % 7 + 1020) + (uint64_t)(i / 7 + 1) * 4096;
}

/* Against a plain table of what is in it. */
START_TEST(test_finished_set__agrees_with_a_model)
{
	static bool in[VALUES];
	size_t count = 0;

	srand(42);
	for (int step = 0; step < 50000; step++) {
		unsigned i = (unsigned)rand() % VALUES;

		if (rand() % 2) {
			ck_assert_int_eq(ft_finished_set_add(&set, value_of(i)), FT_OK);
			count += !in[i];
			in[i] = true;
		} else {
			ft_finished_set_remove(&set, value_of(i));
			count -= in[i];
			in[i] = false;
		}
		ck_assert_uint_eq(set.count, count);
		if (step % 100 == 0)
			for (unsigned k = 0; k < VALUES; k++)
				ck_assert(ft_finished_set_has(&set, value_of(k)) == in[k]);
	}
}
END_TEST

START_TEST(test_finished_set__grows)
{
	for (uint64_t i = 1; i <= 100000; i++)
		ck_assert_int_eq(ft_finished_set_add(&set, i * 0x9e3779b97f4a7c15u), FT_OK);
	ck_assert_uint_eq(set.count, 100000);
	for (uint64_t i = 1; i <= 100000; i++)
		ck_assert(ft_finished_set_has(&set, i * 0x9e3779b97f4a7c15u));
	ck_assert_uint_le(set.room * sizeof *set.slots, 100000 * 8 * 3);
}
END_TEST

FT_SUITE_WITH("finished set", set_up, tear_down,
	test_finished_set__has_what_was_added,
	test_finished_set__has_zero,
	test_finished_set__agrees_with_a_model,
	test_finished_set__grows);
