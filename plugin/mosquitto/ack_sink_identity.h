/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The names of the acknowledgement sink's session, kept over restarts.
 *
 * Threads: any, one at a time.
 */
#ifndef FT_MOSQUITTO_ACK_SINK_IDENTITY_H
#define FT_MOSQUITTO_ACK_SINK_IDENTITY_H

#include <stdbool.h>

#include "file_transfer/logger.h"

#define FT_SINK_CLIENT_ROOM 64
#define FT_SINK_TOPIC_ROOM 10

struct ft_sink_identity {
	char client_id[FT_SINK_CLIENT_ROOM];	/* 128 random bits: nobody guesses it */
	char topic[FT_SINK_TOPIC_ROOM];		/* '$' and 8 random letters */
	bool kept;				/* from an earlier run */
};

/*
 * Reads <dir>/ack-sink, or makes new names and writes them there. Where writing fails
 * it says so in the log, and the names are good for this run. `dir` NULL: not kept.
 * False where there is no randomness.
 */
bool ft_sink_identity_get(struct ft_sink_identity *identity, const char *dir, struct ft_logger *log);

#endif
