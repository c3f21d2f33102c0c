/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Runs the command of --exec: sh -c CMD, with the file as $1 and these in the environment:
 *
 *	FT_FILE		the file, absolute
 *	FT_PATH		as it is offered
 *	FT_SHA256	64 hexadecimal digits
 *	FT_SIZE		bytes
 *	FT_META		what is told with the offer (.<name>.json beside it), JSON; "" where nothing is
 *
 * Nothing of the broker's gets into CMD itself. Standard input is empty; the command is in a
 * process group of its own, so that Ctrl-C does not end an installation halfway, and has none of
 * our descriptors but output and errors.
 */
#ifndef FT_GET_EXEC_H
#define FT_GET_EXEC_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct exec_offer {
	const char *file;
	const char *path;
	const char *sha256;
	const char *meta;
	uint64_t size;
	bool quiet_output;		/* its standard output is our standard error */
};

/* -1: errno says why. */
pid_t exec_begin(const char *command, const struct exec_offer *offer, const sigset_t *open);

/* False while it runs; then how it has ended: "", or "exit status 3", "signal 9". */
bool exec_has_ended(pid_t pid, char *why, size_t room);

#endif
