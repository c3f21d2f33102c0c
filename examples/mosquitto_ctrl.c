/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * `mosquitto_ctrl [options] file-transfer COMMAND ...` is `ft-ctl [options] COMMAND ...`.
 *
 * mosquitto_ctrl loads mosquitto_ctrl_file-transfer.so, and hands over what stands behind the
 * name of the module. What it made of the options before it is in a struct that is private and
 * differs between versions; so they are taken from the command line itself, which ft-ctl
 * understands as it is.
 */
#include <errno.h>
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CTRL_ROOM 131072	/* no argument is longer than the kernel lets one be */
#define CTRL_ARGUMENTS 4096

__attribute__((visibility("default")))
int ctrl_main(int argc, char *argv[], void *ctrl);

/* The words of our command line; how many. */
static int ctrl_read_words(char *room, char **words)
{
	FILE *file = fopen("/proc/self/cmdline", "re");
	size_t len = file ? fread(room, 1, CTRL_ROOM - 1, file) : 0;
	int count = 0;

	if (file)
		fclose(file);
	room[len] = '\0';
	for (size_t at = 0; at < len && count < CTRL_ARGUMENTS; at += strlen(room + at) + 1)
		words[count++] = room + at;
	return count;
}

/* Returns only where that fails. */
static void ctrl_exec(int argc)
{
	char *room = malloc(CTRL_ROOM);
	char **words = calloc(CTRL_ARGUMENTS + 1, sizeof *words);
	int count = room && words ? ctrl_read_words(room, words) : 0;
	int module = count - argc - 1;	/* where its name stands */

	if (module > 0) {
		words[0] = strdup("ft-ctl");
		memmove(words + module, words + module + 1, (size_t)(argc + 1) * sizeof *words);
		execvp("ft-ctl", words);
	}
	fprintf(stderr, "file-transfer: cannot run ft-ctl: %s\n",
		module > 0 ? strerror(errno) : "/proc/self/cmdline cannot be read");
	free(words);
	free(room);
}

int ctrl_main(int argc, char *argv[], void *ctrl)
{
	(void)argv;
	(void)ctrl;
	fflush(NULL);
	ctrl_exec(argc);
	return MOSQ_ERR_UNKNOWN;	/* it has been said why */
}
