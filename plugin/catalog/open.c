/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <assert.h>
#include <stdio.h>

#include "base/identity.h"
#include "base/sys.h"
#include "catalog/connection.h"
#include "catalog/query.h"
#include "catalog/schema.h"
#include "log/log.h"

enum found {
	FOUND_NOTHING,
	FOUND_CATALOG,
};

/* Logs why the catalog cannot be used. */
static enum ft_status open_refuse(struct ft_catalog_shared *shared, enum ft_status st,
				  const char *why)
{
	ft_logger_printf(shared->logger, FT_LOG_ERROR, "catalog %s: %s", shared->path, why);
	return st;
}

static enum ft_status shared_new(const struct ft_catalog_config *config,
				 struct ft_catalog_shared **out)
{
	size_t len = strlen(config->path);
	struct ft_catalog_shared *shared = calloc(1, sizeof *shared + len + 1);

	*out = NULL;
	if (!shared)
		return FT_NO_MEMORY;
	if (pthread_mutex_init(&shared->writing, NULL) != 0) {
		free(shared);
		return FT_NO_MEMORY;
	}
	shared->logger = config->logger;
	memcpy(shared->path, config->path, len + 1);
	*out = shared;
	return FT_OK;
}

static void shared_free(struct ft_catalog_shared **shared)
{
	if (!*shared)
		return;
	assert(atomic_load(&(*shared)->connections) == 0);
	pthread_mutex_destroy(&(*shared)->writing);
	free(*shared);
	*shared = NULL;
}

/* --- the file --- */

/* SQLite would make it 0644; its other files get the mode of this one. */
static enum ft_status file_make(struct ft_catalog_shared *shared)
{
	int fd = ft_sys_openat(AT_FDCWD, shared->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	int error = errno;

	if (fd < 0 && error == EEXIST)
		return FT_OK;
	if (fd < 0)
		return open_refuse(shared, ft_sys_status(error), strerror(error));
	ft_sys_close(fd);
	return FT_OK;
}

/* Without it a power cut may take away the names of the database and of its log. */
static enum ft_status file_sync_directory(struct ft_catalog_shared *shared)
{
	int error;

	if (ft_sys_sync_parent(shared->path) == 0)
		return FT_OK;
	error = errno;
	return open_refuse(shared, ft_sys_status(error), "its directory cannot be synced");
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

/* --- what is in it --- */

/* Nothing is changed before it is known whose it is. */
static enum ft_status open_identify(struct ft_catalog *c, enum found *found)
{
	int64_t application;
	int64_t version;
	int64_t tables;
	enum ft_status st;

	if ((st = ft_connection_number(c, "PRAGMA application_id", &application)) != FT_OK
	    || (st = ft_connection_number(c, "PRAGMA user_version", &version)) != FT_OK
	    || (st = ft_connection_number(c, "SELECT count(*) FROM sqlite_schema",
					  &tables)) != FT_OK)
		return st;
	*found = FOUND_NOTHING;
	if (application == 0 && version == 0 && tables == 0)
		return FT_OK;
	if (application != FT_SCHEMA_APPLICATION)
		return open_refuse(c->shared, FT_DAMAGED, "is a database of another program");
	if (version > FT_SCHEMA_VERSION)
		return open_refuse(c->shared, FT_IO_ERROR, "was made by a newer version of this "
				   "plugin: install that version, or remove the file, whose "
				   "unfinished transfers are then forgotten");
	if (version < FT_SCHEMA_VERSION)
		return open_refuse(c->shared, FT_DAMAGED, "has no version");
	*found = FOUND_CATALOG;
	return FT_OK;
}

static enum ft_status open_use_wal(struct ft_catalog *c)
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
	st = ft_connection_status(c, rc);
	(void)sqlite3_finalize(statement);
	if (st == FT_OK && !wal)
		return open_refuse(c->shared, FT_IO_ERROR, "its file system has no memory shared "
				   "between processes, or no locks, as many network file systems: "
				   "use a local one");
	return st;
}

static enum ft_status open_make_tables(struct ft_catalog *c)
{
	enum ft_status st;

	if ((st = ft_connection_run(c, "BEGIN IMMEDIATE")) != FT_OK
	    || (st = ft_connection_run(c, ft_schema_create)) != FT_OK)
		return st;
	return ft_connection_run(c, "COMMIT");
}

/* --- what happened since --- */

/*
 * Whether what the kernel and the log had when `identity` was stored is still there. Where
 * the boot is not known, a log that lies in memory and is still there tells that it is the same.
 */
static bool past_goes_on(const struct ft_catalog_config *config, const char *identity,
			 const void *log_id, size_t log_id_len)
{
	enum ft_identity_change change;

	bool same_log = log_id_len == FT_LOG_ID_LEN
			&& memcmp(config->log_id, log_id, FT_LOG_ID_LEN) == 0;

	/* An orderly stop leaves no log behind. */
	if (!config->identity || (!same_log && log_id_len > 0))
		return false;
	change = ft_identity_compare(identity, config->identity);
	return change == FT_IDENTITY_SAME
	       || (same_log && change == FT_IDENTITY_UNKNOWN
		   && config->log_medium == FT_LOG_IN_MEMORY);
}

struct past {
	bool goes_on;
	bool renamed;	/* it does, but the identity is another text now, or the log another one */
	bool filled;	/* the finished files of the store have been read */
};

static enum ft_status past_read(struct ft_catalog *c, const struct ft_catalog_config *config,
				struct past *past)
{
	struct ft_query q = ft_query(c, FT_SQL_GET_PAST);
	const char *identity = "";
	const void *log_id = NULL;
	size_t log_id_len = 0;

	*past = (struct past){ false };
	if (!ft_query_row(&q)) {
		ft_row_is_damaged(&q);
		return ft_query_end(&q);
	}
	if (!ft_row_is_null(&q))
		identity = ft_row_text(&q);
	if (!ft_row_is_null(&q))
		log_id = ft_row_blob(&q, &log_id_len);
	past->goes_on = past_goes_on(config, identity, log_id, log_id_len);
	past->renamed = past->goes_on
			&& (log_id_len == 0 || strcmp(identity, config->identity) != 0);
	past->filled = ft_row_bool(&q);
	return ft_query_end(&q);
}

enum ft_status ft_catalog_put_log(struct ft_catalog *c, const char *identity,
				  const uint8_t *log_id)
{
	struct ft_query q = ft_query(c, FT_SQL_PUT_PAST);

	assert(c->transaction != FT_TRANSACTION_IDLE);
	ft_query_text(&q, identity);
	ft_query_blob(&q, log_id, log_id ? FT_LOG_ID_LEN : 0);
	return ft_query_run(&q);
}

/* Whose facts these are from now on, and which are left. */
static enum ft_status past_write(struct ft_catalog *c, const struct ft_catalog_config *config,
				 const struct past *past)
{
	enum ft_status st;

	if ((st = ft_catalog_begin(c)) != FT_OK)
		return st;
	if (!past->goes_on)
		st = ft_connection_run(c, ft_schema_cut);
	if (st == FT_OK)
		st = ft_catalog_put_log(c, config->identity, config->log_id);
	return ft_catalog_end(c, st);
}

/*
 * Brings a catalog, which may be empty, up to this start. The newest text of the same identity
 * is kept: what it says of mounts can only be compared with that of the next start.
 */
static enum ft_status past_settle(struct ft_catalog *c, const struct ft_catalog_config *config,
				  enum ft_catalog_past *found)
{
	struct past past;
	enum ft_status st;

	if ((st = past_read(c, config, &past)) != FT_OK)
		return st;
	*found = !past.filled ? FT_CATALOG_NEW
			      : past.goes_on ? FT_CATALOG_CONTINUED : FT_CATALOG_CUT;
	return past.goes_on && !past.renamed ? FT_OK : past_write(c, config, &past);
}

/* --- connections --- */

static enum ft_status open_all(struct ft_catalog *c, const struct ft_catalog_config *config,
			       enum ft_catalog_past *past)
{
	enum found found;
	enum ft_status st;

	if ((st = open_identify(c, &found)) != FT_OK || (st = open_use_wal(c)) != FT_OK)
		return st;
	if (found == FOUND_NOTHING && (st = open_make_tables(c)) != FT_OK)
		return st;
	if ((st = ft_connection_run(c, ft_schema_add)) != FT_OK
	    || (st = ft_connection_prepare(c)) != FT_OK
	    || (st = past_settle(c, config, past)) != FT_OK
	    || (st = ft_catalog_sync(c)) != FT_OK)
		return st;
	return file_sync_directory(c->shared);
}

enum ft_status ft_catalog_open(const struct ft_catalog_config *config, struct ft_catalog **out,
			       enum ft_catalog_past *past)
{
	struct ft_catalog_shared *shared;
	enum ft_status st;

	assert(config->log_id);
	*out = NULL;
	*past = FT_CATALOG_NEW;
	if ((st = shared_new(config, &shared)) != FT_OK)
		return st;
	if ((st = file_make(shared)) == FT_OK && (st = ft_connection_open(shared, out)) == FT_OK) {
		atomic_fetch_add(&shared->connections, 1);
		st = open_all(*out, config, past);
	}
	if (st == FT_OK)
		return FT_OK;
	if (*out)
		ft_catalog_close(out);
	else
		shared_free(&shared);
	return st;
}

enum ft_status ft_catalog_join(struct ft_catalog *catalog, struct ft_catalog **out)
{
	enum ft_status st;

	if ((st = ft_connection_open(catalog->shared, out)) != FT_OK)
		return st;
	atomic_fetch_add(&catalog->shared->connections, 1);
	if ((st = ft_connection_prepare(*out)) != FT_OK)
		ft_catalog_close(out);
	return st;
}

void ft_catalog_close(struct ft_catalog **catalog)
{
	struct ft_catalog_shared *shared;

	if (!*catalog)
		return;
	shared = (*catalog)->shared;
	ft_catalog_rollback(*catalog);
	ft_connection_close(catalog);
	if (atomic_fetch_sub(&shared->connections, 1) == 1)
		shared_free(&shared);
}
