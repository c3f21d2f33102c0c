/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What clients may use: quotas, rates, names, and the file that says who may use what. */
#include <check.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/fake_store.h"
#include "../lib/rig.h"
#include "../suite.h"

#define INIT_N "{\"name\":\"n\"}"

static struct rig rig;

static void set_up(void)
{
	fake_reset("fs");
	rig_setup(&rig, "fs");
	rig.ops = &fake_store;
}

static void tear_down(void)
{
	fake_go_on();
	fake_unwatch();
	rig_teardown(&rig);
	fake_check();
}

static enum ft_status say(const char *client, const char *topic, const char *text)
{
	return rig_ask_text(&rig, client, topic, text);
}

static enum ft_status say_as(const char *user, const char *client, const char *topic, const char *text)
{
	const struct ft_request request = {
		.client_id = client, .owner = client, .owner_len = strlen(client), .topic = topic,
		.user = user,
	};

	rig_forget(&rig);
	(void)ft_engine_command(rig.engine, &request, text, strlen(text), rig.now_ms);
	return rig_wait_for(&rig, topic);
}

/* What the engine counts, and what the catalog says once all is there. */
static void check_used(uint64_t bytes)
{
	struct ft_unfinished found;
	struct ft_finished finished;
	struct ft_catalog *c;
	uint64_t sum = 0;
	int64_t place = 0;

	rig_settle(&rig);
	ck_assert_uint_eq(engine_used_bytes(rig.engine), bytes);
	ck_assert_int_eq(ft_catalog_join(rig.engine->core.catalog, &c), FT_OK);
	while (ft_catalog_next_finished(c, &place, &finished) == FT_OK)
		sum += finished.size;
	for (uint64_t number = 1; number <= rig.engine->last_number; number++) {
		if (ft_catalog_find_transfer(c, number, &found) != FT_OK)
			continue;
		sum += found.held.bytes;
		ft_ranges_release(&found.held);
		ft_ranges_release(&found.durable);
	}
	ft_catalog_close(&c);
	ck_assert_uint_eq(sum, bytes);
}

/* A consumer takes a file with its manifest. */
static void take_away(const char *client, const char *file)
{
	char below[200];

	snprintf(below, sizeof below, "files/%s/%s/n", client, file);
	ck_assert_int_eq(unlink(rig_path(&rig, below)), 0);
	snprintf(below, sizeof below, "files/%s/%s/n.manifest.json", client, file);
	ck_assert_int_eq(unlink(rig_path(&rig, below)), 0);
}

/* --- quotas --- */

START_TEST(test_limits__count_what_is_held_and_finished)
{
	rig.options.limits.storage_quota = 10;
	rig_start(&rig);
	ck_assert_int_eq(say("c", "$file/f/init", INIT_N), FT_OK);
	ck_assert_int_eq(say("c", "$file/f/0", "12345678"), FT_OK);
	ck_assert_int_eq(say("d", "$file/f/init", INIT_N), FT_OK);
	ck_assert_int_eq(say("d", "$file/f/0", "123"), FT_QUOTA_EXCEEDED);
	ck_assert_str_eq(rig_member(&rig, "retry_after"), "60");
	ck_assert_str_eq(rig_member(&rig, "detail"),
			 "\"3 bytes do not fit: storage_quota is 10 bytes, 8 are used\"");
	ck_assert_int_eq(say("d", "$file/f/0", "12"), FT_OK);
	ck_assert_int_eq(say("c", "$file/f/fin/8", ""), FT_OK);
	ck_assert_int_eq(say("d", "$file/f/2", "3"), FT_QUOTA_EXCEEDED);
	check_used(10);
}
END_TEST

START_TEST(test_limits__take_nothing_for_what_is_held_already)
{
	rig.options.limits.storage_quota = 8;
	rig_start(&rig);
	ck_assert_int_eq(say("c", "$file/f/init", INIT_N), FT_OK);
	ck_assert_int_eq(say("c", "$file/f/2", "3456"), FT_OK);
	ck_assert_int_eq(say("c", "$file/f/2", "3456"), FT_OK);
	ck_assert_int_eq(say("c", "$file/f/3", "x"), FT_OK);
	ck_assert_int_eq(say("c", "$file/f/0", "123456789"), FT_QUOTA_EXCEEDED);
	ck_assert_int_eq(say("c", "$file/f/0", "12345678"), FT_OK);
	ck_assert_int_eq(say("c", "$file/f/0", "ABCDEFGH"), FT_OK);
	check_used(8);
}
END_TEST

START_TEST(test_limits__refuse_a_declared_size_at_once_and_reserve_nothing)
{
	char topic[64];

	rig.options.limits.storage_quota = 10;
	rig_start(&rig);
	ck_assert_int_eq(say("c", "$file/f/init", "{\"name\":\"n\",\"size\":11}"), FT_QUOTA_EXCEEDED);
	ck_assert_int_eq(say("c", "$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"none\"");
	/* Announced, and never sent. */
	for (int i = 0; i < 100; i++) {
		snprintf(topic, sizeof topic, "$file/%d/init", i);
		ck_assert_int_eq(say("c", topic, "{\"name\":\"n\",\"size\":10}"), FT_OK);
	}
	ck_assert_int_eq(say("d", "$file/f/put/n", "1234567890"), FT_OK);
	ck_assert_int_eq(say("d", "$file/g/init", "{\"name\":\"n\",\"size\":1}"), FT_QUOTA_EXCEEDED);
	ck_assert_int_eq(say("d", "$file/g/init", "{\"name\":\"n\",\"size\":0}"), FT_OK);
	ck_assert_int_eq(say("c", "$file/0/0", "1"), FT_QUOTA_EXCEEDED);
	check_used(10);
}
END_TEST

START_TEST(test_limits__refuse_a_put_that_does_not_fit)
{
	rig.options.limits.client_quota = 5;
	rig_start(&rig);
	ck_assert_int_eq(say("c", "$file/f/put/n", "123456"), FT_QUOTA_EXCEEDED);
	ck_assert_int_eq(say("c", "$file/f/put/n", "12345"), FT_OK);
	ck_assert_int_eq(say("c", "$file/f/put/n", "12345"), FT_OK);
	ck_assert_int_eq(say("c", "$file/g/put/n", "1"), FT_QUOTA_EXCEEDED);
	check_used(5);
}
END_TEST

/* It needs no room. */
START_TEST(test_limits__know_what_is_finished_though_there_is_no_room)
{
	rig.options.limits.client_quota = 5;
	rig_start(&rig);
	ck_assert_int_eq(say("c", "$file/f/put/n", "12345"), FT_OK);
	rig_settle(&rig);
	ck_assert_int_eq(say("c", "$file/f/put/n", "12345"), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"complete\"");
	ck_assert_int_eq(say("c", "$file/f/init", "{\"name\":\"n\",\"size\":5}"), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"complete\"");
	ck_assert_str_eq(rig_member(&rig, "have"), "[[0,5]]");
	ck_assert_int_eq(say("c", "$file/f/3", "45"), FT_OK);
	/* Waiting for room would not help what is not the same. */
	ck_assert_int_eq(say("c", "$file/f/put/n", "1234X"), FT_ALREADY_COMPLETE);
	ck_assert_int_eq(say("c", "$file/f/put/n", "1234"), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(say("c", "$file/f/init", "{\"name\":\"m\",\"size\":5}"),
			 FT_FILEMETA_CONFLICT);
	check_used(5);
	/* What a consumer has taken needs room, and its place is free then. */
	take_away("c", "f");
	ck_assert_int_eq(say("c", "$file/f/put/n", "12345"), FT_QUOTA_EXCEEDED);
	check_used(0);
	ck_assert_int_eq(say("c", "$file/f/put/n", "12345"), FT_OK);
	check_used(5);
}
END_TEST

START_TEST(test_limits__give_each_client_its_own_quota)
{
	rig.options.limits.client_quota = 5;
	rig_start(&rig);
	ck_assert_int_eq(say("c", "$file/f/put/n", "123"), FT_OK);
	ck_assert_int_eq(say("c", "$file/g/init", INIT_N), FT_OK);
	ck_assert_int_eq(say("c", "$file/g/0", "123"), FT_QUOTA_EXCEEDED);
	ck_assert_str_eq(rig_member(&rig, "detail"),
			 "\"3 bytes do not fit: client_quota is 5 bytes, 3 are used\"");
	ck_assert_int_eq(say("c", "$file/g/0", "12"), FT_OK);
	ck_assert_int_eq(say("d", "$file/f/put/n", "12345"), FT_OK);
	check_used(10);
}
END_TEST

START_TEST(test_limits__give_back_what_is_removed)
{
	rig.options.limits.client_quota = 5;
	rig.options.segments_ttl = 10;
	rig.options.segments_ttl_min = 1;
	rig_start(&rig);
	/* by an abort, */
	ck_assert_int_eq(say("c", "$file/f/init", INIT_N), FT_OK);
	ck_assert_int_eq(say("c", "$file/f/0", "12345"), FT_OK);
	ck_assert_int_eq(say("c", "$file/f/abort", ""), FT_OK);
	check_used(0);
	/* by expiry, */
	ck_assert_int_eq(say("c", "$file/f/init", INIT_N), FT_OK);
	ck_assert_int_eq(say("c", "$file/f/0", "12345"), FT_OK);
	rig_settle(&rig);
	rig_pass(&rig, 12000);
	rig_pass(&rig, 1000);
	check_used(0);
	/* and what a fin cuts off. */
	ck_assert_int_eq(say("c", "$file/f/init", INIT_N), FT_OK);
	ck_assert_int_eq(say("c", "$file/f/0", "12345"), FT_OK);
	ck_assert_int_eq(say("c", "$file/f/fin/2", ""), FT_OK);
	check_used(2);
}
END_TEST

START_TEST(test_limits__keep_the_sum_when_a_fin_fails)
{
	rig.options.limits.client_quota = 5;
	rig_start(&rig);
	ck_assert_int_eq(say("c", "$file/f/init", INIT_N), FT_OK);
	ck_assert_int_eq(say("c", "$file/f/0", "12345"), FT_OK);
	ck_assert_int_eq(say("c", "$file/f/fin/5/"
			     "0000000000000000000000000000000000000000000000000000000000000000", ""),
			 FT_FILE_CHECKSUM_MISMATCH);
	check_used(5);
}
END_TEST

/* What a disk has lost is not held, so it may be sent again. */
START_TEST(test_limits__do_not_count_what_could_not_be_written)
{
	rig.options.limits.client_quota = 5;
	rig_start(&rig);
	ck_assert_int_eq(say("c", "$file/f/init", INIT_N), FT_OK);
	fake_fail(FAKE_WRITE, FT_IO_ERROR, 1);
	ck_assert_int_eq(say("c", "$file/f/0", "12345"), FT_OK);
	check_used(0);
	ck_assert_int_eq(say("c", "$file/f/0", "12345"), FT_OK);
	check_used(5);
}
END_TEST

START_TEST(test_limits__count_the_new_file_of_a_replaced_id)
{
	rig.options.limits.client_quota = 10;
	rig.options.finished_ids = FT_FINISHED_IDS_REPLACE;
	rig_start(&rig);
	ck_assert_int_eq(say("c", "$file/f/put/n", "123456"), FT_OK);
	rig_settle(&rig);
	/* The former file stays until the new one is there. */
	ck_assert_int_eq(say("c", "$file/f/put/n", "12345"), FT_QUOTA_EXCEEDED);
	ck_assert_int_eq(say("c", "$file/f/put/n", "1234"), FT_OK);
	check_used(4);
	ck_assert_int_eq(say("c", "$file/f/put/n", "12345"), FT_OK);
	check_used(5);
}
END_TEST

/* --- over restarts --- */

static void leave_some(void)
{
	ck_assert_int_eq(say("c", "$file/f/put/n", "123"), FT_OK);
	ck_assert_int_eq(say("c", "$file/g/init", INIT_N), FT_OK);
	ck_assert_int_eq(say("c", "$file/g/7", "12"), FT_OK);
	ck_assert_int_eq(say("c", "$file/g/8", "12"), FT_OK);
	ck_assert_int_eq(say("d", "$file/f/init", INIT_N), FT_OK);
	ck_assert_int_eq(say("d", "$file/f/0", "1"), FT_OK);
	(void)rig_send_text(&rig, "d", "$file/g/put/n", "12345");
}

START_TEST(test_limits__are_exact_after_a_kill)
{
	rig.options.limits.client_quota = 7;
	rig_act_and_be_killed(&rig, leave_some);
	rig_start(&rig);
	rig_settle(&rig);
	check_used(12);
	ck_assert_int_eq(say("c", "$file/g/0", "12"), FT_QUOTA_EXCEEDED);
	ck_assert_int_eq(say("c", "$file/g/0", "1"), FT_OK);
	ck_assert_int_eq(say("d", "$file/f/1", "12"), FT_QUOTA_EXCEEDED);
	ck_assert_int_eq(say("d", "$file/f/1", "1"), FT_OK);
	check_used(14);
	rig_restart(&rig);
	check_used(14);
	ck_assert_int_eq(say("c", "$file/g/1", "1"), FT_QUOTA_EXCEEDED);
}
END_TEST

/* A catalog that is made anew from the manifests has the same sums. */
START_TEST(test_limits__are_exact_after_the_catalog_is_lost)
{
	rig.options.limits.client_quota = 7;
	rig_start(&rig);
	ck_assert_int_eq(say("c", "$file/f/put/n", "123"), FT_OK);
	rig_stop(&rig);
	ck_assert_int_eq(unlink(rig_path(&rig, "catalog.db")), 0);
	rig_start(&rig);
	check_used(3);
	ck_assert_int_eq(say("c", "$file/g/put/n", "12345"), FT_QUOTA_EXCEEDED);
}
END_TEST

/* --- what consumers take --- */

START_TEST(test_limits__find_at_once_what_consumers_took_when_there_is_no_room)
{
	rig.options.limits.client_quota = 5;
	rig_start(&rig);
	fake_watch_this_thread();
	ck_assert_int_eq(say("c", "$file/f/put/n", "12345"), FT_OK);
	ck_assert_int_eq(say("c", "$file/g/put/n", "1"), FT_QUOTA_EXCEEDED);
	rig_settle(&rig);
	take_away("c", "f");
	/* That was looked for a moment ago. */
	ck_assert_int_eq(say("c", "$file/g/put/n", "1"), FT_QUOTA_EXCEEDED);
	check_used(5);
	rig_pass(&rig, 60000);
	check_used(0);
	ck_assert_int_eq(say("c", "$file/g/put/n", "1"), FT_OK);
	/* Its id is unknown. */
	ck_assert_int_eq(say("c", "$file/f/fin/5", ""), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(say("c", "$file/f/put/n", "1234"), FT_OK);
	check_used(5);
}
END_TEST

static void put_and_take_away(int count, int but)
{
	char topic[64], file[16];

	for (int i = 0; i < count; i++) {
		snprintf(topic, sizeof topic, "$file/%d/put/n", i);
		ck_assert_int_eq(say("c", topic, "1"), FT_OK);
	}
	rig_settle(&rig);
	for (int i = 0; i < count; i++) {
		snprintf(file, sizeof file, "%d", i);
		if (i != but)
			take_away("c", file);
	}
}

/* More than are looked for in one go; again once a minute has passed. */
START_TEST(test_limits__find_all_that_consumers_took)
{
	rig.options.limits.storage_quota = 200;
	rig_start(&rig);
	put_and_take_away(200, 77);
	ck_assert_int_eq(say("c", "$file/x/put/n", "1"), FT_QUOTA_EXCEEDED);
	check_used(1);
	take_away("c", "77");
	put_and_take_away(200, -1);
	ck_assert_int_eq(say("c", "$file/x/put/n", "1"), FT_QUOTA_EXCEEDED);
	rig_settle(&rig);
	ck_assert_uint_gt(engine_used_bytes(rig.engine), 100);
	rig_pass(&rig, 60000);
	ck_assert_int_eq(say("c", "$file/x/put/n", "12345678901234567890123456789012345678901234567890"
			     "12345678901234567890123456789012345678901234567890"), FT_QUOTA_EXCEEDED);
	check_used(0);
}
END_TEST

static void take_thousands_away(void)
{
	char topic[64];

	for (int i = 0; i < 5000; i++) {
		snprintf(topic, sizeof topic, "$file/%d/put/n", i);
		while (rig_send_text(&rig, "c", topic, "1") == FT_BUSY)
			rig_settle(&rig);
		rig_forget(&rig);
	}
	rig_settle(&rig);
	tree_remove(rig_path(&rig, "files/c"));
}

/* The catalog's own log is tidied on the way: nobody else may do so for long. */
START_TEST(test_limits__find_thousands_and_tidy)
{
	rig.options.limits.storage_quota = 5000;
	rig.options.max_transfers = rig.options.limits.max_transfers_per_client = 10000;
	rig_start(&rig);
	take_thousands_away();
	ck_assert_int_eq(say("c", "$file/x/put/n", "1"), FT_QUOTA_EXCEEDED);
	check_used(0);
	ck_assert_uint_le(rig.engine->limits.forgotten, 1100);
}
END_TEST

/* Slowly, where nobody is in need of room. */
START_TEST(test_limits__find_what_consumers_took_by_and_by)
{
	rig.options.limits.storage_quota = 100;
	rig_start(&rig);
	ck_assert_int_eq(say("c", "$file/f/put/n", "12345"), FT_OK);
	rig_settle(&rig);
	take_away("c", "f");
	ck_assert_int_le(ft_engine_due_ms(rig.engine), rig.now_ms + 5000);
	rig_pass(&rig, 5000);
	rig_settle(&rig);
	rig_pass(&rig, 5000);
	check_used(0);
}
END_TEST

START_TEST(test_limits__keep_a_file_as_long_as_its_manifest_is_there)
{
	rig.options.limits.client_quota = 5;
	rig_start(&rig);
	ck_assert_int_eq(say("c", "$file/f/put/n", "12345"), FT_OK);
	ck_assert_int_eq(unlink(rig_path(&rig, "files/c/f/n")), 0);
	ck_assert_int_eq(say("c", "$file/g/put/n", "1"), FT_QUOTA_EXCEEDED);
	check_used(5);
	ck_assert_int_eq(say("c", "$file/f/fin/5", ""), FT_OK);
}
END_TEST

START_TEST(test_limits__give_back_a_file_once_however_it_is_found)
{
	rig.options.limits.client_quota = 9;
	rig_start(&rig);
	ck_assert_int_eq(say("c", "$file/f/put/n", "12345"), FT_OK);
	ck_assert_int_eq(say("c", "$file/g/put/n", "1234"), FT_OK);
	rig_settle(&rig);
	take_away("c", "f");
	ck_assert_int_eq(say("c", "$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"none\"");
	check_used(4);
	ck_assert_int_eq(say("c", "$file/h/put/n", "123456"), FT_QUOTA_EXCEEDED);
	check_used(4);
	rig_pass(&rig, 10000);
	check_used(4);
}
END_TEST

/* Its place is taken by another file of the same id, before anybody has noticed. */
START_TEST(test_limits__give_back_what_was_taken_and_sent_again)
{
	rig.options.limits.client_quota = 100;
	rig_start(&rig);
	ck_assert_int_eq(say("c", "$file/f/put/n", "12345"), FT_OK);
	rig_settle(&rig);
	take_away("c", "f");
	ck_assert_int_eq(say("c", "$file/f/put/n", "123"), FT_OK);
	check_used(3);
}
END_TEST

START_TEST(test_limits__look_for_nothing_without_a_quota)
{
	size_t before;

	rig_start(&rig);
	ck_assert_int_eq(say("c", "$file/f/put/n", "12345"), FT_OK);
	check_used(5);
	before = fake_calls(FAKE_FIND);
	rig_pass(&rig, 600000);
	rig_settle(&rig);
	ck_assert_uint_eq(fake_calls(FAKE_FIND), before);
}
END_TEST

START_TEST(test_limits__say_when_there_is_room_again)
{
	rig.options.limits.client_quota = 5;
	rig_start(&rig);
	ck_assert_int_eq(say("c", "$file/f/put/n", "123456"), FT_QUOTA_EXCEEDED);
	rig_pass(&rig, 60000);
	ck_assert(!rig_logged(&rig, "there is room for bytes again"));
	rig_pass(&rig, 61000);
	ck_assert(rig_logged(&rig, "there is room for bytes again; 1 client was told quota_exceeded"));
}
END_TEST

/* --- rates --- */

START_TEST(test_limits__refuse_commands_above_the_rate)
{
	rig.options.limits.client_rate = 2;
	rig_start(&rig);
	ck_assert_int_eq(say("c", "$file/f/init", INIT_N), FT_OK);
	ck_assert_int_eq(say("c", "$file/f/nonsense/x/y", ""), FT_INVALID_FILE_COMMAND);
	ck_assert_int_eq(say("c", "$file/f/0", "1"), FT_RATE_LIMITED);
	ck_assert_str_eq(rig_member(&rig, "retry_after"), "1");
	ck_assert_str_eq(rig_member(&rig, "detail"), "\"client_rate is 2 commands a second\"");
	ck_assert_int_eq(say("d", "$file/f/init", INIT_N), FT_OK);
	rig_pass(&rig, 1000);
	ck_assert_int_eq(say("c", "$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "received"), "0");
	ck_assert_int_eq(say("c", "$file/f/0", "1"), FT_OK);
}
END_TEST

START_TEST(test_limits__refuse_bytes_above_the_bandwidth)
{
	rig.options.limits.client_bandwidth = 10;
	rig_start(&rig);
	ck_assert_int_eq(say("c", "$file/f/put/n", "1234567890123456789012345"), FT_OK);
	ck_assert_int_eq(say("c", "$file/f/status", ""), FT_OK);
	ck_assert_int_eq(say("c", "$file/g/put/n", "1"), FT_RATE_LIMITED);
	ck_assert_str_eq(rig_member(&rig, "retry_after"), "2");
	ck_assert_str_eq(rig_member(&rig, "detail"), "\"client_bandwidth is 10 bytes a second\"");
	rig_pass(&rig, 1500);
	ck_assert_int_eq(say("c", "$file/g/put/n", "1"), FT_RATE_LIMITED);
	ck_assert_str_eq(rig_member(&rig, "retry_after"), "1");
	rig_pass(&rig, 1000);
	ck_assert_int_eq(say("c", "$file/g/put/n", "1"), FT_OK);
}
END_TEST

/* What was refused is no news: it does not keep a transfer alive. */
START_TEST(test_limits__let_a_transfer_expire_of_which_all_is_refused)
{
	rig.options.limits.client_rate = 1;
	rig.options.segments_ttl = 10;
	rig.options.segments_ttl_min = 1;
	rig_start(&rig);
	ck_assert_int_eq(say("c", "$file/f/init", INIT_N), FT_OK);
	for (int i = 0; i < 26; i++) {
		rig_pass(&rig, 500);
		(void)say("c", "$file/g/status", "");
		ck_assert_int_eq(say("c", "$file/f/0", "1"), FT_RATE_LIMITED);
	}
	ck_assert_uint_eq(rig.engine->registry.count, 0);
}
END_TEST

START_TEST(test_limits__say_when_clients_keep_to_their_rates_again)
{
	rig.options.limits.client_rate = 1;
	rig_start(&rig);
	ck_assert_int_eq(say("c", "$file/f/status", ""), FT_OK);
	ck_assert_int_eq(say("c", "$file/f/status", ""), FT_RATE_LIMITED);
	rig_pass(&rig, 121000);
	ck_assert(rig_logged(&rig, "clients keep to their rates again"));
}
END_TEST

/* --- names --- */

START_TEST(test_limits__refuse_names)
{
	rig.options.allow_names = strdup("*.jpg,*.png");
	rig.options.deny_names = strdup("secret*");
	rig_start(&rig);
	ck_assert_int_eq(say("c", "$file/f/init", "{\"name\":\"a.jpg\"}"), FT_OK);
	ck_assert_int_eq(say("c", "$file/g/init", "{\"name\":\"a.exe\"}"), FT_NAME_REFUSED);
	ck_assert_str_eq(rig_member(&rig, "detail"),
			 "\"the broker takes only names that fit its allow_names\"");
	ck_assert_int_eq(say("c", "$file/g/init", "{\"name\":\"secret.jpg\"}"), FT_NAME_REFUSED);
	ck_assert_str_eq(rig_member(&rig, "detail"), "\"the broker's deny_names refuse this name\"");
	ck_assert_int_eq(say("c", "$file/g/put/a.exe", "x"), FT_NAME_REFUSED);
	ck_assert_int_eq(say("c", "$file/g/put/a.png", "x"), FT_OK);
}
END_TEST

/* --- the file --- */

static void write_limits(const char *text)
{
	FILE *file = fopen(rig_path(&rig, "limits.json"), "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

static void use_limits(const char *text)
{
	rig.options.limits_file = strdup(rig_path(&rig, "limits.json"));
	write_limits(text);
}

static void reload(void)
{
	ft_engine_reload(rig.engine);
	rig_settle(&rig);
	ft_logger_drain(rig.logger);
}

#define INIT_5 "{\"name\":\"n\",\"size\":5}"

START_TEST(test_limits__follow_the_file)
{
	rig.options.limits.max_file_size = 4;
	use_limits("{\"overrides\": [{\"client\": \"c*\", \"max_file_size\": 5,"
		   " \"max_segment_size\": 3, \"max_transfers_per_client\": 1},"
		   " {\"user\": \"anna\", \"max_file_size\": null, \"client_quota\": 9}]}");
	rig_start(&rig);
	ck_assert_int_eq(say("c1", "$file/f/init", INIT_5), FT_OK);
	ck_assert_int_eq(say("c1", "$file/f/0", "1234"), FT_SEGMENT_TOO_LARGE);
	ck_assert_int_eq(say("c1", "$file/g/init", INIT_N), FT_TOO_MANY_TRANSFERS);
	ck_assert_int_eq(say("d", "$file/f/init", INIT_5), FT_FILE_TOO_LARGE);
	ck_assert_int_eq(say_as("anna", "d", "$file/f/put/n", "12345678"), FT_OK);
	ck_assert_int_eq(say_as("anna", "d", "$file/g/put/n", "12"), FT_QUOTA_EXCEEDED);
	ck_assert_int_eq(say_as("bert", "d", "$file/g/put/n", "12"), FT_OK);
	ck_assert_int_eq(say_as("", "d", "$file/g/init", INIT_5), FT_FILE_TOO_LARGE);
}
END_TEST

/* Who has none has another one than who has an empty one. */
START_TEST(test_limits__tell_users_apart)
{
	use_limits("{\"overrides\": [{\"user\": \"*\", \"max_file_size\": 4}]}");
	rig_start(&rig);
	ck_assert_int_eq(say("d", "$file/f/init", INIT_5), FT_OK);
	ck_assert_int_eq(say_as("", "d", "$file/f/init", INIT_5), FT_FILE_TOO_LARGE);
	ck_assert_int_eq(say_as("anna", "d", "$file/f/init", INIT_5), FT_FILE_TOO_LARGE);
	ck_assert_int_eq(say("d", "$file/f/init", INIT_5), FT_OK);
}
END_TEST

START_TEST(test_limits__follow_the_file_when_it_is_read_again)
{
	use_limits("{\"overrides\": []}");
	rig_start(&rig);
	fake_watch_this_thread();
	ck_assert_int_eq(say("c", "$file/f/put/n", "12345"), FT_OK);
	write_limits("{\"overrides\": [{\"client\": \"c\", \"client_quota\": 6, \"client_rate\": 2}]}");
	ck_assert_int_eq(say("c", "$file/g/put/n", "1"), FT_OK);
	reload();
	ck_assert(rig_logged(&rig, "limits_file: client 'c' is new: client_quota none -> 6,"
				   " client_rate none -> 2"));
	ck_assert(rig_logged(&rig, "was read again: 1 overrides, 1 changes"));
	ck_assert_int_eq(say("c", "$file/h/put/n", "1"), FT_QUOTA_EXCEEDED);
	ck_assert_int_eq(say("c", "$file/h/put/n", "1"), FT_QUOTA_EXCEEDED);
	ck_assert_int_eq(say("c", "$file/h/put/n", "1"), FT_RATE_LIMITED);
	ck_assert_int_eq(say("d", "$file/h/put/n", "1"), FT_OK);
	/* Two at a time: the last one counts. */
	fake_hang(FAKE_FIND);
	write_limits("{\"overrides\": [{\"client\": \"c\"}]}");
	ft_engine_reload(rig.engine);
	ft_engine_reload(rig.engine);
	write_limits("{\"overrides\": [{\"client\": \"c\", \"max_file_size\": 1}]}");
	ft_engine_reload(rig.engine);
	fake_go_on();
	rig_settle(&rig);
	ck_assert_int_eq(say("c", "$file/h/put/n", "12"), FT_FILE_TOO_LARGE);
}
END_TEST

START_TEST(test_limits__keep_what_the_file_said_before_it_was_wrong)
{
	use_limits("{\"overrides\": [{\"client\": \"c\", \"max_file_size\": 1}]}");
	rig_start(&rig);
	write_limits("{\"overrides\": [{\"client\": \"c\", \"max_file_size\": \"1X\"}]}");
	reload();
	ck_assert(rig_logged(&rig, "limits.json: override 1: max_file_size 1X: must be a size"));
	ck_assert(rig_logged(&rig, "; what it said before still counts"));
	ck_assert_int_eq(say("c", "$file/f/put/n", "12"), FT_FILE_TOO_LARGE);
	ck_assert_int_eq(unlink(rig.options.limits_file), 0);
	reload();
	ck_assert(rig_logged(&rig, "limits.json: cannot be read: No such file or directory; what"));
	ck_assert_int_eq(say("c", "$file/f/put/n", "12"), FT_FILE_TOO_LARGE);
}
END_TEST

START_TEST(test_limits__refuse_to_start_with_a_wrong_file)
{
	use_limits("{");
	ck_assert_int_ne(rig_try_start(&rig), FT_OK);
	ck_assert(rig_logged(&rig, "limits.json: line 1: is no JSON"));
	ck_assert(!rig_logged(&rig, "still counts"));
	ck_assert_int_eq(unlink(rig.options.limits_file), 0);
	ck_assert_int_ne(rig_try_start(&rig), FT_OK);
	ck_assert(rig_logged(&rig, "cannot be read: No such file or directory\n"));
	/* What would never end is not waited for. */
	ck_assert_int_eq(mkfifo(rig.options.limits_file, 0600), 0);
	ck_assert_int_ne(rig_try_start(&rig), FT_OK);
	ck_assert(rig_logged(&rig, "cannot be read: it is no file\n"));
	ck_assert_int_eq(unlink(rig.options.limits_file), 0);
	write_limits("");
	ck_assert_int_eq(truncate(rig.options.limits_file, FT_OVERRIDES_TEXT_MAX + 1), 0);
	ck_assert_int_ne(rig_try_start(&rig), FT_OK);
	ck_assert(rig_logged(&rig, "is larger than 1048576 bytes\n"));
	write_limits("{\"overrides\": []}");
	rig_start(&rig);
}
END_TEST

/* --- operators change it --- */

#define SET(members) "{\"command\":\"setLimits\"," members "}"

static const char *limits_text(void)
{
	static char text[4096];
	FILE *file = fopen(rig.options.limits_file, "r");
	size_t got;

	ck_assert_ptr_nonnull(file);
	got = fread(text, 1, sizeof text - 1, file);
	text[got] = '\0';
	fclose(file);
	cJSON_Minify(text);
	return text;
}

static void asks(const char *command, const char *expected)
{
	rig_control_says(&rig, command, expected);
}

START_TEST(test_limits__are_set_at_once_and_for_good)
{
	struct stat before, after;

	rig.options.control = FT_CONTROL_TRUSTED;
	rig.user = "root";
	use_limits("{\"overrides\": [{\"client\": \"*\", \"client_rate\": \"1000\"}]}");
	ck_assert_int_eq(chmod(rig.options.limits_file, 0604), 0);
	rig_start(&rig);
	ck_assert_int_eq(stat(rig.options.limits_file, &before), 0);
	ck_assert_int_eq(say("c", "$file/f/put/n", "12"), FT_OK);
	asks(SET("\"client\":\"c\",\"limits\":{\"max_file_size\":1}"),
	     "{\"data\":{\"overrides\":2,\"position\":1,\"max_file_size\":1,\"max_segment_size\":2097152,"
	     "\"max_transfers_per_client\":100}}");
	ck_assert_int_eq(say("c", "$file/g/put/n", "12"), FT_FILE_TOO_LARGE);
	ck_assert_str_eq(limits_text(), "{\"overrides\":[{\"client\":\"c\",\"max_file_size\":1},"
			 "{\"client\":\"*\",\"client_rate\":\"1000\"}]}");
	ck_assert_int_eq(stat(rig.options.limits_file, &after), 0);
	ck_assert_uint_eq(after.st_mode, before.st_mode);
	ck_assert(after.st_ino != before.st_ino);
	ft_logger_drain(rig.logger);
	ck_assert(rig_logged(&rig, "limits_file: client 'c' is new: max_file_size none -> 1, by an "
				   "operator (client 'operator', user 'root')"));
	reload();
	ck_assert(rig_logged(&rig, "was read again: 2 overrides, 0 changes"));
	ck_assert_int_eq(say("c", "$file/g/put/n", "12"), FT_FILE_TOO_LARGE);
	rig_restart(&rig);
	ck_assert_int_eq(say("c", "$file/g/put/n", "12"), FT_FILE_TOO_LARGE);
	asks(SET("\"client\":\"c\",\"unset\":[\"max_file_size\"]"),
	     "{\"data\":{\"overrides\":2,\"position\":1,\"max_segment_size\":2097152,"
	     "\"max_transfers_per_client\":100}}");
	ck_assert_int_eq(say("c", "$file/g/put/n", "12"), FT_OK);
	asks(SET("\"client\":\"c\",\"remove\":true"), "{\"data\":{\"overrides\":1}}");
	ck_assert_str_eq(limits_text(), "{\"overrides\":[{\"client\":\"*\",\"client_rate\":\"1000\"}]}");
	asks(SET("\"client\":\"c\",\"remove\":true"), "{\"error\":\"no_such_override\"}");
}
END_TEST

START_TEST(test_limits__are_not_set_over_what_somebody_else_wrote)
{
	static const char edited[] = "{\"overrides\":[{\"client\":\"d\",\"client_rate\":3}]}";

	rig.options.control = FT_CONTROL_TRUSTED;
	use_limits("{\"overrides\": []}");
	rig_start(&rig);
	write_limits(edited);
	asks(SET("\"client\":\"c\",\"limits\":{\"client_rate\":1}"), "{\"error\":\"limits_changed\"}");
	ck_assert_str_eq(limits_text(), edited);
	ck_assert(!rig_has_file(&rig, ".limits.json.file-transfer"));
	reload();
	asks(SET("\"client\":\"c\",\"limits\":{\"client_rate\":1}"),
	     "{\"data\":{\"overrides\":2,\"position\":2,\"client_rate\":1,\"max_segment_size\":2097152,"
	     "\"max_transfers_per_client\":100}}");
	/* What it cannot read it does not write. */
	write_limits("{\"overrides\":[] /* ours */}");
	asks(SET("\"client\":\"c\",\"limits\":{\"client_rate\":2}"), "{\"error\":\"limits_changed\"}");
	reload();
	asks(SET("\"client\":\"c\",\"limits\":{\"client_rate\":2}"), "{\"error\":\"limits_changed\"}");
	ck_assert_ptr_nonnull(strstr(rig.log, "still counts"));
}
END_TEST

START_TEST(test_limits__are_not_set_where_that_makes_no_sense)
{
	static const char text[] = "{\"overrides\":[]}";

	rig.options.control = FT_CONTROL_TRUSTED;
	rig_start(&rig);
	asks(SET("\"client\":\"c\",\"limits\":{}"), "{\"error\":\"invalid_file_command\"}");
	rig_stop(&rig);
	use_limits(text);
	rig_start(&rig);
	asks(SET("\"client\":\"c\",\"limits\":{\"client_rate\":\"1X\"}"), "{\"error\":\"invalid_limits\"}");
	asks(SET("\"client\":\"c\",\"limits\":{\"client_rate\":{\"a\":1}}"),
	     "{\"error\":\"invalid_limits\"}");
	asks(SET("\"client\":\"\",\"limits\":{}"), "{\"error\":\"invalid_limits\"}");
	asks(SET("\"client\":\"c\",\"limits\":{\"nonsense\":1}"), "{\"error\":\"invalid_limits\"}");
	ck_assert_str_eq(limits_text(), text);
	/* A directory where nothing can be made. */
	ck_assert_int_eq(mkdir(rig_path(&rig, ".limits.json.file-transfer"), 0700), 0);
	asks(SET("\"client\":\"c\",\"limits\":{}"), "{\"error\":\"io_error\"}");
	ck_assert_str_eq(limits_text(), text);
}
END_TEST

START_TEST(test_limits__are_set_behind_a_link)
{
	rig.options.control = FT_CONTROL_TRUSTED;
	use_limits("{\"overrides\":[]}");
	ck_assert_int_eq(rename(rig.options.limits_file, rig_path(&rig, "real.json")), 0);
	ck_assert_int_eq(symlink("real.json", rig.options.limits_file), 0);
	rig_start(&rig);
	asks(SET("\"user\":\"u\",\"limits\":{}"),
	     "{\"data\":{\"overrides\":1,\"position\":1,\"max_segment_size\":2097152,"
	     "\"max_transfers_per_client\":100}}");
	ck_assert_str_eq(limits_text(), "{\"overrides\":[{\"user\":\"u\"}]}");
	ck_assert(rig_has_file(&rig, "real.json"));
	asks("{\"command\":\"getLimits\"}",
	     "{\"data\":{\"max_segment_size\":2097152,\"max_transfers_per_client\":100,"
	     "\"overridden\":false,\"storage_used\":0,\"overrides\":[{\"user\":\"u\"}]}}");
}
END_TEST

FT_SUITE_IN_MEMORY_WITH("engine limits", set_up, tear_down,
	test_limits__count_what_is_held_and_finished,
	test_limits__take_nothing_for_what_is_held_already,
	test_limits__refuse_a_declared_size_at_once_and_reserve_nothing,
	test_limits__refuse_a_put_that_does_not_fit,
	test_limits__know_what_is_finished_though_there_is_no_room,
	test_limits__give_each_client_its_own_quota,
	test_limits__give_back_what_is_removed,
	test_limits__keep_the_sum_when_a_fin_fails,
	test_limits__do_not_count_what_could_not_be_written,
	test_limits__count_the_new_file_of_a_replaced_id,
	test_limits__are_exact_after_a_kill,
	test_limits__are_exact_after_the_catalog_is_lost,
	test_limits__find_at_once_what_consumers_took_when_there_is_no_room,
	test_limits__find_all_that_consumers_took,
	test_limits__find_thousands_and_tidy,
	test_limits__find_what_consumers_took_by_and_by,
	test_limits__keep_a_file_as_long_as_its_manifest_is_there,
	test_limits__give_back_a_file_once_however_it_is_found,
	test_limits__give_back_what_was_taken_and_sent_again,
	test_limits__look_for_nothing_without_a_quota,
	test_limits__say_when_there_is_room_again,
	test_limits__refuse_commands_above_the_rate,
	test_limits__refuse_bytes_above_the_bandwidth,
	test_limits__let_a_transfer_expire_of_which_all_is_refused,
	test_limits__say_when_clients_keep_to_their_rates_again,
	test_limits__refuse_names,
	test_limits__follow_the_file,
	test_limits__tell_users_apart,
	test_limits__follow_the_file_when_it_is_read_again,
	test_limits__keep_what_the_file_said_before_it_was_wrong,
	test_limits__refuse_to_start_with_a_wrong_file,
	test_limits__are_set_at_once_and_for_good,
	test_limits__are_not_set_over_what_somebody_else_wrote,
	test_limits__are_not_set_where_that_makes_no_sense,
	test_limits__are_set_behind_a_link);
