/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/downloads/offers.h"

#include <stdlib.h>
#include <string.h>

#define OFFERS_CHUNK ((size_t)64 * 1024)
#define OFFERS_FIRST_ROOM 64
#define OFFERS_RUNS_MAX (FT_GROUPS_MAX + 3)

/* Texts lie one behind the other. */
struct offers_chunk {
	struct offers_chunk *next;
	size_t used;
	char text[OFFERS_CHUNK];
};

struct ft_offers *ft_offers_new(void)
{
	return calloc(1, sizeof(struct ft_offers));
}

void ft_offers_free(struct ft_offers **pointer)
{
	struct ft_offers *offers = *pointer;
	struct offers_chunk *chunk;

	if (!offers)
		return;
	while ((chunk = offers->chunks) != NULL) {
		offers->chunks = chunk->next;
		free(chunk);
	}
	ft_groups_free(&offers->groups);
	free(offers->offer);
	free(offers);
	*pointer = NULL;
}

/* A copy with a NUL; NULL: out of memory. No text is as long as a chunk. */
static const char *offers_copy(struct ft_offers *offers, const char *text, size_t len)
{
	struct offers_chunk *chunk = offers->chunks;
	char *to;

	if (len == 0)
		return "";
	if (!chunk || OFFERS_CHUNK - chunk->used <= len) {
		if (!(chunk = malloc(sizeof *chunk)))
			return NULL;
		chunk->next = offers->chunks;
		chunk->used = 0;
		offers->chunks = chunk;
	}
	to = chunk->text + chunk->used;
	memcpy(to, text, len);
	to[len] = '\0';
	chunk->used += len + 1;
	offers->bytes += len + 1;
	return to;
}

static enum ft_status offers_grow(struct ft_offers *offers)
{
	size_t room = offers->room ? 2 * offers->room : OFFERS_FIRST_ROOM;
	struct ft_offer *larger;

	if (offers->count < offers->room)
		return FT_OK;
	if (!(larger = realloc(offers->offer, room * sizeof *larger)))
		return FT_NO_MEMORY;
	offers->offer = larger;
	offers->room = room;
	return FT_OK;
}

enum ft_status ft_offers_add(struct ft_offers *offers, const struct ft_offer *offer)
{
	struct ft_offer copy = *offer;

	if (offers->bytes + offers->count * sizeof *offer >= FT_OFFERS_BYTES_MAX)
		return FT_BUSY;
	copy.whose = offers_copy(offers, offer->whose, strlen(offer->whose));
	copy.path = offers_copy(offers, offer->path, strlen(offer->path));
	copy.meta.at = offers_copy(offers, offer->meta.at, offer->meta.len);
	if (!copy.whose || !copy.path || !copy.meta.at || offers_grow(offers) != FT_OK)
		return FT_NO_MEMORY;
	offers->offer[offers->count++] = copy;
	return FT_OK;
}

static int offers_compare(const void *a, const void *b)
{
	return ft_offer_compare(a, b);
}

void ft_offers_sort(struct ft_offers *offers)
{
	if (offers->count > 0)
		qsort(offers->offer, offers->count, sizeof *offers->offer, offers_compare);
}

/* The first that is not before `key`. */
static size_t offers_lower_bound(const struct ft_offers *offers, const struct ft_offer *key)
{
	size_t low = 0, high = offers->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ft_offer_compare(&offers->offer[middle], key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct ft_offer *ft_offers_find(const struct ft_offers *offers, const struct ft_offer *key)
{
	size_t i = offers_lower_bound(offers, key);

	return i < offers->count && ft_offer_compare(&offers->offer[i], key) == 0
		? &offers->offer[i] : NULL;
}

size_t ft_offers_behind(const struct ft_offers *offers, const struct ft_offer *key)
{
	size_t i = offers_lower_bound(offers, key);

	return i < offers->count && ft_offer_compare(&offers->offer[i], key) == 0 ? i + 1 : i;
}

/* --- who sees what --- */

void ft_viewer_init(struct ft_viewer *viewer, const struct ft_offers *offers, const char *client,
		    const char *user)
{
	const struct ft_groups *groups = offers->groups;

	memset(viewer, 0, sizeof *viewer);
	ft_escape(viewer->client, client, strlen(client));
	if (user)
		ft_escape(viewer->user, user, strlen(user));
	for (size_t i = 0; groups && i < groups->count; i++)
		if (ft_group_has(&groups->group[i], client, user))
			viewer->groups[i / 8] |= (uint8_t)(1 << i % 8);
}

/* A key that is to be completed by a path, for each folder that a client sees. */
static size_t offers_runs(const struct ft_offers *offers, const struct ft_viewer *viewer,
			  struct ft_offer runs[OFFERS_RUNS_MAX])
{
	const struct ft_groups *groups = offers->groups;
	size_t count = 0;

	runs[count++] = (struct ft_offer){ .scope = FT_OFFER_CLIENT, .whose = viewer->client };
	if (viewer->user[0])
		runs[count++] = (struct ft_offer){ .scope = FT_OFFER_USER, .whose = viewer->user };
	for (size_t i = 0; groups && i < groups->count; i++)
		if (viewer->groups[i / 8] & 1 << i % 8)
			runs[count++] = (struct ft_offer){ .scope = FT_OFFER_GROUP,
							   .whose = groups->group[i].name };
	runs[count++] = (struct ft_offer){ .scope = FT_OFFER_ALL, .whose = "" };
	return count;
}

const struct ft_offer *ft_offers_look_up(const struct ft_offers *offers,
					 const struct ft_viewer *viewer, const char *path)
{
	struct ft_offer runs[OFFERS_RUNS_MAX];
	size_t count = offers_runs(offers, viewer, runs);
	const struct ft_offer *found = NULL;

	for (size_t i = 0; !found && i < count; i++) {
		runs[i].path = path;
		found = ft_offers_find(offers, &runs[i]);
	}
	return found;
}

/* The offer at the head of a run, or NULL: it has come to its end. */
static const struct ft_offer *offers_head(const struct ft_offers *offers, size_t at,
					  const struct ft_offer *run, const char *prefix)
{
	const struct ft_offer *offer = at < offers->count ? &offers->offer[at] : NULL;

	if (!offer || offer->scope != run->scope || strcmp(offer->whose, run->whose) != 0
	    || strncmp(offer->path, prefix, strlen(prefix)) != 0)
		return NULL;
	return offer;
}

size_t ft_offers_list(const struct ft_offers *offers, const struct ft_viewer *viewer,
		      const char *prefix, const char *after, const struct ft_offer *found[],
		      size_t max)
{
	struct ft_offer runs[OFFERS_RUNS_MAX];
	size_t at[OFFERS_RUNS_MAX], count = offers_runs(offers, viewer, runs), listed = 0;

	for (size_t i = 0; i < count; i++) {
		runs[i].path = strcmp(prefix, after) > 0 ? prefix : after;
		at[i] = offers_lower_bound(offers, &runs[i]);
	}
	while (listed < max) {
		const struct ft_offer *first = NULL;

		for (size_t i = 0; i < count; i++) {
			const struct ft_offer *head = offers_head(offers, at[i], &runs[i], prefix);

			if (head && (!first || strcmp(head->path, first->path) < 0))
				first = head;
		}
		if (!first)
			break;
		if (first->hashed && (*after == '\0' || strcmp(first->path, after) > 0))
			found[listed++] = first;
		for (size_t i = 0; i < count; i++) {
			const struct ft_offer *head = offers_head(offers, at[i], &runs[i], prefix);

			at[i] += head && strcmp(head->path, first->path) == 0;
		}
	}
	return listed;
}
