/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The file-system calls of the stores, in one place, so that EINTR and short transfers
 * are dealt with once. Each ft_sys_x() is x() with the same parameters and errno, repeated
 * on EINTR. Threads: any.
 */
#ifndef FT_BASE_SYS_H
#define FT_BASE_SYS_H

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "file_transfer/status.h"

#define FT_SYS_CALL(type, name, parameters, ...) \
	static inline type ft_sys_##name parameters \
	{ \
		type result; \
		do \
			result = name(__VA_ARGS__); \
		while (result == (type)-1 && errno == EINTR); \
		return result; \
	}

FT_SYS_CALL(int, openat, (int dir, const char *path, int flags, mode_t mode), dir, path, flags, mode)
FT_SYS_CALL(int, mkdirat, (int dir, const char *path, mode_t mode), dir, path, mode)
FT_SYS_CALL(int, fchmod, (int fd, mode_t mode), fd, mode)
FT_SYS_CALL(int, fchown, (int fd, uid_t user, gid_t group), fd, user, group)
FT_SYS_CALL(int, fstat, (int fd, struct stat *st), fd, st)
FT_SYS_CALL(int, fstatat, (int dir, const char *path, struct stat *st, int flags), dir, path, st, flags)

/* fchmod() where the mode is another: it costs a transaction of the journal even if nothing changes. */
static inline int ft_sys_set_mode(int fd, mode_t mode)
{
	struct stat st;

	if (ft_sys_fstat(fd, &st) != 0)
		return -1;
	return (st.st_mode & 07777) == mode ? 0 : ft_sys_fchmod(fd, mode);
}

FT_SYS_CALL(int, fstatvfs, (int fd, struct statvfs *st), fd, st)
FT_SYS_CALL(int, fsync, (int fd), fd)
FT_SYS_CALL(int, fdatasync, (int fd), fd)
FT_SYS_CALL(int, fallocate, (int fd, int mode, off_t offset, off_t len), fd, mode, offset, len)
FT_SYS_CALL(int, syncfs, (int fd), fd)
FT_SYS_CALL(int, ftruncate, (int fd, off_t len), fd, len)
FT_SYS_CALL(int, renameat, (int from_dir, const char *from, int to_dir, const char *to),
	    from_dir, from, to_dir, to)
FT_SYS_CALL(int, linkat, (int from_dir, const char *from, int to_dir, const char *to, int flags),
	    from_dir, from, to_dir, to, flags)
FT_SYS_CALL(int, unlinkat, (int dir, const char *path, int flags), dir, path, flags)
FT_SYS_CALL(int, flock, (int fd, int operation), fd, operation)
FT_SYS_CALL(void *, mmap, (void *at, size_t len, int protection, int flags, int fd, off_t offset),
	    at, len, protection, flags, fd, offset)
FT_SYS_CALL(ssize_t, getrandom, (void *bytes, size_t len, unsigned flags), bytes, len, flags)
FT_SYS_CALL(int, sync_file_range, (int fd, off_t offset, off_t len, unsigned flags),
	    fd, offset, len, flags)

/*
 * Reads what is in the page cache, and waits for nothing: -1 with EAGAIN where that is nothing,
 * less than `len` where it is not all. By number, since not all C libraries have it (preadv2(2),
 * RWF_NOWAIT).
 */
static inline ssize_t ft_sys_read_cached(int fd, void *bytes, size_t len, uint64_t offset)
{
	const struct iovec piece = { .iov_base = bytes, .iov_len = len };

	return (ssize_t)syscall(SYS_preadv2, fd, &piece, 1, (unsigned long)offset,
				sizeof(long) == 4 ? (unsigned long)(offset >> 32) : 0UL,
				0x08 /* RWF_NOWAIT */);
}

/* The next entry but "." and "..". NULL at the end (errno 0) or on error. */
static inline struct dirent *ft_sys_readdir(DIR *dir)
{
	struct dirent *entry;

	do {
		errno = 0;
		entry = readdir(dir);
	} while (entry && (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")));
	return entry;
}

/* Writes all of it. False: errno says why, and a part may have been written. */
static inline bool ft_sys_write_all(int fd, const void *bytes, size_t len, uint64_t offset)
{
	const char *from = bytes;

	while (len > 0) {
		ssize_t n = pwrite(fd, from, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO;
		if (n <= 0)
			return false;
		from += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return true;
}

/* Reads until `len` bytes or the end of the file; returns how many, or -1. */
static inline ssize_t ft_sys_read_all(int fd, void *bytes, size_t len, uint64_t offset)
{
	char *to = bytes;
	size_t got = 0;

	while (got < len) {
		ssize_t n = pread(fd, to + got, len - got, (off_t)(offset + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

/* What an errno means to a client. */
static inline enum ft_status ft_sys_status(int error)
{
	switch (error) {
	case ENOSPC:
	case EDQUOT:
		return FT_DISK_FULL;
	case EFBIG:
		return FT_FILE_TOO_LARGE;
	case ENOMEM:
		return FT_NO_MEMORY;
	case EMFILE:
	case ENFILE:
		return FT_BUSY;
	case ENOENT:
		return FT_NO_SUCH_TRANSFER;
	default:
		return FT_IO_ERROR;
	}
}

/* close() that keeps errno, so that it may stand between a failure and its report. */
static inline void ft_sys_close(int fd)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
}

/* fsync() of the directory that a name stands in: without it a power cut may take the name away. */
static inline int ft_sys_sync_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) + 1 : 1;
	char dir[PATH_MAX];
	int fd, result;

	assert(len < sizeof dir);	/* a longer one was refused when the file was made */
	memcpy(dir, slash ? path : ".", len);
	dir[len] = '\0';
	fd = ft_sys_openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	result = fd < 0 ? -1 : ft_sys_fsync(fd);
	ft_sys_close(fd);
	return result;
}

#endif
