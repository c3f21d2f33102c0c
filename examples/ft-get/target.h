/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Where the bytes of one file go: FILE.part, with FILE.part.json about what it has, and FILE
 * once it is whole and verified. Or standard output, in order.
 *
 *	struct target target;
 *	target_init(&target, "app.bin");		NULL: standard output
 *	target_expect(&target, path, size, sha256);	what is offered
 *	switch (target_look(&target, max)) ...		is FILE that already? slice by slice
 *	switch (target_open(&target, resume)) ...
 *	spans_set_missing(&todo, target.held.items, target.held.count, size);
 *	target_put(&target, offset, bytes, len);
 *	target_save(&target);				now and then, and before the end
 *	while (target_hash_on(&target, max)) ...	then target_verify(), target_finish()
 *	target_release(&target);
 *
 * FILE.part.json:
 *	{"path":"app.bin","size":1000003,"sha256":"<64 hex>","have":[[0,65536],[131072,65536]]}
 * `have` is in ascending order. It counts if path, size and sha256 are those of the offer; what
 * it names was in FILE.part, and synced, before it was written. `sha256` is "" where nobody knows.
 *
 * What goes wrong is in `why`. One thread; a FILE.part belongs to one process (flock).
 */
#ifndef FT_GET_TARGET_H
#define FT_GET_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/sha256.h"
#include "held.h"

struct target {
	char *file;			/* NULL: standard output */
	char *part;
	char *state;			/* FILE.part.json */
	int fd;				/* of the part, or 1; -1: not open */
	int look_fd;			/* of FILE, while it is looked at */
	char *path;			/* of the offer */
	uint64_t size;
	char sha256[SHA256_HEX_ROOM];	/* "": not known */
	struct held held;
	EVP_MD_CTX *hash;		/* over [0, hashed) */
	uint64_t hashed;
	bool changed;			/* since it was saved */
	int64_t saved_ms, save_pause_ms;
	char why[400];
};

/* `file` is copied. False: no memory. */
bool target_init(struct target *target, const char *file);

/* Forgets what was known; `path` is copied. False: no memory. */
bool target_expect(struct target *target, const char *path, uint64_t size, const char *sha256);

enum target_look {
	TARGET_LOOK_ON,			/* call it again */
	TARGET_IS_THERE,		/* FILE has this content */
	TARGET_IS_NOT,
	TARGET_IS_WRONG,		/* something else of that name cannot be replaced */
};

/* Reads `max` bytes at most. Without a known checksum nothing is there. */
enum target_look target_look(struct target *target, size_t max);

enum target_open {
	TARGET_FRESH,
	TARGET_RESUMED,			/* a part is held */
	TARGET_ANEW,			/* what was held was of another content, and is forgotten */
	TARGET_CANNOT,
};

/* `resume` false: what is held is forgotten in any case. */
enum target_open target_open(struct target *target, bool resume);

/* Of standard output: only what comes next in line. False: `why`. */
bool target_put(struct target *target, uint64_t offset, const void *bytes, size_t len);

/* Hashes `max` more bytes of what is held; false when all is hashed, or it cannot be read. */
bool target_hash_on(struct target *target, size_t max);

/* Whether all that is held is hashed already, as far as it goes without a gap. */
bool target_is_hashed(const struct target *target);

/* All is held and hashed: is it what was expected? `sha256` is filled in where it was not known. */
bool target_verify(struct target *target);

/* Notes what is held, if there is something new. False: `why`. */
bool target_save(struct target *target);

/* The same, if it is time for it. */
bool target_save_now_and_then(struct target *target, int64_t now);

/* Makes it FILE, durable. False: `why`. */
bool target_finish(struct target *target);

/* Nothing is held any more; the part stays open. False: `why`. */
bool target_clear(struct target *target);

/* Closes it. What is held stays on disk; `discard` removes it. */
void target_close(struct target *target);
void target_discard(struct target *target);
void target_release(struct target *target);

#endif
