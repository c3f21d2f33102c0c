/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Open addressing with linear probing; sums of 0 are left out when the table is made anew. */
#include "engine/limits/sums.h"

#include <stdlib.h>
#include <string.h>

#define SUMS_FIRST_ROOM 256

void ft_sums_release(struct ft_sums *sums)
{
	free(sums->places);
	memset(sums, 0, sizeof *sums);
}

/* Where the hash is, or the free place where it would be. */
static struct ft_sum *sums_find(const struct ft_sums *sums, uint64_t hash)
{
	uint64_t value = hash ? hash : 1;
	size_t i = (size_t)(value & (sums->room - 1));

	while (sums->places[i].hash && sums->places[i].hash != value)
		i = (i + 1) & (sums->room - 1);
	return &sums->places[i];
}

static enum ft_status sums_make_room(struct ft_sums *sums)
{
	struct ft_sums anew = { .room = SUMS_FIRST_ROOM };
	size_t live = 0;

	for (size_t i = 0; i < sums->room; i++)
		live += sums->places[i].sum > 0;
	while (anew.room < 2 * (live + 1))
		anew.room *= 2;
	if (!(anew.places = calloc(anew.room, sizeof *anew.places)))
		return FT_NO_MEMORY;
	for (size_t i = 0; i < sums->room; i++) {
		if (sums->places[i].sum > 0) {
			*sums_find(&anew, sums->places[i].hash) = sums->places[i];
			anew.used++;
		}
	}
	ft_sums_release(sums);
	*sums = anew;
	return FT_OK;
}

enum ft_status ft_sums_add(struct ft_sums *sums, uint64_t hash, uint64_t amount)
{
	struct ft_sum *place;
	enum ft_status st;

	/* At most three quarters full. */
	if ((sums->used + 1) * 4 > sums->room * 3 && (st = sums_make_room(sums)) != FT_OK)
		return st;
	place = sums_find(sums, hash);
	if (!place->hash) {
		place->hash = hash ? hash : 1;
		sums->used++;
	}
	place->sum += amount;
	return FT_OK;
}

void ft_sums_subtract(struct ft_sums *sums, uint64_t hash, uint64_t amount)
{
	struct ft_sum *place = sums->room > 0 ? sums_find(sums, hash) : NULL;

	if (place)
		place->sum -= amount < place->sum ? amount : place->sum;
}

uint64_t ft_sums_get(const struct ft_sums *sums, uint64_t hash)
{
	return sums->room > 0 ? sums_find(sums, hash)->sum : 0;
}
