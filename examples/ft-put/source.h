/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The bytes to send and their SHA-256, which grows as they are read.
 *
 *	struct source source;
 *	if (!source_open(&source, path, &why)) ...
 *	source_read(&source, offset, buffer, len);	hashes what comes next in line
 *	while (!source_hash_on(&source, 1 << 20, &why)) ...	what was skipped, slice by slice
 *	source_digest(&source, hex);
 *	source_close(&source);
 *
 * A regular file is read where asked. A stream (pipe, terminal, socket) can be read
 * once: a ring keeps what has not been acknowledged, and source_fill() adds to it.
 */
#ifndef FT_PUT_SOURCE_H
#define FT_PUT_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "../lib/sha256.h"

#define FILE_ID_ROOM 37

struct source {
	int fd;
	bool borrowed;			/* not to be closed here */
	bool stream;
	bool ended;			/* `size` is final */
	struct stat stat;		/* when it was opened */
	uint64_t size;			/* of a stream: what was read so far */
	unsigned char *ring;
	size_t ring_bytes;
	void *hash;			/* EVP_MD_CTX over [0, hashed) */
	uint64_t hashed;
	uint64_t check_at;		/* the first so many bytes must have this checksum */
	char check_sha256[SHA256_HEX_ROOM];
	bool differs;			/* they have not */
	void *again;			/* EVP_MD_CTX: the hash of a second reading of [0, reread) */
	uint64_t reread;
};

enum source_fill {
	FILL_MORE,
	FILL_NOTHING_YET,
	FILL_END,
	FILL_ERROR,
};

/* False: `*why` says what is wrong (static storage). */
bool source_open(struct source *source, const char *path, const char **why);

/*
 * A descriptor, which stays the caller's. One that is no regular file is a stream;
 * at most `ring_bytes` of it are kept.
 */
bool source_open_fd(struct source *source, int fd, size_t ring_bytes, const char **why);

void source_close(struct source *source);

/*
 * Reads exactly `len` bytes; false where the file has shrunk, cannot be read, or the
 * stream has moved on.
 */
bool source_read(struct source *source, uint64_t offset, void *buffer, size_t len);

/* Stream: reads what is there now, at most `max`; nothing from `keep` on is overwritten. */
enum source_fill source_fill(struct source *source, size_t max, uint64_t keep);

/* Hashes up to `max` more bytes; true when all are in. An error sets `*why`. */
bool source_hash_on(struct source *source, size_t max, const char **why);

/* An earlier run saw this checksum of the first `len` bytes; `differs` will tell. */
void source_expect(struct source *source, uint64_t len, const char *sha256);

/* SHA-256 of [0, hashed). False when libcrypto fails. */
bool source_digest(const struct source *source, char hex[SHA256_HEX_ROOM]);

/* Whether size and modification time still are what they were. */
bool source_unchanged(const struct source *source);

enum source_check {
	CHECK_GOES_ON,			/* call it again */
	CHECK_SAME,
	CHECK_DIFFERS,
};

/*
 * Whether [0, size) still is what was hashed, once all is. Where nothing shows a change, that
 * is believed; where something does, such as a log that has grown, it is read once more, `max`
 * bytes in a call.
 */
enum source_check source_check(struct source *source, size_t max);

/*
 * An id that is the same for the same file (`place`, `name`, size, time of
 * modification), so that a later run resumes; `salt` > 0 makes others. A stream gets a
 * random one. The form is that of a UUID, version 8.
 */
bool source_file_id(char id[FILE_ID_ROOM], const struct source *source, const char *place,
		    const char *name, unsigned salt);

#endif
