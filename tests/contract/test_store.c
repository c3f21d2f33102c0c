/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What include/file_transfer/store.h promises of unfinished transfers, for every backend. */
#include "store_rig.h"

#define MODEL_LEN ((size_t)300 * 1000)

/* --- create, load, release --- */

START_TEST(test_store__knows_nothing_of_a_key_at_first)
{
	struct ft_key key = rig_key("c", "f");
	struct rig rig;

	rig_open_any(&rig, _i);
	ck_assert_int_eq(rig_try_load(&rig, &key), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(rig_try_find(&rig, &key), FT_NO_SUCH_TRANSFER);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__holds_nothing_when_created)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct rig rig;

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	ck_assert_str_eq(rig_held(upload), "");
	ck_assert_ptr_eq(upload->store, rig.store);
	rig.ops->release(&upload);
	ck_assert_ptr_null(upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__loads_what_was_released)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	char *manifest = NULL, *expected = rig_manifest(&key, "begun");
	struct rig rig;
	size_t len = 0;

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	rig_put_text(&rig, upload, 3, "hello");
	rig.ops->release(&upload);
	ck_assert_int_eq(rig.ops->load(rig.store, &key, &manifest, &len, &upload), FT_OK);
	ck_assert_uint_eq(len, strlen(expected));
	ck_assert_str_eq(manifest, expected);
	ck_assert_str_eq(rig_held(upload), "3-8");
	rig_expect(&rig, upload, 3, "hello", 5);
	rig.ops->release(&upload);
	free(manifest);
	free(expected);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__does_not_find_what_is_unfinished)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct rig rig;

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	ck_assert_int_eq(rig_try_find(&rig, &key), FT_NO_SUCH_TRANSFER);
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__replaces_the_manifest)
{
	struct ft_key key = rig_key("c", "f");
	char *newer = rig_manifest(&key, "newer"), *manifest = NULL;
	struct ft_upload *upload;
	struct ft_work *work;
	struct rig rig;
	size_t len;

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	work = rig_work(&rig, upload);
	ck_assert_int_eq(rig.ops->describe(upload, newer, strlen(newer)), FT_OK);
	ck_assert_int_eq(rig.ops->manifest(work, &manifest, &len), FT_OK);
	ck_assert_str_eq(manifest, newer);
	free(manifest);
	rig.ops->work_close(&work);
	rig.ops->release(&upload);
	ck_assert_int_eq(rig.ops->load(rig.store, &key, &manifest, &len, &upload), FT_OK);
	ck_assert_str_eq(manifest, newer);
	rig.ops->release(&upload);
	free(manifest);
	free(newer);
	rig_close(&rig);
}
END_TEST

/* --- put --- */

START_TEST(test_store__tells_how_many_bytes_a_put_added)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct ft_put done;
	struct rig rig;

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	done = rig_put(&rig, upload, 10, "0123456789", 10);
	ck_assert_uint_eq(done.added, 10);
	ck_assert(!done.overwrote);
	done = rig_put(&rig, upload, 15, "56789abcde", 10);
	ck_assert_uint_eq(done.added, 5);
	ck_assert(!done.overwrote);
	done = rig_put(&rig, upload, 5, "!!!!!0123456789abcde?????", 25);
	ck_assert_uint_eq(done.added, 10);
	ck_assert(!done.overwrote);
	ck_assert_str_eq(rig_held(upload), "5-30");
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__put_again_changes_nothing)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct ft_put done;
	struct rig rig;

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	rig_put_text(&rig, upload, 0, "same");
	done = rig_put(&rig, upload, 0, "same", 4);
	ck_assert_uint_eq(done.added, 0);
	ck_assert(!done.overwrote);
	rig_expect(&rig, upload, 0, "same", 4);
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__the_last_write_of_a_byte_wins)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct ft_put done;
	struct rig rig;

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	rig_put_text(&rig, upload, 0, "aaaaaa");
	rig_put_text(&rig, upload, 8, "bbbb");
	done = rig_put(&rig, upload, 4, "acccbb", 6);
	ck_assert_uint_eq(done.added, 2);
	ck_assert(done.overwrote);
	rig_expect(&rig, upload, 0, "aaaaacccbbbb", 12);
	ck_assert_str_eq(rig_held(upload), "0-12");
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

/* A file as an array, and one flag per byte that says whether it is held. */
struct model {
	char bytes[MODEL_LEN];
	char held[MODEL_LEN];
};

static struct ft_put model_put(struct model *model, size_t offset, const char *bytes, size_t len)
{
	struct ft_put put = {.added = 0};

	for (size_t i = 0; i < len; i++) {
		if (!model->held[offset + i])
			put.added++;
		else if (model->bytes[offset + i] != bytes[i])
			put.overwrote = true;
		model->held[offset + i] = 1;
		model->bytes[offset + i] = bytes[i];
	}
	return put;
}

static void expect_model(struct rig *rig, struct ft_upload *upload, const struct model *model)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < MODEL_LEN;) {
		size_t end = i;

		while (end < MODEL_LEN && model->held[end] == model->held[i])
			end++;
		if (model->held[i]) {
			ck_assert(ft_ranges_cover(&upload->held, i, end));
			rig_expect(rig, upload, i, model->bytes + i, end - i);
			bytes += end - i;
		} else {
			ck_assert(!ft_ranges_overlap(&upload->held, i, end));
		}
		i = end;
	}
	ck_assert_uint_eq(upload->held.bytes, bytes);
}

/* Few letters, so that bytes often agree with what is there. */
static void random_put(struct rig *rig, struct ft_upload *upload, struct model *model, char *bytes)
{
	size_t len = 1 + (size_t)rand() % (rand() % 4 ? 5000 : 150000);
	size_t offset = (size_t)rand() % (MODEL_LEN - len);
	bool same = rand() % 2;
	struct ft_put done, expected;

	for (size_t i = 0; i < len; i++)
		bytes[i] = "abc"[rand() % 3];
	for (size_t i = 0; i < len && same; i++) {
		if (model->held[offset + i])
			bytes[i] = model->bytes[offset + i];
	}
	done = rig_put(rig, upload, offset, bytes, len);
	expected = model_put(model, offset, bytes, len);
	ck_assert_uint_eq(done.added, expected.added);
	ck_assert_int_eq(done.overwrote, expected.overwrote);
}

START_TEST(test_store__agrees_with_a_model_whatever_is_put)
{
	struct model *model = calloc(1, sizeof *model);
	struct ft_key key = rig_key("c", "f");
	char *bytes = malloc(MODEL_LEN);
	struct ft_upload *upload;
	struct rig rig;

	srand(1);
	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	for (int i = 0; i < 300; i++) {
		random_put(&rig, upload, model, bytes);
		if (i % 50 == 49) {
			expect_model(&rig, upload, model);
			rig.ops->release(&upload);
			upload = rig_load(&rig, &key);
			expect_model(&rig, upload, model);
		}
	}
	rig.ops->release(&upload);
	free(bytes);
	free(model);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__takes_bytes_far_apart)
{
	const uint64_t far = UINT64_C(5) << 30;
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct rig rig;

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	rig_put_text(&rig, upload, far, "far");
	rig_put_text(&rig, upload, 0, "near");
	rig_expect(&rig, upload, far, "far", 3);
	rig_expect(&rig, upload, 0, "near", 4);
	ck_assert_uint_eq(upload->held.bytes, 7);
	ck_assert_uint_eq(upload->held.count, 2);
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__stores_or_refuses_the_last_byte_there_is)
{
	const uint64_t last = (uint64_t)INT64_MAX - 1;
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	enum ft_status st;
	struct ft_put done;
	struct rig rig;

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	st = rig.ops->put(upload, last, "z", 1, &done);
	if (st == FT_OK) {
		rig_expect(&rig, upload, last, "z", 1);
	} else {
		ck_assert_int_eq(st, FT_FILE_TOO_LARGE);
		ck_assert_uint_eq(upload->held.count, 0);
	}
	rig_put_text(&rig, upload, 0, "still works");
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__refuses_more_ranges_than_it_can_keep)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct ft_put done;
	struct rig rig;

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	for (uint64_t i = 0; i < FT_RANGES_MAX; i++)
		(void)rig_put(&rig, upload, 2 * i, "x", 1);
	ck_assert_int_eq(rig.ops->put(upload, 2 * FT_RANGES_MAX, "x", 1, &done),
			 FT_QUOTA_EXCEEDED);
	ck_assert_uint_eq(upload->held.count, FT_RANGES_MAX);
	(void)rig_put(&rig, upload, 1, "x", 1);
	ck_assert_uint_eq(upload->held.count, FT_RANGES_MAX - 1);
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__tells_whether_bytes_match_what_is_held)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct rig rig;
	bool same;

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	rig_put_text(&rig, upload, 2, "abcdef");
	ck_assert_int_eq(rig.ops->matches(upload, 3, "bcd", 3, &same), FT_OK);
	ck_assert(same);
	ck_assert_int_eq(rig.ops->matches(upload, 3, "bXd", 3, &same), FT_OK);
	ck_assert(!same);
	/* Zeroes, which a hole reads as, are not held. */
	ck_assert_int_eq(rig.ops->matches(upload, 1, "\0abc", 4, &same), FT_OK);
	ck_assert(!same);
	ck_assert_int_eq(rig.ops->matches(upload, 6, "ef!", 3, &same), FT_OK);
	ck_assert(!same);
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__keeps_what_is_held_when_it_looks_again)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct rig rig;

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	rig_put_text(&rig, upload, 2, "abcdef");
	ck_assert_int_eq(rig.ops->reassess(upload, false), FT_OK);
	ck_assert_str_eq(rig_held(upload), "2-8");
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

RIG_SUITE_OF_ALL_BACKENDS("store",
	 test_store__knows_nothing_of_a_key_at_first,
	 test_store__holds_nothing_when_created,
	 test_store__loads_what_was_released,
	 test_store__does_not_find_what_is_unfinished,
	 test_store__replaces_the_manifest,
	 test_store__tells_how_many_bytes_a_put_added,
	 test_store__put_again_changes_nothing,
	 test_store__the_last_write_of_a_byte_wins,
	 test_store__agrees_with_a_model_whatever_is_put,
	 test_store__takes_bytes_far_apart,
	 test_store__stores_or_refuses_the_last_byte_there_is,
	 test_store__refuses_more_ranges_than_it_can_keep,
	 test_store__tells_whether_bytes_match_what_is_held,
	 test_store__keeps_what_is_held_when_it_looks_again);
