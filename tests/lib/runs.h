/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What the runs with calls.h have in common: one that goes wrong says which call failed,
 * and none leaves anything behind.
 *
 *	runs_prepare();
 *	for each plan: before = runs_begin(); calls_arm(); ... calls_disarm(); runs_end(&before);
 */
#ifndef FT_TESTS_LIB_RUNS_H
#define FT_TESTS_LIB_RUNS_H

#include <check.h>
#include <time.h>

#include "../tree.h"
#include "calls.h"

#define RUNS_DEADLINE_MS 20000

/* What there is of things that can leak. */
struct runs_count {
	size_t descriptors;
	size_t threads;
	long allocations;
};

static inline void runs_must(bool condition, const char *text, int line)
{
	if (condition)
		return;
	calls_disarm();
	ck_abort_msg("line %d: %s: %s", line, calls_text(), text);
}

/* Check notes down each assertion, also those that hold: a system call. */
#define must(condition) runs_must(condition, #condition, __LINE__)

static inline void *runs_no_thread(void *unused)
{
	return unused;
}

static inline void runs_prepare(void)
{
	pthread_t first;

	calls_take_cjson();
	/* ThreadSanitizer starts one of its own with the first. */
	must(pthread_create(&first, NULL, runs_no_thread, NULL) == 0);
	pthread_join(first, NULL);
}

static inline struct runs_count runs_begin(void)
{
	return (struct runs_count){
		.descriptors = tree_entries("/proc/self/fd"),
		.threads = tree_entries("/proc/self/task"),
		.allocations = calls.live,
	};
}

/* A thread that was joined may still be listed for an instant. */
static inline bool runs_threads_end(size_t wanted)
{
	const struct timespec pause = { .tv_nsec = 100000 };

	for (int i = 0; i < RUNS_DEADLINE_MS * 10; i++) {
		if (tree_entries("/proc/self/task") <= wanted)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

/* What is open, for whoever looks for what is open still. */
static inline void runs_print_descriptors(void)
{
	char path[32], target[256];

	for (int fd = 0; fd < 64; fd++) {
		ssize_t len;

		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		len = readlink(path, target, sizeof target);
		if (len > 0)
			fprintf(stderr, "%d: %.*s\n", fd, (int)len, target);
	}
}

static inline void runs_end(const struct runs_count *before)
{
	if (tree_entries("/proc/self/fd") != before->descriptors)
		runs_print_descriptors();
	must(tree_entries("/proc/self/fd") == before->descriptors);
	must(runs_threads_end(before->threads));
	must(calls.live == before->allocations);
}

/* Plays once for each call of the workers, and each error that it may have; there are over `least`. */
static inline void runs_each_worker_call(void (*play)(const struct calls_plan *plan), unsigned least)
{
	struct calls_plan plan = { .workers = true };

	runs_prepare();
	do {
		plan.nth++;
		plan.variant = 0;
		do {
			play(&plan);
		} while (++plan.variant < calls.variants);
	} while (calls.hits > 0);
	ck_assert_uint_gt(plan.nth, least);
}

#endif
