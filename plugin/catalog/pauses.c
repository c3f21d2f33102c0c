/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <assert.h>
#include <string.h>

#include "catalog/query.h"

static void pause_bind_bytes(struct ft_query *q, const char *bytes, size_t len)
{
	if (bytes)
		ft_query_bytes(q, bytes, len);
	else
		ft_query_null(q);
}

enum ft_status ft_catalog_put_pause(struct ft_catalog *c, const struct ft_pause *pause)
{
	struct ft_query q;
	enum ft_status st;

	if ((st = ft_catalog_drop_pause(c, pause)) != FT_OK)
		return st;
	q = ft_query(c, FT_SQL_PUT_PAUSE);
	ft_query_u64(&q, pause->number);
	pause_bind_bytes(&q, pause->key.owner, pause->key.owner_len);
	pause_bind_bytes(&q, pause->key.file, pause->key.file_len);
	ft_query_i64(&q, pause->since_ms);
	return ft_query_run(&q);
}

enum ft_status ft_catalog_drop_pause(struct ft_catalog *c, const struct ft_pause *pause)
{
	struct ft_query q = ft_query(c, FT_SQL_DROP_PAUSE);

	assert(c->transaction != FT_TRANSACTION_IDLE);
	ft_query_u64(&q, pause->number);
	pause_bind_bytes(&q, pause->key.owner, pause->key.owner_len);
	return ft_query_run(&q);
}

enum ft_status ft_catalog_drop_old_pauses(struct ft_catalog *c)
{
	struct ft_query q = ft_query(c, FT_SQL_DROP_OLD_PAUSES);

	assert(c->transaction != FT_TRANSACTION_IDLE);
	return ft_query_run(&q);
}

static void pause_read(struct ft_query *q, struct ft_pause *pause)
{
	memset(pause, 0, sizeof *pause);
	pause->number = ft_row_u64(q);
	if (!ft_row_is_null(q))
		pause->key.owner = ft_row_bytes(q, &pause->key.owner_len);
	if (!ft_row_is_null(q))
		pause->key.file = ft_row_bytes(q, &pause->key.file_len);
	pause->since_ms = ft_row_i64(q);
	if (pause->number > 0 && (!pause->key.owner || !pause->key.file))
		ft_row_is_damaged(q);
}

enum ft_status ft_catalog_each_pause(struct ft_catalog *c, ft_catalog_visit_pause *visit,
				     void *context)
{
	struct ft_query q = ft_query(c, FT_SQL_EACH_PAUSE);
	struct ft_pause pause;

	while (ft_query_row(&q)) {
		pause_read(&q, &pause);
		if (q.status == FT_OK)
			q.status = visit(context, &pause);
	}
	return ft_query_end(&q);
}
