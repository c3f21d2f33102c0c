/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A file that devices may fetch, as it lies under offers/ in storage_dir:
 *
 *	all/<path>  client/<whose>/<path>  user/<whose>/<path>  group/<whose>/<path>
 *
 * <whose> is a client id or a user name as base/escape.h writes it, or a group. Pure; any thread.
 */
#ifndef FT_PROTOCOL_OFFER_H
#define FT_PROTOCOL_OFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/escape.h"
#include "base/json.h"
#include "base/sha256.h"

#define FT_OFFER_PATH_MAX 512		/* bytes */
#define FT_OFFER_LEVEL_MAX 240		/* bytes of a level */
#define FT_OFFER_LEVELS_MAX 16
#define FT_OFFER_META_MAX 4096		/* bytes of JSON text */

/* Who sees it, in the order in which a client's files are looked for. On disk: never renumber. */
enum ft_offer_scope {
	FT_OFFER_CLIENT = 1,
	FT_OFFER_USER = 2,
	FT_OFFER_GROUP = 3,
	FT_OFFER_ALL = 4,
};

/* What tells one content of a file from another without reading it. */
struct ft_offer_stat {
	uint64_t inode, size;
	int64_t mtime_ns, ctime_ns;
};

/* Borrowed text. */
struct ft_offer {
	enum ft_offer_scope scope;
	const char *whose;		/* "" for ALL */
	const char *path;
	struct ft_offer_stat stat;
	bool hashed;			/* false: it is not offered yet */
	struct ft_sha256 sha256;	/* hashed */
	struct ft_json_text meta;	/* an object; len 0: none */
	bool announced;			/* a retained message may say so; the scanner's, as the next */
	bool told;			/* this process has published it */
	uint64_t number;		/* of this content, in this process; 0: not hashed */
};

/* The folder of a scope, such as "client". */
const char *ft_offer_scope_word(enum ft_offer_scope scope);

/* Whether a path keeps to the rules that docs/downloads.md states. */
bool ft_offer_path_is_good(const char *path, size_t len);

/* ... and whether a file can have it below a folder: no level is hidden. */
bool ft_offer_path_can_be(const char *path);

/*
 * Whom a text means: all, client/<id>, user/<name>, group/<name>; `whose` is the folder's name.
 * False: nobody.
 */
bool ft_offer_parse_to(const char *text, enum ft_offer_scope *scope, char whose[FT_NAME_ROOM]);

/* Whether a name in a folder is never offered: dot files, *.part, *.tmp, *~. */
bool ft_offer_name_is_hidden(const char *name);

/* The order by scope, whose and path, as memcmp() has it. */
int ft_offer_compare(const struct ft_offer *a, const struct ft_offer *b);

bool ft_offer_stat_equal(const struct ft_offer_stat *a, const struct ft_offer_stat *b);

/* The members path, size, sha256, modified_at of a JSON object, without its braces. */
void ft_offer_write(struct ft_buf *to, const struct ft_offer *offer);

/* ... and `meta`, where there is one. */
void ft_offer_write_all(struct ft_buf *to, const struct ft_offer *offer);

/* Room for what these two write. */
size_t ft_offer_room(const struct ft_offer *offer);

/* The id whose name on disk this is. False: it is none, or the hash of an id. */
bool ft_offer_whose_id(char id[FT_NAME_ROOM], size_t *len, const char *whose);

/*
 * The topic of its announcement. False: the id is not known, or can be no level of a topic.
 */
bool ft_offer_topic(struct ft_buf *to, const struct ft_offer *offer);

#endif
