/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <assert.h>
#include <string.h>

#include "catalog/query.h"

enum ft_status ft_catalog_each_expired(struct ft_catalog *c, const struct ft_expiry *expiry,
				       ft_catalog_visit_finished *visit, void *context)
{
	struct ft_query q = ft_query(c, FT_SQL_EACH_EXPIRED);
	struct ft_finished found;

	ft_query_i64(&q, expiry->now_s);
	ft_query_i64(&q, expiry->completed_from_ms);
	ft_query_i64(&q, expiry->completed_until_ms);
	ft_query_u64(&q, expiry->most);
	ft_query_u64(&q, expiry->skip);
	while (ft_query_row(&q)) {
		memset(&found, 0, sizeof found);
		ft_row_key(&q, &found.key);
		ft_row_name(&q, found.name);
		found.size = ft_row_u64(&q);
		ft_row_sha256(&q, &found.checksum);
		ft_row_copy(&q, found.transfer_id, sizeof found.transfer_id);
		found.number = ft_row_u64(&q);
		if (q.status == FT_OK)
			q.status = visit(context, &found);
	}
	return ft_query_end(&q);
}

enum ft_status ft_catalog_mend_times(struct ft_catalog *c, int64_t now_ms, int64_t first_ms,
				     int64_t last_ms, bool *more)
{
	struct ft_query q = ft_query(c, FT_SQL_MEND_TIMES);
	enum ft_status st;

	assert(c->transaction != FT_TRANSACTION_IDLE);
	ft_query_i64(&q, now_ms);
	ft_query_i64(&q, first_ms);
	ft_query_i64(&q, last_ms);
	st = ft_query_run(&q);
	*more = st == FT_OK && ft_query_changed(&q);
	return st;
}

enum ft_status ft_catalog_get_reckoning(struct ft_catalog *c, struct ft_reckoning *reckoning)
{
	struct ft_query q = ft_query(c, FT_SQL_GET_RECKONING);

	*reckoning = (struct ft_reckoning){ .time_ms = 0 };
	if (ft_query_row(&q)) {
		reckoning->time_ms = ft_row_i64(&q);
		reckoning->doubt_ms = ft_row_i64(&q);
	}
	return ft_query_end(&q);
}

enum ft_status ft_catalog_put_reckoning(struct ft_catalog *c, const struct ft_reckoning *reckoning)
{
	struct ft_query q = ft_query(c, FT_SQL_PUT_RECKONING);

	assert(c->transaction != FT_TRANSACTION_IDLE);
	ft_query_i64(&q, reckoning->time_ms);
	ft_query_i64(&q, reckoning->doubt_ms);
	return ft_query_run(&q);
}
