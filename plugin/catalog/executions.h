/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What devices have done about their jobs: a row for each job that a thing has begun or ended. A
 * connection, transactions and errors are those of catalog.h.
 */
#ifndef FT_CATALOG_EXECUTIONS_H
#define FT_CATALOG_EXECUTIONS_H

#include "catalog/catalog.h"
#include "protocol/aws_job.h"

/* On disk: never renumber. A client and a user of the same name are two things. */
enum ft_thing_kind {
	FT_THING_CLIENT = 1,
	FT_THING_USER = 2,
};

struct ft_thing {
	enum ft_thing_kind kind;
	const char *name;
};

/* Adds a row, or replaces it. */
enum ft_status ft_catalog_put_execution(struct ft_catalog *c, const struct ft_thing *thing,
					const struct ft_execution *execution) FT_MUST_USE;

/* Visits those of a thing, ascending by job; borrowed for the visit. An error ends the walk with it. */
typedef enum ft_status ft_catalog_visit_execution(void *context,
						  const struct ft_execution *execution);
enum ft_status ft_catalog_each_execution(struct ft_catalog *c, const struct ft_thing *thing,
					 ft_catalog_visit_execution *visit,
					 void *context) FT_MUST_USE;

/*
 * Visits those of all things, ascending by thing and job, that come behind a place, which need not
 * be there. Of what the visit ends the walk with FT_CANCELLED is no error.
 */
typedef enum ft_status ft_catalog_visit_thing(void *context, const struct ft_thing *thing,
					      const struct ft_execution *execution);
enum ft_status ft_catalog_page_executions(struct ft_catalog *c, const struct ft_thing *after,
					  const char *after_job, ft_catalog_visit_thing *visit,
					  void *context) FT_MUST_USE;

/* How many rows there are; reads the whole index. */
enum ft_status ft_catalog_count_executions(struct ft_catalog *c, uint64_t *count) FT_MUST_USE;

/* The first job behind `after` that has rows; "": there is none. */
enum ft_status ft_catalog_next_executed_job(struct ft_catalog *c, const char *after,
					    char job[FT_AWS_JOB_ID_MAX + 1]) FT_MUST_USE;

/* Forgets all rows of a job. */
enum ft_status ft_catalog_drop_executions(struct ft_catalog *c, const char *job) FT_MUST_USE;

#endif
