/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What one would write without the plugin: a subscriber to up/# that writes each
 * segment at its offset and says done/{client}/{file} when a file is whole. It verifies
 * nothing and forgets everything when it dies. Runs until SIGTERM.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load_link.h"

struct received {
	int fd;				/* 0: not begun */
	uint64_t bytes;
};

struct sink {
	const struct load_options *options;
	struct link link;
	struct received *files;
};

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static void acked(void *context, int mid, int reason)
{
	(void)context;
	(void)mid;
	if (reason != 0 && reason != 0x10)
		load_die("an answer is refused: 0x%02x", (unsigned int)reason);
}

static void open_file(struct sink *sink, struct received *file, unsigned int client,
		      unsigned long long number)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/%u-%llu.bin", sink->options->dir, client, number);
	file->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (file->fd < 0)
		load_die("%s: %s", path, strerror(errno));
}

static void write_all(int fd, const void *payload, size_t len, uint64_t offset)
{
	const char *bytes = payload;

	while (len > 0) {
		ssize_t n = pwrite(fd, bytes, len, (off_t)offset);

		if (n < 0)
			load_die("pwrite: %s", strerror(errno));
		bytes += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
}

static void arrived(void *context, const struct mosquitto_message *message)
{
	struct sink *sink = context;
	const struct load_options *options = sink->options;
	unsigned long long number, offset;
	unsigned int client;
	struct received *file;
	char topic[64];

	if (sscanf(message->topic, "up/%u/%llu/%llu", &client, &number, &offset) != 3
	    || client >= options->clients || number >= options->files)
		load_die("an unknown topic: %s", message->topic);
	file = &sink->files[client * options->files + number];
	if (file->fd == 0)
		open_file(sink, file, client, number);
	write_all(file->fd, message->payload, (size_t)message->payloadlen, offset);
	file->bytes += (uint64_t)message->payloadlen;
	if (file->bytes < options->size)
		return;
	close(file->fd);
	snprintf(topic, sizeof topic, "done/%u/%llu", client, number);
	link_publish(&sink->link, topic, NULL, 0);
}

static const struct link_events events = { .acked = acked, .arrived = arrived };

int load_sink(const struct load_options *options)
{
	struct sink sink = { .options = options };
	struct link *links[] = { &sink.link };

	if (!options->dir)
		load_die("sink needs --dir");
	signal(SIGTERM, stop);
	sink.files = load_alloc(options->clients * options->files, sizeof sink.files[0]);
	link_open(&sink.link, options, options->id, &events, &sink);
	link_settle(links, 1, options);
	link_subscribe(&sink.link, "up/#");
	link_settle(links, 1, options);
	load_ready(options);
	while (!stopped)
		link_loop(links, 1, 1000);
	puts("{}");
	link_close(&sink.link);
	free(sink.files);
	return EXIT_SUCCESS;
}
