/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A store that refuses, loses or hangs: what was acknowledged is stored later, or counts as
 * lost and fin says what is missing; commands return at once whatever the store does.
 */
#include <check.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/sha256.h"

#include "../lib/fake_store.h"
#include "../lib/rig.h"
#include "../suite.h"

#define INIT_N "{\"name\":\"n\"}"
#define SHA_OF_HELLO "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define LARGE ((size_t)3 * 1024 * 1024 / 2)	/* more than waits in the log for its fin */

static struct rig rig;
static char large[LARGE];

static enum ft_status say(const char *topic, const char *text)
{
	return rig_ask_text(&rig, "c", topic, text);
}

static enum ft_status tell(const char *topic, const char *text)
{
	return rig_send_text(&rig, "c", topic, text);
}

static void accept(const char *topic, const char *text)
{
	ck_assert_int_eq(tell(topic, text), FT_OK);
}

static void set_up(void)
{
	memset(large, 'l', sizeof large);
	fake_reset("fs");
	rig_setup(&rig, "fs");
	rig.ops = &fake_store;
	rig_start(&rig);
	fake_watch_this_thread();
}

static void tear_down(void)
{
	fake_go_on();
	fake_unwatch();
	rig_teardown(&rig);
	fake_check();
}

static void begin(void)
{
	ck_assert_int_eq(say("$file/f/init", INIT_N), FT_OK);
}

/* It is in the store, not only in the log. */
static void hold_hello(void)
{
	begin();
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	rig_settle(&rig);
}

/* --- writes that fail --- */

static const enum ft_status held_back[] = { FT_DISK_FULL, FT_BUSY, FT_NO_MEMORY };

static bool it_waits(void)
{
	return rig_logged(&rig, "wait in the log until they can be stored");
}

static bool it_is_said(void)
{
	return rig_logged(&rig, "what waited in the log could be stored");
}

START_TEST(test_store__stores_later_what_finds_no_room)
{
	fake_fail(FAKE_WRITE, held_back[_i], FAKE_ALWAYS);
	begin();
	ck_assert_int_eq(rig_ask(&rig, "c", "$file/f/0", large, LARGE), FT_OK);
	ck_assert_int_eq(say("$file/f/1", "L"), FT_OK);
	accept("$file/f/fin/1572864", "");
	rig_wait_until(&rig, it_waits);
	ck_assert_uint_eq(rig_count(&rig, "$file/f/fin/1572864"), 0);
	ck_assert_uint_gt(ft_log_fill(rig.engine->core.log), LARGE);
	fake_fail(FAKE_WRITE, FT_OK, 0);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/fin/1572864"), FT_OK);
	large[1] = 'L';
	rig_check_file(&rig, "files/c/f/n", large, LARGE);
	rig_wait_until(&rig, it_is_said);	/* where the fin was still at work, a second later */
}
END_TEST

/* Until the disk has room again; over a restart, too. */
START_TEST(test_store__stores_after_a_restart_what_finds_no_room)
{
	fake_fail(FAKE_WRITE, FT_DISK_FULL, FAKE_ALWAYS);
	begin();
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/g/init", INIT_N), FT_OK);
	ck_assert_int_eq(rig_ask(&rig, "c", "$file/g/0", large, LARGE), FT_OK);
	accept("$file/g/fin/1572864", "");
	fake_unwatch();
	rig_restart(&rig);
	fake_watch_this_thread();
	ck_assert(!rig.abandoned);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "have"), "[[0,5]]");
	ck_assert_int_eq(say("$file/g/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"assembling\"");
	ck_assert_int_eq(tell("$file/g/0", "x"), FT_BUSY);
	rig_forget(&rig);
	fake_fail(FAKE_WRITE, FT_OK, 0);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/g/fin/1572864"), FT_OK);
	rig_check_file(&rig, "files/c/g/n", large, LARGE);
	ck_assert_int_eq(say("$file/f/fin/5/" SHA_OF_HELLO, ""), FT_OK);
}
END_TEST

START_TEST(test_store__aborts_what_finds_no_room)
{
	fake_fail(FAKE_WRITE, FT_DISK_FULL, FAKE_ALWAYS);
	begin();
	ck_assert_int_eq(rig_ask(&rig, "c", "$file/f/0", large, LARGE), FT_OK);
	accept("$file/f/fin/1572864", "");
	ck_assert_int_eq(tell("$file/f/abort", ""), FT_OK);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/abort"), FT_OK);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/fin/1572864"), FT_NO_SUCH_TRANSFER);
	rig_settle(&rig);
	ck_assert_uint_eq(rig.engine->charged, 0);
	ck_assert_uint_eq(rig.engine->registry.count, 0);
}
END_TEST

/* The disk lost it, so the client is asked for it again. */
START_TEST(test_store__asks_again_for_bytes_that_could_not_be_written)
{
	hold_hello();
	fake_fail(FAKE_WRITE, FT_IO_ERROR, 1);
	ck_assert_int_eq(rig_ask(&rig, "c", "$file/f/5", large, LARGE), FT_OK);
	rig_settle(&rig);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "have"), "[[0,5]]");
	ck_assert_int_eq(say("$file/f/fin/1572869", ""), FT_INCOMPLETE);
	ck_assert_str_eq(rig_member(&rig, "missing"), "[[5,1572864]]");
	ck_assert_int_eq(rig_ask(&rig, "c", "$file/f/5", large, LARGE), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/1572869", ""), FT_OK);
}
END_TEST

/* The fin was accepted before anybody knew. */
START_TEST(test_store__is_incomplete_where_bytes_were_lost_behind_the_acknowledgement)
{
	hold_hello();
	fake_fail(FAKE_WRITE, FT_IO_ERROR, FAKE_ALWAYS);
	rig_forget(&rig);
	ck_assert_int_eq(rig_send(&rig, "c", "$file/f/5", large, LARGE), FT_OK);
	accept("$file/f/fin/1572869", "");
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/fin/1572869"), FT_INCOMPLETE);
	ck_assert_str_eq(rig_member_of(&rig, "$file/f/fin/1572869", "missing"), "[[5,1572864]]");
	ck_assert(!rig_has_file(&rig, "files/c/f/n"));
}
END_TEST

/* Where the log is tight a small file goes by the store, too. */
START_TEST(test_store__publishes_no_small_file_with_a_hole_in_it)
{
	ck_assert_int_eq(say("$file/g/init", INIT_N), FT_OK);
	ck_assert_int_eq(say("$file/h/init", INIT_N), FT_OK);
	fake_hang(FAKE_WRITE);	/* so that it stays so full */
	ck_assert_int_eq(rig_ask(&rig, "c", "$file/g/0", large, LARGE), FT_OK);
	fake_await_hanging(FAKE_WRITE);
	ck_assert_int_eq(rig_ask(&rig, "c", "$file/h/0", large, LARGE / 2), FT_OK);
	ck_assert_uint_gt(ft_log_fill(rig.engine->core.log),
			  ft_log_size(rig.engine->core.log) / 2);
	begin();
	rig_forget(&rig);
	fake_fail_write_at(3, FT_IO_ERROR);
	accept("$file/f/0", "hel");
	accept("$file/f/7", "orld");
	accept("$file/f/3", "lo w");
	accept("$file/f/fin/11", "");
	fake_go_on();
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/fin/11"), FT_INCOMPLETE);
	ck_assert_str_eq(rig_member_of(&rig, "$file/f/fin/11", "missing"), "[[3,4]]");
	ck_assert(!rig_has_file(&rig, "files/c/f/n"));
}
END_TEST

/* A fin that waits for room is not carried out over a hole. */
START_TEST(test_store__publishes_nothing_with_a_hole_after_a_wait_for_room)
{
	begin();
	ck_assert_int_eq(say("$file/f/1572863", "l"), FT_OK);
	rig_settle(&rig);
	fake_fail_write_at(0, FT_DISK_FULL);
	ck_assert_int_eq(rig_ask(&rig, "c", "$file/f/0", large, LARGE), FT_OK);
	accept("$file/f/fin/1572864", "");
	usleep(300 * 1000);
	fake_fail_write_at(0, FT_IO_ERROR);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/fin/1572864"), FT_INCOMPLETE);
	ck_assert_str_eq(rig_member_of(&rig, "$file/f/fin/1572864", "missing"), "[[0,1572864]]");
	ck_assert(!rig_has_file(&rig, "files/c/f/n"));
	fake_fail_write_at(UINT64_MAX, FT_OK);
	ck_assert_int_eq(rig_ask(&rig, "c", "$file/f/0", large, LARGE), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/1572864", ""), FT_OK);
}
END_TEST

START_TEST(test_store__begins_anew_where_the_bytes_are_gone)
{
	hold_hello();
	fake_fail(FAKE_WRITE, FT_NO_SUCH_TRANSFER, 1);
	ck_assert_int_eq(say("$file/f/5", "world"), FT_OK);
	rig_settle(&rig);
	ck_assert_int_eq(say("$file/f/fin/10", ""), FT_INCOMPLETE);
	ck_assert_str_eq(rig_member(&rig, "missing"), "[[0,5]]");
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/10", ""), FT_OK);
	rig_check_file(&rig, "files/c/f/n", "helloworld", 10);
}
END_TEST

START_TEST(test_store__is_incomplete_where_the_bytes_are_gone_at_fin)
{
	hold_hello();
	ck_assert_int_eq(unlink(rig_path(&rig, "incoming/c/f")), 0);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_INCOMPLETE);
	ck_assert_str_eq(rig_member(&rig, "missing"), "[[0,5]]");
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
}
END_TEST

/* --- publish --- */

static const enum ft_status publish_errors[] = {
	FT_IO_ERROR, FT_DISK_FULL, FT_BUSY, FT_NO_MEMORY, FT_NAME_REFUSED,
};

static void check_fin_fails_and_keeps(const char *fin, enum ft_status st)
{
	ck_assert_int_eq(say(fin, ""), st);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"receiving\"");
	ck_assert_str_eq(rig_member(&rig, "have"), "[[0,5]]");
	ck_assert_int_eq(say(fin, ""), FT_OK);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
}

START_TEST(test_store__keeps_the_bytes_of_a_file_that_cannot_be_published)
{
	hold_hello();
	fake_fail(FAKE_PUBLISH, publish_errors[_i], 1);
	check_fin_fails_and_keeps("$file/f/fin/5", publish_errors[_i]);
}
END_TEST

START_TEST(test_store__keeps_the_bytes_of_a_file_that_cannot_be_published_from_the_log)
{
	begin();
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	fake_fail(FAKE_PUBLISH, publish_errors[_i], 1);
	check_fin_fails_and_keeps("$file/f/fin/5/" SHA_OF_HELLO, publish_errors[_i]);
}
END_TEST

START_TEST(test_store__asks_again_for_bytes_that_an_fsync_has_lost)
{
	hold_hello();
	fake_lose_bytes();
	fake_fail(FAKE_PUBLISH, FT_IO_ERROR, 1);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_IO_ERROR);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_INCOMPLETE);
	ck_assert_str_eq(rig_member(&rig, "missing"), "[[0,5]]");
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
}
END_TEST

START_TEST(test_store__says_what_is_wrong_with_reading)
{
	hold_hello();
	fake_fail(FAKE_UPLOAD_OPEN, FT_BUSY, FAKE_ALWAYS);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_BUSY);
	fake_fail(FAKE_UPLOAD_OPEN, FT_OK, 0);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
}
END_TEST

/* --- checkpoints --- */

static bool has_synced(void)
{
	return fake_calls(FAKE_SYNC) > 0;
}

START_TEST(test_store__loses_what_a_checkpoint_has_lost)
{
	fake_fail(FAKE_SYNC, FT_IO_ERROR, 1);
	hold_hello();
	rig_wait_until(&rig, has_synced);
	rig_settle(&rig);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_INCOMPLETE);
	ck_assert_str_eq(rig_member(&rig, "missing"), "[[0,5]]");
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
}
END_TEST

/* The kernel tells of an error once: who syncs next hears nothing of it. */
START_TEST(test_store__publishes_nothing_that_a_checkpoint_has_lost)
{
	hold_hello();
	fake_hang(FAKE_SYNC);
	fake_await_hanging(FAKE_SYNC);
	fake_fail(FAKE_SYNC, FT_IO_ERROR, 1);
	rig_forget(&rig);
	accept("$file/f/fin/5", "");
	rig_run(&rig);
	usleep(100 * 1000);
	fake_go_on();
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/fin/5"), FT_INCOMPLETE);
	ck_assert_str_eq(rig_member_of(&rig, "$file/f/fin/5", "missing"), "[[0,5]]");
	ck_assert(!rig_has_file(&rig, "files/c/f/n"));
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
}
END_TEST

START_TEST(test_store__finishes_behind_a_checkpoint)
{
	hold_hello();
	fake_hang(FAKE_SYNC);
	fake_await_hanging(FAKE_SYNC);
	rig_forget(&rig);
	accept("$file/f/fin/5", "");
	usleep(100 * 1000);
	fake_go_on();
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/fin/5"), FT_OK);
}
END_TEST

START_TEST(test_store__aborts_behind_a_checkpoint)
{
	hold_hello();
	fake_hang(FAKE_SYNC);
	fake_await_hanging(FAKE_SYNC);
	rig_forget(&rig);
	accept("$file/f/fin/5", "");
	usleep(100 * 1000);
	accept("$file/f/abort", "");
	accept("$file/g/init", INIT_N);
	accept("$file/g/abort", "");
	ck_assert_int_eq(rig_wait_for(&rig, "$file/g/abort"), FT_OK);
	fake_go_on();
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/abort"), FT_OK);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/fin/5"), FT_NO_SUCH_TRANSFER);
	rig_settle(&rig);
	fake_unwatch();
	rig_forget(&rig);
	rig_restart(&rig);
	rig_settle(&rig);
	ck_assert_uint_eq(rig.responses, 0);
}
END_TEST

/* --- a store that hangs --- */

static const enum fake_op hanging[] = { FAKE_WRITE, FAKE_PUBLISH, FAKE_UPLOAD_OPEN, FAKE_FIND };

/* What a command takes of the broker's thread at most: room in the log is waited for. */
#define COMMAND_MS_MAX 500

static enum ft_status tell_quickly(const char *topic, const char *text, size_t len)
{
	int64_t before_ms = ft_clock_ms(), took_ms;
	enum ft_status st = rig_send(&rig, "c", topic, text, len);

	took_ms = ft_clock_ms() - before_ms;
	ck_assert_msg(took_ms < COMMAND_MS_MAX, "%s took %d ms", topic, (int)took_ms);
	return st;
}

START_TEST(test_store__lets_nobody_wait_while_it_hangs)
{
	enum ft_status st = FT_OK;
	char topic[64];

	ck_assert_int_eq(say("$file/old/put/n", "hello"), FT_OK);
	rig_settle(&rig);
	fake_hang(hanging[_i]);
	rig.options.limits.max_transfers_per_client = 10000;
	for (int i = 0; i < 1000 && st == FT_OK; i++) {
		snprintf(topic, sizeof topic, "$file/%d/init", i);
		if ((st = tell_quickly(topic, INIT_N, strlen(INIT_N))) != FT_OK)
			break;
		snprintf(topic, sizeof topic, "$file/%d/0", i);
		if ((st = tell_quickly(topic, large, LARGE / 16)) != FT_OK)
			break;
		snprintf(topic, sizeof topic, "$file/%d/fin/%zu", i, LARGE / 16);
		st = tell_quickly(topic, "", 0);
		(void)tell_quickly("$file/old/init", INIT_N, strlen(INIT_N));
		(void)tell_quickly("$file/old/fin/5", "", 0);
		(void)tell_quickly("$file/old/status", "", 0);
		rig_run(&rig);
	}
	/* FIND hangs only those who ask for what is finished, and the writer behind them. */
	ck_assert_int_eq(st, FT_BUSY);
	ck_assert_int_eq(tell_quickly("$file/0/status", "", 0), FT_OK);
	rig_forget(&rig);
	fake_go_on();
	rig_settle(&rig);
	ck_assert_int_eq(say("$file/new/put/n", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/0/fin/98304", ""), FT_OK);
	rig_check_file(&rig, "files/c/0/n", large, LARGE / 16);
}
END_TEST

static enum fake_op what_hangs;

static void stop_while_it_hangs(void)
{
	int64_t before_ms;

	fake_hang(what_hangs);
	begin();
	accept("$file/f/0", "hello");
	accept("$file/f/fin/5", "");
	accept("$file/g/init", INIT_N);
	ck_assert_int_eq(rig_send(&rig, "c", "$file/g/0", large, LARGE), FT_OK);
	before_ms = ft_clock_ms();
	rig_stop(&rig);
	ck_assert_int_lt(ft_clock_ms() - before_ms, 5500);
}

/* The threads that hang end with the process, and the next one does what they had to do. */
START_TEST(test_store__lets_the_broker_stop_while_it_hangs)
{
	fake_unwatch();
	rig_stop(&rig);
	what_hangs = hanging[_i];
	rig_act_and_be_killed(&rig, stop_while_it_hangs);
	rig_start(&rig);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/fin/5"), FT_OK);
	ck_assert_int_eq(say("$file/g/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "have"), "[[0,1572864]]");
}
END_TEST

START_TEST(test_store__says_that_there_is_no_room)
{
	rig_stop(&rig);
	rig.options.min_free_space = UINT64_MAX / 4;
	fake_unwatch();
	rig_start(&rig);
	fake_watch_this_thread();
	rig_settle(&rig);
	while (!rig.engine->space_known)
		rig_settle(&rig);
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"n\",\"size\":5}"), FT_DISK_FULL);
	begin();
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_DISK_FULL);
	/* What is complete may finish. */
	ck_assert_int_eq(say("$file/f/fin/0", ""), FT_OK);
}
END_TEST

static void look_at_the_disk_again(void)
{
	rig.engine->space_known = false;
	while (!rig.engine->space_known)
		rig_settle(&rig);
	rig_settle(&rig);
}

/* A file that is too large for what is left is refused, though others would not be. */
START_TEST(test_store__says_that_there_is_room_when_what_was_refused_fits)
{
	char init[64];
	uint64_t free;

	rig_stop(&rig);
	fake_unwatch();
	rig_start(&rig);
	fake_watch_this_thread();
	look_at_the_disk_again();
	free = rig.engine->space.bytes;
	rig.options.min_free_space = free / 4 * 3;
	look_at_the_disk_again();
	snprintf(init, sizeof init, "{\"name\":\"n\",\"size\":%llu}", (unsigned long long)(free / 2));
	ck_assert_int_eq(say("$file/f/init", init), FT_DISK_FULL);
	for (int i = 0; i < 2; i++) {
		look_at_the_disk_again();
		ck_assert(!rig_logged(&rig, "there is room on the disk again"));
	}
	rig.options.min_free_space = 0;
	look_at_the_disk_again();
	look_at_the_disk_again();
	ck_assert(rig_logged(&rig, "there is room on the disk again; 1 client was told disk_full"));
}
END_TEST

#define COUNT(array) (sizeof (array) / sizeof (array)[0])

int main(void)
{
	Suite *suite;
	TCase *cases;

	ft_suite_use_memory();
	suite = suite_create("engine store");
	cases = ft_suite_cases("engine store");
	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_add_loop_test(cases, test_store__stores_later_what_finds_no_room, 0, COUNT(held_back));
	tcase_add_loop_test(cases, test_store__keeps_the_bytes_of_a_file_that_cannot_be_published,
			    0, COUNT(publish_errors));
	tcase_add_loop_test(cases,
			    test_store__keeps_the_bytes_of_a_file_that_cannot_be_published_from_the_log,
			    0, COUNT(publish_errors));
	tcase_add_loop_test(cases, test_store__lets_nobody_wait_while_it_hangs, 0, COUNT(hanging));
	tcase_add_loop_test(cases, test_store__lets_the_broker_stop_while_it_hangs, 0,
			    COUNT(hanging));
	tcase_add_test(cases, test_store__stores_after_a_restart_what_finds_no_room);
	tcase_add_test(cases, test_store__aborts_what_finds_no_room);
	tcase_add_test(cases, test_store__asks_again_for_bytes_that_could_not_be_written);
	tcase_add_test(cases, test_store__is_incomplete_where_bytes_were_lost_behind_the_acknowledgement);
	tcase_add_test(cases, test_store__publishes_no_small_file_with_a_hole_in_it);
	tcase_add_test(cases, test_store__publishes_nothing_with_a_hole_after_a_wait_for_room);
	tcase_add_test(cases, test_store__begins_anew_where_the_bytes_are_gone);
	tcase_add_test(cases, test_store__is_incomplete_where_the_bytes_are_gone_at_fin);
	tcase_add_test(cases, test_store__asks_again_for_bytes_that_an_fsync_has_lost);
	tcase_add_test(cases, test_store__says_what_is_wrong_with_reading);
	tcase_add_test(cases, test_store__loses_what_a_checkpoint_has_lost);
	tcase_add_test(cases, test_store__publishes_nothing_that_a_checkpoint_has_lost);
	tcase_add_test(cases, test_store__finishes_behind_a_checkpoint);
	tcase_add_test(cases, test_store__aborts_behind_a_checkpoint);
	tcase_add_test(cases, test_store__says_that_there_is_no_room);
	tcase_add_test(cases, test_store__says_that_there_is_room_when_what_was_refused_fits);
	suite_add_tcase(suite, cases);
	return ft_suite_finish(suite);
}
