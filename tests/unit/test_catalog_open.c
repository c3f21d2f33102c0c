/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What is found at a start, transactions, and several threads. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/catalog_rig.h"
#include "../suite.h"
#include "../tree.h"

static struct catalog_rig rig;

static void setup(void)
{
	catalog_rig_init(&rig);
}

static void teardown(void)
{
	catalog_rig_release(&rig);
}

static void opens(enum ft_catalog_past past)
{
	ck_assert_int_eq(catalog_rig_reopen(&rig), FT_OK);
	ck_assert_int_eq(rig.past, past);
}

static void begin(void)
{
	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_OK);
}

static void commit(void)
{
	ck_assert_int_eq(ft_catalog_commit(rig.catalog), FT_OK);
}

static void has(const char *part, bool expected)
{
	enum ft_status st;
	char *text = catalog_rig_dump(rig.catalog, &st);

	ck_assert_int_eq(st, FT_OK);
	ck_assert_msg((strstr(text, part) != NULL) == expected, "%s%s in:\n%s",
		      expected ? "not: " : "", part, text);
	free(text);
}

/* As another program would, while the catalog is closed or open. */
static void sql(const char *text)
{
	sqlite3 *db;
	char *message = NULL;

	ck_assert_int_eq(sqlite3_open(rig.path, &db), SQLITE_OK);
	ck_assert_msg(sqlite3_exec(db, text, NULL, NULL, &message) == SQLITE_OK, "%s: %s", text,
		      message);
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

/* What a query says, one row of one column. The caller's to free. */
static char *sql_says(const char *query)
{
	sqlite3 *db;
	sqlite3_stmt *statement;
	char *text;

	ck_assert_int_eq(sqlite3_open(rig.path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, query, -1, &statement, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
	text = strdup((const char *)sqlite3_column_text(statement, 0));
	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(sqlite3_finalize(statement), SQLITE_OK);
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
	return text;
}

static void put_transfer(uint64_t number, const char *file, const char *held, const char *durable,
			 uint64_t fin_size)
{
	static const struct ft_request ticket = { .client_id = "cam", .topic = "t" };
	struct ft_facts facts = catalog_rig_facts(number, "cam", file);
	struct ft_ranges held_ranges = catalog_rig_ranges(held);
	struct ft_ranges durable_ranges = catalog_rig_ranges(durable);
	struct ft_fin fin = { .size = fin_size };
	struct ft_catalog *c = rig.catalog;

	begin();
	ck_assert_int_eq(ft_catalog_put_transfer(c, &facts, FT_CATALOG_RECEIVING, 0), FT_OK);
	ck_assert_int_eq(ft_catalog_put_held(c, number, &held_ranges, 0, INT64_MAX), FT_OK);
	ck_assert_int_eq(ft_catalog_put_durable(c, number, &durable_ranges, 0, INT64_MAX), FT_OK);
	if (fin_size != UINT64_MAX)
		ck_assert_int_eq(ft_catalog_put_fin(c, number, &fin, &ticket), FT_OK);
	commit();
	ft_ranges_release(&held_ranges);
	ft_ranges_release(&durable_ranges);
}

#define NO_FIN UINT64_MAX

static void fill(void)
{
	begin();
	ck_assert_int_eq(ft_catalog_put_filled(rig.catalog), FT_OK);
	commit();
}

/* --- power cuts --- */

static void after_cut(void)
{
	opens(FT_CATALOG_CUT);
	has("transfer 1 state=1 ", true);
	has(" held=[2-4] durable=[2-4]\n", true);
	/* Whose bytes are all there, or of which none is asked for, stays what it was. */
	has("transfer 2 state=2 ", true);
	has(" fin=4 held=[0-4][7-9] durable=[0-4][7-9]\n", true);
	has("answer 2 result=- ", true);
	has("transfer 3 state=2 ", true);
	has("answer 3 result=- ", true);
	/* Else the fin has failed. */
	has("transfer 4 state=1 ", true);
	has("answer 4 result=incomplete ", true);
	has("transfer 5 state=1 ", true);
	has("answer 5 result=incomplete ", true);
}

static void before_cut(void)
{
	opens(FT_CATALOG_NEW);
	fill();
	put_transfer(1, "a", "0-10 20-30", "2-4", NO_FIN);
	put_transfer(2, "b", "0-5 7-9", "0-4 7-9", 4);
	put_transfer(3, "c", "0-5", "", 0);
	put_transfer(4, "d", "0-10", "0-9", 10);
	put_transfer(5, "e", "0-10", "", 10);
}

START_TEST(test_catalog_open__goes_on_in_the_same_life)
{
	before_cut();
	opens(FT_CATALOG_CONTINUED);
	has(" held=[0-10][20-30] durable=[2-4]\n", true);
	has("transfer 5 state=2 ", true);
}
END_TEST

START_TEST(test_catalog_open__holds_what_was_durable_after_another_boot)
{
	before_cut();
	rig.identity = CATALOG_RIG_OTHER_BOOT;
	after_cut();
	opens(FT_CATALOG_CONTINUED);
}
END_TEST

START_TEST(test_catalog_open__holds_what_was_durable_without_its_log)
{
	before_cut();
	rig.log_id[15]++;
	after_cut();
	opens(FT_CATALOG_CONTINUED);
}
END_TEST

START_TEST(test_catalog_open__trusts_nothing_where_the_life_is_not_known)
{
	before_cut();
	rig.identity = NULL;
	after_cut();
	opens(FT_CATALOG_CUT);
	rig.identity = CATALOG_RIG_IDENTITY;
	opens(FT_CATALOG_CUT);
	opens(FT_CATALOG_CONTINUED);
}
END_TEST

START_TEST(test_catalog_open__trusts_a_log_in_memory_where_the_boot_is_not_known)
{
	before_cut();
	rig.identity = "fsid=2 dev=8:1 ns=3 mnt=4";
	rig.log_medium = FT_LOG_IN_MEMORY;
	opens(FT_CATALOG_CONTINUED);
	rig.log_medium = FT_LOG_ON_DISK;
	after_cut();
}
END_TEST

START_TEST(test_catalog_open__keeps_the_newest_name_of_the_same_life)
{
	before_cut();
	rig.identity = "boot=1 fsid=2 dev=8:1 ns=30 mnt=40";
	opens(FT_CATALOG_CONTINUED);
	/* A remount, as seen from the namespace of the start before. */
	rig.identity = "boot=1 fsid=2 dev=8:1 ns=30 mnt=41";
	after_cut();
}
END_TEST

START_TEST(test_catalog_open__takes_another_log_for_its_own)
{
	before_cut();
	rig.log_id[3]++;
	begin();
	ck_assert_int_eq(ft_catalog_put_log(rig.catalog, rig.identity, rig.log_id), FT_OK);
	commit();
	opens(FT_CATALOG_CONTINUED);
	has(" held=[0-10][20-30] durable=[2-4]\n", true);
}
END_TEST

START_TEST(test_catalog_open__cuts_what_is_not_filled_too)
{
	opens(FT_CATALOG_NEW);
	put_transfer(1, "a", "0-10", "0-3", NO_FIN);
	rig.log_id[0]++;
	opens(FT_CATALOG_NEW);
	has(" held=[0-3] durable=[0-3]\n", true);
}
END_TEST

/* --- files that are not ours --- */

static void write_file(const char *path, const void *bytes, size_t len)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
	ck_assert_int_eq(fclose(file), 0);
}

static void refuses(enum ft_status expected, const char *word)
{
	ck_assert_int_eq(catalog_rig_reopen(&rig), expected);
	ck_assert_ptr_null(rig.catalog);
	ck_assert_msg(strstr(rig.log, word) != NULL, "log: %s", rig.log);
	ck_assert_msg(strchr(rig.log, '\n') == rig.log + rig.log_len - 1, "one line: %s", rig.log);
}

START_TEST(test_catalog_open__takes_an_empty_file_for_a_new_catalog)
{
	CATALOG_URL_SKIP();
	write_file(rig.path, "", 0);
	opens(FT_CATALOG_NEW);
	ck_assert_str_eq(rig.log, "");
}
END_TEST

START_TEST(test_catalog_open__refuses_what_is_no_database)
{
	static const char text[5000] = "These are notes of mine.";

	CATALOG_URL_SKIP();
	write_file(rig.path, text, sizeof text);
	refuses(FT_DAMAGED, "not a database");
}
END_TEST

START_TEST(test_catalog_open__refuses_a_database_of_another_program)
{
	CATALOG_URL_SKIP();
	sql("CREATE TABLE notes (text); INSERT INTO notes VALUES ('mine')");
	refuses(FT_DAMAGED, "another program");
	free(sql_says("SELECT text FROM notes"));
}
END_TEST

START_TEST(test_catalog_open__refuses_a_newer_version_and_leaves_it)
{
	CATALOG_URL_SKIP();
	opens(FT_CATALOG_NEW);
	ft_catalog_close(&rig.catalog);
	sql("PRAGMA user_version = 2; DROP TABLE answers; PRAGMA journal_mode = delete");
	refuses(FT_IO_ERROR, "newer version");
	free(sql_says("SELECT count(*) FROM transfers"));
}
END_TEST

START_TEST(test_catalog_open__refuses_tables_that_are_not_ours)
{
	CATALOG_URL_SKIP();
	opens(FT_CATALOG_NEW);
	ft_catalog_close(&rig.catalog);
	sql("DROP TABLE answers");
	refuses(FT_DAMAGED, "no such table");
}
END_TEST

START_TEST(test_catalog_open__adds_what_a_later_version_has_added)
{
	CATALOG_URL_SKIP();
	opens(FT_CATALOG_NEW);
	ft_catalog_close(&rig.catalog);
	sql("DROP TABLE outbox");
	opens(FT_CATALOG_NEW);
	free(sql_says("SELECT count(*) FROM outbox"));
}
END_TEST

START_TEST(test_catalog_open__refuses_a_catalog_without_progress)
{
	CATALOG_URL_SKIP();
	opens(FT_CATALOG_NEW);
	ft_catalog_close(&rig.catalog);
	sql("DELETE FROM progress");
	refuses(FT_DAMAGED, "makes no sense");
}
END_TEST

START_TEST(test_catalog_open__refuses_a_file_that_was_cut_off)
{
	struct stat info;

	CATALOG_URL_SKIP();
	opens(FT_CATALOG_NEW);
	ft_catalog_close(&rig.catalog);
	ck_assert_int_eq(stat(rig.path, &info), 0);
	ck_assert_int_eq(truncate(rig.path, info.st_size / 2), 0);
	refuses(FT_DAMAGED, "malformed");
}
END_TEST

START_TEST(test_catalog_open__names_a_directory_that_is_not_there)
{
	CATALOG_URL_SKIP();
	snprintf(rig.path, sizeof rig.path, "%s/no/catalog.db", rig.dir);
	refuses(FT_NO_SUCH_TRANSFER, "No such file or directory");
}
END_TEST

START_TEST(test_catalog_open__refuses_a_directory)
{
	CATALOG_URL_SKIP();
	ck_assert_int_eq(mkdir(rig.path, 0700), 0);
	refuses(FT_IO_ERROR, "unable to open");
}
END_TEST

START_TEST(test_catalog_open__moves_a_catalog_with_its_log)
{
	char aside[200];
	char wal[210];

	CATALOG_URL_SKIP();
	opens(FT_CATALOG_NEW);
	put_transfer(1, "a", "0-10", "", NO_FIN);
	snprintf(aside, sizeof aside, "%s/aside", rig.dir);
	snprintf(wal, sizeof wal, "%s-wal", aside);
	/* As a killed process leaves it: with all of it in the log. */
	ck_assert_int_eq(ft_catalog_move(rig.path, aside), FT_OK);
	ck_assert_int_eq(access(wal, F_OK), 0);
	ck_assert_int_eq(ft_catalog_move(rig.path, aside), FT_OK);
	ft_catalog_close(&rig.catalog);
	opens(FT_CATALOG_NEW);
	has("transfer", false);
}
END_TEST

START_TEST(test_catalog_open__does_not_use_a_log_without_its_database)
{
	struct catalog_rig other;
	char name[400];

	CATALOG_URL_SKIP();
	opens(FT_CATALOG_NEW);
	put_transfer(1, "a", "0-10", "", NO_FIN);
	catalog_rig_init(&other);
	snprintf(name, sizeof name, "cp %s-wal %s-wal", rig.path, other.path);
	ck_assert_int_eq(system(name), 0);
	ck_assert_int_eq(catalog_rig_open(&other), FT_OK);
	ck_assert_int_eq(other.past, FT_CATALOG_NEW);
	catalog_rig_release(&other);
}
END_TEST

START_TEST(test_catalog_open__makes_files_that_others_cannot_read)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };
	struct stat info;
	char name[200];

	CATALOG_URL_SKIP();
	umask(0);
	opens(FT_CATALOG_NEW);
	for (size_t i = 0; i < 3; i++) {
		snprintf(name, sizeof name, "%s%s", rig.path, suffixes[i]);
		ck_assert_int_eq(stat(name, &info), 0);
		ck_assert_uint_eq(info.st_mode & 0777, 0640);
	}
}
END_TEST

START_TEST(test_catalog_open__can_be_read_by_people)
{
	static const struct {
		const char *query;
		const char *says;
	} queries[] = {
		{ "SELECT group_concat(owner || ' ' || file || ' ' || state) FROM transfers",
		  "cam a 2" },
		{ "SELECT name || ' ' || received || ' ' || durable || ' ' || state || ' ' ||"
		  " received_at || ' ' || expire_at FROM unfinished",
		  "photo-1.jpg 10 4 finishing 2026-09-21T14:13:20.000Z 2027-01-15T08:00:00Z" },
		{ "SELECT owner || ' ' || file || ' ' || name || ' ' || completed_at FROM files",
		  "cam b photo-2.jpg 2026-09-21T14:13:25.000Z" },
		{ "SELECT result FROM answers", "FT_TIMEOUT" },
	};
	struct ft_finished finished = catalog_rig_finished(2, "cam", "b");

	CATALOG_URL_SKIP();
	opens(FT_CATALOG_NEW);
	put_transfer(1, "a", "0-10", "2-6", 10);
	begin();
	ck_assert_int_eq(ft_catalog_drop_fin(rig.catalog, 1, FT_TIMEOUT), FT_OK);
	ck_assert_int_eq(ft_catalog_put_fin(rig.catalog, 1, &(struct ft_fin){ 10, false, { { 0 } } },
					    NULL), FT_OK);
	ck_assert_int_eq(ft_catalog_put_finished(rig.catalog, &finished, NULL), FT_OK);
	commit();
	for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
		char *text = sql_says(queries[i].query);

		ck_assert_str_eq(text, queries[i].says);
		free(text);
	}
}
END_TEST

/* --- transactions --- */

START_TEST(test_catalog_open__rolls_back)
{
	struct ft_facts facts = catalog_rig_facts(1, "cam", "f");

	opens(FT_CATALOG_NEW);
	begin();
	ck_assert_int_eq(ft_catalog_put_transfer(rig.catalog, &facts, FT_CATALOG_RECEIVING, 0),
			 FT_OK);
	has("transfer 1 ", true);
	ft_catalog_rollback(rig.catalog);
	has("transfer 1 ", false);
	begin();
	ck_assert_int_eq(ft_catalog_put_transfer(rig.catalog, &facts, FT_CATALOG_RECEIVING, 0),
			 FT_OK);
	opens(FT_CATALOG_NEW);
	has("transfer 1 ", false);
	ft_catalog_rollback(rig.catalog);
}
END_TEST

START_TEST(test_catalog_open__shows_others_what_is_committed)
{
	struct ft_facts facts = catalog_rig_facts(1, "cam", "f");
	struct ft_catalog *mine;
	uint64_t number;

	opens(FT_CATALOG_NEW);
	ck_assert_int_eq(ft_catalog_join(rig.catalog, &mine), FT_OK);
	begin();
	ck_assert_int_eq(ft_catalog_put_transfer(rig.catalog, &facts, FT_CATALOG_RECEIVING, 0),
			 FT_OK);
	ck_assert_int_eq(ft_catalog_find_number(mine, &facts.key, &number), FT_OK);
	ck_assert_uint_eq(number, 0);
	commit();
	ck_assert_int_eq(ft_catalog_find_number(mine, &facts.key, &number), FT_OK);
	ck_assert_uint_eq(number, 1);
	ft_catalog_close(&mine);
	ck_assert_ptr_null(mine);
}
END_TEST

#define WRITERS 4
#define ROUNDS 100

static pthread_barrier_t together;

static void *write_many(void *from)
{
	struct ft_catalog *mine = from;

	pthread_barrier_wait(&together);
	for (int i = 0; i < ROUNDS; i++) {
		struct ft_progress progress;

		ck_assert_int_eq(ft_catalog_begin(mine), FT_OK);
		ck_assert_int_eq(ft_catalog_get_progress(mine, &progress), FT_OK);
		progress.last_number++;
		ck_assert_int_eq(ft_catalog_put_progress(mine, &progress), FT_OK);
		ck_assert_int_eq(ft_catalog_commit(mine), FT_OK);
		ck_assert_int_eq(ft_catalog_sync(mine), FT_OK);
		if (i % 10 == 0)
			ck_assert_int_eq(ft_catalog_checkpoint(mine), FT_OK);
	}
	return NULL;
}

START_TEST(test_catalog_open__lets_writers_queue_up)
{
	struct ft_catalog *mine[WRITERS];
	pthread_t threads[WRITERS];
	struct ft_progress progress;

	opens(FT_CATALOG_NEW);
	ck_assert_int_eq(pthread_barrier_init(&together, NULL, WRITERS), 0);
	for (size_t i = 0; i < WRITERS; i++) {
		ck_assert_int_eq(ft_catalog_join(rig.catalog, &mine[i]), FT_OK);
		ck_assert_int_eq(pthread_create(&threads[i], NULL, write_many, mine[i]), 0);
	}
	for (size_t i = 0; i < WRITERS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
		ft_catalog_close(&mine[i]);
	}
	ck_assert_int_eq(ft_catalog_get_progress(rig.catalog, &progress), FT_OK);
	ck_assert_uint_eq(progress.last_number, WRITERS * ROUNDS);
	ck_assert_str_eq(rig.log, "");
	pthread_barrier_destroy(&together);
}
END_TEST

START_TEST(test_catalog_open__is_busy_while_another_program_has_it)
{
	sqlite3 *db;

	CATALOG_URL_SKIP();
	opens(FT_CATALOG_NEW);
	ck_assert_int_eq(sqlite3_open(rig.path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_BUSY);
	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_BUSY);
	ft_catalog_rollback(rig.catalog);
	ck_assert_ptr_nonnull(strstr(rig.log, "another program"));
	ck_assert_ptr_eq(strchr(rig.log, '\n'), rig.log + rig.log_len - 1);
	ck_assert_int_eq(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
	begin();
	commit();
}
END_TEST

/* --- the write-ahead log --- */

static off_t wal_size(void)
{
	struct stat info;
	char name[200];

	snprintf(name, sizeof name, "%s-wal", rig.path);
	ck_assert_int_eq(stat(name, &info), 0);
	return info.st_size;
}

START_TEST(test_catalog_open__begins_the_log_anew_after_a_checkpoint)
{
	off_t size = 0;

	CATALOG_URL_SKIP();
	opens(FT_CATALOG_NEW);
	for (uint64_t i = 1; i <= 300; i++) {
		put_transfer(i, "a", "0-10", "", NO_FIN);
		if (i % 10 == 0)
			ck_assert_int_eq(ft_catalog_checkpoint(rig.catalog), FT_OK);
		if (i == 20)
			size = wal_size();
	}
	ck_assert_int_le(wal_size(), size * 2);
}
END_TEST

FT_SUITE_WITH("catalog_open", setup, teardown, test_catalog_open__goes_on_in_the_same_life,
	      test_catalog_open__holds_what_was_durable_after_another_boot,
	      test_catalog_open__holds_what_was_durable_without_its_log,
	      test_catalog_open__trusts_nothing_where_the_life_is_not_known,
	      test_catalog_open__trusts_a_log_in_memory_where_the_boot_is_not_known,
	      test_catalog_open__keeps_the_newest_name_of_the_same_life,
	      test_catalog_open__takes_another_log_for_its_own,
	      test_catalog_open__cuts_what_is_not_filled_too,
	      test_catalog_open__takes_an_empty_file_for_a_new_catalog,
	      test_catalog_open__refuses_what_is_no_database,
	      test_catalog_open__refuses_a_database_of_another_program,
	      test_catalog_open__refuses_a_newer_version_and_leaves_it,
	      test_catalog_open__refuses_tables_that_are_not_ours,
	      test_catalog_open__adds_what_a_later_version_has_added,
	      test_catalog_open__refuses_a_catalog_without_progress,
	      test_catalog_open__refuses_a_file_that_was_cut_off,
	      test_catalog_open__names_a_directory_that_is_not_there,
	      test_catalog_open__refuses_a_directory,
	      test_catalog_open__moves_a_catalog_with_its_log,
	      test_catalog_open__does_not_use_a_log_without_its_database,
	      test_catalog_open__makes_files_that_others_cannot_read,
	      test_catalog_open__can_be_read_by_people, test_catalog_open__rolls_back,
	      test_catalog_open__shows_others_what_is_committed,
	      test_catalog_open__lets_writers_queue_up,
	      test_catalog_open__is_busy_while_another_program_has_it,
	      test_catalog_open__begins_the_log_anew_after_a_checkpoint);
