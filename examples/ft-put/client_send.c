/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "client_parts.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../lib/members.h"

#define TOPIC_ROOM 640		/* `put` with the longest id and name has 581 */

/* --- commands --- */

/*
 * Of segments only what failed is answered, where PUBACKs tell the rest. Said in any case: the
 * operator may have chosen otherwise for those who say nothing.
 */
static const char *wanted_responses(const struct ft_client *client)
{
	return client->options.link.mqtt5 && !client->acks_are_vague ? "errors" : "all";
}

static char *init_text(const struct ft_client *client, const struct file *file)
{
	const struct ft_client_file_options *options = &file->options;
	cJSON *init = cJSON_CreateObject();
	bool ok = cJSON_AddStringToObject(init, "name", file->name) != NULL;

	/* Of a stream it is known at its end only, and must be the same in each init. */
	if (!file->source.stream)
		ok = ok && member_add(init, "size", file->source.size);
	/* As `put` has it: one must not be in conflict with the other. */
	if (file->is_small)
		ok = ok && cJSON_AddStringToObject(init, "checksum", file->info.sha256);
	ok = ok && cJSON_AddStringToObject(init, "responses", wanted_responses(client));
	if (options->ttl_s)
		ok = ok && member_add(init, "segments_ttl", options->ttl_s);
	if (options->expire_s)
		ok = ok && member_add(init, "expire_at", (uint64_t)time(NULL) + options->expire_s);
	if (options->user_data)
		ok = ok && cJSON_AddRawToObject(init, "user_data", options->user_data);
	char *text = ok ? cJSON_PrintUnformatted(init) : NULL;
	cJSON_Delete(init);
	return text;
}

/*
 * Questions at QoS 0 take no place in the broker's Receive Maximum, so that small files
 * need one each instead of three; the response says whether they arrived. The first one
 * is acknowledged: it tells a broker without the plugin from a slow one.
 */
static bool ask(struct ft_client *client, const char *topic, const char *text, int *mid)
{
	return link_publish(&client_main(client)->dialer.link, topic, text, text ? strlen(text) : 0,
			    client->served ? 0 : 1, mid);
}

static bool publish_init(struct ft_client *client, struct file *file, const char *topic, int *mid)
{
	char *text = init_text(client, file);

	if (!text)
		file->upload.verdict = UPLOAD_NO_MEMORY;
	bool ok = text && ask(client, topic, text, mid);
	cJSON_free(text);
	return ok;
}

static bool publish_segment(struct ft_client *client, struct lane *lane, struct file *file,
			    const struct span *piece, int *mid)
{
	char topic[TOPIC_ROOM];
	char checksum[SHA256_HEX_ROOM] = "";
	size_t len = (size_t)piece->len;

	if (!source_read(&file->source, piece->offset, client->buffer, len)) {
		file->file_failed = true;
		return false;
	}
	if (client->options.segment_checksums && !sha256_hex(checksum, client->buffer, len)) {
		file->upload.verdict = UPLOAD_NO_MEMORY;
		return false;
	}
	snprintf(topic, sizeof(topic), "$file/%s/%" PRIu64 "%s%s", file->file_id, piece->offset,
		 checksum[0] ? "/" : "", checksum);
	if (!link_publish(&lane->dialer.link, topic, client->buffer, len, 1, mid))
		return false;
	pace_sent(&client->pace, piece->len);
	return true;
}

static bool publish_put(struct ft_client *client, struct file *file, int *mid)
{
	char topic[TOPIC_ROOM], checksum[SHA256_HEX_ROOM];
	size_t len = (size_t)file->source.size;

	if (!source_read(&file->source, 0, client->buffer, len)) {
		file->file_failed = true;
		return false;
	}
	if (!sha256_hex(checksum, client->buffer, len)) {
		file->upload.verdict = UPLOAD_NO_MEMORY;
		return false;
	}
	/* It has changed since it was opened. */
	if (strcmp(checksum, file->info.sha256) != 0) {
		file->source.differs = true;
		return false;
	}
	snprintf(topic, sizeof(topic), "$file/%s/put/%s/%s", file->file_id, file->name, checksum);
	if (!link_publish(&client_main(client)->dialer.link, topic, client->buffer, len, 1, mid))
		return false;
	pace_sent(&client->pace, len);
	return true;
}

static bool publish_command(struct ft_client *client, struct lane *lane, struct file *file,
			    const struct upload_command *command, int *mid)
{
	char topic[TOPIC_ROOM];

	switch (command->kind) {
	case COMMAND_INIT:
		snprintf(topic, sizeof(topic), "$file/%s/init", file->file_id);
		return publish_init(client, file, topic, mid);
	case COMMAND_SEGMENT:
		return publish_segment(client, lane, file, &command->piece, mid);
	case COMMAND_PUT:
		return publish_put(client, file, mid);
	case COMMAND_FIN:
		snprintf(topic, sizeof(topic), "$file/%s/fin/%" PRIu64 "/%s", file->file_id,
			 file->source.size, file->info.sha256);
		break;
	case COMMAND_ABORT:
		snprintf(topic, sizeof(topic), "$file/%s/abort", file->file_id);
		break;
	case COMMAND_STATUS:
		snprintf(topic, sizeof(topic), "$file/%s/status", file->file_id);
		break;
	}
	return ask(client, topic, NULL, mid);
}

static bool publish_abort(struct ft_client *client, const char *file_id)
{
	char topic[TOPIC_ROOM];

	snprintf(topic, sizeof(topic), "$file/%s/abort", file_id);
	return link_publish(&client_main(client)->dialer.link, topic, NULL, 0, 1, NULL);
}

void send_abort(struct ft_client *client, const char *file_id)
{
	struct abort_order *order = calloc(1, sizeof(*order));

	/* Without it the broker forgets, too, only later. */
	if (!order)
		return;
	snprintf(order->file_id, sizeof(order->file_id), "%s", file_id);
	order->next = client->aborts;
	client->aborts = order;
}

void send_aborts(struct ft_client *client)
{
	while (client->aborts && publish_abort(client, client->aborts->file_id)) {
		struct abort_order *sent = client->aborts;
		client->aborts = sent->next;
		free(sent);
	}
}

/* --- what goes next --- */

/* Whether segments may be added to those of all files that are on their way. */
static bool is_full(const struct ft_client *client)
{
	unsigned count = 0;
	uint64_t bytes = 0;

	for (const struct file *file = client->active; file; file = file->next) {
		count += file->upload.flight_count;
		bytes += file->upload.flight_bytes;
	}
	return count >= client->options.link.window || bytes >= pace_flight_bytes(&client->pace);
}

static unsigned flights_of(const struct lane *lane)
{
	unsigned count = 0;

	for (const struct file *file = lane->client->active; file; file = file->next)
		count += upload_lane_flights(&file->upload, lane->number);
	return count;
}

/*
 * The one with the fewest segments on their way, in turn where several have as few. So the
 * connections that work do what those that hang cannot, which would fill the window else.
 * One whose last segment is still to be written takes no more. NULL: none.
 */
static struct lane *lane_for_segment(const struct ft_client *client)
{
	struct lane *best = NULL;
	unsigned fewest = UINT_MAX;

	for (unsigned i = 1; i <= client->lane_count; i++) {
		struct lane *lane = &client->lanes[(client->turn + i) % client->lane_count];
		if (!lane_is_ready(lane) || link_wants_write(&lane->dialer.link))
			continue;
		unsigned count = flights_of(lane);
		if (count >= fewest || count >= link_window(&lane->dialer.link))
			continue;
		best = lane;
		fewest = count;
	}
	return best;
}

static uint64_t segment_budget(struct ft_client *client, int64_t now)
{
	if (client->paused || is_full(client) ||
	    pace_wait_ms(&client->pace, now) > 0)
		return 0;
	return pace_segment(&client->pace);
}

bool send_wants_more(struct ft_client *client, const struct file *file, int64_t now)
{
	return ft_client_is_connected(client) && file->has_upload &&
	       file->source.stream && !file->source.ended && !file->upload.todo.count &&
	       file->upload.phase == PHASE_SEND && now >= client->not_before_ms &&
	       segment_budget(client, now) > 0;
}

static void feed(struct ft_client *client, struct file *file, int64_t now)
{
	if (!send_wants_more(client, file, now))
		return;
	struct source *source = &file->source;
	enum source_fill filled = source_fill(source, (size_t)pace_segment(&client->pace),
					      upload_floor(&file->upload));
	if (filled == FILL_ERROR)
		file->file_failed = true;
	upload_grow(&file->upload, source->size, source->ended);
	file->info.size = source->size;
	file->info.size_known = source->ended;
}

/* Whether the first `put` of all is out: what comes of it, tells how the others are to go. */
static bool tries_put(const struct ft_client *client)
{
	for (const struct file *file = client->active; file; file = file->next) {
		const struct upload *upload = &file->upload;
		if ((upload->phase == PHASE_PUT && upload->asked) || upload->put_unanswered)
			return client->put == UPLOAD_PUT_UNTOLD;
	}
	return false;
}

/* `lane`: for a segment; NULL where none has room. */
static bool send_of(struct ft_client *client, struct lane *lane, struct file *file,
		    uint64_t budget, int64_t now)
{
	struct upload_command command;
	int mid = 0;

	if (!file->has_upload || file->file_failed || file->source.differs)
		return false;
	if (file->upload.phase == PHASE_PUT && !file->upload.asked && tries_put(client))
		return false;
	feed(client, file, now);
	if (!upload_next(&file->upload, now, lane ? budget : 0, &command))
		return false;
	if (command.kind != COMMAND_SEGMENT)
		lane = client_main(client);
	if (!publish_command(client, lane, file, &command, &mid)) {
		upload_take_back(&file->upload, &command);
		return false;
	}
	upload_sent(&file->upload, &command, UPLOAD_KEY(lane->number, mid), now);
	client->turn = lane->number;
	return true;
}

static bool send_one(struct ft_client *client, int64_t now)
{
	uint64_t budget = segment_budget(client, now);
	struct lane *lane = lane_for_segment(client);

	if (!lane && link_wants_write(&client_main(client)->dialer.link))
		return false;
	for (struct file *file = client->active; file; file = file->next) {
		if (send_of(client, lane, file, budget, now))
			return true;
		if (!ft_client_is_connected(client) || (lane && !lane_is_ready(lane)))
			return false;
	}
	if (budget && lane)
		pace_idle(&client->pace);
	return false;
}

/* One at a time: what others publish meanwhile waits behind one segment at most. */
void send_all(struct ft_client *client, int64_t now)
{
	if (now < client->not_before_ms)
		return;
	send_aborts(client);
	while (ft_client_is_connected(client) && send_one(client, now))
		continue;
}

/* --- what comes back --- */

static void settled(struct ft_client *client, struct file *file, int64_t now)
{
	const struct span *piece = &file->upload.settled;

	if (!piece->len)
		return;
	pace_acked(&client->pace, piece->len, file->upload.settled_after_ms, now);
	for (unsigned i = 0; i < client->lane_count; i++)
		link_limit_unsent(&client->lanes[i].dialer.link, pace_segment(&client->pace));
	file->info.held = upload_held_bytes(&file->upload);
	if (client->events.segment)
		client->events.segment(client->events.context, &file->info, piece->offset,
				       piece->len);
}

static void published(struct ft_client *client, unsigned key)
{
	for (struct publication **link = &client->publications; *link; link = &(*link)->next) {
		struct publication *found = *link;
		if (found->key != key)
			continue;
		*link = found->next;
		if (client->events.published)
			client->events.published(client->events.context, found->tag, true);
		free(found);
		return;
	}
}

/*
 * Whether the broker does not know the transfer on this connection, though it does on the
 * main one: then transfers belong to client ids, and only one connection can send.
 */
static bool is_kept_apart(const struct lane *lane, int code)
{
	return code == 0x10 && lane->number != lane->client->main && !lane->shares;
}

static void on_acked(void *context, int mid, int reason)
{
	struct lane *lane = context;
	struct ft_client *client = lane->client;
	unsigned key = UPLOAD_KEY(lane->number, mid);
	int64_t now = process_now_ms();

	client->acks_are_vague = client->acks_are_vague || reason == 0x10;
	if (is_kept_apart(lane, reason)) {
		lanes_drop_others(client);
		return;
	}
	for (struct file *file = client->active; file; file = file->next) {
		if (file->has_upload && upload_acked(&file->upload, key, reason, now)) {
			lane->shares = lane->shares || file->upload.settled.len;
			settled(client, file, now);
			return;
		}
	}
	published(client, key);
}

/* What holds for a segment holds for all segments, and so does a rate; other commands are
 * refused for what this file needs: its size, its place among the unfinished ones, its turn to be
 * finished. */
static void share_pause(struct ft_client *client, const struct file *file,
			const struct answer *answer)
{
	bool all = file->upload.phase == PHASE_SEND || strcmp(answer->word, "rate_limited") == 0;

	if (answer->code == 0x97 && all &&
	    file->upload.not_before_ms > client->not_before_ms)
		client->not_before_ms = file->upload.not_before_ms;
}

static void show_answer(struct ft_client *client, struct file *file, const struct answer *answer,
			int64_t now)
{
	const struct upload *upload = &file->upload;

	file->info.held = upload_held_bytes(upload);
	share_pause(client, file, answer);
	if (upload->not_before_ms > now && upload->not_before_ms > file->told_wait_ms) {
		file->told_wait_ms = upload->not_before_ms;
		client_note(client, file, FT_CLIENT_WAITS, "%s; pausing for %" PRId64 " s",
			    upload->why, (upload->not_before_ms - now + 999) / 1000);
	}
	if (upload->have_known && !file->told_held) {
		file->told_held = true;
		if (file->info.held && upload->phase == PHASE_SEND)
			client_note(client, file, FT_CLIENT_RESUMES, "the broker holds %" PRIu64
				    " of %" PRIu64 " bytes already", file->info.held,
				    file->source.size);
	}
}

static void on_answered(void *context, const void *payload, size_t len)
{
	struct lane *lane = context;
	struct ft_client *client = lane->client;
	int64_t now = process_now_ms();
	struct answer answer;

	if (!answer_parse(&answer, payload, len))
		return;
	client->served = client->served || answer.state != STATE_UNKNOWN;
	if (is_kept_apart(lane, answer.code)) {
		answer_release(&answer);
		lanes_drop_others(client);
		return;
	}
	for (struct file *file = client->active; file; file = file->next) {
		if (file->has_upload && upload_answered(&file->upload, &answer, now)) {
			lane->shares = lane->shares || file->upload.settled.len;
			settled(client, file, now);
			put_note(client, file);
			show_answer(client, file, &answer, now);
			break;
		}
	}
	answer_release(&answer);
}

static void on_message(void *context, const char *topic, const void *payload, size_t len)
{
	struct lane *lane = context;
	struct ft_client *client = lane->client;

	if (client->events.message)
		client->events.message(client->events.context, topic, payload, len);
}

const struct link_events send_link_events = {
	.acked = on_acked, .answered = on_answered, .message = on_message,
};
