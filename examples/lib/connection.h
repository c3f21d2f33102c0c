/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The options of a command line that make a connection: names as mosquitto_pub has them.
 *
 *	for each connection_options[i]: add it to popt's table
 *	if (!connection_take(&link, option, value)) tell option->wants
 *	connection_settle(&link, "FT_PUT_PASSWORD");
 *	if (connection_wrong(&link, why, sizeof(why))) tell it
 *
 * Strings are borrowed.
 */
#ifndef EXAMPLES_CONNECTION_H
#define EXAMPLES_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>

#include "link.h"

struct connection_option {
	const char *name;
	char letter;
	const char *argument;		/* NULL: a switch, which takes none */
	bool (*take)(struct link_options *link, const struct connection_option *option,
		     const char *value);
	size_t at;			/* in struct link_options */
	int min, max;			/* of numbers */
	const char *wants;		/* what a value has to be */
	const char *help;		/* NULL: another spelling, not shown */
};

#define CONNECTION_OPTIONS 20

extern const struct connection_option connection_options[CONNECTION_OPTIONS];

/* False: the value is not what it has to be. */
bool connection_take(struct link_options *link, const struct connection_option *option,
		     const char *value);

/* What follows from what is said: TLS, the port, a password from the environment. */
void connection_settle(struct link_options *link, const char *password_variable);

/* What does not go together, or a file that cannot be used, in words; NULL: nothing. In `room` or static. */
const char *connection_wrong(const struct link_options *link, char *room, size_t size);

/* "; ...": what the user can do about a connection that failed so; "": nothing is known. Static. */
const char *connection_remedy(const char *text);

#endif
