/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The part of the operator's commands that needs the disk, on a finisher of the lane
 * FT_LANE_ADMIN, with its own connection to the catalog: pages of finished files, one file,
 * deleting, pauses, and the verification of all finished files.
 *
 * A verification is one job that does a slice of its work and queues itself again, so that
 * commands are answered in between.
 */
#ifndef FT_ENGINE_ADMIN_WORKER_H
#define FT_ENGINE_ADMIN_WORKER_H

#include "engine/core.h"

/* Carries out one command, or a slice of a verification, and hands the job on. */
void ft_admin_work(struct ft_core *core, struct ft_catalog *catalog, struct ft_job *job);

/* Begins to verify all files that are finished now, about `total`. FT_BUSY: it is being done already. */
enum ft_status ft_admin_begin_verify(struct ft_core *core, size_t total) FT_MUST_USE;

/* Ends it soon. */
void ft_admin_cancel_verify(struct ft_core *core);

/* Writes how far it is, as members of an object. Any thread. */
void ft_admin_say_verify(struct ft_core *core, struct ft_buf *to);

#endif
