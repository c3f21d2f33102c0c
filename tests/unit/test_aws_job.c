/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/aws_job.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"

#define NOW 1700000100
#define ROOM 65536

static struct ft_aws_job_topic topic;
static struct ft_aws_job_request request;
static char room[ROOM];
static struct ft_buf to;

/* --- topics --- */

static void assert_topic(const char *rest, enum ft_aws_job_verb verb, const char *job)
{
	char text[200];

	snprintf(text, sizeof text, "$aws/things/my thing/jobs/%s", rest);
	ck_assert_msg(ft_aws_job_topic_parse(&topic, text) == FT_AWS_TOPIC_REQUEST, "%s", rest);
	ck_assert_msg(topic.verb == verb, "%s is %d", rest, topic.verb);
	ck_assert(topic.thing_len == 8 && strncmp(topic.thing, "my thing", 8) == 0);
	if (job)
		ck_assert(topic.job_len == strlen(job) && strncmp(topic.job, job, topic.job_len) == 0);
}

START_TEST(test_aws_job_topic__is_a_request)
{
	assert_topic("get", FT_AWS_JOB_LIST, NULL);
	assert_topic("start-next", FT_AWS_JOB_START_NEXT, NULL);
	assert_topic("$next/get", FT_AWS_JOB_GET_NEXT, NULL);
	assert_topic("AFR_OTA-1/get", FT_AWS_JOB_GET, "AFR_OTA-1");
	assert_topic("AFR_OTA-1/update", FT_AWS_JOB_UPDATE, "AFR_OTA-1");
	assert_topic("get/get", FT_AWS_JOB_GET, "get");
	assert_topic("notify/update", FT_AWS_JOB_UPDATE, "notify");
	assert_topic("accepted/get", FT_AWS_JOB_GET, "accepted");
	assert_topic("a.b/get", FT_AWS_JOB_GET, "a.b");
}
END_TEST

/* OTA agents send to jobs//update when they have no job. */
START_TEST(test_aws_job_topic__is_ours_though_it_asks_for_nothing)
{
	static const char *const odd[] = {
		"", "/", "/get", "/update", "//update", "put", "Get", "get/", "start-next/", "a/b/update",
		"$next", "$next/update", "$next/get/x", "a/update/", "a/start-next", "accepted/x",
	};

	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
		assert_topic(odd[i], FT_AWS_JOB_NO_VERB, NULL);
}
END_TEST

START_TEST(test_aws_job_topic__is_an_answer)
{
	static const char *const answers[] = {
		"notify", "notify-next", "get/accepted", "start-next/rejected", "$next/get/accepted",
		"j/get/rejected", "j/update/accepted", "/update/rejected", "accepted", "x/y/z/accepted",
	};
	char text[200];

	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		snprintf(text, sizeof text, "$aws/things/t/jobs/%s", answers[i]);
		ck_assert_msg(ft_aws_job_topic_kind(text) == FT_AWS_TOPIC_ANSWER, "%s", text);
	}
}
END_TEST

START_TEST(test_aws_job_topic__is_foreign_if_it_has_another_shape)
{
	static const char *const others[] = {
		"", "$aws", "$aws/things/", "$aws/things//jobs/get", "$aws/things/t/jobs",
		"$aws/things/t/job/get", "$aws/things/t/shadow/get", "$aws/things/t/streams/s/get/json",
		"aws/things/t/jobs/get", "$aws/thing/t/jobs/get", "$aws/things/t/u/jobs/get",
	};

	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		ck_assert_msg(ft_aws_job_topic_kind(others[i]) == FT_AWS_TOPIC_FOREIGN, "%s", others[i]);
}
END_TEST

START_TEST(test_aws_job_id__has_64_bytes_of_few_kinds)
{
	static const char most[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-x";

	ck_assert(ft_aws_job_id_is_good("a", 1));
	ck_assert(ft_aws_job_id_is_good(most, 64));
	ck_assert(!ft_aws_job_id_is_good(most, 65));
	ck_assert(!ft_aws_job_id_is_good("", 0));
	ck_assert(!ft_aws_job_id_is_good("a.b", 3) && !ft_aws_job_id_is_good("$next", 5));
	ck_assert(!ft_aws_job_id_is_good("a\0", 2) && !ft_aws_job_id_is_good("\xc3\xa4", 2));
}
END_TEST

/* --- requests --- */

static enum ft_aws_job_verdict parse(enum ft_aws_job_verb verb, const char *text)
{
	return ft_aws_job_request_parse(&request, verb, text, strlen(text));
}

START_TEST(test_aws_job_request__of_the_jobs_library_is_read)
{
	ck_assert_int_eq(parse(FT_AWS_JOB_START_NEXT, "{\"clientToken\":\"test\"}"), FT_AWS_JOB_OK);
	ck_assert(request.token.given && strcmp(request.token.text, "test") == 0);
	ck_assert_int_eq(parse(FT_AWS_JOB_UPDATE, "{\"status\":\"SUCCEEDED\",\"expectedVersion\":\"2\"}"),
			 FT_AWS_JOB_OK);
	ck_assert_int_eq(request.status, FT_EXECUTION_SUCCEEDED);
	ck_assert(request.has_version && request.version == 2);
	ck_assert(!request.wants_state && !request.wants_document && !request.token.given);
	ck_assert_int_eq(parse(FT_AWS_JOB_UPDATE, "{\"status\":\"IN_PROGRESS\",\"statusDetails\":"
			       "{\"self_test\":\"ready\",\"updatedBy\":\"0x00090200\"}}"), FT_AWS_JOB_OK);
	ck_assert_uint_eq(request.details.len, 46);
	ck_assert(!request.has_version);
}
END_TEST

START_TEST(test_aws_job_request__may_be_empty_where_nothing_is_needed)
{
	for (int verb = FT_AWS_JOB_LIST; verb <= FT_AWS_JOB_GET; verb++) {
		ck_assert_int_eq(parse((enum ft_aws_job_verb)verb, ""), FT_AWS_JOB_OK);
		ck_assert_int_eq(parse((enum ft_aws_job_verb)verb, "{\"clientToken\":null}"), FT_AWS_JOB_OK);
	}
	ck_assert_int_eq(parse(FT_AWS_JOB_UPDATE, ""), FT_AWS_JOB_INVALID_STATUS);
}
END_TEST

START_TEST(test_aws_job_request__says_what_the_answer_is_to_have)
{
	ck_assert_int_eq(parse(FT_AWS_JOB_UPDATE, "{\"includeJobExecutionState\":true,\"status\":\"FAILED\","
			       "\"includeJobDocument\":true,\"expectedVersion\":7}"), FT_AWS_JOB_OK);
	ck_assert(request.wants_state && request.wants_document && request.version == 7);
	ck_assert_int_eq(parse(FT_AWS_JOB_GET, "{}"), FT_AWS_JOB_OK);
	ck_assert(request.wants_document && !request.other_execution);
	ck_assert_int_eq(parse(FT_AWS_JOB_GET, "{\"includeJobDocument\":false,\"executionNumber\":2}"),
			 FT_AWS_JOB_OK);
	ck_assert(!request.wants_document && request.other_execution);
}
END_TEST

START_TEST(test_aws_job_request__is_refused)
{
	static const struct {
		enum ft_aws_job_verb verb;
		const char *text;
		enum ft_aws_job_verdict verdict;
	} rows[] = {
		{ FT_AWS_JOB_LIST, "{", FT_AWS_JOB_INVALID_JSON },
		{ FT_AWS_JOB_LIST, "{} x", FT_AWS_JOB_INVALID_JSON },
		{ FT_AWS_JOB_LIST, "{\"a\":\"\xff\"}", FT_AWS_JOB_INVALID_JSON },
		{ FT_AWS_JOB_LIST, "[]", FT_AWS_JOB_NO_OBJECT },
		{ FT_AWS_JOB_LIST, "\"get\"", FT_AWS_JOB_NO_OBJECT },
		{ FT_AWS_JOB_LIST, "{\"clientToken\":1}", FT_AWS_JOB_INVALID_TOKEN },
		{ FT_AWS_JOB_UPDATE, "{}", FT_AWS_JOB_INVALID_STATUS },
		{ FT_AWS_JOB_UPDATE, "{\"status\":1}", FT_AWS_JOB_INVALID_STATUS },
		{ FT_AWS_JOB_UPDATE, "{\"status\":\"QUEUED\"}", FT_AWS_JOB_INVALID_STATUS },
		{ FT_AWS_JOB_UPDATE, "{\"status\":\"CANCELED\"}", FT_AWS_JOB_INVALID_STATUS },
		{ FT_AWS_JOB_UPDATE, "{\"status\":\"failed\"}", FT_AWS_JOB_INVALID_STATUS },
		{ FT_AWS_JOB_UPDATE, "{\"status\":\"FAILED\\u0000\"}", FT_AWS_JOB_INVALID_STATUS },
		{ FT_AWS_JOB_UPDATE, "{\"status\":\"FAILED\",\"statusDetails\":1}", FT_AWS_JOB_INVALID_DETAILS },
		{ FT_AWS_JOB_UPDATE, "{\"status\":\"FAILED\",\"statusDetails\":[]}", FT_AWS_JOB_INVALID_DETAILS },
		{ FT_AWS_JOB_UPDATE, "{\"status\":\"FAILED\",\"statusDetails\":{\"a\":[[[[[[[[]]]]]]]]}}",
		  FT_AWS_JOB_INVALID_DETAILS },
		{ FT_AWS_JOB_START_NEXT, "{\"statusDetails\":\"x\"}", FT_AWS_JOB_INVALID_DETAILS },
		{ FT_AWS_JOB_UPDATE, "{\"status\":\"FAILED\",\"expectedVersion\":-1}", FT_AWS_JOB_INVALID_MEMBER },
		{ FT_AWS_JOB_UPDATE, "{\"status\":\"FAILED\",\"expectedVersion\":\"\"}", FT_AWS_JOB_INVALID_MEMBER },
		{ FT_AWS_JOB_UPDATE, "{\"status\":\"FAILED\",\"expectedVersion\":\"1e0\"}", FT_AWS_JOB_INVALID_MEMBER },
		{ FT_AWS_JOB_UPDATE, "{\"status\":\"FAILED\",\"expectedVersion\":\"99999999999999999999\"}",
		  FT_AWS_JOB_INVALID_MEMBER },
		{ FT_AWS_JOB_UPDATE, "{\"status\":\"FAILED\",\"expectedVersion\":{}}", FT_AWS_JOB_INVALID_MEMBER },
		{ FT_AWS_JOB_UPDATE, "{\"status\":\"FAILED\",\"includeJobDocument\":1}", FT_AWS_JOB_INVALID_MEMBER },
		{ FT_AWS_JOB_UPDATE, "{\"status\":\"FAILED\",\"includeJobExecutionState\":\"true\"}",
		  FT_AWS_JOB_INVALID_MEMBER },
		{ FT_AWS_JOB_GET, "{\"executionNumber\":\"x\"}", FT_AWS_JOB_INVALID_MEMBER },
		{ FT_AWS_JOB_NO_VERB, "{\"clientToken\":\"x\"}", FT_AWS_JOB_INVALID_TOPIC },
		{ FT_AWS_JOB_NO_VERB, "\xff", FT_AWS_JOB_INVALID_TOPIC },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		ck_assert_msg(parse(rows[i].verb, rows[i].text) == rows[i].verdict, "%s", rows[i].text);
}
END_TEST

START_TEST(test_aws_job_request__has_bounds)
{
	char *text = malloc(FT_AWS_JOB_REQUEST_MAX + 1);
	int len;

	ck_assert_ptr_nonnull(text);
	memset(text, ' ', FT_AWS_JOB_REQUEST_MAX);
	memcpy(text, "{}", 2);
	ck_assert_int_eq(ft_aws_job_request_parse(&request, FT_AWS_JOB_LIST, text,
						  FT_AWS_JOB_REQUEST_MAX - 1), FT_AWS_JOB_OK);
	ck_assert_int_eq(ft_aws_job_request_parse(&request, FT_AWS_JOB_LIST, text,
						  FT_AWS_JOB_REQUEST_MAX), FT_AWS_JOB_TOO_LONG);
	len = snprintf(text, FT_AWS_JOB_REQUEST_MAX, "{\"clientToken\":\"%0256d\"}", 7);
	ck_assert_int_eq(parse(FT_AWS_JOB_LIST, text), FT_AWS_JOB_OK);
	ck_assert_uint_eq(request.token.len, FT_AWS_JOB_TOKEN_MAX);
	memcpy(text + len - 2, "0\"}", 4);
	ck_assert_int_eq(parse(FT_AWS_JOB_LIST, text), FT_AWS_JOB_INVALID_TOKEN);
	ck_assert(!request.token.given);
	len = snprintf(text, FT_AWS_JOB_REQUEST_MAX, "{\"status\":\"FAILED\",\"statusDetails\":{\"a\":\"%0*d\"}}",
		       FT_AWS_JOB_DETAILS_MAX - 8, 1);
	ck_assert_int_eq(parse(FT_AWS_JOB_UPDATE, text), FT_AWS_JOB_OK);
	ck_assert_uint_eq(request.details.len, FT_AWS_JOB_DETAILS_MAX);
	memcpy(text + len - 3, "0\"}}", 5);
	ck_assert_int_eq(parse(FT_AWS_JOB_UPDATE, text), FT_AWS_JOB_INVALID_DETAILS);
	free(text);
}
END_TEST

/* --- states --- */

static struct ft_execution queued(void)
{
	return (struct ft_execution){ .job = "j", .queued_s = 5, .updated_s = 5, .version = 1 };
}

START_TEST(test_execution__is_started_once)
{
	struct ft_execution execution = queued();

	ck_assert_int_eq(parse(FT_AWS_JOB_START_NEXT, "{\"statusDetails\":{\"a\":\"b\"}}"), FT_AWS_JOB_OK);
	ck_assert(ft_execution_start(&execution, &request, NOW));
	ck_assert_uint_eq(execution.version, 2);
	ck_assert(execution.started_s == NOW && execution.updated_s == NOW && execution.queued_s == 5);
	ck_assert_uint_eq(execution.details.len, 9);
	ck_assert(!ft_execution_start(&execution, &request, NOW + 1));
	ck_assert(execution.version == 2 && execution.updated_s == NOW);
}
END_TEST

START_TEST(test_execution__goes_through_its_states)
{
	struct ft_execution execution = queued();

	ck_assert_int_eq(parse(FT_AWS_JOB_UPDATE, "{\"status\":\"IN_PROGRESS\",\"expectedVersion\":\"1\","
			       "\"statusDetails\":{\"a\":1}}"), FT_AWS_JOB_OK);
	ck_assert_int_eq(ft_execution_update(&execution, &request, NOW), FT_AWS_JOB_OK);
	ck_assert(execution.version == 2 && execution.started_s == NOW);
	ck_assert_int_eq(ft_execution_update(&execution, &request, NOW), FT_AWS_JOB_VERSION);
	/* Details stay unless there are others. */
	ck_assert_int_eq(parse(FT_AWS_JOB_UPDATE, "{\"status\":\"SUCCEEDED\",\"expectedVersion\":2}"),
			 FT_AWS_JOB_OK);
	ck_assert_int_eq(ft_execution_update(&execution, &request, NOW + 9), FT_AWS_JOB_OK);
	ck_assert(execution.version == 3 && execution.started_s == NOW && execution.updated_s == NOW + 9);
	ck_assert(execution.details.len == 7 && ft_execution_has_ended(&execution));
	for (int status = FT_EXECUTION_IN_PROGRESS; status <= FT_EXECUTION_REJECTED; status++) {
		request.status = (enum ft_execution_status)status;
		ck_assert_int_eq(ft_execution_update(&execution, &request, NOW), FT_AWS_JOB_TRANSITION);
	}
	ck_assert_uint_eq(execution.version, 3);
}
END_TEST

START_TEST(test_execution__may_end_without_having_been_started)
{
	static const char *const ends[] = { "SUCCEEDED", "FAILED", "REJECTED" };

	for (size_t i = 0; i < 3; i++) {
		struct ft_execution execution = queued();
		char text[100];

		snprintf(text, sizeof text, "{\"status\":\"%s\"}", ends[i]);
		ck_assert_int_eq(parse(FT_AWS_JOB_UPDATE, text), FT_AWS_JOB_OK);
		ck_assert_int_eq(ft_execution_update(&execution, &request, NOW), FT_AWS_JOB_OK);
		ck_assert(ft_execution_has_ended(&execution) && execution.started_s == 0);
	}
}
END_TEST

START_TEST(test_execution__has_no_other_number)
{
	struct ft_execution execution = queued();

	ck_assert_int_eq(parse(FT_AWS_JOB_UPDATE, "{\"status\":\"FAILED\",\"executionNumber\":\"2\"}"),
			 FT_AWS_JOB_OK);
	ck_assert_int_eq(ft_execution_update(&execution, &request, NOW), FT_AWS_JOB_NOT_FOUND);
}
END_TEST

/* --- answers --- */

static void begin(void)
{
	to = ft_buf_on(room, sizeof room);
}

static void assert_text(const char *text)
{
	ck_assert(ft_buf_ok(&to));
	ck_assert_str_eq(room, text);
}

START_TEST(test_aws_job_answer__has_an_execution)
{
	const struct ft_json_text document = { "{\"a\": 1}", 8 };
	struct ft_execution execution = queued();

	ck_assert_int_eq(parse(FT_AWS_JOB_START_NEXT, "{\"clientToken\":\"0:t\\n\","
			       "\"statusDetails\":{\"x\":\"y\"}}"), FT_AWS_JOB_OK);
	begin();
	ft_aws_job_begin(&to, &request.token, NOW);
	ft_aws_job_write_execution(&to, "a\"b", &execution, &document);
	ft_aws_job_end(&to);
	assert_text("{\"clientToken\":\"0:t\\n\",\"timestamp\":1700000100,\"execution\":{\"jobId\":\"j\","
		    "\"thingName\":\"a\\\"b\",\"status\":\"QUEUED\",\"statusDetails\":{},\"queuedAt\":5,"
		    "\"lastUpdatedAt\":5,\"versionNumber\":1,\"executionNumber\":1,"
		    "\"jobDocument\":{\"a\": 1}}}");
	ck_assert_uint_lt(to.len, ft_aws_job_execution_room("a\"b", &document));
	ck_assert(ft_execution_start(&execution, &request, NOW));
	begin();
	ft_aws_job_begin(&to, NULL, NOW);
	ft_aws_job_write_execution(&to, "t", &execution, &(struct ft_json_text){ NULL, 0 });
	ft_aws_job_end(&to);
	assert_text("{\"timestamp\":1700000100,\"execution\":{\"jobId\":\"j\",\"thingName\":\"t\","
		    "\"status\":\"IN_PROGRESS\",\"statusDetails\":{\"x\":\"y\"},\"queuedAt\":5,"
		    "\"startedAt\":1700000100,\"lastUpdatedAt\":1700000100,\"versionNumber\":2,"
		    "\"executionNumber\":1}}");
}
END_TEST

START_TEST(test_aws_job_answer__has_lists)
{
	struct ft_execution first = queued(), second = queued();
	const struct ft_execution *list[2] = { &first, &second };

	second.job = "k";
	second.status = FT_EXECUTION_IN_PROGRESS;
	second.started_s = 6;
	begin();
	ft_aws_job_begin(&to, NULL, 7);
	ck_assert_uint_eq(ft_aws_job_write_list(&to, "inProgressJobs", list, 2, FT_EXECUTION_IN_PROGRESS), 1);
	ck_assert_uint_eq(ft_aws_job_write_list(&to, "queuedJobs", list, 1, FT_EXECUTION_QUEUED), 1);
	ck_assert_uint_eq(ft_aws_job_write_list(&to, "none", list, 2, FT_EXECUTION_FAILED), 0);
	ft_aws_job_end(&to);
	assert_text("{\"timestamp\":7,\"inProgressJobs\":[{\"jobId\":\"k\",\"queuedAt\":5,\"startedAt\":6,"
		    "\"lastUpdatedAt\":5,\"versionNumber\":1,\"executionNumber\":1}],\"queuedJobs\":["
		    "{\"jobId\":\"j\",\"queuedAt\":5,\"lastUpdatedAt\":5,\"versionNumber\":1,"
		    "\"executionNumber\":1}],\"none\":[]}");
}
END_TEST

START_TEST(test_aws_job_answer__lists_a_hundred)
{
	static struct ft_execution execution;
	const struct ft_execution *list[FT_AWS_JOB_LIST_MAX + 1];

	execution = queued();
	execution.job = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	execution.queued_s = execution.started_s = execution.updated_s = INT64_MAX;
	execution.version = INT64_MAX;
	for (size_t i = 0; i <= FT_AWS_JOB_LIST_MAX; i++)
		list[i] = &execution;
	begin();
	ck_assert_uint_eq(ft_aws_job_write_list(&to, "x", list, FT_AWS_JOB_LIST_MAX + 1,
						FT_EXECUTION_QUEUED), FT_AWS_JOB_LIST_MAX);
	ck_assert(ft_buf_ok(&to) && to.len <= FT_AWS_JOB_LIST_MAX * FT_AWS_JOB_SUMMARY_ROOM);
}
END_TEST

START_TEST(test_aws_job_answer__says_what_an_update_asks_for)
{
	struct ft_execution execution = queued();
	const struct ft_json_text document = { "{}", 2 };

	begin();
	ft_aws_job_write_state(&to, &execution);
	ft_aws_job_write_document(&to, &document);
	assert_text(",\"executionState\":{\"status\":\"QUEUED\",\"statusDetails\":{},\"versionNumber\":1},"
		    "\"jobDocument\":{}");
	ck_assert_int_eq(parse(FT_AWS_JOB_UPDATE, "{\"status\":\"FAILED\",\"statusDetails\":{\"a\":1}}"),
			 FT_AWS_JOB_OK);
	begin();
	ft_aws_job_write_report(&to, &request);
	assert_text("\"status\":\"FAILED\",\"statusDetails\":{\"a\":1}");
}
END_TEST

START_TEST(test_aws_job_answer__rejects)
{
	struct ft_execution execution = queued();

	ck_assert_int_eq(parse(FT_AWS_JOB_LIST, "{\"clientToken\":\"x\"}"), FT_AWS_JOB_OK);
	begin();
	ft_aws_job_write_rejected(&to, &request.token, FT_AWS_JOB_NOT_FOUND, &execution, 7);
	assert_text("{\"code\":\"ResourceNotFound\",\"message\":\"there is no such job for this thing\","
		    "\"clientToken\":\"x\",\"timestamp\":7}");
	request.token.given = false;
	begin();
	ft_aws_job_write_rejected(&to, &request.token, FT_AWS_JOB_VERSION, &execution, 7);
	assert_text("{\"code\":\"VersionMismatch\",\"message\":\"expectedVersion is not the execution's version\","
		    "\"timestamp\":7,\"executionState\":{\"status\":\"QUEUED\",\"statusDetails\":{},"
		    "\"versionNumber\":1}}");
	begin();
	ft_aws_job_notify_topic(&to, "a b", "notify-next");
	assert_text("$aws/things/a b/jobs/notify-next");
}
END_TEST

FT_SUITE("aws job",
	 test_aws_job_topic__is_a_request,
	 test_aws_job_topic__is_ours_though_it_asks_for_nothing,
	 test_aws_job_topic__is_an_answer,
	 test_aws_job_topic__is_foreign_if_it_has_another_shape,
	 test_aws_job_id__has_64_bytes_of_few_kinds,
	 test_aws_job_request__of_the_jobs_library_is_read,
	 test_aws_job_request__may_be_empty_where_nothing_is_needed,
	 test_aws_job_request__says_what_the_answer_is_to_have,
	 test_aws_job_request__is_refused,
	 test_aws_job_request__has_bounds,
	 test_execution__is_started_once,
	 test_execution__goes_through_its_states,
	 test_execution__may_end_without_having_been_started,
	 test_execution__has_no_other_number,
	 test_aws_job_answer__has_an_execution,
	 test_aws_job_answer__has_lists,
	 test_aws_job_answer__lists_a_hundred,
	 test_aws_job_answer__says_what_an_update_asks_for,
	 test_aws_job_answer__rejects);
