/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/aws_topic.h"

#include <check.h>
#include <string.h>

#include "../suite.h"

#define STREAM_32 "abcdefghijklmnopqrstuvwxyzABCDEF"
#define STREAM_128 STREAM_32 STREAM_32 STREAM_32 STREAM_32

static struct ft_aws_topic topic;

START_TEST(test_aws_topic__is_a_request)
{
	static const char text[] = "$aws/things/my thing/streams/AFR-1_b/describe/cbor";

	ck_assert_int_eq(ft_aws_topic_parse(&topic, text), FT_AWS_TOPIC_REQUEST);
	ck_assert(topic.thing_len == 8 && strncmp(topic.thing, "my thing", 8) == 0);
	ck_assert(topic.stream_len == 7 && strncmp(topic.stream, "AFR-1_b", 7) == 0);
	ck_assert(topic.word == FT_AWS_DESCRIBE && topic.encoding == FT_AWS_CBOR);
	ck_assert_int_eq(ft_aws_topic_parse(&topic, "$aws/things/t/streams/s/get/json"),
			 FT_AWS_TOPIC_REQUEST);
	ck_assert(topic.word == FT_AWS_GET && topic.encoding == FT_AWS_JSON);
}
END_TEST

START_TEST(test_aws_topic__is_an_answer)
{
	static const char *const answers[] = {
		"$aws/things/t/streams/s/data/json", "$aws/things/t/streams/s/data/cbor",
		"$aws/things/t/streams/s/description/json", "$aws/things/t/streams/s/rejected/cbor",
	};

	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
		ck_assert_int_eq(ft_aws_topic_parse(&topic, answers[i]), FT_AWS_TOPIC_ANSWER);
}
END_TEST

START_TEST(test_aws_topic__is_foreign_if_it_has_another_shape)
{
	static const char *const others[] = {
		"", "$aws", "$aws/things/", "$aws/things/t", "$aws/things/t/streams/s/get",
		"$aws/things/t/streams/s/get/", "$aws/things/t/streams/s/get/json/",
		"$aws/things/t/streams/s/get/json/x", "$aws/things/t/streams/s/get/xml",
		"$aws/things/t/streams/s/put/json", "$aws/things/t/streams/s/Get/json",
		"$aws/things/t/stream/s/get/json", "$aws/things/t/streams//get/json",
		"$aws/things//streams/s/get/json", "$aws/things/t/streams/s/get/jso",
		"$aws/things/t/jobs/s/get/json", "aws/things/t/streams/s/get/json",
		"$aws/things/t/streams/s/t/get/json", "$aws/things/t/streams/s/ge/json",
	};

	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		ck_assert_msg(ft_aws_topic_parse(&topic, others[i]) == FT_AWS_TOPIC_FOREIGN, "%s",
			      others[i]);
}
END_TEST

START_TEST(test_aws_topic__has_answers_beside_it)
{
	char room[100];
	struct ft_buf to = ft_buf_on(room, sizeof room);

	(void)ft_aws_topic_parse(&topic, "$aws/things/t/streams/s/get/cbor");
	ft_aws_topic_write(&to, &topic, FT_AWS_DATA);
	ck_assert_str_eq(room, "$aws/things/t/streams/s/data/cbor");
	to = ft_buf_on(room, sizeof room);
	ft_aws_topic_write(&to, &topic, FT_AWS_REJECTED);
	ck_assert_str_eq(room, "$aws/things/t/streams/s/rejected/cbor");
}
END_TEST

static size_t path_of(const char *stream, uint8_t file, char path[FT_AWS_PATH_ROOM])
{
	static char text[400];

	snprintf(text, sizeof text, "$aws/things/t/streams/%s/get/cbor", stream);
	ck_assert_int_eq(ft_aws_topic_parse(&topic, text), FT_AWS_TOPIC_REQUEST);
	return ft_aws_path(path, &topic, file);
}

START_TEST(test_aws_topic__means_an_offered_path)
{
	char path[FT_AWS_PATH_ROOM];

	ck_assert_uint_eq(path_of("AFR_OTA-1", 0, path), strlen("streams/AFR_OTA-1/0"));
	ck_assert_str_eq(path, "streams/AFR_OTA-1/0");
	ck_assert_uint_eq(path_of(STREAM_128, 255, path), strlen("streams//255") + 128);
	ck_assert_str_eq(path, "streams/" STREAM_128 "/255");
}
END_TEST

START_TEST(test_aws_topic__means_no_path_if_the_stream_is_no_id)
{
	static const char *const others[] = { "..", ".", "a.b", "a b", "\xc3\xa4", STREAM_128 "x", "a\\" };
	char path[FT_AWS_PATH_ROOM];

	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		ck_assert_msg(path_of(others[i], 0, path) == 0, "%s", others[i]);
}
END_TEST

START_TEST(test_aws_topic__knows_which_streams_are_cut)
{
	ck_assert(!ft_aws_path_is_cut("streams/" STREAM_32 "abcdefghijkl/0"));
	ck_assert(ft_aws_path_is_cut("streams/" STREAM_32 "abcdefghijklm/0"));
	ck_assert(!ft_aws_path_is_cut("stream/" STREAM_128 "/0"));
	ck_assert(!ft_aws_path_is_cut("streams"));
}
END_TEST

START_TEST(test_aws_topic__knows_file_ids)
{
	static const char *const others[] = {
		"", "256", "00", "01", "-1", "+1", " 1", "1 ", "1000", "0x1", "1.", "a",
	};
	uint8_t file = 7;

	ck_assert(ft_aws_parse_file(&file, "0") && file == 0);
	ck_assert(ft_aws_parse_file(&file, "10") && file == 10);
	ck_assert(ft_aws_parse_file(&file, "255") && file == 255);
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		ck_assert_msg(!ft_aws_parse_file(&file, others[i]), "%s", others[i]);
}
END_TEST

FT_SUITE("aws topics",
	 test_aws_topic__is_a_request,
	 test_aws_topic__is_an_answer,
	 test_aws_topic__is_foreign_if_it_has_another_shape,
	 test_aws_topic__has_answers_beside_it,
	 test_aws_topic__means_an_offered_path,
	 test_aws_topic__means_no_path_if_the_stream_is_no_id,
	 test_aws_topic__knows_which_streams_are_cut,
	 test_aws_topic__knows_file_ids);
