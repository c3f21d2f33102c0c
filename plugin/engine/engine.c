/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/engine_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>

#define TIMER_MS 100		/* how often timers are looked at */
#define DRAIN_MAX 64		/* jobs taken back per call: clients wait meanwhile */
#define EXPIRIES_MAX 16		/* transfers expired per call: each costs some files to be looked at */

static enum ft_status start_pools(struct ft_engine *e)
{
	e->assemblers = ft_pool_new((size_t)e->options->workers, e->hooks.notify,
				    e->hooks.context);
	if (e->assemblers)
		e->sweepers = ft_pool_new(1, e->hooks.notify, e->hooks.context);
	if (e->sweepers)
		return FT_OK;
	ft_logger_printf(e->log, FT_LOG_ERROR, "worker threads cannot be started: %s",
		      strerror(errno));
	return FT_INTERNAL_ERROR;
}

static enum ft_status start_scan(struct ft_engine *e)
{
	struct ft_scan *scan = ft_scan_new(e->store);

	if (!scan)
		return FT_NO_MEMORY;
	e->scanning = true;
	ft_pool_submit(e->sweepers, &scan->sweep.job);
	return FT_OK;
}

static enum ft_status start(struct ft_engine *e)
{
	uint64_t seed = 0;
	enum ft_status st;

	/* Without randomness the table is only easier to aim at. */
	(void)(getrandom(&seed, sizeof seed, GRND_NONBLOCK) < 0);
	if ((st = ft_registry_init(&e->registry, seed)) != FT_OK)
		return st;
	if ((st = start_pools(e)) != FT_OK)
		return st;
	return start_scan(e);
}

/* Each may hold four descriptors: half of what the process may have open is left for clients. */
static size_t assembling_max(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur / 8 > FT_ASSEMBLING_MAX)
		return FT_ASSEMBLING_MAX;
	return limit.rlim_cur < 32 ? 4 : (size_t)limit.rlim_cur / 8;
}

enum ft_status ft_engine_new(const struct ft_options *options, struct ft_store **store,
			     struct ft_logger *log, const struct ft_engine_hooks *hooks,
			     struct ft_engine **out)
{
	struct ft_engine *e = calloc(1, sizeof *e);
	enum ft_status st;

	if (!e) {
		(*store)->ops->close(store);
		return FT_NO_MEMORY;
	}
	e->options = options;
	e->store = *store;
	e->ops = (*store)->ops;
	e->log = log;
	e->hooks = *hooks;
	e->assembling_max = assembling_max();
	ft_list_init(&e->dirty);
	ft_list_init(&e->assembling);
	*store = NULL;
	*out = e;
	if ((st = start(e)) != FT_OK)
		ft_engine_free(out);
	return st;
}

static void take_assemblies(struct ft_engine *e, int limit)
{
	struct ft_job *job;

	while (limit-- > 0 && (job = ft_pool_done(e->assemblers)) != NULL)
		ft_engine_take_assembly(e, FT_CONTAINER(job, struct ft_assembly, job));
}

static void take_sweeps(struct ft_engine *e, int limit)
{
	struct ft_job *job;

	while (limit-- > 0 && (job = ft_pool_done(e->sweepers)) != NULL)
		ft_engine_take_sweep(e, FT_CONTAINER(job, struct ft_sweep, job));
}

static void expire_visit(void *context, struct ft_transfer *t)
{
	ft_engine_expire(context, t);
}

/*
 * Whether a bucket may be looked at: what is in it must all find room among the purges, or
 * it would be left until the next round. Besides, aborts find room there as well.
 */
static bool may_expire(const struct ft_engine *e)
{
	return e->expiries < EXPIRIES_MAX && e->purges + EXPIRIES_MAX < FT_PURGES_MAX;
}

/*
 * A slice of the table, such that all of it is seen once per gc_interval; but much may
 * have expired at once, while the broker was down.
 */
static void sweep(struct ft_engine *e)
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
	for (e->expiries = 0; e->sweep_left > 0 && may_expire(e); e->sweep_left--)
		ft_registry_sweep(&e->registry, &e->sweep_cursor, 1, expire_visit, e);
}

bool ft_engine_run(struct ft_engine *e, int64_t now_ms)
{
	e->now_ms = now_ms;
	take_assemblies(e, DRAIN_MAX);
	take_sweeps(e, DRAIN_MAX);
	if (now_ms >= e->due_ms) {
		e->due_ms = now_ms + TIMER_MS;
		ft_engine_check_deadlines(e);
		sweep(e);
	}
	return ft_pool_has_done(e->assemblers) || ft_pool_has_done(e->sweepers);
}

int64_t ft_engine_due_ms(const struct ft_engine *e)
{
	int64_t due_ms = e->now_ms + (int64_t)e->options->gc_interval * 1000;
	int64_t soon_ms = e->now_ms + 1000;

	/* Of what is gone, too, a job may still hold descriptors, and bytes by them. */
	if (e->registry.count == 0 && e->jobs == 0)
		return INT64_MAX;
	if (e->sweep_left > 0)
		return e->now_ms + TIMER_MS;
	/* Jobs that nobody waits for tell nobody that they are done. */
	if ((ft_list_first(&e->dirty) || ft_list_first(&e->assembling) || e->jobs > 0) &&
	    soon_ms < due_ms)
		return soon_ms;
	return due_ms;
}

static void let_go(void *context, struct ft_transfer *t)
{
	struct ft_engine *e = context;
	struct ft_link *link;

	while ((link = ft_list_pop(&t->fins)) != NULL)
		ft_ticket_free(FT_CONTAINER(link, struct ft_ticket, link));
	ft_ticket_free(t->abort);
	t->abort = NULL;
	if (t->upload)
		e->ops->release(&t->upload);
}

void ft_engine_free(struct ft_engine **engine)
{
	struct ft_engine *e = *engine;
	size_t cursor = 0;

	if (!e)
		return;
	e->stopping = true;
	if (e->assemblers) {
		ft_pool_stop(e->assemblers);
		take_assemblies(e, INT32_MAX);
	}
	if (e->sweepers) {
		ft_pool_stop(e->sweepers);
		take_sweeps(e, INT32_MAX);
	}
	ft_registry_sweep(&e->registry, &cursor, e->registry.buckets, let_go, e);
	ft_registry_release(&e->registry);
	ft_engine_end_scan(e);
	ft_pool_free(&e->assemblers);
	ft_pool_free(&e->sweepers);
	e->ops->close(&e->store);
	free(e);
	*engine = NULL;
}
