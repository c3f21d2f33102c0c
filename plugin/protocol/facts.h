/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What is known of a transfer and of a finished file: the nouns that log, catalog, manifest
 * and engine share. Plain data; text and keys are borrowed unless said otherwise.
 */
#ifndef FT_PROTOCOL_FACTS_H
#define FT_PROTOCOL_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/sha256.h"
#include "base/system.h"
#include "file_transfer/store.h"

#define FT_FILE_NAME_MAX 240	/* bytes; ".manifest.json" still fits behind it */
#define FT_FILE_ID_MAX 255	/* bytes */
#define FT_OWNER_MAX 65536	/* bytes */

/* What makes two inits the same. */
struct ft_meta {
	char name[FT_FILE_NAME_MAX + 1];
	bool has_size;
	bool has_checksum;
	uint64_t size;
	struct ft_sha256 checksum;
};

/* Key `responses` of init. */
enum ft_responses {
	FT_RESPONSES_DEFAULT,	/* not said: option segment_responses */
	FT_RESPONSES_ALL,
	FT_RESPONSES_ERRORS,	/* none for a segment that succeeded */
};

/* What a newer init of the same transfer replaces. */
struct ft_terms {
	bool has_expire_at;
	int64_t expire_at;		/* Unix seconds */
	uint64_t segments_ttl;		/* seconds; 0: not asked for */
	enum ft_responses responses;
	struct ft_json_text user_data;	/* borrowed; len 0: none */
};

/* An unfinished transfer, but for which bytes are held. */
struct ft_facts {
	uint64_t number;		/* never used twice; 0: none */
	struct ft_key key;		/* borrowed */
	struct ft_meta meta;
	struct ft_terms terms;
	char init_name[FT_FILE_NAME_MAX + 1];	/* what init said, where on_complete gave another; else "" */
	char transfer_id[FT_UUID_ROOM];
	int64_t received_ms;		/* Unix ms of the first init */
};

/* A finished file. */
struct ft_finished {
	uint64_t number;		/* of the transfer it was */
	struct ft_key key;		/* borrowed */
	char name[FT_FILE_NAME_MAX + 1];
	uint64_t size;
	struct ft_sha256 checksum;
	char init_name[FT_FILE_NAME_MAX + 1];	/* what init said, where on_complete gave another; else "" */
	char transfer_id[FT_UUID_ROOM];
	int64_t completed_ms;		/* Unix ms */
	bool has_expire_at;
	int64_t expire_at;		/* Unix seconds */
};

/* What fin asks for. */
struct ft_fin {
	uint64_t size;
	bool has_checksum;		/* that of fin, or else of init */
	struct ft_sha256 checksum;
};

/* The bytes that ft_key_copy() wants. */
size_t ft_key_room(const struct ft_key *key);

/* A key like this one, which points into `room`. The owner of none has a length of 0. */
struct ft_key ft_key_copy(const struct ft_key *key, char *room);

/* Whether name, size and checksum are the same. */
bool ft_meta_equal(const struct ft_meta *a, const struct ft_meta *b);

/* Whether an init fits a finished file: what the init leaves open, the file has settled. */
bool ft_meta_fits(const struct ft_meta *meta, const struct ft_finished *finished);

/* Whether a fin asks for what a finished file is. */
bool ft_fin_fits(const struct ft_fin *fin, const struct ft_finished *finished);

#endif
