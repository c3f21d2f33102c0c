/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/pattern.h"

#include <check.h>
#include <stdlib.h>

#include "../suite.h"

START_TEST(test_pattern__matches_plain_topics_only_whole)
{
	ck_assert(ft_patterns_match("a/b", "a/b", "c", NULL));
	ck_assert(!ft_patterns_match("a/b", "a/b/c", "c", NULL));
	ck_assert(!ft_patterns_match("a/b", "a", "c", NULL));
	ck_assert(!ft_patterns_match("a/b", "a/", "c", NULL));
	ck_assert(!ft_patterns_match("a/b", "", "c", NULL));
}
END_TEST

START_TEST(test_pattern__takes_wildcards_level_by_level)
{
	ck_assert(ft_patterns_match("a/+/c", "a/b/c", "x", NULL));
	ck_assert(ft_patterns_match("a/+/c", "a//c", "x", NULL));
	ck_assert(!ft_patterns_match("a/+/c", "a/b/b/c", "x", NULL));
	ck_assert(ft_patterns_match("a/#", "a/b/c", "x", NULL));
	ck_assert(!ft_patterns_match("a/#", "b/b/c", "x", NULL));
	ck_assert(ft_patterns_match("#", "a/b", "x", NULL));
	ck_assert(ft_patterns_match("a/#", "a", "x", NULL));
	ck_assert(ft_patterns_match("r/%c/#", "r/x", "x", NULL));
	ck_assert(!ft_patterns_match("a/#", "ab", "x", NULL));
}
END_TEST

START_TEST(test_pattern__puts_ids_in_as_plain_text)
{
	ck_assert(ft_patterns_match("r/%c", "r/dev1", "dev1", NULL));
	ck_assert(!ft_patterns_match("r/%c", "r/dev2", "dev1", NULL));
	ck_assert(!ft_patterns_match("r/%c", "r/dev12", "dev1", NULL));
	ck_assert(ft_patterns_match("r/%u/%c/+", "r/me/dev1/x", "dev1", "me"));
	ck_assert(!ft_patterns_match("r/%c", "r/anything", "#", NULL));
	ck_assert(!ft_patterns_match("r/%c", "r/anything", "+", NULL));
	ck_assert(!ft_patterns_match("r/%c", "r/x", "%u", "x"));
}
END_TEST

START_TEST(test_pattern__never_matches_an_id_that_is_not_there)
{
	ck_assert(!ft_patterns_match("r/%u", "r/", "c", NULL));
	ck_assert(!ft_patterns_match("r/%u", "r/", "c", ""));
}
END_TEST

START_TEST(test_pattern__never_takes_topics_with_wildcards)
{
	ck_assert(!ft_patterns_match("#", "a/#", "c", NULL));
	ck_assert(!ft_patterns_match("a/+", "a/+", "c", NULL));
}
END_TEST

START_TEST(test_pattern__keeps_dollar_topics_apart)
{
	ck_assert(!ft_patterns_match("#", "$SYS/x", "c", NULL));
	ck_assert(!ft_patterns_match("+/x", "$SYS/x", "c", NULL));
	ck_assert(!ft_patterns_match("%c/x", "$SYS/x", "$SYS", NULL));
	ck_assert(ft_patterns_match("$mine/#", "$mine/x", "c", NULL));
}
END_TEST

START_TEST(test_pattern__tries_each_of_a_list)
{
	ck_assert(ft_patterns_match("a/%c, b/%c ,c", "b/x", "x", NULL));
	ck_assert(ft_patterns_match(" a,,c", "c", "x", NULL));
	ck_assert(!ft_patterns_match("a,b", "c", "x", NULL));
	ck_assert(!ft_patterns_match(NULL, "c", "x", NULL));
	ck_assert(!ft_patterns_match(",", "c", "x", NULL));
}
END_TEST

FT_SUITE("pattern",
	 test_pattern__matches_plain_topics_only_whole,
	 test_pattern__takes_wildcards_level_by_level,
	 test_pattern__puts_ids_in_as_plain_text,
	 test_pattern__never_matches_an_id_that_is_not_there,
	 test_pattern__never_takes_topics_with_wildcards,
	 test_pattern__keeps_dollar_topics_apart,
	 test_pattern__tries_each_of_a_list);
