/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Jobs of devices, on the lane's thread: see things.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "engine/things/things.h"

#define THINGS_LOG_MAX 200	/* bytes of ids and statusDetails in a log line */
#define THINGS_LOG_ROOM (3 * (4 * THINGS_LOG_MAX + 8) + 64)

/* A job that the thing sees. */
struct worker_entry {
	struct ft_execution execution;
	const struct ft_offer *document;
	char *details;			/* owned; of the row */
};

struct worker {
	struct ft_core *core;
	struct ft_catalog *catalog;
	struct ft_things *things;
	struct ft_thing_call *call;
	bool begun;			/* there is a transaction */
	enum ft_status status;		/* of the transaction: the first error in it */
	int64_t now_s;
	size_t count, pending;
	struct worker_entry entry[FT_THING_JOBS_MAX];
	struct worker_entry *by_id[FT_THING_JOBS_MAX];
	const struct ft_execution *list[FT_THING_JOBS_MAX];	/* pending first, in their order */
	struct ft_viewer viewer;
	const struct ft_offer *found[FT_THING_JOBS_MAX];
};

struct ft_things *ft_things_new(void)
{
	struct ft_things *things = calloc(1, sizeof *things);

	if (things)
		things->rows_max = FT_EXECUTIONS_MAX;
	return things;
}

void ft_things_free(struct ft_things **pointer)
{
	if (!*pointer)
		return;
	ft_job_index_drop(&(*pointer)->index);
	free(*pointer);
	*pointer = NULL;
}

void ft_thing_call_release(struct ft_thing_call *call)
{
	free(call->answer.at);
	free(call->next_news.at);
	free(call->all_news.at);
}

/* --- what a thing has to do --- */

static struct worker_entry *worker_entry_of(const struct ft_execution *execution)
{
	return FT_CONTAINER((uintptr_t)execution, struct worker_entry, execution);
}

static int worker_compare_id(const void *key, const void *entry)
{
	const struct worker_entry *const *other = entry;

	return strcmp(key, (*other)->execution.job);
}

static struct worker_entry *worker_find(const struct worker *w, const char *job)
{
	struct worker_entry *const *found = bsearch(job, w->by_id, w->count, sizeof w->by_id[0],
						    worker_compare_id);

	return found ? *found : NULL;
}

/* What has ended comes last, what is in progress first; then in the order of queuedAt and id. */
static int worker_compare(const void *a, const void *b)
{
	const struct ft_execution *x = *(const struct ft_execution *const *)a;
	const struct ft_execution *y = *(const struct ft_execution *const *)b;
	int x_rank = ft_execution_has_ended(x) ? 2 : x->status == FT_EXECUTION_QUEUED;
	int y_rank = ft_execution_has_ended(y) ? 2 : y->status == FT_EXECUTION_QUEUED;

	if (x_rank != y_rank)
		return x_rank - y_rank;
	if (x->queued_s != y->queued_s)
		return x->queued_s < y->queued_s ? -1 : 1;
	return strcmp(x->job, y->job);
}

static void worker_sort(struct worker *w)
{
	qsort(w->list, w->count, sizeof w->list[0], worker_compare);
	w->pending = 0;
	while (w->pending < w->count && !ft_execution_has_ended(w->list[w->pending]))
		w->pending++;
}

static enum ft_status worker_take_row(void *context, const struct ft_execution *row)
{
	struct worker *w = context;
	struct worker_entry *entry = worker_find(w, row->job);
	const char *job;

	if (!entry)
		return FT_OK;
	job = entry->execution.job;
	entry->execution = *row;
	entry->execution.job = job;
	if (row->details.len > 0) {
		entry->details = ft_core_alloc(row->details.len);
		memcpy(entry->details, row->details.at, row->details.len);
	}
	entry->execution.details.at = entry->details;
	return FT_OK;
}

static enum ft_status worker_load(struct worker *w)
{
	const struct ft_offers *documents = w->things->index->documents;
	enum ft_status st;

	ft_viewer_init(&w->viewer, documents, w->call->client_id, w->call->user);
	w->count = ft_offers_list(documents, &w->viewer, "", "", w->found, FT_THING_JOBS_MAX);
	for (size_t i = 0; i < w->count; i++) {
		int64_t queued_s = w->found[i]->stat.mtime_ns / 1000000000;

		w->entry[i] = (struct worker_entry){
			.document = w->found[i],
			.execution = {
				.job = w->found[i]->path, .queued_s = queued_s,
				.updated_s = queued_s, .version = 1,
			},
		};
		w->by_id[i] = &w->entry[i];
		w->list[i] = &w->entry[i].execution;
	}
	st = ft_catalog_each_execution(w->catalog, &w->call->thing, worker_take_row, w);
	worker_sort(w);
	return st;
}

static void worker_unload(struct worker *w)
{
	for (size_t i = 0; i < w->count; i++)
		free(w->entry[i].details);
	w->count = w->pending = 0;
}

/* FNV-1a, never 0. */
static uint64_t worker_hash(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
	return hash | 1;
}

static struct ft_pending worker_pending(const struct worker *w)
{
	struct ft_pending pending = { 0, 0 };

	if (w->pending > 0)
		pending.next = worker_hash(w->list[0]->job);
	for (size_t i = 0; i < w->pending; i++)
		pending.all += worker_hash(w->list[i]->job);
	return pending;
}

/* --- rows --- */

/* Forgets what is known about jobs that are gone for everybody. */
static enum ft_status worker_tidy(struct worker *w)
{
	const struct ft_offers *documents = w->things->index->documents;
	char job[FT_AWS_JOB_ID_MAX + 1], after[FT_AWS_JOB_ID_MAX + 1] = "";
	enum ft_status st = FT_OK;
	size_t i;

	while (st == FT_OK && (st = ft_catalog_next_executed_job(w->catalog, after, job)) == FT_OK
	       && *job) {
		memcpy(after, job, sizeof after);
		for (i = 0; i < documents->count; i++)
			if (strcmp(documents->offer[i].path, job) == 0)
				break;
		if (i == documents->count)
			st = ft_catalog_drop_executions(w->catalog, job);
	}
	if (st == FT_OK)
		st = ft_catalog_count_executions(w->catalog, &w->things->rows);
	w->things->tidied = st == FT_OK;
	return st;
}

static enum ft_status worker_make_room(struct worker *w)
{
	struct ft_things *things = w->things;
	enum ft_status st = FT_OK;

	if (!things->counted)
		st = ft_catalog_count_executions(w->catalog, &things->rows);
	things->counted = st == FT_OK;
	if (st != FT_OK || things->rows < things->rows_max)
		return st;
	if (!things->tidied && (st = worker_tidy(w)) != FT_OK)
		return st;
	if (things->rows < things->rows_max)
		return FT_OK;
	if (!things->told)
		ft_logger_printf(w->core->logger, FT_LOG_ERROR, "%llu executions of jobs are kept, "
				 "which is the most: remove documents of old jobs from jobs/",
				 (unsigned long long)things->rows);
	things->told = true;
	return FT_QUOTA_EXCEEDED;
}

/* The row of an execution as it is now; else it is again what it was. */
static bool worker_put(struct worker *w, struct ft_execution *execution,
		       const struct ft_execution *before)
{
	bool is_new = before->status == FT_EXECUTION_QUEUED;
	enum ft_status st = w->status;

	if (st == FT_OK && !w->begun)
		st = ft_catalog_begin(w->catalog);
	w->begun = true;
	if (st == FT_OK && is_new)
		st = worker_make_room(w);
	if (st == FT_OK)
		st = ft_catalog_put_execution(w->catalog, &w->call->thing, execution);
	if (st == FT_OK && is_new)
		w->things->rows++;
	if (st != FT_OK)
		*execution = *before;
	if (st != FT_QUOTA_EXCEEDED)	/* that spoils nothing for others */
		w->status = st;
	return st == FT_OK;
}

/* --- answers --- */

/* Makes room on the heap; what is written must fit. */
static struct ft_buf worker_begin(size_t room)
{
	return ft_buf_on(ft_core_alloc(room), room);
}

static struct ft_text worker_end(struct ft_buf *text)
{
	ft_aws_job_end(text);
	assert(ft_buf_ok(text));
	return (struct ft_text){ .at = text->text, .len = text->len };
}

static void worker_reject(struct worker *w, enum ft_aws_job_verdict verdict,
			  const struct ft_execution *execution)
{
	struct ft_thing_call *call = w->call;
	struct ft_buf text = worker_begin(FT_AWS_JOB_REJECTED_ROOM);

	call->verdict = verdict;
	ft_aws_job_write_rejected(&text, &call->request.token, verdict, execution, w->now_s);
	assert(ft_buf_ok(&text));
	call->answer = (struct ft_text){ .at = text.text, .len = text.len };
}

/* An execution, or that there is none; `token` NULL: unasked. */
static struct ft_text worker_say_execution(const struct worker *w, const struct ft_aws_job_token *token,
					   const struct ft_execution *execution, bool with_document)
{
	const struct ft_json_text nothing = { .at = NULL, .len = 0 };
	const struct ft_json_text *document = execution && with_document
			? &worker_entry_of(execution)->document->meta : &nothing;
	struct ft_buf text = worker_begin(ft_aws_job_execution_room(w->call->thing.name, document));

	ft_aws_job_begin(&text, token, w->now_s);
	if (execution)
		ft_aws_job_write_execution(&text, w->call->thing.name, execution, document);
	return worker_end(&text);
}

static size_t worker_list_room(const struct worker *w)
{
	size_t count = w->pending < FT_AWS_JOB_LIST_MAX ? w->pending : FT_AWS_JOB_LIST_MAX;

	return FT_AWS_JOB_REJECTED_ROOM + 2 * count * FT_AWS_JOB_SUMMARY_ROOM;
}

static const struct ft_execution *worker_next(const struct worker *w)
{
	return w->pending > 0 ? w->list[0] : NULL;
}

static void worker_list(struct worker *w)
{
	struct ft_buf text = worker_begin(worker_list_room(w));

	ft_aws_job_begin(&text, &w->call->request.token, w->now_s);
	(void)ft_aws_job_write_list(&text, "inProgressJobs", w->list, w->pending,
				    FT_EXECUTION_IN_PROGRESS);
	(void)ft_aws_job_write_list(&text, "queuedJobs", w->list, w->pending, FT_EXECUTION_QUEUED);
	w->call->answer = worker_end(&text);
	w->call->told_all = true;
}

static void worker_get_next(struct worker *w)
{
	struct ft_thing_call *call = w->call;

	if (call->request.other_execution) {
		worker_reject(w, FT_AWS_JOB_NOT_FOUND, NULL);
		return;
	}
	call->answer = worker_say_execution(w, &call->request.token, worker_next(w),
					    call->request.wants_document);
	call->told_next = true;
}

static void worker_start_next(struct worker *w)
{
	struct ft_thing_call *call = w->call;
	const struct ft_execution *next = worker_next(w);
	struct worker_entry *entry = next ? worker_entry_of(next) : NULL;
	struct ft_execution before;

	if (entry) {
		before = entry->execution;
		call->started = ft_execution_start(&entry->execution, &call->request, w->now_s);
	}
	if (call->started && !worker_put(w, &entry->execution, &before)) {
		call->started = false;
		worker_reject(w, FT_AWS_JOB_INTERNAL_ERROR, NULL);
		return;
	}
	call->answer = worker_say_execution(w, &call->request.token, next, true);
	call->told_next = true;
}

static void worker_get(struct worker *w)
{
	struct ft_thing_call *call = w->call;
	struct worker_entry *entry = worker_find(w, call->wanted);

	if (!entry || call->request.other_execution)
		worker_reject(w, FT_AWS_JOB_NOT_FOUND, NULL);
	else if (ft_execution_has_ended(&entry->execution))
		worker_reject(w, FT_AWS_JOB_TERMINAL, NULL);
	else
		call->answer = worker_say_execution(w, &call->request.token, &entry->execution,
						    call->request.wants_document);
}

static void worker_log(const struct worker *w, const struct ft_execution *execution)
{
	static const char *const words[] = {
		[FT_EXECUTION_SUCCEEDED] = "SUCCEEDED", [FT_EXECUTION_FAILED] = "FAILED",
		[FT_EXECUTION_REJECTED] = "REJECTED",
	};
	const struct ft_thing *thing = &w->call->thing;
	char room[THINGS_LOG_ROOM];
	struct ft_buf line = ft_buf_on(room, sizeof room);

	ft_buf_str(&line, thing->kind == FT_THING_CLIENT ? "client '" : "user '");
	ft_buf_printable(&line, thing->name, strlen(thing->name), THINGS_LOG_MAX);
	ft_buf_str(&line, "', job '");
	ft_buf_str(&line, execution->job);
	ft_buf_str(&line, "': ");
	ft_buf_str(&line, words[execution->status]);
	if (execution->details.len > 0) {
		ft_buf_char(&line, ' ');
		ft_buf_printable(&line, execution->details.at, execution->details.len,
				 THINGS_LOG_MAX);
	}
	ft_logger_printf(w->core->logger, execution->status == FT_EXECUTION_SUCCEEDED
					  ? FT_LOG_NOTICE : FT_LOG_WARNING, "%s", room);
}

static void worker_note_document(struct ft_thing_call *call, const struct ft_offer *document)
{
	struct ft_buf path = ft_buf_on(call->path, sizeof call->path);

	ft_buf_str(&path, "jobs/");
	ft_buf_str(&path, document->path);
	call->document = *document;
	call->document.whose = "";
	call->document.path = call->path;
	call->document.meta = (struct ft_json_text){ .at = NULL };
}

static void worker_say_updated(struct worker *w, const struct worker_entry *entry)
{
	struct ft_thing_call *call = w->call;
	const struct ft_json_text nothing = { .at = NULL, .len = 0 };
	const struct ft_json_text *document = call->request.wants_document ? &entry->document->meta
									   : &nothing;
	struct ft_buf text = worker_begin(ft_aws_job_execution_room("", document));

	ft_aws_job_begin(&text, &call->request.token, w->now_s);
	if (call->request.wants_state)
		ft_aws_job_write_state(&text, &entry->execution);
	if (document->len > 0)
		ft_aws_job_write_document(&text, document);
	call->answer = worker_end(&text);
}

static void worker_update(struct worker *w)
{
	struct ft_thing_call *call = w->call;
	struct worker_entry *entry = worker_find(w, call->wanted);
	enum ft_aws_job_verdict verdict = FT_AWS_JOB_NOT_FOUND;
	struct ft_execution before;

	if (entry) {
		before = entry->execution;
		verdict = ft_execution_update(&entry->execution, &call->request, w->now_s);
	}
	if (verdict == FT_AWS_JOB_OK && !worker_put(w, &entry->execution, &before))
		verdict = FT_AWS_JOB_INTERNAL_ERROR;
	if (verdict != FT_AWS_JOB_OK) {
		worker_reject(w, verdict, entry ? &entry->execution : NULL);
		return;
	}
	call->updated = true;
	worker_note_document(call, entry->document);
	worker_say_updated(w, entry);
	if (ft_execution_has_ended(&entry->execution))
		worker_log(w, &entry->execution);
}

/* --- news --- */

/* What the client has to hear, beside its answer. */
static void worker_make_news(struct worker *w, const struct ft_pending *before)
{
	struct ft_thing_call *call = w->call;
	const struct ft_pending *known = call->knows ? &call->known : before;
	struct ft_buf text;

	call->now = worker_pending(w);
	if (call->now.next != known->next && !call->told_next)
		call->next_news = worker_say_execution(w, NULL, worker_next(w), true);
	if (call->now.all == known->all || call->told_all)
		return;
	text = worker_begin(worker_list_room(w));
	ft_aws_job_begin(&text, NULL, w->now_s);
	ft_buf_str(&text, ",\"jobs\":{");
	if (w->pending > 0 && w->list[0]->status == FT_EXECUTION_IN_PROGRESS)
		(void)ft_aws_job_write_list(&text, "IN_PROGRESS", w->list, w->pending,
					    FT_EXECUTION_IN_PROGRESS);
	if (w->pending > 0 && w->list[w->pending - 1]->status == FT_EXECUTION_QUEUED)
		(void)ft_aws_job_write_list(&text, "QUEUED", w->list, w->pending,
					    FT_EXECUTION_QUEUED);
	ft_buf_char(&text, '}');
	call->all_news = worker_end(&text);
}

/* --- all --- */

static void worker_serve(struct worker *w)
{
	static void (*const verbs[])(struct worker *w) = {
		[FT_AWS_JOB_LIST] = worker_list,
		[FT_AWS_JOB_START_NEXT] = worker_start_next,
		[FT_AWS_JOB_GET_NEXT] = worker_get_next,
		[FT_AWS_JOB_GET] = worker_get,
		[FT_AWS_JOB_UPDATE] = worker_update,
	};
	enum ft_status st = worker_load(w);
	struct ft_pending before;

	if (st == FT_OK) {
		before = worker_pending(w);
		if (!w->call->look)
			verbs[w->call->verb](w);
		worker_sort(w);
		worker_make_news(w, &before);
	} else if (!w->call->look) {
		worker_reject(w, FT_AWS_JOB_INTERNAL_ERROR, NULL);
	}
	/* An error of the database ends its transaction. */
	if (st != FT_OK && w->begun && w->status == FT_OK)
		w->status = st;
	w->call->job.status = st;
	worker_unload(w);
}

/* What was not committed has not happened: whoever asked meanwhile asks again. */
static void worker_fail(struct worker *w, struct ft_thing_call *call, enum ft_status st)
{
	ft_thing_call_release(call);
	call->answer = call->next_news = call->all_news = (struct ft_text){ .at = NULL };
	call->updated = call->started = false;
	call->job.status = st;
	w->call = call;
	if (!call->look)
		worker_reject(w, FT_AWS_JOB_INTERNAL_ERROR, NULL);
}

static enum ft_status worker_commit(struct worker *w)
{
	enum ft_status st;

	if (!w->begun)
		return FT_OK;
	st = ft_catalog_end(w->catalog, w->status);
	if (st == FT_OK && w->core->options->durability != FT_DURABILITY_NONE)
		st = ft_core_sync_catalog(w->core, w->catalog);
	w->things->counted = w->things->counted && st == FT_OK;
	return st;
}

/* Behind the offers of the client that the one at `i` is for. */
static size_t worker_client_end(const struct ft_offers *offers, size_t i)
{
	const char *whose = offers->offer[i].whose;

	while (i < offers->count && offers->offer[i].scope == FT_OFFER_CLIENT
	       && strcmp(offers->offer[i].whose, whose) == 0)
		i++;
	return i;
}

static bool worker_same_jobs(const struct ft_offer *a, const struct ft_offer *b, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(a[i].path, b[i].path) != 0 || !ft_offer_stat_equal(&a[i].stat, &b[i].stat))
			return false;
	return true;
}

static void worker_name(struct ft_index_job *job, struct ft_buf *names, const char *whose)
{
	char id[FT_NAME_ROOM];
	size_t len;

	if (job->named_count == FT_NAMED_MAX || !ft_offer_whose_id(id, &len, whose)
	    || strlen(id) != len)
		return;
	ft_buf_bytes(names, id, len + 1);
	job->named_count++;
}

static bool worker_is_client(const struct ft_offers *offers, size_t i)
{
	return i < offers->count && offers->offer[i].scope == FT_OFFER_CLIENT;
}

/* Whose own folders differ. Offers of clients come first in an index, ascending by whose they are. */
static void worker_find_named(struct ft_index_job *job, const struct ft_offers *former,
			      const struct ft_offers *next)
{
	struct ft_buf names;
	size_t i = 0, j = 0;

	job->named = ft_core_alloc((size_t)FT_NAMED_MAX * FT_NAME_ROOM);
	names = ft_buf_on(job->named, (size_t)FT_NAMED_MAX * FT_NAME_ROOM);
	while (worker_is_client(former, i) || worker_is_client(next, j)) {
		int order = !worker_is_client(former, i) ? 1
			    : !worker_is_client(next, j) ? -1
			    : strcmp(former->offer[i].whose, next->offer[j].whose);
		const char *whose = order <= 0 ? former->offer[i].whose : next->offer[j].whose;
		size_t a_end = order <= 0 ? worker_client_end(former, i) : i;
		size_t b_end = order >= 0 ? worker_client_end(next, j) : j;

		if (order != 0 || a_end - i != b_end - j
		    || !worker_same_jobs(&former->offer[i], &next->offer[j], a_end - i))
			worker_name(job, &names, whose);
		i = a_end;
		j = b_end;
	}
}

static void worker_take_index(struct worker *w, struct ft_index_job *job)
{
	if (w->things->index)
		worker_find_named(job, w->things->index->documents, job->index->documents);
	ft_job_index_drop(&w->things->index);
	w->things->index = job->index;
	w->things->tidied = w->things->told = false;
	job->index = NULL;
}

void ft_things_serve(struct ft_core *core, struct ft_catalog *catalog, struct ft_job *jobs[],
		     size_t count)
{
	struct worker *w = ft_core_alloc(sizeof *w);
	enum ft_status st;

	w->core = core;
	w->catalog = catalog;
	w->things = core->things;
	w->now_s = ft_clock_unix_ms() / 1000;
	for (size_t i = 0; i < count; i++) {
		if (jobs[i]->kind == FT_JOB_INDEX) {
			worker_take_index(w, FT_CONTAINER(jobs[i], struct ft_index_job, job));
		} else {
			w->call = FT_CONTAINER(jobs[i], struct ft_thing_call, job);
			worker_serve(w);
		}
	}
	st = worker_commit(w);
	for (size_t i = 0; i < count; i++) {
		if (st != FT_OK && jobs[i]->kind == FT_JOB_THING)
			worker_fail(w, FT_CONTAINER(jobs[i], struct ft_thing_call, job), st);
		ft_core_tell_broker(core, jobs[i]);
	}
	free(w);
}
