/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/core.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/system.h"

#define CORE_LOG_ID_MAX 80	/* bytes of an id in a log line */
#define CORE_LOG_ROOM 900
#define CORE_NO_MEMORY_MS 10

static atomic_bool core_is_short;	/* of memory: a thread waits for some */

void ft_core_tell_broker(struct ft_core *core, struct ft_job *job)
{
	ft_queue_push(&core->to_broker, &job->link);
	core->notify(core->context);
}

void ft_core_tell_broker_all(struct ft_core *core, struct ft_list *jobs)
{
	if (!ft_list_first(jobs))
		return;
	ft_queue_push_all(&core->to_broker, jobs);
	core->notify(core->context);
}

void ft_core_tell_writer(struct ft_core *core, struct ft_job *job)
{
	ft_queue_push(&core->to_writer, &job->link);
	ft_log_wake(core->log);
}

void ft_core_submit(struct ft_core *core, enum ft_lane lane, struct ft_job *job)
{
	atomic_fetch_add(&core->outstanding, 1);
	ft_queue_push(&core->lanes[lane], &job->link);
}

enum ft_lane ft_core_finish_lane(const struct ft_core *core, uint64_t size)
{
	return size > FT_SMALL_FILE || core->options->on_complete ? FT_LANE_LARGE : FT_LANE_QUICK;
}

void ft_core_submit_all(struct ft_core *core, enum ft_lane lane, struct ft_list *jobs)
{
	for (const struct ft_link *link = jobs->head.next; link != &jobs->head; link = link->next)
		atomic_fetch_add(&core->outstanding, 1);
	ft_queue_push_all(&core->lanes[lane], jobs);
}

void *ft_core_alloc(size_t size)
{
	void *memory;

	while (!(memory = calloc(1, size)))
		ft_core_wait_for_memory();
	return memory;
}

void ft_core_wait_for_memory(void)
{
	atomic_store(&core_is_short, true);
	ft_sleep_ms(CORE_NO_MEMORY_MS);
}

bool ft_core_was_short_of_memory(void)
{
	return atomic_exchange(&core_is_short, false);
}

bool ft_core_is_published(const struct ft_core *core, struct ft_catalog *catalog,
			  const struct ft_facts *facts, uint64_t size)
{
	char renamed[FT_FILE_NAME_MAX + 1];
	struct ft_publication p = {
		.key = facts->key, .mode = FT_PUBLISH_ASK, .name = facts->meta.name, .size = size,
		.transfer_id = facts->transfer_id,
	};

	if (ft_catalog_find_rename(catalog, facts->transfer_id, renamed) == FT_OK)
		p.name = renamed;
	core->ops->publish(core->store, &p, 1);
	return p.status == FT_OK;
}

enum ft_status ft_core_sync_upload(struct ft_core *core, struct ft_upload *upload)
{
	int64_t start_us = ft_latency_clock_us();
	enum ft_status st = ft_store_sync(upload);

	ft_latency_add(&core->sync, ft_latency_clock_us() - start_us);
	return st;
}

enum ft_status ft_core_sync_catalog(struct ft_core *core, struct ft_catalog *catalog)
{
	int64_t start_us = ft_latency_clock_us();
	enum ft_status st = ft_catalog_sync(catalog);

	ft_latency_add(&core->sync, ft_latency_clock_us() - start_us);
	return st;
}

void ft_core_log(const struct ft_core *core, enum ft_log_level level, const struct ft_key *key,
		 const char *format, ...)
{
	char room[CORE_LOG_ROOM];
	struct ft_buf line = ft_buf_on(room, sizeof room);
	va_list arguments;
	int len;

	ft_buf_str(&line, "client '");
	ft_buf_printable(&line, key->owner, key->owner_len, CORE_LOG_ID_MAX);
	ft_buf_str(&line, "', file '");
	ft_buf_printable(&line, key->file, key->file_len, CORE_LOG_ID_MAX);
	ft_buf_str(&line, "': ");
	va_start(arguments, format);
	len = vsnprintf(room + line.len, sizeof room - line.len, format, arguments);
	va_end(arguments);
	if (len >= 0)
		ft_logger_printf(core->logger, level, "%s", room);
}
