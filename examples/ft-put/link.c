/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "link.h"

#include <errno.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEPALIVE_S 60

/* The first reason counts; what follows is a consequence. */
__attribute__((format(printf, 3, 4)))
static void end_link(struct link *link, enum link_state state, const char *format, ...)
{
	va_list args;

	if (link->state == LINK_LOST || link->state == LINK_REFUSED)
		return;
	link->state = state;
	va_start(args, format);
	vsnprintf(link->why, sizeof(link->why), format, args);
	va_end(args);
}

static const char *error_text(int rc)
{
	return rc == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(rc);
}

/* Whether the broker may answer differently in a moment. */
static bool is_passing(const struct link *link, int reason)
{
	if (!link->options->mqtt5)
		return reason == CONNACK_REFUSED_SERVER_UNAVAILABLE;
	return reason == MQTT_RC_SERVER_UNAVAILABLE || reason == MQTT_RC_SERVER_BUSY ||
	       reason == MQTT_RC_QUOTA_EXCEEDED || reason == MQTT_RC_CONNECTION_RATE_EXCEEDED;
}

static void subscribe(struct link *link)
{
	char topic[65536];
	int len = snprintf(topic, sizeof(topic), "$file-response/%s", link->options->client_id);
	int rc = len < (int)sizeof(topic) ? mosquitto_subscribe(link->mosq, NULL, topic, 1)
					  : MOSQ_ERR_INVAL;

	link->state = LINK_SUBSCRIBING;
	if (rc != MOSQ_ERR_SUCCESS)
		end_link(link, LINK_LOST, "cannot subscribe: %s", error_text(rc));
}

static void on_connect(struct mosquitto *mosq, void *object, int reason, int flags,
		       const mosquitto_property *properties)
{
	struct link *link = object;

	(void)mosq;
	(void)flags;
	if (reason) {
		const char *text = link->options->mqtt5 ? mosquitto_reason_string(reason)
							: mosquitto_connack_string(reason);
		end_link(link, is_passing(link, reason) ? LINK_LOST : LINK_REFUSED,
			 "the broker refuses the connection: %s", text);
		return;
	}
	mosquitto_property_read_int32(properties, MQTT_PROP_MAXIMUM_PACKET_SIZE,
				      &link->max_packet_bytes, false);
	subscribe(link);
}

static void on_subscribe(struct mosquitto *mosq, void *object, int mid, int count,
			 const int *granted)
{
	struct link *link = object;

	(void)mosq;
	(void)mid;
	if (count > 0 && granted[0] > 2)
		end_link(link, LINK_REFUSED, "the broker refuses the subscription to "
			 "$file-response/%s (0x%02x)", link->options->client_id,
			 (unsigned)granted[0]);
	else if (link->state == LINK_SUBSCRIBING)
		link->state = LINK_READY;
}

static void on_disconnect(struct mosquitto *mosq, void *object, int reason,
			  const mosquitto_property *properties)
{
	struct link *link = object;

	(void)mosq;
	(void)properties;
	if (reason == MQTT_RC_SESSION_TAKEN_OVER)
		end_link(link, LINK_REFUSED, "another client has connected as \"%s\"",
			 link->options->client_id);
	else if (reason == MQTT_RC_PACKET_TOO_LARGE)
		end_link(link, LINK_REFUSED, "the broker takes no packets that large; "
			 "use a smaller --segment-size");
	else if (reason >= 0x80)
		end_link(link, LINK_LOST, "disconnected by the broker: %s",
			 mosquitto_reason_string(reason));
	else
		end_link(link, LINK_LOST, "connection lost");
}

static void on_publish(struct mosquitto *mosq, void *object, int mid, int reason,
		       const mosquitto_property *properties)
{
	struct link *link = object;

	(void)mosq;
	(void)properties;
	link->events.acked(link->events.context, mid, reason);
}

static void on_message(struct mosquitto *mosq, void *object, const struct mosquitto_message *message)
{
	struct link *link = object;

	(void)mosq;
	if (message->payloadlen > 0)
		link->events.answered(link->events.context, message->payload,
				      (size_t)message->payloadlen);
}

static int configure(struct link *link)
{
	const struct link_options *options = link->options;
	struct mosquitto *mosq = link->mosq;
	int rc;

	mosquitto_connect_v5_callback_set(mosq, on_connect);
	mosquitto_subscribe_callback_set(mosq, on_subscribe);
	mosquitto_disconnect_v5_callback_set(mosq, on_disconnect);
	mosquitto_publish_v5_callback_set(mosq, on_publish);
	mosquitto_message_callback_set(mosq, on_message);
	mosquitto_int_option(mosq, MOSQ_OPT_PROTOCOL_VERSION,
			     options->mqtt5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311);
	/* Otherwise the last, short packet of each burst waits for an ACK. */
	mosquitto_int_option(mosq, MOSQ_OPT_TCP_NODELAY, 1);
	/* Room for the questions beside the segments. */
	mosquitto_max_inflight_messages_set(mosq, options->window + 2);
	rc = options->user ? mosquitto_username_pw_set(mosq, options->user, options->password)
			   : MOSQ_ERR_SUCCESS;
	if (rc == MOSQ_ERR_SUCCESS && options->cafile)
		rc = mosquitto_tls_set(mosq, options->cafile, NULL, options->cert, options->key,
				       NULL);
	return rc;
}

void link_open(struct link *link, const struct link_options *options,
	       const struct link_events *events)
{
	*link = (struct link){ .options = options, .events = *events };
	link->mosq = mosquitto_new(options->client_id, true, link);
	if (!link->mosq) {
		end_link(link, LINK_LOST, "%s", strerror(errno));
		return;
	}
	int rc = configure(link);
	if (rc != MOSQ_ERR_SUCCESS) {
		end_link(link, LINK_REFUSED, "%s%s", error_text(rc),
			 options->cafile ? " (check --cafile, --cert, --key)" : "");
		return;
	}
	/* With port 0 libmosquitto takes the host for the path of a Unix socket. */
	rc = options->unix_path ? mosquitto_connect(link->mosq, options->unix_path, 0, KEEPALIVE_S)
				: mosquitto_connect(link->mosq, options->host, options->port,
						    KEEPALIVE_S);
	if (rc != MOSQ_ERR_SUCCESS)
		end_link(link, LINK_LOST, "cannot connect: %s", error_text(rc));
}

void link_step(struct link *link, int timeout_ms)
{
	int rc = mosquitto_loop(link->mosq, timeout_ms, 1);

	if (rc == MOSQ_ERR_TLS)
		end_link(link, LINK_REFUSED, "TLS: the broker and we do not trust each other");
	else if (rc != MOSQ_ERR_SUCCESS)
		end_link(link, LINK_LOST, "connection lost: %s", error_text(rc));
}

bool link_publish(struct link *link, const char *topic, const void *payload, size_t len, int *mid)
{
	int rc = mosquitto_publish(link->mosq, mid, topic, (int)len, payload, 1, false);

	if (rc == MOSQ_ERR_SUCCESS)
		return true;
	if (rc == MOSQ_ERR_NO_CONN || rc == MOSQ_ERR_CONN_LOST || rc == MOSQ_ERR_ERRNO) {
		end_link(link, LINK_LOST, "connection lost: %s", error_text(rc));
	} else {
		end_link(link, LINK_REFUSED, "cannot publish: %s%s", error_text(rc),
			 rc == MOSQ_ERR_OVERSIZE_PACKET ? "; use a smaller --segment-size" : "");
	}
	return false;
}

void link_close(struct link *link)
{
	if (link->mosq && link->state == LINK_READY)
		mosquitto_disconnect(link->mosq);
	mosquitto_destroy(link->mosq);
	link->mosq = NULL;
}
