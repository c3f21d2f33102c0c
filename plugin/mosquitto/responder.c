/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "mosquitto/responder.h"

#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mqtt_protocol.h>
#include <stdlib.h>
#include <string.h>

#define TOPIC_PREFIX "$file-response/"
#define TOPIC_MAX 65535
#define SLASHES_MAX 200		/* in a topic that Mosquitto takes from a client */
#define SMALL_ROOM 2048		/* most replies; longer ones are built on the heap */

/* The reply in memory of the broker's, for it to take over; NULL: out of memory. */
static char *responder_build(const struct ft_reply *reply, size_t *len)
{
	char small[SMALL_ROOM];
	size_t room = ft_reply_room(reply);
	char *large = room > sizeof small ? malloc(room) : NULL;
	struct ft_buf text;
	char *payload = NULL;

	if (room > sizeof small && !large)
		return NULL;
	text = large ? ft_buf_on(large, room) : ft_buf_on(small, sizeof small);
	ft_reply_write(&text, reply);
	if (ft_buf_ok(&text) && (payload = mosquitto_malloc(text.len + 1)) != NULL) {
		memcpy(payload, text.text, text.len + 1);
		*len = text.len;
	}
	free(large);
	return payload;
}

/*
 * What the broker publishes for a plugin it does not check: but a broker behind a bridge
 * hangs up on a topic that is too deep, and the bridge would send it again for ever.
 */
static bool responder_is_too_deep(const char *topic)
{
	size_t slashes = 0;

	while ((topic = strchr(topic, '/')) != NULL && slashes <= SLASHES_MAX) {
		slashes++;
		topic++;
	}
	return slashes > SLASHES_MAX;
}

/* NULL where the client's id makes no topic. Static or in `room`. */
static const char *responder_topic_of(const struct ft_request *request, char *room, size_t room_len)
{
	struct ft_buf topic = ft_buf_on(room, room_len);

	if (request->response_topic && !responder_is_too_deep(request->response_topic))
		return request->response_topic;
	if (strpbrk(request->client_id, "+#"))
		return NULL;
	ft_buf_str(&topic, TOPIC_PREFIX);
	ft_buf_str(&topic, request->client_id);
	return ft_buf_ok(&topic) && !responder_is_too_deep(room) ? room : NULL;
}

/* What MQTT 5 receivers get besides; the broker drops it for others. */
static bool responder_say_json(mosquitto_property **properties)
{
	return mosquitto_property_add_byte(properties, MQTT_PROP_PAYLOAD_FORMAT_INDICATOR, 1)
		== MOSQ_ERR_SUCCESS
	       && mosquitto_property_add_string(properties, MQTT_PROP_CONTENT_TYPE,
						"application/json") == MOSQ_ERR_SUCCESS;
}

static bool responder_add_properties(mosquitto_property **properties, const struct ft_request *request)
{
	if (!responder_say_json(properties))
		return false;
	return !request->correlation
	       || mosquitto_property_add_binary(properties, MQTT_PROP_CORRELATION_DATA,
						request->correlation,
						request->correlation_len) == MOSQ_ERR_SUCCESS;
}

static bool responder_publish(const struct ft_request *request, const char *topic,
			      const struct ft_reply *reply)
{
	mosquitto_property *properties = NULL;
	size_t len = 0;
	char *payload = responder_build(reply, &len);

	/* Taken over on success only. */
	if (payload && responder_add_properties(&properties, request)
	    && mosquitto_broker_publish(request->by_name ? request->client_id : NULL, topic,
					(int)len, payload, request->by_name ? 0 : 1, false,
					properties) == MOSQ_ERR_SUCCESS)
		return true;
	mosquitto_free(payload);
	mosquitto_property_free_all(&properties);
	return false;
}

bool ft_respond(struct ft_logger *log, const struct ft_request *request,
		const struct ft_reply *reply)
{
	char room[TOPIC_MAX + 1];
	const char *topic = responder_topic_of(request, room, sizeof room);

	if (!topic || responder_publish(request, topic, reply))
		return true;
	ft_logger_printf(log, FT_LOG_ERROR, "a response could not be published: out of memory");
	return false;
}

bool ft_publish(struct ft_logger *log, const struct ft_message *message)
{
	mosquitto_property *properties = NULL;
	char *payload = mosquitto_malloc(message->len + 1);

	if (payload)
		memcpy(payload, message->payload, message->len);
	/* Taken over on success only. */
	if (payload && (!message->json || responder_say_json(&properties))
	    && mosquitto_broker_publish(NULL, message->topic, (int)message->len, payload,
					message->qos, message->retain, properties)
	       == MOSQ_ERR_SUCCESS)
		return true;
	mosquitto_free(payload);
	mosquitto_property_free_all(&properties);
	ft_logger_printf(log, FT_LOG_ERROR, "%s could not be published: out of memory",
			 message->topic);
	return false;
}

void ft_send_block(const char *client_id, const char *topic, void **block, size_t len)
{
	/* Taken over on success only. */
	if (!responder_is_too_deep(topic)
	    && mosquitto_broker_publish(client_id, topic, (int)len, *block, 0, false, NULL)
	       == MOSQ_ERR_SUCCESS)
		*block = NULL;
}
