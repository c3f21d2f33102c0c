/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "link.h"

#include <errno.h>
#include <limits.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "tls.h"

#define MISC_EVERY_MS 500
#define UNSENT_MIN 4096
#define UNSENT_MAX 131072

/* The first reason counts; what follows is a consequence. */
void link_end(struct link *link, enum link_state state, const char *format, ...)
{
	va_list args;

	if (link->state == LINK_LOST || link->state == LINK_REFUSED)
		return;
	link->state = state;
	va_start(args, format);
	vsnprintf(link->why, sizeof(link->why), format, args);
	va_end(args);
	/* libmosquitto's texts are sentences; ours go on. */
	size_t len = strlen(link->why);
	if (len && link->why[len - 1] == '.')
		link->why[len - 1] = '\0';
}

static const char *error_text(int rc)
{
	return rc == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(rc);
}

static const char *place_of(const struct link *link, char *room, size_t bytes)
{
	const struct link_options *options = link->options;

	if (options->unix_path)
		snprintf(room, bytes, "%s:", options->unix_path);
	else
		snprintf(room, bytes, "%s, port %d:", options->host, options->port);
	return room;
}

/* It is closed, reset or refused: what that means depends on how far we were. */
static void link_end_closed(struct link *link, const char *error)
{
	char room[300];
	const char *where = place_of(link, room, sizeof(room));

	switch (link->state) {
	case LINK_DIALING:
		link_end(link, LINK_LOST, "cannot connect to %s %s", where, error);
		break;
	case LINK_SECURING:
		link_end(link, LINK_LOST, "%s closed during the TLS handshake%s", where,
			 tls_progress(link->tls) ? "" : ", without an answer; is TLS spoken at that port?");
		break;
	case LINK_GREETING:
		link_end(link, LINK_LOST, "%s closed before it lets us in%s", where,
			 !link->tls ? "; does it want TLS at that port?" : link->options->cert ? ""
			 : "; does it want a certificate of ours (--cert)?");
		break;
	default:
		link_end(link, LINK_LOST, "connection lost: %s", error);
	}
}

/* Whether the broker may answer differently in a moment. */
static bool is_passing(const struct link *link, int reason)
{
	if (!link->options->mqtt5)
		return reason == CONNACK_REFUSED_SERVER_UNAVAILABLE;
	return reason == MQTT_RC_SERVER_UNAVAILABLE || reason == MQTT_RC_SERVER_BUSY ||
	       reason == MQTT_RC_QUOTA_EXCEEDED || reason == MQTT_RC_CONNECTION_RATE_EXCEEDED;
}

/*
 * MQTT 5 at QoS 0: a lost response is asked for again, and acknowledging one for each
 * segment costs more than it is worth. MQTT 3.1.1 learns of its segments in no other way.
 */
static void subscribe(struct link *link)
{
	int rc = mosquitto_subscribe(link->mosq, NULL, link->response_topic,
				     link->options->mqtt5 ? 0 : 1);

	link->state = LINK_SUBSCRIBING;
	if (rc != MOSQ_ERR_SUCCESS)
		link_end(link, LINK_LOST, "cannot subscribe: %s", error_text(rc));
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
		link_end(link, is_passing(link, reason) ? LINK_LOST : LINK_REFUSED,
			 "the broker refuses the connection: %s", text);
		return;
	}
	uint16_t receive_max = 0;
	link->was_greeted = true;
	mosquitto_property_read_int32(properties, MQTT_PROP_MAXIMUM_PACKET_SIZE,
				      &link->max_packet_bytes, false);
	mosquitto_property_read_int16(properties, MQTT_PROP_RECEIVE_MAXIMUM, &receive_max, false);
	if (receive_max)
		link->receive_max = receive_max;
	if (link->options->unsubscribed)
		link->state = LINK_READY;
	else
		subscribe(link);
}

static void on_subscribe(struct mosquitto *mosq, void *object, int mid, int count,
			 const int *granted)
{
	struct link *link = object;

	(void)mosq;
	(void)mid;
	/* Other subscriptions are the caller's business. */
	if (link->state != LINK_SUBSCRIBING)
		return;
	if (count > 0 && granted[0] > 2)
		link_end(link, LINK_REFUSED, "the broker refuses the subscription to "
			 "$file-response/%s (0x%02x)", link->options->client_id,
			 (unsigned)granted[0]);
	else
		link->state = LINK_READY;
}

/*
 * How far we have come: with a fast broker all may happen while libmosquitto still connects.
 * `error` is what it ended with, or 0; some errors only a connection can have.
 */
static void note_progress(struct link *link, int error)
{
	enum tls_progress progress = link->tls ? tls_progress(link->tls) : TLS_SILENT;
	bool connected = error == EPIPE || error == ECONNRESET || error == EPROTO;

	if (link->state > LINK_SECURING)
		return;
	if (progress == TLS_DONE || (connected && !link->tls))
		link->state = LINK_GREETING;
	else if (progress == TLS_ANSWERED || connected)
		link->state = LINK_SECURING;
}

/* What TCP says where there never was a connection. */
static bool is_unreachable(int error)
{
	return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH ||
	       error == ETIMEDOUT;
}

static void judge(struct link *link, int rc)
{
	int error = errno;
	const char *trouble = link->tls ? tls_trouble(link->tls) : "";

	if (rc == MOSQ_ERR_SUCCESS)
		return;
	/* In libmosquitto 2.0.21 a refused connection is an error of TLS, and a closed one, too. */
	if (link->tls && tls_system_error(link->tls))
		error = tls_system_error(link->tls);
	else if (rc == MOSQ_ERR_TLS && !is_unreachable(error))
		error = ECONNRESET;
	note_progress(link, error);
	if (*trouble) {
		link->tls_failed = true;
		link_end(link, LINK_REFUSED, "%s", trouble);
		return;
	}
	errno = error;
	link_end_closed(link, rc == MOSQ_ERR_TLS ? strerror(error) : error_text(rc));
}

static void on_disconnect(struct mosquitto *mosq, void *object, int reason,
			  const mosquitto_property *properties)
{
	struct link *link = object;

	(void)mosq;
	(void)properties;
	if (reason == MQTT_RC_SESSION_TAKEN_OVER)
		link_end(link, LINK_REFUSED, "another client has connected as \"%s\"; each needs an "
			 "--id of its own", link->options->client_id);
	else if (reason == MQTT_RC_PACKET_TOO_LARGE)
		link_end(link, LINK_REFUSED, "the broker takes no packets that large; "
			 "use a smaller --segment-size");
	else if (reason >= 0x80)
		link_end(link, LINK_LOST, "disconnected by the broker: %s",
			 mosquitto_reason_string(reason));
	else
		judge(link, reason ? reason : MOSQ_ERR_CONN_LOST);
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
	size_t len = message->payloadlen > 0 ? (size_t)message->payloadlen : 0;

	(void)mosq;
	if (strcmp(message->topic, link->response_topic) == 0)
		link->events.answered(link->events.context, message->payload, len);
	else
		link->events.message(link->events.context, message->topic, message->payload, len);
}

static void on_log(struct mosquitto *mosq, void *object, int level, const char *line)
{
	struct link *link = object;

	(void)mosq;
	if (level == MOSQ_LOG_ERR && link->tls)
		tls_take_log(link->tls, line);
}

static int configure(struct link *link)
{
	const struct link_options *options = link->options;
	struct mosquitto *mosq = link->mosq;
	int rc = MOSQ_ERR_SUCCESS;

	mosquitto_connect_v5_callback_set(mosq, on_connect);
	mosquitto_subscribe_callback_set(mosq, on_subscribe);
	mosquitto_disconnect_v5_callback_set(mosq, on_disconnect);
	mosquitto_publish_v5_callback_set(mosq, on_publish);
	mosquitto_message_callback_set(mosq, on_message);
	mosquitto_log_callback_set(mosq, on_log);
	mosquitto_int_option(mosq, MOSQ_OPT_PROTOCOL_VERSION,
			     options->mqtt5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311);
	/* Otherwise the last, short packet of each burst waits for an ACK. */
	mosquitto_int_option(mosq, MOSQ_OPT_TCP_NODELAY, 1);
	/* The window is kept by us; this is room for what goes beside it. */
	mosquitto_max_inflight_messages_set(mosq, options->window + 100);
	if (options->user)
		rc = mosquitto_username_pw_set(mosq, options->user, options->password);
	if (rc == MOSQ_ERR_SUCCESS && link->tls)	/* it is complete as it is */
		rc = mosquitto_int_option(mosq, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0);
	if (rc == MOSQ_ERR_SUCCESS && link->tls)
		rc = mosquitto_void_option(mosq, MOSQ_OPT_SSL_CTX, tls_context(link->tls));
	return rc;
}

static bool prepare(struct link *link)
{
	char why[TLS_WHY_ROOM];

	if (link->options->tls) {
		link->tls = tls_new(link->options, why, sizeof(why));
		if (!link->tls) {
			link_end(link, LINK_REFUSED, "%s", why);
			return false;
		}
	}
	if (asprintf(&link->response_topic, "$file-response/%s", link->options->client_id) < 0)
		link->response_topic = NULL;
	link->mosq = link->response_topic ? mosquitto_new(link->options->client_id, true, link)
					  : NULL;
	if (!link->mosq)
		link_end(link, LINK_LOST, "%s", strerror(errno));
	return link->mosq != NULL;
}

void link_open(struct link *link, const struct link_options *options, const char *address,
	       const struct link_events *events, int64_t now)
{
	*link = (struct link){ .options = options, .events = *events, .opened_ms = now,
			       .heard_ms = now, .misc_ms = now, .receive_max = 65535 };
	if (!prepare(link))
		return;
	int rc = configure(link);
	if (rc != MOSQ_ERR_SUCCESS) {
		link_end(link, LINK_REFUSED, "%s", error_text(rc));
		return;
	}
	errno = 0;	/* where libmosquitto says "TLS", this may say more */
	/* With port 0 libmosquitto takes the host for the path of a Unix socket. */
	rc = mosquitto_connect_async(link->mosq, options->unix_path ? options->unix_path : address,
				     options->unix_path ? 0 : options->port, options->keepalive_s);
	judge(link, rc);
}

int link_fd(const struct link *link)
{
	return link->mosq ? mosquitto_socket(link->mosq) : -1;
}

bool link_wants_write(const struct link *link)
{
	if (!link->mosq || link->state >= LINK_LOST)
		return false;
	if (link->state == LINK_DIALING)
		return true;
	/* What waits for the end of the handshake is no reason to be woken. */
	if (link->state == LINK_SECURING)
		return SSL_want_write((SSL *)mosquitto_ssl_get(link->mosq));
	return mosquitto_want_write(link->mosq);
}

unsigned link_window(const struct link *link)
{
	unsigned most = link->receive_max > 1 ? link->receive_max - 1 : 1;

	return link->options->window < most ? link->options->window : most;
}

void link_limit_unsent(struct link *link, uint64_t bytes)
{
	int limit = bytes < UNSENT_MIN ? UNSENT_MIN : bytes > UNSENT_MAX ? UNSENT_MAX : (int)bytes;

	if (link->unsent_max == (size_t)limit || link->options->unix_path)
		return;
	link->unsent_max = (size_t)limit;
	/* Without it segments wait in the kernel's buffer, megabytes of them, before the rest. */
	(void)setsockopt(link_fd(link), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &limit, sizeof(limit));
}

static void watch_silence(struct link *link, int64_t now)
{
	char room[300];

	if (link->state < LINK_READY && now - link->opened_ms >
	    (int64_t)link->options->connect_timeout_s * 1000)
		link_end(link, LINK_LOST, "cannot connect to %s no answer within %d s%s",
			 place_of(link, room, sizeof(room)), link->options->connect_timeout_s,
			 link->state == LINK_SECURING && tls_progress(link->tls) == TLS_SILENT
			 ? "; is TLS spoken at that port?" : "");
	/* libmosquitto pings after one keep-alive. */
	else if (link->state == LINK_READY && link->options->keepalive_s &&
		 now - link->heard_ms >= (int64_t)link->options->keepalive_s * 2000)
		link_end(link, LINK_LOST, "the broker is silent for %d s",
			 link->options->keepalive_s * 2);
}

/* Bytes were taken from us: there was a connection, though it may be gone already. */
static bool has_written(const struct link *link)
{
	const SSL *ssl = mosquitto_ssl_get(link->mosq);

	return ssl && BIO_number_written(SSL_get_wbio(ssl)) > 0;
}

/* Whether TCP has come to a result, and to which. */
static void watch_dialing(struct link *link, unsigned ready)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer), error_len = sizeof(int);
	int fd = link_fd(link), error = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) != 0)
		error = errno;
	bool connected = getpeername(fd, (struct sockaddr *)&peer, &len) == 0 || has_written(link);
	/* The error may have been told to libmosquitto, which kept it to itself. */
	bool lost = !error && !connected && (ready & LINK_HUNG_UP);
	if (connected)
		link->state = link->tls ? LINK_SECURING : LINK_GREETING;
	note_progress(link, error);
	if (error || lost)
		link_end_closed(link, error ? strerror(error) : "Connection refused or reset");
}

/* Closed or reset, and nothing is left to be read. */
static bool is_closed(struct link *link)
{
	char byte;
	const SSL *ssl = mosquitto_ssl_get(link->mosq);

	if (ssl && SSL_has_pending(ssl))
		return false;
	ssize_t got = recv(link_fd(link), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

/*
 * libmosquitto goes on with a handshake when it reads (2.0) or writes (2.1), whatever OpenSSL
 * waits for. Once it is over nothing is written before what is there has been read: the alert
 * that says why we are not wanted would be lost.
 */
static void go_on_securing(struct link *link)
{
	judge(link, mosquitto_loop_read(link->mosq, 1));
	note_progress(link, 0);
	if (link->state == LINK_SECURING)
		judge(link, mosquitto_loop_write(link->mosq, 1));
	note_progress(link, 0);
}

/* A record of TLS may have more in it than one packet, of which no descriptor tells. */
static void read_all(struct link *link)
{
	SSL *ssl = mosquitto_ssl_get(link->mosq);

	do
		judge(link, mosquitto_loop_read(link->mosq, 1));
	while (ssl && link->state < LINK_LOST && SSL_pending(ssl) > 0);
}

static void serve(struct link *link, unsigned ready)
{
	bool closed = (link->state < LINK_READY || (ready & LINK_HUNG_UP)) && is_closed(link);
	int error = errno;

	if (link->state == LINK_SECURING) {
		go_on_securing(link);
	} else {
		if (ready & (LINK_READABLE | LINK_HUNG_UP))
			read_all(link);
		if ((ready & LINK_WRITABLE) && link->state < LINK_LOST)
			judge(link, mosquitto_loop_write(link->mosq, 1));
	}
	/* Else we would be woken for it at once, and again. */
	if (closed && link->state < LINK_LOST)
		link_end_closed(link, error == ECONNRESET ? strerror(error) : "closed by the broker");
}

void link_step(struct link *link, unsigned ready, int64_t now)
{
	if (ready & LINK_READABLE)
		link->heard_ms = now;
	if (ready && link->state == LINK_DIALING)
		watch_dialing(link, ready);
	if (ready && link->state > LINK_DIALING && link->state < LINK_LOST)
		serve(link, ready);
	if (link->state < LINK_LOST && now - link->misc_ms >= MISC_EVERY_MS) {
		link->misc_ms = now;
		judge(link, mosquitto_loop_misc(link->mosq));
	}
	watch_silence(link, now);
}

bool link_publish(struct link *link, const char *topic, const void *payload, size_t len, int qos,
		  int *mid)
{
	int rc = len <= INT_MAX ? mosquitto_publish(link->mosq, mid, topic, (int)len, payload,
						    qos, false) : MOSQ_ERR_PAYLOAD_SIZE;

	if (rc == MOSQ_ERR_SUCCESS)
		return true;
	if (rc == MOSQ_ERR_NO_CONN || rc == MOSQ_ERR_CONN_LOST || rc == MOSQ_ERR_ERRNO) {
		link_end(link, LINK_LOST, "connection lost: %s", error_text(rc));
	} else {
		link_end(link, LINK_REFUSED, "cannot publish: %s%s", error_text(rc),
			 rc == MOSQ_ERR_OVERSIZE_PACKET ? "; use a smaller --segment-size" : "");
	}
	return false;
}

bool link_subscribe(struct link *link, const char *filter, int qos)
{
	return link->state == LINK_READY &&
	       mosquitto_subscribe(link->mosq, NULL, filter, qos) == MOSQ_ERR_SUCCESS;
}

void link_close(struct link *link)
{
	if (link->mosq && link->state == LINK_READY)
		mosquitto_disconnect(link->mosq);
	mosquitto_destroy(link->mosq);
	link->mosq = NULL;
	tls_free(&link->tls);
	free(link->response_topic);
	link->response_topic = NULL;
}
