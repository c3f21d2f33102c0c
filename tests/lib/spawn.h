/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What posix_spawn() can tell on this machine. */
#ifndef FT_TESTS_SPAWN_H
#define FT_TESTS_SPAWN_H

#include <spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

/*
 * Whether it tells that a program cannot be run. qemu-user makes a fork() of the vfork() in it, so that
 * the child's errno stays in the child: the program seems to have started, and to have ended with 127.
 */
static inline bool spawn_tells_what_fails(void)
{
	char *argv[] = { (char *)(uintptr_t)"/nowhere/prog", NULL };
	pid_t pid;

	if (posix_spawn(&pid, argv[0], NULL, NULL, argv, argv + 1) != 0)
		return true;
	(void)waitpid(pid, NULL, 0);
	return false;
}

#define SPAWN_TELLS_NOTHING "posix_spawn() does not tell what fails in the child, as under qemu-user"

#endif
