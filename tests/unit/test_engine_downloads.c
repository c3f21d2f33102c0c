/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Files for devices: what is offered to whom, and how it gets there. */
#include <check.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/system.h"
#include "engine/downloads/downloads.h"
#include "../lib/machine.h"
#include "../lib/rig.h"
#include "../suite.h"

#define HELLO_SHA "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define WORLD_SHA "486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7"
#define FOLDER_ROOM 600

static struct rig rig;

static void set_up(void)
{
	rig_setup(&rig, "fs");
	rig.options.downloads = FT_DOWNLOADS_NATIVE;
	rig.options.offers_interval = 1;
}

static void tear_down(void)
{
	rig_teardown(&rig);
}

/* --- files --- */

static void make_folders(const char *below)
{
	char path[FOLDER_ROOM];

	snprintf(path, sizeof path, "%s", rig_path(&rig, below));
	for (char *slash = path + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		mkdir(path, 0750);
		*slash = '/';
	}
}

/* A file that was written a while ago, put there by rename. */
static void put_bytes(const char *below, const void *bytes, size_t len)
{
	const struct timespec times[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	char aside[FOLDER_ROOM];
	FILE *file;

	make_folders(below);
	snprintf(aside, sizeof aside, "%s", rig_path(&rig, "aside"));
	file = fopen(aside, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
	fclose(file);
	ck_assert_int_eq(utimensat(AT_FDCWD, aside, times, 0), 0);
	ck_assert_int_eq(rename(aside, rig_path(&rig, below)), 0);
}

static void put(const char *below, const char *text)
{
	put_bytes(below, text, strlen(text));
}

static void take_away(const char *below)
{
	ck_assert_int_eq(unlink(rig_path(&rig, below)), 0);
}

/* --- waiting --- */

static const char *awaited_client, *awaited_path, *awaited_sha;

static const struct ft_offer *look_up(const char *client, const char *path)
{
	const struct ft_request request = { .client_id = client, .user = rig.user, .topic = "" };
	const struct ft_offer *offer = NULL;

	return engine_find_offer(rig.engine, &request, path, &offer) == FT_OK ? offer : NULL;
}

static bool is_offered(void)
{
	const struct ft_offer *offer = look_up(awaited_client, awaited_path);
	struct ft_sha256 sha;

	rig.now_ms += 10;
	if (!awaited_sha)
		return rig.engine->downloads && engine_offers(rig.engine) && !offer;
	ck_assert(ft_sha256_parse(&sha, awaited_sha, strlen(awaited_sha)));
	return offer && ft_sha256_equal(&offer->sha256, &sha);
}

/* Until a client gets this content under a path; NULL: nothing. */
static void wait_for_offer(const char *client, const char *path, const char *sha)
{
	awaited_client = client;
	awaited_path = path;
	awaited_sha = sha;
	rig_wait_until(&rig, is_offered);
}

static const char *awaited_topic, *awaited_text;

static bool is_said(void)
{
	const char *said = rig_said(&rig, awaited_topic);

	rig.now_ms += 10;
	return said && (awaited_text[0] ? strstr(said, awaited_text) != NULL : !said[0]);
}

static void wait_for_message(const char *topic, const char *text)
{
	awaited_topic = topic;
	awaited_text = text;
	rig_wait_until(&rig, is_said);
}

static size_t awaited_blocks;

static bool blocks_are_there(void)
{
	rig.now_ms += 10;
	return rig.blocks >= awaited_blocks;
}

static void wait_for_blocks(size_t count)
{
	awaited_blocks = count;
	rig_wait_until(&rig, blocks_are_there);
}

static const struct rig_block *last_block(void)
{
	ck_assert_uint_gt(rig.blocks, 0);
	return &rig.block[rig.blocks - 1];
}

static void assert_block(const char *client, const char *topic, const char *text)
{
	const struct rig_block *block = last_block();

	ck_assert_str_eq(block->client, client);
	ck_assert_str_eq(block->topic, topic);
	ck_assert_uint_eq(block->len, strlen(text));
	ck_assert(block->len == 0 || memcmp(block->bytes, text, block->len) == 0);
}

static enum ft_status ask(const char *client, const char *topic, const char *payload)
{
	return rig_send_text(&rig, client, topic, payload);
}

static const char *member(const char *topic, const char *key)
{
	return rig_member_of(&rig, topic, key);
}

/* Lines of other threads come when they are asked for. */
static bool logged(const char *text)
{
	ft_logger_drain(rig.logger);
	return rig_logged(&rig, text);
}

/* --- what is offered --- */

static void start_with_hello(void)
{
	put("offers/all/app.bin", "hello");
	rig_start(&rig);
	wait_for_offer("c", "app.bin", HELLO_SHA);
}

START_TEST(test_downloads__deliver_blocks_of_what_is_offered)
{
	start_with_hello();
	ck_assert_int_eq(ask("c", "$file-get/01/3/app.bin", ""), FT_OK);
	wait_for_blocks(1);
	assert_block("c", "$file-data/c/01/app.bin", "ell");
	ck_assert_int_eq(ask("c", "$file-get/3/100/app.bin", HELLO_SHA), FT_OK);
	wait_for_blocks(2);
	assert_block("c", "$file-data/c/3/app.bin", "lo");
	ck_assert_int_eq(ask("c", "$file-get/5/100/app.bin", ""), FT_OK);
	wait_for_blocks(3);
	assert_block("c", "$file-data/c/5/app.bin", "");
	ck_assert_int_eq(ask("c", "$file-get/9223372036854775807/1/app.bin", ""), FT_OK);
	wait_for_blocks(4);
	ck_assert_uint_eq(last_block()->len, 0);
	ck_assert_uint_eq(rig.responses, 0);
}
END_TEST

START_TEST(test_downloads__read_what_is_in_the_page_cache_at_once)
{
	start_with_hello();
	ck_assert_int_eq(ask("c", "$file-get/0/5/app.bin", ""), FT_OK);
	wait_for_blocks(1);	/* a worker opens it */
	ck_assert_uint_eq(rig.engine->metrics.blocks_cached, 0);
	ck_assert_int_eq(ask("c", "$file-get/0/5/app.bin", ""), FT_OK);
	if (rig.blocks == 1)	/* a file system without RWF_NOWAIT */
		wait_for_blocks(2);
	else
		ck_assert_uint_eq(rig.engine->metrics.blocks_cached, 1);
	ck_assert_uint_eq(rig.engine->metrics.blocks, 2);
	ck_assert_uint_eq(rig.engine->metrics.block_bytes, 10);
}
END_TEST

START_TEST(test_downloads__prefer_what_is_for_the_client_to_what_is_for_more)
{
	put("offers/groups", "late: client:c\nearly: client:c\n");
	put("offers/all/x", "hello");
	rig.user = "joe";
	rig_start(&rig);
	wait_for_offer("c", "x", HELLO_SHA);
	put("offers/group/early/x", "world");
	wait_for_offer("c", "x", WORLD_SHA);
	put("offers/group/late/x", "hello");
	wait_for_offer("c", "x", HELLO_SHA);
	put("offers/user/joe/x", "world");
	wait_for_offer("c", "x", WORLD_SHA);
	put("offers/client/c/x", "hello");
	wait_for_offer("c", "x", HELLO_SHA);
	/* Another one of that name, and one without a name. */
	wait_for_offer("d", "x", WORLD_SHA);
	rig.user = NULL;
	wait_for_offer("d", "x", HELLO_SHA);
}
END_TEST

START_TEST(test_downloads__find_folders_by_escaped_ids)
{
	put("offers/client/a%2Fb/x", "hello");
	put("offers/client/%2E%2E/x", "world");	/* of nobody: .. is %2E. */
	rig_start(&rig);
	wait_for_offer("a/b", "x", HELLO_SHA);
	ck_assert_ptr_null(look_up("..", "x"));
	ck_assert_ptr_null(look_up("a", "b/x"));
	ck_assert(logged( "offers/client/%2E%2E is not offered: no id has this name"));
}
END_TEST

START_TEST(test_downloads__tell_nobody_of_what_is_for_others)
{
	put("offers/client/c/x", "hello");
	rig_start(&rig);
	wait_for_offer("c", "x", HELLO_SHA);
	ck_assert_int_eq(ask("d", "$file-get/0/1/x", ""), FT_NO_SUCH_FILE);
	ck_assert_int_eq(ask("d", "$file-get/info/x", ""), FT_NO_SUCH_FILE);
	ck_assert_int_eq(ask("d", "$file-get/0/1/y", ""), FT_NO_SUCH_FILE);
	ck_assert_int_eq(ask("d", "$file-get/list", ""), FT_OK);
	ck_assert_str_eq(member("$file-get/list", "files"), "[]");
	ck_assert_int_eq(rig.response[0].status, FT_NO_SUCH_FILE);
	ck_assert_uint_eq(rig.responses, 4);
	ck_assert_uint_eq(rig.blocks, 0);
}
END_TEST

START_TEST(test_downloads__offer_no_unfinished_hidden_or_strange_files)
{
	if (!machine_has_openat2())
		FT_SKIP(MACHINE_NO_OPENAT2);
	put("offers/all/a.part", "hello");
	put("offers/all/.hidden", "hello");
	put("offers/all/b~", "hello");
	put("offers/all/plus+", "hello");
	make_folders("offers/all/sub/x");
	ck_assert_int_eq(mkfifo(rig_path(&rig, "offers/all/sub/pipe"), 0600), 0);
	ck_assert_int_eq(symlink("/etc/passwd", rig_path(&rig, "offers/all/passwd")), 0);
	ck_assert_int_eq(symlink("../../catalog.db", rig_path(&rig, "offers/all/up")), 0);
	ck_assert_int_eq(symlink("/etc", rig_path(&rig, "offers/all/etc")), 0);
	ck_assert_int_eq(symlink("sub", rig_path(&rig, "offers/all/again")), 0);
	ck_assert_int_eq(symlink("good", rig_path(&rig, "offers/all/link")), 0);
	put("offers/all/good", "hello");
	rig_start(&rig);
	wait_for_offer("c", "link", HELLO_SHA);
	wait_for_offer("c", "good", HELLO_SHA);
	ck_assert_int_eq(ask("c", "$file-get/list", ""), FT_OK);
	ck_assert_ptr_null(strstr(member("$file-get/list", "files"), "hidden"));
	ck_assert_uint_eq(engine_offers(rig.engine)->count, 2);
	ck_assert(logged( "offers/all/plus+ is not offered: a path is"));
	ck_assert(logged( "offers/all/sub/pipe is not offered: it is neither"));
	ck_assert(logged( "offers/all/passwd is not offered: the link leads out"));
	ck_assert(logged( "offers/all/up is not offered: the link leads out"));
	ck_assert(logged( "offers/all/etc is not offered: the link leads out"));
	ck_assert(logged( "offers/all/again is not offered: the link leads to something"));
	ck_assert(!logged( "hidden") && !logged( "a.part"));
	ck_assert_int_eq(ask("c", "$file-get/0/10/passwd", ""), FT_NO_SUCH_FILE);
}
END_TEST

START_TEST(test_downloads__complain_once)
{
	put("offers/all/plus+", "hello");
	start_with_hello();
	put("offers/all/y", "world");
	wait_for_offer("c", "y", WORLD_SHA);
	ck_assert(logged("plus+"));
	ck_assert_ptr_null(strstr(strstr(rig.log, "plus+") + 1, "plus+"));
}
END_TEST

static void write_in_place(const char *below, const char *text)
{
	FILE *file = fopen(rig_path(&rig, below), "r+");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

START_TEST(test_downloads__deliver_nothing_of_a_file_that_is_written_in_place)
{
	start_with_hello();
	ck_assert_int_eq(ask("c", "$file-get/0/5/app.bin", ""), FT_OK);
	wait_for_blocks(1);
	write_in_place("offers/all/app.bin", "world");
	ck_assert_int_eq(ask("c", "$file-get/0/5/app.bin", ""), FT_OK);
	ck_assert_int_eq(rig_wait_for(&rig, "$file-get/0/5/app.bin"), FT_BUSY);
	ck_assert_uint_eq(rig.blocks, 1);
	wait_for_offer("c", "app.bin", WORLD_SHA);	/* once it has rested */
	ck_assert_int_eq(ask("c", "$file-get/0/5/app.bin", ""), FT_OK);
	wait_for_blocks(2);
	assert_block("c", "$file-data/c/0/app.bin", "world");
}
END_TEST

START_TEST(test_downloads__say_what_is_offered_instead_of_what_is_expected)
{
	start_with_hello();
	ck_assert_int_eq(ask("c", "$file-get/0/5/app.bin", WORLD_SHA), FT_FILE_CHANGED);
	ck_assert_str_eq(member("$file-get/0/5/app.bin", "sha256"), "\"" HELLO_SHA "\"");
	ck_assert_str_eq(member("$file-get/0/5/app.bin", "size"), "5");
	ck_assert_uint_eq(rig.blocks, 0);
}
END_TEST

START_TEST(test_downloads__hash_nothing_again_after_a_restart)
{
	start_with_hello();
	rig_stop(&rig);
	rig_start(&rig);
	awaited_client = "c";
	awaited_path = "app.bin";
	awaited_sha = HELLO_SHA;
	rig_wait_until(&rig, is_offered);
	/* What had to be hashed would be busy until it was seen twice. */
	ck_assert_uint_eq(rig.engine->downloads ? look_up("c", "app.bin")->number : 0, 1);
	ck_assert(look_up("c", "app.bin")->told || look_up("c", "app.bin")->announced);
}
END_TEST

/* --- announcements --- */

START_TEST(test_downloads__announce_what_is_offered_and_withdraw_what_is_gone)
{
	put("offers/all/.app.bin.json", "{\"version\": 7}\n");
	start_with_hello();
	wait_for_message("$file-offer/all/app.bin",
			 "{\"path\":\"app.bin\",\"size\":5,\"sha256\":\"" HELLO_SHA "\","
			 "\"modified_at\":\"2001-09-09T01:46:40.000Z\",\"meta\":{\"version\": 7}}");
	ck_assert(rig.message[0].retain && rig.message[0].qos == 1 && rig.message[0].json);
	put("offers/client/c/d/e", "world");
	wait_for_message("$file-offer/client/c/d/e", WORLD_SHA);
	take_away("offers/client/c/d/e");
	wait_for_message("$file-offer/client/c/d/e", "");
	put("offers/all/app.bin", "world");
	wait_for_message("$file-offer/all/app.bin", WORLD_SHA);
	take_away("offers/all/.app.bin.json");
	wait_for_message("$file-offer/all/app.bin", "000Z\"}");
}
END_TEST

static void be_killed_with_an_offer(void)
{
	wait_for_message("$file-offer/all/app.bin", HELLO_SHA);
}

START_TEST(test_downloads__withdraw_what_went_while_the_broker_was_dead)
{
	put("offers/all/app.bin", "hello");
	rig_act_and_be_killed(&rig, be_killed_with_an_offer);
	take_away("offers/all/app.bin");
	rig_start(&rig);
	wait_for_message("$file-offer/all/app.bin", "");
	ck_assert_ptr_null(look_up("c", "app.bin"));
	rig_stop(&rig);
	rig_forget(&rig);
	rig_start(&rig);
	wait_for_offer("c", "app.bin", NULL);
	rig_pass(&rig, 2000);
	ck_assert_uint_eq(rig.messages, 0);
}
END_TEST

START_TEST(test_downloads__withdraw_all_when_announcing_is_turned_off)
{
	start_with_hello();
	wait_for_message("$file-offer/all/app.bin", HELLO_SHA);
	rig_stop(&rig);
	rig_forget(&rig);
	rig.options.announce = 0;
	rig_start(&rig);
	wait_for_message("$file-offer/all/app.bin", "");
	wait_for_offer("c", "app.bin", HELLO_SHA);
	rig_stop(&rig);
	rig_forget(&rig);
	rig_start(&rig);
	wait_for_offer("c", "app.bin", HELLO_SHA);
	rig_pass(&rig, 2000);
	ck_assert_uint_eq(rig.messages, 0);
}
END_TEST

START_TEST(test_downloads__ignore_meta_data_that_is_no_object)
{
	put("offers/all/.app.bin.json", "[1]");
	start_with_hello();
	wait_for_message("$file-offer/all/app.bin", "000Z\"}");
	ck_assert(logged( "is offered: without meta data, which is no JSON object"));
}
END_TEST

START_TEST(test_downloads__keep_groups_that_are_broken_as_they_were)
{
	put("offers/groups", "trial: client:c");
	put("offers/group/trial/x", "hello");
	rig_start(&rig);
	wait_for_offer("c", "x", HELLO_SHA);
	ck_assert(ft_engine_is_member(rig.engine, "c", NULL, "trial/x"));
	ck_assert(!ft_engine_is_member(rig.engine, "d", NULL, "trial"));
	ck_assert(!ft_engine_is_member(rig.engine, "c", NULL, "tria"));
	put("offers/groups", "trial client:d");
	put("offers/all/y", "world");
	wait_for_offer("c", "y", WORLD_SHA);
	ck_assert_ptr_nonnull(look_up("c", "x"));
	ck_assert(logged( "offers/groups is not offered: line 1: "));
	put("offers/groups", "trial: client:d");
	wait_for_offer("d", "x", HELLO_SHA);
	ck_assert_ptr_null(look_up("c", "x"));
}
END_TEST

/* --- info, list, report --- */

START_TEST(test_downloads__tell_all_about_a_file)
{
	put("offers/all/.app.bin.json", "{\"v\":1}");
	start_with_hello();
	ck_assert_int_eq(ask("c", "$file-get/info/app.bin", ""), FT_OK);
	ck_assert_str_eq(member("$file-get/info/app.bin", "path"), "\"app.bin\"");
	ck_assert_str_eq(member("$file-get/info/app.bin", "size"), "5");
	ck_assert_str_eq(member("$file-get/info/app.bin", "sha256"), "\"" HELLO_SHA "\"");
	ck_assert_str_eq(member("$file-get/info/app.bin", "max_block"), "65536");
	ck_assert_str_eq(member("$file-get/info/app.bin", "meta"), "{\"v\":1}");
}
END_TEST

static const char *listed(const char *payload)
{
	static char paths[8192];
	const cJSON *file;
	cJSON *files;

	ck_assert_int_eq(ask("c", "$file-get/list", payload), FT_OK);
	files = cJSON_GetObjectItem(rig_response(&rig, "$file-get/list")->json, "files");
	paths[0] = '\0';
	cJSON_ArrayForEach(file, files)
		snprintf(paths + strlen(paths), sizeof paths - strlen(paths), "%s ",
			 cJSON_GetObjectItem(file, "path")->valuestring);
	return paths;
}

START_TEST(test_downloads__list_what_a_client_sees_in_order)
{
	put("offers/all/b", "hello");
	put("offers/all/m/2", "hello");
	put("offers/all/z", "hello");
	put("offers/client/c/a", "hello");
	put("offers/client/c/m/2", "world");
	put("offers/client/c/m/1", "hello");
	put("offers/client/d/y", "hello");
	rig_start(&rig);
	wait_for_offer("d", "y", HELLO_SHA);
	wait_for_offer("c", "z", HELLO_SHA);
	ck_assert_str_eq(listed(""), "a b m/1 m/2 z ");
	ck_assert_str_eq(listed("{\"prefix\":\"m/\"}"), "m/1 m/2 ");
	ck_assert_str_eq(listed("{\"after\":\"b\"}"), "m/1 m/2 z ");
	ck_assert_str_eq(listed("{\"prefix\":\"m/\",\"after\":\"m/1\"}"), "m/2 ");
	ck_assert_str_eq(listed("{\"prefix\":\"m/\",\"after\":\"z\"}"), "");
	ck_assert_str_eq(member("$file-get/list", "truncated"), "false");
}
END_TEST

START_TEST(test_downloads__list_100_at_a_time)
{
	char below[100];

	for (int i = 0; i < 150; i++) {
		snprintf(below, sizeof below, "offers/all/%03d", i);
		put(below, "hello");
	}
	rig_start(&rig);
	for (int i = 0; i < 150; i++) {
		snprintf(below, sizeof below, "%03d", i);
		wait_for_offer("c", below, HELLO_SHA);
	}
	ck_assert_uint_eq(strlen(listed("")), 400);
	ck_assert_str_eq(member("$file-get/list", "truncated"), "true");
	ck_assert_uint_eq(strlen(listed("{\"after\":\"099\"}")), 200);
	ck_assert_str_eq(member("$file-get/list", "truncated"), "false");
}
END_TEST

START_TEST(test_downloads__publish_what_devices_report)
{
	const char *said;

	rig.user = "joe";
	start_with_hello();
	ck_assert_int_eq(ask("a:b", "$file-get/report/app.bin",
			     "{\"state\":\"installed\",\"sha256\":\"" HELLO_SHA "\"}"), FT_OK);
	said = rig_said(&rig, "$file-report/a%3Ab/app.bin");
	ck_assert_ptr_nonnull(said);
	ck_assert_ptr_nonnull(strstr(said, "{\"client_id\":\"a:b\",\"user\":\"joe\",\"at\":\""));
	ck_assert_ptr_nonnull(strstr(said, ",\"current\":true,\"state\":\"installed\",\"sha256\":\""
				     HELLO_SHA "\"}"));
	ck_assert(rig.message[rig.messages - 1].retain && rig.message[rig.messages - 1].qos == 1);
	ck_assert_int_eq(ask("a:b", "$file-get/report/app.bin", "{\"state\":\"failed\"}"),
			 FT_RATE_LIMITED);
	rig_pass(&rig, 1000);
	ck_assert_int_eq(ask("a:b", "$file-get/report/app.bin", "{\"state\":\"failed\"}"), FT_OK);
	ck_assert_ptr_nonnull(strstr(rig_said(&rig, "$file-report/a%3Ab/app.bin"),
				     "\"current\":false"));
	rig_pass(&rig, 1000);
	ck_assert_int_eq(ask("a:b", "$file-get/report/other", "{\"state\":\"failed\"}"),
			 FT_NO_SUCH_FILE);
}
END_TEST

/* --- bounds --- */

START_TEST(test_downloads__refuse_blocks_above_max_block)
{
	start_with_hello();
	ck_assert_int_eq(ask("c", "$file-get/0/65537/app.bin", ""), FT_BLOCK_TOO_LARGE);
	ck_assert_str_eq(member("$file-get/0/65537/app.bin", "max_block"), "65536");
}
END_TEST

START_TEST(test_downloads__publish_one_mebibyte_a_pass)
{
	static char large[3 << 20];

	memset(large, 'x', sizeof large);
	put_bytes("offers/all/large", large, sizeof large);
	put("offers/all/app.bin", "hello");
	rig_start(&rig);
	wait_for_offer("c", "app.bin", HELLO_SHA);
	for (; !look_up("c", "large"); rig_pass(&rig, 10))
		usleep(1000);
	ck_assert_int_eq(ask("c", "$file-get/0/65536/large", ""), FT_OK);
	wait_for_blocks(1);
	rig_pass(&rig, 1000);
	ck_assert_int_eq(ask("c", "$file-get/0/65536/large", ""), FT_OK);
	if (rig.engine->metrics.blocks_cached == 0)
		return;		/* a file system without RWF_NOWAIT */
	rig_pass(&rig, 1000);
	rig_forget(&rig);
	for (int i = 0; i < 40; i++)
		ck_assert_int_eq(ask("c", "$file-get/65536/65536/large", ""), FT_OK);
	ck_assert_uint_le(rig.blocks, 16);
	ft_engine_pass(rig.engine);
	(void)ft_engine_run(rig.engine, rig.now_ms);
	ck_assert_uint_le(rig.blocks, 33);
	wait_for_blocks(40);
}
END_TEST

START_TEST(test_downloads__let_so_many_requests_of_a_client_wait)
{
	rig.options.max_requests_per_client = 2;
	rig.options.client_download_bandwidth = 1;
	start_with_hello();
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(ask("c", "$file-get/0/5/app.bin", ""), FT_OK);
	ck_assert_int_eq(ask("c", "$file-get/0/5/app.bin", ""), FT_BUSY);
	ck_assert_int_eq(ask("d", "$file-get/0/5/app.bin", ""), FT_OK);
}
END_TEST

START_TEST(test_downloads__keep_to_the_bandwidth_and_refuse_after_5_s)
{
	rig.options.client_download_bandwidth = 5;
	start_with_hello();
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(ask("c", "$file-get/0/5/app.bin", ""), FT_OK);
	wait_for_blocks(1);
	for (int i = 0; i < 70; i++) {
		rig_pass(&rig, 100);
		usleep(2000);
	}
	rig_wait(&rig, 1);
	ck_assert_uint_ge(rig.blocks, 5);
	ck_assert_uint_le(rig.blocks, 8);
	ck_assert_int_eq(rig.response[0].status, FT_RATE_LIMITED);
	ck_assert_uint_eq(rig.blocks + rig.responses, 10);
}
END_TEST

START_TEST(test_downloads__drop_what_waits_for_a_client_that_has_gone)
{
	size_t charged;

	rig.options.client_download_bandwidth = 1;
	start_with_hello();
	ft_engine_disconnected(rig.engine, "c");
	charged = rig.engine->charged;
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(ask("c", "$file-get/0/5/app.bin", ""), FT_OK);
	ck_assert_uint_gt(rig.engine->charged, charged);
	ft_engine_disconnected(rig.engine, "c");
	ft_engine_disconnected(rig.engine, "nobody");
	ft_engine_disconnected(rig.engine, NULL);
	rig_settle(&rig);
	rig_pass(&rig, 10000);
	ck_assert_uint_eq(rig.engine->charged, charged);
	ck_assert_uint_le(rig.blocks, 1);
	ck_assert_uint_eq(rig.responses, 0);
}
END_TEST

START_TEST(test_downloads__answer_busy_beyond_max_memory)
{
	start_with_hello();
	rig.options.max_memory = 0;
	ck_assert_int_eq(ask("d", "$file-get/0/5/app.bin", ""), FT_BUSY);
	ck_assert_int_eq(ask("c", "$file-get/0/5/app.bin", ""), FT_BUSY);
}
END_TEST

START_TEST(test_downloads__open_64_files_at_most)
{
	char below[100], topic[100];

	for (int i = 0; i < 100; i++) {
		snprintf(below, sizeof below, "offers/all/%03d", i);
		put(below, "hello");
	}
	rig_start(&rig);
	for (int i = 0; i < 100; i++) {
		snprintf(below, sizeof below, "%03d", i);
		wait_for_offer("c", below, HELLO_SHA);
		snprintf(topic, sizeof topic, "$file-get/0/5/%03d", i);
		ck_assert_int_eq(ask("c", topic, ""), FT_OK);
		wait_for_blocks((size_t)i + 1);
	}
	rig_settle(&rig);
	snprintf(below, sizeof below, "/proc/%d/fd", (int)getpid());
	ck_assert_uint_le(tree_entries(below), 64 + 60);
}
END_TEST

/* --- events --- */

static size_t count_events(const char *word)
{
	char text[100];
	size_t count = 0;

	snprintf(text, sizeof text, "{\"type\":\"%s\",\"event\":\"%s\",\"client_id\":\"c\",", word, word);
	for (size_t i = 0; i < rig.messages; i++)
		count += strcmp(rig.message[i].topic, "$file-event/c/large") == 0
			 && strncmp(rig.message[i].payload, text, strlen(text)) == 0;
	return count;
}

static void get_large(const char *offset, const char *length)
{
	size_t before = rig.blocks;
	char topic[100];

	snprintf(topic, sizeof topic, "$file-get/%s/%s/large", offset, length);
	ck_assert_int_eq(ask("c", topic, ""), FT_OK);
	wait_for_blocks(before + 1);
}

START_TEST(test_downloads__tell_what_was_sent)
{
	static char large[150000];

	rig.options.events = FT_EVENTS_ON;
	put_bytes("offers/all/large", large, sizeof large);
	rig_start(&rig);
	while (!look_up("c", "large")) {
		rig_pass(&rig, 10);
		usleep(1000);
	}
	get_large("65536", "65536");
	ck_assert_uint_eq(count_events("download_started"), 1);
	get_large("0", "65536");
	get_large("0", "65536");
	get_large("131072", "10000");
	ck_assert_uint_eq(count_events("download_sent"), 0);
	get_large("141072", "65536");
	ck_assert_uint_eq(count_events("download_sent"), 1);
	ck_assert_ptr_nonnull(strstr(rig_said(&rig, "$file-event/c/large"), ",\"sent\":215536}"));
	ck_assert_uint_eq(count_events("download_started"), 1);
	get_large("0", "65536");
	ck_assert_uint_eq(count_events("download_started"), 2);
	rig_pass(&rig, 599 * 1000);
	get_large("0", "65536");
	ck_assert_uint_eq(count_events("download_started"), 2);
	rig_pass(&rig, 601 * 1000);
	get_large("0", "65536");
	ck_assert_uint_eq(count_events("download_started"), 3);
	ck_assert_int_eq(ask("c", "$file-get/report/large", "{\"state\":\"failed\"}"), FT_OK);
	ck_assert_uint_eq(count_events("download_report"), 1);
	ck_assert_ptr_nonnull(strstr(rig_said(&rig, "$file-event/c/large"),
				     ",\"report\":{\"state\":\"failed\"}}"));
}
END_TEST

START_TEST(test_downloads__are_off_by_default)
{
	rig.options.downloads = 0;
	put("offers/all/app.bin", "hello");
	rig_start(&rig);
	ck_assert_ptr_null(rig.engine->downloads);
	rig_pass(&rig, 60000);
	ck_assert_uint_eq(rig.messages, 0);
	ft_engine_disconnected(rig.engine, "c");
}
END_TEST

FT_SUITE_WITH("engine downloads", set_up, tear_down,
		test_downloads__deliver_blocks_of_what_is_offered,
		test_downloads__read_what_is_in_the_page_cache_at_once,
		test_downloads__prefer_what_is_for_the_client_to_what_is_for_more,
		test_downloads__find_folders_by_escaped_ids,
		test_downloads__tell_nobody_of_what_is_for_others,
		test_downloads__offer_no_unfinished_hidden_or_strange_files,
		test_downloads__complain_once,
		test_downloads__deliver_nothing_of_a_file_that_is_written_in_place,
		test_downloads__say_what_is_offered_instead_of_what_is_expected,
		test_downloads__hash_nothing_again_after_a_restart,
		test_downloads__announce_what_is_offered_and_withdraw_what_is_gone,
		test_downloads__withdraw_what_went_while_the_broker_was_dead,
		test_downloads__withdraw_all_when_announcing_is_turned_off,
		test_downloads__ignore_meta_data_that_is_no_object,
		test_downloads__keep_groups_that_are_broken_as_they_were,
		test_downloads__tell_all_about_a_file,
		test_downloads__list_what_a_client_sees_in_order,
		test_downloads__list_100_at_a_time,
		test_downloads__publish_what_devices_report,
		test_downloads__refuse_blocks_above_max_block,
		test_downloads__publish_one_mebibyte_a_pass,
		test_downloads__let_so_many_requests_of_a_client_wait,
		test_downloads__keep_to_the_bandwidth_and_refuse_after_5_s,
		test_downloads__drop_what_waits_for_a_client_that_has_gone,
		test_downloads__answer_busy_beyond_max_memory,
		test_downloads__open_64_files_at_most,
		test_downloads__tell_what_was_sent,
		test_downloads__are_off_by_default);
