/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What the user sees: a bar that is redrawn on a terminal; otherwise a plain line for
 * every tenth; or JSON, one object a line.
 */
#ifndef EXAMPLES_PROGRESS_H
#define EXAMPLES_PROGRESS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "tone.h"

struct progress {
	FILE *out;			/* not owned */
	const char *verb;		/* what becomes of bytes: "sent" */
	bool quiet;
	bool json;
	bool terminal;
	bool drawn;			/* a line without newline is on the screen */
	bool open_ended;		/* a stream is among the files */
	bool paused;
	uint64_t size;			/* of all files */
	bool running;			/* the first bytes are known: speed can be told */
	unsigned next_tenth;		/* plain lines */
	int64_t start_ms;
	uint64_t sent;			/* and acknowledged, by this run; the caller counts */
	uint64_t mark_sent;		/* for the speed of the last moments */
	int64_t mark_ms;
	double speed;			/* bytes a second, smoothed */
};

void progress_init(struct progress *progress, FILE *out, bool quiet, bool json);

/* Prints an object as one line of standard output, and frees it; NULL is nothing. */
void progress_json(cJSON *object);

/* Whether progress_show() would draw now. */
bool progress_is_due(const struct progress *progress, int64_t now);

/* `done` bytes are there; cheap, call it often. */
void progress_show(struct progress *progress, uint64_t done, int64_t now);

/* One line of its own. */
__attribute__((format(printf, 3, 4)))
void progress_note(struct progress *progress, enum tone tone, const char *format, ...);

/* Columns of the terminal; 80 where there is none. */
unsigned progress_columns(const struct progress *progress);

/* `name` in `columns` at most: the middle of a longer one is left out. */
void progress_shorten(char *text, unsigned room, const char *name, unsigned columns);

/* Ends a line that is drawn, so that errors have theirs. */
void progress_break(struct progress *progress);

/* How much was sent how fast since the first progress_show(). */
void progress_total(const struct progress *progress, int64_t now, char *text, unsigned room);

/* "1.5 MiB" */
void progress_bytes(char *text, unsigned room, double bytes);

#endif
