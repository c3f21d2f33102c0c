/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* init payloads and stored manifests: what is accepted obeys the rules and survives storing. */
#include <cjson/cJSON.h>

#include "base/utf8.h"
#include "protocol/manifest.h"
#include "fuzz.h"

static const char manifest_uuid[] = "01234567-89ab-4cde-8f01-23456789abcd";
static const char manifest_date[] = "2026-01-31T23:59:59.123Z";

static void manifest_check_init(const struct ft_init *init)
{
	const char *name = init->meta.name;

	fuzz_check(strlen(name) >= 1 && strlen(name) <= FT_FILE_NAME_MAX);
	fuzz_check(!strpbrk(name, "/\\:") && strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
	fuzz_check(ft_utf8_valid(name, strlen(name)) && !ft_utf8_has_control(name, strlen(name)));
	fuzz_check(init->meta.size <= FT_JSON_INTEGER_MAX);
	fuzz_check(init->segments_ttl <= FT_JSON_INTEGER_MAX);
	fuzz_check(init->expire_at >= 0);
	fuzz_check(ft_meta_equal(&init->meta, &init->meta));
}

static void manifest_check_user_data(const struct ft_init *init, const char *text)
{
	struct ft_json_text stored;
	cJSON *json;

	fuzz_check(ft_json_parse_object(text, strlen(text), NULL, "user_data", &json, &stored)
		   == FT_OK);
	fuzz_check(stored.len == init->user_data.len);
	fuzz_check(stored.len == 0 || memcmp(stored.at, init->user_data.at, stored.len) == 0);
	cJSON_Delete(json);
}

/* By what is printed: cJSON_Compare() knows no key that is there twice. */
static void manifest_check_same(const cJSON *ours, const cJSON *theirs)
{
	char *a = cJSON_PrintUnformatted(ours), *b = cJSON_PrintUnformatted(theirs);

	fuzz_check(a && b && strcmp(a, b) == 0);
	free(a);
	free(b);
}

/* What cJSON does not take, but for its limits, must not be taken either. */
static void manifest_check_json(const uint8_t *bytes, size_t len)
{
	struct ft_json_text value;
	cJSON *ours, *theirs;
	char *text = malloc(len + 1);

	fuzz_check(text != NULL);
	memcpy(text, bytes, len);
	text[len] = '\0';
	if (ft_json_parse_object(text, len, NULL, NULL, &ours, &value) == FT_OK && ours) {
		theirs = cJSON_ParseWithOpts(text, NULL, 1);
		manifest_check_same(ours, theirs);
		cJSON_Delete(theirs);
	}
	cJSON_Delete(ours);
	free(text);
}

static void manifest_check_finished(const struct ft_init *init, const char *begun, size_t len)
{
	struct ft_sha256 sum = { { 1, 2, 3 } };
	struct ft_manifest manifest;
	char *text = NULL;
	size_t text_len = 0;

	fuzz_check(ft_manifest_finish(begun, len, 12345, &sum, manifest_date, &text, &text_len)
		   == FT_OK);
	fuzz_check(ft_manifest_read(&manifest, text, text_len) == FT_OK);
	fuzz_check(strcmp(manifest.meta.name, init->meta.name) == 0);
	fuzz_check(manifest.meta.has_size && manifest.meta.size == 12345);
	fuzz_check(manifest.meta.has_checksum && ft_sha256_equal(&manifest.meta.checksum, &sum));
	fuzz_check(strcmp(manifest.transfer_id, manifest_uuid) == 0);
	manifest_check_user_data(init, text);
	free(text);
}

static void manifest_check_stored(const struct ft_init *init, const struct ft_key *key)
{
	struct ft_manifest manifest;
	char *text = NULL;
	size_t len = 0;

	fuzz_check(ft_manifest_begin(init, key, manifest_uuid, manifest_date, &text, &len) == FT_OK);
	fuzz_check(strlen(text) == len);
	fuzz_check(ft_manifest_read(&manifest, text, len) == FT_OK);
	fuzz_check(ft_meta_equal(&manifest.meta, &init->meta));
	fuzz_check(manifest.segments_ttl == init->segments_ttl);
	fuzz_check(strcmp(manifest.transfer_id, manifest_uuid) == 0);
	fuzz_check(strcmp(manifest.received_at, manifest_date) == 0);
	manifest_check_user_data(init, text);
	manifest_check_finished(init, text, len);
	free(text);
}

/* Anything may lie on a disk. */
static void manifest_check_any(const uint8_t *bytes, size_t len)
{
	struct ft_sha256 sum = { { 0 } };
	struct ft_manifest manifest;
	char *text = NULL;
	size_t text_len = 0;
	enum ft_status st = ft_manifest_read(&manifest, (const char *)bytes, len);

	fuzz_check(st == FT_OK || st == FT_DAMAGED);
	fuzz_check(st != FT_OK || strlen(manifest.meta.name) > 0);
	st = ft_manifest_finish((const char *)bytes, len, 0, &sum, manifest_date, &text, &text_len);
	fuzz_check(st == FT_OK || st == FT_DAMAGED);
	fuzz_check((st == FT_OK) == (text != NULL));
	free(text);
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
	fuzz_check((st == FT_OK) == (detail.len == 0));
	if (st == FT_OK) {
		manifest_check_init(&init);
		manifest_check_stored(&init, &key);
	}
	manifest_check_any(bytes, len);
	manifest_check_json(bytes, len);
}
