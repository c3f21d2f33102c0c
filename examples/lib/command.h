/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A command line: a table of options in groups, those that make a connection among them, a
 * configuration file that is read first, --help. By popt.
 *
 *	struct settings { struct command command; ... };	the command is the first member
 *
 *	settings.command.link = &settings.link;
 *	ok = command_parse(&settings.command, &line, argc, argv, &code);
 *	command_release(&settings.command);
 *
 * Strings in the settings are borrowed from argv, the environment and the command.
 */
#ifndef EXAMPLES_COMMAND_H
#define EXAMPLES_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "complain.h"
#include "link.h"

struct command;
struct option_row;

/* False: `value` is not what the row wants. NULL for a switch. */
typedef bool option_take(struct command *command, const struct option_row *row, const char *value);

/* Digits, then one of `units`, each of which stands for its factor; the last has no letter. */
struct option_unit {
	char letter;
	uint64_t factor;
};

extern const struct option_unit option_no_units[];
extern const struct option_unit option_sizes[];		/* k, M, G */
extern const struct option_unit option_durations[];	/* s, m, h, d; in seconds */

struct option_row {
	const char *name;
	char letter;
	const char *argument;		/* NULL: a switch, which takes none */
	unsigned group;			/* 0: the connection */
	option_take *take;
	size_t at;			/* in the settings, where `take` needs it */
	const struct option_unit *units;	/* of numbers */
	uint64_t min, max;
	const char *wants;		/* what a value has to be */
	const char *help;		/* NULL: another spelling, not shown */
};

/* What `at` stands for. */
#define OPTION_FIELD(type) ((type *)(void *)((char *)command + row->at))
#define OPTION_TIME_WANTED "a time is wanted: a number, perhaps with s, m, h or d"

option_take option_take_text;		/* const char * */
option_take option_take_switch;		/* bool: becomes row->min */
option_take option_take_number;		/* uint64_t */
option_take option_take_unsigned;	/* unsigned */
option_take option_take_reconnect;	/* enum dialer_reconnect: first, always, never */

/* Whether a topic can have this in one of its levels, and the broker's answers, too. */
bool option_fits_topic(const char *id);

#define COMMAND_GROUPS_MAX 8

/* What a program has. */
struct command_line {
	const char *program;
	const struct option_row *rows;	/* its own; url, config, version and help are added */
	size_t count;
	const char *const *groups;	/* titles; the first is that of the connection, */
	size_t group_count;		/* the last is that of --config, --version and --help */
	const char *help_before, *help_after;
	const char *password_variable;	/* in the environment */
	void (*set_defaults)(struct command *command);	/* of all but the command */
};

struct command_text;

struct command {
	const struct command_line *line;
	struct link_options *link;	/* within the settings */
	const char *config;		/* NULL: the usual place; "": none */
	bool help;
	bool version;
	char **paths;			/* what are no options, and no URL */
	int path_count;
	struct command_text *owned;	/* what strings of the settings point into */
	struct option_row *rows;	/* all: those of the connection, the common ones, its own */
	size_t row_count;
	void *parser;			/* poptContext, which owns the paths */
	void *tables;			/* what it points into */
};

/*
 * Fills in the settings from the configuration file, then the command line. `command` is all
 * zero but for `link`. False: end the program with `*code`; what is wrong has been printed.
 * command_release() in any case.
 */
bool command_parse(struct command *command, const struct command_line *line, int argc, char **argv,
		   enum exit_code *code);
void command_release(struct command *command);

/* Keeps `text`, which may be NULL, until command_release(). NULL where memory ran out, too. */
char *command_own(struct command *command, char *text);

/* Says what is wrong with the usage; always false. */
bool command_wrong(const char *text);

#endif
