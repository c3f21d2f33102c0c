/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "complain.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "tone.h"

static const char *complain_program = "";

void complain_as(const char *program)
{
	complain_program = program;
}

enum exit_code complain(enum exit_code code, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s%s: ", tone_on(STDERR_FILENO, code ? TONE_BAD : TONE_WARNING),
		complain_program);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "%s\n", tone_off(STDERR_FILENO));
	return code;
}
