/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Requests of AWS IoT Jobs: a byte that says which one and how far the thing is with its job, then
 * the payload. Each is refused, or read within its bounds; executions keep to their states; what
 * is answered can be read again.
 */
#include "base/json.h"
#include "base/utf8.h"
#include "protocol/aws_job.h"
#include "fuzz.h"

static char aws_job_room[2 * FT_AWS_JOB_REJECTED_ROOM];

static void aws_job_check_text(const struct ft_buf *text, const struct ft_aws_job_token *token)
{
	struct ft_json_member members[] = { { .key = "timestamp" }, { .key = "clientToken" } };
	char read[FT_AWS_JOB_TOKEN_MAX + 1];
	size_t len = 0;

	fuzz_check(ft_buf_ok(text) && ft_utf8_valid(text->text, text->len));
	fuzz_check(ft_json_find(text->text, text->len, members, 2) == FT_JSON_OBJECT);
	fuzz_check(members[0].value.len > 0 && token->given == (members[1].value.len > 0));
	fuzz_check(!token->given || ft_json_string(&members[1].value, read, sizeof read, &len));
	fuzz_check(len == token->len && memcmp(read, token->text, len) == 0);
}

static void aws_job_check_rejected(const struct ft_aws_job_request *request,
				   enum ft_aws_job_verdict verdict,
				   const struct ft_execution *execution)
{
	struct ft_buf to = ft_buf_on(aws_job_room, FT_AWS_JOB_REJECTED_ROOM);

	ft_aws_job_write_rejected(&to, &request->token, verdict, execution, 1700000000);
	aws_job_check_text(&to, &request->token);
}

static void aws_job_check_execution(const struct ft_aws_job_request *request,
				    const struct ft_execution *execution)
{
	const struct ft_json_text document = { "{}", 2 };
	struct ft_buf to = ft_buf_on(aws_job_room, ft_aws_job_execution_room("t", &document));

	ft_aws_job_begin(&to, &request->token, 1700000000);
	ft_aws_job_write_execution(&to, "t", execution, &document);
	ft_aws_job_end(&to);
	aws_job_check_text(&to, &request->token);
}

static void aws_job_check_update(const struct ft_aws_job_request *request,
				 enum ft_execution_status status)
{
	const struct ft_execution before = { .job = "j", .status = status, .version = 2 };
	struct ft_execution after = before;
	enum ft_aws_job_verdict verdict = ft_execution_update(&after, request, 1700000000);

	if (verdict != FT_AWS_JOB_OK) {
		fuzz_check(after.status == before.status && after.version == before.version);
		aws_job_check_rejected(request, verdict, &after);
		return;
	}
	fuzz_check(!ft_execution_has_ended(&before) && after.status == request->status);
	fuzz_check(after.version == 3 && (!request->has_version || request->version == 2));
	aws_job_check_execution(request, &after);
}

FUZZ_TARGET(aws_job)
{
	static struct ft_aws_job_request request;
	enum ft_aws_job_verdict verdict;
	enum ft_aws_job_verb verb;
	uint8_t how = len > 0 ? *bytes : 0;

	if (len == 0)
		return;
	verb = (enum ft_aws_job_verb)(how % (FT_AWS_JOB_NO_VERB + 1));
	verdict = ft_aws_job_request_parse(&request, verb, bytes + 1, len - 1);
	fuzz_check(ft_utf8_valid(request.token.text, request.token.len));
	fuzz_check(request.token.len <= FT_AWS_JOB_TOKEN_MAX);
	if (verdict != FT_AWS_JOB_OK) {
		aws_job_check_rejected(&request, verdict, NULL);
		return;
	}
	fuzz_check(verb != FT_AWS_JOB_NO_VERB && request.details.len <= FT_AWS_JOB_DETAILS_MAX);
	fuzz_check(request.details.len == 0 || *request.details.at == '{');
	if (verb == FT_AWS_JOB_UPDATE)
		aws_job_check_update(&request, (enum ft_execution_status)(how / 8 % 5));
	else
		aws_job_check_rejected(&request, FT_AWS_JOB_INTERNAL_ERROR, NULL);
}
