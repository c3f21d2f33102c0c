/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A library that is loaded when it is needed, so that whoever does not need it does not have to
 * have it: dlopen(3), dlsym(3). It is never unloaded. Threads: calls for one table do not overlap.
 */
#ifndef FT_BASE_LIBRARY_H
#define FT_BASE_LIBRARY_H

#include <stddef.h>

/* A function, and where in the caller's table its pointer goes. */
struct ft_library_function {
	const char *name;
	size_t at;		/* offsetof(): bytes */
};

/* The first of `names`, which NULL ends, that there is. NULL: none is. */
void *ft_library_load(const char *const *names);

/* Fills in the table. Returns the name of a function that the library has not, or NULL. */
const char *ft_library_find(void *library, const struct ft_library_function *functions,
			    size_t count, void *table);

#endif
