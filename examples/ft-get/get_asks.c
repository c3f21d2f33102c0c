/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "get.h"

#define ANSWER_MS 5000			/* then a block is asked for again; doubling, up to */
#define ANSWER_MAX_MS 80000
#define ANSWER_UNKNOWN_MS 60000		/* where none has come yet, but something does */
#define ANSWER_SHARE 8			/* of the newest in the mean */
#define ANSWER_TIMES 4			/* so much slower than usual is too slow */
#define BEGIN_BLOCKS 4			/* at a time, before the speed is known */
#define TROUBLE_EVERY_MS 1000
#define LATER_DOUBLINGS 5		/* of a second, after errors of the broker's own */

static unsigned asks_count(const struct getter *g, enum ask_state state)
{
	unsigned count = 0;

	for (unsigned i = 0; i < g->settings->link.window; i++)
		count += g->asks[i].state == state;
	return count;
}

bool asks_any(const struct getter *g)
{
	return asks_count(g, ASK_FREE) < g->settings->link.window;
}

static void ask_free(struct ask *ask)
{
	free(ask->bytes);
	*ask = (struct ask){0};
}

void asks_clear(struct getter *g)
{
	for (unsigned i = 0; i < g->settings->link.window; i++)
		ask_free(&g->asks[i]);
}

/* The lowest is always in front: standard output waits for it, and for no other. */
static void ask_put_back(struct getter *g, struct ask *ask)
{
	struct spans *todo = &g->file.todo;

	if (!spans_give_back(todo, &ask->piece))
		getter_fail(g, EXIT_INTERNAL, "out of memory");
	for (size_t i = todo->count; i > 1 && todo->items[i - 2].offset < todo->items[i - 1].offset; i--) {
		struct span higher = todo->items[i - 1];
		todo->items[i - 1] = todo->items[i - 2];
		todo->items[i - 2] = higher;
	}
	ask_free(ask);
}

void asks_forget(struct getter *g)
{
	for (unsigned i = 0; i < g->settings->link.window; i++) {
		if (g->asks[i].state == ASK_OPEN)
			ask_put_back(g, &g->asks[i]);
	}
}

/* --- asking --- */

static bool asks_are_full(const struct getter *g)
{
	unsigned open = asks_count(g, ASK_OPEN), count = open + asks_count(g, ASK_ARRIVED);
	uint64_t bytes = 0;

	if (count >= g->settings->link.window || (g->file.shrunk && open >= g->file.shrunk))
		return true;
	if (g->pace.speed <= 0 && open >= BEGIN_BLOCKS)
		return true;
	for (unsigned i = 0; i < g->settings->link.window; i++)
		bytes += g->asks[i].state == ASK_OPEN ? g->asks[i].block.len : 0;
	return bytes >= pace_flight_bytes(&g->pace);
}

/* AWS has blocks at multiples of their size only. */
static void ask_set_block(const struct getter *g, struct ask *ask)
{
	uint64_t size = g->file.target.size, unit = g->wire.block_bytes;

	ask->block = ask->piece;
	if (!unit)
		return;
	ask->block.offset = ask->piece.offset / unit * unit;
	ask->block.len = size - ask->block.offset < unit ? size - ask->block.offset : unit;
}

static struct ask *asks_next(struct getter *g)
{
	uint64_t max = pace_segment(&g->pace);
	struct ask *free_one = NULL;

	for (unsigned i = 0; i < g->settings->link.window; i++) {
		if (g->asks[i].again)
			return &g->asks[i];
		if (g->asks[i].state == ASK_FREE)
			free_one = &g->asks[i];
	}
	struct spans *todo = &g->file.todo;
	if (!todo->count || !free_one || asks_are_full(g))
		return NULL;
	if (g->wire.block_bytes)
		max = g->wire.block_bytes -
		      todo->items[todo->count - 1].offset % g->wire.block_bytes;
	*free_one = (struct ask){ .state = ASK_OPEN };
	(void)spans_take(todo, max, &free_one->piece);
	ask_set_block(g, free_one);
	return free_one;
}

void asks_send(struct getter *g, int64_t now)
{
	struct ask *ask;

	while (g->file.phase == FILE_BLOCKS && getter_is_ready(g) && now >= g->not_before_ms &&
	       !link_wants_write(&g->dialer.link) && pace_wait_ms(&g->pace, now) == 0 &&
	       (ask = asks_next(g))) {
		ask->again = false;
		ask->sent_ms = now;
		g->wire.protocol->write_block(&g->wire, ask->block.offset, ask->block.len, &g->message);
		if (!link_publish(&g->dialer.link, g->message.topic, g->message.payload,
				  strlen(g->message.payload), 0, NULL))
			return;
		pace_sent(&g->pace, ask->block.len);
	}
	if (g->file.phase == FILE_BLOCKS && !g->file.todo.count)
		pace_idle(&g->pace);
}

/* --- what comes --- */

static struct ask *asks_find(struct getter *g, uint64_t offset)
{
	for (unsigned i = 0; i < g->settings->link.window; i++) {
		if (g->asks[i].state == ASK_OPEN && g->asks[i].block.offset == offset)
			return &g->asks[i];
	}
	return NULL;
}

static void ask_keep(struct getter *g, struct ask *ask, const unsigned char *bytes)
{
	size_t len = (size_t)ask->piece.len;

	ask->bytes = malloc(len);
	if (!ask->bytes) {
		getter_fail(g, EXIT_INTERNAL, "out of memory");
		return;
	}
	memcpy(ask->bytes, bytes, len);
	ask->state = ASK_ARRIVED;
	ask->again = false;
}

/* What nobody asked for, or not so, is as if it had not come. */
void asks_take_bytes(struct getter *g, const struct heard *heard, int64_t now)
{
	struct ask *ask = g->file.phase == FILE_BLOCKS ? asks_find(g, heard->offset) : NULL;
	struct target *target = &g->file.target;

	if (!ask || heard->len != ask->block.len)
		return;
	double took = (double)(now - ask->sent_ms);
	g->answer_ms += g->answer_ms > 0 ? (took - g->answer_ms) / ANSWER_SHARE : took + 1;
	pace_acked(&g->pace, heard->len, now - ask->sent_ms, now);
	g->tell.progress.sent += ask->piece.len;
	getter_headway(g, now);
	const unsigned char *bytes = heard->bytes;
	bytes += ask->piece.offset - ask->block.offset;
	if (!target->file) {
		ask_keep(g, ask, bytes);
		return;
	}
	struct span piece = ask->piece;
	ask_free(ask);
	if (!target_put(target, piece.offset, bytes, (size_t)piece.len))
		file_fail(g, EXIT_FILE, target->why);
}

static void asks_pause(struct getter *g, unsigned seconds, int64_t now)
{
	if (g->not_before_ms < now + (int64_t)seconds * 1000)
		g->not_before_ms = now + (int64_t)seconds * 1000;
}

/* Perhaps the broker takes fewer at a time. Of those that are refused together the first counts. */
static void ask_back_off(struct getter *g, struct ask *ask, unsigned seconds, int64_t now)
{
	unsigned open = asks_count(g, ASK_OPEN);

	if (now >= g->not_before_ms && open > 1 && (!g->file.shrunk || g->file.shrunk > open / 2))
		g->file.shrunk = open / 2;
	asks_pause(g, seconds, now);
	ask_put_back(g, ask);
}

static void ask_try_later(struct getter *g, struct ask *ask, int64_t now)
{
	ask->again = true;
	asks_pause(g, 1u << (ask->attempt < LATER_DOUBLINGS ? ask->attempt++ : LATER_DOUBLINGS), now);
}

/* How large a block may be is believed if that is less than what was asked for. */
static void asks_use_smaller(struct getter *g, const struct ask *ask, const struct heard *heard)
{
	if (!heard->max_block || heard->max_block >= ask->block.len || g->wire.block_bytes) {
		file_fail(g, EXIT_REFUSED, heard->why);
		return;
	}
	pace_limit(&g->pace, heard->max_block);
	asks_forget(g);
}

void asks_take_answer(struct getter *g, const struct heard *heard, int64_t now)
{
	struct ask *ask = g->file.phase == FILE_BLOCKS ? asks_find(g, heard->offset) : NULL;

	if (!ask)
		return;
	snprintf(g->trouble, sizeof(g->trouble), "%s", heard->why);
	switch (heard->verdict) {
	case VERDICT_DONE:
		break;
	case VERDICT_CHANGED:
		file_begin_anew(g);
		break;
	case VERDICT_WAIT:
		ask_back_off(g, ask, heard->retry_after_s, now);
		break;
	case VERDICT_LATER:
		ask_try_later(g, ask, now);
		break;
	case VERDICT_TOO_LARGE:
		asks_use_smaller(g, ask, heard);
		break;
	case VERDICT_NOT_OFFERED:
		file_fail(g, EXIT_REFUSED, "it is not offered any more");
		break;
	case VERDICT_DENIED:
		file_fail(g, EXIT_DENIED, heard->why);
		break;
	case VERDICT_REFUSED:
		file_fail(g, EXIT_REFUSED, heard->why);
		break;
	}
}

/* --- what does not come --- */

/*
 * On a slow line a block comes late because others are before it. So the silence of the line
 * counts, and how long blocks take lately.
 */
static bool ask_is_overdue(const struct getter *g, const struct ask *ask, int64_t now)
{
	int64_t heard = g->dialer.link.heard_ms, patience = ANSWER_MS;
	int64_t usual = g->answer_ms > 0 ? (int64_t)(g->answer_ms * ANSWER_TIMES) : ANSWER_UNKNOWN_MS;

	if (ask->state != ASK_OPEN || ask->again)
		return false;
	for (unsigned i = 0; i < ask->attempt && patience < ANSWER_MAX_MS; i++) {
		patience *= 2;
		usual *= 2;
	}
	int64_t since = heard > ask->sent_ms ? heard : ask->sent_ms;
	return now - since >= patience ||
	       now - ask->sent_ms >= (usual > patience ? usual : patience);
}

void asks_watch_overdue(struct getter *g, int64_t now)
{
	bool any = false;

	for (unsigned i = 0; i < g->settings->link.window; i++) {
		struct ask *ask = &g->asks[i];
		if (!ask_is_overdue(g, ask, now))
			continue;
		ask->again = any = true;
		ask->attempt++;
	}
	if (any && now - g->trouble_ms >= TROUBLE_EVERY_MS) {
		pace_trouble(&g->pace, now);
		g->trouble_ms = now;
	}
	if (any && !g->trouble[0])
		snprintf(g->trouble, sizeof(g->trouble), "the broker does not answer");
}

/* --- standard output --- */

/* What comes next in line, and is here. */
static struct ask *asks_first(const struct getter *g)
{
	for (unsigned i = 0; i < g->settings->link.window; i++) {
		struct ask *ask = &g->asks[i];
		if (ask->state == ASK_ARRIVED &&
		    ask->piece.offset + ask->written == g->file.target.hashed)
			return ask;
	}
	return NULL;
}

bool asks_wait_for_output(const struct getter *g)
{
	return g->file.phase == FILE_BLOCKS && !g->file.target.file && asks_first(g);
}

/* A pipe that can take something can take PIPE_BUF: so who reads slowly holds nobody up. */
void asks_write_out(struct getter *g)
{
	struct pollfd ready = { .fd = STDOUT_FILENO, .events = POLLOUT };
	struct target *target = &g->file.target;
	struct ask *ask;

	while (g->file.phase == FILE_BLOCKS && !target->file && (ask = asks_first(g)) &&
	       poll(&ready, 1, 0) > 0) {
		size_t rest = (size_t)ask->piece.len - ask->written;
		size_t len = rest < PIPE_BUF ? rest : PIPE_BUF;
		if (!target_put(target, target->hashed, ask->bytes + ask->written, len)) {
			file_fail(g, EXIT_FILE, target->why);
			return;
		}
		ask->written += len;
		if (ask->written == ask->piece.len)
			ask_free(ask);
	}
}
