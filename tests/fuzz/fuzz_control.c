/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Operators' messages: each is refused in a sentence, or read within its bounds; what is told of
 * its ids is JSON that means the same.
 */
#include <cjson/cJSON.h>

#include "base/utf8.h"
#include "base/wildcard.h"
#include "protocol/control.h"
#include "protocol/facts.h"
#include "fuzz.h"

/* Ids that are written are read as the same ids. */
static void control_check_key(const struct ft_control_command *command)
{
	size_t room = 6 * (command->key.owner_len + command->key.file_len) + 200;
	char *text = malloc(room);
	struct ft_buf buf = ft_buf_on(text, room);
	struct ft_control *again;
	const char *why;

	fuzz_check(text);
	ft_buf_str(&buf, "{\"commands\":[{\"command\":\"getFile\"");
	ft_control_put_key(&buf, &command->key);
	ft_buf_str(&buf, "}]}");
	fuzz_check(ft_buf_ok(&buf));
	if (buf.len <= FT_CONTROL_SIZE_MAX) {
		fuzz_check(ft_control_parse(text, buf.len, &again, &why) == FT_OK);
		fuzz_check(again->count == 1 && !again->commands[0].wrong);
		fuzz_check(again->commands[0].key.owner_len == command->key.owner_len);
		fuzz_check(again->commands[0].key.file_len == command->key.file_len);
		fuzz_check(memcmp(again->commands[0].key.owner, command->key.owner,
				  command->key.owner_len) == 0);
		fuzz_check(memcmp(again->commands[0].key.file, command->key.file,
				  command->key.file_len) == 0);
		ft_control_free(&again);
	}
	free(text);
}

/* A change of limits is refused in a line, or makes a file that is read, or is refused in a line. */
static void control_check_change(const struct ft_limits_change *change)
{
	static const char file[] = "{\"overrides\":[{\"client\":\"c*\",\"client_rate\":5},{\"user\":\"u\"}]}";
	char room[1024];
	struct ft_buf why = ft_buf_on(room, sizeof room);
	struct ft_overrides *overrides = NULL;
	struct ft_options options;
	char *text;
	size_t text_len;

	fuzz_check(change->client || change->user);
	ft_options_init(&options);
	if (ft_overrides_change(file, strlen(file), change, &text, &text_len, &why) != FT_OK) {
		fuzz_check(!text && why.len > 0 && !strchr(room, '\n'));
	} else if (ft_overrides_read(text, text_len, &options, &overrides, &why) != FT_OK) {
		fuzz_check(!overrides && why.len > 0 && !strchr(room, '\n'));
	} else {
		const struct ft_override *row = ft_overrides_of(overrides, change->client, change->user);

		fuzz_check(overrides->count >= 1 && overrides->count <= 3);
		fuzz_check((row == NULL) == change->remove);
	}
	ft_overrides_free(&overrides);
	free(text);
	ft_options_release(&options);
}

static void control_check_command(const struct ft_control_command *command)
{
	static const char *const names[] = { "", "a", "photo.jpg", "\xc3\xbc.jpg" };

	fuzz_check(command->name);
	if (command->wrong) {
		fuzz_check(*command->wrong);
		return;
	}
	fuzz_check(command->verb < FT_CONTROL_VERBS);
	fuzz_check(command->limit >= 1 && command->limit <= FT_CONTROL_LIMIT_MAX);
	fuzz_check(command->since >= 0 && command->until >= 0);
	fuzz_check(command->min_size <= INT64_MAX && command->max_size <= INT64_MAX);
	fuzz_check(command->key.owner_len <= FT_OWNER_MAX);
	fuzz_check(command->key.file_len <= FT_FILE_ID_MAX);
	fuzz_check(!command->pattern || strlen(command->pattern) <= 255);
	if (command->key.owner && command->key.file)
		control_check_key(command);
	if (command->verb == FT_CONTROL_SET_LIMITS)
		control_check_change(&command->change);
	for (size_t i = 0; command->pattern && i < sizeof names / sizeof names[0]; i++)
		(void)ft_wildcard_match(command->pattern, names[i]);
}

FUZZ_TARGET(control)
{
	struct ft_control *control;
	const char *why = NULL;
	enum ft_status st = ft_control_parse((const char *)bytes, len, &control, &why);

	if (st != FT_OK) {
		fuzz_check(st == FT_INVALID_FILE_COMMAND && why && *why && !control);
		return;
	}
	fuzz_check(len <= FT_CONTROL_SIZE_MAX && ft_utf8_valid((const char *)bytes, len));
	fuzz_check(control->count <= FT_CONTROL_COMMANDS_MAX);
	for (size_t i = 0; i < control->count; i++)
		control_check_command(&control->commands[i]);
	ft_control_free(&control);
}
