/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Jobs, as AWS's clients ask for them. */
#include <check.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/downloads/downloads_private.h"
#include "../lib/rig.h"
#include "../suite.h"

#define JOBS "$aws/things/c/jobs/"
#define DOCUMENT "{\"afr_ota\":{\"streamname\":null}}"
#define PATH_ROOM 600
#define LONG_AGO 1000000000	/* when jobs are put, unless said otherwise */

static struct rig rig;

static void set_up(void)
{
	rig_setup(&rig, "fs");
	rig.options.downloads = FT_DOWNLOADS_JOBS;
	rig.options.offers_interval = 1;
}

static void tear_down(void)
{
	rig_teardown(&rig);
}

/* A file that was written at some time, put there by rename. */
static void put_at(const char *below, const char *text, time_t when)
{
	const struct timespec times[2] = { { .tv_sec = when }, { .tv_sec = when } };
	char aside[PATH_ROOM], path[PATH_ROOM];
	FILE *file;

	snprintf(path, sizeof path, "%s", rig_path(&rig, below));
	for (char *slash = path + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		mkdir(path, 0750);
		*slash = '/';
	}
	snprintf(aside, sizeof aside, "%s", rig_path(&rig, "aside"));
	file = fopen(aside, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(text, 1, strlen(text), file), strlen(text));
	fclose(file);
	ck_assert_int_eq(utimensat(AT_FDCWD, aside, times, 0), 0);
	ck_assert_int_eq(rename(aside, path), 0);
}

static void put(const char *below, const char *text)
{
	put_at(below, text, LONG_AGO);
}

static void take_away(const char *below)
{
	ck_assert_int_eq(unlink(rig_path(&rig, below)), 0);
}

static struct ft_things_desk *desk(void)
{
	return &rig.engine->downloads->things;
}

static size_t awaited_messages;
static uint64_t awaited_generation;

static bool are_there(void)
{
	rig.now_ms += 10;
	return rig.blocks >= awaited_messages;
}

/* The next index is there, all clients were looked after, and no call is on its way. */
static bool is_settled(void)
{
	rig.now_ms += 10;
	return desk()->generation >= awaited_generation && desk()->index_job && desk()->out == 0
	       && !ft_list_first(&desk()->waiting) && desk()->looks == 0;
}

static void forget(void)
{
	for (size_t i = 0; i < rig.blocks; i++) {
		free(rig.block[i].client);
		free(rig.block[i].topic);
		free(rig.block[i].bytes);
	}
	rig.blocks = 0;
}

/* Until what was changed in jobs/ is known. */
static void wait_for_index(void)
{
	awaited_generation++;
	rig_wait_until(&rig, is_settled);
}

static void start(void)
{
	awaited_generation = 0;
	rig_start(&rig);
	wait_for_index();
}

static void restart(void)
{
	rig_stop(&rig);
	start();
}

static void send_as(const char *client, const char *topic, const char *payload)
{
	ck_assert_int_eq(rig_send_text(&rig, client, topic, payload), FT_OK);
}

/* The answer, which is a text without what time it is: "accepted {...}". Static storage. */
static const char *ask_as(const char *client, const char *topic, const char *payload)
{
	static char answer[70000];
	const char *word;
	char *from, *digits;

	forget();
	send_as(client, topic, payload);
	awaited_messages = 1;
	rig_wait_until(&rig, are_there);
	rig_wait_until(&rig, is_settled);
	ck_assert_str_eq(rig.block[0].client, client);
	ck_assert_msg(strncmp(rig.block[0].topic, topic, strlen(topic)) == 0, "%s", rig.block[0].topic);
	word = rig.block[0].topic + strlen(topic);
	snprintf(answer, sizeof answer, "%s %.*s", word + 1, (int)rig.block[0].len,
		 (char *)rig.block[0].bytes);
	for (from = answer; (from = strstr(from, "\":17")) || (from = strstr(answer, "\":18")); ) {
		digits = from + 2 + strspn(from + 2, "0123456789");
		memmove(from + 3, digits, strlen(digits) + 1);
		from[2] = 'T';
	}
	return answer;
}

static const char *ask(const char *rest, const char *payload)
{
	char topic[200];

	snprintf(topic, sizeof topic, JOBS "%s", rest);
	return ask_as("c", topic, payload);
}

#define EXECUTION(job, rest) \
	"accepted {\"timestamp\":T,\"execution\":{\"jobId\":\"" job "\",\"thingName\":\"c\"," rest \
	",\"executionNumber\":1,\"jobDocument\":" DOCUMENT "}}"
#define QUEUED(job) \
	EXECUTION(job, "\"status\":\"QUEUED\",\"statusDetails\":{},\"queuedAt\":1000000000," \
		  "\"lastUpdatedAt\":1000000000,\"versionNumber\":1")
#define STARTED(job, details, version) \
	EXECUTION(job, "\"status\":\"IN_PROGRESS\",\"statusDetails\":" details ",\"queuedAt\":1000000000," \
		  "\"startedAt\":T,\"lastUpdatedAt\":T,\"versionNumber\":" version)
#define NOTHING "accepted {\"timestamp\":T}"

static void assert_code(const char *answer, const char *code)
{
	char wanted[100];

	snprintf(wanted, sizeof wanted, "rejected {\"code\":\"%s\",", code);
	ck_assert_msg(strncmp(answer, wanted, strlen(wanted)) == 0, "%s, not %s", answer, code);
}

static size_t count_of(const char *topic)
{
	size_t count = 0;

	for (size_t i = 0; i < rig.blocks; i++)
		count += strcmp(rig.block[i].topic, topic) == 0;
	return count;
}

/* The only message on a topic of what is said unasked. */
static const char *news(const char *word)
{
	static char text[70000];
	char topic[100];

	snprintf(topic, sizeof topic, JOBS "%s", word);
	ck_assert_uint_eq(count_of(topic), 1);
	for (size_t i = 0; i < rig.blocks; i++)
		if (strcmp(rig.block[i].topic, topic) == 0)
			snprintf(text, sizeof text, "%.*s", (int)rig.block[i].len,
				 (char *)rig.block[i].bytes);
	return text;
}

static void start_with_job(void)
{
	put("jobs/all/j1.json", DOCUMENT "\n");
	start();
}

/* --- requests --- */

START_TEST(test_jobs__are_none)
{
	start();
	ck_assert_str_eq(ask("$next/get", "{}"), NOTHING);
	ck_assert_str_eq(ask("start-next", "{\"clientToken\":\"x\"}"),
			 "accepted {\"clientToken\":\"x\",\"timestamp\":T}");
	ck_assert_str_eq(ask("get", ""), "accepted {\"timestamp\":T,\"inProgressJobs\":[],\"queuedJobs\":[]}");
	assert_code(ask("j1/get", ""), "ResourceNotFound");
	ck_assert_uint_eq(rig.blocks_open, 0);
}
END_TEST

START_TEST(test_jobs__are_begun_and_ended)
{
	start_with_job();
	ck_assert_str_eq(ask("$next/get", "{}"), QUEUED("j1"));
	ck_assert_str_eq(ask("j1/get", "{}"), QUEUED("j1"));
	ck_assert_str_eq(ask("start-next", "{\"statusDetails\":{\"a\":\"b\"}}"), STARTED("j1", "{\"a\":\"b\"}", "2"));
	ck_assert_str_eq(ask("start-next", "{\"statusDetails\":{\"c\":\"d\"}}"), STARTED("j1", "{\"a\":\"b\"}", "2"));
	ck_assert_str_eq(ask("$next/get", ""), STARTED("j1", "{\"a\":\"b\"}", "2"));
	ck_assert_str_eq(ask("get", ""),
			 "accepted {\"timestamp\":T,\"inProgressJobs\":[{\"jobId\":\"j1\",\"queuedAt\":1000000000,"
			 "\"startedAt\":T,\"lastUpdatedAt\":T,\"versionNumber\":2,\"executionNumber\":1}],"
			 "\"queuedJobs\":[]}");
	ck_assert_str_eq(ask("j1/update", "{\"status\":\"IN_PROGRESS\",\"statusDetails\":{\"self_test\":\"ready\"},"
			     "\"expectedVersion\":\"2\",\"includeJobExecutionState\":true}"),
			 "accepted {\"timestamp\":T,\"executionState\":{\"status\":\"IN_PROGRESS\","
			 "\"statusDetails\":{\"self_test\":\"ready\"},\"versionNumber\":3}}");
	ck_assert_str_eq(ask("$next/get", ""), STARTED("j1", "{\"self_test\":\"ready\"}", "3"));
	ck_assert_str_eq(ask("j1/update", "{\"status\":\"SUCCEEDED\",\"clientToken\":\"t\",\"includeJobDocument\":true}"),
			 "accepted {\"clientToken\":\"t\",\"timestamp\":T,\"jobDocument\":" DOCUMENT "}");
	ck_assert_str_eq(ask("$next/get", "{}"), NOTHING);
	ck_assert_str_eq(ask("start-next", "{}"), NOTHING);
	assert_code(ask("j1/get", "{}"), "TerminalStateReached");
	ft_logger_drain(rig.logger);
	ck_assert(rig_logged(&rig, "client 'c', job 'j1': SUCCEEDED {\"self_test\":\"ready\"}"));
}
END_TEST

START_TEST(test_jobs__reject_with_one_message)
{
	static const struct {
		const char *topic, *payload, *code;
	} rows[] = {
		{ "get", "{", "InvalidJson" }, { "start-next", "[]", "InvalidRequest" },
		{ "$next/get", "{\"clientToken\":1}", "InvalidRequest" },
		{ "/update", "{\"status\":\"FAILED\"}", "InvalidTopic" }, { "x", "", "InvalidTopic" },
		{ "", "", "InvalidTopic" }, { "j1/put", "", "InvalidTopic" },
		{ "j1/update", "{}", "InvalidRequest" }, { "j1/update", "{\"status\":\"QUEUED\"}", "InvalidRequest" },
		{ "j2/update", "{\"status\":\"FAILED\"}", "ResourceNotFound" },
		{ "j%2F1/update", "{\"status\":\"FAILED\"}", "ResourceNotFound" },
		{ "j1/update", "{\"status\":\"FAILED\",\"executionNumber\":2}", "ResourceNotFound" },
		{ "j1/get", "{\"executionNumber\":2}", "ResourceNotFound" },
		{ "$next/get", "{\"executionNumber\":2}", "ResourceNotFound" },
		{ "j1/update", "{\"status\":\"FAILED\",\"expectedVersion\":\"2\"}", "VersionMismatch" },
	};

	start_with_job();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_code(ask(rows[i].topic, rows[i].payload), rows[i].code);
		ck_assert_uint_eq(rig.blocks, 1);
	}
	ck_assert_str_eq(ask("j1/update", "{\"status\":\"FAILED\",\"expectedVersion\":7,\"clientToken\":\"x\"}"),
			 "rejected {\"code\":\"VersionMismatch\",\"message\":\"expectedVersion is not the execution's "
			 "version\",\"clientToken\":\"x\",\"timestamp\":T,\"executionState\":{\"status\":\"QUEUED\","
			 "\"statusDetails\":{},\"versionNumber\":1}}");
	ck_assert_str_eq(ask("$next/get", ""), QUEUED("j1"));
	ck_assert_uint_eq(rig.responses, 0);
	ck_assert_uint_eq(rig.blocks_open, 0);
}
END_TEST

START_TEST(test_jobs__that_have_ended_never_change)
{
	static const char *const statuses[] = { "IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED" };
	char text[100];

	start_with_job();
	ck_assert_str_eq(ask("j1/update", "{\"status\":\"REJECTED\"}"), NOTHING);
	for (size_t i = 0; i < 4; i++) {
		snprintf(text, sizeof text, "{\"status\":\"%s\"}", statuses[i]);
		assert_code(ask("j1/update", text), "InvalidStateTransition");
	}
}
END_TEST

START_TEST(test_jobs__are_for_things_that_are_the_client_or_its_user)
{
	start_with_job();
	assert_code(ask_as("c", "$aws/things/d/jobs/start-next", "{}"), "Unauthorized");
	rig.user = "d";
	ck_assert(strstr(ask_as("c", "$aws/things/d/jobs/start-next", "{}"), "\"thingName\":\"d\",\"status\":\"IN_P"));
	/* The client of that name is another thing. */
	rig.user = NULL;
	ck_assert(strstr(ask_as("d", "$aws/things/d/jobs/$next/get", "{}"), "\"thingName\":\"d\",\"status\":\"QUEUED"));
	/* Whoever has the name in both ways is the client. */
	rig.user = "d";
	ck_assert(strstr(ask_as("d", "$aws/things/d/jobs/$next/get", "{}"), "\"thingName\":\"d\",\"status\":\"QUEUED"));
	ck_assert(strstr(ask_as("e", "$aws/things/d/jobs/$next/get", "{}"), "\"thingName\":\"d\",\"status\":\"IN_P"));
}
END_TEST

START_TEST(test_jobs__come_from_the_first_folder_that_has_them)
{
	put("offers/groups", "trial: client:c client:d\n");
	put("jobs/all/j1.json", "{\"from\":\"all\"}");
	put("jobs/all/j2.json", "{\"from\":\"all\"}");
	put("jobs/group/trial/j2.json", "{\"from\":\"trial\"}");
	put("jobs/group/trial/j3.json", "{\"from\":\"trial\"}");
	put("jobs/user/u/j3.json", "{\"from\":\"u\"}");
	put("jobs/client/c/j3.json", "{\"from\":\"c\"}");
	put("jobs/client/x/j4.json", "{\"from\":\"x\"}");
	start();
	rig.user = "u";
	ck_assert(strstr(ask("j1/get", ""), "{\"from\":\"all\"}"));
	ck_assert(strstr(ask("j2/get", ""), "{\"from\":\"trial\"}"));
	ck_assert(strstr(ask("j3/get", ""), "{\"from\":\"c\"}"));
	assert_code(ask("j4/get", ""), "ResourceNotFound");
	assert_code(ask("j4/update", "{\"status\":\"SUCCEEDED\"}"), "ResourceNotFound");
	ck_assert(strstr(ask_as("d", "$aws/things/d/jobs/j3/get", ""), "{\"from\":\"u\"}"));
	ck_assert(strstr(ask_as("e", "$aws/things/e/jobs/j2/get", ""), "{\"from\":\"all\"}"));
}
END_TEST

/* In progress first, then as they were queued, then by id. */
START_TEST(test_jobs__have_an_order)
{
	put_at("jobs/all/b.json", DOCUMENT, LONG_AGO + 1);
	put_at("jobs/all/d.json", DOCUMENT, LONG_AGO);
	put_at("jobs/client/c/c.json", DOCUMENT, LONG_AGO);
	put_at("jobs/all/a.json", DOCUMENT, LONG_AGO + 2);
	start();
	ck_assert(strstr(ask("get", ""), "\"inProgressJobs\":[],\"queuedJobs\":[{\"jobId\":\"c\""));
	ck_assert_str_eq(ask("a/update", "{\"status\":\"IN_PROGRESS\"}"), NOTHING);
	ck_assert(strstr(ask("$next/get", ""), "\"jobId\":\"a\""));
	ck_assert_str_eq(ask("a/update", "{\"status\":\"FAILED\"}"), NOTHING);
	for (const char *id = "cdb"; *id; id++) {
		char topic[20], wanted[20];

		snprintf(wanted, sizeof wanted, "\"jobId\":\"%c\"", *id);
		snprintf(topic, sizeof topic, "%c/update", *id);
		ck_assert(strstr(ask("start-next", ""), wanted));
		ck_assert_str_eq(ask(topic, "{\"status\":\"SUCCEEDED\"}"), NOTHING);
	}
	ck_assert_str_eq(ask("start-next", ""), NOTHING);
}
END_TEST

/* What a client sends at once is carried out in this order. */
START_TEST(test_jobs__take_requests_in_their_order)
{
	start_with_job();
	send_as("c", JOBS "start-next", "");
	for (int i = 0; i < 20; i++)
		send_as("c", JOBS "j1/update", "{\"status\":\"IN_PROGRESS\"}");
	send_as("c", JOBS "j1/update", "{\"status\":\"SUCCEEDED\",\"expectedVersion\":22}");
	send_as("c", JOBS "start-next", "");
	awaited_messages = 24;	/* with notify and notify-next */
	rig_wait_until(&rig, are_there);
	for (size_t i = 1; i < 22; i++)
		ck_assert_str_eq(rig.block[i].topic, JOBS "j1/update/accepted");
}
END_TEST

/* --- what lasts --- */

static void begin_and_be_killed(void)
{
	wait_for_index();
	ck_assert_str_eq(ask("start-next", ""), STARTED("j1", "{}", "2"));
	ck_assert_str_eq(ask("j1/update", "{\"status\":\"IN_PROGRESS\",\"statusDetails\":{\"self_test\":\"active\"}}"),
			 NOTHING);
	ck_assert(strncmp(ask("j2/update", "{\"status\":\"SUCCEEDED\"}"), NOTHING, sizeof NOTHING - 1) == 0);
}

START_TEST(test_jobs__that_were_begun_survive_the_broker)
{
	put("jobs/all/j1.json", DOCUMENT);
	put_at("jobs/all/j2.json", DOCUMENT, LONG_AGO + 1);
	rig_act_and_be_killed(&rig, begin_and_be_killed);
	start();
	ck_assert_str_eq(ask("start-next", ""), STARTED("j1", "{\"self_test\":\"active\"}", "3"));
	assert_code(ask("j2/update", "{\"status\":\"FAILED\"}"), "InvalidStateTransition");
	ck_assert_str_eq(ask("j1/update", "{\"status\":\"SUCCEEDED\",\"expectedVersion\":\"3\"}"), NOTHING);
	rig_cut_power(&rig);
	restart();
	ck_assert_str_eq(ask("start-next", ""), NOTHING);
}
END_TEST

START_TEST(test_jobs__whose_document_is_gone_are_gone)
{
	start_with_job();
	ck_assert_str_eq(ask("start-next", ""), STARTED("j1", "{}", "2"));
	forget();
	take_away("jobs/all/j1.json");
	wait_for_index();
	ck_assert_str_eq(ask("start-next", ""), NOTHING);
	assert_code(ask("j1/update", "{\"status\":\"SUCCEEDED\"}"), "ResourceNotFound");
	assert_code(ask("j1/get", ""), "ResourceNotFound");
	/* What was done stays known. */
	put("jobs/client/c/j1.json", DOCUMENT);
	wait_for_index();
	ck_assert_str_eq(ask("start-next", ""), STARTED("j1", "{}", "2"));
}
END_TEST

START_TEST(test_jobs__whose_documents_are_bad_are_named_in_the_log)
{
	char *large = malloc(FT_AWS_JOB_DOCUMENT_MAX + 2);

	ck_assert_ptr_nonnull(large);
	memset(large, ' ', FT_AWS_JOB_DOCUMENT_MAX + 1);
	memcpy(large, "{}", 2);
	large[FT_AWS_JOB_DOCUMENT_MAX + 1] = '\0';
	put("jobs/all/large.json", large);
	large[FT_AWS_JOB_DOCUMENT_MAX] = '\0';
	put("jobs/all/most.json", large);
	free(large);
	put("jobs/all/array.json", "[]");
	put("jobs/all/broken.json", "{\"a\":");
	put("jobs/all/a.b.json", "{}");
	put("jobs/all/text.txt", "{}");
	put("jobs/all/new.json.part", "{");
	put("jobs/all/folder/j.json", "{}");
	put("jobs/client/file.json", "{}");
	put("jobs/client/a b/j.json", "{}");
	ck_assert_int_eq(symlink("most.json", rig_path(&rig, "jobs/all/link.json")), 0);
	start();
	ck_assert(strstr(ask("get", ""), "\"queuedJobs\":[{\"jobId\":\"most\",\"queuedAt\":1000000000,"
			     "\"lastUpdatedAt\":1000000000,\"versionNumber\":1,\"executionNumber\":1}]}"));
	ck_assert(strstr(ask("most/get", ""), "\"jobDocument\":{}}}"));
	ft_logger_drain(rig.logger);
	ck_assert(rig_logged(&rig, "jobs/all/large.json is not offered: it is larger than 32k"));
	ck_assert(rig_logged(&rig, "jobs/all/array.json is not offered: it is no JSON object"));
	ck_assert(rig_logged(&rig, "jobs/all/broken.json is not offered: it is no JSON object"));
	ck_assert(rig_logged(&rig, "jobs/all/a.b.json is not offered: a job is a file <id>.json"));
	ck_assert(rig_logged(&rig, "jobs/all/text.txt is not offered: a job is a file"));
	ck_assert(rig_logged(&rig, "jobs/all/folder is not offered: a job is a file"));
	ck_assert(rig_logged(&rig, "jobs/all/link.json is not offered: a job is a file"));
	ck_assert(rig_logged(&rig, "jobs/client/file.json is not offered:"));
	ck_assert(rig_logged(&rig, "jobs/client/a b is not offered: no id has this name"));
	ck_assert(!rig_logged(&rig, "new.json.part"));
}
END_TEST

/* What is being written is no document until it is whole, and nothing is said of it. */
START_TEST(test_jobs__may_be_written_in_place)
{
	struct timespec now;

	start();
	clock_gettime(CLOCK_REALTIME, &now);
	put_at("jobs/all/j1.json", "{\"a\":", now.tv_sec + 2);
	put_at("jobs/all/j2.json", DOCUMENT, LONG_AGO);
	wait_for_index();
	assert_code(ask("j1/get", ""), "ResourceNotFound");
	put_at("jobs/all/j1.json", DOCUMENT, LONG_AGO);
	wait_for_index();
	ck_assert_str_eq(ask("j1/get", ""), QUEUED("j1"));
}
END_TEST

static bool is_told_of_j1(void)
{
	rig.now_ms += 10;
	for (size_t i = 0; i < rig.blocks; i++)
		if (strcmp(rig.block[i].topic, JOBS "notify-next") == 0
		    && memmem(rig.block[i].bytes, rig.block[i].len, "\"j1\"", 4))
			return true;
	return false;
}

/* Devices that ask at once must not ask in vain. */
START_TEST(test_jobs__wait_until_their_stream_is_hashed)
{
	struct timespec now;

	rig.options.downloads = FT_DOWNLOADS_AWS | FT_DOWNLOADS_JOBS;
	start();
	ck_assert_str_eq(ask("$next/get", ""), NOTHING);
	clock_gettime(CLOCK_REALTIME, &now);
	put("jobs/all/j1.json", "{\"afr_ota\":{\"streamname\":\"s\"}}");
	/* It is hashed when it has rested for a second. */
	put_at("offers/all/streams/s/0", "firmware", now.tv_sec);
	forget();
	rig_wait_until(&rig, is_told_of_j1);
	forget();
	send_as("c", "$aws/things/c/streams/s/get/json", "{\"f\":0,\"l\":256}");
	awaited_messages = 1;
	rig_wait_until(&rig, are_there);
	ck_assert_str_eq(rig.block[0].topic, "$aws/things/c/streams/s/data/json");
}
END_TEST

/* --- news --- */

START_TEST(test_jobs__that_come_are_told_of_by_name)
{
	start();
	ck_assert_str_eq(ask("$next/get", ""), NOTHING);
	forget();
	put("jobs/all/j1.json", DOCUMENT);
	wait_for_index();
	ck_assert(strstr(news("notify-next"), ",\"execution\":{\"jobId\":\"j1\",\"thingName\":\"c\",\"status\":\"QUEUED\""));
	ck_assert(strstr(news("notify-next"), "\"jobDocument\":" DOCUMENT "}}"));
	ck_assert(strstr(news("notify"), ",\"jobs\":{\"QUEUED\":[{\"jobId\":\"j1\",\"queuedAt\":1000000000,"
			      "\"lastUpdatedAt\":1000000000,\"versionNumber\":1,\"executionNumber\":1}]}}"));
	ck_assert_str_eq(rig.block[0].client, "c");
	/* One behind it changes the list, but not what is next. */
	forget();
	put_at("jobs/all/j2.json", DOCUMENT, LONG_AGO + 1);
	wait_for_index();
	ck_assert_uint_eq(rig.blocks, 1);
	ck_assert(strstr(news("notify"), "{\"QUEUED\":[{\"jobId\":\"j1\","));
	/* One before it. */
	forget();
	put_at("jobs/all/j0.json", DOCUMENT, LONG_AGO - 1);
	wait_for_index();
	ck_assert(strstr(news("notify-next"), "\"jobId\":\"j0\""));
	ck_assert_uint_eq(rig.blocks, 2);
}
END_TEST

START_TEST(test_jobs__that_end_make_room_for_the_next)
{
	put("jobs/all/j1.json", DOCUMENT);
	put_at("jobs/all/j2.json", DOCUMENT, LONG_AGO + 1);
	start();
	ck_assert_str_eq(ask("start-next", ""), STARTED("j1", "{}", "2"));
	ck_assert_uint_eq(rig.blocks, 1);
	ck_assert_str_eq(ask("j1/update", "{\"status\":\"IN_PROGRESS\"}"), NOTHING);
	ck_assert_uint_eq(rig.blocks, 1);
	ck_assert_str_eq(ask("j1/update", "{\"status\":\"SUCCEEDED\"}"), NOTHING);
	ck_assert_uint_eq(rig.blocks, 3);
	ck_assert(strstr(news("notify-next"), "\"jobId\":\"j2\""));
	ck_assert(strstr(news("notify"), "\"jobs\":{\"QUEUED\":[{\"jobId\":\"j2\""));
	ck_assert_str_eq(ask("j2/update", "{\"status\":\"SUCCEEDED\"}"), NOTHING);
	ck_assert_ptr_null(strstr(news("notify-next"), "execution"));
	ck_assert(strstr(news("notify"), "\"jobs\":{}}"));
}
END_TEST

START_TEST(test_jobs__that_are_withdrawn_are_told_of)
{
	start_with_job();
	ck_assert_str_eq(ask("start-next", ""), STARTED("j1", "{}", "2"));
	forget();
	take_away("jobs/all/j1.json");
	wait_for_index();
	ck_assert_uint_eq(rig.blocks, 2);
	ck_assert_ptr_null(strstr(news("notify-next"), "execution"));
}
END_TEST

START_TEST(test_jobs__are_told_of_to_those_that_they_are_for)
{
	put("offers/groups", "trial: client:c\n");
	start();
	for (int i = 0; i < 40; i++) {
		char client[10], topic[60];

		snprintf(client, sizeof client, "c%d", i);
		snprintf(topic, sizeof topic, "$aws/things/%s/jobs/$next/get", client);
		ck_assert_str_eq(ask_as(client, topic, ""), NOTHING);
	}
	ck_assert_str_eq(ask("$next/get", ""), NOTHING);
	ft_engine_disconnected(rig.engine, "c7");
	forget();
	put("jobs/group/trial/j1.json", DOCUMENT);
	wait_for_index();
	ck_assert_uint_eq(rig.blocks, 2);
	ck_assert_str_eq(rig.block[0].client, "c");
	forget();
	put("jobs/all/j2.json", DOCUMENT);
	wait_for_index();
	ck_assert_uint_eq(rig.blocks, 2 * 39 + 1);	/* the next one of c is still j1 */
	for (size_t i = 0; i < rig.blocks; i++)
		ck_assert_str_ne(rig.block[i].client, "c7");
	/* Somebody may have subscribed, where it has gone. */
	ck_assert_ptr_nonnull(rig_said(&rig, "$aws/things/c7/jobs/notify-next"));
	ck_assert_ptr_null(rig_said(&rig, "$aws/things/c6/jobs/notify-next"));
	/* Groups, too, decide who has a job. */
	forget();
	put("offers/groups", "trial: client:c1\n");
	wait_for_index();
	ck_assert_uint_eq(count_of("$aws/things/c1/jobs/notify-next"), 1);
	ck_assert_uint_eq(count_of(JOBS "notify-next"), 1);
	ck_assert_uint_eq(rig.blocks, 4);
}
END_TEST

/* Whoever has subscribed hears of what is put into a client's own folder. */
START_TEST(test_jobs__of_absent_clients_are_told_of_to_subscribers)
{
	put("jobs/client/c/j0.json", DOCUMENT);
	put("jobs/client/d/j0.json", DOCUMENT);
	start();
	ck_assert_uint_eq(rig.messages, 0);
	put("jobs/client/c/j1.json", DOCUMENT);
	put("jobs/client/e%2F/j1.json", DOCUMENT);
	wait_for_index();
	ck_assert(strstr(rig_said(&rig, JOBS "notify-next"), "\"jobId\":\"j0\",\"thingName\":\"c\""));
	ck_assert(strstr(rig_said(&rig, JOBS "notify"), "\"jobs\":{\"QUEUED\":[{\"jobId\":\"j0\""));
	ck_assert_uint_eq(rig.messages, 2);
	ck_assert(!rig.message[0].retain && rig.message[0].qos == 1 && rig.message[0].json);
	/* What is next is still the same. */
	rig_forget(&rig);
	put("jobs/client/c/j2.json", DOCUMENT);
	wait_for_index();
	ck_assert_ptr_null(rig_said(&rig, JOBS "notify-next"));
	ck_assert_uint_eq(rig.messages, 1);
	/* Who has asked is told by name alone, until it goes. */
	rig_forget(&rig);
	ck_assert_str_eq(ask("$next/get", ""), QUEUED("j0"));
	forget();
	take_away("jobs/client/c/j0.json");
	wait_for_index();
	ck_assert(strstr(news("notify-next"), "\"jobId\":\"j1\""));
	ck_assert_uint_eq(rig.messages, 0);
	ft_engine_disconnected(rig.engine, "c");
	forget();
	take_away("jobs/client/c/j1.json");
	wait_for_index();
	ck_assert(strstr(rig_said(&rig, JOBS "notify-next"), "\"jobId\":\"j2\""));
	ck_assert_uint_eq(rig.blocks, 0);
	/* Of what it was never told nothing is withdrawn. */
	rig_forget(&rig);
	take_away("jobs/client/d/j0.json");
	wait_for_index();
	ck_assert_uint_eq(rig.messages, 0);
}
END_TEST

/* It still is who it was. */
START_TEST(test_jobs__of_absent_clients_are_those_of_their_user_too)
{
	put("jobs/user/u/j1.json", DOCUMENT);
	rig.user = "u";
	start();
	ck_assert_str_eq(ask("$next/get", ""), QUEUED("j1"));
	ft_engine_disconnected(rig.engine, "c");
	put("jobs/client/d/j2.json", DOCUMENT);
	wait_for_index();
	ck_assert_ptr_null(rig_said(&rig, JOBS "notify"));
	put("jobs/user/u/j0.json", DOCUMENT);
	wait_for_index();
	ck_assert(strstr(rig_said(&rig, JOBS "notify-next"), "\"jobId\":\"j0\""));
}
END_TEST

START_TEST(test_jobs__of_users_are_told_of_to_their_clients)
{
	rig.user = "u";
	start();
	ck_assert_str_eq(ask_as("c", "$aws/things/u/jobs/$next/get", ""), NOTHING);
	forget();
	put("jobs/user/u/j1.json", DOCUMENT);
	wait_for_index();
	ck_assert_uint_eq(count_of("$aws/things/u/jobs/notify-next"), 1);
	ck_assert_str_eq(rig.block[0].client, "c");
}
END_TEST

/* --- bounds --- */

START_TEST(test_jobs__take_as_many_requests_as_a_client_may_have)
{
	size_t rejected = 0;

	rig.options.max_requests_per_client = 3;
	put("jobs/all/j1.json", DOCUMENT);
	rig_start(&rig);	/* what comes before the index is known waits for it */
	for (int i = 0; i < 5; i++)
		send_as("c", JOBS "$next/get", "");
	ck_assert_uint_eq(rig.blocks, 2);
	awaited_messages = 5;
	rig_wait_until(&rig, are_there);
	for (size_t i = 0; i < 5; i++)
		rejected += strcmp(rig.block[i].topic, JOBS "$next/get/rejected") == 0;
	ck_assert_uint_eq(rejected, 2);
}
END_TEST

START_TEST(test_jobs__are_kept_up_to_a_number_of_rows)
{
	put("jobs/all/j1.json", DOCUMENT);
	put_at("jobs/all/j2.json", DOCUMENT, LONG_AGO + 1);
	start();
	rig.engine->core.things->rows_max = 2;
	ck_assert_str_eq(ask("start-next", ""), STARTED("j1", "{}", "2"));
	ck_assert(strstr(ask_as("d", "$aws/things/d/jobs/start-next", ""), "IN_PROGRESS"));
	assert_code(ask("j2/update", "{\"status\":\"SUCCEEDED\"}"), "InternalError");
	assert_code(ask_as("e", "$aws/things/e/jobs/start-next", ""), "InternalError");
	/* Rows that are there can be changed. */
	ck_assert(strncmp(ask("j1/update", "{\"status\":\"SUCCEEDED\"}"), NOTHING, sizeof NOTHING - 1) == 0);
	/* Those of jobs that are gone make room. */
	take_away("jobs/all/j1.json");
	wait_for_index();
	ck_assert(strstr(ask("start-next", ""), "\"jobId\":\"j2\",\"thingName\":\"c\",\"status\":\"IN_PROGRESS\""));
	ft_logger_drain(rig.logger);
	ck_assert(rig_logged(&rig, "2 executions of jobs are kept, which is the most"));
}
END_TEST

START_TEST(test_jobs__of_clients_that_have_gone_cost_nothing)
{
	rig.options.announce = 0;
	start_with_job();
	rig_settle(&rig);
	for (int i = 0; i < 5; i++)
		send_as("c", JOBS "$next/get", "");
	ft_engine_disconnected(rig.engine, "c");
	rig_wait_until(&rig, is_settled);
	ck_assert_uint_eq(rig.engine->charged, 0);
	ck_assert_uint_eq(rig.blocks_open, 0);
	rig.user = "somebody";
	send_as("c", JOBS "start-next", "");
	ft_engine_disconnected(rig.engine, "c");
	rig_stop(&rig);
	ck_assert_uint_eq(rig.blocks_open, 0);
}
END_TEST

/* --- events and metrics --- */

START_TEST(test_jobs__are_reported)
{
	const char *said;

	rig.options.events = FT_EVENTS_ON;
	start_with_job();
	ck_assert_str_eq(ask("start-next", ""), STARTED("j1", "{}", "2"));
	ck_assert_ptr_null(rig_said(&rig, "$file-event/c/jobs/j1"));
	ck_assert_str_eq(ask("j1/update", "{\"status\":\"FAILED\",\"statusDetails\":{\"reason\":\"x\"}}"), NOTHING);
	said = rig_said(&rig, "$file-event/c/jobs/j1");
	ck_assert_ptr_nonnull(said);
	ck_assert(strstr(said, "\"event\":\"download_report\",\"client_id\":\"c\""));
	ck_assert(strstr(said, "\"path\":\"jobs/j1\",\"size\":"));
	ck_assert(strstr(said, "\"report\":{\"status\":\"FAILED\",\"statusDetails\":{\"reason\":\"x\"}}}"));
	engine_take_metrics(rig.engine);
	ck_assert_uint_eq(rig.engine->metrics.job_documents, 1);
	ck_assert_uint_eq(rig.engine->metrics.jobs_started, 1);
	ck_assert_uint_eq(rig.engine->metrics.job_updates, 1);
	ck_assert_uint_eq(rig.engine->metrics.jobs_failed, 1);
	ck_assert_uint_eq(rig.engine->metrics.jobs_succeeded, 0);
}
END_TEST

FT_SUITE_WITH("engine jobs", set_up, tear_down,
	 test_jobs__are_none,
	 test_jobs__are_begun_and_ended,
	 test_jobs__reject_with_one_message,
	 test_jobs__that_have_ended_never_change,
	 test_jobs__are_for_things_that_are_the_client_or_its_user,
	 test_jobs__come_from_the_first_folder_that_has_them,
	 test_jobs__have_an_order,
	 test_jobs__take_requests_in_their_order,
	 test_jobs__that_were_begun_survive_the_broker,
	 test_jobs__whose_document_is_gone_are_gone,
	 test_jobs__whose_documents_are_bad_are_named_in_the_log,
	 test_jobs__may_be_written_in_place,
	 test_jobs__wait_until_their_stream_is_hashed,
	 test_jobs__that_come_are_told_of_by_name,
	 test_jobs__that_end_make_room_for_the_next,
	 test_jobs__that_are_withdrawn_are_told_of,
	 test_jobs__are_told_of_to_those_that_they_are_for,
	 test_jobs__of_absent_clients_are_told_of_to_subscribers,
	 test_jobs__of_absent_clients_are_those_of_their_user_too,
	 test_jobs__of_users_are_told_of_to_their_clients,
	 test_jobs__take_as_many_requests_as_a_client_may_have,
	 test_jobs__are_kept_up_to_a_number_of_rows,
	 test_jobs__of_clients_that_have_gone_cost_nothing,
	 test_jobs__are_reported);
