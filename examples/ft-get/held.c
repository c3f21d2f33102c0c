/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "held.h"

#include <stdlib.h>
#include <string.h>

static uint64_t held_end_of(const struct span *span)
{
	return span->offset + span->len;
}

static bool held_make_room(struct held *held)
{
	if (held->count < held->room)
		return true;
	size_t room = held->room ? held->room * 2 : 16;
	struct span *items = realloc(held->items, room * sizeof(*items));
	if (!items)
		return false;
	held->items = items;
	held->room = room;
	return true;
}

bool held_add(struct held *held, const struct span *span)
{
	struct span whole = *span;
	size_t first = held->count, last;

	if (!span->len)
		return true;
	if (!held_make_room(held))
		return false;
	/* Mostly it is added at the end. */
	while (first > 0 && held_end_of(&held->items[first - 1]) >= span->offset)
		first--;
	for (last = first; last < held->count && held->items[last].offset <= held_end_of(span); last++) {
		const struct span *old = &held->items[last];
		uint64_t end = held_end_of(old) > held_end_of(&whole) ? held_end_of(old)
								      : held_end_of(&whole);
		whole.offset = old->offset < whole.offset ? old->offset : whole.offset;
		whole.len = end - whole.offset;
		held->bytes -= old->len;
	}
	memmove(held->items + first + 1, held->items + last,
		(held->count - last) * sizeof(*held->items));
	held->items[first] = whole;
	held->count = held->count - (last - first) + 1;
	held->bytes += whole.len;
	return true;
}

uint64_t held_end(const struct held *held, uint64_t offset)
{
	for (size_t i = 0; i < held->count; i++) {
		const struct span *span = &held->items[i];
		if (span->offset > offset)
			break;
		if (held_end_of(span) > offset)
			return held_end_of(span);
	}
	return offset;
}

void held_release(struct held *held)
{
	free(held->items);
	*held = (struct held){0};
}
