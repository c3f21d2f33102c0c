/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What operators ask of the catalog: pages of finished files, and pauses. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/catalog_rig.h"
#include "../suite.h"
#include "base/buf.h"
#include "base/system.h"

static struct catalog_rig rig;

/* What a page has, as "file file ". */
struct page {
	size_t limit, count;
	char room[1024];
	struct ft_buf files;
};

static void setup(void)
{
	catalog_rig_init(&rig);
	ck_assert_int_eq(catalog_rig_open(&rig), FT_OK);
}

static void teardown(void)
{
	catalog_rig_release(&rig);
}

static void put_file(uint64_t number, const char *owner, const char *file)
{
	struct ft_finished finished = catalog_rig_finished(number, owner, file);

	finished.completed_ms = (int64_t)number * 1000;
	finished.size = number * 10;
	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_OK);
	ck_assert_int_eq(ft_catalog_put_finished(rig.catalog, &finished, NULL), FT_OK);
	ck_assert_int_eq(ft_catalog_commit(rig.catalog), FT_OK);
}

static void begin_page(struct page *page, size_t limit)
{
	page->limit = limit;
	page->count = 0;
	page->files = ft_buf_on(page->room, sizeof page->room);
}

static bool note_file(void *context, const struct ft_finished *file)
{
	struct page *page = context;

	if (page->count == page->limit)
		return false;
	ft_buf_bytes(&page->files, file->key.file, file->key.file_len);
	ft_buf_char(&page->files, ' ');
	page->count++;
	return true;
}

static struct ft_file_filter everything(void)
{
	struct ft_file_filter filter = { .until_ms = INT64_MAX, .max_size = INT64_MAX };

	return filter;
}

/* One page; moves the cursor. */
static const char *next_page(const struct ft_file_filter *filter, uint64_t *cursor, size_t limit)
{
	static struct page page;

	begin_page(&page, limit);
	ck_assert_int_eq(ft_catalog_page_files(rig.catalog, filter, cursor, ft_clock_ms() + 60000,
					       note_file, &page), FT_OK);
	return page.room;
}

static void finds(const struct ft_file_filter *filter, const char *files)
{
	uint64_t cursor = 0;

	ck_assert_str_eq(next_page(filter, &cursor, 100), files);
	ck_assert_uint_eq(cursor, 0);
}

START_TEST(test_pages__are_empty_without_files)
{
	const struct ft_file_filter all = everything();

	finds(&all, "");
}
END_TEST

START_TEST(test_pages__have_each_file_once_the_newest_first)
{
	const struct ft_file_filter all = everything();
	uint64_t cursor = 0;

	put_file(1, "a", "one");
	put_file(2, "b", "two");
	put_file(3, "a", "three");
	ck_assert_str_eq(next_page(&all, &cursor, 2), "three two ");
	ck_assert_uint_ne(cursor, 0);
	put_file(4, "c", "four");
	ck_assert_str_eq(next_page(&all, &cursor, 2), "one ");
	ck_assert_uint_eq(cursor, 0);
}
END_TEST

START_TEST(test_pages__go_on_behind_files_that_are_gone)
{
	const struct ft_file_filter all = everything();
	const struct ft_key two = { "a", 1, "two", 3 };
	uint64_t cursor = 0;

	put_file(1, "a", "one");
	put_file(2, "a", "two");
	put_file(3, "a", "three");
	ck_assert_str_eq(next_page(&all, &cursor, 1), "three ");
	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_OK);
	ck_assert_int_eq(ft_catalog_drop_finished(rig.catalog, &two, 2), FT_OK);
	ck_assert_int_eq(ft_catalog_commit(rig.catalog), FT_OK);
	ck_assert_str_eq(next_page(&all, &cursor, 1), "one ");
	ck_assert_uint_eq(cursor, 0);
}
END_TEST

START_TEST(test_pages__are_filtered)
{
	struct ft_file_filter filter = everything();

	put_file(1, "a", "one");
	put_file(2, "b", "two");
	put_file(3, "a", "three");
	filter.owner = "a";
	filter.owner_len = 1;
	finds(&filter, "three one ");
	filter.since_ms = 2000;
	finds(&filter, "three ");
	filter = everything();
	filter.until_ms = 2000;
	finds(&filter, "two one ");
	filter = everything();
	filter.min_size = filter.max_size = 20;
	finds(&filter, "two ");
	filter = everything();
	filter.pattern = "photo-[13].*";
	finds(&filter, "three one ");
	filter.pattern = "*.nothing";
	finds(&filter, "");
}
END_TEST

START_TEST(test_pages__find_owners_of_any_bytes)
{
	struct ft_finished finished = catalog_rig_finished(1, "", "f");
	struct ft_file_filter filter = everything();

	finished.key.owner = "\0\xff";
	finished.key.owner_len = 2;
	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_OK);
	ck_assert_int_eq(ft_catalog_put_finished(rig.catalog, &finished, NULL), FT_OK);
	ck_assert_int_eq(ft_catalog_commit(rig.catalog), FT_OK);
	filter.owner = "\0\xff";
	filter.owner_len = 2;
	finds(&filter, "f ");
	filter.owner_len = 1;
	finds(&filter, "");
}
END_TEST

/* More rows than are looked at between two looks at the clock. */
START_TEST(test_pages__end_in_time_and_go_on_there)
{
	const uint64_t count = getenv(CATALOG_URL) ? 11000 : 50000;
	struct ft_file_filter filter = everything();
	uint64_t cursor = 0, pages = 0;
	struct page page;

	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_OK);
	for (uint64_t i = 1; i <= count; i++) {
		char file[32];
		struct ft_finished finished;

		snprintf(file, sizeof file, "%llu", (unsigned long long)i);
		finished = catalog_rig_finished(i, i == 7 ? "b" : "a", file);
		ck_assert_int_eq(ft_catalog_put_finished(rig.catalog, &finished, NULL), FT_OK);
	}
	ck_assert_int_eq(ft_catalog_commit(rig.catalog), FT_OK);
	filter.owner = "b";
	filter.owner_len = 1;
	do {
		begin_page(&page, 10);
		ck_assert_int_eq(ft_catalog_page_files(rig.catalog, &filter, &cursor, 0, note_file,
						       &page), FT_OK);
		pages++;
		ck_assert_str_eq(page.room, cursor == 0 ? "7 " : "");
	} while (cursor != 0);
	ck_assert_uint_gt(pages, 2);
}
END_TEST

/* --- pauses --- */

static void put_pause(uint64_t number, const char *owner, const char *file)
{
	const struct ft_pause pause = {
		.number = number, .since_ms = 5,
		.key = { owner, owner ? strlen(owner) : 0, file, file ? strlen(file) : 0 },
	};

	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_OK);
	ck_assert_int_eq(ft_catalog_put_pause(rig.catalog, &pause), FT_OK);
	ck_assert_int_eq(ft_catalog_commit(rig.catalog), FT_OK);
}

static void drop_pause(uint64_t number, const char *owner)
{
	const struct ft_pause pause = {
		.number = number, .key = { owner, owner ? strlen(owner) : 0, NULL, 0 },
	};

	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_OK);
	ck_assert_int_eq(ft_catalog_drop_pause(rig.catalog, &pause), FT_OK);
	ck_assert_int_eq(ft_catalog_commit(rig.catalog), FT_OK);
}

static enum ft_status note_pause(void *context, const struct ft_pause *pause)
{
	ft_buf_printf(context, "%llu %s %s, ", (unsigned long long)pause->number,
		      pause->key.owner ? pause->key.owner : "-",
		      pause->key.file ? pause->key.file : "-");
	return FT_OK;
}

/* Now, and after the catalog was closed and opened. */
static void pauses_are(const char *expected)
{
	for (int i = 0; i < 2; i++) {
		char text[1024];
		struct ft_buf buf = ft_buf_on(text, sizeof text);

		ck_assert_int_eq(ft_catalog_each_pause(rig.catalog, note_pause, &buf), FT_OK);
		ck_assert_str_eq(text, expected);
		ck_assert_int_eq(catalog_rig_reopen(&rig), FT_OK);
	}
}

START_TEST(test_pauses__are_kept_once)
{
	pauses_are("");
	put_pause(0, NULL, NULL);
	put_pause(0, "cam", NULL);
	put_pause(7, "cam", "f");
	put_pause(0, "cam", NULL);
	put_pause(0, NULL, NULL);
	put_pause(7, "cam", "f");
	pauses_are("0 cam -, 0 - -, 7 cam f, ");
}
END_TEST

START_TEST(test_pauses__end_one_by_one)
{
	put_pause(0, NULL, NULL);
	put_pause(0, "cam", NULL);
	put_pause(0, "", NULL);
	put_pause(7, "cam", "f");
	drop_pause(0, "cam");
	pauses_are("0 - -, 0  -, 7 cam f, ");
	drop_pause(0, NULL);
	pauses_are("0  -, 7 cam f, ");
	drop_pause(7, "cam");
	drop_pause(8, "cam");
	pauses_are("0  -, ");
}
END_TEST

START_TEST(test_pauses__of_transfers_that_are_over_are_forgotten)
{
	struct ft_facts facts = catalog_rig_facts(7, "cam", "f");

	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_OK);
	ck_assert_int_eq(ft_catalog_put_transfer(rig.catalog, &facts, FT_CATALOG_RECEIVING, 0), FT_OK);
	ck_assert_int_eq(ft_catalog_commit(rig.catalog), FT_OK);
	put_pause(7, "cam", "f");
	put_pause(8, "cam", "g");
	put_pause(0, "cam", NULL);
	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_OK);
	ck_assert_int_eq(ft_catalog_drop_old_pauses(rig.catalog), FT_OK);
	ck_assert_int_eq(ft_catalog_commit(rig.catalog), FT_OK);
	pauses_are("7 cam f, 0 cam -, ");
}
END_TEST

/* As catalogs have it that were made before. */
START_TEST(test_pauses__are_made_room_for_in_an_older_catalog)
{
	char command[256];

	CATALOG_URL_SKIP();
	ft_catalog_close(&rig.catalog);
	snprintf(command, sizeof command, "sqlite3 '%s' 'DROP TABLE pauses'", rig.path);
	if (system("command -v sqlite3 >/dev/null") != 0)
		FT_SKIP("there is no sqlite3");
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(catalog_rig_open(&rig), FT_OK);
	put_pause(0, "cam", NULL);
	pauses_are("0 cam -, ");
}
END_TEST

FT_SUITE_WITH("catalog pages", setup, teardown, test_pages__are_empty_without_files,
	      test_pages__have_each_file_once_the_newest_first,
	      test_pages__go_on_behind_files_that_are_gone, test_pages__are_filtered,
	      test_pages__find_owners_of_any_bytes, test_pages__end_in_time_and_go_on_there,
	      test_pauses__are_kept_once, test_pauses__end_one_by_one,
	      test_pauses__of_transfers_that_are_over_are_forgotten,
	      test_pauses__are_made_room_for_in_an_older_catalog);
