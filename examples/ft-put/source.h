/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The file to send: its size, its checksum, and its bytes on demand.
 *
 *	struct source source;
 *	if (!source_open(&source, path, &why)) ...
 *	source_read(&source, offset, buffer, len);
 *	source_close(&source);
 *
 * Only what is asked for is in memory. A file that changes under our feet is
 * noticed by source_unchanged().
 */
#ifndef FT_PUT_SOURCE_H
#define FT_PUT_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define SHA256_HEX_ROOM 65
#define FILE_ID_ROOM 37

struct source {
	int fd;
	struct stat stat;		/* when it was opened */
	uint64_t size;
	char checksum[SHA256_HEX_ROOM];
};

/* Opens and hashes. False: `*why` says what is wrong (static storage). */
bool source_open(struct source *source, const char *path, const char **why);

void source_close(struct source *source);

/* Reads exactly `len` bytes; false where the file has shrunk or cannot be read. */
bool source_read(const struct source *source, uint64_t offset, void *buffer, size_t len);

/* Whether size and modification time still are what they were. */
bool source_unchanged(const struct source *source);

/* SHA-256 of a block, in hex. False when libcrypto fails. */
bool sha256_hex(char hex[SHA256_HEX_ROOM], const void *bytes, size_t len);

/*
 * An id that is the same whenever the same content is sent under the same name, so
 * that running the program again resumes. The form is that of a UUID, version 8.
 */
bool source_file_id(char id[FILE_ID_ROOM], const struct source *source, const char *name);

#endif
