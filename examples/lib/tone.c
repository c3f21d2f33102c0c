/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "tone.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool tone_has_colour(int fd)
{
	const char *no = getenv("NO_COLOR"), *terminal = getenv("TERM");

	return (!no || !*no) && terminal && *terminal && strcmp(terminal, "dumb") != 0 && isatty(fd);
}

const char *tone_on(int fd, enum tone tone)
{
	static const char *const codes[] = {
		[TONE_PLAIN] = "", [TONE_GOOD] = "\033[32m", [TONE_WARNING] = "\033[33m",
		[TONE_BAD] = "\033[31m",
	};

	return tone_has_colour(fd) ? codes[tone] : "";
}

const char *tone_off(int fd)
{
	return tone_has_colour(fd) ? "\033[0m" : "";
}
