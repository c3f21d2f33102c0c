/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/s3/address.h"

#include <assert.h>

#include "base/hex.h"

#define ADDRESS_TEMPLATE "<client>/<file>/<name>"

/* --- the URL --- */

static bool address_is_plain(char c, const char *others)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
	       || (c != '\0' && strchr(others, c));
}

/* Folders as they stand in a key: plain characters, none of them empty, "." or "..". */
static bool address_is_folders(const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "/");

		if (len == 0 || (len == 1 && text[0] == '.') || (len == 2 && memcmp(text, "..", 2) == 0))
			return false;
		for (size_t i = 0; i < len; i++)
			if (!address_is_plain(text[i], "-_.~=+@:,!$&'()*;"))
				return false;
		text += len;
		text += *text == '/';
	}
	return true;
}

static bool address_refuse(struct ft_buf *why, const char *option, const char *value,
			   const char *wrong)
{
	ft_buf_printf(why, "plugin_opt_%s ", option);
	ft_buf_printable(why, value, strlen(value), 200);
	ft_buf_printf(why, ": %s", wrong);
	return false;
}

/* scheme://host[:port]; what follows is in *rest, without slashes at its ends. */
static bool address_parse_root(const char *url, struct ft_buf *root, char rest[S3_PREFIX_MAX + 1])
{
	size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;
	size_t host = strcspn(url + scheme, "/"), len;

	if (scheme == 0 || host == 0)
		return false;
	for (size_t i = 0; i < host; i++)
		if (!address_is_plain(url[scheme + i], "-.:[]_"))
			return false;
	ft_buf_bytes(root, url, scheme + host);
	url += scheme + host;
	url += strspn(url, "/");
	len = strlen(url);
	while (len > 0 && url[len - 1] == '/')
		len--;
	if (len > S3_PREFIX_MAX - 1)
		return false;
	memcpy(rest, url, len);
	rest[len] = '\0';
	return address_is_folders(rest);
}

static bool address_parse_url(struct s3_address *a, const struct ft_s3_settings *settings,
			      struct ft_buf *why)
{
	struct ft_buf root = ft_buf_on(a->root, sizeof a->root);
	char rest[S3_PREFIX_MAX + 1];
	const char *prefix = rest;
	struct ft_buf to;

	if (!address_parse_root(settings->url, &root, rest))
		return address_refuse(why, "s3_url", settings->url, "must be http:// or https://, a host, "
				      "and a path of letters, digits and -_.~=+@:,!$&'()*; of at most "
				      "255 bytes");
	if (settings->style == FT_S3_PATH) {
		size_t bucket = strcspn(rest, "/");

		if (bucket == 0)
			return address_refuse(why, "s3_url", settings->url, "has no bucket: add it "
					      "behind the host (https://host/bucket), or say "
					      "plugin_opt_s3_style host, if the host's name has it");
		ft_buf_char(&root, '/');
		ft_buf_bytes(&root, rest, bucket);
		prefix += bucket;
		prefix += *prefix == '/';
	}
	to = ft_buf_on(a->prefix, sizeof a->prefix);
	ft_buf_str(&to, prefix);
	ft_buf_str(&to, *prefix ? "/" : "");
	if (!ft_buf_ok(&root) || !ft_buf_ok(&to))
		return address_refuse(why, "s3_url", settings->url, "is too long");
	return true;
}

/* --- the template --- */

/* The text up to one of two placeholders; returns which one, or -1. */
static int address_next(const char **at, const char *const words[2], char *text)
{
	for (size_t len = 0; (*at)[len] && len <= S3_PREFIX_MAX; len++) {
		for (int i = 0; i < 2; i++) {
			size_t word = strlen(words[i]);

			if (strncmp(*at + len, words[i], word) != 0)
				continue;
			memcpy(text, *at, len);
			text[len] = '\0';
			*at += len + word;
			return i;
		}
	}
	return -1;
}

/* Text between two parts of a key: a slash ends the first one, since no id has any. */
static bool address_is_between(const char *text)
{
	return text[0] == '/' && address_is_folders(text + 1);
}

static bool address_parse_key(struct s3_address *a, const char *template)
{
	static const char *const ids[2] = { "<client>", "<file>" };
	static const char *const name[2] = { "<name>", "<name>" };
	int first = address_next(&template, ids, a->before);
	int second = first < 0 ? -1 : address_next(&template, ids, a->between);

	if (second < 0 || second == first || address_next(&template, name, a->behind) < 0)
		return false;
	a->order = first == 0 ? S3_CLIENT_FIRST : S3_FILE_FIRST;
	return *template == '\0' && address_is_folders(a->before) && address_is_between(a->between)
	       && address_is_between(a->behind)
	       && strlen(a->prefix) + strlen(a->before) + strlen(a->between) + strlen(a->behind)
		  <= S3_PREFIX_MAX;
}

bool s3_address_parse(struct s3_address *address, const struct ft_s3_settings *settings,
		      struct ft_buf *why)
{
	const char *template = settings->key ? settings->key : ADDRESS_TEMPLATE;

	if (!address_parse_url(address, settings, why))
		return false;
	if (!address_parse_key(address, template))
		return address_refuse(why, "s3_key", template, "must have <client> and <file>, in either "
				      "order, each with a / behind it, and <name> at its end, such as "
				      ADDRESS_TEMPLATE "; with s3_url's prefix at most 256 bytes");
	return true;
}

/* --- keys --- */

void s3_address_key(const struct s3_address *address, const struct ft_key *key, const char *name,
		    char object[S3_KEY_ROOM])
{
	struct ft_buf to = ft_buf_on(object, S3_KEY_ROOM);
	char client[FT_NAME_ROOM], file[FT_NAME_ROOM];
	bool client_first = address->order == S3_CLIENT_FIRST;

	ft_escape(client, key->owner, key->owner_len);
	ft_escape(file, key->file, key->file_len);
	ft_buf_printf(&to, "%s%s%s%s%s%s%s", address->prefix, address->before,
		      client_first ? client : file, address->between, client_first ? file : client,
		      address->behind, name ? name : "");
	assert(ft_buf_ok(&to));	/* 256 of our own, 2 ids of 255, a name of 254 with its suffix */
}

static bool address_skip(const char **at, const char *text)
{
	size_t len = strlen(text);

	if (strncmp(*at, text, len) != 0)
		return false;
	*at += len;
	return true;
}

/* What stands before the next slash, or the end. */
static bool address_take(const char **at, char *to)
{
	size_t len = strcspn(*at, "/");

	if (len == 0 || len >= FT_NAME_ROOM)
		return false;
	memcpy(to, *at, len);
	to[len] = '\0';
	*at += len;
	return true;
}

bool s3_address_read(const struct s3_address *address, const char *object, char *owner_name,
		     char *file_name, char *name)
{
	bool client_first = address->order == S3_CLIENT_FIRST;

	return address_skip(&object, address->prefix) && address_skip(&object, address->before)
	       && address_take(&object, client_first ? owner_name : file_name)
	       && address_skip(&object, address->between)
	       && address_take(&object, client_first ? file_name : owner_name)
	       && address_skip(&object, address->behind) && address_take(&object, name)
	       && *object == '\0';
}

/* --- encoding --- */

static void address_encode(struct ft_buf *to, const char *text, const char *kept)
{
	for (; *text; text++) {
		if (address_is_plain(*text, kept))
			ft_buf_char(to, *text);
		else
			ft_buf_printf(to, "%%%02X", (unsigned)(unsigned char)*text);
	}
}

void s3_address_encode(struct ft_buf *to, const char *text)
{
	address_encode(to, text, "-._~");
}

void s3_address_encode_path(struct ft_buf *to, const char *path)
{
	address_encode(to, path, "-._~/");
}

bool s3_address_decode(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++, to++) {
		*to = *from == '+' ? ' ' : *from;
		if (*from != '%')
			continue;
		if (!from[1] || !ft_hex_decode(to, from + 1, 1) || *to == '\0')
			return false;
		from += 2;
	}
	*to = '\0';
	return true;
}

void s3_address_url(const struct s3_address *address, const char *object, const char *query,
		    struct ft_buf *url)
{
	ft_buf_str(url, address->root);
	ft_buf_char(url, '/');
	s3_address_encode_path(url, object);
	if (query)
		ft_buf_printf(url, "?%s", query);
	assert(ft_buf_ok(url));
}
