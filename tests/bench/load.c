/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "load.h"

#include <errno.h>
#include <malloc.h>
#include <mosquitto.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define SECOND_NS UINT64_C(1000000000)

static const struct {
	const char *name;
	int (*run)(const struct load_options *options);
} modes[] = {
	{ "upload", load_upload },	/* over MQTT: plain messages or file transfer */
	{ "download", load_download },	/* blocks of a file: what is offered, or by subscription */
	{ "ping", load_ping },		/* round trips of one message */
	{ "file", load_file },		/* writes what downloads are compared with to --dir */
	{ "sink", load_sink },		/* a subscriber that writes what it is sent */
	{ "put", load_put },		/* HTTP PUT */
	{ "tus", load_tus },
	{ "ftp", load_ftp },
	{ "tcp", load_tcp },		/* bare bytes */
	{ "tcp-sink", load_tcp_sink },	/* a server for them */
};

enum kind { NUMBER, FLAG, TEXT };

#define AT(field) offsetof(struct load_options, field)

static const struct {
	const char *name;
	enum kind kind;
	size_t field;
} table[] = {
	{ "--port", NUMBER, AT(port) },
	{ "--size", NUMBER, AT(size) },
	{ "--chunk", NUMBER, AT(chunk) },
	{ "--window", NUMBER, AT(window) },
	{ "--clients", NUMBER, AT(clients) },
	{ "--files", NUMBER, AT(files) },
	{ "--parallel", NUMBER, AT(parallel) },
	{ "--rate", NUMBER, AT(rate) },
	{ "--pause-us", NUMBER, AT(pause_us) },
	{ "--timeout", NUMBER, AT(timeout) },
	{ "--plain", FLAG, AT(plain) },
	{ "--relay", FLAG, AT(relay) },
	{ "--confirm", FLAG, AT(confirm) },
	{ "--responses", FLAG, AT(responses) },
	{ "--segment-sums", FLAG, AT(segment_sums) },
	{ "--file-sum", FLAG, AT(file_sum) },
	{ "--settle", FLAG, AT(settle) },
	{ "--leave", FLAG, AT(leave) },
	{ "--put", FLAG, AT(put) },
	{ "--errors", FLAG, AT(errors) },
	{ "--v311", FLAG, AT(v311) },
	{ "--go", FLAG, AT(go) },
	{ "--dir", TEXT, AT(dir) },
	{ "--id", TEXT, AT(id) },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void load_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("load: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(EXIT_FAILURE);
}

void *load_alloc(size_t count, size_t size)
{
	void *room = calloc(count ? count : 1, size);

	if (!room)
		load_die("out of memory");
	return room;
}

/* --- clock --- */

uint64_t load_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static double cpu_s(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
	       + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

void load_clock_start(struct load_clock *clock)
{
	clock->cpu_s = cpu_s();
	clock->start_ns = load_now_ns();
}

void load_clock_stop(struct load_clock *clock)
{
	clock->end_ns = load_now_ns();
	clock->cpu_s = cpu_s() - clock->cpu_s;
}

void load_ready(const struct load_options *options)
{
	char line[16];

	puts("ready");
	fflush(stdout);
	if (options->go && !fgets(line, sizeof line, stdin))
		load_die("nobody said go");
}

/* --- data --- */

/* Bytes that no compression or deduplication could make cheaper. */
static void fill(uint8_t *bytes, uint64_t len)
{
	uint64_t state = 0x9e3779b97f4a7c15;

	for (uint64_t i = 0; i < len; i += sizeof state) {
		uint64_t left = len - i;

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		memcpy(bytes + i, &state, left < sizeof state ? left : sizeof state);
	}
}

static void sum(char hex[LOAD_HEX_ROOM], const uint8_t *bytes, uint64_t len)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int digest_len = 0;

	if (!EVP_Digest(bytes, len, digest, &digest_len, EVP_sha256(), NULL))
		load_die("cannot compute SHA-256");
	for (unsigned int i = 0; i < digest_len; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

void load_data_make(struct load_data *data, const struct load_options *options)
{
	uint64_t chunk = options->chunk;

	memset(data, 0, sizeof *data);
	if (chunk == 0)
		load_die("--chunk must not be 0");
	data->bytes = load_alloc(options->size, 1);
	data->segments = (options->size + chunk - 1) / chunk;
	fill(data->bytes, options->size);
	if (options->file_sum)
		sum(data->sum, data->bytes, options->size);
	if (!options->segment_sums)
		return;
	data->segment_sums = load_alloc(data->segments, LOAD_HEX_ROOM);
	for (uint64_t i = 0; i < data->segments; i++) {
		uint64_t left = options->size - i * chunk;

		sum(data->segment_sums[i], data->bytes + i * chunk, left < chunk ? left : chunk);
	}
}

void load_data_release(struct load_data *data)
{
	free(data->bytes);
	free(data->segment_sums);
}

/* --- results --- */

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Nearest rank. */
static double percentile(const uint64_t *sorted, size_t count, size_t percent)
{
	size_t rank = (count * percent + 99) / 100;

	return (double)sorted[rank > 0 ? rank - 1 : 0];
}

void load_print_spread(const char *name, uint64_t *values, size_t count, double unit_ns)
{
	printf("\"%s\":{\"count\":%zu", name, count);
	if (count > 0) {
		qsort(values, count, sizeof values[0], compare);
		printf(",\"p50\":%.4f,\"p99\":%.4f,\"max\":%.4f",
		       percentile(values, count, 50) / unit_ns,
		       percentile(values, count, 99) / unit_ns,
		       (double)values[count - 1] / unit_ns);
	}
	putchar('}');
}

void load_print_upload(const struct load_options *options, const struct load_clock *clock)
{
	uint64_t files = options->clients * options->files;

	printf("\"seconds\":%.6f,\"cpu_s\":%.6f,\"files\":%llu,\"bytes\":%llu",
	       (double)(clock->end_ns - clock->start_ns) / (double)SECOND_NS, clock->cpu_s,
	       (unsigned long long)files, (unsigned long long)(files * options->size));
}

/* --- options --- */

static uint64_t number(const char *name, const char *text)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-')
		load_die("%s %s: not a number", name, text);
	return value;
}

static size_t find_option(const char *name)
{
	for (size_t i = 0; i < COUNT(table); i++)
		if (strcmp(table[i].name, name) == 0)
			return i;
	load_die("unknown option %s", name);
}

static void parse(struct load_options *options, char **args)
{
	for (; *args; args++) {
		size_t i = find_option(*args);
		char *field = (char *)options + table[i].field;

		if (table[i].kind == FLAG) {
			*(int *)field = 1;
			continue;
		}
		if (!args[1])
			load_die("%s needs a value", *args);
		args++;
		if (table[i].kind == NUMBER)
			*(uint64_t *)field = number(table[i].name, *args);
		else
			*(const char **)field = *args;
	}
}

/*
 * The client must not be what is measured: without this, libmosquitto's two copies of
 * each payload come fresh from the kernel, one page fault per 4 KiB.
 */
static void keep_memory(void)
{
#ifdef __GLIBC__
	mallopt(M_MMAP_THRESHOLD, 32 * 1024 * 1024);
	mallopt(M_TRIM_THRESHOLD, 1024 * 1024 * 1024);
#endif
}

int main(int argc, char **argv)
{
	struct load_options options = {
		.port = 1883, .size = 256 << 20, .chunk = 256 << 10, .window = 20, .clients = 1,
		.files = 1, .parallel = 1, .pause_us = 500, .timeout = 120, .id = "load",
	};
	int rc;

	for (size_t i = 0; argc > 1 && i < COUNT(modes); i++) {
		if (strcmp(modes[i].name, argv[1]) != 0)
			continue;
		parse(&options, argv + 2);
		keep_memory();
		mosquitto_lib_init();
		rc = modes[i].run(&options);
		mosquitto_lib_cleanup();
		return rc;
	}
	load_die("usage: load MODE [--option value …]; see load.c for both");
}
