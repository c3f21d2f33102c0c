/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/request.h"

#include <stdlib.h>
#include <string.h>

/* Copies `len` bytes and a NUL to *to, moves it behind them, returns where they are. */
static char *append(char **to, const void *bytes, size_t len)
{
	char *begin = *to;

	memcpy(begin, bytes, len);
	begin[len] = '\0';
	*to += len + 1;
	return begin;
}

struct ft_ticket *ft_ticket_new(const struct ft_request *request)
{
	size_t client_len = strlen(request->client_id);
	size_t topic_len = strlen(request->topic);
	size_t response_len = request->response_topic ? strlen(request->response_topic) : 0;
	size_t room = client_len + topic_len + response_len + request->correlation_len + 4;
	struct ft_ticket *ticket = calloc(1, sizeof *ticket + room);
	char *to;

	if (!ticket)
		return NULL;
	to = (char *)(ticket + 1);
	ft_link_init(&ticket->link);
	ticket->request.client_id = append(&to, request->client_id, client_len);
	ticket->request.topic = append(&to, request->topic, topic_len);
	if (request->response_topic)
		ticket->request.response_topic = append(&to, request->response_topic,
							response_len);
	if (request->correlation)
		ticket->request.correlation = append(&to, request->correlation,
						     request->correlation_len);
	ticket->request.correlation_len = request->correlation_len;
	return ticket;
}

void ft_ticket_free(struct ft_ticket *ticket)
{
	free(ticket);
}
