/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "spans.h"

#include <stdlib.h>
#include <string.h>

void spans_release(struct spans *spans)
{
	free(spans->items);
	*spans = (struct spans){0};
}

void spans_clear(struct spans *spans)
{
	spans->count = 0;
	spans->bytes = 0;
}

static bool make_room(struct spans *spans)
{
	if (spans->count < spans->room)
		return true;
	size_t room = spans->room ? spans->room * 2 : 16;
	struct span *items = realloc(spans->items, room * sizeof(*items));
	if (!items)
		return false;
	spans->items = items;
	spans->room = room;
	return true;
}

bool spans_give_back(struct spans *spans, const struct span *span)
{
	if (!span->len)
		return true;
	if (!make_room(spans))
		return false;
	spans->items[spans->count++] = *span;
	spans->bytes += span->len;
	return true;
}

bool spans_append(struct spans *spans, const struct span *span)
{
	if (!span->len)
		return true;
	if (spans->count && spans->items[0].offset + spans->items[0].len == span->offset) {
		spans->items[0].len += span->len;
	} else {
		if (!make_room(spans))
			return false;
		memmove(spans->items + 1, spans->items, spans->count * sizeof(*spans->items));
		spans->items[0] = *span;
		spans->count++;
	}
	spans->bytes += span->len;
	return true;
}

bool spans_set(struct spans *spans, const struct span *items, size_t count)
{
	spans_clear(spans);
	while (count > 0) {
		if (!spans_give_back(spans, &items[--count]))
			return false;
	}
	return true;
}

/* From the end to the start, because the front of the list is its last item. */
bool spans_set_missing(struct spans *spans, const struct span *have, size_t count, uint64_t size)
{
	uint64_t end = size;

	spans_clear(spans);
	while (count > 0) {
		const struct span *held = &have[--count];
		uint64_t held_end = held->offset + held->len;
		if (held_end < end) {
			struct span gap = { held_end, end - held_end };
			if (!spans_give_back(spans, &gap))
				return false;
		}
		if (held->offset < end)
			end = held->offset;
	}
	struct span first = { 0, end };
	return spans_give_back(spans, &first);
}

bool spans_take(struct spans *spans, uint64_t max, struct span *piece)
{
	if (!spans->count)
		return false;
	struct span *front = &spans->items[spans->count - 1];
	*piece = (struct span){ front->offset, front->len < max ? front->len : max };
	front->offset += piece->len;
	front->len -= piece->len;
	spans->bytes -= piece->len;
	if (!front->len)
		spans->count--;
	return true;
}
