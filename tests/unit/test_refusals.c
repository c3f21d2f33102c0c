/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/refusals.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"

#define LINES_MAX 4096
#define MINUTE 60000

static struct ft_logger *logger;
static struct ft_refusals *refusals;
static int64_t now;
static char *lines[LINES_MAX];
static enum ft_log_level levels[LINES_MAX];
static size_t line_count;	/* since they were looked at last */

static void sink(void *context, enum ft_log_level level, const char *line)
{
	(void)context;
	ck_assert_uint_lt(line_count, LINES_MAX);
	levels[line_count] = level;
	lines[line_count++] = strdup(line);
}

static void forget_lines(void)
{
	while (line_count > 0)
		free(lines[--line_count]);
}

static void set_up(void)
{
	logger = ft_logger_new(sink, NULL);
	refusals = ft_refusals_new(logger, 42);
	ck_assert(logger && refusals);
	now = 1000000;
}

static void tear_down(void)
{
	ft_refusals_free(&refusals);
	ck_assert_ptr_null(refusals);
	ft_logger_free(logger);
	forget_lines();
}

static void note(enum ft_status status, const char *client, const char *file, const char *detail)
{
	ft_refusals_note(refusals, &(struct ft_refusal){
		.status = status, .client = client, .client_len = strlen(client),
		.file = file, .file_len = file ? strlen(file) : 0, .detail = detail }, now);
}

static void note_many(enum ft_status status, size_t clients, size_t times)
{
	for (size_t i = 0; i < clients; i++) {
		char client[32];

		snprintf(client, sizeof client, "c%zu", i);
		for (size_t k = 0; k < times; k++)
			note(status, client, "f", NULL);
	}
}

/* As the engine does, once a second. */
static void pass(int64_t ms)
{
	for (int64_t end = now + ms; now < end;) {
		now += end - now < 1000 ? end - now : 1000;
		ft_refusals_tick(refusals, now);
	}
}

static void assert_line(const char *expected)
{
	ck_assert_msg(line_count == 1, "%zu lines, the last: %s", line_count,
		      line_count ? lines[line_count - 1] : "-");
	ck_assert_str_eq(lines[0], expected);
	forget_lines();
}

static void assert_silence(void)
{
	ck_assert_msg(line_count == 0, "%s", line_count ? lines[0] : "");
}

START_TEST(test_refusals__are_logged_at_once_with_client_file_word_and_figure)
{
	note(FT_DISK_FULL, "cam7", "f1", "12M are free, min_free_space is 256M");
	assert_line("refused disk_full: client 'cam7', file 'f1': 12M are free, min_free_space is 256M");
	note(FT_INVALID_FILEID, "cam7", NULL, NULL);
	assert_line("refused invalid_fileid: client 'cam7': a file id is 1 to 255 bytes of UTF-8");
	note(FT_BUSY, "cam8", "f2", "");
	assert_line("refused busy: client 'cam8', file 'f2': the broker has too much to do at the moment: "
		    "try again soon");
}
END_TEST

START_TEST(test_refusals__of_one_client_and_cause_take_one_line_a_minute)
{
	note(FT_BUSY, "c", "f1", "why");
	forget_lines();
	for (int i = 2; i <= 58; i++) {
		char file[8];

		now += 1000;
		snprintf(file, sizeof file, "f%d", i);
		note(FT_BUSY, "c", file, i == 2 ? "because" : "later");
		ft_refusals_tick(refusals, now);
	}
	assert_silence();
	pass(3000);
	assert_line("refused busy 57 times more: client 'c', the first with file 'f2': because");
	/* The next minute: no line at once, one at its end. */
	note(FT_BUSY, "c", "f3", "still");
	pass(MINUTE - 1000);
	assert_silence();
	pass(1000);
	assert_line("refused busy 1 time more: client 'c', the first with file 'f3': still");
	/* A minute without any, and the first one is news again. */
	pass(MINUTE + 1000);
	assert_silence();
	note(FT_BUSY, "c", "f4", "again");
	assert_line("refused busy: client 'c', file 'f4': again");
	pass(2 * MINUTE);
	assert_silence();
}
END_TEST

START_TEST(test_refusals__of_other_clients_and_causes_have_lines_of_their_own)
{
	static const char *const clients[] = { "a", "b", "", "a/b" };
	static const enum ft_status causes[] = { FT_BUSY, FT_DISK_FULL, FT_INVALID_OFFSET };

	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < 4; i++)
			for (size_t k = 0; k < 3; k++)
				note(causes[k], clients[i], "f", NULL);
	ck_assert_uint_eq(line_count, 12);
	forget_lines();
	pass(MINUTE);
	ck_assert_uint_eq(line_count, 12);
	for (size_t i = 0; i < line_count; i++)
		ck_assert_msg(strstr(lines[i], " 2 times more") != NULL, "%s", lines[i]);
}
END_TEST

START_TEST(test_refusals__warn_of_what_is_the_brokers_trouble)
{
	static const struct {
		enum ft_status status;
		enum ft_log_level level;
	} rows[] = {
		{ FT_DISK_FULL, FT_LOG_WARNING }, { FT_BUSY, FT_LOG_WARNING },
		{ FT_TOO_MANY_TRANSFERS, FT_LOG_WARNING }, { FT_IO_ERROR, FT_LOG_WARNING },
		{ FT_TIMEOUT, FT_LOG_WARNING }, { FT_NO_MEMORY, FT_LOG_WARNING },
		{ FT_INVALID_OFFSET, FT_LOG_NOTICE }, { FT_CHECKSUM_MISMATCH, FT_LOG_NOTICE },
		{ FT_INCOMPLETE, FT_LOG_NOTICE }, { FT_NO_SUCH_TRANSFER, FT_LOG_NOTICE },
		{ FT_FILE_TOO_LARGE, FT_LOG_NOTICE }, { FT_FILEMETA_CONFLICT, FT_LOG_NOTICE },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		note(rows[i].status, "c", "f", NULL);
		ck_assert_uint_eq(line_count, 1);
		ck_assert_msg(levels[0] == rows[i].level, "%s", lines[0]);
		forget_lines();
	}
}
END_TEST

START_TEST(test_refusals__are_over_with_the_number_of_clients_told)
{
	static const enum ft_status ends[] = {
		FT_DISK_FULL, FT_QUOTA_EXCEEDED, FT_TOO_MANY_TRANSFERS, FT_RATE_LIMITED,
		FT_IO_ERROR, FT_NO_MEMORY,
	};

	note_many(FT_DISK_FULL, 3, 1);
	note(FT_DISK_FULL, "c1", "f", NULL);
	note(FT_BUSY, "other", "f", NULL);
	forget_lines();
	ft_refusals_over(refusals, FT_DISK_FULL, now);
	assert_line("there is room on the disk again; 3 clients were told disk_full, 4 times");
	ft_refusals_over(refusals, FT_DISK_FULL, now);
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
		ft_refusals_over(refusals, ends[i], now);
	assert_silence();
	pass(MINUTE);
	assert_silence();	/* what was counted is told */
	/* It begins anew, from nothing. */
	note(FT_DISK_FULL, "c1", "f", "x");
	assert_line("refused disk_full: client 'c1', file 'f': x");
	ft_refusals_over(refusals, FT_DISK_FULL, now);
	assert_line("there is room on the disk again; 1 client was told disk_full, 1 time");
	ft_refusals_over(refusals, FT_BUSY, now);
	assert_line("there is time for everything again; 1 client was told busy, 1 time");
}
END_TEST

START_TEST(test_refusals__remember_quiet_clients_until_it_is_over)
{
	note(FT_DISK_FULL, "a", "f", NULL);
	pass(10 * MINUTE);
	note(FT_DISK_FULL, "b", "f", NULL);
	pass(10 * MINUTE);
	note(FT_DISK_FULL, "a", "f", NULL);
	forget_lines();
	ft_refusals_over(refusals, FT_DISK_FULL, now);
	assert_line("there is room on the disk again; 2 clients were told disk_full, 3 times");
}
END_TEST

/* Though their rows were needed for others meanwhile. */
START_TEST(test_refusals__remember_how_many_quiet_clients_there_were)
{
	char client[32];

	for (int i = 0; i < 2000; i++) {
		snprintf(client, sizeof client, "c%d", i);
		note(FT_DISK_FULL, client, "f", NULL);
		pass(MINUTE + 1000);	/* the former ones are quiet by now */
		forget_lines();
	}
	ft_refusals_over(refusals, FT_DISK_FULL, now);
	assert_line("there is room on the disk again; 2000 clients were told disk_full, 2000 times");
}
END_TEST

START_TEST(test_refusals__that_come_and_go_do_not_fill_the_log)
{
	size_t written;

	for (int i = 0; i < 30000; i++) {
		note(FT_TOO_MANY_TRANSFERS, "c", "f", NULL);
		ft_refusals_over(refusals, FT_TOO_MANY_TRANSFERS, now);
		now += 10;
		ft_refusals_tick(refusals, now);
	}
	/* Five minutes: each begins, repeats and ends. */
	written = line_count;
	ck_assert_uint_le(written, 15);
	ck_assert_uint_ge(written, 10);
	forget_lines();
	pass(MINUTE);
	ck_assert_uint_eq(line_count, 1);	/* the last end, told a minute after the one before */
	ck_assert_ptr_nonnull(strstr(lines[0], "there is room for transfers again; 1 client"));
}
END_TEST

START_TEST(test_refusals__are_not_over_if_it_began_again)
{
	note(FT_DISK_FULL, "a", "f", NULL);
	ft_refusals_over(refusals, FT_DISK_FULL, now);
	now += 1000;
	note(FT_DISK_FULL, "a", "f", NULL);
	ft_refusals_over(refusals, FT_DISK_FULL, now);
	now += 1000;
	note(FT_DISK_FULL, "a", "f", NULL);
	forget_lines();
	pass(2 * MINUTE);
	assert_line("refused disk_full 1 time more: client 'a', the first with file 'f': "
		    "the broker's disk is full: try again later");
	ft_refusals_over(refusals, FT_DISK_FULL, now);
	assert_line("there is room on the disk again; 1 client was told disk_full, 2 times");
}
END_TEST

START_TEST(test_refusals__take_a_hundred_lines_a_minute_at_most)
{
	note_many(FT_BUSY, 250, 1);
	ck_assert_uint_eq(line_count, FT_REFUSALS_LINES_MAX);
	forget_lines();
	pass(MINUTE - 1000);
	assert_silence();
	pass(1000);
	assert_line("and 150 refusals more in a minute, of 150 clients and causes");
	pass(MINUTE);
	assert_silence();
	/* So do the lines that only count. */
	note_many(FT_BUSY, 250, 3);
	forget_lines();
	pass(MINUTE);
	ck_assert_uint_le(line_count, FT_REFUSALS_LINES_MAX + 1);
	forget_lines();
	pass(2 * MINUTE);
	ck_assert_uint_eq(line_count, 1);
	ck_assert_ptr_nonnull(strstr(lines[0], "refusals more in a minute"));
}
END_TEST

/* What the lines of a time say: how many refusals there were. */
static unsigned long long told_in_lines(void)
{
	unsigned long long told = 0;

	for (size_t i = 0; i < line_count; i++) {
		unsigned long long number;

		if (sscanf(lines[i], "and %llu refusals", &number) == 1
		    || sscanf(lines[i], "refused %*s %llu times", &number) == 1)
			told += number;
		else
			told++;
	}
	return told;
}

START_TEST(test_refusals__are_all_counted_however_many_clients_there_are)
{
	unsigned long long told = 0;

	for (int minute = 0; minute < 3; minute++) {
		note_many(FT_BUSY, 5000, 4);
		note_many(FT_INVALID_OFFSET, 10, 7);
		pass(MINUTE);
		ck_assert_uint_le(line_count, 2 * FT_REFUSALS_LINES_MAX);
		told += told_in_lines();
		forget_lines();
	}
	pass(3 * MINUTE);
	ck_assert_uint_eq(told + told_in_lines(), 3 * (5000 * 4 + 10 * 7));
	forget_lines();
	ft_refusals_over(refusals, FT_BUSY, now);
	ck_assert_uint_eq(line_count, 1);
	ck_assert_ptr_nonnull(strstr(lines[0], "again; more than "));
	ck_assert_ptr_nonnull(strstr(lines[0], "told busy, 60000 times"));
}
END_TEST

START_TEST(test_refusals__are_all_in_the_log_at_the_end)
{
	note_many(FT_BUSY, 300, 3);
	ft_refusals_free(&refusals);
	ck_assert_uint_eq(told_in_lines(), 900);
	ck_assert_uint_le(line_count, 2 * FT_REFUSALS_LINES_MAX + 2);
}
END_TEST

START_TEST(test_refusals__show_ids_of_any_bytes_and_length_in_one_line)
{
	char *id = malloc(65535);
	struct ft_refusal refusal = { .status = FT_BUSY, .client = id, .client_len = 65535,
				      .file = id, .file_len = 255, .detail = "x" };

	memset(id, '\n', 65535);
	ft_refusals_note(refusals, &refusal, now);
	ck_assert_uint_eq(line_count, 1);
	ck_assert_ptr_null(strchr(lines[0], '\n'));
	ck_assert_ptr_nonnull(strstr(lines[0], "\\x0a\\x0a...', file '\\x0a"));
	ck_assert_uint_lt(strlen(lines[0]), 700);
	/* Ids that differ at their ends, or in their length, are two. */
	id[65534] = 'y';
	ft_refusals_note(refusals, &refusal, now);
	refusal.client_len = 65533;
	ft_refusals_note(refusals, &refusal, now);
	ck_assert_uint_eq(line_count, 3);
	free(id);
}
END_TEST

START_TEST(test_refusals__cut_long_details)
{
	char detail[600];

	memset(detail, 'd', sizeof detail - 1);
	detail[sizeof detail - 1] = '\0';
	note(FT_BUSY, "c", "f", detail);
	ck_assert_uint_eq(line_count, 1);
	ck_assert_uint_lt(strlen(lines[0]), 300);
	ck_assert_str_eq(lines[0] + strlen(lines[0]) - 4, "d...");
}
END_TEST

START_TEST(test_refusals__can_be_done_without)
{
	struct ft_refusals *none = NULL;
	struct ft_refusal refusal = { .status = FT_BUSY, .client = "c", .client_len = 1 };

	ft_refusals_note(none, &refusal, now);
	ft_refusals_over(none, FT_BUSY, now);
	ft_refusals_tick(none, now);
	ft_refusals_free(&none);
	assert_silence();
}
END_TEST

FT_SUITE_WITH("refusals", set_up, tear_down,
	      test_refusals__are_logged_at_once_with_client_file_word_and_figure,
	      test_refusals__of_one_client_and_cause_take_one_line_a_minute,
	      test_refusals__of_other_clients_and_causes_have_lines_of_their_own,
	      test_refusals__warn_of_what_is_the_brokers_trouble,
	      test_refusals__are_over_with_the_number_of_clients_told,
	      test_refusals__remember_quiet_clients_until_it_is_over,
	      test_refusals__remember_how_many_quiet_clients_there_were,
	      test_refusals__that_come_and_go_do_not_fill_the_log,
	      test_refusals__are_not_over_if_it_began_again,
	      test_refusals__take_a_hundred_lines_a_minute_at_most,
	      test_refusals__are_all_counted_however_many_clients_there_are,
	      test_refusals__are_all_in_the_log_at_the_end,
	      test_refusals__show_ids_of_any_bytes_and_length_in_one_line,
	      test_refusals__cut_long_details,
	      test_refusals__can_be_done_without);
