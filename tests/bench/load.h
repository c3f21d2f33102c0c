/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The load generator of the benchmarks: one program, one client code for everything
 * that speaks MQTT, so that ratios compare brokers and not clients.
 *
 *	load upload --port 1883 --size 268435456 --chunk 262144 --window 20
 *
 * Every mode prints "ready" when it is connected and has its data, waits for a line on
 * stdin where --go is given, runs, and prints one JSON object. What goes wrong ends it
 * with a line on stderr and status 1: there are no results of a run that failed.
 */
#ifndef FT_BENCH_LOAD_H
#define FT_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOAD_HEX_ROOM 65

struct load_options {
	uint64_t port;
	uint64_t size;			/* bytes of a file */
	uint64_t chunk;			/* bytes of a segment, of a PATCH */
	uint64_t window;		/* messages that a client has unacknowledged */
	uint64_t clients;
	uint64_t files;			/* per client */
	uint64_t parallel;		/* files a client has begun and not finished */
	uint64_t rate;			/* bytes/s of all clients together; 0: flat out */
	uint64_t pause_us;		/* ping: between two */
	uint64_t timeout;		/* seconds */
	int plain;			/* messages that are not file transfer */
	int relay;			/* download: a service answers, not the plugin */
	int confirm;			/* plain: a subscriber tells that a file is written */
	int responses;			/* see all responses, not only that to fin */
	int segment_sums;
	int file_sum;
	int settle;			/* fin only when all segments are acknowledged */
	int leave;			/* never send fin */
	int put;			/* each file is one message */
	int errors;			/* init asks for no response to segments that succeed */
	int v311;			/* MQTT 3.1.1 instead of 5 */
	int go;
	const char *dir;		/* sinks: where files go; put, ftp, tcp: what to fdatasync */
	const char *id;			/* prefix of client ids */
};

/* What an upload sends: the same bytes for each file. */
struct load_data {
	uint8_t *bytes;
	char sum[LOAD_HEX_ROOM];
	char (*segment_sums)[LOAD_HEX_ROOM];	/* NULL: none wanted */
	uint64_t segments;			/* of a file */
};

/* What a mode starts its clock with, and what it has cost when it stops it. */
struct load_clock {
	uint64_t start_ns;
	uint64_t end_ns;
	double cpu_s;
};

uint64_t load_now_ns(void);
void load_clock_start(struct load_clock *clock);
void load_clock_stop(struct load_clock *clock);

/* "ready", and the wait for a line on stdin where the options say so. */
void load_ready(const struct load_options *options);

/* Ends the program with a line on stderr. */
__attribute__((format(printf, 1, 2), noreturn))
void load_die(const char *format, ...);

/* malloc or death. Zeroed. */
void *load_alloc(size_t count, size_t size);

void load_data_make(struct load_data *data, const struct load_options *options);
void load_data_release(struct load_data *data);

/* Sorts `values` and prints "name":{"count":…,"p50":…,"p99":…,"max":…} in `unit_ns`. */
void load_print_spread(const char *name, uint64_t *values, size_t count, double unit_ns);

/* The part of the result that all uploads have, without the braces. */
void load_print_upload(const struct load_options *options, const struct load_clock *clock);

int load_upload(const struct load_options *options);
int load_download(const struct load_options *options);
int load_file(const struct load_options *options);
int load_ping(const struct load_options *options);
int load_sink(const struct load_options *options);
int load_put(const struct load_options *options);
int load_tus(const struct load_options *options);
int load_ftp(const struct load_options *options);
int load_tcp(const struct load_options *options);
int load_tcp_sink(const struct load_options *options);

#endif
