/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "base/system.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hex.h"

#define YEAR_0_MS INT64_C(-62167219200000)	/* 0000-01-01T00:00:00.000Z */
#define YEAR_9999_MS INT64_C(253402300799999)	/* 9999-12-31T23:59:59.999Z */

static int64_t clock_now_ms(clockid_t clock)
{
	struct timespec now;

	/* Cannot fail: these clocks exist on every kernel this runs on. */
	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t ft_clock_ms(void)
{
	return clock_now_ms(CLOCK_MONOTONIC);
}

int64_t ft_clock_coarse_ms(void)
{
	return clock_now_ms(CLOCK_MONOTONIC_COARSE);
}

int64_t ft_clock_unix_ms(void)
{
	return clock_now_ms(CLOCK_REALTIME);
}

void ft_sleep_ms(int ms)
{
	const struct timespec moment = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&moment, NULL);
}

void ft_rfc3339(char text[FT_RFC3339_ROOM], int64_t unix_ms)
{
	struct ft_buf buf = ft_buf_on(text, FT_RFC3339_ROOM);
	struct tm utc;
	time_t seconds;
	int ms;

	/* RFC 3339 knows years of four digits; what clients ask for may lie beyond. */
	if (unix_ms < YEAR_0_MS)
		unix_ms = YEAR_0_MS;
	if (unix_ms > YEAR_9999_MS)
		unix_ms = YEAR_9999_MS;
	ms = (int)(unix_ms % 1000);
	if (ms < 0)
		ms += 1000;
	seconds = (time_t)((unix_ms - ms) / 1000);
	gmtime_r(&seconds, &utc);
	ft_buf_printf(&buf, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900,
		      utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms);
}

/* glibc's strerror_r() returns the text, that of POSIX (musl) an error, and fills `room`. */
#define SYSTEM_ERROR_TEXT(error, room) _Generic(strerror_r(error, room, FT_ERROR_ROOM), \
	char *: strerror_r(error, room, FT_ERROR_ROOM), \
	int: (strerror_r(error, room, FT_ERROR_ROOM), (room)))

const char *ft_error_text(int error, char room[FT_ERROR_ROOM])
{
	room[0] = '\0';
	return SYSTEM_ERROR_TEXT(error, room);
}

static bool system_is_uuid(const char text[FT_UUID_ROOM])
{
	static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	for (size_t i = 0; i < sizeof shape; i++)
		if (shape[i] == 'x' ? ft_hex_digit(text[i]) < 0 : text[i] != shape[i])
			return false;
	return true;
}

bool ft_boot_id(char text[FT_UUID_ROOM])
{
	ssize_t got;
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	got = read(fd, text, FT_UUID_ROOM - 1);
	close(fd);
	text[FT_UUID_ROOM - 1] = '\0';
	return got == FT_UUID_ROOM - 1 && system_is_uuid(text);
}
