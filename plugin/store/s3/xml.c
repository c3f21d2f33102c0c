/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/s3/xml.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define XML_DEPTH 8
#define XML_PATH_ROOM 256
#define XML_BLANKS " \t\r\n"

struct xml {
	const char *at, *end;
	size_t depth;
	size_t parents[XML_DEPTH];	/* length of the path up to each */
	bool has_elements[XML_DEPTH + 1];
	char path[XML_PATH_ROOM];
	size_t path_len;
	char text[S3_XML_TEXT_ROOM];
	size_t text_len;
	s3_xml_visit *visit;
	void *context;
};

static bool xml_begins(const struct xml *x, const char *with)
{
	size_t len = strlen(with);

	return (size_t)(x->end - x->at) >= len && memcmp(x->at, with, len) == 0;
}

/* Moves behind the next `what`; false: there is none. */
static bool xml_skip_to(struct xml *x, const char *what)
{
	const char *found = memmem(x->at, (size_t)(x->end - x->at), what, strlen(what));

	if (found)
		x->at = found + strlen(what);
	return found != NULL;
}

static void xml_skip_blanks(struct xml *x)
{
	while (x->at < x->end && strchr(XML_BLANKS, *x->at) && *x->at)
		x->at++;
}

static bool xml_is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'
	       || c == '-' || c == '.' || c == ':';
}

/* A name, without the prefix of its namespace. */
static bool xml_take_name(struct xml *x, const char **name, size_t *len)
{
	*name = x->at;
	for (; x->at < x->end && xml_is_name(*x->at); x->at++)
		if (*x->at == ':')
			*name = x->at + 1;
	*len = (size_t)(x->at - *name);
	return *len > 0;
}

/* --- text --- */

static bool xml_add(struct xml *x, const char *bytes, size_t len)
{
	if (len >= sizeof x->text - x->text_len)
		return false;
	memcpy(x->text + x->text_len, bytes, len);
	x->text_len += len;
	return true;
}

static bool xml_add_character(struct xml *x, uint32_t c)
{
	char utf8[4];

	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return false;
	if (c < 0x80)
		return xml_add(x, (const char[]){ (char)c }, 1);
	utf8[3] = (char)(0x80 | (c & 0x3f));
	utf8[2] = (char)(0x80 | (c >> 6 & 0x3f));
	utf8[1] = (char)(0x80 | (c >> 12 & 0x3f));
	if (c < 0x800) {
		utf8[2] = (char)(0xc0 | c >> 6);
		return xml_add(x, utf8 + 2, 2);
	}
	if (c < 0x10000) {
		utf8[1] = (char)(0xe0 | c >> 12);
		return xml_add(x, utf8 + 1, 3);
	}
	utf8[0] = (char)(0xf0 | c >> 18);
	return xml_add(x, utf8, 4);
}

/* &amp; and the like, at '&'. */
static bool xml_take_entity(struct xml *x)
{
	static const struct {
		const char *name;
		char c;
	} names[] = { { "&amp;", '&' }, { "&lt;", '<' }, { "&gt;", '>' }, { "&quot;", '"' },
		      { "&apos;", '\'' } };
	uint32_t c = 0;
	unsigned base = 10;
	const char *p = x->at + 2;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (!xml_begins(x, names[i].name))
			continue;
		x->at += strlen(names[i].name);
		return xml_add(x, &names[i].c, 1);
	}
	if (!xml_begins(x, "&#"))
		return false;
	if (p < x->end && *p == 'x') {
		base = 16;
		p++;
	}
	for (; p < x->end && *p != ';'; p++) {
		const char digits[] = "0123456789abcdefABCDEF";
		const char *digit = *p ? strchr(digits, *p) : NULL;
		unsigned value = digit ? (unsigned)(digit - digits) : base;

		if (value >= 16)
			value -= 6;
		if (value >= base || c > 0x10ffff)
			return false;
		c = c * base + value;
	}
	if (p >= x->end)
		return false;
	x->at = p + 1;
	return xml_add_character(x, c);
}

/* --- elements --- */

static bool xml_open(struct xml *x, const char *name, size_t len)
{
	if (x->depth == XML_DEPTH || x->path_len + len + 2 > sizeof x->path)
		return false;
	x->has_elements[x->depth] = true;
	x->parents[x->depth++] = x->path_len;
	if (x->path_len > 0)
		x->path[x->path_len++] = '/';
	memcpy(x->path + x->path_len, name, len);
	x->path_len += len;
	x->path[x->path_len] = '\0';
	x->has_elements[x->depth] = false;
	x->text_len = 0;
	return true;
}

static enum ft_status xml_close(struct xml *x)
{
	bool go_on;

	x->text[x->text_len] = '\0';
	/* Nothing that could be mistaken for a shorter text. */
	if (memchr(x->text, '\0', x->text_len))
		return FT_IO_ERROR;
	go_on = x->visit(x->context, x->path, x->has_elements[x->depth] ? NULL : x->text);
	x->path_len = x->parents[--x->depth];
	x->path[x->path_len] = '\0';
	x->text_len = 0;
	return go_on ? FT_OK : FT_CANCELLED;
}

static enum ft_status xml_take_end(struct xml *x)
{
	size_t len, parent;
	const char *name;

	x->at += 2;
	if (x->depth == 0 || !xml_take_name(x, &name, &len))
		return FT_IO_ERROR;
	parent = x->parents[x->depth - 1];
	parent += parent > 0;
	if (x->path_len - parent != len || memcmp(x->path + parent, name, len) != 0)
		return FT_IO_ERROR;
	xml_skip_blanks(x);
	if (!xml_begins(x, ">"))
		return FT_IO_ERROR;
	x->at++;
	return xml_close(x);
}

/* Attributes say nothing here. */
static bool xml_skip_attributes(struct xml *x)
{
	const char *name;
	char quote[2] = "";
	size_t len;

	for (xml_skip_blanks(x); x->at < x->end && xml_is_name(*x->at); xml_skip_blanks(x)) {
		if (!xml_take_name(x, &name, &len) || !xml_begins(x, "="))
			return false;
		x->at++;
		if (!xml_begins(x, "\"") && !xml_begins(x, "'"))
			return false;
		quote[0] = *x->at++;
		if (!xml_skip_to(x, quote))
			return false;
	}
	return true;
}

static enum ft_status xml_take_start(struct xml *x)
{
	const char *name;
	size_t len;

	x->at++;
	if (!xml_take_name(x, &name, &len) || !xml_open(x, name, len) || !xml_skip_attributes(x))
		return FT_IO_ERROR;
	if (xml_begins(x, "/>")) {
		x->at += 2;
		return xml_close(x);
	}
	if (!xml_begins(x, ">"))
		return FT_IO_ERROR;
	x->at++;
	return FT_OK;
}

static enum ft_status xml_take(struct xml *x)
{
	if (xml_begins(x, "<!--")) {
		x->at += 4;
		return xml_skip_to(x, "-->") ? FT_OK : FT_IO_ERROR;
	}
	if (xml_begins(x, "</"))
		return xml_take_end(x);
	if (*x->at == '<')
		return xml_take_start(x);
	if (*x->at == '&')
		return xml_take_entity(x) ? FT_OK : FT_IO_ERROR;
	return xml_add(x, x->at++, 1) ? FT_OK : FT_IO_ERROR;
}

enum ft_status s3_xml_each(const char *text, size_t len, s3_xml_visit *visit, void *context)
{
	struct xml *x = calloc(1, sizeof *x);
	enum ft_status st = FT_OK;

	if (!x)
		return FT_NO_MEMORY;
	x->at = text;
	x->end = text + len;
	x->visit = visit;
	x->context = context;
	if (xml_begins(x, "\xef\xbb\xbf"))
		x->at += 3;
	if (xml_begins(x, "<?xml") && !xml_skip_to(x, "?>"))
		st = FT_IO_ERROR;
	xml_skip_blanks(x);
	if (st == FT_OK && (!xml_begins(x, "<") || xml_begins(x, "<!D")))
		st = FT_IO_ERROR;
	do {
		if (st == FT_OK)
			st = x->at < x->end ? xml_take(x) : FT_IO_ERROR;
	} while (st == FT_OK && (x->depth > 0 || !x->has_elements[0]));
	xml_skip_blanks(x);
	if (st == FT_OK && x->at != x->end)
		st = FT_IO_ERROR;
	free(x);
	return st;
}
