/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Topics of AWS IoT's MQTT-based file delivery:
 *
 *	$aws/things/<thing>/streams/<stream>/<word>/<json or cbor>
 *
 * Devices write `describe` and `get`; `data`, `description` and `rejected` are the answers. File F
 * of stream S is what is offered as streams/S/F.
 *
 *	switch (ft_aws_topic_parse(&topic, text)) {
 *	case FT_AWS_TOPIC_FOREIGN: pass it on
 *
 * Pure; pointers in the result lead into the topic.
 */
#ifndef FT_PROTOCOL_AWS_TOPIC_H
#define FT_PROTOCOL_AWS_TOPIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define FT_AWS_STREAM_MAX 128		/* bytes of a stream's id */
#define FT_AWS_STREAM_SAFE 44		/* AWS's library cuts longer ones */
#define FT_AWS_FILE_MAX 255		/* the largest file id */
#define FT_AWS_PATH_ROOM (sizeof "streams//255" + FT_AWS_STREAM_MAX)

enum ft_aws_topic_kind {
	FT_AWS_TOPIC_FOREIGN,	/* of another shape: an ordinary topic */
	FT_AWS_TOPIC_REQUEST,
	FT_AWS_TOPIC_ANSWER,	/* the broker's to publish, no client's */
};

enum ft_aws_word {
	FT_AWS_DESCRIBE,
	FT_AWS_GET,
	FT_AWS_DESCRIPTION,
	FT_AWS_DATA,
	FT_AWS_REJECTED,
};

enum ft_aws_encoding {
	FT_AWS_JSON,
	FT_AWS_CBOR,
};

/* Neither text is NUL-terminated, nor empty. */
struct ft_aws_topic {
	const char *thing;
	size_t thing_len;
	const char *stream;	/* any level; ft_aws_path() says whether it is an id */
	size_t stream_len;
	enum ft_aws_word word;
	enum ft_aws_encoding encoding;
};

/* Fills `topic` where it is not foreign. */
enum ft_aws_topic_kind ft_aws_topic_parse(struct ft_aws_topic *topic, const char *text);

/* What a topic is, for who has to decide whether it is passed on. */
enum ft_aws_topic_kind ft_aws_topic_kind(const char *text);

/* Appends the topic with this word instead. */
void ft_aws_topic_write(struct ft_buf *to, const struct ft_aws_topic *topic, enum ft_aws_word word);

/*
 * Writes the path under which a file is offered, and returns its length; 0: the stream's id is none
 * ([A-Za-z0-9_-]{1,128}).
 */
size_t ft_aws_path(char path[FT_AWS_PATH_ROOM], const struct ft_aws_topic *topic, uint8_t file);

/* Whether an offered path is of a stream whose id AWS's library would cut. */
bool ft_aws_path_is_cut(const char *path);

/* Reads a file id: 0 to 255 in decimal, no leading zero. */
bool ft_aws_parse_file(uint8_t *file, const char *text);

#endif
