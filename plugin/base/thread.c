/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "base/thread.h"

#include <signal.h>
#include <stddef.h>

int ft_thread_start(pthread_t *thread, void *(*run)(void *), void *argument)
{
	static const int faults[] = { SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS };
	sigset_t most, before;
	int error;

	sigfillset(&most);
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
		sigdelset(&most, faults[i]);
	pthread_sigmask(SIG_SETMASK, &most, &before);
	error = pthread_create(thread, NULL, run, argument);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}
