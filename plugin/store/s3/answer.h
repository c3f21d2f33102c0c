/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What the XML of S3's answers says: an error, a page of a list, the id of a multipart upload, and
 * whether what was answered with 200 was done at all. Pure; any thread.
 */
#ifndef FT_STORE_S3_ANSWER_H
#define FT_STORE_S3_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/s3/xml.h"

#define S3_CODE_ROOM 64
#define S3_MESSAGE_ROOM 400
#define S3_UPLOAD_ID_ROOM 1024

/* Code and message of an error; "" where there is none. One that is no XML, such as a proxy's, has none. */
void s3_answer_error(const char *text, size_t len, char code[S3_CODE_ROOM],
		     char message[S3_MESSAGE_ROOM]);

/* What a list names, one after the other; returns false to end it. */
typedef bool s3_listed(void *context, const char *object, uint64_t size);

/* FT_OK, FT_CANCELLED (the visitor ended it), FT_IO_ERROR (not understood), FT_NO_MEMORY. */
enum ft_status s3_answer_list(const char *text, size_t len, s3_listed *visit, void *context,
			      char next[S3_XML_TEXT_ROOM]) FT_MUST_USE;

/* The id of a new multipart upload. False: there is none, or one that nobody could use. */
bool s3_answer_upload_id(const char *text, size_t len, char id[S3_UPLOAD_ID_ROOM]) FT_MUST_USE;

/*
 * Whether it is the result `name`. S3 may say 200 before it has tried, and an error then: false,
 * with its code, or "".
 */
bool s3_answer_is(const char *text, size_t len, const char *name, char code[S3_CODE_ROOM]) FT_MUST_USE;

#endif
