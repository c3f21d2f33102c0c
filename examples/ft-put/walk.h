/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Directories as lists of files.
 *
 * A file in a directory goes by its own name. Where it was, beginning with the
 * directory's name, is in user_data: {"path":"photos/2024/a.jpg"}.
 */
#ifndef FT_PUT_WALK_H
#define FT_PUT_WALK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct walk_file {
	const char *path;
	const char *relative;		/* NULL: it was named itself, not found in a directory */
	const struct stat *stat;
};

struct walk {
	void *context;
	bool (*file)(void *context, const struct walk_file *file);	/* false: stop */
	void (*bad)(void *context, const char *path, int error);
};

/* `path` itself, or every regular file below it, in the order of their names. Links to
 * directories are not followed. False: stopped, or out of memory. */
bool walk(const struct walk *walk, const char *path);

/* `user_data` (JSON or NULL) and the relative path (or NULL) in one; see the manual. */
char *walk_user_data(const char *user_data, const char *relative);

#endif
