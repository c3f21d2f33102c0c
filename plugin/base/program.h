/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Runs a program of the operator's, and waits for it: on a thread that has the time.
 *
 * It has its own process group, which is killed as a whole when it has ended or must end, no
 * descriptors but 0, 1 and 2, no blocked or ignored signals, and the environment of this process.
 * What it reads is a file in memory; of what it writes the last FT_PROGRAM_OUTPUT bytes of each
 * stream are kept. Only this one child is waited for. SIGCHLD must not be ignored.
 */
#ifndef FT_BASE_PROGRAM_H
#define FT_BASE_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FT_PROGRAM_OUTPUT ((size_t)128 * 1024)

/* How it ended. */
enum ft_program_end {
	FT_PROGRAM_NOT_STARTED,		/* code: errno */
	FT_PROGRAM_EXITED,		/* code: its exit status */
	FT_PROGRAM_CRASHED,		/* code: the signal */
	FT_PROGRAM_KILLED,		/* since must_end() said so */
};

/* What it wrote to a stream. */
struct ft_program_output {
	char text[FT_PROGRAM_OUTPUT];
	size_t len;
	bool cut;			/* there was more, before */
};

struct ft_program {
	char *const *argv;		/* argv[0]: absolute path */
	const char *input;
	size_t input_len;
	bool (*must_end)(void *context);	/* asked several times a second */
	void *context;
	/* results */
	int code;
	struct ft_program_output out, err;
};

enum ft_program_end ft_program_run(struct ft_program *program);

#endif
