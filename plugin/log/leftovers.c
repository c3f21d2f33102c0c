/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Logs that nobody will ever open again: a broker was killed, and its storage_dir deleted. In
 * memory they stay until the machine boots.
 *
 * The name of a log has the inode of its storage_dir in it, so once the path leads to another
 * directory, or to none, no start finds it, unless that is brought back. A file system that is
 * not mounted just now has not lost anything: the directory must be missing in the very file
 * system in which it was. Of another container with the same /dev/shm nothing can be said.
 */
#include <sys/stat.h>

#include "base/sys.h"
#include "base/system.h"
#include "log/log_private.h"
#include "log/place.h"

#define LEFTOVERS_PREFIX "mosquitto-file-transfer-"
#define LEFTOVERS_NEW ".new"		/* one that was being made */

struct leftover {
	struct ft_logger *logger;
	int dir;
	const char *name;
	int fd;
	struct stat info;
	struct log_header header;
};

static bool leftover_is_log(const char *name)
{
	return strncmp(name, LEFTOVERS_PREFIX, sizeof LEFTOVERS_PREFIX - 1) == 0;
}

/* A file of ours that says whose it is. */
static bool leftover_open(struct leftover *left)
{
	struct log_header *header = &left->header;

	left->fd = ft_sys_openat(left->dir, left->name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	return left->fd >= 0 && ft_sys_fstat(left->fd, &left->info) == 0 && S_ISREG(left->info.st_mode)
	       && left->info.st_uid == geteuid()
	       && ft_sys_read_all(left->fd, header, sizeof *header, 0) == sizeof *header
	       && memcmp(header->magic, ft_log_magic, sizeof header->magic) == 0
	       && ft_le32(header->version) == LOG_VERSION
	       && header->whose[0] != '\0' && memchr(header->whose, '\0', sizeof header->whose);
}

/* The device of the deepest directory of a path that is there. */
static bool leftover_device(const char *path, dev_t *device)
{
	char room[FT_LOG_WHOSE_ROOM];
	struct stat info;
	char *slash;

	snprintf(room, sizeof room, "%s", path);
	while (stat(room, &info) != 0) {
		if ((errno != ENOENT && errno != ENOTDIR) || !(slash = strrchr(room, '/')) || slash == room)
			return false;
		*slash = '\0';
	}
	*device = info.st_dev;
	return true;
}

/* Whether the storage_dir is gone for all that can be known; *path is where it was. */
static bool leftover_is_nobodys(const struct leftover *left, const char **path)
{
	unsigned long long dev, ino, root_dev, root_ino;
	struct stat root, found;
	dev_t device;
	int at = 0;

	if (sscanf(left->header.whose, "%llu %llu %llu %llu %n", &dev, &ino, &root_dev, &root_ino, &at) != 4
	    || at == 0 || left->header.whose[at] != '/')
		return false;
	*path = left->header.whose + at;
	if (stat("/", &root) != 0 || root.st_dev != (dev_t)root_dev || root.st_ino != (ino_t)root_ino)
		return false;
	if (stat(*path, &found) == 0)
		return found.st_dev == (dev_t)dev && found.st_ino != (ino_t)ino;
	return (errno == ENOENT || errno == ENOTDIR) && leftover_device(*path, &device)
	       && device == (dev_t)dev;
}

/* Whether a record is in it that was not stored. */
static bool leftover_has_records(const struct leftover *left)
{
	uint64_t tail = ft_le64(left->header.tail), size = ft_le64(left->header.size), mark;

	if (size == 0 || (uint64_t)left->info.st_size != sizeof left->header + size)
		return false;	/* it was never used */
	if (ft_sys_read_all(left->fd, &mark, sizeof mark, sizeof left->header + tail % size)
	    != sizeof mark)
		return true;	/* who knows */
	return ft_le64(mark) == (tail ^ ft_le64(left->header.salt));
}

/* Whether the name still is this very file, and so nobody's. */
static bool leftover_remove(const struct leftover *left)
{
	struct stat now;

	return ft_sys_fstatat(left->dir, left->name, &now, AT_SYMLINK_NOFOLLOW) == 0
	       && now.st_ino == left->info.st_ino && now.st_dev == left->info.st_dev
	       && ft_sys_unlinkat(left->dir, left->name, 0) == 0;
}

/* A log is locked only when it is nobody's: its broker may be starting just now. */
static void leftover_judge(struct leftover *left)
{
	const char *path;

	if (!leftover_open(left) || !leftover_is_nobodys(left, &path)
	    || ft_sys_flock(left->fd, LOCK_EX | LOCK_NB) != 0)
		return;
	if (leftover_has_records(left))
		ft_logger_printf(left->logger, FT_LOG_WARNING, "the log %s holds what was acknowledged for "
				 "storage_dir %.200s, which is not there any more: remove it if that is "
				 "gone for good", left->name, path);
	else if (leftover_remove(left))
		ft_logger_printf(left->logger, FT_LOG_NOTICE, "the log %s is removed: its storage_dir "
				 "%.200s is not there any more", left->name, path);
}

void ft_log_remove_leftovers(const char *path, struct ft_logger *logger)
{
	const char *own = strrchr(path, '/') + 1;
	char dir_path[FT_LOG_PATH_ROOM];
	struct dirent *entry;
	DIR *dir;

	if (!leftover_is_log(own))
		return;
	snprintf(dir_path, sizeof dir_path, "%.*s", (int)(own - path), path);
	if (!(dir = opendir(dir_path)))
		return;
	while ((entry = ft_sys_readdir(dir)) != NULL) {
		struct leftover left = {
			.logger = logger, .dir = dirfd(dir), .name = entry->d_name, .fd = -1,
		};

		if (leftover_is_log(entry->d_name) && strcmp(entry->d_name, own) != 0)
			leftover_judge(&left);
		ft_sys_close(left.fd);
	}
	closedir(dir);
}
