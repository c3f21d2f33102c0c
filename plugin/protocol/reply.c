/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/reply.h"

#include <assert.h>
#include <string.h>

/* [18446744073709551615,18446744073709551615], */
#define LIST_ENTRY_ROOM 44
#define FIXED_ROOM 512
#define ESCAPE_GROWTH 6	/* one byte as \u00XX */

static const char *reply_state_word(enum ft_state state)
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

/* What is wrong, in a sentence; "" where nothing is. */
static const char *reply_detail(const struct ft_reply *reply)
{
	if (reply->detail && *reply->detail)
		return reply->detail;
	return reply->status == FT_OK ? "" : ft_status_text(reply->status);
}

size_t ft_reply_room(const struct ft_reply *reply)
{
	size_t room = FIXED_ROOM
		      + ESCAPE_GROWTH * (strlen(reply->topic) + strlen(reply_detail(reply)));

	if (reply->tell_held)
		room += FT_REPLY_LIST_MAX * LIST_ENTRY_ROOM;
	if (reply->tell_missing)
		room += FT_REPLY_LIST_MAX * LIST_ENTRY_ROOM;
	return room + reply->more.len;
}

/* A word of ours: nothing in it has to be escaped. */
static void reply_word(struct ft_buf *buf, const char *member, const char *word)
{
	ft_buf_str(buf, member);
	ft_buf_str(buf, word);
	ft_buf_char(buf, '"');
}

static void reply_range(struct ft_buf *buf, const struct ft_range *range, size_t index)
{
	ft_buf_str(buf, index ? ",[" : "[");
	ft_buf_u64(buf, range->start);
	ft_buf_char(buf, ',');
	ft_buf_u64(buf, range->end - range->start);
	ft_buf_char(buf, ']');
}

/* Returns whether the list was cut. */
static bool reply_have(struct ft_buf *buf, const struct ft_reply *reply)
{
	struct ft_range range = { 0, reply->complete_size };
	size_t count = 0;
	bool more;

	ft_buf_str(buf, ",\"have\":[");
	more = reply->held ? ft_ranges_next(reply->held, 0, &range) : range.end > 0;
	while (more && count < FT_REPLY_LIST_MAX) {
		reply_range(buf, &range, count++);
		more = reply->held && ft_ranges_next(reply->held, range.end, &range);
	}
	ft_buf_char(buf, ']');
	return more;
}

static bool reply_missing(struct ft_buf *buf, const struct ft_reply *reply)
{
	struct ft_range gap;
	size_t count = 0;
	bool more;

	assert(reply->held);
	more = ft_ranges_next_gap(reply->held, 0, reply->missing_size, &gap);
	ft_buf_str(buf, ",\"missing\":[");
	while (more && count < FT_REPLY_LIST_MAX) {
		reply_range(buf, &gap, count++);
		more = ft_ranges_next_gap(reply->held, gap.end, reply->missing_size, &gap);
	}
	ft_buf_char(buf, ']');
	return more;
}

static void reply_held(struct ft_buf *buf, const struct ft_reply *reply)
{
	bool cut = false;

	if (reply->tell_held) {
		ft_buf_str(buf, ",\"received\":");
		ft_buf_u64(buf, reply->held ? reply->held->bytes : reply->complete_size);
		cut = reply_have(buf, reply);
	}
	if (reply->tell_missing)
		cut |= reply_missing(buf, reply);
	if (cut)
		ft_buf_str(buf, ",\"truncated\":true");
}

void ft_reply_write(struct ft_buf *buf, const struct ft_reply *reply)
{
	unsigned retry = reply->retry_after ? reply->retry_after
					    : ft_status_retry_after(reply->status);
	const char *state = reply_state_word(reply->state);
	const char *detail = reply_detail(reply);

	ft_buf_str(buf, "{\"vsn\":\"0.1\",\"topic\":");
	ft_buf_json(buf, reply->topic, strlen(reply->topic));
	ft_buf_str(buf, ",\"reason_code\":");
	ft_buf_u64(buf, ft_status_code(reply->status));
	reply_word(buf, ",\"reason_description\":\"", ft_status_word(reply->status));
	if (state)
		reply_word(buf, ",\"state\":\"", state);
	reply_held(buf, reply);
	if (reply->more.len > 0) {
		ft_buf_char(buf, ',');
		ft_buf_bytes(buf, reply->more.at, reply->more.len);
	}
	if (retry) {
		ft_buf_str(buf, ",\"retry_after\":");
		ft_buf_u64(buf, retry);
	}
	if (*detail) {
		ft_buf_str(buf, ",\"detail\":");
		ft_buf_json(buf, detail, strlen(detail));
	}
	ft_buf_char(buf, '}');
}
