/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/topic.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"

#define SHA "E3B0C44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SHORT_SHA "3B0C44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define TRUCK "\xf0\x9f\x9a\x9a"	/* an emoji */

static struct ft_command command;

static enum ft_status parse(const char *topic)
{
	memset(&command, 0xa5, sizeof command);
	return ft_topic_parse(&command, topic);
}

START_TEST(test_topic__is_ours_only_with_the_whole_first_level)
{
	static const struct {
		const char *topic;
		bool ours;
	} rows[] = {
		{ "$file/f/init", true }, { "$file-async/f/init", true }, { "$file/", true },
		{ "$file-async/", true }, { "$file//", true },
		{ "$file", false }, { "$file-async", false }, { "$filex/f/init", false },
		{ "$file-response/c", false }, { "$File/f/init", false }, { "file/f/init", false },
		{ "/$file/f/init", false }, { "$", false }, { "", false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		ck_assert_msg(ft_topic_is_ours(rows[i].topic) == rows[i].ours, "%s", rows[i].topic);
}
END_TEST

struct good {
	const char *rest;		/* of the topic, behind the prefix */
	enum ft_verb verb;
	const char *file;
	uint64_t number;
	bool has_checksum;
	const char *name;
};

static void assert_text(const char *text, size_t len, const char *expected, const char *topic)
{
	ck_assert_msg(len == strlen(expected) && memcmp(text, expected, len) == 0, "%s: %.*s", topic,
		      (int)len, text);
}

static void assert_command(const char *prefix, const struct good *good)
{
	char topic[1000];

	snprintf(topic, sizeof topic, "%s%s", prefix, good->rest);
	ck_assert_msg(parse(topic) == FT_OK, "%s: %s", topic, ft_status_word(parse(topic)));
	ck_assert_msg(command.verb == good->verb, "%s", topic);
	assert_text(command.file, command.file_len, good->file, topic);
	ck_assert_msg(command.number == good->number, "%s", topic);
	ck_assert_msg(command.has_checksum == good->has_checksum, "%s", topic);
	if (good->has_checksum) {
		ck_assert_uint_eq(command.checksum.bytes[0], 0xe3);
		ck_assert_uint_eq(command.checksum.bytes[31], 0x55);
	}
	if (good->name)
		assert_text(command.name, command.name_len, good->name, topic);
	else
		ck_assert(command.name == NULL && command.name_len == 0);
	ck_assert_ptr_null(command.detail);
}

START_TEST(test_topic__knows_every_command)
{
	static const struct good rows[] = {
		{ "f/init", FT_VERB_INIT, "f", 0, false, NULL },
		{ "f/abort", FT_VERB_ABORT, "f", 0, false, NULL },
		{ "f/status", FT_VERB_STATUS, "f", 0, false, NULL },
		{ "f/0", FT_VERB_SEGMENT, "f", 0, false, NULL },
		{ "f/4096", FT_VERB_SEGMENT, "f", 4096, false, NULL },
		{ "f/4096/" SHA, FT_VERB_SEGMENT, "f", 4096, true, NULL },
		{ "f/fin/7", FT_VERB_FIN, "f", 7, false, NULL },
		{ "f/fin/0", FT_VERB_FIN, "f", 0, false, NULL },
		{ "f/fin/7/" SHA, FT_VERB_FIN, "f", 7, true, NULL },
		{ "f/put/photo.jpg", FT_VERB_PUT, "f", 0, false, "photo.jpg" },
		{ "f/put/photo.jpg/" SHA, FT_VERB_PUT, "f", 0, true, "photo.jpg" },
		{ "f/put/" SHA, FT_VERB_PUT, "f", 0, false, SHA },
		{ "f/put/put", FT_VERB_PUT, "f", 0, false, "put" },
		{ "f/put/init", FT_VERB_PUT, "f", 0, false, "init" },
		{ "f/put/a b." TRUCK, FT_VERB_PUT, "f", 0, false, "a b." TRUCK },
		{ "f/put/...", FT_VERB_PUT, "f", 0, false, "..." },
		/* Numbers: leading zeros, up to 2^63-1. */
		{ "f/9223372036854775807", FT_VERB_SEGMENT, "f", INT64_MAX, false, NULL },
		{ "f/000000000000000000000000000000042", FT_VERB_SEGMENT, "f", 42, false, NULL },
		{ "f/fin/9223372036854775807", FT_VERB_FIN, "f", INT64_MAX, false, NULL },
		{ "f/fin/00", FT_VERB_FIN, "f", 0, false, NULL },
		/* Ids are any characters but '/', whatever they mean elsewhere. */
		{ "../0", FT_VERB_SEGMENT, "..", 0, false, NULL },
		{ "./init", FT_VERB_INIT, ".", 0, false, NULL },
		{ "init/init", FT_VERB_INIT, "init", 0, false, NULL },
		{ "fin/fin/1", FT_VERB_FIN, "fin", 1, false, NULL },
		{ "put/put/a", FT_VERB_PUT, "put", 0, false, "a" },
		{ "7/7", FT_VERB_SEGMENT, "7", 7, false, NULL },
		{ " /0", FT_VERB_SEGMENT, " ", 0, false, NULL },
		{ TRUCK "/0", FT_VERB_SEGMENT, TRUCK, 0, false, NULL },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_command("$file/", &rows[i]);
		assert_command("$file-async/", &rows[i]);
	}
}
END_TEST

START_TEST(test_topic__refuses_what_is_no_command_as_emqx_names_it)
{
	static const struct {
		const char *rest;
		enum ft_status status;
	} rows[] = {
		{ "", FT_INVALID_FILEID }, { "/init", FT_INVALID_FILEID },
		{ "/", FT_INVALID_FILEID }, { "//", FT_INVALID_FILEID },
		{ "/fin/1/2/3", FT_INVALID_FILEID }, { "\xff/init", FT_INVALID_FILEID },
		{ "\xed\xa0\x80/0", FT_INVALID_FILEID },

		{ "f", FT_INVALID_FILE_COMMAND }, { "f/fin/1/2/3", FT_INVALID_FILE_COMMAND },
		{ "f/0/" SHA "/x", FT_INVALID_FILE_COMMAND }, { "f/init/x/y", FT_INVALID_FILE_COMMAND },
		{ "f/a/b/c/d/e/f/g", FT_INVALID_FILE_COMMAND }, { "f/0/1/2", FT_INVALID_FILE_COMMAND },
		{ "f/put/a/" SHA "/x", FT_INVALID_FILE_COMMAND },
		{ "f/put/a/b/c", FT_INVALID_FILE_COMMAND }, { "f/PUT/a/" SHA, FT_INVALID_FILE_COMMAND },

		{ "f/", FT_INVALID_OFFSET }, { "f/offset", FT_INVALID_OFFSET },
		{ "f/fin", FT_INVALID_OFFSET }, { "f/put", FT_INVALID_OFFSET },
		{ "f/INIT", FT_INVALID_OFFSET }, { "f/init/x", FT_INVALID_OFFSET },
		{ "f/init/", FT_INVALID_OFFSET }, { "f/abort/x", FT_INVALID_OFFSET },
		{ "f/status/", FT_INVALID_OFFSET }, { "X/Y/Z", FT_INVALID_OFFSET },
		{ "f/PUT/a", FT_INVALID_OFFSET }, { "f/-1", FT_INVALID_OFFSET },
		{ "f/+1", FT_INVALID_OFFSET }, { "f/0x10", FT_INVALID_OFFSET },
		{ "f/1.0", FT_INVALID_OFFSET }, { "f/1e3", FT_INVALID_OFFSET },
		{ "f/ 1", FT_INVALID_OFFSET }, { "f/1 ", FT_INVALID_OFFSET },
		{ "f/\xd9\xa1", FT_INVALID_OFFSET },	/* a digit, but none of ASCII's */
		{ "f/9223372036854775808", FT_INVALID_OFFSET },
		{ "f/18446744073709551616", FT_INVALID_OFFSET },
		{ "f/99999999999999999999999999", FT_INVALID_OFFSET },
		{ "f/x/" SHA, FT_INVALID_OFFSET }, { "f//" SHA, FT_INVALID_OFFSET },

		{ "f/fin/", FT_INVALID_SIZE }, { "f/fin/x", FT_INVALID_SIZE },
		{ "f/fin/-1", FT_INVALID_SIZE }, { "f/fin/x/" SHA, FT_INVALID_SIZE },
		{ "f/fin//" SHA, FT_INVALID_SIZE }, { "f/fin/9223372036854775808", FT_INVALID_SIZE },
		{ "f/fin/x/y", FT_INVALID_SIZE },

		{ "f/fin/42/xyz", FT_INVALID_CHECKSUM }, { "f/fin/42/", FT_INVALID_CHECKSUM },
		{ "f/fin/42/" SHORT_SHA, FT_INVALID_CHECKSUM }, { "f/0/", FT_INVALID_CHECKSUM },
		{ "f/0/" SHA "0", FT_INVALID_CHECKSUM }, { "f/0/" SHORT_SHA, FT_INVALID_CHECKSUM },
		{ "f/0/g" SHORT_SHA, FT_INVALID_CHECKSUM }, { "f/put/a/", FT_INVALID_CHECKSUM },
		{ "f/put/a/b", FT_INVALID_CHECKSUM }, { "f/put/a/" SHORT_SHA, FT_INVALID_CHECKSUM },

		{ "f/put/", FT_INVALID_FILEMETA }, { "f/put/.", FT_INVALID_FILEMETA },
		{ "f/put/..", FT_INVALID_FILEMETA }, { "f/put/a:b", FT_INVALID_FILEMETA },
		{ "f/put/a\\b", FT_INVALID_FILEMETA }, { "f/put/a\nb", FT_INVALID_FILEMETA },
		{ "f/put/a\x7f", FT_INVALID_FILEMETA }, { "f/put/a\xc2\x85", FT_INVALID_FILEMETA },
		{ "f/put/\xff", FT_INVALID_FILEMETA }, { "f/put/a.manifest.json", FT_INVALID_FILEMETA },
		{ "f/put/./" SHA, FT_INVALID_FILEMETA }, { "f/put/./x", FT_INVALID_FILEMETA },
		{ "f/put//" SHA, FT_INVALID_FILEMETA },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char topic[300];

		snprintf(topic, sizeof topic, "$file/%s", rows[i].rest);
		ck_assert_msg(parse(topic) == rows[i].status, "%s: %s, not %s", topic,
			      ft_status_word(parse(topic)), ft_status_word(rows[i].status));
		ck_assert_msg((command.detail && strstr(command.detail, "\"name\""))
			      == (rows[i].status == FT_INVALID_FILEMETA), "%s", topic);
		snprintf(topic, sizeof topic, "$file-async/%s", rows[i].rest);
		ck_assert_msg(parse(topic) == rows[i].status, "%s", topic);
	}
}
END_TEST

/* Of "$file/<before><len letters><after>". */
static enum ft_status parse_long(const char *before, size_t len, const char *after)
{
	char topic[400], letters[300];

	memset(letters, 'n', len);
	letters[len] = '\0';
	snprintf(topic, sizeof topic, "$file/%s%s%s", before, letters, after);
	return parse(topic);
}

START_TEST(test_topic__takes_ids_of_1_to_255_bytes)
{
	ck_assert_int_eq(parse_long("", 255, "/0"), FT_OK);
	ck_assert_uint_eq(command.file_len, 255);
	ck_assert_int_eq(parse_long("", 256, "/0"), FT_INVALID_FILEID);
}
END_TEST

START_TEST(test_topic__takes_names_of_1_to_240_bytes)
{
	ck_assert_int_eq(parse_long("f/put/", 240, ""), FT_OK);
	ck_assert_uint_eq(command.name_len, 240);
	ck_assert_int_eq(parse_long("f/put/", 241, ""), FT_INVALID_FILEMETA);
}
END_TEST

/* Who is told what is wrong wants to know which transfer it was, as far as that is known. */
START_TEST(test_topic__tells_the_file_of_a_bad_command)
{
	ck_assert_int_eq(parse("$file/abc/offset"), FT_INVALID_OFFSET);
	ck_assert(command.file_len == 3 && memcmp(command.file, "abc", 3) == 0);
	ck_assert_int_eq(parse("$file//offset"), FT_INVALID_FILEID);
	ck_assert(command.file_len == 0);
}
END_TEST

FT_SUITE("topic",
	 test_topic__is_ours_only_with_the_whole_first_level,
	 test_topic__knows_every_command,
	 test_topic__refuses_what_is_no_command_as_emqx_names_it,
	 test_topic__takes_ids_of_1_to_255_bytes,
	 test_topic__takes_names_of_1_to_240_bytes,
	 test_topic__tells_the_file_of_a_bad_command);
