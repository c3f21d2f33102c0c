/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "log/log.h"

#include <assert.h>

#include "base/crc32c.h"
#include "base/futex.h"
#include "base/sys.h"
#include "base/system.h"
#include "log/log_private.h"

#define LOG_RESERVE_PART 16		/* of the ring, for others than BYTES */
#define LOG_MUCH ((uint64_t)512 * 1024)	/* pending bytes for which the writer is woken at once */
#define LOG_MOMENT_MS 2			/* how long less may wait */
#define LOG_PAGE ((uint64_t)4096)	/* the smallest there is */
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

static uint64_t log_align(uint64_t length)
{
	return (length + LOG_ALIGN - 1) & ~(uint64_t)(LOG_ALIGN - 1);
}

/* What is left of a lap. */
static uint64_t log_left(const struct ft_log *log, uint64_t position)
{
	return log->size - position % log->size;
}

static void log_set_mark(const struct ft_log *log, uint64_t position, uint64_t mark)
{
	atomic_store_explicit(&log_at(log, position)->mark, ft_le64(mark ^ log->salt),
			      memory_order_release);
}

static bool log_is_marked(const struct ft_log *log, uint64_t position)
{
	return atomic_load_explicit(&log_at(log, position)->mark, memory_order_acquire)
	       == ft_le64(position ^ log->salt);
}

static void log_unmark(const struct ft_log *log, uint64_t position)
{
	log_set_mark(log, position, ~position);
}

static void log_store_tail(const struct ft_log *log, uint64_t tail)
{
	atomic_store_explicit(&log->header->tail, ft_le64(tail), memory_order_release);
}

uint32_t ft_log_crc(const struct log_record *record, uint32_t length)
{
	const uint8_t *at = (const uint8_t *)record;
	uint32_t crc = ft_crc32c(0, at + offsetof(struct log_record, length),
				 offsetof(struct log_record, crc)
				 - offsetof(struct log_record, length));

	return ft_crc32c(crc, at + offsetof(struct log_record, number),
			 length - offsetof(struct log_record, number));
}

enum ft_status ft_log_failed(const struct ft_log *log, const char *what)
{
	int error = errno;
	enum ft_status st = ft_sys_status(error);
	char room[FT_ERROR_ROOM];

	ft_logger_printf(log->logger, FT_LOG_ERROR, "log: cannot %s %s: %s", what, log->path,
			 ft_error_text(error, room));
	return st == FT_DISK_FULL || st == FT_NO_MEMORY ? st : FT_IO_ERROR;
}

bool ft_log_is_broken(const struct ft_log *log)
{
	return ft_sigbus_hit(&log->area);
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

/* --- appending: the broker's thread --- */

static uint64_t log_reserve(const struct ft_log *log, enum ft_record_kind kind)
{
	return kind == FT_RECORD_BYTES ? log->size / LOG_RESERVE_PART : 0;
}

/* Whether so many bytes, as they lie in the ring, fit: in what is left of the lap, or behind it. */
static bool log_fits(const struct ft_log *log, enum ft_record_kind kind, uint64_t need)
{
	uint64_t head = atomic_load_explicit(&log->head, memory_order_relaxed);
	uint64_t tail = atomic_load(&log->tail);
	uint64_t left = log_left(log, head);
	uint64_t pad = need > left ? left : 0;

	assert(head >= tail && head - tail <= log->size);
	if (head == tail)	/* a new lap is begun */
		head = tail = pad = 0;
	return head - tail + pad + need + log_reserve(log, kind) <= log->size;
}

/* Of several records each may be the one that doesn't fit into the lap. */
static uint64_t log_need(size_t records, size_t bytes)
{
	return bytes + (uint64_t)records * (sizeof(struct log_record) + LOG_ALIGN - 1);
}

bool ft_log_has_room(const struct ft_log *log, enum ft_record_kind kind, size_t records,
		     size_t bytes)
{
	return log_fits(log, kind, log_need(records, bytes));
}

/* One that is not woken here sees the head before it sleeps: both orders are sequential. */
static void log_wake_writer(struct ft_log *log)
{
	if (atomic_load(&log->writer) != WRITER_AWAKE
	    && atomic_exchange(&log->writer, WRITER_AWAKE) != WRITER_AWAKE)
		ft_futex_wake(&log->writer);
}

void ft_log_wake(struct ft_log *log)
{
	atomic_store(&log->urgent, 1);
	log_wake_writer(log);
}

void ft_log_nudge(struct ft_log *log)
{
	atomic_store(&log->nudged, 1);
	if (atomic_load(&log->writer) == WRITER_IDLE)
		log_wake_writer(log);
}

static void log_write(const struct ft_log *log, uint64_t position,
		      const struct ft_log_entry *entry)
{
	size_t length = sizeof(struct log_record) + entry->head_len + entry->bytes_len;
	struct log_record *record = log_at(log, position);

	if (log_is_marked(log, position))
		log_unmark(log, position);
	record->length = ft_le32((uint32_t)length);
	record->head_len = ft_le32((uint32_t)entry->head_len);
	record->kind = ft_le16((uint16_t)entry->kind);
	record->flags = ft_le16(entry->flags);
	record->number = ft_le64(entry->number);
	record->offset = ft_le64(entry->offset);
	if (entry->head_len > 0)
		memcpy(record->content, entry->head, entry->head_len);
	if (entry->bytes_len > 0)
		memcpy(record->content + entry->head_len, entry->bytes, entry->bytes_len);
	record->crc = 0;
	if (log->sync == FT_LOG_SYNCED)
		record->crc = ft_le32(ft_log_crc(record, (uint32_t)length));
	log_set_mark(log, position, position);
}

/* Nothing is in the log: the same few pages are used again. Returns the head. */
static uint64_t log_begin_lap(struct ft_log *log, uint64_t head)
{
	atomic_store_explicit(&log->filled_ms, ft_clock_coarse_ms(), memory_order_relaxed);
	if (head % log->size == 0)
		return head;
	head += log_left(log, head);
	/* The writer moves the tail only as far as it has taken, and there is nothing to take. */
	log_store_tail(log, head);
	atomic_store(&log->tail, head);
	atomic_store_explicit(&log->head, head, memory_order_release);
	return head;
}

enum ft_status ft_log_append(struct ft_log *log, const struct ft_log_entry *entry)
{
	static const struct ft_log_entry pad = { .kind = FT_RECORD_PAD };
	uint64_t need = log_align(sizeof(struct log_record) + (uint64_t)entry->head_len
				  + entry->bytes_len);
	uint64_t head, position, pending;
	uint32_t writer;

	assert(entry->kind > FT_RECORD_PAD && entry->kind < FT_RECORD_KINDS);
	if (need + log_reserve(log, entry->kind) > log->size)
		return FT_SEGMENT_TOO_LARGE;
	if (ft_log_is_broken(log))
		return FT_IO_ERROR;
	if (!log_fits(log, entry->kind, need))
		return FT_BUSY;
	head = atomic_load_explicit(&log->head, memory_order_relaxed);
	if (head == atomic_load(&log->tail))
		head = log_begin_lap(log, head);
	position = head;
	if (need > log_left(log, head)) {
		log_write(log, head, &pad);
		position += log_left(log, head);
	}
	log_write(log, position, entry);
	if (log->sync == FT_LOG_SYNCED && ft_sys_fdatasync(log->fd) != 0) {
		(void)ft_log_failed(log, "sync");
	} else if (!ft_log_is_broken(log)) {
		atomic_store(&log->head, position + need);
		writer = atomic_load(&log->writer);
		pending = position + need - ft_log_taken(log);
		if (writer == WRITER_IDLE || (writer == WRITER_GATHERING && pending >= LOG_MUCH))
			log_wake_writer(log);
		return FT_OK;
	}
	log_unmark(log, position);
	log_unmark(log, head);
	return FT_IO_ERROR;
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
		int64_t released_ms = atomic_load(&log->released_ms);
		int64_t filled_ms = atomic_load_explicit(&log->filled_ms, memory_order_relaxed);
		int64_t patient_ms = (released_ms > filled_ms ? released_ms : filled_ms) + max_ms;
		int64_t left_ms = (patient_ms < until_ms ? patient_ms : until_ms) - ft_clock_ms();

		atomic_store(&log->room, ROOM_WAITED_FOR);
		has_room = ft_log_has_room(log, kind, records, bytes);
		if (has_room || left_ms <= 0)
			break;
		ft_futex_wait(&log->room, ROOM_WAITED_FOR, left_ms);
	}
	atomic_store(&log->room, ROOM_NOT_WAITED_FOR);
	return has_room;
}

/* --- taking: the writer --- */

bool ft_log_read(const struct ft_log *log, uint64_t position, uint64_t end,
		 struct ft_log_record *record)
{
	const struct log_record *at = log_at(log, position);
	uint64_t left = log_left(log, position);
	uint32_t length, head_len;

	if (position >= end || !log_is_marked(log, position))
		return false;
	length = ft_load_le32(&at->length);
	head_len = ft_load_le32(&at->head_len);
	if (length < sizeof *at || log_align(length) > left || head_len > length - sizeof *at)
		return false;
	*record = (struct ft_log_record){
		.kind = (enum ft_record_kind)ft_load_le16(&at->kind),
		.flags = ft_load_le16(&at->flags),
		.number = ft_load_le64(&at->number),
		.offset = ft_load_le64(&at->offset),
		.head = at->content,
		.head_len = head_len,
		.bytes = at->content + head_len,
		.bytes_len = length - sizeof *at - head_len,
		.position = position,
	};
	record->end = position + (record->kind == FT_RECORD_PAD ? left : log_align(length));
	return record->kind >= FT_RECORD_PAD && record->kind < FT_RECORD_KINDS
	       && record->end <= end;
}

uint64_t ft_log_taken(const struct ft_log *log)
{
	uint64_t taken = atomic_load_explicit(&log->taken, memory_order_relaxed);
	uint64_t tail = atomic_load(&log->tail);

	return taken > tail ? taken : tail;
}

uint64_t ft_log_pending(const struct ft_log *log)
{
	uint64_t head = atomic_load(&log->head);
	uint64_t taken = ft_log_taken(log);	/* beyond the head where a lap is being begun */

	return head > taken ? head - taken : 0;
}

bool ft_log_take(struct ft_log *log, struct ft_log_record *record)
{
	uint64_t head = atomic_load_explicit(&log->head, memory_order_acquire);
	uint64_t position = ft_log_taken(log);
	bool found = false;

	while (!found && position < head) {
		bool sound = ft_log_read(log, position, head, record);

		if (!sound || ft_log_is_broken(log)) {
			ft_logger_printf(log->logger, FT_LOG_ERROR, "log: %s was changed by "
					 "somebody else, or its disk failed: what was not taken "
					 "from it is lost", log->path);
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

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23	/* Linux 5.14 */
#endif

__attribute__((no_sanitize("thread")))
void ft_log_populate(const struct ft_log *log, uint64_t position, uint64_t len)
{
	uint64_t in_ring = position % log->size & ~(LOG_PAGE - 1);
	uint8_t *from = log->ring + in_ring, *to;
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uint8_t *begin = from - (uintptr_t)from % page;

	to = from + (len < log->size - in_ring ? len : log->size - in_ring);
	if (madvise(begin, (size_t)(to - begin), MADV_POPULATE_WRITE) == 0 || errno != EINVAL)
		return;
	/* An older kernel. This changes nothing, but has each page there. */
	for (; from < to; from += LOG_PAGE)
		atomic_fetch_or_explicit((_Atomic uint64_t *)(void *)from, 0, memory_order_relaxed);
}

/*
 * A page of a file that was written back is written to by a page fault, which may wait for
 * the disk. As much as came since last time is likely to come again.
 */
static void log_touch(struct ft_log *log)
{
	uint64_t head = atomic_load_explicit(&log->head, memory_order_relaxed);
	uint64_t ahead = 2 * (head - log->touched);
	uint64_t left = log_left(log, head);

	if (head == log->touched || log->sync == FT_LOG_SYNCED || log->medium == FT_LOG_IN_MEMORY)
		return;
	log->touched = head;
	if (ahead < LOG_AHEAD_MIN)
		ahead = LOG_AHEAD_MIN;
	if (ahead > log->size / 4)
		ahead = log->size / 4;
	ft_log_populate(log, head, ahead);
	/* Where the lap ends, and where one begins when the log is empty. */
	ft_log_populate(log, 0, ahead > left ? ahead - left : LOG_AHEAD_MIN);
}

void ft_log_release(struct ft_log *log, uint64_t position)
{
	assert(position <= ft_log_taken(log));
	log_touch(log);
	if (position <= atomic_load(&log->tail))
		return;
	log_store_tail(log, position);
	if (log->sync == FT_LOG_SYNCED && ft_sys_fdatasync(log->writer_fd) != 0) {
		if (!log->sync_failed)
			(void)ft_log_failed(log, "sync");
		log->sync_failed = true;
		return;
	}
	log->sync_failed = false;
	atomic_store(&log->released_ms, ft_clock_ms());
	atomic_store(&log->tail, position);
	if (atomic_load(&log->room) == ROOM_WAITED_FOR
	    && atomic_exchange(&log->room, ROOM_NOT_WAITED_FOR) == ROOM_WAITED_FOR)
		ft_futex_wake(&log->room);
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
		bool some;

		atomic_store(&log->writer, asleep);
		pending = ft_log_pending(log);
		some = pending > 0 || atomic_load(&log->nudged);
		if (atomic_exchange(&log->urgent, 0) || pending >= LOG_MUCH || now_ms >= until_ms)
			break;
		if (gathering && now_ms >= gathered_ms) {
			if (some)
				break;
			gathering = false;
		} else if (!gathering && some) {
			gathering = true;
			gathered_ms = now_ms + LOG_MOMENT_MS;
		} else {
			ft_futex_wait(&log->writer, asleep, wake_ms - now_ms);
		}
	}
	atomic_store(&log->writer, WRITER_AWAKE);
	atomic_store(&log->nudged, 0);
}
