/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Where catalogs of tests lie: in files, or, where the variable FT_CATALOG_URL names a PostgreSQL
 * database (tests/engines/postgresql), each in a schema of its own there.
 */
#ifndef FT_TESTS_CATALOG_URL_H
#define FT_TESTS_CATALOG_URL_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CATALOG_URL "FT_CATALOG_URL"	/* has a question mark already: ?host=... */
#define CATALOG_URL_ROOM 600

/* Another one at each call; "" without the variable. */
static inline void catalog_url_next(char url[CATALOG_URL_ROOM])
{
	static unsigned count;
	const char *base = getenv(CATALOG_URL);

	url[0] = '\0';
	if (base)
		snprintf(url, CATALOG_URL_ROOM, "%s&options=-csearch_path%%3Dtest_%d_%u", base,
			 (int)getpid(), ++count);
}

/* For tests of what only a file has. */
#define CATALOG_URL_SKIP() \
	do \
		if (getenv(CATALOG_URL)) \
			FT_SKIP("of SQLite alone"); \
	while (0)

#endif
