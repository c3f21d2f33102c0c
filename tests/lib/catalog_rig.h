/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A catalog in a directory of its own, for tests; what was logged is kept. Or elsewhere:
 * catalog_url.h.
 *
 *	struct catalog_rig rig;
 *	catalog_rig_init(&rig);
 *	ck_assert_int_eq(catalog_rig_open(&rig), FT_OK);
 *	...
 *	catalog_rig_release(&rig);
 */
#ifndef FT_TESTS_CATALOG_RIG_H
#define FT_TESTS_CATALOG_RIG_H

#include <stdio.h>

#include "catalog/catalog.h"
#include "log/log.h"
#include "catalog_url.h"

#define CATALOG_RIG_LOG_ROOM 8192

/* As ft_identity() makes them. */
#define CATALOG_RIG_IDENTITY "boot=1 fsid=2 dev=8:1 ns=3 mnt=4"
#define CATALOG_RIG_OTHER_BOOT "boot=9 fsid=2 dev=8:1 ns=3 mnt=4"

struct catalog_rig {
	char dir[128];
	char path[160];
	char url[CATALOG_URL_ROOM];	/* "": SQLite */
	const char *identity;
	uint8_t log_id[FT_LOG_ID_LEN];
	enum ft_log_medium log_medium;
	struct ft_logger *logger;
	char log[CATALOG_RIG_LOG_ROOM];	/* lines, each with its newline */
	size_t log_len;
	struct ft_catalog *catalog;
	enum ft_catalog_past past;
};

/* A new empty directory; aborts where that cannot be had. */
void catalog_rig_init(struct catalog_rig *rig);

/* Closes the catalog and removes the directory. */
void catalog_rig_release(struct catalog_rig *rig);

/* Opens the catalog with the rig's identity and log id. */
enum ft_status catalog_rig_open(struct catalog_rig *rig);

/* Closes it if it is open and opens it again. */
enum ft_status catalog_rig_reopen(struct catalog_rig *rig);

/* Facts of a transfer whose other values follow from its number; what is given is borrowed. */
struct ft_facts catalog_rig_facts(uint64_t number, const char *owner, const char *file);

/* The same for a finished file. */
struct ft_finished catalog_rig_finished(uint64_t number, const char *owner, const char *file);

/* A set of the pairs of numbers in a text such as "0-5 7-9". The caller's to release in any case. */
enum ft_status catalog_rig_parse(const char *pairs, struct ft_ranges *ranges);

/* The same; aborts where there is no memory. */
struct ft_ranges catalog_rig_ranges(const char *pairs);

/*
 * All that the catalog says, as text, one line a fact; by its public functions alone. Free it.
 * NULL, and *st says why, where something cannot be read.
 */
char *catalog_rig_dump(struct ft_catalog *c, enum ft_status *st);

#endif
