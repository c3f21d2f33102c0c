/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/memory.h"

#include "store/backends.h"

#define FIRST_BUCKETS 64	/* a power of two */

char *memory_copy_text(const char *text, size_t len)
{
	char *copy = malloc(len + 1);

	if (copy) {
		memcpy(copy, text, len);
		copy[len] = '\0';
	}
	return copy;
}

/* --- entries --- */

void memory_entry_free(struct entry *entry)
{
	ft_pages_release(&entry->pages);
	ft_ranges_release(&entry->held);
	free(entry->manifest);
	free(entry->name);
	free(entry);
}

/* Key and text live behind the entry and in `manifest`. */
struct entry *memory_entry_new(const struct ft_key *key, const char *manifest, size_t len)
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
	entry->manifest = memory_copy_text(manifest, len);
	entry->manifest_len = len;
	if (!entry->manifest) {
		memory_entry_free(entry);
		return NULL;
	}
	return entry;
}

void memory_unref(struct memory *memory, struct entry *entry)
{
	bool last;

	lock(memory);
	last = --entry->references == 0;
	unlock(memory);
	if (last)
		memory_entry_free(entry);
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

struct entry *memory_find_entry(struct memory *memory, const struct ft_key *key, enum state state)
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

bool memory_add_entry(struct memory *memory, struct entry *entry)
{
	struct entry **at;

	entry->hash = hash_of(&entry->key);
	if (memory->entry_count >= memory->bucket_count)
		grow_table(memory);
	at = seek(memory, &entry->key, entry->hash);
	if (*at)
		return false;
	*at = entry;
	memory->entry_count++;
	return true;
}

void memory_take_out(struct memory *memory, struct entry *entry)
{
	struct entry **at = seek(memory, &entry->key, entry->hash);

	if (*at != entry)
		return;
	*at = entry->next;
	entry->next = NULL;
	memory->entry_count--;
}

bool memory_same_bytes(struct memory *memory, struct entry *entry, uint64_t offset,
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

/* --- life of the store --- */

static enum ft_status memory_open(const struct ft_store_config *config, struct ft_store **out)
{
	struct memory *memory = calloc(1, sizeof *memory);

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
	memory->log = config->log;
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
			memory_entry_free(entry);
		}
	}
	pthread_mutex_destroy(&memory->lock);
	free(memory->buckets);
	free(memory);
}

/* --- finished transfers --- */

static enum ft_status memory_find(struct ft_store *store, const struct ft_key *key,
				  char **manifest, size_t *manifest_len)
{
	struct memory *memory = memory_of(store);
	enum ft_status st = FT_NO_SUCH_TRANSFER;
	struct entry *entry;

	lock(memory);
	entry = memory_find_entry(memory, key, FINISHED);
	if (entry) {
		*manifest = memory_copy_text(entry->manifest, entry->manifest_len);
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
	entry = memory_find_entry(memory, key, FINISHED);
	/* A finished entry stays until the store is closed. */
	there = entry && !strcmp(entry->name, name) && offset <= entry->size &&
		len <= entry->size - offset;
	unlock(memory);
	*same = there && memory_same_bytes(memory, entry, offset, bytes, len);
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
	text = memory_copy_text(entry->manifest, entry->manifest_len);
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
		memory_unref(memory, snapshot.entries[i]);
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
	.set_aside = memory_set_aside,
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
