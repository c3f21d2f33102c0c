/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/catalog_rig.h"
#include "../suite.h"

static struct catalog_rig rig;

static void setup(void)
{
	catalog_rig_init(&rig);
	ck_assert_int_eq(catalog_rig_open(&rig), FT_OK);
	ck_assert_int_eq(rig.past, FT_CATALOG_NEW);
}

static void teardown(void)
{
	catalog_rig_release(&rig);
}

static void begin(void)
{
	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_OK);
}

static void commit(void)
{
	ck_assert_int_eq(ft_catalog_commit(rig.catalog), FT_OK);
}

/* One fact in a transaction of its own. */
#define put(call) \
	do { \
		begin(); \
		ck_assert_int_eq(call, FT_OK); \
		commit(); \
	} while (0)

static void put_transfer(uint64_t number, const char *owner, const char *file)
{
	struct ft_facts facts = catalog_rig_facts(number, owner, file);

	put(ft_catalog_put_transfer(rig.catalog, &facts, FT_CATALOG_RECEIVING, 5));
}

static void put_held(uint64_t number, const char *pairs)
{
	struct ft_ranges ranges = catalog_rig_ranges(pairs);

	put(ft_catalog_put_held(rig.catalog, number, &ranges, 0, INT64_MAX));
	ft_ranges_release(&ranges);
}

static void put_durable(uint64_t number, const char *pairs)
{
	struct ft_ranges ranges = catalog_rig_ranges(pairs);

	put(ft_catalog_put_durable(rig.catalog, number, &ranges, 0, INT64_MAX));
	ft_ranges_release(&ranges);
}

static const struct ft_request ticket = {
	.client_id = "cam",
	.topic = "$file/f/fin/10",
	.response_topic = "answers/cam",
	.correlation = "\0\1",
	.correlation_len = 2,
};

static void put_fin(uint64_t number, uint64_t size)
{
	struct ft_fin fin = { .size = size };

	put(ft_catalog_put_fin(rig.catalog, number, &fin, &ticket));
}

/* The whole catalog reads so; now, and after it was closed and opened. */
static void says(const char *expected)
{
	for (int i = 0; i < 2; i++) {
		enum ft_status st;
		char *text = catalog_rig_dump(rig.catalog, &st);

		ck_assert_int_eq(st, FT_OK);
		ck_assert_str_eq(text, expected);
		free(text);
		ck_assert_int_eq(catalog_rig_reopen(&rig), FT_OK);
	}
}

/* A part of what it says. */
static void has(const char *part, bool expected)
{
	enum ft_status st;
	char *text = catalog_rig_dump(rig.catalog, &st);

	ck_assert_int_eq(st, FT_OK);
	ck_assert_msg((strstr(text, part) != NULL) == expected, "%s%s in:\n%s",
		      expected ? "not: " : "", part, text);
	free(text);
}

#define SHA_1 "0101010101010101010101010101010101010101010101010101010101010101"
#define SHA_2 "0202020202020202020202020202020202020202020202020202020202020202"
#define PROGRESS "progress last=0 run=0\n"

/* What catalog_rig_facts(1, "cam", "f") and put_transfer() are. */
#define FACTS_1(state, refused, news) \
	"transfer 1 state=" #state " refused=" #refused " news=" #news " owner=cam file=f" \
	" name=photo-1.jpg size=1000 sha256=" SHA_1 " id=00000000-0000-4000-8000-000000000001" \
	" received=1790000000000 expire=1800000000 ttl=60 responses=2 user_data={\"a\":1}"

START_TEST(test_catalog__begins_empty)
{
	says(PROGRESS);
}
END_TEST

START_TEST(test_catalog__is_new_until_it_is_filled)
{
	ck_assert_int_eq(catalog_rig_reopen(&rig), FT_OK);
	ck_assert_int_eq(rig.past, FT_CATALOG_NEW);
	put(ft_catalog_put_filled(rig.catalog));
	ck_assert_int_eq(catalog_rig_reopen(&rig), FT_OK);
	ck_assert_int_eq(rig.past, FT_CATALOG_CONTINUED);
}
END_TEST

START_TEST(test_catalog__keeps_all_facts_of_a_transfer)
{
	put_transfer(1, "cam", "f");
	says(PROGRESS FACTS_1(1, 0, 5) " held= durable=\n");
}
END_TEST

START_TEST(test_catalog__keeps_a_transfer_that_says_little)
{
	struct ft_facts facts = { .number = 9, .key = { "", 0, "x", 1 } };

	memcpy(facts.meta.name, "n", 2);
	put(ft_catalog_put_transfer(rig.catalog, &facts, FT_CATALOG_CONFLICT, -3));
	says(PROGRESS "transfer 9 state=3 refused=0 news=-3 owner= file=x name=n id= received=0"
	     " ttl=0 responses=0 user_data= held= durable=\n");
}
END_TEST

START_TEST(test_catalog__keeps_the_greatest_numbers)
{
	struct ft_facts facts = catalog_rig_facts(INT64_MAX, "cam", "f");
	struct ft_unfinished found;

	facts.meta.size = INT64_MAX;
	facts.terms.segments_ttl = UINT64_MAX;
	facts.terms.expire_at = INT64_MIN;
	put(ft_catalog_put_transfer(rig.catalog, &facts, FT_CATALOG_RECEIVING, INT64_MIN));
	put_held(INT64_MAX, "0-1 9223372036854775806-9223372036854775807");
	ck_assert_int_eq(ft_catalog_find_transfer(rig.catalog, INT64_MAX, &found), FT_OK);
	ck_assert_uint_eq(found.facts.number, INT64_MAX);
	ck_assert_uint_eq(found.facts.meta.size, INT64_MAX);
	ck_assert_uint_eq(found.facts.terms.segments_ttl, INT64_MAX);
	ck_assert_int_eq(found.facts.terms.expire_at, INT64_MIN);
	ck_assert_int_eq(found.news_run_ms, INT64_MIN);
	ck_assert(ft_ranges_cover(&found.held, INT64_MAX - 1, INT64_MAX));
	ft_ranges_release(&found.held);
}
END_TEST

START_TEST(test_catalog__finds_ids_of_any_bytes)
{
	static const char long_owner[60000] = { 'a', '\0', 'b', (char)0xff };
	/* Pairs that a careless rule would take for the same. */
	const struct ft_key keys[] = {
		{ "ab", 2, "c", 1 }, { "a", 1, "bc", 2 }, { "a\0b", 3, "c", 1 }, { "a", 1, "c", 1 },
		{ "a", 1, "c\0", 2 }, { "\xff", 1, "c", 1 }, { "\xc3\xbf", 2, "c", 1 }, { "", 0, "1", 1 },
		{ "1", 1, "1", 1 }, { "01", 2, "1", 1 }, { "A", 1, "c", 1 }, { "a ", 2, "c", 1 },
		{ long_owner, sizeof long_owner, "c", 1 }, { long_owner, sizeof long_owner - 1, "c", 1 },
	};
	const size_t count = sizeof keys / sizeof keys[0];

	for (size_t i = 0; i < count; i++) {
		struct ft_facts facts = catalog_rig_facts(i + 1, "", "x");
		struct ft_finished finished = catalog_rig_finished(i + 101, "", "x");

		facts.key = finished.key = keys[i];
		put(ft_catalog_put_transfer(rig.catalog, &facts, FT_CATALOG_RECEIVING, 0));
		put(ft_catalog_put_finished(rig.catalog, &finished, NULL));
	}
	ck_assert_int_eq(catalog_rig_reopen(&rig), FT_OK);
	for (size_t i = 0; i < count; i++) {
		struct ft_finished finished;
		struct ft_unfinished found;
		uint64_t number;

		ck_assert_int_eq(ft_catalog_find_number(rig.catalog, &keys[i], &number), FT_OK);
		ck_assert_uint_eq(number, i + 1);
		ck_assert_int_eq(ft_catalog_find_finished(rig.catalog, &keys[i], &finished), FT_OK);
		ck_assert_uint_eq(finished.number, i + 101);
		ck_assert_int_eq(ft_catalog_find_transfer(rig.catalog, number, &found), FT_OK);
		ck_assert_uint_eq(found.facts.key.owner_len, keys[i].owner_len);
		ck_assert_uint_eq(found.facts.key.file_len, keys[i].file_len);
		ck_assert_mem_eq(found.facts.key.owner, keys[i].owner, keys[i].owner_len);
		ck_assert_mem_eq(found.facts.key.file, keys[i].file, keys[i].file_len);
	}
}
END_TEST

START_TEST(test_catalog__finds_nothing_where_nothing_is)
{
	const struct ft_key key = { "a", 1, "b", 1 };
	struct ft_unfinished found;
	struct ft_finished finished;
	uint64_t number = 7;

	ck_assert_int_eq(ft_catalog_find_number(rig.catalog, &key, &number), FT_OK);
	ck_assert_uint_eq(number, 0);
	ck_assert_int_eq(ft_catalog_find_transfer(rig.catalog, 1, &found), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(ft_catalog_find_finished(rig.catalog, &key, &finished),
			 FT_NO_SUCH_TRANSFER);
	ck_assert_str_eq(rig.log, "");
}
END_TEST

START_TEST(test_catalog__replaces_facts_and_leaves_the_ranges)
{
	struct ft_facts facts = catalog_rig_facts(1, "cam", "f");

	put_transfer(1, "cam", "f");
	put_held(1, "3-5");
	put(ft_catalog_put_refused(rig.catalog, 1));
	facts.meta.has_size = false;
	put(ft_catalog_put_transfer(rig.catalog, &facts, FT_CATALOG_RECEIVING, 8));
	has(" size=", false);
	has(" refused=0 news=8 ", true);
	has(" held=[3-5] ", true);
}
END_TEST

START_TEST(test_catalog__has_one_unfinished_transfer_for_a_key)
{
	put_transfer(1, "cam", "f");
	put_held(1, "0-9");
	put_fin(1, 9);
	put_transfer(2, "cam", "f");
	has("transfer 1 ", false);
	has("transfer 2 ", true);
	has("answer 1 result=no_such_transfer ", true);
	put_transfer(1, "cam", "other");
	has(" held= durable=\n", true);
	has("[0-9]", false);
}
END_TEST

START_TEST(test_catalog__replaces_terms)
{
	struct ft_terms terms = { .segments_ttl = 9, .user_data = { "[2]", 3 } };

	put_transfer(1, "cam", "f");
	put(ft_catalog_put_refused(rig.catalog, 1));
	has(" refused=1 ", true);
	put(ft_catalog_put_terms(rig.catalog, 1, &terms));
	has(" refused=0 ", true);
	has(" expire=", false);
	has(" ttl=9 responses=0 user_data=[2] ", true);
}
END_TEST

START_TEST(test_catalog__keeps_the_last_news)
{
	put_transfer(1, "cam", "f");
	put(ft_catalog_put_news(rig.catalog, 1, 77));
	has(" news=77 ", true);
}
END_TEST

START_TEST(test_catalog__keeps_a_fin_and_who_asked)
{
	struct ft_fin fin = { .size = 10, .has_checksum = true };

	memset(fin.checksum.bytes, 2, FT_SHA256_LEN);
	put_transfer(1, "cam", "f");
	put_held(1, "0-10");
	put(ft_catalog_put_fin(rig.catalog, 1, &fin, &ticket));
	says(PROGRESS FACTS_1(2, 0, 5) " fin=10 fin_sha256=" SHA_2 " held=[0-10] durable=\n"
	     "answer 1 result=- client=cam topic=$file/f/fin/10 to=answers/cam"
	     " correlation=\\x00\\x01\n");
}
END_TEST

START_TEST(test_catalog__keeps_a_fin_of_nobody)
{
	struct ft_fin fin = { .size = 10 };

	put_transfer(1, "cam", "f");
	put(ft_catalog_put_fin(rig.catalog, 1, &fin, NULL));
	has(" state=2 ", true);
	has(" fin=10 held", true);
	has("answer", false);
}
END_TEST

START_TEST(test_catalog__tells_empty_correlation_data_from_none)
{
	struct ft_request empty = { .client_id = "c", .topic = "t", .correlation = "" };
	struct ft_request none = { .client_id = "c", .topic = "t" };
	struct ft_fin fin = { 0 };

	put_transfer(1, "cam", "f");
	put_transfer(2, "cam", "g");
	put(ft_catalog_put_fin(rig.catalog, 1, &fin, &empty));
	put(ft_catalog_put_fin(rig.catalog, 2, &fin, &none));
	has("answer 1 result=- client=c topic=t correlation=\n", true);
	has("answer 2 result=- client=c topic=t\n", true);
}
END_TEST

START_TEST(test_catalog__goes_back_to_receiving_when_a_fin_fails)
{
	put_transfer(1, "cam", "f");
	put_held(1, "0-10");
	put_fin(1, 10);
	put(ft_catalog_drop_fin(rig.catalog, 1, FT_FILE_CHECKSUM_MISMATCH));
	has(FACTS_1(1, 0, 5) " held=[0-10] durable=\n", true);
	has("answer 1 result=file_checksum_mismatch ", true);
	put_fin(1, 10);
	has("answer 1 result=- ", true);
}
END_TEST

START_TEST(test_catalog__keeps_each_result)
{
	for (int result = FT_OK + 1; result < FT_STATUS_COUNT; result++) {
		char expected[80];

		put_transfer(1, "cam", "f");
		put_fin(1, 10);
		put(ft_catalog_drop_fin(rig.catalog, 1, (enum ft_status)result));
		snprintf(expected, sizeof expected, "answer 1 result=%s ",
			 ft_status_word((enum ft_status)result));
		has(expected, true);
	}
}
END_TEST

START_TEST(test_catalog__keeps_a_result_without_a_fin)
{
	const struct ft_answer answer = { 8, ticket, true, FT_ALREADY_COMPLETE };

	put(ft_catalog_put_answer(rig.catalog, &answer));
	says(PROGRESS "answer 8 result=already_complete client=cam topic=$file/f/fin/10"
	     " to=answers/cam correlation=\\x00\\x01\n");
}
END_TEST

START_TEST(test_catalog__makes_a_finished_file_of_a_transfer)
{
	struct ft_finished finished = catalog_rig_finished(1, "cam", "f");

	put_transfer(1, "cam", "f");
	put_held(1, "0-10");
	put_durable(1, "0-10");
	put_fin(1, 10);
	put(ft_catalog_put_finished(rig.catalog, &finished, NULL));
	says(PROGRESS "answer 1 result=success client=cam topic=$file/f/fin/10 to=answers/cam"
	     " correlation=\\x00\\x01\n"
	     "finished 1 size=1000 id=00000000-0000-4000-8000-000000000001"
	     " completed=1790000005000 expire=1800000000 owner=cam file=f name=photo-1.jpg"
	     " sha256=" SHA_1 "\n");
	put(ft_catalog_drop_answer(rig.catalog, 1));
	has("answer", false);
	put_transfer(1, "cam", "f");
	has(" held= durable=\n", true);
}
END_TEST

START_TEST(test_catalog__replaces_a_finished_file_of_the_same_key)
{
	struct ft_finished first = catalog_rig_finished(1, "cam", "f");
	struct ft_finished second = catalog_rig_finished(2, "cam", "f");
	uint64_t replaced;

	second.has_expire_at = false;
	put(ft_catalog_put_finished(rig.catalog, &first, &replaced));
	ck_assert_uint_eq(replaced, 0);
	put(ft_catalog_put_finished(rig.catalog, &second, &replaced));
	ck_assert_uint_eq(replaced, first.size);
	has("finished 1 ", false);
	has("finished 2 size=2000 id=00000000-0000-4000-8000-000000000002"
	    " completed=1790000005000 owner=", true);
}
END_TEST

START_TEST(test_catalog__keeps_a_finished_file_beside_a_new_transfer)
{
	struct ft_finished finished = catalog_rig_finished(1, "cam", "f");

	put(ft_catalog_put_finished(rig.catalog, &finished, NULL));
	put_transfer(2, "cam", "f");
	has("finished 1 ", true);
	has("transfer 2 ", true);
	put(ft_catalog_drop_transfer(rig.catalog, 2));
	has("finished 1 ", true);
}
END_TEST

START_TEST(test_catalog__drops_a_finished_file_only_by_its_number)
{
	struct ft_finished finished = catalog_rig_finished(2, "cam", "f");

	put(ft_catalog_put_finished(rig.catalog, &finished, NULL));
	begin();
	ck_assert_int_eq(ft_catalog_drop_finished(rig.catalog, &finished.key, 1),
			 FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(ft_catalog_drop_finished(rig.catalog, &finished.key, 2), FT_OK);
	ck_assert_int_eq(ft_catalog_drop_finished(rig.catalog, &finished.key, 2),
			 FT_NO_SUCH_TRANSFER);
	commit();
	has("finished", false);
}
END_TEST

/* Each once, whatever is dropped meanwhile. */
START_TEST(test_catalog__goes_from_one_finished_file_to_the_next)
{
	static const char *const files[] = { "a", "b", "c" };
	struct ft_finished found;
	int64_t place = 0;

	for (uint64_t i = 0; i < 3; i++) {
		struct ft_finished finished = catalog_rig_finished(i + 1, "cam", files[i]);

		put(ft_catalog_put_finished(rig.catalog, &finished, NULL));
	}
	for (uint64_t i = 0; i < 3; i++) {
		ck_assert_int_eq(ft_catalog_next_finished(rig.catalog, &place, &found), FT_OK);
		ck_assert_uint_eq(found.number, i + 1);
		ck_assert_uint_eq(found.size, 1000 * (i + 1));
		ck_assert_uint_eq(found.key.file_len, 1);
		ck_assert_int_eq(*found.key.file, *files[i]);
		if (i != 1)
			put(ft_catalog_drop_finished(rig.catalog, &found.key, found.number));
	}
	ck_assert_int_eq(ft_catalog_next_finished(rig.catalog, &place, &found), FT_NO_SUCH_TRANSFER);
	place = 0;
	ck_assert_int_eq(ft_catalog_next_finished(rig.catalog, &place, &found), FT_OK);
	ck_assert_uint_eq(found.number, 2);
}
END_TEST

START_TEST(test_catalog__tells_who_waits_that_a_transfer_is_gone)
{
	put_transfer(1, "cam", "f");
	put_fin(1, 10);
	put(ft_catalog_drop_transfer(rig.catalog, 1));
	has("transfer 1 ", false);
	has("answer 1 result=no_such_transfer ", true);
	put(ft_catalog_drop_transfer(rig.catalog, 1));
}
END_TEST

START_TEST(test_catalog__does_not_change_a_result_that_is_known)
{
	put_transfer(1, "cam", "f");
	put_fin(1, 10);
	put(ft_catalog_drop_fin(rig.catalog, 1, FT_TIMEOUT));
	put(ft_catalog_drop_transfer(rig.catalog, 1));
	has("answer 1 result=timeout ", true);
}
END_TEST

START_TEST(test_catalog__knows_no_such_transfer)
{
	struct ft_ranges ranges = catalog_rig_ranges("0-1");
	struct ft_terms terms = { 0 };
	struct ft_fin fin = { 0 };
	struct ft_catalog *c = rig.catalog;

	begin();
	ck_assert_int_eq(ft_catalog_put_terms(c, 1, &terms), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(ft_catalog_put_refused(c, 1), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(ft_catalog_put_news(c, 1, 1), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(ft_catalog_put_fin(c, 1, &fin, &ticket), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(ft_catalog_drop_fin(c, 1, FT_TIMEOUT), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(ft_catalog_put_held(c, 1, &ranges, 0, 1), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(ft_catalog_put_durable(c, 1, &ranges, 0, 1), FT_NO_SUCH_TRANSFER);
	commit();
	says(PROGRESS);
	ft_ranges_release(&ranges);
}
END_TEST

START_TEST(test_catalog__holds_nothing_for_a_refused_init)
{
	struct ft_facts facts = catalog_rig_facts(1, "cam", "f");
	struct ft_ranges ranges = catalog_rig_ranges("0-1");
	struct ft_fin fin = { 0 };

	begin();
	ck_assert_int_eq(ft_catalog_put_transfer(rig.catalog, &facts, FT_CATALOG_CONFLICT, 0),
			 FT_OK);
	ck_assert_int_eq(ft_catalog_put_held(rig.catalog, 1, &ranges, 0, 1), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(ft_catalog_put_fin(rig.catalog, 1, &fin, NULL), FT_NO_SUCH_TRANSFER);
	commit();
	has("transfer 1 state=3 ", true);
	ft_ranges_release(&ranges);
}
END_TEST

START_TEST(test_catalog__keeps_progress_which_only_grows)
{
	put(ft_catalog_put_progress(rig.catalog, &(struct ft_progress){ 7, 100 }));
	put(ft_catalog_put_progress(rig.catalog, &(struct ft_progress){ 5, 200 }));
	put(ft_catalog_put_progress(rig.catalog, &(struct ft_progress){ 6, 50 }));
	says("progress last=7 run=200\n");
}
END_TEST

START_TEST(test_catalog__keeps_an_event_until_it_is_told)
{
	put(ft_catalog_put_event(rig.catalog, 7, "$file-event/cam/f", "{\"a\":1}", 7));
	put(ft_catalog_put_event(rig.catalog, 0, "$file-event/cam/g", "{}", 2));
	has("event 7 $file-event/cam/f {\"a\":1}\n", true);
	has("event 8 $file-event/cam/g {}\n", true);
	put(ft_catalog_put_event(rig.catalog, 7, "$file-event/cam/f", "{\"a\":2}", 7));
	put(ft_catalog_drop_event(rig.catalog, 8));
	put(ft_catalog_drop_event(rig.catalog, 9));
	has("event 7 $file-event/cam/f {\"a\":2}\n", true);
	has("event 8", false);
}
END_TEST

static enum ft_status stop_at_two(void *context, struct ft_unfinished *found)
{
	int *visits = context;

	ck_assert_uint_eq(found->facts.number, (uint64_t)++*visits);
	return *visits == 2 ? FT_CANCELLED : FT_OK;
}

START_TEST(test_catalog__ends_a_walk_with_the_visitors_error)
{
	int visits = 0;

	for (uint64_t i = 3; i > 0; i--)
		put_transfer(i, "cam", (const char[]){ (char)('a' + i), '\0' });
	ck_assert_int_eq(ft_catalog_each_transfer(rig.catalog, stop_at_two, &visits),
			 FT_CANCELLED);
	ck_assert_int_eq(visits, 2);
	/* Nothing is left open in which a checkpoint could not finish. */
	put_transfer(4, "cam", "z");
	ck_assert_int_eq(ft_catalog_checkpoint(rig.catalog), FT_OK);
}
END_TEST

static enum ft_status take_held(void *context, struct ft_unfinished *found)
{
	struct ft_ranges *taken = context;

	*taken = found->held;
	ft_ranges_init(&found->held);
	return FT_OK;
}

START_TEST(test_catalog__gives_ranges_away_to_a_visitor)
{
	struct ft_ranges taken;

	put_transfer(1, "cam", "f");
	put_held(1, "0-3 5-8");
	ck_assert_int_eq(ft_catalog_each_transfer(rig.catalog, take_held, &taken), FT_OK);
	ck_assert_uint_eq(taken.bytes, 6);
	ft_ranges_release(&taken);
}
END_TEST

FT_SUITE_WITH("catalog", setup, teardown, test_catalog__begins_empty,
	      test_catalog__is_new_until_it_is_filled, test_catalog__keeps_all_facts_of_a_transfer,
	      test_catalog__keeps_a_transfer_that_says_little,
	      test_catalog__keeps_the_greatest_numbers, test_catalog__finds_ids_of_any_bytes,
	      test_catalog__finds_nothing_where_nothing_is,
	      test_catalog__replaces_facts_and_leaves_the_ranges,
	      test_catalog__has_one_unfinished_transfer_for_a_key, test_catalog__replaces_terms,
	      test_catalog__keeps_the_last_news, test_catalog__keeps_a_fin_and_who_asked,
	      test_catalog__keeps_a_fin_of_nobody,
	      test_catalog__tells_empty_correlation_data_from_none,
	      test_catalog__goes_back_to_receiving_when_a_fin_fails,
	      test_catalog__keeps_each_result, test_catalog__keeps_a_result_without_a_fin,
	      test_catalog__makes_a_finished_file_of_a_transfer,
	      test_catalog__replaces_a_finished_file_of_the_same_key,
	      test_catalog__keeps_a_finished_file_beside_a_new_transfer,
	      test_catalog__drops_a_finished_file_only_by_its_number,
	      test_catalog__goes_from_one_finished_file_to_the_next,
	      test_catalog__tells_who_waits_that_a_transfer_is_gone,
	      test_catalog__does_not_change_a_result_that_is_known,
	      test_catalog__knows_no_such_transfer, test_catalog__holds_nothing_for_a_refused_init,
	      test_catalog__keeps_progress_which_only_grows,
	      test_catalog__keeps_an_event_until_it_is_told,
	      test_catalog__ends_a_walk_with_the_visitors_error,
	      test_catalog__gives_ranges_away_to_a_visitor);
