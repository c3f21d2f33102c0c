/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * One prepared statement at work: bind its parameters in order, then run it, or read its rows.
 *
 *	struct ft_query q = ft_query(c, FT_SQL_PUT_NEWS);
 *	ft_query_i64(&q, news_run_ms);
 *	ft_query_u64(&q, number);
 *	return ft_query_run(&q);
 *
 *	while (ft_query_row(&q)) {
 *		size = ft_row_u64(&q);			columns in order
 *		...
 *	}
 *	return ft_query_end(&q);
 *
 * Errors are collected: the first one makes binding and reading do nothing, and is what
 * ft_query_run() and ft_query_end() return, logged. A value of the wrong kind in a row is
 * FT_DAMAGED. Afterwards the statement is reset, so that no read transaction stays open, in
 * which checkpoints could not finish. What is bound is borrowed until then.
 */
#ifndef FT_CATALOG_QUERY_H
#define FT_CATALOG_QUERY_H

#include "catalog/connection.h"

struct ft_query {
	struct ft_catalog *catalog;
	const struct ft_database *database;
	void *statement;	/* the database's */
	int position;		/* of the parameter or column that comes next */
	enum ft_status status;	/* the first error; callers may add theirs */
};

struct ft_query ft_query(struct ft_catalog *c, enum ft_sql sql);

/* --- parameters --- */

void ft_query_i64(struct ft_query *q, int64_t number);
void ft_query_u64(struct ft_query *q, uint64_t number);		/* at most 2^63-1 */
void ft_query_null(struct ft_query *q);
void ft_query_bytes(struct ft_query *q, const char *bytes, size_t len);	/* the rule of schema.h */
void ft_query_text(struct ft_query *q, const char *text);	/* as bytes; NULL: NULL */
void ft_query_blob(struct ft_query *q, const void *bytes, size_t len);	/* NULL: NULL */
void ft_query_sha256(struct ft_query *q, const struct ft_sha256 *digest, char room[FT_SHA256_HEX_LEN + 1]);
void ft_query_key(struct ft_query *q, const struct ft_key *key);	/* hash, owner, file */

/* Runs what has no rows. */
enum ft_status ft_query_run(struct ft_query *q) FT_MUST_USE;

/* Whether the last ft_query_run() of this connection changed a row. */
bool ft_query_changed(const struct ft_query *q);

/* --- rows --- */

/* Goes to the next row. False: there is none, or an error; ft_query_end() tells. */
bool ft_query_row(struct ft_query *q);

int64_t ft_row_i64(struct ft_query *q);
uint64_t ft_row_u64(struct ft_query *q);
bool ft_row_bool(struct ft_query *q);
int ft_row_enum(struct ft_query *q, int first, int last);
bool ft_row_is_null(struct ft_query *q);	/* if so, goes to the next column */

/* Until the next row or the end; NUL-terminated. Never NULL. */
const char *ft_row_bytes(struct ft_query *q, size_t *len);
const char *ft_row_text(struct ft_query *q);
const void *ft_row_blob(struct ft_query *q, size_t *len);
void ft_row_copy(struct ft_query *q, char *to, size_t room);	/* a text that must fit */
void ft_row_sha256(struct ft_query *q, struct ft_sha256 *digest);
void ft_row_key(struct ft_query *q, struct ft_key *key);	/* owner, file: of lengths that are allowed */

void ft_row_name(struct ft_query *q, char to[FT_FILE_NAME_MAX + 1]);	/* of a file: no path */

/* The row makes no sense: FT_DAMAGED. */
void ft_row_is_damaged(struct ft_query *q);

/* Resets the statement. The first error, or FT_OK. */
enum ft_status ft_query_end(struct ft_query *q) FT_MUST_USE;

#endif
