/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Finds the sockets this process listens on, to connect to them from within.
 *
 * The plugin API does not tell the broker's listeners; they are found among the
 * process's descriptors. Sockets of other plugins may be among them, and some may
 * speak TLS or WebSockets.
 *
 * Threads: any.
 */
#ifndef FT_MOSQUITTO_LISTENERS_H
#define FT_MOSQUITTO_LISTENERS_H

#include <stddef.h>
#include <sys/socket.h>

#define FT_LISTENERS_MAX 32

struct ft_listener {
	struct sockaddr_storage address;	/* where to connect; wildcards turned to loopback */
	socklen_t address_len;
};

#define FT_LISTENER_TEXT_ROOM 128

/* Writes up to `room` listeners in descriptor order; returns how many. */
size_t ft_listeners_find(struct ft_listener *found, size_t room);

/*
 * Begins to connect. Returns a non-blocking, close-on-exec descriptor that turns
 * writable when connected, or -1. The caller closes it.
 */
int ft_listener_connect(const struct ft_listener *listener);

/* "127.0.0.1:1883", "[::1]:1883" or a path: for log lines. */
void ft_listener_text(const struct ft_listener *listener, char text[FT_LISTENER_TEXT_ROOM]);

#endif
