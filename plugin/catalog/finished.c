/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <assert.h>
#include <sqlite3.h>
#include <string.h>

#include "base/system.h"
#include "catalog/answers.h"
#include "catalog/query.h"
#include "catalog/transfers.h"

#define FINISHED_SLICE 5000	/* rows that are looked at between two looks at the clock */

static enum ft_status finished_insert(struct ft_catalog *c, const struct ft_finished *finished)
{
	struct ft_query q = ft_query(c, FT_SQL_PUT_FINISHED);
	char sha256[FT_SHA256_HEX_LEN + 1];

	ft_query_key(&q, &finished->key);
	ft_query_text(&q, finished->name);
	ft_query_u64(&q, finished->size);
	ft_query_sha256(&q, &finished->checksum, sha256);
	ft_query_i64(&q, finished->completed_ms);
	if (finished->has_expire_at)
		ft_query_i64(&q, finished->expire_at);
	else
		ft_query_null(&q);
	ft_query_text(&q, finished->transfer_id);
	ft_query_u64(&q, finished->number);
	return ft_query_run(&q);
}

/* What is finished under the key makes room; its size. */
static enum ft_status finished_supersede(struct ft_catalog *c, const struct ft_key *key,
					 uint64_t *size)
{
	struct ft_query q = ft_query(c, FT_SQL_SIZE_FINISHED);
	enum ft_status st;
	bool row;

	*size = 0;
	ft_query_key(&q, key);
	if ((row = ft_query_row(&q)))
		*size = ft_row_u64(&q);
	if ((st = ft_query_end(&q)) != FT_OK || !row)
		return st;
	q = ft_query(c, FT_SQL_REPLACE_FINISHED);
	ft_query_key(&q, key);
	return ft_query_run(&q);
}

enum ft_status ft_catalog_put_finished(struct ft_catalog *c, const struct ft_finished *finished,
				       uint64_t *replaced)
{
	uint64_t size;
	enum ft_status st;

	assert(c->transaction != FT_TRANSACTION_IDLE);
	if ((st = ft_transfer_remove(c, finished->number)) != FT_OK
	    || (st = ft_answer_put_result(c, finished->number, FT_OK)) != FT_OK
	    || (st = finished_supersede(c, &finished->key, &size)) != FT_OK)
		return st;
	if (replaced)
		*replaced = size;
	if (finished->init_name[0]
	    && (st = ft_catalog_put_rename(c, finished->transfer_id, finished->init_name,
					   finished->name)) != FT_OK)
		return st;
	return finished_insert(c, finished);
}

static void finished_read(struct ft_query *q, struct ft_finished *found)
{
	ft_row_name(q, found->name);
	found->size = ft_row_u64(q);
	ft_row_sha256(q, &found->checksum);
	found->completed_ms = ft_row_i64(q);
	found->has_expire_at = !ft_row_is_null(q);
	if (found->has_expire_at)
		found->expire_at = ft_row_i64(q);
	ft_row_copy(q, found->transfer_id, sizeof found->transfer_id);
	found->number = ft_row_u64(q);
}

enum ft_status ft_catalog_find_finished(struct ft_catalog *c, const struct ft_key *key,
					struct ft_finished *found)
{
	struct ft_query q = ft_query(c, FT_SQL_FIND_FINISHED);
	enum ft_status st;
	bool row;

	memset(found, 0, sizeof *found);
	found->key = *key;
	ft_query_key(&q, key);
	row = ft_query_row(&q);
	if (row) {
		finished_read(&q, found);
		if (!ft_row_is_null(&q))
			ft_row_name(&q, found->init_name);
	}
	st = ft_query_end(&q);
	return st == FT_OK && !row ? FT_NO_SUCH_TRANSFER : st;
}

enum ft_status ft_catalog_index_checksums(struct ft_catalog *c, enum ft_deduplicate deduplicate)
{
	return ft_connection_run(c, deduplicate == FT_DEDUPLICATE_ON
		? "CREATE INDEX IF NOT EXISTS finished_by_checksum ON finished (sha256)"
		: "DROP INDEX IF EXISTS finished_by_checksum");
}

enum ft_status ft_catalog_find_same(struct ft_catalog *c, const struct ft_key *key,
				    const struct ft_sha256 *checksum, uint64_t size,
				    struct ft_finished *found)
{
	struct ft_query q = ft_query(c, FT_SQL_FIND_SAME);
	char sha256[FT_SHA256_HEX_LEN + 1];
	enum ft_status st;
	bool row;

	memset(found, 0, sizeof *found);
	ft_query_sha256(&q, checksum, sha256);
	ft_query_u64(&q, size);
	ft_query_bytes(&q, key->owner, key->owner_len);
	row = ft_query_row(&q);
	if (row) {
		ft_row_key(&q, &found->key);
		ft_row_name(&q, found->name);
		if (q.status == FT_OK)
			q.status = ft_transfer_keep_key(c, &found->key);
	}
	st = ft_query_end(&q);
	return st == FT_OK && !row ? FT_NO_SUCH_TRANSFER : st;
}

enum ft_status ft_catalog_put_rename(struct ft_catalog *c, const char *transfer_id,
				     const char *init_name, const char *name)
{
	struct ft_query q = ft_query(c, FT_SQL_PUT_RENAME);

	assert(c->transaction != FT_TRANSACTION_IDLE);
	ft_query_text(&q, transfer_id);
	ft_query_text(&q, init_name);
	ft_query_text(&q, name);
	return ft_query_run(&q);
}

enum ft_status ft_catalog_find_rename(struct ft_catalog *c, const char *transfer_id,
				      char name[FT_FILE_NAME_MAX + 1])
{
	struct ft_query q = ft_query(c, FT_SQL_FIND_RENAME);
	enum ft_status st;
	bool row;

	ft_query_text(&q, transfer_id);
	row = ft_query_row(&q);
	if (row)
		ft_row_name(&q, name);
	st = ft_query_end(&q);
	return st == FT_OK && !row ? FT_NO_SUCH_TRANSFER : st;
}

enum ft_status ft_catalog_drop_finished(struct ft_catalog *c, const struct ft_key *key,
					uint64_t number)
{
	struct ft_query q = ft_query(c, FT_SQL_DROP_FINISHED);
	enum ft_status st;

	assert(c->transaction != FT_TRANSACTION_IDLE);
	ft_query_key(&q, key);
	ft_query_u64(&q, number);
	if ((st = ft_query_run(&q)) != FT_OK)
		return st;
	return ft_query_changed(&q) ? FT_OK : FT_NO_SUCH_TRANSFER;
}

enum ft_status ft_catalog_next_finished(struct ft_catalog *c, int64_t *place,
					struct ft_finished *found)
{
	struct ft_query q = ft_query(c, FT_SQL_NEXT_FINISHED);
	enum ft_status st;
	bool row;

	memset(found, 0, sizeof *found);
	ft_query_i64(&q, *place);
	row = ft_query_row(&q);
	if (row) {
		*place = ft_row_i64(&q);
		ft_row_key(&q, &found->key);
		ft_row_name(&q, found->name);
		found->size = ft_row_u64(&q);
		found->number = ft_row_u64(&q);
	}
	if (row && q.status == FT_OK)
		q.status = ft_transfer_keep_key(c, &found->key);
	st = ft_query_end(&q);
	return st == FT_OK && !row ? FT_NO_SUCH_TRANSFER : st;
}

enum ft_status ft_catalog_count_finished(struct ft_catalog *c, size_t *count)
{
	struct ft_query q = ft_query(c, FT_SQL_COUNT_FINISHED);

	*count = 0;
	if (ft_query_row(&q))
		*count = (size_t)ft_row_u64(&q);
	return ft_query_end(&q);
}

enum ft_status ft_catalog_each_finished_key(struct ft_catalog *c, ft_catalog_visit_key *visit,
					    void *context)
{
	struct ft_query q = ft_query(c, FT_SQL_EACH_FINISHED_KEY);
	struct ft_key key;

	while (ft_query_row(&q)) {
		uint64_t size;

		ft_row_key(&q, &key);
		size = ft_row_u64(&q);
		if (q.status == FT_OK)
			q.status = visit(context, &key, size);
	}
	return ft_query_end(&q);
}

/* --- pages --- */

static enum ft_status finished_newest(struct ft_catalog *c, uint64_t *row)
{
	struct ft_query q = ft_query(c, FT_SQL_NEWEST_FINISHED);

	*row = 0;
	if (ft_query_row(&q))
		*row = ft_row_u64(&q);
	return ft_query_end(&q);
}

static struct ft_query finished_query(struct ft_catalog *c, const struct ft_file_filter *filter,
				      uint64_t above, uint64_t top)
{
	struct ft_query q = ft_query(c, FT_SQL_PAGE_FINISHED);

	ft_query_u64(&q, above);
	ft_query_u64(&q, top);
	if (filter->owner)
		ft_query_bytes(&q, filter->owner, filter->owner_len);
	else
		ft_query_null(&q);
	ft_query_i64(&q, filter->since_ms);
	ft_query_i64(&q, filter->until_ms);
	ft_query_u64(&q, filter->min_size);
	ft_query_u64(&q, filter->max_size);
	return q;
}

/* Not by SQL: of what databases have none is the shell's. */
static bool finished_has_name(const struct ft_finished *finished, const char *pattern)
{
	return !pattern || sqlite3_strglob(pattern, finished->name) == 0;
}

/* Rows above..top, from the top on. *top is then the first row that was not visited. */
static enum ft_status finished_slice(struct ft_query *q, const char *pattern, uint64_t above,
				     uint64_t *top, ft_catalog_visit_file *visit, void *context,
				     bool *full)
{
	struct ft_finished found;

	while (!*full && ft_query_row(q)) {
		uint64_t row = ft_row_u64(q);

		memset(&found, 0, sizeof found);
		ft_row_key(q, &found.key);
		finished_read(q, &found);
		if (q->status != FT_OK)
			break;
		*full = finished_has_name(&found, pattern) && !visit(context, &found);
		*top = *full ? row : row - 1;
	}
	if (!*full)
		*top = above;
	return ft_query_end(q);
}

enum ft_status ft_catalog_page_files(struct ft_catalog *c, const struct ft_file_filter *filter,
				     uint64_t *cursor, int64_t deadline_ms,
				     ft_catalog_visit_file *visit, void *context)
{
	uint64_t top = *cursor <= INT64_MAX ? *cursor : INT64_MAX;
	enum ft_status st = FT_OK;
	bool full = false;

	if (top == 0)
		st = finished_newest(c, &top);
	while (st == FT_OK && top > 0 && !full) {
		uint64_t above = top > FINISHED_SLICE ? top - FINISHED_SLICE : 0;
		struct ft_query q = finished_query(c, filter, above, top);

		st = finished_slice(&q, filter->pattern, above, &top, visit, context, &full);
		full = full || ft_clock_ms() >= deadline_ms;
	}
	*cursor = top;
	return st;
}
