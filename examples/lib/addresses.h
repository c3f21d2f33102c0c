/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The addresses of a host name, in the order in which they should be tried (RFC 6724):
 * "localhost" may be ::1 first while the broker listens on 127.0.0.1 only.
 *
 *	struct addresses found = {0};
 *	if (addresses_find(&found, "broker.example", why, sizeof(why)))
 *		found.items[0], ... found.items[found.count - 1]
 *
 * Blocks while the name is looked up. An address given as such needs no look-up.
 */
#ifndef EXAMPLES_ADDRESSES_H
#define EXAMPLES_ADDRESSES_H

#include <stdbool.h>
#include <stddef.h>

#define ADDRESSES_MAX 16
#define ADDRESS_ROOM 64			/* IPv6 with the name of an interface */

struct addresses {
	char items[ADDRESSES_MAX][ADDRESS_ROOM];
	size_t count;
};

/* False: `why` tells. */
bool addresses_find(struct addresses *found, const char *host, char *why, size_t room);

/* Whether `host` is an address, not a name. */
bool addresses_is_one(const char *host);

#endif
