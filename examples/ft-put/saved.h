/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What outlives the program, as JSON on disk: the files that were not finished, and when the last
 * one was.
 *
 *	struct saved saved;
 *	saved_load(&saved, path);		no file, or a damaged one: nothing is known
 *	item = saved_find(&saved, source_path);
 *	saved_put(&saved, &item);
 *	saved_store(&saved);			all or nothing, durable
 *	saved_release(&saved);
 *
 * It is a help, not the truth: the broker says what it holds. It keeps the id of a
 * transfer, and enough to notice that the file has changed since.
 */
#ifndef FT_PUT_SAVED_H
#define FT_PUT_SAVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "source.h"

struct saved_item {
	char *path;			/* of the source, absolute */
	char *file_id;
	char *name;
	uint64_t size;
	int64_t mtime_s;
	int64_t mtime_ns;
	uint64_t hashed;		/* `sha256` is that of the first so many bytes */
	char sha256[SHA256_HEX_ROOM];
};

struct saved {
	char *path;			/* of the JSON; NULL: nothing is kept */
	struct saved_item *items;
	size_t count;
	size_t room;
	int64_t delivered_ms;		/* since 1970: when a file was finished last; 0: never */
	bool changed;			/* since it was loaded or stored */
};

/* False when out of memory. `path` NULL is allowed. */
bool saved_load(struct saved *saved, const char *path);
void saved_release(struct saved *saved);

/* Valid until the next change. */
const struct saved_item *saved_find(const struct saved *saved, const char *path);

/* Adds a copy, or replaces what is known of that path. False when out of memory. */
bool saved_put(struct saved *saved, const struct saved_item *item);

void saved_remove(struct saved *saved, const char *path);

/* A file was finished at this time of the wall clock. */
void saved_delivered(struct saved *saved, int64_t now_ms);

/* With nothing to keep the file is removed. False: errno says why. */
bool saved_store(struct saved *saved);

#endif
