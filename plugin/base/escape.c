/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "base/escape.h"

#include <assert.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/sha256.h"
#include "base/utf8.h"

static const char hex_upper[] = "0123456789ABCDEF";

static bool escape_is_plain(unsigned char byte)
{
	return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
	       (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '-';
}

static void escape_byte(struct ft_buf *buf, unsigned char byte)
{
	char escape[3] = { '%', hex_upper[byte >> 4], hex_upper[byte & 15] };

	ft_buf_bytes(buf, escape, sizeof escape);
}

static void escape_all(struct ft_buf *buf, const char *id, size_t id_len)
{
	bool keep_non_ascii = ft_utf8_valid(id, id_len);

	for (size_t i = 0; i < id_len && ft_buf_ok(buf); i++) {
		unsigned char byte = (unsigned char)id[i];
		bool keep = byte >= 0x80 ? keep_non_ascii : escape_is_plain(byte);

		/* Leading dots are what makes ".", ".." and hidden files. */
		if (keep && !(i == 0 && byte == '.'))
			ft_buf_char(buf, id[i]);
		else
			escape_byte(buf, byte);
	}
}

static void escape_hash_all(struct ft_buf *buf, const char *id, size_t id_len)
{
	struct ft_sha256 digest;
	bool hashed = ft_sha256_of(id, id_len, &digest);

	assert(hashed);
	(void)hashed;
	ft_buf_str(buf, "%sha256-");
	ft_buf_hex(buf, digest.bytes, sizeof digest.bytes);
}

size_t ft_escape(char *name, const char *id, size_t id_len)
{
	return ft_escape_within(name, id, id_len, FT_NAME_ROOM - 1);
}

size_t ft_escape_within(char *name, const char *id, size_t id_len, size_t max)
{
	struct ft_buf buf = ft_buf_on(name, max + 1);

	if (id_len == 0)
		ft_buf_char(&buf, '%');
	escape_all(&buf, id, id_len);
	if (!ft_buf_ok(&buf)) {
		buf = ft_buf_on(name, FT_NAME_ROOM);
		escape_hash_all(&buf, id, id_len);
	}
	assert(ft_buf_ok(&buf) && buf.len <= max);
	return buf.len;
}
