/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/disk.h"

#define BLOCK ((size_t)256 * 1024)

bool source_digest(const struct source *source, char hex[SHA256_HEX_ROOM])
{
	return sha256_so_far(hex, source->hash);
}

/* --- opening --- */

/* Files of /proc are said to be empty, and are not. */
static bool has_no_size(const struct source *source)
{
	struct stat again;
	char byte;

	return source->stat.st_size == 0 && pread(source->fd, &byte, 1, 0) == 1 &&
	       fstat(source->fd, &again) == 0 && again.st_size == 0;
}

/* What was read before us is not to be sent, so the size says nothing. */
static bool begins_elsewhere(const struct source *source)
{
	return lseek(source->fd, 0, SEEK_CUR) > 0 || has_no_size(source);
}

static const char *set_up(struct source *source, size_t ring_bytes)
{
	if (fstat(source->fd, &source->stat) != 0)
		return strerror(errno);
	if (S_ISDIR(source->stat.st_mode))
		return strerror(EISDIR);
	source->hash = sha256_begin();
	if (!source->hash)
		return "SHA-256 failed";
	source->stream = !S_ISREG(source->stat.st_mode) || (ring_bytes && begins_elsewhere(source));
	source->ended = !source->stream;
	if (!source->stream && has_no_size(source))
		return "its size is not known, as in /proc: send it through standard input (-)";
	if (!source->stream) {
		source->size = (uint64_t)source->stat.st_size;
		return NULL;
	}
	if (!ring_bytes)
		return "not a regular file";
	source->ring_bytes = ring_bytes;
	source->ring = malloc(ring_bytes);
	return source->ring ? NULL : strerror(ENOMEM);
}

bool source_open(struct source *source, const char *path, const char **why)
{
	*source = (struct source){ .fd = -1 };
	/* Without O_NONBLOCK the open of a named pipe would wait for a writer. */
	source->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	*why = source->fd < 0 ? strerror(errno) : set_up(source, 0);
	if (*why)
		source_close(source);
	return !*why;
}

bool source_open_fd(struct source *source, int fd, size_t ring_bytes, const char **why)
{
	*source = (struct source){ .fd = fd, .borrowed = true };
	*why = set_up(source, ring_bytes);
	if (*why)
		source_close(source);
	return !*why;
}

void source_close(struct source *source)
{
	if (source->fd >= 0 && !source->borrowed)
		close(source->fd);
	source->fd = -1;
	free(source->ring);
	source->ring = NULL;
	EVP_MD_CTX_free(source->hash);
	source->hash = NULL;
	EVP_MD_CTX_free(source->again);
	source->again = NULL;
}

/* --- reading --- */

void source_expect(struct source *source, uint64_t len, const char *sha256)
{
	if (len > source->size)
		return;
	source->check_at = len;
	snprintf(source->check_sha256, sizeof(source->check_sha256), "%s", sha256);
}

static void check(struct source *source)
{
	char hex[SHA256_HEX_ROOM];

	if (source->check_at && source->hashed == source->check_at)
		source->differs = !source_digest(source, hex) ||
				  strcmp(hex, source->check_sha256) != 0;
}

/* On failure nothing is added, and what waits for the checksum fails. */
static void hash_next(struct source *source, const void *block, size_t len)
{
	if (EVP_DigestUpdate(source->hash, block, len))
		source->hashed += len;
	check(source);
}

static void hash_block(struct source *source, uint64_t offset, const void *block, size_t len)
{
	if (offset > source->hashed || offset + len <= source->hashed)
		return;
	size_t skip = (size_t)(source->hashed - offset);
	const char *next = (const char *)block + skip;

	len -= skip;
	if (source->check_at > source->hashed && source->check_at < source->hashed + len) {
		size_t part = (size_t)(source->check_at - source->hashed);
		hash_next(source, next, part);
		next += part;
		len -= part;
	}
	hash_next(source, next, len);
}

static bool read_file(const struct source *source, uint64_t offset, void *buffer, size_t len)
{
	return disk_read_at(source->fd, buffer, len, (off_t)offset);
}

static bool read_ring(const struct source *source, uint64_t offset, void *buffer, size_t len)
{
	if (offset + len > source->size || source->size - offset > source->ring_bytes)
		return false;
	size_t at = (size_t)(offset % source->ring_bytes);
	size_t first = source->ring_bytes - at < len ? source->ring_bytes - at : len;

	memcpy(buffer, source->ring + at, first);
	memcpy((char *)buffer + first, source->ring, len - first);
	return true;
}

bool source_read(struct source *source, uint64_t offset, void *buffer, size_t len)
{
	if (source->stream)
		return read_ring(source, offset, buffer, len);
	if (!read_file(source, offset, buffer, len))
		return false;
	hash_block(source, offset, buffer, len);
	return true;
}

static size_t room_in_ring(const struct source *source, size_t max, uint64_t keep)
{
	size_t used = (size_t)(source->size - keep);
	size_t room = source->ring_bytes - used;
	size_t to_edge = source->ring_bytes - (size_t)(source->size % source->ring_bytes);

	if (room > max)
		room = max;
	return room < to_edge ? room : to_edge;
}

/* One read, after poll(): the descriptor's flags belong to others as well. */
static enum source_fill fill_once(struct source *source, size_t max, uint64_t keep)
{
	size_t room = room_in_ring(source, max, keep);
	struct pollfd ready = { .fd = source->fd, .events = POLLIN };

	if (!room || poll(&ready, 1, 0) <= 0)
		return FILL_NOTHING_YET;
	unsigned char *to = source->ring + source->size % source->ring_bytes;
	ssize_t got = read(source->fd, to, room);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? FILL_NOTHING_YET : FILL_ERROR;
	if (got == 0) {
		source->ended = true;
		return FILL_END;
	}
	hash_block(source, source->size, to, (size_t)got);
	source->size += (uint64_t)got;
	return FILL_MORE;
}

enum source_fill source_fill(struct source *source, size_t max, uint64_t keep)
{
	uint64_t goal = source->size + max;
	enum source_fill filled = FILL_NOTHING_YET;

	while (source->size < goal) {
		filled = fill_once(source, (size_t)(goal - source->size), keep);
		if (filled != FILL_MORE)
			return filled;
	}
	return filled;
}

bool source_hash_on(struct source *source, size_t max, const char **why)
{
	uint64_t goal = source->size - source->hashed < max ? source->size
							    : source->hashed + max;
	void *block = malloc(BLOCK);

	*why = block ? NULL : strerror(ENOMEM);
	while (!*why && source->hashed < goal) {
		uint64_t before = source->hashed;
		size_t len = goal - before < BLOCK ? (size_t)(goal - before) : BLOCK;
		if (!source_read(source, before, block, len) || source->hashed == before)
			*why = "it has changed, or cannot be read any more";
	}
	free(block);
	return !*why && source->hashed == source->size;
}

bool source_unchanged(const struct source *source)
{
	struct stat now;

	return source->stream ||
	       (fstat(source->fd, &now) == 0 && (uint64_t)now.st_size == source->size &&
		now.st_mtim.tv_sec == source->stat.st_mtim.tv_sec &&
		now.st_mtim.tv_nsec == source->stat.st_mtim.tv_nsec);
}

/* --- a second reading --- */

/* False where it cannot be read, or memory ran out. */
static bool reread(struct source *source, size_t max)
{
	uint64_t goal = source->size - source->reread < max ? source->size : source->reread + max;
	void *block = malloc(BLOCK);
	bool ok = block;

	while (ok && source->reread < goal) {
		size_t len = goal - source->reread < BLOCK ? (size_t)(goal - source->reread) : BLOCK;
		ok = read_file(source, source->reread, block, len) &&
		     EVP_DigestUpdate(source->again, block, len);
		source->reread += len;
	}
	free(block);
	return ok;
}

static bool begin_to_reread(struct source *source)
{
	source->again = sha256_begin();
	source->reread = 0;
	return source->again;
}

enum source_check source_check(struct source *source, size_t max)
{
	char first[SHA256_HEX_ROOM], second[SHA256_HEX_ROOM];

	if (!source->again && source_unchanged(source))
		return CHECK_SAME;
	if ((!source->again && !begin_to_reread(source)) || !reread(source, max))
		return CHECK_DIFFERS;
	if (source->reread < source->size)
		return CHECK_GOES_ON;
	bool same = source_digest(source, first) && sha256_so_far(second, source->again) &&
		    strcmp(first, second) == 0;
	EVP_MD_CTX_free(source->again);
	source->again = NULL;
	return same ? CHECK_SAME : CHECK_DIFFERS;
}

/* --- ids --- */

static bool identity_digest(char hex[SHA256_HEX_ROOM], const struct source *source,
			    const char *place, const char *name, unsigned salt)
{
	unsigned char random[32] = {0};
	char *text = NULL;

	if (source->stream && RAND_bytes(random, sizeof(random)) != 1)
		return false;
	if (source->stream)
		return sha256_hex(hex, random, sizeof(random));
	int len = asprintf(&text, "%s\n%s\n%" PRIu64 " %lld.%09ld %u", place, name, source->size,
			   (long long)source->stat.st_mtim.tv_sec, source->stat.st_mtim.tv_nsec,
			   salt);
	bool ok = len > 0 && sha256_hex(hex, text, (size_t)len);
	if (len >= 0)
		free(text);
	return ok;
}

bool source_file_id(char id[FILE_ID_ROOM], const struct source *source, const char *place,
		    const char *name, unsigned salt)
{
	char hex[SHA256_HEX_ROOM];

	if (!identity_digest(hex, source, place, name, salt))
		return false;
	/* RFC 9562: version 8 is for such uses; variant 10xx. */
	snprintf(id, FILE_ID_ROOM, "%.8s-%.4s-8%.3s-a%.3s-%.12s",
		 hex, hex + 8, hex + 12, hex + 15, hex + 18);
	return true;
}
