/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Downloads an offered file with little memory: one block at a time, each written when it comes.
 * Run it again after an interruption: it goes on with the size of FILE. What is offered, and its
 * SHA-256, is on $file-offer/...; verify FILE by that, and a signature of yours before it is run.
 *
 *	cc examples/download.c -lmosquitto -o download
 *	download PATH SHA256 FILE HOST PORT CLIENT_ID
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE	/* memmem */
#endif
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BLOCK 16384
#define PATIENCE_S 10		/* then a block is asked for again */

static char **arguments, topic[1200];
static FILE *file;
static time_t asked;
static enum { RUNNING, DONE, FAILED } state;

static void ask(struct mosquitto *mosq)
{
	snprintf(topic, sizeof(topic), "$file-get/%ld/%d/%s", ftell(file), BLOCK, arguments[1]);
	mosquitto_publish(mosq, NULL, topic, (int)strlen(arguments[2]), arguments[2], 1, false);
	snprintf(topic, sizeof(topic), "$file-data/%s/%ld/%s", arguments[6], ftell(file), arguments[1]);
	asked = time(NULL);
}

static void on_message(struct mosquitto *mosq, void *object,
		       const struct mosquitto_message *message)
{
	size_t len = (size_t)message->payloadlen;

	(void)object;
	/* file_changed, no_such_file, ...; for 151, busy, the block is asked for again later. */
	if (strncmp(message->topic, "$file-response/", 15) == 0 &&
	    !memmem(message->payload, len, "\"reason_code\":151", 17)) {
		fprintf(stderr, "%.*s\n", (int)len, (const char *)message->payload);
		state = FAILED;
	}
	if (strcmp(message->topic, topic) != 0)
		return;
	if (len > 0 && fwrite(message->payload, 1, len, file) != len)
		state = FAILED;
	else if (len < BLOCK)	/* a short one is the last */
		state = DONE;
	else
		ask(mosq);
}

int main(int argc, char **argv)
{
	arguments = argv;
	if (argc != 7 || !(file = fopen(argv[3], "ab")) || fseek(file, 0, SEEK_END) != 0)
		return EXIT_FAILURE;
	mosquitto_lib_init();
	struct mosquitto *mosq = mosquitto_new(argv[6], true, NULL);
	mosquitto_message_callback_set(mosq, on_message);	/* no subscription is needed */
	int error = mosquitto_connect(mosq, argv[4], (int)strtol(argv[5], NULL, 10), 30);
	while (state == RUNNING && !error) {
		if (time(NULL) - asked >= PATIENCE_S)
			ask(mosq);
		error = mosquitto_loop(mosq, 1000, 1);
	}
	return fclose(file) == 0 && state == DONE ? EXIT_SUCCESS : EXIT_FAILURE;
}
