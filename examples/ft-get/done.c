/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "done.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/disk.h"
#include "../lib/members.h"

#define FORMAT 1
#define FILE_BYTES_MAX ((size_t)64 * 1024 * 1024)

static const char *const done_words[] = {
	[DONE_NOTHING] = "", [DONE_RUNNING] = "running", [DONE_ENDED] = "ended",
};

static struct done_file *done_find(const struct done *done, const char *file)
{
	for (size_t i = 0; i < done->count; i++) {
		if (strcmp(done->items[i].file, file) == 0)
			return &done->items[i];
	}
	return NULL;
}

static struct done_file *done_add(struct done *done, const char *file)
{
	if (done->count == done->room) {
		size_t room = done->room ? done->room * 2 : 16;
		struct done_file *items = realloc(done->items, room * sizeof(*items));
		if (!items)
			return NULL;
		done->items = items;
		done->room = room;
	}
	char *copy = strdup(file);
	if (!copy)
		return NULL;
	done->items[done->count] = (struct done_file){ .file = copy };
	return &done->items[done->count++];
}

static bool done_put(struct done *done, const char *file, const char *sha256, enum done_state state)
{
	struct done_file *item = done_find(done, file);

	item = item ? item : done_add(done, file);
	if (!item)
		return false;
	memcpy(item->sha256, sha256, SHA256_HEX_ROOM);
	item->state = state;
	return true;
}

static bool done_read(struct done *done, const cJSON *item)
{
	const char *file = member_text(item, "file"), *word = member_text(item, "state");
	char sha256[SHA256_HEX_ROOM];

	if (!file || !word || !sha256_read(sha256, member_text(item, "sha256")))
		return true;
	return done_put(done, file, sha256,
			strcmp(word, done_words[DONE_RUNNING]) == 0 ? DONE_RUNNING : DONE_ENDED);
}

bool done_load(struct done *done, const char *path)
{
	size_t len = 0;
	bool ok = true;
	const cJSON *item;

	*done = (struct done){0};
	if (!path)
		return true;
	done->path = strdup(path);
	if (!done->path)
		return false;
	char *text = disk_read(path, FILE_BYTES_MAX, &len);
	cJSON *root = text ? cJSON_ParseWithLength(text, len) : NULL;
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(root, "files"))
		ok = ok && done_read(done, item);
	cJSON_Delete(root);
	free(text);
	return ok;
}

enum done_state done_state(const struct done *done, const char *file, const char *sha256)
{
	const struct done_file *item = done_find(done, file);

	return item && strcmp(item->sha256, sha256) == 0 ? item->state : DONE_NOTHING;
}

static bool done_write_item(cJSON *list, const struct done_file *file)
{
	cJSON *item = cJSON_CreateObject();

	if (!cJSON_AddItemToArray(list, item)) {
		cJSON_Delete(item);
		return false;
	}
	return cJSON_AddStringToObject(item, "file", file->file) &&
	       cJSON_AddStringToObject(item, "sha256", file->sha256) &&
	       cJSON_AddStringToObject(item, "state", done_words[file->state]);
}

static bool done_store(const struct done *done)
{
	cJSON *root = cJSON_CreateObject();
	bool ok = cJSON_AddNumberToObject(root, "format", FORMAT) != NULL;
	cJSON *list = ok ? cJSON_AddArrayToObject(root, "files") : NULL;

	for (size_t i = 0; list && ok && i < done->count; i++)
		ok = done_write_item(list, &done->items[i]);
	char *text = list && ok ? cJSON_Print(root) : NULL;
	cJSON_Delete(root);
	errno = ENOMEM;
	ok = text && disk_replace(done->path, text);
	int error = errno;
	cJSON_free(text);
	errno = error;
	return ok;
}

bool done_set(struct done *done, const char *file, const char *sha256, enum done_state state)
{
	errno = ENOMEM;
	return done_put(done, file, sha256, state) && (!done->path || done_store(done));
}

void done_release(struct done *done)
{
	for (size_t i = 0; i < done->count; i++)
		free(done->items[i].file);
	free(done->items);
	free(done->path);
	*done = (struct done){0};
}
