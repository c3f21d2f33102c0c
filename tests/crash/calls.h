/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The calls that change files, in the place of libc's. Each first lets another thread go
 * on, if it is its turn, then does the call and writes it down.
 */
#ifndef FT_TESTS_CRASH_CALLS_H
#define FT_TESTS_CRASH_CALLS_H

#include <sys/uio.h>

#include "tape.h"

int openat(int dir, const char *path, int flags, ...)
{
	const char *leaf;
	int parent = tape_parent(dir, path, &leaf), fd;
	struct stat info;
	mode_t mode = 0;
	va_list args;
	bool there;

	va_start(args, flags);
	if (flags & (O_CREAT | O_TMPFILE))
		mode = va_arg(args, mode_t);
	va_end(args);
	if (parent >= 0 && (flags & O_CREAT))
		turns_point();
	there = parent < 0 || fstatat(dir, path, &info, AT_SYMLINK_NOFOLLOW) == 0;
	fd = (int)syscall(SYS_openat, dir, path, flags, mode);
	if (fd < 0 || parent < 0)
		return fd;
	if ((flags & O_TMPFILE) == O_TMPFILE || (flags & (O_DSYNC | O_SYNC)))
		tape_unknown("openat() with these flags");
	if (!there && fstat(fd, &info) == 0)
		tape_add_made(parent, leaf, &info);
	else if (flags & O_TRUNC)
		tape_add_size(tape_node(fd), 0);
	return fd;
}

int mkdirat(int dir, const char *path, mode_t mode)
{
	const char *leaf;
	int parent = tape_parent(dir, path, &leaf), result;
	struct stat info;

	if (parent >= 0)
		turns_point();
	result = (int)syscall(SYS_mkdirat, dir, path, mode);
	if (result == 0 && parent >= 0 && fstatat(dir, path, &info, AT_SYMLINK_NOFOLLOW) == 0)
		tape_add_made(parent, leaf, &info);
	return result;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
	int node = tape_node(fd);
	ssize_t done;

	if (node >= 0)
		turns_point();
	done = syscall(SYS_pwrite64, fd, bytes, len, offset);
	if (done > 0 && node >= 0)
		tape_add_write(node, bytes, (size_t)done, (uint64_t)offset);
	return done;
}

ssize_t pwritev(int fd, const struct iovec *part, int parts, off_t offset)
{
	ssize_t sum = 0;

	/* Where one comes short, so does the whole. */
	for (int i = 0; i < parts; i++) {
		ssize_t done = pwrite(fd, part[i].iov_base, part[i].iov_len, offset + sum);

		if (done < 0)
			return sum > 0 ? sum : done;
		sum += done;
		if ((size_t)done < part[i].iov_len)
			break;
	}
	return sum;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
	if (tape_node(fd) >= 0)
		tape_unknown("write()");
	return syscall(SYS_write, fd, bytes, len);
}

int ftruncate(int fd, off_t len)
{
	int node = tape_node(fd), result;

	if (node >= 0)
		turns_point();
	result = (int)syscall(SYS_ftruncate, fd, len);
	if (result == 0 && node >= 0)
		tape_add_size(node, (uint64_t)len);
	return result;
}

/* A hole is zeros, as far as the file goes. */
static void calls_punch(int fd, int node, off_t offset, off_t len)
{
	struct stat info;
	char *zeros;

	if (fstat(fd, &info) != 0 || offset >= info.st_size)
		return;
	if (len > info.st_size - offset)
		len = info.st_size - offset;
	zeros = crash_need(calloc(1, (size_t)len));
	tape_add_write(node, zeros, (size_t)len, (uint64_t)offset);
	free(zeros);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
	int node = tape_node(fd), result;
	struct stat info;

	if (node >= 0)
		turns_point();
	if (node >= 0 && mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
		tape_unknown("fallocate() with this mode");
	result = (int)syscall(SYS_fallocate, fd, mode, offset, len);
	if (result == 0 && node >= 0 && mode & FALLOC_FL_PUNCH_HOLE)
		calls_punch(fd, node, offset, len);
	if (result == 0 && node >= 0 && fstat(fd, &info) == 0 && mode == 0)
		tape_add_size(node, (uint64_t)info.st_size);
	return result;
}

int posix_fallocate(int fd, off_t offset, off_t len)
{
	return fallocate(fd, 0, offset, len) == 0 ? 0 : errno;
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	const char *leaf, *to_leaf;
	int parent = tape_parent(from_dir, from, &leaf);
	int to_parent = tape_parent(to_dir, to, &to_leaf), result;
	struct tape_entry *entry;

	if (parent >= 0)
		turns_point();
	result = (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
	if (result != 0 || (parent < 0 && to_parent < 0))
		return result;
	if (parent < 0 || to_parent < 0 || flags & RENAME_WHITEOUT)
		tape_unknown("a rename over the border");
	entry = tape_add(flags & RENAME_EXCHANGE ? TAPE_SWAP : TAPE_RENAME, -1);
	entry->dir = parent;
	entry->name = crash_need(strdup(leaf));
	entry->to_dir = to_parent;
	entry->to_name = crash_need(strdup(to_leaf));
	return result;
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return renameat2(from_dir, from, to_dir, to, 0);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	const char *leaf;
	int parent = tape_parent(to_dir, to, &leaf), result;
	struct tape_entry *entry;
	struct stat info;

	if (parent >= 0)
		turns_point();
	result = (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
	if (result != 0 || parent < 0)
		return result;
	if (fstatat(to_dir, to, &info, AT_SYMLINK_NOFOLLOW) != 0
	    || tape_node_of(tapes.on, &info) < 0)
		tape_unknown("a link to something from elsewhere");
	entry = tape_add(TAPE_LINK, tape_node_of(tapes.on, &info));
	entry->dir = parent;
	entry->name = crash_need(strdup(leaf));
	return result;
}

int unlinkat(int dir, const char *path, int flags)
{
	const char *leaf;
	int parent = tape_parent(dir, path, &leaf), result;
	struct tape_entry *entry;

	if (parent >= 0)
		turns_point();
	result = (int)syscall(SYS_unlinkat, dir, path, flags);
	if (result != 0 || parent < 0)
		return result;
	entry = tape_add(TAPE_REMOVE, -1);
	entry->dir = parent;
	entry->name = crash_need(strdup(leaf));
	return result;
}

/* Nothing has to wait for a disk here. */
static int calls_sync(int fd, enum tape_op op, const void *from)
{
	int node = tape_node(fd);

	if (node < 0)
		return 0;
	turns_point();
	if (!tape_drops(from))
		tape_add(op, node);
	return 0;
}

int fsync(int fd)
{
	return calls_sync(fd, TAPE_SYNC, __builtin_return_address(0));
}

int fdatasync(int fd)
{
	return calls_sync(fd, TAPE_SYNC, __builtin_return_address(0));
}

int syncfs(int fd)
{
	return calls_sync(fd, TAPE_SYNC_ALL, __builtin_return_address(0));
}

/* A hint: it promises nothing (sync_file_range(2): "extremely dangerous"). */
int sync_file_range(int fd, off_t offset, off_t len, unsigned flags)
{
	(void)fd;
	(void)offset;
	(void)len;
	(void)flags;
	return 0;
}

#endif
