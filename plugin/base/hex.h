/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Hexadecimal digits, in any locale. */
#ifndef FT_BASE_HEX_H
#define FT_BASE_HEX_H

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

#endif
