/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A layer between SQLite and the system: a test sees each call, and may make it fail. All
 * else is done by SQLite's own VFS.
 *
 *	sqlite_vfs_install();			before anything else is asked of SQLite
 *	sqlite_vfs_watch(watcher, context);	NULL: nobody
 *
 * Threads: the watcher is called on that of the call.
 */
#ifndef FT_TESTS_SQLITE_VFS_H
#define FT_TESTS_SQLITE_VFS_H

#include <stddef.h>
#include <stdint.h>

enum sqlite_call {
	SQLITE_CALL_OPEN,
	SQLITE_CALL_DELETE,
	SQLITE_CALL_ACCESS,
	SQLITE_CALL_FULL_PATHNAME,
	SQLITE_CALL_READ,
	SQLITE_CALL_WRITE,
	SQLITE_CALL_TRUNCATE,
	SQLITE_CALL_SYNC,
	SQLITE_CALL_FILE_SIZE,
	SQLITE_CALL_LOCK,
	SQLITE_CALL_SHM_MAP,
	SQLITE_CALL_SHM_LOCK,
	SQLITE_CALL_MALLOC,		/* of SQLite's memory */
};

struct sqlite_vfs_call {
	enum sqlite_call call;
	const char *path;		/* "" where there is none */
	const void *bytes;		/* WRITE */
	size_t len;			/* WRITE */
	uint64_t offset;		/* WRITE; TRUNCATE: the new size */
};

/*
 * Asked before each call. Not SQLITE_OK: the call is not made, and fails with this (MALLOC:
 * with any). May call SQLite on another connection.
 */
typedef int sqlite_vfs_watcher(void *context, const struct sqlite_vfs_call *call);

void sqlite_vfs_install(void);
void sqlite_vfs_watch(sqlite_vfs_watcher *watcher, void *context);

/* The error that SQLite's own VFS would report. */
int sqlite_vfs_error(enum sqlite_call call);

#endif
