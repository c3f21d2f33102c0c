/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Jobs of devices, on the broker's thread: see things.h. */
#include "engine/things/things.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "engine/downloads/downloads_private.h"

#define THINGS_OUT_MAX 256		/* calls at the lane; each may come back with some 70 KiB */
#define THINGS_LOOKS_MAX 16		/* of these: for clients that have not asked */
#define THINGS_TOPIC_ROOM 65536		/* MQTT has no longer topic: then there is no answer */

/* --- saying --- */

static void things_send(struct ft_engine *e, const char *client_id, const struct ft_buf *topic,
			const struct ft_text *text)
{
	void *block;

	if (!ft_buf_ok(topic) || !engine_may_send(e, client_id) || !(block = e->hooks.block_new(e->hooks.context, text->len)))
		return;
	memcpy(block, text->at, text->len);
	e->hooks.block_send(e->hooks.context, client_id, topic->text, &block, text->len);
	if (block)
		e->hooks.block_free(e->hooks.context, block);
}

static void things_answer(struct ft_engine *e, const char *client_id, const char *topic,
			  enum ft_aws_job_verdict verdict, const struct ft_text *text)
{
	char room[THINGS_TOPIC_ROOM];
	struct ft_buf to = ft_buf_on(room, sizeof room);

	ft_buf_str(&to, topic);
	ft_buf_str(&to, verdict == FT_AWS_JOB_OK ? "/accepted" : "/rejected");
	things_send(e, client_id, &to, text);
}

static void things_notify(struct ft_engine *e, const struct ft_thing_call *call, const char *word,
			  const struct ft_text *text)
{
	char room[THINGS_TOPIC_ROOM];
	struct ft_buf to = ft_buf_on(room, sizeof room);

	if (!text->at)
		return;
	ft_aws_job_notify_topic(&to, call->thing.name, word);
	if (call->client)
		things_send(e, call->client_id, &to, text);
	else if (ft_buf_ok(&to))
		(void)e->hooks.publish(e->hooks.context, &(struct ft_message){
			.topic = room, .payload = text->at, .len = text->len, .json = true, .qos = 1,
		});
}

/* What can be said without asking anybody. */
static void things_reject(struct ft_engine *e, const struct ft_request *request,
			  const struct ft_aws_job_token *token, enum ft_aws_job_verdict verdict)
{
	char room[FT_AWS_JOB_REJECTED_ROOM];
	struct ft_buf to = ft_buf_on(room, sizeof room);
	struct ft_text text = { .at = room };

	ft_aws_job_write_rejected(&to, token, verdict, NULL, ft_clock_unix_ms() / 1000);
	text.len = to.len;
	things_answer(e, request->client_id, request->topic, verdict, &text);
}

/* --- calls --- */

/* Texts of a call, which it has copies of. */
struct things_texts {
	const char *client_id, *user, *thing, *topic, *wanted;
	size_t thing_len, wanted_len;
	struct ft_json_text details;
};

static const char *things_copy(char **to, const char *text, size_t len)
{
	char *copy = *to;

	memcpy(copy, text, len);
	copy[len] = '\0';
	*to += len + 1;
	return copy;
}

static size_t things_cost(const struct things_texts *texts)
{
	return sizeof(struct ft_thing_call) + strlen(texts->client_id) + 1
	       + (texts->user ? strlen(texts->user) + 1 : 0) + texts->thing_len + 1
	       + (texts->topic ? strlen(texts->topic) + 1 : 0) + texts->wanted_len + 1
	       + texts->details.len + 1;
}

static struct ft_thing_call *things_new_call(const struct things_texts *texts)
{
	size_t cost = things_cost(texts);
	struct ft_thing_call *call = calloc(1, cost);
	char *to;

	if (!call)
		return NULL;
	call->job.kind = FT_JOB_THING;
	ft_link_init(&call->job.link);
	call->charged = cost;
	to = call->texts;
	call->client_id = things_copy(&to, texts->client_id, strlen(texts->client_id));
	if (texts->user)
		call->user = things_copy(&to, texts->user, strlen(texts->user));
	call->thing.name = things_copy(&to, texts->thing, texts->thing_len);
	if (texts->topic)
		call->topic = things_copy(&to, texts->topic, strlen(texts->topic));
	call->wanted = things_copy(&to, texts->wanted ? texts->wanted : "", texts->wanted_len);
	if (texts->details.len > 0)
		call->request.details = (struct ft_json_text){
			.at = things_copy(&to, texts->details.at, texts->details.len),
			.len = texts->details.len,
		};
	return call;
}

/* Hands over what waits, as far as the lane has room. */
static void things_pump(struct ft_engine *e)
{
	struct ft_things_desk *desk = &e->downloads->things;
	struct ft_link *link;

	while (desk->generation > 0 && desk->out < THINGS_OUT_MAX
	       && (link = ft_list_pop(&desk->waiting)) != NULL) {
		struct ft_thing_call *call = FT_CONTAINER(link, struct ft_thing_call, job.link);

		if (call->client) {
			call->knows = call->client->thing.knows;
			call->known = call->client->thing.known;
		}
		desk->out++;
		ft_core_submit(&e->core, FT_LANE_JOBS, &call->job);
	}
}

/* The client stays until the call is back. It is looked at again when there is another index. */
static void things_submit(struct ft_engine *e, struct ft_downloader *client,
			  struct ft_thing_call *call)
{
	struct ft_things_desk *desk = &e->downloads->things;

	e->charged += call->charged;
	call->client = client;
	call->thing.kind = client->thing.kind;
	client->thing.generation = desk->generation;
	ft_link_remove(&client->thing.link);
	ft_list_push(&desk->clients, &client->thing.link);
	ft_list_push(&desk->waiting, &call->job.link);
	things_pump(e);
}

void engine_drop_thing_client(struct ft_engine *e, struct ft_thing_client *client)
{
	if (client->user)
		e->charged -= strlen(client->user) + 1;
	free(client->user);
	client->user = NULL;
}

static enum ft_status things_note_user(struct ft_engine *e, struct ft_thing_client *client,
				       const char *user)
{
	char *copy = NULL;
	enum ft_status st;

	if (client->user ? user && strcmp(client->user, user) == 0 : !user)
		return FT_OK;
	if (user && (st = engine_check_memory(e, strlen(user) + 1)) != FT_OK)
		return st;
	if (user && !(copy = strdup(user)))
		return FT_NO_MEMORY;
	engine_drop_thing_client(e, client);
	client->user = copy;
	e->charged += copy ? strlen(copy) + 1 : 0;
	return FT_OK;
}

/* --- requests --- */

static bool things_is(const struct ft_aws_job_topic *topic, const char *id)
{
	return id && strlen(id) == topic->thing_len && memcmp(id, topic->thing, topic->thing_len) == 0;
}

static enum ft_status things_ask(struct ft_engine *e, const struct ft_request *request,
				 const struct ft_aws_job_topic *topic,
				 const struct ft_aws_job_request *wanted)
{
	const struct things_texts texts = {
		.client_id = request->client_id, .user = request->user, .thing = topic->thing,
		.thing_len = topic->thing_len, .topic = request->topic, .wanted = topic->job,
		.wanted_len = topic->job_len <= FT_AWS_JOB_ID_MAX ? topic->job_len : 0,
		.details = wanted->details,
	};
	struct ft_thing_call *call = NULL;
	struct ft_downloader *client;
	struct ft_json_text details;
	enum ft_thing_kind kind;
	enum ft_status st;

	if ((st = engine_check_memory(e, things_cost(&texts))) != FT_OK
	    || (st = engine_open_call(e, request, &client)) != FT_OK)
		return st;
	if ((st = things_note_user(e, &client->thing, request->user)) == FT_OK
	    && !(call = things_new_call(&texts)))
		st = FT_NO_MEMORY;
	if (st != FT_OK) {
		engine_close_call(e, client);
		return st;
	}
	call->verb = topic->verb;
	details = call->request.details;
	call->request = *wanted;
	call->request.details = details;
	kind = things_is(topic, request->client_id) ? FT_THING_CLIENT : FT_THING_USER;
	if (client->thing.kind != kind)
		client->thing.knows = false;
	client->thing.kind = kind;
	if (kind == FT_THING_CLIENT)
		engine_drop_absent(e, request->client_id);
	things_submit(e, client, call);
	return FT_OK;
}

void engine_thing(struct ft_engine *e, const struct ft_request *request, const void *payload,
		  size_t len)
{
	struct ft_aws_job_request wanted;
	struct ft_aws_job_topic topic;
	enum ft_aws_job_verdict verdict;

	if (ft_aws_job_topic_parse(&topic, request->topic) != FT_AWS_TOPIC_REQUEST)
		return;
	engine_note_connection(e, request);
	verdict = ft_aws_job_request_parse(&wanted, topic.verb, payload, len);
	if (!things_is(&topic, request->client_id) && !things_is(&topic, request->user))
		verdict = FT_AWS_JOB_UNAUTHORIZED;
	if (verdict == FT_AWS_JOB_OK && things_ask(e, request, &topic, &wanted) != FT_OK)
		verdict = FT_AWS_JOB_INTERNAL_ERROR;
	if (verdict != FT_AWS_JOB_OK)
		things_reject(e, request, &wanted.token, verdict);
}

/* --- looks --- */

/* False: it cannot be done now. */
static bool things_look(struct ft_engine *e, struct ft_downloader *client)
{
	const struct ft_thing_client *state = &client->thing;
	const char *thing = state->kind == FT_THING_USER ? state->user : client->id;
	const struct things_texts texts = {
		.client_id = client->id, .user = state->user, .thing = thing,
		.thing_len = strlen(thing),
	};
	struct ft_thing_call *call;

	if (engine_check_memory(e, things_cost(&texts)) != FT_OK || !(call = things_new_call(&texts)))
		return false;
	call->look = true;
	client->open++;
	e->downloads->things.looks++;
	things_submit(e, client, call);
	return true;
}

/* ... for an absent thing. */
static bool things_look_absent(struct ft_engine *e, struct ft_absent_thing *thing)
{
	const struct things_texts texts = {
		.client_id = thing->id, .user = thing->user, .thing = thing->id, .thing_len = strlen(thing->id),
	};
	struct ft_things_desk *desk = &e->downloads->things;
	struct ft_thing_call *call;

	if (engine_check_memory(e, things_cost(&texts)) != FT_OK || !(call = things_new_call(&texts)))
		return false;
	call->look = call->knows = true;
	call->known = thing->known;
	call->thing.kind = FT_THING_CLIENT;
	thing->generation = desk->generation;
	ft_link_remove(&thing->link);
	ft_list_push(&desk->absent, &thing->link);
	desk->looks++;
	e->charged += call->charged;
	ft_list_push(&desk->waiting, &call->job.link);
	things_pump(e);
	return true;
}

static void things_look_at_absent(struct ft_engine *e)
{
	struct ft_things_desk *desk = &e->downloads->things;
	struct ft_link *link;

	while (!e->closing && desk->looks < THINGS_LOOKS_MAX
	       && (link = ft_list_first(&desk->absent)) != NULL) {
		struct ft_absent_thing *thing = FT_CONTAINER(link, struct ft_absent_thing, link);

		if (thing->generation == desk->generation || !things_look_absent(e, thing))
			return;
	}
}

/* Looks after clients that have not been told of the newest index, some at a time. */
static void things_look_at_some(struct ft_engine *e)
{
	struct ft_things_desk *desk = &e->downloads->things;
	struct ft_link *link;

	while (!e->closing && desk->looks < THINGS_LOOKS_MAX
	       && (link = ft_list_first(&desk->clients)) != NULL) {
		struct ft_downloader *client = FT_CONTAINER(link, struct ft_downloader, thing.link);

		if (client->thing.generation == desk->generation || !things_look(e, client))
			break;
	}
	things_look_at_absent(e);
}

void engine_note_gone(struct ft_engine *e, const struct ft_downloader *client)
{
	const struct ft_thing_client *state = &client->thing;
	struct ft_absent_thing *absent;

	if (e->closing || !ft_link_listed(&state->link) || state->kind != FT_THING_CLIENT
	    || !state->knows)
		return;
	engine_add_absent(e, client->id, state->user, &state->known);
	if ((absent = engine_find_absent(e, client->id)) == NULL)
		return;
	absent->generation = state->generation;
	if (absent->generation != e->downloads->things.generation)
		return;
	ft_link_remove(&absent->link);
	ft_list_push(&e->downloads->things.absent, &absent->link);
}

/* --- what comes back --- */

/* Hands over the next index, if there is one and the job is here. */
static void things_submit_index(struct ft_engine *e)
{
	struct ft_things_desk *desk = &e->downloads->things;
	struct ft_index_job *job = desk->index_job;

	if (!job || !desk->next_index || e->closing)
		return;
	desk->index_job = NULL;
	job->index = desk->next_index;
	desk->next_index = NULL;
	desk->generation++;
	ft_core_submit(&e->core, FT_LANE_JOBS, &job->job);
	things_pump(e);
	things_look_at_some(e);
}

void engine_take_index(struct ft_engine *e, struct ft_job_index *index)
{
	struct ft_things_desk *desk = &e->downloads->things;

	ft_job_index_drop(&desk->next_index);
	desk->next_index = ft_job_index_hold(index);
	e->metrics.job_documents = index->documents->count;
	things_submit_index(e);
}

void engine_take_index_job(struct ft_engine *e, struct ft_index_job *job)
{
	static const struct ft_pending nothing = { 0, 0 };
	const char *id = job->named;

	e->downloads->things.index_job = job;
	for (size_t i = 0; i < job->named_count && !e->closing; i++, id += strlen(id) + 1)
		if (!engine_asks_for_jobs(e, id))
			engine_add_absent(e, id, NULL, &nothing);
	free(job->named);
	job->named = NULL;
	job->named_count = 0;
	things_submit_index(e);
	things_look_at_some(e);
}

static void things_count(struct ft_engine *e, const struct ft_thing_call *call)
{
	e->metrics.jobs_started += call->started;
	if (!call->updated)
		return;
	e->metrics.job_updates++;
	if (call->request.status == FT_EXECUTION_SUCCEEDED)
		e->metrics.jobs_succeeded++;
	else if (call->request.status != FT_EXECUTION_IN_PROGRESS)
		e->metrics.jobs_failed++;
}

/* An update is a report about what would be downloaded as jobs/<id>. */
static void things_note_report(struct ft_engine *e, const struct ft_thing_call *call)
{
	char room[FT_AWS_JOB_DETAILS_MAX + 256];
	struct ft_buf members = ft_buf_on(room, sizeof room);
	struct ft_json_text text = { .at = room };

	ft_aws_job_write_report(&members, &call->request);
	text.len = members.len;
	engine_note_report(e, call->client_id, &call->document, &text);
}

/* Tells the client what it does not know yet. */
static void things_tell(struct ft_engine *e, const struct ft_thing_call *call)
{
	struct ft_thing_client *state = &call->client->thing;
	bool next_is_new = !state->knows || state->known.next != call->now.next;
	bool all_is_new = !state->knows || state->known.all != call->now.all;

	if (call->answer.at)
		things_answer(e, call->client_id, call->topic, call->verdict, &call->answer);
	if (call->job.status != FT_OK || call->thing.kind != state->kind)
		return;
	if (all_is_new)
		things_notify(e, call, "notify", &call->all_news);
	if (next_is_new)
		things_notify(e, call, "notify-next", &call->next_news);
	/* Another call came back since this one left, so that it brings no news: look once more. */
	if (state->knows && ((next_is_new && !call->next_news.at && !call->told_next)
			     || (all_is_new && !call->all_news.at && !call->told_all))) {
		state->generation = 0;
		ft_link_remove(&state->link);
		ft_link_insert(&e->downloads->things.clients.head, &state->link);
		return;
	}
	state->knows = true;
	state->known = call->now;
}

/* What is new for a thing that is still absent. */
static void things_tell_absent(struct ft_engine *e, const struct ft_thing_call *call)
{
	struct ft_absent_thing *absent = engine_find_absent(e, call->thing.name);

	if (!absent || call->job.status != FT_OK)
		return;
	things_notify(e, call, "notify", &call->all_news);
	things_notify(e, call, "notify-next", &call->next_news);
	absent->known = call->now;
}

void engine_take_thing_call(struct ft_engine *e, struct ft_thing_call *call)
{
	struct ft_downloader *client = call->client;
	struct ft_job *job = &call->job;

	e->downloads->things.out--;
	if (call->look)
		e->downloads->things.looks--;
	things_count(e, call);
	if (!e->closing && !client)
		things_tell_absent(e, call);
	else if (!e->closing && !client->gone)
		things_tell(e, call);
	if (!e->closing && call->updated)
		things_note_report(e, call);
	e->charged -= call->charged;
	ft_job_free(&job);
	if (client)
		engine_close_call(e, client);
	if (e->closing)
		return;
	things_pump(e);
	things_look_at_some(e);
}

/* --- start and end --- */

enum ft_status engine_start_things(struct ft_engine *e)
{
	struct ft_things_desk *desk = &e->downloads->things;

	ft_list_init(&desk->clients);
	ft_list_init(&desk->waiting);
	ft_list_init(&desk->absent);
	if (!(e->options->downloads & FT_DOWNLOADS_JOBS))
		return FT_OK;
	if (!(desk->index_job = calloc(1, sizeof *desk->index_job))
	    || !(e->core.things = ft_things_new()))
		return FT_NO_MEMORY;
	desk->index_job->job.kind = FT_JOB_INDEX;
	ft_link_init(&desk->index_job->job.link);
	return FT_OK;
}

/* All jobs have come back, or were freed with their queue. */
void engine_release_things(struct ft_engine *e)
{
	struct ft_things_desk *desk = &e->downloads->things;
	struct ft_link *link;

	while ((link = ft_list_pop(&desk->waiting)) != NULL) {
		struct ft_job *job = FT_CONTAINER(link, struct ft_job, link);

		ft_job_free(&job);
	}
	engine_release_absent(e);
	free(desk->index_job);
	ft_job_index_drop(&desk->next_index);
	ft_things_free(&e->core.things);
}
