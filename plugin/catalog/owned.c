/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <string.h>

#include "catalog/query.h"

#define OWNED_SLICE 5000	/* rows of a call */

enum ft_status ft_catalog_walk_owned(struct ft_catalog *c, struct ft_owned_walk *walk,
				     ft_catalog_visit_owned *visit, void *context)
{
	struct ft_query q = ft_query(c, walk->finished_seen ? FT_SQL_SLICE_OPEN_OWNERS
							    : FT_SQL_SLICE_OWNERS);
	size_t rows = 0;
	enum ft_status st;

	ft_query_u64(&q, walk->place);
	ft_query_u64(&q, OWNED_SLICE);
	while (ft_query_row(&q)) {
		struct ft_owned owned = { .finished = !walk->finished_seen };

		walk->place = ft_row_u64(&q);
		owned.owner = ft_row_bytes(&q, &owned.owner_len);
		if (owned.finished) {
			owned.size = ft_row_u64(&q);
			owned.completed_ms = ft_row_i64(&q);
		}
		if (q.status != FT_OK)
			break;
		visit(context, &owned);
		rows++;
	}
	if ((st = ft_query_end(&q)) != FT_OK || rows == OWNED_SLICE)
		return st;
	walk->ended = walk->finished_seen;
	walk->finished_seen = true;
	walk->place = 0;
	return FT_OK;
}
