/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/sweeper.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/manifest.h"

/* A walk in progress: the part that is being filled. */
struct walk {
	struct ft_scan *scan;
	struct ft_scan_part *part;
};

static void flush(struct walk *walk)
{
	if (walk->part)
		ft_pool_return(walk->scan->sweep.job.pool, &walk->part->sweep.job);
	walk->part = NULL;
}

static struct ft_scan_part *new_part(void)
{
	struct ft_scan_part *part = calloc(1, sizeof *part);

	if (!part)
		return NULL;
	ft_job_init(&part->sweep.job, NULL);
	part->sweep.kind = FT_SWEEP_PART;
	part->sweep.job.ran = true;
	return part;
}

/* Out of memory: the transfer stays unlisted until a client touches it. */
static void note(struct ft_scan_part *part, const struct ft_found *found)
{
	const struct ft_key *key = &found->key;
	char *ids = malloc(key->client_len + key->file_len + 1);
	struct ft_manifest manifest;

	if (!ids)
		return;
	memcpy(ids, key->client, key->client_len);
	memcpy(ids + key->client_len, key->file, key->file_len);
	if (ft_manifest_read(&manifest, found->manifest, found->manifest_len) != FT_OK)
		manifest.segments_ttl = 0;
	part->found[part->count].ids = ids;
	part->found[part->count].client_len = key->client_len;
	part->found[part->count].file_len = key->file_len;
	part->found[part->count].last_news = found->last_news;
	part->found[part->count].segments_ttl = manifest.segments_ttl;
	part->count++;
}

static bool visit(void *context, const struct ft_found *found)
{
	struct walk *walk = context;

	if (ft_job_stopped(&walk->scan->sweep.job))
		return false;
	if (!walk->part)
		walk->part = new_part();
	if (walk->part) {
		note(walk->part, found);
		if (walk->part->count == FT_SCAN_PART_MAX)
			flush(walk);
	}
	return true;
}

static void run_scan(struct ft_job *job)
{
	struct walk walk = { .scan = FT_CONTAINER(job, struct ft_scan, sweep.job) };
	struct ft_store *store = walk.scan->store;

	walk.scan->sweep.status = store->ops->enumerate(store, visit, &walk);
	flush(&walk);
}

static void run_purge(struct ft_job *job)
{
	struct ft_purge *purge = FT_CONTAINER(job, struct ft_purge, sweep.job);

	purge->sweep.status = purge->trash->store->ops->purge(&purge->trash);
}

struct ft_scan *ft_scan_new(struct ft_store *store)
{
	struct ft_scan *scan = calloc(1, sizeof *scan);

	if (!scan)
		return NULL;
	ft_job_init(&scan->sweep.job, run_scan);
	scan->sweep.kind = FT_SWEEP_SCAN;
	scan->sweep.status = FT_CANCELLED;
	scan->store = store;
	return scan;
}

struct ft_purge *ft_purge_new(void)
{
	struct ft_purge *purge = calloc(1, sizeof *purge);

	if (!purge)
		return NULL;
	ft_job_init(&purge->sweep.job, run_purge);
	purge->sweep.kind = FT_SWEEP_PURGE;
	purge->sweep.status = FT_CANCELLED;
	return purge;
}

static void free_part(struct ft_scan_part *part)
{
	for (size_t i = 0; i < part->count; i++)
		free(part->found[i].ids);
	free(part);
}

/* At shutdown a purge may not have run: its trash is purged here, since the handle must go. */
static void free_purge(struct ft_purge *purge)
{
	if (purge->trash)
		(void)(purge->trash->store->ops->purge(&purge->trash) == FT_OK);
	ft_ticket_free(purge->ticket);
	free(purge);
}

void ft_sweep_free(struct ft_sweep *sweep)
{
	switch (sweep->kind) {
	case FT_SWEEP_SCAN:
		free(FT_CONTAINER(sweep, struct ft_scan, sweep));
		break;
	case FT_SWEEP_PART:
		free_part(FT_CONTAINER(sweep, struct ft_scan_part, sweep));
		break;
	case FT_SWEEP_PURGE:
		free_purge(FT_CONTAINER(sweep, struct ft_purge, sweep));
		break;
	}
}
