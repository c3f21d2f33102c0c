/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_DEFAULT ((uint64_t)256 * 1024)
#define SEGMENT_LIMIT ((uint64_t)128 * 1024 * 1024)	/* MQTT's is 256 MiB for the whole packet */
#define WINDOW_DEFAULT 20
#define WINDOW_LIMIT 500	/* fewer than the responses that a broker queues: 1000 */
#define TIMEOUT_DEFAULT_S 300

static const char usage_text[] =
	"usage: ft-put [options] FILE\n"
	"\n"
	"Uploads FILE to an MQTT broker that has the file transfer plugin. Run it again\n"
	"after an interruption: only what is missing is sent.\n"
	"\n"
	"  -h, --host HOST        broker (localhost)\n"
	"  -p, --port PORT        port (1883; 8883 with --cafile)\n"
	"      --unix PATH        connect to this Unix socket instead\n"
	"  -u, --user USER        user name\n"
	"  -P, --password PASS    password; better in the environment, as FT_PUT_PASSWORD\n"
	"  -i, --id ID            client id (made from host name and file); keep it to resume\n"
	"  -V, --mqtt VERSION     5 or 311 (5)\n"
	"      --cafile FILE      use TLS, trust these certificates\n"
	"      --cert FILE        client certificate, with --key\n"
	"      --key FILE         its key\n"
	"      --name NAME        name of the file at the broker (that of FILE)\n"
	"      --file-id ID       id of the transfer (made from content and name)\n"
	"      --segment-size N   bytes in a message, k or M may follow (256k)\n"
	"      --window N         segments on their way at most (20)\n"
	"      --segment-checksums  send a SHA-256 with each segment\n"
	"      --timeout SECONDS  give up after so long without headway, 0: never (300)\n"
	"      --quiet            print errors only\n"
	"      --help\n"
	"\n"
	"Exit status: 0 the broker has the file, complete, verified, and said so\n"
	"             1 wrong usage              4 refused: password, rights, no plugin\n"
	"             2 FILE cannot be read,     5 refused: the broker will not take it\n"
	"               or changed meanwhile     6 gave up; run it again to resume\n"
	"             3 no connection            7 internal error\n";

enum exit_code complain(enum exit_code code, const char *format, ...)
{
	va_list args;

	fputs("ft-put: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return code;
}

/* Digits, then k or M where `units`; within [min, max]. */
static bool parse_number(const char *text, bool units, uint64_t min, uint64_t max, uint64_t *number)
{
	char *end;
	uint64_t factor = 1;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*number = strtoull(text, &end, 10);
	if (units && (*end == 'k' || *end == 'K'))
		factor = 1024;
	else if (units && (*end == 'm' || *end == 'M'))
		factor = 1024 * 1024;
	if (factor > 1)
		end++;
	if (errno || *end || *number > max / factor)
		return false;
	*number *= factor;
	return *number >= min;
}

static bool parse_version(const char *text, bool *mqtt5)
{
	if (strncmp(text, "mqttv", 5) == 0)
		text += 5;
	*mqtt5 = strcmp(text, "5") == 0;
	return *mqtt5 || strcmp(text, "311") == 0;
}

enum long_option {
	OPTION_UNIX = 256,
	OPTION_CAFILE,
	OPTION_CERT,
	OPTION_KEY,
	OPTION_NAME,
	OPTION_FILE_ID,
	OPTION_SEGMENT_SIZE,
	OPTION_WINDOW,
	OPTION_SEGMENT_CHECKSUMS,
	OPTION_TIMEOUT,
	OPTION_QUIET,
	OPTION_HELP,
};

static const struct option long_options[] = {
	{ "host", required_argument, NULL, 'h' },
	{ "port", required_argument, NULL, 'p' },
	{ "unix", required_argument, NULL, OPTION_UNIX },
	{ "user", required_argument, NULL, 'u' },
	{ "password", required_argument, NULL, 'P' },
	{ "id", required_argument, NULL, 'i' },
	{ "mqtt", required_argument, NULL, 'V' },
	{ "cafile", required_argument, NULL, OPTION_CAFILE },
	{ "cert", required_argument, NULL, OPTION_CERT },
	{ "key", required_argument, NULL, OPTION_KEY },
	{ "name", required_argument, NULL, OPTION_NAME },
	{ "file-id", required_argument, NULL, OPTION_FILE_ID },
	{ "segment-size", required_argument, NULL, OPTION_SEGMENT_SIZE },
	{ "window", required_argument, NULL, OPTION_WINDOW },
	{ "segment-checksums", no_argument, NULL, OPTION_SEGMENT_CHECKSUMS },
	{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
	{ "quiet", no_argument, NULL, OPTION_QUIET },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ NULL, 0, NULL, 0 },
};

/* One case per option, hence the length. False: the value of the option is wrong. */
static bool take_option(struct settings *s, int option, char *value)
{
	uint64_t number = 0;
	bool ok = true;

	switch (option) {
	case 'h': s->link.host = value; break;
	case 'p':
		ok = parse_number(value, false, 1, 65535, &number);
		s->link.port = (int)number;
		break;
	case OPTION_UNIX: s->link.unix_path = value; break;
	case 'u': s->link.user = value; break;
	case 'P': s->link.password = value; break;
	/* '+' and '#' cannot be in a topic: nobody could answer such a client. */
	case 'i': s->link.client_id = value; ok = *value && !strpbrk(value, "+#"); break;
	case 'V': ok = parse_version(value, &s->link.mqtt5); break;
	case OPTION_CAFILE: s->link.cafile = value; break;
	case OPTION_CERT: s->link.cert = value; break;
	case OPTION_KEY: s->link.key = value; break;
	case OPTION_NAME: s->name = value; break;
	case OPTION_FILE_ID:
		s->file_id = value;
		ok = *value && strlen(value) <= 255 && !strpbrk(value, "/+#");
		break;
	case OPTION_SEGMENT_SIZE:
		ok = parse_number(value, true, 1, SEGMENT_LIMIT, &s->segment_bytes);
		break;
	case OPTION_WINDOW:
		ok = parse_number(value, false, 1, WINDOW_LIMIT, &number);
		s->link.window = (unsigned)number;
		break;
	case OPTION_SEGMENT_CHECKSUMS: s->segment_checksums = true; break;
	case OPTION_TIMEOUT: ok = parse_number(value, false, 0, UINT32_MAX, &s->timeout_s); break;
	case OPTION_QUIET: s->quiet = true; break;
	default: ok = false;
	}
	return ok;
}

static bool usage_error(enum exit_code *code, const char *text)
{
	*code = complain(EXIT_USAGE, "%s; try --help", text);
	return false;
}

static bool check_together(struct settings *s, enum exit_code *code)
{
	if (!s->link.cert != !s->link.key || (s->link.cert && !s->link.cafile))
		return usage_error(code, "--cert and --key belong together, and to --cafile");
	if (s->link.password && !s->link.user)
		return usage_error(code, "a password needs a user");
	return true;
}

static bool read_options(struct settings *s, int argc, char **argv, enum exit_code *code)
{
	int option;

	while ((option = getopt_long(argc, argv, "h:p:u:P:i:V:", long_options, NULL)) != -1) {
		if (option == OPTION_HELP) {
			fputs(usage_text, stdout);
			*code = EXIT_DONE;
			return false;
		}
		if (option == '?')
			return usage_error(code, "wrong option");
		if (!take_option(s, option, optarg)) {
			*code = complain(EXIT_USAGE, "\"%s\" makes no sense there; try --help",
					 optarg);
			return false;
		}
	}
	return true;
}

bool options_parse(struct settings *s, int argc, char **argv, enum exit_code *code)
{
	*s = (struct settings){
		.link = { .host = "localhost", .mqtt5 = true, .window = WINDOW_DEFAULT },
		.segment_bytes = SEGMENT_DEFAULT,
		.timeout_s = TIMEOUT_DEFAULT_S,
	};
	if (!read_options(s, argc, argv, code))
		return false;
	if (argc - optind != 1)
		return usage_error(code, "one FILE, please");
	s->path = argv[optind];
	if (!s->link.port)
		s->link.port = s->link.cafile ? 8883 : 1883;
	if (!s->link.password && s->link.user)
		s->link.password = getenv("FT_PUT_PASSWORD");
	return check_together(s, code);
}
