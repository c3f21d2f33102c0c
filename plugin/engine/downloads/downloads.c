/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/downloads/downloads_private.h"

#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "engine/limits/rates.h"

#define DOWNLOADS_SOURCES_MAX 64	/* open files */
#define DOWNLOADS_PASS_BYTES ((size_t)1024 * 1024)	/* published in one pass of the broker's loop */
#define DOWNLOADS_PASS_MS 100		/* a pass takes no longer, where the broker tells of none */
#define DOWNLOADS_TURNS_MAX 64		/* clients looked at in one go */
#define DOWNLOADS_WAIT_MS 5000		/* for bandwidth, then rate_limited */
#define DOWNLOADS_SOON_MS 200		/* until a file that has changed is looked at */
#define DOWNLOADS_UNREAD_MAX 16		/* messages by name before it is looked whether a client reads */
#define DOWNLOADS_UNREAD_MS 10		/* until one that does not is looked at again, at first, */
#define DOWNLOADS_UNREAD_WAIT_MS 160	/* and twice as long each time, up to twice this */
#define DOWNLOADS_READ_AHEAD (1024 * 1024)
#define DOWNLOADS_REPORT_MS 1000
#define DOWNLOADS_REPORTS_MAX 64	/* paths that a client reports about */

/* --- clients --- */

static uint64_t downloads_hash(const struct ft_engine *e, const char *text)
{
	const struct ft_key key = { .owner = text, .owner_len = strlen(text), .file = "" };

	return ft_registry_hash(&e->registry, &key);
}

static struct ft_downloader **downloads_slot(struct ft_downloads *d, uint64_t hash, const char *id)
{
	struct ft_downloader **slot = &d->clients[hash % DOWNLOADS_BUCKETS];

	while (*slot && ((*slot)->hash != hash || strcmp((*slot)->id, id) != 0))
		slot = &(*slot)->next;
	return slot;
}

static enum ft_status downloads_add_client(struct ft_engine *e, struct ft_downloader **slot,
					   uint64_t hash, const char *id)
{
	size_t size = sizeof **slot + strlen(id) + 1;
	enum ft_status st = engine_check_memory(e, size);

	if (st != FT_OK)
		return st;
	if (!(*slot = calloc(1, size)))
		return FT_NO_MEMORY;
	memcpy((*slot)->id, id, strlen(id) + 1);
	(*slot)->hash = hash;
	(*slot)->charged = size;
	e->charged += size;
	(*slot)->socket = -1;
	ft_link_init(&(*slot)->turn);
	ft_list_init(&(*slot)->waiting);
	ft_link_init(&(*slot)->thing.link);
	return FT_OK;
}

static enum ft_status downloads_client(struct ft_engine *e, const struct ft_request *request,
				       struct ft_downloader **out)
{
	uint64_t hash = downloads_hash(e, request->client_id);
	struct ft_downloader **slot = downloads_slot(e->downloads, hash, request->client_id);
	enum ft_status st = FT_OK;

	if (!*slot)
		st = downloads_add_client(e, slot, hash, request->client_id);
	*out = *slot;
	return st;
}

static void downloads_free_client(struct ft_engine *e, struct ft_downloader *client)
{
	assert(client->open == 0 && !ft_link_listed(&client->turn));
	e->charged -= client->charged;
	engine_drop_thing_client(e, &client->thing);
	free(client->reports);
	free(client->viewer);
	free(client);
}

enum ft_status engine_open_call(struct ft_engine *e, const struct ft_request *request,
				struct ft_downloader **out)
{
	enum ft_status st = downloads_client(e, request, out);

	if (st == FT_OK && (*out)->open >= e->options->max_requests_per_client)
		st = FT_BUSY;
	if (st == FT_OK)
		(*out)->open++;
	return st;
}

bool engine_asks_for_jobs(struct ft_engine *e, const char *client_id)
{
	const struct ft_downloader *client = *downloads_slot(e->downloads, downloads_hash(e, client_id),
							     client_id);

	return client && ft_link_listed(&client->thing.link) && client->thing.kind == FT_THING_CLIENT;
}

void engine_close_call(struct ft_engine *e, struct ft_downloader *client)
{
	assert(client->open > 0);
	if (--client->open == 0 && client->gone)
		downloads_free_client(e, client);
}

/* --- whether they read --- */

void engine_note_connection(struct ft_engine *e, const struct ft_request *request)
{
	struct ft_downloader *client;

	if (e->hooks.socket_of && downloads_client(e, request, &client) == FT_OK)
		client->socket = e->hooks.socket_of(e->hooks.context, request, client->socket);
}

/*
 * The broker writes to a socket whenever it can. So if it can, nothing waits in the broker; if it
 * cannot, the kernel has all that fits, and what was sent since then may be waiting.
 */
static bool downloads_reads(struct ft_downloader *client)
{
	struct pollfd look = { .fd = client->socket, .events = POLLOUT };

	if (client->socket < 0 || client->sent < DOWNLOADS_UNREAD_MAX)
		return true;
	if (poll(&look, 1, 0) == 0)
		return false;
	client->sent = 0;
	client->unread_wait_ms = 0;
	return true;
}

bool engine_may_send(struct ft_engine *e, const char *client_id)
{
	struct ft_downloader *client = *downloads_slot(e->downloads, downloads_hash(e, client_id), client_id);

	if (!client)
		return true;
	if (!downloads_reads(client)) {
		e->metrics.blocks_absent++;
		return false;
	}
	client->sent++;
	return true;
}

/* Blocks wait until it reads. False: it does not, and when to look again is noted. */
static bool downloads_may_read(struct ft_engine *e, struct ft_downloader *client)
{
	struct ft_downloads *d = e->downloads;
	bool reads = e->now_ms >= client->unread_ms && downloads_reads(client);

	if (!reads && e->now_ms >= client->unread_ms) {
		client->unread_wait_ms = client->unread_wait_ms == 0 ? DOWNLOADS_UNREAD_MS
					 : client->unread_wait_ms < DOWNLOADS_UNREAD_WAIT_MS
					 ? 2 * client->unread_wait_ms : client->unread_wait_ms;
		client->unread_ms = e->now_ms + client->unread_wait_ms;
	}
	if (!reads && d->due_ms > client->unread_ms)
		d->due_ms = client->unread_ms;
	return reads;
}

/* --- what they see --- */

const struct ft_offers *engine_offers(const struct ft_engine *e)
{
	return e->downloads->offers;
}

/* Who only asks for jobs needs none. */
static enum ft_status downloads_add_viewer(struct ft_engine *e, struct ft_downloader *client)
{
	enum ft_status st = engine_check_memory(e, sizeof *client->viewer);

	if (st != FT_OK)
		return st;
	if (!(client->viewer = calloc(1, sizeof *client->viewer)))
		return FT_NO_MEMORY;
	client->generation = 0;
	client->charged += sizeof *client->viewer;
	e->charged += sizeof *client->viewer;
	return FT_OK;
}

enum ft_status engine_find_viewer(struct ft_engine *e, const struct ft_request *request,
				  const struct ft_viewer **viewer)
{
	struct ft_downloads *d = e->downloads;
	struct ft_downloader *client;
	char user[FT_NAME_ROOM] = "";
	enum ft_status st;

	if (!d->offers)
		return FT_BUSY;
	if ((st = downloads_client(e, request, &client)) != FT_OK)
		return st;
	if (request->user)
		ft_escape(user, request->user, strlen(request->user));
	if (!client->viewer && (st = downloads_add_viewer(e, client)) != FT_OK)
		return st;
	if (client->generation != d->generation || strcmp(client->viewer->user, user) != 0)
		ft_viewer_init(client->viewer, d->offers, request->client_id, request->user);
	client->generation = d->generation;
	*viewer = client->viewer;
	return FT_OK;
}

enum ft_status engine_find_offer(struct ft_engine *e, const struct ft_request *request,
				 const char *path, const struct ft_offer **offer)
{
	const struct ft_viewer *viewer;
	enum ft_status st = engine_find_viewer(e, request, &viewer);

	if (st != FT_OK)
		return st;
	if (!(*offer = ft_offers_look_up(e->downloads->offers, viewer, path)))
		return FT_NO_SUCH_FILE;
	return (*offer)->hashed ? FT_OK : FT_BUSY;
}

bool ft_engine_is_member(const struct ft_engine *e, const char *client_id, const char *user,
			 const char *group)
{
	const struct ft_offers *offers = e->downloads ? e->downloads->offers : NULL;
	const struct ft_groups *groups = offers ? offers->groups : NULL;
	size_t len = strcspn(group, "/");

	for (size_t i = 0; client_id && groups && i < groups->count; i++) {
		const struct ft_group *one = &groups->group[i];

		if (strncmp(one->name, group, len) == 0 && one->name[len] == '\0'
		    && ft_group_has(one, client_id, user))
			return true;
	}
	return false;
}

enum ft_status engine_take_report(struct ft_engine *e, const struct ft_request *request,
				  const char *path, struct ft_buf *detail)
{
	const size_t room = DOWNLOADS_REPORTS_MAX * sizeof(uint64_t);
	uint64_t hash = downloads_hash(e, path);
	struct ft_downloader *client;
	enum ft_status st;
	size_t i = 0;

	if ((st = downloads_client(e, request, &client)) != FT_OK)
		return st;
	if (!client->reports && (st = engine_check_memory(e, room)) != FT_OK)
		return st;
	if (!client->reports && !(client->reports = malloc(room)))
		return FT_NO_MEMORY;
	while (i < client->report_count && client->reports[i] != hash)
		i++;
	if (e->now_ms < client->report_ms)
		ft_buf_str(detail, "a client may report once in a second");
	else if (i == DOWNLOADS_REPORTS_MAX)
		ft_buf_str(detail, "a client may report about 64 paths");
	if (detail->len > 0)
		return FT_RATE_LIMITED;
	client->report_ms = e->now_ms + DOWNLOADS_REPORT_MS;
	if (i == client->report_count)
		client->reports[client->report_count++] = hash;
	return FT_OK;
}

/* --- open files --- */

static void downloads_close(struct ft_engine *e, int fd)
{
	struct ft_close *job = calloc(1, sizeof *job);

	if (!job) {
		ft_sys_close(fd);
		return;
	}
	job->job.kind = FT_JOB_CLOSE;
	ft_link_init(&job->job.link);
	job->fd = fd;
	ft_core_submit(&e->core, FT_LANE_DOWNLOAD, &job->job);
}

static void downloads_drop_source(struct ft_engine *e, struct ft_source *source)
{
	if (!source->dropped) {
		ft_link_remove(&source->link);
		e->downloads->source_count--;
	}
	source->dropped = true;
	if (source->users > 0)
		return;
	downloads_close(e, source->fd);
	free(source);
}

static struct ft_source *downloads_source(struct ft_downloads *d, uint64_t number)
{
	for (struct ft_link *link = d->sources.head.prev; link != &d->sources.head;
	     link = link->prev) {
		struct ft_source *source = FT_CONTAINER(link, struct ft_source, link);

		if (source->number == number) {
			ft_link_remove(link);
			ft_list_push(&d->sources, link);
			return source;
		}
	}
	return NULL;
}

/* Keeps what a worker has opened; the one that was used longest ago makes room. */
static void downloads_keep_source(struct ft_engine *e, uint64_t number, int fd)
{
	struct ft_downloads *d = e->downloads;
	struct ft_source *source = downloads_source(d, number) ? NULL : calloc(1, sizeof *source);

	if (!source) {
		downloads_close(e, fd);
		return;
	}
	if (d->source_count == DOWNLOADS_SOURCES_MAX)
		downloads_drop_source(e, FT_CONTAINER(ft_list_first(&d->sources), struct ft_source,
						      link));
	source->number = number;
	source->fd = fd;
	ft_link_init(&source->link);
	ft_list_push(&d->sources, &source->link);
	d->source_count++;
}

/* --- fetches --- */

void ft_fetch_release(struct ft_fetch *fetch)
{
	if (fetch->block)
		fetch->core->block_free(fetch->core->context, fetch->block);
	ft_ticket_free(&fetch->ticket);
	if (!fetch->source)
		ft_sys_close(fetch->fd);
}

static size_t downloads_cost(const struct ft_request *request, const struct ft_offer *offer,
			     size_t note_len)
{
	return sizeof(struct ft_fetch) + note_len + strlen(offer->whose) + strlen(offer->path) + 2
	       + ft_ticket_size(request);
}

/* Its end; the last one of a client that has gone is the client's, too. */
static void downloads_end(struct ft_engine *e, struct ft_fetch *fetch)
{
	struct ft_downloader *client = fetch->client;
	struct ft_job *job = &fetch->job;

	e->charged -= downloads_cost(&fetch->ticket->request, &fetch->offer, fetch->note_len);
	client->open--;
	ft_job_free(&job);
	if (client->gone && client->open == 0)
		downloads_free_client(e, client);
}

static void downloads_refuse(struct ft_engine *e, struct ft_fetch *fetch, enum ft_status st)
{
	if (!fetch->client->gone && !e->closing)
		fetch->delivery->refuse(e, fetch, st);
	downloads_end(e, fetch);
}

static void downloads_deliver(struct ft_engine *e, struct ft_fetch *fetch, void *block)
{
	struct ft_downloads *d = e->downloads;

	d->passed += fetch->len;
	e->metrics.blocks++;
	e->metrics.block_bytes += fetch->len;
	fetch->delivery->deliver(e, fetch, block, fetch->len);
	engine_note_block(e, fetch->client->id, &fetch->offer, fetch->offset, fetch->len);
	downloads_end(e, fetch);
}

static void downloads_look_soon(struct ft_engine *e)
{
	struct ft_downloads *d = e->downloads;

	if (d->scan_ms > e->now_ms + DOWNLOADS_SOON_MS)
		d->scan_ms = e->now_ms + DOWNLOADS_SOON_MS;
}

/* --- bandwidth --- */

/* Whether it is within the bandwidth; else when it will be is noted. */
static bool downloads_may_pass(struct ft_engine *e, struct ft_fetch *fetch)
{
	struct ft_downloads *d = e->downloads;
	uint64_t own = e->options->client_download_bandwidth, all = e->options->download_bandwidth;
	int64_t now_us = e->now_ms * 1000, ready_us, all_us;

	if (fetch->paid || (own == 0 && all == 0))
		return true;
	ready_us = ft_bucket_ready_us(fetch->client->full_us);
	all_us = ft_bucket_ready_us(d->full_us);
	ready_us = ready_us > all_us ? ready_us : all_us;
	if (ready_us > now_us) {
		if (d->due_ms > ready_us / 1000 + 1)
			d->due_ms = ready_us / 1000 + 1;
		return false;
	}
	ft_bucket_take(&fetch->client->full_us, ft_bucket_cost_us(fetch->len, own), now_us);
	ft_bucket_take(&d->full_us, ft_bucket_cost_us(fetch->len, all), now_us);
	fetch->paid = true;
	return true;
}

/* --- turns --- */

enum downloads_outcome {
	DOWNLOADS_DONE,		/* the fetch is gone from its client's list */
	DOWNLOADS_LATER,	/* something has to happen first */
	DOWNLOADS_NEXT_PASS,	/* for anybody */
};

static size_t downloads_readers_max(const struct ft_engine *e)
{
	return 2 * (size_t)e->options->download_workers;
}

/* FT_OK: all of it was in the page cache. FT_BUSY: the file is another by now. */
static enum ft_status downloads_read_cached(const struct ft_fetch *fetch, int fd, void *block)
{
	ssize_t got = ft_sys_read_cached(fd, block, fetch->len, fetch->offset);

	if (got != (ssize_t)fetch->len)
		return FT_INCOMPLETE;
	return ft_offer_is_unchanged(&fetch->offer, fd) ? FT_OK : FT_BUSY;
}

static enum downloads_outcome downloads_submit(struct ft_engine *e, struct ft_fetch *fetch,
					       struct ft_source *source, void *block)
{
	fetch->block = block;
	fetch->source = source;
	if (source) {
		source->users++;
		fetch->fd = source->fd;
	}
	e->downloads->reading++;
	ft_link_remove(&fetch->job.link);
	ft_core_submit(&e->core, FT_LANE_DOWNLOAD, &fetch->job);
	return DOWNLOADS_DONE;
}

static enum downloads_outcome downloads_read(struct ft_engine *e, struct ft_fetch *fetch)
{
	struct ft_downloads *d = e->downloads;
	struct ft_source *source = downloads_source(d, fetch->offer.number);
	bool readers = d->reading < downloads_readers_max(e);
	enum ft_status st = FT_INCOMPLETE;
	void *block;

	if ((!source || fetch->cold) && !readers)
		return DOWNLOADS_LATER;
	if (!(block = e->hooks.block_new(e->hooks.context, fetch->len))) {
		ft_link_remove(&fetch->job.link);
		downloads_refuse(e, fetch, FT_NO_MEMORY);
		return DOWNLOADS_DONE;
	}
	if (source)
		st = downloads_read_cached(fetch, source->fd, block);
	fetch->cold = true;
	if (st == FT_INCOMPLETE && readers)
		return downloads_submit(e, fetch, source, block);
	if (st != FT_OK)
		e->hooks.block_free(e->hooks.context, block);
	if (st == FT_INCOMPLETE)
		return DOWNLOADS_LATER;
	ft_link_remove(&fetch->job.link);
	if (st == FT_OK) {
		e->metrics.blocks_cached++;
		downloads_deliver(e, fetch, block);
	} else {
		downloads_look_soon(e);
		downloads_refuse(e, fetch, st);
	}
	return DOWNLOADS_DONE;
}

static enum downloads_outcome downloads_try(struct ft_engine *e, struct ft_fetch *fetch)
{
	struct ft_downloads *d = e->downloads;

	if (!downloads_may_pass(e, fetch)) {
		if (e->now_ms - fetch->asked_ms < DOWNLOADS_WAIT_MS) {
			int64_t end_ms = fetch->asked_ms + DOWNLOADS_WAIT_MS;

			d->due_ms = d->due_ms < end_ms ? d->due_ms : end_ms;
			return DOWNLOADS_LATER;
		}
		ft_link_remove(&fetch->job.link);
		downloads_refuse(e, fetch, FT_RATE_LIMITED);
		return DOWNLOADS_DONE;
	}
	if (d->passed > 0 && d->passed + fetch->len > DOWNLOADS_PASS_BYTES)
		return DOWNLOADS_NEXT_PASS;
	if (fetch->len > 0)
		return downloads_read(e, fetch);
	ft_link_remove(&fetch->job.link);
	downloads_deliver(e, fetch, NULL);
	return DOWNLOADS_DONE;
}

/* The first fetch of a client, which may free the client. Whether its turn comes again. */
static enum downloads_outcome downloads_serve(struct ft_engine *e, struct ft_downloader *client)
{
	struct ft_downloads *d = e->downloads;
	struct ft_link *link = ft_list_first(&client->waiting);
	enum downloads_outcome outcome;

	client->open++;		/* it stays until we have looked for more */
	outcome = downloads_may_read(e, client)
		? downloads_try(e, FT_CONTAINER(link, struct ft_fetch, job.link)) : DOWNLOADS_LATER;
	client->open--;
	if (ft_list_first(&client->waiting))
		ft_list_push(&d->turns, &client->turn);
	else if (client->gone && client->open == 0)
		downloads_free_client(e, client);
	if (outcome == DOWNLOADS_NEXT_PASS)
		d->pump = true;
	return outcome;
}

static void downloads_begin_pass(struct ft_engine *e)
{
	struct ft_downloads *d = e->downloads;

	if (d->pass == e->passes && e->now_ms - d->pass_ms < DOWNLOADS_PASS_MS)
		return;
	d->pass = e->passes;
	d->pass_ms = e->now_ms;
	d->passed = 0;
}

static void downloads_pump(struct ft_engine *e)
{
	struct ft_downloads *d = e->downloads;
	struct ft_link *link;
	int idle = 0;

	d->pump = false;
	d->due_ms = INT64_MAX;
	while (!d->pump && idle < DOWNLOADS_TURNS_MAX && (link = ft_list_pop(&d->turns)) != NULL)
		if (downloads_serve(e, FT_CONTAINER(link, struct ft_downloader, turn))
		    == DOWNLOADS_LATER)
			idle++;
}

/* --- asking --- */

static struct ft_fetch *downloads_new_fetch(struct ft_engine *e, const struct ft_request *request,
					    const struct ft_want *want)
{
	const struct ft_offer *offer = want->offer;
	size_t whose_len = strlen(offer->whose) + 1, path_len = strlen(offer->path) + 1;
	struct ft_fetch *fetch = calloc(1, sizeof *fetch + want->note_len + whose_len + path_len);
	uint64_t left = offer->stat.size > want->offset ? offer->stat.size - want->offset : 0;
	char *texts;

	if (!fetch || !(fetch->ticket = ft_ticket_new(request))) {
		free(fetch);
		return NULL;
	}
	fetch->job.kind = FT_JOB_FETCH;
	ft_link_init(&fetch->job.link);
	fetch->core = &e->core;
	fetch->delivery = want->delivery;
	/* Not what is the scanner's own in it, who may be writing that now. */
	fetch->offer = (struct ft_offer){
		.scope = offer->scope, .stat = offer->stat, .hashed = true,
		.sha256 = offer->sha256, .number = offer->number,
	};
	fetch->note = fetch->texts;
	fetch->note_len = want->note_len;
	if (want->note_len > 0)
		memcpy(fetch->texts, want->note, want->note_len);
	texts = fetch->texts + want->note_len;
	fetch->offer.whose = memcpy(texts, offer->whose, whose_len);
	fetch->offer.path = memcpy(texts + whose_len, offer->path, path_len);
	fetch->offset = want->offset;
	fetch->len = want->len < left ? want->len : (size_t)left;
	fetch->asked_ms = e->now_ms;
	fetch->fd = -1;
	return fetch;
}

enum ft_status engine_fetch(struct ft_engine *e, const struct ft_request *request,
			    const struct ft_want *want)
{
	size_t cost = downloads_cost(request, want->offer, want->note_len);
	struct ft_downloader *client;
	struct ft_fetch *fetch;
	enum ft_status st;

	if ((st = downloads_client(e, request, &client)) != FT_OK
	    || (st = engine_check_memory(e, cost)) != FT_OK)
		return st;
	if (client->open >= e->options->max_requests_per_client)
		return FT_BUSY;
	if (!(fetch = downloads_new_fetch(e, request, want)))
		return FT_NO_MEMORY;
	e->charged += cost;
	fetch->client = client;
	client->open++;
	ft_list_push(&client->waiting, &fetch->job.link);
	if (ft_link_listed(&client->turn))
		return FT_OK;
	downloads_begin_pass(e);
	if (downloads_serve(e, client) == DOWNLOADS_NEXT_PASS)
		e->hooks.notify(e->hooks.context);
	return FT_OK;
}

/* --- what comes back --- */

static void downloads_leave_source(struct ft_engine *e, struct ft_fetch *fetch)
{
	struct ft_source *source = fetch->source;

	if (source) {
		fetch->source = NULL;
		source->users--;
		if (source->dropped)
			downloads_drop_source(e, source);
	} else if (fetch->fd >= 0 && fetch->job.status == FT_OK && !e->closing) {
		downloads_keep_source(e, fetch->offer.number, fetch->fd);
	} else if (fetch->fd >= 0) {
		downloads_close(e, fetch->fd);
	}
	fetch->fd = -1;
}

void engine_take_fetch(struct ft_engine *e, struct ft_fetch *fetch)
{
	struct ft_downloads *d = e->downloads;
	enum ft_status st = fetch->job.status;
	void *block = fetch->block;

	d->reading--;
	d->pump = true;
	downloads_leave_source(e, fetch);
	if (st == FT_BUSY || st == FT_NO_SUCH_FILE)
		downloads_look_soon(e);
	if (st == FT_NO_SUCH_FILE)
		st = FT_BUSY;	/* it was there a moment ago; the next look will tell */
	if (fetch->client->gone)
		e->metrics.blocks_absent++;
	if (st != FT_OK || fetch->client->gone || e->closing) {
		downloads_refuse(e, fetch, st);
		return;
	}
	fetch->block = NULL;
	downloads_begin_pass(e);
	downloads_deliver(e, fetch, block);
}

static bool downloads_publish_news(struct ft_engine *e, const struct ft_scan *scan)
{
	for (size_t i = 0; i < scan->news_count; i++) {
		const struct ft_offer_news *news = &scan->news[i];
		const struct ft_message message = {
			.topic = news->topic, .payload = news->payload, .len = news->len,
			.json = news->len > 0, .retain = true, .qos = 1,
		};

		if (e->closing || !e->hooks.publish(e->hooks.context, &message))
			return false;
	}
	return true;
}

void engine_take_scan(struct ft_engine *e, struct ft_scan *scan)
{
	struct ft_downloads *d = e->downloads;
	struct ft_link *link;

	assert(!d->scan);
	d->scan = scan;
	d->scan_ms = e->now_ms + (scan->again_ms >= 0 ? scan->again_ms
						      : (int64_t)e->options->offers_interval * 1000);
	if (scan->looked && d->offers != scan->offers) {
		d->offers = scan->offers;
		d->generation++;
		e->metrics.offered = scan->offers->count;
		while ((link = ft_list_first(&d->sources)) != NULL)
			downloads_drop_source(e, FT_CONTAINER(link, struct ft_source, link));
	}
	if (scan->jobs_changed)
		engine_take_index(e, scan->jobs);
	scan->told = downloads_publish_news(e, scan);
	if (!scan->told)
		d->scan_ms = e->now_ms + DOWNLOADS_WAIT_MS;
}

static void downloads_look(struct ft_engine *e)
{
	struct ft_downloads *d = e->downloads;
	struct ft_scan *scan = d->scan;

	if (!scan || e->closing || (!d->look_now && e->now_ms < d->scan_ms))
		return;
	d->look_now = false;
	d->scan = NULL;
	ft_core_submit(&e->core, FT_LANE_OFFERS, &scan->job);
}

void engine_look_at_offers(struct ft_engine *e)
{
	if (!e->downloads)
		return;
	e->downloads->look_now = true;
	downloads_look(e);
}

bool engine_run_downloads(struct ft_engine *e)
{
	struct ft_downloads *d = e->downloads;

	if (!d)
		return false;
	if (ft_offer_watch_take(d->watch))
		d->look_now = true;
	downloads_look(e);
	if (!d->pump && e->now_ms < d->due_ms)
		return false;
	downloads_begin_pass(e);
	downloads_pump(e);
	return d->pump;
}

int64_t engine_downloads_due_ms(const struct ft_engine *e)
{
	const struct ft_downloads *d = e->downloads;

	if (!d)
		return INT64_MAX;
	if (d->scan && d->look_now)
		return e->now_ms;
	return d->scan && d->scan_ms < d->due_ms ? d->scan_ms : d->due_ms;
}

void engine_drop_downloader(struct ft_engine *e, const char *client_id)
{
	struct ft_downloads *d = e->downloads;
	struct ft_downloader **slot, *client;
	struct ft_link *link;

	if (!d || !client_id)
		return;
	slot = downloads_slot(d, downloads_hash(e, client_id), client_id);
	if (!(client = *slot))
		return;
	*slot = client->next;
	engine_note_gone(e, client);
	client->gone = true;
	ft_link_remove(&client->turn);
	ft_link_remove(&client->thing.link);
	client->open++;
	while ((link = ft_list_pop(&client->waiting)) != NULL)
		downloads_refuse(e, FT_CONTAINER(link, struct ft_fetch, job.link), FT_CANCELLED);
	if (--client->open == 0)
		downloads_free_client(e, client);
}

/* --- start and end --- */

enum ft_status engine_start_downloads(struct ft_engine *e)
{
	struct ft_downloads *d;

	if (e->options->downloads == 0)
		return FT_OK;
	if (!(d = e->downloads = calloc(1, sizeof *d)))
		return FT_NO_MEMORY;
	d->due_ms = INT64_MAX;
	ft_list_init(&d->turns);
	ft_list_init(&d->sources);
	if (engine_start_things(e) != FT_OK || !(d->scan = ft_scan_new()))
		return FT_NO_MEMORY;
	d->scan->watch = d->watch = ft_offer_watch_new(&e->core);
	d->scan_ms = e->now_ms;
	downloads_look(e);
	return engine_start_download_events(e);
}

/* All jobs have come back, or were freed with their queue. */
void engine_release_downloads(struct ft_engine *e)
{
	struct ft_downloads *d = e->downloads;
	struct ft_link *link;

	if (!d)
		return;
	engine_release_things(e);
	for (size_t i = 0; i < DOWNLOADS_BUCKETS; i++) {
		while (d->clients[i]) {
			/* Those that were at workers are freed already. */
			d->clients[i]->open = 0;
			for (link = d->clients[i]->waiting.head.next;
			     link != &d->clients[i]->waiting.head; link = link->next)
				d->clients[i]->open++;
			engine_drop_downloader(e, d->clients[i]->id);
		}
	}
	while ((link = ft_list_pop(&d->sources)) != NULL) {
		struct ft_source *source = FT_CONTAINER(link, struct ft_source, link);

		ft_sys_close(source->fd);
		free(source);
	}
	ft_offer_watch_free(&d->watch);
	if (d->scan) {
		struct ft_job *job = &d->scan->job;

		ft_job_free(&job);
	}
	engine_release_download_events(e);
	free(d);
	e->downloads = NULL;
}

/* --- on a worker --- */

void ft_fetch_run(struct ft_core *core, struct ft_fetch *fetch)
{
	enum ft_status st = FT_OK;
	ssize_t got = 0;

	if (!fetch->source)
		st = ft_offer_open(core, &fetch->offer, &fetch->fd);
	if (st == FT_OK)
		got = ft_sys_read_all(fetch->fd, fetch->block, fetch->len, fetch->offset);
	if (got < 0)
		st = FT_IO_ERROR;
	else if (st == FT_OK && (got < (ssize_t)fetch->len
				 || !ft_offer_is_unchanged(&fetch->offer, fetch->fd)))
		st = FT_BUSY;
	if (st == FT_OK)
		(void)(posix_fadvise(fetch->fd, (off_t)(fetch->offset + fetch->len),
				     DOWNLOADS_READ_AHEAD, POSIX_FADV_WILLNEED) != 0);
	fetch->job.status = st;
	ft_core_tell_broker(core, &fetch->job);
}
