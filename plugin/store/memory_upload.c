/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The memory backend: uploads, and what workers do with them. */
#include "store/memory.h"

#define END ((uint64_t)INT64_MAX)

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

static enum ft_status add_upload(struct memory *memory, struct entry *entry, struct ft_upload **out)
{
	enum ft_status st;

	if ((st = upload_new(memory, entry, out)) != FT_OK)
		return st;
	if (memory_add_entry(memory, entry))
		return FT_OK;
	/* The caller's mistake: the key is taken. */
	free(*out);
	return FT_IO_ERROR;
}

enum ft_status memory_create(struct ft_store *store, const struct ft_key *key,
				    const char *manifest, size_t manifest_len,
				    struct ft_upload **out)
{
	struct memory *memory = memory_of(store);
	struct entry *entry = memory_entry_new(key, manifest, manifest_len);
	enum ft_status st;

	if (!entry)
		return FT_NO_MEMORY;
	lock(memory);
	st = add_upload(memory, entry, out);
	unlock(memory);
	if (st != FT_OK)
		memory_entry_free(entry);
	return st;
}

static enum ft_status load_entry(struct memory *memory, struct entry *entry, char **manifest,
				 size_t *manifest_len, struct ft_upload **out)
{
	char *text = memory_copy_text(entry->manifest, entry->manifest_len);
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

enum ft_status memory_load(struct ft_store *store, const struct ft_key *key,
				  char **manifest, size_t *manifest_len, struct ft_upload **out)
{
	struct memory *memory = memory_of(store);
	enum ft_status st = FT_NO_SUCH_TRANSFER;
	struct entry *entry;

	lock(memory);
	entry = memory_find_entry(memory, key, UNFINISHED);
	if (entry)
		st = load_entry(memory, entry, manifest, manifest_len, out);
	unlock(memory);
	return st;
}

enum ft_status memory_describe(struct ft_upload *upload, const char *manifest,
				      size_t manifest_len)
{
	struct memory *memory = memory_of(upload->store);
	struct entry *entry = entry_of(upload);
	char *text = memory_copy_text(manifest, manifest_len);
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
		if (!memory_same_bytes(memory, entry_of(upload), from, bytes + (from - start),
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

enum ft_status memory_put(struct ft_upload *upload, uint64_t offset, const void *bytes,
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

enum ft_status memory_matches(struct ft_upload *upload, uint64_t offset, const void *bytes,
				     size_t len, bool *same)
{
	*same = len <= END - offset && ft_ranges_cover(&upload->held, offset, offset + len) &&
		memory_same_bytes(memory_of(upload->store), entry_of(upload), offset, bytes, len);
	return FT_OK;
}

/* The held ranges go back to the entry, for the next handle. */
void memory_release(struct ft_upload **upload)
{
	struct memory_upload *own = (struct memory_upload *)*upload;
	struct memory *memory = memory_of(own->base.store);

	*upload = NULL;
	lock(memory);
	ft_ranges_release(&own->entry->held);
	own->entry->held = own->base.held;
	unlock(memory);
	memory_unref(memory, own->entry);
	free(own);
}

enum ft_status memory_detach(struct ft_upload **upload, struct ft_trash **out)
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
		memory_take_out(memory, own->entry);	/* the trash has its reference now */
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

enum ft_status memory_set_aside(struct ft_upload **upload, const char *why)
{
	struct memory *memory = memory_of((*upload)->store);
	struct ft_trash *trash;
	enum ft_status st;

	st = memory_detach(upload, &trash);
	if (st != FT_OK) {
		memory_release(upload);
		return st;
	}
	ft_logger_printf(memory->log, FT_LOG_ERROR, "a transfer in memory was damaged (%s) and is gone",
		      why);
	return memory_purge(&trash);
}

enum ft_status memory_purge(struct ft_trash **trash)
{
	struct memory_trash *own = (struct memory_trash *)*trash;

	*trash = NULL;
	memory_unref(memory_of(own->base.store), own->entry);
	free(own);
	return FT_OK;
}

/* --- assembling --- */

enum ft_status memory_work(struct ft_upload *upload, struct ft_work **out)
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

void memory_work_close(struct ft_work **work)
{
	struct memory_work *own = (struct memory_work *)*work;

	*work = NULL;
	if (!own)
		return;
	memory_unref(memory_of(own->base.store), own->entry);
	free(own);
}

enum ft_status memory_read(struct ft_work *work, uint64_t offset, void *buffer, size_t len)
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

enum ft_status memory_manifest(struct ft_work *work, char **manifest, size_t *manifest_len)
{
	struct memory *memory = memory_of(work->store);
	struct entry *entry = work_entry(work);
	enum ft_status st = FT_NO_SUCH_TRANSFER;

	lock(memory);
	if (entry->state == UNFINISHED) {
		*manifest = memory_copy_text(entry->manifest, entry->manifest_len);
		*manifest_len = entry->manifest_len;
		st = *manifest ? FT_OK : FT_NO_MEMORY;
	}
	unlock(memory);
	return st;
}

enum ft_status memory_sync(struct ft_work *work)
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

static enum ft_status publish(const struct ft_publication *publication)
{
	struct memory *memory = memory_of(publication->work->store);
	size_t len = publication->manifest_len;
	char *own_name = strdup(publication->name);
	char *own_manifest = memory_copy_text(publication->manifest, len);
	enum ft_status st = FT_NO_MEMORY;

	if (own_name && own_manifest) {
		lock(memory);
		st = finish(work_entry(publication->work), &own_name, publication->size,
			    &own_manifest, len);
		unlock(memory);
	}
	free(own_name);
	free(own_manifest);
	return st;
}

void memory_publish(struct ft_publication *publications, size_t count)
{
	for (size_t i = 0; i < count; i++)
		publications[i].status = publish(&publications[i]);
}

enum ft_status memory_reassess(struct ft_upload *upload, bool sync_failed)
{
	(void)upload;
	(void)sync_failed;
	return FT_OK;
}
