/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Plain sockets for the servers that do not speak MQTT: one thread per client, each with
 * a blocking connection, all let loose at once.
 */
#ifndef FT_BENCH_LOAD_NET_H
#define FT_BENCH_LOAD_NET_H

#include "load.h"

#define NET_LINE 4096

struct net {
	int fd;
	size_t start, end;
	char room[16384];
};

struct net_client {
	struct net net;
	const struct load_options *options;
	const struct load_data *data;
	unsigned int number;
};

/* Connects and logs in; then sends one file. */
struct net_protocol {
	void (*open)(struct net_client *client);
	void (*file)(struct net_client *client, uint64_t file);
};

/* Runs all clients with all their files and prints the result. */
int net_run(const struct load_options *options, const struct net_protocol *protocol);

void net_connect(struct net *net, uint64_t port);
void net_close(struct net *net);
/* `head` may be NULL where its length is 0. */
void net_write(struct net *net, const char *head, size_t head_len, const void *body, size_t len);
/* One line without its CR LF. */
void net_line(struct net *net, char line[NET_LINE]);
void net_skip(struct net *net, size_t len);

/* The name that a client gives a file. */
void net_name(char *name, size_t room, const struct net_client *client, uint64_t file);

/* Makes the file durable that the server has written, where --dir says where that is. */
void net_sync(const struct net_client *client, uint64_t file);

#endif
