/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/event.h"

#include <assert.h>
#include <string.h>

#include "base/system.h"
#include "base/utf8.h"

#define EVENT_FIXED_ROOM 1024
#define EVENT_ESCAPE_GROWTH 6	/* one byte as \u00XX */

/* What a type's text has besides what all have. */
enum event_part {
	EVENT_FILE = 1,		/* the file is there, or was: its path */
	EVENT_RECEIVED = 2,
	EVENT_REASON = 4,
};

static const struct {
	const char *word;
	unsigned parts;
} event_types[FT_EVENT_TYPES] = {
	[FT_EVENT_STARTED] = { "started", EVENT_RECEIVED },
	[FT_EVENT_RESUMED] = { "resumed", EVENT_RECEIVED },
	[FT_EVENT_COMPLETED] = { "completed", EVENT_FILE },
	[FT_EVENT_FAILED] = { "failed", EVENT_RECEIVED | EVENT_REASON },
	[FT_EVENT_ABORTED] = { "aborted", EVENT_RECEIVED },
	[FT_EVENT_EXPIRED] = { "expired", EVENT_RECEIVED },
	[FT_EVENT_DELETED] = { "deleted", EVENT_FILE },
};

void ft_event_topic(char topic[FT_EVENT_TOPIC_ROOM], const struct ft_key *key)
{
	char name[FT_NAME_ROOM];
	struct ft_buf buf = ft_buf_on(topic, FT_EVENT_TOPIC_ROOM);

	ft_buf_str(&buf, FT_EVENT_PREFIX);
	ft_escape(name, key->owner, key->owner_len);
	ft_buf_str(&buf, name);
	ft_buf_char(&buf, '/');
	ft_escape(name, key->file, key->file_len);
	ft_buf_str(&buf, name);
	assert(ft_buf_ok(&buf));
}

size_t ft_event_room(const struct ft_event *event)
{
	/* The name comes twice, and the path has two names more. */
	return EVENT_FIXED_ROOM + event->user_data.len
	       + EVENT_ESCAPE_GROWTH * (event->key.owner_len + event->key.file_len
					+ 2 * strlen(event->name) + 2 * (size_t)FT_NAME_ROOM);
}

static void event_string(struct ft_buf *buf, const char *member, const char *text)
{
	ft_buf_str(buf, member);
	ft_buf_json(buf, text, strlen(text));
}

static void event_number(struct ft_buf *buf, const char *member, uint64_t number)
{
	ft_buf_str(buf, member);
	ft_buf_u64(buf, number);
}

static void event_hex(struct ft_buf *buf, const char *member, const void *bytes, size_t len)
{
	ft_buf_str(buf, member);
	ft_buf_char(buf, '"');
	ft_buf_hex(buf, bytes, len);
	ft_buf_char(buf, '"');
}

/* JSON strings are UTF-8; an id that is not goes in as hex, as in a manifest. */
static void event_id(struct ft_buf *buf, const char *member, const char *hex_member, const char *id,
		     size_t len)
{
	if (!ft_utf8_valid(id, len)) {
		event_hex(buf, hex_member, id, len);
		return;
	}
	ft_buf_str(buf, member);
	ft_buf_json(buf, id, len);
}

/* Below storage_dir. */
static void event_path(struct ft_buf *buf, const struct ft_event *event)
{
	char room[FT_EVENT_TOPIC_ROOM + 2 * FT_FILE_NAME_MAX];
	char topic[FT_EVENT_TOPIC_ROOM];
	struct ft_buf path = ft_buf_on(room, sizeof room);

	ft_event_topic(topic, &event->key);
	ft_buf_str(&path, "files/");
	ft_buf_str(&path, topic + strlen(FT_EVENT_PREFIX));
	ft_buf_char(&path, '/');
	ft_buf_str(&path, event->name);
	assert(ft_buf_ok(&path));
	event_string(buf, ",\"path\":", room);
}

static void event_facts(struct ft_buf *buf, const struct ft_event *event)
{
	unsigned parts = event_types[event->type].parts;

	if (event->has_size)
		event_number(buf, ",\"size\":", event->size);
	if (event->sha256)
		event_hex(buf, ",\"sha256\":", event->sha256->bytes, FT_SHA256_LEN);
	if (parts & EVENT_FILE)
		event_path(buf, event);
	if (parts & EVENT_RECEIVED)
		event_number(buf, ",\"received\":", event->received);
	if (parts & EVENT_REASON) {
		event_number(buf, ",\"reason_code\":", ft_status_code(event->status));
		event_string(buf, ",\"reason_description\":", ft_status_word(event->status));
	}
	if (event->user_data.len > 0) {
		ft_buf_str(buf, ",\"user_data\":");
		ft_buf_bytes(buf, event->user_data.at, event->user_data.len);
	}
}

void ft_event_write(struct ft_buf *buf, const struct ft_event *event)
{
	char at[FT_RFC3339_ROOM];

	assert(event->type < FT_EVENT_TYPES && event->key.file_len > 0);
	ft_rfc3339(at, event->at_ms);
	ft_buf_printf(buf, "{\"vsn\":\"0.1\",\"id\":\"%s-%s-%lld\",\"type\":\"%s\"", event->transfer_id,
		      event_types[event->type].word, (long long)event->at_ms,
		      event_types[event->type].word);
	event_string(buf, ",\"at\":", at);
	event_id(buf, ",\"client_id\":", ",\"client_id_hex\":", event->key.owner,
		 event->key.owner_len);
	event_id(buf, ",\"file_id\":", ",\"file_id_hex\":", event->key.file, event->key.file_len);
	event_string(buf, ",\"transfer_id\":", event->transfer_id);
	event_string(buf, ",\"name\":", event->name);
	event_facts(buf, event);
	ft_buf_char(buf, '}');
}

struct ft_event ft_event_of_finished(const struct ft_finished *finished,
				     const struct ft_json_text *user_data)
{
	const struct ft_event event = {
		.type = FT_EVENT_COMPLETED, .key = finished->key,
		.transfer_id = finished->transfer_id, .name = finished->name,
		.at_ms = finished->completed_ms, .has_size = true, .size = finished->size,
		.sha256 = &finished->checksum, .user_data = *user_data,
	};

	return event;
}
