/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/journal.h"

#include "base/crc32c.h"
#include "base/hex.h"
#include "base/sys.h"

#define RECORD FT_JOURNAL_RECORD_LEN
#define BLOCK_RECORDS 170
#define PAGE 4096

struct record {
	uint32_t type;
	uint64_t a;
	uint64_t b;
};

static void put_le(uint8_t *to, uint64_t number, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)(number >> (8 * i));
}

static uint64_t get_le(const uint8_t *from, size_t len)
{
	uint64_t number = 0;

	for (size_t i = 0; i < len; i++)
		number |= (uint64_t)from[i] << (8 * i);
	return number;
}

static uint32_t record_sum(const uint8_t bytes[RECORD])
{
	uint8_t fields[RECORD - 4];

	memcpy(fields, bytes, 4);
	memcpy(fields + 4, bytes + 8, 16);
	return ft_crc32c(fields, sizeof fields);
}

static void encode(uint8_t bytes[RECORD], enum ft_journal_type type, uint64_t a, uint64_t b)
{
	put_le(bytes, type, 4);
	put_le(bytes + 8, a, 8);
	put_le(bytes + 16, b, 8);
	put_le(bytes + 4, record_sum(bytes), 4);
}

/* False: not a record, whether by its sum or by what it says. */
static bool decode(struct record *record, const uint8_t bytes[RECORD])
{
	record->type = (uint32_t)get_le(bytes, 4);
	record->a = get_le(bytes + 8, 8);
	record->b = get_le(bytes + 16, 8);
	if (get_le(bytes + 4, 4) != record_sum(bytes))
		return false;
	if (record->type == FT_JOURNAL_BOOT)
		return true;
	return record->type > FT_JOURNAL_BOOT && record->type <= FT_JOURNAL_REWRITTEN &&
		record->a < record->b && record->b <= FT_JOURNAL_END;
}

struct ft_boot ft_boot_parse(const char *text)
{
	uint64_t half[2] = {0, 0};
	size_t digits = 0;

	for (; *text; text++) {
		int digit = ft_hex_digit(*text);

		if (*text == '-')
			continue;
		if (digit < 0 || digits == 32)
			return (struct ft_boot){0, 0};
		half[digits / 16] = half[digits / 16] << 4 | (uint64_t)digit;
		digits++;
	}
	return digits == 32 ? (struct ft_boot){half[0], half[1]} : (struct ft_boot){0, 0};
}

static bool same_boot(const struct ft_boot *boot, const struct record *record)
{
	return (boot->a | boot->b) != 0 && boot->a == record->a && boot->b == record->b;
}

static uint64_t position(uint32_t records)
{
	return (uint64_t)records * RECORD;
}

static enum ft_status write_record(int fd, uint32_t at, enum ft_journal_type type,
				   uint64_t a, uint64_t b)
{
	uint8_t bytes[RECORD];

	encode(bytes, type, a, b);
	return ft_sys_write_all(fd, bytes, sizeof bytes, position(at)) ? FT_OK : ft_sys_status(errno);
}

static enum ft_status append(struct ft_journal *journal, int fd, enum ft_journal_type type,
			     uint64_t a, uint64_t b)
{
	enum ft_status st = write_record(fd, journal->records, type, a, b);

	if (st == FT_OK)
		journal->records++;
	return st;
}

enum ft_status ft_journal_begin(struct ft_journal *journal, int fd, const struct ft_boot *boot)
{
	*journal = (struct ft_journal){.records = 0};
	return ft_journal_void(journal, fd, boot);
}

enum ft_status ft_journal_void(struct ft_journal *journal, int fd, const struct ft_boot *boot)
{
	enum ft_status st = append(journal, fd, FT_JOURNAL_BOOT, boot->a, boot->b);

	if (st != FT_OK)
		return st;
	journal->current = true;
	journal->torn = false;
	journal->start = journal->end = 0;
	return FT_OK;
}

static bool grows(const struct ft_journal *journal, uint64_t start, uint64_t end)
{
	uint64_t in_page;

	if (journal->start == journal->end || start > journal->end || end < journal->start)
		return false;
	in_page = position(journal->records - 1) % PAGE;
	return in_page + RECORD <= PAGE;
}

/* Overwrites the last record, and writes the old one again where that fails half-way. */
static enum ft_status grow(struct ft_journal *journal, int fd, uint64_t start, uint64_t end)
{
	uint32_t last = journal->records - 1;
	enum ft_status st;
	int saved;

	if (start > journal->start)
		start = journal->start;
	if (end < journal->end)
		end = journal->end;
	if ((st = write_record(fd, last, FT_JOURNAL_HELD, start, end)) == FT_OK) {
		journal->start = start;
		journal->end = end;
		return FT_OK;
	}
	saved = errno;
	journal->torn = write_record(fd, last, FT_JOURNAL_HELD, journal->start, journal->end) != FT_OK;
	errno = saved;
	return st;
}

static enum ft_status mend(struct ft_journal *journal, int fd)
{
	enum ft_status st = write_record(fd, journal->records - 1, FT_JOURNAL_HELD,
					 journal->start, journal->end);

	if (st == FT_OK)
		journal->torn = false;
	return st;
}

enum ft_status ft_journal_add(struct ft_journal *journal, int fd, const struct ft_boot *boot,
			      enum ft_journal_type type, uint64_t start, uint64_t end)
{
	enum ft_status st;

	if (!journal->current && (st = ft_journal_void(journal, fd, boot)) != FT_OK)
		return st;
	if (journal->torn && (st = mend(journal, fd)) != FT_OK)
		return st;
	if (type == FT_JOURNAL_HELD && grows(journal, start, end))
		return grow(journal, fd, start, end);
	if ((st = append(journal, fd, type, start, end)) != FT_OK)
		return st;
	journal->start = start;
	journal->end = type == FT_JOURNAL_HELD ? end : start;
	return FT_OK;
}

enum ft_status ft_journal_add_all(struct ft_journal *journal, int fd, enum ft_journal_type type,
				  const struct ft_ranges *ranges)
{
	uint8_t block[BLOCK_RECORDS * RECORD];
	struct ft_range range = {0, 0};
	uint32_t n = 0;
	bool more;

	do {
		more = ft_ranges_next(ranges, range.end, &range);
		if (more)
			encode(block + (n++) * RECORD, type, range.start, range.end);
		if (n < BLOCK_RECORDS && more)
			continue;
		if (!ft_sys_write_all(fd, block, (size_t)n * RECORD, position(journal->records)))
			return ft_sys_status(errno);
		journal->records += n;
		n = 0;
	} while (more);
	journal->start = journal->end = 0;
	return FT_OK;
}

/* The state of one reading. */
struct reading {
	struct ft_journal_found *found;
	const struct ft_boot *boot;
	bool boot_known;
};

static enum ft_status apply_boot(struct reading *reading, const struct record *record)
{
	struct ft_journal_found *found = reading->found;

	reading->boot_known = true;
	found->journal.current = same_boot(reading->boot, record);
	ft_ranges_release(&found->held);
	return ft_ranges_copy(&found->held, &found->durable);
}

static enum ft_status apply_record(struct reading *reading, const struct record *record)
{
	struct ft_journal_found *found = reading->found;
	enum ft_status st = FT_OK;

	switch ((enum ft_journal_type)record->type) {
	case FT_JOURNAL_BOOT:
		return apply_boot(reading, record);
	case FT_JOURNAL_DURABLE:
		found->promised = true;
		st = ft_ranges_restore(&found->durable, record->a, record->b);
		if (st != FT_OK)
			return st;
		return ft_ranges_restore(&found->held, record->a, record->b);
	case FT_JOURNAL_HELD:
		return ft_ranges_restore(&found->held, record->a, record->b);
	case FT_JOURNAL_LOST:
		st = ft_ranges_remove(&found->held, record->a, record->b);
		if (st != FT_OK)
			return st;
		return ft_ranges_remove(&found->durable, record->a, record->b);
	case FT_JOURNAL_REWRITTEN:
		return ft_ranges_remove(&found->durable, record->a, record->b);
	}
	return FT_DAMAGED;
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

/*
 * Judges what follows the last good record: `tail` bytes, of which `len` are here. A
 * file of zeroes is what a power cut leaves of one that was never fsynced.
 */
static enum ft_status judge_tail(const struct reading *reading, const uint8_t *bytes, size_t len,
				 uint64_t tail)
{
	if (tail <= RECORD)
		return FT_OK;
	if (reading->boot_known)
		return reading->found->journal.current ? FT_DAMAGED : FT_OK;
	return all_zero(bytes, len) ? FT_OK : FT_DAMAGED;
}

/* Takes in the good records of a block; *good is how many. */
static enum ft_status read_block(struct reading *reading, const uint8_t *block, size_t len,
				 size_t *good)
{
	struct record record;
	enum ft_status st;

	for (*good = 0; (*good + 1) * RECORD <= len; (*good)++) {
		if (!decode(&record, block + *good * RECORD))
			return FT_OK;
		/* A record this program writes comes after a BOOT record. */
		if (!reading->boot_known && record.type != FT_JOURNAL_BOOT)
			return FT_DAMAGED;
		if ((st = apply_record(reading, &record)) != FT_OK)
			return st;
		reading->found->journal.records++;
	}
	return FT_OK;
}

static enum ft_status read_records(struct reading *reading, int fd, uint64_t size)
{
	uint8_t block[BLOCK_RECORDS * RECORD];
	uint64_t at = 0;

	while (at < size) {
		ssize_t len = ft_sys_read_all(fd, block, sizeof block, at);
		enum ft_status st;
		size_t good;

		if (len < 0)
			return ft_sys_status(errno);
		if (len == 0)
			break;
		if ((st = read_block(reading, block, (size_t)len, &good)) != FT_OK)
			return st;
		if (good < BLOCK_RECORDS && at + good * RECORD < size)
			return judge_tail(reading, block + good * RECORD,
					  (size_t)len - good * RECORD, size - at - good * RECORD);
		at += (uint64_t)len;
	}
	return FT_OK;
}

enum ft_status ft_journal_load(struct ft_journal_found *found, int fd, const struct ft_boot *boot)
{
	struct reading reading = {.found = found, .boot = boot};
	enum ft_status st;
	struct stat file;
	uint64_t len;

	*found = (struct ft_journal_found){.journal = {.records = 0}};
	ft_ranges_init(&found->held);
	ft_ranges_init(&found->durable);
	if (ft_sys_fstat(fd, &file) != 0)
		return ft_sys_status(errno);
	if ((st = read_records(&reading, fd, (uint64_t)file.st_size)) != FT_OK)
		return st;
	len = position(found->journal.records);
	if ((uint64_t)file.st_size > len && ft_sys_ftruncate(fd, (off_t)len) != 0)
		return ft_sys_status(errno);
	if (found->journal.current)
		return FT_OK;
	ft_ranges_release(&found->held);
	return ft_ranges_copy(&found->held, &found->durable);
}

void ft_journal_found_release(struct ft_journal_found *found)
{
	ft_ranges_release(&found->held);
	ft_ranges_release(&found->durable);
}
