/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * How much each owner has used of what it may use in a second: bytes and commands.
 *
 *	if ((wait_s = ft_rates_take(rates, hash, &limits, bytes, now_ms)) > 0) refuse;
 *
 * A bucket holds what is used up in one second and fills steadily. A command passes while both
 * of its owner's buckets have anything left, and what it takes beyond that is made up for
 * before the next: so a segment may be larger than a second's bytes, the average is right, and
 * who comes back after the whole seconds it was told has lost nothing of its share.
 *
 * A bucket is one number: when it will be full. Full ones need no memory, so a row is kept from
 * an owner's command until about a second later. Memory is fixed: 1.5 MiB, of which only what
 * is used is there. Threads: the broker's.
 */
#ifndef FT_ENGINE_RATES_H
#define FT_ENGINE_RATES_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/limits.h"

#define FT_RATES_ROWS 65536
#define FT_RATES_NO_ROW UINT_MAX	/* as many owners are active as there are rows */

struct ft_rates;

/* NULL: out of memory. */
struct ft_rates *ft_rates_new(void);
void ft_rates_free(struct ft_rates **rates);

/*
 * One command of `bytes`, of the owner with this hash. 0: it may pass, and is counted. Else in
 * how many seconds there is enough for it, or FT_RATES_NO_ROW. `now_ms` never goes back.
 */
unsigned ft_rates_take(struct ft_rates *rates, uint64_t hash, const struct ft_limits *limits,
		       uint64_t bytes, int64_t now_ms);

/*
 * A bucket by itself, for who keeps it elsewhere: the number above, in us of the broker's time.
 * It has something left from ft_bucket_ready_us() on; a rate of 0 is none, and costs nothing.
 */
int64_t ft_bucket_cost_us(uint64_t amount, uint64_t rate);
int64_t ft_bucket_ready_us(int64_t full_us);
void ft_bucket_take(int64_t *full_us, int64_t cost_us, int64_t now_us);

#endif
