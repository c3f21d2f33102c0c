/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Where the log lies: option log_dir.
 *
 *	st = ft_log_place(&query, &place);		where it is to be; place.why: a line for people
 *	st = ft_log_former_places(&query, &place, former, &n);
 *	for each of the n: ft_log_open_former()		what a former start left elsewhere
 *	ft_log_open(...)
 *	st = ft_log_note_place(dir, &place);		so that the next start finds it
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
 * NOTE. A log that is neither in storage_dir nor in /dev/shm would not be found any more once
 * log_dir is another one: so storage_dir has a file `log.path` then, of four lines: version, medium,
 * path of the log, and whose it is. Of a storage_dir that was copied it says nothing: whose tells.
 *
 *	1
 *	disk
 *	/mnt/fast/mosquitto-file-transfer-8a1f3c0e5b7d9246
 *	2049 131074 2049 2 /var/lib/mosquitto/files
 *
 * WHOSE. The numbers of storage_dir's device and inode, the same two of the root directory, and
 * the path without links.
 *
 * Threads: one, before the engine starts.
 */
#ifndef FT_LOG_PLACE_H
#define FT_LOG_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "file_transfer/status.h"
#include "log/log.h"

#define FT_LOG_PATH_ROOM 4096
#define FT_LOG_WHY_ROOM 512
#define FT_LOG_FORMER_MAX 3

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

/*
 * The other places where a log of this storage may lie; there is not always a file. First comes
 * the one that was noted. FT_IO_ERROR: that cannot be looked at, or was on a disk and is gone, and
 * with it perhaps what was acknowledged; former[0].why is the line that says so.
 */
enum ft_status ft_log_former_places(const struct ft_log_place_query *query,
				    const struct ft_log_place *place,
				    struct ft_log_place former[FT_LOG_FORMER_MAX],
				    size_t *count) FT_MUST_USE;

/* Notes where the log is, if that must be. False: it cannot be written, errno says why. */
bool ft_log_note_place(const char *storage_dir, const struct ft_log_place *place);

/* Whose log it is; an empty text where that cannot be said. */
void ft_log_whose(const char *storage_dir, char whose[FT_LOG_WHOSE_ROOM]);

/*
 * Removes logs beside one, a file of a log_dir that is not storage_dir, that are nobody's: of the
 * same user, held by no process, with nothing in them that is not stored, of a storage_dir that
 * is not there any more. Others stay; a line tells of those that something is in.
 */
void ft_log_remove_leftovers(const char *path, struct ft_logger *logger);

#endif
