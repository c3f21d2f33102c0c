/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What the command line of ft-get promises. */
#ifndef FT_GET_OPTIONS_H
#define FT_GET_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "../lib/command.h"
#include "../lib/dialer.h"
#include "../lib/sha256.h"

struct settings {
	struct command command;		/* its paths: what is to be fetched, or the prefix of a list */
	struct link_options link;	/* client_id NULL: to be made up */
	enum dialer_reconnect reconnect;
	const char *output;		/* NULL: the working directory; "-": standard output */
	bool list;
	bool watch;
	const char *exec;		/* NULL: nothing is run */
	char *aws_stream;		/* NULL: the native protocol */
	unsigned aws_file;
	uint64_t block_bytes;		/* fixed; 0: adaptive */
	uint64_t rate;			/* bytes a second; 0: no limit */
	char sha256[SHA256_HEX_ROOM];	/* "": any content */
	bool from_scratch;
	bool report;
	unsigned patience_s;		/* 0: for ever */
	const char *state_dir;		/* NULL: the usual place; "": none */
	bool json;
	bool quiet;
	bool verbose;
};

/*
 * Fills in `settings` from the configuration file, then the command line. False: end the
 * program with `*code`; what is wrong has been printed. options_release() in any case.
 */
bool options_parse(struct settings *settings, int argc, char **argv, enum exit_code *code);
void options_release(struct settings *settings);

/* Whether a path of the command line stands for all that is below it. */
bool options_is_folder(const char *path);

#endif
