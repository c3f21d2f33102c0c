/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What a process that is killed, stopped or loses its power has promised, and the next one keeps. */
#include <check.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/sha256.h"

#include "../lib/fake_store.h"
#include "../lib/rig.h"
#include "../suite.h"

#define INIT_N "{\"name\":\"n\"}"
#define INIT_M "{\"name\":\"m\"}"
#define SHA_OF_HELLO "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define SHA_OF_OTHERS "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static struct rig rig;
static bool log_is_held;

/* The writer may try once more to store what holds the log, and says that the disk is full. */
static bool is_refused_for_what_holds_the_log(enum ft_status st)
{
	if (!log_is_held || st != FT_DISK_FULL)
		return false;
	atomic_store(&rig.engine->core.disk_full, false);
	return true;
}

static enum ft_status say(const char *topic, const char *text)
{
	enum ft_status st;

	do {
		st = rig_ask_text(&rig, "c", topic, text);
	} while (is_refused_for_what_holds_the_log(st));
	return st;
}

static enum ft_status tell(const char *topic, const char *text)
{
	enum ft_status st;

	do {
		st = rig_send_text(&rig, "c", topic, text);
	} while (is_refused_for_what_holds_the_log(st));
	return st;
}

static void accept(const char *topic, const char *text)
{
	ck_assert_int_eq(tell(topic, text), FT_OK);
}

static void set_up(void)
{
	rig_setup(&rig, "fs");
	fake_reset("fs");
	rig.ops = &fake_store;
}

static void tear_down(void)
{
	fake_go_on();
	rig_teardown(&rig);
	fake_check();
}

/* --- kill -9 --- */

static void put_at_once(void)
{
	fake_hang(FAKE_PUBLISH);
	accept("$file/f/put/n", "hello");
}

START_TEST(test_restart__carries_out_a_put_that_was_accepted)
{
	rig_act_and_be_killed(&rig, put_at_once);
	ck_assert(!rig_has_file(&rig, "files/c/f/n"));
	rig_start(&rig);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/put/n"), FT_OK);
	ck_assert_str_eq(rig_member_of(&rig, "$file/f/put/n", "state"), "\"complete\"");
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
	rig_settle(&rig);
	/* Told once, it is not told again. */
	rig_restart(&rig);
	rig_settle(&rig);
	ck_assert_uint_eq(rig_count(&rig, "$file/f/put/n"), 1);
}
END_TEST

static void fin_of_what_is_stored(void)
{
	accept("$file/f/init", INIT_N);
	accept("$file/f/0", "hello");
	rig_settle(&rig);
	fake_hang(FAKE_PUBLISH);
	accept("$file/f/fin/5", "");
	fake_await_hanging(FAKE_PUBLISH);
}

START_TEST(test_restart__carries_out_a_fin_of_what_is_in_the_store)
{
	rig_act_and_be_killed(&rig, fin_of_what_is_stored);
	rig_start(&rig);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/fin/5"), FT_OK);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
}
END_TEST

static void fin_and_a_refused_init(void)
{
	fin_of_what_is_stored();
	ck_assert_int_eq(tell("$file/f/init", INIT_M), FT_FILEMETA_CONFLICT);
}

/* A record of a transfer whose fin is in the catalog only must not hide that fin. */
START_TEST(test_restart__carries_out_a_fin_behind_which_more_was_asked)
{
	rig_act_and_be_killed(&rig, fin_and_a_refused_init);
	rig_start(&rig);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/fin/5"), FT_OK);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
}
END_TEST

static void fin_that_fails(void)
{
	accept("$file/f/init", INIT_N);
	accept("$file/f/0", "jello");
	fake_hang(FAKE_PUBLISH);
	accept("$file/f/fin/5/" SHA_OF_HELLO, "");
}

START_TEST(test_restart__tells_that_a_fin_failed)
{
	rig_act_and_be_killed(&rig, fin_that_fails);
	rig_start(&rig);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/fin/5/" SHA_OF_HELLO),
			 FT_FILE_CHECKSUM_MISMATCH);
	ck_assert_int_eq(say("$file/f/0", "h"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5/" SHA_OF_HELLO, ""), FT_OK);
}
END_TEST

static bool is_held_back(void)
{
	return atomic_load(&rig.engine->core.disk_full);
}

/*
 * Keeps all that comes behind it in the log: its bytes find no room in the store, and are not
 * tried again, as if the disk were not full for others.
 */
static void hold_the_log(void)
{
	fake_fail_write_at(77777, FT_DISK_FULL);
	accept("$file/held/init", INIT_N);
	accept("$file/held/77777", "held");
	rig_wait_until(&rig, is_held_back);
	log_is_held = true;
	atomic_store(&rig.engine->core.disk_full, false);
}

static void mend_after_a_failed_fin(void)
{
	hold_the_log();
	accept("$file/f/init", INIT_N);
	accept("$file/f/0", "jello");
	ck_assert_int_eq(say("$file/f/fin/5/" SHA_OF_HELLO, ""), FT_FILE_CHECKSUM_MISMATCH);
	accept("$file/f/0", "h");
}

/* All records are there still: those behind the fin are about what it left. */
START_TEST(test_restart__keeps_what_was_sent_after_a_fin_that_failed)
{
	rig_act_and_be_killed(&rig, mend_after_a_failed_fin);
	rig_start(&rig);
	rig_settle(&rig);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"receiving\"");
	ck_assert_str_eq(rig_member(&rig, "have"), "[[0,5]]");
	ck_assert_int_eq(say("$file/f/fin/5/" SHA_OF_HELLO, ""), FT_OK);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
}
END_TEST

static void finish_behind_what_holds_the_log(void)
{
	hold_the_log();
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	rig_run(&rig);
}

/* The catalog knows that it is over, though its records are there still. */
START_TEST(test_restart__makes_no_file_again_that_a_consumer_took)
{
	rig_act_and_be_killed(&rig, finish_behind_what_holds_the_log);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
	ck_assert_int_eq(unlink(rig_path(&rig, "files/c/f/n")), 0);
	ck_assert_int_eq(unlink(rig_path(&rig, "files/c/f/n.manifest.json")), 0);
	rig_start(&rig);
	rig_settle(&rig);
	ck_assert(!rig_has_file(&rig, "files/c/f/n"));
}
END_TEST

/* The file is visible, and the catalog cannot be told before the process is killed. */
static void publish_what_the_catalog_never_hears_of(void)
{
	sqlite3 *other;

	accept("$file/f/init", INIT_N);
	accept("$file/f/0", "hel");
	accept("$file/f/3", "lo");
	rig_settle(&rig);
	hold_the_log();
	accept("$file/f/3", "lo");
	fake_hang(FAKE_PUBLISH);
	accept("$file/f/fin/5", "");
	fake_await_hanging(FAKE_PUBLISH);
	ck_assert_int_eq(sqlite3_open(rig_path(&rig, "catalog.db"), &other), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	fake_go_on();
	for (int i = 0; i < 3000 && !rig_has_file(&rig, "files/c/f/n"); i++)
		usleep(10 * 1000);
}

START_TEST(test_restart__finds_that_an_accepted_file_was_published)
{
	rig_act_and_be_killed(&rig, publish_what_the_catalog_never_hears_of);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
	rig_start(&rig);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/fin/5"), FT_OK);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
	ck_assert(!rig_logged(&rig, "count as not sent"));
	rig_settle(&rig);
	ck_assert(!rig_has_file(&rig, "incoming/c/f"));
}
END_TEST

static bool is_applied(void)
{
	return ft_log_fill(rig.engine->core.log) == 0;
}

static void publish_behind_another(void)
{
	accept("$file/e/init", INIT_N);
	accept("$file/e/0", "first");
	publish_what_the_catalog_never_hears_of();
	accept("$file/e/fin/5", "");
}

/* Another is in front of it, so that the abort comes before a finisher has looked. */
START_TEST(test_restart__does_not_abort_what_was_published)
{
	rig_act_and_be_killed(&rig, publish_behind_another);
	fake_hang(FAKE_READ);
	rig_start(&rig);
	fake_await_hanging(FAKE_READ);
	tell("$file/f/abort", "");
	rig_wait_until(&rig, is_applied);
	fake_go_on();
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/abort"), FT_ALREADY_COMPLETE);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
}
END_TEST

static void abort_what_the_catalog_never_hears_of(void)
{
	publish_what_the_catalog_never_hears_of();
	tell("$file/f/abort", "");
}

START_TEST(test_restart__knows_a_published_file_though_an_abort_came)
{
	rig_act_and_be_killed(&rig, abort_what_the_catalog_never_hears_of);
	rig_start(&rig);
	rig_settle(&rig);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
}
END_TEST

static void replace_behind_what_holds_the_log(void)
{
	hold_the_log();
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/put/m", "jello"), FT_OK);
}

START_TEST(test_restart__tells_nothing_of_what_was_replaced)
{
	rig.options.finished_ids = FT_FINISHED_IDS_REPLACE;
	rig_act_and_be_killed(&rig, replace_behind_what_holds_the_log);
	rig_start(&rig);
	rig_settle(&rig);
	rig_check_file(&rig, "files/c/f/m", "jello", 5);
	ck_assert(!rig_has_file(&rig, "files/c/f/n"));
	ck_assert_uint_eq(rig_count(&rig, "$file/f/put/n"), 0);
}
END_TEST

static void begin_again_and_again(void)
{
	hold_the_log();
	for (int i = 0; i < 3; i++) {
		accept("$file/f/init", INIT_N);
		accept("$file/f/0", "old bytes");
		ck_assert_int_eq(say("$file/f/abort", ""), FT_OK);
	}
	accept("$file/f/init", INIT_M);
	accept("$file/f/0", "hello");
}

START_TEST(test_restart__tells_the_transfers_of_one_id_apart)
{
	rig_act_and_be_killed(&rig, begin_again_and_again);
	rig_start(&rig);
	rig_settle(&rig);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "have"), "[[0,5]]");
	ck_assert_int_eq(say("$file/f/fin/5/" SHA_OF_HELLO, ""), FT_OK);
	rig_check_file(&rig, "files/c/f/m", "hello", 5);
}
END_TEST

static void refuse_and_accept(void)
{
	accept("$file/f/init", INIT_N);
	accept("$file/f/0", "hello");
	ck_assert_int_eq(tell("$file/f/init", INIT_M), FT_FILEMETA_CONFLICT);
	accept("$file/g/init", INIT_N);
	ck_assert_int_eq(tell("$file/g/init", INIT_M), FT_FILEMETA_CONFLICT);
	accept("$file/g/init", INIT_N);
	accept("$file/g/0", "hello");
}

START_TEST(test_restart__remembers_which_init_was_the_last)
{
	rig_act_and_be_killed(&rig, refuse_and_accept);
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(say("$file/f/init", INIT_N), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "have"), "[[0,5]]");
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	ck_assert_int_eq(say("$file/g/fin/5", ""), FT_OK);
}
END_TEST

static void settle_the_last_init(void)
{
	refuse_and_accept();
	rig_settle(&rig);
}

START_TEST(test_restart__finds_in_the_catalog_which_init_was_the_last)
{
	rig_act_and_be_killed(&rig, settle_the_last_init);
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(say("$file/g/0", "hello"), FT_OK);
}
END_TEST

static void upload_some(void)
{
	accept("$file/f/init", INIT_N);
	accept("$file/f/2", "llo");
	accept("$file/f/100", "beyond");
	accept("$file/f/0", "xx");
	accept("$file/f/0", "he");
}

START_TEST(test_restart__keeps_every_acknowledged_byte)
{
	rig_act_and_be_killed(&rig, upload_some);
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/init", INIT_N), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "have"), "[[0,5],[100,6]]");
	ck_assert_int_eq(say("$file/f/fin/5/" SHA_OF_HELLO, ""), FT_OK);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
}
END_TEST

static void abort_at_once(void)
{
	accept("$file/f/init", INIT_N);
	accept("$file/f/0", "hello");
	rig_settle(&rig);
	accept("$file/f/abort", "");
}

START_TEST(test_restart__knows_nothing_of_what_was_aborted)
{
	rig_act_and_be_killed(&rig, abort_at_once);
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"none\"");
	ck_assert(!rig_has_file(&rig, "incoming/c/f"));
}
END_TEST

/* The file was there, and the process ended before the catalog knew. */
static void publish_and_die(void)
{
	fin_of_what_is_stored();
	fake_go_on();
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/fin/5"), FT_OK);
}

START_TEST(test_restart__answers_again_or_not_but_has_the_file_once)
{
	rig_act_and_be_killed(&rig, publish_and_die);
	rig_start(&rig);
	rig_settle(&rig);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
	for (size_t i = 0; i < rig.responses; i++)
		ck_assert_int_eq(rig.response[i].status, FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
}
END_TEST

/* --- what could not be told --- */

START_TEST(test_restart__tells_what_could_not_be_told_before)
{
	rig_start(&rig);
	rig.respond = false;
	accept("$file/f/put/n", "hello");
	accept("$file/g/init", INIT_N);
	accept("$file/g/0", "jello");
	accept("$file/g/fin/5/" SHA_OF_HELLO, "");
	rig_settle(&rig);
	ck_assert_uint_eq(rig.responses, 0);
	rig_restart(&rig);
	rig_settle(&rig);
	ck_assert_uint_eq(rig.responses, 0);	/* nor now */
	rig_stop(&rig);
	rig.respond = true;
	rig_start(&rig);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/put/n"), FT_OK);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/g/fin/5/" SHA_OF_HELLO),
			 FT_FILE_CHECKSUM_MISMATCH);
	rig_settle(&rig);
	rig_forget(&rig);
	rig_restart(&rig);
	rig_settle(&rig);
	ck_assert_uint_eq(rig.responses, 0);
}
END_TEST

static void put_many(void)
{
	fake_hang(FAKE_PUBLISH);
	for (int i = 0; i < 50; i++) {
		char topic[64];

		snprintf(topic, sizeof topic, "$file/%d/put/n", i);
		accept(topic, "hello");
	}
}

/* Less memory is allowed than what was accepted before takes. */
START_TEST(test_restart__starts_with_more_than_it_would_accept_now)
{
	rig_act_and_be_killed(&rig, put_many);
	rig.options.max_memory = 4096;
	rig.options.max_transfers = 1;
	rig_start(&rig);
	rig_wait(&rig, 50);
	for (size_t i = 0; i < 50; i++)
		ck_assert_int_eq(rig.response[i].status, FT_OK);
	rig_settle(&rig);
	ck_assert_uint_eq(rig.engine->charged, 0);
	ck_assert_uint_eq(rig.engine->registry.bytes, 0);
}
END_TEST

static char large[3 * 1024 * 1024 / 2];

/* Writer and broker do their parts such that the one answer and the next fin meet in a round. */
static void fin_again_at_once(void)
{
	accept("$file/g/init", INIT_N);
	accept("$file/f/init", INIT_N);
	accept("$file/f/0", "hello");
	rig_settle(&rig);
	while (sem_trywait(&rig.notified) == 0)
		;
	ck_assert_int_eq(tell("$file/f/fin/5/" SHA_OF_OTHERS, ""), FT_OK);
	ck_assert_int_eq(sem_wait(&rig.notified), 0);
	fake_hang(FAKE_WRITE);
	fake_hang(FAKE_PUBLISH);
	ck_assert_int_eq(rig_send(&rig, "c", "$file/g/0", large, sizeof large), FT_OK);
	fake_await_hanging(FAKE_WRITE);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/fin/5/" SHA_OF_OTHERS),
			 FT_FILE_CHECKSUM_MISMATCH);
	accept("$file/f/fin/5", "");
	fake_go_on_with(FAKE_WRITE);
	fake_await_hanging(FAKE_PUBLISH);
}

START_TEST(test_restart__tells_the_second_result_where_the_first_was_told_just_before)
{
	rig_act_and_be_killed(&rig, fin_again_at_once);
	rig_start(&rig);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/fin/5"), FT_OK);
	rig_settle(&rig);
	ck_assert_uint_eq(rig_count(&rig, "$file/f/fin/5/" SHA_OF_OTHERS), 0);
}
END_TEST

/* --- an orderly stop --- */

START_TEST(test_restart__keeps_every_fin_over_a_stop)
{
	enum { COUNT = 200 };

	rig_start(&rig);
	rig.options.limits.max_transfers_per_client = COUNT;
	for (int i = 0; i < COUNT; i++) {
		char topic[64];

		snprintf(topic, sizeof topic, "$file/%d/put/n", i);
		accept(topic, "hello");
	}
	rig_stop(&rig);
	rig_start(&rig);
	rig_settle(&rig);
	for (int i = 0; i < COUNT; i++) {
		char path[64], topic[64];

		snprintf(path, sizeof path, "files/c/%d/n", i);
		rig_check_file(&rig, path, "hello", 5);
		snprintf(topic, sizeof topic, "$file/%d/put/n", i);
		ck_assert_int_eq(rig_wait_for(&rig, topic), FT_OK);
	}
}
END_TEST

/* --- power cuts --- */

START_TEST(test_restart__trusts_only_durable_bytes_after_a_power_cut)
{
	rig_act_and_be_killed(&rig, upload_some);
	rig_cut_power(&rig);
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"none\"");
}
END_TEST

static void edit_catalog(const char *sql)
{
	sqlite3 *catalog;

	ck_assert_int_eq(sqlite3_open(rig_path(&rig, "catalog.db"), &catalog), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(catalog, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(catalog);
}

/* The file is on the disk, but what the catalog said of it is not. */
START_TEST(test_restart__takes_in_what_a_power_cut_has_left_of_a_file)
{
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	rig_settle(&rig);
	rig_stop(&rig);
	edit_catalog("DELETE FROM finished");
	rig_cut_power(&rig);
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/put/n", "hallo"), FT_ALREADY_COMPLETE);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
}
END_TEST

/* Its transfer is in the catalog yet, as one that receives, and its bytes are not durable. */
START_TEST(test_restart__knows_whose_file_a_power_cut_has_left)
{
	rig_act_and_be_killed(&rig, publish_what_the_catalog_never_hears_of);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
	rig_cut_power(&rig);
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"complete\"");
	ck_assert_int_eq(say("$file/f/fin/5/" SHA_OF_HELLO, ""), FT_OK);
	rig_settle(&rig);
	ck_assert(!rig_has_file(&rig, "incoming/c/f"));
}
END_TEST

/* The former file is in the catalog, the one that replaced it is on the disk. */
START_TEST(test_restart__knows_what_replaced_a_file_before_a_power_cut)
{
	rig.options.finished_ids = FT_FINISHED_IDS_REPLACE;
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	rig_settle(&rig);
	rig_stop(&rig);
	edit_catalog("UPDATE finished SET transfer_id = 'the former', completed_ms = 1,"
		     " sha256 = printf('%064d', 0), size = 4");
	rig_cut_power(&rig);
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/fin/5/" SHA_OF_HELLO, ""), FT_OK);
}
END_TEST

static bool has_synced(void)
{
	return fake_calls(FAKE_SYNC) > 0;
}

static void upload_and_make_a_checkpoint(void)
{
	accept("$file/f/init", INIT_N);
	accept("$file/f/0", "hello");
	rig_wait_until(&rig, has_synced);
	rig_settle(&rig);
	accept("$file/f/5", "world");
	rig_settle(&rig);
}

START_TEST(test_restart__trusts_bytes_of_a_checkpoint_after_a_power_cut)
{
	rig_act_and_be_killed(&rig, upload_and_make_a_checkpoint);
	rig_cut_power(&rig);
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "have"), "[[0,5]]");
	ck_assert(rig_logged(&rig, "power cut"));
}
END_TEST

static void upload_some_in_two_rounds(void)
{
	upload_some();
	rig_settle(&rig);
	accept("$file/g/init", INIT_N);
	accept("$file/g/0", "hello");
	rig_settle(&rig);
	fake_hang(FAKE_PUBLISH);
	accept("$file/g/fin/5", "");
	fake_await_hanging(FAKE_PUBLISH);
}

/* The log lets go of nothing that is not on the disk elsewhere. */
START_TEST(test_restart__segment_keeps_every_byte_over_a_power_cut)
{
	rig.options.durability = FT_DURABILITY_SEGMENT;
	rig_act_and_be_killed(&rig, upload_some_in_two_rounds);
	rig_cut_power(&rig);
	rig_start(&rig);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/g/fin/5"), FT_OK);
	rig_check_file(&rig, "files/c/g/n", "hello", 5);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "have"), "[[0,5],[100,6]]");
}
END_TEST

static void nothing(void)
{
}

/* A start that promises less gives up nothing that was promised. */
START_TEST(test_restart__keeps_what_segment_has_promised)
{
	rig.options.durability = FT_DURABILITY_SEGMENT;
	rig_act_and_be_killed(&rig, upload_some);
	rig.options.durability = FT_DURABILITY_FILE;
	rig_act_and_be_killed(&rig, nothing);
	rig_cut_power(&rig);
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "have"), "[[0,5],[100,6]]");
}
END_TEST

/* A stop gives all to the disk, so nothing is asked for again. */
START_TEST(test_restart__trusts_all_bytes_after_a_stop_and_a_power_cut)
{
	rig_start(&rig);
	upload_some();
	rig_stop(&rig);
	rig_cut_power(&rig);
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "have"), "[[0,5],[100,6]]");
}
END_TEST

/* A sync that failed may have thrown the bytes away, and says nothing more of it. */
START_TEST(test_restart__does_not_trust_bytes_that_a_stop_could_not_sync)
{
	rig_start(&rig);
	upload_some();
	fake_fail(FAKE_SYNC, FT_IO_ERROR, FAKE_ALWAYS);
	rig_stop(&rig);
	fake_fail(FAKE_SYNC, FT_OK, 0);
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "have"), "[]");
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_INCOMPLETE);
}
END_TEST

/* --- expiry --- */

/* However long the broker was down, and whatever the clock did. */
START_TEST(test_restart__leaves_time_to_come_back)
{
	rig.options.segments_ttl = 1000;
	rig.options.segments_ttl_min = 300;
	rig_start(&rig);
	accept("$file/f/init", INIT_N);
	accept("$file/f/0", "hello");
	rig_restart(&rig);
	rig_pass(&rig, 299 * 1000);
	ck_assert_uint_eq(rig.engine->registry.count, 1);
	rig_pass(&rig, 702 * 1000);
	rig_pass(&rig, 2000);
	ck_assert_uint_eq(rig.engine->registry.count, 0);
	rig_settle(&rig);
	ck_assert(!rig_has_file(&rig, "incoming/c/f"));
	rig_restart(&rig);
	ck_assert_uint_eq(rig.engine->registry.count, 0);
}
END_TEST

FT_SUITE_IN_MEMORY_WITH("engine restart", set_up, tear_down,
	test_restart__carries_out_a_put_that_was_accepted,
	test_restart__carries_out_a_fin_of_what_is_in_the_store,
	test_restart__carries_out_a_fin_behind_which_more_was_asked,
	test_restart__tells_that_a_fin_failed,
	test_restart__keeps_what_was_sent_after_a_fin_that_failed,
	test_restart__makes_no_file_again_that_a_consumer_took,
	test_restart__finds_that_an_accepted_file_was_published,
	test_restart__does_not_abort_what_was_published,
	test_restart__knows_a_published_file_though_an_abort_came,
	test_restart__tells_nothing_of_what_was_replaced,
	test_restart__tells_the_transfers_of_one_id_apart,
	test_restart__remembers_which_init_was_the_last,
	test_restart__finds_in_the_catalog_which_init_was_the_last,
	test_restart__keeps_every_acknowledged_byte,
	test_restart__knows_nothing_of_what_was_aborted,
	test_restart__answers_again_or_not_but_has_the_file_once,
	test_restart__tells_what_could_not_be_told_before,
	test_restart__starts_with_more_than_it_would_accept_now,
	test_restart__tells_the_second_result_where_the_first_was_told_just_before,
	test_restart__keeps_every_fin_over_a_stop,
	test_restart__takes_in_what_a_power_cut_has_left_of_a_file,
	test_restart__knows_whose_file_a_power_cut_has_left,
	test_restart__knows_what_replaced_a_file_before_a_power_cut,
	test_restart__trusts_only_durable_bytes_after_a_power_cut,
	test_restart__trusts_bytes_of_a_checkpoint_after_a_power_cut,
	test_restart__segment_keeps_every_byte_over_a_power_cut,
	test_restart__keeps_what_segment_has_promised,
	test_restart__trusts_all_bytes_after_a_stop_and_a_power_cut,
	test_restart__does_not_trust_bytes_that_a_stop_could_not_sync,
	test_restart__finds_that_an_accepted_file_was_published,
	test_restart__leaves_time_to_come_back);
