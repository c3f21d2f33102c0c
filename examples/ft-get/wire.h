/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What is asked and what is heard, in one of two protocols: ours ($file-get/) and that of AWS
 * IoT ($aws/things/.../streams/). No I/O, no state.
 *
 *	wire->protocol->write_block(wire, offset, len, &message);	publish message
 *	wire->protocol->read(wire, topic, payload, len, &heard);	topic NULL: a response
 *	heard_release(&heard);
 *
 * What comes may be anything: what makes no sense is HEARD_NOTHING.
 */
#ifndef FT_GET_WIRE_H
#define FT_GET_WIRE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/sha256.h"

#define WIRE_TOPIC_ROOM 66000		/* a client id may have 65,535 bytes */
#define WIRE_PAYLOAD_ROOM 1200

struct wire_protocol;

/* What questions are about. */
struct wire {
	const struct wire_protocol *protocol;
	const char *client_id;
	const char *path;		/* of the offer; AWS: streams/STREAM/FILEID */
	const char *sha256;		/* "": of any content */
	const char *stream;		/* AWS */
	unsigned file;
	uint64_t block_bytes;		/* AWS: all blocks begin at multiples of this */
};

struct message {
	char *topic;			/* WIRE_TOPIC_ROOM */
	char payload[WIRE_PAYLOAD_ROOM];
};

enum heard_kind {
	HEARD_NOTHING,
	HEARD_BYTES,
	HEARD_ANSWER,
};

enum heard_about {
	ABOUT_INFO,
	ABOUT_BLOCK,
	ABOUT_LIST,
	ABOUT_REPORT,
};

/* What an answer means for us. */
enum verdict {
	VERDICT_DONE,
	VERDICT_CHANGED,		/* another content is offered */
	VERDICT_NOT_OFFERED,
	VERDICT_WAIT,			/* for retry_after_s */
	VERDICT_LATER,			/* the broker has a trouble of its own */
	VERDICT_TOO_LARGE,		/* max_block tells what is not */
	VERDICT_DENIED,
	VERDICT_REFUSED,		/* it will not be otherwise */
};

struct heard {
	enum heard_kind kind;
	enum heard_about about;		/* of an answer */
	uint64_t offset;		/* of bytes, and of an answer about a block */
	const void *bytes;
	size_t len;
	void *owned;			/* what bytes point into, where that is ours */
	enum verdict verdict;
	unsigned retry_after_s;
	char why[300];
	uint64_t size;			/* of the file */
	char sha256[SHA256_HEX_ROOM];
	uint64_t max_block;		/* 0: not said */
	cJSON *json;			/* the answer */
};

void heard_release(struct heard *heard);

/* Fills in `why`, which a terminal may show: control characters become '?'. `detail` or NULL. */
void heard_say(struct heard *heard, const char *word, const char *detail);

struct wire_protocol {
	/* Asks for size and checksum. */
	void (*write_info)(const struct wire *wire, struct message *message);
	/* `len` bytes at `offset`, which is a multiple of block_bytes with AWS. */
	void (*write_block)(const struct wire *wire, uint64_t offset, uint64_t len,
			    struct message *message);
	/* `topic` NULL: it came on $file-response/. */
	void (*read)(const struct wire *wire, const char *topic, const void *payload, size_t len,
		     struct heard *heard);
};

extern const struct wire_protocol wire_native, wire_aws;

#endif
