/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A directory for one test, and its end with all that came into it. It calls nothing
 * that tests/fault makes fail.
 */
#ifndef FT_TESTS_TREE_H
#define FT_TESTS_TREE_H

#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Makes TMPDIR/<name>-XXXXXX and puts its path into `dir`. */
static inline bool tree_make(char *dir, size_t room, const char *name)
{
	const char *where = getenv("TMPDIR");
	int len = snprintf(dir, room, "%s/%s-XXXXXX", where ? where : "/tmp", name);

	return len > 0 && (size_t)len < room && mkdtemp(dir) != NULL;
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
