/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The documents of all jobs, and whom they are for. An index never changes; the scanner makes
 * another one, and whoever holds the former still reads that.
 *
 *	index = ft_job_index_new(&documents);	documents is NULL then
 *	another = ft_job_index_hold(index);
 *	ft_job_index_drop(&index);		the last one frees it
 *
 * A document is an offer whose path is the job's id and whose meta is the text; stat.mtime_ns says
 * since when it is queued. Threads: any.
 */
#ifndef FT_ENGINE_JOB_INDEX_H
#define FT_ENGINE_JOB_INDEX_H

#include <stdatomic.h>

#include "engine/downloads/offers.h"

struct ft_job_index {
	atomic_size_t holders;
	struct ft_offers *documents;	/* owned; sorted */
};

/* Takes the documents. NULL: out of memory. */
struct ft_job_index *ft_job_index_new(struct ft_offers **documents);
struct ft_job_index *ft_job_index_hold(struct ft_job_index *index);

/* NULL inside is ignored. */
void ft_job_index_drop(struct ft_job_index **index);

#endif
