/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Reads a JSON object (RFC 8259, to the letter) without building a tree: members are looked
 * up by name, and a value stays a piece of the text until it is asked for. So numbers keep
 * all their digits, what is nobody's business here goes through as it was written, and what
 * nobody asks for costs no more than to be skipped.
 *
 *	struct ft_json_member members[] = { { .key = "name" }, { .key = "size" } };
 *
 *	if (ft_json_find(text, len, members, 2) != FT_JSON_OBJECT) refuse;
 *	if (members[1].value.len > 0 && !ft_json_integer(&members[1].value, max, &size)) refuse;
 *
 * Nothing is allocated and no depth of nesting costs stack. Threads: any.
 */
#ifndef FT_BASE_JSON_H
#define FT_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A value as it stands in a text, borrowed from there. len 0: there is none. */
struct ft_json_text {
	const char *at;
	size_t len;
};

struct ft_json_member {
	const char *key;		/* ASCII */
	struct ft_json_text value;	/* of several members of this name the first; none if null */
	size_t depth;			/* how deep arrays and objects are nested in it; a number: 0 */
};

enum ft_json_shape {
	FT_JSON_OBJECT,
	FT_JSON_NO_OBJECT,	/* JSON, but something else */
	FT_JSON_BROKEN,		/* no JSON, or nested more than 65,536 deep */
};

/*
 * Says what the whole text is, which must be valid UTF-8 (a byte order mark is skipped), and
 * finds members of the object that it is. Values are found only if it is one.
 */
enum ft_json_shape ft_json_find(const char *text, size_t len, struct ft_json_member *members,
				size_t count);

/* Reads a found value that is an integer of 0...max, however it is written (10, 1e1, 10.0). */
bool ft_json_integer(const struct ft_json_text *value, uint64_t max, uint64_t *integer);

/*
 * Reads a found value that is a string of less than `room` bytes, and puts a NUL behind it.
 * It may hold NUL bytes itself. No string is longer than its text is.
 */
bool ft_json_string(const struct ft_json_text *value, char *to, size_t room, size_t *len);

#endif
