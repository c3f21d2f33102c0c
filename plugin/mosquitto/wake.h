/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Wakes the broker's thread when a worker has something for it.
 *
 * The broker sleeps in epoll_wait for up to 100 ms (2.1 without WebSockets: much
 * longer), and the plugin API offers no way to end that. A signal does: SIGURG with
 * a handler that does nothing. One signal may hit the broker just before it goes to
 * sleep, so a helper thread repeats it until the broker's thread says that it has
 * taken what there was.
 *
 * Brokers before 2.0.15 with per_listener_settings never tick, and a signal leads to
 * no event. There the helper rings a bell, see doorbell.h; without one it connects to
 * one of the broker's own listeners and closes again, which ends in a DISCONNECT event.
 * Each time costs two lines in the broker's log, so other events get a few milliseconds
 * to come first.
 *
 *	worker:            queue_push(result); ft_wake_notify(wake);
 *	on every event:    if (ft_wake_pending(wake)) {
 *	                           while (queue_pop(...)) ...;
 *	                           ft_wake_drained(wake);
 *	                   }
 *	on_tick, first:    ft_wake_tick_seen(wake);
 *
 * The order matters: what is pushed after ft_wake_pending() is announced again.
 *
 * Threads: notify any; all else the broker's.
 */
#ifndef FT_MOSQUITTO_WAKE_H
#define FT_MOSQUITTO_WAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "file_transfer/logger.h"

struct ft_wake;

/* A way to cause an event that is no tick. */
struct ft_wake_bell {
	bool (*ring)(void *bell);	/* on the helper's thread; false: impossible at present */
	void (*stop)(void *bell);	/* on the broker's: ends a ring() that waits */
	void *bell;
};

/* In plugin_init: remembers the calling thread, starts the helper. NULL when out of resources. */
struct ft_wake *ft_wake_new(struct ft_logger *log);

/* Hands over the bell, which must outlive the wake. */
void ft_wake_set_bell(struct ft_wake *wake, const struct ft_wake_bell *bell);

/*
 * Stops the helper; after the last instance SIGURG is handled as before the first.
 * No thread may notify any more.
 */
void ft_wake_free(struct ft_wake **wake);

/* Work is waiting: makes an event happen soon. After the work was queued. */
void ft_wake_notify(struct ft_wake *wake);

/* Whether anything was announced, or became due, since the last drained(). Costs two loads. */
bool ft_wake_pending(struct ft_wake *wake);

/*
 * All that was announced up to the last pending() has been handled. On 2.1 what was
 * published meanwhile leaves only one loop pass later; that pass is brought about too.
 */
void ft_wake_drained(struct ft_wake *wake);

/*
 * What is published leaves one loop pass later on this broker, too: 2.0 does so for clients that use
 * WebSockets. From now on such a pass is brought about; for the next two seconds many, in which more
 * of the client's commands come. To be called for each command of such a client.
 */
void ft_wake_need_echo(struct ft_wake *wake);

/* A tick happened. First thing in the tick callback. */
void ft_wake_tick_seen(struct ft_wake *wake);

/*
 * Makes an event happen at `due_ms` (ft_clock_ms()) at the latest, whether or not the
 * broker ticks. One time is kept, the earliest; it is used up when it comes, maybe a
 * little early where two times compete: say again what is due next after each
 * pending(). INT64_MAX: nothing is due.
 */
void ft_wake_at(struct ft_wake *wake, int64_t due_ms);

#endif
