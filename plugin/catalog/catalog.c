/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Opening, transactions, and what makes them durable.
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
#include "catalog/catalog.h"

#include <assert.h>

#include "catalog/connection.h"
#include "catalog/query.h"

/* Pages in a log so large that writers are made to wait until it can be begun anew: 16 MiB. */
#define FRAMES_MAX 4000

/* --- transactions --- */

enum ft_status ft_catalog_begin(struct ft_catalog *c)
{
	struct ft_query q;
	enum ft_status st;

	assert(c->transaction == FT_TRANSACTION_IDLE);
	pthread_mutex_lock(&c->shared->writing);
	q = ft_query(c, FT_SQL_BEGIN);
	if ((st = ft_query_run(&q)) == FT_OK)
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
	struct ft_query q = ft_query(c, FT_SQL_COMMIT);
	enum ft_status st;

	assert(c->transaction != FT_TRANSACTION_IDLE);
	if ((st = ft_query_run(&q)) == FT_OK)
		catalog_end_transaction(c);
	return st;
}

void ft_catalog_rollback(struct ft_catalog *c)
{
	if (c->transaction == FT_TRANSACTION_IDLE)
		return;
	/* Many errors have made SQLite roll back already. It takes no memory and no disk. */
	if (sqlite3_get_autocommit(c->db) == 0) {
		(void)sqlite3_step(c->statements[FT_SQL_ROLLBACK]);
		(void)sqlite3_reset(c->statements[FT_SQL_ROLLBACK]);
	}
	assert(sqlite3_get_autocommit(c->db) != 0);
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

/* --- sync and checkpoint --- */

/* Syncs one of SQLite's files. */
static enum ft_status catalog_sync_file(struct ft_catalog *c, int which)
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
				 "then start the broker again", c->shared->path, sqlite3_errstr(rc));
	return FT_IO_ERROR;
}

enum ft_status ft_catalog_sync(struct ft_catalog *c)
{
	enum ft_status st;

	assert(c->transaction == FT_TRANSACTION_IDLE);
	if ((st = catalog_sync_file(c, SQLITE_FCNTL_JOURNAL_POINTER)) != FT_OK)
		return st;
	/* Afterwards: one that failed before counts, whether this one succeeded or not. */
	return atomic_load(&c->shared->sync_failed) ? FT_IO_ERROR : FT_OK;
}

/* How many frames the log had. Another checkpoint at the same time is as good: FT_OK. */
static enum ft_status catalog_copy_frames(struct ft_catalog *c, int *frames)
{
	int rc = sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_PASSIVE, frames, NULL);

	if ((rc & 0xff) == SQLITE_BUSY)
		return FT_OK;
	return ft_connection_status(c, rc);
}

/*
 * While others commit, copying never comes to an end, and a log whose end is not reached is
 * never begun anew: it would grow for ever. So of a large one the rest is copied while others
 * wait, little as it is by then, and with the database's pages on the disk already. (Whether
 * there is a rest SQLite does not tell: its figures are those of the beginning.)
 */
enum ft_status ft_catalog_checkpoint(struct ft_catalog *c)
{
	enum ft_status st;
	int frames = 0;

	assert(c->transaction == FT_TRANSACTION_IDLE);
	if ((st = catalog_copy_frames(c, &frames)) != FT_OK || frames < FRAMES_MAX)
		return st;
	if ((st = catalog_sync_file(c, SQLITE_FCNTL_FILE_POINTER)) != FT_OK)
		return st;
	pthread_mutex_lock(&c->shared->writing);
	st = catalog_copy_frames(c, &frames);
	pthread_mutex_unlock(&c->shared->writing);
	return st;
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
