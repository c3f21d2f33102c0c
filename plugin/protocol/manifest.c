/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/manifest.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/utf8.h"

#define SUFFIX_LEN (sizeof FT_MANIFEST_SUFFIX - 1)

/* --- names --- */

/* Also for manifests of former versions, which took every suffix. NULL: nothing is wrong. */
static const char *name_fault(const char *name, size_t len)
{
	if (len == 0 || len > FT_FILE_NAME_MAX)
		return "\"name\" must be a string of 1 to 240 bytes";
	if (!ft_utf8_valid(name, len) || ft_utf8_has_control(name, len))
		return "\"name\" must be UTF-8 without control characters";
	if ((len == 1 && name[0] == '.') || (len == 2 && memcmp(name, "..", 2) == 0)
	    || memchr(name, '/', len) || memchr(name, '\\', len) || memchr(name, ':', len))
		return "\"name\" must be a plain file name: not . or .., no / \\ or :";
	return NULL;
}

enum ft_status ft_name_check(const char *name, size_t len, const char **why)
{
	*why = name_fault(name, len);
	if (!*why && len >= SUFFIX_LEN
	    && memcmp(name + len - SUFFIX_LEN, FT_MANIFEST_SUFFIX, SUFFIX_LEN) == 0)
		*why = "\"name\" must not end in " FT_MANIFEST_SUFFIX ", as manifests do";
	return *why ? FT_INVALID_FILEMETA : FT_OK;
}

/* --- the payload of init --- */

/* A SHA-256 in hex; common clients print it as a number, without its leading zeros. */
static bool init_read_sha256(const struct ft_json_text *value, struct ft_sha256 *digest)
{
	char digits[FT_SHA256_HEX_LEN + 1], padded[FT_SHA256_HEX_LEN];
	size_t len;

	if (!ft_json_string(value, digits, sizeof digits, &len) || len == 0)
		return false;
	memset(padded, '0', sizeof padded);
	memcpy(padded + sizeof padded - len, digits, len);
	return ft_sha256_parse(digest, padded, sizeof padded);
}

static const char *init_read_name(struct ft_init *init, const struct ft_json_member *member)
{
	const char *why;
	size_t len = 0;

	/* No string, or a longer one, counts as an empty one: the fault has the same words. */
	if (!ft_json_string(&member->value, init->meta.name, sizeof init->meta.name, &len))
		len = 0;
	return ft_name_check(init->meta.name, len, &why) == FT_OK ? NULL : why;
}

static const char *init_read_size(struct ft_init *init, const struct ft_json_member *member)
{
	init->meta.has_size = true;
	if (!ft_json_integer(&member->value, FT_JSON_INTEGER_MAX, &init->meta.size))
		return "\"size\" must be an integer from 0 to 2^53";
	return NULL;
}

static const char *init_read_checksum(struct ft_init *init, const struct ft_json_member *member)
{
	init->meta.has_checksum = true;
	if (!init_read_sha256(&member->value, &init->meta.checksum))
		return "\"checksum\" must be SHA-256 in 64 hex digits";
	return NULL;
}

static const char *init_read_expire_at(struct ft_init *init, const struct ft_json_member *member)
{
	uint64_t seconds;

	if (!ft_json_integer(&member->value, FT_JSON_INTEGER_MAX, &seconds))
		return "\"expire_at\" must be an integer, in Unix seconds";
	init->terms.has_expire_at = true;
	init->terms.expire_at = (int64_t)seconds;
	return NULL;
}

static const char *init_read_segments_ttl(struct ft_init *init,
					  const struct ft_json_member *member)
{
	if (!ft_json_integer(&member->value, FT_JSON_INTEGER_MAX, &init->terms.segments_ttl)
	    || init->terms.segments_ttl == 0)
		return "\"segments_ttl\" must be an integer of at least 1, in seconds";
	return NULL;
}

static const char *init_read_responses(struct ft_init *init, const struct ft_json_member *member)
{
	static const struct {
		const char *word;
		enum ft_responses responses;
	} words[] = {
		{ "all", FT_RESPONSES_ALL },
		{ "errors", FT_RESPONSES_ERRORS },
	};
	char word[8];
	size_t len;

	if (!ft_json_string(&member->value, word, sizeof word, &len))
		word[0] = '\0';
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (strcmp(words[i].word, word) == 0) {
			init->terms.responses = words[i].responses;
			return NULL;
		}
	}
	return "\"responses\" must be \"all\" or \"errors\"";
}

static const char *init_read_user_data(struct ft_init *init, const struct ft_json_member *member)
{
	if (member->depth > FT_USER_DATA_DEPTH_MAX)
		return "\"user_data\" must be nested 64 deep at most";
	init->terms.user_data = member->value;
	return NULL;
}

/* Each returns what is wrong, or NULL; none is called for a key that is absent or null. */
static const struct {
	const char *key;
	const char *(*read)(struct ft_init *init, const struct ft_json_member *member);
} init_keys[] = {
	{ "name", init_read_name },
	{ "size", init_read_size },
	{ "checksum", init_read_checksum },
	{ "expire_at", init_read_expire_at },
	{ "segments_ttl", init_read_segments_ttl },
	{ "user_data", init_read_user_data },
	{ "responses", init_read_responses },
};

#define INIT_KEYS (sizeof init_keys / sizeof init_keys[0])

static enum ft_status init_refuse(struct ft_buf *detail, enum ft_status status, const char *why)
{
	ft_buf_str(detail, why);
	return status;
}

static enum ft_status init_read(struct ft_init *init, const struct ft_json_member *members,
				struct ft_buf *detail)
{
	for (size_t i = 0; i < INIT_KEYS; i++) {
		const char *why = members[i].value.len > 0 ? init_keys[i].read(init, &members[i])
							   : NULL;

		if (why)
			return init_refuse(detail, FT_INVALID_FILEMETA, why);
	}
	if (init->meta.name[0] == '\0')
		return init_refuse(detail, FT_INVALID_FILEMETA, "\"name\" is missing");
	return FT_OK;
}

enum ft_status ft_init_parse(struct ft_init *init, const void *payload, size_t len,
			     struct ft_buf *detail)
{
	struct ft_json_member members[INIT_KEYS];

	memset(init, 0, sizeof *init);
	if (len > FT_INIT_PAYLOAD_MAX)
		return init_refuse(detail, FT_INVALID_FILEMETA, "the payload is larger than 64 KiB");
	if (len == 0)
		return init_refuse(detail, FT_INVALID_FILEMETA_JSON, "the payload is empty");
	if (!ft_utf8_valid(payload, len))
		return init_refuse(detail, FT_INVALID_FILEMETA_JSON, "the payload is not UTF-8");
	for (size_t i = 0; i < INIT_KEYS; i++)
		members[i].key = init_keys[i].key;
	switch (ft_json_find(payload, len, members, INIT_KEYS)) {
	case FT_JSON_BROKEN:
		return init_refuse(detail, FT_INVALID_FILEMETA_JSON, "the payload is not JSON");
	case FT_JSON_NO_OBJECT:
		return init_refuse(detail, FT_INVALID_FILEMETA, "the payload must be a JSON object");
	case FT_JSON_OBJECT:
		break;
	}
	return init_read(init, members, detail);
}

/* --- manifests --- */

static void manifest_key(struct ft_buf *buf, const char *key)
{
	ft_buf_str(buf, buf->len == 0 ? "{\n\t\"" : ",\n\t\"");
	ft_buf_str(buf, key);
	ft_buf_str(buf, "\": ");
}

static void manifest_string(struct ft_buf *buf, const char *key, const char *text)
{
	manifest_key(buf, key);
	ft_buf_json(buf, text, strlen(text));
}

static void manifest_hex(struct ft_buf *buf, const char *key, const void *bytes, size_t len)
{
	manifest_key(buf, key);
	ft_buf_char(buf, '"');
	ft_buf_hex(buf, bytes, len);
	ft_buf_char(buf, '"');
}

/* JSON strings are UTF-8; an id that is not goes in as hex under `hex_key`. */
static void manifest_id(struct ft_buf *buf, const char *key, const char *hex_key, const char *id,
			size_t len)
{
	if (!ft_utf8_valid(id, len)) {
		manifest_hex(buf, hex_key, id, len);
		return;
	}
	manifest_key(buf, key);
	ft_buf_json(buf, id, len);
}

static void manifest_number(struct ft_buf *buf, const char *key, uint64_t number)
{
	manifest_key(buf, key);
	ft_buf_u64(buf, number);
}

static void manifest_time(struct ft_buf *buf, const char *key, int64_t unix_ms)
{
	char text[FT_RFC3339_ROOM];

	ft_rfc3339(text, unix_ms);
	manifest_string(buf, key, text);
}

/* More than any manifest of these facts takes: a byte is at most \u00XX. */
static size_t manifest_room(const struct ft_facts *facts)
{
	return 1024 + 6 * (facts->key.owner_len + facts->key.file_len + FT_FILE_NAME_MAX)
	       + facts->terms.user_data.len;
}

enum ft_status ft_manifest_write(const struct ft_facts *facts, uint64_t size,
				 const struct ft_sha256 *checksum, int64_t completed_ms,
				 char **text, size_t *len)
{
	const struct ft_key *key = &facts->key;
	const struct ft_terms *terms = &facts->terms;
	size_t room = manifest_room(facts);
	struct ft_buf buf;

	if (!(*text = malloc(room)))
		return FT_NO_MEMORY;
	buf = ft_buf_on(*text, room);
	manifest_id(&buf, "client_id", "client_id_hex", key->owner, key->owner_len);
	manifest_id(&buf, "file_id", "file_id_hex", key->file, key->file_len);
	manifest_string(&buf, "name", facts->meta.name);
	manifest_number(&buf, "size", size);
	manifest_hex(&buf, "sha256", checksum->bytes, FT_SHA256_LEN);
	manifest_string(&buf, "transfer_id", facts->transfer_id);
	manifest_time(&buf, "received_at", facts->received_ms);
	manifest_time(&buf, "completed_at", completed_ms);
	if (terms->has_expire_at)
		manifest_number(&buf, "expire_at", (uint64_t)terms->expire_at);
	if (terms->user_data.len > 0) {
		manifest_key(&buf, "user_data");
		ft_buf_bytes(&buf, terms->user_data.at, terms->user_data.len);
	}
	ft_buf_str(&buf, "\n}\n");
	assert(ft_buf_ok(&buf));
	*len = buf.len;
	return FT_OK;
}

/* `count` digits at *at, which moves behind them and behind `separator`; -1: there are none. */
static int64_t manifest_digits(const char **at, int count, char separator)
{
	int64_t number = 0;

	for (; count > 0; count--, (*at)++) {
		if (**at < '0' || **at > '9')
			return -1;
		number = number * 10 + (**at - '0');
	}
	if (*(*at)++ != separator)
		return -1;
	return number;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar; years begin in March here. */
static int64_t manifest_days(int64_t year, int64_t month, int64_t day)
{
	int64_t y = month > 2 ? year : year - 1;
	int64_t since_march = (month + 9) % 12;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * since_march + 2) / 5 + day - 719469;
}

/* What ft_rfc3339() writes, and nothing else. */
static bool manifest_read_time(const struct ft_json_text *value, int64_t *unix_ms)
{
	static const struct {
		int digits;
		char separator;
		int64_t min, max;
	} parts[] = {
		{ 4, '-', 0, 9999 }, { 2, '-', 1, 12 }, { 2, 'T', 1, 31 }, { 2, ':', 0, 23 },
		{ 2, ':', 0, 59 }, { 2, '.', 0, 60 }, { 3, 'Z', 0, 999 },
	};
	char text[FT_RFC3339_ROOM];
	const char *at = text;
	int64_t part[7];
	size_t len;

	if (!ft_json_string(value, text, sizeof text, &len))
		return false;
	for (size_t i = 0; i < 7; i++) {
		part[i] = manifest_digits(&at, parts[i].digits, parts[i].separator);
		if (part[i] < parts[i].min || part[i] > parts[i].max)
			return false;
	}
	*unix_ms = (((manifest_days(part[0], part[1], part[2]) * 24 + part[3]) * 60 + part[4]) * 60
		    + part[5]) * 1000 + part[6];
	return *at == '\0';
}

enum manifest_member {
	MANIFEST_CLIENT_ID,
	MANIFEST_CLIENT_ID_HEX,
	MANIFEST_FILE_ID,
	MANIFEST_FILE_ID_HEX,
	MANIFEST_NAME,
	MANIFEST_SIZE,
	MANIFEST_SHA256,
	MANIFEST_TRANSFER_ID,
	MANIFEST_COMPLETED_AT,
	MANIFEST_EXPIRE_AT,
	MANIFEST_MEMBERS,
};

static bool manifest_read_hex(char *to, size_t *len, const struct ft_json_text *value)
{
	const char *digits = value->at + 1;	/* between quotes */

	if (*value->at != '"' || value->len % 2 != 0)
		return false;
	*len = (value->len - 2) / 2;
	for (size_t i = 0; i < *len; i++) {
		int high = ft_hex_digit(digits[2 * i]), low = ft_hex_digit(digits[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		to[i] = (char)(high << 4 | low);
	}
	return true;
}

/* The id under one of two keys; it takes less room than its text. */
static bool manifest_read_id(char *to, size_t *len, const struct ft_json_text *plain,
			     const struct ft_json_text *hex)
{
	if (plain->len > 0)
		return ft_json_string(plain, to, plain->len, len);
	return hex->len > 0 && manifest_read_hex(to, len, hex);
}

static bool manifest_read_key(struct ft_key *key, char *ids, const struct ft_json_member *members)
{
	if (!manifest_read_id(ids, &key->owner_len, &members[MANIFEST_CLIENT_ID].value,
			      &members[MANIFEST_CLIENT_ID_HEX].value))
		return false;
	key->owner = ids;
	key->file = ids + key->owner_len;
	if (!manifest_read_id(ids + key->owner_len, &key->file_len, &members[MANIFEST_FILE_ID].value,
			      &members[MANIFEST_FILE_ID_HEX].value))
		return false;
	return key->owner_len <= FT_OWNER_MAX && key->file_len >= 1
	       && key->file_len <= FT_FILE_ID_MAX && !memchr(key->file, '/', key->file_len);
}

static bool manifest_read_name(struct ft_finished *finished, const struct ft_json_text *value)
{
	size_t len;

	return value->len > 0 && ft_json_string(value, finished->name, sizeof finished->name, &len)
	       && !name_fault(finished->name, len);
}

/* Without the time of its end a file would have expired in 1970. */
static bool manifest_read_facts(struct ft_finished *finished, const struct ft_json_member *members)
{
	const struct ft_json_text *transfer_id = &members[MANIFEST_TRANSFER_ID].value;
	const struct ft_json_text *expire_at = &members[MANIFEST_EXPIRE_AT].value;
	char digits[FT_SHA256_HEX_LEN + 1];
	uint64_t seconds = 0;
	size_t len;

	if (!manifest_read_name(finished, &members[MANIFEST_NAME].value))
		return false;
	for (enum manifest_member i = MANIFEST_SIZE; i <= MANIFEST_COMPLETED_AT; i++)
		if (members[i].value.len == 0)
			return false;
	finished->has_expire_at = expire_at->len > 0;
	if (finished->has_expire_at && !ft_json_integer(expire_at, FT_JSON_INTEGER_MAX, &seconds))
		return false;
	finished->expire_at = (int64_t)seconds;
	return ft_json_integer(&members[MANIFEST_SIZE].value, INT64_MAX, &finished->size)
	       && ft_json_string(&members[MANIFEST_SHA256].value, digits, sizeof digits, &len)
	       && ft_sha256_parse(&finished->checksum, digits, len)
	       && ft_json_string(transfer_id, finished->transfer_id, sizeof finished->transfer_id,
				 &len)
	       && strlen(finished->transfer_id) == len
	       && manifest_read_time(&members[MANIFEST_COMPLETED_AT].value,
				     &finished->completed_ms);
}

enum ft_status ft_manifest_read(struct ft_finished *finished, char **ids, const char *text,
				size_t len)
{
	struct ft_json_member members[MANIFEST_MEMBERS] = {
		[MANIFEST_CLIENT_ID] = { .key = "client_id" },
		[MANIFEST_CLIENT_ID_HEX] = { .key = "client_id_hex" },
		[MANIFEST_FILE_ID] = { .key = "file_id" },
		[MANIFEST_FILE_ID_HEX] = { .key = "file_id_hex" },
		[MANIFEST_NAME] = { .key = "name" },
		[MANIFEST_SIZE] = { .key = "size" },
		[MANIFEST_SHA256] = { .key = "sha256" },
		[MANIFEST_TRANSFER_ID] = { .key = "transfer_id" },
		[MANIFEST_COMPLETED_AT] = { .key = "completed_at" },
		[MANIFEST_EXPIRE_AT] = { .key = "expire_at" },
	};

	memset(finished, 0, sizeof *finished);
	*ids = NULL;
	if (!ft_utf8_valid(text, len)
	    || ft_json_find(text, len, members, MANIFEST_MEMBERS) != FT_JSON_OBJECT)
		return FT_DAMAGED;
	if (!(*ids = malloc(len)))
		return FT_NO_MEMORY;
	if (manifest_read_key(&finished->key, *ids, members)
	    && manifest_read_facts(finished, members))
		return FT_OK;
	free(*ids);
	*ids = NULL;
	memset(finished, 0, sizeof *finished);
	return FT_DAMAGED;
}
