/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifdef FT_POSTGRES
#include "base/library.h"
#include "catalog/postgres/postgres.h"

struct pg_functions pq;

static const struct ft_library_function pg_functions[] = {
#define X(name) { "PQ" #name, offsetof(struct pg_functions, name) },
	PG_FUNCTIONS(X)
#undef X
};

bool pg_load(struct ft_buf *why)
{
	static const char *const names[] = { "libpq.so.5", NULL };
	void *library = ft_library_load(names);
	const char *absent;

	if (!library) {
		ft_buf_str(why, "libpq.so.5 cannot be loaded: install libpq (Debian and Ubuntu: libpq5, "
			   "Alpine: libpq)");
		return false;
	}
	absent = ft_library_find(library, pg_functions, sizeof pg_functions / sizeof pg_functions[0], &pq);
	if (absent)
		ft_buf_printf(why, "libpq.so.5 has no %s: install that of PostgreSQL " PG_VERSION_WORDS
			      " or later", absent);
	return !absent;
}
#else
typedef int pg_libpq_is_not_built_in;	/* a file of ISO C has something in it */
#endif
