/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "catalog/offers.h"

#include <assert.h>
#include <string.h>

#include "catalog/query.h"

static void offer_bind_key(struct ft_query *q, const struct ft_offer *offer)
{
	ft_query_i64(q, offer->scope);
	ft_query_text(q, offer->whose);
	ft_query_text(q, offer->path);
}

enum ft_status ft_catalog_put_offer(struct ft_catalog *c, const struct ft_offer *offer)
{
	struct ft_query q = ft_query(c, FT_SQL_PUT_OFFER);
	char sha256[FT_SHA256_HEX_LEN + 1];

	assert(c->transaction != FT_TRANSACTION_IDLE && offer->hashed);
	offer_bind_key(&q, offer);
	ft_query_i64(&q, (int64_t)offer->stat.inode);
	ft_query_u64(&q, offer->stat.size);
	ft_query_i64(&q, offer->stat.mtime_ns);
	ft_query_i64(&q, offer->stat.ctime_ns);
	ft_query_sha256(&q, &offer->sha256, sha256);
	ft_query_bytes(&q, offer->meta.at, offer->meta.len);
	ft_query_i64(&q, offer->announced);
	return ft_query_run(&q);
}

enum ft_status ft_catalog_drop_offer(struct ft_catalog *c, const struct ft_offer *offer)
{
	struct ft_query q = ft_query(c, FT_SQL_DROP_OFFER);

	assert(c->transaction != FT_TRANSACTION_IDLE);
	offer_bind_key(&q, offer);
	return ft_query_run(&q);
}

static void offer_read(struct ft_query *q, struct ft_offer *offer)
{
	memset(offer, 0, sizeof *offer);
	offer->scope = (enum ft_offer_scope)ft_row_enum(q, FT_OFFER_CLIENT, FT_OFFER_ALL);
	offer->whose = ft_row_text(q);
	offer->path = ft_row_text(q);
	offer->stat.inode = (uint64_t)ft_row_i64(q);
	offer->stat.size = ft_row_u64(q);
	offer->stat.mtime_ns = ft_row_i64(q);
	offer->stat.ctime_ns = ft_row_i64(q);
	ft_row_sha256(q, &offer->sha256);
	offer->meta.at = ft_row_bytes(q, &offer->meta.len);
	offer->announced = ft_row_bool(q);
	offer->hashed = true;
	if (!ft_offer_path_is_good(offer->path, strlen(offer->path))
	    || offer->meta.len > FT_OFFER_META_MAX || strlen(offer->whose) >= FT_NAME_ROOM)
		ft_row_is_damaged(q);
}

enum ft_status ft_catalog_each_offer(struct ft_catalog *c, ft_catalog_visit_offer *visit,
				     void *context)
{
	struct ft_query q = ft_query(c, FT_SQL_EACH_OFFER);
	struct ft_offer offer;

	while (ft_query_row(&q)) {
		offer_read(&q, &offer);
		if (q.status == FT_OK)
			q.status = visit(context, &offer);
	}
	return ft_query_end(&q);
}
