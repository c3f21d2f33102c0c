/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <check.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/identity.h"

#include "../suite.h"
#include "../tree.h"

static void identity_of(const char *path, char text[FT_IDENTITY_ROOM])
{
	int fd = open(path, O_RDONLY | O_DIRECTORY);

	ck_assert_int_ge(fd, 0);
	ft_identity(fd, text);
	close(fd);
}

START_TEST(test_identity__is_the_same_each_time)
{
	char before[FT_IDENTITY_ROOM], now[FT_IDENTITY_ROOM];

	identity_of("/tmp", before);
	identity_of("/tmp", now);
	ck_assert_str_eq(before, now);
	ck_assert_int_eq(ft_identity_compare(before, now), FT_IDENTITY_SAME);
	ck_assert_msg(strncmp(before, "boot=", 5) == 0, "%s", before);
	ck_assert_msg(strstr(before, " fsid=") && strstr(before, " dev=") && strstr(before, " ns=")
		      && strstr(before, " mnt="), "%s", before);
	ck_assert_msg(before[strlen(before) - 1] != ' ', "%s", before);
}
END_TEST

#define SUPER "boot=a fsid=b dev=8:1 disk=1 super=2"

/* Comparing is the same in both directions. */
START_TEST(test_identity__tells_what_is_a_power_cut)
{
	static const char here[] = "boot=a fsid=b dev=8:1 ns=3 mnt=4";
	static const struct {
		const char *before, *now;
		enum ft_identity_change change;
	} pairs[] = {
		{ here, here, FT_IDENTITY_SAME },
		{ here, "mnt=4 ns=3 dev=8:1 fsid=b boot=a", FT_IDENTITY_SAME },
		{ here, "boot=A fsid=b dev=8:1 ns=3 mnt=4", FT_IDENTITY_OTHER },
		{ here, "boot=ab fsid=b dev=8:1 ns=3 mnt=4", FT_IDENTITY_OTHER },
		{ here, "boot=a fsid=B dev=8:1 ns=3 mnt=4", FT_IDENTITY_OTHER },
		{ here, "boot=a fsid=b dev=8:17 ns=3 mnt=4", FT_IDENTITY_OTHER },
		{ here, "boot=a fsid=b dev=0:1 ns=3 mnt=4", FT_IDENTITY_OTHER },
		/* Mounted anew. */
		{ here, "boot=a fsid=b dev=8:1 ns=3 mnt=5", FT_IDENTITY_OTHER },
		/* A service with mounts of its own, started again. */
		{ here, "boot=a fsid=b dev=8:1 ns=9 mnt=5", FT_IDENTITY_SAME },
		{ here, "boot=a fsid=b dev=8:1 ns=9 mnt=4", FT_IDENTITY_SAME },
		/* What the kernel keeps of a disk and of a file system. */
		{ SUPER " ns=3 mnt=4", SUPER " ns=9 mnt=5", FT_IDENTITY_SAME },
		{ SUPER " ns=3 mnt=4", SUPER " ns=3 mnt=5", FT_IDENTITY_SAME },
		{ SUPER, "boot=a fsid=b dev=8:1 disk=1 super=3", FT_IDENTITY_OTHER },
		{ SUPER, "boot=a fsid=b dev=8:1 disk=2 super=2", FT_IDENTITY_OTHER },
		{ SUPER " ns=3 mnt=4", "boot=a fsid=b dev=8:1 disk=1 super=3 ns=3 mnt=4",
		  FT_IDENTITY_OTHER },
		{ SUPER " ns=3 mnt=4", here, FT_IDENTITY_SAME },
		/* What can't be found out. */
		{ here, "boot=a fsid=b dev=8:1", FT_IDENTITY_SAME },
		{ here, "boot=a", FT_IDENTITY_SAME },
		{ here, "fsid=b dev=8:1 ns=3 mnt=4", FT_IDENTITY_UNKNOWN },
		{ "fsid=b dev=8:1 ns=3 mnt=4", "fsid=b dev=8:1 ns=3 mnt=4", FT_IDENTITY_UNKNOWN },
		{ "fsid=b dev=8:1 ns=3 mnt=4", "fsid=c dev=8:1 ns=3 mnt=4", FT_IDENTITY_OTHER },
		{ here, "", FT_IDENTITY_UNKNOWN },
		{ "", "", FT_IDENTITY_UNKNOWN },
		{ here, "boot= fsid=b", FT_IDENTITY_UNKNOWN },
		{ here, "reboot=a fsid=b", FT_IDENTITY_UNKNOWN },
		/* Numbers that the kernel makes up at each mount. */
		{ "boot=a fsid=b dev=0:50 ns=3 mnt=4", "boot=a fsid=b dev=0:51 ns=9 mnt=5",
		  FT_IDENTITY_SAME },
		{ "boot=a fsid=b dev=0:50 ns=3 mnt=4", "boot=a fsid=b dev=0:51 ns=3 mnt=5",
		  FT_IDENTITY_OTHER },
	};

	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		ck_assert_msg(ft_identity_compare(pairs[i].before, pairs[i].now)
			      == pairs[i].change, "\"%s\" and \"%s\"", pairs[i].before, pairs[i].now);
		ck_assert_msg(ft_identity_compare(pairs[i].now, pairs[i].before)
			      == pairs[i].change, "\"%s\" and \"%s\"", pairs[i].now, pairs[i].before);
	}
}
END_TEST

/* In a mount namespace of its own; only root may. */
START_TEST(test_identity__changes_with_a_mount_and_not_with_a_namespace)
{
	char dir[256], before[FT_IDENTITY_ROOM], moved[FT_IDENTITY_ROOM], mounted[FT_IDENTITY_ROOM],
		again[FT_IDENTITY_ROOM];

	ck_assert(tree_make(dir, sizeof dir, "identity"));
	identity_of(dir, before);
	if (unshare(CLONE_NEWNS) != 0
	    || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
		tree_remove(dir);
		return;
	}
	identity_of(dir, moved);
	ck_assert_str_ne(before, moved);
	ck_assert_int_eq(ft_identity_compare(before, moved), FT_IDENTITY_SAME);
	ck_assert_int_eq(mount("tmpfs", dir, "tmpfs", 0, "size=1m"), 0);
	identity_of(dir, mounted);
	ck_assert_int_eq(ft_identity_compare(moved, mounted), FT_IDENTITY_OTHER);
	ck_assert_int_eq(umount(dir), 0);
	ck_assert_int_eq(mount("tmpfs", dir, "tmpfs", 0, "size=1m"), 0);
	identity_of(dir, again);
	ck_assert_int_eq(ft_identity_compare(mounted, again), FT_IDENTITY_OTHER);
	umount(dir);
	tree_remove(dir);
}
END_TEST

static void run(const char *command)
{
	ck_assert_msg(system(command) == 0, "%s", command);
}

/* A disk that went away and came back while the broker had a namespace of its own each time. */
START_TEST(test_identity__knows_a_remount_across_namespaces)
{
	char dir[256], before[FT_IDENTITY_ROOM], now[FT_IDENTITY_ROOM];

	if (geteuid() != 0 || access("/dev/loop-control", F_OK) != 0)
		return;
	ck_assert(tree_make(dir, sizeof dir, "identity"));
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(chdir(dir), 0);
	run("truncate -s 16M image && mkfs.ext4 -q -F image && mkdir at && mount -o loop image at");
	identity_of("at", before);
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	identity_of("at", now);
	ck_assert_int_eq(ft_identity_compare(before, now), FT_IDENTITY_SAME);
	run("umount at && while losetup -j image | grep -q .; do sleep 0.01; done"
	    " && mount -o loop image at");
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	identity_of("at", now);
	ck_assert_int_eq(ft_identity_compare(before, now), FT_IDENTITY_OTHER);
	run("umount at");
	ck_assert_int_eq(chdir("/"), 0);
	tree_remove(dir);
}
END_TEST

FT_SUITE("identity",
	 test_identity__is_the_same_each_time,
	 test_identity__tells_what_is_a_power_cut,
	 test_identity__changes_with_a_mount_and_not_with_a_namespace,
	 test_identity__knows_a_remount_across_namespaces);
