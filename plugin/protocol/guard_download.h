/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The guard's rules for option downloads, see guard.h: $file-get/ is written, never read; blocks,
 * offers and reports are the broker's to publish; a client reads its own blocks, and the offers
 * that it sees. Pure; any thread.
 */
#ifndef FT_PROTOCOL_GUARD_DOWNLOAD_H
#define FT_PROTOCOL_GUARD_DOWNLOAD_H

#include <stdbool.h>

#include "protocol/guard.h"

/* FT_GUARD_FOREIGN, too, where the topic is not about downloads. `user` may be NULL. */
enum ft_guard_verdict ft_guard_check_download(enum ft_guard_access access, const char *topic,
					      const char *client_id, const char *user);

/* Whether nobody but the broker may publish to this topic. */
bool ft_guard_is_from_broker(const char *topic);

/* The group in an offer's topic, up to the next '/' or the end; of FT_GUARD_MEMBERS. */
const char *ft_guard_group_of(const char *topic);

#endif
