/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The writer: one thread that carries the log into store and catalog.
 *
 *	ft_writer_new(&core, &writer);
 *	ft_writer_replay(writer);		what an earlier process left in the log
 *	ft_writer_start(writer);		from now on a thread
 *	ft_writer_stop(writer);			asks; ft_writer_is_done() says when
 *	ft_writer_free(&writer);
 *
 * It works in rounds: take records, write bytes to the store, commit the facts of the round
 * to the catalog in one transaction, then release the log up to what is still needed.
 *
 * A young small transfer stays in the log (PENDING) until its fin comes, it gets larger than
 * FT_SMALL_FILE, or a moment has passed: so a small file is written once, to its place.
 */
#ifndef FT_ENGINE_WRITER_H
#define FT_ENGINE_WRITER_H

#include <stdbool.h>

#include "engine/core.h"

struct ft_writer;

/* Error: FT_NO_MEMORY. */
enum ft_status ft_writer_new(struct ft_core *core, struct ft_writer **out) FT_MUST_USE;

/*
 * Applies all records of the log, before there are other threads; afterwards everything is in
 * store and catalog, and the log is empty, but for what the store has no room for. Errors: those of the catalog.
 */
enum ft_status ft_writer_replay(struct ft_writer *writer) FT_MUST_USE;

/* A transfer that the store had no room for: it is acknowledged, and still in the log only. */
struct ft_held_back {
	uint64_t number;
	const struct ft_piece *pieces;
	size_t piece_count;
	const struct ft_fin *fin;		/* accepted; NULL: none */
	const struct ft_request *ticket;	/* who is to be told; NULL: nobody */
};

typedef enum ft_status ft_writer_visit(void *context, const struct ft_held_back *held_back);

/* Visits those, after the replay and before the start: the catalog knows nothing of these bytes. */
enum ft_status ft_writer_each_held_back(struct ft_writer *writer, ft_writer_visit *visit,
					void *context) FT_MUST_USE;

/* Takes up the fins that the catalog says were accepted, and starts the thread. */
enum ft_status ft_writer_start(struct ft_writer *writer) FT_MUST_USE;

/* Asks the thread to bring everything into store and catalog, and to end. */
void ft_writer_stop(struct ft_writer *writer);

/* Whether it has ended. Any thread. */
bool ft_writer_is_done(const struct ft_writer *writer);

/* The highest number of a transfer, and for how many ms brokers have run; before the start. */
struct ft_progress ft_writer_progress(const struct ft_writer *writer);

/* Frees it; the thread has ended or was never started. NULL inside is ignored. */
void ft_writer_free(struct ft_writer **writer);

#endif
