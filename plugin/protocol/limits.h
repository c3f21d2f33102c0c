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

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "file_transfer/status.h"
#include "protocol/options.h"

struct cJSON;

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

/*
 * What an operator wants to be otherwise, for the clients of one override, which is added where
 * there is none of just these patterns. Borrowed.
 */
struct ft_limits_change {
	const char *client, *user;	/* as in an override: one or both; NULL: it has none */
	const struct cJSON *limits;	/* an object, values as in an override; NULL: none are set */
	const struct cJSON *unset;	/* an array of names: as the options say again; NULL: none */
	bool remove;			/* the whole override goes */
};

/*
 * The text that the file is to have with a change, for a text that ft_overrides_read() takes; all
 * that is in it and is not changed stays, though not how it was laid out. An override that is new
 * comes before the first that counts for all its clients, else it would never count, and else to
 * the end. *out, of *out_len bytes, is the caller's to free; that it makes sense
 * ft_overrides_read() says. FT_NO_SUCH_TRANSFER: there is no such override to be removed or to
 * unset something in. FT_INVALID_FILEMETA with `why`. FT_NO_MEMORY.
 */
enum ft_status ft_overrides_change(const char *text, size_t len,
				   const struct ft_limits_change *change, char **out,
				   size_t *out_len, struct ft_buf *why) FT_MUST_USE;

/* The override of just these patterns; NULL: there is none. */
const struct ft_override *ft_overrides_of(const struct ft_overrides *overrides, const char *client,
					  const char *user);

/* NULL inside is ignored. */
void ft_overrides_free(struct ft_overrides **overrides);

/* The first override for a client, whose user may be NULL. NULL: there is none. */
const struct ft_override *ft_overrides_find(const struct ft_overrides *overrides,
					    const char *client, const char *user);

/* Writes all overrides as entries of an array, each with what is otherwise than the options say. False: there was no room for all. */
bool ft_overrides_put(struct ft_buf *to, const struct ft_overrides *overrides,
		      const struct ft_limits *options);

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
