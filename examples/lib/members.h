/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Members of JSON objects, by cJSON: in what brokers answer anything may be missing, or of
 * another type. Objects may be NULL.
 */
#ifndef EXAMPLES_MEMBERS_H
#define EXAMPLES_MEMBERS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

/* Whole numbers above this are not exact in JSON's doubles. */
#define MEMBER_EXACT_MAX 9007199254740992.0

/* NULL: there is none, or it is no text. Borrowed. */
char *member_text(const cJSON *object, const char *key);

/* A copy, to be freed; "" where there is none. NULL: no memory. */
char *member_copy(const cJSON *object, const char *key);

/* False: there is none within 0 to `max`. */
bool member_number(const cJSON *object, const char *key, double max, uint64_t *number);

/* The same of a value. */
bool member_value(const cJSON *item, double max, uint64_t *number);

/* Adds one with all its digits: cJSON would print 1e+15. False: no memory. */
bool member_add(cJSON *object, const char *key, uint64_t number);
bool member_add_signed(cJSON *object, const char *key, int64_t number);

#endif
