/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/members.h"
#include "wire.h"

#define RETRY_DEFAULT_S 1
#define RETRY_MAX_S 3600

void heard_release(struct heard *heard)
{
	free(heard->owned);
	cJSON_Delete(heard->json);
	*heard = (struct heard){0};
}

void heard_say(struct heard *heard, const char *word, const char *detail)
{
	snprintf(heard->why, sizeof(heard->why), "%s%s%s", word, detail ? ": " : "",
		 detail ? detail : "");
	for (char *at = heard->why; *at; at++) {
		unsigned char byte = (unsigned char)*at, next = (unsigned char)at[1];
		/* U+0080..9F, too: in UTF-8 C2 80..9F. */
		if (byte < 0x20 || byte == 0x7f || (byte == 0xc2 && next >= 0x80 && next < 0xa0))
			*at = '?';
	}
}

static void native_write_info(const struct wire *wire, struct message *message)
{
	snprintf(message->topic, WIRE_TOPIC_ROOM, "$file-get/info/%s", wire->path);
	message->payload[0] = '\0';
}

/* With the checksum, so that no block can be of another content. */
static void native_write_block(const struct wire *wire, uint64_t offset, uint64_t len,
			       struct message *message)
{
	snprintf(message->topic, WIRE_TOPIC_ROOM, "$file-get/%" PRIu64 "/%" PRIu64 "/%s", offset,
		 len, wire->path);
	snprintf(message->payload, sizeof(message->payload), "%s", wire->sha256);
}

/* Digits, then `end`; the rest behind it. NULL: something else. */
static const char *native_number(const char *text, char end, uint64_t *number)
{
	char *rest;

	if (*text < '0' || *text > '9' || strspn(text, "0123456789") > 19)
		return NULL;
	*number = strtoull(text, &rest, 10);
	return *rest == end ? rest + 1 : NULL;
}

/* $file-data/<client id>/<offset>/<path> */
static void native_read_bytes(const struct wire *wire, const char *topic, const void *payload,
			      size_t len, struct heard *heard)
{
	static const char prefix[] = "$file-data/";
	size_t id_len = strlen(wire->client_id);
	const char *rest = topic + sizeof(prefix) - 1;

	if (!wire->path || strncmp(topic, prefix, sizeof(prefix) - 1) != 0 ||
	    strncmp(rest, wire->client_id, id_len) != 0 || rest[id_len] != '/')
		return;
	rest = native_number(rest + id_len + 1, '/', &heard->offset);
	if (!rest || strcmp(rest, wire->path) != 0)
		return;
	heard->kind = HEARD_BYTES;
	heard->bytes = payload;
	heard->len = len;
}

/* Which question it answers. False: none of ours. */
static bool native_read_topic(const struct wire *wire, const char *topic, struct heard *heard)
{
	static const char prefix[] = "$file-get/";
	const char *rest = topic + sizeof(prefix) - 1;
	uint64_t len;

	if (strncmp(topic, prefix, sizeof(prefix) - 1) != 0)
		return false;
	if (strcmp(rest, "list") == 0) {
		heard->about = ABOUT_LIST;
		return true;
	}
	/* Which report that is, the caller knows. */
	if (strncmp(rest, "report/", 7) == 0) {
		heard->about = ABOUT_REPORT;
		return true;
	}
	if (!wire->path)
		return false;
	if (strncmp(rest, "info/", 5) == 0) {
		heard->about = ABOUT_INFO;
		return strcmp(rest + 5, wire->path) == 0;
	}
	heard->about = ABOUT_BLOCK;
	rest = native_number(rest, '/', &heard->offset);
	rest = rest ? native_number(rest, '/', &len) : NULL;
	return rest && strcmp(rest, wire->path) == 0;
}

static enum verdict native_verdict(const char *word, uint64_t code)
{
	static const struct {
		const char *word;
		enum verdict verdict;
	} words[] = {
		{ "success", VERDICT_DONE }, { "file_changed", VERDICT_CHANGED },
		{ "no_such_file", VERDICT_NOT_OFFERED }, { "block_too_large", VERDICT_TOO_LARGE },
		{ "busy", VERDICT_WAIT }, { "rate_limited", VERDICT_WAIT },
		{ "io_error", VERDICT_LATER }, { "internal_error", VERDICT_LATER },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(word, words[i].word) == 0)
			return words[i].verdict;
	}
	/* A word from a newer broker: its code tells what to do. */
	return code == 0 ? VERDICT_DONE : code == 0x97 ? VERDICT_WAIT : code == 0x80 ? VERDICT_LATER
	       : VERDICT_REFUSED;
}

static void native_read_members(const cJSON *json, struct heard *heard)
{
	uint64_t retry = RETRY_DEFAULT_S;

	if (!member_number(json, "retry_after", RETRY_MAX_S, &retry) || !retry)
		retry = RETRY_DEFAULT_S;
	heard->retry_after_s = (unsigned)retry;
	(void)member_number(json, "max_block", MEMBER_EXACT_MAX, &heard->max_block);
	if (heard->about == ABOUT_INFO && heard->verdict == VERDICT_DONE &&
	    (!member_number(json, "size", MEMBER_EXACT_MAX, &heard->size) ||
	     !sha256_read(heard->sha256, member_text(json, "sha256"))))
		heard->kind = HEARD_NOTHING;
}

static void native_read_response(const struct wire *wire, const void *payload, size_t len,
				 struct heard *heard)
{
	cJSON *json = cJSON_ParseWithLength(payload, len);
	const char *topic = member_text(json, "topic");
	const char *word = member_text(json, "reason_description"), *detail = member_text(json, "detail");
	uint64_t code;

	heard->json = json;
	if (!topic || !word || !member_number(json, "reason_code", 255, &code) ||
	    !native_read_topic(wire, topic, heard))
		return;
	heard->kind = HEARD_ANSWER;
	heard->verdict = native_verdict(word, code);
	heard_say(heard, word, detail);
	native_read_members(json, heard);
}

static void native_read(const struct wire *wire, const char *topic, const void *payload, size_t len,
			struct heard *heard)
{
	*heard = (struct heard){0};
	if (topic)
		native_read_bytes(wire, topic, payload, len, heard);
	else
		native_read_response(wire, payload, len, heard);
}

const struct wire_protocol wire_native = { native_write_info, native_write_block, native_read };
