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

enum ft_acl_mode {
	FT_ACL_NONE,
	FT_ACL_GUARD,
	FT_ACL_GUARD_AND_ALLOW,
};

enum ft_ack_sink_mode {
	FT_ACK_SINK_AUTO,
	FT_ACK_SINK_OFF,
};

struct ft_options {
	char *storage_dir;		/* owned */
	char *store;			/* owned; a backend's name, NULL: the default */
	char *response_topics;		/* owned; comma separated filters, NULL: none */
	int durability;			/* enum ft_durability */
	int acl;			/* enum ft_acl_mode */
	int ack_sink;			/* enum ft_ack_sink_mode */
	int tune_malloc;		/* bool */
	uint64_t workers;
	uint64_t max_file_size;		/* bytes; 0: no limit, as for the next */
	uint64_t max_segment_size;
	uint64_t max_transfers;
	uint64_t max_transfers_per_client;
	uint64_t min_free_space;	/* bytes */
	uint64_t assemble_timeout;	/* seconds, as all durations */
	uint64_t segments_ttl;
	uint64_t segments_ttl_min;
	uint64_t segments_ttl_max;
	uint64_t gc_interval;
};

/* The defaults. */
void ft_options_init(struct ft_options *options);

/* Frees what the options own. */
void ft_options_release(struct ft_options *options);

/*
 * Takes one pair. On failure `why` gets one line that names the option, the value
 * and what would do.
 */
bool ft_options_set(struct ft_options *options, const char *key, const char *value,
		    struct ft_buf *why) FT_MUST_USE;

/* Checks what is missing and what concerns more than one option. On failure as above. */
bool ft_options_check(const struct ft_options *options, struct ft_buf *why) FT_MUST_USE;

#endif
