/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "call.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/process.h"

#define TOPIC "$CONTROL/file-transfer/v1"
#define ANSWER_MS 15000
#define STEP_MS 100

/* --- events of the connection --- */

static void on_acked(void *context, int mid, int reason)
{
	struct caller *caller = context;

	(void)mid;
	caller->denied = caller->denied || reason >= 0x80;
}

static void on_answered(void *context, const void *payload, size_t len)
{
	(void)context;
	(void)payload;
	(void)len;
}

/* The answer to the command that is out; others came too late. */
static void on_message(void *context, const char *topic, const void *payload, size_t len)
{
	struct caller *caller = context;
	cJSON *json = strcmp(topic, TOPIC "/response") == 0
		      ? cJSON_ParseWithLength(payload, len) : NULL;
	cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(json, "responses"), 0);
	const cJSON *mark = cJSON_GetObjectItemCaseSensitive(first, "correlationData");
	char wanted[16];

	snprintf(wanted, sizeof(wanted), "%u", caller->serial);
	/* Mosquitto 2.1 says so where no plugin serves the topic. */
	if (cJSON_GetObjectItemCaseSensitive(json, "error"))
		caller->denied = true;
	/* One that could not be read at all has no mark. */
	if (first && !caller->answer && (!mark || (cJSON_IsString(mark)
						   && strcmp(mark->valuestring, wanted) == 0)))
		caller->answer = cJSON_DetachItemFromArray(
			cJSON_GetObjectItemCaseSensitive(json, "responses"), 0);
	cJSON_Delete(json);
}

/* --- the connection --- */

static void caller_step(struct caller *caller, int wait_ms)
{
	struct pollfd ready = { .fd = link_fd(&caller->link), .events = POLLIN };
	unsigned what = 0;

	if (link_wants_write(&caller->link))
		ready.events |= POLLOUT;
	(void)poll(&ready, 1, wait_ms);
	if (ready.revents & POLLIN)
		what |= LINK_READABLE;
	if (ready.revents & POLLOUT)
		what |= LINK_WRITABLE;
	if (ready.revents & (POLLHUP | POLLERR))
		what |= LINK_HUNG_UP;
	link_step(&caller->link, what, process_now_ms());
}

static void caller_dial(struct caller *caller, const char *address)
{
	const struct link_events events = { caller, on_acked, on_answered, on_message };

	link_open(&caller->link, caller->options, address, &events, process_now_ms());
	while (caller->link.state < LINK_READY)
		caller_step(caller, STEP_MS);
}

static void caller_lost(struct caller *caller)
{
	caller->code = caller->link.state == LINK_REFUSED ? EXIT_DENIED : EXIT_LINK;
	complain(caller->code, "%s", caller->link.why);
}

bool caller_open(struct caller *caller, const struct link_options *options)
{
	char why[256];

	memset(caller, 0, sizeof(*caller));
	caller->options = options;
	if (options->unix_path) {
		caller_dial(caller, NULL);
	} else if (!addresses_find(&caller->addresses, options->host, why, sizeof(why))) {
		caller->code = complain(EXIT_LINK, "%s", why);
		return false;
	}
	for (size_t i = 0; i < caller->addresses.count && caller->link.state != LINK_READY; i++) {
		link_close(&caller->link);
		caller_dial(caller, caller->addresses.items[i]);
	}
	if (caller->link.state != LINK_READY)
		caller_lost(caller);
	return caller->link.state == LINK_READY;
}

void caller_close(struct caller *caller)
{
	if (caller->link.mosq)
		link_close(&caller->link);
	cJSON_Delete(caller->answer);
	caller->answer = NULL;
}

bool caller_wait(struct caller *caller, int64_t ms)
{
	int64_t until_ms = process_now_ms() + ms;

	while (caller->link.state == LINK_READY && process_now_ms() < until_ms) {
		int64_t left = until_ms - process_now_ms();

		caller_step(caller, left < STEP_MS ? (int)(left > 0 ? left : 0) : STEP_MS);
	}
	if (caller->link.state != LINK_READY)
		caller_lost(caller);
	return caller->link.state == LINK_READY;
}

/* --- commands --- */

cJSON *call_new(const char *name)
{
	cJSON *command = cJSON_CreateObject();

	if (command && !cJSON_AddStringToObject(command, "command", name)) {
		cJSON_Delete(command);
		command = NULL;
	}
	return command;
}

/* {"commands":[...]}, with a mark to know its answer by. */
static char *call_text(struct caller *caller, cJSON **command)
{
	cJSON *message = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(message, "commands");
	char mark[16], *text = NULL;

	snprintf(mark, sizeof(mark), "%u", ++caller->serial);
	if (list && *command && cJSON_AddStringToObject(*command, "correlationData", mark)
	    && cJSON_AddItemToArray(list, *command)) {
		*command = NULL;
		text = cJSON_PrintUnformatted(message);
	}
	cJSON_Delete(*command);
	*command = NULL;
	cJSON_Delete(message);
	return text;
}

static bool call_send(struct caller *caller, cJSON **command)
{
	char *text = call_text(caller, command);
	int mid;

	if (!text) {
		caller->code = complain(EXIT_INTERNAL, "out of memory");
		return false;
	}
	bool sent = link_publish(&caller->link, TOPIC, text, strlen(text), 1, &mid);
	free(text);
	if (!sent)
		caller_lost(caller);
	return sent;
}

static bool call_await(struct caller *caller)
{
	int64_t until_ms = process_now_ms() + ANSWER_MS;

	while (!caller->answer && !caller->denied && caller->link.state == LINK_READY
	       && process_now_ms() < until_ms)
		caller_step(caller, STEP_MS);
	if (caller->answer)
		return true;
	if (caller->link.state != LINK_READY)
		caller_lost(caller);
	else
		caller->code = complain(EXIT_DENIED, "%s: does the plugin there have \"control on\", "
					"and may this user publish to " TOPIC "?",
					caller->denied ? "denied" : "no answer");
	return false;
}

cJSON *call_quietly(struct caller *caller, cJSON **command)
{
	const cJSON *error, *detail;
	cJSON *data;

	cJSON_Delete(caller->answer);
	caller->answer = NULL;
	caller->error[0] = '\0';
	if (!call_send(caller, command) || !call_await(caller))
		return NULL;
	error = cJSON_GetObjectItemCaseSensitive(caller->answer, "error");
	detail = cJSON_GetObjectItemCaseSensitive(caller->answer, "detail");
	if (cJSON_IsString(error)) {
		caller->code = EXIT_REFUSED;
		snprintf(caller->error, sizeof(caller->error), "%s", error->valuestring);
		snprintf(caller->detail, sizeof(caller->detail), "%s",
			 cJSON_IsString(detail) ? detail->valuestring : error->valuestring);
		return NULL;
	}
	data = cJSON_DetachItemFromObjectCaseSensitive(caller->answer, "data");
	return data ? data : cJSON_CreateObject();
}

cJSON *call(struct caller *caller, cJSON **command)
{
	cJSON *data = call_quietly(caller, command);

	if (!data && *caller->error)
		complain(EXIT_REFUSED, "%s: %s", caller->error, caller->detail);
	return data;
}
