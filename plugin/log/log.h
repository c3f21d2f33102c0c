/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The log: what was acknowledged and is not yet in store and catalog.
 *
 * A file of fixed size, mapped into memory. The broker's thread appends a record by one
 * memcpy and no system call; the writer takes records in order, and releases what store
 * and catalog have. A process that is killed leaves a record whole or not at all: the
 * kernel has the pages. After a start the records that were not released are taken again,
 * before anything is appended.
 *
 *	broker		st = ft_log_append(log, &entry);		FT_BUSY: no room
 *	writer		while (ft_log_take(log, &record)) apply(&record);
 *			ft_log_release(log, position of what is still needed);
 *			ft_log_sleep(log, ms);				until there is something
 *
 * FORMAT (version 1, all numbers little endian)
 *
 *	page 0		header: magic "ft-log\n\0", u32 version, u32 header length, u64 size of the
 *			ring, 16 bytes random id, identity[256] (text: boot, storage), u64 tail
 *	page 1...	ring of `size` bytes
 *
 *	A position counts bytes from the log's creation and never decreases; it lies in the
 *	ring at position % size. A record is 8-byte aligned and never crosses the ring's end:
 *	a record of kind FT_RECORD_PAD fills what is left of a lap.
 *
 *	record		u64 position	where it is: stored last, with release
 *			u32 length	header, head and bytes, without padding to 8
 *			u32 head_len
 *			u16 kind, u16 flags
 *			u32 crc		CRC-32C of all but `position` and itself; 0 unless synced
 *			u64 number	of the transfer
 *			u64 offset
 *			head_len bytes of head, then bytes
 *
 *	A record counts if its `position` is where it was looked for, its length fits and its
 *	kind is known; records count from `tail` on until one does not. A stale record has an
 *	older position. After a power cut (other identity) no record counts, but in a log whose
 *	records are synced those with the right crc.
 *
 * When all is released the next record begins a new lap, so that at low rates the same few
 * pages are used. The writer touches pages ahead of the head, so that the broker's thread
 * takes no page fault that could wait for a disk.
 *
 * THREADS. append, has_room, wait_room, fill: the broker's; take, release, sleep: the writer's;
 * open and close: when there is no other thread. ft_log_wake(): any.
 */
#ifndef FT_LOG_LOG_H
#define FT_LOG_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "file_transfer/logger.h"
#include "file_transfer/status.h"

#define FT_LOG_IDENTITY_ROOM 256
#define FT_LOG_ID_LEN 16

/* On disk: never renumber. What each carries is in log/record.h. */
enum ft_record_kind {
	FT_RECORD_PAD = 1,	/* the log's own: the rest of a lap */
	FT_RECORD_BEGIN = 2,	/* a transfer is begun */
	FT_RECORD_DESCRIBE = 3,	/* a transfer's newer expire_at, segments_ttl, user_data */
	FT_RECORD_REFUSE = 4,	/* an init was refused: segments and fin are, until the next good one */
	FT_RECORD_BYTES = 5,	/* a segment */
	FT_RECORD_FIN = 6,	/* all sent: assemble */
	FT_RECORD_ABORT = 7,	/* the client forgets the transfer */
	FT_RECORD_EXPIRE = 8,	/* the broker does */
	FT_RECORD_NEWS = 9,	/* a command that changed nothing but the time of the last news */
	FT_RECORD_ANSWERED = 10,	/* the response to a fin was published */
	FT_RECORD_KINDS
};

enum ft_log_sync {
	FT_LOG_MAPPED,		/* survives the process */
	FT_LOG_SYNCED,		/* each append is on the disk when it returns */
};

/* What was found when a log was opened. */
enum ft_log_past {
	FT_LOG_NEW,		/* no log was there, or one of another size that was empty */
	FT_LOG_CONTINUED,	/* its records will be taken again */
	FT_LOG_DROPPED,		/* records from before a power cut: they do not count */
};

struct ft_log_config {
	const char *path;		/* the file; its directory exists */
	uint64_t size;			/* bytes of the ring; a multiple of the page size */
	enum ft_log_sync sync;
	const char *identity;		/* of boot and storage: another one means a power cut */
	struct ft_logger *logger;
};

/* What is appended; borrowed. */
struct ft_log_entry {
	enum ft_record_kind kind;
	uint16_t flags;			/* log/record.h */
	uint64_t number;
	uint64_t offset;		/* BYTES: in the file; FIN: size */
	const void *head;
	size_t head_len;
	const void *bytes;
	size_t bytes_len;
};

/* What is taken; points into the ring until its position is released. */
struct ft_log_record {
	enum ft_record_kind kind;
	uint16_t flags;
	uint64_t number;
	uint64_t offset;
	const uint8_t *head;
	size_t head_len;
	const uint8_t *bytes;
	size_t bytes_len;
	uint64_t position;
	uint64_t end;			/* of this record: where the next begins at the earliest */
};

struct ft_log;

/*
 * Opens or makes the log. `id` gets the log's random id: another one than last time means
 * that the former log, with what was in it, is gone. A file that is no log of ours, of a
 * newer version or another size with records in it: an error with one clear line (a log of
 * another size is taken over when it is empty).
 * Errors: FT_DISK_FULL, FT_NO_MEMORY, FT_IO_ERROR, FT_DAMAGED.
 */
enum ft_status ft_log_open(const struct ft_log_config *config, struct ft_log **out,
			   enum ft_log_past *past, uint8_t id[FT_LOG_ID_LEN]) FT_MUST_USE;

/* Unmaps it; the file stays. NULL inside is ignored. */
void ft_log_close(struct ft_log **log);

/*
 * Appends one record. FT_BUSY: there is no room; nothing has changed. Records of kind BYTES
 * leave a sixteenth of the ring to others, so that aborts, fins and answers find room.
 * FT_IO_ERROR: a synced log could not be synced; the record then does not count.
 */
enum ft_status ft_log_append(struct ft_log *log, const struct ft_log_entry *entry) FT_MUST_USE;

/* Whether `records` records with so many bytes in all (heads included) find room now. */
bool ft_log_has_room(const struct ft_log *log, enum ft_record_kind kind, size_t records,
		     size_t bytes);

/*
 * Waits for room for at most max_ms, and only while the writer is making progress: a writer
 * that has released nothing for that long is not waited for. Returns whether there is room.
 */
bool ft_log_wait_room(struct ft_log *log, enum ft_record_kind kind, size_t records, size_t bytes,
		      int max_ms);

/* Bytes between tail and head, and of the whole ring. Any thread. */
uint64_t ft_log_fill(const struct ft_log *log);
uint64_t ft_log_size(const struct ft_log *log);

/*
 * Makes the writer look now; appending alone wakes it when there is much, or after a moment.
 * Cheap where it is awake. Any thread.
 */
void ft_log_wake(struct ft_log *log);

/* The next record, in order. False: there is none yet. */
bool ft_log_take(struct ft_log *log, struct ft_log_record *record);

/* What lies before `position` is no longer needed. Positions never go back. */
void ft_log_release(struct ft_log *log, uint64_t position);

/* Where the next record to be taken is: release this when nothing taken is needed any more. */
uint64_t ft_log_taken(const struct ft_log *log);

/*
 * Sleeps until there is much to take (512 KiB), something has waited for 2 ms, ft_log_wake()
 * was called, or for max_ms. Touches pages ahead of the head.
 */
void ft_log_sleep(struct ft_log *log, int max_ms);

#endif
