/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Which bytes of a file are here: ranges in ascending order, none touching another.
 *
 *	struct held held = {0};
 *	held_add(&held, &(struct span){ 0, 65536 });
 *	spans_set_missing(&todo, held.items, held.count, size);
 *	held_release(&held);
 */
#ifndef FT_GET_HELD_H
#define FT_GET_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/spans.h"

struct held {
	struct span *items;
	size_t count;
	size_t room;
	uint64_t bytes;
};

/* Adds what may be there already, in part. False: no memory. */
bool held_add(struct held *held, const struct span *span);

/* How far it goes on from `offset` without a gap; `offset` itself where that byte is lacking. */
uint64_t held_end(const struct held *held, uint64_t offset);

void held_release(struct held *held);

#endif
