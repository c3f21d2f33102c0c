/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/limits.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/wildcard.h"
#include "protocol/control.h"
#include "protocol/glob.h"

#define LIMITS_EXACT_MAX 9007199254740992.0	/* 2^53: larger numbers of JSON are not exact */
#define LIMITS_ID_SHOWN 60			/* bytes of a pattern in a line */
#define LIMITS_TEXT_SHOWN 20
#define LIMITS_LINE_ROOM 700

/* Named as the options, whose rules for values count. */
static const struct {
	const char *name;
	size_t field;
} limits_table[] = {
#define LIMIT(name) { #name, offsetof(struct ft_limits, name) }
	LIMIT(storage_quota),
	LIMIT(client_quota),
	LIMIT(client_bandwidth),
	LIMIT(client_rate),
	LIMIT(max_file_size),
	LIMIT(max_segment_size),
	LIMIT(max_transfers_per_client),
#undef LIMIT
};

#define LIMITS_COUNT (sizeof limits_table / sizeof limits_table[0])

static uint64_t limits_get(const struct ft_limits *limits, size_t i)
{
	return *(const uint64_t *)(const void *)((const char *)limits + limits_table[i].field);
}

static void limits_set(struct ft_limits *limits, size_t i, uint64_t value)
{
	*(uint64_t *)(void *)((char *)limits + limits_table[i].field) = value;
}

static size_t limits_index(const char *name)
{
	size_t i = 0;

	while (i < LIMITS_COUNT && strcmp(name, limits_table[i].name) != 0)
		i++;
	return i;
}

/* --- reading --- */

/* `at` is where the text stops to be JSON. */
static void limits_explain_json(const char *text, const char *at, struct ft_buf *why)
{
	size_t line = 1;

	while ((text = memchr(text, '\n', (size_t)(at - text))) != NULL) {
		line++;
		text++;
	}
	ft_buf_printf(why, "line %zu: is no JSON from here on: '", line);
	ft_buf_printable(why, at, strlen(at), LIMITS_TEXT_SHOWN);
	ft_buf_char(why, '\'');
}

/* The file may have anything for one. */
static void limits_say_key(struct ft_buf *why, const cJSON *item)
{
	ft_buf_printable(why, item->string, strlen(item->string), LIMITS_ID_SHOWN);
	ft_buf_str(why, ": ");
}

/* A value as an option would be given it. */
static bool limits_value(const cJSON *item, uint64_t *value, struct ft_buf *why)
{
	char number[32];

	if (cJSON_IsString(item))
		return ft_options_number(item->string, item->valuestring, value, why);
	if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble > LIMITS_EXACT_MAX
	    || item->valuedouble != (double)(uint64_t)item->valuedouble) {
		ft_buf_printf(why, "%s: must be a text as in mosquitto.conf, a whole number, or null",
			      item->string);
		return false;
	}
	snprintf(number, sizeof number, "%.0f", item->valuedouble);
	return ft_options_number(item->string, number, value, why);
}

static bool limits_read_limit(struct ft_override *row, size_t i, const cJSON *item,
			      const struct ft_options *options, struct ft_buf *why)
{
	bool is_segment = limits_table[i].field == offsetof(struct ft_limits, max_segment_size);
	uint64_t value = 0;

	if (cJSON_IsNull(item) && is_segment) {
		ft_buf_str(why, "max_segment_size: cannot be without a limit");
		return false;
	}
	if (!cJSON_IsNull(item) && !limits_value(item, &value, why))
		return false;
	if (is_segment && value > options->log_size / 2) {
		ft_buf_str(why, "max_segment_size: must be at most half of log_size");
		return false;
	}
	limits_set(&row->limits, i, value);
	return true;
}

static bool limits_read_pattern(char **field, const cJSON *item, struct ft_buf *why)
{
	if (!cJSON_IsString(item) || !*item->valuestring || strlen(item->valuestring) > FT_GLOB_MAX) {
		ft_buf_printf(why, "%s: must be a pattern of 1 to %d bytes", item->string, FT_GLOB_MAX);
		return false;
	}
	if (!(*field = strdup(item->valuestring)))
		ft_buf_str(why, "out of memory");
	return *field != NULL;
}

static bool limits_read_member(struct ft_override *row, const cJSON *item,
			       const struct ft_options *options, struct ft_buf *why)
{
	if (strcmp(item->string, "client") == 0)
		return limits_read_pattern(&row->client, item, why);
	if (strcmp(item->string, "user") == 0)
		return limits_read_pattern(&row->user, item, why);
	if (limits_index(item->string) < LIMITS_COUNT)
		return limits_read_limit(row, limits_index(item->string), item, options, why);
	limits_say_key(why, item);
	ft_buf_str(why, "there is no such key; there are client, user");
	for (size_t i = 0; i < LIMITS_COUNT; i++)
		ft_buf_printf(why, ", %s", limits_table[i].name);
	return false;
}

/* Which of two values was meant, nobody can tell. */
static bool limits_is_first(const cJSON *object, const cJSON *item)
{
	return cJSON_GetObjectItemCaseSensitive(object, item->string) == item;
}

static bool limits_read_row(struct ft_override *row, const cJSON *object,
			    const struct ft_options *options, struct ft_buf *why)
{
	const cJSON *item;

	row->limits = options->limits;
	if (!cJSON_IsObject(object)) {
		ft_buf_str(why, "must be an object");
		return false;
	}
	cJSON_ArrayForEach(item, object) {
		if (!limits_is_first(object, item)) {
			limits_say_key(why, item);
			ft_buf_str(why, "is there twice");
			return false;
		}
		if (!limits_read_member(row, item, options, why))
			return false;
	}
	if (row->client || row->user)
		return true;
	ft_buf_str(why, "has neither client nor user");
	return false;
}

static enum ft_status limits_read_rows(const cJSON *list, const struct ft_options *options,
				       struct ft_overrides **out, struct ft_buf *why)
{
	size_t count = (size_t)cJSON_GetArraySize(list);
	struct ft_overrides *overrides;
	const cJSON *object;
	enum ft_status st = FT_OK;

	if (count > FT_OVERRIDES_MAX) {
		ft_buf_printf(why, "there may be %d overrides at most", FT_OVERRIDES_MAX);
		return FT_INVALID_FILEMETA;
	}
	if (!(overrides = calloc(1, sizeof *overrides + count * sizeof overrides->rows[0])))
		return FT_NO_MEMORY;
	cJSON_ArrayForEach(object, list) {
		char room[LIMITS_LINE_ROOM];
		struct ft_buf wrong = ft_buf_on(room, sizeof room);

		if (st == FT_OK && !limits_read_row(&overrides->rows[overrides->count++], object,
						    options, &wrong)) {
			ft_buf_printf(why, "override %zu: %s", overrides->count, room);
			st = FT_INVALID_FILEMETA;
		}
	}
	if (st == FT_OK)
		*out = overrides;
	else
		ft_overrides_free(&overrides);
	return st;
}

static enum ft_status limits_read_root(const cJSON *root, const struct ft_options *options,
				       struct ft_overrides **out, struct ft_buf *why)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "overrides"), *item;

	if (!cJSON_IsObject(root) || !cJSON_IsArray(list)) {
		ft_buf_str(why, "must be an object with an array \"overrides\"");
		return FT_INVALID_FILEMETA;
	}
	cJSON_ArrayForEach(item, root) {
		if (item != list) {
			limits_say_key(why, item);
			ft_buf_str(why, "there is no such key, or it is there twice; there is overrides");
			return FT_INVALID_FILEMETA;
		}
	}
	return limits_read_rows(list, options, out, why);
}

enum ft_status ft_overrides_read(const char *text, size_t len, const struct ft_options *options,
				 struct ft_overrides **out, struct ft_buf *why)
{
	char *copy = strndup(text, len);	/* cJSON wants a NUL */
	const char *end = copy;
	cJSON *root = NULL;
	enum ft_status st = FT_INVALID_FILEMETA;

	*out = NULL;
	if (!copy)
		return FT_NO_MEMORY;
	if (strlen(copy) == len)
		root = cJSON_ParseWithOpts(copy, &end, 1);
	if (root)
		st = limits_read_root(root, options, out, why);
	else
		limits_explain_json(copy, end ? end : copy, why);
	cJSON_Delete(root);
	free(copy);
	return st;
}

void ft_overrides_free(struct ft_overrides **overrides)
{
	for (size_t i = 0; *overrides && i < (*overrides)->count; i++) {
		free((*overrides)->rows[i].client);
		free((*overrides)->rows[i].user);
	}
	free(*overrides);
	*overrides = NULL;
}

/* --- changing --- */

static bool limits_same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* NULL: it is not there. */
static const char *limits_pattern_in(const cJSON *row, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, key));
}

static cJSON *limits_row_of(const cJSON *list, const struct ft_limits_change *change)
{
	cJSON *row;

	cJSON_ArrayForEach(row, list) {
		if (limits_same_text(limits_pattern_in(row, "client"), change->client)
		    && limits_same_text(limits_pattern_in(row, "user"), change->user))
			return row;
	}
	return NULL;
}

/* Whether all that `narrow` matches `wide` matches, too; a pattern stands for its own clients. */
static bool limits_covers(const char *wide, const char *narrow)
{
	return !wide || (narrow && ft_wildcard_match(wide, narrow));
}

/* The rows from `place` on go behind a new one. (Debian's 1.7.15 inserts at an end only.) */
static bool limits_insert(cJSON *list, int place, cJSON *row)
{
	int behind = cJSON_GetArraySize(list) - place;

	if (!cJSON_AddItemToArray(list, row))
		return false;
	while (behind-- > 0)
		(void)cJSON_AddItemToArray(list, cJSON_DetachItemFromArray(list, place));
	return true;
}

/* A row for new patterns, in its place. NULL: out of memory. */
static cJSON *limits_add_row(cJSON *list, const struct ft_limits_change *change)
{
	cJSON *row = cJSON_CreateObject();
	const cJSON *other;
	int place = 0;

	if (!row || (change->client && !cJSON_AddStringToObject(row, "client", change->client))
	    || (change->user && !cJSON_AddStringToObject(row, "user", change->user))) {
		cJSON_Delete(row);
		return NULL;
	}
	cJSON_ArrayForEach(other, list) {
		if (limits_covers(limits_pattern_in(other, "client"), change->client)
		    && limits_covers(limits_pattern_in(other, "user"), change->user))
			break;
		place++;
	}
	if (limits_insert(list, place, row))
		return row;
	cJSON_Delete(row);
	return NULL;
}

static enum ft_status limits_refuse(struct ft_buf *why, const char *name, const char *what)
{
	ft_buf_printable(why, name, strlen(name), LIMITS_ID_SHOWN);
	ft_buf_printf(why, ": %s", what);
	return FT_INVALID_FILEMETA;
}

static enum ft_status limits_set_in(cJSON *row, const cJSON *limits, struct ft_buf *why)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, limits) {
		cJSON *copy;

		if (limits_index(item->string) == LIMITS_COUNT)
			return limits_refuse(why, item->string, "there is no such limit");
		if (!limits_is_first(limits, item))
			return limits_refuse(why, item->string, "is there twice");
		cJSON_DeleteItemFromObjectCaseSensitive(row, item->string);
		if (!(copy = cJSON_Duplicate(item, 1)))
			return FT_NO_MEMORY;
		if (!cJSON_AddItemToObject(row, item->string, copy)) {
			cJSON_Delete(copy);
			return FT_NO_MEMORY;
		}
	}
	return FT_OK;
}

static enum ft_status limits_unset_in(cJSON *row, const cJSON *names, struct ft_buf *why)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, names) {
		if (!cJSON_IsString(item) || limits_index(item->valuestring) == LIMITS_COUNT)
			return limits_refuse(why, cJSON_IsString(item) ? item->valuestring : "unset",
					     "there is no such limit");
		cJSON_DeleteItemFromObjectCaseSensitive(row, item->valuestring);
	}
	return FT_OK;
}

static enum ft_status limits_change_root(cJSON *root, const struct ft_limits_change *change,
					 struct ft_buf *why)
{
	cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "overrides");
	cJSON *row = limits_row_of(list, change);
	enum ft_status st;

	if (!row && (change->remove || !change->limits)) {
		ft_buf_str(why, "there is no override of just these patterns");
		return FT_NO_SUCH_TRANSFER;
	}
	if (change->remove) {
		cJSON_Delete(cJSON_DetachItemViaPointer(list, row));
		return FT_OK;
	}
	if (!row && !(row = limits_add_row(list, change)))
		return FT_NO_MEMORY;
	st = limits_unset_in(row, change->unset, why);
	return st == FT_OK ? limits_set_in(row, change->limits, why) : st;
}

/* As cJSON prints it, and a newline. */
static char *limits_print(const cJSON *root, size_t *len)
{
	char *text = cJSON_Print(root), *whole;

	if (!text)
		return NULL;
	*len = strlen(text) + 1;
	if ((whole = malloc(*len + 1)) != NULL) {
		memcpy(whole, text, *len - 1);
		memcpy(whole + *len - 1, "\n", 2);
	}
	cJSON_free(text);
	return whole;
}

enum ft_status ft_overrides_change(const char *text, size_t len,
				   const struct ft_limits_change *change, char **out,
				   size_t *out_len, struct ft_buf *why)
{
	static const char nul[] = "\\u0000";
	cJSON *root = NULL;
	enum ft_status st = FT_NO_MEMORY;

	*out = NULL;
	/* cJSON cuts a text there; the rest would be gone for good. */
	for (size_t i = 0; i + sizeof nul - 1 <= len; i++)
		if (memcmp(text + i, nul, sizeof nul - 1) == 0)
			return limits_refuse(why, nul, "cannot be kept when the file is written");
	if ((root = cJSON_ParseWithLength(text, len)) != NULL
	    && (st = limits_change_root(root, change, why)) == FT_OK
	    && !(*out = limits_print(root, out_len)))
		st = FT_NO_MEMORY;
	cJSON_Delete(root);
	return st;
}

/* --- finding --- */

const struct ft_override *ft_overrides_of(const struct ft_overrides *overrides, const char *client,
					  const char *user)
{
	for (size_t i = 0; overrides && i < overrides->count; i++)
		if (limits_same_text(overrides->rows[i].client, client)
		    && limits_same_text(overrides->rows[i].user, user))
			return &overrides->rows[i];
	return NULL;
}

const struct ft_override *ft_overrides_find(const struct ft_overrides *overrides,
					    const char *client, const char *user)
{
	for (size_t i = 0; overrides && i < overrides->count; i++) {
		const struct ft_override *row = &overrides->rows[i];

		if ((!row->client || ft_wildcard_match(row->client, client))
		    && (!row->user || (user && ft_wildcard_match(row->user, user))))
			return row;
	}
	return NULL;
}

/* --- what has changed --- */

/* An override for just the same clients. */
static const struct ft_override *limits_find_row(const struct ft_overrides *overrides,
						 const struct ft_override *like)
{
	return ft_overrides_of(overrides, like->client, like->user);
}

static void limits_say_row(struct ft_buf *line, const struct ft_override *row)
{
	const char *ids[] = { row->client, row->user };
	static const char *const words[] = { "client '", "user '" };

	for (size_t i = 0; i < 2; i++) {
		if (!ids[i])
			continue;
		ft_buf_str(line, line->len > 0 ? ", " : "");
		ft_buf_str(line, words[i]);
		ft_buf_printable(line, ids[i], strlen(ids[i]), LIMITS_ID_SHOWN);
		ft_buf_char(line, '\'');
	}
}

static void limits_say_value(struct ft_buf *line, uint64_t value)
{
	if (value)
		ft_buf_u64(line, value);
	else
		ft_buf_str(line, "none");
}

/* Returns whether there is a difference. */
static bool limits_say_difference(struct ft_buf *line, const struct ft_limits *from,
				  const struct ft_limits *to)
{
	bool any = false;

	for (size_t i = 0; i < LIMITS_COUNT; i++) {
		if (limits_get(from, i) == limits_get(to, i))
			continue;
		ft_buf_printf(line, "%s %s ", any ? "," : ":", limits_table[i].name);
		limits_say_value(line, limits_get(from, i));
		ft_buf_str(line, " -> ");
		limits_say_value(line, limits_get(to, i));
		any = true;
	}
	return any;
}

struct limits_lines {
	size_t count;
	size_t limit;
	ft_overrides_say *say;
	void *context;
};

/* What counts for a row's clients now, and counted before: without an override what the options say. */
static void limits_compare_row(struct limits_lines *lines, const struct ft_override *row,
			       const char *what, const struct ft_limits *from,
			       const struct ft_limits *to)
{
	char room[LIMITS_LINE_ROOM];
	struct ft_buf line = ft_buf_on(room, sizeof room);

	limits_say_row(&line, row);
	ft_buf_str(&line, what);
	if ((limits_say_difference(&line, from, to) || *what) && lines->count++ < lines->limit)
		lines->say(lines->context, room);
}

static void limits_compare_order(struct limits_lines *lines, const struct ft_overrides *before,
				 const struct ft_overrides *after)
{
	const struct ft_override *last = NULL;

	for (size_t i = 0; i < after->count; i++) {
		const struct ft_override *row = limits_find_row(before, &after->rows[i]);

		if (row && last && row < last) {
			if (lines->count++ < lines->limit)
				lines->say(lines->context, "the overrides are in another order");
			return;
		}
		last = row ? row : last;
	}
}

size_t ft_overrides_compare(const struct ft_overrides *before, const struct ft_overrides *after,
			    const struct ft_options *options, size_t limit, ft_overrides_say *say,
			    void *context)
{
	struct limits_lines lines = { .limit = limit, .say = say, .context = context };
	const struct ft_limits *base = &options->limits;

	for (size_t i = 0; i < after->count; i++) {
		const struct ft_override *row = &after->rows[i], *other = limits_find_row(before, row);

		limits_compare_row(&lines, row, other ? "" : " is new", other ? &other->limits : base,
				   &row->limits);
	}
	for (size_t i = 0; i < before->count; i++)
		if (!limits_find_row(after, &before->rows[i]))
			limits_compare_row(&lines, &before->rows[i], " is gone",
					   &before->rows[i].limits, base);
	limits_compare_order(&lines, before, after);
	return lines.count;
}

void ft_limits_put(struct ft_buf *to, const struct ft_limits *limits)
{
	for (size_t i = 0; i < LIMITS_COUNT; i++)
		if (limits_get(limits, i) > 0)
			ft_control_put_number(to, limits_table[i].name, limits_get(limits, i));
}

static void limits_put_row(struct ft_buf *to, const struct ft_override *row,
			   const struct ft_limits *options)
{
	ft_control_open_entry(to);
	if (row->client)
		ft_control_put_word(to, "client", row->client);
	if (row->user)
		ft_control_put_word(to, "user", row->user);
	for (size_t i = 0; i < LIMITS_COUNT; i++) {
		uint64_t value = limits_get(&row->limits, i);

		if (value != limits_get(options, i) && value > 0)
			ft_control_put_number(to, limits_table[i].name, value);
		else if (value != limits_get(options, i))
			ft_control_put_null(to, limits_table[i].name);
	}
}

bool ft_overrides_put(struct ft_buf *to, const struct ft_overrides *overrides,
		      const struct ft_limits *options)
{
	for (size_t i = 0; overrides && i < overrides->count; i++) {
		struct ft_buf before = *to;

		limits_put_row(to, &overrides->rows[i], options);
		if (!ft_control_close_entry(to, &before, 0))
			return false;
	}
	return true;
}
