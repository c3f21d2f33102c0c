/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/registry.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../suite.h"

static struct ft_registry registry;
static uint64_t last_number;

static struct ft_key key_of(const char *client, const char *file)
{
	struct ft_key key = { client, strlen(client), file, strlen(file) };

	return key;
}

static struct ft_transfer *add(const struct ft_key *key)
{
	return ft_registry_add(&registry, key, ++last_number, FT_TRANSFER_RECEIVING);
}

static void setup(void)
{
	ck_assert_int_eq(ft_registry_init(&registry, 42), FT_OK);
}

START_TEST(test_registry__finds_what_was_added_and_nothing_else)
{
	struct ft_key a = key_of("c1", "f1"), b = key_of("c", "1f1"), c = key_of("c2", "f1");
	struct ft_transfer *t;

	setup();
	t = add(&a);
	ck_assert_ptr_eq(ft_registry_find(&registry, &a), t);
	ck_assert_ptr_null(ft_registry_find(&registry, &b));
	ck_assert_ptr_null(ft_registry_find(&registry, &c));
	ck_assert_int_eq(t->state, FT_TRANSFER_RECEIVING);
	ck_assert_str_eq(t->file, "f1");
	ft_registry_release(&registry);
}
END_TEST

START_TEST(test_registry__tells_ids_with_nul_bytes_apart)
{
	struct ft_key a = { "c\0a", 3, "f", 1 }, b = { "c\0b", 3, "f", 1 };

	setup();
	ck_assert_ptr_nonnull(add(&a));
	ck_assert_ptr_null(ft_registry_find(&registry, &b));
	ft_registry_release(&registry);
}
END_TEST

START_TEST(test_registry__counts_per_owner)
{
	struct ft_key a = key_of("c1", "f1"), b = key_of("c1", "f2"), c = key_of("c2", "f1");
	struct ft_key d = key_of("c3", "f1");
	struct ft_transfer *t;

	setup();
	t = add(&a);
	add(&b);
	add(&c);
	ck_assert_uint_eq(registry.count, 3);
	ck_assert_uint_eq(ft_registry_owner_count(&registry, &a), 2);
	ck_assert_uint_eq(ft_registry_owner_count(&registry, &c), 1);
	ck_assert_uint_eq(ft_registry_owner_count(&registry, &d), 0);
	ft_registry_remove(&registry, &t);
	ck_assert_ptr_null(t);
	ck_assert_uint_eq(registry.count, 2);
	ck_assert_uint_eq(ft_registry_owner_count(&registry, &a), 1);
	ft_registry_release(&registry);
}
END_TEST

START_TEST(test_registry__keeps_all_while_it_grows)
{
	enum { COUNT = 10000 };
	char client[32], file[32];

	setup();
	for (int i = 0; i < COUNT; i++) {
		struct ft_key key;

		snprintf(client, sizeof client, "c%d", i % 977);
		snprintf(file, sizeof file, "f%d", i);
		key = key_of(client, file);
		ck_assert_ptr_nonnull(add(&key));
	}
	ck_assert_uint_eq(registry.count, COUNT);
	ck_assert_uint_ge(registry.buckets, COUNT / 2);
	for (int i = 0; i < COUNT; i++) {
		struct ft_key key, own;
		struct ft_transfer *t;

		snprintf(client, sizeof client, "c%d", i % 977);
		snprintf(file, sizeof file, "f%d", i);
		key = key_of(client, file);
		t = ft_registry_find(&registry, &key);
		ck_assert_ptr_nonnull(t);
		ck_assert_ptr_eq(ft_registry_find_number(&registry, (uint64_t)i + 1), t);
		own = ft_transfer_key(t);
		ck_assert(own.owner_len == key.owner_len && own.file_len == key.file_len);
		ck_assert_str_eq(own.owner, client);
		ck_assert_str_eq(own.file, file);
		ft_registry_remove(&registry, &t);
	}
	ck_assert_uint_eq(registry.count, 0);
	ft_registry_release(&registry);
}
END_TEST

static void remove_visited(void *context, struct ft_transfer *t)
{
	++*(size_t *)context;
	ft_registry_remove(&registry, &t);
}

START_TEST(test_registry__sweeps_all_in_slices_and_lets_entries_go_meanwhile)
{
	size_t cursor = 0, seen = 0;
	char file[32];

	setup();
	for (int i = 0; i < 500; i++) {
		struct ft_key key;

		snprintf(file, sizeof file, "f%d", i);
		key = key_of("c", file);
		ck_assert_ptr_nonnull(add(&key));
	}
	for (size_t i = 0; i < registry.buckets / 8; i++)
		ft_registry_sweep(&registry, &cursor, 8, remove_visited, &seen);
	ck_assert_uint_eq(seen, 500);
	ck_assert_uint_eq(registry.count, 0);
	ft_registry_release(&registry);
}
END_TEST

START_TEST(test_registry__costs_little_for_an_idle_transfer)
{
	/* With ids of 36 bytes and metadata: below 1 KiB. */
	ck_assert_uint_le(sizeof(struct ft_transfer) + sizeof(struct ft_owner)
			  + sizeof(struct ft_meta) + 2 * 37, 1024);
}
END_TEST

START_TEST(test_registry__counts_the_bytes_that_it_keeps)
{
	struct ft_key a = key_of("c1", "f1"), b = key_of("c1", "f22");
	struct ft_transfer *first, *second;
	size_t cost;

	setup();
	cost = ft_registry_cost(&registry, &a);
	first = add(&a);
	ck_assert_uint_eq(registry.bytes, cost);
	/* The owner is kept once. */
	ck_assert_uint_lt(ft_registry_cost(&registry, &b), cost);
	cost += ft_registry_cost(&registry, &b);
	second = add(&b);
	ck_assert_uint_eq(registry.bytes, cost);
	ft_registry_remove(&registry, &first);
	ft_registry_remove(&registry, &second);
	ck_assert_uint_eq(registry.bytes, 0);
	ft_registry_release(&registry);
}
END_TEST

/* The table in registry.h; what is not in it is a mistake of the engine's. */
START_TEST(test_registry__moves_along_the_table)
{
	static const bool allowed[FT_TRANSFER_STATES][FT_TRANSFER_STATES] = {
		[FT_TRANSFER_CHECKING] = { [FT_TRANSFER_RECEIVING] = true,
					   [FT_TRANSFER_ASSEMBLING] = true,
					   [FT_TRANSFER_ABORTING] = true,
					   [FT_TRANSFER_CONFLICT] = true },
		[FT_TRANSFER_RECEIVING] = { [FT_TRANSFER_ASSEMBLING] = true },
		[FT_TRANSFER_ASSEMBLING] = { [FT_TRANSFER_RECEIVING] = true,
					     [FT_TRANSFER_ABORTING] = true,
					     [FT_TRANSFER_CONFLICT] = true },
	};
	size_t states[FT_TRANSFER_STATES] = { 0 };
	struct ft_transfer t = {
		.state = (enum ft_transfer_state)(_i / FT_TRANSFER_STATES), .states = states,
	};
	enum ft_transfer_state to = (enum ft_transfer_state)(_i % FT_TRANSFER_STATES);
	pid_t child = fork();
	int status;

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		(void)(freopen("/dev/null", "w", stderr) != NULL);
		ft_transfer_move(&t, to);
		_exit(t.state == to ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	if (allowed[t.state][to])
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	else
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
END_TEST

/* Of 3000 transfers, of which two thirds come while the table is gone through. */
START_TEST(test_registry__is_gone_through_in_an_order_that_stays)
{
	static unsigned char seen[3000];
	uint64_t cursor = 0;
	size_t added = 0, listed = 0;

	setup();
	do {
		size_t steps = 5;
		struct ft_transfer *t;

		for (int i = 0; i < 2 && added < 3000; i++, added++) {
			char file[32];
			struct ft_key key;

			snprintf(file, sizeof file, "%zu", added);
			key = key_of("c", file);
			ck_assert_ptr_nonnull(add(&key));
			if (added < 1000)
				i = 0;
		}
		while ((t = ft_registry_next(&registry, &cursor, &steps)) != NULL) {
			size_t file = (size_t)strtoul(t->file, NULL, 10);

			ck_assert_uint_eq(seen[file]++, 0);
			listed++;
			if (cursor == 0)
				break;
		}
	} while (cursor != 0);
	for (size_t i = 0; i < 1000; i++)
		ck_assert_uint_eq(seen[i], 1);
	ck_assert_uint_gt(listed, 1000);
	ft_registry_release(&registry);
}
END_TEST

START_TEST(test_registry__keeps_a_paused_owner_without_transfers)
{
	struct ft_key a = key_of("c", "f"), b = key_of("d", "f");
	struct ft_transfer *t;

	setup();
	ck_assert(!ft_registry_is_paused(&registry, &a));
	ck_assert_int_eq(ft_registry_pause_owner(&registry, &a), FT_OK);
	ck_assert_int_eq(ft_registry_pause_owner(&registry, &a), FT_OK);
	ck_assert(ft_registry_is_paused(&registry, &a));
	ck_assert(!ft_registry_is_paused(&registry, &b));
	t = add(&a);
	ck_assert(t->owner->paused);
	ft_registry_remove(&registry, &t);
	ck_assert(ft_registry_is_paused(&registry, &a));
	ck_assert_uint_eq(registry.paused_owners, 1);
	ft_registry_resume_owner(&registry, &a);
	ft_registry_resume_owner(&registry, &b);
	ck_assert(!ft_registry_is_paused(&registry, &a));
	ck_assert_uint_eq(registry.bytes, 0);
	ft_registry_release(&registry);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("registry");
	TCase *cases = ft_suite_cases("registry");

	tcase_add_test(cases, test_registry__finds_what_was_added_and_nothing_else);
	tcase_add_test(cases, test_registry__tells_ids_with_nul_bytes_apart);
	tcase_add_test(cases, test_registry__counts_per_owner);
	tcase_add_test(cases, test_registry__keeps_all_while_it_grows);
	tcase_add_test(cases, test_registry__sweeps_all_in_slices_and_lets_entries_go_meanwhile);
	tcase_add_test(cases, test_registry__is_gone_through_in_an_order_that_stays);
	tcase_add_test(cases, test_registry__keeps_a_paused_owner_without_transfers);
	tcase_add_test(cases, test_registry__costs_little_for_an_idle_transfer);
	tcase_add_test(cases, test_registry__counts_the_bytes_that_it_keeps);
	tcase_add_loop_test(cases, test_registry__moves_along_the_table, 0,
			    FT_TRANSFER_STATES * FT_TRANSFER_STATES);
	suite_add_tcase(suite, cases);
	return ft_suite_finish(suite);
}
