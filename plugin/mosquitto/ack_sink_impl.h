/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Inside the acknowledgement sink: one struct per kind of broker, chosen at start.
 * Nobody but ack_sink*.c includes this.
 */
#ifndef FT_MOSQUITTO_ACK_SINK_IMPL_H
#define FT_MOSQUITTO_ACK_SINK_IMPL_H

#include "mosquitto/ack_sink.h"
#include "mosquitto/ack_sink_identity.h"

/* Broker 2.0: a visit to a listener, by a helper thread. */
struct ft_sink_20;

struct ft_sink_20 *ft_sink_20_new(mosquitto_plugin_id_t *id,
				  const struct ft_sink_identity *identity,
				  const struct ft_ack_sink_config *config);
void ft_sink_20_free(struct ft_sink_20 **sink);

/* Registers or unregisters what the helper asks for. */
void ft_sink_20_tick(struct ft_sink_20 *sink);

/* Whether the session was made. */
bool ft_sink_20_ready(const struct ft_sink_20 *sink);

/* Whether it was not and probably will not be. */
bool ft_sink_20_hopeless(const struct ft_sink_20 *sink);

/* In the RELOAD callback: passwords and the like may have changed. */
void ft_sink_20_reload(struct ft_sink_20 *sink);

/* In the DISCONNECT callback. */
void ft_sink_20_disconnected(struct ft_sink_20 *sink, const struct mosquitto *client);

/* Counts a message for the session, and has the queue emptied now and then. */
void ft_sink_20_used(struct ft_sink_20 *sink);

/* Broker 2.1: a function call. */
struct ft_sink_21 {
	const struct ft_sink_identity *identity;
	int64_t next_look_ms;
	uint64_t uses;
	bool ready;
};

#define FT_SINK_21_TOPIC "$\001"

void ft_sink_21_init(struct ft_sink_21 *sink, const struct ft_sink_identity *identity,
		     int64_t now_ms);
void ft_sink_21_tick(struct ft_sink_21 *sink, int64_t now_ms);
void ft_sink_21_used(struct ft_sink_21 *sink);

#endif
