/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/control.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"

static struct ft_control *control;

static void teardown(void)
{
	ft_control_free(&control);
}

static void parse(const char *text)
{
	const char *why;

	ft_control_free(&control);
	ck_assert_int_eq(ft_control_parse(text, strlen(text), &control, &why), FT_OK);
}

static void refuses(const char *text, size_t len)
{
	const char *why = NULL;

	ft_control_free(&control);
	ck_assert_int_eq(ft_control_parse(text, len, &control, &why), FT_INVALID_FILE_COMMAND);
	ck_assert_ptr_nonnull(why);
	ck_assert_ptr_null(control);
}

/* The only command of a message with these members. */
static const struct ft_control_command *command(const char *members)
{
	char text[2048];

	snprintf(text, sizeof text, "{\"commands\":[{%s}]}", members);
	parse(text);
	ck_assert_uint_eq(control->count, 1);
	return &control->commands[0];
}

START_TEST(test_control__reads_commands_in_order)
{
	parse("{\"commands\":[{\"command\":\"getStatus\",\"correlationData\":\"1\"},"
	      "{\"command\":\"getFile\",\"client_id\":\"c\",\"file_id\":\"f\"}],\"other\":1}");
	ck_assert_uint_eq(control->count, 2);
	ck_assert_int_eq(control->commands[0].verb, FT_CONTROL_GET_STATUS);
	ck_assert_str_eq(control->commands[0].correlation, "1");
	ck_assert_int_eq(control->commands[1].verb, FT_CONTROL_GET_FILE);
	ck_assert_ptr_null(control->commands[1].correlation);
	ck_assert_ptr_null(control->commands[1].wrong);
	parse("{\"commands\":[]}");
	ck_assert_uint_eq(control->count, 0);
}
END_TEST

START_TEST(test_control__has_defaults_for_what_is_not_said)
{
	const struct ft_control_command *c = command("\"command\":\"listFiles\",\"limit\":null");

	ck_assert_ptr_null(c->wrong);
	ck_assert_uint_eq(c->limit, 100);
	ck_assert_uint_eq(c->cursor, 0);
	ck_assert_ptr_null(c->key.owner);
	ck_assert_ptr_null(c->pattern);
	ck_assert_int_eq(c->since, 0);
	ck_assert_uint_eq(c->max_size, INT64_MAX);
	ck_assert_uint_eq(c->url_ttl_s, 3600);
	ck_assert_uint_eq(command("\"command\":\"getFile\",\"client_id\":\"c\",\"file_id\":\"f\",\"url_ttl\":604800")
			  ->url_ttl_s, 604800);
}
END_TEST

START_TEST(test_control__reads_what_is_said)
{
	const struct ft_control_command *c;

	c = command("\"command\":\"listFiles\",\"client_id\":\"\",\"name\":\"*.x\",\"limit\":7,"
		    "\"cursor\":\"ffffffffffffffff\",\"since\":5,\"until\":6,\"min_size\":1e3,"
		    "\"max_size\":9007199254740992");
	ck_assert_ptr_null(c->wrong);
	ck_assert_uint_eq(c->limit, 7);
	ck_assert_uint_eq(c->cursor, UINT64_MAX);
	ck_assert_ptr_nonnull(c->key.owner);
	ck_assert_uint_eq(c->key.owner_len, 0);
	ck_assert_str_eq(c->pattern, "*.x");
	ck_assert_int_eq(c->since, 5);
	ck_assert_int_eq(c->until, 6);
	ck_assert_uint_eq(c->min_size, 1000);
	ck_assert_uint_eq(c->max_size, (uint64_t)1 << 53);
}
END_TEST

START_TEST(test_control__reads_ids_in_hex)
{
	const struct ft_control_command *c;

	c = command("\"command\":\"getFile\",\"client_id_hex\":\"00ff41\",\"file_id_hex\":\"Fe\"");
	ck_assert_ptr_null(c->wrong);
	ck_assert_uint_eq(c->key.owner_len, 3);
	ck_assert_mem_eq(c->key.owner, "\0\377A", 3);
	ck_assert_uint_eq(c->key.file_len, 1);
	ck_assert_mem_eq(c->key.file, "\376", 1);
}
END_TEST

START_TEST(test_control__reads_the_places_that_it_writes)
{
	const struct ft_control_place place = { "n\0m", 3, "id", 2 };
	char members[200], room[100];
	struct ft_buf buf = ft_buf_on(room, sizeof room);
	const struct ft_control_command *c;

	ft_control_put_place(&buf, &place);
	ck_assert_str_eq(room, "\"cursor\":\"6964006e006d\"");
	ck_assert_uint_eq(ft_control_place_room(&place), 12);
	snprintf(members, sizeof members, "\"command\":\"listFiles\",\"sort\":\"name\",%s", room);
	c = command(members);
	ck_assert_ptr_null(c->wrong);
	ck_assert_int_eq(c->sort, FT_SORT_NAME);
	ck_assert_uint_eq(c->place.value_len, 3);
	ck_assert_mem_eq(c->place.value, "n\0m", 3);
	ck_assert_uint_eq(c->place.id_len, 2);
	c = command("\"command\":\"listClients\",\"client\":\"c*\",\"cursor\":\"0061\"");
	ck_assert_ptr_null(c->wrong);
	ck_assert_str_eq(c->pattern, "c*");
	ck_assert_uint_eq(c->place.id_len, 0);
	ck_assert_mem_eq(c->place.value, "a", 1);
}
END_TEST

START_TEST(test_control__reads_whom_a_file_is_offered_to)
{
	const struct ft_control_command *c;

	c = command("\"command\":\"offerFile\",\"client_id\":\"c\",\"file_id\":\"f\",\"to\":\"client/../x\","
		    "\"name\":\"a/b.bin\",\"replace\":true");
	ck_assert_ptr_null(c->wrong);
	ck_assert_int_eq(c->offer.scope, FT_OFFER_CLIENT);
	ck_assert_str_eq(c->offer.whose, "%2E.%2Fx");
	ck_assert_str_eq(c->offer.path, "a/b.bin");
	ck_assert(c->offer.replace);
	c = command("\"command\":\"listOffers\",\"to\":\"all\",\"cursor\":\"4//x\",\"limit\":3");
	ck_assert_ptr_null(c->wrong);
	ck_assert_int_eq(c->offer.scope, FT_OFFER_ALL);
	ck_assert_str_eq(c->offer.whose, "");
	ck_assert_str_eq(c->offer.after, "4//x");
	ck_assert_uint_eq(c->limit, 3);
	c = command("\"command\":\"listOffers\"");
	ck_assert_ptr_null(c->offer.to);
	ck_assert_int_eq(c->offer.scope, 0);
}
END_TEST

START_TEST(test_control__says_what_is_wrong_with_a_command)
{
	static const char *const wrong[] = {
		"", "\"command\":1", "\"command\":\"\"", "\"command\":\"GetStatus\"",
		"\"command\":\"getFile\"", "\"command\":\"getFile\",\"client_id\":\"c\"",
		"\"command\":\"getFile\",\"client_id\":1,\"file_id\":\"f\"",
		"\"command\":\"getFile\",\"client_id\":\"c\",\"file_id\":\"\"",
		"\"command\":\"getFile\",\"client_id_hex\":\"0\",\"file_id\":\"f\"",
		"\"command\":\"getFile\",\"client_id_hex\":\"0g\",\"file_id\":\"f\"",
		"\"command\":\"pauseClient\"", "\"command\":\"getStatus\",\"correlationData\":1",
		"\"command\":\"listFiles\",\"limit\":0", "\"command\":\"listFiles\",\"limit\":1001",
		"\"command\":\"listFiles\",\"limit\":\"5\"", "\"command\":\"listFiles\",\"since\":1.5",
		"\"command\":\"listFiles\",\"until\":-1", "\"command\":\"listFiles\",\"min_size\":1e99",
		"\"command\":\"listFiles\",\"cursor\":\"\"", "\"command\":\"listFiles\",\"cursor\":\"x\"",
		"\"command\":\"listFiles\",\"cursor\":\"11111111111111111\"",
		"\"command\":\"listFiles\",\"name\":[]",
		"\"command\":\"getFile\",\"client_id\":\"c\",\"file_id\":\"f\",\"url_ttl\":0",
		"\"command\":\"getFile\",\"client_id\":\"c\",\"file_id\":\"f\",\"url_ttl\":604801",
		"\"command\":\"getFile\",\"client_id\":\"c\",\"file_id\":\"f\",\"url_ttl\":\"1\"",
		"\"command\":\"listFiles\",\"sort\":1", "\"command\":\"listFiles\",\"sort\":\"Name\"",
		"\"command\":\"listFiles\",\"sort\":\"name\",\"cursor\":\"12\"",
		"\"command\":\"listFiles\",\"sort\":\"size\",\"cursor\":\"0\"",
		"\"command\":\"listFiles\",\"sort\":\"size\",\"cursor\":\"00zz\"",
		"\"command\":\"listFiles\",\"cursor\":\"610000000000000062\"",
		"\"command\":\"listClients\",\"client\":1", "\"command\":\"listClients\",\"cursor\":\"61\"",
		"\"command\":\"offerFile\",\"to\":\"all\"",
		"\"command\":\"offerFile\",\"client_id\":\"c\",\"file_id\":\"f\"",
		"\"command\":\"offerFile\",\"client_id\":\"c\",\"file_id\":\"f\",\"to\":\"\"",
		"\"command\":\"offerFile\",\"client_id\":\"c\",\"file_id\":\"f\",\"to\":\"all/x\"",
		"\"command\":\"offerFile\",\"client_id\":\"c\",\"file_id\":\"f\",\"to\":\"group/a/b\"",
		"\"command\":\"offerFile\",\"client_id\":\"c\",\"file_id\":\"f\",\"to\":\"all\",\"name\":\"a/.b\"",
		"\"command\":\"offerFile\",\"client_id\":\"c\",\"file_id\":\"f\",\"to\":\"all\",\"replace\":1",
		"\"command\":\"withdrawOffer\",\"to\":\"all\"", "\"command\":\"withdrawOffer\",\"name\":\"x\"",
		"\"command\":\"listOffers\",\"to\":\"nobody\"", "\"command\":\"listOffers\",\"cursor\":1",
		"\"command\":\"listJobs\",\"status\":1",
	};

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		ck_assert_msg(command(wrong[i])->wrong != NULL, "%s", wrong[i]);
	parse("{\"commands\":[1]}");
	ck_assert_ptr_nonnull(control->commands[0].wrong);
	ck_assert_str_eq(control->commands[0].name, "");
}
END_TEST

#define REFUSES(text) refuses(text, sizeof text - 1)

START_TEST(test_control__refuses_messages_of_another_shape)
{
	REFUSES("");
	REFUSES("hello");
	REFUSES("[]");
	REFUSES("{}");
	REFUSES("{\"commands\":{}}");
	REFUSES("{\"commands\":[}");
	REFUSES("{\"commands\":[\"\xff\"]}");
	REFUSES("{\"commands\":[\"a\0b\"]}");
	REFUSES("{\"commands\":[\"a\\u0000b\"]}");
	REFUSES("{\"commands\":[[[[[[[[[1]]]]]]]]]}");
	REFUSES("{\"commands\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}");
}
END_TEST

START_TEST(test_control__takes_brackets_within_texts_for_text)
{
	parse("{\"commands\":[\"\\\"[[[[[[[[[[[[[[\"]}");
	ck_assert_uint_eq(control->count, 1);
}
END_TEST

START_TEST(test_control__refuses_what_is_larger_than_64_kib)
{
	size_t len = FT_CONTROL_SIZE_MAX + 1;
	char *text = malloc(len);

	ck_assert_ptr_nonnull(text);
	memset(text, ' ', len);
	memcpy(text, "{\"commands\":[]}", 15);
	refuses(text, len);
	free(text);
}
END_TEST

START_TEST(test_control__writes_members_with_their_commas)
{
	char room[512];
	struct ft_buf buf = ft_buf_on(room, sizeof room);
	const struct ft_key key = { "\0c", 2, "f\"", 2 };

	ft_buf_char(&buf, '{');
	ft_control_put_key(&buf, &key);
	ft_control_open(&buf, "list", '[');
	ft_control_open_entry(&buf);
	ft_control_put_number(&buf, "n", 1);
	ft_control_put_truth(&buf, "t", true);
	ft_buf_char(&buf, '}');
	ft_control_open_entry(&buf);
	ft_buf_str(&buf, "}]");
	ft_control_put_time(&buf, "at", 0);
	ft_control_put_cursor(&buf, 255);
	ft_buf_char(&buf, '}');
	ck_assert_str_eq(room, "{\"client_id_hex\":\"0063\",\"file_id\":\"f\\\"\",\"list\":[{\"n\":1,"
			       "\"t\":true},{}],\"at\":\"1970-01-01T00:00:00.000Z\",\"cursor\":\"ff\"}");
}
END_TEST

START_TEST(test_control__set_limits_says_whose_and_which)
{
	static const struct {
		const char *members;
		const char *wrong;	/* a part of why; NULL: it is right */
	} rows[] = {
		{ "\"client\":\"c*\",\"limits\":{\"client_rate\":1}", NULL },
		{ "\"user\":\"u\",\"unset\":[\"client_rate\"],\"limits\":{}", NULL },
		{ "\"client\":\"c\",\"user\":\"u\",\"remove\":true,\"limits\":null", NULL },
		{ "\"limits\":{}", "whose limits?" },
		{ "\"client\":7,\"limits\":{}", "client is a pattern" },
		{ "\"client\":\"c\",\"user\":[],\"limits\":{}", "user is a" },
		{ "\"client\":\"c\"", "either limits or unset" },
		{ "\"client\":\"c\",\"remove\":false", "either limits or unset" },
		{ "\"client\":\"c\",\"remove\":true,\"limits\":{}", "either limits or unset" },
		{ "\"client\":\"c\",\"remove\":1", "remove is true or false" },
		{ "\"client\":\"c\",\"limits\":[]", "limits is an object" },
		{ "\"client\":\"c\",\"unset\":{}", "unset is an array" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct ft_control_command *c;
		char members[200];

		snprintf(members, sizeof members, "\"command\":\"setLimits\",%s", rows[i].members);
		c = command(members);
		if (rows[i].wrong)
			ck_assert_ptr_nonnull(strstr(c->wrong, rows[i].wrong));
		else
			ck_assert_ptr_null(c->wrong);
	}
	/* To others they mean nothing. */
	ck_assert_ptr_null(command("\"command\":\"getStatus\",\"limits\":7,\"client\":[]")->wrong);
}
END_TEST

FT_SUITE_WITH("control", NULL, teardown,
	 test_control__reads_commands_in_order,
	 test_control__has_defaults_for_what_is_not_said,
	 test_control__reads_what_is_said,
	 test_control__reads_ids_in_hex,
	 test_control__reads_the_places_that_it_writes,
	 test_control__reads_whom_a_file_is_offered_to,
	 test_control__says_what_is_wrong_with_a_command,
	 test_control__refuses_messages_of_another_shape,
	 test_control__takes_brackets_within_texts_for_text,
	 test_control__refuses_what_is_larger_than_64_kib,
	 test_control__writes_members_with_their_commas,
	 test_control__set_limits_says_whose_and_which);
