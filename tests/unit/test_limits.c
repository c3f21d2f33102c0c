/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The file of option limits_file. */
#include "protocol/limits.h"

#include <cjson/cJSON.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/glob.h"
#include "../suite.h"

#define MIB ((uint64_t)1024 * 1024)

static struct ft_options options;
static char why[1024];
static char lines[4096];

static void set_up(void)
{
	struct ft_buf buf = ft_buf_on(why, sizeof why);

	ft_options_init(&options);
	ck_assert(ft_options_set(&options, "storage_dir", "/a", &buf)
		  && ft_options_set(&options, "client_quota", "1M", &buf)
		  && ft_options_check(&options, &buf));
}

static void tear_down(void)
{
	ft_options_release(&options);
}

static struct ft_overrides *read_text(const char *text)
{
	struct ft_buf buf = ft_buf_on(why, sizeof why);
	struct ft_overrides *overrides;
	enum ft_status st = ft_overrides_read(text, strlen(text), &options, &overrides, &buf);

	ck_assert_msg((st == FT_OK) == (overrides != NULL), "%s", text);
	ck_assert_msg((st == FT_OK) == (buf.len == 0), "%s: %s", text, why);
	return overrides;
}

static const struct ft_limits *limits_of(const struct ft_overrides *overrides, const char *client,
					 const char *user)
{
	const struct ft_override *row = ft_overrides_find(overrides, client, user);

	return row ? &row->limits : NULL;
}

START_TEST(test_limits__take_values_as_options_do)
{
	struct ft_overrides *overrides = read_text(
		"{\"overrides\": [{\"client\": \"c\", \"storage_quota\": \"2G\", \"client_quota\": 5,"
		" \"client_bandwidth\": \"64k\", \"client_rate\": 7, \"max_file_size\": \"3M\","
		" \"max_segment_size\": \"1k\", \"max_transfers_per_client\": 9}]}");
	const struct ft_limits *limits = limits_of(overrides, "c", NULL);

	ck_assert_msg(limits, "%s", why);
	ck_assert_uint_eq(limits->storage_quota, 2048 * MIB);
	ck_assert_uint_eq(limits->client_quota, 5);
	ck_assert_uint_eq(limits->client_bandwidth, 65536);
	ck_assert_uint_eq(limits->client_rate, 7);
	ck_assert_uint_eq(limits->max_file_size, 3 * MIB);
	ck_assert_uint_eq(limits->max_segment_size, 1024);
	ck_assert_uint_eq(limits->max_transfers_per_client, 9);
	ft_overrides_free(&overrides);
}
END_TEST

START_TEST(test_limits__leave_what_they_do_not_name_to_the_options)
{
	struct ft_overrides *overrides = read_text(
		"{\"overrides\": [{\"client\": \"c\"}, {\"client\": \"d\", \"client_quota\": null}]}");

	ck_assert_uint_eq(limits_of(overrides, "c", NULL)->client_quota, MIB);
	ck_assert_uint_eq(limits_of(overrides, "c", NULL)->max_transfers_per_client, 100);
	ck_assert_uint_eq(limits_of(overrides, "c", NULL)->max_segment_size, 16 * MIB);
	ck_assert_uint_eq(limits_of(overrides, "d", NULL)->client_quota, 0);
	ck_assert_ptr_null(limits_of(overrides, "e", NULL));
	ft_overrides_free(&overrides);
}
END_TEST

START_TEST(test_limits__count_in_the_order_of_the_file)
{
	struct ft_overrides *overrides = read_text(
		"{\"overrides\": [{\"client\": \"cam-1*\", \"user\": \"anna\", \"client_rate\": 1},"
		" {\"client\": \"cam-*\", \"client_rate\": 2}, {\"user\": \"*\", \"client_rate\": 3},"
		" {\"client\": \"cam-2\", \"client_rate\": 4}]}");

	ck_assert_uint_eq(limits_of(overrides, "cam-12", "anna")->client_rate, 1);
	ck_assert_uint_eq(limits_of(overrides, "cam-12", "bert")->client_rate, 2);
	ck_assert_uint_eq(limits_of(overrides, "cam-12", NULL)->client_rate, 2);
	ck_assert_uint_eq(limits_of(overrides, "cam-2", "anna")->client_rate, 2);
	ck_assert_uint_eq(limits_of(overrides, "x", "")->client_rate, 3);
	ck_assert_ptr_null(limits_of(overrides, "x", NULL));
	ft_overrides_free(&overrides);
}
END_TEST

START_TEST(test_limits__may_be_none)
{
	struct ft_overrides *overrides = read_text(" {\"overrides\":[]}\n");

	ck_assert_ptr_null(ft_overrides_find(overrides, "c", "u"));
	ck_assert_ptr_null(ft_overrides_find(NULL, "c", "u"));
	ft_overrides_free(&overrides);
}
END_TEST

#define ROW(members) "{\"overrides\": [{\"client\": \"a\"}, {" members "}]}"

START_TEST(test_limits__say_where_and_what_is_wrong)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "", "line 1: is no JSON" },
		{ "{\n\"overrides\": [\n{,}]}", "line 3: is no JSON from here on: '" },
		{ "{\"overrides\": []} x", "line 1: is no JSON from here on: 'x'" },
		{ "[]", "must be an object with an array \"overrides\"" },
		{ "{}", "must be an object with an array \"overrides\"" },
		{ "{\"overrides\": {}}", "must be an object with an array \"overrides\"" },
		{ "{\"overrides\": [], \"more\": 1}", "more: there is no such key" },
		{ "{\"overrides\": [], \"overrides\": []}", "overrides: there is no such key, or it is there twice" },
		{ "{\"overrides\": [1]}", "override 1: must be an object" },
		{ ROW("\"client_rate\": 1"), "override 2: has neither client nor user" },
		{ ROW("\"client\": 7"), "override 2: client: must be a pattern of 1 to 255 bytes" },
		{ ROW("\"user\": \"\""), "override 2: user: must be a pattern of 1 to 255 bytes" },
		{ ROW("\"user\": \"u\", \"user\": \"v\""), "override 2: user: is there twice" },
		{ ROW("\"user\": \"u\", \"quota\": 1"), "override 2: quota: there is no such key; there are client, user, storage_quota" },
		{ ROW("\"user\": \"u\", \"client_rate\": 0"), "override 2: client_rate 0: must be a number from 1 to 1000000" },
		{ ROW("\"user\": \"u\", \"client_rate\": \"1k\""), "override 2: client_rate 1k: must be" },
		{ ROW("\"user\": \"u\", \"client_rate\": true"), "override 2: client_rate: must be a text" },
		{ ROW("\"user\": \"u\", \"client_quota\": 1.5"), "override 2: client_quota: must be a text" },
		{ ROW("\"user\": \"u\", \"client_quota\": -1"), "override 2: client_quota: must be a text" },
		{ ROW("\"user\": \"u\", \"client_quota\": 1e300"), "override 2: client_quota: must be a text" },
		{ ROW("\"user\": \"u\", \"client_quota\": \"1X\""), "override 2: client_quota 1X: must be a size" },
		{ ROW("\"user\": \"u\", \"max_segment_size\": null"), "override 2: max_segment_size: cannot be without a limit" },
		{ ROW("\"user\": \"u\", \"max_segment_size\": \"17M\""), "override 2: max_segment_size: must be at most half of log_size" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ck_assert_msg(!read_text(rows[i].text), "%s", rows[i].text);
		ck_assert_msg(strncmp(why, rows[i].says, strlen(rows[i].says)) == 0, "%s: %s",
			      rows[i].text, why);
	}
}
END_TEST

START_TEST(test_limits__take_no_text_with_a_nul)
{
	static const char text[] = "{\"overrides\": []}\0";
	struct ft_buf buf = ft_buf_on(why, sizeof why);
	struct ft_overrides *overrides;

	ck_assert_int_eq(ft_overrides_read(text, sizeof text, &options, &overrides, &buf),
			 FT_INVALID_FILEMETA);
}
END_TEST

START_TEST(test_limits__are_bounded)
{
	static char text[FT_OVERRIDES_TEXT_MAX];
	struct ft_overrides *overrides;
	size_t at = (size_t)snprintf(text, sizeof text, "{\"overrides\":[{\"user\":\"u\"}");

	for (size_t i = 1; i < FT_OVERRIDES_MAX; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, ",{\"user\":\"u\"}");
	snprintf(text + at, sizeof text - at, "]}");
	overrides = read_text(text);
	ck_assert_ptr_nonnull(overrides);
	ft_overrides_free(&overrides);
	snprintf(text + at, sizeof text - at, ",{\"user\":\"u\"}]}");
	ck_assert_ptr_null(read_text(text));
	ck_assert_str_eq(why, "there may be 1000 overrides at most");
}
END_TEST

/* --- changes --- */

static void say(void *context, const char *line)
{
	size_t len = strlen(lines);

	(void)context;
	snprintf(lines + len, sizeof lines - len, "%s\n", line);
}

static size_t compare(const char *before_text, const char *after_text, size_t limit)
{
	struct ft_overrides *before = read_text(before_text), *after = read_text(after_text);
	size_t count;

	ck_assert(before && after);
	*lines = '\0';
	count = ft_overrides_compare(before, after, &options, limit, say, NULL);
	ft_overrides_free(&before);
	ft_overrides_free(&after);
	return count;
}

START_TEST(test_limits__say_what_has_changed)
{
	ck_assert_uint_eq(compare("{\"overrides\": [{\"client\": \"a\", \"client_rate\": 5},"
				  " {\"user\": \"u\"}, {\"client\": \"gone\", \"client_rate\": 1}]}",
				  "{\"overrides\": [{\"client\": \"a\", \"client_rate\": 6,"
				  " \"client_quota\": null}, {\"user\": \"u\"},"
				  " {\"client\": \"a\", \"user\": \"\\u0007\", \"client_rate\": 2}]}", 10), 3);
	ck_assert_str_eq(lines,
			 "client 'a': client_quota 1048576 -> none, client_rate 5 -> 6\n"
			 "client 'a', user '\\x07' is new: client_rate none -> 2\n"
			 "client 'gone' is gone: client_rate 1 -> none\n");
}
END_TEST

START_TEST(test_limits__say_nothing_where_nothing_has_changed)
{
	ck_assert_uint_eq(compare("{\"overrides\": [{\"client\": \"a\", \"client_quota\": \"1M\"}]}",
				  "{\"overrides\": [{\"client\": \"a\"}]}", 10), 0);
	ck_assert_str_eq(lines, "");
}
END_TEST

START_TEST(test_limits__say_that_the_order_has_changed)
{
	ck_assert_uint_eq(compare("{\"overrides\": [{\"client\": \"a\"}, {\"client\": \"b\"}]}",
				  "{\"overrides\": [{\"client\": \"b\"}, {\"client\": \"a\"}]}", 10), 1);
	ck_assert_str_eq(lines, "the overrides are in another order\n");
}
END_TEST

START_TEST(test_limits__say_so_many_changes_at_most)
{
	ck_assert_uint_eq(compare("{\"overrides\": []}", "{\"overrides\": [{\"client\": \"a\"},"
				  " {\"client\": \"b\"}, {\"client\": \"c\"}]}", 1), 3);
	ck_assert_str_eq(lines, "client 'a' is new\n");
}
END_TEST

/* --- changing --- */

/* The file's text after a change, {client, user, limits, unset, remove}; NULL: it is refused with `status`. */
static char *changed(const char *text, const char *members, enum ft_status status)
{
	cJSON *json = cJSON_Parse(members);
	const struct ft_limits_change change = {
		.client = cJSON_GetStringValue(cJSON_GetObjectItem(json, "client")),
		.user = cJSON_GetStringValue(cJSON_GetObjectItem(json, "user")),
		.limits = cJSON_GetObjectItem(json, "limits"),
		.unset = cJSON_GetObjectItem(json, "unset"),
		.remove = cJSON_GetObjectItem(json, "remove") != NULL,
	};
	struct ft_buf buf = ft_buf_on(why, sizeof why);
	char *out;
	size_t len = 0;

	ck_assert_ptr_nonnull(json);
	ck_assert_int_eq(ft_overrides_change(text, strlen(text), &change, &out, &len, &buf), status);
	ck_assert_int_eq(status == FT_OK, out != NULL);
	ck_assert_int_eq(status == FT_OK, buf.len == 0);
	ck_assert(!out || strlen(out) == len);
	if (out)
		cJSON_Minify(out);
	cJSON_Delete(json);
	return out;
}

static void check_changed(const char *text, const char *members, const char *expected)
{
	char *out = changed(text, members, FT_OK);

	ck_assert_str_eq(out, expected);
	free(out);
}

#define TWO "{\"overrides\":[{\"client\":\"c*\",\"client_rate\":5,\"client_quota\":\"10G\"},{\"user\":\"u\"}]}"

START_TEST(test_limits__change_keeps_all_that_it_is_not_about)
{
	check_changed(TWO, "{\"client\":\"c*\",\"limits\":{\"client_rate\":\"7\",\"max_file_size\":null}}",
		      "{\"overrides\":[{\"client\":\"c*\",\"client_quota\":\"10G\",\"client_rate\":\"7\","
		      "\"max_file_size\":null},{\"user\":\"u\"}]}");
	check_changed(TWO, "{\"client\":\"c*\",\"unset\":[\"client_rate\",\"client_bandwidth\"]}",
		      "{\"overrides\":[{\"client\":\"c*\",\"client_quota\":\"10G\"},{\"user\":\"u\"}]}");
	check_changed(TWO, "{\"client\":\"c*\",\"remove\":true}", "{\"overrides\":[{\"user\":\"u\"}]}");
	check_changed(TWO, "{\"user\":\"u\",\"unset\":[\"client_rate\"],\"limits\":{\"client_rate\":1}}",
		      "{\"overrides\":[{\"client\":\"c*\",\"client_rate\":5,\"client_quota\":\"10G\"},"
		      "{\"user\":\"u\",\"client_rate\":1}]}");
}
END_TEST

START_TEST(test_limits__change_adds_where_it_counts)
{
	static const char all[] = "{\"overrides\":[{\"client\":\"a\"},{\"client\":\"c*\",\"user\":\"u\"},"
				  "{\"client\":\"c*\"},{\"client\":\"*\"}]}";
	static const struct {
		const char *patterns;
		size_t place;
	} rows[] = {
		{ "\"client\":\"b\"", 3 }, { "\"client\":\"c1\"", 2 },
		{ "\"client\":\"c1\",\"user\":\"u\"", 1 }, { "\"client\":\"c1\",\"user\":\"v\"", 2 },
		{ "\"client\":\"cam*\"", 2 }, { "\"user\":\"u\"", 4 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ft_overrides *overrides;
		char members[200], *out;

		snprintf(members, sizeof members, "{%s,\"limits\":{\"client_rate\":77}}", rows[i].patterns);
		out = changed(all, members, FT_OK);
		overrides = read_text(out);
		ck_assert_uint_eq(overrides->count, 5);
		ck_assert_msg(overrides->rows[rows[i].place].limits.client_rate == 77, "%s", out);
		ft_overrides_free(&overrides);
		free(out);
	}
}
END_TEST

START_TEST(test_limits__change_refuses_what_it_cannot_do)
{
	static const char nul[] = "{\"overrides\":[{\"client\":\"a\\u0000b\"}]}";

	ck_assert_ptr_null(changed(TWO, "{\"client\":\"c\",\"remove\":true}", FT_NO_SUCH_TRANSFER));
	ck_assert_ptr_null(changed(TWO, "{\"client\":\"c*\",\"user\":\"u\",\"unset\":[]}",
				   FT_NO_SUCH_TRANSFER));
	ck_assert_ptr_null(changed(TWO, "{\"client\":\"c*\",\"limits\":{\"client\":\"d\"}}",
				   FT_INVALID_FILEMETA));
	ck_assert_str_eq(why, "client: there is no such limit");
	ck_assert_ptr_null(changed(TWO, "{\"client\":\"c*\",\"unset\":[7]}", FT_INVALID_FILEMETA));
	ck_assert_ptr_null(changed(TWO, "{\"client\":\"c*\",\"limits\":{\"client_rate\":1,"
				   "\"client_rate\":2}}", FT_INVALID_FILEMETA));
	ck_assert_ptr_null(changed(nul, "{\"client\":\"c\",\"limits\":{}}", FT_INVALID_FILEMETA));
}
END_TEST

FT_SUITE_WITH("limits", set_up, tear_down,
	      test_limits__take_values_as_options_do,
	      test_limits__leave_what_they_do_not_name_to_the_options,
	      test_limits__count_in_the_order_of_the_file,
	      test_limits__may_be_none,
	      test_limits__say_where_and_what_is_wrong,
	      test_limits__take_no_text_with_a_nul,
	      test_limits__are_bounded,
	      test_limits__say_what_has_changed,
	      test_limits__say_nothing_where_nothing_has_changed,
	      test_limits__say_that_the_order_has_changed,
	      test_limits__say_so_many_changes_at_most,
	test_limits__change_keeps_all_that_it_is_not_about, test_limits__change_adds_where_it_counts,
	test_limits__change_refuses_what_it_cannot_do);
