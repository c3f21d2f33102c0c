/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/manifest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/* Reads a JSON integer in [min, 2^53]. */
static bool integer(const cJSON *item, double min, double *value)
{
	if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble)
	    || item->valuedouble < min || item->valuedouble > (double)FT_JSON_INTEGER_MAX
	    || item->valuedouble != floor(item->valuedouble))
		return false;
	*value = item->valuedouble;
	return true;
}

static const char *read_name(struct ft_init *init, const cJSON *item)
{
	size_t len = cJSON_IsString(item) ? strlen(item->valuestring) : 0;
	const char *name = item ? item->valuestring : NULL;

	if (len == 0 || len > FT_FILE_NAME_MAX)
		return "\"name\" must be a string of 1 to 240 bytes";
	if (!ft_utf8_valid(name, len) || ft_utf8_has_control(name, len))
		return "\"name\" must be UTF-8 without control characters";
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strpbrk(name, "/\\:"))
		return "\"name\" must be a plain file name: not . or .., no / \\ or :";
	memcpy(init->meta.name, name, len + 1);
	return NULL;
}

static const char *read_size(struct ft_init *init, const cJSON *item)
{
	double value;

	if (!item)
		return NULL;
	if (!integer(item, 0, &value))
		return "\"size\" must be an integer from 0 to 2^53";
	init->meta.has_size = true;
	init->meta.size = (uint64_t)value;
	return NULL;
}

static const char *read_checksum(struct ft_init *init, const cJSON *item)
{
	if (!item)
		return NULL;
	if (!cJSON_IsString(item)
	    || !ft_sha256_parse(&init->meta.checksum, item->valuestring,
				strlen(item->valuestring)))
		return "\"checksum\" must be SHA-256 in 64 hex digits";
	init->meta.has_checksum = true;
	return NULL;
}

static const char *read_expire_at(struct ft_init *init, const cJSON *item)
{
	double value;

	if (!item)
		return NULL;
	if (!integer(item, 0, &value))
		return "\"expire_at\" must be an integer, in Unix seconds";
	init->has_expire_at = true;
	init->expire_at = (int64_t)value;
	return NULL;
}

static const char *read_segments_ttl(struct ft_init *init, const cJSON *item)
{
	double value;

	if (!item)
		return NULL;
	if (!integer(item, 1, &value))
		return "\"segments_ttl\" must be an integer of at least 1, in seconds";
	init->segments_ttl = (uint64_t)value;
	return NULL;
}

/* Each returns what is wrong, or NULL; `item` is NULL where the key is absent or null. */
static const struct {
	const char *key;
	const char *(*read)(struct ft_init *init, const cJSON *item);
} init_keys[] = {
	{ "name", read_name },
	{ "size", read_size },
	{ "checksum", read_checksum },
	{ "expire_at", read_expire_at },
	{ "segments_ttl", read_segments_ttl },
};

/* All that is read, of init and of what is stored. */
static const char *const read_keys[] = { "name", "size", "checksum", "expire_at", "segments_ttl",
					 "sha256", "transfer_id", "received_at", NULL };

/* The value of a key; NULL where it is absent or null. */
static cJSON *value_of(const cJSON *json, const char *key)
{
	cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);

	return cJSON_IsNull(item) ? NULL : item;
}

/* cJSON's strings end at a NUL, so what follows a \u0000 would be lost without a word. */
static bool has_nul_escape(const char *text, size_t len)
{
	for (size_t i = 0; i + 5 < len; i++) {
		if (text[i] != '\\')
			continue;
		if (memcmp(text + i + 1, "u0000", 5) == 0)
			return true;
		i++;	/* the escaped character may itself be a backslash */
	}
	return false;
}

static enum ft_status refuse(struct ft_buf *detail, enum ft_status status, const char *why)
{
	ft_buf_str(detail, why);
	return status;
}

/* But in user_data, which is no string of cJSON's. */
static bool has_hidden_nul(const char *text, size_t len, const struct ft_json_text *user_data)
{
	const char *behind;

	if (user_data->len == 0)
		return has_nul_escape(text, len);
	behind = user_data->at + user_data->len;
	return has_nul_escape(text, (size_t)(user_data->at - text))
	       || has_nul_escape(behind, (size_t)(text + len - behind));
}

static enum ft_status read_init(struct ft_init *init, const cJSON *json, struct ft_buf *detail)
{
	for (size_t i = 0; i < sizeof init_keys / sizeof init_keys[0]; i++) {
		const char *wrong = init_keys[i].read(init, value_of(json, init_keys[i].key));

		if (wrong)
			return refuse(detail, FT_INVALID_FILEMETA, wrong);
	}
	return FT_OK;
}

enum ft_status ft_init_parse(struct ft_init *init, const void *payload, size_t len,
			     struct ft_buf *detail)
{
	enum ft_status st;
	cJSON *json;

	memset(init, 0, sizeof *init);
	if (len > FT_INIT_PAYLOAD_MAX)
		return refuse(detail, FT_INVALID_FILEMETA, "the payload is larger than 64 KiB");
	if (len == 0)
		return refuse(detail, FT_INVALID_FILEMETA_JSON, "the payload is empty");
	if (!ft_utf8_valid(payload, len))
		return refuse(detail, FT_INVALID_FILEMETA_JSON, "the payload is not UTF-8");
	st = ft_json_parse_object(payload, len, read_keys, "user_data", &json, &init->user_data);
	if (st == FT_DAMAGED)
		return refuse(detail, FT_INVALID_FILEMETA_JSON, "the payload is not JSON");
	if (st != FT_OK)
		return st;
	if (!json)
		return refuse(detail, FT_INVALID_FILEMETA, "the payload must be a JSON object");
	if (has_hidden_nul(payload, len, &init->user_data))
		st = refuse(detail, FT_INVALID_FILEMETA, "\\u0000 is accepted in user_data only");
	else
		st = read_init(init, json, detail);
	if (init->user_data.len > 0 && *init->user_data.at == 'n')
		init->user_data.len = 0;	/* null */
	cJSON_Delete(json);
	return st;
}

bool ft_meta_equal(const struct ft_meta *a, const struct ft_meta *b)
{
	return strcmp(a->name, b->name) == 0
	       && a->has_size == b->has_size && (!a->has_size || a->size == b->size)
	       && a->has_checksum == b->has_checksum
	       && (!a->has_checksum || ft_sha256_equal(&a->checksum, &b->checksum));
}

static bool add_hex(cJSON *json, const char *key, const void *bytes, size_t len)
{
	char *text = malloc(2 * len + 1);
	struct ft_buf hex;
	bool added;

	if (!text)
		return false;
	hex = ft_buf_on(text, 2 * len + 1);
	ft_buf_hex(&hex, bytes, len);
	added = cJSON_AddStringToObject(json, key, text) != NULL;
	free(text);
	return added;
}

/* cJSON would print what has 16 digits with 15 of them, where that is near enough. */
static bool add_integer(cJSON *json, const char *key, uint64_t value)
{
	char room[24];
	struct ft_buf text = ft_buf_on(room, sizeof room);

	ft_buf_u64(&text, value);
	return cJSON_AddRawToObject(json, key, room) != NULL;
}

/* JSON strings are UTF-8; an id that is not goes in as hex under `hex_key`. */
static bool add_id(cJSON *json, const char *key, const char *hex_key, const char *id, size_t len)
{
	char *text;
	bool added;

	if (!ft_utf8_valid(id, len) || memchr(id, '\0', len))
		return add_hex(json, hex_key, id, len);
	if (!(text = strndup(id, len)))
		return false;
	added = cJSON_AddStringToObject(json, key, text) != NULL;
	free(text);
	return added;
}

/* To the letter. */
static bool add_text(cJSON *json, const char *key, const struct ft_json_text *value)
{
	char *text = malloc(value->len + 1);
	bool added;

	if (!text)
		return false;
	memcpy(text, value->at, value->len);
	text[value->len] = '\0';
	added = cJSON_AddRawToObject(json, key, text) != NULL;
	free(text);
	return added;
}

/* The length of what was printed; NULL: there was no memory for it. */
static enum ft_status measured(const char *text, size_t *len)
{
	if (!text)
		return FT_NO_MEMORY;
	*len = strlen(text);
	return FT_OK;
}

enum ft_status ft_manifest_begin(const struct ft_init *init, const struct ft_key *key,
				 const char *transfer_id, const char *received_at,
				 char **text, size_t *len)
{
	const struct ft_meta *meta = &init->meta;
	cJSON *json = cJSON_CreateObject();
	bool ok = json != NULL;

	ok = ok && add_id(json, "client_id", "client_id_hex", key->owner, key->owner_len);
	ok = ok && add_id(json, "file_id", "file_id_hex", key->file, key->file_len);
	ok = ok && cJSON_AddStringToObject(json, "name", meta->name);
	if (meta->has_size)
		ok = ok && add_integer(json, "size", meta->size);
	if (meta->has_checksum)
		ok = ok && add_hex(json, "checksum", meta->checksum.bytes, FT_SHA256_LEN);
	if (init->segments_ttl)
		ok = ok && add_integer(json, "segments_ttl", init->segments_ttl);
	ok = ok && cJSON_AddStringToObject(json, "transfer_id", transfer_id);
	ok = ok && cJSON_AddStringToObject(json, "received_at", received_at);
	if (init->has_expire_at)
		ok = ok && add_integer(json, "expire_at", (uint64_t)init->expire_at);
	if (init->user_data.len > 0)
		ok = ok && add_text(json, "user_data", &init->user_data);
	*text = ok ? cJSON_Print(json) : NULL;
	cJSON_Delete(json);
	return measured(*text, len);
}

enum ft_status ft_manifest_finish(const char *begun, size_t begun_len, uint64_t size,
				  const struct ft_sha256 *checksum, const char *completed_at,
				  char **text, size_t *len)
{
	static const char *const replaced[] = { "size", "checksum", "sha256", "segments_ttl",
						"completed_at", "expire_at" };
	struct ft_json_text user_data;
	double expire_at;
	enum ft_status st;
	bool ok = true, has_expire_at;
	cJSON *json;

	st = ft_json_parse_object(begun, begun_len, NULL, "user_data", &json, &user_data);
	if (!json)
		return st == FT_NO_MEMORY ? st : FT_DAMAGED;
	has_expire_at = integer(value_of(json, "expire_at"), 0, &expire_at);
	for (size_t i = 0; i < sizeof replaced / sizeof replaced[0]; i++)
		cJSON_DeleteItemFromObjectCaseSensitive(json, replaced[i]);
	ok = ok && add_integer(json, "size", size);
	ok = ok && add_hex(json, "sha256", checksum->bytes, FT_SHA256_LEN);
	ok = ok && cJSON_AddStringToObject(json, "completed_at", completed_at);
	if (has_expire_at)
		ok = ok && add_integer(json, "expire_at", (uint64_t)expire_at);
	if (user_data.len > 0)
		ok = ok && add_text(json, "user_data", &user_data);
	*text = ok ? cJSON_Print(json) : NULL;
	cJSON_Delete(json);
	return measured(*text, len);
}

static void read_text(char *to, size_t room, const cJSON *item)
{
	struct ft_buf buf = ft_buf_on(to, room);

	if (cJSON_IsString(item))
		ft_buf_str(&buf, item->valuestring);
}

/* What we wrote ourselves obeys the rules of init, but that `sha256` stands for `checksum`. */
enum ft_status ft_manifest_read(struct ft_manifest *manifest, const char *text, size_t len)
{
	struct ft_init init = { 0 };
	const cJSON *sha256;
	cJSON *json;
	bool sound;

	memset(manifest, 0, sizeof *manifest);
	if (ft_json_parse_object(text, len, read_keys, NULL, &json, NULL) == FT_NO_MEMORY)
		return FT_NO_MEMORY;
	sound = json != NULL;
	sha256 = value_of(json, "sha256");
	for (size_t i = 0; sound && i < sizeof init_keys / sizeof init_keys[0]; i++)
		sound = !init_keys[i].read(&init, value_of(json, init_keys[i].key));
	if (sound && sha256)
		sound = !read_checksum(&init, sha256);
	if (sound) {
		manifest->meta = init.meta;
		manifest->segments_ttl = init.segments_ttl;
		read_text(manifest->transfer_id, sizeof manifest->transfer_id,
			  value_of(json, "transfer_id"));
		read_text(manifest->received_at, sizeof manifest->received_at,
			  value_of(json, "received_at"));
	}
	cJSON_Delete(json);
	return sound ? FT_OK : FT_DAMAGED;
}
