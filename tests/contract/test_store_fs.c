/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What SPEC's layout promises of the fs backend, and what others do to its files. */
#include <pthread.h>

#include "store_rig.h"

/* --- the layout --- */

static void expect_mode(const char *path, unsigned mode)
{
	struct stat info;

	ck_assert_msg(lstat(path, &info) == 0, "%s: %s", path, strerror(errno));
	ck_assert_msg((info.st_mode & 07777) == mode, "%s has mode %o", path, info.st_mode & 07777);
}

START_TEST(test_store_fs__lays_files_out_as_documented)
{
	struct ft_key key = rig_key("cam/1", ".f");
	struct rig rig;

	rig_open_fs(&rig);
	rig_begin(&rig, &key, "hello");
	rig_expect_file(rig_path(&rig, "incoming/cam%%2F1/%%2Ef"), "hello");
	ck_assert_int_eq(rig_publish_upload(&rig, &key, "n.txt", "id-1.", 5), FT_OK);
	rig_expect_file(rig_path(&rig, "files/cam%%2F1/%%2Ef/n.txt"), "hello");
	rig_expect_file(rig_path(&rig, "files/cam%%2F1/%%2Ef/n.txt.manifest.json"),
			"{\"transfer_id\":\"id-1.\"}");
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "files/cam%%2F1/%%2Ef")), 2);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "incoming")), 0);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "tmp")), 0);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "files")), 1);
	rig_expect_file(rig_path(&rig, "format"), "2\n");
	ck_assert_uint_eq(rig.log_lines, 0);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store_fs__modes_do_not_depend_on_the_umask)
{
	static const mode_t masks[] = { 0, 022, 077, 0777 };
	struct ft_key key = rig_key("c", "f"), other = rig_key("d", "g");
	struct rig rig;
	mode_t before;

	for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
		before = umask(masks[i]);
		rig_prepare(&rig, "fs", FT_DURABILITY_NONE);
		rig_start(&rig);
		rig_begin(&rig, &key, "hello");
		expect_mode(rig_path(&rig, "incoming"), 0750);
		expect_mode(rig_path(&rig, "incoming/c"), 0750);
		expect_mode(rig_path(&rig, "incoming/c/f"), 0640);
		ck_assert_int_eq(rig_publish_upload(&rig, &key, "n", "id", 5), FT_OK);
		ck_assert_int_eq(rig_publish_text(&rig, &other, "n", "id", "x"), FT_OK);
		for (int o = 0; o < 2; o++) {
			const char *at = o ? "files/d/g" : "files/c/f";

			expect_mode(rig_path(&rig, "%s", at), 0750);
			expect_mode(rig_path(&rig, "%s/n", at), 0640);
			expect_mode(rig_path(&rig, "%s/n.manifest.json", at), 0640);
		}
		expect_mode(rig_path(&rig, "files/c"), 0750);
		rig_close(&rig);
		umask(before);
	}
}
END_TEST

START_TEST(test_store_fs__renames_an_upload_and_never_copies_it)
{
	struct ft_key key = rig_key("c", "f");
	struct stat before, after;
	struct rig rig;

	rig_open_fs(&rig);
	rig_begin(&rig, &key, "hello");
	ck_assert_int_eq(stat(rig_path(&rig, "incoming/c/f"), &before), 0);
	ck_assert_int_eq(rig_publish_upload(&rig, &key, "n", "id", 5), FT_OK);
	ck_assert_int_eq(stat(rig_path(&rig, "files/c/f/n"), &after), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store_fs__survives_a_restart)
{
	struct ft_key key = rig_key("c", "f"), done = rig_key("c", "g");
	struct ft_upload *upload;
	struct rig rig;

	rig_open_fs(&rig);
	rig_begin(&rig, &key, "hello");
	ck_assert_int_eq(rig_publish_text(&rig, &done, "n", "id", "done"), FT_OK);
	rig_restart(&rig);
	upload = rig_existing(&rig, &key);
	rig_expect(&rig, upload, 0, "hello", 5);
	rig.ops->upload_close(&upload);
	rig_expect_finished(&rig, &done, "n", "done");
	rig_close(&rig);
}
END_TEST

/* --- the format --- */

START_TEST(test_store_fs__refuses_a_newer_format)
{
	static const char *const texts[] = { "3\n", "99\n", "1\n", "2 beta\n", "abc\n", "2" };
	struct rig rig;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		rig_open_fs(&rig);
		rig_stop(&rig);
		rig_write_file(rig_path(&rig, "format"), texts[i]);
		ck_assert_int_eq(rig_try_start(&rig), FT_IO_ERROR);
		ck_assert_ptr_null(rig.store);
		ck_assert(rig_said(&rig, "format") && rig_said(&rig, "version"));
		ck_assert_uint_eq(rig.log_lines, 1);
		rig_expect_file(rig_path(&rig, "format"), texts[i]);
		rig_close(&rig);
	}
}
END_TEST

START_TEST(test_store_fs__writes_an_empty_format_again)
{
	struct rig rig;

	rig_open_fs(&rig);
	rig_stop(&rig);
	rig_write_file(rig_path(&rig, "format"), "");
	rig_start(&rig);
	rig_expect_file(rig_path(&rig, "format"), "2\n");
	rig_close(&rig);
}
END_TEST

/* --- directories that somebody removes --- */

START_TEST(test_store_fs__makes_directories_again)
{
	static const char *const gone[] = { "incoming", "files", "tmp", "damaged" };
	struct ft_key key = rig_key("c", "f"), other = rig_key("c", "g");
	struct ft_upload *upload;
	struct rig rig;

	rig_open_fs(&rig);
	for (size_t round = 0; round < sizeof gone / sizeof *gone + 1; round++) {
		for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
			if (round == i || round == sizeof gone / sizeof *gone)
				tree_remove(rig_path(&rig, "%s", gone[i]));
		upload = rig_create(&rig, &key);
		rig_write(&rig, upload, 0, "hello");
		rig.ops->upload_close(&upload);
		ck_assert_int_eq(rig_publish_text(&rig, &other, "n", "id-1.", "x"), FT_OK);
		rig_expect_finished(&rig, &other, "n", "x");
		tree_remove(rig_path(&rig, "files/c/f"));
		ck_assert_int_eq(rig_publish_upload(&rig, &key, "n", "id-2.", 5), FT_OK);
		rig_expect_finished(&rig, &key, "n", "hello");
		ck_assert_int_eq(rig_remove(&rig, &key, "n"), FT_OK);
		ck_assert_int_eq(rig_remove(&rig, &other, "n"), FT_OK);
	}
	ck_assert(rig_said(&rig, "was removed and has been made again"));
	rig_close(&rig);
}
END_TEST

START_TEST(test_store_fs__writes_to_a_new_upload_whose_directories_are_gone)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct rig rig;

	rig_open_fs(&rig);
	upload = rig_create(&rig, &key);
	tree_remove(rig_path(&rig, "incoming"));
	rig_write(&rig, upload, 0, "hello");
	rig.ops->upload_close(&upload);
	ck_assert_int_eq(rig_publish_upload(&rig, &key, "n", "id", 5), FT_OK);
	rig_expect_finished(&rig, &key, "n", "hello");
	rig_close(&rig);
}
END_TEST

START_TEST(test_store_fs__says_that_removed_bytes_are_gone)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_publication what;
	struct ft_upload *upload;
	struct rig rig;

	rig_open_fs(&rig);
	upload = rig_create(&rig, &key);
	rig_write(&rig, upload, 0, "hello");
	tree_remove(rig_path(&rig, "incoming"));
	ck_assert_int_eq(rig.ops->write(upload, 5, "!", 1), FT_NO_SUCH_TRANSFER);
	what = rig_publication(&key, "n", "id", NULL, upload, 5);
	ck_assert_int_eq(rig_publish(&rig, &what), FT_NO_SUCH_TRANSFER);
	ck_assert(rig_said(&rig, "removed by somebody"));
	ck_assert_int_eq(rig.ops->find(rig.store, &key, "n"), FT_NO_SUCH_TRANSFER);
	/* And the client may begin again. */
	rig_begin(&rig, &key, "hello");
	ck_assert_int_eq(rig_publish_upload(&rig, &key, "n", "id", 5), FT_OK);
	rig_close(&rig);
}
END_TEST

/* Without storage_dir nothing is known of any transfer. */
START_TEST(test_store_fs__never_takes_a_lost_storage_dir_for_lost_transfers)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload = NULL;
	struct rig rig;

	rig_open_fs(&rig);
	rig_begin(&rig, &key, "hello");
	tree_remove(rig.dir);
	ck_assert_int_eq(rig_try_existing(&rig, &key), FT_IO_ERROR);
	ck_assert_int_eq(rig.ops->upload_open(rig.store, &key, FT_UPLOAD_CREATE, &upload),
			 FT_IO_ERROR);
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id", "x"), FT_IO_ERROR);
	ck_assert(rig_said(&rig, "storage_dir was removed"));
	rig_close(&rig);
}
END_TEST

/* A consumer's "find -empty -delete", all the time. */
static void *remove_empty(void *context)
{
	struct rig *rig = context;
	char path[512];

	while (rig->ops) {
		snprintf(path, sizeof path, "%s/files/c", rig->dir);
		rmdir(path);
		snprintf(path, sizeof path, "%s/files", rig->dir);
		rmdir(path);
		snprintf(path, sizeof path, "%s/incoming/c", rig->dir);
		rmdir(path);
		snprintf(path, sizeof path, "%s/incoming", rig->dir);
		rmdir(path);
		snprintf(path, sizeof path, "%s/tmp", rig->dir);
		rmdir(path);
	}
	return NULL;
}

START_TEST(test_store_fs__works_while_empty_directories_are_removed)
{
	struct ft_key key = rig_key("c", "f");
	struct rig rig, remover;
	pthread_t thread;
	char id[16];

	rig_prepare(&rig, "fs", FT_DURABILITY_NONE);
	rig_start(&rig);
	remover = rig;
	ck_assert_int_eq(pthread_create(&thread, NULL, remove_empty, &remover), 0);
	for (int i = 0; i < 300; i++) {
		snprintf(id, sizeof id, "id-%d.", i);
		if (i % 2) {
			rig_begin(&rig, &key, "hello");
			ck_assert_int_eq(rig_publish_upload(&rig, &key, "n", id, 5), FT_OK);
		} else {
			ck_assert_int_eq(rig_publish_text(&rig, &key, "n", id, "hello"), FT_OK);
		}
		rig_expect_finished(&rig, &key, "n", "hello");
		ck_assert_int_eq(rig_remove(&rig, &key, "n"), FT_OK);
	}
	remover.ops = NULL;
	pthread_join(thread, NULL);
	rig_close(&rig);
}
END_TEST

/* --- what consumers leave --- */

START_TEST(test_store_fs__publishes_beside_a_consumers_things)
{
	struct ft_key key = rig_key("c", "f"), other = rig_key("c", "g");
	struct rig rig;

	rig_open_fs(&rig);
	for (int i = 0; i < 2; i++) {
		const char *file = i ? "g" : "f";

		ck_assert_int_eq(mkdir(rig_path(&rig, "files/c"), 0755) == 0 || errno == EEXIST, 1);
		ck_assert_int_eq(mkdir(rig_path(&rig, "files/c/%s", file), 0755), 0);
		rig_write_file(rig_path(&rig, "files/c/%s/seen", file), "mine");
		rig_write_file(rig_path(&rig, "files/c/%s/n.manifest.json", file), "{\"trans");
		rig_write_file(rig_path(&rig, "files/c/%s/m.manifest.json", file), "");
		ck_assert_int_eq(symlink("/nowhere", rig_path(&rig, "files/c/%s/l.manifest.json", file)), 0);
		ck_assert_int_eq(mkdir(rig_path(&rig, "files/c/%s/dir", file), 0755), 0);
	}
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id-1.", "hello"), FT_OK);
	rig_begin(&rig, &other, "hello");
	ck_assert_int_eq(rig_publish_upload(&rig, &other, "n", "id-2.", 5), FT_OK);
	for (int i = 0; i < 2; i++) {
		const char *file = i ? "g" : "f";

		rig_expect_finished(&rig, i ? &other : &key, "n", "hello");
		rig_expect_file(rig_path(&rig, "files/c/%s/seen", file), "mine");
		rig_expect_file(rig_path(&rig, "files/c/%s/n.manifest.json", file),
				i ? "{\"transfer_id\":\"id-2.\"}" : "{\"transfer_id\":\"id-1.\"}");
		ck_assert(rig_exists(rig_path(&rig, "files/c/%s/dir", file)));
	}
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "tmp")), 0);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "damaged")), 0);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store_fs__replacing_leaves_a_consumers_things)
{
	struct ft_key key = rig_key("c", "f");
	struct rig rig;

	rig_open_fs(&rig);
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id-1.", "former"), FT_OK);
	rig_write_file(rig_path(&rig, "files/c/f/n.seen"), "mine");
	rig_write_file(rig_path(&rig, "files/c/f/x.manifest.json"), "alone");
	ck_assert_int_eq(rig_replace_text(&rig, &key, "m", "id-2.", "newer"), FT_OK);
	rig_expect_finished(&rig, &key, "m", "newer");
	rig_expect_file(rig_path(&rig, "files/c/f/n.seen"), "mine");
	rig_expect_file(rig_path(&rig, "files/c/f/x.manifest.json"), "alone");
	ck_assert(!rig_exists(rig_path(&rig, "files/c/f/n")));
	ck_assert(!rig_exists(rig_path(&rig, "files/c/f/n.manifest.json")));
	rig_close(&rig);
}
END_TEST

START_TEST(test_store_fs__foreign_things_in_the_way_are_put_aside)
{
	struct ft_key key = rig_key("c", "f"), other = rig_key("c", "g"), third = rig_key("c", "h");
	struct rig rig;

	rig_open_fs(&rig);
	/* A file where our directory belongs. */
	ck_assert_int_eq(mkdir(rig_path(&rig, "files/c"), 0755), 0);
	rig_write_file(rig_path(&rig, "files/c/f"), "foreign");
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id-1.", "hello"), FT_OK);
	rig_expect_finished(&rig, &key, "n", "hello");
	/* A directory where our manifest belongs. */
	ck_assert_int_eq(mkdir(rig_path(&rig, "files/c/g"), 0755), 0);
	ck_assert_int_eq(mkdir(rig_path(&rig, "files/c/g/n.manifest.json"), 0755), 0);
	rig_write_file(rig_path(&rig, "files/c/g/n.manifest.json/x"), "x");
	ck_assert_int_eq(rig_publish_text(&rig, &other, "n", "id-2.", "hello"), FT_OK);
	rig_expect_finished(&rig, &other, "n", "hello");
	/* A link where our directory belongs. */
	ck_assert_int_eq(symlink("/tmp", rig_path(&rig, "files/c/h")), 0);
	ck_assert_int_eq(rig_publish_text(&rig, &third, "n", "id-3.", "hello"), FT_OK);
	rig_expect_finished(&rig, &third, "n", "hello");
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "damaged")), 3);
	ck_assert_uint_eq(rig.log_lines, 3);
	rig_close(&rig);
}
END_TEST

/* A file of a consumer under the very name is not overwritten, unless it is to be replaced. */
START_TEST(test_store_fs__overwrites_no_file_that_is_not_its_own)
{
	struct ft_key key = rig_key("c", "f");
	struct rig rig;

	rig_open_fs(&rig);
	ck_assert_int_eq(mkdir(rig_path(&rig, "files/c"), 0755), 0);
	ck_assert_int_eq(mkdir(rig_path(&rig, "files/c/f"), 0755), 0);
	rig_write_file(rig_path(&rig, "files/c/f/n"), "a consumer's");
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id", "hello"), FT_ALREADY_COMPLETE);
	rig_expect_file(rig_path(&rig, "files/c/f/n"), "a consumer's");
	ck_assert_int_eq(rig_replace_text(&rig, &key, "n", "id", "hello"), FT_OK);
	rig_expect_finished(&rig, &key, "n", "hello");
	rig_close(&rig);
}
END_TEST

START_TEST(test_store_fs__finds_what_consumers_left_of_a_file)
{
	struct ft_key key = rig_key("c", "f");
	struct rig rig;
	char byte;

	rig_open_fs(&rig);
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id", "hello"), FT_OK);
	ck_assert_int_eq(unlink(rig_path(&rig, "files/c/f/n.manifest.json")), 0);
	rig_expect_finished(&rig, &key, "n", "hello");
	ck_assert_int_eq(unlink(rig_path(&rig, "files/c/f/n")), 0);
	ck_assert_int_eq(rig.ops->find(rig.store, &key, "n"), FT_NO_SUCH_TRANSFER);
	rig_write_file(rig_path(&rig, "files/c/f/n.manifest.json"), "{}");
	ck_assert_int_eq(rig.ops->find(rig.store, &key, "n"), FT_OK);
	ck_assert_int_eq(rig.ops->read_finished(rig.store, &key, "n", 0, &byte, 1),
			 FT_NO_SUCH_TRANSFER);
	/* A FIFO or a link under the name is no file of ours, and nobody waits for it. */
	ck_assert_int_eq(mkfifo(rig_path(&rig, "files/c/f/n"), 0644), 0);
	ck_assert_int_eq(rig.ops->read_finished(rig.store, &key, "n", 0, &byte, 1),
			 FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(unlink(rig_path(&rig, "files/c/f/n")), 0);
	ck_assert_int_eq(symlink("/etc/passwd", rig_path(&rig, "files/c/f/n")), 0);
	ck_assert_int_eq(rig.ops->read_finished(rig.store, &key, "n", 0, &byte, 1),
			 FT_NO_SUCH_TRANSFER);
	ck_assert_uint_eq(rig.log_lines, 0);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store_fs__publishing_again_after_a_consumer_took_it_delivers_it_again)
{
	struct ft_key key = rig_key("c", "f");
	struct rig rig;

	rig_open_fs(&rig);
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id", "hello"), FT_OK);
	ck_assert_int_eq(unlink(rig_path(&rig, "files/c/f/n")), 0);
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id", "hello"), FT_OK);
	rig_expect_finished(&rig, &key, "n", "hello");
	rig_close(&rig);
}
END_TEST

START_TEST(test_store_fs__removes_what_is_left_and_leaves_what_is_not_its_own)
{
	struct ft_key key = rig_key("c", "f");
	struct rig rig;

	rig_open_fs(&rig);
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id", "hello"), FT_OK);
	rig_write_file(rig_path(&rig, "files/c/f/seen"), "mine");
	ck_assert_int_eq(rig_remove(&rig, &key, "n"), FT_OK);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "files/c/f")), 1);
	ck_assert_int_eq(unlink(rig_path(&rig, "files/c/f/seen")), 0);
	ck_assert_int_eq(mkdir(rig_path(&rig, "files/c/f/n"), 0755), 0);
	ck_assert_int_eq(rig_remove(&rig, &key, "n"), FT_OK);
	ck_assert(rig_exists(rig_path(&rig, "files/c/f/n")));
	ck_assert_int_eq(rmdir(rig_path(&rig, "files/c/f/n")), 0);
	ck_assert_int_eq(rig_remove(&rig, &key, "n"), FT_OK);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "files")), 0);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store_fs__lists_finished_files_among_anything)
{
	struct ft_key key = rig_key("c", "f");
	struct rig_list list;
	struct rig rig;
	char name[256];

	rig_open_fs(&rig);
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id", "hello"), FT_OK);
	memset(name, 'x', 255);
	name[255] = '\0';
	rig_write_file(rig_path(&rig, "files/c/f/%s", name), "long");
	rig_write_file(rig_path(&rig, "files/c/f/alone"), "a file alone");
	rig_write_file(rig_path(&rig, "files/c/f/.manifest.json"), "of no file");
	rig_write_file(rig_path(&rig, "files/c/f/taken.manifest.json"), "{\"half");
	rig_write_file(rig_path(&rig, "files/c/f/empty.manifest.json"), "");
	ck_assert_int_eq(symlink("n.manifest.json", rig_path(&rig, "files/c/f/l.manifest.json")), 0);
	ck_assert_int_eq(mkdir(rig_path(&rig, "files/c/f/d.manifest.json"), 0755), 0);
	ck_assert_int_eq(mkfifo(rig_path(&rig, "files/c/f/p.manifest.json"), 0644), 0);
	ck_assert_int_eq(mkdir(rig_path(&rig, "files/c/%s", name), 0755), 0);
	ck_assert_int_eq(mkdir(rig_path(&rig, "files/%s", name), 0755), 0);
	ck_assert_int_eq(mkdir(rig_path(&rig, "files/%s/%s", name, name), 0755), 0);
	rig_write_file(rig_path(&rig, "files/%s/%s/%.240s.manifest.json", name, name, name), "{}");
	rig_write_file(rig_path(&rig, "files/%s/%s/%.240s", name, name, name), "12");
	rig_write_file(rig_path(&rig, "files/README"), "of the operator");
	ck_assert_int_eq(symlink("/", rig_path(&rig, "files/loop")), 0);
	list = rig_list(&rig, 0);
	ck_assert_uint_eq(list.count, 3);
	ck_assert_ptr_nonnull(strstr(list.names, "n:5:{\"transfer_id\":\"id\"}\n"));
	ck_assert_ptr_nonnull(strstr(list.names, "taken:-1:{\"half\n"));
	ck_assert_ptr_nonnull(strstr(list.names, "xxx:2:{}\n"));
	ck_assert_uint_le(rig.log_lines, 6);
	rig_close(&rig);
}
END_TEST

/* Where a consumer may write to files/, a link leads nowhere else. */
START_TEST(test_store_fs__follows_no_link_in_place_of_a_client)
{
	static const char *const tops[] = { "incoming", "files", "tmp" };
	struct ft_key key = rig_key("c", "f"), other = rig_key("c", "g");
	struct ft_upload *upload = NULL;
	struct rig rig;
	char byte;

	rig_open_fs(&rig);
	ck_assert_int_eq(mkdir(rig_path(&rig, "elsewhere"), 0755), 0);
	ck_assert_int_eq(mkdir(rig_path(&rig, "elsewhere/f"), 0755), 0);
	rig_write_file(rig_path(&rig, "elsewhere/f/n"), "x");
	rig_write_file(rig_path(&rig, "elsewhere/f/n.manifest.json"), "{}");
	for (size_t i = 0; i < sizeof tops / sizeof *tops; i++)
		ck_assert_int_eq(symlink("../elsewhere", rig_path(&rig, "%s/c", tops[i])), 0);
	ck_assert_int_eq(rig_try_existing(&rig, &key), FT_IO_ERROR);
	ck_assert_int_eq(rig.ops->upload_open(rig.store, &key, FT_UPLOAD_CREATE, &upload), FT_IO_ERROR);
	ck_assert_int_eq(rig_publish_text(&rig, &key, "m", "id", "y"), FT_IO_ERROR);
	ck_assert_int_eq(rig_publish_text(&rig, &other, "m", "id", "y"), FT_IO_ERROR);
	ck_assert_int_eq(rig.ops->find(rig.store, &key, "n"), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(rig.ops->read_finished(rig.store, &key, "n", 0, &byte, 1),
			 FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(rig_remove(&rig, &key, "n"), FT_OK);
	ck_assert_uint_eq(rig_list(&rig, 0).count, 0);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "elsewhere")), 1);
	rig_expect_file(rig_path(&rig, "elsewhere/f/n"), "x");
	rig_close(&rig);
}
END_TEST

/* --- sweep --- */

static bool knows_c(void *context, const char *owner_name, const char *file_name)
{
	(void)context;
	return strcmp(owner_name, "c") == 0 && strcmp(file_name, "f") == 0;
}

static void make_former_transfer(struct rig *rig, const char *client, const char *file)
{
	ck_assert(mkdir(rig_path(rig, "incoming/%s", client), 0750) == 0 || errno == EEXIST);
	ck_assert_int_eq(mkdir(rig_path(rig, "incoming/%s/%s", client, file), 0750), 0);
	rig_write_file(rig_path(rig, "incoming/%s/%s/data", client, file), "bytes");
	rig_write_file(rig_path(rig, "incoming/%s/%s/journal", client, file), "ranges");
	rig_write_file(rig_path(rig, "incoming/%s/%s/manifest.json", client, file), "{}");
}

START_TEST(test_store_fs__sweep_keeps_what_is_known)
{
	struct ft_key known = rig_key("c", "f"), unknown = rig_key("c", "g"),
		      other = rig_key("d", "f");
	struct rig rig;

	rig_open_fs(&rig);
	rig_begin(&rig, &known, "hello");
	rig_begin(&rig, &unknown, "hello");
	rig_begin(&rig, &other, "hello");
	rig_restart(&rig);
	ck_assert_int_eq(ft_store_sweep(rig.store, knows_c, NULL), FT_OK);
	ck_assert_int_eq(rig_try_existing(&rig, &known), FT_OK);
	ck_assert_int_eq(rig_try_existing(&rig, &unknown), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(rig_try_existing(&rig, &other), FT_NO_SUCH_TRANSFER);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "damaged")), 2);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "incoming")), 1);
	ck_assert_uint_eq(rig.log_lines, 2);
	ck_assert(rig_said(&rig, "incoming/c/g is now damaged/"));
	rig_close(&rig);
}
END_TEST

START_TEST(test_store_fs__sweep_sets_the_former_format_aside)
{
	struct ft_key finished = rig_key("c", "done"), known = rig_key("c", "f");
	struct rig rig;

	rig_open_fs(&rig);
	ck_assert_int_eq(unlink(rig_path(&rig, "format")), 0);
	ck_assert_int_eq(rig_publish_text(&rig, &finished, "n", "id", "hello"), FT_OK);
	make_former_transfer(&rig, "c", "f");
	make_former_transfer(&rig, "c", "g");
	make_former_transfer(&rig, "d", "f");
	rig_write_file(rig_path(&rig, "incoming/x"), "?");
	ck_assert_int_eq(mkdir(rig_path(&rig, "trash"), 0750), 0);
	ck_assert_int_eq(mkdir(rig_path(&rig, "trash/uuid"), 0750), 0);
	rig_write_file(rig_path(&rig, "trash/uuid/data"), "bytes");
	rig_restart(&rig);
	rig_forget_log(&rig);
	ck_assert_int_eq(ft_store_sweep(rig.store, knows_c, NULL), FT_OK);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "damaged")), 4);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "incoming")), 0);
	ck_assert(!rig_exists(rig_path(&rig, "trash")));
	ck_assert_uint_eq(rig.log_lines, 4);
	ck_assert(rig_said(&rig, "incoming/d/f is now damaged/"));
	rig_expect_finished(&rig, &finished, "n", "hello");
	rig_begin(&rig, &known, "hello");
	rig_close(&rig);
}
END_TEST

START_TEST(test_store_fs__a_former_transfer_is_not_in_the_way)
{
	struct ft_key key = rig_key("c", "f"), other = rig_key("c", "g");
	struct rig rig;

	rig_open_fs(&rig);
	make_former_transfer(&rig, "c", "f");
	ck_assert_int_eq(symlink("/etc/passwd", rig_path(&rig, "incoming/c/g")), 0);
	ck_assert_int_eq(rig_try_existing(&rig, &key), FT_NO_SUCH_TRANSFER);
	rig_begin(&rig, &key, "hello");
	rig_begin(&rig, &other, "hello");
	rig_expect_file(rig_path(&rig, "incoming/c/f"), "hello");
	rig_expect_file(rig_path(&rig, "incoming/c/g"), "hello");
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "damaged")), 2);
	ck_assert_uint_eq(rig.log_lines, 2);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store_fs__sweep_clears_tmp)
{
	struct rig rig;

	rig_open_fs(&rig);
	ck_assert_int_eq(mkdir(rig_path(&rig, "tmp/.00000000-1"), 0750), 0);
	rig_write_file(rig_path(&rig, "tmp/.00000000-1/n"), "bytes");
	rig_write_file(rig_path(&rig, "tmp/.00000000-1/n.manifest.json"), "{}");
	rig_write_file(rig_path(&rig, "tmp/.00000000-2"), "discarded");
	rig_write_file(rig_path(&rig, "tmp/x"), "?");
	ck_assert_int_eq(ft_store_sweep(rig.store, knows_c, NULL), FT_OK);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "tmp")), 0);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "damaged")), 1);
	rig_close(&rig);
}
END_TEST

/* As a crash leaves it between collecting the bytes and placing the directory. */
static void leave_half_published(struct rig *rig, const char *client)
{
	ck_assert_int_eq(mkdir(rig_path(rig, "tmp/%s", client), 0750), 0);
	ck_assert_int_eq(mkdir(rig_path(rig, "tmp/%s/f", client), 0750), 0);
	rig_write_file(rig_path(rig, "tmp/%s/f/n.manifest.json", client), "{}");
	ck_assert_int_eq(rename(rig_path(rig, "incoming/%s/f", client),
				rig_path(rig, "tmp/%s/f/n", client)), 0);
}

START_TEST(test_store_fs__takes_back_what_was_half_published)
{
	struct ft_key known = rig_key("c", "f"), unknown = rig_key("d", "f");
	struct ft_upload *upload;
	struct rig rig;

	rig_open_fs(&rig);
	rig_begin(&rig, &known, "hello");
	rig_begin(&rig, &unknown, "hello");
	leave_half_published(&rig, "c");
	leave_half_published(&rig, "d");
	rig_restart(&rig);
	ck_assert_int_eq(ft_store_sweep(rig.store, knows_c, NULL), FT_OK);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "damaged")), 1);
	ck_assert_int_eq(rig_try_existing(&rig, &unknown), FT_NO_SUCH_TRANSFER);
	upload = rig_existing(&rig, &known);
	rig_expect(&rig, upload, 0, "hello", 5);
	rig.ops->upload_close(&upload);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "tmp")), 0);
	ck_assert_int_eq(rig_publish_upload(&rig, &known, "n", "id", 5), FT_OK);
	rig_close(&rig);
}
END_TEST

/* --- discard --- */

START_TEST(test_store_fs__frees_a_discarded_file_when_it_is_closed)
{
	static char bytes[1024 * 1024];
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct rig rig;

	rig_open_fs(&rig);
	upload = rig_create(&rig, &key);
	memset(bytes, 'x', sizeof bytes);
	for (uint64_t i = 0; i < 80; i++)
		ck_assert_int_eq(rig.ops->write(upload, i * sizeof bytes, bytes, sizeof bytes),
				 FT_OK);
	rig_write(&rig, upload, (uint64_t)1 << 42, "far out");
	ck_assert_int_eq(rig.ops->discard(upload), FT_OK);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "incoming")), 0);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "tmp")), 1);
	rig_begin(&rig, &key, "a newer life");
	rig.ops->upload_close(&upload);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "tmp")), 0);
	ck_assert_int_eq(rig_try_existing(&rig, &key), FT_OK);
	rig_close(&rig);
}
END_TEST

static enum ft_status publish_link(struct rig *rig, const struct ft_key *from, const struct ft_key *key)
{
	struct ft_upload *upload = NULL;
	struct ft_publication what;
	enum ft_status st = rig->ops->upload_link(rig->store, from, "n", key, &upload);

	ck_assert((st == FT_OK) == (upload != NULL));
	if (st != FT_OK)
		return st;
	rig_expect(rig, upload, 0, "hello", 5);
	what = rig_publication(key, "m", "id-2.", NULL, upload, 5);
	return rig_publish(rig, &what);
}

START_TEST(test_store_fs__publishes_what_is_finished_once_more)
{
	struct ft_key key = rig_key("c", "f"), other = rig_key("c", "g");
	struct ft_upload *upload;
	struct stat a, b;
	struct rig rig;

	rig_open_fs(&rig);
	ck_assert_int_eq(publish_link(&rig, &key, &other), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id-1.", "hello"), FT_OK);
	ck_assert_int_eq(publish_link(&rig, &key, &other), FT_OK);
	ck_assert(stat(rig_path(&rig, "files/c/f/n"), &a) == 0
		  && stat(rig_path(&rig, "files/c/g/m"), &b) == 0);
	ck_assert(a.st_ino == b.st_ino && a.st_nlink == 2);
	ck_assert_int_eq(publish_link(&rig, &key, &other), FT_OK);	/* its own: it is there */
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "tmp")), 0);
	/* One that comes to nothing, or that a crash leaves, takes nothing along. */
	ck_assert_int_eq(rig.ops->upload_link(rig.store, &key, "n", &other, &upload), FT_OK);
	ck_assert_int_eq(link(rig_path(&rig, "files/c/f/n"), rig_path(&rig, "tmp/.0-7")), 0);
	ck_assert_int_eq(ft_store_sweep(rig.store, knows_c, NULL), FT_OK);
	rig.ops->upload_close(&upload);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "tmp")), 0);
	ck_assert_int_eq(rig_remove(&rig, &other, "m"), FT_OK);
	rig_expect_finished(&rig, &key, "n", "hello");
	/* A directory or a link of that name is nothing of ours. */
	ck_assert_int_eq(rename(rig_path(&rig, "files/c/f/n"), rig_path(&rig, "files/c/f/x")), 0);
	ck_assert_int_eq(symlink("x", rig_path(&rig, "files/c/f/n")), 0);
	ck_assert_int_eq(publish_link(&rig, &key, &other), FT_NO_SUCH_TRANSFER);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "tmp")), 0);
	rig_close(&rig);
}
END_TEST

static struct ft_notice notice(const char *title, const struct ft_key *key)
{
	return (struct ft_notice){ title, *key, "n", " {\"a\":1}", 8 };
}

START_TEST(test_store_fs__tells_consumers_of_files)
{
	struct ft_key key = rig_key("a/b", "f");
	struct ft_notice notices[6] = { notice("t1", &key), notice("t2", &key) };
	struct rig rig;

	rig_open_fs(&rig);
	ck_assert(!rig_exists(rig_path(&rig, "done")));
	ck_assert_int_eq(rig.ops->announce(rig.store, NULL, 0), FT_OK);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "done")), 0);
	ck_assert_int_eq(rig.ops->announce(rig.store, notices, 2), FT_OK);
	rig_expect_file(rig_path(&rig, "done/t1.json"),
			"{\n\t\"path\": \"files/a%2Fb/f/n\",\"a\":1}");
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "done")), 2);
	for (int i = 0; i < 6; i++)
		notices[i] = notice((const char *[]){ "a", "b", "c", "d", "t1", "f" }[i], &key);
	ck_assert_int_eq(unlink(rig_path(&rig, "done/t1.json")), 0);
	ck_assert_int_eq(unlink(rig_path(&rig, "done/t2.json")), 0);
	ck_assert_int_eq(rmdir(rig_path(&rig, "done")), 0);
	ck_assert_int_eq(rmdir(rig_path(&rig, "tmp")), 0);
	ck_assert_int_eq(rig.ops->announce(rig.store, notices, 6), FT_OK);
	ck_assert_int_eq(rig.ops->announce(rig.store, notices, 6), FT_OK);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "done")), 6);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "tmp")), 0);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store_fs__tells_nobody_by_way_of_a_link)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_notice one = notice("t", &key);
	struct rig rig;

	rig_open_fs(&rig);
	ck_assert_int_eq(mkdir(rig_path(&rig, "elsewhere"), 0755), 0);
	ck_assert_int_eq(symlink("elsewhere", rig_path(&rig, "done")), 0);
	ck_assert_int_eq(rig.ops->announce(rig.store, &one, 1), FT_IO_ERROR);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "elsewhere")), 0);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "tmp")), 0);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store_fs__links_a_finished_file_to_elsewhere)
{
	struct ft_key key = rig_key("c", "f"), none = rig_key("c", "none");
	struct stat file, link;
	struct rig rig;
	int dir;

	rig_open_fs(&rig);
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id", "hello"), FT_OK);
	ck_assert_int_eq(mkdir(rig_path(&rig, "offers"), 0700), 0);
	dir = open(rig_path(&rig, "offers"), O_RDONLY | O_DIRECTORY);
	ck_assert_int_eq(ft_store_link_finished(rig.store, &key, "n", dir, "x"), FT_OK);
	ck_assert_int_eq(stat(rig_path(&rig, "files/c/f/n"), &file), 0);
	ck_assert_int_eq(stat(rig_path(&rig, "offers/x"), &link), 0);
	ck_assert_uint_eq(file.st_ino, link.st_ino);
	ck_assert_int_eq(ft_store_link_finished(rig.store, &key, "n", dir, "x"), FT_ALREADY_COMPLETE);
	ck_assert_int_eq(ft_store_link_finished(rig.store, &key, "m", dir, "y"), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(ft_store_link_finished(rig.store, &none, "n", dir, "y"), FT_NO_SUCH_TRANSFER);
	/* What a consumer has put there by a link is not ours. */
	ck_assert_int_eq(unlink(rig_path(&rig, "files/c/f/n")), 0);
	ck_assert_int_eq(symlink("/etc/passwd", rig_path(&rig, "files/c/f/n")), 0);
	ck_assert_int_eq(ft_store_link_finished(rig.store, &key, "n", dir, "y"), FT_NO_SUCH_TRANSFER);
	rig_expect_file(rig_path(&rig, "offers/x"), "hello");
	ck_assert_int_ne(access(rig_path(&rig, "offers/y"), F_OK), 0);
	close(dir);
	rig_close(&rig);
}
END_TEST

FT_SUITE("store_fs",
	test_store_fs__links_a_finished_file_to_elsewhere,
	test_store_fs__publishes_what_is_finished_once_more,
	test_store_fs__tells_consumers_of_files,
	test_store_fs__tells_nobody_by_way_of_a_link,
	test_store_fs__lays_files_out_as_documented,
	test_store_fs__modes_do_not_depend_on_the_umask,
	test_store_fs__renames_an_upload_and_never_copies_it,
	test_store_fs__survives_a_restart,
	test_store_fs__refuses_a_newer_format,
	test_store_fs__writes_an_empty_format_again,
	test_store_fs__makes_directories_again,
	test_store_fs__writes_to_a_new_upload_whose_directories_are_gone,
	test_store_fs__says_that_removed_bytes_are_gone,
	test_store_fs__never_takes_a_lost_storage_dir_for_lost_transfers,
	test_store_fs__works_while_empty_directories_are_removed,
	test_store_fs__publishes_beside_a_consumers_things,
	test_store_fs__replacing_leaves_a_consumers_things,
	test_store_fs__foreign_things_in_the_way_are_put_aside,
	test_store_fs__overwrites_no_file_that_is_not_its_own,
	test_store_fs__finds_what_consumers_left_of_a_file,
	test_store_fs__publishing_again_after_a_consumer_took_it_delivers_it_again,
	test_store_fs__removes_what_is_left_and_leaves_what_is_not_its_own,
	test_store_fs__lists_finished_files_among_anything,
	test_store_fs__follows_no_link_in_place_of_a_client,
	test_store_fs__sweep_keeps_what_is_known,
	test_store_fs__sweep_sets_the_former_format_aside,
	test_store_fs__a_former_transfer_is_not_in_the_way,
	test_store_fs__sweep_clears_tmp,
	test_store_fs__takes_back_what_was_half_published,
	test_store_fs__frees_a_discarded_file_when_it_is_closed);
