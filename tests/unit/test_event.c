/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The topics and texts of events. */
#include <cjson/cJSON.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/event.h"

#include "../suite.h"

#define ID "77adb6d8-8191-48c5-a73c-89db329efac1"

static struct ft_sha256 digest;

static struct ft_event event_of(enum ft_event_type type)
{
	struct ft_event event = {
		.type = type, .key = { .owner = "cam/7", .owner_len = 5, .file = "f 1", .file_len = 3 },
		.transfer_id = ID, .name = "door \"42\".mp4", .at_ms = 1764000000123, .received = 12,
	};

	return event;
}

/* The text, which must be JSON and have found room. */
static cJSON *written(const struct ft_event *event)
{
	size_t room = ft_event_room(event);
	char *storage = malloc(room);
	struct ft_buf text = ft_buf_on(storage, room);
	cJSON *json;

	ft_event_write(&text, event);
	ck_assert(ft_buf_ok(&text));
	json = cJSON_ParseWithLength(text.text, text.len);
	ck_assert_msg(json != NULL, "%s", storage);
	free(storage);
	return json;
}

static void has(const cJSON *json, const char *member, const char *value)
{
	const cJSON *found = cJSON_GetObjectItemCaseSensitive(json, member);
	char *printed = found ? cJSON_PrintUnformatted(found) : strdup("nothing");

	ck_assert_msg(strcmp(printed, value) == 0, "%s is %s, not %s", member, printed, value);
	free(printed);
}

START_TEST(test_event__has_the_names_of_the_directories_as_its_topic)
{
	static const struct {
		const char *owner, *file, *topic;
	} table[] = {
		{ "cam", "f", "$file-event/cam/f" },
		{ "a/b+#", "..", "$file-event/a%2Fb%2B%23/%2E." },
		{ "\xc3\xa4", "\xff", "$file-event/\xc3\xa4/%FF" },
		{ "", "f", "$file-event/%/f" },
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		const struct ft_key key = {
			.owner = table[i].owner, .owner_len = strlen(table[i].owner),
			.file = table[i].file, .file_len = strlen(table[i].file),
		};
		char topic[FT_EVENT_TOPIC_ROOM];

		ft_event_topic(topic, &key);
		ck_assert_str_eq(topic, table[i].topic);
	}
}
END_TEST

START_TEST(test_event__of_a_complete_file_says_all_that_is_known)
{
	struct ft_event event = event_of(FT_EVENT_COMPLETED);
	cJSON *json;

	event.has_size = true;
	event.size = 248012800;
	event.sha256 = &digest;
	event.user_data = (struct ft_json_text){ "{\"a\":[1]}", 9 };
	json = written(&event);
	has(json, "vsn", "\"0.1\"");
	has(json, "id", "\"" ID "-completed-1764000000123\"");
	has(json, "type", "\"completed\"");
	has(json, "at", "\"2025-11-24T16:00:00.123Z\"");
	has(json, "client_id", "\"cam/7\"");
	has(json, "file_id", "\"f 1\"");
	has(json, "transfer_id", "\"" ID "\"");
	has(json, "name", "\"door \\\"42\\\".mp4\"");
	has(json, "size", "248012800");
	has(json, "sha256", "\"0000000000000000000000000000000000000000000000000000000000000000\"");
	has(json, "path", "\"files/cam%2F7/f%201/door \\\"42\\\".mp4\"");
	has(json, "user_data", "{\"a\":[1]}");
	has(json, "received", "nothing");
	has(json, "reason_code", "nothing");
	cJSON_Delete(json);
}
END_TEST

START_TEST(test_event__of_a_failed_fin_says_why)
{
	struct ft_event event = event_of(FT_EVENT_FAILED);
	cJSON *json;

	event.status = FT_FILE_CHECKSUM_MISMATCH;
	json = written(&event);
	has(json, "type", "\"failed\"");
	has(json, "received", "12");
	has(json, "reason_code", "16");
	has(json, "reason_description", "\"file_checksum_mismatch\"");
	has(json, "path", "nothing");
	has(json, "size", "nothing");
	has(json, "sha256", "nothing");
	cJSON_Delete(json);
}
END_TEST

START_TEST(test_event__has_a_word_for_each_type)
{
	static const char *const words[FT_EVENT_TYPES] = {
		"\"started\"", "\"resumed\"", "\"completed\"", "\"failed\"", "\"aborted\"",
		"\"expired\"", "\"deleted\"",
	};

	for (int type = 0; type < FT_EVENT_TYPES; type++) {
		const struct ft_event event = event_of((enum ft_event_type)type);
		cJSON *json = written(&event);

		has(json, "type", words[type]);
		cJSON_Delete(json);
	}
}
END_TEST

START_TEST(test_event__gives_ids_that_are_no_text_as_hex)
{
	struct ft_event event = event_of(FT_EVENT_STARTED);
	cJSON *json;

	event.key.owner = "\xff\x01";
	event.key.owner_len = 2;
	json = written(&event);
	has(json, "client_id_hex", "\"ff01\"");
	has(json, "client_id", "nothing");
	cJSON_Delete(json);
}
END_TEST

START_TEST(test_event__has_room_for_the_longest_ids)
{
	struct ft_event event = event_of(FT_EVENT_COMPLETED);
	static char owner[FT_OWNER_MAX], file[FT_FILE_ID_MAX], name[FT_FILE_NAME_MAX + 1];
	cJSON *json;

	memset(owner, 1, sizeof owner);
	memset(file, 1, sizeof file);
	memset(name, '"', FT_FILE_NAME_MAX);
	event.key = (struct ft_key){ owner, sizeof owner, file, sizeof file };
	event.name = name;
	event.has_size = true;
	event.size = INT64_MAX;
	event.sha256 = &digest;
	json = written(&event);
	ck_assert_uint_eq(strlen(cJSON_GetObjectItem(json, "client_id")->valuestring), FT_OWNER_MAX);
	cJSON_Delete(json);
}
END_TEST

FT_SUITE("event",
	test_event__has_the_names_of_the_directories_as_its_topic,
	test_event__of_a_complete_file_says_all_that_is_known,
	test_event__of_a_failed_fin_says_why,
	test_event__has_a_word_for_each_type,
	test_event__gives_ids_that_are_no_text_as_hex,
	test_event__has_room_for_the_longest_ids);
