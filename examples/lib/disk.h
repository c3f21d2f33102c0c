/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Small files that are read and replaced whole, and what makes files outlive a power cut. */
#ifndef EXAMPLES_DISK_H
#define EXAMPLES_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A file of 1 to `max` bytes, to be freed; not terminated. NULL: errno says why. */
char *disk_read(const char *path, size_t max, size_t *len);

/* Replaces a file by `text`, through another beside it and a rename: all or nothing, durable.
 * False: errno says why. */
bool disk_replace(const char *path, const char *text);

/* After a rename: without it the new name may vanish on power loss. Some file systems cannot. */
void disk_sync_folder(const char *path);

/* All of it. False: errno says why. */
bool disk_write(int fd, const void *bytes, size_t len);
bool disk_write_at(int fd, const void *bytes, size_t len, off_t offset);

/* All of it; false where the file ends before, too. */
bool disk_read_at(int fd, void *bytes, size_t len, off_t offset);

#endif
