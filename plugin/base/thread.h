/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Threads of ours in the broker's process. */
#ifndef FT_BASE_THREAD_H
#define FT_BASE_THREAD_H

#include <pthread.h>

/*
 * pthread_create() of a thread that takes no signals: they are for the broker's thread. But
 * for those that its own faults raise: the kernel ends the process where they are blocked,
 * whatever handler there is (base/sigbus.h, sanitizers, crash reporters). Returns an errno.
 */
int ft_thread_start(pthread_t *thread, void *(*run)(void *), void *argument);

#endif
