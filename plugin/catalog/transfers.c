/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <assert.h>
#include <string.h>

#include "catalog/answers.h"
#include "catalog/held.h"
#include "catalog/query.h"
#include "catalog/transfers.h"

/* --- writing --- */

/* Runs a change of one transfer. */
static enum ft_status transfer_change(struct ft_query *q)
{
	enum ft_status st = ft_query_run(q);

	if (st != FT_OK)
		return st;
	return ft_query_changed(q) ? FT_OK : FT_NO_SUCH_TRANSFER;
}

static void transfer_bind_terms(struct ft_query *q, const struct ft_terms *terms)
{
	/* No TTL is longer than the broker's limit, so what cannot be stored means the same. */
	uint64_t ttl = terms->segments_ttl <= INT64_MAX ? terms->segments_ttl : INT64_MAX;

	if (terms->has_expire_at)
		ft_query_i64(q, terms->expire_at);
	else
		ft_query_null(q);
	ft_query_u64(q, ttl);
	ft_query_i64(q, terms->responses);
	if (terms->user_data.len > 0)
		ft_query_bytes(q, terms->user_data.at, terms->user_data.len);
	else
		ft_query_null(q);
}

/* Whatever else is unfinished under the key makes room for `number`. */
static enum ft_status transfer_supersede(struct ft_catalog *c, const struct ft_key *key,
					 uint64_t number)
{
	uint64_t former;
	enum ft_status st;

	if ((st = ft_catalog_find_number(c, key, &former)) != FT_OK)
		return st;
	return former != 0 && former != number ? ft_catalog_drop_transfer(c, former) : FT_OK;
}

enum ft_status ft_catalog_put_transfer(struct ft_catalog *c, const struct ft_facts *facts,
				       enum ft_catalog_state state, int64_t news_run_ms)
{
	const struct ft_meta *meta = &facts->meta;
	char sha256[FT_SHA256_HEX_LEN + 1];
	struct ft_query q;
	enum ft_status st;

	assert(c->transaction != FT_TRANSACTION_IDLE);
	assert(facts->number != 0);
	assert(state == FT_CATALOG_RECEIVING || state == FT_CATALOG_CONFLICT);
	if ((st = transfer_supersede(c, &facts->key, facts->number)) != FT_OK)
		return st;
	q = ft_query(c, FT_SQL_PUT_TRANSFER);
	ft_query_key(&q, &facts->key);
	ft_query_u64(&q, facts->number);
	ft_query_i64(&q, state);
	ft_query_i64(&q, news_run_ms);
	ft_query_text(&q, meta->name);
	if (meta->has_size)
		ft_query_u64(&q, meta->size);
	else
		ft_query_null(&q);
	if (meta->has_checksum)
		ft_query_sha256(&q, &meta->checksum, sha256);
	else
		ft_query_null(&q);
	ft_query_text(&q, facts->transfer_id);
	ft_query_i64(&q, facts->received_ms);
	transfer_bind_terms(&q, &facts->terms);
	return ft_query_run(&q);
}

enum ft_status ft_catalog_put_terms(struct ft_catalog *c, uint64_t number,
				    const struct ft_terms *terms)
{
	struct ft_query q = ft_query(c, FT_SQL_PUT_TERMS);

	assert(c->transaction != FT_TRANSACTION_IDLE);
	transfer_bind_terms(&q, terms);
	ft_query_u64(&q, number);
	return transfer_change(&q);
}

enum ft_status ft_catalog_put_refused(struct ft_catalog *c, uint64_t number)
{
	struct ft_query q = ft_query(c, FT_SQL_PUT_REFUSED);

	assert(c->transaction != FT_TRANSACTION_IDLE);
	ft_query_u64(&q, number);
	return transfer_change(&q);
}

enum ft_status ft_catalog_put_news(struct ft_catalog *c, uint64_t number, int64_t news_run_ms)
{
	struct ft_query q = ft_query(c, FT_SQL_PUT_NEWS);

	assert(c->transaction != FT_TRANSACTION_IDLE);
	ft_query_i64(&q, news_run_ms);
	ft_query_u64(&q, number);
	return transfer_change(&q);
}

enum ft_status ft_catalog_put_fin(struct ft_catalog *c, uint64_t number, const struct ft_fin *fin,
				  const struct ft_request *ticket)
{
	struct ft_query q = ft_query(c, FT_SQL_PUT_FIN);
	char sha256[FT_SHA256_HEX_LEN + 1];
	enum ft_status st;

	assert(c->transaction != FT_TRANSACTION_IDLE);
	ft_query_u64(&q, fin->size);
	if (fin->has_checksum)
		ft_query_sha256(&q, &fin->checksum, sha256);
	else
		ft_query_null(&q);
	ft_query_u64(&q, number);
	if ((st = transfer_change(&q)) != FT_OK || !ticket)
		return st;
	return ft_answer_put(c, number, ticket);
}

enum ft_status ft_catalog_drop_fin(struct ft_catalog *c, uint64_t number, enum ft_status result)
{
	struct ft_query q = ft_query(c, FT_SQL_DROP_FIN);
	enum ft_status st;

	assert(c->transaction != FT_TRANSACTION_IDLE);
	assert(result != FT_OK);
	ft_query_u64(&q, number);
	if ((st = transfer_change(&q)) != FT_OK)
		return st;
	return ft_answer_put_result(c, number, result);
}

enum ft_status ft_transfer_remove(struct ft_catalog *c, uint64_t number)
{
	static const enum ft_sql removals[] = { FT_SQL_DROP_TRANSFER, FT_SQL_DROP_ALL_RANGES };

	for (size_t i = 0; i < sizeof removals / sizeof removals[0]; i++) {
		struct ft_query q = ft_query(c, removals[i]);
		enum ft_status st;

		ft_query_u64(&q, number);
		if ((st = ft_query_run(&q)) != FT_OK)
			return st;
	}
	return FT_OK;
}

enum ft_status ft_catalog_drop_transfer(struct ft_catalog *c, uint64_t number)
{
	enum ft_status st;

	assert(c->transaction != FT_TRANSACTION_IDLE);
	if ((st = ft_transfer_remove(c, number)) != FT_OK)
		return st;
	return ft_answer_put_result(c, number, FT_NO_SUCH_TRANSFER);
}

/* --- reading --- */

static void transfer_read_terms(struct ft_query *q, struct ft_terms *terms)
{
	terms->has_expire_at = !ft_row_is_null(q);
	if (terms->has_expire_at)
		terms->expire_at = ft_row_i64(q);
	terms->segments_ttl = ft_row_u64(q);
	terms->responses = (enum ft_responses)ft_row_enum(q, FT_RESPONSES_DEFAULT,
							  FT_RESPONSES_ERRORS);
}

static void transfer_read_meta(struct ft_query *q, struct ft_meta *meta)
{
	ft_row_name(q, meta->name);
	meta->has_size = !ft_row_is_null(q);
	if (meta->has_size)
		meta->size = ft_row_u64(q);
	meta->has_checksum = !ft_row_is_null(q);
	if (meta->has_checksum)
		ft_row_sha256(q, &meta->checksum);
}

static void transfer_read_fin(struct ft_query *q, struct ft_unfinished *to)
{
	bool has_size = !ft_row_is_null(q);

	if (has_size)
		to->fin.size = ft_row_u64(q);
	to->fin.has_checksum = !ft_row_is_null(q);
	if (to->fin.has_checksum)
		ft_row_sha256(q, &to->fin.checksum);
	if (has_size != (to->state == FT_CATALOG_FINISHING))
		ft_row_is_damaged(q);
}

/* Reads a row of FT_SQL_TRANSFER, but for ranges. Texts point into the row. */
static void transfer_read(struct ft_query *q, struct ft_unfinished *to)
{
	struct ft_facts *facts = &to->facts;

	memset(to, 0, sizeof *to);
	ft_ranges_init(&to->held);
	ft_ranges_init(&to->durable);
	facts->number = ft_row_u64(q);
	to->state = (enum ft_catalog_state)ft_row_enum(q, FT_CATALOG_RECEIVING,
						       FT_CATALOG_CONFLICT);
	to->refused = ft_row_bool(q);
	to->news_run_ms = ft_row_i64(q);
	ft_row_key(q, &facts->key);
	transfer_read_meta(q, &facts->meta);
	ft_row_copy(q, facts->transfer_id, sizeof facts->transfer_id);
	facts->received_ms = ft_row_i64(q);
	transfer_read_terms(q, &facts->terms);
	transfer_read_fin(q, to);
	if (!ft_row_is_null(q))
		facts->terms.user_data.at = ft_row_bytes(q, &facts->terms.user_data.len);
	if (facts->number == 0)
		ft_row_is_damaged(q);
}

static void transfer_release(struct ft_unfinished *transfer)
{
	ft_ranges_release(&transfer->held);
	ft_ranges_release(&transfer->durable);
}

/* Copies texts that point into a row to where they stay until the next call. */
static enum ft_status transfer_keep_texts(struct ft_catalog *c, struct ft_facts *facts)
{
	const char **texts[] = { &facts->key.owner, &facts->key.file, &facts->terms.user_data.at };
	size_t lens[] = { facts->key.owner_len, facts->key.file_len, facts->terms.user_data.len };
	size_t room = lens[0] + lens[1] + lens[2] + 3;
	char *to;

	if (room > c->texts_room) {
		to = realloc(c->texts, room);
		if (!to)
			return ft_connection_no_memory(c);
		c->texts = to;
		c->texts_room = room;
	}
	to = c->texts;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		if (lens[i] > 0)
			memcpy(to, *texts[i], lens[i]);
		to[lens[i]] = '\0';
		*texts[i] = to;
		to += lens[i] + 1;
	}
	return FT_OK;
}

enum ft_status ft_transfer_keep_key(struct ft_catalog *c, struct ft_key *key)
{
	struct ft_facts facts = { .key = *key };
	enum ft_status st = transfer_keep_texts(c, &facts);

	*key = facts.key;
	return st;
}

enum ft_status ft_catalog_find_transfer(struct ft_catalog *c, uint64_t number,
					struct ft_unfinished *found)
{
	const struct ft_database *database = c->shared->database;
	struct ft_query q;
	bool row;
	enum ft_status st;

	memset(found, 0, sizeof *found);
	/* So that the ranges are of the same instant as the row. */
	if (database->hold && (st = database->hold(c)) != FT_OK)
		return st;
	q = ft_query(c, FT_SQL_FIND_TRANSFER);
	ft_query_u64(&q, number);
	row = ft_query_row(&q);
	if (row)
		transfer_read(&q, found);
	if (row && q.status == FT_OK)
		q.status = transfer_keep_texts(c, &found->facts);
	if (row && q.status == FT_OK)
		q.status = ft_held_read(c, found);
	st = ft_query_end(&q);
	if (database->let_go)
		database->let_go(c);
	if (st != FT_OK)
		transfer_release(found);
	return st == FT_OK && !row ? FT_NO_SUCH_TRANSFER : st;
}

enum ft_status ft_catalog_find_number(struct ft_catalog *c, const struct ft_key *key,
				      uint64_t *number)
{
	struct ft_query q = ft_query(c, FT_SQL_FIND_NUMBER);

	*number = 0;
	ft_query_key(&q, key);
	if (ft_query_row(&q))
		*number = ft_row_u64(&q);
	return ft_query_end(&q);
}

enum ft_status ft_catalog_each_transfer(struct ft_catalog *c, ft_catalog_visit *visit,
					void *context)
{
	struct ft_query q = ft_query(c, FT_SQL_EACH_TRANSFER);
	struct ft_unfinished found;

	while (ft_query_row(&q)) {
		transfer_read(&q, &found);
		if (q.status == FT_OK)
			q.status = ft_held_read(c, &found);
		if (q.status == FT_OK)
			q.status = visit(context, &found);
		transfer_release(&found);
	}
	return ft_query_end(&q);
}
