/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What is counted for operators. Whoever does a thing counts it, on the broker's thread:
 *
 *	e->metrics.completed++;
 *
 * What other threads measure comes as a struct ft_latency, in struct ft_core, or with their jobs.
 */
#ifndef FT_ENGINE_METRICS_H
#define FT_ENGINE_METRICS_H

#include <stdint.h>

#include "engine/latency.h"
#include "file_transfer/status.h"

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

	/* Now. */
	uint64_t quota_used;			/* bytes */
};

#endif
