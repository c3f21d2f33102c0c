/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What workers do to one transfer's bytes: hash behind the writer, make a
 * checkpoint, and at the end verify and publish. What is verified while others are
 * too is published together with them: see pool.h.
 *
 * An assembly is made and taken back on the broker's thread; between, it is the
 * worker's alone. `owner` and `given_up` are for the broker's thread only: a worker never
 * looks at them. The owner is NULL once the transfer has gone away meanwhile.
 */
#ifndef FT_ENGINE_ASSEMBLER_H
#define FT_ENGINE_ASSEMBLER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/sha256.h"
#include "protocol/manifest.h"
#include "file_transfer/store.h"
#include "engine/pool.h"

/*
 * A file up to this size, in bytes, is made durable together with others; a longer one
 * before, so that none waits for another's long write.
 */
#define FT_SMALL_FILE ((uint64_t)1024 * 1024)

enum ft_task {
	FT_TASK_HASH,		/* hash up to `target` */
	FT_TASK_CHECKPOINT,	/* make durable what `checkpoint` noted */
	FT_TASK_PUBLISH,	/* hash up to `target`, verify, make durable, publish */
};

struct ft_transfer;

struct ft_assembly {
	struct ft_job job;
	struct ft_transfer *owner;
	bool given_up;				/* stopped: nobody waits for its result */
	enum ft_task task;
	const struct ft_store_ops *ops;
	struct ft_work *work;			/* owned; HASH, PUBLISH */
	struct ft_checkpoint *checkpoint;	/* owned; CHECKPOINT */
	struct ft_hasher *hasher;		/* owned; HASH, PUBLISH */
	uint64_t target;			/* bytes from the start of the file */
	struct ft_manifest manifest;		/* PUBLISH: what init said */
	char *text;				/* owned; PUBLISH: the finished file's manifest */
	size_t text_len;
	bool has_expected;
	struct ft_sha256 expected;		/* PUBLISH: what the file must hash to */

	/* Results. */
	enum ft_status status;			/* FT_CANCELLED: stopped before it was done */
	bool sync_failed;
	bool publish_failed;
	struct ft_sha256 digest;		/* PUBLISH and FT_OK */
};

/* A job of the given task, holding nothing yet. NULL: out of memory. */
struct ft_assembly *ft_assembly_new(enum ft_task task, const struct ft_store_ops *ops);

/* Frees it with what it still owns; a checkpoint must have been ended. */
void ft_assembly_free(struct ft_assembly **assembly);

#endif
