/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The unfinished transfers, as the broker's thread knows them: everything that a command is
 * decided by, in memory.
 *
 *	t = ft_registry_find(&registry, &key);
 *	if (!t) t = ft_registry_add(&registry, &key);		NULL: out of memory
 *	ft_transfer_move(t, FT_TRANSFER_ASSEMBLING);
 *	ft_registry_remove(&registry, &t);
 *
 * It decides nothing and touches no storage. Threads: the broker's only, no locks.
 */
#ifndef FT_ENGINE_REGISTRY_H
#define FT_ENGINE_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "file_transfer/ranges.h"
#include "protocol/facts.h"
#include "protocol/request.h"

/*
 * The life of a transfer:
 *
 *	from \ to	RECEIVING	ASSEMBLING	ABORTING	CONFLICT	removed
 *	CHECKING	verdict: new	fin		abort		verdict: other	verdict: complete
 *							(or complete, and an init was refused since)
 *	RECEIVING	-		fin		-		-		abort, expiry
 *	ASSEMBLING	fin failed	-		abort		verdict: other	finished
 *							(or finished, and an init was refused since)
 *	ABORTING	-		-		-		-		aborted, or finished before
 *	CONFLICT	-		-		-		-		init anew, abort, expiry
 */
enum ft_transfer_state {
	FT_TRANSFER_CHECKING,	/* begun under an id that may be finished: the writer looks */
	FT_TRANSFER_RECEIVING,
	FT_TRANSFER_ASSEMBLING,	/* a fin was accepted */
	FT_TRANSFER_ABORTING,	/* an abort came after it, or while checking: its result is not known */
	FT_TRANSFER_CONFLICT,	/* its init was refused: the id is finished with other content */
	FT_TRANSFER_STATES
};

/* What the writer said of a transfer that was begun under an id that may be finished. */
enum ft_transfer_verdict {
	FT_VERDICT_BEGUN,	/* nothing is in its way; also where nobody had to ask */
	FT_VERDICT_AWAITED,
	FT_VERDICT_COMPLETE,	/* the id is finished, as the init says: nothing is stored */
	FT_VERDICT_CONFLICT,	/* the id is finished with other content */
};

/* An owner with unfinished transfers; its id is kept once. */
struct ft_owner {
	struct ft_owner *next;		/* in its bucket */
	uint64_t hash;
	size_t transfers;
	uint64_t held;			/* bytes of them */
	bool paused;			/* by an operator; kept without transfers, too */
	size_t id_len;
	char id[];
};

/* How fast bytes come: those of the last whole period, and of the one that goes on. */
struct ft_rate {
	int64_t since_ms;		/* the period began */
	uint64_t bytes;			/* in it */
	uint64_t per_second;		/* in the one before */
};

struct ft_transfer {
	struct ft_transfer *next;	/* in its bucket */
	struct ft_transfer *next_number;	/* in its bucket of numbers */
	uint64_t hash;
	uint64_t number;
	struct ft_link by_age;
	size_t *states;			/* the registry's */
	struct ft_owner *owner;
	enum ft_transfer_state state;
	enum ft_transfer_verdict verdict;
	uint64_t complete_size;		/* FT_VERDICT_COMPLETE */
	bool refused;			/* another init came: segments and fin are refused until a good one */
	enum ft_responses responses;
	struct ft_meta *meta;		/* owned */
	struct ft_ranges held;
	uint64_t segments_ttl;		/* seconds, as asked for; 0: not */
	int64_t news_ms;		/* of the last command that was carried out */
	int64_t logged_news_ms;		/* what the catalog will know of it */
	int64_t begun_ms;		/* Unix ms of its first init */
	bool paused;			/* by an operator, for itself */
	bool waits_for_store;		/* ASSEMBLING: the store could not take it yet */
	struct ft_rate rate;
	char transfer_id[FT_UUID_ROOM];
	struct ft_fin fin;		/* ASSEMBLING, ABORTING */
	int64_t fin_us;			/* ft_latency_clock_us() when it was accepted; 0: by an earlier process */

	struct ft_list inits;		/* tickets of init and status: wait for the verdict */
	struct ft_list segments;	/* tickets of segments: wait for the writer, in order */
	struct ft_list fins;		/* tickets: wait for the result */
	size_t waiting;			/* tickets in all lists */
	struct ft_link assembling;	/* ASSEMBLING: those that are, the one that was first to be first */
	int64_t assembling_ms;		/* since then somebody waits */
	struct ft_ticket *abort;	/* owned; ABORTING */
	size_t charged;			/* bytes of ranges on the memory account */
	uint64_t counted;		/* bytes held, as the sums know them */

	size_t file_len;
	char file[];			/* NUL-terminated besides */
};

struct ft_registry {
	struct ft_transfer **transfers;	/* buckets, by key */
	struct ft_transfer **numbers;	/* buckets, by number */
	struct ft_owner **owners;
	size_t buckets;			/* of each; a power of two */
	size_t count;			/* transfers */
	size_t states[FT_TRANSFER_STATES];	/* of these, in each state */
	struct ft_list by_age;		/* all, in the order of their numbers: the oldest is the first */
	size_t paused_owners;
	size_t bytes;			/* of all entries: ids and metadata */
	uint64_t held;			/* bytes of all transfers */
	uint64_t seed;			/* so that clients cannot aim at one bucket */
};

/* Error: FT_NO_MEMORY. `seed` should be random. */
enum ft_status ft_registry_init(struct ft_registry *registry, uint64_t seed) FT_MUST_USE;

/* Frees all entries with what they own. */
void ft_registry_release(struct ft_registry *registry);

/* The hash of a key in this registry. */
uint64_t ft_registry_hash(const struct ft_registry *registry, const struct ft_key *key);

struct ft_transfer *ft_registry_find(const struct ft_registry *registry, const struct ft_key *key);
struct ft_transfer *ft_registry_find_number(const struct ft_registry *registry, uint64_t number);

/* How many unfinished transfers an owner has, and how many bytes of them are held. */
size_t ft_registry_owner_count(const struct ft_registry *registry, const struct ft_key *key);
uint64_t ft_registry_owner_held(const struct ft_registry *registry, const struct ft_key *key);

/* The hash of a key's owner in this registry. */
uint64_t ft_registry_hash_owner(const struct ft_registry *registry, const struct ft_key *key);

/* Brings the sums of bytes held up to date with a transfer's ranges. */
void ft_registry_count_held(struct ft_registry *registry, struct ft_transfer *transfer);

/* Bytes that an entry for this key would cost, its owner included where it is new. */
size_t ft_registry_cost(const struct ft_registry *registry, const struct ft_key *key);

/* Adds a key that is not there; the entry is empty, in the state given. NULL: out of memory. */
struct ft_transfer *ft_registry_add(struct ft_registry *registry, const struct ft_key *key,
				    uint64_t number, enum ft_transfer_state state);

/* Takes an entry out and frees it; nobody may be waiting for it any more. */
void ft_registry_remove(struct ft_registry *registry, struct ft_transfer **transfer);

/* The one place where a transfer's state changes: along the table above. */
void ft_transfer_move(struct ft_transfer *transfer, enum ft_transfer_state to);

/* The key of an entry; borrowed from it. */
struct ft_key ft_transfer_key(const struct ft_transfer *transfer);

/*
 * Pauses: whether an owner's are, whatever transfers he has. FT_NO_MEMORY.
 */
enum ft_status ft_registry_pause_owner(struct ft_registry *registry,
				       const struct ft_key *key) FT_MUST_USE;
void ft_registry_resume_owner(struct ft_registry *registry, const struct ft_key *key);
bool ft_registry_is_paused(const struct ft_registry *registry, const struct ft_key *key);

/*
 * Goes through the transfers in an order that stays the same while others come and go, and the
 * table grows: *cursor is 0 at the beginning, and 0 again at the end. Looks at about `steps`
 * entries and empty buckets, and counts them off. NULL: the end, or no steps are left.
 */
struct ft_transfer *ft_registry_next(const struct ft_registry *registry, uint64_t *cursor,
				     size_t *steps);

/* Counts bytes that came, and says how many come in a second. */
void ft_rate_add(struct ft_rate *rate, uint64_t bytes, int64_t now_ms);
uint64_t ft_rate_per_second(const struct ft_rate *rate, int64_t now_ms);

/*
 * Walks a slice of the table: calls visit for each entry of up to `buckets` buckets
 * from *cursor on and moves it. visit may remove the entry it is given.
 */
void ft_registry_sweep(struct ft_registry *registry, size_t *cursor, size_t buckets,
		       void (*visit)(void *context, struct ft_transfer *transfer), void *context);

#endif
