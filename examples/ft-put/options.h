/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What the command line promises: options, and what the exit status means. */
#ifndef FT_PUT_OPTIONS_H
#define FT_PUT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "client.h"

enum exit_code {
	EXIT_DONE = 0,		/* the broker has every file, verified, and said so */
	EXIT_USAGE = 1,
	EXIT_FILE = 2,		/* cannot be read, or keeps changing */
	EXIT_LINK = 3,
	EXIT_DENIED = 4,	/* password, certificate, rights, no plugin */
	EXIT_REFUSED = 5,	/* the broker will not take this file */
	EXIT_GAVE_UP = 6,	/* running it again may help */
	EXIT_INTERNAL = 7,
	EXIT_STOPPED = 8,	/* by Ctrl-C: running it again continues */
};

struct owned_text;

struct settings {
	struct ft_client_options client;	/* client_id NULL: to be made up */
	struct ft_client_file_options file;
	char **paths;			/* "-" is standard input */
	int path_count;
	const char *config;		/* NULL: the usual place; "": none */
	const char *state_dir;		/* NULL: the usual place; "": none */
	bool quiet;
	bool verbose;
	bool json;
	bool help;
	struct owned_text *owned;	/* what strings above point into */
	void *parser;			/* poptContext, which owns the paths */
};

/* Prints "ft-put: ..." to stderr and returns `code`. */
__attribute__((format(printf, 2, 3)))
enum exit_code complain(enum exit_code code, const char *format, ...);

/*
 * Fills in `settings` from the configuration file, then the command line; they borrow
 * from argv and the environment. False: end the program with `*code`; what is wrong has
 * been printed. options_release() in any case.
 */
bool options_parse(struct settings *settings, int argc, char **argv, enum exit_code *code);
void options_release(struct settings *settings);

/* Keeps `text`, which may be NULL, until options_release(). NULL where memory ran out, too. */
char *options_own(struct settings *settings, char *text);

#endif
