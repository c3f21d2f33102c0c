/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "answer.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/members.h"

static bool read_span(const cJSON *pair, struct span *span)
{
	return cJSON_IsArray(pair) && cJSON_GetArraySize(pair) == 2 &&
	       member_value(cJSON_GetArrayItem(pair, 0), MEMBER_EXACT_MAX, &span->offset) &&
	       member_value(cJSON_GetArrayItem(pair, 1), MEMBER_EXACT_MAX, &span->len);
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
	const char *word = member_text(object, "state");

	for (size_t i = 0; word && i < sizeof(states) / sizeof(states[0]); i++) {
		if (strcmp(word, states[i].word) == 0)
			return states[i].state;
	}
	return STATE_UNKNOWN;
}

static bool read_answer(struct answer *answer, const cJSON *object)
{
	uint64_t code, retry_after;

	if (!member_number(object, "reason_code", 255, &code))
		return false;
	answer->code = (int)code;
	if (member_number(object, "retry_after", 86400, &retry_after))
		answer->retry_after = (unsigned)retry_after;
	answer->state = read_state(object);
	answer->truncated = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "truncated"));
	answer->topic = member_copy(object, "topic");
	answer->word = member_copy(object, "reason_description");
	answer->detail = member_copy(object, "detail");
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
