/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/engine_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"

#define LOG_ID_MAX 80	/* bytes of an id in a log line */
#define LOG_ROOM 900

void ft_engine_log(struct ft_engine *engine, enum ft_log_level level, const struct ft_key *key,
		   const char *format, ...)
{
	char room[LOG_ROOM];
	struct ft_buf line = ft_buf_on(room, sizeof room);
	va_list arguments;
	int len;

	ft_buf_str(&line, "client '");
	ft_buf_printable(&line, key->client, key->client_len, LOG_ID_MAX);
	ft_buf_str(&line, "', file '");
	ft_buf_printable(&line, key->file, key->file_len, LOG_ID_MAX);
	ft_buf_str(&line, "': ");
	va_start(arguments, format);
	len = vsnprintf(room + line.len, sizeof room - line.len, format, arguments);
	va_end(arguments);
	if (len >= 0)
		ft_logger_printf(engine->log, level, "%s", room);
}

/* Gives the entry its upload and what the manifest says. Consumes the upload on success. */
static enum ft_status adopt(struct ft_transfer *t, const struct ft_manifest *manifest,
			    struct ft_upload **upload)
{
	if (!t->meta && !(t->meta = malloc(sizeof *t->meta)))
		return FT_NO_MEMORY;
	*t->meta = manifest->meta;
	t->segments_ttl = manifest->segments_ttl;
	memcpy(t->transfer_id, manifest->transfer_id, sizeof t->transfer_id);
	memcpy(t->received_at, manifest->received_at, sizeof t->received_at);
	t->upload = *upload;
	*upload = NULL;
	return FT_OK;
}

/* Finds or makes the entry of a key. */
static struct ft_transfer *entry_of(struct ft_engine *e, const struct ft_key *key)
{
	struct ft_transfer *t = ft_registry_find(&e->registry, key);

	if (t || !(t = ft_registry_add(&e->registry, key)))
		return t;
	t->news_ms = e->now_ms;
	return t;
}

/* Brings what the store holds under a key into the registry. */
static enum ft_status load(struct ft_engine *e, const struct ft_key *key,
			   struct ft_transfer **out)
{
	struct ft_upload *upload = NULL;
	struct ft_manifest manifest;
	struct ft_transfer *t;
	enum ft_status st;
	char *text = NULL;
	size_t len = 0;

	if ((st = e->ops->load(e->store, key, &text, &len, &upload)) != FT_OK)
		return st;
	if ((st = ft_manifest_read(&manifest, text, len)) == FT_DAMAGED)
		e->ops->set_aside(&upload, "its manifest.json is not a manifest");
	else if (st == FT_OK && !(t = entry_of(e, key)))
		st = FT_NO_MEMORY;
	else if (st == FT_OK && (st = adopt(t, &manifest, &upload)) == FT_OK)
		*out = t;
	if (upload)
		e->ops->release(&upload);
	free(text);
	return st;
}

enum ft_status ft_engine_lookup(struct ft_engine *e, const struct ft_key *key,
				struct ft_transfer **out)
{
	struct ft_transfer *t = ft_registry_find(&e->registry, key);
	enum ft_status st;

	*out = t;
	if (t && t->upload)
		return FT_OK;
	st = load(e, key, out);
	/* An entry without anything behind it: found by the scan, damaged or removed since. */
	if (st == FT_NO_SUCH_TRANSFER || st == FT_DAMAGED) {
		if (t)
			ft_engine_forget(e, &t);
		*out = NULL;
		return FT_NO_SUCH_TRANSFER;
	}
	return st;
}

enum ft_status ft_engine_finished(struct ft_engine *e, const struct ft_key *key,
				  struct ft_manifest *manifest)
{
	char *text = NULL;
	size_t len = 0;
	enum ft_status st;

	st = e->ops->find(e->store, key, &text, &len);
	if (st == FT_DAMAGED)	/* the store has set it aside, and said so */
		return FT_NO_SUCH_TRANSFER;
	if (st == FT_OK)
		st = ft_manifest_read(manifest, text, len);
	free(text);
	if (st == FT_DAMAGED) {
		ft_engine_log(e, FT_LOG_ERROR, key, "the manifest of the finished file cannot be "
			      "read: repair it, or remove it to forget the transfer");
		return FT_IO_ERROR;
	}
	return st;
}

enum ft_status ft_engine_check_space(struct ft_engine *e, uint64_t len)
{
	uint64_t available;
	enum ft_status st;

	if (e->options->min_free_space == 0 || !e->ops->space)
		return FT_OK;
	if ((st = e->ops->space(e->store, &available)) != FT_OK)
		return st;
	if (available < e->options->min_free_space
	    || available - e->options->min_free_space < len)
		return FT_DISK_FULL;
	return FT_OK;
}

static enum ft_status check_limits(struct ft_engine *e, const struct ft_key *key,
				   const struct ft_meta *meta)
{
	if (e->registry.count >= e->options->max_transfers)
		return FT_TOO_MANY_TRANSFERS;
	if (ft_registry_client_count(&e->registry, key->client, key->client_len)
	    >= e->options->max_transfers_per_client)
		return FT_TOO_MANY_TRANSFERS;
	return ft_engine_check_space(e, meta->has_size ? meta->size : 0);
}

/* Creates the transfer in the store. */
static enum ft_status create(struct ft_engine *e, const struct ft_key *key,
			     const struct ft_init *init, struct ft_manifest *manifest,
			     struct ft_upload **upload)
{
	enum ft_status st;
	char *text = NULL;
	size_t len = 0;

	memset(manifest, 0, sizeof *manifest);
	manifest->meta = init->meta;
	manifest->segments_ttl = init->segments_ttl;
	ft_uuid(manifest->transfer_id);
	ft_rfc3339(manifest->received_at, ft_clock_unix_ms());
	st = ft_manifest_begin(init, key, manifest->transfer_id, manifest->received_at, &text,
			       &len);
	if (st == FT_OK)
		st = e->ops->create(e->store, key, text, len, upload);
	free(text);
	return st;
}

enum ft_status ft_engine_begin(struct ft_engine *e, const struct ft_key *key,
			       const struct ft_init *init, struct ft_transfer **out)
{
	struct ft_upload *upload = NULL;
	struct ft_manifest manifest;
	struct ft_transfer *t;
	enum ft_status st;

	if ((st = check_limits(e, key, &init->meta)) != FT_OK)
		return st;
	if ((st = create(e, key, init, &manifest, &upload)) != FT_OK)
		return st;
	if (!(t = entry_of(e, key)) || (st = adopt(t, &manifest, &upload)) != FT_OK) {
		e->ops->release(&upload);	/* found again at the next touch */
		return FT_NO_MEMORY;
	}
	*out = t;
	ft_engine_log(e, FT_LOG_DEBUG, key, "begun as '%s'", t->meta->name);
	return FT_OK;
}

enum ft_status ft_engine_discard(struct ft_engine *e, struct ft_transfer **transfer,
				 struct ft_ticket *ticket)
{
	struct ft_transfer *t = *transfer;
	struct ft_purge *purge = e->purges < FT_PURGES_MAX ? ft_purge_new() : NULL;
	enum ft_status st = e->purges < FT_PURGES_MAX ? FT_NO_MEMORY : FT_BUSY;

	if (purge)
		st = e->ops->detach(&t->upload, &purge->trash);
	if (st != FT_OK) {
		if (purge)
			ft_sweep_free(&purge->sweep);
		if (st == FT_NO_SUCH_TRANSFER)
			ft_engine_let_go(e, transfer);
		return st;
	}
	purge->ticket = ticket;
	e->purges++;
	ft_pool_submit(e->sweepers, &purge->sweep.job);
	ft_engine_forget(e, transfer);
	return FT_OK;
}

/* The scan may have seen it just before: what it brings then must not bring it back. */
static void note_gone(struct ft_engine *e, uint64_t hash)
{
	if (e->gone_count == e->gone_room) {
		size_t room = e->gone_room ? 2 * e->gone_room : 64;
		uint64_t *gone = realloc(e->gone, room * sizeof *gone);

		if (!gone)	/* an entry may come back, and counts until it expires */
			return;
		e->gone = gone;
		e->gone_room = room;
	}
	e->gone[e->gone_count++] = hash;
}

static bool is_gone(const struct ft_engine *e, uint64_t hash)
{
	for (size_t i = 0; i < e->gone_count; i++)
		if (e->gone[i] == hash)
			return true;
	return false;
}

void ft_engine_forget(struct ft_engine *e, struct ft_transfer **transfer)
{
	if (e->scanning)
		note_gone(e, (*transfer)->hash);
	if ((*transfer)->job)
		(*transfer)->job->owner = NULL;
	ft_registry_remove(&e->registry, transfer);
}

void ft_engine_let_go(struct ft_engine *e, struct ft_transfer **transfer)
{
	e->ops->release(&(*transfer)->upload);
	ft_engine_forget(e, transfer);
}

void ft_engine_end_scan(struct ft_engine *e)
{
	e->scanning = false;
	free(e->gone);
	e->gone = NULL;
	e->gone_count = e->gone_room = 0;
}

void ft_engine_note_found(struct ft_engine *e, const struct ft_scan_part *part)
{
	int64_t now_unix_s = ft_clock_unix_ms() / 1000;

	for (size_t i = 0; i < part->count; i++) {
		struct ft_key key = {
			.client = part->found[i].ids,
			.client_len = part->found[i].client_len,
			.file = part->found[i].ids + part->found[i].client_len,
			.file_len = part->found[i].file_len,
		};
		int64_t age_s = now_unix_s - part->found[i].last_news;
		struct ft_transfer *t = ft_registry_find(&e->registry, &key);

		if (t || is_gone(e, ft_registry_hash(&e->registry, &key))
		    || !(t = ft_registry_add(&e->registry, &key)))
			continue;
		t->news_ms = e->now_ms - (age_s > 0 ? age_s : 0) * 1000;
		t->segments_ttl = part->found[i].segments_ttl;
	}
}

/* Seconds that the transfer may be without news. */
static uint64_t ttl_of(const struct ft_engine *e, const struct ft_transfer *t)
{
	const struct ft_options *o = e->options;

	if (t->segments_ttl == 0)
		return o->segments_ttl;
	if (t->segments_ttl < o->segments_ttl_min)
		return o->segments_ttl_min;
	return t->segments_ttl < o->segments_ttl_max ? t->segments_ttl : o->segments_ttl_max;
}

void ft_engine_expire(struct ft_engine *e, struct ft_transfer *t)
{
	struct ft_key key = ft_transfer_key(t);
	uint64_t ttl_s = ttl_of(e, t);
	uint64_t bytes;

	if (t->state != FT_STATE_RECEIVING || t->job
	    || e->now_ms - t->news_ms < (int64_t)ttl_s * 1000 || e->purges >= FT_PURGES_MAX)
		return;
	e->expiries++;
	/* Only now is an entry of the scan loaded: most never need to be. */
	if (ft_engine_lookup(e, &key, &t) != FT_OK)
		return;
	bytes = t->upload->held.bytes;
	ft_engine_log(e, FT_LOG_NOTICE, &key, "expired: no news for %llu s, %llu bytes held are "
		      "removed", (unsigned long long)ttl_s, (unsigned long long)bytes);
	if (ft_engine_discard(e, &t, NULL) != FT_OK && t)
		t->news_ms = e->now_ms - (int64_t)ttl_s * 1000 + 60 * 1000;	/* in a minute again */
}
