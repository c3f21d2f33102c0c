/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A set of byte ranges: which bytes of a file are held.
 *
 * Ranges are half open, [start, end), kept disjoint, ascending and merged where
 * they touch. A transfer that arrives in order is one range whatever its size.
 *
 *	struct ft_ranges held;
 *	ft_ranges_init(&held);
 *	if ((st = ft_ranges_add(&held, offset, offset + len)) != FT_OK) ...
 *	ft_ranges_release(&held);
 *
 * Every operation is O(log n) in the number of ranges plus a bounded memmove,
 * so a client that sends 1-byte segments at odd offsets cannot make the broker
 * slow; more than FT_RANGES_MAX ranges are refused.
 *
 * Threads: none of its own; the owner serialises.
 */
#ifndef FILE_TRANSFER_RANGES_H
#define FILE_TRANSFER_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "file_transfer/status.h"

#define FT_RANGES_MAX ((size_t)262144)

struct ft_range {
	uint64_t start;
	uint64_t end;
};

struct ft_ranges_chunk;

struct ft_ranges {
	struct ft_ranges_chunk **chunks;	/* private */
	size_t chunk_count;			/* private */
	size_t chunk_room;			/* private */
	size_t count;				/* ranges in the set */
	uint64_t bytes;				/* bytes in the set */
};

/* Makes an empty set; allocates nothing, cannot fail. */
void ft_ranges_init(struct ft_ranges *ranges);

/* Frees what the set owns and leaves it empty and usable. */
void ft_ranges_release(struct ft_ranges *ranges);

/*
 * Makes sure that adding [start, end), or removing just these bytes, cannot fail if it
 * is the next change of the set.
 * Errors: FT_QUOTA_EXCEEDED (would be more than FT_RANGES_MAX ranges), FT_NO_MEMORY.
 */
enum ft_status ft_ranges_prepare(struct ft_ranges *ranges, uint64_t start, uint64_t end) FT_MUST_USE;

/*
 * Adds [start, end), start <= end (equal: nothing happens).
 * Errors: as ft_ranges_prepare; the set is then unchanged.
 */
enum ft_status ft_ranges_add(struct ft_ranges *ranges, uint64_t start, uint64_t end) FT_MUST_USE;

/*
 * Adds what has been accepted before: FT_RANGES_MAX does not stop it, since in another
 * order there may be more ranges on the way. Error: FT_NO_MEMORY.
 */
enum ft_status ft_ranges_restore(struct ft_ranges *ranges, uint64_t start, uint64_t end) FT_MUST_USE;

/*
 * Removes [start, end); what is not in the set is ignored.
 * Error: FT_NO_MEMORY (cutting the middle out of a range makes two of it); the set is
 * then unchanged. FT_RANGES_MAX does not stop it: what is lost must not count as held.
 */
enum ft_status ft_ranges_remove(struct ft_ranges *ranges, uint64_t start, uint64_t end) FT_MUST_USE;

/* Makes `to` an equal, independent set; `to` must be initialised. Error: FT_NO_MEMORY, `to` is then empty. */
enum ft_status ft_ranges_copy(struct ft_ranges *to, const struct ft_ranges *from) FT_MUST_USE;

/* Whether every byte of [start, end) is in the set; an empty range is. */
bool ft_ranges_cover(const struct ft_ranges *ranges, uint64_t start, uint64_t end);

/* Whether any byte of [start, end) is in the set. */
bool ft_ranges_overlap(const struct ft_ranges *ranges, uint64_t start, uint64_t end);

/*
 * The first range that ends after `from`, whole (it may start before `from`).
 * Iterate with from = 0, then from = range.end. Returns false at the end.
 */
bool ft_ranges_next(const struct ft_ranges *ranges, uint64_t from, struct ft_range *range);

/*
 * The first gap in [from, limit): bytes that are not in the set.
 * Iterate with from = gap.end. Returns false where there is none.
 */
bool ft_ranges_next_gap(const struct ft_ranges *ranges, uint64_t from, uint64_t limit,
			struct ft_range *gap);

#endif
