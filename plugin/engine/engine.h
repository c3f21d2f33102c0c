/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The engine: carries out commands on the store and the workers.
 *
 *	message -> ft_engine_command() -> status for the PUBACK
 *	                               -> respond() now, or when a worker is done
 *	tick    -> ft_engine_run()     -> finished work, timers, respond()
 *
 * It knows nothing of Mosquitto: what it wants of the broker are the two hooks.
 * All functions belong to one thread, the broker's; nothing here waits for a disk
 * flush, a worker or another client.
 */
#ifndef FT_ENGINE_ENGINE_H
#define FT_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/options.h"
#include "protocol/reply.h"
#include "protocol/request.h"
#include "file_transfer/logger.h"
#include "file_transfer/store.h"

struct ft_engine;

struct ft_engine_hooks {
	void *context;
	/* Publishes a response. The engine's thread. Both are borrowed for the call. */
	void (*respond)(void *context, const struct ft_request *request,
			const struct ft_reply *reply);
	/* Work is done: have ft_engine_run() called soon. Any thread. */
	void (*notify)(void *context);
};

/*
 * Starts the engine on an open store, which it takes over. `options` and `log`
 * must outlive it. On error the store is closed all the same.
 * Errors: FT_NO_MEMORY, FT_INTERNAL_ERROR (no threads; logged).
 */
enum ft_status ft_engine_new(const struct ft_options *options, struct ft_store **store,
			     struct ft_logger *log, const struct ft_engine_hooks *hooks,
			     struct ft_engine **out) FT_MUST_USE;

/* Stops the workers at their next block, gives everything back, closes the store. */
void ft_engine_free(struct ft_engine **engine);

/*
 * Carries out one command. `payload` is borrowed for the call. Returns what is
 * known at once, for the PUBACK; the response is published in any case, now or
 * when the work is done.
 */
enum ft_status ft_engine_command(struct ft_engine *engine, const struct ft_request *request,
				 const void *payload, size_t len, int64_t now_ms);

/*
 * Takes back finished work and does what is due. Cheap where there is nothing.
 * Returns whether finished work is left over for the next call.
 */
bool ft_engine_run(struct ft_engine *engine, int64_t now_ms);

/* When ft_engine_run() has something to do even if no work comes back; INT64_MAX: never. */
int64_t ft_engine_due_ms(const struct ft_engine *engine);

#endif
