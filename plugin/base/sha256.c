/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#define OPENSSL_API_COMPAT 10100	/* for SHA256_Init() and its sisters, see ft_sha256_of() */
#include "base/sha256.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "base/hex.h"

_Static_assert(FT_SHA256_LEN == SHA256_DIGEST_LENGTH, "libcrypto's idea of SHA-256");

struct ft_hasher {
	EVP_MD_CTX *evp;	/* holds the only reference to its EVP_MD */
	uint64_t position;
};

/*
 * An explicitly fetched EVP_MD spares EVP_DigestInit() and every copy made for
 * ft_hasher_digest() the search through libcrypto's providers.
 */
static bool sha256_begin(EVP_MD_CTX *evp)
{
	EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	bool begun = sha256 && EVP_DigestInit_ex(evp, sha256, NULL) == 1;

	EVP_MD_free(sha256);
	return begun;
}

struct ft_hasher *ft_hasher_new(void)
{
	struct ft_hasher *hasher = calloc(1, sizeof *hasher);

	if (!hasher)
		return NULL;
	hasher->evp = EVP_MD_CTX_new();
	if (hasher->evp && sha256_begin(hasher->evp))
		return hasher;
	ft_hasher_free(hasher);
	return NULL;
}

void ft_hasher_free(struct ft_hasher *hasher)
{
	if (!hasher)
		return;
	EVP_MD_CTX_free(hasher->evp);
	free(hasher);
}

bool ft_hasher_update(struct ft_hasher *hasher, const void *bytes, size_t len)
{
	if (len > 0 && EVP_DigestUpdate(hasher->evp, bytes, len) != 1)
		return false;
	hasher->position += len;
	return true;
}

bool ft_hasher_digest(const struct ft_hasher *hasher, struct ft_sha256 *digest)
{
	EVP_MD_CTX *copy = EVP_MD_CTX_new();
	bool done = copy && EVP_MD_CTX_copy_ex(copy, hasher->evp) == 1 &&
		    EVP_DigestFinal_ex(copy, digest->bytes, NULL) == 1;

	EVP_MD_CTX_free(copy);
	return done;
}

uint64_t ft_hasher_position(const struct ft_hasher *hasher)
{
	return hasher->position;
}

/*
 * Not by EVP, which needs the heap: the name of a long id is made by this, and
 * has no way to say that memory ran out. The block function below is the same.
 */
bool ft_sha256_of(const void *bytes, size_t len, struct ft_sha256 *digest)
{
	SHA256_CTX state;

	if (SHA256_Init(&state) != 1)
		return false;
	if (len > 0 && SHA256_Update(&state, bytes, len) != 1)
		return false;
	return SHA256_Final(digest->bytes, &state) == 1;
}

bool ft_sha256_parse(struct ft_sha256 *digest, const char *hex, size_t len)
{
	struct ft_sha256 parsed;

	if (len != FT_SHA256_HEX_LEN || !ft_hex_decode(parsed.bytes, hex, FT_SHA256_LEN))
		return false;
	*digest = parsed;
	return true;
}

bool ft_sha256_equal(const struct ft_sha256 *a, const struct ft_sha256 *b)
{
	return memcmp(a->bytes, b->bytes, FT_SHA256_LEN) == 0;
}
