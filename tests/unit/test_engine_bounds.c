/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* However much clients ask for: what the engine keeps for them has an end, and is given back. */
#include <check.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../lib/fake_store.h"
#include "../lib/rig.h"
#include "../suite.h"

#define INIT_N "{\"name\":\"n\"}"
#define MIB ((uint64_t)1024 * 1024)

static struct rig rig;

static void set_up(void)
{
	fake_reset("fs");
	rig_setup(&rig, "fs");
	rig.ops = &fake_store;
	rig.options.limits.max_transfers_per_client = rig.options.max_transfers = 1000000;
}

static void start(void)
{
	rig_start(&rig);
	fake_watch_this_thread();
}

static void tear_down(void)
{
	fake_go_on();
	fake_unwatch();
	rig_teardown(&rig);
	fake_check();
}

static size_t kept(void)
{
	return rig.engine->registry.bytes + rig.engine->charged;
}

static void check_nothing_is_kept(void)
{
	rig_settle(&rig);
	ck_assert_uint_eq(rig.engine->registry.count, 0);
	ck_assert_uint_eq(kept(), 0);
	ck_assert_uint_eq(rig.engine->lookups, 0);
}

static enum ft_status send(const char *client, int number, const char *command, const char *payload)
{
	char topic[128];

	snprintf(topic, sizeof topic, "$file/f%d/%s", number, command);
	return rig_send_text(&rig, client, topic, payload);
}

/* Waits for its turn where the log is full, as clients do. */
static void send_patiently(int number, const char *command, const char *payload)
{
	enum ft_status st;

	while ((st = send("c", number, command, payload)) == FT_BUSY) {
		usleep(1000);
		rig_run(&rig);
	}
	ck_assert_int_eq(st, FT_OK);
}

/* --- many at a time --- */

#define MANY 5000

/* More than there are descriptors, in any case. */
static int many(void)
{
	return MANY / (rig_slowness() < 4 ? rig_slowness() : 4);
}

static size_t count_ok(void)
{
	size_t count = 0;

	for (size_t i = 0; i < rig.responses; i++)
		count += rig.response[i].status == FT_OK
			 && strstr(rig.response[i].topic, "/fin/") != NULL;
	return count;
}

static bool all_are_finished(void)
{
	return count_ok() == (size_t)many();
}

static void limit_descriptors(rlim_t most)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = most;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* All are begun and have their bytes; then all are to be finished. */
static void begin_many(void)
{
	for (int i = 0; i < many(); i++) {
		send_patiently(i, "init", INIT_N);
		send_patiently(i, "0", "hello");
	}
	rig_settle(&rig);
	rig_forget(&rig);
}

START_TEST(test_bounds__finishes_thousands_with_few_descriptors)
{
	size_t before;

	limit_descriptors(1024);
	start();
	begin_many();
	before = tree_entries("/proc/self/fd");
	fake_hang(FAKE_PUBLISH);
	for (int i = 0; i < many(); i++)
		ck_assert_int_eq(send("c", i, "fin/5", ""), FT_OK);
	fake_await_hanging(FAKE_PUBLISH);
	/* Who waits for a finisher has no descriptor open. */
	ck_assert_uint_lt(tree_entries("/proc/self/fd"), before + 200);
	fake_go_on();
	rig_wait_until(&rig, all_are_finished);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "files/c")), (size_t)many());
	check_nothing_is_kept();
}
END_TEST

START_TEST(test_bounds__takes_thousands_straight_from_the_log)
{
	limit_descriptors(1024);
	start();
	for (int i = 0; i < many(); i++) {
		send_patiently(i, "init", INIT_N);
		send_patiently(i, "0", "hello");
		send_patiently(i, "fin/5", "");
	}
	rig_wait_until(&rig, all_are_finished);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "files/c")), (size_t)many());
	check_nothing_is_kept();
}
END_TEST

/*
 * What the stop finds no time for is the next start's. Where the machine is so busy that no thread gets
 * to its end in time, the stop goes on without them, and a start beside them means nothing.
 */
START_TEST(test_bounds__finishes_thousands_over_a_stop)
{
	int64_t before_ms;

	start();
	begin_many();
	for (int i = 0; i < many(); i++)
		ck_assert_int_eq(send("c", i, "fin/5", ""), FT_OK);
	fake_unwatch();
	before_ms = ft_clock_ms();
	rig_stop(&rig);
	if (rig.abandoned)
		FT_SKIP("the machine was too busy for a stop in time");
	ck_assert_int_lt(ft_clock_ms() - before_ms, 5000 + 500 * rig_slowness());
	rig_start(&rig);
	rig_wait_until(&rig, all_are_finished);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "files/c")), (size_t)many());
	check_nothing_is_kept();
}
END_TEST

/* --- memory --- */

#define LONG_ID ((size_t)60000)

static const char *long_client(int number)
{
	static char client[LONG_ID + 16];

	memset(client, 'c', LONG_ID);
	snprintf(client + LONG_ID, 16, "%d", number);
	return client;
}

START_TEST(test_bounds__keeps_no_more_ids_than_max_memory_allows)
{
	const size_t most = 4 * MIB - 4 * MIB / ENGINE_MEMORY_ENDING;
	int accepted = 0;
	enum ft_status st = FT_OK;

	rig.options.max_memory = 4 * MIB;
	start();
	for (int i = 0; i < 1000; i++) {
		while ((st = send(long_client(i), 1, "init", INIT_N)) == FT_BUSY
		       && kept() + 2 * LONG_ID < most) {
			usleep(1000);	/* for the log */
			rig_run(&rig);
		}
		if (st != FT_OK)
			break;
		accepted++;
		ck_assert_uint_le(kept(), rig.options.max_memory);
	}
	ck_assert_int_eq(st, FT_BUSY);
	ck_assert_int_gt(accepted, 50);
	ck_assert_int_lt(accepted, 70);
	/* Another transfer of a client costs its id no more, */
	ck_assert_int_eq(send(long_client(0), 2, "init", INIT_N), FT_OK);
	/* and who aborts makes room. */
	for (int i = 0; i < accepted; i++) {
		ck_assert_int_eq(send(long_client(i), 1, "abort", ""), FT_OK);
		rig_settle(&rig);
	}
	ck_assert_int_eq(send(long_client(0), 2, "abort", ""), FT_OK);
	check_nothing_is_kept();
}
END_TEST

/* Each byte apart from the others is a range of its own. */
START_TEST(test_bounds__keeps_no_more_ranges_than_max_memory_allows)
{
	const size_t most = MIB / 4 - MIB / 4 / ENGINE_MEMORY_ENDING;
	char offset[32];
	enum ft_status st = FT_OK;
	int i;

	rig.options.max_memory = MIB / 4;
	start();
	send_patiently(1, "init", INIT_N);
	for (i = 0; i < 100000; i++) {
		snprintf(offset, sizeof offset, "%d", 2 * i);
		while ((st = send("c", 1, offset, "x")) == FT_BUSY
		       && kept() + 2 * ENGINE_RANGE_COST < most) {
			usleep(1000);
			rig_run(&rig);
		}
		rig_forget(&rig);
		if (st != FT_OK)
			break;
	}
	ck_assert_int_eq(st, FT_BUSY);
	ck_assert_int_gt(i, 4000);
	ck_assert_int_lt(i, 6000);
	ck_assert_uint_le(kept(), rig.options.max_memory);
	/* What is there can be finished, and what cannot be aborted. */
	rig_forget(&rig);
	ck_assert_int_eq(send("c", 1, "fin/1", ""), FT_OK);
	ck_assert_int_eq(rig_wait_for(&rig, "$file/f1/fin/1"), FT_OK);
	check_nothing_is_kept();
}
END_TEST

/* Each asks for the same result. */
START_TEST(test_bounds__keeps_no_more_waiting_answers_than_max_memory_allows)
{
	enum ft_status st = FT_OK;
	int accepted = 0;

	rig.options.max_memory = MIB / 4;
	start();
	send_patiently(1, "init", INIT_N);
	send_patiently(1, "0", "hello");
	fake_hang(FAKE_PUBLISH);
	for (; accepted < 100000 && (st = send("c", 1, "fin/5", "")) == FT_OK; accepted++)
		ck_assert_uint_le(kept(), rig.options.max_memory);
	ck_assert_int_eq(st, FT_BUSY);
	ck_assert_int_gt(accepted, 100);
	rig_forget(&rig);
	fake_go_on();
	rig_wait(&rig, (size_t)accepted);
	for (size_t i = 0; i < rig.responses; i++)
		ck_assert_int_eq(rig.response[i].status, FT_OK);
	check_nothing_is_kept();
}
END_TEST

/* Questions about what is finished wait for a finisher, with their segments. */
START_TEST(test_bounds__keeps_no_more_questions_than_it_can_answer)
{
	static char segment[64 * 1024];
	enum ft_status st = FT_OK;
	int accepted = 0;

	rig.options.max_memory = MIB;
	memset(segment, 'x', sizeof segment - 1);
	start();
	ck_assert_int_eq(rig_ask_text(&rig, "c", "$file/f1/put/n", segment), FT_OK);
	rig_settle(&rig);
	rig_forget(&rig);
	fake_hang(FAKE_FIND);
	for (; accepted < 100000 && (st = send("c", 1, "0", segment)) == FT_OK; accepted++)
		ck_assert_uint_le(kept(), rig.options.max_memory);
	ck_assert_int_eq(st, FT_BUSY);
	ck_assert_int_gt(accepted, 8);
	for (; accepted < 100000 && (st = send("c", 1, "status", "")) == FT_OK; accepted++)
		ck_assert_uint_le(kept(), rig.options.max_memory);
	ck_assert_int_eq(st, FT_BUSY);
	rig_forget(&rig);
	fake_go_on();
	rig_wait(&rig, (size_t)accepted);
	for (size_t i = 0; i < rig.responses; i++)
		ck_assert_int_eq(rig.response[i].status, FT_OK);
	check_nothing_is_kept();
}
END_TEST

/* Those who sent in the meantime wait for the verdict. */
START_TEST(test_bounds__keeps_no_more_verdicts_waiting_than_max_memory_allows)
{
	enum ft_status st = FT_OK;
	int accepted = 0;

	rig.options.max_memory = MIB / 4;
	start();
	ck_assert_int_eq(rig_ask_text(&rig, "c", "$file/f1/put/n", "hello"), FT_OK);
	rig_settle(&rig);
	rig_forget(&rig);
	fake_hang(FAKE_FIND);
	ck_assert_int_eq(send("c", 1, "init", INIT_N), FT_OK);
	for (; accepted < 100000 && (st = send("c", 1, "0", "hello")) == FT_OK; accepted++)
		ck_assert_uint_le(kept(), rig.options.max_memory);
	ck_assert_int_eq(st, FT_BUSY);
	rig_forget(&rig);
	fake_go_on();
	rig_wait(&rig, (size_t)accepted + 1);
	for (size_t i = 0; i < rig.responses; i++)
		ck_assert_int_eq(rig.response[i].status, FT_OK);
	check_nothing_is_kept();
}
END_TEST

/* What many leave behind expires in slices, such that nobody waits long. */
START_TEST(test_bounds__expires_many_in_slices)
{
	start();
	for (int i = 0; i < 1000; i++)
		send_patiently(i, "init", INIT_N);
	rig_settle(&rig);
	rig_pass(&rig, (int64_t)rig.options.segments_ttl * 1000 + 1000);
	ck_assert_uint_gt(rig.engine->registry.count, 800);
	for (int i = 0; i < 100 && rig.engine->registry.count > 0; i++) {
		ck_assert_int_le(ft_engine_due_ms(rig.engine), rig.now_ms + 1000);
		rig_pass(&rig, ft_engine_due_ms(rig.engine) - rig.now_ms);
		rig_settle(&rig);
	}
	check_nothing_is_kept();
}
END_TEST

FT_SUITE_IN_MEMORY_WITH("engine bounds", set_up, tear_down,
	test_bounds__finishes_thousands_with_few_descriptors,
	test_bounds__takes_thousands_straight_from_the_log,
	test_bounds__finishes_thousands_over_a_stop,
	test_bounds__keeps_no_more_ids_than_max_memory_allows,
	test_bounds__keeps_no_more_ranges_than_max_memory_allows,
	test_bounds__keeps_no_more_waiting_answers_than_max_memory_allows,
	test_bounds__keeps_no_more_questions_than_it_can_answer,
	test_bounds__keeps_no_more_verdicts_waiting_than_max_memory_allows,
	test_bounds__expires_many_in_slices);
