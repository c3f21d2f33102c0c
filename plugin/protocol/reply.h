/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The response to a command, as JSON (EIP-21, vsn 0.1, with our extra members).
 *
 * Every command gets one, so this is written straight into a buffer: no
 * allocation, no tree.
 */
#ifndef FT_PROTOCOL_REPLY_H
#define FT_PROTOCOL_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"
#include "file_transfer/ranges.h"
#include "file_transfer/status.h"

#define FT_REPLY_LIST_MAX 100	/* entries of `have` and `missing` */

enum ft_state {
	FT_STATE_UNSAID,	/* left out of the response */
	FT_STATE_NONE,
	FT_STATE_RECEIVING,
	FT_STATE_ASSEMBLING,
	FT_STATE_COMPLETE,
};

struct ft_reply {
	enum ft_status status;
	const char *topic;		/* the command's */
	enum ft_state state;
	bool tell_held;			/* `received` and `have` */
	const struct ft_ranges *held;	/* NULL: one range of `complete_size` bytes */
	uint64_t complete_size;
	bool tell_missing;		/* `missing` of [0, missing_size); wants `held` */
	uint64_t missing_size;
	unsigned retry_after;		/* seconds; 0: what the status says */
	struct ft_json_text more;	/* members, as text without braces; len 0: none */
	const char *detail;		/* valid UTF-8; NULL or empty: what the status says, if no success */
};

/* Room that this reply fits in. */
size_t ft_reply_room(const struct ft_reply *reply);

/* Appends the JSON text. */
void ft_reply_write(struct ft_buf *buf, const struct ft_reply *reply);

#endif
