/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The socket of a client's connection, for the question whether it can be written to.
 *
 * No function of the API tells it. Without it what is published to a client by name and dropped,
 * since the client does not read, is lost to the broker's memory for good (2.0 and 2.1: it stays in
 * the message store, with no reference). So it is looked for among the first members of the
 * broker's own structure, and is taken for it only if it is a socket that is connected to the
 * address that the broker tells for the client. Threads: the broker's.
 */
#ifndef FT_MOSQUITTO_CLIENT_SOCKET_H
#define FT_MOSQUITTO_CLIENT_SOCKET_H

struct mosquitto;

/*
 * -1: not found, as behind a proxy that tells another address. `known`: what was told last for this
 * client, or -1; while it is still so, telling it costs nothing. It stays the broker's.
 */
int ft_client_socket(const struct mosquitto *client, int known);

#endif
