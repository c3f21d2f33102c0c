/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The fs backend: descriptors, sizes, numbers and what they cost. */
#include "store_rig.h"

#include <malloc.h>
#include <sys/resource.h>
#include <time.h>

#include "store/fs.h"

#include "../suite.h"

static const struct ft_key KEY = {"c/1", 3, "f1", 2};

START_TEST(test_fs__closes_descriptors_it_may_not_keep)
{
	size_t before = tree_entries("/proc/self/fd"), open;
	struct ft_upload *upload[50];
	char id[16];
	struct rig rig;

	rig_open(&rig, "fs", FT_DURABILITY_FILE);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 50; i++) {
			snprintf(id, sizeof id, "%d", i);
			if (round == 0) {
				struct ft_key key = rig_key("c", id);

				upload[i] = rig_create(&rig, &key);
			}
			rig_put_text(&rig, upload[i], (uint64_t)round * 4, id);
		}
		open = tree_entries("/proc/self/fd") - before;
		/* The store's own four directories besides. */
		ck_assert_uint_le(open, rig.config.max_open + 4);
	}
	for (int i = 0; i < 50; i++) {
		snprintf(id, sizeof id, "%d", i);
		rig_expect(&rig, upload[i], 8, id, strlen(id));
		rig.ops->release(&upload[i]);
	}
	rig_close(&rig);
	ck_assert_uint_eq(tree_entries("/proc/self/fd"), before);
}
END_TEST

static void allow_descriptors(rlim_t more)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = more ? tree_entries("/proc/self/fd") - 1 + more : limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

START_TEST(test_fs__gives_up_descriptors_when_the_process_has_none_left)
{
	struct ft_upload *first, *second, *third;
	struct ft_key a = rig_key("c", "a"), b = rig_key("c", "b"), c = rig_key("c", "c");
	struct rig rig;

	rig_open(&rig, "fs", FT_DURABILITY_FILE);
	first = rig_create(&rig, &a);
	second = rig_create(&rig, &b);
	/* Descriptors are handed out lowest first, so this leaves none. */
	allow_descriptors(1);
	third = rig_create(&rig, &c);
	rig_put_text(&rig, third, 0, "3");
	rig_put_text(&rig, first, 0, "1");
	rig_put_text(&rig, second, 0, "2");
	allow_descriptors(0);
	rig.ops->release(&first);
	rig.ops->release(&second);
	rig.ops->release(&third);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__is_busy_when_no_descriptor_can_be_had)
{
	struct ft_upload *upload = NULL;
	struct rig rig;

	/* valgrind has its own idea of the limit of open files */
	if (getenv("FT_VALGRIND"))
		return;
	rig_open(&rig, "fs", FT_DURABILITY_FILE);
	allow_descriptors(1);
	ck_assert_int_eq(rig.ops->create(rig.store, &KEY, "{}", 2, &upload), FT_BUSY);
	allow_descriptors(0);
	upload = rig_create(&rig, &KEY);
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

/* What the upload holds after a failed publish that left no descriptor to look with. */
static const char *held_unseen(struct rig *rig, struct ft_upload *upload, bool sync_failed)
{
	fs_cache_drop(fs_of(rig->store), fs_upload_of(upload));
	allow_descriptors(1);
	(void)(rig->ops->reassess(upload, sync_failed) == FT_OK);
	allow_descriptors(0);
	return rig_held(upload);
}

START_TEST(test_fs__holds_what_is_there_when_no_descriptor_can_be_had_to_look)
{
	struct ft_upload *upload;
	struct rig rig;

	if (getenv("FT_VALGRIND"))
		return;
	rig_open(&rig, "fs", FT_DURABILITY_FILE);
	upload = rig_create(&rig, &KEY);
	rig_put_text(&rig, upload, 0, "hello");
	ck_assert_str_eq(held_unseen(&rig, upload, false), "0-5");
	ck_assert_int_eq(truncate(rig_path(&rig, "incoming/c%%2F1/f1/data"), 3), 0);
	ck_assert_str_eq(held_unseen(&rig, upload, false), "");
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

/* A publish has cut the data and then failed; some of the bytes behind are sent again. */
START_TEST(test_fs__holds_no_gap_that_it_had_no_descriptor_to_see)
{
	struct ft_upload *upload;
	struct rig rig;

	if (getenv("FT_VALGRIND"))
		return;
	for (int i = FT_DURABILITY_NONE; i <= FT_DURABILITY_SEGMENT; i++) {
		rig_open(&rig, "fs", (enum ft_durability)i);
		upload = rig_create(&rig, &KEY);
		rig_put_text(&rig, upload, 0, "hello world");
		ck_assert_int_eq(truncate(rig_path(&rig, "incoming/c%%2F1/f1/data"), 3), 0);
		ck_assert_str_eq(held_unseen(&rig, upload, false), "");
		rig_put_text(&rig, upload, 9, "ld");
		ck_assert(!ft_ranges_overlap(&upload->held, 3, 9));
		rig.ops->release(&upload);
		rig_restart(&rig);
		upload = rig_load(&rig, &KEY);
		ck_assert(!ft_ranges_overlap(&upload->held, 3, 9));
		ck_assert(ft_ranges_cover(&upload->held, 9, 11));
		rig.ops->release(&upload);
		rig_close(&rig);
	}
}
END_TEST

START_TEST(test_fs__remembers_a_failed_sync_that_it_had_no_descriptor_to_write_down)
{
	struct ft_upload *upload;
	struct rig rig;

	if (getenv("FT_VALGRIND"))
		return;
	rig_open(&rig, "fs", FT_DURABILITY_FILE);
	upload = rig_create(&rig, &KEY);
	rig_put_text(&rig, upload, 0, "hello");
	rig_checkpoint(&rig, upload);
	rig_put_text(&rig, upload, 5, " world");
	ck_assert_str_eq(held_unseen(&rig, upload, true), "");
	rig.ops->release(&upload);
	rig_restart(&rig);
	upload = rig_load(&rig, &KEY);
	ck_assert_str_eq(rig_held(upload), "0-5");
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__refuses_what_the_process_may_not_write)
{
	struct rlimit limit;
	struct ft_upload *upload;
	struct ft_put done;
	struct rig rig;

	rig_open(&rig, "fs", FT_DURABILITY_FILE);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = 1000000;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	rig_restart(&rig);
	upload = rig_create(&rig, &KEY);
	ck_assert_int_eq(rig.ops->put(upload, 999999, "xy", 2, &done), FT_FILE_TOO_LARGE);
	(void)rig_put(&rig, upload, 999999, "x", 1);
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

/* Asking the kernel each time costs too much: but a fast client fills a disk in less than that. */
START_TEST(test_fs__counts_what_it_has_taken_since_it_asked_for_the_free_space)
{
	static char bytes[1 << 20];
	struct ft_upload *upload;
	uint64_t before, after;
	struct rig rig;

	rig_open(&rig, "fs", FT_DURABILITY_NONE);
	upload = rig_create(&rig, &KEY);
	ck_assert_int_eq(rig.ops->space(rig.store, &before), FT_OK);
	for (uint64_t i = 0; i < 64; i++)
		(void)rig_put(&rig, upload, i * sizeof bytes, bytes, sizeof bytes);
	ck_assert_int_eq(rig.ops->space(rig.store, &after), FT_OK);
	ck_assert_uint_le(after, before - 32 * sizeof bytes);
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

/* --- many --- */

#define SEGMENTS 100000
#define SEGMENT_LEN 1024

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void shuffle(uint32_t *numbers, uint32_t count)
{
	for (uint32_t i = count - 1; i > 0; i--) {
		uint32_t j = (uint32_t)rand() % (i + 1), kept = numbers[i];

		numbers[i] = numbers[j];
		numbers[j] = kept;
	}
}

START_TEST(test_fs__takes_a_hundred_thousand_shuffled_segments)
{
	uint32_t *order = malloc(SEGMENTS * sizeof *order);
	char segment[SEGMENT_LEN] = {0};
	struct ft_upload *upload;
	double start, put, loaded;
	struct rig rig;

	srand(1);
	for (uint32_t i = 0; i < SEGMENTS; i++)
		order[i] = i;
	shuffle(order, SEGMENTS);
	rig_open(&rig, "fs", FT_DURABILITY_NONE);
	upload = rig_create(&rig, &KEY);
	start = seconds();
	for (uint32_t i = 0; i < SEGMENTS; i++) {
		memcpy(segment, &order[i], sizeof order[i]);
		(void)rig_put(&rig, upload, (uint64_t)order[i] * SEGMENT_LEN, segment, SEGMENT_LEN);
	}
	put = seconds();
	rig.ops->release(&upload);
	rig_restart(&rig);
	upload = rig_load(&rig, &KEY);
	loaded = seconds();
	ck_assert_str_eq(rig_held(upload), "0-102400000");
	printf("100,000 shuffled segments of 1 KiB: put in %.2f s, loaded in %.3f s\n", put - start,
	       loaded - put);
	ck_assert_int_eq(rig_publish(&rig, upload, "big", (uint64_t)SEGMENTS * SEGMENT_LEN), FT_OK);
	rig.ops->release(&upload);
	free(order);
	rig_close(&rig);
}
END_TEST

/* The target is 1 KiB for all that is kept of an idle transfer; this is the store's part. */
/* The journal that a checkpoint leaves tells what came meanwhile by place, not by time. */
START_TEST(test_fs__loads_as_many_ranges_as_it_took_while_a_checkpoint_ran)
{
	struct ft_checkpoint *checkpoint = NULL;
	struct ft_upload *upload;
	struct rig rig;

	rig_open(&rig, "fs", FT_DURABILITY_NONE);
	upload = rig_create(&rig, &KEY);
	for (uint64_t i = 0; i < FT_RANGES_MAX; i++)
		(void)rig_put(&rig, upload, 10 + 2 * i, "x", 1);
	ck_assert_int_eq(rig.ops->checkpoint_begin(upload, &checkpoint), FT_OK);
	/* A gap is filled, which makes room for a range in front of all. */
	(void)rig_put(&rig, upload, 11, "x", 1);
	(void)rig_put(&rig, upload, 0, "x", 1);
	ck_assert_uint_eq(upload->held.count, FT_RANGES_MAX);
	ck_assert_int_eq(rig.ops->checkpoint_run(checkpoint), FT_OK);
	ck_assert_int_eq(rig.ops->checkpoint_end(upload, &checkpoint, FT_OK), FT_OK);
	rig.ops->release(&upload);
	upload = rig_load(&rig, &KEY);
	ck_assert_uint_eq(upload->held.count, FT_RANGES_MAX);
	ck_assert_uint_eq(upload->held.bytes, FT_RANGES_MAX + 2);
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

/* Bytes on the heap. Only glibc counts them. */
static size_t heap_bytes(void)
{
#ifdef __GLIBC__
	return mallinfo2().uordblks;
#else
	return 0;
#endif
}

START_TEST(test_fs__needs_little_memory_for_an_idle_transfer)
{
	enum { COUNT = 1000 };
	struct ft_upload **upload = calloc(COUNT, sizeof *upload);
	struct rig rig;
	size_t before;
	char id[16];

	rig_open(&rig, "fs", FT_DURABILITY_NONE);
	before = heap_bytes();
	for (int i = 0; i < COUNT; i++) {
		struct ft_key key = {"client", 6, id, (size_t)snprintf(id, sizeof id, "%d", i)};

		upload[i] = rig_create(&rig, &key);
		rig_put_text(&rig, upload[i], 0, "bytes");
	}
	printf("memory per idle transfer: %zu bytes\n", (heap_bytes() - before) / COUNT);
	/* A sanitizer's malloc does not count here: then 0. */
	ck_assert_uint_lt((heap_bytes() - before) / COUNT, 400);
	for (int i = 0; i < COUNT; i++)
		rig.ops->release(&upload[i]);
	free(upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__walks_over_ten_thousand_transfers)
{
	enum { COUNT = 10000 };
	unsigned seen;
	struct rig rig;
	double start;
	char id[16];

	rig_open(&rig, "fs", FT_DURABILITY_NONE);
	for (int i = 0; i < COUNT; i++) {
		struct ft_key key = {"client", 6, id, (size_t)snprintf(id, sizeof id, "%d", i)};
		struct ft_upload *upload = rig_create(&rig, &key);

		rig.ops->release(&upload);
	}
	start = seconds();
	seen = rig_walk(&rig);
	printf("walk over 10,000 transfers: %.3f s\n", seconds() - start);
	ck_assert_uint_eq(seen, COUNT);
	rig_close(&rig);
}
END_TEST

FT_SUITE("fs limits",
	 test_fs__closes_descriptors_it_may_not_keep,
	 test_fs__gives_up_descriptors_when_the_process_has_none_left,
	 test_fs__is_busy_when_no_descriptor_can_be_had,
	 test_fs__holds_what_is_there_when_no_descriptor_can_be_had_to_look,
	 test_fs__holds_no_gap_that_it_had_no_descriptor_to_see,
	 test_fs__remembers_a_failed_sync_that_it_had_no_descriptor_to_write_down,
	 test_fs__refuses_what_the_process_may_not_write,
	 test_fs__counts_what_it_has_taken_since_it_asked_for_the_free_space,
	 test_fs__takes_a_hundred_thousand_shuffled_segments,
	 test_fs__loads_as_many_ranges_as_it_took_while_a_checkpoint_ran,
	 test_fs__needs_little_memory_for_an_idle_transfer,
	 test_fs__walks_over_ten_thousand_transfers);
