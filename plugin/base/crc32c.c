/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "base/crc32c.h"

#include <stdbool.h>
#include <string.h>

#ifdef __aarch64__
#include <sys/auxv.h>
#endif

/*
 * Remainders of each half byte by the reflected polynomial 0x82f63b78. A table of whole bytes
 * would be faster where there is no instruction; there the disk is what a synced log waits for.
 */
static const uint32_t crc_remainders[16] = {
	0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
	0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
	0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

static uint32_t crc_by_table(uint32_t crc, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		crc = crc_remainders[crc & 15] ^ (crc >> 4);
		crc = crc_remainders[crc & 15] ^ (crc >> 4);
	}
	return crc;
}

/*
 * Both architectures have an instruction for this polynomial, which not each of their
 * processors knows. No pointer to the right function is kept: asking is a load and a test.
 */
#if defined(__x86_64__)

static bool crc_has_instruction(void)
{
	return __builtin_cpu_supports("sse4.2");
}

__attribute__((target("sse4.2")))
static uint32_t crc_by_instruction(uint32_t crc, const uint8_t *bytes, size_t len)
{
	uint64_t wide = crc, word;

	for (; len >= sizeof word; len -= sizeof word, bytes += sizeof word) {
		memcpy(&word, bytes, sizeof word);
		wide = __builtin_ia32_crc32di(wide, word);
	}
	crc = (uint32_t)wide;
	for (; len > 0; len--)
		crc = __builtin_ia32_crc32qi(crc, *bytes++);
	return crc;
}

#elif defined(__aarch64__) && defined(__AARCH64EL__)

#define CRC32_BIT (1ul << 7)	/* HWCAP_CRC32 of the kernel */

static bool crc_has_instruction(void)
{
	return (getauxval(AT_HWCAP) & CRC32_BIT) != 0;
}

static uint32_t crc_by_instruction(uint32_t crc, const uint8_t *bytes, size_t len)
{
	uint64_t word;

	for (; len >= sizeof word; len -= sizeof word, bytes += sizeof word) {
		memcpy(&word, bytes, sizeof word);
		__asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(word));
	}
	for (; len > 0; len--)
		__asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(crc) : "r"(*bytes++));
	return crc;
}

#else

static bool crc_has_instruction(void)
{
	return false;
}

#define crc_by_instruction crc_by_table

#endif

uint32_t ft_crc32c(uint32_t crc, const void *bytes, size_t len)
{
	return ~(crc_has_instruction() ? crc_by_instruction : crc_by_table)(~crc, bytes, len);
}
