/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/assembler.h"

#include <sched.h>
#include <stdlib.h>

#include "base/system.h"

/* Large enough that reading costs little, small enough to stay in the CPU's cache. */
#define BLOCK ((size_t)256 * 1024)

/* More than that left to hash, and the upload is running away: see hash_blocks(). */
#define CLOSE_BEHIND ((uint64_t)3 * 1024 * 1024)

static enum ft_status hash_blocks(struct ft_assembly *a, void *block)
{
	uint64_t position = ft_hasher_position(a->hasher);
	/*
	 * Where the broker's thread waits for this core it goes first, and not after a time slice
	 * of milliseconds. But who is behind catches up: that is what fin waits for.
	 */
	bool keeps_up = a->target - position <= CLOSE_BEHIND;
	enum ft_status st;

	while (position < a->target) {
		uint64_t left = a->target - position;
		size_t len = left < BLOCK ? (size_t)left : BLOCK;

		if (ft_job_stopped(&a->job))
			return FT_CANCELLED;
		if ((st = a->ops->read(a->work, position, block, len)) != FT_OK)
			return st;
		if (!ft_hasher_update(a->hasher, block, len))
			return FT_INTERNAL_ERROR;
		position += len;
		if (keeps_up)
			sched_yield();
	}
	return FT_OK;
}

static enum ft_status hash(struct ft_assembly *a)
{
	uint64_t begin = ft_hasher_position(a->hasher);
	enum ft_status st;
	void *block;

	if (begin >= a->target)
		return FT_OK;
	/* First, so that the disk works while we hash. */
	if (a->ops->writeback)
		a->ops->writeback(a->work, begin, a->target - begin);
	if (!(block = malloc(BLOCK)))
		return FT_NO_MEMORY;
	st = hash_blocks(a, block);
	free(block);
	return st;
}

static enum ft_status verify(struct ft_assembly *a)
{
	if (!ft_hasher_digest(a->hasher, &a->digest))
		return FT_INTERNAL_ERROR;
	if (a->has_expected && !ft_sha256_equal(&a->digest, &a->expected))
		return FT_FILE_CHECKSUM_MISMATCH;
	return FT_OK;
}

/* The manifest of the finished file. */
static enum ft_status describe(struct ft_assembly *a)
{
	char completed_at[FT_RFC3339_ROOM];
	char *begun = NULL;
	size_t begun_len = 0;
	enum ft_status st;

	if ((st = a->ops->manifest(a->work, &begun, &begun_len)) != FT_OK)
		return st;
	ft_rfc3339(completed_at, ft_clock_unix_ms());
	if ((st = ft_manifest_read(&a->manifest, begun, begun_len)) == FT_OK)
		st = ft_manifest_finish(begun, begun_len, a->target, &a->digest, completed_at,
					&a->text, &a->text_len);
	free(begun);
	return st;
}

/* All but what cannot be undone; the rest is publish()'s. */
static enum ft_status prepare(struct ft_assembly *a)
{
	enum ft_status st;

	if ((st = hash(a)) != FT_OK || (st = verify(a)) != FT_OK)
		return st;
	/* A long wait, which can still be given up. */
	if (a->target > FT_SMALL_FILE && (st = a->ops->sync(a->work)) != FT_OK) {
		a->sync_failed = true;
		return st;
	}
	return describe(a);
}

static struct ft_assembly *assembly_of(struct ft_job *job)
{
	return FT_CONTAINER(job, struct ft_assembly, job);
}

/* Past the point of no return. */
static void publish(struct ft_job *const *jobs, size_t count)
{
	struct ft_publication publication[FT_JOBS_TOGETHER];
	struct ft_assembly *published[FT_JOBS_TOGETHER];
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		struct ft_assembly *a = assembly_of(jobs[i]);

		a->status = FT_CANCELLED;
		if (!ft_job_commit(&a->job))
			continue;
		published[n] = a;
		publication[n++] = (struct ft_publication){
			.work = a->work,
			.name = a->manifest.meta.name,
			.size = a->target,
			.manifest = a->text,
			.manifest_len = a->text_len,
			.status = FT_INTERNAL_ERROR,
		};
	}
	if (n > 0)
		published[0]->ops->publish(publication, n);
	for (size_t i = 0; i < n; i++) {
		published[i]->status = publication[i].status;
		published[i]->publish_failed = publication[i].status != FT_OK;
		published[i]->sync_failed = publication[i].sync_failed;
	}
}

static void run(struct ft_job *job)
{
	struct ft_assembly *a = assembly_of(job);

	if (ft_job_stopped(job))
		return;
	switch (a->task) {
	case FT_TASK_HASH:
		a->status = hash(a);
		break;
	case FT_TASK_CHECKPOINT:
		a->status = a->ops->checkpoint_run(a->checkpoint);
		break;
	case FT_TASK_PUBLISH:
		a->status = prepare(a);
		job->held = a->status == FT_OK;
		break;
	}
}

struct ft_assembly *ft_assembly_new(enum ft_task task, const struct ft_store_ops *ops)
{
	struct ft_assembly *a = calloc(1, sizeof *a);

	if (!a)
		return NULL;
	ft_job_init(&a->job, run);
	a->job.finish = publish;
	a->task = task;
	a->ops = ops;
	a->status = FT_CANCELLED;
	return a;
}

void ft_assembly_free(struct ft_assembly **assembly)
{
	struct ft_assembly *a = *assembly;

	if (!a)
		return;
	if (a->work)
		a->ops->work_close(&a->work);
	ft_hasher_free(a->hasher);
	free(a->text);
	free(a);
	*assembly = NULL;
}
