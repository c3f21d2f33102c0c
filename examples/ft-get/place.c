/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "place.h"

#include <errno.h>
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEVELS_MAX 16
#define LEVEL_MAX 240

static bool place_is_level(const char *level, size_t len)
{
	return len > 0 && len <= LEVEL_MAX && level[0] != '.';
}

bool place_is_path(const char *path)
{
	size_t len = strlen(path), levels = 0;

	/* mosquitto_validate_utf8() refuses control characters, too. */
	if (len > PLACE_PATH_MAX || strpbrk(path, "+#\\") ||
	    mosquitto_validate_utf8(path, (int)len) != MOSQ_ERR_SUCCESS)
		return false;
	for (const char *level = path; ; level++) {
		size_t level_len = strcspn(level, "/");
		if (!place_is_level(level, level_len) || ++levels > LEVELS_MAX)
			return false;
		level += level_len;
		if (!*level)
			return true;
	}
}

static bool place_is_folder(const char *path)
{
	struct stat info;
	size_t len = strlen(path);

	return (len > 0 && path[len - 1] == '/') || (stat(path, &info) == 0 && S_ISDIR(info.st_mode));
}

void places_init(struct places *places, const char *output, bool several)
{
	*places = (struct places){0};
	if (!output)
		places->folder = ".";
	else if (several || place_is_folder(output))
		places->folder = output;
	else
		places->file = output;
}

char *place_file(const struct places *places, const char *path, const char *folder)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char *file = NULL;

	if (places->file)
		return strdup(places->file);
	if (folder)
		name = path + strlen(folder);
	size_t len = strlen(places->folder);
	bool ends = len > 0 && places->folder[len - 1] == '/';
	if (strcmp(places->folder, ".") == 0)
		return strdup(name);
	return asprintf(&file, "%s%s%s", places->folder, ends ? "" : "/", name) < 0 ? NULL : file;
}

char *place_absolute(const char *file)
{
	char *folder = *file == '/' ? NULL : getcwd(NULL, 0), *absolute = NULL;

	if (*file == '/')
		return strdup(file);
	if (folder && asprintf(&absolute, "%s/%s", folder, file) < 0)
		absolute = NULL;
	free(folder);
	return absolute;
}

bool place_make_folders(const struct places *places, const char *file)
{
	char *path = places->folder ? strdup(file) : NULL;
	bool ok = path || !places->folder;

	for (char *slash = path ? strchr(path + 1, '/') : NULL; ok && slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		ok = mkdir(path, 0777) == 0 || errno == EEXIST;
		*slash = '/';
	}
	int error = errno;
	free(path);
	errno = error;
	return ok;
}
