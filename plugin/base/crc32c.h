/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* CRC-32C (Castagnoli, RFC 3720 appendix B.4): guards records of a synced log. */
#ifndef FT_BASE_CRC32C_H
#define FT_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The sum of what `crc` is the sum of, and `len` bytes behind it; crc 0 is that of nothing. */
uint32_t ft_crc32c(uint32_t crc, const void *bytes, size_t len);

#endif
