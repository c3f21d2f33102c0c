/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "base/wildcard.h"

#include <stddef.h>

/* The pattern behind a set at `pattern` ('['), if `c` is one of it, else NULL. */
static const char *wildcard_match_set(const char *pattern, unsigned char c)
{
	const char *p = pattern + 1;
	bool inverted = *p == '^' || *p == '!', in = false;

	p += inverted;
	for (const char *first = p; *p && (*p != ']' || p == first); p++) {
		unsigned char low = (unsigned char)*p, high = low;

		if (p[1] == '-' && p[2] && p[2] != ']') {
			p += 2;
			high = (unsigned char)*p;
		}
		in = in || (c >= low && c <= high);
	}
	return *p == ']' && in != inverted ? p + 1 : NULL;
}

/* One character of the text; moves both on. */
static bool wildcard_match_one(const char **pattern, const char **text)
{
	const char *p = *pattern, *t = *text;

	if (*t == '\0')
		return false;
	if (*p == '?') {
		p++;
		do
			t++;
		while (((unsigned char)*t & 0xc0) == 0x80);
	} else if (*p == '[') {
		if (!(p = wildcard_match_set(p, (unsigned char)*t)))
			return false;
		t++;
	} else {
		p += *p == '\\' && p[1];
		if (*p++ != *t++)
			return false;
	}
	*pattern = p;
	*text = t;
	return true;
}

/* Only the last star can need another try: what matched before it can stay as it is. */
bool ft_wildcard_match(const char *pattern, const char *text)
{
	const char *star = NULL, *retry = NULL;

	for (;;) {
		if (*pattern == '*') {
			star = ++pattern;
			retry = text;
		} else if (*pattern == '\0' && *text == '\0') {
			return true;
		} else if (*pattern == '\0' || !wildcard_match_one(&pattern, &text)) {
			if (!star || *retry == '\0')
				return false;
			pattern = star;
			text = ++retry;
		}
	}
}
