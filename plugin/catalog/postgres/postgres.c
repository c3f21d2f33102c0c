/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A catalog in a PostgreSQL database.
 *
 * A CONNECTION is made by whoever needs one and has none. It is given up with the first sign that
 * it is of no use: it was closed, or an answer did not come in time. What was prepared on it is
 * prepared again when it is needed.
 *
 * WHOSE CATALOG IT IS. The first connection holds an advisory lock, so that a second broker that
 * is started by mistake is told so. What decides is the epoch, which each opening makes larger:
 * each transaction begins with an update of the row of `progress` that names it, and one that
 * finds another epoch there is refused.
 *
 * WHETHER A COMMIT HAS TAKEN PLACE whose answer was lost. To do it again is no way out: a row that
 * was removed cannot be removed twice. So each transaction writes its number, `serial`, into the
 * same row. Afterwards the row is locked, which waits for the server to have ended that
 * transaction one way or the other, and tells the number of the last one that was committed.
 * Transactions of one process follow each other (struct ft_catalog_shared, `writing`), so it is
 * either this one or the one before. Until that is known nothing else may be written.
 */
#ifdef FT_POSTGRES
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/system.h"
#include "catalog/postgres/postgres.h"
#include "catalog/query.h"
#include "catalog/schema.h"

#define PG_CONNECT_MS 10000
#define PG_OPEN_MS 10000	/* a server that is starting, or a former broker that is ending */
#define PG_ANSWER_MS 40000	/* the server gives up before: statement_timeout */
#define PG_SCHEMA_MS 600000	/* an index of many files */
#define PG_DOUBT_MS 30000	/* the broker's own thread, at start and end */
#define PG_RETRY_MS 200

#define PG_PARAMETERS_MAX 16
#define PG_TEXT_ROOM 2048	/* of a statement */

/* Types of columns, from PostgreSQL's pg_type.dat; they never change. */
#define PG_BYTEA 17
#define PG_INT8 20

struct pg_shared {
	struct pg_address address;
	pthread_t opener;		/* waits for nothing without an end */
	atomic_bool hurry;		/* nor does anybody else any more */
	atomic_bool away;		/* it was logged that there is no connection */
	uint64_t epoch, serial;		/* writing's; see above */
};

enum pg_streaming {
	PG_WHOLE,	/* all rows are fetched at once, so others may be asked for between them */
	PG_ROW_BY_ROW,	/* there may be a million */
};

struct pg_statement {
	enum ft_sql sql;
	enum pg_streaming streaming;
	bool prepared, running;
	int count;			/* of parameters that are bound */
	const char *values[PG_PARAMETERS_MAX];
	int lens[PG_PARAMETERS_MAX];
	uint8_t numbers[PG_PARAMETERS_MAX][sizeof(int64_t)];
	PGresult *result;		/* of the row, or of all */
	int row, rows;
};

struct pg {
	PGconn *conn;			/* NULL: none */
	bool first;			/* the connection that has the advisory lock */
	bool locked;
	bool held;			/* a read-only transaction is open */
	bool changed;			/* by the last statement */
	struct pg_statement statements[FT_SQL_COUNT];
};

static struct pg_wait pg_wait(struct pg_shared *shared, int64_t ms)
{
	return (struct pg_wait){ .start_ms = ft_clock_ms(), .ms = ms, .hurry = &shared->hurry };
}

/* --- what goes wrong --- */

/* Logged once a cause and minute. */
static enum ft_status pg_tell(struct ft_catalog *c, const struct pg_error *error)
{
	if (ft_connection_tell(c->shared, error->status))
		ft_logger_printf(c->shared->logger, FT_LOG_ERROR, "catalog %s: %s%s%s%s: %s", c->shared->name,
				 error->text, error->state[0] ? " (" : "", error->state,
				 error->state[0] ? ")" : "", error->remedy);
	ft_connection_fail(c, error->status);
	return error->status;
}

static void pg_drop_connection(struct pg *pg)
{
	if (pg->conn)
		pq.finish(pg->conn);
	pg->conn = NULL;
	pg->locked = pg->held = false;
	for (size_t i = 0; i < FT_SQL_COUNT; i++)
		pg->statements[i].prepared = false;
}

/*
 * What became of a statement. FT_OK: *result is the caller's. Else it is cleared, *lost says
 * whether the connection is gone, and *error why; nothing is logged.
 */
static enum ft_status pg_outcome(struct ft_catalog *c, PGresult **result, struct pg_error *error)
{
	struct pg_shared *shared = c->shared->own;
	struct pg *pg = c->db;
	bool good = *result && (pq.resultStatus(*result) == PGRES_COMMAND_OK
				|| pq.resultStatus(*result) == PGRES_TUPLES_OK
				|| pq.resultStatus(*result) == PGRES_SINGLE_TUPLE);

	if (good && pq.status(pg->conn) == CONNECTION_OK)
		return FT_OK;
	if (*result && !good)
		pg_error_read(error, &shared->address, pg->conn, *result);
	else if (pq.status(pg->conn) == CONNECTION_BAD)
		pg_error_read(error, &shared->address, pg->conn, NULL);
	else
		pg_error_lost(error, "no answer in time");
	if (!*result || pq.status(pg->conn) == CONNECTION_BAD) {
		error->status = FT_BUSY;
		pg_drop_connection(pg);
	}
	if (*result)
		pq.clear(*result);
	*result = NULL;
	return error->status;
}

/* --- simple queries --- */

/* Runs SQL on a connection that is there; *result is the caller's to clear. Logs nothing. */
static enum ft_status pg_try(struct ft_catalog *c, const char *sql, int64_t ms, PGresult **result,
			     struct pg_error *error)
{
	const struct pg_wait wait = pg_wait(c->shared->own, ms);
	struct pg *pg = c->db;

	*result = pq.sendQuery(pg->conn, sql) ? pg_wire_gather(pg->conn, &wait) : NULL;
	return pg_outcome(c, result, error);
}

static enum ft_status pg_try_run(struct ft_catalog *c, const char *sql, struct pg_error *error)
{
	PGresult *result;
	enum ft_status st = pg_try(c, sql, PG_ANSWER_MS, &result, error);

	if (st == FT_OK)
		pq.clear(result);
	return st;
}

/* The integers of the first row, as text. False: there are not so many. */
static bool pg_read_numbers(const PGresult *result, uint64_t *numbers, int count)
{
	if (pq.ntuples(result) < 1 || pq.nfields(result) < count)
		return false;
	for (int i = 0; i < count; i++)
		numbers[i] = strtoull(pq.getvalue(result, 0, i), NULL, 10);
	return true;
}

static enum ft_status pg_try_numbers(struct ft_catalog *c, const char *sql, uint64_t *numbers,
				     int count, struct pg_error *error)
{
	PGresult *result;
	enum ft_status st = pg_try(c, sql, PG_ANSWER_MS, &result, error);

	if (st != FT_OK)
		return st;
	if (!pg_read_numbers(result, numbers, count)) {
		snprintf(error->text, sizeof error->text, "its progress has no row");
		snprintf(error->state, sizeof error->state, "42000");
		error->remedy = "its tables were changed by another program";
		st = error->status = FT_DAMAGED;
	}
	pq.clear(result);
	return st;
}

/* --- connections --- */

static void pg_ignore_notice(void *context, const char *message)
{
	(void)context;
	(void)message;
}

static enum ft_status pg_check_version(struct ft_catalog *c, struct pg_error *error)
{
	struct pg *pg = c->db;

	if (pq.serverVersion(pg->conn) >= PG_VERSION_MIN)
		return FT_OK;
	snprintf(error->text, sizeof error->text, "the server is older than PostgreSQL " PG_VERSION_WORDS);
	snprintf(error->state, sizeof error->state, "0A000");
	error->remedy = "upgrade it";
	return error->status = FT_IO_ERROR;
}

/* What other connections and brokers look at; that it cannot be had decides nothing here. */
static void pg_lock(struct ft_catalog *c)
{
	struct pg_error error;
	struct pg *pg = c->db;
	PGresult *result;
	char sql[120];

	if (!pg->first || pg->locked)
		return;
	snprintf(sql, sizeof sql, "SELECT pg_try_advisory_lock(%d, hashtext(current_schema()))",
		 FT_SCHEMA_APPLICATION);
	if (pg_try(c, sql, PG_ANSWER_MS, &result, &error) != FT_OK)
		return;
	pg->locked = pq.ntuples(result) == 1 && pq.getvalue(result, 0, 0)[0] == 't';
	pq.clear(result);
}

static enum ft_status pg_try_connect(struct ft_catalog *c, struct pg_error *error)
{
	struct pg_shared *shared = c->shared->own;
	const struct pg_wait wait = pg_wait(shared, PG_CONNECT_MS);
	struct pg *pg = c->db;
	enum ft_status st;

	if (!(pg->conn = pg_address_connect(&shared->address))) {
		pg_error_lost(error, "out of memory");
		return error->status = FT_NO_MEMORY;
	}
	if (!pg_wire_connect(pg->conn, &wait)) {
		pg_error_read(error, &shared->address, pg->conn, NULL);
		pg_drop_connection(pg);
		return error->status;
	}
	(void)pq.setNoticeProcessor(pg->conn, pg_ignore_notice, NULL);
	if ((st = pg_check_version(c, error)) == FT_OK)
		st = pg_try_run(c, pg_session, error);
	if (st != FT_OK) {
		pg_drop_connection(pg);
		return st;
	}
	if (atomic_exchange(&shared->away, false)) {
		atomic_store(&c->shared->told_ms[FT_BUSY], 0);
		ft_logger_printf(c->shared->logger, FT_LOG_NOTICE, "catalog %s: the database answers again",
				 c->shared->name);
	}
	pg_lock(c);
	return pg->conn ? FT_OK : FT_BUSY;
}

/* A connection, if there is none. Logs why there is none. */
static enum ft_status pg_ensure(struct ft_catalog *c)
{
	struct pg_shared *shared = c->shared->own;
	struct pg_error error = { .status = FT_BUSY, .remedy = "" };
	struct pg *pg = c->db;

	if (pg->conn)
		return FT_OK;
	if (pg_try_connect(c, &error) == FT_OK)
		return FT_OK;
	atomic_store(&shared->away, true);
	return pg_tell(c, &error);
}

static void pg_unshare(struct ft_catalog_shared *all)
{
	struct pg_shared *shared = all->own;

	if (!shared)
		return;
	pg_address_release(&shared->address);
	free(shared);
	all->own = NULL;
}

static enum ft_status pg_share(struct ft_catalog_shared *all, const struct ft_catalog_config *config)
{
	struct pg_shared *shared = calloc(1, sizeof *shared);
	char name_room[500], why_room[400];
	struct ft_buf name = ft_buf_on(name_room, sizeof name_room);
	struct ft_buf why = ft_buf_on(why_room, sizeof why_room);

	if (!(all->own = shared))
		return FT_NO_MEMORY;
	shared->opener = pthread_self();
	if (!pg_load(&why)) {
		ft_logger_printf(all->logger, FT_LOG_ERROR, "plugin_opt_catalog: %s", why.text);
		return FT_NAME_REFUSED;
	}
	if (!pg_address_read(&shared->address, config->url, &name, &why)) {
		ft_logger_printf(all->logger, FT_LOG_ERROR, "%s", why.text);
		return FT_NAME_REFUSED;
	}
	return (all->name = strdup(name.text)) ? FT_OK : FT_NO_MEMORY;
}

static enum ft_status pg_connect(struct ft_catalog *c)
{
	struct pg *pg = calloc(1, sizeof *pg);

	if (!(c->db = pg))
		return FT_NO_MEMORY;
	for (size_t i = 0; i < FT_SQL_COUNT; i++) {
		pg->statements[i].sql = (enum ft_sql)i;
		c->statements[i] = &pg->statements[i];
	}
	pg->statements[FT_SQL_EACH_FINISHED_KEY].streaming = PG_ROW_BY_ROW;
	/* Of those that join, each connects when it is needed. */
	pg->first = atomic_load(&c->shared->connections) == 0;
	return FT_OK;
}

static void pg_disconnect(struct ft_catalog *c)
{
	struct pg *pg = c->db;

	if (!pg)
		return;
	pg_drop_connection(pg);
	free(pg);
}

/* --- opening --- */

/* A server that is just starting, and a former broker that is just ending, get some time. */
static enum ft_status pg_open_first(struct ft_catalog *c)
{
	int64_t deadline_ms = ft_clock_ms() + PG_OPEN_MS;
	struct pg_error error = { .status = FT_BUSY, .remedy = "" };
	struct pg *pg = c->db;
	enum ft_status st;

	for (bool said = false;; said = true) {
		st = pg->conn ? FT_OK : pg_try_connect(c, &error);
		if (st == FT_OK)
			st = pg_try_run(c, pg_use_schema, &error);
		if (st == FT_OK)
			pg_lock(c);
		if (pg->locked)
			return FT_OK;
		if (st == FT_OK && pg->conn) {
			st = error.status = FT_BUSY;
			snprintf(error.text, sizeof error.text, "another broker uses this schema");
			error.state[0] = '\0';
			error.remedy = "give each broker its own, as with ?options=-csearch_path%3Dname, or "
				       "stop the other one";
		}
		if (st != FT_BUSY || ft_clock_ms() >= deadline_ms)
			return pg_tell(c, &error);
		if (!said)
			ft_logger_printf(c->shared->logger, FT_LOG_WARNING, "catalog %s: %s: trying for %d s",
					 c->shared->name, error.text, PG_OPEN_MS / 1000);
		ft_sleep_ms(PG_RETRY_MS);
	}
}

static enum ft_status pg_run(struct ft_catalog *c, const char *sql)
{
	struct pg_error error;
	PGresult *result;
	enum ft_status st;

	if ((st = pg_ensure(c)) != FT_OK)
		return st;
	if ((st = pg_try(c, sql, PG_SCHEMA_MS, &result, &error)) != FT_OK)
		return pg_tell(c, &error);
	pq.clear(result);
	return FT_OK;
}

/* Nothing is changed before it is known whose it is. */
static enum ft_status pg_identify(struct ft_catalog *c, bool *found)
{
	uint64_t numbers[2];	/* tables of that name, of any */
	uint64_t version;
	struct pg_error error;
	enum ft_status st;

	st = pg_try_numbers(c, "SELECT count(*) FILTER (WHERE relname IN ('progress', 'transfers')),"
			    " count(*) FROM pg_class"
			    " WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'",
			    numbers, 2, &error);
	*found = st == FT_OK && numbers[0] == 2;
	if (st == FT_OK && !*found && numbers[1] > 0)
		return ft_connection_refuse(c->shared, FT_IO_ERROR, "the schema has tables of another "
					    "program: name another one, as with "
					    "?options=-csearch_path%3Dname");
	if (st == FT_OK && *found)
		st = pg_try_numbers(c, "SELECT version FROM progress", &version, 1, &error);
	if (st != FT_OK)
		return pg_tell(c, &error);
	if (*found && version != FT_SCHEMA_VERSION)
		return ft_connection_refuse(c->shared, FT_IO_ERROR, "was made by another version of this "
					    "plugin: install that version, or name another schema, in "
					    "which nothing is known of unfinished transfers");
	return FT_OK;
}

/* All in one transaction, which takes the epoch, too. */
static enum ft_status pg_make_tables(struct ft_catalog *c)
{
	struct pg_shared *shared = c->shared->own;
	struct pg_error error;
	uint64_t numbers[2];
	enum ft_status st;
	bool found;

	if ((st = pg_open_first(c)) != FT_OK
	    || (st = pg_run(c, pg_session_start)) != FT_OK
	    || (st = pg_identify(c, &found)) != FT_OK
	    || (st = pg_run(c, "BEGIN")) != FT_OK
	    || (!found && (st = pg_run(c, pg_schema_create)) != FT_OK)
	    || (st = pg_run(c, pg_schema_add)) != FT_OK)
		return st;
	st = pg_try_numbers(c, "UPDATE progress SET epoch = epoch + 1 RETURNING epoch, serial", numbers, 2,
			    &error);
	if (st != FT_OK)
		return pg_tell(c, &error);
	shared->epoch = numbers[0];
	shared->serial = numbers[1];
	return pg_run(c, "COMMIT");
}

/* --- transactions --- */

static void pg_roll_back(struct ft_catalog *c)
{
	struct pg_error error;
	struct pg *pg = c->db;

	if (pg->conn && pq.transactionStatus(pg->conn) != PQTRANS_IDLE
	    && pg_try_run(c, "ROLLBACK", &error) != FT_OK)
		pg_drop_connection(pg);
}

static enum ft_status pg_refuse_late(struct ft_catalog *c)
{
	pg_roll_back(c);
	if (ft_connection_tell(c->shared, FT_CANCELLED))
		ft_logger_printf(c->shared->logger, FT_LOG_ERROR, "catalog %s: another broker has taken this "
				 "schema over: this one can store nothing any more. Stop one of them, and "
				 "give each its own schema", c->shared->name);
	return FT_BUSY;
}

/* Both at once: one way to the server and back. */
static enum ft_status pg_try_begin(struct ft_catalog *c, struct pg_error *error)
{
	struct pg_shared *shared = c->shared->own;
	PGresult *result;
	char sql[160];
	enum ft_status st;
	bool mine;

	snprintf(sql, sizeof sql, "BEGIN; UPDATE progress SET serial = %" PRIu64 " WHERE epoch = %" PRIu64,
		 shared->serial + 1, shared->epoch);
	if ((st = pg_try(c, sql, PG_ANSWER_MS, &result, error)) != FT_OK)
		return st;
	mine = strcmp(pq.cmdTuples(result), "1") == 0;
	pq.clear(result);
	if (!mine)
		error->status = FT_CANCELLED;
	return mine ? FT_OK : FT_CANCELLED;
}

static enum ft_status pg_begin(struct ft_catalog *c)
{
	struct pg_shared *shared = c->shared->own;
	struct pg_error error;
	struct pg *pg = c->db;
	enum ft_status st;

	for (int tries = 0;; tries++) {
		bool fresh = !pg->conn;

		if ((st = pg_ensure(c)) != FT_OK)
			return st;
		pg_lock(c);
		st = pg->conn ? pg_try_begin(c, &error) : FT_BUSY;
		if (st == FT_OK)
			break;
		if (st == FT_CANCELLED)
			return pg_refuse_late(c);
		/* It was closed some time ago: that shows only now, and nothing is lost. */
		if (!pg->conn && !fresh && tries == 0)
			continue;
		pg_roll_back(c);
		return pg_tell(c, &error);
	}
	shared->serial++;
	return FT_OK;
}

/* Once. FT_OK: *committed is known. */
static enum ft_status pg_ask_committed(struct ft_catalog *c, bool *committed)
{
	struct pg_shared *shared = c->shared->own;
	struct pg_error error;
	struct pg *pg = c->db;
	uint64_t numbers[2];
	enum ft_status st;

	if ((st = pg_ensure(c)) != FT_OK)
		return st;
	st = pg_try_numbers(c, "SELECT epoch, serial FROM progress FOR UPDATE", numbers, 2, &error);
	if (st != FT_OK) {
		if (pg->conn)
			(void)pg_tell(c, &error);
		return st;
	}
	*committed = numbers[0] == shared->epoch && numbers[1] == shared->serial;
	return FT_OK;
}

/* FT_OK: it has taken place; FT_BUSY: it has not, or that could not be found out. */
static enum ft_status pg_settle_doubt(struct ft_catalog *c)
{
	struct pg_shared *shared = c->shared->own;
	bool opener = pthread_equal(pthread_self(), shared->opener) != 0;
	int64_t deadline_ms = opener ? ft_clock_ms() + PG_DOUBT_MS : INT64_MAX;
	bool committed;

	while (pg_ask_committed(c, &committed) != FT_OK) {
		if (atomic_load(&shared->hurry) || ft_clock_ms() >= deadline_ms)
			return FT_BUSY;
		ft_sleep_ms(PG_RETRY_MS);
	}
	return committed ? FT_OK : FT_BUSY;
}

static enum ft_status pg_commit(struct ft_catalog *c)
{
	struct pg *pg = c->db;
	struct pg_error error;
	PGresult *result;
	enum ft_status st;
	bool done;

	if ((st = pg_try(c, "COMMIT", PG_ANSWER_MS, &result, &error)) == FT_OK) {
		/* The server says so where it rolled back. */
		done = strcmp(pq.cmdStatus(result), "COMMIT") == 0;
		pq.clear(result);
		if (!done)
			ft_connection_fail(c, FT_BUSY);
		return done ? FT_OK : FT_BUSY;
	}
	if (!pg->conn)
		st = pg_settle_doubt(c);
	if (st == FT_OK)
		return FT_OK;
	if (pg->conn && error.state[0])
		return pg_tell(c, &error);
	ft_connection_fail(c, st);
	return st;
}

static void pg_rollback(struct ft_catalog *c)
{
	pg_roll_back(c);
}

/* For reading only, so a transaction that writes is as good. */
static enum ft_status pg_hold(struct ft_catalog *c)
{
	static const char begin[] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
	struct pg_error error;
	struct pg *pg = c->db;
	enum ft_status st = FT_BUSY;

	if (c->transaction != FT_TRANSACTION_IDLE)
		return FT_OK;
	for (int tries = 0; tries < 2; tries++) {
		if ((st = pg_ensure(c)) != FT_OK)
			return st;
		/* One that was closed some time ago shows that only now. */
		if ((st = pg_try_run(c, begin, &error)) == FT_OK || pg->conn)
			break;
	}
	if (st != FT_OK)
		return pg_tell(c, &error);
	pg->held = true;
	return FT_OK;
}

static void pg_let_go(struct ft_catalog *c)
{
	struct pg *pg = c->db;

	if (pg->held)
		pg_roll_back(c);
	pg->held = false;
}

/* Each commit has waited for that: pg_session. */
static enum ft_status pg_sync(struct ft_catalog *c)
{
	(void)c;
	return FT_OK;
}

/* The server does it by itself. */
static enum ft_status pg_checkpoint(struct ft_catalog *c)
{
	(void)c;
	return FT_OK;
}

static void pg_interrupt(struct ft_catalog *c)
{
	struct pg_shared *shared = c->shared->own;

	atomic_store(&shared->hurry, true);
}

/* --- statements --- */

static enum ft_status pg_try_prepare(struct ft_catalog *c, struct pg_statement *s,
				     struct pg_error *error)
{
	const struct pg_wait wait = pg_wait(c->shared->own, PG_ANSWER_MS);
	char room[PG_TEXT_ROOM], name[16];
	struct ft_buf text = ft_buf_on(room, sizeof room);
	struct pg *pg = c->db;
	PGresult *result;
	enum ft_status st;

	if (s->prepared || !pg_statement_write(s->sql, &text))
		return FT_OK;
	assert(ft_buf_ok(&text));
	snprintf(name, sizeof name, "s%d", (int)s->sql);
	result = pq.sendPrepare(pg->conn, name, text.text, 0, NULL) ? pg_wire_gather(pg->conn, &wait)
								     : NULL;
	if ((st = pg_outcome(c, &result, error)) != FT_OK)
		return st;
	pq.clear(result);
	s->prepared = true;
	return FT_OK;
}

/* The first connection finds out whether the tables are what they should be; others have no time to lose. */
static enum ft_status pg_prepare(struct ft_catalog *c)
{
	struct pg_error error;
	struct pg *pg = c->db;
	enum ft_status st;

	for (size_t i = 0; pg->first && i < FT_SQL_COUNT; i++)
		if ((st = pg_try_prepare(c, &pg->statements[i], &error)) != FT_OK) {
			st = pg_tell(c, &error);
			return st == FT_DAMAGED ? FT_IO_ERROR : st;
		}
	return FT_OK;
}

static struct pg_statement *pg_next_parameter(struct ft_query *q, const char *bytes, size_t len)
{
	struct pg_statement *s = q->statement;

	assert(s->count < PG_PARAMETERS_MAX && len <= INT32_MAX && !s->running);
	s->values[s->count] = bytes;
	s->lens[s->count] = (int)len;
	s->count++;
	q->position++;
	return s;
}

static void pg_bind_null(struct ft_query *q)
{
	(void)pg_next_parameter(q, NULL, 0);
}

static void pg_bind_i64(struct ft_query *q, int64_t number)
{
	struct pg_statement *s = q->statement;
	uint8_t *bytes = s->numbers[s->count];

	for (size_t i = 0; i < sizeof number; i++)
		bytes[i] = (uint8_t)((uint64_t)number >> (56 - 8 * i));
	(void)pg_next_parameter(q, (const char *)bytes, sizeof number);
}

static void pg_bind_text(struct ft_query *q, const char *text, size_t len)
{
	(void)pg_next_parameter(q, text, len);
}

static void pg_bind_blob(struct ft_query *q, const void *bytes, size_t len)
{
	(void)pg_next_parameter(q, bytes, len);
}

/* Sends it; the first result is in s->result, NULL where there is no row to stream. */
static enum ft_status pg_try_execute(struct ft_catalog *c, struct pg_statement *s,
				     struct pg_error *error)
{
	static const int binary[PG_PARAMETERS_MAX] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
	const struct pg_wait wait = pg_wait(c->shared->own, PG_ANSWER_MS);
	struct pg *pg = c->db;
	char name[16];
	enum ft_status st;

	if ((st = pg_try_prepare(c, s, error)) != FT_OK)
		return st;
	snprintf(name, sizeof name, "s%d", (int)s->sql);
	s->result = NULL;
	if (pq.sendQueryPrepared(pg->conn, name, s->count, s->values, s->lens, binary, 1)) {
		if (s->streaming == PG_ROW_BY_ROW)
			(void)(pq.setSingleRowMode(pg->conn)
			       && pg_wire_next(pg->conn, &wait, &s->result));
		else
			s->result = pg_wire_gather(pg->conn, &wait);
	}
	return pg_outcome(c, &s->result, error);
}

static enum ft_status pg_execute(struct ft_catalog *c, struct pg_statement *s)
{
	struct pg_error error;
	struct pg *pg = c->db;
	bool alone = c->transaction == FT_TRANSACTION_IDLE && !pg->held;
	enum ft_status st;

	for (int tries = 0;; tries++) {
		bool fresh = !pg->conn;

		/* What it would go on with is gone. */
		if (!pg->conn && !alone) {
			ft_connection_fail(c, FT_BUSY);
			return FT_BUSY;
		}
		if ((st = pg_ensure(c)) != FT_OK)
			return st;
		if ((st = pg_try_execute(c, s, &error)) == FT_OK)
			return FT_OK;
		if (pg->conn || !alone || fresh || tries > 0)
			return pg_tell(c, &error);
	}
}

/* The next row of a stream, or its end, which is a result without rows, and then none. */
static bool pg_stream(struct ft_query *q)
{
	const struct pg_wait wait = pg_wait(q->catalog->shared->own, PG_ANSWER_MS);
	struct pg_statement *s = q->statement;
	struct pg *pg = q->catalog->db;
	struct pg_error error;

	if (s->row++ >= 0) {
		pq.clear(s->result);
		s->result = NULL;
		(void)pg_wire_next(pg->conn, &wait, &s->result);
		if (pg_outcome(q->catalog, &s->result, &error) != FT_OK) {
			q->status = pg_tell(q->catalog, &error);
			return false;
		}
	}
	return pq.ntuples(s->result) > 0;
}

static bool pg_row(struct ft_query *q)
{
	struct pg_statement *s = q->statement;
	struct pg *pg = q->catalog->db;

	if (!s->running) {
		if ((q->status = pg_execute(q->catalog, s)) != FT_OK)
			return false;
		s->running = true;
		s->row = -1;
		s->rows = pq.ntuples(s->result);
		pg->changed = pq.cmdTuples(s->result)[0] > '0';
	}
	if (s->streaming == PG_ROW_BY_ROW)
		return pg_stream(q);
	return ++s->row < s->rows;
}

/* Of a stream the rest is read, which nobody wants any more. */
static void pg_end(struct ft_query *q)
{
	struct pg_statement *s = q->statement;
	struct pg *pg = q->catalog->db;
	PGresult *rest;

	if (s->result)
		pq.clear(s->result);
	s->result = NULL;
	if (s->running && s->streaming == PG_ROW_BY_ROW && pg->conn) {
		const struct pg_wait wait = pg_wait(q->catalog->shared->own, PG_ANSWER_MS);

		rest = pg_wire_gather(pg->conn, &wait);
		if (rest)
			pq.clear(rest);
	}
	s->running = false;
	s->count = 0;
}

static bool pg_changed(const struct ft_query *q)
{
	const struct pg *pg = q->catalog->db;

	return pg->changed;
}

static enum ft_value pg_kind(const struct ft_query *q)
{
	const struct pg_statement *s = q->statement;
	int row = s->streaming == PG_ROW_BY_ROW ? 0 : s->row;

	if (pq.getisnull(s->result, row, q->position))
		return FT_VALUE_NULL;
	switch (pq.ftype(s->result, q->position)) {
	case PG_INT8:
		return FT_VALUE_INTEGER;
	case PG_BYTEA:
		return FT_VALUE_BYTES;
	default:
		return FT_VALUE_OTHER;
	}
}

static const char *pg_bytes(const struct ft_query *q, size_t *len)
{
	const struct pg_statement *s = q->statement;
	int row = s->streaming == PG_ROW_BY_ROW ? 0 : s->row;

	*len = (size_t)pq.getlength(s->result, row, q->position);
	return pq.getvalue(s->result, row, q->position);
}

static int64_t pg_i64(const struct ft_query *q)
{
	size_t len;
	const char *bytes = pg_bytes(q, &len);
	uint64_t number = 0;

	for (size_t i = 0; i < len; i++)
		number = number << 8 | (uint8_t)bytes[i];
	return (int64_t)number;
}

const struct ft_database ft_postgres = {
	.share = pg_share,
	.unshare = pg_unshare,
	.connect = pg_connect,
	.disconnect = pg_disconnect,
	.make_tables = pg_make_tables,
	.prepare = pg_prepare,
	.begin = pg_begin,
	.commit = pg_commit,
	.rollback = pg_rollback,
	.hold = pg_hold,
	.let_go = pg_let_go,
	.sync = pg_sync,
	.checkpoint = pg_checkpoint,
	.interrupt = pg_interrupt,
	.run = pg_run,
	.bind_null = pg_bind_null,
	.bind_i64 = pg_bind_i64,
	.bind_text = pg_bind_text,
	.bind_blob = pg_bind_blob,
	.row = pg_row,
	.end = pg_end,
	.changed = pg_changed,
	.kind = pg_kind,
	.i64 = pg_i64,
	.bytes = pg_bytes,
};
#else
typedef int postgres_is_not_built_in;	/* a file of ISO C has something in it */
#endif
