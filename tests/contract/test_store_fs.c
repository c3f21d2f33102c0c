/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The fs backend: what is on the disk, what survives, and what is set aside. */
#include "store_rig.h"

static const struct ft_key KEY = {"c/1", 3, "f1", 2};
#define UNFINISHED "incoming/c%%2F1/f1"
#define FINISHED "files/c%%2F1/f1"

static void begin(struct rig *rig, enum ft_durability durability, struct ft_upload **upload)
{
	rig_open(rig, "fs", durability);
	*upload = rig_create(rig, &KEY);
}

static off_t file_size(const char *path)
{
	struct stat st;

	ck_assert_msg(lstat(path, &st) == 0, "%s", path);
	return st.st_size;
}

static void expect_mode(const char *path, mode_t mode)
{
	struct stat st;

	ck_assert_msg(lstat(path, &st) == 0, "%s", path);
	ck_assert_msg((st.st_mode & 07777) == mode, "%s has mode %o", path, st.st_mode & 07777);
}

/* --- layout --- */

static void check_layout(mode_t mask)
{
	mode_t before = umask(mask);
	struct ft_upload *upload;
	struct rig rig;

	begin(&rig, FT_DURABILITY_FILE, &upload);
	rig_put_text(&rig, upload, 0, "content");
	expect_mode(rig_path(&rig, "incoming"), 0750);
	expect_mode(rig_path(&rig, "incoming/c%%2F1"), 0750);
	expect_mode(rig_path(&rig, UNFINISHED), 0750);
	expect_mode(rig_path(&rig, UNFINISHED "/data"), 0640);
	expect_mode(rig_path(&rig, UNFINISHED "/manifest.json"), 0640);
	expect_mode(rig_path(&rig, UNFINISHED "/journal"), 0640);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, UNFINISHED)), 3);
	rig_checkpoint(&rig, upload);
	expect_mode(rig_path(&rig, UNFINISHED "/journal"), 0640);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, UNFINISHED)), 3);
	ck_assert_int_eq(rig_publish(&rig, upload, "a.txt", 7), FT_OK);
	rig.ops->release(&upload);
	expect_mode(rig_path(&rig, "files/c%%2F1"), 0750);
	expect_mode(rig_path(&rig, FINISHED), 0750);
	expect_mode(rig_path(&rig, FINISHED "/a.txt"), 0640);
	expect_mode(rig_path(&rig, FINISHED "/a.txt.manifest.json"), 0640);
	ck_assert_int_eq(file_size(rig_path(&rig, FINISHED "/a.txt")), 7);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, FINISHED)), 2);
	ck_assert(!rig_exists(rig_path(&rig, "incoming/c%%2F1")));
	umask(before);
	rig_close(&rig);
}

START_TEST(test_fs__lays_files_out_as_documented)
{
	check_layout(022);
}
END_TEST

START_TEST(test_fs__sets_modes_whatever_the_umask)
{
	check_layout(077);
	check_layout(0);
}
END_TEST

START_TEST(test_fs__moves_what_is_detached_to_the_trash)
{
	struct ft_trash *trash;
	struct ft_upload *upload;
	struct rig rig;

	begin(&rig, FT_DURABILITY_FILE, &upload);
	ck_assert_int_eq(rig.ops->detach(&upload, &trash), FT_OK);
	ck_assert(!rig_exists(rig_path(&rig, "incoming/c%%2F1")));
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "trash")), 1);
	ck_assert_int_eq(rig.ops->purge(&trash), FT_OK);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "trash")), 0);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__keeps_a_short_journal_for_an_upload_in_order)
{
	struct ft_upload *upload;
	char block[1000] = {0};
	struct rig rig;

	begin(&rig, FT_DURABILITY_FILE, &upload);
	for (uint64_t i = 0; i < 1000; i++)
		(void)rig_put(&rig, upload, i * sizeof block, block, sizeof block);
	ck_assert_int_eq(file_size(rig_path(&rig, UNFINISHED "/journal")), 48);
	ck_assert(!rig.ops->wants_checkpoint(upload));
	rig.ops->release(&upload);
	upload = rig_load(&rig, &KEY);
	ck_assert_str_eq(rig_held(upload), "0-1000000");
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__shortens_a_long_journal_by_a_checkpoint)
{
	struct ft_upload *upload;
	struct rig rig;

	begin(&rig, FT_DURABILITY_NONE, &upload);
	for (uint64_t i = 0; i < 10000; i++)
		(void)rig_put(&rig, upload, i * 7919 % 10000, "x", 1);
	ck_assert_str_eq(rig_held(upload), "0-10000");
	ck_assert(rig.ops->wants_checkpoint(upload));
	rig_checkpoint(&rig, upload);
	ck_assert_int_eq(file_size(rig_path(&rig, UNFINISHED "/journal")), 48);
	ck_assert(!rig.ops->wants_checkpoint(upload));
	rig.ops->release(&upload);
	rig_restart(&rig);
	upload = rig_load(&rig, &KEY);
	ck_assert_str_eq(rig_held(upload), "0-10000");
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

/* --- what survives --- */

static const char *held_after(struct rig *rig, struct ft_upload **upload, bool reboot)
{
	const char *held;

	rig->ops->release(upload);
	if (reboot)
		rig_reboot(rig);
	else
		rig_restart(rig);
	*upload = rig_load(rig, &KEY);
	held = rig_held(*upload);
	return held;
}

START_TEST(test_fs__holds_everything_after_a_restart)
{
	struct ft_upload *upload;
	struct rig rig;

	begin(&rig, (enum ft_durability)_i, &upload);
	rig_put_text(&rig, upload, 0, "abc");
	rig_put_text(&rig, upload, 10, "def");
	ck_assert_str_eq(held_after(&rig, &upload, false), "0-3 10-13");
	rig_expect(&rig, upload, 10, "def", 3);
	rig_put_text(&rig, upload, 13, "ghi");
	ck_assert_str_eq(held_after(&rig, &upload, false), "0-3 10-16");
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__holds_after_a_boot_only_what_a_checkpoint_covered)
{
	struct ft_upload *upload;
	struct rig rig;

	begin(&rig, FT_DURABILITY_FILE, &upload);
	rig_put_text(&rig, upload, 0, "covered");
	rig_checkpoint(&rig, upload);
	rig_put_text(&rig, upload, 100, "later");
	ck_assert_str_eq(held_after(&rig, &upload, true), "0-7");
	/* What is put now counts; what came before that boot never will again. */
	rig_put_text(&rig, upload, 200, "now");
	ck_assert_str_eq(held_after(&rig, &upload, false), "0-7 200-203");
	ck_assert_str_eq(held_after(&rig, &upload, true), "0-7");
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__does_not_trust_after_a_boot_what_was_overwritten_since_the_checkpoint)
{
	struct ft_upload *upload;
	struct rig rig;

	begin(&rig, FT_DURABILITY_FILE, &upload);
	rig_put_text(&rig, upload, 0, "covered");
	rig_checkpoint(&rig, upload);
	rig_put_text(&rig, upload, 3, "X");
	ck_assert_str_eq(held_after(&rig, &upload, false), "0-7");
	rig_expect(&rig, upload, 0, "covXred", 7);
	ck_assert_str_eq(held_after(&rig, &upload, true), "");
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__does_not_trust_a_checkpoint_that_was_overtaken_by_an_overwrite)
{
	struct ft_checkpoint *checkpoint;
	struct ft_upload *upload;
	enum ft_status ran;
	struct rig rig;

	begin(&rig, FT_DURABILITY_FILE, &upload);
	rig_put_text(&rig, upload, 0, "content");
	ck_assert_int_eq(rig.ops->checkpoint_begin(upload, &checkpoint), FT_OK);
	ran = rig.ops->checkpoint_run(checkpoint);
	rig_put_text(&rig, upload, 3, "X");
	ck_assert_int_eq(rig.ops->checkpoint_end(upload, &checkpoint, ran), FT_OK);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, UNFINISHED)), 3);
	ck_assert_str_eq(held_after(&rig, &upload, false), "0-7");
	ck_assert_str_eq(held_after(&rig, &upload, true), "");
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__holds_every_segment_after_a_boot_where_that_was_asked_for)
{
	struct ft_upload *upload;
	struct rig rig;

	begin(&rig, FT_DURABILITY_SEGMENT, &upload);
	rig_put_text(&rig, upload, 0, "abc");
	rig_put_text(&rig, upload, 10, "def");
	rig_put_text(&rig, upload, 1, "X");
	rig_checkpoint(&rig, upload);
	rig_put_text(&rig, upload, 20, "ghi");
	ck_assert_str_eq(held_after(&rig, &upload, true), "0-3 10-13 20-23");
	rig_expect(&rig, upload, 0, "aXc", 3);
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__trusts_nothing_where_the_boot_is_unknown)
{
	struct ft_upload *upload;
	struct rig rig;

	rig_open(&rig, "fs", FT_DURABILITY_FILE);
	snprintf(rig.boot_id, sizeof rig.boot_id, "00000000-0000-0000-0000-000000000000");
	rig_restart(&rig);
	upload = rig_create(&rig, &KEY);
	rig_put_text(&rig, upload, 0, "abc");
	ck_assert_str_eq(rig_held(upload), "0-3");
	ck_assert_str_eq(held_after(&rig, &upload, false), "");
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__counts_nothing_behind_the_end_of_the_data)
{
	struct ft_upload *upload;
	struct rig rig;

	begin(&rig, FT_DURABILITY_FILE, &upload);
	rig_put_text(&rig, upload, 0, "0123456789");
	rig_checkpoint(&rig, upload);
	rig.ops->release(&upload);
	ck_assert_int_eq(truncate(rig_path(&rig, UNFINISHED "/data"), 4), 0);
	upload = rig_load(&rig, &KEY);
	ck_assert_str_eq(rig_held(upload), "0-4");
	/* Nor when a later put makes the data long again: in between are zeroes. */
	rig_put_text(&rig, upload, 20, "x");
	ck_assert_str_eq(held_after(&rig, &upload, false), "0-4 20-21");
	ck_assert_str_eq(held_after(&rig, &upload, true), "0-4");
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__falls_back_to_the_checkpoint_when_a_sync_failed)
{
	struct ft_upload *upload;
	struct rig rig;

	begin(&rig, FT_DURABILITY_FILE, &upload);
	rig_put_text(&rig, upload, 0, "covered");
	rig_checkpoint(&rig, upload);
	rig_put_text(&rig, upload, 100, "later");
	ck_assert_int_eq(rig.ops->reassess(upload, true), FT_OK);
	ck_assert_str_eq(rig_held(upload), "0-7");
	rig_put_text(&rig, upload, 200, "new");
	ck_assert_str_eq(held_after(&rig, &upload, false), "0-7 200-203");
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__keeps_all_when_a_sync_failed_that_was_never_made)
{
	struct ft_upload *upload;
	struct rig rig;

	begin(&rig, FT_DURABILITY_NONE, &upload);
	rig_put_text(&rig, upload, 0, "content");
	ck_assert_int_eq(rig.ops->reassess(upload, true), FT_OK);
	ck_assert_str_eq(rig_held(upload), "0-7");
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

/* --- publish, interrupted --- */

START_TEST(test_fs__is_unfinished_while_only_its_manifest_is_published)
{
	struct ft_upload *upload;
	struct rig rig;

	begin(&rig, FT_DURABILITY_FILE, &upload);
	rig_put_text(&rig, upload, 0, "content");
	rig.ops->release(&upload);
	ck_assert_int_eq(mkdir(rig_path(&rig, "files/c%%2F1"), 0750), 0);
	ck_assert_int_eq(mkdir(rig_path(&rig, FINISHED), 0750), 0);
	rig_write_file(rig_path(&rig, FINISHED "/other.manifest.json"), "{}", 2);
	rig_restart(&rig);
	ck_assert_int_eq(rig_try_find(&rig, &KEY), FT_NO_SUCH_TRANSFER);
	upload = rig_load(&rig, &KEY);
	ck_assert_int_eq(rig_publish(&rig, upload, "a.txt", 7), FT_OK);
	rig.ops->release(&upload);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, FINISHED)), 2);
	ck_assert_int_eq(rig_try_find(&rig, &KEY), FT_OK);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__is_not_finished_after_detach_of_what_was_half_published)
{
	struct ft_trash *trash;
	struct ft_upload *upload;
	struct rig rig;

	begin(&rig, FT_DURABILITY_FILE, &upload);
	ck_assert_int_eq(mkdir(rig_path(&rig, "files/c%%2F1"), 0750), 0);
	ck_assert_int_eq(mkdir(rig_path(&rig, FINISHED), 0750), 0);
	rig_write_file(rig_path(&rig, FINISHED "/a.txt.manifest.json"), "{}", 2);
	ck_assert_int_eq(rig.ops->detach(&upload, &trash), FT_OK);
	ck_assert_int_eq(rig_try_find(&rig, &KEY), FT_NO_SUCH_TRANSFER);
	ck_assert(!rig_exists(rig_path(&rig, "files/c%%2F1")));
	ck_assert_int_eq(rig.ops->purge(&trash), FT_OK);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__is_finished_though_a_consumer_took_the_file_away)
{
	struct ft_upload *upload;
	struct rig rig;
	bool same = true;

	begin(&rig, FT_DURABILITY_FILE, &upload);
	rig_put_text(&rig, upload, 0, "content");
	ck_assert_int_eq(rig_publish(&rig, upload, "a.txt", 7), FT_OK);
	rig.ops->release(&upload);
	ck_assert_int_eq(unlink(rig_path(&rig, FINISHED "/a.txt")), 0);
	ck_assert_int_eq(rig_try_find(&rig, &KEY), FT_OK);
	ck_assert_int_eq(rig.ops->finished_matches(rig.store, &KEY, "a.txt", 0, "content", 7,
						   &same), FT_OK);
	ck_assert(!same);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs__never_replaces_a_finished_file)
{
	struct ft_upload *upload;
	struct rig rig;
	off_t size;

	begin(&rig, FT_DURABILITY_FILE, &upload);
	rig_put_text(&rig, upload, 0, "content");
	ck_assert_int_eq(mkdir(rig_path(&rig, "files/c%%2F1"), 0750), 0);
	ck_assert_int_eq(mkdir(rig_path(&rig, FINISHED), 0750), 0);
	rig_write_file(rig_path(&rig, FINISHED "/a.txt"), "precious", 8);
	ck_assert_int_eq(rig_publish(&rig, upload, "a.txt", 7), FT_IO_ERROR);
	size = file_size(rig_path(&rig, FINISHED "/a.txt"));
	ck_assert_int_eq(size, 8);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, FINISHED)), 1);
	rig_expect(&rig, upload, 0, "content", 7);
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fs");
	TCase *cases = tcase_create("fs");

	tcase_set_timeout(cases, FT_SUITE_TIMEOUT_S);
	tcase_add_test(cases, test_fs__lays_files_out_as_documented);
	tcase_add_test(cases, test_fs__sets_modes_whatever_the_umask);
	tcase_add_test(cases, test_fs__moves_what_is_detached_to_the_trash);
	tcase_add_test(cases, test_fs__keeps_a_short_journal_for_an_upload_in_order);
	tcase_add_test(cases, test_fs__shortens_a_long_journal_by_a_checkpoint);
	tcase_add_loop_test(cases, test_fs__holds_everything_after_a_restart, FT_DURABILITY_NONE,
			    FT_DURABILITY_SEGMENT + 1);
	tcase_add_test(cases, test_fs__holds_after_a_boot_only_what_a_checkpoint_covered);
	tcase_add_test(cases,
		       test_fs__does_not_trust_after_a_boot_what_was_overwritten_since_the_checkpoint);
	tcase_add_test(cases,
		       test_fs__does_not_trust_a_checkpoint_that_was_overtaken_by_an_overwrite);
	tcase_add_test(cases, test_fs__holds_every_segment_after_a_boot_where_that_was_asked_for);
	tcase_add_test(cases, test_fs__trusts_nothing_where_the_boot_is_unknown);
	tcase_add_test(cases, test_fs__counts_nothing_behind_the_end_of_the_data);
	tcase_add_test(cases, test_fs__falls_back_to_the_checkpoint_when_a_sync_failed);
	tcase_add_test(cases, test_fs__keeps_all_when_a_sync_failed_that_was_never_made);
	tcase_add_test(cases, test_fs__is_unfinished_while_only_its_manifest_is_published);
	tcase_add_test(cases, test_fs__is_not_finished_after_detach_of_what_was_half_published);
	tcase_add_test(cases, test_fs__is_finished_though_a_consumer_took_the_file_away);
	tcase_add_test(cases, test_fs__never_replaces_a_finished_file);
	suite_add_tcase(suite, cases);
	return ft_suite_finish(suite);
}
