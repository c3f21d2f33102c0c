/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/offer.h"

#include <check.h>
#include <string.h>

#include "protocol/groups.h"
#include "../suite.h"

static char room[1000];

static const char *topic(enum ft_offer_scope scope, const char *whose)
{
	const struct ft_offer offer = { .scope = scope, .whose = whose, .path = "a/b" };
	struct ft_buf to = ft_buf_on(room, sizeof room);

	return ft_offer_topic(&to, &offer) ? room : "none";
}

START_TEST(test_offer__is_announced_under_the_id_it_is_for)
{
	ck_assert_str_eq(topic(FT_OFFER_ALL, ""), "$file-offer/all/a/b");
	ck_assert_str_eq(topic(FT_OFFER_CLIENT, "gw-1"), "$file-offer/client/gw-1/a/b");
	ck_assert_str_eq(topic(FT_OFFER_USER, "a%3Ab"), "$file-offer/user/a:b/a/b");
	ck_assert_str_eq(topic(FT_OFFER_GROUP, "trial"), "$file-offer/group/trial/a/b");
	ck_assert_str_eq(topic(FT_OFFER_CLIENT, "%2Ehidden"), "$file-offer/client/.hidden/a/b");
}
END_TEST

START_TEST(test_offer__is_not_announced_where_no_topic_can_say_whose)
{
	static const char *const names[] = {
		"a%2Bb", "a%23", "a%2Fb", "%00", "%FF", "%", "a%", "a%2", "a%zz", "a:b", "%61",
		"a%3ab",
		"%sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		ck_assert_str_eq(topic(FT_OFFER_CLIENT, names[i]), "none");
}
END_TEST

START_TEST(test_offer__hides_what_is_not_finished)
{
	ck_assert(ft_offer_name_is_hidden(".a") && ft_offer_name_is_hidden("a.part"));
	ck_assert(ft_offer_name_is_hidden("a.tmp") && ft_offer_name_is_hidden("a~"));
	ck_assert(!ft_offer_name_is_hidden("a") && !ft_offer_name_is_hidden("part")
		  && !ft_offer_name_is_hidden("a.part.bin"));
}
END_TEST

START_TEST(test_offer__says_what_it_is)
{
	struct ft_offer offer = {
		.scope = FT_OFFER_ALL, .whose = "", .path = "a\"b", .hashed = true,
		.stat = { .size = 3, .mtime_ns = 1500000 },
		.meta = { .at = "{\"v\":1}", .len = 7 },
	};
	struct ft_buf to = ft_buf_on(room, sizeof room);

	ft_offer_write_all(&to, &offer);
	ck_assert(ft_buf_ok(&to) && to.len < ft_offer_room(&offer));
	ck_assert_str_eq(room, "\"path\":\"a\\\"b\",\"size\":3,\"sha256\":"
			 "\"0000000000000000000000000000000000000000000000000000000000000000\","
			 "\"modified_at\":\"1970-01-01T00:00:00.001Z\",\"meta\":{\"v\":1}");
}
END_TEST

START_TEST(test_offer__is_for_whom_a_text_says)
{
	static const struct {
		const char *text, *whose;
		enum ft_offer_scope scope;
	} rows[] = {
		{ "all", "", FT_OFFER_ALL }, { "client/a b", "a%20b", FT_OFFER_CLIENT },
		{ "client/../x", "%2E.%2Fx", FT_OFFER_CLIENT }, { "user/jo", "jo", FT_OFFER_USER },
		{ "group/g 1", "g 1", FT_OFFER_GROUP },
	};
	static const char *const wrong[] = {
		"", "all/", "all/x", "client", "client/", "user/", "group/", "group/a/b", "group/..", "group/.x",
		"group/x~", "group/a+", "some/x", "ALL",
	};
	char whose[FT_NAME_ROOM];
	enum ft_offer_scope scope;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ck_assert_msg(ft_offer_parse_to(rows[i].text, &scope, whose), "%s", rows[i].text);
		ck_assert_int_eq(scope, rows[i].scope);
		ck_assert_str_eq(whose, rows[i].whose);
	}
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		ck_assert_msg(!ft_offer_parse_to(wrong[i], &scope, whose), "%s", wrong[i]);
}
END_TEST

START_TEST(test_offer__has_no_level_that_is_hidden)
{
	ck_assert(ft_offer_path_can_be("a/b.c/d e"));
	ck_assert(!ft_offer_path_can_be(""));
	ck_assert(!ft_offer_path_can_be("a/../b"));
	ck_assert(!ft_offer_path_can_be("a.part/b"));
	ck_assert(!ft_offer_path_can_be("a/b~"));
	ck_assert(!ft_offer_path_can_be("a/b.tmp"));
}
END_TEST

/* --- groups --- */

static struct ft_groups *groups;

static enum ft_status parse(const char *text)
{
	struct ft_buf why = ft_buf_on(room, sizeof room);

	ft_groups_free(&groups);
	return ft_groups_parse(&groups, text, strlen(text), &why);
}

START_TEST(test_groups__have_members_by_pattern)
{
	ck_assert_int_eq(parse("# all\n\ntrial: client:gw-0* user:lab-?\t# x\n lab:\nb: user:x"),
			 FT_OK);
	ck_assert_uint_eq(groups->count, 3);
	ck_assert_str_eq(groups->group[0].name, "trial");
	ck_assert(ft_group_has(&groups->group[0], "gw-01", NULL));
	ck_assert(ft_group_has(&groups->group[0], "c", "lab-1"));
	ck_assert(!ft_group_has(&groups->group[0], "lab-1", "gw-01"));
	ck_assert(!ft_group_has(&groups->group[0], "c", NULL));
	ck_assert_str_eq(groups->group[1].name, "lab");
	ck_assert(!ft_group_has(&groups->group[1], "gw-01", "x"));
	ck_assert(ft_group_has(&groups->group[2], "c", "x"));
	ft_groups_free(&groups);
}
END_TEST

START_TEST(test_groups__refuse_lines_that_say_something_else)
{
	static const char *const texts[] = {
		"trial client:a", ": client:a", "a/b: client:a", ".a: client:a", "a+: client:a",
		"trial: gw-1", "trial: client:", "trial: Client:a",
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		ck_assert_msg(parse(texts[i]) == FT_INVALID_FILEMETA, "%s", texts[i]);
		ck_assert_ptr_nonnull(strstr(room, "line 1: "));
	}
}
END_TEST

START_TEST(test_groups__have_no_members_with_ids_that_take_long_to_match)
{
	char id[400];

	memset(id, 'a', sizeof id);
	id[FT_GROUPS_ID_MAX] = '\0';
	ck_assert_int_eq(parse("g: client:*"), FT_OK);
	ck_assert(ft_group_has(&groups->group[0], id, NULL));
	id[FT_GROUPS_ID_MAX] = 'a';
	id[FT_GROUPS_ID_MAX + 1] = '\0';
	ck_assert(!ft_group_has(&groups->group[0], id, NULL));
	ft_groups_free(&groups);
}
END_TEST

FT_SUITE("offer",
	 test_offer__is_announced_under_the_id_it_is_for,
	 test_offer__is_not_announced_where_no_topic_can_say_whose,
	 test_offer__hides_what_is_not_finished,
	 test_offer__says_what_it_is,
	 test_offer__is_for_whom_a_text_says,
	 test_offer__has_no_level_that_is_hidden,
	 test_groups__have_members_by_pattern,
	 test_groups__refuse_lines_that_say_something_else,
	 test_groups__have_no_members_with_ids_that_take_long_to_match);
