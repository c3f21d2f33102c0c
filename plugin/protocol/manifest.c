/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/manifest.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hex.h"
#include "base/utf8.h"

#define MANIFEST_SUFFIX_LEN (sizeof FT_MANIFEST_SUFFIX - 1)

/* --- names --- */

/* Also for manifests of former versions, which took every suffix. NULL: nothing is wrong. */
static const char *manifest_name_fault(const char *name, size_t len)
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
	*why = manifest_name_fault(name, len);
	if (!*why && len >= MANIFEST_SUFFIX_LEN
	    && memcmp(name + len - MANIFEST_SUFFIX_LEN, FT_MANIFEST_SUFFIX, MANIFEST_SUFFIX_LEN) == 0)
		*why = "\"name\" must not end in " FT_MANIFEST_SUFFIX ", as manifests do";
	return *why ? FT_INVALID_FILEMETA : FT_OK;
}

/* --- reading: the payload of init, a finished file's manifest, what on_complete wants --- */

enum manifest_of {
	MANIFEST_OF_INIT = 1,
	MANIFEST_OF_FILE = 2,
	MANIFEST_OF_BOTH = MANIFEST_OF_INIT | MANIFEST_OF_FILE,
	MANIFEST_OF_JUDGEMENT = 4,
	MANIFEST_OF_ALL = MANIFEST_OF_BOTH | MANIFEST_OF_JUDGEMENT,
};

struct manifest_in {
	enum manifest_of of;
	struct ft_meta meta;
	struct ft_terms terms;
	/* a file's */
	struct ft_key key;		/* in `ids` */
	char *ids;			/* room for all that the text can hold */
	char init_name[FT_FILE_NAME_MAX + 1];
	char transfer_id[FT_UUID_ROOM];
	bool has_completed;
	int64_t completed_ms;
};

static const char *manifest_read_name(struct manifest_in *in, const struct ft_json_member *member)
{
	const char *why;
	size_t len = 0;

	/* No string, or a longer one, counts as an empty one: the fault has the same words. */
	if (!ft_json_string(&member->value, in->meta.name, sizeof in->meta.name, &len))
		len = 0;
	if (in->of == MANIFEST_OF_FILE)
		return manifest_name_fault(in->meta.name, len);
	return ft_name_check(in->meta.name, len, &why) == FT_OK ? NULL : why;
}

static const char *manifest_read_init_name(struct manifest_in *in,
					   const struct ft_json_member *member)
{
	size_t len;

	return ft_json_string(&member->value, in->init_name, sizeof in->init_name, &len)
	       && !manifest_name_fault(in->init_name, len) ? NULL : member->key;
}

static const char *manifest_read_size(struct manifest_in *in, const struct ft_json_member *member)
{
	uint64_t max = in->of == MANIFEST_OF_FILE ? INT64_MAX : FT_JSON_INTEGER_MAX;

	in->meta.has_size = true;
	return ft_json_integer(&member->value, max, &in->meta.size)
	       ? NULL : "\"size\" must be an integer from 0 to 2^53";
}

/* Common clients print a SHA-256 as a number, without its leading zeros; a manifest has them. */
static const char *manifest_read_sha256(struct manifest_in *in,
					const struct ft_json_member *member)
{
	char digits[FT_SHA256_HEX_LEN + 1], padded[FT_SHA256_HEX_LEN];
	size_t len;

	in->meta.has_checksum = true;
	memset(padded, '0', sizeof padded);
	if (ft_json_string(&member->value, digits, sizeof digits, &len) && len > 0
	    && (len == FT_SHA256_HEX_LEN || in->of == MANIFEST_OF_INIT)) {
		memcpy(padded + sizeof padded - len, digits, len);
		if (ft_sha256_parse(&in->meta.checksum, padded, sizeof padded))
			return NULL;
	}
	return "\"checksum\" must be SHA-256 in 64 hex digits";
}

static const char *manifest_read_expire_at(struct manifest_in *in,
					   const struct ft_json_member *member)
{
	uint64_t seconds;

	if (!ft_json_integer(&member->value, FT_JSON_INTEGER_MAX, &seconds))
		return "\"expire_at\" must be an integer, in Unix seconds";
	in->terms.has_expire_at = true;
	in->terms.expire_at = (int64_t)seconds;
	return NULL;
}

static const char *manifest_read_segments_ttl(struct manifest_in *in,
					      const struct ft_json_member *member)
{
	uint64_t *ttl = &in->terms.segments_ttl;

	return ft_json_integer(&member->value, FT_JSON_INTEGER_MAX, ttl) && *ttl > 0
	       ? NULL : "\"segments_ttl\" must be an integer of at least 1, in seconds";
}

static const char *manifest_read_responses(struct manifest_in *in,
					   const struct ft_json_member *member)
{
	char word[8];
	size_t len;

	if (!ft_json_string(&member->value, word, sizeof word, &len))
		word[0] = '\0';
	in->terms.responses = strcmp(word, "all") == 0 ? FT_RESPONSES_ALL
			      : strcmp(word, "errors") == 0 ? FT_RESPONSES_ERRORS
			      : FT_RESPONSES_DEFAULT;
	return in->terms.responses != FT_RESPONSES_DEFAULT
	       ? NULL : "\"responses\" must be \"all\" or \"errors\"";
}

static const char *manifest_read_user_data(struct manifest_in *in,
					   const struct ft_json_member *member)
{
	if (member->depth > FT_USER_DATA_DEPTH_MAX)
		return "\"user_data\" must be nested 64 deep at most";
	in->terms.user_data = member->value;
	return NULL;
}

/* An id under the first of its two keys that is there; it takes less room than its text. */
static const char *manifest_read_id(const char **id, size_t *id_len, char *to,
				    const struct ft_json_member *member)
{
	const char *suffix = strstr(member->key, "_hex"), *digits = member->value.at + 1;
	size_t len = member->value.len;

	if (*id)
		return NULL;
	*id = to;
	if (!suffix)
		return ft_json_string(&member->value, to, len, id_len) ? NULL : member->key;
	*id_len = len / 2 - 1;	/* between quotes */
	return digits[-1] == '"' && len % 2 == 0 && ft_hex_decode(to, digits, *id_len)
	       ? NULL : member->key;
}

static const char *manifest_read_owner(struct manifest_in *in, const struct ft_json_member *member)
{
	return manifest_read_id(&in->key.owner, &in->key.owner_len, in->ids, member);
}

static const char *manifest_read_file(struct manifest_in *in, const struct ft_json_member *member)
{
	return manifest_read_id(&in->key.file, &in->key.file_len, in->ids + in->key.owner_len,
				member);
}

static const char *manifest_read_transfer_id(struct manifest_in *in,
					     const struct ft_json_member *member)
{
	size_t len;

	return ft_json_string(&member->value, in->transfer_id, sizeof in->transfer_id, &len)
	       && strlen(in->transfer_id) == len ? NULL : member->key;
}

/* What ft_rfc3339() writes, and nothing else. */
static const char *manifest_read_completed_at(struct manifest_in *in,
					      const struct ft_json_member *member)
{
	char text[FT_RFC3339_ROOM], again[FT_RFC3339_ROOM];
	struct tm utc = { 0 };
	const char *end;
	size_t len;

	if (!ft_json_string(&member->value, text, sizeof text, &len)
	    || !(end = strptime(text, "%Y-%m-%dT%H:%M:%S.", &utc)))
		return member->key;
	in->completed_ms = (int64_t)timegm(&utc) * 1000 + strtol(end, NULL, 10);
	in->has_completed = true;
	ft_rfc3339(again, in->completed_ms);
	return strcmp(text, again) == 0 ? NULL : member->key;
}

/*
 * In the order in which they are read, wherever they stand: the owner before the file. Each
 * returns what is wrong, or NULL; none is called for a key that is absent or null.
 */
static const struct {
	const char *key;
	enum manifest_of of;
	const char *(*read)(struct manifest_in *in, const struct ft_json_member *member);
} manifest_keys[] = {
	{ "name", MANIFEST_OF_ALL, manifest_read_name },
	{ "init_name", MANIFEST_OF_FILE, manifest_read_init_name },
	{ "size", MANIFEST_OF_BOTH, manifest_read_size },
	{ "checksum", MANIFEST_OF_INIT, manifest_read_sha256 },
	{ "sha256", MANIFEST_OF_FILE, manifest_read_sha256 },
	{ "expire_at", MANIFEST_OF_ALL, manifest_read_expire_at },
	{ "segments_ttl", MANIFEST_OF_INIT, manifest_read_segments_ttl },
	{ "user_data", MANIFEST_OF_INIT | MANIFEST_OF_JUDGEMENT, manifest_read_user_data },
	{ "responses", MANIFEST_OF_INIT, manifest_read_responses },
	{ "client_id", MANIFEST_OF_FILE, manifest_read_owner },
	{ "client_id_hex", MANIFEST_OF_FILE, manifest_read_owner },
	{ "file_id", MANIFEST_OF_FILE, manifest_read_file },
	{ "file_id_hex", MANIFEST_OF_FILE, manifest_read_file },
	{ "transfer_id", MANIFEST_OF_FILE, manifest_read_transfer_id },
	{ "completed_at", MANIFEST_OF_FILE, manifest_read_completed_at },
};

#define MANIFEST_KEYS (sizeof manifest_keys / sizeof manifest_keys[0])

/* Errors: FT_INVALID_FILEMETA_JSON, FT_INVALID_FILEMETA; `why` says what is wrong. */
static enum ft_status manifest_read(struct manifest_in *in, const char *text, size_t len,
				    const char **why)
{
	struct ft_json_member members[MANIFEST_KEYS];
	size_t rows[MANIFEST_KEYS], count = 0;

	for (size_t i = 0; i < MANIFEST_KEYS; i++) {
		if (manifest_keys[i].of & in->of) {
			members[count].key = manifest_keys[i].key;
			rows[count++] = i;
		}
	}
	*why = "the payload is not UTF-8";
	if (!ft_utf8_valid(text, len))
		return FT_INVALID_FILEMETA_JSON;
	switch (ft_json_find(text, len, members, count)) {
	case FT_JSON_BROKEN:
		*why = "the payload is not JSON";
		return FT_INVALID_FILEMETA_JSON;
	case FT_JSON_NO_OBJECT:
		*why = "the payload must be a JSON object";
		return FT_INVALID_FILEMETA;
	case FT_JSON_OBJECT:
		break;
	}
	for (size_t i = 0; i < count; i++)
		if (members[i].value.len > 0
		    && (*why = manifest_keys[rows[i]].read(in, &members[i])) != NULL)
			return FT_INVALID_FILEMETA;
	*why = "\"name\" is missing";
	return in->meta.name[0] || in->of == MANIFEST_OF_JUDGEMENT ? FT_OK : FT_INVALID_FILEMETA;
}

static enum ft_status manifest_parse(enum manifest_of of, struct ft_init *init, const void *payload,
				     size_t len, struct ft_buf *detail)
{
	struct manifest_in in = { .of = of };
	enum ft_status st = FT_INVALID_FILEMETA;
	const char *why = "the payload is larger than 64 KiB";

	if (len == 0) {
		st = FT_INVALID_FILEMETA_JSON;
		why = "the payload is empty";
	} else if (len <= FT_INIT_PAYLOAD_MAX) {
		st = manifest_read(&in, payload, len, &why);
	}
	*init = (struct ft_init){ .meta = in.meta, .terms = in.terms };
	if (st != FT_OK)
		ft_buf_str(detail, why);
	return st;
}

enum ft_status ft_init_parse(struct ft_init *init, const void *payload, size_t len,
			     struct ft_buf *detail)
{
	return manifest_parse(MANIFEST_OF_INIT, init, payload, len, detail);
}

enum ft_status ft_judgement_parse(struct ft_init *wanted, const void *text, size_t len,
				  struct ft_buf *detail)
{
	return manifest_parse(MANIFEST_OF_JUDGEMENT, wanted, text, len, detail);
}

enum ft_status ft_manifest_read(struct ft_finished *finished, char **ids, const char *text,
				size_t len)
{
	struct manifest_in in = { .of = MANIFEST_OF_FILE };
	const struct ft_key *key = &in.key;
	const char *why;

	memset(finished, 0, sizeof *finished);
	if (!(*ids = in.ids = malloc(len + 1)))
		return FT_NO_MEMORY;
	/* Without the time of its end a file would have expired in 1970. */
	if (manifest_read(&in, text, len, &why) != FT_OK || !in.meta.has_size
	    || !in.meta.has_checksum || !in.transfer_id[0] || !in.has_completed || !key->owner
	    || key->owner_len > FT_OWNER_MAX || !key->file || key->file_len == 0
	    || key->file_len > FT_FILE_ID_MAX || memchr(key->file, '/', key->file_len)) {
		free(*ids);
		*ids = NULL;
		return FT_DAMAGED;
	}
	finished->key = in.key;
	memcpy(finished->name, in.meta.name, sizeof finished->name);
	memcpy(finished->init_name, in.init_name, sizeof finished->init_name);
	finished->size = in.meta.size;
	finished->checksum = in.meta.checksum;
	memcpy(finished->transfer_id, in.transfer_id, sizeof finished->transfer_id);
	finished->completed_ms = in.completed_ms;
	finished->has_expire_at = in.terms.has_expire_at;
	finished->expire_at = in.terms.expire_at;
	return FT_OK;
}

/* --- writing: the manifest of a finished file --- */

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
	return 1024 + 6 * (facts->key.owner_len + facts->key.file_len + 2 * FT_FILE_NAME_MAX)
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
	if (facts->init_name[0])
		manifest_string(&buf, "init_name", facts->init_name);
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
