/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * An engine that is played with while all it does to files is recorded: commands go in as
 * calls, what is answered becomes an event on the tape, and time is the test's.
 */
#ifndef FT_TESTS_CRASH_PLAY_H
#define FT_TESTS_CRASH_PLAY_H

#include <cjson/cJSON.h>
#include <setjmp.h>

#include "base/buf.h"
#include "base/system.h"
#include "engine/engine.h"
#include "calls.h"
#include "protocol/reply.h"
#include "promise.h"
#include "../tree.h"

#define PLAY_NAME "name.bin"
#define PLAY_KILLS 100
#define PLAY_ROUNDS 10000	/* in which an engine has to come to rest */

struct play {
	char top[64];			/* directory for all of the test */
	char dir[80];			/* storage_dir */
	struct ft_options options;
	struct ft_logger *log;
	struct ft_engine *engine;
	int64_t now_ms;
	unsigned boots;
	bool loud;
	unsigned lazy;			/* percent of commands after which workers are not waited for */
	struct chance chance;

	struct promise_command *command;
	size_t commands;
	size_t command_room;
	struct promise_event *event;
	size_t events;
	size_t event_room;
	struct promise live;		/* by all events so far */
	cJSON *answer;			/* of the command that was answered last */

	jmp_buf lost;
	bool may_lose;
	char why[2048];

	/* From here on kept for good, so that a search for leaks finds it. */
	int kills;
	struct {
		struct ft_engine *engine;
		struct ft_logger *log;
	} killed[PLAY_KILLS];
};

static struct play play;

__attribute__((format(printf, 1, 2)))
_Noreturn static void play_lose(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(play.why, sizeof play.why, format, args);
	va_end(args);
	if (!play.may_lose)
		turns_stuck(play.why);
	longjmp(play.lost, 1);
}

#define play_check(condition, ...) \
	do { \
		if (!(condition)) \
			play_lose(__VA_ARGS__); \
	} while (0)

/* --- events --- */

static void play_event(struct promise_event event)
{
	play.event = crash_room(play.event, play.events, &play.event_room, sizeof *play.event);
	play.event[play.events] = event;
	tape_event((int)play.events++);
	promise_apply(&play.live, &event, play.command);
}

/* Forgets what was played after some place. */
static void play_forget(size_t commands, size_t events)
{
	while (play.commands > commands)
		free(play.command[--play.commands].bytes);
	while (play.events > events)
		free(play.event[--play.events].found);
}

static void play_respond(void *context, const struct ft_request *request,
			 const struct ft_reply *reply)
{
	size_t room = ft_reply_room(reply);
	char *text = crash_need(malloc(room));
	struct ft_buf buf = ft_buf_on(text, room);
	int command;

	(void)context;
	memcpy(&command, request->correlation, sizeof command);
	ft_reply_write(&buf, reply);
	if (play.loud)
		fprintf(stderr, "    response %d: %s\n", command, text);
	cJSON_Delete(play.answer);
	play.answer = cJSON_Parse(text);
	free(text);
	play.command[command].response = reply->status;
	play.command[command].answered = true;
	play_event((struct promise_event){ .what = PROMISE_RESPONSE, .command = command,
					   .status = reply->status });
}

static void play_notify(void *context)
{
	(void)context;
}

static void play_log(void *context, enum ft_log_level level, const char *line)
{
	(void)context;
	if (play.loud)
		fprintf(stderr, "    log %d: %s\n", (int)level, line);
}

/* --- life of the engine --- */

static void play_rest(void)
{
	bool more = true;

	for (int i = 0; more; i++) {
		play_check(i < PLAY_ROUNDS, "the engine does not come to rest");
		turns_settle();
		more = ft_engine_run(play.engine, play.now_ms);
	}
}

/* On what is in play.dir. */
static void play_start(void)
{
	const struct ft_engine_hooks hooks = { &play, play_respond, play_notify };
	char boot_id[FT_UUID_ROOM];
	struct ft_store_config config = {
		.dir = play.dir, .durability = play.live.durability, .boot_id = boot_id,
		.max_open = 16,
	};
	struct ft_store *store = NULL;

	snprintf(boot_id, sizeof boot_id, "%08x-1111-4111-8111-111111111111", play.boots + 1);
	play.options.durability = (int)play.live.durability;
	play.log = ft_logger_new(play_log, NULL);
	config.log = play.log;
	play_check(ft_store_backend("fs")->open(&config, &store) == FT_OK,
		   "the store does not open");
	play_check(ft_engine_new(&play.options, &store, play.log, &hooks, &play.engine) == FT_OK,
		   "the engine does not start");
	play_rest();
}

static void play_stop(void)
{
	ft_engine_free(&play.engine);
	ft_logger_free(play.log);
	play.log = NULL;
}

/* As by kill -9: its threads never go on, its memory stays where it is. */
static void play_kill(void)
{
	if (play.kills == PLAY_KILLS)
		abort();
	play.killed[play.kills].engine = play.engine;
	play.killed[play.kills++].log = play.log;
	turns_abandon();
	play.engine = NULL;
	play.log = NULL;
}

/* --- commands --- */

static void play_key(int key, char client[16], char file[16])
{
	/* Two of the same client, one of another. */
	snprintf(client, 16, "c%d", key / 2);
	snprintf(file, 16, "f%d", key % 2);
}

static int play_new(struct promise_command command)
{
	play.command = crash_room(play.command, play.commands, &play.command_room,
				  sizeof *play.command);
	play.command[play.commands] = command;
	return (int)play.commands++;
}

static void play_topic(const struct promise_command *c, struct ft_buf *topic)
{
	char client[16], file[16];

	play_key(c->key, client, file);
	ft_buf_printf(topic, "$file/%s/", file);
	switch (c->verb) {
	case FT_VERB_INIT:
		ft_buf_str(topic, "init");
		break;
	case FT_VERB_SEGMENT:
		ft_buf_printf(topic, "%llu", (unsigned long long)c->number);
		break;
	case FT_VERB_FIN:
		ft_buf_printf(topic, "fin/%llu/", (unsigned long long)c->number);
		ft_buf_hex(topic, c->bytes, FT_SHA256_LEN);
		break;
	case FT_VERB_ABORT:
		ft_buf_str(topic, "abort");
		break;
	case FT_VERB_STATUS:
		ft_buf_str(topic, "status");
		break;
	}
}

/* Sends a command that was made; returns its number. */
static int play_send(int number)
{
	const struct promise_command *c = &play.command[number];
	char room[160], client[16], file[16];
	struct ft_buf topic = ft_buf_on(room, sizeof room);
	struct ft_request request = { .client_id = client, .topic = room,
				      .correlation = &number, .correlation_len = sizeof number };
	bool has_payload = c->verb == FT_VERB_INIT || c->verb == FT_VERB_SEGMENT;
	enum ft_status st;

	play_key(c->key, client, file);
	play_topic(c, &topic);
	if (play.loud)
		fprintf(stderr, "  %d: %s %s (%zu bytes)\n", number, client, room, c->len);
	play_event((struct promise_event){ .what = PROMISE_SENT, .command = number });
	turns_point();
	st = ft_engine_command(play.engine, &request, has_payload ? c->bytes : NULL,
			       has_payload ? c->len : 0, play.now_ms);
	play.command[number].puback = st;
	play_event((struct promise_event){ .what = PROMISE_PUBACK, .command = number,
					   .status = st });
	if (!chance_percent(&play.chance, play.lazy))
		play_rest();
	return number;
}

/* Sends, and waits for the response. */
static enum ft_status play_ask(int number)
{
	play_send(number);
	play_rest();
	play_check(play.command[number].answered, "command %d is not answered", number);
	return play.command[number].response;
}

/* Killed at the nth call that changes files, if there are so many; and started again. */
static void play_die_at(int command, unsigned nth)
{
	turns_call_mortal(play_send, command, nth);
	play_kill();
	play_start();
}

static int play_init(int key, int life, uint64_t size)
{
	uint8_t *text = crash_need(malloc(160));
	/* Another one each time, as where a client computes `expire_at` anew. */
	int len = snprintf((char *)text, 160, "{\"name\":\"" PLAY_NAME "\",\"size\":%llu,"
			   "\"user_data\":{\"life\":%d,\"command\":%zu}}",
			   (unsigned long long)size, life, play.commands);

	return play_new((struct promise_command){ .verb = FT_VERB_INIT, .key = key, .life = life,
						  .number = size, .bytes = text, .len = (size_t)len });
}

/* The byte at a place, in one of several contents. */
static uint8_t play_byte(unsigned version, size_t at)
{
	struct chance chance = chance_of(version, at);

	return (uint8_t)chance_next(&chance);
}

static int play_segment(int key, size_t offset, size_t len, unsigned version)
{
	uint8_t *bytes = crash_need(malloc(len + 1));

	if (offset + len > PROMISE_SPAN)
		abort();
	for (size_t i = 0; i < len; i++)
		bytes[i] = play_byte(version, offset + i);
	return play_new((struct promise_command){ .verb = FT_VERB_SEGMENT, .key = key,
						  .life = play.live.latest[key],
						  .number = offset, .len = len, .bytes = bytes });
}

static int play_fin(int key, size_t size, bool mismatches)
{
	const struct promise_life *life = promise_latest(&play.live, key);
	struct ft_sha256 sum = { { 0 } };
	uint8_t *bytes = crash_need(malloc(sizeof sum));

	if (!ft_sha256_of(life->bytes, size, &sum))
		abort();
	sum.bytes[3] ^= mismatches;
	memcpy(bytes, &sum, sizeof sum);
	return play_new((struct promise_command){ .verb = FT_VERB_FIN, .key = key,
						  .life = play.live.latest[key], .number = size,
						  .bytes = bytes, .mismatches = mismatches });
}

static int play_plain(enum ft_verb verb, int key)
{
	return play_new((struct promise_command){ .verb = verb, .key = key,
						  .life = play.live.latest[key] });
}

/* Lets time pass until all checkpoints are due and made. */
static void play_hasty_checkpoint(void)
{
	play_rest();
	play.now_ms += 6000;
	ft_engine_run(play.engine, play.now_ms);
	play_rest();
}

/*
 * And then until the kernel has written the names: it is by a rename that a checkpoint
 * takes the place of the last one, and nobody waits for that to reach the disk.
 */
static void play_checkpoint(void)
{
	play_hasty_checkpoint();
	play.now_ms += 30000;
	if (tapes.on)
		tape_add(TAPE_COMMIT, -1);
	for (int key = 0; key < PROMISE_KEYS; key++)
		play_event((struct promise_event){ .what = PROMISE_CHECKPOINT, .key = key });
}

/* --- directories --- */

/* An empty storage_dir. */
static void play_clear(const char *name)
{
	snprintf(play.dir, sizeof play.dir, "%s/%s", play.top, name);
	tree_remove(play.dir);
	if (syscall(SYS_mkdirat, AT_FDCWD, play.dir, 0750) != 0)
		abort();
}

static void play_setup(enum ft_durability durability)
{
	const char *shm = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

	memset(&play, 0, offsetof(struct play, kills));
	snprintf(play.top, sizeof play.top, "%s/ft-crash-XXXXXX", shm);
	if (!mkdtemp(play.top))
		abort();
	play.now_ms = 1000000;
	play.loud = getenv("CRASH_LOUD") != NULL;
	play.live.durability = durability;
	ft_options_init(&play.options);
	play.options.min_free_space = 0;
	play.options.gc_interval = 1;
}

static void play_teardown(void)
{
	play_forget(0, 0);
	free(play.command);
	free(play.event);
	cJSON_Delete(play.answer);
	ft_options_release(&play.options);
	tree_remove(play.top);
}

#endif
