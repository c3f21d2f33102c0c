/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "base/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sys.h"

#define BENEATH_OPENAT2 437	/* by number: C libraries have no function, and not all systems the header */
#define BENEATH_RESOLVE 0x08	/* RESOLVE_BENEATH */
#define BENEATH_TRIES 8

static int beneath_fail(int error)
{
	errno = error;
	return -1;
}

/* Opens the first name of a path; what comes behind it, or NULL. */
static int beneath_step(int dir, const char **path, int flags)
{
	const char *end = strchrnul(*path, '/');
	size_t len = (size_t)(end - *path);
	char name[NAME_MAX + 1];

	if (len > NAME_MAX)
		return beneath_fail(ENAMETOOLONG);
	memcpy(name, *path, len);
	name[len] = '\0';
	*path = *end ? end + 1 : NULL;
	if (len == 0 || strcmp(name, "..") == 0)
		return beneath_fail(EXDEV);
	if (*path)
		flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	return ft_sys_openat(dir, name, flags | O_NOFOLLOW, 0);
}

/* O_PATH opens a link itself. */
static int beneath_no_link(int fd)
{
	struct stat st;

	if (fd < 0 || ft_sys_fstat(fd, &st) != 0 || !S_ISLNK(st.st_mode))
		return fd;
	ft_sys_close(fd);
	return beneath_fail(ELOOP);
}

int ft_open_beneath_by_steps(int dir, const char *path, int flags)
{
	int at = dir, fd;

	do {
		fd = beneath_step(at, &path, flags);
		if (at != dir)
			ft_sys_close(at);
		at = fd;
	} while (fd >= 0 && path);
	return flags & O_PATH ? beneath_no_link(fd) : fd;
}

int ft_open_beneath(int dir, const char *path, int flags)
{
	const struct {
		uint64_t flags, mode, resolve;
	} how = { .flags = (uint64_t)flags, .resolve = BENEATH_RESOLVE };
	int fd, tries = 0;

	/* EAGAIN: something was renamed meanwhile. */
	do
		fd = (int)syscall(BENEATH_OPENAT2, dir, path, &how, sizeof how);
	while (fd < 0 && (errno == EINTR || (errno == EAGAIN && ++tries < BENEATH_TRIES)));
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = ft_open_beneath_by_steps(dir, path, flags);
	return fd;
}
