/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "base/cbor.h"

#include <string.h>

#include "base/utf8.h"

#define CBOR_BREAK 0xff
#define CBOR_KEY_ROOM 16

/* Lower five bits of a head, where they are more than a small number. */
enum cbor_info {
	CBOR_FALSE = 20,
	CBOR_NULL = 22,
	CBOR_UNDEFINED = 23,
	CBOR_ONE_BYTE = 24,
	CBOR_EIGHT_BYTES = 27,
	CBOR_INDEFINITE = 31,
};

struct cbor_head {
	enum ft_cbor_major major;
	unsigned info;
	uint64_t number;
};

/* --- skipping: each returns where a thing ends, or NULL where there is none --- */

static const uint8_t *cbor_read_head(struct cbor_head *head, const uint8_t *at, const uint8_t *end)
{
	size_t more;

	if (at == end)
		return NULL;
	head->major = (enum ft_cbor_major)(*at >> 5);
	head->info = *at++ & 31;
	head->number = head->info;
	if (head->info < CBOR_ONE_BYTE || head->info == CBOR_INDEFINITE)
		return at;
	more = (size_t)1 << (head->info - CBOR_ONE_BYTE);
	if (head->info > CBOR_EIGHT_BYTES || (size_t)(end - at) < more)
		return NULL;
	for (head->number = 0; more > 0; more--)
		head->number = head->number << 8 | *at++;
	return at;
}

/* `at` is behind the head of a string of known length. */
static const uint8_t *cbor_skip_chunk(const struct cbor_head *head, const uint8_t *at,
				      const uint8_t *end)
{
	if (head->number > (size_t)(end - at))
		return NULL;
	if (head->major == FT_CBOR_MAJOR_TEXT
	    && !ft_utf8_valid((const char *)at, (size_t)head->number))
		return NULL;
	return at + head->number;
}

/* Chunks of the same kind, each of known length, until a break (RFC 8949 section 3.2.3). */
static const uint8_t *cbor_skip_string(const struct cbor_head *head, const uint8_t *at,
				       const uint8_t *end)
{
	struct cbor_head chunk;

	if (head->info != CBOR_INDEFINITE)
		return cbor_skip_chunk(head, at, end);
	while (at && at < end && *at != CBOR_BREAK) {
		at = cbor_read_head(&chunk, at, end);
		if (!at || chunk.major != head->major || chunk.info == CBOR_INDEFINITE)
			return NULL;
		at = cbor_skip_chunk(&chunk, at, end);
	}
	return at && at < end ? at + 1 : NULL;
}

static const uint8_t *cbor_skip(const uint8_t *at, const uint8_t *end, unsigned depth);

static const uint8_t *cbor_skip_some(const uint8_t *at, const uint8_t *end, size_t count,
				     unsigned depth)
{
	while (at && count-- > 0)
		at = cbor_skip(at, end, depth);
	return at;
}

/* What is in an array or a map. Every item has a byte at least, so that counts are bounded. */
static const uint8_t *cbor_skip_nest(const struct cbor_head *head, const uint8_t *at,
				     const uint8_t *end, unsigned depth)
{
	size_t each = head->major == FT_CBOR_MAJOR_MAP ? 2 : 1;

	if (depth == 0)
		return NULL;
	if (head->info != CBOR_INDEFINITE)
		return head->number > (size_t)(end - at) / each
			       ? NULL
			       : cbor_skip_some(at, end, (size_t)head->number * each, depth - 1);
	while (at && at < end && *at != CBOR_BREAK)
		at = cbor_skip_some(at, end, each, depth - 1);
	return at && at < end ? at + 1 : NULL;
}

/* One item, in which at most `depth` arrays and maps are in each other: so deep it recurs. */
static const uint8_t *cbor_skip(const uint8_t *at, const uint8_t *end, unsigned depth)
{
	struct cbor_head head;

	if (!(at = cbor_read_head(&head, at, end)))
		return NULL;
	switch (head.major) {
	case FT_CBOR_MAJOR_UINT:
	case FT_CBOR_MAJOR_NEGATIVE:
		return head.info != CBOR_INDEFINITE ? at : NULL;
	case FT_CBOR_MAJOR_BYTES:
	case FT_CBOR_MAJOR_TEXT:
		return cbor_skip_string(&head, at, end);
	case FT_CBOR_MAJOR_ARRAY:
	case FT_CBOR_MAJOR_MAP:
		return cbor_skip_nest(&head, at, end, depth);
	case FT_CBOR_MAJOR_SIMPLE:
		return head.info >= CBOR_FALSE && head.info <= CBOR_UNDEFINED ? at : NULL;
	case FT_CBOR_MAJOR_TAG:
	default:
		return NULL;
	}
}

/* --- reading --- */

bool ft_cbor_integer(const struct ft_cbor_item *value, int64_t *integer)
{
	struct cbor_head head;

	if (!cbor_read_head(&head, value->at, value->at + value->len) || head.number > INT64_MAX)
		return false;
	*integer = head.major == FT_CBOR_MAJOR_NEGATIVE ? -1 - (int64_t)head.number
							: (int64_t)head.number;
	return head.major == FT_CBOR_MAJOR_UINT || head.major == FT_CBOR_MAJOR_NEGATIVE;
}

static bool cbor_take(struct ft_cbor_item *from, uint8_t **to, size_t *room, uint64_t len)
{
	if (len > *room)
		return false;
	memcpy(*to, from->at, (size_t)len);
	from->at += len;
	*to += len;
	*room -= (size_t)len;
	return true;
}

bool ft_cbor_string(const struct ft_cbor_item *value, enum ft_cbor_major major, void *to,
		    size_t room, size_t *len)
{
	const uint8_t *end = value->at + value->len;
	struct ft_cbor_item from = *value;
	uint8_t *begin = to, *at = to;
	struct cbor_head head;

	if (!(from.at = cbor_read_head(&head, from.at, end)) || head.major != major)
		return false;
	if (head.info != CBOR_INDEFINITE) {
		if (!cbor_take(&from, &at, &room, head.number))
			return false;
	} else {
		while (*from.at != CBOR_BREAK)
			if (!(from.at = cbor_read_head(&head, from.at, end))
			    || !cbor_take(&from, &at, &room, head.number))
				return false;
	}
	*len = (size_t)(at - begin);
	return true;
}

static void cbor_keep(struct ft_cbor_member *members, size_t count, const struct ft_cbor_item *key,
		      const struct ft_cbor_item *value)
{
	const uint8_t null = FT_CBOR_MAJOR_SIMPLE << 5 | CBOR_NULL;
	const uint8_t undefined = FT_CBOR_MAJOR_SIMPLE << 5 | CBOR_UNDEFINED;
	char text[CBOR_KEY_ROOM];
	size_t len;

	if (*value->at == null || *value->at == undefined
	    || !ft_cbor_string(key, FT_CBOR_MAJOR_TEXT, text, sizeof text, &len))
		return;
	for (size_t i = 0; i < count; i++)
		if (members[i].value.len == 0 && strlen(members[i].key) == len
		    && memcmp(members[i].key, text, len) == 0)
			members[i].value = *value;
}

enum ft_cbor_shape ft_cbor_find(const void *bytes, size_t len, struct ft_cbor_member *members,
				size_t count)
{
	const uint8_t *at = bytes, *end = at + len;
	struct cbor_head head;
	uint64_t left;

	for (size_t i = 0; i < count; i++)
		members[i].value = (struct ft_cbor_item){ .at = NULL };
	if (len == 0 || cbor_skip(at, end, FT_CBOR_DEPTH_MAX) != end)
		return FT_CBOR_BROKEN;
	at = cbor_read_head(&head, at, end);
	if (head.major != FT_CBOR_MAJOR_MAP)
		return FT_CBOR_NO_MAP;
	left = head.info != CBOR_INDEFINITE ? head.number : UINT64_MAX;
	for (; left > 0 && at < end && *at != CBOR_BREAK; left--) {
		struct ft_cbor_item key = { .at = at }, value;

		value.at = cbor_skip(at, end, FT_CBOR_DEPTH_MAX);
		key.len = (size_t)(value.at - at);
		at = cbor_skip(value.at, end, FT_CBOR_DEPTH_MAX);
		value.len = (size_t)(at - value.at);
		cbor_keep(members, count, &key, &value);
	}
	return FT_CBOR_MAP;
}

/* --- writing --- */

void ft_cbor_put(struct ft_buf *to, enum ft_cbor_major major, uint64_t number)
{
	size_t more = number < CBOR_ONE_BYTE ? 0 : number <= UINT8_MAX ? 1
		    : number <= UINT16_MAX ? 2 : number <= UINT32_MAX ? 4 : 8;
	unsigned info = CBOR_ONE_BYTE;
	char head[9];

	for (size_t i = more; i > 1; i /= 2)
		info++;
	if (more == 0)
		info = (unsigned)number;
	head[0] = (char)((unsigned)major << 5 | info);
	for (size_t i = more; i > 0; i--, number >>= 8)
		head[i] = (char)(number & 0xff);
	ft_buf_bytes(to, head, more + 1);
}

void ft_cbor_put_text(struct ft_buf *to, const char *text, size_t len)
{
	ft_cbor_put(to, FT_CBOR_MAJOR_TEXT, len);
	ft_buf_bytes(to, text, len);
}
