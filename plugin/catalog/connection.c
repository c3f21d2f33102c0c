/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "catalog/connection.h"

#include <assert.h>
#include <errno.h>

#include "base/system.h"
#include "catalog/schema.h"

#define BUSY_MS 5000
#define TELL_AGAIN_MS 60000

/*
 * No value is longer; of a damaged file nothing larger is brought into memory. Ids, topics and
 * Correlation Data have up to 64 KiB each, user_data as much.
 */
#define VALUE_MAX (1 << 20)

static const char *const statements[FT_SQL_COUNT] = {
#define X(symbol, text) [FT_SQL_##symbol] = text,
	FT_SQL_TABLE(X)
#undef X
};

static const struct {
	int rc;		/* primary result code */
	enum ft_status status;
} results[] = {
	{ SQLITE_FULL, FT_DISK_FULL },
	{ SQLITE_NOMEM, FT_NO_MEMORY },
	{ SQLITE_BUSY, FT_BUSY },
	{ SQLITE_LOCKED, FT_BUSY },
	{ SQLITE_PROTOCOL, FT_BUSY },
	{ SQLITE_CORRUPT, FT_DAMAGED },
	{ SQLITE_NOTADB, FT_DAMAGED },
	/* Our own SQL is right: tables, or values in them, are not what we made. */
	{ SQLITE_ERROR, FT_DAMAGED },
	{ SQLITE_SCHEMA, FT_DAMAGED },
	{ SQLITE_CONSTRAINT, FT_DAMAGED },
	{ SQLITE_MISMATCH, FT_DAMAGED },
	{ SQLITE_TOOBIG, FT_DAMAGED },
};

static const struct {
	enum ft_status status;
	const char *remedy;
} remedies[] = {
	{ FT_DISK_FULL, "free some space there" },
	{ FT_NO_MEMORY, "give the broker more memory" },
	{ FT_BUSY, "another program keeps it locked for longer than 5 s: end that program" },
	{ FT_DAMAGED, "its file was damaged or changed by another program" },
	{ FT_IO_ERROR, "look at the disk, and at who may read and write the file" },
};

static const char *remedy_of(enum ft_status st)
{
	for (size_t i = 0; i < sizeof remedies / sizeof remedies[0]; i++)
		if (remedies[i].status == st)
			return remedies[i].remedy;
	return "";
}

/* A full disk may be told as another error, where not a page but SQLite's own files lack room. */
static enum ft_status status_of(sqlite3 *db, int rc)
{
	int error = db ? sqlite3_system_errno(db) : 0;

	if (rc == SQLITE_IOERR_NOMEM)
		return FT_NO_MEMORY;
	if ((rc & 0xff) == SQLITE_IOERR && (error == ENOSPC || error == EDQUOT))
		return FT_DISK_FULL;
	for (size_t i = 0; i < sizeof results / sizeof results[0]; i++)
		if (results[i].rc == (rc & 0xff))
			return results[i].status;
	return FT_IO_ERROR;
}

bool ft_connection_tell(struct ft_catalog_shared *shared, enum ft_status status)
{
	int64_t now = ft_clock_ms() + 1;	/* 0 stands for never */
	int64_t before = atomic_load(&shared->told_ms[status]);

	if (before != 0 && now - before < TELL_AGAIN_MS)
		return false;
	return atomic_compare_exchange_strong(&shared->told_ms[status], &before, now);
}

/* Nothing of this transaction may be committed any more. */
static void connection_fail(struct ft_catalog *c, enum ft_status st)
{
	if (c->transaction == FT_TRANSACTION_IDLE)
		return;
	c->transaction = FT_TRANSACTION_FAILED;
	c->failure = st;
}

enum ft_status ft_connection_status(struct ft_catalog *c, int rc)
{
	enum ft_status st;

	if (rc == SQLITE_OK || rc == SQLITE_ROW || rc == SQLITE_DONE)
		return FT_OK;
	st = status_of(c->db, rc);
	if (rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC)
		atomic_store(&c->shared->sync_failed, true);
	if (ft_connection_tell(c->shared, st))
		ft_logger_printf(c->shared->logger, FT_LOG_ERROR, "catalog %s: %s (%d): %s",
				 c->shared->path, c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc),
				 rc, remedy_of(st));
	connection_fail(c, st);
	return st;
}

enum ft_status ft_connection_damaged(struct ft_catalog *c, const char *what)
{
	if (ft_connection_tell(c->shared, FT_DAMAGED))
		ft_logger_printf(c->shared->logger, FT_LOG_ERROR,
				 "catalog %s: a row makes no sense (%s): %s", c->shared->path, what,
				 remedy_of(FT_DAMAGED));
	connection_fail(c, FT_DAMAGED);
	return FT_DAMAGED;
}

enum ft_status ft_connection_run(struct ft_catalog *c, const char *sql)
{
	return ft_connection_status(c, sqlite3_exec(c->db, sql, NULL, NULL, NULL));
}

enum ft_status ft_connection_number(struct ft_catalog *c, const char *sql, int64_t *number)
{
	sqlite3_stmt *statement = NULL;
	int rc = sqlite3_prepare_v2(c->db, sql, -1, &statement, NULL);
	enum ft_status st;

	*number = 0;
	if (rc == SQLITE_OK)
		rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW)
		*number = sqlite3_column_int64(statement, 0);
	st = ft_connection_status(c, rc);
	(void)sqlite3_finalize(statement);
	return st;
}

static enum ft_status connection_configure(struct ft_catalog *c)
{
	(void)sqlite3_extended_result_codes(c->db, 1);
	(void)sqlite3_limit(c->db, SQLITE_LIMIT_LENGTH, VALUE_MAX);
	(void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	(void)sqlite3_busy_timeout(c->db, BUSY_MS);
	return ft_connection_run(c, ft_schema_settings);
}

enum ft_status ft_connection_open(struct ft_catalog_shared *shared, struct ft_catalog **out)
{
	struct ft_catalog *c = calloc(1, sizeof *c);
	enum ft_status st;

	*out = NULL;
	if (!c)
		return FT_NO_MEMORY;
	c->shared = shared;
	st = ft_connection_status(c, sqlite3_open_v2(shared->path, &c->db,
						     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
						     SQLITE_OPEN_NOMUTEX, NULL));
	if (st == FT_OK)
		st = connection_configure(c);
	if (st != FT_OK) {
		ft_connection_close(&c);
		return st;
	}
	*out = c;
	return FT_OK;
}

enum ft_status ft_connection_prepare(struct ft_catalog *c)
{
	for (size_t i = 0; i < FT_SQL_COUNT; i++) {
		int rc = sqlite3_prepare_v3(c->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
					    &c->statements[i], NULL);

		if (rc != SQLITE_OK)
			return ft_connection_status(c, rc);
	}
	return FT_OK;
}

void ft_connection_close(struct ft_catalog **c)
{
	int rc;

	if (!*c)
		return;
	for (size_t i = 0; i < FT_SQL_COUNT; i++)
		(void)sqlite3_finalize((*c)->statements[i]);
	rc = sqlite3_close((*c)->db);
	assert(rc == SQLITE_OK);	/* else a statement was left open */
	(void)rc;
	free((*c)->texts);
	free(*c);
	*c = NULL;
}
