/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/options.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/glob.h"
#include "protocol/pattern.h"

#define KIB ((uint64_t)1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define MINUTE ((uint64_t)60)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

#define LOG_SIZE_MAX (SIZE_MAX > UINT32_MAX ? 1024 * GIB : GIB)	/* it is mapped into memory */
#define SEGMENT_SIZE_DEFAULT (16 * MIB)

enum kind {
	TEXT,
	PATH,		/* a text that begins with '/', or is one of `words`, if there are any */
	WORD,		/* one of `words`; the value is `min` and its index */
	WORDS,		/* some of `words`, with commas; a bit for each by its index; or `off` */
	COUNT,
	SIZE,
	DURATION,
};

struct option {
	const char *name;
	enum kind kind;
	size_t field;			/* offset in struct ft_options */
	uint64_t fallback;
	uint64_t min, max;
	const char *const *words;
};

struct unit {
	const char *suffix;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{ "", 1 }, { "k", KIB }, { "K", KIB }, { "m", MIB }, { "M", MIB }, { "g", GIB },
	{ "G", GIB }, { NULL, 0 },
};
static const struct unit duration_units[] = {
	{ "", 1 }, { "s", 1 }, { "m", MINUTE }, { "h", HOUR }, { "d", DAY }, { NULL, 0 },
};
static const struct unit count_units[] = {
	{ "", 1 }, { NULL, 0 },
};

static const char *const durability_words[] = { "none", "file", "segment", NULL };
static const char *const owner_words[] = { "client_id", "username", NULL };
static const char *const finished_ids_words[] = { "keep", "replace", NULL };
static const char *const responses_words[] = { "all", "errors", NULL };	/* from FT_RESPONSES_ALL on */
static const char *const log_dir_words[] = { "auto", NULL };
static const char *const acl_words[] = { "none", "guard", "guard-and-allow", NULL };
static const char *const ack_sink_words[] = { "auto", "off", NULL };
static const char *const switch_words[] = { "off", "on", NULL };
static const char *const control_words[] = { "off", "on", "trusted", NULL };
static const char *const downloads_words[] = { "native", "aws", "jobs", NULL };
static const char *const s3_style_words[] = { "path", "host", NULL };
static const char *const bool_words[] = { "false", "true", NULL };

#define FIELD(name) #name
#define AT(name) offsetof(struct ft_options, name)

static const struct option table[] = {
	{ FIELD(storage_dir), PATH, AT(storage_dir), 0, 0, 0, NULL },
	{ FIELD(log_dir), PATH, AT(log_dir), 0, 0, 0, log_dir_words },
	{ FIELD(log_size), SIZE, AT(log_size), 32 * MIB, MIB, LOG_SIZE_MAX, NULL },
	{ FIELD(store), TEXT, AT(store), 0, 0, 0, NULL },
	{ FIELD(catalog), TEXT, AT(catalog), 0, 0, 0, NULL },
	{ FIELD(s3_url), TEXT, AT(s3.url), 0, 0, 0, NULL },
	{ FIELD(s3_style), WORD, AT(s3.style), FT_S3_PATH, 0, 0, s3_style_words },
	{ FIELD(s3_region), TEXT, AT(s3.region), 0, 0, 0, NULL },
	{ FIELD(s3_credentials_file), PATH, AT(s3.credentials_file), 0, 0, 0, NULL },
	{ FIELD(s3_profile), TEXT, AT(s3.profile), 0, 0, 0, NULL },
	{ FIELD(s3_ca_file), PATH, AT(s3.ca_file), 0, 0, 0, NULL },
	{ FIELD(s3_key), TEXT, AT(s3.key), 0, 0, 0, NULL },
	{ FIELD(s3_keep_local), WORD, AT(s3.keep_local), 0, 0, 0, bool_words },
	{ FIELD(s3_part_size), SIZE, AT(s3.part_size), 8 * MIB, 5 * MIB, 512 * MIB, NULL },
	{ FIELD(s3_connections), COUNT, AT(s3.connections), 8, 1, 64, NULL },
	{ FIELD(durability), WORD, AT(durability), FT_DURABILITY_FILE, 0, 0, durability_words },
	{ FIELD(workers), COUNT, AT(workers), 2, 1, 64, NULL },
	{ FIELD(assemble_timeout), DURATION, AT(assemble_timeout), 5 * MINUTE, 1, 365 * DAY, NULL },
	{ FIELD(owner), WORD, AT(owner), FT_OWNER_CLIENT_ID, 0, 0, owner_words },
	{ FIELD(finished_ids), WORD, AT(finished_ids), FT_FINISHED_IDS_KEEP, 0, 0,
	  finished_ids_words },
	{ FIELD(deduplicate), WORD, AT(deduplicate), FT_DEDUPLICATE_OFF, 0, 0, switch_words },
	{ FIELD(on_complete), PATH, AT(on_complete), 0, 0, 0, NULL },
	{ FIELD(done), WORD, AT(done), FT_DONE_OFF, 0, 0, switch_words },
	{ FIELD(segment_responses), WORD, AT(segment_responses), FT_RESPONSES_ALL,
	  FT_RESPONSES_ALL, 0, responses_words },
	{ FIELD(max_file_size), SIZE, AT(limits.max_file_size), 0, 1, INT64_MAX, NULL },
	{ FIELD(max_segment_size), SIZE, AT(limits.max_segment_size), 0, 1, INT64_MAX, NULL },
	{ FIELD(max_memory), SIZE, AT(max_memory), 64 * MIB, MIB, INT64_MAX, NULL },
	{ FIELD(max_transfers), COUNT, AT(max_transfers), 10000, 1, 10000000, NULL },
	{ FIELD(max_transfers_per_client), COUNT, AT(limits.max_transfers_per_client), 100, 1,
	  10000000, NULL },
	{ FIELD(storage_quota), SIZE, AT(limits.storage_quota), 0, 1, INT64_MAX, NULL },
	{ FIELD(client_quota), SIZE, AT(limits.client_quota), 0, 1, INT64_MAX, NULL },
	{ FIELD(client_bandwidth), SIZE, AT(limits.client_bandwidth), 0, 1, 1024 * GIB, NULL },
	{ FIELD(client_rate), COUNT, AT(limits.client_rate), 0, 1, 1000000, NULL },
	{ FIELD(limits_file), PATH, AT(limits_file), 0, 0, 0, NULL },
	{ FIELD(min_free_space), SIZE, AT(min_free_space), 256 * MIB, 0, INT64_MAX, NULL },
	{ FIELD(segments_ttl), DURATION, AT(segments_ttl), DAY, 1, 3650 * DAY, NULL },
	{ FIELD(segments_ttl_min), DURATION, AT(segments_ttl_min), 5 * MINUTE, 1, 3650 * DAY, NULL },
	{ FIELD(segments_ttl_max), DURATION, AT(segments_ttl_max), DAY, 1, 3650 * DAY, NULL },
	{ FIELD(files_ttl), DURATION, AT(files_ttl), 0, 1, 36500 * DAY, NULL },
	{ FIELD(gc_interval), DURATION, AT(gc_interval), MINUTE, 1, DAY, NULL },
	{ FIELD(events), WORD, AT(events), FT_EVENTS_OFF, 0, 0, switch_words },
	{ FIELD(sys_interval), DURATION, AT(sys_interval), 10, 0, DAY, NULL },
	{ FIELD(allow_names), TEXT, AT(allow_names), 0, 0, 0, NULL },
	{ FIELD(deny_names), TEXT, AT(deny_names), 0, 0, 0, NULL },
	{ FIELD(response_topics), TEXT, AT(response_topics), 0, 0, 0, NULL },
	{ FIELD(acl), WORD, AT(acl), FT_ACL_NONE, 0, 0, acl_words },
	{ FIELD(ack_sink), WORD, AT(ack_sink), FT_ACK_SINK_AUTO, 0, 0, ack_sink_words },
	{ FIELD(control), WORD, AT(control), FT_CONTROL_OFF, 0, 0, control_words },
	{ FIELD(downloads), WORDS, AT(downloads), 0, 0, 0, downloads_words },
	{ FIELD(offers_interval), DURATION, AT(offers_interval), 10, 1, HOUR, NULL },
	{ FIELD(announce), WORD, AT(announce), 1, 0, 0, bool_words },
	{ FIELD(max_block), SIZE, AT(max_block), 64 * KIB, 256, 256 * KIB, NULL },
	{ FIELD(max_requests_per_client), COUNT, AT(max_requests_per_client), 64, 1, 10000, NULL },
	{ FIELD(download_workers), COUNT, AT(download_workers), 2, 1, 64, NULL },
	{ FIELD(client_download_bandwidth), SIZE, AT(client_download_bandwidth), 0, 1, 1024 * GIB,
	  NULL },
	{ FIELD(download_bandwidth), SIZE, AT(download_bandwidth), 0, 1, 1024 * GIB, NULL },
	{ FIELD(tune_malloc), WORD, AT(tune_malloc), 1, 0, 0, bool_words },
};

#define TABLE_LEN (sizeof table / sizeof table[0])

_Static_assert(TABLE_LEN <= 64, "struct ft_options has a bit for each row in `given`");

static void *options_field(struct ft_options *options, const struct option *option)
{
	return (char *)options + option->field;
}

static bool options_is_text(const struct option *option)
{
	return option->kind == TEXT || option->kind == PATH;
}

static bool options_is_int(const struct option *option)
{
	return option->kind == WORD || option->kind == WORDS;
}

void ft_options_init(struct ft_options *options)
{
	memset(options, 0, sizeof *options);
	for (size_t i = 0; i < TABLE_LEN; i++) {
		if (options_is_int(&table[i]))
			*(int *)options_field(options, &table[i]) = (int)table[i].fallback;
		else if (!options_is_text(&table[i]))
			*(uint64_t *)options_field(options, &table[i]) = table[i].fallback;
	}
}

void ft_options_release(struct ft_options *options)
{
	for (size_t i = 0; i < TABLE_LEN; i++)
		if (options_is_text(&table[i]))
			free(*(char **)options_field(options, &table[i]));
	memset(options, 0, sizeof *options);
}

/* Reads digits and a unit. */
static bool options_read_number(const char *value, const struct unit *units, uint64_t *number)
{
	uint64_t n = 0;
	const char *p = value;

	for (; *p >= '0' && *p <= '9'; p++) {
		uint64_t digit = (uint64_t)(*p - '0');

		if (n > (INT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	if (p == value)
		return false;
	for (; units->suffix; units++) {
		if (strcmp(p, units->suffix) != 0)
			continue;
		if (n > INT64_MAX / units->factor)
			return false;
		*number = n * units->factor;
		return true;
	}
	return false;
}

/* The index of a word, or -1. */
static int options_find_word(const char *const *words, const char *value)
{
	for (int i = 0; words && words[i]; i++)
		if (strcmp(words[i], value) == 0)
			return i;
	return -1;
}

static bool options_text_is_good(const struct option *option, const char *value)
{
	return option->kind == PATH ? *value == '/' : *value != '\0';
}

static bool options_set_text(char **field, const struct option *option, const char *value)
{
	assert(!*field);
	return options_text_is_good(option, value) && (*field = strdup(value)) != NULL;
}

/* Of a path a word stands for NULL. */
static bool options_set_path(char **field, const struct option *option, const char *value)
{
	return options_find_word(option->words, value) >= 0
	       || options_set_text(field, option, value);
}

static bool options_set_word(int *field, const struct option *option, const char *value)
{
	int index = options_find_word(option->words, value);

	if (index < 0)
		return false;
	*field = (int)option->min + index;
	return true;
}

static bool options_set_words(int *field, const struct option *option, const char *value)
{
	char word[16];
	int bits = 0, index;

	if (strcmp(value, "off") == 0)
		return true;
	for (size_t len;; value += len + 1) {
		value += strspn(value, " ");
		len = strcspn(value, ",");
		if (len >= sizeof word)
			return false;
		memcpy(word, value, len);
		word[len] = '\0';
		if ((index = options_find_word(option->words, word)) < 0)
			return false;
		bits |= 1 << index;
		if (value[len] == '\0')
			break;
	}
	*field = bits;
	return true;
}

static bool options_set_number(uint64_t *field, const struct option *option, const char *value,
			       const struct unit *units)
{
	uint64_t number;

	if (!options_read_number(value, units, &number)
	    || number < option->min || number > option->max)
		return false;
	*field = number;
	return true;
}

static bool options_set_field(void *field, const struct option *option, const char *value)
{
	switch (option->kind) {
	case TEXT:
		return options_set_text(field, option, value);
	case PATH:
		return options_set_path(field, option, value);
	case WORD:
		return options_set_word(field, option, value);
	case WORDS:
		return options_set_words(field, option, value);
	case COUNT:
		return options_set_number(field, option, value, count_units);
	case SIZE:
		return options_set_number(field, option, value, size_units);
	case DURATION:
		return options_set_number(field, option, value, duration_units);
	}
	return false;
}

static void options_list_words(const char *const *words, struct ft_buf *why)
{
	for (int i = 0; words && words[i]; i++) {
		ft_buf_str(why, i ? ", " : "");
		ft_buf_str(why, words[i]);
	}
}

static void options_print_size(uint64_t bytes, struct ft_buf *why)
{
	static const struct unit units[] = { { "G", GIB }, { "M", MIB }, { "k", KIB }, { "", 1 } };
	const struct unit *unit = units;

	while (unit->factor > 1 && (bytes == 0 || bytes % unit->factor != 0))
		unit++;
	ft_buf_u64(why, bytes / unit->factor);
	ft_buf_str(why, unit->suffix);
}

/* What the option's kind wants. */
static void options_explain(const struct option *option, struct ft_buf *why)
{
	ft_buf_str(why, "must be ");
	switch (option->kind) {
	case TEXT:
		ft_buf_str(why, "a text that is not empty");
		break;
	case PATH:
		options_list_words(option->words, why);
		ft_buf_str(why, option->words ? " or an absolute path" : "an absolute path");
		break;
	case WORD:
		ft_buf_str(why, "one of ");
		options_list_words(option->words, why);
		break;
	case WORDS:
		ft_buf_str(why, "off, or some of ");
		options_list_words(option->words, why);
		break;
	case COUNT:
		ft_buf_printf(why, "a number from %llu to %llu", (unsigned long long)option->min,
			      (unsigned long long)option->max);
		break;
	case SIZE:
		ft_buf_str(why, "a size of at least ");
		options_print_size(option->min, why);
		if (option->max < INT64_MAX) {
			ft_buf_str(why, " and at most ");
			options_print_size(option->max, why);
		}
		ft_buf_str(why, ": bytes, or with k, M or G");
		break;
	case DURATION:
		ft_buf_printf(why, "a duration from %llus to %llu%c: a number with s, m, h or d",
			      (unsigned long long)option->min,
			      (unsigned long long)(option->max / (option->max < DAY ? HOUR : DAY)),
			      option->max < DAY ? 'h' : 'd');
		break;
	}
}

static bool options_set_row(struct ft_options *options, size_t row, const char *value,
			    struct ft_buf *why)
{
	const struct option *option = &table[row];
	uint64_t bit = (uint64_t)1 << row;

	/* Which of two lines was meant, nobody can tell; one wrong guess is a wrong disk. */
	if (options->given & bit) {
		ft_buf_printf(why, "plugin_opt_%s %.100s: is set a second time: remove one of the "
			      "lines", option->name, value);
		return false;
	}
	if (!options_set_field(options_field(options, option), option, value)) {
		ft_buf_printf(why, "plugin_opt_%s %.100s: ", option->name, value);
		if (options_is_text(option) && options_text_is_good(option, value))
			ft_buf_str(why, "out of memory");
		else
			options_explain(option, why);
		return false;
	}
	options->given |= bit;
	return true;
}

bool ft_options_set(struct ft_options *options, const char *key, const char *value,
		    struct ft_buf *why)
{
	for (size_t i = 0; i < TABLE_LEN; i++)
		if (strcmp(table[i].name, key) == 0)
			return options_set_row(options, i, value ? value : "", why);
	ft_buf_printf(why, "plugin_opt_%.100s: there is no such option; there are", key);
	for (size_t i = 0; i < TABLE_LEN; i++) {
		ft_buf_str(why, i ? ", " : " ");
		ft_buf_str(why, table[i].name);
	}
	return false;
}

bool ft_options_number(const char *name, const char *value, uint64_t *number, struct ft_buf *why)
{
	const struct option *option = table;

	while (strcmp(option->name, name) != 0)
		option++;
	assert(option < table + TABLE_LEN && !options_is_text(option) && option->kind != WORD);
	if (options_set_field(number, option, value))
		return true;
	ft_buf_printf(why, "%s ", name);
	ft_buf_printable(why, value, strlen(value), 100);
	ft_buf_str(why, ": ");
	options_explain(option, why);
	return false;
}

/* --- what concerns more than one option --- */

static bool options_check_storage_dir(struct ft_options *options, struct ft_buf *why)
{
	if (options->storage_dir)
		return true;
	ft_buf_str(why, "plugin_opt_storage_dir is missing: name the directory that files "
		   "go to, writable by the broker's user");
	return false;
}

static bool options_check_ttl(struct ft_options *options, struct ft_buf *why)
{
	if (options->segments_ttl_min <= options->segments_ttl_max)
		return true;
	ft_buf_printf(why, "plugin_opt_segments_ttl_min (%llus) is above "
		      "plugin_opt_segments_ttl_max (%llus)",
		      (unsigned long long)options->segments_ttl_min,
		      (unsigned long long)options->segments_ttl_max);
	return false;
}

/* A segment waits in the log as a whole, and two of them must find room. */
static bool options_check_segments(struct ft_options *options, struct ft_buf *why)
{
	uint64_t half = options->log_size / 2;
	uint64_t *size = &options->limits.max_segment_size;

	if (*size == 0)
		*size = half < SEGMENT_SIZE_DEFAULT ? half : SEGMENT_SIZE_DEFAULT;
	if (*size <= half)
		return true;
	ft_buf_str(why, "plugin_opt_max_segment_size ");
	options_print_size(*size, why);
	ft_buf_str(why, ": must be at most half of plugin_opt_log_size, which is ");
	options_print_size(options->log_size, why);
	return false;
}

static bool options_check_response_topics(struct ft_options *options, struct ft_buf *why)
{
	const char *wrong = ft_patterns_check(options->response_topics);

	if (!wrong)
		return true;
	ft_buf_printf(why, "plugin_opt_response_topics %.200s: %s", options->response_topics, wrong);
	return false;
}

/*
 * A plugin cannot see whether anything decides who may publish where. With `acl guard` something
 * does: where nothing else would, the broker then denies everything.
 */
static bool options_check_control(struct ft_options *options, struct ft_buf *why)
{
	if (options->control != FT_CONTROL_ON || options->acl == FT_ACL_GUARD)
		return true;
	ft_buf_str(why, "plugin_opt_control on: needs plugin_opt_acl guard, and an acl_file or ACL "
		   "plugin that says who may publish to $CONTROL/file-transfer/v1; or say "
		   "plugin_opt_control trusted, if whoever can publish there may do everything");
	return false;
}

static bool options_check_names(struct ft_options *options, struct ft_buf *why)
{
	const char *const lists[] = { options->allow_names, options->deny_names };
	static const char *const names[] = { "allow_names", "deny_names" };

	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		const char *wrong = ft_globs_check(lists[i]);

		if (!wrong)
			continue;
		ft_buf_printf(why, "plugin_opt_%s %.200s: %s", names[i], lists[i], wrong);
		return false;
	}
	return true;
}

/* What is said of an object store and goes nowhere would be a surprise, and so would its lack. */
static bool options_check_s3(struct ft_options *options, struct ft_buf *why)
{
	bool wanted = options->store && strcmp(options->store, "s3") == 0;

	if (wanted && !options->s3.url) {
		ft_buf_str(why, "plugin_opt_store s3: needs plugin_opt_s3_url, such as "
			   "https://s3.example/bucket/prefix");
		return false;
	}
	for (size_t i = 0; !wanted && i < TABLE_LEN; i++) {
		if (strncmp(table[i].name, "s3_", 3) != 0 || !(options->given & (uint64_t)1 << i))
			continue;
		ft_buf_printf(why, "plugin_opt_%s: is of use with plugin_opt_store s3 only",
			      table[i].name);
		return false;
	}
	return true;
}

const char *ft_options_catalog_url(const struct ft_options *options)
{
	return options->catalog && strcmp(options->catalog, "sqlite") != 0 ? options->catalog : NULL;
}

/* The value is not repeated: it may have a password. */
static bool options_check_catalog(struct ft_options *options, struct ft_buf *why)
{
	const char *url = ft_options_catalog_url(options);

	if (!url)
		return true;
	if (strncmp(url, "postgresql://", 13) != 0 && strncmp(url, "postgres://", 11) != 0) {
		ft_buf_str(why, "plugin_opt_catalog: is sqlite, or begins with postgresql://");
		return false;
	}
	if (options->store && strcmp(options->store, "memory") == 0) {
		ft_buf_str(why, "plugin_opt_catalog: a database is of no use with plugin_opt_store memory, "
			   "which forgets");
		return false;
	}
	return true;
}

bool ft_options_check(struct ft_options *options, struct ft_buf *why)
{
	static bool (*const checks[])(struct ft_options *options, struct ft_buf *why) = {
		options_check_storage_dir,
		options_check_ttl,
		options_check_segments,
		options_check_response_topics,
		options_check_control,
		options_check_names,
		options_check_s3,
		options_check_catalog,
	};
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	options->log_size = (options->log_size + page - 1) / page * page;
	for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
		if (!checks[i](options, why))
			return false;
	return true;
}
