/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "saved.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/disk.h"
#include "../lib/members.h"

#define FORMAT 1
#define FILE_MAX ((size_t)64 * 1024 * 1024)

static void release_item(struct saved_item *item)
{
	free(item->path);
	free(item->file_id);
	free(item->name);
	*item = (struct saved_item){0};
}

void saved_release(struct saved *saved)
{
	for (size_t i = 0; i < saved->count; i++)
		release_item(&saved->items[i]);
	free(saved->items);
	free(saved->path);
	*saved = (struct saved){0};
}

static bool copy_item(struct saved_item *to, const struct saved_item *from)
{
	*to = *from;
	to->path = strdup(from->path);
	to->file_id = strdup(from->file_id);
	to->name = strdup(from->name);
	if (to->path && to->file_id && to->name)
		return true;
	release_item(to);
	return false;
}

static struct saved_item *find(const struct saved *saved, const char *path)
{
	for (size_t i = 0; i < saved->count; i++) {
		if (strcmp(saved->items[i].path, path) == 0)
			return &saved->items[i];
	}
	return NULL;
}

const struct saved_item *saved_find(const struct saved *saved, const char *path)
{
	return find(saved, path);
}

static bool make_room(struct saved *saved)
{
	if (saved->count < saved->room)
		return true;
	size_t room = saved->room ? saved->room * 2 : 16;
	struct saved_item *items = realloc(saved->items, room * sizeof(*items));
	if (!items)
		return false;
	saved->items = items;
	saved->room = room;
	return true;
}

bool saved_put(struct saved *saved, const struct saved_item *item)
{
	struct saved_item copy;
	struct saved_item *old = find(saved, item->path);

	if ((!old && !make_room(saved)) || !copy_item(&copy, item))
		return false;
	if (old)
		release_item(old);
	else
		old = &saved->items[saved->count++];
	*old = copy;
	saved->changed = true;
	return true;
}

void saved_remove(struct saved *saved, const char *path)
{
	struct saved_item *item = find(saved, path);

	if (!item)
		return;
	release_item(item);
	*item = saved->items[--saved->count];
	saved->changed = true;
}

void saved_delivered(struct saved *saved, int64_t now_ms)
{
	saved->delivered_ms = now_ms;
	saved->changed = true;
}

/* --- reading --- */

static uint64_t number_of(const cJSON *object, const char *key)
{
	uint64_t number = 0;

	return member_number(object, key, 9e15, &number) ? number : 0;
}

/* Cameras without a clock have times before 1970. */
static int64_t time_of(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	return cJSON_IsNumber(item) && item->valuedouble < 0 && item->valuedouble > -9e15
	       ? (int64_t)item->valuedouble : (int64_t)number_of(object, key);
}

static bool fits_topic(const char *id)
{
	size_t len = strlen(id);

	return len > 0 && len <= 255 && !strpbrk(id, "/+#") &&
	       mosquitto_validate_utf8(id, (int)len) == MOSQ_ERR_SUCCESS;
}

static bool read_item(struct saved *saved, const cJSON *object)
{
	const char *sha256 = member_text(object, "sha256");
	struct saved_item item = {
		.path = member_text(object, "path"),
		.file_id = member_text(object, "file_id"),
		.name = member_text(object, "name"),
		.size = number_of(object, "size"),
		.mtime_s = time_of(object, "mtime_s"),
		.mtime_ns = (int64_t)number_of(object, "mtime_ns"),
		.hashed = number_of(object, "hashed"),
	};

	/* What is not as we wrote it is left out. */
	if (!item.path || !item.file_id || !item.name || !sha256 || strlen(sha256) != 64 ||
	    !fits_topic(item.file_id))
		return true;
	snprintf(item.sha256, sizeof(item.sha256), "%s", sha256);
	return saved_put(saved, &item);
}

bool saved_load(struct saved *saved, const char *path)
{
	size_t len = 0;
	bool ok = true;

	*saved = (struct saved){0};
	if (!path)
		return true;
	saved->path = strdup(path);
	if (!saved->path)
		return false;
	char *text = disk_read(path, FILE_MAX, &len);
	cJSON *root = text ? cJSON_ParseWithLength(text, len) : NULL;
	const cJSON *item;
	saved->delivered_ms = time_of(root, "delivered_ms");
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(root, "files"))
		ok = ok && read_item(saved, item);
	cJSON_Delete(root);
	free(text);
	saved->changed = false;
	return ok;
}

/* --- writing --- */

static bool add_item(cJSON *list, const struct saved_item *item)
{
	cJSON *object = cJSON_CreateObject();

	if (!cJSON_AddItemToArray(list, object)) {
		cJSON_Delete(object);
		return false;
	}
	return cJSON_AddStringToObject(object, "path", item->path) &&
	       cJSON_AddStringToObject(object, "file_id", item->file_id) &&
	       cJSON_AddStringToObject(object, "name", item->name) &&
	       member_add(object, "size", item->size) &&
	       member_add_signed(object, "mtime_s", item->mtime_s) &&
	       member_add_signed(object, "mtime_ns", item->mtime_ns) &&
	       member_add(object, "hashed", item->hashed) &&
	       cJSON_AddStringToObject(object, "sha256", item->sha256);
}

static char *to_json(const struct saved *saved)
{
	cJSON *root = cJSON_CreateObject();
	bool ok = cJSON_AddNumberToObject(root, "format", FORMAT) != NULL;
	ok = ok && member_add_signed(root, "delivered_ms", saved->delivered_ms);
	cJSON *list = ok ? cJSON_AddArrayToObject(root, "files") : NULL;

	for (size_t i = 0; list && i < saved->count; i++)
		ok = ok && add_item(list, &saved->items[i]);
	char *text = list && ok ? cJSON_Print(root) : NULL;
	cJSON_Delete(root);
	if (!text)
		errno = ENOMEM;
	return text;
}

static bool write_items(struct saved *saved)
{
	char *text = to_json(saved);
	bool ok = text && disk_replace(saved->path, text);

	cJSON_free(text);
	return ok;
}

bool saved_store(struct saved *saved)
{
	if (!saved->path || !saved->changed)
		return true;
	bool ok = saved->count || saved->delivered_ms ? write_items(saved) : unlink(saved->path) == 0 || errno == ENOENT;
	if (ok)
		saved->changed = false;
	return ok;
}
