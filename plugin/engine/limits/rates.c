/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/limits/rates.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>

#define RATES_SECOND_US ((int64_t)1000000)
#define RATES_WAYS 8			/* rows that an owner may be in, next to each other */
#define RATES_WAIT_MAX_S 86400		/* nobody is told to wait for longer */

enum { RATES_BYTES, RATES_COMMANDS, RATES_BUCKETS };

struct rates_row {
	uint64_t hash;			/* the owner's, if any bucket is not full */
	int64_t full_us[RATES_BUCKETS];	/* when it is full */
};

struct ft_rates {
	struct rates_row rows[FT_RATES_ROWS + RATES_WAYS];
};

struct ft_rates *ft_rates_new(void)
{
	return calloc(1, sizeof(struct ft_rates));
}

void ft_rates_free(struct ft_rates **rates)
{
	free(*rates);
	*rates = NULL;
}

/* The owner's row, or one of nobody's. NULL: all are used. */
static struct rates_row *rates_row(struct ft_rates *rates, uint64_t hash, int64_t now_us)
{
	struct rates_row *first = &rates->rows[hash % FT_RATES_ROWS], *spare = NULL;

	for (struct rates_row *row = first; row < first + RATES_WAYS; row++) {
		if (row->full_us[RATES_BYTES] <= now_us && row->full_us[RATES_COMMANDS] <= now_us)
			spare = spare ? spare : row;
		else if (row->hash == hash)
			return row;
	}
	if (spare)
		*spare = (struct rates_row){ .hash = hash };
	return spare;
}

/* How long it takes to get back what is taken; rounded up, which is less than a command costs. */
int64_t ft_bucket_cost_us(uint64_t amount, uint64_t rate)
{
	assert(amount <= (uint64_t)INT64_MAX / (2 * RATES_SECOND_US));
	return rate == 0 ? 0 : (int64_t)((amount * (uint64_t)RATES_SECOND_US + rate - 1) / rate);
}

int64_t ft_bucket_ready_us(int64_t full_us)
{
	return full_us - RATES_SECOND_US + 1;
}

void ft_bucket_take(int64_t *full_us, int64_t cost_us, int64_t now_us)
{
	*full_us = (*full_us > now_us ? *full_us : now_us) + cost_us;
}

/* Whole seconds until a bucket has anything left; 0: it has. */
static unsigned rates_wait_s(int64_t full_us, int64_t now_us)
{
	int64_t lacking_us = ft_bucket_ready_us(full_us) - 1 - now_us;

	if (lacking_us < 0)
		return 0;
	if (lacking_us >= RATES_WAIT_MAX_S * RATES_SECOND_US)
		return RATES_WAIT_MAX_S;
	return (unsigned)(lacking_us / RATES_SECOND_US) + 1;
}

unsigned ft_rates_take(struct ft_rates *rates, uint64_t hash, const struct ft_limits *limits,
		       uint64_t bytes, int64_t now_ms)
{
	const int64_t cost_us[RATES_BUCKETS] = {
		[RATES_BYTES] = ft_bucket_cost_us(bytes, limits->client_bandwidth),
		[RATES_COMMANDS] = ft_bucket_cost_us(1, limits->client_rate),
	};
	int64_t now_us = now_ms * 1000;
	struct rates_row *row;
	unsigned wait_s = 0;

	if (cost_us[RATES_BYTES] == 0 && cost_us[RATES_COMMANDS] == 0)
		return 0;
	if (!(row = rates_row(rates, hash, now_us)))
		return FT_RATES_NO_ROW;
	for (size_t i = 0; i < RATES_BUCKETS; i++) {
		unsigned own_s = cost_us[i] > 0 ? rates_wait_s(row->full_us[i], now_us) : 0;

		wait_s = own_s > wait_s ? own_s : wait_s;
	}
	for (size_t i = 0; wait_s == 0 && i < RATES_BUCKETS; i++)
		ft_bucket_take(&row->full_us[i], cost_us[i], now_us);
	return wait_s;
}
