/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "base/json.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"

static const char *const wanted[] = { "a", "name", NULL };

static enum ft_status parse(const char *text, const char *const *keys, char **printed,
			    char apart[64])
{
	struct ft_json_text value;
	cJSON *json;
	enum ft_status st = ft_json_parse_object(text, strlen(text), keys, "x", &json, &value);

	*printed = json ? cJSON_PrintUnformatted(json) : strdup("");
	cJSON_Delete(json);
	ck_assert(value.len < 64);
	memcpy(apart, value.len > 0 ? value.at : "", value.len);
	apart[value.len] = '\0';
	return st;
}

static void assert_reads(const char *text, const char *const *keys, const char *expected,
			 const char *expected_apart)
{
	char *printed, apart[64];

	ck_assert_msg(parse(text, keys, &printed, apart) == FT_OK, "%s", text);
	ck_assert_msg(strcmp(printed, expected) == 0, "%s: %s", text, printed);
	ck_assert_msg(strcmp(apart, expected_apart) == 0, "%s: %s", text, apart);
	free(printed);
}

/* As a member's value, and alone. */
static void assert_value(const char *value, bool valid)
{
	char text[2200], *printed, apart[64];
	struct ft_json_text whole;
	cJSON *json;

	snprintf(text, sizeof text, "{\"ignored\":%s}", value);
	ck_assert_msg((parse(text, wanted, &printed, apart) == FT_OK) == valid, "%s", text);
	free(printed);
	if (*value == '{')
		return;
	ck_assert_msg((ft_json_parse_object(value, strlen(value), NULL, NULL, &json, &whole)
		       == FT_OK) == valid, "%s", value);
	ck_assert_ptr_null(json);
}

START_TEST(test_json__parses_all_members_but_one)
{
	assert_reads("{}", NULL, "{}", "");
	assert_reads("{\"a\":1,\"b\":{\"c\":[true,null]}}", NULL,
		     "{\"a\":1,\"b\":{\"c\":[true,null]}}", "");
	assert_reads("{\"x\":[1, 2] }", NULL, "{}", "[1, 2]");
	assert_reads(" {\t\"a\" :\n1 , \"x\" : {\"a\" : 1.50} ,\r\"b\":2 } ", NULL,
		     "{\"a\":1,\"b\":2}", "{\"a\" : 1.50}");
	assert_reads("\xef\xbb\xbf{\"a\":1}", NULL, "{\"a\":1}", "");
}
END_TEST

START_TEST(test_json__parses_only_what_is_wanted)
{
	assert_reads("{\"b\":[1,2],\"a\":1,\"c\":3,\"x\":4}", wanted, "{\"a\":1}", "4");
	assert_reads("{\"nam\":1,\"name\":2,\"name2\":3,\"Name\":4}", wanted, "{\"name\":2}", "");
	assert_reads("{\"c\":{\"a\":1,\"x\":2}}", wanted, "{}", "");
}
END_TEST

START_TEST(test_json__only_tells_that_a_wanted_value_is_a_container)
{
	assert_reads("{\"a\":[1,2,3],\"name\":{\"b\":1}}", wanted, "{\"a\":[],\"name\":[]}", "");
	assert_reads("{\"a\":\"[1]\"}", wanted, "{\"a\":\"[1]\"}", "");
}
END_TEST

START_TEST(test_json__knows_keys_whose_characters_are_escaped)
{
	assert_reads("{\"\\u0061\":1,\"n\\u0061m\\u0065\":2,\"\\u0078\":3}", wanted,
		     "{\"a\":1,\"name\":2}", "3");
	assert_reads("{\"\\u0161\":1,\"\\na\":2,\"a\\\\\":3,\"\\u0061b\":4}", wanted, "{}", "");
}
END_TEST

START_TEST(test_json__takes_the_first_of_several)
{
	assert_reads("{\"x\":1,\"x\":2}", NULL, "{}", "1");
	assert_reads("{\"x\":null,\"\\u0078\":2}", NULL, "{}", "null");
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
	char *printed, apart[64];

	ck_assert_int_eq(parse("{} {}", NULL, &printed, apart), FT_DAMAGED);
	free(printed);
	ck_assert_int_eq(parse("{}}", NULL, &printed, apart), FT_DAMAGED);
	free(printed);
	ck_assert_int_eq(parse("\xef\xbb\xbf", NULL, &printed, apart), FT_DAMAGED);
	free(printed);
}
END_TEST

START_TEST(test_json__stops_at_a_thousand_levels)
{
	char value[2100];

	/* One level deeper as a member's value. */
	for (size_t deep = 999; deep <= 1001; deep += 2) {
		memset(value, '[', deep);
		memset(value + deep, ']', deep);
		value[2 * deep] = '\0';
		assert_value(value, deep < 1000);
	}
}
END_TEST

/* Whatever is cut off, the rest is no JSON, and nothing behind it is looked at. */
START_TEST(test_json__ends_where_its_length_says)
{
	static const char text[] = "{\"a\":[-1.5e3,true,\"\\u00e9\\ud83d\\ude9a\"],\"x\":null}";

	for (size_t len = 0; len < sizeof text - 1; len++) {
		char *copy = malloc(len > 0 ? len : 1);	/* the sanitizers see what is read behind it */
		cJSON *json;

		memcpy(copy, text, len);
		ck_assert_int_eq(ft_json_parse_object(copy, len, NULL, NULL, &json, NULL),
				 FT_DAMAGED);
		free(copy);
	}
}
END_TEST

FT_SUITE("json",
	 test_json__parses_all_members_but_one,
	 test_json__parses_only_what_is_wanted,
	 test_json__only_tells_that_a_wanted_value_is_a_container,
	 test_json__knows_keys_whose_characters_are_escaped,
	 test_json__takes_the_first_of_several,
	 test_json__accepts_every_kind_of_value,
	 test_json__refuses_what_is_no_value,
	 test_json__refuses_what_follows_the_text,
	 test_json__stops_at_a_thousand_levels,
	 test_json__ends_where_its_length_says);
