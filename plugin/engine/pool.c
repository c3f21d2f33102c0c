/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* A third of the weight. With 10, a tenth, hashing falls behind the upload, and fin waits for it. */

#define LATER_EACH 8	/* one of so many jobs is one that nobody waits for */

enum phase {
	RUNNING,
	COMMITTED,
	CANCELLED,
};

struct ft_pool {
	pthread_mutex_t lock;
	pthread_cond_t wanted;
	struct ft_list todo;
	struct ft_list later;		/* to do, and nobody waits for it */
	unsigned int turn;
	struct ft_list done;
	atomic_size_t done_count;	/* read without the lock */
	atomic_bool stopping;
	void (*notify)(void *context);
	void *context;
	size_t threads;
	pthread_t thread[];
};

void ft_job_init(struct ft_job *job, void (*run)(struct ft_job *job))
{
	ft_link_init(&job->link);
	job->run = run;
	job->finish = NULL;
	job->held = false;
	job->brief = false;
	job->pool = NULL;
	job->ran = false;
	atomic_init(&job->phase, RUNNING);
	atomic_init(&job->urgent, true);
}

/*
 * Whoever leaves thousands of transfers unfinished leaves as many checkpoints to be made:
 * they must not hold up those who wait for a result, nor be held up for ever. The caller
 * holds the lock.
 */
static struct ft_link *pop_next(struct ft_pool *pool)
{
	bool later_first = pool->turn++ % LATER_EACH == LATER_EACH - 1;
	struct ft_link *link = ft_list_pop(later_first ? &pool->later : &pool->todo);

	return link ? link : ft_list_pop(later_first ? &pool->todo : &pool->later);
}

/* The next job, or NULL when the pool stops. */
static struct ft_job *take(struct ft_pool *pool)
{
	struct ft_link *link = NULL;

	pthread_mutex_lock(&pool->lock);
	while (!atomic_load(&pool->stopping) && !(link = pop_next(pool)))
		pthread_cond_wait(&pool->wanted, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
	return link ? FT_CONTAINER(link, struct ft_job, link) : NULL;
}

/*
 * Hands jobs back, and tells it once. The broker's thread may free them as soon as the lock
 * is open, and ft_job_hurry() sets `urgent` under it: so that is read while it is held.
 */
static void give_back(struct ft_pool *pool, struct ft_job *const *jobs, size_t count)
{
	bool tell = false;

	pthread_mutex_lock(&pool->lock);
	for (size_t i = 0; i < count; i++) {
		tell = tell || atomic_load(&jobs[i]->urgent);
		ft_list_push(&pool->done, &jobs[i]->link);
	}
	atomic_fetch_add(&pool->done_count, count);
	pthread_mutex_unlock(&pool->lock);
	if (tell)
		pool->notify(pool->context);
}

void ft_pool_return(struct ft_pool *pool, struct ft_job *message)
{
	give_back(pool, &message, 1);
}

/* Jobs that were run and wait for their finish(), all of the same. */
struct row {
	struct ft_job *job[FT_JOBS_TOGETHER];
	size_t count;
};

/* A job that may join the row, or NULL: none is waiting, or it would hold the others up. */
static struct ft_job *take_brief(struct ft_pool *pool, const struct row *row)
{
	struct ft_job *job = NULL;
	struct ft_link *link;

	if (row->count == FT_JOBS_TOGETHER)
		return NULL;
	pthread_mutex_lock(&pool->lock);
	link = atomic_load(&pool->stopping) ? NULL : ft_list_first(&pool->todo);
	if (link)
		job = FT_CONTAINER(link, struct ft_job, link);
	if (job && job->brief && job->finish == row->job[0]->finish)
		ft_link_remove(link);
	else
		job = NULL;
	pthread_mutex_unlock(&pool->lock);
	return job;
}

/* What is done goes back, what is held joins the row. */
static void run(struct ft_pool *pool, struct ft_job *job, struct row *row)
{
	job->ran = true;
	job->run(job);
	if (job->held)
		row->job[row->count++] = job;
	else
		ft_pool_return(pool, job);
}

static void *work(void *argument)
{
	struct ft_pool *pool = argument;
	struct row row = {.count = 0};
	struct ft_job *job;

	while ((job = take(pool)) != NULL) {
		run(pool, job, &row);
		while (row.count > 0 && (job = take_brief(pool, &row)) != NULL)
			run(pool, job, &row);
		if (row.count == 0)
			continue;
		row.job[0]->finish(row.job, row.count);
		give_back(pool, row.job, row.count);
		row.count = 0;
	}
	return NULL;
}

/* Starts threads until `wanted` or failure; signals are blocked in them from the first instruction. */
static int start(struct ft_pool *pool, size_t wanted)
{
	sigset_t all, before;
	int error = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (!error && pool->threads < wanted) {
		error = pthread_create(&pool->thread[pool->threads], NULL, work, pool);
		if (!error)
			pool->threads++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

static int init_locks(struct ft_pool *pool)
{
	int error = pthread_mutex_init(&pool->lock, NULL);

	if (error != 0)
		return error;
	error = pthread_cond_init(&pool->wanted, NULL);
	if (error != 0)
		pthread_mutex_destroy(&pool->lock);
	return error;
}

struct ft_pool *ft_pool_new(size_t workers, void (*notify)(void *context), void *context)
{
	struct ft_pool *pool = calloc(1, sizeof *pool + workers * sizeof pool->thread[0]);
	int error;

	if (!pool)
		return NULL;
	if ((error = init_locks(pool)) != 0) {
		free(pool);
		errno = error;
		return NULL;
	}
	ft_list_init(&pool->todo);
	ft_list_init(&pool->later);
	ft_list_init(&pool->done);
	pool->notify = notify;
	pool->context = context;
	if ((error = start(pool, workers)) != 0) {
		ft_pool_stop(pool);
		ft_pool_free(&pool);
		errno = error;
	}
	return pool;
}

void ft_pool_stop(struct ft_pool *pool)
{
	struct ft_link *link;

	pthread_mutex_lock(&pool->lock);
	atomic_store(&pool->stopping, true);
	pthread_cond_broadcast(&pool->wanted);
	pthread_mutex_unlock(&pool->lock);
	for (size_t i = 0; i < pool->threads; i++)
		pthread_join(pool->thread[i], NULL);
	pool->threads = 0;
	while ((link = pop_next(pool)) != NULL) {
		ft_list_push(&pool->done, link);
		atomic_fetch_add(&pool->done_count, 1);
	}
}

void ft_pool_free(struct ft_pool **pool)
{
	if (!*pool)
		return;
	pthread_cond_destroy(&(*pool)->wanted);
	pthread_mutex_destroy(&(*pool)->lock);
	free(*pool);
	*pool = NULL;
}

void ft_pool_submit(struct ft_pool *pool, struct ft_job *job)
{
	job->pool = pool;
	pthread_mutex_lock(&pool->lock);
	ft_list_push(atomic_load(&job->urgent) ? &pool->todo : &pool->later, &job->link);
	pthread_cond_signal(&pool->wanted);
	pthread_mutex_unlock(&pool->lock);
}

bool ft_pool_has_done(const struct ft_pool *pool)
{
	return atomic_load_explicit(&pool->done_count, memory_order_relaxed) > 0;
}

struct ft_job *ft_pool_done(struct ft_pool *pool)
{
	struct ft_link *link;

	if (!ft_pool_has_done(pool))
		return NULL;
	pthread_mutex_lock(&pool->lock);
	link = ft_list_pop(&pool->done);
	if (link)
		atomic_fetch_sub(&pool->done_count, 1);
	pthread_mutex_unlock(&pool->lock);
	return link ? FT_CONTAINER(link, struct ft_job, link) : NULL;
}

/* Under the lock that ft_pool_return() holds: either it sees the flag, or the job is in `done` already. */
void ft_job_hurry(struct ft_job *job)
{
	struct ft_pool *pool = job->pool;

	pthread_mutex_lock(&pool->lock);
	atomic_store(&job->urgent, true);
	/* In a list and not run: it is still to do, unless the pool has stopped. */
	if (ft_link_listed(&job->link) && !job->ran && !atomic_load(&pool->stopping)) {
		ft_link_remove(&job->link);
		ft_list_push(&pool->todo, &job->link);
	}
	pthread_mutex_unlock(&pool->lock);
	if (ft_pool_has_done(pool))
		pool->notify(pool->context);
}

bool ft_job_cancel(struct ft_job *job)
{
	int running = RUNNING;

	return atomic_compare_exchange_strong(&job->phase, &running, CANCELLED)
	       || running == CANCELLED;
}

bool ft_job_stopped(const struct ft_job *job)
{
	return atomic_load(&job->phase) == CANCELLED || atomic_load(&job->pool->stopping);
}

bool ft_job_commit(struct ft_job *job)
{
	int running = RUNNING;

	return atomic_compare_exchange_strong(&job->phase, &running, COMMITTED);
}
