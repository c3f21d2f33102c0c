/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Inside the writer: writer.c has the rounds, writer_apply.c the records, writer_bytes.c the bytes. */
#ifndef FT_ENGINE_WRITER_PRIVATE_H
#define FT_ENGINE_WRITER_PRIVATE_H

#include <pthread.h>

#include "engine/writer.h"

#define WRITER_GATHER_MAX ((size_t)1024 * 1024)	/* neighbours are joined up to so many bytes */
#define WRITER_GATHER_PIECES 1024
#define WRITER_PIN_NONE UINT64_MAX

/*
 * The life of a transfer in the writer:
 *
 *	from \ to	STORED			FINISHING	COMPLETE, CONFLICT	gone
 *	(begun)		-			-		its id is finished	over
 *	PENDING		too large, too old	fin, small	-			abort, expiry
 *	STORED		-			fin		-			abort, expiry
 *	FINISHING	fin failed (PENDING: small)	-	-			finished
 *			(one that the store takes later stays, in the list `later`)
 *	COMPLETE	-			-		-			abort, log released
 *	CONFLICT	-			-		-			abort, expiry
 */
enum writer_state {
	WRITER_PENDING,		/* its records are in the log only, and pin it */
	WRITER_STORED,		/* bytes in the store, facts in the catalog or on their way there */
	WRITER_FINISHING,	/* a finisher's, once no checkpoint is out; nothing of it is touched here */
	WRITER_COMPLETE,	/* not unfinished at all: the id is finished, as the init says */
	WRITER_CONFLICT,	/* the id is finished with other content */
	WRITER_STATES
};

/* Facts that the catalog does not have yet. */
enum writer_news {
	WRITER_NEWS_BEGUN = 1,		/* the transfer */
	WRITER_NEWS_TERMS = 2,
	WRITER_NEWS_REFUSED = 4,
	WRITER_NEWS_TIME = 8,		/* the last news */
	WRITER_NEWS_HELD = 16,		/* [held_start, held_end) */
	WRITER_NEWS_DURABLE = 32,	/* anywhere */
	WRITER_NEWS_FIN = 64,
	WRITER_NEWS_FIN_FAILED = 128,
	WRITER_NEWS_OVER = 256,		/* forget it */
	WRITER_NEWS_ANSWER = 512,	/* the result of its fin, until it is told */
};

struct writer_transfer {
	struct writer_transfer *next;	/* in its bucket */
	uint64_t number;
	enum writer_state state;
	char *ids;			/* owned; facts.key points into it */
	char *user_data;		/* owned; facts.terms points into it */
	struct ft_facts facts;
	bool refused;
	struct ft_ranges held, durable;

	/* PENDING, or held back by a full disk: what is in the log only. */
	struct ft_link pinned;		/* in the order of `pin` */
	uint64_t pin;			/* position in the log that is still needed; WRITER_PIN_NONE */
	int64_t pinned_ms;
	struct ft_piece *pieces;	/* owned */
	size_t piece_count, piece_room;
	uint64_t piece_bytes;

	/* STORED. */
	struct ft_upload *upload;	/* owned; NULL: not open */
	struct ft_link open;		/* of those that are open, the one used longest ago first */
	struct ft_hasher *hasher;	/* owned; over the first bytes; NULL: none yet */
	bool checkpointing;		/* a job is out */
	bool overwritten;		/* ... and since then bytes that it covers have changed */
	uint64_t unsynced;		/* bytes written since the last checkpoint began */
	int64_t unsynced_ms;		/* since when there are any */
	int64_t used_ms;

	/* FINISHING. */
	struct ft_finish *finish;	/* the finisher's; only `cancelled` may be touched */
	struct ft_fin fin;
	struct ft_ticket *ticket;	/* owned; who is to be told, until the catalog knows */
	enum ft_status result;		/* of the fin */
	bool verified;			/* its bytes, while they are PENDING, have the checksum of its fin */
	bool same;			/* its fin is that of a finished file with the same bytes */
	bool fin_waits;			/* STORED: for bytes that a full disk holds back */
	bool abort_wanted;		/* an abort has come meanwhile */
	bool answer_kept;		/* the catalog has the ticket */
	struct ft_link later;		/* of those that wait for the store, in the order of their last try */
	unsigned tries;			/* of this fin */
	int64_t later_ms;		/* not before */

	/* COMPLETE: the finished file. */
	uint64_t finished_size;
	struct ft_sha256 finished_checksum;
	bool is_same;			/* it is this very transfer that finished */
	bool differs;			/* a segment came that is not in it */

	/* What the next commit brings to the catalog. */
	struct ft_link dirty;
	bool gone;			/* and then it is forgotten here */
	unsigned news;			/* enum writer_news */
	uint64_t held_start, held_end;
};

struct writer_numbers {
	uint64_t *at;			/* owned */
	size_t count, room;
};

struct ft_writer {
	struct ft_core *core;
	pthread_t thread;
	bool started;
	bool replaying;
	atomic_bool stop;
	atomic_bool done;
	struct writer_transfer **transfers;	/* buckets, by number */
	size_t count;
	struct ft_list dirty;
	struct ft_list pinned;
	struct ft_list open;
	size_t open_count;
	struct ft_list later;
	bool store_is_away;		/* the last file that came back could not be taken: */
	bool later_tried;		/* one that waited is tried, and the others wait for how it goes */
	struct ft_list after_commit;	/* jobs for finishers and broker */
	struct writer_numbers told;	/* transfers whose answer was published */
	struct writer_numbers events_told;	/* ... whose event in the outbox was */
	bool failed;			/* the catalog could not be read before the end: the log is kept */
	uint64_t round_start;		/* position of the first record that is not committed */
	enum ft_status commit_failed;	/* what the last commit ended with */
	int64_t commit_ms;		/* then it is tried again */
	struct ft_progress progress;	/* last_number: no higher one was ever used; some are kept ahead */
	bool progress_made;		/* the catalog does not have it yet */
	int64_t start_ms, start_run_ms;	/* monotonic; run_ms at that moment */
	int64_t now_ms;
	int64_t space_ms, tidied_ms, seen_ms, retry_ms;	/* when these are due */
	int64_t durable_ms;		/* when the disk is asked next before the log lets go */
	unsigned commits;		/* since the last tidying */
	bool tidying;

	/* Neighbouring segments of one transfer, still in the log. */
	struct writer_transfer *gathering;
	struct ft_piece gathered[WRITER_GATHER_PIECES];
	size_t gather_count;
	uint64_t gather_end;		/* offset behind the last one */
	uint8_t *gather;		/* WRITER_GATHER_MAX bytes, to join them in */
	uint8_t *compare;		/* the same, to read into */
};

/* --- writer.c --- */

/* The broker ends: nothing new is begun, all goes to store and catalog. */
bool writer_is_draining(const struct ft_writer *w);

void writer_move(struct writer_transfer *t, enum writer_state to);
struct writer_transfer *writer_find(struct ft_writer *w, uint64_t number);

/* After the catalog failed: waits a moment. False: there is no time to wait any more. */
bool writer_wait(struct ft_writer *w);

/* The transfer, read from the catalog where it is not in memory; NULL: it is over. */
struct writer_transfer *writer_lookup(struct ft_writer *w, uint64_t number);
struct writer_transfer *writer_add(struct ft_writer *w, const struct ft_facts *facts,
				   enum writer_state state);
void writer_remove(struct ft_writer *w, struct writer_transfer **t);
void writer_set_user_data(struct writer_transfer *t, const struct ft_json_text *user_data);
void writer_note(struct ft_writer *w, struct writer_transfer *t, unsigned news);
void writer_note_held(struct ft_writer *w, struct writer_transfer *t, uint64_t start, uint64_t end);
void writer_pin(struct ft_writer *w, struct writer_transfer *t, uint64_t position);
void writer_unpin(struct writer_transfer *t);

/*
 * Whether what the log lets go of must be on the disk first: it was, with durability `segment`,
 * which may have been that of an earlier start.
 */
bool writer_owes_disk(const struct ft_writer *w);

/* Has what is held on the disk. FT_OK: it is, or counts as lost. */
enum ft_status writer_sync(struct ft_writer *w, struct writer_transfer *t);

/* Commits what is noted, and then hands over the jobs that had to wait for it. */
enum ft_status writer_commit(struct ft_writer *w);

/* Notes that a transfer's answer was published, or its event in the outbox. */
void writer_note_told(struct ft_writer *w, uint64_t number);
void writer_note_event_told(struct ft_writer *w, uint64_t number);

/* Tells the broker's thread that of [start, end) only `kept` is held; NULL: nothing. */
void writer_tell_lost(struct ft_writer *w, const struct writer_transfer *t, uint64_t start,
		      uint64_t end, const struct ft_ranges *kept, enum ft_status why);

/* A message of its own to the broker's thread; none while replaying. */
void writer_tell(struct ft_writer *w, struct ft_job *job);
void writer_tell_result(struct ft_writer *w, enum ft_job_kind kind, uint64_t number,
			enum ft_status status);

/* --- writer_apply.c --- */

void writer_apply(struct ft_writer *w, const struct ft_log_record *record);

/* Jobs that came back. */
void writer_take_jobs(struct ft_writer *w);

/* Goes on with a fin that waited for a full disk. */
void writer_finish(struct ft_writer *w, struct writer_transfer *t);

/* After a failed fsync only what an earlier one covered is known to be there. */
void writer_lose_unsynced(struct ft_writer *w, struct writer_transfer *t);

/* Those whose time has come are tried again: one, or all once a file was taken. */
void writer_try_store_again(struct ft_writer *w);

/* Gives a FINISHING transfer to the finishers. */
void writer_submit_finish(struct ft_writer *w, struct writer_transfer *t);

/* --- writer_bytes.c --- */

/* Stores one segment of a STORED transfer, by way of the gathering buffer. */
void writer_store(struct ft_writer *w, struct writer_transfer *t, uint64_t offset,
		  const uint8_t *bytes, size_t len);

/* [start, end) does not count as held any more. */
void writer_lose(struct ft_writer *w, struct writer_transfer *t, uint64_t start, uint64_t end,
		 enum ft_status why);

/* Writes what was gathered. */
void writer_flush(struct ft_writer *w);

/* Keeps a segment in the log for later. */
void writer_keep(struct writer_transfer *t, uint64_t offset, const uint8_t *bytes, size_t len);

/* Brings what is kept in the log into the store; what does not fit on the disk is kept. */
void writer_settle(struct ft_writer *w, struct writer_transfer *t);

/* Closes the upload, if it is open. */
void writer_close_upload(struct ft_writer *w, struct writer_transfer *t);

/* Opens the upload; closes the one used longest ago where there are too many. */
enum ft_status writer_open_upload(struct ft_writer *w, struct writer_transfer *t,
				  enum ft_upload_mode mode) FT_MUST_USE;

/* Whether the finished file of a COMPLETE transfer has these bytes. */
enum ft_status writer_compare_finished(struct ft_writer *w, const struct writer_transfer *t,
				       uint64_t offset, const uint8_t *bytes,
				       size_t len) FT_MUST_USE;

#endif
