/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/glob.h"

#include <fnmatch.h>

bool ft_glob_match(const char *pattern, const char *text)
{
	return fnmatch(pattern, text, 0) == 0;
}
