/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/engine_private.h"

#include <stdlib.h>
#include <string.h>



#define DETAIL_ROOM 128

/* One command on its way. */
struct call {
	struct ft_engine *engine;
	const struct ft_request *request;
	struct ft_command command;
	struct ft_key key;
	const void *payload;
	size_t len;
	struct ft_reply reply;
	bool deferred;			/* the response comes later */
	char *detail;			/* DETAIL_ROOM bytes */
};

static void say_transfer(struct call *call, const struct ft_transfer *t)
{
	call->reply.state = t->state;
	call->reply.tell_held = true;
	call->reply.held = &t->upload->held;
}

static void say_complete(struct call *call, const struct ft_manifest *finished)
{
	call->reply.state = FT_STATE_COMPLETE;
	call->reply.tell_held = true;
	call->reply.complete_size = finished->meta.size;
}

/* --- init --- */

/* What an init may leave open, a finished file has settled. */
static bool fits_finished(const struct ft_meta *meta, const struct ft_meta *finished)
{
	return strcmp(meta->name, finished->name) == 0
	       && (!meta->has_size || meta->size == finished->size)
	       && (!meta->has_checksum
		   || ft_sha256_equal(&meta->checksum, &finished->checksum));
}

static enum ft_status begin_or_say_complete(struct call *call, const struct ft_init *init)
{
	struct ft_engine *e = call->engine;
	struct ft_manifest finished;
	struct ft_transfer *t = NULL;
	enum ft_status st = ft_engine_finished(e, &call->key, &finished);

	if (st == FT_OK) {
		if (!fits_finished(&init->meta, &finished.meta))
			return FT_FILEMETA_CONFLICT;
		say_complete(call, &finished);
		return FT_OK;
	}
	if (st != FT_NO_SUCH_TRANSFER)
		return st;
	if ((st = ft_engine_begin(e, &call->key, init, &t)) == FT_OK)
		say_transfer(call, t);
	return st;
}

/* The newer expire_at, segments_ttl and user_data replace the older ones. */
static enum ft_status describe_anew(struct call *call, struct ft_transfer *t,
				    const struct ft_init *init)
{
	enum ft_status st;
	char *text = NULL;
	size_t len = 0;

	st = ft_manifest_begin(init, &call->key, t->transfer_id, t->received_at, &text, &len);
	if (st == FT_OK)
		st = call->engine->ops->describe(t->upload, text, len);
	if (st == FT_OK)
		t->segments_ttl = init->segments_ttl;
	free(text);
	return st;
}

static enum ft_status resume(struct call *call, struct ft_transfer *t, const struct ft_init *init)
{
	enum ft_status st = FT_OK;

	if (!ft_meta_equal(&init->meta, t->meta))
		return FT_FILEMETA_CONFLICT;
	/* While it is assembled its manifest is in a worker's hands. */
	if (t->state == FT_STATE_RECEIVING)
		st = describe_anew(call, t, init);
	/* Told to begin again, this is what the client does then. */
	if (st == FT_NO_SUCH_TRANSFER && !t->job) {
		ft_engine_let_go(call->engine, &t);
		return begin_or_say_complete(call, init);
	}
	t->news_ms = call->engine->now_ms;
	say_transfer(call, t);
	return st;
}

static enum ft_status init(struct call *call, struct ft_transfer *t, enum ft_status found)
{
	uint64_t limit = call->engine->options->max_file_size;
	struct ft_buf detail = ft_buf_on(call->detail, DETAIL_ROOM);
	struct ft_init parsed;
	enum ft_status st;

	if ((st = ft_init_parse(&parsed, call->payload, call->len, &detail)) != FT_OK)
		return st;
	if (limit > 0 && parsed.meta.has_size && parsed.meta.size > limit)
		st = FT_FILE_TOO_LARGE;
	else if (found == FT_OK)
		st = resume(call, t, &parsed);
	else
		st = begin_or_say_complete(call, &parsed);
	return st;
}

/* --- segment --- */

static enum ft_status check_segment(const struct call *call)
{
	const struct ft_options *options = call->engine->options;
	uint64_t offset = call->command.number;

	if (call->len > FT_NUMBER_MAX - offset)
		return FT_INVALID_OFFSET;
	if (options->max_segment_size > 0 && call->len > options->max_segment_size)
		return FT_SEGMENT_TOO_LARGE;
	if (options->max_file_size > 0 && offset + call->len > options->max_file_size)
		return FT_FILE_TOO_LARGE;
	return FT_OK;
}

static enum ft_status verify_segment(const struct call *call)
{
	struct ft_sha256 digest;

	if (!call->command.has_checksum)
		return FT_OK;
	if (!ft_sha256_of(call->payload, call->len, &digest))
		return FT_INTERNAL_ERROR;
	return ft_sha256_equal(&digest, &call->command.checksum) ? FT_OK : FT_CHECKSUM_MISMATCH;
}

/* A segment of a finished transfer: delivered again, or other bytes? */
static enum ft_status segment_of_finished(struct call *call)
{
	struct ft_engine *e = call->engine;
	uint64_t offset = call->command.number;
	struct ft_manifest finished;
	enum ft_status st;
	bool same = false;

	if ((st = ft_engine_finished(e, &call->key, &finished)) != FT_OK)
		return st;
	if (call->len == 0)
		return FT_OK;
	if (offset + call->len > finished.meta.size)
		return FT_ALREADY_COMPLETE;
	st = e->ops->finished_matches(e->store, &call->key, finished.meta.name, offset,
				      call->payload, call->len, &same);
	if (st != FT_OK)
		return st;
	return same ? FT_OK : FT_ALREADY_COMPLETE;
}

/* `refusal`, unless the bytes are held already: a segment delivered again costs nothing. */
static enum ft_status unless_held(struct call *call, struct ft_transfer *t, enum ft_status refusal)
{
	bool same = false;
	enum ft_status st;

	st = call->engine->ops->matches(t->upload, call->command.number, call->payload, call->len,
					&same);
	/* Published, but not taken back yet: what it is by then will be seen when it is sent again. */
	if (st == FT_NO_SUCH_TRANSFER)
		return refusal;
	if (st != FT_OK)
		return st;
	return same ? FT_OK : refusal;
}

static enum ft_status store_segment(struct call *call, struct ft_transfer *t)
{
	struct ft_engine *e = call->engine;
	uint64_t offset = call->command.number;
	struct ft_put put = { 0 };
	enum ft_status st;

	/* What lies beyond the size that fin said may be cut off at any moment. */
	if (t->state == FT_STATE_ASSEMBLING && offset + call->len > t->fin_size)
		return FT_BUSY;
	if (t->state == FT_STATE_ASSEMBLING)
		return unless_held(call, t, FT_BUSY);
	if ((st = ft_engine_check_space(e, call->len)) != FT_OK)
		return unless_held(call, t, st);
	if ((st = e->ops->put(t->upload, offset, call->payload, call->len, &put)) != FT_OK) {
		if (st == FT_NO_SUCH_TRANSFER && !t->job)
			ft_engine_let_go(e, &t);
		else
			ft_engine_note_failed_put(e, t, offset);
		return st;
	}
	ft_engine_note_put(e, t, offset, &put);
	return FT_OK;
}

static enum ft_status segment(struct call *call, struct ft_transfer *t, enum ft_status found)
{
	enum ft_status st;

	if ((st = check_segment(call)) != FT_OK || (st = verify_segment(call)) != FT_OK)
		return st;
	if (found != FT_OK)
		return segment_of_finished(call);
	t->news_ms = call->engine->now_ms;
	return call->len == 0 ? FT_OK : store_segment(call, t);
}

/* --- fin --- */

static enum ft_status fin_of_finished(struct call *call)
{
	const struct ft_command *command = &call->command;
	struct ft_manifest finished;
	enum ft_status st;

	if ((st = ft_engine_finished(call->engine, &call->key, &finished)) != FT_OK)
		return st;
	call->reply.state = FT_STATE_COMPLETE;
	if (command->number != finished.meta.size)
		return FT_ALREADY_COMPLETE;
	if (command->has_checksum
	    && !ft_sha256_equal(&command->checksum, &finished.meta.checksum))
		return FT_ALREADY_COMPLETE;
	return FT_OK;
}

/* The file's checksum as fin says it, or else as init did. */
static bool expected_checksum(const struct call *call, const struct ft_transfer *t,
			      struct ft_sha256 *expected)
{
	if (call->command.has_checksum)
		*expected = call->command.checksum;
	else if (t->meta->has_checksum)
		*expected = t->meta->checksum;
	return call->command.has_checksum || t->meta->has_checksum;
}

/* Waits for the transfer's result. */
static enum ft_status wait_for_result(struct call *call, struct ft_transfer *t)
{
	struct ft_ticket *ticket;

	if (t->fin_count >= FT_WAITERS_MAX)
		return FT_BUSY;
	if (!(ticket = ft_ticket_new(call->request)))
		return FT_NO_MEMORY;
	ft_list_push(&t->fins, &ticket->link);
	t->fin_count++;
	call->deferred = true;
	return FT_OK;
}

static enum ft_status fin_again(struct call *call, struct ft_transfer *t)
{
	struct ft_sha256 expected = { { 0 } };
	bool has = expected_checksum(call, t, &expected);

	call->reply.state = FT_STATE_ASSEMBLING;
	if (call->command.number != t->fin_size || has != t->fin_has_checksum
	    || (has && !ft_sha256_equal(&expected, &t->fin_checksum)))
		return FT_BUSY;
	return wait_for_result(call, t);
}

/* Those that have run out of time hold descriptors, too, until a worker gets to them. */
static bool has_room_to_assemble(const struct ft_engine *e)
{
	return e->assembling_count < e->assembling_max
	       && e->jobs < e->assembling_max + FT_BACKGROUND_MAX;
}

static enum ft_status check_fin(struct call *call, const struct ft_transfer *t)
{
	struct ft_engine *e = call->engine;
	uint64_t size = call->command.number;

	call->reply.state = t->state;
	if (e->options->max_file_size > 0 && size > e->options->max_file_size)
		return FT_FILE_TOO_LARGE;
	if (!ft_ranges_cover(&t->upload->held, 0, size)) {
		call->reply.held = &t->upload->held;
		call->reply.tell_missing = true;
		call->reply.missing_size = size;
		return FT_INCOMPLETE;
	}
	return has_room_to_assemble(e) ? FT_OK : FT_BUSY;
}

static enum ft_status fin(struct call *call, struct ft_transfer *t, enum ft_status found)
{
	enum ft_status st;

	if (found != FT_OK)
		return fin_of_finished(call);
	t->news_ms = call->engine->now_ms;
	if (t->state == FT_STATE_ASSEMBLING)
		return fin_again(call, t);
	if ((st = check_fin(call, t)) != FT_OK || (st = wait_for_result(call, t)) != FT_OK)
		return st;
	t->fin_size = call->command.number;
	t->fin_has_checksum = expected_checksum(call, t, &t->fin_checksum);
	ft_engine_assemble(call->engine, t);
	return FT_OK;
}

/* --- abort --- */

static enum ft_status abort_unknown(struct call *call)
{
	struct ft_manifest finished;
	enum ft_status st = ft_engine_finished(call->engine, &call->key, &finished);

	call->reply.state = st == FT_OK ? FT_STATE_COMPLETE : FT_STATE_NONE;
	if (st == FT_OK)
		return FT_ALREADY_COMPLETE;
	return st == FT_NO_SUCH_TRANSFER ? FT_OK : st;
}

static enum ft_status abort_transfer(struct call *call, struct ft_transfer *t,
				     enum ft_status found)
{
	struct ft_engine *e = call->engine;
	struct ft_ticket *ticket;
	enum ft_status st;

	if (found != FT_OK)
		return abort_unknown(call);
	if (t->abort || e->purges >= FT_PURGES_MAX)
		return FT_BUSY;
	if (!(ticket = ft_ticket_new(call->request)))
		return FT_NO_MEMORY;
	if (!ft_engine_stop_job(t)) {
		t->abort = ticket;
		call->deferred = true;
		return FT_OK;
	}
	if (t->state == FT_STATE_ASSEMBLING)
		ft_engine_end_assembly(e, t, FT_NO_SUCH_TRANSFER);
	ft_engine_log(e, FT_LOG_INFO, &call->key, "aborted by the client, %llu bytes held are "
		      "removed", (unsigned long long)t->upload->held.bytes);
	if ((st = ft_engine_discard(e, &t, ticket)) == FT_OK) {
		call->deferred = true;
		return FT_OK;
	}
	ft_ticket_free(ticket);
	if (st == FT_NO_SUCH_TRANSFER)
		call->reply.state = FT_STATE_NONE;
	return st == FT_NO_SUCH_TRANSFER ? FT_OK : st;
}

/* --- status --- */

static enum ft_status status(struct call *call, struct ft_transfer *t, enum ft_status found)
{
	struct ft_manifest finished;
	enum ft_status st;

	if (found == FT_OK) {
		say_transfer(call, t);
		return FT_OK;
	}
	if ((st = ft_engine_finished(call->engine, &call->key, &finished)) == FT_OK)
		say_complete(call, &finished);
	if (st != FT_NO_SUCH_TRANSFER)
		return st;
	call->reply.state = FT_STATE_NONE;
	call->reply.tell_held = true;
	return FT_OK;
}

/*
 * Each is given the unfinished transfer, or NULL and FT_NO_SUCH_TRANSFER; a lookup
 * that failed otherwise has been answered already.
 */
typedef enum ft_status handler(struct call *call, struct ft_transfer *t, enum ft_status found);

static handler *const handlers[] = {
	[FT_VERB_INIT] = init,
	[FT_VERB_SEGMENT] = segment,
	[FT_VERB_FIN] = fin,
	[FT_VERB_ABORT] = abort_transfer,
	[FT_VERB_STATUS] = status,
};

static enum ft_status carry_out(struct call *call)
{
	struct ft_transfer *t = NULL;
	enum ft_status st;

	if ((st = ft_topic_parse(&call->command, call->request->topic)) != FT_OK)
		return st;
	call->key.client = call->request->client_id;
	call->key.client_len = strlen(call->request->client_id);
	call->key.file = call->command.file;
	call->key.file_len = call->command.file_len;
	st = ft_engine_lookup(call->engine, &call->key, &t);
	if (st != FT_OK && st != FT_NO_SUCH_TRANSFER)
		return st;
	return handlers[call->command.verb](call, t, st);
}

enum ft_status ft_engine_command(struct ft_engine *engine, const struct ft_request *request,
				 const void *payload, size_t len, int64_t now_ms)
{
	char detail[DETAIL_ROOM];
	struct call call = {
		.engine = engine, .request = request, .payload = payload, .len = len,
		.detail = detail,
	};
	enum ft_status st;

	detail[0] = '\0';
	engine->now_ms = now_ms;
	st = carry_out(&call);
	if (call.deferred)
		return st;
	call.reply.status = st;
	call.reply.topic = request->topic;
	call.reply.detail = call.detail;
	engine->hooks.respond(engine->hooks.context, request, &call.reply);
	return st;
}
