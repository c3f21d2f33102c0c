/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * An engine without a broker: commands go in as calls, responses are kept.
 *
 *	rig_setup(&rig, "fs");			options may be changed then
 *	rig_start(&rig);
 *	rig_send(&rig, "c", topic, bytes, len);	what the PUBACK would say
 *	rig_wait(&rig, 1);			until so many responses are there
 *	rig_teardown(&rig);
 *
 * The broker's time is the test's: rig.now_ms moves only when the test moves it. Writer and
 * finishers have the real clock.
 */
#ifndef FT_TESTS_RIG_H
#define FT_TESTS_RIG_H

#include <cjson/cJSON.h>
#include <check.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/identity.h"
#include "engine/engine_private.h"
#include "protocol/reply.h"
#include "../tree.h"

#define RIG_DEADLINE_S 60	/* on a machine that is as quick as others: see rig_slowness() */
#define RIG_LOG_ROOM ((size_t)64 * 1024)

struct rig_response {
	char *client;
	char *topic;
	enum ft_status status;
	cJSON *json;
};

/* What the broker says by itself. */
struct rig_message {
	char *topic;
	char *payload;		/* NUL-terminated */
	bool json, retain;
	int qos;
};

/* To a device. */
struct rig_block {
	char *client, *topic;
	void *bytes;
	size_t len;
};

struct rig {
	char dir[128];
	const struct ft_store_ops *ops;
	char identity[FT_IDENTITY_ROOM];
	struct ft_log_place log_place;
	struct ft_options options;
	struct ft_logger *logger;
	struct ft_engine *engine;
	sem_t notified;
	atomic_bool stopped;		/* notifications that come now have nobody to go to */
	bool abandoned;			/* it was stopped while a thread hung */
	int64_t now_ms;
	bool respond;			/* whether responses can be published; else they are counted only */
	size_t unpublished;
	struct rig_response *response;
	size_t responses, response_room;
	struct rig_message *message;
	size_t messages;
	struct rig_block *block;
	size_t blocks;
	atomic_size_t blocks_open;	/* made, and neither sent nor freed */
	const char *user;		/* of all clients; NULL: they have none */
	char *told;			/* the newest answer to an operator */
	char told_to[64];
	size_t told_count;
	char log[RIG_LOG_ROOM];		/* lines, each with its newline; what does not fit is left out */
	atomic_size_t log_len;
};

/* An empty storage_dir with a log in it, options as they are without any, no limit of space. */
void rig_setup(struct rig *rig, const char *backend);

/* Opens the engine on the rig's directory. */
enum ft_status rig_try_start(struct rig *rig);
void rig_start(struct rig *rig);

/* Ends it in an orderly way. */
void rig_stop(struct rig *rig);
void rig_restart(struct rig *rig);

/* Stops it and removes everything. */
void rig_teardown(struct rig *rig);

/*
 * What a process did that is then killed by SIGKILL: starts the engine in a child, runs `act`
 * there and kills it. Its assertions count; what it received is lost with it.
 */
void rig_act_and_be_killed(struct rig *rig, void (*act)(void));

/* Another boot: what was not synced does not count any more. */
void rig_cut_power(struct rig *rig);

/* Forgets responses and messages. */
void rig_forget(struct rig *rig);

/* ... those on a topic. */
void rig_forget_topic(struct rig *rig, const char *topic);

/* Sends a command; returns what the PUBACK would say. */
enum ft_status rig_send(struct rig *rig, const char *client, const char *topic,
			const void *payload, size_t len);
enum ft_status rig_send_text(struct rig *rig, const char *client, const char *topic,
			     const char *text);

/* The newest response on a topic; there must be one. */
struct rig_response *rig_response(struct rig *rig, const char *topic);

/* How many there are on a topic. */
size_t rig_count(const struct rig *rig, const char *topic);

/* The payload of the newest message on a topic; NULL: there was none. */
const char *rig_said(const struct rig *rig, const char *topic);

/* Takes all that is there. */
void rig_run(struct rig *rig);

/* Lets so much of the broker's time pass. */
void rig_pass(struct rig *rig, int64_t ms);

/* Runs the engine when it asks for it, until there are `count` responses. */
void rig_wait(struct rig *rig, size_t count);

/* ... until there is a response on a topic; its status. */
enum ft_status rig_wait_for(struct rig *rig, const char *topic);

/* How many times as long as usual things may take here: FT_TIMEOUT_SCALE, or 1. */
int rig_slowness(void);

/* ... until a condition holds. */
void rig_wait_until(struct rig *rig, bool (*holds)(void));

/* ... until all is in store and catalog and the log is empty. */
void rig_settle(struct rig *rig);

/* Sends and waits for the response; returns its status. What was kept before is forgotten. */
enum ft_status rig_ask(struct rig *rig, const char *client, const char *topic,
		       const void *payload, size_t len);
enum ft_status rig_ask_text(struct rig *rig, const char *client, const char *topic,
			    const char *text);

/* Sends commands as an operator, `{...},{...}`, and waits for the answer: its "responses". */
cJSON *rig_control(struct rig *rig, const char *commands);

/* ... one, which is answered by this text, but for its name. */
void rig_control_says(struct rig *rig, const char *command, const char *expected);

/* A member of a topic's newest response, printed without blanks. Static storage. */
const char *rig_member_of(struct rig *rig, const char *topic, const char *key);

/* ... of the newest response of all. */
const char *rig_member(struct rig *rig, const char *key);

/* A path below storage_dir. Static storage. */
const char *rig_path(const struct rig *rig, const char *below);

/* The content of a file below storage_dir is `len` bytes at `bytes`. */
void rig_check_file(const struct rig *rig, const char *below, const void *bytes, size_t len);

/* Whether there is anything of that name below storage_dir. */
bool rig_has_file(const struct rig *rig, const char *below);

/* Whether a line of the log contains this text. */
bool rig_logged(const struct rig *rig, const char *text);

#endif
