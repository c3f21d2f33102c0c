/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifdef FT_POSTGRES
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include "catalog/postgres/postgres.h"

struct pg_functions pq;

static const struct {
	const char *name;
	size_t at;
} pg_functions[] = {
#define X(name) { "PQ" #name, offsetof(struct pg_functions, name) },
	PG_FUNCTIONS(X)
#undef X
};

bool pg_load(struct ft_buf *why)
{
	void *library = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

	if (!library) {
		ft_buf_str(why, "libpq.so.5 cannot be loaded: install libpq (Debian and Ubuntu: libpq5, "
			   "Alpine: libpq)");
		return false;
	}
	for (size_t i = 0; i < sizeof pg_functions / sizeof pg_functions[0]; i++) {
		void *found = dlsym(library, pg_functions[i].name);

		if (!found) {
			ft_buf_printf(why, "libpq.so.5 has no %s: install that of PostgreSQL "
				      PG_VERSION_WORDS " or later", pg_functions[i].name);
			return false;
		}
		/* Not assigned: ISO C knows no way from an object's pointer to a function's. */
		memcpy((char *)&pq + pg_functions[i].at, &found, sizeof found);
	}
	return true;
}
#else
typedef int pg_libpq_is_not_built_in;	/* a file of ISO C has something in it */
#endif
