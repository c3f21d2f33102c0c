/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The command in a topic (EIP-21, "File transfer commands").
 *
 *	if (!ft_topic_is_ours(topic)) pass it on;
 *	st = ft_topic_parse(&command, topic);
 *
 * Parsing allocates nothing; pointers in the result lead into the topic.
 */
#ifndef FT_PROTOCOL_TOPIC_H
#define FT_PROTOCOL_TOPIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sha256.h"
#include "file_transfer/status.h"
#include "protocol/facts.h"

#define FT_NUMBER_MAX ((uint64_t)INT64_MAX)	/* offsets, sizes */

enum ft_verb {
	FT_VERB_INIT,
	FT_VERB_SEGMENT,
	FT_VERB_FIN,
	FT_VERB_PUT,	/* init, one segment and fin in one message */
	FT_VERB_ABORT,
	FT_VERB_STATUS,
};

struct ft_command {
	enum ft_verb verb;
	const char *file;	/* not NUL-terminated */
	size_t file_len;
	uint64_t number;	/* SEGMENT: offset, FIN: size; at most FT_NUMBER_MAX */
	bool has_checksum;	/* SEGMENT: of the segment, FIN and PUT: of the file */
	struct ft_sha256 checksum;
	const char *name;	/* PUT: of the file; not NUL-terminated, by the rules of init */
	size_t name_len;
	const char *detail;	/* on error, what the status's text does not say; NULL: none. Static */
};

/* Reads decimal digits, and nothing else, up to FT_NUMBER_MAX. */
bool ft_topic_parse_number(uint64_t *number, const char *text, size_t len);

/* Whether the topic begins with $file/ or $file-async/. */
bool ft_topic_is_ours(const char *topic);

/*
 * Parses a topic that is ours. Errors: FT_INVALID_FILEID, FT_INVALID_FILE_COMMAND,
 * FT_INVALID_OFFSET, FT_INVALID_SIZE, FT_INVALID_CHECKSUM, FT_INVALID_FILEMETA (the name of
 * a PUT); where more than one applies, the one EMQX reports. `file` is there on any error but
 * the first.
 */
enum ft_status ft_topic_parse(struct ft_command *command, const char *topic) FT_MUST_USE;

#endif
