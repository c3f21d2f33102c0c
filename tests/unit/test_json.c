/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "base/json.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"

static struct ft_json_member members[] = { { .key = "a" }, { .key = "name" } };

static enum ft_json_shape find(const char *text)
{
	return ft_json_find(text, strlen(text), members, 2);
}

static void assert_value_is(const struct ft_json_member *member, const char *expected)
{
	ck_assert_msg(member->value.len == strlen(expected)
		      && (*expected == '\0'
			  || memcmp(member->value.at, expected, member->value.len) == 0),
		      "%s: %.*s, not %s", member->key, (int)member->value.len, member->value.at,
		      expected);
}

static void assert_finds(const char *text, const char *a, const char *name)
{
	ck_assert_msg(find(text) == FT_JSON_OBJECT, "%s", text);
	assert_value_is(&members[0], a);
	assert_value_is(&members[1], name);
}

/* As a member's value, and alone. */
static void assert_value(const char *value, bool valid)
{
	char text[2200];

	snprintf(text, sizeof text, "{\"ignored\":%s}", value);
	ck_assert_msg(find(text) == (valid ? FT_JSON_OBJECT : FT_JSON_BROKEN), "%s", text);
	if (*value != '{')
		ck_assert_msg(find(value) == (valid ? FT_JSON_NO_OBJECT : FT_JSON_BROKEN), "%s",
			      value);
}

START_TEST(test_json__finds_members_as_they_are_written)
{
	assert_finds("{}", "", "");
	assert_finds("{\"a\":1,\"name\":{\"c\":[true,null]}}", "1", "{\"c\":[true,null]}");
	assert_finds(" {\t\"name\" :\n1.50 , \"x\" : {\"a\" : 2} ,\r\"a\":[1, 2] } ", "[1, 2]",
		     "1.50");
	assert_finds("\xef\xbb\xbf{\"a\":\"\"}", "\"\"", "");
	assert_finds("{\"nam\":1,\"name\":2,\"name2\":3,\"Name\":4}", "", "2");
	assert_finds("{\"c\":{\"a\":1,\"name\":2}}", "", "");
}
END_TEST

START_TEST(test_json__knows_keys_whose_characters_are_escaped)
{
	assert_finds("{\"\\u0061\":1,\"n\\u0061m\\u0065\":2}", "1", "2");
	assert_finds("{\"\\u0161\":1,\"\\na\":2,\"a\\\\\":3,\"\\u0061b\":4}", "", "");
	assert_finds("{\"a\\\"\":1,\"\":2,\"nam\\u00e9\":3}", "", "");
}
END_TEST

START_TEST(test_json__takes_the_first_of_several)
{
	assert_finds("{\"a\":1,\"a\":2}", "1", "");
	assert_finds("{\"a\":null,\"\\u0061\":2,\"name\":3}", "", "3");
}
END_TEST

START_TEST(test_json__says_how_deep_a_member_is)
{
	static const struct {
		const char *text;
		size_t depth;
	} rows[] = {
		{ "{\"a\":1}", 0 }, { "{\"a\":[]}", 1 }, { "{\"a\":{\"a\":1}}", 1 },
		{ "{\"a\":[1,[2,{\"x\":[3]}],[]],\"name\":[[[[[[]]]]]]}", 4 }, { "{\"a\":null}", 0 },
		{ "{\"name\":[]}", 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ck_assert_int_eq(find(rows[i].text), FT_JSON_OBJECT);
		ck_assert_msg(members[0].depth == rows[i].depth, "%s", rows[i].text);
	}
}
END_TEST

START_TEST(test_json__accepts_every_kind_of_value)
{
	static const char *const values[] = {
		"0", "-0", "10", "-12.50", "0.1", "1e5", "1E+05", "1.5e-300", "1e999",
		"123456789012345678901234567890", "true", "false", "null", "\"\"", "\"a\x7f\"",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u0000\\uABcd\"", "\"\\ud83d\\uDE9A\"", "[]",
		"[ ]", "[1,\"a\",[{}]]", "{}", "{ }", "{\"\":{\"a\" : [1 , 2]}}",
	};

	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
		assert_value(values[i], true);
}
END_TEST

START_TEST(test_json__refuses_what_is_no_value)
{
	static const char *const values[] = {
		"", "01", "-", "+1", "1.", ".5", "1.e5", "1e", "1e+", "0x1", "NaN", "1 2", "--1",
		"tru", "truex", "True", "nul", "\"", "\"a", "\"\\\"", "\"\\x\"", "\"\\u12\"",
		"\"\\u12g4\"", "\"\\u 123\"", "\"a\nb\"", "\"\x1f\"", "\"\\ud800\"", "\"\\udc00\"",
		"\"\\ud800\\u0041\"", "\"\\ud800x\"", "'a'", "[", "]", "[1", "[1,", "[1,]", "[,1]",
		"[1 2]", "[1}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{1:1}", "{\"a\" 1}",
		"{\"a\":1]", "{\"a\":1", "{,}", "/**/1",
	};

	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
		assert_value(values[i], false);
}
END_TEST

START_TEST(test_json__refuses_what_follows_the_text)
{
	ck_assert_int_eq(find("{} {}"), FT_JSON_BROKEN);
	ck_assert_int_eq(find("{}}"), FT_JSON_BROKEN);
	ck_assert_int_eq(find("\xef\xbb\xbf"), FT_JSON_BROKEN);
	ck_assert_int_eq(find(""), FT_JSON_BROKEN);
	ck_assert_int_eq(find(" "), FT_JSON_BROKEN);
}
END_TEST

/* `depth` brackets, as many back, and a NUL. */
static void nest(char *to, size_t depth)
{
	memset(to, '[', depth);
	memset(to + depth, ']', depth);
	to[2 * depth] = '\0';
}

START_TEST(test_json__nests_as_deep_as_65536_levels_and_no_deeper)
{
	static char text[2 * 65537 + 20];

	nest(text, 65536);
	ck_assert_int_eq(find(text), FT_JSON_NO_OBJECT);
	nest(text, 65537);
	ck_assert_int_eq(find(text), FT_JSON_BROKEN);
	memcpy(text, "{\"a\":", 5);
	nest(text + 5, 65536);
	memcpy(text + 5 + 2 * 65536, "}", 2);
	ck_assert_int_eq(find(text), FT_JSON_OBJECT);
	ck_assert_uint_eq(members[0].depth, 65536);
}
END_TEST

/* Whatever is cut off, the rest is no JSON, and nothing behind it is looked at. */
START_TEST(test_json__ends_where_its_length_says)
{
	static const char text[] = "{\"a\":[-1.5e3,true,\"\\u00e9\\ud83d\\ude9a\"],\"x\":null}";

	for (size_t len = 0; len < sizeof text - 1; len++) {
		char *copy = malloc(len > 0 ? len : 1);	/* the sanitizers see what is read behind it */

		memcpy(copy, text, len);
		ck_assert_int_eq(ft_json_find(copy, len, members, 2), FT_JSON_BROKEN);
		free(copy);
	}
}
END_TEST

static const struct ft_json_text *value_of(const char *value)
{
	static char text[1000];

	snprintf(text, sizeof text, "{\"a\":%s}", value);
	ck_assert_msg(find(text) == FT_JSON_OBJECT, "%s", text);
	return &members[0].value;
}

START_TEST(test_json__reads_integers_however_they_are_written)
{
	static const struct {
		const char *text;
		uint64_t integer;
	} rows[] = {
		{ "0", 0 }, { "-0", 0 }, { "-0.0e5", 0 }, { "0e99999999999999999999999", 0 },
		{ "0e-99999999999999999999999", 0 }, { "7", 7 }, { "10", 10 }, { "10.00", 10 },
		{ "1e1", 10 }, { "1E+01", 10 }, { "100e-1", 10 }, { "1.25e2", 125 }, { "0.5e1", 5 },
		{ "0.000001e6", 1 }, { "12300e-2", 123 }, { "9007199254740993", 9007199254740993 },
		{ "9223372036854775807", INT64_MAX }, { "9.223372036854775807e18", INT64_MAX },
	};
	uint64_t integer;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ck_assert_msg(ft_json_integer(value_of(rows[i].text), INT64_MAX, &integer), "%s",
			      rows[i].text);
		ck_assert_msg(integer == rows[i].integer, "%s", rows[i].text);
	}
}
END_TEST

START_TEST(test_json__refuses_what_is_no_integer)
{
	static const char *const values[] = {
		"-1", "-1e-1", "1.5", "0.1", "1e-1", "123e-2", "1.05e1", "9223372036854775808",
		"18446744073709551616", "1e19", "1e300", "1e999999999999999999999999", "1e-9999",
		"\"1\"", "true", "[1]", "{\"a\":1}",
	};
	uint64_t integer = 77;

	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
		ck_assert_msg(!ft_json_integer(value_of(values[i]), INT64_MAX, &integer), "%s",
			      values[i]);
	ck_assert(!ft_json_integer(value_of("8"), 7, &integer));
	ck_assert(!ft_json_integer(value_of("10"), 7, &integer));
	ck_assert_uint_eq(integer, 77);
	ck_assert(ft_json_integer(value_of("7"), 7, &integer));
}
END_TEST

START_TEST(test_json__reads_strings_with_all_their_escapes)
{
	static const struct {
		const char *text;
		const char *string;
	} rows[] = {
		{ "\"\"", "" }, { "\"ab\"", "ab" }, { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
		{ "\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac" },
		{ "\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"",
		  "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf" },
		{ "\"\\ud83d\\uDE9A\\ud800\\udc00\\udbff\\udfff\"",
		  "\xf0\x9f\x9a\x9a\xf0\x90\x80\x80\xf4\x8f\xbf\xbf" },
		{ "\"\xf0\x9f\x9a\x9a\"", "\xf0\x9f\x9a\x9a" },
	};
	char string[100];
	size_t len;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ck_assert(ft_json_string(value_of(rows[i].text), string, sizeof string, &len));
		ck_assert_str_eq(string, rows[i].string);
		ck_assert_uint_eq(len, strlen(string));
	}
	ck_assert(ft_json_string(value_of("\"a\\u0000b\""), string, sizeof string, &len));
	ck_assert(len == 3 && memcmp(string, "a\0b", 4) == 0);
}
END_TEST

START_TEST(test_json__refuses_strings_that_find_no_room)
{
	char string[4];
	size_t len;

	ck_assert(ft_json_string(value_of("\"abc\""), string, 4, &len));
	ck_assert(!ft_json_string(value_of("\"abcd\""), string, 4, &len));
	ck_assert(ft_json_string(value_of("\"\\u20ac\""), string, 4, &len));
	ck_assert(!ft_json_string(value_of("\"a\\u20ac\""), string, 4, &len));
	ck_assert(ft_json_string(value_of("\"\""), string, 1, &len));
	ck_assert(!ft_json_string(value_of("1"), string, 4, &len));
	ck_assert(!ft_json_string(value_of("[\"a\"]"), string, 4, &len));
}
END_TEST

FT_SUITE("json",
	 test_json__finds_members_as_they_are_written,
	 test_json__knows_keys_whose_characters_are_escaped,
	 test_json__takes_the_first_of_several,
	 test_json__says_how_deep_a_member_is,
	 test_json__accepts_every_kind_of_value,
	 test_json__refuses_what_is_no_value,
	 test_json__refuses_what_follows_the_text,
	 test_json__nests_as_deep_as_65536_levels_and_no_deeper,
	 test_json__ends_where_its_length_says,
	 test_json__reads_integers_however_they_are_written,
	 test_json__refuses_what_is_no_integer,
	 test_json__reads_strings_with_all_their_escapes,
	 test_json__refuses_strings_that_find_no_room);
