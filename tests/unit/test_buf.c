/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <check.h>

#include "base/buf.h"

#include "../suite.h"

START_TEST(test_buf__begins_empty_and_good)
{
	char room[8] = "garbage";
	struct ft_buf buf = ft_buf_on(room, sizeof room);

	ck_assert_str_eq(buf.text, "");
	ck_assert_uint_eq(buf.len, 0);
	ck_assert(ft_buf_ok(&buf));
}
END_TEST

START_TEST(test_buf__appends_in_order)
{
	char room[64];
	struct ft_buf buf = ft_buf_on(room, sizeof room);
	const uint8_t bytes[] = { 0x00, 0x0f, 0xa5, 0xff };

	ft_buf_str(&buf, "a");
	ft_buf_char(&buf, 'b');
	ft_buf_bytes(&buf, "cde", 2);
	ft_buf_u64(&buf, UINT64_MAX);
	ft_buf_hex(&buf, bytes, sizeof bytes);
	ft_buf_printf(&buf, "[%d:%s]", -7, "x");
	ck_assert(ft_buf_ok(&buf));
	ck_assert_str_eq(buf.text, "abcd18446744073709551615000fa5ff[-7:x]");
	ck_assert_uint_eq(buf.len, strlen(buf.text));
}
END_TEST

START_TEST(test_buf__takes_nothing_as_nothing)
{
	char room[1];
	struct ft_buf buf = ft_buf_on(room, sizeof room);

	ft_buf_bytes(&buf, NULL, 0);
	ft_buf_str(&buf, "");
	ft_buf_hex(&buf, NULL, 0);
	ft_buf_printable(&buf, NULL, 0, 10);
	ft_buf_printf(&buf, "%s", "");
	ck_assert(ft_buf_ok(&buf));
	ck_assert_str_eq(buf.text, "");
}
END_TEST

START_TEST(test_buf__is_full_with_one_byte_left_for_the_nul)
{
	char room[5];
	struct ft_buf buf = ft_buf_on(room, sizeof room);

	ft_buf_str(&buf, "1234");
	ck_assert(ft_buf_ok(&buf));
	ft_buf_char(&buf, '5');
	ck_assert(!ft_buf_ok(&buf));
	ck_assert_str_eq(buf.text, "1234");
}
END_TEST

START_TEST(test_buf__keeps_whole_bytes_beyond_a_nul)
{
	char room[8];
	struct ft_buf buf = ft_buf_on(room, sizeof room);

	ft_buf_bytes(&buf, "a\0b", 3);
	ck_assert_uint_eq(buf.len, 3);
	ck_assert_mem_eq(buf.text, "a\0b", 4);
}
END_TEST

/* Each kind of append on its own, into every room that is too small for it. */
static void append(struct ft_buf *buf, int kind)
{
	static const uint8_t bytes[] = { 1, 2, 3 };

	switch (kind) {
	case 0:
		ft_buf_bytes(buf, "abcdef", 6);
		break;
	case 1:
		ft_buf_str(buf, "abcdef");
		break;
	case 2:
		ft_buf_u64(buf, 123456);
		break;
	case 3:
		ft_buf_hex(buf, bytes, sizeof bytes);
		break;
	case 4:
		ft_buf_printf(buf, "%s%d", "abcde", 6);
		break;
	case 5:
		ft_buf_json(buf, "a\nb", 2);
		break;
	}
}

START_TEST(test_buf__leaves_out_the_whole_of_what_does_not_fit)
{
	for (int kind = 0; kind <= 5; kind++) {
		for (size_t room = 3; room < 3 + 8; room++) {
			char text[16];
			struct ft_buf buf = ft_buf_on(text, room);
			size_t needed = kind == 5 ? 5 : 6;

			memset(text + 1, '~', sizeof text - 1);
			ft_buf_str(&buf, "<>");
			append(&buf, kind);
			ck_assert_int_eq(ft_buf_ok(&buf), 2 + needed + 1 <= room);
			ck_assert_uint_eq(buf.len, ft_buf_ok(&buf) ? 2 + needed : 2);
			ck_assert_uint_eq(strlen(text), buf.len);
			for (size_t i = room; i < sizeof text; i++)
				ck_assert_int_eq(text[i], '~');
		}
	}
}
END_TEST

START_TEST(test_buf__ignores_all_after_an_overflow)
{
	char room[6];
	struct ft_buf buf = ft_buf_on(room, sizeof room);

	ft_buf_str(&buf, "ab");
	ft_buf_str(&buf, "too long");
	ft_buf_char(&buf, 'c');
	ft_buf_u64(&buf, 1);
	ft_buf_hex(&buf, (const uint8_t *)"x", 1);
	ft_buf_printf(&buf, "%d", 1);
	ft_buf_json(&buf, "", 0);
	ft_buf_printable(&buf, "x", 1, 1);
	ck_assert(!ft_buf_ok(&buf));
	ck_assert_str_eq(buf.text, "ab");
}
END_TEST

START_TEST(test_buf__writes_json_strings)
{
	static const char from[] = "\"\\/\b\f\n\r\t\x01\x1f\x7f \xc3\xa9\0z";
	char room[128];
	struct ft_buf buf = ft_buf_on(room, sizeof room);

	ft_buf_json(&buf, from, sizeof from - 1);
	ck_assert(ft_buf_ok(&buf));
	ck_assert_str_eq(buf.text,
			 "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f \xc3\xa9\\u0000z\"");
}
END_TEST

/* By the rule, byte by byte: RFC 8259, section 7, and DEL besides. */
static void json_by_the_rule(char *to, const char *bytes, size_t len)
{
	static const char *const shorts[128] = {
		['"'] = "\\\"", ['\\'] = "\\\\", ['\b'] = "\\b", ['\f'] = "\\f", ['\n'] = "\\n",
		['\r'] = "\\r", ['\t'] = "\\t",
	};

	*to++ = '"';
	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)bytes[i];

		if (byte < 128 && shorts[byte])
			to += snprintf(to, 3, "%s", shorts[byte]);
		else if (byte < 0x20 || byte == 0x7f)
			to += snprintf(to, 7, "\\u%04x", byte);
		else
			*to++ = bytes[i];
	}
	snprintf(to, 2, "\"");
}

START_TEST(test_buf__escapes_each_byte_wherever_it_stands)
{
	char from[27], room[128], expected[128];

	for (int byte = 0; byte < 256; byte++) {
		for (size_t at = 0; at < sizeof from; at++) {
			struct ft_buf buf = ft_buf_on(room, sizeof room);

			memset(from, byte % 2 ? '\x80' : 'a', sizeof from);
			from[at] = (char)byte;
			from[(at + 9) % sizeof from] = '\x21';
			json_by_the_rule(expected, from, sizeof from);
			ft_buf_json(&buf, from, sizeof from);
			ck_assert(ft_buf_ok(&buf));
			ck_assert_str_eq(buf.text, expected);
		}
	}
}
END_TEST

START_TEST(test_buf__writes_numbers_of_any_length)
{
	uint64_t number = 0;

	do {
		char room[24], expected[24];
		struct ft_buf buf = ft_buf_on(room, sizeof room);

		ft_buf_u64(&buf, number);
		snprintf(expected, sizeof expected, "%llu", (unsigned long long)number);
		ck_assert_str_eq(buf.text, expected);
		number = number * 3 + 1;
	} while (number < UINT64_MAX / 3);
}
END_TEST

START_TEST(test_buf__shows_untrusted_bytes_as_printable_ones)
{
	char room[64];
	struct ft_buf buf = ft_buf_on(room, sizeof room);

	ft_buf_printable(&buf, "a\n\x1b[0m\x7f\xc3~", 9, 20);
	ck_assert(ft_buf_ok(&buf));
	ck_assert_str_eq(buf.text, "a\\x0a\\x1b[0m\\x7f\\xc3~");
}
END_TEST

START_TEST(test_buf__shows_only_the_beginning_of_long_untrusted_bytes)
{
	char room[64];
	struct ft_buf buf = ft_buf_on(room, sizeof room);

	ft_buf_printable(&buf, "abcdef", 6, 6);
	ck_assert_str_eq(buf.text, "abcdef");
	ft_buf_printable(&buf, "abcdefg", 7, 6);
	ck_assert(ft_buf_ok(&buf));
	ck_assert_str_eq(buf.text, "abcdefabcdef...");
}
END_TEST

START_TEST(test_buf__never_cuts_an_escape_in_two)
{
	char room[8];
	struct ft_buf buf = ft_buf_on(room, sizeof room);

	ft_buf_printable(&buf, "\1\2\3", 3, 3);
	ck_assert(!ft_buf_ok(&buf));
	ck_assert_str_eq(buf.text, "\\x01");
}
END_TEST

FT_SUITE("buf",
	 test_buf__begins_empty_and_good,
	 test_buf__appends_in_order,
	 test_buf__takes_nothing_as_nothing,
	 test_buf__is_full_with_one_byte_left_for_the_nul,
	 test_buf__keeps_whole_bytes_beyond_a_nul,
	 test_buf__leaves_out_the_whole_of_what_does_not_fit,
	 test_buf__ignores_all_after_an_overflow,
	 test_buf__writes_json_strings,
	 test_buf__escapes_each_byte_wherever_it_stands,
	 test_buf__writes_numbers_of_any_length,
	 test_buf__shows_untrusted_bytes_as_printable_ones,
	 test_buf__shows_only_the_beginning_of_long_untrusted_bytes,
	 test_buf__never_cuts_an_escape_in_two);
