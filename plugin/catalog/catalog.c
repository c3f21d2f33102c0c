/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Transactions, and how far the process has come. */
#include "catalog/catalog.h"

#include <assert.h>

#include "catalog/connection.h"
#include "catalog/query.h"

/* --- transactions --- */

enum ft_status ft_catalog_begin(struct ft_catalog *c)
{
	enum ft_status st;

	assert(c->transaction == FT_TRANSACTION_IDLE);
	pthread_mutex_lock(&c->shared->writing);
	if ((st = c->shared->database->begin(c)) == FT_OK)
		c->transaction = FT_TRANSACTION_OPEN;
	else
		pthread_mutex_unlock(&c->shared->writing);
	return st;
}

static void catalog_end_transaction(struct ft_catalog *c)
{
	c->transaction = FT_TRANSACTION_IDLE;
	c->failure = FT_OK;
	pthread_mutex_unlock(&c->shared->writing);
}

enum ft_status ft_catalog_commit(struct ft_catalog *c)
{
	enum ft_status st;

	assert(c->transaction != FT_TRANSACTION_IDLE);
	if (c->transaction == FT_TRANSACTION_FAILED)
		return c->failure;
	if ((st = c->shared->database->commit(c)) == FT_OK)
		catalog_end_transaction(c);
	return st;
}

void ft_catalog_rollback(struct ft_catalog *c)
{
	if (c->transaction == FT_TRANSACTION_IDLE)
		return;
	c->shared->database->rollback(c);
	catalog_end_transaction(c);
}

enum ft_status ft_catalog_end(struct ft_catalog *c, enum ft_status st)
{
	if (st == FT_OK)
		st = ft_catalog_commit(c);
	if (st != FT_OK)
		ft_catalog_rollback(c);
	return st;
}

enum ft_status ft_catalog_sync(struct ft_catalog *c)
{
	assert(c->transaction == FT_TRANSACTION_IDLE);
	return c->shared->database->sync(c);
}

enum ft_status ft_catalog_checkpoint(struct ft_catalog *c)
{
	assert(c->transaction == FT_TRANSACTION_IDLE);
	return c->shared->database->checkpoint(c);
}

void ft_catalog_interrupt(struct ft_catalog *c)
{
	if (c->shared->database->interrupt)
		c->shared->database->interrupt(c);
}

/* --- how far the process has come --- */

enum ft_status ft_catalog_put_progress(struct ft_catalog *c, const struct ft_progress *progress)
{
	struct ft_query q = ft_query(c, FT_SQL_PUT_PROGRESS);

	assert(c->transaction != FT_TRANSACTION_IDLE);
	ft_query_u64(&q, progress->last_number);
	ft_query_i64(&q, progress->run_ms);
	return ft_query_run(&q);
}

enum ft_status ft_catalog_get_progress(struct ft_catalog *c, struct ft_progress *progress)
{
	struct ft_query q = ft_query(c, FT_SQL_GET_PROGRESS);

	*progress = (struct ft_progress){ 0 };
	if (ft_query_row(&q)) {
		progress->last_number = ft_row_u64(&q);
		progress->run_ms = ft_row_i64(&q);
	} else {
		ft_row_is_damaged(&q);
	}
	return ft_query_end(&q);
}

enum ft_status ft_catalog_put_filled(struct ft_catalog *c)
{
	struct ft_query q = ft_query(c, FT_SQL_PUT_FILLED);

	assert(c->transaction != FT_TRANSACTION_IDLE);
	return ft_query_run(&q);
}
