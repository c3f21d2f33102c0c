/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Plays commands to an engine and to the model at the same time, and compares what
 * they say. The first difference ends the game: game->why says what it was.
 */
#ifndef FT_TESTS_MODEL_PLAY_H
#define FT_TESTS_MODEL_PLAY_H

#include <setjmp.h>

#include "model.h"
#include "model_child.h"

#define GAME_CLIENTS 3
#define GAME_FILES 5
#define GAME_KEYS (GAME_CLIENTS * GAME_FILES)
#define GAME_PENDING_MAX 512
#define GAME_DEADLINE_S 60
#define GAME_RESTART_SLACK_MS 120000	/* a restarted engine knows the news by the disk's clock */

struct game_pending {
	uint32_t seq;		/* 0: answered */
	int key;
	enum ft_verb verb;
	bool too_late;		/* an abort that could not stop the assembly */
};

struct game {
	struct child_setup setup;
	struct model_limits limits;
	struct child child;
	struct model_transfer t[GAME_KEYS];
	struct game_pending pending[GAME_PENDING_MAX];
	size_t pendings;
	bool on_disk;
	int64_t now_ms;
	uint32_t seq;
	int aborting;		/* the key whose abort is in flight, or -1 */
	bool stopping;
	bool lossy;		/* there was a power cut: errors in the log are to be expected */
	uint32_t die_at;	/* to be told to the child with the next message */
	uint32_t die_how;
	bool armed;		/* it may die at any moment */
	bool rebooted;
	unsigned boots;
	bool again;		/* `in_flight` is to be sent again, as clients do */
	struct model_command in_flight;
	unsigned epoch;		/* counts restarts */
	jmp_buf lost;
	char why[2048];
};

static const char *const game_clients[GAME_CLIENTS] = { "c", "../..", "\xc3\xbc.%2F" };
static const char *const game_files[GAME_FILES] = { "f", "..", "\xf0\x9f\x98\x80", "%2e%2e", "data" };
static const char *const game_names[] = { "n", "o.manifest.json" };

static const char *game_client(int key)
{
	return game_clients[key % GAME_CLIENTS];
}

static const char *game_file(int key)
{
	return game_files[key / GAME_CLIENTS];
}

__attribute__((noreturn, format(printf, 2, 3)))
static void game_lose(struct game *game, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(game->why, sizeof game->why, format, arguments);
	va_end(arguments);
	longjmp(game->lost, 1);
}

#define game_check(game, condition, ...) \
	do { \
		if (!(condition)) \
			game_lose(game, __VA_ARGS__); \
	} while (0)

/* --- talking to the child --- */

struct game_message {
	struct wire wire;
	char *text;	/* wire.len bytes and a NUL; static */
};

/* False: the child is gone. */
static bool game_receive(struct game *game, struct game_message *message)
{
	static char text[1 << 20];
	struct pollfd poll_fd = { .fd = game->child.fd, .events = POLLIN };

	game_check(game, poll(&poll_fd, 1, GAME_DEADLINE_S * 1000) == 1,
		   "no answer within %d s", GAME_DEADLINE_S);
	if (!child_read(game->child.fd, &message->wire, sizeof message->wire))
		return false;
	game_check(game, message->wire.len < sizeof text, "an answer of %u bytes",
		   message->wire.len);
	if (!child_read(game->child.fd, text, message->wire.len))
		return false;
	text[message->wire.len] = '\0';
	message->text = text;
	return true;
}

static bool game_send(struct game *game, struct wire *wire, const char *topic, const void *payload)
{
	wire->now_ms = game->now_ms;
	wire->seq = ++game->seq;
	wire->die_at = game->die_at;
	wire->die_how = game->die_how;
	game->armed = game->armed || game->die_at > 0;
	game->die_at = 0;
	return child_write(game->child.fd, wire, sizeof *wire)
	       && (wire->topic_len == 0 || child_write(game->child.fd, topic, wire->topic_len))
	       && (wire->len == 0 || child_write(game->child.fd, payload, wire->len));
}

/* --- responses --- */

static const struct {
	const char *word;
	enum ft_status status;
	int code;
} game_words[] = {	/* the contract's table, by hand */
	{ "success", FT_OK, 0x00 },
	{ "no_such_transfer", FT_NO_SUCH_TRANSFER, 0x10 },
	{ "file_checksum_mismatch", FT_FILE_CHECKSUM_MISMATCH, 0x10 },
	{ "checksum_mismatch", FT_CHECKSUM_MISMATCH, 0x80 },
	{ "incomplete", FT_INCOMPLETE, 0x80 },
	{ "timeout", FT_TIMEOUT, 0x80 },
	{ "internal_error", FT_CANCELLED, 0x80 },
	{ "invalid_offset", FT_INVALID_OFFSET, 0x83 },
	{ "invalid_filemeta_json", FT_INVALID_FILEMETA_JSON, 0x83 },
	{ "filemeta_conflict", FT_FILEMETA_CONFLICT, 0x83 },
	{ "already_complete", FT_ALREADY_COMPLETE, 0x83 },
	{ "file_too_large", FT_FILE_TOO_LARGE, 0x83 },
	{ "segment_too_large", FT_SEGMENT_TOO_LARGE, 0x83 },
	{ "busy", FT_BUSY, 0x97 },
};

static const char *game_string(const cJSON *json, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key));

	return text ? text : "absent";
}

static enum ft_status game_status_of(struct game *game, const cJSON *json)
{
	const char *word = game_string(json, "reason_description");
	const cJSON *code = cJSON_GetObjectItemCaseSensitive(json, "reason_code");

	for (size_t i = 0; i < sizeof game_words / sizeof game_words[0]; i++) {
		if (strcmp(game_words[i].word, word) != 0)
			continue;
		game_check(game, cJSON_IsNumber(code) && code->valueint == game_words[i].code,
			   "%s has another reason_code", word);
		return game_words[i].status;
	}
	game_lose(game, "a response says '%s'", word);
}

static const char *game_state_word(enum ft_state state)
{
	static const char *const words[] = {
		[FT_STATE_UNSAID] = "absent", [FT_STATE_NONE] = "none",
		[FT_STATE_RECEIVING] = "receiving", [FT_STATE_ASSEMBLING] = "assembling",
		[FT_STATE_COMPLETE] = "complete",
	};

	return words[state];
}

static void game_fin_answered(struct game *game, struct model_transfer *t, enum ft_status status,
			      const char *state)
{
	bool late = game->now_ms - t->assembling_ms >= 300000;

	t->waiters--;
	if (t->state != FT_STATE_ASSEMBLING) {
		game_check(game, status == t->result, "two results of one assembly: %s and %s",
			   ft_status_word(t->result), ft_status_word(status));
		return;
	}
	t->result = status;
	if (status == FT_NO_SUCH_TRANSFER) {
		game_check(game, game->aborting >= 0 && t == &game->t[game->aborting],
			   "an assembly ends with no_such_transfer without an abort");
		t->state = FT_STATE_RECEIVING;
		return;
	}
	if (status == FT_TIMEOUT && late && strcmp(state, "assembling") == 0)
		return;	/* it was past stopping, and goes on */
	model_news(t, game->now_ms);
	t->state = FT_STATE_RECEIVING;
	if ((status == FT_TIMEOUT && late) || (status == FT_CANCELLED && game->stopping))
		return;
	game_check(game, status == model_result(t), "the assembly ends with %s instead of %s",
		   ft_status_word(status), ft_status_word(model_result(t)));
	if (status == FT_OK)
		t->state = FT_STATE_COMPLETE;
	game_check(game, strcmp(state, game_state_word(t->state)) == 0,
		   "after an assembly that ended with %s the state is %s", ft_status_word(status),
		   state);
}

static void game_abort_answered(struct game *game, struct model_transfer *t, bool too_late,
				enum ft_status status)
{
	if (!too_late) {
		game_check(game, status == FT_OK, "an abort ends with %s", ft_status_word(status));
		return;
	}
	t->abort_pending = false;
	/* After a timeout nobody else is told of the result. */
	if (t->state == FT_STATE_ASSEMBLING && t->waiters == 0 && model_result(t) == FT_OK)
		t->state = FT_STATE_COMPLETE;
	game_check(game, status == FT_ALREADY_COMPLETE && t->state == FT_STATE_COMPLETE,
		   "an abort too late to stop the assembly ends with %s, the transfer is %s",
		   ft_status_word(status), game_state_word(t->state));
}

/* A response that comes after its PUBACK. */
static void game_deferred(struct game *game, const struct game_message *message)
{
	struct game_pending *pending = NULL;
	cJSON *json = cJSON_Parse(message->text);
	enum ft_status status;
	char state[32];

	for (size_t i = 0; i < game->pendings && !pending; i++)
		if (game->pending[i].seq == message->wire.seq)
			pending = &game->pending[i];
	game_check(game, json != NULL, "not JSON: %.200s", message->text);
	game_check(game, pending != NULL, "a response nobody waits for: %.200s", message->text);
	status = game_status_of(game, json);
	snprintf(state, sizeof state, "%s", game_string(json, "state"));
	cJSON_Delete(json);
	if (pending->verb == FT_VERB_FIN)
		game_fin_answered(game, &game->t[pending->key], status, state);
	else
		game_abort_answered(game, &game->t[pending->key], pending->too_late, status);
	*pending = game->pending[--game->pendings];
}

static void game_heed_log(struct game *game, const struct game_message *message)
{
	game_check(game, game->lossy, "the log says: %.500s", message->text);
}

/* --- messages --- */

/*
 * Waits for the end of what was sent with number `seq`. `json` gets the response that
 * came before it, if any. False: the child is gone.
 */
static bool game_await(struct game *game, uint32_t seq, enum ft_status *puback, cJSON **json)
{
	struct game_message message;

	while (game_receive(game, &message)) {
		switch (message.wire.kind) {
		case WIRE_RESPONSE:
			if (!json || message.wire.seq != seq) {
				game_deferred(game, &message);
				break;
			}
			game_check(game, !*json, "two responses to one command");
			*json = cJSON_Parse(message.text);
			game_check(game, *json != NULL, "not JSON: %.200s", message.text);
			break;
		case WIRE_LOG:
			game_heed_log(game, &message);
			break;
		case WIRE_PUBACK:
			game_check(game, message.wire.seq == seq, "PUBACK of another command");
			*puback = (enum ft_status)message.wire.status;
			return true;
		case WIRE_DONE:
			return true;
		default:
			game_lose(game, "message of kind %u", message.wire.kind);
		}
	}
	return false;
}

static void game_after_crash(struct game *game);

/* Has the engine run, after waiting a little for work to come back. False: it died. */
static bool game_run(struct game *game, unsigned wait_ms)
{
	struct wire wire = { .kind = WIRE_RUN, .wait_ms = wait_ms };

	(void)game_send(game, &wire, NULL, NULL);
	if (game_await(game, game->seq, NULL, NULL))
		return true;
	game_after_crash(game);
	return false;
}

/* Until every command has its response. False: the engine died meanwhile. */
static bool game_settle(struct game *game)
{
	int64_t until = ft_clock_ms() + GAME_DEADLINE_S * 1000;

	while (game->pendings > 0) {
		game_check(game, ft_clock_ms() < until, "%zu responses never come, the first "
			   "to a %s", game->pendings,
			   game->pending[0].verb == FT_VERB_FIN ? "fin" : "abort");
		if (!game_run(game, 20))
			return false;
	}
	return true;
}

#endif
