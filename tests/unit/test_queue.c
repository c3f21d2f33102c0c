/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/queue.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#include "../suite.h"

struct item {
	struct ft_link link;
	int sender, number;
};

static struct ft_queue queue;

static void set_up(void)
{
	ck_assert_int_eq(ft_queue_init(&queue), FT_OK);
}

static void tear_down(void)
{
	ft_queue_release(&queue);
}

static void push(struct item *item, int number)
{
	ft_link_init(&item->link);
	item->number = number;
	ft_queue_push(&queue, &item->link);
}

static int number_of(struct ft_link *link)
{
	ck_assert_ptr_nonnull(link);
	return FT_CONTAINER(link, struct item, link)->number;
}

START_TEST(test_queue__gives_in_the_order_of_pushing)
{
	struct item items[3];

	ck_assert_ptr_null(ft_queue_pop(&queue));
	for (int i = 0; i < 3; i++)
		push(&items[i], i);
	ck_assert_uint_eq(ft_queue_count(&queue), 3);
	ck_assert_int_eq(number_of(ft_queue_pop(&queue)), 0);
	ck_assert_int_eq(number_of(ft_queue_wait(&queue)), 1);
	ck_assert_int_eq(number_of(ft_queue_pop(&queue)), 2);
	ck_assert_ptr_null(ft_queue_pop(&queue));
	ck_assert_uint_eq(ft_queue_count(&queue), 0);
}
END_TEST

START_TEST(test_queue__takes_all_of_a_list_in_its_order)
{
	struct item items[3];
	struct ft_list list;

	ft_list_init(&list);
	ft_queue_push_all(&queue, &list);
	ck_assert_uint_eq(ft_queue_count(&queue), 0);
	push(&items[0], 0);
	for (int i = 1; i < 3; i++) {
		items[i].number = i;
		ft_list_push(&list, &items[i].link);
	}
	ft_queue_push_all(&queue, &list);
	ck_assert_ptr_null(ft_list_first(&list));
	ck_assert_uint_eq(ft_queue_count(&queue), 3);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(number_of(ft_queue_wait(&queue)), i);
}
END_TEST

START_TEST(test_queue__gives_what_is_left_when_it_is_closed)
{
	struct item item;

	push(&item, 7);
	ft_queue_close(&queue);
	ck_assert_int_eq(number_of(ft_queue_wait(&queue)), 7);
	ck_assert_ptr_null(ft_queue_wait(&queue));
}
END_TEST

static void *wait_for_the_end(void *argument)
{
	(void)argument;
	return ft_queue_wait(&queue);
}

START_TEST(test_queue__lets_all_go_who_wait_when_it_is_closed)
{
	pthread_t threads[4];
	void *got;

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, wait_for_the_end, NULL), 0);
	ft_queue_close(&queue);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &got), 0);
		ck_assert_ptr_null(got);
	}
}
END_TEST

#define SENDERS 3
#define EACH 10000

static struct item sent[SENDERS][EACH];

static void *send_each(void *argument)
{
	struct item *items = argument;

	for (int i = 0; i < EACH; i++)
		push(&items[i], i);
	return NULL;
}

/* Of each sender in its order, none twice, none lost. */
START_TEST(test_queue__takes_from_many_threads)
{
	pthread_t threads[SENDERS];
	int next[SENDERS] = { 0 };

	for (int i = 0; i < SENDERS; i++) {
		for (int k = 0; k < EACH; k++)
			sent[i][k].sender = i;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, send_each, sent[i]), 0);
	}
	for (int i = 0; i < SENDERS * EACH; i++) {
		struct item *item = FT_CONTAINER(ft_queue_wait(&queue), struct item, link);

		ck_assert_int_eq(item->number, next[item->sender]++);
	}
	for (int i = 0; i < SENDERS; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_int_eq(next[i], EACH);
	}
	ck_assert_ptr_null(ft_queue_pop(&queue));
}
END_TEST

FT_SUITE_WITH("queue", set_up, tear_down,
	test_queue__gives_in_the_order_of_pushing,
	test_queue__takes_all_of_a_list_in_its_order,
	test_queue__gives_what_is_left_when_it_is_closed,
	test_queue__lets_all_go_who_wait_when_it_is_closed,
	test_queue__takes_from_many_threads);
