/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A client's connection, and a loop over many of them in one thread.
 *
 *	link_open(&link, options, "c1", &events, context);
 *	link_subscribe(&link, "done/+");
 *	while (!link_is_ready(&link)) link_loop(links, count, 100);
 *	link_publish(&link, topic, payload, len);
 *	link_close(&link);
 *
 * Events are called from link_loop. Errors end the program.
 */
#ifndef FT_BENCH_LOAD_LINK_H
#define FT_BENCH_LOAD_LINK_H

#include <mosquitto.h>

#include "load.h"

struct link_events {
	void (*acked)(void *context, int mid, int reason);
	void (*arrived)(void *context, const struct mosquitto_message *message);
};

struct link {
	struct mosquitto *mosq;
	const struct link_events *events;
	void *context;
	bool connected;
	unsigned int subscribing;
};

void link_open(struct link *link, const struct load_options *options, const char *client_id,
	       const struct link_events *events, void *context);
void link_close(struct link *link);

/* Asks for QoS 1. */
void link_subscribe(struct link *link, const char *filter);
bool link_is_ready(const struct link *link);

/* QoS 0. */
void link_publish_once(struct link *link, const char *topic, const void *payload, size_t len);

/* QoS 1; returns the message id. */
int link_publish(struct link *link, const char *topic, const void *payload, size_t len);

/* One pass: waits until something can be read or written, and does it. */
void link_loop(struct link *const *links, size_t count, int timeout_ms);

/* Loops until all are ready. */
void link_settle(struct link *const *links, size_t count, const struct load_options *options);

#endif
