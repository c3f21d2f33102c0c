/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* SHA-256 as text: 64 hexadecimal digits, and a NUL. By libcrypto. */
#ifndef EXAMPLES_SHA256_H
#define EXAMPLES_SHA256_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>

#define SHA256_HEX_ROOM 65

/* Of a block. False when libcrypto fails. */
bool sha256_hex(char hex[SHA256_HEX_ROOM], const void *bytes, size_t len);

/* Of what was put into `hash` so far; more may follow. False when libcrypto fails. */
bool sha256_so_far(char hex[SHA256_HEX_ROOM], const EVP_MD_CTX *hash);

/* A hash that has just begun; EVP_MD_CTX_free() ends it. NULL when libcrypto fails. */
EVP_MD_CTX *sha256_begin(void);

/* `text` in small letters, where it is such a checksum; else false. */
bool sha256_read(char hex[SHA256_HEX_ROOM], const char *text);

#endif
