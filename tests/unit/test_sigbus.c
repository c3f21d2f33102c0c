/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <check.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/sigbus.h"
#include "base/thread.h"

#include "../lib/machine.h"
#include "../suite.h"

#define PAGES 4

static size_t page;

/* A mapped file that has lost all but its first page. */
static char *map_cut(void)
{
	int fd = memfd_create("cut", MFD_CLOEXEC);
	char *map;

	page = (size_t)sysconf(_SC_PAGESIZE);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)(PAGES * page)), 0);
	map = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	memset(map, 'x', PAGES * page);
	ck_assert_int_eq(ftruncate(fd, (off_t)page), 0);
	close(fd);
	return map;
}

static char get(const char *at)
{
	return *(const volatile char *)at;
}

START_TEST(test_sigbus__page_that_is_gone_reads_as_zeros)
{
	struct ft_sigbus_area area = { .begin = map_cut(), .len = PAGES * page };

	if (!machine_tells_where_sigbus_was())
		FT_SKIP(MACHINE_SIGBUS_TELLS_NOTHING);
	ck_assert(ft_sigbus_watch(&area));
	ck_assert_int_eq(get(area.begin), 'x');
	ck_assert(!ft_sigbus_hit(&area));
	ck_assert_int_eq(get(area.begin + 2 * page + 77), '\0');
	ck_assert(ft_sigbus_hit(&area));
	memset(area.begin, 'y', area.len);
	ck_assert_int_eq(get(area.begin + 2 * page + 77), 'y');
	ft_sigbus_unwatch(&area);
}
END_TEST

START_TEST(test_sigbus__of_others_ends_the_process_as_ever)
{
	struct ft_sigbus_area area = { .begin = map_cut(), .len = PAGES * page };
	char *other = map_cut();

	signal(SIGBUS, SIG_DFL);	/* a sanitizer may have its own */
	ck_assert(ft_sigbus_watch(&area));
	get(other + page);
}
END_TEST

START_TEST(test_sigbus__sent_by_kill_ends_the_process_as_ever)
{
	struct ft_sigbus_area area = { .begin = map_cut(), .len = PAGES * page };

	signal(SIGBUS, SIG_DFL);	/* a sanitizer may have its own */
	ck_assert(ft_sigbus_watch(&area));
	kill(getpid(), SIGBUS);
}
END_TEST

START_TEST(test_sigbus__ends_the_process_when_nothing_is_watched_any_more)
{
	struct ft_sigbus_area area = { .begin = map_cut(), .len = PAGES * page };

	signal(SIGBUS, SIG_DFL);	/* a sanitizer may have its own */
	ck_assert(ft_sigbus_watch(&area));
	ft_sigbus_unwatch(&area);
	get(area.begin + page);
}
END_TEST

static volatile sig_atomic_t others;
static char *other_map;
static void *volatile other_at;

static void other_handler(int number)
{
	(void)number;
	others++;
	/* So that the access succeeds. */
	mmap(other_map, PAGES * page, PROT_READ | PROT_WRITE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void other_action(int number, siginfo_t *info, void *context)
{
	(void)context;
	other_at = info->si_addr;
	other_handler(number);
}

START_TEST(test_sigbus__others_handlers_are_called_and_come_back)
{
	struct sigaction action = { .sa_handler = other_handler }, now;

	if (!machine_tells_where_sigbus_was())
		FT_SKIP(MACHINE_SIGBUS_TELLS_NOTHING);
	for (int i = 0; i < 2; i++) {
		struct ft_sigbus_area area = { .begin = map_cut(), .len = PAGES * page };

		if (i == 1) {
			action = (struct sigaction){ .sa_flags = SA_SIGINFO };
			action.sa_sigaction = other_action;
		}
		ck_assert_int_eq(sigaction(SIGBUS, &action, NULL), 0);
		ck_assert(ft_sigbus_watch(&area));
		other_map = map_cut();
		ck_assert_int_eq(get(other_map + page), '\0');
		ck_assert_int_eq(others, i + 1);
		if (i == 1)
			ck_assert_ptr_eq(other_at, other_map + page);
		ck_assert(!ft_sigbus_hit(&area));
		ck_assert_int_eq(get(area.begin + page), '\0');
		ck_assert_int_eq(others, i + 1);
		ft_sigbus_unwatch(&area);
		ck_assert_int_eq(sigaction(SIGBUS, NULL, &now), 0);
		if (i == 1)
			ck_assert(now.sa_sigaction == other_action);
		else
			ck_assert(now.sa_handler == other_handler);
	}
}
END_TEST

START_TEST(test_sigbus__watches_a_few_areas_and_no_more)
{
	struct ft_sigbus_area areas[5];

	if (!machine_tells_where_sigbus_was())
		FT_SKIP(MACHINE_SIGBUS_TELLS_NOTHING);
	for (int i = 0; i < 5; i++) {
		areas[i] = (struct ft_sigbus_area){ .begin = map_cut(), .len = PAGES * page };
		ck_assert_int_eq(ft_sigbus_watch(&areas[i]), i < 4);
	}
	get(areas[3].begin + page);
	ck_assert(ft_sigbus_hit(&areas[3]));
	ck_assert(!ft_sigbus_hit(&areas[0]));
	ft_sigbus_unwatch(&areas[0]);
	ck_assert(ft_sigbus_watch(&areas[4]));
	get(areas[4].begin + page);
	for (int i = 0; i < 5; i++)
		ft_sigbus_unwatch(&areas[i]);
}
END_TEST

static void *read_page(void *at)
{
	return get(at) == '\0' ? at : NULL;
}

static void *pending_signals(void *unused)
{
	static sigset_t pending;

	(void)unused;
	raise(SIGTERM);
	sigpending(&pending);
	return &pending;
}

/* Where the signal is blocked the kernel calls no handler. */
START_TEST(test_sigbus__is_dealt_with_in_threads_that_take_no_other_signals)
{
	struct ft_sigbus_area area = { .begin = map_cut(), .len = PAGES * page };
	pthread_t thread;
	void *result;

	if (!machine_tells_where_sigbus_was())
		FT_SKIP(MACHINE_SIGBUS_TELLS_NOTHING);
	ck_assert(ft_sigbus_watch(&area));
	ck_assert_int_eq(ft_thread_start(&thread, read_page, area.begin + page), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_ptr_eq(result, area.begin + page);
	ft_sigbus_unwatch(&area);
	ck_assert_int_eq(ft_thread_start(&thread, pending_signals, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_int_eq(sigismember(result, SIGTERM), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sigbus");
	TCase *cases = ft_suite_cases("sigbus");

	tcase_add_test(cases, test_sigbus__page_that_is_gone_reads_as_zeros);
	tcase_add_test(cases, test_sigbus__others_handlers_are_called_and_come_back);
	tcase_add_test(cases, test_sigbus__watches_a_few_areas_and_no_more);
	tcase_add_test(cases, test_sigbus__is_dealt_with_in_threads_that_take_no_other_signals);
	tcase_add_test_raise_signal(cases, test_sigbus__of_others_ends_the_process_as_ever, SIGBUS);
	tcase_add_test_raise_signal(cases, test_sigbus__sent_by_kill_ends_the_process_as_ever,
				    SIGBUS);
	tcase_add_test_raise_signal(
		cases, test_sigbus__ends_the_process_when_nothing_is_watched_any_more, SIGBUS);
	suite_add_tcase(suite, cases);
	return ft_suite_finish(suite);
}
