/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The unfinished transfers that are known: what each is doing, and whose it is.
 *
 *	t = ft_registry_find(&registry, &key);
 *	if (!t) t = ft_registry_add(&registry, &key);	NULL: out of memory
 *	ft_registry_remove(&registry, &t);
 *
 * It decides nothing and touches no storage; the engine fills in the fields.
 * Finished transfers are not in it: the store remembers those. Threads: the
 * broker's only.
 */
#ifndef FT_ENGINE_REGISTRY_H
#define FT_ENGINE_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/sha256.h"
#include "protocol/manifest.h"
#include "protocol/reply.h"
#include "file_transfer/store.h"

struct ft_assembly;
struct ft_ticket;

/* A client with unfinished transfers. */
struct ft_client {
	struct ft_client *next;		/* in its bucket */
	uint64_t hash;
	size_t transfers;		/* unfinished ones */
	size_t id_len;
	char id[];
};

struct ft_transfer {
	struct ft_transfer *next;	/* in its bucket */
	uint64_t hash;
	struct ft_client *client;
	struct ft_meta *meta;		/* owned; NULL until loaded */
	struct ft_upload *upload;	/* owned, the store's; NULL until loaded */
	enum ft_state state;		/* RECEIVING or ASSEMBLING */
	uint64_t segments_ttl;		/* seconds, as asked for; 0: not */
	int64_t news_ms;		/* monotonic; last valid command */
	char transfer_id[FT_UUID_ROOM];
	char received_at[FT_RFC3339_ROOM];

	struct ft_assembly *job;	/* in flight; the pool's */
	struct ft_hasher *hasher;	/* owned; over [0, its position); NULL: not begun, or in the job */
	bool hash_stale;		/* bytes that the job hashes, or has hashed, changed */

	struct ft_link dirty;		/* since dirty_ms has bytes that no checkpoint covers */
	int64_t dirty_ms;
	uint64_t dirty_bytes;
	int64_t checkpoint_ms;		/* when one was begun last */

	struct ft_link assembling;	/* since assembling_ms */
	int64_t assembling_ms;
	uint64_t fin_size;
	bool fin_has_checksum;
	struct ft_sha256 fin_checksum;
	struct ft_list fins;		/* who waits for the result */
	size_t fin_count;
	struct ft_ticket *abort;	/* owned; waits for the end of an assembly past stopping */

	size_t file_len;
	char file[];			/* NUL-terminated besides */
};

struct ft_registry {
	struct ft_transfer **transfers;	/* buckets */
	struct ft_client **clients;
	size_t buckets;			/* of each; a power of two */
	size_t count;			/* transfers */
	uint64_t seed;			/* so that clients cannot aim at one bucket */
};

/* Error: FT_NO_MEMORY. `seed` should be random. */
enum ft_status ft_registry_init(struct ft_registry *registry, uint64_t seed) FT_MUST_USE;

/* Frees all entries; their uploads and jobs must have been taken back. */
void ft_registry_release(struct ft_registry *registry);

/* The hash of a key in this registry; two keys have the same one by rare chance only. */
uint64_t ft_registry_hash(const struct ft_registry *registry, const struct ft_key *key);

struct ft_transfer *ft_registry_find(const struct ft_registry *registry, const struct ft_key *key);

/* How many unfinished transfers a client has. */
size_t ft_registry_client_count(const struct ft_registry *registry, const char *client,
				size_t client_len);

/* Adds a key that is not there; the entry is empty, RECEIVING. NULL: out of memory. */
struct ft_transfer *ft_registry_add(struct ft_registry *registry, const struct ft_key *key);

/* Takes an entry out and frees it. Its upload, job and waiters must have been taken from it. */
void ft_registry_remove(struct ft_registry *registry, struct ft_transfer **transfer);

/* The key of an entry; borrowed from it. */
struct ft_key ft_transfer_key(const struct ft_transfer *transfer);

/*
 * Walks a slice of the table: calls visit for each entry of up to `buckets` buckets
 * from *cursor on and moves it. visit may remove the entry it is given.
 */
void ft_registry_sweep(struct ft_registry *registry, size_t *cursor, size_t buckets,
		       void (*visit)(void *context, struct ft_transfer *transfer), void *context);

#endif
