/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * CBOR (RFC 8949), as far as devices need it to ask for something: reads a map without building a
 * tree, as base/json.h does an object, and writes heads of the shortest form.
 *
 *	struct ft_cbor_member members[] = { { .key = "f" }, { .key = "b" } };
 *
 *	if (ft_cbor_find(bytes, len, members, 2) != FT_CBOR_MAP) refuse;
 *	if (members[0].value.len > 0 && !ft_cbor_integer(&members[0].value, &file)) refuse;
 *
 * Indefinite lengths are read; floats, tags and unassigned simple values are not. By hand, since
 * each release of libcbor has another soname: no build would run on two releases of Debian.
 *
 * Nothing is allocated; time is linear. Threads: any.
 */
#ifndef FT_BASE_CBOR_H
#define FT_BASE_CBOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define FT_CBOR_DEPTH_MAX 8	/* arrays and maps in each other */

/* The upper three bits of a head (RFC 8949 section 3.1). */
enum ft_cbor_major {
	FT_CBOR_MAJOR_UINT = 0,
	FT_CBOR_MAJOR_NEGATIVE = 1,
	FT_CBOR_MAJOR_BYTES = 2,
	FT_CBOR_MAJOR_TEXT = 3,
	FT_CBOR_MAJOR_ARRAY = 4,
	FT_CBOR_MAJOR_MAP = 5,
	FT_CBOR_MAJOR_TAG = 6,
	FT_CBOR_MAJOR_SIMPLE = 7,
};

/* A value as it stands among the bytes, borrowed from there. len 0: there is none. */
struct ft_cbor_item {
	const uint8_t *at;
	size_t len;
};

struct ft_cbor_member {
	const char *key;		/* ASCII, at most 15 bytes */
	struct ft_cbor_item value;	/* of several of this name the first that is not null */
};

enum ft_cbor_shape {
	FT_CBOR_MAP,
	FT_CBOR_NO_MAP,		/* CBOR, but something else */
	FT_CBOR_BROKEN,		/* not one whole item that we read, with valid UTF-8 */
};

/* Says what all bytes are, and finds members of the map that they are. */
enum ft_cbor_shape ft_cbor_find(const void *bytes, size_t len, struct ft_cbor_member *members,
				size_t count);

/* Reads a found value that is an integer of -2^63...2^63-1. */
bool ft_cbor_integer(const struct ft_cbor_item *value, int64_t *integer);

/* Reads a found value that is a string of this major type, and has at most `room` bytes. */
bool ft_cbor_string(const struct ft_cbor_item *value, enum ft_cbor_major major, void *to,
		    size_t room, size_t *len);

/* Appends a head: an integer, or what says how much of a string, array or map follows. */
void ft_cbor_put(struct ft_buf *to, enum ft_cbor_major major, uint64_t number);

/* Appends a text, which must be valid UTF-8. */
void ft_cbor_put_text(struct ft_buf *to, const char *text, size_t len);

#endif
