/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "answer.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

/* Whole numbers above this are not exact in JSON's doubles. */
#define EXACT_MAX 9007199254740992.0

static char *copy_text(const cJSON *object, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
	return strdup(text ? text : "");
}

static bool read_number(const cJSON *item, double max, uint64_t *number)
{
	if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= max))
		return false;
	*number = (uint64_t)item->valuedouble;
	return true;
}

static bool read_span(const cJSON *pair, struct span *span)
{
	return cJSON_IsArray(pair) && cJSON_GetArraySize(pair) == 2 &&
	       read_number(cJSON_GetArrayItem(pair, 0), EXACT_MAX, &span->offset) &&
	       read_number(cJSON_GetArrayItem(pair, 1), EXACT_MAX, &span->len);
}

/*
 * Reads [[offset,len],...]. Absent is an empty list. What is out of order is left
 * out: a range too few costs a few bytes sent twice, one too many costs the file.
 */
static bool read_spans(const cJSON *object, const char *key, struct span **spans, size_t *count)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, key);
	const cJSON *pair;
	uint64_t end = 0;

	if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) == 0)
		return true;
	*spans = calloc((size_t)cJSON_GetArraySize(list), sizeof(**spans));
	if (!*spans)
		return false;
	cJSON_ArrayForEach(pair, list) {
		struct span span;
		if (!read_span(pair, &span) || span.offset < end)
			continue;
		end = span.offset + span.len;
		(*spans)[(*count)++] = span;
	}
	return true;
}

static enum answer_state read_state(const cJSON *object)
{
	static const struct {
		const char *word;
		enum answer_state state;
	} states[] = {
		{ "none", STATE_NONE },
		{ "receiving", STATE_RECEIVING },
		{ "assembling", STATE_ASSEMBLING },
		{ "complete", STATE_COMPLETE },
	};
	const char *word = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "state"));

	for (size_t i = 0; word && i < sizeof(states) / sizeof(states[0]); i++) {
		if (strcmp(word, states[i].word) == 0)
			return states[i].state;
	}
	return STATE_UNKNOWN;
}

static bool read_answer(struct answer *answer, const cJSON *object)
{
	uint64_t code, retry_after;

	if (!read_number(cJSON_GetObjectItemCaseSensitive(object, "reason_code"), 255, &code))
		return false;
	answer->code = (int)code;
	if (read_number(cJSON_GetObjectItemCaseSensitive(object, "retry_after"), 86400, &retry_after))
		answer->retry_after = (unsigned)retry_after;
	answer->state = read_state(object);
	answer->truncated = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "truncated"));
	answer->topic = copy_text(object, "topic");
	answer->word = copy_text(object, "reason_description");
	answer->detail = copy_text(object, "detail");
	return answer->topic && answer->word && answer->detail &&
	       read_spans(object, "have", &answer->have, &answer->have_count) &&
	       read_spans(object, "missing", &answer->missing, &answer->missing_count);
}

bool answer_parse(struct answer *answer, const void *json, size_t len)
{
	cJSON *object = cJSON_ParseWithLength(json, len);

	*answer = (struct answer){0};
	bool ok = object && read_answer(answer, object);
	cJSON_Delete(object);
	if (!ok)
		answer_release(answer);
	return ok;
}

void answer_release(struct answer *answer)
{
	free(answer->topic);
	free(answer->word);
	free(answer->detail);
	free(answer->have);
	free(answer->missing);
	*answer = (struct answer){0};
}
