/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hex.h"

#define DEPTH_MAX 1000	/* as deep as cJSON goes: each level is a call on the stack */

/* --- skipping: each returns where a thing ends, or NULL where there is none --- */

static const char *skip_space(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
		at++;
	return at;
}

static const char *skip_char(const char *at, const char *end, char c)
{
	return at < end && *at == c ? at + 1 : NULL;
}

static const char *skip_word(const char *at, const char *end, const char *word)
{
	size_t len = strlen(word);

	return (size_t)(end - at) >= len && memcmp(at, word, len) == 0 ? at + len : NULL;
}

static const char *skip_digits(const char *at, const char *end)
{
	const char *begin = at;

	while (at < end && *at >= '0' && *at <= '9')
		at++;
	return at > begin ? at : NULL;
}

static const char *skip_fraction(const char *at, const char *end)
{
	return at < end && *at == '.' ? skip_digits(at + 1, end) : at;
}

static const char *skip_exponent(const char *at, const char *end)
{
	if (at == end || (*at != 'e' && *at != 'E'))
		return at;
	at++;
	if (at < end && (*at == '+' || *at == '-'))
		at++;
	return skip_digits(at, end);
}

static const char *skip_number(const char *at, const char *end)
{
	if (*at == '-')
		at++;
	at = at < end && *at == '0' ? at + 1 : skip_digits(at, end);
	if (at)
		at = skip_fraction(at, end);
	return at ? skip_exponent(at, end) : NULL;
}

/* The value of four hex digits, or -1. */
static int hex4(const char *at, const char *end)
{
	int value = 0;

	if (end - at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = ft_hex_digit(at[i]);

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

/* `at` is behind "\u". Of a surrogate pair both; half of one is no character. */
static const char *skip_code_point(const char *at, const char *end)
{
	int unit = hex4(at, end);

	if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff))
		return NULL;
	at += 4;
	if (unit < 0xd800 || unit > 0xdbff)
		return at;
	if (!(at = skip_word(at, end, "\\u")))
		return NULL;
	unit = hex4(at, end);
	return unit >= 0xdc00 && unit <= 0xdfff ? at + 4 : NULL;
}

static const char *skip_string(const char *at, const char *end)
{
	at = skip_char(at, end, '"');
	while (at && at < end) {
		unsigned char c = (unsigned char)*at++;

		if (c == '"')
			return at;
		if (c < 0x20)
			return NULL;
		if (c != '\\')
			continue;
		if (at < end && *at == 'u')
			at = skip_code_point(at + 1, end);
		else
			at = at < end && *at && strchr("\"\\/bfnrt", *at) ? at + 1 : NULL;
	}
	return NULL;
}

/* A key and its colon. */
static const char *skip_key(const char *at, const char *end)
{
	if ((at = skip_string(at, end)) != NULL)
		at = skip_char(skip_space(at, end), end, ':');
	return at ? skip_space(at, end) : NULL;
}

/* --- choosing --- */

/* What of an object is to be parsed. */
struct choice {
	const char *const *wanted;
	const char *apart;
	struct ft_json_text *value;
	struct ft_buf out;
};

/* Whether a string, without its quotes, is `name`: any of its characters may be escaped. */
static bool is_name(const char *at, const char *end, const char *name)
{
	for (; at < end && *name; name++) {
		int c = (unsigned char)*at++;

		if (c == '\\') {
			if (*at != 'u')
				return false;
			c = hex4(at + 1, end);
			at += 5;
		}
		if (c != (unsigned char)*name)
			return false;
	}
	return at == end && !*name;
}

static bool is_wanted(const struct choice *choice, const char *at, const char *end)
{
	if (!choice->wanted)
		return true;
	for (size_t i = 0; choice->wanted[i]; i++)
		if (is_name(at, end, choice->wanted[i]))
			return true;
	return false;
}

/* One member: its key in quotes, and its value. */
static void choose(struct choice *choice, struct ft_json_text key, struct ft_json_text value)
{
	const char *name = key.at + 1, *name_end = key.at + key.len - 1;
	bool container = *value.at == '{' || *value.at == '[';

	if (choice->apart && is_name(name, name_end, choice->apart)) {
		if (choice->value->len == 0)
			*choice->value = value;
		return;
	}
	if (!is_wanted(choice, name, name_end))
		return;
	if (choice->out.len > 1)
		ft_buf_char(&choice->out, ',');
	ft_buf_bytes(&choice->out, key.at, key.len);
	ft_buf_char(&choice->out, ':');
	if (choice->wanted && container)
		ft_buf_str(&choice->out, "[]");
	else
		ft_buf_bytes(&choice->out, value.at, value.len);
}

/* --- skipping, and on the way choosing --- */

static const char *skip_value(const char *at, const char *end, int depth);

static const char *skip_member(const char *key, const char *end, int depth, struct choice *choice)
{
	const char *value = skip_key(key, end);
	const char *behind = value ? skip_value(value, end, depth) : NULL;

	if (behind && choice)
		choose(choice,
		       (struct ft_json_text){ key, (size_t)(skip_string(key, end) - key) },
		       (struct ft_json_text){ value, (size_t)(behind - value) });
	return behind;
}

/* `at` is behind the opening bracket. */
static const char *skip_container(const char *at, const char *end, char close, int depth,
				  struct choice *choice)
{
	at = skip_space(at, end);
	if (at < end && *at == close)
		return at + 1;
	while (at) {
		at = close == '}' ? skip_member(at, end, depth, choice)
				  : skip_value(at, end, depth);
		if (!at || (at = skip_space(at, end)) == end)
			return NULL;
		if (*at == close)
			return at + 1;
		if ((at = skip_char(at, end, ',')) != NULL)
			at = skip_space(at, end);
	}
	return NULL;
}

static const char *skip_value(const char *at, const char *end, int depth)
{
	if (at == end || depth == DEPTH_MAX)
		return NULL;
	switch (*at) {
	case '{':
		return skip_container(at + 1, end, '}', depth + 1, NULL);
	case '[':
		return skip_container(at + 1, end, ']', depth + 1, NULL);
	case '"':
		return skip_string(at, end);
	case 't':
		return skip_word(at, end, "true");
	case 'f':
		return skip_word(at, end, "false");
	case 'n':
		return skip_word(at, end, "null");
	default:
		return skip_number(at, end);
	}
}

/* The whole text, from its first value on. True: it is JSON. */
static bool read_text(const char *at, const char *end, struct choice *choice)
{
	if (at < end && *at == '{') {
		ft_buf_char(&choice->out, '{');
		at = skip_container(at + 1, end, '}', 1, choice);
		ft_buf_char(&choice->out, '}');
	} else {
		at = skip_value(at, end, 0);
	}
	return at && skip_space(at, end) == end;
}

/* --- parsing --- */

/* cJSON does not tell why it gave up. What it needs is about this much, in small pieces. */
static bool memory_is_short(size_t len)
{
	void *probe = malloc(16 * len + 4096);

	free(probe);
	return !probe;
}

static enum ft_status parse(const struct ft_buf *text, cJSON **json)
{
	/* Twice: one allocation that failed need not fail again, and leaves no other trace. */
	for (int i = 0; i < 2 && !*json; i++)
		*json = cJSON_ParseWithLengthOpts(text->text, text->len + 1, NULL, 1);
	if (*json)
		return FT_OK;
	return memory_is_short(text->len) ? FT_NO_MEMORY : FT_DAMAGED;
}

enum ft_status ft_json_parse_object(const char *text, size_t len, const char *const *wanted,
				    const char *apart, cJSON **json, struct ft_json_text *value)
{
	static const char byte_order_mark[] = "\xef\xbb\xbf";
	const char *end = text + len, *at = skip_word(text, end, byte_order_mark);
	struct ft_json_text none;
	struct choice choice = { .wanted = wanted, .apart = apart, .value = value ? value : &none };
	char *room = malloc(len + 3);
	enum ft_status st = FT_DAMAGED;

	*json = NULL;
	*choice.value = (struct ft_json_text){ .at = NULL };
	if (!room)
		return FT_NO_MEMORY;
	choice.out = ft_buf_on(room, len + 3);
	if (read_text(skip_space(at ? at : text, end), end, &choice))
		st = choice.out.len > 0 ? parse(&choice.out, json) : FT_OK;
	free(room);
	return st;
}
