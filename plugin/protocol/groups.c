/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/groups.h"

#include <stdlib.h>
#include <string.h>

#include "base/wildcard.h"
#include "protocol/offer.h"

static bool groups_is_member(const char *word)
{
	static const char *const kinds[] = { "client:", "user:" };

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strncmp(word, kinds[i], strlen(kinds[i])) == 0 && word[strlen(kinds[i])])
			return true;
	return false;
}

/* Its patterns, moved together so that an empty one ends them. What is wrong, or NULL. */
static const char *groups_take_line(struct ft_groups *groups, char *line)
{
	char *saved, *name = strtok_r(line, " \t\r", &saved), *to, *word;
	size_t len = name ? strlen(name) : 0;

	if (!name)
		return NULL;
	if (name[len - 1] != ':')
		return "a line is GROUP: client:PATTERN user:PATTERN ...";
	name[--len] = '\0';
	if (!ft_offer_path_is_good(name, len) || strchr(name, '/'))
		return "this can be no name of a group";
	if (groups->count == FT_GROUPS_MAX)
		return "there are too many groups";
	to = name + len + 1;
	groups->group[groups->count++] = (struct ft_group){ .name = name, .members = to };
	while ((word = strtok_r(NULL, " \t\r", &saved)) != NULL) {
		if (!groups_is_member(word))
			return "a member is client:PATTERN or user:PATTERN";
		len = strlen(word) + 1;
		memmove(to, word, len);
		to += len;
	}
	*to = '\0';
	return NULL;
}

enum ft_status ft_groups_parse(struct ft_groups **out, const char *text, size_t len,
			       struct ft_buf *why)
{
	struct ft_groups *groups = calloc(1, sizeof *groups);
	const char *wrong = NULL;
	size_t number = 1;

	/* Two bytes more: the empty pattern behind the last one. */
	if (!groups || !(groups->text = calloc(1, len + 2))) {
		ft_groups_free(&groups);
		return FT_NO_MEMORY;
	}
	memcpy(groups->text, text, len);
	for (char *line = groups->text, *next; !wrong && line; line = next, number++) {
		if ((next = strchr(line, '\n')) != NULL)
			*next++ = '\0';
		line[strcspn(line, "#")] = '\0';
		if ((wrong = groups_take_line(groups, line)) != NULL)
			ft_buf_printf(why, "line %zu: %s", number, wrong);
	}
	if (wrong) {
		ft_groups_free(&groups);
		return FT_INVALID_FILEMETA;
	}
	*out = groups;
	return FT_OK;
}

void ft_groups_free(struct ft_groups **groups)
{
	if (!*groups)
		return;
	free((*groups)->text);
	free(*groups);
	*groups = NULL;
}

bool ft_group_has(const struct ft_group *group, const char *client, const char *user)
{
	for (const char *member = group->members; *member; member += strlen(member) + 1) {
		const char *id = *member == 'c' ? client : user;
		const char *pattern = strchr(member, ':') + 1;

		if (id && strnlen(id, FT_GROUPS_ID_MAX + 1) <= FT_GROUPS_ID_MAX
		    && ft_wildcard_match(pattern, id))
			return true;
	}
	return false;
}
