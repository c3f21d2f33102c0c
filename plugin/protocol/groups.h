/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Which clients are members of which group, from a text of lines such as
 *
 *	trial: client:gw-0* user:lab-?	# a comment
 *
 * Patterns are those of protocol/glob.h, without blanks. Ids longer than FT_GROUPS_ID_MAX bytes
 * are in no group, so that matching takes bounded time. Threads: any, once parsed.
 */
#ifndef FT_PROTOCOL_GROUPS_H
#define FT_PROTOCOL_GROUPS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "file_transfer/status.h"

#define FT_GROUPS_MAX 256
#define FT_GROUPS_TEXT_MAX 65536	/* bytes */
#define FT_GROUPS_ID_MAX 255

struct ft_group {
	const char *name;
	const char *members;	/* patterns, each with its NUL, an empty one at the end */
};

struct ft_groups {
	char *text;		/* owned */
	size_t count;
	struct ft_group group[FT_GROUPS_MAX];
};

/* Owned by the caller, who frees it by ft_groups_free(). */
enum ft_status ft_groups_parse(struct ft_groups **out, const char *text, size_t len,
			       struct ft_buf *why) FT_MUST_USE;
void ft_groups_free(struct ft_groups **groups);

/* Whether a group has this member; `user` NULL: one without a name. */
bool ft_group_has(const struct ft_group *group, const char *client, const char *user);

#endif
