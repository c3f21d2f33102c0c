/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "file_transfer/store.h"

#include "store/backends.h"

static const struct ft_store_ops *const backends[] = {
	&ft_store_fs,
	&ft_store_memory,
	NULL,
};

const struct ft_store_ops *const *ft_store_backends(void)
{
	return backends;
}

const struct ft_store_ops *ft_store_backend(const char *name)
{
	for (const struct ft_store_ops *const *backend = backends; *backend; backend++) {
		if (!strcmp((*backend)->name, name))
			return *backend;
	}
	return NULL;
}
