/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What responses say. They are JSON of a known form, so searching is enough. */
#include "swarm.h"

#include <stdio.h>
#include <string.h>

static const char *const words[] = {
	"success", "no_such_transfer", "file_checksum_mismatch", "incomplete", "invalid_fileid",
	"invalid_file_command", "invalid_offset", "invalid_size", "invalid_checksum",
	"invalid_filemeta", "invalid_filemeta_json", "already_complete", "too_many_transfers",
	"busy", "filemeta_conflict", "other",
};

#define WORDS (sizeof words / sizeof words[0])

_Static_assert(WORDS == sizeof ((struct swarm *)0)->words / sizeof(uint64_t), "a count for each");

const char *swarm_word(struct swarm *swarm, const char *payload)
{
	static const char member[] = "\"reason_description\":\"";
	const char *at = strstr(payload, member);
	size_t len, i = 0;

	if (at) {
		at += sizeof member - 1;
		len = strcspn(at, "\"");
		while (i < WORDS - 1 && (strlen(words[i]) != len || memcmp(words[i], at, len) != 0))
			i++;
	} else {
		i = WORDS - 1;
	}
	if (i == WORDS - 1)
		swarm_complain(swarm, "a word nobody expects: %.200s", payload);
	swarm->words[i]++;
	return words[i];
}

void swarm_print_words(const struct swarm *swarm)
{
	printf("\"words\":{");
	for (size_t i = 0; i < WORDS; i++)
		printf("%s\"%s\":%llu", i ? "," : "", words[i], (unsigned long long)swarm->words[i]);
	putchar('}');
}

bool swarm_answers(const char *payload, const char *tail)
{
	static const char member[] = "\"topic\":\"";
	const char *at = strstr(payload, member);
	size_t len, tail_len = strlen(tail);

	if (!at)
		return false;
	at += sizeof member - 1;
	len = strcspn(at, "\"");
	return len >= tail_len && memcmp(at + len - tail_len, tail, tail_len) == 0;
}
