/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Client and file ids as names in the file system.
 *
 * Ids are arbitrary bytes ("../..", "/etc/passwd", 60 kB). The name made of one is
 * never empty, never "." or "..", has no '/', does not begin with '.', is at most
 * 255 bytes long, and no two ids have the same name:
 *
 * - each ASCII byte outside [A-Za-z0-9._-] becomes %XX (upper case hex), and so
 *   does a leading '.';
 * - non-ASCII bytes stay where the whole id is valid UTF-8, else they become %XX;
 * - where that is longer than 255 bytes: "%sha256-" and 64 hex digits of the id's
 *   SHA-256 ('s' is no hex digit, so no escaped id begins like that);
 * - the empty id becomes "%".
 */
#ifndef FT_BASE_ESCAPE_H
#define FT_BASE_ESCAPE_H

#include <stddef.h>

#define FT_NAME_ROOM 256	/* 255 bytes and the NUL */

/* Writes the name of the id, NUL-terminated, into `name` (FT_NAME_ROOM bytes); returns its length. */
size_t ft_escape(char *name, const char *id, size_t id_len);

/* The same, for a file system that holds names of `max` bytes only: longer ones are hashed, too. */
size_t ft_escape_within(char *name, const char *id, size_t id_len, size_t max);

#endif
