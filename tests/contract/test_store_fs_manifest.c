/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The fs backend: a manifest that is replaced while bytes depend on the one before. */
#include "store_rig.h"

static const struct ft_key KEY = {"c", 1, "f", 1};
#define UNFINISHED "incoming/c/f"
#define NEWER UNFINISHED "/manifest.new"

static void describe(struct rig *rig, struct ft_upload *upload, const char *mark)
{
	char *manifest = rig_manifest(&KEY, mark);

	ck_assert_int_eq(rig->ops->describe(upload, manifest, strlen(manifest)), FT_OK);
	free(manifest);
}

/* Begins, with bytes that a checkpoint covers, and describes it anew. */
static struct ft_upload *described(struct rig *rig, enum ft_durability durability)
{
	struct ft_upload *upload;

	rig_open(rig, "fs", durability);
	upload = rig_create(rig, &KEY);
	rig_put_text(rig, upload, 0, "covered");
	rig_checkpoint(rig, upload);
	describe(rig, upload, "newer");
	return upload;
}

/* What the next process finds, and a worker reads of it. */
static struct ft_upload *expect_manifest(struct rig *rig, struct ft_upload *upload,
					 const char *mark)
{
	char *expected = rig_manifest(&KEY, mark), *found, *read;
	struct ft_work *work;
	size_t len, read_len;

	rig->ops->release(&upload);
	rig_restart(rig);
	ck_assert_int_eq(rig->ops->load(rig->store, &KEY, &found, &len, &upload), FT_OK);
	ck_assert_str_eq(found, expected);
	ck_assert_int_eq(rig->ops->work(upload, &work), FT_OK);
	ck_assert_int_eq(rig->ops->manifest(work, &read, &read_len), FT_OK);
	ck_assert_str_eq(read, expected);
	rig->ops->work_close(&work);
	free(read);
	free(found);
	free(expected);
	return upload;
}

START_TEST(test_fs_manifest__of_covered_bytes_stays_until_the_next_checkpoint)
{
	struct rig rig;
	struct ft_upload *upload = described(&rig, FT_DURABILITY_FILE);

	ck_assert(rig_exists(rig_path(&rig, NEWER)));
	upload = expect_manifest(&rig, upload, "newer");
	ck_assert(rig_exists(rig_path(&rig, NEWER)));
	rig_put_text(&rig, upload, 7, "!");
	rig_checkpoint(&rig, upload);
	ck_assert(!rig_exists(rig_path(&rig, NEWER)));
	upload = expect_manifest(&rig, upload, "newer");
	describe(&rig, upload, "newest");
	describe(&rig, upload, "last");
	upload = expect_manifest(&rig, upload, "last");
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_fs_manifest__is_replaced_at_once_where_no_bytes_depend_on_it)
{
	struct ft_upload *upload;
	struct rig rig;

	rig_open(&rig, "fs", (enum ft_durability)_i);
	upload = rig_create(&rig, &KEY);
	if (_i != FT_DURABILITY_FILE) {
		rig_put_text(&rig, upload, 0, "bytes");
		rig_checkpoint(&rig, upload);
	}
	describe(&rig, upload, "newer");
	ck_assert(!rig_exists(rig_path(&rig, NEWER)));
	upload = expect_manifest(&rig, upload, "newer");
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

/* As a power cut may leave it. */
START_TEST(test_fs_manifest__that_is_not_whole_does_not_count)
{
	static const char *const left[] = {"", "{\"client_id\":\"c\",\"fi", "\0\0\0\0\0\0\0\0", "[]"};
	static const size_t lens[] = {0, 20, 8, 2};
	struct rig rig;
	struct ft_upload *upload = described(&rig, FT_DURABILITY_FILE);

	for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
		rig_write_file(rig_path(&rig, NEWER), left[i], lens[i]);
		upload = expect_manifest(&rig, upload, "begun");
		/* Nor does a checkpoint put it in the place of the one that is whole. */
		rig_put_text(&rig, upload, 10 + 2 * i, "x");
		rig_checkpoint(&rig, upload);
		upload = expect_manifest(&rig, upload, "begun");
	}
	describe(&rig, upload, "newest");
	upload = expect_manifest(&rig, upload, "newest");
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

/* Between its fsync and its rename the broker's thread may have put another there. */
START_TEST(test_fs_manifest__that_comes_during_a_checkpoint_waits_for_the_next)
{
	struct rig rig;
	struct ft_upload *upload = described(&rig, FT_DURABILITY_FILE);
	struct ft_checkpoint *checkpoint;

	rig_put_text(&rig, upload, 7, "!");
	ck_assert_int_eq(rig.ops->checkpoint_begin(upload, &checkpoint), FT_OK);
	ck_assert_int_eq(rig.ops->checkpoint_run(checkpoint), FT_OK);
	describe(&rig, upload, "newest");
	ck_assert_int_eq(rig.ops->checkpoint_end(upload, &checkpoint, FT_OK), FT_OK);
	ck_assert(rig_exists(rig_path(&rig, NEWER)));
	upload = expect_manifest(&rig, upload, "newest");
	rig_put_text(&rig, upload, 8, "!");
	rig_checkpoint(&rig, upload);
	ck_assert(!rig_exists(rig_path(&rig, NEWER)));
	upload = expect_manifest(&rig, upload, "newest");
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

/* What was described beside another keeps counting when durability is another one. */
START_TEST(test_fs_manifest__goes_along_with_another_durability)
{
	struct rig rig;
	struct ft_upload *upload = described(&rig, FT_DURABILITY_FILE);

	rig.config.durability = (enum ft_durability)_i;
	upload = expect_manifest(&rig, upload, "newer");
	describe(&rig, upload, "newest");
	ck_assert(_i == FT_DURABILITY_FILE || !rig_exists(rig_path(&rig, NEWER)));
	upload = expect_manifest(&rig, upload, "newest");
	ck_assert_int_eq(rig_publish(&rig, upload, "name", 7), FT_OK);
	rig.ops->release(&upload);
	ck_assert(!rig_exists(rig_path(&rig, UNFINISHED)));
	rig_close(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store: the fs backend's manifests");
	TCase *cases = tcase_create("manifests");

	tcase_set_timeout(cases, FT_SUITE_TIMEOUT_S);
	tcase_add_test(cases, test_fs_manifest__of_covered_bytes_stays_until_the_next_checkpoint);
	tcase_add_loop_test(cases, test_fs_manifest__is_replaced_at_once_where_no_bytes_depend_on_it,
			    FT_DURABILITY_NONE, FT_DURABILITY_SEGMENT + 1);
	tcase_add_test(cases, test_fs_manifest__that_is_not_whole_does_not_count);
	tcase_add_test(cases, test_fs_manifest__that_comes_during_a_checkpoint_waits_for_the_next);
	tcase_add_loop_test(cases, test_fs_manifest__goes_along_with_another_durability,
			    FT_DURABILITY_NONE, FT_DURABILITY_SEGMENT + 1);
	suite_add_tcase(suite, cases);
	return ft_suite_finish(suite);
}
