/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Events, on the broker's thread. That a file is complete is told at least once: a finisher puts
 * it into the catalog's outbox in the transaction that makes the file a finished one, and the
 * writer takes it out when it was told in an earlier pass of the broker's loop. What an earlier
 * process left there is told a moment after the start, when who listens has connected again. All
 * others are told as they happen, at most once.
 */
#include "engine/engine_private.h"
#include "engine/events.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"

#define EVENTS_SMALL_ROOM 8192		/* most texts; longer ones are built on the heap */
#define EVENTS_RECONNECT_MS 20000	/* Node-RED waits 15 s before it connects again */
#define EVENTS_AT_ONCE 64

bool engine_tells_events(const struct ft_engine *e)
{
	return e->options->events == FT_EVENTS_ON && !e->closing;
}

static bool events_publish(struct ft_engine *e, const char *topic, const char *text, size_t len)
{
	const struct ft_message message = {
		.topic = topic, .payload = text, .len = len, .json = true, .qos = 1,
	};

	return e->hooks.publish(e->hooks.context, &message);
}

bool engine_tell_event(struct ft_engine *e, const struct ft_event *event)
{
	char topic[FT_EVENT_TOPIC_ROOM], small[EVENTS_SMALL_ROOM];
	size_t room = ft_event_room(event);
	char *large = room > sizeof small ? malloc(room) : NULL;
	struct ft_buf text;
	bool told;

	if (!engine_tells_events(e) || (room > sizeof small && !large))
		return false;
	text = large ? ft_buf_on(large, room) : ft_buf_on(small, sizeof small);
	ft_event_topic(topic, &event->key);
	ft_event_write(&text, event);
	assert(ft_buf_ok(&text));
	told = events_publish(e, topic, text.text, text.len);
	free(large);
	return told;
}

void engine_tell_transfer(struct ft_engine *e, const struct ft_transfer *t,
			  enum ft_event_type type, enum ft_status status)
{
	const struct ft_event event = {
		.type = type, .key = ft_transfer_key(t), .transfer_id = t->transfer_id,
		.name = t->meta->name, .at_ms = ft_clock_unix_ms(), .has_size = t->meta->has_size,
		.size = t->meta->size, .sha256 = t->meta->has_checksum ? &t->meta->checksum : NULL,
		.received = t->held.bytes, .status = status,
	};

	assert(type != FT_EVENT_COMPLETED && type != FT_EVENT_DELETED);
	if (engine_tells_events(e))
		(void)engine_tell_event(e, &event);
}

/* --- the outbox --- */

enum ft_status ft_events_put(struct ft_catalog *catalog, const struct ft_finished *finished,
			     const struct ft_json_text *user_data)
{
	const struct ft_event event = ft_event_of_finished(finished, user_data);
	char topic[FT_EVENT_TOPIC_ROOM];
	size_t room = ft_event_room(&event);
	char *storage = ft_core_alloc(room);
	struct ft_buf text = ft_buf_on(storage, room);
	enum ft_status st;

	ft_event_topic(topic, &event.key);
	ft_event_write(&text, &event);
	assert(ft_buf_ok(&text));
	st = ft_catalog_put_event(catalog, finished->number, topic, text.text, text.len);
	free(storage);
	return st;
}

static struct ft_untold *events_make_untold(uint64_t number, const char *topic, const char *text,
					    size_t len)
{
	size_t topic_len = strlen(topic);
	struct ft_untold *untold = calloc(1, sizeof *untold + topic_len + 1 + len + 1);

	if (!untold)
		return NULL;
	untold->job.kind = FT_JOB_UNTOLD;
	untold->job.number = number;
	ft_link_init(&untold->job.link);
	untold->len = len;
	untold->text = untold->topic + topic_len + 1;
	memcpy(untold->topic, topic, topic_len);
	memcpy(untold->topic + topic_len + 1, text, len);
	return untold;
}

static enum ft_status events_load(void *context, uint64_t number, const char *topic,
				  const char *text, size_t len)
{
	struct ft_engine *e = context;
	struct ft_untold *untold = events_make_untold(number, topic, text, len);

	if (!untold)
		return FT_NO_MEMORY;
	ft_list_push(&e->untold, &untold->job.link);
	return FT_OK;
}

enum ft_status engine_load_events(struct ft_engine *e)
{
	e->untold_ms = e->now_ms + EVENTS_RECONNECT_MS;
	return engine_tells_events(e) ? ft_catalog_each_event(e->core.catalog, events_load, e)
				      : FT_OK;
}

/* Without memory for it, it is told after the next start. */
static void events_keep(struct ft_engine *e, uint64_t number, const struct ft_event *event)
{
	char topic[FT_EVENT_TOPIC_ROOM];
	size_t room = ft_event_room(event);
	char *storage = malloc(room);
	struct ft_buf text;
	struct ft_untold *untold;

	if (!storage)
		return;
	text = ft_buf_on(storage, room);
	ft_event_topic(topic, &event->key);
	ft_event_write(&text, event);
	if ((untold = events_make_untold(number, topic, text.text, text.len)) != NULL)
		ft_list_push(&e->untold, &untold->job.link);
	free(storage);
}

bool engine_tell_completed(struct ft_engine *e, const struct ft_finish *finish,
			   const struct ft_transfer *t)
{
	const struct ft_finished finished = ft_finish_result(finish);
	const struct ft_event event = ft_event_of_finished(&finished,
							   &finish->facts->terms.user_data);

	/* The fin was accepted by an earlier process, to which who listens was connected. */
	if (t && t->fin_us == 0 && e->now_ms < e->untold_ms) {
		events_keep(e, finished.number, &event);
		return false;
	}
	return engine_tell_event(e, &event);
}

void engine_tell_untold(struct ft_engine *e)
{
	struct ft_link *link;

	if (e->now_ms < e->untold_ms || !engine_tells_events(e))
		return;
	for (int i = 0; i < EVENTS_AT_ONCE && (link = ft_list_pop(&e->untold)) != NULL; i++) {
		struct ft_job *job = FT_CONTAINER(link, struct ft_job, link);
		struct ft_untold *untold = FT_CONTAINER(job, struct ft_untold, job);

		untold->told = events_publish(e, untold->topic, untold->text, untold->len);
		engine_return(e, job);
	}
}

int64_t engine_untold_due_ms(const struct ft_engine *e)
{
	return ft_list_first(&e->untold) ? e->untold_ms : INT64_MAX;
}
