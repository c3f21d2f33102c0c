/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Which ids are finished: a set of 64-bit hashes, 16 bytes a file at most.
 *
 * Who is not in it is not finished. Who is in it most probably is; the catalog knows.
 * Threads: the owner's.
 */
#ifndef FT_ENGINE_FINISHED_SET_H
#define FT_ENGINE_FINISHED_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "file_transfer/status.h"

struct ft_finished_set {
	uint64_t *slots;	/* 0: free */
	size_t room;		/* a power of two; 0: nothing allocated yet */
	size_t count;
};

void ft_finished_set_init(struct ft_finished_set *set);
void ft_finished_set_release(struct ft_finished_set *set);

/* Makes room for so many at once. Error: FT_NO_MEMORY. */
enum ft_status ft_finished_set_reserve(struct ft_finished_set *set, size_t count) FT_MUST_USE;

/*
 * Says that a hash will be added soon, while others are worked on: fetching its place from memory
 * takes longer than all the rest.
 */
void ft_finished_set_expect(const struct ft_finished_set *set, uint64_t hash);

/* Adds a hash; it may be there already. Error: FT_NO_MEMORY. */
enum ft_status ft_finished_set_add(struct ft_finished_set *set, uint64_t hash) FT_MUST_USE;

/* Takes a hash out, where it is in. */
void ft_finished_set_remove(struct ft_finished_set *set, uint64_t hash);

bool ft_finished_set_has(const struct ft_finished_set *set, uint64_t hash);

#endif
