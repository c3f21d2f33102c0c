/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The configuration file: options as on the command line, one a line, with or without
 * the leading dashes; '#' begins a comment line.
 *
 *	host broker.example
 *	--cafile /etc/ssl/our-ca.pem
 */
#ifndef EXAMPLES_CONFIG_H
#define EXAMPLES_CONFIG_H

#include <stdbool.h>

#include "command.h"

/* One line: `name` without dashes; `value` NULL where there is none. False: stop. */
typedef bool config_take(struct command *command, const char *name, const char *value);

/*
 * Passes each line to `take`. command->config NULL: $XDG_CONFIG_HOME/PROGRAM or ~/.config/PROGRAM,
 * which need not exist; "": none. False: what is wrong has been printed. The text lives until
 * command_release().
 */
bool config_read(struct command *command, config_take *take, enum exit_code *code);

/* $variable/tail, or ~/home/tail where it is unset; NULL: neither is known. */
char *config_place(const char *variable, const char *home, const char *tail);

#endif
