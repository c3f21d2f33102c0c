/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* All state of one plugin line, and the callbacks, one file each. The broker's thread only. */
#ifndef FT_MOSQUITTO_PLUGIN_H
#define FT_MOSQUITTO_PLUGIN_H

#include <mosquitto_broker.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "mosquitto/ack_sink.h"
#include "mosquitto/compat.h"
#include "mosquitto/v20/doorbell.h"
#include "engine/engine.h"
#include "mosquitto/responder.h"
#include "mosquitto/storage_dir.h"
#include "mosquitto/wake.h"
#include "protocol/options.h"
#include "file_transfer/logger.h"

struct ft_plugin {
	uint32_t magic;
	bool closing;
	bool is_21;		/* Mosquitto 2.1 or newer */
	bool websockets;	/* a client uses WebSockets */
	bool complained;	/* an error was logged */
	ft_compat_free *property_free;
	mosquitto_plugin_id_t *id;
	struct ft_options options;
	struct ft_logger *log;
	struct ft_wake *wake;
	struct ft_engine *engine;
	struct ft_ack_sink *sink;
	struct ft_doorbell *bell;	/* NULL: the broker ticks, or it is not to be had */
	char ready[1024];	/* the line that says that it is, and where what is */
	int64_t poll_by_ms;		/* ft_clock_coarse_ms(): by then things are looked at anyway */
	struct ft_storage_lock lock;
};

#define FT_PLUGIN_MAGIC 0x66747031u

/* The plugin behind a callback's userdata, checked. */
static inline struct ft_plugin *ft_plugin_of(void *userdata)
{
	struct ft_plugin *plugin = userdata;

	if (!plugin || plugin->magic != FT_PLUGIN_MAGIC)
		abort();	/* the broker's memory is overwritten: nothing can be trusted */
	return plugin;
}

/*
 * Takes back finished work and does what is due. First step of whatever else a callback does.
 * Returns the time it did so, ft_clock_ms().
 */
int64_t ft_plugin_poll(struct ft_plugin *plugin);

/*
 * The same where work was announced, or where nobody has looked for a while: costs a few
 * loads. What comes without an announcement (jobs nobody waits for, log lines, timers) has
 * that much time.
 */
void ft_plugin_poll_if_needed(struct ft_plugin *plugin);

/* Has the wake end the broker's sleep when something is due: there are brokers that never tick. */
void ft_plugin_arm(struct ft_plugin *plugin);

#define FT_PLUGIN_OWNER_ROOM (65535 + 2)	/* a client id is an MQTT string */

/*
 * Whose the transfers of a client are; in `room` or borrowed from the client. Returns its
 * length. With `owner username` a client without a user name owns what it sends itself: a NUL
 * before its id, which no user name can hold, keeps the two apart.
 */
size_t ft_plugin_owner_of(const struct ft_plugin *plugin, const struct mosquitto *client,
			  const char *client_id, char room[FT_PLUGIN_OWNER_ROOM],
			  const char **owner);

/* Whether this is what the broker answers AWS's clients on, by the protocols that are on. */
bool ft_plugin_is_aws_answer(const struct ft_plugin *plugin, const char *topic);

int ft_on_message(int event, void *event_data, void *userdata);
int ft_on_acl(int event, void *event_data, void *userdata);
int ft_on_tick(int event, void *event_data, void *userdata);
int ft_on_disconnect(int event, void *event_data, void *userdata);
int ft_on_offline(int event, void *event_data, void *userdata);
int ft_on_reload(int event, void *event_data, void *userdata);
int ft_on_control(int event, void *event_data, void *userdata);

/* Publishes what an operator's message is answered by. */
void ft_tell_operator(struct ft_logger *log, const char *client_id, const char *text, size_t len);

#endif
