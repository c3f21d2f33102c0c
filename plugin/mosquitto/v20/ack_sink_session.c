/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "mosquitto/v20/ack_sink_session.h"

#include <sys/random.h>

/* Connect flags, section 3.1.2.3. */
#define FLAG_CLEAN_START 0x02
#define FLAG_PASSWORD 0x40
#define FLAG_USERNAME 0x80

#define KEEPALIVE_S 60
#define STRANGER_BYTES 8

/* Who logs in, and how. The password is the user name again: it opens nothing. */
struct session_login {
	const char *name;	/* client id and user name, for listeners with use_username_as_clientid */
	uint8_t flags;
	struct ft_buf *properties;
};

static void session_put_connect(struct ft_buf *packets, const struct session_login *login)
{
	char room[FT_MQTT_PACKET_ROOM];
	struct ft_buf body = ft_buf_on(room, sizeof room);

	ft_mqtt_put_field(&body, "MQTT", 4);
	ft_buf_char(&body, 5);
	ft_buf_char(&body, (char)(FLAG_USERNAME | FLAG_PASSWORD | login->flags));
	ft_mqtt_put_u16(&body, KEEPALIVE_S);
	ft_mqtt_put_with_length(&body, login->properties);
	for (int i = 0; i < 3; i++)	/* client id, user name, password */
		ft_mqtt_put_field(&body, login->name, strlen(login->name));
	ft_mqtt_put_packet(packets, FT_MQTT_CONNECT, &body);
}

static void session_put_own_connect(struct ft_buf *packets, const struct ft_sink_visit *visit)
{
	char room[FT_MQTT_PACKET_ROOM];
	struct ft_buf properties = ft_buf_on(room, sizeof room);

	ft_buf_char(&properties, FT_MQTT_SESSION_EXPIRY);
	ft_buf_bytes(&properties, "\xff\xff\xff\xff", 4);	/* never */
	ft_buf_char(&properties, FT_MQTT_AUTH_METHOD);
	ft_mqtt_put_field(&properties, FT_SINK_AUTH_METHOD, strlen(FT_SINK_AUTH_METHOD));
	ft_buf_char(&properties, FT_MQTT_AUTH_DATA);
	ft_mqtt_put_field(&properties, visit->secret, FT_SINK_SECRET_LEN);
	session_put_connect(packets, &(struct session_login){
		.name = visit->client_id, .properties = &properties,
		.flags = visit->clean ? FLAG_CLEAN_START : 0,
	});
}

static void session_put_subscribe(struct ft_buf *packets, const struct ft_sink_visit *visit)
{
	char room[FT_MQTT_PACKET_ROOM];
	struct ft_buf body = ft_buf_on(room, sizeof room);

	ft_mqtt_put_u16(&body, 1);	/* packet identifier */
	ft_buf_char(&body, 0);	/* no properties */
	ft_mqtt_put_field(&body, visit->topic, strlen(visit->topic));
	ft_buf_char(&body, 0);	/* QoS 0 */
	ft_mqtt_put_packet(packets, FT_MQTT_SUBSCRIBE, &body);
}

/*
 * Both at once, as section 3.1.4 allows: so the broker handles them in successive passes
 * of its loop, however late this thread runs, and what it sends before the SUBACK is what
 * was queued and hardly anything that came meanwhile.
 */
static enum ft_line_result session_send_both(struct ft_mqtt_line *line,
					     const struct ft_sink_visit *visit)
{
	char room[2 * FT_MQTT_PACKET_ROOM];
	struct ft_buf packets = ft_buf_on(room, sizeof room);

	session_put_own_connect(&packets, visit);
	session_put_subscribe(&packets, visit);
	return ft_mqtt_line_send_packets(line, &packets);
}

/*
 * A TLS or WebSockets listener does not answer with a FT_MQTT_CONNACK, if at all. The client
 * that is refused gets one. A TLS listener that wants a certificate closes only now.
 */
static enum ft_line_result session_await_connack(struct ft_mqtt_line *line, bool *present)
{
	struct ft_mqtt_packet packet;
	uint8_t first;
	enum ft_line_result result = ft_mqtt_line_peek(line, &first);

	if (result != FT_LINE_OK)
		return result == FT_LINE_CLOSED && line->tls ? FT_LINE_NOT_MQTT : result;
	if (first != FT_MQTT_CONNACK)
		return FT_LINE_NOT_MQTT;
	result = ft_mqtt_line_read(line, &packet);
	if (result != FT_LINE_OK)
		return result;
	if (packet.head_len < 2)
		return FT_LINE_NOT_MQTT;
	*present = (packet.head[0] & 1) != 0;
	return packet.head[1] == 0 ? FT_LINE_OK : FT_LINE_LOGIN_REFUSED;
}

/* Reads until a packet of that type; all that was queued for the session comes before. */
static enum ft_line_result session_await(struct ft_mqtt_line *line, uint8_t type,
					 struct ft_mqtt_packet *packet, size_t *drained)
{
	enum ft_line_result result;

	do {
		result = ft_mqtt_line_read(line, packet);
		if (result != FT_LINE_OK)
			return result;
		if ((packet->type & 0xf0) == FT_MQTT_PUBLISH)
			(*drained)++;
	} while (packet->type != type);
	return FT_LINE_OK;
}

static enum ft_line_result session_await_suback(struct ft_mqtt_line *line, size_t *drained)
{
	struct ft_mqtt_packet packet;
	enum ft_line_result result = session_await(line, FT_MQTT_SUBACK, &packet, drained);

	if (result != FT_LINE_OK)
		return result;
	/* Packet identifier, no properties, one reason code. */
	if (packet.head_len < 4 || packet.head[packet.head_len - 1] >= FT_MQTT_FAILURE)
		return FT_LINE_SUBSCRIBE_REFUSED;
	return FT_LINE_OK;
}

/*
 * Waits for the broker to close, so that the session is offline when this returns; or
 * gone, where it is of no use.
 */
static void session_take_leave(struct ft_mqtt_line *line, bool keep)
{
	char room[8];
	struct ft_buf body = ft_buf_on(room, sizeof room);
	struct ft_mqtt_packet packet;

	if (!keep) {
		ft_buf_bytes(&body, "\0\5", 2);	/* normal, 5 bytes of properties */
		ft_buf_char(&body, FT_MQTT_SESSION_EXPIRY);
		ft_buf_bytes(&body, "\0\0\0\0", 4);
	}
	if (ft_mqtt_line_send(line, FT_MQTT_DISCONNECT, &body) != FT_LINE_OK)
		return;
	while (ft_mqtt_line_read(line, &packet) == FT_LINE_OK)
		;
}

static enum ft_line_result session_talk(struct ft_mqtt_line *line,
					const struct ft_sink_visit *visit, size_t *drained)
{
	enum ft_line_result result = session_send_both(line, visit);
	bool present = false;

	if (result == FT_LINE_OK)
		result = session_await_connack(line, &present);
	if (result == FT_LINE_OK)
		result = session_await_suback(line, drained);
	/* A session that was there before has its subscription, even if it may not renew it now. */
	if (result == FT_LINE_OK || result == FT_LINE_SUBSCRIBE_REFUSED)
		session_take_leave(line, result == FT_LINE_OK || present);
	return result;
}

enum ft_line_result ft_sink_visit(const struct ft_sink_visit *visit, size_t *drained)
{
	struct ft_mqtt_line line;
	enum ft_line_result result = ft_mqtt_line_open(&line, visit->listener, visit->tls,
						       visit->stop_fd, visit->timeout_ms);

	*drained = 0;
	if (result == FT_LINE_OK)
		result = session_talk(&line, visit, drained);
	ft_mqtt_line_close(&line);
	return result;
}

/* Random, since whoever had the same client id would be thrown out. */
enum ft_line_result ft_sink_try_as_stranger(const struct ft_sink_visit *visit)
{
	char name_room[2 * STRANGER_BYTES + 1], packet_room[FT_MQTT_PACKET_ROOM], empty[1];
	struct ft_buf name = ft_buf_on(name_room, sizeof name_room);
	struct ft_buf packet = ft_buf_on(packet_room, sizeof packet_room);
	struct ft_buf properties = ft_buf_on(empty, sizeof empty);
	uint8_t random[STRANGER_BYTES];
	struct ft_mqtt_line line;
	enum ft_line_result result;
	bool present;

	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		return FT_LINE_FAILED;
	ft_buf_hex(&name, random, sizeof random);
	session_put_connect(&packet, &(struct session_login){
		.name = name_room, .flags = FLAG_CLEAN_START, .properties = &properties,
	});
	result = ft_mqtt_line_open(&line, visit->listener, visit->tls, visit->stop_fd,
				   visit->timeout_ms);
	if (result == FT_LINE_OK)
		result = ft_mqtt_line_send_packets(&line, &packet);
	if (result == FT_LINE_OK)
		result = session_await_connack(&line, &present);
	if (result == FT_LINE_OK)
		session_take_leave(&line, true);
	ft_mqtt_line_close(&line);
	return result;
}
