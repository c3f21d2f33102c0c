/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Patterns of names as in the shell. fnmatch() takes time that grows as a power of the number of
 * stars, which nobody can wait for on the broker's thread; this takes pattern times text.
 */
#ifndef FT_BASE_WILDCARD_H
#define FT_BASE_WILDCARD_H

#include <stdbool.h>

/*
 * Whether the whole text matches: `*` any characters, `?` one, `[a-z]` one of these, `[!a-z]` or
 * `[^a-z]` none of these, `\` the next one itself. A bracket that is never closed matches nothing.
 * Characters are bytes, but for `?`, which is one of UTF-8. Case matters.
 */
bool ft_wildcard_match(const char *pattern, const char *text);

#endif
