/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What the engine must do, said again and more simply: per transfer its state, which
 * bytes are held and what they are. No ranges, no files, no threads.
 *
 *	expected = model_expect(transfer, &command, limits)
 *	the engine carries it out and answers
 *	model_apply(transfer, &command)		as if it had done what it said
 *
 * What a crash leaves open is kept as `may_be` (states) and `unsure` (bytes), and is
 * settled by asking the restarted engine.
 */
#ifndef FT_TESTS_MODEL_H
#define FT_TESTS_MODEL_H

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/sha256.h"
#include "protocol/reply.h"
#include "protocol/topic.h"

#define MODEL_LIST_MAX 100
#define MODEL_SPAN_MAX ((size_t)5 << 20)	/* the largest files played with */
#define MODEL_WAITERS_MAX 16
#define MODEL_EXPIRE_BASE 4000000000u	/* far from now */

enum { MAY_BE_NONE = 1, MAY_BE_RECEIVING = 2, MAY_BE_COMPLETE = 4 };

/* How sure it is that a byte is held, and as `bytes` says. */
enum model_byte {
	BYTE_MISSING,
	BYTE_HELD,
	BYTE_NEW,	/* was missing; if held now, as `bytes` says */
	BYTE_CHANGED,	/* held, as `bytes` or as `old` says */
	BYTE_CUT,	/* if still held, as `bytes` says */
};

struct model_meta {
	int name;
	bool has_size;
	bool has_sum;
	uint64_t size;
	struct ft_sha256 sum;
};

struct model_transfer {
	enum ft_state state;
	struct model_meta meta;
	unsigned about;		/* which expire_at and user_data */
	uint64_t ttl;		/* seconds; 0: not asked for */
	int64_t news_ms;
	int64_t news_slack_ms;	/* it may have been that much earlier */
	bool news_unsure;	/* or later: nobody has asked since the restart */
	size_t span;		/* of the arrays */
	uint8_t *held;		/* enum model_byte */
	uint8_t *bytes;
	uint8_t *old;
	uint64_t fin_size;
	bool fin_has_sum;
	struct ft_sha256 fin_sum;
	int64_t assembling_ms;
	unsigned waiters;
	bool abort_pending;
	enum ft_status result;	/* of the newest assembly */
	unsigned may_be;	/* after a crash; 0: sure */
	bool unsure;		/* some bytes are not MISSING or HELD */
	bool described;		/* an init was in flight */
};

struct model_command {
	enum ft_verb verb;
	int key;
	bool async;
	bool bad;		/* INIT: not JSON */
	struct model_meta meta;	/* INIT */
	uint64_t ttl;
	unsigned about;
	uint64_t number;	/* SEGMENT: offset, FIN: size */
	size_t len;
	unsigned pattern;	/* SEGMENT: which bytes */
	bool has_sum;		/* SEGMENT, FIN */
	bool wrong_sum;		/* SEGMENT */
	struct ft_sha256 sum;
};

struct model_limits {
	uint64_t max_file_size;
	uint64_t max_segment_size;
};

/* The byte at a position, in one of several contents. */
static inline uint8_t model_byte_of(unsigned pattern, uint64_t at)
{
	uint64_t x = (at + 1) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint8_t)((x >> 40) + pattern * 85);
}

static void model_fill(uint8_t *bytes, unsigned pattern, uint64_t from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = model_byte_of(pattern, from + i);
}

static bool model_covers(const struct model_transfer *t, uint64_t from, uint64_t to)
{
	if (from >= to)
		return true;
	return to <= t->span && !memchr(t->held + from, BYTE_MISSING, to - from);
}

static bool model_same(const struct model_transfer *t, uint64_t from, size_t len, unsigned pattern)
{
	if (from + len > t->span || !model_covers(t, from, from + len))
		return false;
	for (size_t i = 0; i < len; i++)
		if (t->bytes[from + i] != model_byte_of(pattern, from + i))
			return false;
	return true;
}

static void model_reset(struct model_transfer *t)
{
	t->state = FT_STATE_NONE;
	t->waiters = 0;
	t->abort_pending = false;
	t->unsure = false;
	t->may_be = 0;
	t->described = false;
	memset(t->held, BYTE_MISSING, t->span);
}

static bool model_meta_equal(const struct model_meta *a, const struct model_meta *b)
{
	return a->name == b->name && a->has_size == b->has_size && a->has_sum == b->has_sum
	       && (!a->has_size || a->size == b->size)
	       && (!a->has_sum || ft_sha256_equal(&a->sum, &b->sum));
}

static struct ft_sha256 model_sum(const struct model_transfer *t, uint64_t size)
{
	struct ft_sha256 sum = { { 0 } };

	if (size <= t->span)
		(void)ft_sha256_of(t->bytes, size, &sum);
	return sum;
}

/* The checksum that a fin has to meet, its own or else the init's. */
static bool model_expected_sum(const struct model_transfer *t, const struct model_command *c,
			       struct ft_sha256 *sum)
{
	if (c->has_sum)
		*sum = c->sum;
	else if (t->meta.has_sum)
		*sum = t->meta.sum;
	return c->has_sum || t->meta.has_sum;
}

/* What the assembly in progress must come to. */
static enum ft_status model_result(const struct model_transfer *t)
{
	struct ft_sha256 sum = model_sum(t, t->fin_size);

	return !t->fin_has_sum || ft_sha256_equal(&sum, &t->fin_sum) ? FT_OK
		: FT_FILE_CHECKSUM_MISMATCH;
}

/* --- what is to be answered at once --- */

static enum ft_status expect_init(const struct model_transfer *t, const struct model_command *c,
				  const struct model_limits *limits)
{
	struct ft_sha256 sum;

	if (c->bad)
		return FT_INVALID_FILEMETA_JSON;
	if (limits->max_file_size > 0 && c->meta.has_size && c->meta.size > limits->max_file_size)
		return FT_FILE_TOO_LARGE;
	if (t->state == FT_STATE_NONE)
		return FT_OK;
	if (t->state != FT_STATE_COMPLETE)
		return model_meta_equal(&c->meta, &t->meta) ? FT_OK : FT_FILEMETA_CONFLICT;
	sum = model_sum(t, t->fin_size);
	if (c->meta.name != t->meta.name || (c->meta.has_size && c->meta.size != t->fin_size)
	    || (c->meta.has_sum && !ft_sha256_equal(&c->meta.sum, &sum)))
		return FT_FILEMETA_CONFLICT;
	return FT_OK;
}

static enum ft_status expect_segment(const struct model_transfer *t, const struct model_command *c,
				     const struct model_limits *limits)
{
	if (c->number > (uint64_t)INT64_MAX || c->len > (uint64_t)INT64_MAX - c->number)
		return FT_INVALID_OFFSET;
	if (limits->max_segment_size > 0 && c->len > limits->max_segment_size)
		return FT_SEGMENT_TOO_LARGE;
	if (limits->max_file_size > 0 && c->number + c->len > limits->max_file_size)
		return FT_FILE_TOO_LARGE;
	if (c->has_sum && c->wrong_sum)
		return FT_CHECKSUM_MISMATCH;
	if (t->state == FT_STATE_NONE)
		return FT_NO_SUCH_TRANSFER;
	if (c->len == 0 || t->state == FT_STATE_RECEIVING)
		return FT_OK;
	if (t->state == FT_STATE_ASSEMBLING)
		return model_same(t, c->number, c->len, c->pattern) ? FT_OK : FT_BUSY;
	return c->number + c->len <= t->fin_size && model_same(t, c->number, c->len, c->pattern)
		? FT_OK : FT_ALREADY_COMPLETE;
}

static enum ft_status expect_fin(const struct model_transfer *t, const struct model_command *c,
				 const struct model_limits *limits)
{
	struct ft_sha256 sum = { { 0 } };
	bool has_sum;

	switch (t->state) {
	case FT_STATE_COMPLETE:
		sum = model_sum(t, t->fin_size);
		return c->number == t->fin_size && (!c->has_sum || ft_sha256_equal(&sum, &c->sum))
			? FT_OK : FT_ALREADY_COMPLETE;
	case FT_STATE_ASSEMBLING:
		has_sum = model_expected_sum(t, c, &sum);
		if (c->number != t->fin_size || has_sum != t->fin_has_sum
		    || (has_sum && !ft_sha256_equal(&sum, &t->fin_sum)))
			return FT_BUSY;
		return t->waiters < MODEL_WAITERS_MAX ? FT_OK : FT_BUSY;
	case FT_STATE_RECEIVING:
		if (limits->max_file_size > 0 && c->number > limits->max_file_size)
			return FT_FILE_TOO_LARGE;
		return model_covers(t, 0, c->number) ? FT_OK : FT_INCOMPLETE;
	default:
		return FT_NO_SUCH_TRANSFER;
	}
}

static enum ft_status model_expect(const struct model_transfer *t, const struct model_command *c,
				   const struct model_limits *limits)
{
	switch (c->verb) {
	case FT_VERB_INIT:
		return expect_init(t, c, limits);
	case FT_VERB_SEGMENT:
		return expect_segment(t, c, limits);
	case FT_VERB_FIN:
		return expect_fin(t, c, limits);
	case FT_VERB_ABORT:
		return t->state == FT_STATE_COMPLETE ? FT_ALREADY_COMPLETE
			: t->abort_pending ? FT_BUSY : FT_OK;
	case FT_VERB_STATUS:
		break;
	}
	return FT_OK;
}

/*
 * Whether the answer may also be this: a segment delivered again while the file is
 * assembled may have to wait, for its bytes may be on their way to another name.
 */
static bool model_tolerates(const struct model_transfer *t, const struct model_command *c,
			    enum ft_status expected, enum ft_status status)
{
	return c->verb == FT_VERB_SEGMENT && t->state == FT_STATE_ASSEMBLING && expected == FT_OK
	       && status == FT_BUSY;
}

/* --- what it changes --- */

/* How long the transfer may be without news; the engine is started with these limits. */
static int64_t model_ttl_ms(const struct model_transfer *t)
{
	uint64_t ttl = t->ttl == 0 ? 1000 : t->ttl < 300 ? 300 : t->ttl > 2000 ? 2000 : t->ttl;

	return (int64_t)ttl * 1000;
}

/* Whether it must have expired by now. */
static bool model_must_expire(const struct model_transfer *t, int64_t now_ms)
{
	return t->state == FT_STATE_RECEIVING && !t->news_unsure
	       && now_ms - t->news_ms >= model_ttl_ms(t);
}

/* Whether it may have expired by now. */
static bool model_may_expire(const struct model_transfer *t, int64_t now_ms)
{
	return t->state == FT_STATE_RECEIVING
	       && now_ms - t->news_ms + t->news_slack_ms >= model_ttl_ms(t);
}

static void model_news(struct model_transfer *t, int64_t now_ms)
{
	t->news_ms = now_ms;
	t->news_slack_ms = 0;
	t->news_unsure = false;
}

/* Whether a command with this outcome counts as news of the transfer. */
static bool model_is_news(const struct model_transfer *t, const struct model_command *c,
			  enum ft_status status)
{
	if (t->state != FT_STATE_RECEIVING && t->state != FT_STATE_ASSEMBLING)
		return false;
	switch (c->verb) {
	case FT_VERB_INIT:
		return status == FT_OK;
	case FT_VERB_SEGMENT:
		return status == FT_OK || status == FT_BUSY;
	case FT_VERB_FIN:
		return true;
	default:
		return false;
	}
}

static void apply_init(struct model_transfer *t, const struct model_command *c)
{
	if (t->state == FT_STATE_NONE) {
		model_reset(t);
		t->state = FT_STATE_RECEIVING;
		t->meta = c->meta;
	}
	if (t->state != FT_STATE_RECEIVING)
		return;
	t->about = c->about;
	t->ttl = c->ttl;
}

static void apply_segment(struct model_transfer *t, const struct model_command *c)
{
	if (t->state != FT_STATE_RECEIVING || c->len == 0)
		return;
	memset(t->held + c->number, BYTE_HELD, c->len);
	model_fill(t->bytes + c->number, c->pattern, c->number, c->len);
}

static void apply_fin(struct model_transfer *t, const struct model_command *c, int64_t now_ms)
{
	if (t->state == FT_STATE_RECEIVING) {
		t->state = FT_STATE_ASSEMBLING;
		t->assembling_ms = now_ms;
		t->fin_size = c->number;
		t->fin_has_sum = model_expected_sum(t, c, &t->fin_sum);
		t->waiters = 0;
	}
	if (t->state == FT_STATE_ASSEMBLING)
		t->waiters++;
}

/* The command was answered with success (all but abort, whose end is told by responses). */
static void model_apply(struct model_transfer *t, const struct model_command *c, int64_t now_ms)
{
	if (model_is_news(t, c, FT_OK) || t->state == FT_STATE_NONE)
		model_news(t, now_ms);
	switch (c->verb) {
	case FT_VERB_INIT:
		apply_init(t, c);
		break;
	case FT_VERB_SEGMENT:
		apply_segment(t, c);
		break;
	case FT_VERB_FIN:
		apply_fin(t, c, now_ms);
		break;
	case FT_VERB_ABORT:
	case FT_VERB_STATUS:
		break;
	}
}

/* --- what a crash leaves open --- */

static void maybe_segment(struct model_transfer *t, const struct model_command *c)
{
	if (t->state != FT_STATE_RECEIVING)
		return;
	for (size_t i = 0; i < c->len; i++) {
		uint64_t at = c->number + i;

		t->old[at] = t->bytes[at];
		t->bytes[at] = model_byte_of(c->pattern, at);
		t->held[at] = t->held[at] == BYTE_MISSING ? BYTE_NEW : BYTE_CHANGED;
	}
	t->unsure = true;
}

/* The engine died with this command, which would have been answered with success, in its hands. */
static void model_maybe(struct model_transfer *t, const struct model_command *c, int64_t now_ms)
{
	switch (c->verb) {
	case FT_VERB_INIT:
		if (t->state == FT_STATE_RECEIVING)
			t->described = true;
		if (t->state == FT_STATE_NONE) {
			apply_init(t, c);
			t->may_be = MAY_BE_NONE | MAY_BE_RECEIVING;
		}
		break;
	case FT_VERB_SEGMENT:
		maybe_segment(t, c);
		break;
	case FT_VERB_FIN:
		apply_fin(t, c, now_ms);
		break;
	case FT_VERB_ABORT:
		if (t->state == FT_STATE_RECEIVING || t->state == FT_STATE_ASSEMBLING)
			t->may_be = MAY_BE_NONE | MAY_BE_RECEIVING;
		break;
	case FT_VERB_STATUS:
		break;
	}
}

/* The engine is gone: what was under way may or may not have come to an end. */
static void model_crashed(struct model_transfer *t, int64_t now_ms)
{
	if (model_may_expire(t, now_ms))
		t->may_be |= MAY_BE_NONE | MAY_BE_RECEIVING;
	t->waiters = 0;
	t->abort_pending = false;
	if (t->state != FT_STATE_ASSEMBLING)
		return;
	t->state = FT_STATE_RECEIVING;
	t->may_be |= MAY_BE_RECEIVING;
	if (model_result(t) != FT_OK)
		return;
	t->may_be |= MAY_BE_COMPLETE;
	/* Publishing begins with cutting the bytes at the size. */
	for (size_t i = t->fin_size; i < t->span; i++)
		if (t->held[i] == BYTE_HELD)
			t->held[i] = BYTE_CUT;
	t->unsure = true;
}

/* --- lists as responses have them --- */

/* Appends [[offset,length],...] of the runs that are (not) held in [0, limit). */
static void model_list(struct ft_buf *list, const struct model_transfer *t, bool held,
		       uint64_t limit, bool *truncated)
{
	size_t entries = 0, at = 0;
	size_t end = limit < t->span ? limit : t->span;

	*truncated = false;
	ft_buf_char(list, '[');
	while (at < end || (!held && at < limit)) {
		size_t from;

		while (at < end && (t->held[at] != BYTE_MISSING) != held)
			at++;
		from = at;
		while (at < end && (t->held[at] != BYTE_MISSING) == held)
			at++;
		if (at == end && !held && limit > end)
			at = limit;	/* nothing is held behind the span */
		if (at == from)
			break;
		if (entries++ == MODEL_LIST_MAX) {
			*truncated = true;
			break;
		}
		ft_buf_printf(list, "%s[%zu,%zu]", entries > 1 ? "," : "", from, at - from);
	}
	ft_buf_char(list, ']');
}

static uint64_t model_received(const struct model_transfer *t)
{
	uint64_t count = 0;

	for (size_t i = 0; i < t->span; i++)
		count += t->held[i] != BYTE_MISSING;
	return count;
}

#endif
