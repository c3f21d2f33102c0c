/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/pattern.h"

#include <stddef.h>
#include <string.h>

struct ids {
	const char *client;
	const char *user;
};

/* What %c or %u at `pattern` stands for; NULL where there is no such id. */
static const char *pattern_expansion(const char *pattern, const struct ids *ids)
{
	return pattern[1] == 'c' ? ids->client : ids->user;
}

static bool pattern_is_expansion(const char *pattern, const char *end)
{
	return end - pattern >= 2 && pattern[0] == '%' && (pattern[1] == 'c' || pattern[1] == 'u');
}

/* "#" as the last level, after '/' or alone. */
static bool pattern_is_rest(const char *pattern, const char *begin, const char *end)
{
	return *pattern == '#' && pattern + 1 == end && (pattern == begin || pattern[-1] == '/');
}

/* "/#" as the rest: it also stands for nothing, the level above (MQTT 5, 4.7.1.2). */
static bool pattern_is_empty_rest(const char *pattern, const char *end)
{
	return end - pattern == 2 && pattern[0] == '/' && pattern[1] == '#';
}

/* Without backtracking: '+' takes a whole level, '#' the rest. */
static bool pattern_match(const char *begin, const char *end, const char *topic, const struct ids *ids)
{
	const char *p = begin;

	while (p < end) {
		if (pattern_is_expansion(p, end)) {
			const char *id = pattern_expansion(p, ids);
			size_t len = id ? strlen(id) : 0;

			if (len == 0 || strncmp(topic, id, len) != 0)
				return false;
			topic += len;
			p += 2;
		} else if (*topic == '\0' && pattern_is_empty_rest(p, end)) {
			return true;
		} else if (pattern_is_rest(p, begin, end)) {
			return true;
		} else if (*p == '+') {
			topic += strcspn(topic, "/");
			p++;
		} else if (*topic != '\0' && *p == *topic) {
			topic++;
			p++;
		} else {
			return false;
		}
	}
	return *topic == '\0';
}

/* The next pattern of the list, without the blanks around it; false: there is none. */
static bool pattern_next(const char **patterns, const char **begin, const char **end)
{
	do {
		*begin = *patterns + strspn(*patterns, " ,");
		*end = *begin + strcspn(*begin, ",");
		*patterns = *end;
		while (*end > *begin && (*end)[-1] == ' ')
			(*end)--;
	} while (*end == *begin && **patterns);
	return *end > *begin;
}

bool ft_patterns_match(const char *patterns, const char *topic, const char *client,
		       const char *user)
{
	const struct ids ids = { client, user };
	const char *begin, *end;

	if (!patterns || *topic == '\0' || strpbrk(topic, "+#"))
		return false;
	while (pattern_next(&patterns, &begin, &end))
		if ((*begin == '$') == (*topic == '$') && pattern_match(begin, end, topic, &ids))
			return true;
	return false;
}

/* Whether a wildcard has its level to itself. */
static bool pattern_is_whole_level(const char *at, const char *begin, const char *end)
{
	return (at == begin || at[-1] == '/') && (at + 1 == end || at[1] == '/');
}

static const char *pattern_check(const char *begin, const char *end)
{
	static const char *const commands[] = { "$file/", "$file-async/" };

	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (strncmp(begin, commands[i], strlen(commands[i])) == 0)
			return "topics of commands can't be response topics";
	for (const char *at = begin; at < end; at++) {
		if (*at == '%' && !pattern_is_expansion(at, end))
			return "% must be followed by c (client id) or u (user name)";
		if ((*at == '+' || *at == '#') && !pattern_is_whole_level(at, begin, end))
			return "+ and # must be whole levels of a topic filter";
		if (*at == '#' && at + 1 != end)
			return "# must be the last level of a topic filter";
	}
	return NULL;
}

const char *ft_patterns_check(const char *patterns)
{
	const char *begin, *end, *wrong = NULL;
	bool any = false;

	if (!patterns)
		return NULL;
	while (!wrong && pattern_next(&patterns, &begin, &end)) {
		wrong = pattern_check(begin, end);
		any = true;
	}
	return any ? wrong : "there is no topic filter in it";
}
