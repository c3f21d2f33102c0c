/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The part of the operator's commands that needs the disk, on a finisher of the lane
 * FT_LANE_ADMIN, with its own connection to the catalog: pages of finished files, one file,
 * deleting, pauses, setLimits.
 */
#ifndef FT_ENGINE_ADMIN_WORKER_H
#define FT_ENGINE_ADMIN_WORKER_H

#include "engine/core.h"

/* Carries out one command, and hands the job on. */
void ft_admin_work(struct ft_core *core, struct ft_catalog *catalog, struct ft_job *job);

/* --- admin_offer_worker.c --- */

/* Those about downloads. */
enum ft_status ft_admin_offer_file(struct ft_core *core, struct ft_catalog *catalog,
				   struct ft_admin_job *job) FT_MUST_USE;
enum ft_status ft_admin_withdraw_offer(struct ft_core *core, struct ft_catalog *catalog,
				       struct ft_admin_job *job) FT_MUST_USE;
enum ft_status ft_admin_list_jobs(struct ft_core *core, struct ft_catalog *catalog,
				  struct ft_admin_job *job) FT_MUST_USE;

#endif
