/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "catalog/query.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"

struct ft_query ft_query(struct ft_catalog *c, enum ft_sql sql)
{
	struct ft_query q = { .catalog = c, .statement = c->statements[sql], .position = 1 };

	assert(!sqlite3_stmt_busy(q.statement));
	if (c->transaction == FT_TRANSACTION_FAILED)
		q.status = c->failure;
	return q;
}

static void query_bound(struct ft_query *q, int rc)
{
	q->position++;
	if (q->status == FT_OK && rc != SQLITE_OK)
		q->status = ft_connection_status(q->catalog, rc);
}

void ft_query_i64(struct ft_query *q, int64_t number)
{
	query_bound(q, sqlite3_bind_int64(q->statement, q->position, number));
}

void ft_query_u64(struct ft_query *q, uint64_t number)
{
	assert(number <= INT64_MAX);
	ft_query_i64(q, (int64_t)number);
}

void ft_query_null(struct ft_query *q)
{
	query_bound(q, sqlite3_bind_null(q->statement, q->position));
}

void ft_query_bytes(struct ft_query *q, const char *bytes, size_t len)
{
	const char *from = len > 0 ? bytes : "";	/* NULL would be NULL, not empty */

	if (ft_utf8_valid(from, len) && !memchr(from, '\0', len))
		query_bound(q, sqlite3_bind_text64(q->statement, q->position, from, len,
						   SQLITE_STATIC, SQLITE_UTF8));
	else
		query_bound(q, sqlite3_bind_blob64(q->statement, q->position, from, len,
						   SQLITE_STATIC));
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
	query_bound(q, sqlite3_bind_blob64(q->statement, q->position, bytes, len, SQLITE_STATIC));
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
	int rc;

	q->position = 0;
	if (q->status != FT_OK)
		return false;
	rc = sqlite3_step(q->statement);
	if (rc == SQLITE_ROW)
		return true;
	q->status = ft_connection_status(q->catalog, rc);
	return false;
}

enum ft_status ft_query_end(struct ft_query *q)
{
	/* Its result is that of the last step, which is known already. */
	(void)sqlite3_reset(q->statement);
	(void)sqlite3_clear_bindings(q->statement);
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
	return sqlite3_changes(q->catalog->db) > 0;
}

/* --- rows --- */

void ft_row_is_damaged(struct ft_query *q)
{
	if (q->status == FT_OK)
		q->status = ft_connection_damaged(q->catalog, sqlite3_sql(q->statement));
}

/* Goes on by one column. Whether it has that type; if not, the row is damaged. */
static bool row_has(struct ft_query *q, int type)
{
	bool has = q->status == FT_OK && sqlite3_column_type(q->statement, q->position) == type;

	if (!has)
		ft_row_is_damaged(q);
	q->position++;
	return has;
}

int64_t ft_row_i64(struct ft_query *q)
{
	return row_has(q, SQLITE_INTEGER) ? sqlite3_column_int64(q->statement, q->position - 1) : 0;
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
	if (q->status != FT_OK || sqlite3_column_type(q->statement, q->position) != SQLITE_NULL)
		return false;
	q->position++;
	return true;
}

/* Also of a BLOB, which is no UTF-8: column_text() puts a NUL behind it and changes nothing. */
const char *ft_row_bytes(struct ft_query *q, size_t *len)
{
	int type = q->status == FT_OK ? sqlite3_column_type(q->statement, q->position)
				      : SQLITE_NULL;
	const char *bytes = NULL;

	*len = 0;
	if (type == SQLITE_TEXT || type == SQLITE_BLOB) {
		bytes = (const char *)sqlite3_column_text(q->statement, q->position);
		*len = (size_t)sqlite3_column_bytes(q->statement, q->position);
		if (!bytes)
			q->status = ft_connection_status(q->catalog, SQLITE_NOMEM);
	} else {
		ft_row_is_damaged(q);
	}
	q->position++;
	return bytes ? bytes : "";
}

const char *ft_row_text(struct ft_query *q)
{
	size_t len;

	return ft_row_bytes(q, &len);
}

const void *ft_row_blob(struct ft_query *q, size_t *len)
{
	const void *bytes;

	*len = 0;
	if (!row_has(q, SQLITE_BLOB))
		return "";
	bytes = sqlite3_column_blob(q->statement, q->position - 1);
	*len = (size_t)sqlite3_column_bytes(q->statement, q->position - 1);
	return *len > 0 ? bytes : "";
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
