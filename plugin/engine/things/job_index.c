/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/things/job_index.h"

#include <stdlib.h>

struct ft_job_index *ft_job_index_new(struct ft_offers **documents)
{
	struct ft_job_index *index = calloc(1, sizeof *index);

	if (!index)
		return NULL;
	atomic_init(&index->holders, 1);
	index->documents = *documents;
	*documents = NULL;
	return index;
}

struct ft_job_index *ft_job_index_hold(struct ft_job_index *index)
{
	atomic_fetch_add(&index->holders, 1);
	return index;
}

void ft_job_index_drop(struct ft_job_index **pointer)
{
	struct ft_job_index *index = *pointer;

	*pointer = NULL;
	if (!index || atomic_fetch_sub(&index->holders, 1) > 1)
		return;
	ft_offers_free(&index->documents);
	free(index);
}
