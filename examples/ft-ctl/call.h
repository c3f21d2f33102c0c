/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Commands to the plugin, and their answers: one connection, one command at a time, waiting.
 *
 *	if (!caller_open(&caller, &settings->link)) return caller.code;
 *	command = call_new("getStatus");
 *	if (!(data = call(&caller, &command))) return caller.code;
 *	cJSON_Delete(data);
 *	caller_close(&caller);
 */
#ifndef FT_CTL_CALL_H
#define FT_CTL_CALL_H

#include <cjson/cJSON.h>

#include "../lib/addresses.h"
#include "../lib/link.h"
#include "options.h"

struct caller {
	const struct link_options *options;
	struct addresses addresses;
	struct link link;
	unsigned serial;		/* of the command that is out */
	bool denied;			/* the broker did not take the message */
	cJSON *answer;			/* to it */
	enum exit_code code;		/* once something has failed, and was told */
	char error[64];			/* the word that refused the last command; "": it was not */
	char detail[256];
};

/* Connects. False: it has been said why. caller_close() in any case. */
bool caller_open(struct caller *caller, const struct link_options *options);
void caller_close(struct caller *caller);

/* A command without arguments, to be completed. NULL: out of memory. */
cJSON *call_new(const char *name);

/*
 * Sends it, frees it, and waits for its data, which may be an empty object. NULL: it failed.
 * `call_quietly` leaves it to the caller to tell what the plugin has refused (`error`).
 */
cJSON *call(struct caller *caller, cJSON **command);
cJSON *call_quietly(struct caller *caller, cJSON **command);

/* Lets time pass while the connection lives. False: it does not any more. */
bool caller_wait(struct caller *caller, int64_t ms);

#endif
