/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What has become of a transfer or a finished file, told to whoever subscribes: the topic
 * $file-event/{client}/{file}, whose levels are the names that base/escape.h makes of the ids,
 * as under files/; and a JSON object.
 *
 *	ft_event_topic(topic, &event.key);
 *	char *room = malloc(ft_event_room(&event));
 *	ft_event_write(&buf_on_room, &event);
 *
 * The same facts make the same text, and so the same `id`: who hears of an event twice can
 * tell. Threads: any; nothing is shared.
 */
#ifndef FT_PROTOCOL_EVENT_H
#define FT_PROTOCOL_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/escape.h"
#include "file_transfer/status.h"
#include "protocol/facts.h"

#define FT_EVENT_PREFIX "$file-event/"
#define FT_EVENT_TOPIC_ROOM (sizeof FT_EVENT_PREFIX + 2 * (size_t)FT_NAME_ROOM)

enum ft_event_type {
	FT_EVENT_STARTED,
	FT_EVENT_RESUMED,	/* begun again, with bytes that are held */
	FT_EVENT_COMPLETED,	/* the file is visible */
	FT_EVENT_FAILED,	/* its fin; the bytes are held, and another fin may succeed */
	FT_EVENT_ABORTED,
	FT_EVENT_EXPIRED,	/* unfinished, without news for too long */
	FT_EVENT_DELETED,	/* a finished file, by the plugin */
	FT_EVENT_TYPES
};

/* Everything is borrowed. */
struct ft_event {
	enum ft_event_type type;
	struct ft_key key;
	const char *transfer_id;
	const char *name;
	int64_t at_ms;			/* Unix ms */
	bool has_size;			/* of the file; before it is complete, as announced */
	uint64_t size;
	const struct ft_sha256 *sha256;	/* of the file; the same; NULL: not known */
	uint64_t received;		/* bytes held, of an unfinished transfer */
	enum ft_status status;		/* FAILED: why */
	struct ft_json_text user_data;	/* COMPLETED */
};

void ft_event_topic(char topic[FT_EVENT_TOPIC_ROOM], const struct ft_key *key);

/* Room that the text fits in. */
size_t ft_event_room(const struct ft_event *event);

/* Appends the JSON text. */
void ft_event_write(struct ft_buf *buf, const struct ft_event *event);

/* Of a file that has become visible. */
struct ft_event ft_event_of_finished(const struct ft_finished *finished,
				     const struct ft_json_text *user_data);

#endif
