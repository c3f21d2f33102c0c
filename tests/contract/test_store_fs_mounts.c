/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The fs backend on file systems that are full, read-only, small in what they can do, or
 * take two names for one. Needs root to mount; where something cannot be mounted, the test
 * says so and counts as skipped.
 */
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <time.h>

#include "store/fs/fs.h"
#include "store_rig.h"

static char base[256];
static char disk[300];		/* the mount point */

static bool command(const char *format, ...) __attribute__((format(printf, 1, 2)));

static bool command(const char *format, ...)
{
	char line[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	return system(line) == 0;
}

static void set_up(void)
{
	signal(SIGXFSZ, SIG_IGN);	/* as the plugin does */
	ck_assert(tree_make(base, sizeof base, "ft-mounts"));
	snprintf(disk, sizeof disk, "%s/disk", base);
	ck_assert_int_eq(mkdir(disk, 0755), 0);
}

static void tear_down(void)
{
	/* FUSE's may need a moment; a lazy one needs none. */
	while (umount2(disk, MNT_DETACH) == 0)
		;
	(void)command("losetup -j %s/image | cut -d: -f1 | xargs -r losetup -d", base);
	tree_remove(base);
}

/* Makes an image of so many MiB, and mounts it by `mount_command`, in which %s is the device. */
static bool mount_image(unsigned mib, const char *make, const char *mount_with)
{
	char device[512] = "";
	FILE *answer;

	if (!command("truncate -s %uM %s/image && %s %s/image >/dev/null 2>&1", mib, base, make, base))
		return false;
	snprintf(device, sizeof device, "losetup -f --show %s/image", base);
	answer = popen(device, "r");
	if (!answer || !fgets(device, sizeof device, answer))
		device[0] = '\0';
	if (answer)
		pclose(answer);
	device[strcspn(device, "\n")] = '\0';
	return device[0] && command("%s %s %s >/dev/null 2>&1", mount_with, device, disk);
}

static void prepare(struct rig *rig)
{
	*rig = (struct rig){ .ops = ft_store_backend("fs") };
	snprintf(rig->dir, sizeof rig->dir, "%.200s/store", disk);
	ck_assert_int_eq(mkdir(rig->dir, 0755), 0);
	rig->config = (struct ft_store_config){ .dir = rig->dir, .durability = FT_DURABILITY_FILE };
}

static void expect_refused(struct rig *rig, const char *words)
{
	ck_assert_int_eq(rig_try_start(rig), FT_IO_ERROR);
	ck_assert_ptr_null(rig->store);
	ck_assert_msg(rig_said(rig, words), "it says: %s", rig->log);
	ck_assert_uint_eq(rig->log_lines, 1);
	ck_assert_uint_eq(tree_entries(rig_path(rig, "files")), 0);
	rig_stop(rig);
}

/* --- two names for one --- */

START_TEST(test_store_fs_mounts__exfat_is_refused)
{
	struct rig rig;

	if (!mount_image(16, "mkfs.exfat", "mount.exfat-fuse"))
		FT_SKIP("exFAT cannot be mounted here");
	prepare(&rig);
	expect_refused(&rig, "upper and lower case is one file");
}
END_TEST

START_TEST(test_store_fs_mounts__vfat_is_refused)
{
	struct rig rig;

	if (!mount_image(16, "mkfs.vfat", "mount -t vfat"))
		FT_SKIP("vfat cannot be mounted here");
	prepare(&rig);
	expect_refused(&rig, "is one file");
}
END_TEST

/* The flag belongs to a directory: here to files/ alone. */
START_TEST(test_store_fs_mounts__a_casefolding_directory_is_refused)
{
	struct rig rig;

	if (!mount_image(16, "mkfs.ext4 -O casefold", "mount"))
		FT_SKIP("this kernel's ext4 does not fold case");
	prepare(&rig);
	ck_assert_int_eq(mkdir(rig_path(&rig, "files"), 0755), 0);
	if (!command("chattr +F %s/files", rig.dir))
		FT_SKIP("this ext4 does not fold case");
	expect_refused(&rig, "upper and lower case is one file in files");
}
END_TEST

START_TEST(test_store_fs_mounts__names_that_ntfs_refuses_are_known_beforehand)
{
	static const char *const refused[] = { "a?b", "a*b", "a\"b", "a<b", "a|b", "end.", "end " };
	struct ft_key key = rig_key("c", "f");
	struct rig rig;

	if (!mount_image(16, "mkntfs -F -q", "ntfs-3g -o windows_names"))
		FT_SKIP("NTFS cannot be mounted here");
	prepare(&rig);
	rig_start(&rig);
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		ck_assert_int_eq(ft_store_check_name(rig.store, refused[i]), FT_NAME_REFUSED);
		ck_assert_int_eq(rig_publish_text(&rig, &key, refused[i], "id", "x"), FT_NAME_REFUSED);
	}
	ck_assert_int_eq(ft_store_check_name(rig.store, "photo 1.jpg"), FT_OK);
	ck_assert_int_eq(rig_publish_text(&rig, &key, "photo 1.jpg", "id", "hello"), FT_OK);
	rig_expect_finished(&rig, &key, "photo 1.jpg", "hello");
	rig_stop(&rig);
}
END_TEST

/* --- full, read-only, limited --- */

/* On what is mounted. */
static void expect_full(void)
{
	static char bytes[64 * 1024];
	struct ft_key key = rig_key("c", "f"), other = rig_key("c", "g");
	struct ft_publication what;
	struct ft_upload *upload;
	enum ft_status st = FT_OK;
	uint64_t at = 0;
	struct rig rig;

	prepare(&rig);
	rig_start(&rig);
	memset(bytes, 'x', sizeof bytes);
	upload = rig_create(&rig, &key);
	while ((st = rig.ops->write(upload, at, bytes, sizeof bytes)) == FT_OK)
		at += sizeof bytes;
	ck_assert_int_eq(st, FT_DISK_FULL);
	ck_assert(rig_said(&rig, "No space left"));
	ck_assert(rig_said(&rig, "free space"));
	ck_assert_uint_eq(rig.log_lines, 1);
	what = rig_publication(&other, "n", "id-1.", bytes, NULL, sizeof bytes);
	ck_assert_int_eq(rig_publish(&rig, &what), FT_DISK_FULL);
	ck_assert_int_eq(rig.ops->find(rig.store, &other, "n"), FT_NO_SUCH_TRANSFER);
	/* What was held is still held, and room that is given back is used. */
	rig_expect(&rig, upload, at - sizeof bytes, bytes, sizeof bytes);
	ck_assert_int_eq(rig.ops->discard(upload), FT_OK);
	rig.ops->upload_close(&upload);
	ck_assert_int_eq(rig_publish(&rig, &what), FT_OK);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "tmp")), 0);
	rig_stop(&rig);
}

START_TEST(test_store_fs_mounts__a_full_disk_loses_nothing)
{
	if (mount("tmpfs", disk, "tmpfs", 0, "size=2m") != 0)
		FT_SKIP("mounting is not permitted");
	expect_full();
}
END_TEST

START_TEST(test_store_fs_mounts__a_full_ext4_loses_nothing)
{
	if (!mount_image(8, "mkfs.ext4 -q -m 0", "mount"))
		FT_SKIP("mounting is not permitted");
	expect_full();
}
END_TEST

START_TEST(test_store_fs_mounts__inodes_run_out_like_bytes)
{
	enum ft_status st = FT_OK;
	struct ft_space space;
	struct rig rig;
	char file[16];
	int i;

	if (mount("tmpfs", disk, "tmpfs", 0, "size=8m,nr_inodes=64") != 0)
		FT_SKIP("mounting is not permitted");
	prepare(&rig);
	rig_start(&rig);
	ck_assert_int_eq(ft_store_space(rig.store, &space), FT_OK);
	ck_assert_uint_lt(space.files, 64);
	ck_assert_uint_gt(space.files, 40);
	ck_assert_uint_le(space.bytes, 8 * 1024 * 1024);
	for (i = 0; i < 64 && st == FT_OK; i++) {
		struct ft_key key = rig_key("c", file);

		snprintf(file, sizeof file, "f%d", i);
		key.file_len = strlen(file);
		st = rig_publish_text(&rig, &key, "n", "id", "x");
	}
	ck_assert_int_eq(st, FT_DISK_FULL);
	ck_assert_uint_eq(rig_list(&rig, 0).count, (unsigned)i - 1);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "tmp")), 0);
	rig_stop(&rig);
}
END_TEST

START_TEST(test_store_fs_mounts__a_read_only_disk_is_named)
{
	struct ft_key key = rig_key("c", "f"), other = rig_key("c", "g");
	struct ft_upload *upload = NULL;
	struct rig rig;
	char got[5];

	if (mount("tmpfs", disk, "tmpfs", 0, "size=2m") != 0)
		FT_SKIP("mounting is not permitted");
	prepare(&rig);
	rig_start(&rig);
	ck_assert_int_eq(rig_publish_text(&rig, &key, "n", "id", "hello"), FT_OK);
	ck_assert_int_eq(mount("tmpfs", disk, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL), 0);
	ck_assert_int_eq(rig.ops->upload_open(rig.store, &other, FT_UPLOAD_CREATE, &upload), FT_IO_ERROR);
	ck_assert(rig_said(&rig, "read-only"));
	ck_assert_int_eq(rig_publish_text(&rig, &other, "n", "id", "x"), FT_IO_ERROR);
	ck_assert_int_eq(rig_remove(&rig, &key, "n"), FT_IO_ERROR);
	ck_assert_int_eq(rig.ops->read_finished(rig.store, &key, "n", 0, got, 5), FT_OK);
	rig_stop(&rig);
	ck_assert_int_eq(rig_try_start(&rig), FT_IO_ERROR);
	ck_assert_int_eq(mount("tmpfs", disk, "tmpfs", MS_REMOUNT, NULL), 0);
	ft_logger_free(rig.config.logger);
	rig_start(&rig);
	ck_assert_int_eq(rig_publish_text(&rig, &other, "n", "id", "x"), FT_OK);
	rig_stop(&rig);
}
END_TEST

START_TEST(test_store_fs_mounts__a_directory_that_is_another_disk_is_refused)
{
	struct rig rig;

	rig_open_fs(&rig);
	rig_stop(&rig);
	if (mount("tmpfs", rig_path(&rig, "files"), "tmpfs", 0, "size=1m") != 0) {
		tree_remove(rig.dir);
		FT_SKIP("mounting is not permitted");
	}
	ck_assert_int_eq(rig_try_start(&rig), FT_IO_ERROR);
	ck_assert(rig_said(&rig, "same file system"));
	ck_assert_int_eq(umount(rig_path(&rig, "files")), 0);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store_fs_mounts__a_limit_of_file_sizes_is_an_error_and_no_signal)
{
	const struct rlimit limit = { 64 * 1024, 64 * 1024 };
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct rig rig;

	rig_prepare(&rig, "fs", FT_DURABILITY_NONE);
	rig_start(&rig);
	upload = rig_create(&rig, &key);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	rig_write(&rig, upload, 0, "hello");
	ck_assert_int_eq(rig.ops->write(upload, 64 * 1024, "x", 1), FT_FILE_TOO_LARGE);
	ck_assert(rig_said(&rig, "ulimit -f"));
	rig_expect(&rig, upload, 0, "hello", 5);
	rig.ops->upload_close(&upload);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store_fs_mounts__without_descriptors_it_is_busy)
{
	struct ft_key key = rig_key("c", "f"), other = rig_key("c", "g");
	struct ft_upload *upload = NULL;
	struct rlimit limit;
	struct rig rig;
	rlim_t before;

	rig_open_fs(&rig);
	rig_begin(&rig, &key, "hello");
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	before = limit.rlim_cur;
	limit.rlim_cur = 3;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(rig.ops->upload_open(rig.store, &key, FT_UPLOAD_EXISTING, &upload), FT_BUSY);
	ck_assert_int_eq(rig.ops->upload_open(rig.store, &other, FT_UPLOAD_CREATE, &upload), FT_BUSY);
	ck_assert_int_eq(rig_publish_text(&rig, &other, "n", "id", "x"), FT_BUSY);
	ck_assert_int_eq(rig.ops->find(rig.store, &key, "n"), FT_BUSY);
	ck_assert(rig_said(&rig, "limit of open files"));
	limit.rlim_cur = before;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(rig_publish_upload(&rig, &key, "n", "id", 5), FT_OK);
	ck_assert_int_eq(rig_publish_text(&rig, &other, "n", "id", "x"), FT_OK);
	rig_close(&rig);
}
END_TEST

/* --- what file systems may lack --- */

/* eCryptfs holds 143 bytes; a store that believes so stands for it. */
START_TEST(test_store_fs_mounts__short_names_are_checked_and_ids_hashed)
{
	static char file[200], name[240];
	struct ft_key key = { "c", 1, file, sizeof file };
	struct rig rig;

	memset(file, 'f', sizeof file);
	memset(name, 'n', sizeof name - 1);
	rig_open_fs(&rig);
	ck_assert_int_eq(ft_store_check_name(rig.store, name), FT_OK);
	((struct fs *)rig.store)->name_max = 143;
	ck_assert_int_eq(ft_store_check_name(rig.store, name), FT_NAME_REFUSED);
	name[143 - FS_MANIFEST_SUFFIX_LEN + 1] = '\0';
	ck_assert_int_eq(ft_store_check_name(rig.store, name), FT_NAME_REFUSED);
	name[143 - FS_MANIFEST_SUFFIX_LEN] = '\0';
	ck_assert_int_eq(ft_store_check_name(rig.store, name), FT_OK);
	ck_assert_int_eq(rig_publish_text(&rig, &key, name, "id", "hello"), FT_OK);
	rig_expect_finished(&rig, &key, name, "hello");
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "files/c")), 1);
	ck_assert(!rig_exists(rig_path(&rig, "files/c/%.200s", file)));
	rig_close(&rig);
}
END_TEST

/* exFAT has no holes, but is refused for another reason; so is whatever else there is to mount. */
START_TEST(test_store_fs_mounts__without_holes_a_byte_far_out_blocks_nobody)
{
	struct ft_key key = rig_key("c", "f");
	struct ft_upload *upload;
	struct rig rig;

	rig_open_fs(&rig);
	ck_assert_int_eq(((struct fs *)rig.store)->holes, FS_HOLES);
	((struct fs *)rig.store)->holes = FS_NO_HOLES;
	upload = rig_create(&rig, &key);
	ck_assert_int_eq(rig.ops->write(upload, (uint64_t)1 << 32, "x", 1), FT_DISK_FULL);
	ck_assert(rig_said(&rig, "no holes"));
	rig_write(&rig, upload, 1024 * 1024, "near");
	rig_write(&rig, upload, 0, "first");
	rig_expect(&rig, upload, 0, "first", 5);
	rig.ops->upload_close(&upload);
	rig_close(&rig);
}
END_TEST

/* 262,144 extents: others wait neither for discard() nor for what frees the space. */
START_TEST(test_store_fs_mounts__freeing_many_extents_takes_many_short_calls)
{
	struct ft_key key = rig_key("c", "f");
	struct timespec begin, end;
	struct ft_upload *upload;
	struct rig rig;
	double ms;

	rig_prepare(&rig, "fs", FT_DURABILITY_NONE);
	rig_start(&rig);
	upload = rig_create(&rig, &key);
	for (uint64_t i = 0; i < 262144; i++)
		ck_assert_int_eq(rig.ops->write(upload, i * 8192, "x", 1), FT_OK);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
	ck_assert_int_eq(rig.ops->discard(upload), FT_OK);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	ms = (double)(end.tv_sec - begin.tv_sec) * 1e3 + (double)(end.tv_nsec - begin.tv_nsec) / 1e6;
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "tmp")), 1);
	rig_begin(&rig, &key, "a newer life");
	rig.ops->upload_close(&upload);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "tmp")), 0);
	/* Freeing all of it takes hundreds of a processor, renaming it less than one. */
	ck_assert_msg(ms < 50, "discard() took %.1f ms of a processor", ms);
	rig_close(&rig);
}
END_TEST

FT_SUITE_WITH("store_fs_mounts", set_up, tear_down,
	test_store_fs_mounts__exfat_is_refused,
	test_store_fs_mounts__vfat_is_refused,
	test_store_fs_mounts__a_casefolding_directory_is_refused,
	test_store_fs_mounts__names_that_ntfs_refuses_are_known_beforehand,
	test_store_fs_mounts__a_full_disk_loses_nothing,
	test_store_fs_mounts__a_full_ext4_loses_nothing,
	test_store_fs_mounts__inodes_run_out_like_bytes,
	test_store_fs_mounts__a_read_only_disk_is_named,
	test_store_fs_mounts__a_directory_that_is_another_disk_is_refused,
	test_store_fs_mounts__a_limit_of_file_sizes_is_an_error_and_no_signal,
	test_store_fs_mounts__without_descriptors_it_is_busy,
	test_store_fs_mounts__short_names_are_checked_and_ids_hashed,
	test_store_fs_mounts__without_holes_a_byte_far_out_blocks_nobody,
	test_store_fs_mounts__freeing_many_extents_takes_many_short_calls);
