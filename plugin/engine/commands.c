/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What clients ask, decided from memory: the registry says what is unfinished, a set of hashes
 * which ids may be finished. Only for those the answer has to wait for writer or finisher.
 */
#include "engine/engine_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "engine/downloads/downloads.h"
#include "engine/things/things.h"
#include "log/record.h"
#include "protocol/aws_topic.h"
#include "protocol/get.h"
#include "protocol/glob.h"
#include "protocol/manifest.h"
#include "protocol/topic.h"

#define COMMANDS_DETAIL_ROOM 192
#define COMMANDS_LOOKUPS_MAX 1024	/* questions about finished ids on their way */
#define COMMANDS_HEAD_ROOM 4096		/* a record's head that fits here needs no memory */

/* One command on its way. */
struct call {
	struct ft_engine *engine;
	const struct ft_request *request;
	struct ft_command command;
	struct ft_key key;
	const void *payload;
	size_t len;
	const struct ft_limits *limits;
	struct ft_reply reply;
	enum { ANSWER_NOW, ANSWER_LATER, ANSWER_NEVER } answer;
	struct ft_buf detail;
};

/* --- records --- */

/* A head is built on the stack where it fits there. */
struct head {
	char room[COMMANDS_HEAD_ROOM];
	char *heap;
	struct ft_buf buf;
};

static enum ft_status head_init(struct head *head, size_t room)
{
	head->heap = room > sizeof head->room ? malloc(room) : NULL;
	if (room > sizeof head->room && !head->heap)
		return FT_NO_MEMORY;
	head->buf = head->heap ? ft_buf_on(head->heap, room)
			       : ft_buf_on(head->room, sizeof head->room);
	return FT_OK;
}

static enum ft_status head_append(struct ft_engine *e, struct head *head,
				  struct ft_log_entry *entry)
{
	enum ft_status st;

	assert(ft_buf_ok(&head->buf));
	entry->head = head->buf.text;
	entry->head_len = head->buf.len;
	st = engine_append(e, entry);
	free(head->heap);
	return st;
}

static enum ft_status append_begin(struct call *call, const struct ft_facts *facts, uint16_t flags)
{
	struct ft_log_entry entry = {
		.kind = FT_RECORD_BEGIN, .flags = flags, .number = facts->number,
	};
	struct head head;
	enum ft_status st = head_init(&head, ft_record_facts_room(facts));

	if (st != FT_OK)
		return st;
	ft_record_write_facts(&head.buf, facts);
	return head_append(call->engine, &head, &entry);
}

static enum ft_status append_describe(struct call *call, uint64_t number,
				      const struct ft_terms *terms)
{
	struct ft_log_entry entry = { .kind = FT_RECORD_DESCRIBE, .number = number };
	struct head head;
	enum ft_status st = head_init(&head, ft_record_terms_room(terms));

	if (st != FT_OK)
		return st;
	ft_record_write_terms(&head.buf, terms);
	return head_append(call->engine, &head, &entry);
}

static enum ft_status append_bytes(struct call *call, uint64_t number, uint64_t offset,
				   uint16_t flags)
{
	const struct ft_log_entry entry = {
		.kind = FT_RECORD_BYTES, .number = number, .offset = offset, .flags = flags,
		.bytes = call->payload, .bytes_len = call->len,
	};

	return engine_append(call->engine, &entry);
}

enum ft_status engine_append_fin(struct ft_engine *e, const struct ft_request *request, uint64_t number,
				 const struct ft_fin *fin, uint16_t flags)
{
	struct ft_log_entry entry = {
		.kind = FT_RECORD_FIN, .number = number, .offset = fin->size,
		.flags = FT_RECORD_ANSWER | flags,
	};
	struct head head;
	enum ft_status st = head_init(&head, ft_record_ticket_room(request));

	if (st != FT_OK)
		return st;
	if (fin->has_checksum) {
		entry.flags |= FT_RECORD_CHECKSUM;
		entry.bytes = fin->checksum.bytes;
		entry.bytes_len = FT_SHA256_LEN;
	}
	ft_record_write_ticket(&head.buf, request);
	return head_append(e, &head, &entry);
}

/* --- limits --- */

static enum ft_status check_space(struct call *call, uint64_t len)
{
	struct ft_engine *e = call->engine;
	uint64_t available = engine_available(e);

	if (len <= available)
		return FT_OK;
	if (e->refused_space == 0 || len < e->refused_space)
		e->refused_space = len;
	ft_buf_printf(&call->detail, "%llu bytes do not fit: %llu bytes are left above "
		      "min_free_space", (unsigned long long)len, (unsigned long long)available);
	return FT_DISK_FULL;
}

static enum ft_status check_file_size(struct call *call, uint64_t size)
{
	uint64_t most = call->limits->max_file_size;

	if (most == 0 || size <= most)
		return FT_OK;
	ft_buf_printf(&call->detail, "%llu bytes, max_file_size is %llu", (unsigned long long)size,
		      (unsigned long long)most);
	return FT_FILE_TOO_LARGE;
}

static enum ft_status check_count(struct call *call, const char *what, size_t count, uint64_t most)
{
	if (most == 0 || count < most)
		return FT_OK;
	ft_buf_printf(&call->detail, "%zu unfinished transfers, %s is %llu", count, what,
		      (unsigned long long)most);
	return FT_TOO_MANY_TRANSFERS;
}

static bool has_quota(const struct call *call)
{
	return call->limits->storage_quota > 0 || call->limits->client_quota > 0;
}

static enum ft_status check_quota(struct call *call, uint64_t more)
{
	return engine_check_quota(call->engine, call->limits, &call->key, more, &call->detail);
}

static enum ft_status check_memory(struct call *call, size_t more)
{
	enum ft_status st = engine_check_memory(call->engine, more);

	if (st != FT_OK)
		ft_buf_printf(&call->detail, "max_memory (%llu bytes) is used up",
			      (unsigned long long)call->engine->options->max_memory);
	return st;
}

/* Whether one transfer more may be begun. */
static enum ft_status check_begin(struct call *call, const struct ft_meta *meta)
{
	const struct ft_engine *e = call->engine;
	const struct ft_options *o = e->options;
	enum ft_status st;

	st = check_count(call, "max_transfers", e->registry.count, o->max_transfers);
	if (st == FT_OK)
		st = check_count(call, "max_transfers_per_client",
				 ft_registry_owner_count(&e->registry, &call->key),
				 call->limits->max_transfers_per_client);
	if (st == FT_OK)
		st = check_memory(call, ft_registry_cost(&e->registry, &call->key));
	if (st == FT_OK && engine_lacks_inodes(e)) {
		ft_buf_printf(&call->detail, "fewer than %d inodes are free", ENGINE_MIN_INODES);
		st = FT_DISK_FULL;
	}
	if (st == FT_OK && meta->has_size && (st = check_quota(call, meta->size)) == FT_OK)
		st = check_space(call, meta->size);
	return st;
}

static enum ft_status check_init(struct call *call, const struct ft_meta *meta)
{
	enum ft_status st = meta->has_size ? check_file_size(call, meta->size) : FT_OK;

	if (st == FT_OK)
		st = ft_name_allowed(call->engine->options, meta->name, &call->detail);
	if (st == FT_OK && (st = ft_store_check_name(call->engine->core.store, meta->name)) != FT_OK)
		ft_buf_str(&call->detail, "the broker's file system cannot hold such a name");
	return st;
}

/* --- begin --- */

static void make_facts(struct call *call, const struct ft_init *init, struct ft_facts *facts)
{
	memset(facts, 0, sizeof *facts);
	facts->number = call->engine->last_number + 1;
	facts->key = call->key;
	facts->meta = init->meta;
	facts->terms = init->terms;
	facts->received_ms = ft_clock_unix_ms();
	ft_uuid(facts->transfer_id);
}

static bool may_be_finished(const struct call *call)
{
	const struct ft_engine *e = call->engine;

	return ft_finished_set_has(&e->finished, ft_registry_hash(&e->registry, &call->key));
}

/* Whether its owner may have finished a file with these bytes. With a put they are here. */
static bool may_be_same(const struct call *call, const struct ft_meta *meta)
{
	return call->engine->options->deduplicate == FT_DEDUPLICATE_ON
	       && call->command.verb == FT_VERB_INIT && meta->has_size && meta->has_checksum;
}

/* A refused transfer under this id makes room for a new one. */
static enum ft_status drop_conflict(struct call *call, struct ft_transfer **t)
{
	enum ft_status st = engine_append_plain(call->engine, FT_RECORD_ABORT, (*t)->number, 0);

	if (st == FT_OK)
		engine_remove_transfer(call->engine, t);
	return st;
}

/* Begins a transfer under an id that has none here. */
static enum ft_status begin(struct call *call, const struct ft_init *init, struct ft_transfer **out)
{
	struct ft_engine *e = call->engine;
	bool check = may_be_finished(call) || may_be_same(call, &init->meta);
	struct ft_facts facts;
	enum ft_status st;

	if ((st = check_begin(call, &init->meta)) != FT_OK)
		return st;
	if (engine_is_removing(e, &call->key)) {
		ft_buf_str(&call->detail, "the file that was finished under this id is being removed");
		return FT_BUSY;
	}
	make_facts(call, init, &facts);
	st = engine_add_transfer(e, &facts, check ? FT_TRANSFER_CHECKING : FT_TRANSFER_RECEIVING,
				 out);
	if (st != FT_OK)
		return st;
	(*out)->verdict = check ? FT_VERDICT_AWAITED : FT_VERDICT_BEGUN;
	st = append_begin(call, &facts, check ? FT_RECORD_CHECK | FT_RECORD_ANSWER : 0);
	if (st == FT_OK)
		e->last_number = facts.number;
	else
		engine_remove_transfer(e, out);
	return st;
}

/* --- questions about finished ids --- */

/* Either of `fin` and `meta` is NULL where the command has none. */
static enum ft_status look_up(struct call *call, const struct ft_fin *fin, const struct ft_meta *meta)
{
	struct ft_engine *e = call->engine;
	size_t ids = ft_key_room(&call->key);
	bool has_bytes = call->command.verb == FT_VERB_SEGMENT || call->command.verb == FT_VERB_PUT;
	size_t len = has_bytes ? call->len : 0;
	size_t cost = sizeof(struct ft_lookup) + ids + len;
	struct ft_lookup *lookup;
	enum ft_status st;
	char *room;

	if (e->lookups >= COMMANDS_LOOKUPS_MAX)
		return FT_BUSY;
	if ((st = check_memory(call, cost + ft_ticket_size(call->request))) != FT_OK)
		return st;
	if (!(lookup = calloc(1, cost + 1)))
		return FT_NO_MEMORY;
	if ((st = engine_make_ticket(e, call->request, &lookup->ticket)) != FT_OK) {
		free(lookup);
		return st;
	}
	room = (char *)(lookup + 1);
	if (len > 0)
		memcpy(room + ids, call->payload, len);
	lookup->job.kind = FT_JOB_LOOKUP;
	ft_link_init(&lookup->job.link);
	lookup->key = ft_key_copy(&call->key, room);
	lookup->verb = call->command.verb;
	lookup->offset = call->command.number;
	lookup->bytes = (const uint8_t *)room + ids;
	lookup->len = len;
	if (fin)
		lookup->fin = *fin;
	if (meta)
		lookup->meta = *meta;
	lookup->charged = cost;
	e->charged += cost;
	e->lookups++;
	call->answer = ANSWER_LATER;
	ft_core_submit(&e->core, FT_LANE_QUICK, &lookup->job);
	return FT_OK;
}

/* What is finished already needs no room: the id may be, with just this file. */
static enum ft_status look_up_for_room(struct call *call, const struct ft_meta *meta)
{
	if (!may_be_finished(call))
		return FT_QUOTA_EXCEEDED;
	call->detail.text[0] = '\0';
	call->detail.len = 0;
	return look_up(call, NULL, meta);
}

/* --- init --- */

/* The answer to init and status: at once, or with the verdict. */
static enum ft_status say_transfer(struct call *call, struct ft_transfer *t)
{
	enum ft_status st = FT_OK;

	if (t->verdict == FT_VERDICT_AWAITED) {
		st = engine_wait(call->engine, t, &t->inits, call->request);
		if (st == FT_OK)
			call->answer = ANSWER_LATER;
	} else if (t->verdict == FT_VERDICT_COMPLETE) {
		call->reply.state = FT_STATE_COMPLETE;
		call->reply.tell_held = true;
		call->reply.complete_size = t->complete_size;
	} else {
		engine_say_transfer(&call->reply, t);
	}
	return st;
}

/* Under an id that may be finished, only the verdict tells whether anything has. */
static void tell_started(struct call *call, const struct ft_transfer *t)
{
	if (t->verdict == FT_VERDICT_BEGUN)
		engine_tell_transfer(call->engine, t, FT_EVENT_STARTED, FT_OK);
}

static enum ft_status init_new(struct call *call, const struct ft_init *init)
{
	struct ft_transfer *t;
	enum ft_status st = begin(call, init, &t);

	if (st == FT_QUOTA_EXCEEDED)
		return look_up_for_room(call, &init->meta);
	if (st != FT_OK)
		return st;
	tell_started(call, t);
	return say_transfer(call, t);
}

/* Another file under the same id: until the next good init this one takes nothing more. */
static enum ft_status init_conflict(struct call *call, struct ft_transfer *t)
{
	enum ft_status st = FT_OK;

	if (!t->refused)
		st = engine_append_plain(call->engine, FT_RECORD_REFUSE, t->number, 0);
	if (st != FT_OK)
		return st;
	t->refused = true;
	/* Nobody knows yet what the id was finished as: this init may be the one that fits. */
	if (t->verdict != FT_VERDICT_BEGUN)
		return FT_BUSY;
	ft_buf_printf(&call->detail, "this id was begun as '%.80s', with another name, size or "
		      "checksum: use a new id, or abort first", t->meta->name);
	return FT_FILEMETA_CONFLICT;
}

static void note_resumed(struct call *call, const struct ft_transfer *t)
{
	call->engine->metrics.resumed++;
	engine_tell_transfer(call->engine, t, FT_EVENT_RESUMED, FT_OK);
}

static enum ft_status init_again(struct call *call, struct ft_transfer *t,
				 const struct ft_init *init)
{
	enum ft_status st = FT_OK;

	if (!ft_meta_equal(&init->meta, t->meta))
		return init_conflict(call, t);
	if (t->verdict == FT_VERDICT_CONFLICT)
		return FT_FILEMETA_CONFLICT;
	if (t->state != FT_TRANSFER_ASSEMBLING)
		st = append_describe(call, t->number, &init->terms);
	if (st != FT_OK)
		return st;
	t->refused = false;
	t->responses = init->terms.responses;
	t->segments_ttl = init->terms.segments_ttl;
	engine_note_news(call->engine, t);
	if (t->verdict == FT_VERDICT_COMPLETE)
		call->engine->metrics.skipped++;
	else if (t->verdict == FT_VERDICT_BEGUN && t->held.bytes > 0)
		note_resumed(call, t);
	return say_transfer(call, t);
}

static enum ft_status command_init(struct call *call, struct ft_transfer *t)
{
	struct ft_init init;
	enum ft_status st = ft_init_parse(&init, call->payload, call->len, &call->detail);

	if (st == FT_OK)
		st = check_init(call, &init.meta);
	if (st != FT_OK)
		return st;
	if (t && t->state == FT_TRANSFER_ABORTING)
		return FT_BUSY;
	if (t && t->state == FT_TRANSFER_CONFLICT && (st = drop_conflict(call, &t)) != FT_OK)
		return st;
	return t ? init_again(call, t, &init) : init_new(call, &init);
}

/* --- segment --- */

static enum ft_status check_segment(struct call *call)
{
	uint64_t offset = call->command.number;

	if (call->len > call->limits->max_segment_size) {
		ft_buf_printf(&call->detail, "%zu bytes, max_segment_size is %llu", call->len,
			      (unsigned long long)call->limits->max_segment_size);
		return FT_SEGMENT_TOO_LARGE;
	}
	if (call->len > FT_NUMBER_MAX - offset)
		return FT_INVALID_OFFSET;
	return check_file_size(call, offset + call->len);
}

static enum ft_status verify_payload(const struct call *call, enum ft_status mismatch)
{
	struct ft_sha256 digest;

	if (!call->command.has_checksum)
		return FT_OK;
	if (!ft_sha256_of(call->payload, call->len, &digest))
		return FT_INTERNAL_ERROR;
	return ft_sha256_equal(&digest, &call->command.checksum) ? FT_OK : mismatch;
}

/* Whether a transfer takes segments now. */
static enum ft_status check_receiving(const struct ft_transfer *t)
{
	switch (t->state) {
	case FT_TRANSFER_CHECKING:
	case FT_TRANSFER_RECEIVING:
		return t->refused ? FT_FILEMETA_CONFLICT : FT_OK;
	case FT_TRANSFER_CONFLICT:
		return FT_FILEMETA_CONFLICT;
	case FT_TRANSFER_ASSEMBLING:
	case FT_TRANSFER_ABORTING:
	case FT_TRANSFER_STATES:
		break;
	}
	return FT_BUSY;
}

/* How many bytes of [start, end) are not held. */
static uint64_t count_missing(const struct ft_ranges *held, uint64_t start, uint64_t end)
{
	struct ft_range gap = { .end = start };
	uint64_t missing = 0;

	while (ft_ranges_next_gap(held, gap.end, end, &gap))
		missing += gap.end - gap.start;
	return missing;
}

/* Puts the payload into the log; what is held already needs no room. */
static enum ft_status take_bytes(struct call *call, struct ft_transfer *t, uint64_t offset,
				 uint16_t flags)
{
	struct ft_engine *e = call->engine;
	uint64_t end = offset + call->len, held = t->held.bytes;
	enum ft_status st;

	if (!ft_ranges_cover(&t->held, offset, end)) {
		/* Most brokers have none, and then what is missing need not be counted. */
		if (has_quota(call)
		    && (st = check_quota(call, count_missing(&t->held, offset, end))) != FT_OK)
			return st;
		if ((st = check_space(call, call->len)) != FT_OK)
			return st;
	}
	if ((st = check_memory(call, ENGINE_RANGE_COST)) != FT_OK)
		return st;
	if ((st = ft_ranges_prepare(&t->held, offset, end)) != FT_OK)
		return st;
	if ((st = append_bytes(call, t->number, offset, flags)) != FT_OK)
		return st;
	st = ft_ranges_add(&t->held, offset, end);
	assert(st == FT_OK);
	e->metrics.segments++;
	e->metrics.bytes_received += call->len;
	e->metrics.bytes_duplicate += call->len - (t->held.bytes - held);
	engine_charge_ranges(e, t);
	engine_note_news(e, t);
	ft_rate_add(&t->rate, call->len, e->now_ms);
	return st;
}

/* While the verdict is awaited the response has to wait, too: what is held may be refused yet. */
static enum ft_status take_segment(struct call *call, struct ft_transfer *t)
{
	bool wait = t->verdict == FT_VERDICT_AWAITED || t->verdict == FT_VERDICT_COMPLETE;
	enum ft_status st = FT_OK;
	struct ft_link *last;

	if (wait && (st = engine_wait(call->engine, t, &t->segments, call->request)) != FT_OK)
		return st;
	st = take_bytes(call, t, call->command.number, wait ? FT_RECORD_ANSWER : 0);
	if (wait && st != FT_OK) {
		struct ft_ticket *ticket;

		last = t->segments.head.prev;
		ft_link_remove(last);
		t->waiting--;
		ticket = FT_CONTAINER(last, struct ft_ticket, link);
		engine_drop_ticket(call->engine, &ticket);
	} else if (wait) {
		call->answer = ANSWER_LATER;
	} else if (st == FT_OK && !engine_wants_response(call->engine, t)) {
		call->answer = ANSWER_NEVER;
	}
	return st;
}

static enum ft_status command_segment(struct call *call, struct ft_transfer *t)
{
	enum ft_status st;

	if ((st = check_segment(call)) != FT_OK)
		return st;
	if (!t && !may_be_finished(call))
		return FT_NO_SUCH_TRANSFER;
	if (t && (st = check_receiving(t)) != FT_OK)
		return st;
	if ((st = verify_payload(call, FT_CHECKSUM_MISMATCH)) != FT_OK)
		return st;
	if (!t)
		return look_up(call, NULL, NULL);
	if (call->len > 0)
		return take_segment(call, t);
	engine_note_news(call->engine, t);
	return FT_OK;
}

/* --- fin --- */

/* The file's checksum as fin says it, or else as init did. */
static struct ft_fin make_fin(const struct call *call, uint64_t size, const struct ft_meta *meta)
{
	struct ft_fin fin = { .size = size, .has_checksum = call->command.has_checksum };

	if (call->command.has_checksum)
		fin.checksum = call->command.checksum;
	else if (meta && meta->has_checksum) {
		fin.has_checksum = true;
		fin.checksum = meta->checksum;
	}
	return fin;
}

static bool is_same_fin(const struct ft_fin *a, const struct ft_fin *b)
{
	return a->size == b->size && a->has_checksum == b->has_checksum
	       && (!a->has_checksum || ft_sha256_equal(&a->checksum, &b->checksum));
}

static enum ft_status fin_again(struct call *call, struct ft_transfer *t, const struct ft_fin *fin)
{
	enum ft_status st;

	call->reply.state = FT_STATE_ASSEMBLING;
	/* What is assembled is not what this client's last init was about. */
	if (t->refused)
		return FT_FILEMETA_CONFLICT;
	if (t->state == FT_TRANSFER_ABORTING || !is_same_fin(fin, &t->fin))
		return FT_BUSY;
	if ((st = engine_wait(call->engine, t, &t->fins, call->request)) == FT_OK)
		call->answer = ANSWER_LATER;
	return st;
}

/* Accepts a fin: from here on it is carried out, whatever happens to broker and client. */
static enum ft_status accept_fin(struct call *call, struct ft_transfer *t, const struct ft_fin *fin,
				 uint16_t flags)
{
	struct ft_engine *e = call->engine;
	struct ft_ticket *ticket;
	enum ft_status st;

	if ((st = engine_make_ticket(e, call->request, &ticket)) != FT_OK)
		return st;
	if ((st = engine_append_fin(e, call->request, t->number, fin, flags)) != FT_OK) {
		engine_drop_ticket(e, &ticket);
		return st;
	}
	ft_list_push(&t->fins, &ticket->link);
	t->waiting++;
	t->fin = *fin;
	t->fin_us = ft_latency_clock_us();
	ft_transfer_move(t, FT_TRANSFER_ASSEMBLING);
	engine_note_assembling(e, t);
	engine_note_news(e, t);
	if (ft_core_finish_lane(&e->core, fin->size) == FT_LANE_LARGE || atomic_load(&e->core.quick_is_idle))
		ft_log_wake(e->core.log);
	call->answer = ANSWER_LATER;
	return FT_OK;
}

static enum ft_status command_fin(struct call *call, struct ft_transfer *t)
{
	struct ft_fin fin = make_fin(call, call->command.number, t ? t->meta : NULL);
	enum ft_status st;

	if (!t)
		return may_be_finished(call) ? look_up(call, &fin, NULL) : FT_NO_SUCH_TRANSFER;
	if (t->state == FT_TRANSFER_ASSEMBLING || t->state == FT_TRANSFER_ABORTING)
		return fin_again(call, t, &fin);
	if ((st = check_receiving(t)) != FT_OK || (st = check_file_size(call, fin.size)) != FT_OK)
		return st;
	/* Until the verdict is known, nobody knows what is missing. */
	if (t->state == FT_TRANSFER_RECEIVING && !ft_ranges_cover(&t->held, 0, fin.size)) {
		call->reply.state = FT_STATE_RECEIVING;
		call->reply.held = &t->held;
		call->reply.tell_missing = true;
		call->reply.missing_size = fin.size;
		return FT_INCOMPLETE;
	}
	return accept_fin(call, t, &fin, 0);
}

/* --- put --- */

static enum ft_status make_put_init(struct call *call, struct ft_init *init)
{
	const struct ft_command *command = &call->command;
	const char *why = NULL;
	enum ft_status st = ft_name_check(command->name, command->name_len, &why);

	memset(init, 0, sizeof *init);
	if (st != FT_OK) {
		ft_buf_str(&call->detail, why);
		return st;
	}
	memcpy(init->meta.name, command->name, command->name_len);
	init->meta.has_size = true;
	init->meta.size = call->len;
	init->meta.has_checksum = command->has_checksum;
	init->meta.checksum = command->checksum;
	return FT_OK;
}

/* Room for begin, bytes and fin, so that they come together. */
static enum ft_status check_put_room(struct call *call)
{
	struct ft_engine *e = call->engine;
	size_t heads = 2 * COMMANDS_HEAD_ROOM + 2 * call->key.owner_len
		       + ft_record_ticket_room(call->request);

	if (ft_log_has_room(e->core.log, FT_RECORD_BYTES, 3, call->len + heads)
	    || engine_wait_room(e, FT_RECORD_BYTES, 3, call->len + heads))
		return FT_OK;
	return atomic_load(&e->core.disk_full) ? FT_DISK_FULL : FT_BUSY;
}

/* The bytes and the fin of a put, of a transfer that takes them. */
static enum ft_status put_into(struct call *call, struct ft_transfer *t)
{
	struct ft_fin fin = make_fin(call, call->len, t->meta);
	enum ft_status st;

	if (call->len > 0 && (st = take_bytes(call, t, 0, 0)) != FT_OK)
		return st;
	return accept_fin(call, t, &fin, call->command.has_checksum ? FT_RECORD_VERIFIED : 0);
}

static enum ft_status put_again(struct call *call, struct ft_transfer *t,
				const struct ft_init *init)
{
	struct ft_fin fin = make_fin(call, call->len, t->meta);
	enum ft_status st;

	if (!ft_meta_equal(&init->meta, t->meta))
		return init_conflict(call, t);
	t->refused = false;
	if (t->state == FT_TRANSFER_ASSEMBLING || t->state == FT_TRANSFER_ABORTING)
		return fin_again(call, t, &fin);
	if ((st = append_describe(call, t->number, &init->terms)) != FT_OK)
		return st;
	return put_into(call, t);
}

static enum ft_status put_new(struct call *call, const struct ft_init *init)
{
	struct ft_transfer *t;
	enum ft_status st = begin(call, init, &t);

	if (st == FT_QUOTA_EXCEEDED)
		return look_up_for_room(call, &init->meta);
	if (st != FT_OK)
		return st;
	if ((st = put_into(call, t)) == FT_OK) {
		tell_started(call, t);
		return st;
	}
	/* Nothing of it stays; without room to say so it expires. */
	if (engine_append_plain(call->engine, FT_RECORD_ABORT, t->number, 0) == FT_OK)
		engine_remove_transfer(call->engine, &t);
	return st;
}

static enum ft_status command_put(struct call *call, struct ft_transfer *t)
{
	struct ft_init init;
	enum ft_status st;

	if ((st = check_segment(call)) != FT_OK || (st = make_put_init(call, &init)) != FT_OK
	    || (st = check_init(call, &init.meta)) != FT_OK
	    || (st = verify_payload(call, FT_FILE_CHECKSUM_MISMATCH)) != FT_OK
	    || (st = check_put_room(call)) != FT_OK)
		return st;
	if (t && t->state == FT_TRANSFER_CONFLICT && (st = drop_conflict(call, &t)) != FT_OK)
		return st;
	return t ? put_again(call, t, &init) : put_new(call, &init);
}

/* --- abort --- */

/* Others wait for the verdict or the result, and hear it first: the id is not free before. */
static enum ft_status abort_behind(struct call *call, struct ft_transfer *t)
{
	struct ft_engine *e = call->engine;
	enum ft_status st = engine_make_ticket(e, call->request, &t->abort);

	if (st != FT_OK)
		return st;
	st = engine_append_plain(e, FT_RECORD_ABORT, t->number, FT_RECORD_ANSWER);
	if (st != FT_OK) {
		engine_drop_ticket(e, &t->abort);
		return st;
	}
	ft_transfer_move(t, FT_TRANSFER_ABORTING);
	call->answer = ANSWER_LATER;
	return FT_OK;
}

/* The id is free at once: what comes behind the abort in the log is another transfer. */
static enum ft_status abort_receiving(struct call *call, struct ft_transfer *t)
{
	struct ft_engine *e = call->engine;
	const struct ft_key key = ft_transfer_key(t);
	struct engine_abort *abort = calloc(1, sizeof *abort);
	enum ft_status st;

	if (!abort)
		return FT_NO_MEMORY;
	if ((st = engine_make_ticket(e, call->request, &abort->ticket)) != FT_OK) {
		free(abort);
		return st;
	}
	abort->number = t->number;
	ft_link_init(&abort->link);
	st = engine_append_plain(e, FT_RECORD_ABORT, t->number, FT_RECORD_ANSWER);
	if (st != FT_OK) {
		engine_drop_ticket(e, &abort->ticket);
		free(abort);
		return st;
	}
	ft_core_log(&e->core, FT_LOG_INFO, &key, "aborted by the client, %llu bytes held are removed",
		    (unsigned long long)t->held.bytes);
	e->metrics.aborted++;
	engine_tell_transfer(e, t, FT_EVENT_ABORTED, FT_OK);
	ft_list_push(&e->aborts, &abort->link);
	engine_answer_everybody(e, t, FT_NO_SUCH_TRANSFER);
	engine_remove_transfer(e, &t);
	call->answer = ANSWER_LATER;
	return FT_OK;
}

static enum ft_status command_abort(struct call *call, struct ft_transfer *t)
{
	enum ft_status st;

	/* What was refused is forgotten; what is finished under the id answers. */
	if (t && t->state == FT_TRANSFER_CONFLICT && (st = drop_conflict(call, &t)) != FT_OK)
		return st;
	if (!t && may_be_finished(call))
		return look_up(call, NULL, NULL);
	if (t && t->state == FT_TRANSFER_ABORTING)
		return FT_BUSY;
	call->reply.state = FT_STATE_NONE;
	if (!t)
		return FT_OK;
	st = t->state == FT_TRANSFER_RECEIVING ? abort_receiving(call, t) : abort_behind(call, t);
	if (st == FT_OK)
		ft_log_wake(call->engine->core.log);
	return st;
}

/* --- status --- */

static enum ft_status command_status(struct call *call, struct ft_transfer *t)
{
	/* Of an id whose init was refused, what is finished under it is told. */
	if (t ? t->state == FT_TRANSFER_CONFLICT || t->verdict == FT_VERDICT_CONFLICT
	      : may_be_finished(call))
		return look_up(call, NULL, NULL);
	if (t) {
		engine_note_news(call->engine, t);
		return say_transfer(call, t);
	}
	call->reply.state = FT_STATE_NONE;
	call->reply.tell_held = true;
	return FT_OK;
}

/* --- all --- */

/* Each is given the unfinished transfer, or NULL. */
static enum ft_status (*const commands[])(struct call *call, struct ft_transfer *t) = {
	[FT_VERB_INIT] = command_init,
	[FT_VERB_SEGMENT] = command_segment,
	[FT_VERB_FIN] = command_fin,
	[FT_VERB_PUT] = command_put,
	[FT_VERB_ABORT] = command_abort,
	[FT_VERB_STATUS] = command_status,
};

/* What an operator's pause holds back. */
static bool brings_something(enum ft_verb verb)
{
	return verb != FT_VERB_ABORT && verb != FT_VERB_STATUS;
}

static enum ft_status carry_out(struct call *call)
{
	struct ft_engine *e = call->engine;
	struct ft_transfer *t;
	enum ft_status st;

	if ((st = ft_topic_parse(&call->command, call->request->topic)) != FT_OK) {
		if (call->command.detail)
			ft_buf_str(&call->detail, call->command.detail);
		return st;
	}
	call->key.owner = call->request->owner;
	call->key.owner_len = call->request->owner_len;
	call->key.file = call->command.file;
	call->key.file_len = call->command.file_len;
	t = ft_registry_find(&e->registry, &call->key);
	if (brings_something(call->command.verb)
	    && (st = engine_check_admin(e, &call->key, t)) != FT_OK)
		return st;
	return commands[call->command.verb](call, t);
}

static enum ft_status take_rate(struct call *call)
{
	if (call->limits->client_bandwidth == 0 && call->limits->client_rate == 0)
		return FT_OK;
	return engine_take_rate(call->engine, call->limits, call->request, call->len,
				&call->reply.retry_after, &call->detail);
}

enum ft_status ft_engine_command(struct ft_engine *engine, const struct ft_request *request,
				 const void *payload, size_t len, int64_t now_ms)
{
	char room[COMMANDS_DETAIL_ROOM];
	struct call call = {
		.engine = engine, .request = request, .payload = payload, .len = len,
		.detail = ft_buf_on(room, sizeof room),
	};
	enum ft_status st;

	engine->now_ms = now_ms;
	if (engine->downloads && ft_get_is_ours(request->topic))
		return engine_get(engine, request, payload, len);
	if (engine->downloads && ft_aws_topic_kind(request->topic) == FT_AWS_TOPIC_REQUEST) {
		engine_stream(engine, request, payload, len);
		return FT_OK;	/* AWS's clients look for answers, not at PUBACKs */
	}
	if ((engine->options->downloads & FT_DOWNLOADS_JOBS)
	    && ft_aws_job_topic_kind(request->topic) == FT_AWS_TOPIC_REQUEST) {
		engine_thing(engine, request, payload, len);
		return FT_OK;
	}
	call.limits = engine_limits_of(engine, request);
	st = take_rate(&call);
	if (st == FT_OK)
		st = carry_out(&call);
	if (call.answer == ANSWER_LATER)
		return st;
	if (call.answer == ANSWER_NEVER && st == FT_OK)
		return st;
	call.reply.status = st;
	call.reply.topic = request->topic;
	if (room[0])
		call.reply.detail = room;
	(void)engine_respond(engine, request, &call.reply);
	return st;
}
