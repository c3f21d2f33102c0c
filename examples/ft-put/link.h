/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * One connection to the broker by libmosquitto, on one thread: connects,
 * subscribes to the response topic, then passes acknowledgements and responses on.
 *
 *	link_open(&link, &options, &events);
 *	while (link.state != LINK_LOST && link.state != LINK_REFUSED) link_step(&link, 100);
 *	link_close(&link);
 *
 * A link is used once. After a loss a new one is opened, so that libmosquitto has
 * no segments left to repeat: the broker says what it holds.
 */
#ifndef FT_PUT_LINK_H
#define FT_PUT_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mosquitto;

struct link_options {
	const char *client_id;
	const char *host;
	int port;
	const char *unix_path;		/* instead of host and port */
	const char *user;
	const char *password;
	const char *cafile;		/* TLS where set */
	const char *cert;
	const char *key;
	bool mqtt5;
	unsigned window;		/* messages not yet acknowledged, at most */
};

struct link_events {
	void *context;
	void (*acked)(void *context, int mid, int reason);
	void (*answered)(void *context, const void *payload, size_t len);
};

enum link_state {
	LINK_CONNECTING,
	LINK_SUBSCRIBING,
	LINK_READY,
	LINK_LOST,		/* trying again may help */
	LINK_REFUSED,		/* it will not: password, certificate, rights, client id in use */
};

struct link {
	const struct link_options *options;
	struct link_events events;
	struct mosquitto *mosq;
	enum link_state state;
	char why[200];			/* after LOST and REFUSED */
	uint32_t max_packet_bytes;	/* as the broker says; 0: it did not */
};

/* Begins to connect; the outcome is in link->state. `options` must outlive the link. */
void link_open(struct link *link, const struct link_options *options,
	       const struct link_events *events);

/* Waits at most `timeout_ms` for something to do, and does it. */
void link_step(struct link *link, int timeout_ms);

/* QoS 1. False: the link is then LOST or REFUSED. */
bool link_publish(struct link *link, const char *topic, const void *payload, size_t len, int *mid);

/* Sends what is queued as far as possible, says goodbye where connected, and frees. */
void link_close(struct link *link);

#endif
