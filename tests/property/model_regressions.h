/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Sequences that failed once, as they were printed. */
#ifndef FT_TESTS_MODEL_REGRESSIONS_H
#define FT_TESTS_MODEL_REGRESSIONS_H

#include "model_script.h"

static const struct script regressions[] = {
	/* A checkpoint that met an abort reported an error. */
	{
		.backend = "fs", .durability = FT_DURABILITY_FILE, .span = 70000, .max_open = 16,
		.sizes = { 0, 40981, 50581 }, .count = 4, .ops = {
			{ OP_INIT, 2, 0, 0, 10, 1 },
			{ OP_SEGMENT, 2, 0, 42641, 0, 0 },
			{ OP_PASS, 1, 301000, 0, 4, 2 },
			{ OP_ABORT, 2, 1, 0, 6, 0 },
		},
	},
	/* So did one whose directory was gone by then. */
	{
		.backend = "fs", .durability = FT_DURABILITY_FILE, .span = 300, .max_open = 8,
		.sizes = { 300, 28, 145 }, .limits = { 0, 76 }, .count = 4, .ops = {
			{ OP_INIT, 1, 1, 0, 2, 2 },
			{ OP_SEGMENT, 1, 185, 37, 0, 0 },
			{ OP_PASS, 1, 60000, 0, 9, 0 },
			{ OP_ABORT, 1, 1, 0, 5, 2 },
		},
	},
	/* While assembling, what publish had cut off was still taken for held: as zeros. */
	{
		.backend = "memory", .durability = FT_DURABILITY_NONE, .span = 5242880, .max_open = 8,
		.sizes = { 0, 4051086, 2457053 }, .limits = { 0, 1310721 }, .count = 4, .ops = {
			{ OP_INIT, 0, 2, 0, 6, 2 },
			{ OP_SEGMENT, 0, 1966080, 655360, 0, 1 },
			{ OP_FIN, 0, 0, 0, 10, 1 },
			{ OP_SCATTER, 0, 2386481, 144, 4, 2 },
		},
	},
	/* A segment sent again after a kill was found in the page cache, and never synced. */
	{
		.backend = "fs", .durability = FT_DURABILITY_SEGMENT, .span = 40, .max_open = 16,
		.sizes = { 40, 30, 19 }, .count = 6, .ops = {
			{ OP_INIT, 0, 0, 0, 7, 1 },
			{ OP_UPLOAD, 0, 1, 0, 1, 1 },
			{ OP_SEGMENT, 0, 30, 10, 0, 0 },
			{ OP_DIE_AT, 2, 1, 0, 10, 0 },
			{ OP_SEGMENT, 0, 15, 25, 1, 0 },
			{ OP_POWER_CUT, 1, 2, 0, 3, 2 },
		},
	},
	/* A record that takes something back was read after a kill, but not on the disk yet. */
	{
		.backend = "fs", .durability = FT_DURABILITY_FILE, .span = 40, .max_open = 16,
		.sizes = { 40, 3, 23 }, .limits = { 0, 11 }, .count = 9, .ops = {
			{ OP_INIT, 1, 2, 0, 10, 2 },
			{ OP_SCATTER, 1, 2, 146, 8, 0 },
			{ OP_PASS, 0, 6000, 0, 9, 2 },
			{ OP_RESTART, 1, 2, 0, 10, 0 },
			{ OP_INIT, 3, 2, 0, 7, 0 },
			{ OP_DIE_AT, 0, 3, 0, 1, 0 },
			{ OP_SEGMENT, 3, 25, 5, 0, 0 },
			{ OP_SEGMENT, 1, 25, 5, 0, 0 },
			{ OP_POWER_CUT, 0, 1, 0, 3, 1 },
		},
	},
};

#endif
