/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Sleeping on a word of memory (futex(2)). Who wakes never waits, not even for the moment
 * that another thread holds a mutex: the broker's thread may do it.
 *
 *	sleeper		store(&word, ASLEEP);		sequentially consistent
 *			if (nothing to do) ft_futex_wait(&word, ASLEEP, ms);
 *			store(&word, AWAKE);
 *	waker		make something to do;		sequentially consistent
 *			if (exchange(&word, AWAKE) == ASLEEP) ft_futex_wake(&word);
 *
 * A weaker order of the two stores and loads loses wake-ups.
 */
#ifndef FT_BASE_FUTEX_H
#define FT_BASE_FUTEX_H

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * The call's own idea of a time, which is not libc's `struct timespec` where that has 64 bits
 * on a machine of 32.
 */
#ifdef SYS_futex
#define FT_FUTEX_CALL SYS_futex
struct ft_futex_time {
	long seconds;
	long nanoseconds;
};
#else
#define FT_FUTEX_CALL SYS_futex_time64
struct ft_futex_time {
	int64_t seconds;
	int64_t nanoseconds;
};
#endif

/* Sleeps while *word is `expected`, for at most so many ms (>= 0). May return earlier. */
static inline void ft_futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t max_ms)
{
	struct ft_futex_time time;

	if (max_ms > INT_MAX)
		max_ms = INT_MAX;
	time.seconds = (long)(max_ms / 1000);
	time.nanoseconds = (long)(max_ms % 1000 * 1000000);
	syscall(FT_FUTEX_CALL, word, FUTEX_WAIT_PRIVATE, expected, &time, NULL, 0);
}

/* Wakes all that sleep on the word. */
static inline void ft_futex_wake(_Atomic uint32_t *word)
{
	syscall(FT_FUTEX_CALL, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

#endif
