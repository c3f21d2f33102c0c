/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What the threads of the engine hand to each other. A job has one owner at a time; handing it
 * over hands over all that it points to, unless said otherwise.
 *
 *	FINISH		writer -> finisher -> broker -> writer		a fin that succeeded
 *			writer -> finisher -> writer -> finisher ...	... that the store takes later
 *			writer -> finisher -> writer -> broker -> writer	... that failed
 *	DISCARD		writer -> finisher -> broker			an abort, an expiry
 *	CHECKPOINT	writer -> finisher -> writer
 *	TIDY		writer -> finisher -> writer
 *	ANNOUNCE	anybody -> finisher			consumers are to be told
 *	EXPIRED		broker -> finisher -> broker			which files are to go?
 *	REMOVE		broker -> finisher -> broker			let them go
 *	LOOKUP		broker -> finisher -> broker			about a finished id
 *	RESULT		writer -> broker -> writer
 *	LATER		writer -> broker			a fin waits for the store
 *	ADMIN		broker -> finisher -> broker			an operator's command
 *	VERIFY		broker -> finisher				again and again, until it is done
 *	RETOLD		start -> broker -> writer			what an earlier process could not tell
 *	UNTOLD		broker -> writer			an event that was left in the outbox
 *	LIMITS, TAKEN	broker -> finisher -> broker
 *	ADOPTED		finisher -> broker
 *	SCAN		broker -> finisher -> broker			see scanner.h
 *	FETCH		broker -> finisher -> broker			see downloads.h
 *	CLOSE		broker -> finisher				... of a file
 *	THING, INDEX	broker -> finisher -> broker			see things.h
 *	VERDICT, SEGMENT, LOST, SPACE	writer -> broker
 */
#ifndef FT_ENGINE_JOB_H
#define FT_ENGINE_JOB_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/list.h"
#include "base/sha256.h"
#include "file_transfer/ranges.h"
#include "file_transfer/store.h"
#include "protocol/control.h"
#include "protocol/facts.h"
#include "protocol/limits.h"
#include "protocol/reckoning.h"
#include "protocol/request.h"
#include "protocol/topic.h"

enum ft_job_kind {
	FT_JOB_FINISH,
	FT_JOB_DISCARD,
	FT_JOB_CHECKPOINT,
	FT_JOB_TIDY,
	FT_JOB_ANNOUNCE,
	FT_JOB_EXPIRED,
	FT_JOB_REMOVE,
	FT_JOB_LOOKUP,
	FT_JOB_VERDICT,
	FT_JOB_SEGMENT,
	FT_JOB_RESULT,
	FT_JOB_LATER,
	FT_JOB_RETOLD,
	FT_JOB_UNTOLD,
	FT_JOB_LOST,
	FT_JOB_SPACE,
	FT_JOB_ADMIN,
	FT_JOB_VERIFY,
	FT_JOB_LIMITS,
	FT_JOB_TAKEN,
	FT_JOB_ADOPTED,
	FT_JOB_SCAN,
	FT_JOB_FETCH,
	FT_JOB_CLOSE,
	FT_JOB_THING,
	FT_JOB_INDEX,
};

/* What every job begins with. */
struct ft_job {
	struct ft_link link;
	enum ft_job_kind kind;
	uint64_t number;		/* of the transfer; 0: of none */
	enum ft_status status;		/* the result */
};

#define FT_DETAIL_ROOM 416	/* 100 bytes as \xNN, or 200 as they are */

/* A segment in the log. */
struct ft_piece {
	uint64_t offset;
	const uint8_t *bytes;
	size_t len;
};

/* Verify, publish, enter into the catalog. */
struct ft_finish {
	struct ft_job job;
	const struct ft_facts *facts;	/* the writer's, who leaves them alone meanwhile */
	struct ft_fin fin;
	const struct ft_piece *pieces;	/* the bytes, in the order of arrival */
	size_t piece_count;
	bool from_log;			/* by `pieces`; else from the store */
	bool verified;			/* those of `pieces` had the fin's checksum when they came */
	bool same;			/* by a finished file of the same owner; else the client sends them */
	struct ft_hasher *hasher;	/* owned; over the first bytes; NULL: over none */
	atomic_bool cancelled;		/* by an abort */
	bool later;			/* result: the store cannot take it now; it stays accepted */
	bool tried_again;		/* after that */
	bool judged_good;		/* by on_complete: it is not asked again */
	bool unsynced_lost;		/* result: an fsync failed; what none covered before is lost */
	uint64_t lost_start, lost_end;	/* result: bytes that could not be read; equal: none */
	struct ft_sha256 digest;	/* result */
	uint64_t replaced;		/* result: size of the finished file whose place it took */
	int64_t completed_ms;		/* result: Unix ms */
	bool returning;			/* from the broker's thread, which has the result */
	bool told;			/* ... and has published it */
	bool event_told;		/* ... and the event, that is in the outbox */
	struct ft_facts *judged;	/* owned; by on_complete, then `facts` points to it; NULL: none */
	char detail[FT_DETAIL_ROOM];	/* result: what on_complete said of what it rejects; else "" */
	char *manifest;			/* owned; the finisher's own, as what follows */
	size_t manifest_len;
	uint8_t *gathered;		/* owned; the pieces, put together */
};

/* Close what was discarded. */
struct ft_discard {
	struct ft_job job;
	struct ft_upload *upload;	/* owned; NULL: there was nothing */
	bool answer;			/* an abort waits for it */
};

/* Make durable what is held. */
struct ft_checkpoint {
	struct ft_job job;
	const struct ft_key *key;	/* the writer's, who leaves it alone meanwhile */
	struct ft_ranges held;		/* owned; what was held when it began */
};

/* Finished files that are to go; see engine_private.h. */
#define FT_FILES_MAX 64

struct ft_files {
	struct ft_job job;
	struct ft_reckoning reckoning;	/* EXPIRED: in and out */
	int64_t elapsed_ms;		/* EXPIRED: since the last one; -1: it is the first */
	enum ft_belief belief;		/* result of EXPIRED: DOUBTED, and then no files */
	size_t skip;			/* EXPIRED: after so many */
	size_t count;			/* result of EXPIRED; of REMOVE: those that are gone */
	struct ft_finished files[FT_FILES_MAX];	/* keys are owned */
};

/* Takes a file out of the list; another one takes its place. */
void ft_files_drop(struct ft_files *files, size_t i);

/* What is known of a finished id, or is not finished at all? */
struct ft_lookup {
	struct ft_job job;		/* status: as the command is to be answered */
	struct ft_key key;		/* points into the job */
	enum ft_verb verb;
	uint64_t offset;		/* SEGMENT */
	struct ft_fin fin;		/* FIN */
	struct ft_meta meta;		/* INIT, PUT: only what is finished already needs no room */
	const uint8_t *bytes;		/* SEGMENT, PUT; points into the job */
	size_t len;
	struct ft_ticket *ticket;	/* owned */
	bool found;			/* result: it is finished */
	bool is_unknown;		/* result: it is not; neither: that could not be told */
	uint64_t size;			/* result, where found */
	uint64_t freed;			/* result: size of a file that consumers took, and is forgotten now */
	size_t charged;			/* bytes on the memory account */
};

/* The first answer of the writer for a transfer that was begun under a finished id. */
struct ft_verdict {
	struct ft_job job;		/* FT_OK, or FT_FILEMETA_CONFLICT */
	bool complete;			/* FT_OK: it is finished, as the init says */
	bool same;			/* FT_OK: its owner has finished another one with these bytes */
	uint64_t size;			/* complete */
};

/* Bytes of [start, end) that were held are not any more, but those in `kept`. */
struct ft_lost {
	struct ft_job job;		/* status: why */
	uint64_t start, end;
	struct ft_ranges kept;		/* owned */
};

/* A fin's result that no finisher was needed for; goes back to the writer once it is told. */
struct ft_result {
	struct ft_job job;
	bool told;
};

/* A fin's result that an earlier process could not tell. */
struct ft_retold {
	struct ft_job job;
	struct ft_ticket *ticket;	/* owned */
	bool told;
};

/* An event in the outbox that an earlier process could not tell. */
struct ft_untold {
	struct ft_job job;
	const char *text;		/* points into the job */
	size_t len;
	bool told;
	char topic[];
};

/* What is free where the store is. */
struct ft_space_news {
	struct ft_job job;
	struct ft_space space;
};

/* Read limits_file. */
struct ft_limits_file {
	struct ft_job job;
	const struct ft_overrides *former;	/* the broker's, who leaves them alone meanwhile; NULL: the start */
	struct ft_overrides *overrides;		/* owned; result */
	struct ft_sha256 digest;		/* result: of the file's text */
};

/* Which of the next finished files have consumers taken? ADOPTED: `files` is all. */
struct ft_taken {
	struct ft_job job;
	int64_t from;			/* see ft_catalog_next_finished() */
	bool checkpoint;		/* many were forgotten: the catalog's log is to be tidied */
	int64_t place;			/* result: where to go on */
	bool ended;			/* result: there are no more */
	struct ft_list files;		/* result: those that are gone, and forgotten now */
};

struct ft_taken_file {
	struct ft_link link;
	struct ft_key key;		/* points behind this */
	uint64_t size;
	uint64_t number;
};

/* What is to be known of a file that was taken, or adopted; its key is a copy. */
struct ft_taken_file *ft_taken_file_new(const struct ft_finished *file);

/* Forgets the files that a job has found. */
void ft_taken_clear(struct ft_taken *taken);

#define FT_ADMIN_DETAIL_ROOM 900

struct ft_sorted_page;

/* An operator's command. */
struct ft_admin_job {
	struct ft_job job;		/* status: the result */
	const struct ft_control_command *command;	/* the message's, which waits for the job */
	struct ft_buf *data;		/* the message's: members of the answer */
	const char *who;		/* the message's: asks, for log lines */
	struct ft_finished deleted;	/* result of deleteFile; its key is the command's */
	struct ft_sorted_page *clients;	/* owned; result of listClients */

	/* setLimits */
	const struct ft_overrides *former;	/* the broker's, who leaves them alone meanwhile */
	struct ft_sha256 former_digest;	/* of the text that they were read from */
	struct ft_overrides *overrides;	/* owned; result; NULL: all is as it was */
	struct ft_sha256 digest;	/* result: of the new text */

	const char *word;		/* result: the error, where the status's word does not say it */
	char detail[FT_ADMIN_DETAIL_ROOM];	/* result: why; "": as the status says */
};

enum ft_verify_kind {
	FT_VERIFY_ALL,
	FT_VERIFY_ADOPT,
};

/* How far the verification of all finished files is; see verify.h. */
struct ft_verify {
	atomic_bool running, cancelled;
	_Atomic int64_t began_ms, ended_ms;	/* Unix ms; 0: not yet */
	atomic_ullong total;		/* about so many there are */
	atomic_ullong files, bytes;	/* that were looked at */
	atomic_ullong missing;		/* taken away by consumers */
	atomic_ullong damaged;		/* other bytes, or not to be read */
	atomic_ullong unknown;		/* files of the store that the catalog does not know */
	atomic_ullong adopted;		/* ... did not know, and does now */
};

/* A slice of it: reads on in one file, or begins the next one. */
struct ft_verify_job {
	struct ft_job job;
	enum ft_verify_kind kind;
	uint64_t cursor;		/* of ft_catalog_page_files() */
	bool last;			/* there is no file behind it */
	struct ft_finished file;	/* being read; its key points into `ids` */
	char *ids;			/* owned; NULL: no file is being read */
	struct ft_hasher *hasher;	/* owned */
};

/* The file that a FINISH has made. */
struct ft_finished ft_finish_result(const struct ft_finish *job);

/* Frees a job of any kind with what it owns; its handles are closed. NULL inside is ignored. */
void ft_job_free(struct ft_job **job);

#endif
