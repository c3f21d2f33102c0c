/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A store that cannot take finished files now (publish() says `later`): a fin that was accepted
 * waits, over restarts and kills, and is carried out when the store takes it.
 */
#include <check.h>

#include "base/system.h"

#include "../lib/fake_store.h"
#include "../lib/rig.h"
#include "../suite.h"

#define INIT_N "{\"name\":\"n\"}"
#define PUT "$file/f/put/n"
#define FIN_LARGE "$file/f/fin/1572864"
#define LARGE ((size_t)3 * 1024 * 1024 / 2)	/* more than waits in the log for its fin */
#define FILES 20

static struct rig rig;
static char large[LARGE];

static enum ft_status say(const char *topic, const char *text)
{
	return rig_ask_text(&rig, "c", topic, text);
}

static void accept(const char *topic, const char *text)
{
	ck_assert_int_eq(rig_send_text(&rig, "c", topic, text), FT_OK);
}

static void be_away(void)
{
	fake_put_off();
	fake_fail(FAKE_PUBLISH, FT_BUSY, FAKE_ALWAYS);
}

static void be_back(void)
{
	fake_fail(FAKE_PUBLISH, FT_OK, 0);
}

static void set_up(void)
{
	memset(large, 'l', sizeof large);
	fake_reset("fs");
	rig_setup(&rig, "fs");
	rig.ops = &fake_store;
	rig_start(&rig);
	fake_watch_this_thread();
	be_away();
}

static void tear_down(void)
{
	fake_unwatch();
	rig_teardown(&rig);
	fake_check();
}

static void restart(void)
{
	fake_unwatch();
	rig_restart(&rig);
	fake_watch_this_thread();
}

static bool one_waits(void)
{
	return atomic_load(&rig.engine->core.later) == 1;
}

static bool all_wait(void)
{
	return atomic_load(&rig.engine->core.later) == FILES;
}

static bool log_is_empty(void)
{
	return ft_log_fill(rig.engine->core.log) == 0;
}

static bool has_detail(void)
{
	(void)say("$file/f/status", "");
	return strstr(rig_member(&rig, "detail"), "waits until") != NULL;
}

/* Accepted, not answered, not visible, and told so. */
static void check_waiting(const char *topic)
{
	rig_wait_until(&rig, one_waits);
	ck_assert_uint_eq(rig_count(&rig, topic), 0);
	ck_assert(!rig_has_file(&rig, "files/c/f/n"));
	rig_wait_until(&rig, has_detail);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"assembling\"");
	engine_take_metrics(rig.engine);
	ck_assert_uint_eq(rig.engine->metrics.store_waiting, 1);
	ck_assert_uint_ge(rig.engine->metrics.store_put_off, 1);
}

static void check_done(const void *bytes, size_t len)
{
	rig_check_file(&rig, "files/c/f/n", bytes, len);
	rig_settle(&rig);
	ck_assert_uint_eq(atomic_load(&rig.engine->core.later), 0);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"complete\"");
}

/* Its bytes are not kept in the log meanwhile: others need the room. */
START_TEST(test_later__a_small_file_waits_and_is_carried_out)
{
	accept(PUT, "hello");
	check_waiting(PUT);
	rig_wait_until(&rig, log_is_empty);
	be_back();
	ck_assert_int_eq(rig_wait_for(&rig, PUT), FT_OK);
	ck_assert_uint_eq(rig_count(&rig, PUT), 1);
	check_done("hello", 5);
}
END_TEST

static void send_large(void)
{
	ck_assert_int_eq(say("$file/f/init", INIT_N), FT_OK);
	ck_assert_int_eq(rig_ask(&rig, "c", "$file/f/0", large, LARGE), FT_OK);
	accept(FIN_LARGE, "");
}

START_TEST(test_later__a_large_file_waits_and_takes_no_more_bytes)
{
	send_large();
	check_waiting(FIN_LARGE);
	ck_assert_int_eq(rig_send_text(&rig, "c", "$file/f/0", "x"), FT_BUSY);
	be_back();
	ck_assert_int_eq(rig_wait_for(&rig, FIN_LARGE), FT_OK);
	check_done(large, LARGE);
}
END_TEST

START_TEST(test_later__a_restart_changes_nothing)
{
	accept(PUT, "hello");
	check_waiting(PUT);
	for (int i = 0; i < 2; i++) {
		restart();
		check_waiting(PUT);
	}
	be_back();
	ck_assert_int_eq(rig_wait_for(&rig, PUT), FT_OK);
	check_done("hello", 5);
}
END_TEST

static void wait_and_be_killed(void)
{
	be_away();
	send_large();
	rig_wait_until(&rig, one_waits);
}

START_TEST(test_later__a_kill_changes_nothing)
{
	fake_unwatch();
	rig_stop(&rig);
	rig_act_and_be_killed(&rig, wait_and_be_killed);
	rig_start(&rig);
	fake_watch_this_thread();
	check_waiting(FIN_LARGE);
	be_back();
	ck_assert_int_eq(rig_wait_for(&rig, FIN_LARGE), FT_OK);
	check_done(large, LARGE);
}
END_TEST

START_TEST(test_later__an_abort_ends_the_waiting)
{
	send_large();
	check_waiting(FIN_LARGE);
	ck_assert_int_eq(say("$file/f/abort", ""), FT_OK);
	ck_assert_int_eq(rig_wait_for(&rig, FIN_LARGE), FT_NO_SUCH_TRANSFER);
	rig_settle(&rig);
	ck_assert_uint_eq(atomic_load(&rig.engine->core.later), 0);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "incoming")), 0);
	be_back();
	ck_assert_int_eq(say(PUT, "hello"), FT_OK);
	check_done("hello", 5);
}
END_TEST

/* It comes while the store is just being tried. */
START_TEST(test_later__an_abort_during_a_try_is_the_answer)
{
	fake_hang(FAKE_PUBLISH);
	send_large();
	fake_await_hanging(FAKE_PUBLISH);
	accept("$file/f/abort", "");
	rig_wait_until(&rig, log_is_empty);	/* the writer knows of it */
	fake_go_on();
	ck_assert_int_eq(rig_wait_for(&rig, FIN_LARGE), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/abort"), FT_OK);
	rig_settle(&rig);
	ck_assert_uint_eq(atomic_load(&rig.engine->core.later_total), 0);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "incoming")), 0);
}
END_TEST

/* Who asks again in the meantime is answered at the end, too; each once. */
START_TEST(test_later__everybody_who_asks_is_answered)
{
	static const char again[] = "$file/f/fin/5";

	accept(PUT, "hello");
	check_waiting(PUT);
	accept(again, "");
	rig_run(&rig);
	ck_assert_uint_eq(rig_count(&rig, again), 0);
	rig_forget(&rig);
	be_back();
	ck_assert_int_eq(rig_wait_for(&rig, again), FT_OK);
	ck_assert_int_eq(rig_wait_for(&rig, PUT), FT_OK);
	ck_assert_uint_eq(rig_count(&rig, again) + rig_count(&rig, PUT), 2);
	check_done("hello", 5);
}
END_TEST

/* Whose patience is over hears `timeout`, and the file comes all the same. */
START_TEST(test_later__a_timeout_loses_nothing)
{
	accept(PUT, "hello");
	check_waiting(PUT);
	rig_pass(&rig, (int64_t)rig.options.assemble_timeout * 1000 + 1000);
	ck_assert_int_eq(rig_wait_for(&rig, PUT), FT_TIMEOUT);
	ck_assert(one_waits());
	be_back();
	while (!rig_has_file(&rig, "files/c/f/n.manifest.json"))
		rig_settle(&rig);
	check_done("hello", 5);
}
END_TEST

START_TEST(test_later__many_wait_and_all_are_carried_out)
{
	char topic[64], path[64];

	rig.options.limits.max_transfers_per_client = 2 * FILES;
	for (int i = 0; i < FILES; i++) {
		snprintf(topic, sizeof topic, "$file/f%d/put/n", i);
		accept(topic, topic);
	}
	rig_wait_until(&rig, all_wait);
	be_back();
	for (int i = 0; i < FILES; i++) {
		snprintf(topic, sizeof topic, "$file/f%d/put/n", i);
		snprintf(path, sizeof path, "files/c/f%d/n", i);
		ck_assert_int_eq(rig_wait_for(&rig, topic), FT_OK);
		rig_check_file(&rig, path, topic, strlen(topic));
	}
	rig_settle(&rig);
	ck_assert_uint_eq(atomic_load(&rig.engine->core.later), 0);
}
END_TEST

/* Only FT_BUSY is for a while: another reason is the answer. */
START_TEST(test_later__a_refusal_does_not_wait)
{
	fake_fail(FAKE_PUBLISH, FT_ALREADY_COMPLETE, FAKE_ALWAYS);
	ck_assert_int_eq(say(PUT, "hello"), FT_ALREADY_COMPLETE);
	rig_settle(&rig);
	ck_assert_uint_eq(atomic_load(&rig.engine->core.later_total), 0);
}
END_TEST

int main(void)
{
	const struct ft_suite suite = {
		.name = "engine later", .set_up = set_up, .tear_down = tear_down,
		FT_TESTS(test_later__a_small_file_waits_and_is_carried_out,
			 test_later__a_large_file_waits_and_takes_no_more_bytes,
			 test_later__a_restart_changes_nothing,
			 test_later__a_kill_changes_nothing,
			 test_later__an_abort_ends_the_waiting,
			 test_later__an_abort_during_a_try_is_the_answer,
			 test_later__everybody_who_asks_is_answered,
			 test_later__a_timeout_loses_nothing,
			 test_later__many_wait_and_all_are_carried_out,
			 test_later__a_refusal_does_not_wait),
	};

	ft_suite_use_memory();
	return ft_suite_run(&suite);
}
