/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/glob.h"
#include "../suite.h"

START_TEST(test_glob__tries_each_of_a_list)
{
	ck_assert(ft_globs_match("*.jpg, *.png ,a b", "x.png"));
	ck_assert(ft_globs_match("*.jpg,*.png, a b ", "a b"));
	ck_assert(ft_globs_match(",,*.jpg", "x.jpg"));
	ck_assert(!ft_globs_match("*.jpg,*.png", "x.gif"));
	ck_assert(!ft_globs_match(NULL, "x"));
}
END_TEST

START_TEST(test_glob__wants_lists_that_can_match)
{
	char pattern[FT_GLOB_MAX + 2];

	ck_assert(!ft_globs_check(NULL));
	ck_assert(!ft_globs_check("*.jpg, *.png"));
	ck_assert(ft_globs_check(""));
	ck_assert(ft_globs_check(" , ,"));
	ck_assert(ft_globs_check("a,b/*"));
	memset(pattern, 'a', sizeof pattern - 1);
	pattern[sizeof pattern - 1] = '\0';
	ck_assert(ft_globs_check(pattern));
	pattern[FT_GLOB_MAX] = '\0';
	ck_assert(!ft_globs_check(pattern));
}
END_TEST

static enum ft_status allowed(const char *allow, const char *deny, const char *name)
{
	char room[100];
	struct ft_buf why = ft_buf_on(room, sizeof room);
	struct ft_options options;
	enum ft_status st;

	ft_options_init(&options);
	options.allow_names = allow ? strdup(allow) : NULL;
	options.deny_names = deny ? strdup(deny) : NULL;
	st = ft_name_allowed(&options, name, &why);
	ck_assert_int_eq(st == FT_OK, why.len == 0);
	ft_options_release(&options);
	return st;
}

START_TEST(test_glob__allows_names_that_fit_and_are_not_denied)
{
	ck_assert_int_eq(allowed(NULL, NULL, "x"), FT_OK);
	ck_assert_int_eq(allowed("*.jpg", NULL, "x.jpg"), FT_OK);
	ck_assert_int_eq(allowed("*.jpg", NULL, "x.exe"), FT_NAME_REFUSED);
	ck_assert_int_eq(allowed(NULL, "*.exe,.*", "x.exe"), FT_NAME_REFUSED);
	ck_assert_int_eq(allowed(NULL, "*.exe,.*", ".profile"), FT_NAME_REFUSED);
	ck_assert_int_eq(allowed("*.jpg", "a*", "b.jpg"), FT_OK);
	ck_assert_int_eq(allowed("*.jpg", "a*", "a.jpg"), FT_NAME_REFUSED);
}
END_TEST

FT_SUITE("glob",
	 test_glob__tries_each_of_a_list,
	 test_glob__wants_lists_that_can_match,
	 test_glob__allows_names_that_fit_and_are_not_denied);
