/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "client_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>

#define PACKET_OVERHEAD 512	/* topic and headers of a segment */

void client_watch(struct ft_client *client, int fd, int action, unsigned events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	(void)epoll_ctl(client->epoll, action, fd, &event);
}

void client_watch_link(struct ft_client *client)
{
	int fd = link_fd(&client->link);
	unsigned wanted = EPOLLIN | (link_wants_write(&client->link) ? EPOLLOUT : 0);

	if (fd < 0 || (client->link_watched && wanted == client->watched_events))
		return;
	client_watch(client, fd, client->link_watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, wanted);
	client->link_watched = true;
	client->watched_events = wanted;
}

void client_open_link(struct ft_client *client, int64_t now)
{
	struct link_events events = send_link_events;

	events.context = client;
	client->link_open = true;
	client->link_watched = false;
	client->was_ready = false;
	client->link_taken_ms = client->taken_ms;
	link_open(&client->link, &client->options.link, &events, now);
	client_watch_link(client);
}

static void lose_publications(struct ft_client *client)
{
	while (client->publications) {
		struct publication *lost = client->publications;
		client->publications = lost->next;
		if (client->events.published)
			client->events.published(client->events.context, lost->tag, false);
		free(lost);
	}
}

void client_close_link(struct ft_client *client)
{
	if (!client->link_open)
		return;
	/* Before the descriptor is closed: epoll would keep what another process shares. */
	if (client->link_watched && link_fd(&client->link) >= 0)
		client_watch(client, link_fd(&client->link), EPOLL_CTL_DEL, 0);
	link_close(&client->link);
	client->link_open = false;
	client->link_watched = false;
	client->was_ready = false;
	for (struct file *file = client->active; file; file = file->next) {
		if (file->has_upload)
			upload_link_down(&file->upload);
	}
	lose_publications(client);
}

void client_greet(struct ft_client *client, int64_t now)
{
	uint32_t max = client->link.max_packet_bytes;

	client->was_ready = client->ever_ready = true;
	if (max > PACKET_OVERHEAD)
		pace_limit(&client->pace, max - PACKET_OVERHEAD);
	link_limit_unsent(&client->link, pace_segment(&client->pace));
	for (struct file *file = client->active; file; file = file->next) {
		if (file->has_upload)
			upload_link_up(&file->upload, now);
	}
	client_note(client, NULL, FT_CLIENT_CONNECTED, "connected");
}

/* Between a half and all of what doubling gives: clients that were cut off together
 * should not come back together. */
static unsigned backoff_ms(const struct ft_client *client)
{
	uint64_t most = client->options.backoff_max_ms, step = client->options.backoff_min_ms;
	uint32_t random = 0;

	for (unsigned i = 0; i < client->attempt && step < most; i++)
		step *= 2;
	if (step > most)
		step = most;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = (uint32_t)client_now_ms() * 2654435761u;
	return (unsigned)(step / 2 + step * random / UINT32_MAX / 2);
}

static bool may_retry(const struct ft_client *client)
{
	switch (client->options.reconnect) {
	case FT_CLIENT_RECONNECT_NEVER:
		return false;
	case FT_CLIENT_RECONNECT_ALWAYS:
		return true;
	case FT_CLIENT_RECONNECT_AFTER_SUCCESS:
		break;
	}
	return client->ever_ready && (client->link.state != LINK_REFUSED ||
				      client->link.tls_failed);
}

static void retry_later(struct ft_client *client, const char *why, int64_t now)
{
	/* Connecting is no success: one may be kicked each time. Headway is. */
	if (client->taken_ms > client->link_taken_ms)
		client->attempt = 0;
	unsigned pause = backoff_ms(client);
	client->attempt++;
	client->retry_ms = now + pause;
	client_note(client, NULL, FT_CLIENT_RETRY, "%s; trying again in %.1f s%s",
		    why[0] ? why : "no answer", (double)pause / 1000, client->attempt == 4 &&
		    client->pace.fixed ? " (it breaks each time: try a smaller --segment-size)" : "");
}

void client_end_link(struct ft_client *client, int64_t now)
{
	char why[sizeof(client->link.why)];
	bool refused = client->link.state == LINK_REFUSED;

	snprintf(why, sizeof(why), "%s", client->link.why);
	pace_trouble(&client->pace, now);
	if (may_retry(client)) {
		client_close_link(client);
		retry_later(client, why, now);
		return;
	}
	client_close_link(client);
	client->retry_ms = INT64_MAX;
	client_note(client, NULL, FT_CLIENT_OFFLINE, "%s", why);
	files_fail(client, refused ? FT_CLIENT_DENIED : FT_CLIENT_LINK, why);
}

void client_watch_overdue(struct ft_client *client)
{
	for (struct file *file = client->active; file; file = file->next) {
		if (client->link.state != LINK_READY || !file->has_upload ||
		    !upload_is_overdue(&file->upload, client_now_ms()))
			continue;
		client->link.state = LINK_LOST;
		snprintf(client->link.why, sizeof(client->link.why),
			 "no acknowledgement for %u s", client->options.ack_timeout_s);
	}
}
