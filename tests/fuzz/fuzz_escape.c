/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Names in the file system: safe, and different for different ids. */
#include "base/escape.h"
#include "fuzz.h"

#define ESCAPE_SHA "%sha256-"

static bool escape_is_hashed(const char *name)
{
	return strncmp(name, ESCAPE_SHA, sizeof ESCAPE_SHA - 1) == 0;
}

static void escape_check_name(const char *name, size_t len)
{
	fuzz_check(len == strlen(name) && len >= 1 && len < FT_NAME_ROOM);
	fuzz_check(name[0] != '.');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		fuzz_check(c >= 0x80 || (c > ' ' && c < 0x7f && !strchr("/\\:*?\"<>|", c)));
	}
	fuzz_check(!escape_is_hashed(name) || len == sizeof ESCAPE_SHA - 1 + 64);
}

/* The id that a name, if it is not a hash, was made of. */
static size_t escape_undo(const char *name, char *id)
{
	size_t len = 0;

	if (strcmp(name, "%") == 0)
		return 0;
	for (; *name; name++) {
		unsigned byte;

		if (*name != '%') {
			id[len++] = *name;
			continue;
		}
		fuzz_check(sscanf(name, "%%%2X", &byte) == 1);
		id[len++] = (char)byte;
		name += 2;
	}
	return len;
}

static void escape_check(const uint8_t *bytes, size_t len, char *name)
{
	char id[FT_NAME_ROOM];
	size_t name_len = ft_escape(name, (const char *)bytes, len);

	escape_check_name(name, name_len);
	if (escape_is_hashed(name)) {
		fuzz_check(len > (FT_NAME_ROOM - 1) / 3);
		return;
	}
	fuzz_check(escape_undo(name, id) == len);
	fuzz_check(memcmp(id, bytes, len) == 0);
}

FUZZ_TARGET(escape)
{
	char one[FT_NAME_ROOM], other[FT_NAME_ROOM];
	struct fuzz_input input = { bytes, len };
	size_t split = fuzz_u16(&input);

	if (split > input.len)
		split = input.len / 2;
	escape_check(input.bytes, split, one);
	escape_check(input.bytes + split, input.len - split, other);
	fuzz_check((strcmp(one, other) == 0)
		   == (split == input.len - split
		       && memcmp(input.bytes, input.bytes + split, split) == 0));
}
