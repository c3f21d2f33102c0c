/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Patterns as the shell has them for file names (fnmatch(3)): '*', '?', "[a-z]", "[!a-z]", '\'.
 * Case matters. Texts are bytes: '?' is one of them, also within a character of UTF-8.
 */
#ifndef FT_PROTOCOL_GLOB_H
#define FT_PROTOCOL_GLOB_H

#include <stdbool.h>

bool ft_glob_match(const char *pattern, const char *text);

#endif
