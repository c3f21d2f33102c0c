/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Who this program is to the broker, where its state is kept, and that no other one is the
 * same: the broker throws out the first of two clients with one id.
 *
 *	id = identity_make_id("ft-put");
 *	path = identity_state_path(&link, "ft-put", state_dir);
 *	if (!identity_take_turn(&lock, path, &open, on_queued, context)) return;
 *	identity_unlock(&lock);
 */
#ifndef EXAMPLES_IDENTITY_H
#define EXAMPLES_IDENTITY_H

#include <signal.h>
#include <stdbool.h>

#include "link.h"

enum identity_outcome {
	IDENTITY_OURS,
	IDENTITY_TAKEN,		/* another process has it; it is in lock->owner */
	IDENTITY_FAILED,	/* errno says why */
};

struct identity_lock {
	char *path;
	int fd;
	long owner;		/* pid; 0: not known */
};

/*
 * From host and user name: the same for all that a user sends from here, so that a later run
 * meets what an earlier one has left, whatever else it sends. To be freed; NULL: no memory.
 */
char *identity_make_id(const char *program);

/*
 * The file for what is unfinished, one for each client id and broker, in a directory that is
 * made where it is missing. `state_dir` NULL: the usual place; "": none. NULL: nothing can be
 * kept; where that is not wanted so, it has been said why. To be freed.
 */
char *identity_state_path(const struct link_options *link, const char *program,
			  const char *state_dir);

/* A folder beside it, for ciphertext. To be freed; NULL: no memory. */
char *identity_seal_dir(const char *state_path);

/* `state_path` NULL: there is no place for a lock, and it is ours. */
enum identity_outcome identity_lock(struct identity_lock *lock, const char *state_path);
void identity_unlock(struct identity_lock *lock);

/*
 * Waits for another one with the same state, who would throw us out or be thrown out; tells who
 * that is, once (pid; 0: not known). Where there can be no lock, that is said, and it is ours.
 * False: process_stopped, which `open` lets in.
 */
bool identity_take_turn(struct identity_lock *lock, const char *state_path, const sigset_t *open,
			void (*queued)(void *context, long owner), void *context);

#endif
