/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The backends there are. A new one is declared here and listed in store.c. */
#ifndef FT_STORE_BACKENDS_H
#define FT_STORE_BACKENDS_H

#include "file_transfer/store.h"

/* Files under storage_dir. */
extern const struct ft_store_ops ft_store_fs;

/* The process's memory: for tests and trials; everything is gone with the process. */
extern const struct ft_store_ops ft_store_memory;

#endif
