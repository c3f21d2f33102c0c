/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "base/wildcard.h"

#include <check.h>
#include <string.h>

#include "../suite.h"

START_TEST(test_wildcard__matches_whole_texts)
{
	static const char *const matching[][2] = {
		{ "", "" }, { "*", "" }, { "*", "abc" }, { "a*", "a" }, { "*.jpg", "x.jpg" },
		{ "*.jpg", ".jpg.jpg" }, { "a*b*c", "aXbYbZc" }, { "?", "a" }, { "?", "ü" },
		{ "??", "ü😀" }, { "[a-c]x", "bx" }, { "[^a-c]x", "dx" }, { "[]]", "]" }, { "[*]", "*" },
		{ "[a-]", "-" }, { "[!a-c]x", "dx" }, { "*.[jJ][pP][gG]", "a.JPG" }, { "\\*", "*" },
		{ "gr?e", "grüe" }, { "\xff*", "\xff\x01" }, { "*", ".hidden" }, { "\\", "\\" }, { "[^]]", "a" }, { "**", "ab" }, { "*?", "a" },
	};

	for (size_t i = 0; i < sizeof matching / sizeof matching[0]; i++)
		ck_assert_msg(ft_wildcard_match(matching[i][0], matching[i][1]), "%s %s",
			      matching[i][0], matching[i][1]);
}
END_TEST

START_TEST(test_wildcard__matches_nothing_else)
{
	static const char *const other[][2] = {
		{ "", "a" }, { "a", "" }, { "a", "ab" }, { "?", "" }, { "?", "ab" }, { "*.jpg", "x.jpgs" },
		{ "[a-c]", "d" }, { "[!a]", "a" }, { "\\*", "a" }, { "\\*", "" },
		{ "*.jpg", "a.JPG" }, { "[^a-c]", "b" }, { "[a", "a" }, { "[", "[" }, { "[]", "]" },
		{ "a*b", "ac" }, { "A", "a" }, { "*?", "" }, { "[a-c]", "" },
	};

	for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
		ck_assert_msg(!ft_wildcard_match(other[i][0], other[i][1]), "%s %s", other[i][0],
			      other[i][1]);
}
END_TEST

/* By fnmatch() this would not end. */
START_TEST(test_wildcard__takes_no_time_for_many_stars)
{
	char pattern[256], text[241];

	for (size_t i = 0; i < 254; i += 2)
		memcpy(pattern + i, "*a", 2);
	memcpy(pattern + 254, "b", 2);
	memset(text, 'a', 240);
	text[240] = '\0';
	for (int i = 0; i < 1000; i++)
		ck_assert(!ft_wildcard_match(pattern, text));
}
END_TEST

FT_SUITE("wildcard",
	 test_wildcard__matches_whole_texts,
	 test_wildcard__matches_nothing_else,
	 test_wildcard__takes_no_time_for_many_stars);
