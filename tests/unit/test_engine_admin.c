/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What operators ask, and what devices notice of it. */
#include <check.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/rig.h"
#include "../suite.h"

#define INIT "{\"name\":\"n\"}"
#define IDS "\"client_id\":\"c\",\"file_id\":\"f\""
#define DONE "{}"

static struct rig rig;

static enum ft_status say(const char *topic, const char *text)
{
	return rig_ask_text(&rig, "c", topic, text);
}

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

/* c/f holds 5 bytes, in the catalog too. */
static void begin(void)
{
	ck_assert_int_eq(say("$file/f/init", INIT), FT_OK);
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	rig_settle(&rig);
}

static void asks(const char *command, const char *expected)
{
	rig_control_says(&rig, command, expected);
}

/* A member of the data of the only answer, printed. */
static const char *data(const char *command, const char *member)
{
	static char text[4096];
	cJSON *answer = rig_control(&rig, command);
	cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItem(answer, "responses"), 0);
	cJSON *item = cJSON_GetObjectItem(cJSON_GetObjectItem(first, "data"), member);
	char *printed = item ? cJSON_PrintUnformatted(item) : NULL;

	snprintf(text, sizeof text, "%s", printed ? printed : "absent");
	free(printed);
	cJSON_Delete(answer);
	return text;
}

/* --- abort --- */

START_TEST(test_abort__is_heard_by_the_device_as_no_such_transfer)
{
	begin();
	asks("{\"command\":\"abortTransfer\"," IDS "}", "{\"data\":{\"received\":5}}");
	ck_assert_int_eq(say("$file/f/5", "x"), FT_NO_SUCH_TRANSFER);
	asks("{\"command\":\"abortTransfer\"," IDS "}", "{\"error\":\"no_such_transfer\"}");
	rig_settle(&rig);
	ck_assert(!rig_has_file(&rig, "incoming/c/f"));
	ck_assert_uint_eq(rig.engine->registry.count, 0);
	ck_assert_uint_eq(rig.engine->charged, 0);
}
END_TEST

START_TEST(test_abort__ends_an_assembly)
{
	cJSON *answer;

	begin();
	rig_forget(&rig);
	ck_assert_int_eq(rig_send_text(&rig, "c", "$file/f/fin/5", ""), FT_OK);
	answer = rig_control(&rig, "{\"command\":\"abortTransfer\"," IDS "}");
	cJSON_Delete(answer);
	(void)rig_wait_for(&rig, "$file/f/fin/5");
	rig_settle(&rig);
	/* Whoever was first has won; both know how it ended. */
	if (rig_response(&rig, "$file/f/fin/5")->status == FT_OK)
		rig_check_file(&rig, "files/c/f/n", "hello", 5);
	else
		ck_assert_int_eq(rig_response(&rig, "$file/f/fin/5")->status, FT_NO_SUCH_TRANSFER);
	ck_assert_uint_eq(rig.engine->registry.count, 0);
	ck_assert_uint_eq(rig.engine->charged, 0);
}
END_TEST

START_TEST(test_abort__of_an_id_that_may_be_finished_waits_for_the_verdict)
{
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	rig_settle(&rig);
	rig_forget(&rig);
	ck_assert_int_eq(rig_send_text(&rig, "c", "$file/f/init", INIT), FT_OK);
	asks("{\"command\":\"abortTransfer\"," IDS "}", "{\"data\":{\"received\":0}}");
	(void)rig_wait_for(&rig, "$file/f/init");
	rig_settle(&rig);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
	ck_assert_uint_eq(rig.engine->registry.count, 0);
	ck_assert_uint_eq(rig.engine->charged, 0);
}
END_TEST

/* --- pauses --- */

static void check_paused(enum ft_status st)
{
	ck_assert_int_eq(say("$file/f/5", "x"), st);
	ck_assert_int_eq(say("$file/f/init", INIT), st);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
}

static const struct {
	const char *pause, *resume, *list;
} pauses[] = {
	{ "{\"command\":\"pauseTransfer\"," IDS "}", "{\"command\":\"resumeTransfer\"," IDS "}",
	  "transfer" },
	{ "{\"command\":\"pauseClient\"," IDS "}", "{\"command\":\"resumeClient\"," IDS "}",
	  "client" },
	{ "{\"command\":\"pauseAll\"}", "{\"command\":\"resumeAll\"}", "all" },
};

START_TEST(test_pause__holds_back_until_it_is_over)
{
	for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
		begin();
		asks(pauses[i].pause, DONE);
		asks(pauses[i].pause, DONE);
		check_paused(FT_PAUSED);
		ck_assert_ptr_nonnull(strstr(data("{\"command\":\"listPauses\"}", "pauses"),
					     pauses[i].list));
		asks(pauses[i].resume, DONE);
		asks(pauses[i].resume, DONE);
		check_paused(FT_OK);
		ck_assert_str_eq(data("{\"command\":\"listPauses\"}", "pauses"), "[]");
	}
}
END_TEST

START_TEST(test_pause__is_kept_over_a_restart)
{
	for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
		begin();
		asks(pauses[i].pause, DONE);
		rig_restart(&rig);
		check_paused(FT_PAUSED);
		asks(pauses[i].resume, DONE);
		rig_restart(&rig);
		check_paused(FT_OK);
	}
}
END_TEST

START_TEST(test_pause__of_a_client_needs_no_transfer)
{
	asks("{\"command\":\"pauseClient\",\"client_id\":\"c\"}", DONE);
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_PAUSED);
	ck_assert_int_eq(rig_ask_text(&rig, "d", "$file/f/put/n", "hello"), FT_OK);
	asks("{\"command\":\"resumeClient\",\"client_id\":\"c\"}", DONE);
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	rig_settle(&rig);
	ck_assert_uint_eq(rig.engine->registry.bytes, 0);
}
END_TEST

START_TEST(test_pause__of_a_transfer_ends_with_it)
{
	begin();
	asks(pauses[0].pause, DONE);
	ck_assert_int_eq(say("$file/f/abort", ""), FT_OK);
	begin();
	rig_restart(&rig);
	ck_assert_str_eq(data("{\"command\":\"listPauses\"}", "pauses"), "[]");
	check_paused(FT_OK);
}
END_TEST

static bool is_gone(void)
{
	rig_pass(&rig, 1000);
	return rig.engine->registry.count == 0;
}

START_TEST(test_pause__keeps_a_transfer_from_expiring)
{
	rig.options.segments_ttl = 60;
	begin();
	asks(pauses[1].pause, DONE);
	for (int i = 0; i < 600; i++)
		rig_pass(&rig, 1000);
	ck_assert_uint_eq(rig.engine->registry.count, 1);
	asks(pauses[1].resume, DONE);
	for (int i = 0; i < 50; i++)
		rig_pass(&rig, 1000);
	ck_assert_uint_eq(rig.engine->registry.count, 1);
	rig_wait_until(&rig, is_gone);
}
END_TEST

/* --- files --- */

START_TEST(test_files__are_deleted_with_what_is_known_of_them)
{
	rig.options.events = FT_EVENTS_ON;
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	ck_assert_uint_eq(engine_used_bytes(rig.engine), 5);
	asks("{\"command\":\"deleteFile\"," IDS "}", "{\"data\":{\"size\":5}}");
	ck_assert_uint_eq(engine_used_bytes(rig.engine), 0);
	ck_assert_ptr_nonnull(strstr(rig_said(&rig, "$file-event/c/f"), "\"type\":\"deleted\""));
	ck_assert(!rig_has_file(&rig, "files/c/f/n"));
	ck_assert_uint_eq(rig.engine->finished.count, 0);
	asks("{\"command\":\"deleteFile\"," IDS "}", "{\"error\":\"no_such_transfer\"}");
	asks("{\"command\":\"getFile\"," IDS "}", "{\"error\":\"no_such_transfer\"}");
	ck_assert_int_eq(say("$file/f/put/m", "other"), FT_OK);
	rig_check_file(&rig, "files/c/f/m", "other", 5);
}
END_TEST

START_TEST(test_files__are_not_begun_anew_while_they_are_deleted)
{
	static const char delete[] = "{\"commands\":[{\"command\":\"deleteFile\"," IDS "}]}";

	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	rig_settle(&rig);
	ft_engine_control(rig.engine, "operator", NULL, delete, strlen(delete), rig.now_ms);
	ck_assert_int_eq(rig_send_text(&rig, "c", "$file/f/put/m", "other"), FT_BUSY);
	ck_assert_int_eq(rig_send_text(&rig, "c", "$file/g/put/m", "other"), FT_OK);
	rig_settle(&rig);
	ck_assert_uint_eq(rig.told_count, 1);
	ck_assert_int_eq(say("$file/f/put/m", "other"), FT_OK);
}
END_TEST

static bool is_verified(void)
{
	return !atomic_load(&rig.engine->core.verify.running);
}

START_TEST(test_files__are_verified)
{
	FILE *file;

	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/g/put/n", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/h/put/n", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/e/put/n", ""), FT_OK);
	file = fopen(rig_path(&rig, "files/c/g/n"), "w");
	ck_assert_ptr_nonnull(file);
	fputs("jello", file);
	fclose(file);
	ck_assert_int_eq(unlink(rig_path(&rig, "files/c/h/n")), 0);
	asks("{\"command\":\"verifyFiles\"}", DONE);
	rig_wait_until(&rig, is_verified);
	ck_assert_uint_eq(atomic_load(&rig.engine->core.verify.files), 4);
	ck_assert_uint_eq(atomic_load(&rig.engine->core.verify.damaged), 1);
	ck_assert_uint_eq(atomic_load(&rig.engine->core.verify.missing), 1);
	ft_logger_drain(rig.logger);
	ck_assert(rig_logged(&rig, "file 'g': 'n' does not have the bytes"));
	ck_assert_ptr_nonnull(strstr(data("{\"command\":\"getStatus\"}", "verify"),
				     "\"state\":\"done\""));
}
END_TEST

/* What `verify` says of itself at the end. */
static void check_verify(const char *command, const char *expected)
{
	asks(command, DONE);
	rig_wait_until(&rig, is_verified);
	rig_settle(&rig);
	ft_logger_drain(rig.logger);
	ck_assert_ptr_nonnull(strstr(data("{\"command\":\"getStatus\"}", "verify"), expected));
}

/* c/f is deleted, and put back as it was from a backup. */
static void put_back(void)
{
	char file[256], manifest[256], to[256];

	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	snprintf(file, sizeof file, "%s", rig_path(&rig, "files/c/f/n"));
	snprintf(manifest, sizeof manifest, "%s", rig_path(&rig, "files/c/f/n.manifest.json"));
	snprintf(to, sizeof to, "%s", rig_path(&rig, "backup"));
	ck_assert_int_eq(link(file, to), 0);
	snprintf(to, sizeof to, "%s", rig_path(&rig, "backup.json"));
	ck_assert_int_eq(link(manifest, to), 0);
	asks("{\"command\":\"deleteFile\"," IDS "}", "{\"data\":{\"size\":5}}");
	ck_assert_int_eq(mkdir(rig_path(&rig, "files/c"), 0750), 0);
	ck_assert_int_eq(mkdir(rig_path(&rig, "files/c/f"), 0750), 0);
	ck_assert_int_eq(link(to, manifest), 0);
	ck_assert_int_eq(link(rig_path(&rig, "backup"), file), 0);
}

START_TEST(test_files__that_were_put_back_are_adopted)
{
	put_back();
	check_verify("{\"command\":\"verifyFiles\"}", "\"damaged\":0,\"unknown\":1,\"adopted\":0}");
	ck_assert(rig_logged(&rig, "files/c/f/n is not known to the catalog: it can be adopted"));
	ck_assert_uint_eq(rig.engine->finished.count, 0);
	rig.user = "root";
	check_verify("{\"command\":\"adoptFiles\"}", "\"unknown\":0,\"adopted\":1}");
	ck_assert(rig_logged(&rig, "client 'c', file 'f': 'n' is adopted, 5 bytes"));
	ck_assert(rig_logged(&rig, "adoptFiles by an operator (client 'operator', user 'root')"));
	ck_assert_uint_eq(rig.engine->finished.count, 1);
	ck_assert_uint_eq(engine_used_bytes(rig.engine), 5);
	ck_assert_str_eq(data("{\"command\":\"getFile\"," IDS "}", "present"), "true");
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	check_verify("{\"command\":\"adoptFiles\"}", "\"unknown\":0,\"adopted\":0}");
	rig_restart(&rig);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	ck_assert_int_eq(say("$file/g/put/n", "hello"), FT_OK);
	check_verify("{\"command\":\"verifyFiles\"}", "\"damaged\":0,\"unknown\":0,\"adopted\":0}");
}
END_TEST

static void write_file(const char *below, const char *text)
{
	FILE *file = fopen(rig_path(&rig, below), "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

START_TEST(test_files__that_are_not_what_they_were_are_not_adopted)
{
	put_back();
	ck_assert_int_eq(unlink(rig_path(&rig, "files/c/f/n")), 0);
	check_verify("{\"command\":\"adoptFiles\"}", "\"unknown\":1,\"adopted\":0}");
	ck_assert(rig_logged(&rig, "files/c/f/n is not known to the catalog: there is only its manifest"));
	write_file("files/c/f/n", "jello");
	check_verify("{\"command\":\"adoptFiles\"}", "\"unknown\":1,\"adopted\":0}");
	ck_assert(rig_logged(&rig, "it does not have the bytes that its manifest says"));
	write_file("files/c/f/n", "hello!");
	check_verify("{\"command\":\"adoptFiles\"}", "\"unknown\":1,\"adopted\":0}");
	ck_assert(rig_logged(&rig, "of another file, or of another size"));
	write_file("files/c/f/n", "hello");
	ck_assert_int_eq(mkdir(rig_path(&rig, "files/c/g"), 0750), 0);
	write_file("files/c/g/lone", "x");
	/* The id is in use again. */
	begin();
	check_verify("{\"command\":\"adoptFiles\"}", "\"adopted\":0}");
	ck_assert(rig_logged(&rig, "a transfer of its id is unfinished"));
	ck_assert_int_eq(say("$file/f/abort", ""), FT_OK);
	rig_settle(&rig);
	check_verify("{\"command\":\"adoptFiles\"}", "\"unknown\":1,\"adopted\":1}");
	ck_assert(rig_logged(&rig, "files/c/g/lone is not known to the catalog: it has no manifest"));
	/* What is beside a file that is known is its consumer's. */
	write_file("files/c/f/n.seen", "x");
	check_verify("{\"command\":\"verifyFiles\"}", "\"unknown\":1,\"adopted\":0}");
}
END_TEST

/* --- bounds --- */

START_TEST(test_messages__are_answered_in_order_with_room_for_others)
{
	char commands[4096];
	struct ft_buf buf = ft_buf_on(commands, sizeof commands);
	cJSON *answer, *each;
	char mark[16];
	int count = 0;

	for (int i = 0; i < 32; i++)
		ft_buf_printf(&buf, "%s{\"command\":\"%s\",\"correlationData\":\"%d\"}", i ? "," : "",
			      i % 3 ? "listTransfers" : "listFiles", i);
	answer = rig_control(&rig, commands);
	cJSON_ArrayForEach(each, cJSON_GetObjectItem(answer, "responses")) {
		snprintf(mark, sizeof mark, "%d", count++);
		ck_assert_str_eq(cJSON_GetObjectItem(each, "correlationData")->valuestring, mark);
	}
	ck_assert_int_eq(count, 32);
	cJSON_Delete(answer);
}
END_TEST

START_TEST(test_messages__beyond_those_that_wait_are_refused)
{
	static const char list[] = "{\"commands\":[{\"command\":\"listFiles\"}]}";

	/* Nobody takes what the worker has done meanwhile. */
	for (int i = 0; i < 16; i++)
		ft_engine_control(rig.engine, "operator", NULL, list, strlen(list), rig.now_ms);
	ck_assert_uint_eq(rig.told_count, 0);
	ft_engine_control(rig.engine, "operator", NULL, list, strlen(list), rig.now_ms);
	ck_assert_uint_eq(rig.told_count, 1);
	ck_assert_ptr_nonnull(strstr(rig.told, "\"error\":\"busy\""));
	rig_settle(&rig);
	while (rig.engine->admin.count > 0) {
		rig_settle(&rig);
		usleep(1000);
	}
	ck_assert_uint_eq(rig.told_count, 17);
}
END_TEST

/* Each page is bounded in bytes, too: client ids may have 64 KiB. */
START_TEST(test_messages__have_answers_of_bounded_size)
{
	static char client[60001];
	size_t seen = 0;
	char cursor[80] = "";

	memset(client, 1, 60000);
	for (int i = 0; i < 5; i++) {
		client[0] = (char)('a' + i);
		ck_assert_int_eq(rig_ask_text(&rig, client, "$file/f/init", INIT), FT_OK);
	}
	do {
		char command[200];
		cJSON *answer, *page, *next;

		snprintf(command, sizeof command, "{\"command\":\"listTransfers\"%s}", cursor);
		answer = rig_control(&rig, command);
		ck_assert_uint_lt(strlen(rig.told), 600000);
		page = cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(answer,
				"responses"), 0), "data");
		ck_assert_ptr_nonnull(page);
		seen += (size_t)cJSON_GetArraySize(cJSON_GetObjectItem(page, "transfers"));
		next = cJSON_GetObjectItem(page, "cursor");
		cursor[0] = '\0';
		if (next)
			snprintf(cursor, sizeof cursor, ",\"cursor\":\"%s\"", next->valuestring);
		cJSON_Delete(answer);
	} while (cursor[0]);
	ck_assert_uint_eq(seen, 5);
}
END_TEST

START_TEST(test_messages__that_wait_when_the_broker_ends_are_dropped)
{
	static const char list[] = "{\"commands\":[{\"command\":\"listFiles\"},"
				   "{\"command\":\"verifyFiles\"},{\"command\":\"listFiles\"}]}";

	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	for (int i = 0; i < 5; i++)
		ft_engine_control(rig.engine, "operator", NULL, list, strlen(list), rig.now_ms);
	rig_restart(&rig);
	asks("{\"command\":\"listTransfers\"}", "{\"data\":{\"transfers\":[]}}");
}
END_TEST

START_TEST(test_list__has_pages_of_all_transfers)
{
	size_t seen = 0;
	char cursor[80] = "";

	for (int i = 0; i < 1000; i++) {
		char topic[32], client[16];

		snprintf(topic, sizeof topic, "$file/%d/init", i);
		snprintf(client, sizeof client, "c%d", i / 50);
		ck_assert_int_eq(rig_ask_text(&rig, client, topic, INIT), FT_OK);
	}
	do {
		char command[200];
		cJSON *answer, *page, *next;
		int count;

		snprintf(command, sizeof command, "{\"command\":\"listTransfers\",\"limit\":97%s}",
			 cursor);
		answer = rig_control(&rig, command);
		page = cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(answer,
				"responses"), 0), "data");
		count = cJSON_GetArraySize(cJSON_GetObjectItem(page, "transfers"));
		ck_assert_int_le(count, 97);
		seen += (size_t)count;
		next = cJSON_GetObjectItem(page, "cursor");
		cursor[0] = '\0';
		if (next)
			snprintf(cursor, sizeof cursor, ",\"cursor\":\"%s\"", next->valuestring);
		cJSON_Delete(answer);
	} while (cursor[0]);
	ck_assert_uint_eq(seen, 1000);
}
END_TEST

START_TEST(test_rate__is_that_of_the_last_seconds)
{
	struct ft_rate rate = { 0 };
	int64_t now_ms = 1000;

	ck_assert_uint_eq(ft_rate_per_second(&rate, now_ms), 0);
	for (; now_ms < 6000; now_ms += 100)
		ft_rate_add(&rate, 1000, now_ms);
	ck_assert_uint_ge(ft_rate_per_second(&rate, now_ms), 9000);
	ck_assert_uint_le(ft_rate_per_second(&rate, now_ms), 11000);
	ck_assert_uint_le(ft_rate_per_second(&rate, now_ms + 8000), 3000);
	ck_assert_uint_eq(ft_rate_per_second(&rate, now_ms + 20000), 0);
}
END_TEST

FT_SUITE_WITH("engine admin", set_up, tear_down,
	      test_abort__is_heard_by_the_device_as_no_such_transfer,
	      test_abort__ends_an_assembly,
	      test_abort__of_an_id_that_may_be_finished_waits_for_the_verdict,
	      test_pause__holds_back_until_it_is_over, test_pause__is_kept_over_a_restart,
	      test_pause__of_a_client_needs_no_transfer, test_pause__of_a_transfer_ends_with_it,
	      test_pause__keeps_a_transfer_from_expiring,
	      test_files__are_deleted_with_what_is_known_of_them,
	      test_files__are_not_begun_anew_while_they_are_deleted, test_files__are_verified,
	      test_files__that_were_put_back_are_adopted,
	      test_files__that_are_not_what_they_were_are_not_adopted,
	      test_messages__are_answered_in_order_with_room_for_others,
	      test_messages__beyond_those_that_wait_are_refused,
	      test_messages__have_answers_of_bounded_size,
	      test_messages__that_wait_when_the_broker_ends_are_dropped,
	      test_list__has_pages_of_all_transfers, test_rate__is_that_of_the_last_seconds);
