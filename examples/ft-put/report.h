/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What happens, told to people or to programs, and what it means for the exit status. */
#ifndef FT_PUT_REPORT_H
#define FT_PUT_REPORT_H

#include "client.h"
#include "options.h"
#include "../lib/progress.h"

struct bad_path;

struct report {
	const struct settings *settings;
	struct progress progress;
	unsigned expected;		/* files */
	unsigned delivered;
	unsigned failed;
	uint64_t finished_bytes;
	uint64_t known_held;		/* of what is not finished */
	bool any_running;		/* the broker has told what it holds of some file */
	bool was_lost;			/* and nothing said yet that it is back */
	struct bad_path *bad;		/* for the JSON, where "start" comes first */
	enum exit_code code;		/* the first that is not EXIT_DONE */
	char only_path[300];		/* where there is one file */
};

void report_init(struct report *report, const struct settings *settings);
void report_expect(struct report *report, uint64_t size, const char *path);
void report_expect_stream(struct report *report);
void report_bad_path(struct report *report, const char *path, const char *why);

/* Another process, `owner` where that is known, has our client id: we wait for it. */
void report_queued(struct report *report, long owner);

/* All are added. */
void report_begin(struct report *report);

struct ft_client_events report_events(struct report *report);
void report_paused(struct report *report, bool paused);
void report_progress(struct report *report, struct ft_client *client);
enum exit_code report_end(struct report *report, struct ft_client *client, bool stopped);
void report_release(struct report *report);

#endif
