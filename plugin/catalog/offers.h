/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Offered files: their digests, so that a start hashes nothing again, and whether a retained
 * message may announce them, so that none stays for ever. A connection, transactions and errors
 * are those of catalog.h.
 */
#ifndef FT_CATALOG_OFFERS_H
#define FT_CATALOG_OFFERS_H

#include "catalog/catalog.h"
#include "protocol/offer.h"

/* Adds one that is hashed, or replaces what was known of it. */
enum ft_status ft_catalog_put_offer(struct ft_catalog *c, const struct ft_offer *offer) FT_MUST_USE;

/* Forgets one. Unknown: FT_OK. */
enum ft_status ft_catalog_drop_offer(struct ft_catalog *c, const struct ft_offer *offer) FT_MUST_USE;

/* Visits all, in any order; borrowed for the visit. An error ends the walk with it. */
typedef enum ft_status ft_catalog_visit_offer(void *context, const struct ft_offer *offer);
enum ft_status ft_catalog_each_offer(struct ft_catalog *c, ft_catalog_visit_offer *visit,
				     void *context) FT_MUST_USE;

#endif
