/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What one client may use, and whom option `limits_file` allows something else.
 *
 *	{"overrides": [
 *		{"client": "camera-*", "client_quota": "10G", "max_file_size": null},
 *		{"user": "guest", "client_bandwidth": "64k", "client_rate": 5}
 *	]}
 *
 * `client` and `user` are patterns (glob.h) of which one or both are there; both must match then.
 * The first override that matches counts, in the order of the file, and what it does not name is
 * as the options say. Values are as those of the options, or numbers, or null: no limit.
 *
 *	if (ft_overrides_read(text, len, &options, &overrides, &why) != FT_OK) refuse;
 *	limits = ft_overrides_find(overrides, client_id, user);		NULL: those of the options
 *	ft_overrides_free(&overrides);
 *
 * Threads: any; once read it does not change.
 */
#ifndef FT_PROTOCOL_LIMITS_H
#define FT_PROTOCOL_LIMITS_H

#include <stddef.h>

#include "base/buf.h"
#include "file_transfer/status.h"
#include "protocol/options.h"

#define FT_OVERRIDES_MAX 1000		/* each may be looked at for a command */
#define FT_OVERRIDES_TEXT_MAX ((size_t)1024 * 1024)

struct ft_override {
	char *client;			/* owned; NULL: any */
	char *user;			/* owned; NULL: any, also without one */
	struct ft_limits limits;	/* those of the options where it names no other */
};

struct ft_overrides {
	size_t count;
	struct ft_override rows[];
};

/*
 * Reads a whole file's text. FT_INVALID_FILEMETA: `why` gets a line that says where and what, to
 * stand behind the file's name. FT_NO_MEMORY.
 */
enum ft_status ft_overrides_read(const char *text, size_t len, const struct ft_options *options,
				 struct ft_overrides **out, struct ft_buf *why) FT_MUST_USE;

/* NULL inside is ignored. */
void ft_overrides_free(struct ft_overrides **overrides);

/* The first override for a client, whose user may be NULL. NULL: there is none. */
const struct ft_override *ft_overrides_find(const struct ft_overrides *overrides,
					    const char *client, const char *user);

/* Writes those that there are as members of an object, with a comma before each but the first. */
void ft_limits_put(struct ft_buf *to, const struct ft_limits *limits);

typedef void ft_overrides_say(void *context, const char *line);

/*
 * Calls say() with a line for each difference, `limit` of them at most, and returns how many
 * there are. Takes the square of their number: up to some ms.
 */
size_t ft_overrides_compare(const struct ft_overrides *before, const struct ft_overrides *after,
			    const struct ft_options *options, size_t limit, ft_overrides_say *say,
			    void *context);

#endif
