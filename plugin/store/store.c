/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The list of backends, and what an operation does where a backend leaves it out. */
#include "file_transfer/store.h"

#include <string.h>

#include "store/backends.h"

static const struct ft_store_ops *const backends[] = {
	&ft_store_fs,
	&ft_store_memory,
	&ft_store_s3,
	NULL,
};

const struct ft_store_ops *const *ft_store_backends(void)
{
	return backends;
}

const struct ft_store_ops *ft_store_backend(const char *name)
{
	for (const struct ft_store_ops *const *backend = backends; *backend; backend++)
		if (strcmp((*backend)->name, name) == 0)
			return *backend;
	return NULL;
}

enum ft_status ft_store_sync(struct ft_upload *upload)
{
	const struct ft_store_ops *ops = upload->store->ops;

	return ops->sync ? ops->sync(upload) : FT_OK;
}

enum ft_status ft_store_sweep(struct ft_store *store, ft_store_is_known *is_known, void *context)
{
	return store->ops->sweep ? store->ops->sweep(store, is_known, context) : FT_OK;
}

void ft_store_upload_expect(struct ft_upload *upload, const char *name, const char *transfer_id)
{
	const struct ft_store_ops *ops = upload->store->ops;

	if (ops->upload_expect)
		ops->upload_expect(upload, name, transfer_id);
}

void ft_store_interrupt(struct ft_store *store)
{
	if (store->ops->interrupt)
		store->ops->interrupt(store);
}

enum ft_status ft_store_read_manifest(struct ft_store *store, const struct ft_key *key,
				      const char *name, char **text, size_t *len)
{
	*text = NULL;
	*len = 0;
	return store->ops->read_manifest ? store->ops->read_manifest(store, key, name, text, len)
					 : FT_NO_SUCH_TRANSFER;
}

enum ft_status ft_store_link_finished(struct ft_store *store, const struct ft_key *key,
				      const char *name, int dir, const char *to)
{
	return store->ops->link_finished ? store->ops->link_finished(store, key, name, dir, to)
					 : FT_NAME_REFUSED;
}

enum ft_status ft_store_space(struct ft_store *store, struct ft_space *space)
{
	*space = (struct ft_space){ .bytes = UINT64_MAX, .files = UINT64_MAX };
	return store->ops->space ? store->ops->space(store, space) : FT_OK;
}

enum ft_status ft_store_check_name(const struct ft_store *store, const char *name)
{
	return store->ops->check_name ? store->ops->check_name(store, name) : FT_OK;
}
