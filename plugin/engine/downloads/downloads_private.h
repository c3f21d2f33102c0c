/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What downloads.c knows of clients and open files; things.c, too, which keeps there what concerns
 * jobs. Threads: the broker's.
 */
#ifndef FT_ENGINE_DOWNLOADS_PRIVATE_H
#define FT_ENGINE_DOWNLOADS_PRIVATE_H

#include "engine/downloads/downloads.h"
#include "engine/things/things.h"

#define DOWNLOADS_BUCKETS 1024

/* A client that has asked for something since it is connected. */
struct ft_downloader {
	struct ft_downloader *next;	/* in its bucket */
	struct ft_link turn;		/* in ft_downloads.turns while it has something in `waiting` */
	struct ft_list waiting;		/* struct ft_fetch */
	size_t open;			/* fetches of it, waiting or at a worker */
	int socket;			/* the broker's; -1: not known, and then it counts as reading */
	unsigned int sent;		/* messages by name since it was known to read */
	int64_t unread_ms;		/* when it is looked at again, ... */
	int64_t unread_wait_ms;		/* ... which is so long after the last time */
	bool gone;			/* disconnected: in no bucket; freed with its last fetch */
	uint64_t hash, generation;
	struct ft_viewer *viewer;	/* owned; of this generation of the index; NULL: none yet */
	int64_t full_us;		/* when its second of bandwidth is full again */
	int64_t report_ms;		/* when it may report again */
	uint64_t *reports;		/* owned; hashes of paths; NULL: none yet */
	size_t report_count;
	struct ft_thing_client thing;	/* things.c */
	size_t charged;
	char id[];
};

/* An open file. Closed by a worker: that may wait for the disk. */
struct ft_source {
	struct ft_link link;		/* in ft_downloads.sources, used last comes last */
	uint64_t number;		/* of the content */
	size_t users;			/* workers that read from it */
	bool dropped;			/* closed after the last of them */
	int fd;
};

struct ft_downloads {
	const struct ft_offers *offers;	/* the scanner's; NULL: nothing is known yet */
	uint64_t generation;
	struct ft_scan *scan;		/* owned; NULL: it is at work */
	struct ft_offer_watch *watch;	/* owned; the scan's, too; NULL: none */
	int64_t scan_ms;		/* when it goes on */
	bool look_now;			/* or at once: something has changed */
	struct ft_downloader *clients[DOWNLOADS_BUCKETS];
	struct ft_list turns;		/* clients with something to wait for */
	struct ft_list sources;
	size_t source_count;
	size_t reading;			/* fetches at workers */
	size_t passed;			/* bytes published in this pass */
	uint64_t pass;
	int64_t pass_ms, full_us, due_ms;
	bool pump;			/* somebody's turn may have come */
	struct ft_things_desk things;	/* things.c */
};

/*
 * Another request of a client, which stays until close: FT_BUSY (it has too many), FT_NO_MEMORY.
 * The last one of a client that has gone frees it.
 */
enum ft_status engine_open_call(struct ft_engine *e, const struct ft_request *request,
				struct ft_downloader **client) FT_MUST_USE;
void engine_close_call(struct ft_engine *e, struct ft_downloader *client);

/* Whether a client of this id is known that asks for its jobs as itself. */
bool engine_asks_for_jobs(struct ft_engine *e, const char *client_id);

#endif
