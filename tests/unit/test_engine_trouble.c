/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What the engine makes of a storage that refuses, loses or changes things under it. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/sha256.h"

#include "../rig.h"
#include "../suite.h"

#define SHA_OF_OTHERS "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define MIB ((size_t)1024 * 1024)

static struct rig rig;

static enum ft_status say(const char *topic, const char *text)
{
	return rig_ask_text(&rig, "c", topic, text);
}

/* That of the start has ended before an abort is answered; no news of workers is left over. */
static void wait_for_scan(void)
{
	ck_assert_int_eq(say("$file/g/init", "{\"name\":\"n\"}"), FT_OK);
	ck_assert_int_eq(say("$file/g/abort", ""), FT_OK);
	while (sem_trywait(&rig.notified) == 0)
		;
}

static void start(void)
{
	rig_setup(&rig, "fs");
	rig_start(&rig);
	wait_for_scan();
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"n\"}"), FT_OK);
}

static void pass(int64_t ms)
{
	rig.now_ms += ms;
	ft_engine_run(rig.engine, rig.now_ms);
}

static const char *path_of(const char *below)
{
	static char path[128];

	snprintf(path, sizeof path, "%s/%s", rig.dir, below);
	return path;
}

static void make_dir(const char *below)
{
	ck_assert_int_eq(mkdir(path_of(below), 0750), 0);
}

static void make_file(const char *below)
{
	FILE *file = fopen(path_of(below), "w");

	ck_assert_ptr_nonnull(file);
	fputs("somebody's", file);
	ck_assert_int_eq(fclose(file), 0);
}

/* A consumer took the manifest alone: the id is free again, the name is not. */
START_TEST(test_engine__holds_all_bytes_when_a_fin_failed_without_a_sync_that_failed)
{
	start();
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	make_dir("files/c");
	make_dir("files/c/f");
	make_file("files/c/f/n");
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_IO_ERROR);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "have"), "[[0,5]]");
	ck_assert_int_eq(unlink(path_of("files/c/f/n")), 0);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	rig_teardown(&rig);
}
END_TEST

/* The abort comes when the assembly is past stopping, which then fails as the abort does. */
START_TEST(test_engine__answers_an_abort_that_cannot_be_done)
{
	start();
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	make_dir("files/c");
	make_file("files/c/f");
	rig_forget(&rig);
	rig_send(&rig, "c", "$file/f/fin/5", "", 0);
	ck_assert_int_eq(sem_wait(&rig.notified), 0);	/* done, but not taken back */
	rig_send(&rig, "c", "$file/f/abort", "", 0);
	ck_assert_uint_eq(rig.responses, 0);
	ft_engine_run(rig.engine, rig.now_ms);
	ck_assert_int_eq(rig_response(&rig, "$file/f/fin/5")->status, FT_IO_ERROR);
	ck_assert_ptr_nonnull(rig_response(&rig, "$file/f/abort"));
	ck_assert_int_eq(rig_response(&rig, "$file/f/abort")->status, FT_IO_ERROR);
	rig_teardown(&rig);
}
END_TEST

/* The store has moved it to damaged/: so it is no more, and there is nothing to repair. */
START_TEST(test_engine__knows_no_finished_transfer_whose_manifest_was_emptied)
{
	start();
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	ck_assert_int_eq(truncate(path_of("files/c/f/n.manifest.json"), 0), 0);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"none\"");
	ck_assert_uint_eq(tree_entries(path_of("damaged")), 1);
	rig_teardown(&rig);
}
END_TEST

static void remove_f_by_hand(void)
{
	ck_assert_int_eq(unlink(path_of("incoming/c/f/data")), 0);
	ck_assert_int_eq(unlink(path_of("incoming/c/f/journal")), 0);
	ck_assert_int_eq(unlink(path_of("incoming/c/f/manifest.json")), 0);
	ck_assert_int_eq(rmdir(path_of("incoming/c/f")), 0);
}

START_TEST(test_engine__begins_anew_what_was_removed_by_hand)
{
	start();
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	remove_f_by_hand();
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"n\"}"), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "received"), "0");
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	rig_teardown(&rig);
}
END_TEST

/* Uses enough others that no descriptor of f is kept. */
static void crowd_out_f(void)
{
	char topic[64];

	for (int i = 0; i < 20; i++) {
		snprintf(topic, sizeof topic, "$file/other%d/init", i);
		ck_assert_int_eq(say(topic, "{\"name\":\"n\"}"), FT_OK);
		snprintf(topic, sizeof topic, "$file/other%d/0", i);
		ck_assert_int_eq(say(topic, "x"), FT_OK);
	}
}

/* So it is where a consumer took a file that was to be withdrawn. */
START_TEST(test_engine__begins_anew_where_only_the_data_is_gone)
{
	start();
	crowd_out_f();
	ck_assert_int_eq(unlink(path_of("incoming/c/f/data")), 0);
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"n\"}"), FT_OK);
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(unlink(path_of("incoming/c/f/data")), 0);
	crowd_out_f();
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"n\"}"), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "received"), "0");
	rig_teardown(&rig);
}
END_TEST

START_TEST(test_engine__aborts_what_was_removed_by_hand)
{
	start();
	remove_f_by_hand();
	ck_assert_int_eq(say("$file/f/abort", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"none\"");
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"none\"");
	rig_teardown(&rig);
}
END_TEST

START_TEST(test_engine__expires_what_was_removed_by_hand)
{
	start();
	remove_f_by_hand();
	rig.options.max_transfers = 1;
	pass((int64_t)rig.options.segments_ttl * 1000 + 1000);
	ck_assert_int_eq(say("$file/g/init", "{\"name\":\"n\"}"), FT_OK);
	rig_teardown(&rig);
}
END_TEST

/* Else each attempt at a checkpoint is an error in the log, until it expires. */
START_TEST(test_engine__makes_no_checkpoint_of_what_was_removed_by_hand)
{
	start();
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	remove_f_by_hand();
	rig.options.max_transfers = 1;
	pass(6000);
	ck_assert_int_eq(say("$file/g/init", "{\"name\":\"n\"}"), FT_OK);
	rig_teardown(&rig);
}
END_TEST

/* --- what is hashed --- */

static char block[4 * MIB];

static void limit_files_to(rlim_t bytes)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void hex_of_block(char hex[65])
{
	struct ft_buf buf = ft_buf_on(hex, 65);
	struct ft_sha256 digest;

	ck_assert(ft_sha256_of(block, sizeof block, &digest));
	ft_buf_hex(&buf, digest.bytes, sizeof digest.bytes);
}

/* Bytes that were hashed are lost, since neither new ones nor the old ones can be written. */
START_TEST(test_engine__hashes_right_when_hashed_bytes_are_lost_and_sent_anew)
{
	char topic[128], hex[65];

	signal(SIGXFSZ, SIG_IGN);
	start();
	ck_assert_int_eq(rig_ask(&rig, "c", "$file/f/0", block, sizeof block), FT_OK);
	/* A fin that fails has all of it hashed. */
	ck_assert_int_eq(say("$file/f/fin/4194304/" SHA_OF_OTHERS, ""),
			 FT_FILE_CHECKSUM_MISMATCH);
	limit_files_to(MIB + 2);
	ck_assert_int_ne(say("$file/f/1048576", "other"), FT_OK);
	limit_files_to(RLIM_INFINITY);
	ck_assert_int_eq(say("$file/f/1048576", "other"), FT_OK);
	memcpy(block + MIB, "other", 5);
	hex_of_block(hex);
	snprintf(topic, sizeof topic, "$file/f/fin/4194304/%s", hex);
	ck_assert_int_eq(say(topic, ""), FT_OK);
	rig_teardown(&rig);
}
END_TEST

/* --- syncs that fail, or take their time --- */

int fdatasync(int fd);

static sem_t sync_began, sync_may_end;
static atomic_int sync_result = -1;	/* of the next fdatasync(), which is held up: errno; -1: as it is */

/* In place of the C library's, for the plugin too. */
int fdatasync(int fd)
{
	int result = atomic_exchange(&sync_result, -1);

	if (result < 0)
		return (int)syscall(SYS_fdatasync, fd);
	sem_post(&sync_began);
	sem_wait(&sync_may_end);
	errno = result;
	return result == 0 ? 0 : -1;
}

int fsync(int fd);

static atomic_bool directories_are_stuck;

/* The sweeper's, where nothing else is going on. */
int fsync(int fd)
{
	while (atomic_load(&directories_are_stuck))
		usleep(1000);
	return (int)syscall(SYS_fsync, fd);
}

static void hold_next_sync(int result)
{
	sem_init(&sync_began, 0, 0);
	sem_init(&sync_may_end, 0, 0);
	atomic_store(&sync_result, result);
}

static void start_checkpoint_of_f(int result)
{
	struct timespec deadline;

	hold_next_sync(result);
	pass(6000);
	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += RIG_DEADLINE_S;
	ck_assert_msg(sem_timedwait(&sync_began, &deadline) == 0, "no checkpoint is made");
}

/* The kernel has thrown these bytes away, and fsyncs without an error from now on. */
START_TEST(test_engine__publishes_nothing_that_a_checkpoint_has_lost_while_fin_waited_for_it)
{
	start();
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	start_checkpoint_of_f(EIO);
	rig_forget(&rig);
	rig_send(&rig, "c", "$file/f/fin/5", "", 0);
	sem_post(&sync_may_end);
	rig_wait(&rig, 1);
	ck_assert_int_eq(rig_response(&rig, "$file/f/fin/5")->status, FT_IO_ERROR);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_INCOMPLETE);
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	rig_teardown(&rig);
}
END_TEST

START_TEST(test_engine__publishes_nothing_that_was_lost_by_a_fin_which_had_run_out_of_time)
{
	static const char topic[] = "$file/f/fin/4194304";

	start();
	ck_assert_int_eq(rig_ask(&rig, "c", "$file/f/0", block, sizeof block), FT_OK);
	hold_next_sync(EIO);
	rig_forget(&rig);
	rig_send(&rig, "c", topic, "", 0);
	while (sem_trywait(&sync_began) != 0)
		ft_engine_run(rig.engine, rig.now_ms);	/* it may be hashing still, for nobody */
	pass((int64_t)rig.options.assemble_timeout * 1000 + 1000);
	ck_assert_int_eq(rig_response(&rig, topic)->status, FT_TIMEOUT);
	rig_forget(&rig);
	rig_send(&rig, "c", topic, "", 0);
	sem_post(&sync_may_end);
	rig_wait(&rig, 1);
	ck_assert_int_eq(rig_response(&rig, topic)->status, FT_IO_ERROR);
	ck_assert_int_eq(say(topic, ""), FT_INCOMPLETE);
	rig_teardown(&rig);
}
END_TEST

/* What the abort has stopped is still in the worker's hands. */
START_TEST(test_engine__makes_checkpoints_after_an_abort_that_failed_during_one)
{
	start();
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	start_checkpoint_of_f(0);
	make_dir("files/c");
	make_file("files/c/f");
	ck_assert_int_eq(say("$file/f/abort", ""), FT_IO_ERROR);
	ck_assert_int_eq(unlink(path_of("files/c/f")), 0);
	sem_post(&sync_may_end);
	/* A job of the same transfer comes after it. */
	ck_assert_int_eq(say("$file/f/fin/5/" SHA_OF_OTHERS, ""), FT_FILE_CHECKSUM_MISMATCH);
	ck_assert_int_eq(say("$file/f/5", "world"), FT_OK);
	start_checkpoint_of_f(0);
	sem_post(&sync_may_end);
	ck_assert_int_eq(say("$file/f/fin/10", ""), FT_OK);
	rig_teardown(&rig);
}
END_TEST

/* --- time --- */

#define LONG_FILE (136 * MIB)	/* hashed in three slices */

static void put_long_file(void)
{
	char topic[64];

	for (size_t at = 0; at < LONG_FILE; at += sizeof block) {
		snprintf(topic, sizeof topic, "$file/f/%zu", at);
		ck_assert_int_eq(rig_ask(&rig, "c", topic, block, sizeof block), FT_OK);
		ft_engine_run(rig.engine, rig.now_ms);
	}
}

/* A job of the assembly comes back. */
static void take_back_one(void)
{
	ck_assert_int_eq(sem_wait(&rig.notified), 0);
	ft_engine_run(rig.engine, rig.now_ms);
}

/* A fin that has time for one slice. */
static enum ft_status fin_in_short_time(void)
{
	static const char topic[] = "$file/f/fin/142606336";

	rig_forget(&rig);
	rig_send(&rig, "c", topic, "", 0);
	take_back_one();
	if (rig.responses == 0) {
		pass((int64_t)rig.options.assemble_timeout * 1000 + 1000);
		take_back_one();
	}
	ck_assert_ptr_nonnull(rig_response(&rig, topic));
	return rig_response(&rig, topic)->status;
}

START_TEST(test_engine__goes_on_hashing_where_the_fin_before_ran_out_of_time)
{
	start();
	put_long_file();
	rig_stop(&rig);		/* what was hashed is forgotten */
	rig_start(&rig);
	wait_for_scan();
	ck_assert_int_eq(fin_in_short_time(), FT_TIMEOUT);
	ck_assert_int_eq(fin_in_short_time(), FT_TIMEOUT);
	ck_assert_int_eq(fin_in_short_time(), FT_OK);
	rig_teardown(&rig);
}
END_TEST

#define MANY 500
#define MORE_THAN_PURGES 1100	/* than may be thrown away but not freed yet */

/* How many the store still has. */
static size_t unfinished(void)
{
	return tree_entries(path_of("incoming/c"));
}

static void start_many(int count)
{
	char topic[64];

	rig_setup(&rig, "fs");
	rig.options.max_transfers_per_client = (uint64_t)count;
	rig.options.gc_interval = 3600;
	rig_start(&rig);
	for (int i = 0; i < count; i++) {
		snprintf(topic, sizeof topic, "$file/f%d/init", i);
		ck_assert_int_eq(say(topic, "{\"name\":\"n\"}"), FT_OK);
	}
}

/* As while the broker was down. */
static void let_all_expire(void)
{
	pass((int64_t)rig.options.segments_ttl * 1000 + 1000);
}

/* Without the wait for the next round of gc_interval. */
static void wait_until_all_are_gone(void)
{
	for (int i = 0; i < 10000 && unfinished() > 0; i++) {
		ck_assert_int_le(ft_engine_due_ms(rig.engine), rig.now_ms + 1000);
		pass(ft_engine_due_ms(rig.engine) - rig.now_ms);
		usleep(100);	/* for the sweeper */
	}
	ck_assert_uint_eq(unfinished(), 0);
}

/* The broker's thread is not held up by that. */
START_TEST(test_engine__expires_many_without_making_others_wait)
{
	start_many(MANY);
	let_all_expire();
	ck_assert_uint_lt(unfinished(), MANY);
	ck_assert_uint_gt(unfinished(), MANY - 50);
	wait_until_all_are_gone();
	rig_teardown(&rig);
}
END_TEST

START_TEST(test_engine__goes_on_expiring_where_the_disk_frees_more_slowly)
{
	start_many(MORE_THAN_PURGES);
	atomic_store(&directories_are_stuck, true);
	let_all_expire();
	for (int i = 0; i < 100; i++)
		pass(100);
	ck_assert_uint_gt(unfinished(), 0);
	atomic_store(&directories_are_stuck, false);
	wait_until_all_are_gone();
	rig_teardown(&rig);
}
END_TEST

FT_SUITE("engine trouble",
	 test_engine__holds_all_bytes_when_a_fin_failed_without_a_sync_that_failed,
	 test_engine__answers_an_abort_that_cannot_be_done,
	 test_engine__knows_no_finished_transfer_whose_manifest_was_emptied,
	 test_engine__begins_anew_what_was_removed_by_hand,
	 test_engine__begins_anew_where_only_the_data_is_gone,
	 test_engine__aborts_what_was_removed_by_hand,
	 test_engine__expires_what_was_removed_by_hand,
	 test_engine__makes_no_checkpoint_of_what_was_removed_by_hand,
	 test_engine__hashes_right_when_hashed_bytes_are_lost_and_sent_anew,
	 test_engine__publishes_nothing_that_a_checkpoint_has_lost_while_fin_waited_for_it,
	 test_engine__publishes_nothing_that_was_lost_by_a_fin_which_had_run_out_of_time,
	 test_engine__makes_checkpoints_after_an_abort_that_failed_during_one,
	 test_engine__goes_on_hashing_where_the_fin_before_ran_out_of_time,
	 test_engine__expires_many_without_making_others_wait,
	 test_engine__goes_on_expiring_where_the_disk_frees_more_slowly);
