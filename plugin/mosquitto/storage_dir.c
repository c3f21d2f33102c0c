/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "mosquitto/storage_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define USER_ROOM 64
#define LOOKUP_ROOM 4096

/* The name of the user the broker runs as, or its number. */
static void user_name(struct ft_buf *name)
{
	char room[LOOKUP_ROOM];
	struct passwd entry, *found = NULL;

	if (getpwuid_r(geteuid(), &entry, room, sizeof room, &found) == 0 && found)
		ft_buf_str(name, found->pw_name);
	else
		ft_buf_u64(name, geteuid());
}

static enum ft_status refuse(struct ft_buf *why, const char *dir, const char *what, int error)
{
	char room[USER_ROOM];
	struct ft_buf user = ft_buf_on(room, sizeof room);

	user_name(&user);
	ft_buf_printf(why, "storage_dir %.300s %s", dir, what);
	if (error == EACCES || error == EPERM || error == EROFS)
		ft_buf_printf(why, " by user %s", room);
	ft_buf_printf(why, ": %s", strerror(error));
	return FT_IO_ERROR;
}

/* Several brokers, or several plugin lines of one, would each believe the files are theirs. */
static enum ft_status refuse_used(struct ft_buf *why, const char *dir, int lock)
{
	char owner[32];
	ssize_t len = pread(lock, owner, sizeof owner - 1, 0);

	owner[len > 0 ? len : 0] = '\0';
	owner[strcspn(owner, "\n")] = '\0';
	ft_buf_printf(why, "storage_dir %.300s is in use by another broker or plugin line "
		      "(process %s): stop that one, or give each its own storage_dir",
		      dir, *owner ? owner : "unknown");
	return FT_BUSY;
}

static enum ft_status make(const char *dir, struct ft_buf *why)
{
	struct stat info;

	if (mkdir(dir, 0750) != 0 && errno != EEXIST)
		return refuse(why, dir, "cannot be made", errno);
	if (stat(dir, &info) != 0)
		return refuse(why, dir, "cannot be used", errno);
	if (!S_ISDIR(info.st_mode))
		return refuse(why, dir, "is not a directory", ENOTDIR);
	if (access(dir, R_OK | W_OK | X_OK) != 0)
		return refuse(why, dir, "is not writable", errno);
	return FT_OK;
}

enum ft_status ft_storage_dir_lock(const char *dir, int *lock, struct ft_buf *why)
{
	enum ft_status st;
	int dir_fd;

	if ((st = make(dir, why)) != FT_OK)
		return st;
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*lock = dir_fd < 0 ? -1 : openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
					 0640);
	if (*lock < 0)
		st = refuse(why, dir, "cannot be locked", errno);
	if (dir_fd >= 0)
		close(dir_fd);
	if (*lock < 0)
		return st;
	if (flock(*lock, LOCK_EX | LOCK_NB) != 0) {
		st = errno == EWOULDBLOCK ? refuse_used(why, dir, *lock)
					  : refuse(why, dir, "cannot be locked", errno);
		ft_storage_dir_unlock(lock);
		return st;
	}
	/* For the line above only: the lock holds without it. */
	if (ftruncate(*lock, 0) == 0)
		(void)(dprintf(*lock, "%ld\n", (long)getpid()) > 0);
	return FT_OK;
}

void ft_storage_dir_unlock(int *lock)
{
	if (*lock >= 0)
		close(*lock);
	*lock = -1;
}
