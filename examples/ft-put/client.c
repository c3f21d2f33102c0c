/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "client_parts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define SEGMENT_MAX_DEFAULT ((uint64_t)256 * 1024)
#define KEEPALIVE_MIN_S 5	/* libmosquitto takes no shorter one */
#define SAVE_EVERY_MS 10000
#define IDLE_MS 1000		/* keep-alive and timeouts need no finer steps */
#define ABSENT_MS (2 * IDLE_MS)

void client_note(struct ft_client *client, struct file *file, enum ft_client_note note,
		 const char *format, ...)
{
	char text[500];
	va_list args;

	if (!client->events.note)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	client->events.note(client->events.context, file ? &file->info : NULL, note, text);
}

/* --- making one --- */

static void fill_in_defaults(struct ft_client_options *options)
{
	struct link_options *link = &options->link;

	link->window = link->window ? link->window : 20;
	link->keepalive_s = link->keepalive_s ? link->keepalive_s : 60;
	if (link->keepalive_s < KEEPALIVE_MIN_S)
		link->keepalive_s = KEEPALIVE_MIN_S;
	link->connect_timeout_s = link->connect_timeout_s ? link->connect_timeout_s : 20;
	if (!options->segment_max_bytes)
		options->segment_max_bytes = SEGMENT_MAX_DEFAULT;
	if (options->segment_bytes)
		options->segment_max_bytes = options->segment_bytes;
	options->backoff_min_ms = options->backoff_min_ms ? options->backoff_min_ms : 500;
	options->backoff_max_ms = options->backoff_max_ms ? options->backoff_max_ms : 30000;
	options->ack_timeout_s = options->ack_timeout_s ? options->ack_timeout_s : 30;
	options->connections = options->connections ? options->connections : 1;
	options->files_at_once = options->files_at_once ? options->files_at_once : 64;
}

static bool acquire(struct ft_client *client)
{
	client->buffer_bytes = (size_t)client->options.segment_max_bytes;
	client->buffer = malloc(client->buffer_bytes);
	client->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (client->options.recipients) {
		char why[300];
		client->seal = seal_new(client->options.recipients, why, sizeof(why));
		if (!client->seal || !client->options.seal_dir)
			return false;
	}
	return client->buffer && client->epoll >= 0 && lanes_new(client) &&
	       saved_load(&client->saved, client->options.state_path);
}

struct ft_client *ft_client_new(const struct ft_client_options *options,
				const struct ft_client_events *events)
{
	struct ft_client *client = calloc(1, sizeof(*client));
	int64_t now = process_now_ms();

	if (!client)
		return NULL;
	client->options = *options;
	fill_in_defaults(&client->options);
	if (events)
		client->events = *events;
	client->epoll = -1;
	client->queue_end = &client->queue;
	client->headway_ms = client->save_ms = now;
	pace_init(&client->pace, client->options.segment_bytes,
		  client->options.segment_max_bytes, now);
	pace_set_rate(&client->pace, client->options.rate, now);
	pace_set_several(&client->pace, client->options.connections > 1);
	if (!acquire(client)) {
		ft_client_free(client);
		errno = ENOMEM;
		return NULL;
	}
	client->delivered_ms = client->saved.delivered_ms;
	return client;
}

/* --- files --- */

static bool copy_options(struct file *file, const struct ft_client_file_options *options)
{
	file->options = options ? *options : (struct ft_client_file_options){0};
	options = &file->options;
	const char *name = options->name, *id = options->file_id, *data = options->user_data;
	file->options.name = name ? strdup(name) : NULL;
	file->options.file_id = id ? strdup(id) : NULL;
	file->options.user_data = data ? strdup(data) : NULL;
	return !name == !file->options.name && !id == !file->options.file_id &&
	       !data == !file->options.user_data;
}

static bool name_file(struct file *file, const char *path, const struct seal *seal)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	const char *name = file->options.name ? file->options.name
			   : slash ? slash + 1 : path ? path : "stream";

	file->path = path ? strdup(path) : NULL;
	/* RFC 8551: what CMS files are called. */
	const char *ending = seal && !file->options.name ? ".p7m" : "";
	if (asprintf(&file->name, "%s%s", name, ending) < 0)
		file->name = NULL;
	file->info.path = file->path;
	file->info.name = file->name;
	return !path == !file->path && file->name;
}

static unsigned add(struct ft_client *client, const char *path, int fd,
		    const struct ft_client_file_options *options)
{
	struct file *file = calloc(1, sizeof(*file));

	if (!file)
		return 0;
	file->fd = fd;
	if (!copy_options(file, options) || !name_file(file, path, client->seal)) {
		struct file *queue = client->queue, *active = client->active;
		client->queue = file;
		client->active = NULL;
		files_free(client);
		client->queue = queue;
		client->active = active;
		return 0;
	}
	file->info.tag = file->options.tag;
	file->info.number = ++client->numbers;
	if (!client->unfinished++)
		client->headway_ms = process_now_ms();
	/* What was given up is tried again for the new file. */
	lanes_revive(client);
	*client->queue_end = file;
	client->queue_end = &file->next;
	return file->info.number;
}

unsigned ft_client_add_path(struct ft_client *client, const char *path,
			    const struct ft_client_file_options *options)
{
	return add(client, path, -1, options);
}

unsigned ft_client_add_fd(struct ft_client *client, int fd,
			  const struct ft_client_file_options *options)
{
	return add(client, NULL, fd, options);
}

static bool mark_cancelled(struct file *list, unsigned number)
{
	for (struct file *file = list; file; file = file->next) {
		if (file->info.number == number) {
			file->cancelled = true;
			return true;
		}
	}
	return false;
}

bool ft_client_cancel(struct ft_client *client, unsigned number)
{
	if (!mark_cancelled(client->active, number) && !mark_cancelled(client->queue, number))
		return false;
	client->any_cancelled = true;
	return true;
}

unsigned ft_client_unfinished(const struct ft_client *client)
{
	return client->unfinished;
}

void ft_client_each(struct ft_client *client,
		    void (*tell)(void *context, const struct ft_client_file *file), void *context)
{
	for (struct file *file = client->active; file; file = file->next) {
		if (file->has_upload)
			file->info.held = upload_held_bytes(&file->upload);
		tell(context, &file->info);
	}
}

/* --- the loop --- */

/* A stream is watched only while its bytes are wanted: else a full pipe would wake us. */
static void watch_streams(struct ft_client *client, int64_t now)
{
	for (struct file *file = client->active; file; file = file->next) {
		bool wanted = send_wants_more(client, file, now) || seal_wants_more(file);
		if (wanted == file->watched)
			continue;
		struct epoll_event event = { .events = EPOLLIN, .data.fd = file->source.fd };
		int done = epoll_ctl(client->epoll, wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL,
				     file->source.fd, &event);
		file->always_readable = wanted && done != 0 && errno == EPERM;
		file->watched = wanted;
	}
}

static void unwatch_finished(struct ft_client *client)
{
	for (struct file *file = client->active; file; file = file->next) {
		if (!file->watched || !file->source.ended)
			continue;
		client_watch(client, file->source.fd, EPOLL_CTL_DEL, 0);
		file->watched = false;
	}
}

/* Whoever writes into a stream may take his time. */
static bool waits_for_input(const struct ft_client *client)
{
	for (const struct file *file = client->active; file; file = file->next) {
		if (!file->watched || file->upload.flight_count)
			return false;
	}
	return client->active;
}

/* We were stopped (Ctrl-Z), or the caller was busy: that is nobody's silence. */
static void forgive_absence(struct ft_client *client, int64_t now)
{
	if (client->stepped_ms && now - client->stepped_ms > ABSENT_MS)
		client->headway_ms += now - client->stepped_ms;
}

static void watch_patience(struct ft_client *client, int64_t now)
{
	int64_t patience = (int64_t)client->options.patience_s * 1000;

	if (client->headway_ms < client->taken_ms)
		client->headway_ms = client->taken_ms;
	if (client->paused || !client->unfinished || waits_for_input(client))
		client->headway_ms = now;
	if (!patience || now - client->headway_ms <= patience)
		return;
	bool online = ft_client_is_connected(client);
	const char *lost = client_main(client)->dialer.link.why;
	const char *why = client->active && client->active->upload.why[0]
			  ? client->active->upload.why : "no headway";
	char text[600];
	snprintf(text, sizeof(text), "gave up: %s", online ? why : lost[0] ? lost : "no connection");
	files_fail(client, online ? FT_CLIENT_GAVE_UP : FT_CLIENT_LINK, text);
}

bool ft_client_save(struct ft_client *client)
{
	files_remember(client);
	if (saved_store(&client->saved))
		return true;
	if (!client->told_not_saved)
		client_note(client, NULL, FT_CLIENT_NOT_SAVED, "%s: %s", client->saved.path,
			    strerror(errno));
	client->told_not_saved = true;
	return false;
}

static void serve_links(struct ft_client *client, int64_t now)
{
	lanes_serve(client, now);
	if (!ft_client_is_connected(client))
		return;
	send_all(client, now);
	lanes_watch_overdue(client);
	lanes_serve(client, now);
}

void ft_client_step(struct ft_client *client)
{
	int64_t now = process_now_ms();

	forgive_absence(client, now);
	files_admit(client, now);
	serve_links(client, now);
	client->hashing = files_hash(client);
	if (client->hashing)
		client->headway_ms = now;
	unwatch_finished(client);
	files_settle(client, now);
	watch_patience(client, now);
	if (ft_client_is_connected(client))
		send_all(client, now);
	lanes_watch(client);
	watch_streams(client, now);
	if (client->unfinished && now - client->save_ms >= SAVE_EVERY_MS) {
		client->save_ms = now;
		(void)ft_client_save(client);
	}
	client->stepped_ms = process_now_ms();
}

int ft_client_fd(const struct ft_client *client)
{
	return client->epoll;
}

static int64_t sooner(int64_t wait, int64_t other)
{
	return other < wait ? other < 0 ? 0 : other : wait;
}

/* What has no descriptor: pauses that end, hashing. */
int ft_client_timeout_ms(struct ft_client *client)
{
	int64_t now = process_now_ms(), wait = IDLE_MS;

	if (client->hashing || client->sealing || client->any_cancelled || (client->queue && !client->active))
		return 0;
	wait = sooner(wait, lanes_due_ms(client, now));
	if (!ft_client_is_connected(client))
		return (int)wait;
	if (client->not_before_ms > now)
		wait = sooner(wait, client->not_before_ms - now);
	int64_t credit = client->paused ? 0 : pace_wait_ms(&client->pace, now);
	if (credit > 0)
		wait = sooner(wait, credit);
	for (const struct file *file = client->active; file; file = file->next) {
		const struct upload *upload = &file->upload;
		if (upload->not_before_ms > now)
			wait = sooner(wait, upload->not_before_ms - now);
		if (!file->source.stream && upload->phase == PHASE_FIN && !upload->may_finish)
			return 0;
		if (file->always_readable)
			return 0;
	}
	return (int)wait;
}

enum ft_client_result ft_client_run(struct ft_client *client, double seconds)
{
	int64_t end = process_now_ms() + (int64_t)(seconds * 1000);

	for (;;) {
		ft_client_step(client);
		if (!client->unfinished)
			return client->result;
		int64_t left = end - process_now_ms();
		if (left <= 0)
			return FT_CLIENT_RUNNING;
		struct epoll_event event;
		if (epoll_wait(client->epoll, &event, 1,
			       (int)sooner(ft_client_timeout_ms(client), left)) < 0)
			return FT_CLIENT_RUNNING;
	}
}

/* --- while it runs --- */

bool ft_client_is_connected(const struct ft_client *client)
{
	return lane_is_ready(client_main(client));
}

void ft_client_pause(struct ft_client *client)
{
	client->paused = true;
}

void ft_client_resume(struct ft_client *client)
{
	client->paused = false;
	client->headway_ms = process_now_ms();
}

void ft_client_set_rate(struct ft_client *client, uint64_t rate)
{
	pace_set_rate(&client->pace, rate, process_now_ms());
}

bool ft_client_publish(struct ft_client *client, const char *topic, const void *payload,
		       size_t len, int qos, void *tag)
{
	struct publication *publication = ft_client_is_connected(client)
					  ? calloc(1, sizeof(*publication)) : NULL;

	if (!publication)
		return false;
	publication->tag = tag;
	publication->next = client->publications;
	client->publications = publication;
	int mid = 0;
	if (link_publish(&client_main(client)->dialer.link, topic, payload, len, qos, &mid)) {
		publication->key = UPLOAD_KEY(client->main, mid);
		return true;
	}
	client->publications = publication->next;
	free(publication);
	return false;
}

bool ft_client_subscribe(struct ft_client *client, const char *filter, int qos)
{
	return link_subscribe(&client_main(client)->dialer.link, filter, qos);
}

void ft_client_free(struct ft_client *client)
{
	if (!client)
		return;
	(void)ft_client_save(client);
	lanes_free(client);
	while (client->aborts) {
		struct abort_order *order = client->aborts;
		client->aborts = order->next;
		free(order);
	}
	files_free(client);
	saved_release(&client->saved);
	/* Where nothing waits in it. */
	if (client->seal && client->options.seal_dir)
		(void)rmdir(client->options.seal_dir);
	seal_free(&client->seal);
	if (client->epoll >= 0)
		close(client->epoll);
	free(client->buffer);
	free(client);
}
