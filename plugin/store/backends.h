/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The stores that are built in; for plugin/store/store.c. */
#ifndef FT_STORE_BACKENDS_H
#define FT_STORE_BACKENDS_H

#include "file_transfer/store.h"

extern const struct ft_store_ops ft_store_fs;
extern const struct ft_store_ops ft_store_memory;
extern const struct ft_store_ops ft_store_s3;	/* last: it needs a server, see docs/s3.md */

#endif
