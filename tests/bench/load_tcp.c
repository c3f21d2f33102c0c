/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The least that an upload can be: bytes from a socket into a file, and their SHA-256 on
 * a second thread that reads behind the writer. No protocol, no journal, nothing verified:
 * what no server on this machine is faster than.
 *
 *	client: "name size\n", the bytes	server: "ok\n" when all is written and hashed
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load_net.h"

#define BLOCK ((size_t)256 * 1024)

/* --- client --- */

static void open_tcp(struct net_client *client)
{
	net_connect(&client->net, client->options->port);
}

static void send_file(struct net_client *client, uint64_t file)
{
	char name[64], line[NET_LINE];
	int len;

	net_name(name, sizeof name, client, file);
	len = snprintf(line, sizeof line, "%s %llu\n", name,
		       (unsigned long long)client->options->size);
	net_write(&client->net, line, (size_t)len, client->data->bytes, client->options->size);
	net_line(&client->net, line);
	if (strcmp(line, "ok") != 0)
		load_die("the server says %s", line);
	net_sync(client, file);
}

int load_tcp(const struct load_options *options)
{
	static const struct net_protocol tcp = { .open = open_tcp, .file = send_file };

	return net_run(options, &tcp);
}

/* --- server --- */

struct hash {
	pthread_t id;
	int fd;
	uint64_t size;
	_Atomic uint64_t written;
	pthread_mutex_t lock;
	pthread_cond_t more;
	unsigned char digest[EVP_MAX_MD_SIZE];
};

/* Waits until there are bytes behind `position`. */
static uint64_t wait_written(struct hash *hash, uint64_t position)
{
	uint64_t end = atomic_load(&hash->written);

	if (end > position)
		return end;
	pthread_mutex_lock(&hash->lock);
	while ((end = atomic_load(&hash->written)) == position)
		pthread_cond_wait(&hash->more, &hash->lock);
	pthread_mutex_unlock(&hash->lock);
	return end;
}

static void *run_hash(void *argument)
{
	struct hash *hash = argument;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	char *block = load_alloc(1, BLOCK);
	uint64_t position = 0;

	EVP_DigestInit_ex(context, EVP_sha256(), NULL);
	while (position < hash->size) {
		uint64_t left = wait_written(hash, position) - position;
		ssize_t n = pread(hash->fd, block, left < BLOCK ? (size_t)left : BLOCK,
				  (off_t)position);

		if (n <= 0)
			load_die("pread: %s", strerror(errno));
		EVP_DigestUpdate(context, block, (size_t)n);
		position += (uint64_t)n;
	}
	EVP_DigestFinal_ex(context, hash->digest, NULL);
	EVP_MD_CTX_free(context);
	free(block);
	return NULL;
}

static void tell_written(struct hash *hash, uint64_t position)
{
	pthread_mutex_lock(&hash->lock);
	atomic_store(&hash->written, position);
	pthread_cond_signal(&hash->more);
	pthread_mutex_unlock(&hash->lock);
}

/* As much as there is, up to a block; what the line's reader has read too far comes first. */
static size_t receive(struct net *net, char *block, size_t want)
{
	size_t have = net->end - net->start;
	ssize_t n;

	if (have > 0) {
		have = have < want ? have : want;
		memcpy(block, net->room + net->start, have);
		net->start += have;
		return have;
	}
	n = recv(net->fd, block, want, MSG_WAITALL);
	if (n <= 0)
		load_die("recv: %s", n < 0 ? strerror(errno) : "the client has hung up");
	return (size_t)n;
}

static void take_bytes(struct net *net, int fd, uint64_t size, struct hash *hash)
{
	char *block = load_alloc(1, BLOCK);

	for (uint64_t at = 0; at < size;) {
		uint64_t left = size - at;
		size_t len = receive(net, block, left < BLOCK ? (size_t)left : BLOCK);

		if (pwrite(fd, block, len, (off_t)at) != (ssize_t)len)
			load_die("pwrite: %s", strerror(errno));
		at += len;
		if (hash)
			tell_written(hash, at);
	}
	free(block);
}

static void take_file(struct net *net, const struct load_options *options, const char *line)
{
	struct hash hash = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };
	unsigned long long size;
	char name[64], path[4096];

	if (sscanf(line, "%63s %llu", name, &size) != 2)
		load_die("not a file: %s", line);
	snprintf(path, sizeof path, "%s/%s", options->dir, name);
	hash.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	hash.size = size;
	if (hash.fd < 0)
		load_die("%s: %s", path, strerror(errno));
	if (options->file_sum && pthread_create(&hash.id, NULL, run_hash, &hash) != 0)
		load_die("cannot start a thread");
	take_bytes(net, hash.fd, size, options->file_sum ? &hash : NULL);
	if (options->file_sum)
		pthread_join(hash.id, NULL);
	close(hash.fd);
	net_write(net, "ok\n", 3, NULL, 0);
}

static int listen_on(uint64_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 16) != 0)
		load_die("port %llu: %s", (unsigned long long)port, strerror(errno));
	return fd;
}

/* One connection after the other, until SIGTERM. */
int load_tcp_sink(const struct load_options *options)
{
	int listener = listen_on(options->port);

	if (!options->dir)
		load_die("tcp-sink needs --dir");
	for (;;) {
		struct net net = { .fd = accept(listener, NULL, NULL) };
		char line[NET_LINE], byte;

		if (net.fd < 0)
			load_die("accept: %s", strerror(errno));
		while (recv(net.fd, &byte, 1, MSG_PEEK) == 1) {
			net_line(&net, line);
			take_file(&net, options, line);
		}
		close(net.fd);
	}
}
