/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A connection that is made, lost, and made again: all addresses of a name are tried in turn,
 * pauses double and vary at random.
 *
 *	dialer_init(&dialer, &options, 500, 30000);
 *	dialer_open(&dialer, &events, now);
 *	link_step(&dialer.link, ...) until dialer.link.state is LINK_READY, LINK_LOST or LINK_REFUSED
 *	if (dialer_has_next(&dialer)) dialer_close(&dialer), dialer_open_next(&dialer, &events, now);
 *	else if (dialer_may_retry(&dialer, policy, ever_ready))
 *		pause_ms = dialer_retry_later(&dialer, now);
 *	dialer_close(&dialer);
 *
 * Not thread-safe. The look-up of a name blocks.
 */
#ifndef EXAMPLES_DIALER_H
#define EXAMPLES_DIALER_H

#include <stdbool.h>
#include <stdint.h>

#include "addresses.h"
#include "link.h"

enum dialer_reconnect {
	RECONNECT_AFTER_SUCCESS,	/* a wrong host name should not cost minutes */
	RECONNECT_NEVER,
	RECONNECT_ALWAYS,		/* even where the broker refuses us */
};

struct dialer {
	struct link_options options;	/* its timeout is that of the address that is tried */
	int connect_timeout_s;		/* as it was given */
	struct link link;		/* while it is open */
	bool open;
	struct addresses addresses;	/* of the host */
	size_t address;			/* the one that is tried */
	unsigned attempt;		/* how often since there was headway; the caller clears it */
	unsigned backoff_min_ms, backoff_max_ms;
	int64_t retry_ms;		/* the next time; INT64_MAX: not again */
};

/* Texts of `options` must outlive the dialer. */
void dialer_init(struct dialer *dialer, const struct link_options *options,
		 unsigned backoff_min_ms, unsigned backoff_max_ms);

/* Begins with the first address. What goes wrong is in link.state and link.why. */
void dialer_open(struct dialer *dialer, const struct link_events *events, int64_t now);

/* Whether it was lost before the broker let us in, and another address is left. */
bool dialer_has_next(const struct dialer *dialer);
void dialer_open_next(struct dialer *dialer, const struct link_events *events, int64_t now);

void dialer_close(struct dialer *dialer);

/* After a loss: whether it is to be tried again. */
bool dialer_may_retry(const struct dialer *dialer, enum dialer_reconnect policy, bool ever_ready);

/* When: between a half and all of what doubling gives. Returns the pause in ms. */
unsigned dialer_retry_later(struct dialer *dialer, int64_t now);

#endif
