/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The storage directory as a whole: made, checked, and one broker's at a time. */
#ifndef FT_MOSQUITTO_STORAGE_DIR_H
#define FT_MOSQUITTO_STORAGE_DIR_H

#include "base/buf.h"
#include "file_transfer/status.h"

/*
 * Makes the directory where it is absent (not its parents) and takes its lock,
 * which lasts until ft_storage_dir_unlock() or the end of the process. On error
 * `why` gets one line for the operator. Errors: FT_IO_ERROR, FT_BUSY (in use).
 */
enum ft_status ft_storage_dir_lock(const char *dir, int *lock, struct ft_buf *why) FT_MUST_USE;

/* Gives the lock back; -1 is ignored. */
void ft_storage_dir_unlock(int *lock);

#endif
