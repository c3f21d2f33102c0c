/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/get.h"

#include <assert.h>
#include <string.h>

#include "base/utf8.h"
#include "protocol/topic.h"

static const char get_prefix[] = "$file-get/";

bool ft_get_is_ours(const char *topic)
{
	return strncmp(topic, get_prefix, sizeof get_prefix - 1) == 0
	       && topic[sizeof get_prefix - 1] != '\0';
}

static enum ft_status get_take_path(struct ft_get *get, const char *path)
{
	get->path = path;
	return ft_offer_path_is_good(path, strlen(path)) ? FT_OK : FT_INVALID_PATH;
}

/* --- a block --- */

static enum ft_status get_parse_block(struct ft_get *get, const char *rest, const char *payload,
				      size_t len)
{
	const char *length = strchr(rest, '/');
	const char *path = length ? strchr(length + 1, '/') : NULL;

	if (!path)
		return FT_INVALID_FILE_COMMAND;
	get->offset_text = rest;
	get->offset_len = (size_t)(length++ - rest);
	if (!ft_topic_parse_number(&get->offset, rest, get->offset_len))
		return FT_INVALID_OFFSET;
	if (!ft_topic_parse_number(&get->length, length, (size_t)(path - length))
	    || get->length == 0)
		return FT_INVALID_LENGTH;
	if (get_take_path(get, path + 1) != FT_OK)
		return FT_INVALID_PATH;
	get->has_checksum = len > 0;
	return len == 0 || ft_sha256_parse(&get->checksum, payload, len) ? FT_OK
									 : FT_INVALID_CHECKSUM;
}

static enum ft_status get_parse_info(struct ft_get *get, const char *rest, const char *payload,
				     size_t len)
{
	(void)payload;
	(void)len;
	return get_take_path(get, rest);
}

/* --- list --- */

/* A text that is absent is empty. */
static bool get_read_text(const struct ft_json_text *value, char to[FT_OFFER_PATH_MAX + 1])
{
	size_t len = 0;

	*to = '\0';
	return value->len == 0 || (ft_json_string(value, to, FT_OFFER_PATH_MAX + 1, &len)
				   && strlen(to) == len);
}

static enum ft_status get_parse_list(struct ft_get *get, const char *rest, const char *payload,
				     size_t len)
{
	struct ft_json_member members[] = { { .key = "prefix" }, { .key = "after" } };

	get->path = "";
	if (rest)
		return FT_INVALID_FILE_COMMAND;
	if (len == 0)
		return FT_OK;
	get->detail = "list takes nothing, or an object of prefix and after, which are texts";
	if (len > FT_GET_PAYLOAD_MAX || !ft_utf8_valid(payload, len)
	    || ft_json_find(payload, len, members, 2) != FT_JSON_OBJECT
	    || !get_read_text(&members[0].value, get->prefix)
	    || !get_read_text(&members[1].value, get->after))
		return FT_INVALID_FILE_COMMAND;
	get->detail = NULL;
	return FT_OK;
}

/* --- report --- */

enum { REPORT_STATE, REPORT_SHA256, REPORT_PROGRESS, REPORT_KNOWN };

static bool get_is_state(const struct ft_json_text *value)
{
	static const char *const states[] = {
		"downloading", "downloaded", "verified", "installed", "failed",
	};
	char state[FT_GET_STATE_ROOM];
	size_t len;

	if (value->len == 0 || !ft_json_string(value, state, sizeof state, &len)
	    || strlen(state) != len)
		return false;
	for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
		if (strcmp(state, states[i]) == 0)
			return true;
	return false;
}

static bool get_read_checksum(struct ft_get *get, const struct ft_json_text *value)
{
	char hex[FT_SHA256_HEX_LEN + 1];
	size_t len;

	get->has_checksum = value->len > 0;
	return !get->has_checksum || (ft_json_string(value, hex, sizeof hex, &len)
				      && ft_sha256_parse(&get->checksum, hex, len));
}

/* What stands between the outer braces. */
static struct ft_json_text get_members(const char *object, size_t len)
{
	const char *begin = memchr(object, '{', len), *end = object + len;

	while (*--end != '}')
		;
	begin++;
	while (begin < end && strchr(" \t\r\n", *begin))
		begin++;
	while (end > begin && strchr(" \t\r\n", end[-1]))
		end--;
	return (struct ft_json_text){ .at = begin, .len = (size_t)(end - begin) };
}

/* Those that the broker adds could be forged, if a device could bring its own. */
static const char *get_check_report(struct ft_get *get, const char *payload, size_t len)
{
	struct ft_json_member members[] = {
		[REPORT_STATE] = { .key = "state" }, [REPORT_SHA256] = { .key = "sha256" },
		[REPORT_PROGRESS] = { .key = "progress" },
		{ .key = "client_id" }, { .key = "user" }, { .key = "at" }, { .key = "current" },
	};
	const size_t count = sizeof members / sizeof members[0];
	uint64_t progress;

	if (len == 0 || len > FT_GET_PAYLOAD_MAX || !ft_utf8_valid(payload, len)
	    || ft_json_find(payload, len, members, count) != FT_JSON_OBJECT)
		return "a report is a JSON object of at most 4096 bytes";
	if (!get_is_state(&members[REPORT_STATE].value))
		return "\"state\" is one of downloading, downloaded, verified, installed, failed";
	if (!get_read_checksum(get, &members[REPORT_SHA256].value))
		return "\"sha256\" is 64 hex digits";
	if (members[REPORT_PROGRESS].value.len > 0
	    && !ft_json_integer(&members[REPORT_PROGRESS].value, 100, &progress))
		return "\"progress\" is an integer from 0 to 100";
	for (size_t i = REPORT_KNOWN; i < count; i++)
		if (members[i].value.at)
			return "\"client_id\", \"user\", \"at\" and \"current\" are the broker's to say";
	return NULL;
}

static enum ft_status get_parse_report(struct ft_get *get, const char *rest, const char *payload,
				       size_t len)
{
	enum ft_status st = get_take_path(get, rest);

	if (st != FT_OK)
		return st;
	if ((get->detail = get_check_report(get, payload, len)) != NULL)
		return FT_INVALID_REPORT;
	get->members = get_members(payload, len);
	return FT_OK;
}

/* --- all --- */

enum ft_status ft_get_parse(struct ft_get *get, const char *topic, const void *payload, size_t len)
{
	static const struct {
		const char *word;
		enum ft_get_verb verb;
		enum ft_status (*parse)(struct ft_get *get, const char *rest, const char *payload,
					size_t len);
	} words[] = {
		{ "info", FT_GET_INFO, get_parse_info },
		{ "list", FT_GET_LIST, get_parse_list },
		{ "report", FT_GET_REPORT, get_parse_report },
	};
	const char *rest = topic + sizeof get_prefix - 1;
	size_t level_len = strcspn(rest, "/");

	assert(ft_get_is_ours(topic));
	memset(get, 0, sizeof *get);
	get->path = "";
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		const char *behind = rest[level_len] ? rest + level_len + 1 : NULL;

		if (strlen(words[i].word) != level_len
		    || strncmp(rest, words[i].word, level_len) != 0)
			continue;
		get->verb = words[i].verb;
		if (!behind && get->verb != FT_GET_LIST)
			return FT_INVALID_FILE_COMMAND;
		return words[i].parse(get, behind, payload, len);
	}
	return get_parse_block(get, rest, payload, len);
}
