/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * ft-put: uploads files to a broker with the file transfer plugin, resuming where an
 * earlier run, or an earlier connection, has left off.
 *
 * The work is done by ft-put/client.h; this is its command line, and an example of
 * how a program with a loop of its own drives it. Everything runs on one thread.
 */
#include <errno.h>
#include <mosquitto.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ft-put/client.h"
#include "ft-put/options.h"
#include "ft-put/report.h"
#include "ft-put/source.h"
#include "ft-put/walk.h"
#include "lib/identity.h"
#include "lib/names.h"
#include "lib/process.h"

static volatile sig_atomic_t pause_signals;

static void on_pause(int signal)
{
	(void)signal;
	pause_signals = !pause_signals;
}

/* --- what is to be sent --- */

struct put {
	struct settings *settings;
	struct identity_lock lock;
	struct ft_client *client;
	struct report report;
};

/* The name at the broker: what is encrypted is another kind of file (RFC 8551). */
static char *make_name(const struct put *put, const char *path)
{
	char *longer = NULL;

	if (!put->settings->client.recipients)
		return name_of_path(path);
	if (asprintf(&longer, "%s.p7m", path) < 0)
		return NULL;
	char *name = name_of_path(longer);
	free(longer);
	return name;
}

static bool add_file(void *context, const struct walk_file *found)
{
	struct put *put = context;
	struct ft_client_file_options options = put->settings->file;
	char *name = make_name(put, found->path);
	char *data = walk_user_data(options.user_data, found->relative);

	if (!options.name)
		options.name = name;
	options.user_data = data;
	bool ok = name && ft_client_add_path(put->client, found->path, &options);
	if (ok)
		report_expect(&put->report, (uint64_t)found->stat->st_size, found->path);
	free(name);
	free(data);
	return ok;
}

static void add_bad(void *context, const char *path, int error)
{
	struct put *put = context;

	report_bad_path(&put->report, path, strerror(error));
}

static bool add_stdin(struct put *put)
{
	struct ft_client_file_options options = put->settings->file;

	if (!options.name)
		options.name = put->settings->client.recipients ? "stdin.p7m" : "stdin";
	report_expect_stream(&put->report);
	return ft_client_add_fd(put->client, STDIN_FILENO, &options) != 0;
}

static bool add_all(struct put *put)
{
	const struct walk how = { put, add_file, add_bad };

	for (int i = 0; i < put->settings->command.path_count; i++) {
		const char *path = put->settings->command.paths[i];
		if (!(strcmp(path, "-") == 0 ? add_stdin(put) : walk(&how, path)))
			return false;
	}
	return true;
}

/* --- who we are --- */

/* Of standard input nothing is continued: it need not wait for others of the same user. */
static bool is_stream_only(const struct settings *settings)
{
	return settings->command.path_count == 1 && strcmp(settings->command.paths[0], "-") == 0;
}

static bool make_client_id(struct settings *settings)
{
	struct link_options *link = &settings->client.link;
	char *longer = NULL;

	if (link->client_id)
		return true;
	link->client_id = command_own(&settings->command, identity_make_id("ft-put"));
	if (!link->client_id || !is_stream_only(settings))
		return link->client_id;
	if (asprintf(&longer, "%s-%ld", link->client_id, (long)getpid()) < 0)
		longer = NULL;
	link->client_id = command_own(&settings->command, longer);
	return link->client_id;
}

static bool make_places(struct settings *settings)
{
	struct ft_client_options *options = &settings->client;

	options->state_path = command_own(&settings->command,
					  identity_state_path(&options->link, "ft-put",
							      settings->state_dir));
	if (!options->recipients)
		return true;
	if (!options->state_path) {
		complain(EXIT_USAGE, "--encrypt needs a state directory, where ciphertext can wait");
		return false;
	}
	options->seal_dir = command_own(&settings->command, identity_seal_dir(options->state_path));
	return options->seal_dir;
}

static void on_queued(void *context, long owner)
{
	struct put *put = context;

	report_queued(&put->report, owner);
}

/* --- the loop --- */

static void obey_signals(struct put *put)
{
	bool paused = pause_signals;

	if (paused == put->report.progress.paused)
		return;
	if (paused)
		ft_client_pause(put->client);
	else
		ft_client_resume(put->client);
	report_paused(&put->report, paused);
}

static void drive(struct put *put, const sigset_t *open, const sigset_t *shut)
{
	while (!process_stopped && ft_client_unfinished(put->client)) {
		obey_signals(put);
		sigprocmask(SIG_SETMASK, open, NULL);
		ft_client_step(put->client);
		sigprocmask(SIG_BLOCK, shut, NULL);
		if (process_stopped)
			return;
		report_progress(&put->report, put->client);
		if (!ft_client_unfinished(put->client))
			return;
		struct pollfd ready = { .fd = ft_client_fd(put->client), .events = POLLIN };
		int wait = ft_client_timeout_ms(put->client);
		struct timespec time = { wait / 1000, wait % 1000 * 1000000L };
		ppoll(&ready, 1, &time, open);
	}
}

static enum exit_code put_all(struct put *put)
{
	struct settings *settings = put->settings;
	struct ft_client_events events = report_events(&put->report);
	sigset_t open, shut;

	if (!make_client_id(settings))
		return complain(EXIT_INTERNAL, "out of memory");
	if (!make_places(settings))
		return EXIT_USAGE;
	report_init(&put->report, settings);
	process_catch_stops(&open, &shut);
	process_catch(SIGUSR1, on_pause, &shut);
	if (!identity_take_turn(&put->lock, settings->client.state_path, &open, on_queued, put))
		return complain(EXIT_STOPPED, "stopped before its turn came");
	put->client = ft_client_new(&settings->client, &events);
	if (!put->client || !add_all(put))
		return complain(EXIT_INTERNAL, "%s", strerror(errno));
	report_begin(&put->report);
	drive(put, &open, &shut);
	return report_end(&put->report, put->client, process_stopped != 0);
}

int main(int argc, char **argv)
{
	struct settings settings;
	struct put put = { .settings = &settings, .lock = { .fd = -1 } };
	enum exit_code code = EXIT_INTERNAL;

	process_occupy_descriptors();
	process_keep_memory();
	if (options_parse(&settings, argc, argv, &code)) {
		mosquitto_lib_init();
		code = put_all(&put);
		ft_client_free(put.client);
		identity_unlock(&put.lock);
		report_release(&put.report);
		mosquitto_lib_cleanup();
	}
	options_release(&settings);
	return (int)code;
}
