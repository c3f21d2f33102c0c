/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The sink for broker 2.0, seen from both of its threads: ack_sink_20.c is the
 * broker's thread with its callbacks, ack_sink_visits.c the helper's.
 */
#ifndef FT_MOSQUITTO_ACK_SINK_20_H
#define FT_MOSQUITTO_ACK_SINK_20_H

#include <pthread.h>
#include <stdatomic.h>

#include "mosquitto/ack_sink_impl.h"
#include "mosquitto/v20/ack_sink_session.h"
#include "mosquitto/v20/listeners.h"

/* A listener, and how to talk to it. */
struct ft_sink_place {
	struct ft_listener listener;
	bool known;		/* the following is what worked */
	bool tls;
	bool acl;		/* with the help of an ACL callback */
};

struct ft_sink_20 {
	mosquitto_plugin_id_t *id;
	struct ft_logger *log;
	struct ft_wake *wake;
	const struct ft_sink_identity *identity;
	char spoken[FT_SINK_CLIENT_ROOM];	/* the client id as CONNECT carries it */
	uint8_t secret[FT_SINK_SECRET_LEN];
	pthread_t helper;
	int stop_fd;
	int visit_fd;

	/* From the helper to the broker's thread. */
	_Atomic bool visiting;		/* the secret is good */
	_Atomic bool wants_acl;		/* the subscription needs help */
	_Atomic bool strangers_refused;	/* so a BASIC_AUTH callback that defers harms nobody */
	_Atomic bool ready;
	_Atomic bool hopeless;
	_Atomic uint64_t visit_at;	/* the next visit is due with this use */

	/* And back. */
	_Atomic bool forget;		/* how it worked the last time may work no more */
	_Atomic uint64_t uses;		/* messages for the session so far */

	/* The broker's thread. */
	bool acl_registered;
	bool basic_registered;
	int64_t clock_gap_ms;		/* wall clock minus monotonic clock */

	/* The helper's. */
	bool complained;
	bool anew;			/* this visit follows a reload */
	bool knows_strangers;		/* it was tried since the start, or since the last reload */
	uint64_t visited;		/* `uses` at the end of the last visit */
	uint64_t drained;		/* messages that had been queued, since then */
	uint64_t interval;		/* uses from visit to visit */
	struct ft_sink_place good;	/* where it worked, once ready */
};

/* The helper's life: visits the broker until told to stop. The argument is the sink. */
void *ft_sink_20_help(void *sink);

#endif
