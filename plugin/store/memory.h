/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The memory backend, private: for tests and trials. What is in it is gone with the process.
 *
 * One entry per key is in a hash table, unfinished or finished. Handles hold
 * references, so an entry that was detached lives until the last one is given back.
 * The mutex guards what workers see: the table, an entry's pages, manifest and state.
 * It is held for the copying of one page at most.
 */
#ifndef FT_STORE_MEMORY_H
#define FT_STORE_MEMORY_H

#include <pthread.h>

#include "base/system.h"
#include "file_transfer/store.h"
#include "store/pages.h"

enum state {
	UNFINISHED,
	FINISHED,
	DETACHED,
};

struct entry {
	struct entry *next;	/* in its bucket */
	size_t references;	/* the table's and the handles' */
	enum state state;
	uint64_t hash;
	struct ft_key key;	/* owned */
	char *manifest;		/* owned */
	size_t manifest_len;
	char *name;		/* owned; finished only */
	uint64_t size;		/* finished only */
	int64_t last_news;	/* Unix seconds */
	struct ft_pages pages;
	struct ft_ranges held;	/* kept here while no upload handle is out */
};

struct memory {
	struct ft_store base;
	struct ft_logger *log;
	pthread_mutex_t lock;
	struct entry **buckets;
	size_t bucket_count;
	size_t entry_count;
};

struct memory_upload {
	struct ft_upload base;
	struct entry *entry;
};

struct memory_work {
	struct ft_work base;
	struct entry *entry;
};

struct memory_trash {
	struct ft_trash base;
	struct entry *entry;
};

static inline struct memory *memory_of(struct ft_store *store)
{
	return (struct memory *)store;
}

static inline struct entry *entry_of(struct ft_upload *upload)
{
	return ((struct memory_upload *)upload)->entry;
}

static inline struct entry *work_entry(struct ft_work *work)
{
	return ((struct memory_work *)work)->entry;
}

static inline void lock(struct memory *memory)
{
	pthread_mutex_lock(&memory->lock);
}

static inline void unlock(struct memory *memory)
{
	pthread_mutex_unlock(&memory->lock);
}

/* --- memory.c: entries --- */

/* A NUL-terminated copy. NULL when out of memory. */
char *memory_copy_text(const char *text, size_t len);

/* A new entry in no table, with one reference. NULL when out of memory. */
struct entry *memory_entry_new(const struct ft_key *key, const char *manifest, size_t len);
void memory_entry_free(struct entry *entry);

/* Gives one reference back; the last one frees the entry. */
void memory_unref(struct memory *memory, struct entry *entry);

/* The table. The caller holds the lock. */
struct entry *memory_find_entry(struct memory *memory, const struct ft_key *key, enum state state);
bool memory_add_entry(struct memory *memory, struct entry *entry);	/* false: the key is taken */
void memory_take_out(struct memory *memory, struct entry *entry);

/* Whether the entry's bytes are these. The caller does not hold the lock. */
bool memory_same_bytes(struct memory *memory, struct entry *entry, uint64_t offset,
		       const char *bytes, size_t len);

/* --- memory_upload.c --- */

enum ft_status memory_create(struct ft_store *store, const struct ft_key *key,
			     const char *manifest, size_t manifest_len, struct ft_upload **out);
enum ft_status memory_load(struct ft_store *store, const struct ft_key *key, char **manifest,
			   size_t *manifest_len, struct ft_upload **out);
enum ft_status memory_describe(struct ft_upload *upload, const char *manifest,
			       size_t manifest_len);
enum ft_status memory_put(struct ft_upload *upload, uint64_t offset, const void *bytes, size_t len,
			  struct ft_put *done);
enum ft_status memory_matches(struct ft_upload *upload, uint64_t offset, const void *bytes,
			      size_t len, bool *same);
void memory_release(struct ft_upload **upload);
enum ft_status memory_detach(struct ft_upload **upload, struct ft_trash **out);
enum ft_status memory_set_aside(struct ft_upload **upload, const char *why);
enum ft_status memory_purge(struct ft_trash **trash);
enum ft_status memory_work(struct ft_upload *upload, struct ft_work **out);
void memory_work_close(struct ft_work **work);
enum ft_status memory_read(struct ft_work *work, uint64_t offset, void *buffer, size_t len);
enum ft_status memory_manifest(struct ft_work *work, char **manifest, size_t *manifest_len);
enum ft_status memory_sync(struct ft_work *work);
void memory_publish(struct ft_publication *publications, size_t count);
enum ft_status memory_reassess(struct ft_upload *upload, bool sync_failed);

#endif
