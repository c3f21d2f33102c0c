/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What operators ask about limits, on the broker's thread. */
#include <stdlib.h>
#include <string.h>

#include "engine/admin/admin_call.h"

static enum ft_status admin_lacks_file(struct admin_call *call)
{
	call->detail = "there is no limits_file";
	return FT_INVALID_FILE_COMMAND;
}

/* The override that counts for a client as it would connect, by id and user name. */
static enum ft_status admin_find_override(struct admin_call *call, const struct ft_override **row)
{
	const struct ft_control_command *command = call->command;
	char *client;

	if (memchr(command->key.owner, '\0', command->key.owner_len))
		return FT_NO_SUCH_TRANSFER;
	if (!(client = strndup(command->key.owner, command->key.owner_len)))
		return FT_NO_MEMORY;
	*row = ft_overrides_find(call->engine->limits.overrides, client, command->user);
	free(client);
	return FT_OK;
}

/* Without an id what the options say, and all overrides. */
static void admin_put_overrides(struct admin_call *call)
{
	const struct ft_overrides *overrides = call->engine->limits.overrides;
	bool all;

	if (!overrides)
		return;
	ft_control_open(call->data, "overrides", '[');
	all = ft_overrides_put(call->data, overrides, &call->engine->options->limits);
	ft_buf_char(call->data, ']');
	if (!all)
		ft_control_put_truth(call->data, "truncated", true);
}

static void admin_put_override(struct ft_buf *to, const struct ft_override *row)
{
	ft_control_open(to, "override", '{');
	if (row->client)
		ft_control_put_word(to, "client", row->client);
	if (row->user)
		ft_control_put_word(to, "user", row->user);
	ft_buf_char(to, '}');
}

enum ft_status engine_get_limits(struct admin_call *call, struct ft_transfer *none)
{
	struct ft_engine *e = call->engine;
	const struct ft_override *row = NULL;
	enum ft_status st = FT_OK;

	(void)none;
	if (call->command->key.owner && (st = admin_find_override(call, &row)) != FT_OK)
		return st;
	ft_limits_put(call->data, row ? &row->limits : &e->options->limits);
	ft_control_put_truth(call->data, "overridden", row != NULL);
	if (row)
		admin_put_override(call->data, row);
	ft_control_put_number(call->data, "storage_used", engine_used_bytes(e));
	if (!call->command->key.owner)
		admin_put_overrides(call);
	return FT_OK;
}

enum ft_status engine_set_limits(struct admin_call *call, struct ft_transfer *none)
{
	struct ft_engine *e = call->engine;
	struct ft_admin_job *job;
	enum ft_status st;

	(void)none;
	if (!e->options->limits_file)
		return admin_lacks_file(call);
	if (!(job = calloc(1, sizeof *job)))
		return FT_NO_MEMORY;
	if ((st = engine_begin_limits(e, job)) == FT_OK)
		return engine_submit_admin(call, job, 0);
	call->detail = "limits_file is being read: try again soon";
	free(job);
	return st;
}

enum ft_status engine_reload_limits(struct admin_call *call, struct ft_transfer *none)
{
	(void)none;
	if (!call->engine->options->limits_file)
		return admin_lacks_file(call);
	ft_engine_reload(call->engine);
	engine_log_admin(call->engine, call->message, call->command);
	return FT_OK;
}
