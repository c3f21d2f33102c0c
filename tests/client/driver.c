/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A program that embeds the client, told by lines on standard input what to do; it
 * answers in lines of JSON. It is what the tests drive.
 *
 *	driver PORT CLIENT_ID [OPTION=VALUE ...]
 *
 *	add PATH | open PATH | pause | resume | rate N | publish QOS TOPIC TEXT |
 *	subscribe FILTER | cancel N | run SECONDS | save | quit
 */
#include <fcntl.h>
#include <inttypes.h>
#include <mosquitto.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../examples/ft-put/client.h"

static bool running = true;
static struct ft_client *client;
static unsigned again;		/* so many failures are answered by adding the file anew */

static void on_finished(void *context, const struct ft_client_file *file,
			enum ft_client_result result, int code, const char *text)
{
	(void)context;
	printf("{\"event\":\"finished\",\"number\":%u,\"result\":%d,\"code\":%d,\"text\":\"%s\","
	       "\"sha256\":\"%s\"}\n", file->number, (int)result, code, text, file->sha256);
	if (result != FT_CLIENT_DONE && again) {
		again--;
		ft_client_add_path(client, file->path, NULL);
	}
}

static void on_segment(void *context, const struct ft_client_file *file, uint64_t offset,
		       uint64_t len)
{
	(void)context;
	printf("{\"event\":\"segment\",\"number\":%u,\"offset\":%" PRIu64 ",\"len\":%" PRIu64 "}\n",
	       file->number, offset, len);
}

static void on_note(void *context, const struct ft_client_file *file, enum ft_client_note note,
		    const char *text)
{
	(void)context;
	(void)file;
	printf("{\"event\":\"note\",\"note\":%d,\"text\":\"%s\"}\n", (int)note, text);
}

static void on_message(void *context, const char *topic, const void *payload, size_t len)
{
	(void)context;
	printf("{\"event\":\"message\",\"topic\":\"%s\",\"text\":\"%.*s\"}\n", topic, (int)len,
	       (const char *)payload);
}

static void on_published(void *context, void *tag, bool acknowledged)
{
	(void)context;
	printf("{\"event\":\"published\",\"tag\":%lu,\"acknowledged\":%s}\n",
	       (unsigned long)(uintptr_t)tag, acknowledged ? "true" : "false");
}

static void publish(char *rest)
{
	static uintptr_t serial;
	char *qos = strsep(&rest, " "), *topic = strsep(&rest, " ");
	bool ok = ft_client_publish(client, topic, rest, strlen(rest),
				    (int)strtol(qos, NULL, 10), (void *)++serial);

	printf("{\"event\":\"publishing\",\"tag\":%lu,\"ok\":%s}\n", (unsigned long)serial,
	       ok ? "true" : "false");
}

static void run(const char *seconds)
{
	int result = (int)ft_client_run(client, strtod(seconds, NULL));

	printf("{\"event\":\"ran\",\"result\":%d,\"unfinished\":%u}\n", result,
	       ft_client_unfinished(client));
}

static void obey(char *line)
{
	char *rest = line, *word = strsep(&rest, " ");

	if (strcmp(word, "add") == 0)
		ft_client_add_path(client, rest, NULL);
	else if (strcmp(word, "open") == 0)
		ft_client_add_fd(client, open(rest, O_RDONLY | O_CLOEXEC),
				 &(struct ft_client_file_options){ .name = "opened" });
	else if (strcmp(word, "pause") == 0)
		ft_client_pause(client);
	else if (strcmp(word, "resume") == 0)
		ft_client_resume(client);
	else if (strcmp(word, "rate") == 0)
		ft_client_set_rate(client, strtoull(rest, NULL, 10));
	else if (strcmp(word, "publish") == 0)
		publish(rest);
	else if (strcmp(word, "subscribe") == 0)
		ft_client_subscribe(client, rest, 1);
	else if (strcmp(word, "cancel") == 0)
		ft_client_cancel(client, (unsigned)strtoul(rest, NULL, 10));
	else if (strcmp(word, "run") == 0)
		run(rest);
	else if (strcmp(word, "save") == 0)
		ft_client_save(client);
	else if (strcmp(word, "quit") == 0)
		running = false;
}

static void read_lines(void)
{
	static char buffer[65536];
	static size_t used;
	ssize_t got = read(STDIN_FILENO, buffer + used, sizeof(buffer) - used - 1);
	char *rest = buffer, *end;

	if (got <= 0) {
		running = false;
		return;
	}
	used += (size_t)got;
	buffer[used] = '\0';
	while ((end = strchr(rest, '\n'))) {
		*end = '\0';
		obey(rest);
		rest = end + 1;
	}
	used -= (size_t)(rest - buffer);
	memmove(buffer, rest, used);
}

static void take_option(struct ft_client_options *options, const char *text)
{
	unsigned number = (unsigned)strtoul(strchr(text, '=') + 1, NULL, 10);

	if (strncmp(text, "window=", 7) == 0)
		options->link.window = number;
	else if (strncmp(text, "connections=", 12) == 0)
		options->connections = number;
	else if (strncmp(text, "user=", 5) == 0)
		options->link.user = text + 5;
	else if (strncmp(text, "keepalive=", 10) == 0)
		options->link.keepalive_s = (int)number;
	else if (strncmp(text, "version=", 8) == 0)
		options->link.mqtt5 = number == 5;
	else if (strncmp(text, "segment=", 8) == 0)
		options->segment_bytes = number;
	else if (strncmp(text, "rate=", 5) == 0)
		options->rate = number;
	else if (strncmp(text, "reconnect=", 10) == 0)
		options->reconnect = (enum dialer_reconnect)number;
	else if (strncmp(text, "ack=", 4) == 0)
		options->ack_timeout_s = number;
	else if (strncmp(text, "patience=", 9) == 0)
		options->patience_s = number;
	else if (strncmp(text, "backoff=", 8) == 0)
		options->backoff_min_ms = number;
	else if (strncmp(text, "state=", 6) == 0)
		options->state_path = text + 6;
	else if (strncmp(text, "again=", 6) == 0)
		again = number;
	else if (strncmp(text, "host=", 5) == 0)
		options->link.host = text + 5;
}

int main(int argc, char **argv)
{
	struct ft_client_options options = { .link = { .host = "127.0.0.1", .mqtt5 = true } };
	const struct ft_client_events events = {
		.finished = on_finished, .segment = on_segment, .note = on_note,
		.message = on_message, .published = on_published,
	};

	if (argc < 3)
		return EXIT_FAILURE;
	options.link.port = (int)strtol(argv[1], NULL, 10);
	options.link.client_id = argv[2];
	for (int i = 3; i < argc; i++)
		take_option(&options, argv[i]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	mosquitto_lib_init();
	client = ft_client_new(&options, &events);
	while (client && running) {
		struct pollfd fds[] = { { .fd = ft_client_fd(client), .events = POLLIN },
					{ .fd = STDIN_FILENO, .events = POLLIN } };
		ft_client_step(client);
		poll(fds, 2, ft_client_timeout_ms(client));
		if (fds[1].revents)
			read_lines();
	}
	ft_client_free(client);
	mosquitto_lib_cleanup();
	return EXIT_SUCCESS;
}
