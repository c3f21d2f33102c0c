/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * cJSON's parser, but that it is known why it failed: a transfer whose manifest cannot
 * be parsed is set aside, and must not be for a passing lack of memory. Threads: any.
 */
#ifndef FT_BASE_JSON_H
#define FT_BASE_JSON_H

#include <cjson/cJSON.h>
#include <stddef.h>

#include "file_transfer/status.h"

/*
 * Parses `len` bytes that must be one JSON text and nothing else. *json is the caller's
 * to cJSON_Delete(), NULL on error. Errors: FT_DAMAGED (no JSON), FT_NO_MEMORY.
 */
enum ft_status ft_json_parse(const char *text, size_t len, cJSON **json) FT_MUST_USE;

#endif
