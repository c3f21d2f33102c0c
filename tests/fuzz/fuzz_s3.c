/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Answers of S3, or of what claims to be one: each is read as each kind of answer. What is taken
 * from it fits where it is put, and can be asked for again.
 */
#include "store/s3/address.h"
#include "store/s3/answer.h"
#include "fuzz.h"

struct s3_seen {
	unsigned count, limit;
};

static bool s3_see_object(void *context, const char *object, uint64_t size)
{
	struct s3_seen *seen = context;

	(void)size;
	fuzz_check(object[0] != '\0' && strlen(object) < S3_XML_TEXT_ROOM);
	fuzz_check(seen->count < seen->limit);
	return ++seen->count < seen->limit;
}

static bool s3_see_element(void *context, const char *path, const char *text)
{
	size_t *count = context;

	fuzz_check(path[0] != '\0' && path[0] != '/' && strlen(path) < 256);
	fuzz_check(!text || strlen(text) < S3_XML_TEXT_ROOM);
	++*count;
	return true;
}

/* Cut short by the visitor it has said the same up to there. */
static void s3_check_list(const char *text, size_t len)
{
	static char next[S3_XML_TEXT_ROOM];
	struct s3_seen all = { 0, UINT32_MAX }, one = { 0, 1 };
	enum ft_status st = s3_answer_list(text, len, s3_see_object, &all, next);

	fuzz_check(st == FT_OK || st == FT_IO_ERROR);
	fuzz_check(strlen(next) < sizeof next);
	st = s3_answer_list(text, len, s3_see_object, &one, next);
	fuzz_check((st == FT_CANCELLED) == (all.count > 0) && one.count == (all.count > 0));
}

FUZZ_TARGET(s3)
{
	static const char *const results[] = { "CompleteMultipartUploadResult", "CopyObjectResult" };
	static char code[S3_CODE_ROOM], message[S3_MESSAGE_ROOM], id[S3_UPLOAD_ID_ROOM];
	const char *text = (const char *)bytes;
	size_t elements = 0;
	enum ft_status st = s3_xml_each(text, len, s3_see_element, &elements);

	fuzz_check(st == FT_OK || st == FT_IO_ERROR);
	fuzz_check(st != FT_OK || elements > 0);
	s3_answer_error(text, len, code, message);
	fuzz_check(strlen(code) < sizeof code && strlen(message) < sizeof message);
	s3_check_list(text, len);
	if (s3_answer_upload_id(text, len, id)) {
		fuzz_check(st == FT_OK && id[0] && strlen(id) < sizeof id);
		fuzz_check(!strpbrk(id, " \t\r\n"));
	}
	for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
		bool is = s3_answer_is(text, len, results[i], code);

		fuzz_check(!is || st == FT_OK);
		fuzz_check(strlen(code) < sizeof code);
	}
}
