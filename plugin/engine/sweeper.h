/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What workers do to the store as a whole: find at start what an earlier process
 * left, and free what was thrown away.
 *
 * A scan comes back in parts: struct ft_scan_part messages with some transfers
 * each, and at the end the scan job itself. All are told apart by `sweep`.
 */
#ifndef FT_ENGINE_SWEEPER_H
#define FT_ENGINE_SWEEPER_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/request.h"
#include "file_transfer/store.h"
#include "engine/pool.h"

enum ft_sweep_kind {
	FT_SWEEP_SCAN,
	FT_SWEEP_PART,
	FT_SWEEP_PURGE,
};

/* What every job and message of the sweeper begins with. */
struct ft_sweep {
	struct ft_job job;
	enum ft_sweep_kind kind;
	enum ft_status status;		/* FT_CANCELLED: stopped before it was done */
};

struct ft_scan {
	struct ft_sweep sweep;
	struct ft_store *store;
};

#define FT_SCAN_PART_MAX 64

struct ft_scan_part {
	struct ft_sweep sweep;
	size_t count;
	struct {
		char *ids;		/* owned: client id, then file id */
		size_t client_len;
		size_t file_len;
		int64_t last_news;	/* Unix seconds */
		uint64_t segments_ttl;	/* seconds; 0: not asked for */
	} found[FT_SCAN_PART_MAX];
};

struct ft_purge {
	struct ft_sweep sweep;
	struct ft_trash *trash;		/* owned */
	struct ft_ticket *ticket;	/* owned; who waits for it, or NULL */
};

/* NULL: out of memory. */
struct ft_scan *ft_scan_new(struct ft_store *store);
struct ft_purge *ft_purge_new(void);

/* Frees any of them by its base. */
void ft_sweep_free(struct ft_sweep *sweep);

#endif
