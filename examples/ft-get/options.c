/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "options.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "place.h"

#define BLOCK_LIMIT ((uint64_t)256 * 1024)	/* the largest that a broker can be set to */
#define WINDOW_DEFAULT 20
#define WINDOW_LIMIT 500	/* fewer than the blocks that a broker queues for us: 1000 */
#define TIMEOUT_DEFAULT_S 300
#define CONNECT_TIMEOUT_S 20
#define KEEPALIVE_S 60
#define RATE_MIN 100
#define RATE_LIMIT (UINT32_MAX * 1024ull)
#define AWS_FILE_MAX 255
#define AWS_STREAM_MAX 128

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

static bool take_block_size(struct command *command, const struct option_row *row,
			    const char *value)
{
	settings_of(command)->block_bytes = 0;
	return strcmp(value, "auto") == 0 || option_take_number(command, row, value);
}

static bool take_sha256(struct command *command, const struct option_row *row, const char *value)
{
	(void)row;
	return sha256_read(settings_of(command)->sha256, value);
}

/* STREAM/FILEID, as AWS has them. */
static bool take_aws(struct command *command, const struct option_row *row, const char *value)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
	struct settings *s = settings_of(command);
	const char *slash = strchr(value, '/');
	size_t len = slash ? (size_t)(slash - value) : 0;
	char *end;

	(void)row;
	if (!len || len > AWS_STREAM_MAX || strspn(value, letters) != len)
		return false;
	if (slash[1] < '0' || slash[1] > '9' || (slash[1] == '0' && slash[2]))
		return false;
	unsigned long file = strtoul(slash + 1, &end, 10);
	if (*end || file > AWS_FILE_MAX)
		return false;
	s->aws_file = (unsigned)file;
	s->aws_stream = command_own(command, strndup(value, len));
	return s->aws_stream;
}

/* --- the options --- */

#define AT(member) offsetof(struct settings, member)

static const struct option_row own_rows[] = {
	{ "reconnect", 0, "WHEN", GROUP_CONNECTION, option_take_reconnect, AT(reconnect), NULL, 0, 0,
	  "first, always or never is wanted",
	  "first: after the first success (default); always; never" },

	{ "output", 'o', "WHERE", GROUP_FILES, option_take_text, AT(output), NULL, 0, 0, "",
	  "a file, a directory, or - for standard output" },
	{ "list", 'l', NULL, GROUP_FILES, option_take_switch, AT(list), NULL, 1, 1, "",
	  "list what is offered, below PATH" },
	{ "watch", 0, NULL, GROUP_FILES, option_take_switch, AT(watch), NULL, 1, 1, "",
	  "wait for offers, and fetch each new content once" },
	{ "exec", 0, "CMD", GROUP_FILES, option_take_text, AT(exec), NULL, 0, 0, "",
	  "with --watch: run this for each; its file is $1 and $FT_FILE" },
	{ "sha256", 0, "HEX", GROUP_FILES, take_sha256, 0, NULL, 0, 0, "64 hexadecimal digits are wanted",
	  "refuse any other content" },
	{ "aws", 0, "STREAM/FILEID", GROUP_FILES, take_aws, 0, NULL, 0, 0,
	  "a stream's name, a slash, and a number from 0 to 255 are wanted",
	  "a file of a stream, by the protocol of AWS IoT" },
	{ "resume", 0, NULL, GROUP_FILES, option_take_switch, AT(from_scratch), NULL, 0, 0, "", NULL },
	{ "no-resume", 0, NULL, GROUP_FILES, option_take_switch, AT(from_scratch), NULL, 1, 1, "",
	  "begin from scratch" },
	{ "report", 0, NULL, GROUP_FILES, option_take_switch, AT(report), NULL, 1, 1, "",
	  "report to the broker how it goes" },

	{ "rate", 0, "N", GROUP_SPEED, option_take_number, AT(rate), option_sizes, RATE_MIN, RATE_LIMIT,
	  "a number from 100 is wanted, perhaps with k, M or G",
	  "bytes a second at most; k, M may follow" },
	{ "block-size", 0, "N", GROUP_SPEED, take_block_size, AT(block_bytes), option_sizes,
	  1, BLOCK_LIMIT, "auto, or a number from 1 to 256k is wanted",
	  "bytes in a message; \"auto\": as the link allows (auto)" },
	{ "window", 0, "N", GROUP_SPEED, option_take_unsigned, AT(link.window), option_no_units, 1,
	  WINDOW_LIMIT, "a number from 1 to 500 is wanted", "blocks asked for at a time (20)" },

	{ "timeout", 0, "TIME", GROUP_OTHER, option_take_unsigned, AT(patience_s), option_durations, 0,
	  UINT32_MAX, OPTION_TIME_WANTED, "give up after so long without headway, 0: never (300)" },
	{ "state-dir", 0, "DIR", GROUP_OTHER, option_take_text, AT(state_dir), NULL, 0, 0, "",
	  "where --watch notes what is done (~/.local/state/ft-get)" },
	{ "json", 0, NULL, GROUP_OTHER, option_take_switch, AT(json), NULL, 1, 1, "",
	  "one JSON object a line, for programs" },
	{ "quiet", 'q', NULL, GROUP_OTHER, option_take_switch, AT(quiet), NULL, 1, 1, "",
	  "print errors only" },
	{ "verbose", 'v', NULL, GROUP_OTHER, option_take_switch, AT(verbose), NULL, 1, 1, "",
	  "print ids and checksums, too" },
};

static const char *const group_titles[GROUP_COUNT] = {
	[GROUP_CONNECTION] = "Connection", [GROUP_FILES] = "Files", [GROUP_SPEED] = "Speed",
	[GROUP_OTHER] = "Else",
};

static const char help_before[] =
	"[options] PATH...\n"
	"       ft-get [options] -l [PREFIX]\n\n"
	"Downloads files that an MQTT broker with the file transfer plugin offers. A PATH that\n"
	"ends in / stands for all files below it. Run it again after an interruption: only what\n"
	"is missing is asked for.\n";

static const char help_after[] =
	"\n"
	"Ctrl-C saves and ends; the same command continues.\n"
	"\n"
	"Exit status: 0 every file is there, complete and verified\n"
	"             1 wrong usage               5 not offered, or other content\n"
	"             2 a file cannot be written  6 gave up; run it again to resume\n"
	"             3 no connection             7 internal error\n"
	"             4 refused: password,        8 stopped by a signal; run it again\n"
	"               rights, no downloads        to resume\n"
	"Where several files fail, the first one decides.\n";

/* --- what goes together --- */

bool options_is_folder(const char *path)
{
	size_t len = strlen(path);

	return len > 0 && path[len - 1] == '/';
}

static bool check_path(const char *path)
{
	char plain[PLACE_PATH_ROOM];
	size_t len = strlen(path);

	if (len >= sizeof(plain))
		len = 0;
	memcpy(plain, path, len);
	plain[len - (len > 0 && options_is_folder(path))] = '\0';
	if (place_is_path(plain))
		return true;
	complain(EXIT_USAGE, "\"%s\" can be no path of an offer; try --help", path);
	return false;
}

/* What is offered is called so; the name of a file here is another matter. */
static bool check_paths(const struct settings *s)
{
	bool many = s->command.path_count > 1;

	for (int i = 0; i < s->command.path_count; i++) {
		const char *path = s->command.paths[i];
		many = many || options_is_folder(path);
		if (!s->list && !check_path(path))
			return false;
	}
	if (s->list)
		return s->command.path_count <= 1 || command_wrong("-l takes one PREFIX");
	if (!s->command.path_count != (s->aws_stream != NULL))
		return command_wrong(s->aws_stream ? "--aws takes the place of PATH"
						   : "what is to be fetched?");
	if (many && s->sha256[0])
		return command_wrong("--sha256 is for one file");
	if (many && s->output && strcmp(s->output, "-") == 0)
		return command_wrong("-o - is for one file");
	return true;
}

static bool check_together(const struct settings *s)
{
	bool stream = s->output && strcmp(s->output, "-") == 0;

	if (s->output && !*s->output)
		return command_wrong("-o \"\" is nothing");
	if (s->exec && !s->watch)
		return command_wrong("--exec needs --watch");
	if (s->watch && (s->list || s->aws_stream || s->sha256[0] || stream))
		return command_wrong("--watch goes with neither -l, --aws, --sha256 nor -o -");
	if (s->list && (s->aws_stream || s->output))
		return command_wrong("-l goes with neither --aws nor -o");
	if (s->aws_stream && s->report)
		return command_wrong("--report is for offers, not for --aws");
	if (stream && s->json)
		return command_wrong("--json and -o - both want standard output");
	if (s->aws_stream && s->block_bytes && (s->block_bytes < 256 || s->block_bytes > 131072))
		return command_wrong("--block-size: with --aws 256 to 128k");
	return check_paths(s);
}

static void set_defaults(struct command *command)
{
	struct settings *s = settings_of(command);

	*s = (struct settings){
		.command = *command,
		.link = { .host = "localhost", .mqtt5 = true, .unsubscribed = true,
			  .keepalive_s = KEEPALIVE_S, .connect_timeout_s = CONNECT_TIMEOUT_S,
			  .window = WINDOW_DEFAULT },
		.patience_s = TIMEOUT_DEFAULT_S,
	};
}

bool options_parse(struct settings *s, int argc, char **argv, enum exit_code *code)
{
	static const struct command_line line = {
		.program = "ft-get", .rows = own_rows,
		.count = sizeof(own_rows) / sizeof(own_rows[0]),
		.groups = group_titles, .group_count = GROUP_COUNT,
		.help_before = help_before, .help_after = help_after,
		.password_variable = "FT_GET_PASSWORD", .set_defaults = set_defaults,
	};

	*s = (struct settings){ .command = { .link = &s->link } };
	return command_parse(&s->command, &line, argc, argv, code) && check_together(s);
}

void options_release(struct settings *s)
{
	command_release(&s->command);
}
