/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What operators ask about downloads, on the broker's thread. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "base/wildcard.h"
#include "engine/admin/admin_call.h"
#include "engine/downloads/downloads.h"

#define OFFERS_STEPS 2000	/* entries that are looked at for a page */
#define OFFERS_COST 8		/* of a page, in commands */
#define OFFERS_AFTER_ROOM (8 + FT_NAME_ROOM + FT_OFFER_PATH_MAX)

static enum ft_status offers_lack_option(struct admin_call *call, int downloads)
{
	if (call->engine->downloads && (call->engine->options->downloads & downloads))
		return FT_OK;
	call->detail = downloads == FT_DOWNLOADS_JOBS ? "option downloads has no jobs"
						      : "option downloads is off";
	return FT_INVALID_FILE_COMMAND;
}

enum ft_status engine_offer_file(struct admin_call *call, struct ft_transfer *none)
{
	enum ft_status st = offers_lack_option(call, ~0);

	(void)none;
	return st == FT_OK ? engine_submit_admin(call, NULL, 0) : st;
}

enum ft_status engine_withdraw_offer(struct admin_call *call, struct ft_transfer *none)
{
	return engine_offer_file(call, none);
}

enum ft_status engine_list_jobs(struct admin_call *call, struct ft_transfer *none)
{
	enum ft_status st = offers_lack_option(call, FT_DOWNLOADS_JOBS);

	(void)none;
	return st == FT_OK ? engine_submit_admin(call, NULL, 0) : st;
}

/* --- listOffers --- */

/* A cursor is the place of the last entry: the scope's number, whose, path. False: it is none. */
static bool offers_parse_after(const char *text, char room[OFFERS_AFTER_ROOM], struct ft_offer *after)
{
	char *whose = room + 2, *path;

	if (strlen(text) >= OFFERS_AFTER_ROOM || text[0] < '0' + FT_OFFER_CLIENT
	    || text[0] > '0' + FT_OFFER_ALL || text[1] != '/')
		return false;
	memcpy(room, text, strlen(text) + 1);
	if (!(path = strchr(whose, '/')))
		return false;
	*path++ = '\0';
	*after = (struct ft_offer){
		.scope = (enum ft_offer_scope)(text[0] - '0'), .whose = whose, .path = path,
	};
	return true;
}

static void offers_put_after(struct ft_buf *to, const struct ft_offer *last)
{
	char room[OFFERS_AFTER_ROOM];
	struct ft_buf after = ft_buf_on(room, sizeof room);

	ft_buf_printf(&after, "%d/%s/%s", (int)last->scope, last->whose, last->path);
	ft_control_put_after(to, room);
}

/* As offerFile has it. An id that cannot be told is named as its folder is. */
static void offers_put_to(struct ft_buf *to, const struct ft_offer *offer)
{
	char room[8 + FT_NAME_ROOM], id[FT_NAME_ROOM];
	struct ft_buf text = ft_buf_on(room, sizeof room);
	size_t len;

	ft_buf_str(&text, ft_offer_scope_word(offer->scope));
	if (offer->scope != FT_OFFER_ALL) {
		ft_buf_char(&text, '/');
		if (offer->scope != FT_OFFER_GROUP && ft_offer_whose_id(id, &len, offer->whose)
		    && ft_utf8_valid(id, len) && !memchr(id, '\0', len))
			ft_buf_bytes(&text, id, len);
		else
			ft_buf_str(&text, offer->whose);
	}
	ft_control_put_text(to, "to", room, text.len);
}

static void offers_put(struct ft_buf *to, const struct ft_offer *offer)
{
	char checksum[FT_SHA256_HEX_LEN + 1];
	struct ft_buf hex = ft_buf_on(checksum, sizeof checksum);

	offers_put_to(to, offer);
	ft_control_put_word(to, "name", offer->path);
	ft_control_put_number(to, "size", offer->stat.size);
	ft_control_put_time(to, "modified_at", offer->stat.mtime_ns / 1000000);
	ft_control_put_truth(to, "offered", offer->hashed);
	if (offer->hashed) {
		ft_buf_hex(&hex, offer->sha256.bytes, FT_SHA256_LEN);
		ft_control_put_word(to, "sha256", checksum);
	}
	if (offer->meta.len > 0) {
		ft_control_open(to, "meta", '{');
		ft_buf_bytes(to, offer->meta.at + 1, offer->meta.len - 1);
	}
}

static bool offers_fit(const struct ft_control_command *command, const struct ft_offer *offer)
{
	const struct ft_control_offer *wanted = &command->offer;
	int64_t modified_s = offer->stat.mtime_ns / 1000000000;

	return (!wanted->to || (wanted->scope == offer->scope
				&& strcmp(wanted->whose, offer->whose) == 0))
	       && modified_s >= command->since && modified_s <= command->until
	       && offer->stat.size >= command->min_size && offer->stat.size <= command->max_size
	       && (!command->pattern || ft_wildcard_match(command->pattern, offer->path));
}

/* False: the page is full without it. */
static bool offers_put_entry(struct ft_buf *to, const struct ft_offer *offer)
{
	struct ft_buf before = *to;

	ft_control_open_entry(to);
	offers_put(to, offer);
	return ft_control_close_entry(to, &before, 6 * OFFERS_AFTER_ROOM);
}

/* The index is sorted, so that a page begins behind the last entry of the one before. */
enum ft_status engine_list_offers(struct admin_call *call, struct ft_transfer *none)
{
	const struct ft_control_command *command = call->command;
	const struct ft_control_offer *wanted = &command->offer;
	struct ft_offer after = { .scope = wanted->scope, .whose = wanted->whose, .path = "" };
	const struct ft_offers *offers;
	const struct ft_offer *last = NULL;
	char room[OFFERS_AFTER_ROOM];
	size_t at = 0, count = 0, steps = 0;
	enum ft_status st = offers_lack_option(call, ~0);

	(void)none;
	if (st != FT_OK)
		return st;
	if (wanted->after && !offers_parse_after(wanted->after, room, &after)) {
		call->detail = "cursor is what an earlier page had as its cursor";
		return FT_INVALID_FILE_COMMAND;
	}
	offers = engine_offers(call->engine);
	call->cost = OFFERS_COST;
	ft_control_open(call->data, "offers", '[');
	if (offers && (wanted->after || wanted->to))
		at = ft_offers_behind(offers, &after);
	for (; offers && at < offers->count && count < command->limit && steps < OFFERS_STEPS; at++, steps++) {
		const struct ft_offer *offer = &offers->offer[at];

		if (offers_fit(command, offer)) {
			if (!offers_put_entry(call->data, offer))
				break;
			count++;
		} else if (wanted->to && offer->scope > wanted->scope) {
			at = offers->count;
			break;
		}
		last = offer;
	}
	ft_buf_char(call->data, ']');
	if (offers && last && at < offers->count)
		offers_put_after(call->data, last);
	return FT_OK;
}
