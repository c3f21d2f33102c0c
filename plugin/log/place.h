/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Where the log lies: option log_dir.
 *
 *	st = ft_log_place(&query, &place);		where it is to be; place.why: a line for people
 *	n = ft_log_former_places(&query, &place, former);
 *	for each of the n: ft_log_open_former()		what a former start left elsewhere
 *
 * `auto` is tmpfs, which no disk can hold up, if what lies there outlives a crash of the
 * broker; else storage_dir, where the file is called `log`. In any other directory there may
 * be logs of several brokers: the name has a hash of the storage's path and inode in it.
 *
 * Not on tmpfs, since a restart of the broker would find nothing:
 *	- with durability `segment`, which is a promise about power cuts
 *	- in a container (pid or ipc namespace is not the first one): its /dev/shm ends with it
 *	- in a systemd unit with User=: at its end RemoveIPC= may remove that user's files
 *	- as an ordinary user under systemd: logind removes that user's files at the logout
 *	- where the log would take more than a quarter of it, or more than is free
 *
 * Threads: one, before the engine starts.
 */
#ifndef FT_LOG_PLACE_H
#define FT_LOG_PLACE_H

#include <stddef.h>
#include <stdint.h>

#include "file_transfer/status.h"
#include "log/log.h"

#define FT_LOG_PATH_ROOM 4096
#define FT_LOG_WHY_ROOM 256
#define FT_LOG_FORMER_MAX 2

struct ft_log_place_query {
	const char *storage_dir;	/* exists */
	const char *log_dir;		/* the option; NULL: auto */
	uint64_t size;			/* of the ring */
	enum ft_log_sync sync;
	const char *root;		/* before /dev/shm, /proc, /run: for tests; NULL: nothing */
};

struct ft_log_place {
	char path[FT_LOG_PATH_ROOM];
	enum ft_log_medium medium;
	char why[FT_LOG_WHY_ROOM];
};

/*
 * Chooses the log's path. On error `why` is the line that says so. Errors: FT_IO_ERROR (a
 * directory cannot be used, a path is too long, durability `segment` with log_dir in memory).
 */
enum ft_status ft_log_place(const struct ft_log_place_query *query,
			    struct ft_log_place *place) FT_MUST_USE;

/* The other places where a log of this storage may lie; there is not always a file. */
size_t ft_log_former_places(const struct ft_log_place_query *query,
			    const struct ft_log_place *place,
			    struct ft_log_place former[FT_LOG_FORMER_MAX]);

#endif
