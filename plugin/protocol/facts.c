/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/facts.h"

#include <string.h>

bool ft_meta_equal(const struct ft_meta *a, const struct ft_meta *b)
{
	return strcmp(a->name, b->name) == 0
	       && a->has_size == b->has_size && (!a->has_size || a->size == b->size)
	       && a->has_checksum == b->has_checksum
	       && (!a->has_checksum || ft_sha256_equal(&a->checksum, &b->checksum));
}

bool ft_meta_fits(const struct ft_meta *meta, const struct ft_finished *finished)
{
	return strcmp(meta->name, finished->init_name[0] ? finished->init_name : finished->name) == 0
	       && (!meta->has_size || meta->size == finished->size)
	       && (!meta->has_checksum || ft_sha256_equal(&meta->checksum, &finished->checksum));
}

bool ft_fin_fits(const struct ft_fin *fin, const struct ft_finished *finished)
{
	return fin->size == finished->size
	       && (!fin->has_checksum || ft_sha256_equal(&fin->checksum, &finished->checksum));
}
