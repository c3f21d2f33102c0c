/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/registry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define REGISTRY_FIRST_BUCKETS 256
#define RATE_PERIOD_MS 2000
#define RATE_STALLED_MS 10000	/* without any bytes: nothing comes any more */

/* Who may follow whom: see the table in the header. */
static const bool registry_moves[FT_TRANSFER_STATES][FT_TRANSFER_STATES] = {
	[FT_TRANSFER_CHECKING] = {
		[FT_TRANSFER_RECEIVING] = true, [FT_TRANSFER_ASSEMBLING] = true,
		[FT_TRANSFER_ABORTING] = true, [FT_TRANSFER_CONFLICT] = true,
	},
	[FT_TRANSFER_RECEIVING] = { [FT_TRANSFER_ASSEMBLING] = true },
	[FT_TRANSFER_ASSEMBLING] = {
		[FT_TRANSFER_RECEIVING] = true, [FT_TRANSFER_ABORTING] = true,
		[FT_TRANSFER_CONFLICT] = true,
	},
};

void ft_transfer_move(struct ft_transfer *transfer, enum ft_transfer_state to)
{
	assert(registry_moves[transfer->state][to]);
	transfer->states[transfer->state]--;
	transfer->states[to]++;
	transfer->state = to;
}

/* FNV-1a from a secret start, mixed so that low bits depend on all. */
static uint64_t registry_hash_bytes(uint64_t hash, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3u;
	hash ^= hash >> 32;
	hash *= 0xd6e8feb86659fd93u;
	return hash ^ hash >> 32;
}

uint64_t ft_registry_hash_owner(const struct ft_registry *registry, const struct ft_key *key)
{
	return registry_hash_bytes(registry->seed ^ 0xcbf29ce484222325u, key->owner,
				   key->owner_len);
}

uint64_t ft_registry_hash(const struct ft_registry *registry, const struct ft_key *key)
{
	return registry_hash_bytes(ft_registry_hash_owner(registry, key), key->file, key->file_len);
}

static size_t registry_number_bucket(const struct ft_registry *registry, uint64_t number)
{
	return (size_t)(number & (registry->buckets - 1));
}

enum ft_status ft_registry_init(struct ft_registry *registry, uint64_t seed)
{
	memset(registry, 0, sizeof *registry);
	registry->seed = seed;
	ft_list_init(&registry->by_age);
	registry->buckets = REGISTRY_FIRST_BUCKETS;
	registry->transfers = calloc(registry->buckets, sizeof(void *));
	registry->numbers = calloc(registry->buckets, sizeof(void *));
	registry->owners = calloc(registry->buckets, sizeof(void *));
	if (registry->transfers && registry->numbers && registry->owners)
		return FT_OK;
	ft_registry_release(registry);
	return FT_NO_MEMORY;
}

static void registry_free_tickets(struct ft_list *tickets)
{
	struct ft_link *link;

	while ((link = ft_list_pop(tickets)) != NULL) {
		struct ft_ticket *ticket = FT_CONTAINER(link, struct ft_ticket, link);

		ft_ticket_free(&ticket);
	}
}

static void registry_free_transfer(struct ft_transfer **transfer)
{
	struct ft_transfer *t = *transfer;

	ft_link_remove(&t->assembling);
	ft_link_remove(&t->by_age);
	t->states[t->state]--;
	registry_free_tickets(&t->inits);
	registry_free_tickets(&t->segments);
	registry_free_tickets(&t->fins);
	ft_ticket_free(&t->abort);
	ft_ranges_release(&t->held);
	free(t->meta);
	free(t);
	*transfer = NULL;
}

void ft_registry_release(struct ft_registry *registry)
{
	for (size_t i = 0; registry->transfers && i < registry->buckets; i++) {
		while (registry->transfers[i]) {
			struct ft_transfer *t = registry->transfers[i];

			registry->transfers[i] = t->next;
			registry_free_transfer(&t);
		}
	}
	for (size_t i = 0; registry->owners && i < registry->buckets; i++) {
		while (registry->owners[i]) {
			struct ft_owner *owner = registry->owners[i];

			registry->owners[i] = owner->next;
			free(owner);
		}
	}
	free(registry->transfers);
	free(registry->numbers);
	free(registry->owners);
	memset(registry, 0, sizeof *registry);
}

static struct ft_owner **registry_owner_slot(const struct ft_registry *registry, uint64_t hash,
					     const struct ft_key *key)
{
	struct ft_owner **slot = &registry->owners[hash & (registry->buckets - 1)];

	while (*slot && ((*slot)->hash != hash || (*slot)->id_len != key->owner_len
			 || memcmp((*slot)->id, key->owner, key->owner_len) != 0))
		slot = &(*slot)->next;
	return slot;
}

static bool registry_has_key(const struct ft_transfer *transfer, const struct ft_key *key)
{
	return transfer->file_len == key->file_len
	       && transfer->owner->id_len == key->owner_len
	       && memcmp(transfer->file, key->file, key->file_len) == 0
	       && memcmp(transfer->owner->id, key->owner, key->owner_len) == 0;
}

struct ft_transfer *ft_registry_find(const struct ft_registry *registry, const struct ft_key *key)
{
	uint64_t hash = ft_registry_hash(registry, key);
	struct ft_transfer *t = registry->transfers[hash & (registry->buckets - 1)];

	while (t && (t->hash != hash || !registry_has_key(t, key)))
		t = t->next;
	return t;
}

struct ft_transfer *ft_registry_find_number(const struct ft_registry *registry, uint64_t number)
{
	struct ft_transfer *t = registry->numbers[registry_number_bucket(registry, number)];

	while (t && t->number != number)
		t = t->next_number;
	return t;
}

static struct ft_owner *registry_find_owner(const struct ft_registry *registry,
					    const struct ft_key *key)
{
	return *registry_owner_slot(registry, ft_registry_hash_owner(registry, key), key);
}

size_t ft_registry_owner_count(const struct ft_registry *registry, const struct ft_key *key)
{
	const struct ft_owner *owner = registry_find_owner(registry, key);

	return owner ? owner->transfers : 0;
}

uint64_t ft_registry_owner_held(const struct ft_registry *registry, const struct ft_key *key)
{
	const struct ft_owner *owner = registry_find_owner(registry, key);

	return owner ? owner->held : 0;
}

static void registry_set_counted(struct ft_registry *registry, struct ft_transfer *t,
				 uint64_t bytes)
{
	assert(t->owner->held >= t->counted && registry->held >= t->owner->held);
	t->owner->held += bytes - t->counted;
	registry->held += bytes - t->counted;
	t->counted = bytes;
}

void ft_registry_count_held(struct ft_registry *registry, struct ft_transfer *transfer)
{
	registry_set_counted(registry, transfer, transfer->held.bytes);
}

static size_t registry_transfer_bytes(size_t file_len)
{
	return sizeof(struct ft_transfer) + file_len + 1 + sizeof(struct ft_meta);
}

static size_t registry_owner_bytes(size_t owner_len)
{
	return sizeof(struct ft_owner) + owner_len + 1;
}

size_t ft_registry_cost(const struct ft_registry *registry, const struct ft_key *key)
{
	size_t cost = registry_transfer_bytes(key->file_len);

	if (!registry_find_owner(registry, key))
		cost += registry_owner_bytes(key->owner_len);
	return cost;
}

/* Doubles the tables. Without memory they stay as they are: slower, not wrong. */
static void registry_grow(struct ft_registry *registry)
{
	size_t buckets = registry->buckets * 2;
	struct ft_transfer **transfers = calloc(buckets, sizeof *transfers);
	struct ft_transfer **numbers = calloc(buckets, sizeof *numbers);
	struct ft_owner **owners = calloc(buckets, sizeof *owners);

	if (!transfers || !numbers || !owners) {
		free(transfers);
		free(numbers);
		free(owners);
		return;
	}
	for (size_t i = 0; i < registry->buckets; i++) {
		for (struct ft_transfer *t = registry->transfers[i], *next; t; t = next) {
			next = t->next;
			t->next = transfers[t->hash & (buckets - 1)];
			transfers[t->hash & (buckets - 1)] = t;
			t->next_number = numbers[t->number & (buckets - 1)];
			numbers[t->number & (buckets - 1)] = t;
		}
		for (struct ft_owner *o = registry->owners[i], *next; o; o = next) {
			next = o->next;
			o->next = owners[o->hash & (buckets - 1)];
			owners[o->hash & (buckets - 1)] = o;
		}
	}
	free(registry->transfers);
	free(registry->numbers);
	free(registry->owners);
	registry->transfers = transfers;
	registry->numbers = numbers;
	registry->owners = owners;
	registry->buckets = buckets;
}

/* The owner's entry, made where there is none; NULL: out of memory. */
static struct ft_owner *registry_take_owner(struct ft_registry *registry, const struct ft_key *key)
{
	uint64_t hash = ft_registry_hash_owner(registry, key);
	struct ft_owner **slot = registry_owner_slot(registry, hash, key);
	struct ft_owner *owner = *slot;

	if (!owner && (owner = calloc(1, sizeof *owner + key->owner_len + 1)) != NULL) {
		owner->hash = hash;
		owner->id_len = key->owner_len;
		if (key->owner_len > 0)
			memcpy(owner->id, key->owner, key->owner_len);
		registry->bytes += registry_owner_bytes(key->owner_len);
		*slot = owner;
	}
	return owner;
}

static void registry_drop_owner(struct ft_registry *registry, struct ft_owner **owner)
{
	struct ft_owner **slot = &registry->owners[(*owner)->hash & (registry->buckets - 1)];

	if ((*owner)->transfers > 0 || (*owner)->paused)
		return;
	while (*slot != *owner)
		slot = &(*slot)->next;
	*slot = (*owner)->next;
	registry->bytes -= registry_owner_bytes((*owner)->id_len);
	free(*owner);
	*owner = NULL;
}

struct ft_transfer *ft_registry_add(struct ft_registry *registry, const struct ft_key *key,
				    uint64_t number, enum ft_transfer_state state)
{
	struct ft_transfer *t;
	struct ft_transfer **bucket;

	assert(!ft_registry_find(registry, key) && number > 0);
	if (registry->count >= registry->buckets)
		registry_grow(registry);
	t = calloc(1, sizeof *t + key->file_len + 1);
	if (!t || !(t->meta = calloc(1, sizeof *t->meta))
	    || !(t->owner = registry_take_owner(registry, key))) {
		if (t)
			free(t->meta);
		free(t);
		return NULL;
	}
	t->owner->transfers++;
	t->hash = ft_registry_hash(registry, key);
	t->number = number;
	t->state = state;
	t->states = registry->states;
	t->states[state]++;
	ft_link_init(&t->by_age);
	ft_list_push(&registry->by_age, &t->by_age);
	ft_ranges_init(&t->held);
	ft_list_init(&t->inits);
	ft_list_init(&t->segments);
	ft_list_init(&t->fins);
	ft_link_init(&t->assembling);
	t->file_len = key->file_len;
	memcpy(t->file, key->file, key->file_len);
	bucket = &registry->transfers[t->hash & (registry->buckets - 1)];
	t->next = *bucket;
	*bucket = t;
	bucket = &registry->numbers[registry_number_bucket(registry, number)];
	t->next_number = *bucket;
	*bucket = t;
	registry->count++;
	registry->bytes += registry_transfer_bytes(t->file_len);
	return t;
}

void ft_registry_remove(struct ft_registry *registry, struct ft_transfer **transfer)
{
	struct ft_transfer *t = *transfer;
	struct ft_transfer **slot = &registry->transfers[t->hash & (registry->buckets - 1)];

	assert(t->waiting == 0 && !t->abort);
	while (*slot != t)
		slot = &(*slot)->next;
	*slot = t->next;
	slot = &registry->numbers[registry_number_bucket(registry, t->number)];
	while (*slot != t)
		slot = &(*slot)->next_number;
	*slot = t->next_number;
	registry->count--;
	registry->bytes -= registry_transfer_bytes(t->file_len);
	registry_set_counted(registry, t, 0);
	t->owner->transfers--;
	registry_drop_owner(registry, &t->owner);
	registry_free_transfer(transfer);
}

struct ft_key ft_transfer_key(const struct ft_transfer *transfer)
{
	struct ft_key key = {
		.owner = transfer->owner->id,
		.owner_len = transfer->owner->id_len,
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

/* --- pauses --- */

enum ft_status ft_registry_pause_owner(struct ft_registry *registry, const struct ft_key *key)
{
	struct ft_owner *owner = registry_take_owner(registry, key);

	if (!owner)
		return FT_NO_MEMORY;
	registry->paused_owners += !owner->paused;
	owner->paused = true;
	return FT_OK;
}

void ft_registry_resume_owner(struct ft_registry *registry, const struct ft_key *key)
{
	struct ft_owner *owner = registry_find_owner(registry, key);

	if (!owner || !owner->paused)
		return;
	owner->paused = false;
	registry->paused_owners--;
	registry_drop_owner(registry, &owner);
}

bool ft_registry_is_paused(const struct ft_registry *registry, const struct ft_key *key)
{
	const struct ft_owner *owner = registry->paused_owners > 0
				       ? registry_find_owner(registry, key) : NULL;

	return owner && owner->paused;
}

/* --- pages --- */

static uint64_t registry_reverse_bits(uint64_t bits)
{
	bits = (bits & 0x5555555555555555u) << 1 | (bits >> 1 & 0x5555555555555555u);
	bits = (bits & 0x3333333333333333u) << 2 | (bits >> 2 & 0x3333333333333333u);
	bits = (bits & 0x0f0f0f0f0f0f0f0fu) << 4 | (bits >> 4 & 0x0f0f0f0f0f0f0f0fu);
	return __builtin_bswap64(bits);
}

/* The entry of a bucket that is the first from `place` on; NULL: none. */
static struct ft_transfer *registry_first_from(struct ft_transfer *t, uint64_t place, size_t *steps)
{
	struct ft_transfer *first = NULL;

	for (; t; t = t->next) {
		uint64_t own = registry_reverse_bits(t->hash);

		if (own >= place && (!first || own < registry_reverse_bits(first->hash)))
			first = t;
		*steps -= *steps > 0;
	}
	return first;
}

/*
 * In the order of the reversed hashes: a bucket has those that begin with its reversed index,
 * however many buckets there are.
 */
struct ft_transfer *ft_registry_next(const struct ft_registry *registry, uint64_t *cursor,
				     size_t *steps)
{
	/* The places of a bucket end in so many ones. */
	uint64_t last = UINT64_MAX / registry->buckets;

	while (*steps > 0) {
		uint64_t bucket = registry_reverse_bits(*cursor) & (registry->buckets - 1);
		struct ft_transfer *t = registry_first_from(registry->transfers[bucket], *cursor,
							    steps);

		*steps -= *steps > 0;
		if (t) {
			*cursor = registry_reverse_bits(t->hash) + 1;
			return t;
		}
		*cursor = (*cursor | last) + 1;
		if (*cursor == 0)
			break;
	}
	return NULL;
}

/* --- rates --- */

void ft_rate_add(struct ft_rate *rate, uint64_t bytes, int64_t now_ms)
{
	int64_t period_ms = now_ms - rate->since_ms;

	if (rate->since_ms == 0 || period_ms > RATE_STALLED_MS) {
		*rate = (struct ft_rate){ .since_ms = now_ms };
	} else if (period_ms >= RATE_PERIOD_MS) {
		rate->per_second = rate->bytes * 1000 / (uint64_t)period_ms;
		rate->bytes = 0;
		rate->since_ms = now_ms;
	}
	rate->bytes += bytes;
}

uint64_t ft_rate_per_second(const struct ft_rate *rate, int64_t now_ms)
{
	int64_t period_ms = now_ms - rate->since_ms;

	if (rate->since_ms == 0 || period_ms > RATE_STALLED_MS)
		return 0;
	/* Of a period that is over, or of the first one, its own figure is the newer. */
	if (period_ms >= RATE_PERIOD_MS || (rate->per_second == 0 && period_ms > 0))
		return rate->bytes * 1000 / (uint64_t)period_ms;
	return rate->per_second;
}
