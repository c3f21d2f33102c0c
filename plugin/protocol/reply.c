/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/reply.h"

#include <string.h>

/* [18446744073709551615,18446744073709551615], */
#define LIST_ENTRY_ROOM 44
#define FIXED_ROOM 512
#define ESCAPE_GROWTH 6	/* one byte as \u00XX */

static const char *state_word(enum ft_state state)
{
	switch (state) {
	case FT_STATE_UNSAID:
		break;
	case FT_STATE_NONE:
		return "none";
	case FT_STATE_RECEIVING:
		return "receiving";
	case FT_STATE_ASSEMBLING:
		return "assembling";
	case FT_STATE_COMPLETE:
		return "complete";
	}
	return NULL;
}

size_t ft_reply_room(const struct ft_reply *reply)
{
	size_t room = FIXED_ROOM + ESCAPE_GROWTH * strlen(reply->topic);

	if (reply->detail)
		room += ESCAPE_GROWTH * strlen(reply->detail);
	if (reply->tell_held)
		room += FT_REPLY_LIST_MAX * LIST_ENTRY_ROOM;
	if (reply->tell_missing)
		room += FT_REPLY_LIST_MAX * LIST_ENTRY_ROOM;
	return room;
}

/* A word of ours: nothing in it has to be escaped. */
static void put_word(struct ft_buf *buf, const char *member, const char *word)
{
	ft_buf_str(buf, member);
	ft_buf_str(buf, word);
	ft_buf_char(buf, '"');
}

static void put_range(struct ft_buf *buf, const struct ft_range *range, size_t index)
{
	ft_buf_str(buf, index ? ",[" : "[");
	ft_buf_u64(buf, range->start);
	ft_buf_char(buf, ',');
	ft_buf_u64(buf, range->end - range->start);
	ft_buf_char(buf, ']');
}

/* Returns whether the list was cut. */
static bool put_have(struct ft_buf *buf, const struct ft_reply *reply)
{
	struct ft_range range = { 0, reply->complete_size };
	size_t count = 0;
	bool more;

	ft_buf_str(buf, ",\"have\":[");
	more = reply->held ? ft_ranges_next(reply->held, 0, &range) : range.end > 0;
	while (more && count < FT_REPLY_LIST_MAX) {
		put_range(buf, &range, count++);
		more = reply->held && ft_ranges_next(reply->held, range.end, &range);
	}
	ft_buf_char(buf, ']');
	return more;
}

static bool put_missing(struct ft_buf *buf, const struct ft_reply *reply)
{
	struct ft_range gap;
	size_t count = 0;
	bool more = ft_ranges_next_gap(reply->held, 0, reply->missing_size, &gap);

	ft_buf_str(buf, ",\"missing\":[");
	while (more && count < FT_REPLY_LIST_MAX) {
		put_range(buf, &gap, count++);
		more = ft_ranges_next_gap(reply->held, gap.end, reply->missing_size, &gap);
	}
	ft_buf_char(buf, ']');
	return more;
}

static void put_held(struct ft_buf *buf, const struct ft_reply *reply)
{
	bool cut = false;

	if (reply->tell_held) {
		ft_buf_str(buf, ",\"received\":");
		ft_buf_u64(buf, reply->held ? reply->held->bytes : reply->complete_size);
		cut = put_have(buf, reply);
	}
	if (reply->tell_missing)
		cut |= put_missing(buf, reply);
	if (cut)
		ft_buf_str(buf, ",\"truncated\":true");
}

void ft_reply_write(struct ft_buf *buf, const struct ft_reply *reply)
{
	unsigned retry = reply->retry_after ? reply->retry_after
					    : ft_status_retry_after(reply->status);
	const char *state = state_word(reply->state);

	ft_buf_str(buf, "{\"vsn\":\"0.1\",\"topic\":");
	ft_buf_json(buf, reply->topic, strlen(reply->topic));
	ft_buf_str(buf, ",\"reason_code\":");
	ft_buf_u64(buf, ft_status_code(reply->status));
	put_word(buf, ",\"reason_description\":\"", ft_status_word(reply->status));
	if (state)
		put_word(buf, ",\"state\":\"", state);
	put_held(buf, reply);
	if (retry) {
		ft_buf_str(buf, ",\"retry_after\":");
		ft_buf_u64(buf, retry);
	}
	if (reply->detail && *reply->detail) {
		ft_buf_str(buf, ",\"detail\":");
		ft_buf_json(buf, reply->detail, strlen(reply->detail));
	}
	ft_buf_char(buf, '}');
}
