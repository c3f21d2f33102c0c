/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "catalog/connection.h"

#include <stdlib.h>

#include "base/system.h"

#define TELL_AGAIN_MS 60000

static const char *const statements[FT_SQL_COUNT] = {
#define X(symbol, text) [FT_SQL_##symbol] = text,
	FT_SQL_TABLE(X)
#undef X
};

const char *ft_connection_sql(enum ft_sql sql)
{
	return statements[sql];
}

bool ft_connection_tell(struct ft_catalog_shared *shared, enum ft_status status)
{
	int64_t now = ft_clock_ms() + 1;	/* 0 stands for never */
	int64_t before = atomic_load(&shared->told_ms[status]);

	if (before != 0 && now - before < TELL_AGAIN_MS)
		return false;
	return atomic_compare_exchange_strong(&shared->told_ms[status], &before, now);
}

void ft_connection_fail(struct ft_catalog *c, enum ft_status st)
{
	if (c->transaction == FT_TRANSACTION_IDLE)
		return;
	c->transaction = FT_TRANSACTION_FAILED;
	c->failure = st;
}

enum ft_status ft_connection_damaged(struct ft_catalog *c, const char *what)
{
	if (ft_connection_tell(c->shared, FT_DAMAGED))
		ft_logger_printf(c->shared->logger, FT_LOG_ERROR,
				 "catalog %s: a row makes no sense (%s): it was damaged or changed by "
				 "another program", c->shared->name, what);
	ft_connection_fail(c, FT_DAMAGED);
	return FT_DAMAGED;
}

enum ft_status ft_connection_no_memory(struct ft_catalog *c)
{
	if (ft_connection_tell(c->shared, FT_NO_MEMORY))
		ft_logger_printf(c->shared->logger, FT_LOG_ERROR, "catalog %s: out of memory: give the "
				 "broker more memory", c->shared->name);
	ft_connection_fail(c, FT_NO_MEMORY);
	return FT_NO_MEMORY;
}

enum ft_status ft_connection_refuse(struct ft_catalog_shared *shared, enum ft_status st,
				    const char *why)
{
	ft_logger_printf(shared->logger, FT_LOG_ERROR, "catalog %s: %s", shared->name, why);
	return st;
}

enum ft_status ft_connection_open(struct ft_catalog_shared *shared, struct ft_catalog **out)
{
	struct ft_catalog *c = calloc(1, sizeof *c);
	enum ft_status st;

	*out = NULL;
	if (!c)
		return FT_NO_MEMORY;
	c->shared = shared;
	if ((st = shared->database->connect(c)) != FT_OK) {
		ft_connection_close(&c);
		return st;
	}
	*out = c;
	return FT_OK;
}

void ft_connection_close(struct ft_catalog **c)
{
	if (!*c)
		return;
	(*c)->shared->database->disconnect(*c);
	free((*c)->texts);
	free(*c);
	*c = NULL;
}
