/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "base/system.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "base/buf.h"

#define YEAR_0_MS INT64_C(-62167219200000)	/* 0000-01-01T00:00:00.000Z */
#define YEAR_9999_MS INT64_C(253402300799999)	/* 9999-12-31T23:59:59.999Z */

_Static_assert(FT_UUID_ROOM == UUID_STR_LEN, "libuuid's idea of a UUID");

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

void ft_uuid(char text[FT_UUID_ROOM])
{
	uuid_t uuid;

	uuid_generate_random(uuid);
	uuid_unparse_lower(uuid, text);
}

static bool read_boot_id(char text[FT_UUID_ROOM])
{
	uuid_t uuid;
	ssize_t got;
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	got = read(fd, text, FT_UUID_ROOM - 1);
	close(fd);
	text[FT_UUID_ROOM - 1] = '\0';
	return got == FT_UUID_ROOM - 1 && uuid_parse(text, uuid) == 0;
}

void ft_boot_id(char text[FT_UUID_ROOM])
{
	if (!read_boot_id(text))
		ft_uuid(text);
}
