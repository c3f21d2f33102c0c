/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* AWS IoT's MQTT-based file delivery, with JSON. It knows sizes and no checksums. */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/members.h"
#include "wire.h"

#define AWS_BLOCK_MAX 131072
#define INFO_TOKEN "info"

static void aws_topic(const struct wire *wire, const char *verb, char *topic)
{
	snprintf(topic, WIRE_TOPIC_ROOM, "$aws/things/%s/streams/%s/%s/json", wire->client_id,
		 wire->stream, verb);
}

static void aws_write_info(const struct wire *wire, struct message *message)
{
	aws_topic(wire, "describe", message->topic);
	snprintf(message->payload, sizeof(message->payload), "{\"c\":\"" INFO_TOKEN "\"}");
}

/* The token is the offset: `rejected` has no other hint at what it refuses. */
static void aws_write_block(const struct wire *wire, uint64_t offset, uint64_t len,
			    struct message *message)
{
	(void)len;
	aws_topic(wire, "get", message->topic);
	snprintf(message->payload, sizeof(message->payload),
		 "{\"c\":\"%" PRIu64 "\",\"f\":%u,\"l\":%" PRIu64 ",\"o\":%" PRIu64 ",\"n\":1}",
		 offset, wire->file, wire->block_bytes, offset / wire->block_bytes);
}

/* NULL: no base64, or no memory. */
static unsigned char *aws_decode(const char *text, size_t *len)
{
	size_t text_len = strlen(text);
	unsigned char *bytes = malloc(text_len / 4 * 3 + 1);
	int got = bytes && text_len % 4 == 0
		  ? EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)text_len) : -1;

	if (got < 0) {
		free(bytes);
		return NULL;
	}
	/* What padding stands for is counted as bytes. */
	*len = (size_t)got;
	while (text_len > 0 && text[text_len - 1] == '=' && *len > 0) {
		text_len--;
		(*len)--;
	}
	return bytes;
}

static void aws_read_bytes(const struct wire *wire, struct heard *heard)
{
	const char *text = member_text(heard->json, "p");
	uint64_t file, index;

	if (!text || strlen(text) > AWS_BLOCK_MAX * 2 ||
	    !member_number(heard->json, "f", 255, &file) || file != wire->file ||
	    !member_number(heard->json, "i", UINT32_MAX, &index))
		return;
	heard->owned = aws_decode(text, &heard->len);
	if (!heard->owned)
		return;
	heard->bytes = heard->owned;
	heard->offset = index * wire->block_bytes;
	heard->kind = HEARD_BYTES;
}

static void aws_read_description(const struct wire *wire, struct heard *heard)
{
	const cJSON *item;
	uint64_t file;

	heard->kind = HEARD_ANSWER;
	heard->about = ABOUT_INFO;
	heard->verdict = VERDICT_NOT_OFFERED;
	heard->max_block = AWS_BLOCK_MAX;
	snprintf(heard->why, sizeof(heard->why), "the stream has no file %u", wire->file);
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(heard->json, "r")) {
		if (member_number(item, "f", 255, &file) && file == wire->file &&
		    member_number(item, "z", MEMBER_EXACT_MAX, &heard->size))
			heard->verdict = VERDICT_DONE;
	}
}

static void aws_read_rejected(struct heard *heard)
{
	static const struct {
		const char *code;
		enum verdict verdict;
	} codes[] = {
		{ "ResourceNotFound", VERDICT_NOT_OFFERED }, { "Unauthorized", VERDICT_DENIED },
		{ "InternalError", VERDICT_WAIT },
	};
	const char *token = member_text(heard->json, "c"), *code = member_text(heard->json, "code");
	const char *text = member_text(heard->json, "message");

	if (!token || !code)
		return;
	heard->kind = HEARD_ANSWER;
	heard->about = strcmp(token, INFO_TOKEN) == 0 ? ABOUT_INFO : ABOUT_BLOCK;
	heard->offset = strtoull(token, NULL, 10);
	heard->retry_after_s = 1;
	heard->verdict = VERDICT_REFUSED;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (strcmp(code, codes[i].code) == 0)
			heard->verdict = codes[i].verdict;
	}
	heard_say(heard, code, text);
}

static bool aws_is(const struct wire *wire, const char *topic, const char *verb)
{
	static const char prefix[] = "$aws/things/";
	size_t id_len = strlen(wire->client_id), stream_len = strlen(wire->stream);
	const char *rest = topic + sizeof(prefix) - 1;

	if (strncmp(topic, prefix, sizeof(prefix) - 1) != 0 ||
	    strncmp(rest, wire->client_id, id_len) != 0 ||
	    strncmp(rest + id_len, "/streams/", 9) != 0)
		return false;
	rest += id_len + 9;
	size_t verb_len = strlen(verb);
	return strncmp(rest, wire->stream, stream_len) == 0 && rest[stream_len] == '/' &&
	       strncmp(rest + stream_len + 1, verb, verb_len) == 0 &&
	       strcmp(rest + stream_len + 1 + verb_len, "/json") == 0;
}

static void aws_read(const struct wire *wire, const char *topic, const void *payload, size_t len,
		     struct heard *heard)
{
	*heard = (struct heard){0};
	if (!topic || len > AWS_BLOCK_MAX * 2)
		return;
	heard->json = cJSON_ParseWithLength(payload, len);
	if (!cJSON_IsObject(heard->json))
		return;
	if (aws_is(wire, topic, "data"))
		aws_read_bytes(wire, heard);
	else if (aws_is(wire, topic, "description"))
		aws_read_description(wire, heard);
	else if (aws_is(wire, topic, "rejected"))
		aws_read_rejected(heard);
}

const struct wire_protocol wire_aws = { aws_write_info, aws_write_block, aws_read };
