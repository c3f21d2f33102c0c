/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Opening files below a directory, and nowhere else. Any thread. */
#ifndef FT_BASE_BENEATH_H
#define FT_BASE_BENEATH_H

/*
 * openat() that never leaves `dir`, whatever links there are (openat2(2), RESOLVE_BENEATH):
 * -1 with EXDEV. Before Linux 5.6, and where a filter of system calls does not know it, no link
 * is followed at all: -1 with ELOOP or ENOTDIR. `path`: relative, shorter than PATH_MAX.
 */
int ft_open_beneath(int dir, const char *path, int flags);

/* The same without openat2(): what is done where it is not there. */
int ft_open_beneath_by_steps(int dir, const char *path, int flags);

#endif
