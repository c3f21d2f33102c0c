/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What the other tables need of the unfinished transfers. Private to plugin/catalog/. */
#ifndef FT_CATALOG_TRANSFERS_H
#define FT_CATALOG_TRANSFERS_H

#include "catalog/connection.h"

/* Removes a transfer with its ranges; who waits for its fin is not told. */
enum ft_status ft_transfer_remove(struct ft_catalog *c, uint64_t number) FT_MUST_USE;

/* Copies a key that points into a row to where it stays until this or ft_catalog_find_transfer() is called. */
enum ft_status ft_transfer_keep_key(struct ft_catalog *c, struct ft_key *key) FT_MUST_USE;

#endif
