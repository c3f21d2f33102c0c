/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The memory backend: for tests and trials. What is in it is gone with the process.
 *
 * One entry per key is in a hash table, unfinished or finished. Handles hold
 * references, so an entry that was detached lives until the last one is given back.
 * The mutex guards what workers see: the table, an entry's pages, manifest and state.
 * It is held for the copying of one page at most.
 */
#include <pthread.h>

#include "base/system.h"
#include "file_transfer/store.h"
#include "store/backends.h"
#include "store/pages.h"

#define FIRST_BUCKETS 64	/* a power of two */
#define END ((uint64_t)INT64_MAX)

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

static struct memory *memory_of(struct ft_store *store)
{
	return (struct memory *)store;
}

static struct entry *entry_of(struct ft_upload *upload)
{
	return ((struct memory_upload *)upload)->entry;
}

static struct entry *work_entry(struct ft_work *work)
{
	return ((struct memory_work *)work)->entry;
}

static void lock(struct memory *memory)
{
	pthread_mutex_lock(&memory->lock);
}

static void unlock(struct memory *memory)
{
	pthread_mutex_unlock(&memory->lock);
}

static char *copy_text(const char *text, size_t len)
{
	char *copy = malloc(len + 1);

	if (copy) {
		memcpy(copy, text, len);
		copy[len] = '\0';
	}
	return copy;
}

/* --- entries --- */

static void entry_free(struct entry *entry)
{
	ft_pages_release(&entry->pages);
	ft_ranges_release(&entry->held);
	free(entry->manifest);
	free(entry->name);
	free(entry);
}

/* Key and text live behind the entry and in `manifest`. */
static struct entry *entry_new(const struct ft_key *key, const char *manifest, size_t len)
{
	struct entry *entry = calloc(1, sizeof *entry + key->client_len + key->file_len);
	char *ids = (char *)(entry + 1);

	if (!entry)
		return NULL;
	memcpy(ids, key->client, key->client_len);
	memcpy(ids + key->client_len, key->file, key->file_len);
	entry->key = (struct ft_key){ids, key->client_len, ids + key->client_len, key->file_len};
	entry->references = 1;
	entry->last_news = ft_clock_unix_ms() / 1000;
	ft_ranges_init(&entry->held);
	entry->manifest = copy_text(manifest, len);
	entry->manifest_len = len;
	if (!entry->manifest) {
		entry_free(entry);
		return NULL;
	}
	return entry;
}

static void unref(struct memory *memory, struct entry *entry)
{
	bool last;

	lock(memory);
	last = --entry->references == 0;
	unlock(memory);
	if (last)
		entry_free(entry);
}

/* FNV-1a; the table is for trials, where nobody chooses ids to collide. */
static uint64_t hash_of(const struct ft_key *key)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < key->client_len; i++)
		hash = (hash ^ (unsigned char)key->client[i]) * UINT64_C(1099511628211);
	hash = (hash ^ 256) * UINT64_C(1099511628211);
	for (size_t i = 0; i < key->file_len; i++)
		hash = (hash ^ (unsigned char)key->file[i]) * UINT64_C(1099511628211);
	return hash;
}

static bool same_key(const struct ft_key *a, const struct ft_key *b)
{
	return a->client_len == b->client_len && a->file_len == b->file_len &&
		!memcmp(a->client, b->client, a->client_len) &&
		!memcmp(a->file, b->file, a->file_len);
}

/* The link that leads to the key's entry, or to where it would be added. */
static struct entry **seek(struct memory *memory, const struct ft_key *key, uint64_t hash)
{
	struct entry **at = &memory->buckets[hash & (memory->bucket_count - 1)];

	while (*at && ((*at)->hash != hash || !same_key(&(*at)->key, key)))
		at = &(*at)->next;
	return at;
}

static struct entry *find_entry(struct memory *memory, const struct ft_key *key, enum state state)
{
	struct entry *entry = *seek(memory, key, hash_of(key));

	return entry && entry->state == state ? entry : NULL;
}

/* Keeps chains short; where there is no memory they grow. */
static void grow_table(struct memory *memory)
{
	size_t count = memory->bucket_count * 2;
	struct entry **buckets = calloc(count, sizeof *buckets);

	if (!buckets)
		return;
	for (size_t i = 0; i < memory->bucket_count; i++) {
		for (struct entry *entry = memory->buckets[i], *next; entry; entry = next) {
			next = entry->next;
			entry->next = buckets[entry->hash & (count - 1)];
			buckets[entry->hash & (count - 1)] = entry;
		}
	}
	free(memory->buckets);
	memory->buckets = buckets;
	memory->bucket_count = count;
}

static void take_out(struct memory *memory, struct entry *entry)
{
	struct entry **at = seek(memory, &entry->key, entry->hash);

	if (*at != entry)
		return;
	*at = entry->next;
	entry->next = NULL;
	memory->entry_count--;
}

/* --- life of the store --- */

static enum ft_status memory_open(const struct ft_store_config *config, struct ft_store **out)
{
	struct memory *memory = calloc(1, sizeof *memory);

	(void)config;
	if (!memory)
		return FT_NO_MEMORY;
	memory->buckets = calloc(FIRST_BUCKETS, sizeof *memory->buckets);
	if (!memory->buckets || pthread_mutex_init(&memory->lock, NULL) != 0) {
		free(memory->buckets);
		free(memory);
		return FT_NO_MEMORY;
	}
	memory->bucket_count = FIRST_BUCKETS;
	memory->base.ops = &ft_store_memory;
	*out = &memory->base;
	return FT_OK;
}

static void memory_close(struct ft_store **store)
{
	struct memory *memory = memory_of(*store);

	*store = NULL;
	for (size_t i = 0; i < memory->bucket_count; i++) {
		for (struct entry *entry = memory->buckets[i], *next; entry; entry = next) {
			next = entry->next;
			entry_free(entry);
		}
	}
	pthread_mutex_destroy(&memory->lock);
	free(memory->buckets);
	free(memory);
}

/* --- unfinished transfers --- */

/* An upload handle on an entry, which it gets a reference to. The caller holds the lock. */
static enum ft_status upload_new(struct memory *memory, struct entry *entry,
				 struct ft_upload **out)
{
	struct memory_upload *upload = calloc(1, sizeof *upload);

	if (!upload)
		return FT_NO_MEMORY;
	upload->base.store = &memory->base;
	upload->base.held = entry->held;
	ft_ranges_init(&entry->held);
	upload->entry = entry;
	entry->references++;
	*out = &upload->base;
	return FT_OK;
}

static enum ft_status add_entry(struct memory *memory, struct entry *entry, struct ft_upload **out)
{
	struct entry **at;
	enum ft_status st;

	entry->hash = hash_of(&entry->key);
	if (memory->entry_count >= memory->bucket_count)
		grow_table(memory);
	at = seek(memory, &entry->key, entry->hash);
	if (*at)
		return FT_IO_ERROR;
	if ((st = upload_new(memory, entry, out)) != FT_OK)
		return st;
	*at = entry;
	memory->entry_count++;
	return FT_OK;
}

static enum ft_status memory_create(struct ft_store *store, const struct ft_key *key,
				    const char *manifest, size_t manifest_len,
				    struct ft_upload **out)
{
	struct memory *memory = memory_of(store);
	struct entry *entry = entry_new(key, manifest, manifest_len);
	enum ft_status st;

	if (!entry)
		return FT_NO_MEMORY;
	lock(memory);
	st = add_entry(memory, entry, out);
	unlock(memory);
	if (st != FT_OK)
		entry_free(entry);
	return st;
}

static enum ft_status load_entry(struct memory *memory, struct entry *entry, char **manifest,
				 size_t *manifest_len, struct ft_upload **out)
{
	char *text = copy_text(entry->manifest, entry->manifest_len);
	enum ft_status st;

	if (!text)
		return FT_NO_MEMORY;
	if ((st = upload_new(memory, entry, out)) != FT_OK) {
		free(text);
		return st;
	}
	*manifest = text;
	*manifest_len = entry->manifest_len;
	return FT_OK;
}

static enum ft_status memory_load(struct ft_store *store, const struct ft_key *key,
				  char **manifest, size_t *manifest_len, struct ft_upload **out)
{
	struct memory *memory = memory_of(store);
	enum ft_status st = FT_NO_SUCH_TRANSFER;
	struct entry *entry;

	lock(memory);
	entry = find_entry(memory, key, UNFINISHED);
	if (entry)
		st = load_entry(memory, entry, manifest, manifest_len, out);
	unlock(memory);
	return st;
}

static enum ft_status memory_describe(struct ft_upload *upload, const char *manifest,
				      size_t manifest_len)
{
	struct memory *memory = memory_of(upload->store);
	struct entry *entry = entry_of(upload);
	char *text = copy_text(manifest, manifest_len);
	char *old;

	if (!text)
		return FT_NO_MEMORY;
	lock(memory);
	old = entry->manifest;
	entry->manifest = text;
	entry->manifest_len = manifest_len;
	entry->last_news = ft_clock_unix_ms() / 1000;
	unlock(memory);
	free(old);
	return FT_OK;
}

/* Whether the entry's bytes are these; one page at a time. */
static bool same_bytes(struct memory *memory, struct entry *entry, uint64_t offset,
		       const char *bytes, size_t len)
{
	char step[4096];
	bool same = true;

	while (len > 0 && same) {
		size_t n = len < sizeof step ? len : sizeof step;

		lock(memory);
		ft_pages_read(&entry->pages, offset, step, n);
		unlock(memory);
		same = memcmp(step, bytes, n) == 0;
		bytes += n;
		offset += n;
		len -= n;
	}
	return same;
}

/* How many bytes of [start, end) are held, and whether one of them differs. */
static struct ft_put compare(struct ft_upload *upload, uint64_t start, uint64_t end,
			     const char *bytes)
{
	struct memory *memory = memory_of(upload->store);
	struct ft_put put = {.added = end - start};
	struct ft_range range = {.end = start};

	while (ft_ranges_next(&upload->held, range.end, &range) && range.start < end) {
		uint64_t from = range.start > start ? range.start : start;
		uint64_t to = range.end < end ? range.end : end;

		put.added -= to - from;
		if (!same_bytes(memory, entry_of(upload), from, bytes + (from - start),
				(size_t)(to - from)))
			put.overwrote = true;
	}
	return put;
}

static void write_pages(struct memory *memory, struct entry *entry, uint64_t offset,
			const char *bytes, size_t len)
{
	while (len > 0) {
		size_t step = FT_PAGE_LEN - (size_t)(offset % FT_PAGE_LEN);

		if (step > len)
			step = len;
		lock(memory);
		ft_pages_write(&entry->pages, offset, bytes, step);
		unlock(memory);
		bytes += step;
		offset += step;
		len -= step;
	}
}

static enum ft_status memory_put(struct ft_upload *upload, uint64_t offset, const void *bytes,
				 size_t len, struct ft_put *done)
{
	struct memory *memory = memory_of(upload->store);
	struct entry *entry = entry_of(upload);
	struct ft_put put;
	enum ft_status st;

	*done = (struct ft_put){.added = 0};
	if ((st = ft_ranges_prepare(&upload->held, offset, offset + len)) != FT_OK)
		return st;
	put = compare(upload, offset, offset + len, bytes);
	if (put.added == 0 && !put.overwrote)
		return FT_OK;
	lock(memory);
	st = ft_pages_prepare(&entry->pages, offset, len);
	entry->last_news = ft_clock_unix_ms() / 1000;
	unlock(memory);
	if (st != FT_OK)
		return st;
	write_pages(memory, entry, offset, bytes, len);
	*done = put;
	return ft_ranges_add(&upload->held, offset, offset + len);
}

static enum ft_status memory_matches(struct ft_upload *upload, uint64_t offset, const void *bytes,
				     size_t len, bool *same)
{
	*same = len <= END - offset && ft_ranges_cover(&upload->held, offset, offset + len) &&
		same_bytes(memory_of(upload->store), entry_of(upload), offset, bytes, len);
	return FT_OK;
}

/* The held ranges go back to the entry, for the next handle. */
static void memory_release(struct ft_upload **upload)
{
	struct memory_upload *own = (struct memory_upload *)*upload;
	struct memory *memory = memory_of(own->base.store);

	*upload = NULL;
	lock(memory);
	ft_ranges_release(&own->entry->held);
	own->entry->held = own->base.held;
	unlock(memory);
	unref(memory, own->entry);
	free(own);
}

static enum ft_status memory_detach(struct ft_upload **upload, struct ft_trash **out)
{
	struct memory_upload *own = (struct memory_upload *)*upload;
	struct memory *memory = memory_of(own->base.store);
	struct memory_trash *trash = calloc(1, sizeof *trash);
	bool gone;

	if (!trash)
		return FT_NO_MEMORY;
	trash->base.store = &memory->base;
	trash->entry = own->entry;
	lock(memory);
	gone = own->entry->state != UNFINISHED;
	if (!gone) {
		own->entry->state = DETACHED;
		take_out(memory, own->entry);	/* the trash has its reference now */
	}
	unlock(memory);
	if (gone) {
		free(trash);
		return FT_NO_SUCH_TRANSFER;
	}
	memory_release(upload);
	*out = &trash->base;
	return FT_OK;
}

static enum ft_status memory_purge(struct ft_trash **trash)
{
	struct memory_trash *own = (struct memory_trash *)*trash;

	*trash = NULL;
	unref(memory_of(own->base.store), own->entry);
	free(own);
	return FT_OK;
}

/* --- assembling --- */

static enum ft_status memory_work(struct ft_upload *upload, struct ft_work **out)
{
	struct memory *memory = memory_of(upload->store);
	struct memory_work *work = calloc(1, sizeof *work);

	if (!work)
		return FT_NO_MEMORY;
	work->base.store = &memory->base;
	work->entry = entry_of(upload);
	lock(memory);
	work->entry->references++;
	unlock(memory);
	*out = &work->base;
	return FT_OK;
}

static void memory_work_close(struct ft_work **work)
{
	struct memory_work *own = (struct memory_work *)*work;

	*work = NULL;
	if (!own)
		return;
	unref(memory_of(own->base.store), own->entry);
	free(own);
}

static enum ft_status memory_read(struct ft_work *work, uint64_t offset, void *buffer, size_t len)
{
	struct memory *memory = memory_of(work->store);
	char *to = buffer;

	while (len > 0) {
		size_t step = len < FT_PAGE_LEN ? len : FT_PAGE_LEN;

		lock(memory);
		ft_pages_read(&work_entry(work)->pages, offset, to, step);
		unlock(memory);
		to += step;
		offset += step;
		len -= step;
	}
	return FT_OK;
}

static enum ft_status memory_manifest(struct ft_work *work, char **manifest, size_t *manifest_len)
{
	struct memory *memory = memory_of(work->store);
	struct entry *entry = work_entry(work);
	enum ft_status st = FT_NO_SUCH_TRANSFER;

	lock(memory);
	if (entry->state == UNFINISHED) {
		*manifest = copy_text(entry->manifest, entry->manifest_len);
		*manifest_len = entry->manifest_len;
		st = *manifest ? FT_OK : FT_NO_MEMORY;
	}
	unlock(memory);
	return st;
}

static enum ft_status memory_sync(struct ft_work *work)
{
	(void)work;
	return FT_OK;
}

/* Exchanges texts with the entry: what comes back is to be freed. */
static enum ft_status finish(struct entry *entry, char **name, uint64_t size, char **manifest,
			     size_t manifest_len)
{
	char *old_name = entry->name, *old_manifest = entry->manifest;

	if (entry->state != UNFINISHED)
		return FT_NO_SUCH_TRANSFER;
	ft_pages_cut(&entry->pages, size);
	entry->state = FINISHED;
	entry->size = size;
	entry->name = *name;
	entry->manifest = *manifest;
	entry->manifest_len = manifest_len;
	*name = old_name;
	*manifest = old_manifest;
	return FT_OK;
}

static enum ft_status memory_publish(struct ft_work *work, const char *name, uint64_t size,
				     const char *manifest, size_t manifest_len)
{
	struct memory *memory = memory_of(work->store);
	char *own_name = strdup(name);
	char *own_manifest = copy_text(manifest, manifest_len);
	enum ft_status st = FT_NO_MEMORY;

	if (own_name && own_manifest) {
		lock(memory);
		st = finish(work_entry(work), &own_name, size, &own_manifest, manifest_len);
		unlock(memory);
	}
	free(own_name);
	free(own_manifest);
	return st;
}

static enum ft_status memory_reassess(struct ft_upload *upload, bool sync_failed)
{
	(void)upload;
	(void)sync_failed;
	return FT_OK;
}

/* --- finished transfers --- */

static enum ft_status memory_find(struct ft_store *store, const struct ft_key *key,
				  char **manifest, size_t *manifest_len)
{
	struct memory *memory = memory_of(store);
	enum ft_status st = FT_NO_SUCH_TRANSFER;
	struct entry *entry;

	lock(memory);
	entry = find_entry(memory, key, FINISHED);
	if (entry) {
		*manifest = copy_text(entry->manifest, entry->manifest_len);
		*manifest_len = entry->manifest_len;
		st = *manifest ? FT_OK : FT_NO_MEMORY;
	}
	unlock(memory);
	return st;
}

static enum ft_status memory_finished_matches(struct ft_store *store, const struct ft_key *key,
					      const char *name, uint64_t offset,
					      const void *bytes, size_t len, bool *same)
{
	struct memory *memory = memory_of(store);
	struct entry *entry;
	bool there;

	lock(memory);
	entry = find_entry(memory, key, FINISHED);
	/* A finished entry stays until the store is closed. */
	there = entry && !strcmp(entry->name, name) && offset <= entry->size &&
		len <= entry->size - offset;
	unlock(memory);
	*same = there && same_bytes(memory, entry, offset, bytes, len);
	return FT_OK;
}

/* --- the whole store --- */

/* A copy of what the visitor is shown, since entries may go while it looks. */
struct snapshot {
	struct entry **entries;
	size_t count;
};

static enum ft_status take_snapshot(struct memory *memory, struct snapshot *snapshot)
{
	snapshot->count = 0;
	snapshot->entries = malloc((memory->entry_count + 1) * sizeof *snapshot->entries);
	if (!snapshot->entries)
		return FT_NO_MEMORY;
	for (size_t i = 0; i < memory->bucket_count; i++) {
		for (struct entry *entry = memory->buckets[i]; entry; entry = entry->next) {
			if (entry->state != UNFINISHED)
				continue;
			entry->references++;
			snapshot->entries[snapshot->count++] = entry;
		}
	}
	return FT_OK;
}

static enum ft_status visit_entry(struct memory *memory, struct entry *entry,
				  ft_store_visit *visit, void *context, bool *go_on)
{
	struct ft_found found = {.key = entry->key};
	bool unfinished;
	char *text;

	lock(memory);
	unfinished = entry->state == UNFINISHED;
	text = copy_text(entry->manifest, entry->manifest_len);
	found.manifest_len = entry->manifest_len;
	found.last_news = entry->last_news;
	found.stored_bytes = entry->pages.count * FT_PAGE_LEN;
	unlock(memory);
	if (!text)
		return FT_NO_MEMORY;
	found.manifest = text;
	if (unfinished)
		*go_on = visit(context, &found);
	free(text);
	return FT_OK;
}

static enum ft_status memory_enumerate(struct ft_store *store, ft_store_visit *visit, void *context)
{
	struct memory *memory = memory_of(store);
	struct snapshot snapshot;
	enum ft_status st;
	bool go_on = true;

	lock(memory);
	st = take_snapshot(memory, &snapshot);
	unlock(memory);
	if (st != FT_OK)
		return st;
	for (size_t i = 0; i < snapshot.count; i++) {
		if (go_on && st == FT_OK)
			st = visit_entry(memory, snapshot.entries[i], visit, context, &go_on);
		unref(memory, snapshot.entries[i]);
	}
	free(snapshot.entries);
	return st;
}

const struct ft_store_ops ft_store_memory = {
	.name = "memory",
	.open = memory_open,
	.close = memory_close,
	.create = memory_create,
	.load = memory_load,
	.describe = memory_describe,
	.put = memory_put,
	.matches = memory_matches,
	.release = memory_release,
	.detach = memory_detach,
	.purge = memory_purge,
	.work = memory_work,
	.work_close = memory_work_close,
	.read = memory_read,
	.manifest = memory_manifest,
	.sync = memory_sync,
	.publish = memory_publish,
	.reassess = memory_reassess,
	.find = memory_find,
	.finished_matches = memory_finished_matches,
	.enumerate = memory_enumerate,
};
