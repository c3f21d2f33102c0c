/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Makes the catalog of a broker that has been busy for years, without its files:
 *
 *	fill_catalog STORAGE_DIR FINISHED UNFINISHED
 *
 * 20,000 clients; of each unfinished transfer some bytes are held.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "catalog/catalog.h"

#define CLIENTS 20000
#define TOGETHER 10000

static void log_line(void *context, enum ft_log_level level, const char *line)
{
	(void)context;
	(void)level;
	fprintf(stderr, "%s\n", line);
}

static void must(enum ft_status st, const char *what)
{
	if (st == FT_OK)
		return;
	fprintf(stderr, "fill_catalog: %s: %s\n", what, ft_status_word(st));
	exit(1);
}

/* Client and file of a number; static storage. */
static struct ft_key key_of(uint64_t number)
{
	static char client[32], file[40];
	struct ft_key key = { .owner = client, .file = file };

	snprintf(client, sizeof client, "device-%05llu", (unsigned long long)(number * 7919 % CLIENTS));
	snprintf(file, sizeof file, "%08llx-file", (unsigned long long)(number * 2654435761u % 0xffffffffu));
	key.owner_len = strlen(client);
	key.file_len = strlen(file);
	return key;
}

static void put_finished(struct ft_catalog *catalog, uint64_t number)
{
	struct ft_finished finished = {
		.number = number, .key = key_of(number), .size = number * 1013 % 100000000,
		.completed_ms = 1700000000000 + (int64_t)number * 1000,
	};

	snprintf(finished.name, sizeof finished.name, "recording-%llu.mp4",
		 (unsigned long long)number);
	ft_uuid(finished.transfer_id);
	memcpy(finished.checksum.bytes, &number, sizeof number);
	must(ft_catalog_put_finished(catalog, &finished, NULL), "a finished file");
}

static void put_unfinished(struct ft_catalog *catalog, uint64_t number)
{
	struct ft_facts facts = {
		.number = number, .key = key_of(number), .received_ms = ft_clock_unix_ms(),
		.meta = { .has_size = true, .size = 10000000 },
	};
	struct ft_ranges held;

	snprintf(facts.meta.name, sizeof facts.meta.name, "recording-%llu.mp4",
		 (unsigned long long)number);
	ft_uuid(facts.transfer_id);
	ft_ranges_init(&held);
	must(ft_ranges_add(&held, 0, 1 + number % 9000000), "ranges");
	must(ft_catalog_put_transfer(catalog, &facts, FT_CATALOG_RECEIVING, 0), "a transfer");
	must(ft_catalog_put_held(catalog, number, &held, 0, INT64_MAX), "what is held");
	must(ft_catalog_put_durable(catalog, number, &held, 0, INT64_MAX), "what is durable");
	ft_ranges_release(&held);
}

int main(int argc, char **argv)
{
	static const uint8_t log_id[FT_LOG_ID_LEN];
	char path[4096];
	struct ft_logger *logger = ft_logger_new(log_line, NULL);
	struct ft_catalog_config config = { .path = path, .log_id = log_id, .logger = logger };
	uint64_t finished = argc == 4 ? strtoull(argv[2], NULL, 10) : 0;
	uint64_t all = argc == 4 ? finished + strtoull(argv[3], NULL, 10) : 0;
	struct ft_progress progress = { .last_number = all };
	enum ft_catalog_past past;
	struct ft_catalog *catalog;

	if (all == 0 || !logger) {
		fprintf(stderr, "usage: fill_catalog STORAGE_DIR FINISHED UNFINISHED\n");
		return 1;
	}
	snprintf(path, sizeof path, "%s/catalog.db", argv[1]);
	must(ft_catalog_open(&config, &catalog, &past), path);
	for (uint64_t number = 1; number <= all; number++) {
		if (number % TOGETHER == 1)
			must(ft_catalog_begin(catalog), "begin");
		if (number <= finished)
			put_finished(catalog, number);
		else
			put_unfinished(catalog, number);
		if (number % TOGETHER == 0 || number == all) {
			if (number == all) {
				must(ft_catalog_put_progress(catalog, &progress), "progress");
				must(ft_catalog_put_filled(catalog), "filled");
			}
			must(ft_catalog_commit(catalog), "commit");
			must(ft_catalog_checkpoint(catalog), "checkpoint");
		}
	}
	ft_catalog_close(&catalog);
	ft_logger_free(logger);
	return 0;
}
