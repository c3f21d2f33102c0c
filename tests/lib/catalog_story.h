/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A life of a catalog in steps, for tests that disturb it: each step is one transaction, or
 * something else that changes no fact.
 */
#ifndef FT_TESTS_CATALOG_STORY_H
#define FT_TESTS_CATALOG_STORY_H

#include "catalog_rig.h"

enum catalog_step_kind {
	CATALOG_STEP_FACTS,	/* done within begin and commit */
	CATALOG_STEP_OTHER,
};

struct catalog_step {
	const char *name;
	enum catalog_step_kind kind;
	enum ft_status (*run)(struct ft_catalog *c);
};

extern const struct catalog_step catalog_story[];
extern const size_t catalog_story_len;

/* Runs one step with its transaction; on error that is rolled back. */
enum ft_status catalog_story_step(struct ft_catalog *c, size_t step);

#endif
