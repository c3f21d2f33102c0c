/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "load_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

void net_connect(struct net *net, uint64_t port)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	int on = 1;

	net->start = net->end = 0;
	net->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (net->fd < 0 || connect(net->fd, (struct sockaddr *)&to, sizeof to) != 0)
		load_die("connect to port %llu: %s", (unsigned long long)port, strerror(errno));
	setsockopt(net->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void net_close(struct net *net)
{
	close(net->fd);
	net->fd = -1;
}

void net_write(struct net *net, const char *head, size_t head_len, const void *body, size_t len)
{
	/* writev takes no const. */
	struct iovec parts[2] = {
		{ .iov_base = (void *)(uintptr_t)head, .iov_len = head_len },
		{ .iov_base = (void *)(uintptr_t)body, .iov_len = len },
	};

	while (parts[0].iov_len + parts[1].iov_len > 0) {
		ssize_t n = writev(net->fd, parts, 2);

		if (n < 0)
			load_die("write: %s", strerror(errno));
		for (int i = 0; i < 2; i++) {
			size_t taken = (size_t)n < parts[i].iov_len ? (size_t)n : parts[i].iov_len;

			parts[i].iov_base = (char *)parts[i].iov_base + taken;
			parts[i].iov_len -= taken;
			n -= (ssize_t)taken;
		}
	}
}

static void fill(struct net *net)
{
	ssize_t n;

	if (net->start == net->end)
		net->start = net->end = 0;
	n = read(net->fd, net->room + net->end, sizeof net->room - net->end);
	if (n <= 0)
		load_die("read: %s", n < 0 ? strerror(errno) : "the server has hung up");
	net->end += (size_t)n;
}

void net_line(struct net *net, char line[NET_LINE])
{
	size_t len = 0;

	for (;;) {
		char c;

		if (net->start == net->end)
			fill(net);
		c = net->room[net->start++];
		if (c == '\n')
			break;
		if (len + 1 >= NET_LINE)
			load_die("a line is too long");
		if (c != '\r')
			line[len++] = c;
	}
	line[len] = '\0';
}

void net_skip(struct net *net, size_t len)
{
	while (len > 0) {
		size_t there = net->end - net->start;
		size_t n = there < len ? there : len;

		net->start += n;
		len -= n;
		if (len > 0)
			fill(net);
	}
}

void net_name(char *name, size_t room, const struct net_client *client, uint64_t file)
{
	snprintf(name, room, "%u-%llu.bin", client->number, (unsigned long long)file);
}

void net_sync(const struct net_client *client, uint64_t file)
{
	char name[64], path[4096];
	int fd;

	if (!client->options->dir)
		return;
	net_name(name, sizeof name, client, file);
	snprintf(path, sizeof path, "%s/%s", client->options->dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fdatasync(fd) != 0)
		load_die("%s: %s", path, strerror(errno));
	close(fd);
}

/* --- all clients --- */

struct thread {
	struct net_client client;
	const struct net_protocol *protocol;
	pthread_barrier_t *go;
	pthread_t id;
};

static void *run_thread(void *argument)
{
	struct thread *thread = argument;

	pthread_barrier_wait(thread->go);
	for (uint64_t i = 0; i < thread->client.options->files; i++)
		thread->protocol->file(&thread->client, i);
	return NULL;
}

static void start(struct thread *thread, unsigned int number, const struct load_options *options,
		  const struct load_data *data, const struct net_protocol *protocol)
{
	struct timeval patience = { .tv_sec = (time_t)options->timeout };

	thread->client.options = options;
	thread->client.data = data;
	thread->client.number = number;
	thread->protocol = protocol;
	protocol->open(&thread->client);
	setsockopt(thread->client.net.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(thread->client.net.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (pthread_create(&thread->id, NULL, run_thread, thread) != 0)
		load_die("cannot start a thread");
}

int net_run(const struct load_options *options, const struct net_protocol *protocol)
{
	struct thread *threads = load_alloc(options->clients, sizeof threads[0]);
	pthread_barrier_t go;
	struct load_clock clock;
	struct load_data data;

	load_data_make(&data, options);
	pthread_barrier_init(&go, NULL, (unsigned int)options->clients + 1);
	for (uint64_t i = 0; i < options->clients; i++) {
		threads[i].go = &go;
		start(&threads[i], (unsigned int)i, options, &data, protocol);
	}
	load_ready(options);
	load_clock_start(&clock);
	pthread_barrier_wait(&go);
	for (uint64_t i = 0; i < options->clients; i++)
		pthread_join(threads[i].id, NULL);
	load_clock_stop(&clock);
	putchar('{');
	load_print_upload(options, &clock);
	puts("}");
	fflush(stdout);
	for (uint64_t i = 0; i < options->clients; i++)
		net_close(&threads[i].client.net);
	pthread_barrier_destroy(&go);
	load_data_release(&data);
	free(threads);
	return EXIT_SUCCESS;
}
