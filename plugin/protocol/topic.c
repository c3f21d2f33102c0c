/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/topic.h"

#include <assert.h>
#include <string.h>

#include "base/utf8.h"
#include "protocol/manifest.h"

#define LEVELS_MAX 4	/* file / fin / size / checksum */

struct level {
	const char *text;
	size_t len;
};

static const char sync_prefix[] = "$file/";
static const char async_prefix[] = "$file-async/";

/* The part after the prefix, or NULL. */
static const char *topic_after_prefix(const char *topic)
{
	if (topic[0] != '$')	/* nearly all messages that are not ours, without a call */
		return NULL;
	if (strncmp(topic, sync_prefix, sizeof sync_prefix - 1) == 0)
		return topic + sizeof sync_prefix - 1;
	if (strncmp(topic, async_prefix, sizeof async_prefix - 1) == 0)
		return topic + sizeof async_prefix - 1;
	return NULL;
}

bool ft_topic_is_ours(const char *topic)
{
	return topic_after_prefix(topic) != NULL;
}

/* Splits at '/'; returns the number of levels, LEVELS_MAX + 1 where there are more. */
static size_t topic_split(struct level level[LEVELS_MAX], const char *text)
{
	for (size_t i = 0; i < LEVELS_MAX; i++) {
		const char *slash = strchr(text, '/');

		level[i].text = text;
		level[i].len = slash ? (size_t)(slash - text) : strlen(text);
		if (!slash)
			return i + 1;
		text = slash + 1;
	}
	return LEVELS_MAX + 1;
}

static bool topic_is(const struct level *level, const char *word)
{
	return level->len == strlen(word) && memcmp(level->text, word, level->len) == 0;
}

bool ft_topic_parse_number(uint64_t *number, const char *text, size_t len)
{
	uint64_t n = 0;

	if (len == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned digit = (unsigned char)text[i] - (unsigned)'0';

		if (digit > 9 || n > (FT_NUMBER_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*number = n;
	return true;
}

static enum ft_status topic_parse_checksum(struct ft_command *command, const struct level *level)
{
	command->has_checksum = true;
	return ft_sha256_parse(&command->checksum, level->text, level->len) ? FT_OK
									    : FT_INVALID_CHECKSUM;
}

/* number[/checksum] in `count` levels. */
static enum ft_status topic_parse_numbers(struct ft_command *command, const struct level *level,
					  size_t count, enum ft_status bad_number)
{
	if (!ft_topic_parse_number(&command->number, level[0].text, level[0].len))
		return bad_number;
	return count == 1 ? FT_OK : topic_parse_checksum(command, &level[1]);
}

/* name[/checksum] in `count` levels. */
static enum ft_status topic_parse_put(struct ft_command *command, const struct level *level,
				      size_t count)
{
	enum ft_status st = ft_name_check(level[0].text, level[0].len, &command->detail);

	if (st != FT_OK)
		return st;
	command->name = level[0].text;
	command->name_len = level[0].len;
	return count == 1 ? FT_OK : topic_parse_checksum(command, &level[1]);
}

static enum ft_status topic_parse_file_id(struct ft_command *command, const struct level *level)
{
	if (level->len == 0 || level->len > FT_FILE_ID_MAX
	    || !ft_utf8_valid(level->text, level->len))
		return FT_INVALID_FILEID;
	command->file = level->text;
	command->file_len = level->len;
	return FT_OK;
}

enum ft_status ft_topic_parse(struct ft_command *command, const char *topic)
{
	static const struct {
		const char *word;
		enum ft_verb verb;
	} plain[] = {
		{ "init", FT_VERB_INIT },
		{ "abort", FT_VERB_ABORT },
		{ "status", FT_VERB_STATUS },
	};
	struct level level[LEVELS_MAX];
	const char *rest = topic_after_prefix(topic);
	enum ft_status st;
	size_t count;

	assert(rest);
	count = topic_split(level, rest);
	memset(command, 0, sizeof *command);
	if ((st = topic_parse_file_id(command, &level[0])) != FT_OK)
		return st;
	if (count == 1 || count > LEVELS_MAX)
		return FT_INVALID_FILE_COMMAND;
	for (size_t i = 0; count == 2 && i < sizeof plain / sizeof plain[0]; i++) {
		if (topic_is(&level[1], plain[i].word)) {
			command->verb = plain[i].verb;
			return FT_OK;
		}
	}
	if (count > 2 && topic_is(&level[1], "fin")) {
		command->verb = FT_VERB_FIN;
		return topic_parse_numbers(command, &level[2], count - 2, FT_INVALID_SIZE);
	}
	if (count > 2 && topic_is(&level[1], "put")) {
		command->verb = FT_VERB_PUT;
		return topic_parse_put(command, &level[2], count - 2);
	}
	if (count == LEVELS_MAX)
		return FT_INVALID_FILE_COMMAND;
	command->verb = FT_VERB_SEGMENT;
	return topic_parse_numbers(command, &level[1], count - 1, FT_INVALID_OFFSET);
}
