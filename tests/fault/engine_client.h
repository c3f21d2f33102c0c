/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * An engine whose calls fail (calls.h), and a client that is patient: told of an error it
 * sends the same again, and is to be told then what it would have been told at first.
 * Include it once.
 */
#ifndef FT_TESTS_FAULT_ENGINE_CLIENT_H
#define FT_TESTS_FAULT_ENGINE_CLIENT_H

#include "../lib/runs.h"

#include "../rig.h"

static struct rig rig;
static bool engine_may_have_lost;	/* bytes that were acknowledged */

/* --- what the engine calls: the test's, so nothing fails there --- */

static void engine_log(void *context, enum ft_log_level level, const char *line)
{
	(void)context;
	calls_pause();
	if (getenv("FT_CALLS_LOG"))
		fprintf(stderr, "%s: log %d: %s\n", calls_text(), (int)level, line);
	calls_resume();
}

static void engine_respond(void *context, const struct ft_request *request,
			   const struct ft_reply *reply)
{
	calls_pause();
	rig_respond(context, request, reply);
	calls_resume();
}

/* --- start and end --- */

/* As plugin.c starts it; after an error nothing is left. */
static enum ft_status engine_try_start(void)
{
	const struct ft_engine_hooks hooks = { &rig, engine_respond, rig_notify };
	struct ft_store_config config = {
		.dir = rig.dir, .durability = (enum ft_durability)rig.options.durability,
		.boot_id = rig.boot_id, .max_open = 8,
	};
	struct ft_store *store = NULL;
	enum ft_status st;

	if (!(rig.log = config.log = ft_logger_new(engine_log, NULL)))
		return FT_NO_MEMORY;
	st = ft_store_backend(rig.backend)->open(&config, &store);
	if (st == FT_OK)
		st = ft_engine_new(&rig.options, &store, rig.log, &hooks, &rig.engine);
	if (st == FT_OK) {
		ft_engine_run(rig.engine, rig.now_ms);
		return st;
	}
	must(!store && !rig.engine);
	ft_logger_free(rig.log);
	rig.log = NULL;
	return st;
}

/* The fault is over where it lasts: somebody has seen to the disk. */
static void engine_excuse(void)
{
	must(calls.hits > 0);
	if (calls.plan.persistent) {
		/* Where more fails than one call, what was written over may not be put back. */
		engine_may_have_lost = true;
		calls_disarm();
	}
}

static void engine_start(void)
{
	if (engine_try_start() == FT_OK)
		return;
	engine_excuse();
	must(engine_try_start() == FT_OK);
}

static void engine_stop(void)
{
	ft_engine_free(&rig.engine);
	ft_logger_free(rig.log);
	rig.log = NULL;
	must(!rig.engine);
}

static void engine_restart(void)
{
	engine_stop();
	engine_start();
}

/* --- a client --- */

/* What is sent for a file, to send it again. */
struct client_segment {
	const char *topic;
	const char *payload;
};

static const struct client_segment client_sends_f[] = {
	{ "$file/f/5", "fghij" }, { "$file/f/10", "klmno" }, { "$file/f/0", "abcde" }, { NULL, NULL },
};
static char client_long_payload[(1 << 20) + 1];
static const struct client_segment client_sends_e[] = {
	{ "$file/e/0", client_long_payload }, { "$file/e/1048576", "the end" }, { NULL, NULL },
};
static const struct client_segment client_sends_h[] = {
	{ "$file/h/0", "hello" }, { "$file/h/5", "world" }, { NULL, NULL },
};

static const struct client_segment *client_segments(char file)
{
	return file == 'f' ? client_sends_f : file == 'e' ? client_sends_e : client_sends_h;
}

/* As rig_wait(), but that asserting allocates memory. */
static void client_wait(void)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += RIG_DEADLINE_S;
	while (rig.responses == 0) {
		must(sem_timedwait(&rig.notified, &deadline) == 0);
		ft_engine_run(rig.engine, rig.now_ms);
	}
}

/* An fsync, or the opening of a directory for one. */
static bool engine_may_not_have_synced(void)
{
	return calls.hit_sync || (calls.name && strcmp(calls.name, "openat") == 0);
}

/* Sends, waits, and checks that there is one answer, which says what the PUBACK said. */
static enum ft_status client_ask(const char *topic, const char *payload)
{
	enum ft_status known, told;
	struct rig_response *response;

	calls_pause();
	rig_forget(&rig);
	calls_resume();
	known = rig_send(&rig, "c", topic, payload, strlen(payload));
	if (rig.responses == 0)
		client_wait();
	/* Of a fin the PUBACK says that it was accepted. */
	else if (known != FT_OK || !strstr(topic, "/fin/"))
		must(rig.response[0].status == known);
	ft_engine_run(rig.engine, rig.now_ms);
	must(rig.responses == 1);
	response = &rig.response[0];
	told = response->status;
	engine_may_have_lost = engine_may_have_lost ||
			       (told == FT_IO_ERROR && engine_may_not_have_synced());
	must(strcmp(response->topic, topic) == 0);
	must(told != FT_CANCELLED && told != FT_DAMAGED);
	return told;
}

/*
 * A published file whose directory could not be synced is taken back; where not even that
 * can be done, on a disk that went read-only, it is neither finished nor unfinished until
 * the next start, which finds it finished.
 */
static bool client_is_stranded(void)
{
	return calls.plan.persistent && calls.plan.workers && engine_may_have_lost;
}

/* Where a failure gave a right to it. */
static bool client_may_be_told(enum ft_status st)
{
	switch (st) {
	case FT_IO_ERROR:
	case FT_INTERNAL_ERROR:
	case FT_NO_MEMORY:
	case FT_DISK_FULL:
	case FT_BUSY:
		return true;
	case FT_FILE_TOO_LARGE:
		return calls.error == EFBIG;
	case FT_INCOMPLETE:
		/* What may not have got through an fsync is not held any more. */
		return calls.hit_sync || engine_may_have_lost;
	case FT_NO_SUCH_TRANSFER:
		return client_is_stranded();
	default:
		return false;
	}
}

static void client_must_be_told(enum ft_status wanted, enum ft_status told, const char *topic)
{
	if (told == wanted)
		return;
	calls_disarm();
	ck_abort_msg("%s: %s is told %s", calls_text(), topic, ft_status_word(told));
}

static void client_send_again(const char *topic)
{
	const struct client_segment *each = client_segments(topic[strlen("$file/")]);

	for (; each->topic; each++) {
		enum ft_status st = client_ask(each->topic, each->payload);

		if (st == FT_NO_SUCH_TRANSFER && client_is_stranded()) {
			engine_restart();
			return;
		}
		client_must_be_told(FT_OK, st, each->topic);
	}
}

/* Asks until it is told what it must be told: at once, or once more after an error. */
static void client_expect(enum ft_status wanted, const char *topic, const char *payload)
{
	enum ft_status st = client_ask(topic, payload);

	for (int again = 0; st != wanted && again < 3; again++) {
		if (!client_may_be_told(st))
			client_must_be_told(wanted, st, topic);
		engine_excuse();
		if (st == FT_INCOMPLETE)
			client_send_again(topic);
		if (st == FT_NO_SUCH_TRANSFER)
			engine_restart();
		st = client_ask(topic, payload);
	}
	client_must_be_told(wanted, st, topic);
}

static bool client_was_told(const char *key, const char *value)
{
	bool is;

	calls_pause();
	is = strcmp(rig_member(&rig, key), value) == 0;
	calls_resume();
	return is;
}

static void client_expect_member(const char *key, const char *value)
{
	if (!client_was_told(key, value)) {
		calls_disarm();
		ck_abort_msg("%s: %s is %s, not %s", calls_text(), key, rig_member(&rig, key), value);
	}
}

#endif
