/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/fs.h"

bool fs_marks_init(struct fs_marks *marks)
{
	ft_list_init(&marks->list);
	return pthread_mutex_init(&marks->lock, NULL) == 0;
}

void fs_marks_release(struct fs_marks *marks)
{
	pthread_mutex_destroy(&marks->lock);
}

void fs_mark_init(struct fs_mark *mark, const struct fs_names *names)
{
	ft_link_init(&mark->link);
	mark->names = names;
}

void fs_marks_set(struct fs_marks *marks, struct fs_mark *mark, bool marked)
{
	pthread_mutex_lock(&marks->lock);
	ft_link_remove(&mark->link);
	if (marked)
		ft_list_push(&marks->list, &mark->link);
	pthread_mutex_unlock(&marks->lock);
}

bool fs_marks_has(struct fs_marks *marks, const struct fs_names *names)
{
	struct ft_link *head = &marks->list.head;
	bool found = false;

	pthread_mutex_lock(&marks->lock);
	for (struct ft_link *at = head->next; at != head && !found; at = at->next) {
		const struct fs_mark *mark = FT_CONTAINER(at, struct fs_mark, link);

		found = !strcmp(mark->names->client, names->client) &&
			!strcmp(mark->names->file, names->file);
	}
	pthread_mutex_unlock(&marks->lock);
	return found;
}
