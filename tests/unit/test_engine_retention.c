/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Finished files go when their time has come, and no others. */
#include <check.h>
#include <sqlite3.h>
#include <unistd.h>

#include "../lib/fake_store.h"
#include "../lib/rig.h"
#include "../suite.h"

#define PAST "{\"name\":\"n\",\"expire_at\":1000000000}"
#define FUTURE "{\"name\":\"n\",\"expire_at\":4000000000}"
#define DAY_MS ((int64_t)24 * 3600 * 1000)

static struct rig rig;

static enum ft_status say(const char *topic, const char *text)
{
	return rig_ask_text(&rig, "c", topic, text);
}

static void finish(const char *file, const char *init)
{
	char topic[100];

	snprintf(topic, sizeof topic, "$file/%s/init", file);
	ck_assert_int_eq(say(topic, init), FT_OK);
	snprintf(topic, sizeof topic, "$file/%s/0", file);
	ck_assert_int_eq(say(topic, "hello"), FT_OK);
	snprintf(topic, sizeof topic, "$file/%s/fin/5", file);
	ck_assert_int_eq(say(topic, ""), FT_OK);
}

/* As an operator would ask it: the first number. */
static int64_t ask(const char *sql)
{
	sqlite3_stmt *statement;
	int64_t number = -1;
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open_v2(rig_path(&rig, "catalog.db"), &db, SQLITE_OPEN_READWRITE, NULL),
			 SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
	if (sqlite3_step(statement) == SQLITE_ROW)
		number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(db);
	return number;
}

static int64_t rows(void)
{
	return ask("SELECT count(*) FROM finished");
}

static bool none_is_left(void)
{
	return rows() == 0;
}


static bool nothing_is_out(void)
{
	return !rig.engine->retaining && !rig.engine->retain_again;
}

/* One look at all that has expired. */
static void look(void)
{
	rig_pass(&rig, 1100);
	for (int i = 0; i < 200 && !nothing_is_out(); i++) {
		rig_pass(&rig, 100);
		usleep(2000);
	}
	rig_wait_until(&rig, nothing_is_out);
}

static void stop_looking(void)
{
	rig_stop(&rig);
	rig.options.gc_interval = 3600;
	rig_start(&rig);
	rig_wait_until(&rig, nothing_is_out);
}

static void look_again(void)
{
	rig.options.gc_interval = 1;
	rig_pass(&rig, 3600 * 1000);
	look();
}

static void set_up(void)
{
	fake_reset("fs");
	rig_setup(&rig, "fs");
	rig.ops = &fake_store;
	rig_start(&rig);
	/* A start looks for what has expired, and would find what a test finishes. */
	rig_wait_until(&rig, nothing_is_out);
}

static void tear_down(void)
{
	rig_teardown(&rig);
	fake_check();
}

START_TEST(test_retention__removes_what_has_expired_and_nothing_else)
{
	finish("f", PAST);
	finish("g", FUTURE);
	finish("h", "{\"name\":\"n\"}");
	look();
	ck_assert(!rig_has_file(&rig, "files/c/f"));
	rig_check_file(&rig, "files/c/g/n", "hello", 5);
	rig_check_file(&rig, "files/c/h/n", "hello", 5);
	ck_assert(rig_has_file(&rig, "files/c/h/n.manifest.json"));
	ck_assert_int_eq(rows(), 2);
	ck_assert(rig_logged(&rig, "1 finished files have expired"));
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"none\"");
	finish("f", "{\"name\":\"other\"}");
	ck_assert_int_eq(say("$file/g/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"complete\"");
}
END_TEST

START_TEST(test_retention__files_ttl_is_for_those_without_a_time_of_their_own)
{
	finish("f", "{\"name\":\"n\"}");
	finish("g", FUTURE);
	rig_stop(&rig);
	rig.options.files_ttl = 3600;
	ask("UPDATE finished SET completed_ms = completed_ms - 3590000");
	rig_start(&rig);
	look();
	ck_assert_int_eq(rows(), 2);
	ask("UPDATE finished SET completed_ms = completed_ms - 20000");
	look();
	ck_assert_int_eq(rows(), 1);
	ck_assert(!rig_has_file(&rig, "files/c/f"));
	rig_check_file(&rig, "files/c/g/n", "hello", 5);
}
END_TEST

START_TEST(test_retention__of_a_file_that_was_taken_only_the_row_goes)
{
	finish("f", PAST);
	ck_assert_int_eq(unlink(rig_path(&rig, "files/c/f/n")), 0);
	ck_assert_int_eq(unlink(rig_path(&rig, "files/c/f/n.manifest.json")), 0);
	look();
	ck_assert(none_is_left());
}
END_TEST

START_TEST(test_retention__what_lies_beside_it_stays)
{
	FILE *file;

	finish("f", PAST);
	file = fopen(rig_path(&rig, "files/c/f/notes"), "w");
	fclose(file);
	look();
	ck_assert(none_is_left());
	ck_assert(rig_has_file(&rig, "files/c/f/notes"));
	ck_assert(!rig_has_file(&rig, "files/c/f/n"));
}
END_TEST

START_TEST(test_retention__many_go_in_steps)
{
	char file[20];

	stop_looking();
	for (int i = 0; i < 300; i++) {
		snprintf(file, sizeof file, "f%d", i);
		finish(file, PAST);
	}
	look_again();
	ck_assert(none_is_left());
	ck_assert_uint_eq(rig.engine->finished.count, 0);
	ck_assert(rig_logged(&rig, "finished files have expired"));
	ck_assert_uint_ge(fake_calls(FAKE_REMOVE_FINISHED), 300 / FT_FILES_MAX);
}
END_TEST

START_TEST(test_retention__a_file_that_is_being_replaced_stays_until_then)
{
	rig.options.finished_ids = FT_FINISHED_IDS_REPLACE;
	stop_looking();
	finish("f", PAST);
	finish("g", PAST);
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"m\",\"expire_at\":4000000000}"), FT_OK);
	look_again();
	ck_assert_int_eq(rows(), 1);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
	ck_assert_int_eq(say("$file/f/0", "jello"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	look();
	rig_check_file(&rig, "files/c/f/m", "jello", 5);
}
END_TEST

START_TEST(test_retention__nobody_begins_what_is_on_its_way_out)
{
	finish("f", PAST);
	fake_hang(FAKE_REMOVE_FINISHED);
	rig_pass(&rig, 1100);
	while (fake_calls(FAKE_REMOVE_FINISHED) == 0) {
		rig_pass(&rig, 1100);
		usleep(1000);
	}
	fake_await_hanging(FAKE_REMOVE_FINISHED);
	ck_assert_int_eq(rig_send_text(&rig, "c", "$file/f/init", "{\"name\":\"n\"}"), FT_BUSY);
	ck_assert_int_eq(rig_send_text(&rig, "c", "$file/f/put/n", "x"), FT_BUSY);
	ck_assert_int_eq(rig_send_text(&rig, "c", "$file/g/init", "{\"name\":\"n\"}"), FT_OK);
	fake_go_on();
	rig_wait_until(&rig, none_is_left);
	look();
	ck_assert_int_eq(say("$file/f/put/n", "other"), FT_OK);
	rig_check_file(&rig, "files/c/f/n", "other", 5);
}
END_TEST

static void expire_and_die(void)
{
	finish("f", PAST);
	fake_die_behind(FAKE_REMOVE_FINISHED);
	look();
}

START_TEST(test_retention__a_kill_in_between_leaves_a_row_that_goes_later)
{
	rig_stop(&rig);
	rig_act_and_be_killed(&rig, expire_and_die);
	ck_assert(!rig_has_file(&rig, "files/c/f/n"));
	ck_assert_int_eq(rows(), 1);
	fake_reset("fs");
	rig_start(&rig);
	look();
	ck_assert(none_is_left());
}
END_TEST

START_TEST(test_retention__what_cannot_be_removed_keeps_its_row)
{
	fake_fail(FAKE_REMOVE_FINISHED, FT_IO_ERROR, FAKE_ALWAYS);
	finish("f", PAST);
	look();
	ck_assert_int_eq(rows(), 1);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"complete\"");
	fake_fail(FAKE_REMOVE_FINISHED, FT_OK, 0);
	look();
	ck_assert(none_is_left());
}
END_TEST

/* When it was looked at last the time was another one. */
START_TEST(test_retention__a_clock_that_jumped_expires_nothing_for_a_day)
{
	char sql[200];

	finish("f", PAST);
	rig_stop(&rig);
	snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO reckoning VALUES (1, %lld, 0)",
		 (long long)(ft_clock_unix_ms() + (_i ? 1 : -1) * 40 * DAY_MS));
	ask(sql);
	rig_start(&rig);
	look();
	look();
	ck_assert(rig_logged(&rig, "no finished file expires"));
	ck_assert_int_ge(rows(), 1);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
	rig_pass(&rig, 20 * 3600 * 1000);
	look();
	ck_assert_int_ge(rows(), 1);
	rig_restart(&rig);	/* which it outlives */
	look();
	ck_assert_int_ge(rows(), 1);
	rig_pass(&rig, 5 * 3600 * 1000);
	look();
	look();
	ck_assert(none_is_left());
	ck_assert(!rig_has_file(&rig, "files/c/f"));
}
END_TEST

/* What was finished in 1970 or 2100 is not old when the clock is set right. */
START_TEST(test_retention__files_of_a_wrong_clock_count_from_now)
{
	finish("f", "{\"name\":\"n\"}");
	finish("g", "{\"name\":\"n\"}");
	rig_stop(&rig);
	ask("UPDATE finished SET completed_ms = 5000 WHERE file = 'f'");
	ask("UPDATE finished SET completed_ms = 4102444800000 WHERE file = 'g'");
	rig.options.files_ttl = 3600;
	rig_start(&rig);
	look();
	ck_assert_int_eq(rows(), 2);
	ck_assert_int_lt(ask("SELECT max(completed_ms) - min(completed_ms) FROM finished"), 60000);
	ck_assert_int_lt(ft_clock_unix_ms() - ask("SELECT min(completed_ms) FROM finished"), 60000);
}
END_TEST

START_TEST(test_retention__looks_only_at_what_has_expired)
{
	sqlite3_stmt *statement;
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(rig_path(&rig, "catalog.db"), &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, "EXPLAIN QUERY PLAN SELECT owner FROM finished"
		" WHERE expire_at <= ? UNION ALL SELECT owner FROM finished WHERE expire_at IS NULL"
		" AND completed_ms BETWEEN ? AND ? LIMIT ? OFFSET ?", -1, &statement, NULL), SQLITE_OK);
	while (sqlite3_step(statement) == SQLITE_ROW)
		ck_assert_ptr_null(strstr((const char *)sqlite3_column_text(statement, 3), "SCAN"));
	sqlite3_finalize(statement);
	sqlite3_close(db);
}
END_TEST

int main(void)
{
	Suite *suite;
	TCase *cases;
	const TTest *const tests[] = {
		test_retention__removes_what_has_expired_and_nothing_else,
		test_retention__files_ttl_is_for_those_without_a_time_of_their_own,
		test_retention__of_a_file_that_was_taken_only_the_row_goes,
		test_retention__what_lies_beside_it_stays,
		test_retention__many_go_in_steps,
		test_retention__a_file_that_is_being_replaced_stays_until_then,
		test_retention__nobody_begins_what_is_on_its_way_out,
		test_retention__a_kill_in_between_leaves_a_row_that_goes_later,
		test_retention__what_cannot_be_removed_keeps_its_row,
		test_retention__files_of_a_wrong_clock_count_from_now,
		test_retention__looks_only_at_what_has_expired,
	};

	ft_suite_use_memory();
	suite = suite_create("engine retention");
	cases = ft_suite_cases("engine retention");
	tcase_add_checked_fixture(cases, set_up, tear_down);
	for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
		tcase_add_test(cases, tests[i]);
	tcase_add_loop_test(cases, test_retention__a_clock_that_jumped_expires_nothing_for_a_day, 0, 2);
	suite_add_tcase(suite, cases);
	return ft_suite_finish(suite);
}
