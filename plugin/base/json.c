/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "base/json.h"

#include <string.h>

#include "base/hex.h"

#define JSON_DEPTH_MAX ((size_t)65536)

/* --- skipping: each returns where a thing ends, or NULL where there is none --- */

static const char *json_skip_space(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
		at++;
	return at;
}

static const char *json_skip_word(const char *at, const char *end, const char *word)
{
	size_t len = strlen(word);

	return (size_t)(end - at) >= len && memcmp(at, word, len) == 0 ? at + len : NULL;
}

static const char *json_skip_digits(const char *at, const char *end)
{
	const char *begin = at;

	while (at < end && *at >= '0' && *at <= '9')
		at++;
	return at > begin ? at : NULL;
}

static const char *json_skip_number(const char *at, const char *end)
{
	if (*at == '-')
		at++;
	at = at < end && *at == '0' ? at + 1 : json_skip_digits(at, end);
	if (at && at < end && *at == '.')
		at = json_skip_digits(at + 1, end);
	if (!at || at == end || (*at != 'e' && *at != 'E'))
		return at;
	at++;
	if (at < end && (*at == '+' || *at == '-'))
		at++;
	return json_skip_digits(at, end);
}

/* The value of four hex digits, or -1. */
static int json_hex4(const char *at, const char *end)
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
static const char *json_skip_code_point(const char *at, const char *end)
{
	int unit = json_hex4(at, end);

	if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff))
		return NULL;
	at += 4;
	if (unit < 0xd800 || unit > 0xdbff)
		return at;
	if (!(at = json_skip_word(at, end, "\\u")))
		return NULL;
	unit = json_hex4(at, end);
	return unit >= 0xdc00 && unit <= 0xdfff ? at + 4 : NULL;
}

static const char *json_skip_string(const char *at, const char *end)
{
	at = json_skip_word(at, end, "\"");
	while (at && at < end) {
		unsigned char c = (unsigned char)*at++;

		if (c == '"')
			return at;
		if (c < 0x20)
			return NULL;
		if (c != '\\')
			continue;
		if (at < end && *at == 'u')
			at = json_skip_code_point(at + 1, end);
		else
			at = at < end && *at && strchr("\"\\/bfnrt", *at) ? at + 1 : NULL;
	}
	return NULL;
}

/* A key, its colon and the space around it. */
static const char *json_skip_key(const char *at, const char *end)
{
	if ((at = json_skip_string(json_skip_space(at, end), end)) != NULL)
		at = json_skip_word(json_skip_space(at, end), end, ":");
	return at ? json_skip_space(at, end) : NULL;
}

static const char *json_skip_scalar(const char *at, const char *end)
{
	switch (*at) {
	case '"':
		return json_skip_string(at, end);
	case 't':
		return json_skip_word(at, end, "true");
	case 'f':
		return json_skip_word(at, end, "false");
	case 'n':
		return json_skip_word(at, end, "null");
	default:
		return json_skip_number(at, end);
	}
}

/* The arrays and objects around a place: one bit each, so that depth takes no calls. */
struct json_nest {
	size_t depth;
	size_t deepest;
	uint8_t is_object[JSON_DEPTH_MAX / 8];
};

static bool json_nest_in_object(const struct json_nest *nest)
{
	size_t inner = nest->depth - 1;

	return nest->is_object[inner / 8] & 1u << inner % 8;
}

static char json_nest_closing(const struct json_nest *nest)
{
	return json_nest_in_object(nest) ? '}' : ']';
}

/* To where the next value begins, behind a key where there are keys. */
static const char *json_to_value(const struct json_nest *nest, const char *at, const char *end)
{
	return json_nest_in_object(nest) ? json_skip_key(at, end) : json_skip_space(at, end);
}

/* Behind a value: ends what ends here, and goes to the next value, or out of the nest. */
static const char *json_leave(struct json_nest *nest, const char *at, const char *end)
{
	while (nest->depth > 0) {
		at = json_skip_space(at, end);
		if (at == end)
			return NULL;
		if (*at == ',')
			return json_to_value(nest, at + 1, end);
		if (*at != json_nest_closing(nest))
			return NULL;
		nest->depth--;
		at++;
	}
	return at;
}

/* At an opening bracket: to the first value in it, or behind it if it is empty. */
static const char *json_enter(struct json_nest *nest, const char *at, const char *end)
{
	uint8_t *bits = &nest->is_object[nest->depth / 8];
	uint8_t bit = (uint8_t)(1u << nest->depth % 8);

	if (nest->depth == JSON_DEPTH_MAX)
		return NULL;
	*bits = *at == '{' ? *bits | bit : *bits & (uint8_t)~bit;
	if (++nest->depth > nest->deepest)
		nest->deepest = nest->depth;
	at = json_skip_space(at + 1, end);
	if (at < end && *at == json_nest_closing(nest))
		return json_leave(nest, at, end);
	return json_to_value(nest, at, end);
}

static const char *json_skip_value(const char *at, const char *end, size_t *depth)
{
	struct json_nest nest;

	nest.depth = nest.deepest = 0;
	do {
		if (at == end)
			return NULL;
		if (*at == '{' || *at == '[')
			at = json_enter(&nest, at, end);
		else if ((at = json_skip_scalar(at, end)) != NULL)
			at = json_leave(&nest, at, end);
	} while (at && nest.depth > 0);
	*depth = nest.deepest;
	return at;
}

/* --- finding --- */

/* Whether a valid string, at its first quote, is `name`: any of its characters may be escaped. */
static bool json_is_name(const char *at, const char *end, const char *name)
{
	for (at++; *at != '"' && *name; name++) {
		int c = (unsigned char)*at++;

		if (c == '\\') {
			if (*at != 'u')
				return false;
			c = json_hex4(at + 1, end);
			at += 5;
		}
		if (c != (unsigned char)*name)
			return false;
	}
	return *at == '"' && !*name;
}

static void json_note(struct ft_json_member *members, size_t count, const char *key,
		      const char *value, const char *end, size_t depth)
{
	for (size_t i = 0; i < count; i++) {
		if (!members[i].value.at && json_is_name(key, end, members[i].key)) {
			members[i].value.at = value;
			members[i].value.len = *value == 'n' ? 0 : (size_t)(end - value);
			members[i].depth = depth;
		}
	}
}

/* `at` is behind the opening brace. */
static const char *json_find_members(const char *at, const char *end,
				     struct ft_json_member *members, size_t count)
{
	at = json_skip_space(at, end);
	if (at < end && *at == '}')
		return at + 1;
	while (at) {
		const char *key = json_skip_space(at, end);
		const char *value = json_skip_key(key, end);
		size_t depth;

		if (!value || !(at = json_skip_value(value, end, &depth)))
			return NULL;
		json_note(members, count, key, value, at, depth);
		at = json_skip_space(at, end);
		if (at == end)
			return NULL;
		if (*at == '}')
			return at + 1;
		at = json_skip_word(at, end, ",");
	}
	return NULL;
}

enum ft_json_shape ft_json_find(const char *text, size_t len, struct ft_json_member *members,
				size_t count)
{
	static const char byte_order_mark[] = "\xef\xbb\xbf";
	const char *end = text + len, *at = json_skip_word(text, end, byte_order_mark);
	bool object;
	size_t depth;

	for (size_t i = 0; i < count; i++) {
		members[i].value = (struct ft_json_text){ .at = NULL };
		members[i].depth = 0;
	}
	at = json_skip_space(at ? at : text, end);
	object = at < end && *at == '{';
	at = object ? json_find_members(at + 1, end, members, count)
		    : json_skip_value(at, end, &depth);
	if (!at || json_skip_space(at, end) != end)
		return FT_JSON_BROKEN;
	return object ? FT_JSON_OBJECT : FT_JSON_NO_OBJECT;
}

/* --- reading what was found: it is valid --- */

/* The exponent behind "e", clamped to what makes any difference. */
static int64_t json_exponent(const char *at, const char *end)
{
	bool negative = at < end && *at == '-';
	int64_t exponent = 0;

	if (at < end && (*at == '-' || *at == '+'))
		at++;
	for (; at < end; at++)
		if (exponent < (int64_t)1 << 40)
			exponent = exponent * 10 + (*at - '0');
	return negative ? -exponent : exponent;
}

static bool json_add_digit(uint64_t *number, unsigned digit, uint64_t max)
{
	if (digit > max || *number > (max - digit) / 10)
		return false;
	*number = *number * 10 + digit;
	return true;
}

/* digits[.digits] times ten to the power of `exponent`, digit by digit. */
static bool json_scale(const char *at, const char *end, int64_t exponent, uint64_t max,
		       uint64_t *integer)
{
	const char *point = memchr(at, '.', (size_t)(end - at));
	int64_t wanted = (point ? point : end) - at + exponent;	/* digits before the point */
	uint64_t number = 0;

	for (; at < end; at++) {
		if (at == point)
			continue;
		if (wanted-- > 0 ? !json_add_digit(&number, (unsigned)(*at - '0'), max)
				 : *at != '0')
			return false;
	}
	for (; wanted > 0 && number > 0; wanted--)
		if (!json_add_digit(&number, 0, max))
			return false;
	*integer = number;
	return true;
}

bool ft_json_integer(const struct ft_json_text *value, uint64_t max, uint64_t *integer)
{
	const char *at = value->at, *end = at + value->len, *digits_end = at;
	bool negative = *at == '-';
	uint64_t number;

	if (!negative && (*at < '0' || *at > '9'))
		return false;
	if (negative)
		at++;
	while (digits_end < end && *digits_end != 'e' && *digits_end != 'E')
		digits_end++;
	if (!json_scale(at, digits_end, digits_end < end ? json_exponent(digits_end + 1, end) : 0,
			max, &number))
		return false;
	if (negative && number > 0)
		return false;
	*integer = number;
	return true;
}

static size_t json_put_utf8(char *to, uint32_t c)
{
	static const uint8_t first[] = { 0, 0xc0, 0xe0, 0xf0 };
	size_t more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;

	to[0] = (char)(first[more] | c >> 6 * more);
	for (size_t i = 1; i <= more; i++)
		to[i] = (char)(0x80 | (c >> 6 * (more - i) & 0x3f));
	return more + 1;
}

/* The character at *at, in UTF-8; moves *at behind it. */
static size_t json_read_character(char to[4], const char **at, const char *end)
{
	static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
	const char *letter;
	uint32_t c;

	if (**at != '\\') {
		to[0] = *(*at)++;
		return 1;
	}
	(*at)++;
	if (**at == 'u') {
		c = (uint32_t)json_hex4(*at + 1, end);
		*at += 5;
		if (c >= 0xd800 && c <= 0xdbff) {
			c = 0x10000 + ((c - 0xd800) << 10)
			    + ((uint32_t)json_hex4(*at + 2, end) - 0xdc00);
			*at += 6;
		}
		return json_put_utf8(to, c);
	}
	letter = strchr(letters, **at);
	to[0] = letter ? meant[letter - letters] : **at;
	(*at)++;
	return 1;
}

bool ft_json_string(const struct ft_json_text *value, char *to, size_t room, size_t *len)
{
	const char *at = value->at, *end = at + value->len - 1;
	size_t used = 0;

	if (*at != '"')
		return false;
	for (at++; at < end;) {
		char character[4];
		size_t step = json_read_character(character, &at, end);

		if (room - used <= step)
			return false;
		memcpy(to + used, character, step);
		used += step;
	}
	to[used] = '\0';
	*len = used;
	return true;
}
