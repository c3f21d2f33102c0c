/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/journal.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"

#include "../suite.h"

#define RECORD ((off_t)FT_JOURNAL_RECORD_LEN)

static const struct ft_boot BOOT = {1, 2};
static const struct ft_boot OTHER = {3, 4};

/* A journal in memory, begun. */
struct book {
	int fd;
	struct ft_journal journal;
};

static void open_book(struct book *book)
{
	book->fd = memfd_create("journal", MFD_CLOEXEC);
	ck_assert_int_ge(book->fd, 0);
	ck_assert_int_eq(ft_journal_begin(&book->journal, book->fd, &BOOT), FT_OK);
}

static void add(struct book *book, enum ft_journal_type type, uint64_t start, uint64_t end)
{
	ck_assert_int_eq(ft_journal_add(&book->journal, book->fd, &BOOT, type, start, end), FT_OK);
}

static const char *text_of(const struct ft_ranges *ranges, char *room, size_t size)
{
	struct ft_buf buf = ft_buf_on(room, size);
	struct ft_range range = {0, 0};

	while (ft_ranges_next(ranges, range.end, &range))
		ft_buf_printf(&buf, "%s%llu-%llu", buf.len ? " " : "",
			      (unsigned long long)range.start, (unsigned long long)range.end);
	return room;
}

static void expect(const struct book *book, const struct ft_boot *boot, const char *held,
		   const char *durable)
{
	struct ft_journal_found found;
	char room[1024];

	ck_assert_int_eq(ft_journal_load(&found, book->fd, boot), FT_OK);
	ck_assert_str_eq(text_of(&found.held, room, sizeof room), held);
	ck_assert_str_eq(text_of(&found.durable, room, sizeof room), durable);
	ft_journal_found_release(&found);
}

static void expect_damage(const struct book *book, const struct ft_boot *boot)
{
	struct ft_journal_found found;

	ck_assert_int_eq(ft_journal_load(&found, book->fd, boot), FT_DAMAGED);
	ft_journal_found_release(&found);
}

static off_t size_of(const struct book *book)
{
	return lseek(book->fd, 0, SEEK_END);
}

static void spoil(const struct book *book, uint32_t record)
{
	uint8_t byte;

	ck_assert_int_eq(pread(book->fd, &byte, 1, record * RECORD + 9), 1);
	byte ^= 0x40;
	ck_assert_int_eq(pwrite(book->fd, &byte, 1, record * RECORD + 9), 1);
}

/* --- boot ids --- */

START_TEST(test_journal__reads_a_boot_id)
{
	struct ft_boot boot = ft_boot_parse("01234567-89ab-cdef-FEDC-ba9876543210");

	ck_assert_uint_eq(boot.a, UINT64_C(0x0123456789abcdef));
	ck_assert_uint_eq(boot.b, UINT64_C(0xfedcba9876543210));
}
END_TEST

START_TEST(test_journal__takes_anything_else_for_an_unknown_boot)
{
	static const char *const texts[] = {
		"", "01234567-89ab-cdef-fedc-ba987654321", "01234567-89ab-cdef-fedc-ba98765432100",
		"g1234567-89ab-cdef-fedc-ba9876543210",
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct ft_boot boot = ft_boot_parse(texts[i]);

		ck_assert_uint_eq(boot.a | boot.b, 0);
	}
}
END_TEST

/* --- what is read --- */

START_TEST(test_journal__reads_what_was_written)
{
	struct book book;

	open_book(&book);
	expect(&book, &BOOT, "", "");
	add(&book, FT_JOURNAL_HELD, 10, 20);
	add(&book, FT_JOURNAL_DURABLE, 30, 40);
	add(&book, FT_JOURNAL_HELD, 15, 35);
	expect(&book, &BOOT, "10-40", "30-40");
	close(book.fd);
}
END_TEST

START_TEST(test_journal__forgets_what_is_lost)
{
	struct book book;

	open_book(&book);
	add(&book, FT_JOURNAL_DURABLE, 0, 100);
	add(&book, FT_JOURNAL_HELD, 100, 200);
	add(&book, FT_JOURNAL_LOST, 50, 150);
	expect(&book, &BOOT, "0-50 150-200", "0-50");
	close(book.fd);
}
END_TEST

START_TEST(test_journal__still_holds_what_was_rewritten)
{
	struct book book;

	open_book(&book);
	add(&book, FT_JOURNAL_DURABLE, 0, 100);
	add(&book, FT_JOURNAL_REWRITTEN, 50, FT_JOURNAL_END);
	expect(&book, &BOOT, "0-100", "0-50");
	expect(&book, &OTHER, "0-50", "0-50");
	close(book.fd);
}
END_TEST

START_TEST(test_journal__trusts_only_durable_bytes_of_another_boot)
{
	struct book book;

	open_book(&book);
	add(&book, FT_JOURNAL_HELD, 0, 100);
	add(&book, FT_JOURNAL_DURABLE, 50, 60);
	expect(&book, &OTHER, "50-60", "50-60");
	close(book.fd);
}
END_TEST

START_TEST(test_journal__never_trusts_an_unknown_boot)
{
	const struct ft_boot unknown = {0, 0};
	struct book book;

	open_book(&book);
	ck_assert_int_eq(ft_journal_begin(&book.journal, book.fd, &unknown), FT_OK);
	add(&book, FT_JOURNAL_HELD, 0, 100);
	expect(&book, &unknown, "", "");
	close(book.fd);
}
END_TEST

START_TEST(test_journal__begins_a_new_boot_before_the_first_new_record)
{
	struct ft_journal_found found;
	struct book book;

	open_book(&book);
	add(&book, FT_JOURNAL_HELD, 0, 100);
	ck_assert_int_eq(ft_journal_load(&found, book.fd, &OTHER), FT_OK);
	ck_assert_int_eq(ft_journal_add(&found.journal, book.fd, &OTHER, FT_JOURNAL_HELD, 200, 300),
			 FT_OK);
	ck_assert_int_eq(size_of(&book), 4 * RECORD);
	expect(&book, &OTHER, "200-300", "");
	expect(&book, &BOOT, "", "");
	ft_journal_found_release(&found);
	close(book.fd);
}
END_TEST

START_TEST(test_journal__voids_what_is_not_durable)
{
	struct book book;

	open_book(&book);
	add(&book, FT_JOURNAL_DURABLE, 0, 10);
	add(&book, FT_JOURNAL_HELD, 10, 20);
	ck_assert_int_eq(ft_journal_void(&book.journal, book.fd, &BOOT), FT_OK);
	/* A new record, not the growing of one that is void. */
	add(&book, FT_JOURNAL_HELD, 20, 30);
	expect(&book, &BOOT, "0-10 20-30", "0-10");
	close(book.fd);
}
END_TEST

/* --- growing in place --- */

START_TEST(test_journal__grows_the_last_record)
{
	struct book book;

	open_book(&book);
	add(&book, FT_JOURNAL_HELD, 100, 200);
	add(&book, FT_JOURNAL_HELD, 200, 300);
	add(&book, FT_JOURNAL_HELD, 50, 100);
	ck_assert_int_eq(size_of(&book), 2 * RECORD);
	expect(&book, &BOOT, "50-300", "");
	close(book.fd);
}
END_TEST

START_TEST(test_journal__grows_no_durable_record)
{
	struct book book;

	open_book(&book);
	add(&book, FT_JOURNAL_DURABLE, 100, 200);
	add(&book, FT_JOURNAL_HELD, 200, 300);
	add(&book, FT_JOURNAL_DURABLE, 300, 400);
	ck_assert_int_eq(size_of(&book), 4 * RECORD);
	expect(&book, &BOOT, "100-400", "100-200 300-400");
	close(book.fd);
}
END_TEST

START_TEST(test_journal__grows_no_record_of_an_earlier_process)
{
	struct ft_journal_found found;
	struct book book;

	open_book(&book);
	add(&book, FT_JOURNAL_HELD, 0, 100);
	ck_assert_int_eq(ft_journal_load(&found, book.fd, &BOOT), FT_OK);
	ck_assert_int_eq(ft_journal_add(&found.journal, book.fd, &BOOT, FT_JOURNAL_HELD, 100, 200),
			 FT_OK);
	ck_assert_int_eq(size_of(&book), 3 * RECORD);
	ft_journal_found_release(&found);
	close(book.fd);
}
END_TEST

/* A process killed between two pages of one write would leave half of either record. */
START_TEST(test_journal__grows_no_record_that_lies_in_two_pages)
{
	struct book book;

	open_book(&book);
	for (uint64_t i = 1; i <= 170; i++)
		add(&book, FT_JOURNAL_HELD, i * 100, i * 100 + 1);
	/* Record 170 begins at byte 4080 of the page's 4096. */
	ck_assert_int_eq(size_of(&book), 171 * RECORD);
	add(&book, FT_JOURNAL_HELD, 17001, 17002);
	ck_assert_int_eq(size_of(&book), 172 * RECORD);
	add(&book, FT_JOURNAL_HELD, 17002, 17003);
	ck_assert_int_eq(size_of(&book), 172 * RECORD);
	close(book.fd);
}
END_TEST

/* --- tails and damage --- */

START_TEST(test_journal__cuts_a_torn_tail_off)
{
	struct book book;

	for (off_t cut = 1; cut < RECORD; cut++) {
		open_book(&book);
		add(&book, FT_JOURNAL_HELD, 0, 10);
		add(&book, FT_JOURNAL_HELD, 20, 30);
		ck_assert_int_eq(ftruncate(book.fd, 3 * RECORD - cut), 0);
		expect(&book, &BOOT, "0-10", "");
		ck_assert_int_eq(size_of(&book), 2 * RECORD);
		close(book.fd);
	}
}
END_TEST

START_TEST(test_journal__drops_a_bad_last_record)
{
	struct book book;

	open_book(&book);
	add(&book, FT_JOURNAL_HELD, 0, 10);
	add(&book, FT_JOURNAL_HELD, 20, 30);
	spoil(&book, 2);
	expect(&book, &BOOT, "0-10", "");
	close(book.fd);
}
END_TEST

START_TEST(test_journal__is_damaged_where_a_bad_record_is_not_the_last)
{
	struct book book;

	open_book(&book);
	add(&book, FT_JOURNAL_HELD, 0, 10);
	add(&book, FT_JOURNAL_HELD, 20, 30);
	spoil(&book, 1);
	expect_damage(&book, &BOOT);
	close(book.fd);
}
END_TEST

START_TEST(test_journal__ends_at_a_bad_record_of_another_boot)
{
	struct book book;

	open_book(&book);
	add(&book, FT_JOURNAL_DURABLE, 0, 10);
	add(&book, FT_JOURNAL_DURABLE, 20, 30);
	add(&book, FT_JOURNAL_DURABLE, 40, 50);
	spoil(&book, 2);
	expect(&book, &OTHER, "0-10", "0-10");
	ck_assert_int_eq(size_of(&book), 2 * RECORD);
	close(book.fd);
}
END_TEST

START_TEST(test_journal__is_damaged_where_the_first_record_is_bad_but_not_the_last)
{
	struct book book;

	open_book(&book);
	add(&book, FT_JOURNAL_DURABLE, 0, 10);
	spoil(&book, 0);
	expect_damage(&book, &BOOT);
	close(book.fd);
}
END_TEST

START_TEST(test_journal__is_damaged_where_no_boot_comes_first)
{
	struct book book;

	open_book(&book);
	book.journal.records = 0;
	add(&book, FT_JOURNAL_DURABLE, 0, 10);
	expect_damage(&book, &BOOT);
	close(book.fd);
}
END_TEST

START_TEST(test_journal__says_nothing_where_it_is_empty_or_zeroed)
{
	struct book book;

	open_book(&book);
	ck_assert_int_eq(ftruncate(book.fd, 0), 0);
	expect(&book, &BOOT, "", "");
	ck_assert_int_eq(ftruncate(book.fd, 1000), 0);
	expect(&book, &BOOT, "", "");
	ck_assert_int_eq(size_of(&book), 0);
	close(book.fd);
}
END_TEST

START_TEST(test_journal__believes_no_impossible_range)
{
	static const struct ft_range ranges[] = {
		{5, 5}, {6, 5}, {0, FT_JOURNAL_END + 1}, {UINT64_MAX - 1, UINT64_MAX},
	};
	struct book book;

	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
		open_book(&book);
		add(&book, FT_JOURNAL_HELD, 0, 10);
		/* With a good sum: written by something that is not this program. */
		book.journal.start = book.journal.end = 0;
		add(&book, FT_JOURNAL_HELD, ranges[i].start, ranges[i].end);
		add(&book, FT_JOURNAL_DURABLE, 20, 30);
		expect_damage(&book, &BOOT);
		close(book.fd);
	}
}
END_TEST

/* --- many --- */

START_TEST(test_journal__writes_a_whole_set)
{
	struct ft_ranges set, none;
	struct ft_journal_found found;
	struct book book;

	ft_ranges_init(&set);
	ft_ranges_init(&none);
	open_book(&book);
	for (uint64_t i = 0; i < 1000; i++)
		ck_assert_int_eq(ft_ranges_add(&set, i * 10, i * 10 + 5), FT_OK);
	ck_assert_int_eq(ft_journal_add_all(&book.journal, book.fd, FT_JOURNAL_DURABLE, &set), FT_OK);
	ck_assert_int_eq(ft_journal_add_all(&book.journal, book.fd, FT_JOURNAL_DURABLE, &none),
			 FT_OK);
	ck_assert_int_eq(size_of(&book), 1001 * RECORD);
	add(&book, FT_JOURNAL_HELD, 9995, 20000);
	ck_assert_int_eq(ft_journal_load(&found, book.fd, &BOOT), FT_OK);
	ck_assert_uint_eq(found.durable.count, 1000);
	ck_assert_uint_eq(found.held.bytes, 5000 + 10005);
	ck_assert_uint_eq(found.journal.records, 1002);
	ft_journal_found_release(&found);
	ft_ranges_release(&set);
	close(book.fd);
}
END_TEST

FT_SUITE("journal",
	 test_journal__reads_a_boot_id,
	 test_journal__takes_anything_else_for_an_unknown_boot,
	 test_journal__reads_what_was_written,
	 test_journal__forgets_what_is_lost,
	 test_journal__still_holds_what_was_rewritten,
	 test_journal__trusts_only_durable_bytes_of_another_boot,
	 test_journal__never_trusts_an_unknown_boot,
	 test_journal__begins_a_new_boot_before_the_first_new_record,
	 test_journal__voids_what_is_not_durable,
	 test_journal__grows_the_last_record,
	 test_journal__grows_no_durable_record,
	 test_journal__grows_no_record_of_an_earlier_process,
	 test_journal__grows_no_record_that_lies_in_two_pages,
	 test_journal__cuts_a_torn_tail_off,
	 test_journal__drops_a_bad_last_record,
	 test_journal__is_damaged_where_a_bad_record_is_not_the_last,
	 test_journal__ends_at_a_bad_record_of_another_boot,
	 test_journal__is_damaged_where_the_first_record_is_bad_but_not_the_last,
	 test_journal__is_damaged_where_no_boot_comes_first,
	 test_journal__says_nothing_where_it_is_empty_or_zeroed,
	 test_journal__believes_no_impossible_range,
	 test_journal__writes_a_whole_set);
