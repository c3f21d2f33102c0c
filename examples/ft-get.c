/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * ft-get: downloads files that a broker with the file transfer plugin offers, resuming where an
 * earlier run, or an earlier connection, has left off.
 *
 * The work is done by ft-get/get.h; this is its command line. Everything runs on one thread.
 */
#include <errno.h>
#include <mosquitto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ft-get/get.h"
#include "ft-get/options.h"
#include "lib/identity.h"
#include "lib/process.h"

struct fetch {
	struct settings *settings;
	struct identity_lock lock;
	struct getter *getter;
};

/* Signals are let in while we wait. That a command has ended wakes us, too. */
static void on_child(int number)
{
	(void)number;
}

static void on_queued(void *context, long owner)
{
	const struct fetch *fetch = context;
	char process[40] = "";

	if (owner)
		snprintf(process, sizeof(process), " (process %ld)", owner);
	complain(EXIT_DONE, "another ft-get%s is connected as %s; waiting for its end", process,
		 fetch->settings->link.client_id);
}

static bool set_client_id(struct settings *settings, bool of_process)
{
	char *id = identity_make_id("ft-get"), *longer = NULL;

	if (of_process && id && asprintf(&longer, "%s-%ld", id, (long)getpid()) < 0)
		longer = NULL;
	if (of_process) {
		free(id);
		id = longer;
	}
	settings->link.client_id = command_own(&settings->command, id);
	return settings->link.client_id;
}

static char *state_path(struct settings *settings)
{
	return command_own(&settings->command, identity_state_path(&settings->link, "ft-get",
								   settings->state_dir));
}

/*
 * One who has said which client he is waits for another that is the same; else another id will do,
 * but for a watch, which has to find what it has done.
 */
static bool take_identity(struct fetch *fetch, char **path, const sigset_t *open)
{
	struct settings *settings = fetch->settings;
	bool given = settings->link.client_id;

	if (!given && !set_client_id(settings, false))
		return false;
	*path = state_path(settings);
	if (!given && !settings->watch) {
		if (identity_lock(&fetch->lock, *path) != IDENTITY_TAKEN)
			return true;
		return set_client_id(settings, true);
	}
	return identity_take_turn(&fetch->lock, *path, open, on_queued, fetch);
}

static void drive(struct getter *getter, const sigset_t *open)
{
	while (!process_stopped && !getter_is_over(getter)) {
		nfds_t count = getter_watch(getter);
		int wait = getter_timeout_ms(getter);
		struct timespec time = { wait / 1000, wait % 1000 * 1000000L };

		if (ppoll(getter->fds, count, &time, open) < 0 && errno != EINTR)
			return;
		getter_step(getter);
	}
}

static enum exit_code fetch_all(struct fetch *fetch)
{
	sigset_t open, shut;
	char *path = NULL;

	process_catch_stops(&open, &shut);
	process_catch(SIGCHLD, on_child, &shut);
	if (!take_identity(fetch, &path, &open))
		return process_stopped ? complain(EXIT_STOPPED, "stopped before its turn came")
				       : complain(EXIT_INTERNAL, "out of memory");
	fetch->getter = getter_new(fetch->settings, path, &open);
	if (!fetch->getter)
		return complain(EXIT_INTERNAL, "%s", strerror(ENOMEM));
	drive(fetch->getter, &open);
	if (process_stopped && !getter_is_over(fetch->getter))
		getter_stop(fetch->getter);
	return getter_end(fetch->getter);
}

int main(int argc, char **argv)
{
	struct settings settings;
	struct fetch fetch = { .settings = &settings, .lock = { .fd = -1 } };
	enum exit_code code = EXIT_INTERNAL;

	process_occupy_descriptors();
	process_keep_memory();
	if (options_parse(&settings, argc, argv, &code)) {
		mosquitto_lib_init();
		code = fetch_all(&fetch);
		getter_free(fetch.getter);
		identity_unlock(&fetch.lock);
		mosquitto_lib_cleanup();
	}
	options_release(&settings);
	return (int)code;
}
