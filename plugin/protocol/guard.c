/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/guard.h"

#include <assert.h>
#include <string.h>

#include "protocol/event.h"

/*
 * Trees are told apart by their first level alone: no wildcard there matches a
 * topic that begins with '$' (MQTT 5.0, 4.7.2), and further down any filter of a
 * tree of ours meets topics of ours.
 */
enum tree {
	TREE_FOREIGN,
	TREE_COMMAND,
	TREE_RESPONSE,
	TREE_EVENT,
};

static const struct {
	const char *first_level;
	enum tree tree;
} trees[] = {
	{ "$file/", TREE_COMMAND },
	{ "$file-async/", TREE_COMMAND },
	{ "$file-response/", TREE_RESPONSE },
	{ FT_EVENT_PREFIX, TREE_EVENT },
};

/* What begins with `prefix` goes on at the result; NULL where it does not. */
static const char *guard_skip(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

/* What accepted commands become where the operator provides the sink: ack_sink.h. */
static bool guard_is_swallowed_command(const char *topic)
{
	const char *rest = guard_skip(topic, "$ft-ack");

	return rest && (*rest == '\0' || *rest == '/');
}

static enum tree guard_tree_of(const char *topic)
{
	if (guard_is_swallowed_command(topic))
		return TREE_COMMAND;
	for (size_t i = 0; i < sizeof trees / sizeof trees[0]; i++)
		if (guard_skip(topic, trees[i].first_level))
			return trees[i].tree;
	return TREE_FOREIGN;
}

/* The filter in $share/<group>/<filter>; NULL where this is no shared subscription. */
static const char *guard_shared_filter(const char *filter)
{
	const char *group = guard_skip(filter, "$share/");
	const char *slash = group ? strchr(group, '/') : NULL;

	return slash ? slash + 1 : NULL;
}

/* Whether this is the client's own response topic, and as a filter nothing else. */
static bool guard_is_own_response(const char *topic, const char *client_id)
{
	const char *addressee = guard_skip(topic, "$file-response/");

	if (!addressee || !client_id || client_id[0] == '\0' || strpbrk(client_id, "+#"))
		return false;
	return strcmp(addressee, client_id) == 0;
}

static enum ft_guard_verdict guard_check_read(const char *topic, const char *client_id)
{
	switch (guard_tree_of(topic)) {
	case TREE_COMMAND:
		return FT_GUARD_DENY;
	case TREE_RESPONSE:
		return guard_is_own_response(topic, client_id) ? FT_GUARD_ALLOW : FT_GUARD_DENY;
	case TREE_EVENT:
		return FT_GUARD_GRANTED;
	case TREE_FOREIGN:
		break;
	}
	return FT_GUARD_FOREIGN;
}

static enum ft_guard_verdict guard_check_write(const char *topic)
{
	switch (guard_tree_of(topic)) {
	case TREE_RESPONSE:
	case TREE_EVENT:
		return FT_GUARD_DENY;
	case TREE_COMMAND:
	case TREE_FOREIGN:
		break;
	}
	return FT_GUARD_FOREIGN;
}

static enum ft_guard_verdict guard_check_subscribe(const char *filter, const char *client_id)
{
	const char *shared = guard_shared_filter(filter);

	/* To share one's responses with a group is to hand them to others. */
	if (shared)
		return guard_check_read(shared, NULL);
	return guard_check_read(filter, client_id);
}

bool ft_guard_is_own_event(const char *topic, const char *owner, size_t owner_len)
{
	const char *rest = guard_skip(topic, FT_EVENT_PREFIX);
	char name[FT_NAME_ROOM];
	size_t len;

	if (!rest)
		return false;
	len = ft_escape(name, owner, owner_len);
	return strncmp(rest, name, len) == 0 && rest[len] == '/';
}

enum ft_guard_verdict ft_guard_check(enum ft_guard_access access, const char *topic,
				     const char *client_id)
{
	assert(topic);
	switch (access) {
	case FT_GUARD_READ:
		return guard_check_read(topic, client_id);
	case FT_GUARD_WRITE:
		return guard_check_write(topic);
	case FT_GUARD_SUBSCRIBE:
		return guard_check_subscribe(topic, client_id);
	case FT_GUARD_UNSUBSCRIBE:
		break;
	}
	return FT_GUARD_FOREIGN;
}
