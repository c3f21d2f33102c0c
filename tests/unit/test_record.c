/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "log/record.h"

#include "../suite.h"

#define ROOM 4096

static char room[ROOM];
static struct ft_buf head;
static struct ft_log_record record;

/* All that facts can hold. */
static struct ft_facts full_facts(void)
{
	struct ft_facts facts = {
		.number = 77,
		.key = { "cam\0era", 7, "photo 1", 7 },
		.meta = { .name = "photo.jpg", .has_size = true, .has_checksum = true,
			  .size = (uint64_t)INT64_MAX },
		.terms = { .has_expire_at = true, .expire_at = (int64_t)1 << 53,
			   .segments_ttl = 3600, .responses = FT_RESPONSES_ERRORS,
			   .user_data = { "{\"a\":1}", 7 } },
		.transfer_id = "01234567-89ab-4cde-8f01-23456789abcd",
		.received_ms = 1769903999123,
	};

	memset(facts.meta.checksum.bytes, 0xa5, FT_SHA256_LEN);
	return facts;
}

/* Begins a head with exactly so much room. */
static void begin(size_t room_len)
{
	ck_assert_uint_le(room_len, sizeof room);
	memset(room, '~', sizeof room);
	head = ft_buf_on(room, room_len);
}

/* What was written, in a block of just its size: overruns are seen by the sanitizers. */
static void finish(void)
{
	uint8_t *exact = malloc(head.len > 0 ? head.len : 1);

	ck_assert(ft_buf_ok(&head));
	memcpy(exact, head.text, head.len);
	free((void *)(uintptr_t)record.head);
	record = (struct ft_log_record){ .number = 77, .head = exact, .head_len = head.len };
}

static void write_facts(const struct ft_facts *facts)
{
	begin(ft_record_facts_room(facts));
	ft_record_write_facts(&head, facts);
	finish();
}

static void write_terms(const struct ft_terms *terms)
{
	begin(ft_record_terms_room(terms));
	ft_record_write_terms(&head, terms);
	finish();
}

static void write_ticket(const struct ft_request *request)
{
	begin(ft_record_ticket_room(request));
	ft_record_write_ticket(&head, request);
	finish();
}

static void same_terms(const struct ft_terms *a, const struct ft_terms *b)
{
	ck_assert_int_eq(a->has_expire_at, b->has_expire_at);
	ck_assert_int_eq(a->expire_at, b->expire_at);
	ck_assert_uint_eq(a->segments_ttl, b->segments_ttl);
	ck_assert_int_eq(a->responses, b->responses);
	ck_assert_uint_eq(a->user_data.len, b->user_data.len);
	if (a->user_data.len > 0)
		ck_assert_mem_eq(a->user_data.at, b->user_data.at, a->user_data.len);
}

static void same_facts(const struct ft_facts *a, const struct ft_facts *b)
{
	ck_assert_uint_eq(a->number, b->number);
	ck_assert_uint_eq(a->key.owner_len, b->key.owner_len);
	if (a->key.owner_len > 0)
		ck_assert_mem_eq(a->key.owner, b->key.owner, a->key.owner_len);
	ck_assert_uint_eq(a->key.file_len, b->key.file_len);
	ck_assert_mem_eq(a->key.file, b->key.file, a->key.file_len);
	ck_assert(ft_meta_equal(&a->meta, &b->meta));
	same_terms(&a->terms, &b->terms);
	ck_assert_str_eq(a->transfer_id, b->transfer_id);
	ck_assert_int_eq(a->received_ms, b->received_ms);
}

START_TEST(test_record__facts_are_read_as_written)
{
	struct ft_facts facts = full_facts(), read;

	write_facts(&facts);
	ck_assert_int_eq(ft_record_read_facts(&read, &record), FT_OK);
	same_facts(&read, &facts);
}
END_TEST

START_TEST(test_record__least_facts_are_read_as_written)
{
	struct ft_facts facts = { .number = 77, .key = { "", 0, "f", 1 }, .meta = { .name = "n" },
				  .transfer_id = "0", .received_ms = -1 };
	struct ft_facts read;

	write_facts(&facts);
	ck_assert_int_eq(ft_record_read_facts(&read, &record), FT_OK);
	same_facts(&read, &facts);
}
END_TEST

/* What was not said leaves no trace of what else is in memory. */
START_TEST(test_record__absent_values_are_written_as_zeros)
{
	struct ft_facts facts = full_facts(), read;

	facts.meta.has_size = facts.meta.has_checksum = facts.terms.has_expire_at = false;
	write_facts(&facts);
	ck_assert_int_eq(ft_record_read_facts(&read, &record), FT_OK);
	ck_assert(!read.meta.has_size && !read.meta.has_checksum && !read.terms.has_expire_at);
	ck_assert_uint_eq(read.meta.size, 0);
	ck_assert_int_eq(read.terms.expire_at, 0);
	ck_assert_uint_eq(read.meta.checksum.bytes[0], 0);
}
END_TEST

/* The largest there can be. */
START_TEST(test_record__room_is_always_enough)
{
	static char owner[65536], file[255], json[65536], topic[65536], bytes[65535];
	struct ft_facts facts = full_facts(), read;
	struct ft_request request = { .client_id = owner, .topic = topic, .response_topic = topic,
				      .correlation = bytes, .correlation_len = sizeof bytes };
	struct ft_request read_request;
	char *large = malloc((size_t)1 << 20);

	memset(owner, 'o', sizeof owner);
	memset(file, 'f', sizeof file);
	memset(json, '1', sizeof json);
	memset(topic, 't', sizeof topic - 1);
	memset(facts.meta.name, 'n', FT_FILE_NAME_MAX);
	facts.key = (struct ft_key){ owner, sizeof owner, file, sizeof file };
	facts.terms.user_data = (struct ft_json_text){ json, sizeof json };
	head = ft_buf_on(large, ft_record_facts_room(&facts));
	ft_record_write_facts(&head, &facts);
	finish();
	ck_assert_int_eq(ft_record_read_facts(&read, &record), FT_OK);
	same_facts(&read, &facts);
	owner[65535] = '\0';
	head = ft_buf_on(large, ft_record_ticket_room(&request));
	ft_record_write_ticket(&head, &request);
	finish();
	ck_assert_int_eq(ft_record_read_ticket(&read_request, &record), FT_OK);
	ck_assert_str_eq(read_request.topic, topic);
	ck_assert_uint_eq(read_request.correlation_len, sizeof bytes);
	free(large);
}
END_TEST

START_TEST(test_record__facts_that_end_early_or_late_are_damaged)
{
	struct ft_facts facts = full_facts(), read;
	size_t len;

	write_facts(&facts);
	len = record.head_len;
	for (size_t part = 0; part < len; part++) {
		begin(sizeof room);
		ft_record_write_facts(&head, &facts);
		head.len = part;
		finish();
		ck_assert_int_eq(ft_record_read_facts(&read, &record), FT_DAMAGED);
	}
	begin(sizeof room);
	ft_record_write_facts(&head, &facts);
	ft_buf_char(&head, '\0');
	finish();
	ck_assert_int_eq(ft_record_read_facts(&read, &record), FT_DAMAGED);
}
END_TEST

static void damaged(struct ft_facts facts)
{
	struct ft_facts read;

	write_facts(&facts);
	ck_assert_int_eq(ft_record_read_facts(&read, &record), FT_DAMAGED);
}

START_TEST(test_record__facts_obey_the_rules_of_init)
{
	static char long_file[256];
	static const char *const names[] = { "", ".", "..", "a/b", "a\\b", "a:b", "a\nb", "\xff",
					     "a.manifest.json" };
	struct ft_facts facts;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		facts = full_facts();
		snprintf(facts.meta.name, sizeof facts.meta.name, "%s", names[i]);
		damaged(facts);
	}
	facts = full_facts();
	facts.key.file_len = 0;
	damaged(facts);
	facts = full_facts();
	facts.key.file = long_file;
	facts.key.file_len = sizeof long_file;
	damaged(facts);
	facts = full_facts();
	facts.meta.size = (uint64_t)INT64_MAX + 1;
	damaged(facts);
	facts = full_facts();
	facts.terms.segments_ttl = ((uint64_t)1 << 53) + 1;
	damaged(facts);
	facts = full_facts();
	facts.terms.expire_at = -1;
	damaged(facts);
	facts = full_facts();
	facts.terms.responses = (enum ft_responses)3;
	damaged(facts);
	facts = full_facts();
	facts.transfer_id[3] = '/';
	damaged(facts);
	facts = full_facts();
	facts.transfer_id[0] = '\0';
	damaged(facts);
}
END_TEST

START_TEST(test_record__owner_and_user_data_have_their_limits)
{
	static char bytes[65537];
	struct ft_facts facts = full_facts(), read;
	char *large = malloc((size_t)1 << 20);

	facts.key.owner = bytes;
	facts.key.owner_len = sizeof bytes;
	head = ft_buf_on(large, (size_t)1 << 20);
	ft_record_write_facts(&head, &facts);
	finish();
	ck_assert_int_eq(ft_record_read_facts(&read, &record), FT_DAMAGED);
	facts = full_facts();
	facts.terms.user_data = (struct ft_json_text){ bytes, sizeof bytes };
	head = ft_buf_on(large, (size_t)1 << 20);
	ft_record_write_facts(&head, &facts);
	finish();
	ck_assert_int_eq(ft_record_read_facts(&read, &record), FT_DAMAGED);
	free(large);
}
END_TEST

/* Bytes at known places: that what a bool says is 0 or 1, and what is absent is 0. */
START_TEST(test_record__booleans_are_0_or_1_and_what_is_absent_is_0)
{
	struct ft_terms terms = { .segments_ttl = 5 }, read;
	static const struct {
		size_t at;
		char value;
	} wrong[] = { { 0, 2 }, { 0, (char)0xff }, { 1, 1 }, { 17, 3 } };

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		begin(ft_record_terms_room(&terms));
		ft_record_write_terms(&head, &terms);
		room[wrong[i].at] = wrong[i].value;
		finish();
		ck_assert_int_eq(ft_record_read_terms(&read, &record), FT_DAMAGED);
	}
	write_terms(&terms);
	ck_assert_int_eq(ft_record_read_terms(&read, &record), FT_OK);
	same_terms(&read, &terms);
}
END_TEST

/* The format, on any machine. */
START_TEST(test_record__terms_are_little_endian_without_gaps)
{
	struct ft_terms terms = { .has_expire_at = true, .expire_at = 0x010203,
				  .segments_ttl = 0x0405, .responses = FT_RESPONSES_ALL,
				  .user_data = { "[]", 2 } };
	static const uint8_t expected[] = { 1, 3, 2, 1, 0, 0, 0, 0, 0, 5, 4, 0, 0, 0, 0, 0, 0,
					    1, 2, 0, 0, 0, '[', ']' };

	write_terms(&terms);
	ck_assert_uint_eq(record.head_len, sizeof expected);
	ck_assert_mem_eq(record.head, expected, sizeof expected);
}
END_TEST

START_TEST(test_record__tickets_are_read_as_written)
{
	static const struct ft_request requests[] = {
		{ .client_id = "c", .topic = "$file/f/fin/1" },
		{ .client_id = "", .topic = "t", .response_topic = "r/t" },
		{ .client_id = "c", .topic = "t", .response_topic = "" },
		{ .client_id = "c", .topic = "t", .correlation = "a\0b", .correlation_len = 3 },
		{ .client_id = "c", .topic = "t", .correlation = "", .correlation_len = 0 },
	};

	for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
		const struct ft_request *request = &requests[i];
		struct ft_request read;

		write_ticket(request);
		ck_assert_int_eq(ft_record_read_ticket(&read, &record), FT_OK);
		ck_assert_str_eq(read.client_id, request->client_id);
		ck_assert_str_eq(read.topic, request->topic);
		ck_assert_int_eq(read.response_topic != NULL, request->response_topic != NULL);
		if (read.response_topic)
			ck_assert_str_eq(read.response_topic, request->response_topic);
		ck_assert_int_eq(read.correlation != NULL, request->correlation != NULL);
		ck_assert_uint_eq(read.correlation_len, request->correlation_len);
		if (read.correlation_len > 0)
			ck_assert_mem_eq(read.correlation, request->correlation,
					 read.correlation_len);
		ck_assert_ptr_null(read.owner);
	}
}
END_TEST

START_TEST(test_record__tickets_that_are_no_texts_are_damaged)
{
	struct ft_request request = { .client_id = "cc", .topic = "tt", .response_topic = "rr",
				      .correlation = "xx", .correlation_len = 2 };
	struct ft_request read;
	size_t len;

	write_ticket(&request);
	len = record.head_len;
	ck_assert_uint_eq(len, 4 * 7 + 2);
	/* Each byte that isn't a NUL, and each NUL that isn't one; the correlation may hold any. */
	for (size_t at = 0; at < len; at++) {
		bool is_correlation = at >= len - 3 && at < len - 1;

		begin(sizeof room);
		ft_record_write_ticket(&head, &request);
		room[at] = room[at] == '\0' ? 'x' : '\0';
		finish();
		ck_assert_msg((ft_record_read_ticket(&read, &record) == FT_OK) == is_correlation,
			      "byte %zu", at);
	}
	for (size_t part = 0; part < len; part++) {
		begin(sizeof room);
		ft_record_write_ticket(&head, &request);
		head.len = part;
		finish();
		ck_assert_int_eq(ft_record_read_ticket(&read, &record), FT_DAMAGED);
	}
}
END_TEST

START_TEST(test_record__fin_is_in_flags_offset_and_bytes)
{
	uint8_t checksum[FT_SHA256_LEN] = { 1, 2, 3 };
	struct ft_log_record fin = { .kind = FT_RECORD_FIN, .flags = FT_RECORD_CHECKSUM,
				     .offset = 1000, .bytes = checksum,
				     .bytes_len = sizeof checksum };
	struct ft_fin read;

	ck_assert_int_eq(ft_record_read_fin(&read, &fin), FT_OK);
	ck_assert_uint_eq(read.size, 1000);
	ck_assert(read.has_checksum);
	ck_assert_mem_eq(read.checksum.bytes, checksum, sizeof checksum);
	fin.flags = 0;
	ck_assert_int_eq(ft_record_read_fin(&read, &fin), FT_DAMAGED);
	fin.bytes_len = 0;
	ck_assert_int_eq(ft_record_read_fin(&read, &fin), FT_OK);
	ck_assert(!read.has_checksum);
	fin.flags = FT_RECORD_CHECKSUM;
	ck_assert_int_eq(ft_record_read_fin(&read, &fin), FT_DAMAGED);
	fin.flags = 0;
	fin.offset = (uint64_t)INT64_MAX + 1;
	ck_assert_int_eq(ft_record_read_fin(&read, &fin), FT_DAMAGED);
}
END_TEST

FT_SUITE("record",
	 test_record__facts_are_read_as_written,
	 test_record__least_facts_are_read_as_written,
	 test_record__absent_values_are_written_as_zeros,
	 test_record__room_is_always_enough,
	 test_record__facts_that_end_early_or_late_are_damaged,
	 test_record__facts_obey_the_rules_of_init,
	 test_record__owner_and_user_data_have_their_limits,
	 test_record__booleans_are_0_or_1_and_what_is_absent_is_0,
	 test_record__terms_are_little_endian_without_gaps,
	 test_record__tickets_are_read_as_written,
	 test_record__tickets_that_are_no_texts_are_damaged,
	 test_record__fin_is_in_flags_offset_and_bytes);
