/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Threads that take turns: one runs at a time, and which one goes on is drawn by a seed.
 * So a run with worker threads can be repeated to the letter, and "all is done that was
 * to be done" can be seen from outside.
 *
 * A turn ends where a thread waits for another one, and, if chance says so, at
 * turns_point(), which every call that changes files begins with. For that the program's
 * pthread functions stand before libc's.
 */
#ifndef FT_TESTS_CRASH_TURNS_H
#define FT_TESTS_CRASH_TURNS_H

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "chance.h"

#define TURNS_MAX 256
#define TURNS_TIMEOUTS 3	/* given to a thread each time all is waited for */

enum turn_state {
	TURN_FREE,
	TURN_READY,
	TURN_WAITING,	/* for a condition */
	TURN_SETTLING,	/* the first thread, until nobody else can go on */
	TURN_ENDED,
	TURN_ABANDONED,	/* killed: never goes on */
};

struct turn {
	enum turn_state state;
	const void *awaits;
	bool timed;
	bool timed_out;
	unsigned timeouts;
	sem_t baton;
	pthread_t thread;
	void *(*run)(void *argument);
	void *argument;
};

static struct {
	struct turn turn[TURNS_MAX];
	struct chance chance;
	unsigned percent;	/* of the points at which somebody else may go on */
	unsigned dies_at;	/* the first thread does, at so many points from now; 0: never */
	sem_t died;		/* or its call has ended */
} turns;

static _Thread_local int turn_self = -1;

_Noreturn static void turns_stuck(const char *why)
{
	fprintf(stderr, "turns: %s\n", why);
	abort();
}

/* --- whose turn it is --- */

/* One of those that can go on, drawn; `but` cannot. -1: nobody. */
static int turns_draw(int but)
{
	int ready[TURNS_MAX], count = 0;

	for (int i = 0; i < TURNS_MAX; i++)
		if (i != but && turns.turn[i].state == TURN_READY)
			ready[count++] = i;
	return count == 0 ? -1 : ready[chance_below(&turns.chance, (uint64_t)count)];
}

/* Somebody whose time has come, since nobody else can go on. */
static int turns_time_out(void)
{
	for (int i = 0; i < TURNS_MAX; i++) {
		struct turn *turn = &turns.turn[i];

		if (turn->state != TURN_WAITING || !turn->timed
		    || turn->timeouts++ >= TURNS_TIMEOUTS)
			continue;
		turn->timed_out = true;
		turn->state = TURN_READY;
		return i;
	}
	return -1;
}

static int turns_next(int but)
{
	int next = turns_draw(but);

	if (next < 0)
		next = turns_time_out();
	if (next < 0 && turns.turn[0].state == TURN_SETTLING && but != 0)
		next = 0;
	return next;
}

static void turns_hand_to(int next)
{
	sem_post(&turns.turn[next].baton);
}

static void turns_await(int self)
{
	while (sem_wait(&turns.turn[self].baton) != 0)
		continue;
}

static void turns_switch(int next)
{
	if (next < 0)
		turns_stuck("all threads wait for each other");
	if (next == turn_self)
		return;
	turns_hand_to(next);
	turns_await(turn_self);
}

/* What it had in hand stays on its stack, where a search for leaks finds it. */
_Noreturn static void turns_die(void)
{
	__builtin_unwind_init();	/* registers, too */
	sem_post(&turns.died);
	for (;;)
		pause();
}

/* Somebody else may go on here, or the process be killed. */
static void turns_point(void)
{
	if (turn_self == 0 && turns.dies_at > 0 && --turns.dies_at == 0)
		turns_die();
	if (turn_self >= 0 && chance_percent(&turns.chance, turns.percent))
		turns_switch(turns_draw(-1));
}

/* --- for the test --- */

/* The calling thread is the first one. */
static void turns_begin(uint64_t seed, unsigned percent)
{
	turns.chance = chance_of(seed, 1);
	turns.percent = percent;
	if (turn_self == 0)
		return;
	turn_self = 0;
	turns.turn[0].state = TURN_READY;
	sem_init(&turns.turn[0].baton, 0, 0);
}

/* Lets the others go on until nobody can. The first thread only. */
static inline void turns_settle(void)
{
	for (int i = 0; i < TURNS_MAX; i++)
		turns.turn[i].timeouts = 0;
	turns.turn[0].state = TURN_SETTLING;
	turns_switch(turns_next(-1));
	turns.turn[0].state = TURN_READY;
}

/* The others never go on: that is what a kill looks like. */
static inline void turns_abandon(void)
{
	for (int i = 1; i < TURNS_MAX; i++)
		if (turns.turn[i].state != TURN_FREE)
			turns.turn[i].state = TURN_ABANDONED;
}

/* --- in the place of libc's --- */

/* The address of a function of that type; a cast between the two is not for C to promise. */
#define TURNS_REAL(function, name) \
	do { \
		*(void **)&(function) = dlsym(RTLD_NEXT, name); \
		if (!(function)) \
			turns_stuck("no " name); \
	} while (0)

static void *turns_run(void *argument)
{
	struct turn *turn = argument;
	void *result;

	turn_self = (int)(turn - turns.turn);
	turns_await(turn_self);
	result = turn->run(turn->argument);
	turn->state = TURN_ENDED;
	turns_hand_to(turns_next(-1));
	return result;
}

static int turns_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
			void *argument)
{
	static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (!real)
		TURNS_REAL(real, "pthread_create");
	return real(thread, attributes, run, argument);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
		   void *argument)
{
	int i = 1, error;

	if (turn_self < 0)
		return turns_create(thread, attributes, run, argument);
	while (i < TURNS_MAX && turns.turn[i].state != TURN_FREE)
		i++;
	if (i == TURNS_MAX)
		turns_stuck("too many threads");
	turns.turn[i] = (struct turn){ .state = TURN_READY, .run = run, .argument = argument };
	sem_init(&turns.turn[i].baton, 0, 0);
	error = turns_create(thread, attributes, turns_run, &turns.turn[i]);
	if (error)
		turns.turn[i].state = TURN_FREE;
	else
		turns.turn[i].thread = *thread;
	return error;
}

int pthread_join(pthread_t thread, void **result)
{
	static int (*real)(pthread_t, void **);
	int i = 1, error;

	if (!real)
		TURNS_REAL(real, "pthread_join");
	while (i < TURNS_MAX && (turns.turn[i].state == TURN_FREE
				 || turns.turn[i].state == TURN_ABANDONED
				 || !pthread_equal(turns.turn[i].thread, thread)))
		i++;
	if (turn_self < 0 || i == TURNS_MAX)
		return real(thread, result);
	while (turns.turn[i].state != TURN_ENDED)
		turns_switch(turns_next(turn_self));
	error = real(thread, result);
	sem_destroy(&turns.turn[i].baton);
	turns.turn[i].state = TURN_FREE;
	return error;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	int error;

	while ((error = pthread_mutex_trylock(mutex)) == EBUSY) {
		if (turn_self >= 0)
			turns_switch(turns_next(turn_self));
		else
			sched_yield();
	}
	return error;
}

/* Whether it was the time that ended the waiting. */
static bool turns_wait(const void *awaits, pthread_mutex_t *mutex, bool timed)
{
	struct turn *turn;

	if (turn_self < 0)
		turns_stuck("a stranger waits");
	turn = &turns.turn[turn_self];
	turn->awaits = awaits;
	turn->timed = timed;
	turn->timed_out = false;
	turn->state = TURN_WAITING;
	pthread_mutex_unlock(mutex);
	turns_switch(turns_next(turn_self));
	pthread_mutex_lock(mutex);
	return turn->timed_out;
}

int pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
	turns_wait(condition, mutex, false);
	return 0;
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
			   const struct timespec *until)
{
	(void)until;
	return turns_wait(condition, mutex, true) ? ETIMEDOUT : 0;
}

int pthread_cond_clockwait(pthread_cond_t *condition, pthread_mutex_t *mutex, clockid_t clock,
			   const struct timespec *until)
{
	(void)clock;
	return pthread_cond_timedwait(condition, mutex, until);
}

static bool turns_wake(const void *awaited)
{
	for (int i = 0; i < TURNS_MAX; i++) {
		if (turns.turn[i].state != TURN_WAITING || turns.turn[i].awaits != awaited)
			continue;
		turns.turn[i].state = TURN_READY;
		return true;
	}
	return false;
}

int pthread_cond_signal(pthread_cond_t *condition)
{
	turns_wake(condition);
	return 0;
}

int pthread_cond_broadcast(pthread_cond_t *condition)
{
	while (turns_wake(condition))
		continue;
	return 0;
}

/* --- death of the first thread --- */

struct turns_mortal {
	int (*call)(int argument);
	int argument;
};

static void *turns_run_mortal(void *argument)
{
	const struct turns_mortal *mortal = argument;

	turn_self = 0;
	mortal->call(mortal->argument);
	sem_post(&turns.died);
	return NULL;
}

/*
 * Calls it in the place of the first thread, which is killed in it at the nth point, if
 * there are so many; and returns in either case.
 */
static inline void turns_call_mortal(int (*call)(int argument), int argument, unsigned nth)
{
	struct turns_mortal mortal = { call, argument };
	pthread_t thread;

	sem_init(&turns.died, 0, 0);
	turns.dies_at = nth;
	if (turns_create(&thread, NULL, turns_run_mortal, &mortal) != 0)
		turns_stuck("no thread");
	pthread_detach(thread);
	while (sem_wait(&turns.died) != 0)
		continue;
	turns.dies_at = 0;
}

#endif
