/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Publishes responses: JSON on $file-response/{client id}, or on the Response Topic
 * of the request, QoS 1, not retained; and what the broker says by itself. Threads: the
 * broker's only.
 */
#ifndef FT_MOSQUITTO_RESPONDER_H
#define FT_MOSQUITTO_RESPONDER_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/engine.h"
#include "protocol/reply.h"
#include "protocol/request.h"
#include "file_transfer/logger.h"

/*
 * A client whose id holds a wildcard ('+', '#'), or is too long or has too many levels to
 * be part of a topic, gets no response, as it should be. False: it could not be published, which is
 * logged.
 */
bool ft_respond(struct ft_logger *log, const struct ft_request *request,
		const struct ft_reply *reply);

/* False: out of memory, which is logged. */
bool ft_publish(struct ft_logger *log, const struct ft_message *message);

/*
 * A block that mosquitto_malloc() made, to this client only, QoS 0; NULL: one of length 0. Once
 * it is taken over *block is NULL; else it could not be published.
 */
void ft_send_block(const char *client_id, const char *topic, void **block, size_t len);

#endif
