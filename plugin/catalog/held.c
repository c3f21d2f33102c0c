/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "catalog/held.h"

#include <assert.h>

#include "catalog/query.h"
#include "catalog/schema.h"

/* A set without bytes holds nothing, and what is not there cannot hold. */
static enum ft_status held_check_transfer(struct ft_catalog *c, uint64_t number)
{
	struct ft_query q = ft_query(c, FT_SQL_HAS_TRANSFER);
	bool there;
	enum ft_status st;

	ft_query_u64(&q, number);
	there = ft_query_row(&q);
	st = ft_query_end(&q);
	return st == FT_OK && !there ? FT_NO_SUCH_TRANSFER : st;
}

static enum ft_status held_drop_rows(struct ft_catalog *c, uint64_t number, int kind,
				     uint64_t first, uint64_t last)
{
	struct ft_query q = ft_query(c, FT_SQL_DROP_RANGES);

	ft_query_u64(&q, number);
	ft_query_i64(&q, kind);
	ft_query_u64(&q, first);
	ft_query_u64(&q, last);
	return ft_query_run(&q);
}

static enum ft_status held_put_row(struct ft_catalog *c, uint64_t number, int kind,
				   const struct ft_range *range)
{
	struct ft_query q = ft_query(c, FT_SQL_PUT_RANGE);

	ft_query_u64(&q, number);
	ft_query_i64(&q, kind);
	ft_query_u64(&q, range->start);
	ft_query_u64(&q, range->end);
	return ft_query_run(&q);
}

/*
 * The rows that differ begin within [first, last]: `last` is the window's end, where a row may
 * touch it; `first` is the window's start, or where a range of the set begins that reaches or
 * touches it from before. A row that does so begins at the same place, since set and rows are
 * equal before the window. A row that goes on behind the window goes on as the set's range
 * does, which is written whole.
 */
static enum ft_status held_put(struct ft_catalog *c, uint64_t number, int kind,
			       const struct ft_ranges *ranges, uint64_t start, uint64_t end)
{
	struct ft_range range;
	uint64_t last = end < INT64_MAX ? end : INT64_MAX;
	bool more = ft_ranges_next(ranges, start > 0 ? start - 1 : 0, &range);
	uint64_t first = more && range.start < start ? range.start : start;
	enum ft_status st;

	assert(c->transaction != FT_TRANSACTION_IDLE);
	assert(start <= end && start <= INT64_MAX);
	if ((st = held_check_transfer(c, number)) != FT_OK || start == end)
		return st;
	if ((st = held_drop_rows(c, number, kind, first, last)) != FT_OK)
		return st;
	while (more && range.start <= last) {
		if ((st = held_put_row(c, number, kind, &range)) != FT_OK)
			return st;
		more = ft_ranges_next(ranges, range.end, &range);
	}
	return FT_OK;
}

enum ft_status ft_catalog_put_held(struct ft_catalog *c, uint64_t number,
				   const struct ft_ranges *ranges, uint64_t start, uint64_t end)
{
	return held_put(c, number, FT_SCHEMA_HELD, ranges, start, end);
}

enum ft_status ft_catalog_put_durable(struct ft_catalog *c, uint64_t number,
				      const struct ft_ranges *ranges, uint64_t start, uint64_t end)
{
	return held_put(c, number, FT_SCHEMA_DURABLE, ranges, start, end);
}

/* `durable` is a part of `held`. */
static bool held_is_sound(const struct ft_unfinished *transfer)
{
	struct ft_range range = { 0, 0 };

	if (transfer->state == FT_CATALOG_CONFLICT)
		return transfer->held.count == 0 && transfer->durable.count == 0;
	while (ft_ranges_next(&transfer->durable, range.end, &range))
		if (!ft_ranges_cover(&transfer->held, range.start, range.end))
			return false;
	return true;
}

enum ft_status ft_held_read(struct ft_catalog *c, struct ft_unfinished *to)
{
	struct ft_query q = ft_query(c, FT_SQL_GET_RANGES);

	ft_query_u64(&q, to->facts.number);
	while (ft_query_row(&q)) {
		int kind = ft_row_enum(&q, FT_SCHEMA_HELD, FT_SCHEMA_DURABLE);
		uint64_t start = ft_row_u64(&q);
		uint64_t end = ft_row_u64(&q);

		if (start >= end)
			ft_row_is_damaged(&q);
		if (q.status == FT_OK)
			q.status = ft_ranges_restore(kind == FT_SCHEMA_HELD ? &to->held
								     : &to->durable, start, end);
	}
	if (q.status == FT_OK && !held_is_sound(to))
		ft_row_is_damaged(&q);
	return ft_query_end(&q);
}
