/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "base/program.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "base/sys.h"

#define PROGRAM_POLL_MS 50

extern char **environ;

/* Not in one condition: where there is no glibc, the macro is no function either. */
#ifdef __GLIBC__
#define PROGRAM_CLOSES_FROM __GLIBC_PREREQ(2, 34)
#else
#define PROGRAM_CLOSES_FROM 0
#endif

#if PROGRAM_CLOSES_FROM
static int program_close_others(posix_spawn_file_actions_t *actions)
{
	return posix_spawn_file_actions_addclosefrom_np(actions, 3);
}
#else
/* Those that are open now: the broker's may not be closed by exec, and what it opens meanwhile stays. */
static int program_close_others(posix_spawn_file_actions_t *actions)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int error = dir ? 0 : errno;

	while (error == 0 && (entry = ft_sys_readdir(dir)) != NULL) {
		int fd = (int)strtol(entry->d_name, NULL, 10);

		if (fd > 2 && fd != dirfd(dir))
			error = posix_spawn_file_actions_addclose(actions, fd);
	}
	if (dir)
		closedir(dir);
	return error;
}
#endif

/* fds: what become 0, 1 and 2 of the program. Returns an errno. */
static int program_spawn(struct ft_program *program, const int fds[3], pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t all, none;
	int error;

	sigfillset(&all);
	sigemptyset(&none);
	if ((error = posix_spawn_file_actions_init(&actions)) != 0)
		return error;
	if ((error = posix_spawnattr_init(&attributes)) != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return error;
	}
	for (int fd = 0; error == 0 && fd < 3; fd++)
		error = posix_spawn_file_actions_adddup2(&actions, fds[fd], fd);
	if (error == 0)
		error = program_close_others(&actions);
	if (error == 0)
		error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK
						 | POSIX_SPAWN_SETSIGDEF);
	(void)posix_spawnattr_setpgroup(&attributes, 0);
	(void)posix_spawnattr_setsigmask(&attributes, &none);
	(void)posix_spawnattr_setsigdefault(&attributes, &all);
	if (error == 0)
		error = posix_spawn(pid, program->argv[0], &actions, &attributes, program->argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

/* Reads what is there. False: nobody will write any more. */
static bool program_read(int fd, struct ft_program_output *to)
{
	ssize_t got;

	if (to->len == sizeof to->text) {
		to->len = sizeof to->text / 2;
		to->cut = true;
		memmove(to->text, to->text + to->len, to->len);
	}
	got = read(fd, to->text + to->len, sizeof to->text - to->len);
	if (got > 0)
		to->len += (size_t)got;
	return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Whether it has ended; it stays a zombie, so that its group's number is nobody else's. */
static bool program_has_ended(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };
	int got = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);

	return got == 0 ? info.si_pid == pid : errno != EINTR;
}

/* Reads until it has ended. False: it must end. */
static bool program_attend(struct ft_program *program, pid_t pid, int out, int err)
{
	struct pollfd polls[2] = { { .fd = out, .events = POLLIN }, { .fd = err, .events = POLLIN } };
	struct ft_program_output *outputs[2] = { &program->out, &program->err };
	bool ended = false;

	/* Once more behind its end: what it wrote last. Its children's pipes may stay open. */
	while (!ended) {
		ended = program_has_ended(pid);
		if (!ended && program->must_end(program->context))
			return false;
		(void)poll(polls, 2, ended ? 0 : PROGRAM_POLL_MS);
		for (int i = 0; i < 2; i++)
			for (int n = 0; polls[i].revents != 0 && polls[i].fd >= 0 && n < (ended ? 32 : 1); n++)
				if (!program_read(polls[i].fd, outputs[i]))
					polls[i].fd = -1;
	}
	return true;
}

static enum ft_program_end program_wait(struct ft_program *program, pid_t pid, int out, int err)
{
	bool ended = program_attend(program, pid, out, err);
	int status = 0;
	pid_t got;

	(void)kill(-pid, SIGKILL);	/* and what it has left behind */
	do
		got = waitpid(pid, &status, 0);
	while (got < 0 && errno == EINTR);
	if (!ended)
		return FT_PROGRAM_KILLED;
	if (got == pid && WIFEXITED(status)) {
		program->code = WEXITSTATUS(status);
		return FT_PROGRAM_EXITED;
	}
	program->code = got == pid ? WTERMSIG(status) : 0;
	return FT_PROGRAM_CRASHED;
}

static int program_make_input(const struct ft_program *program)
{
	int fd = memfd_create("file-transfer-input", MFD_CLOEXEC);

	if (fd >= 0 && !ft_sys_write_all(fd, program->input, program->input_len, 0)) {
		ft_sys_close(fd);
		return -1;
	}
	return fd;
}

enum ft_program_end ft_program_run(struct ft_program *program)
{
	int in = program_make_input(program), out[2] = { -1, -1 }, err[2] = { -1, -1 };
	enum ft_program_end end = FT_PROGRAM_NOT_STARTED;
	pid_t pid = -1;

	program->out.len = program->err.len = 0;
	program->out.cut = program->err.cut = false;
	program->code = 0;
	if (in < 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0
	    || fcntl(out[0], F_SETFL, O_NONBLOCK) != 0 || fcntl(err[0], F_SETFL, O_NONBLOCK) != 0)
		program->code = errno;
	else
		program->code = program_spawn(program, (const int[]){ in, out[1], err[1] }, &pid);
	ft_sys_close(in);
	ft_sys_close(out[1]);
	ft_sys_close(err[1]);
	if (program->code == 0)
		end = program_wait(program, pid, out[0], err[0]);
	ft_sys_close(out[0]);
	ft_sys_close(err[0]);
	return end;
}
