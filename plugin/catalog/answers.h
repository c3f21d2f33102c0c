/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Who is to be told how a fin ended. Private to plugin/catalog/. */
#ifndef FT_CATALOG_ANSWERS_H
#define FT_CATALOG_ANSWERS_H

#include "catalog/connection.h"

/* Notes who is to be told; it replaces who was to be told of an earlier fin. */
enum ft_status ft_answer_put(struct ft_catalog *c, uint64_t number,
			     const struct ft_request *ticket) FT_MUST_USE;

/* How the fin ended, where somebody waits for that. */
enum ft_status ft_answer_put_result(struct ft_catalog *c, uint64_t number,
				    enum ft_status result) FT_MUST_USE;

#endif
