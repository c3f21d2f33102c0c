/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The test's main thread plays the broker's: it sleeps in epoll_wait. */
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/system.h"
#include "mosquitto/wake.h"
#include "../suite.h"

#define CROWD 4
#define ITEMS 2000
#define LONG_MS 20000

static struct ft_wake *wake;
static int epoll_fd;

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned queued;

static void set_up(void)
{
	wake = ft_wake_new(NULL);
	ck_assert_ptr_nonnull(wake);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	ck_assert_int_ge(epoll_fd, 0);
	queued = 0;
}

static void tear_down(void)
{
	ft_wake_free(&wake);
	close(epoll_fd);
}

/* As the broker does; true where the sleep ended early. */
static bool broker_sleeps(int ms)
{
	struct epoll_event event;
	int got = epoll_wait(epoll_fd, &event, 1, ms);

	ck_assert(got == 0 || (got < 0 && errno == EINTR));
	return got < 0;
}

static void push(void)
{
	pthread_mutex_lock(&queue_lock);
	queued++;
	pthread_mutex_unlock(&queue_lock);
	ft_wake_notify(wake);
}

static unsigned pop_all(void)
{
	unsigned got;

	pthread_mutex_lock(&queue_lock);
	got = queued;
	queued = 0;
	pthread_mutex_unlock(&queue_lock);
	return got;
}

static void *push_once(void *unused)
{
	const struct timespec pause = { .tv_nsec = 20000000 };

	(void)unused;
	nanosleep(&pause, NULL);
	push();
	return NULL;
}

static void *push_many(void *unused)
{
	(void)unused;
	for (int i = 0; i < ITEMS; i++)
		push();
	return NULL;
}

START_TEST(test_wake__ends_the_brokers_sleep)
{
	pthread_t worker;
	unsigned got = 0;

	ck_assert(!ft_wake_pending(wake));
	ck_assert_int_eq(pthread_create(&worker, NULL, push_once, NULL), 0);
	while (got == 0) {
		ck_assert_msg(broker_sleeps(LONG_MS), "slept on");
		if (ft_wake_pending(wake)) {
			got = pop_all();
			ft_wake_drained(wake);
		}
	}
	pthread_join(worker, NULL);
	ck_assert_uint_eq(got, 1);
	ck_assert(!ft_wake_pending(wake));
}
END_TEST

START_TEST(test_wake__loses_nothing_in_a_crowd)
{
	pthread_t workers[CROWD];
	unsigned got = 0;

	for (int i = 0; i < CROWD; i++)
		ck_assert_int_eq(pthread_create(&workers[i], NULL, push_many, NULL), 0);
	while (got < CROWD * ITEMS) {
		ck_assert_msg(broker_sleeps(LONG_MS), "slept on with %u items", got);
		ft_wake_tick_seen(wake);
		if (ft_wake_pending(wake)) {
			got += pop_all();
			ft_wake_drained(wake);
		}
	}
	for (int i = 0; i < CROWD; i++)
		pthread_join(workers[i], NULL);
	ck_assert_uint_eq(got, CROWD * ITEMS);
}
END_TEST

START_TEST(test_wake__announces_what_comes_after_pending_again)
{
	push();
	ck_assert(ft_wake_pending(wake));
	pop_all();
	push();
	ft_wake_drained(wake);
	ck_assert(ft_wake_pending(wake));
	pop_all();
	ft_wake_drained(wake);
	ck_assert(!ft_wake_pending(wake));
}
END_TEST

START_TEST(test_wake__goes_on_until_drained)
{
	ft_wake_tick_seen(wake);
	push();
	for (int i = 0; i < 20; i++)
		ck_assert(broker_sleeps(LONG_MS));
	ck_assert(ft_wake_pending(wake));
}
END_TEST

START_TEST(test_wake__works_for_the_brokers_own_thread)
{
	ft_wake_tick_seen(wake);
	for (int i = 0; i < 3; i++)
		broker_sleeps(150);	/* by now the helper sleeps too */
	push();
	ck_assert(broker_sleeps(LONG_MS));
}
END_TEST

START_TEST(test_wake__leaves_the_broker_alone_when_drained)
{
	int undisturbed = 0;

	ft_wake_tick_seen(wake);
	push();
	ck_assert(broker_sleeps(LONG_MS));
	ck_assert(ft_wake_pending(wake));
	ft_wake_drained(wake);
	/* One signal may still be on its way. */
	for (int i = 0; i < 3; i++)
		undisturbed += !broker_sleeps(200);
	ck_assert_int_ge(undisturbed, 2);
}
END_TEST

static int64_t sleep_until_pending(void)
{
	int64_t begin_ms = ft_clock_ms();

	while (!ft_wake_pending(wake))
		ck_assert_msg(broker_sleeps(LONG_MS), "slept on");
	ft_wake_drained(wake);
	return ft_clock_ms() - begin_ms;
}

START_TEST(test_wake__comes_when_something_is_due)
{
	int64_t due_ms = ft_clock_ms() + 80;

	ft_wake_tick_seen(wake);
	ft_wake_at(wake, due_ms);
	sleep_until_pending();
	ck_assert_int_ge(ft_clock_ms(), due_ms);
	ck_assert(!broker_sleeps(150));
}
END_TEST

START_TEST(test_wake__keeps_the_earlier_of_two_times)
{
	int64_t now_ms = ft_clock_ms();

	ft_wake_tick_seen(wake);
	ft_wake_at(wake, now_ms + 3600000);
	ft_wake_at(wake, now_ms + 50);
	ft_wake_at(wake, now_ms + 7200000);
	ck_assert_int_lt(sleep_until_pending(), LONG_MS);
}
END_TEST

START_TEST(test_wake__comes_at_once_for_a_time_that_is_past)
{
	ft_wake_tick_seen(wake);
	ft_wake_at(wake, ft_clock_ms() - 5000);
	ck_assert_int_lt(sleep_until_pending(), LONG_MS);
}
END_TEST

static int listen_somewhere(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
	ck_assert_int_eq(listen(fd, 5), 0);
	return fd;
}

/* poll() again and again: signals may end it. */
static bool somebody_knocks(int fd, int ms)
{
	struct pollfd pending = { .fd = fd, .events = POLLIN };
	int64_t end_ms = ft_clock_ms() + ms, left_ms;

	while ((left_ms = end_ms - ft_clock_ms()) > 0)
		if (poll(&pending, 1, (int)left_ms) > 0)
			return true;
	return false;
}

START_TEST(test_wake__knocks_at_a_listener_where_there_are_no_ticks)
{
	int fd = listen_somewhere(), visitor;
	char byte;

	push();
	ck_assert(somebody_knocks(fd, LONG_MS));
	visitor = accept(fd, NULL, NULL);
	ck_assert_int_ge(visitor, 0);
	ck_assert_int_eq(read(visitor, &byte, 1), 0);
	close(visitor);
	close(fd);
}
END_TEST

START_TEST(test_wake__knocks_at_every_listener_until_heard)
{
	int first = listen_somewhere(), second = listen_somewhere();

	push();
	ck_assert(somebody_knocks(first, LONG_MS));
	ck_assert(somebody_knocks(second, LONG_MS));
	close(first);
	close(second);
}
END_TEST

START_TEST(test_wake__does_not_knock_where_there_are_ticks)
{
	int fd = listen_somewhere();

	ft_wake_tick_seen(wake);
	push();
	ck_assert(!somebody_knocks(fd, 700));
	close(fd);
}
END_TEST

static _Atomic int rings, stops;
static _Atomic bool bell_works;

static bool ring(void *bell)
{
	ck_assert_ptr_eq(bell, &rings);
	atomic_fetch_add(&rings, 1);
	return bell_works;
}

static void stop(void *bell)
{
	ck_assert_ptr_eq(bell, &rings);
	atomic_fetch_add(&stops, 1);
}

static void hang_bell(bool works)
{
	rings = stops = 0;
	bell_works = works;
	ft_wake_set_bell(wake, &(struct ft_wake_bell){ .ring = ring, .stop = stop, .bell = &rings });
}

static void sleep_until_rung(int times)
{
	for (int64_t end_ms = ft_clock_ms() + LONG_MS; rings < times; broker_sleeps(10))
		ck_assert_int_lt(ft_clock_ms(), end_ms);
}

START_TEST(test_wake__rings_the_bell_where_there_are_no_ticks)
{
	int fd = listen_somewhere(), heard;

	hang_bell(true);
	push();
	sleep_until_rung(3);
	ck_assert(!somebody_knocks(fd, 100));
	ck_assert(ft_wake_pending(wake));
	ft_wake_drained(wake);
	broker_sleeps(100);
	heard = rings;
	broker_sleeps(100);
	ck_assert_int_eq(rings, heard);
	ft_wake_free(&wake);
	ck_assert_int_eq(stops, 1);
	close(fd);
}
END_TEST

START_TEST(test_wake__knocks_where_the_bell_is_out_of_order)
{
	int fd = listen_somewhere();

	hang_bell(false);
	push();
	ck_assert(somebody_knocks(fd, LONG_MS));
	ck_assert_int_gt(rings, 0);
	close(fd);
}
END_TEST

START_TEST(test_wake__does_not_ring_where_there_are_ticks)
{
	int fd = listen_somewhere();

	hang_bell(true);
	ft_wake_tick_seen(wake);
	push();
	ck_assert(!somebody_knocks(fd, 700));
	ck_assert_int_eq(rings, 0);
	close(fd);
}
END_TEST

static void (*urg_handler(void))(int)
{
	struct sigaction now;

	ck_assert_int_eq(sigaction(SIGURG, NULL, &now), 0);
	return now.sa_handler;
}

START_TEST(test_wake__restores_sigurg_after_the_last_instance)
{
	struct ft_wake *second = ft_wake_new(NULL);

	ck_assert_ptr_nonnull(second);
	ck_assert(urg_handler() != SIG_DFL);
	ft_wake_free(&second);
	ck_assert_ptr_null(second);
	ck_assert(urg_handler() != SIG_DFL);
	ft_wake_free(&wake);
	ck_assert(urg_handler() == SIG_DFL);
	ft_wake_free(&wake);
}
END_TEST

static void another_handler(int signal_number)
{
	(void)signal_number;
}

START_TEST(test_wake__leaves_another_plugins_handler_alone)
{
	ft_wake_free(&wake);
	signal(SIGURG, another_handler);
	wake = ft_wake_new(NULL);
	ck_assert(urg_handler() == another_handler);
	push();
	ck_assert_int_lt(sleep_until_pending(), LONG_MS);
	ft_wake_free(&wake);
	ck_assert(urg_handler() == another_handler);
	signal(SIGURG, SIG_DFL);
}
END_TEST

START_TEST(test_wake__ends_at_any_time)
{
	for (int i = 0; i < 200; i++) {
		struct ft_wake *brief = ft_wake_new(NULL);

		ck_assert_ptr_nonnull(brief);
		if (i % 2)
			ft_wake_notify(brief);
		ft_wake_free(&brief);
	}
}
END_TEST

FT_SUITE_WITH("wake", set_up, tear_down,
	 test_wake__ends_the_brokers_sleep,
	 test_wake__loses_nothing_in_a_crowd,
	 test_wake__announces_what_comes_after_pending_again,
	 test_wake__goes_on_until_drained,
	 test_wake__works_for_the_brokers_own_thread,
	 test_wake__leaves_the_broker_alone_when_drained,
	 test_wake__comes_when_something_is_due,
	 test_wake__keeps_the_earlier_of_two_times,
	 test_wake__comes_at_once_for_a_time_that_is_past,
	 test_wake__knocks_at_a_listener_where_there_are_no_ticks,
	 test_wake__knocks_at_every_listener_until_heard,
	 test_wake__does_not_knock_where_there_are_ticks,
	 test_wake__rings_the_bell_where_there_are_no_ticks,
	 test_wake__knocks_where_the_bell_is_out_of_order,
	 test_wake__does_not_ring_where_there_are_ticks,
	 test_wake__restores_sigurg_after_the_last_instance,
	 test_wake__leaves_another_plugins_handler_alone,
	 test_wake__ends_at_any_time);
