/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * PUBLISH: is it a command? Then it is carried out here and goes no further.
 *
 * What a callback may do differs between brokers; this is right on all: a message is
 * swallowed by overwriting its topic in place with one that no client can see and
 * dropping the payload (the broker frees it). Which acknowledgement an MQTT 5 client
 * then gets depends on whether somebody is subscribed to that topic: the
 * acknowledgement sink is (0x00), to the other topic nobody is (0x10).
 */
#include "mosquitto/plugin.h"

#include <mosquitto.h>
#include <mosquitto_plugin.h>
#include <mqtt_protocol.h>
#include <string.h>

#include "mosquitto/compat.h"
#include "protocol/aws_job.h"
#include "protocol/get.h"
#include "protocol/guard_download.h"
#include "protocol/pattern.h"
#include "protocol/topic.h"

/* What is read from the message's properties; to be given back. */
struct properties {
	char *response_topic;
	void *correlation;
	uint16_t correlation_len;
	bool correlated;	/* 2.1 gives NULL where the data is of length 0 */
};

static void read_properties(struct properties *p, const mosquitto_property *list,
			    bool want_response_topic)
{
	memset(p, 0, sizeof *p);
	if (!list)
		return;
	p->correlated = mosquitto_property_read_binary(list, MQTT_PROP_CORRELATION_DATA,
						       &p->correlation, &p->correlation_len, false);
	if (want_response_topic)
		mosquitto_property_read_string(list, MQTT_PROP_RESPONSE_TOPIC, &p->response_topic,
					       false);
}

static void release_properties(const struct ft_plugin *plugin, struct properties *p)
{
	if (p->response_topic)
		plugin->property_free(p->response_topic);
	if (p->correlation)
		plugin->property_free(p->correlation);
}

/* Without the operator's leave a client could have the broker publish where it may not. */
static const char *allowed_response_topic(const struct ft_plugin *plugin,
					  const struct mosquitto_evt_message *message,
					  const char *client_id, const char *topic)
{
	if (!topic || !ft_patterns_match(plugin->options.response_topics, topic, client_id,
					 mosquitto_client_username(message->client)))
		return NULL;
	return topic;
}

size_t ft_plugin_owner_of(const struct ft_plugin *plugin, const struct mosquitto *client,
			  const char *client_id, char room[FT_PLUGIN_OWNER_ROOM],
			  const char **owner)
{
	const char *user = mosquitto_client_username(client);
	size_t len = strlen(client_id);

	*owner = client_id;
	if (plugin->options.owner == FT_OWNER_CLIENT_ID)
		return len;
	if (user) {
		*owner = user;
		return strlen(user);
	}
	room[0] = '\0';
	memcpy(room + 1, client_id, len);
	*owner = room;
	return len + 1;
}

static enum ft_status carry_out(struct ft_plugin *plugin, struct mosquitto_evt_message *message,
				const char *client_id, int64_t now_ms)
{
	char room[FT_PLUGIN_OWNER_ROOM];
	struct properties properties;
	struct ft_request request = {
		.client_id = client_id, .topic = message->topic, .connection = message->client,
	};
	enum ft_status st;

	request.user = mosquitto_client_username(message->client);
	request.owner_len = ft_plugin_owner_of(plugin, message->client, client_id, room,
					       &request.owner);
	read_properties(&properties, message->properties, plugin->options.response_topics != NULL);
	request.response_topic = allowed_response_topic(plugin, message, client_id,
							properties.response_topic);
	request.correlation = properties.correlation;
	if (properties.correlated && !properties.correlation)
		request.correlation = "";
	request.correlation_len = properties.correlation_len;
	st = ft_engine_command(plugin->engine, &request, message->payload, message->payloadlen,
			       now_ms);
	release_properties(plugin, &properties);
	ft_plugin_arm(plugin);
	return st;
}

/* Only MQTT 5 with QoS > 0 has room for a refusal; elsewhere it only draws log lines. */
static bool can_refuse(const struct mosquitto_evt_message *message)
{
	return message->qos > 0 && mosquitto_client_protocol_version(message->client) == 5;
}

static void swallow(struct mosquitto_evt_message *message, const char *topic)
{
	size_t len = strlen(topic);

	/* Every prefix of ours is longer than any of these topics but the sink's. */
	if (len > strlen(message->topic)) {
		topic = FT_NOBODYS_TOPIC;
		len = strlen(topic);
	}
	memcpy(message->topic, topic, len + 1);
	message->payload = NULL;
	message->payloadlen = 0;
	message->retain = false;
}

static int acknowledge(const struct ft_plugin *plugin, struct mosquitto_evt_message *message,
		       enum ft_status st)
{
	switch (ft_status_puback(st)) {
	case FT_PUBACK_SUCCESS:
		swallow(message, ft_ack_sink_topic(plugin->sink));
		return MOSQ_ERR_SUCCESS;
	case FT_PUBACK_BEGIN_AGAIN:
		break;
	case FT_PUBACK_REFUSED:
		if (can_refuse(message))
			return MOSQ_ERR_ACL_DENIED;
		break;
	case FT_PUBACK_QUOTA:
		/* 2.0 would close the connection. */
		if (can_refuse(message))
			return plugin->is_21 ? FT_COMPAT_QUOTA_EXCEEDED : MOSQ_ERR_ACL_DENIED;
		break;
	}
	swallow(message, FT_NOBODYS_TOPIC);
	return MOSQ_ERR_SUCCESS;
}

static bool is_ours(const struct ft_plugin *plugin, const char *topic)
{
	int downloads = plugin->options.downloads;

	return ft_topic_is_ours(topic)
	       || ((downloads & FT_DOWNLOADS_NATIVE) && ft_get_is_ours(topic))
	       || ((downloads & FT_DOWNLOADS_AWS)
		   && ft_aws_topic_kind(topic) == FT_AWS_TOPIC_REQUEST)
	       || ((downloads & FT_DOWNLOADS_JOBS)
		   && ft_aws_job_topic_kind(topic) == FT_AWS_TOPIC_REQUEST);
}

/* Only the broker says what there is for devices; elsewhere a device may be told lies. */
static bool is_forged(const struct ft_plugin *plugin, const struct mosquitto_evt_message *message)
{
	return plugin->options.downloads != 0 && message->client
	       && mosquitto_client_id(message->client)
	       && (ft_guard_is_from_broker(message->topic)
		   || ft_plugin_is_aws_answer(plugin, message->topic));
}

bool ft_plugin_is_aws_answer(const struct ft_plugin *plugin, const char *topic)
{
	int downloads = plugin->options.downloads;

	return ((downloads & FT_DOWNLOADS_AWS) && ft_aws_topic_kind(topic) == FT_AWS_TOPIC_ANSWER)
	       || ((downloads & FT_DOWNLOADS_JOBS)
		   && ft_aws_job_topic_kind(topic) == FT_AWS_TOPIC_ANSWER);
}

int ft_on_message(int event, void *event_data, void *userdata)
{
	struct ft_plugin *plugin = ft_plugin_of(userdata);
	struct mosquitto_evt_message *message = event_data;
	const char *client_id;
	int64_t now_ms;

	(void)event;
	if (message->topic[0] != '$' || !is_ours(plugin, message->topic)) {
		if (message->topic[0] == '$' && is_forged(plugin, message))
			return acknowledge(plugin, message, FT_INVALID_FILE_COMMAND);
		ft_ack_sink_note_foreign(plugin->sink, message->topic);
		if (ft_wake_pending(plugin->wake))
			ft_plugin_poll(plugin);
		return MOSQ_ERR_SUCCESS;
	}
	now_ms = ft_plugin_poll(plugin);
	client_id = message->client ? mosquitto_client_id(message->client) : NULL;
	if (message->client && mosquitto_client_protocol(message->client) == mp_websockets) {
		plugin->websockets = true;
		ft_wake_need_echo(plugin->wake);
	}
	if (!client_id)	/* published by the broker itself, or by another plugin */
		return acknowledge(plugin, message, FT_NO_SUCH_TRANSFER);
	return acknowledge(plugin, message, carry_out(plugin, message, client_id, now_ms));
}
