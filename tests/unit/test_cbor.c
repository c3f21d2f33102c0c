/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "base/cbor.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"
#include "base/hex.h"

static struct ft_cbor_member members[] = { { .key = "a" }, { .key = "bc" } };

/* The bytes have a block of just their size: overruns are seen. */
static uint8_t *bytes;

static void teardown(void)
{
	free(bytes);
	bytes = NULL;
}

static enum ft_cbor_shape find(const char *hex)
{
	size_t len = strlen(hex) / 2;

	free(bytes);
	ck_assert_ptr_nonnull(bytes = malloc(len > 0 ? len : 1));
	ck_assert(ft_hex_decode(bytes, hex, len));
	return ft_cbor_find(bytes, len, members, 2);
}

static int64_t integer(const char *hex)
{
	int64_t number = 77;

	ck_assert_int_eq(find(hex), FT_CBOR_MAP);
	ck_assert(ft_cbor_integer(&members[0].value, &number));
	return number;
}

START_TEST(test_cbor__reads_integers_of_any_length)
{
	ck_assert_int_eq(integer("a1616117"), 23);
	ck_assert_int_eq(integer("a1616118ff"), 255);
	ck_assert_int_eq(integer("a1616119ffff"), 65535);
	ck_assert_int_eq(integer("a161611a00000001"), 1);
	ck_assert_int_eq(integer("a161611b7fffffffffffffff"), INT64_MAX);
	ck_assert_int_eq(integer("a1616120"), -1);
	ck_assert_int_eq(integer("a161613b7fffffffffffffff"), INT64_MIN);
}
END_TEST

START_TEST(test_cbor__has_no_integer_where_there_is_none)
{
	static const char *const others[] = {
		"a161611b8000000000000000", "a161613b8000000000000000", "a161616131", "a1616141ff",
		"a1616180", "a16161a0", "a16161f4",
	};
	int64_t number;

	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		ck_assert_int_eq(find(others[i]), FT_CBOR_MAP);
		ck_assert_msg(!ft_cbor_integer(&members[0].value, &number), "%s", others[i]);
	}
}
END_TEST

static void assert_string(const char *hex, enum ft_cbor_major major, const char *text)
{
	char to[8];
	size_t len;

	ck_assert_int_eq(find(hex), FT_CBOR_MAP);
	ck_assert(ft_cbor_string(&members[0].value, major, to, sizeof to, &len));
	ck_assert(len == strlen(text) && memcmp(to, text, len) == 0);
}

START_TEST(test_cbor__reads_strings_whole_and_in_chunks)
{
	assert_string("a1616160", FT_CBOR_MAJOR_TEXT, "");
	assert_string("a1616162c3a4", FT_CBOR_MAJOR_TEXT, "\xc3\xa4");
	assert_string("a161617f61786060617960ff", FT_CBOR_MAJOR_TEXT, "xy");
	assert_string("a161617fff", FT_CBOR_MAJOR_TEXT, "");
	assert_string("a161615f42fffe41fdff", FT_CBOR_MAJOR_BYTES, "\xff\xfe\xfd");
	assert_string("a16161683132333435363738", FT_CBOR_MAJOR_TEXT, "12345678");
}
END_TEST

START_TEST(test_cbor__keeps_to_the_room_for_strings)
{
	char to[2];
	size_t len;

	ck_assert_int_eq(find("a1616163313233"), FT_CBOR_MAP);
	ck_assert(!ft_cbor_string(&members[0].value, FT_CBOR_MAJOR_TEXT, to, 2, &len));
	ck_assert_int_eq(find("a161617f613162323361ff61ff"), FT_CBOR_BROKEN);
	ck_assert_int_eq(find("a161617f6131623233ff"), FT_CBOR_MAP);
	ck_assert(!ft_cbor_string(&members[0].value, FT_CBOR_MAJOR_TEXT, to, 2, &len));
	ck_assert(!ft_cbor_string(&members[0].value, FT_CBOR_MAJOR_BYTES, to, 2, &len));
}
END_TEST

START_TEST(test_cbor__finds_members_of_maps)
{
	int64_t number;

	ck_assert_int_eq(find("a3617a82a0018062626305616107"), FT_CBOR_BROKEN);
	ck_assert_int_eq(find("a3617a82a001626263056161182a"), FT_CBOR_MAP);
	ck_assert(ft_cbor_integer(&members[0].value, &number) && number == 42);
	ck_assert(ft_cbor_integer(&members[1].value, &number) && number == 5);
	ck_assert_int_eq(find("bf7f61626163ff05ff"), FT_CBOR_MAP);
	ck_assert(members[0].value.len == 0);
	ck_assert(ft_cbor_integer(&members[1].value, &number) && number == 5);
	ck_assert_int_eq(integer("a3010241610361610a"), 10);
	ck_assert_int_eq(integer("a26161016161182a"), 1);
	ck_assert_int_eq(find("a0"), FT_CBOR_MAP);
	ck_assert(members[0].value.len == 0 && members[1].value.len == 0);
}
END_TEST

START_TEST(test_cbor__takes_null_and_undefined_for_nothing)
{
	ck_assert_int_eq(find("a26161f6626263f7"), FT_CBOR_MAP);
	ck_assert(members[0].value.len == 0 && members[1].value.len == 0);
	ck_assert_int_eq(integer("a26161f6616103"), 3);
}
END_TEST

START_TEST(test_cbor__says_what_is_no_map)
{
	static const char *const others[] = { "00", "80", "f6", "60", "40", "9fff", "3bffffffffffffffff" };

	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		ck_assert_msg(find(others[i]) == FT_CBOR_NO_MAP, "%s", others[i]);
}
END_TEST

START_TEST(test_cbor__refuses_what_is_not_one_whole_item)
{
	static const char *const broken[] = {
		"", "a1", "a161", "a16161", "a1616118", "a161611900", "a161611b00000000000000",
		"a000", "a0a0", "bf", "bf6161", "bf6161ff", "ff", "a16161ff", "9f", "8100ff",
		"1c", "1d", "1e", "1f", "3f", "dfff", "fc", "7c", "a161611f",
		"a1616162ff", "61ff", "7f61ffff", "62eda0", "63eda080", "7f61c361a4ff",
		"7f4161ff", "5f6161ff", "7f7f6161ffff", "5fff00", "7f6161", "7f",
		"5b7fffffffffffffff00", "5bffffffffffffffff00", "9bffffffffffffffff00",
		"bb8000000000000000", "bb7fffffffffffffff", "ba800000010000", "bb00000000000000020000",
		"f90000", "fa00000000", "fb0000000000000000", "a16161f93c00",
		"c000", "d9d9f7a0", "a16161c100", "f0", "e0", "f8ff", "f814", "f818",
		"818181818181818180", "9f9f9f9f9f9f9f9f9fffffffffffffffffff",
		"a100a100a100a100a100a100a100a100a0",
	};

	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
		ck_assert_msg(find(broken[i]) == FT_CBOR_BROKEN, "%s", broken[i]);
}
END_TEST

START_TEST(test_cbor__reads_nests_eight_deep)
{
	ck_assert_int_eq(find("8181818181818180"), FT_CBOR_NO_MAP);
	ck_assert_int_eq(find("a100a100a100a100a100a100a100a0"), FT_CBOR_MAP);
	ck_assert_int_eq(find("8181818181818182405f41ffff"), FT_CBOR_NO_MAP);
}
END_TEST

START_TEST(test_cbor__writes_the_shortest_heads)
{
	static const struct {
		uint64_t number;
		const char *hex;
	} rows[] = {
		{ 0, "00" }, { 23, "17" }, { 24, "1818" }, { 255, "18ff" }, { 256, "190100" },
		{ 65535, "19ffff" }, { 65536, "1a00010000" }, { UINT32_MAX, "1affffffff" },
		{ UINT64_C(1) << 32, "1b0000000100000000" }, { UINT64_MAX, "1bffffffffffffffff" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char room[16], hex_room[40];
		struct ft_buf to = ft_buf_on(room, sizeof room);
		struct ft_buf hex = ft_buf_on(hex_room, sizeof hex_room);

		ft_cbor_put(&to, FT_CBOR_MAJOR_UINT, rows[i].number);
		ft_buf_hex(&hex, (const uint8_t *)room, to.len);
		ck_assert_str_eq(hex_room, rows[i].hex);
	}
}
END_TEST

START_TEST(test_cbor__writes_texts_with_their_length)
{
	char room[16];
	struct ft_buf to = ft_buf_on(room, sizeof room);

	ft_cbor_put_text(&to, "abc", 3);
	ck_assert(to.len == 4 && memcmp(room, "\x63" "abc", 4) == 0);
}
END_TEST

FT_SUITE_WITH("cbor", NULL, teardown,
	 test_cbor__reads_integers_of_any_length,
	 test_cbor__has_no_integer_where_there_is_none,
	 test_cbor__reads_strings_whole_and_in_chunks,
	 test_cbor__keeps_to_the_room_for_strings,
	 test_cbor__finds_members_of_maps,
	 test_cbor__takes_null_and_undefined_for_nothing,
	 test_cbor__says_what_is_no_map,
	 test_cbor__refuses_what_is_not_one_whole_item,
	 test_cbor__reads_nests_eight_deep,
	 test_cbor__writes_the_shortest_heads,
	 test_cbor__writes_texts_with_their_length);
