/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Threads for several requests at a time. */
#ifdef FT_S3
#include "store/s3/s3.h"

#include <time.h>

#include "base/thread.h"

#define POOL_KEPT_FREE 2

/* With the lock. NULL: none that may run now. */
static struct s3_task *pool_pop(struct s3 *s3)
{
	size_t threads = (size_t)s3->settings->connections;
	size_t most = threads > POOL_KEPT_FREE ? threads - POOL_KEPT_FREE : 1;
	struct ft_link *link = ft_list_pop(&s3->tasks);

	if (!link && s3->behind_running < most && (link = ft_list_pop(&s3->behind)) != NULL)
		s3->behind_running++;
	return link ? FT_CONTAINER(link, struct s3_task, link) : NULL;
}

static void *pool_main(void *argument)
{
	struct s3 *s3 = argument;
	struct s3_task *task;

	pthread_mutex_lock(&s3->lock);
	for (;;) {
		while ((task = pool_pop(s3)) != NULL) {
			bool is_behind = task->is_behind;

			pthread_mutex_unlock(&s3->lock);
			task->run(task);
			pthread_mutex_lock(&s3->lock);
			s3->behind_running -= is_behind;
		}
		if (atomic_load(&s3->interrupted))
			break;
		pthread_cond_wait(&s3->changed, &s3->lock);
	}
	pthread_mutex_unlock(&s3->lock);
	return NULL;
}

enum ft_status s3_pool_start(struct s3 *s3)
{
	while (s3->thread_count < s3->settings->connections) {
		if (ft_thread_start(&s3->threads[s3->thread_count], pool_main, s3) != 0)
			return FT_NO_MEMORY;
		s3->thread_count++;
	}
	return FT_OK;
}

void s3_pool_stop(struct s3 *s3)
{
	pthread_mutex_lock(&s3->lock);
	atomic_store(&s3->interrupted, true);
	pthread_cond_broadcast(&s3->changed);
	pthread_mutex_unlock(&s3->lock);
	while (s3->thread_count > 0)
		pthread_join(s3->threads[--s3->thread_count], NULL);
}

static void pool_add(struct s3 *s3, struct s3_task *task, struct ft_list *list)
{
	bool alone;

	pthread_mutex_lock(&s3->lock);
	alone = atomic_load(&s3->interrupted);	/* the threads end, or have ended */
	ft_link_init(&task->link);
	if (!alone)
		ft_list_push(list, &task->link);
	pthread_cond_broadcast(&s3->changed);
	pthread_mutex_unlock(&s3->lock);
	if (alone)
		task->run(task);
}

void s3_pool_add(struct s3 *s3, struct s3_task *task)
{
	task->is_behind = false;
	pool_add(s3, task, &s3->tasks);
}

void s3_pool_add_behind(struct s3 *s3, struct s3_task *task)
{
	task->is_behind = true;
	pool_add(s3, task, &s3->behind);
}

void s3_pause(struct s3 *s3, int ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	pthread_mutex_lock(&s3->lock);
	while (!atomic_load(&s3->interrupted)
	       && pthread_cond_timedwait(&s3->changed, &s3->lock, &until) == 0)
		;
	pthread_mutex_unlock(&s3->lock);
}
#else
typedef int s3_pool_is_not_built_in;
#endif
