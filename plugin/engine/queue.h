/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Jobs go from one thread to another: a list behind a mutex that is held for a few
 * instructions only, never while anybody waits for anything.
 *
 * Threads: any, but init and release.
 */
#ifndef FT_ENGINE_QUEUE_H
#define FT_ENGINE_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "file_transfer/status.h"

struct ft_queue {
	pthread_mutex_t mutex;
	pthread_cond_t filled;
	struct ft_list links;
	atomic_size_t count;
	bool closed;
	bool made;		/* by init */
};

/* Error: FT_NO_MEMORY. */
enum ft_status ft_queue_init(struct ft_queue *queue) FT_MUST_USE;

/* The queue must be empty; one that was zeroed and never made is left as it is. */
void ft_queue_release(struct ft_queue *queue);

/* Hands a link over, in no list until then. */
void ft_queue_push(struct ft_queue *queue, struct ft_link *link);

/* Hands over all links of a list, which is empty then, at once. */
void ft_queue_push_all(struct ft_queue *queue, struct ft_list *links);

/* Takes the first link; NULL: there is none. Cheap where there is none. */
struct ft_link *ft_queue_pop(struct ft_queue *queue);

/* Waits for a link. NULL: the queue is closed and empty. */
struct ft_link *ft_queue_wait(struct ft_queue *queue);

/* Nobody waits in ft_queue_wait() any more. */
void ft_queue_close(struct ft_queue *queue);

/* How many there are; a hint to all but the only thread that pops. */
static inline size_t ft_queue_count(const struct ft_queue *queue)
{
	return atomic_load_explicit(&queue->count, memory_order_acquire);
}

#endif
