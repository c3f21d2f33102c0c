/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The hash that keys are looked up by. On disk: never change it. 64 bits of SHA-256, so that
 * nobody can choose ids that all have the same one.
 */
#ifndef FT_CATALOG_HASH_H
#define FT_CATALOG_HASH_H

#include <stdint.h>

#include "file_transfer/store.h"

/* Bytes of an id, see struct ft_key. */
#define FT_CATALOG_OWNER_MAX 65536
#define FT_CATALOG_FILE_MAX 255

int64_t ft_catalog_hash(const struct ft_key *key);

#endif
