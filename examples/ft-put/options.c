/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "options.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <mosquitto.h>
#include <popt.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "seal.h"
#include "../lib/connection.h"
#include "../lib/tls.h"
#include "../lib/tone.h"

#define SEGMENT_LIMIT ((uint64_t)128 * 1024 * 1024)	/* MQTT's is 256 MiB for the whole packet */
#define WINDOW_LIMIT 500	/* fewer than the responses that a broker queues: 1000 */
#define CONNECTIONS_LIMIT 64
#define TIMEOUT_DEFAULT_S 300
#define RATE_MIN 100		/* below it a keep-alive would be too long for a segment */
#define RATE_LIMIT (UINT32_MAX * 1024ull)

enum exit_code complain(enum exit_code code, const char *format, ...)
{
	va_list args;

	/* What is no failure is told by EXIT_DONE. */
	fprintf(stderr, "%sft-put: ", tone_on(STDERR_FILENO, code ? TONE_BAD : TONE_WARNING));
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "%s\n", tone_off(STDERR_FILENO));
	return code;
}

struct owned_text {
	char *text;
	struct owned_text *next;
};

char *options_own(struct settings *s, char *text)
{
	struct owned_text *owned = text ? malloc(sizeof(*owned)) : NULL;

	if (!owned) {
		free(text);
		return NULL;
	}
	*owned = (struct owned_text){ text, s->owned };
	s->owned = owned;
	return text;
}

void options_release(struct settings *s)
{
	while (s->owned) {
		struct owned_text *owned = s->owned;
		s->owned = owned->next;
		free(owned->text);
		free(owned);
	}
	if (s->parser)
		poptFreeContext(s->parser);
	s->parser = NULL;
	free(s->client.recipients);
	s->client.recipients = NULL;
}

/* --- values --- */

/* Digits, then one of `units`, each of which stands for its factor; within [min, max]. */
struct unit {
	char letter;
	uint64_t factor;
};

static const struct unit no_units[] = { { 0, 1 } };
static const struct unit sizes[] = {
	{ 'k', 1024 }, { 'K', 1024 }, { 'm', 1048576 }, { 'M', 1048576 }, { 'G', 1073741824 },
	{ 0, 1 },
};
static const struct unit durations[] = {
	{ 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 0, 1 },
};

static bool parse_number(const char *text, const struct unit *unit, uint64_t min, uint64_t max,
			 uint64_t *number)
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

/* Where `text` is not within the row's limits: false. */
struct option_row;
typedef bool option_take(struct settings *s, const struct option_row *row, const char *value);

enum option_group {
	GROUP_CONNECTION,
	GROUP_FILES,
	GROUP_SPEED,
	GROUP_OTHER,
	GROUP_COUNT,
};

struct option_row {
	const char *name;
	char letter;
	const char *argument;		/* NULL: a switch, which takes none */
	enum option_group group;
	option_take *take;
	size_t at;			/* in struct settings, where `take` needs it */
	const struct unit *units;	/* of numbers */
	uint64_t min, max;
	const char *wants;		/* what a value has to be */
	const char *help;		/* NULL: another spelling, not shown */
};

#define FIELD(type) ((type *)(void *)((char *)s + row->at))

static bool take_text(struct settings *s, const struct option_row *row, const char *value)
{
	*FIELD(const char *) = value;
	return true;
}

static bool take_switch(struct settings *s, const struct option_row *row, const char *value)
{
	(void)value;
	*FIELD(bool) = row->min;
	return true;
}

static bool take_number(struct settings *s, const struct option_row *row, const char *value)
{
	return parse_number(value, row->units, row->min, row->max, FIELD(uint64_t));
}

static bool take_unsigned(struct settings *s, const struct option_row *row, const char *value)
{
	uint64_t wide = 0;
	bool ok = parse_number(value, row->units, row->min, row->max, &wide);

	*FIELD(unsigned) = (unsigned)wide;
	return ok;
}

static bool take_reconnect(struct settings *s, const struct option_row *row, const char *value)
{
	static const struct {
		const char *word;
		enum ft_client_reconnect policy;
	} words[] = {
		{ "first", FT_CLIENT_RECONNECT_AFTER_SUCCESS },
		{ "never", FT_CLIENT_RECONNECT_NEVER },
		{ "always", FT_CLIENT_RECONNECT_ALWAYS },
	};

	(void)row;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		s->client.reconnect = words[i].policy;
		if (strcmp(value, words[i].word) == 0)
			return true;
	}
	return false;
}

static bool take_segment_size(struct settings *s, const struct option_row *row, const char *value)
{
	s->client.segment_bytes = 0;
	return strcmp(value, "auto") == 0 || take_number(s, row, value);
}

static bool take_json(struct settings *s, const struct option_row *row, const char *value)
{
	cJSON *parsed = cJSON_ParseWithOpts(value, NULL, 1);

	cJSON_Delete(parsed);
	(void)take_text(s, row, value);
	return parsed;
}

/* The broker takes no other text for an id that goes into a topic: '+' and '#' cannot be
 * in one, so nobody could answer. */
static bool fits_topic(const char *id)
{
	return *id && !strpbrk(id, "+#") && mosquitto_validate_utf8(id, (int)strlen(id)) == 0;
}

static bool take_id(struct settings *s, const struct option_row *row, const char *value)
{
	return fits_topic(value) && take_text(s, row, value);
}

static bool take_file_id(struct settings *s, const struct option_row *row, const char *value)
{
	return strlen(value) <= 255 && !strchr(value, '/') && take_id(s, row, value);
}

/* Segments are QoS 1 in any case. */
static bool take_qos(struct settings *s, const struct option_row *row, const char *value)
{
	(void)s;
	(void)row;
	return strcmp(value, "1") == 0;
}

static bool take_recipient(struct settings *s, const struct option_row *row, const char *value)
{
	size_t count = 0;

	(void)row;
	while (s->client.recipients && s->client.recipients[count])
		count++;
	const char **list = realloc(s->client.recipients, (count + 2) * sizeof(*list));
	if (!list)
		return false;
	list[count] = value;
	list[count + 1] = NULL;
	s->client.recipients = list;
	return *value;
}

/* --- URLs --- */

static bool parse_port(const char *text, int *port)
{
	uint64_t number = 0;
	bool ok = parse_number(text, no_units, 1, 65535, &number);

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

static bool parse_host(struct settings *s, char *host)
{
	char *end = *host == '[' ? strchr(host, ']') : NULL;	/* IPv6 */
	char *colon = strchr(end ? end : host, ':');

	if (*host == '[' && !end)
		return false;
	if (colon)
		*colon = '\0';
	if (end)
		*end = '\0';
	s->client.link.host = end ? host + 1 : host;
	s->client.link.unix_path = NULL;
	return *s->client.link.host && (!colon || parse_port(colon + 1, &s->client.link.port));
}

static bool parse_url(struct settings *s, const char *url)
{
	bool tls = strncmp(url, "mqtts://", 8) == 0;
	char *rest = tls || strncmp(url, "mqtt://", 7) == 0
		     ? options_own(s, strdup(url + 7 + tls)) : NULL;
	struct link_options *link = &s->client.link;

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
	return parse_host(s, at ? at + 1 : rest);
}

static bool take_url(struct settings *s, const struct option_row *row, const char *value)
{
	(void)row;
	return parse_url(s, value);
}

/* --- the options --- */

#define AT(member) offsetof(struct settings, member)
#define LINK(member) AT(client.link.member)
#define TIME_WANTED "a time is wanted: a number, perhaps with s, m, h or d"

/* One option each: this is what is parsed, what --help prints and what the manual explains. */
static const struct option_row own_rows[] = {
	{ "url", 'L', "URL", GROUP_CONNECTION, take_url, 0, NULL, 0, 0,
	  "mqtt[s]://[user[:password]@]host[:port] is wanted",
	  "mqtt[s]://[user[:password]@]host[:port]" },
	{ "qos", 'q', "1", GROUP_CONNECTION, take_qos, 0, NULL, 0, 0, "only 1 is possible", NULL },
	{ "reconnect", 0, "WHEN", GROUP_CONNECTION, take_reconnect, 0, NULL, 0, 0,
	  "first, always or never is wanted", "first: after the first success (default); always; never" },

	{ "name", 0, "NAME", GROUP_FILES, take_text, AT(file.name), NULL, 0, 0, "",
	  "name of the file at the broker (that of FILE)" },
	{ "file-id", 0, "ID", GROUP_FILES, take_file_id, AT(file.file_id), NULL, 0, 0,
	  "1 to 255 bytes of UTF-8 without control characters, +, # and / are wanted",
	  "id of the transfer (made from path, size, time)" },
	{ "user-data", 0, "JSON", GROUP_FILES, take_json, AT(file.user_data), NULL, 0, 0,
	  "JSON is wanted", "kept with the file" },
	{ "encrypt", 0, "CERT", GROUP_FILES, take_recipient, 0, NULL, 0, 0, "a file is wanted",
	  "encrypt for the owner of this certificate; may be repeated" },
	{ "ttl", 0, "TIME", GROUP_FILES, take_number, AT(file.ttl_s), durations, 1, UINT32_MAX,
	  TIME_WANTED, "how long the broker keeps it unfinished; s, m, h, d may follow" },
	{ "expire", 0, "TIME", GROUP_FILES, take_number, AT(file.expire_s), durations, 1, UINT32_MAX,
	  TIME_WANTED, "after so long the broker may delete the finished file" },
	{ "resume", 0, NULL, GROUP_FILES, take_switch, AT(file.from_scratch), NULL, 0, 0, "", NULL },
	{ "no-resume", 0, NULL, GROUP_FILES, take_switch, AT(file.from_scratch), NULL, 1, 1, "",
	  "begin from scratch" },

	{ "rate", 0, "N", GROUP_SPEED, take_number, AT(client.rate), sizes, RATE_MIN, RATE_LIMIT,
	  "a number from 100 is wanted, perhaps with k, M or G",
	  "bytes a second at most; k, M may follow" },
	{ "segment-size", 0, "N", GROUP_SPEED, take_segment_size, AT(client.segment_bytes), sizes,
	  1, SEGMENT_LIMIT, "auto, or a number from 1 to 128M is wanted",
	  "bytes in a message; \"auto\": as the link allows (auto)" },
	{ "window", 0, "N", GROUP_SPEED, take_unsigned, LINK(window), no_units, 1, WINDOW_LIMIT,
	  "a number from 1 to 500 is wanted", "segments on their way at most (20)" },
	{ "connections", 0, "N", GROUP_SPEED, take_unsigned, AT(client.connections), no_units, 1,
	  CONNECTIONS_LIMIT, "a number from 1 to 64 is wanted",
	  "so many at once, where the broker has \"owner username\" (1)" },
	{ "segment-checksums", 0, NULL, GROUP_SPEED, take_switch, AT(client.segment_checksums), NULL,
	  1, 1, "", "send a SHA-256 with each segment" },

	{ "timeout", 0, "TIME", GROUP_OTHER, take_unsigned, AT(client.patience_s), durations, 0,
	  UINT32_MAX, TIME_WANTED, "give up after so long without headway, 0: never (300)" },
	{ "ack-timeout", 0, "TIME", GROUP_OTHER, take_unsigned, AT(client.ack_timeout_s), durations,
	  1, 86400, TIME_WANTED, "reconnect after so long without acknowledgement (30)" },
	{ "config", 0, "FILE", GROUP_OTHER, take_text, AT(config), NULL, 0, 0, "",
	  "options, one a line (~/.config/ft-put)" },
	{ "state-dir", 0, "DIR", GROUP_OTHER, take_text, AT(state_dir), NULL, 0, 0, "",
	  "where unfinished uploads are noted (~/.local/state/ft-put)" },
	{ "json", 0, NULL, GROUP_OTHER, take_switch, AT(json), NULL, 1, 1, "",
	  "one JSON object a line, for programs" },
	{ "quiet", 0, NULL, GROUP_OTHER, take_switch, AT(quiet), NULL, 1, 1, "",
	  "print errors only" },
	{ "verbose", 'v', NULL, GROUP_OTHER, take_switch, AT(verbose), NULL, 1, 1, "",
	  "print ids and checksums, too" },
	{ "help", 0, NULL, GROUP_OTHER, take_switch, AT(help), NULL, 1, 1, "", "this text" },
};

#define OWN_ROWS (sizeof(own_rows) / sizeof(own_rows[0]))
#define ROWS (CONNECTION_OPTIONS + OWN_ROWS)

/* Those that make a connection, then our own. */
static struct option_row rows[ROWS];

static bool take_connection(struct settings *s, const struct option_row *row, const char *value)
{
	return connection_take(&s->client.link, &connection_options[row->at], value);
}

static void fill_rows(void)
{
	for (size_t i = 0; i < CONNECTION_OPTIONS; i++) {
		const struct connection_option *option = &connection_options[i];

		rows[i] = (struct option_row){
			.name = option->name, .letter = option->letter,
			.argument = option->argument, .group = GROUP_CONNECTION,
			.take = take_connection, .at = i, .wants = option->wants,
			.help = option->help,
		};
	}
	memcpy(rows + CONNECTION_OPTIONS, own_rows, sizeof(own_rows));
}

static const char *const group_titles[GROUP_COUNT] = {
	[GROUP_CONNECTION] = "Connection", [GROUP_FILES] = "Files", [GROUP_SPEED] = "Speed",
	[GROUP_OTHER] = "Else",
};

static const char help_before[] =
	"[options] FILE|DIR|- ...\n\n"
	"Uploads files to an MQTT broker that has the file transfer plugin; \"-\" is standard\n"
	"input, a directory stands for all files in it. Run it again after an interruption:\n"
	"only what is missing is sent.\n";

static const char help_after[] =
	"\n"
	"Ctrl-C saves and ends; the same command continues. SIGUSR1 pauses and resumes.\n"
	"\n"
	"Exit status: 0 the broker has every file, complete, verified, and said so\n"
	"             1 wrong usage              5 refused: the broker will not take it\n"
	"             2 a FILE cannot be read    6 gave up; run it again to resume\n"
	"             3 no connection            7 internal error\n"
	"             4 refused: password,       8 stopped by a signal; run it again\n"
	"               rights, no plugin          to resume\n"
	"Where several files fail, the first one decides.\n";

/* The rows as popt wants them: a table of tables, one for each group. */
struct option_tables {
	struct poptOption groups[GROUP_COUNT + 1];
	struct poptOption options[GROUP_COUNT][ROWS + 1];
};

static void fill_tables(struct option_tables *tables)
{
	size_t used[GROUP_COUNT] = {0};

	memset(tables, 0, sizeof(*tables));
	for (size_t i = 0; i < ROWS; i++) {
		const struct option_row *row = &rows[i];
		tables->options[row->group][used[row->group]++] = (struct poptOption){
			.longName = row->name, .shortName = row->letter,
			.argInfo = (row->argument ? POPT_ARG_STRING : POPT_ARG_NONE) |
				   (row->help ? 0 : POPT_ARGFLAG_DOC_HIDDEN),
			.val = (int)i + 1, .descrip = row->help, .argDescrip = row->argument,
		};
	}
	for (size_t i = 0; i < GROUP_COUNT; i++)
		tables->groups[i] = (struct poptOption){
			.argInfo = POPT_ARG_INCLUDE_TABLE, .arg = tables->options[i],
			.descrip = group_titles[i],
		};
}

/* False: it has been said what is wrong. */
static bool take(struct settings *s, const struct option_row *row, const char *value)
{
	if (row->take(s, row, value))
		return true;
	/* Passwords have no such rules: no value that is told is a secret. */
	complain(EXIT_USAGE, "--%s \"%s\": %s", row->name, value, row->wants);
	return false;
}

static bool take_named(struct settings *s, const char *name, const char *value)
{
	const struct option_row *row = NULL;

	for (size_t i = 0; i < ROWS; i++) {
		if (strcmp(rows[i].name, name) == 0 ||
		    (rows[i].letter == *name && name[0] && !name[1]))
			row = &rows[i];
	}
	if (!row)
		complain(EXIT_USAGE, "there is no option \"%s\"; try --help", name);
	else if (row->argument && !value)
		complain(EXIT_USAGE, "--%s: a value is missing", name);
	else if (!row->argument && value)
		/* "insecure false" would mean --insecure. */
		complain(EXIT_USAGE, "--%s takes no value, but there is \"%s\"", name, value);
	else
		return take(s, row, value);
	return false;
}

static bool usage_error(const char *text)
{
	complain(EXIT_USAGE, "%s; try --help", text);
	return false;
}

static bool read_options(struct settings *s)
{
	int found;

	while ((found = poptGetNextOpt(s->parser)) > 0) {
		const struct option_row *row = &rows[found - 1];
		char *value = row->argument ? options_own(s, poptGetOptArg(s->parser)) : NULL;
		if (row->argument && !value)
			return usage_error("out of memory");
		if (!take(s, row, value))
			return false;
	}
	if (found != -1)
		complain(EXIT_USAGE, "%s: %s; try --help",
			 poptBadOption(s->parser, POPT_BADOPTION_NOALIAS), poptStrerror(found));
	return found == -1;
}

static bool check_together(struct settings *s)
{
	char why[TLS_WHY_ROOM];
	const char *wrong = connection_wrong(&s->client.link, why, sizeof(why));

	if (wrong) {
		complain(EXIT_USAGE, "%s", wrong);
		return false;
	}
	if (s->path_count > 1 && (s->file.name || s->file.file_id))
		return usage_error("--name and --file-id are for one FILE");
	return true;
}

/* What they name is opened before anything is sent: a wrong path is wrong usage. */
static bool check_files(struct settings *s)
{
	char why[TLS_WHY_ROOM];
	struct seal *seal = s->client.recipients
			    ? seal_new(s->client.recipients, why, sizeof(why)) : NULL;
	bool ok = !seal == !s->client.recipients;

	if (!ok)
		complain(EXIT_USAGE, "%s", why);
	seal_free(&seal);
	return ok;
}

/* A URL among the files is the broker. */
static bool take_paths(struct settings *s)
{
	const char **paths = poptGetArgs(s->parser);
	int kept = 0, streams = 0;

	for (int i = 0; paths && paths[i]; i++) {
		bool url = strncmp(paths[i], "mqtt://", 7) == 0 ||
			   strncmp(paths[i], "mqtts://", 8) == 0;
		if (url && !parse_url(s, paths[i])) {
			complain(EXIT_USAGE, "cannot make sense of %s", paths[i]);
			return false;
		}
		streams += strcmp(paths[i], "-") == 0;
		if (url)
			continue;
		/* An exchange: popt will free each of them once. */
		const char *path = paths[i];
		paths[i] = paths[kept];
		paths[kept++] = path;
	}
	s->paths = (char **)(uintptr_t)paths;
	s->path_count = kept;
	if (streams > 1)
		return usage_error("there is one standard input only");
	return kept > 0 || usage_error("what is to be sent?");
}

static void print_help(struct settings *s)
{
	poptSetOtherOptionHelp(s->parser, help_before);
	poptPrintHelp(s->parser, stdout, 0);
	fputs(help_after, stdout);
}

static void set_defaults(struct settings *s)
{
	*s = (struct settings){
		.client = { .link = { .host = "localhost", .mqtt5 = true },
			    .patience_s = TIMEOUT_DEFAULT_S },
		.parser = s->parser, .owned = s->owned, .config = s->config,
	};
}

bool options_parse(struct settings *s, int argc, char **argv, enum exit_code *code)
{
	static struct option_tables tables;	/* popt keeps pointers into it */

	fill_rows();
	fill_tables(&tables);
	*s = (struct settings){0};
	*code = EXIT_USAGE;
	s->parser = poptGetContext("ft-put", argc, (const char **)(uintptr_t)argv, tables.groups, 0);
	/* Once to learn which configuration file comes first, then on top of it. */
	if (!s->parser || !read_options(s))
		return false;
	if (s->help) {
		print_help(s);
		*code = EXIT_DONE;
		return false;
	}
	free(s->client.recipients);
	set_defaults(s);
	poptResetContext(s->parser);
	if (!config_read(s, s->config, take_named, code) || !read_options(s) || !take_paths(s))
		return false;
	connection_settle(&s->client.link, "FT_PUT_PASSWORD");
	return check_together(s) && check_files(s);
}
