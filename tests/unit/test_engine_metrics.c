/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What operators are told of what happens here. */
#include <check.h>

#include "file_transfer/version.h"

#include "../lib/rig.h"
#include "../suite.h"

#define WRONG_SHA "0000000000000000000000000000000000000000000000000000000000000001"

static struct rig rig;

static void set_up(void)
{
	rig_setup(&rig, "memory");
	rig_start(&rig);
}

static void tear_down(void)
{
	rig_teardown(&rig);
}

static enum ft_status say(const char *topic, const char *text)
{
	return rig_ask_text(&rig, "c", topic, text);
}

static const struct ft_metrics *metrics(void)
{
	return &rig.engine->metrics;
}

static void begin(void)
{
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"n\"}"), FT_OK);
}

START_TEST(test_metrics__count_a_file_from_init_to_fin)
{
	begin();
	ck_assert_uint_eq(rig.engine->registry.states[FT_TRANSFER_RECEIVING], 1);
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/3", "lo you"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/9", ""), FT_OK);
	ck_assert_uint_eq(metrics()->segments, 2);
	ck_assert_uint_eq(metrics()->bytes_received, 11);
	ck_assert_uint_eq(metrics()->bytes_duplicate, 2);
	ck_assert_uint_eq(metrics()->completed, 1);
	ck_assert_uint_eq(metrics()->bytes_stored, 9);
	ck_assert_uint_eq(rig.engine->registry.states[FT_TRANSFER_RECEIVING], 0);
	ck_assert_uint_eq(rig.engine->registry.states[FT_TRANSFER_ASSEMBLING], 0);
	ck_assert_ptr_null(ft_list_first(&rig.engine->registry.by_age));
}
END_TEST

START_TEST(test_metrics__count_what_was_put_as_a_segment)
{
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	ck_assert_uint_eq(metrics()->segments, 1);
	ck_assert_uint_eq(metrics()->bytes_received, 5);
	ck_assert_uint_eq(metrics()->completed, 1);
}
END_TEST

START_TEST(test_metrics__count_a_transfer_as_resumed_only_if_it_holds_bytes)
{
	begin();
	begin();
	ck_assert_uint_eq(metrics()->resumed, 0);
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	begin();
	ck_assert_uint_eq(metrics()->resumed, 1);
}
END_TEST

START_TEST(test_metrics__count_an_init_of_what_is_finished_as_skipped)
{
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	begin();
	ck_assert_uint_eq(metrics()->skipped, 1);
	ck_assert_uint_eq(metrics()->resumed, 0);
}
END_TEST

START_TEST(test_metrics__count_failed_fins_and_refusals_by_what_they_end_with)
{
	begin();
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/7", ""), FT_INCOMPLETE);
	ck_assert_uint_eq(metrics()->refused[FT_INCOMPLETE], 1);
	ck_assert_uint_eq(metrics()->failed[FT_INCOMPLETE], 0);
	ck_assert_int_eq(say("$file/f/fin/5/" WRONG_SHA, ""), FT_FILE_CHECKSUM_MISMATCH);
	ck_assert_uint_eq(metrics()->failed[FT_FILE_CHECKSUM_MISMATCH], 1);
	ck_assert_uint_eq(metrics()->refused[FT_FILE_CHECKSUM_MISMATCH], 1);
	ck_assert_uint_eq(metrics()->completed, 0);
	ck_assert_uint_eq(rig.engine->registry.states[FT_TRANSFER_RECEIVING], 1);
}
END_TEST

START_TEST(test_metrics__count_aborts_and_expiries)
{
	begin();
	ck_assert_int_eq(say("$file/f/abort", ""), FT_OK);
	ck_assert_uint_eq(metrics()->aborted, 1);
	begin();
	rig_pass(&rig, 25 * 3600 * 1000);
	rig_pass(&rig, 2000);
	ck_assert_uint_eq(metrics()->expired, 1);
	ck_assert_uint_eq(metrics()->aborted, 1);
}
END_TEST

#define SYS "$SYS/broker/file-transfer/"

/* Some of those that are published each time. */
static void check_said(const char *topic, const char *text)
{
	const char *said = rig_said(&rig, topic);

	ck_assert_msg(said && strcmp(said, text) == 0, "%s is %s, not %s", topic,
		      said ? said : "not said", text);
}

START_TEST(test_metrics__are_published_retained_and_only_when_they_have_changed)
{
	rig.options.sys_interval = 10;
	rig_pass(&rig, 100);
	check_said(SYS "version", FT_VERSION);
	check_said(SYS "transfers/active", "0");
	check_said(SYS "log/size", "4194304");
	for (size_t i = 0; i < rig.messages; i++)
		ck_assert(rig.message[i].retain && rig.message[i].qos == 0);
	rig_forget(&rig);
	ck_assert_int_eq(say("$file/g/init", "{}"), FT_INVALID_FILEMETA);
	begin();
	rig_pass(&rig, 9800);
	ck_assert_uint_eq(rig.messages, 0);
	rig_pass(&rig, 200);
	check_said(SYS "transfers/active", "1");
	check_said(SYS "refusals/invalid_filemeta", "1");
	ck_assert_ptr_null(rig_said(&rig, SYS "version"));
	ck_assert_ptr_null(rig_said(&rig, SYS "transfers/completed"));
	ck_assert_ptr_null(rig_said(&rig, SYS "refusals/busy"));
}
END_TEST

START_TEST(test_metrics__are_published_with_the_next_turn_where_they_could_not_be)
{
	rig.options.sys_interval = 10;
	rig.respond = false;
	rig_pass(&rig, 100);
	rig.respond = true;
	rig_pass(&rig, 10000);
	check_said(SYS "transfers/completed", "0");
}
END_TEST

START_TEST(test_metrics__are_due_though_there_are_no_transfers)
{
	rig.options.gc_interval = 3600;
	ck_assert_int_eq(ft_engine_due_ms(rig.engine), rig.engine->now_ms + 3600 * 1000);
	rig.options.sys_interval = 10;
	rig_pass(&rig, 100);
	ck_assert_int_eq(ft_engine_due_ms(rig.engine), rig.now_ms + 10000);
}
END_TEST

START_TEST(test_metrics__of_the_same_word_are_one)
{
	struct ft_metrics *m = &rig.engine->metrics;

	m->refused[FT_INTERNAL_ERROR] = 1;
	m->refused[FT_NO_MEMORY] = 2;
	m->refused[FT_CANCELLED] = 4;
	rig.options.sys_interval = 10;
	rig_pass(&rig, 100);
	check_said(SYS "refusals/internal_error", "7");
}
END_TEST

START_TEST(test_metrics__tell_the_age_of_the_oldest_transfer)
{
	begin();
	ck_assert_int_eq(say("$file/g/init", "{\"name\":\"n\"}"), FT_OK);
	FT_CONTAINER(ft_list_first(&rig.engine->registry.by_age), struct ft_transfer,
		     by_age)->begun_ms -= 3600 * 1000;
	rig.options.sys_interval = 10;
	rig_pass(&rig, 100);
	check_said(SYS "transfers/oldest", "3600");
	ck_assert_int_eq(say("$file/f/abort", ""), FT_OK);
	rig_pass(&rig, 10000);
	check_said(SYS "transfers/oldest", "0");
}
END_TEST

static size_t visited;

static void visit(void *context, const struct ft_metric *metric)
{
	bool *seen = context;

	ck_assert_uint_lt(metric->index, FT_METRICS_MAX);
	ck_assert(!seen[metric->index]);
	seen[metric->index] = true;
	visited++;
}

START_TEST(test_metrics__have_indices_of_their_own)
{
	bool seen[FT_METRICS_MAX] = { false };
	struct ft_metrics *m = &rig.engine->metrics;

	memset(m->failed, 1, sizeof m->failed);
	memset(m->refused, 1, sizeof m->refused);
	ft_metrics_each(m, visit, seen);
	ck_assert_uint_gt(visited, 2 * 20 + 25);
}
END_TEST

FT_SUITE_WITH("engine_metrics", set_up, tear_down,
	test_metrics__count_a_file_from_init_to_fin,
	test_metrics__count_what_was_put_as_a_segment,
	test_metrics__count_a_transfer_as_resumed_only_if_it_holds_bytes,
	test_metrics__count_an_init_of_what_is_finished_as_skipped,
	test_metrics__count_failed_fins_and_refusals_by_what_they_end_with,
	test_metrics__count_aborts_and_expiries,
	test_metrics__are_published_retained_and_only_when_they_have_changed,
	test_metrics__are_published_with_the_next_turn_where_they_could_not_be,
	test_metrics__are_due_though_there_are_no_transfers,
	test_metrics__of_the_same_word_are_one,
	test_metrics__tell_the_age_of_the_oldest_transfer,
	test_metrics__have_indices_of_their_own);
