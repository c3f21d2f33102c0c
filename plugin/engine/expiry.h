/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A finisher's part of letting finished files go; retention.c has the broker's thread's.
 *
 * First the file goes, then its manifest, then its row in the catalog: after a crash at any
 * moment the row is there as long as anything of the file may be, and the next look goes on. Of
 * a file that a consumer has taken away, only the row is left to go.
 */
#ifndef FT_ENGINE_EXPIRY_H
#define FT_ENGINE_EXPIRY_H

#include "engine/core.h"

/* Finds files that have expired, if the clock may be believed. Gives the job to the broker's thread. */
void ft_expiry_find(struct ft_core *core, struct ft_catalog *catalog, struct ft_files *job);

/* Removes files; those that could not be are taken out of the list. Gives back as above. */
void ft_expiry_remove(struct ft_core *core, struct ft_catalog *catalog, struct ft_files *job);

#endif
