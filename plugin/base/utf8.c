/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "base/utf8.h"

#include <stdint.h>

/*
 * RFC 3629 section 4, "Syntax of UTF-8 Byte Sequences", one row of that grammar
 * each: only the second byte has bounds of its own, later ones are 80..BF.
 */
struct form {
	uint8_t first_min, first_max;
	uint8_t second_min, second_max;
	uint8_t len;
};

static const struct form forms[] = {
	{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
	{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
	{ 0xe1, 0xec, 0x80, 0xbf, 3 },
	{ 0xed, 0xed, 0x80, 0x9f, 3 },
	{ 0xee, 0xef, 0x80, 0xbf, 3 },
	{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
	{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

/* The length of the non-ASCII character at the start of `text`, or 0 where there is none. */
static size_t utf8_character(const uint8_t *text, size_t left)
{
	const struct form *form = NULL;

	for (size_t i = 0; i < sizeof forms / sizeof forms[0] && !form; i++)
		if (text[0] >= forms[i].first_min && text[0] <= forms[i].first_max)
			form = &forms[i];
	if (!form || left < form->len)
		return 0;
	if (text[1] < form->second_min || text[1] > form->second_max)
		return 0;
	for (size_t i = 2; i < form->len; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return form->len;
}

bool ft_utf8_valid(const char *bytes, size_t len)
{
	const uint8_t *text = (const uint8_t *)bytes;
	size_t at = 0;

	while (at < len) {
		size_t step = text[at] < 0x80 ? 1 : utf8_character(text + at, len - at);

		if (step == 0)
			return false;
		at += step;
	}
	return true;
}

bool ft_utf8_has_control(const char *bytes, size_t len)
{
	const uint8_t *text = (const uint8_t *)bytes;

	for (size_t i = 0; i < len; i++) {
		if (text[i] < 0x20 || text[i] == 0x7f)
			return true;
		/* U+0080..9F are C2 80..9F, and C2 begins a character wherever it stands. */
		if (text[i] == 0xc2 && i + 1 < len && text[i + 1] >= 0x80 && text[i + 1] <= 0x9f)
			return true;
	}
	return false;
}
