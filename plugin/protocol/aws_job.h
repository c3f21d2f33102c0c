/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Topics and messages of AWS IoT Jobs, as devices use them:
 *
 *	$aws/things/<thing>/jobs/get			all that is pending
 *	$aws/things/<thing>/jobs/start-next		the next one, which is in progress then
 *	$aws/things/<thing>/jobs/$next/get		the next one
 *	$aws/things/<thing>/jobs/<job>/get		that one
 *	$aws/things/<thing>/jobs/<job>/update		how it goes
 *
 * The answer has the topic of the request and /accepted or /rejected; unasked come `notify` and
 * `notify-next`. A thing has one execution of each job that is for it. It is QUEUED until the
 * device does something about it:
 *
 *	QUEUED	-> IN_PROGRESS	start-next, update
 *	QUEUED, IN_PROGRESS -> SUCCEEDED, FAILED, REJECTED	update; then nothing changes any more
 *
 * Pure; pointers in results lead into what was read. Any thread.
 */
#ifndef FT_PROTOCOL_AWS_JOB_H
#define FT_PROTOCOL_AWS_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"
#include "file_transfer/status.h"
#include "protocol/aws_topic.h"

#define FT_AWS_JOB_ID_MAX 64		/* bytes */
#define FT_AWS_JOB_DOCUMENT_MAX 32768	/* bytes of JSON text */
#define FT_AWS_JOB_DETAILS_MAX 4096	/* bytes of statusDetails */
#define FT_AWS_JOB_DETAILS_DEPTH 8	/* arrays and objects nested in it, itself included */
#define FT_AWS_JOB_REQUEST_MAX 32768	/* a request is smaller */
#define FT_AWS_JOB_TOKEN_MAX 256	/* bytes; OTA agents put the thing's name into it */
#define FT_AWS_JOB_LIST_MAX 100		/* jobs that a list tells of */

enum ft_aws_job_verb {
	FT_AWS_JOB_LIST,
	FT_AWS_JOB_START_NEXT,
	FT_AWS_JOB_GET_NEXT,
	FT_AWS_JOB_GET,
	FT_AWS_JOB_UPDATE,
	FT_AWS_JOB_NO_VERB,	/* ours, but no request: rejected */
};

/* Neither text is NUL-terminated. */
struct ft_aws_job_topic {
	const char *thing;	/* not empty */
	size_t thing_len;
	const char *job;	/* GET, UPDATE: any level, not empty */
	size_t job_len;
	enum ft_aws_job_verb verb;
};

/* Fills `topic` where it is a request. All below jobs/ is ours. */
enum ft_aws_topic_kind ft_aws_job_topic_parse(struct ft_aws_job_topic *topic, const char *text);

/* What a topic is, for who has to decide whether it is passed on. */
enum ft_aws_topic_kind ft_aws_job_topic_kind(const char *text);

/* Whether a topic below $aws/things/ is of the thing with this name; NULL: no. */
bool ft_aws_job_is_of(const char *topic, const char *thing);

/* Whether a text is the id of a job: [A-Za-z0-9_-]{1,64}. */
bool ft_aws_job_id_is_good(const char *id, size_t len);

/* Appends the topic of what a thing is told unasked; `word`: "notify" or "notify-next". */
void ft_aws_job_notify_topic(struct ft_buf *to, const char *thing, const char *word);

/* X(symbol, code, message); what is above another is found first */
#define FT_AWS_JOB_VERDICTS(X) \
	X(FT_AWS_JOB_OK, "", "") \
	X(FT_AWS_JOB_UNAUTHORIZED, "Unauthorized", \
	  "the thing is neither the client id nor the user name") \
	X(FT_AWS_JOB_INVALID_TOPIC, "InvalidTopic", \
	  "a request is get, start-next, $next/get, <job>/get or <job>/update") \
	X(FT_AWS_JOB_TOO_LONG, "InvalidRequest", "a request is shorter than 32 KiB") \
	X(FT_AWS_JOB_INVALID_JSON, "InvalidJson", "a request is one JSON text in valid UTF-8") \
	X(FT_AWS_JOB_NO_OBJECT, "InvalidRequest", "a request is an object") \
	X(FT_AWS_JOB_INVALID_TOKEN, "InvalidRequest", "clientToken is a text of at most 256 bytes") \
	X(FT_AWS_JOB_INVALID_STATUS, "InvalidRequest", \
	  "status is needed: IN_PROGRESS, SUCCEEDED, FAILED or REJECTED") \
	X(FT_AWS_JOB_INVALID_DETAILS, "InvalidRequest", \
	  "statusDetails is an object of at most 4096 bytes, nested at most 8 deep") \
	X(FT_AWS_JOB_INVALID_MEMBER, "InvalidRequest", \
	  "expectedVersion and executionNumber are integers; includeJobExecutionState and" \
	  " includeJobDocument are true or false") \
	X(FT_AWS_JOB_NOT_FOUND, "ResourceNotFound", "there is no such job for this thing") \
	X(FT_AWS_JOB_TERMINAL, "TerminalStateReached", "the thing has ended this job") \
	X(FT_AWS_JOB_TRANSITION, "InvalidStateTransition", \
	  "the thing has ended this job: nothing changes any more") \
	X(FT_AWS_JOB_VERSION, "VersionMismatch", "expectedVersion is not the execution's version") \
	X(FT_AWS_JOB_INTERNAL_ERROR, "InternalError", \
	  "the broker cannot do it now: try again later")

enum ft_aws_job_verdict {
#define X(symbol, code, message) symbol,
	FT_AWS_JOB_VERDICTS(X)
#undef X
	FT_AWS_JOB_VERDICT_COUNT
};

/* In the catalog: never renumber. QUEUED is never stored. */
enum ft_execution_status {
	FT_EXECUTION_QUEUED = 0,
	FT_EXECUTION_IN_PROGRESS = 1,
	FT_EXECUTION_SUCCEEDED = 2,
	FT_EXECUTION_FAILED = 3,
	FT_EXECUTION_REJECTED = 4,
};

struct ft_aws_job_token {
	bool given;
	size_t len;
	char text[FT_AWS_JOB_TOKEN_MAX + 1];	/* valid UTF-8; may hold NUL bytes */
};

struct ft_aws_job_request {
	struct ft_aws_job_token token;
	struct ft_json_text details;		/* START_NEXT, UPDATE: an object; len 0: none */
	enum ft_execution_status status;	/* UPDATE; never QUEUED */
	bool has_version;			/* UPDATE */
	uint64_t version;
	bool other_execution;			/* an executionNumber that is not 1: there is none */
	bool wants_state;			/* UPDATE */
	bool wants_document;			/* UPDATE: false unless asked for; GET: true */
};

/* The token is valid on errors, too. */
enum ft_aws_job_verdict ft_aws_job_request_parse(struct ft_aws_job_request *request,
						 enum ft_aws_job_verb verb, const void *payload,
						 size_t len) FT_MUST_USE;

/* How far a thing is with a job. Texts are borrowed. */
struct ft_execution {
	const char *job;			/* its id */
	enum ft_execution_status status;
	struct ft_json_text details;		/* an object; len 0: none */
	int64_t queued_s, started_s, updated_s;	/* Unix seconds; started_s 0: it was not */
	uint64_t version;			/* 1: the device has done nothing about it */
};

bool ft_execution_has_ended(const struct ft_execution *execution);

/* What a request makes of an execution; that it is for it is known. FT_AWS_JOB_OK: it is changed. */
enum ft_aws_job_verdict ft_execution_update(struct ft_execution *execution,
					    const struct ft_aws_job_request *request,
					    int64_t now_s) FT_MUST_USE;

/* ... start-next, of one that has not ended. Returns whether it is changed. */
bool ft_execution_start(struct ft_execution *execution, const struct ft_aws_job_request *request,
			int64_t now_s);

/* --- answers --- */

/* Room for one answer, or for one entry of a list. */
#define FT_AWS_JOB_REJECTED_ROOM (2048 + 6 * FT_AWS_JOB_TOKEN_MAX + FT_AWS_JOB_DETAILS_MAX)
#define FT_AWS_JOB_SUMMARY_ROOM 256
size_t ft_aws_job_execution_room(const char *thing, const struct ft_json_text *document);

/* {"clientToken"?,"timestamp" of what is accepted, or of what comes unasked: NULL. */
void ft_aws_job_begin(struct ft_buf *to, const struct ft_aws_job_token *token, int64_t now_s);
void ft_aws_job_end(struct ft_buf *to);

/* The member `execution`; `document` len 0: without. */
void ft_aws_job_write_execution(struct ft_buf *to, const char *thing,
				const struct ft_execution *execution,
				const struct ft_json_text *document);

/* The members that an update asks for. */
void ft_aws_job_write_state(struct ft_buf *to, const struct ft_execution *execution);
void ft_aws_job_write_document(struct ft_buf *to, const struct ft_json_text *document);

/*
 * A member that is an array of what of the list has this status, at most FT_AWS_JOB_LIST_MAX, in
 * their order. Appends "," first unless the buffer ends with '{'. Returns how many.
 */
size_t ft_aws_job_write_list(struct ft_buf *to, const char *member,
			     const struct ft_execution *const list[], size_t count,
			     enum ft_execution_status status);

/* What an update says, as members without braces. */
void ft_aws_job_write_report(struct ft_buf *to, const struct ft_aws_job_request *request);

/* `execution`: what is told of with two of the verdicts; NULL: it is not known. */
void ft_aws_job_write_rejected(struct ft_buf *to, const struct ft_aws_job_token *token,
			       enum ft_aws_job_verdict verdict, const struct ft_execution *execution,
			       int64_t now_s);

#endif
