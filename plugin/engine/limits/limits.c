/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/limits/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine_private.h"

#define LIMITS_LOOK_MS 4000		/* between two looks for what consumers took */
#define LIMITS_HURRY_MS 60000		/* between two times that all are looked for at once */
#define LIMITS_TIDY_FILES 1000		/* forgotten: up to 6 MB in the catalog's log */
#define LIMITS_OVER_MS 120000		/* a limit that refused nothing for so long counts as kept */

/* --- start --- */

static enum ft_status limits_load_file(struct ft_engine *e)
{
	struct ft_limits_file job = { .job.kind = FT_JOB_LIMITS };

	ft_limits_file_run(&e->core, &job);
	e->limits.overrides = job.overrides;
	e->limits.digest = job.digest;
	return job.job.status;
}

enum ft_status engine_start_limits(struct ft_engine *e)
{
	const struct ft_options *o = e->options;
	struct engine_limits *l = &e->limits;

	l->by_owner = o->limits.client_quota > 0 || o->limits_file;
	l->has_quotas = l->by_owner || o->limits.storage_quota > 0;
	if ((o->limits.client_bandwidth > 0 || o->limits.client_rate > 0 || o->limits_file)
	    && !(l->rates = ft_rates_new()))
		return FT_NO_MEMORY;
	return o->limits_file ? limits_load_file(e) : FT_OK;
}

void engine_release_limits(struct ft_engine *e)
{
	ft_overrides_free(&e->limits.overrides);
	ft_rates_free(&e->limits.rates);
	ft_sums_release(&e->limits.finished);
}

/* --- whose limits --- */

static uint64_t limits_hash(const struct ft_engine *e, const struct ft_request *request)
{
	const char *user = request->user ? request->user : "";
	const struct ft_key both = {
		.owner = request->client_id, .owner_len = strlen(request->client_id),
		.file = user, .file_len = strlen(user),
	};

	return ft_registry_hash(&e->registry, &both) + !request->user;
}

const struct ft_limits *engine_limits_of(struct ft_engine *e, const struct ft_request *request)
{
	struct engine_limits *l = &e->limits;
	const struct ft_override *row;
	uint64_t hash;
	size_t i;

	if (!l->overrides || l->overrides->count == 0)
		return &e->options->limits;
	hash = limits_hash(e, request);
	i = hash % LIMITS_MEMO_ROWS;
	if (!l->memo[i].limits || l->memo[i].hash != hash) {
		row = ft_overrides_find(l->overrides, request->client_id, request->user);
		l->memo[i].hash = hash;
		l->memo[i].limits = row ? &row->limits : &e->options->limits;
	}
	return l->memo[i].limits;
}

/* --- rates --- */

enum ft_status engine_take_rate(struct ft_engine *e, const struct ft_limits *limits,
				const struct ft_request *request, size_t len,
				unsigned *retry_after, struct ft_buf *detail)
{
	const struct ft_key key = { .owner = request->owner, .owner_len = request->owner_len };
	unsigned wait_s;

	assert(limits->client_bandwidth > 0 || limits->client_rate > 0);
	wait_s = ft_rates_take(e->limits.rates, ft_registry_hash_owner(&e->registry, &key), limits,
			       len, e->now_ms);
	if (wait_s == 0)
		return FT_OK;
	if (wait_s == FT_RATES_NO_ROW) {
		ft_buf_str(detail, "too many clients are active for their rates to be kept");
		return FT_BUSY;
	}
	e->limits.rate_refused_ms = e->now_ms;
	*retry_after = wait_s;
	if (limits->client_bandwidth > 0)
		ft_buf_printf(detail, "client_bandwidth is %llu bytes a second",
			      (unsigned long long)limits->client_bandwidth);
	if (limits->client_rate > 0)
		ft_buf_printf(detail, "%sclient_rate is %llu commands a second",
			      detail->len > 0 ? ", " : "", (unsigned long long)limits->client_rate);
	return FT_RATE_LIMITED;
}

/* --- what consumers have taken --- */

/* Has a finisher look, if it is time to. */
static void limits_look(struct ft_engine *e)
{
	struct engine_limits *l = &e->limits;
	struct ft_taken *taken;

	if (!l->has_quotas || l->looking || e->closing || e->now_ms < l->look_ms)
		return;
	l->look_ms = e->now_ms + LIMITS_LOOK_MS;
	if (!(taken = calloc(1, sizeof *taken)))
		return;
	taken->job.kind = FT_JOB_TAKEN;
	ft_link_init(&taken->job.link);
	ft_list_init(&taken->files);
	taken->from = l->place;
	taken->checkpoint = l->forgotten >= LIMITS_TIDY_FILES;
	if (taken->checkpoint)
		l->forgotten = 0;
	l->looking = true;
	ft_core_submit(&e->core, FT_LANE_BACKGROUND, &taken->job);
}

/* Perhaps they have made room that is not known yet. */
static void limits_hurry(struct ft_engine *e)
{
	struct engine_limits *l = &e->limits;

	if (l->hurry || e->now_ms < l->hurry_ms)
		return;
	l->hurry = true;
	l->place = 0;
	l->look_ms = e->now_ms;
	limits_look(e);
}


/* --- quotas --- */

uint64_t engine_used_bytes(const struct ft_engine *e)
{
	return e->registry.held + e->limits.finished_bytes;
}

static bool limits_fits(uint64_t quota, uint64_t used, uint64_t more)
{
	return quota == 0 || (used <= quota && more <= quota - used);
}

static enum ft_status limits_refuse(struct ft_engine *e, const char *name, uint64_t quota,
				    uint64_t used, uint64_t more, struct ft_buf *detail)
{
	ft_buf_printf(detail, "%llu bytes do not fit: %s is %llu bytes, %llu are used",
		      (unsigned long long)more, name, (unsigned long long)quota,
		      (unsigned long long)used);
	e->limits.quota_refused_ms = e->now_ms;
	limits_hurry(e);
	return FT_QUOTA_EXCEEDED;
}

enum ft_status engine_check_quota(struct ft_engine *e, const struct ft_limits *limits,
				  const struct ft_key *key, uint64_t more, struct ft_buf *detail)
{
	uint64_t used = engine_used_bytes(e);

	if (more == 0)
		return FT_OK;
	if (!limits_fits(limits->storage_quota, used, more))
		return limits_refuse(e, "storage_quota", limits->storage_quota, used, more, detail);
	if (limits->client_quota == 0)
		return FT_OK;
	used = ft_registry_owner_held(&e->registry, key)
	       + ft_sums_get(&e->limits.finished, ft_registry_hash_owner(&e->registry, key));
	if (!limits_fits(limits->client_quota, used, more))
		return limits_refuse(e, "client_quota", limits->client_quota, used, more, detail);
	return FT_OK;
}

void engine_add_finished_bytes(struct ft_engine *e, const struct ft_key *key, uint64_t bytes)
{
	struct engine_limits *l = &e->limits;

	l->finished_bytes += bytes;
	/* Without memory for it the owner's quota is larger by this, until the next start. */
	if (l->by_owner && bytes > 0
	    && ft_sums_add(&l->finished, ft_registry_hash_owner(&e->registry, key), bytes) != FT_OK)
		ft_core_log(&e->core, FT_LOG_ERROR, key, "out of memory: %llu finished bytes do not "
			    "count for client_quota until the broker starts again",
			    (unsigned long long)bytes);
}

void engine_remove_finished_bytes(struct ft_engine *e, const struct ft_key *key, uint64_t bytes)
{
	struct engine_limits *l = &e->limits;

	l->finished_bytes -= bytes < l->finished_bytes ? bytes : l->finished_bytes;
	if (l->by_owner)
		ft_sums_subtract(&l->finished, ft_registry_hash_owner(&e->registry, key), bytes);
}

void engine_take_taken(struct ft_engine *e, struct ft_taken *taken)
{
	struct engine_limits *l = &e->limits;
	struct ft_job *job = &taken->job;

	for (struct ft_link *link = taken->files.head.next; link != &taken->files.head; link = link->next) {
		const struct ft_taken_file *file = FT_CONTAINER(link, struct ft_taken_file, link);

		ft_finished_set_remove(&e->finished, ft_registry_hash(&e->registry, &file->key));
		engine_remove_finished_bytes(e, &file->key, file->size);
		l->forgotten++;
	}
	l->looking = false;
	/* A search that was begun anew meanwhile goes on from its own place. */
	if (l->place == taken->from) {
		l->place = taken->ended ? 0 : taken->place;
		if (l->hurry && taken->ended) {
			l->hurry = false;
			l->hurry_ms = e->now_ms + LIMITS_HURRY_MS;
		}
	}
	if (l->hurry)
		l->look_ms = e->now_ms;
	ft_job_free(&job);
	limits_look(e);
}

/* --- the file --- */

static void limits_read_file(struct ft_engine *e)
{
	struct engine_limits *l = &e->limits;
	struct ft_limits_file *job;

	l->read_again = l->reading;
	if (l->reading)
		return;
	if (!(job = calloc(1, sizeof *job))) {
		ft_logger_printf(e->core.logger, FT_LOG_ERROR, "out of memory: limits_file was not read "
				 "again");
		return;
	}
	job->job.kind = FT_JOB_LIMITS;
	ft_link_init(&job->job.link);
	job->former = l->overrides;
	l->reading = true;
	ft_core_submit(&e->core, FT_LANE_BACKGROUND, &job->job);
}

void ft_engine_reload(struct ft_engine *engine)
{
	if (engine->options->limits_file)
		limits_read_file(engine);
}

/* These are in force from now on; what was before is the caller's to free. */
static void limits_use(struct ft_engine *e, struct ft_overrides **overrides,
		       const struct ft_sha256 *digest)
{
	struct engine_limits *l = &e->limits;
	struct ft_overrides *former = l->overrides;

	l->overrides = *overrides;
	l->digest = *digest;
	*overrides = former;
	memset(l->memo, 0, sizeof l->memo);
}

static void limits_end_reading(struct ft_engine *e)
{
	e->limits.reading = false;
	if (e->limits.read_again && !e->closing)
		limits_read_file(e);
}

void engine_take_limits(struct ft_engine *e, struct ft_limits_file *file)
{
	struct ft_job *job = &file->job;

	if (job->status == FT_OK)
		limits_use(e, &file->overrides, &file->digest);
	ft_job_free(&job);
	limits_end_reading(e);
}

enum ft_status engine_begin_limits(struct ft_engine *e, struct ft_admin_job *job)
{
	struct engine_limits *l = &e->limits;

	if (l->reading)
		return FT_BUSY;
	l->reading = true;
	job->former = l->overrides;
	job->former_digest = l->digest;
	return FT_OK;
}

void engine_end_limits(struct ft_engine *e, struct ft_admin_job *job)
{
	if (job->overrides)
		limits_use(e, &job->overrides, &job->digest);
	limits_end_reading(e);
}

/* --- time --- */

static void limits_tell_over(struct ft_engine *e, enum ft_status status, int64_t *refused_ms)
{
	if (*refused_ms == 0 || e->now_ms - *refused_ms < LIMITS_OVER_MS)
		return;
	*refused_ms = 0;
	ft_refusals_over(e->refusals, status, e->now_ms);
}

void engine_run_limits(struct ft_engine *e)
{
	limits_look(e);
	limits_tell_over(e, FT_QUOTA_EXCEEDED, &e->limits.quota_refused_ms);
	limits_tell_over(e, FT_RATE_LIMITED, &e->limits.rate_refused_ms);
}

int64_t engine_limits_due_ms(const struct ft_engine *e)
{
	return e->limits.has_quotas && !e->limits.looking ? e->limits.look_ms : INT64_MAX;
}
