/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/get.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"

#define SHA "E3B0C44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define LEVEL_60 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LEVEL_240 LEVEL_60 LEVEL_60 LEVEL_60 LEVEL_60

static struct ft_get get;

static enum ft_status parse_with(const char *rest, const char *payload)
{
	static char topic[2000];

	snprintf(topic, sizeof topic, "$file-get/%s", rest);
	memset(&get, 0xa5, sizeof get);
	return ft_get_parse(&get, topic, payload, strlen(payload));
}

static enum ft_status parse(const char *rest)
{
	return parse_with(rest, "");
}

START_TEST(test_get__is_ours_only_if_something_follows)
{
	ck_assert(ft_get_is_ours("$file-get/x") && ft_get_is_ours("$file-get//"));
	ck_assert(!ft_get_is_ours("$file-get") && !ft_get_is_ours("$file-get/"));
	ck_assert(!ft_get_is_ours("$file-gets/x") && !ft_get_is_ours("$file/x"));
}
END_TEST

START_TEST(test_get__asks_for_a_block_of_a_path)
{
	ck_assert_int_eq(parse("0/65536/app.bin"), FT_OK);
	ck_assert_int_eq(get.verb, FT_GET_BLOCK);
	ck_assert_uint_eq(get.offset, 0);
	ck_assert_uint_eq(get.length, 65536);
	ck_assert_str_eq(get.path, "app.bin");
	ck_assert(!get.has_checksum);
	ck_assert_int_eq(parse_with("0012/07/models/a b/x", SHA), FT_OK);
	ck_assert_uint_eq(get.offset, 12);
	ck_assert_uint_eq(get.length, 7);
	ck_assert(get.offset_len == 4 && strncmp(get.offset_text, "0012/", 5) == 0);
	ck_assert_str_eq(get.path, "models/a b/x");
	ck_assert(get.has_checksum && get.checksum.bytes[0] == 0xe3);
	ck_assert_int_eq(parse("9223372036854775807/9223372036854775807/x"), FT_OK);
}
END_TEST

START_TEST(test_get__asks_for_info_of_a_path_that_may_look_like_a_block)
{
	ck_assert_int_eq(parse("info/0/1/x"), FT_OK);
	ck_assert_int_eq(get.verb, FT_GET_INFO);
	ck_assert_str_eq(get.path, "0/1/x");
}
END_TEST

START_TEST(test_get__refuses_what_is_no_request)
{
	static const struct {
		const char *rest;
		const char *payload;
		enum ft_status status;
	} rows[] = {
		{ "0", "", FT_INVALID_FILE_COMMAND }, { "0/1", "", FT_INVALID_FILE_COMMAND },
		{ "app.bin", "", FT_INVALID_FILE_COMMAND }, { "info", "", FT_INVALID_FILE_COMMAND },
		{ "report", "{}", FT_INVALID_FILE_COMMAND }, { "/", "", FT_INVALID_FILE_COMMAND },
		{ "list/x", "", FT_INVALID_FILE_COMMAND }, { "list/", "", FT_INVALID_FILE_COMMAND },
		{ "list", "x", FT_INVALID_FILE_COMMAND }, { "list", "[]", FT_INVALID_FILE_COMMAND },
		{ "list", "{\"prefix\":1}", FT_INVALID_FILE_COMMAND },
		{ "list", "{\"after\":\"a\\u0000\"}", FT_INVALID_FILE_COMMAND },
		{ "list", "{\"after\":\"\xff\"}", FT_INVALID_FILE_COMMAND },
		{ "-1/1/x", "", FT_INVALID_OFFSET }, { "1e3/1/x", "", FT_INVALID_OFFSET },
		{ "9223372036854775808/1/x", "", FT_INVALID_OFFSET }, { "/1/x", "", FT_INVALID_OFFSET },
		{ "infos/1/x", "", FT_INVALID_OFFSET }, { "0x1/1/x", "", FT_INVALID_OFFSET },
		{ "0/0/x", "", FT_INVALID_LENGTH }, { "0/00/x", "", FT_INVALID_LENGTH },
		{ "0//x", "", FT_INVALID_LENGTH }, { "0/-1/x", "", FT_INVALID_LENGTH },
		{ "0/9223372036854775808/x", "", FT_INVALID_LENGTH }, { "0/1k/x", "", FT_INVALID_LENGTH },
		{ "0/1/", "", FT_INVALID_PATH }, { "0/1//x", "", FT_INVALID_PATH },
		{ "0/1/x/", "", FT_INVALID_PATH }, { "0/1/..", "", FT_INVALID_PATH },
		{ "0/1/a/../x", "", FT_INVALID_PATH }, { "0/1/.x", "", FT_INVALID_PATH },
		{ "0/1/a//x", "", FT_INVALID_PATH }, { "0/1/a\\x", "", FT_INVALID_PATH },
		{ "0/1/a+", "", FT_INVALID_PATH }, { "0/1/#", "", FT_INVALID_PATH },
		{ "0/1/a\x01", "", FT_INVALID_PATH }, { "0/1/\xff", "", FT_INVALID_PATH },
		{ "0/1/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a", "", FT_INVALID_PATH },
		{ "0/1/" LEVEL_240 "b", "", FT_INVALID_PATH },
		{ "0/1/" LEVEL_240 "/" LEVEL_240 "/" LEVEL_60, "", FT_INVALID_PATH },
		{ "info/", "", FT_INVALID_PATH }, { "info/.x", "", FT_INVALID_PATH },
		{ "report/a/..", "{}", FT_INVALID_PATH },
		{ "0/1/x", "x", FT_INVALID_CHECKSUM }, { "0/1/x", SHA "0", FT_INVALID_CHECKSUM },
		{ "0/1/x", " " SHA, FT_INVALID_CHECKSUM },
		{ "report/x", "", FT_INVALID_REPORT }, { "report/x", "[]", FT_INVALID_REPORT },
		{ "report/x", "{}", FT_INVALID_REPORT }, { "report/x", "{\"state\":1}", FT_INVALID_REPORT },
		{ "report/x", "{\"state\":\"done\"}", FT_INVALID_REPORT },
		{ "report/x", "{\"state\":\"failed\\u0000\"}", FT_INVALID_REPORT },
		{ "report/x", "{\"state\":\"failed\",\"sha256\":\"12\"}", FT_INVALID_REPORT },
		{ "report/x", "{\"state\":\"failed\",\"progress\":101}", FT_INVALID_REPORT },
		{ "report/x", "{\"state\":\"failed\",\"progress\":\"1\"}", FT_INVALID_REPORT },
		{ "report/x", "{\"state\":\"failed\",\"client_id\":\"c\"}", FT_INVALID_REPORT },
		{ "report/x", "{\"state\":\"failed\",\"\\u0061t\":null}", FT_INVALID_REPORT },
		{ "report/x", "{\"state\":\"failed\",\"user\":1}", FT_INVALID_REPORT },
		{ "report/x", "{\"state\":\"failed\",\"current\":true}", FT_INVALID_REPORT },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		ck_assert_msg(parse_with(rows[i].rest, rows[i].payload) == rows[i].status,
			      "%s %s: %s", rows[i].rest, rows[i].payload,
			      ft_status_word(parse_with(rows[i].rest, rows[i].payload)));
}
END_TEST

START_TEST(test_get__takes_paths_up_to_their_limits)
{
	ck_assert_int_eq(parse("0/1/" LEVEL_240 "/" LEVEL_240 "/" LEVEL_60), FT_INVALID_PATH);
	ck_assert_int_eq(parse("0/1/" LEVEL_240 "/" LEVEL_240 "/" "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
			 FT_OK);
	ck_assert_int_eq(parse("0/1/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a"), FT_OK);
	ck_assert_int_eq(parse("0/1/x..y/z."), FT_OK);
	ck_assert_int_eq(parse("0/1/\xc3\xa4"), FT_OK);
}
END_TEST

START_TEST(test_get__lists_from_a_prefix_on)
{
	ck_assert_int_eq(parse("list"), FT_OK);
	ck_assert_int_eq(get.verb, FT_GET_LIST);
	ck_assert(get.prefix[0] == '\0' && get.after[0] == '\0');
	ck_assert_int_eq(parse_with("list", "{\"prefix\":\"models/\",\"after\":\"models/a\",\"x\":1}"),
			 FT_OK);
	ck_assert_str_eq(get.prefix, "models/");
	ck_assert_str_eq(get.after, "models/a");
	ck_assert_int_eq(parse_with("list", "{\"prefix\":null}"), FT_OK);
}
END_TEST

static void assert_members(const char *payload, const char *members)
{
	ck_assert_int_eq(parse_with("report/a/b", payload), FT_OK);
	ck_assert_int_eq(get.verb, FT_GET_REPORT);
	ck_assert_str_eq(get.path, "a/b");
	ck_assert_msg(get.members.len == strlen(members)
		      && memcmp(get.members.at, members, get.members.len) == 0, "%.*s",
		      (int)get.members.len, get.members.at);
}

START_TEST(test_get__keeps_the_members_of_a_report)
{
	assert_members("{\"state\":\"installed\"}", "\"state\":\"installed\"");
	assert_members(" { \"state\":\"failed\", \"detail\":{\"a\":[1,\"}\"]} } ",
		       "\"state\":\"failed\", \"detail\":{\"a\":[1,\"}\"]}");
	ck_assert(!get.has_checksum);
	assert_members("{\"sha256\":\"" SHA "\",\"progress\":1e2,\"state\":\"downloading\"}",
		       "\"sha256\":\"" SHA "\",\"progress\":1e2,\"state\":\"downloading\"");
	ck_assert(get.has_checksum);
}
END_TEST

START_TEST(test_get__takes_reports_of_4096_bytes)
{
	char payload[4200];
	size_t len = (size_t)snprintf(payload, sizeof payload, "{\"state\":\"failed\"}");

	memset(payload + len, ' ', sizeof payload - len);
	payload[4096] = '\0';
	ck_assert_int_eq(parse_with("report/x", payload), FT_OK);
	payload[4096] = ' ';
	payload[4097] = '\0';
	ck_assert_int_eq(parse_with("report/x", payload), FT_INVALID_REPORT);
}
END_TEST

FT_SUITE("get",
	 test_get__is_ours_only_if_something_follows,
	 test_get__asks_for_a_block_of_a_path,
	 test_get__asks_for_info_of_a_path_that_may_look_like_a_block,
	 test_get__refuses_what_is_no_request,
	 test_get__takes_paths_up_to_their_limits,
	 test_get__lists_from_a_prefix_on,
	 test_get__keeps_the_members_of_a_report,
	 test_get__takes_reports_of_4096_bytes);
