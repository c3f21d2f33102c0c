/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "command.h"

#include <assert.h>
#include <errno.h>
#include <mosquitto.h>
#include <popt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <file_transfer/version.h>

#include "config.h"
#include "connection.h"
#include "dialer.h"
#include "tls.h"

/* --- texts --- */

struct command_text {
	char *text;
	struct command_text *next;
};

char *command_own(struct command *command, char *text)
{
	struct command_text *owned = text ? malloc(sizeof(*owned)) : NULL;

	if (!owned) {
		free(text);
		return NULL;
	}
	*owned = (struct command_text){ text, command->owned };
	command->owned = owned;
	return text;
}

void command_release(struct command *command)
{
	while (command->owned) {
		struct command_text *owned = command->owned;
		command->owned = owned->next;
		free(owned->text);
		free(owned);
	}
	if (command->parser)
		poptFreeContext(command->parser);
	command->parser = NULL;
	free(command->tables);
	command->tables = NULL;
	free(command->rows);
	command->rows = NULL;
}

bool command_wrong(const char *text)
{
	complain(EXIT_USAGE, "%s; try --help", text);
	return false;
}

/* --- values --- */

const struct option_unit option_no_units[] = { { 0, 1 } };
const struct option_unit option_sizes[] = {
	{ 'k', 1024 }, { 'K', 1024 }, { 'm', 1048576 }, { 'M', 1048576 }, { 'G', 1073741824 },
	{ 0, 1 },
};
const struct option_unit option_durations[] = {
	{ 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 0, 1 },
};

static bool parse_number(const char *text, const struct option_unit *unit, uint64_t min,
			 uint64_t max, uint64_t *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*number = strtoull(text, &end, 10);
	while (unit->letter && unit->letter != *end)
		unit++;
	if (unit->letter)
		end++;
	if (errno || *end || *number > max / unit->factor)
		return false;
	*number *= unit->factor;
	return *number >= min;
}

bool option_take_text(struct command *command, const struct option_row *row, const char *value)
{
	*OPTION_FIELD(const char *) = value;
	return true;
}

bool option_take_switch(struct command *command, const struct option_row *row, const char *value)
{
	(void)value;
	*OPTION_FIELD(bool) = row->min;
	return true;
}

bool option_take_number(struct command *command, const struct option_row *row, const char *value)
{
	return parse_number(value, row->units, row->min, row->max, OPTION_FIELD(uint64_t));
}

bool option_take_unsigned(struct command *command, const struct option_row *row, const char *value)
{
	uint64_t wide = 0;
	bool ok = parse_number(value, row->units, row->min, row->max, &wide);

	*OPTION_FIELD(unsigned) = (unsigned)wide;
	return ok;
}

bool option_take_reconnect(struct command *command, const struct option_row *row, const char *value)
{
	static const struct {
		const char *word;
		enum dialer_reconnect policy;
	} words[] = {
		{ "first", RECONNECT_AFTER_SUCCESS },
		{ "never", RECONNECT_NEVER },
		{ "always", RECONNECT_ALWAYS },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		*OPTION_FIELD(enum dialer_reconnect) = words[i].policy;
		if (strcmp(value, words[i].word) == 0)
			return true;
	}
	return false;
}

/* '+' and '#' cannot be in a topic that is published to, so nobody could answer. */
bool option_fits_topic(const char *id)
{
	return *id && !strpbrk(id, "+#") && mosquitto_validate_utf8(id, (int)strlen(id)) == 0;
}

/* --- URLs --- */

static bool parse_port(const char *text, int *port)
{
	uint64_t number = 0;
	bool ok = parse_number(text, option_no_units, 1, 65535, &number);

	*port = (int)number;
	return ok;
}

/* In place: what %XX stands for. */
static bool unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		char digits[3] = { 0 };
		char *end;
		if (*text != '%') {
			*to++ = *text;
			continue;
		}
		memcpy(digits, text + 1, text[1] ? 2 : 0);
		*to = (char)strtoul(digits, &end, 16);
		if (end != digits + 2 || !*to)
			return false;
		to++;
		text += 2;
	}
	*to = '\0';
	return true;
}

static bool parse_host(struct link_options *link, char *host)
{
	char *end = *host == '[' ? strchr(host, ']') : NULL;	/* IPv6 */
	char *colon = strchr(end ? end : host, ':');

	if (*host == '[' && !end)
		return false;
	if (colon)
		*colon = '\0';
	if (end)
		*end = '\0';
	link->host = end ? host + 1 : host;
	link->unix_path = NULL;
	return *link->host && (!colon || parse_port(colon + 1, &link->port));
}

static bool parse_url(struct command *command, const char *url)
{
	bool tls = strncmp(url, "mqtts://", 8) == 0;
	char *rest = tls || strncmp(url, "mqtt://", 7) == 0
		     ? command_own(command, strdup(url + 7 + tls)) : NULL;
	struct link_options *link = command->link;

	if (!rest)
		return false;
	rest[strcspn(rest, "/")] = '\0';
	char *at = strrchr(rest, '@');
	if (at) {
		*at = '\0';
		char *colon = strchr(rest, ':');
		if (colon) {
			*colon = '\0';
			link->password = colon + 1;
		}
		link->user = rest;
		if ((colon && !unescape(colon + 1)) || !unescape(rest))
			return false;
	}
	link->tls = tls;
	return parse_host(link, at ? at + 1 : rest);
}

static bool take_url(struct command *command, const struct option_row *row, const char *value)
{
	(void)row;
	return parse_url(command, value);
}

/* --- the options --- */

/* One option each: this is what is parsed, what --help prints and what the manuals explain. */
static const struct option_row common_rows[] = {
	{ "url", 'L', "URL", 0, take_url, 0, NULL, 0, 0,
	  "mqtt[s]://[user[:password]@]host[:port] is wanted",
	  "mqtt[s]://[user[:password]@]host[:port]" },
	{ "config", 0, "FILE", 1, option_take_text, offsetof(struct command, config), NULL, 0, 0, "",
	  "options, one a line; \"\": none" },
	{ "version", 0, NULL, 1, option_take_switch, offsetof(struct command, version), NULL, 1, 1, "",
	  "print the version" },
	{ "help", 0, NULL, 1, option_take_switch, offsetof(struct command, help), NULL, 1, 1, "",
	  "this text" },
};

#define COMMON_ROWS (sizeof(common_rows) / sizeof(common_rows[0]))

static bool take_connection(struct command *command, const struct option_row *row,
			    const char *value)
{
	return connection_take(command->link, &connection_options[row->at], value);
}

static bool fill_rows(struct command *command)
{
	const struct command_line *line = command->line;
	size_t count = CONNECTION_OPTIONS + COMMON_ROWS + line->count;
	struct option_row *row = command->rows = calloc(count, sizeof(*command->rows));

	if (!row)
		return false;
	command->row_count = count;
	for (size_t i = 0; i < CONNECTION_OPTIONS; i++) {
		const struct connection_option *option = &connection_options[i];

		*row++ = (struct option_row){
			.name = option->name, .letter = option->letter,
			.argument = option->argument, .take = take_connection, .at = i,
			.wants = option->wants, .help = option->help,
		};
	}
	/* The connection's first, the others after the program's own. */
	*row++ = common_rows[0];
	memcpy(row, line->rows, line->count * sizeof(*row));
	row += line->count;
	for (size_t i = 1; i < COMMON_ROWS; i++) {
		*row = common_rows[i];
		(row++)->group = (unsigned)line->group_count - 1;
	}
	return true;
}

/* The rows as popt wants them: a table of tables, one for each group. */
static bool fill_tables(struct command *command)
{
	size_t groups = command->line->group_count, rows = command->row_count;
	size_t used[COMMAND_GROUPS_MAX] = {0};
	struct poptOption *tables = calloc((groups + 1) + groups * (rows + 1), sizeof(*tables));

	assert(groups <= COMMAND_GROUPS_MAX);
	if (!tables)
		return false;
	command->tables = tables;
	struct poptOption *options = tables + groups + 1;
	for (size_t i = 0; i < rows; i++) {
		const struct option_row *row = &command->rows[i];
		options[row->group * (rows + 1) + used[row->group]++] = (struct poptOption){
			.longName = row->name, .shortName = row->letter,
			.argInfo = (row->argument ? POPT_ARG_STRING : POPT_ARG_NONE) |
				   (row->help ? 0 : POPT_ARGFLAG_DOC_HIDDEN),
			.val = (int)i + 1, .descrip = row->help, .argDescrip = row->argument,
		};
	}
	for (size_t i = 0; i < groups; i++)
		tables[i] = (struct poptOption){
			.argInfo = POPT_ARG_INCLUDE_TABLE, .arg = options + i * (rows + 1),
			.descrip = command->line->groups[i],
		};
	return true;
}

/* False: it has been said what is wrong. */
static bool take(struct command *command, const struct option_row *row, const char *value)
{
	if (row->take(command, row, value))
		return true;
	/* Passwords have no such rules: no value that is told is a secret. */
	complain(EXIT_USAGE, "--%s \"%s\": %s", row->name, value, row->wants);
	return false;
}

static bool take_named(struct command *command, const char *name, const char *value)
{
	const struct option_row *row = NULL;

	for (size_t i = 0; i < command->row_count; i++) {
		if (strcmp(command->rows[i].name, name) == 0 ||
		    (command->rows[i].letter == *name && name[0] && !name[1]))
			row = &command->rows[i];
	}
	if (!row)
		complain(EXIT_USAGE, "there is no option \"%s\"; try --help", name);
	else if (row->argument && !value)
		complain(EXIT_USAGE, "--%s: a value is missing", name);
	else if (!row->argument && value)
		/* "insecure false" would mean --insecure. */
		complain(EXIT_USAGE, "--%s takes no value, but there is \"%s\"", name, value);
	else
		return take(command, row, value);
	return false;
}

static bool read_options(struct command *command)
{
	int found;

	while ((found = poptGetNextOpt(command->parser)) > 0) {
		const struct option_row *row = &command->rows[found - 1];
		char *value = row->argument ? command_own(command, poptGetOptArg(command->parser))
					    : NULL;
		if (row->argument && !value)
			return command_wrong("out of memory");
		if (!take(command, row, value))
			return false;
	}
	if (found != -1)
		complain(EXIT_USAGE, "%s: %s; try --help",
			 poptBadOption(command->parser, POPT_BADOPTION_NOALIAS), poptStrerror(found));
	return found == -1;
}

/* A URL among the paths is the broker. */
static bool take_paths(struct command *command)
{
	const char **paths = poptGetArgs(command->parser);
	int kept = 0;

	for (int i = 0; paths && paths[i]; i++) {
		bool url = strncmp(paths[i], "mqtt://", 7) == 0 ||
			   strncmp(paths[i], "mqtts://", 8) == 0;
		if (url && !parse_url(command, paths[i])) {
			complain(EXIT_USAGE, "cannot make sense of %s", paths[i]);
			return false;
		}
		if (url)
			continue;
		/* An exchange: popt will free each of them once. */
		const char *path = paths[i];
		paths[i] = paths[kept];
		paths[kept++] = path;
	}
	command->paths = (char **)(uintptr_t)paths;
	command->path_count = kept;
	return true;
}

static bool check_connection(struct command *command)
{
	char why[TLS_WHY_ROOM];

	connection_settle(command->link, command->line->password_variable);
	const char *wrong = connection_wrong(command->link, why, sizeof(why));
	if (wrong)
		complain(EXIT_USAGE, "%s", wrong);
	return !wrong;
}

static void print_help(struct command *command)
{
	poptSetOtherOptionHelp(command->parser, command->line->help_before);
	poptPrintHelp(command->parser, stdout, 0);
	fputs(command->line->help_after, stdout);
}

bool command_parse(struct command *command, const struct command_line *line, int argc, char **argv,
		   enum exit_code *code)
{
	command->line = line;
	*code = EXIT_USAGE;
	complain_as(line->program);
	if (!fill_rows(command) || !fill_tables(command))
		return command_wrong("out of memory");
	command->parser = poptGetContext(line->program, argc, (const char **)(uintptr_t)argv,
					 command->tables, 0);
	/* Once to learn which configuration file comes first, then on top of it. */
	line->set_defaults(command);
	if (!command->parser || !read_options(command))
		return false;
	if (command->version)
		printf("%s %s\n", line->program, FT_VERSION);
	else if (command->help)
		print_help(command);
	if (command->version || command->help) {
		*code = EXIT_DONE;
		return false;
	}
	line->set_defaults(command);
	poptResetContext(command->parser);
	return config_read(command, take_named, code) && read_options(command) &&
	       take_paths(command) && check_connection(command);
}
