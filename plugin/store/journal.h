/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The journal of an unfinished transfer: which ranges of its data are held.
 *
 * A file of 24-byte records, little-endian:
 *
 *	u32 type, u32 CRC-32C of the other fields, u64 a, u64 b
 *
 *	BOOT		a, b: the 16 bytes of the kernel's boot id. From here on only
 *			what is durable counts; it is the first record, and the first
 *			that is written after a boot or after a failed fsync
 *	HELD		[a, b) was written to the page cache: safe from kill -9
 *	DURABLE		[a, b) was on the disk before this record was written
 *	LOST		[a, b) is not held any more
 *	REWRITTEN	[a, b) is held, but what is on the disk may be older
 *
 * An upload in order keeps two records: a HELD record that is the last one, and
 * was written by this process, is overwritten with the merged range. That is done
 * only where it lies in one page of the file: a process can be killed between two
 * pages of one write, and half a record would take acknowledged bytes with it.
 *
 * When it is read, a bad or partial record at the very end is a write that was cut
 * short and is dropped. More than that is damage, unless the machine booted since:
 * then anything behind the last fsync may be garbage, and ends the reading.
 *
 * The descriptor belongs to the caller and may change between calls. Errors leave
 * errno for the caller's log line. Threads: the owner's.
 */
#ifndef FT_STORE_JOURNAL_H
#define FT_STORE_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "file_transfer/ranges.h"
#include "file_transfer/status.h"

#define FT_JOURNAL_RECORD_LEN 24
#define FT_JOURNAL_END ((uint64_t)INT64_MAX)	/* no byte lies at or behind it */

enum ft_journal_type {
	FT_JOURNAL_BOOT = 1,
	FT_JOURNAL_HELD,
	FT_JOURNAL_DURABLE,
	FT_JOURNAL_LOST,
	FT_JOURNAL_REWRITTEN,
};

/* A boot id as the journal keeps it; all zero: unknown, equal to none. */
struct ft_boot {
	uint64_t a;
	uint64_t b;
};

/* Where the next record goes. */
struct ft_journal {
	uint64_t start;		/* the range of the last record, where it may grow ... */
	uint64_t end;		/* ... else start == end */
	uint32_t records;
	bool current;		/* the last BOOT record names this boot */
	bool torn;		/* the record that may grow must be written again first */
};

/* What a journal says. */
struct ft_journal_found {
	struct ft_ranges held;		/* includes what is durable */
	struct ft_ranges durable;
	bool promised;			/* it has said so of some bytes, if not of those any more */
	struct ft_journal journal;
};

/* The 36 characters of a boot id; anything else: unknown. */
struct ft_boot ft_boot_parse(const char *text);

/* Starts over at the beginning of an empty file. */
enum ft_status ft_journal_begin(struct ft_journal *journal, int fd,
				const struct ft_boot *boot) FT_MUST_USE;

/*
 * Writes one record; start < end. One pwrite (two for the first after a boot). After an
 * error nothing is recorded and the next record goes where this one would have gone.
 */
enum ft_status ft_journal_add(struct ft_journal *journal, int fd, const struct ft_boot *boot,
			      enum ft_journal_type type, uint64_t start, uint64_t end) FT_MUST_USE;

/* Writes a BOOT record: from here on only what is durable is held. Errors as above. */
enum ft_status ft_journal_void(struct ft_journal *journal, int fd,
			       const struct ft_boot *boot) FT_MUST_USE;

/* Writes one record of that type per range. After an error the journal is to be thrown away. */
enum ft_status ft_journal_add_all(struct ft_journal *journal, int fd, enum ft_journal_type type,
				  const struct ft_ranges *ranges) FT_MUST_USE;

/*
 * Reads a journal and cuts a torn tail off the file. `found` is to be released, also
 * after an error. FT_DAMAGED, FT_IO_ERROR, FT_NO_MEMORY.
 */
enum ft_status ft_journal_load(struct ft_journal_found *found, int fd,
			       const struct ft_boot *boot) FT_MUST_USE;

void ft_journal_found_release(struct ft_journal_found *found);

#endif
