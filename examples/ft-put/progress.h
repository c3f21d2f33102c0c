/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What the user sees: one line that is redrawn on a terminal; otherwise a plain
 * line for every tenth of the file.
 */
#ifndef FT_PUT_PROGRESS_H
#define FT_PUT_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool quiet;
	bool terminal;
	bool drawn;			/* a line without newline is on the screen */
	uint64_t size;
	bool running;			/* the first bytes are known: speed can be told */
	unsigned next_tenth;		/* plain lines */
	uint64_t start_bytes;
	int64_t start_ms;
	uint64_t mark_bytes;		/* for the speed of the last moments */
	int64_t mark_ms;
	double speed;			/* bytes a second, smoothed */
};

void progress_init(struct progress *progress, bool quiet, uint64_t size);

/* `done` bytes are there; cheap, call it often. */
void progress_show(struct progress *progress, uint64_t done, int64_t now);

/* One line of its own. */
__attribute__((format(printf, 2, 3)))
void progress_note(struct progress *progress, const char *format, ...);

/* How much was sent how fast since the first progress_show(). */
void progress_total(struct progress *progress, uint64_t done, int64_t now, char *text, unsigned room);

/* "1.5 MiB" */
void progress_bytes(char *text, unsigned room, double bytes);

#endif
