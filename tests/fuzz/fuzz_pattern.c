/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Response Topic patterns and the guard, against libmosquitto's idea of which filter
 * matches which topic.
 */
#include <mosquitto.h>

#include "protocol/guard.h"
#include "protocol/pattern.h"
#include "fuzz.h"

/* --- patterns --- */

/* `pattern` with the ids in their places; NULL where it needs one that is not there. */
static char *pattern_expand(const char *pattern, size_t len, const char *client, const char *user)
{
	size_t room = len + 1 + len * (strlen(client) + (user ? strlen(user) : 0));
	char *filter = calloc(1, room);
	size_t at = 0;

	for (size_t i = 0; i < len; i++) {
		const char *id = NULL;

		if (pattern[i] != '%' || i + 1 == len || !strchr("cu", pattern[i + 1])) {
			filter[at++] = pattern[i];
			continue;
		}
		id = pattern[++i] == 'c' ? client : user;
		if (!id || !*id) {
			free(filter);
			return NULL;
		}
		memcpy(filter + at, id, strlen(id));
		at += strlen(id);
	}
	return filter;
}

/* Whether libmosquitto says that one of the patterns matches. */
static bool pattern_expected(const char *patterns, const char *topic, const char *client,
			     const char *user)
{
	bool matches = false;

	while (*patterns && !matches) {
		const char *begin = patterns + strspn(patterns, " ,");
		size_t len = strcspn(begin, ",");
		char *filter;

		patterns = begin + len;
		while (len > 0 && begin[len - 1] == ' ')
			len--;
		filter = len > 0 ? pattern_expand(begin, len, client, user) : NULL;
		if (filter && (*begin == '$') == (*topic == '$')
		    && mosquitto_topic_matches_sub(filter, topic, &matches) != MOSQ_ERR_SUCCESS)
			matches = false;
		free(filter);
	}
	return matches;
}

/* Where ids hold no wildcards, and patterns are MQTT filters, both must agree. */
static bool pattern_is_comparable(const char *patterns, const char *client, const char *user)
{
	char *copy = strdup(patterns), *rest = copy, *one;
	bool valid = !strpbrk(client, "+#%") && (!user || !strpbrk(user, "+#%"))
		     && !strstr(patterns, "%");

	while (valid && (one = strsep(&rest, ",")) != NULL) {
		one += strspn(one, " ");
		while (*one && one[strlen(one) - 1] == ' ')
			one[strlen(one) - 1] = '\0';
		valid = *one == '\0' || mosquitto_sub_topic_check(one) == MOSQ_ERR_SUCCESS;
	}
	free(copy);
	return valid;
}

static void pattern_check(const char *patterns, const char *topic, const char *client,
			  const char *user)
{
	bool matches = ft_patterns_match(patterns, topic, client, user);

	fuzz_check(!matches || (*topic && !strpbrk(topic, "+#")));
	if (!matches && strstr(patterns, "%"))
		return;
	/* With an id in it a pattern matches at most what it matches with the id as text. */
	if (matches && !strpbrk(client, "+#%,") && (!user || !strpbrk(user, "+#%,"))
	    && !strpbrk(patterns, "+#"))
		fuzz_check(pattern_expected(patterns, topic, client, user));
	if (*topic && !strpbrk(topic, "+#") && pattern_is_comparable(patterns, client, user))
		fuzz_check(matches == pattern_expected(patterns, topic, client, user));
}

static bool pattern_names_commands(const char *pattern)
{
	return strncmp(pattern, "$file/", 6) == 0 || strncmp(pattern, "$file-async/", 12) == 0;
}

/* What is right at the start is what libmosquitto takes, but for commands. It knows no ids. */
static void pattern_check_right(const char *patterns)
{
	char *copy = strdup(patterns), *rest = copy, *one;
	bool right = true, any = false;
	size_t levels = 0;

	for (const char *at = patterns; *at; at++)
		levels += *at == '/';
	while ((one = strsep(&rest, ",")) != NULL) {
		one += strspn(one, " ");
		while (*one && one[strlen(one) - 1] == ' ')
			one[strlen(one) - 1] = '\0';
		any = any || *one;
		if (*one && (pattern_names_commands(one)
			     || mosquitto_sub_topic_check(one) != MOSQ_ERR_SUCCESS))
			right = false;
	}
	if (levels < 200 && !strchr(patterns, '%'))
		fuzz_check((ft_patterns_check(patterns) == NULL) == (right && any));
	free(copy);
}

/* --- guard --- */

static bool guard_sees(const char *filter, const char *topic)
{
	bool matches = false;

	return mosquitto_topic_matches_sub(filter, topic, &matches) == MOSQ_ERR_SUCCESS && matches;
}

static void guard_check_subscribe(const char *filter, const char *client)
{
	static const char *const secrets[] = {
		"$file/f/init", "$file/f/0", "$file/f/fin/1", "$file-async/f/0",
		"$file-async/f/fin/1/x", "$file-response/somebody else", "$file-response/a/b",
	};
	enum ft_guard_verdict verdict = ft_guard_check(FT_GUARD_SUBSCRIBE, filter, client);
	const char *shared = strncmp(filter, "$share/", 7) == 0 ? strchr(filter + 7, '/') : NULL;
	const char *seen = shared ? shared + 1 : filter;

	for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
		const char *owner = strncmp(secrets[i], "$file-response/", 15) == 0
			? secrets[i] + 15 : NULL;

		if (owner && client && strcmp(owner, client) == 0)
			continue;
		if (guard_sees(seen, secrets[i]))
			fuzz_check(verdict == FT_GUARD_DENY);
	}
	if (guard_sees(seen, "$file-event/somebody%20else/f"))
		fuzz_check(verdict == FT_GUARD_GRANTED
			   && !ft_guard_is_own_event(filter, "me", 2));
	if (strncmp(seen, "$file", 5) != 0 && strncmp(seen, "$ft-ack", 7) != 0)
		fuzz_check(verdict == FT_GUARD_FOREIGN);
	if (verdict == FT_GUARD_ALLOW)
		fuzz_check(client && !strpbrk(filter, "+#") && strcmp(filter + 15, client) == 0);
}

static void guard_check_access(const char *topic, const char *client)
{
	bool response = strncmp(topic, "$file-response/", 15) == 0;
	bool command = strncmp(topic, "$file/", 6) == 0 || strncmp(topic, "$file-async/", 12) == 0;
	enum ft_guard_verdict read = ft_guard_check(FT_GUARD_READ, topic, client);
	enum ft_guard_verdict write = ft_guard_check(FT_GUARD_WRITE, topic, client);

	fuzz_check(!command || (read == FT_GUARD_DENY && write == FT_GUARD_FOREIGN));
	fuzz_check(!response || write == FT_GUARD_DENY);
	fuzz_check(!response || read == FT_GUARD_DENY
		   || (client && strcmp(topic + 15, client) == 0));
	fuzz_check(strncmp(topic, "$file", 5) == 0 || strncmp(topic, "$ft-ack", 7) == 0
		   || (read == FT_GUARD_FOREIGN && write == FT_GUARD_FOREIGN));
	fuzz_check(ft_guard_check(FT_GUARD_UNSUBSCRIBE, topic, client) == FT_GUARD_FOREIGN);
}

FUZZ_TARGET(pattern)
{
	struct fuzz_input input = { bytes, len };
	uint8_t flags = fuzz_byte(&input);
	char *patterns = fuzz_text(&input, len);
	char *topic = fuzz_text(&input, len);
	char *client = fuzz_text(&input, len);
	char *user = fuzz_text(&input, len);

	pattern_check_right(patterns);
	pattern_check(patterns, topic, client, flags & 1 ? NULL : user);
	guard_check_subscribe(patterns, flags & 2 ? NULL : client);
	guard_check_access(topic, flags & 2 ? NULL : client);
	free(patterns);
	free(topic);
	free(client);
	free(user);
}
