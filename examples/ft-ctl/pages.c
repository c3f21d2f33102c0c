/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "pages.h"

#include <string.h>

#define PAGE 500

static bool pages_add(cJSON *command, const char *key, const char *text)
{
	return !text || cJSON_AddStringToObject(command, key, text);
}

static bool pages_add_number(cJSON *command, const char *key, const char *digits)
{
	return !digits || cJSON_AddRawToObject(command, key, digits);
}

static cJSON *pages_command(const struct pages *pages, const char *cursor, unsigned left)
{
	static const struct filter none;
	const struct filter *filter = pages->filter ? pages->filter : &none;
	cJSON *command = call_new(pages->command);

	if (command && pages_add(command, "client_id", pages->client)
	    && pages_add(command, "client", pages->clients)
	    && pages_add(command, "to", pages->to) && pages_add(command, "status", pages->status)
	    && pages_add(command, "name", filter->name)
	    && pages_add(command, "sort", filter->sort)
	    && pages_add_number(command, "since", filter->since)
	    && pages_add_number(command, "until", filter->until)
	    && pages_add_number(command, "min_size", filter->min_size)
	    && pages_add_number(command, "max_size", filter->max_size)
	    && pages_add(command, "cursor", cursor)
	    && cJSON_AddNumberToObject(command, "limit", left && left < PAGE ? left : PAGE))
		return command;
	cJSON_Delete(command);
	return NULL;
}

bool pages_each(struct caller *caller, const struct pages *pages, page_visit *visit, void *context)
{
	cJSON *data = NULL;	/* the page before, which has the cursor */
	unsigned left = pages->limit;
	bool more = true;

	while (more) {
		const cJSON *next = cJSON_GetObjectItemCaseSensitive(data, "cursor");
		cJSON *command = pages_command(pages, data ? next->valuestring : NULL, left), *entry;

		cJSON_Delete(data);
		if (!(data = call(caller, &command)))
			return false;
		cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(data, pages->what)) {
			if (!more || !visit(context, entry) || (left && --left == 0))
				more = false;
		}
		more = more && cJSON_IsString(cJSON_GetObjectItemCaseSensitive(data, "cursor"));
	}
	cJSON_Delete(data);
	return true;
}
