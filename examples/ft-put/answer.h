/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A response of the broker, read from its JSON.
 *
 *	struct answer answer;
 *	if (answer_parse(&answer, payload, len)) ...
 *	answer_release(&answer);
 */
#ifndef FT_PUT_ANSWER_H
#define FT_PUT_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "../lib/spans.h"

enum answer_state {
	STATE_UNKNOWN,		/* not said, or a word from a newer broker */
	STATE_NONE,
	STATE_RECEIVING,
	STATE_ASSEMBLING,
	STATE_COMPLETE,
};

struct answer {
	char *topic;		/* the command that is answered */
	int code;
	char *word;		/* reason_description */
	char *detail;		/* "" where the broker said none */
	enum answer_state state;
	struct span *have;	/* ascending, disjoint */
	size_t have_count;
	struct span *missing;
	size_t missing_count;
	bool truncated;		/* there is more than the lists say */
	unsigned retry_after;	/* seconds; 0: not said */
};

/* False where it is no response, or memory ran out; `answer` is then empty. */
bool answer_parse(struct answer *answer, const void *json, size_t len);

void answer_release(struct answer *answer);

#endif
