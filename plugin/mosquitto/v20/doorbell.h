/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Wakes a broker that never ticks (before 2.0.15, with per_listener_settings).
 *
 * The wake's helper keeps one connection to a listener and does not finish logging in:
 * extended authentication (MQTT 5, section 4.12) goes back and forth as often as both
 * sides like, and each time the broker's thread asks a callback of the plugin. That is
 * the bell. It costs one line in the broker's log per start; no session comes of it.
 *
 * The connection is made when the bell is first needed, so other brokers see nothing.
 *
 *	bell = ft_doorbell_new(id, wake, poll_plugin, plugin);
 *	...
 *	ft_wake_free(&wake);		in this order
 *	ft_doorbell_free(&bell);
 *
 * Threads: the broker's; inside, the wake's helper.
 */
#ifndef FT_MOSQUITTO_DOORBELL_H
#define FT_MOSQUITTO_DOORBELL_H

#include <mosquitto_broker.h>

#include "mosquitto/wake.h"

struct ft_doorbell;

/* What to do when the bell rings: an event like any other, on the broker's thread. */
typedef void ft_doorbell_rung(void *context);

/* In plugin_init. NULL where none is needed (2.1) or can be had: the wake does without. */
struct ft_doorbell *ft_doorbell_new(mosquitto_plugin_id_t *id, struct ft_wake *wake,
				    ft_doorbell_rung *rung, void *context);

/* After ft_wake_free(). NULL inside is ignored. */
void ft_doorbell_free(struct ft_doorbell **bell);

#endif
