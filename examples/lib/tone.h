/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Colour where a terminal has it: not with NO_COLOR (https://no-color.org) or TERM=dumb, and
 * not where the output goes elsewhere.
 *
 *	printf("%s%s%s\n", tone_on(STDOUT_FILENO, TONE_GOOD), text, tone_off(STDOUT_FILENO));
 */
#ifndef EXAMPLES_TONE_H
#define EXAMPLES_TONE_H

enum tone {
	TONE_PLAIN,
	TONE_GOOD,
	TONE_WARNING,
	TONE_BAD,
};

/* Static storage; "" where there is no colour. */
const char *tone_on(int fd, enum tone tone);
const char *tone_off(int fd);

#endif
