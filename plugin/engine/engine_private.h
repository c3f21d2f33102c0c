/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Shared by the engine's files: engine.c (life and timers), engine_commands.c
 * (what clients ask for), engine_transfers.c (finding, expiring, throwing away),
 * engine_jobs.c (what workers do).
 */
#ifndef FT_ENGINE_ENGINE_PRIVATE_H
#define FT_ENGINE_ENGINE_PRIVATE_H

#include "engine/engine.h"
#include "engine/registry.h"
#include "protocol/topic.h"
#include "engine/assembler.h"
#include "engine/sweeper.h"

#define FT_ASSEMBLING_MAX 1024		/* transfers in assembly at a time, at most */
#define FT_BACKGROUND_MAX 16		/* jobs in flight that nobody waits for: they hold descriptors */
#define FT_WAITERS_MAX 16		/* fins that wait for one result */
#define FT_PURGES_MAX 1024		/* thrown away but not freed yet */

struct ft_engine {
	const struct ft_options *options;
	const struct ft_store_ops *ops;
	struct ft_store *store;
	struct ft_logger *log;
	struct ft_engine_hooks hooks;
	struct ft_registry registry;
	struct ft_pool *assemblers;
	struct ft_pool *sweepers;
	struct ft_list dirty;		/* oldest first */
	struct ft_list assembling;	/* oldest first */
	size_t assembling_count;
	size_t assembling_max;		/* each holds descriptors */
	size_t jobs;			/* that the assemblers have */
	size_t purges;
	size_t sweep_cursor;
	size_t sweep_left;		/* buckets that are due to be looked at */
	size_t expiries;		/* of the call in progress */
	int64_t swept_ms;
	bool scanning;			/* what the start's scan finds is still coming in */
	uint64_t *gone;			/* owned; hashes of keys that went away meanwhile */
	size_t gone_count;
	size_t gone_room;
	int64_t now_ms;			/* of the call in progress */
	int64_t due_ms;			/* when timers are looked at next */
	bool stopping;
};

/* --- engine_transfers.c --- */

/*
 * The unfinished transfer of a key, its upload loaded.
 * Errors: FT_NO_SUCH_TRANSFER, and what the store says.
 */
enum ft_status ft_engine_lookup(struct ft_engine *engine, const struct ft_key *key,
				struct ft_transfer **out) FT_MUST_USE;

/* The manifest of a finished transfer. Errors: as ft_engine_lookup(). */
enum ft_status ft_engine_finished(struct ft_engine *engine, const struct ft_key *key,
				  struct ft_manifest *manifest) FT_MUST_USE;

/* Begins a transfer that is not there. Errors: the limits', the store's. */
enum ft_status ft_engine_begin(struct ft_engine *engine, const struct ft_key *key,
			       const struct ft_init *init, struct ft_transfer **out) FT_MUST_USE;

/*
 * Throws a transfer's bytes away and forgets it; `ticket` (may be NULL) is answered when
 * they are gone. On error nothing has changed and the ticket is the caller's as before;
 * but after FT_NO_SUCH_TRANSFER, which says that somebody else has removed them, the
 * transfer is forgotten all the same.
 */
enum ft_status ft_engine_discard(struct ft_engine *engine, struct ft_transfer **transfer,
				 struct ft_ticket *ticket) FT_MUST_USE;

/* Takes the entry of a transfer out of the registry; the result of a job in flight goes nowhere. */
void ft_engine_forget(struct ft_engine *engine, struct ft_transfer **transfer);

/* The same where the store does not know the transfer any more; it has no job in flight. */
void ft_engine_let_go(struct ft_engine *engine, struct ft_transfer **transfer);

/* The scan is over. */
void ft_engine_end_scan(struct ft_engine *engine);

/* Takes note of transfers that a scan found. */
void ft_engine_note_found(struct ft_engine *engine, const struct ft_scan_part *part);

/* Throws away the transfer where it has been without news for too long. */
void ft_engine_expire(struct ft_engine *engine, struct ft_transfer *transfer);

/* Whether `len` more bytes fit on the disk. */
enum ft_status ft_engine_check_space(struct ft_engine *engine, uint64_t len) FT_MUST_USE;

/* Writes one log line that begins with client and file. */
__attribute__((format(printf, 4, 5)))
void ft_engine_log(struct ft_engine *engine, enum ft_log_level level, const struct ft_key *key,
		   const char *format, ...);

/* --- engine_jobs.c --- */

/* Gives the workers what there is to do for a transfer without a job in flight; it may be let go. */
void ft_engine_schedule(struct ft_engine *engine, struct ft_transfer *transfer);

/* Notes new bytes at [start, end): what was hashed or made durable may not cover them. */
void ft_engine_note_put(struct ft_engine *engine, struct ft_transfer *transfer, uint64_t start,
			const struct ft_put *put);

/* A put at `start` has failed: it may have cost bytes, or changed them for an instant. */
void ft_engine_note_failed_put(struct ft_engine *engine, struct ft_transfer *transfer,
			       uint64_t start);

/* Turns the transfer to assembling; where the store does not know it any more it is let go. */
void ft_engine_assemble(struct ft_engine *engine, struct ft_transfer *transfer);

/*
 * Stops the job in flight, if any. It stays the transfer's, which hears what it has lost,
 * until that is forgotten. False: it is past stopping.
 */
bool ft_engine_stop_job(struct ft_transfer *transfer);

/* Answers all whose fin waits for the transfer's result. */
void ft_engine_answer(struct ft_engine *engine, struct ft_transfer *transfer,
		      enum ft_status status, enum ft_state state);

/* Ends the assembly without a result: back to receiving, waiters answered. */
void ft_engine_end_assembly(struct ft_engine *engine, struct ft_transfer *transfer,
			    enum ft_status status);

/* A job of the assemblers has come back. */
void ft_engine_take_assembly(struct ft_engine *engine, struct ft_assembly *assembly);

/* A job or message of the sweepers has come back. */
void ft_engine_take_sweep(struct ft_engine *engine, struct ft_sweep *sweep);

/* Checkpoints that are due, assemblies that took too long. */
void ft_engine_check_deadlines(struct ft_engine *engine);

#endif
