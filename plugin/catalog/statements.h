/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* All SQL that runs more than once, as one table: prepared once for each connection. */
#ifndef FT_CATALOG_STATEMENTS_H
#define FT_CATALOG_STATEMENTS_H

/* A key, as ft_query_key() binds it. */
#define FT_SQL_KEY " WHERE hash = ? AND owner = ? AND file = ?"

/* What ft_unfinished_read() reads. */
#define FT_SQL_TRANSFER \
	"SELECT number, state, refused, news_run_ms, owner, file, name, size, sha256," \
	" transfer_id, received_ms, expire_at, segments_ttl, responses, fin_size, fin_sha256," \
	" user_data FROM transfers"

/* X(symbol, text): parameters are bound in the order of their question marks. */
#define FT_SQL_TABLE(X) \
	X(BEGIN, "BEGIN IMMEDIATE") \
	X(COMMIT, "COMMIT") \
	X(ROLLBACK, "ROLLBACK") \
	\
	X(PUT_PROGRESS, "UPDATE progress SET last_number = max(last_number, ?)," \
	  " run_ms = max(run_ms, ?)") \
	X(GET_PROGRESS, "SELECT last_number, run_ms FROM progress") \
	X(PUT_FILLED, "UPDATE progress SET filled = 1") \
	X(PUT_PAST, "UPDATE progress SET identity = ?, log_id = ?") \
	X(GET_PAST, "SELECT identity, log_id, filled FROM progress") \
	\
	X(PUT_TRANSFER, "INSERT OR REPLACE INTO transfers (hash, owner, file, number, state," \
	  " refused, news_run_ms, name, size, sha256, transfer_id, received_ms, expire_at," \
	  " segments_ttl, responses, user_data)" \
	  " VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)") \
	X(PUT_TERMS, "UPDATE transfers SET refused = 0, expire_at = ?, segments_ttl = ?," \
	  " responses = ?, user_data = ? WHERE number = ?") \
	X(PUT_REFUSED, "UPDATE transfers SET refused = 1 WHERE number = ?") \
	X(PUT_NEWS, "UPDATE transfers SET news_run_ms = ? WHERE number = ?") \
	X(PUT_FIN, "UPDATE transfers SET state = 2, fin_size = ?, fin_sha256 = ?" \
	  " WHERE number = ? AND state IN (1, 2)") \
	X(DROP_FIN, "UPDATE transfers SET state = 1, fin_size = NULL, fin_sha256 = NULL" \
	  " WHERE number = ? AND state IN (1, 2)") \
	X(DROP_TRANSFER, "DELETE FROM transfers WHERE number = ?") \
	X(HAS_TRANSFER, "SELECT 1 FROM transfers WHERE number = ? AND state IN (1, 2)") \
	X(FIND_TRANSFER, FT_SQL_TRANSFER " WHERE number = ?") \
	X(EACH_TRANSFER, FT_SQL_TRANSFER " ORDER BY number") \
	X(FIND_NUMBER, "SELECT number FROM transfers" FT_SQL_KEY) \
	\
	X(PUT_RANGE, "INSERT OR REPLACE INTO ranges VALUES (?, ?, ?, ?)") \
	X(DROP_RANGES, "DELETE FROM ranges WHERE number = ? AND kind = ?" \
	  " AND start BETWEEN ? AND ?") \
	X(DROP_ALL_RANGES, "DELETE FROM ranges WHERE number = ?") \
	X(GET_RANGES, "SELECT kind, start, until FROM ranges WHERE number = ?" \
	  " ORDER BY kind, start") \
	\
	X(PUT_FINISHED, "INSERT INTO finished (hash, owner, file, name, size, sha256," \
	  " completed_ms, expire_at, transfer_id, number)" \
	  " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)") \
	X(FIND_FINISHED, "SELECT name, size, sha256, completed_ms, expire_at, transfer_id," \
	  " number, (SELECT init_name FROM renames AS r WHERE r.transfer_id = finished.transfer_id)" \
	  " FROM finished" FT_SQL_KEY) \
	X(FIND_SAME, "SELECT owner, file, name FROM finished WHERE sha256 = ? AND size = ?" \
	  " AND owner = ? LIMIT 1") \
	X(PUT_RENAME, "INSERT OR REPLACE INTO renames VALUES (?, ?, ?)") \
	X(FIND_RENAME, "SELECT name FROM renames WHERE transfer_id = ?") \
	X(REPLACE_FINISHED, "DELETE FROM finished" FT_SQL_KEY) \
	X(DROP_FINISHED, "DELETE FROM finished" FT_SQL_KEY " AND number = ?") \
	X(SIZE_FINISHED, "SELECT size FROM finished" FT_SQL_KEY) \
	X(NEXT_FINISHED, "SELECT rowid, owner, file, name, size, number FROM finished" \
	  " WHERE rowid > ? ORDER BY rowid LIMIT 1") \
	X(COUNT_FINISHED, "SELECT count(*) FROM finished") \
	X(EACH_FINISHED_KEY, "SELECT owner, file, size FROM finished") \
	X(NEWEST_FINISHED, "SELECT coalesce(max(rowid), 0) FROM finished") \
	X(PAGE_FINISHED, "SELECT rowid, owner, file, name, size, sha256, completed_ms, expire_at," \
	  " transfer_id, number FROM finished WHERE rowid > ? AND rowid <= ?" \
	  " AND (?3 IS NULL OR owner = ?3)" \
	  " AND completed_ms BETWEEN ?4 AND ?5 AND size BETWEEN ?6 AND ?7" \
	  " ORDER BY rowid DESC") \
	\
	X(SLICE_OWNERS, "SELECT rowid, owner, size, completed_ms FROM finished WHERE rowid > ?" \
	  " ORDER BY rowid LIMIT ?") \
	X(SLICE_OPEN_OWNERS, "SELECT number, owner FROM transfers WHERE number > ?" \
	  " ORDER BY number LIMIT ?") \
	\
	X(PUT_PAUSE, "INSERT INTO pauses (number, owner, file, since_ms) VALUES (?, ?, ?, ?)") \
	X(DROP_PAUSE, "DELETE FROM pauses WHERE number = ? AND (number > 0 OR owner IS ?)") \
	X(DROP_OLD_PAUSES, "DELETE FROM pauses WHERE number > 0" \
	  " AND number NOT IN (SELECT number FROM transfers)") \
	X(EACH_PAUSE, "SELECT number, owner, file, since_ms FROM pauses ORDER BY rowid") \
	\
	X(EACH_EXPIRED, "SELECT owner, file, name, size, sha256, transfer_id, number" \
	  " FROM finished WHERE expire_at <= ? UNION ALL" \
	  " SELECT owner, file, name, size, sha256, transfer_id, number" \
	  " FROM finished WHERE expire_at IS NULL AND completed_ms BETWEEN ? AND ?" \
	  " LIMIT ? OFFSET ?") \
	X(MEND_TIMES, "UPDATE finished SET completed_ms = ? WHERE rowid IN (SELECT rowid" \
	  " FROM finished WHERE expire_at IS NULL AND completed_ms < ? UNION ALL SELECT rowid" \
	  " FROM finished WHERE expire_at IS NULL AND completed_ms > ? LIMIT 1000)") \
	X(GET_RECKONING, "SELECT time_ms, doubt_ms FROM reckoning") \
	X(PUT_RECKONING, "INSERT OR REPLACE INTO reckoning VALUES (1, ?, ?)") \
	\
	X(PUT_NOTICE, "INSERT INTO notices (manifest) VALUES (?)") \
	X(EACH_NOTICE, "SELECT id, manifest FROM notices ORDER BY id") \
	X(DROP_NOTICES, "DELETE FROM notices WHERE id <= ?") \
	\
	X(PUT_EVENT, "INSERT OR REPLACE INTO outbox VALUES (?, ?, ?)") \
	X(EACH_EVENT, "SELECT number, topic, text FROM outbox ORDER BY number") \
	X(DROP_EVENT, "DELETE FROM outbox WHERE number = ?") \
	\
	X(PUT_ANSWER, "INSERT OR REPLACE INTO answers VALUES (?, NULL, ?, ?, ?, ?)") \
	X(PUT_RESULT, "UPDATE answers SET result = ? WHERE number = ? AND result IS NULL") \
	X(EACH_ANSWER, "SELECT number, result, client_id, topic, response_topic, correlation" \
	  " FROM answers ORDER BY number") \
	X(PUT_OFFER, "INSERT OR REPLACE INTO offers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)") \
	X(DROP_OFFER, "DELETE FROM offers WHERE scope = ? AND whose = ? AND path = ?") \
	X(EACH_OFFER, "SELECT scope, whose, path, inode, size, mtime_ns, ctime_ns, sha256, meta," \
	  " announced FROM offers") \
	\
	X(PUT_EXECUTION, "INSERT OR REPLACE INTO executions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)") \
	X(EACH_EXECUTION, "SELECT job, status, version, queued_s, started_s, updated_s, details" \
	  " FROM executions WHERE kind = ? AND thing = ? ORDER BY job") \
	X(PAGE_EXECUTIONS, "SELECT kind, thing, job, status, version, queued_s, started_s, updated_s," \
	  " details FROM executions WHERE (kind, thing, job) > (?, ?, ?) ORDER BY kind, thing, job") \
	X(COUNT_EXECUTIONS, "SELECT count(*) FROM executions") \
	X(NEXT_EXECUTED_JOB, "SELECT min(job) FROM executions WHERE job > ?") \
	X(DROP_EXECUTIONS, "DELETE FROM executions WHERE job = ?") \
	\
	X(DROP_ANSWER, "DELETE FROM answers WHERE number = ?")

enum ft_sql {
#define X(symbol, text) FT_SQL_##symbol,
	FT_SQL_TABLE(X)
#undef X
	FT_SQL_COUNT
};

#endif
