/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/s3/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/s3/address.h"

/* --- errors --- */

struct answer_error {
	char *code, *message;
};

static bool answer_see_error(void *context, const char *path, const char *text)
{
	struct answer_error *error = context;

	if (text && strcmp(path, "Error/Code") == 0)
		snprintf(error->code, S3_CODE_ROOM, "%s", text);
	else if (text && error->message && strcmp(path, "Error/Message") == 0)
		snprintf(error->message, S3_MESSAGE_ROOM, "%s", text);
	return true;
}

void s3_answer_error(const char *text, size_t len, char code[S3_CODE_ROOM], char message[S3_MESSAGE_ROOM])
{
	struct answer_error error = { code, message };

	code[0] = message[0] = '\0';
	(void)(s3_xml_each(text, len, answer_see_error, &error) != FT_OK);
}

/* --- lists --- */

struct answer_list {
	s3_listed *visit;
	void *context;
	char *next;
	char key[S3_XML_TEXT_ROOM];
	uint64_t size;
	bool truncated;
};

static bool answer_see_list(void *context, const char *path, const char *text)
{
	struct answer_list *l = context;
	bool go_on = true;

	if (!text && strcmp(path, "ListBucketResult/Contents") == 0) {
		if (l->key[0] && s3_address_decode(l->key))
			go_on = l->visit(l->context, l->key, l->size);
		l->key[0] = '\0';
		l->size = 0;
	}
	if (!text)
		return go_on;
	if (strcmp(path, "ListBucketResult/Contents/Key") == 0)
		snprintf(l->key, sizeof l->key, "%s", text);
	else if (strcmp(path, "ListBucketResult/Contents/Size") == 0)
		l->size = strtoull(text, NULL, 10);
	else if (strcmp(path, "ListBucketResult/IsTruncated") == 0)
		l->truncated = strcmp(text, "true") == 0;
	else if (strcmp(path, "ListBucketResult/NextContinuationToken") == 0)
		snprintf(l->next, S3_XML_TEXT_ROOM, "%s", text);
	return true;
}

enum ft_status s3_answer_list(const char *text, size_t len, s3_listed *visit, void *context,
			      char next[S3_XML_TEXT_ROOM])
{
	struct answer_list *l = calloc(1, sizeof *l);
	enum ft_status st;

	next[0] = '\0';
	if (!l)
		return FT_NO_MEMORY;
	l->visit = visit;
	l->context = context;
	l->next = next;
	st = s3_xml_each(text, len, answer_see_list, l);
	if (!l->truncated)
		next[0] = '\0';
	free(l);
	return st;
}

/* --- results --- */

static bool answer_see_upload_id(void *context, const char *path, const char *text)
{
	char *id = context;
	size_t len = text ? strlen(text) : 0;

	if (strcmp(path, "InitiateMultipartUploadResult/UploadId") != 0 || len >= S3_UPLOAD_ID_ROOM)
		return true;
	for (size_t i = 0; i < len; i++)	/* it lies in a note, one line of it */
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
			return true;
	memcpy(id, text ? text : "", len + 1);
	return true;
}

bool s3_answer_upload_id(const char *text, size_t len, char id[S3_UPLOAD_ID_ROOM])
{
	id[0] = '\0';
	if (s3_xml_each(text, len, answer_see_upload_id, id) != FT_OK)
		id[0] = '\0';
	return id[0] != '\0';
}

struct answer_result {
	const char *name;
	struct answer_error error;
	bool found;
};

static bool answer_see_result(void *context, const char *path, const char *text)
{
	struct answer_result *result = context;

	result->found = result->found || strcmp(path, result->name) == 0;
	return answer_see_error(&result->error, path, text);
}

bool s3_answer_is(const char *text, size_t len, const char *name, char code[S3_CODE_ROOM])
{
	struct answer_result result = { name, { code, NULL }, false };

	code[0] = '\0';
	return s3_xml_each(text, len, answer_see_result, &result) == FT_OK && result.found;
}
