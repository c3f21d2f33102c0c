/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What operators are told of what happens here. */
#include <check.h>

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

FT_SUITE_WITH("engine_metrics", set_up, tear_down,
	test_metrics__count_a_file_from_init_to_fin,
	test_metrics__count_what_was_put_as_a_segment,
	test_metrics__count_a_transfer_as_resumed_only_if_it_holds_bytes,
	test_metrics__count_an_init_of_what_is_finished_as_skipped,
	test_metrics__count_failed_fins_and_refusals_by_what_they_end_with,
	test_metrics__count_aborts_and_expiries);
