/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Finds out what is offered: looks into offers/, hashes what is new, keeps the catalog's rows,
 * and says what is to be announced. With option downloads jobs it reads jobs/, too: scan_walk.h.
 *
 *	scan = ft_scan_new();
 *	submit to FT_LANE_OFFERS;		ft_scan_run() on its thread
 *	take scan->offers and scan->news; submit again after again_ms
 *
 * One job does it all, in steps: it is the broker's or the scanner's, with all that it points to.
 * The index is shared: the broker reads scan->offers until it takes the job the next time, and
 * what was there before is freed only in the step after that.
 *
 * A file is hashed once two steps have seen it alike and it has rested for a second, and its
 * stat is the same before and after. A row says `announced` before the first message is
 * published, and is dropped after it was withdrawn, so that whatever a killed broker leaves
 * retained is withdrawn by the next.
 */
#ifndef FT_ENGINE_SCANNER_H
#define FT_ENGINE_SCANNER_H

#include "engine/core.h"
#include "engine/finished_set.h"
#include "engine/things/job_index.h"
#include "engine/downloads/offer_watch.h"
#include "engine/downloads/offers.h"

#define FT_SCAN_NEWS_MAX 64	/* messages of one step */

/* A retained message. */
struct ft_offer_news {
	char *topic;		/* owned; NULL: no topic can have this id */
	char *payload;		/* owned; empty: it is withdrawn */
	size_t len;
};

struct ft_scan {
	struct ft_job job;
	struct ft_offers *offers;	/* owned; NULL: nothing is known yet */
	struct ft_offer_news news[FT_SCAN_NEWS_MAX];
	size_t news_count;
	bool told;			/* by the broker: the news were published */
	bool looked;			/* result: `offers` is what lies there */
	int again_ms;			/* result: when to go on; -1: after offers_interval */
	struct ft_job_index *jobs;	/* held; option downloads jobs; NULL: nothing is known yet */
	bool jobs_changed;		/* result: `jobs` is another one than before this step */
	struct ft_offer_watch *watch;	/* borrowed; NULL: there is none */

	/* The scanner's own. */
	struct ft_offers *former;	/* owned */
	struct ft_offers *gone;		/* owned; to be withdrawn; NULL: none */
	size_t gone_at, tell_at;	/* of `gone` and `offers`, what is to be told next */
	size_t gone_next, tell_next;	/* ... when the news are told */
	uint64_t last_number;
	char *groups_text;		/* owned; what the index has of groups; NULL: nothing */
	uint64_t groups_number;		/* changes with it */
	uint64_t jobs_groups_number;	/* of what `jobs` has of groups */
	struct ft_finished_set complaints;	/* hashes of what was logged already */
};

/* NULL: out of memory. */
struct ft_scan *ft_scan_new(void);
void ft_scan_release(struct ft_scan *scan);

/* One step. */
void ft_scan_run(struct ft_core *core, struct ft_catalog *catalog, struct ft_scan *scan);

/*
 * Opens what is offered, for reading; never leaves offers/. Checks that it is what it was when
 * it was hashed: FT_BUSY. May wait for the disk. FT_NO_SUCH_FILE, FT_IO_ERROR.
 */
enum ft_status ft_offer_open(const struct ft_core *core, const struct ft_offer *offer,
			     int *fd) FT_MUST_USE;

/* Whether an open file still has the content that was hashed. */
bool ft_offer_is_unchanged(const struct ft_offer *offer, int fd);

#endif
