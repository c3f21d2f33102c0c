/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Each call that SQLite makes of the system, each piece of memory that it or the catalog asks
 * for, and the few calls of the catalog's own fail in turn. An error must be told, nothing be
 * half done, and the next attempt succeed.
 */
#include <check.h>
#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/catalog_story.h"
#include "../lib/sqlite_vfs.h"
#include "../suite.h"

enum mode {
	MODE_MEMORY,	/* one piece of memory */
	MODE_ONCE,	/* one call of the system */
	MODE_BROKEN,	/* calls of the system, until the step is over */
	MODE_FULL,	/* writes, until the step is over: there is no room */
};

static struct {
	enum mode mode;
	unsigned long at;	/* which call fails; 0: none */
	unsigned long calls;	/* so far */
	bool armed;
	bool fired;
	bool sync;		/* it was a sync that failed */
} fault;

static bool fault_now(void)
{
	if (!fault.armed)
		return false;
	fault.calls++;
	if (fault.calls == fault.at || (fault.mode > MODE_ONCE && fault.fired))
		return fault.fired = true;
	return false;
}

static int watch(void *context, const struct sqlite_vfs_call *call)
{
	(void)context;
	if (fault.mode == MODE_FULL)
		return call->call == SQLITE_CALL_WRITE && fault_now() ? SQLITE_FULL : SQLITE_OK;
	if ((fault.mode == MODE_MEMORY) != (call->call == SQLITE_CALL_MALLOC) || !fault_now())
		return SQLITE_OK;
	fault.sync |= call->call == SQLITE_CALL_SYNC;
	return sqlite_vfs_error(call->call);
}

/* --- the catalog's own calls, by the linker's --wrap --- */

#define WRAP(type, name, in, parameters, failure, ...) \
	type __real_##name parameters; \
	type __wrap_##name parameters; \
	type __wrap_##name parameters \
	{ \
		if (fault.mode == (in) && fault_now()) { \
			errno = ENOMEM; \
			return failure; \
		} \
		return __real_##name(__VA_ARGS__); \
	}

WRAP(void *, malloc, MODE_MEMORY, (size_t len), NULL, len)
WRAP(void *, calloc, MODE_MEMORY, (size_t count, size_t len), NULL, count, len)
WRAP(void *, realloc, MODE_MEMORY, (void *memory, size_t len), NULL, memory, len)
WRAP(char *, strdup, MODE_MEMORY, (const char *text), NULL, text)
WRAP(char *, strndup, MODE_MEMORY, (const char *text, size_t len), NULL, text, len)
WRAP(int, fsync, MODE_ONCE, (int fd), -1, fd)

int __real_openat64(int dir, const char *path, int flags, ...);
int __wrap_openat64(int dir, const char *path, int flags, ...);
int __wrap_openat64(int dir, const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = va_arg(args, mode_t);
	va_end(args);
	if (fault.mode == MODE_ONCE && fault_now()) {
		errno = EMFILE;
		return -1;
	}
	return __real_openat64(dir, path, flags, mode);
}

/* --- the story, disturbed --- */

#define ALL_TRIED ULONG_MAX

static unsigned long refused;	/* pieces of memory */
static char *expected[64];	/* what the catalog says before each step, and in the end */

static char *dump(struct ft_catalog *c)
{
	enum ft_status st;
	char *text = catalog_rig_dump(c, &st);

	ck_assert_int_eq(st, FT_OK);
	return text;
}

static void says(struct ft_catalog *c, size_t step, const char *when)
{
	char *text = dump(c);

	ck_assert_msg(strcmp(text, expected[step]) == 0,
		      "call %lu, mode %d, %s step %zu:\n%s\nand not\n%s", fault.at, fault.mode, when,
		      step, text, expected[step]);
	free(text);
}

static void learn(void)
{
	struct catalog_rig rig;

	catalog_rig_init(&rig);
	ck_assert_int_eq(catalog_rig_open(&rig), FT_OK);
	for (size_t i = 0; i < catalog_story_len; i++) {
		expected[i] = dump(rig.catalog);
		ck_assert_int_eq(catalog_story_step(rig.catalog, i), FT_OK);
	}
	expected[catalog_story_len] = dump(rig.catalog);
	catalog_rig_release(&rig);
}

static void forget(void)
{
	for (size_t i = 0; i <= catalog_story_len; i++)
		free(expected[i]);
}

/* What an error may be called. */
static void is_error(enum ft_status st, size_t step)
{
	bool known = st == FT_NO_MEMORY || st == FT_IO_ERROR || st == FT_DISK_FULL
		     || st == FT_BUSY;

	ck_assert_msg(known, "call %lu, mode %d, step %zu: %s", fault.at, fault.mode, step,
		      ft_status_word(st));
	if (fault.mode == MODE_FULL)
		ck_assert_int_eq(st, FT_DISK_FULL);
}

static void disturb_open(struct catalog_rig *rig)
{
	enum ft_status st;

	fault.armed = true;
	st = catalog_rig_open(rig);
	fault.armed = false;
	if (st == FT_OK)
		return;
	ck_assert(fault.fired);
	is_error(st, 0);
	ck_assert_ptr_null(rig->catalog);
	fault.sync = false;	/* another life */
	ck_assert_int_eq(catalog_rig_open(rig), FT_OK);
}

static void disturb_step(struct catalog_rig *rig, size_t step)
{
	bool fired_before = fault.fired;
	bool is_sync = strcmp(catalog_story[step].name, "sync") == 0;
	enum ft_status st;

	fault.armed = !fired_before;
	st = catalog_story_step(rig->catalog, step);
	fault.armed = false;
	if (st != FT_OK && !fired_before) {
		ck_assert(fault.fired);
		is_error(st, step);
		ck_assert(rig->log_len > 0 || st == FT_NO_MEMORY);
		says(rig->catalog, step, "after a failed");
		st = catalog_story_step(rig->catalog, step);
	}
	/* What the disk has refused once it may not have, whatever it says later. */
	ck_assert_msg(st == (is_sync && fault.sync ? FT_IO_ERROR : FT_OK),
		      "call %lu, mode %d, step %zu: %s", fault.at, fault.mode, step,
		      ft_status_word(st));
}

/* --- memory: refused in the middle of a story that goes on --- */

/* Refuses the next piece each time; what there is stays as it is. */
static void refuse_in_open(struct catalog_rig *rig, size_t step)
{
	enum ft_status st = FT_NO_MEMORY;

	for (fault.at = 1; st != FT_OK; fault.at++) {
		fault.calls = 0;
		fault.fired = false;
		fault.armed = true;
		st = catalog_rig_open(rig);
		fault.armed = false;
		if (st != FT_OK) {
			ck_assert(fault.fired);
			is_error(st, step);
			ck_assert_ptr_null(rig->catalog);
		} else if (fault.fired) {
			ft_catalog_close(&rig->catalog);
			st = FT_NO_MEMORY;
		}
		refused += fault.fired;
	}
	says(rig->catalog, step, "opened at last before");
}

/* From its piece number `from` on. The one that it did without; 0: all were tried. */
static unsigned long refuse_in_step(struct catalog_rig *rig, size_t step, unsigned long from)
{
	enum ft_status st = FT_NO_MEMORY;

	for (fault.at = from; st != FT_OK; fault.at++) {
		fault.calls = 0;
		fault.fired = false;
		fault.armed = true;
		st = catalog_story_step(rig->catalog, step);
		fault.armed = false;
		refused += fault.fired;
		if (st != FT_OK) {
			ck_assert(fault.fired);
			is_error(st, step);
			says(rig->catalog, step, "after a failed");
		}
	}
	says(rig->catalog, step + 1, "with what there was after");
	return fault.fired ? fault.at - 1 : 0;
}

/* A story in which each step goes on where it did without in the one before. Whether any is left. */
static bool refuse_in_story(unsigned long done_without[])
{
	struct catalog_rig rig;
	bool left = false;

	memset(&fault, 0, sizeof fault);
	fault.mode = MODE_MEMORY;
	catalog_rig_init(&rig);
	ck_assert_int_eq(catalog_rig_open(&rig), FT_OK);
	for (size_t step = 0; step < catalog_story_len; step++) {
		if (done_without[step] == ALL_TRIED) {
			ck_assert_int_eq(catalog_story_step(rig.catalog, step), FT_OK);
			continue;
		}
		done_without[step] = refuse_in_step(&rig, step, done_without[step] + 1);
		if (done_without[step] == 0)
			done_without[step] = ALL_TRIED;
		left |= done_without[step] != ALL_TRIED;
	}
	ft_catalog_close(&rig.catalog);
	ck_assert_int_eq(catalog_rig_open(&rig), FT_OK);
	says(rig.catalog, catalog_story_len, "opened again after all, in");
	if (!left) {
		ft_catalog_close(&rig.catalog);
		refuse_in_open(&rig, catalog_story_len);
	}
	catalog_rig_release(&rig);
	return left;
}

START_TEST(test_catalog_faults__survives_each_piece_of_memory_refused)
{
	unsigned long done_without[64] = { 0 };
	struct catalog_rig rig;

	learn();
	refused = 0;
	memset(&fault, 0, sizeof fault);
	fault.mode = MODE_MEMORY;
	catalog_rig_init(&rig);
	refuse_in_open(&rig, 0);
	catalog_rig_release(&rig);
	while (refuse_in_story(done_without))
		;
	ck_assert_uint_gt(refused, 5000);
	forget();
}
END_TEST

/* --- the system --- */

/* The story with one fault, which ends two steps after it. Whether it was met. */
static bool disturb(enum mode mode, unsigned long at)
{
	struct catalog_rig rig;
	size_t step = 0;

	memset(&fault, 0, sizeof fault);
	fault.mode = mode;
	fault.at = at;
	catalog_rig_init(&rig);
	disturb_open(&rig);
	for (size_t after = 0; step < catalog_story_len && after < 3; step++) {
		disturb_step(&rig, step);
		after += fault.fired;
	}
	says(rig.catalog, step, "before");
	fault.armed = !fault.fired;
	ft_catalog_close(&rig.catalog);
	fault.armed = false;
	ck_assert_int_eq(catalog_rig_open(&rig), FT_OK);
	says(rig.catalog, step, "opened again before");
	catalog_rig_release(&rig);
	return fault.fired;
}

static void disturb_all(enum mode mode)
{
	unsigned long at = 1;

	learn();
	while (disturb(mode, at))
		at++;
	/* Else nothing was tried. */
	ck_assert_uint_gt(at, 100);
	forget();
}

START_TEST(test_catalog_faults__survives_each_failure)
{
	disturb_all(MODE_ONCE);
}
END_TEST

START_TEST(test_catalog_faults__survives_a_time_of_failures)
{
	disturb_all(MODE_BROKEN);
}
END_TEST

START_TEST(test_catalog_faults__survives_a_full_disk)
{
	disturb_all(MODE_FULL);
}
END_TEST

int main(void)
{
	sqlite_vfs_install();
	sqlite_vfs_watch(watch, NULL);
	ft_suite_use_memory();
	return ft_suite_run(&(struct ft_suite){
		.name = "catalog_faults",
		FT_TESTS(test_catalog_faults__survives_each_piece_of_memory_refused,
			 test_catalog_faults__survives_each_failure,
			 test_catalog_faults__survives_a_time_of_failures,
			 test_catalog_faults__survives_a_full_disk),
	});
}
