/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "catalog/executions.h"

#include <assert.h>
#include <string.h>

#include "catalog/query.h"

enum ft_status ft_catalog_put_execution(struct ft_catalog *c, const struct ft_thing *thing,
					const struct ft_execution *execution)
{
	struct ft_query q = ft_query(c, FT_SQL_PUT_EXECUTION);

	assert(c->transaction != FT_TRANSACTION_IDLE
	       && execution->status != FT_EXECUTION_QUEUED);
	ft_query_i64(&q, thing->kind);
	ft_query_text(&q, thing->name);
	ft_query_text(&q, execution->job);
	ft_query_i64(&q, execution->status);
	ft_query_u64(&q, execution->version);
	ft_query_i64(&q, execution->queued_s);
	ft_query_i64(&q, execution->started_s);
	ft_query_i64(&q, execution->updated_s);
	ft_query_bytes(&q, execution->details.at ? execution->details.at : "",
		       execution->details.len);
	return ft_query_run(&q);
}

static void execution_read(struct ft_query *q, struct ft_execution *execution)
{
	execution->job = ft_row_text(q);
	execution->status = (enum ft_execution_status)ft_row_enum(q, FT_EXECUTION_IN_PROGRESS,
								  FT_EXECUTION_REJECTED);
	execution->version = ft_row_u64(q);
	execution->queued_s = ft_row_i64(q);
	execution->started_s = ft_row_i64(q);
	execution->updated_s = ft_row_i64(q);
	execution->details.at = ft_row_bytes(q, &execution->details.len);
	if (!ft_aws_job_id_is_good(execution->job, strlen(execution->job))
	    || execution->details.len > FT_AWS_JOB_DETAILS_MAX)
		ft_row_is_damaged(q);
}

enum ft_status ft_catalog_each_execution(struct ft_catalog *c, const struct ft_thing *thing,
					 ft_catalog_visit_execution *visit, void *context)
{
	struct ft_query q = ft_query(c, FT_SQL_EACH_EXECUTION);
	struct ft_execution execution;

	ft_query_i64(&q, thing->kind);
	ft_query_text(&q, thing->name);
	while (ft_query_row(&q)) {
		execution_read(&q, &execution);
		if (q.status == FT_OK)
			q.status = visit(context, &execution);
	}
	return ft_query_end(&q);
}

enum ft_status ft_catalog_page_executions(struct ft_catalog *c, const struct ft_thing *after,
					  const char *after_job, ft_catalog_visit_thing *visit,
					  void *context)
{
	struct ft_query q = ft_query(c, FT_SQL_PAGE_EXECUTIONS);
	struct ft_execution execution;
	struct ft_thing thing;
	enum ft_status st = FT_OK;

	ft_query_i64(&q, after->kind);
	ft_query_text(&q, after->name);
	ft_query_text(&q, after_job);
	while (st == FT_OK && ft_query_row(&q)) {
		thing.kind = (enum ft_thing_kind)ft_row_enum(&q, FT_THING_CLIENT, FT_THING_USER);
		thing.name = ft_row_text(&q);
		execution_read(&q, &execution);
		if (q.status == FT_OK)
			st = visit(context, &thing, &execution);
	}
	if (q.status == FT_OK && st != FT_CANCELLED)
		q.status = st;
	return ft_query_end(&q);
}

enum ft_status ft_catalog_count_executions(struct ft_catalog *c, uint64_t *count)
{
	struct ft_query q = ft_query(c, FT_SQL_COUNT_EXECUTIONS);

	*count = ft_query_row(&q) ? ft_row_u64(&q) : 0;
	return ft_query_end(&q);
}

enum ft_status ft_catalog_next_executed_job(struct ft_catalog *c, const char *after,
					    char job[FT_AWS_JOB_ID_MAX + 1])
{
	struct ft_query q = ft_query(c, FT_SQL_NEXT_EXECUTED_JOB);

	job[0] = '\0';
	ft_query_text(&q, after);
	if (ft_query_row(&q) && !ft_row_is_null(&q))
		ft_row_copy(&q, job, FT_AWS_JOB_ID_MAX + 1);
	return ft_query_end(&q);
}

enum ft_status ft_catalog_drop_executions(struct ft_catalog *c, const char *job)
{
	struct ft_query q = ft_query(c, FT_SQL_DROP_EXECUTIONS);

	assert(c->transaction != FT_TRANSACTION_IDLE);
	ft_query_text(&q, job);
	return ft_query_run(&q);
}
