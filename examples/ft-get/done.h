/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What --watch has done, as JSON on disk, so that each content is handled once, whatever
 * restarts:
 *	{"format":1,"files":[{"file":"/opt/app.bin","sha256":"<64 hex>","state":"running"}]}
 *
 *	done_load(&done, path);				no file, or a damaged one: nothing is known
 *	state = done_state(&done, file, sha256);
 *	done_set(&done, file, sha256, DONE_RUNNING);	durable, before the command begins
 *	done_release(&done);
 */
#ifndef FT_GET_DONE_H
#define FT_GET_DONE_H

#include <stdbool.h>
#include <stddef.h>

#include "../lib/sha256.h"

/*
 *	NOTHING -> RUNNING -> ENDED	with a command
 *	NOTHING -> ENDED		without
 * RUNNING that is found after a start: it was interrupted, and is not begun again.
 */
enum done_state {
	DONE_NOTHING,
	DONE_RUNNING,
	DONE_ENDED,
};

struct done_file {
	char *file;			/* absolute */
	char sha256[SHA256_HEX_ROOM];
	enum done_state state;
};

struct done {
	char *path;			/* of the JSON; NULL: nothing is kept */
	struct done_file *items;
	size_t count;
	size_t room;
};

/* False when out of memory. `path` NULL is allowed. */
bool done_load(struct done *done, const char *path);

enum done_state done_state(const struct done *done, const char *file, const char *sha256);

/* False: errno says why it is not on disk. */
bool done_set(struct done *done, const char *file, const char *sha256, enum done_state state);

void done_release(struct done *done);

#endif
