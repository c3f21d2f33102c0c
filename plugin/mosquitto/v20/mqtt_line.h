/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A connection to one of the broker's own listeners that carries MQTT packets.
 *
 *	result = ft_mqtt_line_open(&line, &listener, false, stop_fd, 500);
 *	...
 *	ft_mqtt_line_close(&line);	also where opening failed
 *
 * Calls block until done, until the deadline, or until `stop_fd` turns readable.
 *
 * Threads: any, but not the broker's, which has to answer; a line belongs to one.
 */
#ifndef FT_MOSQUITTO_MQTT_LINE_H
#define FT_MOSQUITTO_MQTT_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "mosquitto/v20/listeners.h"
#include "mosquitto/v20/mqtt_tls.h"

/* MQTT 5 control packets, section 2.1.2, type and flags. */
#define FT_MQTT_CONNECT 0x10
#define FT_MQTT_CONNACK 0x20
#define FT_MQTT_PUBLISH 0x30
#define FT_MQTT_SUBSCRIBE 0x82
#define FT_MQTT_SUBACK 0x90
#define FT_MQTT_PINGREQ 0xc0
#define FT_MQTT_PINGRESP 0xd0
#define FT_MQTT_DISCONNECT 0xe0
#define FT_MQTT_AUTH 0xf0

/* Properties, section 2.2.2.2, and reason codes. */
#define FT_MQTT_SESSION_EXPIRY 0x11
#define FT_MQTT_AUTH_METHOD 0x15
#define FT_MQTT_AUTH_DATA 0x16
#define FT_MQTT_CONTINUE_AUTH 0x18
#define FT_MQTT_FAILURE 0x80	/* reason codes from here on are failures */

#define FT_MQTT_PACKET_ROOM 512

enum ft_line_result {
	FT_LINE_OK,
	FT_LINE_SUBSCRIBE_REFUSED,	/* logged in, but may not subscribe */
	FT_LINE_LOGIN_REFUSED,		/* the broker said so */
	FT_LINE_NOT_MQTT,		/* speaks something else: TLS, WebSockets; or TLS wants more of us */
	FT_LINE_CLOSED,			/* closed before any answer: full, or TLS */
	FT_LINE_FAILED,			/* no answer: may be different later */
	FT_LINE_STOPPED,
};

/* The first bytes of a packet; the rest is counted and dropped. */
struct ft_mqtt_packet {
	uint8_t type;
	uint8_t head[8];
	size_t head_len;
};

struct ft_mqtt_line {
	int fd;
	int stop_fd;
	struct ft_mqtt_tls *tls;	/* NULL: plain */
	int64_t deadline_ms;
	uint8_t input[4096];
	size_t start;
	size_t end;
};

enum ft_line_result ft_mqtt_line_open(struct ft_mqtt_line *line, const struct ft_listener *listener,
				      bool tls, int stop_fd, int timeout_ms);
void ft_mqtt_line_close(struct ft_mqtt_line *line);

/* Sets a new deadline. */
void ft_mqtt_line_within(struct ft_mqtt_line *line, int timeout_ms);

/* Sends a packet of that type and body, which is less than FT_MQTT_PACKET_ROOM - 3 bytes. */
enum ft_line_result ft_mqtt_line_send(struct ft_mqtt_line *line, uint8_t type,
				      const struct ft_buf *body);

/* To send several packets as one: adds one to them; sends them. */
void ft_mqtt_put_packet(struct ft_buf *packets, uint8_t type, const struct ft_buf *body);
enum ft_line_result ft_mqtt_line_send_packets(struct ft_mqtt_line *line,
					      const struct ft_buf *packets);

/* The type of the next packet, which stays. */
enum ft_line_result ft_mqtt_line_peek(struct ft_mqtt_line *line, uint8_t *type);

enum ft_line_result ft_mqtt_line_read(struct ft_mqtt_line *line, struct ft_mqtt_packet *packet);

/* To compose bodies: a number; bytes with their length before them; a property list. */
void ft_mqtt_put_u16(struct ft_buf *buf, size_t number);
void ft_mqtt_put_field(struct ft_buf *buf, const void *bytes, size_t len);
void ft_mqtt_put_with_length(struct ft_buf *buf, const struct ft_buf *body);

#endif
