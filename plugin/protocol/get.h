/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What devices ask for with $file-get/..., and what they report.
 *
 *	if (!ft_get_is_ours(topic)) pass it on;
 *	st = ft_get_parse(&get, topic, payload, len);
 *
 * Parsing allocates nothing; pointers in the result lead into topic and payload.
 */
#ifndef FT_PROTOCOL_GET_H
#define FT_PROTOCOL_GET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/sha256.h"
#include "file_transfer/status.h"
#include "protocol/offer.h"

#define FT_GET_PAYLOAD_MAX 4096		/* bytes of a report, or of what `list` takes */
#define FT_GET_STATE_ROOM 16

enum ft_get_verb {
	FT_GET_BLOCK,
	FT_GET_INFO,
	FT_GET_LIST,
	FT_GET_REPORT,
};

struct ft_get {
	enum ft_get_verb verb;
	const char *path;		/* the rest of the topic; LIST: "" */
	uint64_t offset, length;	/* BLOCK */
	const char *offset_text;	/* BLOCK: as asked; not NUL-terminated */
	size_t offset_len;
	bool has_checksum;		/* BLOCK: of the file that is expected; REPORT */
	struct ft_sha256 checksum;
	char prefix[FT_OFFER_PATH_MAX + 1], after[FT_OFFER_PATH_MAX + 1];	/* LIST */
	struct ft_json_text members;	/* REPORT: those of the object, without its braces */
	const char *detail;		/* on error, what the status's text does not say; NULL: none. Static */
};

/* Whether the topic begins with $file-get/ and goes on. */
bool ft_get_is_ours(const char *topic);

/*
 * Parses a topic that is ours, and its payload. Errors: FT_INVALID_FILE_COMMAND,
 * FT_INVALID_OFFSET, FT_INVALID_LENGTH, FT_INVALID_PATH, FT_INVALID_CHECKSUM,
 * FT_INVALID_REPORT.
 */
enum ft_status ft_get_parse(struct ft_get *get, const char *topic, const void *payload,
			    size_t len) FT_MUST_USE;

#endif
