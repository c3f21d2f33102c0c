/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/identity.h"
#include "catalog/connection.h"
#include "catalog/query.h"
#include "catalog/schema.h"
#include "log/log.h"

static void shared_free(struct ft_catalog_shared **shared)
{
	if (!*shared)
		return;
	assert(atomic_load(&(*shared)->connections) == 0);
	if ((*shared)->database->unshare)
		(*shared)->database->unshare(*shared);
	pthread_mutex_destroy(&(*shared)->writing);
	free((*shared)->name);
	free(*shared);
	*shared = NULL;
}

/* Which database a catalog lies in. NULL: one that is not built in. */
static const struct ft_database *open_choose(const struct ft_catalog_config *config)
{
	if (!config->url)
		return &ft_sqlite;
#ifdef FT_POSTGRES
	return &ft_postgres;
#else
	ft_logger_printf(config->logger, FT_LOG_ERROR, "catalog: this plugin was built without "
			 "PostgreSQL: build it where libpq's header is (docs/install.md)");
	return NULL;
#endif
}

static enum ft_status shared_new(const struct ft_catalog_config *config,
				 struct ft_catalog_shared **out)
{
	const struct ft_database *database = open_choose(config);
	struct ft_catalog_shared *shared;
	enum ft_status st;

	*out = NULL;
	if (!database)
		return FT_NAME_REFUSED;
	if (!(shared = calloc(1, sizeof *shared)))
		return FT_NO_MEMORY;
	if (pthread_mutex_init(&shared->writing, NULL) != 0) {
		free(shared);
		return FT_NO_MEMORY;
	}
	shared->database = database;
	shared->logger = config->logger;
	if ((st = database->share(shared, config)) == FT_OK)
		*out = shared;
	else
		shared_free(&shared);
	return st;
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
	const struct ft_database *database = c->shared->database;
	enum ft_status st;

	if ((st = database->make_tables(c)) != FT_OK
	    || (st = database->prepare(c)) != FT_OK
	    || (st = past_settle(c, config, past)) != FT_OK
	    || (st = ft_catalog_sync(c)) != FT_OK)
		return st;
	return database->opened ? database->opened(c) : FT_OK;
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
	if ((st = ft_connection_open(shared, out)) == FT_OK) {
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
	if ((st = catalog->shared->database->prepare(*out)) != FT_OK)
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
