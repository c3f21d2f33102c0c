/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What a program with one loop does with signals and standard descriptors. */
#ifndef EXAMPLES_PROCESS_H
#define EXAMPLES_PROCESS_H

#include <signal.h>
#include <stdint.h>

/* The signal that asks us to end, SIGINT, SIGTERM or SIGHUP; 0: none yet. */
extern volatile sig_atomic_t process_stopped;

/*
 * From now on those signals set process_stopped. They are blocked, `shut`, but while the caller
 * sets `open`: in ppoll(), or while it works. So none can be missed. A second one ends us at once.
 * SIGPIPE is ignored: writing to what is gone must be an error, not the end; so is SIGXFSZ.
 */
void process_catch_stops(sigset_t *open, sigset_t *shut);

/* `handler` for one more signal that is let in as those are; add it before they are used. */
void process_catch(int number, void (*handler)(int number), sigset_t *shut);

/*
 * Where standard descriptors are closed, a socket that is opened next would be taken for the
 * output. They become /dev/null, of which nothing can be read.
 */
void process_occupy_descriptors(void);

/*
 * Large pieces of content come and go: giving their memory back each time costs more than
 * sending or receiving them.
 */
void process_keep_memory(void);

/* Milliseconds of a clock that nobody sets. */
int64_t process_now_ms(void);

#endif
