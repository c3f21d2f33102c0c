/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The catalog: all facts that last. Unfinished transfers and which of their bytes are held,
 * finished files, and results that are still to be told.
 *
 * One SQLite file in WAL mode, `catalog.db`, or a schema of a PostgreSQL database; operators may
 * read either while the broker runs. Nothing outside plugin/catalog/ knows SQL or which of them it
 * is: what is said here are facts of the domain.
 *
 *	ft_catalog_open(&config, &catalog, &past);
 *	ft_catalog_join(catalog, &mine);		a connection for another thread
 *
 *	ft_catalog_begin(c);				waits for other threads' transactions
 *	st = ft_catalog_put_transfer(c, &facts); ...	several facts, all or none
 *	if ((st = ft_catalog_end(c, st)) == FT_OK)	survives the process
 *		st = ft_catalog_sync(c);		all committed before survives a power cut
 *
 * HELD AND DURABLE. Two sets of ranges per unfinished transfer: `held` is what store and
 * kernel have, `durable` what also survives a power cut. `durable` is a part of `held`. After a
 * power cut (another identity) only `durable` is left of `held`: ft_catalog_open() sees to it.
 *
 * THREADS. A connection belongs to one thread at a time. Write transactions of all
 * connections of this process queue up at one mutex, so none polls for SQLite's lock; reads
 * need no transaction and wait for nobody. ft_catalog_sync() is outside of transactions and
 * does not keep others from committing.
 *
 * PostgreSQL. A connection that is lost is made anew by the next call. What was in a transaction
 * fails with FT_BUSY, to be tried again; a read is repeated once by itself. Whether a commit whose
 * answer was lost has taken place is found out before ft_catalog_commit() returns, however long
 * the database is away; only a thread that has opened the catalog waits no longer than 30 s. All
 * that is committed is durable. Another process that opens the same schema takes it over: whatever
 * this one writes then is refused by the database, with FT_BUSY.
 *
 * ERRORS. FT_OK, FT_NO_SUCH_TRANSFER, FT_DISK_FULL, FT_NO_MEMORY, FT_BUSY (another program
 * holds the database for longer than 5 s, or it is away), FT_IO_ERROR, FT_DAMAGED (no database,
 * or not ours: the caller moves a file away and makes a new one), FT_NAME_REFUSED (the URL). After
 * an error inside a transaction the caller rolls back. The cause is logged once a minute.
 */
#ifndef FT_CATALOG_CATALOG_H
#define FT_CATALOG_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "file_transfer/logger.h"
#include "file_transfer/ranges.h"
#include "file_transfer/status.h"
#include "log/log.h"
#include "protocol/facts.h"
#include "protocol/options.h"
#include "protocol/reckoning.h"
#include "protocol/request.h"

struct ft_catalog;

struct ft_catalog_config {
	const char *path;		/* of catalog.db; its directory exists */
	const char *url;		/* postgresql://...: there instead; NULL: in the file */
	const char *identity;		/* of boot and storage, as the log's; NULL: not known, never the same */
	const uint8_t *log_id;		/* FT_LOG_ID_LEN bytes; another one: the log is gone */
	enum ft_log_medium log_medium;	/* what it lies on */
	struct ft_logger *logger;
};

/* What was found. */
enum ft_catalog_past {
	FT_CATALOG_NEW,		/* finished files are to be read from the store, see put_filled() */
	FT_CATALOG_CONTINUED,
	FT_CATALOG_CUT,		/* after a power cut: held is now what was durable */
};

/*
 * Opens or makes the catalog. A schema newer than this code is refused with a clear line
 * (FT_IO_ERROR), and so is a network file system on which WAL cannot work. A server that does
 * not answer is waited for, at most 10 s.
 */
enum ft_status ft_catalog_open(const struct ft_catalog_config *config, struct ft_catalog **out,
			       enum ft_catalog_past *past) FT_MUST_USE;

/* Another connection to the same catalog, for another thread. */
enum ft_status ft_catalog_join(struct ft_catalog *catalog, struct ft_catalog **out) FT_MUST_USE;

/*
 * Moves a catalog that is not open, with all files that belong to it, to another name of the
 * same file system: so that a damaged one makes room for a new one. Not there: FT_OK.
 */
enum ft_status ft_catalog_move(const char *path, const char *to) FT_MUST_USE;

/* Closes a connection; the one of ft_catalog_open() last. Rolls back what is open. */
void ft_catalog_close(struct ft_catalog **catalog);

/*
 * Of any thread: from now on nobody waits for a database that is away. What could not be
 * committed is the next start's. Never taken back.
 */
void ft_catalog_interrupt(struct ft_catalog *c);

/* --- transactions --- */

enum ft_status ft_catalog_begin(struct ft_catalog *c) FT_MUST_USE;
enum ft_status ft_catalog_commit(struct ft_catalog *c) FT_MUST_USE;
void ft_catalog_rollback(struct ft_catalog *c);

/*
 * Ends what was begun, or could not be: commits where `st` is FT_OK, and rolls back where it is
 * not, or where the commit fails. Returns the error, if there is one.
 */
enum ft_status ft_catalog_end(struct ft_catalog *c, enum ft_status st) FT_MUST_USE;

/*
 * Waits until the disk has all that any connection has committed. FT_IO_ERROR: it may not,
 * and never again will until the catalog is opened anew.
 */
enum ft_status ft_catalog_sync(struct ft_catalog *c) FT_MUST_USE;

/* Moves the write-ahead log into the database, as far as readers allow; some ms. No transaction. */
enum ft_status ft_catalog_checkpoint(struct ft_catalog *c) FT_MUST_USE;

/*
 * Another log takes the place of the one that was named at open; nothing is lost. NULL: there
 * is none, since nothing is in it that is not here; the next start may bring any.
 */
enum ft_status ft_catalog_put_log(struct ft_catalog *c, const char *identity,
				  const uint8_t *log_id) FT_MUST_USE;

/* How far the process has come; both only grow. `run_ms`: for how long a broker has run in all. */
struct ft_progress {
	uint64_t last_number;	/* of a transfer */
	int64_t run_ms;
};

enum ft_status ft_catalog_put_progress(struct ft_catalog *c,
				       const struct ft_progress *progress) FT_MUST_USE;
enum ft_status ft_catalog_get_progress(struct ft_catalog *c,
				       struct ft_progress *progress) FT_MUST_USE;

/*
 * The finished files of the store have all been put. Until that is committed the catalog is
 * FT_CATALOG_NEW at each open, so that a start that was killed half-way is made up for.
 */
enum ft_status ft_catalog_put_filled(struct ft_catalog *c) FT_MUST_USE;

/* --- unfinished transfers --- */

/* On disk: never renumber. */
enum ft_catalog_state {
	FT_CATALOG_RECEIVING = 1,
	FT_CATALOG_FINISHING = 2,	/* a fin was accepted, see struct ft_unfinished */
	FT_CATALOG_CONFLICT = 3,	/* its init was refused: a place holder without bytes */
};

/* Everything about one, as read back. */
struct ft_unfinished {
	struct ft_facts facts;
	enum ft_catalog_state state;
	bool refused;			/* by a later init: segments and fin are refused, too */
	int64_t news_run_ms;		/* last news, in run_ms */
	struct ft_fin fin;		/* FINISHING */
	struct ft_ranges held;
	struct ft_ranges durable;
};

/* Adds a transfer, or replaces its facts; its ranges stay. Another number under the same key is removed. */
enum ft_status ft_catalog_put_transfer(struct ft_catalog *c, const struct ft_facts *facts,
				       enum ft_catalog_state state, int64_t news_run_ms) FT_MUST_USE;

/* Replaces the terms; the transfer is no longer refused. */
enum ft_status ft_catalog_put_terms(struct ft_catalog *c, uint64_t number,
				    const struct ft_terms *terms) FT_MUST_USE;
enum ft_status ft_catalog_put_refused(struct ft_catalog *c, uint64_t number) FT_MUST_USE;
enum ft_status ft_catalog_put_news(struct ft_catalog *c, uint64_t number,
				   int64_t news_run_ms) FT_MUST_USE;

/*
 * FINISHING with what fin asks for; `ticket` is who is to be told, kept until drop_answer().
 * NULL: nobody.
 */
enum ft_status ft_catalog_put_fin(struct ft_catalog *c, uint64_t number, const struct ft_fin *fin,
				  const struct ft_request *ticket) FT_MUST_USE;

/* Back to RECEIVING: the fin failed with this. Who is to be told is told that, also after a restart. */
enum ft_status ft_catalog_drop_fin(struct ft_catalog *c, uint64_t number, enum ft_status result) FT_MUST_USE;

/*
 * Makes the stored set equal to `ranges` within [start, end): only these rows are touched.
 * The caller names what has changed; a range of the set that reaches beyond is whole.
 */
enum ft_status ft_catalog_put_held(struct ft_catalog *c, uint64_t number,
				   const struct ft_ranges *ranges, uint64_t start,
				   uint64_t end) FT_MUST_USE;
enum ft_status ft_catalog_put_durable(struct ft_catalog *c, uint64_t number,
				      const struct ft_ranges *ranges, uint64_t start,
				      uint64_t end) FT_MUST_USE;

/*
 * Forgets an unfinished transfer with its ranges and its fin; who waits for that is told
 * FT_NO_SUCH_TRANSFER. Unknown: FT_OK.
 */
enum ft_status ft_catalog_drop_transfer(struct ft_catalog *c, uint64_t number) FT_MUST_USE;

/* One unfinished transfer, with its ranges. Text lives until the next call on this connection;
   the ranges are the caller's to release. */
enum ft_status ft_catalog_find_transfer(struct ft_catalog *c, uint64_t number,
					struct ft_unfinished *found) FT_MUST_USE;

/* The number of the unfinished transfer under a key, or 0. */
enum ft_status ft_catalog_find_number(struct ft_catalog *c, const struct ft_key *key,
				      uint64_t *number) FT_MUST_USE;

/*
 * Visits all unfinished transfers in the order of their numbers; borrowed for the visit, which
 * may take the ranges by leaving empty sets. Returning an error ends the walk with it. The
 * visit makes no calls on the same connection.
 */
typedef enum ft_status ft_catalog_visit(void *context, struct ft_unfinished *found);
enum ft_status ft_catalog_each_transfer(struct ft_catalog *c, ft_catalog_visit *visit,
					void *context) FT_MUST_USE;

/* --- finished files --- */

/*
 * Adds a finished file and forgets the unfinished transfer of its number. Replaces one of the
 * same key, whose size *replaced gets; 0 where there was none. `replaced` may be NULL.
 */
enum ft_status ft_catalog_put_finished(struct ft_catalog *c, const struct ft_finished *finished,
				       uint64_t *replaced) FT_MUST_USE;

/* FT_NO_SUCH_TRANSFER where the key is not finished. `key` of the result is that of the call. */
enum ft_status ft_catalog_find_finished(struct ft_catalog *c, const struct ft_key *key,
					struct ft_finished *found) FT_MUST_USE;

/* Makes ready for find_same(), or takes that back; at the start. Some seconds for 1,000,000 files. */
enum ft_status ft_catalog_index_checksums(struct ft_catalog *c,
					  enum ft_deduplicate deduplicate) FT_MUST_USE;

/* A file with these bytes that the owner of `key` has finished; its key lives until the next call. */
enum ft_status ft_catalog_find_same(struct ft_catalog *c, const struct ft_key *key,
				    const struct ft_sha256 *checksum, uint64_t size,
				    struct ft_finished *found) FT_MUST_USE;

/*
 * Notes that a transfer's file is published by another name than its init gave, before it is; a
 * finished file with an init_name notes it, too.
 */
enum ft_status ft_catalog_put_rename(struct ft_catalog *c, const char *transfer_id,
				     const char *init_name, const char *name) FT_MUST_USE;

/* FT_NO_SUCH_TRANSFER: by none that was noted. */
enum ft_status ft_catalog_find_rename(struct ft_catalog *c, const char *transfer_id,
				      char name[FT_FILE_NAME_MAX + 1]) FT_MUST_USE;

/* Forgets one. FT_NO_SUCH_TRANSFER: it is not there, or another has finished under the key since. */
enum ft_status ft_catalog_drop_finished(struct ft_catalog *c, const struct ft_key *key,
					uint64_t number) FT_MUST_USE;

/*
 * The first finished file behind *place, which is 0 at first and is moved to it; the order is
 * any. FT_NO_SUCH_TRANSFER: there are no more. The key lives until the next call of this, or of
 * ft_catalog_find_transfer().
 */
enum ft_status ft_catalog_next_finished(struct ft_catalog *c, int64_t *place,
					struct ft_finished *found) FT_MUST_USE;

/* How many finished files there are; some ms for 1,000,000. */
enum ft_status ft_catalog_count_finished(struct ft_catalog *c, size_t *count) FT_MUST_USE;

/* Visits the keys and sizes of all finished files, in any order: 1,000,000 in a second. */
typedef enum ft_status ft_catalog_visit_key(void *context, const struct ft_key *key, uint64_t size);
enum ft_status ft_catalog_each_finished_key(struct ft_catalog *c, ft_catalog_visit_key *visit,
					    void *context) FT_MUST_USE;

/* --- finished files that expire --- */

struct ft_expiry {
	int64_t now_s;			/* Unix seconds: those whose expire_at has come */
	int64_t completed_from_ms, completed_until_ms;	/* Unix ms: those without one that were finished then */
	size_t most, skip;		/* so many, after so many */
};

/* Visits them; key, name, size, checksum, transfer_id and number are set, borrowed for the visit. */
typedef enum ft_status ft_catalog_visit_finished(void *context, const struct ft_finished *found);
enum ft_status ft_catalog_each_expired(struct ft_catalog *c, const struct ft_expiry *expiry,
				       ft_catalog_visit_finished *visit, void *context) FT_MUST_USE;

/*
 * Files without an expire_at that by a wrong clock were finished before `first_ms` or behind
 * `last_ms` count as finished now; a slice of them. `more`: there may be others.
 */
enum ft_status ft_catalog_mend_times(struct ft_catalog *c, int64_t now_ms, int64_t first_ms,
				     int64_t last_ms, bool *more) FT_MUST_USE;

/* What the time was when it was looked at last; zeros where it never was. */
enum ft_status ft_catalog_get_reckoning(struct ft_catalog *c,
					struct ft_reckoning *reckoning) FT_MUST_USE;
enum ft_status ft_catalog_put_reckoning(struct ft_catalog *c,
					const struct ft_reckoning *reckoning) FT_MUST_USE;

/* --- finished files that consumers are still to be told of --- */

/* Notes one, in the transaction that makes it a finished file. */
enum ft_status ft_catalog_put_notice(struct ft_catalog *c, const char *manifest,
				     size_t len) FT_MUST_USE;

/*
 * Visits them in the order in which they were noted, or only the first 64: more come when these
 * are dropped. FT_CANCELLED from it ends the walk, too.
 */
typedef enum ft_status ft_catalog_visit_notice(void *context, int64_t id, const char *manifest,
					       size_t len);
enum ft_status ft_catalog_each_notice(struct ft_catalog *c, ft_catalog_visit_notice *visit,
				      void *context) FT_MUST_USE;

/* They were told of this one and of all that were noted before. */
enum ft_status ft_catalog_drop_notices(struct ft_catalog *c, int64_t last) FT_MUST_USE;

/* Which finished files a page has. Times in Unix ms; both ends of a range are included. */
struct ft_file_filter {
	const char *owner;		/* NULL: of any owner */
	size_t owner_len;
	const char *pattern;		/* of names, for the shell; NULL: any */
	int64_t since_ms, until_ms;
	uint64_t min_size, max_size;
};

/* False: the page is full, and this file not on it. */
typedef bool ft_catalog_visit_file(void *context, const struct ft_finished *finished);

/*
 * Visits finished files, the newest first, from *cursor on, which is 0 for the first page, and
 * says where the next page begins, 0: nowhere. Ends at `deadline_ms`, too (ft_clock_ms()), with
 * whatever was found by then. The visit makes no calls on the same connection.
 */
enum ft_status ft_catalog_page_files(struct ft_catalog *c, const struct ft_file_filter *filter,
				     uint64_t *cursor, int64_t deadline_ms,
				     ft_catalog_visit_file *visit, void *context) FT_MUST_USE;

/* --- owners --- */

/* Something in the catalog that somebody owns: a finished file, or an unfinished transfer. */
struct ft_owned {
	const char *owner;
	size_t owner_len;
	bool finished;
	uint64_t size;			/* bytes; of a finished file */
	int64_t completed_ms;		/* Unix ms; of a finished file */
};

/* How far such a walk is; begins as zeros. */
struct ft_owned_walk {
	bool finished_seen;
	bool ended;
	uint64_t place;
};

typedef void ft_catalog_visit_owned(void *context, const struct ft_owned *owned);

/*
 * Visits the next few thousand, in no order; what comes and goes meanwhile is visited or not. Between
 * two calls nothing is kept open. The visit makes no calls on the same connection.
 */
enum ft_status ft_catalog_walk_owned(struct ft_catalog *c, struct ft_owned_walk *walk,
				     ft_catalog_visit_owned *visit, void *context) FT_MUST_USE;

/* --- pauses --- */

/* What an operator has paused. */
struct ft_pause {
	uint64_t number;		/* this transfer; 0: all transfers of the owner */
	struct ft_key key;		/* of the transfer, or only the owner; owner NULL: of all */
	int64_t since_ms;		/* Unix ms */
};

enum ft_status ft_catalog_put_pause(struct ft_catalog *c, const struct ft_pause *pause) FT_MUST_USE;

/* It is over. Unknown: FT_OK. */
enum ft_status ft_catalog_drop_pause(struct ft_catalog *c, const struct ft_pause *pause) FT_MUST_USE;

/* Forgets those of transfers that are over. */
enum ft_status ft_catalog_drop_old_pauses(struct ft_catalog *c) FT_MUST_USE;

typedef enum ft_status ft_catalog_visit_pause(void *context, const struct ft_pause *pause);
enum ft_status ft_catalog_each_pause(struct ft_catalog *c, ft_catalog_visit_pause *visit,
				     void *context) FT_MUST_USE;

/* --- the outbox: events that are still to be told --- */

/*
 * Notes an event that is to be told, in the transaction of what it tells. `number`: of its
 * transfer; 0: not known. Replaces one of the same number.
 */
enum ft_status ft_catalog_put_event(struct ft_catalog *c, uint64_t number, const char *topic,
				    const char *text, size_t len) FT_MUST_USE;

/* Visits them in the order of their numbers; the number of none is 0. */
typedef enum ft_status ft_catalog_visit_event(void *context, uint64_t number, const char *topic,
					      const char *text, size_t len);
enum ft_status ft_catalog_each_event(struct ft_catalog *c, ft_catalog_visit_event *visit,
				     void *context) FT_MUST_USE;

/* It was told. Unknown: FT_OK. */
enum ft_status ft_catalog_drop_event(struct ft_catalog *c, uint64_t number) FT_MUST_USE;

/* --- what is still to be told --- */

struct ft_answer {
	uint64_t number;
	struct ft_request ticket;	/* who asked, and where the answer goes */
	bool known;			/* false: the fin is not carried out yet */
	enum ft_status result;		/* FT_OK: its file is finished */
};

typedef enum ft_status ft_catalog_visit_answer(void *context, const struct ft_answer *answer);

/* Visits all that put_fin() noted and drop_answer() did not remove. */
enum ft_status ft_catalog_each_answer(struct ft_catalog *c, ft_catalog_visit_answer *visit,
				      void *context) FT_MUST_USE;

/* Notes a result that is to be told; put_fin() has not noted who waits for it. Replaces one. */
enum ft_status ft_catalog_put_answer(struct ft_catalog *c,
				     const struct ft_answer *answer) FT_MUST_USE;

/* It was told. Unknown: FT_OK. */
enum ft_status ft_catalog_drop_answer(struct ft_catalog *c, uint64_t number) FT_MUST_USE;

#endif
