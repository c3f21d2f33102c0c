/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "mosquitto/storage_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define STORAGE_MODE 0750
#define STORAGE_LOCK_MODE 0640
#define STORAGE_USER_ROOM 64
#define STORAGE_LINE_ROOM 4096
#define STORAGE_LIST_TRIES 20

/* The name of the user the broker runs as, or its number. */
static void storage_user(struct ft_buf *name)
{
	char room[STORAGE_LINE_ROOM];
	struct passwd entry, *found = NULL;

	if (getpwuid_r(geteuid(), &entry, room, sizeof room, &found) == 0 && found)
		ft_buf_str(name, found->pw_name);
	else
		ft_buf_u64(name, geteuid());
}

static enum ft_status storage_refuse(struct ft_buf *why, const char *dir, const char *what)
{
	int error = errno;
	char room[STORAGE_USER_ROOM];
	struct ft_buf user = ft_buf_on(room, sizeof room);

	storage_user(&user);
	ft_buf_printf(why, "storage_dir %.300s %s", dir, what);
	if (error == EACCES || error == EPERM)
		ft_buf_printf(why, " by user %s", room);
	ft_buf_printf(why, ": %s", strerror(error));
	return FT_IO_ERROR;
}

/* --- mount points --- */

/* The path without links, also where only its parent exists. */
static bool storage_real_path(const char *dir, char real[PATH_MAX])
{
	char parent[PATH_MAX], above[PATH_MAX];
	struct ft_buf text = ft_buf_on(parent, sizeof parent);
	struct ft_buf whole;
	size_t len = strlen(dir), base;

	if (realpath(dir, real))
		return true;
	while (len > 1 && dir[len - 1] == '/')
		len--;
	for (base = len; base > 0 && dir[base - 1] != '/';)
		base--;
	ft_buf_str(&text, base == 0 ? "." : "");
	ft_buf_bytes(&text, dir, base);
	if (!ft_buf_ok(&text) || !realpath(parent, above))
		return false;
	whole = ft_buf_on(real, PATH_MAX);
	ft_buf_str(&whole, above);
	ft_buf_str(&whole, above[1] ? "/" : "");
	ft_buf_bytes(&whole, dir + base, len - base);
	return ft_buf_ok(&whole);
}

static bool storage_is_below(const char *path, const char *mount_point)
{
	size_t len = strlen(mount_point);

	return strncmp(path, mount_point, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* Whether a table of mounts names this mount point; where it cannot be read, it may. */
static bool storage_is_mounted(const char *mount_point)
{
	FILE *table = setmntent("/proc/self/mounts", "r");
	char room[STORAGE_LINE_ROOM];
	struct mntent entry;
	bool found = table == NULL;

	while (!found && getmntent_r(table, &entry, room, sizeof room))
		found = strcmp(entry.mnt_dir, mount_point) == 0;
	if (table)
		endmntent(table);
	return found;
}

/* The disk that fstab names would be mounted over what we write. */
static enum ft_status storage_check_mounts(const char *dir, const char *fstab, struct ft_buf *why)
{
	FILE *table = setmntent(fstab, "r");
	char room[STORAGE_LINE_ROOM], path[PATH_MAX], mount_point[PATH_MAX];
	enum ft_status st = FT_OK;
	struct mntent entry;

	if (!table || !storage_real_path(dir, path)) {
		if (table)
			endmntent(table);
		return FT_OK;	/* no parent: mkdir will say so */
	}
	while (st == FT_OK && getmntent_r(table, &entry, room, sizeof room)) {
		if (!realpath(entry.mnt_dir, mount_point) || strcmp(mount_point, "/") == 0
		    || entry.mnt_dir[0] != '/' || !storage_is_below(path, mount_point)
		    || storage_is_mounted(mount_point))
			continue;
		ft_buf_printf(why, "storage_dir %.300s is on %.300s, which %.100s says is a mount "
			      "point, and nothing is mounted there: mount %.100s first", dir,
			      mount_point, fstab, entry.mnt_fsname);
		st = FT_IO_ERROR;
	}
	endmntent(table);
	return st;
}

/* --- the directory --- */

static enum ft_status storage_make(const char *dir, struct ft_buf *why)
{
	struct stat info;

	if (mkdir(dir, STORAGE_MODE) == 0) {
		/* The umask belongs to the whole process. */
		if (chmod(dir, STORAGE_MODE) != 0)
			return storage_refuse(why, dir, "cannot be made");
	} else if (errno != EEXIST) {
		return storage_refuse(why, dir, "cannot be made");
	}
	if (stat(dir, &info) != 0)
		return storage_refuse(why, dir, "cannot be used");
	errno = ENOTDIR;
	if (!S_ISDIR(info.st_mode))
		return storage_refuse(why, dir, "is not a directory");
	if (access(dir, R_OK | W_OK | X_OK) != 0)
		return storage_refuse(why, dir, "is not writable");
	return FT_OK;
}

/* --- the locks --- */

/* Who holds the lock of what stands in /proc/locks as `wanted`; 0: not found. */
static long storage_holder_in_list(const char *wanted)
{
	FILE *list = fopen("/proc/locks", "re");
	char line[256];
	long pid = 0, found;

	while (list && pid == 0 && fgets(line, sizeof line, list))
		if (strstr(line, wanted)
		    && sscanf(line, "%*s FLOCK ADVISORY WRITE %ld", &found) == 1 && found > 0)
			pid = found;
	if (list)
		fclose(list);
	return pid;
}

/* By the kernel's list; 0: not known. */
static long storage_holder_by_kernel(int dir)
{
	char wanted[64];
	struct stat info;
	long pid = 0;

	if (fstat(dir, &info) != 0)
		return 0;
	/* as in "1: FLOCK  ADVISORY  WRITE 4711 fd:01:2621443 0 EOF" */
	snprintf(wanted, sizeof wanted, " %02x:%02x:%llu ", major(info.st_dev), minor(info.st_dev),
		 (unsigned long long)info.st_ino);
	/* A line may be missed where another lock goes away between two reads of the list. */
	for (int tries = 0; pid == 0 && tries < STORAGE_LIST_TRIES; tries++)
		pid = storage_holder_in_list(wanted);
	return pid;
}

static long storage_holder(const struct ft_storage_lock *lock)
{
	char text[32];
	ssize_t len = lock->file < 0 ? 0 : pread(lock->file, text, sizeof text - 1, 0);
	long pid;

	text[len > 0 ? len : 0] = '\0';
	pid = strtol(text, NULL, 10);
	return pid > 0 ? pid : storage_holder_by_kernel(lock->dir);
}

/* Several brokers, or several plugin lines of one, would each believe the files are theirs. */
static enum ft_status storage_refuse_used(struct ft_buf *why, const char *dir,
					  const struct ft_storage_lock *lock)
{
	long pid = storage_holder(lock);

	ft_buf_printf(why, "storage_dir %.300s is in use by another broker or plugin line "
		      "(process ", dir);
	if (pid > 0)
		ft_buf_printf(why, "%ld", pid);
	else
		ft_buf_str(why, "unknown");
	ft_buf_str(why, "): stop that one, or give each its own storage_dir");
	return FT_BUSY;
}

static enum ft_status storage_take(const char *dir, struct ft_storage_lock *lock,
				   struct ft_buf *why)
{
	lock->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock->dir < 0)
		return storage_refuse(why, dir, "cannot be locked");
	lock->file = openat(lock->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
			    STORAGE_LOCK_MODE);
	if (lock->file < 0)
		return storage_refuse(why, dir, "cannot be locked");
	if (flock(lock->file, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? storage_refuse_used(why, dir, lock)
					    : storage_refuse(why, dir, "cannot be locked");
	if (flock(lock->dir, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
		/* Somebody has removed the file that the holder had locked; this one is new. */
		(void)!ftruncate(lock->file, 0);
		return storage_refuse_used(why, dir, lock);
	}
	/* For the line above only: the locks hold without it. */
	if (fchmod(lock->file, STORAGE_LOCK_MODE) == 0 && ftruncate(lock->file, 0) == 0)
		(void)(dprintf(lock->file, "%ld\n", (long)getpid()) > 0);
	return FT_OK;
}

enum ft_status ft_storage_dir_lock(const char *dir, const char *fstab,
				   struct ft_storage_lock *lock, struct ft_buf *why)
{
	enum ft_status st;

	*lock = (struct ft_storage_lock)FT_STORAGE_LOCK_NONE;
	if ((st = storage_check_mounts(dir, fstab, why)) != FT_OK
	    || (st = storage_make(dir, why)) != FT_OK)
		return st;
	if ((st = storage_take(dir, lock, why)) != FT_OK)
		ft_storage_dir_unlock(lock);
	return st;
}

void ft_storage_dir_unlock(struct ft_storage_lock *lock)
{
	if (lock->file >= 0)
		close(lock->file);
	if (lock->dir >= 0)
		close(lock->dir);
	*lock = (struct ft_storage_lock)FT_STORAGE_LOCK_NONE;
}
