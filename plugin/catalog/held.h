/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Which bytes of unfinished transfers are held. Private to plugin/catalog/. */
#ifndef FT_CATALOG_HELD_H
#define FT_CATALOG_HELD_H

#include "catalog/connection.h"

/* Reads both sets of a transfer, which are empty; on error they may have some ranges. */
enum ft_status ft_held_read(struct ft_catalog *c, struct ft_unfinished *to) FT_MUST_USE;

#endif
