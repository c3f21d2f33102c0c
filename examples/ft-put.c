/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * ft-put: uploads files to a broker with the file transfer plugin, resuming where an
 * earlier run, or an earlier connection, has left off.
 *
 * The work is done by ft-put/client.h; this is its command line, and an example of
 * how a program with a loop of its own drives it. Everything runs on one thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <mosquitto.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ft-put/client.h"
#include "ft-put/identity.h"
#include "ft-put/options.h"
#include "ft-put/progress.h"
#include "ft-put/report.h"
#include "ft-put/source.h"
#include "ft-put/walk.h"

#define LOCK_EVERY_MS 200

static volatile sig_atomic_t stop_signal, pause_signals;

static void on_stop(int signal)
{
	stop_signal = signal;
}

static void on_pause(int signal)
{
	(void)signal;
	pause_signals = !pause_signals;
}

/* They are let in while we wait or work, but not between: none can be missed. A second one
 * ends us even where looking up a name takes its time. */
static void catch_signals(sigset_t *open, sigset_t *shut)
{
	static const int stops[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_stop, .sa_flags = (int)(SA_RESETHAND | SA_RESTART) };

	sigemptyset(shut);
	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
		struct sigaction old;
		/* As nohup has set it. */
		if (stops[i] == SIGHUP && sigaction(SIGHUP, NULL, &old) == 0 &&
		    old.sa_handler == SIG_IGN)
			continue;
		sigaction(stops[i], &action, NULL);
		sigaddset(shut, stops[i]);
	}
	action.sa_handler = on_pause;
	action.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &action, NULL);
	sigaddset(shut, SIGUSR1);
	sigprocmask(SIG_BLOCK, shut, open);
	/* Writing to a connection that is gone must be an error, not the end. */
	signal(SIGPIPE, SIG_IGN);
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
		return walk_name(path);
	if (asprintf(&longer, "%s.p7m", path) < 0)
		return NULL;
	char *name = walk_name(longer);
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

	for (int i = 0; i < put->settings->path_count; i++) {
		const char *path = put->settings->paths[i];
		if (!(strcmp(path, "-") == 0 ? add_stdin(put) : walk(&how, path)))
			return false;
	}
	return true;
}

/* --- who we are --- */

/* Of standard input nothing is continued: it need not wait for others of the same user. */
static bool is_stream_only(const struct settings *settings)
{
	return settings->path_count == 1 && strcmp(settings->paths[0], "-") == 0;
}

static bool make_client_id(struct settings *settings)
{
	struct link_options *link = &settings->client.link;
	char *longer = NULL;

	if (link->client_id)
		return true;
	link->client_id = options_own(settings, identity_make_id());
	if (!link->client_id || !is_stream_only(settings))
		return link->client_id;
	if (asprintf(&longer, "%s-%ld", link->client_id, (long)getpid()) < 0)
		longer = NULL;
	link->client_id = options_own(settings, longer);
	return link->client_id;
}

static bool make_places(struct settings *settings)
{
	struct ft_client_options *options = &settings->client;

	options->state_path = options_own(settings, identity_state_path(&options->link,
									settings->state_dir));
	if (!options->recipients)
		return true;
	if (!options->state_path) {
		complain(EXIT_USAGE, "--encrypt needs a state directory, where ciphertext can wait");
		return false;
	}
	options->seal_dir = options_own(settings, identity_seal_dir(options->state_path));
	return options->seal_dir;
}

/* Waits for another one of the same user, who would throw us out or be thrown out. False:
 * stopped. */
static bool take_turn(struct put *put, const sigset_t *open)
{
	const struct ft_client_options *options = &put->settings->client;
	const struct timespec pause = { 0, LOCK_EVERY_MS * 1000000L };
	bool told = false;

	while (!stop_signal) {
		switch (identity_lock(&put->lock, options->state_path)) {
		case IDENTITY_OURS:
			return true;
		case IDENTITY_FAILED:
			complain(EXIT_DONE, "no lock beside %s: %s; two at once would disturb each "
				 "other", options->state_path, strerror(errno));
			return true;
		case IDENTITY_TAKEN:
			break;
		}
		if (!told)
			report_queued(&put->report, put->lock.owner);
		told = true;
		ppoll(NULL, 0, &pause, open);
	}
	return false;
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
	while (!stop_signal && ft_client_unfinished(put->client)) {
		obey_signals(put);
		sigprocmask(SIG_SETMASK, open, NULL);
		ft_client_step(put->client);
		sigprocmask(SIG_BLOCK, shut, NULL);
		if (stop_signal)
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
	catch_signals(&open, &shut);
	if (!take_turn(put, &open))
		return complain(EXIT_STOPPED, "stopped before its turn came");
	put->client = ft_client_new(&settings->client, &events);
	if (!put->client || !add_all(put))
		return complain(EXIT_INTERNAL, "%s", strerror(errno));
	report_begin(&put->report);
	drive(put, &open, &shut);
	return report_end(&put->report, put->client, stop_signal != 0);
}

/* Where they are closed, a socket that is opened next would be taken for the output. Of
 * this /dev/null nothing can be read: who sends standard input then is told so. */
static void occupy_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	struct settings settings;
	struct put put = { .settings = &settings, .lock = { .fd = -1 } };
	enum exit_code code = EXIT_INTERNAL;

	occupy_standard_descriptors();
	/* Segments come and go: giving their memory back each time costs more than sending. */
#ifdef __GLIBC__
	mallopt(M_MMAP_THRESHOLD, 64 * 1024 * 1024);
	mallopt(M_TRIM_THRESHOLD, 64 * 1024 * 1024);
#endif
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
