/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A store that fails, hangs and watches, in front of a real one: pass &fake_store as the
 * engine's store.
 *
 *	fake_reset("fs");
 *	fake_fail(FAKE_WRITE, FT_DISK_FULL, 3);		the next three calls
 *	fake_hang(FAKE_PUBLISH); ... fake_go_on();
 *	fake_check();					nobody broke the rules
 *
 * It watches two rules of the engine: the calls that concern one key come from one thread at
 * a time (but sync() on a handle of its own), and the broker's thread makes none between
 * fake_watch_this_thread() and fake_unwatch(), but check_name().
 *
 * Threads: any.
 */
#ifndef FT_TESTS_FAKE_STORE_H
#define FT_TESTS_FAKE_STORE_H

#include <stddef.h>

#include "file_transfer/store.h"

enum fake_op {
	FAKE_UPLOAD_OPEN,
	FAKE_UPLOAD_CLOSE,
	FAKE_WRITE,
	FAKE_READ,
	FAKE_DISCARD,
	FAKE_PUBLISH,
	FAKE_FIND,
	FAKE_READ_FINISHED,
	FAKE_SYNC,
	FAKE_SPACE,
	FAKE_ANNOUNCE,
	FAKE_REMOVE_FINISHED,
	FAKE_OPS
};

#define FAKE_ALWAYS ((size_t)-1)

extern const struct ft_store_ops fake_store;

/* Nothing fails, nothing hangs, nothing was counted; `backend` is behind it. */
void fake_reset(const char *backend);

/*
 * The next `count` calls return `st` without doing anything; FAKE_ALWAYS: until told otherwise,
 * 0: none. Not for UPLOAD_CLOSE.
 */
void fake_fail(enum fake_op op, enum ft_status st, size_t count);

/* Every write() at this very offset fails; UINT64_MAX: none does. */
void fake_fail_write_at(uint64_t offset, enum ft_status st);

/* Publications that fail say that an fsync has lost their bytes. */
void fake_lose_bytes(void);

/* ... say that they are to come again later: as a remote store that cannot be reached, with FT_BUSY. */
void fake_put_off(void);

/* Calls wait before they do anything; waits until one does. */
void fake_hang(enum fake_op op);
void fake_await_hanging(enum fake_op op);

/* Nothing hangs any more; or only this does not. */
void fake_go_on(void);
void fake_go_on_with(enum fake_op op);

/* The process ends by SIGKILL when a call has been made; for ANNOUNCE, PUBLISH, REMOVE_FINISHED. */
void fake_die_behind(enum fake_op op);

/* How many calls have been made. */
size_t fake_calls(enum fake_op op);

/* This thread is the broker's, from now on. */
void fake_watch_this_thread(void);
void fake_unwatch(void);

/* Asserts that nobody broke a rule. */
void fake_check(void);

#endif
