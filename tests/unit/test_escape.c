/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <check.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <time.h>

#include "base/escape.h"
#include "base/utf8.h"

#include "../suite.h"

static char name[FT_NAME_ROOM];

static const char *escape(const char *id, size_t id_len)
{
	memset(name, '~', sizeof name);
	ck_assert_uint_eq(ft_escape(name, id, id_len), strlen(name));
	return name;
}

static void becomes(const char *id, const char *expected)
{
	ck_assert_str_eq(escape(id, strlen(id)), expected);
}

START_TEST(test_escape__leaves_plain_ids_alone)
{
	becomes("abcxyzABCXYZ0189._-", "abcxyzABCXYZ0189._-");
	becomes("3f1c7a52-93a0-4e6f-9d0a-2b8d7a1c5e44", "3f1c7a52-93a0-4e6f-9d0a-2b8d7a1c5e44");
	becomes("a..b", "a..b");
	becomes("a.", "a.");
}
END_TEST

START_TEST(test_escape__makes_harmless_what_climbs_or_hides)
{
	becomes(".", "%2E");
	becomes("..", "%2E.");
	becomes("...", "%2E..");
	becomes(".x", "%2Ex");
	becomes("../..", "%2E.%2F..");
	becomes("/etc/passwd", "%2Fetc%2Fpasswd");
	becomes("a/../b", "a%2F..%2Fb");
}
END_TEST

START_TEST(test_escape__names_the_empty_id)
{
	becomes("", "%");
	ck_assert_str_eq(escape(NULL, 0), "%");
}
END_TEST

START_TEST(test_escape__escapes_the_escape)
{
	becomes("%", "%25");
	becomes("%2F", "%252F");
	becomes("%%", "%25%25");
	becomes("%sha256-", "%25sha256-");
}
END_TEST

START_TEST(test_escape__escapes_all_other_ascii)
{
	becomes(" !\"#$&'()*+,", "%20%21%22%23%24%26%27%28%29%2A%2B%2C");
	becomes(":;<=>?@[\\]^`{|}~", "%3A%3B%3C%3D%3E%3F%40%5B%5C%5D%5E%60%7B%7C%7D%7E");
	becomes("\n\x01\x7f", "%0A%01%7F");
	ck_assert_str_eq(escape("a\0b", 3), "a%00b");
}
END_TEST

START_TEST(test_escape__keeps_valid_utf8)
{
	becomes("caf\xc3\xa9", "caf\xc3\xa9");
	becomes("\xf0\x9f\x92\xa9/", "\xf0\x9f\x92\xa9%2F");
}
END_TEST

START_TEST(test_escape__escapes_all_non_ascii_where_one_byte_is_no_utf8)
{
	becomes("caf\xe9", "caf%E9");
	becomes("\xc3\xa9\xff", "%C3%A9%FF");
	becomes("\xc0\xaf", "%C0%AF");
	becomes("\xed\xa0\x80", "%ED%A0%80");
	becomes("a\xc3", "a%C3");
}
END_TEST

START_TEST(test_escape__hashes_what_is_longer_than_255_bytes)
{
	char id[70000];

	memset(id, 'a', sizeof id);
	ck_assert_uint_eq(strlen(escape(id, 255)), 255);
	ck_assert_mem_eq(name, id, 255);
	ck_assert_str_eq(escape(id, 256), "%sha256-"
			 "02d7160d77e18c6447be80c2e355c7ed4388545271702c50253b0914c65ce5fe");
	ck_assert_uint_eq(strlen(escape(id, sizeof id)), 8 + 64);
}
END_TEST

START_TEST(test_escape__counts_the_escaped_bytes_not_those_of_the_id)
{
	char id[86];

	memset(id, '/', sizeof id);
	ck_assert_uint_eq(strlen(escape(id, 85)), 255);
	ck_assert_int_eq(strncmp(name, "%2F%2F", 6), 0);
	escape(id, 86);
	ck_assert_int_eq(strncmp(name, "%sha256-", 8), 0);
	id[0] = '.';
	id[1] = 'x';
	escape(id, 85);
	ck_assert_uint_eq(strlen(name), 253);
}
END_TEST

START_TEST(test_escape__never_cuts_a_character_at_255_bytes)
{
	char id[256];

	for (size_t i = 0; i < sizeof id; i += 2)
		memcpy(id + i, "\xc3\xa9", 2);
	escape(id, sizeof id);
	ck_assert_int_eq(strncmp(name, "%sha256-", 8), 0);
	escape(id, 254);
	ck_assert_uint_eq(strlen(name), 254);
	ck_assert(ft_utf8_valid(name, 254));

	memset(id, 'a', 252);
	memcpy(id + 252, "\xe2\x82\xac", 3);
	escape(id, 255);
	ck_assert_mem_eq(name, id, 255);
	memmove(id + 1, id, 255);
	escape(id, 256);
	ck_assert_int_eq(strncmp(name, "%sha256-", 8), 0);
}
END_TEST

START_TEST(test_escape__of_an_id_that_looks_hashed_is_no_hashed_name)
{
	char id[256];
	char hashed[FT_NAME_ROOM];

	memset(id, 'a', sizeof id);
	escape(id, sizeof id);
	memcpy(hashed, name, sizeof hashed);
	escape(hashed, strlen(hashed));
	ck_assert_str_ne(name, hashed);
	ck_assert_int_eq(strncmp(name, "%25sha256-", 10), 0);
}
END_TEST

static void *no_memory(size_t size, const char *file, int line)
{
	(void)size, (void)file, (void)line;
	return NULL;
}

static void *no_more_memory(void *old, size_t size, const char *file, int line)
{
	(void)old;
	return no_memory(size, file, line);
}

static void no_free(void *old, const char *file, int line)
{
	(void)old, (void)file, (void)line;
}

/* There is no name that would be safe to give instead. */
START_TEST(test_escape__hashes_without_memory)
{
	char id[300];

	ck_assert_int_eq(CRYPTO_set_mem_functions(no_memory, no_more_memory, no_free), 1);
	memset(id, 'a', sizeof id);
	ck_assert_str_eq(escape(id, sizeof id), "%sha256-"
			 "9835fa6bf4e20a9b9ea812506302e98982721a6cf8d2cae67af57129bf21ae90");
}
END_TEST

static size_t hex_value(char c)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *found = strchr(digits, c);

	ck_assert(found && c != '\0');
	return (size_t)(found - digits);
}

/* The way back: where every id can be had from its name, no two ids share one. */
static size_t unescape(char *id, const char *escaped)
{
	size_t len = 0;

	if (strcmp(escaped, "%") == 0)
		return 0;
	while (*escaped) {
		if (*escaped != '%') {
			id[len++] = *escaped++;
			continue;
		}
		id[len++] = (char)(hex_value(escaped[1]) << 4 | hex_value(escaped[2]));
		escaped += 3;
	}
	return len;
}

static void check_safe(void)
{
	ck_assert_uint_gt(strlen(name), 0);
	ck_assert_uint_le(strlen(name), 255);
	ck_assert_int_ne(name[0], '.');
	for (const char *c = name; *c; c++)
		ck_assert((*c & 0x80) || (*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') ||
			  (*c >= '0' && *c <= '9') || strchr("._-%", *c));
	ck_assert(ft_utf8_valid(name, strlen(name)));
}

START_TEST(test_escape__is_safe_and_injective_for_random_ids)
{
	static const char *const pieces[] = {
		"a", "Z", "0", ".", "..", "/", "%", "%2E", "%sha256-", "\\", "-", "_", "\xc3\xa9",
		"\xc3", "\xa9", "\xf0\x9f\x92\xa9", "\xff", "\n", "2F", "s",
	};
	const char *seed = getenv("FT_TEST_SEED");
	uint64_t state = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
	unsigned hashed = 0;

	printf("FT_TEST_SEED=%" PRIu64 "\n", state);
	fflush(stdout);
	for (int round = 0; round < 20000; round++) {
		char id[1024] = "";
		char back[1024];
		size_t id_len = 0;

		for (uint64_t left = state >> 33 & 0x7f; left > 0; left--) {
			const char *piece;

			state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			piece = pieces[(state >> 40) % (sizeof pieces / sizeof pieces[0])];
			memcpy(id + id_len, piece, strlen(piece));
			id_len += strlen(piece);
		}
		state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		escape(id, id_len);
		if (round % 20 == 0)
			check_safe();
		if (strncmp(name, "%sha256-", 8) == 0) {
			hashed++;
			continue;
		}
		if (unescape(back, name) != id_len || memcmp(back, id, id_len) != 0)
			ck_abort_msg("%s is not to be read back", name);
	}
	ck_assert_uint_gt(hashed, 100);
	ck_assert_uint_lt(hashed, 19000);
}
END_TEST

FT_SUITE("escape",
	 test_escape__leaves_plain_ids_alone,
	 test_escape__makes_harmless_what_climbs_or_hides,
	 test_escape__names_the_empty_id,
	 test_escape__escapes_the_escape,
	 test_escape__escapes_all_other_ascii,
	 test_escape__keeps_valid_utf8,
	 test_escape__escapes_all_non_ascii_where_one_byte_is_no_utf8,
	 test_escape__hashes_what_is_longer_than_255_bytes,
	 test_escape__counts_the_escaped_bytes_not_those_of_the_id,
	 test_escape__never_cuts_a_character_at_255_bytes,
	 test_escape__of_an_id_that_looks_hashed_is_no_hashed_name,
	 test_escape__hashes_without_memory,
	 test_escape__is_safe_and_injective_for_random_ids);
