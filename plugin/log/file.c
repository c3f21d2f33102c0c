/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "log/file.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/sys.h"
#include "base/system.h"

#define FILE_CHUNK ((size_t)256 * 1024)
#define FILE_MODE 0600		/* what clients sent is nobody else's */
#define FILE_FLAGS (O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)

enum ft_status ft_log_file_failed(struct ft_logger *logger, const char *what, const char *path)
{
	int error = errno;
	enum ft_status st = ft_sys_status(error);
	char room[FT_ERROR_ROOM];

	ft_logger_printf(logger, FT_LOG_ERROR, "log: cannot %s %s: %s", what, path,
			 ft_error_text(error, room));
	if (st == FT_DISK_FULL || st == FT_NO_MEMORY)
		return st;
	return FT_IO_ERROR;
}

/* Storage has a lock of its own; this one is for a log_dir that two brokers were given. */
static enum ft_status file_lock(const char *path, int fd, struct ft_logger *logger)
{
	if (ft_sys_flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return FT_OK;	/* some file systems have no locks */
	ft_logger_printf(logger, FT_LOG_ERROR,
			 "log: %s is in use by another broker: give each a log_dir of its own", path);
	return FT_BUSY;
}

enum ft_status ft_log_file_open(const char *path, struct ft_logger *logger, int *fd)
{
	enum ft_status st;

	*fd = ft_sys_openat(AT_FDCWD, path, FILE_FLAGS, 0);
	if (*fd < 0 && errno == ENOENT)
		return FT_OK;
	if (*fd < 0)
		return ft_log_file_failed(logger, "open", path);
	st = file_lock(path, *fd, logger);
	if (st != FT_OK) {
		ft_sys_close(*fd);
		*fd = -1;
	}
	return st;
}

enum ft_status ft_log_file_remove(const char *path, struct ft_logger *logger)
{
	struct stat found;

	/* Looked at first: what is not there cannot be removed from a read-only file system. */
	if ((ft_sys_fstatat(AT_FDCWD, path, &found, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
	    || ft_sys_unlinkat(AT_FDCWD, path, 0) == 0 || errno == ENOENT)
		return FT_OK;
	return ft_log_file_failed(logger, "remove", path);
}

static bool file_write_zeros(int fd, uint64_t from, uint64_t to)
{
	char *zeros = calloc(1, FILE_CHUNK);
	bool ok = zeros != NULL;

	while (ok && from < to) {
		size_t len = to - from < FILE_CHUNK ? (size_t)(to - from) : FILE_CHUNK;

		ok = ft_sys_write_all(fd, zeros, len, from);
		from += len;
	}
	free(zeros);
	return ok;
}

/* A name that was not synced may be gone after a power cut, and with it all that is in the log. */
static bool file_sync_directory(const char *path)
{
	char room[PATH_MAX];
	struct ft_buf dir = ft_buf_on(room, sizeof room);
	const char *slash = strrchr(path, '/');
	bool ok;
	int fd;

	if (slash == path)
		ft_buf_char(&dir, '/');
	else if (slash)
		ft_buf_bytes(&dir, path, (size_t)(slash - path));
	else
		ft_buf_char(&dir, '.');
	assert(ft_buf_ok(&dir));	/* a longer path was refused by open() */
	fd = ft_sys_openat(AT_FDCWD, room, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	ok = fd >= 0 && ft_sys_fsync(fd) == 0;
	ft_sys_close(fd);
	return ok;
}

static enum ft_status file_make_as(const char *path, const char *aside, const void *begin,
				   size_t begin_len, uint64_t len, struct ft_logger *logger,
				   int fd)
{
	enum ft_status st = file_lock(aside, fd, logger);

	if (st != FT_OK)
		return st;
	/* Mode: a umask may have taken even our own bits. */
	if (ft_sys_set_mode(fd, FILE_MODE) != 0
	    || !ft_sys_write_all(fd, begin, begin_len, 0)
	    || !file_write_zeros(fd, begin_len, len)
	    || ft_sys_fsync(fd) != 0
	    || ft_sys_renameat(AT_FDCWD, aside, AT_FDCWD, path) != 0
	    || !file_sync_directory(path))
		return ft_log_file_failed(logger, "make", path);
	return FT_OK;
}

enum ft_status ft_log_file_make(const char *path, const void *begin, size_t begin_len,
				uint64_t len, struct ft_logger *logger, int *fd)
{
	char room[PATH_MAX];
	struct ft_buf aside = ft_buf_on(room, sizeof room);
	enum ft_status st;

	*fd = -1;
	ft_buf_str(&aside, path);
	ft_buf_str(&aside, ".new");
	if (!ft_buf_ok(&aside)) {
		errno = ENAMETOOLONG;
		return ft_log_file_failed(logger, "make", path);
	}
	/* One that a killed broker left behind. */
	if ((st = ft_log_file_remove(room, logger)) != FT_OK)
		return st;
	*fd = ft_sys_openat(AT_FDCWD, room, FILE_FLAGS | O_CREAT | O_EXCL, FILE_MODE);
	if (*fd < 0)
		return ft_log_file_failed(logger, "make", room);
	st = file_make_as(path, room, begin, begin_len, len, logger, *fd);
	if (st != FT_OK) {
		/* Its new name, if it has it, may not be on the disk: it must not be used. */
		unlink(room);
		unlink(path);
		ft_sys_close(*fd);
		*fd = -1;
	}
	return st;
}
