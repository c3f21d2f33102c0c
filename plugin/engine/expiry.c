/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/expiry.h"

#include "base/system.h"

#define EXPIRY_IDS_BYTES ((size_t)256 * 1024)	/* of ids in one job, or one */
#define EXPIRY_NOTE_MS ((int64_t)3600 * 1000)	/* so old is the reckoning in the catalog, at most */
#define EXPIRY_FIRST_MS ((int64_t)1577836800 * 1000)	/* 2020: no clock that was set was behind it */

/* --- the clock --- */

static enum ft_status expiry_note_clock(struct ft_catalog *catalog, const struct ft_files *job,
					int64_t now_ms, bool *more)
{
	enum ft_status st = ft_catalog_begin(catalog);

	*more = false;
	if (st == FT_OK)
		st = ft_catalog_put_reckoning(catalog, &job->reckoning);
	if (st == FT_OK && job->belief == FT_BELIEVED)
		st = ft_catalog_mend_times(catalog, now_ms, EXPIRY_FIRST_MS,
					   now_ms + FT_RECKONING_DAY_MS, more);
	return ft_catalog_end(catalog, st);
}

/* Now and then, and while it is doubted: that must come to an end over restarts, too. */
static bool expiry_must_note(const struct ft_files *job, const struct ft_reckoning *noted)
{
	int64_t age_ms = job->reckoning.time_ms - noted->time_ms;

	return job->elapsed_ms < 0 || job->belief == FT_DOUBTED || noted->doubt_ms > 0
	       || age_ms > EXPIRY_NOTE_MS || age_ms < -EXPIRY_NOTE_MS;
}

static enum ft_status expiry_look_at_clock(struct ft_catalog *catalog, struct ft_files *job,
					   int64_t now_ms)
{
	int64_t elapsed_ms = job->elapsed_ms > 0 ? job->elapsed_ms : 0;
	struct ft_reckoning noted;
	enum ft_status st = ft_catalog_get_reckoning(catalog, &noted);
	bool more;

	if (st != FT_OK)
		return st;
	if (job->elapsed_ms < 0)
		job->reckoning = noted;
	job->belief = ft_reckon(&job->reckoning, now_ms, elapsed_ms);
	more = expiry_must_note(job, &noted);
	while (st == FT_OK && more)
		st = expiry_note_clock(catalog, job, now_ms, &more);
	return st;
}

/* --- find --- */

struct expiry_search {
	struct ft_files *job;
	size_t bytes;		/* of ids so far */
};

static enum ft_status expiry_visit(void *context, const struct ft_finished *found)
{
	struct expiry_search *search = context;
	struct ft_files *job = search->job;
	struct ft_finished *file = &job->files[job->count];

	search->bytes += ft_key_room(&found->key);
	if (job->count > 0 && search->bytes > EXPIRY_IDS_BYTES)
		return FT_OK;	/* with the next job */
	*file = *found;
	file->key = ft_key_copy(&found->key, ft_core_alloc(ft_key_room(&found->key) + 1));
	job->count++;
	return FT_OK;
}

void ft_expiry_find(struct ft_core *core, struct ft_catalog *catalog, struct ft_files *job)
{
	int64_t now_ms = ft_clock_unix_ms();
	int64_t ttl_ms = (int64_t)core->options->files_ttl * 1000;
	const struct ft_expiry expiry = {
		.now_s = now_ms / 1000, .completed_from_ms = EXPIRY_FIRST_MS,
		.completed_until_ms = ttl_ms > 0 ? now_ms - ttl_ms : INT64_MIN, .most = FT_FILES_MAX,
		.skip = job->skip,
	};
	struct expiry_search search = { .job = job };

	job->job.status = expiry_look_at_clock(catalog, job, now_ms);
	if (job->job.status == FT_OK && job->belief == FT_BELIEVED)
		job->job.status = ft_catalog_each_expired(catalog, &expiry, expiry_visit, &search);
	ft_core_tell_broker(core, &job->job);
}

/* --- remove --- */

/* A row that somebody else has dropped meanwhile, who counts it, is taken out of the list. */
static enum ft_status expiry_drop_row(struct ft_catalog *catalog, struct ft_files *job, size_t i)
{
	const struct ft_finished *file = &job->files[i];
	enum ft_status st = ft_catalog_drop_finished(catalog, &file->key, file->number);

	if (st == FT_NO_SUCH_TRANSFER)
		ft_files_drop(job, i);
	return st == FT_NO_SUCH_TRANSFER ? FT_OK : st;
}

static enum ft_status expiry_drop_rows(struct ft_catalog *catalog, struct ft_files *job)
{
	enum ft_status st = ft_catalog_begin(catalog);

	for (size_t i = job->count; st == FT_OK && i > 0; i--)
		st = expiry_drop_row(catalog, job, i - 1);
	return ft_catalog_end(catalog, st);
}

void ft_expiry_remove(struct ft_core *core, struct ft_catalog *catalog, struct ft_files *job)
{
	struct ft_removal removals[FT_FILES_MAX];

	for (size_t i = 0; i < job->count; i++)
		removals[i] = (struct ft_removal){
			.key = job->files[i].key, .name = job->files[i].name,
		};
	core->ops->remove_finished(core->store, removals, job->count);
	for (size_t i = job->count; i > 0; i--)
		if (removals[i - 1].status != FT_OK)
			ft_files_drop(job, i - 1);
	job->job.status = expiry_drop_rows(catalog, job);
	while (job->job.status != FT_OK && job->count > 0)
		ft_files_drop(job, job->count - 1);
	ft_core_tell_broker(core, &job->job);
}
