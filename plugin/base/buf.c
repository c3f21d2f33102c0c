/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "base/buf.h"

#include <assert.h>
#include <inttypes.h>

static const char hex_lower[] = "0123456789abcdef";

struct ft_buf ft_buf_on(char *storage, size_t room)
{
	assert(room >= 1);
	storage[0] = '\0';
	return (struct ft_buf){ .text = storage, .len = 0, .room = room, .overflow = false };
}

/* Takes back what was appended after `len`: an append is whole or not there. */
static void cut(struct ft_buf *buf, size_t len)
{
	buf->len = len;
	buf->text[len] = '\0';
}

void ft_buf_bytes(struct ft_buf *buf, const void *bytes, size_t len)
{
	if (buf->overflow)
		return;
	if (len >= buf->room - buf->len) {
		buf->overflow = true;
		return;
	}
	if (len > 0)
		memcpy(buf->text + buf->len, bytes, len);
	cut(buf, buf->len + len);
}

void ft_buf_str(struct ft_buf *buf, const char *text)
{
	ft_buf_bytes(buf, text, strlen(text));
}

void ft_buf_char(struct ft_buf *buf, char c)
{
	ft_buf_bytes(buf, &c, 1);
}

void ft_buf_u64(struct ft_buf *buf, uint64_t number)
{
	ft_buf_printf(buf, "%" PRIu64, number);
}

void ft_buf_hex(struct ft_buf *buf, const uint8_t *bytes, size_t len)
{
	size_t before = buf->len;

	for (size_t i = 0; i < len && !buf->overflow; i++) {
		char pair[2] = { hex_lower[bytes[i] >> 4], hex_lower[bytes[i] & 15] };

		ft_buf_bytes(buf, pair, sizeof pair);
	}
	if (buf->overflow)
		cut(buf, before);
}

void ft_buf_printf(struct ft_buf *buf, const char *format, ...)
{
	size_t left = buf->room - buf->len;
	va_list args;
	int written;

	if (buf->overflow)
		return;
	va_start(args, format);
	written = vsnprintf(buf->text + buf->len, left, format, args);
	va_end(args);
	if (written >= 0 && (size_t)written < left) {
		buf->len += (size_t)written;
		return;
	}
	buf->overflow = true;
	cut(buf, buf->len);
}

static void json_char(struct ft_buf *buf, char c)
{
	static const char short_for[] = "\"\\\b\f\n\r\t";
	static const char short_form[] = "\"\\bfnrt";
	unsigned char byte = (unsigned char)c;
	const char *found = c != '\0' ? strchr(short_for, c) : NULL;

	if (found) {
		char pair[2] = { '\\', short_form[found - short_for] };

		ft_buf_bytes(buf, pair, sizeof pair);
	} else if (byte < 0x20 || byte == 0x7f) {
		char escape[6] = { '\\', 'u', '0', '0', hex_lower[byte >> 4], hex_lower[byte & 15] };

		ft_buf_bytes(buf, escape, sizeof escape);
	} else {
		ft_buf_char(buf, c);
	}
}

void ft_buf_json(struct ft_buf *buf, const char *bytes, size_t len)
{
	size_t before = buf->len;

	ft_buf_char(buf, '"');
	for (size_t i = 0; i < len && !buf->overflow; i++)
		json_char(buf, bytes[i]);
	ft_buf_char(buf, '"');
	if (buf->overflow)
		cut(buf, before);
}

/* Unlike the others this keeps what fitted: a log line is better cut than lost. */
void ft_buf_printable(struct ft_buf *buf, const char *bytes, size_t len, size_t limit)
{
	size_t shown = len < limit ? len : limit;

	for (size_t i = 0; i < shown && !buf->overflow; i++) {
		unsigned char byte = (unsigned char)bytes[i];
		char escape[4] = { '\\', 'x', hex_lower[byte >> 4], hex_lower[byte & 15] };

		if (byte >= 0x20 && byte < 0x7f)
			ft_buf_char(buf, bytes[i]);
		else
			ft_buf_bytes(buf, escape, sizeof escape);
	}
	if (shown < len)
		ft_buf_str(buf, "...");
}

bool ft_buf_ok(const struct ft_buf *buf)
{
	return !buf->overflow;
}
