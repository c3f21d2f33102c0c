/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Preloaded into a broker: its wall clock is two hours ahead while the file $SET_CLOCK is there. */
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static time_t ahead(void)
{
	const char *path = getenv("SET_CLOCK");

	return path && access(path, F_OK) == 0 ? 7200 : 0;
}

time_t time(time_t *to)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (to)
		*to = now.tv_sec;
	return now.tv_sec;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	static int (*real)(clockid_t, struct timespec *);
	int result;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	result = real(clock, now);
	if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
		now->tv_sec += ahead();
	return result;
}
