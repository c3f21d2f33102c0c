/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The first so many entries behind a place, in the order of their places, out of many that come in
 * any order: how a worker makes a sorted page of a catalog that has no index for it, in bounded
 * memory.
 *
 *	page = ft_sorted_page_new(limit, &command->place);
 *	for each of all: if ((entry = ft_sorted_page_take(page, &place, &key)) != NULL) fill it in
 *	for (i = 0; i < page->count; i++) write page->entries[i]
 *	if (page->more) the next page begins behind the last entry that was written
 *	ft_sorted_page_free(&page);
 *
 * Threads: a page belongs to one at a time.
 */
#ifndef FT_ENGINE_SORTED_PAGE_H
#define FT_ENGINE_SORTED_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/control.h"
#include "protocol/facts.h"

#define FT_SORTED_OWNER_MAX ((size_t)1024)	/* bytes of an owner's id that sort it; then its hash does */
#define FT_SORTED_ID_ROOM 20

struct ft_sorted_entry {
	struct ft_control_place place;	/* its own; points behind this, as the keys do */
	size_t bytes;			/* of place and key */
	union {
		struct ft_finished file;
		struct {
			struct ft_key key;	/* no file */
			uint64_t files, file_bytes;
			int64_t latest_ms;	/* Unix ms; of the file that was completed last; 0: none */
		} client;
	};
};

struct ft_sorted_page {
	size_t limit, count;
	size_t bytes;			/* of the places and keys */
	bool more;			/* there are entries behind the last one */
	const struct ft_control_place *after;	/* borrowed */
	struct ft_sorted_entry *entries[];	/* owned; room for `limit` */
};

/* For workers: waits for memory where there is none. `after` is borrowed; its value may be NULL. */
struct ft_sorted_page *ft_sorted_page_new(size_t limit, const struct ft_control_place *after);

/* NULL inside is ignored. */
void ft_sorted_page_free(struct ft_sorted_page **page);

/*
 * The entry of this place, until the next call: the one that is there, or a new one, zeros but for
 * place and key (whose file may be NULL). NULL: it is not on this page.
 */
struct ft_sorted_entry *ft_sorted_page_take(struct ft_sorted_page *page,
					    const struct ft_control_place *place,
					    const struct ft_key *key);

/* The place of an owner; borrows from it and from `id`. */
struct ft_control_place ft_sorted_place_of_owner(const char *owner, size_t len,
						 char id[FT_SORTED_ID_ROOM]);

#endif
