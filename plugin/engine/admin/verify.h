/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Compares finished files with what the catalog says of them, and the other way round, in the
 * background, when an operator wants it:
 *
 *	FT_VERIFY_ALL		reads each file of the catalog: missing, damaged; then looks for
 *				files in the store that the catalog does not know
 *	FT_VERIFY_ADOPT		only the latter, and takes those that are whole into the catalog,
 *				as the start does where a catalog was lost
 *
 * A file is adopted if its manifest is that of its place, it has the bytes whose checksum the
 * manifest has, and nothing else is known of its id.
 *
 * A verification is one job on FT_LANE_ADMIN, which has a thread more than commands need. Reading
 * is done in slices, between which the job queues itself again.
 */
#ifndef FT_ENGINE_VERIFY_H
#define FT_ENGINE_VERIFY_H

#include "engine/core.h"

struct ft_engine;

/* Begins one; `total`: about so many files there are. FT_BUSY: one is going on. */
enum ft_status ft_verify_begin(struct ft_core *core, enum ft_verify_kind kind,
			       size_t total) FT_MUST_USE;

/* Ends it soon. Whether there was one. */
bool ft_verify_cancel(struct ft_core *core);

/* Writes how far it is, as a member of an object. Any thread. */
void ft_verify_say(struct ft_core *core, struct ft_buf *to);

/* A slice of it, on a finisher; hands the job on. */
void ft_verify_run(struct ft_core *core, struct ft_catalog *catalog, struct ft_verify_job *job);

/* Files that were adopted: the broker's thread comes to know of them. */
void engine_take_adopted(struct ft_engine *e, struct ft_taken *adopted);

#endif
