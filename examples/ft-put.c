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
#include <malloc.h>
#include <mosquitto.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ft-put/client.h"
#include "ft-put/config.h"
#include "ft-put/options.h"
#include "ft-put/progress.h"
#include "ft-put/report.h"
#include "ft-put/source.h"
#include "ft-put/walk.h"

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
	struct ft_client *client;
	struct report report;
};

static bool add_file(void *context, const struct walk_file *found)
{
	struct put *put = context;
	struct ft_client_file_options options = put->settings->file;
	char *name = walk_name(found->path);
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
		options.name = "stdin";
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

/* The same for the same command, so that a second run meets what the first has left;
 * another for other files, so that two at once do not throw each other out. */
static char *make_client_id(const struct settings *settings)
{
	char host[65] = "", hex[SHA256_HEX_ROOM], chain[SHA256_HEX_ROOM + 20] = "";
	char *id = NULL;

	gethostname(host, sizeof(host) - 1);
	host[strcspn(host, "+#/")] = '\0';
	snprintf(hex, sizeof(hex), "%ld", (long)getuid());
	for (int i = 0; i < settings->path_count; i++) {
		char *real = realpath(settings->paths[i], NULL);
		char *text = NULL;
		snprintf(chain, sizeof(chain), "%s", hex);
		int len = asprintf(&text, "%s %s", chain, real ? real : settings->paths[i]);
		bool ok = len >= 0 && sha256_hex(hex, text, (size_t)len);
		free(real);
		if (len >= 0)
			free(text);
		if (!ok)
			return NULL;
	}
	return asprintf(&id, "ft-put-%s-%.8s", host, hex) < 0 ? NULL : id;
}

static bool make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		bool ok = mkdir(path, 0700) == 0 || errno == EEXIST;
		*slash = '/';
		if (!ok)
			return false;
	}
	return mkdir(path, 0700) == 0 || errno == EEXIST;
}

/* One file for each client id and broker: what is unfinished belongs to both. */
static char *make_state_path(const struct settings *settings)
{
	const struct link_options *link = &settings->client.link;
	char hex[SHA256_HEX_ROOM];
	char *who = NULL, *path = NULL;
	char *folder = settings->state_dir ? strdup(settings->state_dir)
		       : config_place("XDG_STATE_HOME", ".local/state", "ft-put");

	if (!folder || !*folder || !make_folders(folder)) {
		if (folder && *folder)
			complain(EXIT_DONE, "%s: %s; unfinished uploads are not noted", folder,
				 strerror(errno));
		free(folder);
		return NULL;
	}
	int len = asprintf(&who, "%s@%s:%d", link->client_id, link->unix_path ? link->unix_path
			   : link->host, link->port);
	if (len >= 0 && sha256_hex(hex, who, (size_t)len) &&
	    asprintf(&path, "%s/%.32s.json", folder, hex) < 0)
		path = NULL;
	if (len >= 0)
		free(who);
	free(folder);
	return path;
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
	struct ft_client_options *options = &settings->client;
	struct ft_client_events events = report_events(&put->report);
	sigset_t open, shut;

	if (!options->link.client_id)
		options->link.client_id = options_own(settings, make_client_id(settings));
	if (!options->link.client_id)
		return complain(EXIT_INTERNAL, "out of memory");
	options->state_path = options_own(settings, make_state_path(settings));
	report_init(&put->report, settings);
	put->client = ft_client_new(options, &events);
	if (!put->client || !add_all(put))
		return complain(EXIT_INTERNAL, "%s", strerror(errno));
	report_begin(&put->report);
	catch_signals(&open, &shut);
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
	struct put put = { .settings = &settings };
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
		mosquitto_lib_cleanup();
	}
	options_release(&settings);
	return (int)code;
}
