/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What SQLite did to files, in order, and what a power cut would have left of it.
 *
 *	sqlite_tape_start(&tape, dir);		from now on, of files in `dir`
 *	...
 *	sqlite_tape_mark(&tape, &mark);		a point in time
 *	...
 *	sqlite_tape_stop(&tape);
 *	sqlite_tape_play(&tape, op, seed, to);	what is on the disk if the power fails before `op`
 *
 * THE DISK. What was written is on it once the file was synced. What was written since is on
 * it or not, each sector for itself, in any order; so is a new size. The name of a file that
 * was made is on it once its directory was synced, and the removal of one may be on it at once
 * or never. A sector is old or new as a whole. That SQLite syncs the directory with a write-ahead
 * log does not count, since it hides whether that failed; with a rollback journal, which a new
 * database has for a moment, it does.
 */
#ifndef FT_TESTS_SQLITE_TAPE_H
#define FT_TESTS_SQLITE_TAPE_H

#include <stddef.h>
#include <stdint.h>

struct sqlite_tape_op;

struct sqlite_tape {
	const char *dir;
	struct sqlite_tape_op *ops;
	size_t count;
	size_t room;
};

enum sqlite_tape_end {
	SQLITE_TAPE_POWER_CUT,
	SQLITE_TAPE_KILLED,	/* the process alone ended: all that it wrote is there */
};

void sqlite_tape_start(struct sqlite_tape *tape, const char *dir);
void sqlite_tape_stop(struct sqlite_tape *tape);
void sqlite_tape_release(struct sqlite_tape *tape);

/* The directory was synced, by somebody else than SQLite. */
void sqlite_tape_directory_synced(struct sqlite_tape *tape);

/* Makes the files in the empty directory `to`. */
void sqlite_tape_play(const struct sqlite_tape *tape, size_t ops, enum sqlite_tape_end end,
		      unsigned seed, const char *to);

#endif
