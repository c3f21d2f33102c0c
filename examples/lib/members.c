/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "members.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

char *member_text(const cJSON *object, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

char *member_copy(const cJSON *object, const char *key)
{
	const char *text = member_text(object, key);

	return strdup(text ? text : "");
}

bool member_value(const cJSON *item, double max, uint64_t *number)
{
	if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= max))
		return false;
	*number = (uint64_t)item->valuedouble;
	return true;
}

bool member_number(const cJSON *object, const char *key, double max, uint64_t *number)
{
	return member_value(cJSON_GetObjectItemCaseSensitive(object, key), max, number);
}

/* Raw: JSON numbers go through a double, which prints as 1e+15. */
bool member_add_signed(cJSON *object, const char *key, int64_t number)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRId64, number);
	return cJSON_AddRawToObject(object, key, digits) != NULL;
}

bool member_add(cJSON *object, const char *key, uint64_t number)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, number);
	return cJSON_AddRawToObject(object, key, digits) != NULL;
}
