/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The memory backend: for tests and trials. What is in it is gone with the process.
 *
 * An entry for each unfinished transfer and one for each finished file, in lists by a hash of
 * their keys. A handle is the entry, and one that was discarded or published lives until the
 * last handle is given back. The mutex guards lists, handles and finished files; the bytes of
 * an unfinished transfer are its key's, which one thread at a time works on.
 */
#include <assert.h>
#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"
#include "base/list.h"
#include "store/backends.h"

#define MEMORY_PAGE ((size_t)64 * 1024)
#define MEMORY_LISTS 1024

enum memory_kind {
	MEMORY_UNFINISHED,
	MEMORY_FINISHED,
};

/* Bytes that were never written take no room. */
struct memory_page {
	uint64_t number;	/* offset / MEMORY_PAGE; first, see memory_compare() */
	char bytes[MEMORY_PAGE];
};

struct memory_entry {
	struct ft_upload base;
	struct ft_link link;		/* in one of memory.lists, until it is discarded or published */
	size_t handles;
	enum memory_kind kind;
	struct ft_key key;		/* its bytes lie behind the entry */
	void *pages;			/* a tree */
	uint64_t end;			/* the first byte behind all that was written */
	/* of a finished one */
	char *name;
	char *manifest;
	size_t manifest_len;
};

struct memory {
	struct ft_store base;
	pthread_mutex_t lock;
	struct ft_list lists[MEMORY_LISTS];
};

static struct memory *memory_of(struct ft_store *store)
{
	return (struct memory *)store;
}

static struct memory_entry *memory_entry_of(struct ft_upload *upload)
{
	return (struct memory_entry *)upload;
}

/* --- bytes --- */

static int memory_compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* NULL: there is none, or no memory for one. */
static struct memory_page *memory_find_page(const struct memory_entry *entry, uint64_t number)
{
	void *node = tfind(&number, &entry->pages, memory_compare);

	return node ? *(struct memory_page **)node : NULL;
}

static struct memory_page *memory_make_page(struct memory_entry *entry, uint64_t number)
{
	struct memory_page *page = memory_find_page(entry, number);

	if (page || !(page = calloc(1, sizeof *page)))
		return page;
	page->number = number;
	if (tsearch(page, &entry->pages, memory_compare))
		return page;
	free(page);
	return NULL;
}

/* How many of `len` bytes at `offset` lie in its page. */
static size_t memory_step(uint64_t offset, size_t len)
{
	size_t rest = MEMORY_PAGE - (size_t)(offset % MEMORY_PAGE);

	return len < rest ? len : rest;
}

static enum ft_status memory_put(struct memory_entry *entry, uint64_t offset, const char *bytes,
				 size_t len)
{
	for (size_t step; len > 0; offset += step, bytes += step, len -= step) {
		struct memory_page *page = memory_make_page(entry, offset / MEMORY_PAGE);

		if (!page)
			return FT_NO_MEMORY;
		step = memory_step(offset, len);
		memcpy(page->bytes + offset % MEMORY_PAGE, bytes, step);
		if (entry->end < offset + step)
			entry->end = offset + step;
	}
	return FT_OK;
}

static enum ft_status memory_get(const struct memory_entry *entry, uint64_t offset, char *to,
				 size_t len)
{
	if (offset > entry->end || len > entry->end - offset)
		return FT_IO_ERROR;
	for (size_t step; len > 0; offset += step, to += step, len -= step) {
		const struct memory_page *page = memory_find_page(entry, offset / MEMORY_PAGE);

		step = memory_step(offset, len);
		if (page)
			memcpy(to, page->bytes + offset % MEMORY_PAGE, step);
		else
			memset(to, 0, step);
	}
	return FT_OK;
}

/* --- entries --- */

static struct ft_list *memory_list(struct memory *memory, const struct ft_key *key)
{
	uint32_t hash = 2166136261u;	/* FNV-1a */

	for (size_t i = 0; i < key->owner_len; i++)
		hash = (hash ^ (unsigned char)key->owner[i]) * 16777619u;
	for (size_t i = 0; i < key->file_len; i++)
		hash = (hash ^ (unsigned char)key->file[i]) * 16777619u;
	return &memory->lists[hash % MEMORY_LISTS];
}

/* The entry of a key; of a finished one, by its name if that is not NULL. The caller holds the lock. */
static struct memory_entry *memory_find_entry(struct memory *memory, const struct ft_key *key,
					      enum memory_kind kind, const char *name)
{
	const struct ft_list *list = memory_list(memory, key);

	for (struct ft_link *at = list->head.next; at != &list->head; at = at->next) {
		struct memory_entry *entry = FT_CONTAINER(at, struct memory_entry, link);

		if (entry->kind == kind && entry->key.owner_len == key->owner_len
		    && entry->key.file_len == key->file_len
		    && memcmp(entry->key.owner, key->owner, key->owner_len) == 0
		    && memcmp(entry->key.file, key->file, key->file_len) == 0)
			return !name || strcmp(entry->name, name) == 0 ? entry : NULL;
	}
	return NULL;
}

/* In no list yet. */
static struct memory_entry *memory_entry_new(struct ft_store *store, const struct ft_key *key,
					     enum memory_kind kind)
{
	struct memory_entry *entry = calloc(1, sizeof *entry + key->owner_len + key->file_len);
	char *ids = (char *)(entry + 1);

	if (!entry)
		return NULL;
	memcpy(ids, key->owner, key->owner_len);
	memcpy(ids + key->owner_len, key->file, key->file_len);
	entry->key = (struct ft_key){ ids, key->owner_len, ids + key->owner_len, key->file_len };
	entry->base.store = store;
	entry->kind = kind;
	ft_link_init(&entry->link);
	return entry;
}

/* Frees what is in no list and has no handles. The caller holds the lock, if others know it. */
static void memory_release(struct memory_entry *entry)
{
	if (!entry || entry->handles > 0 || ft_link_listed(&entry->link))
		return;
	tdestroy(entry->pages, free);
	free(entry->name);
	free(entry->manifest);
	free(entry);
}

/* Takes an entry out of its list, if it is in one. The caller holds the lock. */
static void memory_remove(struct memory_entry *entry)
{
	ft_link_remove(&entry->link);
	memory_release(entry);
}

/* --- life of the store --- */

static enum ft_status memory_open(const struct ft_store_config *config, struct ft_store **out)
{
	struct memory *memory = calloc(1, sizeof *memory);

	(void)config;
	*out = NULL;
	if (!memory)
		return FT_NO_MEMORY;
	if (pthread_mutex_init(&memory->lock, NULL) != 0) {
		free(memory);
		return FT_NO_MEMORY;
	}
	memory->base.ops = &ft_store_memory;
	for (size_t i = 0; i < MEMORY_LISTS; i++)
		ft_list_init(&memory->lists[i]);
	*out = &memory->base;
	return FT_OK;
}

static void memory_close(struct ft_store **store)
{
	struct memory *memory = memory_of(*store);
	struct ft_link *link;

	*store = NULL;
	if (!memory)
		return;
	for (size_t i = 0; i < MEMORY_LISTS; i++)
		while ((link = ft_list_first(&memory->lists[i])) != NULL)
			memory_remove(FT_CONTAINER(link, struct memory_entry, link));
	pthread_mutex_destroy(&memory->lock);
	free(memory);
}

/* --- unfinished transfers --- */

static enum ft_status memory_upload_open(struct ft_store *store, const struct ft_key *key,
					 enum ft_upload_mode mode, struct ft_upload **out)
{
	struct memory *memory = memory_of(store);
	struct memory_entry *entry;

	*out = NULL;
	pthread_mutex_lock(&memory->lock);
	entry = memory_find_entry(memory, key, MEMORY_UNFINISHED, NULL);
	if (!entry && mode == FT_UPLOAD_CREATE
	    && (entry = memory_entry_new(store, key, MEMORY_UNFINISHED)) != NULL)
		ft_list_push(memory_list(memory, key), &entry->link);
	if (entry) {
		entry->handles++;
		*out = &entry->base;
	}
	pthread_mutex_unlock(&memory->lock);
	if (entry)
		return FT_OK;
	return mode == FT_UPLOAD_CREATE ? FT_NO_MEMORY : FT_NO_SUCH_TRANSFER;
}

static void memory_upload_close(struct ft_upload **upload)
{
	struct memory_entry *entry = memory_entry_of(*upload);
	struct memory *memory;

	*upload = NULL;
	if (!entry)
		return;
	memory = memory_of(entry->base.store);
	pthread_mutex_lock(&memory->lock);
	assert(entry->handles > 0);
	entry->handles--;
	memory_release(entry);
	pthread_mutex_unlock(&memory->lock);
}

static enum ft_status memory_write(struct ft_upload *upload, uint64_t offset, const void *bytes,
				   size_t len)
{
	assert(len > 0 && offset <= (uint64_t)INT64_MAX && len <= (uint64_t)INT64_MAX - offset);
	return memory_put(memory_entry_of(upload), offset, bytes, len);
}

static enum ft_status memory_read(struct ft_upload *upload, uint64_t offset, void *buffer,
				  size_t len)
{
	return memory_get(memory_entry_of(upload), offset, buffer, len);
}

static enum ft_status memory_discard(struct ft_upload *upload)
{
	struct memory *memory = memory_of(upload->store);

	pthread_mutex_lock(&memory->lock);
	memory_remove(memory_entry_of(upload));
	pthread_mutex_unlock(&memory->lock);
	return FT_OK;
}

/* --- publishing --- */

/* A finished entry with all but an upload's bytes, which is in no list yet. */
static enum ft_status memory_prepare(struct ft_store *store, const struct ft_publication *what,
				     struct memory_entry **out)
{
	struct memory_entry *entry = memory_entry_new(store, &what->key, MEMORY_FINISHED);

	if (!(*out = entry))
		return FT_NO_MEMORY;
	entry->name = strdup(what->name);
	entry->manifest = calloc(1, what->manifest_len + 1);
	entry->manifest_len = what->manifest_len;
	entry->end = what->size;
	if (!entry->name || !entry->manifest)
		return FT_NO_MEMORY;
	/* Without bytes, where it is only asked for, there is none. */
	if (what->manifest_len > 0)
		memcpy(entry->manifest, what->manifest, what->manifest_len);
	return what->bytes ? memory_put(entry, 0, what->bytes, (size_t)what->size) : FT_OK;
}

/* Makes a prepared entry, taking an upload's bytes, the finished one. The caller holds the lock. */
static enum ft_status memory_place(struct memory *memory, const struct ft_publication *what,
				   struct memory_entry *entry)
{
	struct memory_entry *former = memory_find_entry(memory, &what->key, MEMORY_FINISHED, NULL);
	struct memory_entry *from = memory_entry_of(what->upload);

	if (former && strcmp(former->name, what->name) == 0
	    && memmem(former->manifest, former->manifest_len, what->transfer_id,
		      strlen(what->transfer_id)))
		return FT_OK;
	if (what->mode == FT_PUBLISH_ASK || (!from && !what->bytes && what->size > 0))
		return FT_NO_SUCH_TRANSFER;
	if (former && what->mode == FT_PUBLISH_KEEP)
		return FT_ALREADY_COMPLETE;
	if (from && !ft_link_listed(&from->link))
		return FT_NO_SUCH_TRANSFER;
	if (from && from->end < what->size)
		return FT_IO_ERROR;
	if (former)
		memory_remove(former);
	ft_list_push(memory_list(memory, &what->key), &entry->link);
	if (from) {
		entry->pages = from->pages;
		from->pages = NULL;
		memory_remove(from);
	}
	return FT_OK;
}

static void memory_publish(struct ft_store *store, struct ft_publication *publications,
			   size_t count)
{
	struct memory *memory = memory_of(store);

	for (size_t i = 0; i < count; i++) {
		struct ft_publication *what = &publications[i];
		struct memory_entry *entry;

		what->bytes_lost = false;
		what->status = memory_prepare(store, what, &entry);
		pthread_mutex_lock(&memory->lock);
		if (what->status == FT_OK)
			what->status = memory_place(memory, what, entry);
		memory_release(entry);
		pthread_mutex_unlock(&memory->lock);
		memory_upload_close(&what->upload);
	}
}

/* --- finished files --- */

static enum ft_status memory_find(struct ft_store *store, const struct ft_key *key,
				  const char *name)
{
	struct memory *memory = memory_of(store);
	bool there;

	pthread_mutex_lock(&memory->lock);
	there = memory_find_entry(memory, key, MEMORY_FINISHED, name) != NULL;
	pthread_mutex_unlock(&memory->lock);
	return there ? FT_OK : FT_NO_SUCH_TRANSFER;
}

static enum ft_status memory_read_finished(struct ft_store *store, const struct ft_key *key,
					   const char *name, uint64_t offset, void *buffer,
					   size_t len)
{
	struct memory *memory = memory_of(store);
	const struct memory_entry *entry;
	enum ft_status st;

	pthread_mutex_lock(&memory->lock);
	entry = memory_find_entry(memory, key, MEMORY_FINISHED, name);
	st = entry ? memory_get(entry, offset, buffer, len) : FT_NO_SUCH_TRANSFER;
	pthread_mutex_unlock(&memory->lock);
	return st;
}

static void memory_remove_finished(struct ft_store *store, struct ft_removal *removals,
				   size_t count)
{
	struct memory *memory = memory_of(store);

	pthread_mutex_lock(&memory->lock);
	for (size_t i = 0; i < count; i++) {
		struct memory_entry *entry = memory_find_entry(memory, &removals[i].key, MEMORY_FINISHED,
							       removals[i].name);

		removals[i].status = FT_OK;
		if (entry)
			memory_remove(entry);
	}
	pthread_mutex_unlock(&memory->lock);
}

static bool memory_visit(const struct memory_entry *entry, ft_store_visit *visit, void *context)
{
	char owner_name[FT_NAME_ROOM], file_name[FT_NAME_ROOM];
	const struct ft_store_found found = {
		.place = entry->name,
		.owner_name = owner_name,
		.file_name = file_name,
		.name = entry->name,
		.size = entry->end,
		.manifest = entry->manifest,
		.manifest_len = entry->manifest_len,
	};

	ft_escape(owner_name, entry->key.owner, entry->key.owner_len);
	ft_escape(file_name, entry->key.file, entry->key.file_len);
	return visit(context, &found);
}

/* The lock is held throughout: whoever visits a store for trials makes no calls to it. */
static enum ft_status memory_list_finished(struct ft_store *store, ft_store_visit *visit,
					   void *context)
{
	struct memory *memory = memory_of(store);
	bool goes_on = true;

	pthread_mutex_lock(&memory->lock);
	for (size_t i = 0; goes_on && i < MEMORY_LISTS; i++) {
		const struct ft_list *list = &memory->lists[i];

		for (struct ft_link *at = list->head.next; goes_on && at != &list->head;
		     at = at->next) {
			struct memory_entry *entry = FT_CONTAINER(at, struct memory_entry, link);

			if (entry->kind == MEMORY_FINISHED)
				goes_on = memory_visit(entry, visit, context);
		}
	}
	pthread_mutex_unlock(&memory->lock);
	return FT_OK;
}

const struct ft_store_ops ft_store_memory = {
	.name = "memory",
	.open = memory_open,
	.close = memory_close,
	.upload_open = memory_upload_open,
	.upload_close = memory_upload_close,
	.write = memory_write,
	.read = memory_read,
	.discard = memory_discard,
	.publish = memory_publish,
	.find = memory_find,
	.read_finished = memory_read_finished,
	.remove_finished = memory_remove_finished,
	.list_finished = memory_list_finished,
};
