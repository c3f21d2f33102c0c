/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* storage_dir as a whole: made, refused with one clear line, and one broker's at a time. */
#include <check.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "mosquitto/storage_dir.h"
#include "../suite.h"
#include "../tree.h"

#define ROOM 512

static char base[256];		/* a directory for the test */
static char dir[ROOM];		/* storage_dir, in it */
static char text[1024];
static struct ft_buf why;

static void set_up(void)
{
	ck_assert(tree_make(base, sizeof base, "ft-dir"));
	snprintf(dir, sizeof dir, "%s/files", base);
}

static void tear_down(void)
{
	tree_remove(base);
}

static const char *path(const char *name)
{
	static char paths[4][ROOM];
	static unsigned next;
	char *room = paths[next++ % 4];

	snprintf(room, ROOM, "%s/%s", base, name);
	return room;
}

static enum ft_status take(const char *fstab, struct ft_storage_lock *lock)
{
	why = ft_buf_on(text, sizeof text);
	return ft_storage_dir_lock(dir, fstab, lock, &why);
}

static void expect_refused(const char *fstab, enum ft_status expected, const char *words)
{
	struct ft_storage_lock lock;

	ck_assert_int_eq(take(fstab, &lock), expected);
	ck_assert_int_eq(lock.dir, -1);
	ck_assert_int_eq(lock.file, -1);
	ck_assert_msg(strstr(text, words) != NULL, "\"%s\" does not say \"%s\"", text, words);
	ck_assert_msg(strstr(text, dir) != NULL, "\"%s\" does not name the directory", text);
	ck_assert_ptr_null(strchr(text, '\n'));
}

START_TEST(test_storage_dir__is_made)
{
	mode_t before = umask(0777);
	struct ft_storage_lock lock;
	struct stat info;

	ck_assert_int_eq(take("/nowhere", &lock), FT_OK);
	umask(before);
	ck_assert_int_eq(stat(dir, &info), 0);
	ck_assert_uint_eq(info.st_mode & 07777, 0750);
	ck_assert_int_eq(stat(path("files/lock"), &info), 0);
	ck_assert_uint_eq(info.st_mode & 07777, 0640);
	ck_assert_uint_gt((unsigned long)info.st_size, 0);
	ft_storage_dir_unlock(&lock);
	ft_storage_dir_unlock(&lock);
}
END_TEST

START_TEST(test_storage_dir__its_parents_are_not_made)
{
	snprintf(dir, sizeof dir, "%s/no/files", base);
	expect_refused("/nowhere", FT_IO_ERROR, "cannot be made");
}
END_TEST

START_TEST(test_storage_dir__must_be_a_directory)
{
	FILE *file = fopen(dir, "w");

	ck_assert_ptr_nonnull(file);
	fclose(file);
	expect_refused("/nowhere", FT_IO_ERROR, "is not a directory");
}
END_TEST

/* In a process that is not root's. */
START_TEST(test_storage_dir__must_be_writable)
{
	int status;
	pid_t child;

	ck_assert_int_eq(mkdir(dir, 0755), 0);
	ck_assert_int_eq(chmod(base, 0755), 0);
	ck_assert_int_eq(chmod(dir, 0555), 0);
	child = fork();
	if (child == 0) {
		if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
			_exit(2);
		expect_refused("/nowhere", FT_IO_ERROR, "is not writable by user ");
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* --- one broker at a time --- */

static void expect_used(void)
{
	char pid[32];

	snprintf(pid, sizeof pid, "process %ld)", (long)getpid());
	expect_refused("/nowhere", FT_BUSY, "in use by another broker or plugin line");
	ck_assert_msg(strstr(text, pid) != NULL, "\"%s\" does not name %s", text, pid);
}

START_TEST(test_storage_dir__is_one_brokers_at_a_time)
{
	struct ft_storage_lock lock;

	ck_assert_int_eq(take("/nowhere", &lock), FT_OK);
	expect_used();
	expect_used();
	ft_storage_dir_unlock(&lock);
	ck_assert_int_eq(take("/nowhere", &lock), FT_OK);
	ft_storage_dir_unlock(&lock);
}
END_TEST

START_TEST(test_storage_dir__removing_the_lock_file_lets_nobody_in)
{
	struct ft_storage_lock lock;

	ck_assert_int_eq(take("/nowhere", &lock), FT_OK);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(unlink(path("files/lock")), 0);
		expect_used();
	}
	ft_storage_dir_unlock(&lock);
}
END_TEST

START_TEST(test_storage_dir__a_broker_of_a_former_version_is_seen)
{
	int file;

	ck_assert_int_eq(mkdir(dir, 0750), 0);
	file = open(path("files/lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(flock(file, LOCK_EX | LOCK_NB), 0);
	ck_assert_int_gt(dprintf(file, "4711\n"), 0);
	expect_refused("/nowhere", FT_BUSY, "process 4711)");
	close(file);
}
END_TEST

START_TEST(test_storage_dir__a_lock_file_that_is_left_is_no_lock)
{
	struct ft_storage_lock lock;
	FILE *file;

	ck_assert_int_eq(mkdir(dir, 0750), 0);
	file = fopen(path("files/lock"), "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_gt(fprintf(file, "1\nand more than a pid\n"), 0);
	fclose(file);
	ck_assert_int_eq(take("/nowhere", &lock), FT_OK);
	ft_storage_dir_unlock(&lock);
}
END_TEST

START_TEST(test_storage_dir__a_lock_that_is_a_link_is_refused)
{
	ck_assert_int_eq(mkdir(dir, 0750), 0);
	ck_assert_int_eq(symlink("/etc/passwd", path("files/lock")), 0);
	expect_refused("/nowhere", FT_IO_ERROR, "cannot be locked");
}
END_TEST

/* --- mount points --- */

static const char *write_fstab(const char *device, const char *mount_point)
{
	const char *fstab = path("fstab");
	FILE *file = fopen(fstab, "w");

	ck_assert_ptr_nonnull(file);
	fputs("# a comment\n/dev/root / ext4 defaults 0 1\n/dev/swap none swap sw 0 0\n"
	      "/dev/else /nowhere/at/all ext4 defaults 0 2\n", file);
	fprintf(file, "%s %s ext4 nofail 0 2\n", device, mount_point);
	fclose(file);
	return fstab;
}

START_TEST(test_storage_dir__nothing_is_written_where_a_disk_belongs)
{
	static const char *const below[] = { "disk", "disk/files", "disk/a/b", "link/files", "disk/" };
	const char *fstab;

	ck_assert_int_eq(mkdir(path("disk"), 0755), 0);
	ck_assert_int_eq(mkdir(path("disk/a"), 0755), 0);
	ck_assert_int_eq(symlink("disk", path("link")), 0);
	fstab = write_fstab("/dev/sdx1", path("disk"));
	for (size_t i = 0; i < sizeof below / sizeof *below; i++) {
		snprintf(dir, sizeof dir, "%s/%s", base, below[i]);
		expect_refused(fstab, FT_IO_ERROR, "nothing is mounted there");
		ck_assert_ptr_nonnull(strstr(text, "/dev/sdx1"));
	}
	ck_assert_uint_eq(tree_entries(path("disk")), 1);
}
END_TEST

START_TEST(test_storage_dir__a_blank_in_a_mount_point_is_understood)
{
	char escaped[ROOM];

	ck_assert_int_eq(mkdir(path("my disk"), 0755), 0);
	snprintf(escaped, sizeof escaped, "%s/my\\040disk", base);
	snprintf(dir, sizeof dir, "%s/my disk/files", base);
	expect_refused(write_fstab("LABEL=data", escaped), FT_IO_ERROR,
		       "nothing is mounted there");
}
END_TEST

START_TEST(test_storage_dir__beside_a_mount_point_all_is_well)
{
	struct ft_storage_lock lock;

	ck_assert_int_eq(mkdir(path("disk"), 0755), 0);
	snprintf(dir, sizeof dir, "%s/disk2", base);
	ck_assert_int_eq(take(write_fstab("/dev/sdx1", path("disk")), &lock), FT_OK);
	ft_storage_dir_unlock(&lock);
}
END_TEST

START_TEST(test_storage_dir__what_is_mounted_is_used)
{
	const char *fstab = write_fstab("tmpfs", path("disk"));
	struct ft_storage_lock lock;

	ck_assert_int_eq(mkdir(path("disk"), 0755), 0);
	snprintf(dir, sizeof dir, "%s/disk/files", base);
	if (mount("tmpfs", path("disk"), "tmpfs", 0, "size=1m") != 0)
		FT_SKIP("mounting is not permitted");
	ck_assert_int_eq(take(fstab, &lock), FT_OK);
	ft_storage_dir_unlock(&lock);
	ck_assert_int_eq(umount(path("disk")), 0);
	expect_refused(fstab, FT_IO_ERROR, "nothing is mounted there");
}
END_TEST

FT_SUITE_WITH("storage_dir", set_up, tear_down,
	test_storage_dir__is_made,
	test_storage_dir__its_parents_are_not_made,
	test_storage_dir__must_be_a_directory,
	test_storage_dir__must_be_writable,
	test_storage_dir__is_one_brokers_at_a_time,
	test_storage_dir__removing_the_lock_file_lets_nobody_in,
	test_storage_dir__a_broker_of_a_former_version_is_seen,
	test_storage_dir__a_lock_file_that_is_left_is_no_lock,
	test_storage_dir__a_lock_that_is_a_link_is_refused,
	test_storage_dir__nothing_is_written_where_a_disk_belongs,
	test_storage_dir__a_blank_in_a_mount_point_is_understood,
	test_storage_dir__beside_a_mount_point_all_is_well,
	test_storage_dir__what_is_mounted_is_used);
