/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What is counted and measured for operators, and published under FT_METRICS_PREFIX.
 *
 * Whoever does a thing counts it, on the broker's thread:
 *
 *	e->metrics.completed++;
 *
 * What other threads measure comes as a struct ft_latency, in struct ft_core, or with their
 * jobs. The table in metrics.c says what is published as what; docs/operate.md explains it.
 */
#ifndef FT_ENGINE_METRICS_H
#define FT_ENGINE_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "engine/latency.h"
#include "file_transfer/status.h"

#define FT_METRICS_PREFIX "$SYS/broker/file-transfer/"
#define FT_METRICS_FIXED_MAX 48		/* rows of the table, at most */
#define FT_METRICS_MAX (FT_METRICS_FIXED_MAX + 2 * FT_STATUS_COUNT)
#define FT_METRICS_TOPIC_ROOM 96	/* of one, behind the prefix */

struct ft_metrics {
	/* Since the start of the broker. */
	uint64_t completed;			/* files that became visible */
	uint64_t aborted;
	uint64_t expired;			/* unfinished transfers */
	uint64_t deleted;			/* finished files that the plugin removed */
	uint64_t resumed;			/* by an init of what was begun before, and holds bytes */
	uint64_t skipped;			/* init, and all was there already */
	uint64_t failed[FT_STATUS_COUNT];	/* fins that were accepted, by what they ended with */
	uint64_t refused[FT_STATUS_COUNT];	/* answers that were no success */
	uint64_t segments;			/* taken, those that a put brings included */
	uint64_t bytes_received;		/* in them */
	uint64_t bytes_duplicate;		/* of these: held already */
	uint64_t bytes_stored;			/* of completed files */
	struct ft_latency fin;			/* from its PUBACK to its response */
	struct ft_latency room;			/* waits for room in the log */

	uint64_t blocks, block_bytes;		/* to devices: option downloads */
	uint64_t blocks_cached;			/* of these: read at once */
	uint64_t blocks_absent;			/* read, but the client had gone */
	uint64_t job_updates;			/* that were accepted: option downloads jobs */
	uint64_t jobs_started;			/* by start-next */
	uint64_t jobs_succeeded, jobs_failed;	/* executions that ended so; REJECTED is failed, too */

	/* Now. */
	uint64_t offered;			/* files */
	uint64_t job_documents;
	uint64_t quota_used;			/* bytes */

	/* What engine_take_metrics() finds. */
	uint64_t active;			/* unfinished transfers */
	uint64_t assembling;			/* of these: a fin was accepted */
	uint64_t oldest_s;			/* since the oldest of these was begun */
	uint64_t log_size, log_fill;		/* bytes */
	uint64_t store_waiting, store_put_off;	/* see struct ft_core, later and later_total */
	uint64_t queue_broker, queue_writer, queue_quick, queue_large, queue_background;
	uint64_t disk_free, memory_used;	/* bytes */
	uint64_t fin_p50_us, fin_p99_us;	/* of the last minute or two, as what follows */
	uint64_t sync_p50_us, sync_p99_us;
	uint64_t room_max_us;
	struct ft_latency_window fin_window, sync_window, room_window;
	int64_t window_ms;			/* when the windows are turned next */

	/* What was published last. */
	int64_t publish_ms;			/* when it is done next */
	uint64_t said[FT_METRICS_MAX];		/* UINT64_MAX: nothing */
};

struct ft_metric {
	size_t index;		/* below FT_METRICS_MAX, always the same for this metric */
	const char *topic;	/* behind the prefix */
	uint64_t value;
};

void ft_metrics_init(struct ft_metrics *metrics);

/* Visits all in the order of the table; those by word once they are not 0. */
void ft_metrics_each(const struct ft_metrics *metrics,
		     void (*visit)(void *context, const struct ft_metric *metric), void *context);

#endif
