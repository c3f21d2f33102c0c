/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "client_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define PACKET_OVERHEAD 640	/* topic and headers of a segment, or of a file in one message */

void client_watch(struct ft_client *client, int fd, int action, unsigned events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	(void)epoll_ctl(client->epoll, action, fd, &event);
}

bool lane_is_ready(const struct lane *lane)
{
	return lane->dialer.open && lane->dialer.link.state == LINK_READY;
}

struct lane *client_main(const struct ft_client *client)
{
	return &client->lanes[client->main];
}

static bool lane_is_main(const struct lane *lane)
{
	return lane->number == lane->client->main;
}

bool lanes_new(struct ft_client *client)
{
	unsigned count = client->options.connections;

	client->lanes = calloc(count, sizeof(*client->lanes));
	if (!client->lanes)
		return false;
	client->lane_count = count;
	for (unsigned i = 0; i < count; i++) {
		struct lane *lane = &client->lanes[i];
		lane->client = client;
		lane->number = i;
		dialer_init(&lane->dialer, &client->options.link, client->options.backoff_min_ms,
			    client->options.backoff_max_ms);
		if (!i)
			continue;
		/* One id cannot be connected twice. */
		if (asprintf(&lane->client_id, "%s-%u", client->options.link.client_id, i + 1) < 0) {
			lane->client_id = NULL;
			return false;
		}
		lane->dialer.options.client_id = lane->client_id;
	}
	return true;
}

/* --- watching --- */

static void lane_watch(struct lane *lane)
{
	int fd = lane->dialer.open ? link_fd(&lane->dialer.link) : -1;
	unsigned wanted = EPOLLIN | EPOLLRDHUP | (lane->dialer.open && link_wants_write(&lane->dialer.link)
						  ? EPOLLOUT : 0);

	if (fd < 0 || (lane->watched && wanted == lane->watched_events))
		return;
	client_watch(lane->client, fd, lane->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, wanted);
	lane->watched = true;
	lane->watched_events = wanted;
}

void lanes_watch(struct ft_client *client)
{
	for (unsigned i = 0; i < client->lane_count; i++)
		lane_watch(&client->lanes[i]);
}

static unsigned ready_bits(unsigned events)
{
	return (events & (EPOLLIN | EPOLLHUP | EPOLLERR) ? LINK_READABLE : 0) |
	       (events & EPOLLOUT ? LINK_WRITABLE : 0) |
	       (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP) ? LINK_HUNG_UP : 0);
}

/* What the descriptors are ready for; streams are looked at by themselves. */
static void lanes_step(struct ft_client *client, int64_t now)
{
	struct epoll_event events[64];
	int count = epoll_wait(client->epoll, events, 64, 0);

	for (unsigned i = 0; i < client->lane_count; i++) {
		struct lane *lane = &client->lanes[i];
		unsigned ready = 0;
		if (!lane->dialer.open)
			continue;
		for (int k = 0; k < count; k++) {
			if (events[k].data.fd == link_fd(&lane->dialer.link))
				ready = ready_bits(events[k].events);
		}
		link_step(&lane->dialer.link, ready, now);
	}
}

/* --- the beginning --- */

static struct link_events lane_events(struct lane *lane)
{
	struct link_events events = send_link_events;

	events.context = lane;
	return events;
}

static void lane_begin(struct lane *lane)
{
	lane->watched = false;
	lane->greeted = false;
	lane->taken_ms = lane->client->taken_ms;
	lane_watch(lane);
}

static void lane_open(struct lane *lane, int64_t now)
{
	struct link_events events = lane_events(lane);

	dialer_open(&lane->dialer, &events, now);
	lane_begin(lane);
}

static void lane_lead(struct lane *lane, int64_t now)
{
	struct ft_client *client = lane->client;

	client->main = lane->number;
	for (struct file *file = client->active; file; file = file->next) {
		if (file->has_upload)
			upload_link_up(&file->upload, now);
	}
	client_note(client, NULL, FT_CLIENT_CONNECTED, "connected");
}

/* It is ready: the first thing to do. */
static void lane_greet(struct lane *lane, int64_t now)
{
	struct ft_client *client = lane->client;
	uint32_t max = lane->dialer.link.max_packet_bytes;

	lane->greeted = client->ever_ready = true;
	if (max > PACKET_OVERHEAD)
		pace_limit(&client->pace, max - PACKET_OVERHEAD);
	link_limit_unsent(&lane->dialer.link, pace_segment(&client->pace));
	if (lane_is_main(lane) || !lane_is_ready(client_main(client)))
		lane_lead(lane, now);
}

/* --- the end --- */

static void lose_publications(struct lane *lane)
{
	struct ft_client *client = lane->client;
	struct publication **at = &client->publications;

	while (*at) {
		struct publication *lost = *at;
		if (UPLOAD_LANE(lost->key) != lane->number) {
			at = &lost->next;
			continue;
		}
		*at = lost->next;
		if (client->events.published)
			client->events.published(client->events.context, lost->tag, false);
		free(lost);
		at = &client->publications;	/* the caller may have added some */
	}
}

static void lane_close(struct lane *lane)
{
	struct ft_client *client = lane->client;

	if (!lane->dialer.open)
		return;
	/* Before the descriptor is closed: epoll would keep what another process shares. */
	if (lane->watched && link_fd(&lane->dialer.link) >= 0)
		client_watch(client, link_fd(&lane->dialer.link), EPOLL_CTL_DEL, 0);
	dialer_close(&lane->dialer);
	lane->watched = lane->greeted = false;
	for (struct file *file = client->active; file; file = file->next) {
		if (!file->has_upload)
			continue;
		if (lane_is_main(lane))
			upload_link_down(&file->upload);
		else
			upload_lane_down(&file->upload, lane->number);
	}
	lose_publications(lane);
}

void lanes_free(struct ft_client *client)
{
	for (unsigned i = 0; i < client->lane_count; i++) {
		lane_close(&client->lanes[i]);
		free(client->lanes[i].client_id);
	}
	free(client->lanes);
	client->lanes = NULL;
	client->lane_count = 0;
}

/* The pause before the next attempt. */
static unsigned retry_later(struct lane *lane, int64_t now)
{
	/* Connecting is no success: one may be kicked each time. Headway is. */
	if (lane->client->taken_ms > lane->taken_ms)
		lane->dialer.attempt = 0;
	return dialer_retry_later(&lane->dialer, now);
}

/* The one that asks is gone, and no other can ask. */
static void end_main(struct lane *lane, enum link_state state, const char *why, bool again,
		     int64_t now)
{
	struct ft_client *client = lane->client;

	if (again) {
		unsigned pause = retry_later(lane, now);
		client_note(client, NULL, FT_CLIENT_RETRY, "%s; trying again in %.1f s%s",
			    why[0] ? why : "no answer", (double)pause / 1000,
			    lane->dialer.attempt == 4 && client->pace.fixed
			    ? " (it breaks each time: try a smaller --segment-size)" : "");
		return;
	}
	lane->dialer.retry_ms = INT64_MAX;
	client_note(client, NULL, FT_CLIENT_OFFLINE, "%s", why);
	files_fail(client, state == LINK_REFUSED ? FT_CLIENT_DENIED : FT_CLIENT_LINK, why);
}

static struct lane *ready_lane(const struct ft_client *client)
{
	for (unsigned i = 0; i < client->lane_count; i++) {
		if (client->lanes[i].greeted && lane_is_ready(&client->lanes[i]))
			return &client->lanes[i];
	}
	return NULL;
}

/* Others go on. One that the broker refuses for good is one connection less. */
static void end_other(struct lane *lane, const char *why, bool again, int64_t now)
{
	struct ft_client *client = lane->client;

	if (again) {
		(void)retry_later(lane, now);
		return;
	}
	lane->dialer.retry_ms = INT64_MAX;
	if (!client->alone)
		client_note(client, NULL, FT_CLIENT_ALONE, "one connection less: %s", why);
}

/* It is lost or refused: says so, and whether there will be another one. */
static void lane_end(struct lane *lane, int64_t now)
{
	struct ft_client *client = lane->client;
	char why[sizeof(lane->dialer.link.why)];
	enum link_state state = lane->dialer.link.state;
	bool was_main = lane_is_main(lane);
	bool again = dialer_may_retry(&lane->dialer, client->options.reconnect, client->ever_ready);

	snprintf(why, sizeof(why), "%s", lane->dialer.link.why);
	if (dialer_has_next(&lane->dialer)) {
		struct link_events events = lane_events(lane);
		lane_close(lane);
		dialer_open_next(&lane->dialer, &events, now);
		lane_begin(lane);
		return;
	}
	pace_trouble(&client->pace, now);
	lane_close(lane);
	struct lane *other = ready_lane(client);
	if (was_main && !other) {
		end_main(lane, state, why, again, now);
		return;
	}
	if (was_main)
		lane_lead(other, now);
	end_other(lane, why, again, now);
}

/* --- all of them --- */

static bool lane_is_wanted(const struct lane *lane)
{
	const struct ft_client *client = lane->client;

	return !lane->dialer.open && lane->dialer.retry_ms != INT64_MAX &&
	       (lane_is_main(lane) || (client->ever_ready && !client->alone));
}

void lanes_serve(struct ft_client *client, int64_t now)
{
	for (unsigned i = 0; i < client->lane_count; i++) {
		if (lane_is_wanted(&client->lanes[i]) && now >= client->lanes[i].dialer.retry_ms)
			lane_open(&client->lanes[i], now);
	}
	lanes_step(client, now);
	for (unsigned i = 0; i < client->lane_count; i++) {
		struct lane *lane = &client->lanes[i];
		if (lane_is_ready(lane) && !lane->greeted)
			lane_greet(lane, now);
		if (lane->dialer.open && lane->dialer.link.state >= LINK_LOST)
			lane_end(lane, now);
	}
}

int64_t lanes_due_ms(const struct ft_client *client, int64_t now)
{
	int64_t due = INT64_MAX;

	for (unsigned i = 0; i < client->lane_count; i++) {
		const struct lane *lane = &client->lanes[i];
		int64_t wait = lane_is_wanted(lane) ? lane->dialer.retry_ms - now
			       : lane->dialer.open && lane->dialer.link.state != LINK_READY ? 100 : INT64_MAX;
		if (wait < due)
			due = wait;
	}
	return due;
}

void lanes_revive(struct ft_client *client)
{
	for (unsigned i = 0; i < client->lane_count; i++) {
		if (client->lanes[i].dialer.retry_ms == INT64_MAX)
			client->lanes[i].dialer.retry_ms = 0;
	}
}

void lanes_drop_others(struct ft_client *client)
{
	if (client->alone)
		return;
	client->alone = true;
	pace_set_several(&client->pace, false);
	client_note(client, NULL, FT_CLIENT_ALONE, "the broker keeps the uploads of connections apart "
		    "(it lacks \"owner username\"); going on with one");
	for (unsigned i = 0; i < client->lane_count; i++) {
		struct lane *lane = &client->lanes[i];
		if (lane->dialer.open && !lane_is_main(lane))
			link_end(&lane->dialer.link, LINK_REFUSED, "not needed");
	}
}

void lanes_watch_overdue(struct ft_client *client)
{
	unsigned lane;

	for (struct file *file = client->active; file; file = file->next) {
		if (file->has_upload && upload_is_overdue(&file->upload, process_now_ms(), &lane))
			link_end(&client->lanes[lane].dialer.link, LINK_LOST, "no acknowledgement for %u s",
				 client->options.ack_timeout_s);
	}
}
