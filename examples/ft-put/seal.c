/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "seal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "source.h"

#define SEAL_BUFFER (64 * 1024)

struct seal {
	X509 **certs;
	size_t count;
	char mark[SHA256_HEX_ROOM];
};

struct sealing {
	char *path;
	char *temporary;
	int fd;
	CMS_ContentInfo *cms;
	BIO *out;		/* buffer and file */
	BIO *in;		/* what encrypts, on top of `out`; NULL before the first byte */
	const struct seal *seal;
};

/* --- recipients --- */

static const char *seal_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	return reason ? reason : "OpenSSL fails";
}

static X509 *seal_read(const char *path, char *why, size_t room)
{
	FILE *file = fopen(path, "re");
	X509 *cert = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;

	if (!file)
		snprintf(why, room, "--encrypt %s: %s", path, strerror(errno));
	else if (!cert)
		snprintf(why, room, "--encrypt %s: no certificate in PEM (%s)", path, seal_reason());
	if (file)
		fclose(file);
	ERR_clear_error();
	return cert;
}

/* The marks of all certificates before it, and its own digest. */
static bool seal_extend_mark(struct seal *seal, const X509 *cert)
{
	unsigned char digest[EVP_MAX_MD_SIZE + SHA256_HEX_ROOM];
	unsigned int len = 0;

	if (!X509_digest(cert, EVP_sha256(), digest, &len))
		return false;
	memcpy(digest + len, seal->mark, sizeof(seal->mark));
	return sha256_hex(seal->mark, digest, len + strlen(seal->mark));
}

/* RFC 8017: OAEP, since the older padding can be broken where errors are told. */
static bool seal_add_recipient(CMS_ContentInfo *cms, X509 *cert)
{
	CMS_RecipientInfo *info = CMS_add1_recipient_cert(cms, cert, CMS_KEY_PARAM);
	EVP_PKEY_CTX *key = info ? CMS_RecipientInfo_get0_pkey_ctx(info) : NULL;

	if (!info)
		return false;
	return CMS_RecipientInfo_type(info) != CMS_RECIPINFO_TRANS ||
	       (key && EVP_PKEY_CTX_set_rsa_padding(key, RSA_PKCS1_OAEP_PADDING) > 0);
}

/* `flags`: CMS_STREAM or 0. */
static CMS_ContentInfo *seal_begin(const struct seal *seal, unsigned flags)
{
	CMS_ContentInfo *cms = CMS_encrypt(NULL, NULL, EVP_aes_256_gcm(),
					   CMS_BINARY | CMS_PARTIAL | flags);

	for (size_t i = 0; cms && i < seal->count; i++) {
		if (!seal_add_recipient(cms, seal->certs[i])) {
			CMS_ContentInfo_free(cms);
			return NULL;
		}
	}
	return cms;
}

static bool seal_load(struct seal *seal, const char *const *recipients, char *why, size_t room)
{
	for (size_t i = 0; recipients[i]; i++) {
		X509 *cert = seal_read(recipients[i], why, room);
		if (!cert)
			return false;
		seal->certs[seal->count++] = cert;
		/* A key of a kind that cannot be encrypted for is found now, not after the bytes. */
		CMS_ContentInfo *cms = seal_begin(seal, 0);
		bool ok = cms && seal_extend_mark(seal, cert);
		if (!ok)
			snprintf(why, room, "--encrypt %s: %s", recipients[i], seal_reason());
		CMS_ContentInfo_free(cms);
		ERR_clear_error();
		if (!ok)
			return false;
	}
	return true;
}

struct seal *seal_new(const char *const *recipients, char *why, size_t room)
{
	struct seal *seal = calloc(1, sizeof(*seal));
	size_t count = 0;

	while (recipients[count])
		count++;
	if (seal)
		seal->certs = calloc(count + 1, sizeof(X509 *));
	if (!seal || !seal->certs)
		snprintf(why, room, "out of memory");
	else if (OPENSSL_VERSION_NUMBER < 0x30000000L)
		snprintf(why, room, "--encrypt needs OpenSSL 3.0 or later");
	else if (seal_load(seal, recipients, why, room))
		return seal;
	seal_free(&seal);
	return NULL;
}

void seal_free(struct seal **seal)
{
	if (!*seal)
		return;
	for (size_t i = 0; i < (*seal)->count; i++)
		X509_free((*seal)->certs[i]);
	free((*seal)->certs);
	free(*seal);
	*seal = NULL;
}

const char *seal_mark(const struct seal *seal)
{
	return seal->mark;
}

/* --- one file --- */

static void sealing_free(struct sealing **sealing)
{
	struct sealing *old = *sealing;

	/* What encrypts lies on top; each frees itself alone. */
	while (old->in && old->in != old->out) {
		BIO *below = BIO_pop(old->in);
		BIO_free(old->in);
		old->in = below;
	}
	BIO_free_all(old->out);
	CMS_ContentInfo_free(old->cms);
	if (old->fd >= 0)
		close(old->fd);
	free(old->path);
	free(old->temporary);
	free(old);
	*sealing = NULL;
}

static bool sealing_open(struct sealing *sealing)
{
	BIO *buffer = BIO_new(BIO_f_buffer());
	BIO *file = NULL;

	sealing->fd = open(sealing->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
			   0600);
	if (buffer && sealing->fd >= 0)
		file = BIO_new_fd(sealing->fd, BIO_NOCLOSE);
	if (!file) {
		BIO_free(buffer);
		return false;
	}
	sealing->out = BIO_push(buffer, file);
	(void)BIO_set_write_buffer_size(buffer, SEAL_BUFFER);
	return true;
}

static bool sealing_begin(struct sealing *sealing)
{
	errno = ENOMEM;
	sealing->cms = seal_begin(sealing->seal, CMS_STREAM);
	sealing->in = sealing->cms ? BIO_new_CMS(sealing->out, sealing->cms) : NULL;
	return sealing->in;
}

/* A stream without a byte would have no end: OpenSSL writes the head with the first one. */
static bool sealing_write_empty(struct sealing *sealing)
{
	BIO *nothing = BIO_new_mem_buf("", 0);

	sealing->cms = seal_begin(sealing->seal, 0);
	bool ok = nothing && sealing->cms && CMS_final(sealing->cms, nothing, NULL, CMS_BINARY) &&
		  i2d_CMS_bio(sealing->out, sealing->cms);
	BIO_free(nothing);
	return ok;
}

struct sealing *sealing_new(const struct seal *seal, const char *path)
{
	struct sealing *sealing = calloc(1, sizeof(*sealing));

	if (!sealing)
		return NULL;
	sealing->fd = -1;
	sealing->seal = seal;
	sealing->path = strdup(path);
	if (asprintf(&sealing->temporary, "%s.part", path) < 0)
		sealing->temporary = NULL;
	if (!sealing->path || !sealing->temporary || !sealing_open(sealing)) {
		int error = errno;
		sealing_free(&sealing);
		errno = error;
	}
	return sealing;
}

bool sealing_add(struct sealing *sealing, const void *bytes, size_t len)
{
	size_t done = 0;

	if (!len)
		return true;
	if (!sealing->in && !sealing_begin(sealing))
		return false;
	/* OpenSSL has no errno of its own, such as for more than GCM's 64 GiB. */
	errno = EFBIG;
	return BIO_write_ex(sealing->in, bytes, len, &done) && done == len;
}

void sealing_abandon(struct sealing **sealing)
{
	if (!*sealing)
		return;
	if ((*sealing)->temporary)
		unlink((*sealing)->temporary);
	sealing_free(sealing);
}

bool sealing_finish(struct sealing **sealing)
{
	struct sealing *old = *sealing;

	errno = EIO;
	bool ok = old->in ? BIO_flush(old->in) == 1 : sealing_write_empty(old);
	ok = ok && BIO_flush(old->out) == 1 && fsync(old->fd) == 0 &&
		  rename(old->temporary, old->path) == 0;
	int error = errno;
	if (!ok)
		unlink(old->temporary);
	sealing_free(sealing);
	errno = error;
	return ok;
}
