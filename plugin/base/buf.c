/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "base/buf.h"

#include <assert.h>

static const char hex_lower[] = "0123456789abcdef";

struct ft_buf ft_buf_on(char *storage, size_t room)
{
	assert(room >= 1);
	storage[0] = '\0';
	return (struct ft_buf){ .text = storage, .len = 0, .room = room, .overflow = false };
}

/* Takes back what was appended after `len`: an append is whole or not there. */
static void buf_cut(struct ft_buf *buf, size_t len)
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
	buf_cut(buf, buf->len + len);
}

void ft_buf_char(struct ft_buf *buf, char c)
{
	if (buf->overflow)
		return;
	if (buf->room - buf->len <= 1) {
		buf->overflow = true;
		return;
	}
	buf->text[buf->len] = c;
	buf_cut(buf, buf->len + 1);
}

/* By hand, since every response has some. */
void ft_buf_u64(struct ft_buf *buf, uint64_t number)
{
	char digits[20];	/* of UINT64_MAX */
	size_t begin = sizeof digits;

	do {
		digits[--begin] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	ft_buf_bytes(buf, digits + begin, sizeof digits - begin);
}

void ft_buf_hex(struct ft_buf *buf, const uint8_t *bytes, size_t len)
{
	size_t before = buf->len;

	for (size_t i = 0; i < len && !buf->overflow; i++) {
		char pair[2] = { hex_lower[bytes[i] >> 4], hex_lower[bytes[i] & 15] };

		ft_buf_bytes(buf, pair, sizeof pair);
	}
	if (buf->overflow)
		buf_cut(buf, before);
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
	buf_cut(buf, buf->len);
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Bit 7 of each byte that is 0; above one of these, of others too. */
static uint64_t buf_zeros(uint64_t word)
{
	return (word - EACH(1)) & ~word & EACH(0x80);
}

static bool buf_is_plain(unsigned char byte)
{
	return byte >= 0x20 && byte != '"' && byte != '\\' && byte != 0x7f;
}

/* Eight bytes at once; as buf_is_plain(). */
static bool buf_are_plain(uint64_t word)
{
	uint64_t controls = (word - EACH(0x20)) & ~word & EACH(0x80);

	return (controls | buf_zeros(word ^ EACH('"')) | buf_zeros(word ^ EACH('\\'))
		| buf_zeros(word ^ EACH(0x7f))) == 0;
}

/* How many bytes at the beginning go into a JSON string as they are. */
static size_t buf_plain_run(const char *bytes, size_t len)
{
	uint64_t word;
	size_t run = 0;

	for (; len - run >= sizeof word; run += sizeof word) {
		memcpy(&word, bytes + run, sizeof word);
		if (!buf_are_plain(word))
			break;
	}
	while (run < len && buf_is_plain((unsigned char)bytes[run]))
		run++;
	return run;
}

/* A byte that is not plain. */
static void buf_json_special(struct ft_buf *buf, char c)
{
	static const char short_for[] = "\"\\\b\f\n\r\t";
	static const char short_form[] = "\"\\bfnrt";
	unsigned char byte = (unsigned char)c;
	const char *found = c != '\0' ? strchr(short_for, c) : NULL;
	char pair[2] = { '\\', found ? short_form[found - short_for] : '\0' };
	char escape[6] = { '\\', 'u', '0', '0', hex_lower[byte >> 4], hex_lower[byte & 15] };

	if (found)
		ft_buf_bytes(buf, pair, sizeof pair);
	else
		ft_buf_bytes(buf, escape, sizeof escape);
}

void ft_buf_json(struct ft_buf *buf, const char *bytes, size_t len)
{
	size_t before = buf->len;

	ft_buf_char(buf, '"');
	for (size_t i = 0; i < len && !buf->overflow;) {
		size_t run = buf_plain_run(bytes + i, len - i);

		ft_buf_bytes(buf, bytes + i, run);
		i += run;
		if (i < len)
			buf_json_special(buf, bytes[i++]);
	}
	ft_buf_char(buf, '"');
	if (buf->overflow)
		buf_cut(buf, before);
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
