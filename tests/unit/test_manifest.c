/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/manifest.h"

#include <cjson/cJSON.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"

#define SHA "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static char why[256];

static enum ft_status parse(struct ft_init *init, const char *text)
{
	struct ft_buf detail = ft_buf_on(why, sizeof why);

	return ft_init_parse(init, text, strlen(text), &detail);
}

static void assert_refused(const char *text, enum ft_status status, const char *named)
{
	struct ft_init init;

	ck_assert_msg(parse(&init, text) == status, "%s", text);
	ck_assert_msg(strstr(why, named) != NULL, "%s: %s", text, why);
}

static void assert_accepted(const char *text)
{
	struct ft_init init;

	ck_assert_msg(parse(&init, text) == FT_OK, "%s: %s", text, why);
}

START_TEST(test_init__reads_every_key)
{
	struct ft_init init;

	ck_assert_int_eq(parse(&init, "{\"name\":\"a b.log\",\"size\":5368709120,"
			       "\"checksum\":\"" SHA "\",\"expire_at\":1900000000,"
			       "\"segments_ttl\":60,\"user_data\":{\"k\":[1,2]},"
			       "\"responses\":\"errors\",\"other\":1}"),
			 FT_OK);
	ck_assert_str_eq(init.meta.name, "a b.log");
	ck_assert(init.meta.has_size && init.meta.size == 5368709120u);
	ck_assert(init.meta.has_checksum && init.meta.checksum.bytes[0] == 0xe3);
	ck_assert(init.terms.has_expire_at && init.terms.expire_at == 1900000000);
	ck_assert_uint_eq(init.terms.segments_ttl, 60);
	ck_assert_uint_eq(init.terms.user_data.len, strlen("{\"k\":[1,2]}"));
	ck_assert(memcmp(init.terms.user_data.at, "{\"k\":[1,2]}", init.terms.user_data.len) == 0);
	ck_assert_int_eq(init.terms.responses, FT_RESPONSES_ERRORS);
}
END_TEST

START_TEST(test_init__takes_null_as_absent)
{
	struct ft_init init;

	ck_assert_int_eq(parse(&init, "{\"name\":\"f\",\"size\":null,\"checksum\":null,"
			       "\"expire_at\":null,\"segments_ttl\":null,\"user_data\":null,"
			       "\"responses\":null}"),
			 FT_OK);
	ck_assert(!init.meta.has_size && !init.meta.has_checksum && !init.terms.has_expire_at);
	ck_assert(init.terms.segments_ttl == 0 && init.terms.user_data.len == 0);
	ck_assert_int_eq(init.terms.responses, FT_RESPONSES_DEFAULT);
	assert_refused("{\"name\":null}", FT_INVALID_FILEMETA, "name");
}
END_TEST

START_TEST(test_init__refuses_bad_names)
{
	char text[400], name[300];

	assert_refused("{}", FT_INVALID_FILEMETA, "name");
	assert_refused("{\"name\":1}", FT_INVALID_FILEMETA, "name");
	assert_refused("{\"name\":\"\"}", FT_INVALID_FILEMETA, "name");
	assert_refused("{\"name\":\".\"}", FT_INVALID_FILEMETA, "name");
	assert_refused("{\"name\":\"..\"}", FT_INVALID_FILEMETA, "name");
	assert_refused("{\"name\":\"a/b\"}", FT_INVALID_FILEMETA, "name");
	assert_refused("{\"name\":\"a\\\\b\"}", FT_INVALID_FILEMETA, "name");
	assert_refused("{\"name\":\"c:\"}", FT_INVALID_FILEMETA, "name");
	assert_refused("{\"name\":\"a\\nb\"}", FT_INVALID_FILEMETA, "name");
	assert_refused("{\"name\":\"a\\u007f\"}", FT_INVALID_FILEMETA, "name");
	memset(name, 'n', sizeof name);
	name[240] = '\0';
	snprintf(text, sizeof text, "{\"name\":\"%s\"}", name);
	assert_accepted(text);
	name[240] = 'n';
	name[241] = '\0';
	snprintf(text, sizeof text, "{\"name\":\"%s\"}", name);
	assert_refused(text, FT_INVALID_FILEMETA, "name");
	assert_refused("{\"name\":\"a\\u0000b\"}", FT_INVALID_FILEMETA, "name");
	assert_refused("{\"name\":\"\\u0000\"}", FT_INVALID_FILEMETA, "name");
	assert_refused("{\"name\":\"a\\u0085b\"}", FT_INVALID_FILEMETA, "name");
	assert_refused("{\"name\":\"a.manifest.json\"}", FT_INVALID_FILEMETA, "manifest.json");
	assert_refused("{\"name\":\".manifest.json\"}", FT_INVALID_FILEMETA, "manifest.json");
	assert_accepted("{\"name\":\"a.MANIFEST.json\"}");
	assert_accepted("{\"name\":\"a.manifest.json.gz\"}");
	assert_accepted("{\"name\":\"manifest.json\"}");
	assert_accepted("{\"name\":\"...\"}");
	assert_accepted("{\"name\":\".hidden\"}");
	assert_accepted("{\"name\":\"\xf0\x9f\x9a\x9a\"}");
}
END_TEST

START_TEST(test_init__refuses_bad_numbers)
{
	assert_refused("{\"name\":\"f\",\"size\":-1}", FT_INVALID_FILEMETA, "size");
	assert_refused("{\"name\":\"f\",\"size\":1.5}", FT_INVALID_FILEMETA, "size");
	assert_refused("{\"name\":\"f\",\"size\":\"1\"}", FT_INVALID_FILEMETA, "size");
	assert_refused("{\"name\":\"f\",\"size\":true}", FT_INVALID_FILEMETA, "size");
	assert_refused("{\"name\":\"f\",\"size\":1e300}", FT_INVALID_FILEMETA, "size");
	assert_refused("{\"name\":\"f\",\"size\":1e999}", FT_INVALID_FILEMETA, "size");
	assert_refused("{\"name\":\"f\",\"size\":9007199254740993}", FT_INVALID_FILEMETA, "size");
	assert_accepted("{\"name\":\"f\",\"size\":9007199254740992}");
	assert_accepted("{\"name\":\"f\",\"size\":1e3}");
	assert_refused("{\"name\":\"f\",\"expire_at\":\"x\"}", FT_INVALID_FILEMETA, "expire_at");
	assert_refused("{\"name\":\"f\",\"expire_at\":-1}", FT_INVALID_FILEMETA, "expire_at");
	assert_refused("{\"name\":\"f\",\"expire_at\":9007199254740993}", FT_INVALID_FILEMETA,
		       "expire_at");
	assert_refused("{\"name\":\"f\",\"segments_ttl\":9007199254740993}", FT_INVALID_FILEMETA,
		       "segments_ttl");
	assert_refused("{\"name\":\"f\",\"segments_ttl\":0}", FT_INVALID_FILEMETA, "segments_ttl");
	assert_refused("{\"name\":\"f\",\"segments_ttl\":[]}", FT_INVALID_FILEMETA,
		       "segments_ttl");
	assert_accepted("{\"name\":\"f\",\"segments_ttl\":1}");
}
END_TEST

START_TEST(test_init__refuses_bad_checksums)
{
	assert_refused("{\"name\":\"f\",\"checksum\":\"\"}", FT_INVALID_FILEMETA, "checksum");
	assert_refused("{\"name\":\"f\",\"checksum\":\"xyz\"}", FT_INVALID_FILEMETA, "checksum");
	assert_refused("{\"name\":\"f\",\"checksum\":1}", FT_INVALID_FILEMETA, "checksum");
	assert_refused("{\"name\":\"f\",\"checksum\":\"" SHA "0\"}", FT_INVALID_FILEMETA,
		       "checksum");
}
END_TEST

/* A common client prints the digest as a number: one upload in 16 lacks a digit. */
START_TEST(test_init__pads_checksums_with_zeros_on_the_left)
{
	struct ft_sha256 expected;
	struct ft_init init;

	for (size_t digits = 64; digits >= 1; digits--) {
		char text[128], padded[65];

		memset(padded, '0', 64);
		memcpy(padded + 64 - digits, SHA, digits);
		padded[64] = '\0';
		ck_assert(ft_sha256_parse(&expected, padded, 64));
		snprintf(text, sizeof text, "{\"name\":\"f\",\"checksum\":\"%.*s\"}", (int)digits, SHA);
		ck_assert_msg(parse(&init, text) == FT_OK, "%s: %s", text, why);
		ck_assert(init.meta.has_checksum
			  && ft_sha256_equal(&init.meta.checksum, &expected));
	}
}
END_TEST

START_TEST(test_init__knows_two_kinds_of_responses)
{
	struct ft_init init;

	ck_assert_int_eq(parse(&init, "{\"name\":\"f\"}"), FT_OK);
	ck_assert_int_eq(init.terms.responses, FT_RESPONSES_DEFAULT);
	ck_assert_int_eq(parse(&init, "{\"name\":\"f\",\"responses\":\"all\"}"), FT_OK);
	ck_assert_int_eq(init.terms.responses, FT_RESPONSES_ALL);
	assert_refused("{\"name\":\"f\",\"responses\":\"none\"}", FT_INVALID_FILEMETA, "responses");
	assert_refused("{\"name\":\"f\",\"responses\":\"\"}", FT_INVALID_FILEMETA, "responses");
	assert_refused("{\"name\":\"f\",\"responses\":\"all but errors\"}", FT_INVALID_FILEMETA,
		       "responses");
	assert_refused("{\"name\":\"f\",\"responses\":true}", FT_INVALID_FILEMETA, "responses");
}
END_TEST

/* {"name":"f","<key>":[[...]]}, `depth` deep. */
static char *nested(const char *key, size_t depth)
{
	size_t room = 2 * depth + 64;
	char *text = malloc(room);
	struct ft_buf buf = ft_buf_on(text, room);

	ft_buf_printf(&buf, "{\"name\":\"f\",\"%s\":", key);
	for (size_t i = 0; i < depth; i++)
		ft_buf_char(&buf, '[');
	for (size_t i = 0; i < depth; i++)
		ft_buf_char(&buf, ']');
	ft_buf_char(&buf, '}');
	ck_assert(ft_buf_ok(&buf));
	return text;
}

START_TEST(test_init__takes_user_data_64_levels_deep)
{
	char *text = nested("user_data", 64);

	assert_accepted(text);
	free(text);
	text = nested("user_data", 65);
	assert_refused(text, FT_INVALID_FILEMETA, "user_data");
	free(text);
	text = nested("user_data", 30000);
	assert_refused(text, FT_INVALID_FILEMETA, "user_data");
	free(text);
	text = nested("other", 30000);
	assert_accepted(text);
	free(text);
}
END_TEST

START_TEST(test_init__tells_what_is_not_json_from_what_is_no_object)
{
	assert_refused("", FT_INVALID_FILEMETA_JSON, "empty");
	assert_refused("{", FT_INVALID_FILEMETA_JSON, "JSON");
	assert_refused("{\"name\":\"f\"} x", FT_INVALID_FILEMETA_JSON, "JSON");
	assert_refused("name", FT_INVALID_FILEMETA_JSON, "JSON");
	assert_refused("{\"name\":\"\xff\"}", FT_INVALID_FILEMETA_JSON, "UTF-8");
	assert_refused("[]", FT_INVALID_FILEMETA, "object");
	assert_refused("1", FT_INVALID_FILEMETA, "object");
	assert_refused("null", FT_INVALID_FILEMETA, "object");
	assert_accepted(" {\"name\":\"f\"}\n");
}
END_TEST

START_TEST(test_init__refuses_nul_bytes)
{
	static const char raw[] = "{\"name\":\"f\"}\0";
	struct ft_buf detail = ft_buf_on(why, sizeof why);
	struct ft_init init;

	ck_assert_int_eq(ft_init_parse(&init, raw, sizeof raw - 1, &detail),
			 FT_INVALID_FILEMETA_JSON);
}
END_TEST

START_TEST(test_init__refuses_more_than_64_kib)
{
	size_t room = FT_INIT_PAYLOAD_MAX + 2;
	char *text = malloc(room);
	struct ft_buf detail = ft_buf_on(why, sizeof why);
	struct ft_init init;

	memset(text, ' ', room);
	memcpy(text, "{\"name\":\"f\"}", 12);
	ck_assert_int_eq(ft_init_parse(&init, text, FT_INIT_PAYLOAD_MAX, &detail), FT_OK);
	ck_assert_int_eq(ft_init_parse(&init, text, FT_INIT_PAYLOAD_MAX + 1, &detail),
			 FT_INVALID_FILEMETA);
	free(text);
}
END_TEST

START_TEST(test_init__survives_deep_nesting)
{
	char text[60000];
	struct ft_init init;

	memset(text, '[', sizeof text);
	text[sizeof text - 1] = '\0';
	ck_assert_int_eq(parse(&init, text), FT_INVALID_FILEMETA_JSON);
}
END_TEST

START_TEST(test_name__is_checked_for_its_length_only)
{
	const char *fault;

	ck_assert_int_eq(ft_name_check("a/b", 1, &fault), FT_OK);
	ck_assert_ptr_null(fault);
	ck_assert_int_eq(ft_name_check("a.manifest.json", 10, &fault), FT_OK);
	ck_assert_int_eq(ft_name_check("a/b", 3, &fault), FT_INVALID_FILEMETA);
	ck_assert_ptr_nonnull(strstr(fault, "name"));
	ck_assert_int_eq(ft_name_check("a\0b", 3, &fault), FT_INVALID_FILEMETA);
	ck_assert_int_eq(ft_name_check("", 0, &fault), FT_INVALID_FILEMETA);
}
END_TEST

#define UUID "00000000-0000-4000-8000-000000000001"
#define RECEIVED_MS INT64_C(1767323045678)	/* 2026-01-02T03:04:05.678Z */
#define COMPLETED_MS INT64_C(1767323046000)

static struct ft_sha256 digest;

/* The manifest of what an init began under a key. */
static char *write_manifest(const char *init_text, const struct ft_key *key, uint64_t size)
{
	struct ft_facts facts = { .number = 7, .key = *key, .received_ms = RECEIVED_MS,
				  .transfer_id = UUID };
	struct ft_init init;
	char *text;
	size_t len;

	ck_assert_int_eq(parse(&init, init_text), FT_OK);
	ck_assert(ft_sha256_parse(&digest, SHA, 64));
	facts.meta = init.meta;
	facts.terms = init.terms;
	ck_assert_int_eq(ft_manifest_write(&facts, size, &digest, COMPLETED_MS, &text, &len), FT_OK);
	ck_assert_uint_eq(len, strlen(text));
	return text;
}

static void assert_member(const cJSON *json, const char *key, const char *printed)
{
	char *text = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(json, key));

	ck_assert_msg(text && strcmp(text, printed) == 0, "%s: %s", key, text);
	free(text);
}

static const struct ft_key plain_key = { "c", 1, "f", 1 };

START_TEST(test_manifest__says_all_that_is_known)
{
	struct ft_key key = { "dev/1", 5, "f\"1", 3 };
	char *text = write_manifest("{\"name\":\"a\",\"size\":7,\"checksum\":\"00\","
				    "\"segments_ttl\":60,\"expire_at\":9,\"responses\":\"all\","
				    "\"user_data\":[1,\"x\"]}", &key, 5368709121u);
	cJSON *json = cJSON_Parse(text);

	ck_assert_msg(json != NULL, "%s", text);
	assert_member(json, "client_id", "\"dev/1\"");
	assert_member(json, "file_id", "\"f\\\"1\"");
	assert_member(json, "name", "\"a\"");
	assert_member(json, "size", "5368709121");
	assert_member(json, "sha256", "\"" SHA "\"");
	assert_member(json, "transfer_id", "\"" UUID "\"");
	assert_member(json, "received_at", "\"2026-01-02T03:04:05.678Z\"");
	assert_member(json, "completed_at", "\"2026-01-02T03:04:06.000Z\"");
	assert_member(json, "expire_at", "9");
	assert_member(json, "user_data", "[1,\"x\"]");
	ck_assert_int_eq(cJSON_GetArraySize(json), 10);
	cJSON_Delete(json);
	free(text);
}
END_TEST

START_TEST(test_manifest__leaves_out_what_init_did_not_say)
{
	char *text = write_manifest("{\"name\":\"a\"}", &plain_key, 0);
	cJSON *json = cJSON_Parse(text);

	ck_assert_int_eq(cJSON_GetArraySize(json), 8);
	ck_assert(!cJSON_HasObjectItem(json, "expire_at"));
	ck_assert(!cJSON_HasObjectItem(json, "user_data"));
	cJSON_Delete(json);
	free(text);
}
END_TEST

static void read_back(const char *text, const struct ft_key *key, const char *name, uint64_t size)
{
	struct ft_finished finished;
	char *ids;

	ck_assert_msg(ft_manifest_read(&finished, &ids, text, strlen(text)) == FT_OK, "%s", text);
	ck_assert_uint_eq(finished.number, 0);
	ck_assert_uint_eq(finished.key.owner_len, key->owner_len);
	ck_assert_uint_eq(finished.key.file_len, key->file_len);
	ck_assert(memcmp(finished.key.owner, key->owner, key->owner_len) == 0);
	ck_assert(memcmp(finished.key.file, key->file, key->file_len) == 0);
	ck_assert_str_eq(finished.name, name);
	ck_assert_uint_eq(finished.size, size);
	ck_assert(ft_sha256_equal(&finished.checksum, &digest));
	ck_assert_str_eq(finished.transfer_id, UUID);
	ck_assert_int_eq(finished.completed_ms, COMPLETED_MS);
	free(ids);
}

START_TEST(test_manifest__is_read_as_it_was_written)
{
	char owner[FT_OWNER_MAX], file[FT_FILE_ID_MAX];
	struct ft_key keys[] = {
		plain_key, { "", 0, "..", 2 }, { "\xff\x01", 2, "\xfe", 1 }, { "a\0b", 3, "\xf0\x9f\x9a\x9a", 4 },
		{ "/etc/passwd", 11, "\"\\\n\x7f", 4 }, { owner, sizeof owner, file, sizeof file },
	};

	memset(owner, 1, sizeof owner);
	memset(file, 0xff, sizeof file);
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		char *text = write_manifest("{\"name\":\"\xc3\xa9 \\\" x\"}", &keys[i], 12345);

		read_back(text, &keys[i], "\xc3\xa9 \" x", 12345);
		free(text);
	}
}
END_TEST

/* Else an init after a restart would conflict with the one before. */
START_TEST(test_manifest__keeps_integers_to_the_last_digit)
{
	static const char *const numbers[] = { "9007199254740992", "9007199254740991",
					       "5000000000000001", "1000000000000001", "0" };
	struct ft_finished finished;
	char init[128], *text, *ids;

	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		uint64_t number = strtoull(numbers[i], NULL, 10);

		snprintf(init, sizeof init, "{\"name\":\"a\",\"expire_at\":%s}", numbers[i]);
		text = write_manifest(init, &plain_key, number);
		read_back(text, &plain_key, "a", number);
		ck_assert_int_eq(ft_manifest_read(&finished, &ids, text, strlen(text)), FT_OK);
		ck_assert(finished.has_expire_at && finished.expire_at == (int64_t)number);
		free(ids);
		free(text);
	}
}
END_TEST

START_TEST(test_manifest__writes_ids_that_are_not_utf8_as_hex)
{
	struct ft_key key = { "\xff\x01", 2, "f", 1 };
	char *text = write_manifest("{\"name\":\"a\"}", &key, 0);
	cJSON *json = cJSON_Parse(text);

	assert_member(json, "client_id_hex", "\"ff01\"");
	ck_assert(!cJSON_HasObjectItem(json, "client_id"));
	cJSON_Delete(json);
	free(text);
}
END_TEST

START_TEST(test_manifest__keeps_user_data_to_the_letter)
{
	static const char user_data[] = "{ \"ns\": 1795188444618813123, \"p\": 1.10,\r\n"
					"\"big\": 1e400, \"nul\": \"\\u0000\" , \"dup\": 1, \"dup\": 2,"
					" \"long\": 0."
					"0123456789012345678901234567890123456789012345678901234567"
					"8901234567890123456789 }";
	char init[600], *text;

	snprintf(init, sizeof init, "{\"user_data\":%s,\"name\":\"a\"}", user_data);
	text = write_manifest(init, &plain_key, 3);
	ck_assert_msg(strstr(text, user_data) != NULL, "%s", text);
	read_back(text, &plain_key, "a", 3);
	free(text);
}
END_TEST

/* With a member of each kind that a key of ours may be mistaken for. */
#define FORMER(head, tail) \
	head "\"client_id\":\t\"c\",\n\t\"file_id\":\t\"f\",\n\t\"name\":\t\"a.manifest.json\"," \
	"\n\t\"transfer_id\":\t\"" UUID "\",\n\t\"received_at\":\t\"2026-01-02T03:04:05.678Z\"," \
	"\n\t\"size\":\t5,\n\t\"sha256\":\t\"" SHA "\"," \
	"\n\t\"completed_at\":\t\"2026-01-02T03:04:06.000Z\"" tail

START_TEST(test_manifest__of_a_former_version_is_read)
{
	ck_assert(ft_sha256_parse(&digest, SHA, 64));
	read_back(FORMER("{\n\t", "\n}"), &plain_key, "a.manifest.json", 5);
	read_back(FORMER("{\n\t", ",\n\t\"user_data\":\t{ \"size\":6 }\n}"), &plain_key,
		  "a.manifest.json", 5);
	read_back(FORMER("{\"user_data\":{\"name\":\"x\"},\"checksum\":7,", "}"), &plain_key,
		  "a.manifest.json", 5);
}
END_TEST

START_TEST(test_manifest__reads_every_time_that_can_be_written)
{
	static const int64_t times[] = {
		0, 1, 951782399999, 951782400000, 951868800000, 4107542400000, 2147483648000,
		INT64_C(253402300799999), -1, -62135596800000, COMPLETED_MS,
	};
	struct ft_finished finished;
	struct ft_facts facts = { .key = plain_key, .meta.name = "a", .transfer_id = UUID };
	char *text, *ids;
	size_t len;

	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		ck_assert_int_eq(ft_manifest_write(&facts, 0, &digest, times[i], &text, &len),
				 FT_OK);
		ck_assert_int_eq(ft_manifest_read(&finished, &ids, text, len), FT_OK);
		ck_assert_int_eq(finished.completed_ms, times[i]);
		free(ids);
		free(text);
	}
}
END_TEST

/* `text` with `old` replaced. */
static char *with(const char *text, const char *old, const char *new)
{
	const char *at = strstr(text, old);
	size_t room = strlen(text) + strlen(new) + 1;
	char *copy = malloc(room);

	ck_assert_msg(at != NULL, "%s", old);
	snprintf(copy, room, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
	return copy;
}

static void assert_damaged(const char *text)
{
	struct ft_finished finished;
	char *ids;

	ck_assert_msg(ft_manifest_read(&finished, &ids, text, strlen(text)) == FT_DAMAGED, "%s",
		      text);
	ck_assert_ptr_null(ids);
}

START_TEST(test_manifest__tells_damage)
{
	static const char good[] = FORMER("{\n\t", "\n}");
	static const struct {
		const char *old;
		const char *new;
	} damages[] = {
		{ "\"c\"", "7" }, { "client_id", "client" }, { "client_id\":\t\"c", "client_id_hex\":\"f" },
		{ "client_id\":\t\"c", "client_id_hex\":\"zz" }, { "file_id", "file" }, { "\"f\"", "\"\"" },
		{ "\"f\"", "\"a/b\"" }, { "\"f\"", "null" }, { "\"f\"", "[\"f\"]" },
		{ "a.manifest", "a/manifest" }, { "a.manifest", "\xff" }, { "\"name", "\"nam" },
		{ "\t5", "\t-5" }, { "\t5", "\t\"5\"" }, { "size", "siz" }, { "sha256", "sha257" },
		{ "e3b0", "e3b" }, { "e3b0", "g3b0" }, { UUID, UUID "0" }, { "\"" UUID "\"", "1" },
		{ "transfer_id", "id" }, { "completed_at", "finished_at" }, { ":06.000Z", ":06Z" },
		{ ":06.000Z", ":61.000Z" }, { ":06.000Z", ":06.000+" }, { ":06.000Z", ":06.000Zx" },
		{ "01-02T03:04:06", "00-02T03:04:06" }, { "01-02T03:04:06", "01-32T03:04:06" },
		{ "01-02T03:04:06", "01-02 03:04:06" }, { "01-02T03:04:06", "01-02T24:04:06" },
		{ "\n}", ",\"expire_at\":-1\n}" }, { "\n}", ",\"expire_at\":\"x\"\n}" }, { "\n}", "" },
	};
	static const char *const damaged[] = { "", "{", "[]", "{}", "7", "null" };

	for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
		char *text = with(good, damages[i].old, damages[i].new);

		assert_damaged(text);
		free(text);
	}
	for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++)
		assert_damaged(damaged[i]);
}
END_TEST

FT_SUITE("manifest",
	 test_init__reads_every_key,
	 test_init__takes_null_as_absent,
	 test_init__refuses_bad_names,
	 test_init__refuses_bad_numbers,
	 test_init__refuses_bad_checksums,
	 test_init__pads_checksums_with_zeros_on_the_left,
	 test_init__knows_two_kinds_of_responses,
	 test_init__takes_user_data_64_levels_deep,
	 test_init__tells_what_is_not_json_from_what_is_no_object,
	 test_init__refuses_nul_bytes,
	 test_init__refuses_more_than_64_kib,
	 test_init__survives_deep_nesting,
	 test_name__is_checked_for_its_length_only,
	 test_manifest__says_all_that_is_known,
	 test_manifest__leaves_out_what_init_did_not_say,
	 test_manifest__is_read_as_it_was_written,
	 test_manifest__keeps_integers_to_the_last_digit,
	 test_manifest__writes_ids_that_are_not_utf8_as_hex,
	 test_manifest__keeps_user_data_to_the_letter,
	 test_manifest__of_a_former_version_is_read,
	 test_manifest__reads_every_time_that_can_be_written,
	 test_manifest__tells_damage);
