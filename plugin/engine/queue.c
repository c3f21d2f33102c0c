/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/queue.h"

#include <assert.h>

enum ft_status ft_queue_init(struct ft_queue *queue)
{
	if (pthread_mutex_init(&queue->mutex, NULL) != 0)
		return FT_NO_MEMORY;
	if (pthread_cond_init(&queue->filled, NULL) != 0) {
		pthread_mutex_destroy(&queue->mutex);
		return FT_NO_MEMORY;
	}
	ft_list_init(&queue->links);
	atomic_init(&queue->count, 0);
	queue->closed = false;
	queue->made = true;
	return FT_OK;
}

void ft_queue_release(struct ft_queue *queue)
{
	assert(ft_queue_count(queue) == 0);
	if (!queue->made)
		return;
	queue->made = false;
	pthread_cond_destroy(&queue->filled);
	pthread_mutex_destroy(&queue->mutex);
}

void ft_queue_push(struct ft_queue *queue, struct ft_link *link)
{
	assert(!ft_link_listed(link));
	pthread_mutex_lock(&queue->mutex);
	ft_list_push(&queue->links, link);
	atomic_fetch_add_explicit(&queue->count, 1, memory_order_release);
	pthread_cond_signal(&queue->filled);
	pthread_mutex_unlock(&queue->mutex);
}

/* One waits for them all: who is woken by the first takes the others, too. */
void ft_queue_push_all(struct ft_queue *queue, struct ft_list *links)
{
	struct ft_link *link;
	size_t count = 0;

	if (!ft_list_first(links))
		return;
	pthread_mutex_lock(&queue->mutex);
	for (; (link = ft_list_pop(links)) != NULL; count++)
		ft_list_push(&queue->links, link);
	atomic_fetch_add_explicit(&queue->count, count, memory_order_release);
	if (count > 1)
		pthread_cond_broadcast(&queue->filled);
	else
		pthread_cond_signal(&queue->filled);
	pthread_mutex_unlock(&queue->mutex);
}

/* The mutex is held. */
static struct ft_link *queue_take(struct ft_queue *queue)
{
	struct ft_link *link = ft_list_pop(&queue->links);

	if (link)
		atomic_fetch_sub_explicit(&queue->count, 1, memory_order_relaxed);
	return link;
}

struct ft_link *ft_queue_pop(struct ft_queue *queue)
{
	struct ft_link *link;

	if (ft_queue_count(queue) == 0)
		return NULL;
	pthread_mutex_lock(&queue->mutex);
	link = queue_take(queue);
	pthread_mutex_unlock(&queue->mutex);
	return link;
}

struct ft_link *ft_queue_wait(struct ft_queue *queue)
{
	struct ft_link *link;

	pthread_mutex_lock(&queue->mutex);
	while (!(link = queue_take(queue)) && !queue->closed)
		pthread_cond_wait(&queue->filled, &queue->mutex);
	pthread_mutex_unlock(&queue->mutex);
	return link;
}

void ft_queue_close(struct ft_queue *queue)
{
	pthread_mutex_lock(&queue->mutex);
	queue->closed = true;
	pthread_cond_broadcast(&queue->filled);
	pthread_mutex_unlock(&queue->mutex);
}
