/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/latency.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#define LATENCY_MAX_US INT32_MAX	/* the last class ends here */

int64_t ft_latency_clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* 0 to 3 are classes of their own; from there on the two bits behind the highest one count. */
static unsigned latency_class(uint32_t us)
{
	unsigned octave;

	if (us < 4)
		return us;
	octave = 31 - (unsigned)__builtin_clz(us);
	return 4 * (octave - 1) + ((us >> (octave - 2)) & 3);
}

static uint64_t latency_upper_us(unsigned class)
{
	unsigned shift = class / 4 - 1;

	if (class < 4)
		return class;
	return ((uint64_t)(4 + class % 4 + 1) << shift) - 1;
}

void ft_latency_add(struct ft_latency *latency, int64_t us)
{
	uint32_t bounded = us < 0 ? 0 : us > LATENCY_MAX_US ? LATENCY_MAX_US : (uint32_t)us;

	atomic_fetch_add_explicit(&latency->counts[latency_class(bounded)], 1, memory_order_relaxed);
}

static unsigned latency_count(const struct ft_latency *latency, unsigned class)
{
	return atomic_load_explicit(&latency->counts[class], memory_order_relaxed);
}

void ft_latency_turn(struct ft_latency_window *window, const struct ft_latency *latency)
{
	memcpy(window->earlier, window->later, sizeof window->earlier);
	for (unsigned i = 0; i < FT_LATENCY_CLASSES; i++)
		window->later[i] = latency_count(latency, i);
}

uint64_t ft_latency_percentile(const struct ft_latency_window *window,
			       const struct ft_latency *latency, unsigned percent)
{
	unsigned counts[FT_LATENCY_CLASSES], class = 0;
	uint64_t all = 0, seen, wanted;

	assert(percent >= 1 && percent <= 100);
	for (unsigned i = 0; i < FT_LATENCY_CLASSES; i++) {
		counts[i] = latency_count(latency, i) - window->earlier[i];
		all += counts[i];
	}
	if (all == 0)
		return 0;
	wanted = (all * percent + 99) / 100;
	for (seen = counts[0]; seen < wanted; seen += counts[class])
		class++;
	return latency_upper_us(class);
}
