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

/* One line: `name` without dashes; `value` NULL where there is none. False: stop. */
typedef bool config_take(struct settings *settings, const char *name, const char *value);

/*
 * Passes each line to `take`. `path` NULL: $XDG_CONFIG_HOME/ft-put or ~/.config/ft-put, which
 * need not exist; "": none. False: what is wrong has been printed. The text lives until
 * options_release().
 */
bool config_read(struct settings *settings, const char *path, config_take *take,
		 enum exit_code *code);

/* $variable/tail, or ~/home/tail where it is unset; NULL: neither is known. */
char *config_place(const char *variable, const char *home, const char *tail);

#endif
