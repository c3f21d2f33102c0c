/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Commands for ids that are finished: the answer waits for the writer's verdict, and what is
 * sent behind an init without waiting for its answer counts if the init turns out good.
 */
#include <check.h>
#include <unistd.h>

#include "../lib/rig.h"
#include "../suite.h"

#define INIT_N "{\"name\":\"n\"}"
#define INIT_M "{\"name\":\"m\"}"

static struct rig rig;

static enum ft_status say(const char *topic, const char *text)
{
	return rig_ask_text(&rig, "c", topic, text);
}

static enum ft_status tell(const char *topic, const char *text)
{
	return rig_send_text(&rig, "c", topic, text);
}

static void check_idle(void)
{
	rig_settle(&rig);
	ck_assert_uint_eq(rig.engine->registry.count, 0);
	ck_assert_uint_eq(rig.engine->charged, 0);
}

/* c/f is finished as "n" with "hello". */
static void set_up(void)
{
	rig_setup(&rig, "fs");
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	rig_settle(&rig);
	rig_forget(&rig);
}

static void tear_down(void)
{
	rig_teardown(&rig);
}

START_TEST(test_finished__answers_a_whole_upload_that_is_sent_again_in_one_go)
{
	ck_assert_int_eq(tell("$file/f/init", INIT_N), FT_OK);
	ck_assert_int_eq(tell("$file/f/0", "hel"), FT_OK);
	ck_assert_int_eq(tell("$file/f/3", "lo"), FT_OK);
	ck_assert_int_eq(tell("$file/f/fin/5", ""), FT_OK);
	ck_assert_uint_eq(rig.responses, 0);
	rig_wait(&rig, 4);
	ck_assert_str_eq(rig_member_of(&rig, "$file/f/init", "state"), "\"complete\"");
	ck_assert_str_eq(rig_member_of(&rig, "$file/f/init", "received"), "5");
	ck_assert_int_eq(rig_response(&rig, "$file/f/0")->status, FT_OK);
	ck_assert_str_eq(rig_member_of(&rig, "$file/f/0", "state"), "\"complete\"");
	ck_assert_int_eq(rig_response(&rig, "$file/f/3")->status, FT_OK);
	ck_assert_int_eq(rig_response(&rig, "$file/f/fin/5")->status, FT_OK);
	ck_assert_str_eq(rig_member_of(&rig, "$file/f/fin/5", "state"), "\"complete\"");
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
	check_idle();
}
END_TEST

START_TEST(test_finished__tells_other_bytes_that_are_sent_in_one_go)
{
	ck_assert_int_eq(tell("$file/f/init", INIT_N), FT_OK);
	ck_assert_int_eq(tell("$file/f/0", "jello"), FT_OK);
	ck_assert_int_eq(tell("$file/f/fin/5", ""), FT_OK);
	rig_wait(&rig, 3);
	ck_assert_int_eq(rig_response(&rig, "$file/f/init")->status, FT_OK);
	ck_assert_int_eq(rig_response(&rig, "$file/f/0")->status, FT_ALREADY_COMPLETE);
	ck_assert_int_eq(rig_response(&rig, "$file/f/fin/5")->status, FT_ALREADY_COMPLETE);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
	check_idle();
}
END_TEST

START_TEST(test_finished__refuses_another_file_that_is_sent_in_one_go)
{
	ck_assert_int_eq(tell("$file/f/init", INIT_M), FT_OK);
	ck_assert_int_eq(tell("$file/f/0", "jello"), FT_OK);
	ck_assert_int_eq(tell("$file/f/fin/5", ""), FT_OK);
	ck_assert_int_eq(tell("$file/f/status", ""), FT_OK);
	rig_wait(&rig, 4);
	ck_assert_int_eq(rig_response(&rig, "$file/f/init")->status, FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(rig_response(&rig, "$file/f/0")->status, FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(rig_response(&rig, "$file/f/fin/5")->status, FT_FILEMETA_CONFLICT);
	/* And so it is until the next good init, */
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_FILEMETA_CONFLICT);
	rig_settle(&rig);
	rig_restart(&rig);	/* also after a restart. */
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(say("$file/f/init", INIT_N), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"complete\"");
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
	check_idle();
}
END_TEST

START_TEST(test_finished__refuses_a_put_of_another_file)
{
	ck_assert_int_eq(tell("$file/f/put/m", "other"), FT_OK);
	rig_wait(&rig, 1);
	ck_assert_int_eq(rig_response(&rig, "$file/f/put/m")->status, FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
	ck_assert(!rig_has_file(&rig, "files/c/f/m"));
	check_idle();
}
END_TEST

START_TEST(test_finished__takes_another_file_where_the_option_says_replace)
{
	rig.options.finished_ids = FT_FINISHED_IDS_REPLACE;
	ck_assert_int_eq(tell("$file/f/init", INIT_M), FT_OK);
	ck_assert_int_eq(tell("$file/f/0", "jel"), FT_OK);
	rig_wait(&rig, 2);
	ck_assert_str_eq(rig_member_of(&rig, "$file/f/init", "state"), "\"receiving\"");
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
	ck_assert_int_eq(say("$file/f/3", "lo"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	rig_check_file(&rig, "files/c/f/m", "jello", 5);
	ck_assert(!rig_has_file(&rig, "files/c/f/n"));
	ck_assert_int_eq(say("$file/f/put/m", "mellow"), FT_OK);
	rig_check_file(&rig, "files/c/f/m", "mellow", 6);
	check_idle();
}
END_TEST

/* What replaces is aborted: the file that is there stays. */
START_TEST(test_finished__keeps_the_file_where_its_successor_is_aborted)
{
	rig.options.finished_ids = FT_FINISHED_IDS_REPLACE;
	ck_assert_int_eq(say("$file/f/init", INIT_M), FT_OK);
	ck_assert_int_eq(say("$file/f/0", "jello"), FT_OK);
	ck_assert_int_eq(say("$file/f/abort", ""), FT_OK);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"complete\"");
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	check_idle();
}
END_TEST

static void take_away(const char *below)
{
	ck_assert_int_eq(unlink(rig_path(&rig, below)), 0);
}

START_TEST(test_finished__begins_anew_what_a_consumer_took_away)
{
	take_away("files/c/f/n");
	take_away("files/c/f/n.manifest.json");
	ck_assert_int_eq(tell("$file/f/init", INIT_M), FT_OK);
	ck_assert_int_eq(tell("$file/f/0", "jello"), FT_OK);
	ck_assert_int_eq(tell("$file/f/fin/5", ""), FT_OK);
	rig_wait(&rig, 3);
	ck_assert_str_eq(rig_member_of(&rig, "$file/f/init", "state"), "\"assembling\"");
	ck_assert_int_eq(rig_response(&rig, "$file/f/0")->status, FT_OK);
	ck_assert_int_eq(rig_response(&rig, "$file/f/fin/5")->status, FT_OK);
	rig_check_file(&rig, "files/c/f/m", "jello", 5);
	check_idle();
}
END_TEST

START_TEST(test_finished__knows_nothing_of_what_a_consumer_took_away)
{
	take_away("files/c/f/n");
	take_away("files/c/f/n.manifest.json");
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(tell("$file/f/fin/5", ""), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(say("$file/f/abort", ""), FT_OK);
	check_idle();
}
END_TEST

/* The manifest stays: the id is finished, and its bytes cannot be compared any more. */
START_TEST(test_finished__trusts_segments_of_a_file_that_a_consumer_took_away)
{
	take_away("files/c/f/n");
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"complete\"");
	ck_assert_int_eq(say("$file/f/4", "xx"), FT_ALREADY_COMPLETE);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	rig_forget(&rig);
	ck_assert_int_eq(tell("$file/f/init", INIT_N), FT_OK);
	ck_assert_int_eq(tell("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(tell("$file/f/fin/5", ""), FT_OK);
	rig_wait(&rig, 3);
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(rig.response[i].status, FT_OK);
	check_idle();
}
END_TEST

START_TEST(test_finished__is_incomplete_where_the_pipelined_bytes_are)
{
	take_away("files/c/f/n");
	take_away("files/c/f/n.manifest.json");
	ck_assert_int_eq(tell("$file/f/init", INIT_N), FT_OK);
	ck_assert_int_eq(tell("$file/f/1", "ello"), FT_OK);
	ck_assert_int_eq(tell("$file/f/fin/5", ""), FT_OK);
	rig_wait(&rig, 3);
	ck_assert_int_eq(rig_response(&rig, "$file/f/fin/5")->status, FT_INCOMPLETE);
	ck_assert_str_eq(rig_member_of(&rig, "$file/f/fin/5", "missing"), "[[0,1]]");
	ck_assert_int_eq(say("$file/f/0", "h"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
	check_idle();
}
END_TEST

/* SPEC: an abort of what is finished says so, also right behind an init. */
START_TEST(test_finished__is_not_aborted_behind_an_init)
{
	ck_assert_int_eq(tell("$file/f/init", INIT_N), FT_OK);
	ck_assert_int_eq(tell("$file/f/abort", ""), FT_OK);
	rig_wait(&rig, 2);
	ck_assert_int_eq(rig_response(&rig, "$file/f/abort")->status, FT_ALREADY_COMPLETE);
	/* The init came first, and is answered as if nothing had come behind it. */
	ck_assert_int_eq(rig_response(&rig, "$file/f/init")->status, FT_OK);
	ck_assert_str_eq(rig_member_of(&rig, "$file/f/init", "state"), "\"complete\"");
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
	check_idle();
}
END_TEST

START_TEST(test_finished__is_not_aborted_where_an_init_was_refused)
{
	ck_assert_int_eq(say("$file/f/init", INIT_M), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(say("$file/f/abort", ""), FT_ALREADY_COMPLETE);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);	/* the refusal is forgotten */
	check_idle();
}
END_TEST

/* The refusal comes in the short time between the accepted fin and its result. */
START_TEST(test_finished__is_not_aborted_where_an_init_was_refused_during_its_fin)
{
	ck_assert_int_eq(tell("$file/g/init", INIT_N), FT_OK);
	ck_assert_int_eq(tell("$file/g/0", "hello"), FT_OK);
	ck_assert_int_eq(tell("$file/g/fin/5", ""), FT_OK);
	ck_assert_int_eq(tell("$file/g/init", INIT_M), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/g/fin/5"), FT_OK);
	ck_assert_int_eq(say("$file/g/fin/5", ""), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(say("$file/g/abort", ""), FT_ALREADY_COMPLETE);
	check_idle();
}
END_TEST

/* Both fit the finished file, but not each other: which is known only once the writer has looked. */
START_TEST(test_finished__does_not_refuse_a_second_init_that_fits)
{
	enum ft_status second;

	ck_assert_int_eq(tell("$file/f/init", INIT_N), FT_OK);
	second = tell("$file/f/init", "{\"name\":\"n\",\"size\":5}");
	ck_assert_int_eq(second, FT_BUSY);
	rig_settle(&rig);
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"n\",\"size\":5}"), FT_OK);
	check_idle();
}
END_TEST

START_TEST(test_finished__is_told_by_a_status_behind_an_init_that_is_refused)
{
	ck_assert_int_eq(tell("$file/f/init", INIT_M), FT_OK);
	ck_assert_int_eq(tell("$file/f/status", ""), FT_OK);
	rig_wait(&rig, 2);
	ck_assert_int_eq(rig_response(&rig, "$file/f/init")->status, FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(rig_response(&rig, "$file/f/status")->status, FT_OK);
	ck_assert_str_eq(rig_member_of(&rig, "$file/f/status", "state"), "\"complete\"");
	ck_assert_str_eq(rig_member_of(&rig, "$file/f/status", "received"), "5");
}
END_TEST

/* SPEC: a segment of length 0 is a success that stores nothing. */
START_TEST(test_finished__takes_a_segment_without_bytes_anywhere)
{
	ck_assert_int_eq(say("$file/f/5", ""), FT_OK);
	ck_assert_int_eq(say("$file/f/1000", ""), FT_OK);
	check_idle();
}
END_TEST

START_TEST(test_finished__is_begun_anew_behind_an_abort)
{
	ck_assert_int_eq(tell("$file/g/init", INIT_N), FT_OK);
	ck_assert_int_eq(tell("$file/g/0", "hello"), FT_OK);
	ck_assert_int_eq(tell("$file/g/abort", ""), FT_OK);
	ck_assert_int_eq(tell("$file/g/init", INIT_M), FT_OK);
	ck_assert_int_eq(tell("$file/g/0", "jello"), FT_OK);
	ck_assert_int_eq(tell("$file/g/fin/5", ""), FT_OK);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/g/fin/5"), FT_OK);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/g/abort"), FT_OK);
	rig_check_file(&rig, "files/c/g/m", "jello", 5);
	check_idle();
}
END_TEST

START_TEST(test_finished__answers_no_segments_that_succeed_where_the_client_wants_that)
{
	ck_assert_int_eq(tell("$file/f/init", "{\"name\":\"n\",\"responses\":\"errors\"}"), FT_OK);
	ck_assert_int_eq(tell("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(tell("$file/f/1", "xxxx"), FT_OK);
	ck_assert_int_eq(tell("$file/f/fin/5", ""), FT_OK);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f/fin/5"), FT_ALREADY_COMPLETE);
	rig_settle(&rig);
	ck_assert_uint_eq(rig_count(&rig, "$file/f/0"), 0);
	ck_assert_int_eq(rig_response(&rig, "$file/f/1")->status, FT_ALREADY_COMPLETE);
	check_idle();
}
END_TEST

/* Each of two questions that were asked before the first was answered. */
START_TEST(test_finished__answers_every_question)
{
	ck_assert_int_eq(tell("$file/f/init", INIT_N), FT_OK);
	ck_assert_int_eq(tell("$file/f/init", INIT_N), FT_OK);
	/* Nobody knows yet which of the two the id was finished as. */
	ck_assert_int_eq(tell("$file/f/init", INIT_M), FT_BUSY);
	ck_assert_int_eq(tell("$file/f/0", "hello"), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(tell("$file/f/fin/5", ""), FT_FILEMETA_CONFLICT);
	rig_settle(&rig);
	ck_assert_uint_eq(rig_count(&rig, "$file/f/init"), 3);
	/* The last word was a refusal. */
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_FILEMETA_CONFLICT);
	rig_settle(&rig);
	rig_restart(&rig);
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(say("$file/f/init", INIT_N), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
}
END_TEST

START_TEST(test_finished__is_known_after_a_restart)
{
	rig_restart(&rig);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	ck_assert_int_eq(say("$file/f/0", "jello"), FT_ALREADY_COMPLETE);
	ck_assert_int_eq(say("$file/f/init", INIT_M), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
}
END_TEST

/* A catalog that is lost is made anew from the manifests. */
START_TEST(test_finished__is_known_without_the_catalog)
{
	rig_stop(&rig);
	take_away("catalog.db");
	tree_remove(rig_path(&rig, "catalog.db-wal"));
	tree_remove(rig_path(&rig, "catalog.db-shm"));
	ck_assert(!rig_logged(&rig, "finished files were in storage_dir"));
	rig_start(&rig);
	ck_assert(rig_logged(&rig, "1 finished files were in storage_dir and not in its catalog"));
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"complete\"");
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	ck_assert_int_eq(say("$file/f/0", "jello"), FT_ALREADY_COMPLETE);
}
END_TEST

FT_SUITE_IN_MEMORY_WITH("engine finished", set_up, tear_down,
	test_finished__answers_a_whole_upload_that_is_sent_again_in_one_go,
	test_finished__tells_other_bytes_that_are_sent_in_one_go,
	test_finished__refuses_another_file_that_is_sent_in_one_go,
	test_finished__refuses_a_put_of_another_file,
	test_finished__takes_another_file_where_the_option_says_replace,
	test_finished__keeps_the_file_where_its_successor_is_aborted,
	test_finished__begins_anew_what_a_consumer_took_away,
	test_finished__knows_nothing_of_what_a_consumer_took_away,
	test_finished__trusts_segments_of_a_file_that_a_consumer_took_away,
	test_finished__is_incomplete_where_the_pipelined_bytes_are,
	test_finished__is_not_aborted_behind_an_init,
	test_finished__is_not_aborted_where_an_init_was_refused,
	test_finished__is_not_aborted_where_an_init_was_refused_during_its_fin,
	test_finished__does_not_refuse_a_second_init_that_fits,
	test_finished__is_told_by_a_status_behind_an_init_that_is_refused,
	test_finished__takes_a_segment_without_bytes_anywhere,
	test_finished__is_begun_anew_behind_an_abort,
	test_finished__answers_no_segments_that_succeed_where_the_client_wants_that,
	test_finished__answers_every_question,
	test_finished__is_known_after_a_restart,
	test_finished__is_known_without_the_catalog);
