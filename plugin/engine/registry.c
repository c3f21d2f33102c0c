/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/registry.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 256

/* FNV-1a from a secret start, mixed so that low bits depend on all. */
static uint64_t hash_bytes(uint64_t hash, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3u;
	hash ^= hash >> 32;
	hash *= 0xd6e8feb86659fd93u;
	return hash ^ hash >> 32;
}

static uint64_t hash_client(const struct ft_registry *registry, const char *id, size_t len)
{
	return hash_bytes(registry->seed ^ 0xcbf29ce484222325u, id, len);
}

uint64_t ft_registry_hash(const struct ft_registry *registry, const struct ft_key *key)
{
	return hash_bytes(hash_client(registry, key->owner, key->owner_len), key->file,
			  key->file_len);
}

enum ft_status ft_registry_init(struct ft_registry *registry, uint64_t seed)
{
	memset(registry, 0, sizeof *registry);
	registry->seed = seed;
	registry->buckets = FIRST_BUCKETS;
	registry->transfers = calloc(FIRST_BUCKETS, sizeof *registry->transfers);
	registry->clients = calloc(FIRST_BUCKETS, sizeof *registry->clients);
	if (registry->transfers && registry->clients)
		return FT_OK;
	ft_registry_release(registry);
	return FT_NO_MEMORY;
}

static void free_transfer(struct ft_transfer *transfer)
{
	ft_link_remove(&transfer->dirty);
	ft_link_remove(&transfer->assembling);
	ft_hasher_free(transfer->hasher);
	free(transfer->meta);
	free(transfer);
}

void ft_registry_release(struct ft_registry *registry)
{
	for (size_t i = 0; registry->transfers && registry->clients && i < registry->buckets; i++) {
		while (registry->transfers[i]) {
			struct ft_transfer *transfer = registry->transfers[i];

			registry->transfers[i] = transfer->next;
			free_transfer(transfer);
		}
		while (registry->clients[i]) {
			struct ft_client *client = registry->clients[i];

			registry->clients[i] = client->next;
			free(client);
		}
	}
	free(registry->transfers);
	free(registry->clients);
	memset(registry, 0, sizeof *registry);
}

static struct ft_client **client_slot(const struct ft_registry *registry, uint64_t hash,
				      const char *id, size_t len)
{
	struct ft_client **slot = &registry->clients[hash & (registry->buckets - 1)];

	while (*slot && ((*slot)->hash != hash || (*slot)->id_len != len
			 || memcmp((*slot)->id, id, len) != 0))
		slot = &(*slot)->next;
	return slot;
}

static bool has_key(const struct ft_transfer *transfer, const struct ft_key *key)
{
	return transfer->file_len == key->file_len
	       && transfer->client->id_len == key->owner_len
	       && memcmp(transfer->file, key->file, key->file_len) == 0
	       && memcmp(transfer->client->id, key->owner, key->owner_len) == 0;
}

struct ft_transfer *ft_registry_find(const struct ft_registry *registry, const struct ft_key *key)
{
	uint64_t hash = ft_registry_hash(registry, key);
	struct ft_transfer *t = registry->transfers[hash & (registry->buckets - 1)];

	while (t && (t->hash != hash || !has_key(t, key)))
		t = t->next;
	return t;
}

size_t ft_registry_client_count(const struct ft_registry *registry, const char *client,
				size_t client_len)
{
	uint64_t hash = hash_client(registry, client, client_len);
	struct ft_client *found = *client_slot(registry, hash, client, client_len);

	return found ? found->transfers : 0;
}

/* Doubles both tables. Without memory they stay as they are: slower, not wrong. */
static void grow(struct ft_registry *registry)
{
	size_t buckets = registry->buckets * 2;
	struct ft_transfer **transfers = calloc(buckets, sizeof *transfers);
	struct ft_client **clients = calloc(buckets, sizeof *clients);

	if (!transfers || !clients) {
		free(transfers);
		free(clients);
		return;
	}
	for (size_t i = 0; i < registry->buckets; i++) {
		for (struct ft_transfer *t = registry->transfers[i], *next; t; t = next) {
			next = t->next;
			t->next = transfers[t->hash & (buckets - 1)];
			transfers[t->hash & (buckets - 1)] = t;
		}
		for (struct ft_client *c = registry->clients[i], *next; c; c = next) {
			next = c->next;
			c->next = clients[c->hash & (buckets - 1)];
			clients[c->hash & (buckets - 1)] = c;
		}
	}
	free(registry->transfers);
	free(registry->clients);
	registry->transfers = transfers;
	registry->clients = clients;
	registry->buckets = buckets;
}

/* The client's entry, made where there is none; NULL: out of memory. */
static struct ft_client *take_client(struct ft_registry *registry, const char *id, size_t len)
{
	uint64_t hash = hash_client(registry, id, len);
	struct ft_client **slot = client_slot(registry, hash, id, len);
	struct ft_client *client = *slot;

	if (client)
		return client;
	if (!(client = calloc(1, sizeof *client + len + 1)))
		return NULL;
	client->hash = hash;
	client->id_len = len;
	memcpy(client->id, id, len);
	*slot = client;
	return client;
}

static void drop_client(struct ft_registry *registry, struct ft_client *client)
{
	struct ft_client **slot;

	if (client->transfers > 0)
		return;
	slot = client_slot(registry, client->hash, client->id, client->id_len);
	*slot = client->next;
	free(client);
}

struct ft_transfer *ft_registry_add(struct ft_registry *registry, const struct ft_key *key)
{
	struct ft_transfer *t;
	struct ft_transfer **bucket;

	if (registry->count >= registry->buckets)
		grow(registry);
	if (!(t = calloc(1, sizeof *t + key->file_len + 1)))
		return NULL;
	if (!(t->client = take_client(registry, key->owner, key->owner_len))) {
		free(t);
		return NULL;
	}
	t->client->transfers++;
	t->hash = ft_registry_hash(registry, key);
	t->state = FT_STATE_RECEIVING;
	ft_link_init(&t->dirty);
	ft_link_init(&t->assembling);
	ft_list_init(&t->fins);
	t->file_len = key->file_len;
	memcpy(t->file, key->file, key->file_len);
	bucket = &registry->transfers[t->hash & (registry->buckets - 1)];
	t->next = *bucket;
	*bucket = t;
	registry->count++;
	return t;
}

void ft_registry_remove(struct ft_registry *registry, struct ft_transfer **transfer)
{
	struct ft_transfer *t = *transfer;
	struct ft_transfer **slot = &registry->transfers[t->hash & (registry->buckets - 1)];

	while (*slot != t)
		slot = &(*slot)->next;
	*slot = t->next;
	registry->count--;
	t->client->transfers--;
	drop_client(registry, t->client);
	free_transfer(t);
	*transfer = NULL;
}

struct ft_key ft_transfer_key(const struct ft_transfer *transfer)
{
	struct ft_key key = {
		.client = transfer->client->id,
		.client_len = transfer->client->id_len,
		.file = transfer->file,
		.file_len = transfer->file_len,
	};

	return key;
}

void ft_registry_sweep(struct ft_registry *registry, size_t *cursor, size_t buckets,
		       void (*visit)(void *context, struct ft_transfer *transfer), void *context)
{
	for (; buckets > 0; buckets--) {
		struct ft_transfer *t = registry->transfers[*cursor & (registry->buckets - 1)];

		while (t) {
			struct ft_transfer *next = t->next;

			visit(context, t);
			t = next;
		}
		*cursor = (*cursor + 1) & (registry->buckets - 1);
	}
}
