/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The manifest: what is known about a file besides its bytes.
 *
 *	init payload --ft_init_parse--> struct ft_init
 *	  --ft_manifest_begin--> text kept with the unfinished transfer
 *	  --ft_manifest_finish--> text beside the finished file
 *	stored text --ft_manifest_read--> struct ft_manifest
 *
 * Text is JSON made and read by cJSON; user_data goes from one text to the next to the
 * letter. Threads: any; nothing is shared.
 */
#ifndef FT_PROTOCOL_MANIFEST_H
#define FT_PROTOCOL_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/sha256.h"
#include "base/system.h"
#include "file_transfer/status.h"
#include "file_transfer/store.h"

#define FT_INIT_PAYLOAD_MAX ((size_t)64 * 1024)
#define FT_FILE_NAME_MAX 240	/* bytes; ".manifest.json" still fits behind it */
#define FT_JSON_INTEGER_MAX ((uint64_t)1 << 53)	/* beyond it JSON numbers are not exact */

/* What makes two inits the same. */
struct ft_meta {
	char name[FT_FILE_NAME_MAX + 1];
	bool has_size;
	bool has_checksum;
	uint64_t size;
	struct ft_sha256 checksum;
};

/* An init payload, checked. Borrows from the payload. */
struct ft_init {
	struct ft_meta meta;
	bool has_expire_at;
	int64_t expire_at;		/* Unix seconds */
	uint64_t segments_ttl;		/* seconds; 0: not asked for */
	struct ft_json_text user_data;
};

/* A stored manifest, unfinished or finished. */
struct ft_manifest {
	struct ft_meta meta;		/* finished: size and checksum are those of the file */
	uint64_t segments_ttl;		/* seconds; 0: not asked for */
	char transfer_id[FT_UUID_ROOM];
	char received_at[FT_RFC3339_ROOM];
};

/*
 * Parses and checks an init payload. On error `detail` says which key broke which
 * rule. Errors: FT_INVALID_FILEMETA_JSON, FT_INVALID_FILEMETA, FT_NO_MEMORY.
 */
enum ft_status ft_init_parse(struct ft_init *init, const void *payload, size_t len,
			     struct ft_buf *detail) FT_MUST_USE;

/* Whether name, size and checksum are the same. */
bool ft_meta_equal(const struct ft_meta *a, const struct ft_meta *b);

/*
 * The manifest of an unfinished transfer. `text` is malloc'd, the caller's.
 * Error: FT_NO_MEMORY.
 */
enum ft_status ft_manifest_begin(const struct ft_init *init, const struct ft_key *key,
				 const char *transfer_id, const char *received_at,
				 char **text, size_t *len) FT_MUST_USE;

/*
 * The manifest of the finished file, made from that of the unfinished transfer.
 * Errors: FT_NO_MEMORY, FT_DAMAGED (`begun` is not a manifest).
 */
enum ft_status ft_manifest_finish(const char *begun, size_t begun_len, uint64_t size,
				  const struct ft_sha256 *checksum, const char *completed_at,
				  char **text, size_t *len) FT_MUST_USE;

/* Reads either kind. Errors: FT_DAMAGED, FT_NO_MEMORY. */
enum ft_status ft_manifest_read(struct ft_manifest *manifest, const char *text,
				size_t len) FT_MUST_USE;

#endif
