/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What devices have done about their jobs. */
#include "catalog/executions.h"

#include <check.h>
#include <sqlite3.h>
#include <string.h>

#include "../lib/catalog_rig.h"
#include "../suite.h"
#include "base/buf.h"

static struct catalog_rig rig;
static const struct ft_thing cam = { .kind = FT_THING_CLIENT, .name = "cam" };
static char room[1024];
static struct ft_buf seen;

static void set_up(void)
{
	catalog_rig_init(&rig);
	ck_assert_int_eq(catalog_rig_open(&rig), FT_OK);
}

static void tear_down(void)
{
	catalog_rig_release(&rig);
}

static void put(const struct ft_thing *thing, const char *job, uint64_t version, const char *details)
{
	const struct ft_execution execution = {
		.job = job, .status = FT_EXECUTION_IN_PROGRESS, .version = version,
		.details = { details, strlen(details) }, .queued_s = 5, .started_s = 6, .updated_s = 7,
	};

	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_OK);
	ck_assert_int_eq(ft_catalog_put_execution(rig.catalog, thing, &execution), FT_OK);
	ck_assert_int_eq(ft_catalog_commit(rig.catalog), FT_OK);
}

static enum ft_status note(void *context, const struct ft_execution *execution)
{
	(void)context;
	ft_buf_printf(&seen, "%s %d v%d %.*s %d,%d,%d; ", execution->job, execution->status,
		      (int)execution->version, (int)execution->details.len, execution->details.at,
		      (int)execution->queued_s, (int)execution->started_s, (int)execution->updated_s);
	return FT_OK;
}

static enum ft_status look(const struct ft_thing *thing)
{
	seen = ft_buf_on(room, sizeof room);
	return ft_catalog_each_execution(rig.catalog, thing, note, NULL);
}

static void assert_rows(const struct ft_thing *thing, const char *text)
{
	ck_assert_int_eq(look(thing), FT_OK);
	ck_assert_str_eq(room, text);
}

static void run(const char *sql)
{
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(rig.path, &db), SQLITE_OK);
	ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
	sqlite3_close(db);
}

START_TEST(test_executions__are_a_row_for_each_thing_and_job)
{
	const struct ft_thing user = { .kind = FT_THING_USER, .name = "cam" };
	const struct ft_thing odd = { .kind = FT_THING_CLIENT, .name = "\xff" };

	put(&cam, "j2", 2, "{}");
	put(&cam, "j1", 2, "");
	put(&user, "j1", 3, "{\"a\":1}");
	put(&odd, "j1", 4, "");
	put(&cam, "j2", 3, "{\"b\":2}");
	ck_assert_int_eq(catalog_rig_reopen(&rig), FT_OK);
	assert_rows(&cam, "j1 1 v2  5,6,7; j2 1 v3 {\"b\":2} 5,6,7; ");
	assert_rows(&user, "j1 1 v3 {\"a\":1} 5,6,7; ");
	assert_rows(&odd, "j1 1 v4  5,6,7; ");
}
END_TEST

START_TEST(test_executions__are_counted_and_forgotten_by_job)
{
	const struct ft_thing other = { .kind = FT_THING_CLIENT, .name = "other" };
	char job[FT_AWS_JOB_ID_MAX + 1];
	uint64_t count;

	ck_assert_int_eq(ft_catalog_next_executed_job(rig.catalog, "", job), FT_OK);
	ck_assert_str_eq(job, "");
	put(&cam, "j1", 2, "");
	put(&other, "j1", 2, "");
	put(&cam, "j2", 2, "");
	ck_assert_int_eq(ft_catalog_count_executions(rig.catalog, &count), FT_OK);
	ck_assert_uint_eq(count, 3);
	ck_assert_int_eq(ft_catalog_next_executed_job(rig.catalog, "", job), FT_OK);
	ck_assert_str_eq(job, "j1");
	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_OK);
	ck_assert_int_eq(ft_catalog_drop_executions(rig.catalog, "j1"), FT_OK);
	ck_assert_int_eq(ft_catalog_commit(rig.catalog), FT_OK);
	ck_assert_int_eq(ft_catalog_next_executed_job(rig.catalog, "j1", job), FT_OK);
	ck_assert_str_eq(job, "j2");
	ck_assert_int_eq(ft_catalog_next_executed_job(rig.catalog, "j2", job), FT_OK);
	ck_assert_str_eq(job, "");
	assert_rows(&cam, "j2 1 v2  5,6,7; ");
	assert_rows(&other, "");
}
END_TEST

static enum ft_status note_thing(void *context, const struct ft_thing *thing,
				 const struct ft_execution *execution)
{
	size_t *left = context;

	if ((*left)-- == 0)
		return FT_CANCELLED;
	ft_buf_printf(&seen, "%d %s %s; ", thing->kind, thing->name, execution->job);
	return FT_OK;
}

static void assert_page(const struct ft_thing *after, const char *job, size_t most, const char *text)
{
	seen = ft_buf_on(room, sizeof room);
	ck_assert_int_eq(ft_catalog_page_executions(rig.catalog, after, job, note_thing, &most), FT_OK);
	ck_assert_str_eq(room, text);
}

START_TEST(test_executions__of_all_things_are_had_in_pages)
{
	const struct ft_thing user = { .kind = FT_THING_USER, .name = "a" };
	const struct ft_thing first = { .kind = FT_THING_CLIENT, .name = "" };
	const struct ft_thing between = { .kind = FT_THING_CLIENT, .name = "can" };

	assert_page(&first, "", 9, "");
	put(&cam, "j2", 2, "");
	put(&cam, "j1", 2, "");
	put(&user, "j1", 2, "");
	assert_page(&first, "", 9, "1 cam j1; 1 cam j2; 2 a j1; ");
	assert_page(&first, "", 2, "1 cam j1; 1 cam j2; ");
	assert_page(&cam, "j1", 9, "1 cam j2; 2 a j1; ");
	assert_page(&between, "", 9, "2 a j1; ");
	assert_page(&user, "j1", 9, "");
}
END_TEST

START_TEST(test_executions__that_make_no_sense_are_damage)
{
	static const char *const wrong[] = {
		"UPDATE executions SET status = 0", "UPDATE executions SET status = 5",
		"UPDATE executions SET version = -1", "UPDATE executions SET version = 'x'",
		"UPDATE executions SET job = 'a/b'",
		"UPDATE executions SET details = printf('%.*c', 4097, 'x')",
	};

	CATALOG_URL_SKIP();
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		run("DELETE FROM executions");
		put(&cam, "j1", 2, "{}");
		run(wrong[i]);
		ck_assert_msg(look(&cam) == FT_DAMAGED, "%s", wrong[i]);
	}
}
END_TEST

/* An older version of the plugin has no such table, and this one makes it. */
START_TEST(test_executions__get_their_table_in_a_catalog_of_before)
{
	CATALOG_URL_SKIP();
	run("DROP VIEW jobs");
	run("DROP TABLE executions");
	ck_assert_int_eq(catalog_rig_reopen(&rig), FT_OK);
	put(&cam, "j1", 2, "");
	assert_rows(&cam, "j1 1 v2  5,6,7; ");
}
END_TEST

FT_SUITE_WITH("catalog executions", set_up, tear_down,
	 test_executions__are_a_row_for_each_thing_and_job,
	 test_executions__are_counted_and_forgotten_by_job,
	 test_executions__of_all_things_are_had_in_pages,
	 test_executions__that_make_no_sense_are_damage,
	 test_executions__get_their_table_in_a_catalog_of_before);
