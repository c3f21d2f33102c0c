/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "process.h"

#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#define PROCESS_KEPT (64 * 1024 * 1024)

volatile sig_atomic_t process_stopped;

static void process_on_stop(int number)
{
	process_stopped = number;
}

void process_catch(int number, void (*handler)(int number), sigset_t *shut)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };

	sigaction(number, &action, NULL);
	sigaddset(shut, number);
	sigprocmask(SIG_BLOCK, shut, NULL);
}

void process_catch_stops(sigset_t *open, sigset_t *shut)
{
	static const int stops[] = { SIGINT, SIGTERM, SIGHUP };
	/* A second one ends us even where looking up a name takes its time. */
	struct sigaction action = { .sa_handler = process_on_stop,
				    .sa_flags = (int)(SA_RESETHAND | SA_RESTART) };

	sigemptyset(shut);
	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
		struct sigaction old;
		/* As nohup has set it. */
		if (stops[i] == SIGHUP && sigaction(SIGHUP, NULL, &old) == 0 &&
		    old.sa_handler == SIG_IGN)
			continue;
		sigaction(stops[i], &action, NULL);
		sigaddset(shut, stops[i]);
	}
	sigprocmask(SIG_BLOCK, shut, open);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

void process_occupy_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

void process_keep_memory(void)
{
#ifdef __GLIBC__
	mallopt(M_MMAP_THRESHOLD, PROCESS_KEPT);
	mallopt(M_TRIM_THRESHOLD, PROCESS_KEPT);
#endif
}

int64_t process_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
