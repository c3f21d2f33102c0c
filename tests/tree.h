/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A directory for one test, and its end with all that came into it. Where tests/fault
 * makes calls fail, nothing of it is called while they do.
 */
#ifndef FT_TESTS_TREE_H
#define FT_TESTS_TREE_H

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Makes TMPDIR/<name>-XXXXXX and puts its path into `dir`. */
static inline bool tree_make(char *dir, size_t room, const char *name)
{
	const char *where = getenv("TMPDIR");
	int len = snprintf(dir, room, "%s/%s-XXXXXX", where ? where : "/tmp", name);

	return len > 0 && (size_t)len < room && mkdtemp(dir) != NULL;
}

/* How many entries a directory has; 0 where there is none. */
static inline size_t tree_entries(const char *path)
{
	size_t count = 0;
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir && errno == ENOENT)
		return 0;
	if (!dir)
		abort();
	while ((entry = readdir(dir)) != NULL)
		count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(dir);
	return count;
}

static inline int tree_remove_one(const char *path, const struct stat *info, int type,
				  struct FTW *at)
{
	(void)info;
	(void)type;
	(void)at;
	return remove(path);
}

/* Nothing is there at the end; it may be that nothing was. */
static inline void tree_remove(const char *dir)
{
	nftw(dir, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
