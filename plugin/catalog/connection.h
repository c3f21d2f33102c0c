/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A connection to the database, and what all connections of the process share. Private to
 * plugin/catalog/; the calling sequence is in catalog.h, what databases do in database.h.
 *
 * WHERE THE TRANSACTION IS, of one connection:
 *
 *	IDLE	-> OPEN		begin; the mutex is taken
 *	OPEN	-> FAILED	an error; the database may have rolled back by itself, so that what
 *				followed would be committed on its own: nothing runs any more
 *	OPEN	-> IDLE		commit or rollback; the mutex is given back
 *	FAILED	-> IDLE		rollback
 */
#ifndef FT_CATALOG_CONNECTION_H
#define FT_CATALOG_CONNECTION_H

#include <pthread.h>
#include <stdatomic.h>

#include "catalog/catalog.h"
#include "catalog/database.h"
#include "catalog/statements.h"

enum ft_transaction {
	FT_TRANSACTION_IDLE,
	FT_TRANSACTION_OPEN,
	FT_TRANSACTION_FAILED,
};

/* Of all connections to one catalog. */
struct ft_catalog_shared {
	const struct ft_database *database;
	void *own;			/* the database's; owned by it */
	pthread_mutex_t writing;	/* held by the connection that has a transaction */
	atomic_size_t connections;
	atomic_bool sync_failed;	/* what was committed may be lost; never again false */
	struct ft_logger *logger;
	_Atomic int64_t told_ms[FT_STATUS_COUNT];	/* when a cause was logged last; 0: never */
	char *name;			/* owned; for the log: a path, or a URL without a password */
};

struct ft_catalog {
	struct ft_catalog_shared *shared;
	void *db;			/* the database's connection; NULL: there is none */
	void *statements[FT_SQL_COUNT];	/* the database's */
	enum ft_transaction transaction;
	enum ft_status failure;		/* FAILED: why */
	char *texts;			/* of what was found last, see ft_catalog_find_transfer() */
	size_t texts_room;
};

/*
 * Opens a connection with its settings, without statements. Makes the database where there is
 * none. On error *out is NULL and the cause is logged.
 */
enum ft_status ft_connection_open(struct ft_catalog_shared *shared, struct ft_catalog **out) FT_MUST_USE;

/* Disconnects and frees. NULL inside is ignored. Does not care for `shared`. */
void ft_connection_close(struct ft_catalog **c);

/* The SQL of a statement, as statements.h has it. */
const char *ft_connection_sql(enum ft_sql sql);

/* Nothing of an open transaction may be committed any more: it is FAILED, with this. */
void ft_connection_fail(struct ft_catalog *c, enum ft_status st);

/* A row that makes no sense, logged once a minute; FT_DAMAGED. */
enum ft_status ft_connection_damaged(struct ft_catalog *c, const char *what) FT_MUST_USE;

/* The same for memory; FT_NO_MEMORY. */
enum ft_status ft_connection_no_memory(struct ft_catalog *c) FT_MUST_USE;

/* Whether `status` has not been logged within the last minute; then it counts as logged now. */
bool ft_connection_tell(struct ft_catalog_shared *shared, enum ft_status status);

/* Logs why the catalog cannot be used, and returns `st`. */
enum ft_status ft_connection_refuse(struct ft_catalog_shared *shared, enum ft_status st,
				    const char *why) FT_MUST_USE;

/* Runs SQL that has no parameters and no rows. */
static inline FT_MUST_USE enum ft_status ft_connection_run(struct ft_catalog *c, const char *sql)
{
	return c->shared->database->run(c, sql);
}

#endif
