/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Offered files, asked for as AWS's clients do. */
#include <check.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/downloads/downloads.h"
#include "../lib/rig.h"
#include "../suite.h"

#define GET "$aws/things/c/streams/s/get/json"
#define GET_CBOR "$aws/things/c/streams/s/get/cbor"
#define DESCRIBE "$aws/things/c/streams/s/describe/json"
#define DATA "$aws/things/c/streams/s/data/json"
#define REJECTED "$aws/things/c/streams/s/rejected/json"
#define FILE_SIZE 2000
#define PATH_ROOM 600

static struct rig rig;
static char content[FILE_SIZE + 1];

static void set_up(void)
{
	rig_setup(&rig, "fs");
	rig.options.downloads = FT_DOWNLOADS_AWS;
	rig.options.offers_interval = 1;
	for (size_t i = 0; i < FILE_SIZE; i++)
		content[i] = (char)('a' + i / 256);
}

static void tear_down(void)
{
	rig_teardown(&rig);
}

/* A file that was written a while ago, put there by rename. */
static void put(const char *folder, const char *name, const char *text)
{
	const struct timespec times[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	char aside[PATH_ROOM], path[PATH_ROOM];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", rig_path(&rig, folder), name);
	for (char *slash = path + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		mkdir(path, 0750);
		*slash = '/';
	}
	snprintf(aside, sizeof aside, "%s", rig_path(&rig, "aside"));
	file = fopen(aside, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(text, 1, strlen(text), file), strlen(text));
	fclose(file);
	ck_assert_int_eq(utimensat(AT_FDCWD, aside, times, 0), 0);
	ck_assert_int_eq(rename(aside, path), 0);
}

static size_t awaited_offers;

static bool are_offered(void)
{
	const struct ft_offers *offers = rig.engine->downloads ? engine_offers(rig.engine) : NULL;
	size_t hashed = 0;

	rig.now_ms += 10;
	for (size_t i = 0; offers && i < offers->count; i++)
		hashed += offers->offer[i].hashed;
	return hashed >= awaited_offers;
}

static void start(size_t offers)
{
	rig_start(&rig);
	awaited_offers = offers;
	rig_wait_until(&rig, are_offered);
}

static void start_with_file(void)
{
	put("offers/all/streams/s", "0", content);
	start(1);
}

static void ask(const char *topic, const char *payload)
{
	ck_assert_int_eq(rig_send_text(&rig, "c", topic, payload), FT_OK);
}

static size_t awaited_blocks;

static bool are_there(void)
{
	rig.now_ms += 10;
	return rig.blocks >= awaited_blocks;
}

/* Asks, and waits until so many messages have come since the beginning. */
static void ask_for(const char *topic, const char *payload, size_t messages)
{
	ask(topic, payload);
	awaited_blocks = messages;
	rig_wait_until(&rig, are_there);
	ck_assert_uint_eq(rig.blocks, messages);
}

static void assert_message(size_t number, const char *topic, const char *text)
{
	const struct rig_block *message = &rig.block[number];

	ck_assert_str_eq(message->client, "c");
	ck_assert_str_eq(message->topic, topic);
	ck_assert_msg(message->len >= strlen(text) && memcmp(message->bytes, text, strlen(text)) == 0,
		      "%.*s", (int)message->len, (char *)message->bytes);
}

/* One of those that have come. Runs of blocks are read side by side: their order is nobody's. */
static void assert_some_message(const char *topic, const char *text)
{
	size_t found = 0;

	for (size_t i = 0; i < rig.blocks; i++) {
		const struct rig_block *message = &rig.block[i];

		found += strcmp(message->topic, topic) == 0 && message->len >= strlen(text)
			 && memcmp(message->bytes, text, strlen(text)) == 0;
	}
	ck_assert_msg(found == 1, "%zu of %s", found, text);
}

static void assert_rejected(size_t number, const char *code)
{
	char wanted[100];

	snprintf(wanted, sizeof wanted, "{\"code\":\"%s\",\"o\":\"%s\",\"message\":\"", code, code);
	assert_message(number, REJECTED, wanted);
}

START_TEST(test_streams__deliver_each_block_in_a_message)
{
	start_with_file();
	ask_for(GET, "{\"c\":\"x\",\"f\":0,\"l\":256,\"o\":5,\"n\":5}", 3);
	assert_message(0, DATA, "{\"c\":\"x\",\"f\":0,\"l\":256,\"i\":5,\"p\":\"ZmZm");
	assert_message(1, DATA, "{\"c\":\"x\",\"f\":0,\"l\":256,\"i\":6,\"p\":\"Z2dn");
	assert_message(2, DATA, "{\"c\":\"x\",\"f\":0,\"l\":208,\"i\":7,\"p\":\"aGho");
	ck_assert_uint_eq(rig.responses, 0);
	ck_assert_uint_eq(rig.blocks_open, 0);
}
END_TEST

START_TEST(test_streams__deliver_what_bitmaps_ask_for)
{
	static const char *const wanted[] = {
		"{\"f\":0,\"l\":256,\"i\":0,\"p\":\"YWFh", "{\"f\":0,\"l\":256,\"i\":2,\"p\":\"Y2Nj",
		"{\"f\":0,\"l\":256,\"i\":3,\"p\":\"ZGRk", "{\"f\":0,\"l\":208,\"i\":7,\"p\":\"aGho",
	};

	start_with_file();
	ask_for(GET, "{\"f\":0,\"l\":256,\"b\":\"8d\"}", 4);
	for (size_t i = 0; i < 4; i++)
		assert_some_message(DATA, wanted[i]);
}
END_TEST

START_TEST(test_streams__answer_in_the_encoding_of_the_topic)
{
	const char request[] = "\xa2" "\x61" "f\x18\x07" "\x61" "l\x19\x01\x00";

	start_with_file();
	put("offers/all/streams/s", "7", "abc");
	awaited_offers = 2;
	rig_wait_until(&rig, are_offered);
	ck_assert_int_eq(rig_send(&rig, "c", GET_CBOR, request, sizeof request - 1), FT_OK);
	awaited_blocks = 1;
	rig_wait_until(&rig, are_there);
	assert_message(0, "$aws/things/c/streams/s/data/cbor", "");
	ck_assert_uint_eq(rig.block[0].len, 16);
	ck_assert_mem_eq(rig.block[0].bytes, "\xa4" "\x61" "f\x07" "\x61" "l\x03" "\x61" "i\0" "\x61" "pCabc", 16);
}
END_TEST

START_TEST(test_streams__describe_the_files_that_a_client_sees)
{
	put("offers/all/streams/s", "10", "abc");
	put("offers/all/streams/s", "2", "ab");
	put("offers/all/streams/s", "02", "x");
	put("offers/all/streams/s", "256", "x");
	put("offers/all/streams/s", "x", "x");
	put("offers/client/c/streams/s", "2", "a");
	put("offers/client/d/streams/s", "3", "a");
	put("offers/all/streams/sx", "4", "a");
	start(8);
	ask_for(DESCRIBE, "", 1);
	assert_message(0, "$aws/things/c/streams/s/description/json",
		       "{\"s\":1,\"d\":\"\",\"r\":[{\"f\":2,\"z\":1},{\"f\":10,\"z\":3}]}");
	ask_for(DESCRIBE, "{\"c\":\"x\"}", 2);
	assert_message(1, "$aws/things/c/streams/s/description/json", "{\"c\":\"x\",\"s\":1,");
}
END_TEST

START_TEST(test_streams__reject_with_one_message)
{
	static const struct {
		const char *topic, *payload, *code;
	} rows[] = {
		{ GET, "{", "InvalidJson" }, { GET, "{\"f\":0,\"l\":256,\"o\":8}", "InvalidRequest" },
		{ GET, "{\"f\":1,\"l\":256}", "ResourceNotFound" },
		{ GET, "{\"f\":0,\"l\":256,\"s\":3}", "VersionMismatch" },
		{ GET, "{\"f\":0,\"l\":2}", "BlockSizeOutOfBounds" },
		{ GET, "{\"f\":0,\"l\":256,\"o\":100000}", "OffsetOutOfBounds" },
		{ DESCRIBE, "[]", "InvalidRequest" },
	};
	const size_t count = sizeof rows / sizeof rows[0];

	start_with_file();
	for (size_t i = 0; i < count; i++) {
		ask_for(rows[i].topic, rows[i].payload, i + 1);
		assert_rejected(i, rows[i].code);
	}
	ask_for("$aws/things/c/streams/s%2F../get/json", "{\"f\":0,\"l\":256}", count + 1);
	assert_message(count, "$aws/things/c/streams/s%2F../rejected/json", "{\"code\":\"ResourceNotF");
	ask_for("$aws/things/c/streams/t/describe/json", "", count + 2);
	assert_message(count + 1, "$aws/things/c/streams/t/rejected/json", "{\"code\":\"ResourceNotF");
	ck_assert_uint_eq(rig.blocks_open, 0);
}
END_TEST

START_TEST(test_streams__are_for_things_that_are_the_client_or_its_user)
{
	start_with_file();
	ask_for("$aws/things/d/streams/s/get/json", "{\"c\":\"x\",\"f\":0,\"l\":256,\"n\":1}", 1);
	assert_message(0, "$aws/things/d/streams/s/rejected/json",
		       "{\"clientToken\":\"x\",\"c\":\"x\",\"code\":\"Unauthorized\"");
	rig.user = "dd";
	ask_for("$aws/things/d/streams/s/get/json", "{\"f\":0,\"l\":256,\"n\":1}", 2);
	assert_message(1, "$aws/things/d/streams/s/rejected/json", "{\"code\":\"Unauthorized\"");
	rig.user = "d";
	ask_for("$aws/things/d/streams/s/get/json", "{\"f\":0,\"l\":256,\"n\":1}", 3);
	assert_message(2, "$aws/things/d/streams/s/data/json", "{\"f\":0,\"l\":256,\"i\":0,");
}
END_TEST

START_TEST(test_streams__of_others_do_not_exist)
{
	put("offers/client/d/streams/s", "0", content);
	start(1);
	ask_for(GET, "{\"f\":0,\"l\":256}", 1);
	assert_rejected(0, "ResourceNotFound");
	ask_for(DESCRIBE, "", 2);
	assert_rejected(1, "ResourceNotFound");
}
END_TEST

/* The first ones are read, and one message says that the rest was too much. */
START_TEST(test_streams__take_as_many_pieces_as_requests_are_allowed)
{
	rig.options.max_requests_per_client = 2;
	start_with_file();
	ask_for(GET, "{\"f\":0,\"l\":256,\"b\":\"55\"}", 3);
	for (size_t i = 0; i < 3; i++)
		ck_assert(strcmp(rig.block[i].topic, i == 0 ? REJECTED : DATA) == 0);
	assert_rejected(0, "InternalError");
}
END_TEST

START_TEST(test_streams__forget_clients_that_have_gone)
{
	start_with_file();
	ask(GET, "{\"f\":0,\"l\":256,\"b\":\"55\"}");
	ft_engine_disconnected(rig.engine, "c");
	rig_stop(&rig);
	ck_assert_uint_eq(rig.blocks_open, 0);
}
END_TEST

START_TEST(test_streams__with_ids_that_the_library_cuts_are_named_in_the_log)
{
	put("offers/all/streams/a2345678901234567890123456789012345678901234", "0", "x");
	put("offers/all/streams/b23456789012345678901234567890123456789012345", "0", "x");
	start(2);
	ft_logger_drain(rig.logger);
	ck_assert(rig_logged(&rig, "offers/all/streams/b23456789012345678901234567890123456789012345/0 "
				   "is offered: AWS's library cuts ids"));
	ck_assert(!rig_logged(&rig, "streams/a2345678901234567890123456789012345678901234/0"));
}
END_TEST

FT_SUITE_WITH("engine streams", set_up, tear_down,
	 test_streams__deliver_each_block_in_a_message,
	 test_streams__deliver_what_bitmaps_ask_for,
	 test_streams__answer_in_the_encoding_of_the_topic,
	 test_streams__describe_the_files_that_a_client_sees,
	 test_streams__reject_with_one_message,
	 test_streams__are_for_things_that_are_the_client_or_its_user,
	 test_streams__of_others_do_not_exist,
	 test_streams__take_as_many_pieces_as_requests_are_allowed,
	 test_streams__forget_clients_that_have_gone,
	 test_streams__with_ids_that_the_library_cuts_are_named_in_the_log);
