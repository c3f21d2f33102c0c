/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *boot_id_path;	/* what is read instead of the kernel's; NULL: the kernel's */

static int test_open(const char *path, int flags)
{
	return open(boot_id_path ? boot_id_path : path, flags);
}

#define open test_open
#include "base/system.c"

#include "base/sys.h"
#include "../suite.h"
#undef open

static const char *rfc3339(int64_t unix_ms)
{
	static char text[FT_RFC3339_ROOM];

	memset(text, '~', sizeof text);
	ft_rfc3339(text, unix_ms);
	return text;
}

START_TEST(test_system__tells_the_time_coarsely)
{
	int64_t before_ms = ft_clock_ms();
	int64_t coarse_ms;

	/* Behind by a tick of the kernel's, but it goes on. */
	do {
		coarse_ms = ft_clock_coarse_ms();
		ck_assert_int_le(coarse_ms, ft_clock_ms());
	} while (coarse_ms <= before_ms);
}
END_TEST

START_TEST(test_system__writes_times_as_rfc_3339)
{
	ck_assert_str_eq(rfc3339(0), "1970-01-01T00:00:00.000Z");
	ck_assert_str_eq(rfc3339(1), "1970-01-01T00:00:00.001Z");
	ck_assert_str_eq(rfc3339(1769903999123), "2026-01-31T23:59:59.123Z");
	ck_assert_str_eq(rfc3339(951782400000), "2000-02-29T00:00:00.000Z");
	ck_assert_str_eq(rfc3339(4107542399999), "2100-02-28T23:59:59.999Z");
}
END_TEST

START_TEST(test_system__writes_times_before_1970)
{
	ck_assert_str_eq(rfc3339(-1), "1969-12-31T23:59:59.999Z");
	ck_assert_str_eq(rfc3339(-1000), "1969-12-31T23:59:59.000Z");
	ck_assert_str_eq(rfc3339(-1001), "1969-12-31T23:59:58.999Z");
}
END_TEST

START_TEST(test_system__clamps_times_that_rfc_3339_cannot_say)
{
	ck_assert_str_eq(rfc3339(YEAR_9999_MS), "9999-12-31T23:59:59.999Z");
	ck_assert_str_eq(rfc3339(YEAR_9999_MS + 1), "9999-12-31T23:59:59.999Z");
	ck_assert_str_eq(rfc3339(INT64_MAX), "9999-12-31T23:59:59.999Z");
	ck_assert_str_eq(rfc3339(YEAR_0_MS), "0000-01-01T00:00:00.000Z");
	ck_assert_str_eq(rfc3339(YEAR_0_MS - 1), "0000-01-01T00:00:00.000Z");
	ck_assert_str_eq(rfc3339(INT64_MIN), "0000-01-01T00:00:00.000Z");
}
END_TEST

START_TEST(test_system__writes_times_in_utc_wherever_it_runs)
{
	setenv("TZ", "Asia/Kathmandu", 1);
	tzset();
	ck_assert_str_eq(rfc3339(1769903999123), "2026-01-31T23:59:59.123Z");
}
END_TEST

START_TEST(test_system__clocks_run_in_milliseconds)
{
	int64_t unix_seconds = time(NULL);
	int64_t unix_ms = ft_clock_unix_ms();
	int64_t before = ft_clock_ms();
	struct timespec spin, now;

	ck_assert_int_ge(unix_ms / 1000, unix_seconds);
	ck_assert_int_le(unix_ms / 1000, unix_seconds + 60);
	clock_gettime(CLOCK_MONOTONIC, &spin);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - spin.tv_sec) * 1000000000 + now.tv_nsec - spin.tv_nsec < 3000000);
	ck_assert_int_ge(ft_clock_ms(), before + 2);
	ck_assert_int_le(ft_clock_ms(), before + 60000);
}
END_TEST

static void check_random_uuid(const char *text)
{
	static const char shape[] = "xxxxxxxx-xxxx-4xxx-vxxx-xxxxxxxxxxxx";

	ck_assert_uint_eq(strlen(text), FT_UUID_ROOM - 1);
	for (size_t i = 0; shape[i]; i++) {
		const char *allowed = shape[i] == 'x' ? "0123456789abcdef" :
				      shape[i] == 'v' ? "89ab" : shape[i] == '4' ? "4" : "-";

		ck_assert_msg(strchr(allowed, text[i]), "%s", text);
	}
}

START_TEST(test_system__makes_random_uuids)
{
	char first[FT_UUID_ROOM];
	char second[FT_UUID_ROOM];

	ft_uuid(first);
	ft_uuid(second);
	check_random_uuid(first);
	check_random_uuid(second);
	ck_assert_str_ne(first, second);
}
END_TEST

START_TEST(test_system__boot_id_is_the_kernels)
{
	char expected[FT_UUID_ROOM] = "";
	char text[FT_UUID_ROOM];
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");

	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(expected, sizeof expected, file));
	fclose(file);
	for (int i = 0; i < 2; i++) {
		ck_assert(ft_boot_id(text));
		ck_assert_str_eq(text, expected);
	}
}
END_TEST

START_TEST(test_system__boot_id_may_be_unknown)
{
	static const char *const paths[] = { "/nonexistent/boot_id", "/dev/null", "/dev/zero", "/" };
	char text[FT_UUID_ROOM];

	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		boot_id_path = paths[i];
		ck_assert(!ft_boot_id(text));
	}
}
END_TEST

START_TEST(test_system__says_errors_as_strerror_does)
{
	static const int errors[] = { ENOENT, EDQUOT, 0, -1, 99999 };

	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
		char room[FT_ERROR_ROOM];

		memset(room, '~', sizeof room);
		ck_assert_str_eq(ft_error_text(errors[i], room), strerror(errors[i]));
	}
}
END_TEST

/* On 32 bit, too: stat() of such a file fails where seconds have 32 bits. */
START_TEST(test_system__knows_files_of_the_years_after_2038)
{
	const struct timespec times[2] = { { .tv_sec = (time_t)2240611200 },
					   { .tv_sec = (time_t)2240611200 } };	/* 2041-01-01 */
	FILE *file = tmpfile();
	struct stat st;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(futimens(fileno(file), times), 0);
	ck_assert_int_eq(ft_sys_fstat(fileno(file), &st), 0);
	ck_assert_int_eq((int64_t)st.st_mtime, INT64_C(2240611200));
	fclose(file);
}
END_TEST

FT_SUITE("system",
	 test_system__tells_the_time_coarsely,
	 test_system__writes_times_as_rfc_3339,
	 test_system__writes_times_before_1970,
	 test_system__clamps_times_that_rfc_3339_cannot_say,
	 test_system__writes_times_in_utc_wherever_it_runs,
	 test_system__clocks_run_in_milliseconds,
	 test_system__makes_random_uuids,
	 test_system__boot_id_is_the_kernels,
	 test_system__boot_id_may_be_unknown,
	 test_system__says_errors_as_strerror_does,
	 test_system__knows_files_of_the_years_after_2038);
