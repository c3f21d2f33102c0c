/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * SHA-256 by libcrypto's EVP, which uses the CPU's SHA instructions.
 * Threads: a hasher belongs to one thread at a time and may be handed over.
 */
#ifndef FT_BASE_SHA256_H
#define FT_BASE_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FT_SHA256_LEN 32
#define FT_SHA256_HEX_LEN 64

struct ft_sha256 {
	uint8_t bytes[FT_SHA256_LEN];
};

struct ft_hasher;

/* A running hash of nothing yet. NULL when out of memory. */
struct ft_hasher *ft_hasher_new(void);
void ft_hasher_free(struct ft_hasher *hasher);

/* Hashes `len` more bytes; false when libcrypto fails (the hasher is then useless). */
bool ft_hasher_update(struct ft_hasher *hasher, const void *bytes, size_t len);

/* The digest so far, without ending the hash: more may follow. */
bool ft_hasher_digest(const struct ft_hasher *hasher, struct ft_sha256 *digest);

/* How many bytes were hashed. */
uint64_t ft_hasher_position(const struct ft_hasher *hasher);

/* The digest of a block in memory. */
bool ft_sha256_of(const void *bytes, size_t len, struct ft_sha256 *digest);

/* Reads exactly 64 hex digits, any case. */
bool ft_sha256_parse(struct ft_sha256 *digest, const char *hex, size_t len);

bool ft_sha256_equal(const struct ft_sha256 *a, const struct ft_sha256 *b);

#endif
