/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* CRC-32C (Castagnoli, RFC 3720 appendix B.4): guards the journal's short records. */
#ifndef FT_BASE_CRC32C_H
#define FT_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t ft_crc32c(const void *bytes, size_t len);

#endif
