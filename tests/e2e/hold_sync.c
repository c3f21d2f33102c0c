/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * LD_PRELOADed into a broker: while the file named by FT_HOLD exists, fsync() and
 * fdatasync() do not return, as on a disk that has stalled. While <FT_HOLD>.read
 * exists, each pread() outside the main thread takes 100 ms; while <FT_HOLD>.stall exists, it
 * does not return. While <FT_HOLD>.write exists, no pwrite() outside the main thread returns: what
 * is acknowledged stays in the log. So a test decides how long an assembly takes.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static void nap(long ms)
{
	struct timespec time = { .tv_sec = 0, .tv_nsec = ms * 1000000 };

	nanosleep(&time, NULL);
}

static int there(const char *suffix)
{
	const char *hold = getenv("FT_HOLD");
	char path[4096];

	if (!hold)
		return 0;
	snprintf(path, sizeof path, "%s%s", hold, suffix);
	return access(path, F_OK) == 0;
}

static void wait_for_release(void)
{
	while (there(""))
		nap(2);
}

int fsync(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");

	wait_for_release();
	return real(fd);
}

int fdatasync(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");

	wait_for_release();
	return real(fd);
}

static ssize_t slow_pread(const char *name, int fd, void *buffer, size_t len, off_t offset)
{
	ssize_t (*real)(int, void *, size_t, off_t) =
		(ssize_t (*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, name);

	if (gettid() != getpid() && there(".read"))
		nap(100);
	while (gettid() != getpid() && there(".stall"))
		nap(2);
	return real(fd, buffer, len, offset);
}

ssize_t pread(int fd, void *buffer, size_t len, off_t offset)
{
	return slow_pread("pread", fd, buffer, len, offset);
}

ssize_t pread64(int fd, void *buffer, size_t len, off_t offset)
{
	return slow_pread("pread64", fd, buffer, len, offset);
}

static ssize_t held_pwrite(const char *name, int fd, const void *buffer, size_t len, off_t offset)
{
	ssize_t (*real)(int, const void *, size_t, off_t) =
		(ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, name);

	while (gettid() != getpid() && there(".write"))
		nap(2);
	return real(fd, buffer, len, offset);
}

ssize_t pwrite(int fd, const void *buffer, size_t len, off_t offset)
{
	return held_pwrite("pwrite", fd, buffer, len, offset);
}

ssize_t pwrite64(int fd, const void *buffer, size_t len, off_t offset)
{
	return held_pwrite("pwrite64", fd, buffer, len, offset);
}
