/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* One move of the game: a command to both sides, and the comparison of what comes of it. */
#ifndef FT_TESTS_MODEL_MOVES_H
#define FT_TESTS_MODEL_MOVES_H

#include "model_disk.h"

#define LIST_ROOM 8192

/* --- commands as messages --- */

static void move_hex(char hex[FT_SHA256_HEX_LEN + 1], const struct ft_sha256 *sum)
{
	struct ft_buf buf = ft_buf_on(hex, FT_SHA256_HEX_LEN + 1);

	ft_buf_hex(&buf, sum->bytes, sizeof sum->bytes);
}

static size_t move_init_payload(const struct model_command *c, char *room, size_t room_len)
{
	struct ft_buf json = ft_buf_on(room, room_len);
	char hex[FT_SHA256_HEX_LEN + 1];

	ft_buf_printf(&json, "{\"name\":\"%s\",\"user_data\":{\"about\":%u},\"expire_at\":%llu",
		      game_names[c->meta.name], c->about,
		      (unsigned long long)MODEL_EXPIRE_BASE + c->about);
	if (c->meta.has_size)
		ft_buf_printf(&json, ",\"size\":%llu", (unsigned long long)c->meta.size);
	if (c->meta.has_sum) {
		move_hex(hex, &c->meta.sum);
		ft_buf_printf(&json, ",\"checksum\":\"%s\"", hex);
	}
	if (c->ttl > 0)
		ft_buf_printf(&json, ",\"segments_ttl\":%llu", (unsigned long long)c->ttl);
	ft_buf_str(&json, c->bad ? "" : "}");
	return json.len;
}

static void move_topic(const struct model_command *c, struct ft_buf *topic)
{
	char hex[FT_SHA256_HEX_LEN + 1];

	move_hex(hex, &c->sum);
	ft_buf_printf(topic, "%s/%s/", c->async ? "$file-async" : "$file", game_file(c->key));
	switch (c->verb) {
	case FT_VERB_INIT:
		ft_buf_str(topic, "init");
		break;
	case FT_VERB_SEGMENT:
		ft_buf_printf(topic, "%llu", (unsigned long long)c->number);
		break;
	case FT_VERB_FIN:
		ft_buf_printf(topic, "fin/%llu", (unsigned long long)c->number);
		break;
	case FT_VERB_ABORT:
		ft_buf_str(topic, "abort");
		break;
	case FT_VERB_STATUS:
		ft_buf_str(topic, "status");
		break;
	}
	if (c->has_sum)
		ft_buf_printf(topic, "/%s", hex);
}

/* Fills in a segment's bytes and checksum. */
static const void *move_segment_payload(struct model_command *c)
{
	static uint8_t bytes[1 << 20];

	model_fill(bytes, c->pattern, c->number, c->len);
	if (c->has_sum && !ft_sha256_of(bytes, c->len, &c->sum))
		abort();
	c->sum.bytes[7] ^= c->wrong_sum;
	return bytes;
}

/* --- what a response must say --- */

static void check_list(struct game *game, const cJSON *json, const char *member,
		       const struct model_transfer *t, bool held, uint64_t limit)
{
	char room[LIST_ROOM];
	struct ft_buf list = ft_buf_on(room, sizeof room);
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, member);
	char *said = cJSON_PrintUnformatted(item);
	bool truncated, same;

	model_list(&list, t, held, limit, &truncated);
	same = said && strcmp(said, room) == 0;
	if (!same)
		snprintf(game->why, sizeof game->why, "%s is %.700s instead of %.700s", member,
			 said ? said : "absent", room);
	free(said);
	if (!same)
		longjmp(game->lost, 1);
	game_check(game, truncated == cJSON_IsTrue(cJSON_GetObjectItem(json, "truncated")),
		   "%s: truncated is wrong", member);
}

static void check_response(struct game *game, const struct model_command *c, const char *topic,
			   enum ft_status status, const cJSON *json)
{
	const struct model_transfer *t = &game->t[c->key];
	struct model_transfer finished = *t;
	const char *state = game_string(json, "state");
	bool tells = (c->verb == FT_VERB_STATUS || c->verb == FT_VERB_INIT) && status == FT_OK;

	game_check(game, game_status_of(game, json) == status, "PUBACK %s, response %s",
		   ft_status_word(status), game_string(json, "reason_description"));
	game_check(game, strcmp(game_string(json, "topic"), topic) == 0
		   && strcmp(game_string(json, "vsn"), "0.1") == 0, "topic or vsn is wrong");
	game_check(game, (status == FT_BUSY) == cJSON_HasObjectItem(json, "retry_after"),
		   "retry_after is wrong with %s", ft_status_word(status));
	if (status == FT_INCOMPLETE)
		check_list(game, json, "missing", t, false, c->number);
	if (!tells)
		return;
	game_check(game, strcmp(state, game_state_word(t->state)) == 0, "key %d: state is %s "
		   "instead of %s", c->key, state, game_state_word(t->state));
	if (t->state == FT_STATE_COMPLETE)
		finished.span = t->fin_size;
	check_list(game, json, "have", &finished, true, UINT64_MAX);
	game_check(game, cJSON_GetNumberValue(cJSON_GetObjectItem(json, "received"))
		   == (double)model_received(&finished), "key %d: received is wrong", c->key);
}

static void expect_response(struct game *game, const struct model_command *c)
{
	game_check(game, game->pendings < GAME_PENDING_MAX, "too many responses are missing");
	game->pending[game->pendings++] = (struct game_pending) {
		.seq = game->seq, .key = c->key, .verb = c->verb,
		.too_late = c->verb == FT_VERB_ABORT && game->t[c->key].abort_pending,
	};
}

/* An abort that was accepted: stopped in time, or too late? */
static void apply_abort(struct model_transfer *t)
{
	if (t->state == FT_STATE_RECEIVING)
		model_reset(t);
	else if (t->state == FT_STATE_ASSEMBLING)
		t->abort_pending = true;
}

/* Whether the response of a command that was accepted comes later. */
static bool is_deferred(const struct model_command *c, enum ft_state before)
{
	return (c->verb == FT_VERB_FIN || c->verb == FT_VERB_ABORT)
	       && (before == FT_STATE_RECEIVING || before == FT_STATE_ASSEMBLING);
}

static void take_answer(struct game *game, const struct model_command *c, const char *topic,
			enum ft_state before, enum ft_status expected, enum ft_status status,
			const cJSON *json)
{
	struct model_transfer *t = &game->t[c->key];
	bool deferred = status == FT_OK && is_deferred(c, before);

	game_check(game, status == expected || model_tolerates(t, c, expected, status),
		   "key %d: %s is answered with %s instead of %s", c->key, topic,
		   ft_status_word(status), ft_status_word(expected));
	/* At the first touch, at the latest, a restarted engine takes note of it. */
	t->news_unsure = t->news_unsure && game->now_ms != t->news_ms;
	if (status != FT_OK && model_is_news(t, c, status))
		model_news(t, game->now_ms);
	if (status == FT_OK && c->verb == FT_VERB_ABORT)
		apply_abort(t);
	else if (status == FT_OK)
		model_apply(t, c, game->now_ms);
	if (json)
		check_response(game, c, topic, status, json);
	game_check(game, (json != NULL) == !deferred, "%s response to %s",
		   json ? "too early a" : "no", topic);
	if (deferred)
		expect_response(game, c);
}

/* Plays one command. False: the engine died of it (and there is a new one). */
static bool move_command(struct game *game, struct model_command *c)
{
	char room[512], text[512];
	struct ft_buf topic = ft_buf_on(room, sizeof room);
	struct model_transfer *t = &game->t[c->key];
	struct wire wire = { .kind = WIRE_COMMAND, .len = (uint32_t)c->len };
	const void *payload = NULL;
	enum ft_status expected, status = FT_OK;
	enum ft_state before = t->state;
	cJSON *json = NULL;
	bool answered;

	if (c->verb == FT_VERB_SEGMENT)
		payload = move_segment_payload(c);
	if (c->verb == FT_VERB_INIT) {
		wire.len = (uint32_t)move_init_payload(c, text, sizeof text);
		payload = text;
	}
	move_topic(c, &topic);
	snprintf(wire.client, sizeof wire.client, "%s", game_client(c->key));
	wire.topic_len = (uint32_t)topic.len + 1;
	expected = model_expect(t, c, &game->limits);
	game->aborting = c->verb == FT_VERB_ABORT ? c->key : -1;
	(void)game_send(game, &wire, room, payload);	/* what is dead may have answers left */
	answered = game_await(game, game->seq, &status, &json);
	if (!answered && json)
		status = game_status_of(game, json);
	if (answered || json)
		take_answer(game, c, room, before, expected, status, json);
	else if (expected == FT_OK)
		model_maybe(t, c, game->now_ms);
	if (!answered && !json && c->verb == FT_VERB_SEGMENT) {
		game->again = true;
		game->in_flight = *c;
	}
	cJSON_Delete(json);
	game->aborting = -1;
	if (!answered)
		game_after_crash(game);
	return answered;
}

static bool move_status(struct game *game, int key)
{
	struct model_command c = { .verb = FT_VERB_STATUS, .key = key };

	return move_command(game, &c);
}

/* Asks without expecting anything; the response is the caller's. NULL: the engine died. */
static cJSON *ask_status(struct game *game, int key)
{
	struct model_command c = { .verb = FT_VERB_STATUS, .key = key };
	char room[512];
	struct ft_buf topic = ft_buf_on(room, sizeof room);
	struct wire wire = { .kind = WIRE_COMMAND };
	enum ft_status status = FT_INTERNAL_ERROR;
	cJSON *json = NULL;

	move_topic(&c, &topic);
	wire.topic_len = (uint32_t)topic.len + 1;
	snprintf(wire.client, sizeof wire.client, "%s", game_client(key));
	(void)game_send(game, &wire, room, NULL);
	if (!game_await(game, game->seq, &status, &json)) {
		cJSON_Delete(json);
		game_after_crash(game);
		return NULL;
	}
	game_check(game, json != NULL, "key %d: no answer to status", key);
	game_check(game, status == FT_OK, "key %d: status is answered with %s", key,
		   ft_status_word(status));
	return json;
}

#endif
