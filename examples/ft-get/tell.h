/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What happens, told to people or to programs, and what it means for the exit status. */
#ifndef FT_GET_TELL_H
#define FT_GET_TELL_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "../lib/progress.h"
#include "options.h"

struct tell {
	const struct settings *settings;
	struct progress progress;
	unsigned fetched;		/* files, or there already */
	unsigned failed;
	uint64_t bytes;			/* of all that were fetched */
	bool was_lost;			/* and nothing said yet that it is back */
	enum exit_code code;		/* the first that is not EXIT_DONE */
	int64_t told_ms;		/* progress in JSON */
};

/* A file, as far as it is known. */
struct tell_file {
	const char *path;
	const char *file;		/* here; NULL: standard output */
	uint64_t size;
	uint64_t held;
	const char *sha256;
};

void tell_init(struct tell *tell, const struct settings *settings);

/* What `event` is about, in a line of its own, for people in `tone`. */
__attribute__((format(printf, 5, 6)))
void tell_note(struct tell *tell, const char *event, const struct tell_file *file, enum tone tone,
	       const char *format, ...);

/* Its size is known, and it begins. */
void tell_begin(struct tell *tell, const struct tell_file *file);
void tell_progress(struct tell *tell, const struct tell_file *file);
void tell_done(struct tell *tell, const struct tell_file *file, bool was_there);

/* `file` NULL: it concerns all. */
void tell_failed(struct tell *tell, const struct tell_file *file, enum exit_code code,
		 const char *why);

/* One that is offered. */
void tell_offer(struct tell *tell, const cJSON *offer);

enum exit_code tell_end(struct tell *tell);

#endif
