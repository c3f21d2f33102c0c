/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define DESCRIPTORS_USUAL 1024

/* libmosquitto's socket is not close-on-exec. */
static void exec_close_others(void)
{
#ifdef SYS_close_range
	if (syscall(SYS_close_range, STDERR_FILENO + 1u, ~0u, 0u) == 0)
		return;
#endif
	for (int fd = STDERR_FILENO + 1; fd < DESCRIPTORS_USUAL; fd++)
		close(fd);
}

static bool exec_set_environment(const struct exec_offer *offer)
{
	char size[24];

	snprintf(size, sizeof(size), "%" PRIu64, offer->size);
	return setenv("FT_FILE", offer->file, 1) == 0 && setenv("FT_PATH", offer->path, 1) == 0 &&
	       setenv("FT_SHA256", offer->sha256, 1) == 0 && setenv("FT_SIZE", size, 1) == 0 &&
	       setenv("FT_META", offer->meta, 1) == 0;
}

static void exec_become(const char *command, const struct exec_offer *offer,
			const sigset_t *open_set)
{
	static const int handled[] = { SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGPIPE, SIGXFSZ };
	int nothing = open("/dev/null", O_RDONLY);

	setpgid(0, 0);
	for (size_t i = 0; i < sizeof(handled) / sizeof(handled[0]); i++)
		signal(handled[i], SIG_DFL);
	sigprocmask(SIG_SETMASK, open_set, NULL);
	if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || !exec_set_environment(offer) ||
	    (offer->quiet_output && dup2(STDERR_FILENO, STDOUT_FILENO) < 0))
		return;
	exec_close_others();
	execl("/bin/sh", "sh", "-c", command, "ft-get", offer->file, (char *)NULL);
}

pid_t exec_begin(const char *command, const struct exec_offer *offer, const sigset_t *open_set)
{
	fflush(NULL);
	pid_t pid = fork();

	if (pid == 0) {
		exec_become(command, offer, open_set);
		_exit(127);
	}
	return pid;
}

bool exec_has_ended(pid_t pid, char *why, size_t room)
{
	int status;
	pid_t got = waitpid(pid, &status, WNOHANG);

	if (got == 0 || (got < 0 && errno == EINTR))
		return false;
	if (got < 0)
		snprintf(why, room, "it was lost");
	else if (WIFSIGNALED(status))
		snprintf(why, room, "signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status))
		snprintf(why, room, "exit status %d", WEXITSTATUS(status));
	else
		why[0] = '\0';
	return true;
}
