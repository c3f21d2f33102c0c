/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/guard_download.h"

#include <stddef.h>
#include <string.h>

static const char guard_group[] = "$file-offer/group/";

static const char *guard_skip(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

bool ft_guard_is_from_broker(const char *topic)
{
	static const char *const prefixes[] = { "$file-data/", "$file-offer/", "$file-report/" };

	for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
		if (guard_skip(topic, prefixes[i]))
			return true;
	return false;
}

const char *ft_guard_group_of(const char *topic)
{
	return guard_skip(topic, guard_group);
}

/* What follows goes on at a level that is just this id, as a filter, too. */
static enum ft_guard_verdict guard_own(const char *rest, const char *id)
{
	size_t len = id ? strlen(id) : 0;

	if (len == 0 || strpbrk(id, "+#") || strncmp(rest, id, len) != 0
	    || (rest[len] != '/' && rest[len] != '\0'))
		return FT_GUARD_DENY;
	return FT_GUARD_ALLOW;
}

static enum ft_guard_verdict guard_read(const char *topic, const char *client_id, const char *user)
{
	const char *rest;

	if (guard_skip(topic, "$file-get/"))
		return FT_GUARD_DENY;
	if ((rest = guard_skip(topic, "$file-data/")) != NULL
	    || (rest = guard_skip(topic, "$file-offer/client/")) != NULL)
		return guard_own(rest, client_id);
	if ((rest = guard_skip(topic, "$file-offer/user/")) != NULL)
		return guard_own(rest, user);
	if ((rest = guard_skip(topic, guard_group)) != NULL)
		return *rest == '+' || *rest == '#' ? FT_GUARD_DENY : FT_GUARD_MEMBERS;
	if ((rest = guard_skip(topic, "$file-offer/")) == NULL)
		return FT_GUARD_FOREIGN;
	return guard_skip(rest, "all/") || strcmp(rest, "all") == 0 ? FT_GUARD_FOREIGN
								    : FT_GUARD_DENY;
}

/* To share what is one's own with a group of subscribers is to hand it to others. */
static enum ft_guard_verdict guard_subscribe(const char *filter, const char *client_id,
					     const char *user)
{
	const char *group = guard_skip(filter, "$share/");
	const char *slash = group ? strchr(group, '/') : NULL;
	enum ft_guard_verdict verdict;

	if (!slash)
		return guard_read(filter, client_id, user);
	verdict = guard_read(slash + 1, NULL, NULL);
	return verdict == FT_GUARD_MEMBERS ? FT_GUARD_DENY : verdict;
}

enum ft_guard_verdict ft_guard_check_download(enum ft_guard_access access, const char *topic,
					      const char *client_id, const char *user)
{
	switch (access) {
	case FT_GUARD_READ:
		return guard_read(topic, client_id, user);
	case FT_GUARD_WRITE:
		return ft_guard_is_from_broker(topic) ? FT_GUARD_DENY : FT_GUARD_FOREIGN;
	case FT_GUARD_SUBSCRIBE:
		return guard_subscribe(topic, client_id, user);
	case FT_GUARD_UNSUBSCRIBE:
		break;
	}
	return FT_GUARD_FOREIGN;
}
