/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/admin/sorted_page.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/sha256.h"
#include "engine/core.h"

/* An answer has no room for more; ids may be long. */
#define SORTED_BYTES_MAX ((size_t)512 * 1024)

static int sorted_compare_bytes(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t len = a_len < b_len ? a_len : b_len;
	int order = len > 0 ? memcmp(a, b, len) : 0;

	return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static int sorted_compare(const struct ft_control_place *a, const struct ft_control_place *b)
{
	int order = sorted_compare_bytes(a->value, a->value_len, b->value, b->value_len);

	return order != 0 ? order : sorted_compare_bytes(a->id, a->id_len, b->id, b->id_len);
}

struct ft_sorted_page *ft_sorted_page_new(size_t limit, const struct ft_control_place *after)
{
	struct ft_sorted_page *page =
		ft_core_alloc(sizeof *page + limit * sizeof page->entries[0]);

	assert(limit > 0);
	page->limit = limit;
	page->after = after;
	return page;
}

void ft_sorted_page_free(struct ft_sorted_page **page)
{
	if (!*page)
		return;
	for (size_t i = 0; i < (*page)->count; i++)
		free((*page)->entries[i]);
	free(*page);
	*page = NULL;
}

/* Where a place is, or belongs. */
static size_t sorted_find(const struct ft_sorted_page *page, const struct ft_control_place *place,
			  bool *found)
{
	size_t low = 0, high = page->count;

	*found = false;
	while (low < high && !*found) {
		size_t middle = low + (high - low) / 2;
		int order = sorted_compare(&page->entries[middle]->place, place);

		*found = order == 0;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return *found ? high : low;
}

static void sorted_drop_last(struct ft_sorted_page *page)
{
	struct ft_sorted_entry *last = page->entries[--page->count];

	page->bytes -= last->bytes;
	free(last);
}

/*
 * From now on nothing comes behind the entries that there are, or one that was left out, and has
 * been seen in part, could come back.
 */
static void sorted_close(struct ft_sorted_page *page)
{
	page->limit = page->count;
	page->more = true;
}

/* With a copy of place and key. */
static struct ft_sorted_entry *sorted_new(const struct ft_control_place *place,
					  const struct ft_key *key)
{
	size_t bytes = place->id_len + place->value_len + ft_key_room(key);
	struct ft_sorted_entry *entry = ft_core_alloc(sizeof *entry + bytes + 1);
	char *room = (char *)(entry + 1);

	entry->bytes = bytes;
	if (place->id_len > 0)
		memcpy(room, place->id, place->id_len);
	if (place->value_len > 0)
		memcpy(room + place->id_len, place->value, place->value_len);
	entry->place = (struct ft_control_place){
		.id = room, .id_len = place->id_len,
		.value = room + place->id_len, .value_len = place->value_len,
	};
	room += place->id_len + place->value_len;
	if (key->owner_len > 0)
		memcpy(room, key->owner, key->owner_len);
	if (key->file_len > 0)
		memcpy(room + key->owner_len, key->file, key->file_len);
	if (key->file)
		entry->file.key = (struct ft_key){ room, key->owner_len, room + key->owner_len,
						   key->file_len };
	else
		entry->client.key = (struct ft_key){ .owner = room, .owner_len = key->owner_len };
	return entry;
}

struct ft_sorted_entry *ft_sorted_page_take(struct ft_sorted_page *page,
					    const struct ft_control_place *place,
					    const struct ft_key *key)
{
	struct ft_sorted_entry *entry;
	bool found;
	size_t at;

	if (page->after->value && sorted_compare(place, page->after) <= 0)
		return NULL;
	at = sorted_find(page, place, &found);
	if (found)
		return page->entries[at];
	if (at == page->count && at > 0 && page->bytes > SORTED_BYTES_MAX)
		sorted_close(page);
	if (at == page->limit) {
		page->more = true;
		return NULL;
	}
	if (page->count == page->limit) {
		sorted_drop_last(page);
		page->more = true;
	}
	entry = sorted_new(place, key);
	memmove(&page->entries[at + 1], &page->entries[at],
		(page->count - at) * sizeof page->entries[0]);
	page->entries[at] = entry;
	page->count++;
	page->bytes += entry->bytes;
	while (page->bytes > SORTED_BYTES_MAX && page->count > at + 1) {
		sorted_drop_last(page);
		sorted_close(page);
	}
	return entry;
}

struct ft_control_place ft_sorted_place_of_owner(const char *owner, size_t len,
						 char id[FT_SORTED_ID_ROOM])
{
	struct ft_control_place place = { .value = owner, .value_len = len, .id = id };
	struct ft_buf hex = ft_buf_on(id, FT_SORTED_ID_ROOM);
	struct ft_sha256 digest;
	bool done;

	if (len <= FT_SORTED_OWNER_MAX)
		return place;
	done = ft_sha256_of(owner, len, &digest);	/* takes no memory */
	assert(done);
	(void)done;
	ft_buf_hex(&hex, digest.bytes, 8);
	place.id_len = hex.len;
	place.value_len = FT_SORTED_OWNER_MAX;
	return place;
}
