/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Connections: MQTT packets in and out of non-blocking sockets. */
#include "swarm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECT = 1, CONNACK, PUBLISH, PUBACK, SUBSCRIBE = 8, SUBACK, UNSUBSCRIBE, DISCONNECT = 14 };

#define OUT_MAX ((size_t)64 << 10)	/* bytes waiting for the socket */
#define KEEPALIVE 6000

/* --- bytes --- */

static uint8_t *extend(struct room *room, size_t len)
{
	if (room->len + len > room->size) {
		room->size = 2 * (room->len + len) + 64;
		room->bytes = realloc(room->bytes, room->size);
		if (!room->bytes)
			swarm_die("out of memory");
	}
	room->len += len;
	return room->bytes + room->len - len;
}

static void empty(struct room *room)
{
	free(room->bytes);
	*room = (struct room){ .bytes = NULL };
}

static void put(struct room *room, const void *bytes, size_t len)
{
	if (len > 0)
		memcpy(extend(room, len), bytes, len);
}

static void put_u8(struct room *room, unsigned int value)
{
	*extend(room, 1) = (uint8_t)value;
}

static void put_u16(struct room *room, size_t value)
{
	put_u8(room, value >> 8 & 0xff);
	put_u8(room, value & 0xff);
}

static void put_text(struct room *room, const char *text)
{
	put_u16(room, strlen(text));
	put(room, text, strlen(text));
}

static void put_head(struct room *room, int kind, unsigned int flags, size_t len)
{
	put_u8(room, (unsigned int)kind << 4 | flags);
	do {
		put_u8(room, (len & 0x7f) | (len > 0x7f ? 0x80 : 0));
		len >>= 7;
	} while (len > 0);
}

/* --- sending --- */

static void watch(struct peer *peer)
{
	struct epoll_event event = { .data.ptr = peer };

	if (!peer->ready || !peer->role->deaf)
		event.events |= EPOLLIN;
	if (peer->writing)
		event.events |= EPOLLOUT;
	epoll_ctl(peer->swarm->epoll, EPOLL_CTL_MOD, peer->fd, &event);
}

static void lost(struct peer *peer, const char *why)
{
	peer->counts->closed++;
	if (!peer->role->reckless)
		swarm_complain(peer->swarm, "%s was disconnected: %s", peer->id, why);
	peer_close(peer);
	peer->wake_ns = peer->swarm->now_ns + 50 * MS_NS;
}

static void flush(struct peer *peer)
{
	struct room *out = &peer->out;
	bool writing;

	while (peer->fd >= 0 && out->at < out->len) {
		ssize_t n = send(peer->fd, out->bytes + out->at, out->len - out->at, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			lost(peer, strerror(errno));
			return;
		}
		out->at += (size_t)n;
	}
	if (peer->fd < 0)
		return;
	if (out->at == out->len)
		empty(out);
	writing = out->len > 0;
	if (writing != peer->writing) {
		peer->writing = writing;
		watch(peer);
	}
}

bool peer_has_room(const struct peer *peer)
{
	return peer->fd >= 0 && peer->ready && peer->flying < peer->role->window
	       && peer->out.len - peer->out.at < OUT_MAX;
}

static void put_publish(struct peer *peer, struct room *out, unsigned int qos, const char *topic,
			const void *payload, size_t len)
{
	put_head(out, PUBLISH, qos << 1,
		 2 + strlen(topic) + (qos ? 2u : 0u) + (size_t)peer->v5 + len);
	put_text(out, topic);
	if (qos)
		put_u16(out, peer->mid = (uint16_t)(peer->mid == 65535 ? 1 : peer->mid + 1));
	if (peer->v5)
		put_u8(out, 0);
	put(out, payload, len);
}

void peer_publish(struct peer *peer, unsigned int qos, const char *topic, const void *payload,
		  size_t len)
{
	put_publish(peer, &peer->out, qos, topic, payload, len);
	peer->counts->sent++;
	peer->flying += qos > 0;
}

void peer_publish_part(struct peer *peer, const char *topic, const void *payload, size_t len,
		       size_t part)
{
	struct room whole = { .bytes = NULL };

	put_publish(peer, &whole, 1, topic, payload, len);
	put(&peer->out, whole.bytes, part < whole.len ? part : whole.len);
	empty(&whole);
	peer->counts->sent++;
	flush(peer);
}

static void put_filter(struct peer *peer, int kind, const char *filter)
{
	put_head(&peer->out, kind, 2,
		 2 + (size_t)peer->v5 + 2 + strlen(filter) + (size_t)(kind == SUBSCRIBE));
	put_u16(&peer->out, 1);
	if (peer->v5)
		put_u8(&peer->out, 0);
	put_text(&peer->out, filter);
	if (kind == SUBSCRIBE)
		put_u8(&peer->out, 1);
	peer->flying++;
}

void peer_subscribe(struct peer *peer, const char *filter)
{
	put_filter(peer, SUBSCRIBE, filter);
}

void peer_unsubscribe(struct peer *peer, const char *filter)
{
	put_filter(peer, UNSUBSCRIBE, filter);
}

/* --- the connection --- */

static void hello(struct peer *peer)
{
	put_head(&peer->out, CONNECT, 0, 6 + 4 + (size_t)peer->v5 + 2 + strlen(peer->id));
	put_text(&peer->out, "MQTT");
	put_u8(&peer->out, peer->v5 ? 5 : 4);
	put_u8(&peer->out, 2);
	put_u16(&peer->out, KEEPALIVE);
	if (peer->v5)
		put_u8(&peer->out, 0);
	put_text(&peer->out, peer->id);
}

void peer_connect(struct peer *peer)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(peer->swarm->port),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = peer };
	struct linger reset = { .l_onoff = 1 };
	int on = 1, small = 4096;

	peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (peer->fd < 0)
		swarm_die("socket: %s", strerror(errno));
	setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	if (peer->role->deaf)
		setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	if (connect(peer->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS)
		swarm_die("connect: %s", strerror(errno));
	epoll_ctl(peer->swarm->epoll, EPOLL_CTL_ADD, peer->fd, &event);
	peer->ready = peer->writing = false;
	peer->flying = 0;
	peer->wake_ns = NEVER;
	hello(peer);
	peer->writing = true;
	watch(peer);
}

void peer_close(struct peer *peer)
{
	if (peer->fd >= 0)
		close(peer->fd);
	peer->fd = -1;
	peer->ready = false;
	empty(&peer->in);
	empty(&peer->out);
}

/* --- receiving --- */

static void begin(struct peer *peer)
{
	peer->ready = true;
	peer->flying = 0;
	if (peer->role->deaf)
		watch(peer);
	if (peer->role->ready)
		peer->role->ready(peer);
}

static void on_connack(struct peer *peer, const uint8_t *body, size_t len)
{
	char topic[TOPIC_ROOM];

	if (len < 2 || body[1] != 0)
		swarm_die("%s: CONNACK %d", peer->id, len < 2 ? -1 : body[1]);
	if (peer->role->forward) {
		begin(peer);
		return;
	}
	snprintf(topic, sizeof topic, "$file-response/%s", peer->id);
	peer_subscribe(peer, topic);
}

static size_t skip_properties(const uint8_t *body, size_t at, size_t len)
{
	size_t value = 0;

	for (unsigned int shift = 0; at < len && shift < 28; shift += 7) {
		uint8_t byte = body[at++];

		value |= (size_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			break;
	}
	return at + value;
}

static void on_publish(struct peer *peer, unsigned int flags, uint8_t *body, size_t len)
{
	size_t topic_len = len < 2 ? 0 : (size_t)(body[0] << 8 | body[1]), at = 2 + topic_len;
	char topic[TOPIC_ROOM], own[TOPIC_ROOM];
	bool is_own;

	if (at + (flags & 6 ? 2 : 0) > len)
		swarm_die("%s: a packet that is too short", peer->id);
	snprintf(topic, sizeof topic, "%.*s", (int)topic_len, (char *)body + 2);
	snprintf(own, sizeof own, "$file-response/%s", peer->id);
	if (flags & 6) {
		put_head(&peer->out, PUBACK, 0, 2);
		put(&peer->out, body + at, 2);
		at += 2;
	}
	if (peer->v5)
		at = skip_properties(body, at, len);
	if (at > len)
		swarm_die("%s: a packet that is too short", peer->id);
	peer->counts->messages++;
	is_own = strcmp(topic, own) == 0;
	if (!is_own && !peer->role->any) {
		peer->counts->foreign++;
		swarm_complain(peer->swarm, "%s was sent a message of %s", peer->id, topic);
	} else if (peer->role->message) {
		body[len] = '\0';	/* room for it was made */
		peer->role->message(peer, topic, (char *)body + at, len - at);
	}
}

static void on_packet(struct peer *peer, unsigned int first, uint8_t *body, size_t len)
{
	switch ((int)(first >> 4)) {
	case CONNACK:
		on_connack(peer, body, len);
		break;
	case PUBLISH:
		on_publish(peer, first & 15, body, len);
		break;
	case PUBACK:
	case SUBACK:
	case UNSUBSCRIBE + 1:
		if (peer->flying > 0)
			peer->flying--;
		if (!peer->ready) {
			begin(peer);
			break;
		}
		peer->counts->acked++;
		if (first >> 4 == PUBACK && peer->role->acked)
			peer->role->acked(peer, len > 2 ? body[2] : 0);
		/* SUBACK: its last byte is the code. */
		peer->counts->refused += len > 2 && body[len - 1] >= 0x80;
		break;
	default:
		break;
	}
}

/* The length of the packet's head, 0 while it is not there yet. */
static size_t head_of(const uint8_t *bytes, size_t len, size_t *body_len)
{
	*body_len = 0;
	for (size_t i = 1; i < len && i < 5; i++) {
		*body_len |= (size_t)(bytes[i] & 0x7f) << (7 * (i - 1));
		if (!(bytes[i] & 0x80))
			return i + 1;
	}
	return 0;
}

static void take_packets(struct peer *peer)
{
	struct room *in = &peer->in;
	size_t head, body_len;

	while (peer->fd >= 0 && (head = head_of(in->bytes + in->at, in->len - in->at, &body_len)) > 0
	       && in->len - in->at >= head + body_len) {
		uint8_t *packet = in->bytes + in->at;
		uint8_t next = packet[head + body_len];	/* there is one byte more than `len` */

		in->at += head + body_len;
		on_packet(peer, packet[0], packet + head, body_len);
		if (peer->fd >= 0)
			packet[head + body_len] = next;
	}
	if (peer->fd < 0)
		return;
	if (in->at == in->len) {
		empty(in);
	} else {
		memmove(in->bytes, in->bytes + in->at, in->len - in->at);
		in->len -= in->at;
		in->at = 0;
	}
}

static void receive(struct peer *peer)
{
	static uint8_t bytes[65536];
	ssize_t n = recv(peer->fd, bytes, sizeof bytes, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		lost(peer, n < 0 ? strerror(errno) : "end of stream");
		return;
	}
	put(&peer->in, bytes, (size_t)n);
	(void)extend(&peer->in, 1);
	peer->in.len--;
	take_packets(peer);
}

/* --- the loop --- */

static void attend(struct peer *peer)
{
	if (peer->fd >= 0 && peer->ready && peer->role->go)
		peer->role->go(peer);
	if (peer->fd >= 0)
		flush(peer);
}

static void wake(struct swarm *swarm, struct peer *peer)
{
	if (peer->over || peer->wake_ns > swarm->now_ns)
		return;
	peer->wake_ns = NEVER;
	if (peer->fd < 0)
		peer_connect(peer);
	else
		attend(peer);
}

void swarm_turn(struct swarm *swarm, int timeout_ms)
{
	struct epoll_event events[256];
	int count = epoll_wait(swarm->epoll, events, 256, timeout_ms);

	swarm->now_ns = swarm_now_ns();
	for (int i = 0; i < count; i++) {
		struct peer *peer = events[i].data.ptr;

		if (peer->fd >= 0 && events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP))
			receive(peer);
		if (peer->fd >= 0 && events[i].events & EPOLLOUT)
			flush(peer);
		attend(peer);
	}
	if (swarm->now_ns - swarm->waked_ns < 2 * MS_NS)
		return;
	swarm->waked_ns = swarm->now_ns;
	for (struct cast *cast = swarm->cast; cast->role; cast++)
		for (size_t i = 0; i < cast->count; i++)
			wake(swarm, &cast->peers[i]);
}

bool swarm_is_served(const struct cast *cast)
{
	for (size_t i = 0; i < cast->count; i++)
		if (!cast->peers[i].ready && !cast->peers[i].over)
			return false;
	return true;
}
