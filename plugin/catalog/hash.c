/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "catalog/hash.h"

#include <assert.h>
#include <string.h>

#include "base/sha256.h"

/* Of the owner's digest and the file: so no other split of the same bytes hashes alike. */
int64_t ft_catalog_hash(const struct ft_key *key)
{
	uint8_t text[FT_SHA256_LEN + FT_CATALOG_FILE_MAX];
	struct ft_sha256 digest;
	uint64_t hash = 0;
	bool done;

	assert(key->file_len <= FT_CATALOG_FILE_MAX);
	/* Fails for nothing that can happen: it takes no memory, and lengths are bounded. */
	done = ft_sha256_of(key->owner, key->owner_len, &digest);
	assert(done);
	memcpy(text, digest.bytes, FT_SHA256_LEN);
	memcpy(text + FT_SHA256_LEN, key->file, key->file_len);
	done = ft_sha256_of(text, FT_SHA256_LEN + key->file_len, &digest);
	assert(done);
	(void)done;
	for (size_t i = 0; i < sizeof hash; i++)
		hash = hash << 8 | digest.bytes[i];
	return (int64_t)hash;
}
