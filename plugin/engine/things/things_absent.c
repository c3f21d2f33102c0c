/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Things whose clients are not known: see things.h. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "engine/downloads/downloads_private.h"

static uint64_t absent_hash(const struct ft_engine *e, const char *id)
{
	const struct ft_key key = { .owner = id, .owner_len = strlen(id), .file = "" };

	return ft_registry_hash(&e->registry, &key);
}

static struct ft_absent_thing **absent_slot(struct ft_things_desk *desk, uint64_t hash,
					    const char *id)
{
	struct ft_absent_thing **slot = &desk->absent_table[hash % FT_ABSENT_BUCKETS];

	while (*slot && ((*slot)->hash != hash || strcmp((*slot)->id, id) != 0))
		slot = &(*slot)->next;
	return slot;
}

static void absent_remove(struct ft_engine *e, struct ft_absent_thing **slot)
{
	struct ft_absent_thing *thing = *slot;

	*slot = thing->next;
	ft_link_remove(&thing->link);
	e->downloads->things.absent_count--;
	e->charged -= thing->charged;
	free(thing);
}

struct ft_absent_thing *engine_find_absent(struct ft_engine *e, const char *id)
{
	return *absent_slot(&e->downloads->things, absent_hash(e, id), id);
}

void engine_drop_absent(struct ft_engine *e, const char *id)
{
	struct ft_absent_thing **slot = absent_slot(&e->downloads->things, absent_hash(e, id), id);

	if (*slot)
		absent_remove(e, slot);
}

void engine_add_absent(struct ft_engine *e, const char *id, const char *user,
		       const struct ft_pending *known)
{
	struct ft_things_desk *desk = &e->downloads->things;
	size_t len = strlen(id), user_len = user ? strlen(user) + 1 : 0;
	size_t size = sizeof(struct ft_absent_thing) + len + 1 + user_len;
	struct ft_absent_thing *thing, **slot;
	uint64_t hash = absent_hash(e, id);

	if (!e->options->announce || len == 0 || strpbrk(id, "/+#") || !ft_utf8_valid(id, len)
	    || *absent_slot(desk, hash, id))
		return;
	if (desk->absent_count == FT_ABSENT_MAX) {
		thing = FT_CONTAINER(ft_list_first(&desk->absent), struct ft_absent_thing, link);
		absent_remove(e, absent_slot(desk, thing->hash, thing->id));
	}
	if (engine_check_memory(e, size) != FT_OK || !(thing = calloc(1, size)))
		return;
	memcpy(thing->id, id, len + 1);
	if (user)
		thing->user = memcpy(thing->id + len + 1, user, user_len);
	thing->hash = hash;
	thing->known = *known;
	thing->charged = size;
	e->charged += size;
	ft_link_init(&thing->link);
	/* The next look is for it, if it may have missed an index. */
	ft_link_insert(&desk->absent.head, &thing->link);
	desk->absent_count++;
	slot = absent_slot(desk, hash, id);
	*slot = thing;
}

void engine_release_absent(struct ft_engine *e)
{
	struct ft_things_desk *desk = &e->downloads->things;
	struct ft_link *link;

	while ((link = ft_list_first(&desk->absent)) != NULL) {
		struct ft_absent_thing *thing = FT_CONTAINER(link, struct ft_absent_thing, link);

		absent_remove(e, absent_slot(desk, thing->hash, thing->id));
	}
}
