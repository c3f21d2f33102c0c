/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Takes files that lie in the store, with their manifests, into a catalog that does not know
 * them: at a start without a catalog, or where an operator has put them back (verify.h).
 */
#ifndef FT_ENGINE_ADOPT_H
#define FT_ENGINE_ADOPT_H

#include "engine/core.h"

/*
 * Whether a manifest is that of the file it lies beside. Clients named files once that look
 * like manifests, and what is in those they made up.
 */
bool ft_adopt_fits_place(const struct ft_finished *finished, const struct ft_store_found *found);

/* The number of the unfinished transfer whose file this is, or 0. */
enum ft_status ft_adopt_number(struct ft_catalog *catalog, const struct ft_finished *finished,
			       uint64_t *number) FT_MUST_USE;

/* Enters the file in a transaction of the caller's; with option done consumers are to be told. */
enum ft_status ft_adopt(const struct ft_core *core, struct ft_catalog *catalog,
			const struct ft_finished *finished,
			const struct ft_store_found *found) FT_MUST_USE;

#endif
