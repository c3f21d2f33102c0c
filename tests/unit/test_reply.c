/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/reply.h"

#include <cjson/cJSON.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"

/* Writes into just the room that the reply says it needs, and reads it with a parser not ours. */
static cJSON *write_and_read(const struct ft_reply *reply)
{
	size_t room = ft_reply_room(reply);
	char *text = malloc(room);
	struct ft_buf buf = ft_buf_on(text, room);
	cJSON *json;

	ft_reply_write(&buf, reply);
	ck_assert(ft_buf_ok(&buf));
	json = cJSON_Parse(text);
	ck_assert_msg(json != NULL, "%s", text);
	free(text);
	return json;
}

static void assert_reply(const struct ft_reply *reply, const char *expected)
{
	cJSON *json = write_and_read(reply);
	char *text = cJSON_PrintUnformatted(json);

	ck_assert_str_eq(text, expected);
	free(text);
	cJSON_Delete(json);
}

START_TEST(test_reply__tells_code_and_word)
{
	struct ft_reply reply = { .status = FT_OK, .topic = "$file/f1/fin/1000" };

	assert_reply(&reply, "{\"vsn\":\"0.1\",\"topic\":\"$file/f1/fin/1000\",\"reason_code\":0,"
		     "\"reason_description\":\"success\"}");
	reply.status = FT_IO_ERROR;
	reply.detail = "because";
	assert_reply(&reply, "{\"vsn\":\"0.1\",\"topic\":\"$file/f1/fin/1000\",\"reason_code\":128,"
		     "\"reason_description\":\"io_error\",\"detail\":\"because\"}");
}
END_TEST

START_TEST(test_reply__says_why_wherever_it_is_no_success)
{
	for (int i = 0; i < FT_STATUS_COUNT; i++) {
		struct ft_reply reply = { .status = (enum ft_status)i, .topic = "t",
					  .detail = i % 2 ? "" : NULL };
		cJSON *json = write_and_read(&reply);
		const cJSON *detail = cJSON_GetObjectItem(json, "detail");

		if (reply.status == FT_OK)
			ck_assert_ptr_null(detail);
		else
			ck_assert_str_eq(detail->valuestring, ft_status_text(reply.status));
		cJSON_Delete(json);
	}
}
END_TEST

START_TEST(test_reply__may_say_more_of_a_success)
{
	struct ft_reply reply = { .topic = "t", .detail = "noted" };

	assert_reply(&reply, "{\"vsn\":\"0.1\",\"topic\":\"t\",\"reason_code\":0,"
		     "\"reason_description\":\"success\",\"detail\":\"noted\"}");
}
END_TEST

START_TEST(test_reply__knows_a_word_for_every_state)
{
	static const char *const words[] = {
		[FT_STATE_NONE] = "none", [FT_STATE_RECEIVING] = "receiving",
		[FT_STATE_ASSEMBLING] = "assembling", [FT_STATE_COMPLETE] = "complete",
	};

	for (int i = FT_STATE_NONE; i <= FT_STATE_COMPLETE; i++) {
		struct ft_reply reply = { .topic = "t", .state = (enum ft_state)i };
		cJSON *json = write_and_read(&reply);

		ck_assert_str_eq(cJSON_GetObjectItem(json, "state")->valuestring, words[i]);
		cJSON_Delete(json);
	}
}
END_TEST

START_TEST(test_reply__tells_when_to_try_again)
{
	struct ft_reply reply = { .status = FT_BUSY, .topic = "t", .detail = "later" };

	assert_reply(&reply, "{\"vsn\":\"0.1\",\"topic\":\"t\",\"reason_code\":151,"
		     "\"reason_description\":\"busy\",\"retry_after\":1,\"detail\":\"later\"}");
	reply.retry_after = 9;
	assert_reply(&reply, "{\"vsn\":\"0.1\",\"topic\":\"t\",\"reason_code\":151,"
		     "\"reason_description\":\"busy\",\"retry_after\":9,\"detail\":\"later\"}");
}
END_TEST

START_TEST(test_reply__tells_what_is_held_and_missing)
{
	struct ft_ranges held;
	struct ft_reply reply = {
		.status = FT_INCOMPLETE, .topic = "t", .state = FT_STATE_RECEIVING,
		.tell_held = true, .held = &held, .tell_missing = true, .missing_size = 100,
		.detail = "more",
	};

	ft_ranges_init(&held);
	ck_assert(ft_ranges_add(&held, 10, 20) == FT_OK && ft_ranges_add(&held, 50, 200) == FT_OK);
	assert_reply(&reply, "{\"vsn\":\"0.1\",\"topic\":\"t\",\"reason_code\":128,"
		     "\"reason_description\":\"incomplete\",\"state\":\"receiving\","
		     "\"received\":160,\"have\":[[10,10],[50,150]],"
		     "\"missing\":[[0,10],[20,30]],\"detail\":\"more\"}");
	ft_ranges_release(&held);
}
END_TEST

START_TEST(test_reply__tells_a_complete_file_as_one_range)
{
	struct ft_reply reply = {
		.topic = "t", .state = FT_STATE_COMPLETE, .tell_held = true, .complete_size = 7,
	};

	assert_reply(&reply, "{\"vsn\":\"0.1\",\"topic\":\"t\",\"reason_code\":0,"
		     "\"reason_description\":\"success\",\"state\":\"complete\","
		     "\"received\":7,\"have\":[[0,7]]}");
	reply.complete_size = 0;
	reply.state = FT_STATE_NONE;
	assert_reply(&reply, "{\"vsn\":\"0.1\",\"topic\":\"t\",\"reason_code\":0,"
		     "\"reason_description\":\"success\",\"state\":\"none\","
		     "\"received\":0,\"have\":[]}");
}
END_TEST

START_TEST(test_reply__cuts_lists_at_100_and_says_so)
{
	struct ft_ranges held;
	struct ft_reply reply = {
		.topic = "t", .tell_held = true, .held = &held,
		.tell_missing = true, .missing_size = INT64_MAX,
	};
	cJSON *json;

	ft_ranges_init(&held);
	for (uint64_t i = 1; i <= 100; i++)
		ck_assert(ft_ranges_add(&held, INT64_MAX - 2 * i, INT64_MAX - 2 * i + 1) == FT_OK);
	reply.tell_missing = false;
	json = write_and_read(&reply);
	ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "have")), 100);
	ck_assert(!cJSON_HasObjectItem(json, "truncated"));
	cJSON_Delete(json);
	ck_assert(ft_ranges_add(&held, 5, 6) == FT_OK);
	reply.tell_missing = true;
	json = write_and_read(&reply);
	ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "have")), 100);
	ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "missing")), 100);
	ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(json, "truncated")));
	cJSON_Delete(json);
	ft_ranges_release(&held);
}
END_TEST

START_TEST(test_reply__escapes_any_topic)
{
	char topic[1000];
	struct ft_reply reply = { .topic = topic };
	cJSON *json;

	memset(topic, '"', sizeof topic - 1);
	topic[sizeof topic - 1] = '\0';
	for (size_t i = 0; i < 31; i++)
		topic[i] = (char)(i + 1);
	topic[31] = '\\';
	json = write_and_read(&reply);
	ck_assert_str_eq(cJSON_GetObjectItem(json, "topic")->valuestring, topic);
	cJSON_Delete(json);
	memset(topic, '\001', sizeof topic - 1);
	json = write_and_read(&reply);
	ck_assert_str_eq(cJSON_GetObjectItem(json, "topic")->valuestring, topic);
	cJSON_Delete(json);
}
END_TEST

FT_SUITE("reply",
	 test_reply__tells_code_and_word,
	 test_reply__says_why_wherever_it_is_no_success,
	 test_reply__may_say_more_of_a_success,
	 test_reply__knows_a_word_for_every_state,
	 test_reply__tells_when_to_try_again,
	 test_reply__tells_what_is_held_and_missing,
	 test_reply__tells_a_complete_file_as_one_range,
	 test_reply__cuts_lists_at_100_and_says_so,
	 test_reply__escapes_any_topic);
