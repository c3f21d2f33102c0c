/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What the threads of the engine share: the log, the store, and the ways between them.
 *
 * The broker's thread owns the registry and appends to the log. The writer owns unfinished
 * transfers in catalog and store. Finishers own a transfer from its fin on, until they give it
 * back. Each talks to the others by handing over jobs, see job.h.
 */
#ifndef FT_ENGINE_CORE_H
#define FT_ENGINE_CORE_H

#include <stdatomic.h>

#include "catalog/catalog.h"
#include "engine/job.h"
#include "engine/latency.h"
#include "engine/queue.h"
#include "file_transfer/logger.h"
#include "file_transfer/store.h"
#include "log/log.h"
#include "protocol/options.h"

/* Which finishers a job goes to. */
enum ft_lane {
	FT_LANE_QUICK,		/* small files, discards, lookups: never behind a large one */
	FT_LANE_LARGE,		/* files that take long to hash and to sync; option workers */
	FT_LANE_BACKGROUND,	/* checkpoints, tidying: nobody waits for them */
	FT_LANE_ADMIN,		/* what operators ask; served with option control only */
	FT_LANE_OFFERS,		/* looks for files to offer, and hashes them; option downloads */
	FT_LANE_DOWNLOAD,	/* reads blocks; options downloads and download_workers */
	FT_LANE_JOBS,		/* jobs of devices; option downloads jobs */
	FT_LANES
};

/* A file up to this many bytes is small. */
#define FT_SMALL_FILE ((uint64_t)1024 * 1024)

struct ft_things;

struct ft_core {
	const struct ft_options *options;
	struct ft_logger *logger;
	const struct ft_store_ops *ops;
	struct ft_store *store;
	struct ft_log *log;
	struct ft_catalog *catalog;	/* the writer's connection */
	struct ft_queue to_broker;
	struct ft_queue to_writer;
	struct ft_queue lanes[FT_LANES];
	atomic_size_t outstanding;	/* jobs that finishers have */
	/*
	 * The finisher of the quick lane has nothing to do, so the writer is woken by each fin. Else
	 * fins gather until it is through, which then wakes the writer itself: all go on together.
	 */
	atomic_bool quick_is_idle;
	atomic_bool stopping;		/* long work is given up; the next start goes on with it */
	struct ft_verify verify;	/* the worker's of FT_LANE_ADMIN; others look */
	struct ft_things *things;	/* the worker's of FT_LANE_JOBS; owned; NULL: there is none */
	atomic_bool disk_full;		/* the writer holds back what it cannot write */
	atomic_ullong later;		/* files that wait for the store, */
	atomic_ullong later_total;	/* and how often one had to, since the start */
	struct ft_latency sync;		/* waits of writer and finishers for the disk */
	void (*notify)(void *context);	/* makes the broker's thread look into to_broker */
	void (*block_free)(void *context, void *block);
	void *context;
};

/* Where a file of so many bytes is finished: FT_LANE_QUICK or FT_LANE_LARGE. */
enum ft_lane ft_core_finish_lane(const struct ft_core *core, uint64_t size);

/* Hand a job over, or all of a list, which is empty then, with one wake-up. */
void ft_core_tell_broker(struct ft_core *core, struct ft_job *job);
void ft_core_tell_broker_all(struct ft_core *core, struct ft_list *jobs);
void ft_core_tell_writer(struct ft_core *core, struct ft_job *job);
void ft_core_submit(struct ft_core *core, enum ft_lane lane, struct ft_job *job);
void ft_core_submit_all(struct ft_core *core, enum ft_lane lane, struct ft_list *jobs);

/*
 * Zeroed memory, for writer and finishers: what they do must be done, so where there is none
 * they wait for it. For the broker's thread there is calloc().
 */
void *ft_core_alloc(size_t size);

/* Waits a moment for memory; for what cannot use ft_core_alloc(). */
void ft_core_wait_for_memory(void);

/* Whether a thread had to wait for memory since this was asked last. */
bool ft_core_was_short_of_memory(void);

/*
 * Whether the file of this very transfer is visible: an earlier process may have published it
 * and been killed before the catalog knew. For the thread that owns the transfer.
 */
bool ft_core_is_published(const struct ft_core *core, struct ft_catalog *catalog,
			  const struct ft_facts *facts, uint64_t size);

/* Sync, and measure how long it takes. */
enum ft_status ft_core_sync_upload(struct ft_core *core, struct ft_upload *upload) FT_MUST_USE;
enum ft_status ft_core_sync_catalog(struct ft_core *core, struct ft_catalog *catalog) FT_MUST_USE;

/* A line about a transfer: "client 'c', file 'f': ..." */
__attribute__((format(printf, 4, 5)))
void ft_core_log(const struct ft_core *core, enum ft_log_level level, const struct ft_key *key,
		 const char *format, ...);

#endif
