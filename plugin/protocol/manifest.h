/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * JSON of ours and of clients: the payload of `init`, and the manifest beside a finished file.
 *
 *	init payload --ft_init_parse--> struct ft_init (what is kept: struct ft_facts)
 *	facts, size, digest --ft_manifest_write--> text beside the finished file
 *	text --ft_manifest_read--> struct ft_finished, where a catalog is made anew
 *
 * user_data goes through to the letter. In a manifest `client_id` is the owner, which is the
 * user name with option `owner username`. Threads: any; nothing is shared.
 */
#ifndef FT_PROTOCOL_MANIFEST_H
#define FT_PROTOCOL_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/sha256.h"
#include "file_transfer/status.h"
#include "protocol/facts.h"

#define FT_INIT_PAYLOAD_MAX ((size_t)64 * 1024)
#define FT_JSON_INTEGER_MAX ((uint64_t)1 << 53)	/* beyond it most readers of JSON round */
#define FT_USER_DATA_DEPTH_MAX 64
#define FT_MANIFEST_SUFFIX ".manifest.json"

/* An init payload, checked. user_data borrows from the payload. */
struct ft_init {
	struct ft_meta meta;
	struct ft_terms terms;
};

/*
 * Parses and checks an init payload. On error `detail` says which key broke which
 * rule. Errors: FT_INVALID_FILEMETA_JSON, FT_INVALID_FILEMETA.
 */
enum ft_status ft_init_parse(struct ft_init *init, const void *payload, size_t len,
			     struct ft_buf *detail) FT_MUST_USE;

/*
 * Parses what the program of option on_complete wants: `name`, `expire_at` and `user_data` by the
 * rules of init, each absent where the result has an empty name, no expire_at, or no text.
 */
enum ft_status ft_judgement_parse(struct ft_init *wanted, const void *text, size_t len,
				  struct ft_buf *detail) FT_MUST_USE;

/*
 * Whether a name obeys the rules of init. Error: FT_INVALID_FILEMETA; `why`, else NULL, says
 * which one is broken (static storage).
 */
enum ft_status ft_name_check(const char *name, size_t len, const char **why) FT_MUST_USE;

/*
 * The manifest of the finished file. `text` is malloc'd, the caller's. Error: FT_NO_MEMORY.
 */
enum ft_status ft_manifest_write(const struct ft_facts *facts, uint64_t size,
				 const struct ft_sha256 *checksum, int64_t completed_ms,
				 char **text, size_t *len) FT_MUST_USE;

/*
 * Reads a manifest of a finished file, by whichever version it was written. The key points
 * into `ids`, which is malloc'd, the caller's; on error it is NULL. `number` stays 0. Anything
 * may lie on a disk: that the key is that of the place is for the caller to see. Errors:
 * FT_DAMAGED (also where it is of an unfinished transfer), FT_NO_MEMORY.
 */
enum ft_status ft_manifest_read(struct ft_finished *finished, char **ids, const char *text,
				size_t len) FT_MUST_USE;

#endif
