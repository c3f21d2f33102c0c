/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/job.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "engine/downloads/downloads.h"
#include "engine/admin/sorted_page.h"
#include "engine/things/things.h"

struct ft_finished ft_finish_result(const struct ft_finish *job)
{
	const struct ft_facts *facts = job->facts;
	struct ft_finished finished = {
		.number = facts->number, .key = facts->key, .size = job->fin.size,
		.checksum = job->digest, .completed_ms = job->completed_ms,
		.has_expire_at = facts->terms.has_expire_at, .expire_at = facts->terms.expire_at,
	};

	memcpy(finished.name, facts->meta.name, sizeof finished.name);
	memcpy(finished.init_name, facts->init_name, sizeof finished.init_name);
	memcpy(finished.transfer_id, facts->transfer_id, sizeof finished.transfer_id);
	return finished;
}

void ft_taken_clear(struct ft_taken *taken)
{
	struct ft_link *link;

	while ((link = ft_list_pop(&taken->files)) != NULL)
		free(FT_CONTAINER(link, struct ft_taken_file, link));
}

void ft_files_drop(struct ft_files *files, size_t i)
{
	assert(i < files->count);
	free((char *)(uintptr_t)files->files[i].key.owner);	/* with the id of the file behind it */
	files->files[i] = files->files[--files->count];
}

void ft_job_free(struct ft_job **pointer)
{
	struct ft_job *job = *pointer;
	struct ft_finish *finish;
	struct ft_files *files;

	*pointer = NULL;
	if (!job)
		return;
	assert(!ft_link_listed(&job->link));
	switch (job->kind) {
	case FT_JOB_FINISH:
		finish = FT_CONTAINER(job, struct ft_finish, job);
		ft_hasher_free(finish->hasher);
		free(finish->judged);
		free(finish->manifest);
		free(finish->gathered);
		break;
	case FT_JOB_CHECKPOINT:
		ft_ranges_release(&FT_CONTAINER(job, struct ft_checkpoint, job)->held);
		break;
	case FT_JOB_EXPIRED:
	case FT_JOB_REMOVE:
		files = FT_CONTAINER(job, struct ft_files, job);
		while (files->count > 0)
			ft_files_drop(files, files->count - 1);
		break;
	case FT_JOB_LOOKUP:
		ft_ticket_free(&FT_CONTAINER(job, struct ft_lookup, job)->ticket);
		break;
	case FT_JOB_LOST:
		ft_ranges_release(&FT_CONTAINER(job, struct ft_lost, job)->kept);
		break;
	case FT_JOB_RETOLD:
		ft_ticket_free(&FT_CONTAINER(job, struct ft_retold, job)->ticket);
		break;
	case FT_JOB_LIMITS:
		ft_overrides_free(&FT_CONTAINER(job, struct ft_limits_file, job)->overrides);
		break;
	case FT_JOB_TAKEN:
	case FT_JOB_ADOPTED:
		ft_taken_clear(FT_CONTAINER(job, struct ft_taken, job));
		break;
	case FT_JOB_DISCARD:
		assert(!FT_CONTAINER(job, struct ft_discard, job)->upload);
		break;
	case FT_JOB_VERIFY:
		ft_hasher_free(FT_CONTAINER(job, struct ft_verify_job, job)->hasher);
		free(FT_CONTAINER(job, struct ft_verify_job, job)->ids);
		break;
	case FT_JOB_SCAN:
		ft_scan_release(FT_CONTAINER(job, struct ft_scan, job));
		break;
	case FT_JOB_FETCH:
		ft_fetch_release(FT_CONTAINER(job, struct ft_fetch, job));
		break;
	case FT_JOB_CLOSE:
		ft_sys_close(FT_CONTAINER(job, struct ft_close, job)->fd);
		break;
	case FT_JOB_THING:
		ft_thing_call_release(FT_CONTAINER(job, struct ft_thing_call, job));
		break;
	case FT_JOB_INDEX:
		ft_job_index_drop(&FT_CONTAINER(job, struct ft_index_job, job)->index);
		free(FT_CONTAINER(job, struct ft_index_job, job)->named);
		break;
	case FT_JOB_ADMIN:
		ft_overrides_free(&FT_CONTAINER(job, struct ft_admin_job, job)->overrides);
		ft_sorted_page_free(&FT_CONTAINER(job, struct ft_admin_job, job)->clients);
		break;
	case FT_JOB_TIDY:
	case FT_JOB_ANNOUNCE:
	case FT_JOB_VERDICT:
	case FT_JOB_SEGMENT:
	case FT_JOB_UNTOLD:
	case FT_JOB_RESULT:
	case FT_JOB_LATER:
	case FT_JOB_SPACE:
		break;
	}
	free(job);	/* every kind begins with it */
}
