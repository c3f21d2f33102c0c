/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What the command line of ft-ctl promises. */
#ifndef FT_CTL_OPTIONS_H
#define FT_CTL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "../lib/complain.h"
#include "../lib/link.h"

/* Which transfers or files. NULL, 0: any. */
struct filter {
	const char *name;		/* pattern */
	const char *since, *until;	/* Unix seconds, as digits */
	const char *min_size, *max_size;	/* bytes, as digits */
	const char *sort;		/* of files: time, name, size */
};

struct settings {
	struct link_options link;
	struct filter filter;
	unsigned limit;			/* entries at most; 0: all */
	unsigned interval_s;		/* of top */
	unsigned count;			/* frames of top; 0: until it is ended */
	bool all, cancel, replace;
	const char *ttl;		/* seconds that a URL lasts, as digits; NULL: not said */
	const char *status;		/* of jobs; NULL: any */
	const char *for_client, *for_user;	/* patterns of the override that limits set, unset are about */
	bool json, wide;
	bool help;
	const char *command;
	const char **arguments;		/* behind the command, NULL-terminated */
	int argument_count;
	char **owned;			/* what strings above point into */
	int owned_count;
	void *parser;			/* poptContext, which owns the arguments */
};

/* False: end the program with `*code`; what is wrong has been printed. options_release() in any case. */
bool options_parse(struct settings *settings, int argc, char **argv, enum exit_code *code);
void options_release(struct settings *settings);

#endif
