/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "options.h"

#include <errno.h>
#include <popt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../lib/connection.h"
#include "../lib/tls.h"

#define CONNECT_TIMEOUT_S 10

/* Keeps a text until options_release(). NULL where memory ran out. */
static char *options_own(struct settings *s, char *text)
{
	char **owned = text ? realloc(s->owned, (size_t)(s->owned_count + 1) * sizeof(*owned)) : NULL;

	if (!owned) {
		free(text);
		return NULL;
	}
	s->owned = owned;
	return s->owned[s->owned_count++] = text;
}

void options_release(struct settings *s)
{
	for (int i = 0; i < s->owned_count; i++)
		free(s->owned[i]);
	free(s->owned);
	if (s->parser)
		poptFreeContext(s->parser);
}

/* --- values --- */

struct row;
typedef bool row_take(struct settings *s, const struct row *row, const char *value);

struct row {
	const char *name;
	char letter;
	const char *argument;	/* NULL: a switch */
	row_take *take;
	size_t at;		/* in struct settings */
	const char *wants;	/* what a value has to be */
	const char *help;	/* NULL: another spelling, not shown */
};

#define FIELD(type) ((type *)(void *)((char *)s + row->at))

static bool take_text(struct settings *s, const struct row *row, const char *value)
{
	*FIELD(const char *) = value;
	return true;
}

static bool take_sort(struct settings *s, const struct row *row, const char *value)
{
	*FIELD(const char *) = value;
	return strcmp(value, "time") == 0 || strcmp(value, "name") == 0 || strcmp(value, "size") == 0;
}

static bool take_switch(struct settings *s, const struct row *row, const char *value)
{
	(void)value;
	*FIELD(bool) = true;
	return true;
}

static bool parse_digits(const char *text, uint64_t max, uint64_t *number, const char **rest)
{
	char *end;

	errno = 0;
	*number = *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : 0;
	*rest = *text >= '0' && *text <= '9' ? end : text;
	return *rest != text && !errno && *number <= max;
}

static bool take_unsigned(struct settings *s, const struct row *row, const char *value)
{
	const char *rest;
	uint64_t number;
	bool ok = parse_digits(value, 65535, &number, &rest) && !*rest && number > 0;

	*FIELD(unsigned) = (unsigned)number;
	return ok;
}

/* As text, since that is what goes into JSON. */
static bool take_number_text(struct settings *s, const struct row *row, uint64_t number)
{
	char *text = NULL;

	if (number > (uint64_t)1 << 53 || asprintf(&text, "%llu", (unsigned long long)number) < 0)
		return false;
	*FIELD(const char *) = options_own(s, text);
	return *FIELD(const char *) != NULL;
}

static bool take_size(struct settings *s, const struct row *row, const char *value)
{
	static const char letters[] = "kMG";
	const char *rest, *letter;
	uint64_t number;

	if (!parse_digits(value, (uint64_t)1 << 53, &number, &rest))
		return false;
	letter = *rest ? strchr(letters, *rest) : NULL;
	if (*rest && (!letter || rest[1] || number >> (53 - 10 * (letter - letters + 1)) > 0))
		return false;
	return take_number_text(s, row, letter ? number << 10 * (letter - letters + 1) : number);
}

static const struct {
	char letter;
	uint64_t seconds;
} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };

/* So long: 90, 30m, 2h, 7d. */
static bool take_duration(struct settings *s, const struct row *row, const char *value)
{
	const char *rest;
	uint64_t number;

	if (!parse_digits(value, UINT32_MAX, &number, &rest) || number == 0)
		return false;
	if (!*rest)
		return take_number_text(s, row, number);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (*rest == units[i].letter && !rest[1])
			return take_number_text(s, row, number * units[i].seconds);
	return false;
}

/* A date as it is printed, or so long ago: 30m, 2h, 7d. */
static bool take_time(struct settings *s, const struct row *row, const char *value)
{
	struct tm date = { .tm_isdst = -1 };
	const char *rest = strptime(value, "%Y-%m-%d", &date);
	uint64_t number, now = (uint64_t)time(NULL);

	if (rest && *rest)
		rest = strptime(rest + 1, "%H:%M:%S", &date);
	if (rest && (!*rest || strcmp(rest, "Z") == 0))
		return take_number_text(s, row, (uint64_t)timegm(&date));
	if (!parse_digits(value, UINT32_MAX, &number, &rest))
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (*rest == units[i].letter && !rest[1] && number * units[i].seconds <= now)
			return take_number_text(s, row, now - number * units[i].seconds);
	return false;
}

/* --- the options --- */

#define AT(member) offsetof(struct settings, member)
#define NUMBER_WANTED "a number from 1 to 65535 is wanted"
#define SIZE_WANTED "a number of bytes is wanted, perhaps with k, M or G"
#define DURATION_WANTED "a time is wanted: 90 (seconds), 30m, 2h, 7d"
#define TIME_WANTED "2026-01-31, 2026-01-31T12:00:00, or a time ago is wanted: 30m, 2h, 7d"

static const struct row rows[] = {
	{ "name", 0, "PATTERN", take_text, AT(filter.name), "",
	  "list, files: of names that match, such as '*.jpg'" },
	{ "since", 0, "TIME", take_time, AT(filter.since), TIME_WANTED,
	  "begun (list) or completed (files) then or later" },
	{ "until", 0, "TIME", take_time, AT(filter.until), TIME_WANTED, "... or earlier" },
	{ "min-size", 0, "N", take_size, AT(filter.min_size), SIZE_WANTED, "so many bytes at least" },
	{ "max-size", 0, "N", take_size, AT(filter.max_size), SIZE_WANTED, "... at most" },
	{ "sort", 0, "BY", take_sort, AT(filter.sort), "time, name or size is wanted",
	  "files: the newest first, by name, the largest first" },
	{ "limit", 'n', "N", take_unsigned, AT(limit), NUMBER_WANTED,
	  "list, files, clients: so many at most" },
	{ "all", 0, NULL, take_switch, AT(all), "", "pause, resume: everybody's" },
	{ "ttl", 0, "TIME", take_duration, AT(ttl), DURATION_WANTED, "url: how long it lasts (1h), at most 7d" },
	{ "replace", 0, NULL, take_switch, AT(replace), "", "offer: what is offered there already may go" },
	{ "status", 0, "STATUS", take_text, AT(status), "",
	  "jobs: IN_PROGRESS, SUCCEEDED, FAILED or REJECTED" },
	{ "cancel", 0, NULL, take_switch, AT(cancel), "", "verify: end one that goes on" },
	{ "for-client", 0, "PATTERN", take_text, AT(for_client), "",
	  "limits set, unset: for client ids that match" },
	{ "for-user", 0, "PATTERN", take_text, AT(for_user), "", "... and user names that match" },
	{ "interval", 0, "SECONDS", take_unsigned, AT(interval_s), NUMBER_WANTED,
	  "top: time between two looks (2)" },
	{ "count", 0, "N", take_unsigned, AT(count), NUMBER_WANTED, "top: so many looks, then end" },
	{ "wide", 0, NULL, take_switch, AT(wide), "", "lists: ids and names in full" },
	{ "json", 0, NULL, take_switch, AT(json), "", "one JSON object a line, for programs" },
	{ "help", 0, NULL, take_switch, AT(help), "", "this text" },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static const char help_before[] =
	"[OPTIONS] COMMAND [ARGUMENTS]\n"
	"Shows and steers the file transfers of a broker whose plugin has \"control on\".\n\n"
	"  list [CLIENT]          unfinished transfers\n"
	"  show CLIENT FILE       one transfer, or finished file\n"
	"  abort CLIENT FILE      forget a transfer and its bytes\n"
	"  pause CLIENT [FILE]    refuse what is sent for a while: also --all\n"
	"  resume CLIENT [FILE]   ... no more; also --all\n"
	"  pauses                 what is paused\n"
	"  files [CLIENT]         finished files, the newest first\n"
	"  url CLIENT FILE        a URL of a finished file in S3, for some time\n"
	"  rm CLIENT FILE         delete a finished file\n"
	"  clients [PATTERN]      who holds how much, and may\n"
	"  stats                  how the plugin does\n"
	"  top                    the same, and what is on its way, live\n"
	"  verify                 compare finished files with their checksums\n"
	"  gc                     look for what has expired, now\n"
	"  adopt                  take files that were put back into the catalog\n"
	"  limits [CLIENT [USER]] what such a client may use\n"
	"  limits set NAME=VALUE...  change that: --for-client, --for-user\n"
	"  limits unset [NAME...]    ... back to what the broker's options say\n"
	"  reload                 read limits_file again\n"
	"  offer CLIENT FILE TO [NAME]  let devices fetch a finished file\n"
	"  withdraw TO NAME       ... no more\n"
	"  offers [TO]            what devices may fetch\n"
	"  jobs [CLIENT]          what devices have done about their jobs\n";

static const char help_after[] =
	"\n"
	"CLIENT is the client id, or the user name where the broker has \"owner username\".\n"
	"TO is all, client/ID, user/NAME or group/NAME.\n"
	"\n"
	"Exit status: 0 done, 1 usage, 3 no connection, 4 denied, 5 refused or damaged,\n"
	"7 internal error.\n";

/* popt's tables: the values of ours come behind those of the connection. */
static struct poptOption connection_table[CONNECTION_OPTIONS + 1], own_table[ROWS + 1];

static struct poptOption fill_option(int value, const char *name, char letter,
				     const char *argument, const char *help)
{
	return (struct poptOption){
		.longName = name, .shortName = letter,
		.argInfo = (argument ? POPT_ARG_STRING : POPT_ARG_NONE)
			   | (help ? 0 : POPT_ARGFLAG_DOC_HIDDEN),
		.val = value, .descrip = help, .argDescrip = argument,
	};
}

static void fill_tables(void)
{
	int value = 0;

	for (size_t i = 0; i < CONNECTION_OPTIONS; i++) {
		const struct connection_option *option = &connection_options[i];

		connection_table[i] = fill_option(++value, option->name, option->letter,
						  option->argument, option->help);
	}
	for (size_t i = 0; i < ROWS; i++)
		own_table[i] = fill_option(++value, rows[i].name, rows[i].letter, rows[i].argument,
					   rows[i].help);
}

/* One option as popt has found it. False: it has been said what is wrong. */
static bool take(struct settings *s, int found, const char *value)
{
	const struct connection_option *connection = NULL;
	const struct row *row = NULL;

	if (found <= CONNECTION_OPTIONS)
		connection = &connection_options[found - 1];
	else
		row = &rows[found - 1 - CONNECTION_OPTIONS];
	if (row ? row->take(s, row, value) : connection_take(&s->link, connection, value))
		return true;
	complain(EXIT_USAGE, "--%s \"%s\": %s", row ? row->name : connection->name, value,
		 row ? row->wants : connection->wants);
	return false;
}

static bool read_options(struct settings *s)
{
	int found;

	while ((found = poptGetNextOpt(s->parser)) > 0) {
		char *text = poptGetOptArg(s->parser);
		char *value = text ? options_own(s, text) : NULL;

		if (text && !value) {
			complain(EXIT_INTERNAL, "out of memory");
			return false;
		}
		if (!take(s, found, value))
			return false;
	}
	if (found != -1)
		complain(EXIT_USAGE, "%s: %s; try --help",
			 poptBadOption(s->parser, POPT_BADOPTION_NOALIAS), poptStrerror(found));
	return found == -1;
}

/* --- what follows from what is said --- */

static bool usage_error(const char *text)
{
	complain(EXIT_USAGE, "%s; try --help", text);
	return false;
}

static bool check_link(struct settings *s)
{
	char why[TLS_WHY_ROOM];
	const char *wrong;

	connection_settle(&s->link, "FT_CTL_PASSWORD");
	wrong = connection_wrong(&s->link, why, sizeof(why));
	if (wrong)
		complain(EXIT_USAGE, "%s", wrong);
	return !wrong;
}

/* Another one for each run: the broker throws out the first of two clients with one id. */
static bool make_client_id(struct settings *s)
{
	char host[65] = "", *id = NULL;

	if (s->link.client_id)
		return true;
	(void)gethostname(host, sizeof(host) - 1);
	if (asprintf(&id, "ft-ctl-%s-%ld", host, (long)getpid()) < 0)
		id = NULL;
	s->link.client_id = options_own(s, id);
	return s->link.client_id || usage_error("out of memory");
}

bool options_parse(struct settings *s, int argc, char **argv, enum exit_code *code)
{
	static const struct poptOption tables[] = {
		{ .argInfo = POPT_ARG_INCLUDE_TABLE, .arg = connection_table,
		  .descrip = "Connection:" },
		{ .argInfo = POPT_ARG_INCLUDE_TABLE, .arg = own_table, .descrip = "Other:" },
		POPT_TABLEEND
	};

	fill_tables();
	*s = (struct settings){
		.link = { .host = "localhost", .mqtt5 = true, .unsubscribed = true, .keepalive_s = 60,
			  .connect_timeout_s = CONNECT_TIMEOUT_S, .window = 1 },
		.interval_s = 2,
	};
	*code = EXIT_USAGE;
	complain_as("ft-ctl");
	s->parser = poptGetContext("ft-ctl", argc, (const char **)(uintptr_t)argv, tables, 0);
	if (!s->parser || !read_options(s))
		return false;
	s->arguments = poptGetArgs(s->parser);
	/* As mosquitto_ctrl has it. */
	if (s->help || (s->arguments && s->arguments[0] && strcmp(s->arguments[0], "help") == 0)) {
		poptSetOtherOptionHelp(s->parser, help_before);
		poptPrintHelp(s->parser, stdout, 0);
		fputs(help_after, stdout);
		*code = EXIT_DONE;
		return false;
	}
	if (!s->arguments || !s->arguments[0])
		return usage_error("which command?");
	s->command = *s->arguments++;
	while (s->arguments[s->argument_count])
		s->argument_count++;
	return check_link(s) && make_client_id(s);
}
