/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A file that appears under its name complete or not at all: written under a
 * temporary name, then renamed.
 *
 *	struct ft_atomic file;
 *	if ((st = ft_atomic_open(&file, dir, "manifest.tmp")) != FT_OK) return st;
 *	... write to file.fd ...
 *	st = ft_atomic_commit(&file, dir, "manifest.json", NULL);
 *
 * An open object is consumed by ft_atomic_commit() or ft_atomic_abort(); after a
 * failed ft_atomic_open() neither is needed. The directory descriptor is borrowed
 * until then. Errors leave errno for the caller's log line. Threads: the owner's;
 * two objects with the same temporary name in one directory must not be open at
 * the same time.
 */
#ifndef FT_STORE_ATOMIC_H
#define FT_STORE_ATOMIC_H

#include <stdbool.h>
#include <stddef.h>

#include "file_transfer/status.h"

struct ft_atomic {
	int fd;			/* to write to; -1 when consumed */
	int dir;		/* private */
	const char *temporary;	/* private */
};

/* Creates `temporary` (static storage) in `dir`, mode 0640, in place of any leftover. */
enum ft_status ft_atomic_open(struct ft_atomic *file, int dir, const char *temporary) FT_MUST_USE;

/* The same, with `bytes` written to it. On error the temporary file is removed. */
enum ft_status ft_atomic_fill(struct ft_atomic *file, int dir, const char *temporary,
			      const void *bytes, size_t len) FT_MUST_USE;

/*
 * Renames to `name` in `to_dir`, over what is there. The descriptor goes to *keep, or
 * is closed where that is NULL. On error the temporary file is removed.
 */
enum ft_status ft_atomic_commit(struct ft_atomic *file, int to_dir, const char *name,
				int *keep) FT_MUST_USE;

/* Removes the temporary file. Safe to call again. */
void ft_atomic_abort(struct ft_atomic *file);

/*
 * All of it at once: `bytes` as `name` in `to_dir`, by way of `temporary` in `dir`.
 * `durable`: the content is fsynced before the rename; the directory is the caller's.
 */
enum ft_status ft_atomic_write(int dir, const char *temporary, int to_dir, const char *name,
			       const void *bytes, size_t len, bool durable) FT_MUST_USE;

#endif
