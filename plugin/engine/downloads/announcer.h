/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Tells consumers of finished files: option `done`.
 *
 * That a consumer is to be told is a row of the catalog, written in the transaction in which a
 * file becomes finished. A job of the quick lane, whose thread is the only one to do so, brings
 * the rows to the store and then drops them. So a notice never comes before its file, comes at
 * least once whatever happens, and has nothing to do with whether a fin succeeds.
 */
#ifndef FT_ENGINE_ANNOUNCER_H
#define FT_ENGINE_ANNOUNCER_H

#include "engine/core.h"

/* Has it done by the quick lane, if the option is on. Any thread. */
void ft_announce_soon(struct ft_core *core);

/* Whether the store can do what the option asks for; at the start. Logs. */
enum ft_status ft_announce_check(struct ft_core *core) FT_MUST_USE;

/* Tells of the oldest that are noted; what cannot be told stays noted. The quick lane's thread. */
void ft_announce(struct ft_core *core, struct ft_catalog *catalog);

#endif
