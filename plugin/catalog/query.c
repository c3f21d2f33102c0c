/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "catalog/query.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"

struct ft_query ft_query(struct ft_catalog *c, enum ft_sql sql)
{
	struct ft_query q = { .catalog = c, .database = c->shared->database,
			      .statement = c->statements[sql], .position = 1 };

	if (c->transaction == FT_TRANSACTION_FAILED)
		q.status = c->failure;
	return q;
}

void ft_query_i64(struct ft_query *q, int64_t number)
{
	q->database->bind_i64(q, number);
}

void ft_query_u64(struct ft_query *q, uint64_t number)
{
	assert(number <= INT64_MAX);
	ft_query_i64(q, (int64_t)number);
}

void ft_query_null(struct ft_query *q)
{
	q->database->bind_null(q);
}

void ft_query_bytes(struct ft_query *q, const char *bytes, size_t len)
{
	const char *from = len > 0 ? bytes : "";	/* NULL would be NULL, not empty */

	if (ft_utf8_valid(from, len) && !memchr(from, '\0', len))
		q->database->bind_text(q, from, len);
	else
		q->database->bind_blob(q, from, len);
}

void ft_query_text(struct ft_query *q, const char *text)
{
	if (text)
		ft_query_bytes(q, text, strlen(text));
	else
		ft_query_null(q);
}

void ft_query_blob(struct ft_query *q, const void *bytes, size_t len)
{
	q->database->bind_blob(q, bytes, len);
}

void ft_query_sha256(struct ft_query *q, const struct ft_sha256 *digest,
		     char room[FT_SHA256_HEX_LEN + 1])
{
	struct ft_buf hex = ft_buf_on(room, FT_SHA256_HEX_LEN + 1);

	ft_buf_hex(&hex, digest->bytes, FT_SHA256_LEN);
	ft_query_text(q, room);
}

/*
 * What keys are looked up by. On disk: never change it. 64 bits of SHA-256, so that nobody can
 * choose ids that all have the same one; of the owner's digest and the file, so that no other
 * split of the same bytes hashes alike.
 */
static int64_t query_hash(const struct ft_key *key)
{
	uint8_t text[FT_SHA256_LEN + FT_FILE_ID_MAX];
	struct ft_sha256 digest;
	uint64_t hash = 0;
	bool done;

	assert(key->file_len <= FT_FILE_ID_MAX);
	/* Fails for nothing that can happen: it takes no memory, and lengths are bounded. */
	done = ft_sha256_of(key->owner, key->owner_len, &digest);
	assert(done);
	memcpy(text, digest.bytes, FT_SHA256_LEN);
	memcpy(text + FT_SHA256_LEN, key->file, key->file_len);
	done = ft_sha256_of(text, FT_SHA256_LEN + key->file_len, &digest);
	assert(done);
	(void)done;
	for (size_t i = 0; i < sizeof hash; i++)
		hash = hash << 8 | digest.bytes[i];
	return (int64_t)hash;
}

void ft_query_key(struct ft_query *q, const struct ft_key *key)
{
	ft_query_i64(q, query_hash(key));
	ft_query_bytes(q, key->owner, key->owner_len);
	ft_query_bytes(q, key->file, key->file_len);
}

bool ft_query_row(struct ft_query *q)
{
	q->position = 0;
	return q->status == FT_OK && q->database->row(q);
}

enum ft_status ft_query_end(struct ft_query *q)
{
	q->database->end(q);
	return q->status;
}

enum ft_status ft_query_run(struct ft_query *q)
{
	bool row = ft_query_row(q);

	assert(!row);
	(void)row;
	return ft_query_end(q);
}

bool ft_query_changed(const struct ft_query *q)
{
	return q->database->changed(q);
}

/* --- rows --- */

static const char *query_sql(const struct ft_query *q)
{
	for (size_t i = 0; i < FT_SQL_COUNT; i++)
		if (q->catalog->statements[i] == q->statement)
			return ft_connection_sql((enum ft_sql)i);
	return "";
}

void ft_row_is_damaged(struct ft_query *q)
{
	if (q->status == FT_OK)
		q->status = ft_connection_damaged(q->catalog, query_sql(q));
}

/* What an error before keeps from being read is damaged, too: whoever asks has no column then. */
static enum ft_value row_kind(const struct ft_query *q)
{
	return q->status == FT_OK ? q->database->kind(q) : FT_VALUE_OTHER;
}

int64_t ft_row_i64(struct ft_query *q)
{
	int64_t number = 0;

	if (row_kind(q) == FT_VALUE_INTEGER)
		number = q->database->i64(q);
	else
		ft_row_is_damaged(q);
	q->position++;
	return number;
}

uint64_t ft_row_u64(struct ft_query *q)
{
	int64_t number = ft_row_i64(q);

	if (number >= 0)
		return (uint64_t)number;
	ft_row_is_damaged(q);
	return 0;
}

int ft_row_enum(struct ft_query *q, int first, int last)
{
	int64_t number = ft_row_i64(q);

	if (number >= first && number <= last)
		return (int)number;
	ft_row_is_damaged(q);
	return first;
}

bool ft_row_bool(struct ft_query *q)
{
	return ft_row_enum(q, 0, 1) == 1;
}

bool ft_row_is_null(struct ft_query *q)
{
	if (row_kind(q) != FT_VALUE_NULL)
		return false;
	q->position++;
	return true;
}

/* The bytes of a column that is of one of two kinds, or of a database that knows only one. */
static const char *row_bytes(struct ft_query *q, enum ft_value one, enum ft_value other, size_t *len)
{
	enum ft_value kind = row_kind(q);
	const char *bytes = NULL;

	*len = 0;
	if (kind == one || kind == other || kind == FT_VALUE_BYTES) {
		bytes = q->database->bytes(q, len);
		if (!bytes)
			q->status = ft_connection_no_memory(q->catalog);
	} else {
		ft_row_is_damaged(q);
	}
	q->position++;
	return bytes ? bytes : "";
}

const char *ft_row_bytes(struct ft_query *q, size_t *len)
{
	return row_bytes(q, FT_VALUE_TEXT, FT_VALUE_BLOB, len);
}

const char *ft_row_text(struct ft_query *q)
{
	size_t len;

	return ft_row_bytes(q, &len);
}

const void *ft_row_blob(struct ft_query *q, size_t *len)
{
	return row_bytes(q, FT_VALUE_BLOB, FT_VALUE_BLOB, len);
}

void ft_row_copy(struct ft_query *q, char *to, size_t room)
{
	size_t len;
	const char *from = ft_row_bytes(q, &len);

	if (len >= room || memchr(from, '\0', len)) {
		ft_row_is_damaged(q);
		len = 0;
	}
	memcpy(to, from, len);
	to[len] = '\0';
}

void ft_row_sha256(struct ft_query *q, struct ft_sha256 *digest)
{
	size_t len;
	const char *hex = ft_row_bytes(q, &len);

	if (!ft_sha256_parse(digest, hex, len))
		ft_row_is_damaged(q);
}

void ft_row_key(struct ft_query *q, struct ft_key *key)
{
	key->owner = ft_row_bytes(q, &key->owner_len);
	key->file = ft_row_bytes(q, &key->file_len);
	if (key->owner_len > FT_OWNER_MAX || key->file_len == 0
	    || key->file_len > FT_FILE_ID_MAX)
		ft_row_is_damaged(q);
}

void ft_row_name(struct ft_query *q, char to[FT_FILE_NAME_MAX + 1])
{
	ft_row_copy(q, to, FT_FILE_NAME_MAX + 1);
	if (to[0] == '\0' || strchr(to, '/'))
		ft_row_is_damaged(q);
}
