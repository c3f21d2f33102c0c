/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What include/file_transfer/store.h promises, for every backend. */
#include "store_rig.h"

#define MODEL_LEN ((size_t)300 * 1000)

/* --- unfinished transfers --- */

START_TEST(test_store__knows_nothing_of_a_key_at_first)
{
	struct ft_key key = rig_key("c", "f");
	char byte;
	struct rig rig;

	rig_open_any(&rig, _i);
	ck_assert_int_eq(rig_try_existing(&rig, &key), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(rig.ops->find(rig.store, &key, "n"), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(rig.ops->read_finished(rig.store, &key, "n", 0, &byte, 1),
			 FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(rig_remove(&rig, &key, "n"), FT_OK);
	ck_assert_uint_eq(rig_list(&rig, 0).count, 0);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__reads_what_was_written)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct rig rig;

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	rig_write(&rig, upload, 3, "hello");
	rig_write(&rig, upload, 0, "abc");
	rig_write(&rig, upload, 4, "E");
	rig_expect(&rig, upload, 0, "abchEllo", 8);
	rig.ops->upload_close(&upload);
	ck_assert_ptr_null(upload);
	upload = rig_existing(&rig, &key);
	rig_expect(&rig, upload, 2, "chE", 3);
	rig.ops->upload_close(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__create_continues_what_is_there)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct rig rig;

	rig_open_any(&rig, _i);
	rig_begin(&rig, &key, "hello");
	upload = rig_create(&rig, &key);
	rig_expect(&rig, upload, 0, "hello", 5);
	rig.ops->upload_close(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__does_not_read_behind_the_end)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct rig rig;
	char got[8];

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	rig_write(&rig, upload, 0, "hello");
	ck_assert_int_eq(rig.ops->read(upload, 1, got, 5), FT_IO_ERROR);
	ck_assert_int_eq(rig.ops->read(upload, 100, got, 1), FT_IO_ERROR);
	rig.ops->upload_close(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__takes_a_byte_far_out)
{
	const uint64_t offset = (uint64_t)1 << 40;
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct rig rig;

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	rig_write(&rig, upload, offset, "x");
	rig_expect(&rig, upload, offset, "x", 1);
	ck_assert_int_eq(rig.ops->discard(upload), FT_OK);
	rig.ops->upload_close(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__closing_nothing_is_no_mistake)
{
	struct ft_upload *none = NULL;
	struct rig rig;

	rig_open_any(&rig, _i);
	rig.ops->upload_close(&none);
	ck_assert_ptr_null(none);
	rig_close(&rig);
}
END_TEST

/* Random writes against an array. */
START_TEST(test_store__the_last_write_of_a_byte_wins)
{
	static char model[MODEL_LEN], bytes[MODEL_LEN];
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct rig rig;

	srand(11);
	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	memset(model, 'z', sizeof model);
	ck_assert_int_eq(rig.ops->write(upload, 0, model, sizeof model), FT_OK);
	for (int i = 0; i < 200; i++) {
		size_t len = 1 + (size_t)rand() % (rand() % 4 ? 5000 : 150000);
		size_t offset = (size_t)rand() % (MODEL_LEN - len);

		memset(bytes, 'a' + rand() % 26, len);
		memcpy(model + offset, bytes, len);
		ck_assert_int_eq(rig.ops->write(upload, offset, bytes, len), FT_OK);
	}
	rig_expect(&rig, upload, 0, model, sizeof model);
	rig.ops->upload_close(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__another_handle_may_sync_while_one_writes)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *writes, *syncs;
	struct rig rig;

	rig_open_any(&rig, _i);
	writes = rig_create(&rig, &key);
	rig_write(&rig, writes, 0, "hello");
	syncs = rig_existing(&rig, &key);
	ck_assert_int_eq(ft_store_sync(syncs), FT_OK);
	rig_write(&rig, writes, 5, "!");
	rig.ops->upload_close(&syncs);
	rig_expect(&rig, writes, 0, "hello!", 6);
	rig.ops->upload_close(&writes);
	rig_close(&rig);
}
END_TEST

/* Pairs of ids that a careless store would mix up. */
static const char *const awkward[][2] = {
	{ "..", "f" }, { ".", "f" }, { "", "f" }, { "c", ".." }, { "/etc/passwd", "f" },
	{ "../..", "../x" }, { "a/b", "c" }, { "a", "b/c" }, { "Cam1", "f" }, { "cam1", "f" },
	{ "\xc3\xbc", "f" }, { "u\xcc\x88", "f" }, { "%", "f" }, { "%25", "f" }, { "c", "%2E" },
	{ "c", "." }, { "x\xff", "f" }, { "a.", "f" }, { "a", "f" }, { "con", "f" },
	{ "c", "\xf0\x9f\x98\x80" }, { "c ", "f" }, { "f", "c" },
};

#define AWKWARD (sizeof awkward / sizeof *awkward)

START_TEST(test_store__never_mixes_up_two_ids)
{
	struct rig rig;
	char text[32];

	rig_open_any(&rig, _i);
	for (size_t i = 0; i < AWKWARD; i++) {
		struct ft_key key = rig_key(awkward[i][0], awkward[i][1]);

		ck_assert_int_eq(rig_try_existing(&rig, &key), FT_NO_SUCH_TRANSFER);
		snprintf(text, sizeof text, "bytes of %zu", i);
		rig_begin(&rig, &key, text);
	}
	for (size_t i = 0; i < AWKWARD; i++) {
		struct ft_key key = rig_key(awkward[i][0], awkward[i][1]);
		char id[16];

		snprintf(text, sizeof text, "bytes of %zu", i);
		snprintf(id, sizeof id, "id-%zu.", i);
		ck_assert_int_eq(rig_publish_upload(&rig, &key, "n", id, strlen(text)), FT_OK);
		rig_expect_finished(&rig, &key, "n", text);
	}
	ck_assert_uint_eq(rig_list(&rig, 0).count, AWKWARD);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__takes_ids_of_any_length)
{
	static char owner[65536], file[255];
	struct ft_key key = { owner, sizeof owner, file, sizeof file };
	struct ft_key other = { owner, sizeof owner - 1, file, sizeof file };
	struct rig rig;

	memset(owner, '/', sizeof owner);
	memset(file, 'f', sizeof file);
	rig_open_any(&rig, _i);
	rig_begin(&rig, &key, "hello");
	ck_assert_int_eq(rig_try_existing(&rig, &key), FT_OK);
	ck_assert_int_eq(rig_try_existing(&rig, &other), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(rig_publish_upload(&rig, &key, "n", "id", 5), FT_OK);
	rig_expect_finished(&rig, &key, "n", "hello");
	rig_close(&rig);
}
END_TEST

/* --- discard --- */

START_TEST(test_store__discarded_bytes_are_gone_at_once)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *former, *newer;
	struct rig rig;

	rig_open_any(&rig, _i);
	rig_begin(&rig, &key, "former");
	former = rig_existing(&rig, &key);
	ck_assert_int_eq(rig.ops->discard(former), FT_OK);
	ck_assert_int_eq(rig_try_existing(&rig, &key), FT_NO_SUCH_TRANSFER);
	newer = rig_create(&rig, &key);
	rig_write(&rig, newer, 0, "newer!");
	rig.ops->upload_close(&former);
	rig_expect(&rig, newer, 0, "newer!", 6);
	rig.ops->upload_close(&newer);
	ck_assert_int_eq(rig_try_existing(&rig, &key), FT_OK);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__discarding_again_is_no_mistake)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct rig rig;

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	ck_assert_int_eq(rig.ops->discard(upload), FT_OK);
	ck_assert_int_eq(rig.ops->discard(upload), FT_OK);
	rig.ops->upload_close(&upload);
	rig_close(&rig);
}
END_TEST

/* --- publish --- */

START_TEST(test_store__publishes_an_upload)
{
	struct ft_key key = rig_key("c", "f");
	struct rig rig;

	rig_open_any(&rig, _i);
	rig_begin(&rig, &key, "hello");
	ck_assert_int_eq(rig_publish_upload(&rig, &key, "n", "id-1.", 5), FT_OK);
	rig_expect_finished(&rig, &key, "n", "hello");
	ck_assert_int_eq(rig_try_existing(&rig, &key), FT_NO_SUCH_TRANSFER);
	ck_assert_str_eq(rig_list(&rig, 0).names, "n:5:{\"transfer_id\":\"id-1.\"}\n");
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__publishes_bytes_from_memory)
{
	struct ft_key key = rig_key("c", "f");
	struct rig rig;

	rig_open_any(&rig, _i);
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id", "hello"), FT_OK);
	rig_expect_finished(&rig, &key, "n", "hello");
	ck_assert_int_eq(rig_try_existing(&rig, &key), FT_NO_SUCH_TRANSFER);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__publishes_empty_files)
{
	struct ft_key key = rig_key("c", "f"), other = rig_key("c", "g");
	struct ft_upload *upload;
	struct rig rig;

	rig_open_any(&rig, _i);
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id-1.", ""), FT_OK);
	rig_expect_finished(&rig, &key, "n", "");
	upload = rig_create(&rig, &other);
	rig_write(&rig, upload, 0, "cut off");
	rig.ops->upload_close(&upload);
	ck_assert_int_eq(rig_publish_upload(&rig, &other, "n", "id-2.", 0), FT_OK);
	ck_assert_ptr_nonnull(strstr(rig_list(&rig, 0).names, "n:0:{\"transfer_id\":\"id-1.\"}\n"));
	ck_assert_ptr_nonnull(strstr(rig_list(&rig, 0).names, "n:0:{\"transfer_id\":\"id-2.\"}\n"));
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__cuts_off_bytes_beyond_the_size)
{
	struct ft_key key = rig_key("c", "f");
	struct rig rig;

	rig_open_any(&rig, _i);
	rig_begin(&rig, &key, "hello, world");
	ck_assert_int_eq(rig_publish_upload(&rig, &key, "n", "id", 5), FT_OK);
	rig_expect_finished(&rig, &key, "n", "hello");
	ck_assert_str_eq(rig_list(&rig, 0).names, "n:5:{\"transfer_id\":\"id\"}\n");
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__publishes_nothing_that_is_too_short)
{
	struct ft_key key = rig_key("c", "f");
	struct rig rig;

	rig_open_any(&rig, _i);
	rig_begin(&rig, &key, "hello");
	ck_assert_int_eq(rig_publish_upload(&rig, &key, "n", "id", 6), FT_IO_ERROR);
	ck_assert_int_eq(rig.ops->find(rig.store, &key, "n"), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(rig_publish_upload(&rig, &key, "n", "id", 5), FT_OK);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__publishing_again_is_a_success)
{
	struct ft_key key = rig_key("c", "f");
	struct rig rig;

	rig_open_any(&rig, _i);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id", "hello"), FT_OK);
	rig_expect_finished(&rig, &key, "n", "hello");
	ck_assert_uint_eq(rig_list(&rig, 0).count, 1);
	rig_close(&rig);
}
END_TEST

/* Its bytes were given away by a process that ended before it could say so. */
START_TEST(test_store__tells_without_bytes_whether_it_is_published)
{
	struct ft_key key = rig_key("c", "f"), other = rig_key("c", "g");
	struct ft_publication what;
	struct rig rig;

	rig_open_any(&rig, _i);
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id-1.", "hello"), FT_OK);
	for (int mode = FT_PUBLISH_KEEP; mode <= FT_PUBLISH_REPLACE; mode++) {
		what = rig_publication(&key, "n", "id-1.", NULL, NULL, 5);
		what.mode = (enum ft_publish_mode)mode;
		ck_assert_int_eq(rig_publish(&rig, &what), FT_OK);
		what = rig_publication(&key, "n", "id-2.", NULL, NULL, 5);
		what.mode = (enum ft_publish_mode)mode;
		ck_assert_int_eq(rig_publish(&rig, &what), FT_NO_SUCH_TRANSFER);
		what = rig_publication(&other, "n", "id-1.", NULL, NULL, 5);
		what.mode = (enum ft_publish_mode)mode;
		ck_assert_int_eq(rig_publish(&rig, &what), FT_NO_SUCH_TRANSFER);
	}
	rig_expect_finished(&rig, &key, "n", "hello");
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__publishes_nothing_where_it_is_asked_only)
{
	struct ft_key key = rig_key("c", "f"), empty = rig_key("c", "g");
	struct ft_publication what;
	struct rig rig;

	rig_open_any(&rig, _i);
	for (uint64_t size = 0; size <= 5; size += 5) {
		what = rig_publication(&key, "n", "id-1.", NULL, NULL, size);
		what.mode = FT_PUBLISH_ASK;
		ck_assert_int_eq(rig_publish(&rig, &what), FT_NO_SUCH_TRANSFER);
	}
	ck_assert_uint_eq(rig_list(&rig, 0).count, 0);
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id-1.", "hello"), FT_OK);
	ck_assert_int_eq(rig_publish_text(&rig, &empty, "n", "id-2.", ""), FT_OK);
	what = rig_publication(&key, "n", "id-1.", NULL, NULL, 5);
	what.mode = FT_PUBLISH_ASK;
	ck_assert_int_eq(rig_publish(&rig, &what), FT_OK);
	what = rig_publication(&empty, "n", "id-2.", NULL, NULL, 0);
	what.mode = FT_PUBLISH_ASK;
	ck_assert_int_eq(rig_publish(&rig, &what), FT_OK);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__keeps_what_is_finished)
{
	struct ft_key key = rig_key("c", "f");
	struct rig rig;

	rig_open_any(&rig, _i);
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id-1.", "former"), FT_OK);
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id-2.", "newer"), FT_ALREADY_COMPLETE);
	ck_assert_int_eq(rig_publish_text(&rig, &key, "m", "id-2.", "newer"), FT_ALREADY_COMPLETE);
	rig_expect_finished(&rig, &key, "n", "former");
	ck_assert_int_eq(rig.ops->find(rig.store, &key, "m"), FT_NO_SUCH_TRANSFER);
	rig_begin(&rig, &key, "upload");
	ck_assert_int_eq(rig_publish_upload(&rig, &key, "n", "id-3.", 6), FT_ALREADY_COMPLETE);
	rig_expect_finished(&rig, &key, "n", "former");
	/* And the unfinished bytes are as before. */
	ck_assert_int_eq(rig_try_existing(&rig, &key), FT_OK);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__replaces_a_file_of_the_same_name)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_publication what;
	struct rig rig;

	rig_open_any(&rig, _i);
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id-1.", "former"), FT_OK);
	ck_assert_int_eq(rig_replace_text(&rig, &key, "n", "id-2.", "from memory"), FT_OK);
	rig_expect_finished(&rig, &key, "n", "from memory");
	rig_begin(&rig, &key, "from an upload");
	what = rig_publication(&key, "n", "id-3.", NULL, rig_existing(&rig, &key), 14);
	what.mode = FT_PUBLISH_REPLACE;
	ck_assert_int_eq(rig_publish(&rig, &what), FT_OK);
	rig_expect_finished(&rig, &key, "n", "from an upload");
	ck_assert_str_eq(rig_list(&rig, 0).names, "n:14:{\"transfer_id\":\"id-3.\"}\n");
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__replaces_a_file_of_another_name)
{
	struct ft_key key = rig_key("c", "f");
	struct rig rig;

	rig_open_any(&rig, _i);
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id-1.", "former"), FT_OK);
	ck_assert_int_eq(rig_replace_text(&rig, &key, "m", "id-2.", "newer"), FT_OK);
	rig_expect_finished(&rig, &key, "m", "newer");
	ck_assert_int_eq(rig.ops->find(rig.store, &key, "n"), FT_NO_SUCH_TRANSFER);
	ck_assert_uint_eq(rig_list(&rig, 0).count, 1);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__replaces_nothing_where_there_is_nothing)
{
	struct ft_key key = rig_key("c", "f");
	struct rig rig;

	rig_open_any(&rig, _i);
	ck_assert_int_eq(rig_replace_text(&rig, &key, "n", "id", "first"), FT_OK);
	rig_expect_finished(&rig, &key, "n", "first");
	rig_close(&rig);
}
END_TEST

/* Ten at once: from memory, from uploads, one too short, one that is finished otherwise. */
START_TEST(test_store__each_of_many_has_its_own_result)
{
	static const enum ft_status expected[10] = { [3] = FT_IO_ERROR, [6] = FT_ALREADY_COMPLETE };
	struct ft_publication what[10];
	char file[10][4], id[10][8];
	struct ft_key key[10];
	struct rig rig;

	rig_open_any(&rig, _i);
	for (int i = 0; i < 10; i++) {
		snprintf(file[i], sizeof file[i], "f%d", i);
		snprintf(id[i], sizeof id[i], "id-%d.", i);
		key[i] = rig_key(i % 3 ? "c" : "d", file[i]);
		if (i % 2) {
			rig_begin(&rig, &key[i], "hello");
			what[i] = rig_publication(&key[i], "n", id[i], NULL,
						  rig_existing(&rig, &key[i]), i == 3 ? 6 : 5);
		} else {
			what[i] = rig_publication(&key[i], "n", id[i], "hello", NULL, 5);
		}
	}
	ck_assert_int_eq(rig_publish_text(&rig, &key[6], "n", "id-x.", "former"), FT_OK);
	rig.ops->publish(rig.store, what, 10);
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(what[i].status, expected[i]);
		ck_assert_ptr_null(what[i].upload);
		ck_assert(!what[i].bytes_lost);
		if (expected[i] == FT_OK)
			rig_expect_finished(&rig, &key[i], "n", "hello");
	}
	rig_expect_finished(&rig, &key[6], "n", "former");
	ck_assert_int_eq(rig.ops->find(rig.store, &key[3], "n"), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(rig_try_existing(&rig, &key[3]), FT_OK);
	rig_close(&rig);
}
END_TEST

/* --- finished files --- */

START_TEST(test_store__reads_a_part_of_a_finished_file)
{
	struct ft_key key = rig_key("c", "f");
	struct rig rig;
	char got[3];

	rig_open_any(&rig, _i);
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id", "hello"), FT_OK);
	ck_assert_int_eq(rig.ops->read_finished(rig.store, &key, "n", 2, got, 3), FT_OK);
	ck_assert(memcmp(got, "llo", 3) == 0);
	ck_assert_int_eq(rig.ops->read_finished(rig.store, &key, "n", 3, got, 3), FT_IO_ERROR);
	ck_assert_int_eq(rig.ops->read_finished(rig.store, &key, "m", 0, got, 3),
			 FT_NO_SUCH_TRANSFER);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__removes_a_finished_file)
{
	struct ft_key key = rig_key("c", "f");
	struct rig rig;

	rig_open_any(&rig, _i);
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id", "hello"), FT_OK);
	ck_assert_int_eq(rig_remove(&rig, &key, "m"), FT_OK);
	rig_expect_finished(&rig, &key, "n", "hello");
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(rig_remove(&rig, &key, "n"), FT_OK);
		ck_assert_int_eq(rig.ops->find(rig.store, &key, "n"), FT_NO_SUCH_TRANSFER);
		ck_assert_uint_eq(rig_list(&rig, 0).count, 0);
	}
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id-2.", "again"), FT_OK);
	rig_expect_finished(&rig, &key, "n", "again");
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__a_finished_file_is_none_of_an_upload)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct rig rig;

	rig_open_any(&rig, _i);
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id", "former"), FT_OK);
	upload = rig_create(&rig, &key);
	rig_write(&rig, upload, 0, "newer!");
	rig_expect_finished(&rig, &key, "n", "former");
	ck_assert_int_eq(rig.ops->discard(upload), FT_OK);
	rig.ops->upload_close(&upload);
	rig_expect_finished(&rig, &key, "n", "former");
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__the_visitor_ends_the_list)
{
	struct rig rig;
	char owner[8];

	rig_open_any(&rig, _i);
	for (int i = 0; i < 5; i++) {
		struct ft_key key = rig_key(owner, "f");

		snprintf(owner, sizeof owner, "c%d", i);
		key.owner_len = strlen(owner);
		ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id", "x"), FT_OK);
	}
	ck_assert_uint_eq(rig_list(&rig, 0).count, 5);
	ck_assert_uint_eq(rig_list(&rig, 2).count, 2);
	rig_close(&rig);
}
END_TEST

/* --- the rest --- */

static bool knows_nothing(void *context, const char *owner_name, const char *file_name)
{
	(void)context;
	(void)owner_name;
	(void)file_name;
	return false;
}

START_TEST(test_store__optional_operations_have_defaults)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct ft_space space;
	struct rig rig;

	rig_open_any(&rig, _i);
	ck_assert_int_eq(ft_store_sweep(rig.store, knows_nothing, NULL), FT_OK);
	ck_assert_int_eq(ft_store_space(rig.store, &space), FT_OK);
	ck_assert_uint_gt(space.bytes, 0);
	ck_assert_uint_gt(space.files, 0);
	ck_assert_int_eq(ft_store_check_name(rig.store, "photo.jpg"), FT_OK);
	upload = rig_create(&rig, &key);
	ck_assert_int_eq(ft_store_sync(upload), FT_OK);
	rig.ops->upload_close(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__backends_have_all_that_is_required)
{
	const struct ft_store_ops *ops = ft_store_backend(rig_backend(_i));

	ck_assert_ptr_eq(ft_store_backend(ops->name), ops);
	ck_assert(ops->open && ops->close && ops->upload_open && ops->upload_close && ops->write
		  && ops->read && ops->discard && ops->publish && ops->find && ops->read_finished
		  && ops->remove_finished && ops->list_finished);
	ck_assert_ptr_null(ft_store_backend("floppy"));
}
END_TEST

RIG_SUITE_OF_ALL_BACKENDS("store",
	test_store__knows_nothing_of_a_key_at_first,
	test_store__reads_what_was_written,
	test_store__create_continues_what_is_there,
	test_store__does_not_read_behind_the_end,
	test_store__takes_a_byte_far_out,
	test_store__closing_nothing_is_no_mistake,
	test_store__the_last_write_of_a_byte_wins,
	test_store__another_handle_may_sync_while_one_writes,
	test_store__never_mixes_up_two_ids,
	test_store__takes_ids_of_any_length,
	test_store__discarded_bytes_are_gone_at_once,
	test_store__discarding_again_is_no_mistake,
	test_store__publishes_an_upload,
	test_store__publishes_bytes_from_memory,
	test_store__publishes_empty_files,
	test_store__cuts_off_bytes_beyond_the_size,
	test_store__publishes_nothing_that_is_too_short,
	test_store__publishing_again_is_a_success,
	test_store__tells_without_bytes_whether_it_is_published,
		  test_store__publishes_nothing_where_it_is_asked_only,
	test_store__keeps_what_is_finished,
	test_store__replaces_a_file_of_the_same_name,
	test_store__replaces_a_file_of_another_name,
	test_store__replaces_nothing_where_there_is_nothing,
	test_store__each_of_many_has_its_own_result,
	test_store__reads_a_part_of_a_finished_file,
	test_store__removes_a_finished_file,
	test_store__a_finished_file_is_none_of_an_upload,
	test_store__the_visitor_ends_the_list,
	test_store__optional_operations_have_defaults,
	test_store__backends_have_all_that_is_required);
