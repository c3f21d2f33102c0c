/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/facts.h"

#include <string.h>

size_t ft_key_room(const struct ft_key *key)
{
	return key->owner_len + key->file_len;
}

struct ft_key ft_key_copy(const struct ft_key *key, char *room)
{
	if (key->owner_len > 0)
		memcpy(room, key->owner, key->owner_len);
	memcpy(room + key->owner_len, key->file, key->file_len);
	return (struct ft_key){ room, key->owner_len, room + key->owner_len, key->file_len };
}

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
