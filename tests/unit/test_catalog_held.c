/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Which bytes are held, as rows: only those of a window are touched. */
#include <check.h>
#include <stdlib.h>

#include "../lib/catalog_rig.h"
#include "../suite.h"

#define NUMBER 5

static struct catalog_rig rig;
static struct ft_ranges set;	/* what the caller has in memory */

static void setup(void)
{
	struct ft_facts facts = catalog_rig_facts(NUMBER, "cam", "f");

	catalog_rig_init(&rig);
	ck_assert_int_eq(catalog_rig_open(&rig), FT_OK);
	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_OK);
	ck_assert_int_eq(ft_catalog_put_transfer(rig.catalog, &facts, FT_CATALOG_RECEIVING, 0),
			 FT_OK);
	ft_ranges_init(&set);
}

static void teardown(void)
{
	ft_ranges_release(&set);
	catalog_rig_release(&rig);
}

/* Both sets have the same bytes and ranges. */
static void equal(const struct ft_ranges *a, const struct ft_ranges *b)
{
	struct ft_range range = { 0, 0 };

	ck_assert_uint_eq(a->count, b->count);
	ck_assert_uint_eq(a->bytes, b->bytes);
	while (ft_ranges_next(a, range.end, &range))
		ck_assert(ft_ranges_cover(b, range.start, range.end));
}

static void stored_is(const struct ft_ranges *held, const struct ft_ranges *durable)
{
	struct ft_unfinished found;

	ck_assert_int_eq(ft_catalog_find_transfer(rig.catalog, NUMBER, &found), FT_OK);
	equal(&found.held, held);
	equal(&found.durable, durable);
	ft_ranges_release(&found.held);
	ft_ranges_release(&found.durable);
}

/* Changes the set in memory, then the rows of just what was changed. */
static void add(uint64_t start, uint64_t end)
{
	ck_assert_int_eq(ft_ranges_add(&set, start, end), FT_OK);
	ck_assert_int_eq(ft_catalog_put_held(rig.catalog, NUMBER, &set, start, end), FT_OK);
}

static void drop(uint64_t start, uint64_t end)
{
	ck_assert_int_eq(ft_ranges_remove(&set, start, end), FT_OK);
	ck_assert_int_eq(ft_catalog_put_held(rig.catalog, NUMBER, &set, start, end), FT_OK);
}

static void is(const char *pairs)
{
	struct ft_ranges expected = catalog_rig_ranges(pairs);
	struct ft_ranges none = { 0 };

	stored_is(&expected, &none);
	ft_ranges_release(&expected);
}

START_TEST(test_catalog_held__grows_in_order)
{
	add(0, 10);
	is("0-10");
	add(10, 20);
	is("0-20");
	add(20, 21);
	is("0-21");
}
END_TEST

START_TEST(test_catalog_held__merges_on_both_sides)
{
	add(0, 10);
	add(20, 30);
	is("0-10 20-30");
	add(10, 20);
	is("0-30");
}
END_TEST

START_TEST(test_catalog_held__merges_many)
{
	for (uint64_t at = 0; at < 100; at += 10)
		add(at, at + 5);
	add(3, 72);
	is("0-75 80-85 90-95");
}
END_TEST

START_TEST(test_catalog_held__leaves_what_does_not_touch)
{
	add(0, 10);
	add(11, 20);
	add(21, 30);
	is("0-10 11-20 21-30");
}
END_TEST

START_TEST(test_catalog_held__forgets_what_was_removed)
{
	add(0, 100);
	drop(40, 60);
	is("0-40 60-100");
	drop(0, 10);
	is("10-40 60-100");
	drop(90, 100);
	is("10-40 60-90");
	drop(35, 65);
	is("10-35 65-90");
	drop(0, 100);
	is("");
}
END_TEST

START_TEST(test_catalog_held__takes_an_empty_window_for_no_change)
{
	add(0, 10);
	ck_assert_int_eq(ft_catalog_put_held(rig.catalog, NUMBER, &(struct ft_ranges){ 0 }, 5, 5),
			 FT_OK);
	is("0-10");
}
END_TEST

START_TEST(test_catalog_held__keeps_durable_apart)
{
	struct ft_ranges durable = catalog_rig_ranges("2-4");

	add(0, 10);
	ck_assert_int_eq(ft_catalog_put_durable(rig.catalog, NUMBER, &durable, 2, 4), FT_OK);
	stored_is(&set, &durable);
	add(10, 12);
	stored_is(&set, &durable);
	ft_ranges_release(&durable);
}
END_TEST

START_TEST(test_catalog_held__refuses_to_read_durable_that_is_not_held)
{
	struct ft_ranges durable = catalog_rig_ranges("8-14");
	struct ft_unfinished found;

	add(0, 10);
	ck_assert_int_eq(ft_catalog_put_durable(rig.catalog, NUMBER, &durable, 8, 14), FT_OK);
	ck_assert_int_eq(ft_catalog_find_transfer(rig.catalog, NUMBER, &found), FT_DAMAGED);
	ft_ranges_release(&durable);
}
END_TEST

/* Any change, in any order, with exactly its own window or a larger one. */
START_TEST(test_catalog_held__equals_the_set_after_any_changes)
{
	struct ft_ranges none = { 0 };

	srandom((unsigned)_i);
	for (int i = 0; i < 300; i++) {
		uint64_t start = (uint64_t)random() % 60;
		uint64_t end = start + (uint64_t)random() % 12;
		uint64_t before = (uint64_t)random() % 3 * ((uint64_t)random() % 20);
		uint64_t behind = (uint64_t)random() % 3 * ((uint64_t)random() % 20);

		if (random() % 2)
			ck_assert_int_eq(ft_ranges_add(&set, start, end), FT_OK);
		else
			ck_assert_int_eq(ft_ranges_remove(&set, start, end), FT_OK);
		if (start == end)
			continue;
		start -= before < start ? before : start;
		ck_assert_int_eq(ft_catalog_put_held(rig.catalog, NUMBER, &set, start,
						     end + behind), FT_OK);
		stored_is(&set, &none);
	}
}
END_TEST

/* A window in the middle of as many ranges as there may be touches its own rows only. */
START_TEST(test_catalog_held__does_not_rewrite_other_rows)
{
	struct ft_unfinished found;

	for (uint64_t i = 0; i < 1000; i++)
		ck_assert_int_eq(ft_ranges_add(&set, i * 10, i * 10 + 5), FT_OK);
	ck_assert_int_eq(ft_catalog_put_held(rig.catalog, NUMBER, &set, 0, 10000), FT_OK);
	/* The set says something else far from the window, which must not get into the rows. */
	ck_assert_int_eq(ft_ranges_remove(&set, 0, 4000), FT_OK);
	ck_assert_int_eq(ft_ranges_remove(&set, 6000, 10000), FT_OK);
	add(5005, 5010);
	ck_assert_int_eq(ft_catalog_find_transfer(rig.catalog, NUMBER, &found), FT_OK);
	ck_assert_uint_eq(found.held.count, 999);
	ck_assert_uint_eq(found.held.bytes, 5005);
	ft_ranges_release(&found.held);
}
END_TEST

int main(void)
{
	ft_suite_use_memory();
	return ft_suite_run(&(struct ft_suite){
		.name = "catalog_held", .set_up = setup, .tear_down = teardown, .times = 5,
		FT_TESTS(test_catalog_held__grows_in_order, test_catalog_held__merges_on_both_sides,
			 test_catalog_held__merges_many,
			 test_catalog_held__leaves_what_does_not_touch,
			 test_catalog_held__forgets_what_was_removed,
			 test_catalog_held__takes_an_empty_window_for_no_change,
			 test_catalog_held__keeps_durable_apart,
			 test_catalog_held__refuses_to_read_durable_that_is_not_held,
			 test_catalog_held__equals_the_set_after_any_changes,
			 test_catalog_held__does_not_rewrite_other_rows),
	});
}
