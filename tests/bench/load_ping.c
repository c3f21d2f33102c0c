/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * One client that publishes a small message to itself, QoS 1 there and back, waits for
 * it, pauses, and so on until SIGTERM: what other clients feel while an upload runs.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "load_link.h"

#define SECOND_NS UINT64_C(1000000000)
#define MAX_SAMPLES 1000000
#define WARM_UP 20

struct ping {
	struct link link;
	bool back;
	uint64_t *took_ns;
	size_t count;
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
	if (reason != 0)
		load_die("the ping is refused: 0x%02x", (unsigned int)reason);
}

static void arrived(void *context, const struct mosquitto_message *message)
{
	struct ping *ping = context;

	(void)message;
	ping->back = true;
}

static const struct link_events events = { .acked = acked, .arrived = arrived };

static uint64_t round_trip(struct ping *ping, const struct load_options *options, const char *topic)
{
	struct link *links[] = { &ping->link };
	uint64_t start_ns = load_now_ns();

	ping->back = false;
	link_publish(&ping->link, topic, "ping", 4);
	while (!ping->back) {
		link_loop(links, 1, 1000);
		if (load_now_ns() - start_ns > options->timeout * SECOND_NS)
			load_die("a ping did not come back");
	}
	return load_now_ns() - start_ns;
}

static void rest(uint64_t pause_us)
{
	struct timespec pause = {
		.tv_sec = (time_t)(pause_us / 1000000),
		.tv_nsec = (long)(pause_us % 1000000) * 1000,
	};

	nanosleep(&pause, NULL);
}

int load_ping(const struct load_options *options)
{
	struct ping ping = { .took_ns = load_alloc(MAX_SAMPLES, sizeof(uint64_t)) };
	struct link *links[] = { &ping.link };
	char topic[64];

	snprintf(topic, sizeof topic, "ping/%s", options->id);
	signal(SIGTERM, stop);
	link_open(&ping.link, options, options->id, &events, &ping);
	link_settle(links, 1, options);
	link_subscribe(&ping.link, topic);
	link_settle(links, 1, options);
	for (int i = 0; i < WARM_UP; i++)
		round_trip(&ping, options, topic);
	load_ready(options);
	while (!stopped && ping.count < MAX_SAMPLES) {
		ping.took_ns[ping.count++] = round_trip(&ping, options, topic);
		rest(options->pause_us);
	}
	putchar('{');
	load_print_spread("round_trip_us", ping.took_ns, ping.count, 1e3);
	puts("}");
	link_close(&ping.link);
	free(ping.took_ns);
	return EXIT_SUCCESS;
}
