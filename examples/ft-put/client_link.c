/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "client_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>

#define PACKET_OVERHEAD 640	/* topic and headers of a segment, or of a file in one message */
#define NEXT_ADDRESS_S 5	/* so long one may be silent before the next is tried */

void client_watch(struct ft_client *client, int fd, int action, unsigned events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	(void)epoll_ctl(client->epoll, action, fd, &event);
}

bool lane_is_ready(const struct lane *lane)
{
	return lane->open && lane->link.state == LINK_READY;
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
		lane->options = client->options.link;
		if (!i)
			continue;
		/* One id cannot be connected twice. */
		if (asprintf(&lane->client_id, "%s-%u", client->options.link.client_id, i + 1) < 0) {
			lane->client_id = NULL;
			return false;
		}
		lane->options.client_id = lane->client_id;
	}
	return true;
}

/* --- watching --- */

static void lane_watch(struct lane *lane)
{
	int fd = lane->open ? link_fd(&lane->link) : -1;
	unsigned wanted = EPOLLIN | EPOLLRDHUP | (lane->open && link_wants_write(&lane->link)
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
		if (!lane->open)
			continue;
		for (int k = 0; k < count; k++) {
			if (events[k].data.fd == link_fd(&lane->link))
				ready = ready_bits(events[k].events);
		}
		link_step(&lane->link, ready, now);
	}
}

/* --- the beginning --- */

static void lane_dial(struct lane *lane, int64_t now)
{
	struct link_events events = send_link_events;
	bool last = lane->address + 1 >= lane->addresses.count;
	int patience = lane->client->options.link.connect_timeout_s;

	events.context = lane;
	/* One that does not answer leaves time for the others. */
	lane->options.connect_timeout_s = last || patience < NEXT_ADDRESS_S ? patience
									     : NEXT_ADDRESS_S;
	lane->open = true;
	lane->watched = false;
	lane->greeted = false;
	lane->taken_ms = lane->client->taken_ms;
	link_open(&lane->link, &lane->options, lane->addresses.items[lane->address], &events, now);
	lane_watch(lane);
}

static void lane_open(struct lane *lane, int64_t now)
{
	char why[300] = "";
	bool found = lane->options.unix_path ||
		     addresses_find(&lane->addresses, lane->options.host, why, sizeof(why));

	lane->address = 0;
	if (found) {
		lane_dial(lane, now);
		return;
	}
	lane->link = (struct link){ .options = &lane->options };
	lane->open = true;
	link_end(&lane->link, LINK_LOST, "%s", why);
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
	uint32_t max = lane->link.max_packet_bytes;

	lane->greeted = client->ever_ready = true;
	if (max > PACKET_OVERHEAD)
		pace_limit(&client->pace, max - PACKET_OVERHEAD);
	link_limit_unsent(&lane->link, pace_segment(&client->pace));
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

	if (!lane->open)
		return;
	/* Before the descriptor is closed: epoll would keep what another process shares. */
	if (lane->watched && link_fd(&lane->link) >= 0)
		client_watch(client, link_fd(&lane->link), EPOLL_CTL_DEL, 0);
	link_close(&lane->link);
	lane->open = lane->watched = lane->greeted = false;
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

/* Between a half and all of what doubling gives: clients that were cut off together
 * should not come back together. */
static unsigned backoff_ms(const struct lane *lane)
{
	const struct ft_client *client = lane->client;
	uint64_t most = client->options.backoff_max_ms, step = client->options.backoff_min_ms;
	uint32_t random = 0;

	for (unsigned i = 0; i < lane->attempt && step < most; i++)
		step *= 2;
	if (step > most)
		step = most;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = (uint32_t)client_now_ms() * 2654435761u;
	return (unsigned)(step / 2 + step * random / UINT32_MAX / 2);
}

static bool may_retry(const struct lane *lane)
{
	const struct ft_client *client = lane->client;

	switch (client->options.reconnect) {
	case FT_CLIENT_RECONNECT_NEVER:
		return false;
	case FT_CLIENT_RECONNECT_ALWAYS:
		return true;
	case FT_CLIENT_RECONNECT_AFTER_SUCCESS:
		break;
	}
	return client->ever_ready && (lane->link.state != LINK_REFUSED ||
				      lane->link.tls_failed);
}

/* The pause before the next attempt. */
static unsigned retry_later(struct lane *lane, int64_t now)
{
	/* Connecting is no success: one may be kicked each time. Headway is. */
	if (lane->client->taken_ms > lane->taken_ms)
		lane->attempt = 0;
	unsigned pause = backoff_ms(lane);
	lane->attempt++;
	lane->retry_ms = now + pause;
	return pause;
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
			    lane->attempt == 4 && client->pace.fixed
			    ? " (it breaks each time: try a smaller --segment-size)" : "");
		return;
	}
	lane->retry_ms = INT64_MAX;
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
	lane->retry_ms = INT64_MAX;
	if (!client->alone)
		client_note(client, NULL, FT_CLIENT_ALONE, "one connection less: %s", why);
}

/* It is lost or refused: says so, and whether there will be another one. */
static void lane_end(struct lane *lane, int64_t now)
{
	struct ft_client *client = lane->client;
	char why[sizeof(lane->link.why)];
	enum link_state state = lane->link.state;
	bool was_main = lane_is_main(lane), again = may_retry(lane);

	snprintf(why, sizeof(why), "%s", lane->link.why);
	if (state == LINK_LOST && !lane->link.was_greeted &&
	    lane->address + 1 < lane->addresses.count) {
		lane_close(lane);
		lane->address++;
		lane_dial(lane, now);
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

	return !lane->open && lane->retry_ms != INT64_MAX &&
	       (lane_is_main(lane) || (client->ever_ready && !client->alone));
}

void lanes_serve(struct ft_client *client, int64_t now)
{
	for (unsigned i = 0; i < client->lane_count; i++) {
		if (lane_is_wanted(&client->lanes[i]) && now >= client->lanes[i].retry_ms)
			lane_open(&client->lanes[i], now);
	}
	lanes_step(client, now);
	for (unsigned i = 0; i < client->lane_count; i++) {
		struct lane *lane = &client->lanes[i];
		if (lane_is_ready(lane) && !lane->greeted)
			lane_greet(lane, now);
		if (lane->open && lane->link.state >= LINK_LOST)
			lane_end(lane, now);
	}
}

int64_t lanes_due_ms(const struct ft_client *client, int64_t now)
{
	int64_t due = INT64_MAX;

	for (unsigned i = 0; i < client->lane_count; i++) {
		const struct lane *lane = &client->lanes[i];
		int64_t wait = lane_is_wanted(lane) ? lane->retry_ms - now
			       : lane->open && lane->link.state != LINK_READY ? 100 : INT64_MAX;
		if (wait < due)
			due = wait;
	}
	return due;
}

void lanes_revive(struct ft_client *client)
{
	for (unsigned i = 0; i < client->lane_count; i++) {
		if (client->lanes[i].retry_ms == INT64_MAX)
			client->lanes[i].retry_ms = 0;
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
		if (lane->open && !lane_is_main(lane))
			link_end(&lane->link, LINK_REFUSED, "not needed");
	}
}

void lanes_watch_overdue(struct ft_client *client)
{
	unsigned lane;

	for (struct file *file = client->active; file; file = file->next) {
		if (file->has_upload && upload_is_overdue(&file->upload, client_now_ms(), &lane))
			link_end(&client->lanes[lane].link, LINK_LOST, "no acknowledgement for %u s",
				 client->options.ack_timeout_s);
	}
}
