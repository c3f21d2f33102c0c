/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "sha256.h"

#include <string.h>

static void sha256_write(char *hex, const unsigned char *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		*hex++ = digits[bytes[i] >> 4];
		*hex++ = digits[bytes[i] & 15];
	}
	*hex = '\0';
}

bool sha256_hex(char hex[SHA256_HEX_ROOM], const void *bytes, size_t len)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int digest_len;

	if (!EVP_Digest(bytes, len, digest, &digest_len, EVP_sha256(), NULL))
		return false;
	sha256_write(hex, digest, digest_len);
	return true;
}

bool sha256_so_far(char hex[SHA256_HEX_ROOM], const EVP_MD_CTX *hash)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int digest_len = 0;
	EVP_MD_CTX *copy = EVP_MD_CTX_new();
	bool ok = copy && EVP_MD_CTX_copy_ex(copy, hash) &&
		  EVP_DigestFinal_ex(copy, digest, &digest_len);

	EVP_MD_CTX_free(copy);
	if (ok)
		sha256_write(hex, digest, digest_len);
	return ok;
}

EVP_MD_CTX *sha256_begin(void)
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();

	if (hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL))
		return hash;
	EVP_MD_CTX_free(hash);
	return NULL;
}

bool sha256_read(char hex[SHA256_HEX_ROOM], const char *text)
{
	if (!text || strlen(text) != SHA256_HEX_ROOM - 1 ||
	    text[strspn(text, "0123456789abcdefABCDEF")])
		return false;
	for (size_t i = 0; i < SHA256_HEX_ROOM; i++)
		hex[i] = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] - 'A' + 'a') : text[i];
	return true;
}
