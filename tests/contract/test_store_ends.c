/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What store.h promises of how transfers end, for every backend. */
#include "store_rig.h"

/* --- detach, purge, set_aside --- */

START_TEST(test_store__forgets_what_is_detached)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_trash *trash = NULL;
	struct ft_upload *upload;
	struct rig rig;

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	rig_put_text(&rig, upload, 0, "bytes");
	ck_assert_int_eq(rig.ops->detach(&upload, &trash), FT_OK);
	ck_assert_ptr_null(upload);
	ck_assert_int_eq(rig_try_load(&rig, &key), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(rig_try_find(&rig, &key), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(rig.ops->purge(&trash), FT_OK);
	ck_assert_ptr_null(trash);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__begins_anew_while_the_old_bytes_await_their_purge)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_trash *trash = NULL;
	struct ft_upload *upload;
	struct rig rig;

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	rig_put_text(&rig, upload, 0, "old bytes");
	ck_assert_int_eq(rig.ops->detach(&upload, &trash), FT_OK);
	upload = rig_create(&rig, &key);
	ck_assert_str_eq(rig_held(upload), "");
	rig_put_text(&rig, upload, 0, "new");
	ck_assert_int_eq(rig.ops->purge(&trash), FT_OK);
	rig_expect(&rig, upload, 0, "new", 3);
	rig.ops->release(&upload);
	upload = rig_load(&rig, &key);
	ck_assert_str_eq(rig_held(upload), "0-3");
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__keeps_old_work_handles_away_from_a_new_transfer)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_trash *trash = NULL;
	struct ft_upload *upload;
	char *manifest = NULL;
	struct ft_work *work;
	struct rig rig;
	size_t len;
	char got[8];

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	rig_put_text(&rig, upload, 0, "old");
	work = rig_work(&rig, upload);
	ck_assert_int_eq(rig.ops->detach(&upload, &trash), FT_OK);
	upload = rig_create(&rig, &key);
	rig_put_text(&rig, upload, 0, "new");
	ck_assert_int_eq(rig.ops->read(work, 0, got, 3), FT_OK);
	ck_assert(memcmp(got, "old", 3) == 0);
	ck_assert_int_eq(rig.ops->manifest(work, &manifest, &len), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(rig_publish_work(&rig, work, "name", 3), FT_NO_SUCH_TRANSFER);
	rig.ops->work_close(&work);
	ck_assert_int_eq(rig.ops->purge(&trash), FT_OK);
	rig_expect(&rig, upload, 0, "new", 3);
	rig.ops->release(&upload);
	ck_assert_int_eq(rig_try_find(&rig, &key), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(rig_try_load(&rig, &key), FT_OK);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__knows_no_more_of_what_was_set_aside)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct rig rig;

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	rig_put_text(&rig, upload, 0, "bytes");
	ck_assert_int_eq(rig.ops->set_aside(&upload, "the test says so"), FT_OK);
	ck_assert_ptr_null(upload);
	ck_assert_ptr_nonnull(strstr(rig.log, "the test says so"));
	ck_assert_int_eq(rig_try_load(&rig, &key), FT_NO_SUCH_TRANSFER);
	upload = rig_create(&rig, &key);
	ck_assert_str_eq(rig_held(upload), "");
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

/* --- publish, find --- */

static void expect_finished(struct rig *rig, const struct ft_key *key, const char *name,
			    const void *bytes, size_t len)
{
	char *manifest = NULL;
	size_t manifest_len;
	bool same;

	ck_assert_int_eq(rig_try_load(rig, key), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(rig->ops->find(rig->store, key, &manifest, &manifest_len), FT_OK);
	ck_assert_uint_eq(manifest_len, 14);
	ck_assert_str_eq(manifest, "{\"finished\":1}");
	free(manifest);
	ck_assert_int_eq(rig->ops->finished_matches(rig->store, key, name, 0, bytes, len, &same),
			 FT_OK);
	ck_assert(same);
}

START_TEST(test_store__publishes_a_file)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct rig rig;
	bool same;

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	rig_put_text(&rig, upload, 0, "content");
	ck_assert_int_eq(rig_publish(&rig, upload, "a.txt", 7), FT_OK);
	rig.ops->release(&upload);
	expect_finished(&rig, &key, "a.txt", "content", 7);
	ck_assert_int_eq(rig.ops->finished_matches(rig.store, &key, "a.txt", 3, "tent", 4, &same),
			 FT_OK);
	ck_assert(same);
	ck_assert_int_eq(rig.ops->finished_matches(rig.store, &key, "a.txt", 3, "tenX", 4, &same),
			 FT_OK);
	ck_assert(!same);
	ck_assert_int_eq(rig.ops->finished_matches(rig.store, &key, "b.txt", 3, "tent", 4, &same),
			 FT_OK);
	ck_assert(!same);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__cuts_a_published_file_at_its_size)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct rig rig;
	bool same;

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	rig_put_text(&rig, upload, 0, "content and more");
	rig_put_text(&rig, upload, 1000000, "far behind");
	ck_assert_int_eq(rig_publish(&rig, upload, "a.txt", 7), FT_OK);
	rig.ops->release(&upload);
	expect_finished(&rig, &key, "a.txt", "content", 7);
	ck_assert_int_eq(rig.ops->finished_matches(rig.store, &key, "a.txt", 0, "content ", 8,
						   &same), FT_OK);
	ck_assert(!same);
	ck_assert_int_eq(rig.ops->finished_matches(rig.store, &key, "a.txt", 1000000, "f", 1,
						   &same), FT_OK);
	ck_assert(!same);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__publishes_an_empty_file)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct rig rig;

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	ck_assert_int_eq(rig_publish(&rig, upload, "empty", 0), FT_OK);
	rig.ops->release(&upload);
	expect_finished(&rig, &key, "empty", "", 0);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__detach_comes_too_late_after_publish)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_trash *trash = NULL;
	struct ft_upload *upload;
	struct rig rig;

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	rig_put_text(&rig, upload, 0, "content");
	ck_assert_int_eq(rig_publish(&rig, upload, "a.txt", 7), FT_OK);
	ck_assert_int_eq(rig.ops->detach(&upload, &trash), FT_NO_SUCH_TRANSFER);
	ck_assert_ptr_nonnull(upload);
	rig.ops->release(&upload);
	expect_finished(&rig, &key, "a.txt", "content", 7);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__publishes_under_any_name)
{
	static const char *const names[] = {
		"plain", ".hidden", "x.manifest.json", "manifest.json", "data", "%2F", "a b\tc",
		"\xf0\x9f\x93\xa6.bin", "final.tmp", "-rf", "~",
	};
	struct rig rig;
	char longest[241];

	rig_open_any(&rig, _i);
	memset(longest, 'n', 240);
	longest[240] = '\0';
	for (size_t i = 0; i <= sizeof names / sizeof *names; i++) {
		const char *name = i < sizeof names / sizeof *names ? names[i] : longest;
		struct ft_key key = rig_key("c", name);
		struct ft_upload *upload = rig_create(&rig, &key);

		rig_put_text(&rig, upload, 0, "content");
		ck_assert_int_eq(rig_publish(&rig, upload, name, 7), FT_OK);
		rig.ops->release(&upload);
		expect_finished(&rig, &key, name, "content", 7);
	}
	rig_close(&rig);
}
END_TEST

/* --- checkpoints --- */

START_TEST(test_store__takes_bytes_while_a_checkpoint_runs)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_checkpoint *checkpoint = NULL;
	struct ft_upload *upload;
	enum ft_status ran;
	struct rig rig;

	rig_open_any(&rig, _i);
	if (rig.ops->checkpoint_begin) {
		upload = rig_create(&rig, &key);
		rig_put_text(&rig, upload, 0, "before");
		ck_assert_int_eq(rig.ops->checkpoint_begin(upload, &checkpoint), FT_OK);
		rig_put_text(&rig, upload, 10, "early");
		ran = rig.ops->checkpoint_run(checkpoint);
		ck_assert_int_eq(ran, FT_OK);
		rig_put_text(&rig, upload, 20, "late");
		ck_assert_int_eq(rig.ops->checkpoint_end(upload, &checkpoint, ran), FT_OK);
		rig_put_text(&rig, upload, 30, "after");
		rig.ops->release(&upload);
		upload = rig_load(&rig, &key);
		ck_assert_str_eq(rig_held(upload), "0-6 10-15 20-24 30-35");
		rig_expect(&rig, upload, 20, "late", 4);
		rig.ops->release(&upload);
	}
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__loses_nothing_when_a_checkpoint_is_cancelled)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_checkpoint *checkpoint = NULL;
	struct ft_upload *upload;
	struct rig rig;

	rig_open_any(&rig, _i);
	if (rig.ops->checkpoint_begin) {
		upload = rig_create(&rig, &key);
		rig_put_text(&rig, upload, 0, "before");
		ck_assert_int_eq(rig.ops->checkpoint_begin(upload, &checkpoint), FT_OK);
		rig_put_text(&rig, upload, 10, "during");
		ck_assert_int_eq(rig.ops->checkpoint_end(upload, &checkpoint, FT_CANCELLED),
				 FT_CANCELLED);
		rig.ops->release(&upload);
		upload = rig_load(&rig, &key);
		ck_assert_str_eq(rig_held(upload), "0-6 10-16");
		rig.ops->release(&upload);
	}
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__ends_a_checkpoint_whose_upload_was_detached)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_checkpoint *checkpoint = NULL;
	struct ft_trash *trash = NULL;
	struct ft_upload *upload;
	enum ft_status ran;
	struct rig rig;

	rig_open_any(&rig, _i);
	if (rig.ops->checkpoint_begin) {
		upload = rig_create(&rig, &key);
		rig_put_text(&rig, upload, 0, "old");
		ck_assert_int_eq(rig.ops->checkpoint_begin(upload, &checkpoint), FT_OK);
		ck_assert_int_eq(rig.ops->detach(&upload, &trash), FT_OK);
		upload = rig_create(&rig, &key);
		rig_put_text(&rig, upload, 100, "new");
		ran = rig.ops->checkpoint_run(checkpoint);
		ck_assert_int_eq(rig.ops->purge(&trash), FT_OK);
		ck_assert_int_eq(rig.ops->checkpoint_end(NULL, &checkpoint, ran), ran);
		ck_assert_ptr_null(checkpoint);
		rig.ops->release(&upload);
		upload = rig_load(&rig, &key);
		ck_assert_str_eq(rig_held(upload), "100-103");
		rig.ops->release(&upload);
	}
	rig_close(&rig);
}
END_TEST

RIG_SUITE_OF_ALL_BACKENDS("store",
	 test_store__forgets_what_is_detached,
	 test_store__begins_anew_while_the_old_bytes_await_their_purge,
	 test_store__keeps_old_work_handles_away_from_a_new_transfer,
	 test_store__knows_no_more_of_what_was_set_aside,
	 test_store__publishes_a_file,
	 test_store__cuts_a_published_file_at_its_size,
	 test_store__publishes_an_empty_file,
	 test_store__detach_comes_too_late_after_publish,
	 test_store__publishes_under_any_name,
	 test_store__takes_bytes_while_a_checkpoint_runs,
	 test_store__loses_nothing_when_a_checkpoint_is_cancelled,
	 test_store__ends_a_checkpoint_whose_upload_was_detached);
