/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Option `on_complete`: a program of the operator's judges a verified file before it is visible.
 *
 * A finisher of the large lane runs it, so at most `workers` run at a time. Exit 0 lets the file be
 * published; a JSON object on standard output may give it another name, user_data or expire_at.
 * That is noted in the catalog first, so that a start behind a kill finds what was published.
 */
#ifndef FT_ENGINE_JUDGE_H
#define FT_ENGINE_JUDGE_H

#include "engine/core.h"

/* Whether the store and the program can do what the option asks for; at the start. Logs. */
enum ft_status ft_judge_check(struct ft_core *core) FT_MUST_USE;

/*
 * Has a verified upload judged; job->facts are then as the program wants them. FT_REJECTED, with
 * job->detail; FT_TIMEOUT; FT_CANCELLED; FT_INTERNAL_ERROR where the program is at fault, logged.
 */
enum ft_status ft_judge(struct ft_core *core, struct ft_catalog *catalog, struct ft_finish *job,
			struct ft_upload *upload) FT_MUST_USE;

/* What was published by an earlier process: its name may be one that the program gave. */
enum ft_status ft_judge_recall(struct ft_catalog *catalog, struct ft_finish *job) FT_MUST_USE;

#endif
