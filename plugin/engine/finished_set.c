/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Open addressing with linear probing; removing shifts back, so there are no tombstones. */
#include "engine/finished_set.h"

#include <stdlib.h>
#include <string.h>

#define SET_FIRST_ROOM 1024

void ft_finished_set_init(struct ft_finished_set *set)
{
	memset(set, 0, sizeof *set);
}

void ft_finished_set_release(struct ft_finished_set *set)
{
	free(set->slots);
	ft_finished_set_init(set);
}

/* 0 marks a free slot. */
static uint64_t set_value(uint64_t hash)
{
	return hash ? hash : 1;
}

/* Where the value is, or the free slot where it would be. */
static size_t set_slot(const struct ft_finished_set *set, uint64_t value)
{
	size_t i = (size_t)(value & (set->room - 1));

	while (set->slots[i] && set->slots[i] != value)
		i = (i + 1) & (set->room - 1);
	return i;
}

static enum ft_status set_grow(struct ft_finished_set *set, size_t room)
{
	struct ft_finished_set larger = { .room = room, .count = set->count };

	if (!(larger.slots = calloc(larger.room, sizeof *larger.slots)))
		return FT_NO_MEMORY;
	for (size_t i = 0; i < set->room; i++)
		if (set->slots[i])
			larger.slots[set_slot(&larger, set->slots[i])] = set->slots[i];
	free(set->slots);
	*set = larger;
	return FT_OK;
}

/* At most three quarters full. */
enum ft_status ft_finished_set_reserve(struct ft_finished_set *set, size_t count)
{
	size_t room = set->room ? set->room : SET_FIRST_ROOM;

	while (room / 4 * 3 < count && room <= SIZE_MAX / 2 / sizeof *set->slots)
		room *= 2;
	return room > set->room ? set_grow(set, room) : FT_OK;
}

void ft_finished_set_expect(const struct ft_finished_set *set, uint64_t hash)
{
	if (set->room > 0)
		__builtin_prefetch(&set->slots[set_value(hash) & (set->room - 1)], 1);
}

enum ft_status ft_finished_set_add(struct ft_finished_set *set, uint64_t hash)
{
	uint64_t value = set_value(hash);
	enum ft_status st = ft_finished_set_reserve(set, set->count + 1);
	size_t i;

	if (st != FT_OK)
		return ft_finished_set_has(set, hash) ? FT_OK : st;
	i = set_slot(set, value);
	set->count += set->slots[i] == 0;
	set->slots[i] = value;
	return FT_OK;
}

void ft_finished_set_remove(struct ft_finished_set *set, uint64_t hash)
{
	size_t mask = set->room - 1, hole, next;

	if (!ft_finished_set_has(set, hash))
		return;
	hole = set_slot(set, set_value(hash));
	for (next = (hole + 1) & mask; set->slots[next]; next = (next + 1) & mask) {
		size_t home = (size_t)(set->slots[next] & mask);

		/* It may move back only if its home is not behind the hole. */
		if (((next - home) & mask) >= ((next - hole) & mask)) {
			set->slots[hole] = set->slots[next];
			hole = next;
		}
	}
	set->slots[hole] = 0;
	set->count--;
}

bool ft_finished_set_has(const struct ft_finished_set *set, uint64_t hash)
{
	return set->count > 0 && set->slots[set_slot(set, set_value(hash))] != 0;
}
