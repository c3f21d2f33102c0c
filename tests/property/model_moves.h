/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * One move of the game: a command to both sides and the comparison of what comes of it;
 * or the end of the engine and a new one on what the old one left.
 */
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

/* --- the end of an engine, and the next one --- */

static void start_engine(struct game *game)
{
	game->setup.now_ms = game->now_ms;
	game->epoch++;
	game->armed = game->setup.die_at > 0;
	game_check(game, child_start(&game->child, &game->setup), "no child: %s", strerror(errno));
}

/* One that dies while it starts, or soon after. */
static void start_and_die(struct game *game, uint32_t die_at, uint32_t die_how)
{
	struct wire wire = { .kind = WIRE_RUN, .wait_ms = 2 };

	game->setup.die_at = die_at;
	game->setup.die_how = die_how;
	start_engine(game);
	game->setup.die_at = 0;
	(void)game_send(game, &wire, NULL, NULL);
	(void)game_await(game, game->seq, NULL, NULL);
	child_kill(&game->child);
	child_end(&game->child);
}

/* Which bytes the engine says it holds, as far as `have` goes; they must be among those it may. */
static void settle_bytes(struct game *game, int key, const cJSON *json)
{
	struct model_transfer *t = &game->t[key];
	uint8_t *has = calloc(1, t->span + 1);
	size_t bad = t->span;
	bool fewer = game->rebooted && game->setup.durability != FT_DURABILITY_SEGMENT;
	const cJSON *range;

	cJSON_ArrayForEach(range, cJSON_GetObjectItem(json, "have")) {
		double from = cJSON_GetNumberValue(cJSON_GetArrayItem(range, 0));
		double len = cJSON_GetNumberValue(cJSON_GetArrayItem(range, 1));

		if (from + len <= (double)t->span)
			memset(has + (size_t)from, 1, (size_t)len);
		else
			bad = 0;
	}
	for (size_t i = 0; i < t->span && bad == t->span; i++) {
		bool must = (t->held[i] == BYTE_HELD || t->held[i] == BYTE_CHANGED) && !fewer;

		if (has[i] ? t->held[i] == BYTE_MISSING : must)
			bad = i;
		if (!has[i])
			t->held[i] = BYTE_MISSING;
	}
	free(has);
	game_check(game, bad == t->span, "key %d: after %s byte %zu is held or not, against what "
		   "was acknowledged", key, game->rebooted ? "a reboot" : "a crash", bad);
	disk_check_held(game, key);
	for (size_t i = 0; i < t->span; i++)
		if (t->held[i] != BYTE_MISSING)
			t->held[i] = BYTE_HELD;
	t->unsure = false;
}

/* The state that the engine found on the disk, if it is one of those it may have found. */
static void settle_state(struct game *game, int key, const char *word)
{
	struct model_transfer *t = &game->t[key];
	bool forgets = game->rebooted && game->setup.durability != FT_DURABILITY_SEGMENT;
	enum ft_state state = strcmp(word, "none") == 0 ? FT_STATE_NONE
		: strcmp(word, "receiving") == 0 ? FT_STATE_RECEIVING
		: strcmp(word, "complete") == 0 ? FT_STATE_COMPLETE : FT_STATE_UNSAID;
	unsigned bit = state == FT_STATE_NONE ? MAY_BE_NONE
		: state == FT_STATE_RECEIVING ? MAY_BE_RECEIVING : MAY_BE_COMPLETE;
	unsigned may_be = t->may_be ? t->may_be : t->state == FT_STATE_NONE ? MAY_BE_NONE
		: t->state == FT_STATE_RECEIVING ? MAY_BE_RECEIVING : MAY_BE_COMPLETE;

	/* A transfer of which nothing has to be held may be lost as a whole. */
	if (game->lossy && (may_be & MAY_BE_RECEIVING)
	    && (forgets || !memchr(t->held, BYTE_HELD, t->span)))
		may_be |= MAY_BE_NONE;
	game_check(game, state != FT_STATE_UNSAID && (may_be & bit), "key %d: after a restart it "
		   "is %s", key, word);
	t->state = state;
	t->may_be = 0;
	if (state == FT_STATE_NONE)
		model_reset(t);
}

static void settle(struct game *game, int key)
{
	struct model_transfer *t = &game->t[key];
	struct model_command again = { .verb = FT_VERB_INIT, .key = key };
	cJSON *json;
	bool truncated;

	if (!t->may_be && !t->unsure && !t->described
	    && (!game->rebooted || t->state != FT_STATE_RECEIVING))
		return;
	json = ask_status(game, key);
	settle_state(game, key, game_string(json, "state"));
	truncated = cJSON_IsTrue(cJSON_GetObjectItem(json, "truncated"));
	if (t->state == FT_STATE_RECEIVING && !truncated)
		settle_bytes(game, key, json);
	cJSON_Delete(json);
	if (t->state == FT_STATE_RECEIVING && truncated) {
		again.verb = FT_VERB_ABORT;	/* more than it can tell: this one is given up */
		move_command(game, &again);
	} else if (t->described && t->state == FT_STATE_RECEIVING) {
		again.meta = t->meta;		/* as the client does, who got no answer */
		again.about = t->about;
		again.ttl = t->ttl;
		move_command(game, &again);
	}
	t->described = false;
	t->unsure = false;
}

/* A new engine on what the last one left, and the model brought to what that must be. */
static void next_engine(struct game *game, bool rebooted)
{
	game->pendings = 0;
	game->die_at = 0;
	game->rebooted = rebooted;
	for (int key = 0; key < GAME_KEYS; key++) {
		model_crashed(&game->t[key], game->now_ms);
		game->t[key].news_ms = game->now_ms;
		game->t[key].news_slack_ms = GAME_RESTART_SLACK_MS;
		game->t[key].news_unsure = true;
	}
	game->boots += rebooted;
	snprintf(game->setup.boot_id, sizeof game->setup.boot_id,
		 "%08x-1111-4111-8111-111111111111", game->boots + 1);
	start_engine(game);
	for (int key = 0; key < GAME_KEYS; key++)
		settle(game, key);
	game->rebooted = false;
	if (game->again) {
		game->again = false;
		move_command(game, &game->in_flight);
	}
}

static void game_after_crash(struct game *game)
{
	int status;

	game_check(game, game->armed, "the engine died");
	status = child_end(&game->child);
	game_check(game, WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		   "the engine died by itself (wait status %d)", status);
	next_engine(game, false);
}

static void move_kill(struct game *game)
{
	struct game_message message;

	child_kill(&game->child);
	/* What it had said by then holds. */
	while (game_receive(game, &message))
		if (message.wire.kind == WIRE_RESPONSE)
			game_deferred(game, &message);
	child_end(&game->child);
}

/* False: it died of its own arms first. */
static bool move_stop(struct game *game)
{
	struct wire wire = { .kind = WIRE_STOP };
	int status;

	game->stopping = true;
	game->die_at = 0;
	(void)game_send(game, &wire, NULL, NULL);
	if (!game_await(game, game->seq, NULL, NULL)) {
		game->stopping = false;
		game_after_crash(game);
		return false;
	}
	game->stopping = false;
	status = child_end(&game->child);
	game_check(game, status == 0, "the engine stopped with wait status %d", status);
	return true;
}

#endif
