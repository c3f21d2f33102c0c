/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <check.h>
#include <openssl/crypto.h>
#include <pthread.h>

#include "base/buf.h"
#include "base/sha256.h"
#include "../suite.h"

/* libcrypto's memory: the call that makes `fail_in` zero finds none, nor does any later one. */
static long fail_in = -1;
static long allocations;

static bool memory_is_out(void)
{
	allocations++;
	if (fail_in > 0)
		fail_in--;
	return fail_in == 0;
}

static void *test_malloc(size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return memory_is_out() ? NULL : malloc(size);
}

static void *test_realloc(void *old, size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return memory_is_out() ? NULL : realloc(old, size);
}

static void test_free(void *old, const char *file, int line)
{
	(void)file, (void)line;
	free(old);
}

static const char *hex(const struct ft_sha256 *digest)
{
	static char text[FT_SHA256_HEX_LEN + 1];
	struct ft_buf buf = ft_buf_on(text, sizeof text);

	ft_buf_hex(&buf, digest->bytes, sizeof digest->bytes);
	ck_assert(ft_buf_ok(&buf));
	return text;
}

#define OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define OF_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define OF_TWO_BLOCKS "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
#define OF_A_MILLION_A "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

START_TEST(test_sha256__is_that_of_fips_180)
{
	struct ft_sha256 digest;

	ck_assert(ft_sha256_of(NULL, 0, &digest));
	ck_assert_str_eq(hex(&digest), OF_NOTHING);
	ck_assert(ft_sha256_of("abc", 3, &digest));
	ck_assert_str_eq(hex(&digest), OF_ABC);
	ck_assert(ft_sha256_of(two_blocks, strlen(two_blocks), &digest));
	ck_assert_str_eq(hex(&digest), OF_TWO_BLOCKS);
}
END_TEST

START_TEST(test_sha256__hashes_in_pieces_of_any_size)
{
	static char block[1000];
	struct ft_sha256 digest;

	memset(block, 'a', sizeof block);
	for (size_t piece = 1; piece <= sizeof block; piece = piece * 3 + 1) {
		struct ft_hasher *hasher = ft_hasher_new();
		size_t left = 1000000;

		ck_assert_ptr_nonnull(hasher);
		while (left > 0) {
			size_t len = left < piece ? left : piece;

			if (!ft_hasher_update(hasher, block, len))
				ck_abort();
			left -= len;
		}
		ck_assert_uint_eq(ft_hasher_position(hasher), 1000000);
		ck_assert(ft_hasher_digest(hasher, &digest));
		ck_assert_str_eq(hex(&digest), OF_A_MILLION_A);
		ft_hasher_free(hasher);
	}
}
END_TEST

START_TEST(test_sha256__goes_on_after_a_digest)
{
	struct ft_hasher *hasher = ft_hasher_new();
	struct ft_sha256 digest;

	ck_assert_uint_eq(ft_hasher_position(hasher), 0);
	ck_assert(ft_hasher_digest(hasher, &digest));
	ck_assert_str_eq(hex(&digest), OF_NOTHING);
	ck_assert(ft_hasher_update(hasher, "abc", 3));
	ck_assert(ft_hasher_digest(hasher, &digest));
	ck_assert_str_eq(hex(&digest), OF_ABC);
	ck_assert(ft_hasher_digest(hasher, &digest));
	ck_assert_str_eq(hex(&digest), OF_ABC);
	ck_assert(ft_hasher_update(hasher, two_blocks + 3, strlen(two_blocks) - 3));
	ck_assert(ft_hasher_update(hasher, NULL, 0));
	ck_assert_uint_eq(ft_hasher_position(hasher), strlen(two_blocks));
	ck_assert(ft_hasher_digest(hasher, &digest));
	ck_assert_str_eq(hex(&digest), OF_TWO_BLOCKS);
	ft_hasher_free(hasher);
}
END_TEST

static void *hash_the_rest(void *context)
{
	struct ft_hasher *hasher = context;

	return ft_hasher_update(hasher, "bc", 2) ? hasher : NULL;
}

START_TEST(test_sha256__hasher_may_go_to_another_thread)
{
	struct ft_hasher *hasher = ft_hasher_new();
	struct ft_sha256 digest;
	pthread_t thread;
	void *result;

	ck_assert(ft_hasher_update(hasher, "a", 1));
	ck_assert_int_eq(pthread_create(&thread, NULL, hash_the_rest, hasher), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_ptr_eq(result, hasher);
	ck_assert(ft_hasher_digest(hasher, &digest));
	ck_assert_str_eq(hex(&digest), OF_ABC);
	ft_hasher_free(hasher);
}
END_TEST

START_TEST(test_sha256__frees_no_hasher)
{
	ft_hasher_free(NULL);
}
END_TEST

START_TEST(test_sha256__new_hasher_is_null_where_memory_runs_out)
{
	struct ft_hasher *hasher = ft_hasher_new();
	int refused = 0;

	ft_hasher_free(hasher);
	hasher = NULL;
	for (long nth = 1; !hasher; nth++) {
		fail_in = nth;
		hasher = ft_hasher_new();
		fail_in = -1;
		refused += !hasher;
	}
	ck_assert_int_gt(refused, 0);
	ft_hasher_free(hasher);
}
END_TEST

START_TEST(test_sha256__digest_fails_where_memory_runs_out_and_the_hash_survives)
{
	struct ft_hasher *hasher = ft_hasher_new();
	struct ft_sha256 digest;
	int refused = 0;
	bool done = false;

	ck_assert(ft_hasher_update(hasher, "abc", 3));
	for (long nth = 1; !done; nth++) {
		fail_in = nth;
		done = ft_hasher_digest(hasher, &digest);
		fail_in = -1;
		refused += !done;
	}
	ck_assert_int_gt(refused, 0);
	ck_assert_str_eq(hex(&digest), OF_ABC);
	ft_hasher_free(hasher);
}
END_TEST

START_TEST(test_sha256__of_a_block_needs_no_memory)
{
	struct ft_sha256 digest;

	allocations = 0;
	ck_assert(ft_sha256_of("abc", 3, &digest));
	ck_assert_int_eq(allocations, 0);
	ck_assert_str_eq(hex(&digest), OF_ABC);
}
END_TEST

START_TEST(test_sha256__parses_digits_of_any_case)
{
	static const char mixed[] = "BA7816bf8f01CFEA414140de5dae2223b00361a396177a9cb410ff61f20015Ad";
	struct ft_sha256 digest;

	ck_assert(ft_sha256_parse(&digest, mixed, strlen(mixed)));
	ck_assert_str_eq(hex(&digest), OF_ABC);
}
END_TEST

START_TEST(test_sha256__refuses_any_other_length)
{
	static const char digits[] = OF_ABC "00";
	struct ft_sha256 digest;

	for (size_t len = 0; len <= FT_SHA256_HEX_LEN + 2; len++)
		ck_assert_int_eq(ft_sha256_parse(&digest, digits, len), len == FT_SHA256_HEX_LEN);
}
END_TEST

START_TEST(test_sha256__refuses_all_but_hex_digits_anywhere)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	struct ft_sha256 digest;

	for (size_t at = 0; at < FT_SHA256_HEX_LEN; at++) {
		for (int c = 0; c < 256; c++) {
			char text[FT_SHA256_HEX_LEN];
			bool good = c != 0 && strchr(digits, c);

			memcpy(text, OF_ABC, sizeof text);
			text[at] = (char)c;
			if (ft_sha256_parse(&digest, text, sizeof text) != good)
				ck_abort_msg("%d at %zu", c, at);
		}
	}
}
END_TEST

START_TEST(test_sha256__is_equal_in_all_bytes_only)
{
	struct ft_sha256 a, b;

	ck_assert(ft_sha256_of("abc", 3, &a));
	b = a;
	ck_assert(ft_sha256_equal(&a, &b));
	for (size_t i = 0; i < FT_SHA256_LEN; i++) {
		b.bytes[i] ^= 0x10;
		ck_assert(!ft_sha256_equal(&a, &b));
		b.bytes[i] ^= 0x10;
	}
}
END_TEST

int main(void)
{
	/* Only before libcrypto's first allocation. */
	if (CRYPTO_set_mem_functions(test_malloc, test_realloc, test_free) != 1)
		return EXIT_FAILURE;
	return ft_suite_run(&(struct ft_suite){ .name = "sha256", FT_TESTS(
			test_sha256__is_that_of_fips_180,
			test_sha256__hashes_in_pieces_of_any_size,
			test_sha256__goes_on_after_a_digest,
			test_sha256__hasher_may_go_to_another_thread,
			test_sha256__frees_no_hasher,
			test_sha256__new_hasher_is_null_where_memory_runs_out,
			test_sha256__digest_fails_where_memory_runs_out_and_the_hash_survives,
			test_sha256__of_a_block_needs_no_memory,
			test_sha256__parses_digits_of_any_case,
			test_sha256__refuses_any_other_length,
			test_sha256__refuses_all_but_hex_digits_anywhere,
			test_sha256__is_equal_in_all_bytes_only) });
}
