/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What the functions share that carry out operators' commands on the broker's thread: admin.c,
 * which says how, admin_limits.c and admin_offers.c. For them alone.
 */
#ifndef FT_ENGINE_ADMIN_CALL_H
#define FT_ENGINE_ADMIN_CALL_H

#include "base/buf.h"
#include "engine/engine_private.h"
#include "protocol/control.h"

#define ADMIN_WHO_SHOWN 80		/* bytes of an id in a log line */
#define ADMIN_WHO_ROOM (64 + 2 * (4 * ADMIN_WHO_SHOWN + 4))

/* One message on its way. Owns all that it points to. */
struct admin_message {
	struct ft_link link;
	char *client_id;		/* who is answered */
	char who[ADMIN_WHO_ROOM];	/* the same with the user's name, for log lines */
	char *payload;
	size_t len;
	struct ft_control *control;	/* NULL: it is not its turn yet */
	size_t next;			/* command that is to be carried out, or is */
	char *room;			/* ADMIN_DATA_ROOM bytes */
	struct ft_buf data;		/* on it: members that answer the command */
	struct ft_buf answer;		/* what is answered so far; grows */
	struct ft_sorted_page *clients;	/* owned; of listClients, being written; NULL: none are */
	size_t clients_next;		/* entry of it */
};

/* One command that is carried out. */
struct admin_call {
	struct ft_engine *engine;
	struct admin_message *message;
	const struct ft_control_command *command;
	struct ft_buf *data;
	const char *word;		/* of an error; NULL: the status's. Static storage */
	const char *detail;		/* NULL: what the status says. Static storage */
	bool later;			/* the worker does it, or the rest of it */
	size_t cost;			/* in commands */
};

/*
 * Hands the command to the worker, and leaves the call to it. A job that has been begun already,
 * or NULL: one is made. It is taken over in any case. `number`: of a transfer, or 0.
 */
enum ft_status engine_submit_admin(struct admin_call *call, struct ft_admin_job *job,
				   uint64_t number) FT_MUST_USE;

/* A line that says who has had this command carried out. */
void engine_log_admin(const struct ft_engine *e, const struct admin_message *message,
		      const struct ft_control_command *command);

/* The commands about limits; there is no transfer. */
enum ft_status engine_get_limits(struct admin_call *call, struct ft_transfer *none) FT_MUST_USE;
enum ft_status engine_set_limits(struct admin_call *call, struct ft_transfer *none) FT_MUST_USE;
enum ft_status engine_reload_limits(struct admin_call *call, struct ft_transfer *none) FT_MUST_USE;

/* listClients: the worker says who there is, and what they have finished. */
enum ft_status engine_list_clients(struct admin_call *call, struct ft_transfer *none) FT_MUST_USE;

/* ... and what it has found is written, some at a time. True: that was all. */
void engine_begin_clients(struct admin_message *message, struct ft_admin_job *job);
bool engine_write_clients(const struct ft_engine *e, struct admin_message *message);

/* The commands about downloads, admin_offers.c; there is no transfer. */
enum ft_status engine_offer_file(struct admin_call *call, struct ft_transfer *none) FT_MUST_USE;
enum ft_status engine_withdraw_offer(struct admin_call *call, struct ft_transfer *none) FT_MUST_USE;
enum ft_status engine_list_offers(struct admin_call *call, struct ft_transfer *none) FT_MUST_USE;
enum ft_status engine_list_jobs(struct admin_call *call, struct ft_transfer *none) FT_MUST_USE;

#endif
