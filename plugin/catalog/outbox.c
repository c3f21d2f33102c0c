/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <assert.h>

#include "catalog/query.h"

enum ft_status ft_catalog_put_event(struct ft_catalog *c, uint64_t number, const char *topic,
				    const char *text, size_t len)
{
	struct ft_query q = ft_query(c, FT_SQL_PUT_EVENT);

	assert(c->transaction != FT_TRANSACTION_IDLE);
	if (number > 0)
		ft_query_u64(&q, number);
	else
		ft_query_null(&q);
	ft_query_text(&q, topic);
	ft_query_bytes(&q, text, len);
	return ft_query_run(&q);
}

enum ft_status ft_catalog_each_event(struct ft_catalog *c, ft_catalog_visit_event *visit,
				     void *context)
{
	struct ft_query q = ft_query(c, FT_SQL_EACH_EVENT);

	while (ft_query_row(&q)) {
		uint64_t number = ft_row_u64(&q);
		const char *topic = ft_row_text(&q);
		size_t len;
		const char *text = ft_row_bytes(&q, &len);

		if (q.status == FT_OK)
			q.status = visit(context, number, topic, text, len);
	}
	return ft_query_end(&q);
}

enum ft_status ft_catalog_drop_event(struct ft_catalog *c, uint64_t number)
{
	struct ft_query q = ft_query(c, FT_SQL_DROP_EVENT);

	assert(c->transaction != FT_TRANSACTION_IDLE);
	ft_query_u64(&q, number);
	return ft_query_run(&q);
}
