/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/control.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/system.h"
#include "base/utf8.h"
#include "protocol/facts.h"

#define CONTROL_PATTERN_MAX 255
#define CONTROL_EXACT_MAX 9007199254740992.0	/* 2^53: larger ones are not exact in JSON */

/* Which ids a command cannot do without. */
enum control_needs {
	NEEDS_NOTHING,
	NEEDS_CLIENT,
	NEEDS_FILE,	/* and client */
};

static const struct {
	const char *name;
	enum control_needs needs;
} control_table[FT_CONTROL_VERBS] = {
	[FT_CONTROL_GET_STATUS] = { "getStatus", NEEDS_NOTHING },
	[FT_CONTROL_LIST_TRANSFERS] = { "listTransfers", NEEDS_NOTHING },
	[FT_CONTROL_GET_TRANSFER] = { "getTransfer", NEEDS_FILE },
	[FT_CONTROL_ABORT_TRANSFER] = { "abortTransfer", NEEDS_FILE },
	[FT_CONTROL_PAUSE_TRANSFER] = { "pauseTransfer", NEEDS_FILE },
	[FT_CONTROL_RESUME_TRANSFER] = { "resumeTransfer", NEEDS_FILE },
	[FT_CONTROL_PAUSE_CLIENT] = { "pauseClient", NEEDS_CLIENT },
	[FT_CONTROL_RESUME_CLIENT] = { "resumeClient", NEEDS_CLIENT },
	[FT_CONTROL_PAUSE_ALL] = { "pauseAll", NEEDS_NOTHING },
	[FT_CONTROL_RESUME_ALL] = { "resumeAll", NEEDS_NOTHING },
	[FT_CONTROL_LIST_PAUSES] = { "listPauses", NEEDS_NOTHING },
	[FT_CONTROL_LIST_FILES] = { "listFiles", NEEDS_NOTHING },
	[FT_CONTROL_GET_FILE] = { "getFile", NEEDS_FILE },
	[FT_CONTROL_DELETE_FILE] = { "deleteFile", NEEDS_FILE },
	[FT_CONTROL_GET_METRICS] = { "getMetrics", NEEDS_NOTHING },
	[FT_CONTROL_VERIFY_FILES] = { "verifyFiles", NEEDS_NOTHING },
	[FT_CONTROL_CANCEL_VERIFY] = { "cancelVerify", NEEDS_NOTHING },
	[FT_CONTROL_RUN_GC] = { "runGc", NEEDS_NOTHING },
	[FT_CONTROL_GET_LIMITS] = { "getLimits", NEEDS_NOTHING },
	[FT_CONTROL_RELOAD_LIMITS] = { "reloadLimits", NEEDS_NOTHING },
	[FT_CONTROL_SET_LIMITS] = { "setLimits", NEEDS_NOTHING },
	[FT_CONTROL_ADOPT_FILES] = { "adoptFiles", NEEDS_NOTHING },
	[FT_CONTROL_LIST_CLIENTS] = { "listClients", NEEDS_NOTHING },
	[FT_CONTROL_OFFER_FILE] = { "offerFile", NEEDS_FILE },
	[FT_CONTROL_WITHDRAW_OFFER] = { "withdrawOffer", NEEDS_NOTHING },
	[FT_CONTROL_LIST_OFFERS] = { "listOffers", NEEDS_NOTHING },
	[FT_CONTROL_LIST_JOBS] = { "listJobs", NEEDS_NOTHING },
};

/* --- reading --- */

/* What is read of one command, and where ids that come in hex are put. */
struct control_reader {
	const cJSON *object;
	char *ids;
	const char *wrong;
};

static const cJSON *control_member(const struct control_reader *r, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(r->object, key);

	return cJSON_IsNull(item) ? NULL : item;
}

/* NULL: there is none. */
static const char *control_text(struct control_reader *r, const char *key, const char *wrong)
{
	const cJSON *item = control_member(r, key);

	if (!item)
		return NULL;
	if (cJSON_IsString(item))
		return item->valuestring;
	r->wrong = wrong;
	return NULL;
}

static void control_hex(struct control_reader *r, const char *hex, const char **id, size_t *len)
{
	size_t digits = strlen(hex);

	if (digits % 2 != 0 || !ft_hex_decode(r->ids, hex, digits / 2)) {
		r->wrong = "client_id_hex and file_id_hex are pairs of hex digits";
		return;
	}
	*id = r->ids;
	*len = digits / 2;
	r->ids += *len;
}

static void control_id(struct control_reader *r, const char *key, const char *key_hex,
		       const char **id, size_t *len)
{
	const char *text = control_text(r, key, "client_id and file_id are texts");
	const char *hex = control_text(r, key_hex, "client_id_hex and file_id_hex are texts");

	if (hex && !r->wrong)
		control_hex(r, hex, id, len);
	else if (text) {
		*id = text;
		*len = strlen(text);
	}
}

static uint64_t control_number(struct control_reader *r, const char *key, uint64_t fallback,
			       const char *wrong)
{
	const cJSON *item = control_member(r, key);
	double number;

	if (!item)
		return fallback;
	number = cJSON_IsNumber(item) ? item->valuedouble : -1;
	if (number >= 0 && number <= CONTROL_EXACT_MAX && (double)(uint64_t)number == number)
		return (uint64_t)number;
	r->wrong = wrong;
	return fallback;
}

/* How long a URL is to last. */
static uint32_t control_ttl(struct control_reader *r)
{
	static const char wrong[] = "url_ttl is an integer from 1 to 604800 (seconds)";
	uint64_t ttl_s = control_number(r, "url_ttl", FT_CONTROL_URL_TTL_DEFAULT_S, wrong);

	if (ttl_s >= 1 && ttl_s <= FT_STORE_URL_TTL_MAX_S)
		return (uint32_t)ttl_s;
	r->wrong = wrong;
	return FT_CONTROL_URL_TTL_DEFAULT_S;
}

/* A cursor is what an earlier page said: hex digits. */
static uint64_t control_cursor(struct control_reader *r)
{
	const char *text = control_text(r, "cursor", "cursor is a text");
	uint64_t cursor = 0;
	size_t i;

	for (i = 0; text && i < 16 && ft_hex_digit(text[i]) >= 0; i++)
		cursor = cursor << 4 | (uint64_t)ft_hex_digit(text[i]);
	if (text && (i == 0 || text[i]))
		r->wrong = "cursor is what an earlier page had as its cursor";
	return cursor;
}

/* Such a cursor is the id, a NUL and the value, in hex. */
static void control_read_place(struct control_reader *r, struct ft_control_place *place)
{
	const char *text = control_text(r, "cursor", "cursor is a text");
	size_t digits = text ? strlen(text) : 0;
	const char *end;

	if (!text)
		return;
	if (digits % 2 == 0 && ft_hex_decode(r->ids, text, digits / 2)
	    && (end = memchr(r->ids, '\0', digits / 2)) != NULL) {
		place->id = r->ids;
		place->id_len = (size_t)(end - r->ids);
		place->value = end + 1;
		place->value_len = digits / 2 - place->id_len - 1;
		r->ids += digits / 2;
		return;
	}
	r->wrong = "cursor is what an earlier page of the same order had as its cursor";
}

static enum ft_control_sort control_sort(struct control_reader *r)
{
	static const char *const words[] = {
		[FT_SORT_TIME] = "time", [FT_SORT_NAME] = "name", [FT_SORT_SIZE] = "size",
	};
	const char *text = control_text(r, "sort", "sort is a text");

	for (size_t i = 0; text && i < sizeof words / sizeof words[0]; i++)
		if (strcmp(text, words[i]) == 0)
			return (enum ft_control_sort)i;
	if (text)
		r->wrong = "sort is time, name or size";
	return FT_SORT_TIME;
}

static bool control_is_listed_by_name(const struct ft_control_command *command)
{
	return command->verb == FT_CONTROL_LIST_OFFERS || command->verb == FT_CONTROL_LIST_JOBS;
}

static void control_read_filter(struct control_reader *r, struct ft_control_command *command)
{
	static const char wrong[] = "limit, since, until, min_size and max_size are integers from 0 to 2^53";
	bool clients = command->verb == FT_CONTROL_LIST_CLIENTS;

	command->pattern = control_text(r, clients ? "client" : "name",
					"name and client are patterns: texts");
	if (command->pattern && strlen(command->pattern) > CONTROL_PATTERN_MAX)
		r->wrong = "name and client are patterns of at most 255 bytes";
	if (command->verb == FT_CONTROL_LIST_FILES)
		command->sort = control_sort(r);
	if (command->sort != FT_SORT_TIME || clients)
		control_read_place(r, &command->place);
	else if (!control_is_listed_by_name(command))
		command->cursor = control_cursor(r);
	command->limit = (size_t)control_number(r, "limit", FT_CONTROL_LIMIT_DEFAULT, wrong);
	if (command->limit == 0 || command->limit > FT_CONTROL_LIMIT_MAX)
		r->wrong = "limit is 1 to 1000";
	command->since = (int64_t)control_number(r, "since", 0, wrong);
	command->until = (int64_t)control_number(r, "until", (uint64_t)CONTROL_EXACT_MAX, wrong);
	command->min_size = control_number(r, "min_size", 0, wrong);
	command->max_size = control_number(r, "max_size", INT64_MAX, wrong);
}

static void control_read_verb(struct control_reader *r, struct ft_control_command *command)
{
	enum control_needs needs;

	while (command->verb < FT_CONTROL_VERBS
	       && strcmp(control_table[command->verb].name, command->name) != 0)
		command->verb++;
	if (command->verb == FT_CONTROL_VERBS) {
		r->wrong = "there is no such command";
		return;
	}
	needs = control_table[command->verb].needs;
	if (needs != NEEDS_NOTHING && !command->key.owner)
		r->wrong = "client_id is missing";
	else if (needs == NEEDS_FILE && !command->key.file)
		r->wrong = "file_id is missing";
	else if (command->key.owner_len > FT_OWNER_MAX || command->key.file_len > FT_FILE_ID_MAX
		 || (command->key.file && command->key.file_len == 0))
		r->wrong = "no id is that long, or that short";
}

/* all, client/<id>, user/<name> or group/<name> */
static void control_read_to(struct control_reader *r, struct ft_control_offer *offer)
{
	offer->to = control_text(r, "to", "to is a text");
	if (offer->to && !ft_offer_parse_to(offer->to, &offer->scope, offer->whose))
		r->wrong = "to is all, client/ID, user/NAME or group/NAME";
}

static void control_read_offer(struct control_reader *r, struct ft_control_command *command)
{
	struct ft_control_offer *offer = &command->offer;
	const cJSON *replace = control_member(r, "replace");

	control_read_to(r, offer);
	offer->path = control_text(r, "name", "name is a text");
	offer->replace = cJSON_IsTrue(replace);
	if (r->wrong)
		return;
	if (!offer->to)
		r->wrong = "to whom? to is all, client/ID, user/NAME or group/NAME";
	else if (command->verb == FT_CONTROL_WITHDRAW_OFFER && !offer->path)
		r->wrong = "name is missing";
	else if (offer->path && !ft_offer_path_can_be(offer->path))
		r->wrong = "no file can be offered under this name: see docs/downloads.md";
	else if (replace && !cJSON_IsBool(replace))
		r->wrong = "replace is true or false";
}

static void control_read_list(struct control_reader *r, struct ft_control_command *command)
{
	struct ft_control_offer *offer = &command->offer;

	offer->after = control_text(r, "cursor", "cursor is a text");
	if (command->verb == FT_CONTROL_LIST_OFFERS)
		control_read_to(r, offer);
	else
		offer->status = control_text(r, "status", "status is a text");
}

/* Names and values of limits are looked at with the file that they are for. */
static void control_read_change(struct control_reader *r, struct ft_limits_change *change)
{
	const cJSON *limits = control_member(r, "limits"), *unset = control_member(r, "unset");
	const cJSON *gone = control_member(r, "remove");

	change->client = control_text(r, "client", "client is a pattern of client ids: a text");
	change->user = control_text(r, "user", "user is a pattern of user names: a text");
	change->limits = limits;
	change->unset = unset;
	change->remove = cJSON_IsTrue(gone);
	if (r->wrong)
		return;
	if (!change->client && !change->user)
		r->wrong = "whose limits? client and user are patterns, of which one or both are there";
	else if (limits && !cJSON_IsObject(limits))
		r->wrong = "limits is an object, as an override in limits_file";
	else if (unset && !cJSON_IsArray(unset))
		r->wrong = "unset is an array of names of limits";
	else if (gone && !cJSON_IsBool(gone))
		r->wrong = "remove is true or false";
	else if (change->remove == (limits || unset))
		r->wrong = "either limits or unset are there, or both, or remove is true";
}

static void control_read(struct control_reader *r, struct ft_control_command *command)
{
	memset(command, 0, sizeof *command);
	command->limit = FT_CONTROL_LIMIT_DEFAULT;
	command->name = "";
	if (!cJSON_IsObject(r->object)) {
		command->wrong = "a command is an object";
		return;
	}
	command->correlation = control_text(r, "correlationData", "correlationData is a text");
	command->name = control_text(r, "command", "command is a text");
	if (!command->name)
		command->name = "";
	control_id(r, "client_id", "client_id_hex", &command->key.owner, &command->key.owner_len);
	control_id(r, "file_id", "file_id_hex", &command->key.file, &command->key.file_len);
	command->user = control_text(r, "user", "user is a text");
	command->url_ttl_s = control_ttl(r);
	if (!r->wrong)
		control_read_verb(r, command);
	if (r->wrong) {
		command->wrong = r->wrong;
		return;
	}
	if (command->verb == FT_CONTROL_OFFER_FILE || command->verb == FT_CONTROL_WITHDRAW_OFFER)
		control_read_offer(r, command);
	else
		control_read_filter(r, command);
	if (control_is_listed_by_name(command))
		control_read_list(r, command);
	if (!r->wrong && command->verb == FT_CONTROL_SET_LIMITS)
		control_read_change(r, &command->change);
	command->wrong = r->wrong;
}

/*
 * Whether a text is fit for cJSON: valid UTF-8 whose arrays and objects are nested no deeper than
 * is allowed (brackets within texts do not count), and without a NUL in any form, behind which
 * cJSON's texts would be cut: another id than was meant.
 */
static bool control_is_fit(const char *text, size_t len)
{
	size_t depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\0' || depth > FT_CONTROL_DEPTH_MAX)
			return false;
		if (quoted && text[i] == '\\') {
			if (len - i > 5 && memcmp(text + i, "\\u0000", 6) == 0)
				return false;
			i++;
		} else if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted && (text[i] == '{' || text[i] == '['))
			depth++;
		else if (!quoted && (text[i] == '}' || text[i] == ']') && depth > 0)
			depth--;
	}
	return ft_utf8_valid(text, len);
}

static enum ft_status control_read_all(struct ft_control *control, const cJSON *list, size_t len)
{
	size_t count = (size_t)cJSON_GetArraySize(list);
	struct control_reader reader;
	const cJSON *object;

	control->commands = calloc(count + 1, sizeof *control->commands);
	control->ids = malloc(len / 2 + 1);
	if (!control->commands || !control->ids)
		return FT_NO_MEMORY;
	reader.ids = control->ids;
	cJSON_ArrayForEach(object, list) {
		reader.object = object;
		reader.wrong = NULL;
		control_read(&reader, &control->commands[control->count++]);
	}
	return FT_OK;
}

static enum ft_status control_check(const cJSON *json, const cJSON **list, const char **why)
{
	*list = cJSON_GetObjectItemCaseSensitive(json, "commands");
	*why = NULL;
	if (!cJSON_IsObject(json) || !cJSON_IsArray(*list))
		*why = "a message is an object with the array \"commands\"";
	else if (cJSON_GetArraySize(*list) > FT_CONTROL_COMMANDS_MAX)
		*why = "a message has 32 commands at most";
	return *why ? FT_INVALID_FILE_COMMAND : FT_OK;
}

enum ft_status ft_control_parse(const char *text, size_t len, struct ft_control **out,
				const char **why)
{
	struct ft_control *control;
	const cJSON *list;
	enum ft_status st;

	*out = NULL;
	*why = "a message has 64 KiB at most, nested 8 deep, in UTF-8, without NUL characters";
	if (len > FT_CONTROL_SIZE_MAX || !control_is_fit(text, len))
		return FT_INVALID_FILE_COMMAND;
	*why = "this is no JSON";
	if (!(control = calloc(1, sizeof *control)))
		return FT_NO_MEMORY;
	st = FT_INVALID_FILE_COMMAND;
	if ((control->json = cJSON_ParseWithLength(text, len)) != NULL
	    && (st = control_check(control->json, &list, why)) == FT_OK)
		st = control_read_all(control, list, len);
	if (st == FT_OK)
		*out = control;
	else
		ft_control_free(&control);
	return st;
}

void ft_control_free(struct ft_control **control)
{
	if (!*control)
		return;
	cJSON_Delete((*control)->json);
	free((*control)->commands);
	free((*control)->ids);
	free(*control);
	*control = NULL;
}

/* --- writing --- */

static void control_put_comma(struct ft_buf *buf)
{
	char last = buf->len > 0 ? buf->text[buf->len - 1] : '{';

	if (last != '{' && last != '[')
		ft_buf_char(buf, ',');
}

static void control_put_key(struct ft_buf *buf, const char *key, const char *suffix)
{
	control_put_comma(buf);
	ft_buf_char(buf, '"');
	ft_buf_str(buf, key);
	ft_buf_str(buf, suffix);
	ft_buf_str(buf, "\":");
}

void ft_control_put_text(struct ft_buf *buf, const char *key, const char *text, size_t len)
{
	if (ft_utf8_valid(text, len) && !memchr(text, '\0', len)) {
		control_put_key(buf, key, "");
		ft_buf_json(buf, text, len);
		return;
	}
	control_put_key(buf, key, "_hex");
	ft_buf_char(buf, '"');
	ft_buf_hex(buf, (const uint8_t *)text, len);
	ft_buf_char(buf, '"');
}

void ft_control_put_word(struct ft_buf *buf, const char *key, const char *word)
{
	ft_control_put_text(buf, key, word, strlen(word));
}

void ft_control_put_number(struct ft_buf *buf, const char *key, uint64_t number)
{
	control_put_key(buf, key, "");
	ft_buf_u64(buf, number);
}

void ft_control_put_null(struct ft_buf *buf, const char *key)
{
	control_put_key(buf, key, "");
	ft_buf_str(buf, "null");
}

void ft_control_put_truth(struct ft_buf *buf, const char *key, bool truth)
{
	control_put_key(buf, key, "");
	ft_buf_str(buf, truth ? "true" : "false");
}

void ft_control_put_json(struct ft_buf *buf, const char *key, const struct ft_json_text *value)
{
	control_put_key(buf, key, "");
	ft_buf_bytes(buf, value->at, value->len);
}

void ft_control_put_time(struct ft_buf *buf, const char *key, int64_t unix_ms)
{
	char time[FT_RFC3339_ROOM];

	ft_rfc3339(time, unix_ms);
	ft_control_put_word(buf, key, time);
}

void ft_control_put_cursor(struct ft_buf *buf, uint64_t cursor)
{
	control_put_key(buf, "cursor", "");
	ft_buf_printf(buf, "\"%llx\"", (unsigned long long)cursor);
}

void ft_control_put_place(struct ft_buf *buf, const struct ft_control_place *place)
{
	control_put_key(buf, "cursor", "");
	ft_buf_char(buf, '"');
	ft_buf_hex(buf, (const uint8_t *)place->id, place->id_len);
	ft_buf_str(buf, "00");
	ft_buf_hex(buf, (const uint8_t *)place->value, place->value_len);
	ft_buf_char(buf, '"');
}

size_t ft_control_place_room(const struct ft_control_place *place)
{
	return 2 * (place->id_len + place->value_len + 1);
}

void ft_control_put_after(struct ft_buf *buf, const char *after)
{
	ft_control_put_word(buf, "cursor", after);
}

void ft_control_open(struct ft_buf *buf, const char *key, char bracket)
{
	control_put_key(buf, key, "");
	ft_buf_char(buf, bracket);
}

void ft_control_open_entry(struct ft_buf *buf)
{
	control_put_comma(buf);
	ft_buf_char(buf, '{');
}

bool ft_control_close_entry(struct ft_buf *buf, const struct ft_buf *before, size_t more)
{
	ft_buf_char(buf, '}');
	if (ft_buf_ok(buf) && buf->len + FT_CONTROL_TAIL_ROOM + more <= buf->room)
		return true;
	*buf = *before;
	buf->text[buf->len] = '\0';
	return false;
}

void ft_control_put_key(struct ft_buf *buf, const struct ft_key *key)
{
	ft_control_put_text(buf, "client_id", key->owner, key->owner_len);
	ft_control_put_text(buf, "file_id", key->file, key->file_len);
}
