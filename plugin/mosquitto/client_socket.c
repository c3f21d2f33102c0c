/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "mosquitto/client_socket.h"

#include <arpa/inet.h>
#include <mosquitto_broker.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define SOCKET_WORDS 4		/* of struct mosquitto: `ident`, `sock`, ... */

/* Whether this is a socket, and connected to the address. NULL: to none, as of AF_UNIX. */
static bool socket_is_peer(int fd, const char *address)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un local;
	} peer = { .any = { .sa_family = AF_UNSPEC } };
	char text[INET6_ADDRSTRLEN] = "";
	socklen_t len = sizeof peer;

	if (fd <= 2 || getpeername(fd, &peer.any, &len) != 0)
		return false;
	if (peer.any.sa_family == AF_UNIX)
		return !address || !*address;
	if (peer.any.sa_family == AF_INET)
		(void)inet_ntop(AF_INET, &peer.v4.sin_addr, text, sizeof text);
	else if (peer.any.sa_family == AF_INET6)
		(void)inet_ntop(AF_INET6, &peer.v6.sin6_addr, text, sizeof text);
	return *text && address && strcmp(text, address) == 0;
}

int ft_client_socket(const struct mosquitto *client, int known)
{
	static size_t place;	/* of all connections; where it was found last */
	int words[SOCKET_WORDS];
	const char *address;

	memcpy(words, client, sizeof words);
	if (known >= 0 && words[place] == known)
		return known;
	address = mosquitto_client_address(client);
	for (size_t i = 0; i < SOCKET_WORDS; i++)
		if (socket_is_peer(words[i], address)) {
			place = i;
			return words[i];
		}
	return -1;
}
