/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Worker threads: jobs go in, are run, and come back.
 *
 *	broker's thread				worker
 *	ft_job_init(&j->job, run);
 *	ft_pool_submit(pool, &j->job);	->	run(&j->job)
 *					<-	(notify)
 *	while ((job = ft_pool_done(pool))) ...
 *
 * Submitting hands a job over whole; it comes back exactly once, whether it ran,
 * was stopped, or never ran because the pool stopped. A job owns what it needs
 * and looks at nothing of the broker's. Workers block all signals, so the broker's
 * signal handling stays the broker's.
 *
 * TOGETHER. What several jobs can do at once more cheaply than one after the other is
 * left by run() to finish(), by setting `held`. It is then called for as many such jobs
 * as are waiting in the queue; a job that is not `brief` ends the row, so that none
 * waits for another's long work.
 *
 * STOPPING. A running job asks ft_job_stopped() between blocks. Work that must not
 * be undone halfway is entered by ft_job_commit(): from then on ft_job_cancel()
 * fails. So exactly one of the two wins.
 */
#ifndef FT_ENGINE_POOL_H
#define FT_ENGINE_POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"

struct ft_pool;

#define FT_JOBS_TOGETHER 64	/* at most, in one finish() */

struct ft_job {
	struct ft_link link;
	void (*run)(struct ft_job *job);
	void (*finish)(struct ft_job *const *jobs, size_t count);	/* the rest of those held */
	bool held;		/* by run(): finish() is to be called */
	bool brief;		/* run() takes little time */
	struct ft_pool *pool;
	atomic_int phase;
	atomic_bool urgent;	/* run before others, notify as soon as it is done */
	bool ran;		/* false: came back without having been run */
};

/* Prepares a job that is not in a pool; without finish(), and not brief. */
void ft_job_init(struct ft_job *job, void (*run)(struct ft_job *job));

/*
 * A pool of `workers` threads. `notify` is called on a worker when a job that is
 * urgent has come back. NULL: out of memory or threads; errno says which.
 */
struct ft_pool *ft_pool_new(size_t workers, void (*notify)(void *context), void *context);

/*
 * Ends the threads at their next ft_job_stopped(), or when what they do is done;
 * jobs that never ran count as done. The caller takes all jobs by ft_pool_done().
 */
void ft_pool_stop(struct ft_pool *pool);

/* Frees a stopped, emptied pool. NULL inside is ignored. */
void ft_pool_free(struct ft_pool **pool);

/* Hands a job over. */
void ft_pool_submit(struct ft_pool *pool, struct ft_job *job);

/* [worker] Hands a message back from within a running job: it appears as done. */
void ft_pool_return(struct ft_pool *pool, struct ft_job *message);

/* A job that has come back, or NULL. Cheap where there is none. */
struct ft_job *ft_pool_done(struct ft_pool *pool);

/* Whether jobs have come back. */
bool ft_pool_has_done(const struct ft_pool *pool);

/* Makes a job in flight urgent. Where it is back already, ft_pool_done() has it after this call. */
void ft_job_hurry(struct ft_job *job);

/* Asks a job to stop. False: it is past ft_job_commit(). */
bool ft_job_cancel(struct ft_job *job);

/* [worker] Whether to give up: cancelled, or the pool is stopping. */
bool ft_job_stopped(const struct ft_job *job);

/* [worker] Enters what must not be stopped. False: cancelled before. */
bool ft_job_commit(struct ft_job *job);

#endif
