/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/registry.h"

#include <signal.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"

static struct ft_registry registry;

static struct ft_key key_of(const char *client, const char *file)
{
	struct ft_key key = { client, strlen(client), file, strlen(file) };

	return key;
}

static uint64_t last_number;

static struct ft_transfer *add(const struct ft_key *key)
{
	return ft_registry_add(&registry, key, ++last_number, FT_TRANSFER_RECEIVING);
}

static size_t count_of(const char *owner)
{
	struct ft_key key = key_of(owner, "");

	return ft_registry_owner_count(&registry, &key);
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
	struct ft_transfer *t;

	setup();
	t = add(&a);
	add(&b);
	add(&c);
	ck_assert_uint_eq(registry.count, 3);
	ck_assert_uint_eq(count_of("c1"), 2);
	ck_assert_uint_eq(count_of("c2"), 1);
	ck_assert_uint_eq(count_of("c3"), 0);
	ft_registry_remove(&registry, &t);
	ck_assert_ptr_null(t);
	ck_assert_uint_eq(registry.count, 2);
	ck_assert_uint_eq(count_of("c1"), 1);
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
		own = ft_transfer_key(t);
		ck_assert(own.owner_len == key.owner_len && own.file_len == key.file_len);
		ck_assert_str_eq(own.owner, client);
		ck_assert_str_eq(own.file, file);
		ft_registry_remove(&registry, &t);
	}
	ck_assert_uint_eq(registry.count, 0);
	ck_assert_uint_eq(registry.bytes, 0);
	ft_registry_release(&registry);
}
END_TEST

START_TEST(test_registry__finds_a_transfer_by_its_number)
{
	struct ft_key a = key_of("c", "f1"), b = key_of("c", "f2");
	struct ft_transfer *t;

	setup();
	t = add(&a);
	add(&b);
	ck_assert_ptr_eq(ft_registry_find_number(&registry, t->number), t);
	ft_registry_remove(&registry, &t);
	ck_assert_ptr_null(ft_registry_find_number(&registry, last_number - 1));
	ck_assert_ptr_nonnull(ft_registry_find_number(&registry, last_number));
	ft_registry_release(&registry);
}
END_TEST

/* The table in registry.h: what is not in it must not happen. */
START_TEST(test_registry__moves_along_the_table_only)
{
	struct ft_key key = key_of("c", "f");
	struct ft_transfer *t;

	setup();
	t = add(&key);
	ft_transfer_move(t, FT_TRANSFER_ASSEMBLING);
	ft_transfer_move(t, FT_TRANSFER_RECEIVING);
	ft_transfer_move(t, FT_TRANSFER_CONFLICT);
}
END_TEST

START_TEST(test_registry__charges_an_owner_once)
{
	static char id[60000];
	struct ft_key a = { id, sizeof id, "f1", 2 }, b = { id, sizeof id, "f2", 2 };
	size_t cost = 0, one;
	struct ft_transfer *t;

	setup();
	cost = ft_registry_cost(&registry, &a);
	t = add(&a);
	one = registry.bytes;
	ck_assert_uint_eq(one, cost);
	ck_assert_uint_gt(one, sizeof id);
	ck_assert_uint_lt(ft_registry_cost(&registry, &b), 2000);
	add(&b);
	ft_registry_remove(&registry, &t);
	ck_assert_uint_eq(registry.bytes, one);
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
	/* With ids of 36 bytes, metadata and one range: below 1 KiB. */
	ck_assert_uint_le(sizeof(struct ft_transfer) + sizeof(struct ft_owner)
			  + sizeof(struct ft_meta) + 2 * 37 + 100, 1024);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		test_registry__finds_what_was_added_and_nothing_else,
		test_registry__tells_ids_with_nul_bytes_apart,
		test_registry__counts_per_owner,
		test_registry__keeps_all_while_it_grows,
		test_registry__finds_a_transfer_by_its_number,
		test_registry__charges_an_owner_once,
		test_registry__sweeps_all_in_slices_and_lets_entries_go_meanwhile,
		test_registry__costs_little_for_an_idle_transfer,
	};
	Suite *suite = suite_create("registry");
	TCase *cases = tcase_create("registry");

	for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
		tcase_add_test(cases, tests[i]);
	tcase_add_test_raise_signal(cases, test_registry__moves_along_the_table_only, SIGABRT);
	suite_add_tcase(suite, cases);
	return ft_suite_finish(suite);
}
