/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Jobs of devices (AWS IoT Jobs). A thing is a client id or a user name. Its jobs are the documents
 * that it sees in jobs/, as offered files are seen; how far it is with each is a row in the
 * catalog, once it has done something about it.
 *
 *	request -> broker's thread: parse, who is it -> FT_LANE_JOBS -> broker's thread: answer
 *
 * That lane has one thread, which alone reads and writes executions. It carries out what waits in
 * one transaction, and an answer comes when that is committed (and synced, unless option durability
 * is none): so what is accepted survives the broker.
 *
 * A client that has asked for its jobs since it is connected is told when they change, by name. For
 * that each gets a LOOK when there is another index, some at a time. So does an absent thing: a
 * client that has gone, or has a folder of its own and has not asked yet. What is new for it is
 * published to whoever has subscribed, which may be its durable session, or itself.
 */
#ifndef FT_ENGINE_THINGS_H
#define FT_ENGINE_THINGS_H

#include "catalog/executions.h"
#include "engine/core.h"
#include "engine/things/job_index.h"

struct ft_downloader;

#define FT_THING_JOBS_MAX 1000		/* documents that one thing sees, ascending by id */
#define FT_EXECUTIONS_MAX 1000000	/* rows in the catalog */
#define FT_ABSENT_MAX 10000		/* things; those looked at longest ago make room */
#define FT_NAMED_MAX 1000		/* client ids that one index brings */

/* What is pending for a thing, as hashes: of the next job, and of all of them. */
struct ft_pending {
	uint64_t next, all;
};

struct ft_text {
	char *at;		/* owned; NULL: none */
	size_t len;
};

/* A request, or (LOOK) the question whether there is news. */
struct ft_thing_call {
	struct ft_job job;
	struct ft_downloader *client;	/* the broker's thread's; NULL: LOOK for an absent thing */
	bool look;			/* and then nothing is asked */
	struct ft_thing thing;
	const char *client_id;		/* whose folders are looked at; as all texts in the job */
	const char *user;		/* NULL: none */
	const char *topic;		/* of the request */
	const char *wanted;		/* GET, UPDATE: id of a job; "": none can have it */
	enum ft_aws_job_verb verb;
	struct ft_aws_job_request request;
	bool knows;			/* the client has been told of what is pending: */
	struct ft_pending known;

	/* Results. */
	enum ft_aws_job_verdict verdict;
	struct ft_text answer;
	struct ft_text next_news, all_news;	/* for notify-next and notify */
	struct ft_pending now;
	bool told_next, told_all;	/* by the answer */
	bool updated;			/* UPDATE was carried out; `document` is of the job */
	bool started;			/* START_NEXT began one */
	struct ft_offer document;	/* without meta; its path is in `path` */
	char path[sizeof "jobs/" + FT_AWS_JOB_ID_MAX];
	size_t charged;
	_Alignas(void *) char texts[];
};

/* Another index: what the scanner has found. */
struct ft_index_job {
	struct ft_job job;
	struct ft_job_index *index;	/* held */
	char *named;			/* result, owned: ids whose own jobs have changed, each with a NUL; NULL: none */
	size_t named_count;
};

void ft_thing_call_release(struct ft_thing_call *call);

/* The lane's own. */
struct ft_things {
	struct ft_job_index *index;	/* held; NULL: none yet, and then no call comes */
	bool counted;
	uint64_t rows, rows_max;
	bool tidied;			/* with this index nothing more can be forgotten */
	bool told;			/* ... and that there is no room was said */
};

/* NULL: out of memory. */
struct ft_things *ft_things_new(void);
void ft_things_free(struct ft_things **things);

/* Carries out what waits, INDEX and THING jobs, together; gives all back to the broker's thread. */
void ft_things_serve(struct ft_core *core, struct ft_catalog *catalog, struct ft_job *jobs[],
		     size_t count);

/* --- things.c: on the broker's thread --- */

struct ft_engine;

#define FT_ABSENT_BUCKETS 1024

/* A client that is not known now: the thing of its id. */
struct ft_absent_thing {
	struct ft_link link;		/* in ft_things_desk.absent */
	struct ft_absent_thing *next;	/* in its bucket */
	uint64_t hash, generation;
	struct ft_pending known;
	const char *user;		/* as which it was seen last; behind the id; NULL: none */
	size_t charged;
	char id[];
};

/* What it knows of all things. */
struct ft_things_desk {
	uint64_t generation;		/* of the index; 0: there is none yet */
	struct ft_index_job *index_job;	/* owned; NULL: it is at the lane */
	struct ft_job_index *next_index;	/* held; waits for index_job; NULL: none */
	struct ft_list clients;		/* struct ft_thing_client; those looked at longest ago first */
	struct ft_list waiting;		/* THING jobs that the lane has no room for, or no index */
	struct ft_list absent;		/* struct ft_absent_thing, in the same order */
	struct ft_absent_thing *absent_table[FT_ABSENT_BUCKETS];
	size_t absent_count;
	size_t out;			/* THING jobs at the lane */
	size_t looks;			/* of these, or waiting: LOOK */
};

/* What it knows of a client. */
struct ft_thing_client {
	struct ft_link link;		/* in ft_things_desk.clients, once it has asked for its jobs */
	uint64_t generation;		/* of the index that it knows, or is asked about */
	enum ft_thing_kind kind;	/* as which it has asked last */
	char *user;			/* owned; NULL: none */
	bool knows;			/* what is pending: */
	struct ft_pending known;
};

enum ft_status engine_start_things(struct ft_engine *e) FT_MUST_USE;
void engine_release_things(struct ft_engine *e);

/* Gives back what a client has made us keep. */
void engine_drop_thing_client(struct ft_engine *e, struct ft_thing_client *client);

/* A client is about to be forgotten. */
void engine_note_gone(struct ft_engine *e, const struct ft_downloader *client);

/* Carries out a request of $aws/.../jobs/; answers come on topics below it. */
void engine_thing(struct ft_engine *e, const struct ft_request *request, const void *payload,
		  size_t len);

/* The scanner has found another index. */
void engine_take_index(struct ft_engine *e, struct ft_job_index *index);

void engine_take_index_job(struct ft_engine *e, struct ft_index_job *job);
void engine_take_thing_call(struct ft_engine *e, struct ft_thing_call *call);

/* --- things_absent.c --- */

struct ft_absent_thing *engine_find_absent(struct ft_engine *e, const char *id);

/* Nothing where there is no memory, or the id can be in no topic. `user`: NULL, if it is not known. */
void engine_add_absent(struct ft_engine *e, const char *id, const char *user,
		       const struct ft_pending *known);

/* It has asked. Unknown: nothing. */
void engine_drop_absent(struct ft_engine *e, const char *id);
void engine_release_absent(struct ft_engine *e);

#endif
