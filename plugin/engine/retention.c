/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * When finished files go: `expire_at`, option `files_ttl`.
 *
 *	EXPIRED		a finisher finds up to FT_FILES_MAX that have expired
 *	(here)		those whose id is in use stay for now; nobody begins the others meanwhile
 *	REMOVE		a finisher removes them
 *
 * One job is out at a time, and the next one begins with the next look at timers: however many
 * expire at once, each step is short, and others have the disk in between.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/system.h"
#include "engine/downloads/announcer.h"
#include "engine/engine_private.h"

bool engine_is_removing(const struct ft_engine *e, const struct ft_key *key)
{
	return ft_finished_set_has(&e->removing, ft_registry_hash(&e->registry, key));
}

static void retention_find(struct ft_engine *e)
{
	struct ft_files *files = calloc(1, sizeof *files);

	if (!files)
		return;		/* with the next interval */
	files->job.kind = FT_JOB_EXPIRED;
	ft_link_init(&files->job.link);
	files->reckoning = e->reckoning;
	files->elapsed_ms = e->reckoned_ms == 0 ? -1 : e->now_ms - e->reckoned_ms;
	files->skip = e->retain_skip;
	e->retaining = true;
	ft_core_submit(&e->core, FT_LANE_BACKGROUND, &files->job);
}

void engine_retain(struct ft_engine *e)
{
	if (e->retaining || (e->now_ms < e->retain_ms && !e->retain_again))
		return;
	if (e->now_ms >= e->retain_ms) {
		e->retain_ms = e->now_ms + (int64_t)e->options->gc_interval * 1000;
		e->retain_skip = 0;
		ft_announce_soon(&e->core);	/* what could not be told before */
	}
	e->retain_again = false;
	retention_find(e);
}

static void retention_note_belief(struct ft_engine *e, const struct ft_files *files)
{
	char clock[FT_RFC3339_ROOM], time[FT_RFC3339_ROOM];

	/* Where it could not be looked at, nothing is known of it. */
	if (files->job.status != FT_OK)
		return;
	e->reckoning = files->reckoning;
	e->reckoned_ms = e->now_ms;
	if (files->belief == FT_DOUBTED && e->belief != FT_DOUBTED) {
		ft_rfc3339(clock, ft_clock_unix_ms());
		ft_rfc3339(time, e->reckoning.time_ms);
		ft_logger_printf(e->core.logger, FT_LOG_WARNING, "the clock says %s, and when it was looked at "
				 "last it was to be %s by now: no finished file expires until it is right "
				 "again, or for a day: set the clock", clock, time);
	}
	e->belief = files->belief;
}

/* Of a file whose id is in use, a worker may be about to read it, replace it, or delete it for an operator. */
static void retention_choose(struct ft_engine *e, struct ft_files *files)
{
	for (size_t i = files->count; i > 0; i--) {
		const struct ft_key *key = &files->files[i - 1].key;

		if (ft_registry_find(&e->registry, key) || engine_check_admin(e, key, NULL) == FT_BUSY
		    || ft_finished_set_add(&e->removing, ft_registry_hash(&e->registry, key)) != FT_OK) {
			ft_files_drop(files, i - 1);
			e->retain_skip++;
		}
	}
}

static void retention_end_step(struct ft_engine *e, struct ft_files *files)
{
	struct ft_job *job = &files->job;

	e->retaining = false;
	if (e->removed > 0 && !e->retain_again) {
		ft_logger_printf(e->core.logger, FT_LOG_INFO, "%zu finished files have expired and were removed",
				 e->removed);
		e->removed = 0;
	}
	ft_job_free(&job);
}

void engine_take_expired(struct ft_engine *e, struct ft_files *files)
{
	retention_note_belief(e, files);
	e->retain_again = files->job.status == FT_OK && files->count > 0;
	retention_choose(e, files);
	if (files->count == 0 || e->closing) {
		retention_end_step(e, files);
		return;
	}
	e->retain_skip += files->count;		/* those that are gone are taken off again */
	files->job.kind = FT_JOB_REMOVE;
	ft_core_submit(&e->core, FT_LANE_BACKGROUND, &files->job);
}

static void retention_tell_deleted(struct ft_engine *e, const struct ft_finished *file)
{
	const struct ft_json_text no_user_data = { .len = 0 };
	struct ft_event event = ft_event_of_finished(file, &no_user_data);

	event.type = FT_EVENT_DELETED;
	event.at_ms = ft_clock_unix_ms();
	(void)engine_tell_event(e, &event);
}

void engine_take_removed(struct ft_engine *e, struct ft_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		ft_finished_set_remove(&e->finished,
				       ft_registry_hash(&e->registry, &files->files[i].key));
		engine_remove_finished_bytes(e, &files->files[i].key, files->files[i].size);
		retention_tell_deleted(e, &files->files[i]);
	}
	ft_finished_set_release(&e->removing);
	ft_finished_set_init(&e->removing);
	e->retain_skip -= files->count;
	e->removed += files->count;
	e->metrics.deleted += files->count;
	retention_end_step(e, files);
}
