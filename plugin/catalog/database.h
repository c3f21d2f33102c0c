/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What the databases that a catalog can lie in do differently: one table of functions each.
 * Everything else of plugin/catalog/ is written once, and speaks to a database by connection.h
 * and query.h alone. Private to plugin/catalog/.
 *
 * The SQL is one table, too, see statements.h: what PostgreSQL says otherwise is in
 * postgres/schema.c.
 */
#ifndef FT_CATALOG_DATABASE_H
#define FT_CATALOG_DATABASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "file_transfer/status.h"

struct ft_catalog;
struct ft_catalog_config;
struct ft_catalog_shared;
struct ft_query;

enum ft_value {
	FT_VALUE_NULL,
	FT_VALUE_INTEGER,
	FT_VALUE_TEXT,
	FT_VALUE_BLOB,
	FT_VALUE_BYTES,		/* either: this database does not tell them apart */
	FT_VALUE_OTHER,		/* nothing that the schema has */
};

/* Errors are logged where they happen, and make an open transaction FAILED: connection.h. */
struct ft_database {
	/* Once per catalog: what all connections share, before the first one. NULL: nothing. */
	enum ft_status (*share)(struct ft_catalog_shared *shared,
				const struct ft_catalog_config *config) FT_MUST_USE;
	void (*unshare)(struct ft_catalog_shared *shared);

	/* A connection with its settings; on error what was opened is disconnect()'s. */
	enum ft_status (*connect)(struct ft_catalog *c) FT_MUST_USE;
	void (*disconnect)(struct ft_catalog *c);

	/* Once, by the first connection: finds out whose tables these are, and makes what is absent. */
	enum ft_status (*make_tables)(struct ft_catalog *c) FT_MUST_USE;

	/* All statements. FT_DAMAGED: the tables are not what they should be. */
	enum ft_status (*prepare)(struct ft_catalog *c) FT_MUST_USE;

	/* The last step of opening. NULL: none. */
	enum ft_status (*opened)(struct ft_catalog *c) FT_MUST_USE;

	/* Transactions that write; the caller has the mutex and keeps c->transaction. */
	enum ft_status (*begin)(struct ft_catalog *c) FT_MUST_USE;
	enum ft_status (*commit)(struct ft_catalog *c) FT_MUST_USE;
	void (*rollback)(struct ft_catalog *c);

	/* What several statements read between these is of one instant. NULL: while a row is read it is. */
	enum ft_status (*hold)(struct ft_catalog *c) FT_MUST_USE;
	void (*let_go)(struct ft_catalog *c);

	enum ft_status (*sync)(struct ft_catalog *c) FT_MUST_USE;
	enum ft_status (*checkpoint)(struct ft_catalog *c) FT_MUST_USE;

	/* Waits of other threads end soon, with an error. NULL: they are short. */
	void (*interrupt)(struct ft_catalog *c);

	/* SQL without parameters and rows; several statements, each with its semicolon. */
	enum ft_status (*run)(struct ft_catalog *c, const char *sql) FT_MUST_USE;

	/* The parameter at q->position, which is moved on. Bytes are borrowed until end(). */
	void (*bind_null)(struct ft_query *q);
	void (*bind_i64)(struct ft_query *q, int64_t number);
	void (*bind_text)(struct ft_query *q, const char *text, size_t len);	/* UTF-8 without a NUL */
	void (*bind_blob)(struct ft_query *q, const void *bytes, size_t len);	/* NULL: NULL */

	/* The first or the next row; false: no more, or q->status says why. */
	bool (*row)(struct ft_query *q);
	void (*end)(struct ft_query *q);
	bool (*changed)(const struct ft_query *q);

	/* The column at q->position. Bytes have a NUL behind them; NULL: no memory. */
	enum ft_value (*kind)(const struct ft_query *q);
	int64_t (*i64)(const struct ft_query *q);
	const char *(*bytes)(const struct ft_query *q, size_t *len);
};

extern const struct ft_database ft_sqlite;

#ifdef FT_POSTGRES
extern const struct ft_database ft_postgres;
#endif

#endif
