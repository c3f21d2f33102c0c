/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Messages of AWS IoT's MQTT-based file delivery, in JSON and in CBOR.
 *
 *	if ((verdict = ft_aws_request_parse(&request, &topic, payload, len)) == FT_AWS_OK)
 *		verdict = ft_aws_choose(&blocks, &request, size);
 *	if (verdict != FT_AWS_OK)
 *		ft_aws_write_rejected(&answer, &topic, &request.token, verdict);
 *
 * Requests have the members c (the client's token, returned as it is), s (the stream's version,
 * which is 1 here), f (file), l (length of a block), o (first block), n (how many blocks), b (bit
 * 8k+j: block o+8k+j is wanted). Answers have their members in the order that AWS's have.
 *
 * Pure: nothing is allocated, time is linear in the payload. Any thread.
 */
#ifndef FT_PROTOCOL_AWS_STREAM_H
#define FT_PROTOCOL_AWS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "file_transfer/status.h"
#include "protocol/aws_topic.h"

#define FT_AWS_CBOR_MAX 16384		/* a request is smaller */
#define FT_AWS_JSON_MAX 32768
#define FT_AWS_TOKEN_MAX 64		/* bytes */
#define FT_AWS_BLOCK_MIN 256		/* bytes */
#define FT_AWS_BLOCK_MAX 131072
#define FT_AWS_OFFSET_MAX 98304		/* blocks */
#define FT_AWS_COUNT_MAX 98304
#define FT_AWS_BITMAP_ROOM 12288	/* a bitmap is smaller */
#define FT_AWS_ANSWER_BYTES 131072	/* content of all blocks that a request gets */
#define FT_AWS_BLOCKS_MAX (FT_AWS_ANSWER_BYTES / FT_AWS_BLOCK_MIN)
#define FT_AWS_FILES_MAX 50		/* of a description */

/* X(symbol, code, message); what is above another is found first */
#define FT_AWS_VERDICTS(X) \
	X(FT_AWS_OK, "", "") \
	X(FT_AWS_UNAUTHORIZED, "Unauthorized", "the thing is neither the client id nor the user name") \
	X(FT_AWS_TOO_LONG, "InvalidRequest", "a request is shorter than 16 KiB (JSON: 32 KiB)") \
	X(FT_AWS_INVALID_JSON, "InvalidJson", \
	  "a request is one JSON text, in valid UTF-8, nested at most 8 deep") \
	X(FT_AWS_INVALID_CBOR, "InvalidCbor", \
	  "a request is one item of CBOR without floats and tags, in valid UTF-8, nested at most 8 deep") \
	X(FT_AWS_NO_OBJECT, "InvalidRequest", "a request is an object (CBOR: a map)") \
	X(FT_AWS_INVALID_TOKEN, "InvalidRequest", "c is a text of at most 64 bytes") \
	X(FT_AWS_INVALID_FILE, "InvalidRequest", "f is needed: an integer from 0 to 255") \
	X(FT_AWS_INVALID_MEMBER, "InvalidRequest", \
	  "l is needed; s, l, o and n are integers; b is pairs of hex digits (CBOR: a byte string)") \
	X(FT_AWS_NOT_FOUND, "ResourceNotFound", "there is no such stream or file for this client") \
	X(FT_AWS_VERSION_MISMATCH, "VersionMismatch", "the version of every stream is 1") \
	X(FT_AWS_BLOCK_SIZE, "BlockSizeOutOfBounds", "l is 256 to 131072") \
	X(FT_AWS_OFFSET, "OffsetOutOfBounds", "o is 0 to 98304") \
	X(FT_AWS_BLOCK_COUNT, "BlockCountLimitExceeded", "n is 0 to 98304") \
	X(FT_AWS_BITMAP, "BlockBitmapLimitExceeded", "b is shorter than 12288 bytes") \
	X(FT_AWS_EMPTY_BITMAP, "InvalidRequest", "b asks for no block") \
	X(FT_AWS_OUT_OF_RANGE, "InvalidRequest", \
	  "The data requested is out of the range of data available") \
	X(FT_AWS_INTERNAL_ERROR, "InternalError", "the broker cannot do it now: try again later")

enum ft_aws_verdict {
#define X(symbol, code, message) symbol,
	FT_AWS_VERDICTS(X)
#undef X
	FT_AWS_VERDICT_COUNT
};

struct ft_aws_token {
	bool given;
	size_t len;
	char text[FT_AWS_TOKEN_MAX + 1];	/* valid UTF-8; may hold NUL bytes */
};

struct ft_aws_request {
	struct ft_aws_token token;
	uint8_t file;				/* and the rest: GET */
	uint32_t block_size;
	uint32_t offset;			/* in blocks */
	uint32_t count;				/* at most so many blocks; never 0 */
	bool by_bitmap;
	size_t bitmap_len;
	uint8_t bitmap[FT_AWS_BITMAP_ROOM];
};

/* Ascending. */
struct ft_aws_blocks {
	size_t count;
	uint32_t index[FT_AWS_BLOCKS_MAX];
};

struct ft_aws_block {
	uint8_t file;
	uint32_t index;
	const void *bytes;
	size_t len;
};

struct ft_aws_file {
	uint8_t file;
	uint64_t size;
};

/* The token is valid on errors, too. */
enum ft_aws_verdict ft_aws_request_parse(struct ft_aws_request *request,
					 const struct ft_aws_topic *topic, const void *payload,
					 size_t len) FT_MUST_USE;

/* Which blocks of a file of so many bytes a request gets. */
enum ft_aws_verdict ft_aws_choose(struct ft_aws_blocks *blocks,
				  const struct ft_aws_request *request, uint64_t size) FT_MUST_USE;

/* So much of the block is in the file. */
size_t ft_aws_block_len(uint32_t block_size, uint32_t index, uint64_t size);

/* --- answers; each as the topic's encoding has it --- */

#define FT_AWS_REJECTED_ROOM 2048
#define FT_AWS_DESCRIPTION_ROOM 4096

void ft_aws_write_rejected(struct ft_buf *to, const struct ft_aws_topic *topic,
			   const struct ft_aws_token *token, enum ft_aws_verdict verdict);

/* At most FT_AWS_FILES_MAX files, ascending. */
void ft_aws_write_description(struct ft_buf *to, const struct ft_aws_topic *topic,
			      const struct ft_aws_token *token, const struct ft_aws_file *files,
			      size_t count);

/* Room for a data message with a block of so many bytes. */
size_t ft_aws_data_room(size_t len);

void ft_aws_write_data(struct ft_buf *to, const struct ft_aws_topic *topic,
		       const struct ft_aws_token *token, const struct ft_aws_block *block);

#endif
