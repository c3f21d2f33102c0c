/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "log/log.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/futex.h"
#include "base/identity.h"
#include "base/sigbus.h"
#include "base/sys.h"
#include "base/system.h"
#include "log/file.h"

/* --- the format, as log.h has it --- */

#define LOG_VERSION 1
#define LOG_ALIGN 64
#define LOG_RESERVE_PART 16	/* of the ring, for others than BYTES */

static const char log_magic[8] = { 'f', 't', '-', 'l', 'o', 'g', '\n', '\0' };

enum log_header_at {
	LOG_MAGIC = 0,
	LOG_FORMAT = 8,
	LOG_HEADER_SIZE = 12,
	LOG_RING_SIZE = 16,
	LOG_ID = 24,
	LOG_SALT = 40,
	LOG_TAIL = 48,
	LOG_IDENTITY_SLOT = 56,
	LOG_IDENTITIES = 512,	/* two of FT_IDENTITY_ROOM */
	LOG_HEADER_LEN = 4096,
};

enum log_record_at {
	RECORD_MARK = 0,
	RECORD_LENGTH = 8,
	RECORD_HEAD_LEN = 12,
	RECORD_KIND = 16,
	RECORD_FLAGS = 18,
	RECORD_CRC = 20,
	RECORD_NUMBER = 24,
	RECORD_OFFSET = 32,
	RECORD_HEADER_LEN = 40,
};

_Static_assert(RECORD_HEADER_LEN <= LOG_ALIGN, "what is left of a lap is room for a PAD");
_Static_assert(LOG_IDENTITIES + 2 * FT_IDENTITY_ROOM <= LOG_HEADER_LEN, "the header's room");

/* --- the log --- */

#define LOG_MUCH ((uint64_t)512 * 1024)	/* pending bytes for which the writer is woken at once */
#define LOG_MOMENT_MS 2			/* how long less may wait */
#define LOG_AHEAD_MIN ((uint64_t)64 * 1024)

/* What the writer is doing; a futex. */
enum log_writer {
	WRITER_AWAKE,
	WRITER_GATHERING,	/* sleeps for a moment: wake it if there is much */
	WRITER_IDLE,		/* sleeps: wake it if there is anything */
};

enum log_room {
	ROOM_NOT_WAITED_FOR,
	ROOM_WAITED_FOR,
};

/* Keeps what one thread writes out of the cache lines that another one reads. */
#define LOG_APART(n) char apart_##n[64]

struct ft_log {
	uint8_t *map;		/* header, then ring */
	struct ft_sigbus_area area;	/* all that is mapped */
	uint8_t *ring;
	uint64_t size;
	uint64_t salt;
	enum ft_log_sync sync;
	enum ft_log_medium medium;
	struct ft_logger *logger;
	char *path;
	int fd;
	int writer_fd;		/* synced: the kernel tells of an error once on each descriptor */

	LOG_APART(1);		/* --- written by the broker's thread --- */
	_Atomic uint64_t head;
	_Atomic int64_t filled_ms;	/* when something came into the empty log */

	LOG_APART(2);		/* --- written by the writer --- */
	_Atomic uint64_t tail;	/* by the broker's thread where the log is empty */
	_Atomic uint64_t taken;	/* may be behind the tail, when a lap was begun */
	_Atomic int64_t released_ms;
	uint64_t touched;	/* the head, when pages were touched */
	bool has_taken;		/* since it slept */
	bool sync_failed;

	LOG_APART(3);		/* --- written when somebody sleeps or is woken --- */
	_Atomic uint32_t writer;	/* enum log_writer */
	_Atomic uint32_t urgent;
	_Atomic uint32_t room;	/* enum log_room */
};

static uint64_t log_align(uint64_t length)
{
	return (length + LOG_ALIGN - 1) & ~(uint64_t)(LOG_ALIGN - 1);
}

/* The first position of a lap at or behind `position`. */
static uint64_t log_lap_from(const struct ft_log *log, uint64_t position)
{
	uint64_t in_lap = position % log->size;

	return in_lap == 0 ? position : position - in_lap + log->size;
}

static uint8_t *log_at(const struct ft_log *log, uint64_t position)
{
	return log->ring + position % log->size;
}

static _Atomic uint64_t *log_number(uint8_t *at)
{
	return (_Atomic uint64_t *)(void *)at;
}

static void log_mark(const struct ft_log *log, uint64_t position)
{
	atomic_store_explicit(log_number(log_at(log, position) + RECORD_MARK),
			      ft_le64(position ^ log->salt), memory_order_release);
}

static bool log_is_marked(const struct ft_log *log, uint64_t position)
{
	uint64_t mark = atomic_load_explicit(log_number(log_at(log, position) + RECORD_MARK),
					     memory_order_acquire);

	return mark == ft_le64(position ^ log->salt);
}

static void log_unmark(const struct ft_log *log, uint64_t position)
{
	atomic_store_explicit(log_number(log_at(log, position) + RECORD_MARK),
			      ft_le64(~position ^ log->salt), memory_order_release);
}

static void log_store_tail(const struct ft_log *log, uint64_t tail)
{
	atomic_store_explicit(log_number(log->map + LOG_TAIL), ft_le64(tail),
			      memory_order_release);
}

static uint32_t log_crc(const uint8_t *at, uint32_t length)
{
	uint32_t crc = ft_crc32c_more(0, at + RECORD_LENGTH, RECORD_CRC - RECORD_LENGTH);

	return ft_crc32c_more(crc, at + RECORD_NUMBER, length - RECORD_NUMBER);
}

/* --- appending: the broker's thread --- */

static uint64_t log_reserve(const struct ft_log *log, enum ft_record_kind kind)
{
	return kind == FT_RECORD_BYTES ? log->size / LOG_RESERVE_PART : 0;
}

/* Whether so many bytes, as they lie in the ring, fit; `most` is the longest record's. */
static bool log_fits(const struct ft_log *log, enum ft_record_kind kind, uint64_t need,
		     uint64_t most)
{
	uint64_t head = atomic_load_explicit(&log->head, memory_order_relaxed);
	uint64_t tail = atomic_load(&log->tail);
	uint64_t left = log->size - head % log->size;
	uint64_t pad = 0;

	assert(head >= tail && head - tail <= log->size);
	if (need > log->size || need + log_reserve(log, kind) > log->size)
		return false;
	if (head == tail)
		return true;	/* a new lap is begun */
	if (need > left)
		pad = most < left ? most : left;
	return head - tail + pad + need + log_reserve(log, kind) <= log->size;
}

/* Of several records each may be the one that doesn't fit into the lap. */
static uint64_t log_need(size_t records, size_t bytes)
{
	return bytes + (uint64_t)records * (RECORD_HEADER_LEN + LOG_ALIGN - 1);
}

bool ft_log_has_room(const struct ft_log *log, enum ft_record_kind kind, size_t records,
		     size_t bytes)
{
	uint64_t need = log_need(records, bytes);

	return log_fits(log, kind, need, need);
}

/* Nothing is in the log: the same few pages are used again. */
static void log_begin_lap(struct ft_log *log, uint64_t head)
{
	uint64_t lap = log_lap_from(log, head);

	atomic_store_explicit(&log->filled_ms, ft_clock_coarse_ms(), memory_order_relaxed);
	if (lap == head)
		return;
	/* The writer moves the tail only as far as it has taken, and there is nothing to take. */
	log_store_tail(log, lap);
	atomic_store(&log->tail, lap);
	atomic_store_explicit(&log->head, lap, memory_order_release);
}

static void log_write(const struct ft_log *log, uint64_t position,
		      const struct ft_log_entry *entry)
{
	size_t length = RECORD_HEADER_LEN + entry->head_len + entry->bytes_len;
	uint8_t *at = log_at(log, position);

	if (log_is_marked(log, position))
		log_unmark(log, position);
	ft_store_le32(at + RECORD_LENGTH, (uint32_t)length);
	ft_store_le32(at + RECORD_HEAD_LEN, (uint32_t)entry->head_len);
	ft_store_le16(at + RECORD_KIND, (uint16_t)entry->kind);
	ft_store_le16(at + RECORD_FLAGS, entry->flags);
	ft_store_le32(at + RECORD_CRC, 0);
	ft_store_le64(at + RECORD_NUMBER, entry->number);
	ft_store_le64(at + RECORD_OFFSET, entry->offset);
	at += RECORD_HEADER_LEN;
	if (entry->head_len > 0)
		memcpy(at, entry->head, entry->head_len);
	if (entry->bytes_len > 0)
		memcpy(at + entry->head_len, entry->bytes, entry->bytes_len);
	at -= RECORD_HEADER_LEN;
	if (log->sync == FT_LOG_SYNCED)
		ft_store_le32(at + RECORD_CRC, log_crc(at, (uint32_t)length));
	log_mark(log, position);
}

/* Returns where the record is to be, behind a PAD if what is left of the lap is too short. */
static uint64_t log_place(const struct ft_log *log, uint64_t head, uint64_t need)
{
	static const struct ft_log_entry pad = { .kind = FT_RECORD_PAD };

	if (need <= log->size - head % log->size)
		return head;
	log_write(log, head, &pad);
	return log_lap_from(log, head);
}

/* One that was not woken here sees the head before it sleeps: both orders are sequential. */
static void log_wake_writer(struct ft_log *log)
{
	if (atomic_exchange(&log->writer, WRITER_AWAKE) != WRITER_AWAKE)
		ft_futex_wake(&log->writer);
}

static void log_tell_writer(struct ft_log *log, uint64_t head)
{
	uint32_t writer = atomic_load(&log->writer);

	if (writer == WRITER_IDLE
	    || (writer == WRITER_GATHERING
		&& head - atomic_load_explicit(&log->taken, memory_order_relaxed) >= LOG_MUCH))
		log_wake_writer(log);
}

static bool log_sync_record(const struct ft_log *log)
{
	if (ft_sys_fdatasync(log->fd) == 0)
		return true;
	(void)ft_log_file_failed(log->logger, "sync", log->path);
	return false;
}

enum ft_status ft_log_append(struct ft_log *log, const struct ft_log_entry *entry)
{
	uint64_t need = log_align(RECORD_HEADER_LEN + (uint64_t)entry->head_len + entry->bytes_len);
	uint64_t head, position;

	assert(entry->kind > FT_RECORD_PAD && entry->kind < FT_RECORD_KINDS);
	if (need + log_reserve(log, entry->kind) > log->size)
		return FT_SEGMENT_TOO_LARGE;
	if (ft_log_is_broken(log))
		return FT_IO_ERROR;
	if (!log_fits(log, entry->kind, need, UINT64_MAX))
		return FT_BUSY;
	head = atomic_load_explicit(&log->head, memory_order_relaxed);
	if (head == atomic_load(&log->tail)) {
		log_begin_lap(log, head);
		head = atomic_load_explicit(&log->head, memory_order_relaxed);
	}
	position = log_place(log, head, need);
	log_write(log, position, entry);
	if ((log->sync == FT_LOG_SYNCED && !log_sync_record(log)) || ft_log_is_broken(log)) {
		log_unmark(log, position);
		if (position != head)
			log_unmark(log, head);
		return FT_IO_ERROR;
	}
	atomic_store(&log->head, position + need);
	log_tell_writer(log, position + need);
	return FT_OK;
}

bool ft_log_wait_room(struct ft_log *log, enum ft_record_kind kind, size_t records, size_t bytes,
		      int max_ms)
{
	int64_t until_ms = ft_clock_ms() + max_ms;
	bool has_room;

	if (ft_log_has_room(log, kind, records, bytes))
		return true;
	if (log_need(records, bytes) + log_reserve(log, kind) > log->size)
		return false;
	ft_log_wake(log);
	for (;;) {
		int64_t progress_ms = atomic_load(&log->released_ms);
		int64_t filled_ms = atomic_load_explicit(&log->filled_ms, memory_order_relaxed);
		int64_t now_ms = ft_clock_ms(), left_ms;

		if (progress_ms < filled_ms)
			progress_ms = filled_ms;
		left_ms = (progress_ms + max_ms < until_ms ? progress_ms + max_ms : until_ms)
			  - now_ms;
		atomic_store(&log->room, ROOM_WAITED_FOR);
		has_room = ft_log_has_room(log, kind, records, bytes);
		if (has_room || left_ms <= 0)
			break;
		ft_futex_wait(&log->room, ROOM_WAITED_FOR, left_ms);
	}
	atomic_store(&log->room, ROOM_NOT_WAITED_FOR);
	return has_room;
}

uint64_t ft_log_fill(const struct ft_log *log)
{
	uint64_t tail = atomic_load(&log->tail);
	uint64_t head = atomic_load(&log->head);

	/* A lap may have been begun in between. */
	if (head < tail)
		return 0;
	return head - tail < log->size ? head - tail : log->size;
}

uint64_t ft_log_size(const struct ft_log *log)
{
	return log->size;
}

void ft_log_wake(struct ft_log *log)
{
	atomic_store(&log->urgent, 1);
	if (atomic_load(&log->writer) != WRITER_AWAKE)
		log_wake_writer(log);
}

/* --- taking: the writer --- */

/* Reads the record at a position, in what is in the log up to `end`. False: it does not count. */
static bool log_read(const struct ft_log *log, uint64_t position, uint64_t end,
		     struct ft_log_record *record)
{
	const uint8_t *at = log_at(log, position);
	uint64_t left = log->size - position % log->size;
	uint32_t length, head_len;

	if (position >= end || !log_is_marked(log, position))
		return false;
	length = ft_load_le32(at + RECORD_LENGTH);
	head_len = ft_load_le32(at + RECORD_HEAD_LEN);
	*record = (struct ft_log_record){
		.kind = (enum ft_record_kind)ft_load_le16(at + RECORD_KIND),
		.flags = ft_load_le16(at + RECORD_FLAGS),
		.number = ft_load_le64(at + RECORD_NUMBER),
		.offset = ft_load_le64(at + RECORD_OFFSET),
		.head = at + RECORD_HEADER_LEN,
		.head_len = head_len,
		.position = position,
	};
	if (length < RECORD_HEADER_LEN || log_align(length) > left
	    || head_len > length - RECORD_HEADER_LEN)
		return false;
	record->bytes = record->head + head_len;
	record->bytes_len = length - RECORD_HEADER_LEN - head_len;
	record->end = position + log_align(length);
	if (record->kind == FT_RECORD_PAD)
		record->end = position + left;
	return record->kind >= FT_RECORD_PAD && record->kind < FT_RECORD_KINDS
	       && record->end <= end;
}

uint64_t ft_log_taken(const struct ft_log *log)
{
	uint64_t taken = atomic_load_explicit(&log->taken, memory_order_relaxed);
	uint64_t tail = atomic_load(&log->tail);

	return taken > tail ? taken : tail;
}

static void log_give_up(const struct ft_log *log)
{
	ft_logger_printf(log->logger, FT_LOG_ERROR, "log: %s was changed by somebody else, or its "
			 "disk failed: what was not taken from it is lost", log->path);
}

bool ft_log_is_broken(const struct ft_log *log)
{
	return ft_sigbus_hit(&log->area);
}

bool ft_log_take(struct ft_log *log, struct ft_log_record *record)
{
	uint64_t head = atomic_load_explicit(&log->head, memory_order_acquire);
	uint64_t position = ft_log_taken(log);
	bool found = false;

	while (!found && position < head) {
		bool sound = log_read(log, position, head, record);

		if (!sound || ft_log_is_broken(log)) {
			log_give_up(log);
			position = head;
			break;
		}
		position = record->end;
		found = record->kind != FT_RECORD_PAD;
	}
	atomic_store_explicit(&log->taken, position, memory_order_relaxed);
	log->has_taken |= found;
	return found;
}

/* Has the tail that is in the header on the disk. */
static bool log_sync_tail(struct ft_log *log)
{
	if (ft_sys_fdatasync(log->writer_fd) == 0) {
		log->sync_failed = false;
		return true;
	}
	if (!log->sync_failed)
		(void)ft_log_file_failed(log->logger, "sync", log->path);
	log->sync_failed = true;
	return false;
}

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23	/* Linux 5.14 */
#endif

/* Where the kernel can't do it: changes nothing, but has the page there to be written. */
__attribute__((no_sanitize("thread")))
static void log_touch_pages(uint8_t *from, const uint8_t *to)
{
	for (; from < to; from += LOG_HEADER_LEN)
		atomic_fetch_or_explicit(log_number(from), 0, memory_order_relaxed);
}

static void log_populate(const struct ft_log *log, uint64_t position, uint64_t len)
{
	uint64_t in_ring = position % log->size & ~(uint64_t)(LOG_HEADER_LEN - 1);
	uint8_t *from = log->ring + in_ring;
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uint8_t *begin = from - (uintptr_t)from % page;

	if (len > log->size - in_ring)
		len = log->size - in_ring;
	if (madvise(begin, (size_t)(from + len - begin), MADV_POPULATE_WRITE) != 0
	    && errno == EINVAL)
		log_touch_pages(from, from + len);
}

/*
 * A page of a file that was written back is written to by a page fault, which may wait for
 * the disk. As much as came since last time is likely to come again.
 */
static void log_touch(struct ft_log *log)
{
	uint64_t head = atomic_load_explicit(&log->head, memory_order_relaxed);
	uint64_t ahead = 2 * (head - log->touched);
	uint64_t left = log->size - head % log->size;

	if (head == log->touched || log->sync == FT_LOG_SYNCED || log->medium == FT_LOG_IN_MEMORY)
		return;
	log->touched = head;
	if (ahead < LOG_AHEAD_MIN)
		ahead = LOG_AHEAD_MIN;
	if (ahead > log->size / 4)
		ahead = log->size / 4;
	log_populate(log, head, ahead);
	/* Where the lap ends, and where one begins when the log is empty. */
	log_populate(log, 0, ahead > left ? ahead - left : LOG_AHEAD_MIN);
}

void ft_log_release(struct ft_log *log, uint64_t position)
{
	uint64_t tail = atomic_load(&log->tail);

	assert(position <= ft_log_taken(log));
	log_touch(log);
	if (position <= tail)
		return;
	log_store_tail(log, position);
	if (log->sync == FT_LOG_SYNCED && !log_sync_tail(log))
		return;
	atomic_store(&log->released_ms, ft_clock_ms());
	atomic_store(&log->tail, position);
	if (atomic_load(&log->room) == ROOM_WAITED_FOR
	    && atomic_exchange(&log->room, ROOM_NOT_WAITED_FOR) == ROOM_WAITED_FOR)
		ft_futex_wake(&log->room);
}

static uint64_t log_pending(const struct ft_log *log)
{
	uint64_t head = atomic_load(&log->head);
	uint64_t taken = ft_log_taken(log);

	return head > taken ? head - taken : 0;
}

/*
 * After something was taken it sleeps a moment even if nothing is pending: then what comes
 * next needs no call to wake it.
 */
void ft_log_sleep(struct ft_log *log, int max_ms)
{
	int64_t now_ms = ft_clock_ms();
	int64_t until_ms = now_ms + max_ms;
	int64_t gathered_ms = now_ms + LOG_MOMENT_MS;
	bool gathering = log->has_taken;

	log->has_taken = false;
	log_touch(log);
	for (;; now_ms = ft_clock_ms()) {
		uint32_t asleep = gathering ? WRITER_GATHERING : WRITER_IDLE;
		int64_t wake_ms = gathering && gathered_ms < until_ms ? gathered_ms : until_ms;
		uint64_t pending;

		atomic_store(&log->writer, asleep);
		pending = log_pending(log);
		if (atomic_exchange(&log->urgent, 0) || pending >= LOG_MUCH || now_ms >= until_ms)
			break;
		if (gathering && now_ms >= gathered_ms) {
			if (pending > 0)
				break;
			gathering = false;
		} else if (!gathering && pending > 0) {
			gathering = true;
			gathered_ms = now_ms + LOG_MOMENT_MS;
		} else {
			ft_futex_wait(&log->writer, asleep, wake_ms - now_ms);
		}
	}
	atomic_store(&log->writer, WRITER_AWAKE);
}

/* --- opening --- */

#define LOG_ANY_SIZE 0	/* as ft_log_config.size: no log is made */

/* All but the first: nothing in it counts. */
enum log_verdict {
	LOG_USABLE,
	LOG_ABSENT,
	LOG_OBSOLETE,	/* empty, of another size */
	LOG_CUT_OFF,	/* from before a power cut */
};

static enum ft_status log_refuse(const struct ft_log_config *config, const char *why)
{
	ft_logger_printf(config->logger, FT_LOG_ERROR, "log: %s %s", config->path, why);
	return FT_DAMAGED;
}

static enum ft_status log_map(struct ft_log *log, uint64_t size)
{
	uint64_t len = LOG_HEADER_LEN + size;
	void *map;

	if (len != (size_t)len) {
		errno = ENOMEM;
		return ft_log_file_failed(log->logger, "map", log->path);
	}
	map = ft_sys_mmap(NULL, (size_t)len, PROT_READ | PROT_WRITE, MAP_SHARED, log->fd, 0);
	if (map == MAP_FAILED)
		return ft_log_file_failed(log->logger, "map", log->path);
	log->map = map;
	log->area.begin = map;
	log->area.len = (size_t)len;
	/* Where that is refused, a file that is truncated ends the broker, as ever. */
	(void)ft_sigbus_watch(&log->area);
	log->ring = log->map + LOG_HEADER_LEN;
	log->size = size;
	log->salt = ft_load_le64(log->map + LOG_SALT);
	return FT_OK;
}

/* Back to no file, unless its path is to stay. */
static void log_unmap(struct ft_log *log)
{
	if (log->map) {
		ft_sigbus_unwatch(&log->area);
		munmap(log->map, log->area.len);
	}
	ft_sys_close(log->fd);
	ft_sys_close(log->writer_fd);
	log->map = NULL;
	log->fd = log->writer_fd = -1;
}

static enum ft_status log_check_file(const struct ft_log *log, const struct ft_log_config *config,
				     uint64_t *size)
{
	uint8_t header[LOG_HEADER_LEN];
	struct stat st;
	ssize_t got;

	if (ft_sys_fstat(log->fd, &st) != 0)
		return ft_log_file_failed(log->logger, "examine", log->path);
	if (!S_ISREG(st.st_mode))
		return log_refuse(config, "is no file: remove it");
	/* Anybody may put files there, and what is in a log is carried out. */
	if (config->medium == FT_LOG_IN_MEMORY && st.st_uid != geteuid())
		return log_refuse(config, "belongs to another user: remove it");
	got = ft_sys_read_all(log->fd, header, sizeof header, 0);
	if (got < 0)
		return ft_log_file_failed(log->logger, "read", log->path);
	if ((size_t)got < sizeof header || memcmp(header, log_magic, sizeof log_magic) != 0)
		return log_refuse(config, "is no log of ours: remove it");
	if (ft_load_le32(header + LOG_FORMAT) > LOG_VERSION)
		return log_refuse(config, "was made by a newer version of this plugin: "
				  "use that one, or remove the log with what is in it");
	*size = ft_load_le64(header + LOG_RING_SIZE);
	if (ft_load_le32(header + LOG_FORMAT) != LOG_VERSION
	    || ft_load_le32(header + LOG_HEADER_SIZE) != LOG_HEADER_LEN
	    || *size < FT_LOG_SIZE_MIN || *size > FT_LOG_SIZE_MAX || *size % FT_LOG_SIZE_MIN != 0
	    || ft_load_le32(header + LOG_IDENTITY_SLOT) > 1
	    || ft_load_le64(header + LOG_TAIL) % LOG_ALIGN != 0
	    || ft_load_le64(header + LOG_TAIL) > (uint64_t)INT64_MAX)
		return log_refuse(config, "is damaged: remove it, with what is in it");
	if ((uint64_t)st.st_size != LOG_HEADER_LEN + *size)
		return log_refuse(config, "was cut short: remove it, with what is in it");
	return FT_OK;
}

/* Whether what was not synced may be gone since the log was last used. */
static bool log_lost_power(const struct ft_log *log, const struct ft_log_config *config)
{
	uint32_t slot = ft_load_le32(log->map + LOG_IDENTITY_SLOT);
	char before[FT_IDENTITY_ROOM + 1] = { 0 };

	memcpy(before, log->map + LOG_IDENTITIES + slot * FT_IDENTITY_ROOM, FT_IDENTITY_ROOM);
	switch (ft_identity_compare(before, config->identity ? config->identity : "")) {
	case FT_IDENTITY_SAME:
		return false;
	case FT_IDENTITY_UNKNOWN:
		return config->medium != FT_LOG_IN_MEMORY;
	default:
		return true;
	}
}

/* In two halves and a switch, since a process may be killed in the middle of a text. */
static void log_set_identity(struct ft_log *log, const char *identity)
{
	uint32_t slot = 1 - ft_load_le32(log->map + LOG_IDENTITY_SLOT);
	char *at = (char *)log->map + LOG_IDENTITIES + slot * FT_IDENTITY_ROOM;

	memset(at, 0, FT_IDENTITY_ROOM);
	memcpy(at, identity, strnlen(identity, FT_IDENTITY_ROOM - 1));
	atomic_store_explicit((_Atomic uint32_t *)(void *)(log->map + LOG_IDENTITY_SLOT),
			      ft_le32(slot), memory_order_release);
}

enum log_rule {
	LOG_BY_MARK,		/* the pages are those that were written last */
	LOG_BY_CRC,		/* they may be of different ages */
};

struct log_found {
	uint64_t tail;
	uint64_t head;
	uint64_t records;
};

static void log_scan(const struct ft_log *log, enum log_rule rule, struct log_found *found)
{
	struct ft_log_record record;
	uint64_t tail = ft_load_le64(log->map + LOG_TAIL);

	*found = (struct log_found){ .tail = tail, .head = tail };
	while (log_read(log, found->head, tail + log->size, &record)) {
		const uint8_t *at = log_at(log, found->head);

		if (rule == LOG_BY_CRC && ft_load_le32(at + RECORD_CRC)
					  != log_crc(at, ft_load_le32(at + RECORD_LENGTH)))
			break;
		found->head = record.end;
		found->records += record.kind != FT_RECORD_PAD;
	}
}

/* Records that were appended while the log was not a synced one. */
static void log_seal(struct ft_log *log, const struct log_found *found)
{
	struct ft_log_record record;

	for (uint64_t at = found->tail; log_read(log, at, found->head, &record); at = record.end) {
		uint8_t *header = log_at(log, at);

		ft_store_le32(header + RECORD_CRC,
			      log_crc(header, ft_load_le32(header + RECORD_LENGTH)));
	}
}

/* What follows the last record that counts must never count, whatever will lie before it. */
static void log_clear_rest(struct ft_log *log, const struct log_found *found)
{
	uint64_t head = found->head % log->size, tail = found->tail % log->size;

	if (found->head - found->tail == log->size)
		return;
	if (head >= tail) {
		memset(log->ring + head, 0, (size_t)(log->size - head));
		memset(log->ring, 0, (size_t)tail);
	} else {
		memset(log->ring + head, 0, (size_t)(tail - head));
	}
}

static enum ft_status log_go_on(struct ft_log *log, const struct ft_log_config *config,
				const struct log_found *found, enum log_rule rule)
{
	bool must_sync = rule == LOG_BY_CRC || config->sync == FT_LOG_SYNCED;

	atomic_init(&log->head, found->head);
	atomic_init(&log->tail, found->tail);
	atomic_init(&log->taken, found->tail);
	if (rule == LOG_BY_CRC)
		log_clear_rest(log, found);
	if (config->sync == FT_LOG_SYNCED)
		log_seal(log, found);
	/* The identity vouches for all of it. */
	if (must_sync && ft_sys_fdatasync(log->fd) != 0)
		return ft_log_file_failed(log->logger, "sync", log->path);
	log_set_identity(log, config->identity ? config->identity : "");
	if (must_sync && ft_sys_fdatasync(log->fd) != 0)
		return ft_log_file_failed(log->logger, "sync", log->path);
	return FT_OK;
}

static enum ft_status log_examine(struct ft_log *log, const struct ft_log_config *config,
				  enum log_verdict *verdict)
{
	struct log_found by_mark, found;
	enum log_rule rule;
	enum ft_status st;
	uint64_t size;

	if ((st = ft_log_file_open(config->path, config->logger, &log->fd)) != FT_OK)
		return st;
	*verdict = LOG_ABSENT;
	if (log->fd < 0)
		return FT_OK;
	if ((st = log_check_file(log, config, &size)) != FT_OK)
		return st;
	if ((st = log_map(log, size)) != FT_OK)
		return st;
	rule = log_lost_power(log, config) ? LOG_BY_CRC : LOG_BY_MARK;
	log_scan(log, LOG_BY_MARK, &by_mark);
	log_scan(log, rule, &found);
	if (by_mark.records > found.records)
		ft_logger_printf(config->logger, FT_LOG_WARNING, "log: %s: %ju records from before "
				 "a power cut or boot do not count", config->path,
				 (uintmax_t)(by_mark.records - found.records));
	if (found.records > 0 && config->size != LOG_ANY_SIZE && size != config->size) {
		ft_logger_printf(config->logger, FT_LOG_ERROR, "log: %s holds what is not stored yet, "
				 "and has %ju bytes: start once with log_size %juk", config->path,
				 (uintmax_t)size, (uintmax_t)size / 1024);
		return FT_DAMAGED;
	}
	*verdict = LOG_USABLE;
	if (found.records == 0 && rule == LOG_BY_CRC)
		*verdict = LOG_CUT_OFF;
	else if (found.records == 0 && config->size != LOG_ANY_SIZE && size != config->size)
		*verdict = LOG_OBSOLETE;
	return *verdict == LOG_USABLE ? log_go_on(log, config, &found, rule) : FT_OK;
}

/* With `id` it is the same log to the catalog, in another file; without, a new one. */
static enum ft_status log_make(struct ft_log *log, const struct ft_log_config *config,
			       const uint8_t *id)
{
	uint8_t header[LOG_HEADER_LEN] = { 0 };
	uint8_t random[FT_LOG_ID_LEN + sizeof log->salt];
	const char *identity = config->identity ? config->identity : "";
	enum ft_status st;

	/* First, since there may not be room for both. */
	if ((st = ft_log_file_remove(config->path, config->logger)) != FT_OK)
		return st;
	if (ft_sys_getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		return ft_log_file_failed(log->logger, "make a random id for", config->path);
	memcpy(header + LOG_MAGIC, log_magic, sizeof log_magic);
	ft_store_le32(header + LOG_FORMAT, LOG_VERSION);
	ft_store_le32(header + LOG_HEADER_SIZE, LOG_HEADER_LEN);
	ft_store_le64(header + LOG_RING_SIZE, config->size);
	memcpy(header + LOG_ID, random, FT_LOG_ID_LEN + sizeof log->salt);
	if (id)
		memcpy(header + LOG_ID, id, FT_LOG_ID_LEN);
	memcpy(header + LOG_IDENTITIES, identity, strnlen(identity, FT_IDENTITY_ROOM - 1));
	st = ft_log_file_make(config->path, header, sizeof header, LOG_HEADER_LEN + config->size,
			      config->logger, &log->fd);
	return st == FT_OK ? log_map(log, config->size) : st;
}

/* An error of the disk is told once on each open file: the broker's thread must hear of its own. */
static enum ft_status log_open_for_writer(struct ft_log *log)
{
	if (log->sync != FT_LOG_SYNCED)
		return FT_OK;
	log->writer_fd = ft_sys_openat(AT_FDCWD, log->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0);
	return log->writer_fd < 0 ? ft_log_file_failed(log->logger, "open", log->path) : FT_OK;
}

static enum ft_status log_open(struct ft_log *log, const struct ft_log_config *config,
			       enum log_verdict *verdict)
{
	uint8_t id[FT_LOG_ID_LEN];
	enum ft_status st;

	if ((st = log_examine(log, config, verdict)) != FT_OK)
		return st;
	if (*verdict != LOG_USABLE) {
		if (*verdict == LOG_OBSOLETE)
			memcpy(id, log->map + LOG_ID, FT_LOG_ID_LEN);
		log_unmap(log);
		st = config->size == LOG_ANY_SIZE
			? ft_log_file_remove(log->path, log->logger)
			: log_make(log, config, *verdict == LOG_OBSOLETE ? id : NULL);
	}
	if (st != FT_OK || !log->map)
		return st;
	if ((st = log_open_for_writer(log)) != FT_OK)
		return st;
	if (log->medium == FT_LOG_IN_MEMORY)
		log_populate(log, 0, log->size);
	log->touched = atomic_load(&log->head) - 1;
	atomic_init(&log->filled_ms, ft_clock_ms());
	atomic_init(&log->released_ms, ft_clock_ms());
	return FT_OK;
}

/* *out stays NULL with FT_OK where no log was made. */
static enum ft_status log_new(const struct ft_log_config *config, struct ft_log **out,
			      enum log_verdict *verdict, uint8_t id[FT_LOG_ID_LEN])
{
	struct ft_log *log = calloc(1, sizeof *log);
	enum ft_status st;

	*out = NULL;
	if (!log)
		return FT_NO_MEMORY;
	log->fd = log->writer_fd = -1;
	log->sync = config->sync;
	log->medium = config->medium;
	log->logger = config->logger;
	log->path = strdup(config->path);
	st = log->path ? log_open(log, config, verdict) : FT_NO_MEMORY;
	if (st != FT_OK || !log->map) {
		ft_log_close(&log);
		return st;
	}
	memcpy(id, log->map + LOG_ID, FT_LOG_ID_LEN);
	*out = log;
	return FT_OK;
}

enum ft_status ft_log_open(const struct ft_log_config *config, struct ft_log **out,
			   enum ft_log_past *past, uint8_t id[FT_LOG_ID_LEN])
{
	static const enum ft_log_past pasts[] = {
		[LOG_USABLE] = FT_LOG_CONTINUED,
		[LOG_ABSENT] = FT_LOG_NEW,
		[LOG_OBSOLETE] = FT_LOG_NEW,
		[LOG_CUT_OFF] = FT_LOG_DROPPED,
	};
	enum log_verdict verdict;
	enum ft_status st;

	assert(config->size >= FT_LOG_SIZE_MIN && config->size <= FT_LOG_SIZE_MAX
	       && config->size % FT_LOG_SIZE_MIN == 0);
	st = log_new(config, out, &verdict, id);
	if (st == FT_OK)
		*past = pasts[verdict];
	return st;
}

enum ft_status ft_log_open_former(const struct ft_log_config *config, struct ft_log **out,
				  uint8_t id[FT_LOG_ID_LEN])
{
	struct ft_log_config any = *config;
	enum log_verdict verdict;

	any.size = LOG_ANY_SIZE;
	return log_new(&any, out, &verdict, id);
}

void ft_log_close(struct ft_log **log)
{
	if (!*log)
		return;
	log_unmap(*log);
	free((*log)->path);
	free(*log);
	*log = NULL;
}

enum ft_status ft_log_remove(struct ft_log **log)
{
	enum ft_status st = ft_log_file_remove((*log)->path, (*log)->logger);

	ft_log_close(log);
	return st;
}
