/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The engine on a real store and catalog, once for each call that its writer and finishers make,
 * with that call failing. Every command is answered, what was told is so, also after a restart,
 * what was acknowledged is held or was said to be lost, and then all can be finished. (What
 * fails on the broker's thread: test_plugin_calls.c. SQLite's own calls: test_catalog_faults.c.)
 */
#include "../lib/rig.h"
#include "../lib/runs.h"
#include "../suite.h"

#define LARGE 1228800		/* more than stays in the log until fin */
#define TEXT(number) TEXT_OF(number)
#define TEXT_OF(number) #number
#define TOPIC_ROOM 64

static struct rig rig;
static uint8_t content[LARGE];

static struct file {
	const char *id;
	size_t len, segment;	/* 0: by put */
	enum { NOT_ACCEPTED, ACCEPTED, FINISHED } state;
} files[] = {
	{ "small", 9, 5, NOT_ACCEPTED },
	{ "put", 70000, 0, NOT_ACCEPTED },
	{ "large", LARGE, LARGE / 2, NOT_ACCEPTED },
};

#define FILES (sizeof files / sizeof files[0])

static const char *topic_of(const struct file *file, const char *command, size_t number)
{
	static char topic[TOPIC_ROOM];

	snprintf(topic, sizeof topic, "$file/%s/%s%zu", file->id, command, number);
	return topic;
}

static const char *topic_without_number(const struct file *file, const char *command)
{
	static char topic[TOPIC_ROOM];

	snprintf(topic, sizeof topic, "$file/%s/%s", file->id, command);
	return topic;
}

/* The command that the file's result answers. */
static const char *last_topic(const struct file *file)
{
	return file->segment ? topic_of(file, "fin/", file->len)
			     : topic_without_number(file, "put/n");
}

static void send_file(struct file *file)
{
	enum ft_status st;

	if (file->segment == 0) {
		st = rig_send(&rig, "c", last_topic(file), content, file->len);
	} else {
		(void)rig_send_text(&rig, "c", topic_without_number(file, "init"), "{\"name\":\"n\"}");
		for (size_t at = 0; at < file->len; at += file->segment) {
			size_t left = file->len - at;

			(void)rig_send(&rig, "c", topic_of(file, "", at), content + at,
				       left < file->segment ? left : file->segment);
		}
		st = rig_send(&rig, "c", last_topic(file), "", 0);
	}
	file->state = st == FT_OK ? ACCEPTED : NOT_ACCEPTED;
}

static void check_content(const struct file *file)
{
	char path[TOPIC_ROOM];

	snprintf(path, sizeof path, "files/c/%s/n", file->id);
	rig_check_file(&rig, path, content, file->len);
}

/* Of what was accepted the end is told, and when that is success the file is there. */
static void await_result(struct file *file)
{
	if (file->state != ACCEPTED)
		return;
	if (rig_wait_for(&rig, last_topic(file)) != FT_OK)
		return;
	file->state = FINISHED;
	check_content(file);
}

/* As clients do that are told to come back. */
static void finish_at_last(struct file *file)
{
	int64_t until_ms = ft_clock_ms() + RUNS_DEADLINE_MS;

	if (file->state == FINISHED) {
		must(rig_ask_text(&rig, "c", topic_without_number(file, "status"), "") == FT_OK);
		must(strcmp(rig_member(&rig, "state"), "\"complete\"") == 0);
	}
	while (file->state != FINISHED) {
		must(ft_clock_ms() < until_ms);
		rig_forget(&rig);
		send_file(file);
		await_result(file);
	}
	check_content(file);
}

static bool aborted;
static enum ft_status unfinished;

static void send_others(void)
{
	(void)rig_send_text(&rig, "c", "$file/gone/init", "{\"name\":\"n\"}");
	(void)rig_send_text(&rig, "c", "$file/gone/0", "bytes");
	(void)rig_send_text(&rig, "c", "$file/gone/abort", "");
	(void)rig_send_text(&rig, "c", "$file/kept/init", "{\"name\":\"n\"}");
	unfinished = rig_send(&rig, "c", "$file/kept/4", content, LARGE);
}

static void check_others(void)
{
	must(rig_ask_text(&rig, "c", "$file/kept/status", "") == FT_OK);
	if (unfinished == FT_OK && !rig_logged(&rig, "count as not"))
		ck_assert_msg(strcmp(rig_member(&rig, "received"), TEXT(LARGE)) == 0, "%s: %s\n%s",
			      calls_text(), rig_member(&rig, "have"), rig.log);
	must(rig_ask_text(&rig, "c", "$file/gone/status", "") == FT_OK);
	must(!aborted || strcmp(rig_member(&rig, "state"), "\"none\"") == 0);
}

static void play(const struct calls_plan *plan)
{
	const struct runs_count before = runs_begin();

	rig_setup(&rig, "fs");
	rig_start(&rig);
	calls_arm(plan);
	for (size_t i = 0; i < FILES; i++)
		send_file(&files[i]);
	send_others();
	for (size_t i = 0; i < FILES; i++)
		await_result(&files[i]);
	aborted = rig_wait_for(&rig, "$file/gone/abort") == FT_OK;
	rig_settle(&rig);
	calls_disarm();
	rig_restart(&rig);
	check_others();
	for (size_t i = 0; i < FILES; i++)
		finish_at_last(&files[i]);
	must(!rig.abandoned);
	rig_teardown(&rig);
	must(!rig.abandoned);
	runs_end(&before);
}

START_TEST(test_engine__keeps_its_word_though_any_call_of_a_worker_fails)
{
	for (size_t i = 0; i < sizeof content; i++)
		content[i] = (uint8_t)(i * 2654435761u >> 13);
	runs_each_worker_call(play, 50);
}
END_TEST

FT_SUITE("engine calls", test_engine__keeps_its_word_though_any_call_of_a_worker_fails);
