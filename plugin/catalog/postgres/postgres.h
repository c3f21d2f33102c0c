/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A catalog in PostgreSQL, option `catalog postgresql://...`. Private to the files postgres*.c.
 *
 *	postgres.c		connections, transactions, statements: struct ft_database
 *	address.c	the URL
 *	errors.c	what errors mean, and what to do about them
 *	schema.c	tables, and the SQL that is not SQLite's
 *	wire.c		sending, and waiting for answers with a deadline
 *	libpq.c	libpq, loaded when it is needed
 */
#ifndef FT_CATALOG_POSTGRES_H
#define FT_CATALOG_POSTGRES_H

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "catalog/connection.h"

/* --- libpq: whoever keeps the catalog in SQLite need not have it --- */

#define PG_FUNCTIONS(X) \
	X(conninfoParse) X(conninfoFree) X(freemem) X(connectStartParams) X(connectPoll) X(finish) \
	X(status) X(transactionStatus) X(serverVersion) X(errorMessage) X(socket) X(setnonblocking) \
	X(setErrorVerbosity) X(setNoticeProcessor) X(sendQuery) X(sendPrepare) X(sendQueryPrepared) \
	X(setSingleRowMode) X(flush) X(consumeInput) X(isBusy) X(getResult) X(clear) X(resultStatus) \
	X(resultErrorField) X(cmdTuples) X(cmdStatus) X(ntuples) X(nfields) X(ftype) X(getisnull) \
	X(getlength) X(getvalue)

struct pg_functions {
#define X(name) __typeof__(&PQ##name) name;
	PG_FUNCTIONS(X)
#undef X
};

/* What is loaded is called by any thread; pq.finish(conn) is PQfinish(conn). */
extern struct pg_functions pq;

/* By one thread; never unloaded. False: `why` says in one line what is missing. */
bool pg_load(struct ft_buf *why);

/* --- the address --- */

struct pg_address {
	PQconninfoOption *options;	/* owned; what the URL says */
	const char *password;		/* of it; NULL: none */
};

/*
 * Reads a URL. False: `why` says what is wrong with it, in words that have nothing of the URL in
 * them: any piece may belong to a password. `name` is how logs call it, without a password.
 */
bool pg_address_read(struct pg_address *address, const char *url, struct ft_buf *name,
		     struct ft_buf *why);
void pg_address_release(struct pg_address *address);

/* Begins to connect. NULL: no memory. */
PGconn *pg_address_connect(const struct pg_address *address);

/* --- errors --- */

#define PG_STATE_LEN 5

struct pg_error {
	enum ft_status status;
	const char *remedy;		/* static */
	char state[PG_STATE_LEN + 1];	/* SQLSTATE; "": of libpq, there was no answer */
	char text[600];			/* one line, without the password */
};

/* Of a result; NULL: of the connection. */
void pg_error_read(struct pg_error *error, const struct pg_address *address, PGconn *conn,
		   const PGresult *result);

/* One without a state: the connection is of no use any more. */
void pg_error_lost(struct pg_error *error, const char *text);

/* --- the wire --- */

#define PG_HURRY_MS 1000

/*
 * All waits end `ms` after `start_ms` (ft_clock_ms()). `hurry`: PG_HURRY_MS after it, while that is
 * true: what works goes on, but nobody waits for what does not.
 */
struct pg_wait {
	int64_t start_ms, ms;
	const atomic_bool *hurry;
};

/* Goes on with pg_address_connect(). False: not connected; why is in the connection or, empty, a timeout. */
bool pg_wire_connect(PGconn *conn, const struct pg_wait *wait);

/*
 * After a PQsend...: the first error of its results, else the last one; the caller's to clear.
 * NULL: the connection is lost, or there was no answer in time; nothing more can be done with it.
 */
PGresult *pg_wire_gather(PGconn *conn, const struct pg_wait *wait);

/* The next result, which is there, or NULL as in PQgetResult(). False: as NULL above. */
bool pg_wire_next(PGconn *conn, const struct pg_wait *wait, PGresult **result);

/* --- the schema --- */

#define PG_VERSION_MIN 120000	/* of the server */
#define PG_VERSION_WORDS "12"

extern const char pg_schema_create[];
extern const char pg_schema_add[];
extern const char pg_session[];		/* settings of each connection, */
extern const char pg_session_start[];	/* and of the one that reads all at the start */
extern const char pg_use_schema[];	/* chooses and makes the schema; for the first connection */

/* A statement with PostgreSQL's parameters ($1). False: it has none, this is done in another way. */
bool pg_statement_write(enum ft_sql sql, struct ft_buf *text);

#endif
