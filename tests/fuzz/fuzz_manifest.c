/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * init payloads and manifests: what is accepted obeys the rules, reads as another parser reads
 * it, and survives being written beside a file.
 */
#include <cjson/cJSON.h>

#include "base/utf8.h"
#include "protocol/manifest.h"
#include "fuzz.h"

static const char manifest_uuid[] = "01234567-89ab-4cde-8f01-23456789abcd";

static void manifest_check_init(const struct ft_init *init)
{
	const char *name = init->meta.name, *why;

	fuzz_check(strlen(name) >= 1 && strlen(name) <= FT_FILE_NAME_MAX);
	fuzz_check(!strpbrk(name, "/\\:") && strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
	fuzz_check(ft_utf8_valid(name, strlen(name)) && !ft_utf8_has_control(name, strlen(name)));
	fuzz_check(ft_name_check(name, strlen(name), &why) == FT_OK && !why);
	fuzz_check(init->meta.size <= FT_JSON_INTEGER_MAX);
	fuzz_check(init->terms.segments_ttl <= FT_JSON_INTEGER_MAX);
	fuzz_check(init->terms.expire_at >= 0
		   && init->terms.expire_at <= (int64_t)FT_JSON_INTEGER_MAX);
	fuzz_check(init->terms.responses <= FT_RESPONSES_ERRORS);
	fuzz_check(ft_meta_equal(&init->meta, &init->meta));
}

/* By what cJSON makes of it: doubles, and strings that end at a NUL. */
static void manifest_check_member(const struct ft_json_member *member, const cJSON *theirs)
{
	char room[4096];
	uint64_t integer;
	size_t len;

	fuzz_check((member->value.len == 0) == (!theirs || cJSON_IsNull(theirs)));
	if (member->value.len == 0)
		return;
	if (ft_json_string(&member->value, room, sizeof room, &len)) {
		fuzz_check(cJSON_IsString(theirs) && len < sizeof room && room[len] == '\0');
		fuzz_check(strcmp(theirs->valuestring, room) == 0);
	}
	if (ft_json_integer(&member->value, INT64_MAX, &integer)) {
		double difference = theirs->valuedouble - (double)integer;

		fuzz_check(cJSON_IsNumber(theirs));
		fuzz_check(difference == 0 || (integer > (1u << 31) && difference < (double)integer / 1e9
					       && difference > -(double)integer / 1e9));
	}
	fuzz_check((member->depth > 0) == (cJSON_IsArray(theirs) || cJSON_IsObject(theirs)));
}

/* cJSON takes numbers of 63 characters at most, and 1,000 levels. */
static bool manifest_is_beyond_theirs(const char *text)
{
	if (strlen(text) >= 1000)
		return true;
	while (*text) {
		size_t digits = strspn(text, "0123456789+-.eE");

		if (digits > 60)
			return true;
		text += digits > 0 ? digits : 1;
	}
	return false;
}

static void manifest_check_json(const uint8_t *bytes, size_t len)
{
	struct ft_json_member members[] = { { .key = "name" }, { .key = "size" }, { .key = "a" } };
	char *text = malloc(len + 1);
	enum ft_json_shape shape;
	cJSON *theirs;

	fuzz_check(text != NULL);
	memcpy(text, bytes, len);
	text[len] = '\0';
	shape = ft_json_find((const char *)bytes, len, members, 3);
	theirs = cJSON_ParseWithOpts(text, NULL, 1);
	/* What cJSON does not take, but for its limits, must not be taken either. */
	fuzz_check(shape != FT_JSON_OBJECT || !theirs || cJSON_IsObject(theirs));
	fuzz_check(shape != FT_JSON_NO_OBJECT || !theirs || !cJSON_IsObject(theirs));
	fuzz_check(theirs || shape == FT_JSON_BROKEN || manifest_is_beyond_theirs(text));
	if (shape == FT_JSON_OBJECT && theirs && !strstr(text, "\\u0000"))
		for (size_t i = 0; i < 3; i++)
			manifest_check_member(&members[i], cJSON_GetObjectItemCaseSensitive(
						      theirs, members[i].key));
	cJSON_Delete(theirs);
	free(text);
}

static void manifest_check_user_data(const struct ft_terms *terms, const char *text)
{
	struct ft_json_member stored = { .key = "user_data" };

	fuzz_check(ft_json_find(text, strlen(text), &stored, 1) == FT_JSON_OBJECT);
	fuzz_check(stored.value.len == terms->user_data.len);
	fuzz_check(stored.value.len == 0
		   || memcmp(stored.value.at, terms->user_data.at, stored.value.len) == 0);
	fuzz_check(stored.depth <= FT_USER_DATA_DEPTH_MAX);
}

static void manifest_check_written(const struct ft_init *init, const struct ft_key *key)
{
	const struct ft_sha256 sum = { { 1, 2, 3 } };
	struct ft_facts facts = { .number = 1, .key = *key, .meta = init->meta, .terms = init->terms,
				  .received_ms = 1 };
	const int64_t completed_ms = 1767323046000;
	struct ft_finished finished;
	char *text, *ids;
	size_t len;

	memcpy(facts.transfer_id, manifest_uuid, sizeof manifest_uuid);
	fuzz_check(ft_manifest_write(&facts, 12345, &sum, completed_ms, &text, &len) == FT_OK);
	fuzz_check(strlen(text) == len && ft_utf8_valid(text, len));
	fuzz_check(ft_manifest_read(&finished, &ids, text, len) == FT_OK);
	fuzz_check(finished.key.owner_len == key->owner_len
		   && memcmp(finished.key.owner, key->owner, key->owner_len) == 0);
	fuzz_check(finished.key.file_len == key->file_len
		   && memcmp(finished.key.file, key->file, key->file_len) == 0);
	fuzz_check(strcmp(finished.name, init->meta.name) == 0 && finished.size == 12345);
	fuzz_check(ft_sha256_equal(&finished.checksum, &sum));
	fuzz_check(strcmp(finished.transfer_id, manifest_uuid) == 0);
	fuzz_check(finished.completed_ms == completed_ms);
	fuzz_check(finished.has_expire_at == init->terms.has_expire_at
		   && finished.expire_at == init->terms.expire_at);
	manifest_check_user_data(&init->terms, text);
	free(ids);
	free(text);
}

/* Anything may lie on a disk. */
static void manifest_check_any(const uint8_t *bytes, size_t len)
{
	struct ft_finished finished;
	char *ids;
	enum ft_status st = ft_manifest_read(&finished, &ids, (const char *)bytes, len);

	fuzz_check(st == FT_OK || st == FT_DAMAGED);
	fuzz_check((st == FT_OK) == (ids != NULL));
	if (st != FT_OK)
		return;
	fuzz_check(strlen(finished.name) > 0 && !strpbrk(finished.name, "/\\:"));
	fuzz_check(finished.key.file_len >= 1 && finished.key.file_len <= FT_FILE_ID_MAX);
	fuzz_check(finished.key.owner_len <= FT_OWNER_MAX);
	fuzz_check(finished.size <= INT64_MAX && finished.expire_at >= 0);
	free(ids);
}

FUZZ_TARGET(manifest)
{
	char room[256];
	struct ft_buf detail = ft_buf_on(room, sizeof room);
	size_t client_len = len > 0 ? bytes[len - 1] % 4 : 0;
	struct ft_key key = { (const char *)bytes, client_len < len ? client_len : 0, "f", 1 };
	struct ft_init init;
	enum ft_status st = ft_init_parse(&init, bytes, len, &detail);

	fuzz_check(st == FT_OK || st == FT_INVALID_FILEMETA || st == FT_INVALID_FILEMETA_JSON);
	fuzz_check((st == FT_OK) == (detail.len == 0) && ft_buf_ok(&detail));
	if (st == FT_OK) {
		manifest_check_init(&init);
		manifest_check_written(&init, &key);
	}
	manifest_check_any(bytes, len);
	if (ft_utf8_valid((const char *)bytes, len))
		manifest_check_json(bytes, len);
}
