/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* UUIDs as they are made where libuuid is absent. test_system.c tests those that are used here. */
#include <check.h>
#include <errno.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/random.h>

static int interrupted;		/* how often the kernel is still interrupted */
static int kernel_error;	/* what getrandom() fails with; 0: it works */
static int crypto_result;	/* of RAND_bytes() */
static int pattern;		/* what is random; -1: something that is */

static ssize_t test_getrandom(void *bytes, size_t len, unsigned flags)
{
	if (interrupted-- > 0 || kernel_error) {
		errno = interrupted >= 0 ? EINTR : kernel_error;
		return -1;
	}
	memset(bytes, pattern, len);
	return pattern >= 0 ? (ssize_t)len : getrandom(bytes, len, flags);
}

static int test_rand_bytes(unsigned char *bytes, int len)
{
	memset(bytes, 0x11, (size_t)len);
	return crypto_result;
}

#undef FT_LIBUUID
#define getrandom test_getrandom
#define RAND_bytes test_rand_bytes
#define ft_uuid fallback_uuid
#include "base/uuid.c"

#include "../suite.h"

static void set_up(void)
{
	interrupted = kernel_error = 0;
	crypto_result = 1;
	pattern = -1;
}

START_TEST(test_uuid__has_version_and_variant_whatever_is_random)
{
	char text[FT_UUID_ROOM];

	pattern = 0x00;
	fallback_uuid(text);
	ck_assert_str_eq(text, "00000000-0000-4000-8000-000000000000");
	pattern = 0xff;
	fallback_uuid(text);
	ck_assert_str_eq(text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
}
END_TEST

START_TEST(test_uuid__differs_each_time)
{
	char texts[100][FT_UUID_ROOM];

	for (size_t i = 0; i < 100; i++) {
		fallback_uuid(texts[i]);
		ck_assert_uint_eq(strlen(texts[i]), FT_UUID_ROOM - 1);
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(texts[i], texts[j]);
	}
}
END_TEST

START_TEST(test_uuid__asks_again_when_interrupted)
{
	char text[FT_UUID_ROOM];

	interrupted = 3;
	pattern = 0x22;
	fallback_uuid(text);
	ck_assert_str_eq(text, "22222222-2222-4222-a222-222222222222");
}
END_TEST

START_TEST(test_uuid__asks_libcrypto_where_the_kernel_refuses)
{
	char text[FT_UUID_ROOM];

	kernel_error = EPERM;
	fallback_uuid(text);
	ck_assert_str_eq(text, "11111111-1111-4111-9111-111111111111");
}
END_TEST

START_TEST(test_uuid__differs_where_nothing_is_random)
{
	char first[FT_UUID_ROOM], second[FT_UUID_ROOM];

	kernel_error = ENOSYS;
	crypto_result = 0;
	fallback_uuid(first);
	fallback_uuid(second);
	ck_assert_str_ne(first, second);
}
END_TEST

FT_SUITE_WITH("uuid", set_up, NULL,
	      test_uuid__has_version_and_variant_whatever_is_random,
	      test_uuid__differs_each_time,
	      test_uuid__asks_again_when_interrupted,
	      test_uuid__asks_libcrypto_where_the_kernel_refuses,
	      test_uuid__differs_where_nothing_is_random);
