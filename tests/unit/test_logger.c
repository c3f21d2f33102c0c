/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/utf8.h"

static atomic_bool memory_is_out;

static void *test_malloc(size_t size)
{
	return atomic_load(&memory_is_out) ? NULL : malloc(size);
}

static void *test_calloc(size_t count, size_t size)
{
	return atomic_load(&memory_is_out) ? NULL : calloc(count, size);
}

#define malloc test_malloc
#define calloc test_calloc
#include "base/logger.c"

#include "../suite.h"
#undef malloc
#undef calloc

#define LONGEST (LINE_ROOM - 1)
#define WRITERS 4
#define LINES_EACH 20000

/* What came out. The sink is called on the test's thread only, so nothing guards it. */
static struct {
	struct ft_logger *log;
	pthread_t owner;
	unsigned count;
	unsigned warnings;	/* lines that say how many were dropped */
	unsigned long dropped;
	enum ft_log_level level;
	char last[2048];
	char all[1 << 16];	/* every line, each with a bar behind it */
	struct ft_buf text;	/* on `all` */
	unsigned next[WRITERS];
	bool answers;
} out;

static void sink(void *context, enum ft_log_level level, const char *line)
{
	unsigned long dropped;

	ck_assert_ptr_eq(context, &out);
	ck_assert(pthread_equal(out.owner, pthread_self()));
	out.count++;
	out.level = level;
	snprintf(out.last, sizeof out.last, "%s", line);
	ft_buf_str(&out.text, line);
	ft_buf_char(&out.text, '|');
	if (strstr(line, "log lines were dropped") && sscanf(line, "%lu", &dropped) == 1) {
		out.warnings++;
		out.dropped += dropped;
	}
	if (out.answers) {
		out.answers = false;
		ft_logger_printf(out.log, FT_LOG_DEBUG, "said by the sink");
	}
}

static struct ft_logger *log_new(void)
{
	memset(&out, 0, sizeof out);
	out.owner = pthread_self();
	out.text = ft_buf_on(out.all, sizeof out.all);
	out.log = ft_logger_new(sink, &out);
	ck_assert_ptr_nonnull(out.log);
	return out.log;
}

static void on_another_thread(void *(*run)(void *), void *context)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, run, context), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

static void *write_two(void *log)
{
	ft_logger_printf(log, FT_LOG_ERROR, "worker %d", 1);
	ft_logger_printf(log, FT_LOG_INFO, "worker %d", 2);
	return NULL;
}

START_TEST(test_log__writes_the_owners_lines_at_once)
{
	struct ft_logger *log = log_new();

	ft_logger_printf(log, FT_LOG_NOTICE, "%s is %d", "it", 42);
	ck_assert_uint_eq(out.count, 1);
	ck_assert_str_eq(out.last, "it is 42");
	ck_assert_int_eq(out.level, FT_LOG_NOTICE);
	ft_logger_free(log);
	ck_assert_uint_eq(out.count, 1);
}
END_TEST

START_TEST(test_log__keeps_workers_lines_until_drained)
{
	struct ft_logger *log = log_new();

	on_another_thread(write_two, log);
	ck_assert_uint_eq(out.count, 0);
	ft_logger_drain(log);
	ck_assert_str_eq(out.all, "worker 1|worker 2|");
	ck_assert_int_eq(out.level, FT_LOG_INFO);
	ft_logger_drain(log);
	ck_assert_uint_eq(out.count, 2);
	ft_logger_free(log);
}
END_TEST

START_TEST(test_log__writes_queued_lines_before_the_owners)
{
	struct ft_logger *log = log_new();

	on_another_thread(write_two, log);
	ft_logger_printf(log, FT_LOG_INFO, "owner");
	on_another_thread(write_two, log);
	ft_logger_printf(log, FT_LOG_INFO, "owner");
	ck_assert_str_eq(out.all, "worker 1|worker 2|owner|worker 1|worker 2|owner|");
	ft_logger_free(log);
}
END_TEST

START_TEST(test_log__writes_queued_lines_when_freed)
{
	struct ft_logger *log = log_new();

	on_another_thread(write_two, log);
	ft_logger_free(log);
	ck_assert_str_eq(out.all, "worker 1|worker 2|");
}
END_TEST

START_TEST(test_log__null_is_a_log_that_says_nothing)
{
	ft_logger_printf(NULL, FT_LOG_ERROR, "%d", 1);
	ft_logger_drain(NULL);
	ft_logger_free(NULL);
}
END_TEST

static void *write_too_many(void *log)
{
	for (int i = 0; i < QUEUE_MAX + 7; i++)
		ft_logger_printf(log, FT_LOG_INFO, "line %d", i);
	return NULL;
}

START_TEST(test_log__drops_what_the_queue_cannot_hold_and_says_how_much)
{
	struct ft_logger *log = log_new();

	on_another_thread(write_too_many, log);
	ft_logger_drain(log);
	ck_assert_uint_eq(out.count, QUEUE_MAX + 1);
	ck_assert_uint_eq(out.dropped, 7);
	ck_assert_int_eq(out.level, FT_LOG_WARNING);
	ck_assert_ptr_nonnull(strstr(out.all, "|line 255|7 log lines were dropped"));

	on_another_thread(write_two, log);
	ft_logger_drain(log);
	ck_assert_uint_eq(out.count, QUEUE_MAX + 3);
	ck_assert_str_eq(out.last, "worker 2");
	ft_logger_free(log);
}
END_TEST

static void *write_without_memory(void *log)
{
	ft_logger_printf(log, FT_LOG_INFO, "before");
	atomic_store(&memory_is_out, true);
	ft_logger_printf(log, FT_LOG_INFO, "lost");
	atomic_store(&memory_is_out, false);
	ft_logger_printf(log, FT_LOG_INFO, "after");
	return NULL;
}

START_TEST(test_log__tells_of_lost_lines_where_they_were_lost)
{
	struct ft_logger *log = log_new();

	on_another_thread(write_without_memory, log);
	ft_logger_drain(log);
	ck_assert_uint_eq(out.dropped, 2);
	ck_assert_int_eq(strncmp(out.all, "before|2 log lines", 18), 0);
	ft_logger_free(log);
}
END_TEST

START_TEST(test_log__is_null_where_memory_runs_out)
{
	memory_is_out = true;
	ck_assert_ptr_null(ft_logger_new(sink, &out));
	memory_is_out = false;
}
END_TEST

START_TEST(test_log__cuts_long_lines)
{
	static char text[3000];
	struct ft_logger *log = log_new();

	memset(text, 'x', sizeof text - 1);
	ft_logger_printf(log, FT_LOG_INFO, "%.1023s", text);
	ck_assert_uint_eq(strlen(out.last), LONGEST);
	ft_logger_printf(log, FT_LOG_INFO, "%.1024s", text);
	ck_assert_uint_eq(strlen(out.last), LONGEST);
	ft_logger_printf(log, FT_LOG_INFO, "%s", text);
	ck_assert_uint_eq(strlen(out.last), LONGEST);
	ft_logger_free(log);
}
END_TEST

START_TEST(test_log__cuts_no_character_in_two)
{
	struct ft_logger *log = log_new();

	for (int before = LONGEST - 5; before <= LONGEST; before++) {
		ft_logger_printf(log, FT_LOG_INFO, "%*s%s", before, "", "\xf0\x9f\x92\xa9\xc3\xa9~~~");
		ck_assert(ft_utf8_valid(out.last, strlen(out.last)));
		ck_assert_uint_ge(strlen(out.last), LONGEST - 4);
	}
	ft_logger_free(log);
}
END_TEST

START_TEST(test_log__makes_one_line_of_hostile_names)
{
	struct ft_logger *log = log_new();

	ft_logger_printf(log, FT_LOG_INFO, "%s", "a\n1700000000: forged\r\x1b[2J\x7f\t.");
	ck_assert_str_eq(out.last, "a?1700000000: forged?" "?[2J?" "?.");
	ft_logger_free(log);
}
END_TEST

START_TEST(test_log__keeps_errno)
{
	struct ft_logger *log = log_new();

	errno = ENOSPC;
	ft_logger_printf(log, FT_LOG_ERROR, "%s", strerror(errno));
	ck_assert_int_eq(errno, ENOSPC);
	ft_logger_free(log);
}
END_TEST

START_TEST(test_log__sink_may_log)
{
	struct ft_logger *log = log_new();

	on_another_thread(write_two, log);
	out.answers = true;
	ft_logger_drain(log);
	ck_assert_uint_eq(out.count, 3);
	ck_assert_ptr_nonnull(strstr(out.all, "said by the sink|"));
	ft_logger_free(log);
}
END_TEST

struct writer {
	struct ft_logger *log;
	unsigned number;
	atomic_uint *running;
};

static void *write_many(void *context)
{
	const struct writer *writer = context;

	for (unsigned i = 0; i < LINES_EACH; i++)
		ft_logger_printf(writer->log, FT_LOG_DEBUG, "%u: %u", writer->number, i);
	atomic_fetch_sub(writer->running, 1);
	return NULL;
}

static void check_order(void *context, enum ft_log_level level, const char *line)
{
	unsigned writer, number;

	sink(context, level, line);
	if (sscanf(line, "%u: %u", &writer, &number) != 2)
		return;
	if (writer >= WRITERS || number < out.next[writer])
		ck_abort_msg("\"%s\" but %u expected", line, out.next[writer]);
	out.next[writer] = number + 1;
}

START_TEST(test_log__loses_no_line_of_many_threads_unsaid)
{
	struct writer writers[WRITERS];
	pthread_t threads[WRITERS];
	atomic_uint running = WRITERS;
	struct ft_logger *log;

	ft_logger_free(log_new());
	log = out.log = ft_logger_new(check_order, &out);
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){ log, i, &running };
		ck_assert_int_eq(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
	}
	while (atomic_load(&running) > 0)
		ft_logger_drain(log);
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	ft_logger_free(log);
	ck_assert_uint_eq(out.count - out.warnings + out.dropped, WRITERS * LINES_EACH);
}
END_TEST

FT_SUITE("log",
	 test_log__writes_the_owners_lines_at_once,
	 test_log__keeps_workers_lines_until_drained,
	 test_log__writes_queued_lines_before_the_owners,
	 test_log__writes_queued_lines_when_freed,
	 test_log__null_is_a_log_that_says_nothing,
	 test_log__drops_what_the_queue_cannot_hold_and_says_how_much,
	 test_log__tells_of_lost_lines_where_they_were_lost,
	 test_log__is_null_where_memory_runs_out,
	 test_log__cuts_long_lines,
	 test_log__cuts_no_character_in_two,
	 test_log__makes_one_line_of_hostile_names,
	 test_log__keeps_errno,
	 test_log__sink_may_log,
	 test_log__loses_no_line_of_many_threads_unsaid);
