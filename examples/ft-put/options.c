/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "options.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <getopt.h>
#include <mosquitto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "usage.h"

#define SEGMENT_LIMIT ((uint64_t)128 * 1024 * 1024)	/* MQTT's is 256 MiB for the whole packet */
#define WINDOW_LIMIT 500	/* fewer than the responses that a broker queues: 1000 */
#define TIMEOUT_DEFAULT_S 300
#define RATE_MIN 100		/* below it a keep-alive would be too long for a segment */

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

char *options_own(struct settings *s, char *text)
{
	/* Configuration files may be long; what is beyond the room lives as long as we do. */
	if (text && s->owned_count < sizeof(s->owned) / sizeof(s->owned[0]))
		s->owned[s->owned_count++] = text;
	return text;
}

void options_release(struct settings *s)
{
	while (s->owned_count)
		free(s->owned[--s->owned_count]);
}

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

static bool parse_unsigned(const char *text, const struct unit *units, unsigned min, unsigned max,
			   unsigned *number)
{
	uint64_t wide = 0;
	bool ok = parse_number(text, units, min, max, &wide);

	*number = (unsigned)wide;
	return ok;
}

static bool parse_version(const char *text, bool *mqtt5)
{
	if (strncmp(text, "mqttv", 5) == 0)
		text += 5;
	*mqtt5 = strcmp(text, "5") == 0;
	return *mqtt5 || strcmp(text, "311") == 0;
}

static bool parse_reconnect(const char *text, enum ft_client_reconnect *policy)
{
	static const struct {
		const char *word;
		enum ft_client_reconnect policy;
	} words[] = {
		{ "first", FT_CLIENT_RECONNECT_AFTER_SUCCESS },
		{ "never", FT_CLIENT_RECONNECT_NEVER },
		{ "always", FT_CLIENT_RECONNECT_ALWAYS },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		*policy = words[i].policy;
		if (strcmp(text, words[i].word) == 0)
			return true;
	}
	return false;
}

static bool parse_segment_size(const char *text, uint64_t *bytes)
{
	*bytes = 0;
	return strcmp(text, "auto") == 0 || parse_number(text, sizes, 1, SEGMENT_LIMIT, bytes);
}

static bool is_json(const char *text)
{
	cJSON *value = cJSON_ParseWithOpts(text, NULL, 1);

	cJSON_Delete(value);
	return value != NULL;
}

static bool parse_port(const char *text, int *port)
{
	unsigned number;
	bool ok = parse_unsigned(text, no_units, 1, 65535, &number);

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

bool options_url(struct settings *s, const char *url)
{
	bool tls = strncmp(url, "mqtts://", 8) == 0;
	char *rest = tls || strncmp(url, "mqtt://", 7) == 0
		     ? options_own(s, strdup(url + 7 + tls)) : NULL;
	char *at = rest ? strrchr(rest, '@') : NULL;
	struct link_options *link = &s->client.link;

	if (!rest)
		return false;
	rest[strcspn(rest, "/")] = '\0';
	at = strrchr(rest, '@');
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
	s->tls_url = tls;
	return parse_host(s, at ? at + 1 : rest);
}

enum long_option {
	OPTION_UNIX = 256, OPTION_CAFILE, OPTION_CAPATH, OPTION_CERT, OPTION_KEY, OPTION_INSECURE,
	OPTION_TLS_VERSION, OPTION_CIPHERS, OPTION_PSK, OPTION_PSK_IDENTITY, OPTION_NAME,
	OPTION_FILE_ID, OPTION_SEGMENT_SIZE, OPTION_WINDOW, OPTION_SEGMENT_CHECKSUMS,
	OPTION_RATE, OPTION_RESUME, OPTION_NO_RESUME, OPTION_TTL, OPTION_EXPIRE, OPTION_USER_DATA,
	OPTION_TIMEOUT, OPTION_ACK_TIMEOUT, OPTION_RECONNECT, OPTION_CONFIG, OPTION_STATE_DIR,
	OPTION_QUIET, OPTION_JSON, OPTION_HELP,
};

static const struct option long_options[] = {
	{ "host", required_argument, NULL, 'h' },
	{ "port", required_argument, NULL, 'p' },
	{ "url", required_argument, NULL, 'L' },
	{ "unix", required_argument, NULL, OPTION_UNIX },
	{ "username", required_argument, NULL, 'u' },
	{ "user", required_argument, NULL, 'u' },
	{ "pw", required_argument, NULL, 'P' },
	{ "password", required_argument, NULL, 'P' },
	{ "id", required_argument, NULL, 'i' },
	{ "mqtt", required_argument, NULL, 'V' },
	{ "protocol-version", required_argument, NULL, 'V' },
	{ "keepalive", required_argument, NULL, 'k' },
	{ "qos", required_argument, NULL, 'q' },
	{ "cafile", required_argument, NULL, OPTION_CAFILE },
	{ "capath", required_argument, NULL, OPTION_CAPATH },
	{ "cert", required_argument, NULL, OPTION_CERT },
	{ "key", required_argument, NULL, OPTION_KEY },
	{ "insecure", no_argument, NULL, OPTION_INSECURE },
	{ "tls-version", required_argument, NULL, OPTION_TLS_VERSION },
	{ "ciphers", required_argument, NULL, OPTION_CIPHERS },
	{ "psk", required_argument, NULL, OPTION_PSK },
	{ "psk-identity", required_argument, NULL, OPTION_PSK_IDENTITY },
	{ "name", required_argument, NULL, OPTION_NAME },
	{ "file-id", required_argument, NULL, OPTION_FILE_ID },
	{ "segment-size", required_argument, NULL, OPTION_SEGMENT_SIZE },
	{ "window", required_argument, NULL, OPTION_WINDOW },
	{ "segment-checksums", no_argument, NULL, OPTION_SEGMENT_CHECKSUMS },
	{ "rate", required_argument, NULL, OPTION_RATE },
	{ "resume", no_argument, NULL, OPTION_RESUME },
	{ "no-resume", no_argument, NULL, OPTION_NO_RESUME },
	{ "ttl", required_argument, NULL, OPTION_TTL },
	{ "expire", required_argument, NULL, OPTION_EXPIRE },
	{ "user-data", required_argument, NULL, OPTION_USER_DATA },
	{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
	{ "ack-timeout", required_argument, NULL, OPTION_ACK_TIMEOUT },
	{ "reconnect", required_argument, NULL, OPTION_RECONNECT },
	{ "config", required_argument, NULL, OPTION_CONFIG },
	{ "state-dir", required_argument, NULL, OPTION_STATE_DIR },
	{ "quiet", no_argument, NULL, OPTION_QUIET },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ NULL, 0, NULL, 0 },
};

static const char short_options[] = "h:p:L:u:P:i:V:k:q:";

/* The broker takes no other text for an id that goes into a topic. */
static bool fits_topic(const char *id)
{
	return *id && !strpbrk(id, "+#") && mosquitto_validate_utf8(id, (int)strlen(id)) == 0;
}

/* Options of the connection: one case each. -1: it is none of them; 0: a wrong value. */
static int take_link_option(struct settings *s, int option, char *value)
{
	struct link_options *link = &s->client.link;
	unsigned number = 0;
	bool ok = true;

	switch (option) {
	case 'h': link->host = value; link->unix_path = NULL; break;
	case 'p': ok = parse_port(value, &link->port); break;
	case 'L': ok = options_url(s, value); break;
	case 'u': link->user = value; break;
	case 'P': link->password = value; break;
	/* '+' and '#' cannot be in a topic: nobody could answer such a client. */
	case 'i': link->client_id = value; ok = fits_topic(value); break;
	case 'V': ok = parse_version(value, &link->mqtt5); break;
	case 'k':
		ok = parse_unsigned(value, no_units, 5, 65535, &number);
		link->keepalive_s = (int)number;
		break;
	case 'q': ok = strcmp(value, "1") == 0; break;	/* as it is in any case */
	case OPTION_UNIX: link->unix_path = value; break;
	case OPTION_CAFILE: link->cafile = value; break;
	case OPTION_CAPATH: link->capath = value; break;
	case OPTION_CERT: link->cert = value; break;
	case OPTION_KEY: link->key = value; break;
	case OPTION_INSECURE: link->insecure = true; break;
	case OPTION_TLS_VERSION: link->tls_version = value; break;
	case OPTION_CIPHERS: link->ciphers = value; break;
	case OPTION_PSK: link->psk = value; break;
	case OPTION_PSK_IDENTITY: link->psk_identity = value; break;
	case OPTION_WINDOW:
		ok = parse_unsigned(value, no_units, 1, WINDOW_LIMIT, &link->window);
		break;
	default: return -1;
	}
	return ok;
}

/* The others. False: the value of the option is wrong. */
static bool take_option(struct settings *s, int option, char *value)
{
	struct ft_client_options *client = &s->client;
	bool ok = true;

	switch (option) {
	case OPTION_NAME: s->file.name = value; break;
	case OPTION_FILE_ID:
		s->file.file_id = value;
		ok = strlen(value) <= 255 && !strchr(value, '/') && fits_topic(value);
		break;
	case OPTION_SEGMENT_SIZE: ok = parse_segment_size(value, &client->segment_bytes); break;
	case OPTION_SEGMENT_CHECKSUMS: client->segment_checksums = true; break;
	case OPTION_RATE:
		ok = parse_number(value, sizes, RATE_MIN, UINT32_MAX * 1024ull, &client->rate);
		break;
	case OPTION_RESUME: s->file.from_scratch = false; break;
	case OPTION_NO_RESUME: s->file.from_scratch = true; break;
	case OPTION_TTL: ok = parse_number(value, durations, 1, UINT32_MAX, &s->file.ttl_s); break;
	case OPTION_EXPIRE:
		ok = parse_number(value, durations, 1, UINT32_MAX, &s->file.expire_s);
		break;
	case OPTION_USER_DATA: s->file.user_data = value; ok = is_json(value); break;
	case OPTION_TIMEOUT:
		ok = parse_unsigned(value, durations, 0, UINT32_MAX, &client->patience_s);
		break;
	case OPTION_ACK_TIMEOUT:
		ok = parse_unsigned(value, durations, 1, 86400, &client->ack_timeout_s);
		break;
	case OPTION_RECONNECT: ok = parse_reconnect(value, &client->reconnect); break;
	case OPTION_CONFIG: s->config = value; break;
	case OPTION_STATE_DIR: s->state_dir = value; break;
	case OPTION_QUIET: s->quiet = true; break;
	case OPTION_JSON: s->json = true; break;
	default: ok = false;
	}
	return ok;
}

static bool usage_error(enum exit_code *code, const char *text)
{
	*code = complain(EXIT_USAGE, "%s; try --help", text);
	return false;
}

static bool read_options(struct settings *s, int argc, char **argv, enum exit_code *code)
{
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
		if (option == OPTION_HELP) {
			fputs(usage_text, stdout);
			*code = EXIT_DONE;
			return false;
		}
		if (option == '?')
			return usage_error(code, "wrong option");
		int taken = take_link_option(s, option, optarg);
		if (taken == 0 || (taken < 0 && !take_option(s, option, optarg))) {
			*code = complain(EXIT_USAGE, "\"%s\" makes no sense there; try --help",
					 optarg);
			return false;
		}
	}
	return true;
}

static bool check_together(struct settings *s, enum exit_code *code)
{
	const struct link_options *link = &s->client.link;

	if (!link->cert != !link->key || (link->cert && !link->cafile && !link->capath))
		return usage_error(code, "--cert and --key belong together, and to --cafile");
	if ((link->insecure || link->tls_version || link->ciphers) && !s->tls)
		return usage_error(code, "--insecure, --tls-version and --ciphers need --cafile, "
				   "--capath, --psk or mqtts://");
	if (!link->psk != !link->psk_identity)
		return usage_error(code, "--psk and --psk-identity belong together");
	if (link->password && !link->user)
		return usage_error(code, "a password needs a user");
	if (s->path_count > 1 && (s->file.name || s->file.file_id))
		return usage_error(code, "--name and --file-id are for one FILE");
	return true;
}

/* A URL among the files is the broker. */
static bool take_paths(struct settings *s, int argc, char **argv, enum exit_code *code)
{
	int kept = optind, streams = 0;

	for (int i = optind; i < argc; i++) {
		bool url = strncmp(argv[i], "mqtt://", 7) == 0 ||
			   strncmp(argv[i], "mqtts://", 8) == 0;
		if (url && !options_url(s, argv[i])) {
			*code = complain(EXIT_USAGE, "cannot make sense of %s", argv[i]);
			return false;
		}
		if (!url)
			argv[kept++] = argv[i];
		streams += strcmp(argv[i], "-") == 0;
	}
	s->paths = argv + optind;
	s->path_count = kept - optind;
	if (streams > 1)
		return usage_error(code, "there is one standard input only");
	return s->path_count > 0 || usage_error(code, "what is to be sent?");
}

/* The option that names the configuration has to be found before the others. */
static const char *find_config(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
			return argv[i + 1];
		if (strncmp(argv[i], "--config=", 9) == 0)
			return argv[i] + 9;
	}
	return NULL;
}

static bool read_config(struct settings *s, const char *path, enum exit_code *code)
{
	struct config config;

	if (!config_load(&config, path, code))
		return false;
	options_own(s, config.text);
	options_own(s, (char *)config.args);
	bool ok = config.count < 2 || read_options(s, config.count, config.args, code);
	if (ok && (config.count < 2 || optind == config.count))
		return true;
	/* "insecure false" would mean --insecure. */
	if (ok)
		*code = complain(EXIT_USAGE, "\"%s\" is the value of an option that takes none",
				 config.args[optind]);
	complain(*code, "(in %s)", config.path);
	return false;
}

bool options_parse(struct settings *s, int argc, char **argv, enum exit_code *code)
{
	struct link_options *link = &s->client.link;

	*s = (struct settings){
		.client = { .link = { .host = "localhost", .mqtt5 = true },
			    .patience_s = TIMEOUT_DEFAULT_S },
	};
	if (!read_config(s, find_config(argc, argv), code) || !read_options(s, argc, argv, code) ||
	    !take_paths(s, argc, argv, code))
		return false;
	/* The system's, where the user names none. */
	if (s->tls_url && !link->cafile && !link->capath && !link->psk)
		link->capath = "/etc/ssl/certs";
	s->tls = link->cafile || link->capath || link->psk;
	if (!link->port)
		link->port = s->tls ? 8883 : 1883;
	if (!link->password && link->user)
		link->password = getenv("FT_PUT_PASSWORD");
	return check_together(s, code);
}
