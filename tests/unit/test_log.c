/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/system.h"

#include "../lib/log_rig.h"
#include "../lib/machine.h"
#include "../suite.h"

/* Where things are, by log.h's definition of the format. */
#define HEADER 4096
#define AT_VERSION 8
#define AT_HEADER_LEN 12
#define AT_SIZE 16
#define AT_SALT 40
#define AT_TAIL 48
#define AT_SLOT 56
#define RECORD 40

#define SIZE ((uint64_t)64 * 1024)
#define HERE "boot=1 fsid=2 dev=8:1 ns=4 mnt=5"
#define AFTER_BOOT "boot=9 fsid=2 dev=8:1 ns=4 mnt=5"

static void set_up(void)
{
	log_rig_set_up(SIZE, HERE);
}

static enum ft_status try_open(void)
{
	lines[0] = '\0';
	return log_rig_open();
}

static void open_log(enum ft_log_past expected)
{
	ck_assert_int_eq(try_open(), FT_OK);
	ck_assert_int_eq(past, expected);
}

static void reopen(enum ft_log_past expected)
{
	ft_log_close(&ring);
	open_log(expected);
}

/* One that does not open, with a line that says so. */
static void refuse(enum ft_status expected, const char *why)
{
	ft_log_close(&ring);
	ck_assert_int_eq(try_open(), expected);
	ck_assert_ptr_null(ring);
	ck_assert_msg(strstr(lines, why) != NULL, "\"%s\" is not in: %s", why, lines);
	ck_assert_msg(strstr(lines, path) != NULL, "%s is not in: %s", path, lines);
	ck_assert_msg(strchr(lines, '\n') == lines + strlen(lines) - 1, "not one line: %s", lines);
}

static uint8_t pattern[1 << 20];

/* BYTES of `len`, known again by number. */
static enum ft_status append_bytes(uint64_t number, size_t len)
{
	struct ft_log_entry entry = { .kind = FT_RECORD_BYTES, .number = number,
				      .offset = number * 3, .bytes = pattern, .bytes_len = len };

	return ft_log_append(ring, &entry);
}

static enum ft_status append_fin(uint64_t number)
{
	struct ft_log_entry entry = { .kind = FT_RECORD_FIN, .number = number };

	return ft_log_append(ring, &entry);
}

static void fill_pattern(void)
{
	for (size_t i = 0; i < sizeof pattern; i++)
		pattern[i] = (uint8_t)(i * 7 + (i >> 8));
}

static struct ft_log_record take(uint64_t number)
{
	struct ft_log_record record;

	ck_assert(ft_log_take(ring, &record));
	ck_assert_uint_eq(record.number, number);
	if (record.kind == FT_RECORD_BYTES) {
		ck_assert_uint_eq(record.offset, number * 3);
		ck_assert_mem_eq(record.bytes, pattern, record.bytes_len);
	}
	return record;
}

static void take_none(void)
{
	struct ft_log_record record;

	ck_assert(!ft_log_take(ring, &record));
}

static void release_all(void)
{
	ft_log_release(ring, ft_log_taken(ring));
}

/* --- the file, from outside --- */

static void poke(uint64_t offset, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, bytes, len, (off_t)offset), (ssize_t)len);
	close(fd);
}

static void peek(uint64_t offset, void *bytes, size_t len)
{
	int fd = open(path, O_RDONLY);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, bytes, len, (off_t)offset), (ssize_t)len);
	close(fd);
}

static uint64_t peek_u64(uint64_t offset)
{
	uint8_t raw[8];

	peek(offset, raw, sizeof raw);
	return ft_load_le64(raw);
}

static void flip(uint64_t offset)
{
	uint8_t byte;

	peek(offset, &byte, 1);
	byte ^= 0x10;
	poke(offset, &byte, 1);
}

static uint64_t in_file(uint64_t position)
{
	return HEADER + position % config.size;
}

/* --- appending and taking --- */

START_TEST(test_log__is_made_whole_and_for_its_user_only)
{
	uint8_t first[FT_LOG_ID_LEN];
	struct stat st;

	umask(0);
	open_log(FT_LOG_NEW);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_size, HEADER + (off_t)SIZE);
	ck_assert_int_ge(st.st_blocks * 512, HEADER + (off_t)SIZE);	/* no holes */
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_uint_eq(tree_entries(dir), 1);
	ck_assert_uint_eq(ft_log_size(ring), SIZE);
	ck_assert_uint_eq(ft_log_fill(ring), 0);
	memcpy(first, id, sizeof first);
	ft_log_close(&ring);
	ck_assert_int_eq(unlink(path), 0);
	open_log(FT_LOG_NEW);
	ck_assert_mem_ne(first, id, sizeof first);
}
END_TEST

START_TEST(test_log__gives_back_what_was_appended)
{
	struct ft_log_entry entry = { .kind = FT_RECORD_BEGIN, .flags = 0x8001, .number = 1ull << 60,
				      .offset = UINT64_MAX, .head = "head", .head_len = 4,
				      .bytes = "all bytes", .bytes_len = 9 };
	struct ft_log_record record;

	open_log(FT_LOG_NEW);
	ck_assert_int_eq(ft_log_append(ring, &entry), FT_OK);
	ck_assert(ft_log_take(ring, &record));
	ck_assert_int_eq(record.kind, FT_RECORD_BEGIN);
	ck_assert_uint_eq(record.flags, 0x8001);
	ck_assert_uint_eq(record.number, 1ull << 60);
	ck_assert_uint_eq(record.offset, UINT64_MAX);
	ck_assert_uint_eq(record.head_len, 4);
	ck_assert_mem_eq(record.head, "head", 4);
	ck_assert_uint_eq(record.bytes_len, 9);
	ck_assert_mem_eq(record.bytes, "all bytes", 9);
	ck_assert_uint_eq(record.end, ft_log_taken(ring));
	take_none();
}
END_TEST

START_TEST(test_log__takes_in_order_and_once)
{
	open_log(FT_LOG_NEW);
	take_none();
	for (unsigned i = 1; i <= 3; i++)
		ck_assert_int_eq(append_bytes(i, 100 * i), FT_OK);
	ck_assert_int_eq(append_fin(4), FT_OK);
	for (unsigned i = 1; i <= 3; i++)
		ck_assert_uint_eq(take(i).bytes_len, 100 * i);
	ck_assert_int_eq(take(4).kind, FT_RECORD_FIN);
	take_none();
}
END_TEST

START_TEST(test_log__is_busy_when_it_is_full_and_nothing_has_changed)
{
	uint64_t count = 0, fill;

	open_log(FT_LOG_NEW);
	while (append_bytes(count + 1, 1000) == FT_OK)
		count++;
	fill = ft_log_fill(ring);
	ck_assert_uint_gt(fill, SIZE - SIZE / 16 - 2 * 1088);
	ck_assert_uint_le(fill, SIZE - SIZE / 16);
	ck_assert_int_eq(append_bytes(0, 1000), FT_BUSY);
	ck_assert_uint_eq(ft_log_fill(ring), fill);
	for (uint64_t i = 1; i <= count; i++)
		take(i);
	take_none();
	ck_assert_int_eq(append_bytes(0, 1000), FT_BUSY);	/* taken is not released */
	release_all();
	ck_assert_int_eq(append_bytes(0, 1000), FT_OK);
}
END_TEST

START_TEST(test_log__keeps_a_sixteenth_for_others_than_segments)
{
	unsigned others = 0;

	open_log(FT_LOG_NEW);
	while (append_bytes(0, 1) == FT_OK)
		;
	ck_assert(!ft_log_has_room(ring, FT_RECORD_BYTES, 1, 1));
	ck_assert(ft_log_has_room(ring, FT_RECORD_FIN, 1, 0));
	while (append_fin(0) == FT_OK)
		others++;
	ck_assert_uint_eq(others, SIZE / 16 / 64);
	ck_assert_uint_eq(ft_log_fill(ring), SIZE);
	ck_assert(!ft_log_has_room(ring, FT_RECORD_FIN, 1, 0));
}
END_TEST

START_TEST(test_log__says_that_a_record_is_too_large_for_ever)
{
	open_log(FT_LOG_NEW);
	ck_assert_int_eq(append_bytes(1, SIZE - SIZE / 16 - RECORD), FT_OK);
	take(1);
	release_all();
	ck_assert_int_eq(append_bytes(1, SIZE - SIZE / 16 - RECORD + 1), FT_SEGMENT_TOO_LARGE);
	ck_assert(!ft_log_has_room(ring, FT_RECORD_BYTES, 1, SIZE));
	ck_assert(!ft_log_wait_room(ring, FT_RECORD_BYTES, 1, SIZE, 1000000));
}
END_TEST

START_TEST(test_log__begins_a_new_lap_when_all_is_released)
{
	struct ft_log_record record;

	open_log(FT_LOG_NEW);
	for (unsigned i = 0; i < 10; i++) {
		ck_assert_int_eq(append_bytes(2 * i, 100), FT_OK);
		ck_assert_int_eq(append_bytes(2 * i + 1, 100), FT_OK);
		record = take(2 * i);
		ck_assert_uint_eq(record.position, i * SIZE);
		take(2 * i + 1);
		release_all();
		ck_assert_uint_eq(ft_log_fill(ring), 0);
		take_none();
	}
}
END_TEST

START_TEST(test_log__never_splits_a_record_at_the_end_of_the_ring)
{
	uint64_t appended = 0, taken = 0;

	open_log(FT_LOG_NEW);
	ck_assert_int_eq(append_bytes(appended++, 5000), FT_OK);
	/* Always one in it, so that no lap is begun for its own sake. */
	for (unsigned round = 0; round < 2000; round++) {
		struct ft_log_record record;

		ck_assert_int_eq(append_bytes(appended++, round * 37 % 20000), FT_OK);
		record = take(taken++);
		ck_assert_uint_le(record.position % SIZE + RECORD + record.bytes_len, SIZE);
		ft_log_release(ring, record.end);
	}
	ck_assert_uint_gt(ft_log_taken(ring), 100 * SIZE);
}
END_TEST

START_TEST(test_log__keeps_its_word_about_room)
{
	uint64_t number = 1;

	open_log(FT_LOG_NEW);
	/* Somewhere in the middle of a lap, with one record that stays. */
	for (unsigned at = 0; at < 1000; at++) {
		struct ft_log_record record;
		size_t bytes = at * 61 % 24000;

		ck_assert_int_eq(append_bytes(number, at * 97 % 9000), FT_OK);
		record = take(number++);
		if (ft_log_has_room(ring, FT_RECORD_BYTES, 3, bytes)) {
			ck_assert_int_eq(append_fin(number), FT_OK);
			ck_assert_int_eq(append_bytes(number, bytes), FT_OK);
			ck_assert_int_eq(append_fin(number), FT_OK);
			for (int i = 0; i < 3; i++)
				take(number);
		}
		ck_assert_int_eq(append_bytes(++number, 10), FT_OK);
		ft_log_release(ring, record.end);
		release_all();
		take(number++);
	}
}
END_TEST

START_TEST(test_log__ignores_the_release_of_what_is_released)
{
	struct ft_log_record first, second;

	open_log(FT_LOG_NEW);
	ck_assert_int_eq(append_bytes(1, 10), FT_OK);
	ck_assert_int_eq(append_bytes(2, 10), FT_OK);
	first = take(1);
	second = take(2);
	ft_log_release(ring, second.position);
	ft_log_release(ring, first.position);
	ck_assert_uint_eq(ft_log_fill(ring), second.end - second.position);
	ft_log_release(ring, second.end);
	/* A new lap was begun behind what the writer thinks is the end. */
	ck_assert_int_eq(append_bytes(3, 10), FT_OK);
	ft_log_release(ring, second.end);
	ck_assert_uint_gt(ft_log_fill(ring), 0);
	take(3);
}
END_TEST

/* --- after a restart --- */

START_TEST(test_log__gives_what_was_not_released_again)
{
	uint8_t first[FT_LOG_ID_LEN];
	struct ft_log_record record;

	open_log(FT_LOG_NEW);
	memcpy(first, id, sizeof first);
	for (unsigned i = 1; i <= 4; i++)
		ck_assert_int_eq(append_bytes(i, 1000), FT_OK);
	take(1);
	record = take(2);
	take(3);
	ft_log_release(ring, record.end);
	reopen(FT_LOG_CONTINUED);
	ck_assert_mem_eq(first, id, sizeof first);
	ck_assert_int_eq(append_bytes(5, 1000), FT_OK);
	take(3);
	take(4);
	take(5);
	take_none();
}
END_TEST

START_TEST(test_log__goes_on_in_any_place_of_a_lap)
{
	uint64_t appended = 0, taken = 0;

	open_log(FT_LOG_NEW);
	ck_assert_int_eq(append_bytes(appended++, 5000), FT_OK);
	for (unsigned round = 0; round < 300; round++) {
		struct ft_log_record record;

		ck_assert_int_eq(append_bytes(appended++, round * 137 % 20000), FT_OK);
		record = take(taken++);
		ft_log_release(ring, record.end);
		reopen(FT_LOG_CONTINUED);
	}
	take(taken);
	release_all();
	reopen(FT_LOG_CONTINUED);
	take_none();
	ck_assert_int_eq(append_bytes(appended, 5000), FT_OK);
	reopen(FT_LOG_CONTINUED);
	take(appended);
	take_none();
}
END_TEST

START_TEST(test_log__full_to_the_last_byte_is_taken_again)
{
	unsigned count = 0;

	open_log(FT_LOG_NEW);
	while (append_fin(count) == FT_OK)
		count++;
	ck_assert_uint_eq(ft_log_fill(ring), SIZE);
	reopen(FT_LOG_CONTINUED);
	ck_assert_uint_eq(ft_log_fill(ring), SIZE);
	ck_assert_int_eq(append_fin(0), FT_BUSY);
	for (unsigned i = 0; i < count; i++)
		take(i);
	take_none();
	release_all();
	ck_assert_int_eq(append_fin(0), FT_OK);
}
END_TEST

/* A process that is killed in the middle of a record has not stored its mark. */
START_TEST(test_log__a_record_without_its_mark_does_not_count)
{
	for (unsigned byte = 0; byte < 8; byte++) {
		struct ft_log_record second;

		open_log(byte == 0 ? FT_LOG_NEW : FT_LOG_CONTINUED);
		ck_assert_int_eq(append_bytes(1, 100), FT_OK);
		ck_assert_int_eq(append_bytes(2, 100), FT_OK);
		ck_assert_int_eq(append_bytes(3, 100), FT_OK);
		take(1);
		second = take(2);
		ft_log_close(&ring);
		flip(in_file(second.position) + byte);
		open_log(FT_LOG_CONTINUED);
		take(1);
		take_none();
		release_all();
		/* Where the third still lies, with a mark that was right. */
		ck_assert_int_eq(append_bytes(4, 100), FT_OK);
		take(4);
		release_all();
		ft_log_close(&ring);
	}
}
END_TEST

START_TEST(test_log__a_record_with_impossible_lengths_does_not_count)
{
	static const struct {
		unsigned at;
		uint32_t value;
	} wrong[] = {
		{ 8, 0 }, { 8, RECORD - 1 }, { 8, (uint32_t)SIZE + 1 }, { 8, UINT32_MAX },
		{ 12, 101 }, { 12, UINT32_MAX },
		{ 16, 0 }, { 16, FT_RECORD_KINDS }, { 16, 0xffff },
	};

	open_log(FT_LOG_NEW);
	ck_assert_int_eq(append_bytes(1, 100), FT_OK);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		uint8_t good[4], bad[4];

		ft_log_close(&ring);
		peek(HEADER + wrong[i].at, good, 4);
		ft_store_le32(bad, wrong[i].value);
		poke(HEADER + wrong[i].at, bad, 4);
		open_log(FT_LOG_CONTINUED);
		take_none();
		ft_log_close(&ring);
		poke(HEADER + wrong[i].at, good, 4);
		open_log(FT_LOG_CONTINUED);
		take(1);
	}
}
END_TEST

START_TEST(test_log__bytes_of_a_client_never_pass_for_a_record)
{
	static uint8_t forged[60000];
	struct ft_log_entry entry = { .kind = FT_RECORD_BYTES, .number = 1, .bytes = forged,
				      .bytes_len = sizeof forged };
	struct ft_log_record record;

	open_log(FT_LOG_NEW);
	/* On each line of the ring what would be a record in the next lap, were it not for the salt. */
	for (size_t at = 64 - RECORD; at + 64 <= sizeof forged; at += 64) {
		ft_store_le64(forged + at, SIZE + RECORD + at);
		ft_store_le32(forged + at + 8, RECORD);
		ft_store_le32(forged + at + 12, 0);
		ft_store_le16(forged + at + 16, FT_RECORD_FIN);
		ft_store_le64(forged + at + 24, 666);
	}
	ck_assert_int_eq(ft_log_append(ring, &entry), FT_OK);
	ck_assert_uint_eq(peek_u64(HEADER + 128), SIZE + 128);
	ck_assert(ft_log_take(ring, &record));
	release_all();
	ck_assert_int_eq(append_bytes(2, 64 - RECORD), FT_OK);
	ck_assert_int_eq(append_bytes(3, 64 - RECORD), FT_OK);
	reopen(FT_LOG_CONTINUED);
	ck_assert_uint_eq(take(2).position, SIZE);
	take(3);
	take_none();
}
END_TEST

/* --- after a power cut --- */

START_TEST(test_log__drops_what_a_power_cut_may_have_torn)
{
	uint8_t first[FT_LOG_ID_LEN];

	open_log(FT_LOG_NEW);
	memcpy(first, id, sizeof first);
	ck_assert_int_eq(append_bytes(1, 100), FT_OK);
	ck_assert_int_eq(append_bytes(2, 100), FT_OK);
	config.identity = AFTER_BOOT;
	reopen(FT_LOG_DROPPED);
	ck_assert_mem_ne(first, id, sizeof first);
	ck_assert_msg(strstr(lines, "2 records") != NULL, "%s", lines);
	take_none();
	reopen(FT_LOG_CONTINUED);
	take_none();
}
END_TEST

START_TEST(test_log__says_nothing_of_records_where_a_boot_found_none)
{
	open_log(FT_LOG_NEW);
	config.identity = AFTER_BOOT;
	reopen(FT_LOG_DROPPED);
	ck_assert_str_eq(lines, "");
}
END_TEST

START_TEST(test_log__an_unknown_identity_is_never_the_same)
{
	config.identity = "";
	open_log(FT_LOG_NEW);
	ck_assert_int_eq(append_bytes(1, 100), FT_OK);
	reopen(FT_LOG_DROPPED);
	config.identity = NULL;
	reopen(FT_LOG_DROPPED);
	config.identity = "fsid=2 dev=8:1";
	reopen(FT_LOG_DROPPED);
	reopen(FT_LOG_DROPPED);
}
END_TEST

START_TEST(test_log__in_memory_proves_that_it_is_the_same_boot)
{
	config.medium = FT_LOG_IN_MEMORY;
	config.identity = "fsid=2 dev=8:1";
	open_log(FT_LOG_NEW);
	ck_assert_int_eq(append_bytes(1, 100), FT_OK);
	reopen(FT_LOG_CONTINUED);
	take(1);
	config.identity = "fsid=3 dev=8:1";	/* but the storage is another one */
	reopen(FT_LOG_DROPPED);
}
END_TEST

START_TEST(test_log__synced_keeps_its_records_through_a_power_cut)
{
	uint8_t first[FT_LOG_ID_LEN];

	config.sync = FT_LOG_SYNCED;
	open_log(FT_LOG_NEW);
	memcpy(first, id, sizeof first);
	for (unsigned i = 1; i <= 3; i++)
		ck_assert_int_eq(append_bytes(i, 100), FT_OK);
	take(1);
	release_all();
	config.identity = AFTER_BOOT;
	reopen(FT_LOG_CONTINUED);
	ck_assert_mem_eq(first, id, sizeof first);
	take(2);
	take(3);
	take_none();
	release_all();
	ck_assert_int_eq(append_bytes(4, 100), FT_OK);
	config.identity = HERE;
	config.sync = FT_LOG_MAPPED;	/* the promise was made before */
	reopen(FT_LOG_CONTINUED);
	take(4);
}
END_TEST

/* Every byte of a record, and of what it carries. */
START_TEST(test_log__synced_records_count_only_if_they_are_whole)
{
	config.sync = FT_LOG_SYNCED;
	for (unsigned byte = 0; byte < RECORD + 30; byte++) {
		struct ft_log_record second;

		config.identity = HERE;
		open_log(FT_LOG_NEW);
		ck_assert_int_eq(append_bytes(1, 30), FT_OK);
		ck_assert_int_eq(append_bytes(2, 30), FT_OK);
		ck_assert_int_eq(append_bytes(3, 30), FT_OK);
		take(1);
		second = take(2);
		ft_log_close(&ring);
		flip(in_file(second.position) + byte);
		config.identity = AFTER_BOOT;
		open_log(FT_LOG_CONTINUED);
		take(1);
		take_none();
		/* The third, whose mark is right, must not count behind a new second. */
		ck_assert_int_eq(append_bytes(4, 30), FT_OK);
		reopen(FT_LOG_CONTINUED);
		take(1);
		take(4);
		take_none();
		ft_log_close(&ring);
		ck_assert_int_eq(unlink(path), 0);
	}
}
END_TEST

START_TEST(test_log__synced_log_keeps_what_was_appended_when_it_was_not)
{
	open_log(FT_LOG_NEW);
	ck_assert_int_eq(append_bytes(1, 100), FT_OK);
	config.sync = FT_LOG_SYNCED;
	reopen(FT_LOG_CONTINUED);
	ck_assert_int_eq(append_bytes(2, 100), FT_OK);
	config.identity = AFTER_BOOT;
	reopen(FT_LOG_CONTINUED);
	take(1);
	take(2);
	take_none();
}
END_TEST

START_TEST(test_log__after_a_power_cut_records_before_the_first_unsynced_one_count)
{
	config.sync = FT_LOG_SYNCED;
	open_log(FT_LOG_NEW);
	ck_assert_int_eq(append_bytes(1, 100), FT_OK);
	config.sync = FT_LOG_MAPPED;
	reopen(FT_LOG_CONTINUED);
	for (unsigned i = 2; i <= 4; i++)
		ck_assert_int_eq(append_bytes(i, 100), FT_OK);
	config.identity = AFTER_BOOT;
	reopen(FT_LOG_CONTINUED);
	ck_assert_msg(strstr(lines, "3 records") != NULL, "%s", lines);
	take(1);
	take_none();
	ck_assert_int_eq(append_bytes(5, 100), FT_OK);
	reopen(FT_LOG_CONTINUED);
	take(1);
	take(5);
	take_none();
}
END_TEST

START_TEST(test_log__a_text_half_written_is_not_the_identity)
{
	uint32_t slot;

	open_log(FT_LOG_NEW);
	reopen(FT_LOG_CONTINUED);
	peek(AT_SLOT, &slot, 4);
	ft_log_close(&ring);
	/* The other one is what a killed process was about to write. */
	slot = ft_le32(slot);
	ck_assert_uint_le(slot, 1);
	poke(512 + (1 - slot) * 256, "boot=half", 9);
	open_log(FT_LOG_CONTINUED);
}
END_TEST

/* --- what is refused --- */

START_TEST(test_log__of_another_size_is_made_anew_if_it_is_empty)
{
	uint8_t first[FT_LOG_ID_LEN];
	struct stat st;

	open_log(FT_LOG_NEW);
	memcpy(first, id, sizeof first);
	config.size = 2 * SIZE;
	reopen(FT_LOG_NEW);
	/* To the catalog it is the same log: nothing was lost. */
	ck_assert_mem_eq(first, id, sizeof first);
	ck_assert_uint_eq(ft_log_size(ring), 2 * SIZE);
	ck_assert_int_eq(append_bytes(1, 100), FT_OK);
	config.size = SIZE;
	refuse(FT_DAMAGED, "log_size 128k");
	config.size = 2 * SIZE;
	open_log(FT_LOG_CONTINUED);
	take(1);
	release_all();
	config.size = SIZE;
	reopen(FT_LOG_NEW);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_size, HEADER + (off_t)SIZE);
	/* One of another size from before a power cut holds nothing that counts. */
	ck_assert_int_eq(append_bytes(1, 100), FT_OK);
	config.size = 2 * SIZE;
	config.identity = AFTER_BOOT;
	reopen(FT_LOG_DROPPED);
	ck_assert_uint_eq(ft_log_size(ring), 2 * SIZE);
}
END_TEST

START_TEST(test_log__header_that_makes_no_sense_is_refused)
{
	static const struct {
		unsigned at, len;
		uint64_t value;
		const char *why;
	} wrong[] = {
		{ 0, 1, 'F', "no log of ours" },
		{ 7, 1, 'F', "no log of ours" },
		{ AT_VERSION, 4, 2, "newer version" },
		{ AT_VERSION, 4, 0, "damaged" },
		{ AT_HEADER_LEN, 4, 8192, "damaged" },
		{ AT_SIZE, 8, 0, "damaged" },
		{ AT_SIZE, 8, SIZE + 1, "damaged" },
		{ AT_SIZE, 8, UINT64_MAX - 4095, "damaged" },
		{ AT_SIZE, 8, 2 * SIZE, "cut short" },
		{ AT_TAIL, 8, 32, "damaged" },
		{ AT_TAIL, 8, UINT64_MAX - 63, "damaged" },
		{ AT_SLOT, 4, 2, "damaged" },
	};

	open_log(FT_LOG_NEW);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		uint8_t good[8], bad[8];

		ft_log_close(&ring);
		peek(wrong[i].at, good, wrong[i].len);
		ft_store_le64(bad, wrong[i].value);
		poke(wrong[i].at, bad, wrong[i].len);
		refuse(FT_DAMAGED, wrong[i].why);
		poke(wrong[i].at, good, wrong[i].len);
		open_log(FT_LOG_CONTINUED);
	}
}
END_TEST

START_TEST(test_log__file_cut_short_is_refused)
{
	static const off_t lens[] = { 0, 1, HEADER - 1, HEADER, HEADER + (off_t)SIZE - 1 };

	for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
		open_log(FT_LOG_NEW);
		ft_log_close(&ring);
		ck_assert_int_eq(truncate(path, lens[i]), 0);
		refuse(FT_DAMAGED, "remove it");
		ck_assert_int_eq(unlink(path), 0);
	}
}
END_TEST

START_TEST(test_log__what_is_no_file_is_refused)
{
	char other[300];

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	refuse(FT_DAMAGED, "no file");
	ck_assert_int_eq(unlink(path), 0);
	snprintf(other, sizeof other, "%s/other", dir);
	ck_assert_int_eq(symlink(other, path), 0);
	refuse(FT_IO_ERROR, "open");
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	refuse(FT_IO_ERROR, "open");
	ck_assert_int_eq(rmdir(path), 0);
	config.path = path;
	ck_assert_int_eq(rmdir(dir), 0);
	refuse(FT_IO_ERROR, "No such file");
}
END_TEST

START_TEST(test_log__file_of_another_user_is_refused_in_memory)
{
	if (geteuid() != 0)
		return;
	config.medium = FT_LOG_IN_MEMORY;
	open_log(FT_LOG_NEW);
	ft_log_close(&ring);
	ck_assert_int_eq(chown(path, 12345, 0), 0);
	refuse(FT_DAMAGED, "another user");
	config.medium = FT_LOG_ON_DISK;
	open_log(FT_LOG_CONTINUED);
}
END_TEST

START_TEST(test_log__is_used_by_one_broker_at_a_time)
{
	struct ft_log *mine;

	open_log(FT_LOG_NEW);
	mine = ring;
	ring = NULL;
	refuse(FT_BUSY, "in use by another broker");
	ft_log_close(&mine);
	open_log(FT_LOG_CONTINUED);
}
END_TEST

START_TEST(test_log__that_was_half_made_is_made_again)
{
	char aside[310];

	snprintf(aside, sizeof aside, "%s.new", path);
	ck_assert_int_eq(close(open(aside, O_CREAT | O_WRONLY, 0644)), 0);
	open_log(FT_LOG_NEW);
	ck_assert_uint_eq(tree_entries(dir), 1);
}
END_TEST

START_TEST(test_log__survives_somebody_who_writes_into_its_file)
{
	open_log(FT_LOG_NEW);
	ck_assert_int_eq(append_bytes(1, 100), FT_OK);
	ck_assert_int_eq(append_bytes(2, 100), FT_OK);
	flip(in_file(0));
	lines[0] = '\0';
	take_none();
	ck_assert_msg(strstr(lines, "changed by somebody else") != NULL, "%s", lines);
	release_all();
	ck_assert_int_eq(append_bytes(3, 100), FT_OK);
	take(3);
}
END_TEST

/* Nobody may, but the broker must not die of it. */
START_TEST(test_log__survives_its_file_being_truncated)
{
	if (!machine_tells_where_sigbus_was())
		FT_SKIP(MACHINE_SIGBUS_TELLS_NOTHING);
	open_log(FT_LOG_NEW);
	ck_assert_int_eq(append_bytes(1, 20000), FT_OK);
	ck_assert(!ft_log_is_broken(ring));
	ck_assert_int_eq(truncate(path, 8192), 0);
	lines[0] = '\0';
	ck_assert_int_eq(append_bytes(2, 100), FT_IO_ERROR);
	ck_assert(ft_log_is_broken(ring));
	take_none();
	ck_assert_msg(strstr(lines, path) != NULL, "%s", lines);
	ck_assert_int_eq(append_bytes(3, 100), FT_IO_ERROR);
	release_all();
	refuse(FT_DAMAGED, "cut short");
}
END_TEST

/* --- one that lies elsewhere --- */

static void open_former(void)
{
	ft_log_close(&ring);
	ck_assert_int_eq(ft_log_open_former(&config, &ring, id), FT_OK);
}

START_TEST(test_log__former_one_gives_what_is_in_it_whatever_its_size)
{
	uint8_t first[FT_LOG_ID_LEN];

	open_former();
	ck_assert_ptr_null(ring);
	ck_assert_uint_eq(tree_entries(dir), 0);
	open_log(FT_LOG_NEW);
	memcpy(first, id, sizeof first);
	ck_assert_int_eq(append_bytes(1, 100), FT_OK);
	config.size = 2 * SIZE;
	open_former();
	ck_assert_ptr_nonnull(ring);
	ck_assert_mem_eq(first, id, sizeof first);
	take(1);
	take_none();
	ck_assert_int_eq(ft_log_remove(&ring), FT_OK);
	ck_assert_ptr_null(ring);
	ck_assert_uint_eq(tree_entries(dir), 0);
}
END_TEST

/* Its id says that what the catalog has is not from before a power cut. */
START_TEST(test_log__former_one_is_there_although_all_is_taken)
{
	uint8_t first[FT_LOG_ID_LEN];

	open_log(FT_LOG_NEW);
	memcpy(first, id, sizeof first);
	open_former();
	ck_assert_ptr_nonnull(ring);
	ck_assert_mem_eq(first, id, sizeof first);
	take_none();
}
END_TEST

START_TEST(test_log__former_one_is_removed_where_nothing_in_it_counts)
{
	open_log(FT_LOG_NEW);
	ck_assert_int_eq(append_bytes(1, 100), FT_OK);
	config.identity = AFTER_BOOT;
	open_former();
	ck_assert_ptr_null(ring);
	ck_assert_uint_eq(tree_entries(dir), 0);
}
END_TEST

/* --- sleeping and waking --- */

static _Atomic int wakes;
static _Atomic uint64_t applied;
static _Atomic bool stop;

static void *writer_main(void *unused)
{
	(void)unused;
	while (!atomic_load(&stop)) {
		struct ft_log_record record;
		uint64_t last = 0;

		while (ft_log_take(ring, &record))
			last = record.number;
		release_all();
		if (last)
			atomic_store(&applied, last);
		atomic_fetch_add(&wakes, 1);
		ft_log_sleep(ring, 60000);
	}
	return NULL;
}

static pthread_t begin_writer(void)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, writer_main, NULL), 0);
	return thread;
}

static void end_writer(pthread_t thread)
{
	atomic_store(&stop, true);
	ft_log_wake(ring);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

static void await_applied(uint64_t number)
{
	int64_t until_ms = ft_clock_ms() + 20000;

	while (atomic_load(&applied) != number) {
		ck_assert_msg(ft_clock_ms() < until_ms, "record %ju is not taken",
			      (uintmax_t)number);
		usleep(20);
	}
}

START_TEST(test_log__no_wake_up_is_lost)
{
	pthread_t thread;

	open_log(FT_LOG_NEW);
	thread = begin_writer();
	for (uint64_t i = 1; i <= 3000; i++) {
		ck_assert_int_eq(append_bytes(i, 100), FT_OK);
		if (i % 3)
			ft_log_wake(ring);
		if (i % 2)
			await_applied(i);
	}
	end_writer(thread);
}
END_TEST

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A moment after the last record the writer sleeps for good: just then comes the next one. */
START_TEST(test_log__record_that_comes_while_the_writer_falls_asleep_wakes_it)
{
	pthread_t thread;

	open_log(FT_LOG_NEW);
	thread = begin_writer();
	for (uint64_t i = 1; i <= 1000; i++) {
		int64_t at_ns;

		ck_assert_int_eq(append_bytes(i, 100), FT_OK);
		await_applied(i);
		at_ns = now_ns() + 1800000 + (int64_t)(i * 7919 % 500) * 1000;
		while (now_ns() < at_ns)
			;
	}
	end_writer(thread);
}
END_TEST

START_TEST(test_log__a_few_records_wake_the_writer_together)
{
	pthread_t thread;

	open_log(FT_LOG_NEW);
	thread = begin_writer();
	for (uint64_t i = 1; i <= 200; i++) {
		int before = atomic_load(&wakes);

		for (unsigned k = 0; k < 10; k++)
			ck_assert_int_eq(append_bytes(i, 10), FT_OK);
		await_applied(i);
		while (ft_log_fill(ring) > 0)
			usleep(100);
		ck_assert_int_le(atomic_load(&wakes) - before, 11);
	}
	ck_assert_int_le(atomic_load(&wakes), 800);
	end_writer(thread);
}
END_TEST

static void *wake_later(void *unused)
{
	(void)unused;
	usleep(20000);
	ft_log_wake(ring);
	return NULL;
}

START_TEST(test_log__wake_ends_a_sleep_at_any_time)
{
	int64_t begin_ms;
	pthread_t thread;

	open_log(FT_LOG_NEW);
	begin_ms = ft_clock_ms();
	ft_log_wake(ring);		/* before it sleeps */
	ft_log_sleep(ring, 60000);
	ck_assert_int_eq(pthread_create(&thread, NULL, wake_later, NULL), 0);
	ft_log_sleep(ring, 60000);
	ck_assert_int_lt(ft_clock_ms() - begin_ms, 30000);
	ck_assert_int_ge(ft_clock_ms() - begin_ms, 20);
	pthread_join(thread, NULL);
	/* And it is used up by then. */
	begin_ms = ft_clock_ms();
	ft_log_sleep(ring, 30);
	ck_assert_int_ge(ft_clock_ms() - begin_ms, 30);
}
END_TEST

START_TEST(test_log__nudge_ends_a_sleep_after_a_moment)
{
	int64_t begin_ms;

	open_log(FT_LOG_NEW);
	begin_ms = ft_clock_ms();
	ft_log_nudge(ring);
	ck_assert_uint_eq(ft_log_pending(ring), 0);
	ft_log_sleep(ring, 60000);
	ck_assert_int_ge(ft_clock_ms() - begin_ms, 1);
	ck_assert_int_lt(ft_clock_ms() - begin_ms, 30000);
	/* And it is used up by then. */
	begin_ms = ft_clock_ms();
	ft_log_sleep(ring, 30);
	ck_assert_int_ge(ft_clock_ms() - begin_ms, 30);
}
END_TEST

START_TEST(test_log__much_is_not_waited_for)
{
	int64_t begin_ms;

	config.size = 4 << 20;
	open_log(FT_LOG_NEW);
	ck_assert_int_eq(append_bytes(1, 500 * 1024), FT_OK);
	begin_ms = ft_clock_ms();
	ft_log_sleep(ring, 60000);	/* a moment */
	ck_assert_int_ge(ft_clock_ms() - begin_ms, 1);
	ck_assert_int_lt(ft_clock_ms() - begin_ms, 10000);
	ck_assert_int_eq(append_bytes(2, 12 * 1024), FT_OK);
	begin_ms = ft_clock_ms();
	for (int i = 0; i < 1000; i++)
		ft_log_sleep(ring, 60000);
	ck_assert_int_lt(ft_clock_ms() - begin_ms, 1000);
}
END_TEST

/* --- waiting for room --- */

static void *release_later(void *unused)
{
	struct ft_log_record record;

	(void)unused;
	usleep(50000);
	while (ft_log_take(ring, &record))
		;
	release_all();
	return NULL;
}

START_TEST(test_log__room_is_waited_for)
{
	int64_t begin_ms;
	pthread_t thread;

	open_log(FT_LOG_NEW);
	while (append_bytes(1, 1000) == FT_OK)
		;
	ck_assert_int_eq(pthread_create(&thread, NULL, release_later, NULL), 0);
	begin_ms = ft_clock_ms();
	ck_assert(ft_log_wait_room(ring, FT_RECORD_BYTES, 1, 1000, 20000));
	ck_assert_int_lt(ft_clock_ms() - begin_ms, 15000);
	ck_assert_int_eq(append_bytes(1, 1000), FT_OK);
	pthread_join(thread, NULL);
}
END_TEST

START_TEST(test_log__a_writer_that_makes_no_progress_is_not_waited_for)
{
	int64_t begin_ms;

	open_log(FT_LOG_NEW);
	while (append_bytes(1, 1000) == FT_OK)
		;
	begin_ms = ft_clock_ms();
	ck_assert(!ft_log_wait_room(ring, FT_RECORD_BYTES, 1, 1000, 100));
	ck_assert_int_ge(ft_clock_ms() - begin_ms, 50);
	/* From then on at once. */
	begin_ms = ft_clock_ms();
	for (int i = 0; i < 1000; i++)
		ck_assert(!ft_log_wait_room(ring, FT_RECORD_BYTES, 1, 1000, 100));
	ck_assert_int_lt(ft_clock_ms() - begin_ms, 1000);
	/* Released, but not enough: that is progress. */
	take(1);
	release_all();
	begin_ms = ft_clock_ms();
	ck_assert(!ft_log_wait_room(ring, FT_RECORD_BYTES, 1, 30000, 100));
	ck_assert_int_ge(ft_clock_ms() - begin_ms, 90);
}
END_TEST

START_TEST(test_log__many_records_through_a_small_ring)
{
	pthread_t thread;

	open_log(FT_LOG_NEW);
	thread = begin_writer();
	for (uint64_t i = 1; i <= 50000; i++) {
		size_t len = (size_t)(i * 53 % 5000);

		while (append_bytes(i, len) != FT_OK)
			ft_log_wait_room(ring, FT_RECORD_BYTES, 1, len, 10000);
	}
	await_applied(50000);
	end_writer(thread);
}
END_TEST

int main(void)
{
	fill_pattern();
	return ft_suite_run(&(struct ft_suite){
		.name = "log", .set_up = set_up, .tear_down = log_rig_tear_down,
		FT_TESTS(test_log__is_made_whole_and_for_its_user_only,
			 test_log__gives_back_what_was_appended,
			 test_log__takes_in_order_and_once,
			 test_log__is_busy_when_it_is_full_and_nothing_has_changed,
			 test_log__keeps_a_sixteenth_for_others_than_segments,
			 test_log__says_that_a_record_is_too_large_for_ever,
			 test_log__begins_a_new_lap_when_all_is_released,
			 test_log__never_splits_a_record_at_the_end_of_the_ring,
			 test_log__keeps_its_word_about_room,
			 test_log__ignores_the_release_of_what_is_released,
			 test_log__gives_what_was_not_released_again,
			 test_log__goes_on_in_any_place_of_a_lap,
			 test_log__full_to_the_last_byte_is_taken_again,
			 test_log__a_record_without_its_mark_does_not_count,
			 test_log__a_record_with_impossible_lengths_does_not_count,
			 test_log__bytes_of_a_client_never_pass_for_a_record,
			 test_log__drops_what_a_power_cut_may_have_torn,
			 test_log__says_nothing_of_records_where_a_boot_found_none,
			 test_log__an_unknown_identity_is_never_the_same,
			 test_log__in_memory_proves_that_it_is_the_same_boot,
			 test_log__synced_keeps_its_records_through_a_power_cut,
			 test_log__synced_records_count_only_if_they_are_whole,
			 test_log__synced_log_keeps_what_was_appended_when_it_was_not,
			 test_log__after_a_power_cut_records_before_the_first_unsynced_one_count,
			 test_log__a_text_half_written_is_not_the_identity,
			 test_log__of_another_size_is_made_anew_if_it_is_empty,
			 test_log__header_that_makes_no_sense_is_refused,
			 test_log__file_cut_short_is_refused,
			 test_log__what_is_no_file_is_refused,
			 test_log__file_of_another_user_is_refused_in_memory,
			 test_log__is_used_by_one_broker_at_a_time,
			 test_log__that_was_half_made_is_made_again,
			 test_log__survives_somebody_who_writes_into_its_file,
			 test_log__survives_its_file_being_truncated,
			 test_log__former_one_gives_what_is_in_it_whatever_its_size,
			 test_log__former_one_is_there_although_all_is_taken,
			 test_log__former_one_is_removed_where_nothing_in_it_counts,
			 test_log__no_wake_up_is_lost,
			 test_log__record_that_comes_while_the_writer_falls_asleep_wakes_it,
			 test_log__a_few_records_wake_the_writer_together,
			 test_log__wake_ends_a_sleep_at_any_time,
			 test_log__nudge_ends_a_sleep_after_a_moment,
			 test_log__much_is_not_waited_for,
			 test_log__room_is_waited_for,
			 test_log__a_writer_that_makes_no_progress_is_not_waited_for,
			 test_log__many_records_through_a_small_ring),
	});
}
