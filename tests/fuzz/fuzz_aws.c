/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Requests for blocks of AWS's streams: a byte that says which request in which encoding, then the
 * payload. Each is refused, or read within its bounds; what is answered can be read again.
 */
#include "base/cbor.h"
#include "base/json.h"
#include "base/utf8.h"
#include "protocol/aws_stream.h"
#include "fuzz.h"

static void aws_check_blocks(const struct ft_aws_request *request, uint64_t size)
{
	struct ft_aws_blocks blocks;
	uint64_t sent = 0;

	if (ft_aws_choose(&blocks, request, size) != FT_AWS_OK)
		return;
	fuzz_check(blocks.count >= 1 && blocks.count <= FT_AWS_BLOCKS_MAX);
	fuzz_check(blocks.count <= request->count);
	for (size_t i = 0; i < blocks.count; i++) {
		uint32_t bit = blocks.index[i] - request->offset;

		fuzz_check(i == 0 || blocks.index[i] > blocks.index[i - 1]);
		fuzz_check(blocks.index[i] >= request->offset);
		fuzz_check((uint64_t)blocks.index[i] * request->block_size < size);
		fuzz_check(!request->by_bitmap || bit / 8 < request->bitmap_len);
		sent += ft_aws_block_len(request->block_size, blocks.index[i], size);
	}
	fuzz_check(sent <= FT_AWS_ANSWER_BYTES);
}

static void aws_check_get(const struct ft_aws_request *request)
{
	static const uint64_t sizes[] = { 0, 1, 256, 1000003, 5000000000, UINT64_MAX };

	fuzz_check(request->block_size >= FT_AWS_BLOCK_MIN && request->block_size <= FT_AWS_BLOCK_MAX);
	fuzz_check(request->offset <= FT_AWS_OFFSET_MAX);
	fuzz_check(request->count >= 1 && request->count <= FT_AWS_COUNT_MAX);
	fuzz_check(request->bitmap_len < FT_AWS_BITMAP_ROOM || !request->by_bitmap);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		aws_check_blocks(request, sizes[i]);
}

/* The token of an answer is the request's. */
static void aws_check_rejected(const struct ft_aws_topic *topic, const struct ft_aws_token *token,
			       enum ft_aws_verdict verdict)
{
	struct ft_json_member json[] = { { .key = "c" }, { .key = "o" } };
	struct ft_cbor_member cbor[] = { { .key = "c" }, { .key = "o" } };
	char room[FT_AWS_REJECTED_ROOM], text[FT_AWS_TOKEN_MAX + 1];
	struct ft_buf to = ft_buf_on(room, sizeof room);
	size_t len = 0;

	ft_aws_write_rejected(&to, topic, token, verdict);
	fuzz_check(ft_buf_ok(&to));
	if (topic->encoding == FT_AWS_JSON) {
		fuzz_check(ft_utf8_valid(room, to.len));
		fuzz_check(ft_json_find(room, to.len, json, 2) == FT_JSON_OBJECT && json[1].value.at);
		fuzz_check(token->given == (json[0].value.len > 0));
		fuzz_check(!token->given || ft_json_string(&json[0].value, text, sizeof text, &len));
	} else {
		fuzz_check(ft_cbor_find(room, to.len, cbor, 2) == FT_CBOR_MAP && cbor[1].value.at);
		fuzz_check(token->given == (cbor[0].value.len > 0));
		fuzz_check(!token->given || ft_cbor_string(&cbor[0].value, FT_CBOR_MAJOR_TEXT, text,
							   FT_AWS_TOKEN_MAX, &len));
	}
	fuzz_check(len == token->len && memcmp(text, token->text, len) == 0);
}

FUZZ_TARGET(aws)
{
	static struct ft_aws_request request;
	struct ft_aws_topic topic = { .stream = "s", .stream_len = 1 };
	enum ft_aws_verdict verdict;

	if (len == 0)
		return;
	topic.encoding = *bytes & 1 ? FT_AWS_CBOR : FT_AWS_JSON;
	topic.word = *bytes & 2 ? FT_AWS_DESCRIBE : FT_AWS_GET;
	verdict = ft_aws_request_parse(&request, &topic, bytes + 1, len - 1);
	fuzz_check(ft_utf8_valid(request.token.text, request.token.len));
	if (verdict == FT_AWS_OK && topic.word == FT_AWS_GET)
		aws_check_get(&request);
	aws_check_rejected(&topic, &request.token,
			   verdict == FT_AWS_OK ? FT_AWS_INTERNAL_ERROR : verdict);
}
