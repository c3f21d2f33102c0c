/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "options.h"

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "seal.h"
#include "../lib/tls.h"

#define SEGMENT_LIMIT ((uint64_t)128 * 1024 * 1024)	/* MQTT's is 256 MiB for the whole packet */
#define WINDOW_LIMIT 500	/* fewer than the responses that a broker queues: 1000 */
#define CONNECTIONS_LIMIT 64
#define TIMEOUT_DEFAULT_S 300
#define RATE_MIN 100		/* below it a keep-alive would be too long for a segment */
#define RATE_LIMIT (UINT32_MAX * 1024ull)

enum option_group {
	GROUP_CONNECTION,
	GROUP_FILES,
	GROUP_SPEED,
	GROUP_OTHER,
	GROUP_COUNT,
};

static struct settings *settings_of(struct command *command)
{
	return (struct settings *)(void *)command;
}

static bool take_segment_size(struct command *command, const struct option_row *row,
			      const char *value)
{
	settings_of(command)->client.segment_bytes = 0;
	return strcmp(value, "auto") == 0 || option_take_number(command, row, value);
}

static bool take_json(struct command *command, const struct option_row *row, const char *value)
{
	cJSON *parsed = cJSON_ParseWithOpts(value, NULL, 1);

	cJSON_Delete(parsed);
	(void)option_take_text(command, row, value);
	return parsed;
}

static bool take_file_id(struct command *command, const struct option_row *row, const char *value)
{
	return strlen(value) <= 255 && !strchr(value, '/') && option_fits_topic(value) &&
	       option_take_text(command, row, value);
}

/* Segments are QoS 1 in any case. */
static bool take_qos(struct command *command, const struct option_row *row, const char *value)
{
	(void)command;
	(void)row;
	return strcmp(value, "1") == 0;
}

static bool take_recipient(struct command *command, const struct option_row *row, const char *value)
{
	struct settings *s = settings_of(command);
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

/* --- the options --- */

#define AT(member) offsetof(struct settings, member)
#define LINK(member) AT(client.link.member)

static const struct option_row own_rows[] = {
	{ "qos", 'q', "1", GROUP_CONNECTION, take_qos, 0, NULL, 0, 0, "only 1 is possible", NULL },
	{ "reconnect", 0, "WHEN", GROUP_CONNECTION, option_take_reconnect, AT(client.reconnect),
	  NULL, 0, 0,
	  "first, always or never is wanted",
	  "first: after the first success (default); always; never" },

	{ "name", 0, "NAME", GROUP_FILES, option_take_text, AT(file.name), NULL, 0, 0, "",
	  "name of the file at the broker (that of FILE)" },
	{ "file-id", 0, "ID", GROUP_FILES, take_file_id, AT(file.file_id), NULL, 0, 0,
	  "1 to 255 bytes of UTF-8 without control characters, +, # and / are wanted",
	  "id of the transfer (made from path, size, time)" },
	{ "user-data", 0, "JSON", GROUP_FILES, take_json, AT(file.user_data), NULL, 0, 0,
	  "JSON is wanted", "kept with the file" },
	{ "encrypt", 0, "CERT", GROUP_FILES, take_recipient, 0, NULL, 0, 0, "a file is wanted",
	  "encrypt for the owner of this certificate; may be repeated" },
	{ "ttl", 0, "TIME", GROUP_FILES, option_take_number, AT(file.ttl_s), option_durations, 1,
	  UINT32_MAX,
	  OPTION_TIME_WANTED, "how long the broker keeps it unfinished; s, m, h, d may follow" },
	{ "expire", 0, "TIME", GROUP_FILES, option_take_number, AT(file.expire_s),
	  option_durations, 1, UINT32_MAX,
	  OPTION_TIME_WANTED, "after so long the broker may delete the finished file" },
	{ "resume", 0, NULL, GROUP_FILES, option_take_switch, AT(file.from_scratch), NULL, 0, 0,
	  "", NULL },
	{ "no-resume", 0, NULL, GROUP_FILES, option_take_switch, AT(file.from_scratch), NULL, 1,
	  1, "",
	  "begin from scratch" },

	{ "rate", 0, "N", GROUP_SPEED, option_take_number, AT(client.rate), option_sizes,
	  RATE_MIN, RATE_LIMIT,
	  "a number from 100 is wanted, perhaps with k, M or G",
	  "bytes a second at most; k, M may follow" },
	{ "segment-size", 0, "N", GROUP_SPEED, take_segment_size, AT(client.segment_bytes),
	  option_sizes,
	  1, SEGMENT_LIMIT, "auto, or a number from 1 to 128M is wanted",
	  "bytes in a message; \"auto\": as the link allows (auto)" },
	{ "window", 0, "N", GROUP_SPEED, option_take_unsigned, LINK(window), option_no_units, 1,
	  WINDOW_LIMIT,
	  "a number from 1 to 500 is wanted", "segments on their way at most (20)" },
	{ "connections", 0, "N", GROUP_SPEED, option_take_unsigned, AT(client.connections),
	  option_no_units, 1,
	  CONNECTIONS_LIMIT, "a number from 1 to 64 is wanted",
	  "so many at once, where the broker has \"owner username\" (1)" },
	{ "segment-checksums", 0, NULL, GROUP_SPEED, option_take_switch,
	  AT(client.segment_checksums), NULL,
	  1, 1, "", "send a SHA-256 with each segment" },

	{ "timeout", 0, "TIME", GROUP_OTHER, option_take_unsigned, AT(client.patience_s),
	  option_durations, 0,
	  UINT32_MAX, OPTION_TIME_WANTED, "give up after so long without headway, 0: never (300)" },
	{ "ack-timeout", 0, "TIME", GROUP_OTHER, option_take_unsigned, AT(client.ack_timeout_s),
	  option_durations,
	  1, 86400, OPTION_TIME_WANTED, "reconnect after so long without acknowledgement (30)" },
	{ "state-dir", 0, "DIR", GROUP_OTHER, option_take_text, AT(state_dir), NULL, 0, 0, "",
	  "where unfinished uploads are noted (~/.local/state/ft-put)" },
	{ "json", 0, NULL, GROUP_OTHER, option_take_switch, AT(json), NULL, 1, 1, "",
	  "one JSON object a line, for programs" },
	{ "quiet", 0, NULL, GROUP_OTHER, option_take_switch, AT(quiet), NULL, 1, 1, "",
	  "print errors only" },
	{ "verbose", 'v', NULL, GROUP_OTHER, option_take_switch, AT(verbose), NULL, 1, 1, "",
	  "print ids and checksums, too" },
};

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

static bool check_paths(const struct settings *s)
{
	int streams = 0;

	for (int i = 0; i < s->command.path_count; i++)
		streams += strcmp(s->command.paths[i], "-") == 0;
	if (streams > 1)
		return command_wrong("there is one standard input only");
	if (s->command.path_count > 1 && (s->file.name || s->file.file_id))
		return command_wrong("--name and --file-id are for one FILE");
	return s->command.path_count > 0 || command_wrong("what is to be sent?");
}

static void set_defaults(struct command *command)
{
	struct settings *s = settings_of(command);

	free(s->client.recipients);
	*s = (struct settings){
		.command = *command,
		.client = { .link = { .host = "localhost", .mqtt5 = true },
			    .patience_s = TIMEOUT_DEFAULT_S },
	};
}

bool options_parse(struct settings *s, int argc, char **argv, enum exit_code *code)
{
	static const struct command_line line = {
		.program = "ft-put", .rows = own_rows,
		.count = sizeof(own_rows) / sizeof(own_rows[0]),
		.groups = group_titles, .group_count = GROUP_COUNT,
		.help_before = help_before, .help_after = help_after,
		.password_variable = "FT_PUT_PASSWORD", .set_defaults = set_defaults,
	};

	*s = (struct settings){ .command = { .link = &s->client.link } };
	return command_parse(&s->command, &line, argc, argv, code) && check_paths(s) &&
	       check_files(s);
}

void options_release(struct settings *s)
{
	command_release(&s->command);
	free(s->client.recipients);
	s->client.recipients = NULL;
}
