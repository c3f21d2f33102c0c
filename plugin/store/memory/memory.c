/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The memory backend: for tests and trials. What is in it is gone with the process.
 *
 * A tree of entries, one for each unfinished transfer and one for each finished file.
 * Handles hold references, so that an entry which was discarded or published lives until
 * the last one is given back. The mutex guards the tree, the list and the references; an
 * entry's bytes are its key's, which one thread at a time works on.
 */
#include <assert.h>
#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"
#include "base/list.h"
#include "store/backends.h"
#include "store/memory/pages.h"

enum memory_kind {
	MEMORY_UNFINISHED,
	MEMORY_FINISHED,
};

struct memory_entry {
	struct ft_link all;		/* in memory.entries */
	size_t references;		/* the tree's and the handles' */
	enum memory_kind kind;
	struct ft_key key;		/* its bytes lie behind the entry */
	struct ft_pages pages;
	uint64_t end;			/* the first byte behind all that was written */
	/* of a finished one */
	char *name;
	char *manifest;
	size_t manifest_len;
};

struct memory {
	struct ft_store base;
	pthread_mutex_t lock;
	void *tree;
	struct ft_list entries;
};

struct memory_upload {
	struct ft_upload base;
	struct memory_entry *entry;
};

static struct memory *memory_of(struct ft_store *store)
{
	return (struct memory *)store;
}

static struct memory_entry *memory_entry_of(struct ft_upload *upload)
{
	return ((struct memory_upload *)upload)->entry;
}

/* --- entries --- */

static void memory_entry_free(struct memory_entry **entry)
{
	struct memory_entry *own = *entry;

	*entry = NULL;
	if (!own)
		return;
	ft_pages_release(&own->pages);
	free(own->name);
	free(own->manifest);
	free(own);
}

static struct memory_entry *memory_entry_new(const struct ft_key *key, enum memory_kind kind)
{
	struct memory_entry *entry = calloc(1, sizeof *entry + key->owner_len + key->file_len);
	char *ids = (char *)(entry + 1);

	if (!entry)
		return NULL;
	memcpy(ids, key->owner, key->owner_len);
	memcpy(ids + key->owner_len, key->file, key->file_len);
	entry->key = (struct ft_key){ ids, key->owner_len, ids + key->owner_len, key->file_len };
	entry->kind = kind;
	entry->references = 1;
	ft_link_init(&entry->all);
	return entry;
}

static int memory_compare_bytes(const char *a, size_t a_len, const char *b, size_t b_len)
{
	if (a_len != b_len)
		return a_len < b_len ? -1 : 1;
	return memcmp(a, b, a_len);
}

static int memory_compare(const void *a, const void *b)
{
	const struct memory_entry *x = a, *y = b;
	int order;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	order = memory_compare_bytes(x->key.file, x->key.file_len, y->key.file, y->key.file_len);
	return order ? order : memory_compare_bytes(x->key.owner, x->key.owner_len, y->key.owner,
						    y->key.owner_len);
}

/* The caller holds the lock. */
static struct memory_entry *memory_find_entry(struct memory *memory, const struct ft_key *key,
					      enum memory_kind kind)
{
	const struct memory_entry wanted = { .kind = kind, .key = *key };
	void *node = tfind(&wanted, &memory->tree, memory_compare);

	return node ? *(struct memory_entry **)node : NULL;
}

/* Gives one reference back. The caller holds the lock. */
static void memory_unref(struct memory_entry **entry)
{
	struct memory_entry *own = *entry;

	*entry = NULL;
	assert(own->references > 0);
	if (--own->references == 0)
		memory_entry_free(&own);
}

/* Adds an entry, in the place of another one of its key. The caller holds the lock. */
static enum ft_status memory_add(struct memory *memory, struct memory_entry *entry)
{
	struct memory_entry **node = tsearch(entry, &memory->tree, memory_compare);
	struct memory_entry *former;

	if (!node)
		return FT_NO_MEMORY;
	former = *node;
	*node = entry;
	ft_list_push(&memory->entries, &entry->all);
	if (former != entry) {
		ft_link_remove(&former->all);
		memory_unref(&former);
	}
	return FT_OK;
}

/* Takes an entry out of the tree. The caller holds the lock. */
static void memory_remove(struct memory *memory, struct memory_entry *entry)
{
	if (memory_find_entry(memory, &entry->key, entry->kind) != entry)
		return;
	tdelete(entry, &memory->tree, memory_compare);
	ft_link_remove(&entry->all);
	memory_unref(&entry);
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
	ft_list_init(&memory->entries);
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
	while ((link = ft_list_first(&memory->entries)) != NULL)
		memory_remove(memory, FT_CONTAINER(link, struct memory_entry, all));
	assert(memory->tree == NULL);
	pthread_mutex_destroy(&memory->lock);
	free(memory);
}

/* --- unfinished transfers --- */

/* The entry of an upload, made where it may be. The caller holds the lock. */
static enum ft_status memory_get(struct memory *memory, const struct ft_key *key,
				 enum ft_upload_mode mode, struct memory_entry **out)
{
	enum ft_status st;

	*out = memory_find_entry(memory, key, MEMORY_UNFINISHED);
	if (*out)
		return FT_OK;
	if (mode == FT_UPLOAD_EXISTING)
		return FT_NO_SUCH_TRANSFER;
	if (!(*out = memory_entry_new(key, MEMORY_UNFINISHED)))
		return FT_NO_MEMORY;
	if ((st = memory_add(memory, *out)) != FT_OK)
		memory_entry_free(out);
	return st;
}

static enum ft_status memory_upload_open(struct ft_store *store, const struct ft_key *key,
					 enum ft_upload_mode mode, struct ft_upload **out)
{
	struct memory *memory = memory_of(store);
	struct memory_upload *upload = calloc(1, sizeof *upload);
	enum ft_status st;

	*out = NULL;
	if (!upload)
		return FT_NO_MEMORY;
	upload->base.store = store;
	pthread_mutex_lock(&memory->lock);
	st = memory_get(memory, key, mode, &upload->entry);
	if (st == FT_OK)
		upload->entry->references++;
	pthread_mutex_unlock(&memory->lock);
	if (st != FT_OK)
		free(upload);
	else
		*out = &upload->base;
	return st;
}

static void memory_upload_close(struct ft_upload **upload)
{
	struct memory_upload *own = (struct memory_upload *)*upload;
	struct memory *memory;

	*upload = NULL;
	if (!own)
		return;
	memory = memory_of(own->base.store);
	pthread_mutex_lock(&memory->lock);
	memory_unref(&own->entry);
	pthread_mutex_unlock(&memory->lock);
	free(own);
}

static enum ft_status memory_write(struct ft_upload *upload, uint64_t offset, const void *bytes,
				   size_t len)
{
	struct memory_entry *entry = memory_entry_of(upload);
	enum ft_status st;

	assert(len > 0 && offset <= (uint64_t)INT64_MAX && len <= (uint64_t)INT64_MAX - offset);
	if ((st = ft_pages_prepare(&entry->pages, offset, len)) != FT_OK)
		return st;
	ft_pages_write(&entry->pages, offset, bytes, len);
	if (entry->end < offset + len)
		entry->end = offset + len;
	return FT_OK;
}

static enum ft_status memory_read_entry(const struct memory_entry *entry, uint64_t offset,
					void *buffer, size_t len)
{
	if (offset > entry->end || len > entry->end - offset)
		return FT_IO_ERROR;
	ft_pages_read(&entry->pages, offset, buffer, len);
	return FT_OK;
}

static enum ft_status memory_read(struct ft_upload *upload, uint64_t offset, void *buffer,
				  size_t len)
{
	return memory_read_entry(memory_entry_of(upload), offset, buffer, len);
}

static enum ft_status memory_discard(struct ft_upload *upload)
{
	struct memory *memory = memory_of(upload->store);

	pthread_mutex_lock(&memory->lock);
	memory_remove(memory, memory_entry_of(upload));
	pthread_mutex_unlock(&memory->lock);
	return FT_OK;
}

/* --- publishing --- */

/* A finished entry with all but an upload's bytes. */
static enum ft_status memory_prepare(const struct ft_publication *what, struct memory_entry **out)
{
	struct memory_entry *entry = memory_entry_new(&what->key, MEMORY_FINISHED);
	enum ft_status st = FT_OK;

	*out = entry;
	if (!entry)
		return FT_NO_MEMORY;
	entry->end = what->size;
	entry->name = strdup(what->name);
	entry->manifest = malloc(what->manifest_len + 1);
	if (!entry->name || !entry->manifest)
		st = FT_NO_MEMORY;
	if (st == FT_OK && what->bytes && what->size > 0)
		st = ft_pages_prepare(&entry->pages, 0, (size_t)what->size);
	if (st != FT_OK) {
		memory_entry_free(out);
		return st;
	}
	memcpy(entry->manifest, what->manifest, what->manifest_len);
	entry->manifest[what->manifest_len] = '\0';
	entry->manifest_len = what->manifest_len;
	if (what->bytes && what->size > 0)
		ft_pages_write(&entry->pages, 0, what->bytes, (size_t)what->size);
	return FT_OK;
}

static bool memory_owns(const struct memory_entry *entry, const struct ft_publication *what)
{
	return strcmp(entry->name, what->name) == 0
	       && memmem(entry->manifest, entry->manifest_len, what->transfer_id,
			 strlen(what->transfer_id)) != NULL;
}

/* Puts a prepared entry into the tree, and an upload's bytes into it. The caller holds the lock. */
static enum ft_status memory_place(struct memory *memory, const struct ft_publication *what,
				   struct memory_entry **entry)
{
	struct memory_entry *former = memory_find_entry(memory, &what->key, MEMORY_FINISHED);
	struct memory_entry *from = what->upload ? memory_entry_of(what->upload) : NULL;

	if (former && memory_owns(former, what))
		return FT_OK;
	if (!from && !what->bytes && what->size > 0)
		return FT_NO_SUCH_TRANSFER;
	if (former && what->mode == FT_PUBLISH_KEEP)
		return FT_ALREADY_COMPLETE;
	if (from && memory_find_entry(memory, &what->key, MEMORY_UNFINISHED) != from)
		return FT_NO_SUCH_TRANSFER;
	if (from && from->end < what->size)
		return FT_IO_ERROR;
	if (memory_add(memory, *entry) != FT_OK)
		return FT_NO_MEMORY;
	if (from) {
		(*entry)->pages = from->pages;
		from->pages = (struct ft_pages){ .items = NULL };
		ft_pages_cut(&(*entry)->pages, what->size);
		memory_remove(memory, from);
	}
	*entry = NULL;
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
		what->status = memory_prepare(what, &entry);
		if (what->status == FT_OK) {
			pthread_mutex_lock(&memory->lock);
			what->status = memory_place(memory, what, &entry);
			pthread_mutex_unlock(&memory->lock);
		}
		memory_entry_free(&entry);
		memory_upload_close(&what->upload);
	}
}

/* --- finished files --- */

/* A reference to a finished file, or NULL. */
static struct memory_entry *memory_hold(struct memory *memory, const struct ft_key *key,
					const char *name)
{
	struct memory_entry *entry;

	pthread_mutex_lock(&memory->lock);
	entry = memory_find_entry(memory, key, MEMORY_FINISHED);
	if (entry && strcmp(entry->name, name) != 0)
		entry = NULL;
	if (entry)
		entry->references++;
	pthread_mutex_unlock(&memory->lock);
	return entry;
}

static void memory_let_go(struct memory *memory, struct memory_entry **entry)
{
	pthread_mutex_lock(&memory->lock);
	memory_unref(entry);
	pthread_mutex_unlock(&memory->lock);
}

static enum ft_status memory_find(struct ft_store *store, const struct ft_key *key,
				  const char *name)
{
	struct memory_entry *entry = memory_hold(memory_of(store), key, name);

	if (!entry)
		return FT_NO_SUCH_TRANSFER;
	memory_let_go(memory_of(store), &entry);
	return FT_OK;
}

static enum ft_status memory_read_finished(struct ft_store *store, const struct ft_key *key,
					   const char *name, uint64_t offset, void *buffer,
					   size_t len)
{
	struct memory_entry *entry = memory_hold(memory_of(store), key, name);
	enum ft_status st;

	if (!entry)
		return FT_NO_SUCH_TRANSFER;
	st = memory_read_entry(entry, offset, buffer, len);
	memory_let_go(memory_of(store), &entry);
	return st;
}

static enum ft_status memory_remove_finished(struct ft_store *store, const struct ft_key *key,
					     const char *name)
{
	struct memory *memory = memory_of(store);
	struct memory_entry *entry = memory_hold(memory, key, name);

	if (!entry)
		return FT_OK;
	pthread_mutex_lock(&memory->lock);
	memory_remove(memory, entry);
	memory_unref(&entry);
	pthread_mutex_unlock(&memory->lock);
	return FT_OK;
}

/* The lock is held throughout: whoever visits a store for trials makes no calls to it. */
static enum ft_status memory_list_finished(struct ft_store *store, ft_store_visit *visit,
					   void *context)
{
	struct memory *memory = memory_of(store);

	pthread_mutex_lock(&memory->lock);
	for (struct ft_link *at = memory->entries.head.next; at != &memory->entries.head;
	     at = at->next) {
		struct memory_entry *entry = FT_CONTAINER(at, struct memory_entry, all);
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
		if (entry->kind == MEMORY_FINISHED && !visit(context, &found))
			break;
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
