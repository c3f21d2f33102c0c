/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The engine: carries out commands. Knows no Mosquitto.
 *
 *	st = ft_engine_new(&config, &engine);
 *	st = ft_engine_command(engine, &request, payload, len, now_ms);	-> PUBACK
 *	ft_engine_run(engine, now_ms);		on every tick, and after notify()
 *	ft_engine_free(&engine);
 *
 * Every command is answered by respond(), at once or later; what it returns is what the PUBACK
 * says. The calls above touch no disk and wait for no other thread, but new and free, and but
 * for a short, bounded wait for room in the log while the writer makes progress.
 *
 * Threads: the broker's. notify() is called on others.
 */
#ifndef FT_ENGINE_ENGINE_H
#define FT_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "file_transfer/logger.h"
#include "file_transfer/store.h"
#include "log/place.h"
#include "protocol/options.h"
#include "protocol/reply.h"
#include "protocol/request.h"

struct ft_engine;

/* What the broker says by itself, to whoever has subscribed to it. Borrowed for the call. */
struct ft_message {
	const char *topic;
	const char *payload;
	size_t len;
	bool json;			/* else a text */
	bool retain;
	int qos;
};

struct ft_engine_hooks {
	void *context;
	/* Publishes a response. False: it could not be, and is to be told after the next start. */
	bool (*respond)(void *context, const struct ft_request *request,
			const struct ft_reply *reply);
	/* Publishes a message. False: it could not be. */
	bool (*publish)(void *context, const struct ft_message *message);
	/*
	 * Option downloads: memory for a block, NULL: there is none; and a block, which is taken
	 * over, to a client by name, whether it has subscribed to the topic or not; what cannot be
	 * published is lost. NULL inside is a block of length 0.
	 */
	void *(*block_new)(void *context, size_t len);
	void (*block_free)(void *context, void *block);
	void (*block_send)(void *context, const char *client_id, const char *topic, void **block,
			   size_t len);
	/*
	 * The socket of the connection that a request came by, to see whether its client reads; `known`
	 * is what was told last for this client, or -1. -1: it is not known. NULL: it never is.
	 */
	int (*socket_of)(void *context, const struct ft_request *request, int known);
	/* Something is done: make the broker's thread call ft_engine_run(). Any thread. */
	void (*notify)(void *context);
	/*
	 * Publishes the answer to an operator's message, to this client only; what cannot be is
	 * lost. NULL where ft_engine_control() is not called.
	 */
	void (*tell_operator)(void *context, const char *client_id, const char *text, size_t len);
};

struct ft_engine_config {
	const struct ft_options *options;	/* outlive the engine */
	struct ft_logger *logger;		/* outlives the engine */
	const struct ft_store_ops *ops;
	const struct ft_log_place *log_places;	/* where the log is to be, then former places */
	size_t log_place_count;			/* at least 1 */
	const char *identity;			/* of boot and storage, see base/identity.h */
	const char *whose;			/* ft_log_whose(); NULL: not known */
	struct ft_engine_hooks hooks;
};

/*
 * Opens store, catalog and log, carries out what an earlier process left in the log, and starts
 * the threads; may take as long as that takes. Errors are logged where they are seen.
 */
enum ft_status ft_engine_new(const struct ft_engine_config *config,
			     struct ft_engine **out) FT_MUST_USE;

/*
 * Ends: what is quick is finished, the rest is left to the next start; takes 5 s at most.
 * FT_TIMEOUT: a thread hangs in the disk and is left alone, with all that it uses, which is
 * what the engine was given, too. NULL inside is ignored.
 */
enum ft_status ft_engine_free(struct ft_engine **engine);

/* Carries out one command; see above. `now_ms` is monotonic. */
enum ft_status ft_engine_command(struct ft_engine *engine, const struct ft_request *request,
				 const void *payload, size_t len, int64_t now_ms);

/*
 * Carries out an operator's message (protocol/control.h), with option control only; answered by
 * tell_operator(), at once or later. `user`, NULL where there is none, is for the log.
 */
void ft_engine_control(struct ft_engine *engine, const char *client_id, const char *user,
		       const void *payload, size_t len, int64_t now_ms);

/*
 * Whether a client is a member of the group whose name `group` begins with, up to a '/'; option
 * downloads.
 */
bool ft_engine_is_member(const struct ft_engine *engine, const char *client_id, const char *user,
			 const char *group);

/* A client is not connected any more; cheap. NULL: it was none. */
void ft_engine_disconnected(struct ft_engine *engine, const char *client_id);

/* Takes results and looks at timers. Returns whether more results wait. */
bool ft_engine_run(struct ft_engine *engine, int64_t now_ms);

/* Reads limits_file again, on another thread. What is wrong with it is logged, and all stays as it was. */
void ft_engine_reload(struct ft_engine *engine);

/*
 * Another pass of the broker's loop has begun. Cheap. What is published leaves with the pass; a
 * broker that stops drops what was published last, which is then told again after the start.
 */
void ft_engine_pass(struct ft_engine *engine);

/* When ft_engine_run() is to be called at the latest, if nothing else happens. */
int64_t ft_engine_due_ms(const struct ft_engine *engine);

#endif
