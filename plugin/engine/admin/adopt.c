/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/admin/adopt.h"

#include <string.h>

#include "base/escape.h"

bool ft_adopt_fits_place(const struct ft_finished *finished, const struct ft_store_found *found)
{
	char owner_name[FT_NAME_ROOM], file_name[FT_NAME_ROOM];

	ft_escape(owner_name, finished->key.owner, finished->key.owner_len);
	ft_escape(file_name, finished->key.file, finished->key.file_len);
	return strcmp(owner_name, found->owner_name) == 0 && strcmp(file_name, found->file_name) == 0
	       && strcmp(finished->name, found->name) == 0
	       && (found->size == FT_STORE_TAKEN || finished->size == found->size);
}

enum ft_status ft_adopt_number(struct ft_catalog *catalog, const struct ft_finished *finished,
			       uint64_t *number)
{
	struct ft_unfinished found;
	enum ft_status st;

	if ((st = ft_catalog_find_number(catalog, &finished->key, number)) != FT_OK || *number == 0
	    || (st = ft_catalog_find_transfer(catalog, *number, &found)) != FT_OK)
		return st;
	if (strcmp(found.facts.transfer_id, finished->transfer_id) != 0)
		*number = 0;	/* one that was begun beside the finished file */
	ft_ranges_release(&found.held);
	ft_ranges_release(&found.durable);
	return FT_OK;
}

enum ft_status ft_adopt(const struct ft_core *core, struct ft_catalog *catalog,
			const struct ft_finished *finished, const struct ft_store_found *found)
{
	enum ft_status st = ft_catalog_put_finished(catalog, finished, NULL);

	/* Whether they were told of it before nobody knows any more. */
	if (st == FT_OK && core->options->done == FT_DONE_ON && found->size != FT_STORE_TAKEN)
		st = ft_catalog_put_notice(catalog, found->manifest, found->manifest_len);
	return st;
}
