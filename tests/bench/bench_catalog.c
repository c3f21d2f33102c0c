/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What the catalog costs, in CPU time of user and system:
 *
 *	bench_catalog DIRECTORY [FINISHED]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "catalog/catalog.h"

#define UNFINISHED 10000
#define FIRST_UNFINISHED UINT64_C(1000000000)

static struct ft_catalog *catalog;
static char path[512];

static double seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void must(enum ft_status st)
{
	if (st == FT_OK)
		return;
	fprintf(stderr, "bench_catalog: %s\n", ft_status_word(st));
	exit(1);
}

static void open_catalog(void)
{
	static const uint8_t log_id[FT_LOG_ID_LEN];
	struct ft_catalog_config config = { .path = path, .identity = "boot=1", .log_id = log_id };
	enum ft_catalog_past past;

	must(ft_catalog_open(&config, &catalog, &past));
}

/* Ids as devices have them: few owners, random files. */
static struct ft_facts facts_of(uint64_t number, char owner[32], char file[40])
{
	struct ft_facts facts = { .number = number, .received_ms = 1790000000000 };
	uint64_t high = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
	uint64_t low = high * UINT64_C(0xd6e8feb86659fd93);

	snprintf(owner, 32, "device-%05u", (unsigned)(low >> 40) % 10000);
	snprintf(file, 40, "%08x-%04x-4%03x-9%03x-%012" PRIx64, (unsigned)(high >> 32),
		 (unsigned)(high >> 16 & 0xffff), (unsigned)(high & 0xfff), (unsigned)(low >> 52),
		 low & 0xffffffffffff);
	facts.key = (struct ft_key){ owner, strlen(owner), file, strlen(file) };
	snprintf(facts.meta.name, sizeof facts.meta.name, "measurement-%" PRIu64 ".csv", number);
	facts.meta.has_size = true;
	facts.meta.size = 65536;
	snprintf(facts.transfer_id, sizeof facts.transfer_id, "%.36s", file);
	return facts;
}

static void finish(uint64_t number)
{
	char owner[32], file[40];
	struct ft_facts facts = facts_of(number, owner, file);
	struct ft_finished finished = { .number = number, .key = facts.key, .size = 65536,
					.completed_ms = facts.received_ms };

	snprintf(finished.name, sizeof finished.name, "%s", facts.meta.name);
	snprintf(finished.transfer_id, sizeof finished.transfer_id, "%.36s", file);
	must(ft_catalog_put_finished(catalog, &finished, NULL));
}

static void begin_transfer(uint64_t number)
{
	char owner[32], file[40];
	struct ft_facts facts = facts_of(number, owner, file);

	must(ft_catalog_put_transfer(catalog, &facts, FT_CATALOG_RECEIVING, 1));
}

typedef void act(uint64_t number);

static void begin_and_finish(uint64_t number)
{
	begin_transfer(number);
	finish(number);
}

/* In one transaction each `batch`, with a checkpoint each 5,000. */
static double run(act *one, uint64_t first, uint64_t count, uint64_t batch)
{
	double from = seconds(CLOCK_PROCESS_CPUTIME_ID);

	for (uint64_t i = 0; i < count; i++) {
		if (i % batch == 0)
			must(ft_catalog_begin(catalog));
		one(first + i);
		if (i % batch == batch - 1 || i == count - 1)
			must(ft_catalog_commit(catalog));
		if (i % 5000 == 4999)
			must(ft_catalog_checkpoint(catalog));
	}
	return (seconds(CLOCK_PROCESS_CPUTIME_ID) - from) / (double)count * 1e6;
}

static struct ft_ranges held;

static void grow(uint64_t number)
{
	uint64_t start = number * 65536;

	must(ft_ranges_add(&held, start, start + 65536));
	must(ft_catalog_put_held(catalog, FIRST_UNFINISHED, &held, start, start + 65536));
}

static enum ft_status count_key(void *context, const struct ft_key *key, uint64_t size)
{
	(void)size;
	*(uint64_t *)context += key->owner_len > 0;
	return FT_OK;
}

static enum ft_status count_transfer(void *context, struct ft_unfinished *found)
{
	*(uint64_t *)context += found->facts.number > 0;
	return FT_OK;
}

/* How long something took, and how much of that this process was running. */
struct span {
	double wall;
	double cpu;
};

static struct span span_since(struct span from)
{
	return (struct span){ seconds(CLOCK_MONOTONIC) - from.wall,
			      seconds(CLOCK_PROCESS_CPUTIME_ID) - from.cpu };
}

static void read_all(void)
{
	const struct span zero = { 0, 0 };
	struct span from = span_since(zero), opened, unfinished, finished;
	uint64_t keys = 0, transfers = 0;

	open_catalog();
	opened = span_since(from);
	must(ft_catalog_each_transfer(catalog, count_transfer, &transfers));
	unfinished = span_since(from);
	must(ft_catalog_each_finished_key(catalog, count_key, &keys));
	finished = span_since(from);
	printf("start, wall (CPU): open %.3f s (%.3f), %" PRIu64 " unfinished %.3f s (%.3f), %" PRIu64
	       " finished keys %.3f s (%.3f)\n", opened.wall, opened.cpu, transfers,
	       unfinished.wall - opened.wall, unfinished.cpu - opened.cpu, keys,
	       finished.wall - unfinished.wall, finished.cpu - unfinished.cpu);
}

int main(int argc, char **argv)
{
	uint64_t finished = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
	struct stat info;

	if (argc < 2)
		return 2;
	snprintf(path, sizeof path, "%s/catalog.db", argv[1]);
	open_catalog();
	printf("begin and finish, 50 a transaction, none finished: %.1f us\n",
	       run(begin_and_finish, 1, 10000, 50));
	printf("finish, 50 a transaction: %.1f us\n", run(finish, 10001, 10000, 50));
	printf("finish, 1 a transaction: %.1f us\n", run(finish, 20001, 5000, 1));
	printf("begin, 50 a transaction: %.1f us\n", run(begin_transfer, FIRST_UNFINISHED, UNFINISHED,
							 50));
	printf("put_held in order, 50 a transaction: %.1f us\n", run(grow, 0, 20000, 50));
	printf("put_held in order, 1 a transaction: %.1f us\n", run(grow, 20000, 5000, 1));
	run(finish, 25001, finished - 25000 > finished ? 0 : finished - 25000, 1000);
	printf("with %" PRIu64 " finished files:\n", finished);
	printf("begin and finish, 50 a transaction: %.1f us\n",
	       run(begin_and_finish, finished + 1, 20000, 50));
	ft_catalog_close(&catalog);
	if (stat(path, &info) == 0)
		printf("size %.0f MB\n", (double)info.st_size / 1e6);
	read_all();
	ft_catalog_close(&catalog);
	ft_ranges_release(&held);
	return 0;
}
