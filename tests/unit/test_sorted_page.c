/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"
#include "engine/admin/sorted_page.h"

static struct ft_sorted_page *page;
static struct ft_control_place after;

static void teardown(void)
{
	ft_sorted_page_free(&page);
	after = (struct ft_control_place){ .value = NULL };
}

static void begin(size_t limit)
{
	ft_sorted_page_free(&page);
	page = ft_sorted_page_new(limit, &after);
}

/* Counts something of an owner. */
static void count(const char *owner, size_t len)
{
	const struct ft_key key = { .owner = owner, .owner_len = len };
	char id[FT_SORTED_ID_ROOM];
	const struct ft_control_place place = ft_sorted_place_of_owner(owner, len, id);
	struct ft_sorted_entry *entry = ft_sorted_page_take(page, &place, &key);

	if (entry)
		entry->client.files++;
}

static void count_all(const char *const *owners)
{
	for (; *owners; owners++)
		count(*owners, strlen(*owners));
}

/* What there is, as "owner:files ". */
static void check_page(const char *expected)
{
	char text[256] = "";

	for (size_t i = 0; i < page->count; i++) {
		const struct ft_sorted_entry *entry = page->entries[i];

		snprintf(text + strlen(text), sizeof text - strlen(text), "%.*s:%d ",
			 (int)entry->client.key.owner_len, entry->client.key.owner,
			 (int)entry->client.files);
	}
	ck_assert_str_eq(text, expected);
}

START_TEST(test_sorted__has_the_first_in_order_each_once)
{
	begin(3);
	count_all((const char *const[]){ "d", "b", "e", "b", "a", "c", "b", "e", "d", "a", NULL });
	check_page("a:2 b:3 c:1 ");
	ck_assert(page->more);
	begin(10);
	count_all((const char *const[]){ "b", "", "b", NULL });
	check_page(":1 b:2 ");
	ck_assert(!page->more);
}
END_TEST

START_TEST(test_sorted__goes_on_behind_a_place)
{
	after = (struct ft_control_place){ .value = "b", .value_len = 1, .id = "" };
	begin(2);
	count_all((const char *const[]){ "b", "ba", "a", "c", "", "d", NULL });
	check_page("ba:1 c:1 ");
	ck_assert(page->more);
}
END_TEST

/* What was left out never comes back with a part of what it has. */
START_TEST(test_sorted__is_bounded_and_whole_whatever_the_ids)
{
	static char id[60000];
	size_t files = 0, pages = 0;
	char kept[FT_SORTED_OWNER_MAX], kept_id[FT_SORTED_ID_ROOM];

	do {
		begin(1000);
		for (int round = 0; round < 2; round++)
			for (int i = 0; i < 40; i++) {
				/* Of these many have the same first 1,024 bytes. */
				memset(id, 'x', sizeof id);
				snprintf(id + sizeof id - 8, 8, "%d", (i * 7 + round) % 40);
				count(id, sizeof id);
			}
		ck_assert_uint_gt(page->count, 0);
		for (size_t i = 0; i < page->count; i++) {
			ck_assert_uint_eq(page->entries[i]->client.files, 2);
			files += 2;
		}
		ck_assert_uint_le(page->bytes, 1200000);
		after = page->entries[page->count - 1]->place;
		memcpy(kept, after.value, after.value_len);
		memcpy(kept_id, after.id, after.id_len);
		after.value = kept;
		after.id = kept_id;
		pages++;
	} while (page->more);
	ck_assert_uint_eq(files, 80);
	ck_assert_uint_gt(pages, 2);
}
END_TEST

FT_SUITE_WITH("sorted page", NULL, teardown, test_sorted__has_the_first_in_order_each_once,
	      test_sorted__goes_on_behind_a_place, test_sorted__is_bounded_and_whole_whatever_the_ids);
