/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Chance that can be repeated: all of it comes from a seed. */
#ifndef FT_TESTS_CRASH_CHANCE_H
#define FT_TESTS_CRASH_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

struct chance {
	uint64_t state;
};

/* splitmix64 (Steele, Lea, Flood 2014). */
static inline uint64_t chance_next(struct chance *chance)
{
	uint64_t z = chance->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* A chance of its own for the pair. */
static inline struct chance chance_of(uint64_t seed, uint64_t what)
{
	struct chance chance = { seed * UINT64_C(0xd1342543de82ef95) + what };

	chance.state = chance_next(&chance);
	return chance;
}

static inline uint64_t chance_below(struct chance *chance, uint64_t end)
{
	return end == 0 ? 0 : (chance_next(chance) >> 11) % end;
}

static inline bool chance_percent(struct chance *chance, unsigned percent)
{
	return chance_below(chance, 100) < percent;
}

#endif
