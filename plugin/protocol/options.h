/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The options of mosquitto.conf (`plugin_opt_<name> <value>`).
 *
 *	struct ft_options options;
 *	ft_options_init(&options);
 *	for each pair: if (!ft_options_set(&options, key, value, &why)) refuse;
 *	if (!ft_options_check(&options, &why)) refuse;
 *	ft_options_release(&options);
 *
 * Sizes are bytes and take k, M, G (1024); durations take s, m, h, d and are
 * seconds without. Threads: read only once checked.
 */
#ifndef FT_PROTOCOL_OPTIONS_H
#define FT_PROTOCOL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "file_transfer/status.h"
#include "file_transfer/store.h"
#include "protocol/facts.h"

enum ft_acl_mode {
	FT_ACL_NONE,
	FT_ACL_GUARD,
	FT_ACL_GUARD_AND_ALLOW,
};

enum ft_ack_sink_mode {
	FT_ACK_SINK_AUTO,
	FT_ACK_SINK_OFF,
};

/* The operator's commands on $CONTROL/file-transfer/v1. */
enum ft_control_mode {
	FT_CONTROL_OFF,
	FT_CONTROL_ON,			/* an ACL says who may */
	FT_CONTROL_TRUSTED,		/* whoever can publish there may */
};

/* Whose a transfer is. */
enum ft_owner_mode {
	FT_OWNER_CLIENT_ID,
	FT_OWNER_USERNAME,
};

/* A finished id that is begun again with another name, size or checksum. */
enum ft_finished_ids {
	FT_FINISHED_IDS_KEEP,		/* filemeta_conflict */
	FT_FINISHED_IDS_REPLACE,	/* the new file takes the old one's place when it is finished */
};

/* Whether consumers are told of finished files by done/. */
enum ft_done {
	FT_DONE_OFF,
	FT_DONE_ON,
};

enum ft_events_mode {
	FT_EVENTS_OFF,
	FT_EVENTS_ON,
};

/* What one client may use; limits_file may say something else for some. 0: no limit. */
struct ft_limits {
	uint64_t storage_quota;		/* bytes that all may hold together, when this client adds some */
	uint64_t client_quota;		/* bytes that the owner may hold */
	uint64_t client_bandwidth;	/* bytes a second */
	uint64_t client_rate;		/* commands a second */
	uint64_t max_file_size;		/* bytes */
	uint64_t max_segment_size;	/* bytes; once checked 1...log_size / 2 */
	uint64_t max_transfers_per_client;
};

/* Whether an init of a file that its owner has finished already takes that one. */
enum ft_deduplicate {
	FT_DEDUPLICATE_OFF,
	FT_DEDUPLICATE_ON,
};

/* How devices may ask for files; bits. 0: not at all. */
enum ft_downloads_mode {
	FT_DOWNLOADS_NATIVE = 1,	/* $file-get/... */
	FT_DOWNLOADS_AWS = 2,		/* $aws/things/.../streams/... */
	FT_DOWNLOADS_JOBS = 4,		/* $aws/things/.../jobs/... */
};

struct ft_options {
	uint64_t given;			/* private: a bit for each row of the table that was set */
	char *storage_dir;		/* owned */
	char *log_dir;			/* owned; NULL: auto */
	char *store;			/* owned; a backend's name, NULL: the default */
	char *catalog;			/* owned; sqlite, or a URL that may have a password; NULL: sqlite */
	struct ft_s3_settings s3;	/* its texts are owned */
	char *on_complete;		/* owned; a program, NULL: none */
	char *response_topics;		/* owned; comma separated filters, NULL: none */
	char *limits_file;		/* owned; NULL: none */
	char *allow_names;		/* owned; comma separated patterns (glob.h), NULL: all names */
	char *deny_names;		/* owned; the same, NULL: none */
	int durability;			/* enum ft_durability */
	int owner;			/* enum ft_owner_mode */
	int finished_ids;		/* enum ft_finished_ids */
	int deduplicate;		/* enum ft_deduplicate */
	int done;			/* enum ft_done */
	int segment_responses;		/* enum ft_responses, never DEFAULT */
	int acl;			/* enum ft_acl_mode */
	int ack_sink;			/* enum ft_ack_sink_mode */
	int control;			/* enum ft_control_mode */
	int downloads;			/* bits of enum ft_downloads_mode */
	int announce;			/* bool */
	int tune_malloc;		/* bool */
	int events;			/* enum ft_events_mode */
	uint64_t workers;
	uint64_t log_size;		/* bytes; once checked whole pages */
	struct ft_limits limits;
	uint64_t max_memory;		/* bytes */
	uint64_t max_transfers;
	uint64_t min_free_space;	/* bytes */
	uint64_t assemble_timeout;	/* seconds, as all durations */
	uint64_t segments_ttl;
	uint64_t segments_ttl_min;
	uint64_t segments_ttl_max;
	uint64_t files_ttl;		/* 0: for ever */
	uint64_t gc_interval;
	uint64_t sys_interval;		/* 0: no metrics */
	uint64_t offers_interval;
	uint64_t max_block;		/* bytes */
	uint64_t max_requests_per_client;
	uint64_t download_workers;
	uint64_t client_download_bandwidth;	/* bytes a second; 0: no limit, as the next */
	uint64_t download_bandwidth;
};

/* The defaults. */
void ft_options_init(struct ft_options *options);

/* Frees what the options own. */
void ft_options_release(struct ft_options *options);

/*
 * Takes one pair; each option once. On failure nothing has changed, and `why` gets one line
 * that names the option, the value and what would do.
 */
bool ft_options_set(struct ft_options *options, const char *key, const char *value,
		    struct ft_buf *why) FT_MUST_USE;

/*
 * Reads a value as an option would that is a size, a duration or a number, whose name is known
 * to be right. On failure `why` gets what is wrong, after the name.
 */
bool ft_options_number(const char *name, const char *value, uint64_t *number,
		       struct ft_buf *why) FT_MUST_USE;

/* Where the catalog is, once checked; NULL: in storage_dir. Never to be logged. */
const char *ft_options_catalog_url(const struct ft_options *options);

/*
 * Checks what is missing and what concerns more than one option, and settles what follows
 * from others: log_size, max_segment_size. On failure as above.
 */
bool ft_options_check(struct ft_options *options, struct ft_buf *why) FT_MUST_USE;

#endif
