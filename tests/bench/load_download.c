/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Clients that all get the same file, in blocks of --chunk bytes, --window of them under way for
 * each, and compare every byte of each with what it has to be.
 *
 *	(plugin)	each asks for its own blocks
 *	--relay		without the plugin, the same: each asks, and a service answers, by messages
 *	--plain		nobody asks: a publisher sends each block once, and all have subscribed. It waits
 *			for the slowest client, since the broker drops what is too much for one. No
 *			client can begin later, miss a block, or go on
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load_link.h"

#define SECOND_NS UINT64_C(1000000000)
#define LOOK_NS (SECOND_NS / 10)
#define PATH "app.bin"
#define TOPIC_ROOM 256

struct download {
	const struct load_options *options;
	const struct load_data *data;
	struct getter *getters;
	struct link publisher;		/* --plain; --relay: the service */
	uint64_t blocks, done, published;
	bool offered;
	uint8_t *seen;			/* a byte for each block of each client */
};

struct getter {
	struct download *all;
	struct link link;
	char id[64];
	uint64_t number, asked, got;
};

static void acked(void *context, int mid, int reason)
{
	(void)context;
	(void)mid;
	if (reason != 0)
		load_die("a message is refused: 0x%02x", (unsigned int)reason);
}

static void ask(struct getter *getter)
{
	const struct download *all = getter->all;
	char topic[TOPIC_ROOM];
	unsigned long long offset = getter->asked++ * all->options->chunk;

	if (all->options->relay)
		snprintf(topic, sizeof topic, "get/%llu/%llu", (unsigned long long)getter->number, offset);
	else
		snprintf(topic, sizeof topic, "$file-get/%llu/%llu/" PATH, offset,
			 (unsigned long long)all->options->chunk);
	link_publish_once(&getter->link, topic, NULL, 0);
}

static void take_block(struct getter *getter, uint64_t offset, const struct mosquitto_message *message)
{
	struct download *all = getter->all;
	uint64_t index = offset / all->options->chunk, left = all->options->size - offset;
	uint64_t len = left < all->options->chunk ? left : all->options->chunk;
	uint8_t *seen = &all->seen[getter->number * all->blocks + index];

	if (offset % all->options->chunk != 0 || index >= all->blocks || *seen)
		load_die("a block that was not asked for: %llu", (unsigned long long)offset);
	if ((uint64_t)message->payloadlen != len
	    || memcmp(message->payload, all->data->bytes + offset, len) != 0)
		load_die("a block has other bytes: %llu", (unsigned long long)offset);
	*seen = 1;
	if (++getter->got == all->blocks)
		all->done++;
	else if (!all->options->plain && getter->asked < all->blocks)
		ask(getter);
}

/* --relay: a client asks the service. */
static void asked(void *context, const struct mosquitto_message *message)
{
	struct download *all = context;
	const struct load_options *options = all->options;
	unsigned long long number, offset;
	char topic[TOPIC_ROOM];
	uint64_t left;

	if (sscanf(message->topic, "get/%llu/%llu", &number, &offset) != 2 || offset >= options->size)
		load_die("an unknown topic: %s", message->topic);
	left = options->size - offset;
	snprintf(topic, sizeof topic, "data/%llu/%llu", number, offset);
	link_publish_once(&all->publisher, topic, all->data->bytes + offset,
			  left < options->chunk ? left : options->chunk);
}

static const struct link_events service_events = { .acked = acked, .arrived = asked };

/* False: no topic of a block. */
static bool parse_offset(const struct load_options *options, const char *topic, unsigned long long *offset)
{
	if (options->plain)
		return sscanf(topic, "data/%llu", offset) == 1;
	if (options->relay)
		return sscanf(topic, "data/%*[^/]/%llu", offset) == 1;
	return sscanf(topic, "$file-data/%*[^/]/%llu/", offset) == 1;
}

static void arrived(void *context, const struct mosquitto_message *message)
{
	struct getter *getter = context;
	unsigned long long offset;

	if (strncmp(message->topic, "$file-response/", 15) == 0) {
		/* Until it has a checksum there is none, or it is busy. */
		if (getter->all->offered)
			load_die("refused: %.*s", message->payloadlen, (const char *)message->payload);
		getter->all->offered = memmem(message->payload, (size_t)message->payloadlen,
					      "\"max_block\"", 11) != NULL;
		return;
	}
	if (!parse_offset(getter->all->options, message->topic, &offset))
		load_die("an unknown topic: %s", message->topic);
	take_block(getter, offset, message);
}

static const struct link_events events = { .acked = acked, .arrived = arrived };

/* As far as the slowest client lets it. */
static void publish(struct download *all)
{
	const struct load_options *options = all->options;
	uint64_t slowest = all->blocks;

	for (uint64_t i = 0; i < options->clients; i++)
		if (all->getters[i].got < slowest)
			slowest = all->getters[i].got;
	for (; all->published < all->blocks && all->published < slowest + options->window; all->published++) {
		uint64_t offset = all->published * options->chunk, left = options->size - offset;
		char topic[TOPIC_ROOM];

		snprintf(topic, sizeof topic, "data/%llu", (unsigned long long)offset);
		link_publish_once(&all->publisher, topic, all->data->bytes + offset,
				  left < options->chunk ? left : options->chunk);
	}
}

static void await_offer(struct download *all, struct link *const *links, size_t count)
{
	uint64_t deadline_ns = load_now_ns() + all->options->timeout * SECOND_NS, look_ns = 0;

	while (!all->offered) {
		uint64_t now_ns = load_now_ns();

		if (now_ns > deadline_ns)
			load_die("the file is not offered");
		if (now_ns >= look_ns) {
			link_publish_once(&all->getters[0].link, "$file-get/info/" PATH, NULL, 0);
			look_ns = now_ns + LOOK_NS;
		}
		link_loop(links, count, 10);
	}
}

static void run(struct download *all, struct link *const *links, size_t count)
{
	const struct load_options *options = all->options;
	uint64_t deadline_ns = load_now_ns() + options->timeout * SECOND_NS;

	for (uint64_t n = 0; !options->plain && n < options->window && n < all->blocks; n++)
		for (uint64_t i = 0; i < options->clients; i++)
			ask(&all->getters[i]);
	while (all->done < options->clients) {
		if (options->plain)
			publish(all);
		link_loop(links, count, 100);
		if (load_now_ns() > deadline_ns)
			load_die("not within %llu s: %llu clients of %llu have all",
				 (unsigned long long)options->timeout, (unsigned long long)all->done,
				 (unsigned long long)options->clients);
	}
}

static size_t open_all(struct download *all, struct link **links)
{
	const struct load_options *options = all->options;
	char topic[TOPIC_ROOM];
	size_t count = 0;

	for (uint64_t i = 0; i < options->clients; i++) {
		struct getter *getter = &all->getters[i];

		*getter = (struct getter){ .all = all, .number = i };
		snprintf(getter->id, sizeof getter->id, "%s-%llu", options->id, (unsigned long long)i);
		link_open(&getter->link, options, getter->id, &events, getter);
		links[count++] = &getter->link;
		link_settle(links, count, options);
		snprintf(topic, sizeof topic, options->relay ? "data/%llu/+" : "data/+", (unsigned long long)i);
		if (options->plain || options->relay)
			link_subscribe(&getter->link, topic);
	}
	if (options->plain || options->relay) {
		link_open(&all->publisher, options, "publisher", &service_events, all);
		links[count++] = &all->publisher;
	}
	link_settle(links, count, options);
	if (options->relay)
		link_subscribe(&all->publisher, "get/+/+");
	link_settle(links, count, options);
	return count;
}

int load_download(const struct load_options *options)
{
	struct load_data data;
	struct load_clock clock;
	struct download all = { .options = options, .data = &data };
	struct link **links = load_alloc(options->clients + 1, sizeof links[0]);
	size_t count;

	load_data_make(&data, options);
	all.blocks = data.segments;
	all.getters = load_alloc(options->clients, sizeof all.getters[0]);
	all.seen = load_alloc(options->clients, all.blocks);
	count = open_all(&all, links);
	if (!options->plain && !options->relay)
		await_offer(&all, links, count);
	load_ready(options);
	load_clock_start(&clock);
	run(&all, links, count);
	load_clock_stop(&clock);
	putchar('{');
	load_print_upload(options, &clock);
	puts("}");
	fflush(stdout);
	for (size_t i = 0; i < count; i++)
		link_close(links[i]);
	load_data_release(&data);
	free(all.seen);
	free(all.getters);
	free(links);
	return EXIT_SUCCESS;
}

/* Writes the bytes that are offered. */
int load_file(const struct load_options *options)
{
	struct load_data data;
	FILE *file = options->dir ? fopen(options->dir, "wb") : NULL;

	if (!file)
		load_die("file: --dir is the path of the file: %s", strerror(errno));
	load_data_make(&data, options);
	if (fwrite(data.bytes, 1, options->size, file) != options->size || fclose(file) != 0)
		load_die("%s: %s", options->dir, strerror(errno));
	load_data_release(&data);
	return EXIT_SUCCESS;
}
