/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What time brings: transfers expire, news is noted, refusals are summed up. */
#include "engine/engine_private.h"

#include <inttypes.h>

#define TIMERS_EXPIRIES_MAX 64		/* per call: each is a record in the log */
#define TIMERS_NO_MEMORY_MS 60000	/* it is said that often */
#define TIMERS_NEWS_MS 60000		/* news without other records is logged that often */

uint64_t engine_available(const struct ft_engine *e)
{
	uint64_t kept = e->options->min_free_space + e->appended;

	if (atomic_load(&e->core.disk_full))
		return 0;
	if (!e->space_known)
		return UINT64_MAX;
	return e->space.bytes > kept ? e->space.bytes - kept : 0;
}

bool engine_lacks_inodes(const struct ft_engine *e)
{
	return e->space_known && e->space.files < ENGINE_MIN_INODES
	       && e->options->min_free_space > 0;
}

uint64_t engine_ttl_s(const struct ft_engine *e, uint64_t asked_s)
{
	const struct ft_options *o = e->options;

	if (asked_s == 0)
		return o->segments_ttl;
	if (asked_s < o->segments_ttl_min)
		return o->segments_ttl_min;
	return asked_s < o->segments_ttl_max ? asked_s : o->segments_ttl_max;
}

void engine_note_news(struct ft_engine *e, struct ft_transfer *t)
{
	t->news_ms = e->now_ms;
	if (e->now_ms - t->logged_news_ms < TIMERS_NEWS_MS)
		return;
	/* Without room in the log it is noted with the next command. */
	if (engine_append_plain(e, FT_RECORD_NEWS, t->number, 0) == FT_OK)
		t->logged_news_ms = e->now_ms;
}

static bool timers_may_expire(const struct ft_transfer *t)
{
	return t->state == FT_TRANSFER_RECEIVING || t->state == FT_TRANSFER_CONFLICT;
}

static void timers_visit(void *context, struct ft_transfer *t)
{
	struct ft_engine *e = context;
	const struct ft_key key = ft_transfer_key(t);
	uint64_t ttl_s = engine_ttl_s(e, t->segments_ttl);

	/* Who is paused has a reason to be silent. */
	if (engine_check_admin(e, &key, t) == FT_PAUSED)
		t->news_ms = e->now_ms;
	if (!timers_may_expire(t) || t->waiting > 0
	    || e->now_ms - t->news_ms < (int64_t)(ttl_s * 1000)
	    || engine_append_plain(e, FT_RECORD_EXPIRE, t->number, 0) != FT_OK)
		return;
	if (t->state == FT_TRANSFER_RECEIVING)
		ft_core_log(&e->core, FT_LOG_NOTICE, &key, "expired: no news for %" PRIu64 " s, %" PRIu64
			    " bytes held are removed", ttl_s, t->held.bytes);
	if (t->state == FT_TRANSFER_RECEIVING) {
		e->metrics.expired++;
		engine_tell_transfer(e, t, FT_EVENT_EXPIRED, FT_OK);
	}
	engine_remove_transfer(e, &t);
	e->expiries++;
}

/* A slice of the table, such that all of it is seen once per gc_interval. */
static void timers_sweep(struct ft_engine *e)
{
	uint64_t elapsed_ms = (uint64_t)(e->now_ms - e->swept_ms);
	uint64_t interval_ms = e->options->gc_interval * 1000;
	size_t buckets = e->registry.buckets;

	if (elapsed_ms < interval_ms)
		buckets = (size_t)(buckets * elapsed_ms / interval_ms) + 1;
	e->swept_ms = e->now_ms;
	e->sweep_left += buckets;
	if (e->sweep_left > e->registry.buckets)
		e->sweep_left = e->registry.buckets;
	for (e->expiries = 0; e->sweep_left > 0 && e->expiries < TIMERS_EXPIRIES_MAX; e->sweep_left--)
		ft_registry_sweep(&e->registry, &e->sweep_cursor, 1, timers_visit, e);
}

void engine_note_assembling(struct ft_engine *e, struct ft_transfer *t)
{
	ft_link_remove(&t->assembling);
	ft_list_push(&e->assembling, &t->assembling);
	t->assembling_ms = e->now_ms;
}

/*
 * A disk that hangs lets nobody wait for ever. The fin stays accepted, and who asks again
 * hears how it ended, or waits for as long once more.
 */
static void timers_tell_late(struct ft_engine *e)
{
	int64_t since_ms = e->now_ms - (int64_t)e->options->assemble_timeout * 1000;
	struct ft_link *link;

	while ((link = ft_list_first(&e->assembling)) != NULL) {
		struct ft_transfer *t = FT_CONTAINER(link, struct ft_transfer, assembling);
		struct ft_reply reply = { .status = FT_TIMEOUT, .state = FT_STATE_ASSEMBLING };

		if (t->assembling_ms > since_ms)
			break;
		(void)engine_answer_all(e, t, &t->fins, &reply);
		engine_note_assembling(e, t);
	}
}

static void timers_tell_no_memory(struct ft_engine *e)
{
	if (e->now_ms < e->no_memory_ms || !ft_core_was_short_of_memory())
		return;
	e->no_memory_ms = e->now_ms + TIMERS_NO_MEMORY_MS;
	ft_logger_printf(e->core.logger, FT_LOG_ERROR, "memory is short: what was accepted waits until "
			 "there is some");
}

/* How long brokers have run is noted, so that expiry goes on after a kill. */
static void timers_note_time(struct ft_engine *e)
{
	if (e->registry.count == 0 || e->now_ms < e->noted_ms)
		return;
	if (engine_append_plain(e, FT_RECORD_NEWS, 0, 0) == FT_OK)
		e->noted_ms = e->now_ms + (int64_t)e->options->gc_interval * 1000;
}

void engine_run_timers(struct ft_engine *e)
{
	timers_sweep(e);
	timers_tell_late(e);
	timers_tell_no_memory(e);
	timers_note_time(e);
	engine_retain(e);
	engine_run_limits(e);
	if (e->registry.count < e->options->max_transfers)
		ft_refusals_over(e->refusals, FT_TOO_MANY_TRANSFERS, e->now_ms);
	if (engine_check_memory(e, 0) == FT_OK && ft_log_fill(e->core.log) == 0)
		ft_refusals_over(e->refusals, FT_BUSY, e->now_ms);
	ft_refusals_tick(e->refusals, e->now_ms);
	engine_tell_untold(e);
	engine_publish_metrics(e);
}
