/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A catalog in a file: SQLite in WAL mode.
 *
 * WHY SYNCING THE WRITE-AHEAD LOG IS ENOUGH (SQLite's src/wal.c, 3.40). A transaction that is
 * committed is in frames of the log `catalog.db-wal`; with synchronous=normal nobody has
 * waited for them. Where are they when ft_catalog_sync() is called, whatever others do?
 *
 *   - In the log. fsync() is about the file, not the descriptor, so one call makes all frames
 *     of all connections durable, and with them all that came before: recovery stops at the
 *     first frame whose checksum is wrong, and there is none up to here.
 *   - No longer in the log, because it was begun anew (walRestartLog). This happens only
 *     when all its frames have been copied into the database (nBackfill == mxFrame), and
 *     walCheckpoint() sets nBackfill to that only after the log was synced, the pages were
 *     copied and the database was synced. So these transactions are durable already. The new
 *     log's header is synced by walWriteFrames() before the first frame is written behind
 *     it, and has another salt: old frames behind new ones don't count.
 *   - Copied in part: the frames stay in the log until the case above.
 *
 * A commit or a checkpoint at the same time only adds frames, which may or may not become
 * durable, in order. A checkpoint syncs the log before it writes to the database; so however
 * little of the database's pages reached the disk, the log still has them.
 *
 * The directory's entries of log and database: SQLite's unix VFS syncs the directory at the
 * first xSync of a log, but hides it if that fails, so ft_catalog_open() does it as well. The
 * log is not removed before the last connection of all processes closes, and ours is open.
 *
 * A failed fsync is final: the kernel has dropped what it could not write, and tells each
 * descriptor once only, so that the next fsync may say that all is well. After one no sync
 * succeeds until the broker is started again, whoever's descriptor it was.
 *
 * The log file is reached by SQLITE_FCNTL_JOURNAL_POINTER and synced by its xSync, so all goes
 * through SQLite's VFS and no other descriptor of the files is ever opened and closed here:
 * closing one would drop the process's POSIX locks on them.
 */
#include <assert.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "base/system.h"
#include "catalog/connection.h"
#include "catalog/query.h"
#include "catalog/schema.h"

#define BUSY_MS 5000

/*
 * No value is longer; of a damaged file nothing larger is brought into memory. Ids, topics and
 * Correlation Data have up to 64 KiB each, user_data as much.
 */
#define VALUE_MAX (1 << 20)

/* Pages in a log so large that writers are made to wait until it can be begun anew: 16 MiB. */
#define FRAMES_MAX 4000

/* --- errors --- */

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

/*
 * What an SQLite result means, logged with SQLite's message and the remedy, once a cause and
 * minute. Within a transaction an error makes it FAILED. SQLITE_OK, _ROW, _DONE: FT_OK.
 */
static enum ft_status sqlite_status(struct ft_catalog *c, int rc)
{
	enum ft_status st;

	if (rc == SQLITE_OK || rc == SQLITE_ROW || rc == SQLITE_DONE)
		return FT_OK;
	st = status_of(c->db, rc);
	if (rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC)
		atomic_store(&c->shared->sync_failed, true);
	if (ft_connection_tell(c->shared, st))
		ft_logger_printf(c->shared->logger, FT_LOG_ERROR, "catalog %s: %s (%d): %s",
				 c->shared->name, c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc),
				 rc, remedy_of(st));
	ft_connection_fail(c, st);
	return st;
}

/* --- connections --- */

static enum ft_status sqlite_run(struct ft_catalog *c, const char *sql)
{
	return sqlite_status(c, sqlite3_exec(c->db, sql, NULL, NULL, NULL));
}

/* The first column of the first row; 0 where there is none. */
static enum ft_status sqlite_number(struct ft_catalog *c, const char *sql, int64_t *number)
{
	sqlite3_stmt *statement = NULL;
	int rc = sqlite3_prepare_v2(c->db, sql, -1, &statement, NULL);
	enum ft_status st;

	*number = 0;
	if (rc == SQLITE_OK)
		rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW)
		*number = sqlite3_column_int64(statement, 0);
	st = sqlite_status(c, rc);
	(void)sqlite3_finalize(statement);
	return st;
}

static enum ft_status sqlite_configure(struct ft_catalog *c)
{
	(void)sqlite3_extended_result_codes(c->db, 1);
	(void)sqlite3_limit(c->db, SQLITE_LIMIT_LENGTH, VALUE_MAX);
	(void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	(void)sqlite3_busy_timeout(c->db, BUSY_MS);
	return sqlite_run(c, ft_schema_settings);
}

/* SQLite would make it 0644; its other files get the mode of this one. */
static enum ft_status sqlite_make_file(struct ft_catalog_shared *shared)
{
	int fd = ft_sys_openat(AT_FDCWD, shared->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	int error = errno;

	if (fd < 0 && error == EEXIST)
		return FT_OK;
	if (fd < 0)
		return ft_connection_refuse(shared, ft_sys_status(error), strerror(error));
	ft_sys_close(fd);
	return FT_OK;
}

static enum ft_status sqlite_share(struct ft_catalog_shared *shared,
				   const struct ft_catalog_config *config)
{
	if (!(shared->name = strdup(config->path)))
		return FT_NO_MEMORY;
	return sqlite_make_file(shared);
}

static enum ft_status sqlite_connect(struct ft_catalog *c)
{
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(c->shared->name, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
				 | SQLITE_OPEN_NOMUTEX, NULL);
	enum ft_status st;

	c->db = db;
	st = sqlite_status(c, rc);
	return st == FT_OK ? sqlite_configure(c) : st;
}

static void sqlite_disconnect(struct ft_catalog *c)
{
	int rc;

	for (size_t i = 0; i < FT_SQL_COUNT; i++)
		(void)sqlite3_finalize(c->statements[i]);
	rc = sqlite3_close(c->db);
	assert(rc == SQLITE_OK);	/* else a statement was left open */
	(void)rc;
}

static enum ft_status sqlite_prepare(struct ft_catalog *c)
{
	for (size_t i = 0; i < FT_SQL_COUNT; i++) {
		sqlite3_stmt *statement = NULL;
		int rc = sqlite3_prepare_v3(c->db, ft_connection_sql((enum ft_sql)i), -1,
					    SQLITE_PREPARE_PERSISTENT, &statement, NULL);

		c->statements[i] = statement;
		if (rc != SQLITE_OK)
			return sqlite_status(c, rc);
	}
	return FT_OK;
}

/* --- opening --- */

enum found {
	FOUND_NOTHING,
	FOUND_CATALOG,
};

/* Nothing is changed before it is known whose it is. */
static enum ft_status sqlite_identify(struct ft_catalog *c, enum found *found)
{
	int64_t application;
	int64_t version;
	int64_t tables;
	enum ft_status st;

	if ((st = sqlite_number(c, "PRAGMA application_id", &application)) != FT_OK
	    || (st = sqlite_number(c, "PRAGMA user_version", &version)) != FT_OK
	    || (st = sqlite_number(c, "SELECT count(*) FROM sqlite_schema",
					  &tables)) != FT_OK)
		return st;
	*found = FOUND_NOTHING;
	if (application == 0 && version == 0 && tables == 0)
		return FT_OK;
	if (application != FT_SCHEMA_APPLICATION)
		return ft_connection_refuse(c->shared, FT_DAMAGED, "is a database of another program");
	if (version > FT_SCHEMA_VERSION)
		return ft_connection_refuse(c->shared, FT_IO_ERROR, "was made by a newer version of this "
				   "plugin: install that version, or remove the file, whose "
				   "unfinished transfers are then forgotten");
	if (version < FT_SCHEMA_VERSION)
		return ft_connection_refuse(c->shared, FT_DAMAGED, "has no version");
	*found = FOUND_CATALOG;
	return FT_OK;
}

static enum ft_status sqlite_use_wal(struct ft_catalog *c)
{
	bool wal = false;
	sqlite3_stmt *statement = NULL;
	int rc = sqlite3_prepare_v2(c->db, "PRAGMA journal_mode = wal", -1, &statement, NULL);
	enum ft_status st;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW) {
		wal = sqlite3_stricmp((const char *)sqlite3_column_text(statement, 0), "wal") == 0;
		rc = sqlite3_step(statement);	/* commits */
	}
	st = sqlite_status(c, rc);
	(void)sqlite3_finalize(statement);
	if (st == FT_OK && !wal)
		return ft_connection_refuse(c->shared, FT_IO_ERROR, "its file system has no memory shared "
				   "between processes, or no locks, as many network file systems: "
				   "use a local one");
	return st;
}

static enum ft_status sqlite_create(struct ft_catalog *c)
{
	enum ft_status st;

	if ((st = sqlite_run(c, "BEGIN IMMEDIATE")) != FT_OK
	    || (st = sqlite_run(c, ft_schema_create)) != FT_OK)
		return st;
	return sqlite_run(c, "COMMIT");
}

static enum ft_status sqlite_make_tables(struct ft_catalog *c)
{
	enum found found;
	enum ft_status st;

	if ((st = sqlite_identify(c, &found)) != FT_OK || (st = sqlite_use_wal(c)) != FT_OK)
		return st;
	if (found == FOUND_NOTHING && (st = sqlite_create(c)) != FT_OK)
		return st;
	return sqlite_run(c, ft_schema_add);
}

/* Without it a power cut may take away the names of the database and of its log. */
static enum ft_status sqlite_opened(struct ft_catalog *c)
{
	int error;

	if (ft_sys_sync_parent(c->shared->name) == 0)
		return FT_OK;
	error = errno;
	return ft_connection_refuse(c->shared, ft_sys_status(error), "its directory cannot be synced");
}

static enum ft_status rename_one(const char *from, const char *to, const char *suffix)
{
	size_t from_room = strlen(from) + strlen(suffix) + 1;
	size_t to_room = strlen(to) + strlen(suffix) + 1;
	char *names = malloc(from_room + to_room);
	enum ft_status st = FT_OK;

	if (!names)
		return FT_NO_MEMORY;
	snprintf(names, from_room, "%s%s", from, suffix);
	snprintf(names + from_room, to_room, "%s%s", to, suffix);
	if (ft_sys_renameat(AT_FDCWD, names, AT_FDCWD, names + from_room) != 0 && errno != ENOENT)
		st = ft_sys_status(errno);
	free(names);
	return st;
}

/*
 * The database first: SQLite deletes a log that has no database, but a database without its
 * log would pass for a catalog, with facts from some time ago.
 */
enum ft_status ft_catalog_move(const char *path, const char *to)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };

	for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
		enum ft_status st = rename_one(path, to, suffixes[i]);

		if (st != FT_OK)
			return st;
	}
	return FT_OK;
}

/* --- transactions --- */

static enum ft_status sqlite_begin(struct ft_catalog *c)
{
	struct ft_query q = ft_query(c, FT_SQL_BEGIN);

	return ft_query_run(&q);
}

static enum ft_status sqlite_commit(struct ft_catalog *c)
{
	struct ft_query q = ft_query(c, FT_SQL_COMMIT);

	return ft_query_run(&q);
}

static void sqlite_rollback(struct ft_catalog *c)
{
	/* Many errors have made SQLite roll back already. It takes no memory and no disk. */
	if (sqlite3_get_autocommit(c->db) == 0) {
		(void)sqlite3_step(c->statements[FT_SQL_ROLLBACK]);
		(void)sqlite3_reset(c->statements[FT_SQL_ROLLBACK]);
	}
	assert(sqlite3_get_autocommit(c->db) != 0);
}

/* --- sync and checkpoint --- */

/* Syncs one of SQLite's files. */
static enum ft_status sqlite_sync_file(struct ft_catalog *c, int which)
{
	sqlite3_file *file = NULL;
	int rc = sqlite3_file_control(c->db, NULL, which, &file);

	if (rc == SQLITE_OK && file && file->pMethods)
		rc = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
	if (rc == SQLITE_OK)
		return FT_OK;
	atomic_store(&c->shared->sync_failed, true);
	if (ft_connection_tell(c->shared, FT_IO_ERROR))
		ft_logger_printf(c->shared->logger, FT_LOG_ERROR,
				 "catalog %s: the disk refused to keep it (%s): look at the disk, "
				 "then start the broker again", c->shared->name, sqlite3_errstr(rc));
	return FT_IO_ERROR;
}

static enum ft_status sqlite_sync(struct ft_catalog *c)
{
	enum ft_status st;

	if ((st = sqlite_sync_file(c, SQLITE_FCNTL_JOURNAL_POINTER)) != FT_OK)
		return st;
	/* Afterwards: one that failed before counts, whether this one succeeded or not. */
	return atomic_load(&c->shared->sync_failed) ? FT_IO_ERROR : FT_OK;
}

/* How many frames the log had. Another checkpoint at the same time is as good: FT_OK. */
static enum ft_status sqlite_copy_frames(struct ft_catalog *c, int *frames)
{
	int rc = sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_PASSIVE, frames, NULL);

	if ((rc & 0xff) == SQLITE_BUSY)
		return FT_OK;
	return sqlite_status(c, rc);
}

/*
 * While others commit, copying never comes to an end, and a log whose end is not reached is
 * never begun anew: it would grow for ever. So of a large one the rest is copied while others
 * wait, little as it is by then, and with the database's pages on the disk already. (Whether
 * there is a rest SQLite does not tell: its figures are those of the beginning.)
 */
static enum ft_status sqlite_checkpoint(struct ft_catalog *c)
{
	enum ft_status st;
	int frames = 0;

	if ((st = sqlite_copy_frames(c, &frames)) != FT_OK || frames < FRAMES_MAX)
		return st;
	if ((st = sqlite_sync_file(c, SQLITE_FCNTL_FILE_POINTER)) != FT_OK)
		return st;
	pthread_mutex_lock(&c->shared->writing);
	st = sqlite_copy_frames(c, &frames);
	pthread_mutex_unlock(&c->shared->writing);
	return st;
}

/* --- statements --- */

static void sqlite_bound(struct ft_query *q, int rc)
{
	q->position++;
	if (q->status == FT_OK && rc != SQLITE_OK)
		q->status = sqlite_status(q->catalog, rc);
}

static void sqlite_bind_null(struct ft_query *q)
{
	sqlite_bound(q, sqlite3_bind_null(q->statement, q->position));
}

static void sqlite_bind_i64(struct ft_query *q, int64_t number)
{
	sqlite_bound(q, sqlite3_bind_int64(q->statement, q->position, number));
}

static void sqlite_bind_text(struct ft_query *q, const char *text, size_t len)
{
	sqlite_bound(q, sqlite3_bind_text64(q->statement, q->position, text, len, SQLITE_STATIC,
					    SQLITE_UTF8));
}

static void sqlite_bind_blob(struct ft_query *q, const void *bytes, size_t len)
{
	sqlite_bound(q, sqlite3_bind_blob64(q->statement, q->position, bytes, len, SQLITE_STATIC));
}

static bool sqlite_row(struct ft_query *q)
{
	int rc = sqlite3_step(q->statement);

	if (rc == SQLITE_ROW)
		return true;
	q->status = sqlite_status(q->catalog, rc);
	return false;
}

static void sqlite_end(struct ft_query *q)
{
	/* Its result is that of the last step, which is known already. */
	(void)sqlite3_reset(q->statement);
	(void)sqlite3_clear_bindings(q->statement);
}

static bool sqlite_changed(const struct ft_query *q)
{
	return sqlite3_changes(q->catalog->db) > 0;
}

static enum ft_value sqlite_kind(const struct ft_query *q)
{
	switch (sqlite3_column_type(q->statement, q->position)) {
	case SQLITE_NULL:
		return FT_VALUE_NULL;
	case SQLITE_INTEGER:
		return FT_VALUE_INTEGER;
	case SQLITE_TEXT:
		return FT_VALUE_TEXT;
	case SQLITE_BLOB:
		return FT_VALUE_BLOB;
	default:
		return FT_VALUE_OTHER;
	}
}

static int64_t sqlite_i64(const struct ft_query *q)
{
	return sqlite3_column_int64(q->statement, q->position);
}

/* Also of a BLOB, which is no UTF-8: column_text() puts a NUL behind it and changes nothing. */
static const char *sqlite_bytes(const struct ft_query *q, size_t *len)
{
	const char *bytes = (const char *)sqlite3_column_text(q->statement, q->position);

	*len = (size_t)sqlite3_column_bytes(q->statement, q->position);
	return bytes;
}

const struct ft_database ft_sqlite = {
	.share = sqlite_share,
	.connect = sqlite_connect,
	.disconnect = sqlite_disconnect,
	.make_tables = sqlite_make_tables,
	.prepare = sqlite_prepare,
	.opened = sqlite_opened,
	.begin = sqlite_begin,
	.commit = sqlite_commit,
	.rollback = sqlite_rollback,
	.sync = sqlite_sync,
	.checkpoint = sqlite_checkpoint,
	.run = sqlite_run,
	.bind_null = sqlite_bind_null,
	.bind_i64 = sqlite_bind_i64,
	.bind_text = sqlite_bind_text,
	.bind_blob = sqlite_bind_blob,
	.row = sqlite_row,
	.end = sqlite_end,
	.changed = sqlite_changed,
	.kind = sqlite_kind,
	.i64 = sqlite_i64,
	.bytes = sqlite_bytes,
};
