/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The rules of commands, on every store. */
#include <check.h>
#include <unistd.h>

#include "base/sha256.h"

#include "../lib/rig.h"
#include "../suite.h"

#define SHA_OF_HELLO "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define SHA_OF_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static struct rig rig;

/* Each test runs on all backends, one after the other; but for s3, the last, which needs a server. */
#define ON_EVERY_STORE(test) \
	static void test##_on(void); \
	START_TEST(test) \
	{ \
		for (const struct ft_store_ops *const *ops = ft_store_backends(); \
		     strcmp((*ops)->name, "s3") != 0; ops++) { \
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
	ck_assert_int_eq(rig_send(&rig, "c", "$file/f/fin/4", NULL, 0), FT_BUSY);
	ck_assert_int_eq(rig_send(&rig, "c", "$file/f/0", "hello", 5), FT_BUSY);
	ck_assert_int_eq(rig_send(&rig, "c", "$file/f/init", "{\"name\":\"n\"}", 12), FT_OK);
	ck_assert_str_eq(rig_member_of(&rig, "$file/f/init", "state"), "\"assembling\"");
	rig_wait(&rig, 16 + 3);
	ck_assert_int_eq(rig_response(&rig, "$file/f/fin/5")->status, FT_OK);
	ck_assert_uint_eq(rig_count(&rig, "$file/f/fin/5"), 16);
}

ON_EVERY_STORE(test_engine__refuses_beyond_the_limits)
{
	rig.options.limits.max_file_size = 10;
	rig.options.limits.max_segment_size = 4;
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
	rig.options.limits.max_transfers_per_client = 2;
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

ON_EVERY_STORE(test_engine__expires_what_is_without_news)
{
	rig.options.segments_ttl = 2000;
	begin();
	ck_assert_int_eq(say("$file/g/init", "{\"name\":\"n\"}"), FT_OK);
	rig_pass(&rig, 1999000);
	ck_assert_int_eq(say("$file/g/0", "news"), FT_OK);
	rig_pass(&rig, 3000);
	ck_assert_int_eq(say("$file/f/0", "x"), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(say("$file/g/0", "news"), FT_OK);
	rig_pass(&rig, 2001000);
	ck_assert_int_eq(say("$file/g/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"none\"");
}

static bool is_unfinished(const char *file)
{
	const struct ft_key key = { "c", 1, file, strlen(file) };

	return ft_registry_find(&rig.engine->registry, &key) != NULL;
}

ON_EVERY_STORE(test_engine__clamps_the_ttl_that_clients_ask_for)
{
	rig.options.segments_ttl_min = 50;
	rig.options.segments_ttl_max = 100;
	ck_assert_int_eq(say("$file/1/init", "{\"name\":\"n\",\"segments_ttl\":1}"), FT_OK);
	ck_assert_int_eq(say("$file/2/init", "{\"name\":\"n\",\"segments_ttl\":1000}"), FT_OK);
	ck_assert_int_eq(say("$file/3/init", "{\"name\":\"n\",\"segments_ttl\":75}"), FT_OK);
	rig_pass(&rig, 49000);
	ck_assert(is_unfinished("1") && is_unfinished("2") && is_unfinished("3"));
	rig_pass(&rig, 2000);
	ck_assert(!is_unfinished("1") && is_unfinished("2") && is_unfinished("3"));
	rig_pass(&rig, 25000);
	ck_assert(is_unfinished("2") && !is_unfinished("3"));
	rig_pass(&rig, 25000);
	ck_assert(!is_unfinished("2"));
}

/* SPEC: news is a command that was carried out; what was refused is none. */
ON_EVERY_STORE(test_engine__counts_only_what_was_carried_out_as_news)
{
	rig.options.segments_ttl = 100;
	rig.options.segments_ttl_min = 1;
	rig.options.limits.max_segment_size = 4;
	for (int i = 0; i < 4; i++) {
		char topic[32];

		snprintf(topic, sizeof topic, "$file/%d/init", i);
		ck_assert_int_eq(say(topic, "{\"name\":\"n\"}"), FT_OK);
	}
	rig_pass(&rig, 60000);
	ck_assert_int_eq(say("$file/0/0", "12345"), FT_SEGMENT_TOO_LARGE);
	ck_assert_int_eq(say("$file/0/0/" SHA_OF_HELLO, "x"), FT_CHECKSUM_MISMATCH);
	ck_assert_int_eq(say("$file/0/fin/1", ""), FT_INCOMPLETE);
	ck_assert_int_eq(say("$file/0/init", "{\"name\":\"other\"}"), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(say("$file/1/0", ""), FT_OK);
	ck_assert_int_eq(say("$file/2/status", ""), FT_OK);
	ck_assert_int_eq(say("$file/3/init", "{\"name\":\"n\"}"), FT_OK);
	rig_pass(&rig, 60000);
	ck_assert(!is_unfinished("0"));
	ck_assert(is_unfinished("1") && is_unfinished("2") && is_unfinished("3"));
}

/* MQTT 5 clients have the PUBACK; what went wrong is told in any case. */
ON_EVERY_STORE(test_engine__answers_only_errors_where_the_client_wants_that)
{
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"n\",\"responses\":\"errors\"}"), FT_OK);
	rig_forget(&rig);
	ck_assert_int_eq(rig_send_text(&rig, "c", "$file/f/0", "hello"), FT_OK);
	ck_assert_uint_eq(rig.responses, 0);
	ck_assert_int_eq(rig_send_text(&rig, "c", "$file/f/0/" SHA_OF_HELLO, "x"),
			 FT_CHECKSUM_MISMATCH);
	ck_assert_uint_eq(rig.responses, 1);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	/* The option says it for those who say nothing. */
	rig.options.segment_responses = FT_RESPONSES_ERRORS;
	ck_assert_int_eq(say("$file/g/init", "{\"name\":\"n\"}"), FT_OK);
	rig_forget(&rig);
	ck_assert_int_eq(rig_send_text(&rig, "c", "$file/g/0", "hello"), FT_OK);
	ck_assert_uint_eq(rig.responses, 0);
	ck_assert_int_eq(say("$file/h/init", "{\"name\":\"n\",\"responses\":\"all\"}"), FT_OK);
	ck_assert_int_eq(say("$file/h/0", "hello"), FT_OK);
}

ON_EVERY_STORE(test_engine__takes_a_file_by_put)
{
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"complete\"");
	ck_assert_uint_eq(rig.responses, 1);
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"complete\"");
	ck_assert_int_eq(say("$file/f/put/n", "jello"), FT_ALREADY_COMPLETE);
	ck_assert_int_eq(say("$file/f/put/n/" SHA_OF_HELLO, "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/put/m", "hello"), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(say("$file/f/put/n", "hell"), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(say("$file/g/put/n/" SHA_OF_HELLO, "jello"), FT_FILE_CHECKSUM_MISMATCH);
	ck_assert_int_eq(say("$file/g/status", ""), FT_OK);
	ck_assert_str_eq(rig_member(&rig, "state"), "\"none\"");
	ck_assert_int_eq(say("$file/h/put/n/" SHA_OF_EMPTY, ""), FT_OK);
	ck_assert_int_eq(say("$file/i/put/..", "x"), FT_INVALID_FILEMETA);
}

ON_EVERY_STORE(test_engine__takes_a_put_into_what_was_begun_alike)
{
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"n\",\"size\":5}"), FT_OK);
	ck_assert_int_eq(say("$file/f/0", "jell"), FT_OK);
	ck_assert_int_eq(say("$file/f/put/m", "hello"), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(say("$file/f/0", "x"), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5/" SHA_OF_HELLO, ""), FT_OK);
	/* With a checksum, too, it is what comes last that counts. */
	ck_assert_int_eq(say("$file/g/init", "{\"name\":\"n\",\"size\":5,\"checksum\":\""
			     SHA_OF_HELLO "\"}"), FT_OK);
	ck_assert_int_eq(say("$file/g/0", "jello"), FT_OK);
	ck_assert_int_eq(say("$file/g/put/n/" SHA_OF_HELLO, "hello"), FT_OK);
	ck_assert_int_eq(say("$file/g/0", "jello"), FT_ALREADY_COMPLETE);
	ck_assert_int_eq(say("$file/g/0", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/g/fin/5/" SHA_OF_HELLO, ""), FT_OK);
}

ON_EVERY_STORE(test_engine__answers_every_put_of_one_assembly)
{
	rig_forget(&rig);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(rig_send_text(&rig, "c", "$file/f/put/n", "hello"), FT_OK);
	ck_assert_int_eq(rig_send_text(&rig, "c", "$file/f/put/m", "hello"), FT_FILEMETA_CONFLICT);
	rig_wait(&rig, 5);
	ck_assert_uint_eq(rig_count(&rig, "$file/f/put/n"), 4);
	ck_assert_int_eq(rig_response(&rig, "$file/f/put/n")->status, FT_OK);
	ck_assert_int_eq(say("$file/f/put/n/" SHA_OF_HELLO, "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5/" SHA_OF_HELLO, ""), FT_OK);
}

/* Until the next good init, whatever the state is in which it was refused. */
ON_EVERY_STORE(test_engine__refuses_segments_and_fin_after_a_refused_init)
{
	begin();
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"other\"}"), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_FILEMETA_CONFLICT);
	begin();
	ck_assert_str_eq(rig_member(&rig, "have"), "[[0,5]]");
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/fin/5/" SHA_OF_HELLO, ""), FT_OK);
}

ON_EVERY_STORE(test_engine__tells_no_success_of_another_file_to_who_was_refused_meanwhile)
{
	begin();
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	rig_forget(&rig);
	ck_assert_int_eq(rig_send(&rig, "c", "$file/f/fin/5", NULL, 0), FT_OK);
	ck_assert_int_eq(rig_send_text(&rig, "c", "$file/f/init", "{\"name\":\"other\"}"),
			 FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(rig_send(&rig, "c", "$file/f/fin/5", NULL, 0), FT_FILEMETA_CONFLICT);
	rig_wait(&rig, 3);
	ck_assert_uint_eq(rig_count(&rig, "$file/f/fin/5"), 2);
	ck_assert_int_eq(rig_response(&rig, "$file/f/fin/5")->status, FT_OK);
	/* The client's last word was about another file. */
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_FILEMETA_CONFLICT);
	begin();
	ck_assert_str_eq(rig_member(&rig, "state"), "\"complete\"");
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
}

static void check_account_is_empty(void)
{
	rig_settle(&rig);
	ck_assert_uint_eq(rig.engine->registry.count, 0);
	ck_assert_uint_eq(rig.engine->registry.bytes, 0);
	ck_assert_uint_eq(rig.engine->charged, 0);
	ck_assert_uint_eq(rig.engine->lookups, 0);
}

/* All that clients do, answered or not, and then nothing of it is kept. */
ON_EVERY_STORE(test_engine__returns_all_memory_to_the_account)
{
	check_account_is_empty();
	finish_hello();
	begin();
	ck_assert_int_eq(say("$file/f/0", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/f/0", "jello"), FT_ALREADY_COMPLETE);
	ck_assert_int_eq(say("$file/f/fin/5", ""), FT_OK);
	ck_assert_int_eq(say("$file/f/abort", ""), FT_ALREADY_COMPLETE);
	ck_assert_int_eq(say("$file/f/init", "{\"name\":\"m\"}"), FT_FILEMETA_CONFLICT);
	ck_assert_int_eq(say("$file/f/abort", ""), FT_ALREADY_COMPLETE);
	check_account_is_empty();
	ck_assert_int_eq(say("$file/g/init", "{\"name\":\"n\"}"), FT_OK);
	for (int i = 0; i < 50; i++) {
		char topic[32];

		snprintf(topic, sizeof topic, "$file/g/%d", 2 * i);
		ck_assert_int_eq(say(topic, "x"), FT_OK);
	}
	ck_assert_uint_gt(rig.engine->charged, 0);
	ck_assert_int_eq(say("$file/g/fin/100", ""), FT_INCOMPLETE);
	ck_assert_int_eq(say("$file/g/abort", ""), FT_OK);
	check_account_is_empty();
	ck_assert_int_eq(say("$file/h/put/n", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/h/put/n", "hello"), FT_OK);
	check_account_is_empty();
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

	rig_stop(&rig);
	rig.options.log_size = (uint64_t)32 * 1024 * 1024;
	tree_remove(rig.log_place.path);
	rig_start(&rig);
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

FT_SUITE_IN_MEMORY("engine",
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
	 test_engine__counts_only_what_was_carried_out_as_news,
	 test_engine__answers_only_errors_where_the_client_wants_that,
	 test_engine__takes_a_file_by_put,
	 test_engine__takes_a_put_into_what_was_begun_alike,
	 test_engine__answers_every_put_of_one_assembly,
	 test_engine__refuses_segments_and_fin_after_a_refused_init,
	 test_engine__tells_no_success_of_another_file_to_who_was_refused_meanwhile,
	 test_engine__returns_all_memory_to_the_account,
	 test_engine__hashes_right_when_bytes_change_behind_the_hash);
