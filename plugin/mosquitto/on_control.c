/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A PUBLISH to $CONTROL/file-transfer/v1: an operator's message. The broker has asked its ACLs
 * whether this client may publish there, routes it to nobody, and acknowledges it by itself.
 *
 * Registered only with the option `control`; see options.c on why `on` needs a guard.
 */
#include "mosquitto/plugin.h"

#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <string.h>

#include "protocol/control.h"

int ft_on_control(int event, void *event_data, void *userdata)
{
	struct ft_plugin *plugin = ft_plugin_of(userdata);
	const struct mosquitto_evt_control *message = event_data;
	const char *client_id = message->client ? mosquitto_client_id(message->client) : NULL;
	int64_t now_ms = ft_plugin_poll(plugin);

	(void)event;
	if (client_id) {
		ft_engine_control(plugin->engine, client_id,
				  mosquitto_client_username(message->client), message->payload,
				  message->payloadlen, now_ms);
		ft_plugin_arm(plugin);
	}
	return MOSQ_ERR_SUCCESS;	/* anything else closes the connection */
}

/*
 * To a client by its id, at QoS 0: nobody else gets it, a subscription or the right to read is
 * not needed, and where the client is gone it costs nothing.
 */
void ft_tell_operator(struct ft_logger *log, const char *client_id, const char *text, size_t len)
{
	char *payload = mosquitto_malloc(len + 1);

	if (payload) {
		memcpy(payload, text, len + 1);
		if (mosquitto_broker_publish(client_id, FT_CONTROL_RESPONSE_TOPIC, (int)len,
					     payload, 0, false, NULL) == MOSQ_ERR_SUCCESS)
			return;
	}
	mosquitto_free(payload);
	ft_logger_printf(log, FT_LOG_ERROR, "the answer to an operator could not be published: out "
			 "of memory");
}
