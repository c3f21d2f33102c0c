/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/pattern.h"

#include <stddef.h>
#include <string.h>

struct ids {
	const char *client;
	const char *user;
};

/* What %c or %u at `pattern` stands for; NULL where there is no such id. */
static const char *expansion(const char *pattern, const struct ids *ids)
{
	return pattern[1] == 'c' ? ids->client : ids->user;
}

static bool is_expansion(const char *pattern, const char *end)
{
	return end - pattern >= 2 && pattern[0] == '%' && (pattern[1] == 'c' || pattern[1] == 'u');
}

/* "#" as the last level, after '/' or alone. */
static bool is_rest(const char *pattern, const char *begin, const char *end)
{
	return *pattern == '#' && pattern + 1 == end && (pattern == begin || pattern[-1] == '/');
}

/* "/#" as the rest: it also stands for nothing, the level above (MQTT 5, 4.7.1.2). */
static bool is_empty_rest(const char *pattern, const char *end)
{
	return end - pattern == 2 && pattern[0] == '/' && pattern[1] == '#';
}

/* Without backtracking: '+' takes a whole level, '#' the rest. */
static bool match(const char *begin, const char *end, const char *topic, const struct ids *ids)
{
	const char *p = begin;

	while (p < end) {
		if (is_expansion(p, end)) {
			const char *id = expansion(p, ids);
			size_t len = id ? strlen(id) : 0;

			if (len == 0 || strncmp(topic, id, len) != 0)
				return false;
			topic += len;
			p += 2;
		} else if (*topic == '\0' && is_empty_rest(p, end)) {
			return true;
		} else if (is_rest(p, begin, end)) {
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

bool ft_patterns_match(const char *patterns, const char *topic, const char *client,
		       const char *user)
{
	const struct ids ids = { client, user };

	if (!patterns || *topic == '\0' || strpbrk(topic, "+#"))
		return false;
	while (*patterns) {
		const char *begin = patterns + strspn(patterns, " ,");
		const char *end = begin + strcspn(begin, ",");

		patterns = end;
		while (end > begin && end[-1] == ' ')
			end--;
		if (end > begin && (*begin == '$') == (*topic == '$')
		    && match(begin, end, topic, &ids))
			return true;
	}
	return false;
}
