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
 *	header		 0 magic "ft-log\n\0"
 *	(4,096 bytes)	 8 u32 version
 *			12 u32 length of the header
 *			16 u64 size of the ring, a multiple of 4,096
 *			24 16 bytes random id
 *			40 u64 salt, random
 *			48 u64 tail
 *			56 u32 which of the identities counts
 *			512 two identities of 256 bytes: text, see base/identity.h
 *			1024 whose it is, text, see log/place.h; empty: that is not known
 *	ring		`size` bytes
 *
 *	A position counts bytes from the log's creation and never decreases; it lies in the
 *	ring at position % size. A record begins at a multiple of 64, so that no two share a
 *	cache line, and never crosses the ring's end: a record of kind FT_RECORD_PAD, a header
 *	alone, says that the next one is at the beginning of the next lap.
 *
 *	record		 0 u64 mark: position ^ salt, stored last, with release
 *	(40 bytes,	 8 u32 length: header, head and bytes, without padding to 64
 *	then head,	12 u32 head_len
 *	then bytes)	16 u16 kind
 *			18 u16 flags
 *			20 u32 crc: CRC-32C of 8...19 and of 24...length; 0 unless synced
 *			24 u64 number of the transfer
 *			32 u64 offset
 *
 *	A record counts if its mark is right for where it was looked for, its lengths fit and
 *	its kind is known; records count from `tail` on until one does not. What lies in the
 *	ring beyond them is bytes that clients sent, of earlier laps: the salt is why nobody
 *	can send what would pass for a record. A position is used once: before anything is
 *	written where a mark might be right already, that mark is cleared.
 *
 *	After a power cut (identity) the pages on the disk may be of different ages. Then only
 *	records with the right crc count: those of a synced log, whose tail was on the disk
 *	before anything behind it was overwritten, and what follows them is filled with zeros.
 *	If none counts the log is made anew, with another id.
 *
 * When all is released the next record begins a new lap, so that at low rates the same few
 * pages are used: tail and head are moved there first. The writer touches pages ahead of the
 * head, so that the broker's thread takes no page fault that could wait for a disk.
 *
 * The file is made under another name, with zeros written to all of it: a full disk is found
 * when the broker starts. It stays locked (flock) while it is open. Pages may be lost all the
 * same (SIGBUS: truncated by somebody; a disk that fails; btrfs and other copy-on-write file
 * systems when they are full): then the log is broken, and the broker lives (base/sigbus.h).
 *
 * THREADS. append, has_room, wait_room: the broker's; take, taken, release, sleep: the
 * writer's; open and close: when there is no other thread. wake, nudge, pending, fill, size:
 * any.
 */
#ifndef FT_LOG_LOG_H
#define FT_LOG_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "file_transfer/logger.h"
#include "file_transfer/status.h"

#define FT_LOG_SIZE_MIN ((uint64_t)4096)
#define FT_LOG_SIZE_MAX ((uint64_t)1 << 31)
#define FT_LOG_ID_LEN 16
#define FT_LOG_WHOSE_ROOM 3072

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
	FT_RECORD_KINDS
};

enum ft_log_sync {
	FT_LOG_MAPPED,		/* survives the process */
	FT_LOG_SYNCED,		/* each append is on the disk when it returns */
};

/* What the log's file lies on. */
enum ft_log_medium {
	FT_LOG_ON_DISK,
	FT_LOG_IN_MEMORY,	/* tmpfs: that the file is there proves that it is the same boot */
};

/* What was found when a log was opened. */
enum ft_log_past {
	FT_LOG_NEW,		/* no log was there, or one of another size that was empty */
	FT_LOG_CONTINUED,	/* its records, if any, will be taken again */
	FT_LOG_DROPPED,		/* one from before a power cut: what was in it does not count */
};

struct ft_log_config {
	const char *path;		/* the file; its directory exists */
	uint64_t size;			/* bytes of the ring; FT_LOG_SIZE_MIN ... MAX, a multiple of MIN */
	enum ft_log_sync sync;
	enum ft_log_medium medium;
	const char *identity;		/* ft_identity() of the storage: another one means a power cut */
	const char *whose;		/* ft_log_whose() of the storage; NULL: not known */
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
 * that the former log, with what was in it, is gone. An error with one clear line: a file
 * that is no log of ours, of a newer version, cut short, in use, somebody else's (in memory),
 * or of another size with records in it (when it is empty it is made anew, under the same id).
 * Errors: FT_DISK_FULL, FT_NO_MEMORY, FT_IO_ERROR, FT_DAMAGED, FT_BUSY (in use).
 */
enum ft_status ft_log_open(const struct ft_log_config *config, struct ft_log **out,
			   enum ft_log_past *past, uint8_t id[FT_LOG_ID_LEN]) FT_MUST_USE;

/*
 * Opens what a former start left at another place (log/place.h), of whatever size, for its
 * records to be taken, if any; the size in `config` is ignored. *out is NULL with FT_OK where
 * there is no file, or only one from before a power cut, which is removed. Errors: as of
 * ft_log_open().
 */
enum ft_status ft_log_open_former(const struct ft_log_config *config, struct ft_log **out,
				  uint8_t id[FT_LOG_ID_LEN]) FT_MUST_USE;

/* Unmaps it; the file stays. NULL inside is ignored. */
void ft_log_close(struct ft_log **log);

/* Closes it and removes its file: what was in it is needed no more. Error: FT_IO_ERROR. */
enum ft_status ft_log_remove(struct ft_log **log) FT_MUST_USE;

/*
 * Whether pages of the file are gone: it was truncated by somebody, or the disk failed. Then
 * nothing is appended (FT_IO_ERROR) or taken any more, and what was taken is only good if
 * this is false after it was read, and copied. Any thread.
 */
bool ft_log_is_broken(const struct ft_log *log);

/*
 * Appends one record. FT_BUSY: there is no room; nothing has changed. Records of kind BYTES
 * leave a sixteenth of the ring to others, so that aborts, fins and answers find room.
 * FT_SEGMENT_TOO_LARGE: it fits into no empty log. FT_IO_ERROR: a synced log could not be
 * synced, or the log is broken; the record then does not count.
 */
enum ft_status ft_log_append(struct ft_log *log, const struct ft_log_entry *entry) FT_MUST_USE;

/*
 * Whether `records` records with so many bytes in all (heads included) find room now, whatever
 * the lengths of each; `kind`: BYTES if any of them is. True holds until something is appended.
 */
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

/* Makes the writer look within a moment, as appending does. Cheaper. Any thread. */
void ft_log_nudge(struct ft_log *log);

/* Bytes that are not taken yet. Any thread. */
uint64_t ft_log_pending(const struct ft_log *log);

/* The next record, in order. False: there is none yet. */
bool ft_log_take(struct ft_log *log, struct ft_log_record *record);

/*
 * What lies before `position` is no longer needed. A position before the tail is ignored. A
 * synced log hands out the room when its tail is on the disk; where that fails, with the next
 * release that does not.
 */
void ft_log_release(struct ft_log *log, uint64_t position);

/* Where the next record to be taken is: release this when nothing taken is needed any more. */
uint64_t ft_log_taken(const struct ft_log *log);

/*
 * Sleeps until there is much to take (512 KiB), something has waited for 2 ms, ft_log_wake()
 * was called, or for max_ms. Touches pages ahead of the head.
 */
void ft_log_sleep(struct ft_log *log, int max_ms);

#endif
