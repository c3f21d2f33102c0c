/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A sorted array in two levels: an index of chunks, each a sorted array of ranges.
 * Ranges neither overlap nor touch, so that ends ascend as starts do and one binary
 * search by end finds every place there is. No chunk is empty, except that an empty
 * set may own one that ft_ranges_prepare() got for it.
 */
#include "file_transfer/ranges.h"

#include <assert.h>

#ifndef FT_RANGES_CHUNK
#define FT_RANGES_CHUNK 128	/* ranges in a chunk at most */
#endif
#define CHUNK_FIRST_ROOM 2

_Static_assert(FT_RANGES_CHUNK >= 2 * CHUNK_FIRST_ROOM, "a chunk can be split in two");

struct ft_ranges_chunk {
	uint32_t count;
	uint32_t room;
	struct ft_range items[];
};

/* Where a range is; past the last one it is { chunk_count, 0 }. */
struct place {
	size_t chunk;
	size_t item;
};

void ft_ranges_init(struct ft_ranges *ranges)
{
	*ranges = (struct ft_ranges){ 0 };
}

void ft_ranges_release(struct ft_ranges *ranges)
{
	for (size_t i = 0; i < ranges->chunk_count; i++)
		free(ranges->chunks[i]);
	free(ranges->chunks);
	ft_ranges_init(ranges);
}

/* The first range that ends after `offset`. */
static struct place ranges_seek(const struct ft_ranges *ranges, uint64_t offset)
{
	const struct ft_ranges_chunk *chunk;
	struct place place = { 0, 0 };
	size_t above = ranges->chunk_count;

	if (ranges->count == 0)
		return (struct place){ ranges->chunk_count, 0 };
	/* Most files come in order: what is asked for is the first range, or beyond the last. */
	if (ranges->chunks[0]->items[0].end > offset)
		return place;
	chunk = ranges->chunks[above - 1];
	if (chunk->items[chunk->count - 1].end <= offset)
		return (struct place){ above, 0 };
	while (place.chunk < above) {
		size_t middle = place.chunk + (above - place.chunk) / 2;

		chunk = ranges->chunks[middle];
		if (chunk->items[chunk->count - 1].end > offset)
			above = middle;
		else
			place.chunk = middle + 1;
	}
	chunk = ranges->chunks[place.chunk];
	above = chunk->count;
	while (place.item < above) {
		size_t middle = place.item + (above - place.item) / 2;

		if (chunk->items[middle].end > offset)
			above = middle;
		else
			place.item = middle + 1;
	}
	return place;
}

/* The first range that holds or touches `offset`, or lies beyond it: ends at it or later. */
static struct place ranges_seek_touching(const struct ft_ranges *ranges, uint64_t offset)
{
	/* Ends are at least 1, so all of them are after 0 and none is missed there. */
	return ranges_seek(ranges, offset > 0 ? offset - 1 : 0);
}

static struct ft_range *ranges_at(const struct ft_ranges *ranges, struct place place)
{
	if (place.chunk == ranges->chunk_count)
		return NULL;
	return &ranges->chunks[place.chunk]->items[place.item];
}

static struct place ranges_after(const struct ft_ranges *ranges, struct place place)
{
	if (++place.item == ranges->chunks[place.chunk]->count)
		place = (struct place){ place.chunk + 1, 0 };
	return place;
}

static bool ranges_same(struct place a, struct place b)
{
	return a.chunk == b.chunk && a.item == b.item;
}

static struct ft_ranges_chunk *ranges_chunk_resize(struct ft_ranges_chunk *chunk, uint32_t room)
{
	uint32_t count = chunk ? chunk->count : 0;
	struct ft_ranges_chunk *resized =
		realloc(chunk, sizeof *chunk + room * sizeof chunk->items[0]);

	if (!resized)
		return NULL;
	resized->count = count;
	resized->room = room;
	return resized;
}

static bool ranges_reserve_index(struct ft_ranges *ranges)
{
	struct ft_ranges_chunk **chunks;
	size_t room = ranges->chunk_room > 0 ? 2 * ranges->chunk_room : 1;

	if (ranges->chunk_count < ranges->chunk_room)
		return true;
	chunks = realloc(ranges->chunks, room * sizeof *chunks);
	if (!chunks)
		return false;
	ranges->chunks = chunks;
	ranges->chunk_room = room;
	return true;
}

/* Moves the items from `from` on into a chunk of their own, behind. */
static bool ranges_chunk_split(struct ft_ranges *ranges, size_t position, uint32_t from)
{
	struct ft_ranges_chunk *low = ranges->chunks[position];
	struct ft_ranges_chunk *high;

	if (!ranges_reserve_index(ranges) || !(high = ranges_chunk_resize(NULL, FT_RANGES_CHUNK)))
		return false;
	high->count = low->count - from;
	memcpy(high->items, &low->items[from], high->count * sizeof low->items[0]);
	low->count = from;
	memmove(&ranges->chunks[position + 2], &ranges->chunks[position + 1],
		(ranges->chunk_count - position - 1) * sizeof *ranges->chunks);
	ranges->chunks[position + 1] = high;
	ranges->chunk_count++;
	return true;
}

/* Where a new range that belongs before `place` is put: never at the end of everything. */
static struct place ranges_slot_for(const struct ft_ranges *ranges, struct place place)
{
	if (place.chunk < ranges->chunk_count || ranges->chunk_count == 0)
		return place;
	place.chunk--;
	place.item = ranges->chunks[place.chunk]->count;
	return place;
}

/* Gives the chunk at `position`, or an empty set its first one, more room. */
static bool ranges_chunk_grow(struct ft_ranges *ranges, size_t position)
{
	bool is_first = ranges->chunk_count == 0;
	struct ft_ranges_chunk *chunk = is_first ? NULL : ranges->chunks[position];
	uint32_t room = is_first ? CHUNK_FIRST_ROOM : 2 * chunk->room;

	if (is_first && !ranges_reserve_index(ranges))
		return false;
	chunk = ranges_chunk_resize(chunk, room < FT_RANGES_CHUNK ? room : FT_RANGES_CHUNK);
	if (!chunk)
		return false;
	ranges->chunks[position] = chunk;
	ranges->chunk_count += is_first;
	return true;
}

/*
 * Makes sure that one range more can be put before `place` or, where there is a
 * range, behind it. The set of ranges is the same as before, but `place` is stale.
 */
static enum ft_status ranges_reserve(struct ft_ranges *ranges, struct place place)
{
	struct place slot = ranges_slot_for(ranges, place);
	struct ft_ranges_chunk *chunk = ranges->chunk_count > 0 ? ranges->chunks[slot.chunk] : NULL;
	bool done;

	if (chunk && chunk->count < chunk->room)
		return FT_OK;
	if (!chunk || chunk->room < FT_RANGES_CHUNK)
		done = ranges_chunk_grow(ranges, slot.chunk);
	else /* Who only appends leaves full chunks behind. */
		done = ranges_chunk_split(ranges, slot.chunk,
				   slot.item == chunk->count ? chunk->count - 1 : chunk->count / 2);
	return done ? FT_OK : FT_NO_MEMORY;
}

/* Puts a range at `slot`, which is reserved. */
static void ranges_insert(struct ft_ranges *ranges, struct place slot, struct ft_range range)
{
	struct ft_ranges_chunk *chunk = ranges->chunks[slot.chunk];

	memmove(&chunk->items[slot.item + 1], &chunk->items[slot.item],
		(chunk->count - slot.item) * sizeof chunk->items[0]);
	chunk->items[slot.item] = range;
	chunk->count++;
	ranges->count++;
	ranges->bytes += range.end - range.start;
}

/* Takes the chunks [first, end) out of the index and frees them. */
static void ranges_index_erase(struct ft_ranges *ranges, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++)
		free(ranges->chunks[i]);
	memmove(&ranges->chunks[first], &ranges->chunks[end],
		(ranges->chunk_count - end) * sizeof *ranges->chunks);
	ranges->chunk_count -= end - first;
}

/* Without this, filling and thinning out in turn could leave a chunk for every range. */
static void ranges_chunk_join_next(struct ft_ranges *ranges, size_t position)
{
	struct ft_ranges_chunk *low = ranges->chunks[position];
	struct ft_ranges_chunk *high = ranges->chunks[position + 1];
	uint32_t count = low->count + high->count;

	if (count > FT_RANGES_CHUNK / 2)
		return;
	if (count > low->room) {
		low = ranges_chunk_resize(low, count);
		if (!low)
			return;
		ranges->chunks[position] = low;
	}
	memcpy(&low->items[low->count], high->items, high->count * sizeof high->items[0]);
	low->count = count;
	ranges_index_erase(ranges, position + 1, position + 2);
}

static void ranges_chunk_shrink(struct ft_ranges *ranges, size_t position)
{
	struct ft_ranges_chunk *chunk = ranges->chunks[position];

	if (chunk->count > chunk->room / 4)
		return;
	chunk = ranges_chunk_resize(chunk, 2 * chunk->count);
	if (chunk)
		ranges->chunks[position] = chunk;
}

static void ranges_index_shrink(struct ft_ranges *ranges)
{
	struct ft_ranges_chunk **chunks;
	size_t room = 2 * ranges->chunk_count;

	if (ranges->chunk_count > ranges->chunk_room / 4)
		return;
	chunks = realloc(ranges->chunks, room * sizeof *chunks);
	if (!chunks)
		return;
	ranges->chunks = chunks;
	ranges->chunk_room = room;
}

/*
 * Gives room back after ranges were taken out of the chunk at `position`, of the one
 * behind it, or of both. Where memory cannot be moved things stay as they are.
 */
static void ranges_tidy(struct ft_ranges *ranges, size_t position)
{
	size_t first = position > 0 ? position - 1 : 0;

	if (ranges->count == 0) {
		ft_ranges_release(ranges);
		return;
	}
	for (size_t i = position + 2; i-- > first;)
		if (i + 1 < ranges->chunk_count)
			ranges_chunk_join_next(ranges, i);
	for (size_t i = first; i < position + 2 && i < ranges->chunk_count; i++)
		ranges_chunk_shrink(ranges, i);
	ranges_index_shrink(ranges);
}

/* Takes the ranges out that a walk from `from` to before `to` meets. */
static void ranges_erase(struct ft_ranges *ranges, struct place from, struct place to)
{
	if (ranges_same(from, to))
		return;
	for (struct place p = from; !ranges_same(p, to); p = ranges_after(ranges, p)) {
		ranges->bytes -= ranges_at(ranges, p)->end - ranges_at(ranges, p)->start;
		ranges->count--;
	}
	if (from.chunk < to.chunk) {
		size_t first_gone = from.item > 0 ? from.chunk + 1 : from.chunk;

		if (from.item > 0)
			ranges->chunks[from.chunk]->count = (uint32_t)from.item;
		ranges_index_erase(ranges, first_gone, to.chunk);
		to.chunk = first_gone;
		from = (struct place){ first_gone, 0 };
	}
	if (to.item > 0) {
		struct ft_ranges_chunk *chunk = ranges->chunks[to.chunk];

		memmove(&chunk->items[from.item], &chunk->items[to.item],
			(chunk->count - to.item) * sizeof chunk->items[0]);
		chunk->count -= (uint32_t)(to.item - from.item);
	}
	ranges_tidy(ranges, from.chunk > 0 ? from.chunk - 1 : 0);
}

enum ft_status ft_ranges_prepare(struct ft_ranges *ranges, uint64_t start, uint64_t end)
{
	struct place place = ranges_seek_touching(ranges, start);
	const struct ft_range *next = ranges_at(ranges, place);

	assert(start <= end);
	if (start == end)
		return FT_OK;
	if (!next || next->start > end) {
		if (ranges->count >= FT_RANGES_MAX)
			return FT_QUOTA_EXCEEDED;
		return ranges_reserve(ranges, place);
	}
	/* Adding changes nothing here, but removing makes two ranges of one. */
	if (next->start < start && next->end > end)
		return ranges_reserve(ranges, place);
	return FT_OK;
}

/* Replaces the ranges from `first` on that [start, end) touches by one; `first` is one of them. */
static void ranges_merge(struct ft_ranges *ranges, struct place first, uint64_t start, uint64_t end)
{
	struct place last = ranges_seek(ranges, end);
	struct ft_range *merged = ranges_at(ranges, first);
	const struct ft_range *overlapping = ranges_at(ranges, last);

	if (merged->start < start)
		start = merged->start;
	if (overlapping && overlapping->start <= end) {
		end = overlapping->end;
		last = ranges_after(ranges, last);
	}
	ranges->bytes -= merged->end - merged->start;
	*merged = (struct ft_range){ start, end };
	ranges->bytes += end - start;
	ranges_erase(ranges, ranges_after(ranges, first), last);
}

enum ft_status ft_ranges_add(struct ft_ranges *ranges, uint64_t start, uint64_t end)
{
	if (ranges->count >= FT_RANGES_MAX &&
	    ft_ranges_prepare(ranges, start, end) == FT_QUOTA_EXCEEDED)
		return FT_QUOTA_EXCEEDED;
	return ft_ranges_restore(ranges, start, end);
}

enum ft_status ft_ranges_restore(struct ft_ranges *ranges, uint64_t start, uint64_t end)
{
	struct place place = ranges_seek_touching(ranges, start);
	const struct ft_range *next = ranges_at(ranges, place);
	enum ft_status st;

	assert(start <= end);
	if (start == end)
		return FT_OK;
	if (next && next->start <= end) {
		ranges_merge(ranges, place, start, end);
		return FT_OK;
	}
	if ((st = ranges_reserve(ranges, place)) != FT_OK)
		return st;
	place = ranges_slot_for(ranges, ranges_seek_touching(ranges, start));
	ranges_insert(ranges, place, (struct ft_range){ start, end });
	return FT_OK;
}

/* Cuts [start, end) out of the range at `place`, which goes on on both sides. */
static enum ft_status ranges_cut_out(struct ft_ranges *ranges, struct place place, uint64_t start,
			      uint64_t end)
{
	enum ft_status st = ranges_reserve(ranges, place);
	struct ft_range *low;
	struct ft_range high;

	if (st != FT_OK)
		return st;
	place = ranges_seek(ranges, start);
	low = ranges_at(ranges, place);
	high = (struct ft_range){ end, low->end };
	ranges->bytes -= low->end - start;
	low->end = start;
	ranges_insert(ranges, (struct place){ place.chunk, place.item + 1 }, high);
	return FT_OK;
}

enum ft_status ft_ranges_remove(struct ft_ranges *ranges, uint64_t start, uint64_t end)
{
	struct place from = ranges_seek(ranges, start);
	struct ft_range *first = ranges_at(ranges, from);
	struct ft_range *last;
	struct place to;

	assert(start <= end);
	if (start == end || !first || first->start >= end)
		return FT_OK;
	if (first->start < start && first->end > end)
		return ranges_cut_out(ranges, from, start, end);
	if (first->start < start) {
		ranges->bytes -= first->end - start;
		first->end = start;
		from = ranges_after(ranges, from);
	}
	to = ranges_seek(ranges, end);
	last = ranges_at(ranges, to);
	if (last && last->start < end) {
		ranges->bytes -= end - last->start;
		last->start = end;
	}
	ranges_erase(ranges, from, to);
	return FT_OK;
}

static struct ft_ranges_chunk *ranges_chunk_copy(const struct ft_ranges_chunk *from)
{
	uint32_t room = from->count > CHUNK_FIRST_ROOM ? from->count : CHUNK_FIRST_ROOM;
	struct ft_ranges_chunk *copy = ranges_chunk_resize(NULL, room);

	if (!copy)
		return NULL;
	copy->count = from->count;
	memcpy(copy->items, from->items, from->count * sizeof from->items[0]);
	return copy;
}

enum ft_status ft_ranges_copy(struct ft_ranges *to, const struct ft_ranges *from)
{
	assert(to != from);
	ft_ranges_release(to);
	if (from->count == 0)
		return FT_OK;
	to->chunks = malloc(from->chunk_count * sizeof *to->chunks);
	if (!to->chunks)
		return FT_NO_MEMORY;
	to->chunk_room = from->chunk_count;
	for (; to->chunk_count < from->chunk_count; to->chunk_count++) {
		to->chunks[to->chunk_count] = ranges_chunk_copy(from->chunks[to->chunk_count]);
		if (!to->chunks[to->chunk_count]) {
			ft_ranges_release(to);
			return FT_NO_MEMORY;
		}
	}
	to->count = from->count;
	to->bytes = from->bytes;
	return FT_OK;
}

bool ft_ranges_cover(const struct ft_ranges *ranges, uint64_t start, uint64_t end)
{
	const struct ft_range *range = ranges_at(ranges, ranges_seek(ranges, start));

	assert(start <= end);
	return start == end || (range && range->start <= start && range->end >= end);
}

bool ft_ranges_overlap(const struct ft_ranges *ranges, uint64_t start, uint64_t end)
{
	const struct ft_range *range = ranges_at(ranges, ranges_seek(ranges, start));

	assert(start <= end);
	return start < end && range && range->start < end;
}

bool ft_ranges_next(const struct ft_ranges *ranges, uint64_t from, struct ft_range *range)
{
	const struct ft_range *found = ranges_at(ranges, ranges_seek(ranges, from));

	if (!found)
		return false;
	*range = *found;
	return true;
}

bool ft_ranges_next_gap(const struct ft_ranges *ranges, uint64_t from, uint64_t limit,
			struct ft_range *gap)
{
	struct place place = ranges_seek(ranges, from);
	const struct ft_range *range = ranges_at(ranges, place);

	/* Ranges do not touch: behind the one that holds `from` there is a gap. */
	if (range && range->start <= from) {
		from = range->end;
		range = ranges_at(ranges, ranges_after(ranges, place));
	}
	if (from >= limit)
		return false;
	*gap = (struct ft_range){ from, range && range->start < limit ? range->start : limit };
	return true;
}
