/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What the command line promises: options, and what the exit status means. */
#ifndef FT_PUT_OPTIONS_H
#define FT_PUT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "link.h"

enum exit_code {
	EXIT_DONE = 0,		/* the broker has the file, and said so */
	EXIT_USAGE = 1,
	EXIT_FILE = 2,		/* cannot be read, or changed meanwhile */
	EXIT_LINK = 3,
	EXIT_DENIED = 4,	/* password, certificate, rights, no plugin */
	EXIT_REFUSED = 5,	/* the broker will not take this file */
	EXIT_GAVE_UP = 6,	/* running it again may help */
	EXIT_INTERNAL = 7,
};

struct settings {
	struct link_options link;	/* client_id NULL: to be made up */
	const char *path;
	const char *name;		/* NULL: that of the file */
	const char *file_id;		/* NULL: made from content and name */
	uint64_t segment_bytes;
	uint64_t timeout_s;
	bool segment_checksums;
	bool quiet;
};

/* Prints "ft-put: ..." to stderr and returns `code`. */
__attribute__((format(printf, 2, 3)))
enum exit_code complain(enum exit_code code, const char *format, ...);

/*
 * Fills in `settings`, which borrow from argv and the environment. False: end the
 * program with `*code`; what is wrong has been printed.
 */
bool options_parse(struct settings *settings, int argc, char **argv, enum exit_code *code);

#endif
