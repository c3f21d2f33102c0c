/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The index of what is offered, and to whom: sorted, in memory, never changed once it is sorted.
 *
 *	offers = ft_offers_new();			the scanner's thread
 *	ft_offers_add(offers, &offer); ... ft_offers_sort(offers);
 *
 *	ft_viewer_init(&viewer, offers, client, user);	the broker's
 *	offer = ft_offers_look_up(offers, &viewer, path);
 */
#ifndef FT_ENGINE_OFFERS_H
#define FT_ENGINE_OFFERS_H

#include "protocol/groups.h"
#include "protocol/offer.h"

#define FT_OFFERS_BYTES_MAX ((size_t)32 * 1024 * 1024)	/* of one index, about 150,000 files */

struct ft_offers {
	size_t count, room, bytes;
	struct ft_offer *offer;		/* owned */
	struct ft_groups *groups;	/* owned; NULL: none */
	struct offers_chunk *chunks;	/* owned; the texts */
};

/* What a client sees with: its names on disk, and which groups it is in. */
struct ft_viewer {
	char client[FT_NAME_ROOM];
	char user[FT_NAME_ROOM];	/* "": it has none */
	uint8_t groups[FT_GROUPS_MAX / 8];
};

/* NULL: out of memory. */
struct ft_offers *ft_offers_new(void);
void ft_offers_free(struct ft_offers **offers);

/* Copies the text. FT_NO_MEMORY; FT_BUSY: the index is full. */
enum ft_status ft_offers_add(struct ft_offers *offers, const struct ft_offer *offer) FT_MUST_USE;
void ft_offers_sort(struct ft_offers *offers);

/* The one with this scope, whose and path, or NULL. */
struct ft_offer *ft_offers_find(const struct ft_offers *offers, const struct ft_offer *key);

/* Where those begin that come behind `key`, which need not be there. */
size_t ft_offers_behind(const struct ft_offers *offers, const struct ft_offer *key);

void ft_viewer_init(struct ft_viewer *viewer, const struct ft_offers *offers, const char *client,
		    const char *user);

/* What a client gets under a path: the first of client, user, groups, all; or NULL. */
const struct ft_offer *ft_offers_look_up(const struct ft_offers *offers,
					 const struct ft_viewer *viewer, const char *path);

/*
 * What a client gets under the paths that begin with `prefix` and come after `after`, ascending.
 * Returns how many are in `found`.
 */
size_t ft_offers_list(const struct ft_offers *offers, const struct ft_viewer *viewer,
		      const char *prefix, const char *after, const struct ft_offer *found[],
		      size_t max);

#endif
