/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * JSON objects, read by cJSON but for three things. What is nobody's business here stays
 * text, to the letter: cJSON would round its numbers, and print it at up to a hundred
 * times its length. Members that nobody wants cost no more than to be skipped. And it is
 * known why parsing failed: a transfer whose manifest cannot be parsed is set aside, and
 * must not be for a passing lack of memory. Threads: any.
 */
#ifndef FT_BASE_JSON_H
#define FT_BASE_JSON_H

#include <cjson/cJSON.h>
#include <stddef.h>

#include "file_transfer/status.h"

/* A value as it stands in a text, borrowed from there. len 0: there is none. */
struct ft_json_text {
	const char *at;
	size_t len;
};

/*
 * Parses `len` bytes of UTF-8 that must be one JSON text (RFC 8259, to the letter; a byte
 * order mark is skipped) and nothing else. *json is the caller's to cJSON_Delete(): NULL on
 * error, and where the text is JSON but no object.
 *
 *	wanted	keys, NULL-terminated, of the members to parse; where a value is an array or
 *		an object, only that is told, by an empty array. NULL: all, as they are.
 *	apart	a key whose value is not parsed, but goes to *value as text: of several the
 *		first. NULL: none.
 *
 * Errors: FT_DAMAGED (no JSON), FT_NO_MEMORY.
 */
enum ft_status ft_json_parse_object(const char *text, size_t len, const char *const *wanted,
				    const char *apart, cJSON **json,
				    struct ft_json_text *value) FT_MUST_USE;

#endif
