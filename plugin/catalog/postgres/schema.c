/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The catalog's tables in PostgreSQL: the same as in schema.c, whose comments say what they mean.
 * FORMAT, version 1. Integers are bigint. Whatever is text or bytes is bytea: what clients choose
 * need not be UTF-8, and equal bytes are to be equal. For people there are views, and the function
 * readable().
 *
 * progress has three columns of its own. version: of this format. epoch: how often the schema was
 * opened by a broker; each transaction of one that was opened before is refused. serial: of the
 * transaction that wrote last, by which one whose commit was not answered finds out whether it
 * has taken place.
 */
#ifdef FT_POSTGRES
#include <string.h>

#include "catalog/postgres/postgres.h"
#include "catalog/schema.h"

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

/*
 * A commit waits until it is durable, whatever `durability` is: else a restart of the server would
 * take facts away from a broker that runs. Nothing is waited for without an end, and connections
 * of a machine that has vanished are closed within a minute, with their locks.
 */
const char pg_session[] =
	"SET client_min_messages = warning;"
	"SET statement_timeout = '30s';"
	"SET lock_timeout = '5s';"
	"SET idle_in_transaction_session_timeout = '60s';"
	"SET tcp_keepalives_idle = 20;"
	"SET tcp_keepalives_interval = 10;"
	"SET tcp_keepalives_count = 4;"
	"SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit')"
	"		WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false),"
	"	set_config('search_path', CASE WHEN current_schema() = 'public'"
	"		OR (current_schema() IS NULL AND current_setting('search_path') LIKE '%$user%')"
	"		THEN 'file_transfer' ELSE current_setting('search_path') END, false);";

/* As long as PG_SCHEMA_MS in postgres.c: an index of many files, or all of their ids. */
const char pg_session_start[] = "SET statement_timeout = '600s';";

/* The search path may name a schema that does not exist yet. */
const char pg_use_schema[] =
	"DO $$ BEGIN"
	"	IF current_schema() IS NULL THEN"
	"		EXECUTE format('CREATE SCHEMA %I',"
	"			trim(both ' \"' from split_part(current_setting('search_path'), ',', 1)));"
	"	END IF;"
	"END $$;";

const char pg_schema_create[] =
	"CREATE TABLE progress ("
	"	identity bytea,"
	"	log_id bytea,"
	"	filled bigint NOT NULL,"
	"	last_number bigint NOT NULL,"
	"	run_ms bigint NOT NULL,"
	"	version bigint NOT NULL,"
	"	epoch bigint NOT NULL,"
	"	serial bigint NOT NULL"
	") WITH (fillfactor = 10);"
	"INSERT INTO progress VALUES (NULL, NULL, 0, 0, 0, " TEXT(FT_SCHEMA_VERSION) ", 0, 0);"

	"CREATE TABLE transfers ("
	"	number bigint PRIMARY KEY,"
	"	state bigint NOT NULL,"
	"	refused bigint NOT NULL,"
	"	news_run_ms bigint NOT NULL,"
	"	owner bytea NOT NULL,"
	"	file bytea NOT NULL,"
	"	name bytea NOT NULL,"
	"	size bigint,"
	"	sha256 bytea,"
	"	transfer_id bytea NOT NULL,"
	"	received_ms bigint NOT NULL,"
	"	expire_at bigint,"
	"	segments_ttl bigint NOT NULL,"
	"	responses bigint NOT NULL,"
	"	fin_size bigint,"
	"	fin_sha256 bytea,"
	"	hash bigint NOT NULL,"
	"	user_data bytea"
	");"
	"CREATE INDEX transfers_by_hash ON transfers (hash);"

	"CREATE TABLE ranges ("
	"	number bigint NOT NULL,"
	"	kind bigint NOT NULL,"
	"	start bigint NOT NULL,"
	"	until bigint NOT NULL,"
	"	PRIMARY KEY (number, kind, start)"
	");"

	"CREATE TABLE finished ("
	"	rowid bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
	"	owner bytea NOT NULL,"
	"	file bytea NOT NULL,"
	"	name bytea NOT NULL,"
	"	size bigint NOT NULL,"
	"	sha256 bytea NOT NULL,"
	"	completed_ms bigint NOT NULL,"
	"	expire_at bigint,"
	"	transfer_id bytea NOT NULL,"
	"	number bigint NOT NULL,"
	"	hash bigint NOT NULL"
	");"
	"CREATE INDEX finished_by_hash ON finished (hash);"

	"CREATE TABLE answers ("
	"	number bigint PRIMARY KEY,"
	"	result bytea,"
	"	client_id bytea NOT NULL,"
	"	topic bytea NOT NULL,"
	"	response_topic bytea,"
	"	correlation bytea"
	");"

	"CREATE FUNCTION readable(bytes bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $$"
	" BEGIN RETURN convert_from(bytes, 'UTF8');"
	" EXCEPTION WHEN OTHERS THEN RETURN encode(bytes, 'escape'); END $$;"
	"CREATE VIEW unfinished AS SELECT"
	"	number, readable(owner) AS owner, readable(file) AS file, readable(name) AS name, size,"
	"	(SELECT coalesce(sum(until - start), 0) FROM ranges AS r"
	"		WHERE r.number = t.number AND r.kind = 1) AS received,"
	"	(SELECT coalesce(sum(until - start), 0) FROM ranges AS r"
	"		WHERE r.number = t.number AND r.kind = 2) AS durable,"
	"	CASE state WHEN 1 THEN 'receiving' WHEN 2 THEN 'finishing'"
	"		WHEN 3 THEN 'conflict' END AS state,"
	"	refused,"
	"	to_timestamp(received_ms / 1000.0) AS received_at,"
	"	to_timestamp(expire_at) AS expire_at,"
	"	(SELECT (run_ms - t.news_run_ms) / 1000 FROM progress) AS seconds_without_news,"
	"	readable(user_data) AS user_data"
	"	FROM transfers AS t;"
	"CREATE VIEW files AS SELECT"
	"	readable(owner) AS owner, readable(file) AS file, readable(name) AS name, size,"
	"	readable(sha256) AS sha256,"
	"	to_timestamp(completed_ms / 1000.0) AS completed_at,"
	"	to_timestamp(expire_at) AS expire_at,"
	"	readable(transfer_id) AS transfer_id"
	"	FROM finished;";

const char pg_schema_add[] =
	"CREATE TABLE IF NOT EXISTS offers ("
	"	scope bigint NOT NULL,"
	"	whose bytea NOT NULL,"
	"	path bytea NOT NULL,"
	"	inode bigint NOT NULL,"
	"	size bigint NOT NULL,"
	"	mtime_ns bigint NOT NULL,"
	"	ctime_ns bigint NOT NULL,"
	"	sha256 bytea NOT NULL,"
	"	meta bytea NOT NULL,"
	"	announced bigint NOT NULL,"
	"	PRIMARY KEY (scope, whose, path)"
	");"

	"CREATE TABLE IF NOT EXISTS executions ("
	"	kind bigint NOT NULL,"
	"	thing bytea NOT NULL,"
	"	job bytea NOT NULL,"
	"	status bigint NOT NULL,"
	"	version bigint NOT NULL,"
	"	queued_s bigint NOT NULL,"
	"	started_s bigint NOT NULL,"
	"	updated_s bigint NOT NULL,"
	"	details bytea NOT NULL,"
	"	PRIMARY KEY (kind, thing, job)"
	");"
	"CREATE INDEX IF NOT EXISTS executions_by_job ON executions (job);"
	"CREATE OR REPLACE VIEW jobs AS SELECT"
	"	readable(job) AS job, CASE kind WHEN 1 THEN 'client' WHEN 2 THEN 'user' END AS kind,"
	"	readable(thing) AS thing,"
	"	CASE status WHEN 1 THEN 'IN_PROGRESS' WHEN 2 THEN 'SUCCEEDED'"
	"		WHEN 3 THEN 'FAILED' WHEN 4 THEN 'REJECTED' END AS status,"
	"	version,"
	"	to_timestamp(updated_s) AS updated_at,"
	"	readable(details) AS details"
	"	FROM executions;"

	"CREATE TABLE IF NOT EXISTS notices ("
	"	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
	"	manifest bytea NOT NULL"
	");"

	"CREATE TABLE IF NOT EXISTS pauses ("
	"	rowid bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
	"	number bigint NOT NULL,"
	"	owner bytea,"
	"	file bytea,"
	"	since_ms bigint NOT NULL"
	");"
	"CREATE TABLE IF NOT EXISTS outbox ("
	"	number bigint PRIMARY KEY,"
	"	topic bytea NOT NULL,"
	"	text bytea NOT NULL"
	");"

	"CREATE TABLE IF NOT EXISTS renames ("
	"	transfer_id bytea PRIMARY KEY,"
	"	init_name bytea NOT NULL,"
	"	name bytea NOT NULL"
	");"
	"DELETE FROM renames WHERE transfer_id NOT IN (SELECT transfer_id FROM finished)"
	"	AND transfer_id NOT IN (SELECT transfer_id FROM transfers);"

	"CREATE INDEX IF NOT EXISTS finished_by_expiry ON finished (expire_at)"
	"	WHERE expire_at IS NOT NULL;"
	"CREATE INDEX IF NOT EXISTS finished_by_end ON finished (completed_ms)"
	"	WHERE expire_at IS NULL;"

	"CREATE TABLE IF NOT EXISTS reckoning ("
	"	id bigint PRIMARY KEY,"
	"	time_ms bigint NOT NULL,"
	"	doubt_ms bigint NOT NULL"
	");";

/* --- statements --- */

#define SAME(column) #column " = excluded." #column

/* What is said otherwise than in SQLite; "": nothing, this is done in another way. All others are the same. */
static const char *const statements[FT_SQL_COUNT] = {
	[FT_SQL_BEGIN] = "",
	[FT_SQL_COMMIT] = "",
	[FT_SQL_ROLLBACK] = "",
	[FT_SQL_PUT_PROGRESS] = "UPDATE progress SET last_number = greatest(last_number, ?),"
		" run_ms = greatest(run_ms, ?)",
	[FT_SQL_PUT_TRANSFER] = "INSERT INTO transfers (hash, owner, file, number, state,"
		" refused, news_run_ms, name, size, sha256, transfer_id, received_ms, expire_at,"
		" segments_ttl, responses, user_data)"
		" VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
		" ON CONFLICT (number) DO UPDATE SET " SAME(hash) ", " SAME(owner) ", " SAME(file) ", "
		SAME(state) ", refused = 0, " SAME(news_run_ms) ", " SAME(name) ", " SAME(size) ", "
		SAME(sha256) ", " SAME(transfer_id) ", " SAME(received_ms) ", " SAME(expire_at) ", "
		SAME(segments_ttl) ", " SAME(responses) ", " SAME(user_data)
		", fin_size = NULL, fin_sha256 = NULL",
	[FT_SQL_PUT_RANGE] = "INSERT INTO ranges VALUES (?, ?, ?, ?)"
		" ON CONFLICT (number, kind, start) DO UPDATE SET " SAME(until),
	[FT_SQL_PUT_RENAME] = "INSERT INTO renames VALUES (?, ?, ?)"
		" ON CONFLICT (transfer_id) DO UPDATE SET " SAME(init_name) ", " SAME(name),
	[FT_SQL_PAGE_FINISHED] = "SELECT rowid, owner, file, name, size, sha256, completed_ms,"
		" expire_at, transfer_id, number FROM finished WHERE rowid > ? AND rowid <= ?"
		" AND (?::bytea IS NULL OR owner = ?3)"
		" AND completed_ms BETWEEN ?4 AND ?5 AND size BETWEEN ?6 AND ?7"
		" ORDER BY rowid DESC",
	[FT_SQL_DROP_PAUSE] = "DELETE FROM pauses WHERE number = ?"
		" AND (number > 0 OR owner IS NOT DISTINCT FROM ?)",
	[FT_SQL_PUT_RECKONING] = "INSERT INTO reckoning VALUES (1, ?, ?)"
		" ON CONFLICT (id) DO UPDATE SET " SAME(time_ms) ", " SAME(doubt_ms),
	[FT_SQL_EACH_NOTICE] = "SELECT id, manifest FROM notices ORDER BY id LIMIT 64",
	[FT_SQL_PUT_EVENT] = "INSERT INTO outbox VALUES (coalesce(?, (SELECT coalesce(max(number), 0)"
		" + 1 FROM outbox)), ?, ?)"
		" ON CONFLICT (number) DO UPDATE SET " SAME(topic) ", " SAME(text),
	[FT_SQL_PUT_ANSWER] = "INSERT INTO answers VALUES (?, NULL, ?, ?, ?, ?)"
		" ON CONFLICT (number) DO UPDATE SET result = NULL, " SAME(client_id) ", " SAME(topic)
		", " SAME(response_topic) ", " SAME(correlation),
	[FT_SQL_PUT_OFFER] = "INSERT INTO offers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
		" ON CONFLICT (scope, whose, path) DO UPDATE SET " SAME(inode) ", " SAME(size) ", "
		SAME(mtime_ns) ", " SAME(ctime_ns) ", " SAME(sha256) ", " SAME(meta) ", " SAME(announced),
	[FT_SQL_PUT_EXECUTION] = "INSERT INTO executions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
		" ON CONFLICT (kind, thing, job) DO UPDATE SET " SAME(status) ", " SAME(version) ", "
		SAME(queued_s) ", " SAME(started_s) ", " SAME(updated_s) ", " SAME(details),
	[FT_SQL_NEXT_EXECUTED_JOB] = "SELECT job FROM executions WHERE job > ? ORDER BY job LIMIT 1",
};

/* SQLite's question marks become $1, $2, ...; ?3 becomes $3. */
bool pg_statement_write(enum ft_sql sql, struct ft_buf *text)
{
	const char *from = statements[sql] ? statements[sql] : ft_connection_sql(sql);
	uint64_t number = 0;

	for (const char *at = from; *at; at++) {
		ft_buf_char(text, *at == '?' ? '$' : *at);
		if (*at == '?' && (at[1] < '0' || at[1] > '9'))
			ft_buf_u64(text, ++number);
	}
	return from[0] != '\0';
}
#else
typedef int pg_schema_is_not_built_in;	/* a file of ISO C has something in it */
#endif
