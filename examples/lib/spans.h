/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What is still to be sent: a list of byte spans, taken from the front.
 *
 *	struct spans todo = {0};
 *	spans_set_missing(&todo, have, have_count, size);
 *	while (spans_take(&todo, 65536, &piece)) ...
 *	spans_give_back(&todo, &piece);		the broker wants it again
 *	spans_release(&todo);
 *
 * An all-zero struct is an empty list. The list is as long as the transfer has
 * gaps, not as long as it has segments.
 */
#ifndef EXAMPLES_SPANS_H
#define EXAMPLES_SPANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
	uint64_t offset;
	uint64_t len;
};

struct spans {
	struct span *items;	/* items[count - 1] is the front */
	size_t count;
	size_t room;
	uint64_t bytes;		/* in all items */
};

/* Frees the list and leaves it empty. */
void spans_release(struct spans *spans);

/* Forgets all items. */
void spans_clear(struct spans *spans);

/* Puts `span` at the front; an empty one is ignored. False when out of memory. */
bool spans_give_back(struct spans *spans, const struct span *span);

/* Puts `span` at the back. False when out of memory. */
bool spans_append(struct spans *spans, const struct span *span);

/* Replaces the list by these, in this order. False when out of memory. */
bool spans_set(struct spans *spans, const struct span *items, size_t count);

/* Replaces the list by the gaps between `have` (ascending, disjoint) in [0, size). */
bool spans_set_missing(struct spans *spans, const struct span *have, size_t count, uint64_t size);

/* Takes at most `max` bytes from the front; false when nothing is left. */
bool spans_take(struct spans *spans, uint64_t max, struct span *piece);

#endif
