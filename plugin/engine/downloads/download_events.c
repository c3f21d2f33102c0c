/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * With option events: $file-event/<client>/<path> says that a download has started (its first
 * block in ten minutes), that all of a file was sent to a client, and what a device reports.
 *
 * What was sent is noted for the last DOWNLOADS_MAX downloads, a bit for each 64 KiB of a file,
 * set by the block that has the last byte of them. Who asks in order, and who asks in blocks of
 * 64 KiB in any order, is told of exactly.
 */
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"
#include "base/system.h"
#include "base/utf8.h"
#include "engine/downloads/downloads.h"
#include "protocol/event.h"

#define DOWNLOADS_MAX 10000
#define DOWNLOADS_TABLE 4096
#define DOWNLOADS_UNIT 65536
#define DOWNLOADS_QUIET_MS ((int64_t)10 * 60 * 1000)
#define DOWNLOADS_TEXT_ROOM 512
#define DOWNLOADS_GROWTH 6		/* of a byte that is escaped in JSON */

/* A content on its way to a client. */
struct download {
	struct ft_link link;		/* in ft_download_events.order */
	struct download *next;		/* in its bucket */
	uint64_t hash, number;		/* of client and path; of the content */
	int64_t last_ms;
	uint64_t units_left;
	uint64_t sent;			/* bytes, those that were asked for again, too */
	size_t charged;
	uint8_t units[];
};

struct ft_download_events {
	struct download *table[DOWNLOADS_TABLE];
	struct ft_list order;		/* used last comes last */
	size_t count;
};

/* What an event is about; texts are borrowed. */
struct download_event {
	const char *word;
	const char *client_id;
	const struct ft_offer *offer;
	uint64_t sent;
	struct ft_json_text members;	/* more of them; len 0: none */
};

/* --- telling --- */

static void download_say(struct ft_buf *text, const struct download_event *event)
{
	char at[FT_RFC3339_ROOM];

	ft_rfc3339(at, ft_clock_unix_ms());
	/* `type` as events of uploads have it; `event` is what it was called at first. */
	ft_buf_printf(text, "{\"type\":\"%s\",\"event\":\"%s\",\"client_id\":", event->word, event->word);
	if (ft_utf8_valid(event->client_id, strlen(event->client_id)))
		ft_buf_json(text, event->client_id, strlen(event->client_id));
	else
		ft_buf_str(text, "null");
	ft_buf_str(text, ",\"at\":\"");
	ft_buf_str(text, at);
	ft_buf_str(text, "\",");
	ft_offer_write(text, event->offer);
	ft_buf_str(text, ",\"sent\":");
	ft_buf_u64(text, event->sent);
	if (event->members.len > 0) {
		ft_buf_str(text, ",\"report\":{");
		ft_buf_bytes(text, event->members.at, event->members.len);
		ft_buf_char(text, '}');
	}
	ft_buf_char(text, '}');
}

static void download_tell(struct ft_engine *e, const struct download_event *event)
{
	size_t room = DOWNLOADS_TEXT_ROOM + DOWNLOADS_GROWTH * strlen(event->client_id)
		      + ft_offer_room(event->offer) + event->members.len;
	char *storage = malloc(room), client[FT_NAME_ROOM];
	char topic_room[sizeof FT_EVENT_PREFIX + FT_NAME_ROOM + FT_OFFER_PATH_MAX];
	struct ft_buf topic = ft_buf_on(topic_room, sizeof topic_room), text;

	if (!storage)
		return;
	text = ft_buf_on(storage, room);
	ft_escape(client, event->client_id, strlen(event->client_id));
	ft_buf_str(&topic, FT_EVENT_PREFIX);
	ft_buf_str(&topic, client);
	ft_buf_char(&topic, '/');
	ft_buf_str(&topic, event->offer->path);
	download_say(&text, event);
	if (ft_buf_ok(&text) && ft_buf_ok(&topic)) {
		const struct ft_message message = {
			.topic = topic_room, .payload = storage, .len = text.len, .json = true, .qos = 1,
		};

		(void)e->hooks.publish(e->hooks.context, &message);
	}
	free(storage);
}

/* --- what was sent --- */

static void download_forget(struct ft_engine *e, struct download *download)
{
	struct download **slot = &e->download_events->table[download->hash % DOWNLOADS_TABLE];

	while (*slot != download)
		slot = &(*slot)->next;
	*slot = download->next;
	ft_link_remove(&download->link);
	e->download_events->count--;
	e->charged -= download->charged;
	free(download);
}

static struct download *download_find(const struct ft_download_events *all, uint64_t hash)
{
	struct download *download = all->table[hash % DOWNLOADS_TABLE];

	while (download && download->hash != hash)
		download = download->next;
	return download;
}

static struct download *download_add(struct ft_engine *e, uint64_t hash, const struct ft_offer *offer)
{
	struct ft_download_events *all = e->download_events;
	uint64_t units = offer->stat.size / DOWNLOADS_UNIT + (offer->stat.size % DOWNLOADS_UNIT > 0);
	struct download *download;
	size_t size;

	if (units / 8 > e->options->max_memory)
		return NULL;
	size = sizeof *download + (size_t)(units / 8) + 1;
	if (all->count == DOWNLOADS_MAX)
		download_forget(e, FT_CONTAINER(ft_list_first(&all->order), struct download, link));
	if (engine_check_memory(e, size) != FT_OK || !(download = calloc(1, size)))
		return NULL;
	e->charged += size;
	download->charged = size;
	download->hash = hash;
	download->number = offer->number;
	download->units_left = units;
	ft_link_init(&download->link);
	ft_list_push(&all->order, &download->link);
	download->next = all->table[hash % DOWNLOADS_TABLE];
	all->table[hash % DOWNLOADS_TABLE] = download;
	all->count++;
	return download;
}

static void download_mark(struct download *download, uint64_t size, uint64_t begin, uint64_t end)
{
	for (uint64_t unit = begin / DOWNLOADS_UNIT; unit * DOWNLOADS_UNIT < end; unit++) {
		uint64_t unit_end = (unit + 1) * DOWNLOADS_UNIT;
		uint8_t bit = (uint8_t)(1 << unit % 8);

		if ((unit_end < size ? unit_end : size) > end || (download->units[unit / 8] & bit))
			continue;
		download->units[unit / 8] |= bit;
		download->units_left--;
	}
}

void engine_note_block(struct ft_engine *e, const char *client_id, const struct ft_offer *offer,
		       uint64_t offset, size_t len)
{
	const struct ft_key key = {
		.owner = client_id, .owner_len = strlen(client_id), .file = offer->path,
		.file_len = strlen(offer->path),
	};
	struct download_event event = { .client_id = client_id, .offer = offer };
	struct download *download;
	uint64_t hash;

	if (!e->download_events)
		return;
	hash = ft_registry_hash(&e->registry, &key);
	download = download_find(e->download_events, hash);
	if (download && (download->number != offer->number
			 || e->now_ms - download->last_ms >= DOWNLOADS_QUIET_MS)) {
		download_forget(e, download);
		download = NULL;
	}
	event.word = "download_started";
	if (!download && !(download = download_add(e, hash, offer)))
		return;
	if (download->last_ms == 0)
		download_tell(e, &event);
	download->last_ms = e->now_ms;
	ft_link_remove(&download->link);
	ft_list_push(&e->download_events->order, &download->link);
	download->sent += len;
	download_mark(download, offer->stat.size, offset, offset + len);
	if (download->units_left > 0)
		return;
	event.word = "download_sent";
	event.sent = download->sent;
	download_tell(e, &event);
	download_forget(e, download);
}

void engine_note_report(struct ft_engine *e, const char *client_id, const struct ft_offer *offer,
			const struct ft_json_text *members)
{
	const struct download_event event = {
		.word = "download_report", .client_id = client_id, .offer = offer, .members = *members,
	};

	if (e->download_events)
		download_tell(e, &event);
}

enum ft_status engine_start_download_events(struct ft_engine *e)
{
	if (!engine_tells_events(e))
		return FT_OK;
	if (!(e->download_events = calloc(1, sizeof *e->download_events)))
		return FT_NO_MEMORY;
	ft_list_init(&e->download_events->order);
	return FT_OK;
}

void engine_release_download_events(struct ft_engine *e)
{
	struct ft_link *link;

	if (!e->download_events)
		return;
	while ((link = ft_list_first(&e->download_events->order)) != NULL)
		download_forget(e, FT_CONTAINER(link, struct download, link));
	free(e->download_events);
	e->download_events = NULL;
}
