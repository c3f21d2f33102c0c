/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The two names of the acknowledgement sink's session.
 *
 * The client id is no secret. It has a TAB in it, and Mosquitto refuses control characters
 * in what clients send: so nobody can log in with it, and it may stand in any log. It is
 * derived from the storage directory's path: a broker that persists sessions finds the
 * same one again, also where the directory was emptied.
 *
 * The topic is random: who can subscribe to it sees that there was a command, and the MQTT 5
 * properties of it. It is kept, so that a persisted session is of use from the first command
 * after a restart on.
 *
 * Threads: any, one at a time. Reads and writes files.
 */
#ifndef FT_MOSQUITTO_ACK_SINK_IDENTITY_H
#define FT_MOSQUITTO_ACK_SINK_IDENTITY_H

#include <stdbool.h>

#include "file_transfer/logger.h"

#define FT_SINK_CLIENT_ROOM 64
#define FT_SINK_TOPIC_ROOM 10

struct ft_sink_identity {
	char client_id[FT_SINK_CLIENT_ROOM];
	char topic[FT_SINK_TOPIC_ROOM];		/* '$' and 8 random letters */
	bool kept;				/* the topic is from an earlier run */
};

/* Sets the client id. `dir` NULL: a random one. False where there is no randomness. */
bool ft_sink_identity_set_client(struct ft_sink_identity *identity, const char *dir);

/*
 * Reads the topic from <dir>/ack-sink, or makes a new one and writes it there. Where writing
 * fails it says so in the log, and the topic is good for this run. `dir` NULL: it is not kept.
 * False where there is no randomness.
 */
bool ft_sink_identity_set_topic(struct ft_sink_identity *identity, const char *dir,
				struct ft_logger *log);

/*
 * The client id as a client may send it: with a hyphen instead of the TAB. The sink's own
 * callback puts the TAB in its place.
 */
void ft_sink_identity_spoken(const struct ft_sink_identity *identity,
			     char spoken[FT_SINK_CLIENT_ROOM]);

#endif
