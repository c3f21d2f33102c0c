/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "mosquitto/wake.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "base/system.h"
#include "mosquitto/compat.h"
#include "mosquitto/v20/listeners.h"

#define NOTHING_DUE INT64_MAX

/* Signals: quick at first, for latency; then rarely, so that a busy broker loses nothing. */
#define SIGNAL_PAUSE_MIN_US 200
#define SIGNAL_PAUSE_MAX_US 2000
#define SIGNAL_PAUSE_STUCK_US 10000
#define STUCK_AFTER_MS 3000

/*
 * How many signals have to be followed by a tick before what was published in a tick
 * is known to have left: 2.1 ticks once for each listener in a pass of its loop, so
 * one may belong to the pass before.
 */
#define ECHOES 3

/*
 * 2.0 neither reads from nor writes to WebSockets but in a pass of its loop, of which their traffic
 * causes none: one message leaves in each. So many passes are brought about that the client's next
 * command comes in one of them, and leads to the next round; until such clients have been silent for
 * some time, so that an idle one costs others nothing.
 */
#define ECHOES_WEBSOCKETS 128
#define ECHOES_WEBSOCKETS_MS 2000

/* Rings wait for their effect by themselves. */
#define BELL_PAUSE_MIN_US 200
#define BELL_PAUSE_MAX_US 20000

/* Connections: each costs lines in the broker's log. */
#define KNOCK_AFTER_MS 5
#define KNOCK_PAUSE_MIN_US 20000
#define KNOCK_PAUSE_MAX_US 1000000
#define KNOCK_CONNECT_MS 50

/* A broker that accepts a TLS connection after its end tells the plugin nothing. */
#define KNOCK_STAY_MS 4

/* A 2.0 broker that listens this long and never ticked will not. */
#define TICKLESS_AFTER_MS 300
#define WATCH_PAUSE_US 50000

struct ft_wake {
	bool is_21;
	bool echoing;			/* broker's thread, as is: */
	int64_t echo_asked_ms;		/* when it was asked for last */
	pthread_t broker;
	pthread_t helper;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stop;			/* under lock */
	struct ft_wake_bell bell;	/* under lock */

	_Atomic uint64_t rung;		/* how often something was announced */
	_Atomic uint64_t heard;		/* the value of `rung` up to which all is handled */
	_Atomic uint64_t signalled;	/* ... of which a signal was sent, by who announced it */
	_Atomic uint64_t ticks;
	_Atomic unsigned echoes;	/* loop passes to bring about when all is handled, 2.1 */
	_Atomic int64_t due_ms;

	uint64_t seen;			/* broker's thread: `rung` at the last pending() */

	/* The helper's own. */
	uint64_t answering;		/* value of `rung` this round of waking is for */
	int64_t since_ms;		/* when that round began */
	long pause_us;
	long bell_pause_us;
	bool echo_sent;			/* the last signal was for an echo */
	uint64_t echo_ticks;		/* `ticks` when it was sent */
	bool tickless;
	int64_t looked_ms;		/* when listeners were last looked for */
	int64_t listening_since_ms;	/* 0: no listener seen yet */
	struct ft_listener listeners[FT_LISTENERS_MAX];
	size_t listener_count;
	size_t listener_next;
};

/* The handler is the process's, so this is too. Broker's thread only. */
static struct {
	unsigned users;
	bool installed;
	struct sigaction before;
} urg;

static void wake_do_nothing(int signal_number)
{
	(void)signal_number;
}

/*
 * Any handler ends epoll_wait. Where another plugin has one it stays: Go's runtime
 * needs its own for SIGURG.
 */
static bool wake_handler_acquire(void)
{
	struct sigaction action = { .sa_handler = wake_do_nothing, .sa_flags = SA_RESTART };

	if (urg.users == 0) {
		if (sigaction(SIGURG, NULL, &urg.before) != 0)
			return false;
		urg.installed = !(urg.before.sa_flags & SA_SIGINFO) &&
				(urg.before.sa_handler == SIG_DFL || urg.before.sa_handler == SIG_IGN);
		sigemptyset(&action.sa_mask);
		if (urg.installed && sigaction(SIGURG, &action, NULL) != 0)
			return false;
	}
	urg.users++;
	return true;
}

static void wake_handler_release(void)
{
	struct sigaction now;

	if (--urg.users > 0 || !urg.installed)
		return;
	if (sigaction(SIGURG, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
	    now.sa_handler == wake_do_nothing)
		sigaction(SIGURG, &urg.before, NULL);
	urg.installed = false;
}

static bool wake_is_busy(struct ft_wake *wake)
{
	return atomic_load(&wake->rung) != atomic_load(&wake->heard) ||
	       atomic_load(&wake->echoes) > 0;
}

static void wake_in_us(struct timespec *when, int64_t us)
{
	clock_gettime(CLOCK_MONOTONIC, when);
	us += when->tv_nsec / 1000;
	when->tv_sec += (time_t)(us / 1000000);
	when->tv_nsec = (long)(us % 1000000) * 1000;
}

/* Sleeps, lock held, until the time is over; where `wakeable`, until anything changes. */
static void wake_sleep_us(struct ft_wake *wake, int64_t us, bool wakeable)
{
	struct timespec when;

	wake_in_us(&when, us);
	while (!wake->stop) {
		if (pthread_cond_timedwait(&wake->changed, &wake->lock, &when) != 0 || wakeable)
			return;
	}
}

/* Sleeps, lock held, until there is something to do. */
static void wake_idle(struct ft_wake *wake)
{
	int64_t due_ms = atomic_load(&wake->due_ms), left_ms;

	if (due_ms == NOTHING_DUE) {
		pthread_cond_wait(&wake->changed, &wake->lock);
		return;
	}
	left_ms = due_ms - ft_clock_ms();
	if (left_ms > 0) {
		wake_sleep_us(wake, left_ms > 3600000 ? 3600000000LL : left_ms * 1000, true);
		return;
	}
	/* Due: this is an announcement like any other. */
	atomic_store(&wake->due_ms, NOTHING_DUE);
	atomic_fetch_add(&wake->rung, 1);
}

static void wake_look_for_listeners(struct ft_wake *wake)
{
	wake->looked_ms = ft_clock_ms();
	wake->listener_count = ft_listeners_find(wake->listeners, FT_LISTENERS_MAX);
	if (wake->listener_count > 0 && wake->listening_since_ms == 0)
		wake->listening_since_ms = ft_clock_ms();
}

/* Finds out, once, whether this broker ticks. Returns whether that is known now. */
static bool wake_knows_ticks(struct ft_wake *wake)
{
	if (wake->is_21 || atomic_load(&wake->ticks) > 0) {
		wake->tickless = false;
		return true;
	}
	if (wake->tickless)
		return true;
	if (ft_clock_ms() - wake->looked_ms >= WATCH_PAUSE_US / 1000)
		wake_look_for_listeners(wake);
	wake->tickless = wake->listening_since_ms != 0 &&
			 ft_clock_ms() - wake->listening_since_ms >= TICKLESS_AFTER_MS;
	return wake->tickless;
}

/* Connects to a listener and closes: the broker has a DISCONNECT event to tell the plugin. */
static void wake_knock(struct ft_wake *wake)
{
	struct pollfd pending = { .events = POLLOUT };

	if (wake->listener_next >= wake->listener_count) {
		wake_look_for_listeners(wake);
		wake->listener_next = 0;
	}
	if (wake->listener_count == 0)
		return;
	pending.fd = ft_listener_connect(&wake->listeners[wake->listener_next]);
	if (pending.fd < 0)
		return;
	poll(&pending, 1, KNOCK_CONNECT_MS);
	pending.events = POLLIN;
	poll(&pending, 1, KNOCK_STAY_MS);
	close(pending.fd);
}

static void wake_begin_round(struct ft_wake *wake)
{
	wake->since_ms = ft_clock_ms();
	wake->bell_pause_us = 0;
	wake->pause_us = wake->tickless ? KNOCK_AFTER_MS * 1000 : SIGNAL_PAUSE_MIN_US;
}

/* Counts the echo off if a tick came after the last signal. Returns whether all came. */
static bool wake_echo_done(struct ft_wake *wake)
{
	uint64_t ticks = atomic_load(&wake->ticks);
	unsigned left = atomic_load(&wake->echoes);

	/* Where the broker's thread set it anew meanwhile, this one does not count. */
	if (wake->echo_sent && ticks != wake->echo_ticks && left > 0 &&
	    atomic_compare_exchange_strong(&wake->echoes, &left, left - 1))
		left--;
	wake->echo_sent = true;
	wake->echo_ticks = ticks;
	return left == 0;
}

/*
 * One attempt, and how long to wait for its effect. Lock not held. In a round that begins, who
 * announced has sent the first signal.
 */
static void wake_ring_by_signal(struct ft_wake *wake, bool begins)
{
	uint64_t heard = atomic_load(&wake->heard);

	if (atomic_load(&wake->rung) != heard)
		wake->echo_sent = false;
	else if (wake_echo_done(wake))
		return;
	if (begins && atomic_load(&wake->signalled) > heard)
		return;
	pthread_kill(wake->broker, SIGURG);
	if (ft_clock_ms() - wake->since_ms > STUCK_AFTER_MS)
		wake->pause_us = SIGNAL_PAUSE_STUCK_US;
	else if (wake->pause_us < SIGNAL_PAUSE_MAX_US)
		wake->pause_us += wake->pause_us / 4;
}

static void wake_ring_by_knocking(struct ft_wake *wake)
{
	if (ft_clock_ms() - wake->since_ms < KNOCK_AFTER_MS)
		return;
	if (wake->pause_us >= KNOCK_PAUSE_MIN_US)
		wake->listener_next++;	/* the last one did not lead to us */
	wake_knock(wake);
	wake->pause_us = wake->pause_us < KNOCK_PAUSE_MIN_US ? KNOCK_PAUSE_MIN_US : wake->pause_us * 2;
	if (wake->pause_us > KNOCK_PAUSE_MAX_US)
		wake->pause_us = KNOCK_PAUSE_MAX_US;
}

static bool wake_ring_by_bell(struct ft_wake *wake)
{
	struct ft_wake_bell bell;

	pthread_mutex_lock(&wake->lock);
	bell = wake->bell;
	pthread_mutex_unlock(&wake->lock);
	if (!bell.ring || !bell.ring(bell.bell))
		return false;
	wake->bell_pause_us = wake->bell_pause_us == 0 ? BELL_PAUSE_MIN_US : wake->bell_pause_us * 2;
	if (wake->bell_pause_us > BELL_PAUSE_MAX_US)
		wake->bell_pause_us = BELL_PAUSE_MAX_US;
	return true;
}

/* Returns how long to wait for the effect. Lock not held. */
static long wake_ring(struct ft_wake *wake)
{
	uint64_t heard = atomic_load(&wake->heard);
	bool begins = wake->since_ms == 0 || wake->answering != heard;

	wake_knows_ticks(wake);
	/* Something was heard since: what is left is new, and wants to be quick again. */
	if (begins) {
		wake->answering = heard;
		wake_begin_round(wake);
	}
	if (!wake->tickless)
		wake_ring_by_signal(wake, begins);
	else if (wake_ring_by_bell(wake))
		return wake->bell_pause_us;
	else
		wake_ring_by_knocking(wake);
	return wake->pause_us;
}

static void *wake_help(void *argument)
{
	struct ft_wake *wake = argument;
	bool watching = true;
	long pause_us;

	pthread_mutex_lock(&wake->lock);
	while (!wake->stop) {
		if (wake_is_busy(wake)) {
			pthread_mutex_unlock(&wake->lock);
			pause_us = wake_ring(wake);
			pthread_mutex_lock(&wake->lock);
			if (wake_is_busy(wake))
				wake_sleep_us(wake, pause_us, false);
			continue;
		}
		wake->since_ms = 0;
		wake->echo_sent = false;
		if (watching) {
			pthread_mutex_unlock(&wake->lock);
			watching = !wake_knows_ticks(wake);
			pthread_mutex_lock(&wake->lock);
		}
		if (wake->stop || wake_is_busy(wake))
			continue;
		if (watching)
			wake_sleep_us(wake, WATCH_PAUSE_US, true);
		else
			wake_idle(wake);
	}
	pthread_mutex_unlock(&wake->lock);
	return NULL;
}

/* The helper takes no signals: they are for the broker's thread. */
static int wake_start_helper(struct ft_wake *wake)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&wake->helper, NULL, wake_help, wake);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

/* The handler and the helper, or neither. */
static int wake_begin(struct ft_wake *wake)
{
	int error;

	if (!wake_handler_acquire())
		return errno;
	error = wake_start_helper(wake);
	if (error != 0)
		wake_handler_release();
	return error;
}

/* Both or none; an errno, or 0. */
static int wake_init_lock(struct ft_wake *wake)
{
	pthread_condattr_t monotonic;
	int error = pthread_condattr_init(&monotonic);

	if (error != 0)
		return error;
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	error = pthread_cond_init(&wake->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (error != 0)
		return error;
	error = pthread_mutex_init(&wake->lock, NULL);
	if (error != 0)
		pthread_cond_destroy(&wake->changed);
	return error;
}

static void wake_destroy(struct ft_wake *wake)
{
	pthread_cond_destroy(&wake->changed);
	pthread_mutex_destroy(&wake->lock);
	free(wake);
}

struct ft_wake *ft_wake_new(struct ft_logger *log)
{
	struct ft_wake *wake = calloc(1, sizeof *wake);
	int error;

	if (!wake)
		return NULL;
	wake->is_21 = wake->echoing = ft_compat_is_21();
	wake->broker = pthread_self();
	atomic_init(&wake->due_ms, NOTHING_DUE);
	if ((error = wake_init_lock(wake)) != 0) {
		free(wake);
		wake = NULL;
	} else if ((error = wake_begin(wake)) != 0) {
		wake_destroy(wake);
		wake = NULL;
	}
	if (error != 0)
		ft_logger_printf(log, FT_LOG_ERROR, "cannot start the thread that wakes the broker: %s",
			      strerror(error));
	return wake;
}

void ft_wake_free(struct ft_wake **wake)
{
	struct ft_wake *gone = *wake;
	struct ft_wake_bell bell;

	*wake = NULL;
	if (!gone)
		return;
	pthread_mutex_lock(&gone->lock);
	gone->stop = true;
	bell = gone->bell;
	pthread_cond_signal(&gone->changed);
	pthread_mutex_unlock(&gone->lock);
	if (bell.stop)
		bell.stop(bell.bell);
	pthread_join(gone->helper, NULL);
	wake_handler_release();
	wake_destroy(gone);
}

void ft_wake_set_bell(struct ft_wake *wake, const struct ft_wake_bell *bell)
{
	pthread_mutex_lock(&wake->lock);
	wake->bell = *bell;
	pthread_mutex_unlock(&wake->lock);
}

/* The helper looks at what was changed, if it sleeps for that. */
static void wake_tell_helper(struct ft_wake *wake)
{
	pthread_mutex_lock(&wake->lock);
	pthread_cond_signal(&wake->changed);
	pthread_mutex_unlock(&wake->lock);
}

void ft_wake_notify(struct ft_wake *wake)
{
	uint64_t before = atomic_fetch_add(&wake->rung, 1);

	/*
	 * `heard` only grows: where it is behind `before` even now, the wake was busy all the time
	 * since somebody else rang. They have signalled, and the helper knows from them.
	 */
	if (atomic_load(&wake->heard) < before)
		return;
	if (!pthread_equal(wake->broker, pthread_self())) {
		atomic_store(&wake->signalled, before + 1);
		pthread_kill(wake->broker, SIGURG);
	}
	wake_tell_helper(wake);
}

bool ft_wake_pending(struct ft_wake *wake)
{
	wake->seen = atomic_load(&wake->rung);
	return wake->seen != atomic_load(&wake->heard);
}

/* Whether clients use WebSockets just now, on 2.0. */
static bool wake_is_talking(const struct ft_wake *wake)
{
	return !wake->is_21 && ft_clock_ms() - wake->echo_asked_ms < ECHOES_WEBSOCKETS_MS;
}

void ft_wake_drained(struct ft_wake *wake)
{
	if (wake->seen == atomic_load(&wake->heard))
		return;
	if (wake->echoing)
		atomic_store(&wake->echoes, wake_is_talking(wake) ? ECHOES_WEBSOCKETS : ECHOES);
	atomic_store(&wake->heard, wake->seen);
}

void ft_wake_need_echo(struct ft_wake *wake)
{
	wake->echoing = true;
	wake->echo_asked_ms = ft_clock_ms();
}

void ft_wake_tick_seen(struct ft_wake *wake)
{
	/* Nobody else writes it: adding needs no lock. */
	uint64_t ticks = atomic_load_explicit(&wake->ticks, memory_order_relaxed);

	atomic_store_explicit(&wake->ticks, ticks + 1, memory_order_relaxed);
}

void ft_wake_at(struct ft_wake *wake, int64_t due_ms)
{
	if (due_ms >= atomic_load(&wake->due_ms))
		return;
	atomic_store(&wake->due_ms, due_ms);
	wake_tell_helper(wake);
}
