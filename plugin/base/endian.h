/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Numbers as they stand on the disk: little endian, on any machine, at any address.
 * A directory that moves to a machine of the other byte order is read all the same.
 *
 *	uint32_t ft_le32(uint32_t)		between the machine's order and little endian
 *	uint32_t ft_load_le32(const void *)	from any address
 *	void ft_store_le32(void *, uint32_t)
 */
#ifndef FT_BASE_ENDIAN_H
#define FT_BASE_ENDIAN_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define FT_ENDIAN(bits) \
	static inline uint##bits##_t ft_le##bits(uint##bits##_t number) \
	{ \
		return htole##bits(number); \
	} \
	static inline uint##bits##_t ft_load_le##bits(const void *from) \
	{ \
		uint##bits##_t number; \
		memcpy(&number, from, sizeof number); \
		return le##bits##toh(number); \
	} \
	static inline void ft_store_le##bits(void *to, uint##bits##_t number) \
	{ \
		number = htole##bits(number); \
		memcpy(to, &number, sizeof number); \
	}

FT_ENDIAN(16)
FT_ENDIAN(32)
FT_ENDIAN(64)

#endif
