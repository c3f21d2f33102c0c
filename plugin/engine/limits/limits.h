/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What clients may use, on the broker's thread: whose limits count for a command, rates, and
 * quotas. Everything is decided from memory.
 *
 * WHAT COUNTS FOR A QUOTA. Bytes held of unfinished transfers, and the size of finished files,
 * as the catalog has them: the sums follow from its rows at the start, and from then on from
 * what writer and finishers report to have changed there. A declared size is compared with what
 * is left, and reserves nothing: what was announced and never sent keeps nobody out.
 *
 * Consumers take finished files away without a word, so a finisher looks for them (taken.c), some
 * at a time: all within an hour or so, and at once where a quota has refused something.
 */
#ifndef FT_ENGINE_LIMITS_H
#define FT_ENGINE_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/core.h"
#include "engine/limits/rates.h"
#include "engine/limits/sums.h"
#include "protocol/limits.h"

#define LIMITS_MEMO_ROWS 1024

struct ft_engine;

/* Part of struct ft_engine. */
struct engine_limits {
	struct ft_overrides *overrides;		/* owned; NULL: there is no limits_file */
	struct ft_sha256 digest;		/* of the text that they were read from */
	struct {
		uint64_t hash;			/* of client and user */
		const struct ft_limits *limits;	/* NULL: nothing is remembered */
	} memo[LIMITS_MEMO_ROWS];
	bool reading;				/* a finisher reads the file, or writes it */
	bool read_again;

	struct ft_rates *rates;			/* owned; NULL: nobody can have one */

	uint64_t finished_bytes;		/* of all finished files */
	bool by_owner;				/* they are summed up by owner, too */
	struct ft_sums finished;
	bool has_quotas;

	/* Looking for what consumers have taken. */
	bool looking;				/* a finisher does */
	bool hurry;				/* until all are seen */
	int64_t place;				/* to go on from */
	size_t forgotten;			/* files, since the catalog's log was tidied for that */
	int64_t look_ms, hurry_ms;		/* not before */

	int64_t quota_refused_ms, rate_refused_ms;	/* last; 0: not, or it is over */
};

/* Reads limits_file; refuses, with a line that says why, what is wrong with it. */
enum ft_status engine_start_limits(struct ft_engine *e) FT_MUST_USE;
void engine_release_limits(struct ft_engine *e);

/* The limits for the sender of a command; until the next call of ft_engine_run(). */
const struct ft_limits *engine_limits_of(struct ft_engine *e, const struct ft_request *request);

/* Counts a command and its payload, where one of the rates is limited. FT_RATE_LIMITED with *retry_after in seconds, FT_BUSY. */
enum ft_status engine_take_rate(struct ft_engine *e, const struct ft_limits *limits,
				const struct ft_request *request, size_t len,
				unsigned *retry_after, struct ft_buf *detail) FT_MUST_USE;

/* Whether so many bytes more may be held under a key. FT_QUOTA_EXCEEDED. */
enum ft_status engine_check_quota(struct ft_engine *e, const struct ft_limits *limits,
				  const struct ft_key *key, uint64_t more,
				  struct ft_buf *detail) FT_MUST_USE;

/* Bytes held and finished, of all. */
uint64_t engine_used_bytes(const struct ft_engine *e);

/*
 * The catalog has a finished file more, or one less. Whoever changes it there reports the size to
 * the broker's thread, once, which calls these.
 */
void engine_add_finished_bytes(struct ft_engine *e, const struct ft_key *key, uint64_t bytes);
void engine_remove_finished_bytes(struct ft_engine *e, const struct ft_key *key, uint64_t bytes);

/* Jobs that came back. */
void engine_take_limits(struct ft_engine *e, struct ft_limits_file *file);
void engine_take_taken(struct ft_engine *e, struct ft_taken *taken);

/*
 * An operator's setLimits on its way to a finisher, which is given what it needs, and back: what
 * it brings is in force then. FT_BUSY: the file is being read.
 */
enum ft_status engine_begin_limits(struct ft_engine *e, struct ft_admin_job *job) FT_MUST_USE;
void engine_end_limits(struct ft_engine *e, struct ft_admin_job *job);

void engine_run_limits(struct ft_engine *e);

/* When that is to be done at the latest. */
int64_t engine_limits_due_ms(const struct ft_engine *e);

/* --- limits_file.c, on a finisher or at the start --- */

/* Reads and checks the file, and logs what is wrong, or what has changed against `former`. */
void ft_limits_file_run(struct ft_core *core, struct ft_limits_file *job);

/*
 * Carries out setLimits: the file is written anew beside the old one and renamed, with owner and
 * mode as they were, and not where it is not what was read before. Errors: job->word, and
 * job->detail says why.
 */
void ft_limits_file_change(struct ft_core *core, struct ft_admin_job *job);

/* --- taken.c, on a finisher --- */

/* Takes a file that is gone out of the catalog. FT_NO_SUCH_TRANSFER: somebody else has. */
enum ft_status ft_taken_forget(struct ft_catalog *catalog, const struct ft_finished *file) FT_MUST_USE;

/* Looks whether the next few finished files are still there, and forgets those that are not. */
void ft_taken_run(struct ft_core *core, struct ft_catalog *catalog, struct ft_taken *job);

#endif
