/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Topics: what is understood means what it says, and says it again when written anew. */
#include "base/buf.h"
#include "base/utf8.h"
#include "protocol/manifest.h"
#include "protocol/topic.h"
#include "fuzz.h"

static bool topic_begins(const char *topic, const char *prefix)
{
	return strncmp(topic, prefix, strlen(prefix)) == 0;
}

static size_t topic_levels(const char *rest)
{
	size_t levels = 1;

	for (; *rest; rest++)
		levels += *rest == '/';
	return levels;
}

static void topic_check_name(const struct ft_command *command, const char *begin)
{
	const char *why;

	fuzz_check(command->name == begin);
	fuzz_check(command->name_len == strcspn(begin, "/"));
	fuzz_check(ft_name_check(command->name, command->name_len, &why) == FT_OK && !why);
}

static void topic_check_command(const struct ft_command *command, const char *topic)
{
	const char *rest = strchr(topic, '/') + 1;
	size_t levels = topic_levels(rest);

	fuzz_check(command->file == rest);
	fuzz_check(command->file_len >= 1 && command->file_len <= FT_FILE_ID_MAX);
	fuzz_check(!memchr(command->file, '/', command->file_len));
	fuzz_check(command->file[command->file_len] == '/');
	fuzz_check(ft_utf8_valid(command->file, command->file_len));
	fuzz_check(command->number <= FT_NUMBER_MAX);
	rest += command->file_len;
	switch (command->verb) {
	case FT_VERB_INIT:
		fuzz_check(strcmp(rest, "/init") == 0);
		break;
	case FT_VERB_ABORT:
		fuzz_check(strcmp(rest, "/abort") == 0);
		break;
	case FT_VERB_STATUS:
		fuzz_check(strcmp(rest, "/status") == 0);
		break;
	case FT_VERB_FIN:
		fuzz_check(topic_begins(rest, "/fin/") && levels == 3u + command->has_checksum);
		break;
	case FT_VERB_PUT:
		fuzz_check(topic_begins(rest, "/put/") && levels == 3u + command->has_checksum);
		topic_check_name(command, rest + strlen("/put/"));
		break;
	case FT_VERB_SEGMENT:
		fuzz_check(levels == 2u + command->has_checksum);
		break;
	}
}

static void topic_write(struct ft_buf *topic, const struct ft_command *command)
{
	static const char *const words[] = {
		[FT_VERB_INIT] = "init", [FT_VERB_SEGMENT] = "", [FT_VERB_FIN] = "fin/",
		[FT_VERB_PUT] = "put/", [FT_VERB_ABORT] = "abort", [FT_VERB_STATUS] = "status",
	};

	ft_buf_str(topic, "$file-async/");
	ft_buf_bytes(topic, command->file, command->file_len);
	ft_buf_char(topic, '/');
	ft_buf_str(topic, words[command->verb]);
	if (command->verb == FT_VERB_SEGMENT || command->verb == FT_VERB_FIN)
		ft_buf_u64(topic, command->number);
	if (command->verb == FT_VERB_PUT)
		ft_buf_bytes(topic, command->name, command->name_len);
	if (command->has_checksum) {
		ft_buf_char(topic, '/');
		ft_buf_hex(topic, command->checksum.bytes, FT_SHA256_LEN);
	}
}

/* The same command, written as we would. */
static void topic_check_again(const struct ft_command *command)
{
	char room[1024];
	struct ft_buf topic = ft_buf_on(room, sizeof room);
	struct ft_command again;

	topic_write(&topic, command);
	fuzz_check(ft_buf_ok(&topic));
	fuzz_check(ft_topic_parse(&again, room) == FT_OK);
	fuzz_check(again.verb == command->verb && again.number == command->number
		   && again.has_checksum == command->has_checksum
		   && again.file_len == command->file_len
		   && memcmp(again.file, command->file, again.file_len) == 0
		   && again.name_len == command->name_len
		   && (!again.name || memcmp(again.name, command->name, again.name_len) == 0));
	fuzz_check(!again.has_checksum || ft_sha256_equal(&again.checksum, &command->checksum));
}

FUZZ_TARGET(topic)
{
	struct fuzz_input input = { bytes, len };
	char *topic = fuzz_text(&input, len);
	bool ours = topic_begins(topic, "$file/") || topic_begins(topic, "$file-async/");
	struct ft_command command;
	enum ft_status st;

	fuzz_check(ft_topic_is_ours(topic) == ours);
	if (ours) {
		st = ft_topic_parse(&command, topic);
		fuzz_check(st == FT_OK || st == FT_INVALID_FILEID || st == FT_INVALID_FILE_COMMAND
			   || st == FT_INVALID_OFFSET || st == FT_INVALID_SIZE
			   || st == FT_INVALID_CHECKSUM || st == FT_INVALID_FILEMETA);
		fuzz_check((command.detail != NULL) == (st == FT_INVALID_FILEMETA));
		if (st == FT_OK) {
			topic_check_command(&command, topic);
			topic_check_again(&command);
		}
	}
	free(topic);
}
