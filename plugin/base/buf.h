/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A bounded text buffer: append, never overflow, check once at the end.
 *
 *	char room[FT_PATH_MAX];
 *	struct ft_buf path = ft_buf_on(room, sizeof room);
 *	ft_buf_str(&path, "incoming/");
 *	ft_buf_bytes(&path, key->client, key->client_len);
 *	if (!ft_buf_ok(&path)) return FT_INTERNAL_ERROR;
 *	use(path.text);
 *
 * Storage belongs to the caller. What does not fit is left out and remembered:
 * after that every append is ignored and ft_buf_ok() is false. `text` is always
 * NUL-terminated. Threads: the owner's.
 */
#ifndef FT_BASE_BUF_H
#define FT_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct ft_buf {
	char *text;
	size_t len;	/* bytes, without the NUL */
	size_t room;	/* size of `text`, NUL included; at least 1 */
	bool overflow;
};

/* An empty buffer on `room` bytes at `storage`, room >= 1. */
struct ft_buf ft_buf_on(char *storage, size_t room);

void ft_buf_bytes(struct ft_buf *buf, const void *bytes, size_t len);

/* Inline, so that the length of a literal is known when it is compiled. */
static inline void ft_buf_str(struct ft_buf *buf, const char *text)
{
	ft_buf_bytes(buf, text, strlen(text));
}

void ft_buf_char(struct ft_buf *buf, char c);
void ft_buf_u64(struct ft_buf *buf, uint64_t number);
void ft_buf_hex(struct ft_buf *buf, const uint8_t *bytes, size_t len);	/* lower case */
__attribute__((format(printf, 2, 3)))
void ft_buf_printf(struct ft_buf *buf, const char *format, ...);

/* Appends a JSON string with its quotes; `bytes` must be valid UTF-8. */
void ft_buf_json(struct ft_buf *buf, const char *bytes, size_t len);

/*
 * Appends the first `limit` of untrusted bytes for a log line: control and non-ASCII
 * bytes as \xNN, "..." where more follow. Keeps what fits, other than the rest.
 */
void ft_buf_printable(struct ft_buf *buf, const char *bytes, size_t len, size_t limit);

/* Whether all that was appended is there. */
bool ft_buf_ok(const struct ft_buf *buf);

#endif
