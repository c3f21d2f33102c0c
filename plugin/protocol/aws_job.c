/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/aws_job.h"

#include <assert.h>
#include <string.h>

#include "base/utf8.h"

#define JOB_FIXED_ROOM 1024		/* names and numbers of an answer */
#define JOB_ESCAPE_GROWTH 6		/* one byte as \u00XX */
#define JOB_EXECUTION_NUMBER "1"	/* a thing has one execution of each job */

static const char job_prefix[] = "$aws/things/", job_jobs[] = "/jobs/";

static const char *const job_statuses[] = {
	[FT_EXECUTION_QUEUED] = "QUEUED", [FT_EXECUTION_IN_PROGRESS] = "IN_PROGRESS",
	[FT_EXECUTION_SUCCEEDED] = "SUCCEEDED", [FT_EXECUTION_FAILED] = "FAILED",
	[FT_EXECUTION_REJECTED] = "REJECTED",
};

/* --- topics --- */

static bool job_level_is(const char *level, size_t len, const char *word)
{
	return strlen(word) == len && memcmp(level, word, len) == 0;
}

/* What is the broker's to publish: all that ends so. */
static bool job_is_answer(const char *rest)
{
	const char *slash = strrchr(rest, '/'), *last = slash ? slash + 1 : rest;

	return strcmp(rest, "notify") == 0 || strcmp(rest, "notify-next") == 0
	       || strcmp(last, "accepted") == 0 || strcmp(last, "rejected") == 0;
}

/* `rest` is what follows jobs/. */
static void job_parse_request(struct ft_aws_job_topic *topic, const char *rest)
{
	size_t first = strcspn(rest, "/");
	const char *verb = rest[first] ? rest + first + 1 : NULL;

	topic->verb = FT_AWS_JOB_NO_VERB;
	if (!verb) {
		if (job_level_is(rest, first, "get"))
			topic->verb = FT_AWS_JOB_LIST;
		else if (job_level_is(rest, first, "start-next"))
			topic->verb = FT_AWS_JOB_START_NEXT;
		return;
	}
	if (job_level_is(rest, first, "$next")) {
		if (strcmp(verb, "get") == 0)
			topic->verb = FT_AWS_JOB_GET_NEXT;
		return;
	}
	if (first == 0)
		return;
	topic->job = rest;
	topic->job_len = first;
	if (strcmp(verb, "get") == 0)
		topic->verb = FT_AWS_JOB_GET;
	else if (strcmp(verb, "update") == 0)
		topic->verb = FT_AWS_JOB_UPDATE;
}

enum ft_aws_topic_kind ft_aws_job_topic_parse(struct ft_aws_job_topic *topic, const char *text)
{
	const char *thing = text + sizeof job_prefix - 1;
	size_t len;

	if (strncmp(text, job_prefix, sizeof job_prefix - 1) != 0)
		return FT_AWS_TOPIC_FOREIGN;
	len = strcspn(thing, "/");
	if (len == 0 || strncmp(thing + len, job_jobs, sizeof job_jobs - 1) != 0)
		return FT_AWS_TOPIC_FOREIGN;
	if (job_is_answer(thing + len + sizeof job_jobs - 1))
		return FT_AWS_TOPIC_ANSWER;
	*topic = (struct ft_aws_job_topic){ .thing = thing, .thing_len = len };
	job_parse_request(topic, thing + len + sizeof job_jobs - 1);
	return FT_AWS_TOPIC_REQUEST;
}

enum ft_aws_topic_kind ft_aws_job_topic_kind(const char *text)
{
	struct ft_aws_job_topic topic;

	return ft_aws_job_topic_parse(&topic, text);
}

bool ft_aws_job_is_of(const char *topic, const char *thing)
{
	size_t len = thing ? strlen(thing) : 0;

	return len > 0 && strncmp(topic, job_prefix, sizeof job_prefix - 1) == 0
	       && strncmp(topic + sizeof job_prefix - 1, thing, len) == 0
	       && topic[sizeof job_prefix - 1 + len] == '/';
}

bool ft_aws_job_id_is_good(const char *id, size_t len)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_-";

	if (len == 0 || len > FT_AWS_JOB_ID_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!memchr(allowed, id[i], sizeof allowed - 1))
			return false;
	return true;
}

void ft_aws_job_notify_topic(struct ft_buf *to, const char *thing, const char *word)
{
	ft_buf_str(to, job_prefix);
	ft_buf_str(to, thing);
	ft_buf_str(to, job_jobs);
	ft_buf_str(to, word);
}

/* --- requests --- */

enum job_key {
	KEY_TOKEN, KEY_STATUS, KEY_DETAILS, KEY_VERSION, KEY_EXECUTION, KEY_WANTS_STATE,
	KEY_WANTS_DOCUMENT, KEYS
};

static enum ft_aws_job_verdict job_find(struct ft_json_member members[KEYS], const void *payload,
					size_t len)
{
	static const char *const keys[KEYS] = {
		[KEY_TOKEN] = "clientToken", [KEY_STATUS] = "status",
		[KEY_DETAILS] = "statusDetails", [KEY_VERSION] = "expectedVersion",
		[KEY_EXECUTION] = "executionNumber",
		[KEY_WANTS_STATE] = "includeJobExecutionState",
		[KEY_WANTS_DOCUMENT] = "includeJobDocument",
	};

	memset(members, 0, KEYS * sizeof members[0]);
	for (size_t i = 0; i < KEYS; i++)
		members[i].key = keys[i];
	if (len >= FT_AWS_JOB_REQUEST_MAX)
		return FT_AWS_JOB_TOO_LONG;
	if (!ft_utf8_valid(payload, len))
		return FT_AWS_JOB_INVALID_JSON;
	switch (ft_json_find(payload, len, members, KEYS)) {
	case FT_JSON_OBJECT:
		return FT_AWS_JOB_OK;
	case FT_JSON_NO_OBJECT:
		return FT_AWS_JOB_NO_OBJECT;
	default:
		return FT_AWS_JOB_INVALID_JSON;
	}
}

static bool job_read_token(const struct ft_json_text *value, struct ft_aws_job_token *token)
{
	if (value->len == 0)
		return true;
	token->given = ft_json_string(value, token->text, sizeof token->text, &token->len);
	if (!token->given)
		token->len = 0;
	return token->given;
}

/* As a string, too: AWS's jobs library writes it so. */
static bool job_read_integer(const struct ft_json_text *value, bool *found, uint64_t *integer)
{
	struct ft_json_text digits = *value;

	*found = value->len > 0;
	if (!*found)
		return true;
	if (*value->at == '"') {
		digits.at++;
		digits.len -= 2;
		for (size_t i = 0; i < digits.len; i++)
			if (digits.at[i] < '0' || digits.at[i] > '9')
				return false;
		if (digits.len == 0)
			return false;
	}
	return ft_json_integer(&digits, INT64_MAX, integer);
}

static bool job_read_bool(const struct ft_json_text *value, bool *is)
{
	if (value->len == 0)
		return true;
	*is = *value->at == 't';
	return *value->at == 't' || *value->at == 'f';
}

static bool job_read_status(const struct ft_json_text *value, enum ft_execution_status *status)
{
	char word[16];
	size_t len;

	if (value->len == 0 || !ft_json_string(value, word, sizeof word, &len))
		return false;
	for (int i = FT_EXECUTION_IN_PROGRESS; i <= FT_EXECUTION_REJECTED; i++) {
		if (job_level_is(word, len, job_statuses[i])) {
			*status = (enum ft_execution_status)i;
			return true;
		}
	}
	return false;
}

static bool job_read_details(const struct ft_json_member *member, struct ft_json_text *details)
{
	if (member->value.len > 0 && (*member->value.at != '{'
				      || member->value.len > FT_AWS_JOB_DETAILS_MAX
				      || member->depth > FT_AWS_JOB_DETAILS_DEPTH))
		return false;
	*details = member->value;
	return true;
}

/* The members that this request has; others may have any value. */
static enum ft_aws_job_verdict job_read(struct ft_aws_job_request *request,
					enum ft_aws_job_verb verb,
					const struct ft_json_member members[KEYS])
{
	bool is_update = verb == FT_AWS_JOB_UPDATE, found = false;
	bool is_get = verb == FT_AWS_JOB_GET || verb == FT_AWS_JOB_GET_NEXT;
	uint64_t number = 1;

	if (is_update && !job_read_status(&members[KEY_STATUS].value, &request->status))
		return FT_AWS_JOB_INVALID_STATUS;
	if ((is_update || verb == FT_AWS_JOB_START_NEXT)
	    && !job_read_details(&members[KEY_DETAILS], &request->details))
		return FT_AWS_JOB_INVALID_DETAILS;
	request->wants_document = is_get;
	if ((is_update && !job_read_integer(&members[KEY_VERSION].value, &request->has_version,
					    &request->version))
	    || (is_update && !job_read_bool(&members[KEY_WANTS_STATE].value, &request->wants_state))
	    || ((is_update || is_get)
		&& (!job_read_bool(&members[KEY_WANTS_DOCUMENT].value, &request->wants_document)
		    || !job_read_integer(&members[KEY_EXECUTION].value, &found, &number))))
		return FT_AWS_JOB_INVALID_MEMBER;
	request->other_execution = found && number != 1;
	return FT_AWS_JOB_OK;
}

enum ft_aws_job_verdict ft_aws_job_request_parse(struct ft_aws_job_request *request,
						 enum ft_aws_job_verb verb, const void *payload,
						 size_t len)
{
	struct ft_json_member members[KEYS];
	enum ft_aws_job_verdict verdict;

	memset(request, 0, sizeof *request);
	if (len == 0) {	/* as good as {} */
		payload = "{}";
		len = 2;
	}
	verdict = job_find(members, payload, len);
	if (verdict == FT_AWS_JOB_OK && !job_read_token(&members[KEY_TOKEN].value, &request->token))
		verdict = FT_AWS_JOB_INVALID_TOKEN;
	if (verb == FT_AWS_JOB_NO_VERB)
		return FT_AWS_JOB_INVALID_TOPIC;
	return verdict == FT_AWS_JOB_OK ? job_read(request, verb, members) : verdict;
}

/* --- states --- */

bool ft_execution_has_ended(const struct ft_execution *execution)
{
	return execution->status >= FT_EXECUTION_SUCCEEDED;
}

static void execution_move(struct ft_execution *execution, enum ft_execution_status status,
			   const struct ft_json_text *details, int64_t now_s)
{
	assert(!ft_execution_has_ended(execution) && status != FT_EXECUTION_QUEUED);
	if (status == FT_EXECUTION_IN_PROGRESS && execution->started_s == 0)
		execution->started_s = now_s;
	execution->status = status;
	if (details->len > 0)
		execution->details = *details;
	execution->updated_s = now_s;
	execution->version++;
}

enum ft_aws_job_verdict ft_execution_update(struct ft_execution *execution,
					    const struct ft_aws_job_request *request, int64_t now_s)
{
	if (request->other_execution)
		return FT_AWS_JOB_NOT_FOUND;
	if (ft_execution_has_ended(execution))
		return FT_AWS_JOB_TRANSITION;
	if (request->has_version && request->version != execution->version)
		return FT_AWS_JOB_VERSION;
	execution_move(execution, request->status, &request->details, now_s);
	return FT_AWS_JOB_OK;
}

bool ft_execution_start(struct ft_execution *execution, const struct ft_aws_job_request *request,
			int64_t now_s)
{
	if (execution->status != FT_EXECUTION_QUEUED)
		return false;
	execution_move(execution, FT_EXECUTION_IN_PROGRESS, &request->details, now_s);
	return true;
}

/* --- answers --- */

size_t ft_aws_job_execution_room(const char *thing, const struct ft_json_text *document)
{
	return JOB_FIXED_ROOM + JOB_ESCAPE_GROWTH * (strlen(thing) + FT_AWS_JOB_TOKEN_MAX)
	       + FT_AWS_JOB_DETAILS_MAX + document->len;
}

static void job_put_number(struct ft_buf *to, const char *member, int64_t number)
{
	ft_buf_str(to, member);
	ft_buf_u64(to, number > 0 ? (uint64_t)number : 0);
}

static void job_put_details(struct ft_buf *to, const struct ft_json_text *details)
{
	ft_buf_str(to, "\"statusDetails\":");
	if (details->len > 0)
		ft_buf_bytes(to, details->at, details->len);
	else
		ft_buf_str(to, "{}");
}

static void job_put_times(struct ft_buf *to, const struct ft_execution *execution)
{
	job_put_number(to, ",\"queuedAt\":", execution->queued_s);
	if (execution->started_s > 0)
		job_put_number(to, ",\"startedAt\":", execution->started_s);
	job_put_number(to, ",\"lastUpdatedAt\":", execution->updated_s);
	ft_buf_str(to, ",\"versionNumber\":");
	ft_buf_u64(to, execution->version);
	ft_buf_str(to, ",\"executionNumber\":" JOB_EXECUTION_NUMBER);
}

static void job_put_status(struct ft_buf *to, const struct ft_execution *execution)
{
	ft_buf_str(to, "\"status\":\"");
	ft_buf_str(to, job_statuses[execution->status]);
	ft_buf_str(to, "\",");
	job_put_details(to, &execution->details);
}

void ft_aws_job_begin(struct ft_buf *to, const struct ft_aws_job_token *token, int64_t now_s)
{
	ft_buf_char(to, '{');
	if (token && token->given) {
		ft_buf_str(to, "\"clientToken\":");
		ft_buf_json(to, token->text, token->len);
		ft_buf_char(to, ',');
	}
	job_put_number(to, "\"timestamp\":", now_s);
}

void ft_aws_job_end(struct ft_buf *to)
{
	ft_buf_char(to, '}');
}

void ft_aws_job_write_execution(struct ft_buf *to, const char *thing,
				const struct ft_execution *execution,
				const struct ft_json_text *document)
{
	ft_buf_str(to, ",\"execution\":{\"jobId\":\"");
	ft_buf_str(to, execution->job);
	ft_buf_str(to, "\",\"thingName\":");
	ft_buf_json(to, thing, strlen(thing));
	ft_buf_char(to, ',');
	job_put_status(to, execution);
	job_put_times(to, execution);
	if (document->len > 0)
		ft_aws_job_write_document(to, document);
	ft_buf_char(to, '}');
}

void ft_aws_job_write_state(struct ft_buf *to, const struct ft_execution *execution)
{
	ft_buf_str(to, ",\"executionState\":{");
	job_put_status(to, execution);
	ft_buf_str(to, ",\"versionNumber\":");
	ft_buf_u64(to, execution->version);
	ft_buf_char(to, '}');
}

void ft_aws_job_write_document(struct ft_buf *to, const struct ft_json_text *document)
{
	ft_buf_str(to, ",\"jobDocument\":");
	ft_buf_bytes(to, document->at, document->len);
}

size_t ft_aws_job_write_list(struct ft_buf *to, const char *member,
			     const struct ft_execution *const list[], size_t count,
			     enum ft_execution_status status)
{
	size_t listed = 0;

	if (to->len > 0 && to->text[to->len - 1] != '{')
		ft_buf_char(to, ',');
	ft_buf_char(to, '"');
	ft_buf_str(to, member);
	ft_buf_str(to, "\":[");
	for (size_t i = 0; i < count && listed < FT_AWS_JOB_LIST_MAX; i++) {
		if (list[i]->status != status)
			continue;
		ft_buf_str(to, listed++ > 0 ? ",{\"jobId\":\"" : "{\"jobId\":\"");
		ft_buf_str(to, list[i]->job);
		ft_buf_char(to, '"');
		job_put_times(to, list[i]);
		ft_buf_char(to, '}');
	}
	ft_buf_char(to, ']');
	return listed;
}

void ft_aws_job_write_report(struct ft_buf *to, const struct ft_aws_job_request *request)
{
	const struct ft_execution execution = {
		.status = request->status, .details = request->details,
	};

	job_put_status(to, &execution);
}

void ft_aws_job_write_rejected(struct ft_buf *to, const struct ft_aws_job_token *token,
			       enum ft_aws_job_verdict verdict, const struct ft_execution *execution,
			       int64_t now_s)
{
	static const struct {
		const char *code, *message;
	} rows[] = {
#define X(symbol, code, message) [symbol] = { code, message },
		FT_AWS_JOB_VERDICTS(X)
#undef X
	};

	assert(verdict > FT_AWS_JOB_OK && verdict < FT_AWS_JOB_VERDICT_COUNT);
	ft_buf_str(to, "{\"code\":\"");
	ft_buf_str(to, rows[verdict].code);
	ft_buf_str(to, "\",\"message\":\"");
	ft_buf_str(to, rows[verdict].message);
	ft_buf_char(to, '"');
	if (token->given) {
		ft_buf_str(to, ",\"clientToken\":");
		ft_buf_json(to, token->text, token->len);
	}
	job_put_number(to, ",\"timestamp\":", now_s);
	if (execution && (verdict == FT_AWS_JOB_VERSION || verdict == FT_AWS_JOB_TRANSITION))
		ft_aws_job_write_state(to, execution);
	ft_buf_char(to, '}');
}
