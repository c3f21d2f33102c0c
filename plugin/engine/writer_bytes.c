/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Bytes on their way from the log to the store.
 *
 * Small neighbours are joined in one buffer, and written and hashed together; what is large goes
 * straight from the log, in pieces that are still in the cache when they are written.
 *
 * A write that fails for want of room is held back: the transfer's records stay in the log and
 * are tried again. Another error costs the bytes: they count as not held, and the broker's thread
 * is told, so that the client hears of it at fin.
 */
#include "engine/writer_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "protocol/topic.h"

#define BYTES_PIECE ((size_t)256 * 1024)	/* hashed and written while in the cache */
#define BYTES_OPEN_MAX 64			/* uploads that are open at a time */

/* --- the upload --- */

void writer_close_upload(struct ft_writer *w, struct writer_transfer *t)
{
	if (!t->upload)
		return;
	w->core->ops->upload_close(&t->upload);
	ft_link_remove(&t->open);
	w->open_count--;
}

enum ft_status writer_open_upload(struct ft_writer *w, struct writer_transfer *t,
				  enum ft_upload_mode mode)
{
	enum ft_status st;

	if (t->upload) {
		ft_link_remove(&t->open);
		ft_list_push(&w->open, &t->open);
		return FT_OK;
	}
	if (w->open_count >= BYTES_OPEN_MAX)
		writer_close_upload(w, FT_CONTAINER(ft_list_first(&w->open),
						    struct writer_transfer, open));
	st = w->core->ops->upload_open(w->core->store, &t->facts.key, mode, &t->upload);
	/* Others may have taken the descriptors: ours can be spared. */
	while (st == FT_BUSY && ft_list_first(&w->open)) {
		writer_close_upload(w, FT_CONTAINER(ft_list_first(&w->open),
						    struct writer_transfer, open));
		st = w->core->ops->upload_open(w->core->store, &t->facts.key, mode, &t->upload);
	}
	if (st == FT_OK) {
		ft_store_upload_expect(t->upload, t->facts.meta.name, t->facts.transfer_id);
		ft_list_push(&w->open, &t->open);
		w->open_count++;
	}
	return st;
}

/* --- what goes wrong --- */

void writer_lose(struct ft_writer *w, struct writer_transfer *t, uint64_t start, uint64_t end,
		 enum ft_status why)
{
	while (ft_ranges_remove(&t->held, start, end) != FT_OK
	       || ft_ranges_remove(&t->durable, start, end) != FT_OK)
		ft_core_wait_for_memory();
	t->overwritten = true;
	writer_note_held(w, t, start, end);
	writer_note(w, t, WRITER_NEWS_DURABLE);
	ft_core_log(w->core, FT_LOG_ERROR, &t->facts.key, "bytes %llu to %llu are not in the store (%s); "
		    "they count as not sent", (unsigned long long)start, (unsigned long long)end,
		    ft_status_word(why));
}

static bool bytes_wait_for_room(enum ft_status st)
{
	return st == FT_DISK_FULL || st == FT_BUSY || st == FT_NO_MEMORY;
}

/* --- hashing --- */

/* The hash follows what comes in order; a finisher reads the rest. */
static void bytes_hash(struct writer_transfer *t, uint64_t offset, const uint8_t *bytes, size_t len)
{
	if (offset == 0 && !t->hasher)
		t->hasher = ft_hasher_new();
	if (t->hasher && ft_hasher_position(t->hasher) == offset
	    && !ft_hasher_update(t->hasher, bytes, len)) {
		ft_hasher_free(t->hasher);
		t->hasher = NULL;
	}
}

/* --- writing --- */

static enum ft_status bytes_write(struct ft_writer *w, struct writer_transfer *t, uint64_t offset,
				  const uint8_t *bytes, size_t len)
{
	enum ft_status st = FT_OK;

	for (size_t done = 0, piece; st == FT_OK && done < len; done += piece) {
		piece = len - done < BYTES_PIECE ? len - done : BYTES_PIECE;
		bytes_hash(t, offset + done, bytes + done, piece);
		st = w->core->ops->write(t->upload, offset + done, bytes + done, piece);
	}
	return st;
}

/*
 * Writes bytes that are not held, or differ from what is. Until the catalog knows better,
 * a power cut may leave old bytes, new ones or both: so what is durable there is forgotten first.
 */
static enum ft_status bytes_put(struct ft_writer *w, struct writer_transfer *t, uint64_t offset,
				const uint8_t *bytes, size_t len)
{
	enum ft_upload_mode mode = t->held.bytes == 0 ? FT_UPLOAD_CREATE : FT_UPLOAD_EXISTING;
	enum ft_status st;

	if (ft_ranges_overlap(&t->durable, offset, offset + len)) {
		if ((st = ft_ranges_remove(&t->durable, offset, offset + len)) != FT_OK)
			return st;
		writer_note(w, t, WRITER_NEWS_DURABLE);
		if ((st = writer_commit(w)) == FT_OK)
			st = ft_catalog_sync(w->core->catalog);
		if (st != FT_OK)
			return st == FT_DISK_FULL ? st : FT_BUSY;
	}
	if (ft_ranges_overlap(&t->held, offset, offset + len))
		t->overwritten = true;
	if (t->hasher && offset < ft_hasher_position(t->hasher)) {
		ft_hasher_free(t->hasher);
		t->hasher = NULL;
	}
	if ((st = writer_open_upload(w, t, mode)) != FT_OK)
		return st;
	return bytes_write(w, t, offset, bytes, len);
}

/* Whether all of [offset, offset + len) is held with just these bytes. */
static bool bytes_are_held(struct ft_writer *w, struct writer_transfer *t, uint64_t offset,
			   const uint8_t *bytes, size_t len)
{
	if (!ft_ranges_cover(&t->held, offset, offset + len)
	    || writer_open_upload(w, t, FT_UPLOAD_EXISTING) != FT_OK)
		return false;
	for (size_t done = 0, piece; done < len; done += piece) {
		piece = len - done < WRITER_GATHER_MAX ? len - done : WRITER_GATHER_MAX;
		if (w->core->ops->read(t->upload, offset + done, w->compare, piece) != FT_OK
		    || memcmp(w->compare, bytes + done, piece) != 0)
			return false;
	}
	return true;
}

/* Says once why what was acknowledged waits in the log. */
static void bytes_say_held_back(struct ft_writer *w, enum ft_status st)
{
	if (atomic_exchange(&w->core->disk_full, true))
		return;
	ft_logger_printf(w->core->logger, FT_LOG_ERROR, "%s: up to %llu bytes that were acknowledged "
			 "wait in the log until they can be stored%s",
			 st == FT_DISK_FULL ? "the disk of storage_dir is full" :
			 st == FT_BUSY ? "no file descriptors are left" : "memory is short",
			 (unsigned long long)ft_log_fill(w->core->log),
			 st == FT_DISK_FULL ? "; free space there" : "");
}

/* What is written counts as held; there may be no memory to say so. */
static enum ft_status bytes_put_held(struct ft_writer *w, struct writer_transfer *t,
				     uint64_t offset, const uint8_t *bytes, size_t len)
{
	enum ft_status st;

	if ((st = bytes_put(w, t, offset, bytes, len)) != FT_OK)
		return st;
	return ft_ranges_restore(&t->held, offset, offset + len);
}

static void bytes_note_stored(struct ft_writer *w, struct writer_transfer *t, uint64_t offset,
			      size_t len)
{
	if (t->unsynced == 0)
		t->unsynced_ms = w->now_ms;
	t->unsynced += len;
	writer_note_held(w, t, offset, offset + len);
}

/* Somebody removed the bytes that came before: what comes now is the first that there is. */
static enum ft_status bytes_put_anew(struct ft_writer *w, struct writer_transfer *t,
				     uint64_t offset, const uint8_t *bytes, size_t len)
{
	enum ft_status st;

	writer_close_upload(w, t);
	writer_lose(w, t, 0, FT_NUMBER_MAX, FT_NO_SUCH_TRANSFER);
	st = bytes_put_held(w, t, offset, bytes, len);
	writer_tell_lost(w, t, 0, FT_NUMBER_MAX, &t->held, FT_NO_SUCH_TRANSFER);
	return st;
}

/* FT_OK: it is stored, or lost and told so. Else it has to be kept in the log. */
static enum ft_status bytes_store_now(struct ft_writer *w, struct writer_transfer *t,
				      uint64_t offset, const uint8_t *bytes, size_t len)
{
	enum ft_status st;

	if (bytes_are_held(w, t, offset, bytes, len))
		return FT_OK;
	if ((st = bytes_put_held(w, t, offset, bytes, len)) == FT_NO_SUCH_TRANSFER)
		st = bytes_put_anew(w, t, offset, bytes, len);
	if (st == FT_OK) {
		bytes_note_stored(w, t, offset, len);
		return FT_OK;
	}
	ft_hasher_free(t->hasher);	/* it may be ahead of what was written */
	t->hasher = NULL;
	if (bytes_wait_for_room(st)) {
		bytes_say_held_back(w, st);
		return st;
	}
	writer_lose(w, t, offset, offset + len, st);
	writer_tell_lost(w, t, offset, offset + len, NULL, st);
	return FT_OK;
}

/* One after the other: where one has to be kept, all behind it have to be. */
static void bytes_store_pieces(struct ft_writer *w, struct writer_transfer *t,
			       const struct ft_piece *pieces, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct ft_piece *piece = &pieces[i];

		if (t->piece_count > 0
		    || bytes_store_now(w, t, piece->offset, piece->bytes, piece->len) != FT_OK)
			writer_keep(t, piece->offset, piece->bytes, piece->len);
	}
	if (t->piece_count > 0)
		writer_pin(w, t, w->round_start);
}

void writer_flush(struct ft_writer *w)
{
	struct writer_transfer *t = w->gathering;
	size_t len = 0;

	w->gathering = NULL;
	if (!t)
		return;
	if (w->gather_count > 1) {
		for (size_t i = 0; i < w->gather_count; i++) {
			memcpy(w->gather + len, w->gathered[i].bytes, w->gathered[i].len);
			len += w->gathered[i].len;
		}
		if (bytes_store_now(w, t, w->gathered[0].offset, w->gather, len) == FT_OK)
			return;
	}
	bytes_store_pieces(w, t, w->gathered, w->gather_count);
}

void writer_store(struct ft_writer *w, struct writer_transfer *t, uint64_t offset,
		  const uint8_t *bytes, size_t len)
{
	assert(t->state == WRITER_STORED && len > 0);
	if (t->pin != WRITER_PIN_NONE) {	/* held back: in order, behind the others */
		writer_keep(t, offset, bytes, len);
		return;
	}
	if (w->gathering
	    && (w->gathering != t || w->gather_end != offset || w->gather_count == WRITER_GATHER_PIECES
		|| len > WRITER_GATHER_MAX - (size_t)(w->gather_end - w->gathered[0].offset)))
		writer_flush(w);
	if (!w->gathering) {
		w->gathering = t;
		w->gather_count = 0;
	}
	w->gathered[w->gather_count++] = (struct ft_piece){ offset, bytes, len };
	w->gather_end = offset + len;
	if (len >= BYTES_PIECE / 4)	/* joining would cost more than it saves */
		writer_flush(w);
}

/* --- what stays in the log --- */

void writer_keep(struct writer_transfer *t, uint64_t offset, const uint8_t *bytes, size_t len)
{
	if (t->piece_count == t->piece_room) {
		size_t room = t->piece_room ? 2 * t->piece_room : 4;
		struct ft_piece *pieces = ft_core_alloc(room * sizeof *pieces);

		if (t->piece_count > 0)
			memcpy(pieces, t->pieces, t->piece_count * sizeof *pieces);
		free(t->pieces);
		t->pieces = pieces;
		t->piece_room = room;
	}
	t->pieces[t->piece_count++] = (struct ft_piece){ offset, bytes, len };
	t->piece_bytes += len;
}

void writer_settle(struct ft_writer *w, struct writer_transfer *t)
{
	struct ft_piece *pieces = t->pieces;
	size_t count = t->piece_count;

	if (t->state == WRITER_PENDING) {
		writer_move(t, WRITER_STORED);
		writer_note(w, t, WRITER_NEWS_BEGUN | WRITER_NEWS_TIME);
		/* They are held as soon as they are written. */
		ft_ranges_release(&t->held);
	}
	t->pieces = NULL;
	t->piece_count = t->piece_room = 0;
	t->piece_bytes = 0;
	bytes_store_pieces(w, t, pieces, count);
	free(pieces);
	if (t->piece_count == 0)
		writer_unpin(t);
}

enum ft_status writer_compare_finished(struct ft_writer *w, const struct writer_transfer *t,
				       uint64_t offset, const uint8_t *bytes, size_t len)
{
	enum ft_status st;

	if (offset > t->finished_size || len > t->finished_size - offset)
		return FT_ALREADY_COMPLETE;
	for (size_t done = 0, piece; done < len; done += piece) {
		piece = len - done < WRITER_GATHER_MAX ? len - done : WRITER_GATHER_MAX;
		st = w->core->ops->read_finished(w->core->store, &t->facts.key, t->facts.meta.name,
						 offset + done, w->compare, piece);
		/* A consumer has taken the file: what it held cannot be told any more. */
		if (st == FT_NO_SUCH_TRANSFER)
			return FT_OK;
		if (st != FT_OK)
			return st;
		if (memcmp(w->compare, bytes + done, piece) != 0)
			return FT_ALREADY_COMPLETE;
	}
	return FT_OK;
}

