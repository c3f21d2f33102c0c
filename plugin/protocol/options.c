/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/options.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define KIB ((uint64_t)1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define MINUTE ((uint64_t)60)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

enum kind {
	TEXT,
	WORD,		/* one of `words`; the value is its index */
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
static const char *const acl_words[] = { "none", "guard", "guard-and-allow", NULL };
static const char *const ack_sink_words[] = { "auto", "off", NULL };
static const char *const bool_words[] = { "false", "true", NULL };

#define FIELD(name) #name
#define AT(name) offsetof(struct ft_options, name)

static const struct option table[] = {
	{ FIELD(storage_dir), TEXT, AT(storage_dir), 0, 0, 0, NULL },
	{ FIELD(store), TEXT, AT(store), 0, 0, 0, NULL },
	{ FIELD(response_topics), TEXT, AT(response_topics), 0, 0, 0, NULL },
	{ FIELD(durability), WORD, AT(durability), FT_DURABILITY_FILE, 0, 0, durability_words },
	{ FIELD(acl), WORD, AT(acl), FT_ACL_NONE, 0, 0, acl_words },
	{ FIELD(ack_sink), WORD, AT(ack_sink), FT_ACK_SINK_AUTO, 0, 0, ack_sink_words },
	{ FIELD(tune_malloc), WORD, AT(tune_malloc), 1, 0, 0, bool_words },
	{ FIELD(workers), COUNT, AT(workers), 1, 1, 64, NULL },
	{ FIELD(max_file_size), SIZE, AT(max_file_size), 0, 1, INT64_MAX, NULL },
	{ FIELD(max_segment_size), SIZE, AT(max_segment_size), 0, 1, INT64_MAX, NULL },
	{ FIELD(max_transfers), COUNT, AT(max_transfers), 10000, 1, 10000000, NULL },
	{ FIELD(max_transfers_per_client), COUNT, AT(max_transfers_per_client), 100, 1, 10000000,
	  NULL },
	{ FIELD(min_free_space), SIZE, AT(min_free_space), 256 * MIB, 0, INT64_MAX, NULL },
	{ FIELD(assemble_timeout), DURATION, AT(assemble_timeout), 5 * MINUTE, 1, 365 * DAY, NULL },
	{ FIELD(segments_ttl), DURATION, AT(segments_ttl), DAY, 1, 3650 * DAY, NULL },
	{ FIELD(segments_ttl_min), DURATION, AT(segments_ttl_min), 5 * MINUTE, 1, 3650 * DAY, NULL },
	{ FIELD(segments_ttl_max), DURATION, AT(segments_ttl_max), DAY, 1, 3650 * DAY, NULL },
	{ FIELD(gc_interval), DURATION, AT(gc_interval), MINUTE, 1, DAY, NULL },
};

#define TABLE_LEN (sizeof table / sizeof table[0])

static void *field_of(struct ft_options *options, const struct option *option)
{
	return (char *)options + option->field;
}

void ft_options_init(struct ft_options *options)
{
	memset(options, 0, sizeof *options);
	for (size_t i = 0; i < TABLE_LEN; i++) {
		if (table[i].kind == WORD)
			*(int *)field_of(options, &table[i]) = (int)table[i].fallback;
		else if (table[i].kind != TEXT)
			*(uint64_t *)field_of(options, &table[i]) = table[i].fallback;
	}
}

void ft_options_release(struct ft_options *options)
{
	free(options->storage_dir);
	free(options->store);
	free(options->response_topics);
	memset(options, 0, sizeof *options);
}

/* Reads digits and a unit. */
static bool read_number(const char *value, const struct unit *units, uint64_t *number)
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

static bool set_text(char **field, const char *value, struct ft_buf *why)
{
	char *copy = strdup(value);

	if (!copy) {
		ft_buf_str(why, "out of memory");
		return false;
	}
	free(*field);
	*field = copy;
	return true;
}

static bool set_word(int *field, const char *const *words, const char *value)
{
	for (int i = 0; words[i]; i++) {
		if (strcmp(words[i], value) == 0) {
			*field = i;
			return true;
		}
	}
	return false;
}

static bool set_number(uint64_t *field, const struct option *option, const char *value)
{
	static const struct unit *const units[] = {
		[COUNT] = count_units, [SIZE] = size_units, [DURATION] = duration_units,
	};
	uint64_t number;

	if (!read_number(value, units[option->kind], &number)
	    || number < option->min || number > option->max)
		return false;
	*field = number;
	return true;
}

/* "must be ...", in the words of the option's kind. */
static void explain(const struct option *option, struct ft_buf *why)
{
	switch (option->kind) {
	case TEXT:
		ft_buf_str(why, "a text that is not empty");
		break;
	case WORD:
		for (int i = 0; option->words[i]; i++) {
			ft_buf_str(why, i ? ", " : "one of ");
			ft_buf_str(why, option->words[i]);
		}
		break;
	case COUNT:
		ft_buf_printf(why, "a number from %llu to %llu", (unsigned long long)option->min,
			      (unsigned long long)option->max);
		break;
	case SIZE:
		ft_buf_printf(why, "a size of at least %llu: bytes, or with k, M or G",
			      (unsigned long long)option->min);
		break;
	case DURATION:
		ft_buf_printf(why, "a duration from %llus to %llud: a number with s, m, h or d",
			      (unsigned long long)option->min,
			      (unsigned long long)(option->max / DAY));
		break;
	}
}

static bool set(struct ft_options *options, const struct option *option,
			  const char *value, struct ft_buf *why)
{
	void *field = field_of(options, option);
	bool ok = false;

	if (option->kind == TEXT && *value != '\0')
		return set_text(field, value, why);
	if (option->kind == WORD)
		ok = set_word(field, option->words, value);
	else if (option->kind != TEXT)
		ok = set_number(field, option, value);
	if (ok)
		return true;
	ft_buf_printf(why, "plugin_opt_%s %.100s: must be ", option->name, value);
	explain(option, why);
	return false;
}

bool ft_options_set(struct ft_options *options, const char *key, const char *value,
		    struct ft_buf *why)
{
	for (size_t i = 0; i < TABLE_LEN; i++)
		if (strcmp(table[i].name, key) == 0)
			return set(options, &table[i], value ? value : "", why);
	ft_buf_printf(why, "plugin_opt_%.100s: there is no such option; there are", key);
	for (size_t i = 0; i < TABLE_LEN; i++) {
		ft_buf_str(why, i ? ", " : " ");
		ft_buf_str(why, table[i].name);
	}
	return false;
}

bool ft_options_check(const struct ft_options *options, struct ft_buf *why)
{
	if (!options->storage_dir) {
		ft_buf_str(why, "plugin_opt_storage_dir is missing: name the directory that files "
			   "go to, writable by the broker's user");
		return false;
	}
	if (options->storage_dir[0] != '/') {
		ft_buf_printf(why, "plugin_opt_storage_dir %.200s: must be an absolute path",
			      options->storage_dir);
		return false;
	}
	if (options->segments_ttl_min > options->segments_ttl_max) {
		ft_buf_printf(why, "plugin_opt_segments_ttl_min (%llus) is above "
			      "plugin_opt_segments_ttl_max (%llus)",
			      (unsigned long long)options->segments_ttl_min,
			      (unsigned long long)options->segments_ttl_max);
		return false;
	}
	return true;
}
