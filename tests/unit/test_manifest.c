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
			       "\"segments_ttl\":60,\"user_data\":{\"k\":[1,2]},\"other\":1}"),
			 FT_OK);
	ck_assert_str_eq(init.meta.name, "a b.log");
	ck_assert(init.meta.has_size && init.meta.size == 5368709120u);
	ck_assert(init.meta.has_checksum && init.meta.checksum.bytes[0] == 0xe3);
	ck_assert(init.has_expire_at && init.expire_at == 1900000000);
	ck_assert_uint_eq(init.segments_ttl, 60);
	ck_assert_uint_eq(init.user_data.len, strlen("{\"k\":[1,2]}"));
	ck_assert(memcmp(init.user_data.at, "{\"k\":[1,2]}", init.user_data.len) == 0);
}
END_TEST

START_TEST(test_init__takes_null_as_absent)
{
	struct ft_init init;

	ck_assert_int_eq(parse(&init, "{\"name\":\"f\",\"size\":null,\"checksum\":null,"
			       "\"expire_at\":null,\"segments_ttl\":null,\"user_data\":null}"),
			 FT_OK);
	ck_assert(!init.meta.has_size && !init.meta.has_checksum && !init.has_expire_at);
	ck_assert(init.segments_ttl == 0 && init.user_data.len == 0);
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
	assert_refused("{\"name\":\"f\",\"size\":9007199254740994}", FT_INVALID_FILEMETA, "size");
	assert_accepted("{\"name\":\"f\",\"size\":9007199254740992}");
	assert_refused("{\"name\":\"f\",\"expire_at\":\"x\"}", FT_INVALID_FILEMETA, "expire_at");
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

START_TEST(test_init__refuses_nul_in_any_guise)
{
	static const char raw[] = "{\"name\":\"f\"}\0";
	struct ft_buf detail = ft_buf_on(why, sizeof why);
	struct ft_init init;

	ck_assert_int_eq(ft_init_parse(&init, raw, sizeof raw - 1, &detail),
			 FT_INVALID_FILEMETA_JSON);
	assert_refused("{\"name\":\"a\\u0000b\"}", FT_INVALID_FILEMETA, "u0000");
	assert_refused("{\"user_data\":1,\"name\":\"a\\u0000b\"}", FT_INVALID_FILEMETA, "u0000");
	assert_refused("{\"name\":\"f\",\"color\":\"\\\\\\u0000\"}", FT_INVALID_FILEMETA,
		       "u0000");
	assert_accepted("{\"name\":\"f\",\"color\":\"\\\\u0000\"}");
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

START_TEST(test_meta__differs_in_name_size_or_checksum)
{
	static const char *const texts[] = {
		"{\"name\":\"f\"}", "{\"name\":\"g\"}", "{\"name\":\"f\",\"size\":1}",
		"{\"name\":\"f\",\"size\":2}", "{\"name\":\"f\",\"checksum\":\"" SHA "\"}",
	};

	for (size_t i = 0; i < 5; i++) {
		for (size_t k = 0; k < 5; k++) {
			struct ft_init a, b;

			ck_assert(parse(&a, texts[i]) == FT_OK && parse(&b, texts[k]) == FT_OK);
			ck_assert_int_eq(ft_meta_equal(&a.meta, &b.meta), i == k);
		}
	}
}
END_TEST

static char *begin(const char *init_text, const struct ft_key *key)
{
	struct ft_init init;
	char *text;
	size_t len;

	ck_assert_int_eq(parse(&init, init_text), FT_OK);
	ck_assert_int_eq(ft_manifest_begin(&init, key, "00000000-0000-4000-8000-000000000001",
					   "2026-01-02T03:04:05.678Z", &text, &len), FT_OK);
	ck_assert_uint_eq(len, strlen(text));
	return text;
}

static void assert_member(const cJSON *json, const char *key, const char *printed)
{
	char *text = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(json, key));

	ck_assert_msg(text && strcmp(text, printed) == 0, "%s: %s", key, text);
	free(text);
}

START_TEST(test_manifest__begins_with_all_that_init_said)
{
	struct ft_key key = { "dev/1", 5, "f\"1", 3 };
	char *text = begin("{\"name\":\"a\",\"size\":7,\"checksum\":\"" SHA "\","
			   "\"segments_ttl\":60,\"expire_at\":9,\"user_data\":[1,\"x\"]}", &key);
	cJSON *json = cJSON_Parse(text);
	struct ft_manifest manifest;

	assert_member(json, "client_id", "\"dev/1\"");
	assert_member(json, "file_id", "\"f\\\"1\"");
	assert_member(json, "name", "\"a\"");
	assert_member(json, "size", "7");
	assert_member(json, "checksum", "\"" SHA "\"");
	assert_member(json, "segments_ttl", "60");
	assert_member(json, "expire_at", "9");
	assert_member(json, "user_data", "[1,\"x\"]");
	assert_member(json, "transfer_id", "\"00000000-0000-4000-8000-000000000001\"");
	assert_member(json, "received_at", "\"2026-01-02T03:04:05.678Z\"");
	cJSON_Delete(json);
	ck_assert_int_eq(ft_manifest_read(&manifest, text, strlen(text)), FT_OK);
	ck_assert_str_eq(manifest.meta.name, "a");
	ck_assert_uint_eq(manifest.meta.size, 7);
	ck_assert(manifest.meta.has_checksum);
	ck_assert_uint_eq(manifest.segments_ttl, 60);
	ck_assert_str_eq(manifest.transfer_id, "00000000-0000-4000-8000-000000000001");
	ck_assert_str_eq(manifest.received_at, "2026-01-02T03:04:05.678Z");
	free(text);
}
END_TEST

/* Else an init after a restart would conflict with the one before. */
START_TEST(test_manifest__keeps_integers_to_the_last_digit)
{
	static const char *const numbers[] = { "9007199254740992", "9007199254740991",
					       "5000000000000001", "1000000000000001", "0" };
	struct ft_key key = { "c", 1, "f", 1 };
	struct ft_sha256 digest;
	char init[128], *text, *finished;
	struct ft_manifest manifest;
	size_t len;

	ck_assert(ft_sha256_parse(&digest, SHA, 64));
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		uint64_t number = strtoull(numbers[i], NULL, 10);

		snprintf(init, sizeof init, "{\"name\":\"a\",\"size\":%s,\"expire_at\":%s}",
			 numbers[i], numbers[i]);
		text = begin(init, &key);
		ck_assert_int_eq(ft_manifest_read(&manifest, text, strlen(text)), FT_OK);
		ck_assert_uint_eq(manifest.meta.size, number);
		ck_assert_int_eq(ft_manifest_finish(text, strlen(text), number, &digest, "",
						    &finished, &len), FT_OK);
		ck_assert_int_eq(ft_manifest_read(&manifest, finished, len), FT_OK);
		ck_assert_uint_eq(manifest.meta.size, number);
		snprintf(init, sizeof init, "\"expire_at\":\t%s\n", numbers[i]);
		ck_assert_msg(strstr(finished, init) != NULL, "%s", finished);
		free(text);
		free(finished);
	}
}
END_TEST

START_TEST(test_manifest__writes_ids_that_are_not_utf8_as_hex)
{
	struct ft_key key = { "\xff\x01", 2, "f", 1 };
	char *text = begin("{\"name\":\"a\"}", &key);
	cJSON *json = cJSON_Parse(text);

	assert_member(json, "client_id_hex", "\"ff01\"");
	ck_assert(!cJSON_HasObjectItem(json, "client_id"));
	cJSON_Delete(json);
	free(text);
}
END_TEST

START_TEST(test_manifest__finishes_with_what_the_file_really_is)
{
	struct ft_key key = { "c", 1, "f", 1 };
	char *begun = begin("{\"name\":\"a\",\"size\":7,\"segments_ttl\":60,\"expire_at\":9,"
			    "\"user_data\":{}}", &key);
	struct ft_manifest manifest;
	struct ft_sha256 digest;
	char *text;
	size_t len;
	cJSON *json;

	ck_assert(ft_sha256_parse(&digest, SHA, 64));
	ck_assert_int_eq(ft_manifest_finish(begun, strlen(begun), 5368709121u, &digest,
					    "2026-01-02T03:04:06.000Z", &text, &len), FT_OK);
	json = cJSON_Parse(text);
	assert_member(json, "size", "5368709121");
	assert_member(json, "sha256", "\"" SHA "\"");
	assert_member(json, "completed_at", "\"2026-01-02T03:04:06.000Z\"");
	assert_member(json, "received_at", "\"2026-01-02T03:04:05.678Z\"");
	assert_member(json, "user_data", "{}");
	assert_member(json, "expire_at", "9");
	ck_assert(!cJSON_HasObjectItem(json, "segments_ttl"));
	ck_assert_int_eq(ft_manifest_read(&manifest, text, len), FT_OK);
	ck_assert(manifest.meta.has_size && manifest.meta.size == 5368709121u);
	ck_assert(manifest.meta.has_checksum
		  && ft_sha256_equal(&manifest.meta.checksum, &digest));
	cJSON_Delete(json);
	free(begun);
	free(text);
}
END_TEST

static void finish(const char *begun, char **finished)
{
	struct ft_sha256 digest;
	size_t len;

	ck_assert(ft_sha256_parse(&digest, SHA, 64));
	ck_assert_int_eq(ft_manifest_finish(begun, strlen(begun), 5, &digest,
					    "2026-01-02T03:04:06.000Z", finished, &len), FT_OK);
}

static size_t allocations;

static void *counting_malloc(size_t size)
{
	allocations++;
	return malloc(size);
}

static void count_allocations(void)
{
	allocations = 0;
	cJSON_InitHooks(&(cJSON_Hooks){ counting_malloc, free });
}

static void assert_cheap(enum ft_status st)
{
	cJSON_InitHooks(NULL);
	ck_assert_int_eq(st, FT_OK);
	ck_assert_uint_lt(allocations, 60);
	count_allocations();
}

/* A command of 20 bytes must not cost as much as the 64 KiB that init may have said. */
START_TEST(test_manifest__costs_nothing_for_user_data_and_unknown_keys)
{
	struct ft_key key = { "c", 1, "f", 1 };
	char numbers[4001], text[8200], *begun, *finished;
	struct ft_sha256 digest = { { 0 } };
	struct ft_manifest manifest;
	struct ft_init init;
	size_t len;

	for (size_t i = 0; i < 4000; i += 2)
		memcpy(numbers + i, "7,", 2);
	numbers[3999] = '\0';
	snprintf(text, sizeof text, "{\"name\":\"a\",\"user_data\":[%s],\"other\":[%s]}", numbers,
		 numbers);
	count_allocations();
	assert_cheap(parse(&init, text));
	assert_cheap(ft_manifest_begin(&init, &key, "", "", &begun, &len));
	assert_cheap(ft_manifest_read(&manifest, begun, len));
	assert_cheap(ft_manifest_finish(begun, len, 5, &digest, "", &finished, &len));
	assert_cheap(ft_manifest_read(&manifest, finished, len));
	cJSON_InitHooks(NULL);
	ck_assert_uint_eq(manifest.meta.size, 5);
	free(begun);
	free(finished);
}
END_TEST

START_TEST(test_manifest__keeps_user_data_to_the_letter)
{
	static const char user_data[] = "{ \"ns\": 1795188444618813123, \"p\": 1.10,\r\n"
					"\"big\": 1e400, \"nul\": \"\\u0000\" , \"dup\": 1, \"dup\": 2,"
					" \"long\": 0."
					"0123456789012345678901234567890123456789012345678901234567"
					"8901234567890123456789 }";
	struct ft_key key = { "c", 1, "f", 1 };
	struct ft_manifest manifest;
	char text[600], *begun, *finished;

	snprintf(text, sizeof text, "{\"user_data\":%s,\"name\":\"a\"}", user_data);
	begun = begin(text, &key);
	finish(begun, &finished);
	ck_assert_msg(strstr(begun, user_data) != NULL, "%s", begun);
	ck_assert_msg(strstr(finished, user_data) != NULL, "%s", finished);
	ck_assert_int_eq(ft_manifest_read(&manifest, begun, strlen(begun)), FT_OK);
	ck_assert_int_eq(ft_manifest_read(&manifest, finished, strlen(finished)), FT_OK);
	free(begun);
	free(finished);
}
END_TEST

/* Printed with an indent, a member of 6 bytes 900 levels deep would take 900. */
START_TEST(test_manifest__is_hardly_longer_than_what_init_said)
{
	struct ft_key key = { "c", 1, "f", 1 };
	char *text = malloc(FT_INIT_PAYLOAD_MAX), *begun;
	struct ft_buf buf = ft_buf_on(text, FT_INIT_PAYLOAD_MAX);

	ft_buf_str(&buf, "{\"name\":\"a\",\"user_data\":");
	for (int i = 0; i < 900; i++)
		ft_buf_str(&buf, "{\"a\":");
	ft_buf_str(&buf, "{\"b\":0");
	for (int i = 0; i < 8000; i++)
		ft_buf_str(&buf, ",\"b\":0");
	for (int i = 0; i < 902; i++)
		ft_buf_char(&buf, '}');
	ck_assert(ft_buf_ok(&buf));
	begun = begin(text, &key);
	ck_assert_uint_lt(strlen(begun), buf.len + 1000);
	free(begun);
	free(text);
}
END_TEST

START_TEST(test_manifest__may_have_its_members_in_any_order)
{
	static const char *const texts[] = {
		"{\n\t\"name\":\t\"a\",\n\t\"user_data\":\t{\n\t\t\"x\":\t1\n\t},\n\t\"size\":\t5\n}",
		"{\n\t\"user_data\":\t1,\n\t\"size\":\t5,\n\t\"name\":\t\"a\"\n}",
		"{\"b\":{\n\t\"c\":1,\n\t\"user_data\":\t1\n},\"size\":5,\"name\":\"a\"\n}",
		"{\n\t\"user_data\":\t1, \"size\":5, \"name\":\"a\"\n}",
		"{\"name\":\"a\",\n\t\"user_data\":\t1, \"size\":5\n}",
	};
	struct ft_manifest manifest;

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		ck_assert_msg(ft_manifest_read(&manifest, texts[i], strlen(texts[i])) == FT_OK,
			      "%s", texts[i]);
		ck_assert_msg(manifest.meta.size == 5, "%s", texts[i]);
		ck_assert_str_eq(manifest.meta.name, "a");
	}
}
END_TEST

START_TEST(test_manifest__tells_damage)
{
	static const char *const damaged[] = {
		"", "{", "[]", "{}", "{\"name\":\"a/b\"}", "{\"name\":\"a\",\"size\":-1}",
		"{\"name\":\"a\",\"sha256\":\"12\"}",
	};
	struct ft_manifest manifest;

	for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++)
		ck_assert_msg(ft_manifest_read(&manifest, damaged[i], strlen(damaged[i]))
			      == FT_DAMAGED, "%s", damaged[i]);
}
END_TEST

FT_SUITE("manifest",
	 test_init__reads_every_key,
	 test_init__takes_null_as_absent,
	 test_init__refuses_bad_names,
	 test_init__refuses_bad_numbers,
	 test_init__refuses_bad_checksums,
	 test_init__tells_what_is_not_json_from_what_is_no_object,
	 test_init__refuses_nul_in_any_guise,
	 test_init__refuses_more_than_64_kib,
	 test_init__survives_deep_nesting,
	 test_meta__differs_in_name_size_or_checksum,
	 test_manifest__begins_with_all_that_init_said,
	 test_manifest__keeps_integers_to_the_last_digit,
	 test_manifest__writes_ids_that_are_not_utf8_as_hex,
	 test_manifest__finishes_with_what_the_file_really_is,
	 test_manifest__costs_nothing_for_user_data_and_unknown_keys,
	 test_manifest__keeps_user_data_to_the_letter,
	 test_manifest__is_hardly_longer_than_what_init_said,
	 test_manifest__may_have_its_members_in_any_order,
	 test_manifest__tells_damage);
