/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The native protocol: what devices ask for with $file-get/. */
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"
#include "base/system.h"
#include "base/utf8.h"
#include "engine/downloads/downloads.h"
#include "protocol/get.h"

#define GETS_LIST_MAX 100
#define GETS_DETAIL_ROOM 128
#define GETS_TOPIC_ROOM 65536
#define GETS_FIXED_ROOM 512		/* what is added to texts that clients or files bring */
#define GETS_ESCAPE_GROWTH 6

/* One request on its way. */
struct gets_call {
	struct ft_engine *engine;
	const struct ft_request *request;
	struct ft_get get;
	struct ft_reply reply;
	struct ft_buf more;		/* owned text; members of the response */
	struct ft_buf detail;
	bool later;			/* the answer is a block, or comes with it */
};

static bool gets_make_room(struct gets_call *call, size_t room)
{
	char *text = malloc(room);

	if (text)
		call->more = ft_buf_on(text, room);
	return text != NULL;
}

/* --- blocks --- */

/* $file-data/<client>/<offset>/<path>, as asked. */
static void gets_deliver(struct ft_engine *e, const struct ft_fetch *fetch, void *block, size_t len)
{
	const struct ft_request *request = &fetch->ticket->request;
	char room[GETS_TOPIC_ROOM];
	struct ft_buf topic = ft_buf_on(room, sizeof room);
	struct ft_get get;

	if (ft_get_parse(&get, request->topic, NULL, 0) == FT_OK) {
		ft_buf_str(&topic, "$file-data/");
		ft_buf_str(&topic, request->client_id);
		ft_buf_char(&topic, '/');
		ft_buf_bytes(&topic, get.offset_text, get.offset_len);
		ft_buf_char(&topic, '/');
		ft_buf_str(&topic, get.path);
	}
	if (ft_buf_ok(&topic) && topic.len > 0 && engine_may_send(e, request->client_id))
		e->hooks.block_send(e->hooks.context, request->client_id, room, &block, len);
	if (block)
		e->hooks.block_free(e->hooks.context, block);
}

/* By name, so it is lost where the client does not read. */
static void gets_respond(struct ft_engine *e, const struct ft_request *request,
			 const struct ft_reply *reply)
{
	if (engine_may_send(e, request->client_id))
		(void)engine_respond(e, request, reply);
}

static void gets_refuse(struct ft_engine *e, const struct ft_fetch *fetch, enum ft_status st)
{
	const struct ft_reply reply = { .status = st, .topic = fetch->ticket->request.topic };

	gets_respond(e, &fetch->ticket->request, &reply);
}

static const struct ft_delivery gets_delivery = { gets_deliver, gets_refuse };

/* A client that expects another content learns which there is. */
static enum ft_status gets_say_changed(struct gets_call *call, const struct ft_offer *offer)
{
	if (!gets_make_room(call, GETS_FIXED_ROOM))
		return FT_NO_MEMORY;
	ft_buf_str(&call->more, "\"size\":");
	ft_buf_u64(&call->more, offer->stat.size);
	ft_buf_str(&call->more, ",\"sha256\":\"");
	ft_buf_hex(&call->more, offer->sha256.bytes, FT_SHA256_LEN);
	ft_buf_char(&call->more, '"');
	return FT_FILE_CHANGED;
}

static enum ft_status gets_say_too_large(struct gets_call *call)
{
	uint64_t max = call->engine->options->max_block;

	if (!gets_make_room(call, GETS_FIXED_ROOM))
		return FT_NO_MEMORY;
	ft_buf_str(&call->more, "\"max_block\":");
	ft_buf_u64(&call->more, max);
	ft_buf_printf(&call->detail, "a block has at most %llu bytes here", (unsigned long long)max);
	return FT_BLOCK_TOO_LARGE;
}

static enum ft_status gets_block(struct gets_call *call)
{
	struct ft_want want = {
		.offset = call->get.offset, .len = (size_t)call->get.length,
		.delivery = &gets_delivery,
	};
	enum ft_status st;

	if (strpbrk(call->request->client_id, "+#")) {
		ft_buf_str(&call->detail, "a client id with + or # can be no part of a topic");
		return FT_INVALID_FILE_COMMAND;
	}
	if (call->get.length > call->engine->options->max_block)
		return gets_say_too_large(call);
	if ((st = engine_find_offer(call->engine, call->request, call->get.path, &want.offer)) != FT_OK)
		return st;
	if (call->get.has_checksum && !ft_sha256_equal(&call->get.checksum, &want.offer->sha256))
		return gets_say_changed(call, want.offer);
	st = engine_fetch(call->engine, call->request, &want);
	call->later = st == FT_OK;
	return st;
}

/* --- info and list --- */

static enum ft_status gets_info(struct gets_call *call)
{
	const struct ft_offer *offer;
	enum ft_status st = engine_find_offer(call->engine, call->request, call->get.path, &offer);

	if (st != FT_OK)
		return st;
	if (!gets_make_room(call, ft_offer_room(offer) + GETS_FIXED_ROOM))
		return FT_NO_MEMORY;
	ft_offer_write_all(&call->more, offer);
	ft_buf_str(&call->more, ",\"max_block\":");
	ft_buf_u64(&call->more, call->engine->options->max_block);
	return FT_OK;
}

static enum ft_status gets_list(struct gets_call *call)
{
	const struct ft_offer *found[GETS_LIST_MAX + 1];
	const struct ft_viewer *viewer;
	enum ft_status st = engine_find_viewer(call->engine, call->request, &viewer);
	size_t count, room = GETS_FIXED_ROOM;

	if (st != FT_OK)
		return st;
	count = ft_offers_list(engine_offers(call->engine), viewer, call->get.prefix,
			       call->get.after, found, GETS_LIST_MAX + 1);
	for (size_t i = 0; i < count; i++)
		room += ft_offer_room(found[i]);
	if (!gets_make_room(call, room))
		return FT_NO_MEMORY;
	ft_buf_str(&call->more, "\"files\":[");
	for (size_t i = 0; i < count && i < GETS_LIST_MAX; i++) {
		ft_buf_str(&call->more, i ? ",{" : "{");
		ft_offer_write(&call->more, found[i]);
		ft_buf_char(&call->more, '}');
	}
	ft_buf_str(&call->more, count > GETS_LIST_MAX ? "],\"truncated\":true"
						      : "],\"truncated\":false");
	return FT_OK;
}

/* --- reports --- */

static void gets_say_text(struct ft_buf *to, const char *member, const char *text)
{
	ft_buf_str(to, member);
	if (text && ft_utf8_valid(text, strlen(text)))
		ft_buf_json(to, text, strlen(text));
	else
		ft_buf_str(to, "null");
}

/* What the broker knows, and then what the device says. */
static void gets_write_report(struct gets_call *call, const struct ft_offer *offer)
{
	const struct ft_get *get = &call->get;
	bool current = get->has_checksum && ft_sha256_equal(&get->checksum, &offer->sha256);
	char at[FT_RFC3339_ROOM];

	ft_rfc3339(at, ft_clock_unix_ms());
	gets_say_text(&call->more, "{\"client_id\":", call->request->client_id);
	gets_say_text(&call->more, ",\"user\":", call->request->user);
	gets_say_text(&call->more, ",\"at\":", at);
	ft_buf_str(&call->more, current ? ",\"current\":true," : ",\"current\":false,");
	ft_buf_bytes(&call->more, get->members.at, get->members.len);
	ft_buf_char(&call->more, '}');
}

/*
 * $file-report/<client>/<path>, with the id as files have it: so no two clients share a topic,
 * and every id has one.
 */
static enum ft_status gets_publish_report(struct gets_call *call)
{
	char name[FT_NAME_ROOM], room[64 + FT_NAME_ROOM + FT_OFFER_PATH_MAX];
	struct ft_buf topic = ft_buf_on(room, sizeof room);
	const char *client = call->request->client_id;
	struct ft_message message = {
		.topic = room, .payload = call->more.text, .len = call->more.len,
		.json = true, .retain = true, .qos = 1,
	};

	ft_escape(name, client, strlen(client));
	ft_buf_str(&topic, "$file-report/");
	ft_buf_str(&topic, name);
	ft_buf_char(&topic, '/');
	ft_buf_str(&topic, call->get.path);
	return call->engine->hooks.publish(call->engine->hooks.context, &message) ? FT_OK : FT_NO_MEMORY;
}

static enum ft_status gets_report(struct gets_call *call)
{
	const struct ft_request *request = call->request;
	const char *user = request->user ? request->user : "";
	const struct ft_offer *offer;
	enum ft_status st;

	if ((st = engine_find_offer(call->engine, request, call->get.path, &offer)) != FT_OK
	    || (st = engine_take_report(call->engine, request, call->get.path, &call->detail)) != FT_OK)
		return st;
	if (!gets_make_room(call, GETS_FIXED_ROOM + call->get.members.len
				  + GETS_ESCAPE_GROWTH * (strlen(request->client_id) + strlen(user))))
		return FT_NO_MEMORY;
	gets_write_report(call, offer);
	st = ft_buf_ok(&call->more) ? gets_publish_report(call) : FT_INTERNAL_ERROR;
	if (st == FT_OK)
		engine_note_report(call->engine, request->client_id, offer, &call->get.members);
	call->more.len = 0;	/* it is not for the response */
	return st;
}

/* --- all --- */

static enum ft_status gets_carry_out(struct gets_call *call, const void *payload, size_t len)
{
	static enum ft_status (*const verbs[])(struct gets_call *call) = {
		[FT_GET_BLOCK] = gets_block,
		[FT_GET_INFO] = gets_info,
		[FT_GET_LIST] = gets_list,
		[FT_GET_REPORT] = gets_report,
	};
	enum ft_status st = ft_get_parse(&call->get, call->request->topic, payload, len);

	if (st == FT_OK)
		return verbs[call->get.verb](call);
	if (call->get.detail)
		ft_buf_str(&call->detail, call->get.detail);
	return st;
}

enum ft_status engine_get(struct ft_engine *e, const struct ft_request *request,
			  const void *payload, size_t len)
{
	struct ft_request named = *request;
	char room[GETS_DETAIL_ROOM];
	struct gets_call call = {
		.engine = e, .request = &named, .detail = ft_buf_on(room, sizeof room),
	};
	enum ft_status st;

	named.by_name = true;
	engine_note_connection(e, request);
	st = gets_carry_out(&call, payload, len);
	call.reply.status = st;
	call.reply.topic = request->topic;
	call.reply.detail = room;
	call.reply.more = (struct ft_json_text){ .at = call.more.text, .len = call.more.len };
	if (!call.later)
		gets_respond(e, &named, &call.reply);
	free(call.more.text);
	return st;
}
