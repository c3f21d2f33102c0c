/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * An engine without a broker: commands go in as calls, responses are kept.
 * Time is the test's: rig.now_ms moves only when the test moves it.
 */
#ifndef FT_TESTS_RIG_H
#define FT_TESTS_RIG_H

#include <cjson/cJSON.h>
#include <check.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/system.h"
#include "engine/engine.h"
#include "protocol/reply.h"
#include "tree.h"

#define RIG_RESPONSES_MAX 64
#define RIG_DEADLINE_S 20

struct rig_response {
	char client[64];
	char topic[256];
	enum ft_status status;
	cJSON *json;
};

struct rig {
	char dir[64];
	const char *backend;
	char boot_id[FT_UUID_ROOM];
	struct ft_options options;
	struct ft_logger *log;
	struct ft_engine *engine;
	sem_t notified;
	int64_t now_ms;
	bool verbose;
	struct rig_response response[RIG_RESPONSES_MAX];
	size_t responses;
};

static inline void rig_log(void *context, enum ft_log_level level, const char *line)
{
	struct rig *rig = context;

	if (rig->verbose || level >= FT_LOG_ERROR)
		fprintf(stderr, "log %d: %s\n", (int)level, line);
}

static inline void rig_respond(void *context, const struct ft_request *request,
			       const struct ft_reply *reply)
{
	struct rig *rig = context;
	struct rig_response *response = &rig->response[rig->responses++];
	size_t room = ft_reply_room(reply);
	char *text = malloc(room);
	struct ft_buf buf = ft_buf_on(text, room);

	ck_assert(rig->responses < RIG_RESPONSES_MAX);
	ft_reply_write(&buf, reply);
	ck_assert(ft_buf_ok(&buf));
	ck_assert_str_eq(reply->topic, request->topic);
	snprintf(response->client, sizeof response->client, "%s", request->client_id);
	snprintf(response->topic, sizeof response->topic, "%s", request->topic);
	response->status = reply->status;
	response->json = cJSON_Parse(text);
	ck_assert_msg(response->json != NULL, "%s", text);
	free(text);
}

static inline void rig_notify(void *context)
{
	sem_post(&((struct rig *)context)->notified);
}

/* Opens store and engine on the rig's directory; nothing has been taken back from workers yet. */
static inline void rig_open(struct rig *rig)
{
	const struct ft_engine_hooks hooks = { rig, rig_respond, rig_notify };
	struct ft_store_config config = {
		.dir = rig->dir, .durability = (enum ft_durability)rig->options.durability,
		.boot_id = rig->boot_id, .max_open = 16,
	};
	struct ft_store *store = NULL;

	rig->log = ft_logger_new(rig_log, rig);
	config.log = rig->log;
	ck_assert_int_eq(ft_store_backend(rig->backend)->open(&config, &store), FT_OK);
	ck_assert_int_eq(ft_engine_new(&rig->options, &store, rig->log, &hooks, &rig->engine),
			 FT_OK);
}

static inline void rig_start(struct rig *rig)
{
	rig_open(rig);
	/* Timers look at the clock of the call: one run, so that they start now. */
	ft_engine_run(rig->engine, rig->now_ms);
}

static inline void rig_stop(struct rig *rig)
{
	ft_engine_free(&rig->engine);
	ft_logger_free(rig->log);
	rig->log = NULL;
}

static inline void rig_forget(struct rig *rig)
{
	for (size_t i = 0; i < rig->responses; i++)
		cJSON_Delete(rig->response[i].json);
	rig->responses = 0;
}

static inline void rig_setup(struct rig *rig, const char *backend)
{
	memset(rig, 0, sizeof *rig);
	ck_assert(tree_make(rig->dir, sizeof rig->dir, "ft-rig"));
	rig->backend = backend;
	rig->now_ms = 1000000;
	sem_init(&rig->notified, 0, 0);
	snprintf(rig->boot_id, sizeof rig->boot_id, "11111111-1111-4111-8111-111111111111");
	ft_options_init(&rig->options);
	rig->options.storage_dir = strdup(rig->dir);
	rig->options.min_free_space = 0;
	rig->options.gc_interval = 1;
}

static inline void rig_teardown(struct rig *rig)
{
	rig_forget(rig);
	rig_stop(rig);
	ft_options_release(&rig->options);
	sem_destroy(&rig->notified);
	tree_remove(rig->dir);
}

/* Sends a command; returns what the PUBACK would say. */
static inline enum ft_status rig_send(struct rig *rig, const char *client, const char *topic,
				      const void *payload, size_t len)
{
	struct ft_request request = { .client_id = client, .topic = topic };

	return ft_engine_command(rig->engine, &request, payload, len, rig->now_ms);
}

/* The newest response on a topic, or NULL. */
static inline struct rig_response *rig_response(struct rig *rig, const char *topic)
{
	for (size_t i = rig->responses; i > 0; i--)
		if (strcmp(rig->response[i - 1].topic, topic) == 0)
			return &rig->response[i - 1];
	return NULL;
}

/* Runs the engine when it asks for it, until there are `count` responses. */
static inline void rig_wait(struct rig *rig, size_t count)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += RIG_DEADLINE_S;
	while (rig->responses < count) {
		ck_assert_msg(sem_timedwait(&rig->notified, &deadline) == 0,
			      "no response within %d s", RIG_DEADLINE_S);
		ft_engine_run(rig->engine, rig->now_ms);
	}
}

/* Sends and waits for the response; returns its status. What was kept before is forgotten. */
static inline enum ft_status rig_ask(struct rig *rig, const char *client, const char *topic,
				     const void *payload, size_t len)
{
	rig_forget(rig);
	rig_send(rig, client, topic, payload, len);
	rig_wait(rig, 1);
	return rig_response(rig, topic)->status;
}

static inline enum ft_status rig_ask_text(struct rig *rig, const char *client, const char *topic,
					  const char *text)
{
	return rig_ask(rig, client, topic, text, strlen(text));
}

/* A member of the only response, printed without blanks. Static storage. */
static inline const char *rig_member(struct rig *rig, const char *key)
{
	static char text[4096];
	cJSON *item = cJSON_GetObjectItemCaseSensitive(rig->response[0].json, key);
	char *printed = item ? cJSON_PrintUnformatted(item) : NULL;

	snprintf(text, sizeof text, "%s", printed ? printed : "absent");
	free(printed);
	return text;
}

/* The journal of c/f: a checkpoint ends with a new one in the place of the old one. */
static inline ino_t rig_journal(const struct rig *rig)
{
	char path[128];
	struct stat info;

	snprintf(path, sizeof path, "%s/incoming/c/f/journal", rig->dir);
	ck_assert_int_eq(stat(path, &info), 0);
	return info.st_ino;
}

#endif
