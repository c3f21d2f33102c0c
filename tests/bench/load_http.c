/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* HTTP/1.1 with keep-alive: PUT as web servers take it, and the tus protocol 1.0.0. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "load_net.h"

struct answer {
	int status;
	size_t len;
	bool chunked;
	char location[NET_LINE];
};

static const char *value_of(const char *line, const char *name)
{
	size_t len = strlen(name);

	if (strncasecmp(line, name, len) != 0 || line[len] != ':')
		return NULL;
	line += len + 1;
	return line + strspn(line, " ");
}

static void read_field(struct answer *answer, const char *line)
{
	const char *value;

	if ((value = value_of(line, "content-length")))
		answer->len = (size_t)strtoull(value, NULL, 10);
	if ((value = value_of(line, "transfer-encoding")))
		answer->chunked = strstr(value, "chunked") != NULL;
	if ((value = value_of(line, "location")))
		snprintf(answer->location, sizeof answer->location, "%s", value);
}

static void skip_chunks(struct net *net)
{
	char line[NET_LINE];
	size_t len;

	do {
		net_line(net, line);
		len = (size_t)strtoull(line, NULL, 16);
		net_skip(net, len);
		net_line(net, line);
	} while (len > 0);
}

static void read_answer(struct net *net, struct answer *answer)
{
	char line[NET_LINE];

	memset(answer, 0, sizeof *answer);
	net_line(net, line);
	if (sscanf(line, "HTTP/1.1 %d", &answer->status) != 1)
		load_die("this is no HTTP: %s", line);
	for (;;) {
		net_line(net, line);
		if (line[0] == '\0')
			break;
		read_field(answer, line);
	}
	if (answer->chunked)
		skip_chunks(net);
	else if (answer->status != 204)
		net_skip(net, answer->len);
}

__attribute__((format(printf, 5, 6)))
static void request(struct net_client *client, struct answer *answer, const void *body,
		    uint64_t len, const char *format, ...)
{
	char head[NET_LINE + 512];
	va_list args;
	int head_len;

	va_start(args, format);
	head_len = vsnprintf(head, sizeof head, format, args);
	va_end(args);
	if (head_len < 0 || (size_t)head_len >= sizeof head)
		load_die("a request is too long");
	net_write(&client->net, head, (size_t)head_len, body, (size_t)len);
	read_answer(&client->net, answer);
}

static void open_http(struct net_client *client)
{
	net_connect(&client->net, client->options->port);
}

/* --- PUT --- */

static void put_file(struct net_client *client, uint64_t file)
{
	uint64_t size = client->options->size;
	struct answer answer;
	char name[64];

	net_name(name, sizeof name, client, file);
	request(client, &answer, client->data->bytes, size,
		"PUT /%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %llu\r\n\r\n", name,
		(unsigned long long)size);
	if (answer.status != 201 && answer.status != 204)
		load_die("PUT is answered by %d", answer.status);
	net_sync(client, file);
}

int load_put(const struct load_options *options)
{
	static const struct net_protocol put = { .open = open_http, .file = put_file };

	return net_run(options, &put);
}

/* --- tus --- */

static const char *path_of(const char *location)
{
	const char *host = strstr(location, "://");
	const char *path = host ? strchr(host + 3, '/') : location;

	if (!path || path[0] != '/')
		load_die("tus: no Location that could be used: %s", location);
	return path;
}

static void patch(struct net_client *client, const char *path, uint64_t offset)
{
	uint64_t left = client->options->size - offset;
	uint64_t len = left < client->options->chunk ? left : client->options->chunk;
	struct answer answer;

	request(client, &answer, client->data->bytes + offset, len,
		"PATCH %s HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\n"
		"Content-Type: application/offset+octet-stream\r\nUpload-Offset: %llu\r\n"
		"Content-Length: %llu\r\n\r\n", path, (unsigned long long)offset,
		(unsigned long long)len);
	if (answer.status != 204)
		load_die("PATCH is answered by %d", answer.status);
}

static void tus_file(struct net_client *client, uint64_t file)
{
	struct answer answer;

	(void)file;
	request(client, &answer, NULL, 0,
		"POST /files HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\n"
		"Upload-Length: %llu\r\nContent-Length: 0\r\n\r\n",
		(unsigned long long)client->options->size);
	if (answer.status != 201)
		load_die("POST is answered by %d", answer.status);
	for (uint64_t offset = 0; offset < client->options->size; offset += client->options->chunk)
		patch(client, path_of(answer.location), offset);
}

int load_tus(const struct load_options *options)
{
	static const struct net_protocol tus = { .open = open_http, .file = tus_file };

	return net_run(options, &tus);
}
