/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The fs backend: torn, damaged, foreign and forgotten things under storage_dir. */
#include "store_rig.h"

#include <time.h>

#include "../suite.h"

static const struct ft_key KEY = {"c/1", 3, "f1", 2};
#define CLIENT "incoming/c%%2F1"
#define UNFINISHED CLIENT "/f1"

/* A transfer that holds 0-3 10-13 20-23, by three journal records after the first. */
static void begin(struct rig *rig)
{
	struct ft_upload *upload;

	rig_open(rig, "fs", FT_DURABILITY_FILE);
	upload = rig_create(rig, &KEY);
	rig_put_text(rig, upload, 0, "abc");
	rig_put_text(rig, upload, 10, "def");
	rig_put_text(rig, upload, 20, "ghi");
	rig->ops->release(&upload);
}

static void write_at(const char *path, off_t offset, const char *bytes, size_t len)
{
	int fd = open(path, O_WRONLY);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, bytes, len, offset), (ssize_t)len);
	close(fd);
}

static void make_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

static void expect_held(struct rig *rig, const char *held)
{
	struct ft_upload *upload = rig_load(rig, &KEY);

	ck_assert_str_eq(rig_held(upload), held);
	rig->ops->release(&upload);
	ck_assert_uint_eq(tree_entries(rig_path(rig, "damaged")), 0);
}

/* The transfer was moved away as a whole, with one line in the log, and can be begun anew. */
static void expect_set_aside(struct rig *rig)
{
	struct ft_upload *upload;

	rig->log_lines = 0;
	ck_assert_int_eq(rig_try_load(rig, &KEY), FT_DAMAGED);
	ck_assert_uint_eq(rig->log_lines, 1);
	ck_assert_ptr_nonnull(strstr(rig->log, "incoming/c%2F1/f1"));
	ck_assert_ptr_nonnull(strstr(rig->log, "damaged/"));
	ck_assert(!rig_exists(rig_path(rig, CLIENT)));
	ck_assert_uint_eq(tree_entries(rig_path(rig, "damaged")), 1);
	ck_assert_int_eq(rig_try_load(rig, &KEY), FT_NO_SUCH_TRANSFER);
	upload = rig_create(rig, &KEY);
	rig->ops->release(&upload);
}

/* --- the journal --- */

START_TEST(test_fs__drops_a_record_that_was_cut_short)
{
	struct rig rig;

	begin(&rig);
	ck_assert_int_eq(truncate(rig_path(&rig, UNFINISHED "/journal"), 4 * 24 - 5), 0);
	expect_held(&rig, "0-3 10-13");
	/* And the next one goes where it was. */
	expect_held(&rig, "0-3 10-13");
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__drops_a_last_record_that_is_garbage)
{
	struct rig rig;

	begin(&rig);
	write_at(rig_path(&rig, UNFINISHED "/journal"), 3 * 24 + 10, "x", 1);
	expect_held(&rig, "0-3 10-13");
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__sets_aside_a_journal_with_a_bad_record_in_it)
{
	struct rig rig;

	begin(&rig);
	write_at(rig_path(&rig, UNFINISHED "/journal"), 2 * 24 + 10, "x", 1);
	expect_set_aside(&rig);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__ends_reading_at_a_bad_record_of_an_earlier_boot)
{
	struct ft_upload *upload;
	struct rig rig;

	begin(&rig);
	upload = rig_load(&rig, &KEY);
	rig_checkpoint(&rig, upload);
	rig_put_text(&rig, upload, 30, "jkl");
	rig_put_text(&rig, upload, 40, "mno");
	rig.ops->release(&upload);
	write_at(rig_path(&rig, UNFINISHED "/journal"), 4 * 24 + 10, "x", 1);
	rig_reboot(&rig);
	expect_held(&rig, "0-3 10-13 20-23");
	upload = rig_load(&rig, &KEY);
	rig_put_text(&rig, upload, 50, "p");
	rig.ops->release(&upload);
	expect_held(&rig, "0-3 10-13 20-23 50-51");
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__sets_aside_a_journal_of_garbage)
{
	struct rig rig;

	begin(&rig);
	make_file(rig_path(&rig, UNFINISHED "/journal"),
		  "this is not a journal at all, but more than one record of something else");
	expect_set_aside(&rig);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__sets_aside_a_transfer_without_a_journal)
{
	struct rig rig;

	begin(&rig);
	ck_assert_int_eq(unlink(rig_path(&rig, UNFINISHED "/journal")), 0);
	expect_set_aside(&rig);
	rig_close(&rig);
}
END_TEST

/* What a power cut leaves of a file that was never fsynced: its length, or not even that. */
START_TEST(test_fs__holds_nothing_by_an_empty_or_zeroed_journal)
{
	struct rig rig;

	begin(&rig);
	ck_assert_int_eq(truncate(rig_path(&rig, UNFINISHED "/journal"), 0), 0);
	expect_held(&rig, "");
	ck_assert_int_eq(truncate(rig_path(&rig, UNFINISHED "/journal"), 4096), 0);
	expect_held(&rig, "");
	rig_close(&rig);
}
END_TEST

/* --- manifest, data, directories --- */

START_TEST(test_fs__sets_aside_a_transfer_whose_manifest_is_no_manifest)
{
	static const char *const texts[] = {
		"", "garbage", "[]", "{}", "{\"client_id\":\"c/1\"}",
		"{\"client_id\":\"c/1\",\"file_id\":\"f2\"}",
		"{\"client_id\":1,\"file_id\":\"f1\"}",
		"{\"client_id_hex\":\"632f3\",\"file_id\":\"f1\"}",
		"{\"client_id_hex\":\"zz\",\"file_id\":\"f1\"}",
	};
	struct rig rig;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		begin(&rig);
		make_file(rig_path(&rig, UNFINISHED "/manifest.json"), texts[i]);
		expect_set_aside(&rig);
		rig_close(&rig);
	}
}
END_TEST

START_TEST(test_fs__sets_aside_a_transfer_without_a_manifest)
{
	struct rig rig;

	begin(&rig);
	ck_assert_int_eq(unlink(rig_path(&rig, UNFINISHED "/manifest.json")), 0);
	expect_set_aside(&rig);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__sets_aside_data_that_is_a_directory)
{
	struct rig rig;

	begin(&rig);
	ck_assert_int_eq(unlink(rig_path(&rig, UNFINISHED "/data")), 0);
	ck_assert_int_eq(mkdir(rig_path(&rig, UNFINISHED "/data"), 0750), 0);
	expect_set_aside(&rig);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__does_not_follow_links_in_place_of_files)
{
	static const char *const names[] = {"data", "journal", "manifest.json"};
	char kept[RIG_PATH_ROOM], link[RIG_PATH_ROOM];
	struct rig rig;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		begin(&rig);
		snprintf(kept, sizeof kept, "%s", rig_path(&rig, "kept"));
		snprintf(link, sizeof link, "%s", rig_path(&rig, UNFINISHED "/%s", names[i]));
		ck_assert_int_eq(rename(link, kept), 0);
		ck_assert_int_eq(symlink(kept, link), 0);
		expect_set_aside(&rig);
		ck_assert(rig_exists(kept));
		rig_close(&rig);
	}
}
END_TEST

START_TEST(test_fs__does_not_follow_a_link_in_place_of_a_transfer)
{
	char kept[RIG_PATH_ROOM], link[RIG_PATH_ROOM];
	struct rig rig;

	begin(&rig);
	snprintf(kept, sizeof kept, "%s", rig_path(&rig, "kept"));
	snprintf(link, sizeof link, "%s", rig_path(&rig, UNFINISHED));
	ck_assert_int_eq(rename(link, kept), 0);
	ck_assert_int_eq(symlink(kept, link), 0);
	expect_set_aside(&rig);
	ck_assert_uint_eq(tree_entries(kept), 3);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__does_not_follow_a_link_in_place_of_a_client)
{
	char kept[RIG_PATH_ROOM], link[RIG_PATH_ROOM], *manifest = rig_manifest(&KEY, "begun");
	struct ft_upload *upload = NULL;
	struct rig rig;

	begin(&rig);
	snprintf(kept, sizeof kept, "%s", rig_path(&rig, "kept"));
	snprintf(link, sizeof link, "%s", rig_path(&rig, CLIENT));
	ck_assert_int_eq(rename(link, kept), 0);
	ck_assert_int_eq(symlink(kept, link), 0);
	ck_assert_int_eq(rig_try_load(&rig, &KEY), FT_IO_ERROR);
	ck_assert_int_eq(rig.ops->create(rig.store, &KEY, manifest, strlen(manifest), &upload),
			 FT_IO_ERROR);
	ck_assert_uint_eq(tree_entries(kept), 1);
	free(manifest);
	rig_close(&rig);
}
END_TEST

/* --- enumerate clears up --- */

static void make_old(const char *path)
{
	struct timespec then[2] = {{.tv_sec = time(NULL) - 3600}, {.tv_sec = time(NULL) - 3600}};

	ck_assert_int_eq(utimensat(AT_FDCWD, path, then, 0), 0);
}

START_TEST(test_fs__does_not_know_a_transfer_without_data)
{
	struct ft_upload *upload;
	struct rig rig;

	begin(&rig);
	ck_assert_int_eq(unlink(rig_path(&rig, UNFINISHED "/data")), 0);
	ck_assert_int_eq(rig_try_load(&rig, &KEY), FT_NO_SUCH_TRANSFER);
	upload = rig_create(&rig, &KEY);
	ck_assert_str_eq(rig_held(upload), "");
	rig_put_text(&rig, upload, 1, "new");
	rig.ops->release(&upload);
	expect_held(&rig, "1-4");
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__removes_leftovers_on_the_walk)
{
	struct rig rig;

	begin(&rig);
	ck_assert_int_eq(unlink(rig_path(&rig, UNFINISHED "/data")), 0);
	ck_assert_uint_eq(rig_walk(&rig), 0);
	ck_assert(!rig_exists(rig_path(&rig, CLIENT)));
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "trash")), 0);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__purges_the_trash_of_an_earlier_process)
{
	struct rig rig;

	begin(&rig);
	ck_assert_int_eq(mkdir(rig_path(&rig, "trash/old"), 0750), 0);
	ck_assert_int_eq(mkdir(rig_path(&rig, "trash/old/sub"), 0750), 0);
	make_file(rig_path(&rig, "trash/old/data"), "bytes");
	make_file(rig_path(&rig, "trash/file"), "bytes");
	ck_assert_uint_eq(rig_walk(&rig), 1);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "trash")), 0);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__sets_aside_damage_on_the_walk)
{
	struct rig rig;

	begin(&rig);
	make_file(rig_path(&rig, UNFINISHED "/manifest.json"), "garbage");
	ck_assert_uint_eq(rig_walk(&rig), 0);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "damaged")), 1);
	ck_assert(!rig_exists(rig_path(&rig, UNFINISHED)));
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__walks_past_what_is_not_its_own)
{
	struct rig rig;

	begin(&rig);
	make_file(rig_path(&rig, "incoming/a file"), "");
	ck_assert_int_eq(mkdir(rig_path(&rig, "incoming/empty"), 0750), 0);
	ck_assert_uint_eq(rig_walk(&rig), 1);
	ck_assert(rig_exists(rig_path(&rig, "incoming/a file")));
	ck_assert(!rig_exists(rig_path(&rig, "incoming/empty")));
	rig_close(&rig);
}
END_TEST

static bool news_visit(void *context, const struct ft_found *found)
{
	*(int64_t *)context = found->last_news;
	return true;
}

START_TEST(test_fs__tells_the_time_of_the_last_news)
{
	static const char *const names[] = {"data", "journal", "manifest.json"};
	int64_t news = 0;
	struct rig rig;

	begin(&rig);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(rig.ops->enumerate(rig.store, news_visit, &news), FT_OK);
		ck_assert_int_ge(news, time(NULL) - 60);
		make_old(rig_path(&rig, UNFINISHED "/%s", names[i]));
	}
	ck_assert_int_eq(rig.ops->enumerate(rig.store, news_visit, &news), FT_OK);
	ck_assert_int_le(news, time(NULL) - 3600);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__sets_aside_a_finished_manifest_that_is_empty)
{
	struct ft_upload *upload;
	struct rig rig;

	begin(&rig);
	upload = rig_load(&rig, &KEY);
	ck_assert_int_eq(rig_publish(&rig, upload, "a", 3), FT_OK);
	rig.ops->release(&upload);
	make_file(rig_path(&rig, "files/c%%2F1/f1/a.manifest.json"), "");
	ck_assert_int_eq(rig_try_find(&rig, &KEY), FT_DAMAGED);
	ck_assert_int_eq(rig_try_find(&rig, &KEY), FT_NO_SUCH_TRANSFER);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "damaged")), 1);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__does_not_open_a_directory_that_is_none)
{
	struct ft_store *store = NULL;
	struct ft_store_config config;
	char path[RIG_PATH_ROOM];
	struct rig rig;

	rig_open(&rig, "fs", FT_DURABILITY_FILE);
	snprintf(path, sizeof path, "%s", rig_path(&rig, "file"));
	make_file(path, "");
	config = rig.config;
	config.dir = path;
	ck_assert_int_eq(rig.ops->open(&config, &store), FT_IO_ERROR);
	ck_assert_ptr_nonnull(strstr(rig.log, "storage_dir"));
	rig_close(&rig);
}
END_TEST

FT_SUITE("fs damage",
	 test_fs__drops_a_record_that_was_cut_short,
	 test_fs__drops_a_last_record_that_is_garbage,
	 test_fs__sets_aside_a_journal_with_a_bad_record_in_it,
	 test_fs__ends_reading_at_a_bad_record_of_an_earlier_boot,
	 test_fs__sets_aside_a_journal_of_garbage,
	 test_fs__sets_aside_a_transfer_without_a_journal,
	 test_fs__holds_nothing_by_an_empty_or_zeroed_journal,
	 test_fs__sets_aside_a_transfer_whose_manifest_is_no_manifest,
	 test_fs__sets_aside_a_transfer_without_a_manifest,
	 test_fs__sets_aside_data_that_is_a_directory,
	 test_fs__does_not_follow_links_in_place_of_files,
	 test_fs__does_not_follow_a_link_in_place_of_a_transfer,
	 test_fs__does_not_follow_a_link_in_place_of_a_client,
	 test_fs__does_not_know_a_transfer_without_data,
	 test_fs__removes_leftovers_on_the_walk,
	 test_fs__purges_the_trash_of_an_earlier_process,
	 test_fs__sets_aside_damage_on_the_walk,
	 test_fs__walks_past_what_is_not_its_own,
	 test_fs__tells_the_time_of_the_last_news,
	 test_fs__sets_aside_a_finished_manifest_that_is_empty,
	 test_fs__does_not_open_a_directory_that_is_none);
