/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <assert.h>

#include "catalog/query.h"

enum ft_status ft_catalog_put_notice(struct ft_catalog *c, const char *manifest, size_t len)
{
	struct ft_query q = ft_query(c, FT_SQL_PUT_NOTICE);

	assert(c->transaction != FT_TRANSACTION_IDLE);
	ft_query_bytes(&q, manifest, len);
	return ft_query_run(&q);
}

enum ft_status ft_catalog_each_notice(struct ft_catalog *c, ft_catalog_visit_notice *visit,
				      void *context)
{
	struct ft_query q = ft_query(c, FT_SQL_EACH_NOTICE);

	while (ft_query_row(&q)) {
		int64_t id = ft_row_i64(&q);
		size_t len = 0;
		const char *manifest = ft_row_bytes(&q, &len);

		if (q.status == FT_OK)
			q.status = visit(context, id, manifest, len);
	}
	return ft_query_end(&q);
}

enum ft_status ft_catalog_drop_notices(struct ft_catalog *c, int64_t last)
{
	struct ft_query q = ft_query(c, FT_SQL_DROP_NOTICES);

	assert(c->transaction != FT_TRANSACTION_IDLE);
	ft_query_i64(&q, last);
	return ft_query_run(&q);
}
