/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "base/library.h"

#include <dlfcn.h>
#include <string.h>

void *ft_library_load(const char *const *names)
{
	void *library = NULL;

	for (; *names && !library; names++)
		library = dlopen(*names, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	return library;
}

const char *ft_library_find(void *library, const struct ft_library_function *functions,
			    size_t count, void *table)
{
	for (size_t i = 0; i < count; i++) {
		void *found = dlsym(library, functions[i].name);

		if (!found)
			return functions[i].name;
		/* Not assigned: ISO C knows no way from an object's pointer to a function's. */
		memcpy((char *)table + functions[i].at, &found, sizeof found);
	}
	return NULL;
}
