/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The fs backend compiled into the test, with every system call and every allocation
 * of its own asking first whether it is to fail.
 *
 *	fault_arm(plan); ... calls ...; fault_disarm();
 *
 * The plan's `nth` call from here on fails, or that and all later ones. After a run
 * in which fault_hits() is 0 there is nothing left to try.
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
	FAULT_MEMORY,		/* allocations fail */
};

struct fault_plan {
	enum fault_kind kind;
	int error;
	bool persistent;	/* all calls from the nth on, as after a crash */
	unsigned nth;		/* from 1 */
};

static struct {
	struct fault_plan plan;
	bool armed;
	unsigned calls;
	unsigned hits;
	bool hit_sync;		/* one of them was an fsync or fdatasync */
	bool hit_write;		/* ... or a write */
	const char *first;	/* the first call that was hit */
} fault;

static inline void fault_arm(const struct fault_plan *plan)
{
	fault.plan = *plan;
	fault.armed = true;
	fault.calls = fault.hits = 0;
	fault.hit_sync = fault.hit_write = false;
	fault.first = NULL;
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
	if (!fault.first)
		fault.first = call;
	fault.hit_sync = fault.hit_sync || strstr(call, "sync") != NULL;
	fault.hit_write = fault.hit_write || !strcmp(call, "pwrite");
	return true;
}

bool ft_fault(const char *call, size_t *len);

bool ft_fault(const char *call, size_t *len)
{
	if (!fault.armed || fault.plan.kind == FAULT_MEMORY)
		return false;
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
#include "core/ranges.c"
#include "store/atomic.c"
#include "store/journal.c"
#include "store/fs.c"
#include "store/fs_cache.c"
#include "store/fs_checkpoint.c"
#include "store/fs_detach.c"
#include "store/fs_finished.c"
#include "store/fs_paths.c"
#include "store/fs_publish.c"
#include "store/fs_put.c"
#include "store/fs_reassess.c"
#include "store/fs_scan.c"
#include "store/fs_upload.c"
#undef malloc
#undef calloc
#undef realloc
#undef strdup

#endif
