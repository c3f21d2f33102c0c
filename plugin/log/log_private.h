/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The format of log.h, and a log that is open: log.c uses it, open.c makes it. */
#ifndef FT_LOG_LOG_PRIVATE_H
#define FT_LOG_LOG_PRIVATE_H

#include <stdatomic.h>

#include "base/endian.h"
#include "base/identity.h"
#include "base/sigbus.h"
#include "log/log.h"

#define LOG_VERSION 1
#define LOG_ALIGN 64

extern const char ft_log_magic[8];

struct log_header {
	char magic[8];
	uint32_t version;
	uint32_t header_len;
	uint64_t size;
	uint8_t id[FT_LOG_ID_LEN];
	uint64_t salt;
	_Atomic uint64_t tail;
	_Atomic uint32_t slot;
	char unused[452];
	char identities[2][FT_IDENTITY_ROOM];
	char whose[FT_LOG_WHOSE_ROOM];
};

struct log_record {
	_Atomic uint64_t mark;
	uint32_t length;
	uint32_t head_len;
	uint16_t kind;
	uint16_t flags;
	uint32_t crc;
	uint64_t number;
	uint64_t offset;
	uint8_t content[];
};

_Static_assert(sizeof(struct log_header) == 4096, "as log.h has it");
_Static_assert(sizeof(struct log_record) == 40, "and a PAD fits into the least of a lap");

/* Keeps what one thread writes out of the cache lines that another one reads. */
#define LOG_APART(n) char apart_##n[64]

struct ft_log {
	struct log_header *header;	/* all that is mapped; NULL: nothing is */
	uint8_t *ring;			/* behind it */
	struct ft_sigbus_area area;
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
	_Atomic uint32_t nudged;
	_Atomic uint32_t room;	/* enum log_room */
};

static inline struct log_record *log_at(const struct ft_log *log, uint64_t position)
{
	return (struct log_record *)(void *)(log->ring + position % log->size);
}

/* Reads the record at a position, in what is in the log up to `end`. False: it does not count. */
bool ft_log_read(const struct ft_log *log, uint64_t position, uint64_t end,
		 struct ft_log_record *record);

/* The CRC of a record of a checked length. */
uint32_t ft_log_crc(const struct log_record *record, uint32_t length);

/* Has pages of the ring there to be written without a page fault that waits for a disk. */
void ft_log_populate(const struct ft_log *log, uint64_t position, uint64_t len);

/* Logs "cannot <what> <the log's path>: <errno's text>" and returns the status of errno. */
enum ft_status ft_log_failed(const struct ft_log *log, const char *what);

#endif
