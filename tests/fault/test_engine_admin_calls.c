/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * An operator's commands, once for each call that the worker makes for them, with that call
 * failing. Each command is answered, and what was told as done is so, also after a restart.
 */
#include "../lib/rig.h"
#include "../lib/runs.h"
#include "../suite.h"

#define IDS "\"client_id\":\"c\",\"file_id\":\"f\""
#define COMMANDS 6
#define LIMITS "{\"overrides\":[]}"

static struct rig rig;

static bool is_told(void)
{
	return rig.told_count > 0;
}

static bool is_verified(void)
{
	return !atomic_load(&rig.engine->core.verify.running);
}

/* Whether command number `index` was told as done. */
static bool is_done(const cJSON *responses, int index)
{
	const cJSON *response = cJSON_GetArrayItem(responses, index);

	must(cJSON_GetObjectItem(response, "command") != NULL);
	return !cJSON_GetObjectItem(response, "error");
}

static void check(bool paused, bool deleted)
{
	/* Either counts, as where a consumer takes them away one by one. */
	bool there = rig_has_file(&rig, "files/c/f/n")
		     || rig_has_file(&rig, "files/c/f/n.manifest.json");

	rig_restart(&rig);
	if (paused)
		must(rig_ask_text(&rig, "z", "$file/g/put/n", "x") == FT_PAUSED);
	if (deleted)
		must(!there);
	must(rig_ask_text(&rig, "c", "$file/f/status", "") == FT_OK);
	must(strcmp(rig_member(&rig, "state"), there ? "\"complete\"" : "\"none\"") == 0);
	must(rig_ask_text(&rig, "c", "$file/h/put/n", "x") == FT_OK);
}

/* The file is the old one, or the new one where that was told. */
static void check_limits(bool set)
{
	FILE *file = fopen(rig.options.limits_file, "r");
	char text[200] = "";

	must(file != NULL);
	must(fread(text, 1, sizeof text - 1, file) > 0);
	fclose(file);
	cJSON_Minify(text);
	must(strcmp(text, set ? "{\"overrides\":[{\"client\":\"y\",\"client_rate\":7}]}" : LIMITS) == 0);
}

static void use_limits(void)
{
	FILE *file;

	rig.options.limits_file = strdup(rig_path(&rig, "limits.json"));
	must((file = fopen(rig.options.limits_file, "w")) != NULL);
	must(fputs(LIMITS, file) >= 0);
	must(fclose(file) == 0);
}

static void play(const struct calls_plan *plan)
{
	static const char message[] =
		"{\"commands\":[{\"command\":\"pauseClient\",\"client_id\":\"z\"},"
		"{\"command\":\"listFiles\"},{\"command\":\"getFile\"," IDS "},"
		"{\"command\":\"verifyFiles\"},{\"command\":\"deleteFile\"," IDS "},"
		"{\"command\":\"setLimits\",\"client\":\"y\",\"limits\":{\"client_rate\":7}}]}";
	const struct runs_count before = runs_begin();
	cJSON *answer, *responses;
	bool paused, deleted;

	rig_setup(&rig, "fs");
	rig.options.control = FT_CONTROL_TRUSTED;
	use_limits();
	rig_start(&rig);
	must(rig_ask_text(&rig, "c", "$file/f/put/n", "hello") == FT_OK);
	rig_settle(&rig);
	calls_arm(plan);
	ft_engine_control(rig.engine, "operator", NULL, message, strlen(message), rig.now_ms);
	rig_wait_until(&rig, is_told);
	rig_wait_until(&rig, is_verified);
	calls_disarm();
	answer = cJSON_Parse(rig.told);
	responses = cJSON_GetObjectItem(answer, "responses");
	must(cJSON_GetArraySize(responses) == COMMANDS);
	paused = is_done(responses, 0);
	deleted = is_done(responses, 4);
	check_limits(is_done(responses, 5));
	cJSON_Delete(answer);
	check(paused, deleted);
	rig_teardown(&rig);
	must(!rig.abandoned);
	runs_end(&before);
}

START_TEST(test_admin__answers_though_any_call_of_its_worker_fails)
{
	runs_each_worker_call(play, 10);
}
END_TEST

FT_SUITE("admin calls", test_admin__answers_though_any_call_of_its_worker_fails);
