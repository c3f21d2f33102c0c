/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The power fails before any operation that SQLite does, in several ways; or the process is
 * killed there. Afterwards the catalog opens, says what it said after one of its transactions,
 * and none is missing that was synced, or for a killed process committed.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/catalog_story.h"
#include "../lib/sqlite_tape.h"
#include "../lib/sqlite_vfs.h"
#include "../suite.h"
#include "../tree.h"

#define MAX_STEPS 64

static struct sqlite_tape tape;

/* After how many steps, by operation; and what the catalog says then. */
static struct {
	size_t done_at[MAX_STEPS];	/* operations when so many steps were done */
	size_t promised[MAX_STEPS];	/* steps that are safe from then on */
	char *says[MAX_STEPS];		/* after a kill */
	char *says_cut[MAX_STEPS];	/* after a power cut */
	size_t opened_at;		/* operations when the first open was done */
} story;

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	int result = __real_fsync(fd);

	if (tape.dir)
		sqlite_tape_directory_synced(&tape);
	return result;
}

static char *dump(struct ft_catalog *c)
{
	enum ft_status st;
	char *text = catalog_rig_dump(c, &st);

	ck_assert_int_eq(st, FT_OK);
	return text;
}

/* What it would say if the power failed after `steps` steps and all of them were safe. */
static char *learn_cut(size_t steps)
{
	struct catalog_rig rig;
	char *text;

	catalog_rig_init(&rig);
	ck_assert_int_eq(catalog_rig_open(&rig), FT_OK);
	for (size_t i = 0; i < steps; i++)
		ck_assert_int_eq(catalog_story_step(rig.catalog, i), FT_OK);
	rig.identity = CATALOG_RIG_OTHER_BOOT;
	ck_assert_int_eq(catalog_rig_reopen(&rig), FT_OK);
	text = dump(rig.catalog);
	catalog_rig_release(&rig);
	return text;
}

static bool step_syncs(size_t step)
{
	return strcmp(catalog_story[step].name, "sync") == 0
	       || strcmp(catalog_story[step].name, "checkpoint") == 0;
}

/* Plays the story once, and keeps what was done and what it said. */
static void record(void)
{
	struct catalog_rig rig;
	size_t promised = 0;

	catalog_rig_init(&rig);
	sqlite_tape_start(&tape, rig.dir);
	ck_assert_int_eq(catalog_rig_open(&rig), FT_OK);
	story.opened_at = tape.count;
	for (size_t i = 0; i <= catalog_story_len; i++) {
		story.done_at[i] = tape.count;
		story.promised[i] = promised;
		story.says[i] = dump(rig.catalog);
		if (i == catalog_story_len)
			break;
		ck_assert_int_eq(catalog_story_step(rig.catalog, i), FT_OK);
		if (step_syncs(i))
			promised = i + 1;
	}
	ft_catalog_close(&rig.catalog);
	sqlite_tape_stop(&tape);
	tape.dir = NULL;	/* fsync is nobody's business any more */
	catalog_rig_release(&rig);
	for (size_t i = 0; i <= catalog_story_len; i++)
		story.says_cut[i] = learn_cut(i);
}

static void release(void)
{
	for (size_t i = 0; i <= catalog_story_len; i++) {
		free(story.says[i]);
		free(story.says_cut[i]);
	}
	sqlite_tape_release(&tape);
}

/* The steps of which all are done before operation `ops`. */
static size_t steps_done(size_t ops)
{
	size_t steps = 0;

	while (steps < catalog_story_len && story.done_at[steps + 1] <= ops)
		steps++;
	return steps;
}

static void rise(size_t ops, enum sqlite_tape_end end, unsigned seed)
{
	size_t done = steps_done(ops);
	size_t least = end == SQLITE_TAPE_KILLED ? done : story.promised[done];
	char **says = end == SQLITE_TAPE_KILLED ? story.says : story.says_cut;
	struct catalog_rig rig;
	bool found = false;
	char *text;

	catalog_rig_init(&rig);
	sqlite_tape_play(&tape, ops, end, seed, rig.dir);
	if (end == SQLITE_TAPE_POWER_CUT)
		rig.identity = CATALOG_RIG_OTHER_BOOT;
	ck_assert_msg(catalog_rig_open(&rig) == FT_OK, "op %zu, end %d, seed %u: %s", ops, end, seed,
		      rig.log);
	text = dump(rig.catalog);
	/* The one that was under way may be there as well. */
	for (size_t i = least; i <= done + 1 && i <= catalog_story_len; i++)
		found |= strcmp(text, says[i]) == 0;
	ck_assert_msg(found, "op %zu, end %d, seed %u: steps %zu to %zu, but it says\n%s", ops, end,
		      seed, least, done + 1, text);
	if (ops < story.opened_at)
		ck_assert_int_eq(rig.past, FT_CATALOG_NEW);
	free(text);
	/* It can go on. */
	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_OK);
	ck_assert_int_eq(ft_catalog_put_progress(rig.catalog, &(struct ft_progress){ 9, 9 }), FT_OK);
	ck_assert_int_eq(ft_catalog_commit(rig.catalog), FT_OK);
	ck_assert_int_eq(ft_catalog_sync(rig.catalog), FT_OK);
	catalog_rig_release(&rig);
}

#define SEEDS 20

START_TEST(test_catalog_power__keeps_what_was_synced)
{
	record();
	for (size_t ops = 0; ops <= tape.count; ops++)
		for (unsigned seed = 1; seed <= SEEDS; seed++)
			rise(ops, SQLITE_TAPE_POWER_CUT, seed);
	release();
}
END_TEST

START_TEST(test_catalog_power__keeps_what_was_committed_when_killed)
{
	record();
	for (size_t ops = 0; ops <= tape.count; ops++)
		rise(ops, SQLITE_TAPE_KILLED, 1);
	release();
}
END_TEST

int main(void)
{
	sqlite_vfs_install();
	ft_suite_use_memory();
	return ft_suite_run(&(struct ft_suite){
		.name = "catalog_power",
		FT_TESTS(test_catalog_power__keeps_what_was_synced,
			 test_catalog_power__keeps_what_was_committed_when_killed),
	});
}
