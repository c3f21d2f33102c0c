/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Requests and answers, among them those of AWS's libraries, byte for byte. */
#include "protocol/aws_stream.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"
#include "base/hex.h"

static const struct ft_aws_topic json = {
	.thing = "t", .thing_len = 1, .stream = "s", .stream_len = 1,
	.word = FT_AWS_GET, .encoding = FT_AWS_JSON,
};
static const struct ft_aws_topic cbor = {
	.thing = "t", .thing_len = 1, .stream = "s", .stream_len = 1,
	.word = FT_AWS_GET, .encoding = FT_AWS_CBOR,
};
static const struct ft_aws_topic describe_json = { .word = FT_AWS_DESCRIBE, .encoding = FT_AWS_JSON };
static const struct ft_aws_topic describe_cbor = { .word = FT_AWS_DESCRIBE, .encoding = FT_AWS_CBOR };

static struct ft_aws_request request;
static struct ft_aws_blocks blocks;

/* A payload of just its size: overruns are seen. */
static enum ft_aws_verdict parse(const struct ft_aws_topic *topic, const void *payload, size_t len)
{
	void *exact = malloc(len > 0 ? len : 1);
	enum ft_aws_verdict verdict;

	ck_assert_ptr_nonnull(exact);
	memcpy(exact, payload, len);
	memset(&request, 0xa5, sizeof request);
	verdict = ft_aws_request_parse(&request, topic, exact, len);
	free(exact);
	return verdict;
}

static enum ft_aws_verdict parse_json(const char *text)
{
	return parse(&json, text, strlen(text));
}

static enum ft_aws_verdict parse_hex(const char *hex)
{
	uint8_t bytes[256];
	size_t len = strlen(hex) / 2;

	ck_assert(len <= sizeof bytes && ft_hex_decode(bytes, hex, len));
	return parse(&cbor, bytes, len);
}

static bool token_is(const char *text)
{
	return request.token.given && request.token.len == strlen(text)
	       && memcmp(request.token.text, text, request.token.len) == 0;
}

/* Which blocks a file of this size has for the request, as "0 1 2"; or the verdict's number. */
static const char *chosen(uint64_t size)
{
	static char room[4096];
	struct ft_buf to = ft_buf_on(room, sizeof room);
	enum ft_aws_verdict verdict = ft_aws_choose(&blocks, &request, size);

	if (verdict != FT_AWS_OK)
		return verdict == FT_AWS_OUT_OF_RANGE ? "out of range" : "other";
	for (size_t i = 0; i < blocks.count; i++)
		ft_buf_printf(&to, i ? " %u" : "%u", blocks.index[i]);
	return room;
}

/* --- as recorded --- */

/* aws-iot-core-mqtt-file-streams-embedded-c: {"c":"rdy","f":0,"l":4096,"o":3,"b":'MQ==',"n":1} */
START_TEST(test_aws_stream__takes_the_placeholder_of_the_library_for_no_bitmap)
{
	ck_assert_int_eq(parse_hex("a6616363726479616600616c191000616f03616244"
				   "4d513d3d616e01"), FT_AWS_OK);
	ck_assert(token_is("rdy") && request.file == 0 && request.block_size == 4096);
	ck_assert(request.offset == 3 && request.count == 1 && !request.by_bitmap);
	ck_assert_str_eq(chosen(1000003), "3");
}
END_TEST

/* aws-iot-core-mqtt-file-streams-embedded-c in JSON. */
START_TEST(test_aws_stream__answers_the_library_in_json)
{
	ck_assert_int_eq(parse_json("{\"s\": 1,\"f\": 0,\"l\": 256,\"o\": 0,\"n\": 1}"), FT_AWS_OK);
	ck_assert(!request.token.given && request.block_size == 256 && request.count == 1);
	ck_assert_str_eq(chosen(1000), "0");
	ck_assert_int_eq(parse_json("{ \"s\" : 1, \"f\": 1, \"l\": 256, \"o\": 0, \"n\": 1 }"),
			 FT_AWS_OK);
	ck_assert_int_eq(request.file, 1);
}
END_TEST

/* ota-for-aws-iot-embedded-sdk 3.4.0, ota_cbor_utest.c, with otaconfigMAX_NUM_BLOCKS_REQUEST 4. */
START_TEST(test_aws_stream__reads_bitmaps_of_the_ota_agent)
{
	ck_assert_int_eq(parse_hex("a6616372546869734973" "41436c69656e74546f6b656e616601616c1910"
				   "00616f00616244aaaaaaaa616e04"), FT_AWS_OK);
	ck_assert(token_is("ThisIsAClientToken") && request.file == 1);
	ck_assert(request.by_bitmap && request.bitmap_len == 4 && request.count == 4);
	ck_assert_str_eq(chosen(32 * 4096), "1 3 5 7");
	ck_assert_str_eq(chosen(31 * 4096 + 1), "1 3 5 7");
	ck_assert_str_eq(chosen(31 * 4096), "out of range");
}
END_TEST

/* The OTA agent has "rdy" for its token, and bitmaps that are meant. */
START_TEST(test_aws_stream__takes_other_bitmaps_for_bitmaps_with_the_token_rdy)
{
	ck_assert_int_eq(parse_hex("a6616363726479616600616c191000616f00616244"
				   "4d513d3c616e08"), FT_AWS_OK);
	ck_assert(request.by_bitmap);
	ck_assert_str_eq(chosen(32 * 4096), "0 2 3 6 8 12 14 16");
	ck_assert_int_eq(parse_hex("a6616363726479616600616c191000616f00616241ff616e02"), FT_AWS_OK);
	ck_assert_str_eq(chosen(8 * 4096), "0 1");
	ck_assert_int_eq(parse_hex("a6616363726478616600616c191000616f00616244"
				   "4d513d3d616e08"), FT_AWS_OK);
	ck_assert(request.by_bitmap);
}
END_TEST

/* The developer guide's example. */
START_TEST(test_aws_stream__reads_the_guides_example)
{
	ck_assert_int_eq(parse_json("{\"c\":\"1bb8aaa1-5c18-4d21-80c2-0b44fee10380\",\"s\":1,\"f\":1,"
				    "\"l\":4096,\"o\":2,\"n\":100,\"b\":\"0xaa\"}"), FT_AWS_OK);
	ck_assert(token_is("1bb8aaa1-5c18-4d21-80c2-0b44fee10380"));
	ck_assert_str_eq(chosen(100 * 4096), "3 5 7 9");
}
END_TEST

/* --- requests --- */

START_TEST(test_aws_stream__has_defaults_for_what_is_not_said)
{
	ck_assert_int_eq(parse_json("{\"f\":0,\"l\":65536}"), FT_AWS_OK);
	ck_assert(!request.token.given && request.offset == 0 && request.count == 2);
	ck_assert_int_eq(parse_json("{\"f\":0,\"l\":70000,\"n\":0,\"c\":null,\"b\":null,\"s\":null,"
				    "\"o\":null,\"x\":{\"f\":[9]}}"), FT_AWS_OK);
	ck_assert(!request.token.given && !request.by_bitmap && request.count == 1);
	ck_assert_int_eq(parse_hex("bf616600616c1910006163f66162f6617a9fffff"), FT_AWS_OK);
	ck_assert(request.count == 32 && !request.token.given && !request.by_bitmap);
}
END_TEST

START_TEST(test_aws_stream__reads_numbers_however_json_writes_them)
{
	ck_assert_int_eq(parse_json("{\"f\":2.0,\"l\":1e3,\"o\":-0,\"n\":10E-1,\"\\u0073\":1}"),
			 FT_AWS_OK);
	ck_assert(request.file == 2 && request.block_size == 1000 && request.count == 1);
}
END_TEST

START_TEST(test_aws_stream__reads_hex_of_either_case)
{
	static const char *const bitmaps[] = { "aAfF", "0xAAff", "0XaaFF", "\\u0061aFF" };
	char text[100];

	for (size_t i = 0; i < sizeof bitmaps / sizeof bitmaps[0]; i++) {
		snprintf(text, sizeof text, "{\"f\":0,\"l\":256,\"b\":\"%s\"}", bitmaps[i]);
		ck_assert_int_eq(parse_json(text), FT_AWS_OK);
		ck_assert(request.by_bitmap && request.bitmap_len == 2);
		ck_assert_mem_eq(request.bitmap, "\xaa\xff", 2);
	}
	ck_assert_int_eq(parse_json("{\"f\":0,\"l\":256,\"b\":\"MQ==\",\"c\":\"rdy\"}"), FT_AWS_OK);
	ck_assert(!request.by_bitmap);
	ck_assert_int_eq(parse_json("{\"f\":0,\"l\":256,\"b\":\"4d513d3d\",\"c\":\"rdy\"}"), FT_AWS_OK);
	ck_assert(request.by_bitmap);
}
END_TEST

START_TEST(test_aws_stream__reads_strings_in_chunks)
{
	ck_assert_int_eq(parse_hex("bf7f6163ff7f61726264" "79ff616600616c1910006162" "5f4101418" "0ffff"),
			 FT_AWS_OK);
	ck_assert(token_is("rdy") && request.bitmap_len == 2);
	ck_assert_mem_eq(request.bitmap, "\x01\x80", 2);
}
END_TEST

START_TEST(test_aws_stream__refuses_what_breaks_a_rule_in_json)
{
	static const struct {
		const char *text;
		enum ft_aws_verdict verdict;
	} rows[] = {
		{ "", FT_AWS_INVALID_JSON }, { "{", FT_AWS_INVALID_JSON },
		{ "{}{}", FT_AWS_INVALID_JSON }, { "{\"f\":0,\"l\":256}x", FT_AWS_INVALID_JSON },
		{ "{\"f\":0,\"l\":256,\"x\":\"\xff\"}", FT_AWS_INVALID_JSON },
		{ "{\"f\":0,\"l\":256,\"x\":\"\\ud800\"}", FT_AWS_INVALID_JSON },
		{ "{\"f\":0,\"l\":256,\"x\":[[[[[[[[1]]]]]]]]}", FT_AWS_INVALID_JSON },
		{ "{\"f\":00,\"l\":256}", FT_AWS_INVALID_JSON },
		{ "[]", FT_AWS_NO_OBJECT }, { "1", FT_AWS_NO_OBJECT }, { "null", FT_AWS_NO_OBJECT },
		{ "{\"f\":0,\"l\":256,\"c\":1}", FT_AWS_INVALID_TOKEN },
		{ "{}", FT_AWS_INVALID_FILE }, { "{\"l\":256}", FT_AWS_INVALID_FILE },
		{ "{\"f\":null,\"l\":256}", FT_AWS_INVALID_FILE },
		{ "{\"f\":-1,\"l\":256}", FT_AWS_INVALID_FILE },
		{ "{\"f\":256,\"l\":256}", FT_AWS_INVALID_FILE },
		{ "{\"f\":\"0\",\"l\":256}", FT_AWS_INVALID_FILE },
		{ "{\"f\":0.5,\"l\":256}", FT_AWS_INVALID_FILE },
		{ "{\"f\":0}", FT_AWS_INVALID_MEMBER }, { "{\"f\":0,\"l\":true}", FT_AWS_INVALID_MEMBER },
		{ "{\"f\":0,\"l\":256.5}", FT_AWS_INVALID_MEMBER },
		{ "{\"f\":0,\"l\":256,\"s\":\"1\"}", FT_AWS_INVALID_MEMBER },
		{ "{\"f\":0,\"l\":256,\"o\":[]}", FT_AWS_INVALID_MEMBER },
		{ "{\"f\":0,\"l\":256,\"n\":{}}", FT_AWS_INVALID_MEMBER },
		{ "{\"f\":0,\"l\":256,\"n\":1e99}", FT_AWS_INVALID_MEMBER },
		{ "{\"f\":0,\"l\":256,\"b\":1}", FT_AWS_INVALID_MEMBER },
		{ "{\"f\":0,\"l\":256,\"b\":\"abc\"}", FT_AWS_INVALID_MEMBER },
		{ "{\"f\":0,\"l\":256,\"b\":\"0x0\"}", FT_AWS_INVALID_MEMBER },
		{ "{\"f\":0,\"l\":256,\"b\":\"MQ==\",\"c\":\"x\"}", FT_AWS_INVALID_MEMBER },
		{ "{\"f\":0,\"l\":256,\"b\":\"xx\"}", FT_AWS_INVALID_MEMBER },
		{ "{\"f\":0,\"l\":1,\"s\":2}", FT_AWS_VERSION_MISMATCH },
		{ "{\"f\":0,\"l\":256,\"s\":-1}", FT_AWS_VERSION_MISMATCH },
		{ "{\"f\":0,\"l\":255}", FT_AWS_BLOCK_SIZE }, { "{\"f\":0,\"l\":131073}", FT_AWS_BLOCK_SIZE },
		{ "{\"f\":0,\"l\":-5}", FT_AWS_BLOCK_SIZE },
		{ "{\"f\":0,\"l\":256,\"o\":-1}", FT_AWS_OFFSET },
		{ "{\"f\":0,\"l\":256,\"o\":98305}", FT_AWS_OFFSET },
		{ "{\"f\":0,\"l\":256,\"n\":98305}", FT_AWS_BLOCK_COUNT },
		{ "{\"f\":0,\"l\":256,\"n\":-1}", FT_AWS_BLOCK_COUNT },
		{ "{\"f\":0,\"l\":256,\"n\":98304,\"o\":98304,\"s\":1}", FT_AWS_OK },
		{ "{\"f\":255,\"l\":131072}", FT_AWS_OK },
		{ "{\"f\":0,\"l\":256,\"x\":[[[[[[[1]]]]]]],\"y\":\"[[[[[[[[[[\\\"[\"}", FT_AWS_OK },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		ck_assert_msg(parse_json(rows[i].text) == rows[i].verdict, "%s: %d", rows[i].text,
			      (int)parse_json(rows[i].text));
}
END_TEST

START_TEST(test_aws_stream__refuses_what_breaks_a_rule_in_cbor)
{
	static const struct {
		const char *hex;
		enum ft_aws_verdict verdict;
	} rows[] = {
		{ "", FT_AWS_INVALID_CBOR }, { "a2616600616c191000" "00", FT_AWS_INVALID_CBOR },
		{ "a2616600616cf95c00", FT_AWS_INVALID_CBOR },
		{ "d9d9f7a2616600616c191000", FT_AWS_INVALID_CBOR },
		{ "a3616600616c191000616361ff", FT_AWS_INVALID_CBOR },
		{ "80", FT_AWS_NO_OBJECT }, { "a3616600616c1910006163436162" "63", FT_AWS_INVALID_TOKEN },
		{ "a0", FT_AWS_INVALID_FILE }, { "a2616620616c191000", FT_AWS_INVALID_FILE },
		{ "a261661901" "00616c191000", FT_AWS_INVALID_FILE },
		{ "a24166" "00616c191000", FT_AWS_INVALID_FILE },
		{ "a1616600", FT_AWS_INVALID_MEMBER }, { "a2616600616c6132", FT_AWS_INVALID_MEMBER },
		{ "a3616600616c191000616261" "61", FT_AWS_INVALID_MEMBER },
		{ "a3616600616c191000616ff4", FT_AWS_INVALID_MEMBER },
		{ "a3616600616c191000617302", FT_AWS_VERSION_MISMATCH },
		{ "a2616600616c18ff", FT_AWS_BLOCK_SIZE },
		{ "a3616600616c191000616f20", FT_AWS_OFFSET },
		{ "a3616600616c191000616e1a00018001", FT_AWS_BLOCK_COUNT },
		{ "a3616600616c191000616e1a00018000", FT_AWS_OK },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		ck_assert_msg(parse_hex(rows[i].hex) == rows[i].verdict, "%s: %d", rows[i].hex,
			      (int)parse_hex(rows[i].hex));
}
END_TEST

START_TEST(test_aws_stream__keeps_the_token_of_what_it_refuses)
{
	ck_assert_int_eq(parse_json("{\"c\":\"x\\u0000y\",\"f\":0,\"l\":1}"), FT_AWS_BLOCK_SIZE);
	ck_assert(request.token.given && request.token.len == 3);
	ck_assert_int_eq(parse_json("{\"c\":\"x\",\"l\":1}"), FT_AWS_INVALID_FILE);
	ck_assert(token_is("x"));
	ck_assert_int_eq(parse_json("{\"c\":\"x\""), FT_AWS_INVALID_JSON);
	ck_assert(!request.token.given);
}
END_TEST

START_TEST(test_aws_stream__takes_tokens_of_64_bytes)
{
	char text[200];

	snprintf(text, sizeof text, "{\"c\":\"%064d\",\"f\":0,\"l\":256}", 0);
	ck_assert_int_eq(parse_json(text), FT_AWS_OK);
	ck_assert_uint_eq(request.token.len, 64);
	snprintf(text, sizeof text, "{\"c\":\"%065d\",\"f\":0,\"l\":256}", 0);
	ck_assert_int_eq(parse_json(text), FT_AWS_INVALID_TOKEN);
	ck_assert(!request.token.given);
	ck_assert_int_eq(parse_json("{\"c\":\"\",\"f\":0,\"l\":256}"), FT_AWS_OK);
	ck_assert(token_is(""));
}
END_TEST

/* A request with a bitmap of so many bytes of ones. */
static enum ft_aws_verdict parse_bitmap(const struct ft_aws_topic *topic, size_t len)
{
	static char room[FT_AWS_JSON_MAX];
	struct ft_buf to = ft_buf_on(room, sizeof room);
	const uint8_t head[] = { 0x59, (uint8_t)(len >> 8), (uint8_t)len };

	if (topic->encoding == FT_AWS_JSON) {
		ft_buf_str(&to, "{\"f\":0,\"l\":256,\"b\":\"");
		for (size_t i = 0; i < len; i++)
			ft_buf_str(&to, "ff");
		ft_buf_str(&to, "\"}");
	} else {
		ft_buf_bytes(&to, "\xa3\x61" "f\0\x61l\x19\1\0\x61" "b", 11);
		ft_buf_bytes(&to, head, sizeof head);
		for (size_t i = 0; i < len; i++)
			ft_buf_char(&to, '\xff');
	}
	ck_assert(ft_buf_ok(&to));
	return parse(topic, room, to.len);
}

START_TEST(test_aws_stream__takes_bitmaps_below_12288_bytes)
{
	const struct ft_aws_topic *const topics[] = { &json, &cbor };

	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(parse_bitmap(topics[i], 12287), FT_AWS_OK);
		ck_assert_uint_eq(request.bitmap_len, 12287);
		ck_assert_uint_eq(request.bitmap[12286], 0xff);
		ck_assert_int_eq(parse_bitmap(topics[i], 12288), FT_AWS_BITMAP);
		ck_assert_int_eq(parse_bitmap(topics[i], 13000), FT_AWS_BITMAP);
	}
}
END_TEST

START_TEST(test_aws_stream__does_not_read_requests_that_are_too_long)
{
	static char text[FT_AWS_JSON_MAX];
	static const char members[] = "{\"f\":0,\"l\":256}";

	memset(text, ' ', sizeof text);
	memcpy(text, members, sizeof members - 1);
	ck_assert_int_eq(parse(&json, text, FT_AWS_JSON_MAX - 1), FT_AWS_OK);
	ck_assert_int_eq(parse(&json, text, FT_AWS_JSON_MAX), FT_AWS_TOO_LONG);
	ck_assert_int_eq(parse(&cbor, text, FT_AWS_CBOR_MAX - 1), FT_AWS_INVALID_CBOR);
	ck_assert_int_eq(parse(&cbor, text, FT_AWS_CBOR_MAX), FT_AWS_TOO_LONG);
}
END_TEST

START_TEST(test_aws_stream__describes_for_a_token_or_nothing)
{
	ck_assert_int_eq(parse(&describe_json, "", 0), FT_AWS_OK);
	ck_assert_int_eq(parse(&describe_cbor, "", 0), FT_AWS_OK);
	ck_assert(!request.token.given);
	ck_assert_int_eq(parse(&describe_json, "{\"c\":\"ec944cfb\"}", 16), FT_AWS_OK);
	ck_assert(token_is("ec944cfb"));
	ck_assert_int_eq(parse(&describe_cbor, "\xa1\x61" "c\x61x", 5), FT_AWS_OK);
	ck_assert(token_is("x"));
	ck_assert_int_eq(parse(&describe_json, "[]", 2), FT_AWS_NO_OBJECT);
	ck_assert_int_eq(parse(&describe_json, "{\"c\":2}", 7), FT_AWS_INVALID_TOKEN);
	ck_assert_int_eq(parse(&describe_cbor, "\xa1", 1), FT_AWS_INVALID_CBOR);
}
END_TEST

/* --- which blocks --- */

START_TEST(test_aws_stream__ends_a_run_with_the_file)
{
	ck_assert_int_eq(parse_json("{\"f\":0,\"l\":256,\"o\":2,\"n\":5}"), FT_AWS_OK);
	ck_assert_str_eq(chosen(10000), "2 3 4 5 6");
	ck_assert_str_eq(chosen(1025), "2 3 4");
	ck_assert_str_eq(chosen(1024), "2 3");
	ck_assert_str_eq(chosen(513), "2");
	ck_assert_str_eq(chosen(512), "out of range");
	ck_assert_str_eq(chosen(0), "out of range");
	ck_assert_str_eq(chosen(UINT64_MAX), "2 3 4 5 6");
}
END_TEST

START_TEST(test_aws_stream__begins_a_bitmap_at_the_offset)
{
	ck_assert_int_eq(parse_json("{\"f\":0,\"l\":256,\"o\":10,\"b\":\"8103\"}"), FT_AWS_OK);
	ck_assert_str_eq(chosen(10000), "10 17 18 19");
	ck_assert_str_eq(chosen(20 * 256), "10 17 18 19");
	ck_assert_str_eq(chosen(19 * 256 + 1), "10 17 18 19");
	ck_assert_str_eq(chosen(19 * 256), "out of range");
	ck_assert_int_eq(parse_json("{\"f\":0,\"l\":256,\"o\":10,\"n\":2,\"b\":\"8103\"}"), FT_AWS_OK);
	ck_assert_str_eq(chosen(10000), "10 17");
}
END_TEST

START_TEST(test_aws_stream__refuses_bitmaps_that_ask_for_nothing)
{
	ck_assert_int_eq(parse_json("{\"f\":0,\"l\":256,\"b\":\"0000\"}"), FT_AWS_OK);
	ck_assert_int_eq(ft_aws_choose(&blocks, &request, 10000), FT_AWS_EMPTY_BITMAP);
	ck_assert_int_eq(parse_json("{\"f\":0,\"l\":256,\"b\":\"\"}"), FT_AWS_OK);
	ck_assert_int_eq(ft_aws_choose(&blocks, &request, 10000), FT_AWS_EMPTY_BITMAP);
}
END_TEST

START_TEST(test_aws_stream__sends_128_kib_at_most)
{
	ck_assert_int_eq(parse_json("{\"f\":0,\"l\":256,\"n\":98304}"), FT_AWS_OK);
	ck_assert_int_eq(ft_aws_choose(&blocks, &request, 1000000), FT_AWS_OK);
	ck_assert_uint_eq(blocks.count, 512);
	ck_assert_uint_eq(blocks.index[511], 511);
	ck_assert_int_eq(parse_bitmap(&cbor, 100), FT_AWS_OK);
	ck_assert_int_eq(ft_aws_choose(&blocks, &request, 1000000), FT_AWS_OK);
	ck_assert_uint_eq(blocks.count, 512);
	ck_assert_int_eq(parse_json("{\"f\":0,\"l\":131072,\"n\":9}"), FT_AWS_OK);
	ck_assert_str_eq(chosen(131073), "0");
	ck_assert_int_eq(parse_json("{\"f\":0,\"l\":100000,\"n\":9}"), FT_AWS_OK);
	ck_assert_str_eq(chosen(131072), "0 1");
	ck_assert_str_eq(chosen(131073), "0");
}
END_TEST

START_TEST(test_aws_stream__knows_how_long_a_block_is)
{
	ck_assert_uint_eq(ft_aws_block_len(256, 0, 1), 1);
	ck_assert_uint_eq(ft_aws_block_len(256, 1, 512), 256);
	ck_assert_uint_eq(ft_aws_block_len(256, 2, 513), 1);
	ck_assert_uint_eq(ft_aws_block_len(131072, 196608, UINT64_MAX), 131072);
}
END_TEST

/* --- answers --- */

static char written[8192];

static void assert_written(const struct ft_buf *to, const char *hex)
{
	char room[2 * 8192];
	struct ft_buf as_hex = ft_buf_on(room, sizeof room);

	ck_assert(ft_buf_ok(to));
	ft_buf_hex(&as_hex, (const uint8_t *)to->text, to->len);
	ck_assert_str_eq(room, hex);
}

static struct ft_aws_token token_of(const char *text)
{
	struct ft_aws_token token = { .given = true, .len = strlen(text) };

	memcpy(token.text, text, token.len);
	return token;
}

static const struct ft_aws_token none;

START_TEST(test_aws_stream__writes_data_in_json)
{
	const struct ft_aws_token token = token_of("a\"/\x7f");
	struct ft_aws_block block = { .file = 3, .index = 70000, .bytes = "\xff\xef\xfe?", .len = 4 };
	struct ft_buf to = ft_buf_on(written, sizeof written);

	ft_aws_write_data(&to, &json, &token, &block);
	ck_assert_str_eq(written, "{\"c\":\"a\\\"/\\u007f\",\"f\":3,\"l\":4,\"i\":70000,\"p\":\"/+/+Pw==\"}");
	block = (struct ft_aws_block){ .bytes = "abc", .len = 3 };
	to = ft_buf_on(written, sizeof written);
	ft_aws_write_data(&to, &json, &none, &block);
	ck_assert_str_eq(written, "{\"f\":0,\"l\":3,\"i\":0,\"p\":\"YWJj\"}");
}
END_TEST

START_TEST(test_aws_stream__writes_data_in_cbor)
{
	const struct ft_aws_token token = token_of("rdy");
	const struct ft_aws_block block = { .file = 3, .index = 300, .bytes = "\xff\xef\xfe?", .len = 4 };
	struct ft_buf to = ft_buf_on(written, sizeof written);

	ft_aws_write_data(&to, &cbor, &token, &block);
	assert_written(&to, "a56163637264796166" "03616c04616919012c617044ffeffe3f");
	to = ft_buf_on(written, sizeof written);
	ft_aws_write_data(&to, &cbor, &none, &block);
	assert_written(&to, "a4616603616c04616919012c617044ffeffe3f");
}
END_TEST

START_TEST(test_aws_stream__has_room_for_the_largest_data)
{
	static uint8_t bytes[FT_AWS_BLOCK_MAX];
	struct ft_aws_token token = { .given = true, .len = FT_AWS_TOKEN_MAX };	/* NUL bytes */
	const struct ft_aws_block block = {
		.file = 255, .index = 196599, .bytes = bytes, .len = sizeof bytes,
	};
	size_t room = ft_aws_data_room(block.len);
	char *text = malloc(room);
	struct ft_buf to = ft_buf_on(text, room);

	ft_aws_write_data(&to, &json, &token, &block);
	ck_assert(ft_buf_ok(&to) && to.len == strlen(text) && text[to.len - 1] == '}');
	to = ft_buf_on(text, room);
	ft_aws_write_data(&to, &cbor, &token, &block);
	ck_assert(ft_buf_ok(&to));
	to = ft_buf_on(text, 100);
	ft_aws_write_data(&to, &json, &none, &block);
	ck_assert(!ft_buf_ok(&to));
	free(text);
}
END_TEST

START_TEST(test_aws_stream__writes_descriptions)
{
	const struct ft_aws_file files[] = { { 0, 1000003 }, { 10, 23 } };
	const struct ft_aws_token token = token_of("x");
	struct ft_buf to = ft_buf_on(written, sizeof written);

	ft_aws_write_description(&to, &json, &none, files, 2);
	ck_assert_str_eq(written, "{\"s\":1,\"d\":\"\",\"r\":[{\"f\":0,\"z\":1000003},{\"f\":10,\"z\":23}]}");
	to = ft_buf_on(written, sizeof written);
	ft_aws_write_description(&to, &json, &token, files, 1);
	ck_assert_str_eq(written, "{\"c\":\"x\",\"s\":1,\"d\":\"\",\"r\":[{\"f\":0,\"z\":1000003}]}");
	to = ft_buf_on(written, sizeof written);
	ft_aws_write_description(&to, &cbor, &token, files, 2);
	assert_written(&to, "a461636178617301616460617282a2616600617a1a000f4243a261660a617a17");
	to = ft_buf_on(written, sizeof written);
	ft_aws_write_description(&to, &cbor, &none, files, 0);
	assert_written(&to, "a3617301616460617280");
}
END_TEST

START_TEST(test_aws_stream__has_room_for_the_largest_description)
{
	struct ft_aws_file files[FT_AWS_FILES_MAX];
	struct ft_aws_token token = { .given = true, .len = FT_AWS_TOKEN_MAX };
	char room[FT_AWS_DESCRIPTION_ROOM];
	struct ft_buf to = ft_buf_on(room, sizeof room);

	for (size_t i = 0; i < FT_AWS_FILES_MAX; i++)
		files[i] = (struct ft_aws_file){ .file = 255, .size = UINT64_MAX };
	ft_aws_write_description(&to, &json, &token, files, FT_AWS_FILES_MAX);
	ck_assert(ft_buf_ok(&to));
}
END_TEST

START_TEST(test_aws_stream__says_why_it_refuses)
{
	const struct ft_aws_token token = token_of("x");
	struct ft_buf to = ft_buf_on(written, sizeof written);

	ft_aws_write_rejected(&to, &json, &token, FT_AWS_VERSION_MISMATCH);
	ck_assert_str_eq(written, "{\"clientToken\":\"x\",\"c\":\"x\",\"code\":\"VersionMismatch\","
			 "\"o\":\"VersionMismatch\",\"message\":\"the version of every stream is 1\","
			 "\"m\":\"the version of every stream is 1\"}");
	to = ft_buf_on(written, sizeof written);
	ft_aws_write_rejected(&to, &json, &none, FT_AWS_OUT_OF_RANGE);
	ck_assert_str_eq(written, "{\"code\":\"InvalidRequest\",\"o\":\"InvalidRequest\",\"message\":\"The "
			 "data requested is out of the range of data available\",\"m\":\"The data "
			 "requested is out of the range of data available\"}");
	to = ft_buf_on(written, sizeof written);
	ft_aws_write_rejected(&to, &cbor, &token, FT_AWS_BLOCK_SIZE);
	assert_written(&to, "a66b636c69656e74546f6b656e617861636178"
			    "64636f646574426c6f636b53697a654f75744f66426f756e6473"
			    "616f74426c6f636b53697a654f75744f66426f756e6473"
			    "676d657373616765726c2069732032353620746f20313331303732"
			    "616d726c2069732032353620746f20313331303732");
}
END_TEST

START_TEST(test_aws_stream__has_room_for_every_refusal)
{
	struct ft_aws_token token = { .given = true, .len = FT_AWS_TOKEN_MAX };

	for (int verdict = FT_AWS_OK + 1; verdict < FT_AWS_VERDICT_COUNT; verdict++) {
		char room[FT_AWS_REJECTED_ROOM];
		struct ft_buf to = ft_buf_on(room, sizeof room);

		ft_aws_write_rejected(&to, &json, &token, (enum ft_aws_verdict)verdict);
		ck_assert_msg(ft_buf_ok(&to), "%d", verdict);
	}
}
END_TEST

FT_SUITE("aws streams",
	 test_aws_stream__takes_the_placeholder_of_the_library_for_no_bitmap,
	 test_aws_stream__answers_the_library_in_json,
	 test_aws_stream__reads_bitmaps_of_the_ota_agent,
	 test_aws_stream__takes_other_bitmaps_for_bitmaps_with_the_token_rdy,
	 test_aws_stream__reads_the_guides_example,
	 test_aws_stream__has_defaults_for_what_is_not_said,
	 test_aws_stream__reads_numbers_however_json_writes_them,
	 test_aws_stream__reads_hex_of_either_case,
	 test_aws_stream__reads_strings_in_chunks,
	 test_aws_stream__refuses_what_breaks_a_rule_in_json,
	 test_aws_stream__refuses_what_breaks_a_rule_in_cbor,
	 test_aws_stream__keeps_the_token_of_what_it_refuses,
	 test_aws_stream__takes_tokens_of_64_bytes,
	 test_aws_stream__takes_bitmaps_below_12288_bytes,
	 test_aws_stream__does_not_read_requests_that_are_too_long,
	 test_aws_stream__describes_for_a_token_or_nothing,
	 test_aws_stream__ends_a_run_with_the_file,
	 test_aws_stream__begins_a_bitmap_at_the_offset,
	 test_aws_stream__refuses_bitmaps_that_ask_for_nothing,
	 test_aws_stream__sends_128_kib_at_most,
	 test_aws_stream__knows_how_long_a_block_is,
	 test_aws_stream__writes_data_in_json,
	 test_aws_stream__writes_data_in_cbor,
	 test_aws_stream__has_room_for_the_largest_data,
	 test_aws_stream__writes_descriptions,
	 test_aws_stream__has_room_for_the_largest_description,
	 test_aws_stream__says_why_it_refuses,
	 test_aws_stream__has_room_for_every_refusal);
