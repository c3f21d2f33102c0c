/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Who sent a command, and where its response goes.
 *
 * A request borrows from the message it came with. What is answered later is kept
 * as a ticket, a copy of its own.
 */
#ifndef FT_PROTOCOL_REQUEST_H
#define FT_PROTOCOL_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct ft_request {
	const char *client_id;
	const char *owner;		/* whose transfer it is; not kept in a ticket */
	size_t owner_len;
	const char *user;		/* NULL: none; not kept in a ticket */
	const char *topic;		/* the command's */
	const char *response_topic;	/* NULL: $file-response/{client id} */
	const void *correlation;	/* MQTT 5 Correlation Data; NULL: none, other than none of length 0 */
	uint16_t correlation_len;
	bool by_name;			/* the response goes to this client only, subscribed or not */
	const void *connection;		/* the broker's, for hooks; NULL: not known; not kept in a ticket */
};

struct ft_ticket {
	struct ft_link link;
	struct ft_request request;	/* points into the ticket */
};

/* How many bytes of memory a ticket of this request takes; the same for the ticket's own copy. */
size_t ft_ticket_size(const struct ft_request *request);

/* A copy of the request but for owner and user, which are NULL. NULL: out of memory. */
struct ft_ticket *ft_ticket_new(const struct ft_request *request);

/* It must be in no list. NULL inside is ignored. */
void ft_ticket_free(struct ft_ticket **ticket);

#endif
