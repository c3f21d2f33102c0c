/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What the log's records carry: any bytes are read without harm, what is read obeys the
 * rules of init, and written again it is the same bytes, in the room that was promised.
 */
#include "fuzz.h"
#include "log/record.h"
#include "protocol/manifest.h"

#define RECORD_ROOM_MAX ((size_t)1 << 18)

static char record_room[RECORD_ROOM_MAX];

static struct ft_buf record_begin(size_t room)
{
	fuzz_check(room <= sizeof record_room);
	return ft_buf_on(record_room, room);
}

static void record_same(const struct ft_buf *written, const struct ft_log_record *record)
{
	fuzz_check(ft_buf_ok(written));
	fuzz_check(written->len == record->head_len);
	fuzz_check(memcmp(written->text, record->head, record->head_len) == 0);
}

static bool record_within(const struct ft_log_record *record, const void *at, size_t len)
{
	const uint8_t *begin = at;

	return len == 0 || (begin >= record->head
			    && begin + len <= record->head + record->head_len);
}

static void record_check_terms(const struct ft_log_record *record, const struct ft_terms *terms)
{
	fuzz_check(record_within(record, terms->user_data.at, terms->user_data.len));
	fuzz_check(terms->user_data.len <= FT_INIT_PAYLOAD_MAX);
	fuzz_check(terms->expire_at >= 0 && (uint64_t)terms->expire_at <= FT_JSON_INTEGER_MAX);
	fuzz_check(terms->segments_ttl <= FT_JSON_INTEGER_MAX);
	fuzz_check(terms->responses <= FT_RESPONSES_ERRORS);
}

static void record_facts(const struct ft_log_record *record)
{
	struct ft_facts facts;
	struct ft_buf written;
	const char *why;

	if (ft_record_read_facts(&facts, record) != FT_OK)
		return;
	fuzz_check(record_within(record, facts.key.owner, facts.key.owner_len));
	fuzz_check(record_within(record, facts.key.file, facts.key.file_len));
	fuzz_check(facts.key.file_len >= 1 && facts.key.file_len <= 255);
	fuzz_check(strlen(facts.meta.name) <= FT_FILE_NAME_MAX);
	fuzz_check(ft_name_check(facts.meta.name, strlen(facts.meta.name), &why) == FT_OK);
	fuzz_check(facts.meta.size <= INT64_MAX);
	fuzz_check(strlen(facts.transfer_id) < FT_UUID_ROOM && !strchr(facts.transfer_id, '/'));
	record_check_terms(record, &facts.terms);
	written = record_begin(ft_record_facts_room(&facts));
	ft_record_write_facts(&written, &facts);
	record_same(&written, record);
}

static void record_terms(const struct ft_log_record *record)
{
	struct ft_terms terms;
	struct ft_buf written;

	if (ft_record_read_terms(&terms, record) != FT_OK)
		return;
	record_check_terms(record, &terms);
	written = record_begin(ft_record_terms_room(&terms));
	ft_record_write_terms(&written, &terms);
	record_same(&written, record);
}

static void record_ticket(const struct ft_log_record *record)
{
	struct ft_request request;
	struct ft_buf written;

	if (ft_record_read_ticket(&request, record) != FT_OK)
		return;
	fuzz_check(record_within(record, request.client_id, strlen(request.client_id) + 1));
	fuzz_check(record_within(record, request.topic, strlen(request.topic) + 1));
	fuzz_check(request.correlation || request.correlation_len == 0);
	written = record_begin(ft_record_ticket_room(&request));
	ft_record_write_ticket(&written, &request);
	record_same(&written, record);
}

static void record_fin(const struct ft_log_record *record)
{
	struct ft_fin fin;

	if (ft_record_read_fin(&fin, record) != FT_OK)
		return;
	fuzz_check(fin.size == record->offset && fin.size <= INT64_MAX);
	fuzz_check(fin.has_checksum == (record->bytes_len == FT_SHA256_LEN));
}

FUZZ_TARGET(record)
{
	static void (*const readers[])(const struct ft_log_record *) = {
		record_facts, record_terms, record_ticket,
	};
	struct fuzz_input input = { bytes, len };
	unsigned which = fuzz_byte(&input);
	uint8_t *exact = malloc(input.len + 1);
	struct ft_log_record record = { .number = 7, .flags = (uint16_t)which,
					.offset = (uint64_t)which << 56 };

	if (!exact)
		abort();
	/* At the end of a block: overruns are seen. */
	memcpy(exact + 1, input.bytes, input.len);
	record.head = record.bytes = exact + 1;
	record.head_len = record.bytes_len = input.len;
	readers[which % 3](&record);
	record_fin(&record);
	free(exact);
}
