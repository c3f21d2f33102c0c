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

static enum ft_status set_grow(struct ft_finished_set *set)
{
	struct ft_finished_set larger = {
		.room = set->room ? set->room * 2 : SET_FIRST_ROOM, .count = set->count,
	};

	if (!(larger.slots = calloc(larger.room, sizeof *larger.slots)))
		return FT_NO_MEMORY;
	for (size_t i = 0; i < set->room; i++)
		if (set->slots[i])
			larger.slots[set_slot(&larger, set->slots[i])] = set->slots[i];
	free(set->slots);
	*set = larger;
	return FT_OK;
}

enum ft_status ft_finished_set_add(struct ft_finished_set *set, uint64_t hash)
{
	uint64_t value = set_value(hash);
	enum ft_status st;
	size_t i;

	if (ft_finished_set_has(set, hash))
		return FT_OK;
	/* At most three quarters full. */
	if ((set->count + 1) * 4 > set->room * 3 && (st = set_grow(set)) != FT_OK)
		return st;
	i = set_slot(set, value);
	set->slots[i] = value;
	set->count++;
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
