/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What an exit status means, alike in all our programs, and one line that says why. */
#ifndef EXAMPLES_COMPLAIN_H
#define EXAMPLES_COMPLAIN_H

enum exit_code {
	EXIT_DONE = 0,
	EXIT_USAGE = 1,
	EXIT_FILE = 2,		/* cannot be read or written, or keeps changing */
	EXIT_LINK = 3,
	EXIT_DENIED = 4,	/* password, certificate, rights, no plugin, or it lacks the option */
	EXIT_REFUSED = 5,	/* the broker will not take, or does not have, what was asked for */
	EXIT_GAVE_UP = 6,	/* running it again may help */
	EXIT_INTERNAL = 7,
	EXIT_STOPPED = 8,	/* by Ctrl-C: running it again continues */
};

/* The name of the program, "" before that; it must outlive the last complaint. */
void complain_as(const char *program);

/* Prints "PROGRAM: ..." to stderr and returns `code`. With EXIT_DONE it is a warning. */
__attribute__((format(printf, 2, 3)))
enum exit_code complain(enum exit_code code, const char *format, ...);

#endif
