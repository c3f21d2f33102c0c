/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What is told of transfers to others than their clients, and that a complete file surely is. */
#include <check.h>

#include "../lib/rig.h"
#include "../suite.h"

#define TOPIC "$file-event/c/f"
#define WRONG_SHA "0000000000000000000000000000000000000000000000000000000000000001"

static struct rig rig;

static void set_up(void)
{
	rig_setup(&rig, "fs");
	rig.options.events = FT_EVENTS_ON;
}

static void tear_down(void)
{
	rig_teardown(&rig);
}

static enum ft_status say(const char *topic, const char *text)
{
	return rig_ask_text(&rig, "c", topic, text);
}

static void begin(void)
{
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"n\",\"user_data\":{\"k\":1}}"), FT_OK);
}

/* A member of the newest event, printed. Static storage. */
static const char *event_says(const char *member)
{
	static char text[500];
	const char *said = rig_said(&rig, TOPIC);
	cJSON *json = cJSON_Parse(said ? said : "{}");
	char *printed = cJSON_PrintUnformatted(cJSON_GetObjectItem(json, member));

	snprintf(text, sizeof text, "%s", printed ? printed : "nothing");
	free(printed);
	cJSON_Delete(json);
	return text;
}

static size_t count_events(void)
{
	size_t count = 0;

	for (size_t i = 0; i < rig.messages; i++)
		count += strcmp(rig.message[i].topic, TOPIC) == 0;
	return count;
}

static bool event_is_there(void)
{
	return count_events() > 0;
}

static enum ft_status count_row(void *context, uint64_t number, const char *topic,
				const char *text, size_t len)
{
	(void)number, (void)topic, (void)text, (void)len;
	++*(size_t *)context;
	return FT_OK;
}

static size_t count_outbox(void)
{
	struct ft_catalog *mine;
	size_t rows = 0;

	ck_assert_int_eq(ft_catalog_join(rig.engine->core.catalog, &mine), FT_OK);
	ck_assert_int_eq(ft_catalog_each_event(mine, count_row, &rows), FT_OK);
	ft_catalog_close(&mine);
	return rows;
}

static bool outbox_is_empty(void)
{
	return count_outbox() == 0;
}

/* Who listens has connected again by then. */
static void let_reconnect(void)
{
	rig_pass(&rig, 19000);
	ck_assert_uint_eq(count_events(), 0);
	ck_assert_int_le(ft_engine_due_ms(rig.engine), rig.now_ms + 1000);
	rig_pass(&rig, 1000);
}

START_TEST(test_events__tell_a_file_from_its_start_to_its_end)
{
	rig_start(&rig);
	begin();
	ck_assert_str_eq(event_says("type"), "\"started\"");
	ck_assert_str_eq(event_says("received"), "0");
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	rig_forget(&rig);
	begin();
	ck_assert_str_eq(event_says("type"), "\"resumed\"");
	ck_assert_str_eq(event_says("received"), "5");
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	ck_assert_str_eq(event_says("type"), "\"completed\"");
	ck_assert_str_eq(event_says("size"), "5");
	ck_assert_str_eq(event_says("path"), "\"files/c/f/n\"");
	ck_assert_str_eq(event_says("user_data"), "{\"k\":1}");
	ck_assert_str_eq(event_says("sha256"), "\"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e"
			 "73043362938b9824\"");
	for (size_t i = 0; i < rig.messages; i++)
		ck_assert(rig.message[i].json && rig.message[i].qos == 1 && !rig.message[i].retain);
}
END_TEST

START_TEST(test_events__tell_what_fails_is_aborted_and_expires)
{
	rig_start(&rig);
	begin();
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5/" WRONG_SHA, ""), FT_FILE_CHECKSUM_MISMATCH);
	ck_assert_str_eq(event_says("type"), "\"failed\"");
	ck_assert_str_eq(event_says("reason_description"), "\"file_checksum_mismatch\"");
	ck_assert_int_eq(say("$file/f/abort", ""), FT_OK);
	ck_assert_str_eq(event_says("type"), "\"aborted\"");
	begin();
	rig_pass(&rig, 25 * 3600 * 1000);
	rig_pass(&rig, 2000);
	ck_assert_str_eq(event_says("type"), "\"expired\"");
}
END_TEST

START_TEST(test_events__tell_of_a_put_that_it_started_and_completed)
{
	rig_start(&rig);
	ck_assert_int_eq(rig_ask_text(&rig, "c", "$file/f/put/n", "hello"), FT_OK);
	ck_assert_uint_eq(rig.messages, 2);
	ck_assert_str_eq(event_says("type"), "\"completed\"");
	ck_assert_ptr_nonnull(strstr(rig.message[0].payload, "\"started\""));
}
END_TEST

START_TEST(test_events__tell_nothing_of_what_was_refused_or_was_there_already)
{
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	rig_forget(&rig);
	ck_assert_int_eq(say("$file/f/init", "{}"), FT_INVALID_FILEMETA);
	begin();
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"other\"}"), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(say("$file/g/0", "x"), FT_NO_SUCH_TRANSFER);
	ck_assert_uint_eq(rig.messages, 0);
}
END_TEST

START_TEST(test_events__are_off_unless_wanted)
{
	rig.options.events = FT_EVENTS_OFF;
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	ck_assert_uint_eq(rig.messages, 0);
	ck_assert_uint_eq(count_outbox(), 0);
}
END_TEST

START_TEST(test_events__leave_the_outbox_once_they_were_told_in_an_earlier_pass)
{
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	ck_assert_uint_eq(count_outbox(), 1);
	rig_pass(&rig, 600);
	rig_wait_until(&rig, outbox_is_empty);
	rig_forget(&rig);
	rig_restart(&rig);
	rig_pass(&rig, 30000);
	ck_assert_uint_eq(rig.messages, 0);
}
END_TEST

START_TEST(test_events__are_told_after_the_start_where_the_broker_stopped_before_they_had_left)
{
	char id[200];

	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	snprintf(id, sizeof id, "%s", event_says("id"));
	rig_forget(&rig);
	rig_restart(&rig);
	let_reconnect();
	rig_wait_until(&rig, event_is_there);
	ck_assert_str_eq(event_says("type"), "\"completed\"");
	ck_assert_str_eq(event_says("id"), id);
	rig_pass(&rig, 600);
	rig_wait_until(&rig, outbox_is_empty);
}
END_TEST

START_TEST(test_events__that_could_not_be_published_are_told_after_the_start)
{
	rig_start(&rig);
	rig.respond = false;
	ck_assert_int_eq(rig_send(&rig, "c", "$file/f/put/n", "hello", 5), FT_OK);
	rig_settle(&rig);
	rig_pass(&rig, 1000);
	rig.respond = true;
	ck_assert_uint_eq(count_outbox(), 1);
	rig_restart(&rig);
	let_reconnect();
	rig_wait_until(&rig, event_is_there);
	ck_assert_str_eq(event_says("type"), "\"completed\"");
}
END_TEST

static void put_and_hear(void)
{
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
}

START_TEST(test_events__are_told_after_a_kill)
{
	rig_act_and_be_killed(&rig, put_and_hear);
	rig_start(&rig);
	let_reconnect();
	rig_wait_until(&rig, event_is_there);
	ck_assert_str_eq(event_says("type"), "\"completed\"");
	ck_assert_str_eq(event_says("client_id"), "\"c\"");
}
END_TEST

static void put_and_be_heard_of(void)
{
	put_and_hear();
	rig_pass(&rig, 600);
	rig_wait_until(&rig, outbox_is_empty);
}

static void accept_a_put(void)
{
	ck_assert_int_eq(rig_send(&rig, "c", "$file/f/put/n", "hello", 5), FT_OK);
}

START_TEST(test_events__of_a_fin_that_an_earlier_process_accepted_wait_for_who_listens)
{
	rig_act_and_be_killed(&rig, accept_a_put);
	rig_start(&rig);
	rig_settle(&rig);
	let_reconnect();
	rig_wait_until(&rig, event_is_there);
	ck_assert_str_eq(event_says("type"), "\"completed\"");
	rig_pass(&rig, 600);
	rig_wait_until(&rig, outbox_is_empty);
	ck_assert_uint_eq(count_events(), 1);
}
END_TEST

START_TEST(test_events__that_were_told_are_not_told_again_after_a_kill)
{
	rig_act_and_be_killed(&rig, put_and_be_heard_of);
	rig_start(&rig);
	rig_pass(&rig, 30000);
	ck_assert_uint_eq(count_events(), 0);
}
END_TEST

START_TEST(test_events__tell_of_a_file_that_only_the_store_knows_after_a_power_cut)
{
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	rig_pass(&rig, 600);
	rig_wait_until(&rig, outbox_is_empty);
	ck_assert_int_eq(ft_catalog_begin(rig.engine->core.catalog), FT_OK);
	ck_assert_int_eq(ft_catalog_drop_finished(rig.engine->core.catalog, &(struct ft_key){
				 .owner = "c", .owner_len = 1, .file = "f", .file_len = 1 },
				 1), FT_OK);
	ck_assert_int_eq(ft_catalog_commit(rig.engine->core.catalog), FT_OK);
	rig_stop(&rig);
	rig_forget(&rig);
	rig_cut_power(&rig);
	rig_start(&rig);
	let_reconnect();
	rig_wait_until(&rig, event_is_there);
	ck_assert_str_eq(event_says("type"), "\"completed\"");
}
END_TEST

FT_SUITE_WITH("engine_events", set_up, tear_down,
	test_events__tell_a_file_from_its_start_to_its_end,
	test_events__tell_what_fails_is_aborted_and_expires,
	test_events__tell_of_a_put_that_it_started_and_completed,
	test_events__tell_nothing_of_what_was_refused_or_was_there_already,
	test_events__are_off_unless_wanted,
	test_events__leave_the_outbox_once_they_were_told_in_an_earlier_pass,
	test_events__are_told_after_the_start_where_the_broker_stopped_before_they_had_left,
	test_events__that_could_not_be_published_are_told_after_the_start,
	test_events__are_told_after_a_kill,
	test_events__of_a_fin_that_an_earlier_process_accepted_wait_for_who_listens,
	test_events__that_were_told_are_not_told_again_after_a_kill,
	test_events__tell_of_a_file_that_only_the_store_knows_after_a_power_cut);
