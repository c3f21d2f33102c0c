/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Checkpoints beside a writer that never rests. */
#include <check.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../lib/catalog_rig.h"
#include "../lib/sqlite_vfs.h"
#include "../suite.h"

static struct ft_catalog *other;
static bool may_commit;
static int commits;

/* So many pages that a log which is never begun anew soon shows. */
static void commit_much(struct ft_catalog *c)
{
	static char user_data[60000];
	struct ft_facts facts = catalog_rig_facts(1, "cam", "x");

	/* Each time another one: what does not change is not written. */
	memset(user_data, 'a' + commits++ % 26, sizeof user_data);
	facts.terms.user_data = (struct ft_json_text){ user_data, sizeof user_data };
	ck_assert_int_eq(ft_catalog_begin(c), FT_OK);
	for (; facts.number <= 20; facts.number++) {
		char file[2] = { (char)('a' + facts.number), '\0' };

		facts.key.file = file;
		ck_assert_int_eq(ft_catalog_put_transfer(c, &facts, FT_CATALOG_CONFLICT, 0), FT_OK);
	}
	ck_assert_int_eq(ft_catalog_commit(c), FT_OK);
}

/* In the middle of each checkpoint somebody commits. */
static int watch_checkpoint(void *context, const struct sqlite_vfs_call *call)
{
	const char *db = context;

	if (call->call == SQLITE_CALL_WRITE && may_commit && strcmp(call->path, db) == 0) {
		may_commit = false;
		commit_much(other);
	}
	return SQLITE_OK;
}

START_TEST(test_catalog_checkpoint__bounds_the_log_beside_a_writer_that_never_rests)
{
	struct catalog_rig rig;
	struct stat info;
	char wal[200];

	catalog_rig_init(&rig);
	ck_assert_int_eq(catalog_rig_open(&rig), FT_OK);
	ck_assert_int_eq(ft_catalog_join(rig.catalog, &other), FT_OK);
	sqlite_vfs_watch(watch_checkpoint, rig.path);
	commit_much(other);
	for (int i = 0; i < 100; i++) {
		may_commit = true;
		ck_assert_int_eq(ft_catalog_checkpoint(rig.catalog), FT_OK);
		/* There was nothing to copy: the log was begun anew. */
		if (may_commit)
			commit_much(other);
	}
	sqlite_vfs_watch(NULL, NULL);
	snprintf(wal, sizeof wal, "%s-wal", rig.path);
	ck_assert_int_eq(stat(wal, &info), 0);
	/* A hundred times more than a megabyte was written. */
	ck_assert_int_le(info.st_size, 24 << 20);
	ft_catalog_close(&other);
	catalog_rig_release(&rig);
}
END_TEST

int main(void)
{
	sqlite_vfs_install();
	ft_suite_use_memory();
	return ft_suite_run(&(struct ft_suite){
		.name = "catalog_checkpoint",
		FT_TESTS(test_catalog_checkpoint__bounds_the_log_beside_a_writer_that_never_rests),
	});
}
