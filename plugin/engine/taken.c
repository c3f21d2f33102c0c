/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Finished files that consumers have taken away with their manifests: the catalog forgets them. */
#include <stdlib.h>

#include "engine/limits/limits.h"

#define TAKEN_MAX 64		/* files that are looked for in one go */

enum ft_status ft_taken_forget(struct ft_catalog *catalog, const struct ft_finished *file)
{
	enum ft_status st = ft_catalog_begin(catalog);

	if (st == FT_OK)
		st = ft_catalog_drop_finished(catalog, &file->key, file->number);
	return ft_catalog_end(catalog, st);
}

struct ft_taken_file *ft_taken_file_new(const struct ft_finished *file)
{
	struct ft_taken_file *taken = ft_core_alloc(sizeof *taken + ft_key_room(&file->key) + 1);

	ft_link_init(&taken->link);
	taken->key = ft_key_copy(&file->key, (char *)(taken + 1));
	taken->size = file->size;
	taken->number = file->number;
	return taken;
}

/* Of those that somebody else has forgotten meanwhile nothing is told. */
static enum ft_status taken_drop_rows(struct ft_catalog *catalog, struct ft_list *files)
{
	enum ft_status st = ft_catalog_begin(catalog);

	for (struct ft_link *link = files->head.next, *next; link != &files->head; link = next) {
		struct ft_taken_file *file = FT_CONTAINER(link, struct ft_taken_file, link);

		next = link->next;
		if (st == FT_OK)
			st = ft_catalog_drop_finished(catalog, &file->key, file->number);
		if (st != FT_NO_SUCH_TRANSFER)
			continue;
		ft_link_remove(link);
		free(file);
		st = FT_OK;
	}
	return ft_catalog_end(catalog, st);
}

void ft_taken_run(struct ft_core *core, struct ft_catalog *catalog, struct ft_taken *job)
{
	struct ft_finished file;

	enum ft_status st = FT_OK;

	job->place = job->from;
	for (int i = 0; i < TAKEN_MAX && !atomic_load(&core->stopping); i++) {
		if ((st = ft_catalog_next_finished(catalog, &job->place, &file)) != FT_OK)
			break;
		if (core->ops->find(core->store, &file.key, file.name) == FT_NO_SUCH_TRANSFER)
			ft_list_push(&job->files, &ft_taken_file_new(&file)->link);
	}
	job->ended = st == FT_NO_SUCH_TRANSFER;
	/* The writer tidies after its own commits, of which there may be none for long. */
	if (job->checkpoint)
		(void)(ft_catalog_checkpoint(catalog) != FT_OK);
	/* All or none: what stays in the catalog is found the next time. */
	if (ft_list_first(&job->files) && taken_drop_rows(catalog, &job->files) != FT_OK)
		ft_taken_clear(job);
}
