/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/glob.h"

#include <assert.h>
#include <string.h>

#include "base/wildcard.h"

/* The next pattern, without the blanks around it; 0: there is none. */
static size_t glob_next(const char **patterns, const char **begin)
{
	const char *end;

	*begin = *patterns + strspn(*patterns, " ,");
	end = *begin + strcspn(*begin, ",");
	*patterns = end;
	while (end > *begin && end[-1] == ' ')
		end--;
	return (size_t)(end - *begin);
}

const char *ft_globs_check(const char *patterns)
{
	const char *begin;
	size_t len;
	bool any = false;

	while (patterns && (len = glob_next(&patterns, &begin)) > 0) {
		if (len > FT_GLOB_MAX)
			return "a pattern has at most 255 bytes";
		if (memchr(begin, '/', len))
			return "no name of a file has a /";
		any = true;
	}
	return !patterns || any ? NULL : "there is no pattern in it";
}

bool ft_globs_match(const char *patterns, const char *text)
{
	char pattern[FT_GLOB_MAX + 1];
	const char *begin;
	size_t len;

	while (patterns && (len = glob_next(&patterns, &begin)) > 0) {
		assert(len <= FT_GLOB_MAX);
		memcpy(pattern, begin, len);
		pattern[len] = '\0';
		if (ft_wildcard_match(pattern, text))
			return true;
	}
	return false;
}

enum ft_status ft_name_allowed(const struct ft_options *options, const char *name,
			       struct ft_buf *why)
{
	if (options->allow_names && !ft_globs_match(options->allow_names, name))
		ft_buf_str(why, "the broker takes only names that fit its allow_names");
	else if (ft_globs_match(options->deny_names, name))
		ft_buf_str(why, "the broker's deny_names refuse this name");
	else
		return FT_OK;
	return FT_NAME_REFUSED;
}
