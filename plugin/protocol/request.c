/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/request.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TICKET_HEAP_COST 16	/* what malloc() adds to a block, on the common C libraries */

/* Copies `len` bytes and a NUL to *to, moves it behind them, returns where they are. */
static char *ticket_append(char **to, const void *bytes, size_t len)
{
	char *begin = *to;

	if (len > 0)
		memcpy(begin, bytes, len);
	begin[len] = '\0';
	*to += len + 1;
	return begin;
}

/* The texts behind the ticket, each with a NUL. */
static size_t ticket_room(const struct ft_request *request)
{
	size_t room = strlen(request->client_id) + strlen(request->topic) + 2;

	if (request->response_topic)
		room += strlen(request->response_topic) + 1;
	if (request->correlation)
		room += request->correlation_len + (size_t)1;
	return room;
}

size_t ft_ticket_size(const struct ft_request *request)
{
	return sizeof(struct ft_ticket) + ticket_room(request) + TICKET_HEAP_COST;
}

struct ft_ticket *ft_ticket_new(const struct ft_request *request)
{
	struct ft_ticket *ticket;
	char *to;

	assert(request->correlation || request->correlation_len == 0);
	if (!(ticket = calloc(1, sizeof *ticket + ticket_room(request))))
		return NULL;
	to = (char *)(ticket + 1);
	ft_link_init(&ticket->link);
	ticket->request.client_id = ticket_append(&to, request->client_id,
						  strlen(request->client_id));
	ticket->request.topic = ticket_append(&to, request->topic, strlen(request->topic));
	if (request->response_topic)
		ticket->request.response_topic = ticket_append(&to, request->response_topic,
							       strlen(request->response_topic));
	if (request->correlation)
		ticket->request.correlation = ticket_append(&to, request->correlation,
							    request->correlation_len);
	ticket->request.correlation_len = request->correlation_len;
	ticket->request.by_name = request->by_name;
	return ticket;
}

void ft_ticket_free(struct ft_ticket **ticket)
{
	assert(!*ticket || !ft_link_listed(&(*ticket)->link));
	free(*ticket);
	*ticket = NULL;
}
