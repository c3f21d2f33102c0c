/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Lists that operators ask for: files in another order than that of the catalog, and clients. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/rig.h"
#include "../suite.h"

static struct rig rig;

static void set_up(void)
{
	rig_setup(&rig, "fs");
	rig.options.control = FT_CONTROL_TRUSTED;
	rig_start(&rig);
}

static void tear_down(void)
{
	rig_teardown(&rig);
}

/* A finished file of so many bytes. */
static void put(const char *client, const char *file, const char *name, size_t size)
{
	static const char zeros[4096];
	char topic[600];

	ck_assert_uint_le(size, sizeof zeros);
	snprintf(topic, sizeof topic, "$file/%s/put/%s", file, name);
	ck_assert_int_eq(rig_ask(&rig, client, topic, zeros, size), FT_OK);
}

/* One page of a list: the members named `key`, as "one two "; moves the cursor, "" at the end. */
static const char *page(const char *members, const char *list, const char *key, char cursor[2200])
{
	static char found[4096], command[4096];
	cJSON *answer, *data, *entry;
	const cJSON *next;

	snprintf(command, sizeof command, "{%s%s%s%s}", members, *cursor ? ",\"cursor\":\"" : "", cursor,
		 *cursor ? "\"" : "");
	answer = rig_control(&rig, command);
	data = cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(answer, "responses"), 0), "data");
	ck_assert_msg(data != NULL, "%s", rig.told);
	found[0] = '\0';
	cJSON_ArrayForEach(entry, cJSON_GetObjectItem(data, list)) {
		const cJSON *item = cJSON_GetObjectItem(entry, key);

		ck_assert(cJSON_IsString(item));
		snprintf(found + strlen(found), sizeof found - strlen(found), "%s ", item->valuestring);
	}
	next = cJSON_GetObjectItem(data, "cursor");
	snprintf(cursor, 2200, "%s", next ? next->valuestring : "");
	cJSON_Delete(answer);
	return found;
}

#define FILES "\"command\":\"listFiles\","

START_TEST(test_files__are_sorted_by_name_and_by_size)
{
	char cursor[2200] = "";

	put("c", "1", "b", 30);
	put("d", "2", "a", 20);
	put("c", "3", "c", 300);
	put("c", "4", "B", 0);
	ck_assert_str_eq(page(FILES "\"sort\":\"name\"", "files", "file_id", cursor), "4 2 1 3 ");
	ck_assert_str_eq(cursor, "");
	ck_assert_str_eq(page(FILES "\"sort\":\"size\"", "files", "file_id", cursor), "3 1 2 4 ");
	ck_assert_str_eq(page(FILES "\"sort\":\"time\"", "files", "file_id", cursor), "4 3 2 1 ");
	ck_assert_str_eq(page(FILES "\"sort\":\"size\",\"client_id\":\"c\",\"max_size\":100", "files",
			      "file_id", cursor), "1 4 ");
}
END_TEST

/* Also where many are equal, and the file that a page ended with is gone. */
START_TEST(test_files__in_sorted_pages_come_once_whatever_comes_and_goes)
{
	static const char *const sorts[] = { "name", "size" };

	for (int i = 0; i < 30; i++) {
		char id[8];

		snprintf(id, sizeof id, "f%02d", i);
		put("c", id, i % 3 ? "same" : "other", 50);
	}
	for (size_t i = 0; i < 2; i++) {
		char cursor[2200] = "", members[80], command[120];
		int seen = 0, pages = 0;

		snprintf(members, sizeof members, FILES "\"limit\":4,\"sort\":\"%s\"", sorts[i]);
		do {
			const char *found = page(members, "files", "file_id", cursor);

			for (const char *p = found; *p; p++)
				seen += *p == 'f';
			if (pages++ == 2) {
				/* The last of this page. */
				snprintf(command, sizeof command, "{\"command\":\"deleteFile\",\"client_id\":"
					 "\"c\",\"file_id\":\"%.3s\"}", found + strlen(found) - 4);
				cJSON_Delete(rig_control(&rig, command));
			}
		} while (*cursor);
		ck_assert_int_eq(seen, i == 0 ? 30 : 29);
	}
}
END_TEST

#define CLIENTS "\"command\":\"listClients\""

static const char *first_client(const char *members)
{
	cJSON *answer, *first;
	static char text[4096];
	char command[600];
	char *printed;

	snprintf(command, sizeof command, "{" CLIENTS "%s}", members);
	answer = rig_control(&rig, command);
	first = cJSON_GetArrayItem(cJSON_GetObjectItem(cJSON_GetObjectItem(cJSON_GetArrayItem(
			cJSON_GetObjectItem(answer, "responses"), 0), "data"), "clients"), 0);
	cJSON_DeleteItemFromObject(first, "latest_at");
	cJSON_DeleteItemFromObject(first, "limits");
	printed = first ? cJSON_PrintUnformatted(first) : NULL;
	snprintf(text, sizeof text, "%s", printed ? printed : "absent");
	free(printed);
	cJSON_Delete(answer);
	return text;
}

START_TEST(test_clients__are_told_with_what_they_hold)
{
	ck_assert_str_eq(first_client(""), "absent");
	put("b", "1", "x", 10);
	put("b", "2", "y", 20);
	ck_assert_int_eq(rig_ask_text(&rig, "b", "$file/f/init", "{\"name\":\"n\"}"), FT_OK);
	ck_assert_int_eq(rig_ask_text(&rig, "b", "$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(rig_ask_text(&rig, "a", "$file/f/init", "{\"name\":\"n\"}"), FT_OK);
	rig_settle(&rig);
	cJSON_Delete(rig_control(&rig, "{\"command\":\"pauseClient\",\"client_id\":\"a\"}"));
	ck_assert_str_eq(first_client(""), "{\"client_id\":\"a\",\"transfers\":1,\"received\":0,"
			 "\"files\":0,\"file_bytes\":0,\"paused\":true,\"overridden\":false}");
	ck_assert_str_eq(first_client(",\"client_id\":\"b\""), "{\"client_id\":\"b\",\"transfers\":1,"
			 "\"received\":5,\"files\":2,\"file_bytes\":30,\"paused\":false,"
			 "\"overridden\":false}");
	ck_assert_str_eq(first_client(",\"client\":\"[!a]*\""), first_client(",\"client_id\":\"b\""));
	ck_assert_str_eq(first_client(",\"client_id\":\"z\""), "absent");
}
END_TEST

START_TEST(test_clients__come_in_pages_each_once)
{
	char cursor[2200] = "", all[4096] = "", expected[4096] = "";
	int pages = 0;

	for (int i = 0; i < 200; i++) {
		char client[16];

		snprintf(client, sizeof client, "c%03d", i * 7 % 200);
		put(client, "f", "n", 1);
		snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "c%03d ", i);
	}
	do {
		const char *found = page(CLIENTS ",\"limit\":67", "clients", "client_id", cursor);

		snprintf(all + strlen(all), sizeof all - strlen(all), "%s", found);
		pages++;
	} while (*cursor);
	ck_assert_str_eq(all, expected);
	ck_assert_int_eq(pages, 3);
}
END_TEST

/* Others are served while a long answer is written. */
START_TEST(test_clients__wait_for_their_turn_and_end_with_the_broker)
{
	static const char list[] = "{\"commands\":[{" CLIENTS ",\"limit\":1000}]}";

	for (int i = 0; i < 100; i++) {
		char client[16];

		snprintf(client, sizeof client, "c%d", i);
		put(client, "f", "n", 1);
	}
	for (int i = 0; i < 3; i++)
		ft_engine_control(rig.engine, "operator", NULL, list, strlen(list), rig.now_ms);
	rig_settle(&rig);
	ck_assert_uint_eq(rig.told_count, 3);
	ft_engine_control(rig.engine, "operator", NULL, list, strlen(list), rig.now_ms);
	rig_restart(&rig);
	ck_assert_str_ne(first_client(""), "absent");
}
END_TEST

FT_SUITE_WITH("engine lists", set_up, tear_down, test_files__are_sorted_by_name_and_by_size,
	      test_files__in_sorted_pages_come_once_whatever_comes_and_goes,
	      test_clients__are_told_with_what_they_hold, test_clients__come_in_pages_each_once,
	      test_clients__wait_for_their_turn_and_end_with_the_broker);
