/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The log's file: made, found and judged when the broker starts, removed. */
#include <assert.h>
#include <limits.h>

#include "base/buf.h"
#include "base/sys.h"
#include "base/system.h"
#include "log/log_private.h"

#define OPEN_ANY_SIZE 0		/* as ft_log_config.size: no log is made */
#define OPEN_CHUNK ((size_t)256 * 1024)
#define OPEN_MODE 0600		/* what clients sent is nobody else's */
#define OPEN_FLAGS (O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)

const char ft_log_magic[8] = { 'f', 't', '-', 'l', 'o', 'g', '\n', '\0' };

static enum ft_status open_refuse(const struct ft_log *log, const char *why)
{
	ft_logger_printf(log->logger, FT_LOG_ERROR, "log: %s %s", log->path, why);
	return FT_DAMAGED;
}

/* --- the file --- */

/* Storage has a lock of its own; this one is for a log_dir that two brokers were given. */
static enum ft_status open_lock(const struct ft_log *log)
{
	if (ft_sys_flock(log->fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return FT_OK;	/* some file systems have no locks */
	ft_logger_printf(log->logger, FT_LOG_ERROR, "log: %s is in use by another broker: "
			 "give each a log_dir of its own", log->path);
	return FT_BUSY;
}

static enum ft_status open_remove(const struct ft_log *log, const char *path)
{
	struct stat found;

	/* Looked at first: what is not there cannot be removed from a read-only file system. */
	if ((ft_sys_fstatat(AT_FDCWD, path, &found, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
	    || ft_sys_unlinkat(AT_FDCWD, path, 0) == 0 || errno == ENOENT)
		return FT_OK;
	return ft_log_failed(log, "remove");
}

static enum ft_status open_map(struct ft_log *log, uint64_t size)
{
	uint64_t len = sizeof *log->header + size;
	void *map = MAP_FAILED;

	errno = ENOMEM;
	if (len == (size_t)len)
		map = ft_sys_mmap(NULL, (size_t)len, PROT_READ | PROT_WRITE, MAP_SHARED, log->fd,
				  0);
	if (map == MAP_FAILED)
		return ft_log_failed(log, "map");
	log->header = map;
	log->ring = (uint8_t *)(log->header + 1);
	log->size = size;
	log->salt = ft_le64(log->header->salt);
	log->area.begin = map;
	log->area.len = (size_t)len;
	/* Where that is refused, a file that is truncated ends the broker, as ever. */
	(void)ft_sigbus_watch(&log->area);
	return FT_OK;
}

/* Back to no file. */
static void open_unmap(struct ft_log *log)
{
	if (log->header) {
		ft_sigbus_unwatch(&log->area);
		munmap(log->header, log->area.len);
	}
	ft_sys_close(log->fd);
	ft_sys_close(log->writer_fd);
	log->header = NULL;
	log->fd = log->writer_fd = -1;
}

/* --- making one --- */

static bool open_write(int fd, const struct log_header *header, uint64_t size)
{
	uint64_t end = sizeof *header + size;
	char *zeros = calloc(1, OPEN_CHUNK);
	bool ok = zeros && ft_sys_write_all(fd, header, sizeof *header, 0);

	for (uint64_t at = sizeof *header; ok && at < end; at += OPEN_CHUNK)
		ok = ft_sys_write_all(fd, zeros, end - at < OPEN_CHUNK ? (size_t)(end - at)
								       : OPEN_CHUNK, at);
	free(zeros);
	return ok;
}

/* Whole, on the disk, or not there: until it is, it has the name `aside`. */
static enum ft_status open_make_file(struct ft_log *log, const char *aside,
				     const struct log_header *header, uint64_t size)
{
	enum ft_status st;

	log->fd = ft_sys_openat(AT_FDCWD, aside, OPEN_FLAGS | O_CREAT | O_EXCL, OPEN_MODE);
	if (log->fd < 0)
		return ft_log_failed(log, "make");
	st = open_lock(log);
	/* Mode: a umask may have taken even our own bits. */
	if (st == FT_OK && (ft_sys_set_mode(log->fd, OPEN_MODE) != 0
			    || !open_write(log->fd, header, size) || ft_sys_fsync(log->fd) != 0
			    || ft_sys_renameat(AT_FDCWD, aside, AT_FDCWD, log->path) != 0
			    || ft_sys_sync_parent(log->path) != 0))
		st = ft_log_failed(log, "make");
	if (st != FT_OK) {
		/* Its new name, if it has it, may not be on the disk: it must not be used. */
		unlink(aside);
		unlink(log->path);
	}
	return st;
}

/* With `id` it is the same log to the catalog, in another file; without, a new one. */
static enum ft_status open_make(struct ft_log *log, const struct ft_log_config *config,
				const uint8_t *id)
{
	struct log_header header = {
		.version = ft_le32(LOG_VERSION),
		.header_len = ft_le32(sizeof header),
		.size = ft_le64(config->size),
	};
	char room[PATH_MAX];
	struct ft_buf aside = ft_buf_on(room, sizeof room);
	enum ft_status st;

	ft_buf_str(&aside, config->path);
	ft_buf_str(&aside, ".new");
	if (!ft_buf_ok(&aside)) {
		errno = ENAMETOOLONG;
		return ft_log_failed(log, "make");
	}
	/* First, since there may not be room for two; `aside` is one that a killed broker left. */
	if ((st = open_remove(log, config->path)) != FT_OK
	    || (st = open_remove(log, room)) != FT_OK)
		return st;
	if (ft_sys_getrandom(header.id, sizeof header.id, 0) != sizeof header.id
	    || ft_sys_getrandom(&header.salt, sizeof header.salt, 0) != sizeof header.salt)
		return ft_log_failed(log, "make a random id for");
	if (id)
		memcpy(header.id, id, sizeof header.id);
	memcpy(header.magic, ft_log_magic, sizeof ft_log_magic);
	memcpy(header.identities[0], config->identity,
	       strnlen(config->identity, FT_IDENTITY_ROOM - 1));
	if (config->whose && strlen(config->whose) < sizeof header.whose)
		memcpy(header.whose, config->whose, strlen(config->whose));
	st = open_make_file(log, room, &header, config->size);
	return st == FT_OK ? open_map(log, config->size) : st;
}

/* --- what is there --- */

static enum ft_status open_check(const struct ft_log *log, uint64_t *size)
{
	struct log_header header;
	struct stat st;
	ssize_t got;

	if (ft_sys_fstat(log->fd, &st) != 0)
		return ft_log_failed(log, "examine");
	if (!S_ISREG(st.st_mode))
		return open_refuse(log, "is no file: remove it");
	/* Anybody may put files there, and what is in a log is carried out. */
	if (log->medium == FT_LOG_IN_MEMORY && st.st_uid != geteuid())
		return open_refuse(log, "belongs to another user: remove it");
	got = ft_sys_read_all(log->fd, &header, sizeof header, 0);
	if (got < 0)
		return ft_log_failed(log, "read");
	if ((size_t)got < sizeof header || memcmp(header.magic, ft_log_magic, sizeof ft_log_magic) != 0)
		return open_refuse(log, "is no log of ours: remove it");
	if (ft_le32(header.version) > LOG_VERSION)
		return open_refuse(log, "was made by a newer version of this plugin: "
				   "use that one, or remove the log with what is in it");
	*size = ft_le64(header.size);
	if (ft_le32(header.version) != LOG_VERSION || ft_le32(header.header_len) != sizeof header
	    || *size < FT_LOG_SIZE_MIN || *size > FT_LOG_SIZE_MAX || *size % FT_LOG_SIZE_MIN != 0
	    || ft_le32(header.slot) > 1 || ft_le64(header.tail) % LOG_ALIGN != 0
	    || ft_le64(header.tail) > (uint64_t)INT64_MAX)
		return open_refuse(log, "is damaged: remove it, with what is in it");
	if ((uint64_t)st.st_size != sizeof header + *size)
		return open_refuse(log, "was cut short: remove it, with what is in it");
	return FT_OK;
}

enum open_rule {
	OPEN_BY_MARK,	/* the pages are those that were written last */
	OPEN_BY_CRC,	/* what was not synced may be gone: they may be of different ages */
};

static enum open_rule open_rule_for(const struct ft_log *log, const char *identity)
{
	char before[FT_IDENTITY_ROOM + 1] = { 0 };

	memcpy(before, log->header->identities[ft_le32(log->header->slot)], FT_IDENTITY_ROOM);
	switch (ft_identity_compare(before, identity)) {
	case FT_IDENTITY_SAME:
		return OPEN_BY_MARK;
	case FT_IDENTITY_UNKNOWN:
		return log->medium == FT_LOG_IN_MEMORY ? OPEN_BY_MARK : OPEN_BY_CRC;
	default:
		return OPEN_BY_CRC;
	}
}

struct open_found {
	uint64_t tail;
	uint64_t head;		/* behind what counts */
	uint64_t records;	/* that count */
	uint64_t lost;		/* others behind them, whose marks are right */
};

/* Also seals records that were appended while the log was not a synced one. */
static void open_scan(const struct ft_log *log, enum open_rule rule, struct open_found *found)
{
	uint64_t tail = ft_le64(log->header->tail);
	struct ft_log_record record;
	bool counts = true;

	*found = (struct open_found){ .tail = tail, .head = tail };
	for (uint64_t at = tail; ft_log_read(log, at, tail + log->size, &record); at = record.end) {
		struct log_record *raw = log_at(log, at);
		uint32_t crc = log->sync == FT_LOG_SYNCED || rule == OPEN_BY_CRC
				? ft_le32(ft_log_crc(raw, ft_le32(raw->length))) : 0;

		counts = counts && (rule == OPEN_BY_MARK || raw->crc == crc);
		if (!counts) {
			found->lost += record.kind != FT_RECORD_PAD;
			continue;
		}
		if (log->sync == FT_LOG_SYNCED)
			raw->crc = crc;
		found->head = record.end;
		found->records += record.kind != FT_RECORD_PAD;
	}
}

/* What follows the last record that counts must never count, whatever will lie before it. */
static void open_clear_rest(struct ft_log *log, const struct open_found *found)
{
	uint64_t in_ring = found->head % log->size, left = log->size - in_ring;
	uint64_t rest = log->size - (found->head - found->tail);

	memset(log->ring + in_ring, 0, (size_t)(rest < left ? rest : left));
	memset(log->ring, 0, (size_t)(rest < left ? 0 : rest - left));
}

/* In two halves and a switch, since a process may be killed in the middle of a text. */
static void open_set_identity(struct ft_log *log, const char *identity)
{
	uint32_t slot = 1 - ft_le32(log->header->slot);
	char *at = log->header->identities[slot];

	memset(at, 0, FT_IDENTITY_ROOM);
	memcpy(at, identity, strnlen(identity, FT_IDENTITY_ROOM - 1));
	atomic_store_explicit(&log->header->slot, ft_le32(slot), memory_order_release);
}

/* A text that is there in part only must not pass for another one: its first byte comes last. */
static void open_set_whose(struct ft_log *log, const char *whose)
{
	size_t len = whose ? strlen(whose) : 0;
	char *at = log->header->whose;

	if (strncmp(at, whose ? whose : "", FT_LOG_WHOSE_ROOM) == 0)
		return;
	*at = '\0';
	atomic_thread_fence(memory_order_release);
	memset(at, 0, FT_LOG_WHOSE_ROOM);
	if (len == 0 || len >= FT_LOG_WHOSE_ROOM)
		return;
	memcpy(at + 1, whose + 1, len - 1);
	atomic_thread_fence(memory_order_release);
	*at = *whose;
}

static enum ft_status open_go_on(struct ft_log *log, const char *identity,
				 const struct open_found *found, enum open_rule rule)
{
	bool must_sync = rule == OPEN_BY_CRC || log->sync == FT_LOG_SYNCED;

	atomic_init(&log->head, found->head);
	atomic_init(&log->tail, found->tail);
	atomic_init(&log->taken, found->tail);
	if (rule == OPEN_BY_CRC)
		open_clear_rest(log, found);
	/* The identity vouches for all of it. */
	if (must_sync && ft_sys_fdatasync(log->fd) != 0)
		return ft_log_failed(log, "sync");
	open_set_identity(log, identity);
	return must_sync && ft_sys_fdatasync(log->fd) != 0 ? ft_log_failed(log, "sync") : FT_OK;
}

/* Unless it is FT_LOG_CONTINUED no record counts; FT_LOG_NEW, mapped: it has another size. */
static enum ft_status open_examine(struct ft_log *log, const struct ft_log_config *config,
				   enum ft_log_past *past)
{
	struct open_found found;
	enum open_rule rule;
	enum ft_status st;
	uint64_t size;

	*past = FT_LOG_NEW;
	log->fd = ft_sys_openat(AT_FDCWD, log->path, OPEN_FLAGS, 0);
	if (log->fd < 0)
		return errno == ENOENT ? FT_OK : ft_log_failed(log, "open");
	if ((st = open_lock(log)) != FT_OK || (st = open_check(log, &size)) != FT_OK
	    || (st = open_map(log, size)) != FT_OK)
		return st;
	rule = open_rule_for(log, config->identity);
	open_scan(log, rule, &found);
	if (found.lost > 0)
		ft_logger_printf(log->logger, FT_LOG_WARNING, "log: %s: %ju records from before "
				 "a power cut or boot do not count", log->path,
				 (uintmax_t)found.lost);
	if (found.records == 0 && rule == OPEN_BY_CRC) {
		*past = FT_LOG_DROPPED;
		return FT_OK;
	}
	if (config->size != OPEN_ANY_SIZE && size != config->size) {
		if (found.records == 0)
			return FT_OK;
		ft_logger_printf(log->logger, FT_LOG_ERROR, "log: %s holds what is not stored yet, "
				 "and has %ju bytes: start once with log_size %juk", log->path,
				 (uintmax_t)size, (uintmax_t)size / 1024);
		return FT_DAMAGED;
	}
	*past = FT_LOG_CONTINUED;
	return open_go_on(log, config->identity, &found, rule);
}

static enum ft_status open_all(struct ft_log *log, const struct ft_log_config *config,
			       enum ft_log_past *past)
{
	uint8_t id[FT_LOG_ID_LEN];
	enum ft_status st;

	if ((st = open_examine(log, config, past)) != FT_OK)
		return st;
	if (*past == FT_LOG_CONTINUED && config->size != OPEN_ANY_SIZE)
		open_set_whose(log, config->whose);
	if (*past != FT_LOG_CONTINUED) {
		bool keeps_id = *past == FT_LOG_NEW && log->header;

		if (keeps_id)
			memcpy(id, log->header->id, sizeof id);
		open_unmap(log);
		if (config->size == OPEN_ANY_SIZE)
			return open_remove(log, log->path);
		if ((st = open_make(log, config, keeps_id ? id : NULL)) != FT_OK)
			return st;
	}
	/* The broker's thread must hear of errors of the disk even if the writer has. */
	if (log->sync == FT_LOG_SYNCED) {
		log->writer_fd = ft_sys_openat(AT_FDCWD, log->path, OPEN_FLAGS, 0);
		if (log->writer_fd < 0)
			return ft_log_failed(log, "open");
	}
	if (log->medium == FT_LOG_IN_MEMORY)
		ft_log_populate(log, 0, log->size);
	log->touched = atomic_load(&log->head) - 1;
	atomic_init(&log->filled_ms, ft_clock_ms());
	atomic_init(&log->released_ms, ft_clock_ms());
	return FT_OK;
}

/* *out stays NULL with FT_OK where no log was made. */
static enum ft_status open_new(struct ft_log_config config, struct ft_log **out,
			       enum ft_log_past *past, uint8_t id[FT_LOG_ID_LEN])
{
	struct ft_log *log = calloc(1, sizeof *log);
	enum ft_status st;

	*out = NULL;
	if (!log)
		return FT_NO_MEMORY;
	if (!config.identity)
		config.identity = "";
	log->fd = log->writer_fd = -1;
	log->sync = config.sync;
	log->medium = config.medium;
	log->logger = config.logger;
	log->path = strdup(config.path);
	st = log->path ? open_all(log, &config, past) : FT_NO_MEMORY;
	if (st != FT_OK || !log->header) {
		ft_log_close(&log);
		return st;
	}
	memcpy(id, log->header->id, FT_LOG_ID_LEN);
	*out = log;
	return FT_OK;
}

enum ft_status ft_log_open(const struct ft_log_config *config, struct ft_log **out,
			   enum ft_log_past *past, uint8_t id[FT_LOG_ID_LEN])
{
	assert(config->size >= FT_LOG_SIZE_MIN && config->size <= FT_LOG_SIZE_MAX
	       && config->size % FT_LOG_SIZE_MIN == 0);
	return open_new(*config, out, past, id);
}

enum ft_status ft_log_open_former(const struct ft_log_config *config, struct ft_log **out,
				  uint8_t id[FT_LOG_ID_LEN])
{
	struct ft_log_config any = *config;
	enum ft_log_past past;

	any.size = OPEN_ANY_SIZE;
	return open_new(any, out, &past, id);
}

void ft_log_close(struct ft_log **log)
{
	if (!*log)
		return;
	open_unmap(*log);
	free((*log)->path);
	free(*log);
	*log = NULL;
}

enum ft_status ft_log_remove(struct ft_log **log)
{
	enum ft_status st = open_remove(*log, (*log)->path);

	ft_log_close(log);
	return st;
}
