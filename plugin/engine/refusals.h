/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Every refusal is in the log, in no more lines than an operator can read.
 *
 *	refusals = ft_refusals_new(logger, random);
 *	ft_refusals_note(refusals, &refusal, now_ms);		a client was refused something
 *	ft_refusals_over(refusals, FT_DISK_FULL, now_ms);	whenever it is so: nobody would be now
 *	ft_refusals_tick(refusals, now_ms);			about once a second
 *	ft_refusals_free(&refusals);
 *
 * The first refusal of a client for one cause (status) is logged at once, those of the
 * following minute are counted and logged as one line:
 *
 *	refused disk_full: client 'cam7', file 'f1': 12M are free, min_free_space is 256M
 *	refused disk_full 57 times more: client 'cam7', the first with file 'f2': 11M are ...
 *	there is room on the disk again; 3 clients were told disk_full, 812 times
 *
 * Beyond FT_REFUSALS_LINES_MAX such lines in a minute one line has the number of the others.
 * Memory is fixed: a row for each of FT_REFUSALS_ROWS clients and causes, and one for those
 * beyond. Noting takes no more time for hostile clients: some hundred nanoseconds.
 *
 * Threads: the broker's. A NULL struct ft_refusals is allowed everywhere and does nothing,
 * so that the plugin can do without.
 */
#ifndef FT_ENGINE_REFUSALS_H
#define FT_ENGINE_REFUSALS_H

#include <stddef.h>
#include <stdint.h>

#include "file_transfer/logger.h"
#include "file_transfer/status.h"

#define FT_REFUSALS_ROWS 512
#define FT_REFUSALS_LINES_MAX 100

struct ft_refusals;

/* Borrowed for the call; ids are any bytes. */
struct ft_refusal {
	enum ft_status status;
	const char *client;
	size_t client_len;
	const char *file;	/* the client's id of the transfer */
	size_t file_len;	/* 0: not known */
	const char *detail;	/* the figure that was exceeded; NULL or empty: what the status says */
};

/* `seed` should be random, so that clients cannot aim at one row. NULL: out of memory. */
struct ft_refusals *ft_refusals_new(struct ft_logger *logger, uint64_t seed);

/* Logs what was counted and not logged yet. */
void ft_refusals_free(struct ft_refusals **refusals);

/* `now_ms` is that of a clock that never goes back, here and below. */
void ft_refusals_note(struct ft_refusals *refusals, const struct ft_refusal *refusal,
		      int64_t now_ms);

/*
 * The state that made the engine answer with this status has ended: of FT_DISK_FULL,
 * FT_QUOTA_EXCEEDED, FT_TOO_MANY_TRANSFERS, FT_RATE_LIMITED, FT_BUSY, FT_IO_ERROR, FT_NO_MEMORY.
 * Logged if a client was told, at most once a minute: a state that comes and goes is logged
 * later, if it has ended then. Costs nothing where nobody was told.
 */
void ft_refusals_over(struct ft_refusals *refusals, enum ft_status status, int64_t now_ms);

void ft_refusals_tick(struct ft_refusals *refusals, int64_t now_ms);

#endif
