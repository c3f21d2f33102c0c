/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "load_link.h"

#include <errno.h>
#include <mqtt_protocol.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEPALIVE_S 600
#define SECOND_NS UINT64_C(1000000000)

static void check(int rc, const char *what)
{
	if (rc != MOSQ_ERR_SUCCESS)
		load_die("%s: %s", what,
			 rc == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(rc));
}

static void on_connect(struct mosquitto *mosq, void *object, int reason, int flags,
		       const mosquitto_property *properties)
{
	struct link *link = object;

	(void)mosq;
	(void)flags;
	(void)properties;
	if (reason)
		load_die("the broker refuses the connection: %d", reason);
	link->connected = true;
}

static void on_disconnect(struct mosquitto *mosq, void *object, int reason,
			  const mosquitto_property *properties)
{
	(void)mosq;
	(void)object;
	(void)properties;
	if (reason)
		load_die("disconnected by the broker: %s", mosquitto_reason_string(reason));
}

static void on_subscribe(struct mosquitto *mosq, void *object, int mid, int count,
			 const int *granted)
{
	struct link *link = object;

	(void)mosq;
	(void)mid;
	if (count != 1 || granted[0] > 2)
		load_die("the broker refuses the subscription");
	link->subscribing--;
}

static void on_publish(struct mosquitto *mosq, void *object, int mid, int reason,
		       const mosquitto_property *properties)
{
	struct link *link = object;

	(void)mosq;
	(void)properties;
	link->events->acked(link->context, mid, reason);
}

static void on_message(struct mosquitto *mosq, void *object,
		       const struct mosquitto_message *message)
{
	struct link *link = object;

	(void)mosq;
	link->events->arrived(link->context, message);
}

void link_open(struct link *link, const struct load_options *options, const char *client_id,
	       const struct link_events *events, void *context)
{
	struct mosquitto *mosq = mosquitto_new(client_id, true, link);

	if (!mosq)
		load_die("mosquitto_new: %s", strerror(errno));
	*link = (struct link){ .mosq = mosq, .events = events, .context = context };
	mosquitto_connect_v5_callback_set(mosq, on_connect);
	mosquitto_disconnect_v5_callback_set(mosq, on_disconnect);
	mosquitto_subscribe_callback_set(mosq, on_subscribe);
	mosquitto_publish_v5_callback_set(mosq, on_publish);
	mosquitto_message_callback_set(mosq, on_message);
	mosquitto_int_option(mosq, MOSQ_OPT_PROTOCOL_VERSION,
			     options->v311 ? MQTT_PROTOCOL_V311 : MQTT_PROTOCOL_V5);
	mosquitto_int_option(mosq, MOSQ_OPT_TCP_NODELAY, 1);
	/* The window is kept by the caller. */
	check(mosquitto_max_inflight_messages_set(mosq, UINT16_MAX), "max_inflight_messages");
	check(mosquitto_connect(mosq, "127.0.0.1", (int)options->port, KEEPALIVE_S), "connect");
}

void link_close(struct link *link)
{
	mosquitto_disconnect(link->mosq);
	mosquitto_destroy(link->mosq);
	link->mosq = NULL;
}

void link_subscribe(struct link *link, const char *filter)
{
	check(mosquitto_subscribe(link->mosq, NULL, filter, 1), "subscribe");
	link->subscribing++;
}

bool link_is_ready(const struct link *link)
{
	return link->connected && link->subscribing == 0;
}

void link_publish_once(struct link *link, const char *topic, const void *payload, size_t len)
{
	check(mosquitto_publish(link->mosq, NULL, topic, (int)len, payload, 0, false), "publish");
}

int link_publish(struct link *link, const char *topic, const void *payload, size_t len)
{
	int mid = 0;

	check(mosquitto_publish(link->mosq, &mid, topic, (int)len, payload, 1, false), "publish");
	return mid;
}

static void serve(struct link *link, short happened)
{
	if (happened & (POLLIN | POLLERR | POLLHUP))
		check(mosquitto_loop_read(link->mosq, 1), "read");
	if (happened & POLLOUT)
		check(mosquitto_loop_write(link->mosq, 1), "write");
}

void link_loop(struct link *const *links, size_t count, int timeout_ms)
{
	static struct pollfd *polled;
	static size_t room;

	if (room < count) {
		free(polled);
		polled = load_alloc(count, sizeof polled[0]);
		room = count;
	}
	for (size_t i = 0; i < count; i++) {
		polled[i].fd = mosquitto_socket(links[i]->mosq);
		polled[i].events = POLLIN;
		if (mosquitto_want_write(links[i]->mosq))
			polled[i].events = POLLIN | POLLOUT;
	}
	if (poll(polled, count, timeout_ms) < 0 && errno != EINTR)
		load_die("poll: %s", strerror(errno));
	for (size_t i = 0; i < count; i++)
		if (polled[i].revents)
			serve(links[i], polled[i].revents);
}

void link_settle(struct link *const *links, size_t count, const struct load_options *options)
{
	uint64_t deadline_ns = load_now_ns() + options->timeout * SECOND_NS;

	for (size_t i = 0; i < count; i++)
		while (!link_is_ready(links[i])) {
			link_loop(links, count, 100);
			if (load_now_ns() > deadline_ns)
				load_die("the broker does not answer");
		}
}
