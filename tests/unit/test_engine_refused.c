/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What a segment leaves behind that the disk took one part of and not the other. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/uio.h>

#include "base/sha256.h"

#include "../rig.h"
#include "../suite.h"

#define LEN ((size_t)2 * 1024 * 1024)	/* as much as is hashed before fin */
#define REFUSED "world"
#define REFUSED_LEN (sizeof REFUSED - 1)

static struct rig rig;
static atomic_bool disk_is_full;	/* for the part that is refused, not for what is held */
static atomic_bool hash_waits;		/* for that, and that for the hash of the first block */
static sem_t may_hash, has_hashed;

/* These stand in place of the C library's, for the plugin too. */

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
	const struct iovec all = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = len };

	if (!atomic_load(&disk_is_full) || len != REFUSED_LEN || memcmp(bytes, REFUSED, len) != 0)
		return pwritev(fd, &all, 1, offset);
	if (atomic_exchange(&hash_waits, false)) {
		sem_post(&may_hash);
		sem_wait(&has_hashed);
	}
	errno = ENOSPC;
	return -1;
}

/* A job's first call, which is a hint. */
int sync_file_range(int fd, off_t offset, off_t len, unsigned flags)
{
	(void)fd;
	(void)offset;
	(void)len;
	(void)flags;
	if (atomic_load(&hash_waits))
		sem_wait(&may_hash);
	return 0;
}

/* After each block. */
int sched_yield(void)
{
	sem_post(&has_hashed);
	return 0;
}

static enum ft_status say(const char *topic, const char *text)
{
	return rig_ask_text(&rig, "c", topic, text);
}

static void pass(int64_t ms)
{
	rig.now_ms += ms;
	ft_engine_run(rig.engine, rig.now_ms);
}

static char block[LEN + REFUSED_LEN];

/* All of it is held but the last part. */
static void start(void)
{
	sem_init(&may_hash, 0, 0);
	sem_init(&has_hashed, 0, 0);
	rig_setup(&rig, "fs");
	rig_start(&rig);
	memset(block, 'b', LEN);
	memcpy(block + LEN, REFUSED, REFUSED_LEN);
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"n\"}"), FT_OK);
	ck_assert_int_eq(rig_ask(&rig, "c", "$file/f/0", block, LEN), FT_OK);
}

/* Held bytes differ, and are written; then comes the part that finds no room. */
static void send_what_is_refused(void)
{
	block[0] = 'B';
	atomic_store(&disk_is_full, true);
	ck_assert_int_eq(rig_ask(&rig, "c", "$file/f/0", block, sizeof block), FT_DISK_FULL);
	atomic_store(&disk_is_full, false);
	block[0] = 'b';
}

START_TEST(test_engine__hashes_nothing_of_a_segment_that_was_refused)
{
	struct ft_sha256 digest;
	char topic[128] = "$file/f/fin/2097152/";
	struct ft_buf end = ft_buf_on(topic + strlen(topic), sizeof topic - strlen(topic));

	atomic_store(&hash_waits, true);
	start();
	send_what_is_refused();
	ck_assert(ft_sha256_of(block, LEN, &digest));
	ft_buf_hex(&end, digest.bytes, sizeof digest.bytes);
	ck_assert_int_eq(say(topic, ""), FT_OK);
	rig_teardown(&rig);
}
END_TEST

static void await_checkpoint(void)
{
	ino_t before = rig_journal(&rig);

	pass(6000);
	for (int i = 0; i < RIG_DEADLINE_S * 1000 && rig_journal(&rig) == before; i++) {
		usleep(1000);
		pass(100);
	}
	ck_assert_msg(rig_journal(&rig) != before, "no checkpoint is made");
}

static void cut_the_power(void)
{
	rig_stop(&rig);
	snprintf(rig.boot_id, sizeof rig.boot_id, "22222222-2222-4222-8222-222222222222");
	rig_start(&rig);
}

/* What the checkpoint before had said was taken back when the bytes were to change. */
START_TEST(test_engine__makes_a_checkpoint_of_what_a_refused_segment_left)
{
	start();
	await_checkpoint();
	send_what_is_refused();
	await_checkpoint();
	cut_the_power();
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "have"), "[[0,2097152]]");
	rig_teardown(&rig);
}
END_TEST

FT_SUITE("engine refused",
	 test_engine__hashes_nothing_of_a_segment_that_was_refused,
	 test_engine__makes_a_checkpoint_of_what_a_refused_segment_left);
