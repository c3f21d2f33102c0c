/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The storage directory as a whole: made, checked, and one broker's at a time.
 *
 *	struct ft_storage_lock lock;
 *	if ((st = ft_storage_dir_lock(dir, FT_FSTAB, &lock, &why)) != FT_OK) ...
 *	ft_storage_dir_unlock(&lock);
 *
 * Two locks by flock(2): of the file `lock` in it, which says whose it is and which brokers
 * of former versions look at, and of the directory itself, so that removing the file lets
 * no second broker in. Where a file system locks no directories (NFS) the file's must do.
 */
#ifndef FT_MOSQUITTO_STORAGE_DIR_H
#define FT_MOSQUITTO_STORAGE_DIR_H

#include "base/buf.h"
#include "file_transfer/status.h"

#define FT_FSTAB "/etc/fstab"

struct ft_storage_lock {
	int dir;	/* -1: not taken */
	int file;
};

#define FT_STORAGE_LOCK_NONE { .dir = -1, .file = -1 }

/*
 * Makes the directory where it is absent (not its parents) and takes its locks, which last
 * until ft_storage_dir_unlock() or the end of the process. Refused: what is no directory or
 * not writable, and a directory on or below a mount point of `fstab` on which nothing is
 * mounted, since the disk that is meant is another one. On error `why` gets one line for
 * the operator. Errors: FT_IO_ERROR, FT_BUSY (in use).
 */
enum ft_status ft_storage_dir_lock(const char *dir, const char *fstab,
				   struct ft_storage_lock *lock, struct ft_buf *why) FT_MUST_USE;

/* Gives the locks back; none is ignored. */
void ft_storage_dir_unlock(struct ft_storage_lock *lock);

#endif
