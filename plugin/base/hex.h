/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Hexadecimal digits, in any locale. */
#ifndef FT_BASE_HEX_H
#define FT_BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>

/* The value of a hex digit of any case; -1: it is none. */
static inline int ft_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Reads so many bytes of two digits each. False: there are others; a part may have been written. */
static inline bool ft_hex_decode(void *to, const char *digits, size_t bytes)
{
	unsigned char *at = to;

	for (size_t i = 0; i < bytes; i++) {
		int high = ft_hex_digit(digits[2 * i]), low = ft_hex_digit(digits[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		at[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

#endif
