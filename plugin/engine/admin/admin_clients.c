/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What operators ask about clients, on the broker's thread. */
#include <string.h>

#include "engine/admin/admin_call.h"
#include "engine/admin/sorted_page.h"

#define CLIENTS_AT_ONCE 64	/* each may be compared with every override of limits_file */
#define CLIENTS_ID_ROOM 256	/* bytes of an id that patterns are compared with */

enum ft_status engine_list_clients(struct admin_call *call, struct ft_transfer *none)
{
	(void)none;
	return engine_submit_admin(call, NULL, 0);
}

void engine_begin_clients(struct admin_message *message, struct ft_admin_job *job)
{
	message->clients = job->clients;
	message->clients_next = 0;
	job->clients = NULL;
	ft_control_open(&message->data, "clients", '[');
}

/*
 * The limits of an owner. Which users a client will have is not known before it connects, nor which
 * client ids a user: overrides that name the other one do not count here.
 */
static const struct ft_override *clients_find_override(const struct ft_engine *e,
						       const struct ft_key *key)
{
	char id[CLIENTS_ID_ROOM];

	if (!e->limits.overrides || key->owner_len >= sizeof id
	    || memchr(key->owner, '\0', key->owner_len))
		return NULL;
	memcpy(id, key->owner, key->owner_len);
	id[key->owner_len] = '\0';
	return e->options->owner == FT_OWNER_USERNAME
	       ? ft_overrides_find(e->limits.overrides, "", id)
	       : ft_overrides_find(e->limits.overrides, id, NULL);
}

static void clients_put(const struct ft_engine *e, struct ft_buf *to,
			const struct ft_sorted_entry *entry)
{
	const struct ft_key *key = &entry->client.key;
	const struct ft_override *row = clients_find_override(e, key);

	ft_control_open_entry(to);
	ft_control_put_text(to, "client_id", key->owner, key->owner_len);
	ft_control_put_number(to, "transfers", ft_registry_owner_count(&e->registry, key));
	ft_control_put_number(to, "received", ft_registry_owner_held(&e->registry, key));
	ft_control_put_number(to, "files", entry->client.files);
	ft_control_put_number(to, "file_bytes", entry->client.file_bytes);
	if (entry->client.latest_ms > 0)
		ft_control_put_time(to, "latest_at", entry->client.latest_ms);
	ft_control_put_truth(to, "paused", ft_registry_is_paused(&e->registry, key));
	ft_control_put_truth(to, "overridden", row != NULL);
	ft_control_open(to, "limits", '{');
	ft_limits_put(to, row ? &row->limits : &e->options->limits);
	ft_buf_char(to, '}');
}

/* False: it does not fit any more. */
static bool clients_put_entry(const struct ft_engine *e, struct ft_buf *to,
			      const struct ft_sorted_entry *entry)
{
	struct ft_buf before = *to;

	clients_put(e, to, entry);
	return ft_control_close_entry(to, &before, ft_control_place_room(&entry->place));
}

/* Its last transfer may have ended since the worker looked. */
static bool clients_is_over(const struct ft_engine *e, const struct ft_sorted_entry *entry)
{
	return entry->client.files == 0
	       && ft_registry_owner_count(&e->registry, &entry->client.key) == 0;
}

bool engine_write_clients(const struct ft_engine *e, struct admin_message *message)
{
	struct ft_sorted_page *page = message->clients;
	struct ft_buf *to = &message->data;
	size_t until = message->clients_next + CLIENTS_AT_ONCE;
	bool full = false;

	while (!full && message->clients_next < page->count && message->clients_next < until) {
		const struct ft_sorted_entry *entry = page->entries[message->clients_next];

		full = !clients_is_over(e, entry) && !clients_put_entry(e, to, entry);
		message->clients_next += !full;
	}
	if (!full && message->clients_next < page->count)
		return false;
	ft_buf_char(to, ']');
	if ((full || page->more) && message->clients_next > 0)
		ft_control_put_place(to, &page->entries[message->clients_next - 1]->place);
	ft_sorted_page_free(&message->clients);
	return true;
}
