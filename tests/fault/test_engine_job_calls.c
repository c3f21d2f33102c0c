/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A device's way through a job, once for each call that the scanner and the jobs' worker make,
 * with that call failing. Each request has an answer, and what was accepted is so, also after a
 * restart.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "../lib/rig.h"
#include "../lib/runs.h"
#include "../suite.h"
#include "engine/downloads/downloads_private.h"

#define JOBS "$aws/things/c/jobs/"
#define SHORT "rejected {\"code\":\"InternalError\""

static struct rig rig;
static const char *asked;

/* The answer to what was asked, or NULL; others are news. */
static const struct rig_block *answer(void)
{
	for (size_t i = 0; i < rig.blocks; i++)
		if (strncmp(rig.block[i].topic, asked, strlen(asked)) == 0)
			return &rig.block[i];
	return NULL;
}

static bool is_answered(void)
{
	rig.now_ms += 10;
	return answer() != NULL;
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

/* "accepted {...}" or "rejected {...}"; static storage. */
static const char *ask(const char *topic, const char *payload)
{
	static char text[2000];
	const struct rig_block *block;

	forget();
	asked = topic;
	must(rig_send_text(&rig, "c", topic, payload) == FT_OK);
	rig_wait_until(&rig, is_answered);
	block = answer();
	snprintf(text, sizeof text, "%s %.*s", block->topic + strlen(topic) + 1, (int)block->len,
		 (char *)block->bytes);
	return text;
}

/* As devices do that are told to come back; until the answer has this text. */
static void ask_until(const char *topic, const char *payload, const char *wanted)
{
	int64_t until_ms = ft_clock_ms() + RUNS_DEADLINE_MS;

	while (!strstr(ask(topic, payload), wanted)) {
		must(ft_clock_ms() < until_ms);
		rig_pass(&rig, 100);
	}
}

static bool is_accepted(const char *topic, const char *payload)
{
	const char *text = ask(topic, payload);

	must(strncmp(text, "accepted ", 9) == 0 || strncmp(text, SHORT, sizeof SHORT - 1) == 0);
	return *text == 'a';
}

static void put_job(void)
{
	int fd = open(rig_path(&rig, "jobs/all/j.json.part"), O_WRONLY | O_CREAT, 0600);
	char from[200];

	snprintf(from, sizeof from, "%s", rig_path(&rig, "jobs/all/j.json.part"));
	must(fd >= 0 && write(fd, "{}", 2) == 2 && close(fd) == 0);
	must(rename(from, rig_path(&rig, "jobs/all/j.json")) == 0);
}

static bool has_index(void)
{
	rig.now_ms += 10;
	return rig.engine->downloads->things.generation > 0 && rig.engine->downloads->scan;
}

static void play(const struct calls_plan *plan)
{
	const struct runs_count before = runs_begin();
	bool updated, ended;

	rig_setup(&rig, "fs");
	rig.options.downloads = FT_DOWNLOADS_JOBS;
	rig.options.offers_interval = 1;
	rig_start(&rig);
	rig_wait_until(&rig, has_index);
	put_job();
	calls_arm(plan);
	ask_until(JOBS "start-next", "", "\"status\":\"IN_PROGRESS\"");
	updated = is_accepted(JOBS "j/update", "{\"status\":\"IN_PROGRESS\",\"statusDetails\":{\"a\":1}}");
	ended = is_accepted(JOBS "j/update", "{\"status\":\"SUCCEEDED\"}");
	calls_disarm();
	rig_restart(&rig);
	if (ended) {
		must(strstr(ask(JOBS "j/update", "{\"status\":\"FAILED\"}"), "InvalidStateTransition"));
		must(!updated || strstr(ask(JOBS "j/update", "{\"status\":\"FAILED\"}"), "{\"a\":1}"));
	} else {
		must(strstr(ask(JOBS "start-next", ""), updated ? "\"versionNumber\":3" : "\"versionNumber\":2"));
		must(is_accepted(JOBS "j/update", "{\"status\":\"SUCCEEDED\"}"));
	}
	forget();
	rig_teardown(&rig);
	must(!rig.abandoned);
	runs_end(&before);
}

START_TEST(test_jobs__keep_their_word_though_any_call_of_a_worker_fails)
{
	runs_each_worker_call(play, 20);
}
END_TEST

FT_SUITE("engine job calls", test_jobs__keep_their_word_though_any_call_of_a_worker_fails);
