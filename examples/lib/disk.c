/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *disk_read(const char *path, size_t max, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	char *text = size > 0 && (uintmax_t)size <= max ? malloc((size_t)size) : NULL;
	ssize_t got = text ? pread(fd, text, (size_t)size, 0) : -1;
	int error = size > 0 ? errno : ENODATA;

	if (fd >= 0)
		close(fd);
	if (got < 0) {
		free(text);
		errno = fd < 0 ? errno : error;
		return NULL;
	}
	*len = (size_t)got;
	return text;
}

bool disk_write(int fd, const void *bytes, size_t len)
{
	const char *next = bytes;

	while (len > 0) {
		ssize_t put = write(fd, next, len);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return false;
		next += put;
		len -= (size_t)put;
	}
	return true;
}

bool disk_write_at(int fd, const void *bytes, size_t len, off_t offset)
{
	const char *next = bytes;

	while (len > 0) {
		ssize_t put = pwrite(fd, next, len, offset);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return false;
		next += put;
		offset += put;
		len -= (size_t)put;
	}
	return true;
}

bool disk_read_at(int fd, void *bytes, size_t len, off_t offset)
{
	char *next = bytes;

	while (len > 0) {
		ssize_t got = pread(fd, next, len, offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		next += got;
		offset += got;
		len -= (size_t)got;
	}
	return true;
}

void disk_sync_folder(const char *path)
{
	char *copy = strdup(path);
	int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		(void)fsync(fd);
		close(fd);
	}
	free(copy);
}

static bool disk_replace_by(const char *path, const char *temporary, const char *text)
{
	int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool ok = fd >= 0 && disk_write(fd, text, strlen(text)) && fsync(fd) == 0;

	if (fd >= 0)
		ok = close(fd) == 0 && ok;
	ok = ok && rename(temporary, path) == 0;
	if (ok) {
		disk_sync_folder(path);
	} else {
		int error = errno;
		unlink(temporary);
		errno = error;
	}
	return ok;
}

bool disk_replace(const char *path, const char *text)
{
	char *temporary = NULL;

	if (asprintf(&temporary, "%s.%ld.tmp", path, (long)getpid()) < 0)
		return false;
	bool ok = disk_replace_by(path, temporary, text);
	int error = errno;
	free(temporary);
	errno = error;
	return ok;
}
