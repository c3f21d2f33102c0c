/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/registry.h"

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

static void setup(void)
{
	ck_assert_int_eq(ft_registry_init(&registry, 42), FT_OK);
}

START_TEST(test_registry__finds_what_was_added_and_nothing_else)
{
	struct ft_key a = key_of("c1", "f1"), b = key_of("c", "1f1"), c = key_of("c2", "f1");
	struct ft_transfer *t;

	setup();
	t = ft_registry_add(&registry, &a);
	ck_assert_ptr_eq(ft_registry_find(&registry, &a), t);
	ck_assert_ptr_null(ft_registry_find(&registry, &b));
	ck_assert_ptr_null(ft_registry_find(&registry, &c));
	ck_assert_int_eq(t->state, FT_STATE_RECEIVING);
	ck_assert_str_eq(t->file, "f1");
	ft_registry_release(&registry);
}
END_TEST

START_TEST(test_registry__tells_ids_with_nul_bytes_apart)
{
	struct ft_key a = { "c\0a", 3, "f", 1 }, b = { "c\0b", 3, "f", 1 };

	setup();
	ck_assert_ptr_nonnull(ft_registry_add(&registry, &a));
	ck_assert_ptr_null(ft_registry_find(&registry, &b));
	ft_registry_release(&registry);
}
END_TEST

START_TEST(test_registry__counts_per_client)
{
	struct ft_key a = key_of("c1", "f1"), b = key_of("c1", "f2"), c = key_of("c2", "f1");
	struct ft_transfer *t;

	setup();
	t = ft_registry_add(&registry, &a);
	ft_registry_add(&registry, &b);
	ft_registry_add(&registry, &c);
	ck_assert_uint_eq(registry.count, 3);
	ck_assert_uint_eq(ft_registry_client_count(&registry, "c1", 2), 2);
	ck_assert_uint_eq(ft_registry_client_count(&registry, "c2", 2), 1);
	ck_assert_uint_eq(ft_registry_client_count(&registry, "c3", 2), 0);
	ft_registry_remove(&registry, &t);
	ck_assert_ptr_null(t);
	ck_assert_uint_eq(registry.count, 2);
	ck_assert_uint_eq(ft_registry_client_count(&registry, "c1", 2), 1);
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
		ck_assert_ptr_nonnull(ft_registry_add(&registry, &key));
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
		ck_assert(own.client_len == key.client_len && own.file_len == key.file_len);
		ck_assert_str_eq(own.client, client);
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
		ck_assert_ptr_nonnull(ft_registry_add(&registry, &key));
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
	/* With ids of 36 bytes, metadata and a store's handle of 300 bytes: below 1 KiB. */
	ck_assert_uint_le(sizeof(struct ft_transfer) + sizeof(struct ft_client)
			  + sizeof(struct ft_meta) + 2 * 37 + 300, 1024);
}
END_TEST

FT_SUITE("registry",
	 test_registry__finds_what_was_added_and_nothing_else,
	 test_registry__tells_ids_with_nul_bytes_apart,
	 test_registry__counts_per_client,
	 test_registry__keeps_all_while_it_grows,
	 test_registry__sweeps_all_in_slices_and_lets_entries_go_meanwhile,
	 test_registry__costs_little_for_an_idle_transfer);
