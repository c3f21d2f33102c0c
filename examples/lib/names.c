/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "names.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 240

static bool name_refuses(const char *at)
{
	unsigned char byte = (unsigned char)*at;

	/* Control characters are U+0080..9F, too: in UTF-8 C2 80..9F. */
	return byte < 0x20 || byte == 0x7f || byte == '\\' || byte == ':' ||
	       (byte == 0xc2 && (at[1] & 0xe0) == 0x80);
}

/* The length of the UTF-8 sequence at `at` (RFC 3629: shortest form, no surrogates), or 0. */
static size_t name_utf8_len(const char *at)
{
	const unsigned char *byte = (const unsigned char *)at;
	size_t len = byte[0] < 0x80 ? 1 : byte[0] < 0xc2 ? 0 : byte[0] < 0xe0 ? 2
		     : byte[0] < 0xf0 ? 3 : byte[0] < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < len; i++) {
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((byte[0] == 0xe0 && byte[1] < 0xa0) || (byte[0] == 0xed && byte[1] > 0x9f) ||
	    (byte[0] == 0xf0 && byte[1] < 0x90) || (byte[0] == 0xf4 && byte[1] > 0x8f))
		return 0;
	return len;
}

static char *name_clean(const char *text, bool for_name)
{
	char *copy = malloc(strlen(text) + 1);
	char *to = copy;

	while (copy && *text) {
		size_t len = name_utf8_len(text);
		if (!len || (for_name && name_refuses(text))) {
			*to++ = '_';
			text += len ? len : 1;
			continue;
		}
		memcpy(to, text, len);
		to += len;
		text += len;
	}
	if (copy)
		*to = '\0';
	return copy;
}

/* Keeps the end, where the type is. */
static void name_shorten(char *name)
{
	size_t len = strlen(name);

	if (len <= NAME_MAX_BYTES)
		return;
	size_t cut = len - NAME_MAX_BYTES;
	while ((name[cut] & 0xc0) == 0x80)
		cut++;
	memmove(name, name + cut, len - cut + 1);
}

char *name_of_path(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *name = name_clean(slash ? slash + 1 : path, true);

	if (name)
		name_shorten(name);
	return name;
}

char *name_text(const char *path)
{
	return name_clean(path, false);
}
