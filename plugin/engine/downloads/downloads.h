/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Files for devices, on the broker's thread: who asks, what they see, and how blocks get to them.
 * There is none of it without option `downloads`: e->downloads is NULL.
 *
 * Protocols (gets.c, streams.c) use
 *
 *	st = engine_find_offer(e, &request, path, &offer);
 *	st = engine_fetch(e, &request, &want);
 *
 * and are called back once: deliver() with the bytes, or refuse(). Both may happen before
 * engine_fetch() returns. For a client that has gone neither does.
 *
 * What is in the page cache is read at once (ft_sys_read_cached() waits for nothing), all else by
 * a worker of FT_LANE_DOWNLOAD. Few jobs are in that lane at a time; what else waits is here, and
 * clients take turns. What is published in one pass of the broker's loop is bounded, since the
 * broker keeps it until then.
 */
#ifndef FT_ENGINE_DOWNLOADS_H
#define FT_ENGINE_DOWNLOADS_H

#include "engine/engine_private.h"
#include "engine/downloads/scanner.h"

struct ft_fetch;
struct ft_downloader;
struct ft_source;

/* How a protocol answers. */
struct ft_delivery {
	/* `block` is made by hooks.block_new, and taken over; NULL where len is 0. */
	void (*deliver)(struct ft_engine *e, const struct ft_fetch *fetch, void *block, size_t len);
	void (*refuse)(struct ft_engine *e, const struct ft_fetch *fetch, enum ft_status st);
};

struct ft_want {
	const struct ft_offer *offer;
	uint64_t offset;
	size_t len;		/* at most 256 KiB; what lies behind the end is left out */
	const struct ft_delivery *delivery;
	const void *note;	/* copied: what the delivery finds in fetch->note */
	size_t note_len;
};

/*
 * A block that was asked for:
 *
 *	waiting (in its client's list) -> read at once -> delivered
 *	waiting -> at a worker -> delivered, or dropped where the client has gone meanwhile
 *	waiting -> refused, or dropped
 */
struct ft_fetch {
	struct ft_job job;
	struct ft_core *core;
	struct ft_downloader *client;
	const struct ft_delivery *delivery;
	struct ft_ticket *ticket;	/* owned */
	struct ft_offer offer;		/* its texts behind this struct; without meta */
	uint64_t offset;
	size_t len;
	int64_t asked_ms;
	bool paid;			/* it counts for the bandwidth already */
	bool cold;			/* it was not in the page cache */
	struct ft_source *source;	/* at a worker: the open file; NULL: it is to be opened */
	int fd;				/* at a worker: of the source; result: opened there */
	void *block;			/* owned; at a worker */
	size_t note_len;
	const void *note;		/* of the protocol; behind this struct */
	_Alignas(void *) char texts[];
};

/* What the client of a request gets under a path. FT_NO_SUCH_FILE, FT_BUSY, FT_NO_MEMORY. */
enum ft_status engine_find_offer(struct ft_engine *e, const struct ft_request *request,
				 const char *path, const struct ft_offer **offer) FT_MUST_USE;

/* The client of a request, as what it sees; valid until the next call. FT_BUSY, FT_NO_MEMORY. */
enum ft_status engine_find_viewer(struct ft_engine *e, const struct ft_request *request,
				  const struct ft_viewer **viewer) FT_MUST_USE;
const struct ft_offers *engine_offers(const struct ft_engine *e);

/* Has a block delivered, soon. FT_BUSY, FT_NO_MEMORY: not. */
enum ft_status engine_fetch(struct ft_engine *e, const struct ft_request *request,
			    const struct ft_want *want) FT_MUST_USE;

/* Something has changed in the folders: they are looked at now. Without option downloads: nothing. */
void engine_look_at_offers(struct ft_engine *e);

/* Whether a report about a path may be published: FT_RATE_LIMITED. It is counted. */
enum ft_status engine_take_report(struct ft_engine *e, const struct ft_request *request,
				  const char *path, struct ft_buf *detail) FT_MUST_USE;

/*
 * Whether a message by name to this client would be sent now. What the broker drops, since the
 * client does not read, stays in its memory for good: then nothing may be published by name. It
 * counts as published.
 */
bool engine_may_send(struct ft_engine *e, const char *client_id);

/* --- the engine's side --- */

/* A request came by this connection of its client. */
void engine_note_connection(struct ft_engine *e, const struct ft_request *request);

enum ft_status engine_start_downloads(struct ft_engine *e) FT_MUST_USE;
void engine_release_downloads(struct ft_engine *e);
void engine_take_scan(struct ft_engine *e, struct ft_scan *scan);
void engine_take_fetch(struct ft_engine *e, struct ft_fetch *fetch);

/* What time and passes bring. Returns whether more can be done in the next pass. */
bool engine_run_downloads(struct ft_engine *e);
int64_t engine_downloads_due_ms(const struct ft_engine *e);
void engine_drop_downloader(struct ft_engine *e, const char *client_id);

/* Carries out a command of $file-get/; see ft_engine_command(). gets.c */
enum ft_status engine_get(struct ft_engine *e, const struct ft_request *request,
			  const void *payload, size_t len);

/* --- download_events.c --- */

/* A block was sent, or a report came: with option events that may be one. */
void engine_note_block(struct ft_engine *e, const char *client_id, const struct ft_offer *offer,
		       uint64_t offset, size_t len);
void engine_note_report(struct ft_engine *e, const char *client_id, const struct ft_offer *offer,
			const struct ft_json_text *members);
enum ft_status engine_start_download_events(struct ft_engine *e) FT_MUST_USE;
void engine_release_download_events(struct ft_engine *e);

/* Carries out a request of $aws/.../streams/; answers come on topics beside it. streams.c */
void engine_stream(struct ft_engine *e, const struct ft_request *request, const void *payload,
		   size_t len);

/* --- on a worker --- */

void ft_fetch_run(struct ft_core *core, struct ft_fetch *fetch);
void ft_fetch_release(struct ft_fetch *fetch);

struct ft_close {
	struct ft_job job;
	int fd;
};

#endif
