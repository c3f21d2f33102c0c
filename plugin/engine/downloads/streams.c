/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The protocol of AWS IoT's MQTT-based file delivery: what devices ask for with
 * $aws/things/<thing>/streams/<stream>/. A request gets each run of adjacent blocks by one fetch,
 * which is published as one message a block.
 */
#include <string.h>

#include "engine/downloads/downloads.h"
#include "protocol/aws_stream.h"

#define STREAMS_TOPIC_ROOM 65536	/* MQTT has no longer topic: then there is no answer */
#define STREAMS_LIST_MAX 512		/* paths below a stream's folder that are looked at */

/* One request on its way. */
struct streams_call {
	struct ft_engine *engine;
	const struct ft_request *request;
	struct ft_aws_topic topic;
	struct ft_aws_request wanted;
};

/* What a fetch has to know to be published. */
struct streams_note {
	struct ft_aws_token token;
	uint32_t block_size;
	uint8_t file;
};

/* Publishes what was written on memory of hooks.block_new, which is given away. */
static void streams_send(struct ft_engine *e, const char *client_id, const struct ft_aws_topic *topic,
			 enum ft_aws_word word, const struct ft_buf *message)
{
	char room[STREAMS_TOPIC_ROOM];
	struct ft_buf to = ft_buf_on(room, sizeof room);
	void *block = message->text;

	ft_aws_topic_write(&to, topic, word);
	if (ft_buf_ok(&to) && ft_buf_ok(message) && engine_may_send(e, client_id))
		e->hooks.block_send(e->hooks.context, client_id, room, &block, message->len);
	if (block)
		e->hooks.block_free(e->hooks.context, block);
}

/* False: out of memory; then there is no answer, and the device asks again. */
static bool streams_begin(struct ft_engine *e, struct ft_buf *message, size_t room)
{
	char *text = e->hooks.block_new(e->hooks.context, room);

	if (text)
		*message = ft_buf_on(text, room);
	return text != NULL;
}

static void streams_reject(struct ft_engine *e, const char *client_id,
			   const struct ft_aws_topic *topic, const struct ft_aws_token *token,
			   enum ft_aws_verdict verdict)
{
	struct ft_buf message;

	if (!streams_begin(e, &message, FT_AWS_REJECTED_ROOM))
		return;
	ft_aws_write_rejected(&message, topic, token, verdict);
	streams_send(e, client_id, topic, FT_AWS_REJECTED, &message);
}

static enum ft_aws_verdict streams_verdict(enum ft_status st)
{
	return st == FT_OK ? FT_AWS_OK
	       : st == FT_NO_SUCH_FILE ? FT_AWS_NOT_FOUND : FT_AWS_INTERNAL_ERROR;
}

/* --- get --- */

static void streams_send_block(struct ft_engine *e, const char *client_id,
			       const struct ft_aws_topic *topic, const struct streams_note *note,
			       const struct ft_aws_block *block)
{
	struct ft_buf message;

	if (!streams_begin(e, &message, ft_aws_data_room(block->len)))
		return;
	ft_aws_write_data(&message, topic, &note->token, block);
	streams_send(e, client_id, topic, FT_AWS_DATA, &message);
}

static void streams_deliver(struct ft_engine *e, const struct ft_fetch *fetch, void *bytes,
			    size_t len)
{
	const struct streams_note *note = fetch->note;
	const struct ft_request *request = &fetch->ticket->request;
	struct ft_aws_block block = {
		.file = note->file, .index = (uint32_t)(fetch->offset / note->block_size),
	};
	struct ft_aws_topic topic;

	if (ft_aws_topic_parse(&topic, request->topic) == FT_AWS_TOPIC_REQUEST) {
		for (size_t at = 0; at < len; at += block.len, block.index++) {
			block.bytes = (const char *)bytes + at;
			block.len = len - at < note->block_size ? len - at : note->block_size;
			streams_send_block(e, request->client_id, &topic, note, &block);
		}
	}
	if (bytes)
		e->hooks.block_free(e->hooks.context, bytes);
}

static void streams_refuse(struct ft_engine *e, const struct ft_fetch *fetch, enum ft_status st)
{
	const struct streams_note *note = fetch->note;
	const struct ft_request *request = &fetch->ticket->request;
	struct ft_aws_topic topic;

	if (ft_aws_topic_parse(&topic, request->topic) == FT_AWS_TOPIC_REQUEST)
		streams_reject(e, request->client_id, &topic, &note->token, streams_verdict(st));
}

static const struct ft_delivery streams_delivery = { streams_deliver, streams_refuse };

/* How many blocks from `first` on follow one another. */
static size_t streams_run(const struct ft_aws_blocks *blocks, size_t first)
{
	size_t end = first + 1;

	while (end < blocks->count && blocks->index[end] == blocks->index[end - 1] + 1)
		end++;
	return end - first;
}

static enum ft_status streams_fetch(struct streams_call *call, const struct ft_offer *offer,
				    const struct ft_aws_blocks *blocks)
{
	const struct streams_note note = {
		.token = call->wanted.token, .block_size = call->wanted.block_size,
		.file = call->wanted.file,
	};
	enum ft_status st = FT_OK;
	size_t run;

	for (size_t i = 0; i < blocks->count && st == FT_OK; i += run) {
		struct ft_want want = {
			.offer = offer, .delivery = &streams_delivery,
			.offset = (uint64_t)blocks->index[i] * note.block_size,
			.note = &note, .note_len = sizeof note,
		};

		run = streams_run(blocks, i);
		want.len = run * note.block_size;
		st = engine_fetch(call->engine, call->request, &want);
	}
	return st;
}

static enum ft_aws_verdict streams_get(struct streams_call *call)
{
	char path[FT_AWS_PATH_ROOM];
	const struct ft_offer *offer;
	struct ft_aws_blocks blocks;
	enum ft_aws_verdict verdict;
	enum ft_status st;

	if (ft_aws_path(path, &call->topic, call->wanted.file) == 0)
		return FT_AWS_NOT_FOUND;
	if ((st = engine_find_offer(call->engine, call->request, path, &offer)) != FT_OK)
		return streams_verdict(st);
	if ((verdict = ft_aws_choose(&blocks, &call->wanted, offer->stat.size)) != FT_AWS_OK)
		return verdict;
	return streams_verdict(streams_fetch(call, offer, &blocks));
}

/* --- describe --- */

/* The files of the stream that the client sees, ascending by their ids. */
static enum ft_status streams_list(struct streams_call *call, const char *prefix,
				   struct ft_aws_file files[FT_AWS_FILES_MAX], size_t *count)
{
	const struct ft_offer *found[STREAMS_LIST_MAX], *by_id[FT_AWS_FILE_MAX + 1] = { NULL };
	const struct ft_viewer *viewer;
	enum ft_status st = engine_find_viewer(call->engine, call->request, &viewer);
	size_t found_count;
	uint8_t id;

	*count = 0;
	if (st != FT_OK)
		return st;
	found_count = ft_offers_list(engine_offers(call->engine), viewer, prefix, "", found,
				     STREAMS_LIST_MAX);
	for (size_t i = 0; i < found_count; i++)
		if (ft_aws_parse_file(&id, found[i]->path + strlen(prefix)))
			by_id[id] = found[i];
	for (size_t i = 0; i <= FT_AWS_FILE_MAX && *count < FT_AWS_FILES_MAX; i++)
		if (by_id[i])
			files[(*count)++] = (struct ft_aws_file){
				.file = (uint8_t)i, .size = by_id[i]->stat.size,
			};
	return *count > 0 ? FT_OK : FT_NO_SUCH_FILE;
}

static enum ft_aws_verdict streams_describe(struct streams_call *call)
{
	struct ft_aws_file files[FT_AWS_FILES_MAX];
	char path[FT_AWS_PATH_ROOM];
	struct ft_buf message;
	enum ft_status st;
	size_t count;

	if (ft_aws_path(path, &call->topic, 0) == 0)
		return FT_AWS_NOT_FOUND;
	strrchr(path, '/')[1] = '\0';
	if ((st = streams_list(call, path, files, &count)) != FT_OK)
		return streams_verdict(st);
	if (!streams_begin(call->engine, &message, FT_AWS_DESCRIPTION_ROOM))
		return FT_AWS_INTERNAL_ERROR;
	ft_aws_write_description(&message, &call->topic, &call->wanted.token, files, count);
	streams_send(call->engine, call->request->client_id, &call->topic, FT_AWS_DESCRIPTION,
		     &message);
	return FT_AWS_OK;
}

/* --- all --- */

static bool streams_is_thing(const struct ft_aws_topic *topic, const char *id)
{
	return id && strlen(id) == topic->thing_len && memcmp(id, topic->thing, topic->thing_len) == 0;
}

void engine_stream(struct ft_engine *e, const struct ft_request *request, const void *payload,
		   size_t len)
{
	struct streams_call call = { .engine = e, .request = request };
	enum ft_aws_verdict verdict;

	if (ft_aws_topic_parse(&call.topic, request->topic) != FT_AWS_TOPIC_REQUEST)
		return;
	engine_note_connection(e, request);
	verdict = ft_aws_request_parse(&call.wanted, &call.topic, payload, len);
	if (!streams_is_thing(&call.topic, request->client_id)
	    && !streams_is_thing(&call.topic, request->user))
		verdict = FT_AWS_UNAUTHORIZED;
	if (verdict == FT_AWS_OK)
		verdict = call.topic.word == FT_AWS_GET ? streams_get(&call) : streams_describe(&call);
	if (verdict != FT_AWS_OK)
		streams_reject(e, request->client_id, &call.topic, &call.wanted.token, verdict);
}
