/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Whether the clock may be believed, where files are deleted by it.
 *
 * A machine may start with a clock in 1970, or in 2100. What the time should be is reckoned: what
 * it was when it was looked at last (before the start, too), and the time that has passed since by
 * a clock that nobody sets. A clock that is off by more than a day is doubted until it is right
 * again, or a broker has run for a day with it. Pure; time is passed in.
 */
#ifndef FT_PROTOCOL_RECKONING_H
#define FT_PROTOCOL_RECKONING_H

#include <stdint.h>

#define FT_RECKONING_DAY_MS ((int64_t)24 * 3600 * 1000)

struct ft_reckoning {
	int64_t time_ms;	/* what the time is, in Unix ms; 0: never looked at */
	int64_t doubt_ms;	/* for how long the clock has said something else */
};

enum ft_belief {
	FT_BELIEVED,
	FT_DOUBTED,
};

/* The clock says `clock_ms`, in Unix ms, and `elapsed_ms` have passed since the last call. */
enum ft_belief ft_reckon(struct ft_reckoning *reckoning, int64_t clock_ms, int64_t elapsed_ms);

#endif
