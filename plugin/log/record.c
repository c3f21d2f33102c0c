/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "log/record.h"

#include <string.h>

#include "base/endian.h"
#include "protocol/manifest.h"

/*
 * Rooms. A head has no field that the struct has not, and of a text a length and a NUL where
 * the struct has a pointer.
 */

size_t ft_record_terms_room(const struct ft_terms *terms)
{
	return sizeof *terms + terms->user_data.len;
}

size_t ft_record_facts_room(const struct ft_facts *facts)
{
	return sizeof *facts + facts->key.owner_len + facts->key.file_len
	       + facts->terms.user_data.len;
}

size_t ft_record_ticket_room(const struct ft_request *request)
{
	return sizeof *request + strlen(request->client_id) + strlen(request->topic)
	       + (request->response_topic ? strlen(request->response_topic) : 0)
	       + request->correlation_len;
}

/* --- writing --- */

static void record_put_u8(struct ft_buf *buf, unsigned number)
{
	ft_buf_char(buf, (char)number);
}

static void record_put_u64(struct ft_buf *buf, uint64_t number)
{
	uint8_t raw[8];

	ft_store_le64(raw, number);
	ft_buf_bytes(buf, raw, sizeof raw);
}

static void record_put_text(struct ft_buf *buf, const void *text, size_t len)
{
	uint8_t raw[4];

	ft_store_le32(raw, (uint32_t)len);
	ft_buf_bytes(buf, raw, sizeof raw);
	ft_buf_bytes(buf, text, len);
}

static void record_put_string(struct ft_buf *buf, const void *text, size_t len)
{
	record_put_text(buf, text, len);
	ft_buf_char(buf, '\0');
}

void ft_record_write_terms(struct ft_buf *buf, const struct ft_terms *terms)
{
	record_put_u8(buf, terms->has_expire_at);
	record_put_u64(buf, terms->has_expire_at ? (uint64_t)terms->expire_at : 0);
	record_put_u64(buf, terms->segments_ttl);
	record_put_u8(buf, terms->responses);
	record_put_text(buf, terms->user_data.at, terms->user_data.len);
}

void ft_record_write_facts(struct ft_buf *buf, const struct ft_facts *facts)
{
	static const struct ft_sha256 none;
	const struct ft_meta *meta = &facts->meta;

	record_put_text(buf, facts->key.owner, facts->key.owner_len);
	record_put_text(buf, facts->key.file, facts->key.file_len);
	record_put_text(buf, meta->name, strlen(meta->name));
	record_put_u8(buf, meta->has_size);
	record_put_u64(buf, meta->has_size ? meta->size : 0);
	record_put_u8(buf, meta->has_checksum);
	ft_buf_bytes(buf, meta->has_checksum ? meta->checksum.bytes : none.bytes, FT_SHA256_LEN);
	ft_record_write_terms(buf, &facts->terms);
	record_put_text(buf, facts->transfer_id, strlen(facts->transfer_id));
	record_put_u64(buf, (uint64_t)facts->received_ms);
}

void ft_record_write_ticket(struct ft_buf *buf, const struct ft_request *request)
{
	const char *response_topic = request->response_topic ? request->response_topic : "";

	record_put_string(buf, request->client_id, strlen(request->client_id));
	record_put_string(buf, request->topic, strlen(request->topic));
	record_put_u8(buf, request->response_topic != NULL);
	record_put_string(buf, response_topic, strlen(response_topic));
	record_put_u8(buf, request->correlation != NULL);
	record_put_string(buf, request->correlation,
			  request->correlation ? request->correlation_len : 0);
}

/* --- reading --- */

/* What is left of a head. After a piece that isn't there all are zero, and it is not sound. */
struct record_reader {
	const uint8_t *at;
	size_t left;
	bool sound;
};

static const uint8_t *record_get(struct record_reader *reader, size_t len)
{
	static const uint8_t zeros[FT_SHA256_LEN];
	const uint8_t *at = reader->at;

	if (!reader->sound || len > reader->left) {
		reader->sound = false;
		return len <= sizeof zeros ? zeros : NULL;
	}
	reader->at += len;
	reader->left -= len;
	return at;
}

/* Remembers what breaks a rule. */
static void record_expect(struct record_reader *reader, bool rule)
{
	reader->sound = reader->sound && rule;
}

/* A number of at most `max`; else 0. */
static unsigned record_get_u8(struct record_reader *reader, unsigned max)
{
	unsigned number = *record_get(reader, 1);

	record_expect(reader, number <= max);
	return reader->sound ? number : 0;
}

static uint64_t record_get_u64(struct record_reader *reader, uint64_t max)
{
	uint64_t number = ft_load_le64(record_get(reader, 8));

	record_expect(reader, number <= max);
	return reader->sound ? number : 0;
}

struct record_text {
	const char *at;
	size_t len;
};

static struct record_text record_get_text(struct record_reader *reader, size_t min, size_t max)
{
	size_t len = ft_load_le32(record_get(reader, 4));
	const uint8_t *at;

	record_expect(reader, len >= min && len <= max);
	if (!reader->sound)
		len = 0;
	at = record_get(reader, len);
	return reader->sound ? (struct record_text){ (const char *)at, len }
			     : (struct record_text){ "", 0 };
}

/* With its NUL; bytes of it may be 0 as well. */
static struct record_text record_get_bytes(struct record_reader *reader, size_t max)
{
	struct record_text text = record_get_text(reader, 0, max);

	record_expect(reader, *record_get(reader, 1) == '\0');
	return reader->sound ? text : (struct record_text){ "", 0 };
}

static const char *record_get_string(struct record_reader *reader, size_t max)
{
	struct record_text text = record_get_bytes(reader, max);

	record_expect(reader, !memchr(text.at, '\0', text.len));
	return reader->sound ? text.at : "";
}

/* Into an array of its own, which has room for `max` and a NUL. */
static void record_get_copy(struct record_reader *reader, char *to, size_t max)
{
	struct record_text text = record_get_text(reader, 1, max);

	record_expect(reader, !memchr(text.at, '\0', text.len));
	memcpy(to, text.at, text.len);
	to[text.len] = '\0';
}

static struct record_reader record_reader_on(const struct ft_log_record *record)
{
	return (struct record_reader){ record->head, record->head_len, true };
}

static enum ft_status record_end(const struct record_reader *reader)
{
	return reader->sound && reader->left == 0 ? FT_OK : FT_DAMAGED;
}

static void record_get_terms(struct record_reader *reader, struct ft_terms *terms)
{
	struct record_text user_data;

	memset(terms, 0, sizeof *terms);
	terms->has_expire_at = record_get_u8(reader, 1);
	terms->expire_at = (int64_t)record_get_u64(reader, FT_JSON_INTEGER_MAX);
	terms->segments_ttl = record_get_u64(reader, FT_JSON_INTEGER_MAX);
	terms->responses = (enum ft_responses)record_get_u8(reader, FT_RESPONSES_ERRORS);
	user_data = record_get_text(reader, 0, FT_INIT_PAYLOAD_MAX);
	terms->user_data = (struct ft_json_text){ user_data.at, user_data.len };
	record_expect(reader, terms->has_expire_at || terms->expire_at == 0);
}

static void record_get_meta(struct record_reader *reader, struct ft_meta *meta)
{
	static const struct ft_sha256 none;
	const char *why;

	record_get_copy(reader, meta->name, FT_FILE_NAME_MAX);
	record_expect(reader, ft_name_check(meta->name, strlen(meta->name), &why) == FT_OK);
	meta->has_size = record_get_u8(reader, 1);
	meta->size = record_get_u64(reader, INT64_MAX);
	record_expect(reader, meta->has_size || meta->size == 0);
	meta->has_checksum = record_get_u8(reader, 1);
	memcpy(meta->checksum.bytes, record_get(reader, FT_SHA256_LEN), FT_SHA256_LEN);
	record_expect(reader, meta->has_checksum || ft_sha256_equal(&meta->checksum, &none));
}

enum ft_status ft_record_read_terms(struct ft_terms *terms, const struct ft_log_record *record)
{
	struct record_reader reader = record_reader_on(record);

	record_get_terms(&reader, terms);
	return record_end(&reader);
}

enum ft_status ft_record_read_facts(struct ft_facts *facts, const struct ft_log_record *record)
{
	struct record_reader reader = record_reader_on(record);
	struct record_text owner = record_get_text(&reader, 0, FT_OWNER_MAX);
	struct record_text file = record_get_text(&reader, 1, FT_FILE_ID_MAX);

	memset(facts, 0, sizeof *facts);
	facts->number = record->number;
	facts->key = (struct ft_key){ owner.at, owner.len, file.at, file.len };
	record_get_meta(&reader, &facts->meta);
	record_get_terms(&reader, &facts->terms);
	record_get_copy(&reader, facts->transfer_id, FT_UUID_ROOM - 1);
	/* It becomes part of file names. */
	record_expect(&reader, strspn(facts->transfer_id, "0123456789abcdef-")
			       == strlen(facts->transfer_id));
	facts->received_ms = (int64_t)record_get_u64(&reader, UINT64_MAX);
	return record_end(&reader);
}

enum ft_status ft_record_read_ticket(struct ft_request *request,
				     const struct ft_log_record *record)
{
	struct record_reader reader = record_reader_on(record);
	struct record_text correlation;
	const char *response_topic;
	bool has_response_topic, has_correlation;

	memset(request, 0, sizeof *request);
	request->client_id = record_get_string(&reader, UINT16_MAX);
	request->topic = record_get_string(&reader, UINT16_MAX);
	has_response_topic = record_get_u8(&reader, 1);
	response_topic = record_get_string(&reader, UINT16_MAX);
	has_correlation = record_get_u8(&reader, 1);
	correlation = record_get_bytes(&reader, UINT16_MAX);
	record_expect(&reader, has_response_topic || *response_topic == '\0');
	record_expect(&reader, has_correlation || correlation.len == 0);
	if (has_response_topic)
		request->response_topic = response_topic;
	if (has_correlation)
		request->correlation = correlation.at;
	request->correlation_len = (uint16_t)correlation.len;
	return record_end(&reader);
}

enum ft_status ft_record_read_fin(struct ft_fin *fin, const struct ft_log_record *record)
{
	size_t len = record->flags & FT_RECORD_CHECKSUM ? FT_SHA256_LEN : 0;

	memset(fin, 0, sizeof *fin);
	if (record->offset > INT64_MAX || record->bytes_len != len)
		return FT_DAMAGED;
	fin->size = record->offset;
	fin->has_checksum = len > 0;
	if (len > 0)
		memcpy(fin->checksum.bytes, record->bytes, len);
	return FT_OK;
}
