/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Numbers as they stand on the disk: little endian, on any machine, at any address.
 * A directory that moves to a machine of the other byte order is read all the same.
 */
#ifndef FT_BASE_ENDIAN_H
#define FT_BASE_ENDIAN_H

#include <stdint.h>
#include <string.h>

/* Between the machine's order and little endian, either way. */
static inline uint16_t ft_le16(uint16_t number)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return __builtin_bswap16(number);
#else
	return number;
#endif
}

static inline uint32_t ft_le32(uint32_t number)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return __builtin_bswap32(number);
#else
	return number;
#endif
}

static inline uint64_t ft_le64(uint64_t number)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return __builtin_bswap64(number);
#else
	return number;
#endif
}

static inline uint16_t ft_load_le16(const void *from)
{
	uint16_t number;

	memcpy(&number, from, sizeof number);
	return ft_le16(number);
}

static inline uint32_t ft_load_le32(const void *from)
{
	uint32_t number;

	memcpy(&number, from, sizeof number);
	return ft_le32(number);
}

static inline uint64_t ft_load_le64(const void *from)
{
	uint64_t number;

	memcpy(&number, from, sizeof number);
	return ft_le64(number);
}

static inline void ft_store_le16(void *to, uint16_t number)
{
	number = ft_le16(number);
	memcpy(to, &number, sizeof number);
}

static inline void ft_store_le32(void *to, uint32_t number)
{
	number = ft_le32(number);
	memcpy(to, &number, sizeof number);
}

static inline void ft_store_le64(void *to, uint64_t number)
{
	number = ft_le64(number);
	memcpy(to, &number, sizeof number);
}

#endif
