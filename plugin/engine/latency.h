/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * How long something took, how often: counts in classes of a fourth of an octave, 1 us to 35
 * minutes. Counting costs one atomic addition.
 *
 *	ft_latency_add(&latency, us);			any thread
 *	ft_latency_turn(&window, &latency);		once a minute, one thread
 *	us = ft_latency_percentile(&window, &latency, 99);
 */
#ifndef FT_ENGINE_LATENCY_H
#define FT_ENGINE_LATENCY_H

#include <stdatomic.h>
#include <stdint.h>

#define FT_LATENCY_CLASSES 120

/* Since the start; zeroed is empty. */
struct ft_latency {
	atomic_uint counts[FT_LATENCY_CLASSES];
};

/* What had been counted when the window was turned last, and the time before; zeroed: nothing. */
struct ft_latency_window {
	unsigned later[FT_LATENCY_CLASSES];
	unsigned earlier[FT_LATENCY_CLASSES];
};

/* Microseconds of CLOCK_MONOTONIC. */
int64_t ft_latency_clock_us(void);

void ft_latency_add(struct ft_latency *latency, int64_t us);

/* From now on the window begins where it was turned last. */
void ft_latency_turn(struct ft_latency_window *window, const struct ft_latency *latency);

/*
 * So many per cent (1...100) of what was counted in the window took no longer than this, in
 * us: the upper end of a class, a fourth too much at most. 0: nothing was counted.
 */
uint64_t ft_latency_percentile(const struct ft_latency_window *window,
			       const struct ft_latency *latency, unsigned percent);

#endif
