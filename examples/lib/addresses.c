/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "addresses.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

bool addresses_is_one(const char *host)
{
	const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	bool is_one = getaddrinfo(host, NULL, &hints, &list) == 0;

	if (list)
		freeaddrinfo(list);
	return is_one;
}

bool addresses_find(struct addresses *found, const char *host, char *why, size_t room)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	int error = getaddrinfo(host, NULL, &hints, &list);

	found->count = 0;
	if (error) {
		snprintf(why, room, "cannot look up \"%s\": %s", host,
			 error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
		return false;
	}
	for (const struct addrinfo *next = list; next && found->count < ADDRESSES_MAX;
	     next = next->ai_next) {
		char *item = found->items[found->count];
		if (getnameinfo(next->ai_addr, next->ai_addrlen, item, ADDRESS_ROOM, NULL, 0,
				NI_NUMERICHOST) == 0)
			found->count++;
	}
	freeaddrinfo(list);
	if (!found->count)
		snprintf(why, room, "cannot look up \"%s\": it has no address", host);
	return found->count;
}
