/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

/* cJSON does not tell why it gave up. What it needs is about this much, in small pieces. */
static bool memory_is_short(size_t len)
{
	void *probe = malloc(16 * len + 4096);

	free(probe);
	return !probe;
}

enum ft_status ft_json_parse(const char *text, size_t len, cJSON **json)
{
	char *copy;

	*json = NULL;
	if (memchr(text, '\0', len))
		return FT_DAMAGED;
	if (!(copy = malloc(len + 1)))
		return FT_NO_MEMORY;
	memcpy(copy, text, len);
	copy[len] = '\0';
	/* Twice: one allocation that failed need not fail again, and leaves no other trace. */
	for (int i = 0; i < 2 && !*json; i++)
		*json = cJSON_ParseWithLengthOpts(copy, len + 1, NULL, 1);
	free(copy);
	if (*json)
		return FT_OK;
	return memory_is_short(len) ? FT_NO_MEMORY : FT_DAMAGED;
}
