/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What the machine under a test can tell, and an emulated one cannot. Tests without it are skipped. */
#ifndef FT_TESTS_MACHINE_H
#define FT_TESTS_MACHINE_H

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Whether posix_spawn() tells that a program cannot be run. qemu-user makes a fork() of the vfork() in
 * it, so that the child's errno stays in the child: the program seems to have ended with 127.
 */
static inline bool machine_tells_what_spawn_cannot(void)
{
	char *argv[] = { (char *)(uintptr_t)"/nowhere/prog", NULL };
	pid_t pid;

	if (posix_spawn(&pid, argv[0], NULL, NULL, argv, argv + 1) != 0)
		return true;
	(void)waitpid(pid, NULL, 0);
	return false;
}

#define MACHINE_SPAWN_TELLS_NOTHING "posix_spawn() does not tell what fails in the child, as under qemu-user"

/* Whether the kernel, or what plays it, has openat2(2), Linux 5.6. Without it links are not followed. */
static inline bool machine_has_openat2(void)
{
	return syscall(437, -1, "", NULL, 0) == -1 && errno != ENOSYS && errno != EPERM;
}

#define MACHINE_NO_OPENAT2 "there is no openat2(), as under qemu-user 7.2: links are not followed"

static char *machine_gone;

static inline void machine_on_sigbus(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	_exit(info->si_addr == machine_gone ? 0 : 1);
}

/*
 * Whether a handler of SIGBUS is told the address. qemu-user 7.2 tells it that of its own process: beside
 * that of a 32-bit machine; and where the machine is s390x, with its halves exchanged.
 */
static inline bool machine_tells_where_sigbus_was(void)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		struct sigaction action = { .sa_flags = SA_SIGINFO };
		int fd = memfd_create("machine", MFD_CLOEXEC);

		alarm(60);
		action.sa_sigaction = machine_on_sigbus;
		machine_gone = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (machine_gone != MAP_FAILED && sigaction(SIGBUS, &action, NULL) == 0)
			*(volatile char *)machine_gone = 1;	/* the file is empty */
		_exit(2);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

#define MACHINE_SIGBUS_TELLS_NOTHING "a handler of SIGBUS is not told the address, as under qemu-arm and qemu-s390x"

#endif
