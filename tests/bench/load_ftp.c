/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* FTP: one control connection per client, a data connection (PASV) per file. */
#include <stdio.h>
#include <string.h>

#include "load_net.h"

/* The code of a reply; continuation lines ("230-…") are read over. */
static int reply(struct net *net, char line[NET_LINE])
{
	int code;

	do {
		net_line(net, line);
		if (sscanf(line, "%3d", &code) != 1)
			code = 0;
	} while (code == 0 || line[3] == '-');
	return code;
}

static void expect(struct net *net, int wanted, char line[NET_LINE])
{
	if (reply(net, line) != wanted)
		load_die("FTP: %s", line);
}

static void command(struct net *net, const char *text, int wanted, char line[NET_LINE])
{
	net_write(net, text, strlen(text), NULL, 0);
	expect(net, wanted, line);
}

static void open_ftp(struct net_client *client)
{
	char line[NET_LINE];

	net_connect(&client->net, client->options->port);
	expect(&client->net, 220, line);
	command(&client->net, "USER anonymous\r\n", 331, line);
	command(&client->net, "PASS bench\r\n", 230, line);
	command(&client->net, "TYPE I\r\n", 200, line);
	command(&client->net, "CWD up\r\n", 250, line);
}

static void open_data(struct net *net, struct net *data)
{
	unsigned int high, low;
	char line[NET_LINE];
	const char *address;

	command(net, "PASV\r\n", 227, line);
	address = strchr(line, '(');
	if (!address || sscanf(address, "(%*u,%*u,%*u,%*u,%u,%u)", &high, &low) != 2)
		load_die("FTP: %s", line);
	net_connect(data, high * 256 + low);
}

static void store_file(struct net_client *client, uint64_t file)
{
	char name[64], text[128], line[NET_LINE];
	struct net data;

	open_data(&client->net, &data);
	net_name(name, sizeof name, client, file);
	snprintf(text, sizeof text, "STOR %s\r\n", name);
	command(&client->net, text, 150, line);
	net_write(&data, NULL, 0, client->data->bytes, (size_t)client->options->size);
	net_close(&data);
	expect(&client->net, 226, line);
	net_sync(client, file);
}

int load_ftp(const struct load_options *options)
{
	static const struct net_protocol ftp = { .open = open_ftp, .file = store_file };

	return net_run(options, &ftp);
}
