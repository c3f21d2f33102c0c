/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The journal: any bytes are read without harm, and what was written is read as a byte
 * map says, also where the last record was cut short, and after a boot.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "fuzz.h"
#include "store/journal.h"

#define JOURNAL_BYTES 64
#define JOURNAL_OPS 400
#define JOURNAL_INPUT_MAX 65536

static const struct ft_boot journal_boot = { 1, 2 };
static const struct ft_boot journal_other_boot = { 3, 4 };

static int journal_file(const uint8_t *bytes, size_t len)
{
	int fd = memfd_create("journal", MFD_CLOEXEC);

	fuzz_check(fd >= 0);
	fuzz_check(len == 0 || pwrite(fd, bytes, len, 0) == (ssize_t)len);
	return fd;
}

static bool journal_equal(const struct ft_ranges *a, const struct ft_ranges *b)
{
	struct ft_range one, other;
	uint64_t at = 0;

	if (a->count != b->count || a->bytes != b->bytes)
		return false;
	while (ft_ranges_next(a, at, &one)) {
		if (!ft_ranges_next(b, at, &other) || one.start != other.start
		    || one.end != other.end)
			return false;
		at = one.end;
	}
	return true;
}

static void journal_check_found(const struct ft_journal_found *found)
{
	struct ft_range range;
	uint64_t at = 0;

	while (ft_ranges_next(&found->held, at, &range)) {
		fuzz_check(range.end <= FT_JOURNAL_END);
		at = range.end;
	}
	if (!found->journal.current)
		fuzz_check(journal_equal(&found->held, &found->durable));
}

/* What is read once is read again; and what is added then is there as well. */
static void journal_read_any(const uint8_t *bytes, size_t len)
{
	struct ft_journal_found found, again;
	int fd = journal_file(bytes, len);
	enum ft_status st = ft_journal_load(&found, fd, &journal_boot);

	fuzz_check(st == FT_OK || st == FT_DAMAGED);
	if (st == FT_OK) {
		journal_check_found(&found);
		fuzz_check(ft_journal_load(&again, fd, &journal_boot) == FT_OK);
		fuzz_check(journal_equal(&found.held, &again.held));
		fuzz_check(journal_equal(&found.durable, &again.durable));
		fuzz_check(again.journal.records == found.journal.records);
		ft_journal_found_release(&again);
		fuzz_check(ft_journal_add(&found.journal, fd, &journal_boot, FT_JOURNAL_HELD, 7, 9)
			   == FT_OK);
		fuzz_check(ft_ranges_add(&found.held, 7, 9) == FT_OK);
		fuzz_check(ft_journal_load(&again, fd, &journal_boot) == FT_OK);
		fuzz_check(journal_equal(&found.held, &again.held));
		ft_journal_found_release(&again);
	}
	ft_journal_found_release(&found);
	close(fd);
}

/* Gives every record a right sum, so that what they say is looked at. */
static void journal_mend_sums(uint8_t *bytes, size_t len)
{
	uint8_t fields[FT_JOURNAL_RECORD_LEN - 4];

	for (size_t at = 0; at + FT_JOURNAL_RECORD_LEN <= len; at += FT_JOURNAL_RECORD_LEN) {
		uint8_t *record = bytes + at;
		uint32_t sum;

		record[0] %= 7;
		record[1] = record[2] = record[3] = 0;
		memcpy(fields, record, 4);
		memcpy(fields + 4, record + 8, 16);
		sum = ft_crc32c(fields, sizeof fields);
		for (int i = 0; i < 4; i++)
			record[4 + i] = (uint8_t)(sum >> (8 * i));
	}
}

/* --- writing, against a byte map --- */

struct journal_map {
	bool held[JOURNAL_BYTES];
	bool durable[JOURNAL_BYTES];
};

static void journal_apply(struct journal_map *map, enum ft_journal_type type, unsigned start,
			  unsigned end)
{
	for (unsigned i = 0; i < JOURNAL_BYTES; i++) {
		bool in = i >= start && i < end;

		if (type == FT_JOURNAL_BOOT)
			map->held[i] = map->durable[i];
		else if (in && (type == FT_JOURNAL_HELD || type == FT_JOURNAL_DURABLE))
			map->held[i] = true;
		if (in && type != FT_JOURNAL_HELD && type != FT_JOURNAL_BOOT)
			map->durable[i] = type == FT_JOURNAL_DURABLE;
		if (in && type == FT_JOURNAL_LOST)
			map->held[i] = false;
	}
}

static void journal_compare(int fd, const struct journal_map *map, const struct ft_boot *boot)
{
	struct ft_journal_found found;
	bool same = boot == &journal_boot;

	fuzz_check(ft_journal_load(&found, fd, boot) == FT_OK);
	for (unsigned i = 0; i < JOURNAL_BYTES; i++) {
		fuzz_check(ft_ranges_cover(&found.held, i, i + 1)
			   == (same ? map->held[i] : map->durable[i]));
		fuzz_check(ft_ranges_cover(&found.durable, i, i + 1) == map->durable[i]);
	}
	fuzz_check(!ft_ranges_overlap(&found.held, JOURNAL_BYTES, UINT64_MAX));
	ft_journal_found_release(&found);
}

static void journal_write(struct fuzz_input *input)
{
	static struct journal_map after[JOURNAL_OPS + 2];	/* by number of records */
	unsigned cut = fuzz_byte(input) % (FT_JOURNAL_RECORD_LEN + 1);
	const struct ft_boot *boot = fuzz_byte(input) % 2 ? &journal_boot : &journal_other_boot;
	struct journal_map map = { { false }, { false } };
	struct ft_journal journal;
	int fd = journal_file(NULL, 0);

	fuzz_check(ft_journal_begin(&journal, fd, &journal_boot) == FT_OK);
	after[journal.records] = map;
	for (int i = 0; i < JOURNAL_OPS && input->len > 0; i++) {
		unsigned type = 1 + fuzz_byte(input) % 5;
		unsigned start = fuzz_byte(input) % JOURNAL_BYTES;
		unsigned end = start + 1 + fuzz_byte(input) % (JOURNAL_BYTES - start);

		if (type == FT_JOURNAL_BOOT)
			fuzz_check(ft_journal_void(&journal, fd, &journal_boot) == FT_OK);
		else
			fuzz_check(ft_journal_add(&journal, fd, &journal_boot,
						  (enum ft_journal_type)type, start, end)
				   == FT_OK);
		journal_apply(&map, (enum ft_journal_type)type, start, end);
		after[journal.records] = map;
	}
	if (cut > 0 && journal.records > 1) {
		fuzz_check(ftruncate(fd, (off_t)journal.records * FT_JOURNAL_RECORD_LEN - cut) == 0);
		map = after[journal.records - 1];
	}
	journal_compare(fd, &map, boot);
	close(fd);
}

FUZZ_TARGET(journal)
{
	static uint8_t copy[JOURNAL_INPUT_MAX];
	struct fuzz_input input = { bytes, len < sizeof copy ? len : sizeof copy };

	switch (fuzz_byte(&input) % 3) {
	case 0:
		journal_read_any(input.bytes, input.len);
		break;
	case 1:
		memcpy(copy, input.bytes, input.len);
		journal_mend_sums(copy, input.len);
		journal_read_any(copy, input.len);
		break;
	default:
		journal_write(&input);
		break;
	}
}
