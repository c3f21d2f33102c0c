/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The scanner's look into folders: those of offers/ and of jobs/ are alike.
 *
 *	walk.root = ft_scan_open_root(core, walk.top);
 *	st = ft_scan_walk_all(&walk);		calls walk.visit() with each file and folder
 *
 * Private to scanner.c, which has all of it, and job_scanner.c. Threads: the scanner's.
 */
#ifndef FT_ENGINE_SCAN_WALK_H
#define FT_ENGINE_SCAN_WALK_H

#include <sys/stat.h>

#include "engine/downloads/scanner.h"

#define FT_SCAN_PLACE_ROOM (16 + FT_NAME_ROOM + FT_OFFER_PATH_MAX)
#define FT_SCAN_REST_MS 1000	/* a file that was written a moment ago may still be */
#define FT_SCAN_AGAIN_MS 50	/* until one that is new is looked at again */

/* One look into all folders. */
struct ft_scan_walk {
	struct ft_core *core;
	struct ft_scan *scan;
	struct ft_offers *next;		/* what is found */
	const char *top;		/* "offers" or "jobs", in storage_dir */
	/* `name` in the folder `dir`, at `place`. An error ends the walk with it. */
	enum ft_status (*visit)(struct ft_scan_walk *walk, int dir, const char *name);
	int root;
	enum ft_offer_scope scope;
	const char *whose;
	char place[FT_SCAN_PLACE_ROOM];	/* below the top */
	size_t path_at;			/* where in `place` the path begins */
};

/* A descriptor of the folder, or -1 with errno. */
int ft_scan_open_root(const struct ft_core *core, const char *top);

/* Visits what is in all, client/<whose>, user/<whose> and group/<whose>, but for hidden names. */
enum ft_status ft_scan_walk_all(struct ft_scan_walk *walk) FT_MUST_USE;

/* What is at `place` is not offered: one line in the log for each place and reason. */
void ft_scan_complain(struct ft_scan_walk *walk, const char *why);

/* The whole content, which is at most `max` bytes, with a NUL. False: errno says why. */
bool ft_scan_read_small(int dir, const char *name, char *to, size_t max, size_t *len);

struct ft_offer_stat ft_scan_stat_of(const struct stat *st);
enum ft_status ft_scan_status(int error);

/* --- job_scanner.c --- */

/* Brings scan->jobs up to what is in jobs/. FT_OK, too, where a document is bad. */
enum ft_status ft_scan_jobs(struct ft_core *core, struct ft_scan *scan) FT_MUST_USE;

#endif
