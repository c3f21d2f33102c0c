/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/downloads/announcer.h"

#include <stdlib.h>
#include <string.h>

#include "base/escape.h"
#include "base/system.h"
#include "protocol/manifest.h"

#define ANNOUNCER_TOGETHER 64
#define ANNOUNCER_BYTES ((size_t)1024 * 1024)	/* of manifests in memory at a time, or one */
#define ANNOUNCER_TITLE_ROOM (FT_RFC3339_ROOM + FT_NAME_ROOM)

/* A notice with what it points to. */
struct announcer_item {
	char *manifest, *ids;		/* owned */
	struct ft_finished finished;
	char title[ANNOUNCER_TITLE_ROOM];
};

struct announcer_slice {
	const struct ft_core *core;
	struct announcer_item items[ANNOUNCER_TOGETHER];
	struct ft_notice notices[ANNOUNCER_TOGETHER];
	size_t count, bytes;
	int64_t last;			/* id of the last one that was read; 0: none */
};

void ft_announce_soon(struct ft_core *core)
{
	struct ft_job *job;

	if (core->options->done != FT_DONE_ON)
		return;
	job = ft_core_alloc(sizeof *job);
	job->kind = FT_JOB_ANNOUNCE;
	ft_link_init(&job->link);
	ft_core_submit(core, FT_LANE_QUICK, job);
}

/* <time>-<transfer id>, which sorts by time: 20260131T235959.123Z-... */
static void announcer_write_title(struct announcer_item *item)
{
	const struct ft_finished *finished = &item->finished;
	struct ft_buf title = ft_buf_on(item->title, sizeof item->title);
	char time[FT_RFC3339_ROOM], id[FT_NAME_ROOM];

	ft_rfc3339(time, finished->completed_ms);
	for (const char *at = time; *at; at++)
		if (*at != '-' && *at != ':')
			ft_buf_char(&title, *at);
	ft_buf_char(&title, '-');
	ft_escape(id, finished->transfer_id, strlen(finished->transfer_id));
	ft_buf_str(&title, id);
}

static enum ft_status announcer_visit(void *context, int64_t id, const char *manifest, size_t len)
{
	struct announcer_slice *slice = context;
	struct announcer_item *item = &slice->items[slice->count];
	enum ft_status st;

	if (slice->count == ANNOUNCER_TOGETHER
	    || (slice->count > 0 && slice->bytes + len > ANNOUNCER_BYTES))
		return FT_CANCELLED;
	st = ft_manifest_read(&item->finished, &item->ids, manifest, len);
	if (st == FT_NO_MEMORY)
		return st;
	slice->last = id;
	if (st != FT_OK) {
		ft_logger_printf(slice->core->logger, FT_LOG_ERROR, "a notice in the catalog makes no "
				 "sense: its file is not told of in done/");
		return FT_OK;
	}
	item->manifest = ft_core_alloc(len + 1);
	memcpy(item->manifest, manifest, len);
	announcer_write_title(item);
	slice->notices[slice->count++] = (struct ft_notice){
		.title = item->title, .key = item->finished.key, .name = item->finished.name,
		.manifest = item->manifest, .manifest_len = len,
	};
	slice->bytes += len;
	return FT_OK;
}

static enum ft_status announcer_drop(struct ft_catalog *catalog, int64_t last)
{
	enum ft_status st = ft_catalog_begin(catalog);

	if (st == FT_OK)
		st = ft_catalog_drop_notices(catalog, last);
	return ft_catalog_end(catalog, st);
}

/* Tells of the oldest ones. */
static enum ft_status announcer_step(struct ft_core *core, struct ft_catalog *catalog,
				     struct announcer_slice *slice)
{
	enum ft_status st = ft_catalog_each_notice(catalog, announcer_visit, slice);

	if (st == FT_CANCELLED)
		st = FT_OK;
	if (st == FT_OK && slice->count > 0)
		st = core->ops->announce(core->store, slice->notices, slice->count);
	if (st == FT_OK && slice->last > 0)
		st = announcer_drop(catalog, slice->last);
	for (size_t i = 0; i < slice->count; i++) {
		free(slice->items[i].manifest);
		free(slice->items[i].ids);
	}
	return st;
}

void ft_announce(struct ft_core *core, struct ft_catalog *catalog)
{
	struct announcer_slice *slice = ft_core_alloc(sizeof *slice);

	slice->core = core;
	/* What else the lane has to do comes in between. After an error: with the next one. */
	if (announcer_step(core, catalog, slice) == FT_OK && slice->last > 0
	    && !atomic_load(&core->stopping))
		ft_announce_soon(core);
	free(slice);
}

enum ft_status ft_announce_check(struct ft_core *core)
{
	if (core->options->done != FT_DONE_ON)
		return FT_OK;
	if (core->ops->announce)
		return core->ops->announce(core->store, NULL, 0);
	ft_logger_printf(core->logger, FT_LOG_ERROR, "plugin_opt_done on: the store %s has no place "
			 "where consumers could look", core->ops->name);
	return FT_NAME_REFUSED;
}
