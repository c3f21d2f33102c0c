/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/offer.h"

#include <assert.h>
#include <string.h>

#include "base/hex.h"
#include "base/system.h"
#include "base/utf8.h"

#define OFFER_FIXED_ROOM 256	/* names of members, numbers, digits */
#define OFFER_ESCAPE_GROWTH 6	/* one byte as \u00XX */

const char *ft_offer_scope_word(enum ft_offer_scope scope)
{
	static const char *const words[] = {
		[FT_OFFER_CLIENT] = "client", [FT_OFFER_USER] = "user", [FT_OFFER_GROUP] = "group",
		[FT_OFFER_ALL] = "all",
	};

	return words[scope];
}

bool ft_offer_path_is_good(const char *path, size_t len)
{
	size_t levels = 0;

	if (len == 0 || len > FT_OFFER_PATH_MAX || !ft_utf8_valid(path, len)
	    || ft_utf8_has_control(path, len))
		return false;
	for (const char *level = path, *end = path + len; level <= end;) {
		const char *slash = memchr(level, '/', (size_t)(end - level));
		size_t level_len = (size_t)((slash ? slash : end) - level);

		if (level_len == 0 || level_len > FT_OFFER_LEVEL_MAX || *level == '.'
		    || ++levels > FT_OFFER_LEVELS_MAX)
			return false;
		level += level_len + 1;
	}
	for (size_t i = 0; i < len; i++)
		if (strchr("+#\\", path[i]))
			return false;
	return true;
}

bool ft_offer_name_is_hidden(const char *name)
{
	static const char *const suffixes[] = { ".part", ".tmp", "~" };
	size_t len = strlen(name);

	if (*name == '.')
		return true;
	for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
		size_t suffix_len = strlen(suffixes[i]);

		if (len >= suffix_len && strcmp(name + len - suffix_len, suffixes[i]) == 0)
			return true;
	}
	return false;
}

bool ft_offer_path_can_be(const char *path)
{
	char level[FT_OFFER_LEVEL_MAX + 1];

	if (!ft_offer_path_is_good(path, strlen(path)))
		return false;
	for (size_t len; *path; path += len + (path[len] == '/')) {
		len = strcspn(path, "/");
		memcpy(level, path, len);
		level[len] = '\0';
		if (ft_offer_name_is_hidden(level))
			return false;
	}
	return true;
}

bool ft_offer_parse_to(const char *text, enum ft_offer_scope *scope, char whose[FT_NAME_ROOM])
{
	*whose = '\0';
	*scope = FT_OFFER_ALL;
	if (strcmp(text, ft_offer_scope_word(FT_OFFER_ALL)) == 0)
		return true;
	for (int i = FT_OFFER_CLIENT; i < FT_OFFER_ALL; i++) {
		const char *word = ft_offer_scope_word((enum ft_offer_scope)i);
		const char *id = text + strlen(word) + 1;

		if (strncmp(text, word, strlen(word)) != 0 || text[strlen(word)] != '/' || !*id)
			continue;
		*scope = (enum ft_offer_scope)i;
		if (i != FT_OFFER_GROUP) {
			ft_escape(whose, id, strlen(id));
			return true;
		}
		/* A group has its own name, one level of a path. */
		if (strchr(id, '/') || !ft_offer_path_can_be(id))
			return false;
		memcpy(whose, id, strlen(id) + 1);
		return true;
	}
	return false;
}

int ft_offer_compare(const struct ft_offer *a, const struct ft_offer *b)
{
	int order = (int)a->scope - (int)b->scope;

	if (order == 0)
		order = strcmp(a->whose, b->whose);
	return order != 0 ? order : strcmp(a->path, b->path);
}

bool ft_offer_stat_equal(const struct ft_offer_stat *a, const struct ft_offer_stat *b)
{
	return a->inode == b->inode && a->size == b->size && a->mtime_ns == b->mtime_ns
	       && a->ctime_ns == b->ctime_ns;
}

size_t ft_offer_room(const struct ft_offer *offer)
{
	return OFFER_FIXED_ROOM + OFFER_ESCAPE_GROWTH * strlen(offer->path) + offer->meta.len;
}

void ft_offer_write(struct ft_buf *to, const struct ft_offer *offer)
{
	char modified_at[FT_RFC3339_ROOM];

	assert(offer->hashed);
	ft_buf_str(to, "\"path\":");
	ft_buf_json(to, offer->path, strlen(offer->path));
	ft_buf_str(to, ",\"size\":");
	ft_buf_u64(to, offer->stat.size);
	ft_buf_str(to, ",\"sha256\":\"");
	ft_buf_hex(to, offer->sha256.bytes, FT_SHA256_LEN);
	ft_rfc3339(modified_at, offer->stat.mtime_ns / 1000000);
	ft_buf_str(to, "\",\"modified_at\":\"");
	ft_buf_str(to, modified_at);
	ft_buf_char(to, '"');
}

void ft_offer_write_all(struct ft_buf *to, const struct ft_offer *offer)
{
	ft_offer_write(to, offer);
	if (offer->meta.len == 0)
		return;
	ft_buf_str(to, ",\"meta\":");
	ft_buf_bytes(to, offer->meta.at, offer->meta.len);
}

bool ft_offer_whose_id(char id[FT_NAME_ROOM], size_t *len, const char *whose)
{
	char again[FT_NAME_ROOM];

	*len = 0;
	for (const char *at = whose; *at; at++) {
		int high = *at == '%' ? ft_hex_digit(at[1]) : 0;
		int low = *at == '%' && high >= 0 ? ft_hex_digit(at[2]) : 0;

		if (*len == FT_NAME_ROOM - 1 || high < 0 || low < 0)
			return false;
		id[(*len)++] = *at == '%' ? (char)(high * 16 + low) : *at;
		at += *at == '%' ? 2 : 0;
	}
	id[*len] = '\0';
	ft_escape(again, id, *len);
	return strcmp(again, whose) == 0;
}

bool ft_offer_topic(struct ft_buf *to, const struct ft_offer *offer)
{
	char id[FT_NAME_ROOM];
	size_t len;

	ft_buf_str(to, "$file-offer/");
	ft_buf_str(to, ft_offer_scope_word(offer->scope));
	ft_buf_char(to, '/');
	if (offer->scope != FT_OFFER_ALL) {
		if (!ft_offer_whose_id(id, &len, offer->whose) || !ft_utf8_valid(id, len)
		    || ft_utf8_has_control(id, len) || strpbrk(id, "/+#"))
			return false;
		ft_buf_bytes(to, id, len);
		ft_buf_char(to, '/');
	}
	ft_buf_str(to, offer->path);
	return ft_buf_ok(to);
}
