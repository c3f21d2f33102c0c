/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Preloaded into the broker: tells how much of its heap is in use, which RSS does not,
 * since free memory is kept. On SIGRTMIN the next epoll_wait() writes three numbers to the
 * file that FT_HEAP_FILE names: how often it was asked, bytes in use, and those of them that
 * are SQLite's, whose caches have limits of their own.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static volatile sig_atomic_t asked;

static void on_signal(int number)
{
	(void)number;
	asked = 1;
}

__attribute__((constructor)) static void listen_for_signal(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGRTMIN, &action, NULL);
}

/* 0 as long as nobody has loaded the library: it comes with the plugin. */
static long long sqlite_used(void)
{
	static long long (*used)(void);
	void *library = used ? NULL : dlopen("libsqlite3.so.0", RTLD_LAZY | RTLD_NOLOAD);
	void *found = library ? dlsym(library, "sqlite3_memory_used") : NULL;

	if (found)
		memcpy(&used, &found, sizeof used);
	return used ? used() : 0;
}

static void tell(void)
{
	static unsigned int times;
	const char *path = getenv("FT_HEAP_FILE");
	struct mallinfo2 info = mallinfo2();
	char text[128];
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;

	if (fd < 0)
		return;
	/* Of one length, and in one piece. */
	snprintf(text, sizeof text, "%10u %20zu %20lld\n", ++times, info.uordblks + info.hblkhd,
		 sqlite_used());
	if (pwrite(fd, text, strlen(text), 0) < 0)
		perror("heap_probe");
	close(fd);
}

__attribute__((visibility("default")))
int epoll_wait(int epoll, struct epoll_event *events, int max, int timeout)
{
	static int (*next)(int, struct epoll_event *, int, int);

	if (!next) {
		void *found = dlsym(RTLD_NEXT, "epoll_wait");

		memcpy(&next, &found, sizeof next);
	}
	if (asked) {
		asked = 0;
		tell();
	}
	return next(epoll, events, max, timeout);
}
