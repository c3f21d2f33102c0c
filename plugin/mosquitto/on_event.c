/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Events that only give us the broker's thread for a moment: tick, disconnect, reload. */
#include "mosquitto/plugin.h"

#include <mosquitto.h>

/* Busy brokers tick with every message. */
int ft_on_tick(int event, void *event_data, void *userdata)
{
	struct ft_plugin *plugin = ft_plugin_of(userdata);

	(void)event;
	(void)event_data;
	ft_wake_tick_seen(plugin->wake);
	ft_engine_pass(plugin->engine);
	ft_plugin_poll_if_needed(plugin);
	return MOSQ_ERR_SUCCESS;
}

/* A transfer does not care whether its client is connected; the wake makes these where ticks lack. */
int ft_on_disconnect(int event, void *event_data, void *userdata)
{
	struct ft_plugin *plugin = ft_plugin_of(userdata);
	const struct mosquitto_evt_disconnect *gone = event_data;

	(void)event;
	ft_ack_sink_disconnected(plugin->sink, gone->client);
	ft_engine_disconnected(plugin->engine, gone->client ? mosquitto_client_id(gone->client) : NULL);
	ft_plugin_poll(plugin);
	return MOSQ_ERR_SUCCESS;
}

/* Of a session that stays, on 2.1. */
int ft_on_offline(int event, void *event_data, void *userdata)
{
	struct ft_plugin *plugin = ft_plugin_of(userdata);
	const struct mosquitto_evt_disconnect *gone = event_data;

	(void)event;
	ft_engine_disconnected(plugin->engine, gone->client ? mosquitto_client_id(gone->client) : NULL);
	ft_plugin_poll(plugin);
	return MOSQ_ERR_SUCCESS;
}

/* Options are not carried by a reload; anything but success would disturb the broker's own. */
int ft_on_reload(int event, void *event_data, void *userdata)
{
	struct ft_plugin *plugin = ft_plugin_of(userdata);

	(void)event;
	(void)event_data;
	ft_ack_sink_reload(plugin->sink);
	ft_engine_reload(plugin->engine);
	ft_plugin_poll(plugin);
	return MOSQ_ERR_SUCCESS;
}
