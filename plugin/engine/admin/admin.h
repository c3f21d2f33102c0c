/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What operators ask (protocol/control.h), on the broker's thread. Each message is answered by
 * one, once all its commands have been carried out, one after the other. What needs the disk
 * goes to a finisher of its own lane, see admin_worker.h; meanwhile the message waits, and those
 * behind it. So there is never more than one command at work.
 *
 * Bounded: messages that wait, commands of a message, what is looked at for a page, the answer;
 * a few commands for each call of engine_run_admin(). It is not on the account of max_memory,
 * so that an operator can act when clients have used up all.
 */
#ifndef FT_ENGINE_ADMIN_H
#define FT_ENGINE_ADMIN_H

#include "base/list.h"
#include "engine/job.h"
#include "engine/registry.h"

struct ft_engine;

struct ft_admin {
	struct ft_list messages;	/* the first is being answered */
	size_t count;
	struct ft_admin_job *out;	/* the worker's; NULL: none */
	bool all_paused;
};

/* Catalog and registry as they were; before anybody is served. */
enum ft_status engine_load_pauses(struct ft_engine *e) FT_MUST_USE;

/* Goes on with what waits. Whether more could be done at once. */
bool engine_run_admin(struct ft_engine *e);

/* What the worker has done. */
void engine_take_admin(struct ft_engine *e, struct ft_admin_job *job);

/* Drops what waits; the worker has ended. */
void engine_release_admin(struct ft_engine *e);

/*
 * Whether a command that brings something in is refused for now: FT_PAUSED, or FT_BUSY while the
 * finished file of this id is being deleted. `t` NULL: there is no transfer.
 */
enum ft_status engine_check_admin(const struct ft_engine *e, const struct ft_key *key,
				  const struct ft_transfer *t) FT_MUST_USE;

#endif
