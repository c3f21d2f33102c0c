/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The outbox's other end: see events.c. Threads: whose the catalog's connection is. */
#ifndef FT_ENGINE_EVENTS_H
#define FT_ENGINE_EVENTS_H

#include "catalog/catalog.h"

/* Puts it into the outbox that this file is complete, in the transaction that says so. */
enum ft_status ft_events_put(struct ft_catalog *catalog, const struct ft_finished *finished,
			     const struct ft_json_text *user_data) FT_MUST_USE;

#endif
