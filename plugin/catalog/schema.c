/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "catalog/schema.h"

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

/*
 * synchronous=normal: a commit waits for no disk; ft_catalog_sync() does. Checkpoints sync in
 * the right order by themselves. cell_size_check and trusted_schema guard against files that
 * somebody else has written. Memory is bounded: 2 MiB of pages for each connection.
 */
const char ft_schema_settings[] =
	"PRAGMA cell_size_check = on;"
	"PRAGMA trusted_schema = off;"
	"PRAGMA mmap_size = 0;"
	"PRAGMA temp_store = memory;"
	"PRAGMA cache_size = -2048;"
	"PRAGMA wal_autocheckpoint = 0;"
	"PRAGMA journal_size_limit = 67108864;"
	"PRAGMA synchronous = normal;";

const char ft_schema_create[] =
	"PRAGMA application_id = " TEXT(FT_SCHEMA_APPLICATION) ";"
	"PRAGMA user_version = " TEXT(FT_SCHEMA_VERSION) ";"

	/*
	 * One row. identity, log_id: whose facts these are, see struct ft_catalog_config. filled:
	 * the finished files of the store have all been read.
	 */
	"CREATE TABLE progress ("
	"	identity TEXT,"
	"	log_id BLOB,"
	"	filled INTEGER NOT NULL,"
	"	last_number INTEGER NOT NULL,"
	"	run_ms INTEGER NOT NULL"
	");"
	"INSERT INTO progress VALUES (NULL, NULL, 0, 0, 0);"

	/*
	 * Unfinished transfers. state: enum ft_catalog_state. responses: enum ft_responses.
	 * fin_*: what fin asks for, in state FINISHING. hash: of owner and file, see
	 * query.c. What is long comes last, so that nothing else is behind it.
	 */
	"CREATE TABLE transfers ("
	"	number INTEGER PRIMARY KEY,"
	"	state INTEGER NOT NULL,"
	"	refused INTEGER NOT NULL,"
	"	news_run_ms INTEGER NOT NULL,"
	"	owner TEXT NOT NULL,"
	"	file TEXT NOT NULL,"
	"	name TEXT NOT NULL,"
	"	size INTEGER,"
	"	sha256 TEXT,"
	"	transfer_id TEXT NOT NULL,"
	"	received_ms INTEGER NOT NULL,"
	"	expire_at INTEGER,"
	"	segments_ttl INTEGER NOT NULL,"
	"	responses INTEGER NOT NULL,"
	"	fin_size INTEGER,"
	"	fin_sha256 TEXT,"
	"	hash INTEGER NOT NULL,"
	"	user_data TEXT"
	");"
	"CREATE INDEX transfers_by_hash ON transfers (hash);"

	/*
	 * Bytes [start, until) of unfinished transfers; ranges of one kind neither overlap nor
	 * touch. kind: 1 held, 2 durable.
	 */
	"CREATE TABLE ranges ("
	"	number INTEGER NOT NULL,"
	"	kind INTEGER NOT NULL,"
	"	start INTEGER NOT NULL,"
	"	until INTEGER NOT NULL,"
	"	PRIMARY KEY (number, kind, start)"
	") WITHOUT ROWID;"

	/*
	 * Finished files, one for each (owner, file). Looked up by hash: with a million files an
	 * index of the keys themselves costs twice the time of an insert, since more pages are
	 * changed and written to the log.
	 */
	"CREATE TABLE finished ("
	"	owner TEXT NOT NULL,"
	"	file TEXT NOT NULL,"
	"	name TEXT NOT NULL,"
	"	size INTEGER NOT NULL,"
	"	sha256 TEXT NOT NULL,"
	"	completed_ms INTEGER NOT NULL,"
	"	expire_at INTEGER,"
	"	transfer_id TEXT NOT NULL,"
	"	number INTEGER NOT NULL,"
	"	hash INTEGER NOT NULL"
	");"
	"CREATE INDEX finished_by_hash ON finished (hash);"

	/*
	 * Who is to be told how a fin ended. result: the symbol of an enum ft_status; NULL: not
	 * known yet.
	 */
	"CREATE TABLE answers ("
	"	number INTEGER PRIMARY KEY,"
	"	result TEXT,"
	"	client_id TEXT NOT NULL,"
	"	topic TEXT NOT NULL,"
	"	response_topic TEXT,"
	"	correlation BLOB"
	");"

	/* For people. */
	"CREATE VIEW unfinished AS SELECT"
	"	number, owner, file, name, size,"
	"	(SELECT coalesce(sum(until - start), 0) FROM ranges AS r"
	"		WHERE r.number = t.number AND r.kind = 1) AS received,"
	"	(SELECT coalesce(sum(until - start), 0) FROM ranges AS r"
	"		WHERE r.number = t.number AND r.kind = 2) AS durable,"
	"	CASE state WHEN 1 THEN 'receiving' WHEN 2 THEN 'finishing'"
	"		WHEN 3 THEN 'conflict' END AS state,"
	"	refused,"
	"	strftime('%Y-%m-%dT%H:%M:%fZ', received_ms / 1000.0, 'unixepoch') AS received_at,"
	"	strftime('%Y-%m-%dT%H:%M:%SZ', expire_at, 'unixepoch') AS expire_at,"
	"	(SELECT (run_ms - t.news_run_ms) / 1000 FROM progress) AS seconds_without_news,"
	"	user_data"
	"	FROM transfers AS t;"
	"CREATE VIEW files AS SELECT"
	"	owner, file, name, size, sha256,"
	"	strftime('%Y-%m-%dT%H:%M:%fZ', completed_ms / 1000.0, 'unixepoch') AS completed_at,"
	"	strftime('%Y-%m-%dT%H:%M:%SZ', expire_at, 'unixepoch') AS expire_at,"
	"	transfer_id"
	"	FROM finished;";

const char ft_schema_add[] =
	/*
	 * Offered files: option `downloads`. scope: enum ft_offer_scope; whose: the folder's name.
	 * announced: a retained message may say so.
	 */
	"CREATE TABLE IF NOT EXISTS offers ("
	"	scope INTEGER NOT NULL,"
	"	whose TEXT NOT NULL,"
	"	path TEXT NOT NULL,"
	"	inode INTEGER NOT NULL,"
	"	size INTEGER NOT NULL,"
	"	mtime_ns INTEGER NOT NULL,"
	"	ctime_ns INTEGER NOT NULL,"
	"	sha256 TEXT NOT NULL,"
	"	meta TEXT NOT NULL,"
	"	announced INTEGER NOT NULL,"
	"	PRIMARY KEY (scope, whose, path)"
	") WITHOUT ROWID;"

	/*
	 * What devices have done about their jobs: option `downloads jobs`. A thing that has done
	 * nothing about one has no row. kind: enum ft_thing_kind; status: enum ft_execution_status.
	 */
	"CREATE TABLE IF NOT EXISTS executions ("
	"	kind INTEGER NOT NULL,"
	"	thing TEXT NOT NULL,"
	"	job TEXT NOT NULL,"
	"	status INTEGER NOT NULL,"
	"	version INTEGER NOT NULL,"
	"	queued_s INTEGER NOT NULL,"
	"	started_s INTEGER NOT NULL,"
	"	updated_s INTEGER NOT NULL,"
	"	details TEXT NOT NULL,"
	"	PRIMARY KEY (kind, thing, job)"
	") WITHOUT ROWID;"
	"CREATE INDEX IF NOT EXISTS executions_by_job ON executions (job);"
	"CREATE VIEW IF NOT EXISTS jobs AS SELECT"
	"	job, CASE kind WHEN 1 THEN 'client' WHEN 2 THEN 'user' END AS kind, thing,"
	"	CASE status WHEN 1 THEN 'IN_PROGRESS' WHEN 2 THEN 'SUCCEEDED'"
	"		WHEN 3 THEN 'FAILED' WHEN 4 THEN 'REJECTED' END AS status,"
	"	version,"
	"	strftime('%Y-%m-%dT%H:%M:%SZ', updated_s, 'unixepoch') AS updated_at,"
	"	details"
	"	FROM executions;"

	/* Finished files that consumers are still to be told of: option `done`. */
	"CREATE TABLE IF NOT EXISTS notices ("
	"	id INTEGER PRIMARY KEY,"
	"	manifest TEXT NOT NULL"
	");"

	/*
	 * What an operator has paused. number > 0: that transfer, of which owner and file are;
	 * 0: all of owner; owner NULL, too: everything.
	 */
	"CREATE TABLE IF NOT EXISTS pauses ("
	"	number INTEGER NOT NULL,"
	"	owner TEXT,"
	"	file TEXT,"
	"	since_ms INTEGER NOT NULL"
	");"
	/* Events that are still to be told; number: of the transfer. */
	"CREATE TABLE IF NOT EXISTS outbox ("
	"	number INTEGER PRIMARY KEY,"
	"	topic TEXT NOT NULL,"
	"	text TEXT NOT NULL"
	");"

	/*
	 * Files to which option `on_complete` gave another name than their init. Rows of files that
	 * are gone stay until the next start.
	 */
	"CREATE TABLE IF NOT EXISTS renames ("
	"	transfer_id TEXT PRIMARY KEY,"
	"	init_name TEXT NOT NULL,"
	"	name TEXT NOT NULL"
	") WITHOUT ROWID;"
	"DELETE FROM renames WHERE transfer_id NOT IN (SELECT transfer_id FROM finished)"
	"	AND transfer_id NOT IN (SELECT transfer_id FROM transfers);"

	/* Which finished files expire next: by what their clients said, and by option `files_ttl`. */
	"CREATE INDEX IF NOT EXISTS finished_by_expiry ON finished (expire_at)"
	"	WHERE expire_at IS NOT NULL;"
	"CREATE INDEX IF NOT EXISTS finished_by_end ON finished (completed_ms)"
	"	WHERE expire_at IS NULL;"

	/* One row: struct ft_reckoning. */
	"CREATE TABLE IF NOT EXISTS reckoning ("
	"	id INTEGER PRIMARY KEY,"
	"	time_ms INTEGER NOT NULL,"
	"	doubt_ms INTEGER NOT NULL"
	");";

/* A transfer whose fin was accepted, but whose bytes did not all survive. */
#define IS_CUT \
	"state = 2 AND fin_size > 0 AND NOT EXISTS (SELECT 1 FROM ranges AS r" \
	"	WHERE r.number = transfers.number AND r.kind = 2" \
	"		AND r.start = 0 AND r.until >= transfers.fin_size)"

const char ft_schema_cut[] =
	"DELETE FROM ranges WHERE kind = 1;"
	"INSERT INTO ranges SELECT number, 1, start, until FROM ranges WHERE kind = 2;"
	"UPDATE answers SET result = 'FT_INCOMPLETE' WHERE result IS NULL"
	"	AND number IN (SELECT number FROM transfers WHERE " IS_CUT ");"
	"UPDATE transfers SET state = 1, fin_size = NULL, fin_sha256 = NULL WHERE " IS_CUT ";";
