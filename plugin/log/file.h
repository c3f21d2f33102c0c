/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The file of a log, as a file: what is in it, log.c knows. */
#ifndef FT_LOG_FILE_H
#define FT_LOG_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "file_transfer/logger.h"
#include "file_transfer/status.h"

/*
 * Makes `path`, which is not there, mode 0600: `begin_len` bytes of `begin`, then zeros up to `len`, all written
 * and synced, with its directory. Until then it has another name, so that a file of that
 * name is whole. `fd` is the caller's; it is open for reading and writing, and locked.
 * Errors, with one line: FT_DISK_FULL, FT_NO_MEMORY, FT_IO_ERROR.
 */
enum ft_status ft_log_file_make(const char *path, const void *begin, size_t begin_len,
				uint64_t len, struct ft_logger *logger, int *fd) FT_MUST_USE;

/*
 * Opens `path` and locks it. *fd is -1 with FT_OK where there is no such file. Errors, with
 * one line: FT_BUSY (locked by another broker), FT_IO_ERROR, FT_NO_MEMORY.
 */
enum ft_status ft_log_file_open(const char *path, struct ft_logger *logger, int *fd) FT_MUST_USE;

/* Removes `path`; where there is none that is fine. Errors, with one line: FT_IO_ERROR. */
enum ft_status ft_log_file_remove(const char *path, struct ft_logger *logger) FT_MUST_USE;

/* Logs "<what> <path>: <errno's text>" and returns the status of errno. */
enum ft_status ft_log_file_failed(struct ft_logger *logger, const char *what, const char *path);

#endif
