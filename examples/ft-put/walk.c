/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "walk.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/names.h"

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_entry(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static bool walk_folder(const struct walk *walk, const char *path, const char *relative);

static bool walk_entry(const struct walk *walk, const char *path, const char *relative)
{
	struct stat info;
	struct walk_file file = { path, relative, &info };

	if (lstat(path, &info) != 0) {
		walk->bad(walk->context, path, errno);
		return true;
	}
	if (S_ISDIR(info.st_mode))
		return walk_folder(walk, path, relative);
	if (S_ISLNK(info.st_mode) && stat(path, &info) != 0) {
		walk->bad(walk->context, path, errno);
		return true;
	}
	return !S_ISREG(info.st_mode) || walk->file(walk->context, &file);
}

static bool walk_child(const struct walk *walk, const char *path, const char *relative,
		       const char *name)
{
	char *below = NULL, *below_relative = NULL;
	bool ok = asprintf(&below, "%s/%s", path, name) >= 0;

	if (!ok)
		return false;
	ok = asprintf(&below_relative, "%s%s%s", relative, *relative ? "/" : "", name) >= 0;
	if (ok) {
		ok = walk_entry(walk, below, below_relative);
		free(below_relative);
	}
	free(below);
	return ok;
}

static bool walk_folder(const struct walk *walk, const char *path, const char *relative)
{
	struct dirent **entries = NULL;
	int count = scandir(path, &entries, is_entry, by_name);
	bool ok = true;

	if (count < 0) {
		walk->bad(walk->context, path, errno);
		return true;
	}
	for (int i = 0; i < count; i++) {
		ok = ok && walk_child(walk, path, relative, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return ok;
}

/* The directory's own name; of "." and ".." none that means anything. */
static char *name_of_folder(const char *path)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	size_t begin = len;
	while (begin > 0 && path[begin - 1] != '/')
		begin--;
	char *name = strndup(path + begin, len - begin);
	if (name && (strcmp(name, ".") == 0 || strcmp(name, "..") == 0))
		*name = '\0';
	return name;
}

bool walk(const struct walk *walk, const char *path)
{
	struct stat info;
	struct walk_file file = { path, NULL, &info };

	if (stat(path, &info) != 0) {
		walk->bad(walk->context, path, errno);
		return true;
	}
	if (!S_ISDIR(info.st_mode))
		return walk->file(walk->context, &file);
	char *name = name_of_folder(path);
	bool ok = name && walk_folder(walk, path, name);
	free(name);
	return ok;
}

/* --- user data --- */

/* The text of the user stays as it is: a long number would not survive being parsed and
 * printed. `path` is quoted. */
static char *add_path(const char *user_data, const cJSON *given, const char *path)
{
	char *text = NULL;
	int len;

	if (!given)
		len = asprintf(&text, "{\"path\":%s}", path);
	else if (!cJSON_IsObject(given))
		len = asprintf(&text, "{\"data\":%s,\"path\":%s}", user_data, path);
	else
		len = asprintf(&text, "{\"path\":%s%s%s", path, given->child ? "," : "",
			       strchr(user_data, '{') + 1);
	return len < 0 ? NULL : text;
}

/* The user has a `path` of his own, which gives way. */
static char *replace_path(cJSON *given, const char *path)
{
	cJSON_DeleteItemFromObjectCaseSensitive(given, "path");
	return cJSON_AddRawToObject(given, "path", path) ? cJSON_PrintUnformatted(given) : NULL;
}

static char *quoted(const char *relative)
{
	char *path = name_text(relative);
	cJSON *string = path ? cJSON_CreateString(path) : NULL;
	char *text = string ? cJSON_PrintUnformatted(string) : NULL;

	cJSON_Delete(string);
	free(path);
	return text;
}

char *walk_user_data(const char *user_data, const char *relative)
{
	if (!relative)
		return user_data ? strdup(user_data) : NULL;
	char *path = quoted(relative);
	cJSON *given = user_data ? cJSON_Parse(user_data) : NULL;
	char *text = !path ? NULL
		     : cJSON_GetObjectItemCaseSensitive(given, "path") ? replace_path(given, path)
		     : add_path(user_data, given, path);
	cJSON_Delete(given);
	cJSON_free(path);
	return text;
}
