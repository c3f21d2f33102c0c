/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK ((size_t)256 * 1024)

static void to_hex(char *hex, const unsigned char *bytes, size_t len)
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
	to_hex(hex, digest, digest_len);
	return true;
}

/* The error text, or NULL when all of the file went into the hash. */
static const char *hash_blocks(EVP_MD_CTX *hash, struct source *source, void *block)
{
	ssize_t got;

	source->size = 0;
	while ((got = pread(source->fd, block, BLOCK, (off_t)source->size)) > 0) {
		if (!EVP_DigestUpdate(hash, block, (size_t)got))
			return "SHA-256 failed";
		source->size += (uint64_t)got;
	}
	return got < 0 ? strerror(errno) : NULL;
}

static const char *hash_file(struct source *source)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int digest_len = 0;
	const char *why = "out of memory";
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	void *block = malloc(BLOCK);

	if (hash && block && EVP_DigestInit_ex(hash, EVP_sha256(), NULL))
		why = hash_blocks(hash, source, block);
	if (!why && !EVP_DigestFinal_ex(hash, digest, &digest_len))
		why = "SHA-256 failed";
	to_hex(source->checksum, digest, digest_len);
	free(block);
	EVP_MD_CTX_free(hash);
	return why;
}

/* Hashing a pipe would use up what is to be sent. */
static const char *check_kind(struct source *source)
{
	if (fstat(source->fd, &source->stat) != 0)
		return strerror(errno);
	if (S_ISDIR(source->stat.st_mode))
		return strerror(EISDIR);
	return S_ISREG(source->stat.st_mode) ? NULL : "not a regular file";
}

bool source_open(struct source *source, const char *path, const char **why)
{
	*source = (struct source){ .fd = -1 };
	/* Without O_NONBLOCK the open of a named pipe would wait for a writer. */
	source->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	*why = source->fd < 0 ? strerror(errno) : check_kind(source);
	if (!*why)
		*why = hash_file(source);
	if (*why)
		source_close(source);
	return !*why;
}

void source_close(struct source *source)
{
	if (source->fd >= 0)
		close(source->fd);
	source->fd = -1;
}

bool source_read(const struct source *source, uint64_t offset, void *buffer, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t got = pread(source->fd, (char *)buffer + done, len - done,
				    (off_t)(offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	return true;
}

bool source_unchanged(const struct source *source)
{
	struct stat now;

	return fstat(source->fd, &now) == 0 && now.st_size == source->stat.st_size &&
	       (uint64_t)now.st_size == source->size &&
	       now.st_mtim.tv_sec == source->stat.st_mtim.tv_sec &&
	       now.st_mtim.tv_nsec == source->stat.st_mtim.tv_nsec;
}

bool source_file_id(char id[FILE_ID_ROOM], const struct source *source, const char *name)
{
	char hex[SHA256_HEX_ROOM];
	size_t room = strlen(source->checksum) + strlen(name) + 2;
	char *text = malloc(room);

	if (!text)
		return false;
	snprintf(text, room, "%s %s", source->checksum, name);
	bool ok = sha256_hex(hex, text, room - 1);
	free(text);
	/* RFC 9562: version 8 is for such uses; variant 10xx. */
	if (ok)
		snprintf(id, FILE_ID_ROOM, "%.8s-%.4s-8%.3s-a%.3s-%.12s",
			 hex, hex + 8, hex + 12, hex + 15, hex + 18);
	return ok;
}
