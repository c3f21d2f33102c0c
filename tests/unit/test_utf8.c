/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <check.h>
#include <stdint.h>

#include "base/utf8.h"

#include "../suite.h"

/* Another way to see it than the grammar: decode, then ask whether that was allowed. */
static size_t decode(const uint8_t *text, size_t left, uint32_t *point)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = text[0] < 0x80 ? 1 : text[0] < 0xc0 ? 0 : text[0] < 0xe0 ? 2 :
		     text[0] < 0xf0 ? 3 : text[0] < 0xf8 ? 4 : 0;

	if (len == 0 || len > left)
		return 0;
	*point = len == 1 ? text[0] : text[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		*point = *point << 6 | (text[i] & 0x3f);
	}
	if (*point < least[len] || *point > 0x10ffff || (*point >= 0xd800 && *point <= 0xdfff))
		return 0;
	return len;
}

static void compare(const uint8_t *text, size_t len)
{
	bool valid = true;
	bool control = false;
	size_t step;

	for (size_t at = 0; at < len && valid; at += step) {
		uint32_t point = 0;

		step = decode(text + at, len - at, &point);
		valid = step > 0;
		control |= point < 0x20 || (point >= 0x7f && point <= 0x9f);
	}
	if (ft_utf8_valid((const char *)text, len) != valid)
		ck_abort_msg("%02x %02x %02x %02x, %zu bytes", text[0], text[1], text[2], text[3], len);
	if (valid && ft_utf8_has_control((const char *)text, len) != control)
		ck_abort_msg("control: %02x %02x %02x %02x", text[0], text[1], text[2], text[3]);
}

START_TEST(test_utf8__judges_all_pairs_of_bytes)
{
	uint8_t text[4] = { 0 };

	for (unsigned i = 0; i <= 0xffff; i++) {
		text[0] = (uint8_t)(i >> 8);
		text[1] = (uint8_t)i;
		compare(text, 1);
		compare(text, 2);
	}
}
END_TEST

START_TEST(test_utf8__judges_the_bounds_of_long_characters)
{
	static const uint8_t edges[] = {
		0x00, 0x1f, 0x20, 0x41, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0x91, 0x9f, 0xa0, 0xa1,
		0xbf, 0xc0, 0xc1, 0xc2, 0xc3, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0,
		0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xfb, 0xfc, 0xfe, 0xff,
	};
	size_t count = sizeof edges;
	uint8_t text[4];

	for (size_t i = 0; i < count * count * count * count; i++) {
		text[0] = edges[i % count];
		text[1] = edges[i / count % count];
		text[2] = edges[i / count / count % count];
		text[3] = edges[i / count / count / count];
		compare(text, 4);
		if (i < count * count * count)
			compare(text, 3);
	}
}
END_TEST

static bool valid(const char *text)
{
	return ft_utf8_valid(text, strlen(text));
}

START_TEST(test_utf8__accepts_what_rfc_3629_shows)
{
	ck_assert(valid(""));
	ck_assert(valid("A\xe2\x89\xa2\xce\x91."));
	ck_assert(valid("\xed\x95\x9c\xea\xb5\xad\xec\x96\xb4"));
	ck_assert(valid("\xf0\xa3\x8e\xb4"));
	ck_assert(valid("\xf4\x8f\xbf\xbf"));
	ck_assert(valid("\xef\xbf\xbf"));
	ck_assert(ft_utf8_valid("a\0b", 3));
}
END_TEST

START_TEST(test_utf8__refuses_overlong_forms)
{
	ck_assert(!valid("\xc0\x80"));
	ck_assert(!valid("\xc1\xbf"));
	ck_assert(!valid("\xc0\xaf"));
	ck_assert(!valid("\xe0\x9f\xbf"));
	ck_assert(!valid("\xe0\x80\xaf"));
	ck_assert(!valid("\xf0\x8f\xbf\xbf"));
	ck_assert(!valid("\xf0\x80\x80\xaf"));
}
END_TEST

START_TEST(test_utf8__refuses_surrogates)
{
	ck_assert(valid("\xed\x9f\xbf"));
	ck_assert(!valid("\xed\xa0\x80"));
	ck_assert(!valid("\xed\xbf\xbf"));
	ck_assert(!valid("\xed\xa1\x8c\xed\xbe\xb4"));
	ck_assert(valid("\xee\x80\x80"));
}
END_TEST

START_TEST(test_utf8__refuses_what_is_above_10ffff)
{
	ck_assert(!valid("\xf4\x90\x80\x80"));
	ck_assert(!valid("\xf5\x80\x80\x80"));
	ck_assert(!valid("\xf8\x88\x80\x80\x80"));
	ck_assert(!valid("\xff"));
	ck_assert(!valid("\xfe\xff"));
}
END_TEST

START_TEST(test_utf8__refuses_characters_that_are_cut_off)
{
	static const char text[] = "a\xf0\x9f\x92\xa9";

	ck_assert(ft_utf8_valid(text, 1));
	ck_assert(!ft_utf8_valid(text, 2));
	ck_assert(!ft_utf8_valid(text, 3));
	ck_assert(!ft_utf8_valid(text, 4));
	ck_assert(ft_utf8_valid(text, 5));
	ck_assert(!valid("\x80"));
	ck_assert(!valid("a\xbf"));
}
END_TEST

START_TEST(test_utf8__finds_control_characters_anywhere)
{
	ck_assert(!ft_utf8_has_control("", 0));
	ck_assert(!ft_utf8_has_control("ab c~", 5));
	ck_assert(ft_utf8_has_control("ab\n", 3));
	ck_assert(ft_utf8_has_control("\0", 1));
	ck_assert(ft_utf8_has_control("a\x7f", 2));
	ck_assert(ft_utf8_has_control("a\xc2\x85", 3));
	ck_assert(!ft_utf8_has_control("a\xc2\xa0", 3));
	/* 85 here belongs to U+0145. */
	ck_assert(!ft_utf8_has_control("\xc5\x85", 2));
}
END_TEST

FT_SUITE("utf8",
	 test_utf8__judges_all_pairs_of_bytes,
	 test_utf8__judges_the_bounds_of_long_characters,
	 test_utf8__accepts_what_rfc_3629_shows,
	 test_utf8__refuses_overlong_forms,
	 test_utf8__refuses_surrogates,
	 test_utf8__refuses_what_is_above_10ffff,
	 test_utf8__refuses_characters_that_are_cut_off,
	 test_utf8__finds_control_characters_anywhere);
