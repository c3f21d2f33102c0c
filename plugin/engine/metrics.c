/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/metrics.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/system.h"
#include "engine/engine_private.h"
#include "file_transfer/version.h"

#define METRICS_WINDOW_MS 60000

#define AT(field) offsetof(struct ft_metrics, field)

/* docs/operate.md has a line for each: tests/e2e/test_metrics.py compares. */
static const struct {
	const char *topic;
	size_t at;			/* a uint64_t */
} metrics_table[] = {
	{ "transfers/active", AT(active) },
	{ "transfers/assembling", AT(assembling) },
	{ "transfers/oldest", AT(oldest_s) },
	{ "transfers/completed", AT(completed) },
	{ "transfers/aborted", AT(aborted) },
	{ "transfers/expired", AT(expired) },
	{ "transfers/resumed", AT(resumed) },
	{ "transfers/skipped", AT(skipped) },
	{ "files/deleted", AT(deleted) },
	{ "segments/received", AT(segments) },
	{ "bytes/received", AT(bytes_received) },
	{ "bytes/duplicate", AT(bytes_duplicate) },
	{ "bytes/stored", AT(bytes_stored) },
	{ "downloads/offered", AT(offered) },
	{ "downloads/blocks", AT(blocks) },
	{ "downloads/bytes", AT(block_bytes) },
	{ "downloads/cached", AT(blocks_cached) },
	{ "downloads/absent", AT(blocks_absent) },
	{ "jobs/documents", AT(job_documents) },
	{ "jobs/updates", AT(job_updates) },
	{ "jobs/started", AT(jobs_started) },
	{ "jobs/succeeded", AT(jobs_succeeded) },
	{ "jobs/failed", AT(jobs_failed) },
	{ "log/size", AT(log_size) },
	{ "log/fill", AT(log_fill) },
	{ "log/longest-wait", AT(room_max_us) },
	{ "store/waiting", AT(store_waiting) },
	{ "store/put-off", AT(store_put_off) },
	{ "queues/broker", AT(queue_broker) },
	{ "queues/writer", AT(queue_writer) },
	{ "queues/quick", AT(queue_quick) },
	{ "queues/large", AT(queue_large) },
	{ "queues/background", AT(queue_background) },
	{ "latency/fin/p50", AT(fin_p50_us) },
	{ "latency/fin/p99", AT(fin_p99_us) },
	{ "latency/fsync/p50", AT(sync_p50_us) },
	{ "latency/fsync/p99", AT(sync_p99_us) },
	{ "disk/free", AT(disk_free) },
	{ "memory/used", AT(memory_used) },
	{ "quota/used", AT(quota_used) },
};

/* Those by word: one topic for all statuses that clients know by the same word. */
static const struct {
	const char *topic;
	size_t at;			/* uint64_t[FT_STATUS_COUNT] */
} metrics_by_word[] = {
	{ "transfers/failed/", AT(failed) },
	{ "refusals/", AT(refused) },
};

#define METRICS_COUNT (sizeof metrics_table / sizeof metrics_table[0])
#define METRICS_BY_WORD (sizeof metrics_by_word / sizeof metrics_by_word[0])

_Static_assert(METRICS_COUNT <= FT_METRICS_FIXED_MAX, "raise FT_METRICS_FIXED_MAX");
_Static_assert(FT_METRICS_FIXED_MAX + METRICS_BY_WORD * FT_STATUS_COUNT == FT_METRICS_MAX,
	       "each metric has an index of its own");

void ft_metrics_init(struct ft_metrics *metrics)
{
	memset(metrics, 0, sizeof *metrics);
	memset(metrics->said, 0xff, sizeof metrics->said);
}

static const uint64_t *metrics_at(const struct ft_metrics *metrics, size_t at)
{
	return (const uint64_t *)(const void *)((const char *)metrics + at);
}

/* The first status that clients know by the same word. */
static size_t metrics_first_of_word(size_t status)
{
	size_t first = 0;

	while (strcmp(ft_status_word((enum ft_status)first),
		      ft_status_word((enum ft_status)status)) != 0)
		first++;
	return first;
}

static void metrics_each_word(const struct ft_metrics *metrics, size_t row,
			      void (*visit)(void *context, const struct ft_metric *metric),
			      void *context)
{
	const uint64_t *counts = metrics_at(metrics, metrics_by_word[row].at);
	uint64_t sums[FT_STATUS_COUNT] = { 0 };

	for (size_t i = 0; i < FT_STATUS_COUNT; i++)
		if (counts[i] > 0)
			sums[metrics_first_of_word(i)] += counts[i];
	for (size_t i = 0; i < FT_STATUS_COUNT; i++) {
		char room[FT_METRICS_TOPIC_ROOM];
		struct ft_buf topic = ft_buf_on(room, sizeof room);
		const struct ft_metric metric = {
			.index = FT_METRICS_FIXED_MAX + row * FT_STATUS_COUNT + i, .topic = room,
			.value = sums[i],
		};

		if (sums[i] == 0)
			continue;
		ft_buf_str(&topic, metrics_by_word[row].topic);
		ft_buf_str(&topic, ft_status_word((enum ft_status)i));
		visit(context, &metric);
	}
}

void ft_metrics_each(const struct ft_metrics *metrics,
		     void (*visit)(void *context, const struct ft_metric *metric), void *context)
{
	for (size_t i = 0; i < METRICS_COUNT; i++) {
		const struct ft_metric metric = {
			.index = i, .topic = metrics_table[i].topic,
			.value = *metrics_at(metrics, metrics_table[i].at),
		};

		visit(context, &metric);
	}
	for (size_t i = 0; i < METRICS_BY_WORD; i++)
		metrics_each_word(metrics, i, visit, context);
}

/* --- what is found --- */

static void metrics_take_latencies(struct ft_engine *e)
{
	struct ft_metrics *m = &e->metrics;

	m->fin_p50_us = ft_latency_percentile(&m->fin_window, &m->fin, 50);
	m->fin_p99_us = ft_latency_percentile(&m->fin_window, &m->fin, 99);
	m->sync_p50_us = ft_latency_percentile(&m->sync_window, &e->core.sync, 50);
	m->sync_p99_us = ft_latency_percentile(&m->sync_window, &e->core.sync, 99);
	m->room_max_us = ft_latency_percentile(&m->room_window, &m->room, 100);
	if (e->now_ms < m->window_ms)
		return;
	m->window_ms = e->now_ms + METRICS_WINDOW_MS;
	ft_latency_turn(&m->fin_window, &m->fin);
	ft_latency_turn(&m->sync_window, &e->core.sync);
	ft_latency_turn(&m->room_window, &m->room);
}

/* The wall clock may have been set back since. */
static uint64_t metrics_oldest_s(const struct ft_engine *e)
{
	struct ft_link *first = ft_list_first(&e->registry.by_age);
	int64_t age_ms = first ? ft_clock_unix_ms()
				 - FT_CONTAINER(first, struct ft_transfer, by_age)->begun_ms : 0;

	return age_ms > 0 ? (uint64_t)age_ms / 1000 : 0;
}

void engine_take_metrics(struct ft_engine *e)
{
	struct ft_metrics *m = &e->metrics;
	const size_t *states = e->registry.states;

	m->active = e->registry.count - states[FT_TRANSFER_CONFLICT];
	m->assembling = states[FT_TRANSFER_ASSEMBLING] + states[FT_TRANSFER_ABORTING];
	m->oldest_s = metrics_oldest_s(e);
	m->log_size = ft_log_size(e->core.log);
	m->log_fill = ft_log_fill(e->core.log);
	m->store_waiting = atomic_load(&e->core.later);
	m->store_put_off = atomic_load(&e->core.later_total);
	m->queue_broker = ft_queue_count(&e->core.to_broker);
	m->queue_writer = ft_queue_count(&e->core.to_writer);
	m->queue_quick = ft_queue_count(&e->core.lanes[FT_LANE_QUICK]);
	m->queue_large = ft_queue_count(&e->core.lanes[FT_LANE_LARGE]);
	m->queue_background = ft_queue_count(&e->core.lanes[FT_LANE_BACKGROUND]);
	m->disk_free = e->space_known ? e->space.bytes : 0;
	m->memory_used = e->registry.bytes + e->charged;
	m->quota_used = engine_used_bytes(e);
	metrics_take_latencies(e);
}

/* --- publish --- */

static bool metrics_say(struct ft_engine *e, const char *topic, const char *text, size_t len)
{
	char room[sizeof FT_METRICS_PREFIX + FT_METRICS_TOPIC_ROOM];
	struct ft_buf whole = ft_buf_on(room, sizeof room);
	const struct ft_message message = {
		.topic = room, .payload = text, .len = len, .retain = true,
	};

	ft_buf_str(&whole, FT_METRICS_PREFIX);
	ft_buf_str(&whole, topic);
	assert(ft_buf_ok(&whole));
	return e->hooks.publish(e->hooks.context, &message);
}

static void metrics_publish_one(void *context, const struct ft_metric *metric)
{
	struct ft_engine *e = context;
	char room[24];
	struct ft_buf text = ft_buf_on(room, sizeof room);

	if (metric->value == e->metrics.said[metric->index])
		return;
	ft_buf_u64(&text, metric->value);
	if (metrics_say(e, metric->topic, room, text.len))
		e->metrics.said[metric->index] = metric->value;
}

int64_t engine_metrics_due_ms(const struct ft_engine *e)
{
	return e->options->sys_interval > 0 ? e->metrics.publish_ms : INT64_MAX;
}

void engine_publish_metrics(struct ft_engine *e)
{
	if (e->now_ms < engine_metrics_due_ms(e))
		return;
	if (e->metrics.publish_ms == 0)
		(void)metrics_say(e, "version", FT_VERSION, strlen(FT_VERSION));
	e->metrics.publish_ms = e->now_ms + (int64_t)e->options->sys_interval * 1000;
	engine_take_metrics(e);
	ft_metrics_each(&e->metrics, metrics_publish_one, e);
}
