/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Finishers: threads that do what may take long, each a lane's (enum ft_lane). They verify and
 * publish files, free what was discarded, sync, and answer questions about finished files.
 *
 * Files that wait at the same time are published together, so that they share the waits for
 * the disk. A job is given back exactly once.
 */
#ifndef FT_ENGINE_FINISHER_H
#define FT_ENGINE_FINISHER_H

#include <stddef.h>

#include "engine/core.h"

struct ft_finishers;

/*
 * Starts the threads: one for each lane, options->workers for FT_LANE_LARGE and
 * options->download_workers for FT_LANE_DOWNLOAD; none for lanes whose option is off.
 */
enum ft_status ft_finishers_new(struct ft_core *core, struct ft_finishers **out) FT_MUST_USE;

/* Asks them to end when their lanes are empty. Large work ends sooner where core->stopping. */
void ft_finishers_stop(struct ft_finishers *finishers);

/* Whether all have ended. Any thread. */
bool ft_finishers_are_done(const struct ft_finishers *finishers);

/* Frees it; the threads have been stopped. NULL inside is ignored. */
void ft_finishers_free(struct ft_finishers **finishers);

#endif
