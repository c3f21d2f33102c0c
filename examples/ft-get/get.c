/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "get.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/process.h"

#define BLOCK_MAX_DEFAULT ((uint64_t)256 * 1024)	/* the broker may say less */
#define BACKOFF_MIN_MS 500
#define BACKOFF_MAX_MS 30000
#define ROUND_EVERY_MS 60000	/* groups are not announced to us, and announcements may be off */
#define ROUND_MIN_MS 1000
#define BUSY_WAIT_MS 200	/* while something is on its way */
#define IDLE_WAIT_MS 1000
#define ABSENT_MS 5000
#define REPORTS_MAX 64		/* that wait, before the next file is begun */
#define LAST_REPORT_MS 5000	/* so long one may keep us, when we are to end */
#define OFFER "$file-offer/"

/* --- making one --- */

static bool getter_wants_folder(const struct settings *settings)
{
	bool several = settings->command.path_count > 1;

	for (int i = 0; i < settings->command.path_count; i++)
		several = several || options_is_folder(settings->command.paths[i]);
	return several;
}

static bool getter_set_wire(struct getter *g)
{
	const struct settings *s = g->settings;

	g->wire = (struct wire){
		.protocol = s->aws_stream ? &wire_aws : &wire_native,
		.client_id = s->link.client_id, .sha256 = "", .stream = s->aws_stream,
		.file = s->aws_file,
	};
	if (s->aws_stream &&
	    asprintf(&g->aws_path, "streams/%s/%u", s->aws_stream, s->aws_file) < 0)
		g->aws_path = NULL;
	return !s->aws_stream == !g->aws_path;
}

struct getter *getter_new(const struct settings *settings, const char *state_path,
			  const sigset_t *open)
{
	struct getter *g = calloc(1, sizeof(*g));
	int64_t now = process_now_ms();

	if (!g)
		return NULL;
	g->settings = settings;
	g->open = *open;
	g->headway_ms = g->stepped_ms = now;
	g->file.target.fd = g->file.target.look_fd = -1;
	tell_init(&g->tell, settings);
	places_init(&g->places, settings->output, getter_wants_folder(settings));
	dialer_init(&g->dialer, &settings->link, BACKOFF_MIN_MS, BACKOFF_MAX_MS);
	pace_init(&g->pace, settings->block_bytes,
		  settings->block_bytes ? settings->block_bytes : BLOCK_MAX_DEFAULT, now);
	pace_set_rate(&g->pace, settings->rate, now);
	g->asks = calloc(settings->link.window, sizeof(*g->asks));
	g->message.topic = malloc(WIRE_TOPIC_ROOM);
	if (g->asks && g->message.topic && getter_set_wire(g) &&
	    done_load(&g->done, settings->watch ? state_path : NULL))
		return g;
	getter_free(g);
	return NULL;
}

void getter_free(struct getter *g)
{
	if (!g)
		return;
	dialer_close(&g->dialer);
	free(g->aws_path);
	if (g->asks)
		asks_clear(g);
	free(g->asks);
	free(g->message.topic);
	question_close(&g->question);
	reports_free(g);
	round_release(&g->round);
	file_release(&g->file);
	done_release(&g->done);
	free(g);
}

/* --- what comes --- */

static void on_acked(void *context, int mid, int reason)
{
	struct getter *g = context;

	if (g->question.sent && g->question.mid == mid)
		g->question.reason = reason;
	if (g->reporting.sent && g->reporting.mid == mid)
		g->reporting.reason = reason;
}

static void getter_take(struct getter *g, struct heard *heard, int64_t now)
{
	if (heard->kind == HEARD_BYTES) {
		asks_take_bytes(g, heard, now);
		return;
	}
	switch (heard->about) {
	case ABOUT_INFO:
		if (g->question.open && g->question.about == ABOUT_INFO)
			file_take_info(g, heard, now);
		break;
	case ABOUT_LIST:
		if (g->question.open && g->question.about == ABOUT_LIST)
			round_take_list(g, heard, now);
		break;
	case ABOUT_BLOCK:
		asks_take_answer(g, heard, now);
		break;
	case ABOUT_REPORT:
		if (g->reporting.open)
			reports_take_answer(g, heard, now);
		break;
	}
}

static void getter_hear(struct getter *g, const char *topic, const void *payload, size_t len)
{
	struct heard heard;

	g->wire.protocol->read(&g->wire, topic, payload, len, &heard);
	if (heard.kind != HEARD_NOTHING && !g->over)
		getter_take(g, &heard, process_now_ms());
	heard_release(&heard);
	g->work = true;
}

static void on_answered(void *context, const void *payload, size_t len)
{
	getter_hear(context, NULL, payload, len);
}

static void on_message(void *context, const char *topic, const void *payload, size_t len)
{
	struct getter *g = context;

	/* What exactly is offered to us now, is asked. */
	if (strncmp(topic, OFFER, sizeof(OFFER) - 1) == 0)
		g->announced = g->settings->watch;
	else
		getter_hear(g, topic, payload, len);
}

/* --- the connection --- */

static const struct link_events getter_events = {
	.acked = on_acked, .answered = on_answered, .message = on_message,
};

bool getter_is_ready(const struct getter *g)
{
	return g->dialer.open && g->greeted && g->dialer.link.state == LINK_READY;
}

void getter_headway(struct getter *g, int64_t now)
{
	g->headway_ms = now;
	g->dialer.attempt = 0;
}

static void getter_subscribe(struct getter *g, const char *whom, const char *name)
{
	/* What no topic can have is not announced either. */
	if (name && (!*name || strpbrk(name, "+#/")))
		return;
	for (int i = 0; i < g->settings->command.path_count; i++) {
		const char *path = g->settings->command.paths[i];
		snprintf(g->message.topic, WIRE_TOPIC_ROOM, OFFER "%s/%s%s%s%s", whom,
			 name ? name : "", name ? "/" : "", path, options_is_folder(path) ? "#" : "");
		(void)link_subscribe(&g->dialer.link, g->message.topic, 1);
	}
}

static void getter_greet(struct getter *g)
{
	g->greeted = g->ever_ready = true;
	if (g->tell.was_lost)
		tell_note(&g->tell, "connected", NULL, TONE_GOOD, "connected again");
	else if (g->settings->json && !g->settings->list)
		tell_note(&g->tell, "connected", NULL, TONE_PLAIN, "connected");
	g->tell.was_lost = false;
	if (!g->settings->watch)
		return;
	getter_subscribe(g, "all", NULL);
	getter_subscribe(g, "client", g->settings->link.client_id);
	if (g->settings->link.user)
		getter_subscribe(g, "user", g->settings->link.user);
	g->announced = true;
}

static void getter_lost(struct getter *g, int64_t now)
{
	char why[sizeof(g->dialer.link.why)];
	bool refused = g->dialer.link.state == LINK_REFUSED;
	bool next = dialer_has_next(&g->dialer);
	bool again = next || dialer_may_retry(&g->dialer, g->settings->reconnect, g->ever_ready);
	struct link_events events = getter_events;

	snprintf(why, sizeof(why), "%s", g->dialer.link.why[0] ? g->dialer.link.why : "no answer");
	asks_forget(g);
	question_lost(&g->question);
	question_lost(&g->reporting);
	dialer_close(&g->dialer);
	g->greeted = false;
	events.context = g;
	if (next) {
		dialer_open_next(&g->dialer, &events, now);
		return;
	}
	pace_trouble(&g->pace, now);
	if (!again) {
		getter_fail(g, refused ? EXIT_DENIED : EXIT_LINK, why);
		return;
	}
	unsigned pause = dialer_retry_later(&g->dialer, now);
	g->tell.was_lost = true;
	tell_note(&g->tell, "retry", NULL, TONE_WARNING, "%s; trying again in %.1f s", why,
		  (double)pause / 1000);
}

static void getter_serve(struct getter *g, int64_t now)
{
	struct link_events events = getter_events;
	short what = g->fds[0].revents;

	events.context = g;
	if (!g->dialer.open && now >= g->dialer.retry_ms)
		dialer_open(&g->dialer, &events, now);
	else if (g->dialer.open)
		link_step(&g->dialer.link, (what & (POLLIN | POLLHUP | POLLERR) ? LINK_READABLE : 0) |
			  (what & POLLOUT ? LINK_WRITABLE : 0) |
			  (what & (POLLHUP | POLLERR) ? LINK_HUNG_UP : 0), now);
	g->fds[0].revents = 0;
	if (g->dialer.open && g->dialer.link.state == LINK_READY && !g->greeted)
		getter_greet(g);
	if (g->dialer.open && g->dialer.link.state >= LINK_LOST)
		getter_lost(g, now);
}

/* --- what is next --- */

static bool getter_is_idle(const struct getter *g)
{
	return g->file.phase == FILE_NONE && !g->question.open;
}

/* What is reported must be told before all is over, and must not grow without end. */
static void getter_choose(struct getter *g, int64_t now)
{
	if (!getter_is_idle(g) || g->over || g->stopping || g->report_count > REPORTS_MAX)
		return;
	bool due = g->round.begun || (now >= g->round_due_ms) ||
		   (g->announced && now >= g->round_due_ms - ROUND_EVERY_MS + ROUND_MIN_MS);
	if (!due)
		return;
	if (!g->round.begun)
		g->announced = false;
	if (round_next(g)) {
		g->work = true;
		return;
	}
	g->round_due_ms = g->settings->watch ? now + ROUND_EVERY_MS : INT64_MAX;
}

void getter_fail(struct getter *g, enum exit_code code, const char *why)
{
	struct tell_file info = file_info(&g->file);

	if (g->file.phase == FILE_BLOCKS)
		(void)target_save(&g->file.target);
	if (!g->over)
		tell_failed(&g->tell, code == EXIT_LINK || code == EXIT_DENIED || !info.path ? NULL
			    : &info, code, why);
	g->over = true;
}

/* --- patience --- */

static void getter_watch_patience(struct getter *g, int64_t now)
{
	int64_t patience = (int64_t)g->settings->patience_s * 1000;
	bool ready = getter_is_ready(g);
	char why[400];

	/* We were stopped (Ctrl-Z): that is nobody's silence. */
	if (now - g->stepped_ms > ABSENT_MS)
		g->headway_ms += now - g->stepped_ms;
	if (asks_wait_for_output(g) || g->file.phase == FILE_EXEC || g->file.phase == FILE_LOOK ||
	    g->file.phase == FILE_VERIFY || (getter_is_idle(g) && !g->reports) ||
	    (g->settings->watch && !ready))
		g->headway_ms = now;
	if (!patience || now - g->headway_ms <= patience)
		return;
	snprintf(why, sizeof(why), "gave up: %s", g->trouble[0] ? g->trouble : "no headway");
	if (!ready)
		getter_fail(g, EXIT_LINK, "gave up: no connection");
	else if (g->file.phase != FILE_NONE)
		file_fail(g, EXIT_GAVE_UP, why);
	else
		getter_fail(g, EXIT_GAVE_UP, why);
	g->headway_ms = now;
}

/* --- the loop --- */

void getter_step(struct getter *g)
{
	int64_t now = process_now_ms();

	assert(!g->over);
	g->work = false;
	getter_watch_patience(g, now);
	g->stepped_ms = now;
	getter_serve(g, now);
	if (g->over)
		return;
	file_step(g, now);
	if (g->over)
		return;
	if (getter_is_ready(g)) {
		getter_choose(g, now);
		question_step(g, &g->question, now);
		reports_step(g, now);
		question_step(g, &g->reporting, now);
		asks_watch_overdue(g, now);
		asks_send(g, now);
	}
	/* The one round is over, and what was to be reported is. */
	if (g->round_due_ms == INT64_MAX && getter_is_idle(g) && !g->reports)
		g->over = true;
	g->stepped_ms = process_now_ms();
}

bool getter_is_over(const struct getter *g)
{
	return g->over;
}

nfds_t getter_watch(struct getter *g)
{
	bool open = g->dialer.open && link_fd(&g->dialer.link) >= 0;

	g->fds[0] = (struct pollfd){
		.fd = open ? link_fd(&g->dialer.link) : -1,
		.events = (short)(POLLIN | (open && link_wants_write(&g->dialer.link) ? POLLOUT : 0)),
	};
	g->fds[1] = (struct pollfd){ .fd = asks_wait_for_output(g) ? STDOUT_FILENO : -1,
				     .events = POLLOUT };
	return 2;
}

static int64_t sooner(int64_t wait, int64_t other)
{
	return other < wait ? other < 0 ? 0 : other : wait;
}

int getter_timeout_ms(struct getter *g)
{
	int64_t now = process_now_ms(), wait = getter_is_idle(g) ? IDLE_WAIT_MS : BUSY_WAIT_MS;

	if (g->work || g->over)
		return 0;
	if (!g->dialer.open)
		return (int)sooner(wait, g->dialer.retry_ms - now);
	if (g->file.phase == FILE_BLOCKS && g->not_before_ms > now)
		wait = sooner(wait, g->not_before_ms - now);
	if (g->file.phase == FILE_BLOCKS && pace_wait_ms(&g->pace, now) > 0)
		wait = sooner(wait, pace_wait_ms(&g->pace, now));
	return (int)wait;
}

/* --- the end --- */

static void getter_wait_for_command(struct getter *g)
{
	struct tell_file info = file_info(&g->file);
	int64_t end = INT64_MAX;

	g->stopping = true;
	tell_note(&g->tell, "waits", &info, TONE_WARNING, "stopping when the command has ended");
	while (!g->over && (g->file.phase == FILE_EXEC || (g->reports && process_now_ms() < end))) {
		if (g->file.phase != FILE_EXEC && end == INT64_MAX)
			end = process_now_ms() + LAST_REPORT_MS;
		ppoll(g->fds, getter_watch(g), &(struct timespec){ 0, BUSY_WAIT_MS * 1000000L }, &g->open);
		getter_step(g);
	}
}

void getter_stop(struct getter *g)
{
	char why[200];

	if (g->file.phase == FILE_EXEC)
		getter_wait_for_command(g);
	struct tell_file info = file_info(&g->file);
	bool idle = g->file.phase == FILE_NONE;

	g->over = true;
	/* To be told to end is how a watch ends. */
	if (g->settings->watch && idle)
		return;
	if (g->file.phase != FILE_BLOCKS || info.file == NULL)
		snprintf(why, sizeof(why), "stopped%s", info.path && !info.file
			 ? "; standard output cannot be continued" : "");
	else if (target_save(&g->file.target))
		snprintf(why, sizeof(why), "stopped at %" PRIu64 " of %" PRIu64 " bytes; run the same "
			 "command again to go on from there", info.held, info.size);
	else
		snprintf(why, sizeof(why), "stopped; what is here cannot be noted");
	g->tell.code = EXIT_DONE;
	tell_failed(&g->tell, idle ? NULL : &info, EXIT_STOPPED, why);
}

enum exit_code getter_end(struct getter *g)
{
	return tell_end(&g->tell);
}
