/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Option `on_complete`: a program judges verified files before they are visible. */
#include <check.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/fake_store.h"
#include "../lib/machine.h"
#include "../lib/rig.h"
#include "../suite.h"

#define SHA_OF_HELLO "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

static struct rig rig;

static enum ft_status say(const char *topic, const char *text)
{
	return rig_ask_text(&rig, "c", topic, text);
}

/* The program is these lines of shell. */
static void program(const char *script)
{
	char path[300], fresh[310];
	FILE *file;

	snprintf(path, sizeof path, "%s", rig_path(&rig, "prog"));
	snprintf(fresh, sizeof fresh, "%s.new", path);
	file = fopen(fresh, "w");
	fprintf(file, "#!/bin/sh\n%s\n", script);
	fclose(file);
	ck_assert_int_eq(chmod(fresh, 0755), 0);
	ck_assert_int_eq(rename(fresh, path), 0);
	if (!rig.options.on_complete)
		rig.options.on_complete = strdup(path);
}

static enum ft_status finish(const char *init)
{
	ck_assert_int_eq(say("$file/f/init", init), FT_OK);
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	return say("$file/f/fin/5", "");
}

static void set_up(void)
{
	fake_reset("fs");
	rig_setup(&rig, "fs");
	rig.ops = &fake_store;
}

static void tear_down(void)
{
	rig_teardown(&rig);
	fake_check();
}

START_TEST(test_judge__sees_the_file_before_anybody_else)
{
	program("cd \"$(dirname \"$0\")\"; [ ! -e files/c ] || exit 1; { shift 0; cat \"$1\"; shift;"
		" for a; do echo \"|$a\"; done; cat; } >seen");
	rig_start(&rig);
	ck_assert_int_eq(finish("{\"name\":\"a b.txt\",\"user_data\":[1]}"), FT_OK);
	rig_check_file(&rig, "files/c/f/a b.txt", "hello", 5);
	{
		char text[4096];
		FILE *file = fopen(rig_path(&rig, "seen"), "r");
		cJSON *json;

		text[fread(text, 1, sizeof text - 1, file)] = '\0';
		fclose(file);
		ck_assert_msg(strncmp(text, "hello|c\n|f\n|a b.txt\n|5\n|" SHA_OF_HELLO "\n{", 90) == 0,
			      "%s", text);
		json = cJSON_Parse(strchr(text, '{'));
		ck_assert_str_eq(cJSON_GetObjectItem(json, "sha256")->valuestring, SHA_OF_HELLO);
		ck_assert_int_eq(cJSON_GetArrayItem(cJSON_GetObjectItem(json, "user_data"), 0)->valueint, 1);
		cJSON_Delete(json);
	}
}
END_TEST

START_TEST(test_judge__rejects_with_the_last_line_and_keeps_the_bytes)
{
	program("echo one; echo 'Eicar found'; exit 1");
	rig_start(&rig);
	ck_assert_int_eq(finish("{\"name\":\"n\"}"), FT_REJECTED);
	ck_assert_str_eq(rig_member(&rig, "detail"), "\"Eicar found\"");
	ck_assert_str_eq(rig_member(&rig, "reason_description"), "\"rejected\"");
	ck_assert_str_eq(rig_member(&rig, "state"), "\"receiving\"");
	ck_assert(!rig_has_file(&rig, "files/c"));
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "have"), "[[0,5]]");
	program("printf '\\377\\001' >&2; exit 2");	/* judged anew */
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_REJECTED);
	ck_assert_str_eq(rig_member(&rig, "detail"), "\"\\\\xff\\\\x01\"");
	program("exit 1");
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_REJECTED);
	program("exit 0");
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
}
END_TEST

START_TEST(test_judge__a_put_is_judged_too_and_an_empty_file)
{
	program("[ \"$(wc -c <\"$1\")\" = \"$5\" ] && [ \"$5\" -lt 5 ]");
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_REJECTED);
	ck_assert_int_eq(say("$file/g/put/n", "hell"), FT_OK);
	ck_assert_int_eq(say("$file/h/put/n", ""), FT_OK);
	rig_check_file(&rig, "files/c/h/n", "", 0);
}
END_TEST

START_TEST(test_judge__sees_no_more_than_the_file)
{
	program("[ \"$(cat \"$1\")\" = hello ]");
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"n\"}"), FT_OK);
	ck_assert_int_eq(say("$file/f/0", "hello and more"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
}
END_TEST

START_TEST(test_judge__gives_another_name_and_terms)
{
	program("echo '{\"name\":\"other.txt\",\"user_data\":{\"k\":2},\"expire_at\":4000000000}'");
	rig_start(&rig);
	ck_assert_int_eq(finish("{\"name\":\"n\"}"), FT_OK);
	rig_check_file(&rig, "files/c/f/other.txt", "hello", 5);
	ck_assert(!rig_has_file(&rig, "files/c/f/n"));
	/* To its client it is what it has sent; after a restart, and with a lost catalog, too. */
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(say("$file/f/init", "{\"name\":\"n\"}"), FT_OK);
		ck_assert_str_eq(rig_member(&rig, "state"), "\"complete\"");
		ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
		ck_assert_int_eq(say("$file/f/0", "jello"), FT_ALREADY_COMPLETE);
		ck_assert_int_eq(say("$file/f/init", "{\"name\":\"m\"}"), FT_FILEMETA_CONFLICT);
		ck_assert_int_eq(say("$file/f/abort", ""), FT_ALREADY_COMPLETE);
		rig_settle(&rig);
		rig_stop(&rig);
		if (i == 1)
			ck_assert_int_eq(unlink(rig_path(&rig, "catalog.db")), 0);
		rig_start(&rig);
	}
}
END_TEST

START_TEST(test_judge__a_bad_object_is_the_programs_fault)
{
	static const char *const bad[] = {
		"echo '{\"name\":\"../x\"}'", "echo '{\"name\":\"x.manifest.json\"}'",
		"echo '{\"expire_at\":\"soon\"}'", "echo '{'", "echo '{\"user_data\":}'",
		"echo x >>\"$1\"", "rm \"$1\"", "kill -9 $$",
	};

	program(bad[_i]);
	rig_start(&rig);
	ck_assert_int_eq(finish("{\"name\":\"n\"}"), FT_INTERNAL_ERROR);
	ck_assert(rig_logged(&rig, "on_complete"));
	ck_assert(!rig_has_file(&rig, "files/c"));
}
END_TEST

START_TEST(test_judge__chatter_and_an_empty_object_mean_nothing)
{
	static const char *const good[] = {
		"echo scanned, clean", "echo '{}'", "echo '{\"name\":null,\"size\":7}'",
		"head -c 3000000 /dev/zero", "exec >&-", "sleep 1000 & :",
	};

	program(good[_i]);
	rig_start(&rig);
	ck_assert_int_eq(finish("{\"name\":\"n\"}"), FT_OK);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
}
END_TEST

START_TEST(test_judge__one_that_hangs_is_killed_in_time)
{
	program("sleep 1000");
	rig.options.assemble_timeout = 1;
	rig_start(&rig);
	ck_assert_int_eq(finish("{\"name\":\"n\"}"), FT_TIMEOUT);
	program("exit 0");
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
}
END_TEST

START_TEST(test_judge__one_that_vanished_is_told)
{
	if (!machine_tells_what_spawn_cannot())
		FT_SKIP(MACHINE_SPAWN_TELLS_NOTHING);
	program("exit 0");
	rig_start(&rig);
	ck_assert_int_eq(unlink(rig.options.on_complete), 0);
	ck_assert_int_eq(finish("{\"name\":\"n\"}"), FT_INTERNAL_ERROR);
	ck_assert(rig_logged(&rig, "could not be run"));
}
END_TEST

START_TEST(test_judge__an_abort_ends_it)
{
	program("sleep 1000");
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"n\"}"), FT_OK);
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(rig_send_text(&rig, "c", "$file/f/fin/5", ""), FT_OK);
	ck_assert_int_eq(rig_send_text(&rig, "c", "$file/f/abort", ""), FT_OK);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/abort"), FT_OK);
	ck_assert_int_eq(rig_response(&rig, "$file/f/fin/5")->status, FT_NO_SUCH_TRANSFER);
}
END_TEST

/* The broker stops while it runs: it runs again. */
START_TEST(test_judge__runs_again_behind_a_restart)
{
	program("sleep 1000");
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"n\"}"), FT_OK);
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(rig_send_text(&rig, "c", "$file/f/fin/5", ""), FT_OK);
	usleep(200 * 1000);
	rig_stop(&rig);
	ck_assert(!rig.abandoned);
	program("exit 0");
	rig_forget(&rig);
	rig_start(&rig);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/fin/5"), FT_OK);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
}
END_TEST

static void publish_and_die(void)
{
	(void)rig_send_text(&rig, "c", "$file/f/init", "{\"name\":\"n\"}");
	(void)rig_send_text(&rig, "c", "$file/f/0", "hello");
	fake_die_behind(FAKE_PUBLISH);
	(void)rig_send_text(&rig, "c", "$file/f/fin/5", "");
	pause();
}

/* Killed when the file is visible and the catalog does not know it: under the name it was given. */
START_TEST(test_judge__a_kill_behind_it_loses_no_name)
{
	program("echo '{\"name\":\"other.txt\",\"expire_at\":4000000000}'");
	rig_act_and_be_killed(&rig, publish_and_die);
	rig_check_file(&rig, "files/c/f/other.txt", "hello", 5);
	fake_reset("fs");
	program("echo '{\"name\":\"third.txt\"}'");
	rig_start(&rig);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/fin/5"), FT_OK);
	rig_check_file(&rig, "files/c/f/other.txt", "hello", 5);
	ck_assert(!rig_has_file(&rig, "files/c/f/third.txt"));
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"n\"}"), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"complete\"");
}
END_TEST

static void publish_behind_another_and_die(void)
{
	(void)rig_send_text(&rig, "c", "$file/e/init", "{\"name\":\"n\"}");
	(void)rig_send_text(&rig, "c", "$file/e/0", "first");
	(void)rig_send_text(&rig, "c", "$file/f/init", "{\"name\":\"n\"}");
	(void)rig_send_text(&rig, "c", "$file/f/0", "hello");
	fake_die_behind(FAKE_PUBLISH);
	(void)rig_send_text(&rig, "c", "$file/f/fin/5", "");
	(void)rig_send_text(&rig, "c", "$file/e/fin/5", "");
	pause();
}

static bool is_applied(void)
{
	return ft_log_fill(rig.engine->core.log) == 0;
}

/* Another is in front of it, so that the abort comes before a finisher has looked. */
START_TEST(test_judge__what_was_published_under_its_name_is_not_aborted)
{
	rig.options.workers = 1;
	program("sleep 1; echo '{\"name\":\"other.txt\"}'");
	rig_act_and_be_killed(&rig, publish_behind_another_and_die);
	rig_check_file(&rig, "files/c/f/other.txt", "hello", 5);
	fake_reset("fs");
	fake_hang(FAKE_READ);
	rig_start(&rig);
	fake_await_hanging(FAKE_READ);
	(void)rig_send_text(&rig, "c", "$file/f/abort", "");
	rig_wait_until(&rig, is_applied);
	fake_go_on();
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/abort"), FT_ALREADY_COMPLETE);
	rig_check_file(&rig, "files/c/f/other.txt", "hello", 5);
}
END_TEST

START_TEST(test_judge__is_refused_where_it_cannot_work)
{
	rig.options.on_complete = strdup("/nowhere/prog");
	ck_assert_int_ne(rig_try_start(&rig), FT_OK);
	ck_assert(rig_logged(&rig, "plugin_opt_on_complete /nowhere/prog"));
	rig_stop(&rig);
	free(rig.options.on_complete);
	rig.options.on_complete = NULL;
	program("exit 0");
	rig.ops = ft_store_backend("memory");
	ck_assert_int_ne(rig_try_start(&rig), FT_OK);
	ck_assert(rig_logged(&rig, "no files that a program could look at"));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		test_judge__sees_the_file_before_anybody_else,
		test_judge__rejects_with_the_last_line_and_keeps_the_bytes,
		test_judge__a_put_is_judged_too_and_an_empty_file,
		test_judge__sees_no_more_than_the_file,
		test_judge__gives_another_name_and_terms,
		test_judge__one_that_hangs_is_killed_in_time,
		test_judge__one_that_vanished_is_told,
		test_judge__an_abort_ends_it,
		test_judge__runs_again_behind_a_restart,
		test_judge__a_kill_behind_it_loses_no_name,
		test_judge__what_was_published_under_its_name_is_not_aborted,
		test_judge__is_refused_where_it_cannot_work,
	};
	Suite *suite;
	TCase *cases;

	ft_suite_use_memory();
	suite = suite_create("engine judge");
	cases = ft_suite_cases("engine judge");
	tcase_add_checked_fixture(cases, set_up, tear_down);
	for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
		tcase_add_test(cases, tests[i]);
	tcase_add_loop_test(cases, test_judge__a_bad_object_is_the_programs_fault, 0, 8);
	tcase_add_loop_test(cases, test_judge__chatter_and_an_empty_object_mean_nothing, 0, 6);
	suite_add_tcase(suite, cases);
	return ft_suite_finish(suite);
}
