/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Lists of patterns of names (base/wildcard.h).
 *
 * Lists are separated by commas, with blanks around them. Threads: any.
 */
#ifndef FT_PROTOCOL_GLOB_H
#define FT_PROTOCOL_GLOB_H

#include <stdbool.h>

#include "base/buf.h"
#include "file_transfer/status.h"
#include "protocol/options.h"

#define FT_GLOB_MAX 255		/* bytes of a pattern */

/* What is wrong with a list of patterns, or NULL (also for NULL). Static storage. */
const char *ft_globs_check(const char *patterns);

/* Whether one of the patterns of a list, which is in order, matches. NULL: no. */
bool ft_globs_match(const char *patterns, const char *text);

/*
 * Whether options allow_names and deny_names take this name of a file, whoever chose it:
 * FT_NAME_REFUSED, and `why` gets a line for the client.
 */
enum ft_status ft_name_allowed(const struct ft_options *options, const char *name,
			       struct ft_buf *why) FT_MUST_USE;

#endif
