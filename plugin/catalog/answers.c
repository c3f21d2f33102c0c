/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "catalog/answers.h"

#include <assert.h>
#include <string.h>

#include "catalog/query.h"

/* On disk: results have the names of their symbols, whose numbers may change. */
static const char *const result_names[FT_STATUS_COUNT] = {
#define X(symbol, word, code, puback, retry, text) [symbol] = #symbol,
	FT_STATUS_TABLE(X)
#undef X
};

/* A name that only another version of the plugin knows is none of success. */
static enum ft_status result_named(const char *name)
{
	for (size_t i = 0; i < FT_STATUS_COUNT; i++)
		if (strcmp(result_names[i], name) == 0)
			return (enum ft_status)i;
	return FT_INTERNAL_ERROR;
}

enum ft_status ft_answer_put(struct ft_catalog *c, uint64_t number,
			     const struct ft_request *ticket)
{
	struct ft_query q = ft_query(c, FT_SQL_PUT_ANSWER);

	ft_query_u64(&q, number);
	ft_query_text(&q, ticket->client_id);
	ft_query_text(&q, ticket->topic);
	ft_query_text(&q, ticket->response_topic);
	ft_query_blob(&q, ticket->correlation, ticket->correlation_len);
	return ft_query_run(&q);
}

enum ft_status ft_answer_put_result(struct ft_catalog *c, uint64_t number, enum ft_status result)
{
	struct ft_query q = ft_query(c, FT_SQL_PUT_RESULT);

	ft_query_text(&q, result_names[result]);
	ft_query_u64(&q, number);
	return ft_query_run(&q);
}

enum ft_status ft_catalog_put_answer(struct ft_catalog *c, const struct ft_answer *answer)
{
	enum ft_status st;

	assert(c->transaction != FT_TRANSACTION_IDLE && answer->known);
	st = ft_answer_put(c, answer->number, &answer->ticket);
	return st == FT_OK ? ft_answer_put_result(c, answer->number, answer->result) : st;
}

static void answer_read(struct ft_query *q, struct ft_answer *answer)
{
	struct ft_request *ticket = &answer->ticket;
	size_t len = 0;

	memset(answer, 0, sizeof *answer);
	answer->number = ft_row_u64(q);
	answer->known = !ft_row_is_null(q);
	if (answer->known)
		answer->result = result_named(ft_row_text(q));
	ticket->client_id = ft_row_text(q);
	ticket->topic = ft_row_text(q);
	if (!ft_row_is_null(q))
		ticket->response_topic = ft_row_text(q);
	if (!ft_row_is_null(q))
		ticket->correlation = ft_row_blob(q, &len);
	if (len > UINT16_MAX || answer->number == 0)
		ft_row_is_damaged(q);
	ticket->correlation_len = (uint16_t)len;
}

enum ft_status ft_catalog_each_answer(struct ft_catalog *c, ft_catalog_visit_answer *visit,
				      void *context)
{
	struct ft_query q = ft_query(c, FT_SQL_EACH_ANSWER);
	struct ft_answer answer;

	while (ft_query_row(&q)) {
		answer_read(&q, &answer);
		if (q.status == FT_OK)
			q.status = visit(context, &answer);
	}
	return ft_query_end(&q);
}

enum ft_status ft_catalog_drop_answer(struct ft_catalog *c, uint64_t number)
{
	struct ft_query q = ft_query(c, FT_SQL_DROP_ANSWER);

	assert(c->transaction != FT_TRANSACTION_IDLE);
	ft_query_u64(&q, number);
	return ft_query_run(&q);
}
