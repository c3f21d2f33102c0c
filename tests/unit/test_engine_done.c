/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Option `done`: consumers are told of each finished file, at least once, never before it. */
#include <check.h>
#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include "../lib/fake_store.h"
#include "../lib/rig.h"
#include "../suite.h"

#define LARGE ((size_t)1536 * 1024)

static struct rig rig;
static char large[LARGE];

static enum ft_status say(const char *topic, const char *text)
{
	return rig_ask_text(&rig, "c", topic, text);
}

static void set_up(void)
{
	fake_reset("fs");
	rig_setup(&rig, "fs");
	rig.ops = &fake_store;
	rig.options.done = FT_DONE_ON;
	memset(large, 'l', sizeof large);
}

static void tear_down(void)
{
	rig_teardown(&rig);
	fake_check();
}

/* The names of the notices, each once, in their order; how many. */
static char titles[8][300];

static size_t list_notices(void)
{
	struct dirent **entries;
	int count = scandir(rig_path(&rig, "done"), &entries, NULL, alphasort);
	size_t kept = 0;

	for (int i = 0; i < count; i++) {
		if (entries[i]->d_name[0] != '.' && kept < 8)
			snprintf(titles[kept++], sizeof titles[0], "%s", entries[i]->d_name);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return kept;
}

static bool one_is_there(void)
{
	return list_notices() == 1;
}

static bool two_are_there(void)
{
	return list_notices() == 2;
}

/* A member of a notice. */
static const char *member(const char *title, const char *key)
{
	static char value[512], path[400];
	char text[4096];
	FILE *file;
	cJSON *json;

	snprintf(path, sizeof path, "done/%s", title);
	file = fopen(rig_path(&rig, path), "r");
	ck_assert_ptr_nonnull(file);
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	fclose(file);
	json = cJSON_Parse(text);
	ck_assert_msg(json != NULL, "%s", text);
	ck_assert_msg(cJSON_IsString(cJSON_GetObjectItem(json, key)), "%s in %s", key, text);
	snprintf(value, sizeof value, "%s", cJSON_GetObjectItem(json, key)->valuestring);
	cJSON_Delete(json);
	return value;
}

static void take_all(void)
{
	char path[400];

	for (size_t i = list_notices(); i > 0; i--) {
		snprintf(path, sizeof path, "done/%s", titles[i - 1]);
		ck_assert_int_eq(unlink(rig_path(&rig, path)), 0);
	}
}

START_TEST(test_done__has_a_notice_of_each_finished_file)
{
	char path[600];

	rig_start(&rig);
	ck_assert(rig_has_file(&rig, "done"));
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"a \\\"b\\\".txt\",\"user_data\":{\"k\":\"v\"}}"), FT_OK);
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	rig_wait_until(&rig, one_is_there);
	ck_assert_str_eq(member(titles[0], "path"), "files/c/f/a \"b\".txt");
	ck_assert_str_eq(member(titles[0], "client_id"), "c");
	ck_assert_str_eq(member(titles[0], "sha256"),
			 "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
	snprintf(path, sizeof path, "-%s.json", member(titles[0], "transfer_id"));
	ck_assert_ptr_nonnull(strstr(titles[0], path));
	rig_check_file(&rig, member(titles[0], "path"), "hello", 5);
	ck_assert_int_eq(say("$file/g/init", "{\"name\":\"n\"}"), FT_OK);
	ck_assert_int_eq(rig_ask(&rig, "c", "$file/g/0", large, LARGE), FT_OK);
	ck_assert_int_eq(say("$file/g/fin/1572864", ""), FT_OK);
	rig_wait_until(&rig, two_are_there);
	rig_check_file(&rig, member(titles[1], "path"), large, LARGE);
}
END_TEST

START_TEST(test_done__has_none_of_what_failed_or_was_told_before)
{
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	rig_wait_until(&rig, one_is_there);
	take_all();
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	ck_assert_int_eq(say("$file/g/put/n/1111111111111111111111111111111111111111111111111111111111111111", "x"),
			 FT_FILE_CHECKSUM_MISMATCH);
	rig_settle(&rig);
	rig_restart(&rig);
	rig_settle(&rig);
	ck_assert_uint_eq(list_notices(), 0);
}
END_TEST

/* The file is finished all the same, and is told of when there is room again. */
START_TEST(test_done__a_notice_that_finds_no_room_comes_later)
{
	rig_start(&rig);
	fake_fail(FAKE_ANNOUNCE, FT_DISK_FULL, FAKE_ALWAYS);
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
	rig_settle(&rig);
	ck_assert_uint_eq(list_notices(), 0);
	fake_fail(FAKE_ANNOUNCE, FT_OK, 0);
	rig_pass(&rig, 1100);
	rig_wait_until(&rig, one_is_there);
}
END_TEST

static void finish_and_hang(void)
{
	fake_hang(FAKE_ANNOUNCE);
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	fake_await_hanging(FAKE_ANNOUNCE);
}

START_TEST(test_done__a_notice_outlives_a_kill)
{
	rig_act_and_be_killed(&rig, finish_and_hang);
	ck_assert_uint_eq(list_notices(), 0);
	fake_reset("fs");
	rig_start(&rig);
	rig_wait_until(&rig, one_is_there);
	ck_assert_str_eq(member(titles[0], "path"), "files/c/f/n");
}
END_TEST

/* Killed between the notice and the note that it was given: the same one comes again. */
static void finish_and_be_killed_behind_the_notice(void)
{
	fake_die_behind(FAKE_ANNOUNCE);
	(void)rig_send_text(&rig, "c", "$file/f/put/n", "hello");
	pause();
}

START_TEST(test_done__a_notice_that_comes_again_has_the_same_name)
{
	char before[300];

	rig_act_and_be_killed(&rig, finish_and_be_killed_behind_the_notice);
	ck_assert_uint_eq(list_notices(), 1);
	snprintf(before, sizeof before, "%s", titles[0]);
	take_all();
	fake_reset("fs");
	rig_start(&rig);
	rig_wait_until(&rig, one_is_there);
	ck_assert_str_eq(titles[0], before);
}
END_TEST

START_TEST(test_done__is_made_again_where_somebody_removed_it)
{
	rig_start(&rig);
	ck_assert_int_eq(rmdir(rig_path(&rig, "done")), 0);
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	rig_wait_until(&rig, one_is_there);
}
END_TEST

START_TEST(test_done__tells_of_what_a_lost_catalog_has_forgotten)
{
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/g/put/n", "hello"), FT_OK);
	rig_wait_until(&rig, two_are_there);
	take_all();
	ck_assert_int_eq(unlink(rig_path(&rig, "files/c/g/n")), 0);	/* a consumer took it */
	rig_stop(&rig);
	ck_assert_int_eq(unlink(rig_path(&rig, "catalog.db")), 0);
	rig_start(&rig);
	rig_wait_until(&rig, one_is_there);
	ck_assert_str_eq(member(titles[0], "path"), "files/c/f/n");
}
END_TEST

START_TEST(test_done__is_off_unless_asked_for)
{
	rig.options.done = FT_DONE_OFF;
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	rig_settle(&rig);
	ck_assert(!rig_has_file(&rig, "done"));
}
END_TEST

START_TEST(test_done__is_refused_where_the_store_has_no_place_for_it)
{
	rig.ops = ft_store_backend("memory");
	ck_assert_int_ne(rig_try_start(&rig), FT_OK);
	ck_assert(rig_logged(&rig, "plugin_opt_done on"));
}
END_TEST

int main(void)
{
	ft_suite_use_memory();
	return ft_suite_run(&(struct ft_suite){
		.name = "engine done", .set_up = set_up, .tear_down = tear_down,
		FT_TESTS(test_done__has_a_notice_of_each_finished_file,
			 test_done__has_none_of_what_failed_or_was_told_before,
			 test_done__a_notice_that_finds_no_room_comes_later,
			 test_done__a_notice_outlives_a_kill,
			 test_done__a_notice_that_comes_again_has_the_same_name,
			 test_done__is_made_again_where_somebody_removed_it,
			 test_done__tells_of_what_a_lost_catalog_has_forgotten,
			 test_done__is_off_unless_asked_for,
			 test_done__is_refused_where_the_store_has_no_place_for_it) });
}
