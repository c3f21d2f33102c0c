/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/downloads/offer_watch.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>

#include "base/sys.h"
#include "base/system.h"
#include "base/thread.h"
#include "protocol/offer.h"

#define WATCH_GATHER_MS 50		/* what changes together is looked at together */
#define WATCH_COST_FACTOR 10
#define WATCH_PAUSE_MAX_MS 10000
#define WATCH_ROOM 16384		/* bytes of events that are read at once */

/* Not IN_MODIFY: what is written in place counts once it is closed. */
#define WATCH_EVENTS (IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR)

struct ft_offer_watch {
	struct ft_core *core;
	int events;			/* inotify */
	int stop;			/* eventfd */
	pthread_t thread;
	atomic_bool changed;
	atomic_int pause_ms;
	bool told;			/* the scanner's: that a folder cannot be watched was logged */
};

/* Whether what has happened to this name can make any difference. */
static bool watch_counts(const struct inotify_event *event)
{
	static const char meta[] = ".json";
	size_t len = event->len > 0 ? strlen(event->name) : 0;

	if (len == 0 || !ft_offer_name_is_hidden(event->name))
		return true;
	return len >= sizeof meta && strcmp(event->name + len - (sizeof meta - 1), meta) == 0;
}

/* Reads what has happened. Whether anything of it counts. */
static bool watch_read(struct ft_offer_watch *watch)
{
	_Alignas(struct inotify_event) char room[WATCH_ROOM];
	bool counts = false;
	ssize_t got;

	while ((got = read(watch->events, room, sizeof room)) > 0) {
		const struct inotify_event *event;

		for (char *at = room; at < room + got; at += sizeof *event + event->len) {
			event = (const struct inotify_event *)(const void *)at;
			counts = counts || watch_counts(event);
		}
	}
	return counts;
}

/* Waits until something has happened, or for a time. False: it is to end. */
static bool watch_wait(const struct ft_offer_watch *watch, int timeout_ms)
{
	struct pollfd fds[] = {
		{ .fd = watch->stop, .events = POLLIN },
		{ .fd = watch->events, .events = POLLIN },
	};

	return poll(fds, timeout_ms < 0 ? 2 : 1, timeout_ms) >= 0 ? !fds[0].revents : errno == EINTR;
}

static void *watch_run(void *argument)
{
	struct ft_offer_watch *watch = argument;

	while (watch_wait(watch, -1)) {
		if (!watch_read(watch))
			continue;
		if (!watch_wait(watch, WATCH_GATHER_MS))
			break;
		(void)watch_read(watch);
		atomic_store(&watch->changed, true);
		watch->core->notify(watch->core->context);
		if (!watch_wait(watch, atomic_load(&watch->pause_ms)))
			break;
	}
	return NULL;
}

static void watch_release(struct ft_offer_watch **watch)
{
	ft_sys_close((*watch)->events);
	ft_sys_close((*watch)->stop);
	free(*watch);
	*watch = NULL;
}

struct ft_offer_watch *ft_offer_watch_new(struct ft_core *core)
{
	struct ft_offer_watch *watch = calloc(1, sizeof *watch);

	if (!watch)
		return NULL;
	watch->core = core;
	watch->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	watch->events = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (watch->stop >= 0 && watch->events >= 0
	    && ft_thread_start(&watch->thread, watch_run, watch) == 0)
		return watch;
	ft_logger_printf(core->logger, FT_LOG_NOTICE, "changes in offers/ are seen every offers_interval "
			 "only: the system gives no inotify (fs.inotify.max_user_instances)");
	watch_release(&watch);
	return NULL;
}

void ft_offer_watch_add(struct ft_offer_watch *watch, int dir)
{
	char path[64];

	if (!watch)
		return;
	/* By the descriptor, so that it is the folder that is read. */
	snprintf(path, sizeof path, "/proc/self/fd/%d", dir);
	if (inotify_add_watch(watch->events, path, WATCH_EVENTS) >= 0 || watch->told)
		return;
	watch->told = true;
	ft_logger_printf(watch->core->logger, FT_LOG_NOTICE, "not all folders below offers/ are watched, "
			 "changes are seen every offers_interval only: %s",
			 errno == ENOSPC ? "fs.inotify.max_user_watches is reached" : "/proc is not there");
}

void ft_offer_watch_note_cost(struct ft_offer_watch *watch, int64_t took_ms)
{
	int64_t pause_ms = took_ms * WATCH_COST_FACTOR;

	if (watch)
		atomic_store(&watch->pause_ms, (int)(pause_ms < WATCH_PAUSE_MAX_MS ? pause_ms
										   : WATCH_PAUSE_MAX_MS));
}

bool ft_offer_watch_take(struct ft_offer_watch *watch)
{
	/* Most often nothing has. */
	return watch && atomic_load(&watch->changed) && atomic_exchange(&watch->changed, false);
}

void ft_offer_watch_free(struct ft_offer_watch **watch)
{
	if (!*watch)
		return;
	(void)(eventfd_write((*watch)->stop, 1) != 0);
	pthread_join((*watch)->thread, NULL);
	watch_release(watch);
}
