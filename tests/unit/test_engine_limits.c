/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The engine leaves descriptors for others, however many transfers there are. */
#include <check.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "../rig.h"
#include "../suite.h"

static struct rig rig;
static atomic_bool disk_is_stuck;
static atomic_int syncs;
static atomic_bool somebody_waits;	/* for it */

int fdatasync(int fd);
int syncfs(int fd);

static int sync_by(long call, int fd)
{
	atomic_fetch_add(&syncs, 1);
	while (atomic_load(&disk_is_stuck)) {
		atomic_store(&somebody_waits, true);
		usleep(1000);
	}
	return (int)syscall(call, fd);
}

/* In place of the C library's, for the plugin too. */
int fdatasync(int fd)
{
	return sync_by(SYS_fdatasync, fd);
}

int syncfs(int fd)
{
	return sync_by(SYS_syncfs, fd);
}

static enum ft_status say(const char *id, const char *command, const char *text)
{
	char topic[64];

	snprintf(topic, sizeof topic, "$file/%s/%s", id, command);
	return rig_ask_text(&rig, "c", topic, text);
}

static void pass(int64_t ms)
{
	rig.now_ms += ms;
	ft_engine_run(rig.engine, rig.now_ms);
}

/* A checkpoint ends with a new journal in the place of the old one. */
static ino_t journal_of(const char *id)
{
	char path[128];
	struct stat info;

	snprintf(path, sizeof path, "%s/incoming/c/%s/journal", rig.dir, id);
	ck_assert_int_eq(stat(path, &info), 0);
	return info.st_ino;
}

#define MANY 100

static void begin_many(ino_t journals[MANY])
{
	char id[16];

	for (int i = 0; i < MANY; i++) {
		snprintf(id, sizeof id, "f%d", i);
		ck_assert_int_eq(say(id, "init", "{\"name\":\"n\"}"), FT_OK);
		ck_assert_int_eq(say(id, "0", "x"), FT_OK);
		journals[i] = journal_of(id);
	}
}

static int count_checkpoints(const ino_t journals[MANY])
{
	char id[16];
	int count = 0;

	for (int i = 0; i < MANY; i++) {
		snprintf(id, sizeof id, "f%d", i);
		count += journal_of(id) != journals[i];
	}
	return count;
}

/* Each holds descriptors: those who leave many transfers must not use up the broker's. */
START_TEST(test_engine__makes_all_checkpoints_but_few_at_a_time)
{
	ino_t journals[MANY];
	size_t before, most = 0;

	rig_setup(&rig, "fs");
	rig_start(&rig);
	begin_many(journals);
	before = tree_entries("/proc/self/fd");
	pass(6000);
	for (int i = 0; i < 10000 && count_checkpoints(journals) < MANY; i++) {
		size_t now = tree_entries("/proc/self/fd");

		most = now > most ? now : most;
		pass(100);
		usleep(1000);
	}
	ck_assert_int_eq(count_checkpoints(journals), MANY);
	ck_assert_uint_le(most, before + 60);
	rig_teardown(&rig);
}
END_TEST

/* Finished as far as the client is concerned; the engine is not run, so none of them ends. */
static enum ft_status send_fin(int number)
{
	char topic[64];

	snprintf(topic, sizeof topic, "$file/f%d/fin/1", number);
	return rig_send(&rig, "c", topic, "", 0);
}

/* How many of them are accepted. */
static int send_fins(int begin, int end)
{
	int accepted = 0;

	for (int i = begin; i < end; i++) {
		enum ft_status st = send_fin(i);

		ck_assert(st == FT_OK || st == FT_BUSY);
		accepted += st == FT_OK;
		/* Refusals are answered at once, and the rig has no room for so many. */
		if (st == FT_BUSY)
			rig_forget(&rig);
	}
	return accepted;
}

static void start_with_few_descriptors(struct rlimit *before)
{
	struct rlimit few;
	ino_t journals[MANY];

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, before), 0);
	few = *before;
	few.rlim_cur = 100;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	rig_setup(&rig, "fs");
	rig_start(&rig);
	begin_many(journals);
}

START_TEST(test_engine__assembles_fewer_at_a_time_where_descriptors_are_few)
{
	struct rlimit before;
	int accepted;

	start_with_few_descriptors(&before);
	accepted = send_fins(0, MANY);
	ck_assert_int_eq(accepted, 12);
	ck_assert_uint_lt(tree_entries("/proc/self/fd"), 73);
	rig_forget(&rig);
	rig_wait(&rig, (size_t)accepted);
	for (size_t i = 0; i < rig.responses; i++)
		ck_assert_int_eq(rig.response[i].status, FT_OK);
	rig_teardown(&rig);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
}
END_TEST

/* Those that ran out of time keep their descriptors until the worker gets to them. */
START_TEST(test_engine__counts_the_assemblies_that_have_run_out_of_time)
{
	struct rlimit before;

	start_with_few_descriptors(&before);
	atomic_store(&disk_is_stuck, true);
	for (int i = 0; i < MANY; i += 10) {
		(void)send_fins(i, i + 10);
		pass((int64_t)rig.options.assemble_timeout * 1000 + 1000);
		rig_forget(&rig);
	}
	ck_assert_uint_lt(tree_entries("/proc/self/fd"), 90);
	atomic_store(&disk_is_stuck, false);
	while (send_fin(MANY - 1) == FT_BUSY) {
		rig_forget(&rig);
		ft_engine_run(rig.engine, rig.now_ms);
	}
	rig_teardown(&rig);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
}
END_TEST

static void wait_for_somebody_to_wait(void)
{
	for (int i = 0; i < RIG_DEADLINE_S * 1000 && !atomic_load(&somebody_waits); i++)
		usleep(1000);
	ck_assert(atomic_load(&somebody_waits));
}

/* By a descriptor that is kept all bytes are kept, however often they were removed. */
START_TEST(test_engine__gives_descriptors_back_when_no_transfer_is_left)
{
	size_t before;

	rig_setup(&rig, "fs");
	rig_start(&rig);
	ck_assert_int_eq(say("g", "init", "{\"name\":\"n\"}"), FT_OK);
	ck_assert_int_eq(say("g", "abort", ""), FT_OK);	/* waits for the scan */
	before = tree_entries("/proc/self/fd");
	ck_assert_int_eq(say("f", "init", "{\"name\":\"n\"}"), FT_OK);
	ck_assert_int_eq(say("f", "0", "x"), FT_OK);
	atomic_store(&disk_is_stuck, true);
	pass(6000);
	wait_for_somebody_to_wait();
	ck_assert_int_eq(say("f", "abort", ""), FT_OK);
	ck_assert_uint_gt(tree_entries("/proc/self/fd"), before);
	atomic_store(&disk_is_stuck, false);
	for (int i = 0; i < RIG_DEADLINE_S * 1000 && tree_entries("/proc/self/fd") > before; i++) {
		ck_assert_int_le(ft_engine_due_ms(rig.engine), rig.now_ms + 1000);
		pass(1000);
		usleep(1000);
	}
	ck_assert_uint_eq(tree_entries("/proc/self/fd"), before);
	rig_teardown(&rig);
}
END_TEST

#define RECORDS 4400	/* so many, of one range, are worth a checkpoint */

static void make_long_journal(void)
{
	char offset[16];

	for (int odd = 1; odd >= 0; odd--) {
		for (int i = odd; i < RECORDS; i += 2) {
			snprintf(offset, sizeof offset, "%d", i);
			ck_assert_int_eq(say("f", offset, "x"), FT_OK);
		}
	}
}

static void wait_for_syncs(int count)
{
	for (int i = 0; i < RIG_DEADLINE_S * 1000 && atomic_load(&syncs) < count; i++)
		usleep(1000);
	ck_assert_int_eq(atomic_load(&syncs), count);
}

/* Else the disk is busy with it for as long as it takes, and nothing is hashed. */
START_TEST(test_engine__makes_no_checkpoint_again_at_once_that_has_failed)
{
	char path[128];

	rig_setup(&rig, "fs");
	rig_start(&rig);
	ck_assert_int_eq(say("f", "init", "{\"name\":\"n\"}"), FT_OK);
	snprintf(path, sizeof path, "%s/incoming/c/f/journal.tmp", rig.dir);
	ck_assert_int_eq(mkdir(path, 0750), 0);
	make_long_journal();
	wait_for_syncs(1);
	for (int i = 0; i < 100; i++) {
		pass(0);
		usleep(1000);
	}
	ck_assert_int_eq(atomic_load(&syncs), 1);
	pass(6000);
	wait_for_syncs(2);
	rig_teardown(&rig);
}
END_TEST

FT_SUITE("engine limits",
	 test_engine__makes_all_checkpoints_but_few_at_a_time,
	 test_engine__assembles_fewer_at_a_time_where_descriptors_are_few,
	 test_engine__counts_the_assemblies_that_have_run_out_of_time,
	 test_engine__makes_no_checkpoint_again_at_once_that_has_failed,
	 test_engine__gives_descriptors_back_when_no_transfer_is_left);
