/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "broker/ack_sink_session.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/system.h"
#include "broker/ack_sink_tls.h"

/* MQTT 5 control packets, section 2.1.2, type and flags. */
#define CONNECT 0x10
#define CONNACK 0x20
#define PUBLISH 0x30
#define SUBSCRIBE 0x82
#define SUBACK 0x90
#define PINGREQ 0xc0
#define PINGRESP 0xd0
#define DISCONNECT 0xe0

/* Connect flags and properties, section 3.1. */
#define FLAG_USERNAME 0x80
#define PROPERTY_SESSION_EXPIRY 0x11
#define PROPERTY_AUTH_METHOD 0x15
#define PROPERTY_AUTH_DATA 0x16

#define KEEPALIVE_S 60
#define REFUSED 0x80	/* reason codes from here on are failures */

#define PACKET_ROOM 512

/* The first bytes of a packet; the rest is counted and dropped. */
struct packet {
	uint8_t type;		/* 0: incomplete */
	uint8_t head[8];
	size_t head_len;
};

struct line {
	int fd;
	int stop_fd;
	struct ft_sink_tls *tls;	/* NULL: plain */
	int64_t deadline_ms;
	uint8_t input[4096];
	size_t start;
	size_t end;
};

static enum ft_sink_result wait_for(struct line *line, short events)
{
	struct pollfd fds[2] = {
		{ .fd = line->fd, .events = events },
		{ .fd = line->stop_fd, .events = POLLIN },
	};
	int64_t left_ms = line->deadline_ms - ft_clock_ms();
	int ready;

	if (left_ms <= 0)
		return FT_SINK_FAILED;
	ready = poll(fds, 2, (int)left_ms);
	if (ready < 0)
		return errno == EINTR ? FT_SINK_MADE : FT_SINK_FAILED;
	if (fds[1].revents)
		return FT_SINK_STOPPED;
	return ready == 0 ? FT_SINK_FAILED : FT_SINK_MADE;
}

static enum ft_sink_result await_connection(struct line *line)
{
	enum ft_sink_result result = wait_for(line, POLLOUT);
	int error = 0;
	socklen_t len = sizeof error;

	if (result != FT_SINK_MADE)
		return result;
	if (getsockopt(line->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0)
		return FT_SINK_FAILED;
	return FT_SINK_MADE;
}

/* Bytes, 0 at the end, -1: wait for `events` and call again, -2: failed. */
static ssize_t plain_outcome(ssize_t done, short *events, short wanted)
{
	if (done >= 0)
		return done;
	*events = wanted;
	return errno == EAGAIN || errno == EINTR ? -1 : -2;
}

static ssize_t tls_outcome(ssize_t done, short *events)
{
	if (done >= 0)
		return done;
	*events = done == FT_SINK_TLS_WANTS_WRITE ? POLLOUT : POLLIN;
	return done == FT_SINK_TLS_FAILED ? -2 : -1;
}

static ssize_t send_some(struct line *line, const char *bytes, size_t len, short *events)
{
	if (line->tls)
		return tls_outcome(ft_sink_tls_write(line->tls, bytes, len), events);
	return plain_outcome(send(line->fd, bytes, len, MSG_NOSIGNAL), events, POLLOUT);
}

static ssize_t receive_some(struct line *line, short *events)
{
	if (line->tls)
		return tls_outcome(ft_sink_tls_read(line->tls, line->input, sizeof line->input), events);
	return plain_outcome(recv(line->fd, line->input, sizeof line->input, 0), events, POLLIN);
}

/* Where the handshake fails the other end either is no TLS or wants a certificate, a PSK ... */
static enum ft_sink_result begin_tls(struct line *line)
{
	enum ft_sink_result result;
	int outcome;

	line->tls = ft_sink_tls_new(line->fd);
	if (!line->tls)
		return FT_SINK_NOT_MQTT;
	while ((outcome = ft_sink_tls_handshake(line->tls)) != 1) {
		if (outcome != FT_SINK_TLS_WANTS_READ && outcome != FT_SINK_TLS_WANTS_WRITE)
			return FT_SINK_NOT_MQTT;
		result = wait_for(line, outcome == FT_SINK_TLS_WANTS_WRITE ? POLLOUT : POLLIN);
		if (result != FT_SINK_MADE)
			return result;
	}
	return FT_SINK_MADE;
}

static enum ft_sink_result send_all(struct line *line, const char *bytes, size_t len)
{
	enum ft_sink_result result;
	short events = 0;
	ssize_t sent;

	while (len > 0) {
		sent = send_some(line, bytes, len, &events);
		if (sent > 0) {
			bytes += sent;
			len -= (size_t)sent;
			continue;
		}
		if (sent != -1)
			return FT_SINK_CLOSED;
		result = wait_for(line, events);
		if (result != FT_SINK_MADE)
			return result;
	}
	return FT_SINK_MADE;
}

static enum ft_sink_result read_byte(struct line *line, uint8_t *byte)
{
	enum ft_sink_result result;
	short events = 0;
	ssize_t got;

	while (line->start == line->end) {
		got = receive_some(line, &events);
		if (got > 0) {
			line->start = 0;
			line->end = (size_t)got;
			break;
		}
		if (got != -1)
			return FT_SINK_CLOSED;
		result = wait_for(line, events);
		if (result != FT_SINK_MADE)
			return result;
	}
	*byte = line->input[line->start++];
	return FT_SINK_MADE;
}

/* A variable byte integer, section 1.5.5. */
static enum ft_sink_result read_length(struct line *line, uint32_t *length)
{
	enum ft_sink_result result;
	uint8_t byte;

	*length = 0;
	for (unsigned shift = 0; shift < 28; shift += 7) {
		result = read_byte(line, &byte);
		if (result != FT_SINK_MADE)
			return result;
		*length |= (uint32_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return FT_SINK_MADE;
	}
	return FT_SINK_NOT_MQTT;
}

static enum ft_sink_result read_packet(struct line *line, struct packet *packet)
{
	enum ft_sink_result result = read_byte(line, &packet->type);
	uint32_t length, i;
	uint8_t byte;

	if (result == FT_SINK_MADE)
		result = read_length(line, &length);
	packet->head_len = 0;
	for (i = 0; result == FT_SINK_MADE && i < length; i++) {
		result = read_byte(line, &byte);
		if (packet->head_len < sizeof packet->head)
			packet->head[packet->head_len++] = byte;
	}
	return result;
}

static void put_u16(struct ft_buf *buf, size_t number)
{
	ft_buf_char(buf, (char)(number >> 8));
	ft_buf_char(buf, (char)(number & 0xff));
}

static void put_field(struct ft_buf *buf, const void *bytes, size_t len)
{
	put_u16(buf, len);
	ft_buf_bytes(buf, bytes, len);
}

/* Bodies and property lists here are at most 255 bytes long: one or two length bytes. */
static void put_with_length(struct ft_buf *to, const struct ft_buf *body)
{
	if (body->len >= 0x80)
		ft_buf_char(to, (char)(0x80 | (body->len & 0x7f)));
	ft_buf_char(to, (char)(body->len >= 0x80 ? body->len >> 7 : body->len));
	ft_buf_bytes(to, body->text, body->len);
}

static enum ft_sink_result send_packet(struct line *line, uint8_t type, const struct ft_buf *body)
{
	char room[PACKET_ROOM];
	struct ft_buf packet = ft_buf_on(room, sizeof room);

	ft_buf_char(&packet, (char)type);
	put_with_length(&packet, body);
	if (!ft_buf_ok(body) || !ft_buf_ok(&packet))
		return FT_SINK_FAILED;
	return send_all(line, packet.text, packet.len);
}

static void put_connect_properties(struct ft_buf *buf, const struct ft_sink_visit *visit)
{
	char room[PACKET_ROOM];
	struct ft_buf properties = ft_buf_on(room, sizeof room);

	ft_buf_char(&properties, PROPERTY_SESSION_EXPIRY);
	ft_buf_bytes(&properties, "\xff\xff\xff\xff", 4);	/* never */
	if (visit->login != FT_SINK_LOGIN_ANONYMOUS) {
		ft_buf_char(&properties, PROPERTY_AUTH_METHOD);
		put_field(&properties, FT_SINK_AUTH_METHOD, strlen(FT_SINK_AUTH_METHOD));
		ft_buf_char(&properties, PROPERTY_AUTH_DATA);
		put_field(&properties, visit->secret, FT_SINK_SECRET_LEN);
	}
	put_with_length(buf, &properties);
}

/*
 * The user name equals the client id: so it is unknown to every ACL, and listeners
 * with use_username_as_clientid make no difference. Clean Start is 0.
 */
static enum ft_sink_result send_connect(struct line *line, const struct ft_sink_visit *visit)
{
	char room[PACKET_ROOM];
	struct ft_buf body = ft_buf_on(room, sizeof room);
	bool named = visit->login == FT_SINK_LOGIN_NAMED;

	put_field(&body, "MQTT", 4);
	ft_buf_char(&body, 5);
	ft_buf_char(&body, (char)(named ? FLAG_USERNAME : 0));
	put_u16(&body, KEEPALIVE_S);
	put_connect_properties(&body, visit);
	put_field(&body, visit->client_id, strlen(visit->client_id));
	if (named)
		put_field(&body, visit->client_id, strlen(visit->client_id));
	return send_packet(line, CONNECT, &body);
}

static enum ft_sink_result send_subscribe(struct line *line, const struct ft_sink_visit *visit)
{
	char room[PACKET_ROOM];
	struct ft_buf body = ft_buf_on(room, sizeof room);

	put_u16(&body, 1);	/* packet identifier */
	ft_buf_char(&body, 0);	/* no properties */
	put_field(&body, visit->topic, strlen(visit->topic));
	ft_buf_char(&body, 0);	/* QoS 0 */
	return send_packet(line, SUBSCRIBE, &body);
}

static enum ft_sink_result send_empty(struct line *line, uint8_t type)
{
	char room[1];
	struct ft_buf nothing = ft_buf_on(room, sizeof room);

	return send_packet(line, type, &nothing);
}

/*
 * A TLS or WebSockets listener does not answer with a CONNACK, if at all. The client
 * that is refused gets one. A TLS listener that wants a certificate closes only now.
 */
static enum ft_sink_result await_connack(struct line *line, bool *present)
{
	struct packet packet;
	uint8_t first;
	enum ft_sink_result result = read_byte(line, &first);

	if (result != FT_SINK_MADE)
		return result == FT_SINK_CLOSED && line->tls ? FT_SINK_NOT_MQTT : result;
	if (first != CONNACK)
		return FT_SINK_NOT_MQTT;
	line->start--;
	result = read_packet(line, &packet);
	if (result != FT_SINK_MADE)
		return result;
	if (packet.head_len < 2)
		return FT_SINK_NOT_MQTT;
	*present = (packet.head[0] & 1) != 0;
	return packet.head[1] == 0 ? FT_SINK_MADE : FT_SINK_LOGIN_REFUSED;
}

/* Reads until a packet of that type; what was queued for the session comes before. */
static enum ft_sink_result await(struct line *line, uint8_t type, struct packet *packet,
				 size_t *drained)
{
	enum ft_sink_result result;

	do {
		result = read_packet(line, packet);
		if (result != FT_SINK_MADE)
			return result;
		if ((packet->type & 0xf0) == PUBLISH)
			(*drained)++;
	} while (packet->type != type);
	return FT_SINK_MADE;
}

static enum ft_sink_result subscribe(struct line *line, const struct ft_sink_visit *visit,
				     size_t *drained)
{
	struct packet packet;
	enum ft_sink_result result = send_subscribe(line, visit);

	if (result == FT_SINK_MADE)
		result = await(line, SUBACK, &packet, drained);
	if (result != FT_SINK_MADE)
		return result;
	/* Packet identifier, no properties, one reason code. */
	if (packet.head_len < 4 || packet.head[packet.head_len - 1] >= REFUSED)
		return FT_SINK_SUBSCRIBE_REFUSED;
	return FT_SINK_MADE;
}

/* A long queue leaves the broker in portions; each question may bring another. */
static enum ft_sink_result drain(struct line *line, size_t *drained)
{
	struct packet packet;
	enum ft_sink_result result = FT_SINK_MADE;
	size_t before = 0;

	while (result == FT_SINK_MADE && *drained != before) {
		before = *drained;
		result = send_empty(line, PINGREQ);
		if (result == FT_SINK_MADE)
			result = await(line, PINGRESP, &packet, drained);
	}
	return result;
}

/*
 * Waits for the broker to close, so that the session is offline when this returns; or
 * gone, where it is of no use.
 */
static void take_leave(struct line *line, bool keep)
{
	char room[8];
	struct ft_buf body = ft_buf_on(room, sizeof room);
	uint8_t byte;

	if (!keep) {
		ft_buf_bytes(&body, "\0\5", 2);	/* normal, 5 bytes of properties */
		ft_buf_char(&body, PROPERTY_SESSION_EXPIRY);
		ft_buf_bytes(&body, "\0\0\0\0", 4);
	}
	if (send_packet(line, DISCONNECT, &body) != FT_SINK_MADE)
		return;
	while (read_byte(line, &byte) == FT_SINK_MADE)
		;
}

static enum ft_sink_result talk(struct line *line, const struct ft_sink_visit *visit,
				size_t *drained)
{
	enum ft_sink_result result = await_connection(line);
	bool present = false;

	if (result == FT_SINK_MADE && visit->tls)
		result = begin_tls(line);
	if (result == FT_SINK_MADE)
		result = send_connect(line, visit);
	if (result == FT_SINK_MADE)
		result = await_connack(line, &present);
	if (result == FT_SINK_MADE)
		result = subscribe(line, visit, drained);
	if (result == FT_SINK_MADE)
		result = drain(line, drained);
	/* A session that was there before has its subscription, even if it may not renew it now. */
	if (result == FT_SINK_MADE || result == FT_SINK_SUBSCRIBE_REFUSED)
		take_leave(line, result == FT_SINK_MADE || present);
	return result;
}

enum ft_sink_result ft_sink_visit(const struct ft_sink_visit *visit, size_t *drained)
{
	struct line line = {
		.fd = ft_listener_connect(visit->listener),
		.stop_fd = visit->stop_fd,
		.deadline_ms = ft_clock_ms() + visit->timeout_ms,
	};
	enum ft_sink_result result;

	*drained = 0;
	if (line.fd < 0)
		return FT_SINK_FAILED;
	result = talk(&line, visit, drained);
	ft_sink_tls_free(&line.tls);
	close(line.fd);
	return result;
}
