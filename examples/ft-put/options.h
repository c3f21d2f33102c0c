/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What the command line of ft-put promises. */
#ifndef FT_PUT_OPTIONS_H
#define FT_PUT_OPTIONS_H

#include <stdbool.h>

#include "../lib/command.h"
#include "client.h"

struct settings {
	struct command command;		/* its paths: "-" is standard input */
	struct ft_client_options client;	/* client_id NULL: to be made up */
	struct ft_client_file_options file;
	const char *state_dir;		/* NULL: the usual place; "": none */
	bool quiet;
	bool verbose;
	bool json;
};

/*
 * Fills in `settings` from the configuration file, then the command line. False: end the
 * program with `*code`; what is wrong has been printed. options_release() in any case.
 */
bool options_parse(struct settings *settings, int argc, char **argv, enum exit_code *code);
void options_release(struct settings *settings);

#endif
