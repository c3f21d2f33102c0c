/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Where objects are: the URL of option s3_url, the template of option s3_key, and back.
 *
 *	https://host/bucket/prefix  <client>/<file>/<name>
 *	root: https://host/bucket   key: prefix/cam%2F1/f/photo.jpg   url: root/prefix/cam%252F1/f/photo.jpg
 *
 * Ids stand in keys as they do in names of files (base/escape.h), so that none has a '/' and no
 * two keys are the same. Pure; any thread.
 */
#ifndef FT_STORE_S3_ADDRESS_H
#define FT_STORE_S3_ADDRESS_H

#include "base/buf.h"
#include "base/escape.h"
#include "file_transfer/store.h"

#define S3_MANIFEST_SUFFIX ".manifest.json"
#define S3_PREFIX_MAX 256			/* bytes of all that is not id or name */
#define S3_KEY_ROOM 1025			/* S3 knows keys of 1,024 bytes */
#define S3_URL_ROOM (512 + 3 * S3_KEY_ROOM + 512)	/* root, key encoded, query */

struct s3_address {
	char root[512];				/* scheme://host[:port][/bucket] */
	char prefix[S3_PREFIX_MAX + 1];		/* "", or ends with '/' */
	enum { S3_CLIENT_FIRST, S3_FILE_FIRST } order;
	char before[S3_PREFIX_MAX + 1];		/* text before the first id, */
	char between[S3_PREFIX_MAX + 1];	/* between the ids, */
	char behind[S3_PREFIX_MAX + 1];		/* and between the second id and the name */
};

/* Reads url, style and key. False: `why` says in one line what is wrong with which option. */
bool s3_address_parse(struct s3_address *address, const struct ft_s3_settings *settings,
		      struct ft_buf *why) FT_MUST_USE;

/* The key of a finished file; without a name: what all keys of that id begin with. */
void s3_address_key(const struct s3_address *address, const struct ft_key *key, const char *name,
		    char object[S3_KEY_ROOM]);

/* Takes a key apart; false: it is none of ours. Room is FT_NAME_ROOM each. */
bool s3_address_read(const struct s3_address *address, const char *object, char *owner_name,
		     char *file_name, char *name) FT_MUST_USE;

/* The URL of an object, or of the bucket (object ""). `query`: encoded and sorted, without '?'; or NULL. */
void s3_address_url(const struct s3_address *address, const char *object, const char *query,
		    struct ft_buf *url);

/* Appends text as it may stand in a query (RFC 3986: all but letters, digits and "-._~" as %XX). */
void s3_address_encode(struct ft_buf *to, const char *text);

/* The same of a path: slashes stay. */
void s3_address_encode_path(struct ft_buf *to, const char *path);

/*
 * Takes back, in place, how keys are encoded in lists: %XX, and + for a blank. False: there is a
 * '%' without two digits, or a NUL.
 */
bool s3_address_decode(char *text) FT_MUST_USE;

#endif
