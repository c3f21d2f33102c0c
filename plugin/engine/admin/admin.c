/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/admin/admin.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "base/wildcard.h"
#include "engine/admin/admin_call.h"
#include "engine/admin/sorted_page.h"
#include "engine/admin/verify.h"
#include "engine/downloads/downloads.h"
#include "file_transfer/version.h"
#include "log/record.h"

#define ADMIN_MESSAGES_MAX 16
#define ADMIN_COMMANDS_AT_ONCE 8	/* then others come first */
#define ADMIN_STEPS 2000		/* entries and buckets that are looked at for a page */
#define ADMIN_DATA_ROOM ((size_t)512 * 1024)	/* of one command */
#define ADMIN_ANSWER_MAX ((size_t)1024 * 1024)	/* data of all commands of a message */
#define ADMIN_FIXED_ROOM 512		/* what an answer has besides data and what was sent */
#define ADMIN_ESCAPE_GROWTH 6		/* one byte as \u00XX */
#define ADMIN_PAUSED_OWNERS_MAX 10000

static const char *const admin_states[FT_TRANSFER_STATES] = {
	[FT_TRANSFER_CHECKING] = "checking", [FT_TRANSFER_RECEIVING] = "receiving",
	[FT_TRANSFER_ASSEMBLING] = "assembling", [FT_TRANSFER_ABORTING] = "aborting",
	[FT_TRANSFER_CONFLICT] = "conflict",
};

/* --- messages --- */

static void admin_free_message(struct admin_message **message)
{
	struct admin_message *m = *message;

	if (!m)
		return;
	ft_control_free(&m->control);
	ft_sorted_page_free(&m->clients);
	free(m->answer.text);
	free(m->room);
	free(m->payload);
	free(m->client_id);
	free(m);
	*message = NULL;
}

/* An operator as log lines have it. */
static void admin_write_who(struct ft_buf *to, const char *client_id, const char *user)
{
	ft_buf_str(to, "an operator (client '");
	ft_buf_printable(to, client_id, strlen(client_id), ADMIN_WHO_SHOWN);
	if (user) {
		ft_buf_str(to, "', user '");
		ft_buf_printable(to, user, strlen(user), ADMIN_WHO_SHOWN);
	}
	ft_buf_str(to, "')");
	assert(ft_buf_ok(to));
}

static struct admin_message *admin_new_message(const char *client_id, const char *user,
					       const void *payload, size_t len)
{
	struct admin_message *m = calloc(1, sizeof *m);
	struct ft_buf who;

	if (!m)
		return NULL;
	ft_link_init(&m->link);
	m->len = len;
	who = ft_buf_on(m->who, sizeof m->who);
	admin_write_who(&who, client_id, user);
	m->client_id = strdup(client_id);
	m->payload = malloc(len + 1);
	if (!m->client_id || !m->payload) {
		admin_free_message(&m);
		return NULL;
	}
	if (len > 0)
		memcpy(m->payload, payload, len);
	m->payload[len] = '\0';
	return m;
}

static struct admin_message *admin_first(const struct ft_engine *e)
{
	struct ft_link *link = ft_list_first(&e->admin.messages);

	return link ? FT_CONTAINER(link, struct admin_message, link) : NULL;
}

static void admin_tell(struct ft_engine *e, const char *client_id, const struct ft_buf *text)
{
	if (!e->closing)
		e->hooks.tell_operator(e->hooks.context, client_id, text->text, text->len);
}

/* The whole message is answered by an error. */
static void admin_refuse(struct ft_engine *e, const char *client_id, const char *word,
			 const char *why)
{
	char room[ADMIN_FIXED_ROOM];
	struct ft_buf text = ft_buf_on(room, sizeof room);

	ft_buf_str(&text, "{\"responses\":[{\"command\":\"\"");
	ft_control_put_word(&text, "error", word);
	ft_control_put_word(&text, "detail", why);
	ft_buf_str(&text, "}]}");
	assert(ft_buf_ok(&text));
	admin_tell(e, client_id, &text);
}

void ft_engine_control(struct ft_engine *e, const char *client_id, const char *user,
		       const void *payload, size_t len, int64_t now_ms)
{
	struct admin_message *m;

	e->now_ms = now_ms;
	if (len > FT_CONTROL_SIZE_MAX) {
		admin_refuse(e, client_id, "invalid_command", "a message has 64 KiB at most");
		return;
	}
	if (e->admin.count >= ADMIN_MESSAGES_MAX
	    || !(m = admin_new_message(client_id, user, payload, len))) {
		admin_refuse(e, client_id, "busy", "too many commands wait: try again soon");
		return;
	}
	ft_list_push(&e->admin.messages, &m->link);
	e->admin.count++;
	if (engine_run_admin(e))
		e->hooks.notify(e->hooks.context);
}

/* --- answers --- */

/* Room for so many bytes more. */
static bool admin_reserve(struct ft_buf *buf, size_t more)
{
	size_t room = buf->len + more + 1;
	char *text;

	if (buf->text && room <= buf->room)
		return true;
	room += room / 2;
	if (!(text = realloc(buf->text, room)))
		return false;
	text[buf->len] = '\0';
	buf->text = text;
	buf->room = room;
	return true;
}

static void admin_put_error(struct ft_buf *to, const char *word, const char *detail)
{
	ft_control_put_word(to, "error", word);
	ft_control_put_word(to, "detail", detail);
}

/* Answers one command. What does not fit any more is asked again by a message of its own. */
static bool admin_answer(struct admin_message *m, enum ft_status st, const char *word,
			 const char *detail)
{
	const struct ft_control_command *command = &m->control->commands[m->next++];
	size_t name_len = strlen(command->name);
	size_t correlation_len = command->correlation ? strlen(command->correlation) : 0;
	struct ft_buf *to = &m->answer;
	bool fits = ft_buf_ok(&m->data) && to->len + m->data.len <= ADMIN_ANSWER_MAX;

	if (!admin_reserve(to, ADMIN_FIXED_ROOM + (fits ? m->data.len : 0)
			       + ADMIN_ESCAPE_GROWTH * (name_len + correlation_len
							+ (detail ? strlen(detail) : 0))))
		return false;
	ft_control_open_entry(to);
	ft_control_put_text(to, "command", command->name, name_len);
	if (command->wrong)
		admin_put_error(to, "invalid_command", command->wrong);
	else if (st != FT_OK)
		admin_put_error(to, word ? word : ft_status_word(st),
				detail ? detail : ft_status_text(st));
	else if (!fits)
		admin_put_error(to, "too_large", "the answer is too large: ask for less, or by a "
				"message of its own");
	else if (m->data.len > 0) {
		ft_control_open(to, "data", '{');
		ft_buf_bytes(to, m->data.text, m->data.len);
		ft_buf_char(to, '}');
	}
	if (command->correlation)
		ft_control_put_text(to, "correlationData", command->correlation, correlation_len);
	ft_buf_char(to, '}');
	assert(ft_buf_ok(to));
	return true;
}

static void admin_drop_first(struct ft_engine *e)
{
	struct admin_message *m = admin_first(e);

	ft_link_remove(&m->link);
	e->admin.count--;
	admin_free_message(&m);
}

static void admin_end(struct ft_engine *e, struct admin_message *m)
{
	if (admin_reserve(&m->answer, ADMIN_FIXED_ROOM)) {
		ft_buf_str(&m->answer, "]}");
		admin_tell(e, m->client_id, &m->answer);
	}
	admin_drop_first(e);
}

/* Its turn has come. False: it was refused. */
static bool admin_begin(struct ft_engine *e, struct admin_message *m)
{
	const char *why;
	enum ft_status st = ft_control_parse(m->payload, m->len, &m->control, &why);

	if (st == FT_OK && (!(m->room = malloc(ADMIN_DATA_ROOM))
			    || !admin_reserve(&m->answer, ADMIN_FIXED_ROOM)))
		st = FT_NO_MEMORY;
	if (st == FT_OK) {
		ft_buf_str(&m->answer, "{\"responses\":[");
		return true;
	}
	if (st == FT_NO_MEMORY)
		admin_refuse(e, m->client_id, "internal_error", ft_status_text(st));
	else
		admin_refuse(e, m->client_id, "invalid_command", why);
	admin_drop_first(e);
	return false;
}

/* --- commands: transfers --- */

static struct ft_transfer *admin_find(const struct admin_call *call)
{
	return ft_registry_find(&call->engine->registry, &call->command->key);
}

static bool admin_is_paused(const struct ft_engine *e, const struct ft_transfer *t)
{
	return e->admin.all_paused || t->paused || t->owner->paused;
}

static uint64_t admin_seconds(int64_t ms)
{
	return ms > 0 ? (uint64_t)ms / 1000 : 0;
}

static void admin_put_transfer(const struct ft_engine *e, struct ft_buf *to,
			       const struct ft_transfer *t)
{
	const struct ft_key key = ft_transfer_key(t);
	uint64_t idle_s = admin_seconds(e->now_ms - t->news_ms);
	uint64_t ttl_s = engine_ttl_s(e, t->segments_ttl);

	ft_control_put_key(to, &key);
	ft_control_put_word(to, "name", t->meta->name);
	if (t->meta->has_size)
		ft_control_put_number(to, "size", t->meta->size);
	ft_control_put_word(to, "state", admin_states[t->state]);
	ft_control_put_truth(to, "paused", admin_is_paused(e, t));
	ft_control_put_number(to, "received", t->held.bytes);
	ft_control_put_number(to, "bytes_per_second", ft_rate_per_second(&t->rate, e->now_ms));
	ft_control_put_time(to, "begun_at", t->begun_ms);
	ft_control_put_number(to, "idle", idle_s);
	if (!admin_is_paused(e, t))
		ft_control_put_number(to, "expires_in", ttl_s > idle_s ? ttl_s - idle_s : 0);
}

static bool admin_fits_filter(const struct ft_control_command *command, const struct ft_transfer *t)
{
	const struct ft_key *key = &command->key;
	int64_t begun = t->begun_ms / 1000;

	if (key->owner && (key->owner_len != t->owner->id_len
			   || memcmp(key->owner, t->owner->id, key->owner_len) != 0))
		return false;
	return begun >= command->since && begun <= command->until
	       && t->held.bytes >= command->min_size && t->held.bytes <= command->max_size
	       && (!command->pattern || ft_wildcard_match(command->pattern, t->meta->name));
}

/* False: the page is full without it. */
static bool admin_put_entry(struct admin_call *call, const struct ft_transfer *t)
{
	struct ft_buf *to = call->data, before = *to;

	ft_control_open_entry(to);
	admin_put_transfer(call->engine, to, t);
	return ft_control_close_entry(to, &before, 0);
}

static enum ft_status admin_list_transfers(struct admin_call *call, struct ft_transfer *none)
{
	const struct ft_control_command *command = call->command;
	uint64_t cursor = command->cursor, place = cursor;
	size_t steps = ADMIN_STEPS, count = 0;
	const struct ft_transfer *t;

	(void)none;
	ft_control_open(call->data, "transfers", '[');
	while (count < command->limit
	       && (t = ft_registry_next(&call->engine->registry, &cursor, &steps)) != NULL) {
		if (admin_fits_filter(command, t)) {
			if (!admin_put_entry(call, t))
				break;
			count++;
		}
		place = cursor;
	}
	/* Beyond the last entry, unless that did not fit or the page was full before. */
	if (count < command->limit && !t)
		place = cursor;
	ft_buf_char(call->data, ']');
	if (place != 0)
		ft_control_put_cursor(call->data, place);
	call->cost = ADMIN_COMMANDS_AT_ONCE;
	return FT_OK;
}

static enum ft_status admin_get_transfer(struct admin_call *call, struct ft_transfer *t)
{
	struct ft_range range = { 0, 0 };
	size_t count = 0;
	bool more;

	admin_put_transfer(call->engine, call->data, t);
	ft_control_open(call->data, "have", '[');
	while ((more = ft_ranges_next(&t->held, range.end, &range)) && count < FT_REPLY_LIST_MAX)
		ft_buf_printf(call->data, "%s[%" PRIu64 ",%" PRIu64 "]", count++ ? "," : "",
			      range.start, range.end - range.start);
	ft_buf_char(call->data, ']');
	if (more)
		ft_control_put_truth(call->data, "truncated", true);
	return FT_OK;
}

/* Who waits for this transfer hears that there is none; so does whatever is sent for it next. */
static enum ft_status admin_abort_transfer(struct admin_call *call, struct ft_transfer *t)
{
	struct ft_engine *e = call->engine;
	bool behind = t->state == FT_TRANSFER_CHECKING || t->state == FT_TRANSFER_ASSEMBLING;
	enum ft_status st;

	if (t->state == FT_TRANSFER_ABORTING)
		return FT_BUSY;
	st = engine_append_plain(e, FT_RECORD_ABORT, t->number, behind ? FT_RECORD_ANSWER : 0);
	if (st != FT_OK)
		return st;
	ft_core_log(&e->core, FT_LOG_NOTICE, &call->command->key, "aborted by %s, %" PRIu64 " bytes "
		    "held are removed", call->message->who, t->held.bytes);
	ft_control_put_number(call->data, "received", t->held.bytes);
	if (behind) {	/* whether it is aborted is counted when it is known */
		ft_transfer_move(t, FT_TRANSFER_ABORTING);
	} else {
		if (t->state == FT_TRANSFER_RECEIVING) {
			e->metrics.aborted++;
			engine_tell_transfer(e, t, FT_EVENT_ABORTED, FT_OK);
		}
		engine_answer_everybody(e, t, FT_NO_SUCH_TRANSFER);
		engine_remove_transfer(e, &t);
	}
	ft_log_wake(e->core.log);
	return FT_OK;
}

/* --- commands: what the worker does --- */

enum ft_status engine_submit_admin(struct admin_call *call, struct ft_admin_job *job,
				   uint64_t number)
{
	struct ft_engine *e = call->engine;

	assert(!e->admin.out);
	if (!job && !(job = calloc(1, sizeof *job)))
		return FT_NO_MEMORY;
	job->job.kind = FT_JOB_ADMIN;
	job->job.number = number;
	ft_link_init(&job->job.link);
	job->command = call->command;
	job->data = call->data;
	job->who = call->message->who;
	e->admin.out = job;
	call->later = true;
	ft_core_submit(&e->core, FT_LANE_ADMIN, &job->job);
	return FT_OK;
}

static enum ft_status admin_submit(struct admin_call *call, uint64_t number)
{
	return engine_submit_admin(call, NULL, number);
}

static enum ft_status admin_ask_worker(struct admin_call *call, struct ft_transfer *none)
{
	(void)none;
	return admin_submit(call, 0);
}

/* Nobody else may be at work on this id's file: see store.h. */
static enum ft_status admin_delete_file(struct admin_call *call, struct ft_transfer *none)
{
	(void)none;
	if (admin_find(call)) {
		call->detail = "a transfer of this id is unfinished: abort it first";
		return FT_BUSY;
	}
	if (engine_is_removing(call->engine, &call->command->key)) {
		call->detail = "this file has expired and is being removed";
		return FT_BUSY;
	}
	return admin_submit(call, 0);
}

/* --- commands: pauses --- */

/*
 * What is paused is so at once, and then for ever; what is resumed goes on when the catalog
 * knows. What is so already needs nothing.
 */
static enum ft_status admin_pause_transfer(struct admin_call *call, struct ft_transfer *t)
{
	if (t->paused)
		return FT_OK;
	t->paused = true;
	return admin_submit(call, t->number);
}

static enum ft_status admin_resume_transfer(struct admin_call *call, struct ft_transfer *t)
{
	return t->paused ? admin_submit(call, t->number) : FT_OK;
}

static enum ft_status admin_pause_client(struct admin_call *call, struct ft_transfer *none)
{
	struct ft_registry *registry = &call->engine->registry;
	enum ft_status st;

	(void)none;
	if (ft_registry_is_paused(registry, &call->command->key))
		return FT_OK;
	if (registry->paused_owners >= ADMIN_PAUSED_OWNERS_MAX) {
		call->detail = "10000 clients are paused: pause all, or resume some";
		return FT_QUOTA_EXCEEDED;
	}
	st = ft_registry_pause_owner(registry, &call->command->key);
	return st == FT_OK ? admin_submit(call, 0) : st;
}

static enum ft_status admin_resume_client(struct admin_call *call, struct ft_transfer *none)
{
	(void)none;
	return ft_registry_is_paused(&call->engine->registry, &call->command->key)
	       ? admin_submit(call, 0) : FT_OK;
}

static enum ft_status admin_pause_all(struct admin_call *call, struct ft_transfer *none)
{
	(void)none;
	if (call->engine->admin.all_paused)
		return FT_OK;
	call->engine->admin.all_paused = true;
	return admin_submit(call, 0);
}

static enum ft_status admin_resume_all(struct admin_call *call, struct ft_transfer *none)
{
	(void)none;
	return call->engine->admin.all_paused ? admin_submit(call, 0) : FT_OK;
}

static void admin_set_paused(struct ft_engine *e, const struct ft_admin_job *job, bool paused)
{
	struct ft_transfer *t = ft_registry_find_number(&e->registry, job->job.number);

	if (t)
		t->paused = paused;
}

/* Pauses that the catalog could not keep, and those that it has forgotten, end here. */
static void admin_take_pause(struct ft_engine *e, const struct ft_admin_job *job)
{
	bool failed = job->job.status != FT_OK;

	switch (job->command->verb) {
	case FT_CONTROL_PAUSE_TRANSFER:
	case FT_CONTROL_RESUME_TRANSFER:
		if ((job->command->verb == FT_CONTROL_PAUSE_TRANSFER) == failed)
			admin_set_paused(e, job, false);
		break;
	case FT_CONTROL_PAUSE_CLIENT:
	case FT_CONTROL_RESUME_CLIENT:
		if ((job->command->verb == FT_CONTROL_PAUSE_CLIENT) == failed)
			ft_registry_resume_owner(&e->registry, &job->command->key);
		break;
	case FT_CONTROL_PAUSE_ALL:
	case FT_CONTROL_RESUME_ALL:
		if ((job->command->verb == FT_CONTROL_PAUSE_ALL) == failed)
			e->admin.all_paused = false;
		break;
	default:
		break;
	}
}

/* --- commands: the rest --- */

static enum ft_status admin_get_status(struct admin_call *call, struct ft_transfer *none)
{
	struct ft_engine *e = call->engine;
	struct ft_buf *to = call->data;

	(void)none;
	ft_control_put_word(to, "version", FT_VERSION);
	ft_control_put_word(to, "owner", e->options->owner == FT_OWNER_USERNAME ? "username" : "client_id");
	ft_control_put_number(to, "uptime", admin_seconds(e->now_ms - e->begun_ms));
	ft_control_put_number(to, "transfers", e->registry.count);
	ft_control_put_number(to, "max_transfers", e->options->max_transfers);
	ft_control_put_number(to, "finished", e->finished.count);
	ft_control_put_number(to, "memory", e->registry.bytes + e->charged);
	ft_control_put_number(to, "max_memory", e->options->max_memory);
	ft_control_put_number(to, "log_fill", ft_log_fill(e->core.log));
	ft_control_put_number(to, "log_size", ft_log_size(e->core.log));
	if (e->space_known) {
		ft_control_put_number(to, "disk_free", e->space.bytes);
		ft_control_put_number(to, "disk_left", engine_available(e));
	}
	ft_control_put_truth(to, "disk_full", engine_available(e) == 0 || engine_lacks_inodes(e));
	ft_control_put_number(to, "jobs", atomic_load(&e->core.outstanding));
	ft_control_put_truth(to, "all_paused", e->admin.all_paused);
	ft_control_put_number(to, "paused_clients", e->registry.paused_owners);
	ft_verify_say(&e->core, to);
	return FT_OK;
}

static void admin_put_metric(void *context, const struct ft_metric *metric)
{
	ft_control_put_number(context, metric->topic, metric->value);
}

static enum ft_status admin_get_metrics(struct admin_call *call, struct ft_transfer *none)
{
	(void)none;
	engine_take_metrics(call->engine);
	ft_metrics_each(&call->engine->metrics, admin_put_metric, call->data);
	return FT_OK;
}

static enum ft_status admin_begin_verify(struct admin_call *call, enum ft_verify_kind kind)
{
	enum ft_status st = ft_verify_begin(&call->engine->core, kind, call->engine->finished.count);

	if (st == FT_OK)
		engine_log_admin(call->engine, call->message, call->command);
	else
		call->detail = "a verification is going on: see getStatus, or cancelVerify";
	return st;
}

static enum ft_status admin_verify(struct admin_call *call, struct ft_transfer *none)
{
	(void)none;
	return admin_begin_verify(call, FT_VERIFY_ALL);
}

static enum ft_status admin_adopt(struct admin_call *call, struct ft_transfer *none)
{
	(void)none;
	return admin_begin_verify(call, FT_VERIFY_ADOPT);
}

static enum ft_status admin_cancel_verify(struct admin_call *call, struct ft_transfer *none)
{
	(void)none;
	if (ft_verify_cancel(&call->engine->core))
		engine_log_admin(call->engine, call->message, call->command);
	return FT_OK;
}

/* All that is due is looked at now, in slices as ever. */
static enum ft_status admin_run_gc(struct admin_call *call, struct ft_transfer *none)
{
	struct ft_engine *e = call->engine;

	(void)none;
	e->sweep_left = e->registry.buckets;
	e->retain_ms = 0;
	engine_log_admin(e, call->message, call->command);
	return FT_OK;
}

/* --- all --- */

static const struct {
	/* Is given the unfinished transfer where one is needed. */
	enum ft_status (*run)(struct admin_call *call, struct ft_transfer *t);
	bool needs_transfer;
} admin_table[FT_CONTROL_VERBS] = {
	[FT_CONTROL_GET_STATUS] = { admin_get_status, false },
	[FT_CONTROL_LIST_TRANSFERS] = { admin_list_transfers, false },
	[FT_CONTROL_GET_TRANSFER] = { admin_get_transfer, true },
	[FT_CONTROL_ABORT_TRANSFER] = { admin_abort_transfer, true },
	[FT_CONTROL_PAUSE_TRANSFER] = { admin_pause_transfer, true },
	[FT_CONTROL_RESUME_TRANSFER] = { admin_resume_transfer, true },
	[FT_CONTROL_PAUSE_CLIENT] = { admin_pause_client, false },
	[FT_CONTROL_RESUME_CLIENT] = { admin_resume_client, false },
	[FT_CONTROL_PAUSE_ALL] = { admin_pause_all, false },
	[FT_CONTROL_RESUME_ALL] = { admin_resume_all, false },
	[FT_CONTROL_LIST_PAUSES] = { admin_ask_worker, false },
	[FT_CONTROL_LIST_FILES] = { admin_ask_worker, false },
	[FT_CONTROL_GET_FILE] = { admin_ask_worker, false },
	[FT_CONTROL_DELETE_FILE] = { admin_delete_file, false },
	[FT_CONTROL_GET_METRICS] = { admin_get_metrics, false },
	[FT_CONTROL_VERIFY_FILES] = { admin_verify, false },
	[FT_CONTROL_CANCEL_VERIFY] = { admin_cancel_verify, false },
	[FT_CONTROL_RUN_GC] = { admin_run_gc, false },
	[FT_CONTROL_GET_LIMITS] = { engine_get_limits, false },
	[FT_CONTROL_RELOAD_LIMITS] = { engine_reload_limits, false },
	[FT_CONTROL_SET_LIMITS] = { engine_set_limits, false },
	[FT_CONTROL_ADOPT_FILES] = { admin_adopt, false },
	[FT_CONTROL_LIST_CLIENTS] = { engine_list_clients, false },
	[FT_CONTROL_OFFER_FILE] = { engine_offer_file, false },
	[FT_CONTROL_WITHDRAW_OFFER] = { engine_withdraw_offer, false },
	[FT_CONTROL_LIST_OFFERS] = { engine_list_offers, false },
	[FT_CONTROL_LIST_JOBS] = { engine_list_jobs, false },
};

/* Returns what it has cost, in commands. */
static size_t admin_carry_out(struct ft_engine *e, struct admin_message *m)
{
	struct admin_call call = {
		.engine = e, .message = m, .command = &m->control->commands[m->next],
		.data = &m->data, .cost = 1,
	};
	struct ft_transfer *t = NULL;
	enum ft_status st = FT_OK;

	m->data = ft_buf_on(m->room, ADMIN_DATA_ROOM);
	if (!call.command->wrong) {
		if (admin_table[call.command->verb].needs_transfer && !(t = admin_find(&call)))
			st = FT_NO_SUCH_TRANSFER;
		else
			st = admin_table[call.command->verb].run(&call, t);
	}
	if (st == FT_NO_SUCH_TRANSFER)
		call.detail = "nothing is unfinished under this id";
	if (!call.later && !admin_answer(m, st, call.word, call.detail))
		admin_drop_first(e);	/* for want of memory */
	return call.cost;
}

/* What listClients has found is written for some entries at a time. */
static size_t admin_go_on_with_clients(struct ft_engine *e, struct admin_message *m)
{
	if (engine_write_clients(e, m) && !admin_answer(m, FT_OK, NULL, NULL))
		admin_drop_first(e);
	return ADMIN_COMMANDS_AT_ONCE;
}

bool engine_run_admin(struct ft_engine *e)
{
	size_t cost = 0;
	struct admin_message *m;

	while (cost < ADMIN_COMMANDS_AT_ONCE && !e->admin.out && (m = admin_first(e)) != NULL) {
		if (!m->control)
			cost += admin_begin(e, m) ? 1 : 2;
		else if (m->clients)
			cost += admin_go_on_with_clients(e, m);
		else if (m->next == m->control->count)
			admin_end(e, m);
		else
			cost += admin_carry_out(e, m);
	}
	return !e->admin.out && admin_first(e);
}

void engine_log_admin(const struct ft_engine *e, const struct admin_message *m,
		      const struct ft_control_command *command)
{
	const struct ft_key *key = &command->key;
	char room[4 * ADMIN_WHO_SHOWN + 8];
	struct ft_buf owner = ft_buf_on(room, sizeof room);

	if (key->owner && key->file) {
		ft_core_log(&e->core, FT_LOG_NOTICE, key, "%s by %s", command->name, m->who);
		return;
	}
	if (key->owner) {
		ft_buf_str(&owner, " '");
		ft_buf_printable(&owner, key->owner, key->owner_len, ADMIN_WHO_SHOWN);
		ft_buf_char(&owner, '\'');
	}
	ft_logger_printf(e->core.logger, FT_LOG_NOTICE, "%s%s by %s", command->name,
			 key->owner ? room : "", m->who);
}

/* Those that the worker has carried out, that have changed anything, and that it says nothing of. */
static bool admin_is_change(const struct ft_admin_job *job)
{
	static const bool says_nothing[FT_CONTROL_VERBS] = {
		[FT_CONTROL_LIST_FILES] = true, [FT_CONTROL_LIST_PAUSES] = true,
		[FT_CONTROL_GET_FILE] = true, [FT_CONTROL_LIST_CLIENTS] = true,
		[FT_CONTROL_LIST_JOBS] = true,
		[FT_CONTROL_OFFER_FILE] = true, [FT_CONTROL_WITHDRAW_OFFER] = true,
	};

	return job->job.status == FT_OK && !says_nothing[job->command->verb];
}

/* The id is unknown then, whoever has removed the file. */
static void admin_take_deletion(struct ft_engine *e, const struct ft_admin_job *job)
{
	static const struct ft_json_text no_user_data;
	const struct ft_key *key = &job->command->key;
	struct ft_event event;

	if (job->job.status != FT_OK && job->job.status != FT_NO_SUCH_TRANSFER)
		return;
	ft_finished_set_remove(&e->finished, ft_registry_hash(&e->registry, key));
	if (job->job.status != FT_OK)
		return;
	e->metrics.deleted++;
	engine_remove_finished_bytes(e, key, job->deleted.size);
	event = ft_event_of_finished(&job->deleted, &no_user_data);
	event.type = FT_EVENT_DELETED;
	event.at_ms = ft_clock_unix_ms();
	(void)engine_tell_event(e, &event);
}

void engine_take_admin(struct ft_engine *e, struct ft_admin_job *job)
{
	struct admin_message *m = admin_first(e);
	const struct ft_control_command *command = job->command;
	struct ft_job *done = &job->job;
	const char *detail = job->detail[0] ? job->detail : NULL;

	assert(e->admin.out == job && m && command == &m->control->commands[m->next]);
	e->admin.out = NULL;
	admin_take_pause(e, job);
	if (command->verb == FT_CONTROL_DELETE_FILE)
		admin_take_deletion(e, job);
	if (command->verb == FT_CONTROL_SET_LIMITS)
		engine_end_limits(e, job);
	if (command->verb == FT_CONTROL_OFFER_FILE || command->verb == FT_CONTROL_WITHDRAW_OFFER)
		engine_look_at_offers(e);
	if (done->status == FT_NO_SUCH_TRANSFER && !detail)
		detail = "no finished file has this id";
	if (admin_is_change(job))
		engine_log_admin(e, m, command);
	if (done->status == FT_OK && job->clients)
		engine_begin_clients(m, job);
	else if (!admin_answer(m, done->status, job->word, detail))
		admin_drop_first(e);
	ft_job_free(&done);
}

enum ft_status engine_check_admin(const struct ft_engine *e, const struct ft_key *key,
				  const struct ft_transfer *t)
{
	const struct ft_control_command *command = e->admin.out ? e->admin.out->command : NULL;

	if (command && command->verb == FT_CONTROL_DELETE_FILE
	    && command->key.owner_len == key->owner_len && command->key.file_len == key->file_len
	    && memcmp(command->key.file, key->file, key->file_len) == 0
	    && memcmp(command->key.owner, key->owner, key->owner_len) == 0)
		return FT_BUSY;
	if (t ? admin_is_paused(e, t)
	      : e->admin.all_paused || ft_registry_is_paused(&e->registry, key))
		return FT_PAUSED;
	return FT_OK;
}

/* --- start and end --- */

static enum ft_status admin_load_pause(void *context, const struct ft_pause *pause)
{
	struct ft_engine *e = context;
	struct ft_transfer *t;

	if (pause->number > 0) {
		if ((t = ft_registry_find_number(&e->registry, pause->number)) != NULL)
			t->paused = true;
		return FT_OK;
	}
	if (pause->key.owner)
		return ft_registry_pause_owner(&e->registry, &pause->key);
	e->admin.all_paused = true;
	return FT_OK;
}

enum ft_status engine_load_pauses(struct ft_engine *e)
{
	struct ft_catalog *c = e->core.catalog;
	enum ft_status st = ft_catalog_begin(c);

	if (st == FT_OK)
		st = ft_catalog_drop_old_pauses(c);
	st = ft_catalog_end(c, st);
	if (st == FT_OK)
		st = ft_catalog_each_pause(c, admin_load_pause, e);
	if (st == FT_OK && e->admin.all_paused)
		ft_logger_printf(e->core.logger, FT_LOG_WARNING, "all transfers are paused by an "
				 "operator, since before this start: resumeAll ends it");
	return st;
}

void engine_release_admin(struct ft_engine *e)
{
	e->admin.out = NULL;	/* freed with the queue it was in */
	while (admin_first(e))
		admin_drop_first(e);
}
