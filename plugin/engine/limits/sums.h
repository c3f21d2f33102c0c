/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A sum for each owner, by the hash of its id: 64 bytes an owner at most, of those with a sum
 * above 0. With a million owners the chance that any two share a hash is 1 in 30 million.
 * Threads: the owner's.
 */
#ifndef FT_ENGINE_SUMS_H
#define FT_ENGINE_SUMS_H

#include <stddef.h>
#include <stdint.h>

#include "file_transfer/status.h"

struct ft_sum {
	uint64_t hash;		/* 0: a free place */
	uint64_t sum;
};

/* Zeroed it is empty. */
struct ft_sums {
	struct ft_sum *places;	/* owned */
	size_t room;		/* a power of two, or 0 */
	size_t used;		/* places that are not free; their sum may be 0 */
};

void ft_sums_release(struct ft_sums *sums);

/* Error: FT_NO_MEMORY, and nothing is added. */
enum ft_status ft_sums_add(struct ft_sums *sums, uint64_t hash, uint64_t amount) FT_MUST_USE;

/* Of what was added before; what was not, for want of memory, is not taken either. */
void ft_sums_subtract(struct ft_sums *sums, uint64_t hash, uint64_t amount);

uint64_t ft_sums_get(const struct ft_sums *sums, uint64_t hash);

#endif
