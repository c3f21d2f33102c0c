/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "mosquitto/v20/mqtt_line.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/system.h"

static enum ft_line_result line_wait_for(struct ft_mqtt_line *line, short events)
{
	struct pollfd fds[2] = {
		{ .fd = line->fd, .events = events },
		{ .fd = line->stop_fd, .events = POLLIN },
	};
	int64_t left_ms = line->deadline_ms - ft_clock_ms();
	int ready;

	if (left_ms <= 0)
		return FT_LINE_FAILED;
	ready = poll(fds, 2, (int)left_ms);
	if (ready < 0)
		return errno == EINTR ? FT_LINE_OK : FT_LINE_FAILED;
	if (fds[1].revents)
		return FT_LINE_STOPPED;
	return ready == 0 ? FT_LINE_FAILED : FT_LINE_OK;
}

static enum ft_line_result line_await_connection(struct ft_mqtt_line *line)
{
	enum ft_line_result result = line_wait_for(line, POLLOUT);
	int error = 0;
	socklen_t len = sizeof error;

	if (result != FT_LINE_OK)
		return result;
	if (getsockopt(line->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0)
		return FT_LINE_FAILED;
	return FT_LINE_OK;
}

/* Bytes, 0 at the end, -1: wait for `events` and call again, -2: failed. */
static ssize_t line_plain_outcome(ssize_t done, short *events, short wanted)
{
	if (done >= 0)
		return done;
	*events = wanted;
	return errno == EAGAIN || errno == EINTR ? -1 : -2;
}

static ssize_t line_tls_outcome(ssize_t done, short *events)
{
	if (done >= 0)
		return done;
	*events = done == FT_MQTT_TLS_WANTS_WRITE ? POLLOUT : POLLIN;
	return done == FT_MQTT_TLS_FAILED ? -2 : -1;
}

static ssize_t line_send_some(struct ft_mqtt_line *line, const char *bytes, size_t len, short *events)
{
	if (line->tls)
		return line_tls_outcome(ft_mqtt_tls_write(line->tls, bytes, len), events);
	return line_plain_outcome(send(line->fd, bytes, len, MSG_NOSIGNAL), events, POLLOUT);
}

static ssize_t line_receive_some(struct ft_mqtt_line *line, short *events)
{
	if (line->tls)
		return line_tls_outcome(ft_mqtt_tls_read(line->tls, line->input, sizeof line->input),
					events);
	return line_plain_outcome(recv(line->fd, line->input, sizeof line->input, 0), events,
				  POLLIN);
}

/* Where it answers but the handshake fails, it is no TLS or wants a certificate, a PSK ... */
static enum ft_line_result line_begin_tls(struct ft_mqtt_line *line)
{
	enum ft_line_result result;
	int outcome;

	line->tls = ft_mqtt_tls_new(line->fd);
	if (!line->tls)
		return FT_LINE_NOT_MQTT;
	while ((outcome = ft_mqtt_tls_handshake(line->tls)) != 1) {
		if (outcome != FT_MQTT_TLS_WANTS_READ && outcome != FT_MQTT_TLS_WANTS_WRITE)
			return ft_mqtt_tls_heard(line->tls) ? FT_LINE_NOT_MQTT : FT_LINE_CLOSED;
		result = line_wait_for(line, outcome == FT_MQTT_TLS_WANTS_WRITE ? POLLOUT : POLLIN);
		if (result != FT_LINE_OK)
			return result;
	}
	return FT_LINE_OK;
}

static enum ft_line_result line_send_all(struct ft_mqtt_line *line, const char *bytes, size_t len)
{
	enum ft_line_result result;
	short events = 0;
	ssize_t sent;

	while (len > 0) {
		sent = line_send_some(line, bytes, len, &events);
		if (sent > 0) {
			bytes += sent;
			len -= (size_t)sent;
			continue;
		}
		if (sent != -1)
			return FT_LINE_CLOSED;
		result = line_wait_for(line, events);
		if (result != FT_LINE_OK)
			return result;
	}
	return FT_LINE_OK;
}

static enum ft_line_result line_read_byte(struct ft_mqtt_line *line, uint8_t *byte)
{
	enum ft_line_result result;
	short events = 0;
	ssize_t got;

	while (line->start == line->end) {
		got = line_receive_some(line, &events);
		if (got > 0) {
			line->start = 0;
			line->end = (size_t)got;
			break;
		}
		if (got != -1)
			return FT_LINE_CLOSED;
		result = line_wait_for(line, events);
		if (result != FT_LINE_OK)
			return result;
	}
	*byte = line->input[line->start++];
	return FT_LINE_OK;
}

/* A variable byte integer, section 1.5.5. */
static enum ft_line_result line_read_length(struct ft_mqtt_line *line, uint32_t *length)
{
	enum ft_line_result result;
	uint8_t byte;

	*length = 0;
	for (unsigned shift = 0; shift < 28; shift += 7) {
		result = line_read_byte(line, &byte);
		if (result != FT_LINE_OK)
			return result;
		*length |= (uint32_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return FT_LINE_OK;
	}
	return FT_LINE_NOT_MQTT;
}

enum ft_line_result ft_mqtt_line_read(struct ft_mqtt_line *line, struct ft_mqtt_packet *packet)
{
	enum ft_line_result result = line_read_byte(line, &packet->type);
	uint32_t length, i;
	uint8_t byte;

	if (result == FT_LINE_OK)
		result = line_read_length(line, &length);
	packet->head_len = 0;
	for (i = 0; result == FT_LINE_OK && i < length; i++) {
		result = line_read_byte(line, &byte);
		if (packet->head_len < sizeof packet->head)
			packet->head[packet->head_len++] = byte;
	}
	return result;
}


void ft_mqtt_put_u16(struct ft_buf *buf, size_t number)
{
	ft_buf_char(buf, (char)(number >> 8));
	ft_buf_char(buf, (char)(number & 0xff));
}

void ft_mqtt_put_field(struct ft_buf *buf, const void *bytes, size_t len)
{
	ft_mqtt_put_u16(buf, len);
	ft_buf_bytes(buf, bytes, len);
}

void ft_mqtt_put_with_length(struct ft_buf *to, const struct ft_buf *body)
{
	if (body->len >= 0x80)
		ft_buf_char(to, (char)(0x80 | (body->len & 0x7f)));
	ft_buf_char(to, (char)(body->len >= 0x80 ? body->len >> 7 : body->len));
	ft_buf_bytes(to, body->text, body->len);
}

void ft_mqtt_put_packet(struct ft_buf *packets, uint8_t type, const struct ft_buf *body)
{
	ft_buf_char(packets, (char)type);
	ft_mqtt_put_with_length(packets, body);
	packets->overflow |= body->overflow;
}

enum ft_line_result ft_mqtt_line_send_packets(struct ft_mqtt_line *line,
					      const struct ft_buf *packets)
{
	if (!ft_buf_ok(packets))
		return FT_LINE_FAILED;
	return line_send_all(line, packets->text, packets->len);
}

enum ft_line_result ft_mqtt_line_send(struct ft_mqtt_line *line, uint8_t type,
				      const struct ft_buf *body)
{
	char room[FT_MQTT_PACKET_ROOM];
	struct ft_buf packet = ft_buf_on(room, sizeof room);

	ft_mqtt_put_packet(&packet, type, body);
	return ft_mqtt_line_send_packets(line, &packet);
}


enum ft_line_result ft_mqtt_line_peek(struct ft_mqtt_line *line, uint8_t *type)
{
	enum ft_line_result result = line_read_byte(line, type);

	if (result == FT_LINE_OK)
		line->start--;
	return result;
}

enum ft_line_result ft_mqtt_line_open(struct ft_mqtt_line *line, const struct ft_listener *listener,
				      bool tls, int stop_fd, int timeout_ms)
{
	enum ft_line_result result;

	*line = (struct ft_mqtt_line){
		.fd = ft_listener_connect(listener),
		.stop_fd = stop_fd,
		.deadline_ms = ft_clock_ms() + timeout_ms,
	};
	if (line->fd < 0)
		return FT_LINE_FAILED;
	result = line_await_connection(line);
	return result == FT_LINE_OK && tls ? line_begin_tls(line) : result;
}

void ft_mqtt_line_within(struct ft_mqtt_line *line, int timeout_ms)
{
	line->deadline_ms = ft_clock_ms() + timeout_ms;
}

void ft_mqtt_line_close(struct ft_mqtt_line *line)
{
	ft_mqtt_tls_free(&line->tls);
	if (line->fd >= 0)
		close(line->fd);
	line->fd = -1;
}
