/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/facts.h"

#include <check.h>

#include "../suite.h"

static const struct ft_sha256 sum = { { 1 } }, other_sum = { { 2 } };

START_TEST(test_meta__differs_in_name_size_or_checksum)
{
	const struct ft_meta metas[] = {
		{ .name = "f" }, { .name = "g" }, { .name = "f", .has_size = true },
		{ .name = "f", .has_size = true, .size = 1 },
		{ .name = "f", .has_checksum = true, .checksum = sum },
		{ .name = "f", .has_checksum = true, .checksum = other_sum },
		{ .name = "f", .has_size = true, .has_checksum = true, .checksum = sum },
	};

	for (size_t i = 0; i < sizeof metas / sizeof metas[0]; i++)
		for (size_t k = 0; k < sizeof metas / sizeof metas[0]; k++)
			ck_assert_int_eq(ft_meta_equal(&metas[i], &metas[k]), i == k);
}
END_TEST

/* What was not said is not compared, whatever stands there. */
START_TEST(test_meta__does_not_differ_in_what_was_not_said)
{
	struct ft_meta a = { .name = "f", .size = 1, .checksum = sum };
	struct ft_meta b = { .name = "f", .size = 2, .checksum = other_sum };

	ck_assert(ft_meta_equal(&a, &b));
}
END_TEST

START_TEST(test_meta__fits_a_file_that_settles_what_it_leaves_open)
{
	const struct ft_finished file = { .name = "f", .size = 7, .checksum = sum };
	const struct {
		struct ft_meta meta;
		bool fits;
	} rows[] = {
		{ { .name = "f" }, true },
		{ { .name = "f", .has_size = true, .size = 7 }, true },
		{ { .name = "f", .has_checksum = true, .checksum = sum }, true },
		{ { .name = "f", .has_size = true, .size = 7, .has_checksum = true, .checksum = sum },
		  true },
		{ { .name = "g" }, false },
		{ { .name = "f", .has_size = true, .size = 8 }, false },
		{ { .name = "f", .has_checksum = true, .checksum = other_sum }, false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		ck_assert_int_eq(ft_meta_fits(&rows[i].meta, &file), rows[i].fits);
}
END_TEST

START_TEST(test_fin__fits_a_file_of_its_size_and_checksum)
{
	const struct ft_finished file = { .name = "f", .size = 7, .checksum = sum };
	const struct {
		struct ft_fin fin;
		bool fits;
	} rows[] = {
		{ { .size = 7 }, true }, { { .size = 8 }, false }, { { .size = 0 }, false },
		{ { .size = 7, .has_checksum = true, .checksum = sum }, true },
		{ { .size = 7, .has_checksum = true, .checksum = other_sum }, false },
		{ { .size = 8, .has_checksum = true, .checksum = sum }, false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		ck_assert_int_eq(ft_fin_fits(&rows[i].fin, &file), rows[i].fits);
}
END_TEST

FT_SUITE("facts",
	 test_meta__differs_in_name_size_or_checksum,
	 test_meta__does_not_differ_in_what_was_not_said,
	 test_meta__fits_a_file_that_settles_what_it_leaves_open,
	 test_fin__fits_a_file_of_its_size_and_checksum);
