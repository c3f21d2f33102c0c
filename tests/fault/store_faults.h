/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The fs backend compiled into the test, with every system call and every allocation
 * of its own asking first whether it is to fail.
 *
 *	fault_arm(plan); ... calls ...; fault_disarm();
 *
 * The plan's `nth` call from here on fails, or that and all later ones. After a run
 * in which fault.hits is 0 there is nothing left to try.
 */
#ifndef FT_TESTS_STORE_FAULTS_H
#define FT_TESTS_STORE_FAULTS_H

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum fault_kind {
	FAULT_ERROR,		/* system calls fail with `error` */
	FAULT_SHORT,		/* reads and writes transfer one byte */
	FAULT_PARTIAL,		/* a write transfers a part, and going on fails with `error` */
	FAULT_MEMORY,		/* allocations fail */
	FAULT_ACTION,		/* nothing fails, but before that call something else happens */
};

struct fault_plan {
	enum fault_kind kind;
	int error;
	bool persistent;	/* all calls from the nth on, as after a crash */
	unsigned nth;		/* from 1 */
	unsigned more;		/* FAULT_PARTIAL: so many writes after that one fail, too */
	void (*action)(void *context);	/* FAULT_ACTION: what another thread might do */
	void *context;
	bool fail_last_sync;	/* FAULT_ACTION: publish's fsync after its renames fails */
};

static struct {
	struct fault_plan plan;
	bool armed;
	unsigned calls;
	unsigned hits;
	unsigned to_fail;	/* FAULT_PARTIAL: writes still to fail */
	const char *hit;	/* the last call that failed */
	unsigned waits;		/* calls that wait for the disk's cache */
	bool hit_sync;		/* one of them was an fsync or fdatasync */
	unsigned renames;	/* since it was armed */
	bool last_renamed;	/* an fsync was hit after two renames: manifest and data */
} fault;

static inline void fault_arm(const struct fault_plan *plan)
{
	fault.plan = *plan;
	fault.armed = true;
	fault.calls = fault.hits = fault.to_fail = fault.renames = fault.waits = 0;
	fault.hit_sync = fault.last_renamed = false;
}

static inline void fault_disarm(void)
{
	fault.armed = false;
}

/* Goes on where fault_disarm() stopped. */
static inline void fault_resume(void)
{
	fault.armed = true;
}

static inline bool fault_now(const char *call)
{
	fault.calls++;
	if (fault.calls != fault.plan.nth &&
	    !(fault.plan.persistent && fault.calls > fault.plan.nth))
		return false;
	fault.hits++;
	fault.hit = call;
	fault.hit_sync = fault.hit_sync || strstr(call, "sync") != NULL;
	fault.last_renamed = fault.last_renamed || (!strcmp(call, "fsync") && fault.renames == 2);
	return true;
}

/* True: this write fails. Else it may have been shortened. */
static inline bool fault_partial(const char *call, size_t *len)
{
	if (strcmp(call, "pwrite") != 0)
		return false;
	if (fault.to_fail > 0) {
		fault.to_fail--;
		errno = fault.plan.error;
		return true;
	}
	if (*len > 1 && fault_now(call)) {
		*len /= 2;
		fault.to_fail = 1 + fault.plan.more;
	}
	return false;
}

/* Between any two calls something else may happen: that is what other threads do. */
static inline bool fault_action(const char *call)
{
	bool fails = fault.plan.fail_last_sync && fault.renames == 2 && !strcmp(call, "fsync");
	int saved = errno;

	fault.armed = false;
	if (fault_now(call))
		fault.plan.action(fault.plan.context);
	fault.armed = true;
	errno = fails ? EIO : saved;
	return fails;
}

bool ft_fault(const char *call, size_t *len);

bool ft_fault(const char *call, size_t *len)
{
	if (!fault.armed || fault.plan.kind == FAULT_MEMORY)
		return false;
	fault.renames += !strcmp(call, "renameat");
	fault.waits += strstr(call, "sync") && strcmp(call, "sync_file_range") != 0;
	if (fault.plan.kind == FAULT_ACTION)
		return fault_action(call);
	if (fault.plan.kind == FAULT_PARTIAL)
		return fault_partial(call, len);
	if (fault.plan.kind == FAULT_SHORT) {
		if (len && *len > 1 && fault_now(call))
			*len = 1;
		return false;
	}
	if (!fault_now(call))
		return false;
	errno = fault.plan.error;
	return true;
}

static inline bool fault_memory(void)
{
	return fault.armed && fault.plan.kind == FAULT_MEMORY && fault_now("malloc");
}

static inline void *fault_malloc(size_t size)
{
	return fault_memory() ? NULL : malloc(size);
}

static inline void *fault_calloc(size_t count, size_t size)
{
	return fault_memory() ? NULL : calloc(count, size);
}

static inline void *fault_realloc(void *old, size_t size)
{
	return fault_memory() ? NULL : realloc(old, size);
}

static inline char *fault_strdup(const char *text)
{
	return fault_memory() ? NULL : strdup(text);
}

/* A fault in there would come from the C library, which the store treats the same. */
#define FT_FAULTS
#define malloc fault_malloc
#define calloc fault_calloc
#define realloc fault_realloc
#define strdup fault_strdup
#include "base/ranges.c"
#include "store/atomic.c"
#include "store/journal.c"
#include "store/fs.c"
#include "store/fs_cache.c"
#include "store/fs_checkpoint.c"
#include "store/fs_detach.c"
#include "store/fs_finished.c"
#include "store/fs_manifest.c"
#include "store/fs_marks.c"
#include "store/fs_paths.c"
#include "store/fs_publish.c"
#include "store/fs_work.c"
#include "store/fs_put.c"
#include "store/fs_reassess.c"
#include "store/fs_scan.c"
#include "store/fs_upload.c"
#undef malloc
#undef calloc
#undef realloc
#undef strdup

/* For an action: where the lock of a name is held, another thread would have to wait. */
static inline bool fault_names_are_free(struct fs *fs)
{
	for (size_t i = 0; i < FS_LOCKS; i++) {
		if (pthread_mutex_trylock(&fs->names[i]) != 0)
			return false;
		pthread_mutex_unlock(&fs->names[i]);
	}
	return true;
}

#endif
