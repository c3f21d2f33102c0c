/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/topic.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"

#define SHA "E3B0C44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static struct ft_command command;

static enum ft_status parse(const char *topic)
{
	memset(&command, 0xa5, sizeof command);
	return ft_topic_parse(&command, topic);
}

static void assert_command(const char *topic, enum ft_verb verb, const char *file,
			   uint64_t number, bool has_checksum)
{
	ck_assert_msg(parse(topic) == FT_OK, "%s", topic);
	ck_assert_msg(command.verb == verb, "%s", topic);
	ck_assert_uint_eq(command.file_len, strlen(file));
	ck_assert(memcmp(command.file, file, strlen(file)) == 0);
	ck_assert_msg(command.number == number, "%s", topic);
	ck_assert_msg(command.has_checksum == has_checksum, "%s", topic);
}

static void assert_refused(const char *topic, enum ft_status status)
{
	ck_assert_msg(parse(topic) == status, "%s: %s, not %s", topic,
		      ft_status_word(parse(topic)), ft_status_word(status));
}

START_TEST(test_topic__is_ours_only_with_the_whole_first_level)
{
	ck_assert(ft_topic_is_ours("$file/f/init"));
	ck_assert(ft_topic_is_ours("$file-async/f/init"));
	ck_assert(ft_topic_is_ours("$file/"));
	ck_assert(!ft_topic_is_ours("$file"));
	ck_assert(!ft_topic_is_ours("$file-async"));
	ck_assert(!ft_topic_is_ours("$filex/f/init"));
	ck_assert(!ft_topic_is_ours("$file-response/c"));
	ck_assert(!ft_topic_is_ours("$File/f/init"));
	ck_assert(!ft_topic_is_ours("file/f/init"));
	ck_assert(!ft_topic_is_ours(""));
}
END_TEST

START_TEST(test_topic__knows_every_command)
{
	assert_command("$file/f/init", FT_VERB_INIT, "f", 0, false);
	assert_command("$file-async/f/init", FT_VERB_INIT, "f", 0, false);
	assert_command("$file/f/abort", FT_VERB_ABORT, "f", 0, false);
	assert_command("$file/f/status", FT_VERB_STATUS, "f", 0, false);
	assert_command("$file/f/4096", FT_VERB_SEGMENT, "f", 4096, false);
	assert_command("$file/f/4096/" SHA, FT_VERB_SEGMENT, "f", 4096, true);
	ck_assert_uint_eq(command.checksum.bytes[0], 0xe3);
	ck_assert_uint_eq(command.checksum.bytes[31], 0x55);
	assert_command("$file-async/f/fin/7", FT_VERB_FIN, "f", 7, false);
	assert_command("$file/f/fin/7/" SHA, FT_VERB_FIN, "f", 7, true);
}
END_TEST

START_TEST(test_topic__takes_file_ids_of_any_bytes_but_slash)
{
	char id[300], topic[400];

	assert_command("$file/../0", FT_VERB_SEGMENT, "..", 0, false);
	assert_command("$file/./init", FT_VERB_INIT, ".", 0, false);
	assert_command("$file/init/init", FT_VERB_INIT, "init", 0, false);
	assert_command("$file/\xf0\x9f\x9a\x9a/0", FT_VERB_SEGMENT, "\xf0\x9f\x9a\x9a", 0, false);
	memset(id, 'i', sizeof id);
	id[255] = '\0';
	snprintf(topic, sizeof topic, "$file/%s/0", id);
	assert_command(topic, FT_VERB_SEGMENT, id, 0, false);
}
END_TEST

START_TEST(test_topic__refuses_bad_file_ids)
{
	char id[300], topic[400];

	assert_refused("$file/", FT_INVALID_FILEID);
	assert_refused("$file//init", FT_INVALID_FILEID);
	assert_refused("$file/\xff/init", FT_INVALID_FILEID);
	memset(id, 'i', sizeof id);
	id[256] = '\0';
	snprintf(topic, sizeof topic, "$file/%s/0", id);
	assert_refused(topic, FT_INVALID_FILEID);
}
END_TEST

START_TEST(test_topic__refuses_shapes_that_no_command_has)
{
	assert_refused("$file/f", FT_INVALID_FILE_COMMAND);
	assert_refused("$file/f/fin/1/2/3", FT_INVALID_FILE_COMMAND);
	assert_refused("$file/f/0/" SHA "/x", FT_INVALID_FILE_COMMAND);
	assert_refused("$file/f/init/x/y", FT_INVALID_FILE_COMMAND);
	assert_refused("$file/f/a/b/c/d/e/f/g", FT_INVALID_FILE_COMMAND);
}
END_TEST

START_TEST(test_topic__refuses_bad_offsets_as_emqx_names_them)
{
	static const char *const bad[] = {
		"$file/f/", "$file/f/offset", "$file/f/fin", "$file/f/INIT", "$file/f/init/x",
		"$file/f/abort/x", "$file/f/status/", "$file/X/Y/Z", "$file/f/-1", "$file/f/+1",
		"$file/f/0x10", "$file/f/1.0", "$file/f/ 1", "$file/f/1 ",
		"$file/f/9223372036854775808", "$file/f/18446744073709551616",
		"$file/f/99999999999999999999999999",
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_refused(bad[i], FT_INVALID_OFFSET);
}
END_TEST

START_TEST(test_topic__takes_numbers_up_to_2_63_with_leading_zeros)
{
	assert_command("$file/f/9223372036854775807", FT_VERB_SEGMENT, "f", INT64_MAX, false);
	assert_command("$file/f/000000000000000000000000000000042", FT_VERB_SEGMENT, "f", 42,
		       false);
	assert_command("$file/f/fin/9223372036854775807", FT_VERB_FIN, "f", INT64_MAX, false);
	assert_command("$file/f/fin/00", FT_VERB_FIN, "f", 0, false);
}
END_TEST

START_TEST(test_topic__refuses_bad_sizes)
{
	assert_refused("$file/f/fin/", FT_INVALID_SIZE);
	assert_refused("$file/f/fin/x", FT_INVALID_SIZE);
	assert_refused("$file/f/fin/-1", FT_INVALID_SIZE);
	assert_refused("$file/f/fin/x/" SHA, FT_INVALID_SIZE);
	assert_refused("$file/f/fin/9223372036854775808", FT_INVALID_SIZE);
}
END_TEST

START_TEST(test_topic__refuses_checksums_that_are_not_64_hex_digits)
{
	assert_refused("$file/f/fin/42/xyz", FT_INVALID_CHECKSUM);
	assert_refused("$file/f/fin/42/", FT_INVALID_CHECKSUM);
	assert_refused("$file/f/0/", FT_INVALID_CHECKSUM);
	assert_refused("$file/f/0/" SHA "0", FT_INVALID_CHECKSUM);
	assert_refused("$file/f/0/3B0C44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		       FT_INVALID_CHECKSUM);
	assert_refused("$file/f/0/g3B0C44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		       FT_INVALID_CHECKSUM);
}
END_TEST

FT_SUITE("topic",
	 test_topic__is_ours_only_with_the_whole_first_level,
	 test_topic__knows_every_command,
	 test_topic__takes_file_ids_of_any_bytes_but_slash,
	 test_topic__refuses_bad_file_ids,
	 test_topic__refuses_shapes_that_no_command_has,
	 test_topic__refuses_bad_offsets_as_emqx_names_them,
	 test_topic__takes_numbers_up_to_2_63_with_leading_zeros,
	 test_topic__refuses_bad_sizes,
	 test_topic__refuses_checksums_that_are_not_64_hex_digits);
