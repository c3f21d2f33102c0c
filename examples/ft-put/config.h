/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The configuration file: options as on the command line, one a line, with or without
 * the leading dashes; '#' begins a comment line.
 *
 *	host broker.example
 *	--cafile /etc/ssl/our-ca.pem
 */
#ifndef FT_PUT_CONFIG_H
#define FT_PUT_CONFIG_H

#include <stdbool.h>

#include "options.h"

struct config {
	const char *path;
	char *text;
	char **args;		/* as for getopt_long(); args[0] is the program */
	int count;
};

/*
 * `path` NULL: $XDG_CONFIG_HOME/ft-put or ~/.config/ft-put, which need not exist; "":
 * none. False: what is wrong has been printed. The caller frees text and args.
 */
bool config_load(struct config *config, const char *path, enum exit_code *code);

/* $variable/tail, or ~/home/tail where it is unset; NULL: neither is known. */
char *config_place(const char *variable, const char *home, const char *tail);

#endif
