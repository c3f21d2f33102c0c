/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The rules of commands, on every store. */
#include "engine/engine.h"

#include <check.h>
#include <stdlib.h>

#include "base/sha256.h"

#include "../rig.h"
#include "../suite.h"

#define SHA_OF_HELLO "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define SHA_OF_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static struct rig rig;

/* Each test runs on all backends, one after the other. */
#define ON_EVERY_STORE(test) \
	static void test##_on(void); \
	START_TEST(test) \
	{ \
		for (const struct ft_store_ops *const *ops = ft_store_backends(); *ops; ops++) { \
			rig_setup(&rig, (*ops)->name); \
			rig_start(&rig); \
			test##_on(); \
			rig_teardown(&rig); \
		} \
	} \
	END_TEST \
	static void test##_on(void)

static enum ft_status say(const char *topic, const char *text)
{
	return rig_ask_text(&rig, "c", topic, text);
}

static void begin(void)
{
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"n\"}"), FT_OK);
}

static void finish_hello(void)
{
	begin();
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
}

ON_EVERY_STORE(test_engine__takes_a_file_from_init_to_fin)
{
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"n\",\"size\":5}"), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"receiving\"");
	ck_assert_str_eq(rig_member(&rig, "received"), "0");
	ck_assert_int_eq(say("$file/f/3", "lo"), FT_OK);
	ck_assert_int_eq(say("$file-async/f/0", "hel"), FT_OK);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "have"), "[[0,5]]");
	ck_assert_int_eq(say("$file/f/fin/5/" SHA_OF_HELLO, ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"complete\"");
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"complete\"");
	ck_assert_str_eq(rig_member(&rig, "received"), "5");
}

ON_EVERY_STORE(test_engine__resumes_by_init)
{
	begin();
	ck_assert_int_eq(say("$file/f/10", "abc"), FT_OK);
	begin();
	ck_assert_str_eq(rig_member(&rig, "have"), "[[10,3]]");
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"other\"}"), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"n\",\"size\":1}"),
			 FT_FILEMETA_CONFLICT);
}

ON_EVERY_STORE(test_engine__knows_nothing_of_what_was_never_begun)
{
	ck_assert_int_eq(say("$file/f/0", "x"), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(say("$file/f/0", ""), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(say("$file/f/fin/1", ""), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(say("$file/f/abort", ""), FT_OK);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"none\"");
	ck_assert_str_eq(rig_member(&rig, "have"), "[]");
}

ON_EVERY_STORE(test_engine__keeps_clients_apart)
{
	begin();
	ck_assert_int_eq(rig_ask_text(&rig, "d", "$file/f/0", "x"), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(rig_ask_text(&rig, "d", "$file/f/abort", ""), FT_OK);
	ck_assert_int_eq(say("$file/f/0", "x"), FT_OK);
}

ON_EVERY_STORE(test_engine__stores_nothing_of_a_bad_segment)
{
	begin();
	ck_assert_int_eq(say("$file/f/0/" SHA_OF_HELLO, "hellO"), FT_CHECKSUM_MISMATCH);
	ck_assert_int_eq(say("$file/f/9223372036854775807", "x"), FT_INVALID_OFFSET);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "received"), "0");
	ck_assert_int_eq(say("$file/f/0/" SHA_OF_HELLO, "hello"), FT_OK);
}

ON_EVERY_STORE(test_engine__names_what_is_missing)
{
	begin();
	ck_assert_int_eq(say("$file/f/2", "abc"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/10", ""), FT_INCOMPLETE);
	ck_assert_str_eq(rig_member(&rig, "missing"), "[[0,2],[5,5]]");
}

ON_EVERY_STORE(test_engine__keeps_the_bytes_when_the_checksum_is_wrong)
{
	begin();
	ck_assert_int_eq(say("$file/f/0", "jello"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5/" SHA_OF_HELLO, ""), FT_FILE_CHECKSUM_MISMATCH);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "have"), "[[0,5]]");
	ck_assert_int_eq(say("$file/f/0", "h"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5/" SHA_OF_HELLO, ""), FT_OK);
}

ON_EVERY_STORE(test_engine__takes_the_checksum_of_fin_before_that_of_init)
{
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"n\",\"checksum\":\"" SHA_OF_EMPTY "\"}"),
			 FT_OK);
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_FILE_CHECKSUM_MISMATCH);
	ck_assert_int_eq(say("$file/f/fin/5/" SHA_OF_HELLO, ""), FT_OK);
}

ON_EVERY_STORE(test_engine__cuts_what_is_beyond_the_size)
{
	begin();
	ck_assert_int_eq(say("$file/f/0", "hello world"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5/" SHA_OF_HELLO, ""), FT_OK);
}

ON_EVERY_STORE(test_engine__makes_an_empty_file)
{
	begin();
	ck_assert_int_eq(say("$file/f/fin/0/" SHA_OF_EMPTY, ""), FT_OK);
}

ON_EVERY_STORE(test_engine__retells_the_result_of_fin)
{
	finish_hello();
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5/" SHA_OF_HELLO, ""), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/6", ""), FT_ALREADY_COMPLETE);
	ck_assert_int_eq(say("$file/f/fin/5/" SHA_OF_EMPTY, ""), FT_ALREADY_COMPLETE);
}

ON_EVERY_STORE(test_engine__knows_a_finished_transfer_by_its_bytes)
{
	finish_hello();
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/1", "el"), FT_OK);
	ck_assert_int_eq(say("$file/f/0", "jello"), FT_ALREADY_COMPLETE);
	ck_assert_int_eq(say("$file/f/5", "x"), FT_ALREADY_COMPLETE);
	ck_assert_int_eq(say("$file/f/abort", ""), FT_ALREADY_COMPLETE);
	begin();
	ck_assert_str_eq(rig_member(&rig, "state"), "\"complete\"");
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"m\"}"), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"n\",\"size\":5,\"checksum\":\""
			     SHA_OF_HELLO "\"}"), FT_OK);
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"n\",\"size\":6}"),
			 FT_FILEMETA_CONFLICT);
}

ON_EVERY_STORE(test_engine__forgets_on_abort)
{
	begin();
	ck_assert_int_eq(say("$file/f/0", "x"), FT_OK);
	ck_assert_int_eq(say("$file/f/abort", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"none\"");
	ck_assert_int_eq(say("$file/f/0", "x"), FT_NO_SUCH_TRANSFER);
	begin();
	ck_assert_str_eq(rig_member(&rig, "received"), "0");
}

ON_EVERY_STORE(test_engine__answers_every_fin_of_one_assembly)
{
	begin();
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	rig_forget(&rig);
	/* Nothing is taken back between: all but the first meet an assembly in progress. */
	for (int i = 0; i < 16; i++)
		ck_assert_int_eq(rig_send(&rig, "c", "$file/f/fin/5", NULL, 0), FT_OK);
	ck_assert_int_eq(rig_send(&rig, "c", "$file/f/fin/5", NULL, 0), FT_BUSY);
	ck_assert_int_eq(rig_send(&rig, "c", "$file/f/fin/4", NULL, 0), FT_BUSY);
	ck_assert_int_eq(rig_send(&rig, "c", "$file/f/0", "hello", 5), FT_OK);
	ck_assert_int_eq(rig_send(&rig, "c", "$file/f/0", "jello", 5), FT_BUSY);
	ck_assert_int_eq(rig_send(&rig, "c", "$file/f/init", "{\"name\":\"n\"}", 12), FT_OK);
	ck_assert_str_eq(cJSON_GetObjectItem(rig_response(&rig, "$file/f/init")->json,
					     "state")->valuestring, "assembling");
	rig_wait(&rig, 16 + 5);
	ck_assert_int_eq(rig_response(&rig, "$file/f/fin/5")->status, FT_OK);
}

ON_EVERY_STORE(test_engine__refuses_beyond_the_limits)
{
	rig.options.max_file_size = 10;
	rig.options.max_segment_size = 4;
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"n\",\"size\":11}"), FT_FILE_TOO_LARGE);
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"n\",\"size\":10}"), FT_OK);
	ck_assert_int_eq(say("$file/f/0", "12345"), FT_SEGMENT_TOO_LARGE);
	ck_assert_int_eq(say("$file/f/8", "123"), FT_FILE_TOO_LARGE);
	ck_assert_int_eq(say("$file/f/fin/11", ""), FT_FILE_TOO_LARGE);
	ck_assert_int_eq(say("$file/f/6", "1234"), FT_OK);
}

ON_EVERY_STORE(test_engine__counts_transfers_per_client_and_in_all)
{
	rig.options.max_transfers = 3;
	rig.options.max_transfers_per_client = 2;
	ck_assert_int_eq(say("$file/1/init", "{\"name\":\"n\"}"), FT_OK);
	ck_assert_int_eq(say("$file/2/init", "{\"name\":\"n\"}"), FT_OK);
	ck_assert_int_eq(say("$file/3/init", "{\"name\":\"n\"}"), FT_TOO_MANY_TRANSFERS);
	ck_assert_int_eq(say("$file/1/init", "{\"name\":\"n\"}"), FT_OK);
	ck_assert_int_eq(rig_ask_text(&rig, "d", "$file/1/init", "{\"name\":\"n\"}"), FT_OK);
	ck_assert_int_eq(rig_ask_text(&rig, "e", "$file/1/init", "{\"name\":\"n\"}"),
			 FT_TOO_MANY_TRANSFERS);
	ck_assert_int_eq(say("$file/1/fin/0", ""), FT_OK);
	ck_assert_int_eq(rig_ask_text(&rig, "e", "$file/1/init", "{\"name\":\"n\"}"), FT_OK);
	ck_assert_int_eq(say("$file/2/abort", ""), FT_OK);
	ck_assert_int_eq(say("$file/3/init", "{\"name\":\"n\"}"), FT_OK);
}

static void pass(int64_t ms)
{
	rig.now_ms += ms;
	ft_engine_run(rig.engine, rig.now_ms);
}

/* A checkpoint in flight puts expiry off: short passes until it is back. */
static bool expires(const char *status_topic)
{
	for (int i = 0; i < 10000; i++) {
		pass(100);
		ck_assert_int_eq(say(status_topic, ""), FT_OK);
		if (strcmp(rig_member(&rig, "state"), "\"none\"") == 0)
			return true;
		usleep(100);
	}
	return false;
}

ON_EVERY_STORE(test_engine__expires_what_is_without_news)
{
	rig.options.segments_ttl = 2000;
	begin();
	ck_assert_int_eq(say("$file/g/init", "{\"name\":\"n\"}"), FT_OK);
	pass(1999000);
	ck_assert_int_eq(say("$file/g/0", "news"), FT_OK);
	pass(2000);
	ck_assert_int_eq(say("$file/f/0", "x"), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(say("$file/g/0", "news"), FT_OK);
	pass(2001000);
	ck_assert(expires("$file/g/status"));
}

ON_EVERY_STORE(test_engine__clamps_the_ttl_that_clients_ask_for)
{
	rig.options.segments_ttl_min = 50;
	rig.options.segments_ttl_max = 100;
	ck_assert_int_eq(say("$file/1/init", "{\"name\":\"n\",\"segments_ttl\":1}"), FT_OK);
	ck_assert_int_eq(say("$file/2/init", "{\"name\":\"n\",\"segments_ttl\":1000}"), FT_OK);
	ck_assert_int_eq(say("$file/3/init", "{\"name\":\"n\",\"segments_ttl\":75}"), FT_OK);
	pass(49000);
	ck_assert_int_eq(rig_ask_text(&rig, "c", "$file/1/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"receiving\"");
	pass(2000);
	say("$file/1/status", "");
	ck_assert_str_eq(rig_member(&rig, "state"), "\"none\"");
	pass(20000);
	say("$file/3/status", "");
	ck_assert_str_eq(rig_member(&rig, "state"), "\"receiving\"");
	pass(5000);
	say("$file/3/status", "");
	ck_assert_str_eq(rig_member(&rig, "state"), "\"none\"");
	say("$file/2/status", "");
	ck_assert_str_eq(rig_member(&rig, "state"), "\"receiving\"");
	pass(30000);
	say("$file/2/status", "");
	ck_assert_str_eq(rig_member(&rig, "state"), "\"none\"");
}

/* Large enough that hashing behind the writer, in jobs, takes part; overwritten under it. */
ON_EVERY_STORE(test_engine__hashes_right_when_bytes_change_behind_the_hash)
{
	enum { BLOCK = 1 << 20, BLOCKS = 12 };
	static char block[BLOCK], topic[64];
	struct ft_hasher *hasher = ft_hasher_new();
	struct ft_sha256 digest;
	char hex[65];
	struct ft_buf buf = ft_buf_on(hex, sizeof hex);

	begin();
	for (int i = 0; i < BLOCKS; i++) {
		memset(block, i, sizeof block);
		snprintf(topic, sizeof topic, "$file/f/%d", i * BLOCK);
		ck_assert_int_eq(rig_ask(&rig, "c", topic, block, sizeof block), FT_OK);
		ft_engine_run(rig.engine, rig.now_ms);
	}
	/* The first byte again, and differently: all that was hashed is void. */
	ck_assert_int_eq(say("$file/f/0", "X"), FT_OK);
	for (int i = 0; i < BLOCKS; i++) {
		memset(block, i, sizeof block);
		block[0] = i == 0 ? 'X' : block[0];
		ft_hasher_update(hasher, block, sizeof block);
	}
	ck_assert(ft_hasher_digest(hasher, &digest));
	ft_hasher_free(hasher);
	ft_buf_hex(&buf, digest.bytes, sizeof digest.bytes);
	snprintf(topic, sizeof topic, "$file/f/fin/%d", BLOCKS * BLOCK);
	ck_assert_int_eq(say(topic, ""), FT_OK);
	{
		char checked[200];

		snprintf(checked, sizeof checked, "%s/%s", topic, hex);
		ck_assert_int_eq(say(checked, ""), FT_OK);
	}
}

START_TEST(test_engine__finds_everything_again_after_a_restart)
{
	rig_setup(&rig, "fs");
	rig_start(&rig);
	finish_hello();
	ck_assert_int_eq(say("$file/g/init", "{\"name\":\"n\"}"), FT_OK);
	ck_assert_int_eq(say("$file/g/2", "abc"), FT_OK);
	rig_stop(&rig);
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	ck_assert_int_eq(say("$file/g/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "have"), "[[2,3]]");
	ck_assert_int_eq(say("$file/g/0", "ab"), FT_OK);
	ck_assert_int_eq(say("$file/g/fin/5", ""), FT_OK);
	rig_teardown(&rig);
}
END_TEST

/* What the scan of the start saw may be gone when it comes to the engine. */
START_TEST(test_engine__does_not_take_back_what_went_away_during_the_scan)
{
	rig_setup(&rig, "fs");
	rig_start(&rig);
	begin();
	rig_stop(&rig);
	rig.options.max_transfers = 1;
	while (sem_trywait(&rig.notified) == 0)
		;
	rig_open(&rig);
	ck_assert_int_eq(sem_wait(&rig.notified), 0);	/* the scan's find is on its way */
	rig_forget(&rig);
	ck_assert_int_eq(rig_send(&rig, "c", "$file/f/abort", NULL, 0), FT_OK);
	rig_wait(&rig, 1);
	ck_assert_int_eq(say("$file/g/init", "{\"name\":\"n\"}"), FT_OK);
	rig_teardown(&rig);
}
END_TEST

START_TEST(test_engine__trusts_only_durable_bytes_after_a_power_cut)
{
	rig_setup(&rig, "fs");
	rig_start(&rig);
	begin();
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	rig_stop(&rig);
	rig.boot_id[0] = '2';
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"receiving\"");
	ck_assert_str_eq(rig_member(&rig, "received"), "0");
	rig_teardown(&rig);
}
END_TEST

START_TEST(test_engine__trusts_checkpointed_bytes_after_a_power_cut)
{
	ino_t before;

	rig_setup(&rig, "fs");
	rig_start(&rig);
	begin();
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	before = rig_journal(&rig);
	for (int i = 0; i < 10000 && rig_journal(&rig) == before; i++) {
		pass(6000);	/* bytes that old get a checkpoint */
		usleep(1000);
	}
	ck_assert(rig_journal(&rig) != before);
	ck_assert_int_eq(say("$file/f/5", "world"), FT_OK);
	rig_stop(&rig);
	rig.boot_id[0] = '2';
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "have"), "[[0,5]]");
	rig_teardown(&rig);
}
END_TEST

FT_SUITE("engine",
	 test_engine__takes_a_file_from_init_to_fin,
	 test_engine__resumes_by_init,
	 test_engine__knows_nothing_of_what_was_never_begun,
	 test_engine__keeps_clients_apart,
	 test_engine__stores_nothing_of_a_bad_segment,
	 test_engine__names_what_is_missing,
	 test_engine__keeps_the_bytes_when_the_checksum_is_wrong,
	 test_engine__takes_the_checksum_of_fin_before_that_of_init,
	 test_engine__cuts_what_is_beyond_the_size,
	 test_engine__makes_an_empty_file,
	 test_engine__retells_the_result_of_fin,
	 test_engine__knows_a_finished_transfer_by_its_bytes,
	 test_engine__forgets_on_abort,
	 test_engine__answers_every_fin_of_one_assembly,
	 test_engine__refuses_beyond_the_limits,
	 test_engine__counts_transfers_per_client_and_in_all,
	 test_engine__expires_what_is_without_news,
	 test_engine__clamps_the_ttl_that_clients_ask_for,
	 test_engine__hashes_right_when_bytes_change_behind_the_hash,
	 test_engine__finds_everything_again_after_a_restart,
	 test_engine__does_not_take_back_what_went_away_during_the_scan,
	 test_engine__trusts_only_durable_bytes_after_a_power_cut,
	 test_engine__trusts_checkpointed_bytes_after_a_power_cut);
