/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A connection to catalog.db, and what all connections of the process share. Private to
 * plugin/catalog/; the calling sequence is in catalog.h.
 *
 * WHERE THE TRANSACTION IS, of one connection:
 *
 *	IDLE	-> OPEN		begin; the mutex is taken
 *	OPEN	-> FAILED	an error; SQLite may have rolled back by itself, so that what
 *				followed would be committed on its own: nothing runs any more
 *	OPEN	-> IDLE		commit or rollback; the mutex is given back
 *	FAILED	-> IDLE		rollback
 */
#ifndef FT_CATALOG_CONNECTION_H
#define FT_CATALOG_CONNECTION_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "catalog/catalog.h"
#include "catalog/statements.h"

enum ft_transaction {
	FT_TRANSACTION_IDLE,
	FT_TRANSACTION_OPEN,
	FT_TRANSACTION_FAILED,
};

/* Of all connections to one catalog. */
struct ft_catalog_shared {
	pthread_mutex_t writing;	/* held by the connection that has a transaction */
	atomic_size_t connections;
	atomic_bool sync_failed;	/* what was committed may be lost; never again false */
	struct ft_logger *logger;
	_Atomic int64_t told_ms[FT_STATUS_COUNT];	/* when a cause was logged last; 0: never */
	char path[];
};

struct ft_catalog {
	struct ft_catalog_shared *shared;
	sqlite3 *db;
	sqlite3_stmt *statements[FT_SQL_COUNT];
	enum ft_transaction transaction;
	enum ft_status failure;		/* FAILED: why */
	char *texts;			/* of what was found last, see ft_catalog_find_transfer() */
	size_t texts_room;
};

/*
 * Opens a connection with its settings, without statements. Makes the file where there is
 * none. On error *out is NULL and the cause is logged.
 */
enum ft_status ft_connection_open(struct ft_catalog_shared *shared, struct ft_catalog **out) FT_MUST_USE;

/* Prepares all statements. FT_DAMAGED: the tables are not what they should be. */
enum ft_status ft_connection_prepare(struct ft_catalog *c) FT_MUST_USE;

/* Finalizes and closes. NULL inside is ignored. Does not care for `shared`. */
void ft_connection_close(struct ft_catalog **c);

/*
 * What an SQLite result means, logged with SQLite's message and the remedy, once a cause and
 * minute. Within a transaction an error makes it FAILED. SQLITE_OK, _ROW, _DONE: FT_OK.
 */
enum ft_status ft_connection_status(struct ft_catalog *c, int rc) FT_MUST_USE;

/* The same for a row that makes no sense. */
enum ft_status ft_connection_damaged(struct ft_catalog *c, const char *what) FT_MUST_USE;

/* Whether `status` has not been logged within the last minute; then it counts as logged now. */
bool ft_connection_tell(struct ft_catalog_shared *shared, enum ft_status status);

/* Runs SQL that has no parameters and no rows. */
enum ft_status ft_connection_run(struct ft_catalog *c, const char *sql) FT_MUST_USE;

/* The first column of the first row; 0 or "" where there is none. */
enum ft_status ft_connection_number(struct ft_catalog *c, const char *sql, int64_t *number) FT_MUST_USE;

#endif
